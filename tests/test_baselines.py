"""The trained comparison systems against counts, and against loops and plain functions of their weights."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from irnas_lib.baselines.dncnn import DnCNN
from irnas_lib.baselines.memnet import MemNet
from irnas_lib.baselines.n3net import N3Block, N3Net, neighbour_weights
from irnas_lib.baselines.nlrn import NLRN, NonLocal
from irnas_lib.baselines.red import RED
from irnas_lib.data import tiles
from irnas_lib.evaluation import systems

SMALL = {
    "DnCNN": partial(DnCNN, depth=4, width=6), "RED": partial(RED, width=6),
    "MemNet": partial(MemNet, width=6, blocks=3, recursions=2), "NLRN": partial(NLRN, width=6, steps=2, tile_step=20),
    "N3Net": partial(N3Net, width=6, features=4, k=3),
}


def randomised(network):
    """In float64 and evaluation mode, with no weight or statistic left at its first value."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.double().eval().state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.05 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return network


def picture(*shape):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Plain:
    """Layers by name, as functions of a network's state dict."""

    def __init__(self, network):
        self.weights = network.state_dict()

    def conv(self, name, y):
        weight = self.weights[f"{name}.weight"]
        return F.conv2d(y, weight, self.weights.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def norm(self, name, y):
        scale, shift, mean, variance = (self.weights[f"{name}.{part}"].view(-1, 1, 1)
                                        for part in ("weight", "bias", "running_mean", "running_var"))
        return (y - mean) / (variance + 1e-5).sqrt() * scale + shift


MIDDLE = 64 * 64 * 9


@pytest.mark.parametrize(("network", "convolutions", "norms", "macs"), (
    (DnCNN, 555_137 - 15 * 64, 15 * 128, 576 + 15 * MIDDLE + 576),
    (RED, 1_035_201, 0, 576 + 28 * MIDDLE + 576),
    (partial(RED, width=128), 4_134_785, 0, 1152 + 28 * 4 * MIDDLE + 1152),
    (MemNet, 676_992, 2 + 6 * 6 * 256 + 57 * 128 + 6 * 128, 576 + 6 * 12 * MIDDLE + 57 * 64 * 64 + 6 * 576),
    (NLRN, 330_625, 9_474, 1152 + 12 * (2 * 128 * 64 + 128 * 128 + 2 * 4 * MIDDLE) + 1152),
    (N3Net, 705_511 - 2_564, 3 * 4 * 128 + 2 * (4 * 128 + 2),
     (1 + 64 + 64 + 8 + 8 + 1) * 576 + 12 * MIDDLE + 2 * ((8 + 8 + 8 + 1) * 576 + 2 * MIDDLE)),
))
def test_parameters_and_multiply_adds_are_those_of_the_papers(network, convolutions, norms, macs):
    network = network()
    counts = {kind: sum(p.numel() for module in network.modules() if isinstance(module, kind)
                        for p in module.parameters()) for kind in (nn.Conv2d, nn.BatchNorm2d)}
    assert counts == {nn.Conv2d: convolutions, nn.BatchNorm2d: norms}
    output_weights = 6 if isinstance(network, MemNet) else 0
    assert systems.parameter_count(network) == convolutions + norms + output_weights
    assert systems.macs_per_pixel(network, 1) == macs


@pytest.mark.parametrize("system", SMALL)
@pytest.mark.parametrize("size", ((11, 10), (33, 20), (43, 46)))
@pytest.mark.parametrize("channels", (1, 3))
def test_any_size_goes_through_and_a_picture_does_not_see_its_batch(system, size, channels):
    network = randomised(SMALL[system](channels))
    x = picture(2, channels, *size)
    with torch.inference_mode():
        y = network(x)
        assert y.shape == x.shape
        torch.testing.assert_close(network(x[1:]), y[1:])
        assert y.std() > 0 and not torch.allclose(y, x)


@pytest.mark.parametrize("system", SMALL)
def test_the_gradient_reaches_every_parameter_that_counts(system):
    network = randomised(SMALL[system]())
    network(picture(2, 1, 20, 25)).square().sum().backward()
    without = {name for name, parameter in network.named_parameters() if not parameter.grad.abs().max() > 1e-9}
    # a softmax does not see what is added to all its logits, nor a distance what is added to both its ends
    assert without == {"NLRN": {"non_local.phi.bias"},
                       "N3Net": {f"layers.{i}.{bias}" for i in (1, 3) for bias in ("norm.bias", "embed.2.bias")},
                       }.get(system, set())


def test_dncnn_is_that_of_plain_functions():
    network = randomised(SMALL["DnCNN"]())
    plain, x = Plain(network), picture(2, 1, 9, 12)
    y = F.relu(plain.conv("noise.0", x))
    for i in (2, 5):
        y = F.relu(plain.norm(f"noise.{i + 1}", plain.conv(f"noise.{i}", y)))
    torch.testing.assert_close(network(x), x - plain.conv("noise.8", y))


def test_red_is_that_of_real_deconvolutions():
    network = randomised(RED(width=6))
    plain, x = Plain(network), picture(2, 1, 9, 12)

    def deconvolve(name, y):
        turned = plain.weights[f"{name}.weight"].flip(2, 3).transpose(0, 1)
        return F.conv_transpose2d(y, turned, plain.weights[f"{name}.bias"], padding=1)

    convolved = [x]
    for i in range(15):
        convolved.append(F.relu(plain.conv(f"encoder.{i}", convolved[-1])))
    y = convolved[15]
    partner = {1: 14, 3: 12, 5: 10, 7: 8, 9: 6, 11: 4, 13: 2}
    for i in range(1, 15):
        skip = convolved[partner[i]] if i in partner else 0
        y = F.relu(deconvolve(f"decoder.{i - 1}", y) + skip)
    torch.testing.assert_close(network(x), x + deconvolve("last", y))


def test_memnet_is_that_of_plain_functions():
    network = randomised(SMALL["MemNet"]())
    plain, x = Plain(network), picture(2, 1, 9, 12)

    def unit(norm, conv, y):
        return plain.conv(conv, F.relu(plain.norm(norm, y)))

    long = [unit("extract.0", "extract.2", x)]
    for m in range(3):
        name, short = f"blocks.{m}", [long[-1]]
        for r in range(2):
            inner = unit(f"{name}.norms1.{r}", f"{name}.conv1", short[-1])
            short.append(short[-1] + unit(f"{name}.norms2.{r}", f"{name}.conv2", inner))
        long.append(unit(f"{name}.gate.0", f"{name}.gate.2", torch.cat(short[1:] + long, dim=1)))
    outputs = [x + unit(f"norms.{m}", "reconstruct", long[m + 1]) for m in range(3)]
    torch.testing.assert_close(network.outputs(x), torch.stack(outputs))
    torch.testing.assert_close(network(x), sum(w * y for w, y in zip(network.weights, outputs)))


def test_memnet_begins_with_the_mean_of_its_outputs():
    network = MemNet(width=4).eval()
    x = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(network(x), network.outputs(x).mean(dim=0))


def test_memnet_learns_from_its_outputs_and_their_sum_alike():
    network = randomised(SMALL["MemNet"]())
    x = picture(2, 1, 8, 8)
    clean = x.flip(3)
    loss, estimate = network.training_loss(x, clean, lambda y: (y - clean).square().mean())
    torch.testing.assert_close(estimate, network(x))
    errors = [(y - clean).square().mean() for y in (*network.outputs(x), estimate)]
    torch.testing.assert_close(loss, torch.stack(errors).mean())


def non_local_by_loops(plain, name, x):
    theta, phi, g = (plain.conv(f"{name}{part}", x).detach().numpy() for part in ("theta", "phi", "g"))
    result = x.detach().numpy().copy()
    for b, i, j in np.ndindex(x.shape[0], *x.shape[2:]):
        total, weights = 0, 0
        for k, m in np.ndindex(*x.shape[2:]):
            weight = np.exp(theta[b, :, i, j] @ phi[b, :, k, m])
            total, weights = total + weight * g[b, :, k, m], weights + weight
        result[b, :, i, j] += total / weights
    return torch.from_numpy(result)


def test_the_non_local_step_is_that_of_loops():
    layer = randomised(NonLocal(6, 3))
    x = 3 * picture(2, 6, 5, 4)
    torch.testing.assert_close(layer(x), non_local_by_loops(Plain(layer), "", x))


def test_nlrn_is_that_of_plain_functions():
    network = randomised(SMALL["NLRN"]())
    plain, x = Plain(network), picture(2, 1, 6, 5)
    y = state = plain.conv("entry.1", plain.norm("entry.0", x))
    for t in range(2):
        inner = non_local_by_loops(plain, "non_local.", F.relu(plain.norm(f"norms.{t}.0", state)))
        inner = plain.conv("conv1", plain.norm(f"norms.{t}.1", inner))
        state = y + plain.conv("conv2", F.relu(plain.norm(f"norms.{t}.2", inner)))
    torch.testing.assert_close(network(x), x + plain.conv("exit.2", F.relu(plain.norm("exit.0", state))))


def test_nlrn_begins_without_attention():
    layer = NonLocal(6, 3)
    x = torch.rand(1, 6, 5, 4)
    torch.testing.assert_close(layer(x), x)


def test_nlrn_restores_pictures_in_tiles_of_43_averaged_where_they_overlap(monkeypatch):
    network = randomised(NLRN(width=2, steps=1, tile_step=20)).float()
    x = picture(2, 1, 50, 65).float()
    total, count = torch.zeros_like(x), torch.zeros_like(x)
    with torch.inference_mode():
        for top in (0, 7):
            for left in (0, 20, 22):
                place = (..., slice(top, top + 43), slice(left, left + 43))
                total[place] += network.restore_patch(x[place])
                count[place] += 1
        for chunk in (1, 5, 32):
            monkeypatch.setattr(tiles, "TILE_BATCH", chunk)
            torch.testing.assert_close(network(x), total / count)
        assert not torch.allclose(network.restore_patch(x), total / count, rtol=1e-4)


@pytest.mark.parametrize("size", ((42, 50), (43, 43)))
def test_nlrn_does_not_cut_what_is_no_larger_than_a_tile(size):
    network = randomised(SMALL["NLRN"]())
    x = picture(1, 1, *size)
    torch.testing.assert_close(network(x), network.restore_patch(x))


def test_nlrn_attends_over_whole_patches_in_training():
    network = SMALL["NLRN"]().train()
    x = torch.rand(2, 1, 44, 64)
    assert torch.equal(network(x), network.restore_patch(x))


def draws_by_loops(logits, k):
    """Rows of k weightings, each of the candidates that the earlier ones left."""
    rows = []
    for _ in range(k):
        weight = np.exp(logits - logits.max())
        rows.append(weight / weight.sum())
        logits = logits + np.log1p(-rows[-1])
    return np.array(rows)


def test_neighbours_are_drawn_as_in_the_paper():
    logits = 3 * torch.randn(2, 1, 4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = neighbour_weights(logits, 5)
    expected = np.stack([[draws_by_loops(row.numpy(), 5) for row in sample[0]] for sample in logits]).swapaxes(1, 2)
    torch.testing.assert_close(weights, torch.from_numpy(expected))
    torch.testing.assert_close(weights.sum(dim=3), torch.ones(2, 5, 4, dtype=torch.float64))


def test_when_cold_the_neighbours_are_the_nearest_one_after_the_other():
    logits = torch.tensor([-60.0, 0, -75, -30]).view(1, 1, 1, 4).requires_grad_()
    weights = neighbour_weights(logits, 3)
    torch.testing.assert_close(weights[0, :, 0], torch.eye(4)[[1, 3, 0]])
    (weights * torch.rand_like(weights)).sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("gap", (1.0, 15.0, 17.0, 100.0))
def test_gradients_of_the_draws_stay_finite_and_bounded(gap):
    logits = torch.tensor([0.0, -gap, -gap - 1]).view(1, 1, 1, 3).requires_grad_()
    weights = neighbour_weights(logits, 7)  # more than there are candidates
    assert weights.isfinite().all()
    (weights * torch.arange(3)).sum().backward()
    assert logits.grad.abs().max() < 20


def n3_by_loops(x, embedded, log_temperature, norm, k):
    """What the k neighbours of one picture (C, H, W) differ from it by, patch by patch: (k, C, H, W)."""
    height, width = x.shape[1:]
    short, narrow = (10 - height) % 5, (10 - width) % 5
    around = ((0, 0), (short // 2, short - short // 2), (narrow // 2, narrow - narrow // 2))
    x, embedded, log_temperature = (np.pad(array, around) for array in (x, embedded, log_temperature))
    rows, columns = ((side - 10) // 5 + 1 for side in x.shape[1:])

    def place(i, j):
        return (..., slice(5 * i, 5 * i + 10), slice(5 * j, 5 * j + 10))

    def window(i, length):
        first = max(0, min(i - 7, length - 15))
        return range(first, min(first + 15, length))

    total, count = np.zeros((k, *x.shape)), np.zeros(x.shape[1:])
    for query in np.ndindex(rows, columns):
        others = [(a, b) for a in window(query[0], rows) for b in window(query[1], columns) if (a, b) != query]
        distances = [((embedded[place(*query)] - embedded[place(*other)]) ** 2).sum() for other in others]
        logits = norm(-np.array(distances)) / (0.1 * np.exp(log_temperature[place(*query)].mean()))
        neighbours = np.stack([x[place(*other)] for other in others])
        total[place(*query)] += np.einsum("kn,nchw->kchw", draws_by_loops(logits, k), neighbours)
        count[place(*query)] += 1
    inside = (..., slice(around[1][0], around[1][0] + height), slice(around[2][0], around[2][0] + width))
    return (total / count - x)[inside]


@pytest.mark.parametrize("size", (
    (88, 24),  # 17 rows of patches, more than a window; padded on both sides, and on the right alone
    (20, 98),  # 19 columns
    (25, 30),
))
def test_an_n3_block_is_that_of_loops(size):
    block = randomised(N3Block(3, 5, k=4))
    with torch.no_grad():
        block.norm.running_mean.fill_(-30)  # about that of the distances, so that neither end takes all
        block.norm.running_var.fill_(400)
    plain, x = Plain(block), picture(2, 3, *size)

    def network(name, y):
        for i in range(2):
            y = F.relu(plain.norm(f"{name}.{i}.1", plain.conv(f"{name}.{i}.0", y)))
        return plain.conv(f"{name}.2", y).numpy()

    def norm(similarity):
        return plain.norm("norm", torch.from_numpy(similarity)).numpy().reshape(-1)

    expected = [n3_by_loops(*arrays, norm, 4) for arrays in
                zip(x.numpy(), network("embed", x), network("temperature", x))]
    with torch.inference_mode():
        y = block(x)
    torch.testing.assert_close(y[:, :3], x)
    torch.testing.assert_close(y[:, 3:], torch.from_numpy(np.stack(expected)).flatten(1, 2))


def test_an_n3_block_is_the_derivative_of_itself():
    block = randomised(N3Block(1, 2, k=2))
    torch.autograd.gradcheck(block, picture(1, 1, 15, 20).requires_grad_(), fast_mode=True)


def test_n3net_is_that_of_plain_functions_around_its_blocks():
    network = randomised(SMALL["N3Net"]())
    plain, x = Plain(network), picture(2, 1, 16, 21)

    def stage(i, y, common):
        name = f"layers.{i}.layers"
        inner = F.relu(plain.conv(f"{name}.0", y))
        for j in range(2, 6):
            inner = F.relu(plain.norm(f"{name}.{j}.1", plain.conv(f"{name}.{j}.0", inner)))
        result = plain.conv(f"{name}.6", inner)
        result[:, :common] += y[:, :common]
        return result

    first, second = network.layers[1], network.layers[3]
    with torch.inference_mode():
        y = second(stage(2, first(stage(0, x, common=1)), common=4))
        torch.testing.assert_close(network(x), stage(4, y, common=1))
