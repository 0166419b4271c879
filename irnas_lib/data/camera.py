"""A simulated camera: noise in linear light, then all that a camera does to it before the picture is a JPEG.

The simulator of Jaroensri et al. 2019, "Generating Training Data for Denoising Real RGB Images via Camera Pipeline
Simulation" (arXiv:1904.08825), from which the paper made SIM1800. The settings are those that its authors shipped for
training; that the paper used them too is an assumption. What they switch off (exposure, motion blur, chromatic
aberration, white balance, tone curve, saturation) is left out.

Pictures are arrays (H, W, 3) of linear RGB in [0, 1]; between mosaic and demosaic they are raw values, (H, W). All is
in double precision, whose rounding errors vanish in the last step to 8 bits, whatever the number of threads.
"""

import io
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter, median_filter

from irnas_lib.data.bilateral_grid import bilateral_grid

BAYER = np.array([[1, 0], [2, 1]])  # the channel that is seen at (y % 2, x % 2): G R over B G
RAW_LEVELS = 2 ** 14
PLUS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
UNSHARP_SIGMA = 4  # pixels
UNSHARP_THRESHOLD = 3 / 255  # detail that is weaker is left as it is
TO_YUV = np.array([[0.299, 0.587, 0.114], [-0.3375, -0.6625, 1], [1, -0.8374, -0.1626]])
TO_RGB = np.linalg.inv(TO_YUV)

# The simulator has the quantisation tables of a camera's levels 0 to 12. For its levels 4 to 7 here: the IJG quality
# that distorts as much, interpolated between Pillow's presets low, medium and high, and the chroma subsampling.
JPEG_LEVELS = {4: (78, "4:2:0"), 5: (82, "4:2:0"), 6: (86, "4:2:0"), 7: (88, "4:4:4")}


class Parameters(NamedTuple):
    """What is drawn for each picture."""

    shot: float  # standard deviation of the shot noise at raw value 1
    read: float  # standard deviation of the read noise
    luma_space: float  # sigmas of the bilateral grid, in its cells
    luma_range: float  # and in its bins
    chroma_space: float
    chroma_range: float
    sharpening: float  # share of the detail that is added
    jpeg_level: int


def draw_parameters(rng: np.random.Generator) -> Parameters:
    """Parameters from the simulator's distributions."""

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    shot, read = log_uniform(0.01, 0.2), log_uniform(0.01, 0.1)
    space, range_ = log_uniform(0.25, 1), log_uniform(0.1, 1)
    return Parameters(shot, read, space, range_, space * log_uniform(8, 32), range_ * log_uniform(0.1, 0.5),
                      sharpening=float(rng.uniform(0, 0.25)), jpeg_level=int(rng.choice(list(JPEG_LEVELS))))


