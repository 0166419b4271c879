"""JORDER and JORDER-R (Yang et al. 2017, "Deep joint rain detection and removal from a single image").

The paper gives the paths, the order of the three predictions and the recurrence. It does not give every size: 64
channels, three rounds of the dilated block, two convolutions a prediction, two passes of JORDER-R and the background
as the input less a residual are ours, and so is the weight of the mask's error.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

DILATIONS = (1, 2, 3)  # two 3x3 convolutions each: windows of 5x5, 9x9 and 13x13
PASSES = 2  # of JORDER-R
MASK_WEIGHT = 0.01  # of the mask's cross-entropy, beside errors of a few thousandths


class Layers(NamedTuple):
    """What one pass predicts: the background and the streaks, (B, C, H, W), and the probability of a streak at each
    pixel, (B, 1, H, W)."""

    background: torch.Tensor
    streaks: torch.Tensor
    mask: torch.Tensor


def streak_mask(rainy: torch.Tensor, clean: torch.Tensor, threshold: float = 0.1) -> torch.Tensor:
    """An approximate binary streak mask for pairs that have none, as Rain800: 1 where the rainy picture is brighter by
    more than `threshold`, averaged over the channels. (B, C, H, W) twice, in [0, 1] -> (B, 1, H, W)."""
    return ((rainy - clean).mean(dim=1, keepdim=True) > threshold).to(clean.dtype)


def conv(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)


class ContextualizedDilatedBlock(nn.Module):
    """Three paths of two convolutions with dilations 1, 2 and 3 beside each other; adds their sum to the features."""

    def __init__(self, width: int):
        super().__init__()
        self.paths = nn.ModuleList(nn.Sequential(conv(width, width, dilation), nn.ReLU(), conv(width, width, dilation))
                                   for dilation in DILATIONS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + sum(path(x) for path in self.paths)).relu()


class JORDER(nn.Module):
    """Predicts a binary streak mask, then the streaks, then the background, each from those before it.

    As in the paper, mask and streaks count in training beside the background, here with a mask derived from the pair.
    `passes` above 1 removes rain from each estimate again, with the same weights: JORDER-R.
    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 3, width: int = 64, rounds: int = 3, passes: int = 1):
        super().__init__()
        self.rounds, self.passes = rounds, passes
        self.features = nn.Sequential(conv(channels, width), nn.ReLU())
        self.context = ContextualizedDilatedBlock(width)  # one set of weights for all rounds
        self.mask, self.streaks, self.residual = (
            nn.Sequential(conv(inputs, width), nn.ReLU(), conv(width, outputs))
            for inputs, outputs in ((width, 2), (width + 1, channels), (width + 1 + 2 * channels, channels)))

    def predictions(self, rainy: torch.Tensor) -> list[Layers]:
        """The layers that each pass predicts, first to last."""
        predicted = []
        for _ in range(self.passes):
            predicted.append(self._one_pass(predicted[-1].background if predicted else rainy))
        return predicted

    def _one_pass(self, x: torch.Tensor) -> Layers:
        features = self.features(x)
        for _ in range(self.rounds):
            features = self.context(features)
        mask = self.mask(features).softmax(dim=1)[:, 1:]  # of no streak, streak
        streaks = self.streaks(torch.cat([features, mask], dim=1))
        residual = self.residual(torch.cat([features, mask, streaks, x - mask * streaks], dim=1))
        return Layers(x - residual, streaks, mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.predictions(x)[-1].background

    def training_loss(self, rainy: torch.Tensor, clean: torch.Tensor,
                      error: Callable) -> tuple[torch.Tensor, torch.Tensor]:
        """See `loop.Objective`. What a pass is to find is the rain that is left in its own input."""
        loss, left = 0, rainy
        for background, streaks, mask in self.predictions(rainy):
            wanted = streak_mask(left.detach(), clean)
            with torch.autocast(rainy.device.type, enabled=False):  # CUDA's autocast refuses the cross entropy
                missed = F.binary_cross_entropy(mask.float(), wanted.float())
            loss = (loss + error(background) + F.mse_loss(mask * streaks, wanted * (left.detach() - clean))
                    + MASK_WEIGHT * missed)
            left = background
        return loss / self.passes, background


class JORDER_R(JORDER):
    """JORDER, run on its own estimate once more; no more parameters."""

    def __init__(self, channels: int = 3):
        super().__init__(channels, passes=PASSES)
