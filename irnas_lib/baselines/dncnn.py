"""DnCNN-S (Zhang et al. 2017, "Beyond a Gaussian denoiser"): the yardstick of the denoising tables."""

import torch
from torch import nn


class DnCNN(nn.Module):
    """17 convolutions of 3x3 with 64 channels, batch norm on the middle 15; predicts the noise.

    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 1, depth: int = 17, width: int = 64):
        super().__init__()
        middle = [layer for _ in range(depth - 2)
                  for layer in (nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())]
        self.noise = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), *middle,
                                   nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.noise(x)
