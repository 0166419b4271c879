"""What a solution of each exercise must do. Each check takes the module that holds it, and raises if it fails."""

import math
from types import ModuleType

import torch

from irnas_lib import decode
from irnas_lib.data.tiles import corners, tile_starts
from irnas_lib.evaluation.protocols import add_noise
from irnas_lib.experiments import edits
from irnas_lib.genotypes import DENOISING, DERAINING
from irnas_lib.search_space import OPERATIONS, edges
from irnas_lib.supernet import Supernet


def second_order(module: ModuleType) -> None:
    for xi in (0.0, 0.25, 0.5):  # the example of the DARTS paper, by hand
        w, alpha = torch.tensor(-2.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
        found = module.architecture_gradient(lambda w, a: (w - a) ** 2, lambda w, a: a * w - 2 * a + 1, w, alpha, xi)
        expected = (-2 - 2 * xi * (-2 - 2) - 2) + 2 * xi * 2
        assert abs(found.item() - expected) < 1e-5, f"one weight, xi = {xi}: {found.item():.3f}, not {expected:.3f}"
        assert (w.item(), alpha.item()) == (-2, 2), "w or alpha has been changed"

    torch.manual_seed(0)  # a network with one hidden layer, by finite differences
    x, y = torch.randn(2, 20, 3, dtype=torch.float64).unbind()
    w = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    alpha = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def loss(part):
        return lambda w, a: ((torch.tanh(x[part] @ w) * a.softmax(0) - y[part]) ** 2).mean()

    loss_w, loss_a = loss(slice(0, 10)), loss(slice(10, 20))
    found = module.architecture_gradient(loss_w, loss_a, w, alpha, 0.7)
    assert found.shape == alpha.shape, f"the gradient has the shape {tuple(found.shape)}, not {tuple(alpha.shape)}"

    def after(a):
        return loss_a(w - 0.7 * torch.autograd.grad(loss_w(w, a), w)[0], a).item()

    for i, step in enumerate(1e-5 * torch.eye(3, dtype=torch.float64)):
        expected = (after(alpha + step) - after(alpha - step)) / 2e-5
        assert abs(found[i].item() - expected) < 1e-6, f"entry {i} of a network: {found[i]:.6f}, not {expected:.6f}"


def eq2(module: ModuleType) -> None:
    torch.manual_seed(0)
    operations = [torch.sin, torch.exp, torch.zeros_like, lambda x: x]
    x, logits = torch.randn(2, 3), torch.randn(4, requires_grad=True)
    mixed = module.mixed_edge(x, logits, operations)
    powers = [math.exp(value) for value in logits.tolist()]
    for i, row in enumerate(x.tolist()):
        for j, value in enumerate(row):
            expected = (powers[0] * math.sin(value) + powers[1] * math.exp(value) + powers[3] * value) / sum(powers)
            found = mixed[i, j].item()
            assert abs(found - expected) < 1e-5, f"at x = {value:.3f}: {found}, not {expected}"
    mixed.sum().backward()
    assert logits.grad is not None and logits.grad.abs().max() > 0, "no gradient reaches alpha"


def count(module: ModuleType) -> None:
    for layers, nodes, width, channels in ((1, 1, 2, 1), (2, 2, 2, 3), (3, 2, 4, 1), (4, 3, 2, 3)):
        expected = sum(parameter.numel() for parameter in Supernet(layers, nodes, width, channels).weights())
        found = module.supernet_weights(layers, nodes, width, channels)
        assert found == expected, f"L={layers}, N={nodes}, W={width}, C={channels}: {found}, not {expected}"
    assert module.supernet_weights(4, 5, 10, 1) == 6_485_827, "not the paper's supernet"


def collapse(module: ModuleType) -> None:
    nodes = 3
    alpha = module.nearly_untouched(len(edges(nodes)), list(OPERATIONS))
    assert alpha.shape == (len(edges(nodes)), len(OPERATIONS)), f"alpha has the shape {tuple(alpha.shape)}"
    assert alpha.abs().max() <= 0.01, f"a logit is {alpha.abs().max().item():.3f}, at most 0.01 is allowed"
    cell = decode.derive_cell(alpha)
    assert all(edge.operation == "skip" for node in cell for edge in node), f"the cell is {cell}"


def greedy(module: ModuleType) -> None:
    beta = module.misleading_beta()
    assert beta.shape == (9, 3), f"beta of four layers has the shape (9, 3), not {tuple(beta.shape)}"
    (short, lost), (best, won) = decode.greedy_path(beta), decode.brute_force_path(beta)
    assert won > lost + math.log(2), (f"greedy takes {short}, probability {math.exp(lost):.3f}; the best is {best}, "
                                      f"{math.exp(won):.3f}: make it at least twice as probable")


def neighbours(module: ModuleType) -> None:
    for genotype in (DERAINING, DENOISING):
        expected = {edits.canonical(cell) for cell in edits.operation_changes(genotype)}
        found = [edits.canonical(cell) for cell in module.neighbours(genotype)]
        assert len(found) == len(set(found)), "a cell is listed twice"
        missing, wrong = expected - set(found), set(found) - expected
        assert not missing and not wrong, f"{len(missing)} cells are missing, {len(wrong)} do not belong"


def one_field(module: ModuleType) -> None:
    clean, seen = torch.rand(1, 1, 100, 150, generator=torch.Generator().manual_seed(0)), []

    def nothing(tiles):
        seen.append(tuple(tiles.shape[1:]))
        return tiles

    restored = module.restore_in_tiles(nothing, clean, 50, 0, "a picture")
    assert set(seen) == {(1, 64, 64)}, "the network must see tiles of 64x64"
    assert len(tile_starts(100)) * len(tile_starts(150)) == len(corners(clean.shape)), "tiles at every 48 pixels"
    noisy = add_noise(clean, 50, 0, "a picture")
    error, usual = (restored - clean).std().item(), (noisy - clean).std().item()
    assert (restored - noisy).abs().max() < 1e-5, (
        f"a network that does nothing still removes noise: {error:.3f} is left of {usual:.3f}")
