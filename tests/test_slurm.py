"""The batch on a Slurm cluster by the command of INSTALLING.md, and what goes wrong there: each time the same command
ends with the same result. The cluster is one of this machine (loopback_slurm.py)."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from loopback_slurm import cluster

from irnas_lib.files import ROOT
from irnas_lib.pipeline import profiles

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


def documented(profile: str) -> str:
    """The command of INSTALLING.md for a cluster."""
    text = (ROOT / "INSTALLING.md").read_text(encoding="utf-8")
    return re.search(rf"^make reproduce PROFILE={profile} .*LAUNCH='.+'$", text, re.M)[0]


def launch() -> str:
    return re.search("LAUNCH='(.+)'", documented("paper"))[1]


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
    output, _ = head.communicate(timeout=1200)
    assert head.returncode == 0, output
    assert {path.name for path in (project / "runs/smoke/done").iterdir()} == {"training", "table", "figures"}
    x, start = re.fullmatch(r"(\d+) from (\d+)", (project / "notebooks/result").read_text()).groups()
    assert int(x) == X
    assert from_the_start or int(start) > 0, "nothing was saved"
    return output


def test_the_documented_command_runs_the_batch(project, slurm):
    (project / "notebooks/slow").unlink()
    finished(project, begin(project, slurm), from_the_start=True)
    pages = project / "runs/smoke/notebooks"
    cores = re.search(r"--cpus-per-task=(\d+)", launch())[1]
    assert re.search(rf"cores {cores} on \w+", (pages / "training.ipynb").read_text())
    assert "on None" in (pages / "table.ipynb").read_text(), "a light job takes no machine of its own"


@faults
def test_the_whole_smoke_batch_by_the_documented_command(slurm, tmp_path, capfd):
    """A copy of what git holds, and a .venv that is this environment. Then the same with notebooks of which nothing but
    the overhead is left."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv/installed").touch()
    # a reader's environment: no data, and threads as the batch gives them
    environment = {name: value for name, value in slurm.environment.items()
                   if name != "IRNAS_DATA" and not name.endswith("_NUM_THREADS")} | {"PYTHONPATH": str(tmp_path)}

    def seconds(jobs: int, command: str = documented("smoke")) -> float:
        began = time.monotonic()
        subprocess.run(command, shell=True, cwd=tmp_path, env=environment, check=True)
        marks = {path.name for path in (tmp_path / "runs/smoke/done").iterdir()}
        assert len(marks) == jobs + 1, "each job, and the figures"
        return time.monotonic() - began
    jobs = len(profiles.load("smoke"))
    whole = seconds(jobs)
    again = seconds(jobs)
    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(tmp_path / "notebooks")
    (tmp_path / "notebooks").mkdir()
    empty = []
    for number in (1, 5):
        names = [f"empty{i}" for i in range(number)]
        for name in names:
            (tmp_path / f"notebooks/{name}.py").write_text(TABLE)
        entries = "".join(f'[[jobs]]\nnotebook = "{name}"\n' for name in names)
        (tmp_path / "profiles.toml").write_text(f'{entries}[smoke.datasets]\ndenoising = "embedded"\n')
        empty.append(seconds(number, re.sub(r"JOBS=\d+", "JOBS=1", documented("smoke"))))
        shutil.rmtree(tmp_path / "runs")
    overhead, load = (empty[1] - empty[0]) / 4, os.getloadavg()[0]
    with capfd.disabled():
        print(f"\n{jobs} jobs of the smoke scale in {whole:.0f} s, again in {again:.0f} s; overhead "
              f"of {overhead:.1f} s a job; load {load:.1f} on {os.cpu_count()} cores")
    assert overhead < 8 * max(1, load / os.cpu_count()), "more than its share of a busy machine"


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
    started = psutil.Process(head.pid).children(recursive=True)  # Snakemake, in a session of its own, and its children
    head.kill()
    head.wait()
    if not whole:  # Snakemake lives on
        again = begin(project, slurm)
        assert again.wait(60) == 1 and again.stdout.read() == "profile smoke is already running here\n"
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(started)
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
