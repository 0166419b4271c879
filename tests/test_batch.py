"""Running, stamping, checking and publishing notebooks, on tiny ones."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jupytext
import nbformat
import psutil
import pytest

from irnas_lib import command
from irnas_lib.experiments import manifest, results, runs
from irnas_lib.files import ROOT, read_json, write_json
from irnas_lib.pipeline import batch, execution, marks, profiles, publish, stamps
from irnas_lib.tables import comparison
from irnas_lib.training.checkpoints import CheckpointError

SOURCE = '''# %% [markdown]
# # A tiny notebook

# %% tags=["parameters"]
profile = "smoke"
data = ""
number = 1

# %%
import os, sys
from tqdm import tqdm
for _ in tqdm(range(50), mininterval=0):
    pass
print("this may be wrong", file=sys.stderr)
print(sys.executable, os.path.basename(os.getcwd()))
print("number is", number)
print("data required:", os.environ.get("IRNAS_DATA_REQUIRED"))

# %%
{last}
'''
PROFILES = '''
[[jobs]]
notebook = "one"

[[jobs]]
notebook = "two"
needs = ["one"]
parameters = { number = 2 }

[[jobs]]
notebook = "two"
name = "two-again"
parameters = { number = 3 }

[[jobs]]
notebook = "three"
needs = ["two"]

[smoke.datasets]
denoising = "embedded"

[real.datasets]
denoising = "BSD500"
'''


def write_source(folder: Path, name: str, last: str = "number + 1") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(SOURCE.replace("{last}", last))
    return path


def job(name: str = "tiny", **parameters) -> profiles.Job:
    return profiles.Job(name, f"{name}-x", {"profile": "gpu", **parameters}, ())


def text_of(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook run at profile gpu, beside its source; kernels of other Pythons are in the way."""
    folder = tmp_path_factory.mktemp("project") / "notebooks"
    source = write_source(folder, "tiny")
    strange = folder.parent / "kernels" / "python3"
    strange.mkdir(parents=True)
    (strange / "kernel.json").write_text(json.dumps({"argv": ["/nowhere/python"], "display_name": "x"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder.parent))
        made = execution.run(job(number=7), folder.parent / "out", folder)
    shutil.copy(made, source.with_suffix(".ipynb"))
    return made, source


def test_run_executes_with_its_parameters_and_this_python(executed):
    made, source = executed
    assert made.name == "tiny-x.ipynb"
    assert "number is 7" in text_of(made)
    assert "data required: 1" in text_of(made)  # no embedded pictures stand in for a batch's data
    assert f"{sys.executable.replace(sys.prefix, '.venv')} notebooks" in text_of(made)


def test_run_stamps(executed):
    made, source = executed
    stamp = nbformat.read(made, as_version=4).metadata["irnas"]
    assert stamp["source"] == "tiny.py"
    assert (stamp["profile"], stamp["job"]) == ("gpu", "tiny-x")
    assert stamp["parameters"] == {"profile": "gpu", "number": 7}
    assert stamp["versions"]["torch"] and "commit" in stamp and stamp["seconds"] > 0


def test_what_is_edited_while_it_runs_has_not_run(tmp_path):
    source = write_source(tmp_path, "tiny", last="open('tiny.py', 'a').write('number + 2')")
    made = execution.run(job(), tmp_path / "out", tmp_path)
    assert "is stale" in stamps.problems(made, source)[0]


def test_prose_is_synchronised_and_outputs_stay(executed, tmp_path):
    made, source = (shutil.copy(path, tmp_path / path.name) for path in executed)
    before = nbformat.read(made, as_version=4)
    text = source.read_text()
    source.write_text(text.replace("# %% [markdown]\n", "# %% [markdown]\n# New prose.\n#\n", 1)
                      .replace("# %%\nimport", '# %% alt="What its picture shows"\nimport')
                      + "\n# %% [markdown]\n# A new end.\n")
    assert "prose is not that of" in stamps.problems(made, source)[0]
    assert stamps.synchronise(made, source)
    after = nbformat.read(made, as_version=4)
    assert stamps.problems(made, source) == [] and not stamps.synchronise(made, source)
    assert after.cells[-1].source == "A new end." and any("New prose." in cell.source for cell in after.cells)
    ran = [[cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (before, after)]
    assert [(cell.source, cell.outputs) for cell in ran[0]] == [(cell.source, cell.outputs) for cell in ran[1]]
    assert [cell.metadata.get("alt") for cell in ran[1]] == [None, None, "What its picture shows", None]
    text = source.read_text()
    source.write_text(text.replace("picture shows", "picture hides"))
    assert "prose is not that of" in stamps.problems(made, source)[0] and stamps.synchronise(made, source)
    source.write_text(text.replace("number + 1", "number + 2"))
    assert not stamps.synchronise(made, source) and "is stale" in stamps.problems(made, source)[0]


def test_a_job_that_fails_is_no_longer_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(batch, "run_folder", lambda profile: tmp_path)
    monkeypatch.setattr(marks, "run_folder", lambda profile: tmp_path)
    monkeypatch.setattr(marks, "identity", lambda job: "as it is")
    monkeypatch.setattr(profiles, "find", lambda *_: job())
    done = tmp_path / "done" / job().name
    monkeypatch.setattr(batch, "run", lambda *_: None)
    assert batch.main(["run", "gpu", job().name]) == 0 and done.is_file()

    def fail(*_):
        raise execution.BatchError("no")
    monkeypatch.setattr(batch, "run", fail)
    assert batch.main(["run", "gpu", job().name]) == 1 and not done.exists()
    assert capsys.readouterr().err == "no\n"


def test_a_closed_terminal_and_a_plain_kill_are_like_ctrl_c():
    kept = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with pytest.raises(KeyboardInterrupt), command.told_to_end():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == kept[0]
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt), command.told_to_end():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, kept[1])


