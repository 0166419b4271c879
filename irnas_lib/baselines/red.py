"""RED30 (Mao et al. 2016, "Image restoration using very deep convolutional encoder-decoder networks")."""

import torch
from torch import nn
from torch.nn import functional as F

DEPTH = 15  # convolutions, and as many deconvolutions


class RED(nn.Module):
    """15 convolutions and 15 deconvolutions of 3x3, with symmetric skips; predicts what the clean picture differs by.

    A deconvolution of stride 1 is a convolution with the kernel turned by 180 degrees, so all are nn.Conv2d. The
    authors trained 64 channels and 128.
    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 1, width: int = 64):
        super().__init__()
        widths = [channels, *[width] * (2 * DEPTH - 1), channels]
        convolutions = [nn.Conv2d(*pair, 3, padding=1) for pair in zip(widths, widths[1:])]
        self.encoder, self.decoder = nn.ModuleList(convolutions[:DEPTH]), nn.ModuleList(convolutions[DEPTH:-1])
        self.last = convolutions[-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, skips = x, []
        for i, convolution in enumerate(self.encoder, 1):
            y = F.relu(convolution(y))
            if i % 2 == 0:
                skips.append(y)
        for i, deconvolution in enumerate(self.decoder, 1):
            y = deconvolution(y)
            if i % 2:
                y = y + skips.pop()  # deconvolution 1 gets convolution 14, 3 gets 12, ..., 13 gets 2
            y = F.relu(y)
        return x + self.last(y)
