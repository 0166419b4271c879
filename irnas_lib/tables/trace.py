"""Each of the 125 printed numbers beside what is measured here: verdict, training budget, and why.

Which result stands for a number, and what keeps the two from being compared, `entries` knows; this module adds the
parameter counts, which need no training, and the claims of the text. Smoke results never count.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import systems
from irnas_lib.experiments.config import PAPER_ITERATIONS, PAPER_PIXELS, budget, pixels
from irnas_lib.experiments.results import SMOKE, Result
from irnas_lib.experiments.times import restored_by, scaled
from irnas_lib.files import atomically
from irnas_lib.tables import entries, printed
from irnas_lib.training.search import SearchSettings

REPRODUCED, FITTED, DIFFERS, UNDERTRAINED = "reproduced", "fitted", "differs", "undertrained"
NOT_COMPARABLE = "not comparable"
COMPARED = (REPRODUCED, FITTED, DIFFERS, UNDERTRAINED)
VERDICTS = (*COMPARED, NOT_COMPARABLE, entries.FAILED, entries.NOT_RUN)  # of the last two nothing is measured
COLUMNS = ("id", "where", "task", "system", "sigma", "metric", "printed", "measured", "protocol", "budget",
           "difference", "verdict", "why")

# How far ours may lie from a printed number and count as reproduced: in its unit, or as a share of it. Counts are
# exact, but printed with two digits; a quotient of two printed numbers may be what their last digits allow. Neither
# times nor their ratios compare: what is fast on a CPU need not be so on a GPU. Nor does the memory of our search: it
# was measured against another baseline than the paper's.
ABSOLUTE = {"PSNR": 0.15, "SSIM": 0.005}
RELATIVE = {"parameters": 0.01}
QUOTIENTS = ("parameters_vs_n3net", "parameters_vs_nlrn")  # whose two numbers `note` names first

ENOUGH = 0.1  # share of the paper's pixels below which a training that differs says nothing about the printed number
FITTED_COUNTS = {"RED": "its channels", "IR-NAS": "its path of widths"}  # inferred from the printed parameter count
COUNTED = "counted; needs no training"


class Traced(NamedTuple):
    """A printed number and its counterpart here; measured and difference (here minus printed) are None where there is
    none. protocol: of the measured. budget: what that took, in words; pixels: that the training saw, where there was
    one. verdict: one of VERDICTS."""

    printed: printed.Printed
    measured: float | None
    protocol: str
    budget: str
    difference: float | None
    verdict: str
    why: str
    pixels: int | None = None

    def row(self, more_decimals: int = 0) -> dict[str, str]:
        """As text, by COLUMNS; ours with as many decimals as printed (at least two), or more."""
        item, decimals = self.printed, _decimals(self.printed) + more_decimals
        measured = self.verdict if self.measured is None else f"{self.measured:.{decimals}f}"
        difference = "" if self.difference is None else f"{self.difference:+.{decimals}f}"
        return dict(zip(COLUMNS, (item.id, item.where, item.task, item.system, item.sigma, item.metric, item.value,
                                  measured, self.protocol, self.budget, difference, self.verdict, self.why),
                        strict=True))


def trace(results: Iterable[Result], times: Mapping = {}, bench: Mapping = {},
          searches: Iterable[Mapping] = ()) -> list[Traced]:
    """All printed numbers in the order of `printed.load`.

    times: what `times.load` gives; bench: checkpoints/bench.json; searches: what `runs.load_search` gives.
    """
    results = list(results)
    found: dict[str, list[entries.Entry]] = {}
    for number in entries.LAYOUTS:
        for entry in entries.of_table(number, results, times=times):
            if entry.printed:
                found.setdefault(entry.printed.id, []).append(entry)
    return [_claim(item, times, bench, searches) if item.where == "claim" else _in_table(found[item.id])
            for item in printed.load()]


def write(traced: Iterable[Traced], folder: str | Path) -> Path:
    """Writes trace.csv into `folder`, ours with two decimals more than printed; returns the file."""
    path = Path(folder) / "trace.csv"
    with atomically(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(number.row(more_decimals=2) for number in traced)
    return path


def tolerance(item: printed.Printed) -> tuple[float, float, str]:
    """How far ours may lie below a printed number and above it: in its unit, and in words."""
    if item.metric in QUOTIENTS:
        (low, high), (over, under) = rounding(item), _quotient(item)
        return (item.number - low, high - item.number,
                f"what the rounding of {over} and {under} allows ({low:.1f} to {high:.1f}%)")
    if item.metric in RELATIVE:
        allowed, words = RELATIVE[item.metric] * item.number, f"{RELATIVE[item.metric]:.0%} of it"
    else:
        allowed, words = ABSOLUTE[item.metric], f"{ABSOLUTE[item.metric]:g} {item.unit}".strip()
    return allowed, allowed, words


def rounding(item: printed.Printed) -> tuple[float, float]:
    """The least and the largest share, in percent, of two numbers that are printed as those of `item`'s quotient."""
    over, under = _quotient(item)
    (low, high), (least, most) = (
        [float(text) + side * 0.5 * 10 ** -len(text.partition(".")[2]) for side in (-1, 1)] for text in (over, under))
    return 100 * low / most, 100 * high / least


