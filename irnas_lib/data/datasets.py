"""The data sets, decoded once and split: BSD500, SIM1800, Rain800, and photographs that ship with scikit-image.

Section 4.1 of the paper. `load` gives a Dataset; its sha256 names the very files, wherever they lie.
"""

import csv
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irnas_lib.data import camera
from irnas_lib.data.pictures import SUFFIXES, read_picture
from irnas_lib.data.rain import add_rain
from irnas_lib.data.seeds import noise_generator, seed_of
from irnas_lib.data.tasks import TASKS
from irnas_lib.files import data_folder, sha256

BSD500_FOLDER = "BSDS500/data/images"
BSD500_COUNTS = {"train": 200, "val": 100, "test": 200}
SIM1800_COUNTS = {"train": 1600, "test": 212}
SIM1800_NAME = r"SIM1800-[\w.-]+"  # of one that data_scripts/sim1800.py has built from a folder
FILE_SIGMAS = (0, 5, 10, 15, 25, 35, 50)  # of the noisy files that validate and test, one after another
FILES_HELD_OUT = 15  # every so many-th training picture validates
RAIN800_COUNTS = {"training": 700, "test_syn": 100, "test_nature": 52}
SCENES = Path(__file__).with_name("rain800_scenes.csv")
VALIDATION_EVERY = 40  # scenes: two in a hundred, as Section 4.1 has it for the search
ADVICE = "get the data with `python -m {}`, or say where they are in IRNAS_DATA"
SEAM = 16  # columns: a JPEG block of the 4:2:0 chroma, which may straddle the seam between clean and rainy

# Each photograph stands on one side only, in every task.
EMBEDDED = {
    "denoising": {
        "train": ("brick", "clock_motion", "coffee", "coins", "grass", "moon", "motorcycle_left", "rocket"),
        "validation": ("chelsea", "gravel"),
        "test": ("astronaut", "camera"),
    },
    "deraining": {
        "train": ("coffee", "motorcycle_left", "rocket"),
        "validation": ("chelsea",),
        "test": ("astronaut",),
    },
}
EMBEDDED["sim1800"] = EMBEDDED["file_rgb"] = EMBEDDED["deraining"]
EMBEDDED["file_grey"] = EMBEDDED["denoising"]
EMBEDDED_SIDE = 256  # pixels: the upper middle of validation and test pictures, so that a smoke run is quick
EMBEDDED_RAINS = 4  # different rains over each training photograph


class DatasetError(ValueError):
    """A data set that cannot be loaded; the message is one line."""


class MissingError(DatasetError):
    """A data set that is not on this machine."""


