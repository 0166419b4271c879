"""Where finished searches and trainings are found, and which architecture a notebook's parameters name."""

import json
import math
from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from irnas_lib.data import datasets
from irnas_lib.evaluation import systems
from irnas_lib.experiments import config, results, runs, training_run
from irnas_lib.genotypes import DENOISING, DERAINING, DERAINING_R2, Architecture, GenotypeError
from irnas_lib.network import grey_weights
from irnas_lib.training import checkpoints, recipes
from irnas_lib.training.checkpoints import CheckpointError

WANTED = results.Result(**{
    "task": "denoising", "dataset": "BSD500", "system": "IR-NAS", "sigma": 50, "seed": 0, "recipe": "matched",
    "loss": "mse + log-ssim", "loss_lambda": 0.5, "iterations": 10, "schedule": 10, "batch": 2, "crop": 64,
    "profile": "laptop",
    "genotype": [[list(edge) for edge in node] for node in DENOISING], "path": [0, 0, 0, 1], "width": 20,
    "parameters": 661_693, "macs_per_pixel": 597_392, "device": "CPU, 2 threads", "versions": {}, "commit": "",
    "data_sha256": "d" * 64, "metrics": {}, "seconds": None, "weights": None, "status": "not run"})
FINISHED = replace(WANTED, metrics={"strict": {"psnr": 25.0, "ssim": 0.7, "pictures": 200}}, seconds=1.0, status="ok")
OTHER = {
    "task": "sim1800", "dataset": "embedded", "system": "IR-NAS (searched here)", "sigma": 30, "seed": 1,
    "recipe": "authors", "loss_lambda": 0.6, "iterations": 11, "schedule": 12, "batch": 3, "crop": 32,
    "genotype": [[list(edge) for edge in node] for node in DERAINING], "path": [0, 0, 0, 0], "width": 10,
    "data_sha256": "e" * 64}
ROWS = {"alpha": [[0.0] * 6] * 14, "beta": [[0.0] * 3] * 9}  # of 4 nodes and 4 layers
SEARCH = {"task": "denoising", "dataset": "embedded", "profile": "laptop", "settings": {"seed": 0, "width": 4},
          "genotype": DERAINING, "path": (0, 1, 2, 2), "relative_path": (0, 0, 0, 1), "path_log_probability": -1.5,
          **ROWS, "best": 0, "seconds": 1.0,
          "history": [{"iteration": 9, "psnr": 20.0, "ssim": 0.5, "loss": 0.1, **ROWS, "counts": True}],
          "device": "CPU, 2 threads", "data_sha256": "d" * 64}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """runs/PROFILE and checkpoints/ in an empty folder: this run's checkpoints, and the shipped ones."""
    monkeypatch.setattr(runs, "run_folder", lambda profile: tmp_path / "runs" / profile)
    monkeypatch.setattr(runs, "SHIPPED", tmp_path / "checkpoints")
    return tmp_path / "runs" / "laptop" / "checkpoints", tmp_path / "checkpoints"


def small(seed=0):
    torch.manual_seed(seed)
    return nn.Conv2d(1, 2, 3)


# ---- trainings ----

def test_a_training_is_found_with_its_weights(folders):
    network = small()
    file = runs.save_training(FINISHED, network)
    assert file.parent == folders[0] / "results"
    result, folder = runs.find_training("laptop", WANTED)
    assert folder == folders[0] and result.metrics == FINISHED.metrics
    assert (folder / result.weights["file"]).stem == file.stem
    other = small(1)
    runs.load_network(other, result, folder)
    assert torch.equal(network.weight, other.weight)


def test_every_key_that_matters_can_tell_two_trainings_apart():
    assert set(OTHER) == {field.name for field in fields(config.TrainingConfig)}


