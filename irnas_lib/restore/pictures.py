"""Pictures from files to files: read with transparency and colour profile, restored whole or in tiles, written."""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from irnas_lib.command import one_line
from irnas_lib.data.pictures import (
    FORMATS,
    SUFFIXES,
    PictureError,
    check_alpha,
    read_picture,
    to_array,
    to_tensor,
    write_picture,
)
from irnas_lib.data.tiles import Restore, pieces
from irnas_lib.evaluation.inference import MARGIN, restorer
from irnas_lib.experiments import results, runs
from irnas_lib.figures.before_after import side_by_side
from irnas_lib.restore import TILE, RestoreError
from irnas_lib.restore.networks import fitting, known, misfit
from irnas_lib.restore.noise import estimated_sigma, limited
from irnas_lib.runtime import device_name

LEAST_SIDE = 16  # pixels, to which smaller pictures are continued by reflection: N3Net compares patches of 10x10
NAMES_SHOWN = 5  # of the files in a folder that are no pictures


def say(message: object) -> None:
    """One line on standard error, above a progress bar."""
    tqdm.write(one_line(message), file=sys.stderr)


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


def output_names(files: list[Path]) -> list[str]:
    """A name without suffix for each of the files of one folder, no two alike: its own, with the old suffix where
    another file would get the same. Upper and lower case are alike, as some file systems have it."""
    names = [path.stem for path in files]
    while True:
        shared = Counter(name.casefold() for name in names)
        longer = [path.name if shared[name.casefold()] > 1 else name for path, name in zip(files, names)]
        if longer == names:
            return names
        names = longer


def pictures_in(source: Path, target: Path, recursive: bool) -> Iterable[tuple[Path, list[Path]]]:
    """(folder, its pictures), by name: `source`, and with `recursive` the folders below it but for `target`. Hidden
    files and folders do not count, other files are skipped with a word."""
    strange = []
    for folder, below, names in os.walk(source, onerror=say):
        below[:] = sorted(name for name in below if recursive and not name.startswith(".")
                          and os.path.realpath(Path(folder, name)) != os.path.realpath(target))
        files = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        yield Path(folder), [path for path in files if path.suffix.lower() in SUFFIXES and path.is_file()]
        strange += [path.name for path in files if path.suffix.lower() not in SUFFIXES]
    if strange:
        more = f" and {len(strange) - NAMES_SHOWN} more" if strange[NAMES_SHOWN:] else ""
        say(f"skipped, no pictures: {', '.join(strange[:NAMES_SHOWN])}{more}")


def plan(source: Path, target: Path, recursive: bool = False, compare: bool = False) -> list[tuple[Path, Path]]:
    """(input, output) pairs, no two outputs alike. Says what it skips; raises RestoreError.

    recursive: whether folders are read with the folders below them. compare: whether a comparison is written beside
    each output, which then is checked too.
    """
    if source.is_file():
        into_folder = target.is_dir() or not target.suffix
        if into_folder and target.exists() and not target.is_dir():
            raise RestoreError(f"{target}: is no folder, and without a suffix no picture")
        if not into_folder and target.suffix.lower() not in SUFFIXES:
            raise RestoreError(f"{target}: unknown suffix, use one of {', '.join(SUFFIXES)}")
        pairs = [(source, target / f"{source.stem}.png" if into_folder else target)]
    elif source.is_dir():
        if target.is_file():
            raise RestoreError(f"{target}: is a file; a folder of pictures needs a folder")
        if target.exists() and target.samefile(source):
            raise RestoreError(f"{target}: is the folder of the input, which is never overwritten")
        pairs = [(path, target / folder.relative_to(source) / f"{name}.png")
                 for folder, files in pictures_in(source, target, recursive)
                 for path, name in zip(files, output_names(files))]
        if not pairs:
            raise RestoreError(f"{source}: holds no pictures ({', '.join(SUFFIXES)})")
    else:
        raise RestoreError(f"{source}: no such file or folder")
    inputs = {(status.st_dev, status.st_ino) for status in (path.stat() for path, _ in pairs)}
    outputs = {output for _, output in pairs}
    for output in [*outputs, *map(comparison, outputs)] if compare else outputs:
        if output.exists() and (output.stat().st_dev, output.stat().st_ino) in inputs:
            raise RestoreError(f"{output}: is an input, which is never overwritten")
    if compare and (twice := outputs & set(map(comparison, outputs))):
        raise RestoreError(f"{min(twice)}: would be both a restored picture and a comparison")
    return pairs


def comparison(output: Path) -> Path:
    """Where the comparison of a restored picture is written."""
    return output.with_name(f"{output.stem}-compared.png")


def restore_files(chosen: tuple[results.Result, Path] | None, pairs: list[tuple[Path, Path]], device: torch.device,
                  tile: int = 0, compare: bool = False) -> int:
    """Restores each input into its output; returns how many failed, each of them said in one line.

    chosen: a result and its folder of checkpoints for all of them, whose network's answer is written as it is; None
    takes for each picture what fits it, and no more than the noise away (`noise.limited`).
    compare: whether a picture of before and after is written beside each output.
    """
    failed, networks, shipped = 0, {}, [] if chosen else known(runs.SHIPPED)

    def ready(result, folder):
        name = result.stem
        if name not in networks:
            network = runs.trained_network(result, folder)
            networks[name] = restorer(network, device), channels_of(network)
            say(f"{name}, on {device_name(device)}")
        return networks[name]

    def restored(path, array):
        sigma = 0.0 if chosen and not chosen[0].sigma else estimated_sigma(array)
        result, folder = chosen or (fitting(sigma, array.shape[2], shipped), runs.SHIPPED)
        if result is None:
            say(f"{path}: noise of sigma {sigma:.1f}, which is next to none: left as it is")
            return array
        if not chosen:
            say(f"{path}: noise of about sigma {sigma:.0f}")
        if warning := misfit(result, sigma, limited=not chosen):
            say(f"{path}: {warning}")
        made = restore_picture(*ready(result, folder), array, tile, path.name)
        return made if chosen else limited(array, made, sigma)

    if chosen:
        ready(*chosen)
    for path, output in tqdm(pairs, desc="restoring", unit="picture", disable=len(pairs) == 1):
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            photo = read(path)
            check_alpha(output, photo.alpha)
            array = restored(path, photo.array)
            write_picture(output, array, photo.profile, photo.alpha)
            if compare:
                write_picture(comparison(output), side_by_side(photo.array, array), photo.profile)
        except (PictureError, OSError) as error:
            failed += 1
            say(error)
        except (MemoryError, RuntimeError) as error:  # torch has no type of its own for a CPU whose memory ends
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            failed += 1
            say(f"{path}: not enough memory; try --tile 192, or less")
    return failed
