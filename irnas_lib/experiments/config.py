"""What a training is: its parameters, and which of them make two trainings the same."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter

JSON_NAMES = {"loss_lambda": "lambda"}  # of what is called otherwise in files


@dataclass(frozen=True)
class TrainingConfig:
    """The parameters of a training, and the data that it saw. Equal configurations are one training, wherever and
    however fast it ran.

    genotype and path are tuples, None for a system that has none; sigma is None for pairs.
    """

    task: str
    dataset: str
    system: str
    sigma: float | None
    seed: int
    recipe: str | None
    loss_lambda: float | None
    iterations: int | None
    schedule: int | None
    batch: int | None
    crop: int | None
    genotype: tuple | None
    path: tuple | None
    width: int | None
    data_sha256: str | None

    @classmethod
    def of(cls, record: Mapping) -> "TrainingConfig":
        """Of a mapping that has at least these parameters."""
        return cls(**{field.name: _frozen(record[field.name]) for field in fields(cls)})

    def key(self) -> dict:
        """As JSON and the state of a training hold it."""
        return json.loads(json.dumps({JSON_NAMES.get(name, name): value for name, value in vars(self).items()}))

    def same(self, other: "TrainingConfig") -> bool:
        """Equal, but for the hash of the data where one of the two does not know it."""
        if None in (self.data_sha256, other.data_sha256):
            return replace(self, data_sha256=None) == replace(other, data_sha256=None)
        return self == other

    def differences(self, other: "TrainingConfig") -> list[str]:
        """The names, as in a file, of what two trainings differ in."""
        key = other.key()
        return [name for name, value in self.key().items() if value != key[name]]


PAPER_ITERATIONS = 600_000  # of a training, section 4.1
PAPER_PIXELS = PAPER_ITERATIONS * 12 * 64 ** 2  # that it sees


def pixels(training) -> int | None:
    """How many pixels a training (a TrainingConfig or a Result) saw; None for a system that is not trained, or whose
    crops are not known."""
    if not training.iterations or not training.crop:
        return None
    return training.iterations * training.batch * training.crop ** 2


def length(training) -> tuple[int, int]:
    """By what the longer of two trainings is told: pixels, then iterations; zeros where they are not known."""
    return pixels(training) or 0, training.iterations or 0


def budget(training) -> str:
    """The same in words: "246 million pixels, 0.83% of the paper's"; empty where it is not known."""
    if (seen := pixels(training)) is None:
        return ""
    millions = f"{seen / 1e6:,.0f}" if seen >= 1e7 else f"{seen / 1e6:.2g}"
    return f"{millions} million pixels, {100 * seen / PAPER_PIXELS:.2g}% of the paper's"


# What trainings have in common that are compared with each other: all but the system and its architecture.
BUDGET = attrgetter("profile", "recipe", "iterations", "schedule", "batch", "crop", "seed", "data_sha256")
# What trainings have in common of which one, the longest that succeeded, is shipped.
RIVALS = attrgetter("task", "dataset", "system", "sigma", "seed", "recipe", "loss", "loss_lambda", "profile")


def slug(system: str) -> str:
    """A system's name for file names: "IR-NAS, R1" is ir_nas_r1, "IR-NAS*" is ir_nas_star."""
    return re.sub(r"[^a-z0-9]+", "_", system.lower().replace("*", " star")).strip("_")


def _frozen(value):
    """Lists, at any depth, as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
