"""Build pairs of clean and noisy patches with a simulated camera: "SIM1800 (rebuilt from BSD500)".

    python -m data_scripts.sim1800
    python -m data_scripts.sim1800 --from photographs

The paper's SIM1800 was picked by hand from 25,000 patches of MIT-Adobe FiveK and never published. This is another data
set, made in its way: 1600 + 212 pairs of 256x256 pixels, degraded by the camera of irnas_lib/data/camera.py. They come
from BSD500, which is at hand: the training pairs from its train and val pictures, the test pairs from its test
pictures.

--from takes any folder of photographs instead, at least some 350 in sRGB: PNG, JPEG, or TIFF of 8 or 16 bits a channel.
Every eighth is for the test. FiveK (50 GB) is at https://data.csail.mit.edu/graphics/fivek/; its TIFF files must be
exported in sRGB first.

The pairs go to DATA/SIM1800-BSD500/{train,test}/{clean,degraded}/NNNN-picture.png, 8-bit sRGB; those of a FOLDER to
DATA/SIM1800-FOLDER, which is that data set's name in notebooks and profiles.toml. What was drawn and decided for each
patch, kept or not, is in {train,test}/list.csv. A patch is kept unless the clean one is flat or clipped, or the PSNR of
the degraded one is out of a band. The same command gives the same files, also when interrupted.
"""

import argparse
import csv
import math
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
import scipy
from PIL import features
from scipy.ndimage import gaussian_filter
from skimage import io
from tqdm import tqdm

from data_scripts import prepare
from irnas_lib.command import exit_status, number
from irnas_lib.data import camera
from irnas_lib.data.datasets import BSD500_FOLDER, SIM1800_COUNTS, SIM1800_NAME
from irnas_lib.data.pictures import SUFFIXES, PictureError, read_picture, to_tensor, write_picture
from irnas_lib.data.seeds import noise_generator
from irnas_lib.files import atomically, data_folder, sha256
from irnas_lib.metrics import psnr

NAME = "SIM1800-BSD500"
LIST = "list.csv"
SEED = 1800
SIDE = 256  # pixels
PLACES = (2, 3)  # of patches along the short and the long side of a picture; they may overlap
REDUCTION = 4  # at most, of large photographs
FOLDER_TEST = 8  # every eighth picture of a folder is for the test

FLAT = 12  # grey levels: a patch whose luma has a smaller standard deviation
CLIPPED = 0.2  # a patch with a larger share of pixels that have a channel at 0 or 255
BAND = (19, 36)  # dB: outside, the scene is lost in the noise, or there is hardly any

COLUMNS = ("patch", "picture", "top", "left", "verdict", "psnr", *camera.Parameters._fields, "clean", "degraded")


class BuildError(RuntimeError):
    """A source that does not serve; the message is one line."""


class Candidate(NamedTuple):
    """One patch of a picture: its place is number `turn` of the picture's places, in an order drawn for the picture."""

    source: Path
    picture: str  # path below the source
    turn: int


class Examined(NamedTuple):
    """What was drawn and decided, columns of the list, and the patches, uint8 (SIDE, SIDE, 3); of a picture that is too
    small there are none."""

    row: dict[str, str]
    clean: np.ndarray | None = None
    degraded: np.ndarray | None = None


