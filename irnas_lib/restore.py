"""Restores one's own noisy or rainy pictures: `python -m irnas_lib.restore IN OUT`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from irnas_lib.data.tasks import TASKS

# What takes seconds to import is imported where it is used, so that --help and a wrong argument are answered at once.
if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from irnas_lib.data.tiles import Restore

TILE_MINIMUM = 32
# An estimate lies below the true sigma, by up to a quarter in pictures that clip strong noise; networks bear less noise
# than they were trained for much better than more. Measured on four photographs, sigma 0 to 60: a network of sigma 30
# gains from an estimate of 11 on, loses below 10, and falls apart above 35.
MARGIN = 3       # grey levels that an estimate may lie above the sigma of a network
ESTIMATED_SIDE = 1024  # pixels: of what is looked at for an estimate
LEAST_NOISE = 1 / 3  # of the smallest sigma that a network knows, below which a picture is left as it is

HELP = """\
OUT is a picture if IN is one and OUT has a suffix, else a folder, which is made; in a folder each picture keeps its
name and becomes a PNG. A grey network restores each channel of an RGB picture on its own. An RGB network takes a grey
picture three times and its output is averaged back to grey. The noise of each picture is
estimated, and the shipped network that fits it is taken: one that was trained blind to sigma where there is one, else
the one of the next sigma. A picture with less noise than any of them knows is left as it is. With --sigma N, or another
--task, it is the shipped network for these that was measured on the most test pictures, and of these the one of the
highest PSNR; with --checkpoint the one that is named."""


class RestoreError(ValueError):
    """A request that cannot be met; the message is one line."""


def channels_of(network: nn.Module) -> int:
    """Of the pictures that a network takes."""
    from torch import nn

    return next(module for module in network.modules() if isinstance(module, nn.Conv2d)).in_channels


def restore_picture(run: Restore, channels_wanted: int, array: np.ndarray, tile: int = 0) -> np.ndarray:
    """Restores one picture.

    run, channels_wanted: a network's restorer, and the channels that it takes.
    array: uint8 (H, W, C), C = 1 or 3, of any size. Where the network has another number of channels, it sees the
    channels one by one, or the grey picture three times (its output is averaged).
    tile: the side in pixels of tiles that overlap by a quarter and are averaged there, which bounds the memory; 0 takes
    the whole picture at once.
    Returns uint8 of the same shape.
    """
    import numpy as np
    import torch

    from irnas_lib.data.pictures import to_array, to_tensor

    height, width, channels = array.shape
    if tile >= max(height, width):
        tile = 0
    if tile:  # a side shorter than a tile is continued by reflection
        array = np.pad(array, ((0, max(0, tile - height)), (0, max(0, tile - width)), (0, 0)), mode="symmetric")
    x = to_tensor(array)
    x = x.unsqueeze(1) if channels_wanted == 1 else x.expand(channels_wanted, -1, -1).unsqueeze(0)
    y = torch.cat([_whole_or_tiles(run, item.unsqueeze(0), tile) for item in x]).flatten(0, 1)
    if channels == 1:
        y = y.mean(dim=0, keepdim=True)
    return to_array(y)[:height, :width]


def _whole_or_tiles(run, x: torch.Tensor, tile: int) -> torch.Tensor:
    import torch

    from irnas_lib.data.tiles import corners, restore_tiles

    if not tile:
        return run(x).cpu()
    step = tile * 3 // 4
    tiles = [x[..., top:top + tile, left:left + tile] for top, left in corners(x.shape, tile, step)]
    return restore_tiles(lambda batch: torch.cat([run(one.unsqueeze(0)).cpu() for one in batch]),  # one in memory
                         tiles, x.shape, tile, step)


# ---- checkpoints ----

def known(folder: Path) -> list[dict]:
    """The results in a folder of checkpoints whose weights are there."""
    from irnas_lib.experiments import results, runs

    return [result for result in results.load(folder / "results") if runs.at_hand(result, folder)]


def quality(result: dict) -> tuple[int, float]:
    """Test pictures and PSNR in `strict`, by which the best checkpoint is chosen."""
    scores = result["metrics"].get("strict", {})
    return scores.get("pictures", 0), scores.get("psnr", float("-inf"))


def choose(checkpoint: str | None, task: str, sigma: float, folder: Path) -> tuple[dict, Path]:
    """The result that a user asks for and the folder of checkpoints that it lies in.

    checkpoint: the name of a shipped result, a result file, a weights file with results/ beside weights/, or None
    for the best one of the task (and sigma). Raises RestoreError.
    """
    from irnas_lib.experiments import results

    if checkpoint and Path(checkpoint).suffix in (".json", ".safetensors"):
        path = Path(checkpoint)
        if not path.is_file():
            raise RestoreError(f"{checkpoint}: no such file")
        folder = path.resolve().parent.parent
        found = [result for result in results.load(folder / "results") if results.stem(result) == path.stem]
        if not found:
            raise RestoreError(f"{checkpoint}: no result results/{path.stem}.json beside it")
        return found[0], folder
    candidates = known(folder)
    if checkpoint:
        found = [result for result in candidates if results.stem(result) == checkpoint]
        if not found:
            raise RestoreError(f"unknown checkpoint {checkpoint!r} (--list shows the known ones)")
        return found[0], folder
    return best(candidates, task, sigma), folder


def best(candidates: Iterable[dict], task: str, sigma: float | None = None) -> dict:
    """Of some results the best one of a task (and sigma). Raises RestoreError where there is none."""
    fitting = [result for result in candidates if result["task"] == task
               and (not TASKS[task].sigmas or result["sigma"] == sigma)]
    if not fitting:
        noise = f" at sigma {sigma:g}" if TASKS[task].sigmas else ""
        raise RestoreError(f"no checkpoint for {task}{noise} (--list shows the known ones)")
    return max(fitting, key=quality)


def estimated_sigma(array: np.ndarray) -> float:
    """The noise of a picture, uint8 (H, W, C), in grey levels: scikit-image's wavelet estimate, averaged over the
    channels, of the middle of a large picture. Too low where noise is clipped at black and white."""
    import numpy as np
    from skimage.restoration import estimate_sigma

    from irnas_lib.data.datasets import Picture
    from irnas_lib.evaluation.validation import middle

    (array,) = (picture.clean for picture in middle([Picture("", array)], ESTIMATED_SIDE))
    with warnings.catch_warnings(action="ignore"):  # of pictures of a few pixels
        sigma = estimate_sigma(array, channel_axis=-1, average_sigmas=True)
    return float(sigma) if np.isfinite(sigma) else 0.0


def fitting(sigma: float, channels: int, candidates: list[dict]) -> dict | None:
    """Of some results the one whose network fits a picture with noise of about `sigma`; None where every network knows
    only stronger noise. Raises RestoreError where there is no network for noise."""
    blind = [result for result in candidates
             if TASKS[result["task"]].blind and TASKS[result["task"]].channels == channels]
    if blind:
        return max(blind, key=quality)
    levels = sorted({result["sigma"] for result in candidates if result["task"] == "denoising"})
    if not levels:
        raise RestoreError("no checkpoint for denoising (--list shows the known ones)")
    if sigma < LEAST_NOISE * levels[0]:
        return None
    level = next((level for level in levels if level >= sigma - MARGIN), levels[-1])
    return best(candidates, "denoising", level)


def listing(candidates: Iterable[dict]) -> str:
    """One line a checkpoint: name, task, system, sigma, iterations, PSNR."""
    from irnas_lib.experiments import results

    rows = [("name", "task", "system", "sigma", "iterations", "PSNR")]
    for result in sorted(candidates, key=lambda result: (result["task"], result["sigma"] or 0, results.stem(result))):
        psnr = f"{quality(result)[1]:.2f} dB" if quality(result)[0] else "-"
        rows.append((results.stem(result), result["task"], result["system"], str(result["sigma"] or "-"),
                     str(result["iterations"] or "-"), psnr))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


# ---- files ----

def read(path: Path) -> tuple[np.ndarray, bytes | None]:
    """A picture, uint8 (H, W, 1) where the file is grey, else (H, W, 3), and its colour profile if it has one. Raises
    PictureError."""
    from PIL import Image

    from irnas_lib.data.pictures import FORMATS, read_picture

    array = read_picture(path)
    with Image.open(path, formats=FORMATS) as image:
        return array[..., :1] if image.mode in ("1", "L", "LA") else array, image.info.get("icc_profile")


def plan(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """(input, output) pairs; folders are read one level deep. Says what it skips; raises RestoreError."""
    from irnas_lib.data.pictures import SUFFIXES

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
        files = sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
        inputs = [path for path in files if path.suffix.lower() in SUFFIXES]
        if strange := [path.name for path in files if path not in inputs]:
            print(f"skipped, no pictures: {', '.join(strange)}", file=sys.stderr)
        if not inputs:
            raise RestoreError(f"{source}: holds no pictures ({', '.join(SUFFIXES)})")
        stems = [path.stem for path in inputs]
        pairs = [(path, target / f"{path.stem if stems.count(path.stem) == 1 else path.name}.png") for path in inputs]
    else:
        raise RestoreError(f"{source}: no such file or folder")
    for path, output in pairs:
        if output.exists() and output.samefile(path):
            raise RestoreError(f"{output}: is the input, which is never overwritten")
    return pairs


def restore_files(chosen: tuple[dict, Path] | None, pairs: list[tuple[Path, Path]], device: torch.device,
                  tile: int) -> int:
    """Restores each input into its output; returns how many failed, each of them said in one line.

    chosen: a result and its folder of checkpoints for all of them; None takes for each picture what fits it.
    """
    from tqdm import tqdm

    from irnas_lib.data.pictures import PictureError, write_picture
    from irnas_lib.evaluation.inference import restorer
    from irnas_lib.experiments import results, runs
    from irnas_lib.runtime import device_name

    failed, networks, shipped = 0, {}, [] if chosen else known(runs.SHIPPED)

    def ready(result, folder):
        name = results.stem(result)
        if name not in networks:
            network = runs.trained_network(result, folder)
            networks[name] = restorer(network, device), channels_of(network)
            tqdm.write(f"{name}, on {device_name(device)}", file=sys.stderr)
        return networks[name]

    if chosen:
        ready(*chosen)
    for path, output in tqdm(pairs, desc="restoring", unit="picture", disable=len(pairs) == 1):
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            array, colours = read(path)
            sigma = 0.0 if chosen and not chosen[0]["sigma"] else estimated_sigma(array)
            result, folder = chosen or (fitting(sigma, array.shape[2], shipped), runs.SHIPPED)
            if result is None:
                tqdm.write(f"{path}: noise of sigma {sigma:.1f}, less than any network knows: left as it is",
                           file=sys.stderr)
                write_picture(output, array, colours)
                continue
            if not chosen:
                tqdm.write(f"{path}: noise of about sigma {sigma:.0f}", file=sys.stderr)
            elif result["sigma"] and result["sigma"] > max(2 * sigma, sigma + 15):
                tqdm.write(f"{path}: its noise seems to be of sigma {sigma:.0f}, and the network expects "
                           f"{result['sigma']:g}: details may be lost", file=sys.stderr)
            run, channels = ready(result, folder)
            write_picture(output, restore_picture(run, channels, array, tile), colours)
        except (PictureError, OSError) as error:
            failed += 1
            tqdm.write(str(error), file=sys.stderr)
        except (MemoryError, RuntimeError) as error:  # torch has no type of its own for a CPU whose memory ends
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            failed += 1
            tqdm.write(f"{path}: not enough memory for the whole picture; try --tile 512, or less", file=sys.stderr)
    return failed


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.restore", description=__doc__, epilog=HELP)
    parser.add_argument("source", metavar="IN", nargs="?", type=Path, help="a picture or a folder of pictures")
    parser.add_argument("target", metavar="OUT", nargs="?", type=Path, help="the restored picture or folder")
    parser.add_argument("--checkpoint", metavar="NAME",
                        help="a shipped checkpoint, or a result (.json) or weights (.safetensors) file of a run")
    parser.add_argument("--task", choices=TASKS, default="denoising", help="default: denoising")
    parser.add_argument("--sigma", type=noise_level, default="auto",
                        help="noise level in grey levels that the checkpoint was trained for; default: auto, from an "
                        "estimate of each picture's noise")
    parser.add_argument("--tile", type=int, default=0, metavar="N",
                        help="restore in overlapping tiles of N pixels, to need less memory; default: whole pictures")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU if there is one")
    parser.add_argument("--list", action="store_true", help="list the shipped checkpoints and stop")
    return parser


def noise_level(text: str) -> float | str:
    """auto, or a noise level."""
    return text if text == "auto" else float(text)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = parser().parse_args(arguments)
    import torch

    from irnas_lib.experiments import results, runs
    from irnas_lib.training.checkpoints import CheckpointError

    try:
        if options.list:
            shipped = known(runs.SHIPPED)
            print(listing(shipped) if shipped else "no checkpoints are shipped yet")
            return 0
        if options.source is None or options.target is None:
            raise RestoreError("IN and OUT are needed; --help says more")
        if options.tile and options.tile < TILE_MINIMUM:
            raise RestoreError(f"--tile {options.tile}: must be at least {TILE_MINIMUM} pixels")
        if options.device == "cuda" and not torch.cuda.is_available():
            raise RestoreError("--device cuda: torch finds no GPU here")
        pairs = plan(options.source, options.target)
        chosen = None
        if options.checkpoint or options.sigma != "auto" or not TASKS[options.task].sigmas:
            chosen = choose(options.checkpoint, options.task, options.sigma, runs.SHIPPED)
        device = torch.device(options.device or runs.best_device())
        failed = restore_files(chosen, pairs, device, options.tile)
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