def _quotient(item: printed.Printed) -> tuple[str, str]:
    """The two printed numbers of a quotient, as printed."""
    return re.match(r"([\d.]+) / ([\d.]+) of", item.note).groups()


def _decimals(item: printed.Printed) -> int:
    return max(2, len(item.value.partition(".")[2]))


def fitted(item: printed.Printed) -> str:
    """What of the measurement was inferred from this very number; empty where nothing was."""
    if item.metric == "parameters" and item.system in FITTED_COUNTS:
        return f"{FITTED_COUNTS[item.system]} inferred from this number"
    if item.metric in QUOTIENTS:
        return f"{FITTED_COUNTS[item.system]} inferred from {_quotient(item)[0]}M"
    if item.system == "BM3D" and item.protocol == "half":
        return "the protocol `half` was inferred from BM3D's numbers"
    return ""


def _judged(item: printed.Printed, measured: float, budget: str, protocol: str = "", obstacle: str = "",
            remarks: Iterable[str] = (), short: str = "") -> Traced:
    """The verdict on a number of ours; obstacle: what forbids a comparison; remarks: what may explain a difference;
    short: why a difference says nothing, of a training that is too short."""
    if obstacle:
        return Traced(item, measured, protocol, budget, None, NOT_COMPARABLE, obstacle)
    difference, (below, above, words) = round(measured - item.number, 6), tolerance(item)  # 26.92 - 26.77 is 0.15
    if -below <= difference <= above:
        why = "; ".join(filter(None, [f"within {words}", fitted(item)]))
        return Traced(item, measured, protocol, budget, difference, FITTED if fitted(item) else REPRODUCED, why)
    return Traced(item, measured, protocol, budget, difference, UNDERTRAINED if short else DIFFERS,
                  "; ".join(filter(None, [f"off by more than {words}", short, *remarks])))


def _missing(item: printed.Printed, why: str, budget: str = "", verdict: str = entries.NOT_RUN) -> Traced:
    return Traced(item, None, "", budget, None, verdict, why)


# ---- tables ----

def _in_table(of_number: list[entries.Entry]) -> Traced:
    """Of a number's entries, one for each protocol, the one of the printed protocol counts, else the first measured."""
    entry = min(of_number, key=lambda entry: (entry.number is None, entry.protocol != entry.printed.protocol))
    item, result = entry.printed, entry.result
    if entry.metric == "parameters":  # needs no result, only the network
        counted = _parameters(item.system)
        return _judged(item, counted / entries.MILLION, COUNTED, remarks=[f"{counted:,} registered here", item.note])
    if entry.metric == "time":
        if entry.timed:
            return _judged(item, entry.number, _timed(entry.timed, entry.system), obstacle=entry.obstacle())
        return _missing(item, f"no time yet of {item.system}, {item.task}")
    if entry.number is None:
        if result:
            return _missing(item, "our run of it failed", _budget(result), entries.FAILED)
        noise = f" at sigma {item.sigma}, protocol {item.protocol}" if item.sigma else ""
        return _missing(item, f"no result yet of {entries.SAME_TRAINING.get(item.system, item.system)} "
                        f"on {TASKS[item.task].dataset}{noise}")
    share = (pixels(result) or 0) / PAPER_PIXELS or (result.iterations or 0) / PAPER_ITERATIONS
    short = (f"our training saw less than {ENOUGH:.0%} of the paper's pixels, so that this refutes nothing"
             if 0 < share < ENOUGH else "")
    obstacle = entry.obstacle()
    if obstacle:
        obstacle = "; ".join(filter(None, [obstacle, short, entries.TOO_LITTLE if entry.too_little else ""]))
    judged = _judged(item, entry.number, _budget(result), entry.protocol, obstacle, entry.notes(), short)
    return judged._replace(pixels=pixels(result))


