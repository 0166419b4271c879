"""The batch on a Slurm cluster by the README's own command, and what goes wrong there: each time the same command ends
with the same result. The cluster is one of this machine (loopback_slurm.py)."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback_slurm import cluster

from irnas_lib.files import ROOT

STEPS = 100
PROFILES = '''
light = ["table"]
[[jobs]]
notebook = "training"
[[jobs]]
notebook = "table"
needs = ["training"]
[smoke.datasets]
denoising = "embedded"
'''
TRAINING = f'''# %% tags=["parameters"]
profile = "smoke"
data = ""

# %%
import os, pathlib, time
from irnas_lib.training.steps import resumable
state = pathlib.Path("state")
start, x = map(int, state.read_text().split()) if state.exists() else (0, 1)
for step in resumable(start, {STEPS}, lambda done: state.write_text(f"{{done}} {{x}}"), "training"):
    x = (5 * x + 3) % 1_000_003
    pathlib.Path("step").write_text(str(step))
    time.sleep(0.1 if pathlib.Path("slow").exists() else 0)
pathlib.Path("result").write_text(f"{{x}} from {{start}}")
print("cores", os.environ.get("OMP_NUM_THREADS"), "on", os.environ.get("SLURMD_NODENAME"))
'''
TABLE = TRAINING.partition("# %%\nimport")[0] + '# %%\nimport os\nprint("on", os.environ.get("SLURMD_NODENAME"))\n'
faults = pytest.mark.skipif(not os.environ.get("IRNAS_SLOW"), reason="minutes each; IRNAS_SLOW=1 runs them")
X = 1
for _ in range(STEPS):
    X = (5 * X + 3) % 1_000_003


def launch() -> str:
    """The LAUNCH of the README's command."""
    return re.search(r"LAUNCH='([^']+)'", (ROOT / "README.md").read_text())[1]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    try:
        with cluster(tmp_path_factory.mktemp("slurm")) as running:
            yield running
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture
def project(tmp_path):
    """A copy of the house with a notebook that trains for ten seconds, one for a table, and nothing to draw."""
    shutil.copytree(ROOT / "irnas_lib", tmp_path / "irnas_lib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "irnas_lib/figures/all.py").write_text("def main(arguments):\n    pass\n")
    shutil.copy(ROOT / "Snakefile", tmp_path)
    (tmp_path / "profiles.toml").write_text(PROFILES)
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "training.py").write_text(TRAINING)
    (notebooks / "table.py").write_text(TABLE)
    (notebooks / "slow").touch()
    return tmp_path


def begin(project: Path, slurm, by: str | None = None) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "irnas_lib.pipeline.batch", "all", "smoke", "--jobs", "20", "--launch", by or launch()],
        cwd=project, env={**slurm.environment, "PYTHONPATH": str(project)}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def step(project: Path) -> int:
    path = project / "notebooks/step"
    return int(path.read_text() or 0) if path.exists() else -1


def until(condition, head: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if head.poll() is not None or time.monotonic() > end:
            pytest.fail(f"the batch has ended ({head.poll()}), or does nothing: {head.communicate()[0]}")
        time.sleep(0.1)


def finished(project: Path, head: subprocess.Popen, from_the_start: bool = False) -> str:
    """What the batch said that has now ended well, with the result of a run without a fault."""
    said, _ = head.communicate(timeout=1200)
    assert head.returncode == 0, said
    assert {path.name for path in (project / "runs/smoke/done").iterdir()} == {"training", "table", "figures"}
    x, start = re.fullmatch(r"(\d+) from (\d+)", (project / "notebooks/result").read_text()).groups()
    assert int(x) == X
    assert from_the_start or int(start) > 0, "nothing was saved"
    return said


def test_the_documented_command_runs_the_batch(project, slurm):
    (project / "notebooks/slow").unlink()
    finished(project, begin(project, slurm), from_the_start=True)
    pages = project / "runs/smoke/notebooks"
    cores = re.search(r"--cpus-per-task=(\d+)", launch())[1]
    assert re.search(rf"cores {cores} on \w+", (pages / "training.ipynb").read_text())
    assert "on None" in (pages / "table.ipynb").read_text(), "a light job takes no machine of its own"


@faults
def test_a_cancelled_job_has_saved_and_goes_on(project, slurm):
    head = begin(project, slurm)
    until(lambda: step(project) > 20, head)
    slurm.ask("scancel", "--user", str(os.getuid()))
    finished(project, head)


@faults
def test_a_job_out_of_time_has_saved_and_goes_on(project, slurm):
    """Four minutes of the five that it needs, and Slurm asks the job to end one or two before."""
    (project / "notebooks/training.py").write_text(TRAINING.replace("sleep(0.1", "sleep(3"))
    finished(project, begin(project, slurm, re.sub(r"--time=\S+ --signal=\S+", "--time=4 --signal=TERM@60", launch())))


@faults
def test_after_ctrl_c_the_same_command_goes_on(project, slurm):
    head = begin(project, slurm)
    until(lambda: step(project) > 20, head)
    os.killpg(head.pid, signal.SIGINT)
    assert head.wait(120) == 130
    assert not slurm.ask("squeue", "--noheader"), "a job is left"
    finished(project, begin(project, slurm))


@faults
@pytest.mark.parametrize("whole", (False, True), ids=("the head alone", "with all that it has started here"))
def test_after_the_head_was_killed_the_same_command_goes_on(project, slurm, whole):
    """Its job is not, and what it does is not done twice."""
    head = begin(project, slurm)
    until(lambda: step(project) > 20, head)
    os.killpg(head.pid, signal.SIGKILL) if whole else head.kill()
    head.wait()
    again = begin(project, slurm)
    if not whole:  # Snakemake lives on
        assert again.wait(60) == 1 and again.stdout.read() == "profile smoke is already running here\n"
        os.killpg(head.pid, signal.SIGKILL)
        again = begin(project, slurm)
    finished(project, again, from_the_start=True)


@faults
def test_a_job_whose_node_was_lost_is_run_again(project, slurm):
    (project / "notebooks/training.py").write_text(TRAINING.replace(
        "from irnas_lib", "from irnas_lib.training import steps\nsteps.SAVE_SECONDS = 0.5\nfrom irnas_lib"))
    head = begin(project, slurm)
    until(lambda: step(project) > 20, head)
    slurm.kill_node()
    slurm.wait_for("down")
    slurm.start_node()
    finished(project, head)
