"""A system's name, as the tables print it, to its network."""

import functools

import torch
from torch import nn

from irnas_lib.baselines.detailsnet import DetailsNet
from irnas_lib.baselines.dncnn import DnCNN
from irnas_lib.baselines.jorder import JORDER, JORDER_R
from irnas_lib.baselines.memnet import MemNet
from irnas_lib.baselines.n3net import N3Net
from irnas_lib.baselines.nlrn import NLRN
from irnas_lib.baselines.red import RED
from irnas_lib.baselines.rescan import RESCAN, SCAN
from irnas_lib.data.tasks import TASKS
from irnas_lib.genotypes import PUBLISHED, Architecture
from irnas_lib.network import RestorationNetwork
from irnas_lib.operations import Deformable

SEARCHED_HERE = "IR-NAS (searched here)"  # any genotype, path and width; the other names stand for the paper's own
# Trained with another loss or on another cell, but the same class: the name says which.
IR_NAS = ("IR-NAS", "IR-NAS*", "IR-NAS + residual", SEARCHED_HERE, "IR-NAS, R1", "IR-NAS, R2")
BASELINES = {"DnCNN": DnCNN, "RED": RED, "RED (128)": functools.partial(RED, width=128), "MemNet": MemNet,
             "NLRN": NLRN, "N3Net": N3Net, "DetailsNet": DetailsNet, "JORDER": JORDER, "JORDER-R": JORDER_R,
             "SCAN": SCAN, "RESCAN": RESCAN}


def published(task: str, system: str = "IR-NAS") -> Architecture:
    """The paper's own architecture for a task and system."""
    task = TASKS[task].architecture
    return PUBLISHED.get((task, system), PUBLISHED[task, "IR-NAS"])


def build(system: str, channels: int, architecture: Architecture | None = None) -> nn.Module:
    """The untrained network of a system; IR-NAS and its variants need their architecture.

    Raises ValueError for an unknown system.
    """
    if system in IR_NAS:
        return RestorationNetwork(*architecture, channels, global_residual=system == "IR-NAS + residual")
    if system in BASELINES:
        return BASELINES[system](channels)
    raise ValueError(f"unknown system {system!r} (known: {', '.join((*IR_NAS, *BASELINES))})")


def parameter_count(network: nn.Module) -> int:
    """Registered parameters, used or not, as the paper counts them."""
    return sum(parameter.numel() for parameter in network.parameters())


def registered(system: str, channels: int, architecture: Architecture | None = None) -> int:
    """The parameter count of a system, without memory for its weights."""
    with torch.device("meta"):
        return parameter_count(build(system, channels, architecture))


def macs_per_pixel(network: nn.Module, channels: int) -> int:
    """Multiply-accumulates of all convolutions for one pixel; sampling, attention, batch norm and activations are not
    counted.

    Counted by running the network on a small picture, so that layers it never calls do not count.
    """
    side, total = 8, 0

    def count(module, _, output):
        nonlocal total
        weight = module.weight  # (C_out, C_in / groups, k, k) times the output's pixels
        total += weight[0].numel() * output.numel()

    hooks = [module.register_forward_hook(count) for module in network.modules()
             if isinstance(module, (nn.Conv2d, Deformable))]
    training = network.training
    with torch.inference_mode():
        network.eval()(torch.zeros(1, channels, side, side, device=next(network.parameters()).device))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return total // side ** 2
