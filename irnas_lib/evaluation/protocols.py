"""The protocols under which a number is measured: which pictures, which noise, which inference.

`strict`   full size, one noise field a picture, whole-picture inference (RGB pairs: SSIM averaged over channels)
`redrawn`  64x64 tiles at step 48, fresh noise in each, overlaps averaged: what the authors' program did
`half`     as strict on pictures reduced to half size, as the tables of RED-Net and its successors were measured
`strict_y` pairs only: PSNR and SSIM of the luma Y = 0.299 R + 0.587 G + 0.114 B instead of RGB
`file`     as strict, but the noisy picture is what a file holds: clipped to [0, 255] and rounded; grey or colour
A table never mixes protocols in a column.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from irnas_lib.data.datasets import Picture, noisy_file
from irnas_lib.data.pictures import luma, to_tensor
from irnas_lib.data.seeds import noise_generator
from irnas_lib.data.tiles import TILE, TILE_STEP, Restore, corners, restore_tiles
from irnas_lib.metrics import psnr, ssim

PROTOCOLS = ("strict", "redrawn", "half", "strict_y", "file")

class Score(NamedTuple):
    """Means over pictures; ssim_padded, with zero padding as in the authors' program, in `redrawn` only; seconds, to
    restore a picture, and each picture's own PSNR and SSIM by its name, where `measuring` has kept them."""

    psnr: float
    ssim: float
    pictures: int
    ssim_padded: float | None = None
    seconds: float | None = None
    each: dict[str, list[float]] | None = None


class Restored(NamedTuple):
    """One picture's way through a protocol, float32 (1, C, H, W): clean in [0, 1] (None for real rain), the others not
    clipped; `restored` lies where `restore` has left it. Under `redrawn`, `degraded` has the one noise field of
    `strict`, which is not what was restored."""

    name: str
    clean: torch.Tensor | None
    degraded: torch.Tensor
    restored: torch.Tensor


def draw_noise(rng: np.random.Generator, like: torch.Tensor, sigma: float) -> torch.Tensor:
    """White Gaussian noise of `sigma` grey levels of 255, in the shape of `like`."""
    return torch.from_numpy(rng.standard_normal(tuple(like.shape), dtype=np.float32)) * (sigma / 255)


def add_noise(clean: torch.Tensor, sigma: float, seed: int, name: str) -> torch.Tensor:
    """`clean` plus the one noise field of this (seed, sigma, picture name): the same for every method."""
    return clean + draw_noise(noise_generator(seed, f"{sigma:g}", name), clean, sigma)


def degraded_side(picture: Picture, clean: torch.Tensor, sigma: float | None, seed: int) -> torch.Tensor:
    """The picture's own degraded side where it is a pair, else `clean`, (1, C, H, W), with its one noise field."""
    if picture.degraded is None:
        return add_noise(clean, sigma, seed, picture.name)
    return to_tensor(picture.degraded).unsqueeze(0)


def half_size(array: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) -> (H // 2, W // 2, C), bicubic, rounded."""
    size = (array.shape[1] // 2, array.shape[0] // 2)
    small = [Image.fromarray(array[..., c]).resize(size, Image.Resampling.BICUBIC) for c in range(array.shape[2])]
    return np.stack([np.asarray(channel) for channel in small], axis=-1)


def restore_redrawn(restore: Restore, clean: torch.Tensor, sigma: float, seed: int, name: str,
                    tile: int = TILE, step: int = TILE_STEP) -> torch.Tensor:
    """Cuts `clean`, (1, C, H, W), into tiles, adds fresh noise to each, restores them and averages the overlaps."""
    rng = noise_generator(seed, f"{sigma:g}", name, "redrawn", step)
    tiles = [clean[..., top:top + tile, left:left + tile] for top, left in corners(clean.shape, tile, step)]
    return restore_tiles(restore, [cut + draw_noise(rng, cut, sigma) for cut in tiles], clean.shape, tile, step)


def restored_pictures(restore: Restore, pictures: Sequence[Picture], protocol: str, sigma: float | None = None,
                      seed: int = 0, batch: int = 1) -> Iterator[Restored]:
    """Takes each picture through a protocol; pictures of one size may go through `batch` at a time.

    Raises ValueError for an unknown or unfitting protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r} (known: {', '.join(PROTOCOLS)})")
    for start in range(0, len(pictures), batch):
        names, cleans, degraded = zip(*(_sides(picture, protocol, sigma, seed)
                                        for picture in pictures[start:start + batch]))
        if protocol == "redrawn":  # batches of its own, of tiles
            restored = [restore_redrawn(restore, clean, sigma, seed, name) for name, clean in zip(names, cleans)]
        else:
            restored = restore(torch.cat(degraded)).split(1)
        yield from map(Restored, names, cleans, degraded, restored)


def _sides(picture: Picture, protocol: str, sigma: float | None, seed: int) -> tuple[str, torch.Tensor, torch.Tensor]:
    """Name, clean and degraded side of a picture in a protocol."""
    fitting = ("strict", "redrawn", "half", "file") if picture.degraded is None else ("strict", "strict_y")
    if protocol not in fitting:
        raise ValueError(f"protocol {protocol!r} does not fit {picture.name}")
    clean = to_tensor(half_size(picture.clean) if protocol == "half" else picture.clean).unsqueeze(0)
    seen = noisy_file(picture, sigma, seed) if protocol == "file" else picture
    return picture.name, clean, degraded_side(seen, clean, sigma, seed)


def evaluate(restore: Restore, pictures: Sequence[Picture], protocol: str, sigma: float | None = None,
             seed: int = 0) -> Score:
    """Mean PSNR and SSIM of `restore` over `pictures` under a protocol; `measuring.measure` is its resumable sister.

    restore: (B, C, H, W) degraded, not clipped, on the CPU -> the restored batch on any device.
    """
    restored = tqdm(restored_pictures(restore, pictures, protocol, sigma, seed), total=len(pictures), desc=protocol,
                    leave=False)
    return mean_score(protocol, torch.stack([score(item, protocol) for item in restored]))


def grouped(protocols: Sequence[str]) -> list[list[str]]:
    """Protocols, those together that score the same restored pictures: `strict` and `strict_y`."""
    pair = [protocol for protocol in protocols if protocol in ("strict", "strict_y")]
    return ([pair] if pair else []) + [[protocol] for protocol in protocols if protocol not in pair]


def mean_score(protocol: str, scores: torch.Tensor, seconds: float | None = None) -> Score:
    """From what `score` gives for each picture, (pictures, 3)."""
    psnr, ssim, padded = scores.mean(dim=0).tolist()
    return Score(psnr, ssim, len(scores), padded if protocol == "redrawn" else None, seconds)


def score(item: Restored, protocol: str) -> torch.Tensor:
    """PSNR, SSIM and zero-padded SSIM (nan but in `redrawn`) of one picture, (3,) float64, computed where `restored`
    lies."""
    restored = item.restored.clamp(0, 1)
    clean = item.clean.to(restored.device)
    if protocol == "strict_y":
        clean, restored = luma(clean), luma(restored)
    padded = ssim(restored, clean, padding=True) if protocol == "redrawn" else restored.new_tensor([torch.nan])
    return torch.cat([psnr(restored, clean), ssim(restored, clean), padded.double()])
