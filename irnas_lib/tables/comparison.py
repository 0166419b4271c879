"""Systems side by side: trained at one budget, measured on the same pictures, compared picture by picture."""

import math
from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from irnas_lib.data.tasks import TASKS
from irnas_lib.experiments.config import BUDGET, budget, length
from irnas_lib.experiments.results import SMOKE, Result, has_usual_loss
from irnas_lib.tables import printed

# This project's bar, by sigma: dB of PSNR over the noisy input below which a training counts as failed. Two thirds of
# what BM3D, which learns nothing, gains on the 200 test pictures.
LEAST_GAIN = {30: 6.0, 50: 7.3, 70: 8.0}


def prediction_interval(values: Sequence[float]) -> tuple[float, float]:
    """Where one more of two or more normally distributed values falls, with a chance of 95%."""
    half = stdtrit(len(values) - 1, 0.975) * stdev(values) * math.sqrt(1 + 1 / len(values))
    return mean(values) - half, mean(values) + half


def over_pictures(error: float, pictures: int) -> float:
    """Half the 95% interval of a mean over so many pictures with this standard error, by Student's t; nan for one."""
    return error * float(stdtrit(pictures - 1, 0.975)) if pictures > 1 else math.nan


class Row(NamedTuple):
    """A system on the pictures of the comparison, so many: mean PSNR (dB) and SSIM; PSNR over that of the input; PSNR
    and SSIM over those of the reference, mean and standard error of the mean over pictures. nan where that is not
    known, and for the reference itself. over_seeds, ssim_over_seeds: the half-width of the 95% interval that other
    seeds would give the difference."""

    result: Result
    psnr: float
    ssim: float
    gain: float
    ahead: float
    error: float
    ssim_ahead: float
    ssim_error: float
    over_seeds: float = 0.0
    pictures: int = 0
    ssim_over_seeds: float = 0.0

    @property
    def half(self) -> float:
        """Half the 95% interval of `ahead`, over pictures."""
        return over_pictures(self.error, self.pictures)

    @property
    def both(self) -> float:
        """The same over pictures and seeds together, whose errors are independent."""
        return math.hypot(self.half, self.over_seeds)

    @property
    def ssim_both(self) -> float:
        """Half the 95% interval of `ssim_ahead`, over pictures and seeds together."""
        return math.hypot(over_pictures(self.ssim_error, self.pictures), self.ssim_over_seeds)

    @property
    def failed(self) -> bool:
        """Whether a training is known to have gained too little to count."""
        return _too_little(self.result, self.gain)

    @property
    def verdict(self) -> str:
        """Of the system against the reference in PSNR, where it is known: `level` within the 95% interval over pictures
        and seeds together."""
        if math.isnan(self.both):
            return ""
        return "level" if abs(self.ahead) <= self.both else "ahead" if self.ahead > 0 else "behind"


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
        trained = next(row.result for row in self.rows if row.result.iterations)
        level = "" if trained.sigma is None else f", sigma {trained.sigma:g}"
        steps = f"{trained.iterations:,} iterations of {trained.batch} crops of {trained.crop}x{trained.crop}"
        return (f"{trained.dataset}{level}, {self.protocol}, {trained.metrics[self.protocol]['pictures']} test "
                f"pictures; {steps} ({budget(trained)}), recipe {trained.recipe}, seed {trained.seed} "
                f"({trained.profile})")


def gains_too_little(result: Result, unrestored: Result | None, protocol: str = "strict") -> bool:
    """Whether a training is known to have gained too little over its input, on the pictures of both, to count."""
    (gain, _), _ = difference(result, unrestored, protocol)
    return _too_little(result, gain)


def _too_little(result: Result, gain: float) -> bool:
    return bool(result.iterations) and gain < LEAST_GAIN.get(result.sigma, -math.inf)


def at_one_budget(results: Iterable[Result], protocol: str = "strict") -> list[Result]:
    """The trainings of that budget at which most were trained (of several, the longest), on the same pictures.

    Those that keep each picture's scores under `protocol`, each training once: the first of `results`.
    """
    groups: dict[tuple, dict[tuple, Result]] = {}
    for result in results:
        each = _each(result, protocol)
        if result.iterations and result.status == "ok" and each:
            alike = (*BUDGET(result), *sorted(each))
            groups.setdefault(alike, {}).setdefault((result.system, result.loss_lambda), result)
    group = max(groups.values(), key=lambda group: (len(group), length(next(iter(group.values())))), default={})
    return list(group.values())


