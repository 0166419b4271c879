"""What is done of a profile: a mark for each finished job, which says of what it was made.

A page is made of its code cells, its parameters, the modules that they import, and the jobs that it needs. A search, a
training or a measurement of its own is made of the first two alone: its result decides whether it is repeated.
"""

import ast
import functools
import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

import jupytext

from irnas_lib.files import ROOT, atomically, read_json, run_folder, sha256
from irnas_lib.pipeline import stamps
from irnas_lib.pipeline.profiles import Job

# Notebooks that look their results up before they compute: a change of the library makes none of them anew.
WORK = ("03_search", "05_training", "05b_classical_methods", "13_does_the_search_matter")
FIGURES = "figures"  # the name of what is drawn after all jobs


def figures(jobs: Iterable[Job]) -> Job:
    """The drawing of the figures as a job that needs all others; it has no notebook."""
    return Job("", FIGURES, {}, tuple(job.name for job in jobs))


def folder(profile: str) -> Path:
    """Where the marks lie."""
    return run_folder(profile) / "done"


def finished(profile: str) -> set[str]:
    """The names of the jobs that are done."""
    return {path.name for path in folder(profile).glob("[!.]*")}


def identity(job: Job) -> str:
    """The SHA-256 of what a job is made of, the jobs that it needs left out."""
    if job.name == FIGURES:
        parts = [_library(ROOT / "irnas_lib" / "figures" / "all.py")]
    else:
        source = ROOT / "notebooks" / f"{job.notebook}.py"
        parts = [stamps.code(jupytext.read(source)), job.parameters]
        parts += [] if job.notebook in WORK else [_library(source)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def made_of(profile: str, job: Job) -> dict:
    """What a job is made of now, and which runs of the jobs that it needs; to be asked before it runs, for what is
    edited meanwhile has not run."""
    return {"identity": identity(job), "needs": {name: _token(profile, name) for name in job.needs}}


def write(profile: str, job: Job, parts: dict) -> None:
    """Marks a job, made of `parts`, as done just now."""
    with atomically(folder(profile) / job.name) as partial:
        partial.write_text(json.dumps(parts | {"token": str(time.time_ns())}) + "\n", encoding="utf-8")


def remove_stale(profile: str, jobs: Iterable[Job]) -> None:
    """Takes away the marks of jobs that are made of something else today."""
    for job in jobs:
        mark = read(profile, job.name)
        if mark is not None and mark != made_of(profile, job) | {"token": mark.get("token")}:
            (folder(profile) / job.name).unlink()


def read(profile: str, name: str) -> dict | None:
    """The mark of a job; None where it is not done, {} for a mark that cannot be read."""
    path = folder(profile) / name
    if not path.is_file():
        return None
    try:
        mark = read_json(path)
    except ValueError:
        return {}
    return mark if isinstance(mark, dict) else {}


def _token(profile: str, name: str) -> str | None:
    """What tells one run of a job from the next."""
    return (read(profile, name) or {}).get("token")


def _library(source: Path) -> dict[str, str]:
    """The modules of the project that a source imports, directly or not, and the tables of numbers beside them, with
    the SHA-256 of each."""
    found, waiting = set(), [source]
    while waiting:
        new = imported(waiting.pop()) - found
        found |= new
        waiting += new
    numbers = {csv for path in found if path.name != "__init__.py" for csv in path.parent.glob("*.csv")}
    return {path.relative_to(ROOT).as_posix(): sha256(path) for path in found | numbers}


@functools.cache
def imported(source: Path) -> frozenset[Path]:
    """The modules of the project that a Python source imports itself."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            path = Path(*name.split("."))
            for root in (ROOT, source.parent):
                for file in (root / path.with_suffix(".py"), root / path / "__init__.py"):
                    if file.is_file() and file.is_relative_to(ROOT):
                        found.add(file)
    return frozenset(found)
