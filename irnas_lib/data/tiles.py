"""A picture cut into tiles that overlap and are averaged, or into pieces that see beyond their borders."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

TILE, TILE_STEP = 64, 48  # pixels, as in the authors' program
TILE_BATCH = 32

Restore = Callable[[torch.Tensor], torch.Tensor]


def tile_starts(length: int, tile: int = TILE, step: int = TILE_STEP) -> list[int]:
    """Where tiles begin along one side: every `step` pixels, and a last one at the border."""
    if length < tile:
        raise ValueError(f"a side of {length} pixels is shorter than a tile of {tile}")
    return [*range(0, length - tile, step), length - tile]


def corners(shape: tuple[int, ...], tile: int = TILE, step: int = TILE_STEP) -> list[tuple[int, int]]:
    """The upper left corners (top, left) of the tiles of a picture (..., H, W)."""
    return [(top, left) for top in tile_starts(shape[-2], tile, step) for left in tile_starts(shape[-1], tile, step)]


def restore_tiles(restore: Restore, tiles: Sequence[torch.Tensor], shape: tuple[int, ...],
                  tile: int = TILE, step: int = TILE_STEP) -> torch.Tensor:
    """Restores the tiles of a picture of `shape`, (1, C, H, W), and averages them where they overlap."""
    outputs = torch.cat([restore(torch.cat(tiles[i:i + TILE_BATCH])) for i in range(0, len(tiles), TILE_BATCH)])
    total, count = outputs.new_zeros(shape), outputs.new_zeros(shape)
    for output, (top, left) in zip(outputs, corners(shape, tile, step)):
        total[..., top:top + tile, left:left + tile] += output
        count[..., top:top + tile, left:left + tile] += 1
    return total / count


class Piece(NamedTuple):
    """Rows and columns: what of a picture is looked at, what of the picture is filled, and where that lies in what is
    looked at."""

    seen: tuple[slice, slice]
    filled: tuple[slice, slice]
    inside: tuple[slice, slice]


def pieces(height: int, width: int, side: int, margin: int) -> list[Piece]:
    """Squares of `side` pixels that fill a picture, each seen with `margin` pixels around it where there are any.

    A network that looks at most `margin` pixels far gives the same for a piece as for the whole picture.
    """
    def cuts(length):
        for start in range(0, length, side):
            end, first = min(start + side, length), max(0, start - margin)
            yield slice(first, min(end + margin, length)), slice(start, end), slice(start - first, end - first)
    return [Piece(*zip(rows, columns)) for rows in cuts(height) for columns in cuts(width)]
