"""Training recipes as data: what a system is trained with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # else imported where it is used: tables and the batch need recipes, but no torch
    import torch


@dataclass(frozen=True)
class Recipe:
    """optimizer: "Adam", "AdamW" or "SGD"; lr: its peak; schedule: "constant", "cosine" (to lr / 100) or
    "polynomial" (power 0.9); warmup: steps of linear warm-up, at most a tenth of the run; loss_lambda: Eq. 7.

    padded: the loss's SSIM counts every pixel of a crop (see `losses.log_ssim`). log_error: each crop's squared error
    counts as its logarithm (see `losses.log_error`). lambda_until, frozen_from: shares of the run; after the first the
    loss is without log-SSIM, from the second on batch norms keep their statistics. average: the decay of the moving
    average of the weights that is kept in their place, 0 for none. clip: the largest norm of each parameter's gradient,
    0 for none. held_out: every so many-th training picture validates and is not trained on, 0 for none. identity: the
    last layer starts at zero, so that a network that adds its input begins by returning it. start: the name, without
    its profile, of the training whose weights it begins with, empty for none.
    """

    optimizer: str
    lr: float
    schedule: str
    weight_decay: float = 0.0
    momentum: float = 0.0
    warmup: int = 0
    loss_lambda: float = 0.5
    padded: bool = False
    log_error: bool = False
    lambda_until: float = 1.0
    frozen_from: float = 1.0
    average: float = 0.0
    clip: float = 0.0
    held_out: int = 0
    identity: bool = False
    start: str = ""


RECIPES = {
    # Section 4.1 as printed; run for 600,000 iterations.
    "paper": Recipe("Adam", lr=0.05, schedule="constant"),
    # What the authors' program did.
    "authors": Recipe("SGD", lr=0.05, schedule="polynomial", momentum=0.9, weight_decay=4e-5, loss_lambda=0.6),
    # Ours, one for every system of a table.
    "matched": Recipe("AdamW", lr=1e-3, schedule="cosine", weight_decay=1e-4, warmup=500),
    # For quality: Eq. 7 on every pixel to begin with, then squared error alone, at last with fixed statistics.
    "best": Recipe("AdamW", lr=1e-3, schedule="cosine", weight_decay=1e-4, warmup=500, padded=True, lambda_until=0.7,
                   frozen_from=0.9, held_out=15),
}
# From the network for colour files, whose pixels need not be seen again: the one for grey files, and the last stage of
# `best` once more, longer. Batches of two crops of unlike sigma have statistics that jump, so both fix them early.
COLOUR = "file_rgb-ir_nas_residual-seed0-best-36621"
RECIPES["grown"] = replace(RECIPES["best"], lambda_until=0.4, frozen_from=0.4, start=COLOUR)
RECIPES["finish"] = replace(RECIPES["best"], lr=3e-4, warmup=100, loss_lambda=0.0, frozen_from=0.0, start=COLOUR)
# Last, each from its own: in the squared error crops of little noise hardly count, in its logarithm all count alike.
RECIPES["even"] = replace(RECIPES["finish"], log_error=True, start="file_rgb-ir_nas_residual-seed0-finish-lambda0-4000")
RECIPES["even_grey"] = replace(RECIPES["even"], start="file_grey-ir_nas_residual-seed0-grown-4883")


def recipe(name: str) -> Recipe:
    """A recipe by its name; ValueError for an unknown one."""
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r} (known: {', '.join(RECIPES)})")
    return RECIPES[name]


def make_optimizer(recipe: Recipe, parameters: Iterable[torch.nn.Parameter], device: torch.device | str):
    """The recipe's optimizer; on a GPU its learning rate is a tensor there, so that a recorded step can follow it."""
    return optimizer_on(device, recipe.optimizer, parameters, recipe.lr, recipe.weight_decay, recipe.momentum)


def optimizer_on(device: torch.device | str, name: str, parameters: Iterable, lr: float, weight_decay: float,
                 momentum: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW for parameters on `device`, ready for `steps.captured`.

    parameters: tensors, or groups {"params": tensors, "lr_scale": factor on this group's learning rate}. betas: of
    Adam and AdamW.
    """
    import torch

    on_gpu = torch.device(device).type == "cuda"
    if name == "SGD":
        optimizer = torch.optim.SGD(parameters, lr, momentum, weight_decay=weight_decay, fused=True)
    else:
        adam = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[name]
        optimizer = adam(parameters, lr, betas, weight_decay=weight_decay, fused=True, capturable=on_gpu)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(lr, device=device) if on_gpu else lr
    set_learning_rate(optimizer, lr)
    return optimizer


def learning_rate(recipe: Recipe, iteration: int, iterations: int) -> float:
    """The learning rate of step `iteration` of 0 ... iterations - 1."""
    progress = iteration / iterations
    factor = {"constant": 1.0, "cosine": 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2,
              "polynomial": (1 - progress) ** 0.9}[recipe.schedule]
    warmup = min(recipe.warmup, iterations // 10)
    return recipe.lr * factor * min(1.0, (iteration + 1) / (warmup + 1))


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Sets every group's learning rate, times its `lr_scale` where it has one."""
    import torch

    for group in optimizer.param_groups:
        rate = lr * group.get("lr_scale", 1.0)
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Loads an optimizer's saved state, but keeps what belongs to this device: where its learning rate lies (a
    recorded step reads it there) and whether it can be recorded."""
    kept_groups = [{name: group[name] for name in ("lr", "capturable") if name in group}
                   for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, kept in zip(optimizer.param_groups, kept_groups):
        group.update(kept)
