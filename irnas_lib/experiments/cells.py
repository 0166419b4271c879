"""Cells to train at one small budget and to compare: found by searches, drawn at random, or one change away.

A comparison of cells is fair where all else is the same: the path and the width are the published ones, and so are
budget, first weights and batches. The input is added to the output, since without it a short training is spent on the
mean brightness of its batches, whatever the cell (notebook 5c).
"""

import functools
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import torch
from scipy import stats
from torch import nn

from irnas_lib.data.datasets import Dataset, Picture
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import protocols, systems
from irnas_lib.evaluation.inference import restorer
from irnas_lib.experiments import edits, records, training_run
from irnas_lib.experiments.results import SMOKE
from irnas_lib.files import write_json
from irnas_lib.genotypes import PUBLISHED, Architecture, Edge, Genotype
from irnas_lib.search_space import OPERATIONS, states
from irnas_lib.training.recipes import recipe

SYSTEM = "IR-NAS + residual"
SPREAD = 0.05  # random cells have as many parameters as those that they are compared with, give or take this share
GROUPS = {"published": "the published cell", "searched": "searched here", "random": "random",
          "operation": "another operation on an edge", "input": "another input of an edge",
          "R1": "R1: every conv deformable", "R2": "R2: both inputs of a node"}  # the last four are `edits.KINDS`


class Candidate(NamedTuple):
    """name: such as "random 3", "input 7", or the paper's own, "IR-NAS, R1"; seed: of its training, None for that of
    all the others."""

    name: str
    genotype: Genotype
    seed: int | None = None


def random_cell(nodes: int, rng: random.Random) -> Genotype:
    """Two different inputs for each node and an operation for each of them, all equally likely; never `none`."""
    return Genotype([[Edge(rng.choice(OPERATIONS[:-1]), source) for source in rng.sample(states(node), 2)]
                     for node in range(nodes)])


def random_cells(task: str, number: int, seed: int = 0, near: Sequence[int] = ()) -> list[Candidate]:
    """Different random cells. Their sizes (of `parameters`) are within SPREAD of those of `near`, taken in turn, or of
    the published cell's without it. Raises ValueError where ten thousand draws have too few of a size."""
    published, rng, found = PUBLISHED[task, "IR-NAS"].genotype, random.Random(seed), {}
    near = near or [parameters(task, published)]
    for _ in range(10_000):
        if len(found) == number:
            return [Candidate(f"random {i}", cell) for i, cell in enumerate(found.values(), 1)]
        cell, size = random_cell(len(published), rng), near[len(found) % len(near)]
        if abs(parameters(task, cell) / size - 1) <= SPREAD:
            found.setdefault(edits.canonical(cell), cell)
    raise ValueError(f"only {len(found)} of {number} random cells: too few have about {size:,} parameters")


def changed_cells(task: str, kind: str, number: int, seed: int = 0) -> list[Candidate]:
    """A sample of the changes of one kind of `edits.KINDS`; the paper's own change, where it is of this kind, first."""
    everything = edits.KINDS[kind](PUBLISHED[task, "IR-NAS"].genotype)
    candidates = [Candidate(f"{kind} {i}", cell) for i, cell in enumerate(everything, 1)]
    if (task, f"IR-NAS, {kind}") not in PUBLISHED:
        return random.Random(seed).sample(candidates, min(number, len(candidates)))
    pick = Candidate(f"IR-NAS, {kind}", PUBLISHED[task, f"IR-NAS, {kind}"].genotype)
    rest = [candidate for candidate in candidates
            if edits.canonical(candidate.genotype) != edits.canonical(pick.genotype)]
    return [pick, *random.Random(seed).sample(rest, min(number - 1, len(rest)))]


def build(task: str, genotype: Genotype) -> nn.Module:
    """The untrained network of a cell, on the published path and width, with the input added to its output."""
    return systems.build(SYSTEM, *_setting(task, genotype))


