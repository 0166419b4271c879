"""Run notebooks headlessly: `python -m irnas_lib.pipeline.batch all|run|left|publish|check`.

The source of a notebook is notebooks/NAME.py (jupytext's percent format). Running a job turns it into a
notebook, gives it the job's parameters and executes it through papermill. The executed notebook lands in
runs/PROFILE/notebooks/JOB.ipynb, also when a cell fails, with its stamp (irnas_lib/pipeline/stamps.py). The Snakefile
decides which jobs are stale; each of its rules calls `run`.
"""

import argparse
import ast
import contextlib
import glob
import itertools
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import filelock
import jupytext
import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets import Float

from irnas_lib import command
from irnas_lib.files import ROOT, atomically, run_folder, runs_folder
from irnas_lib.pipeline import marks, profiles, stamps

NOTEBOOKS = ROOT / "notebooks"
GPUS = "/dev/nvidia[0-9]*"  # of Linux; where there are others, every job takes the first one
RETRIES = 3  # of a job on another machine, which may be out of time, cancelled or lost: each goes on from its state
PROGRESS = re.compile(r"\d+%\|.*\| \d+/\d+ \[")  # as tqdm draws it
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


class BatchError(RuntimeError):
    """A notebook that cannot run, or whose run failed; the message is one line."""


class ThisPython(AsyncKernelManager):
    """A kernel of the running interpreter, whatever kernels the user has installed, that lets no embedded pictures
    stand in for a data set. When it is to end, it has time for the step in hand and to save its state."""

    shutdown_wait_time = Float(120.0)  # seconds, after half of which it is no longer asked

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(resource_dir="", env={"IRNAS_DATA_REQUIRED": "1"},
                          **get_kernel_dict(["--log-level=CRITICAL"]))


@contextlib.contextmanager
def alone(file: Path, what: str, wait: bool = False) -> Iterator[IO]:
    """Holds the lock of a file, which no kill leaves behind: it ends with this process and those that are given the
    open file. Where another holds it: waits, or raises BatchError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        if not filelock.lock_descriptor(lock.fileno(), blocking=wait):
            raise BatchError(f"{what} is already running here")
        yield lock


def gpus() -> list[str]:
    """The GPUs of this machine that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [str(number) for number in range(len(glob.glob(GPUS)))] if named is None else named.split(",")


@contextlib.contextmanager
def one_gpu(folder: Path) -> Iterator[None]:
    """Within it CUDA_VISIBLE_DEVICES, which a kernel inherits, names one of several GPUs: one that no other job has
    whose locks lie in `folder`, else one that the fewest have."""
    found, usual = gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if len(found) < 2:
        yield
        return
    with contextlib.ExitStack() as held:
        for sharing, gpu in ((sharing, gpu) for sharing in itertools.count() for gpu in found):
            with contextlib.suppress(BatchError):
                held.enter_context(alone(folder / f".gpu-{gpu.replace('/', '-')}-{sharing}.lock", "a job"))
                break
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        try:
            yield
        finally:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
            if usual is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = usual


