"""NLRN (Liu et al. 2018, "Non-local recurrent network for image restoration")."""

import torch
from torch import nn
from torch.nn import functional as F

from irnas_lib.data.tiles import corners, restore_tiles

TILE = 43  # pixels: the authors' training patch, over which attention reaches


class NonLocal(nn.Module):
    """Adds to each pixel the attention-weighted mean over all pixels (embedded Gaussian).

    forward: (B, width, H, W) -> the same shape. Begins as the identity.
    """

    def __init__(self, width: int, embedding: int):
        super().__init__()
        self.theta, self.phi = nn.Conv2d(width, embedding, 1), nn.Conv2d(width, embedding, 1)
        self.g = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.g.weight)
        nn.init.zeros_(self.g.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (embed(x).permute(0, 2, 3, 1).flatten(1, 2)  # (B, H W, channels): as channels last lies
                             for embed in (self.theta, self.phi, self.g))
        # (H W)^2 weights a picture, which PyTorch's fused attention would not store; a step with that takes a quarter
        # longer on a CPU.
        mean = (query @ key.mT).softmax(dim=-1) @ value
        return x + mean.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


class NLRN(nn.Module):
    """A recurrent network of 12 steps; each attends over the whole patch, then convolves twice.

    The steps share their convolutions and have their own batch norms. In training a batch is attended over as it is;
    in evaluation a picture goes through in tiles of 43x43 at every `tile_step` pixels, averaged where they overlap
    (unless a side is shorter than a tile). The authors' test has a step of 7, which restores a pixel about 38 times and
    costs as much more; by default only the last tiles overlap.
    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    """

    def __init__(self, channels: int = 1, width: int = 128, steps: int = 12, tile_step: int = TILE):
        super().__init__()
        self.tile_step = tile_step
        self.entry = nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, width, 3, padding=1))
        self.non_local = NonLocal(width, width // 2)
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.ModuleList(nn.BatchNorm2d(width) for _ in range(3)) for _ in range(steps))
        self.exit = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1))

    def restore_patch(self, x: torch.Tensor) -> torch.Tensor:
        """As forward, with attention over the whole of `x`."""
        state = first = self.entry(x)
        for norm0, norm1, norm2 in self.norms:
            y = self.non_local(F.relu(norm0(state)))
            y = self.conv1(norm1(y))
            state = first + self.conv2(F.relu(norm2(y)))
        return x + self.exit(state)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training or min(x.shape[-2:]) < TILE:
            return self.restore_patch(x)
        return torch.cat([self.restore_picture(picture) for picture in x.split(1)])

    def restore_picture(self, x: torch.Tensor) -> torch.Tensor:
        """(1, channels, H, W), in tiles."""
        tiles = [x[..., top:top + TILE, left:left + TILE] for top, left in corners(x.shape, TILE, self.tile_step)]
        return restore_tiles(self.restore_patch, tiles, x.shape, TILE, self.tile_step)
