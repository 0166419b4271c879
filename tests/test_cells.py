"""Cells to compare: drawn at random, one change away, how alike two are, and what is kept of them."""

import json
import math
import random
from collections import Counter
from itertools import combinations

import pytest
import torch

from irnas_lib.data import datasets
from irnas_lib.data.patches import Patches, training_options
from irnas_lib.evaluation import inference, protocols, systems, validation
from irnas_lib.experiments import cells, edits
from irnas_lib.genotypes import DENOISING, DENOISING_R1, DENOISING_R2, PUBLISHED
from irnas_lib.training import loop, recipes
from irnas_lib.training.checkpoints import CheckpointError


@pytest.mark.parametrize("task", ("denoising", "deraining"))
def test_random_cells_are_different_of_one_size_and_those_of_the_seed(task):
    found = [cell.genotype for cell in cells.random_cells(task, 8, seed=3)]
    assert len({edits.canonical(cell) for cell in found}) == 8
    size = cells.parameters(task, PUBLISHED[task, "IR-NAS"].genotype)
    assert all(abs(systems.parameter_count(cells.build(task, cell)) / size - 1) <= cells.SPREAD for cell in found)
    assert found == [cell.genotype for cell in cells.random_cells(task, 8, seed=3)]
    assert found != [cell.genotype for cell in cells.random_cells(task, 8, seed=4)]
    near = [size, int(1.15 * size)]
    for i, cell in enumerate(cells.random_cells(task, 4, near=near)):
        assert abs(systems.parameter_count(cells.build(task, cell.genotype)) / near[i % 2] - 1) <= cells.SPREAD
    with pytest.raises(ValueError, match="only 0 of 2 random cells: too few have about 99 parameters"):
        cells.random_cells(task, 2, near=[99])


def test_a_random_node_has_two_inputs_and_every_operation_turns_up():
    rng = random.Random(0)
    drawn = [cells.random_cell(4, rng) for _ in range(100)]
    assert all(node[0].source != node[1].source for cell in drawn for node in cell)
    assert {edge.operation for cell in drawn for node in cell for edge in node} == {"conv", "sep", "dil", "def", "skip"}


@pytest.mark.parametrize("kind, pick", [("R1", DENOISING_R1), ("R2", DENOISING_R2)])
def test_the_papers_own_change_is_in_the_sample_of_its_kind_once(kind, pick):
    everything = {edits.canonical(cell) for cell in edits.KINDS[kind](DENOISING)}
    found = [edits.canonical(cell.genotype) for cell in cells.changed_cells("denoising", kind, 5)]
    assert found[0] == edits.canonical(pick) and len(set(found)) == len(found) == min(5, len(everything))
    assert set(found) <= everything


def test_the_published_cell_from_other_seeds_is_with_the_published_one():
    groups = {name: {"cells": [name]} for name in ("R1", "again", "searched")}
    assert cells.by_group(groups) == {"published": ["again"], "searched": ["searched"], "R1": ["R1"]}
    assert list(cells.by_group(groups | {"published": {"cells": [1, 2]}}).values())[0] == [1, 2, "again"]


def test_agreement_counts_edges_and_then_operations():
    assert cells.agreement(DENOISING, DENOISING) == (1, 1)
    assert cells.agreement(DENOISING, DENOISING_R1) == (1, 0.8)  # two of ten operations
    assert cells.agreement(DENOISING, DENOISING_R2) == (0.8, 0.8)  # both inputs of one node


def test_each_profile_and_budget_keeps_its_own_groups_and_the_run_comes_before_the_shipped(tmp_path):
    run, shipped, budget = tmp_path / "run", tmp_path / "shipped", {"iterations": 10}
    genotype = [[list(edge) for edge in node] for node in PUBLISHED["denoising", "IR-NAS"].genotype]
    cell = {"name": "a", "genotype": genotype, "seed": 0, "psnr": 20.0, "ssim": 0.5, "seconds": None, "parameters": 9}
    record = {"task": "denoising", "group": "random", "profile": "laptop", "budget": budget, "cells": []}
    cells.save(record | {"cells": [cell]}, run)
    cells.save(record, shipped)
    cells.save(record | {"group": "R1"}, shipped)
    cells.save(record | {"profile": "gpu", "cells": [cell] * 2}, run)
    cells.save(record | {"budget": {"iterations": 20}, "cells": [cell] * 3}, run)
    cells.save(record | {"profile": "smoke", "cells": [cell] * 9}, run)
    cells.save(record | {"task": "deraining", "cells": [cell] * 7}, run)
    found = cells.load([run, shipped], "denoising", "laptop", budget)
    assert found == {"random": record | {"cells": [cell]}, "R1": record | {"group": "R1"}}
    assert cells.load([run], "denoising", "paper", budget) == {}
    cells.save(record | {"budget": budget | {"pictures": 20, "data_sha256": "d"}, "profile": "huge"}, run)
    assert cells.load([run], "denoising", "huge", budget).keys() == {"random"}
    assert cells.load([run], "denoising", "huge", budget | {"data_sha256": "e"}) == {}
    assert cells.best_known([run, shipped], "denoising")["random"]["cells"] == [cell] * 3
    assert cells.best_known([run, shipped], "denoising", smoke=True)["random"]["cells"] == [cell] * 9
    (run / "denoising-R2-10-laptop.json").write_text("{")
    with pytest.raises(CheckpointError, match="denoising-R2-10-laptop.json: not readable as JSON"):
        cells.load([run], "denoising", "laptop", budget)


