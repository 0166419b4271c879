"""A table of cells: drawn uniformly from the search space, each trained at one small budget and scored.

::

    python -m irnas_lib.experiments.cell_table denoising --minutes 60

trains what is missing, one training after another on one thread, and may be stopped at any time. The table is
checkpoints/cell_table/TASK.jsonl: one training a line, a JSON object with these keys::

    task, name        such as "random 17", or the paper's own: "IR-NAS", "IR-NAS, R1", "IR-NAS, R2"; "searched 0" and
                      so on are the cells of page 3b's larger searches, which decide, by their seeds
    cell              [[[operation, source], [operation, source]], ...], a node each, its two edges sorted
    seed, pixels      of the first weights and batches; seen in training, the budget
    iterations, batch, crop, recipe, sigma    its steps, of so many crops of so many pixels a side
    parameters, macs_per_pixel    of the whole network; multiply-accumulates
    validation, test  {"psnr": dB, "ssim", "each": [PSNR of each picture]}: squares from the middle of pictures that are
                      never trained on, of the training set (to search with) and of the test set (to report); None
                      where the training failed
    curve             [[iteration, PSNR], ...] on smaller squares of the validation pictures
    status            "ok", or "failed" where the loss blew up
    seconds           of training, by the clock, beside whatever else the machine did
    profile, data_sha256, device, versions, commit

Two earlier tables of denoising lie beside it: usual_start.jsonl, 47 runs of networks whose last layer starts at random,
and fast_rate.jsonl, 74 whose last layer starts at zero, both at a learning rate of 0.004.

Cells that differ only in how their nodes are numbered count as different; both inputs of a node are different states,
as in every cell that a search can find. All networks have the published path and width and add their input.
"""

import argparse
import contextlib
import json
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import filelock
import numba
import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from irnas_lib import command
from irnas_lib.data import datasets
from irnas_lib.data.datasets import Dataset
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import systems, validation
from irnas_lib.evaluation.inference import spread
from irnas_lib.experiments import cells, edits, records, runs, training_run
from irnas_lib.experiments.config import slug
from irnas_lib.files import append_line, from_json, problem, whole_lines
from irnas_lib.genotypes import PUBLISHED, Genotype
from irnas_lib.runtime import has_bfloat16
from irnas_lib.training.recipes import Recipe

SIGMA, BATCH, CROP = 50, 4, 32
# Of 244 steps. Networks that do not start as the identity are a decibel worse after them, and vary far more by seed;
# at twice the rate some fail at the beginning.
RECIPE = Recipe("AdamW", lr=2e-3, schedule="cosine", weight_decay=1e-4, warmup=500, padded=True, average=0.95,
                held_out=15, identity=True)
SIDE, CURVE_SIDE = 96, 32  # pixels of the squares
TEST_PICTURES, CURVE_POINTS = 40, 5
SEEDS, LONGER = 3, 10  # trainings of a repeated cell; how many times the budget of a long training


class Plan(NamedTuple):
    """How many cells are drawn, of how many of them trainings are repeated from other seeds, and of how many one is
    LONGER; the budget in pixels."""

    cells: int
    repeated: int
    long: int
    pixels: int


PLANS = {"denoising": Plan(200, 30, 20, 10 ** 6), "deraining": Plan(60, 12, 6, 10 ** 6)}


class Training(NamedTuple):
    """One line of the table before it is trained."""

    name: str
    cell: Genotype
    seed: int
    pixels: int

    @property
    def iterations(self) -> int:
        """The steps that see so many pixels, at least one."""
        return max(1, round(self.pixels / (BATCH * CROP ** 2)))


def drawn(nodes: int, number: int, seed: int = 0) -> list[Genotype]:
    """Different cells, uniformly at random from all of so many nodes; more of them begin with the same ones."""
    rng, found = random.Random(seed), {}
    while len(found) < number:
        found.setdefault(edits.canonical(cells.random_cell(nodes, rng)))
    return [Genotype(cell) for cell in found]


def plan(task: str) -> list[Training]:
    """Every training of a task's table, in the order of their making: the paper's cells, cells with repetitions, more
    cells, and long trainings at last."""
    number, repeated, long, pixels = PLANS[task]
    papers = {name: Genotype(edits.canonical(found.genotype)) for (of, name), found in PUBLISHED.items() if of == task}
    random_cells = {f"random {i}": cell for i, cell in enumerate(drawn(len(papers["IR-NAS"]), number), 1)}

    def trainings(chosen: dict, seeds: Iterable[int], budget: int = pixels) -> list[Training]:
        return [Training(name, cell, seed, budget) for seed in seeds for name, cell in chosen.items()]

    first, rest = (dict(list(random_cells.items())[part]) for part in (slice(repeated), slice(repeated, None)))
    slow = papers | dict(list(random_cells.items())[:long])
    return (trainings(papers | first, range(SEEDS)) + trainings(rest, [0]) + trainings(slow, [0], LONGER * pixels))


def key(record: dict) -> tuple:
    """What makes two lines of the table the same training."""
    return record["task"], edits.canonical(Genotype(record["cell"])), record["seed"], record["pixels"]


