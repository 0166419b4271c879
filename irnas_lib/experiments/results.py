"""Results: one small JSON file for each system that was trained or run; tables come from these."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

from irnas_lib.data.tasks import TASKS
from irnas_lib.experiments import records
from irnas_lib.experiments.config import JSON_NAMES, TrainingConfig, length, slug
from irnas_lib.files import atomically, problem, read_json
from irnas_lib.training.recipes import RECIPES

PAPER_LAMBDA = 0.5  # of Eq. 7
PAPER_LOSS = ("IR-NAS", "IR-NAS, R1", "IR-NAS, R2", "IR-NAS (searched here)")  # systems that stand for it in the tables
SMOKE = "smoke"     # the profile whose results are none

PLAIN_NAME = r"[A-Za-z0-9][\w ,+*().-]*"  # they become file names

Number = int | float


@dataclass(frozen=True)
class Result:
    """What a system has scored on a data set, how it was made, and where its weights are; in a file the same names, but
    for `loss_lambda`, which is called lambda there.

    metrics: by protocol {"psnr", "ssim", "pictures"} and maybe {"ssim_padded", "seconds", "each"}; weights: {"file",
    "sha256"}; status: "ok" or "failed", and "not run" of a training that has yet to be made, which is never saved;
    curve: [[iteration, loss, PSNR], ...] of batches in training mode; validation: [[iteration, PSNR], ...] of pictures
    kept out, in evaluation mode; schedule: the iterations that the learning rate was planned for. None: not known, or
    of a system that has none.
    """

    task: str
    dataset: str
    system: str
    sigma: Number | None
    seed: int
    recipe: str | None
    loss: str | None
    loss_lambda: Number | None
    iterations: int | None
    batch: int | None
    profile: str
    genotype: list | tuple | None
    path: list | tuple | None
    width: int | None
    metrics: dict
    parameters: int | None
    macs_per_pixel: Number | None
    seconds: Number | None
    device: str | None
    versions: dict
    commit: str | None
    data_sha256: str | None
    weights: dict | None
    status: str
    crop: int | None = None
    curve: list | None = None
    validation: list | None = None
    schedule: int | None = None

    @property
    def config(self) -> TrainingConfig:
        """What makes it the same training as another."""
        return TrainingConfig.of(vars(self))

    @property
    def stem(self) -> str:
        """The name, without suffix, of its files."""
        return stem(self.config, self.profile)

    def record(self) -> dict:
        """As a file holds it, which has curves only of a training."""
        return {JSON_NAMES.get(name, name): value for name, value in vars(self).items()
                if name not in ("curve", "validation") or value is not None}


KINDS = {JSON_NAMES.get(name, name): kind for name, kind in get_type_hints(Result).items()}
OPTIONAL = {field.name for field in fields(Result) if field.default is None}  # older files lack them


class ResultError(ValueError):
    """A result that is damaged, foreign or impossible; the message is one line."""


def stem(config: TrainingConfig, profile: str) -> str:
    """The name, without suffix, of a training's files, e.g. denoising-ir_nas-sigma50-seed0-matched-2000-laptop.

    What is None is left out, and so are a lambda of 0.5 and the data set that the paper uses for the task.
    """
    parts = [config.task, None if config.dataset == TASKS[config.task].dataset else config.dataset,
             slug(config.system), None if config.sigma is None else f"sigma{config.sigma:g}", f"seed{config.seed}",
             config.recipe, None if config.loss_lambda in (None, PAPER_LAMBDA) else f"lambda{config.loss_lambda:g}",
             config.iterations, profile]
    return "-".join(str(part) for part in parts if part is not None)


def check(result: Result) -> None:
    """Raises ResultError for a result that is impossible, or not run."""
    if problem := problem_of(result.record()):
        raise ResultError(f"result: {problem}")


def save(result: Result, folder: str | Path) -> Path:
    """Checks a result and writes it into `folder`, whole or not at all; returns the file, named by `Result.stem`.

    Raises ResultError, before anything is written, for one that `check` rejects.
    """
    check(result)
    path = Path(folder) / f"{result.stem}.json"
    text = json.dumps(result.record(), indent=1, ensure_ascii=False, allow_nan=False)
    with atomically(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return path


def load(folder: str | Path) -> list[Result]:
    """The results in a folder, sorted by file name; none where there is no such folder yet.

    Raises ResultError, which names the file, for one that is damaged or no result.
    """
    return [read(path) for path in sorted(Path(folder).glob("[!.]*.json"))]


def read(path: Path) -> Result:
    """One result. Raises ResultError, which names the file."""
    try:
        record = read_json(path)
    except ValueError as error:
        raise ResultError(str(error)) from None
    if problem := problem_of(record):
        raise ResultError(f"{path}: {problem}")
    attributes = {name: attribute for attribute, name in JSON_NAMES.items()}
    return Result(**{attributes.get(name, name): value for name, value in record.items()})


def has_usual_loss(result: Result) -> bool:
    """Whether a result was trained with the loss of its system's row in the tables; with another lambda it is an
    experiment of its own. IR-NAS and its variants are the paper's loss, IR-NAS* is without the log-SSIM term; the other
    systems, which the paper compares or does not have, are their recipe's."""
    recipes_own = RECIPES[result.recipe].loss_lambda if result.recipe in RECIPES else PAPER_LAMBDA
    usual = {"IR-NAS*": 0.0} | dict.fromkeys(PAPER_LOSS, PAPER_LAMBDA)
    return result.loss_lambda in (None, usual.get(result.system, recipes_own))


