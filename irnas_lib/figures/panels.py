"""Panels: small crops of a few test pictures and of what each system made of them (Figures 3 to 5).

A panel is a PNG of 8 bits, named task-dataset-sigma-picture-what: denoising-BSD500-sigma50-223060-ir_nas.png, with
`clean` and `degraded` beside the systems; tasks without noise levels leave that part out. Figures are drawn from
these files alone, so that they need no data set.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irnas_lib.data import pictures
from irnas_lib.data.datasets import Picture
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation.protocols import Restored
from irnas_lib.evaluation.systems import BASELINES, IR_NAS
from irnas_lib.experiments.config import slug
from irnas_lib.tables import printed


class Crop(NamedTuple):
    """The upper left corner and the side of a square, in pixels."""

    top: int
    left: int
    side: int = 128


# Test pictures with lines, texture and smooth parts.
CROPS = {
    "BSD500": {"16068": Crop(80, 110), "223060": Crop(8, 250)},
    "SIM1800-BSD500": {"0032-146074": Crop(60, 96), "0044-35049": Crop(50, 70)},
    "real-rain": {"60": Crop(100, 300), "92": Crop(150, 300)},
    "Rain800": {"1": Crop(140, 94), "20": Crop(60, 219)},
    "embedded": {"astronaut": Crop(40, 60), "camera": Crop(40, 60), "astronaut-0": Crop(40, 60)},
}
CLEAN, DEGRADED = "clean", "degraded"


def chosen(dataset: str, test: Iterable[Picture]) -> list[Picture]:
    """Those of the test pictures of a data set of which panels are kept; none for a data set without panels."""
    return [picture for picture in test if picture.name in CROPS.get(dataset, {})]


def lacking(folder: str | Path, task: str, dataset: str, sigma: float | None, system: str,
            test: Iterable[Picture]) -> list[Picture]:
    """Those that `chosen` names and of which a folder holds no panel of a system."""
    return [picture for picture in chosen(dataset, test)
            if not _file(folder, task, dataset, sigma, picture.name, slug(system)).is_file()]


def save(folder: str | Path, task: str, dataset: str, sigma: float | None, system: str, item: Restored) -> list[Path]:
    """Writes the crops clean, degraded and restored of one picture, clipped to [0, 1]; returns the files.

    Real rain has no clean side; its Restored has None there.

    Writes nothing for a picture that `chosen` would not name. Raises PictureError where nothing can be written.
    """
    crop = CROPS.get(dataset, {}).get(item.name)
    if crop is None:
        return []
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, picture in ((CLEAN, item.clean), (DEGRADED, item.degraded), (slug(system), item.restored)):
        if picture is None:
            continue
        cut = picture[0, :, crop.top:crop.top + crop.side, crop.left:crop.left + crop.side]
        paths.append(_file(folder, task, dataset, sigma, item.name, kind))
        pictures.write_picture(paths[-1], pictures.to_array(cut))
    return paths


def load(folder: str | Path, task: str, dataset: str, sigma: float | None) -> dict[str, dict[str, np.ndarray]]:
    """The panels of a task, data set and noise level: {picture: {system: uint8 (side, side, 1 or 3)}}.

    Systems go by the names of the tables, in their order, between `degraded` and `clean`; there may be few or none.
    Raises PictureError for a damaged file.
    """
    names = _systems()
    order = [DEGRADED, *names.values()]
    prefix, found = _prefix(task, dataset, sigma), {}
    for path in Path(folder).glob(f"{prefix}*.png"):
        picture, kind = path.stem.removeprefix(prefix).rsplit("-", 1)
        if picture in CROPS.get(dataset, {}):
            mode = "L" if TASKS[task].channels == 1 else "RGB"
            found.setdefault(picture, {})[names.get(kind, kind)] = pictures.read_picture(path, mode)

    def place(name):  # what no table has comes by name behind what they have, `clean` last
        return name == CLEAN, order.index(name) if name in order else len(order), name

    return {picture: {name: crops[name] for name in sorted(crops, key=place)}
            for picture, crops in sorted(found.items())}


def _file(folder: str | Path, task: str, dataset: str, sigma: float | None, picture: str, kind: str) -> Path:
    return Path(folder) / f"{_prefix(task, dataset, sigma)}{picture}-{kind}.png"


def _prefix(task: str, dataset: str, sigma: float | None) -> str:
    return f"{task}-{dataset}-" + ("" if sigma is None else f"sigma{sigma:g}-")


def _systems() -> dict[str, str]:
    """From what stands in a file name to the system's name, in the order of the tables."""
    names = [item.system for item in printed.load()]
    papers = [name for name in names if name.startswith("IR-NAS")]
    names = [name for name in names if name not in papers] + [*BASELINES, *papers, *IR_NAS]
    return {slug(name): name for name in dict.fromkeys(names)}
