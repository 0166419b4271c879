"""The final network against a ledger of its layers, a closed form of its parameters, and plain functions."""

from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from irnas_lib import genotypes, operations
from irnas_lib.decode import all_paths
from irnas_lib.evaluation import systems
from irnas_lib.genotypes import DENOISING, DERAINING, Genotype, GenotypeError
from irnas_lib.network import RestorationNetwork, grey_weights
from irnas_lib.operations import Deformable

# path: registered parameters, executed ones, multiply-adds a pixel; W = 15, 3 channels
DERAINING_PATHS = {
    (0, 0, 0): (350_113, 315_553, 310_890), (0, 0, 1): (450_523, 415_963, 410_640),
    (0, 1, 0): (418_783, 384_223, 379_260), (0, 1, 1): (520_093, 485_533, 479_910),
    (0, 1, 2): (795_613, 761_053, 754_110), (1, 0, 0): (419_743, 385_183, 380_220),
    (1, 0, 1): (521_053, 486_493, 480_870), (1, 1, 0): (489_313, 454_753, 449_490),
    (1, 1, 1): (591_523, 591_523, 585_600), (1, 1, 2): (868_843, 868_843, 861_600),
    (1, 2, 1): (805_363, 805_363, 798_840), (1, 2, 2): (1_086_283, 1_086_283, 1_078_440),
}


def skeleton(*arguments, **options):
    """A network without memory behind its parameters: enough to count them."""
    with torch.device("meta"):
        return RestorationNetwork(*arguments, **options)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def closed_form(genotype, path, width, channels):
    """All registered parameters, added up from the description of the layers, batch norms with 2 a channel."""
    nodes, kinds = len(genotype), Counter(edge.operation for node in genotype for edge in node)
    narrow = nodes * width
    total = 64 * channels * 9 + 128 + 64 * 64 * 9 + 128     # stem
    total += 64 * narrow * 9                                # reduce, batch norm without scale and shift
    before, last = 64, 64
    for level in path:
        c = width * 2 ** level
        total += before * c + 2 * c + last * c + 2 * c      # the 1x1s
        total += (kinds["conv"] + kinds["dil"]) * (9 * c * c + 2 * c)
        total += kinds["sep"] * 2 * (9 * c + c * c + 2 * c)
        total += kinds["def"] * (9 * c * c + c + 54 * 9 * c + 54 + 2 * c)
        before, last = last, nodes * c
    total += 3 * (9 * last + 2 * last + 128 * last + 256) + 128 * last + 256 + 512 * 128 + 256  # ASPP
    total += narrow * 48 + 96                               # low level
    total += 9 * 176 + 2 * 176 + 176 * 128 + 256 + 9 * 128 + 256 + 128 * 128 + 256
    return total + 128 * channels + channels


@pytest.mark.parametrize(("genotype", "width", "channels", "parameters"), (
    (DENOISING, 20, 1, 661_693), (DENOISING, 10, 1, 357_323), (DENOISING, 15, 1, 497_608),
    (DENOISING, 20, 3, 663_103), (genotypes.DENOISING_R1, 20, 1, 759_525), (genotypes.DENOISING_R2, 20, 1, 661_693),
))
def test_the_denoising_network_has_the_parameters_of_the_paper(genotype, width, channels, parameters):
    network = skeleton(genotype, (0, 0, 0, 1), width, channels)
    assert count(network) == closed_form(genotype, (0, 0, 0, 1), width, channels) == parameters
    assert systems.parameter_count(network) == parameters


def test_only_one_denoising_path_prints_as_0_63_million():
    counts = {path: count(skeleton(DENOISING, path, 20, 1)) for path in all_paths(4)}
    assert counts == {path: closed_form(DENOISING, path, 20, 1) for path in counts}
    assert len(counts) == 29
    assert counts[0, 0, 0, 0] == min(counts.values()) == 498_013
    assert counts[1, 2, 2, 2] == max(counts.values()) == 2_291_313
    assert [counts[path] for path in ((0, 0, 1, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 1, 0))] == [
        609_193, 609_753, 610_473, 723_653]
    assert [path for path, total in counts.items()
            if "0.63" in (f"{total / 1e6:.2f}", f"{total / 2**20:.2f}")] == [(0, 0, 0, 1)]


