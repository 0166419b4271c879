"""The times that `timing` has left in checkpoints/times.json."""

from collections.abc import Mapping
from pathlib import Path

from irnas_lib.experiments import records
from irnas_lib.files import SHIPPED

FILE = SHIPPED / "times.json"


def load(file: Path = FILE) -> dict:
    """What has been measured, by task; empty where nothing has."""
    return records.read(file, records.TIMES) if file.is_file() else {}


def scaled(record: Mapping | None) -> dict[str, float]:
    """Seconds for the whole test set, by system: the mean over the pictures that it has restored, times all. Empty
    without a record."""
    taken: dict[str, list[float]] = {}
    for row in record["pictures"].values() if record else ():
        for system, seconds in row.items():
            taken.setdefault(system, []).append(seconds)
    return {system: sum(each) / len(each) * record["test_pictures"] for system, each in taken.items()}


def restored_by(record: Mapping, system: str) -> int:
    """How many pictures a system has restored in a record."""
    return sum(system in row for row in record["pictures"].values())
