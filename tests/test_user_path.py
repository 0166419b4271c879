"""Where users put the project: a folder with a strange name, without git, HOME or a locale, which may be read-only."""

import os
import shutil
import subprocess
import sys

import pytest

from irnas_lib.files import ROOT


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The sources and the shipped results in a folder with spaces, quotes and letters beyond ASCII."""
    home = tmp_path_factory.mktemp("user") / "my 'own' \"köpie\" $x"
    left_out = shutil.ignore_patterns("__pycache__", "*.ipynb", "weights", "panels")
    for name in ("irnas_lib", "data_scripts", "notebooks", "checkpoints", "profiles.toml", "Snakefile"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, home / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, home)
    return home


def said(home, *arguments):
    """Standard output of a command that must succeed, without a word on standard error."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "OMP_NUM_THREADS", "NUMBA_CACHE_DIR")}
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=home, capture_output=True,
                          env=kept | {"LC_ALL": "C", "PYTHONPATH": str(home)})
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


def test_checkpoints_are_listed(unpacked):
    assert "no checkpoints are shipped" in said(unpacked, "irnas_lib.restore", "--list")  # their weights were left out


def test_what_is_left_is_said(unpacked):
    assert said(unpacked, "irnas_lib.pipeline.batch", "left", "smoke").startswith("left: ")


def test_the_batch_is_planned(unpacked):
    assert "05_training" in said(unpacked, "irnas_lib.pipeline.batch", "all", "smoke", "--dry-run")
