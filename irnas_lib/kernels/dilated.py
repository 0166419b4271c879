"""3x3 convolutions of any dilation that keep the picture's size, dense or depthwise, in several forms of one function.

A GPU's library has its fast kernels for ordinary convolutions. It may have none for a dilated one of 20 channels, or
for a depthwise one, and takes a slow kernel without a word. Each form computes the same by other kernels:

library      PyTorch's own convolution (a depthwise one of wide padding pads first on a CPU: ten times as fast)
interleaved  an ordinary convolution of dilation^2 smaller pictures, each of every dilation-th pixel
padded       channels of zeros complete a multiple of 16
taps         nine shifted copies of the input: one matrix product (dense), or nine products and their sum (depthwise)

Which is fastest depends on the card: `python -m irnas_lib.benchmarks.gpu_check` measures them and names the one for
FORMS.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

MULTIPLE = 16  # of channels, in the form "padded"
# oneDNN's fast depthwise kernel computes so many pixels at once, and takes no wider padding.
DEPTHWISE_PADDING = 6 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 4


class Forms(NamedTuple):
    """The form of the dense convolutions, and of the depthwise ones."""

    dense: str = "library"
    depthwise: str = "library"


FORMS = {"cpu": Forms(), "cuda": Forms()}  # by the kind of device


@contextlib.contextmanager
def using(device: str, forms: Forms) -> Iterator[None]:
    """Within it a kind of device computes by other forms. A recorded CUDA graph keeps the forms of its recording."""
    usual, FORMS[device] = FORMS[device], forms
    try:
        yield
    finally:
        FORMS[device] = usual


def convolve(input: Tensor, weight: Tensor, bias: Tensor | None = None, dilation: int = 2) -> Tensor:
    """`F.conv2d(input, weight, bias, padding=dilation, dilation=dilation, groups=C / C_in)` by the device's form.

    input: (B, C, H, W); weight: (C_out, C_in, 3, 3), where C_in is C (dense), or 1 and C_out is C (depthwise).
    """
    chosen = FORMS.get(input.device.type, Forms())
    form = chosen.dense if weight.shape[1] == input.shape[1] else chosen.depthwise
    return BY_NAME[form if dilation > 1 else "library"](input, weight, bias, dilation)


def library(input: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    groups, padding = input.shape[1] // weight.shape[1], dilation
    if input.device.type == "cpu" and groups > 1 and padding > DEPTHWISE_PADDING:
        input, padding = F.pad(input, (dilation,) * 4), 0
    return F.conv2d(input, weight, bias, padding=padding, dilation=dilation, groups=groups)


def interleaved(input: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    height, width = input.shape[-2:]
    even = F.pad(input, (0, -width % dilation, 0, -height % dilation)).permute(0, 2, 3, 1)
    rows, columns = (side // dilation for side in even.shape[1:3])
    grids = even.unflatten(2, (columns, dilation)).unflatten(1, (rows, dilation)).permute(0, 2, 4, 1, 3, 5)
    out = library(grids.flatten(0, 2).permute(0, 3, 1, 2), weight, bias, 1).permute(0, 2, 3, 1)
    out = out.unflatten(0, (-1, dilation, dilation)).permute(0, 3, 1, 4, 2, 5).flatten(3, 4).flatten(1, 2)
    return out.permute(0, 3, 1, 2)[..., :height, :width].contiguous(memory_format=torch.channels_last)


def padded(input: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    outputs, per_group = weight.shape[:2]
    more, more_inputs = -outputs % MULTIPLE, -input.shape[1] % MULTIPLE
    input = F.pad(input, (0, 0, 0, 0, 0, more_inputs))
    weight = F.pad(weight, (0, 0, 0, 0, 0, more_inputs if per_group > 1 else 0, 0, more))
    bias = None if bias is None else F.pad(bias, (0, more))
    return library(input, weight, bias, dilation)[:, :outputs].contiguous(memory_format=torch.channels_last)


def taps(input: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    (height, width), per_group = input.shape[-2:], weight.shape[1]
    if torch.is_autocast_enabled(input.device.type):  # which leaves products as they are
        dtype = torch.get_autocast_dtype(input.device.type)
        input, weight = input.to(dtype), weight.to(dtype)
    around = F.pad(input, (dilation,) * 4)
    shifted = [around[..., y:y + height, x:x + width]
               for y in range(0, 3 * dilation, dilation) for x in range(0, 3 * dilation, dilation)]
    if per_group > 1:
        return F.conv2d(torch.cat(shifted, dim=1), weight.permute(0, 2, 3, 1).flatten(1)[..., None, None], bias)
    out = sum(tap * factor.view(-1, 1, 1) for tap, factor in zip(shifted, weight.flatten(1).unbind(dim=1)))
    return out if bias is None else out + bias.to(out.dtype).view(-1, 1, 1)


BY_NAME = {form.__name__: form for form in (library, interleaved, padded, taps)}
