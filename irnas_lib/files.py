"""Where things lie and of which commit; files that appear whole or not at all, JSON that names its file where it is
damaged, what a record lacks, hashes."""

import contextlib
import hashlib
import json
import math
import os
import re
import subprocess
from collections.abc import Container, Iterator
from pathlib import Path

import psutil
from pydantic import TypeAdapter, ValidationError

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
INSTALLED = not (ROOT / "profiles.toml").is_file()  # without the project around it: the package restores pictures alone
SHIPPED = (PACKAGE if INSTALLED else ROOT) / "checkpoints"
PARTIAL = re.compile(r"\.(.+)\.(\d{1,9})(\.[^.]*)?")  # of a file that is being written: its stem, the process, suffix
SHOWN = 200  # letters of a message that quotes what a file holds
LARGEST = 2 ** 63  # below it integers of records lie, so that every library takes them


class CheckpointError(ValueError):
    """A checkpoint or record that is missing, damaged or made for another network; the message is one line."""


def runs_folder() -> Path:
    """The folder that all runs write to: IRNAS_RUNS, else runs/ in the project. A relative IRNAS_RUNS is one below the
    project, wherever a notebook runs."""
    return ROOT / os.path.expanduser(os.environ.get("IRNAS_RUNS") or "runs")


def run_folder(profile: str) -> Path:
    """The folder that a profile writes to, with notebooks/, checkpoints/ and figures/ inside. Raises ValueError for a
    name that would lead out of the folder of the runs."""
    if profile in ("", ".", "..") or not re.fullmatch(r"[^/\\\x00-\x1f]{1,100}", profile):
        raise ValueError(f"profile {profile[:SHOWN]!r}: no name of a folder")
    return runs_folder() / profile


def data_folder(argument: str | Path | None = None) -> Path:
    """The folder of the real data sets: the argument, else IRNAS_DATA, else data/ in the project. A relative
    IRNAS_DATA is one below the project, wherever a notebook runs."""
    if argument:
        return Path(os.path.expanduser(argument))
    return ROOT / os.path.expanduser(os.environ.get("IRNAS_DATA") or "data")  # ~nobody stays as it is


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

    A full disk or a killed run leaves the previous file as it was; what the killed one has left beside it is removed
    by the next one. Missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, {path.name})
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(folder: Path, names: Container[str]) -> None:
    """Removes what killed processes have left in a folder of files of these names."""
    for name in os.listdir(folder):
        match = PARTIAL.fullmatch(name)
        if match and match[1] + (match[3] or "") in names and not _is_written(folder / name, int(match[2])):
            (folder / name).unlink(missing_ok=True)


def _is_written(partial: Path, process: int) -> bool:
    """Whether the process that began a file still runs; one that began after the file has only got its number."""
    try:
        writer = psutil.Process(process)
        return writer.status() != psutil.STATUS_ZOMBIE and writer.create_time() <= partial.stat().st_mtime + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def read_json(path: str | Path):
    """What a JSON file holds, as `from_json` has it. Raises ValueError, in one line that names the file, where it is
    missing or damaged."""
    try:
        return from_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from None


def from_json(text: str):
    """What a text in JSON says, all numbers in it finite and integers below 2^63. Raises ValueError for other texts."""
    def integer(text: str) -> int:
        if len(text) > 20 or abs(int(text)) >= LARGEST:
            raise ValueError(f"{text[:20]}... is too large")
        return int(text)

    def real(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise ValueError(f"{text[:20]} is not finite")
        return value
    try:
        return json.loads(text, parse_int=integer, parse_float=real, parse_constant=real)
    except RecursionError:
        raise ValueError("too deeply nested") from None


def problem(record: object, kind: TypeAdapter) -> str | None:
    """What keeps a record from being one of this kind, in a few words; None for a good one."""
    try:
        kind.validate_python(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place[:SHOWN]}: {first['msg'].removeprefix('Value error, ')[:SHOWN]}".removeprefix(": ")
    except RecursionError:
        return "too deeply nested"


def write_json(path: str | Path, content) -> None:
    """Writes JSON for people and programs, whole or not at all. Raises ValueError for a number that is not finite."""
    with atomically(path) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def whole_lines(path: str | Path) -> list[str]:
    """The lines of a text file that programs add to; not a last one that a kill has cut short, and none where there is
    no file. Raises ValueError, which names the file, for what is no text."""
    try:
        return Path(path).read_text(encoding="utf-8").split("\n")[:-1] if Path(path).is_file() else []
    except ValueError as error:
        raise ValueError(f"{path}: not readable as text ({error})") from None


def append_line(path: str | Path, line: str) -> None:
    """Adds a line to a text file, behind the last whole one; several processes may do so."""
    import filelock  # which restoring pictures does without

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        filelock.lock_descriptor(file.fileno())
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
