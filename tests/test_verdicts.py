"""The verdicts and findings: every number recomputed from the shipped files by other means."""

import json
import math
from itertools import combinations
from statistics import mean, stdev

import numpy as np
import pytest
from scipy import stats

from irnas_lib.experiments import cells, table_facts
from irnas_lib.figures import verdict_plots
from irnas_lib.files import ROOT
from irnas_lib.tables import findings, printed, trace, verdicts

SHIPPED = ROOT / "checkpoints"
T_975 = {2: 4.303, 3: 3.182, 19: 2.093, 99: 1.984, 199: 1.972}  # of a table of Student's t


@pytest.fixture(scope="module")
def known():
    return verdicts.evidence("gpu")


@pytest.fixture(scope="module")
def found(known):
    return {verdict.claim: verdict for verdict in verdicts.verdicts(known)}


def trained(task):
    """PSNR by group, name and seed, from the shipped files themselves."""
    psnr = {}
    for path in (SHIPPED / "cells").glob(f"{task}-*.json"):
        record = json.loads(path.read_text())
        psnr[record["group"]] = {(cell["name"], cell["seed"]): cell["psnr"] for cell in record["cells"]}
    return psnr


def each(name, protocol):
    """PSNR of each picture in a shipped result."""
    record = json.loads((SHIPPED / "results" / f"{name}.json").read_text())
    return {picture: score[0] for picture, score in record["metrics"][protocol]["each"].items()}


# ---- statistics of cells ----

def test_the_exact_p_is_that_of_all_ways_to_choose_four_of_eighteen(known):
    psnr = trained("deraining")
    published = [*psnr.pop("published").values(), *psnr.pop("again").values()]
    others = [value for group in psnr.values() for value in group.values()]
    assert (len(published), len(others)) == (4, 14)

    def wins(some, rest):
        return sum(first > other for first in some for other in rest)
    together, middle = published + others, 4 * 14 / 2
    ways = [wins([together[i] for i in chosen], [together[i] for i in range(18) if i not in chosen])
            for chosen in combinations(range(18), 4)]
    extreme = abs(wins(published, others) - middle)
    p = mean(abs(way - middle) >= extreme for way in ways)
    stood = cells.standing(known.cells["deraining"])
    assert stood.p == pytest.approx(p) and p == pytest.approx(0.0046, abs=1e-4)
    assert (stood.published, stood.others) == (4, 14)
    assert stood.above == pytest.approx(mean(others) - mean(published))


def test_a_changed_cell_is_compared_with_the_published_one_of_its_own_seed(known):
    for task, best in (("denoising", True), ("deraining", False)):
        psnr, gains = trained(task), cells.over_the_same_seed(known.cells[task])
        start = psnr["published"]["IR-NAS", 0]
        for change in ("R1", "R2"):
            assert gains[f"IR-NAS, {change}"] == pytest.approx(psnr[change][f"IR-NAS, {change}", 0] - start)
        assert (start > max(psnr["again"].values())) == best
    groups = {"published": {"cells": [{"name": "a", "seed": 0, "psnr": 20.0}, {"name": "b", "seed": 1, "psnr": 30.0}]},
              "R1": {"cells": [{"name": "c", "seed": 1, "psnr": 31.0}, {"name": "d", "seed": 2, "psnr": 31.0}]}}
    assert cells.over_the_same_seed(groups) == {"c": 1.0}
    assert cells.over_seeds(groups) == 0.0 and math.isnan(verdicts.over_seeds(groups))


