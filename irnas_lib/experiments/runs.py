"""What a run writes and where it finds what is finished: results, weights, searches, panels, states.

Everything of a run lies under runs/PROFILE/checkpoints/; what is shipped with the project lies in checkpoints/, in
the same folders. Both are looked through for a finished search or training of the same parameters, the run first.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from irnas_lib.data.datasets import Dataset
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation.protocols import grouped
from irnas_lib.evaluation.systems import SEARCHED_HERE, build, macs_per_pixel, parameter_count, published
from irnas_lib.experiments import records, results
from irnas_lib.experiments.results import Number, Result
from irnas_lib.files import ROOT, SHIPPED, atomically, commit, run_folder
from irnas_lib.genotypes import Architecture, Genotype, GenotypeError, check_path, load_architecture
from irnas_lib.network import RestorationNetwork, grey_weights
from irnas_lib.runtime import device_name
from irnas_lib.training import checkpoints
from irnas_lib.training.recipes import recipe

CPU = torch.device("cpu")
PACKAGES = ("torch", "torchvision", "numpy")


def output_folder(profile: str) -> Path:
    """runs/PROFILE/checkpoints."""
    return run_folder(profile) / "checkpoints"


def folders(profile: str) -> tuple[Path, Path]:
    """Where finished things may lie: this run's own, then the shipped ones."""
    return output_folder(profile), SHIPPED


def best_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def provenance(profile: str, dataset: Dataset, device: torch.device) -> dict:
    """Where a record comes from: the keys profile, data_sha256, device, versions, commit."""
    return {"profile": profile, "data_sha256": dataset.sha256, "device": device_name(device),
            "versions": {name: version(name) for name in PACKAGES}, "commit": commit()}


def versions(*packages: str) -> str:
    """The installed versions, as the pages say them: "torch 2.14.1, numpy 2.4.6"."""
    return ", ".join(f"{name} {version(name)}" for name in packages)


# ---- searches ----

def search_file(task: str, seed: int, profile: str) -> str:
    return f"{task}-seed{seed}-{profile}.json"


def save_search(record: dict, profile: str) -> Path:
    """Writes a finished search: what `search.search` returns with its settings, task, data set and provenance."""
    path = output_folder(profile) / "searches" / search_file(record["task"], record["settings"]["seed"], profile)
    with atomically(path) as partial:
        partial.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return path


def load_search(path: Path) -> dict:
    """Reads a search; genotype and paths come back as Genotype and tuples. CheckpointError for a damaged file."""
    record = records.read(path, records.SEARCH)
    return record | {"genotype": Genotype(record["genotype"]), "path": check_path(record["path"]),
                     "relative_path": check_path(record["relative_path"])}


def find_search(profile: str, task: str, seed: int, settings: dict | None = None,
                data_sha256: str | None = None) -> dict | None:
    """A finished search of this task and seed, with these settings and data where they are given, or None."""
    for folder in folders(profile):
        path = folder / "searches" / search_file(task, seed, profile)
        if path.is_file():
            record = load_search(path)
            if settings in (None, record["settings"]) and data_sha256 in (None, record["data_sha256"]):
                _clear_state(profile, f"search-{task}-seed{seed}", {"settings": record["settings"]})
                return record
    return None


def all_searches(profile: str) -> list[dict]:
    """Every finished search, this profile's own and the shipped ones, by task and seed."""
    found = {path.name: path for folder in reversed(folders(profile))
             for path in (folder / "searches").glob("[!.]*.json")}
    return [load_search(path) for _, path in sorted(found.items())]


def architecture(choice: str, task: str, system: str, profile: str, seed: int = 0, path: str = "",
                 width: int = 0) -> Architecture:
    """The architecture that a notebook's parameters name.

    choice: "published" (Figure 6), "searched" (what this profile's search with that seed found) or an architecture
    file. path ("0,0,0,1") and width replace the architecture's own where they are given.
    Raises GenotypeError or CheckpointError.
    """
    if choice == "published":
        chosen = published(task, system)
    elif choice == "searched":
        found = find_search(profile, task, seed)
        if found is None:
            raise checkpoints.CheckpointError(f"no finished search for {task}, seed {seed}, profile {profile}: "
                                              "run 03_search first")
        chosen = Architecture(found["genotype"], found["path"], published(task).width)
    else:
        chosen = load_architecture(ROOT / choice)
    return Architecture(chosen.genotype, parse_path(path, len(chosen.path)) if path else chosen.path,
                        width or chosen.width)


