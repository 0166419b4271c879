"""The supernet against a count of its layers and against plain functions; the fast supercell against the plain one."""

import math

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from irnas_lib.search_space import OPERATIONS
from irnas_lib.supercell import PlainSupercell, Supercell, to_plain
from irnas_lib.supernet import Supernet

NAMES = ("conv", "sep", "dil", "def", "skip", "none")
LEVELS = {0: (0,), 1: (0, 1), 2: (0, 1, 2), 3: (0, 1, 2), 4: (0, 1, 2)}  # by layer
SMALL = {"layers": 3, "nodes": 2, "width": 2}


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


def skeleton(*arguments, **options):
    with torch.device("meta"):
        return Supernet(*arguments, **options)


def supercell_parameters(nodes, c):
    """Every edge: conv, dil and def kernels, two separable units, the offset convolution and def's bias."""
    edges = nodes * (nodes + 3) // 2
    return edges * (3 * 9 * c * c + 2 * (9 * c + c * c) + 54 * 9 * c + 54 + c)


def expected_weights(layers, nodes, width, channels, sharing):
    """Counted by hand, cell by cell and 1x1 by 1x1."""
    def wide(level):
        return width * 2 ** level

    total = channels * 9 * 64 + 64 * nodes * width * 9
    for layer in range(1, layers + 1):
        for level in LEVELS[layer]:
            sources = [k for k in LEVELS[layer - 1] if abs(k - level) < 2]
            total += sum(nodes * wide(k) * wide(level) for k in sources)
            before = 64 if layer == 1 else nodes * wide(min(level, LEVELS[layer - 2][-1]))
            total += before * wide(level)
            total += supercell_parameters(nodes, wide(level)) * (len(sources) if sharing == "edge" else 1)
    return total + nodes * sum(map(wide, LEVELS[layers])) * 9 * channels + channels


def test_the_papers_supernet_has_the_parameters_of_the_ledger():
    net = skeleton()
    assert count(net.weights()) == 6_485_827
    assert count(net.architecture_parameters()) == 147
    assert count(net.parameters()) == 6_485_974
    assert (net.alpha.shape, net.beta.shape) == ((20, 6), (9, 3))
    parts = {"stem": 576, "widen": 28_800, "first": 51_000, "second": 22_420, "cells": 6_379_880, "head": 3_151}
    assert {part: count(p for name, p in net.named_parameters() if part in name.split(".")) for part in parts} == parts


@pytest.mark.parametrize("sharing", ("cell", "edge"))
@pytest.mark.parametrize("cell", (Supercell, PlainSupercell))
@pytest.mark.parametrize(("layers", "nodes", "width", "channels"), ((4, 5, 10, 1), (3, 4, 10, 3), (1, 1, 2, 1)))
def test_both_sharings_have_the_parameters_of_their_cells(sharing, cell, layers, nodes, width, channels):
    net = skeleton(layers, nodes, width, channels, sharing, cell)
    assert count(net.weights()) == expected_weights(layers, nodes, width, channels, sharing)


def test_equation_6_has_a_cell_for_each_of_seven_ways_in():
    cells = [len(layer.cells) for layer in skeleton(sharing="edge").layers]
    assert cells == [2, 5, 7, 7]
    assert [len(layer.cells) for layer in skeleton().layers] == [2, 3, 3, 3]


