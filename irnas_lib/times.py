"""The times that `timing` has left in checkpoints/times.json; light, for the tables import it."""

import json
from collections.abc import Mapping
from pathlib import Path

from irnas_lib.paths import ROOT

FILE = ROOT / "checkpoints" / "times.json"


def load(file: Path = FILE) -> dict:
    """What has been measured, by task; empty where nothing has."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def scaled(record: Mapping) -> dict[str, float]:
    """Seconds for the whole test set, by system."""
    rows = list(record["pictures"].values())
    return {system: sum(row[system] for row in rows) / len(rows) * record["test_pictures"] for system in rows[0]}
