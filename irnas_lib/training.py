"""One loop that trains any system: it does not know which."""

import math
import time
from pathlib import Path

import torch
from torch import nn

from irnas_lib import parallel
from irnas_lib.checkpoints import load_state, save_state
from irnas_lib.losses import restoration_loss
from irnas_lib.memory import keep_freed_memory
from irnas_lib.metrics import psnr
from irnas_lib.patches import Patches
from irnas_lib.recipes import Recipe, learning_rate, load_optimizer, make_optimizer, set_learning_rate
from irnas_lib.steps import Diverged, device_name, recorded, resumable

LOG_POINTS = 100  # points of a training curve
BLOWN_UP = 100  # times the first loss
TRAINING_STREAM = 1  # keeps the batches of a training apart from those of a search with the same seed


class Objective(nn.Module):
    """A network and what it learns from, as one module: (degraded, clean) -> the loss of Eq. 7, the estimate.

    A network that learns from more than its estimate has a `training_loss(degraded, clean, error)`, which returns its
    loss and its estimate; error(estimate) is Eq. 7. bf16: autocast the network, not the loss.
    """

    def __init__(self, network: nn.Module, loss_lambda: float, bf16: bool = False):
        super().__init__()
        self.network, self.loss_lambda, self.bf16 = network, loss_lambda, bf16

    def forward(self, degraded: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        def error(estimate):
            with torch.autocast(degraded.device.type, enabled=False):  # also where the network calls it
                return restoration_loss(estimate.float(), clean, self.loss_lambda)

        with torch.autocast(degraded.device.type, torch.bfloat16, enabled=self.bf16):
            if hasattr(self.network, "training_loss"):
                return self.network.training_loss(degraded, clean, error)
            restored = self.network(degraded)
            return error(restored), restored


def step(objective: nn.Module, optimizer: torch.optim.Optimizer, degraded: torch.Tensor,
         clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One step on one batch: its loss and its PSNR in dB, scalars."""
    optimizer.zero_grad()
    loss, restored = objective(degraded, clean)
    loss.backward()
    optimizer.step()
    return loss.detach(), psnr(restored.detach(), clean).mean()


def train(network: nn.Module, patches: Patches, recipe: Recipe, iterations: int, batch: int, seed: int,
          loss_lambda: float | None = None, schedule: int = 0, state_file: Path | None = None,
          key: dict | None = None, bf16: bool = False) -> dict:
    """Trains `network` in place on `patches`.

    loss_lambda: of Eq. 7, the recipe's own where None. schedule: the iterations over which the learning rate decays,
    where the run stops before its end; 0: `iterations`. state_file, key: where the exact state is kept every minute,
    and the run's parameters; a run with the same key goes on where the state was left, to the same bytes on a CPU.
    bf16: see Objective. Under torchrun every process trains on its part of the batch (see `parallel`).

    Returns {"curve": [[iteration, loss, psnr], ...], "seconds": time spent training, "device": where}; PSNR in dB of
    the last batch, in training mode. Raises Diverged.
    """
    device = patches.device
    weight = recipe.loss_lambda if loss_lambda is None else loss_lambda
    keep_freed_memory()
    network.to(device, memory_format=torch.channels_last).train()
    objective = parallel.shared(Objective(network, weight, bf16))
    optimizer = make_optimizer(recipe, network.parameters(), device)
    start, curve, seconds, devices = 0, [], 0.0, []
    state = load_state(state_file, key) if state_file else None
    if state:
        network.load_state_dict(state["network"])
        load_optimizer(optimizer, state["optimizer"])
        start, curve, seconds = state["iteration"], state["curve"], state["seconds"]
        devices = state.get("devices", [])
    if start < iterations:  # else no step is taken here
        devices = list(dict.fromkeys([*devices, parallel.name(device_name(device))]))

    def save(iteration):
        if state_file and parallel.rank() == 0:
            save_state(state_file, {
                "key": key, "iteration": iteration, "network": network.state_dict(),
                "optimizer": optimizer.state_dict(), "curve": curve,
                "seconds": seconds + time.monotonic() - began, "devices": devices})

    take = recorded(lambda degraded, clean: step(objective, optimizer, degraded, clean), device)
    log_every = max(1, iterations // LOG_POINTS)
    began = time.monotonic()
    for iteration in resumable(start, iterations, save, "training"):
        set_learning_rate(optimizer, learning_rate(recipe, iteration, schedule or iterations))
        loss, quality = take(*map(parallel.part, patches.batch(batch, seed, TRAINING_STREAM, iteration)))
        if iteration == 0 or (iteration + 1) % log_every == 0 or iteration + 1 == iterations:
            curve.append([iteration + 1, *parallel.mean(torch.stack([loss, quality])).tolist()])
            if not (math.isfinite(curve[-1][1]) and curve[-1][1] <= BLOWN_UP * curve[0][1]):
                raise Diverged(f"the loss is {curve[-1][1]:.3g} after {iteration + 1} iterations", curve)
    return {"curve": curve, "seconds": seconds + time.monotonic() - began, "device": ", then ".join(devices)}
