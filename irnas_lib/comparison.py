"""Systems side by side: trained at one budget, measured on the same pictures, compared picture by picture."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from irnas_lib.results import SMOKE, TASKS, has_usual_loss

BUDGET = ("profile", "recipe", "iterations", "schedule", "batch", "crop", "seed")
LEAST_GAIN = {50: 8.0}  # dB of PSNR over the noisy input, by sigma: a training that gains less has failed


class Row(NamedTuple):
    """A system on the pictures of the comparison: mean PSNR (dB) and SSIM; PSNR over that of the input; PSNR over that
    of a reference, mean and standard error of the mean over pictures (not over seeds). nan where the other is not
    there."""

    result: dict
    psnr: float
    ssim: float
    gain: float
    ahead: float
    error: float

    @property
    def failed(self) -> bool:
        """Whether a training has gained too little to count."""
        return bool(self.result["iterations"]) and self.gain < LEAST_GAIN.get(self.result["sigma"], -math.inf)

    @property
    def verdict(self) -> str:
        """Of the system against the reference, if it is another: `level` within two standard errors."""
        if self.ahead == self.error == 0 or math.isnan(self.ahead):
            return ""
        return "level" if abs(self.ahead) <= 2 * self.error else "ahead" if self.ahead > 0 else "behind"


def at_one_budget(results: Iterable[dict], protocol: str = "strict") -> list[dict]:
    """The trainings of that budget at which most were trained (of several, the longest), on the same pictures.

    Those that keep each picture's scores under `protocol`, each training once.
    """
    groups: dict[tuple, dict[tuple, dict]] = {}
    for result in results:
        each = result["metrics"].get(protocol, {}).get("each")
        if result["iterations"] and result["status"] == "ok" and each:
            budget = (*(result.get(key) for key in BUDGET), *sorted(each))
            groups.setdefault(budget, {})[result["system"], result["lambda"]] = result
    group = max(groups.values(), key=lambda group: (len(group), next(iter(group.values()))["iterations"]), default={})
    return list(group.values())


def side_by_side(results: Iterable[dict], task: str = "denoising", sigma: float | None = 50, protocol: str = "strict",
                 smoke: bool = False, reference: str = "IR-NAS") -> list[Row]:
    """The systems of `at_one_budget`, and those without a training that were measured on the same pictures; the best
    in PSNR first. Of the paper's data set and loss; with `smoke`, of smoke results."""
    of = [result for result in results if (result["task"], result["sigma"]) == (task, sigma) and has_usual_loss(result)
          and (result["profile"] == SMOKE) == smoke and (smoke or result["dataset"] == TASKS[task].dataset)]
    group = at_one_budget(of, protocol)
    if not group:
        return []
    names = list(group[0]["metrics"][protocol]["each"])
    untrained = {result["system"]: result for result in of if not result["iterations"]
                 and result["metrics"].get(protocol, {}).get("each", {}).keys() >= set(names)}
    scores = {result["system"]: _scores(result, protocol, names) for result in [*group, *untrained.values()]}
    rows = []
    for result in [*group, *untrained.values()]:
        psnr, ssim = scores[result["system"]].T
        gains, aheads = (psnr - scores[other][:, 0] if other in scores else np.full(len(names), np.nan)
                         for other in (TASKS[task].unrestored, reference))
        error = aheads.std(ddof=1) / math.sqrt(len(names)) if len(names) > 1 else np.nan
        rows.append(Row(result, *map(float, (psnr.mean(), ssim.mean(), gains.mean(), aheads.mean(), error))))
    return sorted(rows, key=lambda row: -row.psnr)


def _scores(result: dict, protocol: str, names: Sequence[str]) -> np.ndarray:
    """PSNR and SSIM of the named pictures, (len(names), 2)."""
    each = result["metrics"][protocol]["each"]
    return np.array([each[name] for name in names])


def markdown(rows: Sequence[Row], protocol: str = "strict", reference: str = "IR-NAS") -> str:
    """A table of `side_by_side`, with the budget and the pictures above it."""
    trained = next((row.result for row in rows if row.result["iterations"]), None)
    if trained is None:
        return "Systems at one budget: not run\n"
    lines = ["{profile}: {iterations:,} iterations of {batch} crops of {crop}x{crop}, recipe {recipe}, seed {seed}"
             .format(**trained) + f"; {protocol}, {trained['metrics'][protocol]['pictures']} test pictures. "
             f"Against {reference}: mean difference and its standard error over these pictures; level within two.", "",
             f"| System | PSNR (dB) | SSIM | over the input (dB) | against {reference} (dB) | | parameters "
             "| multiply-adds a pixel | training (s) |", "|:--|" + "--:|" * 8]
    for row in rows:
        result = row.result
        ahead = "" if not row.verdict else f"{row.ahead:+.2f} ± {row.error:.2f}"
        gain = "" if math.isnan(row.gain) else f"{row.gain:+.2f}"
        counts = ["" if value is None else f"{value:,.0f}"
                  for value in (result["parameters"], result["macs_per_pixel"], result["seconds"])]
        said = "failed: gains too little" if row.failed else row.verdict
        cells = [result["system"].replace("*", r"\*"), f"{row.psnr:.2f}", f"{row.ssim:.4f}", gain, ahead, said, *counts]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
