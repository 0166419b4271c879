"""What the paper claims, what was measured here, and how strong that is: one line for each claim.

`trace` sets single numbers side by side. Most claims are about a difference of two numbers, which has an error: over
the test pictures, and over the seeds of the trainings.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import NamedTuple

import torch
from scipy import stats

from irnas_lib import decode
from irnas_lib.experiments import cells, choices, records, runs, table_facts, times
from irnas_lib.experiments.config import PAPER_PIXELS, pixels
from irnas_lib.experiments.results import SMOKE, Result, best
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.search_space import source_rows
from irnas_lib.tables import comparison, printed, trace
from irnas_lib.tables.entries import FAILED, NOT_RUN

IMPRECISE, CONTRADICTED, UNDECIDED = "imprecise", "contradicted", "undecided"
VERDICTS = (trace.REPRODUCED, trace.FITTED, IMPRECISE, trace.DIFFERS, CONTRADICTED, trace.UNDERTRAINED, UNDECIDED,
            trace.NOT_COMPARABLE, FAILED, NOT_RUN)
PRECISE = 0.5  # the share of a printed difference that our half-width may have, if it is to be reproduced
ROUNDED = 0.01  # dB: a difference of two scores of two decimals is off by no more
SIGMAS = (30, 50, 70)
TITLES = {"denoising": "denoising", "deraining": "deraining"}
COSTS = {  # a printed number that stands for itself: the claim in words
    "t1-ir_nas-parameters": "the denoising network has 0.63M parameters (M: 2^20)",
    "claim-parameters_vs_n3net": "its parameters, as a share of N3Net's",
    "claim-parameters_vs_nlrn": "its parameters, as a share of NLRN's",
    "claim-search_memory_vs_auto_deeplab": "memory of the search as a share of Auto-DeepLab's (here: our Eq. 6's)",
    "claim-search_time": "the search takes six hours on one GPU",
    "claim-search_speed_vs_falsr": "the search is 96 times as fast as FALSR's",
    "claim-time_saved_vs_n3net": "time saved over N3Net on BSD500",
    "claim-speed_vs_rescan": "speed over RESCAN's on Rain800",
}


class Verdict(NamedTuple):
    """claim: of the paper. printed, measured: one number in `unit`, such as a difference of two PSNRs; nan where there
    is none. pictures, both: half the 95% interval of the measured one, over test pictures, and over pictures and
    training seeds; nan where nothing is known of it. evidence: how it was had. verdict: one of VERDICTS. page: the
    notebook that shows it. ssim: the difference in SSIM beside one in PSNR. borrowed: whether the spread over seeds in
    `both` is of another network, or of training runs of another length."""

    topic: str
    claim: str
    printed: float
    measured: float
    unit: str
    pictures: float
    both: float
    evidence: str
    verdict: str
    page: str
    ssim: float = math.nan
    borrowed: bool = False


class Evidence(NamedTuple):
    """cells: trained cells, by task and group; recipes: of `choices.load`; traced: of `trace.trace`; shifted: of
    `benchmarks.brightness`, by the name of the result."""

    results: Sequence[Result]
    cells: Mapping[str, Mapping]
    recipes: Sequence[dict]
    searches: Sequence[Mapping]
    traced: Sequence[trace.Traced]
    shifted: Mapping[str, Mapping] = {}


def evidence(profile: str) -> Evidence:
    """All that a profile can see: its own, and unless it is smoke what is shipped."""
    folders = runs.folders(profile)[:1 if profile == SMOKE else 2]
    measured, bench = runs.all_results(profile), runs.SHIPPED / "bench.json"
    benchmarks = records.read(bench, records.BENCH) if bench.is_file() else {}
    searches = [] if profile == SMOKE else runs.all_searches(profile)
    traced = trace.trace(measured, times.load(), benchmarks, searches)
    brightness = runs.SHIPPED / "brightness.json"
    shifted = records.read(brightness, records.BRIGHTNESS) if brightness.is_file() and profile != SMOKE else {}
    trained = {task: cells.best_known([folder / "cells" for folder in folders], task)
               for task in ("denoising", "deraining")}
    return Evidence(measured, trained, choices.load(folder / "choices" for folder in folders), searches, traced,
                    shifted)


def verdicts(known: Evidence) -> list[Verdict]:
    """Every claim, by topic, in the order of the paper's tables."""
    return [*_classical(known), *_denoising(known), *_simulated(known), *_rain(known), *_cell(known), *_loss(known),
            *(_of_trace(known, name, "Size, memory, time", claim, "11_efficiency") for name, claim in COSTS.items())]