def parse_path(text: str, layers: int) -> tuple[int, ...]:
    """Levels written as "0,0,0,1". Raises GenotypeError."""
    try:
        levels = [int(level) for level in text.split(",")]
    except ValueError as error:
        raise GenotypeError(f"path {text!r}: levels are numbers with commas between, such as 0,0,0,1") from error
    return check_path(levels, layers)


# ---- trainings ----

def training_record(profile: str, pictures: Dataset, device: torch.device, network: nn.Module,
                    architecture: Architecture | None, given: dict) -> Result:
    """The result of a training before it is run: its status is "not run", and it has no scores, time or weights yet.

    given: the parameters of 05_training that are recorded as they are: task, system, sigma (None but for white noise),
    seed, recipe, loss_lambda, iterations, schedule (0: iterations), batch, crop.
    Raises ValueError, before anything is trained, for what could never become a result, and for another architecture
    than the paper's under the paper's name.
    """
    if architecture and given["system"] != SEARCHED_HERE and architecture != published(given["task"], given["system"]):
        raise ValueError(f"{given['system']} stands for the paper's own genotype, path and width in the tables; "
                         f"another one is trained as {SEARCHED_HERE!r}")
    for name in ("iterations", "batch", "crop"):
        if given[name] < 1:
            raise ValueError(f"{name} must be at least 1, not {given[name]}")
    if 0 < given["schedule"] < given["iterations"]:
        raise ValueError(f"a schedule of {given['schedule']} ends before the {given['iterations']} iterations do")
    names = ("task", "system", "sigma", "seed", "recipe", "loss_lambda", "iterations", "batch", "crop")
    wanted = Result(
        dataset=pictures.instead_of or pictures.name, schedule=given["schedule"] or given["iterations"],
        loss=("log mse" if recipe(given["recipe"]).log_error else "mse") + " + log-ssim" * bool(given["loss_lambda"]),
        genotype=architecture and [[list(edge) for edge in node] for node in architecture.genotype],
        path=architecture and list(architecture.path), width=architecture and architecture.width,
        parameters=parameter_count(network), macs_per_pixel=macs_per_pixel(network, pictures.channels),
        metrics={}, seconds=None, weights=None, status="not run",
        **{name: given[name] for name in names}, **provenance(profile, pictures, device))
    results.check(replace(wanted, status="failed"))
    return wanted


def untrained_record(profile: str, pictures: Dataset, task: str, system: str, sigma: Number | None,
                     seed: int) -> Result:
    """The result of a system that is not trained, before it is measured; seed: of the noise."""
    unknown = dict.fromkeys(("recipe", "loss", "loss_lambda", "iterations", "batch", "genotype", "path", "width",
                             "parameters", "macs_per_pixel", "seconds", "weights"))
    return Result(task=task, dataset=pictures.instead_of or pictures.name, system=system, sigma=sigma, seed=seed,
                  metrics={}, status="not run", **unknown, **provenance(profile, pictures, CPU))


def state_file(profile: str, name: str) -> Path:
    """Where an unfinished search or training keeps its exact state."""
    return output_folder(profile) / "resume" / f"{name}.pt"


def scores_file(profile: str, name: str, protocols: Sequence[str], dataset: Dataset) -> Path:
    """Where an unfinished measurement under some protocols keeps the scores that it has, picture by picture."""
    return output_folder(profile) / "resume" / f"{name}-{'-'.join(protocols)}-{dataset.sha256[:12]}.csv"


def find_training(profile: str, wanted: Result) -> tuple[Result, Path] | None:
    """A finished training of the same TrainingConfig as `wanted`, up to a hash of the data that is not known: its
    result and its folder.

    Raises CheckpointError where there is none, and the run holds another one under the name that it would get: such a
    result is not lost without a word (unless it is of smoke scale).
    """
    for folder in folders(profile):
        for result in results.load(folder / "results"):
            if result.config.same(wanted.config):
                if folder == output_folder(profile):
                    _clear_state(profile, result.stem, wanted.config.key())
                    _clear_scores(profile, result)
                return result, folder
    rival = output_folder(profile) / "results" / f"{wanted.stem}.json"
    if profile != results.SMOKE and rival.is_file():
        differs = wanted.config.differences(results.read(rival).config)
        raise checkpoints.CheckpointError(f"{rival}: has another {', '.join(differs)} than the training that would "
                                          "take its place; move it away, and its weights")
    return None