def test_a_progress_bar_leaves_nothing_and_a_warning_stays(executed):
    warnings = [output.text for cell in nbformat.read(executed[0], as_version=4).cells
            for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
    assert warnings == ["this may be wrong"]
    assert "/50" not in text_of(executed[0])


def test_a_good_notebook_has_no_problems(executed):
    made, source = executed
    assert stamps.problems(made, source) == []
    assert batch.check(source.parent) == []


def spoil(executed, tmp_path, change) -> list[str]:
    made, source = executed
    notebook = nbformat.read(made, as_version=4)
    change(notebook)
    nbformat.write(notebook, tmp_path / "bad.ipynb")
    return stamps.problems(tmp_path / "bad.ipynb", source)


def test_problems_names_what_is_wrong(executed, tmp_path, monkeypatch):
    monkeypatch.setattr(stamps, "ROOT", Path("/odd/clone"))

    def says(text):
        return lambda notebook: notebook.cells[3].outputs.append(nbformat.v4.new_output("stream", text=text))

    def edit(notebook):
        notebook.cells[-1].source = "number + 2"

    def write(notebook):
        notebook.cells[0].source = "another title"

    def fail(notebook):
        notebook.cells[-1].outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]

    cases = {
        "no stamp": lambda notebook: notebook.metadata.pop("irnas"),
        "stale": edit,
        "prose is not that of": write,
        "smoke scale": lambda notebook: notebook.metadata["irnas"].update(profile="smoke"),
        "failed": fail,
        "never ran": lambda notebook: notebook.cells[-1].update(execution_count=None),
        "path of a machine: /home/": says("read /home/ada/pictures/a.png"),
        "path of a machine: C:": says(r"read C:\Users\ada\a.png"),
        "path of a machine: /odd/clone": says("read '/odd/clone'"),
    }
    for expected, change in cases.items():
        (problem,) = spoil(executed, tmp_path, change)
        assert expected in problem and "\n" not in problem
    assert spoil(executed, tmp_path, says("see https://example.org/home/ada and runs/gpu/tmp/x")) == []


def test_problems_of_no_notebook(executed, tmp_path):
    source = executed[1]
    assert "not been executed" in stamps.problems(tmp_path / "absent.ipynb", source)[0]
    (tmp_path / "broken.ipynb").write_text("{")
    assert "is not a notebook" in stamps.problems(tmp_path / "broken.ipynb", source)[0]


def test_check_finds_a_source_never_executed_and_a_stray_notebook(executed, tmp_path):
    write_source(tmp_path, "tiny")
    shutil.copy(executed[0], tmp_path / "stray.ipynb")
    assert batch.check(tmp_path) == ["tiny.ipynb: has not been executed", "stray.ipynb: has no source"]


def test_known_folders_in_outputs_become_relative(monkeypatch, tmp_path):
    monkeypatch.setenv("IRNAS_DATA", str(tmp_path))
    root = Path.home() / "irnas"
    monkeypatch.setattr(stamps, "ROOT", root)
    text = f"{tmp_path}/BSDS500 {root}/runs {root}x {Path.home()}/a /tmp/ipykernel_12/345.py:3: Warning"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
        outputs=[nbformat.v4.new_output("stream", text=text)])])
    cleaned = stamps.without_machine_paths(notebook).cells[0].outputs[0].text
    assert cleaned == "data/BSDS500 ./runs ~/irnasx ~/a <cell>:3: Warning"
    monkeypatch.setattr(Path, "home", lambda: Path("/"))  # of an unknown user in a container
    notebook.cells[0].outputs[0].text = "26.1 dB / 0.70 </svg>"
    assert stamps.without_machine_paths(notebook).cells[0].outputs[0].text == "26.1 dB / 0.70 </svg>"


def test_commit_is_empty_outside_git(tmp_path):
    assert runs.commit(tmp_path) == ""


def test_a_failing_cell_is_named_and_what_ran_is_left(tmp_path):
    write_source(tmp_path / "notebooks", "tiny", last="raise ValueError('no such picture\\nmore')")
    with pytest.raises(execution.BatchError) as error:
        execution.run(job(number=7), tmp_path / "out", tmp_path / "notebooks")
    left = tmp_path / "out" / "tiny-x.ipynb"
    expected = f"tiny-x failed in cell [4]: ValueError: no such picture (see {os.path.relpath(left)})"
    assert str(error.value) == expected
    assert "number is 7" in text_of(left)
    assert any("failed" in problem for problem in stamps.problems(left, tmp_path / "notebooks" / "tiny.py"))
    assert batch.failed(left.parent, left.stat().st_mtime) == ["tiny-x"]
    assert batch.failed(left.parent, left.stat().st_mtime + 1) == []
    left.write_text(left.read_text().replace("ValueError", "KeyboardInterrupt"))
    assert batch.failed(left.parent, 0) == []


