"""How long each system takes for a test set, side by side: `python -m irnas_lib.benchmarks.timing TASK`.

Every system restores the same pictures on the same device in one run, in turn for each picture, so that whatever else
the machine does hits all of them. What it took goes to checkpoints/times.json, from which the tables take their times:
the mean over the pictures, times the number of pictures in the test set. Two of Rain800's 100 are left out of both, for
they are as large as 80 others; they are the two that the authors' own list leaves out. A run that was interrupted goes
on where it stopped.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from irnas_lib.command import exit_status, number
from irnas_lib.data import datasets
from irnas_lib.data.datasets import Picture
from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.tasks import TASKS
from irnas_lib.data.tiles import Restore
from irnas_lib.evaluation import classical, inference, systems
from irnas_lib.evaluation.protocols import degraded_side
from irnas_lib.experiments import results, runs, times
from irnas_lib.files import write_json

SIGMA = 50  # of white noise: the time of BM3D and WNNM depends on it
SYSTEMS = {
    "denoising": ("BM3D", "WNNM", "RED", "MemNet", "NLRN", "N3Net", "DnCNN", "IR-NAS"),
    "sim1800": ("BM3D", "NLRN", "N3Net", "DnCNN", "IR-NAS"),
    "deraining": ("DSC", "LP", "DetailsNet", "JORDER", "JORDER-R", "SCAN", "RESCAN", "IR-NAS"),
}


def ready(system: str, task: str, training: Sequence[Picture], device: torch.device) -> Restore | None:
    """A system ready to run, a network with its shipped weights where there are any. None for IR-NAS without: the
    offsets of its deformable convolutions, and how their reads scatter, depend on the weights."""
    if system in classical.METHODS:
        return classical.method(system, task, SIGMA if TASKS[task].sigmas else None, training)
    network = systems.build(system, training[0].clean.shape[2], systems.published(task, system))
    found = results.best(results.load(runs.SHIPPED / "results"), task, system, SIGMA if TASKS[task].sigmas else None)
    if found and runs.at_hand(found, runs.SHIPPED):
        runs.load_network(network, found, runs.SHIPPED)
    elif system == "IR-NAS":
        return None
    return inference.restorer(network, device)


def seconds_taken(restorers: Mapping[str, Restore], picture: Picture, sigma: float | None) -> dict[str, float]:
    """Seconds that each system takes to restore a picture."""
    degraded = degraded_side(picture, to_tensor(picture.clean).unsqueeze(0), sigma, 0)
    taken = {}
    for name, restore in restorers.items():
        began = time.perf_counter()
        restore(degraded).cpu()
        taken[name] = time.perf_counter() - began
    return taken


def run(task: str, number: int, classical_number: int | None = None, file: Path = times.FILE) -> dict:
    """Measures what is missing of `number` pictures, spread evenly over the test set, into `file`; systems that are not
    trained restore `classical_number` of them (None: all). Returns the task's record: {"dataset", "device",
    "test_pictures", "pictures": {name: {system: seconds}}}."""
    name, device = TASKS[task].dataset, runs.best_device()
    pictures = datasets.load(task, name)
    usual = inference.usual(pictures.test)
    chosen = inference.spread(usual, number)
    few = inference.spread(chosen, number if classical_number is None else classical_number)
    few = {picture.name for picture in few}
    record = {"dataset": name, "device": runs.device_name(device), "test_pictures": len(usual)}
    everything = times.load(file)
    done = everything.get(task, {})
    done = done["pictures"] if {key: done.get(key) for key in record} == record else {}
    record["pictures"] = dict(done)
    restorers = {system: ready(system, task, pictures.train, device) for system in SYSTEMS[task]}
    if left_out := [system for system, restore in restorers.items() if restore is None]:
        print(f"left out, since its time depends on its weights and none are shipped: {', '.join(left_out)}")
    restorers = {system: restore for system, restore in restorers.items() if restore}
    sigma = SIGMA if TASKS[task].sigmas else None
    seconds_taken(restorers, small(chosen[0]), sigma)  # what is compiled once is compiled
    for picture in tqdm(chosen, desc=f"times, {task}"):
        known = record["pictures"].get(picture.name, {})
        missing = {system: restore for system, restore in restorers.items() if system not in known
                   and (system not in classical.METHODS or picture.name in few)}
        if device.type == "cuda":
            seconds_taken(missing, picture, sigma)  # kernels are compiled and chosen for each size
        record["pictures"][picture.name] = known | seconds_taken(missing, picture, sigma)
        write_json(file, everything | {task: record})
    return record


def small(picture: Picture, side: int = 64) -> Picture:
    """The upper left corner of a picture."""
    return picture._replace(clean=picture.clean[:side, :side],
                            degraded=None if picture.degraded is None else picture.degraded[:side, :side])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.benchmarks.timing", description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=SYSTEMS)
    parser.add_argument("--pictures", type=number(1), default=10, metavar="N",
                        help="of the test set, spread evenly (default: 10)")
    parser.add_argument("--classical", type=number(0), metavar="N", help="of these, how many go through the methods "
                        "that are not trained too, some of which take minutes a picture (default: all)")
    options = parser.parse_args(arguments)

    def work():
        record = run(options.task, options.pictures, options.classical)
        print(f"on {record['device']}, scaled to {record['test_pictures']} pictures:")
        for system, seconds in sorted(times.scaled(record).items(), key=lambda pair: pair[1]):
            print(f"{system:12}{seconds:10.1f} s, from {times.restored_by(record, system)}")
    return exit_status(work, ModuleNotFoundError)


if __name__ == "__main__":
    sys.exit(main())
