"""The deformable convolution on CUDA: samples by a Triton kernel, products by torch's matmul.

torchvision's CUDA operator dominates a training step, and its backward fails with weight groups. Here a program
takes one image, one offset group, one tap and BLOCK output pixels. It finds the four corners of each sample once,
then goes through the group's channels. Samples are laid out as (B, C, taps, pixels): neighbouring threads hold
neighbouring pixels, and the weight multiplies the samples as they lie.
"""

import os
import shutil
import sysconfig
from pathlib import Path

import torch
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable
from torch.nn.modules.utils import _pair

try:
    import triton
    import triton.language as tl
except ImportError:  # Triton is not made for every platform
    triton = tl = None

BLOCK = 128  # output pixels of a program, one for each thread of four warps

_jit = getattr(triton, "jit", lambda kernel: kernel)
constexpr = getattr(tl, "constexpr", None)


def missing() -> str:
    """What Triton lacks to start a kernel: itself, a C compiler or Python's headers; "" where it lacks nothing."""
    compilers = (os.environ.get("CC"), "gcc", "clang")
    if triton is None:
        return "Triton"
    if not any(shutil.which(name) for name in compilers if name):
        return "C compiler for Triton"
    return "" if Path(sysconfig.get_path("include"), "Python.h").is_file() else "Python.h for Triton"


def deform_conv_triton(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] = (0, 0),
    dilation: int | tuple[int, int] = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    """Modulated deformable convolution, `torchvision.ops.deform_conv2d`, for CUDA tensors of any strides.

    Shapes are those of `kernels.deform.deform_conv`; offset groups must divide the input's channels. All tensors
    are float32, or all float64; autocast makes them float32. The gradient of input is summed by atomic additions,
    so its last bits differ from run to run. Nothing waits for the GPU: after a first call, which compiles, a CUDA
    graph may capture it.

    Returns:
        (B, C_out, H', W'), contiguous.

    Raises:
        RuntimeError: Triton is missing.
        ValueError: shapes that do not fit each other.
    """
    if triton is None:
        raise RuntimeError("deform_conv_triton: Triton is not installed")
    geometry = (*_pair(stride), *_pair(padding), *_pair(dilation))
    sy, sx, py, px, dy, dx = geometry
    (batch, channels, height, width), (outputs, per_group, kh, kw) = input.shape, weight.shape
    sections, taps = offset.shape[1] // (2 * kh * kw), kh * kw
    size = (height + 2 * py - dy * (kh - 1) - 1) // sy + 1, (width + 2 * px - dx * (kw - 1) - 1) // sx + 1
    if mask is None:
        mask = offset.new_ones(batch, sections * taps, *size)
    if channels % per_group or outputs % (channels // per_group) or sections == 0 or channels % sections \
            or offset.shape != (batch, 2 * sections * taps, *size) or mask.shape != (batch, sections * taps, *size):
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (input, offset, weight, mask))
        raise ValueError(f"deform_conv_triton: input, offset, weight and mask do not fit: {shapes}")
    return _DeformConv.apply(input, offset, mask, weight, bias, geometry)