def randomised(module, seed=0):
    """`module` in float64 with every parameter random: alpha, beta, and the offsets that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def picture(*shape, seed=1):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def norm(y):
    """Batch norm in training mode without scale and shift."""
    mean = y.mean(dim=(0, 2, 3), keepdim=True)
    return (y - mean) / ((y - mean).square().mean(dim=(0, 2, 3), keepdim=True) + 1e-5).sqrt()


def operation(w, name, kind, y):
    r = F.relu(y)
    if kind == "conv":
        return norm(F.conv2d(r, w[f"{name}.1.weight"], padding=1))
    if kind == "dil":
        return norm(F.conv2d(r, w[f"{name}.1.weight"], padding=2, dilation=2))
    if kind == "sep":
        for i in (1, 5):
            deep = F.conv2d(F.relu(y), w[f"{name}.{i}.weight"], padding=1, groups=y.shape[1])
            y = norm(F.conv2d(deep, w[f"{name}.{i + 1}.weight"]))
        return y
    if kind == "def":
        both = F.conv2d(r, w[f"{name}.offsets.weight"], w[f"{name}.offsets.bias"], padding=1)
        return norm(deform_conv2d(r, both[:, :36], w[f"{name}.weight"], w[f"{name}.bias"], padding=1,
                                  mask=both[:, 36:].sigmoid()))
    return y if kind == "skip" else 0 * y


def supercell(w, name, nodes, second, first, alpha):
    """Eq. 1 to 3."""
    states, row = {"p2": second, "p1": first}, 0
    for n in range(1, nodes + 1):
        total = 0
        for source in list(states):
            for o, kind in enumerate(NAMES):
                total = total + alpha[row, o] * operation(w, f"{name}.edges.{source}_n{n}.{o}", kind, states[source])
            row += 1
        states[f"n{n}"] = total
    return torch.cat([states[f"n{n}"] for n in range(1, nodes + 1)], dim=1)


def by_functions(net, x, layers, nodes, sharing):
    """Section 3.2 from a state dict (of plain supercells) and torch's functions alone."""
    w = net.state_dict()
    alpha = w["alpha"].exp() / w["alpha"].exp().sum(dim=1, keepdim=True)
    beta, rows = {}, iter(w["beta"].tolist())
    for layer in range(layers):
        for k in LEVELS[layer]:
            row = next(rows)
            ways = {k + move: math.exp(row[move + 1]) for move in (-1, 0, 1) if 0 <= k + move <= 2}
            beta |= {(layer + 1, k, level): weight / sum(ways.values()) for level, weight in ways.items()}

    def project(name, y):
        return norm(F.conv2d(F.relu(y), w[f"{name}.1.weight"]))

    stem = F.relu(norm(F.conv2d(x, w["stem.0.weight"], padding=1)))
    h = [{0: stem}, {0: norm(F.conv2d(stem, w["widen.0.weight"], padding=1))}]
    for layer in range(1, layers + 1):
        here, outputs = f"layers.{layer - 1}", {}
        for level in LEVELS[layer]:
            widest = max(k for k in h[-2] if k <= level)
            second = project(f"{here}.second.{level}", h[-2][widest])
            ways = {k: project(f"{here}.first.{k}->{level}", y) for k, y in h[-1].items() if abs(k - level) < 2}
            if sharing == "cell":
                first = sum(beta[layer, k, level] * y for k, y in ways.items())
                outputs[level] = supercell(w, f"{here}.cells.{level}", nodes, second, first, alpha)
            else:
                outputs[level] = sum(
                    beta[layer, k, level] * supercell(w, f"{here}.cells.{k}->{level}", nodes, second, y, alpha)
                    for k, y in ways.items())
        h.append(outputs)
    return F.conv2d(F.relu(torch.cat(list(h[-1].values()), dim=1)), w["head.weight"], w["head.bias"], padding=1)


@pytest.mark.parametrize("sharing", ("cell", "edge"))
@pytest.mark.parametrize(("layers", "nodes", "width", "channels"), ((3, 2, 2, 1), (4, 1, 2, 3), (1, 3, 2, 1)))
def test_equations_5_and_6_written_out(sharing, layers, nodes, width, channels):
    net = randomised(Supernet(layers, nodes, width, channels, sharing, PlainSupercell))
    x = picture(2, channels, 7, 6)
    with torch.no_grad():
        torch.testing.assert_close(net(x), by_functions(net, x, layers, nodes, sharing), rtol=1e-9, atol=1e-9)


def close(a, b):
    """To 1e-10 of the largest entry, or of 1 where all are small: a bias before a batch norm has only rounding."""
    assert a.shape == b.shape
    assert (a - b).abs().max() <= 1e-10 * max(b.abs().max(), 1)