def test_a_cell_trained_four_times_has_one_place_and_every_place_the_same_chance(known, found):
    psnr = trained("deraining")
    others = [value for name, group in psnr.items() if name not in ("published", "again") for value in group.values()]
    of_seed, of_mean = (cells.place(known.cells["deraining"], by_mean) for by_mean in (False, True))
    own = [*psnr["published"].values(), *psnr["again"].values()]
    assert of_seed[:2] == (1 + sum(other > psnr["published"]["IR-NAS", 0] for other in others), 15) == (15, 15)
    assert of_mean[:2] == (1 + sum(other > mean(own) for other in others), 15)
    exact = stats.mannwhitneyu([psnr["published"]["IR-NAS", 0]], others, method="exact").pvalue
    assert of_seed.p == pytest.approx(2 / 15) == pytest.approx(exact)
    line = found["the published cell over all others, deraining"]
    assert line.measured == pytest.approx(psnr["published"]["IR-NAS", 0] - mean(others))
    assert line.verdict == "undecided" and math.isnan(line.both) and "place 15 of 15" in line.evidence
    middle = {"published": {"cells": [{"name": "a", "seed": 0, "psnr": 20.0}]},
              "R2": {"cells": [{"name": str(psnr), "seed": 0, "psnr": psnr} for psnr in (19.0, 21.0)]}}
    assert cells.place(middle) == (2, 3, 1.0) and cells.place({}) is None and cells.place({}, True) is None


def test_power_is_the_share_of_experiments_that_see_the_difference():
    """By Welch's formulas written out, on draws of another generator."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.5, 0.26, (40_000, 3)), rng.normal(0, 0.26, (40_000, 6))
    va, vb = a.var(axis=1, ddof=1) / 3, b.var(axis=1, ddof=1) / 6
    t = np.abs(a.mean(axis=1) - b.mean(axis=1)) / np.sqrt(va + vb)
    degrees = (va + vb) ** 2 / (va ** 2 / 2 + vb ** 2 / 5)
    grid = np.linspace(2, 7.01, 60)
    quantile = np.interp(degrees, grid, [student(df) for df in grid])
    assert table_facts.power(0.5, 0.26, 3, 6) == pytest.approx((t > quantile).mean(), abs=0.012)
    assert table_facts.power(0.0, 1.0, 20, 20) == pytest.approx(0.05, abs=0.01)
    assert table_facts.power(5.0, 1.0, 20, 20) == 1


def student(df):
    """The 97.5% quantile of Student's t by its density, summed."""
    x = np.linspace(0, 300, 60_001)
    below = np.cumsum((1 + x ** 2 / df) ** (-(df + 1) / 2))
    return x[np.searchsorted(below, 0.95 * below[-1])]


def test_the_deviation_within_two_groups_is_one_for_both():
    assert table_facts.pooled([1, 3], [10, 10, 13]) == pytest.approx(math.sqrt((2 + 6) / 3))


# ---- verdicts ----

@pytest.mark.parametrize(("printed", "measured", "half", "short", "verdict"), [
    (0.3, 0.4, 0.15, False, "reproduced"), (0.3, 0.4, 0.15, True, "undertrained"),
    (0.3, 0.4, 0.5, True, "undecided"), (0.3, -0.1, 0.2, True, "undertrained"),
    (0.3, 0.4, 0.16, False, "imprecise"), (-0.3, -0.4, 0.2, False, "imprecise"), (0.3, 0.5, 0.15, False, "differs"),
    (0.3, -0.1, 0.2, False, "differs"), (-0.3, -0.4, 0.14, False, "reproduced"), (0.0, 0.9, 0.5, True, "undertrained"),
    (0.0, 0.1, 0.5, True, "undecided"), (0.3, math.nan, math.nan, True, "not run"),
    (math.nan, 0.4, 0.2, False, "reproduced"), (math.nan, 0.1, 0.2, True, "undecided"),
    (math.nan, -0.4, 0.2, True, "undertrained"),
])
def test_the_verdict_on_a_difference(printed, measured, half, short, verdict):
    assert verdicts.judged(printed, measured, half, short) == verdict


def test_every_claim_is_there_once_with_its_page_and_a_known_verdict(found, known):
    assert len(found) == len(verdicts.verdicts(known))
    assert {verdict.verdict for verdict in found.values()} <= set(verdicts.VERDICTS)
    for verdict in found.values():
        assert (ROOT / "notebooks" / f"{verdict.page}.py").is_file() and verdict.evidence
        assert math.isnan(verdict.pictures) or math.isnan(verdict.both) or verdict.pictures <= verdict.both + 1e-12


