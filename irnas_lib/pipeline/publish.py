"""Promote what a real run made: runs/PROFILE/ to checkpoints/ and `notebooks/*.ipynb`."""

import shutil
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from irnas_lib.experiments import manifest, records, results, runs
from irnas_lib.experiments.config import RIVALS, length
from irnas_lib.experiments.results import Result
from irnas_lib.files import atomically, sha256
from irnas_lib.pipeline import profiles, stamps
from irnas_lib.runtime import interrupts_held
from irnas_lib.tables import comparison

PANELS_LIMIT = 5 * 2**20  # bytes of the data sets' picture content that may be shipped
KINDS = {"searches": records.SEARCH, "cells": records.CELLS}  # of records, by their folder
WEIGHTS_LIMIT = 56 * 10**6  # bytes, so that all of checkpoints/ stays under 60 MB


class PublishError(ValueError):
    """A run that must not be promoted; the message is one line, and nothing has been copied."""


def publish(profile: str, run: Path, root: Path) -> list[str]:
    """Promote the run of a profile, in the folder `run`, into the project at `root`; a line for each step.

    Copies results, searches, records of cells, weights and panels to checkpoints/, and an executed notebook of each
    notebook to notebooks/: of the job that is called as the notebook, or else of the first. A result replaces the one
    of the same task, data set, system, sigma, seed, recipe, loss and profile, unless that one has succeeded where it
    has failed or has more iterations; each profile keeps its own. A system's panels go with the result that the tables
    show. Weights that would make checkpoints/ too large are left out. All is checked before anything is copied:
    PublishError for smoke scale, for weights that are missing or differ from their hash, for a notebook that
    `stamps.problems` rejects, and for panels of more than 5 MB in all; another ValueError for a damaged record, and for
    shipped files that are not as the manifest says. Killed on the way it changes checkpoints/ as a whole or not at all,
    and the same command goes on.
    """
    jobs = profiles.load(profile)
    if profile == "smoke":
        raise PublishError("smoke runs are no results and are not published")
    if not run.is_dir():
        raise PublishError(f"profile {profile} has not run here: make reproduce PROFILE={profile}")
    made, shipped = run / "checkpoints", root / "checkpoints"
    manifest.finish(shipped)
    manifest.check(shipped)
    made_here = _results(made)  # read once: a training that runs meanwhile may add to it
    everything = _results(shipped) | made_here
    pairs, dropped, lines = _chosen(made_here, everything, made, shipped)
    for path in sorted(path for folder in KINDS for path in (made / folder).glob("[!.]*.json")):
        _real(path, records.read(path, KINDS[path.parent.name])["profile"])
        pairs.append((path, shipped / path.relative_to(made)))
    pairs += _panels(profile, made_here, everything, made, shipped)
    pages, missing = _pages(jobs, run, root)
    pairs, lines = pairs + pages, lines + missing

    gone = set(dropped) - {target for _, target in pairs}
    files = {path: path for path in (shipped / "weights").glob("[!.]*") if path not in gone}
    files |= {target: source for source, target in pairs if target.parent.name == "weights"}
    shown = [record for path, record in everything.items() if path not in gone]
    too_large = _too_large({path: file.stat().st_size for path, file in files.items()}, shown)
    with interrupts_held(), manifest.change(shipped) as (staged, removed):
        for source, target in pairs:
            if target not in too_large:
                place = staged / target.relative_to(shipped) if target.is_relative_to(shipped) else target
                with atomically(place) as partial:
                    shutil.copyfile(source, partial)
                lines.append(f"published: {target.relative_to(root)}")
        removed += [path.relative_to(shipped).as_posix() for path in (*gone, *too_large)]
        lines += [f"replaced: {path.relative_to(root)}" for path in gone]
        lines += [f"left out, for over {WEIGHTS_LIMIT / 1e6:g} MB of weights: {path.name}" for path in too_large]
    return lines


def _chosen(made_here: dict[Path, Result], everything: dict[Path, Result], made: Path,
            shipped: Path) -> tuple[list[tuple[Path, Path]], list[Path], list[str]]:
    """Of a run's own results those to be shipped and their weights, each with its place; the files that they replace;
    and why others are left out."""
    pairs, dropped, lines = [], [], []
    for path, record in made_here.items():
        _real(path, record.profile)
        if _same(record, everything.get(shipped / path.relative_to(made)), shipped):
            continue
        rivals = [file for file, rival in everything.items() if file != path and RIVALS(rival) == RIVALS(record)]
        if better := [rival for rival in rivals if _worth(everything[rival]) > _worth(record)]:
            alike = everything[better[0]].status == record.status
            lines.append(f"left out: {path.name}, for {better[0].name} "
                        f"{'has more iterations' if alike else 'has succeeded'}")
            continue
        older = [rival for rival in rivals if rival.is_relative_to(shipped)]
        dropped += older + [shipped / everything[rival].weights["file"] for rival in older
                            if everything[rival].weights]
        pairs += [(new, shipped / new.relative_to(made)) for new in (_weights(path, record, made), path) if new]
    return pairs, dropped, lines


