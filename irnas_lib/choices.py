"""What each choice of a training recipe is worth: short trainings that differ in one choice, on validation pictures.

The pictures that a choice is judged on are never trained on, and none of them is a test picture. A training of one
choice has the same pixels, first weights and batches as one of another with the same seed, as far as the choice lets it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from irnas_lib import systems
from irnas_lib.datasets import Picture
from irnas_lib.files import atomically
from irnas_lib.inference import restorer
from irnas_lib.metrics import frame_psnr, psnr, ssim
from irnas_lib.pictures import to_tensor
from irnas_lib.protocols import degraded_side
from irnas_lib.recipes import Recipe

HELD_OUT = 15  # every so many-th training picture validates


class Choice(NamedTuple):
    """One training: `question` is what it answers against the choice "base"."""

    name: str
    question: str
    recipe: Recipe
    system: str = "IR-NAS + residual"
    batch: int = 2
    crop: int = 64

    def iterations(self, pixels: int) -> int:
        """The steps that see so many pixels."""
        return round(pixels / (self.batch * self.crop ** 2))


RECIPE = Recipe("AdamW", lr=1e-3, schedule="cosine", weight_decay=1e-4, warmup=500, loss_lambda=0.0, padded=True)
BASE = Choice("base", "", RECIPE)


def _other(name: str, question: str, recipe: dict | None = None, **changes) -> Choice:
    return BASE._replace(name=name, question=question, recipe=replace(RECIPE, **recipe or {}), **changes)


CHOICES = (
    BASE,
    _other("lambda 0.5", "weight of the log-SSIM term", {"loss_lambda": 0.5}),
    _other("8 crops of 32", "crops and batch", batch=8, crop=32),
    _other("lr 0.003", "learning rate", {"lr": 3e-3}),
    _other("lambda 0.1", "weight of the log-SSIM term", {"loss_lambda": 0.1}),
    _other("4 crops of 64", "crops and batch", batch=4),
    _other("input not added", "input added", system="IR-NAS"),
    _other("average 0.999", "weights averaged", {"average": 0.999}),
    _other("statistics frozen", "statistics of batch norm in the last fifth", {"frozen_from": 0.8}),
    _other("lr 0.0003", "learning rate", {"lr": 3e-4}),
    _other("lambda 0.5, then 0", "weight of the log-SSIM term", {"loss_lambda": 0.5, "lambda_until": 0.7}),
    _other("input not added, lambda 0.5", "input added", {"loss_lambda": 0.5}, system="IR-NAS"),
    _other("4 crops of 32", "crops and batch", batch=4, crop=32),
    _other("Adam", "optimiser", {"optimizer": "Adam", "weight_decay": 0.0}),
    _other("lambda 0.5, frame left out", "weight of the log-SSIM term", {"loss_lambda": 0.5, "padded": False}),
    _other("constant rate, average 0.999", "schedule", {"schedule": "constant", "average": 0.999}),
    _other("no warm-up", "warm-up", {"warmup": 0}),
    _other("SGD", "optimiser", {"optimizer": "SGD", "lr": 0.05, "momentum": 0.9}),
    _other("8 crops of 64", "crops and batch", batch=8),
)


def held_out(pictures: Sequence[Picture], every: int = HELD_OUT) -> tuple[list[Picture], list[Picture]]:
    """The pictures to train on and, every so many-th, those to validate on."""
    validation = list(pictures[::every])
    return [picture for i, picture in enumerate(pictures) if i % every], validation


def middle(pictures: Sequence[Picture], side: int) -> list[Picture]:
    """Squares from the middle of the pictures, for a curve of validation that costs little."""
    def cut(array):
        if array is None:
            return None
        top, left = (max(0, (length - side) // 2) for length in array.shape[:2])
        return np.ascontiguousarray(array[top:top + side, left:left + side])
    return [Picture(one.name, cut(one.clean), cut(one.degraded)) for one in pictures]


def scores(network: nn.Module, pictures: Sequence[Picture], sigma: float | None, seed: int = 0,
           device: torch.device | str = "cpu") -> dict[str, list[float]]:
    """[PSNR, SSIM, PSNR of the outermost pixels] of each picture, by its name, in evaluation mode."""
    restore, found = restorer(network, device), {}
    for picture in pictures:
        clean = to_tensor(picture.clean).unsqueeze(0)
        restored = restore(degraded_side(picture, clean, sigma, seed)).cpu()
        found[picture.name] = [measure(restored, clean).item() for measure in (psnr, ssim, frame_psnr)]
    return found


def build(choice: Choice, seed: int, task: str = "denoising", channels: int = 1) -> nn.Module:
    """The untrained network; of one seed, all choices of a system begin with the same weights."""
    torch.manual_seed(seed)
    return systems.build(choice.system, channels, systems.published(task))


def described(choice: Choice, seed: int, pixels: int) -> dict:
    """What a training of this choice is, as it is recorded."""
    return {"name": choice.name, "question": choice.question, "system": choice.system,
            "recipe": asdict(choice.recipe), "batch": choice.batch, "crop": choice.crop, "seed": seed,
            "pixels": pixels, "iterations": choice.iterations(pixels)}


def file(folder: str | Path, record: dict) -> Path:
    """Where a record lies."""
    name = record["name"].replace(", ", "-").replace(" ", "_")
    return Path(folder) / f"{name}-{record['system'].replace(' + ', '_')}-{record['pixels'] // 10**6}M-seed{record['seed']}.json"


def save(record: dict, folder: str | Path) -> Path:
    """Writes one training's record, whole or not at all."""
    path = file(folder, record)
    with atomically(path) as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def load(folders: Iterable[str | Path]) -> list[dict]:
    """Every record in the folders; of two with one name, that of the earlier folder."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).glob("[!.]*.json")):
            found.setdefault(path.name, json.loads(path.read_text(encoding="utf-8")))
    return list(found.values())