def judged(printed: float, measured: float, half: float, short: bool, tolerance: float = 0.0) -> str:
    """The verdict on a difference and its interval, measured ± half. printed: nan where the paper says no more than
    that it is above zero. short: whether the training runs are too short to reproduce or refute anything. tolerance:
    how far the rounding of the printed scores may have moved the printed difference."""
    if math.isnan(measured):
        return NOT_RUN
    agrees = measured > 0 if math.isnan(printed) else abs(measured - printed) <= half + tolerance
    if abs(measured) <= half and (agrees or math.isnan(printed)):
        return UNDECIDED
    if short:
        return trace.UNDERTRAINED
    if agrees and half > PRECISE * abs(printed):  # never where nothing is printed
        return IMPRECISE
    return trace.REPRODUCED if agrees else trace.DIFFERS


def over_seeds(groups: Mapping, trainings: int = 2, metric: str = "psnr") -> float:
    """The half-width of the 95% interval that other seeds give a difference of so many trainings, in dB, or in "ssim":
    by Student's t, from the published cell's trainings in `groups`. nan where there are fewer than three."""
    count, deviation = len(cells.by_group(groups).get("published", ())), cells.over_seeds(groups, metric)
    return float(stats.t.ppf(0.975, count - 1)) * deviation * math.sqrt(trainings) if deviation else math.nan


def together(*halves: float) -> float:
    """Of independent errors, those that are known; nan where none is."""
    known = [half for half in halves if not math.isnan(half)]
    return math.hypot(*known) if known else math.nan


def _printed(where: str, system: str, sigma: int | None = None, task: str = "", metric: str = "PSNR") -> float:
    """A score of one of the paper's tables; PSNR is in dB."""
    return next(item.number for item in printed.load() if (item.where, item.system, item.metric) == (
        where, system, metric) and item.sigma == str(sigma or "") and task in ("", item.task))


def share(seen: int) -> str:
    """In words, of pixels seen in training."""
    return f"{100 * seen / PAPER_PIXELS:.1g}% of the paper's pixels"


def markdown(found: Sequence[Verdict]) -> str:
    """A table of some claims. What most lines have in common, evidence or page, stands once, above it; columns that
    are empty then are left out."""
    if not found:
        return "not run"
    clauses = _shared([verdict.evidence.split("; ") for verdict in found])
    pages = _shared([[verdict.page] for verdict in found])
    rows = [{"claim": verdict.claim.removesuffix(f", {verdict.topic.rpartition(', ')[2]}"),
             "printed": _number(verdict.printed, verdict) or ("better" if verdict.unit == "dB" else ""),
             "here": _number(verdict.measured, verdict, verdict.both),
             "SSIM": "" if math.isnan(verdict.ssim) else f"{verdict.ssim:+.3f}",
             "verdict": f"**{verdict.verdict.replace(' ', '&nbsp;')}**",
             "evidence": "; ".join(clause for clause in verdict.evidence.split("; ") if clause not in clauses),
             "page": "" if verdict.page in pages else _link(verdict.page)} for verdict in found]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    shared = [f"{what}{', unless a line names another' if what.lower() in columns else ''}: {'; '.join(texts)}."
              for what, texts in (("Evidence", clauses), ("Page", [_link(page) for page in pages])) if texts]
    lines = [" ".join(shared), ""]
    lines += ["| " + " | ".join(columns) + " |",
              "|" + "|".join("--:" if name in ("printed", "here", "SSIM") else ":--" for name in columns) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row[name] for name in columns) + " |" for row in rows])