def parameters_of(notebook: NotebookNode, name: str) -> dict:
    """Names and defaults declared in the one cell tagged `parameters`, which holds plain scalars only.

    Raises BatchError where there is no such cell, or more than one, or something else stands in it.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BatchError(f"{name}: has {len(cells)} cells tagged `parameters` instead of one")
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise BatchError(f"{name}: the parameters cell is no Python: {error.msg}, line {error.lineno}") from None
    found = {}
    for statement in statements:
        try:
            (target,) = statement.targets
            found[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            found[ast.unparse(statement)] = statement
    for key, value in found.items():
        if not isinstance(value, str | int | float):
            raise BatchError(f"{name}: the parameters cell holds more than plain scalars: {key}")
    return found


def prepare(job: profiles.Job, notebooks: Path = NOTEBOOKS, systems: bool = True) -> NotebookNode:
    """The notebook of a job, not yet run. BatchError if it is missing, or a parameter is none that it declares, of
    another type than its default or out of range. systems: their names are checked too, which imports torch."""
    source = notebooks / f"{job.notebook}.py"
    if not source.is_file():
        raise BatchError(f"job {job.name}: there is no notebook {source.name}")
    notebook = jupytext.read(source)
    declared = parameters_of(notebook, source.name)
    if unknown := [key for key in job.parameters if key not in declared]:
        raise BatchError(f"job {job.name}: {source.name} declares no parameter {', '.join(unknown)}; "
                         f"it has {', '.join(declared)}")
    for key, value in job.parameters.items():
        if (systems or key != "system") and (wrong := profiles.misfit(key, value, declared[key])):
            raise BatchError(f"job {job.name}: {wrong}")
    notebook.metadata.setdefault("kernelspec", KERNEL)
    return notebook


def run(job: profiles.Job, folder: Path, notebooks: Path = NOTEBOOKS) -> Path:
    """Execute a job into folder/JOB.ipynb, on one GPU if there are any, and stamp it; its path is returned.

    Cells run in `notebooks` as their working directory. BatchError names notebook, cell and error if one
    fails; what had run by then stays in the file. On a terminal the cells' progress bars are shown.
    """
    notebook = prepare(job, notebooks, systems=False)  # the kernel, which imports torch anyway, refuses unknown ones
    with alone(folder / f".{job.name}.lock", f"job {job.name}"), one_gpu(folder.parent.parent):
        return _execute(notebook, job, folder, notebooks)


def _execute(notebook: NotebookNode, job: profiles.Job, folder: Path, notebooks: Path) -> Path:
    output = folder / f"{job.name}.ipynb"
    output.unlink(missing_ok=True)
    shown = os.path.relpath(output)
    stamp = stamps.make(notebooks / f"{job.notebook}.py", job.parameters.get("profile", ""), job.name, job.parameters)
    start = time.monotonic()
    try:
        papermill.execute_notebook(
            notebook, output, job.parameters, kernel_name="python3", language="python", cwd=notebooks,
            progress_bar=False, stderr_file=sys.stderr if sys.stderr.isatty() else None,
            kernel_manager_class=ThisPython, record_timing=False,
            coalesce_streams=True)  # of a progress bar only the last state stays
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise BatchError(f"{job.name} failed in cell [{error.exec_count}]: {reason} (see {shown})") from None
    except DeadKernelError:
        # Not by execution_count: whether the dead cell has one depends on how fast it died.
        count = sum(cell.cell_type == "code" and cell.metadata.papermill["start_time"] is not None
                    for cell in nbformat.read(output, as_version=4).cells)
        raise BatchError(f"{job.name} failed in cell [{count}]: kernel died (see {shown})") from None
    finally:
        if output.exists():
            _finish(output, stamp | {"seconds": round(time.monotonic() - start, 1)})
    return output


def _finish(output: Path, stamp: dict) -> None:
    """Replace papermill's own metadata, which names paths, by the stamp; leave out what is left of progress bars."""
    notebook = stamps.without_machine_paths(nbformat.read(output, as_version=4))
    notebook.metadata.pop("papermill", None)
    notebook.metadata["irnas"] = stamp
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "code":
            cell.outputs = _without_progress(cell.outputs)
        cell.id = f"cell-{number}"  # random otherwise, and then no two runs are alike
    with atomically(output) as partial:
        nbformat.write(notebook, partial)


