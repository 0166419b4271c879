"""A system's name, as the tables print it, to its network."""

from torch import nn

from irnas_lib.baselines.dncnn import DnCNN
from irnas_lib.genotypes import PUBLISHED, Architecture
from irnas_lib.network import RestorationNetwork

# Trained with another loss or on another cell, but the same class: the name says which.
IR_NAS = ("IR-NAS", "IR-NAS*", "IR-NAS + residual", "IR-NAS (searched here)", "IR-NAS, R1", "IR-NAS, R2")
BASELINES = {"DnCNN": DnCNN}


def published(task: str, system: str = "IR-NAS") -> Architecture:
    """The paper's own architecture for a task ("sim1800" shares that of denoising) and system."""
    task = "denoising" if task == "sim1800" else task
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
