"""Reading and writing picture files: eight bits a channel, grey or RGB, and no silent loss.

A conversion that keeps every value is done (grey to RGB, a palette, an opaque alpha channel). One that
would have to invent or drop something (16 bits, CMYK, transparency that was not asked for, one frame of several) is
refused.
"""

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from irnas_lib.files import atomically

BITS_PER_SAMPLE = 258  # a TIFF's tag
LARGEST_SIDE = {".jpeg": 65500, ".jpg": 65500, ".webp": 16383}  # pixels; of the other formats no picture reaches it
ALONE = threading.Lock()  # standard error belongs to the process
SAFE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # PIL opens some others with a program of the machine
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
WITH_ALPHA = (".png", ".tif", ".tiff", ".webp")  # of formats that hold transparency


class PictureError(ValueError):
    """A picture that cannot be used; the message is one line and names the file."""


def read_picture(path: str | Path, mode: str = "RGB") -> np.ndarray:
    """Decode a picture file.

    Args:
        path: the file; a rotation noted in its EXIF data is carried out.
        mode: "RGB" for three channels, "L" for PIL's luma (ITU-R 601) in one, "RGBA" for three
            and an alpha channel, 255 where the file has none.

    Returns:
        uint8 array of shape (H, W, C), C = 3, 1 or 4, values 0..255.

    Raises:
        PictureError: no such file, not a picture, truncated, more than 8 bits a channel, CMYK or another
            colour space, several frames, real transparency in a mode without alpha.
    """
    if mode not in ("L", "RGB", "RGBA"):
        raise ValueError(f"mode {mode!r}: must be 'L', 'RGB' or 'RGBA'")
    try:
        with warnings.catch_warnings(action="ignore"), _silent_tiff(path), Image.open(path, formats=FORMATS) as image:
            _refuse_unsafe(image, path)
            image.load()
            image = ImageOps.exif_transpose(image)
            array = np.array((image if mode == "RGBA" else _without_alpha(image, path)).convert(mode))
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path}: not a picture ({', '.join(FORMATS)} are read)") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders report damage by exceptions of every kind
        raise PictureError(f"{path}: cannot be read ({_one_line(error)})") from None
    return array.reshape(*array.shape[:2], -1)


@contextlib.contextmanager
def _silent_tiff(path: str | Path) -> Iterator[None]:
    """Within it nothing is written to standard error, if the file is a TIFF: what is inside of one is decoded by
    libraries that report damage there and not to us. Other files are decoded in threads and do not wait for each
    other."""
    with open(path, "rb") as file:
        tiff = file.read(2) in (b"II", b"MM")
    if not tiff:
        yield
        return
    with ALONE, open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _refuse_unsafe(image: Image.Image, path: str | Path) -> None:
    if image.mode not in (*SAFE_MODES, *DEEP_MODES):
        raise PictureError(
            f"{path}: mode {image.mode} is not supported, only grey or RGB with 8 bits a channel"
        )
    if image.mode in DEEP_MODES or _bits(image) > 8:
        raise PictureError(f"{path}: has more than 8 bits a channel; convert it to 8 bits first")
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a camera's JPEG with a preview
        raise PictureError(f"{path}: holds {image.n_frames} frames, not one picture")


def _bits(image: Image.Image) -> int:
    """Bits a channel in the file. PIL opens 16-bit RGB as mode RGB and drops the low bytes without a word."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    for tile in image.tile:
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(arg, str) and ";16" in arg for arg in args):
            return 16
    return 8


def _without_alpha(image: Image.Image, path: str | Path) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema()[0] < 255:
        raise PictureError(f"{path}: is partly transparent; put it on a background first")
    return image.convert("RGB")


def write_picture(path: str | Path, array: np.ndarray, colours: bytes | None = None,
                  alpha: np.ndarray | None = None) -> None:
    """Write a uint8 array of shape (H, W, 1) or (H, W, 3); the suffix chooses the format.

    The file appears whole or not at all. colours: an ICC profile to go with it; a BMP holds none. alpha: uint8
    (H, W, 1), left out where it is opaque and the format holds none.

    Raises:
        PictureError: another type or shape, an unknown suffix, transparency that the format cannot hold, a folder that
            cannot be written to.
    """
    path = Path(path)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3):
        raise PictureError(f"{path}: needs a uint8 array (H, W, 1 or 3), got {array.dtype} {array.shape}")
    if path.suffix.lower() not in SUFFIXES:
        raise PictureError(f"{path}: unknown suffix, use one of {', '.join(SUFFIXES)}")
    if max(array.shape) > LARGEST_SIDE.get(path.suffix.lower(), 2 ** 31):
        raise PictureError(f"{path}: {array.shape[1]}x{array.shape[0]} pixels are more than this format can hold")
    if not path.parent.is_dir():
        raise PictureError(f"{path}: cannot be written (no such folder)")
    check_alpha(path, alpha)
    if alpha is not None and path.suffix.lower() in WITH_ALPHA:
        array = np.concatenate([array, alpha], axis=2)
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    options = {"lossless": True, "exact": True} if path.suffix.lower() == ".webp" else {}
    try:
        with atomically(path) as partial:
            image.save(partial, quality=95, icc_profile=colours, **options)
    except OSError as error:
        raise PictureError(f"{path}: cannot be written ({_one_line(error)})") from None


def check_alpha(path: Path, alpha: np.ndarray | None) -> None:
    """Raise PictureError where a file of that suffix cannot hold an alpha channel that is not opaque."""
    if alpha is not None and alpha.min() < 255 and path.suffix.lower() not in WITH_ALPHA:
        raise PictureError(f"{path}: this format holds no transparency, which the picture has; "
                           f"use one of {', '.join(WITH_ALPHA)}")


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, C) to float32 (C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1))).float() / 255


def luma(x: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) -> (B, 1, H, W), full-range ITU-R BT.601."""
    return (x * x.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=1, keepdim=True)


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """Float (C, H, W), clipped to [0, 1] and rounded, to uint8 (H, W, C). Undoes to_tensor exactly."""
    levels = (tensor.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def check_size(array: np.ndarray, crop: int, name: str) -> None:
    """Raise PictureError where a picture (H, W, C) is smaller than a crop of side `crop` pixels."""
    height, width = array.shape[:2]
    if min(height, width) < crop:
        raise PictureError(f"{name}: {width}x{height} pixels, smaller than a crop of {crop}x{crop}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