class _DeformConv(torch.autograd.Function):
    @staticmethod
    @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx, input, offset, mask, weight, bias, geometry):
        tensors = tuple(tensor.contiguous() for tensor in (input, offset, mask, weight))
        ctx.save_for_backward(*tensors)
        ctx.geometry = geometry
        matrices = _matrices(input, weight)
        samples = input.new_empty(len(input), len(matrices), matrices.shape[2], offset[0, 0].numel())
        _launch(tensors, geometry, samples)
        out = (matrices @ samples).view(len(input), len(weight), *offset.shape[2:])
        return out if bias is None else out.add_(bias.view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    @custom_bwd(device_type="cuda")
    def backward(ctx, grad):
        input, offset, mask, weight = ctx.saved_tensors
        need_input, _, _, need_weight, need_bias, _ = ctx.needs_input_grad
        matrices = _matrices(input, weight)
        grads = grad.reshape(len(grad), len(matrices), -1, offset[0, 0].numel())
        grad_input = torch.zeros_like(input) if need_input else None
        grad_offset, grad_mask = torch.empty_like(offset), torch.empty_like(mask)
        samples = matrices.mT @ grads  # their gradients; if need_weight, the kernel puts themselves in place
        _launch(ctx.saved_tensors, ctx.geometry, samples, grad_input, grad_offset, grad_mask, need_weight)
        grad_weight = (grads @ samples.mT).sum(0).view_as(weight) if need_weight else None
        grad_bias = grad.sum((0, 2, 3)) if need_bias else None
        return grad_input, grad_offset, grad_mask, grad_weight, grad_bias, None


def _matrices(input: Tensor, weight: Tensor) -> Tensor:
    """(groups, C_out / groups, C / groups * taps)"""
    return weight.reshape(input.shape[1] // weight.shape[1], -1, weight[0].numel())


def _launch(tensors, geometry, samples, grad_input=None, grad_offset=None, grad_mask=None, keep=True) -> None:
    """Writes the samples, (B, groups, C / groups * taps, pixels); with gradients to write, reads theirs first."""
    input, offset, mask, weight = tensors
    units, taps, pixels = mask.shape[1], weight[0, 0].numel(), samples.shape[-1]
    with torch.cuda.device_of(input):
        _sample[triton.cdiv(pixels, BLOCK), units, len(input)](
            samples, input, offset, mask, grad_input, grad_offset, grad_mask, *input.shape[2:], offset.shape[-1],
            pixels, weight.shape[-1], *geometry, KEEP=keep, TAPS=taps, CHANNELS=input.shape[1] * taps // units,
            BLOCK=BLOCK, num_warps=4)


@_jit
def _axis(position, size):
    """On one axis: the corner below, whether it and the next are in the picture, and the share of the next."""
    low = tl.floor(position)  # compared as a float: no integer holds the largest offsets
    share = tl.where((position <= -1) | (position >= size), 0.0, position - low)
    return low.to(tl.int32), (low >= 0) & (low < size), (low >= -1) & (low < size - 1), share


@_jit
def _sample(samples, input, offset, mask, grad_input, grad_offset, grad_mask, height, width, columns, pixels, kw,
            sy, sx, py, px, dy, dx, KEEP: constexpr, TAPS: constexpr, CHANNELS: constexpr, BLOCK: constexpr):
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = pixel < pixels
    tap = tl.program_id(1) % TAPS
    row = tl.program_id(2).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)  # image, offset group, tap
    first = row // TAPS * CHANNELS  # of the channels of all images

    offset += row * 2 * pixels + pixel
    y = pixel // columns * sy - py + tap // kw * dy + tl.load(offset, mask=live, other=0.0)
    x = pixel % columns * sx - px + tap % kw * dx + tl.load(offset + pixels, mask=live, other=0.0)
    factor = tl.load(mask + row * pixels + pixel, mask=live, other=0.0)
    y0, above, below, v = _axis(y, height)
    x0, left, right, u = _axis(x, width)
    above, below = above & live, below & live
    in0, in1, in2, in3 = above & left, above & right, below & left, below & right
    w0, w1, w2, w3 = (1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u

    place = first * height * width + y0 * width + x0
    samples += (first * TAPS + tap) * pixels + pixel
    d0, d1, d2, d3 = v * 0, v * 0, v * 0, v * 0  # sums over the channels of gradient times corner
    for _ in tl.range(0, CHANNELS, loop_unroll_factor=2):
        p0 = tl.load(input + place, mask=in0, other=0.0)
        p1 = tl.load(input + place + 1, mask=in1, other=0.0)
        p2 = tl.load(input + place + width, mask=in2, other=0.0)
        p3 = tl.load(input + place + width + 1, mask=in3, other=0.0)
        if grad_offset is not None:
            grad = tl.load(samples, mask=live, other=0.0)
            d0, d1, d2, d3 = d0 + grad * p0, d1 + grad * p1, d2 + grad * p2, d3 + grad * p3
            if grad_input is not None:  # without the corners that count nothing: three of four at a whole offset
                grad = grad * factor
                tl.atomic_add(grad_input + place, grad * w0, mask=in0 & (w0 != 0), sem="relaxed")
                tl.atomic_add(grad_input + place + 1, grad * w1, mask=in1 & (w1 != 0), sem="relaxed")
                tl.atomic_add(grad_input + place + width, grad * w2, mask=in2 & (w2 != 0), sem="relaxed")
                tl.atomic_add(grad_input + place + width + 1, grad * w3, mask=in3 & (w3 != 0), sem="relaxed")
        if KEEP:
            tl.store(samples, (w0 * p0 + w1 * p1 + w2 * p2 + w3 * p3) * factor, mask=live)
        place += height * width
        samples += TAPS * pixels

    if grad_offset is not None:
        upper, lower = (1 - u) * d0 + u * d1, (1 - u) * d2 + u * d3
        grad_offset += row * 2 * pixels + pixel
        tl.store(grad_offset, (lower - upper) * factor, mask=live)
        tl.store(grad_offset + pixels, ((1 - v) * (d1 - d0) + v * (d3 - d2)) * factor, mask=live)
        tl.store(grad_mask + row * pixels + pixel, (1 - v) * upper + v * lower, mask=live)
