"""kill -9 at moments drawn from a seed, then the same command: it must end with the same bytes, and leave nothing over.

    python -m tests.kills --kills 200

Every command that writes takes its turn, in miniature. A third of the kills strike just before a change of some file, a
third at some time; in the last third the disk is full from some change on, so that the command fails by itself. Says
what came out, a line for each command, and fails at the first kill that lost, blocked or left
something.
"""

import argparse
import contextlib
import errno
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import types
import zipfile
from collections import Counter
from dataclasses import fields, replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data_scripts import prepare, sim1800, weights
from irnas_lib import files
from irnas_lib.benchmarks import resumption
from irnas_lib.data.datasets import BSD500_FOLDER, Dataset
from irnas_lib.evaluation import measuring, systems
from irnas_lib.evaluation.inference import restorer
from irnas_lib.experiments import manifest, results, runs, training_run
from irnas_lib.pipeline import halve, profiles, publish
from irnas_lib.supernet import Supernet
from irnas_lib.training import checkpoints, loop, search, steps

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # audit events; files that are opened to be written, too
RESULT = results.Result(**dict.fromkeys(field.name for field in fields(results.Result)) | {
    "task": "denoising", "dataset": "BSD500", "system": "DnCNN", "sigma": 50, "seed": 0, "recipe": "matched",
    "loss": "mse", "loss_lambda": 0.5, "iterations": 9, "profile": "gpu", "status": "ok", "versions": {},
    "metrics": {"strict": {"psnr": 20.0, "ssim": 0.5, "pictures": 200}}, "data_sha256": "0" * 64})


def pictures() -> Dataset:
    seen = tuple(resumption.pictures())
    return Dataset("embedded", "denoising", seen, (), seen[:3], "0" * 64)


def a_result(folder: Path, **changes) -> results.Result:
    """A result in a folder of checkpoints, and weights for it."""
    result = replace(RESULT, **changes)
    file = f"weights/{result.stem}.safetensors"
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(result.stem.encode() * 999)
    result = replace(result, weights={"file": file, "sha256": files.sha256(folder / file)})
    results.save(result, folder / "results")
    return result


# ---- commands, each with what lies there before it ----

def searching(folder: Path) -> None:
    """As 03_search does."""
    data, settings = pictures(), search.SearchSettings(layers=2, nodes=2, width=2, batch=2, crop=16, epochs=3,
                                                       warmup_epochs=1, crops_per_picture=4, validate_every=4)
    stored = settings.recorded()
    if runs.find_search("gpu", "denoising", 0, stored, data.sha256):
        return
    torch.manual_seed(0)
    state = runs.state_file("gpu", "search-denoising-seed0")
    found = search.search(Supernet(2, 2, 2), data.train, settings, "cpu", (), state)
    runs.save_search(found | {"task": "denoising", "dataset": "embedded", "settings": stored}
                     | runs.provenance("gpu", data, runs.CPU), "gpu")
    state.unlink(missing_ok=True)


def training(folder: Path) -> None:
    """As 05_training does: training, measuring, and both written."""
    data = pictures()
    torch.manual_seed(0)
    network = systems.build("DnCNN", 1)
    wanted = runs.training_record("gpu", data, runs.CPU, network, None, {
        "task": "denoising", "system": "DnCNN", "sigma": 50, "seed": 0, "recipe": "matched", "loss_lambda": 0.5,
        "iterations": 6, "schedule": 0, "batch": 1, "crop": 16})
    result, _ = training_run.find_or_train(wanted, network, data, runs.CPU)
    training_run.measured(result, "gpu", restorer(network, "cpu"), data, data.test, ("strict", "half"), network)
    runs.state_file("gpu", wanted.stem).unlink(missing_ok=True)


def before_publishing(folder: Path) -> None:
    """Ten results of a run, of which three take the place of shorter ones that are shipped."""
    for seed in range(10):
        a_result(folder / "runs/gpu/checkpoints", seed=seed)
    for seed in range(3):
        a_result(folder / "checkpoints", seed=seed, iterations=5)
    for name in ("a", "b"):
        (folder / "runs/gpu/checkpoints/panels").mkdir(exist_ok=True)
        (folder / f"runs/gpu/checkpoints/panels/{name}.png").write_bytes(name.encode())
    with manifest.change(folder / "checkpoints"):
        pass


