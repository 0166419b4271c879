"""Restores one's own noisy or rainy pictures: `python -m irnas_lib.restore IN OUT`."""

import argparse
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from skimage.restoration import estimate_sigma
from torch import nn
from tqdm import tqdm

from irnas_lib.data.datasets import Picture
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
from irnas_lib.data.tasks import TASKS
from irnas_lib.data.tiles import Restore, pieces
from irnas_lib.evaluation.inference import MARGIN, restorer
from irnas_lib.evaluation.validation import middle
from irnas_lib.experiments import results, runs
from irnas_lib.figures.before_after import side_by_side
from irnas_lib.runtime import device_name
from irnas_lib.training.checkpoints import CheckpointError

TILE, TILE_MINIMUM = 320, 32  # pixels; of the features of IR-NAS each pixel takes 9 kB
LEAST_SIDE = 16  # pixels, to which smaller pictures are continued by reflection: N3Net compares patches of 10x10
# An estimate lies below the true sigma, by up to a quarter in pictures that clip strong noise; networks bear less noise
# than they were trained for much better than more. Measured on four photographs, sigma 0 to 60: a network of sigma 30
# gains from an estimate of 11 on, loses below 10, and falls apart above 35.
LEEWAY = 3  # grey levels that an estimate may lie above the sigma of a network
ESTIMATED_SIDE = 1024  # pixels: of what is looked at for an estimate
LEAST_NOISE = 1 / 3  # of the smallest sigma that a network knows, below which a picture is left as it is
NAMES_SHOWN = 5  # of the files in a folder that are no pictures

HELP = """\
OUT is a picture if IN is one and OUT has a suffix, else a folder, which is made; in a folder each picture keeps its
name and becomes a PNG; where two would become the same file, the old suffix stays in the name. Colour profile and
transparency are kept, a rotation in the EXIF data is carried out, and pictures of more than 8 bits a channel are
refused. A grey network restores each channel of an RGB picture on its own. An RGB network takes a grey
picture three times and its output is averaged back to grey. The noise of each picture is
estimated (too low where strong noise is clipped at black and white), and the shipped network that fits it is taken: one
that was trained blind to sigma where there is one, else the one of the next sigma. A picture with less noise than any
of them knows is left as it is. With --sigma N, or another
--task, it is the shipped network for these that was measured on the most test pictures, and of these the one of the
highest PSNR; with --checkpoint the one that is named."""


class RestoreError(ValueError):
    """A request that cannot be met; the message is one line."""


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
    for piece in tqdm(tiles, desc=title, unit="tile", leave=False, disable=len(tiles) == 1):
        restored[piece.filled] = _restore_whole(run, channels_wanted, array[piece.seen])[piece.inside]
    return restored


def _restore_whole(run: Restore, channels_wanted: int, array: np.ndarray) -> np.ndarray:
    height, width = array.shape[:2]
    missing = [(0, max(0, LEAST_SIDE - side)) for side in (height, width)]
    x = to_tensor(np.pad(array, [*missing, (0, 0)], "symmetric"))
    x = x.unsqueeze(1) if channels_wanted == 1 else x.expand(channels_wanted, -1, -1).unsqueeze(0)
    y = torch.cat([run(item.unsqueeze(0)).cpu() for item in x]).flatten(0, 1)  # one in memory
    return to_array(y.mean(dim=0, keepdim=True) if array.shape[2] == 1 else y)[:height, :width]


# ---- checkpoints ----

def known(folder: Path) -> list[results.Result]:
    """The results in a folder of checkpoints whose weights are there."""
    return [result for result in results.load(folder / "results") if runs.at_hand(result, folder)]


def quality(result: results.Result) -> tuple[int, float]:
    """Test pictures and PSNR in `strict`, by which the best checkpoint is chosen."""
    scores = result.metrics.get("strict", {})
    return scores.get("pictures", 0), scores.get("psnr", -np.inf)