def best(results: Iterable[Result], task: str, system: str, sigma: Number | None, protocol: str | None = None,
         smoke: bool = False) -> Result | None:
    """The result that stands for a system in a table (not the one of the highest score), or None where there is none.

    The most test pictures win, then the longest training, then the lowest seed, then the recipe `matched`. Only the
    data set of the paper counts, only the usual loss (`has_usual_loss`), and no smoke result; with `smoke`, only smoke
    results, on any data set. A failed result is returned where the system never succeeded. Without a protocol any
    result serves, and its most pictures under one protocol count.
    """
    candidates = [
        result for result in results
        if (result.task, result.system, result.sigma) == (task, system, sigma)
        and (result.profile == SMOKE) == smoke and (smoke or result.dataset == TASKS[task].dataset)
        and has_usual_loss(result)
    ]
    good = [result for result in candidates if result.status == "ok"]
    measured = [result for result in good if protocol is None or protocol in result.metrics]

    def rank(result):
        pictures = max((scores["pictures"] for name, scores in result.metrics.items() if protocol in (None, name)),
                       default=0)
        return (-pictures, *(-seen for seen in length(result)), result.seed, result.recipe != "matched",
                json.dumps(result.record(), sort_keys=True))
    return min(measured if good else candidates, key=rank, default=None)


def problem_of(record: object) -> str | None:
    """What is wrong with the record of a result, as a file holds it, in a few words, or None."""
    if not isinstance(record, dict):
        return "not a result: no JSON object"
    missing, unknown = KINDS.keys() - record.keys() - OPTIONAL, record.keys() - KINDS.keys()
    if missing or unknown:
        faults = [f"{word} {', '.join(sorted(keys))}"
                for word, keys in (("without", missing), ("with unknown", unknown)) if keys]
        return f"not a result: {'; '.join(faults)}"
    for key, kind in KINDS.items():
        value = record.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"{key} is {value!r}"
        if isinstance(value, Number) and (not math.isfinite(value) or value < 0):
            return f"{key} is {value}"
    task, system, loss_lambda = record["task"], record["system"], record["lambda"]
    if task not in TASKS:
        return f"unknown task {task!r} (known: {', '.join(TASKS)})"
    for key in ("system", "dataset", "recipe", "profile"):
        if record[key] is not None and not re.fullmatch(PLAIN_NAME, record[key]):
            return f"{key} is {record[key]!r}"
    if bool(TASKS[task].sigmas) != bool(record["sigma"]):
        return f"sigma is {record['sigma']} for {task}"
    if system in ("IR-NAS", "IR-NAS*") and (loss_lambda == 0) != (system == "IR-NAS*"):
        return f"{system} with lambda {loss_lambda} (IR-NAS* is the one with lambda 0)"
    if record["status"] not in ("ok", "failed"):
        return f"status is {record['status']!r}, neither ok nor failed"
    if record["status"] == "ok" and not record["metrics"]:
        return "status is ok, but nothing was measured"
    for protocol, scores in record["metrics"].items():
        if protocol not in TASKS[task].measures:
            return f"unknown protocol {protocol!r} (known for {task}: {', '.join(TASKS[task].measures)})"
        if wrong := _score_problem(scores):
            return f"{protocol}: {wrong}"
    weights = record["weights"]
    if weights is not None:
        if weights.keys() != {"file", "sha256"} or {type(value) for value in weights.values()} != {str}:
            return "weights are neither null nor a file and its sha256"
        if Path(weights["file"]).is_absolute() or ".." in Path(weights["file"]).parts:
            return f"weights lie outside the checkpoints: {weights['file']}"
    return problem(record, records.RESULT)


def _score_problem(scores: object) -> str | None:
    """What is wrong with the scores of one protocol; `ssim_padded`, `seconds` and `each` may be there or not."""
    optional = {"ssim_padded", "seconds", "each"}
    if not isinstance(scores, dict) or scores.keys() - optional != {"psnr", "ssim", "pictures"}:
        return "needs psnr, ssim and pictures"
    for key, value in scores.items():
        if key == "each" or key in optional and value is None:
            continue
        if not isinstance(value, Number) or isinstance(value, bool) or not math.isfinite(value):
            return f"{key} is {value!r}"
    if not -1 <= scores["ssim"] <= 1:
        return f"ssim is {scores['ssim']}"
    if not isinstance(scores["pictures"], int) or scores["pictures"] < 1:
        return f"pictures is {scores['pictures']}"
    if (each := scores.get("each")) is not None:
        try:
            psnr, ssim = (sum(values) / scores["pictures"] for values in zip(*each.values(), strict=True))
        except (AttributeError, TypeError, ValueError):
            return "each is no PSNR and SSIM by picture"
        if not all(math.isclose(mean, scores[key], abs_tol=1e-3) for key, mean in (("psnr", psnr), ("ssim", ssim))):
            return "each does not have the means that are given"
    return None
