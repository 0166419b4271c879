"""The trained de-raining systems against published counts, scipy, and plain functions of their weights."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch.nn import functional as F

from irnas_lib.baselines import detailsnet, jorder
from irnas_lib.baselines.detailsnet import DetailsNet
from irnas_lib.baselines.jorder import JORDER, JORDER_R
from irnas_lib.baselines.rescan import RESCAN, SCAN
from irnas_lib.evaluation import systems

NETWORKS = (DetailsNet, SCAN, RESCAN, JORDER, JORDER_R)


def randomised(network, seed=0):
    """`network` in float64 and evaluation mode, every weight and statistic random."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double().eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                scale = 1 / tensor[0].numel() ** 0.5 if tensor.dim() > 1 else 0.3
                tensor.copy_(noise.abs() + 0.5 if name.endswith("running_var") else scale * noise)
    return network


def picture(*shape, seed=1):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Functions:
    """Layers by their names in a state dict, as plain functions."""

    def __init__(self, network):
        self.w = network.state_dict()

    def conv(self, name, x, dilation=1, part=slice(None)):
        """A "same" convolution with the output channels `part`, as a sum over shifted copies of the input."""
        weight, bias = self.w[f"{name}.weight"][part], self.w[f"{name}.bias"][part]
        (height, width), reach = x.shape[-2:], dilation * (weight.shape[-1] // 2)
        padded = F.pad(x, [reach] * 4)
        return bias[:, None, None] + sum(
            torch.einsum("oi,bihw->bohw", weight[:, :, i, j],
                         padded[..., i * dilation:i * dilation + height, j * dilation:j * dilation + width])
            for i in range(weight.shape[-2]) for j in range(weight.shape[-1]))

    def norm(self, name, x):
        mean, var, scale, shift = (self.w[f"{name}.{key}"][:, None, None]
                                   for key in ("running_mean", "running_var", "weight", "bias"))
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def excite(self, name, x):
        """Squeeze-and-excitation, then leaky ReLU."""
        squeezed = F.relu(self.linear(f"{name}.scale.0", x.flatten(2).mean(dim=2)))
        y = torch.einsum("bchw,bc->bchw", x, torch.sigmoid(self.linear(f"{name}.scale.2", squeezed)))
        return torch.where(y > 0, y, 0.2 * y)

    def decode(self, x):
        return self.conv("decoder.1", self.excite("decoder.0.1", self.conv("decoder.0.0", x)))


def by_scipy(x, radius=15, eps=1):
    """The self-guided filter of one channel, (H, W) float64, with window sums from scipy."""
    def mean(y):
        sums = (uniform_filter(z, 2 * radius + 1, mode="constant") for z in (y, np.ones_like(y)))
        return next(sums) / next(sums)
    variance = mean(x ** 2) - mean(x) ** 2
    a = variance / (variance + eps)
    return mean(a) * x + mean((1 - a) * mean(x))


@pytest.mark.parametrize("size", ((50, 41), (9, 33), (1, 1)))
@pytest.mark.parametrize(("radius", "eps"), ((15, 1), (3, 0.01)))
def test_guided_filter_is_that_of_window_sums(size, radius, eps):
    x = picture(2, 3, *size)
    expected = torch.stack([torch.from_numpy(by_scipy(c.numpy(), radius, eps)) for c in x.flatten(0, 1)]).view_as(x)
    torch.testing.assert_close(detailsnet.guided_filter(x, radius, eps), expected, rtol=0, atol=1e-12)


def details_by_functions(network, x):
    f = Functions(network)

    def unit(name, y):
        return F.relu(f.norm(f"{name}.1", f.conv(f"{name}.0", y)))

    base = np.stack([[by_scipy(channel) for channel in picture] for picture in x.numpy()])
    y = unit("first", x - torch.from_numpy(base))
    for i in range(12):
        y = unit(f"pairs.{i}.1", unit(f"pairs.{i}.0", y)) + y
    return f.norm("last.1", f.conv("last.0", y)) + x


def scan_by_functions(network, x):
    f, y = Functions(network), x
    for i, dilation in enumerate((1, 1, 2, 4, 8)):
        y = f.excite(f"units.{i}.1", f.conv(f"units.{i}.0", y, dilation))
    return x - f.decode(y)


def rescan_by_functions(network, x):
    """All four stages' estimates; the channels of the fused convolutions are update, reset, candidate."""
    f, estimate, estimates, states = Functions(network), x, [], {}
    width = 24
    parts = [slice(k * width, (k + 1) * width) for k in range(3)]
    for _ in range(4):
        y = estimate
        for i, dilation in enumerate((1, 1, 2, 4, 8)):
            z, r, n = (f.conv(f"units.{i}.input", y, dilation, part) for part in parts)
            if i in states:
                h = states[i]
                z = torch.sigmoid(z + f.conv(f"units.{i}.gates", h, part=parts[0]))
                r = torch.sigmoid(r + f.conv(f"units.{i}.gates", h, part=parts[1]))
                n = torch.tanh(n + f.conv(f"units.{i}.candidate", r * h))
                h = h + z * (n - h)
            else:
                h = torch.sigmoid(z) * torch.tanh(n)
            y = states[i] = f.excite(f"units.{i}.excitation", h)
        estimate = x - f.decode(y)
        estimates.append(estimate)
    return estimates


def jorder_by_functions(network, x, passes):
    """Background, streaks and mask of the last pass."""
    f = Functions(network)

    def two(name, y, dilation=1):
        return f.conv(f"{name}.2", F.relu(f.conv(f"{name}.0", y, dilation)), dilation)

    for _ in range(passes):
        y = F.relu(f.conv("features.0", x))
        for _ in range(3):
            y = F.relu(y + two("context.paths.0", y, 1) + two("context.paths.1", y, 2) + two("context.paths.2", y, 3))
        no, yes = two("mask", y).exp().split(1, dim=1)
        mask = yes / (no + yes)
        streaks = two("streaks", torch.cat((y, mask), dim=1))
        x = x - two("residual", torch.cat((y, mask, streaks, x - mask * streaks), dim=1))
    return x, streaks, mask


@pytest.mark.parametrize(("network", "by_functions"), (
    (DetailsNet, details_by_functions), (SCAN, scan_by_functions),
    (RESCAN, lambda network, x: rescan_by_functions(network, x)[-1]),
    (JORDER, lambda network, x: jorder_by_functions(network, x, 1)[0]),
    (JORDER_R, lambda network, x: jorder_by_functions(network, x, 2)[0]),
))
def test_output_is_that_of_plain_functions(network, by_functions):
    network, x = randomised(network()), picture(2, 3, 19, 22)
    with torch.no_grad():
        expected = by_functions(network, x)
        assert (expected - x).abs().mean() > 0.01
        torch.testing.assert_close(network(x), expected, rtol=1e-9, atol=1e-9)


def test_rescan_gives_every_stages_estimate():
    network, x = randomised(RESCAN()), picture(1, 3, 11, 10)
    with torch.no_grad():
        for found, expected in zip(network.stage_estimates(x), rescan_by_functions(network, x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_jorder_gives_the_mask_and_the_streaks_of_every_pass():
    network, x = randomised(JORDER_R()), picture(1, 3, 11, 10)
    with torch.no_grad():
        for passes, found in enumerate(network.predictions(x), 1):
            for layer, expected in zip(found, jorder_by_functions(network, x, passes), strict=True):
                torch.testing.assert_close(layer, expected, rtol=1e-9, atol=1e-9)
    assert passes == 2
    assert 0 < found.mask.min() < found.mask.max() < 1


def test_jorder_r_is_jorder_on_its_own_estimate():
    once, twice = JORDER().eval(), JORDER_R().eval()
    twice.load_state_dict(once.state_dict())
    x = torch.rand(1, 3, 12, 9)
    with torch.no_grad():
        torch.testing.assert_close(twice(x), once(once(x)))


def test_the_dilated_paths_see_windows_of_5_9_and_13_pixels():
    for path, side in zip(randomised(jorder.ContextualizedDilatedBlock(4)).paths, (5, 9, 13)):
        x = picture(1, 4, 21, 21).requires_grad_()
        path(x)[0, :, 10, 10].sum().backward()
        rows, columns = x.grad[0].abs().sum(dim=0).nonzero().unbind(dim=1)
        for seen in (rows, columns):
            assert (seen.min(), seen.max()) == (10 - side // 2, 10 + side // 2)


def test_the_streak_mask_marks_what_became_brighter():
    clean = torch.full((2, 3, 2, 2), 0.25)
    rainy = clean.clone()
    rainy[0, :, 0, 1] += 0.2    # a streak
    rainy[0, 0, 1, 0] += 0.2    # one channel of three: 0.07 on average
    rainy[1, :, 1, 1] -= 0.2    # darker
    assert jorder.streak_mask(rainy, clean).tolist() == [[[[0, 1], [0, 0]]], [[[0, 0], [0, 0]]]]
    assert jorder.streak_mask(rainy, clean, threshold=0.05).tolist() == [[[[0, 1], [1, 0]]], [[[0, 0], [0, 0]]]]


# JORDER's are our own sizes, so this is no published count, only the sum of the layers named in its module.
JORDER_CONVOLUTIONS = ([(3, 64)], [(64, 64)] * 6,
                       [(64, 64), (64, 2), (65, 64), (64, 3), (71, 64), (64, 3)])  # input, block, predictions
RESCAN_FIRST = 9 * 24 * 3 * (3 + 4 * 24) + 9 * 24 * 24 + 24 * 3         # every unit's three input convolutions, decoder
RESCAN_LATER = RESCAN_FIRST + 5 * 9 * 24 * 24 * 3                       # the states' convolutions too


@pytest.mark.parametrize(("network", "parameters", "macs"), (
    (DetailsNet, 57_369, 9 * 16 * (3 + 24 * 16 + 3)),
    (SCAN, 28_695, 9 * 24 * (3 + 4 * 24) + 9 * 24 * 24 + 24 * 3),
    (RESCAN, 149_823, RESCAN_FIRST + 3 * RESCAN_LATER),
    *((network, sum(9 * i * o + o for part in JORDER_CONVOLUTIONS for i, o in part),
       passes * sum(9 * i * o * runs for part, runs in zip(JORDER_CONVOLUTIONS, (1, 3, 1)) for i, o in part))
      for network, passes in ((JORDER, 1), (JORDER_R, 2))),
))
def test_parameters_and_multiply_adds(network, parameters, macs):
    assert systems.parameter_count(network()) == parameters
    assert systems.macs_per_pixel(network(), 3) == macs


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", ((1, 1), (1, 7), (33, 20)))
def test_any_size_of_picture_goes_through(network, size):
    with torch.inference_mode():
        assert network().eval()(torch.rand(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("network", NETWORKS)
def test_grey_pictures_go_through_too(network):
    with torch.inference_mode():
        assert network(1).eval()(torch.rand(2, 1, 8, 9)).shape == (2, 1, 8, 9)


@pytest.mark.parametrize("network", NETWORKS)
def test_pictures_of_a_batch_do_not_see_each_other(network):
    network, x = randomised(network()), picture(3, 3, 12, 10)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), torch.cat(list(map(network, x.split(1)))), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_reaches_every_parameter_but_biases_before_a_batch_norm(network):
    network = randomised(network()).train()
    (network(picture(2, 3, 16, 14)) - picture(2, 3, 16, 14, seed=2)).square().mean().backward()
    normed = {name for name, _ in network.named_parameters()
              if name.startswith(("first", "pairs", "last")) and name.endswith("0.bias")}
    idle = {name for name, parameter in network.named_parameters() if parameter.grad.abs().max() < 1e-12}
    assert idle == normed
    assert len(idle) == (26 if isinstance(network, DetailsNet) else 0)


def test_rescan_learns_from_all_its_stages_alike():
    network = randomised(RESCAN())
    x, clean = picture(2, 3, 9, 8), picture(2, 3, 9, 8, seed=2)
    loss, estimate = network.training_loss(x, clean, lambda y: (y - clean).square().mean())
    torch.testing.assert_close(estimate, network(x))
    errors = [(y - clean).square().mean() for y in network.stage_estimates(x)]
    torch.testing.assert_close(loss, torch.stack(errors).mean())


@pytest.mark.parametrize("network", (JORDER, JORDER_R))
def test_jorder_learns_from_background_streaks_and_mask_of_every_pass(network):
    network = randomised(network())
    clean, x = picture(2, 3, 9, 8), picture(2, 3, 9, 8, seed=2)
    loss, estimate = network.training_loss(x, clean, lambda y: (y - clean).abs().mean())
    torch.testing.assert_close(estimate, network(x))
    left, expected = x, 0
    for background, streaks, mask in network.predictions(x):
        rain = (left - clean).detach()
        there = rain.mean(dim=1, keepdim=True) > 0.1
        expected += (background - clean).abs().mean() + (mask * streaks - rain * there).square().mean()
        expected -= 0.01 * torch.where(there, mask, 1 - mask).log().mean()
        left = background
    torch.testing.assert_close(loss, expected / network.passes)
    assert there.any() and not there.all()
