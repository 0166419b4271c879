"""Why alpha stays flat, and what lets a search decide: short searches that differ in a few settings.

    python -m irnas_lib.experiments.search_choices small "travel 34" --seeds 0 1 2

searches, and leaves one JSON file a search in checkpoints/search_choices/; without a name it lists the choices.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import torch

from irnas_lib.command import exit_status, number
from irnas_lib.data import datasets
from irnas_lib.data.datasets import Dataset
from irnas_lib.data.patches import Patches
from irnas_lib.decode import derive_cell, undecided
from irnas_lib.evaluation import validation
from irnas_lib.experiments import cell_table, cells, one_shot, records, runs
from irnas_lib.experiments.config import slug
from irnas_lib.files import LARGEST, atomically
from irnas_lib.genotypes import Genotype
from irnas_lib.losses import restoration_loss
from irnas_lib.search_space import OPERATIONS, edges, states
from irnas_lib.supernet import Supernet
from irnas_lib.training.search import ARCHITECTURE_STREAM, SearchSettings, search, split_pictures

# The printed schedule: 80 epochs of 430 steps at 0.001 after the warm-up.
PRINTED_TRAVEL = 34.4
SIDE = 64  # of the squares that a supernet is validated on
RANKED = 60  # cells of the table that a supernet of its size ranks by the weights that they inherit
NEVER = 1e12  # batches, which JSON can hold


class Choice(NamedTuple):
    """changes: the settings that differ from those of the scale."""

    name: str
    question: str
    changes: dict


TRAVEL = {"architecture_travel": PRINTED_TRAVEL, "take_last": True}
FREE = TRAVEL | {"architecture_decay": 0.0}
CHOOSING = FREE | {"without": ("none",)}
# The supernet as published hardly denoises when a short search begins to choose; this one does after 72 steps.
DENOISING = CHOOSING | {"global_residual": True, "loss_lambda": 0.0, "weights_optimizer": "AdamW", "weights_lr": 1e-3,
                        "weights_decay": 1e-4, "epochs": 6, "warmup_epochs": 2}
CHOICES = (
    Choice("printed", "", {}),
    Choice("travel 3.4", "rate times steps", {"architecture_travel": 3.44, "take_last": True}),
    Choice("travel 34", "rate times steps", TRAVEL),
    Choice("travel 34, no decay", "decay", FREE),
    Choice("travel 34, decoupled decay", "decay", TRAVEL | {"architecture_decoupled": True}),
    Choice("no decay", "decay", {"architecture_decay": 0.0}),
    Choice("travel 34, no decay, momentum 0.5", "momentum", FREE | {"architecture_betas": (0.5, 0.999)}),
    Choice("travel 34, no decay, weights' rate constant", "the weights' rate", FREE | {"weights_lr_end": 0.025}),
    Choice("travel 34, no decay, longer warm-up", "warm-up", FREE | {"epochs": 13, "warmup_epochs": 5}),
    Choice("travel 34, no decay, without none", "none", CHOOSING),
    Choice("travel 10, no decay, without none", "none", CHOOSING | {"architecture_travel": 10.0}),
    Choice("travel 10, no decay, without none, longer warm-up", "none", CHOOSING | {
        "architecture_travel": 10.0, "epochs": 13, "warmup_epochs": 5}),
    Choice("travel 34, no decay, without none, sharpened", "sharpening", CHOOSING | {"temperature_end": 0.2}),
    Choice("travel 10, no decay, without none, longer warm-up, sharpened", "sharpening", CHOOSING | {
        "architecture_travel": 10.0, "epochs": 13, "warmup_epochs": 5, "temperature_end": 0.1}),
    Choice("input added", "input added", {"global_residual": True, "take_last": True}),
    Choice("travel 10, no decay, without none, longer warm-up, sharpened, input added", "input added", CHOOSING | {
        "architecture_travel": 10.0, "epochs": 13, "warmup_epochs": 5, "temperature_end": 0.1,
        "global_residual": True}),
    Choice("learning to denoise, travel 10, no decay, without none", "learning to denoise", DENOISING | {
        "architecture_travel": 10.0}),
    Choice("learning to denoise, travel 10, no decay, without none, sharpened", "learning to denoise", DENOISING | {
        "architecture_travel": 10.0, "temperature_end": 0.1}),
    Choice("sharpened", "sharpening", {"temperature_end": 0.02, "take_last": True}),
    Choice("travel 34, no decay, sharpened", "sharpening", FREE | {"temperature_end": 0.2}),
    Choice("dropped", "dropping", {"drops": (0.2, 0.4, 0.6, 0.8), "take_last": True}),
    Choice("travel 3.4, no decay, dropped", "dropping", {
        "architecture_travel": 3.44, "architecture_decay": 0.0, "drops": (0.2, 0.4, 0.6, 0.8), "take_last": True}),
)
SCALES = {
    "smoke": SearchSettings(layers=1, nodes=2, width=2, batch=2, crop=16, epochs=2, warmup_epochs=1,
                            crops_per_picture=1, validate_every=100),
    "small": SearchSettings(layers=2, nodes=3, width=4, batch=4, crop=16, epochs=10, warmup_epochs=2,
                            crops_per_picture=1, validate_every=72),
    "laptop": SearchSettings(layers=4, nodes=5, width=4, batch=4, crop=32, epochs=10, warmup_epochs=2,
                             crops_per_picture=2, validate_every=100),
}


def named(name: str) -> Choice:
    """A choice by its name; ValueError for an unknown one."""
    for choice in CHOICES:
        if choice.name == name:
            return choice
    raise ValueError(f"unknown choice {name!r} (known: {', '.join(choice.name for choice in CHOICES)})")


# ---- how decided a search is ----

def normalised_entropy(alpha: torch.Tensor, without: Sequence[str] = ()) -> torch.Tensor:
    """`decode.undecided` of each edge's logits, (edges, 6) -> (edges,). without: as in `SearchSettings`."""
    return undecided(alpha.softmax(dim=1), alpha.shape[1] - len(without))