def test_a_difference_of_networks_has_the_error_of_pictures_and_of_seeds(found):
    stem = "denoising-{}-sigma50-seed0-matched-4500-laptop"
    ours, theirs = (each(stem.format(name), "strict") for name in ("ir_nas_residual", "n3net"))
    gains = [ours[name] - theirs[name] for name in theirs]
    line = found["IR-NAS over N3Net, input added"]
    pictures = T_975[19] * stdev(gains) / math.sqrt(20)
    psnr = trained("denoising")
    deviation = stdev([*psnr["published"].values(), *psnr["again"].values()])
    assert line.measured == pytest.approx(mean(gains)) and line.pictures == pytest.approx(pictures, rel=1e-3)
    assert line.both == pytest.approx(math.hypot(pictures, T_975[3] * deviation * math.sqrt(2)), rel=1e-3)
    assert line.printed == pytest.approx(26.77 - 26.50) and line.verdict == "undecided"


@pytest.mark.parametrize(("system", "how"), [("ir_nas", "as published"), ("ir_nas_residual", "input added")])
def test_networks_for_rain_are_compared_picture_by_picture_too(system, how, found):
    ours, theirs = (each(f"deraining-{name}-seed0-matched-8000-laptop", "strict") for name in (system, "rescan"))
    gains, line = [ours[name] - theirs[name] for name in theirs], found[f"IR-NAS over RESCAN, {how}"]
    psnr = trained("deraining")
    deviation = stdev([*psnr["published"].values(), *psnr["again"].values()])
    pictures = T_975[99] * stdev(gains) / math.sqrt(100)
    assert len(gains) == 100 and line.measured == pytest.approx(mean(gains), abs=1e-4)
    assert line.pictures == pytest.approx(pictures, rel=1e-3)
    assert line.both == pytest.approx(math.hypot(pictures, T_975[3] * deviation * math.sqrt(2)), rel=1e-3)


@pytest.mark.parametrize(("measured", "tolerance", "verdict"), [
    (0.13, 0.01, "differs"), (0.172, 0.0, "differs"), (0.172, 0.01, "reproduced"), (0.19, 0.0, "reproduced"),
    (0.01, 0.01, "differs"), (0.6, 0.01, "differs")])
def test_a_printed_difference_may_be_off_by_its_rounding(measured, tolerance, verdict):
    """Printed: 0.20, and the interval is ± 0.02."""
    assert verdicts.judged(0.2, measured, 0.02, False, tolerance) == verdict


@pytest.mark.parametrize(("sigma", "pictures", "printed", "verdict"), [
    (30, 200, 0.17, "reproduced"), (50, 200, 0.20, "differs"), (70, 20, 0.13, "imprecise")])
def test_wnnm_over_bm3d(sigma, pictures, printed, verdict, found):
    ours, theirs = (each(f"denoising-{name}-sigma{sigma}-seed0-laptop", "half") for name in ("wnnm", "bm3d"))
    gains, line = [ours[name] - theirs[name] for name in ours], found[f"WNNM over BM3D at sigma {sigma}"]
    assert len(gains) == pictures and line.measured == pytest.approx(mean(gains))
    assert line.pictures == pytest.approx(T_975[pictures - 1] * stdev(gains) / math.sqrt(pictures), rel=1e-3)
    assert line.printed == pytest.approx(printed) and line.verdict == verdict


def test_the_log_ssim_term_with_the_input_added_is_that_of_the_shipped_pairs(found):
    gains = []
    for seed in (0, 1):
        with_term, without = (np.mean(list(json.loads((SHIPPED / "choices" / (
            f"ir_nas_residual-{name}-10M-seed{seed}.json")).read_text())["scores"].values()), axis=0)
            for name in ("base", "lambda_0"))
        gains.append(with_term - without)
    line, (psnr, ssim, *_) = found["input added, sigma 50"], np.mean(gains, axis=0)
    assert line.measured == pytest.approx(psnr) and line.ssim == pytest.approx(ssim)
    assert psnr > 0 and ssim > 0 and line.verdict == "not comparable", "it adds both, to another network"
    for sigma in (30, 50, 70):
        assert found[f"as published, sigma {sigma}"].measured < 0