@pytest.mark.parametrize("key", OTHER)
def test_a_training_with_another_value_of_any_key_is_not_taken(key):
    """Nor is its place taken where both would have one name."""
    file = runs.save_training(FINISHED, small())
    assert runs.find_training("laptop", WANTED) is not None
    wanted = replace(WANTED, **{key: OTHER[key]})
    if wanted.stem != file.stem:
        assert runs.find_training("laptop", wanted) is None
    else:
        assert key not in ("task", "system", "sigma", "seed", "recipe", "loss_lambda", "iterations")
        with pytest.raises(CheckpointError, match=f"{file.name}: has another {key} than"):
            runs.find_training("laptop", wanted)


def test_a_smoke_training_may_take_the_place_of_another():
    runs.save_training(replace(FINISHED, profile="smoke"), small())
    assert runs.find_training("smoke", replace(WANTED, profile="smoke", batch=OTHER["batch"])) is None


def test_device_versions_and_commit_make_no_other_training():
    runs.save_training(FINISHED, small())
    assert runs.find_training("laptop", replace(WANTED, device="GPU", versions={"torch": "9"}, commit="abc"))


def test_the_runs_own_comes_before_the_shipped_one(folders):
    file = runs.save_training(FINISHED, small())
    shipped = folders[1] / "results" / file.name
    shipped.parent.mkdir(parents=True)
    shipped.write_text(file.read_text())
    assert runs.find_training("laptop", WANTED)[1] == folders[0]
    file.unlink()
    assert runs.find_training("laptop", WANTED)[1] == folders[1]
    shipped.unlink()
    assert runs.find_training("laptop", WANTED) is None


def test_a_failed_training_is_found_and_has_no_weights(folders):
    runs.save_training(replace(FINISHED, status="failed", metrics={}, seconds=None), None)
    result, folder = runs.find_training("laptop", WANTED)
    assert result.status == "failed"
    with pytest.raises(CheckpointError, match="IR-NAS: this result has no weights .failed."):
        runs.load_network(small(), result, folder)


def test_weights_that_are_not_shipped_are_not_at_hand(folders):
    runs.save_training(FINISHED, small())
    result, folder = runs.find_training("laptop", WANTED)
    assert runs.at_hand(result, folder)
    (folder / result.weights["file"]).unlink()
    assert not runs.at_hand(result, folder) and not runs.at_hand(replace(result, weights=None), folder)


def test_weights_that_were_replaced_are_refused(folders):
    runs.save_training(FINISHED, small())
    result, folder = runs.find_training("laptop", WANTED)
    checkpoints.save_weights(folder / result.weights["file"], small(1))
    with pytest.raises(CheckpointError, match="damaged or replaced"):
        runs.load_network(small(), result, folder)


@pytest.mark.parametrize("channels", (1, 3))
def test_a_training_starts_from_the_weights_that_its_recipe_names(channels, monkeypatch):
    """No step is taken, so that the network ends up with the weights of the start; from colour to grey folded."""
    torch.manual_seed(1)
    architecture = Architecture(DENOISING, (0, 1), 2)
    colour = systems.build("IR-NAS + residual", 3, architecture)
    task, name = "file_rgb" if channels == 3 else "file_grey", "file_rgb-embedded-ir_nas_residual-seed0-matched-10"
    wanted = replace(WANTED, task=task, dataset="embedded", system="IR-NAS + residual", sigma=None, path=[0, 1],
                     width=2, recipe="grown", iterations=0, batch=1, crop=16)
    made = replace(wanted, task="file_rgb", recipe="matched", iterations=10, metrics=FINISHED.metrics, status="ok")
    monkeypatch.setitem(recipes.RECIPES, "grown", replace(recipes.recipe("best"), start=name))
    pictures, cpu = datasets.load(task, "embedded"), torch.device("cpu")
    network = systems.build("IR-NAS + residual", channels, architecture)
    with pytest.raises(CheckpointError, match=f"{name}: its weights are not here"):
        training_run.train_or_resume(wanted, network, pictures, cpu)
    assert runs.save_training(made, colour).stem == f"{name}-laptop"
    training_run.train_or_resume(wanted, network, pictures, cpu)
    expected = colour.state_dict() if channels == 3 else grey_weights(colour)
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
    with pytest.raises(CheckpointError, match=f"{name}: its weights do not fit this network"):
        training_run.train_or_resume(wanted, systems.build("DnCNN", channels), pictures, cpu)