def _without_progress(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs but for the progress bars on stderr, finished or wiped out."""
    for output in outputs:
        if output.get("name") == "stderr":
            lines = re.split(r"[\r\n]+", output.text)
            output.text = "\n".join(line for line in lines if line.strip() and not PROGRESS.search(line))
    return [output for output in outputs if output.output_type != "stream" or output.text]


def run_all(profile: str, jobs: int = 1, dry_run: bool = False, minutes: float = 0, launch: str = "") -> int:
    """Run what is stale of a profile, `jobs` notebooks at once; the exit status of Snakemake is returned.

    launch: a command that runs the command behind it on another machine and waits for it, such as Slurm's srun, for all
    jobs but the light ones of profiles.toml. Where a job fails there the others go on, and it is tried again.

    Every job's notebook and parameters are checked before the first one runs. With `minutes` the run stops by then as
    if interrupted: what is worth most has come first, trainings have kept their state, and a failure, which the status
    tells, has not kept the others from running. The same command goes on.
    """
    if not hasattr(os, "killpg"):
        raise BatchError("a whole profile runs on Linux, or where there are process groups; a notebook runs anywhere")
    planned = profiles.load(profile)
    for job in planned:
        prepare(job)
    folder, before, began = run_folder(profile), marks.finished(profile), time.time()
    for line in synchronise(folder / "notebooks", ((job.name, job.notebook) for job in planned)):
        print(line)
    arguments = [sys.executable, "-m", "snakemake", "--snakefile", "Snakefile", "--directory", str(runs_folder()),
                 "--cores", str(jobs) if launch else "all", "--nolock", "--rerun-incomplete", "--config",
                 f"profile={profile}", f"jobs={jobs}", f"launch={json.dumps(launch)}", "--retries",
                 str(RETRIES if launch else 0), "--quiet"]
    arguments += ["host", "rules", "progress", "--dry-run"] if dry_run else ["all"]
    arguments += ["--keep-going"] if minutes or launch else []
    with alone(folder / ".lock", f"profile {profile}") as lock:  # Snakemake's own lock outlives a killed run
        heard = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background command ignores, and so
        name = f"irnas-{profile}-{os.getpid()}-{time.time_ns()}"  # would its children; the name of its jobs in Slurm
        snakemake = subprocess.Popen(arguments, cwd=ROOT, start_new_session=True, pass_fds=[lock.fileno()],
                                     env={**os.environ, "SLURM_JOB_NAME": name})
        signal.signal(signal.SIGINT, heard)
        try:
            status = snakemake.wait(60 * minutes or None)
        except (KeyboardInterrupt, subprocess.TimeoutExpired) as stopped:
            os.killpg(snakemake.pid, signal.SIGINT)  # Snakemake, its jobs and their kernels, which save their state
            if launch.startswith("srun "):  # which takes one Ctrl-C for a question; Slurm gives its jobs half a minute
                subprocess.run(["scancel", f"--name={name}"])
            snakemake.wait()
            if isinstance(stopped, KeyboardInterrupt):
                raise
            print(f"{profile}: stopped after {minutes:g} minutes; the same command goes on from here")
            status = 0
        if minutes:
            print(f"done now: {', '.join(sorted(marks.finished(profile) - before)) or 'no job'}")
            print_left(profile)
            if broken := failed(folder / "notebooks", began):
                print(f"failed: {', '.join(broken)}", file=sys.stderr)
            return 1 if broken else status
    if status == 0 and not dry_run:
        print(f"{profile}: {len(planned)} notebooks up to date in {os.path.relpath(folder)}")
    return status


def failed(folder: Path, since: float) -> list[str]:
    """The jobs whose notebooks in `folder` have stopped since a time (in seconds) at an error that is no Ctrl-C."""
    def error(path):
        return any(output.output_type == "error" and output.ename != "KeyboardInterrupt"
                   for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ()))
    return sorted(path.stem for path in folder.glob("*.ipynb") if path.stat().st_mtime >= since and error(path))


def print_left(profile: str) -> None:
    """What is left of a profile, a line for each job."""
    from irnas_lib.pipeline import remaining

    jobs = [(job, parameters_of(prepare(job), job.notebook) | job.parameters) for job in profiles.load(profile)]
    missing = remaining.left(profile, jobs)
    print(f"left: {len(missing)} of {len(jobs)} jobs, in this order" if missing else "nothing is left")
    for line in missing:
        print(f"  {line}")


def synchronise(executed: Path, pages: Iterable[tuple[str, str]]) -> list[str]:
    """Copies the prose of sources into pages in `executed`, each a name and its source's; a line for each change."""
    return [f"prose synchronised: {page}" for page, source in sorted(pages) if (executed / f"{page}.ipynb").is_file()
            and stamps.synchronise(executed / f"{page}.ipynb", NOTEBOOKS / f"{source}.py")]


def check(notebooks: Path = NOTEBOOKS) -> list[str]:
    """Problems of the executed notebooks beside their sources, and executed ones without a source."""
    sources = sorted(notebooks.glob("*.py"))
    found = [line for source in sources for line in stamps.problems(source.with_suffix(".ipynb"), source)]
    return found + [f"{stray.name}: has no source" for stray in sorted(notebooks.glob("*.ipynb"))
                    if stray.with_suffix(".py") not in sources]


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is returned."""
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.pipeline.batch", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    every = commands.add_parser("all", help="run what is stale of a profile")
    every.add_argument("profile")
    every.add_argument("--jobs", type=command.number(1), default=max(1, len(gpus())),
                       help="notebooks at once, sharing the cores (default: one for each GPU, else 1)")
    every.add_argument("--dry-run", action="store_true", help="only say what would run")
    every.add_argument("--minutes", type=command.minutes, default=0,
                       help="stop by then, with what is worth most done first")
    every.add_argument("--launch", default="", metavar="COMMAND",
                       help="what to run each notebook by on another machine, such as 'srun --gres=gpu:1'")
    single = commands.add_parser("run", help="run one job, stale or not")
    single.add_argument("profile")
    single.add_argument("job")
    single.add_argument("--launched", action="store_true", help="by --launch: with the cores of this machine, and "
                        "where the job is running already, which an earlier batch has left, wait for it")
    draw = commands.add_parser("figures", help="draw the figures of a profile's run, when its jobs are done")
    draw.add_argument("profile")
    rest = commands.add_parser("left", help="say which jobs are left, and about how long they take")
    rest.add_argument("profile")
    promote = commands.add_parser("publish", help="promote a run to checkpoints/ and notebooks/")
    promote.add_argument("profile")
    commands.add_parser("sync", help="copy the prose of the sources into the executed notebooks in notebooks/")
    commands.add_parser("check", help="say what is wrong with the executed notebooks in notebooks/")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TQDM_NCOLS", "80")  # else a notebook depends on the width of the terminal
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # silent about the cell of an interrupted run
    stopped = "interrupted; the same command goes on from here" if options.command == "all" else ""
    with command.told_to_end():
        return command.exit_status(lambda: _command(options), BatchError, stopped=stopped)


def _done_elsewhere(profile: str, job: profiles.Job) -> bool:
    """Waits where another process has the job in hand; whether the job is done now. Snakemake's number of threads is
    of the machine where it runs itself; here it becomes what Slurm gives."""
    for name in [name for name in os.environ if name.endswith("_NUM_THREADS")]:
        del os.environ[name]
    if cores := os.environ.get("SLURM_CPUS_PER_TASK"):
        os.environ["OMP_NUM_THREADS"] = cores
    with alone(run_folder(profile) / "notebooks" / f".{job.name}.lock", f"job {job.name}", wait=True):
        marks.remove_stale(profile, [job])
        return marks.read(profile, job.name) is not None


def _command(options: argparse.Namespace) -> int:
    if options.command == "all":
        return run_all(options.profile, options.jobs, options.dry_run, options.minutes, options.launch)
    if options.command == "run":
        start = time.monotonic()
        job = profiles.find(options.profile, options.job)
        if options.launched and _done_elsewhere(options.profile, job):
            return 0
        print(f"{job.name} ...", flush=True)
        (marks.folder(options.profile) / job.name).unlink(missing_ok=True)  # if it fails now, it is no longer done
        parts = marks.made_of(options.profile, job)
        run(job, run_folder(options.profile) / "notebooks")
        marks.write(options.profile, job, parts)
        print(f"{job.name} done in {time.monotonic() - start:.0f} s", flush=True)
    elif options.command == "figures":
        drawing = marks.figures(profiles.load(options.profile))
        parts = marks.made_of(options.profile, drawing)
        from irnas_lib.figures import all as figures

        with contextlib.redirect_stdout(None):
            if figures.main(["--profile", options.profile]):
                return 1
        marks.write(options.profile, drawing, parts)
    elif options.command == "left":
        print_left(options.profile)
    elif options.command == "publish":
        from irnas_lib.pipeline import publish

        print(*publish.publish(options.profile, run_folder(options.profile), ROOT), sep="\n")
    elif options.command == "sync":
        print(*synchronise(NOTEBOOKS, ((source.stem, source.stem) for source in NOTEBOOKS.glob("*.py"))), sep="\n")
    elif found := check():
        print(*found, sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