def test_the_price_of_the_term_is_gone_where_outputs_have_the_mean_of_their_input(found):
    shifted = json.loads((SHIPPED / "brightness.json").read_text())
    with_term, without = (shifted[f"denoising-{name}-4500-laptop"] for name in (
        "ir_nas-sigma50-seed0-matched", "ir_nas_star-sigma50-seed0-matched-lambda0"))
    line = found["as published, sigma 50, at the input's mean"]
    assert line.measured == pytest.approx(with_term["shifted_psnr"] - without["shifted_psnr"])
    assert found["as published, sigma 50"].measured < -1 < -0.1 < line.measured < 0.1
    assert line.ssim == pytest.approx(with_term["shifted_ssim"] - without["shifted_ssim"])


def test_the_published_path_is_one_of_two_that_an_untouched_beta_favours(found):
    ends = [json.loads(path.read_text())["path"] for path in (SHIPPED / "searches").glob("denoising-*.json")]
    evidence = found["the search makes the last cell the widest"].evidence
    assert evidence.startswith(f"of {len(ends)} searches at printed rates {ends.count([0, 0, 0, 1])} ends on the pub")
    assert "none of the 28 other paths is likelier than the published one, and 1 as likely" in evidence


def test_the_spread_over_seeds_is_borrowed_but_where_runs_of_one_budget_are_compared(found):
    own = {line.claim for line in found.values()
           if line.unit == "dB" and line.both != line.pictures and not math.isnan(line.both) and not line.borrowed}
    assert own == {*(f"{change} over the published cell, {task}" for change in ("R1", "R2")
                     for task in ("denoising", "deraining")), "searched cells over random ones, denoising",
                   "input added, sigma 50"}
    assert not any(line.borrowed for line in found.values() if math.isnan(line.both) or line.both == line.pictures)


def test_what_lines_have_in_common_stands_once_above_the_table():
    def line(evidence, page="11_efficiency", **changes):
        return verdicts.Verdict("a topic", "a claim", 0.3, 0.4, "dB", math.nan, 0.15, evidence, "reproduced",
                                page)._replace(**changes)
    alike = verdicts.markdown([line("one seed; 20 pictures"), line("one seed; 20 pictures", ssim=0.01)])
    head, _, columns, _, first, second = alike.splitlines()
    assert head == "Evidence: one seed; 20 pictures. Page: [11](11_efficiency.ipynb)."
    assert columns == "| claim | printed | here | SSIM | verdict |"
    assert first == "| a claim | +0.30&nbsp;dB | +0.40&nbsp;±&nbsp;0.15&nbsp;dB |  | **reproduced** |"
    assert "| +0.010 |" in second
    mixed = verdicts.markdown([line("one seed"), line("one seed; ours"), line("two", "12_protocols")]).splitlines()
    assert mixed[0] == ("Evidence, unless a line names another: one seed. Page, unless a line names another: "
                        "[11](11_efficiency.ipynb).")
    assert mixed[4].endswith("|  |  |") and mixed[5].endswith("| ours |  |")
    assert mixed[6].endswith("| two | [12](12_protocols.ipynb) |")
    other = verdicts.markdown([line("", printed=math.nan, measured=26.5, both=math.nan)])
    assert other.splitlines()[-1] == ("| a claim | better | 26.50&nbsp;dB | **reproduced** | "
                                      "[11](11_efficiency.ipynb) |")
    assert verdicts.markdown([]) == "not run"


def test_nothing_is_measured_in_a_smoke_run_but_what_needs_no_results(tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts.runs, "output_folder", lambda profile: tmp_path)
    smoke = verdicts.evidence("smoke")
    measured = [line for line in verdicts.verdicts(smoke) if line.unit == "dB" and not math.isnan(line.measured)]
    assert not measured and findings.five(smoke) == []
    assert {line.verdict for line in verdicts.verdicts(smoke)
            if line.unit == "dB" and "on all three" not in line.claim} <= {"not run", "not comparable"}


# ---- findings ----

def test_five_findings_name_the_numbers_of_the_shipped_files(known):
    text = " ".join(" ".join(finding) for finding in findings.five(known))
    assert len(findings.five(known)) == 5
    for number in headline().values():
        assert number in text, number