@pytest.mark.parametrize("last", ["os._exit(9)", "import time; time.sleep(0.5); os._exit(9)"])
def test_a_dead_kernel_is_reported(tmp_path, last):
    write_source(tmp_path / "notebooks", "tiny", last=last)
    with pytest.raises(execution.BatchError, match=r"tiny-x failed in cell \[4\]: kernel died"):
        execution.run(job(), tmp_path / "out", tmp_path / "notebooks")
    assert "number is 1" in text_of(tmp_path / "out" / "tiny-x.ipynb")


def test_unknown_parameter_and_missing_notebook_fail_before_running(tmp_path):
    write_source(tmp_path, "tiny")
    with pytest.raises(execution.BatchError, match="declares no parameter sigmma; it has profile, data"):
        execution.prepare(job(sigmma=50), tmp_path)
    with pytest.raises(execution.BatchError, match="there is no notebook other.py"):
        execution.prepare(job("other"), tmp_path)


@pytest.mark.parametrize("cell", ["x = [1]", "x = f()", "x, y = 1, 2", "import os", "x = None", "x += 1"])
def test_parameters_cell_holds_plain_scalars_only(cell):
    notebook = jupytext.reads(f'# %% tags=["parameters"]\nprofile = "smoke"\n{cell}\n', fmt="py:percent")
    with pytest.raises(execution.BatchError, match="holds more than plain scalars"):
        execution.parameters_of(notebook, "tiny.py")


def test_a_parameters_cell_that_does_not_parse_is_said_in_a_line():
    notebook = jupytext.reads('# %% tags=["parameters"]\nprofile = "smoke"\nx = \n', fmt="py:percent")
    with pytest.raises(execution.BatchError, match="tiny.py: the parameters cell is no Python: invalid syntax, line 2"):
        execution.parameters_of(notebook, "tiny.py")


def test_parameters_cell_is_one():
    notebook = jupytext.reads('# %% tags=["parameters"]\nx = -1.5\ny = "a"  # why\n', fmt="py:percent")
    assert execution.parameters_of(notebook, "tiny.py") == {"x": -1.5, "y": "a"}
    notebook.cells = notebook.cells * 2
    with pytest.raises(execution.BatchError, match="has 2 cells tagged"):
        execution.parameters_of(notebook, "tiny.py")


# ---- profiles ----

@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "profiles.toml"
    path.write_text(PROFILES)
    return path


def test_profiles_jobs_and_needs(listed):
    assert profiles.names(listed) == ["smoke", "real"]
    assert profiles.datasets("real", listed) == {"denoising": "BSD500"}
    three = profiles.find("real", "three", listed)
    assert three == profiles.Job("three", "three", {"profile": "real"}, ("two", "two-again"))


def test_scale_of_a_profile_yields_to_the_job(listed):
    listed.write_text(PROFILES.replace("number = 3", 'number = 3, task = "denoising"')
                      .replace("number = 2", 'task = "denoising"')
                      + "[real.two.denoising]\nnumber = 9\nwidth = 4\n")
    first, again = (profiles.find("real", name, listed).parameters for name in ("two", "two-again"))
    shared = {"profile": "real", "dataset": "BSD500", "width": 4, "task": "denoising"}
    assert first == {**shared, "number": 9}
    assert again == {**shared, "number": 3}


def test_each_makes_a_job_of_every_combination(listed):
    listed.write_text(PROFILES.replace('name = "two-again"', 'name = "two-{system}-{sigma}"\n'
                                       'each = { system = ["IR-NAS*", "RED"], sigma = [30, 70] }'))
    jobs = [job for job in profiles.load("real", listed) if job.name not in ("one", "two", "three")]
    assert [job.name for job in jobs] == ["two-ir_nas_star-30", "two-ir_nas_star-70", "two-red-30", "two-red-70"]
    assert jobs[1].parameters == {"profile": "real", "number": 3, "system": "IR-NAS*", "sigma": 70}
    assert profiles.find("real", "three", listed).needs == ("two", *(job.name for job in jobs))


@pytest.mark.parametrize("change, message", [
    (("", ""), "unknown profile 'huge'; known: smoke, real"),
    (('needs = ["two"]', 'needs = ["four"]'), "job three needs four"),
    (('name = "two-again"', ""), "two jobs of profile smoke are called two"),
    (('name = "two-again"', 'nmae = "two-again"'), "unknown key nmae"),
    (('notebook = "one"', 'name = "one"'), "jobs.0.notebook: Field required"),
    (('name = "two-again"', 'name = "two-{x}"\neach = { y = [1] }'), "job two-{x}: `each` has no 'x'"),
    (('name = "two-again"', 'name = "two-again"\neach = { y = [1, 2] }'), "are called two-again"),
])
def test_profile_errors_are_one_line(listed, change, message):
    listed.write_text(PROFILES.replace(*change))
    with pytest.raises(profiles.ProfileError, match=message) as error:
        profiles.load("huge" if "huge" in message else "smoke", listed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("line", "message"), (
    ('sigma = "50"', "sigma is '50', which should be int as 50 is"), ("sigma = -50", "sigma is -50"),
    ("iterations = [1, 2]", "jobs.0.parameters.iterations"), ("iterations = 0", "iterations is 0"),
    ("batch = 100000000", "batch is 100000000, which should be 1 to 4,096"), ("loss_lambda = nan", "loss_lambda"),
    ("seed = true", "seed"), ('recipe = "none"', "recipe is 'none', which should be one of paper"),
    ('profile = "paper"', "`profile` is given to every job"), ("iterationen = 5", "declares no parameter iterationen")))
