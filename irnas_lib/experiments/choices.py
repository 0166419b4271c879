"""What each choice of a training recipe is worth: short trainings that differ in one choice, on validation pictures.

The pictures that a choice is judged on are never trained on, and none of them is a test picture. Trainings of one seed
see the same number of pixels and, as far as the choices let them, the same first weights and batches.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import stdev
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import nn

from irnas_lib.data.datasets import Dataset
from irnas_lib.evaluation import systems, validation
from irnas_lib.experiments import records, runs, training_run
from irnas_lib.experiments.config import slug
from irnas_lib.files import write_json
from irnas_lib.runtime import has_bfloat16
from irnas_lib.training.recipes import Recipe

SIGMA = 50


class Choice(NamedTuple):
    """One training: `question` is what it answers against the choice "base"."""

    name: str
    question: str
    recipe: Recipe
    system: str = "IR-NAS + residual"
    batch: int = 2
    crop: int = 64

    def iterations(self, pixels: int) -> int:
        """The steps that see so many pixels, at least one."""
        return max(1, round(pixels / (self.batch * self.crop ** 2)))


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
    _other("starts as the identity", "first weights", {"identity": True}),
    _other("starts as the identity, lr 0.003", "first weights", {"identity": True, "lr": 3e-3}),
    _other("input not added", "input added", system="IR-NAS"),
    _other("input not added, lambda 0", "input added", {"loss_lambda": 0.0}, system="IR-NAS"),
    _other("Adam", "optimiser", {"optimizer": "Adam", "weight_decay": 0.0}),
    _other("SGD", "optimiser", {"optimizer": "SGD", "lr": 0.05, "momentum": 0.9}),
)


def named(name: str) -> Choice:
    """A choice by its name; ValueError for an unknown one."""
    for choice in CHOICES:
        if choice.name == name:
            return choice
    raise ValueError(f"unknown choice {name!r} (known: {', '.join(choice.name for choice in CHOICES)})")


def build(choice: Choice, seed: int) -> nn.Module:
    """The untrained network; of one seed, all choices of a system begin with the same weights."""
    torch.manual_seed(seed)
    return systems.build(choice.system, 1, systems.published("denoising"))


def described(choice: Choice, seed: int, pixels: int) -> dict:
    """What a training of this choice is, as it is recorded."""
    return {"name": choice.name, "question": choice.question, "system": choice.system,
            "recipe": asdict(choice.recipe), "batch": choice.batch, "crop": choice.crop, "seed": seed,
            "pixels": pixels, "iterations": choice.iterations(pixels)}


def find_or_train(choice: Choice, seed: int, pixels: int, pictures: Dataset, profile: str,
                  device: torch.device | str = "cpu") -> dict:
    """The record of a choice's training at sigma 50, looked for first; one that was begun goes on.

    Beside what `described` says and `loop.train` returns it holds "scores", the PSNR, SSIM and PSNR of the outermost
    pixels of each validation picture, None where the training diverged.
    """
    device, record = torch.device(device), described(choice, seed, pixels)
    state = runs.state_file(profile, file(Path(), record).stem)
    for folder in runs.folders(profile):
        if file(folder / "choices", record).is_file():
            found = records.read(file(folder / "choices", record), records.CHOICE)
            state.unlink(missing_ok=True)  # of a run that was killed as soon as it had its record
            return found
    network = build(choice, seed)
    trained = training_run.run(network, pictures, choice.recipe, SIGMA, record["iterations"], choice.batch, choice.crop,
                               seed, device, state_file=state, key=record, bf16=has_bfloat16(device))
    scores = None
    if trained["status"] == "ok":
        held_out = validation.split(pictures, choice.recipe.held_out)[1]
        scores = validation.scores(network, held_out, SIGMA, device=device)
    record |= {"device": ""} | trained | {"scores": scores}
    record = runs.provenance(profile, pictures, device) | record
    save(record, runs.output_folder(profile) / "choices")
    state.unlink(missing_ok=True)
    return record


class Worth(NamedTuple):
    """What a choice is worth over the base: mean differences over the seeds of both, of PSNR and PSNR of the outermost
    pixels in dB and of SSIM; the same three by seed, PSNR, SSIM, outermost pixels; and the PSNR of the
    choice and of the base over these seeds. iterations: its steps. mixed: of how many seeds one of the two was computed
    in bfloat16 and the other in float32."""

    choice: str
    question: str
    seeds: int
    psnr: float
    base: float
    gain: float
    ssim_gain: float
    frame_gain: float
    each: dict[int, list[float]]
    iterations: int
    mixed: int = 0

    @property
    def half(self) -> float:
        """Half the 95% interval of `gain` over the seeds, by Student's t; nan for one seed."""
        psnr = [gain for gain, *_ in self.each.values()]
        n = len(psnr)
        return float(stats.t.ppf(0.975, n - 1)) * stdev(psnr) / math.sqrt(n) if n > 1 else math.nan


