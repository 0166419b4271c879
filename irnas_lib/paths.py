"""Where things lie: the project's root, the folder of a run, the folder of the data."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run_folder(profile: str) -> Path:
    """The folder that a profile writes to, with notebooks/, checkpoints/ and figures/ inside."""
    return ROOT / "runs" / profile


def data_folder(argument: str | Path | None = None) -> Path:
    """The folder of the real data sets: the argument, else IRNAS_DATA, else data/ in the project. A relative
    IRNAS_DATA is one below the project, wherever a notebook runs."""
    if argument:
        return Path(argument).expanduser()
    return ROOT / Path(os.environ.get("IRNAS_DATA") or "data").expanduser()