class Picture(NamedTuple):
    """One picture or pair, uint8 arrays of one shape (H, W, C).

    `degraded` is None for task "denoising", where the noise is drawn later; `clean` is None for real rain.
    """

    name: str
    clean: np.ndarray | None
    degraded: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Decoded pictures of one task.

    `sha256` is the hash of the lines "SHA-256  relative path" of the files used, sorted by path, as sha256sum
    prints them: the same files give the same hash in any folder.

    `instead_of` names the data set for which embedded pictures stand in (`load_or_embedded`); `sha256` is None then,
    for the hash of the data set's files is not known.
    """

    name: str
    task: str
    train: tuple[Picture, ...]
    validation: tuple[Picture, ...]
    test: tuple[Picture, ...]
    sha256: str | None
    instead_of: str = ""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return self.train[0].clean.shape[2]

    def check_no_stand_in(self) -> None:
        """Raises MissingError for pictures that stand in for others: nothing is searched, trained or measured on them
        for a record."""
        if self.instead_of:
            raise MissingError(f"{self.instead_of} is not on this machine, and no finished run of these parameters is "
                               f"stored; {ADVICE.format('data_scripts.prepare')}, or choose the profile smoke (and "
                               "the dataset embedded, where the page has one)")


def load(task: str, dataset: str, data: str | Path | None = None) -> Dataset:
    """Decode a data set.

    Args:
        task: one of TASKS: "denoising" (grey, PIL's L), "file_grey", "file_rgb" (noisy files), "sim1800" (RGB pairs, a
            camera's noise) or "deraining" (RGB pairs).
        dataset: the task's own, "BSD500", "SIM1800-BSD500" or "Rain800", or "embedded"; another "SIM1800-NAME" that
            data_scripts/sim1800.py has built from a folder NAME.
        data: the folder that holds BSDS500/, SIM1800-BSD500/ or Rain800/; see files.data_folder. "embedded" needs none.

    Raises:
        DatasetError: an unknown or unfitting name, a missing or empty folder, a wrong number of pictures,
            a pair whose halves differ in size.
        PictureError: a file that cannot be decoded.
    """
    if task not in TASKS:
        raise DatasetError(f"unknown task {task!r}: must be one of {', '.join(TASKS)}")
    built = task == "sim1800" and re.fullmatch(SIM1800_NAME, dataset)
    if dataset not in TASKS[task].datasets and not built:
        raise DatasetError(
            f"unknown data set {dataset!r} for {task}: must be one of {', '.join(TASKS[task].datasets)}"
        )
    if dataset == "embedded":
        return _load_embedded(task)
    if built:
        return _load_sim1800(data_folder(data), dataset)
    if TASKS[task].blind:
        return _load_bsd500_files(data_folder(data), task)
    return {"BSD500": _load_bsd500, "Rain800": _load_rain800}[dataset](data_folder(data))


def load_test_set(task: str, name: str, data: str | Path | None = None) -> tuple[Picture, ...]:
    """A further test set of a task's row in TASKS: the pictures of the folder NAME among the data sets, in grey.

    Raises DatasetError for an unknown set, a missing folder or a wrong number of pictures.
    """
    known, folder = TASKS[task].test_sets, data_folder(data) / name
    if name not in known:
        raise DatasetError(f"unknown test set {name!r} for {task} (known: {', '.join(known) or 'none'})")
    files = sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in SUFFIXES)
    if len(files) != known[name]:
        raise DatasetError(f"{folder}: {len(files)} pictures, should be {known[name]}")
    return _decode(_read_grey, files)


def load_or_embedded(task: str, dataset: str, data: str | Path | None = None) -> Dataset:
    """As `load`; where the data set is not on this machine, the embedded pictures instead of it, and says so.

    For pages, which then show the stored record of their run. MissingError, as from `load`, where `data` names a
    folder or the variable IRNAS_DATA_REQUIRED is set, as the batch sets it.
    """
    try:
        return load(task, dataset, data)
    except MissingError:
        if data or os.environ.get("IRNAS_DATA_REQUIRED"):
            raise
    stand_in = replace(load(task, "embedded"), sha256=None, instead_of=dataset)
    print(f"{dataset} is not on this machine. Results on this page are the stored ones of its real run;\n"
          f"whatever the page computes now, it computes on {len(stand_in.train)} training and {len(stand_in.test)} "
          "test pictures that come with scikit-image.")
    return stand_in


def _load_bsd500(data: Path) -> Dataset:
    """200 + 100 training pictures, 200 test pictures. The search splits off its own validation part."""
    files = {
        split: _list_files(data, f"{BSD500_FOLDER}/{split}", count) for split, count in BSD500_COUNTS.items()
    }
    train = sorted(files["train"] + files["val"], key=lambda path: path.stem)
    return Dataset(
        name="BSD500",
        task="denoising",
        train=_decode(_read_grey, train),
        validation=(),
        test=_decode(_read_grey, files["test"]),
        sha256=_hash_files((path.relative_to(data).as_posix(), path) for path in train + files["test"]),
    )


def _load_bsd500_files(data: Path, task: str) -> Dataset:
    """BSD500 as its files are, for networks that know no sigma: clean training pictures; validation and test pictures
    with noise of one of FILE_SIGMAS each, clipped and rounded to 8 bits."""
    files = {split: _list_files(data, f"{BSD500_FOLDER}/{split}", count) for split, count in BSD500_COUNTS.items()}
    training = sorted(files["train"] + files["val"], key=lambda path: path.stem)
    mode = "L" if TASKS[task].channels == 1 else "RGB"

    def clean(path):
        return Picture(path.stem, read_picture(path, mode))
    noisy = [noisy_file(picture, FILE_SIGMAS[i % len(FILE_SIGMAS)])
             for part in (training[::FILES_HELD_OUT], files["test"]) for i, picture in enumerate(_decode(clean, part))]
    held_out = len(training[::FILES_HELD_OUT])
    return Dataset(
        name=TASKS[task].dataset, task=task,
        train=_decode(clean, [path for i, path in enumerate(training) if i % FILES_HELD_OUT]),
        validation=tuple(noisy[:held_out]), test=tuple(noisy[held_out:]),
        sha256=_hash_files((path.relative_to(data).as_posix(), path) for path in training + files["test"]))


def noisy_file(picture: Picture, sigma: float, seed: int = 0) -> Picture:
    """A clean picture with white Gaussian noise of `sigma` grey levels, clipped and rounded to 8 bits."""
    noise = noise_generator(seed, f"{sigma:g}", picture.name, "file").standard_normal(picture.clean.shape)
    return picture._replace(degraded=np.clip(np.round(picture.clean + sigma * noise), 0, 255).astype(np.uint8))


def _load_sim1800(data: Path, name: str) -> Dataset:
    """1600 training pairs and 212 test pairs of 256x256, as data_scripts/sim1800.py builds them."""
    splits, used = {}, []
    for split, count in SIM1800_COUNTS.items():
        clean, degraded = (_list_files(data, f"{name}/{split}/{side}", count, ".png", "data_scripts.sim1800")
                           for side in ("clean", "degraded"))
        if [path.name for path in clean] != [path.name for path in degraded]:
            raise DatasetError(f"{clean[0].parent.parent}: clean and degraded pictures have different names")
        splits[split] = _decode(lambda pair: Picture(pair[0].stem, *map(read_picture, pair)), zip(clean, degraded))
        used += clean + degraded
    return Dataset(name, "sim1800", **splits, validation=(),
                   sha256=_hash_files((path.relative_to(data).as_posix(), path) for path in used))


def _load_rain800(data: Path) -> Dataset:
    """700 training pairs, split by scene, and 100 test pairs.

    Every VALIDATION_EVERYth training scene is for validation. training/460, which shows the clean picture of
    test_syn/6, is in no part.
    """
    pairs, scenes = list_pairs(data), rain800_scenes()
    test = [path for name, path in pairs if name.startswith("test_syn/")]
    tested = {scenes[name] for name, _ in pairs if name.startswith("test_syn/")}
    training = {name: path for name, path in pairs if name.startswith("training/") and scenes[name] not in tested}
    validated = list(dict.fromkeys(scenes[name] for name in training))[::VALIDATION_EVERY]
    return Dataset(
        name="Rain800",
        task="deraining",
        train=_decode(read_pair, [path for name, path in training.items() if scenes[name] not in validated]),
        validation=_decode(read_pair, [path for name, path in training.items() if scenes[name] in validated]),
        test=_decode(read_pair, test),
        sha256=_hash_files((path.relative_to(data).as_posix(), path) for _, path in pairs),
    )


def list_pairs(data: Path) -> list[tuple[str, Path]]:
    """The pairs of Rain800, ("training/1", its file) to ("test_syn/100", its file), in the order of their numbers."""
    pairs = []
    for split in ("training", "test_syn"):
        files = {path.stem: path for path in _list_files(data, f"Rain800/{split}", RAIN800_COUNTS[split])}
        names = [str(number) for number in range(1, RAIN800_COUNTS[split] + 1)]
        if strange := sorted(files.keys() ^ set(names)):
            raise DatasetError(f"{data / 'Rain800' / split}: pictures 1 to {len(names)} should be there, and no other; "
                               f"see {strange[0]}")
        pairs += [(f"{split}/{name}", files[name]) for name in names]
    return pairs


def rain800_scenes() -> dict[str, str]:
    """The scene of each pair of Rain800, called as its first pair; data_scripts/scenes.py has found them."""
    with open(SCENES, newline="", encoding="utf-8") as file:
        return {row["picture"]: row["scene"] for row in csv.DictReader(file)}


def load_real_rain(data: str | Path | None = None) -> tuple[Picture, ...]:
    """The 52 photographs of real rain in Rain800/test_nature, RGB; nobody has their clean side (None).

    Each file holds the same photograph twice, side by side; the right half is taken.
    """
    files = _list_files(data_folder(data), "Rain800/test_nature", RAIN800_COUNTS["test_nature"])
    return _decode(lambda path: read_pair(path)._replace(clean=None), files)


def read_pair(path: Path) -> Picture:
    """Read a file of Rain800: the clean picture on the left, the rainy one on the right, RGB.

    Pixel (y, x) of both halves is the same place of the scene. The seam spoils the last SEAM columns of the
    left half and the first SEAM columns of the right one; to stay aligned, both halves lose both.

    Raises:
        DatasetError: halves that differ in size, or too narrow.
        PictureError: a file that cannot be decoded.
    """
    both = read_picture(path)
    width = both.shape[1]
    if width % 2:
        raise DatasetError(f"{path}: {width} columns are no pair, its halves differ in size")
    half = width // 2
    if half <= 2 * SEAM:
        raise DatasetError(f"{path}: halves of {half} columns, too narrow to drop the seam")
    keep = slice(SEAM, half - SEAM)
    # Copies, so that the dropped columns are not kept in memory.
    return Picture(path.stem, both[:, :half][:, keep].copy(), both[:, half:][:, keep].copy())


def _read_grey(path: Path) -> Picture:
    return Picture(path.stem, read_picture(path, "L"))


def _load_embedded(task: str) -> Dataset:
    """Photographs inside the installed scikit-image: grey, or RGB in synthetic rain or by a simulated camera."""
    folder = Path(str(resources.files("skimage"))) / "data"
    splits, used = {}, []
    for split, names in EMBEDDED[task].items():
        files = [_embedded_file(folder, name) for name in names]
        used += [(f"{split}/{path.name}", path) for path in files]
        cleans = [(path.stem, read_picture(path, "L" if TASKS[task].channels == 1 else "RGB")) for path in files]
        if split != "train" or task == "sim1800":
            cleans = [(name, _upper_middle(clean, EMBEDDED_SIDE)) for name, clean in cleans]
        if TASKS[task].blind and split != "train":
            splits[split] = tuple(noisy_file(Picture(name, clean), FILE_SIGMAS[-1 - i])
                                  for i, (name, clean) in enumerate(cleans))
        elif TASKS[task].sigmas or TASKS[task].blind:
            splits[split] = tuple(Picture(name, clean) for name, clean in cleans)
        elif task == "sim1800":
            splits[split] = tuple(_photographed(name, clean) for name, clean in cleans)
        else:
            rains = EMBEDDED_RAINS if split == "train" else 1
            splits[split] = tuple(
                _rainy(name, clean, rain) for name, clean in cleans for rain in range(rains)
            )
    return Dataset("embedded", task, **splits, sha256=_hash_files(used))


def _embedded_file(folder: Path, name: str) -> Path:
    for suffix in (".png", ".jpg"):
        if (folder / (name + suffix)).is_file():
            return folder / (name + suffix)
    raise DatasetError(f"the installed scikit-image has no picture {name!r}; another version is needed")


def _upper_middle(array: np.ndarray, side: int) -> np.ndarray:
    left = max(0, (array.shape[1] - side) // 2)
    return np.ascontiguousarray(array[:side, left : left + side])


def _rainy(name: str, clean: np.ndarray, rain: int) -> Picture:
    degraded = np.round(add_rain(clean / np.float32(255), seed_of(name, rain)) * 255).astype(np.uint8)
    return Picture(f"{name}-{rain}", clean, degraded)


def _photographed(name: str, clean: np.ndarray) -> Picture:
    rng = noise_generator(name, "shot")
    return Picture(name, clean, camera.photograph(camera.srgb_to_linear(clean / 255), camera.draw_parameters(rng), rng))


def _list_files(data: Path, folder: str, expected: int, suffix: str = ".jpg",
                script: str = "data_scripts.prepare") -> list[Path]:
    """The files of data/folder with that suffix, sorted by name; others there, such as Thumbs.db and what a killed run
    has left, do not count."""
    advice = ADVICE.format(script)
    if not data.is_dir():
        raise MissingError(f"{data}: no such data folder; {advice}")
    if not (data / folder).is_dir():
        raise MissingError(f"{data}: has no folder {folder}; {advice}")
    found = (path for path in (data / folder).glob("[!.]*") if path.suffix.lower() == suffix)
    files = sorted(found, key=lambda path: path.stem)
    if len(files) != expected:
        raise DatasetError(f"{data / folder}: {len(files)} pictures, should be {expected}; {advice}")
    return files


def _decode(read: Callable[..., Picture], files: Iterable) -> tuple[Picture, ...]:
    """Read files in threads (PIL's decoders release the interpreter lock), in the order given."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(read, files))


def _hash_files(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, path in sorted(files):
        total.update(f"{sha256(path)}  {name}\n".encode())
    return total.hexdigest()
