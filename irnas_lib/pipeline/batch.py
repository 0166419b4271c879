"""Run notebooks headlessly: `python -m irnas_lib.pipeline.batch all|run|left|publish|check`.

The Snakefile decides which jobs of a profile are stale; each of its rules calls `run`, which executes one
(irnas_lib/pipeline/execution.py).
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import nbformat

from irnas_lib import command
from irnas_lib.files import ROOT, run_folder, runs_folder
from irnas_lib.pipeline import marks, profiles, stamps
from irnas_lib.pipeline.execution import NOTEBOOKS, BatchError, alone, gpus, parameters_of, prepare, run

RETRIES = 3  # of a job on another machine, which may be out of time, cancelled or lost: each goes on from its state


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
