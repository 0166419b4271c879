"""DetailsNet, or DDN (Fu et al. 2017, "Removing rain from single images via a deep detail network")."""

import torch
from torch import nn
from torch.nn import functional as F

RADIUS, EPS = 15, 1.0  # of the guided filter, in pixels and squared intensities


def box_mean(x: torch.Tensor, radius: int) -> torch.Tensor:
    """Mean over the part of a (2 radius + 1)^2 window that lies inside the picture, (B, C, H, W) -> same shape."""
    side = 2 * radius + 1  # rows, then columns: the counts at the border factorise too
    for kernel, padding in (((side, 1), (radius, 0)), ((1, side), (0, radius))):
        x = F.avg_pool2d(x, kernel, stride=1, padding=padding, count_include_pad=False)
    return x


def guided_filter(x: torch.Tensor, radius: int = RADIUS, eps: float = EPS) -> torch.Tensor:
    """Self-guided filter (He et al. 2013) of every channel by itself, (B, C, H, W) -> same shape."""
    mean = box_mean(x, radius)
    variance = box_mean(x * x, radius) - mean * mean
    slope = variance / (variance + eps)
    return box_mean(slope, radius) * x + box_mean(mean - slope * mean, radius)


class DetailsNet(nn.Module):
    """26 convolutions of 3x3 with 16 channels, each with batch norm, a skip around every two; predicts minus the rain
    from the detail layer alone, the picture less its guided filter.

    The convolutions keep the biases that batch norm makes idle: they belong to the published 57,369 parameters.
    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 3, depth: int = 26, width: int = 16):
        super().__init__()
        self.first = conv_bn_relu(channels, width)
        self.pairs = nn.ModuleList(nn.Sequential(conv_bn_relu(width, width), conv_bn_relu(width, width))
                                   for _ in range((depth - 2) // 2))
        self.last = nn.Sequential(nn.Conv2d(width, channels, 3, padding=1), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x - guided_filter(x))
        for pair in self.pairs:
            y = y + pair(y)
        return x + self.last(y)


def conv_bn_relu(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())