def _shared(lists: Sequence[Sequence[str]]) -> list[str]:
    """The texts that stand in at least half of the lists, and in two at least."""
    times = Counter(text for texts in lists for text in texts if text)
    return [text for text, count in times.items() if count > 1 and 2 * count >= len(lists)]


def _link(page: str) -> str:
    return f"[{page.partition('_')[0].lstrip('0')}]({page}.ipynb)"


def _number(value: float, verdict: Verdict, half: float = math.nan) -> str:
    """A number of the table; a difference has its sign."""
    if math.isnan(value):
        return ""
    signed = verdict.unit == "dB" and abs(value) < 10  # else a score
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    text += "" if math.isnan(half) else f"&nbsp;±&nbsp;{half:.2f}"
    return f"{text}&nbsp;{verdict.unit}".removesuffix("&nbsp;")


# ---- Tables 1 to 3 ----

def _classical(known: Evidence) -> Iterator[Verdict]:
    topic, page = "Table 1: methods that are not trained", "12_protocols"
    for entry in known.traced:
        item = entry.printed
        if (item.where, item.metric) == ("1", "PSNR") and item.system in ("BM3D", "WNNM"):
            yield _of_trace(known, item.id, topic, f"{item.system} at sigma {item.sigma}, pictures of half size", page)
    for sigma in SIGMAS:
        lead = _printed("1", "WNNM", sigma) - _printed("1", "BM3D", sigma)
        pair = [best(known.results, "denoising", system, sigma, "half") for system in ("WNNM", "BM3D")]
        ahead, half, count = math.nan, math.nan, 0
        if all(pair):
            (ahead, error), _ = comparison.difference(*pair, "half")
            count = min(result.metrics["half"]["pictures"] for result in pair)
            half = comparison.over_pictures(error, count)
        yield Verdict(topic, f"WNNM over BM3D at sigma {sigma}", lead, ahead, "dB", half, half,
                      f"{count} pictures; printed scores from RED-Net's table",
                      judged(lead, ahead, half, False, ROUNDED), page)


def _denoising(known: Evidence) -> Iterator[Verdict]:
    topic, page = "Table 1: networks at sigma 50", "06_table1_bsd500"
    yield _of_trace(known, "t1-ir_nas-sigma50-psnr", topic, "IR-NAS, fresh noise in each tile", page)
    for rival in ("N3Net", "MemNet", "RED"):
        lead = _printed("1", "IR-NAS", 50) - _printed("1", rival, 50)
        rows = comparison.side_by_side(known.results, reference=rival).rows
        for ours, how in (("IR-NAS", "as published"), ("IR-NAS + residual", "input added")):
            yield _of_row(known, "denoising", topic, f"IR-NAS over {rival}, {how}", lead, rows, ours, page)


def _simulated(known: Evidence) -> Iterator[Verdict]:
    yield _simulated_as_printed()
    lead = _printed("2", "IR-NAS") - _printed("2", "N3Net")
    for ours, how in (("IR-NAS", "as published"), ("IR-NAS + residual", "input added")):
        yield _of_best(known, "sim1800", "Table 2: simulated photographs", f"IR-NAS over N3Net on SIM1800, {how}",
                       lead, ours, "N3Net", "07_table2_sim1800", trace.NOT_COMPARABLE,
                       "; other pictures than the paper's")