def _clear_state(profile: str, name: str, key: dict) -> None:
    """Removes the state that a run, killed as soon as it had its result, has left; not one of another key."""
    file = state_file(profile, name)
    with contextlib.suppress(checkpoints.CheckpointError):  # a damaged one stays
        if (state := checkpoints.load_state(file)) and {part: state["key"].get(part) for part in key} == key:
            file.unlink()


def _clear_scores(profile: str, result: Result) -> None:
    """The same of the scores by picture; those of a measurement on more pictures stay."""
    for names in grouped(result.metrics):
        pattern = re.compile(rf"{re.escape(result.stem)}(-[0-9a-f]{{8}})?-{'-'.join(names)}-"
                             rf"{result.data_sha256[:12]}\.csv")
        for kept in (output_folder(profile) / "resume").glob("*.csv"):
            if pattern.fullmatch(kept.name) and len(kept.read_bytes().splitlines()) <= min(
                    result.metrics[name]["pictures"] for name in names):
                kept.unlink()


def at_hand(result: Result, folder: Path) -> bool:
    """Whether the weights of a result are there: what is shipped stays small, and not all of them are."""
    return result.weights is not None and (folder / result.weights["file"]).is_file()


def load_network(network: nn.Module, result: Result, folder: Path) -> None:
    """Loads the weights that a result names, checking their hash. Raises CheckpointError."""
    if result.weights is None:
        raise checkpoints.CheckpointError(f"{result.system}: this result has no weights ({result.status})")
    checkpoints.load_weights(folder / result.weights["file"], network, result.weights["sha256"])


def trained_network(result: Result, folder: Path) -> nn.Module:
    """The network that a result describes, with its weights. Raises CheckpointError where it describes none, or its
    weights are not there."""
    try:
        architecture = result.genotype and Architecture(Genotype(result.genotype), check_path(result.path),
                                                           result.width)
        network = build(result.system, TASKS[result.task].channels, architecture)
    except (TypeError, ValueError) as error:
        raise checkpoints.CheckpointError(f"{result.stem}: describes no network ({error})") from error
    load_network(network, result, folder)
    return network


def start_from(network: nn.Module, name: str, profile: str) -> None:
    """Gives a network the weights of a finished training, of this run or shipped; to a grey one also those of colour.

    name: of the training without its profile. CheckpointError where its weights are not at hand or do not fit.
    """
    found = [(result, folder) for folder in folders(profile) for result in results.load(folder / "results")
             if result.stem == f"{name}-{result.profile}" and at_hand(result, folder)]
    if not found:
        raise checkpoints.CheckpointError(f"{name}: its weights are not here, and the training starts from them")
    trained = trained_network(*found[0])
    same_kind = all(isinstance(each, RestorationNetwork) for each in (network, trained))
    to_grey = same_kind and (network.channels, trained.channels) == (1, 3)
    try:
        network.load_state_dict(grey_weights(trained) if to_grey else trained.state_dict())
    except RuntimeError as error:
        raise checkpoints.CheckpointError(f"{name}: its weights do not fit this network") from error


def save_training(result: Result, network: nn.Module | None) -> Path:
    """Writes weights (unless `network` is None: a training that failed) and then the result that names them."""
    folder, weights = output_folder(result.profile), None
    if network is not None:
        file = f"weights/{result.stem}.safetensors"
        weights = {"file": file, "sha256": checkpoints.save_weights(folder / file, network)}
    return results.save(replace(result, weights=weights), folder / "results")


def all_results(profile: str) -> list[Result]:
    """The results that this profile's tables are made from: its own, and unless it is smoke the shipped ones."""
    found = results.load(output_folder(profile) / "results")
    return found if profile == results.SMOKE else found + results.load(SHIPPED / "results")
