"""MemNet, M6R6 (Tai et al. 2017, "MemNet: a persistent memory network for image restoration")."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F


def norm_relu_conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Batch norm, ReLU, convolution without bias; the picture keeps its size."""
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(),
                         nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False))


class MemoryBlock(nn.Module):
    """One residual unit applied again and again, and a gate that weighs its states with all earlier memories.

    The recursions share their two convolutions and have their own batch norms.
    forward: the memories so far, a list of `memories` tensors (B, width, H, W), the latest last -> the next one.
    """

    def __init__(self, memories: int, width: int, recursions: int):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norms1, self.norms2 = (nn.ModuleList(nn.BatchNorm2d(width) for _ in range(recursions)) for _ in range(2))
        self.gate = norm_relu_conv((recursions + memories) * width, width, 1)

    def forward(self, memories: list[torch.Tensor]) -> torch.Tensor:
        state, states = memories[-1], []
        for norm1, norm2 in zip(self.norms1, self.norms2):
            y = self.conv1(F.relu(norm1(state)))
            state = state + self.conv2(F.relu(norm2(y)))
            states.append(state)
        return self.gate(torch.cat([*states, *memories], dim=1))


class MemNet(nn.Module):
    """Six memory blocks of six recursions; the estimate is a learned weighted sum of what each block's memory gives.

    One convolution reconstructs from all six memories, after a batch norm for each. As in the paper, the six outputs
    and their weighted sum count alike in training.
    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 1, width: int = 64, blocks: int = 6, recursions: int = 6):
        super().__init__()
        self.extract = norm_relu_conv(channels, width, 3)
        self.blocks = nn.ModuleList(MemoryBlock(i + 1, width, recursions) for i in range(blocks))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(blocks))
        self.reconstruct = nn.Conv2d(width, channels, 3, padding=1, bias=False)
        self.weights = nn.Parameter(torch.full((blocks,), 1 / blocks))

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> (blocks, B, channels, H, W): a clean estimate from each memory."""
        memories = [self.extract(x)]
        for block in self.blocks:
            memories.append(block(memories))
        return torch.stack([x + self.reconstruct(F.relu(norm(memory)))
                            for norm, memory in zip(self.norms, memories[1:])])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._weighted(self.outputs(x))

    def training_loss(self, noisy: torch.Tensor, clean: torch.Tensor,
                      error: Callable) -> tuple[torch.Tensor, torch.Tensor]:
        """See `loop.Objective`."""
        outputs = self.outputs(noisy)
        estimate = self._weighted(outputs)
        return sum(map(error, (*outputs, estimate))) / (len(outputs) + 1), estimate

    def _weighted(self, outputs: torch.Tensor) -> torch.Tensor:
        return (self.weights.view(-1, 1, 1, 1, 1) * outputs).sum(dim=0)
