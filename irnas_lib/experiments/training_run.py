"""One training of the batch: found where it is finished, gone on with where it was begun, else made."""

import math
from pathlib import Path

import torch
from torch import nn

from irnas_lib.data.datasets import Dataset
from irnas_lib.data.patches import Patches, training_options
from irnas_lib.evaluation import validation
from irnas_lib.experiments import results, runs
from irnas_lib.experiments.config import TrainingConfig
from irnas_lib.runtime import has_bfloat16
from irnas_lib.training import recipes
from irnas_lib.training.loop import Diverged, train


def find_or_train(wanted: dict, network: nn.Module, pictures: Dataset, device: torch.device,
                  precision: str = "float32") -> tuple[dict, Path | None]:
    """The result of a training, and the folder where it was found; None where it has just been made.

    wanted: of `runs.training_record`. The network ends up with the weights, unless they are not at hand. A training
    that diverges is recorded as failed. MissingError where it would have to be made on pictures that stand in for the
    data set. precision: "float32" or "bfloat16"; the latter only where the device computes
    faster in it.
    """
    profile = wanted["profile"]
    if finished := runs.find_training(profile, wanted):
        if runs.at_hand(*finished):
            runs.load_network(network, *finished)
        return finished
    pictures.check_no_stand_in()
    try:
        return wanted | train_or_resume(wanted, network, pictures, device, precision) | {"status": "ok"}, None
    except Diverged as error:
        finite = [point for point in error.curve if all(map(math.isfinite, point))]
        failed = wanted | {"status": "failed", "metrics": {}, "seconds": None, "curve": finite}
        runs.save_training(failed, None)
        runs.state_file(profile, results.stem(wanted)).unlink(missing_ok=True)
        return failed, None


def train_or_resume(wanted: dict, network: nn.Module, pictures: Dataset, device: torch.device,
                    precision: str = "float32") -> dict:
    """What `loop.train` returns; leaves the finished state behind. Raises Diverged, and ValueError for an unknown
    precision."""
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision {precision!r} is neither float32 nor bfloat16")
    recipe, sigma = recipes.recipe(wanted["recipe"]), wanted["sigma"]
    seen, kept_out = validation.split(pictures, recipe.held_out)
    patches = Patches(seen, wanted["crop"], device=device, **training_options(wanted["task"], sigma))
    return train(network, patches, recipe, wanted["iterations"], wanted["batch"], wanted["seed"], wanted["lambda"],
                 wanted["schedule"], runs.state_file(wanted["profile"], results.stem(wanted)),
                 key=TrainingConfig.of(wanted).key(),
                 bf16=precision == "bfloat16" and has_bfloat16(device),
                 validate=validation.curve(kept_out, sigma, device))
