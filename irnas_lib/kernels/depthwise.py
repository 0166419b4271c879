"""A depthwise 3x3 convolution of any dilation that keeps the picture's size, on a CPU.

PyTorch's gradient of the weight takes ten times as long as the rest where the dilation is above 1, in bfloat16 twenty
times. Here only that gradient is a kernel of our own; the input's is a convolution again, with the weight turned.
"""

import torch
from numba import prange
from torch import Tensor

from irnas_lib.kernels.arrays import last, threads
from irnas_lib.kernels.dilated import FORMS, convolve, library
from irnas_lib.kernels.vectors import LANES, load, multiply_add, store
from irnas_lib.runtime import njit


def depthwise_conv(input: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """`F.conv2d(input, weight, padding=dilation, dilation=dilation, groups=channels)`, autocast included.

    input: (B, C, H, W); weight: (C, 1, 3, 3). Where the dilation is above 1 and the channels fill whole vectors, the
    weight's gradient is summed in float32 at least on a CPU, and does not depend on the number of threads.
    """
    if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        input, weight = input.to(dtype), weight.to(dtype)
    slow_in_pytorch = input.device.type == "cpu" and dilation > 1 and weight.requires_grad
    if slow_in_pytorch and len(weight) % LANES == 0 and FORMS["cpu"].depthwise == "library":
        return _Depthwise.apply(input, weight, dilation)
    return convolve(input, weight, dilation=dilation)


def _convolve(input: Tensor, weight: Tensor, dilation: int) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return library(input, weight, None, dilation)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, weight, dilation):
        ctx.save_for_backward(input, weight)
        ctx.dilation = dilation
        return _convolve(input, weight, dilation)

    @staticmethod
    def backward(ctx, grad):
        input, weight = ctx.saved_tensors
        grad_input = _convolve(grad, weight.flip(2, 3), ctx.dilation) if ctx.needs_input_grad[0] else None
        sums = weight.dtype if weight.dtype != torch.bfloat16 else torch.float32
        grad_taps = torch.zeros(len(input), 9, len(weight), dtype=sums)
        with threads():
            _weight_gradient(last(input), last(grad), ctx.dilation, grad_taps.numpy())
        return grad_input, grad_taps.sum(0).T.reshape(weight.shape).to(weight.dtype), None


@njit(parallel=True, nogil=True)
def _weight_gradient(x, grad, dilation, grad_taps):
    """x and grad (B, H, W, C); adds to grad_taps (B, 9, C), image by image."""
    batch, height, width, channels = x.shape
    side = dilation * channels
    for image in prange(batch):
        for y in range(height):
            start = (image * height + y) * width * channels
            for row in range(3):
                shift = (row - 1) * dilation
                if y + shift < 0 or y + shift >= height:
                    continue
                source, target = start + shift * width * channels, (image * 9 + 3 * row) * channels
                for c in range(0, channels, LANES):
                    before, here = load(grad_taps, target + c), load(grad_taps, target + channels + c)
                    after = load(grad_taps, target + 2 * channels + c)
                    for column in range(width):
                        at = column * channels + c
                        above = load(grad, start + at)
                        here = multiply_add(load(x, source + at), above, here)
                        if column >= dilation:
                            before = multiply_add(load(x, source + at - side), above, before)
                        if column + dilation < width:
                            after = multiply_add(load(x, source + at + side), above, after)
                    store(grad_taps, target + c, before)
                    store(grad_taps, target + channels + c, here)
                    store(grad_taps, target + 2 * channels + c, after)
