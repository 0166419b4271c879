"""What `pip wheel .` makes, and how light it is to import. `python tests/install_package.py` also installs it."""

import os
import subprocess
import sys
import zipfile

import pytest
from install_package import build

from irnas_lib import __version__, pipeline
from irnas_lib.files import ROOT

HEAVY = {"torch", "torchvision", "numba", "numpy", "scipy", "skimage", "matplotlib", "lark"}


def imported(code: str) -> set[str]:
    """Which of the heavy packages a program imports."""
    done = subprocess.run([sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], cwd=ROOT,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    return HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("code", (
    "import irnas_lib",
    "import irnas_lib.restore as r, contextlib\nwith contextlib.suppress(SystemExit): r.main(['--help'])\n0",
    "import irnas_lib.restore as r, contextlib\nwith contextlib.suppress(SystemExit): r.main(['--task', 'x'])\n0",
))
def test_what_needs_no_network_imports_none(code):
    assert imported(code) == set()


def test_the_batch_starts_a_notebook_without_torch():
    """And without lark, of which jsonschema makes a grammar for a second."""
    assert imported("import irnas_lib.pipeline.batch") & {"torch", "matplotlib", "numba", "lark"} == set()


def test_nor_has_a_training_its_torch_beside_that_of_its_kernel():
    assert "torch" not in imported("""
import pathlib, tempfile
from irnas_lib.pipeline import execution, profiles
execution._execute = lambda *_: None
with tempfile.TemporaryDirectory() as folder:
    execution.run(profiles.find("smoke", "05_training-ir_nas-sigma50-seed0"),
                  pathlib.Path(folder, "smoke", "notebooks"))
0""")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    made = build(folder, "--no-build-isolation")
    with zipfile.ZipFile(made) as opened:
        yield made, opened


def test_the_wheel_holds_the_library_and_the_networks(wheel):
    made, opened = wheel
    assert made.name.startswith(f"irnas-{__version__}-")
    listed = set(opened.namelist())
    assert {name for name in listed if name.endswith(".py")} == {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("irnas_lib/**/*.py")}
    shipped = {path.relative_to(ROOT).as_posix() for folder in ("results", "weights")
               for path in (ROOT / "checkpoints" / folder).iterdir()}
    assert {name.removeprefix("irnas_lib/") for name in listed if name.startswith("irnas_lib/checkpoints/")} == shipped
    assert "irnas_lib/data/rain800_scenes.csv" in listed
    assert made.stat().st_size < 60e6


def test_its_commands_are_there(wheel):
    opened = wheel[1]
    (name,) = (name for name in opened.namelist() if name.endswith("entry_points.txt"))
    assert opened.read(name).decode().split() == [
        "[console_scripts]", "irnas", "=", "irnas_lib.pipeline:main", "irnas-restore", "=", "irnas_lib.restore:main"]


def test_without_the_project_the_batch_refuses_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "INSTALLED", True)
    assert pipeline.main() == 1
    assert capsys.readouterr().err.startswith("irnas needs the project's folder with its notebooks: ")