def _budget(result: Result) -> str:
    trained = "no training" if result.iterations is None else f"{_iterations(result)}, {result.batch} crops each"
    return f"{trained}; profile {result.profile}, {result.device}"


def _iterations(result: Result) -> str:
    """How many, and for the paper's own network of how many; what it gave the others it does not say."""
    planned = f" of {PAPER_ITERATIONS:,}" if result.system in systems.IR_NAS else ""
    seen = budget(result)
    return f"{result.iterations:,}{planned} iterations" + (f" ({seen})" if seen else "")


def _timed(record: Mapping, system: str) -> str:
    return f"{restored_by(record, system)} of {record['test_pictures']} test pictures; {record['device']}"


@cache
def _parameters(system: str) -> int:
    """Of the network for grey pictures, with the paper's cell where it needs one."""
    return systems.registered(system, 1, systems.published("denoising", system))


# ---- claims of the text ----

def _claim(item: printed.Printed, times: Mapping, bench: Mapping, searches: Iterable[Mapping]) -> Traced:
    match item.metric:
        case "search_time":
            return _search_time(item, searches)
        case "search_memory_vs_auto_deeplab":
            return _search_memory(item, bench)
        case "parameters_vs_n3net" | "parameters_vs_nlrn":
            ours, theirs = map(_parameters, (item.system, "N3Net" if item.metric.endswith("n3net") else "NLRN"))
            return _judged(item, 100 * ours / theirs, COUNTED, remarks=[f"here {ours:,} of {theirs:,}", item.note])
        case "time_saved_vs_n3net":
            return _side_by_side(item, times, "N3Net", lambda ours, theirs: 100 - 100 * ours / theirs)
        case "speed_vs_rescan":
            return _side_by_side(item, times, "RESCAN", lambda ours, theirs: theirs / ours)
    return _missing(item, f"cannot be measured here: FALSR's search is another paper's ({item.note})")


def _search_time(item: printed.Printed, searches: Iterable[Mapping]) -> Traced:
    """The search for denoising that comes nearest to the paper's: the widest, then the one of most steps."""
    real = [search for search in searches if search["task"] == "denoising" and search["profile"] != SMOKE]
    if not real:
        return _missing(item, "no search yet for denoising")
    search = max(real, key=lambda search: (search["settings"]["width"], search["history"][-1]["iteration"]))
    settings, paper = search["settings"], SearchSettings()  # whose defaults are the paper's
    budget = (f"W = {settings['width']}, {settings['epochs']} epochs of {settings['crops_per_picture']} crops a "
              f"picture (the paper's: {paper.width}, {paper.epochs}, about {paper.crops_per_picture})")
    return _judged(item, search["seconds"] / 3600, f"{budget}; profile {search['profile']}, {search['device']}",
                   obstacle=f"another machine's time, and of a search of {search['history'][-1]['iteration']:,} steps")


def _search_memory(item: printed.Printed, bench: Mapping) -> Traced:
    """Of Eq. 5 in Eq. 6, a cell for each way into a layer: in our implementation, and edge by edge. The paper compares
    with Auto-DeepLab, which was not run here."""
    if "sharing_memory" not in bench:
        return _missing(item, "no memory of the supernet yet (make bench)")
    sharing, *beside = (bench[key] for key in ("sharing_memory", "supernet_memory") if key in bench)
    obstacle = [f"another baseline: ours is {sharing['against']}, the paper's third is of Auto-DeepLab",
                *(f"against {measured['against']}, it is {measured['ratio']:.2f}" for measured in beside), item.note]
    return _judged(item, sharing["ratio"], f"peak of one step of the paper's supernet; {sharing['device']}",
                   obstacle="; ".join(obstacle))


def _side_by_side(item: printed.Printed, times: Mapping, rival: str, ratio: Callable[[float, float], float]) -> Traced:
    """A ratio of two times that were taken in one run on one machine; which of two networks is faster, and by how
    much, is another question on a CPU than on a GPU."""
    taken = scaled(times[item.task]) if item.task in times else {}
    if not {item.system, rival} <= taken.keys():
        return _missing(item, f"no times yet of {item.system} and {rival} side by side, {item.task}")
    other = f"times of other hardware: {times[item.task]['device']}, where the paper has a GTX 980"
    return _judged(item, ratio(taken[item.system], taken[rival]), _timed(times[item.task], item.system),
                   obstacle=other, remarks=[item.note])
