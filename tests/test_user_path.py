"""Where users put the project: unpacked from an archive into a folder with a strange name, without git, HOME or a
locale; or a checkout that they cannot write to, with their runs elsewhere."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from irnas_lib.data.pictures import read_picture, write_picture
from irnas_lib.files import ROOT

# A result, and the figures after it.
PROFILES = """
[[jobs]]
notebook = "05b_classical_methods"
parameters = { method = "Noisy" }
[smoke.datasets]
denoising = "embedded"
"""
KEPT = ("PATH", "OMP_NUM_THREADS", "NUMBA_CACHE_DIR")
# As root nothing is read-only; without these two of its rights root is held by a file's mode as anybody is.
AS_ANYBODY = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def sources() -> list[str]:
    """The files of an archive of this checkout, changes that are not committed included."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("git lists no sources here")
    return [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def unpack(folder):
    for name in sources():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """In a folder with spaces, quotes and letters beyond ASCII."""
    return unpack(tmp_path_factory.mktemp("user") / "my 'own' \"köpie\" $x {y}")


@pytest.fixture
def read_only(tmp_path):
    """A checkout whose files and folders nobody may change, with one small job in its profile smoke."""
    if AS_ANYBODY and not shutil.which("setpriv"):
        pytest.skip("root, and no setpriv to be held by a file's mode")
    folder = unpack(tmp_path / "shared")
    (folder / "profiles.toml").write_text(PROFILES)
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    yield folder
    for path in everything:
        path.chmod(path.stat().st_mode | 0o200)


def printed_by(home, *arguments, before=(), **settings):
    """Standard output of a command that must succeed, and its standard error."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    done = subprocess.run([*before, sys.executable, "-m", *arguments], cwd=home, capture_output=True,
                          env=kept | {"LC_ALL": "C", "PYTHONPATH": str(home)} | settings)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def a_picture(folder):
    noisy = np.random.default_rng(0).normal(128, 50, (40, 40, 1)).clip(0, 255).astype(np.uint8)
    write_picture(folder / "noisy.png", noisy)
    return folder / "noisy.png"


def test_a_picture_is_restored(unpacked, tmp_path):
    source, target = a_picture(tmp_path), unpacked.parent / "ręstored.png"
    printed_by(unpacked, "irnas_lib.restore", str(source), str(target))
    assert read_picture(target, "L").std() < read_picture(source, "L").std() / 2


def test_what_is_left_is_said(unpacked):
    left, warnings = printed_by(unpacked, "irnas_lib.pipeline.batch", "left", "smoke")
    assert left.startswith("left: ") and not warnings


def test_the_batch_is_planned(unpacked):
    planned, warnings = printed_by(unpacked, "irnas_lib.pipeline.batch", "all", "smoke", "--dry-run")
    assert "05_training" in planned and not warnings


def listing(folder):
    return {path.relative_to(folder): (status.st_mtime_ns, status.st_size)
            for path in [folder, *folder.rglob("*")] for status in [path.stat()]}


def test_a_checkout_that_is_read_only_has_its_runs_elsewhere(read_only, tmp_path):
    before, home = listing(read_only), tmp_path / "own"
    home.mkdir()
    settings = {"before": AS_ANYBODY, "HOME": str(home), "IRNAS_RUNS": str(home / "runs")}
    refused = subprocess.run([*AS_ANYBODY, "touch", read_only / "checkpoints/x"], capture_output=True, text=True)
    assert "Permission denied" in refused.stderr
    printed_by(read_only, "irnas_lib.restore", str(a_picture(home)), str(home / "restored.png"), **settings)
    printed_by(read_only, "irnas_lib.pipeline.batch", "all", "smoke", **settings)
    made = home / "runs/smoke"
    assert {path.name for path in (made / "done").iterdir()} == {"05b_classical_methods", "figures"}
    assert (made / "notebooks/05b_classical_methods.ipynb").is_file() and (made / "figures/table1.md").is_file()
    assert len(list((made / "checkpoints/results").iterdir())) == 1
    assert listing(read_only) == before