def side_by_side(results: Sequence[Result], task: str = "denoising", sigma: float | None = 50, protocol: str = "strict",
                 smoke: bool = False, reference: str = "IR-NAS", over_seeds: float = 0.0,
                 ssim_over_seeds: float = 0.0) -> Comparison:
    """The systems of `at_one_budget`, and those without a training that were measured on the same pictures with the
    same noise. Of the paper's data set and loss; with `smoke`, of smoke results.

    over_seeds, ssim_over_seeds: the half-width of the 95% interval that other seeds give the PSNR (dB) and the SSIM of
    one training, of which 0 and nan know nothing. That of a difference of two is larger by the square root of two.
    """
    candidates = [result for result in results
                  if (result.task, result.sigma) == (task, sigma) and has_usual_loss(result)
                  and (result.profile == SMOKE) == smoke and (smoke or result.dataset == TASKS[task].dataset)]
    compared = {result.system: result for result in at_one_budget(candidates, protocol)}
    if not compared:
        return Comparison([], {}, protocol, reference)
    first = next(iter(compared.values()))
    names = list(_each(first, protocol))
    of_one, ssim_of_one = (0.0 if math.isnan(half) else half for half in (over_seeds, ssim_over_seeds))
    for result in candidates:
        if (not result.iterations and _each(result, protocol).keys() >= set(names)
                and (result.seed, result.data_sha256) == (first.seed, first.data_sha256)):
            compared.setdefault(result.system, result)
    rows = []
    for system, result in compared.items():
        psnr, ssim = np.mean([_each(result, protocol)[name] for name in names], axis=0)
        (gain, _), _ = difference(result, compared.get(TASKS[task].unrestored), protocol, names)
        rival = compared.get(reference) if system != reference else None
        over = difference(result, rival, protocol, names)
        trained = sum(bool(side and side.iterations) for side in (result, rival))
        rows.append(Row(result, float(psnr), float(ssim), gain, *over[0], *over[1], of_one * math.sqrt(trained),
                        len(names), ssim_of_one * math.sqrt(trained)))
    failed = {result.system for result in candidates if result.status == "failed"
              and BUDGET(result) == BUDGET(first)}
    missing = {item.system: "failed" if item.system in failed else "not run" for item in printed.load()
               if item.task == task and item.sigma == ("" if sigma is None else f"{sigma:g}")
               and item.where in ("1", "2", "3") and item.system not in compared}
    return Comparison(sorted(rows, key=lambda row: -row.psnr), missing, protocol, reference)


def difference(result: Result, against: Result | None, protocol: str = "strict",
               names: Sequence[str] | None = None) -> tuple[tuple[float, float], ...]:
    """How far a result is above another on the pictures of both (of `names` among them): for PSNR (dB) and SSIM, the
    mean difference and its standard error over pictures. nan where that is not known: without another, and the error
    of one picture."""
    scores, rival = _each(result, protocol), _each(against, protocol) if against else {}
    gains = np.array([np.subtract(scores[name], rival[name]) for name in (scores if names is None else names)
                      if name in rival]).reshape(-1, 2)
    if not len(gains):
        return ((math.nan, math.nan),) * 2
    errors = gains.std(axis=0, ddof=1) / math.sqrt(len(gains)) if len(gains) > 1 else np.full(2, np.nan)
    return tuple(zip(gains.mean(axis=0).tolist(), errors.tolist()))


def _each(result: Result, protocol: str) -> dict:
    """PSNR and SSIM of each picture, by its name; empty where they were not kept."""
    return result.metrics.get(protocol, {}).get("each") or {}


def markdown(compared: Comparison) -> str:
    """A table of `side_by_side`, with what was compared above it and what is missing below."""
    if not compared.rows:
        return "Systems at one budget: not run\n"
    reference, over_seeds = compared.reference, max(row.over_seeds for row in compared.rows)
    also = (f" and over other seeds (which alone give two training runs ± {over_seeds:.2f} dB)" if over_seeds
            else "; nothing is known of other seeds")
    lines = [f"{compared.title}. Against {reference}: mean difference ± the half-width of its 95% confidence "
             f"interval over these pictures{also}. Ahead or behind: the row's system, in PSNR; level within that "
             "interval.", "",
             f"| System | PSNR (dB) | SSIM | over the input (dB) | against {reference} (dB) | this system is "
             f"| SSIM against {reference} | parameters | multiply-adds a pixel |", "|:--|" + "--:|" * 8]
    for row in compared.rows:
        result = row.result
        ahead = f"{row.ahead:+.2f} ± {row.both:.2f}" if row.verdict else ""
        ssim_ahead = f"{row.ssim_ahead:+.3f} ± {row.ssim_both:.3f}" if row.verdict else ""
        gain = "" if math.isnan(row.gain) else f"{row.gain:+.2f}"
        counts = ["" if value is None else f"{value:,.0f}"
                  for value in (result.parameters, result.macs_per_pixel)]
        verdict = "failed: gains too little" if row.failed else row.verdict
        cells = [result.system.replace("*", r"\*"), f"{row.psnr:.2f}", f"{row.ssim:.4f}", gain, ahead, verdict,
                 ssim_ahead, *counts]
        lines.append(f"| {' | '.join(cells)} |")
    if compared.missing:
        lines += ["", "; ".join(f"{system}: {verdict}" for system, verdict in compared.missing.items())]
    return "\n".join(lines) + "\n"