def parameters(task: str, genotype: Genotype) -> int:
    """Registered parameters of that network: those with a skip on every edge, and what each operation adds."""
    operations = [edge.operation for node in genotype for edge in node]
    skips = _parameters(task, len(genotype), "skip")
    return skips + sum(_parameters(task, len(genotype), operation) - skips for operation in operations)


@functools.cache
def _parameters(task: str, nodes: int, operation: str) -> int:
    """Of a cell with `operation` on one edge and skips on the others."""
    first, *others = [[Edge("skip", "p2"), Edge("skip", "p1")] for _ in range(nodes)]
    return systems.registered(SYSTEM, *_setting(task, Genotype([[Edge(operation, "p2"), first[1]], *others])))


def _setting(task: str, genotype: Genotype) -> tuple[int, Architecture]:
    """Channels of the picture, and the cell in the published network."""
    return TASKS[task].channels, PUBLISHED[task, "IR-NAS"]._replace(genotype=genotype)


def agreement(first: Genotype, second: Genotype) -> tuple[float, float]:
    """The share of edges (node and input) that two cells have in common, and of edges with the same operation."""
    def share(a: set, b: set) -> float:
        return len(a & b) / len(a)

    inputs = [{(node, edge.source) for node, pair in enumerate(cell) for edge in pair} for cell in (first, second)]
    whole = [{(node, *edge) for node, pair in enumerate(cell) for edge in pair} for cell in (first, second)]
    return share(*inputs), share(*whole)


def untrained(candidates: Iterable[Candidate], record: dict) -> list[Candidate]:
    """Those that a record lacks, each with the seed of its training."""
    done = {(edits.canonical(Genotype(cell["genotype"])), cell["seed"]) for cell in record["cells"]}
    seeded = [cell if cell.seed is not None else cell._replace(seed=record["budget"]["seed"]) for cell in candidates]
    return [cell for cell in seeded if (edits.canonical(cell.genotype), cell.seed) not in done]


def trained(cell: Candidate, record: dict, pictures: Dataset, test: Sequence[Picture],
            device: torch.device | str = "cpu") -> dict:
    """Trains a cell at a record's budget and measures it on `test`: {"name", "genotype", "seed", "psnr", "ssim",
    "seconds", "parameters"}; psnr, ssim and seconds are None where the training failed."""
    task, budget = record["task"], record["budget"]
    torch.manual_seed(cell.seed)
    network = build(task, cell.genotype)
    found = {"name": cell.name, "genotype": cell.genotype, "seed": cell.seed, "psnr": None, "ssim": None,
             "seconds": None, "parameters": parameters(task, cell.genotype)}
    training = training_run.run(network, pictures, recipe(budget["recipe"]), budget["sigma"], budget["iterations"],
                                budget["batch"], budget["crop"], cell.seed, device)
    if training["status"] == "failed":
        return found
    score = protocols.evaluate(restorer(network, device), test, budget["protocol"], budget["sigma"], budget["seed"])
    return found | {"psnr": score.psnr, "ssim": score.ssim, "seconds": training["seconds"]}


# ---- records ----

def save(record: dict, folder: str | Path) -> Path:
    """Writes what a group of cells has scored: {"task", "group", "profile", "budget": {"iterations", ...}, "cells":
    [{"name", "genotype", "psnr", ...}, ...], ...}; "psnr" in dB, None where the training failed."""
    path = Path(folder) / "{task}-{group}-{iterations}-{profile}.json".format(
        **record, iterations=record["budget"]["iterations"])
    write_json(path, record)
    return path


def load(folders: Iterable[str | Path], task: str, profile: str, budget: dict) -> dict[str, dict]:
    """What a profile has trained for a task at one budget, by group; an earlier folder comes before a later one.

    A budget may leave out what is not known, such as the hash of data that are not at hand. Raises CheckpointError for
    a damaged file.
    """
    return next((groups for (of_task, of_profile, trained_at), groups in _by_setting(folders).items()
                 if (of_task, of_profile) == (task, profile) and budget.items() <= trained_at), {})