def test_the_closed_form_holds_for_separable_convolutions_too():
    genotype = Genotype([[("sep", "p2"), ("sep", "p1")], [("sep", "n1"), ("def", "p1")]])
    assert count(skeleton(genotype, (1, 2, 1), 6, 3)) == closed_form(genotype, (1, 2, 1), 6, 3)


def run(network, side=16):
    """What a forward and backward pass touches: (kind, in, out, kernel, dilation, groups, bias) by layer, multiply-
    adds a pixel, and the number of parameters that receive a gradient."""
    layers, macs = [], 0

    def seen(module, inputs, output):
        nonlocal macs
        if isinstance(module, Deformable):
            channels = module.weight.shape[0]
            layers.append(("def", channels, channels, 3, 1, 1, True))
            macs += 9 * channels ** 2
            return
        assert output.shape[-2:] == inputs[0].shape[-2:] == (side, side) and module.stride == (1, 1)
        layers.append(("conv", module.in_channels, module.out_channels, module.kernel_size[0], module.dilation[0],
                       module.groups, module.bias is not None))
        macs += module.kernel_size[0] ** 2 * module.in_channels * module.out_channels // module.groups

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, Deformable)):
            module.register_forward_hook(seen)
    network(torch.rand(1, network.channels, side, side)).sum().backward()
    return layers, macs, sum(p.numel() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("path", DERAINING_PATHS)
def test_each_deraining_path_has_its_parameters_and_multiply_adds(path):
    network = RestorationNetwork(DERAINING, path, 15, 3)
    registered, executed, macs = DERAINING_PATHS[path]
    assert systems.macs_per_pixel(network, 3) == macs
    assert count(network) == closed_form(DERAINING, path, 15, 3) == registered
    assert run(network)[1:] == (macs, executed)


def test_there_are_no_other_deraining_paths():
    assert set(all_paths(3)) == set(DERAINING_PATHS)


def conv(inputs, outputs, kernel=1, dilation=1, groups=1, bias=False):
    return ("conv", inputs, outputs, kernel, dilation, groups, bias)


def denoising_cell(c, before, last):
    """The 12 layers of one cell in the ledger; a "def" is two of them."""
    deformable = [conv(c, 54, 3, bias=True), ("def", c, c, 3, 1, 1, True)]
    return [conv(before, c), conv(last, c), *[conv(c, c, 3)] * 2, *[conv(c, c, 3, dilation=2)] * 2, *deformable * 3]


def test_layer_by_layer_as_in_the_ledger():
    layers, macs, executed = run(RestorationNetwork(DENOISING, (0, 0, 0, 1), 20, 1))
    pyramid = [layer for r in (2, 4, 6) for layer in (conv(200, 200, 3, r, groups=200), conv(200, 128))]
    tail = [conv(100, 48), *pyramid, conv(200, 128), conv(512, 128), conv(176, 176, 3, groups=176), conv(176, 128),
            conv(128, 128, 3, groups=128), conv(128, 128), conv(128, 1, bias=True)]
    expected = [conv(1, 64, 3), conv(64, 64, 3), *denoising_cell(20, 64, 64), *denoising_cell(20, 64, 100),
                *denoising_cell(20, 100, 100), *denoising_cell(40, 100, 100), *tail]
    assert layers == expected
    assert len(layers) == 64
    assert (macs, executed) == (597_392, 604_093)


def test_batch_norms_are_affine_but_for_the_unused_one():
    network = skeleton(DENOISING, (0, 0, 0, 1), 20, 1)
    plain = [name for name, module in network.named_modules()
             if isinstance(module, nn.BatchNorm2d) and not module.affine]
    assert plain == ["reduce.1"]


def randomised(network, seed=0):
    """`network` in float64 and evaluation mode, every weight and statistic random."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double().eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(noise.abs() + 0.5 if name.endswith("running_var") else 0.2 * noise)
    return network


def by_functions(network, x):
    """The forward pass of the final network, from the state dict and torch's functions alone."""
    w = network.state_dict()

    def convolve(name, y, padding=0, dilation=1, groups=1):
        return F.conv2d(y, w[f"{name}.weight"], w.get(f"{name}.bias"), 1, padding, dilation, groups)

    def norm(name, y):
        return F.batch_norm(y, w[f"{name}.running_mean"], w[f"{name}.running_var"], w.get(f"{name}.weight"),
                            w.get(f"{name}.bias"))

    def operation(name, kind, y):
        r = F.relu(y)
        if kind == "skip":
            return y
        if kind in ("conv", "dil"):
            reach = 1 if kind == "conv" else 2
            return norm(f"{name}.2", convolve(f"{name}.1", r, reach, reach))
        if kind == "sep":
            for i in (0, 4):
                deep = convolve(f"{name}.{i + 1}", F.relu(y), 1, groups=y.shape[1])
                y = norm(f"{name}.{i + 3}", convolve(f"{name}.{i + 2}", deep))
            return y
        both = convolve(f"{name}.offsets", r, 1)
        y = deform_conv2d(r, both[:, :36], w[f"{name}.weight"], w[f"{name}.bias"], padding=1,
                          mask=both[:, 36:].sigmoid())
        return norm(f"{name}.norm", y)

    def deepened(name, y, reach):
        y = F.relu(norm(f"{name}.0.1", convolve(f"{name}.0.0", y, reach, reach, y.shape[1])))
        return F.relu(norm(f"{name}.2.0.1", convolve(f"{name}.2.0.0", y)))

    h = [F.relu(norm("stem.0.1", convolve("stem.0.0", x, 1)))]
    h.append(norm("stem2.1", convolve("stem2.0", h[0], 1)))
    for i in range(len(network.path)):
        s = {name: norm(f"cells.{i}.{name}.2", convolve(f"cells.{i}.{name}.1", F.relu(h[-back])))
             for name, back in (("p2", 2), ("p1", 1))}
        for j, node in enumerate(network.genotype):
            s[f"n{j + 1}"] = sum(operation(f"cells.{i}.edges.{2 * j + k}", kind, s[source])
                                 for k, (kind, source) in enumerate(node))
        h.append(torch.cat([s[f"n{j + 1}"] for j in range(len(network.genotype))], dim=1))

    top = F.relu(h[-1])
    at_zero = [i for i, level in enumerate(network.path) if level == 0]
    if not at_zero:
        e = norm("reduce.1", convolve("reduce.0", h[1], 1))
    elif at_zero[-1] == len(network.path) - 1:
        e = top
    else:
        e = h[2 + at_zero[-1]]
    branches = [deepened(f"aspp.branches.{k}", top, reach) for k, reach in enumerate((2, 4, 6))]
    branches.append(F.relu(norm("aspp.branches.3.0.1", convolve("aspp.branches.3.0.0", top))))
    fused = F.relu(norm("aspp.fuse.0.1", convolve("aspp.fuse.0.0", torch.cat(branches, dim=1))))
    low = F.relu(norm("low_level.0.1", convolve("low_level.0.0", e)))
    y = torch.cat([low, fused], dim=1)
    for name in ("decoder.0", "decoder.1"):
        y = deepened(name, y, 1)
    return convolve("decoder.2", y)


MIXED = Genotype([[("sep", "p2"), ("def", "p1")], [("dil", "n1"), ("skip", "p2")], [("conv", "n2"), ("sep", "n1")]])


@pytest.mark.parametrize(("genotype", "path"), (
    (DENOISING, (0, 0, 0, 1)),   # e: the third cell, not rectified
    (DENOISING, (0, 1, 0)),      # e: the last cell, rectified
    (DENOISING, (0, 1, 2)),      # e: the first cell
    (MIXED, (1, 2, 1)),          # e: reduce
    (MIXED, (1, 0, 1, 1)),
))
@pytest.mark.parametrize("residual", (False, True))
def test_output_is_that_of_plain_functions(genotype, path, residual):
    network = randomised(RestorationNetwork(genotype, path, 4, 3, global_residual=residual))
    x = torch.rand(2, 3, 12, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = by_functions(network, x) + (x if residual else 0)
        torch.testing.assert_close(network(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", ((1, 1), (1, 7), (5, 3), (33, 20)))
def test_any_size_of_picture_goes_through(size):
    network = RestorationNetwork(DENOISING, (0, 0, 0, 1), 4, 1).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, *size)).shape == (1, 1, *size)


def test_offsets_start_at_zero_and_masks_at_one_half():
    torch.manual_seed(0)
    layer = Deformable(6, affine=False).double().eval()
    x = torch.randn(1, 6, 9, 8, dtype=torch.float64)
    expected = F.conv2d(F.relu(x), layer.weight, padding=1) / 2
    torch.testing.assert_close(layer(x) * (1 + 1e-5) ** 0.5, expected)
    bound = 1 / (9 * 6) ** 0.5
    assert 0.9 * bound < layer.weight.abs().max() <= bound


@pytest.mark.parametrize("task", ("denoising", "deraining", "sim1800"))
@pytest.mark.parametrize("system", systems.IR_NAS)
def test_every_ir_nas_system_can_be_built(task, system):
    architecture = systems.published(task, system)
    with torch.device("meta"):
        network = systems.build(system, 1, architecture)
    assert network.global_residual == (system == "IR-NAS + residual")
    assert network.genotype == architecture.genotype


def test_dncnn_has_the_parameters_and_multiply_adds_of_its_paper():
    network = systems.build("DnCNN", 1)
    assert [systems.parameter_count(network), systems.macs_per_pixel(network, 1)] == [
        576 + 64 + 15 * (64 * 64 * 9 + 128) + 576 + 1, 576 + 15 * 64 * 64 * 9 + 576]


def test_bad_input_gets_one_clear_line():
    with pytest.raises(GenotypeError, match="path"):
        RestorationNetwork(DENOISING, (0, 2, 0), 20, 1)
    with pytest.raises(ValueError, match="unknown system 'UNet'"):
        systems.build("UNet", 1)


@pytest.mark.parametrize("channels", [10, 20, 32])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_bfloat16_gradients_are_near_those_of_float32(channels, layout):
    """For each operation; a CPU's own bfloat16 gradient of a dilated convolution is far off, or not finite."""
    torch.manual_seed(0)
    x = torch.randn(4, channels, 32, 32).contiguous(memory_format=layout)
    above = torch.randn(4, channels, 32, 32)
    for operation in ("conv", "sep", "dil", "def"):
        module = operations.build(operation, channels, affine=False).to(memory_format=layout)
        found = []
        for bf16 in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                y = module(x)
            found.append(torch.cat([g.flatten() for g in torch.autograd.grad((y.float() * above).sum(),
                                                                             [*module.parameters()])]))
        assert (found[1] - found[0]).norm() < 0.05 * found[0].norm(), operation


def test_a_deformable_kernel_starts_on_both_sides_of_zero():
    torch.manual_seed(0)
    weight = operations.Deformable(6, affine=False).weight
    bound = 1 / (9 * 6) ** 0.5
    assert -bound <= weight.min() < -0.9 * bound and 0.9 * bound < weight.max() <= bound


def test_grey_weights_give_the_mean_over_the_channels_of_the_colour_network():
    torch.manual_seed(0)
    colour = RestorationNetwork(DENOISING, (0, 1), 4, 3, global_residual=True).eval()
    grey = RestorationNetwork(DENOISING, (0, 1), 4, 1, global_residual=True).eval()
    grey.load_state_dict(grey_weights(colour))
    picture = torch.rand(2, 1, 9, 7)
    with torch.inference_mode():
        expected = colour(picture.expand(-1, 3, -1, -1)).mean(dim=1, keepdim=True)
        torch.testing.assert_close(grey(picture), expected, atol=1e-5, rtol=0)
