"""Which network restores a picture: the shipped ones, the one that is asked for, the one that fits the noise."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from irnas_lib.data.tasks import TASKS
from irnas_lib.experiments import results, runs
from irnas_lib.restore import RestoreError

# Grey levels that an estimate may lie above the sigma of a network: a network bears more noise than it was trained for
# much worse than less.
LEEWAY = 3
LEAST_NOISE = 0.5  # grey levels; rounding to 8 bits alone makes 0.29


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


def fitting(sigma: float, channels: int, candidates: list[results.Result]) -> results.Result | None:
    """Of some results the one whose network fits a picture with noise of about `sigma`; None where there is next to no
    noise. Raises RestoreError where there is no network for noise.

    A network blind to sigma goes first: one of the picture's channels, else a grey one, which takes them one by one.
    """
    if sigma < LEAST_NOISE:
        return None
    blind = [result for result in candidates
             if TASKS[result.task].blind and TASKS[result.task].channels in (1, channels)]
    if blind:
        return max(blind, key=lambda result: (TASKS[result.task].channels == channels, quality(result)))
    levels = sorted({result.sigma for result in candidates if result.task == "denoising"})
    if not levels:
        raise RestoreError("no checkpoint for denoising (--list shows the known ones)")
    return best(candidates, "denoising", next((level for level in levels if level >= sigma - LEEWAY), levels[-1]))


def misfit(result: results.Result, sigma: float, limited: bool = False) -> str:
    """A warning where a network does not fit a picture with noise of about `sigma`, else nothing. limited: whether no
    more than the noise is removed anyway."""
    known = result.sigma or max(TASKS[result.task].blind, default=None)
    if known and sigma > known + LEEWAY:
        return f"its noise seems to be of sigma {sigma:.0f}, and the network knows up to {known:g}: noise may be left"
    if not limited and result.sigma and result.sigma > max(2 * sigma, sigma + 15):
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
