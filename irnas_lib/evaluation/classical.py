"""Methods that are not trained end to end: BM3D, WNNM, LP, DSC, and doing nothing."""

import functools
from collections.abc import Sequence

import torch

from irnas_lib.baselines.bm3d import bm3d, bm3d_rgb
from irnas_lib.baselines.dsc import dsc
from irnas_lib.baselines.lp import fit_background, lp
from irnas_lib.baselines.wnnm import wnnm
from irnas_lib.data.datasets import Picture
from irnas_lib.data.pictures import to_tensor
from irnas_lib.evaluation.protocols import Restore

METHODS = ("Noisy", "Rainy", "BM3D", "WNNM", "LP", "DSC")


def unchanged(degraded: torch.Tensor) -> torch.Tensor:
    """Does nothing: what any method must beat."""
    return degraded


def method(name: str, task: str, sigma: float | None = None, training: Sequence[Picture] = ()) -> Restore:
    """A method as a function from degraded to restored pictures, which can be pickled.

    sigma: of white noise, for BM3D and WNNM; on a camera's pictures (task "sim1800") BM3D estimates it itself.
    training: pairs; LP fits its background prior to the clean sides.
    Raises ValueError for an unknown method.
    """
    match name:
        case "Noisy" | "Rainy":
            return unchanged
        case "BM3D":
            return bm3d_rgb if task == "sim1800" else functools.partial(bm3d, sigma=sigma)
        case "WNNM":
            return functools.partial(wnnm, sigma=sigma)
        case "LP":
            prior = fit_background([to_tensor(picture.clean) for picture in training])
            return functools.partial(lp, background_prior=prior)
        case "DSC":
            return dsc
    raise ValueError(f"unknown method {name!r} (known: {', '.join(METHODS)})")
