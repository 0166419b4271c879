"""One picture: read with transparency and colour profile, restored whole or in tiles by a network that is given."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from irnas_lib.command import one_line
from irnas_lib.data.pictures import FORMATS, read_picture, to_array, to_tensor
from irnas_lib.data.tiles import Restore, pieces
from irnas_lib.evaluation.inference import MARGIN
from irnas_lib.restore import TILE

LEAST_SIDE = 16  # pixels, to which smaller pictures are continued by reflection: N3Net compares patches of 10x10


def channels_of(network: nn.Module) -> int:
    """Of the pictures that a network takes."""
    return next(module for module in network.modules() if isinstance(module, nn.Conv2d)).in_channels


def restore_picture(run: Restore, channels_wanted: int, array: np.ndarray, tile: int = 0,
                    title: str = "") -> np.ndarray:
    """Restores one picture.

    run, channels_wanted: a network's restorer, and the channels that it takes.
    array: uint8 (H, W, C), C = 1 or 3, of any size. Where the network has another number of channels, it sees the
    channels one by one, or the grey picture three times (its output is averaged).
    tile: the side in pixels of tiles that are restored one by one, each seen with MARGIN pixels around it, so that
    memory does not grow with the picture; 0 takes TILE, but pictures no larger than what a tile sees whole. For a
    network that looks further the tiles differ a little from the whole picture, as `inference.in_pieces` says.
    title: of a progress bar over several tiles.
    Returns uint8 of the same shape.
    """
    height, width = array.shape[:2]
    side = tile or (TILE if height * width > (TILE + 2 * MARGIN) ** 2 else max(height, width))
    restored, tiles = np.empty_like(array), pieces(height, width, side, MARGIN)
    for piece in tqdm(tiles, desc=one_line(title), unit="tile", leave=False, disable=len(tiles) == 1):
        restored[piece.filled] = _restore_whole(run, channels_wanted, array[piece.seen])[piece.inside]
    return restored


def _restore_whole(run: Restore, channels_wanted: int, array: np.ndarray) -> np.ndarray:
    height, width = array.shape[:2]
    missing = [(0, max(0, LEAST_SIDE - side)) for side in (height, width)]
    x = to_tensor(np.pad(array, [*missing, (0, 0)], "symmetric"))
    x = x.unsqueeze(1) if channels_wanted == 1 else x.expand(channels_wanted, -1, -1).unsqueeze(0)
    y = torch.cat([run(item.unsqueeze(0)).cpu() for item in x]).flatten(0, 1)  # one in memory
    return to_array(y.mean(dim=0, keepdim=True) if array.shape[2] == 1 else y)[:height, :width]


class Photo(NamedTuple):
    """A picture file: its colours, uint8 (H, W, 1) where it is grey, else (H, W, 3), its alpha channel (H, W, 1) and
    its colour profile, None where it has none."""

    array: np.ndarray
    alpha: np.ndarray | None
    profile: bytes | None


def read(path: Path) -> Photo:
    """Reads a picture, turned as its EXIF data say. Raises PictureError."""
    array = read_picture(path, "RGBA")
    with Image.open(path, formats=FORMATS) as image:
        channels = 1 if image.mode in ("1", "L", "LA") else 3
        alpha = array[..., 3:] if image.has_transparency_data else None
        return Photo(np.ascontiguousarray(array[..., :channels]), alpha, image.info.get("icc_profile"))
