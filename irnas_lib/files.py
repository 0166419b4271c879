"""Where things lie and of which commit; files that appear whole or not at all, JSON that names its file where it is
damaged, hashes."""

import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
INSTALLED = not (ROOT / "profiles.toml").is_file()  # without the project around it: the package restores pictures alone
SHIPPED = (PACKAGE if INSTALLED else ROOT) / "checkpoints"


def run_folder(profile: str) -> Path:
    """The folder that a profile writes to, with notebooks/, checkpoints/ and figures/ inside."""
    return ROOT / "runs" / profile


def data_folder(argument: str | Path | None = None) -> Path:
    """The folder of the real data sets: the argument, else IRNAS_DATA, else data/ in the project. A relative
    IRNAS_DATA is one below the project, wherever a notebook runs."""
    if argument:
        return Path(argument).expanduser()
    return ROOT / Path(os.environ.get("IRNAS_DATA") or "data").expanduser()


def commit(root: Path = ROOT) -> str:
    """The commit checked out, with `-dirty` where tracked files differ from it; the variable IRNAS_COMMIT, for copies
    of the project without its history, goes first; empty where neither is."""
    if os.environ.get("IRNAS_COMMIT"):
        return os.environ["IRNAS_COMMIT"]
    try:
        return subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
                              cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@contextlib.contextmanager
def atomically(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to; it takes the name at the end, unless something failed.

    A full disk or a killed run leaves the previous file as it was. Missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: str | Path):
    """What a JSON file holds. Raises ValueError, in one line that names the file, where it is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from None


def write_json(path: str | Path, content) -> None:
    """Writes JSON for people and programs, whole or not at all."""
    with atomically(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
