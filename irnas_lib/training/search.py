"""The search of section 3.3: weights and architecture by gradient descent, in turn, on two halves of the pictures."""

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from irnas_lib.data.datasets import Picture
from irnas_lib.data.patches import Patches
from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.tiles import corners, restore_tiles
from irnas_lib.decode import derive_cell, relative_path, viterbi_path
from irnas_lib.evaluation.inference import restorer
from irnas_lib.evaluation.protocols import degraded_side
from irnas_lib.losses import restoration_loss
from irnas_lib.metrics import psnr, ssim
from irnas_lib.runtime import keep_freed_memory
from irnas_lib.search_space import OPERATIONS
from irnas_lib.supernet import Supernet
from irnas_lib.training.checkpoints import load_state, save_state
from irnas_lib.training.recipes import load_optimizer, optimizer_on, set_learning_rate
from irnas_lib.training.steps import Diverged, captured, resumable

SPLIT_STREAM, WEIGHTS_STREAM, ARCHITECTURE_STREAM = 2, 3, 4  # independent random numbers of one seed


@dataclass(frozen=True)
class SearchSettings:
    """Section 4.1, "Search settings"; the defaults are the paper's for denoising.

    An epoch takes `crops_per_picture` crops of each picture of Train W, about its area once. validate_every counts
    iterations. sigmas: the noise levels, drawn per crop; empty for pairs.

    The last ones are not in the paper, and by default they change nothing. architecture_betas: of Adam for alpha and
    beta. architecture_decoupled: AdamW in its place, whose decay is not divided by the size of the gradient.
    architecture_travel: the architecture's learning rate times its number of steps, about as far as a logit can get;
    it replaces architecture_lr, 0 for none. temperature_end: the softmax of alpha is sharpened, its logits divided by
    a temperature that falls from 1 at the end of the warm-up to this at the end. drops: shares of the steps after the
    warm-up, at each of which every edge loses its weakest operation. without: operations that no edge has from the
    start. take_last: the result is the last validation, not the one of the highest PSNR. global_residual: the supernet
    adds its input to its output. weights_optimizer: "SGD", "Adam" or "AdamW".
    """

    layers: int = 4
    nodes: int = 5
    width: int = 10
    batch: int = 12
    crop: int = 64
    epochs: int = 100
    warmup_epochs: int = 20
    crops_per_picture: int = 35
    validate_every: int = 1000
    sigmas: tuple[int, ...] = (30, 50, 70)
    loss_lambda: float = 0.5
    seed: int = 0
    weights_lr: float = 0.025
    weights_lr_end: float = 0.001
    momentum: float = 0.9
    weights_decay: float = 3e-4
    architecture_lr: float = 1e-3
    architecture_decay: float = 1e-3
    architecture_betas: tuple[float, float] = (0.9, 0.999)
    architecture_decoupled: bool = False
    architecture_travel: float = 0.0
    temperature_end: float = 1.0
    drops: tuple[float, ...] = ()
    without: tuple[str, ...] = ()
    take_last: bool = False
    global_residual: bool = False
    weights_optimizer: str = "SGD"

    def recorded(self) -> dict:
        """As records and states hold it, in JSON's types: what is not in the paper only where it changes something."""
        usual = SearchSettings()
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in dataclasses.asdict(self).items()
                if name not in BEYOND_THE_PAPER or value != getattr(usual, name)}


BEYOND_THE_PAPER = ("architecture_betas", "architecture_decoupled", "architecture_travel", "temperature_end", "drops",
                    "without", "take_last", "global_residual", "weights_optimizer")
DROPPED = -1e4  # the logit of an operation that an edge has lost: its weight is 0 in any precision


def split_pictures(pictures: Sequence[Picture], seed: int) -> tuple[list, list, list]:
    """Train W, Train A and Train V: 49%, 49% and 2% of the pictures (at least one), at random by the seed."""
    order = np.random.default_rng((seed, SPLIT_STREAM)).permutation(len(pictures))
    shuffled = [pictures[i] for i in order]
    validation = max(1, round(0.02 * len(pictures)))
    half = (len(pictures) - validation) // 2
    return shuffled[validation:validation + half], shuffled[validation + half:], shuffled[:validation]