def choose(checkpoint: str | None, task: str, sigma: float, folder: Path) -> tuple[results.Result, Path]:
    """The result that a user asks for and the folder of checkpoints that it lies in.

    checkpoint: the name of a shipped result, a result file, a weights file with results/ beside weights/, or None
    for the best one of the task (and sigma). Raises RestoreError.
    """
    if checkpoint and Path(checkpoint).suffix in (".json", ".safetensors"):
        path = Path(checkpoint)
        if not path.is_file():
            raise RestoreError(f"{checkpoint}: no such file")
        folder = path.resolve().parent.parent
        found = [result for result in results.load(folder / "results") if result.stem == path.stem]
        if not found:
            raise RestoreError(f"{checkpoint}: no result results/{path.stem}.json beside it")
        return found[0], folder
    candidates = known(folder)
    if checkpoint:
        found = [result for result in candidates if result.stem == checkpoint]
        if not found:
            raise RestoreError(f"unknown checkpoint {checkpoint!r} (--list shows the known ones)")
        return found[0], folder
    return best(candidates, task, sigma), folder


def best(candidates: Iterable[results.Result], task: str, sigma: float | None = None) -> results.Result:
    """Of some results the best one of a task (and sigma). Raises RestoreError where there is none."""
    fitting = [result for result in candidates if result.task == task
               and (not TASKS[task].sigmas or result.sigma == sigma)]
    if not fitting:
        noise = f" at sigma {sigma:g}" if TASKS[task].sigmas else ""
        raise RestoreError(f"no checkpoint for {task}{noise} (--list shows the known ones)")
    return max(fitting, key=quality)


def estimated_sigma(array: np.ndarray) -> float:
    """The noise of a picture, uint8 (H, W, C), in grey levels: scikit-image's wavelet estimate, averaged over the
    channels, of the middle of a large picture. Too low where noise is clipped at black and white."""
    (array,) = (picture.clean for picture in middle([Picture("", array)], ESTIMATED_SIDE))
    with warnings.catch_warnings(action="ignore"):  # of pictures of a few pixels
        sigma = estimate_sigma(array, channel_axis=-1, average_sigmas=True)
    return float(sigma) if np.isfinite(sigma) else 0.0


def fitting(sigma: float, channels: int, candidates: list[results.Result]) -> results.Result | None:
    """Of some results the one whose network fits a picture with noise of about `sigma`; None where every network knows
    only stronger noise. Raises RestoreError where there is no network for noise.

    A network blind to sigma goes first: one of the picture's channels, else a grey one, which takes them one by one.
    """
    blind = [result for result in candidates
             if TASKS[result.task].blind and TASKS[result.task].channels in (1, channels)]
    if blind:
        return max(blind, key=lambda result: (TASKS[result.task].channels == channels, quality(result)))
    levels = sorted({result.sigma for result in candidates if result.task == "denoising"})
    if not levels:
        raise RestoreError("no checkpoint for denoising (--list shows the known ones)")
    if sigma < LEAST_NOISE * levels[0]:
        return None
    level = next((level for level in levels if level >= sigma - LEEWAY), levels[-1])
    return best(candidates, "denoising", level)


def misfit(result: results.Result, sigma: float) -> str:
    """A warning where a network does not fit a picture with noise of about `sigma`, else nothing."""
    known = result.sigma or max(TASKS[result.task].blind, default=None)
    if known and sigma > known + LEEWAY:
        return f"its noise seems to be of sigma {sigma:.0f}, and the network knows up to {known:g}: noise may be left"
    if result.sigma and result.sigma > max(2 * sigma, sigma + 15):
        return f"its noise seems to be of sigma {sigma:.0f}, and the network expects {known:g}: details may be lost"
    return ""


def listing(candidates: Iterable[results.Result]) -> str:
    """One line a checkpoint: name, task, system, sigma, iterations, PSNR."""
    rows = [("name", "task", "system", "sigma", "iterations", "PSNR")]
    for result in sorted(candidates, key=lambda result: (result.task, result.sigma or 0, result.stem)):
        psnr = f"{quality(result)[1]:.2f} dB" if quality(result)[0] else "-"
        rows.append((result.stem, result.task, result.system, str(result.sigma or "-"),
                     str(result.iterations or "-"), psnr))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


