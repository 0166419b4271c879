"""BM3D (Dabov et al. 2007), by its authors' own program: the optional package `bm3d`, free for non-commercial use."""

import numpy as np
import torch
from skimage.restoration import estimate_sigma


def bm3d(degraded: torch.Tensor, sigma: float) -> torch.Tensor:
    """Removes white noise of `sigma` grey levels of 255, every channel by itself.

    (B, C, H, W), not clipped -> the clean estimate, same shape, float32, not clipped. Raises ModuleNotFoundError where
    BM3D is not installed.
    """
    program, profile = program_and_profile()
    planes = [program.bm3d(plane, sigma / 255, profile) for plane in degraded.flatten(0, 1).numpy()]
    return torch.stack([torch.from_numpy(plane).float() for plane in planes]).view(degraded.shape)


def bm3d_rgb(degraded: torch.Tensor, sigma: float | None = None, spectrum: np.ndarray | None = None) -> torch.Tensor:
    """Colour BM3D for white noise of `sigma` grey levels of 255; None for noise of unknown strength: the deviation of
    every channel is estimated from its finest wavelets. With a `spectrum`, for correlated noise of this power spectrum:
    (H, W, 3), the mean of the squares of its discrete Fourier transform, in [0, 1]; BM3D takes the channels' noises to
    be independent of each other.

    (B, 3, H, W) RGB -> the clean estimate, same shape, float32, not clipped. Raises ModuleNotFoundError where BM3D is
    not installed.
    """
    program, profile = program_and_profile()
    if spectrum is not None and not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # its name before NumPy 2, which the package still calls for spectra

    def told(picture):
        if spectrum is not None:
            return spectrum
        return estimate_sigma(picture, channel_axis=-1) if sigma is None else sigma / 255

    pictures = [program.bm3d_rgb(picture, told(picture), profile) for picture in degraded.permute(0, 2, 3, 1).numpy()]
    return torch.stack([torch.from_numpy(picture).float().permute(2, 0, 1) for picture in pictures])


def program_and_profile():
    """The package, and its usual settings on one thread: with several it adds up in another order every time.

    Raises ModuleNotFoundError where it is not installed.
    """
    try:
        import bm3d as program
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("BM3D is not installed: pip install bm3d") from error
    profile = program.BM3DProfile()
    profile.num_threads = 1
    return program, profile
