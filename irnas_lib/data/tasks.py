"""The tasks, one row each: what a task is measured on, and how its pictures are degraded and augmented."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Task(NamedTuple):
    """datasets: the paper's own first; channels: 1 for grey, 3 for RGB; sigmas: of the white noise that is added, in
    grey levels of 255, empty for pairs; rotate: whether crops are turned, or only mirrored left to right; pictures: in
    the paper's test set; unrestored: the system that returns its input; architecture: the task whose published cell,
    path and width it uses; blind: the sigmas of which one is drawn for each training crop, which is then clipped and
    rounded to 8 bits as a file holds it, empty where sigma is known; test_sets: further sets of test pictures, by name,
    each with the number of its pictures (see `datasets.load_test_set`)."""

    datasets: tuple[str, ...]
    channels: int
    sigmas: tuple[int, ...]
    rotate: bool
    protocols: tuple[str, ...]
    pictures: int
    unrestored: str
    architecture: str
    blind: tuple[int, ...] = ()
    test_sets: Mapping[str, int] = MappingProxyType({})

    @property
    def dataset(self) -> str:
        """What the paper measures the task on."""
        return self.datasets[0]

    @property
    def measures(self) -> dict[str, int]:
        """All that a system's scores may be of, with the number of pictures: the protocols on the paper's test set,
        then "strict on NAME" for each further one."""
        return dict.fromkeys(self.protocols, self.pictures) | {
            f"strict on {name}": pictures for name, pictures in self.test_sets.items()}


# "SIM1800-BSD500" is SIM1800 (rebuilt from BSD500); the paper's own SIM1800 was never published.
TASKS = {
    "denoising": Task(("BSD500", "embedded"), 1, (30, 50, 70), True, ("strict", "redrawn", "half"), 200, "Noisy",
                      "denoising", test_sets={"Kodak24": 24, "Set12": 12}),
    # Noisy files of unknown sigma, for one's own pictures; not in the paper.
    "file_grey": Task(("BSD500-grey-files", "embedded"), 1, (), True, ("strict",), 200, "Noisy", "denoising",
                      blind=tuple(range(56))),
    "file_rgb": Task(("BSD500-RGB-files", "embedded"), 3, (), True, ("strict",), 200, "Noisy", "denoising",
                      blind=tuple(range(56))),
    "sim1800": Task(("SIM1800-BSD500", "embedded"), 3, (), True, ("strict",), 212, "Noisy", "denoising"),
    "deraining": Task(("Rain800", "embedded"), 3, (), False, ("strict", "strict_y"), 100, "Rainy", "deraining"),
}
# Of data sets whose name does not say enough.
TITLES = {"BSD500-grey-files": "Noisy grey files (BSD500)", "BSD500-RGB-files": "Noisy colour files (BSD500)",
          "SIM1800-BSD500": "SIM1800 (rebuilt from BSD500)", "real-rain": "Photographs of real rain (Rain800)"}