def _simulated_as_printed() -> Verdict:
    leads, ssim_leads = ({item.system: _printed("2", "IR-NAS", metric=metric) - item.number for item in printed.load()
                          if (item.where, item.metric) == ("2", metric) and item.system != "IR-NAS"}
                         for metric in ("PSNR", "SSIM"))
    in_ssim = "behind it" if min(ssim_leads.values()) > 0 else "not all behind it"
    return Verdict("Table 2: simulated photographs", "its networks outperform the others on all three data sets",
                   min(leads.values()), math.nan, "dB", math.nan, math.nan,
                   f"the paper's own Table 2 has {' and '.join(leads)} ahead of IR-NAS in PSNR, and {in_ssim} in SSIM; "
                   "nothing measured here",
                   CONTRADICTED, "07_table2_sim1800")


def _rain(known: Evidence) -> Iterator[Verdict]:
    lead = _printed("3", "IR-NAS") - _printed("3", "RESCAN")
    for ours, how in (("IR-NAS", "as published"), ("IR-NAS + residual", "input added")):
        yield _of_best(known, "deraining", "Table 3: rain", f"IR-NAS over RESCAN, {how}", lead, ours, "RESCAN",
                       "08_table3_rain800")


# ---- Section 4.3: the cell; Section 4.4: the loss ----

def _cell(known: Evidence) -> Iterator[Verdict]:
    page = "13_does_the_search_matter"
    for task, sigma in (("denoising", 30), ("deraining", None)):
        topic, groups = f"Section 4.3: the cell, {TITLES[task]}", known.cells[task]
        gains, half = cells.over_the_same_seed(groups), over_seeds(groups)
        for change in ("R1", "R2"):
            drop = _printed("4", f"IR-NAS, {change}", sigma, task) - _printed("4", "IR-NAS", sigma, task)
            gain = gains.get(f"IR-NAS, {change}", math.nan)
            yield Verdict(topic, f"{change} over the published cell, {TITLES[task]}", drop, gain, "dB", math.nan, half,
                          f"one seed, the same for both; {_budget(groups)}", judged(drop, gain, half, True), page)
        yield from (_searched(known, topic, page) if task == "denoising" else [_place(known, topic)])


def _searched(known: Evidence, topic: str, page: str) -> Iterator[Verdict]:
    yield _searched_over_random(known, topic, page)
    pair = [best(known.results, "denoising", system, 50, "strict") for system in ("IR-NAS", "IR-NAS (searched here)")]
    gain, how = math.nan, ""
    if all(pair):
        gain = pair[0].metrics["strict"]["psnr"] - pair[1].metrics["strict"]["psnr"]
        how = (f"one seed each, {pair[0].metrics['strict']['pictures']} pictures, "
               f"{' and '.join(share(pixels(result) or 0).split()[0] for result in pair)} of the paper's pixels")
    half = over_seeds(known.cells["denoising"])
    yield Verdict(topic, "the published cell over one searched here, denoising", math.nan, gain, "dB",
                  math.nan, half, how, judged(math.nan, gain, half, True), "05_training", borrowed=True)
    yield _widest(known, topic)


def _widest(known: Evidence, topic: str) -> Verdict:
    """What our searches end on, and what an untouched beta favours."""
    path, ends = PUBLISHED["denoising", "IR-NAS"].path, [
        tuple(search["path"]) for search in known.searches if search["task"] == "denoising"]
    untouched = torch.zeros(len(source_rows(len(path))), 3)
    chances = [decode.path_log_probability(untouched, way) for way in decode.all_paths(len(path))]
    first = decode.path_log_probability(untouched, path)
    likelier = sum(chance > first + 1e-9 for chance in chances)
    alike = sum(abs(chance - first) <= 1e-9 for chance in chances) - 1  # without itself
    before = (f"before any learning {likelier or 'none'} of the {len(chances) - 1} other paths is likelier than the "
              f"published one, and {alike} as likely, as beta is normalised here")
    return Verdict(topic, "the search makes the last cell the widest", math.nan, math.nan, "", math.nan, math.nan,
                   f"of {len(ends)} searches at printed rates {ends.count(path)} ends on the published path; {before}"
                   if ends else before, UNDECIDED if ends else NOT_RUN, "04_viterbi_decoding")


