"""Why alpha stays flat: how decided a search is, the signal in its gradient, records that are made once."""

import json
import math

import numpy as np
import pytest
import torch

from irnas_lib.data.datasets import Dataset, Picture
from irnas_lib.data.patches import Patches
from irnas_lib.decode import derive_cell
from irnas_lib.experiments import runs, search_choices
from irnas_lib.losses import restoration_loss
from irnas_lib.search_space import OPERATIONS
from irnas_lib.supernet import Supernet

PICTURES = tuple(Picture(f"p{i}", np.random.default_rng(i).integers(0, 256, (40, 36, 1), dtype=np.uint8))
                 for i in range(8))
DATASET = Dataset("embedded", "denoising", PICTURES, (), (), "0" * 64)


def test_entropy_and_margins_from_their_definitions():
    rng = np.random.default_rng(0)
    alpha = rng.normal(size=(5, 6))  # two nodes
    p = np.exp(alpha) / np.exp(alpha).sum(axis=1, keepdims=True)
    entropy = -(p * np.log(p)).sum(1) / math.log(6)
    assert search_choices.normalised_entropy(torch.tensor(alpha)) == pytest.approx(entropy)
    strength = p[:, :-1].max(axis=1)
    kept = [0, 1, *(2 + np.sort(np.argsort(-strength[2:])[:2]))]
    margins = [p[row, :-1].max() - np.delete(p[row], p[row, :-1].argmax()).max() for row in kept]
    assert sorted(search_choices.margins(torch.tensor(alpha)).tolist()) == pytest.approx(sorted(margins))


def test_a_choice_is_summed_up_over_its_seeds():
    def record(strong, seed):
        alpha = torch.zeros(5, 6)
        alpha[:, OPERATIONS.index(strong)] = 50
        return {"name": "printed", "scale": "small", "settings": {"seed": seed}, "alpha": alpha.tolist(),
                "genotype": json.loads(json.dumps(derive_cell(alpha))), "history": [{"psnr": 20.0 + seed}]}
    (row,) = search_choices.decided([record("skip", 0), record("skip", 1), record("def", 2)], "small")
    assert (row.seeds, row.skips, row.psnr) == (3, pytest.approx(8 / 3), 21.0)
    assert row.entropy == pytest.approx(0, abs=1e-6) and row.margin == pytest.approx(1)
    assert row.same_operation == row.by_chance == pytest.approx(1 / 3) and row.same_edge == 1
    assert search_choices.decided([record("skip", 0)], "laptop") == []


def test_the_same_strongest_operation_by_chance_is_that_of_shuffled_edges():
    some, others = torch.eye(6)[[0, 0, 1, 2, 4]], torch.eye(6)[[0, 3, 1, 4, 4]]
    same, chance = search_choices.same_strongest(some.tolist(), others.tolist())
    rng = np.random.default_rng(0)
    shuffled = [(some.argmax(1).numpy() == rng.permutation(others.argmax(1).numpy())).sum() for _ in range(4000)]
    assert same == 3 and chance == pytest.approx(np.mean(shuffled), abs=0.05)
    some[0], others[0] = torch.tensor([0, 1.0, 0, 0, 0, 9]), torch.tensor([0, 0, 1.0, 0, 0, 9])
    assert search_choices.same_strongest(some, others)[0] == 2  # `none` leads on both, and is never kept


def test_chance_of_an_edge_is_that_of_random_cells():
    assert search_choices.chance_of_an_edge(2) == pytest.approx((1 + 2 / 3) / 2)


def test_the_signal_of_a_gradient_is_found_under_its_spread():
    rng = np.random.default_rng(0)
    found = torch.tensor(0.3 * rng.choice([-1, 1], (1, 20, 6)) + rng.normal(size=(400, 20, 6)))
    size, spread, batches = search_choices.signal(found)
    assert (size, spread) == (pytest.approx(0.3, rel=0.05), pytest.approx(1, rel=0.03))
    assert batches == pytest.approx(9 / 0.3 ** 2, rel=0.1)


def test_gradients_are_those_of_the_loss_on_the_batches_of_train_a():
    torch.manual_seed(0)
    net, patches = Supernet(1, 1, 2), Patches(PICTURES, 16, (30,))
    settings = search_choices.SearchSettings(batch=2, seed=3)
    found = search_choices.gradients(net, patches, settings, 2)
    for i in range(2):
        net.zero_grad()
        degraded, clean = patches.batch(2, 3, 3 + 1, i)  # stream 4 moves the architecture
        restoration_loss(net(degraded), clean, 0.5).backward()
        assert torch.allclose(found[i], net.alpha.grad, atol=1e-6)


def test_a_choice_is_searched_once(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "output_folder", lambda profile: tmp_path)
    monkeypatch.setattr(runs, "SHIPPED", tmp_path / "nothing")
    monkeypatch.setattr(search_choices, "SIDE", 16)
    choice = search_choices.named("travel 34")
    record = search_choices.find_or_search(choice, "smoke", 1, DATASET, "smoke")
    assert record["settings"]["architecture_travel"] == 34.4 and record["settings"]["seed"] == 1
    assert record["alpha_signal"].keys() == {"as left", "untouched"} and np.abs(record["alpha"]).max() > 1
    assert record["inherited"]["mixture"] != record["inherited"]["decoded"] and record["inherited"]["random"] == []
    monkeypatch.setattr(search_choices, "search", lambda *_: pytest.fail("searched again"))
    again = search_choices.find_or_search(choice, "smoke", 1, DATASET, "smoke")
    assert again == json.loads(json.dumps(record)) and search_choices.load([tmp_path]) == [again]
    assert not list((tmp_path / "resume").glob("*"))


def test_names_are_unique_known_and_change_known_settings():
    names = [choice.name for choice in search_choices.CHOICES]
    assert len(set(names)) == len(names) and not search_choices.named("printed").changes
    for choice in search_choices.CHOICES:
        for scale in search_choices.SCALES.values():
            search_choices.replace(scale, **choice.changes)
    with pytest.raises(ValueError, match="unknown choice 'best' .known: printed, "):
        search_choices.named("best")
