"""SCAN and RESCAN (Li et al. 2018, "Recurrent squeeze-and-excitation context aggregation net")."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

DILATIONS = (1, 1, 2, 4, 8)  # of the five units' input convolutions
SQUEEZED = 6  # channels in the middle of a squeeze-and-excitation block
SLOPE = 0.2  # of the leaky ReLU


class SqueezeExcitation(nn.Module):
    """Scales every channel by a number in (0, 1) that the means of all channels decide, (B, C, H, W) -> same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale = nn.Sequential(nn.Linear(channels, SQUEEZED), nn.ReLU(),
                                   nn.Linear(SQUEEZED, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale(x.mean(dim=(2, 3)))[..., None, None]


def conv_unit(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """Convolution, squeeze-and-excitation, leaky ReLU: the unit of SCAN and the start of both decoders."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation),
                         SqueezeExcitation(outputs), nn.LeakyReLU(SLOPE))


def decoder(width: int, channels: int) -> nn.Sequential:
    """From the last unit's features to the rain layer."""
    return nn.Sequential(conv_unit(width, width), nn.Conv2d(width, channels, 1))


class SCAN(nn.Module):
    """One stage of RESCAN with plain convolutions for units: 28,695 parameters; predicts the rain.

    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 3, width: int = 24):
        super().__init__()
        inputs = (channels, *[width] * (len(DILATIONS) - 1))
        self.units = nn.Sequential(*(conv_unit(n, width, dilation) for n, dilation in zip(inputs, DILATIONS)))
        self.decoder = decoder(width, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.decoder(self.units(x))


class ConvGRU(nn.Module):
    """Convolutional gated recurrent unit: dilated convolutions of the input, undilated ones of the state.

    forward(x, state): (B, inputs, H, W) and the unit's last output, (B, width, H, W), or None in the first stage
    -> the new output, which is the new state too, after squeeze-and-excitation and leaky ReLU.
    """

    def __init__(self, inputs: int, width: int, dilation: int):
        super().__init__()
        self.input = nn.Conv2d(inputs, 3 * width, 3, padding=dilation, dilation=dilation)  # update, reset, candidate
        self.gates = nn.Conv2d(width, 2 * width, 3, padding=1)  # update, reset
        self.candidate = nn.Conv2d(width, width, 3, padding=1)
        self.excitation = SqueezeExcitation(width)

    def forward(self, x: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        update, reset, candidate = self.input(x).chunk(3, dim=1)
        if state is None:
            state = update.sigmoid() * candidate.tanh()
        else:
            update_by_state, reset_by_state = self.gates(state).chunk(2, dim=1)
            update, reset = (update + update_by_state).sigmoid(), (reset + reset_by_state).sigmoid()
            candidate = (candidate + self.candidate(reset * state)).tanh()
            state = (1 - update) * state + update * candidate
        return F.leaky_relu(self.excitation(state), SLOPE)


class RESCAN(nn.Module):
    """Four stages of five convolutional GRUs of 24 channels and a decoder, all with one set of weights: 149,823.

    Each stage sees the last one's estimate and the units' states, and predicts the whole rain of the input (the
    paper's "full" variant). As in the paper, all stages' errors count in training.
    forward: (B, channels, H, W) in [0, 1] -> the last stage's clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 3, width: int = 24, stages: int = 4):
        super().__init__()
        self.stages = stages
        inputs = (channels, *[width] * (len(DILATIONS) - 1))
        self.units = nn.ModuleList(ConvGRU(n, width, dilation) for n, dilation in zip(inputs, DILATIONS))
        self.decoder = decoder(width, channels)

    def stage_estimates(self, rainy: torch.Tensor) -> list[torch.Tensor]:
        """The clean estimate of every stage, first to last, each in the shape of `rainy`."""
        estimates, states = [], [None] * len(self.units)
        for _ in range(self.stages):
            y = estimates[-1] if estimates else rainy
            for i, unit in enumerate(self.units):
                y = states[i] = unit(y, states[i])
            estimates.append(rainy - self.decoder(y))
        return estimates

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stage_estimates(x)[-1]

    def training_loss(self, rainy: torch.Tensor, clean: torch.Tensor,
                      error: Callable) -> tuple[torch.Tensor, torch.Tensor]:
        """See `loop.Objective`."""
        estimates = self.stage_estimates(rainy)
        return sum(map(error, estimates)) / self.stages, estimates[-1]
