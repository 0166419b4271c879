"""The deformable convolution that every network of the project uses (the "def" operation of Section 3.1).

torchvision's operator, faster: on CUDA by `deform_triton.py` where Triton is at hand, on a CPU by `deform_cpu.py`.
"""

import functools
import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair

from irnas_lib.kernels import deform_cpu as kernels
from irnas_lib.kernels.arrays import last, threads


def deform_conv(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] = (0, 0),
    dilation: int | tuple[int, int] = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    """Modulated deformable convolution: `torchvision.ops.deform_conv2d`, and any number of channels.

    Args:
        input: (B, C, H, W). Samples outside the picture are zero; between pixels they are bilinear.
        offset: (B, 2 * G * kh * kw, H', W') in pixels: group by group, tap by tap, first dy, then dx.
        weight: (C_out, C / groups, kh, kw); groups follows from the two channel counts.
        bias: (C_out,) or None.
        stride, padding, dilation: one number, or one for y and one for x.
        mask: (B, G * kh * kw, H', W'), the factor of each sample, or None for one.

    Offset groups need not divide the channels of a weight group: zero channels complete the last one, so that
    15 channels and two offset groups make 8 and 7. Mixed dtypes are cast to a common one, on a CPU float32 at
    least. On a CPU neither the result nor a gradient depends on the number of threads.

    Returns:
        (B, C_out, H', W') in the input's dtype; on a CPU in the channels_last memory format.

    Raises:
        ValueError: a shape that does not fit the others.
    """
    geometry = [*_pair(stride), *_pair(padding), *_pair(dilation)]
    groups, sections = _check(input, offset, weight, bias, geometry, mask)
    given, tensors = input.dtype, (input, offset, weight, bias, mask)
    dtype = functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors if tensor is not None))
    if input.device.type == "cpu" and dtype != torch.float64:
        dtype = torch.float32
    input, offset, weight = input.to(dtype), offset.to(dtype), weight.to(dtype)
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias.to(dtype)
    mask = None if mask is None else mask.to(dtype)

    if input.device.type == "cpu":
        if mask is None:
            mask = offset.new_ones(offset.shape[0], offset.shape[1] // 2, *offset.shape[2:])
        repeats = groups // math.gcd(groups, sections)
        if repeats > 1:  # an offset group that spans several weight groups is given to each of them
            taps = weight.shape[2] * weight.shape[3]
            offset = offset.unflatten(1, (sections, 2 * taps)).repeat_interleave(repeats, 1).flatten(1, 2)
            mask = mask.unflatten(1, (sections, taps)).repeat_interleave(repeats, 1).flatten(1, 2)
        return _deform_conv(input, offset, mask, weight, bias, geometry).to(given)
    missing = -weight.shape[1] % (sections // groups) if sections % groups == 0 else 0
    if missing:
        input = F.pad(input.unflatten(1, (groups, -1)), (0, 0, 0, 0, 0, missing)).flatten(1, 2)
        weight = F.pad(weight, (0, 0, 0, 0, 0, missing))
    stride, padding, dilation = geometry[:2], geometry[2:4], geometry[4:]
    return _gpu_operator()(input, offset, weight, bias, stride, padding, dilation, mask).to(given)


@functools.cache
def _gpu_operator() -> Callable:
    from irnas_lib.kernels import deform_triton

    if not (missing := deform_triton.missing()):
        return deform_triton.deform_conv_triton
    from torchvision.ops import deform_conv2d  # takes as long to import as torch

    warnings.warn(f"no {missing} here, so torchvision's slower deformable convolution is used", stacklevel=3)
    return deform_conv2d


def _check(input, offset, weight, bias, geometry, mask) -> tuple[int, int]:
    """The numbers of weight groups and of offset groups, if all shapes agree."""
    if input.ndim != 4 or weight.ndim != 4 or offset.ndim != 4:
        raise ValueError("deform_conv: input, offset and weight must have four dimensions")
    batch, channels, height, width = input.shape
    outputs, per_group, kh, kw = weight.shape
    if channels == 0 or per_group == 0 or channels % per_group or outputs % (channels // per_group):
        raise ValueError(f"deform_conv: weight {tuple(weight.shape)} does not fit {channels} input channels")
    groups, sections = channels // per_group, offset.shape[1] // (2 * kh * kw)
    sy, sx, py, px, dy, dx = geometry
    rows = (height + 2 * py - dy * (kh - 1) - 1) // sy + 1
    columns = (width + 2 * px - dx * (kw - 1) - 1) // sx + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"deform_conv: a {height}x{width} picture is smaller than the kernel")
    if sections == 0 or tuple(offset.shape) != (batch, 2 * sections * kh * kw, rows, columns):
        expected = f"({batch}, a multiple of {2 * kh * kw}, {rows}, {columns})"
        raise ValueError(f"deform_conv: offset {tuple(offset.shape)} must be {expected}")
    if sections % groups and channels % sections:
        raise ValueError(f"deform_conv: {sections} offset groups do not divide {channels} channels")
    if mask is not None and tuple(mask.shape) != (batch, sections * kh * kw, rows, columns):
        expected = (batch, sections * kh * kw, rows, columns)
        raise ValueError(f"deform_conv: mask {tuple(mask.shape)} must be {expected}")
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise ValueError(f"deform_conv: bias {tuple(bias.shape)} must be ({outputs},)")
    return groups, sections


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _empty_last(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """(B, channels, height, width), channels last."""
    return like.new_empty(len(like), height, width, channels).permute(0, 3, 1, 2)


def _split(weight: Tensor, groups: int, sections: int) -> tuple[Tensor, int]:
    """The weight as (sections, C_out / groups, pitch), and the number of channels of a section."""
    channels, taps, parts = weight.shape[1], weight.shape[2] * weight.shape[3], sections // groups
    size = -(-channels // parts)
    weight = F.pad(weight.flatten(2), (0, 0, 0, parts * size - channels)).view(groups, -1, parts, size, taps)
    weight = weight.permute(0, 2, 1, 4, 3).reshape(sections, -1, taps * size)
    last = taps * size + -size % kernels.LANES  # the last tap fills whole vectors
    return F.pad(weight, (0, last + -last % kernels.LANES - taps * size)), size


def _merge(weight: Tensor, size: int, shape: torch.Size, groups: int) -> Tensor:
    """The reverse of `_split`."""
    taps = shape[2] * shape[3]
    weight = weight[:, : shape[0] // groups, : taps * size].unflatten(2, (taps, size))
    weight = weight.unflatten(0, (groups, -1))
    return weight.permute(0, 2, 1, 4, 3).reshape(shape[0], -1, taps)[:, : shape[1]].reshape(shape).contiguous()


@torch.library.custom_op("irnas::deform_conv", mutates_args=(), device_types="cpu")
def _deform_conv(
    input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, geometry: list[int]
) -> Tensor:
    (batch, channels, height, width), taps = input.shape, weight.shape[2] * weight.shape[3]
    groups, sections = channels // weight.shape[1], mask.shape[1] // taps
    split, size = _split(weight, groups, sections)
    planes = input.new_empty(batch, sections, height + 2, width + 2, size + -size % kernels.LANES)
    out = _empty_last(input, len(weight), *mask.shape[2:])
    with threads():
        kernels.fill_planes(last(input, groups, -1), size, _array(planes))
        kernels.forward(
            _array(planes),
            last(offset, sections, taps, 2),
            last(mask, sections, taps),
            _array(F.pad(split.transpose(1, 2), (0, -split.shape[1] % kernels.LANES))),
            _array(bias.view(groups, -1)),
            (weight.shape[3], *geometry),
            size,
            last(out, groups, -1),
        )
    return out


@torch.library.custom_op("irnas::deform_conv_backward", mutates_args=(), device_types="cpu")
def _deform_conv_backward(
    grad: Tensor, input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, geometry: list[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    taps = weight.shape[2] * weight.shape[3]
    groups, sections = input.shape[1] // weight.shape[1], mask.shape[1] // taps
    split, size = _split(weight, groups, sections)
    grad_input, grad_offset, grad_mask = (_empty_last(t, *t.shape[1:]) for t in (input, offset, mask))
    padded = split.shape[1] + -split.shape[1] % kernels.ROWS
    grad_split = weight.new_zeros(len(input), sections, padded, split.shape[2])
    with threads():
        kernels.backward(
            last(input, groups, -1),
            last(offset, sections, taps, 2),
            last(mask, sections, taps),
            _array(split),
            last(grad, groups, -1),
            (weight.shape[3], *geometry),
            size,
            last(grad_input, groups, -1),
            last(grad_offset, sections, taps, 2),
            last(grad_mask, sections, taps),
            _array(grad_split),
        )
    return grad_input, grad_offset, grad_mask, _merge(grad_split.sum(0), size, weight.shape, groups)


@_deform_conv.register_fake
def _(input, offset, mask, weight, bias, geometry):
    return _empty_last(input, len(weight), *offset.shape[2:])


@_deform_conv_backward.register_fake
def _(grad, input, offset, mask, weight, geometry):
    return *(_empty_last(t, *t.shape[1:]) for t in (input, offset, mask)), weight.new_empty(weight.shape)


def _save(ctx, inputs, output):
    input, offset, mask, weight, _, ctx.geometry = inputs
    ctx.save_for_backward(input, offset, mask, weight)


def _gradients(ctx, grad):
    return (*_deform_conv_backward(grad, *ctx.saved_tensors, ctx.geometry), grad.sum((0, 2, 3)), None)


_deform_conv.register_autograd(_gradients, setup_context=_save)