def make(task: str, training: Training, pictures: Dataset, profile: str, device: torch.device | str = "cpu") -> dict:
    """Trains one cell and scores it: its line of the table. A training that was begun goes on."""
    device, sigma = torch.device(device), SIGMA if TASKS[task].sigmas else None
    torch.manual_seed(training.seed)
    network = cells.build(task, training.cell)
    record = {"task": task, "name": training.name, "cell": [[list(edge) for edge in node] for node in training.cell],
              "seed": training.seed, "pixels": training.pixels, "iterations": training.iterations,
              "batch": BATCH, "crop": CROP, "recipe": asdict(RECIPE), "sigma": sigma,
              "parameters": systems.parameter_count(network),
              "macs_per_pixel": systems.macs_per_pixel(network, TASKS[task].channels)}
    held_out = validation.split(pictures, RECIPE.held_out)[1]
    squares = {"curve": validation.middle(held_out, CURVE_SIDE), "validation": validation.middle(held_out, SIDE),
               "test": validation.middle(spread(pictures.test, TEST_PICTURES), SIDE)}

    def score(trained: nn.Module, name: str) -> dict:
        scores = np.array(list(validation.scores(trained, squares[name], sigma, device=device).values()))
        return {"psnr": round(float(scores[:, 0].mean()), 4), "ssim": round(float(scores[:, 1].mean()), 5),
                "each": scores[:, 0].round(3).tolist()}

    trained = training_run.run(
        network, pictures, RECIPE, sigma, training.iterations, BATCH, CROP, training.seed, device,
        state_file=state_file(task, training, profile), key=record, bf16=has_bfloat16(device),
        validate=lambda net: score(net, "curve")["psnr"], validations=CURVE_POINTS)
    record |= {"validation": None, "test": None, "curve": [], "status": trained["status"], "seconds": None,
               "device": None}
    if trained["status"] == "ok":
        record |= {"validation": score(network, "validation"), "test": score(network, "test"),
                   "curve": trained["validation"], "seconds": round(trained["seconds"], 1),
                   "device": trained["device"]}
    return runs.provenance(profile, pictures, device) | record


# ---- the file ----

def file(folder: str | Path, task: str) -> Path:
    """Where a table lies below a folder of checkpoints."""
    return Path(folder) / "cell_table" / f"{task}.jsonl"


def state_file(task: str, training: Training, profile: str) -> Path:
    """Where an unfinished training keeps its exact state."""
    name = f"cell_table-{task}-{slug(training.name)}-{training.pixels}-seed{training.seed}"
    return runs.state_file(profile, name)


def read(task: str, profile: str = "laptop", **wanted) -> list[dict]:
    """The lines of a task's table, a run's own and those that come with the project, that have what is `wanted`: such
    as `read("denoising", seed=0, pixels=10 ** 6)`. A last line that a killed run has cut short does not count; another
    damaged one raises ValueError."""
    found = {}
    for folder in reversed(runs.folders(profile)):
        path = file(folder, task)
        for number, line in enumerate(whole_lines(path), 1):
            try:
                record = from_json(line)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: not readable as JSON ({error})") from None
            if wrong := problem(record, records.CELL_TRAINING):
                raise ValueError(f"{path}, line {number}: no training of a cell ({wrong})")
            found[key(record)] = record
    return [record for record in found.values() if all(record[name] == value for name, value in wanted.items())]


def append(record: dict, folder: str | Path) -> None:
    """Adds a line to a table; several processes may do so."""
    append_line(file(folder, record["task"]), json.dumps(record, allow_nan=False))


# ---- the command ----

def left(task: str, profile: str) -> list[Training]:
    """The trainings of the plan that the table lacks."""
    done = set(map(key, read(task, profile)))
    return [training for training in plan(task)
            if (task, edits.canonical(training.cell), training.seed, training.pixels) not in done]


@contextlib.contextmanager
def claimed(state: Path) -> Iterator[bool]:
    """Whether no other process holds this training; it is held until then. A killed process holds nothing."""
    lock = state.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as held:
        if not filelock.lock_descriptor(held.fileno(), blocking=False):
            yield False
            return
        yield True
        lock.unlink(missing_ok=True)


def fill(task: str, pictures: Dataset, profile: str, device: torch.device | str = "cpu") -> None:
    """Trains what the table lacks, line by line; processes beside each other share the work."""
    passed_over = set()
    with tqdm(total=len(plan(task)), desc=f"cells, {task}") as bar:
        while todo := [training for training in left(task, profile) if training not in passed_over]:
            bar.update(bar.total - len(todo) - len(passed_over) - bar.n)
            training, state = todo[0], state_file(task, todo[0], profile)
            with claimed(state) as free:
                if not free or training not in left(task, profile):  # another process has it, or has just finished it
                    passed_over.add(training)
                    continue
                append(make(task, training, pictures, profile, device), runs.output_folder(profile))
                state.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m irnas_lib.experiments.cell_table",
                                     description="Fill the table of cells, where it was left.")
    parser.add_argument("task", choices=PLANS)
    parser.add_argument("--minutes", type=command.minutes, default=math.inf,
                        help="stop after so many minutes (default: never)")
    parser.add_argument("--profile", default="laptop", help="whose folder, runs/PROFILE/checkpoints, is added to")
    parser.add_argument("--data", default="", help="folder of the data sets (default: IRNAS_DATA)")
    parser.add_argument("--left", action="store_true", help="say what is left, and train nothing")
    options = parser.parse_args(arguments)
    end = time.monotonic() + 60 * options.minutes

    def work() -> None:
        if options.left:
            todo = left(options.task, options.profile)
            pixels = sum(training.pixels for training in todo)
            print(f"{len(todo)} of {len(plan(options.task))} are left: {pixels:,} pixels")
            return
        torch.set_num_threads(1)  # several processes fill more cores than several threads of these small steps
        numba.set_num_threads(1)
        timer = threading.Timer(60 * options.minutes, os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        try:
            if options.minutes < math.inf:
                timer.start()
            pictures = datasets.load(options.task, TASKS[options.task].dataset, options.data)
            fill(options.task, pictures, options.profile)
        except KeyboardInterrupt:
            if time.monotonic() < end:
                raise
            print("the time is over; the same command goes on from here")

    with command.told_to_end():
        return command.exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
