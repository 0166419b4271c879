"""The notebooks: every one runs through papermill at smoke scale, in the order of its needs."""

import json
from pathlib import Path

import nbformat
import pytest

from irnas_lib import files
from irnas_lib.experiments import runs
from irnas_lib.genotypes import Genotype
from irnas_lib.pipeline import batch, profiles

JOBS = profiles.load("smoke")


@pytest.fixture(scope="module")
def run() -> Path:
    """runs/smoke of this checkout, brought up to date by the command that `make reproduce` calls."""
    assert batch.main(["all", "smoke"]) == 0
    return files.run_folder("smoke")


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_notebook_has_run_to_its_end(run, job):
    notebook = nbformat.read(run / "notebooks" / f"{job.name}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert notebook.metadata["irnas"]["parameters"] == job.parameters


def test_the_cell_that_was_searched_is_the_one_that_was_trained(run):
    found = runs.find_search("smoke", "denoising", 0)
    trained = [json.loads(path.read_text()) for path in (run / "checkpoints" / "results").glob("*searched_here*.json")]
    assert trained
    for result in trained:
        assert Genotype(result["genotype"]) == found["genotype"] and tuple(result["path"]) == found["path"]
        assert result["profile"] == "smoke" and result["status"] == "ok"


def test_the_tables_of_a_smoke_run_say_so(run):
    for number in range(1, 7):
        files = [run / "figures" / f"table{number}{suffix}" for suffix in (".csv", ".md", ".tex")]
        assert all(file.is_file() for file in files)
        assert "Smoke scale, not a result" in files[1].read_text()


@pytest.mark.parametrize("name", ["figure1.svg", "figure2.svg", "figure3.png", "figure6a_denoising.svg",
                                  "figure6d_deraining.svg"])
def test_a_smoke_run_draws_the_figures(run, name):
    assert (run / "figures" / name).stat().st_size > 1000
