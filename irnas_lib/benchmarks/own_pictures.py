"""What `restore` makes of noisy files that no network has seen: `python -m irnas_lib.benchmarks.own_pictures`.

Colour photographs of scikit-image and test pictures of BSD500 (with --grey their luma), with noise of each of
FILE_SIGMAS as a file holds it, go through the command as files, and beside it through BM3D (the optional package
bm3d). Each score is a row of checkpoints/own_pictures.csv as soon as it is known, and is not measured again: the same
command goes on. `restore` is measured again where it takes another network than it did.
"""

import argparse
import csv
import io
import itertools
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import TypeAdapter
from scipy.stats import sem
from skimage import data as photographs
from tqdm import tqdm
from typing_extensions import TypedDict

from irnas_lib import command, restore
from irnas_lib.baselines.bm3d import bm3d, bm3d_rgb
from irnas_lib.data import datasets
from irnas_lib.data.datasets import FILE_SIGMAS, Picture, noisy_file
from irnas_lib.data.pictures import to_array, to_tensor, write_picture
from irnas_lib.evaluation.inference import spread
from irnas_lib.evaluation.validation import middle
from irnas_lib.experiments import runs
from irnas_lib.figures.before_after import side_by_side
from irnas_lib.files import append_line, problem, whole_lines
from irnas_lib.metrics import psnr
from irnas_lib.restore.denoiser import Denoiser
from irnas_lib.restore.noise import estimated_sigma
from irnas_lib.restore.pictures import read as read_photo
from irnas_lib.tables.comparison import over_pictures

FILE = runs.SHIPPED / "own_pictures.csv"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
METHODS = ("input", "restore", "BM3D, true sigma", "BM3D, estimate")
COLUMNS = ("picture", "side", "channels", "sigma", "method", "network", "psnr", "seconds")  # side: 0 for whole pictures
ROW = TypeAdapter(TypedDict("Row", dict.fromkeys(COLUMNS[:6], str) | {"psnr": float, "seconds": float}))


def pictures(number: int, side: int, folder: str | None = None, grey: bool = False) -> list[Picture]:
    """Clean pictures, those of scikit-image between those of BSD500's test set: `number` in all, and of them the middle
    of `side` pixels, 0 for all of them. grey: PIL's luma of each."""
    mode, data = ("L", ("file_grey", "BSD500-grey-files")) if grey else ("RGB", ("file_rgb", "BSD500-RGB-files"))
    embedded = [Picture(name, np.atleast_3d(Image.fromarray(getattr(photographs, name)()).convert(mode)))
                for name in PHOTOGRAPHS]
    tested = datasets.load(*data, folder).test
    chosen = [picture._replace(degraded=None) for picture in spread(tested, max(1, number - len(embedded)))]
    mixed = [picture for pair in itertools.zip_longest(embedded, chosen) for picture in pair if picture][:number]
    return middle(mixed, side) if side else mixed


def network_for(array: np.ndarray, denoiser: Denoiser) -> str:
    """The name of the network that `restore` takes; empty where it leaves the picture as it is."""
    _, network = denoiser.fitting(array)
    return network.stem if network else ""


def restored(method: str, array: np.ndarray, sigma: float) -> np.ndarray:
    """What a method makes of a noisy picture, uint8 (H, W, C), as a file holds it. ModuleNotFoundError without bm3d."""
    if method == "input":
        return array
    if method == "restore":
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "noisy.png"), Path(folder, "restored.png")
            write_picture(source, array)
            if restore.main([str(source), str(target)]):
                raise RuntimeError("restore failed")
            return read_photo(target).array
    known = sigma if method == "BM3D, true sigma" else estimated_sigma(array)
    denoise = bm3d if array.shape[2] == 1 else bm3d_rgb
    return to_array(denoise(to_tensor(array).unsqueeze(0), known)[0]) if known else array


def measure(chosen: Iterable[Picture], side: int, methods: Sequence[str], file: Path = FILE,
            minutes: float = float("inf")) -> None:
    """Adds to `file` what it lacks; begins nothing new after so many minutes."""
    done, end = {key(row) for row in read(file)}, time.monotonic() + 60 * minutes
    denoiser = Denoiser()
    for picture, sigma in tqdm([(picture, sigma) for picture in chosen for sigma in FILE_SIGMAS], unit="file"):
        noisy = noisy_file(picture, sigma).degraded
        for method in methods:
            row = {"picture": picture.name, "side": str(side), "channels": str(noisy.shape[2]), "sigma": str(sigma),
                   "method": method, "network": network_for(noisy, denoiser) if method == "restore" else ""}
            if key(row) in done or time.monotonic() > end:
                continue
            began = time.monotonic()
            array = restored(method, noisy, sigma)
            score = psnr(*(to_tensor(image).unsqueeze(0) for image in (array, picture.clean))).item()
            append(file, row | {"psnr": f"{score:.4f}", "seconds": f"{time.monotonic() - began:.2f}"})