def test_numbers_are_compared_by_value(folders):
    runs.save_training(replace(FINISHED, system="IR-NAS*", loss="mse", loss_lambda=0.0, sigma=50.0), small())
    assert runs.find_training("laptop", replace(WANTED, system="IR-NAS*", loss_lambda=0, path=(0, 0, 0, 1)))


GIVEN = {"task": "denoising", "system": "IR-NAS", "sigma": 50, "seed": 0, "recipe": "matched", "loss_lambda": 0.5,
         "iterations": 10, "schedule": 0, "batch": 2, "crop": 64}


def record(architecture, **changes):
    given, pictures = GIVEN | changes, datasets.load("denoising", "embedded")
    network = systems.build(given["system"], 1, architecture)
    return runs.training_record("laptop", pictures, runs.CPU, network, architecture, given)


def test_without_the_data_a_finished_training_is_found_and_none_is_made(folders, monkeypatch, tmp_path):
    monkeypatch.delenv("IRNAS_DATA_REQUIRED", raising=False)
    monkeypatch.setenv("IRNAS_DATA", str(tmp_path / "absent"))
    pictures, network = datasets.load_or_embedded("denoising", "BSD500"), systems.build("DnCNN", 1)
    wanted = runs.training_record("laptop", pictures, runs.CPU, network, None, GIVEN | {"system": "DnCNN"})
    assert (wanted.dataset, wanted.data_sha256) == ("BSD500", None)
    with pytest.raises(datasets.MissingError, match="no finished run of these parameters is stored"):
        training_run.find_or_train(wanted, network, pictures, runs.CPU)
    no_cell = {"system": "DnCNN", "genotype": None, "path": None, "width": None}
    runs.save_training(replace(FINISHED, **no_cell), None)
    assert training_run.find_or_train(wanted, network, pictures, runs.CPU)[0].data_sha256 == "d" * 64
    assert runs.find_training("laptop", replace(wanted, seed=1)) is None
    with pytest.raises(CheckpointError, match="another data_sha256"):  # known data are no other data
        runs.find_training("laptop", replace(WANTED, **no_cell, data_sha256="e" * 64))


def test_what_could_never_become_a_result_is_refused_before_it_is_trained():
    ours = systems.published("denoising")
    assert record(ours).path == [0, 0, 0, 1] and record(ours, system="IR-NAS*", loss_lambda=0)
    assert record(ours, schedule=11).schedule == 11
    for changes in ({"system": "IR-NAS*"}, {"loss_lambda": 0}, {"recipe": "../x"}, {"sigma": None}, {"schedule": 9}):
        with pytest.raises(ValueError) as caught:
            record(ours, **changes)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ({"width": 4}, {"path": (0, 1, 1, 1)}, {"genotype": DERAINING}))
def test_only_the_papers_own_architecture_has_its_name(change):
    other = systems.published("denoising")._replace(**change)
    with pytest.raises(ValueError, match="another one is trained as 'IR-NAS .searched here.'"):
        record(other)
    assert record(other, system=systems.SEARCHED_HERE).width == other.width


# ---- searches ----

def test_a_search_comes_back_with_its_types(folders):
    file = runs.save_search(SEARCH, "laptop")
    assert file == folders[0] / "searches" / "denoising-seed0-laptop.json"
    found = runs.find_search("laptop", "denoising", 0)
    assert (found["genotype"], found["path"], found["relative_path"]) == (DERAINING, (0, 1, 2, 2), (0, 0, 0, 1))
    assert runs.find_search("laptop", "denoising", 0, SEARCH["settings"], SEARCH["data_sha256"]) == found


