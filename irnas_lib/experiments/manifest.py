"""The hashes of what is shipped in checkpoints/, so that a file that was damaged or exchanged is noticed before its
numbers are believed, in the format of `sha256sum -c`; and changes of these files that a kill cannot leave half made."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from irnas_lib.files import atomically, sha256
from irnas_lib.training.checkpoints import CheckpointError

NAME = "SHA256SUMS"
FOLDERS = ("results", "weights", "searches", "cells", "choices", "panels")  # benchmarks and times belong to a machine
NEXT = ".next"  # below checkpoints/: the files of a change, with GONE and, once all of them are there, with NAME
GONE = "GONE"   # what the change takes away, a path a line


def listed(checkpoints: Path) -> dict[str, str]:
    """What should be there: SHA-256 by path below `checkpoints`; nothing where there is no manifest. Raises
    CheckpointError for a damaged one."""
    manifest = Path(checkpoints) / NAME
    if not manifest.is_file():
        return {}
    found = {}
    for line in manifest.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, separator, path = line.partition("  ")
        if not separator:
            raise CheckpointError(f"{manifest}: {line!r} is no line of sha256sum")
        found[path] = digest
    return found


def present(checkpoints: Path) -> dict[str, str]:
    """What is there, by path below `checkpoints`."""
    return {path.relative_to(checkpoints).as_posix(): sha256(path) for folder in FOLDERS
            for path in sorted((Path(checkpoints) / folder).glob("[!.]*"))}


def check(checkpoints: Path) -> None:
    """Raises CheckpointError, in one line, where a listed file is missing or differs. What is not listed is somebody's
    own and may be there; without a manifest nothing is checked. Of a change that a kill has cut off both sides count.
    """
    found, later = present(checkpoints), listed(Path(checkpoints) / NEXT)
    for name, digest in listed(checkpoints).items():
        if found.get(name) != digest and not (later and found.get(name) == later.get(name)):
            how = "differs from its hash in" if name in found else "is missing, but listed in"
            raise CheckpointError(f"{Path(checkpoints) / name} {how} {NAME}: get back this file alone, from where you "
                                  "have it")


@contextlib.contextmanager
def change(checkpoints: Path) -> Iterator[tuple[Path, list[str]]]:
    """Changes files of `checkpoints` and the manifest together, or none of them.

    Gives a folder and a list: what is written into the folder takes the place of what has the same path below
    `checkpoints`, and what is put on the list is removed, at the end, unless something failed. If the process is
    killed, the next change first ends this one (`finish`).
    """
    finish(checkpoints)
    folder, gone = Path(checkpoints) / NEXT, []
    folder.mkdir(parents=True)
    try:
        yield folder, gone
        after = {name: digest for name, digest in present(checkpoints).items() if name not in gone} | present(folder)
        (folder / GONE).write_text("".join(f"{name}\n" for name in gone), encoding="utf-8")
        with atomically(folder / NAME) as partial:
            partial.write_text("".join(f"{after[name]}  {name}\n" for name in sorted(after, key=_place)),
                               encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder)
        raise
    finish(checkpoints)


def finish(checkpoints: Path) -> None:
    """Ends a change that was cut off: makes it where all of it had been written, and else forgets it."""
    checkpoints = Path(checkpoints)
    folder = checkpoints / NEXT
    if (folder / NAME).is_file():
        for name in (folder / GONE).read_text(encoding="utf-8").splitlines():
            (checkpoints / name).unlink(missing_ok=True)
        for name in present(folder):
            (checkpoints / name).parent.mkdir(exist_ok=True)
            os.replace(folder / name, checkpoints / name)
        os.replace(folder / NAME, checkpoints / NAME)
    if folder.is_dir():
        shutil.rmtree(folder)


def _place(name: str) -> tuple[int, str]:
    """The order of `present`."""
    return FOLDERS.index(name.partition("/")[0]), name