def key(row: dict) -> tuple:
    """What makes two rows the same measurement."""
    return tuple(row[name] for name in COLUMNS[:6])


def example(file: Path) -> None:
    """Writes a photograph of scikit-image before and after `restore`, as README shows it."""
    noisy = noisy_file(Picture("chelsea", photographs.chelsea()), 25).degraded
    write_picture(file, side_by_side(noisy, restored("restore", noisy, 25)))


def read(file: Path = FILE) -> list[dict]:
    """The rows that are known, none where there is no file. Raises ValueError, which names the file, for a damaged
    one."""
    rows = list(csv.DictReader(whole_lines(file)))
    for number, row in enumerate(rows, 2):
        if wrong := problem(row, ROW):
            raise ValueError(f"{file}, line {number}: {wrong}")
    return rows


def append(file: Path, row: dict) -> None:
    """Adds a row, and the header before the first."""
    for values in [row] if whole_lines(file) else [{name: name for name in COLUMNS}, row]:
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, lineterminator="").writerow(values)
        append_line(file, text.getvalue())


def table(rows: Sequence[dict], side: int, grey: bool = False) -> str:
    """A Markdown table: mean PSNR by sigma and method, over the pictures that all methods have at that sigma; then by
    how much `restore` is above BM3D with the same estimate, with the half-width of the 95% interval over pictures; a
    dash where a picture came back as it went in. Last the picture that fares worst: the gain of `restore` over the
    input, or of clean ones the PSNR at which it comes back.

    Of several rows of `restore` for one file the last counts. Pictures that come back as they went in have no PSNR and
    are counted apart.
    """
    scores: dict[tuple, dict[str, float]] = {}
    for row in rows:
        if (row["side"], row["channels"]) == (str(side), "1" if grey else "3"):
            scores.setdefault((row["sigma"], row["method"]), {})[row["picture"]] = float(row["psnr"])
    heads = ["sigma", "pictures", *METHODS, "restore above BM3D, estimate", "restore at its worst"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for sigma in map(str, FILE_SIGMAS):
        found = [scores.get((sigma, method), {}) for method in METHODS]
        shared = set.intersection(*map(set, found))
        cells = [_mean([by_picture[name] for name in shared]) for by_picture in found]
        by_method = dict(zip(METHODS, found))
        above = [by_method["restore"][name] - by_method["BM3D, estimate"][name] for name in shared]
        worst = _worst({name: (by_method["input"][name], by_method["restore"][name]) for name in shared})
        lines.append(f"| {sigma} | {len(shared)} | {' | '.join(cells)} | {_difference(above)} | {worst} |")
    return "\n".join(lines)


def _mean(scores: Sequence[float]) -> str:
    finite = [score for score in scores if np.isfinite(score)]
    words = [f"{np.mean(finite):.2f}"] if finite else []
    same = len(scores) - len(finite)
    return ", ".join(words + ([f"{same} unchanged"] if same else [])) or "not run"


def _difference(values: Sequence[float]) -> str:
    if len(values) < 2 or not np.isfinite(values).all():
        return "-"
    return f"{np.mean(values):+.2f} ± {over_pictures(sem(values), len(values)):.2f}"


def _worst(scores: dict[str, tuple[float, float]]) -> str:
    """scores: of the input and of `restore`, by picture."""
    if not scores:
        return "-"
    if all(np.isinf(noisy) for noisy, _ in scores.values()):
        return f"{min(restored for _, restored in scores.values()):.1f} dB"
    return f"{min(restored - noisy for noisy, restored in scores.values()):+.1f} dB over the input"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.benchmarks.own_pictures",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=command.number(1), default=24, help="pictures (default 24)")
    parser.add_argument("--side", type=command.number(0), default=0,
                        help="of the middle that is taken; default: whole pictures")
    parser.add_argument("--grey", action="store_true", help="in grey; default: in colour")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="default: all")
    parser.add_argument("--minutes", type=command.minutes, default=float("inf"), help="begin nothing new after so many")
    parser.add_argument("--example", type=Path, metavar="PNG", help="only write README's picture of before and after")
    parser.add_argument("--data", help="folder of the data sets; default: IRNAS_DATA, else data/")
    options = parser.parse_args(arguments)

    def work() -> None:
        if options.example:
            return example(options.example)
        measure(pictures(options.number, options.side, options.data, options.grey), options.side, options.methods,
                minutes=options.minutes)
        print(table(read(), options.side, options.grey))

    return command.exit_status(work, ModuleNotFoundError)


if __name__ == "__main__":
    sys.exit(main())
