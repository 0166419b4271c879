"""Methods that are not trained end to end, and how they are measured: BM3D, WNNM, LP, DSC, and doing nothing.

A picture takes them seconds to minutes on a core. So several pictures are restored at once, one on each core, and every
score is kept as soon as it is known.
"""

import csv
import functools
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numba
import torch
from tqdm import tqdm

from irnas_lib.baselines.bm3d import bm3d, bm3d_rgb
from irnas_lib.baselines.dsc import dsc
from irnas_lib.baselines.lp import fit_background, lp
from irnas_lib.baselines.wnnm import wnnm
from irnas_lib.datasets import Picture
from irnas_lib.files import atomically
from irnas_lib.pictures import to_tensor
from irnas_lib.protocols import Restore, Score, mean_score, restored_pictures, score

METHODS = ("Noisy", "Rainy", "BM3D", "WNNM", "LP", "DSC")


def unchanged(degraded: torch.Tensor) -> torch.Tensor:
    """Does nothing: what any method must beat."""
    return degraded


def restorer(method: str, task: str, sigma: float | None = None, training: Sequence[Picture] = ()) -> Restore:
    """A method as a function from degraded to restored pictures, which other processes can be given.

    sigma: of white noise, for BM3D and WNNM; on a camera's pictures (task "sim1800") BM3D estimates it itself.
    training: pairs; LP fits its background prior to the clean sides.
    Raises ValueError for an unknown method.
    """
    match method:
        case "Noisy" | "Rainy":
            return unchanged
        case "BM3D":
            return bm3d_rgb if task == "sim1800" else functools.partial(bm3d, sigma=sigma)
        case "WNNM":
            return functools.partial(wnnm, sigma=sigma)
        case "LP":
            prior = fit_background([to_tensor(picture.clean) for picture in training])
            return functools.partial(lp, background_prior=prior)
        case "DSC":
            return dsc
    raise ValueError(f"unknown method {method!r} (known: {', '.join(METHODS)})")


def measure(restore: Restore, pictures: Sequence[Picture], protocols: Sequence[str], sigma: float | None, seed: int,
            kept: Path, jobs: int | None = None) -> dict[str, Score]:
    """As `evaluate_together`, several pictures at once, and with the mean seconds that a picture takes on one core.

    kept: a CSV file of this very measurement, in which the scores are kept picture by picture; what an earlier call
    has left there is not measured again. jobs: processes, one a core by default.
    """
    done = _read(kept, 1 + 3 * len(protocols))
    missing = [picture for picture in pictures if picture.name not in done]
    with atomically(kept) as partial:
        _append(partial, [(name, *values) for name, values in done.items()])
    # Fresh interpreters: a process forked beside torch's threads may hang.
    processes = multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count(), _begin)
    bar = tqdm(total=len(pictures), initial=len(pictures) - len(missing), desc=", ".join(protocols))
    with bar, processes as pool:
        work = functools.partial(_measure_one, restore, protocols, sigma, seed)
        for name, row in pool.imap_unordered(work, missing):
            done[name] = row
            _append(kept, [(name, *row)])
            bar.update()
    table = torch.tensor([done[picture.name] for picture in pictures], dtype=torch.float64)
    seconds, scores = table[:, 0].mean().item(), table[:, 1:].unflatten(1, (len(protocols), 3))
    return {protocol: mean_score(protocol, scores[:, i], seconds) for i, protocol in enumerate(protocols)}


def _begin() -> None:
    """Each process has one core. Ctrl-C is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    numba.set_num_threads(1)


def _measure_one(restore: Restore, protocols: Sequence[str], sigma: float | None, seed: int,
                 picture: Picture) -> tuple[str, list[float]]:
    """The picture's name and its row of `kept`."""
    began = time.monotonic()
    (item,) = restored_pictures(restore, [picture], protocols[0], sigma, seed)
    seconds = time.monotonic() - began
    return picture.name, [seconds, *torch.cat([score(item, protocol) for protocol in protocols]).tolist()]


def _read(kept: Path, columns: int) -> dict[str, list[float]]:
    """By picture: seconds, then the three scores of each protocol; a row that a crash has cut short does not count."""
    if not kept.is_file():
        return {}
    *whole, _ = kept.read_text(encoding="utf-8").split("\n")
    return {name: [float(value) for value in values] for name, *values in csv.reader(whole) if len(values) == columns}


def _append(kept: Path, rows: Iterable[Sequence]) -> None:
    with open(kept, "a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