def _panels(profile: str, made_here: dict[Path, Result], everything: dict[Path, Result], made: Path,
            shipped: Path) -> list[tuple[Path, Path]]:
    """A run's panels, each with its place, of systems whose result in the tables is the run's. Raises PublishError for
    more than PANELS_LIMIT."""
    panels = {panel.name: panel for panel in sorted((made / "panels").glob("[!.]*.png"))}
    for record in made_here.values():
        shown = results.best(everything.values(), record.task, record.system, record.sigma)
        if shown and shown.profile != profile:
            panels = {name: panel for name, panel in panels.items() if not fnmatch(name, _panels_of(record))}
    all_panels = {panel.name: panel for panel in (shipped / "panels").glob("[!.]*.png")} | panels
    if sum(panel.stat().st_size for panel in all_panels.values()) > PANELS_LIMIT:
        raise PublishError("the panels would hold more than 5 MB of pictures")
    return [(panel, shipped / "panels" / name) for name, panel in panels.items()]


def _pages(jobs: list[profiles.Job], run: Path, root: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """The executed notebooks, each with its place, and which have not run. Raises PublishError for an unfit one."""
    pairs, missing = [], []
    for notebook in dict.fromkeys(job.notebook for job in jobs):
        of_it = [job.name for job in jobs if job.notebook == notebook]
        page = notebook if notebook in of_it else of_it[0]
        executed = run / "notebooks" / f"{page}.ipynb"
        if not executed.exists():
            missing.append(f"not run: {page}")
        elif found := stamps.problems(executed, root / "notebooks" / f"{notebook}.py"):
            raise PublishError(found[0])
        else:
            pairs.append((executed, root / "notebooks" / f"{notebook}.ipynb"))
    return pairs, missing


def _too_large(sizes: dict[Path, int], everything: list[Result]) -> list[Path]:
    """The weights (each file's bytes) over the limit: first of results that no table shows, of these the largest."""
    in_tables = [results.best(everything, record.task, record.system, record.sigma) for record in everything]
    in_tables += [row.result for row in comparison.side_by_side(everything).rows]
    shown = {Path(record.weights["file"]).name for record in in_tables if record and record.weights}
    over, out = sum(sizes.values()) - WEIGHTS_LIMIT, []
    for path in sorted(sizes, key=lambda path: (path.name in shown, -sizes[path], path)):
        if over > 0:
            out.append(path)
            over -= sizes[path]
    return out


def _real(path: Path, profile: str | None) -> None:
    """Raises PublishError for a record of the profile `smoke`."""
    if profile == results.SMOKE:
        raise PublishError(f"{path.name}: made at smoke scale, which is no result")


def _same(record: Result, published: Result | None, shipped: Path) -> bool:
    """Whether a result is shipped already, its weights too, maybe rounded (see `halve`)."""
    return (published is not None and replace(record, weights=None) == replace(published, weights=None)
            and (record.weights is None or runs.at_hand(published, shipped)))


def _results(checkpoints: Path) -> dict[Path, Result]:
    """The results in a checkpoints folder, checked, by their files."""
    return {path: results.read(path) for path in sorted((checkpoints / "results").glob("[!.]*.json"))}


def _worth(result: Result) -> tuple[bool, int, int]:
    """Success, then the length of the training."""
    return result.status == "ok", *length(result)


def _panels_of(result: Result) -> str:
    """A pattern of the file names of a system's panels, those of real rain included."""
    sigma = "" if result.sigma is None else f"sigma{result.sigma:g}-"
    return f"{result.task}-*{sigma}*-{results.slug(result.system)}.png"


def _weights(result: Path, record: Result, checkpoints: Path) -> Path | None:
    """The weights file of a result, after comparing its hash; None if it has none."""
    weights = record.weights
    if not weights:
        return None
    path = checkpoints / "weights" / Path(weights["file"]).name
    if not path.is_file():
        raise PublishError(f"{result.name}: its weights {path.name} are missing")
    if sha256(path) != weights["sha256"]:
        raise PublishError(f"{result.name}: its weights {path.name} differ from their hash")
    return path
