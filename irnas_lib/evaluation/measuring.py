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
TOGETHER = 2 ** 19  # pixels that a GPU restores at a time


def measure(restore: Restore, pictures: Sequence[Picture], protocols: Sequence[str], sigma: float | None, seed: int,
            kept: Path, jobs: int = 1) -> dict[str, Score]:
    """As `protocols.evaluate`, resumable, and with what each picture has and the mean seconds that one takes.

    protocols: those that score the same restored pictures, as `protocols.grouped` puts them together; ValueError for
    others. kept: a CSV file of this very measurement, in which the scores are kept picture by picture; what an earlier
    call has left there is not measured again. jobs: processes of one thread each that restore a picture each, for a
    `restore` that can be pickled; 1: this process. Where `restore` has a `device` that is no CPU, pictures of one size
    are restored several at a time, and scored there.
    """
    if len(grouped(protocols)) != 1:
        raise ValueError(f"{', '.join(protocols)}: not scores of the same restored pictures")
    done = _read(kept, 1 + 3 * len(protocols))
    missing = [picture for picture in pictures if picture.name not in done]
    with atomically(kept) as partial:
        _append(partial, [(name, *values) for name, values in done.items()])
    on_cpu = getattr(restore, "device", torch.device("cpu")).type == "cpu"
    batches = [[picture] for picture in missing] if on_cpu else together(missing, TOGETHER)
    work = functools.partial(_measure_batch, restore, protocols, sigma, seed)
    with tqdm(total=len(pictures), initial=len(pictures) - len(missing), desc=", ".join(protocols)) as bar:
        for rows in _each(work, batches, jobs):
            done.update(rows)
            _append(kept, [(name, *row) for name, row in rows.items()])
            bar.update(len(rows))
    table = torch.tensor([done[picture.name] for picture in pictures], dtype=torch.float64)
    seconds, scores = table[:, 0].mean().item(), table[:, 1:].unflatten(1, (len(protocols), 3))
    found = {}
    for i, protocol in enumerate(protocols):
        each = {picture.name: [round(psnr, 4), round(ssim, 6)]
                for picture, (psnr, ssim, _) in zip(pictures, scores[:, i].tolist())}
        found[protocol] = mean_score(protocol, scores[:, i], seconds)._replace(each=each)
    return found


def together(pictures: Sequence[Picture], pixels: int) -> list[list[Picture]]:
    """The pictures in batches of one size, each of at most so many pixels, or of one picture."""
    by_size: dict[tuple, list[Picture]] = {}
    for picture in pictures:
        by_size.setdefault(picture.clean.shape, []).append(picture)
    return [same[start:start + number] for size, same in by_size.items()
            for number in [max(1, pixels // (size[0] * size[1]))] for start in range(0, len(same), number)]


def _each(work: Callable[[list[Picture]], dict[str, Row]], batches: list[list[Picture]],
          jobs: int) -> Iterator[dict[str, Row]]:
    if jobs == 1:
        yield from map(work, batches)
        return
    # Fresh interpreters: a process forked beside torch's threads may hang.
    with multiprocessing.get_context("spawn").Pool(jobs, _begin) as pool:
        yield from pool.imap_unordered(work, batches)


def _begin() -> None:
    """Each process has one core. Ctrl-C is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    numba.set_num_threads(1)


def _measure_batch(restore: Restore, protocols: Sequence[str], sigma: float | None, seed: int,
                   pictures: list[Picture]) -> dict[str, Row]:
    """By the names of pictures of one size, which are restored together, their rows of `kept`."""
    began = time.monotonic()
    items = list(restored_pictures(restore, pictures, protocols[0], sigma, seed, len(pictures)))
    if items[0].restored.is_cuda:
        torch.cuda.synchronize(items[0].restored.device)
    seconds = (time.monotonic() - began) / len(pictures)
    scores = torch.stack([torch.cat([score(item, protocol) for protocol in protocols]) for item in items])
    return {item.name: [seconds, *row] for item, row in zip(items, scores.tolist())}


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
