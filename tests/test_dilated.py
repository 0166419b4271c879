"""Every form of the dilated convolutions against PyTorch's in float64, and the switch between them."""

import copy

import pytest
import torch
from torch.nn import functional as F

from irnas_lib.evaluation import systems
from irnas_lib.kernels import dilated
from irnas_lib.losses import restoration_loss
from irnas_lib.supercell import Supercell

OTHERS = [name for name in dilated.BY_NAME if name != "library"]
KINDS = {"dense": (5, 7, 1), "depthwise": (6, 6, 6)}  # channels in and out, groups


def tensors(kind, height=9, width=13):
    random = torch.Generator().manual_seed(0)
    inputs, outputs, groups = KINDS[kind]
    return [torch.randn(*shape, generator=random, dtype=torch.float64, requires_grad=True)
            for shape in ((2, inputs, height, width), (outputs, inputs // groups, 3, 3), (outputs,))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dilation", [1, 2, 4, 6])
@pytest.mark.parametrize("form", dilated.BY_NAME)
def test_each_form_is_the_convolution_with_its_gradients(kind, form, dilation):
    given = tensors(kind)
    expected = F.conv2d(*given, padding=dilation, dilation=dilation, groups=KINDS[kind][2])
    above = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with dilated.using("cpu", dilated.Forms(form, form)):
        found = dilated.convolve(*given, dilation)
        unbiased = dilated.convolve(*given[:2], dilation=dilation)
    for a, b in zip((found, *torch.autograd.grad(found, given, above)),
                    (expected, *torch.autograd.grad(expected, given, above)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    torch.testing.assert_close(unbiased, expected - given[2].view(-1, 1, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", dilated.BY_NAME)
def test_autocast_is_that_of_the_convolution(kind, form):
    given = [tensor.detach().float() for tensor in tensors(kind)]
    with dilated.using("cpu", dilated.Forms(form, form)), torch.autocast("cpu", torch.bfloat16):
        found = dilated.convolve(*given, 2)
    expected = F.conv2d(*given, padding=2, dilation=2, groups=KINDS[kind][2])
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_the_switch_is_of_one_kind_and_one_device_and_only_for_a_while(monkeypatch):
    called = []
    monkeypatch.setitem(dilated.BY_NAME, "taps", lambda *arguments: called.append(arguments[1].shape[1]))
    with pytest.raises(RuntimeError), dilated.using("cpu", dilated.Forms("taps", "library")):
        for kind in KINDS:
            dilated.convolve(*tensors(kind), 2)
        raise RuntimeError
    assert called == [5]
    dilated.convolve(*tensors("dense"), 2)
    with dilated.using("cuda", dilated.Forms("taps", "taps")):
        dilated.convolve(*tensors("dense"), 2)
    assert called == [5]


@pytest.mark.parametrize("form", OTHERS)
def test_the_network_is_the_same_in_every_form(form, monkeypatch):
    """Its estimate in evaluation and the gradients of a step; every dilated convolution goes by the switch."""
    torch.manual_seed(0)
    network = systems.build("IR-NAS", 1, systems.published("denoising")._replace(width=4)).double()
    degraded, clean = torch.rand(2, 2, 1, 16, 18, dtype=torch.float64)
    kinds, usual = set(), dilated.BY_NAME[form]

    def noted(input, weight, bias, dilation):
        kinds.add((weight.shape[1] == 1, dilation))
        return usual(input, weight, bias, dilation)
    monkeypatch.setitem(dilated.BY_NAME, form, noted)

    def computed():
        taken = copy.deepcopy(network)
        with torch.no_grad():
            estimate = taken.eval()(degraded)
        restoration_loss(taken.train()(degraded), clean).backward()
        return [estimate, *(p.grad for p in taken.parameters() if p.grad is not None)]
    expected = computed()
    with dilated.using("cpu", dilated.Forms(form, form)):
        found = computed()
    assert kinds == {(False, 2), (True, 2), (True, 4), (True, 6)}
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("form", OTHERS)
def test_a_cell_of_the_search_is_the_same_in_every_form(form):
    torch.manual_seed(0)
    cell = Supercell(2, 4).double()
    p2, p1, alpha = (torch.rand(shape, dtype=torch.float64) for shape in ((1, 4, 9, 8), (1, 4, 9, 8), (5, 6)))
    expected = cell(p2, p1, alpha)
    with dilated.using("cpu", dilated.Forms(form)):
        torch.testing.assert_close(cell(p2, p1, alpha), expected, rtol=1e-10, atol=1e-10)