def validate(supernet: Supernet, pictures: Sequence[Picture], settings: SearchSettings,
             device: torch.device | str) -> tuple[float, float]:
    """Mean PSNR and SSIM of the supernet on Train V, in adjacent tiles as section 4.1 says, each picture at one of
    the noise levels in turn, always with the same noise."""
    restore = restorer(supernet, device)
    scores = []
    for i, picture in enumerate(pictures):
        clean = to_tensor(picture.clean).unsqueeze(0)
        sigma = settings.sigmas[i % len(settings.sigmas)] if settings.sigmas else None
        degraded, crop = degraded_side(picture, clean, sigma, settings.seed), settings.crop
        tiles = [degraded[..., top:top + crop, left:left + crop] for top, left in corners(clean.shape, crop, crop)]
        restored = restore_tiles(restore, tiles, clean.shape, crop, crop).cpu()
        scores.append((psnr(restored, clean).item(), ssim(restored, clean).item()))
    return tuple(float(mean) for mean in np.mean(scores, axis=0))


def weight_groups(supernet: Supernet) -> list[dict]:
    """The supernet's weights for SGD: its last convolution learns slower, by its number of input channels.

    Everything else stands before a batch norm. The last convolution sums hundreds of rectified, hence positive,
    channels, so that the curvature along their mean grows with their number: at the printed 0.025 its loss passes
    10^20 within 20 steps.
    """
    head = list(supernet.head.parameters())
    body = [p for p in supernet.weights() if all(p is not parameter for parameter in head)]
    return [{"params": body}, {"params": head, "lr_scale": 1 / supernet.head.in_channels}]


