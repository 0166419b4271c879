"""Measuring over a test set that takes minutes or hours: each picture's scores are kept as soon as they are known."""

import csv
import functools
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numba
import torch
from tqdm import tqdm

from irnas_lib.data.datasets import Picture
from irnas_lib.evaluation.protocols import Restore, Score, grouped, mean_score, restored_pictures, score
from irnas_lib.files import atomically, whole_lines

Row = list[float]  # seconds, then the three scores of each protocol


def measure(restore: Restore, pictures: Sequence[Picture], protocols: Sequence[str], sigma: float | None, seed: int,
            kept: Path, jobs: int = 1) -> dict[str, Score]:
    """As `protocols.evaluate`, resumable, and with what each picture has and the mean seconds that one takes.

    protocols: those that score the same restored pictures, as `protocols.grouped` puts them together; ValueError for
    others. kept: a CSV file of this very measurement, in which the scores are kept picture by picture; what an earlier
    call has left there is not measured again. jobs: processes of one thread each that restore a picture each, for a
    `restore` that can be pickled; 1: this process.
    """
    if len(grouped(protocols)) != 1:
        raise ValueError(f"{', '.join(protocols)}: not scores of the same restored pictures")
    done = _read(kept, 1 + 3 * len(protocols))
    missing = [picture for picture in pictures if picture.name not in done]
    with atomically(kept) as partial:
        _append(partial, [(name, *values) for name, values in done.items()])
    work = functools.partial(_measure_one, restore, protocols, sigma, seed)
    for name, row in tqdm(_each(work, missing, jobs), total=len(pictures), initial=len(pictures) - len(missing),
                          desc=", ".join(protocols)):
        done[name] = row
        _append(kept, [(name, *row)])
    table = torch.tensor([done[picture.name] for picture in pictures], dtype=torch.float64)
    seconds, scores = table[:, 0].mean().item(), table[:, 1:].unflatten(1, (len(protocols), 3))
    found = {}
    for i, protocol in enumerate(protocols):
        each = {picture.name: [round(psnr, 4), round(ssim, 6)]
                for picture, (psnr, ssim, _) in zip(pictures, scores[:, i].tolist())}
        found[protocol] = mean_score(protocol, scores[:, i], seconds)._replace(each=each)
    return found


def _each(work: Callable[[Picture], tuple[str, Row]], pictures: Sequence[Picture],
          jobs: int) -> Iterator[tuple[str, Row]]:
    if jobs == 1:
        yield from map(work, pictures)
        return
    # Fresh interpreters: a process forked beside torch's threads may hang.
    with multiprocessing.get_context("spawn").Pool(jobs, _begin) as pool:
        yield from pool.imap_unordered(work, pictures)


def _begin() -> None:
    """Each process has one core. Ctrl-C is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    numba.set_num_threads(1)


def _measure_one(restore: Restore, protocols: Sequence[str], sigma: float | None, seed: int,
                 picture: Picture) -> tuple[str, Row]:
    """The picture's name and its row of `kept`."""
    began = time.monotonic()
    (item,) = restored_pictures(lambda x: restore(x).cpu(), [picture], protocols[0], sigma, seed)  # a GPU waits there
    seconds = time.monotonic() - began
    return picture.name, [seconds, *torch.cat([score(item, protocol) for protocol in protocols]).tolist()]


def _read(kept: Path, columns: int) -> dict[str, Row]:
    """By picture: seconds, then the three scores of each protocol; a row that a crash has cut short does not count."""
    rows = csv.reader(whole_lines(kept))
    try:
        return {name: [float(value) for value in values] for name, *values in rows if len(values) == columns}
    except ValueError as error:
        raise ValueError(f"{kept}: damaged; delete it to measure again ({error})") from None


def _append(kept: Path, rows: Iterable[Sequence]) -> None:
    with open(kept, "a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