def margins(alpha: torch.Tensor) -> torch.Tensor:
    """By how much the operation of each kept edge weighs more than the next one, (2 N,), `none` counted as a rival: of
    raw logits (edges, 6). Negative where `none` weighs more than what is kept."""
    names = states(len(derive_cell(alpha)))
    rows = {edge: row for row, edge in enumerate(edges(len(names) - 2))}
    found = []
    for node, pair in zip(names[2:], derive_cell(alpha)):
        for operation, source in pair:
            weights = alpha[rows[source, node]].softmax(dim=0)
            kept = OPERATIONS.index(operation)
            found.append(weights[kept] - torch.cat([weights[:kept], weights[kept + 1:]]).max())
    return torch.stack(found)


class Decided(NamedTuple):
    """What the searches of one choice decided, means over seeds: the entropy of alpha, the median margin, the weight
    of `none` on an edge, the number of skips in the cell, the PSNR of the supernet on the last validation in dB; and
    over pairs of seeds (nan for one seed) the share of edges that have the same strongest operation, the share that
    would by chance, both of `same_strongest`, and the share of the cells' inputs that agree."""

    choice: str
    question: str
    seeds: int
    entropy: float
    margin: float
    none: float
    skips: float
    psnr: float
    same_operation: float
    by_chance: float
    same_edge: float


def decided(records: Sequence[dict], scale: str) -> list[Decided]:
    """The choices of a scale in the order of CHOICES."""
    made = []
    for choice in CHOICES:
        found = [record for record in records if (record["scale"], record["name"]) == (scale, choice.name)]
        if not found:
            continue
        alphas = [torch.tensor(record["alpha"], dtype=torch.float64) for record in found]
        genotypes = [Genotype(record["genotype"]) for record in found]
        pairs = list(combinations(range(len(found)), 2))
        same = [same_strongest(alphas[a], alphas[b]) for a, b in pairs]
        made.append(Decided(
            choice.name, choice.question, len(found), mean(
                normalised_entropy(alpha, choice.changes.get("without", ())).mean().item() for alpha in alphas),
            mean(median(margins(alpha).tolist()) for alpha in alphas),
            mean(alpha.softmax(dim=1)[:, -1].mean().item() for alpha in alphas),
            mean(sum(edge.operation == "skip" for node in cell for edge in node) for cell in genotypes),
            mean(record["history"][-1]["psnr"] for record in found),
            *(mean(found) / len(alphas[0]) for found in zip(*same, strict=True)) if pairs else (math.nan, math.nan),
            mean(cells.agreement(genotypes[a], genotypes[b])[0] for a, b in pairs) if pairs else math.nan))
    return made


def same_strongest(alpha: Sequence, other: Sequence) -> tuple[int, float]:
    """On how many edges two searches have the same strongest operation, of raw logits (edges, 6), and on how many they
    would on average if each placed its operations on the edges at random. `none` does not count, as in decoding."""
    strongest, rival = (torch.as_tensor(logits)[:, :-1].argmax(dim=1) for logits in (alpha, other))
    counts, rivals = (choice.bincount(minlength=len(OPERATIONS)) for choice in (strongest, rival))
    return (strongest == rival).sum().item(), (counts * rivals).sum().item() / len(strongest)


def chance_of_an_edge(nodes: int) -> float:
    """The share of edges that two cells drawn at random have in common, on average."""
    return mean(2 / inputs for inputs in range(2, nodes + 2))


# ---- the gradient of alpha ----

def gradients(supernet: Supernet, patches: Patches, settings: SearchSettings, batches: int) -> torch.Tensor:
    """The gradient of alpha on each of so many batches, at fixed weights, (batches, edges, 6)."""
    found = []
    for i in range(batches):
        degraded, clean = patches.batch(settings.batch, settings.seed, ARCHITECTURE_STREAM, i)
        loss = restoration_loss(supernet(degraded), clean, settings.loss_lambda)
        found.append(torch.autograd.grad(loss, supernet.alpha)[0])
    return torch.stack(found)