def publishing(folder: Path) -> None:
    profiles.load = lambda profile: []
    publish.publish("gpu", folder / "runs/gpu", folder)


def before_halving(folder: Path) -> None:
    torch.manual_seed(0)
    result = replace(RESULT, dataset="embedded")
    file = f"weights/{result.stem}.safetensors"
    digest = checkpoints.save_weights(folder / "checkpoints" / file, systems.build("DnCNN", 1))
    results.save(replace(result, weights={"file": file, "sha256": digest}), folder / "checkpoints/results")
    with manifest.change(folder / "checkpoints"):
        pass


def halving(folder: Path) -> None:
    halve.protocols = types.SimpleNamespace(evaluate=lambda *_: types.SimpleNamespace(psnr=20.0))
    halve.datasets.load = lambda *_: pictures()
    status(halve.main([]))


TINY = {f"Tiny/{split}/{n}.jpg": f"{split} {n}".encode() * 50 for split in ("train", "test") for n in range(9)}


def before_preparing(folder: Path) -> None:
    (folder / "Tiny.sha256").write_text("".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n"
                                                for name, content in TINY.items()))
    archive(folder / "Tiny.zip", TINY)


def preparing(folder: Path) -> None:
    prepare.LISTS, prepare.SOURCES = folder, {"Tiny": ("somewhere",)}
    prepare.download = lambda _, part: (part.parent.mkdir(parents=True, exist_ok=True),
                                        shutil.copyfile(folder / "Tiny.zip", part))
    status(prepare.main(["Tiny", "--data", str(folder / "data")]))


def before_fetching(folder: Path) -> None:
    content = {}
    for seed in range(6):
        name = a_result(folder / "checkpoints", seed=seed).weights["file"]
        content[name] = (folder / "checkpoints" / name).read_bytes()
        (folder / "checkpoints" / name).unlink()
    archive(folder / "weights.zip", content)


def fetching(folder: Path) -> None:
    weights.download = lambda _, part: (part.parent.mkdir(parents=True, exist_ok=True),
                                        shutil.copyfile(folder / "weights.zip", part))
    status(weights.main(["--from", "https://somewhere/weights.zip"]))