def worth(records: Sequence[dict], system: str, pixels: int, base: str = BASE.name) -> list[Worth]:
    """The choices of a system at one budget against the choice `base` of the same seed, in the order of CHOICES. A
    choice that is another system, such as `input not added`, also stands with our base's."""
    order = [choice.name for choice in CHOICES]
    chosen = {(record["name"], record["seed"]): record for record in records
              if record["scores"] and record["pixels"] == pixels
              and (record["system"] == system or system == BASE.system != named(record["name"]).system)}
    means = {key: np.mean(list(record["scores"].values()), axis=0) for key, record in chosen.items()}
    made = []
    for name in sorted({name for name, _ in means}, key=order.index):
        seeds = [seed for choice, seed in means if choice == name and (base, seed) in means]
        if not seeds:
            continue
        gains = np.array([means[name, seed] - means[base, seed] for seed in seeds])
        gain, ssim_gain, frame_gain = gains.mean(axis=0).tolist()
        psnr, psnr_base = (float(np.mean([means[choice, seed][0] for seed in seeds])) for choice in (name, base))
        mixed = sum(_in_bfloat16(chosen[name, seed]) != _in_bfloat16(chosen[base, seed]) for seed in seeds)
        made.append(Worth(name, named(name).question, len(seeds), psnr, psnr_base, gain, ssim_gain, frame_gain,
                          dict(zip(seeds, gains.tolist())), named(name).iterations(pixels), mixed))
    return made


def _in_bfloat16(record: dict) -> bool:
    return "bfloat16" in (record.get("precision"), *record.get("device", "").split(", "))


def spread(rows: Iterable[Worth], measure: int = 0) -> tuple[float, int]:
    """The standard deviation over seeds of one paired difference, pooled over `rows`, and its degrees of freedom.

    measure: 0 for PSNR in dB, 1 for SSIM, 2 for the outermost pixels in dB. (nan, 0) where no row has two seeds.
    """
    return _pooled([gain[measure] for gain in row.each.values()] for row in rows)


def _pooled(groups: Iterable[Sequence[float]]) -> tuple[float, int]:
    several = [group for group in groups if len(group) > 1]
    free = sum(len(group) - 1 for group in several)
    squares = sum((len(group) - 1) * stdev(group) ** 2 for group in several)
    return (math.sqrt(squares / free), free) if free else (math.nan, 0)


def of_the_term(compared: Mapping[str, Worth], measure: int = 0) -> tuple[float, int]:
    """As `spread`, of what `log_ssim_term` gives. The networks that add their input gain alike with each seed that they
    share, so such a seed counts once in the degrees of freedom."""
    deviation, _ = spread(compared.values(), measure)
    alone = [row for system, row in compared.items() if system == "IR-NAS"]
    free = sum(row.seeds - 1 for row in [*alone, *with_input(compared)])
    return (deviation, free) if free else (math.nan, 0)


def with_input(compared: Mapping[str, Worth]) -> list[Worth]:
    """What the term is worth, seed by seed, to the networks of `log_ssim_term` that add their input, their mean where
    several have the seed: one row, or none."""
    added = [row for system, row in compared.items() if system != "IR-NAS"]
    if not added:
        return []
    each = {seed: np.mean([row.each[seed] for row in added if seed in row.each], axis=0).tolist()
            for seed in sorted({seed for row in added for seed in row.each})}
    gain, ssim_gain, frame_gain = np.mean(list(each.values()), axis=0).tolist()
    return [added[0]._replace(seeds=len(each), gain=gain, ssim_gain=ssim_gain, frame_gain=frame_gain, each=each)]


def over_seeds(records: Sequence[dict], pixels: int, measure: int = 0) -> tuple[float, int]:
    """The standard deviation over seeds of one training, pooled over the choices of every system that were trained from
    several seeds at a budget, and its degrees of freedom; (nan, 0) where none was.

    measure: as of `spread`.
    """
    found: dict[tuple, list[float]] = {}
    for record in records:
        if record["scores"] and record["pixels"] == pixels:
            mean = np.mean(list(record["scores"].values()), axis=0)[measure]
            found.setdefault((record["system"], record["name"]), []).append(float(mean))
    return _pooled(found.values())


def log_ssim_term(records: Sequence[dict], pixels: int) -> dict[str, Worth]:
    """What the log-SSIM term is worth to each system: no training takes part in two of these comparisons, so that
    `spread` may pool them."""
    found = {}
    for system, name, without in (("IR-NAS", "input not added", "input not added, lambda 0"),
                                  ("IR-NAS + residual", "base", "lambda 0"), ("DnCNN", "base", "lambda 0")):
        for row in worth(records, system, pixels, without):
            if row.choice == name:
                found[system] = row
    return found


def file(folder: str | Path, record: dict) -> Path:
    """Where a record lies."""
    parts = (slug(record["system"]), slug(record["name"]), f"{record['pixels'] // 10 ** 6}M", f"seed{record['seed']}")
    return Path(folder) / f"{'-'.join(parts)}.json"


def save(record: dict, folder: str | Path) -> Path:
    """Writes one training's record, whole or not at all."""
    path = file(folder, record)
    write_json(path, record)
    return path


def load(folders: Iterable[str | Path]) -> list[dict]:
    """Every record in the folders; of two with one name, that of the earlier folder."""
    return records.read_all(folders, records.CHOICE)
