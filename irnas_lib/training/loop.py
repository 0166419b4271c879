"""One loop that trains any system: it does not know which."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from irnas_lib.data.patches import Patches
from irnas_lib.losses import restoration_loss
from irnas_lib.metrics import psnr
from irnas_lib.runtime import device_name, keep_freed_memory
from irnas_lib.training.checkpoints import load_state, save_state
from irnas_lib.training.recipes import Recipe, learning_rate, load_optimizer, make_optimizer, set_learning_rate
from irnas_lib.training.steps import Diverged, captured, resumable

LOG_POINTS = 100  # points of a training curve
VALIDATIONS = 20  # of the curve of validation
BLOWN_UP = 100  # times the first loss
TRAINING_STREAM = 1  # keeps the batches of a training apart from those of a search with the same seed


class Objective(nn.Module):
    """A network and what it learns from, as one module: (degraded, clean) -> the loss of Eq. 7, the estimate.

    A network that learns from more than its estimate has a `training_loss(degraded, clean, error)`, which returns its
    loss and its estimate; error(estimate) is Eq. 7. bf16: autocast the network, not the loss. padded, log: of the loss.
    """

    def __init__(self, network: nn.Module, loss_lambda: float, bf16: bool = False, padded: bool = False,
                 log: bool = False):
        super().__init__()
        self.network, self.loss_lambda, self.bf16, self.padded, self.log = network, loss_lambda, bf16, padded, log

    def forward(self, degraded: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        def error(estimate):
            with torch.autocast(degraded.device.type, enabled=False):  # also where the network calls it
                return restoration_loss(estimate.float(), clean, self.loss_lambda, self.padded, self.log)

        with torch.autocast(degraded.device.type, torch.bfloat16, enabled=self.bf16):
            if hasattr(self.network, "training_loss"):
                return self.network.training_loss(degraded, clean, error)
            restored = self.network(degraded)
            return error(restored), restored


def step(objective: nn.Module, optimizer: torch.optim.Optimizer, degraded: torch.Tensor, clean: torch.Tensor,
         clip: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """One step on one batch: its loss and its PSNR in dB, scalars. clip: see `Recipe`."""
    optimizer.zero_grad()
    loss, restored = objective(degraded, clean)
    loss.backward()
    if clip:
        for parameter in objective.parameters():
            clip_grad_norm_(parameter, clip)
    optimizer.step()
    return loss.detach(), psnr(restored.detach(), clean).mean()


def stage(recipe: Recipe, loss_lambda: float, progress: float) -> tuple[float, bool]:
    """What a recipe changes on the way, at a share `progress` of the run: the weight of the log-SSIM term, and whether
    batch norms keep their statistics."""
    return (loss_lambda if progress < recipe.lambda_until else 0.0), progress >= recipe.frozen_from


def freeze_statistics(network: nn.Module) -> None:
    """Batch norms of a network in training use the statistics that they have, and no longer the batch's."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def start_as_identity(network: nn.Module) -> None:
    """Sets a network's last convolution to zero. One that adds its input to its output then returns its input."""
    *_, last = (module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)))
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


def train(network: nn.Module, patches: Patches, recipe: Recipe, iterations: int, batch: int, seed: int,
          loss_lambda: float | None = None, schedule: int = 0, state_file: Path | None = None,
          key: dict | None = None, bf16: bool = False,
          validate: Callable[[nn.Module], float] | None = None, validations: int = VALIDATIONS) -> dict:
    """Trains `network` in place on `patches`.

    loss_lambda: of Eq. 7, the recipe's own where None. schedule: the iterations over which the learning rate decays,
    where the run stops before its end; 0: `iterations`. state_file, key: where the exact state is kept every minute,
    and the run's parameters; a run with the same key goes on where the state was left, to the same bytes on a CPU.
    bf16: see Objective. validate: the network's quality, measured so many times (`validations`).

    Returns {"curve": [[iteration, loss, psnr], ...], "validation": [[iteration, quality], ...], "seconds": time spent
    training, "device": where}; PSNR in dB of the last batch, in training mode. Raises Diverged.
    """
    device = patches.device
    weight = recipe.loss_lambda if loss_lambda is None else loss_lambda
    keep_freed_memory()
    network.to(device, memory_format=torch.channels_last).train()
    if recipe.identity:
        start_as_identity(network)
    objective = Objective(network, weight, bf16, recipe.padded, recipe.log_error)
    optimizer = make_optimizer(recipe, network.parameters(), device)
    average = recipe.average and AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average),
                                               use_buffers=True)
    start, curve, validation, seconds, devices = 0, [], [], 0.0, []
    state = load_state(state_file, key) if state_file else None
    if state:
        network.load_state_dict(state["network"])
        load_optimizer(optimizer, state["optimizer"])
        if average:
            average.load_state_dict(state["average"])
        start, curve, seconds = state["iteration"], state["curve"], state["seconds"]
        validation, devices = state.get("validation", []), state.get("devices", [])  # older states lack them
    if start < iterations:  # else no step is taken here
        used = device_name(device) + (", bfloat16" if bf16 else "")
        devices = list(dict.fromkeys([*devices, used]))

    def save(iteration):
        if state_file:
            save_state(state_file, {
                "key": key, "iteration": iteration, "network": network.state_dict(),
                "optimizer": optimizer.state_dict(), "average": average and average.state_dict(), "curve": curve,
                "validation": validation, "seconds": seconds + time.monotonic() - began, "devices": devices})

    take, now = None, None
    log_every, validate_every = max(1, iterations // LOG_POINTS), max(1, iterations // validations)
    began = time.monotonic()
    for iteration in resumable(start, iterations, save, "training"):
        if (due := stage(recipe, weight, iteration / (schedule or iterations))) != now:
            objective.loss_lambda, frozen = now = due
            if frozen:
                freeze_statistics(network)
            take = captured(lambda *pair: step(objective, optimizer, *pair, recipe.clip), device)
        set_learning_rate(optimizer, learning_rate(recipe, iteration, schedule or iterations))
        loss, quality = take(*patches.batch(batch, seed, TRAINING_STREAM, iteration))
        if average:
            average.update_parameters(network)
        done = iteration + 1
        if iteration == 0 or done % log_every == 0 or done == iterations:
            curve.append([done, *torch.stack([loss, quality]).tolist()])
            if not (math.isfinite(curve[-1][1]) and curve[-1][1] <= BLOWN_UP * curve[0][1]):
                raise Diverged(f"the loss is {curve[-1][1]:.3g} after {done} iterations", curve)
        if validate and (done % validate_every == 0 or done == iterations):
            validation.append([done, validate(average.module if average else network)])
    if average:
        network.load_state_dict(average.module.state_dict())
    return {"curve": curve, "validation": validation, "seconds": seconds + time.monotonic() - began,
            "device": ", then ".join(devices)}
