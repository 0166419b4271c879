"""Training batches: random crops with augmentation and noise, from pictures that were decoded once."""

from collections.abc import Sequence

import numpy as np
import torch

from irnas_lib.data.datasets import Picture
from irnas_lib.data.pictures import check_size
from irnas_lib.data.tasks import TASKS


def generator(device: torch.device | str, *seed: int) -> torch.Generator:
    """A random generator for a tuple of numbers, such as (seed, stream, step)."""
    low, high = np.random.SeedSequence(seed).generate_state(2)
    return torch.Generator(device).manual_seed(int(low) | int(high >> 1) << 32)


def training_options(task: str, sigma: float | None) -> dict:
    """How the crops of a task are degraded and turned: the options of `Patches` that follow from it."""
    row = TASKS[task]
    return {"sigmas": row.blind or (sigma or 0,), "rotate": row.rotate, "as_files": bool(row.blind)}


class Patches:
    """Square crops of side `crop` from `pictures`, as batches of (degraded, clean) on `device`.

    All pictures lie in one flat array of bytes. A crop, turned and mirrored, is an origin and two strides in it, so
    that a whole batch is one gather. A batch depends on its seed alone, never on the batches before it: a resumed
    run sees what an uninterrupted one would have seen.

    pictures: pairs, or clean pictures to which white Gaussian noise is added, its sigma (in grey levels of 255)
    drawn for each crop from `sigmas`; clipped to [0, 1] and rounded to 8 bits only with `as_files`.
    rotate: all eight rotations and reflections (denoising); else left-right flips only (de-raining).
    Raises PictureError where a picture is smaller than a crop, ValueError for a negative sigma.
    """

    def __init__(self, pictures: Sequence[Picture], crop: int, sigmas: Sequence[float] = (50,), rotate: bool = True,
                 device: torch.device | str = "cpu", as_files: bool = False):
        if min(sigmas) < 0:
            raise ValueError(f"sigma must not be negative, got {min(sigmas)}")
        for picture in pictures:
            check_size(picture.clean, crop, picture.name)
        self.crop, self.rotate, self.device, self.as_files = crop, rotate, torch.device(device), as_files
        self.clean = self._flat([picture.clean for picture in pictures])
        self.degraded = None if pictures[0].degraded is None else self._flat([p.degraded for p in pictures])
        self.sigmas = torch.tensor(sigmas, dtype=torch.float32)
        shapes = torch.tensor([picture.clean.shape[:2] for picture in pictures])
        self.heights, self.widths = shapes.unbind(dim=1)
        self.starts = shapes.prod(dim=1).cumsum(0) - shapes.prod(dim=1)

    def _flat(self, arrays: list[np.ndarray]) -> torch.Tensor:
        """(C, total number of pixels), uint8."""
        pixels = np.concatenate([array.reshape(-1, array.shape[2]) for array in arrays])
        return torch.from_numpy(np.ascontiguousarray(pixels.T)).to(self.device)

    def batch(self, size: int, *seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` crops (degraded, clean), each (size, C, crop, crop) float32; clean in [0, 1]."""
        random = generator("cpu", *seed)
        index = self._sent(self._indices(torch.rand(6, size, generator=random, dtype=torch.float64)))
        clean = self._gather(self.clean, index)
        if self.degraded is not None:
            return self._gather(self.degraded, index), clean
        sigma = self._sent(self.sigmas[torch.randint(len(self.sigmas), (size, 1, 1, 1), generator=random)])
        noise = torch.randn(clean.shape, generator=generator(self.device, *seed), device=self.device)
        noisy = clean + sigma / 255 * noise
        return (noisy.clamp(0, 1).mul(255).round() / 255 if self.as_files else noisy), clean

    def _sent(self, x: torch.Tensor) -> torch.Tensor:
        """On the device; a GPU goes on with the step before meanwhile."""
        return x.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else x

    def _indices(self, uniform: torch.Tensor) -> torch.Tensor:
        """Where in the flat array each pixel of each crop lies, (size, crop, crop), from (6, size) random numbers."""
        picture = (uniform[0] * len(self.starts)).long()
        width, last = self.widths[picture], self.crop - 1
        top = (uniform[1] * (self.heights[picture] - last)).long()
        left = (uniform[2] * (width - last)).long()
        upside_down, mirrored, turned = uniform[3] < 0.5, uniform[4] < 0.5, uniform[5] < 0.5
        if not self.rotate:
            upside_down, turned = torch.zeros_like(upside_down), torch.zeros_like(turned)
        origin = self.starts[picture] + top * width + left + upside_down * last * width + mirrored * last
        down, right = width * (1 - 2 * upside_down.long()), 1 - 2 * mirrored.long()
        down, right = torch.where(turned, right, down), torch.where(turned, down, right)
        step = torch.arange(self.crop)
        return origin.view(-1, 1, 1) + down.view(-1, 1, 1) * step.view(-1, 1) + right.view(-1, 1, 1) * step

    @staticmethod
    def _gather(flat: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        pixels = flat.index_select(1, index.flatten()).unflatten(1, index.shape)
        return pixels.transpose(0, 1).float() / 255
