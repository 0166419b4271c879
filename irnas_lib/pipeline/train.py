"""A training of the batch without its notebook: `python -m irnas_lib.pipeline.train PROFILE JOB`.

What it leaves is the finished state of the training, from which the notebook of that job then measures and draws: `make
reproduce` runs it as usual.
"""

import argparse
import sys

import torch

from irnas_lib.command import exit_status
from irnas_lib.data import datasets
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import systems
from irnas_lib.experiments import runs, training_run
from irnas_lib.experiments.results import Result
from irnas_lib.files import run_folder
from irnas_lib.pipeline import execution, profiles


def run(profile: str, name: str, device: torch.device) -> tuple[Result, bool]:
    """Trains what a job of 05_training trains: its result, not yet measured, or the one that there is already; and
    whether it was there."""
    job = profiles.find(profile, name)
    if job.notebook != "05_training":
        raise execution.BatchError(f"{name} is no job of 05_training")
    lock = run_folder(profile) / "notebooks" / f".{name}.lock"  # as `execution.run` takes it
    with execution.alone(lock, f"job {name}"):
        return _train(profile, job, device)


def _train(profile: str, job: profiles.Job, device: torch.device) -> tuple[Result, bool]:
    given = execution.parameters_of(execution.prepare(job), job.notebook) | job.parameters
    task = given["task"]
    given["sigma"] = given["sigma"] if TASKS[task].sigmas else None
    pictures = datasets.load(task, given["dataset"], given["data"])
    architecture = None
    if given["system"] in systems.IR_NAS:
        architecture = runs.architecture(given["genotype"], task, given["system"], profile, given["seed"],
                                         given["path"], given["width"])
    torch.manual_seed(given["seed"])
    network = systems.build(given["system"], pictures.channels, architecture)
    wanted = runs.training_record(profile, pictures, device, network, architecture, given)
    if finished := runs.find_training(profile, wanted):
        return finished[0], True
    return training_run.train_or_resume(wanted, network, pictures, device, given["precision"]), False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m irnas_lib.pipeline.train", description=__doc__.splitlines()[0])
    parser.add_argument("profile")
    parser.add_argument("job", help="such as 05_training-ir_nas-sigma50-seed0")
    options = parser.parse_args(arguments)

    def work() -> int:
        result, was_there = run(options.profile, options.job, runs.best_device())
        if result.status == "failed":
            print("failed: the loss blew up", file=sys.stderr)
            return 1
        print(f"trained {'before, ' if was_there else ''}in {result.seconds:.0f} s on {result.device}; now: "
              f"make reproduce PROFILE={options.profile}")
        return 0

    return exit_status(work, execution.BatchError, stopped="stopped")


if __name__ == "__main__":
    sys.exit(main())