def test_parameters_that_a_notebook_cannot_have_fail_before_anything_runs(tmp_path, line, message):
    listed = tmp_path / "profiles.toml"
    listed.write_text(f'[[jobs]]\nnotebook = "05_training"\nparameters = {{ {line} }}\n[smoke]\n')
    with pytest.raises((profiles.ProfileError, execution.BatchError), match=re.escape(message)):
        execution.prepare(*profiles.load("smoke", listed))


@pytest.mark.parametrize("minutes", ("nan", "inf", "-1", "1e9"))
def test_minutes_are_a_time(minutes, capsys):
    with pytest.raises(SystemExit):
        batch.main(["all", "smoke", "--minutes", minutes])
    assert "argument --minutes: invalid" in capsys.readouterr().err


def test_unknown_job(listed):
    with pytest.raises(profiles.ProfileError, match="unknown job 'four' in profile real; known: one"):
        profiles.find("real", "four", listed)


# ---- the whole batch, through Snakemake ----

@pytest.fixture
def project(tmp_path):
    """A copy of the house with three tiny notebooks and nothing to draw at the end; `two` fails when its number is
    3."""
    shutil.copytree(ROOT / "irnas_lib", tmp_path / "irnas_lib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "irnas_lib/figures/all.py").write_text("def main(arguments):\n    pass\n")
    shutil.copy(ROOT / "Snakefile", tmp_path)
    (tmp_path / "profiles.toml").write_text(PROFILES)
    for name in ("one", "two", "three"):
        write_source(tmp_path / "notebooks", name, last="1 // (number - 3)")
    return tmp_path


def reproduce(project: Path, *arguments: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "irnas_lib.pipeline.batch", "all", "smoke", *arguments], cwd=project,
                          env={**os.environ, "PYTHONPATH": str(project)}, capture_output=True, text=True, **more)


def test_batch_stops_at_a_failure_and_goes_on_with_what_is_stale(project):
    assert "two-again" in reproduce(project, "--dry-run").stdout
    assert not (project / "runs/smoke/notebooks").exists()

    failed = reproduce(project)
    made = project / "runs/smoke/notebooks"
    assert failed.returncode != 0
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("two-again failed in cell [4]: ZeroDivisionError: ")
    assert last.endswith("(see runs/smoke/notebooks/two-again.ipynb)")
    assert "number is 3" in text_of(made / "two-again.ipynb")
    assert (made / "one.ipynb").exists() and not (made / "three.ipynb").exists()

    (project / "profiles.toml").write_text(PROFILES.replace("number = 3", "number = 4"))
    went_on = reproduce(project)
    assert went_on.returncode == 0, went_on.stderr
    begun = [line.split()[0] for line in went_on.stdout.splitlines() if line.endswith("...")]
    assert begun == ["two-again", "three"]
    assert "number is 4" in text_of(made / "two-again.ipynb")

    up_to_date = ["smoke: 4 notebooks up to date in runs/smoke"]
    assert reproduce(project).stdout.splitlines() == up_to_date

    source = project / "notebooks" / "two.py"  # prose alone
    source.write_text(source.read_text() + "\n# %% [markdown]\n# One more word.\n")
    assert reproduce(project).stdout.splitlines() == [
        "prose synchronised: two", "prose synchronised: two-again", *up_to_date]

    # A stop between two jobs: `two` is changed and run alone, so that what needs it must run as well.
    source.write_text(source.read_text().replace("number - 3", "number - 5"))
    alone = subprocess.run([sys.executable, "-m", "irnas_lib.pipeline.batch", "run", "smoke", "two"], cwd=project,
                           env={**os.environ, "PYTHONPATH": str(project)}, capture_output=True, text=True)
    assert alone.returncode == 0, alone.stderr
    begun = [line.split()[0] for line in reproduce(project).stdout.splitlines() if line.endswith("...")]
    assert begun == ["two-again", "three"]

    drawing = project / "irnas_lib" / "figures" / "drawing.py"  # which none of the three imports
    drawing.write_text(drawing.read_text() + "\n# changed\n")
    assert reproduce(project).stdout.splitlines() == up_to_date


