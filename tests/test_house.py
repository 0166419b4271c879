"""The project around the library: what is installed, declared and promised agrees with itself."""

import ast
import math
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from irnas_lib import __version__, command
from irnas_lib.data import datasets
from irnas_lib.files import ROOT
from irnas_lib.pipeline import batch, execution, marks, profiles
from irnas_lib.training import search

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
TESTED = [found[1] for classifier in PROJECT["classifiers"] if (found := re.search(r"Python :: (3\.\d+)$", classifier))]
HOUSE = PROJECT["dependencies"] + EXTRAS["notebooks"]  # what the library and the notebooks need
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
PROFILES = ("smoke", "laptop", "gpu", "paper")


def ranges(lines):
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): str(requirement.specifier) for requirement in found}


def imported(source):
    """Top-level names of the packages that a file imports."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_conda_installs_what_make_installs():
    """A Python of those that are tested, for conda would take the newest."""
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    oldest, newest = TESTED[0], TESTED[-1]
    assert PROJECT["requires-python"] == f">={oldest}"
    assert f"python>={oldest},<3.{int(newest.partition('.')[2]) + 1}" in conda
    (by_pip,) = [line["pip"] for line in conda if isinstance(line, dict)]
    command = re.search(r"pip install .* (-c constraints.txt) (-e) '(.+)'", (ROOT / "Makefile").read_text())
    assert by_pip == [command[1], f"{command[2]} {command[3]}"]


def test_the_container_installs_what_make_installs():
    lines = (ROOT / "Containerfile").read_text().splitlines()
    assert "RUN make install" in lines and "COPY . ." in lines
    (python,) = (re.fullmatch(r"FROM python:(\d+\.\d+)-slim", line)[1] for line in lines if line.startswith("FROM"))
    assert python in TESTED
    needed = {"pyproject.toml", "constraints.txt", "Makefile", "setup.py", "README.md", "checkpoints", "irnas_lib"}
    assert not needed & set((ROOT / ".containerignore").read_text().split())


def test_the_packages_of_the_specification_are_asked_for():
    asked = ranges(HOUSE)
    assert asked.keys() >= {"torch", "torchvision", "jupyterlab", "papermill", "matplotlib", "graphviz",
                            "scikit-image", "jupytext", "snakemake", "safetensors", "tqdm"}
    assert asked["torch"] == ">=2.11"
    assert "bm3d" not in asked, "its licence forbids it: an extra"


def test_the_lock_holds_one_version_in_range_for_everything_asked_for():
    lock = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()
            if line and not line.startswith("#")]
    pinned = {}
    for requirement in lock:
        (pin,) = requirement.specifier
        assert pin.operator == "==" and "+" not in pin.version, f"{requirement}: not a plain released version"
        pinned[canonicalize_name(requirement.name)] = pin.version
    assert len(pinned) == len(lock)
    for line in HOUSE + EXTRAS["test"]:
        asked = Requirement(line)
        assert asked.specifier.contains(pinned[canonicalize_name(asked.name)]), line


def test_every_import_of_the_library_is_asked_for():
    names = {"skimage": "scikit-image", "sklearn": "scikit-learn", "PIL": "pillow"}
    # by papermill, ipykernel, numba, torch and pydantic
    brought = {"nbformat", "nbclient", "jupyter_client", "traitlets", "IPython", "llvmlite", "triton",
               "typing_extensions"}
    asked = ranges(HOUSE + EXTRAS["bm3d"])
    for source in [*ROOT.glob("irnas_lib/**/*.py"), *ROOT.glob("data_scripts/*.py"), *SOURCES]:
        for name in imported(source):
            local = name in ("irnas_lib", "data_scripts") or any(
                source.with_name(beside).exists() for beside in (name, f"{name}.py"))
            if not local and name not in sys.stdlib_module_names and name not in brought:
                assert canonicalize_name(names.get(name, name)) in asked, f"{source.name} imports {name}"


# Imports go down only: a module may import its own row and those below.
ROWS = (("pipeline",), ("benchmarks",), ("restore",), ("figures",), ("tables",), ("experiments",), ("training",),
        ("evaluation",), ("baselines",), ("data",),
        ("search_space", "operations", "supercell", "supernet", "genotypes", "decode", "network", "losses", "metrics"),
        ("kernels",), ("runtime", "files", "command"))


def test_imports_go_down_only():
    row = {name: place for place, names in enumerate(ROWS) for name in names}
    library = ROOT / "irnas_lib"
    assert {path.stem for path in library.iterdir() if not path.stem.startswith("__")} == row.keys()
    assert len(list(library.glob("*.py"))) <= 14
    up = []
    for source in library.rglob("*.py"):
        for target in marks.imported(source):
            here, there = (path.relative_to(library).with_suffix("").parts[0] for path in (source, target))
            if "__init__" not in (here, there) and row[there] < row[here]:
                up.append(f"{source.relative_to(library)} -> {target.relative_to(library)}")
    assert not up


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"] == "MIT"


def test_no_file_names_a_machine_or_a_registry():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    forbidden = re.compile(rf"index-url|find-links|{re.escape(str(ROOT))}/|{re.escape(str(Path.home()))}/\.")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        binary = path.suffix in (".png", ".safetensors")
        if path.is_file() and not binary and name != "tests/test_house.py":
            found = forbidden.search(path.read_text(errors="ignore"))
            assert not found, f"{name} contains {found[0]}"


def test_make_offers_the_targets_of_the_contract():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in shown.splitlines()}
    assert {"reproduce", "test", "publish", "figures", "bench", "lab"} <= targets


def test_unknown_profile_stops_at_once_with_its_name():
    asked = subprocess.run([sys.executable, "-m", "irnas_lib.pipeline.batch", "all", "huge"], cwd=ROOT,
                           capture_output=True, text=True)
    assert asked.returncode == 1
    assert asked.stderr.splitlines() == ["unknown profile 'huge'; known: smoke, laptop, gpu, paper"]


def test_profiles_are_those_of_the_contract():
    assert tuple(profiles.names()) == PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_every_job_of_a_profile_can_be_prepared(profile):
    if not SOURCES:
        pytest.skip("no notebooks yet")
    for job in profiles.load(profile):
        execution.prepare(job)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_notebook_declares_plain_scalar_parameters(source):
    declared = execution.parameters_of(jupytext.read(source), source.name)
    assert declared["profile"] == "smoke"
    assert declared["data"] == ""


def test_at_least_five_validations_of_a_search_count():
    pictures = {"BSD500": 300, "Rain800": 683, "embedded": len(datasets.load("denoising", "embedded").train)}
    for profile in PROFILES:
        for job in profiles.load(profile):
            if job.notebook == "03_search":
                given = job.parameters
                crops = math.floor(pictures[given["dataset"]] * .49) * given["crops_per_picture"]
                counted = crops // given["batch"] * (given["epochs"] - given["warmup_epochs"])
                assert counted // given["validate_every"] >= 5, job


def test_the_searched_network_is_trained_after_its_search():
    for profile in PROFILES:
        jobs = profiles.load(profile)
        searched = [job for job in jobs if job.parameters.get("genotype") == "searched"]
        assert searched
        assert all("03_search-denoising-seed0" in job.needs for job in searched)


@pytest.mark.skipif(not SOURCES, reason="no notebooks yet")
def test_the_executed_notebooks_are_current_and_fit_to_read():
    assert batch.check() == []


def test_the_profile_paper_has_the_scale_of_section_4_1():
    for job in profiles.load("paper"):
        if job.notebook == "05_training":
            assert [job.parameters[key] for key in ("iterations", "batch", "crop")] == [600_000, 12, 64], job
        if job.notebook == "03_search":
            ours = search.SearchSettings()  # whose defaults are section 4.1's
            rain = {"layers": 3, "nodes": 4} if job.parameters["task"] == "deraining" else {}
            for key in ("layers", "nodes", "width", "batch", "crop", "epochs", "warmup_epochs", "crops_per_picture",
                        "validate_every"):
                assert job.parameters[key] == rain.get(key, getattr(ours, key)), (job, key)


def test_nothing_that_only_unix_has_is_imported():
    for source in [*ROOT.glob("irnas_lib/**/*.py"), *ROOT.glob("data_scripts/*.py"), *SOURCES]:
        assert not set(imported(source)) & {"fcntl", "grp", "pwd", "resource", "termios", "tty"}, source


def test_what_is_said_is_one_line_whatever_a_name_holds(capsys):
    def work():
        raise ValueError("a\nb\x1b[31m\udcff")
    assert command.exit_status(work) == 1
    assert capsys.readouterr().err == "a\\nb\\x1b[31m\\udcff\n"