def search(supernet: Supernet, pictures: Sequence[Picture], settings: SearchSettings, device: torch.device | str,
           validation: Sequence[Picture] = (), state_file: Path | None = None, rotate: bool = True) -> dict:
    """Searches in place and returns what it found.

    pictures: split into Train W, A and V; where `validation` is given it serves as V instead. rotate: of `Patches`.
    state_file: where the
    exact state is kept every minute; a search with the same settings, of pictures with the same names, goes on from
    it, to the same bytes on a CPU.

    Returns {"genotype", "path", "path_log_probability", "relative_path", "alpha", "beta", "best": index into
    "history", "history": [{"iteration", "psnr", "ssim", "loss", "alpha", "beta", "counts"}, ...], "seconds"}. The
    result is the validation of the highest PSNR (SSIM breaks ties) among those after the architecture has begun to
    move ("counts"). Raises Diverged; ValueError where all epochs are warm-up.
    """
    if settings.epochs <= settings.warmup_epochs:
        raise ValueError(f"{settings.warmup_epochs} of {settings.epochs} epochs are warm-up: alpha and beta never move")
    device = torch.device(device)
    train_w, train_a, train_v = split_pictures(pictures, settings.seed)
    options = dict(crop=settings.crop, sigmas=settings.sigmas or (0,), rotate=rotate,
                   device=device)
    patches_w, patches_a = Patches(train_w, **options), Patches(train_a, **options)
    per_epoch = max(1, len(train_w) * settings.crops_per_picture // settings.batch)
    iterations, warmup = settings.epochs * per_epoch, settings.warmup_epochs * per_epoch

    keep_freed_memory()
    supernet.to(device, memory_format=torch.channels_last).train()
    learned = weight_groups(supernet) if settings.weights_optimizer == "SGD" else supernet.weights()
    weights = optimizer_on(device, settings.weights_optimizer, learned, settings.weights_lr, settings.weights_decay,
                           settings.momentum)
    rate = settings.architecture_travel / (iterations - warmup) or settings.architecture_lr
    architecture = optimizer_on(device, "AdamW" if settings.architecture_decoupled else "Adam",
                                supernet.architecture_parameters(), rate, settings.architecture_decay,
                                betas=settings.architecture_betas)
    drops = [warmup + round(share * (iterations - warmup)) for share in settings.drops]

    def make_step(optimizer, parameters):
        def step(degraded, clean):
            optimizer.zero_grad()
            loss = restoration_loss(supernet(degraded), clean, settings.loss_lambda)
            loss.backward(inputs=parameters)
            optimizer.step()
            return (loss.detach(),)
        return captured(step, device)

    start, history, seconds = 0, [], 0.0
    key = {"settings": settings.recorded(), "pictures": [picture.name for picture in pictures]}
    state = load_state(state_file, key) if state_file else None
    with torch.no_grad():
        supernet.alpha[:, [OPERATIONS.index(name) for name in settings.without]] = DROPPED
    if state:
        supernet.load_state_dict(state["supernet"])
        load_optimizer(weights, state["weights"])
        load_optimizer(architecture, state["architecture"])
        start, history, seconds = state["iteration"], state["history"], state["seconds"]

    def save(iteration):
        if state_file:
            save_state(state_file, {
                "key": key, "iteration": iteration, "supernet": supernet.state_dict(), "history": history,
                "weights": weights.state_dict(), "architecture": architecture.state_dict(),
                "seconds": seconds + time.monotonic() - began})

    weights_step = make_step(weights, supernet.weights())
    architecture_step = make_step(architecture, supernet.architecture_parameters())
    began = time.monotonic()
    for iteration in resumable(start, iterations, save, "search"):
        cosine = (1 + math.cos(math.pi * iteration / iterations)) / 2
        set_learning_rate(weights, settings.weights_lr_end
                          + (settings.weights_lr - settings.weights_lr_end) * cosine)
        supernet.temperature.fill_(settings.temperature_end ** max(0.0, (iteration - warmup) / (iterations - warmup)))
        if iteration in drops:
            drop_weakest(supernet.alpha)
        loss, = weights_step(*patches_w.batch(settings.batch, settings.seed, WEIGHTS_STREAM, iteration))
        if iteration >= warmup:
            architecture_step(*patches_a.batch(settings.batch, settings.seed, ARCHITECTURE_STREAM, iteration))
        done = iteration + 1
        if done % settings.validate_every == 0 or done == iterations:
            quality = validate(supernet, validation or train_v, settings, device)
            history.append(snapshot(supernet, done, float(loss), *quality, counts=done > warmup))
            if not math.isfinite(history[-1]["loss"]):
                raise Diverged(f"the loss is {history[-1]['loss']} after {done} iterations")
    return summary(history, settings.take_last) | {"seconds": seconds + time.monotonic() - began}


@torch.no_grad()
def drop_weakest(alpha: torch.Tensor) -> None:
    """Takes from each edge (row) the weakest of the operations that it has left, in place; never the strongest one
    that is not `none`, which a decoded cell would keep."""
    left = alpha > DROPPED / 2
    kept = alpha[:, :-1].argmax(dim=1, keepdim=True)
    rivals = alpha.masked_fill(~left, torch.inf).scatter(1, kept, torch.inf)
    weakest = rivals.argmin(dim=1, keepdim=True)
    alpha.scatter_(1, weakest, torch.where(left.sum(dim=1, keepdim=True) > 1, DROPPED, alpha.gather(1, weakest)))


def snapshot(supernet: Supernet, iteration: int, loss: float, psnr: float, ssim: float, counts: bool) -> dict:
    """What one validation leaves in the history; alpha, by its temperature, and beta as logits."""
    return {"iteration": iteration, "loss": loss, "psnr": psnr, "ssim": ssim, "counts": counts,
            "alpha": (supernet.alpha / supernet.temperature).tolist(), "beta": supernet.beta.tolist()}


def summary(history: list[dict], take_last: bool = False) -> dict:
    """The best validation that counts, or the last one, and the architecture that its alpha and beta decode to."""
    best = len(history) - 1 if take_last else max(
        (i for i, entry in enumerate(history) if entry["counts"]),
        key=lambda i: (history[i]["psnr"], history[i]["ssim"]))
    alpha, beta = torch.tensor(history[best]["alpha"]), torch.tensor(history[best]["beta"])
    path, log_probability = viterbi_path(beta)
    return {"genotype": derive_cell(alpha), "path": path, "path_log_probability": log_probability,
            "relative_path": relative_path(beta)[0], "alpha": alpha.tolist(), "beta": beta.tolist(),
            "best": best, "history": history}
