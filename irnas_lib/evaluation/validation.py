"""Pictures that are kept out of a training, and how well a network restores them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from irnas_lib.data.datasets import Dataset, Picture
from irnas_lib.data.pictures import to_tensor
from irnas_lib.evaluation.inference import restorer
from irnas_lib.evaluation.protocols import degraded_side
from irnas_lib.metrics import frame_psnr, psnr, ssim

CURVE_PICTURES, CURVE_SIDE = 10, 96  # what a validation in the middle of a training looks at


def split(pictures: Dataset, every: int) -> tuple[Sequence[Picture], Sequence[Picture]]:
    """The pictures to train on and those to validate on: the data set's own, or every so many-th training picture;
    0 keeps none out."""
    if not every:
        return pictures.train, ()
    if pictures.validation:
        return pictures.train, pictures.validation
    return [picture for i, picture in enumerate(pictures.train) if i % every], pictures.train[::every]


def middle(pictures: Sequence[Picture], side: int) -> list[Picture]:
    """Squares from the middle of the pictures; of a side that is shorter, all of it."""
    def cut(array):
        if array is None:
            return None
        top, left = (max(0, (length - side) // 2) for length in array.shape[:2])
        return np.ascontiguousarray(array[top:top + side, left:left + side])
    return [Picture(picture.name, cut(picture.clean), cut(picture.degraded)) for picture in pictures]


def scores(network: nn.Module, pictures: Sequence[Picture], sigma: float | None, seed: int = 0,
           device: torch.device | str = "cpu",
           measures: Sequence[Callable] = (psnr, ssim, frame_psnr)) -> dict[str, list[float]]:
    """What each of `measures` gives for each picture, by its name, in evaluation mode: PSNR, SSIM and the PSNR of the
    outermost pixels."""
    restore, found = restorer(network, device), {}
    for picture in pictures:
        clean = to_tensor(picture.clean).unsqueeze(0)
        restored = restore(degraded_side(picture, clean, sigma, seed)).cpu()
        found[picture.name] = [measure(restored, clean).item() for measure in measures]
    return found


def curve(pictures: Sequence[Picture], sigma: float | None,
          device: torch.device | str = "cpu") -> Callable[[nn.Module], float] | None:
    """A network's mean PSNR on the middles of a few of the pictures, always with the same noise: cheap enough to be
    asked for during a training. None where there are no pictures."""
    chosen = middle(pictures[::max(1, len(pictures) // CURVE_PICTURES)][:CURVE_PICTURES], CURVE_SIDE)
    if not chosen:
        return None
    return lambda network: float(np.mean([score[0] for score in scores(network, chosen, sigma, 0, device).values()]))