def _by_setting(folders: Iterable[str | Path]) -> dict[tuple, dict[str, dict]]:
    """The same of every task, profile and budget, each by group."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).glob("[!.]*.json")):
            record = records.read(path, records.CELLS)
            found.setdefault(_setting_of(record), {}).setdefault(record["group"], record)
    return found


def best_known(folders: Iterable[str | Path], task: str, smoke: bool = False) -> dict[str, dict]:
    """What has been trained for a task, by group, at that profile and budget at which most cells were."""
    of_task = [groups for (trained_for, profile, _), groups in _by_setting(folders).items()
               if trained_for == task and (profile == SMOKE) == smoke]
    return max(of_task, key=lambda groups: sum(len(record["cells"]) for record in groups.values()), default={})


def by_group(groups: Mapping[str, dict]) -> dict[str, list[dict]]:
    """The cells of such records in the order of GROUPS. Those of "again", the published cell from other seeds, are
    with "published"."""
    trained = {name: list(groups[name]["cells"]) if name in groups else [] for name in GROUPS}
    trained["published"] += groups["again"]["cells"] if "again" in groups else []
    return {name: cells for name, cells in trained.items() if cells}


def over_seeds(groups: Mapping[str, dict], metric: str = "psnr") -> float:
    """The standard deviation of the published cell's PSNR (dB), or of its "ssim", over its training seeds; 0 where it
    has fewer than three, of which nothing can be said."""
    found = [cell[metric] for cell in by_group(groups).get("published", ()) if cell[metric] is not None]
    return stdev(found) if len(found) > 2 else 0.0


class Standing(NamedTuple):
    """The published cell, trained from several seeds, against all other trained cells: how many trainings of each, by
    how many dB the others' mean is above its own, and the two-sided p of the exact Mann-Whitney test."""

    published: int
    others: int
    above: float
    p: float


def standing(groups: Mapping[str, dict]) -> Standing | None:
    """None where one of the two sides has no training."""
    trained = {name: [cell["psnr"] for cell in group if cell["psnr"] is not None]
               for name, group in by_group(groups).items()}
    published, others = trained.pop("published", []), [psnr for group in trained.values() for psnr in group]
    if not published or not others:
        return None
    test = stats.mannwhitneyu(published, others, method="exact")
    return Standing(len(published), len(others), mean(others) - mean(published), float(test.pvalue))


def over_the_same_seed(groups: Mapping[str, dict]) -> dict[str, float]:
    """By how many dB each other cell is above the published one that was trained from the same seed, and so began with
    the same first weights and saw the same batches, by the cell's name."""
    trained = by_group(groups)
    published = {cell["seed"]: cell["psnr"] for cell in trained.pop("published", [])}
    return {cell["name"]: cell["psnr"] - published[cell["seed"]] for group in trained.values() for cell in group
            if cell["psnr"] is not None and published.get(cell["seed"]) is not None}


class Place(NamedTuple):
    """Where the published cell stands among `of` cells, the best first; p: the chance of a place as near to either end
    if all cells were alike, so that each were as likely to take any place."""

    place: int
    of: int
    p: float


def place(groups: Mapping[str, dict], by_mean: bool = False) -> Place | None:
    """By its training from the seed of the other cells, or by the mean of its trainings; None where there is nothing to
    compare. A cell counts once, however often it was trained: its trainings are no independent draws of cells."""
    gains = list(over_the_same_seed(groups).values())
    if by_mean:
        psnrs = {name: [cell["psnr"] for cell in group if cell["psnr"] is not None]
                 for name, group in by_group(groups).items()}
        published = psnrs.pop("published", [])
        gains = [psnr - mean(published) for group in psnrs.values() for psnr in group] if published else []
    if not gains:
        return None
    above, of = sum(gain > 0 for gain in gains), len(gains) + 1
    return Place(above + 1, of, min(1.0, 2 * min(above + 1, of - above) / of))


def _setting_of(record: dict) -> tuple:
    return record["task"], record["profile"], frozenset(record["budget"].items())
