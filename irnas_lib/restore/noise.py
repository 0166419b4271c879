"""How strong the noise of a picture is, and how much of what a network removed can be noise."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

PATCH = 8  # pixels, the side of the patches that are compared
PATCHES = 65_536  # at most, spread over the picture
PATCHES_PER_VALUE = 4  # at least, for each value of a patch; of fewer the smallest eigenvalue shows little


def estimated_sigma(array: np.ndarray) -> float:
    """The standard deviation of white noise in a picture, uint8 (H, W, C), in grey levels.

    Patches of a photograph vary in few directions, and white noise varies in all of them alike: the smallest eigenvalue
    of their covariance is the variance of the noise (Pyatykh, Hesser and Zheng 2013, doi:10.1109/TIP.2012.2221728).
    Of D values in N patches the smallest eigenvalue of pure noise is (1 - sqrt(D / N))^2 of its variance, which is
    allowed for. Too low where noise is clipped at black and white, too high in grey pictures of fine texture; 0 for a
    picture that holds too few patches.
    """
    height, width, channels = array.shape
    for side in range(PATCH, 1, -1):
        values, number = channels * side * side, (height - side + 1) * (width - side + 1)
        if min(height, width) >= side and number >= PATCHES_PER_VALUE * values:
            break
    else:
        return 0.0
    step = math.ceil(math.sqrt(number / PATCHES))
    patches = sliding_window_view(array, (side, side), (0, 1))[::step, ::step].reshape(-1, values).astype(np.float32)
    patches -= patches.mean(axis=0)
    smallest = np.linalg.eigvalsh((patches.T @ patches / len(patches)).astype(np.float64))[0]
    return math.sqrt(max(0.0, smallest)) / (1 - math.sqrt(values / len(patches)))


def limited(noisy: np.ndarray, restored: np.ndarray, sigma: float) -> np.ndarray:
    """The restored picture, with so much of what was removed put back as noise of `sigma` cannot account for.

    noisy, restored: uint8 (H, W, C). A network removes r = noisy - restored, of which w r is removed here, with
    w = min(1, sigma^2 / mean(r^2)). If r holds all of the noise, and texture that does not resemble it, this w leaves
    the smallest squared error, (1 - w) sigma^2: never more than the noisy picture has.
    """
    removed = noisy.astype(np.int16) - restored
    power = float(np.mean(np.square(removed, dtype=np.float32), dtype=np.float64))
    if power <= sigma ** 2:
        return restored
    return np.rint(noisy - np.float32(sigma ** 2 / power) * removed).astype(np.uint8)
