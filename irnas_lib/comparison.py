"""Systems side by side: trained at one budget, measured on the same pictures, compared picture by picture."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from irnas_lib import printed
from irnas_lib.results import SMOKE, TASKS, has_usual_loss

BUDGET = ("profile", "recipe", "iterations", "schedule", "batch", "crop", "seed", "data_sha256")
LEAST_GAIN = {50: 8.0}  # this project's bar: dB of PSNR over the noisy input, by sigma, below which nothing was learnt


class Row(NamedTuple):
    """A system on the pictures of the comparison: mean PSNR (dB) and SSIM; PSNR over that of the input; PSNR over that
    of the reference, mean and standard error of the mean over pictures (not over seeds). nan where that is not known,
    and for the reference itself."""

    result: dict
    psnr: float
    ssim: float
    gain: float
    ahead: float
    error: float

    @property
    def failed(self) -> bool:
        """Whether a training is known to have gained too little to count."""
        return bool(self.result["iterations"]) and self.gain < LEAST_GAIN.get(self.result["sigma"], -math.inf)

    @property
    def verdict(self) -> str:
        """Of the system against the reference, where it is known: `level` within two standard errors."""
        if math.isnan(self.error):
            return ""
        return "level" if abs(self.ahead) <= 2 * self.error else "ahead" if self.ahead > 0 else "behind"


class Comparison(NamedTuple):
    """rows: the best in PSNR first; missing: the systems of the paper's table that have no row, each with "failed" or
    "not run"."""

    rows: list[Row]
    missing: dict[str, str]
    protocol: str
    reference: str

    @property
    def title(self) -> str:
        """What was compared, and at which budget."""
        trained = next(row.result for row in self.rows if row.result["iterations"])
        level = "" if trained["sigma"] is None else ", sigma {sigma:g}".format(**trained)
        budget = "{iterations:,} iterations of {batch} crops of {crop}x{crop}, recipe {recipe}, seed {seed} ({profile})"
        return (f"{trained['dataset']}{level}, {self.protocol}, {trained['metrics'][self.protocol]['pictures']} test "
                f"pictures; {budget.format(**trained)}")


def at_one_budget(results: Iterable[dict], protocol: str = "strict") -> list[dict]:
    """The trainings of that budget at which most were trained (of several, the longest), on the same pictures.

    Those that keep each picture's scores under `protocol`, each training once: the first of `results`.
    """
    groups: dict[tuple, dict[tuple, dict]] = {}
    for result in results:
        each = _each(result, protocol)
        if result["iterations"] and result["status"] == "ok" and each:
            budget = (*(result.get(key) for key in BUDGET), *sorted(each))
            groups.setdefault(budget, {}).setdefault((result["system"], result["lambda"]), result)
    group = max(groups.values(), key=lambda group: (len(group), next(iter(group.values()))["iterations"]), default={})
    return list(group.values())


def side_by_side(results: Sequence[dict], task: str = "denoising", sigma: float | None = 50, protocol: str = "strict",
                 smoke: bool = False, reference: str = "IR-NAS") -> Comparison:
    """The systems of `at_one_budget`, and those without a training that were measured on the same pictures with the
    same noise. Of the paper's data set and loss; with `smoke`, of smoke results."""
    of = [result for result in results if (result["task"], result["sigma"]) == (task, sigma) and has_usual_loss(result)
          and (result["profile"] == SMOKE) == smoke and (smoke or result["dataset"] == TASKS[task].dataset)]
    compared = {result["system"]: result for result in at_one_budget(of, protocol)}
    if not compared:
        return Comparison([], {}, protocol, reference)
    one = next(iter(compared.values()))
    names = list(_each(one, protocol))
    for result in of:
        if (not result["iterations"] and _each(result, protocol).keys() >= set(names)
                and all(result[key] == one[key] for key in ("seed", "data_sha256"))):
            compared.setdefault(result["system"], result)
    scores = {system: np.array([_each(result, protocol)[name] for name in names])
              for system, result in compared.items()}
    rows = []
    for system, result in compared.items():
        psnr, ssim = scores[system].T
        gains, aheads = (psnr - scores[other][:, 0] if other in scores else np.full(len(names), np.nan)
                         for other in (TASKS[task].unrestored, reference))
        known = len(names) > 1 and system != reference
        error = aheads.std(ddof=1) / math.sqrt(len(names)) if known else math.nan
        rows.append(Row(result, *map(float, (psnr.mean(), ssim.mean(), gains.mean(), aheads.mean(), error))))
    failed = {result["system"] for result in of if result["status"] == "failed"
              and all(result.get(key) == one.get(key) for key in BUDGET)}
    missing = {item.system: "failed" if item.system in failed else "not run" for item in printed.load()
               if item.task == task and item.sigma == ("" if sigma is None else f"{sigma:g}")
               and item.where in ("1", "2", "3") and item.system not in compared}
    return Comparison(sorted(rows, key=lambda row: -row.psnr), missing, protocol, reference)


def _each(result: dict, protocol: str) -> dict:
    """PSNR and SSIM of each picture, by its name; empty where they were not kept."""
    return result["metrics"].get(protocol, {}).get("each") or {}


def markdown(compared: Comparison) -> str:
    """A table of `side_by_side`, with what was compared above it and what is missing below."""
    if not compared.rows:
        return "Systems at one budget: not run\n"
    reference = compared.reference
    lines = [f"{compared.title}. Against {reference}: mean difference and its standard error over these pictures; "
             "level within two.", "",
             f"| System | PSNR (dB) | SSIM | over the input (dB) | against {reference} (dB) | | parameters "
             "| multiply-adds a pixel |", "|:--|" + "--:|" * 7]
    for row in compared.rows:
        result = row.result
        ahead = f"{row.ahead:+.2f} ± {row.error:.2f}" if row.verdict else ""
        gain = "" if math.isnan(row.gain) else f"{row.gain:+.2f}"
        counts = ["" if value is None else f"{value:,.0f}"
                  for value in (result["parameters"], result["macs_per_pixel"])]
        said = "failed: gains too little" if row.failed else row.verdict
        cells = [result["system"].replace("*", r"\*"), f"{row.psnr:.2f}", f"{row.ssim:.4f}", gain, ahead, said, *counts]
        lines.append(f"| {' | '.join(cells)} |")
    if compared.missing:
        lines += ["", "; ".join(f"{system}: {said}" for system, said in compared.missing.items())]
    return "\n".join(lines) + "\n"