class Signal(NamedTuple):
    """Means over the logits: the size of the gradient's mean over batches, its standard deviation from batch to batch,
    and the batches after which the mean's own standard error is a third of its size, at most NEVER."""

    size: float
    spread: float
    batches: float


def signal(found: torch.Tensor) -> Signal:
    """Of gradients (batches, edges, 6). The size is that of the true mean: what the spread adds to the square of a
    mean over a few batches is taken off."""
    spread = found.std(dim=0)
    size = (found.mean(dim=0).square() - spread.square() / len(found)).mean().clamp(min=0).sqrt()
    spread = spread.square().mean().sqrt()
    batches = 9 * (spread / size).square().nan_to_num().clamp(max=NEVER)
    return Signal(size.item(), spread.item(), batches.item())


# ---- records ----

def find_or_search(choice: Choice, scale: str, seed: int, pictures: Dataset, profile: str,
                   device: torch.device | str = "cpu") -> dict:
    """The record of a choice's search, looked for first; one that was begun goes on. Beside what `search` returns it
    holds, at the weights of the end, the gradient's `Signal` with alpha untouched and as it was left, and "inherited":
    the PSNR in dB that `one_shot` gives the mixture and the decoded cell and, for seed 0 at a laptop's scale, some
    random cells of the table."""
    device, settings = torch.device(device), replace(SCALES[scale], **choice.changes, seed=seed)
    record = {"name": choice.name, "question": choice.question, "scale": scale, "settings": settings.recorded()}
    for folder in runs.folders(profile):
        if file(folder, record).is_file():
            return records.read(file(folder, record), records.SEARCH_CHOICE)
    torch.manual_seed(seed)
    supernet = Supernet(settings.layers, settings.nodes, settings.width, pictures.channels,
                        global_residual=settings.global_residual)
    squares = validation.middle(split_pictures(pictures.train, seed)[2], SIDE)
    state = runs.state_file(profile, f"search_choices-{file(Path(), record).stem}")
    record |= search(supernet, pictures.train, settings, device, squares, state) | {"alpha_signal": {}}
    train_w, train_a, _ = split_pictures(pictures.train, seed)
    patches = Patches(train_w, settings.crop, settings.sigmas or (0,), device=device)
    drawn = cell_table.drawn(settings.nodes, RANKED) if scale == "laptop" and seed == 0 else []  # it takes minutes
    mixture, decoded_cell, *ranked = one_shot.inherited(supernet, [None, record["genotype"], *drawn], patches, squares,
                                                        settings)
    record["inherited"] = {"mixture": mixture, "decoded": decoded_cell, "random": ranked}
    patches = Patches(train_a, settings.crop, settings.sigmas or (0,), device=device)
    for name in ("as left", "untouched"):
        record["alpha_signal"][name] = signal(gradients(supernet, patches, settings, 30))._asdict()
        with torch.no_grad():
            supernet.alpha.zero_()
    record |= runs.provenance(profile, pictures, device)
    with atomically(file(runs.output_folder(profile), record)) as partial:
        partial.write_text(json.dumps(record) + "\n", encoding="utf-8")
    state.unlink(missing_ok=True)
    return record


def file(folder: str | Path, record: dict) -> Path:
    """Where a record lies below a folder of checkpoints."""
    name = f"{record['scale']}-{slug(record['name'])}-seed{record['settings']['seed']}.json"
    return Path(folder) / "search_choices" / name


def load(folders: Iterable[str | Path]) -> list[dict]:
    """Every record in the folders; of two with one name, that of the earlier folder."""
    return records.read_all((Path(folder) / "search_choices" for folder in folders), records.SEARCH_CHOICE)


def _lines(records: Sequence[dict], scale: str) -> Iterator[str]:
    heads = ("seeds", "entropy", "margin", "none", "skips", "PSNR", "same op", "chance", "same edge")
    yield f"{'choice':52}" + "".join(f"{head:>10}" for head in heads)
    for choice, _, *numbers in decided(records, scale):
        yield f"{choice:52}" + "".join(f"{number:10.3g}" for number in numbers)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m irnas_lib.experiments.search_choices",
                                     description="Search with one choice, and show what all of them have decided.")
    parser.add_argument("scale", choices=SCALES)
    parser.add_argument("names", nargs="*", help="of the choices, each in quotes; none: only show what is known")
    parser.add_argument("--seeds", type=number(0, LARGEST - 1), nargs="+", default=[0])
    parser.add_argument("--profile", default="laptop", help="whose folder, runs/PROFILE/checkpoints, is added to")
    parser.add_argument("--data", default="", help="folder of the data sets (default: IRNAS_DATA)")
    options = parser.parse_args(arguments)

    def work() -> None:
        wanted = [named(name) for name in options.names]
        if wanted:
            pictures = datasets.load("denoising", "embedded" if options.scale == "smoke" else "BSD500", options.data)
        for seed in options.seeds:
            for choice in wanted:
                find_or_search(choice, options.scale, seed, pictures, options.profile, runs.best_device())
        print(*_lines(load(runs.folders(options.profile)), options.scale), sep="\n")
        if not wanted:
            print("choices:", *(choice.name for choice in CHOICES), sep="\n  ")

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