def _searched_over_random(known: Evidence, topic: str, page: str) -> Verdict:
    groups = known.cells["denoising"]
    searched, drawn = (psnrs(groups, [name]) for name in ("searched", "random"))
    gain, half, how = math.nan, math.nan, ""
    if min(len(searched), len(drawn)) > 1:
        low, high = stats.ttest_ind(searched, drawn, equal_var=False).confidence_interval()
        gain, half = mean(searched) - mean(drawn), (high - low) / 2
        power = table_facts.power(0.5, table_facts.pooled(searched, drawn), len(searched), len(drawn))
        how = (f"{len(searched)} runs against {len(drawn)}, which would notice a difference of 0.5 dB in {power:.0%} "
               "of such experiments; ")
    return Verdict(topic, "searched cells over random ones, denoising", math.nan, gain, "dB", math.nan, half,
                   how + _budget(groups), judged(math.nan, gain, half, True), page)


def _place(known: Evidence, topic: str) -> Verdict:
    """Of the published cell among all, each counted once; as many of one cell's runs are no independent cells, the
    difference has no interval."""
    groups, gain, how, verdict = known.cells["deraining"], math.nan, "", NOT_RUN
    if stood := cells.place(groups):
        gain = -mean(cells.over_the_same_seed(groups).values())
        how = f"from the same seed place {stood.place} of {stood.of}, the best first, two-sided p = {stood.p:.2f}; "
        verdict = UNDECIDED if stood.p > 0.05 else judged(math.nan, gain, 0.0, True)
    return Verdict(topic, "the published cell over all others, deraining", math.nan, gain, "dB", math.nan, math.nan,
                   how + _budget(groups), verdict, "09_table4_architecture_analysis")


def psnrs(groups: Mapping, names: Sequence[str]) -> list[float]:
    """Of the trained cells of some groups, in dB, without those that failed."""
    trained = cells.by_group(groups)
    return [cell["psnr"] for name in names for cell in trained.get(name, ()) if cell["psnr"] is not None]


def _budget(groups: Mapping) -> str:
    if not groups:
        return "not run"
    budget = next(iter(groups.values()))["budget"]
    return f"{budget['pictures']} pictures, " + share(budget["iterations"] * budget["batch"] * budget["crop"] ** 2)


def _loss(known: Evidence) -> Iterator[Verdict]:
    topic, page = "Section 4.4: what the log-SSIM term adds", "10_tables_5_6_ablation"
    for task, where, sigmas in (("denoising", "5", SIGMAS), ("deraining", "6", (None,))):
        for sigma in sigmas:
            gain = _printed(where, "IR-NAS**", sigma) - _printed(where, "IR-NAS*", sigma)
            rows = comparison.side_by_side(known.results, task, sigma, reference="IR-NAS*").rows
            level = TITLES[task] if sigma is None else f"sigma {sigma}"
            yield _of_row(known, task, topic, f"as published, {level}", gain, rows, "IR-NAS", page)
            if sigma == 50:
                yield _at_the_mean_of_the_input(known, topic, gain, rows)
    seen = max((record["pixels"] for record in known.recipes), default=0)
    rows = choices.log_ssim_term(known.recipes, seen)
    found, (spread, free) = rows.get(choices.BASE.system), choices.of_the_term(rows)
    gain, half, how, ssim = math.nan, math.nan, "", math.nan
    if found:
        gain, half, ssim = found.gain, stats.t.ppf(0.975, free) * spread / math.sqrt(found.seeds), found.ssim_gain
        how = f"{found.seeds} seeds, {share(seen)}; other pictures than the paper's, kept out of training"
    paper = _printed("5", "IR-NAS**", 50) - _printed("5", "IR-NAS*", 50)
    yield Verdict(topic, "input added, sigma 50", paper, gain, "dB", math.nan, half, how,
                  trace.NOT_COMPARABLE if found else NOT_RUN, "10b_what_a_recipe_is_worth", ssim)