def headline():
    """The numbers of the start page and the README."""
    folder = SHIPPED / "results"
    results = [json.loads(path.read_text()) for path in folder.glob("denoising-*sigma50*.json")]
    usual = [result["metrics"] for result in results if result["recipe"] == "matched" and result["lambda"] in (0.5, 0)
             and (result["lambda"] == 0) == (result["system"] == "IR-NAS*")]
    lifts = [scores["redrawn"]["psnr"] - scores["strict"]["psnr"] for scores in usual if "redrawn" in scores]
    best = max(result["metrics"]["strict"]["psnr"] for result in results if result["iterations"]
               and result["metrics"].get("strict", {}).get("pictures") == 200)
    table = [json.loads(line) for line in (SHIPPED / "cell_table" / "denoising.jsonl").read_text().splitlines()]
    searched, drawn = ([record["test"]["psnr"] for record in table if record["name"].startswith(kind)]
                       for kind in ("searched", "random"))  # three seeds of each cell
    return {"BM3D, half": f"{mean(each('denoising-bm3d-sigma50-seed0-laptop', 'half').values()):.2f}",
            "BM3D, whole": f"{mean(each('denoising-bm3d-sigma50-seed0-laptop', 'strict').values()):.2f}",
            "WNNM, half": f"{mean(each('denoising-wnnm-sigma50-seed0-laptop', 'half').values()):.2f}",
            "lifts": f"{min(lifts):.2f} to {max(lifts):.2f}", "best": f"{best:.2f}",
            "searched": f"{mean(searched) - mean(drawn):.2f} dB", "cells": f"{len(drawn) // 3} random"}


def test_the_first_screen_of_the_readme_names_the_same_numbers(found):
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split("## Getting started")[0].split())
    for number in headline().values():
        assert number in text, number
    assert found["searched cells over random ones, denoising"].both == pytest.approx(0.51, abs=0.005)
    words = {20: "twenty", 21: "twenty-one", 22: "twenty-two", 23: "twenty-three", 24: "twenty-four", 25: "twenty-five"}
    assert f"{words[len(list((ROOT / 'notebooks').glob('*.py')))]} notebooks" in text


def test_results_md_names_the_numbers_of_the_shipped_files(known, found):
    text = " ".join((ROOT / "RESULTS.md").read_text(encoding="utf-8").split())
    rain, noise = (cells.over_the_same_seed(known.cells[task]) for task in ("deraining", "denoising"))
    for sigma in (30, 50, 70):
        ours, theirs = (each(f"denoising-{name}-sigma{sigma}-seed0-laptop", "half") for name in ("wnnm", "bm3d"))
        gains = [ours[name] - theirs[name] for name in ours]
        half = T_975[len(gains) - 1] * stdev(gains) / math.sqrt(len(gains))
        assert f"{mean(gains):.2f} ± {half:.2f} dB at sigma {sigma}" in text
    assert f"R1 is {noise['IR-NAS, R1']:.2f} dB above it and R2 {-noise['IR-NAS, R2']:.2f} below" in text
    assert f"R1 and R2 are {rain['IR-NAS, R1']:.2f} and {rain['IR-NAS, R2']:.2f} dB above it" in text
    seeds = [cells.over_seeds(known.cells[task]) for task in ("denoising", "deraining")]
    assert f"standard deviation of {seeds[0]:.2f} dB (1,000 iterations, sigma 50; {seeds[1]:.2f} dB for" in text
    halves = [T_975[3] * seed * math.sqrt(2) for seed in seeds]
    assert f"two networks by ± {halves[0]:.2f} dB (deraining: ± {halves[1]:.2f} dB)" in text
    for system, claim in (("IR-NAS, as published", "as published, sigma 50"),
                          ("IR-NAS + residual", "input added, sigma 50")):
        row = next(line for line in text.split("## The log-SSIM term")[1].split("| |") if f" {system} |" in f" {line}")
        assert f"{found[claim].measured:+.2f} ± {found[claim].both:.2f}" in row
    for claim, sign in (("IR-NAS over RESCAN, as published", -1), ("IR-NAS over RESCAN, input added", 1)):
        assert f"{sign * found[claim].measured:.2f} ± {found[claim].both:.2f} dB" in text