# ---- files ----

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
    for folder, below, names in os.walk(source, onerror=lambda error: print(error, file=sys.stderr)):
        below[:] = sorted(name for name in below if recursive and not name.startswith(".")
                          and Path(folder, name).resolve() != target.resolve())
        files = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        yield Path(folder), [path for path in files if path.suffix.lower() in SUFFIXES and path.is_file()]
        strange += [path.name for path in files if path.suffix.lower() not in SUFFIXES]
    if strange:
        more = f" and {len(strange) - NAMES_SHOWN} more" if strange[NAMES_SHOWN:] else ""
        print(f"skipped, no pictures: {', '.join(strange[:NAMES_SHOWN])}{more}", file=sys.stderr)


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

    chosen: a result and its folder of checkpoints for all of them; None takes for each picture what fits it.
    compare: whether a picture of before and after is written beside each output.
    """
    failed, networks, shipped = 0, {}, [] if chosen else known(runs.SHIPPED)

    def ready(result, folder):
        name = result.stem
        if name not in networks:
            network = runs.trained_network(result, folder)
            networks[name] = restorer(network, device), channels_of(network)
            tqdm.write(f"{name}, on {device_name(device)}", file=sys.stderr)
        return networks[name]

    def restored(path, array):
        sigma = 0.0 if chosen and not chosen[0].sigma else estimated_sigma(array)
        result, folder = chosen or (fitting(sigma, array.shape[2], shipped), runs.SHIPPED)
        if result is None:
            tqdm.write(f"{path}: noise of sigma {sigma:.1f}, less than any network knows: left as it is",
                       file=sys.stderr)
            return array
        if not chosen:
            tqdm.write(f"{path}: noise of about sigma {sigma:.0f}", file=sys.stderr)
        if warning := misfit(result, sigma):
            tqdm.write(f"{path}: {warning}", file=sys.stderr)
        return restore_picture(*ready(result, folder), array, tile, path.name)

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
            tqdm.write(str(error), file=sys.stderr)
        except (MemoryError, RuntimeError) as error:  # torch has no type of its own for a CPU whose memory ends
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            failed += 1
            tqdm.write(f"{path}: not enough memory; try --tile 192, or less", file=sys.stderr)
    return failed


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.restore", description=__doc__, epilog=HELP)
    parser.add_argument("source", metavar="IN", nargs="?", help="a picture or a folder of pictures")
    parser.add_argument("target", metavar="OUT", nargs="?", help="the restored picture or folder")
    parser.add_argument("--recursive", action="store_true", help="of a folder take the folders below it too")
    parser.add_argument("--compare", action="store_true", help="write OUT-compared.png beside each restored picture: "
                        "before and after with a divider between them, and a crop of both enlarged")
    parser.add_argument("--checkpoint", metavar="NAME",
                        help="a shipped checkpoint, or a result (.json) or weights (.safetensors) file of a run")
    parser.add_argument("--task", choices=TASKS, default="denoising", help="default: denoising")
    parser.add_argument("--sigma", type=noise_level, metavar="auto|N", default="auto",
                        help="noise level in grey levels that the checkpoint was trained for; default: auto, from an "
                        "estimate of each picture's noise")
    parser.add_argument("--tile", type=int, default=0, metavar="N",
                        help=f"restore in tiles of N pixels, each with {MARGIN} more around it that are seen but not "
                        f"kept: a smaller N needs less memory and more time. Default: {TILE}, and small pictures whole")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU if there is one")
    parser.add_argument("--list", action="store_true", help="list the shipped checkpoints and stop")
    return parser


def noise_level(text: str) -> float | str:
    """auto, or a noise level."""
    return text if text == "auto" else float(text)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.list:
            shipped = known(runs.SHIPPED)
            print(listing(shipped) if shipped else "no checkpoints are shipped yet")
            return 0
        if not options.source or not options.target:  # an empty one would be the working folder
            raise RestoreError("IN and OUT are needed; --help says more")
        if options.tile and options.tile < TILE_MINIMUM:
            raise RestoreError(f"--tile {options.tile}: must be at least {TILE_MINIMUM} pixels")
        if options.device == "cuda" and not torch.cuda.is_available():
            raise RestoreError("--device cuda: torch finds no GPU here")
        pairs = plan(Path(options.source), Path(options.target), options.recursive, options.compare)
        chosen = None
        if options.checkpoint or options.sigma != "auto" or not TASKS[options.task].sigmas:
            chosen = choose(options.checkpoint, options.task, options.sigma, runs.SHIPPED)
        device = torch.device(options.device or runs.best_device())
        failed = restore_files(chosen, pairs, device, options.tile, options.compare)
    except (RestoreError, CheckpointError, results.ResultError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    if failed and len(pairs) > 1:
        print(f"{failed} of {len(pairs)} pictures failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
