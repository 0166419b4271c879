"""A noisy picture of unknown sigma, from the estimate to what is restored: the steps of the command, from Python.

    answer = Denoiser()(array)
    print(answer.sigma, answer.network)
    restored = answer.restored
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from irnas_lib.data.tiles import Restore
from irnas_lib.evaluation.inference import restorer
from irnas_lib.experiments import runs
from irnas_lib.experiments.results import Result
from irnas_lib.restore.networks import fitting, known, misfit
from irnas_lib.restore.noise import estimated_sigma, limited
from irnas_lib.restore.pictures import channels_of, restore_picture
from irnas_lib.runtime import device_name


class Answer(NamedTuple):
    """sigma: the estimate in grey levels; network: the result of the network that was taken, None where there is next
    to no noise; by_network: what it made of the picture; restored: that, with put back what cannot have been noise.
    Pictures are uint8 (H, W, C), both the noisy one where there is no network."""

    sigma: float
    network: Result | None
    by_network: np.ndarray
    restored: np.ndarray


class Denoiser:
    """Restores pictures by the networks in a folder of checkpoints, each loaded once.

    device: where they run; default: the GPU if there is one. folder: default: what is shipped.
    """

    def __init__(self, device: torch.device | None = None, folder: Path | None = None):
        self.device = device or runs.best_device()
        self.folder = folder or runs.SHIPPED
        self.candidates = known(self.folder)
        self.loaded: dict[str, tuple[Restore, int]] = {}

    def load(self, network: Result, say: Callable[[str], None] = lambda line: None) -> tuple[Restore, int]:
        """A network made ready, and the channels that it takes. CheckpointError where its weights are damaged."""
        if network.stem not in self.loaded:
            trained = runs.trained_network(network, self.folder)
            self.loaded[network.stem] = restorer(trained, self.device), channels_of(trained)
            say(f"{network.stem}, on {device_name(self.device)}")
        return self.loaded[network.stem]

    def fitting(self, array: np.ndarray) -> tuple[float, Result | None]:
        """The estimated sigma of a picture, uint8 (H, W, C), and the network that fits it, None for next to no noise.
        RestoreError where the folder holds none."""
        sigma = estimated_sigma(array)
        return sigma, fitting(sigma, array.shape[2], self.candidates)

    def __call__(self, array: np.ndarray, tile: int = 0, title: str = "",
                 say: Callable[[str], None] = lambda line: None) -> Answer:
        """Restores a picture, uint8 (H, W, C), C = 1 or 3.

        tile, title: of `restore_picture`. say: is told, a line each, the estimate, what does not fit, and each network
        when it is loaded. RestoreError where the folder holds no network for it.
        """
        sigma, network = self.fitting(array)
        if network is None:
            say(f"noise of sigma {sigma:.1f}, which is next to none: left as it is")
            return Answer(sigma, None, array, array)
        say(f"noise of about sigma {sigma:.0f}")
        if warning := misfit(network, sigma, limited=True):
            say(warning)
        by_network = restore_picture(*self.load(network, say), array, tile, title)
        return Answer(sigma, network, by_network, limited(array, by_network, sigma))
