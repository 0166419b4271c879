"""One training of the batch: found where it is finished, gone on with where it was begun, else made; then measured."""

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
from irnas_lib.training import recipes
from irnas_lib.training.checkpoints import digest
from irnas_lib.training.loop import Diverged, train


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
    try:
        return replace(wanted, **train_or_resume(wanted, network, pictures, device, precision), status="ok"), None
    except Diverged as error:
        finite = [point for point in error.curve if all(map(math.isfinite, point))]
        failed = replace(wanted, status="failed", curve=finite)
        runs.save_training(failed, None)
        runs.state_file(profile, wanted.stem).unlink(missing_ok=True)
        return failed, None


def train_or_resume(wanted: Result, network: nn.Module, pictures: Dataset, device: torch.device,
                    precision: str = "float32") -> dict:
    """What `loop.train` returns; leaves the finished state behind. Raises Diverged, and ValueError for an unknown
    precision."""
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision {precision!r} is neither float32 nor bfloat16")
    recipe, sigma = recipes.recipe(wanted.recipe), wanted.sigma
    seen, kept_out = validation.split(pictures, recipe.held_out)
    patches = Patches(seen, wanted.crop, device=device, **training_options(wanted.task, sigma))
    return train(network, patches, recipe, wanted.iterations, wanted.batch, wanted.seed, wanted.loss_lambda,
                 wanted.schedule, runs.state_file(wanted.profile, wanted.stem), key=wanted.config.key(),
                 bf16=precision == "bfloat16" and has_bfloat16(device),
                 validate=validation.curve(kept_out, sigma, device))


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
