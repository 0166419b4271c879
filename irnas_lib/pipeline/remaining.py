"""What is left of a profile's jobs, and about how long it takes."""

from collections.abc import Sequence
from typing import NamedTuple

from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation.systems import IR_NAS
from irnas_lib.experiments import results, runs
from irnas_lib.experiments.config import TrainingConfig
from irnas_lib.pipeline import marks, profiles
from irnas_lib.training import checkpoints


class Left(NamedTuple):
    """A job that is not done. iterations: of a training, those `done` among them; else None. seconds: how long the
    missing ones take, at the measured steps a second; None where nothing of the kind has been measured."""

    job: str
    done: int
    iterations: int | None
    seconds: float | None

    def __str__(self):
        if self.iterations is None:
            return self.job
        if self.done == self.iterations:
            return f"{self.job}: trained"
        about = "no measured time" if self.seconds is None else f"about {self.seconds / 60:,.0f} minutes"
        return f"{self.job}: {self.done:,} of {self.iterations:,} iterations, {about}"


def left(profile: str, jobs: Sequence[tuple[profiles.Job, dict]]) -> list[Left]:
    """What is left of `jobs`, each with all its parameters, defaults included, in the order of worth.

    Of a training that has begun, its own pace counts; of another one the best of the results of its system on the same
    device, by pixels. Measuring comes on top of both.
    """
    done = marks.finished(profile)
    here = runs.device_name(runs.best_device()).partition(",")[0]  # threads may differ
    known = [result for result in runs.all_results(profile)
             if result.crop and result.profile != results.SMOKE]
    order = {job.name: place for place, job in enumerate(profiles.by_worth(job for job, _ in jobs))}
    missing = [(job, given) for job, given in jobs if job.name not in done]
    return [_left(profile, job, given, known, here) if job.notebook == "05_training" else Left(job.name, 0, None, None)
            for job, given in sorted(missing, key=lambda pair: order[pair[0].name])]


def _left(profile: str, job: profiles.Job, given: dict, known: list[results.Result], here: str) -> Left:
    # without the data's hash, for which all pictures would have to be read
    wanted = TrainingConfig.of(given | _architecture(profile, given) | {
        "sigma": given["sigma"] if TASKS[given["task"]].sigmas else None,
        "schedule": given["schedule"] or given["iterations"], "data_sha256": None})
    iterations = given["iterations"]
    if any(result.config.same(wanted) for result in known):  # a failed one too: the notebook does not try it again
        return Left(job.name, iterations, iterations, 0.0)
    state = checkpoints.load_state(runs.state_file(profile, results.stem(wanted, profile)))
    if state and state["key"] | {"data_sha256": None} == wanted.key():
        done = state["iteration"]
        return Left(job.name, done, iterations, state["seconds"] / done * (iterations - done))
    paces = [result.seconds / (result.iterations * result.batch * result.crop ** 2) for result in known
             if result.seconds and result.system == given["system"] and result.device.startswith(here)]
    pixels = iterations * given["batch"] * given["crop"] ** 2
    return Left(job.name, 0, iterations, min(paces) * pixels if paces else None)


def _architecture(profile: str, given: dict) -> dict:
    """The genotype, path and width that a job would train; none that any training has where its search has not run."""
    if given["system"] not in IR_NAS:
        return {"genotype": None, "path": None, "width": None}
    try:
        found = runs.architecture(given["genotype"], given["task"], given["system"], profile, given["seed"],
                                  given["path"], given["width"])
    except checkpoints.CheckpointError:
        return {"genotype": (), "path": (), "width": 0}
    return {"genotype": found.genotype, "path": found.path, "width": found.width}
