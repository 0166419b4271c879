"""Kills searches and trainings at random moments and compares how their reruns end, bit by bit."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from irnas_lib.data.datasets import Picture
from irnas_lib.data.patches import Patches
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.network import RestorationNetwork
from irnas_lib.supernet import Supernet
from irnas_lib.training import loop, recipes, search, steps

processes = multiprocessing.get_context("forkserver")


def pictures() -> list[Picture]:
    return [Picture(f"{i}", np.random.default_rng(i).integers(0, 256, (40, 48, 1), dtype=np.uint8)) for i in range(6)]


def run_search(state_file: Path) -> dict:
    """A search in miniature; everything that it ends with: weights, alpha, beta, the history and the best of it."""
    torch.manual_seed(0)
    supernet = Supernet(2, 2, 2)
    settings = search.SearchSettings(layers=2, nodes=2, width=2, batch=2, crop=16, epochs=6, warmup_epochs=1,
                                     crops_per_picture=4, validate_every=4)
    found = search.search(supernet, pictures(), settings, "cpu", state_file=state_file)
    return supernet.state_dict() | {key: value for key, value in found.items() if key != "seconds"}


def run_training(state_file: Path) -> dict:
    """A training in miniature; weights and curve."""
    torch.manual_seed(0)
    genotype = PUBLISHED["denoising", "IR-NAS"].genotype
    network = RestorationNetwork(genotype, (0, 1), 2, 1)
    trained = loop.train(network, Patches(pictures(), 16), recipes.recipe("matched"), 30, batch=2, seed=0,
                             state_file=state_file)
    return network.state_dict() | {"curve": trained["curve"]}


def digest(ended: dict) -> str:
    """SHA-256 of every bit."""
    total = hashlib.sha256()
    for name, value in ended.items():
        total.update(name.encode())
        total.update(value.numpy().tobytes() if isinstance(value, torch.Tensor) else json.dumps(value).encode())
    return total.hexdigest()


def to_the_end(run: Callable[[Path], dict], folder: Path) -> None:
    """Leaves the digest in `folder`; saves the state after every step, so that a kill often strikes while it writes."""
    torch.set_num_threads(1)
    steps.SAVE_SECONDS = 0
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # progress bars
        ended = run(folder / "state.pt")
    (folder / "digest").write_text(digest(ended))


def start(run: Callable[[Path], dict], folder: Path) -> multiprocessing.Process:
    process = processes.Process(target=to_the_end, args=(run, folder))
    process.start()
    return process


def identical(run: Callable[[Path], dict], kills: int, seed: int = 0) -> int:
    """After how many of `kills` kill -9, each in a run of its own, the rerun ends as if nothing had happened."""
    moments, same = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as name:
        first, undisturbed, *killed = (Path(name) / str(i) for i in range(kills + 2))
        for folder in (first, undisturbed, *killed):
            folder.mkdir()
        start(run, first).join()  # what is compiled once is compiled
        began = time.monotonic()
        start(run, undisturbed).join()
        usual, expected = time.monotonic() - began, (undisturbed / "digest").read_text()
        for folder in tqdm(killed, desc=f"kills of {run.__name__}"):
            while True:
                process = start(run, folder)
                time.sleep(moments.uniform(0, usual))
                process.kill()
                process.join()
                if not (folder / "digest").exists():
                    break
                for path in folder.iterdir():  # it was done before the kill: try again
                    path.unlink()
            start(run, folder).join()
            same += (folder / "digest").read_text() == expected
    return same


def survived(kills: int = 20) -> int:
    """How many of 2 * kills killed runs, searches and trainings, end with the bits of an undisturbed one."""
    processes.set_forkserver_preload(["irnas_lib.benchmarks.resumption"])
    return sum(identical(run, kills) for run in (run_search, run_training))
