"""What is left of a profile, with estimates from measured steps a second."""

import pytest
import torch
from test_results import make

from irnas_lib.experiments import runs
from irnas_lib.genotypes import Architecture, Genotype
from irnas_lib.pipeline import marks, profiles, remaining

DEFAULTS = {"task": "denoising", "dataset": "BSD500", "system": "DnCNN", "sigma": 50, "seed": 0, "recipe": "matched",
            "loss_lambda": 0.5, "iterations": 1000, "schedule": 0, "batch": 4, "crop": 32}


def job(name, **given):
    notebook = "05_training" if given else name
    return profiles.Job(notebook, name, given, ()), DEFAULTS | given | {"profile": "laptop"}


def result(**changes):
    device = runs.device_name(runs.best_device()).partition(",")[0] + ", 7 threads"
    return make(**DEFAULTS | {"profile": "gpu", "seconds": 100.0, "device": device, "genotype": None, "path": None,
                              "width": None, "schedule": changes.get("iterations", DEFAULTS["iterations"])} | changes)


@pytest.fixture
def results(monkeypatch, tmp_path):
    """A list that stands for all results; the run's folder is empty."""
    known = []
    monkeypatch.setattr(runs, "all_results", lambda profile: known)
    monkeypatch.setattr(runs, "run_folder", lambda profile: tmp_path)
    monkeypatch.setattr(marks, "run_folder", lambda profile: tmp_path)
    return known


def test_what_is_done_is_not_left(results, tmp_path):
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "01_datasets").touch()
    assert marks.finished("laptop") == {"01_datasets"}
    found = remaining.left("laptop", [job("01_datasets"), job("02_search_space")])
    assert [str(job_left) for job_left in found] == ["02_search_space"]


def test_a_training_that_has_begun_goes_on_at_its_own_pace(results):
    results.append(result(iterations=10))
    begun = job("begun", system="RED")
    state = runs.state_file("laptop", result(system="RED", profile="laptop").stem)
    state.parent.mkdir(parents=True)
    key = result(system="RED").config.key()
    torch.save({"key": key, "iteration": 400, "seconds": 80.0}, state)
    (found,) = remaining.left("laptop", [begun])
    assert found == ("begun", 400, 1000, pytest.approx(120.0))
    assert str(found) == "begun: 400 of 1,000 iterations, about 2 minutes"
    torch.save({"key": key | {"batch": 8}, "iteration": 400, "seconds": 80.0}, state)  # the job begins anew
    assert remaining.left("laptop", [begun])[0].done == 0


def test_the_pace_of_another_training_counts_by_pixels_on_the_same_device(results):
    results += [result(iterations=500, batch=8, crop=16, seconds=50.0),  # 50 s for half as many iterations and pixels
                result(iterations=1, seconds=1e-3, device="another GPU"), result(system="RED", seconds=1e-3),
                result(profile="smoke", seconds=1e-3), result(crop=None)]
    (found,) = remaining.left("laptop", [job("new", system="DnCNN")])
    assert found == ("new", 0, 1000, pytest.approx(200.0))
    (found,) = remaining.left("laptop", [job("new", system="MemNet")])
    assert found.seconds is None and str(found) == "new: 0 of 1,000 iterations, no measured time"


def test_what_is_trained_already_only_has_to_be_loaded(results):
    results.append(result(device="another GPU"))  # loaded wherever it was trained
    results.append(result(seconds=120.0, system="RED"))
    assert str(remaining.left("laptop", [job("slower", system="RED", schedule=2000)])[0]) == (
        "slower: 0 of 1,000 iterations, about 2 minutes")
    results.append(result(iterations=10, seconds=1.2))
    assert list(map(str, remaining.left("laptop", [job("same", sigma=50), job("other", sigma=30)]))) == [
        "same: trained", "other: 0 of 1,000 iterations, about 2 minutes"]


def test_a_failed_training_is_over_and_gives_no_pace(results):
    results.append(result(seconds=None, status="failed"))
    assert list(map(str, remaining.left("laptop", [job("same", sigma=50), job("other", sigma=30)]))) == [
        "same: trained", "other: 0 of 1,000 iterations, no measured time"]


def test_after_a_new_search_its_network_is_not_trained_yet(results, monkeypatch):
    genotype = [[["conv", "p2"], ["skip", "p1"]]]
    found = {"old": Architecture(Genotype(genotype), (0, 1), 4),
             "new": Architecture(Genotype([[["def", "p2"], ["skip", "p1"]]]), (0, 1), 4)}
    searched = {"system": "IR-NAS (searched here)", "genotype": "searched", "path": "", "width": 0}
    results.append(result(**searched | {"genotype": genotype, "path": [0, 1], "width": 4}))
    for search, line in (("old", "it: trained"), ("new", "it: 0 of 1,000 iterations, about 2 minutes")):
        monkeypatch.setattr(runs, "architecture", lambda *_, search=search: found[search])
        assert str(remaining.left("laptop", [job("it", **searched)])[0]) == line
