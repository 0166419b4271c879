"""Which pairs of Rain800 show the same scene: `python -m data_scripts.scenes` writes irnas_lib/data/rain800_scenes.csv.

The 700 training pairs have 369 clean photographs, most of them under two rains; the 100 test pairs have 76. A training
pair beside a validation pair of the same photograph would make the validation a test of memory. Clean halves are
compared as 32x32 thumbnails: the same photograph correlates above 0.995, two shots of the same view above 0.95.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse.csgraph import connected_components

from irnas_lib.command import exit_status
from irnas_lib.data.datasets import SCENES, list_pairs, read_pair
from irnas_lib.files import atomically, data_folder

SIDE = 32  # pixels
SAME_PHOTOGRAPH, SAME_SCENE = 0.995, 0.95  # correlation of two thumbnails


def thumbnail(clean: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> (SIDE * SIDE,), of mean 0 and length 1."""
    small = Image.fromarray(clean).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    flat = np.asarray(small, dtype=float).ravel()
    flat -= flat.mean()
    return flat / np.linalg.norm(flat)


def groups(thumbnails: Sequence[np.ndarray], threshold: float) -> np.ndarray:
    """For each thumbnail the index of the first one that is linked with it by correlations above `threshold`."""
    stacked = np.stack(thumbnails)
    _, labels = connected_components(stacked @ stacked.T > threshold)
    _, first = np.unique(labels, return_index=True)
    return first[labels]


def rows(data: Path) -> list[dict[str, str]]:
    """picture, photograph, scene; the latter two named by their first picture, training before test."""
    found = list_pairs(data)
    names = [name for name, _ in found]
    thumbnails = [thumbnail(read_pair(path).clean) for _, path in found]
    same = {column: groups(thumbnails, threshold)
            for column, threshold in (("photograph", SAME_PHOTOGRAPH), ("scene", SAME_SCENE))}
    return [{"picture": name} | {column: names[first[i]] for column, first in same.items()}
            for i, name in enumerate(names)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data_scripts.scenes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SCENES, help="default: the list that the library reads")
    options = parser.parse_args(arguments)

    def work():
        found = rows(data_folder())
        with atomically(options.out) as partial, open(partial, "w", newline="") as file:
            writer = csv.DictWriter(file, found[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)
        for split in ("training", "test_syn"):
            for column in ("photograph", "scene"):
                number = len({row[column] for row in found if row["picture"].startswith(split)})
                print(f"{split}: {number} {column}s")
    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