def test_every_pair_of_inputs_and_every_operation_is_equally_likely():
    rng = random.Random(0)
    drawn = [cells.random_cell(3, rng) for _ in range(3000)]
    for node, names in enumerate((("p2", "p1"), ("p2", "p1", "n1"), ("p2", "p1", "n1", "n2"))):
        pairs = Counter(frozenset(edge.source for edge in cell[node]) for cell in drawn)
        assert pairs.keys() == set(map(frozenset, combinations(names, 2)))
        assert min(pairs.values()) > 0.85 * 3000 / len(pairs)
        operations = Counter(edge.operation for cell in drawn for edge in cell[node])
        assert min(operations.values()) > 0.9 * 6000 / 5 and len(operations) == 5


@pytest.mark.parametrize("change", ({"psnr": math.nan}, {"psnr": "20"}, {"seed": -1},
                                    {"genotype": [[["conv", "p1"]] * 2]}))
def test_a_cell_with_what_is_no_score_or_no_cell_is_refused(tmp_path, change):
    genotype = [[list(edge) for edge in node] for node in PUBLISHED["denoising", "IR-NAS"].genotype]
    cell = {"name": "a", "genotype": genotype, "seed": 0, "psnr": 20.0, "ssim": 0.5, "seconds": None, "parameters": 9}
    record = {"task": "denoising", "group": "random", "profile": "laptop", "budget": {"iterations": 10}}
    path = cells.save(record | {"cells": [cell]}, tmp_path)
    path.write_text(json.dumps(record | {"cells": [cell | change]}))
    with pytest.raises(CheckpointError, match="denoising-random-10-laptop.json: "):
        cells.best_known([tmp_path], "denoising")


def test_a_cell_is_trained_once_at_the_budget_of_its_record():
    published = PUBLISHED["denoising", "IR-NAS"].genotype
    budget = {"sigma": 50, "iterations": 2, "batch": 1, "crop": 16, "seed": 3, "recipe": "matched",
              "protocol": "strict"}
    record = {"task": "denoising", "budget": budget, "cells": []}
    wanted = [cells.Candidate("a", published), cells.Candidate("again", published, 4)]
    first, second = cells.untrained(wanted, record)
    assert (first.seed, second.seed) == (3, 4)
    pictures = datasets.load("denoising", "embedded")
    patches = Patches(pictures.train, 16, **training_options("denoising", 50))
    test = validation.middle(pictures.test[:1], 32)
    record["cells"] = [cells.trained(first, record, pictures, test)]
    assert cells.untrained(wanted, record) == [second]
    torch.manual_seed(3)
    network = cells.build("denoising", published)
    loop.train(network, patches, recipes.recipe("matched"), 2, 1, 3)
    expected = protocols.evaluate(inference.restorer(network, "cpu"), test, "strict", 50, 3)
    assert (record["cells"][0]["psnr"], record["cells"][0]["ssim"]) == (expected.psnr, expected.ssim)


def test_a_cell_whose_training_blows_up_has_no_scores(monkeypatch):
    def diverges(*_, **__):
        raise loop.Diverged("its loss is not finite", [])
    monkeypatch.setattr(loop, "train", diverges)
    budget = {"recipe": "matched", "sigma": 50, "iterations": 2, "batch": 1, "crop": 16}
    record = {"task": "denoising", "budget": budget, "cells": []}
    cell = cells.Candidate("a", PUBLISHED["denoising", "IR-NAS"].genotype, 0)
    found = cells.trained(cell, record, datasets.load("denoising", "embedded"), ())
    assert (found["name"], found["psnr"], found["ssim"], found["seconds"]) == ("a", None, None, None)