def _at_the_mean_of_the_input(known: Evidence, topic: str, lead: float, rows: Sequence[comparison.Row]) -> Verdict:
    """What the log-SSIM term adds where the outputs of both networks get the mean brightness of their input."""
    results = {row.result.system: row.result for row in rows}
    pair = [known.shifted.get(results[name].stem) for name in ("IR-NAS", "IR-NAS*") if name in results]
    gain, half, how, ssim = math.nan, over_seeds(known.cells["denoising"]), "", math.nan
    if len(pair) == 2 and all(pair):
        gain, ssim = (pair[0][key] - pair[1][key] for key in ("shifted_psnr", "shifted_ssim"))
        how = f"one seed, {pair[0]['pictures']} pictures, {share(pixels(results['IR-NAS']) or 0)}"
    return Verdict(topic, "as published, sigma 50, at the input's mean", lead, gain, "dB", math.nan,
                   half, how, judged(lead, gain, half, True), "05c_batch_norm", ssim, borrowed=True)


# ---- one line ----

def _of_row(known: Evidence, task: str, topic: str, claim: str, lead: float, rows: Sequence[comparison.Row], ours: str,
            page: str) -> Verdict:
    """Of a comparison at one budget, picture by picture."""
    row = next((row for row in rows if row.result.system == ours and not math.isnan(row.error)), None)
    if row is None:
        return Verdict(topic, claim, lead, math.nan, "dB", math.nan, math.nan, "", NOT_RUN, page)
    count = row.result.metrics["strict"]["pictures"]
    pictures = comparison.over_pictures(row.error, count)
    both = together(pictures, over_seeds(known.cells[task]))
    how = f"one seed, {count} pictures, {share(pixels(row.result) or 0)}"
    return Verdict(topic, claim, lead, row.ahead, "dB", pictures, both, how, judged(lead, row.ahead, both, True), page,
                   row.ssim_ahead, borrowed=True)


def _of_best(known: Evidence, task: str, topic: str, claim: str, lead: float, ours: str, rival: str, page: str,
             verdict: str = "", also: str = "") -> Verdict:
    """Of the best training of each of two systems; over the pictures where both keep the scores of single ones."""
    pair = [best(known.results, task, system, None, "strict") for system in (ours, rival)]
    if not all(pair):
        return Verdict(topic, claim, lead, math.nan, "dB", math.nan, math.nan, "", NOT_RUN, page)
    psnr, ssim = (pair[0].metrics["strict"][key] - pair[1].metrics["strict"][key] for key in ("psnr", "ssim"))
    (_, error), _ = comparison.difference(*pair)
    count = min(result.metrics["strict"]["pictures"] for result in pair)
    pictures, seeds = comparison.over_pictures(error, count), over_seeds(known.cells.get(task, {}))
    both = together(pictures, seeds)
    how = f"one seed, {count} pictures, {share(pixels(pair[0]) or 0)}{also}"
    verdict = verdict or judged(lead, psnr, both, True)
    return Verdict(topic, claim, lead, psnr, "dB", pictures, both, how, verdict, page, ssim, not math.isnan(seeds))


def _of_trace(known: Evidence, name: str, topic: str, claim: str, page: str) -> Verdict:
    """Of a printed number that stands for itself."""
    entry = next(entry for entry in known.traced if entry.printed.id == name)
    measured = math.nan if entry.measured is None else entry.measured
    budget = "counted" if entry.budget == trace.COUNTED else entry.budget.partition("; profile")[0]
    how = "; ".join(filter(None, ["" if budget == "no training" else budget,
                                  entry.why.partition(";")[0].partition(": ")[0]]))
    return Verdict(topic, claim, entry.printed.number, measured, entry.printed.unit, math.nan, math.nan, how,
                   entry.verdict, page)