def test_a_search_of_this_run_hides_the_shipped_one(folders):
    runs.save_search(SEARCH | {"seconds": 0}, "laptop")
    shipped = folders[1] / "searches"
    shipped.mkdir(parents=True)
    for name, seconds in (("denoising-seed0-laptop", 1), ("deraining-seed0-laptop", 2)):
        (shipped / f"{name}.json").write_text(json.dumps(SEARCH | {"seconds": seconds}))
    assert [found["seconds"] for found in runs.all_searches("laptop")] == [0, 2]


@pytest.mark.parametrize("arguments", (
    ("gpu", "denoising", 0), ("laptop", "deraining", 0), ("laptop", "denoising", 1),
    ("laptop", "denoising", 0, {"seed": 0, "width": 10}), ("laptop", "denoising", 0, None, "e" * 64)))
def test_another_search_is_not_taken(arguments):
    runs.save_search(SEARCH, "laptop")
    assert runs.find_search(*arguments) is None


@pytest.mark.parametrize("content", ("", "[]", "{}", '{"genotype": []}', '{"genotype": null}',
    *(json.dumps(SEARCH | change) for change in (
        {"alpha": [[math.nan] * 6] * 14}, {"beta": [[0.0] * 3] * 8}, {"best": 1}, {"path": [0, 2]},
        {"history": [SEARCH["history"][0] | {"psnr": math.nan}]}, {"settings": {"seed": 10 ** 400}}))))
def test_a_damaged_search_is_named(folders, content):
    file = runs.save_search(SEARCH, "laptop")
    file.write_text(content)
    with pytest.raises(CheckpointError, match="denoising-seed0-laptop.json: (not readable as JSON|damaged or foreign)"):
        runs.find_search("laptop", "denoising", 0)


# ---- architectures ----

def test_published_architectures():
    assert runs.architecture("published", "denoising", "IR-NAS", "laptop") == Architecture(DENOISING, (0, 0, 0, 1), 20)
    assert runs.architecture("published", "sim1800", "IR-NAS", "laptop") == Architecture(DENOISING, (0, 0, 0, 1), 20)
    assert runs.architecture("published", "deraining", "IR-NAS, R2", "laptop") == Architecture(
        DERAINING_R2, (0, 0, 1), 15)


def test_the_searched_architecture_has_the_final_width():
    with pytest.raises(CheckpointError, match="no finished search for denoising, seed 0, profile laptop: run 03"):
        runs.architecture("searched", "denoising", "IR-NAS (searched here)", "laptop")
    runs.save_search(SEARCH, "laptop")
    assert runs.architecture("searched", "denoising", "IR-NAS (searched here)", "laptop") == Architecture(
        DERAINING, (0, 1, 2, 2), 20)


def test_an_architecture_file(tmp_path):
    architecture = Architecture(DERAINING, (0, 1, 1), 8)
    (tmp_path / "mine.json").write_text(json.dumps(architecture._asdict()))
    assert runs.architecture(str(tmp_path / "mine.json"), "denoising", "IR-NAS", "laptop") == architecture
    (tmp_path / "broken.json").write_text(json.dumps(architecture._asdict() | {"path": [2, 2, 2]}))
    with pytest.raises(GenotypeError, match="broken.json: not an architecture file"):
        runs.architecture(str(tmp_path / "broken.json"), "denoising", "IR-NAS", "laptop")
    with pytest.raises(GenotypeError, match="nothing: cannot be read"):
        runs.architecture("nothing", "denoising", "IR-NAS", "laptop")


def test_path_and_width_replace_the_architectures_own():
    found = runs.architecture("published", "denoising", "IR-NAS", "laptop", path="0,1,1,2", width=8)
    assert found == Architecture(DENOISING, (0, 1, 1, 2), 8)


@pytest.mark.parametrize("path", ("0,0,2,1", "0,0,1", "0,0,0,0,1", "0;0;0;1", "a", "0,0,0,"))
def test_paths_that_do_not_fit_are_refused(path):
    with pytest.raises(GenotypeError) as caught:
        runs.architecture("published", "denoising", "IR-NAS", "laptop", path=path)
    assert "\n" not in str(caught.value)