def test_a_slice_of_time_stops_cleanly_and_is_gone_on_with(project):
    """`two` takes ten minutes and is told to stop before, which it hears; `one` is done by then. All this in the
    background, where a shell has a command ignore Ctrl-C."""
    write_source(project / "notebooks", "two", last="""
import pathlib, time
try:
    time.sleep(0 if pathlib.Path("saved").exists() else 600)
except KeyboardInterrupt:
    pathlib.Path("saved").write_text("state")
    raise""")
    began = time.monotonic()
    stopped = reproduce(project, "--minutes", "0.5",
                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert stopped.returncode == 0 and time.monotonic() - began < 300
    assert "smoke: stopped after 0.5 minutes; the same command goes on from here" in stopped.stdout
    done = project / "runs/smoke/done"
    assert {path.name for path in done.iterdir()} == {"one"}
    assert (project / "notebooks/saved").read_text() == "state"
    assert reproduce(project).returncode == 0
    assert {path.name for path in done.iterdir()} == {"one", "two", "two-again", "three", "figures"}


@pytest.mark.parametrize(("arguments", "heard"), (
    (("run", "smoke", "two"), signal.SIGHUP), (("all", "smoke"), signal.SIGTERM)))
def test_a_signal_to_the_batch_ends_its_kernels_which_keep_their_state(project, arguments, heard):
    write_source(project / "notebooks", "two", last="""
import os, pathlib, time
pathlib.Path("begun").write_text(str(os.getpid()))
try:
    time.sleep(600)
except KeyboardInterrupt:
    pathlib.Path("saved").touch()
    raise""")
    told = subprocess.Popen([sys.executable, "-m", "irnas_lib.pipeline.batch", *arguments], cwd=project,
                            env={**os.environ, "PYTHONPATH": str(project)}, stderr=subprocess.PIPE, text=True,
                            start_new_session=True, stdout=subprocess.DEVNULL,
                            preexec_fn=lambda: signal.signal(heard, signal.SIG_DFL))  # nohup would hide SIGHUP
    begun = project / "notebooks/begun"
    while not begun.exists() or not begun.read_text():
        assert told.poll() is None
        time.sleep(0.1)
    told.send_signal(heard)
    assert told.wait(timeout=120) != 0 and "Traceback" not in told.stderr.read()
    assert (project / "notebooks/saved").exists()
    assert not psutil.pid_exists(int(begun.read_text()))


def test_after_a_kill_the_batch_goes_on_and_nothing_runs_twice(project):
    """`two` waits for a file. Killed with -9 is first the batch alone, whose Snakemake lives on, and then all of it."""
    write_source(project / "notebooks", "two", last="""
import pathlib, time
pathlib.Path("begun").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.1)""")
    command, env = [sys.executable, "-m", "irnas_lib.pipeline.batch"], {**os.environ, "PYTHONPATH": str(project)}
    killed = subprocess.Popen([*command, "all", "smoke"], cwd=project, env=env, start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (project / "notebooks/begun").exists():
            assert killed.poll() is None
            time.sleep(0.1)
        (snakemake,) = psutil.Process(killed.pid).children()
        job = subprocess.run([*command, "run", "smoke", "two"], cwd=project, env=env, capture_output=True, text=True)
        assert (job.returncode, job.stderr) == (1, "job two is already running here\n")
        killed.kill()
        killed.wait()
        assert reproduce(project).stderr == "profile smoke is already running here\n"
    finally:
        os.killpg(snakemake.pid, signal.SIGKILL)  # it leads a group of its own
    (project / "notebooks/go").touch()
    time.sleep(0.5)  # until the killed let go
    assert reproduce(project).returncode == 0
    assert {path.name for path in (project / "runs/smoke/done").iterdir()} == {"one", "two", "two-again", "three",
                                                                               "figures"}


def test_on_another_machine_light_jobs_stay_here_and_the_others_are_launched():
    """A dry run: nothing is launched."""
    settings = ["profile=paper", "jobs=20", 'launch="srun --gres=gpu:1"']
    planned = subprocess.run([sys.executable, "-m", "snakemake", "--cores", "20", "--config", *settings, "--dry-run",
                              "--printshellcmds"], cwd=ROOT, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    commands = [line.partition(" && ")[2].split() for line in planned.stdout.splitlines()
                if "irnas_lib.pipeline.batch run" in line]
    jobs = {words[words.index("paper") + 1]: words for words in commands}
    assert jobs.keys() == {job.name for job in profiles.load("paper")}
    for name, words in jobs.items():
        launched = words[:2] == ["srun", "--gres=gpu:1"] and words[-1] == "--launched"
        light = name.partition("_")[0] in ("00", "01", "02", "03b", "04", "06", "07", "08", "09", "16", "A", "L")
        assert launched != light, words
        assert launched or words[0].endswith("python") and words[-1] == name


def test_a_launched_job_that_another_has_in_hand_is_waited_for(tmp_path, monkeypatch):
    for module in (batch, marks):
        monkeypatch.setattr(module, "run_folder", lambda profile: tmp_path)
    monkeypatch.setattr(marks, "identity", lambda job: "as it is")
    monkeypatch.setattr(profiles, "find", lambda *_: job())
    monkeypatch.setattr(batch, "run", lambda *_: pytest.fail("it ran twice"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    held = threading.Event()

    def other():
        with execution.alone(tmp_path / "notebooks" / f".{job().name}.lock", "job"):
            held.set()
            time.sleep(0.3)
            marks.write("gpu", job(), marks.made_of("gpu", job()))
    earlier = threading.Thread(target=other)
    earlier.start()
    held.wait()
    assert batch.main(["run", "gpu", job().name, "--launched"]) == 0
    earlier.join()
    assert os.environ["OMP_NUM_THREADS"] == "8", "not those of the machine that launches"


# ---- GPUs ----

@pytest.mark.parametrize(("devices", "named", "expected"), (
    (8, None, list("01234567")), (0, None, []), (8, "2,5", ["2", "5"]), (8, "", [""]),
    (2, "MIG-1,MIG-2", ["MIG-1", "MIG-2"])))
def test_gpus_are_those_of_the_machine_or_those_that_are_named(tmp_path, monkeypatch, devices, named, expected):
    for number in range(devices):
        (tmp_path / f"nvidia{number}").touch()
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(execution, "GPUS", f"{tmp_path}/nvidia[0-9]*")
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert execution.gpus() == expected


def test_each_job_has_a_gpu_of_its_own_while_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "gpus", lambda: ["0", "1", "2"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def given(held):
        held.enter_context(execution.one_gpu(tmp_path))
        return os.environ["CUDA_VISIBLE_DEVICES"]
    with contextlib.ExitStack() as held:
        assert [given(held) for _ in range(2)] == ["0", "1"]
        with contextlib.ExitStack() as brief:
            assert given(brief) == "2"
        assert given(held) == "2", "what has ended is free again"
        assert [given(held) for _ in range(4)] == ["0", "1", "2", "0"], "shared evenly once all are taken"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setattr(execution, "gpus", lambda: ["0"])
    with execution.one_gpu(tmp_path):
        assert "CUDA_VISIBLE_DEVICES" not in os.environ, "one GPU needs no number"


def test_what_is_worth_most_comes_first(listed):
    listed.write_text('worth = ["three", "two*"]\n' + PROFILES)
    jobs = profiles.load("real", listed)
    assert profiles.names(listed) == ["smoke", "real"]
    assert [job.name for job in profiles.by_worth(jobs, listed)] == ["three", "two", "two-again", "one"]
    listed.write_text(PROFILES)
    assert profiles.by_worth(jobs, listed) == jobs


def test_batch_checks_every_parameter_before_it_runs_anything(project):
    (project / "profiles.toml").write_text(PROFILES.replace("number = 3", "nmuber = 3"))
    refused = reproduce(project)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == ["job two-again: two.py declares no parameter nmuber; "
                                           "it has profile, data, number"]
    assert not (project / "runs").exists()


# ---- publishing ----

def result(folder: Path, name: str, weights: bytes | None = b"w", **changes) -> Path:
    record = {"task": "denoising", "dataset": "BSD500", "system": "IR-NAS", "sigma": 50, "seed": 0,
              "recipe": "matched", "loss": "mse+logssim", "lambda": 0.5, "iterations": 500, "profile": "gpu",
              "weights": None, "status": "ok", "metrics": {"strict": {"psnr": 25.0, "ssim": 0.7, "pictures": 200}},
              "versions": {}, "data_sha256": "0" * 64}
    record = dict.fromkeys(results.KINDS) | record | changes
    if weights is not None:
        (folder / "weights").mkdir(parents=True, exist_ok=True)
        (folder / "weights" / f"{name}.safetensors").write_bytes(weights)
        record["weights"] = {"file": f"weights/{name}.safetensors",
                             "sha256": hashlib.sha256(weights).hexdigest()}
    (folder / "results").mkdir(parents=True, exist_ok=True)
    path = folder / "results" / f"{name}.json"
    path.write_text(json.dumps(record))
    return path


@pytest.fixture
def shipped(tmp_path, executed, monkeypatch):
    """(run folder, project root) with one executed notebook and one result."""
    listed = tmp_path / "profiles.toml"
    listed.write_text('[[jobs]]\nnotebook = "tiny"\nname = "tiny-x"\n[smoke]\n[gpu]\n')
    load = profiles.load
    monkeypatch.setattr(profiles, "load", lambda profile: load(profile, listed))
    run, root = tmp_path / "runs" / "gpu", tmp_path
    (run / "notebooks").mkdir(parents=True)
    shutil.copy(executed[0], run / "notebooks")
    (root / "notebooks").mkdir()
    shutil.copy(executed[1], root / "notebooks")
    result(run / "checkpoints", "new")
    return run, root


def test_publish_copies_results_weights_and_notebooks(shipped):
    run, root = shipped
    (run / "checkpoints" / "panels").mkdir()
    (run / "checkpoints" / "panels" / "a.png").write_bytes(b"p")
    (run / "checkpoints" / "resume").mkdir()
    (run / "checkpoints" / "resume" / "new.pt").write_bytes(b"r")
    for kind, name, published in (("searches", "denoising-seed0-gpu", "denoising-seed0-gpu"),
                                  ("cells", "denoising-random-1000-laptop", "denoising-random-gpu")):
        (run / "checkpoints" / kind).mkdir()
        shutil.copy(runs.SHIPPED / kind / f"{name}.json", run / "checkpoints" / kind / f"{published}.json")
    publish.publish("gpu", run, root)
    assert {str(path.relative_to(root / "checkpoints")) for path in (root / "checkpoints").rglob("*.*")} == {
        "results/new.json", "weights/new.safetensors", "searches/denoising-seed0-gpu.json",
        "cells/denoising-random-gpu.json", "panels/a.png"}
    manifest.check(root / "checkpoints")
    listed = subprocess.run(["sha256sum", "-c", "--quiet", manifest.NAME], cwd=root / "checkpoints")
    assert listed.returncode == 0 and len(manifest.listed(root / "checkpoints")) == 5
    (root / "checkpoints/results/own.json").write_text("{}")  # somebody's own
    manifest.check(root / "checkpoints")
    (root / "checkpoints/panels/a.png").write_bytes(b"q")
    with pytest.raises(CheckpointError, match="a.png differs from its hash in SHA256SUMS"):
        manifest.check(root / "checkpoints")
    (root / "checkpoints/panels/a.png").unlink()
    with pytest.raises(CheckpointError, match="a.png is missing, but listed in SHA256SUMS"):
        manifest.check(root / "checkpoints")
    with open(root / "checkpoints" / manifest.NAME, "a") as file:
        file.write("<<<<<<<\n")
    with pytest.raises(CheckpointError, match="'<<<<<<<' is no line of sha256sum"):
        manifest.check(root / "checkpoints")
    assert batch.check(root / "notebooks") == []


def test_publish_keeps_the_result_of_more_iterations(shipped):
    run, root = shipped
    result(root / "checkpoints", "old", b"o", iterations=501)
    lines = publish.publish("gpu", run, root)
    assert "left out: new.json, for old.json has more iterations" in lines
    assert [path.name for path in (root / "checkpoints" / "results").iterdir()] == ["old.json"]
    assert [path.name for path in (root / "checkpoints" / "weights").iterdir()] == ["old.safetensors"]


def test_publish_keeps_the_result_that_succeeded(shipped):
    run, root = shipped
    result(root / "checkpoints", "old", b"o", iterations=1)
    result(run / "checkpoints", "new", None, status="failed", metrics={})
    assert "left out: new.json, for old.json has succeeded" in publish.publish("gpu", run, root)


def test_of_two_that_failed_publish_keeps_the_longer_one(shipped):
    run, root = shipped
    result(root / "checkpoints", "old", None, status="failed", metrics={}, iterations=501)
    result(run / "checkpoints", "new", None, status="failed", metrics={})
    assert "left out: new.json, for old.json has more iterations" in publish.publish("gpu", run, root)
    assert [path.name for path in (root / "checkpoints" / "results").iterdir()] == ["old.json"]


def test_publish_leaves_what_a_killed_run_left_half_written(shipped):
    run, root = shipped
    for folder in ("results", "searches", "panels"):
        (run / "checkpoints" / folder).mkdir(exist_ok=True)
        (run / "checkpoints" / folder / f".x.123.{'png' if folder == 'panels' else 'json'}").write_text("{")
    publish.publish("gpu", run, root)
    assert not [*(root / "checkpoints").rglob(".*")]


def test_publish_believes_no_shipped_file_that_was_exchanged(shipped):
    run, root = shipped
    publish.publish("gpu", run, root)
    (root / "checkpoints" / "weights" / "new.safetensors").write_bytes(b"exchanged")
    with pytest.raises(CheckpointError, match="differs from its hash"):
        publish.publish("gpu", run, root)


def test_publish_keeps_the_panels_of_the_result_that_the_tables_show(shipped):
    run, root = shipped
    for system in ("DnCNN", "RED"):
        result(root / "checkpoints", f"longer-{system}", system=system, profile="laptop",
               iterations=501 if system == "DnCNN" else 499)
        result(run / "checkpoints", f"here-{system}", system=system)
    panels = [f"denoising-BSD500-sigma50-16068-{what}.png" for what in ("dncnn", "red", "clean")]
    (run / "checkpoints" / "panels").mkdir()
    for panel in panels:
        (run / "checkpoints" / "panels" / panel).write_bytes(b"p")
    publish.publish("gpu", run, root)
    assert {path.name for path in (root / "checkpoints" / "panels").iterdir()} == set(panels[1:])


def test_publish_takes_the_longest_of_a_run(shipped):
    run, root = shipped
    result(run / "checkpoints", "short", b"s", iterations=499)
    publish.publish("gpu", run, root)
    assert [path.name for path in (root / "checkpoints" / "results").iterdir()] == ["new.json"]


def test_publish_replaces_the_result_of_fewer_iterations_and_no_other(shipped):
    run, root = shipped
    result(root / "checkpoints", "old", b"o", iterations=499)
    result(root / "checkpoints", "other", b"x", iterations=1, sigma=30)
    result(root / "checkpoints", "laptop", b"l", iterations=1, profile="laptop")
    publish.publish("gpu", run, root)
    assert {path.stem for path in (root / "checkpoints" / "results").iterdir()} == {"new", "other", "laptop"}
    assert {path.stem for path in (root / "checkpoints" / "weights").iterdir()} == {"new", "other", "laptop"}


def test_ctrl_c_while_publishing_leaves_no_half(shipped, monkeypatch):
    run, root = shipped
    copy = shutil.copyfile

    def interrupted(*files):
        if not interrupted.once:
            interrupted.once = True
            signal.raise_signal(signal.SIGINT)
        return copy(*files)
    interrupted.once = False
    monkeypatch.setattr(publish.shutil, "copyfile", interrupted)
    publish.publish("gpu", run, root)
    assert interrupted.once
    manifest.check(root / "checkpoints")


@pytest.mark.parametrize("moment", range(1, 5))
def test_a_publication_that_was_killed_is_gone_on_with(shipped, monkeypatch, moment):
    """Before the replacement of each file of checkpoints/ in turn, one that is removed among them."""
    run, root = shipped
    result(root / "checkpoints", "old", iterations=400)
    with manifest.change(root / "checkpoints"):
        pass
    replace, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if manifest.NEXT in str(source) and manifest.NEXT not in str(target) and len(calls) > moment:
            raise SystemExit
        replace(source, target)
    monkeypatch.setattr(manifest.os, "replace", killed)
    with contextlib.suppress(SystemExit):
        publish.publish("gpu", run, root)
    monkeypatch.setattr(manifest.os, "replace", replace)
    manifest.check(root / "checkpoints")
    publish.publish("gpu", run, root)
    manifest.check(root / "checkpoints")
    assert not (root / "checkpoints" / manifest.NEXT).exists()
    assert {path.name for path in (root / "checkpoints").rglob("*.*")} == {"new.json", "new.safetensors"}


def test_publish_keeps_the_weights_of_the_systems_at_one_budget(shipped, monkeypatch):
    """Their table shows a training that no other table does."""
    run, root = shipped
    shown = result(run / "checkpoints", "shown", b"w" * 6)
    result(run / "checkpoints", "other", b"w" * 6, **{"lambda": 2.0})
    row = comparison.Row(results.read(shown), *[0.0] * 7)
    monkeypatch.setattr(publish.results, "best", lambda *_: None)
    monkeypatch.setattr(publish.comparison, "side_by_side", lambda _: comparison.Comparison([row], {}, "strict", ""))
    monkeypatch.setattr(publish, "WEIGHTS_LIMIT", 7)
    publish.publish("gpu", run, root)
    assert {path.stem for path in (root / "checkpoints" / "weights").iterdir()} == {"shown", "new"}


def test_publish_leaves_out_the_weights_that_are_too_large_and_keeps_their_results(shipped, monkeypatch):
    run, root = shipped
    result(run / "checkpoints", "shown", b"w" * 9, iterations=501, profile="laptop")
    result(run / "checkpoints", "loss", b"w" * 6, **{"lambda": 2.0})
    result(run / "checkpoints", "other", b"w" * 8, sigma=30)
    monkeypatch.setattr(publish, "WEIGHTS_LIMIT", 18)  # of 24 bytes, so that 6 of what no table shows must go
    lines = [line for line in publish.publish("gpu", run, root) if "loss.safetensors" in line]
    assert lines == ["left out, for over 1.8e-05 MB of weights: loss.safetensors"]  # and was not copied before
    assert {path.stem for path in (root / "checkpoints" / "weights").iterdir()} == {"shown", "other", "new"}
    assert {path.stem for path in (root / "checkpoints" / "results").iterdir()} == {"shown", "other", "new", "loss"}
    manifest.check(root / "checkpoints")
    monkeypatch.setattr(publish, "WEIGHTS_LIMIT", 9)
    publish.publish("gpu", run, root)
    assert {path.stem for path in (root / "checkpoints" / "weights").iterdir()} == {"other"}


def test_publish_leaves_shipped_weights_that_were_rounded_since(shipped):
    run, root = shipped
    publish.publish("gpu", run, root)
    (root / "checkpoints" / manifest.NAME).unlink()
    result(root / "checkpoints", "new", b"half")
    with manifest.change(root / "checkpoints"):
        pass
    publish.publish("gpu", run, root)
    assert (root / "checkpoints" / "weights" / "new.safetensors").read_bytes() == b"half"
    (root / "checkpoints" / "weights" / "new.safetensors").unlink()
    with manifest.change(root / "checkpoints"):
        pass
    publish.publish("gpu", run, root)
    assert (root / "checkpoints" / "weights" / "new.safetensors").read_bytes() == b"w"


def test_publish_takes_the_page_of_the_job_that_is_called_as_the_notebook(shipped, monkeypatch):
    run, root = shipped
    jobs = profiles.load("gpu")
    monkeypatch.setattr(profiles, "load", lambda profile: [*jobs, jobs[0]._replace(name="tiny")])
    assert "not run: tiny" in publish.publish("gpu", run, root)


def damage_weights(run, root):
    (run / "checkpoints" / "weights" / "new.safetensors").write_bytes(b"damaged")


def lose_weights(run, root):
    (run / "checkpoints" / "weights" / "new.safetensors").unlink()


def smoke_result(run, root):
    result(run / "checkpoints", "small", profile="smoke")


def smoke_search(run, root):
    search = read_json(runs.SHIPPED / "searches" / "denoising-seed0-gpu.json") | {"profile": "smoke"}
    write_json(run / "checkpoints" / "searches" / "small.json", search)


def change_source(run, root):
    (root / "notebooks" / "tiny.py").write_text("# changed")


def break_result(run, root):
    (run / "checkpoints" / "results" / "new.json").write_text("{")


def foreign_result(run, root):
    (run / "checkpoints" / "results" / "foreign.json").write_text('{"foo": 1}')


def many_panels(run, root):
    (run / "checkpoints" / "panels").mkdir()
    (run / "checkpoints" / "panels" / "a.png").write_bytes(bytes(5 * 2**20 + 1))


@pytest.mark.parametrize("spoiled, message", [
    (damage_weights, "differ from their hash"), (lose_weights, "are missing"), (smoke_result, "smoke scale"),
    (smoke_search, "smoke scale"),
    (change_source, "is stale"), (break_result, "not readable as JSON"), (foreign_result, "not a result"),
    (many_panels, "more than 5 MB"),
])
def test_publish_refuses_before_it_copies_anything(shipped, spoiled, message):
    run, root = shipped
    spoiled(run, root)
    with pytest.raises(ValueError, match=message) as error:
        publish.publish("gpu", run, root)
    assert "\n" not in str(error.value)
    assert not (root / "checkpoints").exists() and not (root / "notebooks" / "tiny.ipynb").exists()


def test_publish_refuses_smoke_and_what_never_ran(shipped):
    run, root = shipped
    with pytest.raises(publish.PublishError, match="smoke runs are no results"):
        publish.publish("smoke", run, root)
    with pytest.raises(publish.PublishError, match="has not run here"):
        publish.publish("gpu", root / "runs" / "absent", root)