@pytest.mark.parametrize(("nodes", "channels"), ((1, 2), (3, 4), (2, 5)))
def test_the_fast_supercell_is_the_plain_one(nodes, channels):
    fast = randomised(Supercell(nodes, channels))
    plain = to_plain(fast)
    assert count(fast.parameters()) == count(plain.parameters()) == supercell_parameters(nodes, channels)
    direction = picture(2, nodes * channels, 7, 8, seed=5)
    gradients = []
    for cell in (fast, plain):
        inputs = [picture(2, channels, 7, 8, seed=2) - 0.5, picture(2, channels, 7, 8, seed=3) - 0.5,
                  picture(nodes * (nodes + 3) // 2, 6, seed=4)]
        for tensor in inputs:
            tensor.requires_grad_()
        output = cell(*inputs)
        output.mul(direction).sum().backward()
        gradients.append([output.detach(), *(tensor.grad for tensor in inputs)])
    for a, b in zip(*gradients):
        close(a, b)
    with torch.no_grad():  # carries the gradients over in place of the weights
        for parameter in fast.parameters():
            parameter.copy_(parameter.grad)
    for (name, a), b in zip(to_plain(fast).named_parameters(), plain.parameters()):
        assert b.grad.abs().max() > 0, name
        close(a, b.grad)


def test_the_fast_supernet_is_the_plain_one():
    fast = randomised(Supernet(**SMALL))
    plain = randomised(Supernet(**SMALL, cell=PlainSupercell))
    plain.load_state_dict(fast.state_dict(), strict=False)
    for a, b in zip(fast.layers, plain.layers):
        b.cells.update({level: to_plain(cell) for level, cell in a.cells.items()})
    x, target = picture(2, 1, 9, 8), picture(2, 1, 9, 8, seed=2)
    for net in (fast, plain):
        F.mse_loss(net(x), target).backward()
    close(fast(x), plain(x))
    for name in ("alpha", "beta"):
        close(getattr(fast, name).grad, getattr(plain, name).grad)


@pytest.mark.parametrize("cell", (Supercell, PlainSupercell))
@pytest.mark.parametrize("sharing", ("cell", "edge"))
def test_recomputing_changes_no_bit(sharing, cell):
    nets = [randomised(Supernet(**SMALL, sharing=sharing, cell=cell, recompute=recompute)).train()
            for recompute in (False, True)]
    for net in nets:
        net(picture(2, 1, 9, 11)).square().mean().backward()
    kept, again = nets
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(kept.parameters(), again.parameters()) if a.grad is not None)
    for (name, a), (_, b) in zip(kept.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(a, b), f"{name}: the statistics of a batch count once"


def test_recomputing_keeps_less():
    kept = []
    for recompute in (False, True):
        net, total = Supernet(**SMALL, recompute=recompute), 0

        def count_bytes(tensor):
            nonlocal total
            total += tensor.nbytes
            return tensor
        with torch.autograd.graph.saved_tensors_hooks(count_bytes, lambda tensor: tensor):
            net(picture(2, 1, 16, 16).float())
        kept.append(total)
    assert kept[1] < kept[0] / 3


def test_the_fast_supercell_agrees_in_evaluation_mode_too():
    fast = randomised(Supercell(2, 4))
    plain = to_plain(fast)
    inputs = picture(2, 4, 6, 6) - 0.5, picture(2, 4, 6, 6, seed=2) - 0.5, picture(5, 6, seed=3)
    with torch.no_grad():
        for cell in (fast, plain):
            for _ in range(3):
                cell(*inputs)
            cell.eval()
        close(fast(*inputs), plain(*inputs))


@pytest.mark.parametrize("sharing", ("cell", "edge"))
def test_gradients_reach_every_entry_that_can_matter(sharing):
    torch.manual_seed(0)
    net = Supernet(3, 2, 2, sharing=sharing).double()
    F.mse_loss(net(picture(2, 1, 10, 10)), picture(2, 1, 10, 10, seed=2)).backward()
    assert (net.alpha.grad != 0).all()
    exists = torch.tensor([[0 <= level + move <= 2 for move in (-1, 0, 1)]
                           for layer in range(3) for level in LEVELS[layer]])
    assert torch.equal(net.beta.grad != 0, exists)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        # a bias in front of a batch norm has no effect; what its gradient shows is rounding
        if not name.endswith("deform_bias"):
            assert parameter.grad.abs().max() > 0, name


def test_a_supernet_that_adds_its_input_begins_by_returning_it():
    net, x = Supernet(2, 2, 2, global_residual=True).double(), picture(2, 1, 10, 10)
    assert torch.equal(net(x), x)
    plain = randomised(Supernet(2, 2, 2))
    net.load_state_dict(plain.state_dict())
    torch.testing.assert_close(net.eval()(x), x + plain.eval()(x))


def test_both_tables_start_equal():
    net = Supernet(4, 2, 2)
    assert net.alpha.unique().numel() == 1
    into = [{way: round(p.item(), 6) for way, p in layer.items()} for layer in net.transitions()]
    assert into[0] == {(0, 0): 0.5, (0, 1): 0.5}
    third = round(1 / 3, 6)
    assert into[1] == {(0, 0): 0.5, (0, 1): 0.5, (1, 0): third, (1, 1): third, (1, 2): third}
    assert into[2] == into[3] == into[1] | {(2, 1): 0.5, (2, 2): 0.5}


def test_transitions_are_outgoing_probabilities():
    for layer in randomised(Supernet(4, 1, 2)).transitions():
        for source in {source for source, _ in layer}:
            assert sum(p.item() for (k, _), p in layer.items() if k == source) == pytest.approx(1)


def test_weights_and_architecture_share_no_parameter():
    net = skeleton(2, 2, 2)
    weights, architecture = set(map(id, net.weights())), set(map(id, net.architecture_parameters()))
    assert weights | architecture == set(map(id, net.parameters()))
    assert not weights & architecture and len(architecture) == 2


def test_an_unknown_sharing_is_refused():
    with pytest.raises(ValueError, match="'cell'.*'edge'.*'level'"):
        Supernet(2, 2, 2, sharing="level")


def test_the_fast_supercell_starts_as_the_plain_one_does():
    torch.manual_seed(0)
    fast, plain = to_plain(Supercell(3, 10)), PlainSupercell(3, 10)
    for (name, a), b in zip(fast.named_parameters(), plain.parameters(), strict=True):
        at_zero = "offsets" in name or name.endswith("bias")
        bound = 0 if at_zero else 1 / b[0].numel() ** 0.5  # PyTorch's own: 1 / sqrt(fan in)
        for weights in (a, b):
            assert 0.9 * bound <= weights.max() <= bound and -bound <= weights.min() <= -0.9 * bound, name


def test_an_operation_that_the_supercell_does_not_compute_stops_it(monkeypatch):
    monkeypatch.setattr("irnas_lib.supercell.OPERATIONS", (*OPERATIONS, "shuffle"))
    with pytest.raises(NotImplementedError, match="the search space has .*shuffle"):
        Supercell(2, 4)