def test_results_md_names_the_intervals_at_one_budget(known):
    """Over pictures and seeds, of every system over IR-NAS + residual."""
    table = (ROOT / "RESULTS.md").read_text(encoding="utf-8").split("systems at one budget")[1].split("## ")[0]
    psnr = trained("denoising")
    deviation = stdev([*psnr["published"].values(), *psnr["again"].values()])
    names = {"WNNM": "wnnm", "BM3D": "bm3d", "N3Net": "n3net", "MemNet": "memnet", "RED, 64 channels": "red",
             "RED, 128 channels": "red_128", "DnCNN": "dncnn", "IR-NAS, as published": "ir_nas",
             "NLRN (failed)": "nlrn", "IR-NAS*, without the log-SSIM term": "ir_nas_star"}
    base = each("denoising-ir_nas_residual-sigma50-seed0-matched-4500-laptop", "strict")
    for title, name in names.items():
        untrained = name in ("wnnm", "bm3d")
        tail = "" if untrained else "-matched-lambda0-4500" if name == "ir_nas_star" else "-matched-4500"
        scores = each(f"denoising-{name}-sigma50-seed0{tail}-laptop", "strict")
        gains = [scores[picture] - base[picture] for picture in base]
        half = math.hypot(T_975[19] * stdev(gains) / math.sqrt(20),
                          T_975[3] * deviation * (1 if untrained else math.sqrt(2)))
        row, = [line for line in table.splitlines() if line.startswith(f"| {title} |")]
        assert f"| {mean(gains):+.2f} ± {half:.2f} |" in row


def test_the_start_page_links_to_every_other_page():
    text = (ROOT / "notebooks" / "00_start_here.py").read_text(encoding="utf-8")
    pages = {path.stem for path in (ROOT / "notebooks").glob("*.py")} - {"00_start_here"}
    assert not [page for page in pages if f"({page}.ipynb)" not in text]


# ---- pictures ----

def test_the_intervals_of_all_differences_are_drawn(found):
    untrained, others = panels = verdict_plots.intervals(list(found.values())).axes
    shown = [line for line in found.values() if line.unit == "dB" and not math.isnan(line.both)]
    assert [label.get_text() for label in untrained.get_yticklabels()] == [
        f"WNNM over BM3D at sigma {sigma}" for sigma in (30, 50, 70)]
    assert untrained.get_xlim()[1] < 0.35 < others.get_xlim()[1]
    drawn, texts = ([item for axes in panels for item in getattr(axes, kind)] for kind in ("lines", "texts"))
    measured = [line.get_xdata()[0] for line in drawn if line.get_label() == "measured here"]
    assert measured == pytest.approx([line.measured for line in shown]) and len(shown) > 20
    crosses = [line.get_xdata()[0] for line in drawn if line.get_label() == "in the paper"]
    beyond = [float(text.get_text()) for text in texts if text.get_text() == "-4.83"]
    assert sorted(crosses + beyond) == pytest.approx(sorted(
        line.printed for line in shown if not math.isnan(line.printed)), abs=0.005) and len(beyond) == 1
    assert [label.get_text() for axes in panels for label in axes.get_yticklabels()] == [line.claim for line in shown]
    assert "not run" in verdict_plots.intervals([]).axes[0].texts[0].get_text()


def test_the_bars_of_the_ledger_are_as_long_as_there_are_numbers(known):
    groups = {where: [line for line in known.traced if line.printed.where == where]
              for where in dict.fromkeys(item.where for item in printed.load())}
    axes, = verdict_plots.ledger(groups).axes
    assert sum(bar.get_width() for bar in axes.patches) == 125
    assert verdict_plots.FILLS.keys() == set(verdicts.VERDICTS) >= set(trace.VERDICTS)
    claims, = verdict_plots.ledger({"all": verdicts.verdicts(known)}, "claims").axes
    assert sum(bar.get_width() for bar in claims.patches) == len(verdicts.verdicts(known))
