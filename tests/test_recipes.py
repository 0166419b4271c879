"""Recipes: the printed one, the authors' one, ours."""

import math
from operator import attrgetter

import pytest
import torch

from irnas_lib.training import recipes


def rates(name, iterations):
    recipe = recipes.recipe(name)
    return [recipes.learning_rate(recipe, iteration, iterations) for iteration in range(iterations)]


def test_the_printed_recipe_is_constant_and_the_authors_decays_to_nothing():
    assert set(rates("paper", 50)) == {0.05}
    polynomial = rates("authors", 1000)
    assert polynomial == pytest.approx([0.05 * (1 - i / 1000) ** 0.9 for i in range(1000)])


@pytest.mark.parametrize(("iterations", "warmup"), ((20_000, 500), (500, 50), (5, 0)))
def test_matched_warms_up_and_follows_a_cosine(iterations, warmup):
    found = rates("matched", iterations)
    cosine = [1e-3 * (0.01 + 0.99 * (1 + math.cos(math.pi * i / iterations)) / 2) for i in range(iterations)]
    assert found[warmup:] == pytest.approx(cosine[warmup:])
    assert found[:warmup] == pytest.approx([rate * (i + 1) / (warmup + 1) for i, rate in enumerate(cosine[:warmup])])
    assert min(found) > 0 and max(found) <= 1e-3


def test_the_recipes_are_those_of_the_decisions():
    paper, authors, matched = (recipes.recipe(name) for name in ("paper", "authors", "matched"))
    assert (paper.optimizer, paper.lr, paper.loss_lambda) == ("Adam", 0.05, 0.5)
    assert (authors.optimizer, authors.momentum, authors.weight_decay, authors.loss_lambda) == ("SGD", 0.9, 4e-5, 0.6)
    assert matched.optimizer == "AdamW"
    with pytest.raises(ValueError, match="unknown recipe 'worst' .known: paper, authors, matched, best"):
        recipes.recipe("worst")


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_an_optimizer_takes_the_recipes_numbers_and_a_step(name):
    recipe = recipes.recipe(name)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = recipes.make_optimizer(recipe, [weight], "cpu")
    assert type(optimizer).__name__ == recipe.optimizer
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group.get("momentum", 0)) == (
        recipe.lr, recipe.weight_decay, recipe.momentum)
    recipes.set_learning_rate(optimizer, 0.1)
    weight.sum().backward()
    optimizer.step()
    moved = 0.1 * (1 + recipe.weight_decay)  # the first step of each of the three, up to Adam's epsilon
    torch.testing.assert_close(weight.detach(), torch.full((3,), 1 - moved), rtol=1e-4, atol=0)


def test_loading_a_state_keeps_a_learning_rate_that_is_a_tensor():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], torch.tensor(0.1), momentum=0.9)
    rate = optimizer.param_groups[0]["lr"]
    weight.sum().backward()
    optimizer.step()
    recipes.load_optimizer(optimizer, optimizer.state_dict())
    recipes.set_learning_rate(optimizer, 0.3)
    assert optimizer.param_groups[0]["lr"] is rate and rate.item() == pytest.approx(0.3)
    assert optimizer.state[weight]["momentum_buffer"].tolist() == [1, 1, 1]


def test_a_group_learns_at_its_own_scale_of_the_rate():
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr_scale": 0.25}]
    optimizer = recipes.optimizer_on("cpu", "SGD", groups, 0.5, weight_decay=0.0)
    (parameters[0] + parameters[1]).sum().backward()
    optimizer.step()
    assert [p.item() for p in parameters] == [-0.5, -0.125]
    recipes.set_learning_rate(optimizer, 1.0)
    optimizer.step()
    assert [p.item() for p in parameters] == [-1.5, -0.375]


def test_every_number_of_the_recipes_is_that_of_the_decisions():
    def numbers(name):
        return attrgetter("optimizer", "lr", "schedule", "weight_decay", "momentum", "warmup", "loss_lambda")(
            recipes.recipe(name))
    assert numbers("paper") == ("Adam", 0.05, "constant", 0, 0, 0, 0.5)
    assert numbers("authors") == ("SGD", 0.05, "polynomial", 4e-5, 0.9, 0, 0.6)
    assert numbers("matched") == ("AdamW", 1e-3, "cosine", 1e-4, 0, 500, 0.5)