def read_linear(path: Path) -> np.ndarray:
    """A photograph as linear RGB, (H, W, 3) in [0, 1]; a large one blurred and reduced as far as SIDE allows.

    Raises PictureError for a file that cannot be used.
    """
    levels = _read_tiff(path) if path.suffix.lower() in (".tif", ".tiff") else read_picture(path)
    linear = camera.srgb_to_linear(levels / np.iinfo(levels.dtype).max)
    factor = min(REDUCTION, min(linear.shape[:2]) // SIDE)
    if factor > 1:
        linear = gaussian_filter(linear, factor, axes=(0, 1))[::factor, ::factor].clip(0, 1)
    return linear


def _read_tiff(path: Path) -> np.ndarray:
    """PIL has no RGB of 16 bits a channel."""
    try:
        levels = io.imread(path)
    except (OSError, ValueError) as error:
        raise PictureError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if levels.dtype not in (np.uint8, np.uint16) or levels.ndim != 3 or levels.shape[2] != 3:
        raise PictureError(f"{path}: {levels.dtype} {levels.shape}, should be RGB of 8 or 16 bits a channel")
    return levels


def corners(height: int, width: int) -> list[tuple[int, int]]:
    """The upper left corners (top, left) of up to six patches, spread evenly; none where the picture is too small."""
    if min(height, width) < SIDE:
        return []
    rows, columns = PLACES if height < width else PLACES[::-1]
    tops, lefts = (np.unique(np.linspace(0, side - SIDE, number).round().astype(int)).tolist()
                   for side, number in ((height, rows), (width, columns)))
    return [(top, left) for top in tops for left in lefts]


def candidates(source: Path, paths: Iterable[Path]) -> list[Candidate]:
    """All patches in a drawn order: one of each picture, then a second of each, and so on."""
    pictures = sorted(path.relative_to(source).as_posix() for path in paths)
    noise_generator(SEED, "order").shuffle(pictures)
    return [Candidate(source, picture, turn) for turn in range(math.prod(PLACES)) for picture in pictures]


def examine(candidate: Candidate) -> Examined:
    """Cut the patch, take it through the camera and decide whether it is kept."""
    source, picture, turn = candidate
    linear = read_linear(source / picture)
    places = noise_generator(SEED, picture).permutation(corners(*linear.shape[:2])).tolist()
    if turn >= len(places):
        return Examined({"picture": picture, "verdict": "too small"})
    top, left = places[turn]
    linear = linear[top:top + SIDE, left:left + SIDE]
    clean = camera.quantise(camera.linear_to_srgb(linear))
    rng = noise_generator(SEED, picture, turn)
    parameters = camera.draw_parameters(rng)
    degraded = camera.photograph(linear, parameters, rng)
    decibels = psnr(to_tensor(degraded)[None], to_tensor(clean)[None]).item()
    row = {"picture": picture, "top": top, "left": left, "verdict": verdict(clean, decibels), "psnr": f"{decibels:.3f}",
           **{name: f"{value:.5g}" for name, value in parameters._asdict().items()}}
    return Examined(row, clean, degraded)


def verdict(clean: np.ndarray, decibels: float) -> str:
    """"kept", or the first rule that a patch breaks."""
    if (clean @ camera.TO_YUV[0]).std() < FLAT:
        return "flat"
    if ((clean == 0) | (clean == 255)).any(axis=-1).mean() > CLIPPED:
        return "clipped"
    return "kept" if BAND[0] <= decibels <= BAND[1] else "out of band"


def build_split(source: Path, paths: Sequence[Path], folder: Path, count: int, jobs: int) -> None:
    """Make `count` pairs and their list in `folder`, going on after what an earlier build has left there.

    Raises:
        BuildError: too few patches pass.
        PictureError: a photograph that cannot be used.
    """
    if not paths:
        raise BuildError(f"{source}: too few photographs for {folder.name}")
    order = candidates(source, paths)
    rows = [row for row, _ in takewhile(lambda pair: _is_done(folder, *pair), zip(_read_list(folder), order))]
    kept = sum(row["verdict"] == "kept" for row in rows)
    for side in ("clean", "degraded"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    with atomically(folder / LIST) as partial:
        _append(partial, [dict(zip(COLUMNS, COLUMNS)), *rows])
    if kept == count:
        return
    bar = tqdm(desc=folder.name, total=count, initial=kept, unit="pair", disable=None)
    # Fresh interpreters: a process forked beside torch's threads may hang. Ctrl-C is for the parent alone.
    processes = multiprocessing.get_context("spawn").Pool(jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    with bar, processes as pool:
        for row, clean, degraded in pool.imap(examine, order[len(rows):]):
            if row["verdict"] == "kept":
                kept += 1
                row["patch"] = f"{kept:04}-{Path(row['picture']).stem}.png"
                for side, patch in (("clean", clean), ("degraded", degraded)):
                    write_picture(folder / side / row["patch"], patch)
                    row[side] = _sha256(folder / side / row["patch"])
                bar.update()
            _append(folder / LIST, [row])
            if kept == count:
                return
    raise BuildError(f"{source}: only {kept} of {count} patches for {folder.name} pass; more photographs are needed")


def remove_strays(folder: Path) -> None:
    """Remove patches that the list does not keep: an earlier build from other photographs has left them."""
    listed = {row["patch"] for row in _read_list(folder)}
    for path in [path for side in ("clean", "degraded") for path in (folder / side).glob("*.png")]:
        if path.name not in listed:
            path.unlink()


def _is_done(folder: Path, row: dict[str, str], candidate: Candidate) -> bool:
    """Whether a row of an earlier list is about this candidate and its files are as they were."""
    return row["picture"] == candidate.picture and (row["verdict"] != "kept" or all(
        row[side] == _sha256(folder / side / row["patch"]) for side in ("clean", "degraded")))


def _sha256(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def _read_list(folder: Path) -> list[dict[str, str]]:
    """The rows of an earlier list up to the first that is damaged or cut off."""
    if not (folder / LIST).is_file():
        return []
    header, *lines = (folder / LIST).read_text(encoding="utf-8", errors="replace").split("\n")
    if header != ",".join(COLUMNS):
        return []
    return list(takewhile(_is_whole, map(_row, lines[:-1])))


def _row(line: str) -> dict[str, str]:
    try:
        return dict(zip(COLUMNS, next(csv.reader([line])), strict=True))
    except (StopIteration, ValueError, csv.Error):
        return {}


def _is_whole(row: dict[str, str]) -> bool:
    """Whether a row is as `build_split` writes them."""
    if row.keys() != set(COLUMNS):
        return False
    kept, small = row["verdict"] == "kept", row["verdict"] == "too small"
    number = "" if small else r"\d+(\.\d+)?(e-\d+)?"
    shapes = dict.fromkeys(COLUMNS, number) | dict.fromkeys(("clean", "degraded"), "[0-9a-f]{64}" if kept else "") | {
        "patch": rf"\d{{4,}}-{re.escape(Path(row['picture']).stem)}\.png" if kept else "", "picture": ".+",
        "verdict": "kept|flat|clipped|out of band|too small"}
    return all(re.fullmatch(shape, row[column]) for column, shape in shapes.items())


def _append(path: Path, rows: Iterable[dict[str, str]]) -> None:
    with open(path, "a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(rows)


def bsd500_pictures(source: Path) -> dict[str, list[Path]]:
    """The pictures of each split: train and val together, and test."""
    if not source.is_dir():
        raise BuildError(f"{source}: no such folder; get BSD500 with `python -m data_scripts.prepare`, or say --from")
    return {"train": _pictures(source / "train") + _pictures(source / "val"), "test": _pictures(source / "test")}


def folder_pictures(source: Path) -> dict[str, list[Path]]:
    """The pictures of a folder and the folders in it; every eighth is for the test."""
    paths = _pictures(source)
    test = paths[::FOLDER_TEST]
    del paths[::FOLDER_TEST]
    return {"train": paths, "test": test}


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BuildError(f"{folder}: no such folder")
    return sorted(path for path in folder.rglob("[!.]*") if path.suffix.lower() in SUFFIXES)


def check(data: Path) -> None:
    """Compare a default build with the published hashes and warn where it differs."""
    expected = prepare.read_list(NAME)
    wrong = prepare.find_missing(data, expected)
    if wrong:
        versions = (f"NumPy {np.__version__}, SciPy {scipy.__version__}, Pillow {PIL.__version__} with "
                    f"libjpeg-turbo {features.version('libjpeg_turbo')} and zlib {features.version('zlib')}")
        print(f"warning: {len(wrong)} of {len(expected)} files differ from {NAME}.sha256, the first: {min(wrong)}; "
              f"other libraries, or OpenBLAS's kernels for another CPU (OPENBLAS_CORETYPE), may round or compress "
              f"otherwise (here: {versions})", file=sys.stderr)
    else:
        print(f"all {len(expected)} files are as published")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data_scripts.sim1800", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, metavar="FOLDER",
                        help="a folder of photographs (default: BSD500 in the data folder, IRNAS_DATA or data/)")
    parser.add_argument("--data", type=Path, metavar="FOLDER",
                        help="where to put the pairs (default: the data folder)")
    parser.add_argument("--jobs", type=number(1), default=os.cpu_count(), help="processes (default: one a core)")
    options = parser.parse_args(arguments)
    data = data_folder(options.data)
    source = options.source or data_folder() / BSD500_FOLDER
    folder = data / (f"SIM1800-{os.path.basename(os.path.realpath(source))}" if options.source else NAME)
    if options.source and folder.name == NAME:
        parser.error(f"--from: a folder of this name would take the place of {NAME}; call it otherwise")
    if not re.fullmatch(SIM1800_NAME, folder.name):
        parser.error(f"--from: the data set would be called {folder.name!r}; call the folder by letters, digits, . _ -")
    os.environ["OMP_NUM_THREADS"] = "1"  # in the processes: they share the cores already

    def work():
        for split, paths in (folder_pictures if options.source else bsd500_pictures)(source).items():
            build_split(source, paths, folder / split, SIM1800_COUNTS[split], options.jobs)
            remove_strays(folder / split)
        print(f"{folder}: {SIM1800_COUNTS['train']} + {SIM1800_COUNTS['test']} pairs")
        if not options.source:
            check(data)
    return exit_status(work, BuildError)


if __name__ == "__main__":
    sys.exit(main())
