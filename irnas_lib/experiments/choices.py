"""What each choice of a training recipe is worth: short trainings that differ in one choice, on validation pictures.

The pictures that a choice is judged on are never trained on, and none of them is a test picture. Trainings of one seed
see the same number of pixels and, as far as the choices let them, the same first weights and batches.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from irnas_lib.evaluation import systems
from irnas_lib.experiments.results import slug
from irnas_lib.files import atomically
from irnas_lib.training.recipes import Recipe


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


RECIPE = Recipe("AdamW", lr=1e-3, schedule="cosine", weight_decay=1e-4, warmup=500, padded=True, held_out=15)
BASE = Choice("base", "", RECIPE)


def _other(name: str, question: str, recipe: dict | None = None, **changes) -> Choice:
    return BASE._replace(name=name, question=question, recipe=replace(RECIPE, **recipe or {}), **changes)


CHOICES = (
    BASE,
    _other("lambda 0", "the log-SSIM term", {"loss_lambda": 0.0}),
    _other("lambda 0.1", "the log-SSIM term", {"loss_lambda": 0.1}),
    _other("lambda 0.5, then 0", "the log-SSIM term", {"lambda_until": 0.7}),
    _other("lambda 0.5, at last 0 and frozen", "the log-SSIM term", {"lambda_until": 0.9, "frozen_from": 0.9}),
    _other("frame left out", "the log-SSIM term", {"padded": False}),
    _other("8 crops of 32", "crops and batch", batch=8, crop=32),
    _other("4 crops of 32", "crops and batch", batch=4, crop=32),
    _other("4 crops of 64", "crops and batch", batch=4),
    _other("lr 0.003", "learning rate", {"lr": 3e-3}),
    _other("lr 0.0003", "learning rate", {"lr": 3e-4}),
    _other("constant lr, averaged", "learning rate", {"schedule": "constant", "average": 0.999}),
    _other("no warm-up", "learning rate", {"warmup": 0}),
    _other("averaged", "weights averaged", {"average": 0.999}),
    _other("frozen", "statistics of batch norm in the last fifth", {"frozen_from": 0.8}),
    _other("input not added", "input added", system="IR-NAS"),
    _other("input not added, lambda 0", "input added", {"loss_lambda": 0.0}, system="IR-NAS"),
    _other("Adam", "optimiser", {"optimizer": "Adam", "weight_decay": 0.0}),
    _other("SGD", "optimiser", {"optimizer": "SGD", "lr": 0.05, "momentum": 0.9}),
)


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
    parts = (slug(record["system"]), slug(record["name"]), f"{record['pixels'] // 10 ** 6}M", f"seed{record['seed']}")
    return Path(folder) / f"{'-'.join(parts)}.json"


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
