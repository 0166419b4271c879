"""What a training is: its parameters, and which of them make two trainings the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


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
        """Of a result, or of what a result is before it is trained (`runs.training_record`)."""
        return cls(*(_frozen(record.get(name)) for name in NAMES))

    def key(self) -> dict:
        """As JSON and the state of a training hold it."""
        return json.loads(json.dumps(dict(zip(NAMES, (getattr(self, field.name) for field in fields(self))))))

    def same(self, other: "TrainingConfig") -> bool:
        """Equal, but for the hash of the data where one of the two does not know it."""
        if None in (self.data_sha256, other.data_sha256):
            return replace(self, data_sha256=None) == replace(other, data_sha256=None)
        return self == other

    def differences(self, other: "TrainingConfig") -> list[str]:
        """The names, as in a result, of what two trainings differ in."""
        ours, theirs = self.key(), other.key()
        return [name for name in NAMES if ours[name] != theirs[name]]


NAMES = tuple("lambda" if field.name == "loss_lambda" else field.name for field in fields(TrainingConfig))

PAPER_ITERATIONS = 600_000  # of a training, section 4.1
PAPER_PIXELS = PAPER_ITERATIONS * 12 * 64 ** 2  # that it sees


def pixels(record: Mapping) -> int | None:
    """How many pixels a training saw; None for a system that is not trained, or whose crops are not known."""
    if not record["iterations"] or not record.get("crop"):
        return None
    return record["iterations"] * record["batch"] * record["crop"] ** 2


def length(record: Mapping) -> tuple[int, int]:
    """By what the longer of two trainings is told: pixels, then iterations; zeros where they are not known."""
    return pixels(record) or 0, record["iterations"] or 0


def budget(record: Mapping) -> str:
    """The same in words: "246 million pixels, 0.83% of the paper's"; empty where it is not known."""
    if (seen := pixels(record)) is None:
        return ""
    millions = f"{seen / 1e6:,.0f}" if seen >= 1e7 else f"{seen / 1e6:.2g}"
    return f"{millions} million pixels, {100 * seen / PAPER_PIXELS:.2g}% of the paper's"


# What trainings have in common that are compared with each other: all but the system and its architecture.
BUDGET = ("profile", "recipe", "iterations", "schedule", "batch", "crop", "seed", "data_sha256")
# What trainings have in common of which one, the longest that succeeded, is shipped.
RIVALS = ("task", "dataset", "system", "sigma", "seed", "recipe", "loss", "lambda", "profile")


def _frozen(value):
    """Lists, at any depth, as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
