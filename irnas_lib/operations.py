"""The six operations of section 3.1, each with C channels in and out at the same height and width.

Every convolution starts with a ReLU and ends with a batch norm. `affine` gives the batch norms a learned scale
and shift: not in the search, where alpha scales them, but in the final network.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from irnas_lib.kernels.deform import deform_conv
from irnas_lib.kernels.depthwise import depthwise_conv
from irnas_lib.kernels.dilated import convolve
from irnas_lib.search_space import OPERATIONS

OFFSET_GROUPS = 2
OFFSETS, MASKS = OFFSET_GROUPS * 18, OFFSET_GROUPS * 9  # (dy, dx) and one mask for each of 9 taps, per group


def dilated_conv(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """The 3x3 convolution of dilation 2, padded by 2; on a CPU computed in the weight's precision, whatever autocast
    says, and returned in the input's.

    In bfloat16 a CPU's gradient of its weight is wrong, often not even finite, where it lies channels last and has a
    number of channels that is no multiple of 16 (torch 2.14.1).
    """
    if x.device.type != "cpu":
        return convolve(x, weight, bias)
    with torch.autocast("cpu", enabled=False):
        return convolve(x.to(weight.dtype), weight, bias).to(x.dtype)


class Dilated(nn.Conv2d):
    """`dilated_conv` as a module, without bias."""

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=2, dilation=2, bias=False)

    def _conv_forward(self, input, weight, bias):
        return dilated_conv(input, weight, bias)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution; on a CPU a matrix product over the pixels, for which PyTorch has the faster code."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__(inputs, outputs, 1, bias=bias)

    def _conv_forward(self, input, weight, bias):
        if input.device.type != "cpu":
            return super()._conv_forward(input, weight, bias)
        return F.linear(input.permute(0, 2, 3, 1), weight[..., 0, 0], bias).permute(0, 3, 1, 2)


class Depthwise(nn.Conv2d):
    """A depthwise 3x3 convolution; it has a bias only where `inference.folded` gives it one."""

    def __init__(self, channels: int, dilation: int = 1):
        super().__init__(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False)

    def _conv_forward(self, input, weight, bias):
        if bias is not None:
            return convolve(input, weight, bias, self.dilation[0])
        return depthwise_conv(input, weight, self.dilation[0])


def conv_unit(inputs: int, outputs: int, kernel: int, affine: bool) -> nn.Sequential:
    """ReLU, convolution without bias, batch norm; the picture keeps its size."""
    convolution = (Pointwise(inputs, outputs) if kernel == 1 else
                   nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False))
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(outputs, affine=affine))


def separable(channels: int, affine: bool) -> nn.Sequential:
    """Twice: ReLU, depthwise 3x3, 1x1, batch norm."""
    def unit():
        return [nn.ReLU(), Depthwise(channels), Pointwise(channels, channels), nn.BatchNorm2d(channels, affine=affine)]
    return nn.Sequential(*unit(), *unit())


class Deformable(nn.Module):
    """ReLU, modulated deformable 3x3 convolution (DCNv2) with two offset groups, batch norm.

    An ordinary 3x3 convolution predicts where each tap samples and how much it counts. It starts at zero: no
    offset, every mask at one half.
    """

    def __init__(self, channels: int, affine: bool):
        super().__init__()
        self.offsets = nn.Conv2d(channels, OFFSETS + MASKS, 3, padding=1)
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = nn.BatchNorm2d(channels, affine=affine)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)
        nn.init.uniform_(self.weight, -1 / math.sqrt(9 * channels), 1 / math.sqrt(9 * channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(x)
        offsets, masks = self.offsets(x).split((OFFSETS, MASKS), dim=1)
        return self.norm(deform_conv(x, offsets, self.weight, self.bias, padding=1, mask=masks.sigmoid()))


class Zero(nn.Module):
    """No connection."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0


def build(operation: str, channels: int, affine: bool) -> nn.Module:
    """The module of one of OPERATIONS: (B, C, H, W) -> (B, C, H, W). Unknown names raise ValueError."""
    if operation not in OPERATIONS:
        raise ValueError(f"unknown operation {operation!r} (known: {', '.join(OPERATIONS)})")
    return {"conv": lambda: conv_unit(channels, channels, 3, affine),
            "sep": lambda: separable(channels, affine),
            "dil": lambda: nn.Sequential(nn.ReLU(), Dilated(channels), nn.BatchNorm2d(channels, affine=affine)),
            "def": lambda: Deformable(channels, affine),
            "skip": nn.Identity,
            "none": Zero}[operation]()
