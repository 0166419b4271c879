"""Trainings: on the pictures that the recipe leaves; those of the batch are looked for first, and then measured."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from irnas_lib.data.datasets import Dataset, Picture
from irnas_lib.data.patches import Patches, training_options
from irnas_lib.evaluation import measuring, protocols, validation
from irnas_lib.experiments import runs
from irnas_lib.experiments.results import Result
from irnas_lib.runtime import has_bfloat16
from irnas_lib.training import loop, recipes
from irnas_lib.training.checkpoints import digest
from irnas_lib.training.recipes import Recipe


def run(network: nn.Module, pictures: Dataset, recipe: Recipe, sigma: float | None, iterations: int, batch: int,
        crop: int, seed: int, device: torch.device | str = "cpu", **options) -> dict:
    """Trains a network, in place, on the pictures that the recipe does not hold out.

    options: of `loop.train`; without a `validate` of its own the held-out pictures give the curve of validation.
    Returns what `loop.train` returns with "status": "ok". Where the training diverges: "status": "failed" and the
    "curve" as far as it is finite.
    """
    seen, held_out = validation.split(pictures, recipe.held_out)
    patches = Patches(seen, crop, device=device, **training_options(pictures.task, sigma))
    validate = options.pop("validate", None) or validation.curve(held_out, sigma, device)
    try:
        trained = loop.train(network, patches, recipe, iterations, batch, seed, validate=validate, **options)
    except loop.Diverged as error:
        return {"status": "failed", "curve": [point for point in error.curve if all(map(math.isfinite, point))]}
    return trained | {"status": "ok"}


def find_or_train(wanted: Result, network: nn.Module, pictures: Dataset, device: torch.device,
                  precision: str = "float32") -> tuple[Result, Path | None]:
    """The result of a training, and the folder where it was found; None where it has just been made.

    wanted: of `runs.training_record`. The network ends up with the weights, unless they are not at hand. A training
    that diverges is recorded as failed. MissingError where it would have to be made on pictures that stand in for the
    data set. precision: "float32" or "bfloat16"; the latter only where the device computes faster in it.
    """
    profile = wanted.profile
    if finished := runs.find_training(profile, wanted):
        if runs.at_hand(*finished):
            runs.load_network(network, *finished)
        return finished
    pictures.check_no_stand_in()
    made = train_or_resume(wanted, network, pictures, device, precision)
    if made.status == "failed":
        runs.save_training(made, None)
        runs.state_file(profile, wanted.stem).unlink(missing_ok=True)
    return made, None


def train_or_resume(wanted: Result, network: nn.Module, pictures: Dataset, device: torch.device,
                    precision: str = "float32") -> Result:
    """The wanted result with what the training leaves; its state stays behind, finished. ValueError for an unknown
    precision."""
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision {precision!r} is neither float32 nor bfloat16")
    if start := recipes.recipe(wanted.recipe).start:
        runs.start_from(network, start, wanted.profile)
    return replace(wanted, **run(
        network, pictures, recipes.recipe(wanted.recipe), wanted.sigma, wanted.iterations, wanted.batch, wanted.crop,
        wanted.seed, device, loss_lambda=wanted.loss_lambda, schedule=wanted.schedule,
        state_file=runs.state_file(wanted.profile, wanted.stem), key=wanted.config.key(),
        bf16=precision == "bfloat16" and has_bfloat16(device)))


def measured(result: Result, profile: str, restore: protocols.Restore, pictures: Dataset, test: Sequence[Picture],
             names: Sequence[str], network: nn.Module | None = None, test_set: str = "", jobs: int = 1) -> Result:
    """The result with its scores under some protocols on the pictures of `test`, saved with the weights of `network`.

    What is measured on so many pictures stays; a measurement that was interrupted goes on where it stopped. test_set:
    the name of a further one that `test` is; jobs: processes, as in `measuring.measure`.
    """
    where = f" on {test_set}" if test_set else ""
    for group in protocols.grouped(names):
        if all(result.metrics.get(name + where, {}).get("pictures", 0) >= len(test) for name in group):
            continue
        name = result.stem + (f"-{digest(network)[:8]}" if network else "")
        kept = runs.scores_file(profile, name, [name + where for name in group], pictures)
        scores = measuring.measure(restore, test, group, result.sigma, result.seed, kept, jobs)
        scores = {name + where: score._asdict() for name, score in scores.items()}
        result = replace(result, profile=profile, status="ok", metrics=result.metrics | scores)
        runs.save_training(result, network)
        kept.unlink()
    return result