def stages(parameters: Parameters, rng: np.random.Generator) -> list[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """The camera as an ordered list of (name, function), each on what the one before it returns; `rng` is the noise."""
    p = parameters
    return [
        ("mosaic", mosaic),
        ("shot noise", lambda raw: add_shot_noise(raw, p.shot, rng)),
        ("read noise", lambda raw: add_read_noise(raw, p.read, rng)),
        ("14 bits", quantise_raw),
        ("demosaic", demosaic),
        ("median", median),
        ("bilateral grid", lambda rgb: smooth(rgb, p)),
        ("unsharp mask", lambda rgb: sharpen(rgb, p.sharpening)),
        ("sRGB", linear_to_srgb),
        ("8 bits", quantise),
        ("JPEG", lambda srgb: compress(srgb, p.jpeg_level)),
    ]


def develop(linear: np.ndarray, parameters: Parameters, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Takes linear RGB through the camera and yields (name of the stage, picture) after each stage."""
    picture = linear
    for name, stage in stages(parameters, rng):
        picture = stage(picture)
        yield name, picture


def photograph(linear: np.ndarray, parameters: Parameters, rng: np.random.Generator) -> np.ndarray:
    """Linear RGB, (H, W, 3) in [0, 1], to the camera's picture: sRGB, uint8, the same shape.

    For the linear variant of the data, srgb_to_linear(picture / 255) goes back. The simulator's own way back omits the
    division by 1.055 ** 2.4 = 1.137, so that its pictures come out brighter than their targets.
    """
    *_, (_, picture) = develop(linear, parameters, rng)
    return picture


def mosaic(rgb: np.ndarray) -> np.ndarray:
    """What a sensor under a Bayer filter sees, (H, W, 3) -> (H, W)."""
    return np.take_along_axis(rgb, _bayer(rgb.shape)[..., None], axis=2)[..., 0]


def _bayer(shape: tuple[int, ...]) -> np.ndarray:
    y, x = np.indices(shape[:2])
    return BAYER[y % 2, x % 2]


def add_shot_noise(raw: np.ndarray, k: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation k sqrt(raw)."""
    return raw + k * np.sqrt(np.maximum(raw, 0)) * rng.standard_normal(raw.shape)


def add_read_noise(raw: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation sigma."""
    return raw + sigma * rng.standard_normal(raw.shape)


def quantise_raw(raw: np.ndarray) -> np.ndarray:
    """Clipped to [0, 1] and cut off to 14 bits."""
    return np.floor(raw.clip(0, 1) * RAW_LEVELS) / RAW_LEVELS


def demosaic(raw: np.ndarray) -> np.ndarray:
    """Raw values, (H, W), to RGB, (H, W, 3) in [0, 1]: green along the weaker gradient, then the colour differences.

    Where green is missing it is the mean of the vertical or the horizontal pair of neighbours, whichever differ less.
    Red - green and blue - green are interpolated linearly. Mirrored borders keep the Bayer pattern: outside the picture
    lies the nearest sample of the same colour.
    """
    channel = _bayer(raw.shape)
    padded = np.pad(raw, 1, mode="reflect")
    up, down, left, right = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    interpolated = np.where(np.abs(up - down) < np.abs(left - right), up + down, left + right) / 2
    green = np.where(channel == 1, raw, interpolated)
    tent = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    red, blue = (green + convolve(np.where(channel == c, raw - green, 0), tent, mode="mirror") for c in (0, 2))
    return np.stack([red, green, blue], axis=-1).clip(0, 1)


def median(rgb: np.ndarray) -> np.ndarray:
    """The median of each pixel and its four neighbours, in Y, U and V; borders replicated."""
    return median_filter(rgb @ TO_YUV.T, footprint=PLUS[..., None], mode="nearest") @ TO_RGB.T


def smooth(rgb: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Denoises luma along its own edges (of its square root, as noise grows with it), chroma along those of luma."""
    p, yuv = parameters, rgb @ TO_YUV.T
    luma = yuv[..., :1]
    luma = bilateral_grid(luma, np.sqrt(luma[..., 0].clip(0, 1)), p.luma_space, p.luma_range)
    chroma = bilateral_grid(yuv[..., 1:], luma[..., 0], p.chroma_space, p.chroma_range)
    return np.concatenate([luma, chroma], axis=-1) @ TO_RGB.T


def sharpen(rgb: np.ndarray, amount: float) -> np.ndarray:
    """Unsharp mask, without the weakest detail; clipped to [0, 1]."""
    detail = rgb - gaussian_filter(rgb, UNSHARP_SIGMA, axes=(0, 1), mode="nearest")
    detail[np.abs(detail) <= UNSHARP_THRESHOLD] = 0
    return (rgb + amount * detail).clip(0, 1)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """The curve of IEC 61966-2-1, [0, 1] to [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Undoes linear_to_srgb."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def quantise(srgb: np.ndarray) -> np.ndarray:
    """[0, 1] to uint8, rounded."""
    return np.round(srgb * 255).astype(np.uint8)


def compress(srgb: np.ndarray, level: int) -> np.ndarray:
    """A uint8 picture, (H, W, 3), as it comes out of a JPEG file of a camera level."""
    quality, subsampling = JPEG_LEVELS[level]
    file = io.BytesIO()
    Image.fromarray(srgb).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))