def before_photographing(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for number, split in enumerate(("train", "train", "val", "test")):
        place = folder / "data" / BSD500_FOLDER / split
        place.mkdir(parents=True, exist_ok=True)
        rough = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        rough.resize((90, 70), Image.Resampling.BICUBIC).save(place / f"{number}.png")


def photographing(folder: Path) -> None:
    os.environ["IRNAS_DATA"] = str(folder / "data")
    sim1800.SIM1800_COUNTS, sim1800.SIDE, sim1800.BAND = {"train": 5, "test": 2}, 64, (5, 60)
    sim1800.multiprocessing = types.SimpleNamespace(
        get_context=lambda _: types.SimpleNamespace(Pool=lambda *_: ThreadPool(1)))
    sim1800.check = lambda data: None
    status(sim1800.main(["--jobs", "1"]))


def archive(path: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, inside in content.items():
            file.writestr(zipfile.ZipInfo(name), inside)  # of 1980


def nothing(folder: Path) -> None:
    pass


COMMANDS = {"searching": (nothing, searching), "training": (nothing, training),
            "publishing": (before_publishing, publishing), "halving": (before_halving, halving),
            "preparing": (before_preparing, preparing), "fetching": (before_fetching, fetching),
            "photographing": (before_photographing, photographing)}


# ---- kills ----
def status(found: int) -> None:
    if found:
        sys.exit(found)


def in_a_process(work, *arguments) -> int:
    """Starts `work` in a forked process; its number. This process computes nothing itself, and so has no threads that
    a fork would lose."""
    if process := os.fork():
        return process
    try:
        work(*arguments)
    except BaseException as error:
        refused = isinstance(error, SystemExit) or getattr(error, "errno", None) == errno.ENOSPC
        if not refused:
            traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(process: int) -> int:
    """The exit status of a process, -9 of one that was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def to_the_end(name: str, folder: Path, before_change: int | None, full: bool) -> None:
    """Runs a command in a world of its own, below `folder`, with a clock that stands still; kills itself just before
    the change of a file of that number, or with `full` can write no file from then on; else leaves the number of all
    changes and the time that it took in folder.log."""
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    torch.set_num_threads(1)
    steps.SAVE_SECONDS = -1  # a state after every step
    for module in (loop, measuring, search, steps):  # the seconds stand in what they write
        module.time = types.SimpleNamespace(monotonic=lambda: 0.0)
    files.ROOT, runs.SHIPPED = folder, folder / "checkpoints"
    os.environ["IRNAS_COMMIT"] = "0" * 40
    for module in (files, runs, weights):
        module.run_folder = lambda profile: folder / "runs" / profile
    changes = 0

    def count(event, arguments):
        nonlocal changes
        written = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wax"
        if (written or event in CHANGES) and str(folder) in str(arguments[0]):
            if changes == before_change and not full:
                os.kill(os.getpid(), signal.SIGKILL)
            if full and changes >= before_change and event == "open":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            changes += 1
    sys.addaudithook(count)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
        COMMANDS[name][1](folder)
    Path(f"{folder}.log").write_text(f"{changes} {time.clock_gettime(time.CLOCK_MONOTONIC) - began}")


def run(name: str, folder: Path, before_change: int | None = None, after: float | None = None,
        full: bool = False) -> int:
    """The exit status of a command, which is killed, or finds the disk full, as said."""
    process = in_a_process(to_the_end, name, folder, before_change, full)
    if after is not None:
        time.sleep(after)
        os.kill(process, signal.SIGKILL)
    return ended(process)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fault(name: str, folder: Path, expected: dict[str, bytes]) -> str | None:
    """Runs a killed command again and says what is wrong with how it ends."""
    if run(name, folder):
        return "blocked"
    found = tree(folder)
    if extra := found.keys() - expected.keys():
        return f"left over: {', '.join(sorted(extra))}"
    changed = [path for path, content in expected.items() if found.get(path) != content]
    return f"lost: {', '.join(sorted(changed))}" if changed else None


def kill(name: str, kills: int, seed: int, home: Path) -> Counter:
    """How often each outcome came of killing a command."""
    make, _ = COMMANDS[name]
    first = home / name
    first.mkdir()
    ended(in_a_process(make, first))
    shutil.copytree(first, home / "before")
    if run(name, first):
        raise SystemExit(f"{name} fails without a kill")
    changes, seconds = (float(part) for part in Path(f"{first}.log").read_text().split())
    expected, moments, outcomes = tree(first), random.Random(f"{seed} {name}"), Counter()
    shutil.rmtree(first)
    for number in range(kills):
        shutil.copytree(home / "before", first)  # under the same name, for results may hold it
        moment = {"after": moments.uniform(0, seconds)} if number % 3 == 1 else {
            "before_change": moments.randrange(int(changes)), "full": number % 3 == 2}
        struck = run(name, first, **moment) != 0
        if wrong := fault(name, first, expected):
            print(f"{name}, killed {moment}: {wrong}", file=sys.stderr)
        outcomes[wrong.partition(":")[0] if wrong else "equal bytes" if struck else "done before the kill"] += 1
        shutil.rmtree(first)
    shutil.rmtree(home / "before")
    return outcomes


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="*", choices=COMMANDS, default=list(COMMANDS))
    options = parser.parse_args(arguments)
    total = Counter()
    with tempfile.TemporaryDirectory() as home:
        for place, name in enumerate(options.commands):
            if kills := len(range(place, options.kills, len(options.commands))):
                outcomes = kill(name, kills, options.seed, Path(home))
                print(f"{name}: {kills} kills: {in_words(outcomes)}", flush=True)
                total += outcomes
    print(f"{total.total()} kills: {in_words(total)}")
    return 0 if total.keys() <= {"equal bytes", "done before the kill"} else 1


def in_words(outcomes: Counter) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))


if __name__ == "__main__":
    sys.exit(main())
