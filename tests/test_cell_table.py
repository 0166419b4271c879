"""The table of cells: drawn without preference, made once, whole after any kill, the same whoever makes it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from irnas_lib.data.datasets import Dataset, Picture
from irnas_lib.experiments import cell_table, cells, edits, runs, training_run
from irnas_lib.experiments.cell_table import Training
from irnas_lib.genotypes import PUBLISHED, Genotype
from irnas_lib.search_space import OPERATIONS
from irnas_lib.training import loop, steps

PICTURES = tuple(Picture(f"p{i}", np.random.default_rng(i).integers(0, 256, (40, 36, 1), dtype=np.uint8))
                 for i in range(20))
DATASET = Dataset("BSD500", "denoising", PICTURES, (), PICTURES[:3], "0" * 64)
SMALL = Genotype([[("skip", "p1"), ("skip", "p2")]] * 2)
TRAINING = Training("random 1", SMALL, 0, 3 * 4 * 32 ** 2)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "output_folder", lambda profile: tmp_path)
    monkeypatch.setattr(runs, "SHIPPED", tmp_path / "nothing")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def small_plan(monkeypatch, *trainings):
    monkeypatch.setattr(cell_table, "plan", lambda task: list(trainings or (TRAINING,)))


def line(seed=0, psnr=24.0, **changes):
    scores = {"psnr": psnr, "ssim": 0.5, "each": [psnr]}
    return {"task": "denoising", "name": "random 1", "cell": json.loads(json.dumps(SMALL)), "seed": seed,
            "pixels": 100, "iterations": 1, "parameters": 9, "macs_per_pixel": 9, "validation": scores, "test": scores,
            "curve": [], "status": "ok", "seconds": 1.0} | changes


def test_every_cell_of_one_node_is_drawn_equally_often():
    cell_list = {edits.canonical([[(a, "p1"), (b, "p2")]]) for a, b in product(OPERATIONS[:-1], repeat=2)}
    rng = cell_table.random.Random(1)
    counts = Counter(edits.canonical(cells.random_cell(1, rng)) for _ in range(5000))
    assert counts.keys() == cell_list and len(cell_list) == 25
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 43  # chi-square, 24 degrees, 99%


def test_drawn_cells_differ_are_canonical_and_begin_with_the_same():
    found = cell_table.drawn(5, 40)
    assert len(set(found)) == 40 and found[:7] == cell_table.drawn(5, 7)
    assert all(cell == edits.canonical(cell) and all(a.source != b.source for a, b in cell) for cell in found)
    assert cell_table.drawn(5, 3, seed=1) != found[:3]


@pytest.mark.parametrize("task, number, repeated, long", [("denoising", 200, 30, 20), ("deraining", 60, 10, 5)])
def test_the_plan_has_what_is_promised(task, number, repeated, long):
    trainings = cell_table.plan(task)
    assert len({(training.cell, training.seed, training.pixels) for training in trainings}) == len(trainings)
    budget = min(training.pixels for training in trainings)
    seeds = Counter(training.cell for training in trainings if training.pixels == budget)
    papers = {Genotype(edits.canonical(found.genotype)) for (of, _), found in PUBLISHED.items() if of == task}
    assert all(seeds.pop(cell) == 3 for cell in papers)
    assert len(seeds) >= number and sum(count == 3 for count in seeds.values()) >= repeated
    slow = {training.cell for training in trainings if training.pixels == 10 * budget}
    assert papers < slow and len(slow - papers) >= long and slow <= seeds.keys() | papers


def test_a_cell_is_trained_once_and_its_line_says_what_it_is(monkeypatch, folder):
    small_plan(monkeypatch)
    cell_table.fill("denoising", DATASET, "laptop")
    (record,) = cell_table.read("denoising")
    network = cells.build("denoising", SMALL)
    assert record["parameters"] == sum(p.numel() for p in network.parameters())
    assert record["iterations"] == 3 and record["status"] == "ok" and len(record["curve"]) == 3
    assert record["validation"]["psnr"] == pytest.approx(np.mean(record["validation"]["each"]), abs=1e-3)
    assert len(record["validation"]["each"]) == 2 and len(record["test"]["each"]) == 3
    assert not list((folder / "resume").glob("*"))
    monkeypatch.setattr(cell_table, "make", lambda *_: pytest.fail("trained again"))
    cell_table.fill("denoising", DATASET, "laptop")
    assert cell_table.read("denoising") == [record]


def test_what_was_not_trained_on_validates(monkeypatch):
    trained = []
    monkeypatch.setattr(training_run, "Patches",
                        lambda pictures, *_, **__: trained.extend(pictures))
    monkeypatch.setattr(loop, "train", lambda *_, **__: {"validation": [], "seconds": 1, "device": ""})
    record = cell_table.make("denoising", TRAINING, DATASET, "laptop")
    assert [picture.name for picture in trained] == [f"p{i}" for i in range(20) if i % 15]
    assert len(record["validation"]["each"]) == 2


def test_a_torn_last_line_does_not_count_and_is_overwritten(folder):
    cell_table.append(line(0), folder)
    with open(cell_table.file(folder, "denoising"), "a") as table:
        table.write('{"task": "denoi')
    assert [record["seed"] for record in cell_table.read("denoising")] == [0]
    cell_table.append(line(1), folder)
    assert [record["seed"] for record in cell_table.read("denoising")] == [0, 1]


def test_a_damaged_line_is_named(folder):
    cell_table.append(line(0), folder)
    with open(cell_table.file(folder, "denoising"), "a") as table:
        table.write("{}\n")
    with pytest.raises(ValueError, match="denoising.jsonl, line 2: no training of a cell"):
        cell_table.read("denoising")


def test_a_query_takes_the_lines_that_have_what_it_names(folder):
    for seed, pixels in product((0, 1), (100, 1000)):
        cell_table.append(line(seed, pixels=pixels), folder)
    assert [record["seed"] for record in cell_table.read("denoising", pixels=100)] == [0, 1]
    assert len(cell_table.read("denoising", seed=1, pixels=1000)) == 1
    assert cell_table.read("deraining") == []


def test_a_training_that_another_process_holds_is_left_to_it(monkeypatch):
    small_plan(monkeypatch)
    with cell_table.claimed(cell_table.state_file("denoising", TRAINING, "laptop")) as ours:
        assert ours
        cell_table.fill("denoising", DATASET, "laptop")
    assert cell_table.read("denoising") == []


def test_a_training_that_blows_up_is_a_line_of_the_table(monkeypatch):
    def train(*_, **__):
        raise loop.Diverged("too large")
    monkeypatch.setattr(loop, "train", train)
    small_plan(monkeypatch)
    cell_table.fill("denoising", DATASET, "laptop")
    (record,) = cell_table.read("denoising")
    assert record["status"] == "failed" and record["test"] is None


def test_a_killed_training_goes_on_to_the_same_scores(monkeypatch, folder):
    small_plan(monkeypatch)
    program = ("import sys; sys.path.insert(0, sys.argv[1]); import test_cell_table as t; "
               "t.wait_in_the_second_step(sys.argv[2])")
    process = subprocess.Popen([sys.executable, "-c", program, str(Path(__file__).parent), str(folder)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {
                                   "PYTHONPATH": str(Path(__file__).resolve().parent.parent)})
    assert process.stdout.readline() == "stepping\n", process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list((folder / "resume").glob("*.pt")) and cell_table.read("denoising") == []
    cell_table.fill("denoising", DATASET, "laptop")
    (resumed,) = cell_table.read("denoising")
    whole = cell_table.make("denoising", TRAINING._replace(name="again"), DATASET, "laptop")
    assert (resumed["validation"], resumed["curve"]) == (whole["validation"], whole["curve"])


def wait_in_the_second_step(folder):
    """In a process of its own: saves after each step, says so, and waits."""
    runs.output_folder = lambda profile: Path(folder)
    torch.set_num_threads(1)
    steps.SAVE_SECONDS = -1
    usual = training_run.Patches.batch

    def batch(self, size, *seed):
        if seed[-1] == 2:
            print("stepping", flush=True)
            time.sleep(60)
        return usual(self, size, *seed)
    training_run.Patches.batch = batch
    cell_table.make("denoising", TRAINING, DATASET, "laptop")
