"""The hashes of what is shipped in checkpoints/, so that a file that was damaged or exchanged is noticed before its
numbers are believed. In the format of `sha256sum -c`."""

from pathlib import Path

from irnas_lib.files import atomically, sha256
from irnas_lib.training.checkpoints import CheckpointError

NAME = "SHA256SUMS"
FOLDERS = ("results", "weights", "searches", "cells", "choices", "panels")  # benchmarks and times belong to a machine


def listed(checkpoints: Path) -> dict[str, str]:
    """What should be there: SHA-256 by path below `checkpoints`; nothing where there is no manifest. Raises
    CheckpointError for a damaged one."""
    manifest = Path(checkpoints) / NAME
    if not manifest.is_file():
        return {}
    found = {}
    for line in manifest.read_text().splitlines():
        digest, separator, path = line.partition("  ")
        if not separator:
            raise CheckpointError(f"{manifest}: {line!r} is no line of sha256sum")
        found[path] = digest
    return found


def present(checkpoints: Path) -> dict[str, str]:
    """What is there, by path below `checkpoints`."""
    return {path.relative_to(checkpoints).as_posix(): sha256(path) for folder in FOLDERS
            for path in sorted((Path(checkpoints) / folder).glob("[!.]*"))}


def write(checkpoints: Path) -> Path:
    """Writes the manifest of what is there."""
    path = Path(checkpoints) / NAME
    with atomically(path) as partial:
        partial.write_text("".join(f"{digest}  {name}\n" for name, digest in present(checkpoints).items()))
    return path


def check(checkpoints: Path) -> None:
    """Raises CheckpointError, in one line, where a listed file is missing or differs. What is not listed is somebody's
    own and may be there; without a manifest nothing is checked."""
    found = present(checkpoints)
    for name, digest in listed(checkpoints).items():
        if found.get(name) != digest:
            how = "differs from its hash in" if name in found else "is missing, but listed in"
            raise CheckpointError(f"{Path(checkpoints) / name} {how} {NAME}: restore it from the repository")
