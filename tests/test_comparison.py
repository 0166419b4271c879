"""Comparisons: which trainings are alike, and what a difference between two of them is worth."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from test_results import make

from irnas_lib.experiments import results
from irnas_lib.files import ROOT
from irnas_lib.tables import comparison, writers

NAMES = [f"{i:04}" for i in range(8)]


def measured(system, offset=0.0, names=NAMES, ssim=0.7, **changes):
    """A result whose PSNR is the picture's own level plus `offset` plus its own scatter."""
    rng = np.random.default_rng(sum(map(ord, system)))
    each = {name: [20 + int(name) + offset + 0.1 * rng.standard_normal(), ssim] for name in names}
    psnr, ssim = np.mean(list(each.values()), axis=0)
    untrained = {} if changes.pop("trained", True) else dict.fromkeys(("iterations", "recipe", "batch", "parameters"))
    strict = {"psnr": psnr, "ssim": ssim, "pictures": len(names), "each": each}
    return make(system=system, metrics={"strict": strict}, crop=32, schedule=500, **untrained, **changes)


def shipped():
    return results.load(ROOT / "checkpoints" / "results")


def psnr_of(result, names=NAMES):
    return np.array([result.metrics["strict"]["each"][name][0] for name in names])


def test_one_more_value_falls_into_its_interval_19_times_of_20():
    drawn = np.random.default_rng(0).normal(3, 2, size=(4000, 5))
    inside = [low <= last <= high for *known, last in drawn.tolist()
              for low, high in [comparison.prediction_interval(known)]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)


def test_differences_are_those_of_a_paired_test():
    ours, theirs = measured("IR-NAS"), measured("DnCNN", offset=-0.4, ssim=0.67)
    noisy = measured("Noisy", offset=-9, trained=False)
    rows = {row.result.system: row for row in comparison.side_by_side([theirs, noisy, ours]).rows}
    assert list(rows) == ["IR-NAS", "DnCNN", "Noisy"]
    row = rows["DnCNN"]
    expected = stats.ttest_rel(psnr_of(theirs), psnr_of(ours))
    assert row.ahead / row.error == pytest.approx(expected.statistic)
    interval = expected.confidence_interval()
    assert (row.ahead - row.half, row.ahead + row.half) == pytest.approx((interval.low, interval.high))
    assert row.ahead == pytest.approx((psnr_of(theirs) - psnr_of(ours)).mean()) and row.verdict == "behind"
    assert row.gain == pytest.approx((psnr_of(theirs) - psnr_of(noisy)).mean()) and not row.failed
    assert rows["IR-NAS"].verdict == "" and rows["Noisy"].gain == 0 and not rows["Noisy"].failed
    (ours_then,) = (row for row in comparison.side_by_side([theirs, ours], reference="DnCNN").rows
                    if row.result.system == "IR-NAS")
    assert (ours_then.ahead, ours_then.error) == pytest.approx((-row.ahead, row.error))
    assert ours_then.verdict == "ahead"
    assert (row.ssim_ahead, row.ssim_error) == pytest.approx((-0.03, 0))
    assert comparison.difference(theirs, ours) == ((row.ahead, row.error), (row.ssim_ahead, row.ssim_error))
    near = comparison.side_by_side([ours, measured("RED", offset=0.001)]).rows
    assert {row.verdict for row in near} == {"", "level"} and math.isnan(near[0].gain)


def test_a_training_that_gains_too_little_has_failed():
    compared = comparison.side_by_side([measured("IR-NAS", offset=-2), measured("RED", offset=-0.5),
                                        measured("Noisy", offset=-9, trained=False)])
    assert {row.result.system: row.failed for row in compared.rows} == {
        "IR-NAS": True, "RED": False, "Noisy": False}
    assert "failed" in next(line for line in comparison.markdown(compared).splitlines() if "| IR-NAS |" in line)
    few = measured("RED", offset=-2, names=NAMES[:4])
    noisy = replace(measured("Noisy", offset=-9, trained=False), schedule=None)
    assert comparison.gains_too_little(few, noisy) and not comparison.gains_too_little(few, None)
    failed = [row["metric"] for row in writers.rows(1, [few, noisy]) if "counts as failed" in row["note"]]
    assert failed == ["PSNR", "SSIM"]  # of RED, not of the input


def test_what_is_missing_is_said():
    diverged = replace(measured("NLRN"), status="failed", metrics={})
    shorter = replace(measured("MemNet", iterations=50), status="failed", metrics={})
    compared = comparison.side_by_side([measured("IR-NAS"), measured("DnCNN"), diverged, shorter])
    assert compared.missing == {"BM3D": "not run", "WNNM": "not run", "RED": "not run", "MemNet": "not run",
                                "NLRN": "failed", "N3Net": "not run"}
    assert "NLRN: failed" in comparison.markdown(compared)


def test_the_heading_says_what_was_compared():
    results = [measured("IR-NAS"), measured("DnCNN", offset=-1)]
    compared = comparison.side_by_side(results, reference="DnCNN")
    assert compared.title == ("BSD500, sigma 50, strict, 8 test pictures; 500 iterations of 12 crops of 32x32 "
                              "(6.1 million pixels, 0.021% of the paper's), recipe matched, seed 0 (laptop)")
    assert compared.title in comparison.markdown(compared) and "Against DnCNN" in comparison.markdown(compared)


def test_one_picture_decides_nothing():
    red, ours = comparison.side_by_side([measured("IR-NAS", names=NAMES[:1]),
                                         measured("RED", names=NAMES[:1], offset=1)]).rows
    assert red.verdict == ours.verdict == "" and red.ahead == pytest.approx(red.psnr - ours.psnr)


def test_only_what_was_trained_and_measured_alike_is_compared():
    alike = [measured("IR-NAS"), measured("DnCNN"), measured("RED")]
    others = [measured("MemNet", batch=4), measured("NLRN", names=NAMES[:4]), measured("N3Net", iterations=9000),
              measured("IR-NAS", profile="gpu", iterations=9000), measured("IR-NAS", loss_lambda=2.0),
              make(system="DnCNN", iterations=500, metrics={"strict": {"psnr": 30.0, "ssim": 0.9, "pictures": 8}})]
    fewer = measured("BM3D", names=NAMES[:4], trained=False)
    more = measured("WNNM", names=[*NAMES, "0008"], trained=False)
    noisy = [measured("Noisy", trained=False, seed=1), measured("Noisy", trained=False, data_sha256="1" * 64)]
    input_side = measured("Noisy", names=[*NAMES, "0008"], offset=-9, trained=False)
    again = [measured("IR-NAS", offset=3), measured("WNNM", names=[*NAMES, "0008"], offset=3, trained=False)]
    kept = make(system="BM3D", iterations=None,
                metrics={"strict": {"psnr": 25.0, "ssim": 0.7, "pictures": 8, "each": None}})
    rows = comparison.side_by_side([*others, *alike, fewer, more, *noisy, kept, *again, input_side]).rows
    assert sorted(row.result.system for row in rows) == ["DnCNN", "IR-NAS", "Noisy", "RED", "WNNM"]
    psnr = {row.result.system: row.psnr for row in rows}
    assert psnr["WNNM"] == pytest.approx(psnr_of(more).mean()), "on the pictures of the comparison alone"
    assert [row.gain for row in rows] == pytest.approx([row.psnr - psnr["Noisy"] for row in rows])
    assert psnr["IR-NAS"] == pytest.approx(psnr_of(alike[0]).mean()), "of two of the same, the first"


def test_the_longest_of_two_budgets_that_as_many_share():
    pairs = [measured(system, iterations=count) for count in (500, 900, 700) for system in ("IR-NAS", "DnCNN")]
    assert {result.iterations for result in comparison.at_one_budget(pairs)} == {900}


def test_nothing_is_said_where_nothing_was_measured():
    nothing = comparison.side_by_side([make()])
    assert nothing.rows == [] and "not run" in comparison.markdown(nothing)
    smoke = measured("IR-NAS", profile="smoke", dataset="embedded")
    assert comparison.side_by_side([smoke]).rows == []
    assert len(comparison.side_by_side([smoke, measured("DnCNN")], smoke=True).rows) == 1


@pytest.mark.parametrize("change", (
    {"profile": "gpu"}, {"recipe": "authors"}, {"iterations": 400}, {"schedule": 900}, {"batch": 4}, {"crop": 64},
    {"seed": 1}, {"data_sha256": "1" * 64}), ids=lambda change: next(iter(change)))
def test_a_training_of_another_budget_is_not_compared(change):
    found = comparison.side_by_side([replace(measured("RED"), **change), measured("IR-NAS"), measured("DnCNN")])
    assert sorted(row.result.system for row in found.rows) == ["DnCNN", "IR-NAS"]


@pytest.mark.parametrize(("ahead", "verdict"), ((0.20, "level"), (-0.20, "level"), (0.22, "ahead"), (-0.22, "behind")))
def test_level_is_within_the_interval_over_pictures_and_seeds(ahead, verdict):
    student = stats.t.ppf(0.975, 19)  # 2.093, so that the interval ends at 0.209
    assert comparison.Row(make(), 26.0, 0.7, 11.0, ahead, 0.1, 0.0, 0.0, pictures=20).verdict == verdict
    together = comparison.Row(make(), 26.0, 0.7, 11.0, ahead, 0.06, 0.0, 0.0, 0.08 * student, 20)
    assert together.verdict == verdict and together.both == pytest.approx(0.1 * student)


def test_other_seeds_move_a_difference_of_two_trainings_more_than_one_to_what_is_not_trained():
    rows = comparison.side_by_side([measured("IR-NAS"), measured("DnCNN", offset=-0.4),
                                    measured("BM3D", offset=0.4, trained=False)], over_seeds=0.17).rows
    found = {row.result.system: row for row in rows}
    assert found["BM3D"].over_seeds == 0.17 and found["BM3D"].verdict == "ahead"
    assert found["DnCNN"].over_seeds == pytest.approx(0.2404, abs=1e-4) and found["DnCNN"].pictures == len(NAMES)
    for row in comparison.side_by_side([measured("IR-NAS"), measured("DnCNN", offset=-0.4)], ssim_over_seeds=0.01).rows:
        pictures = comparison.over_pictures(row.ssim_error, row.pictures)
        assert math.isnan(row.ssim_both) or row.ssim_both == pytest.approx(math.hypot(pictures, 0.01 * 2 ** 0.5))
    unknown = comparison.side_by_side([measured("IR-NAS"), measured("DnCNN", offset=-0.4)], over_seeds=math.nan).rows
    assert [row.over_seeds for row in unknown] == [0, 0] and unknown[1].verdict == "behind"


def test_results_on_other_pictures_than_the_papers_are_not_compared():
    assert comparison.side_by_side([measured("IR-NAS", dataset="embedded"),
                                    measured("DnCNN", dataset="embedded")]).rows == []


def test_rain_is_compared_with_the_rainy_input():
    rain = {"task": "deraining", "dataset": "Rain800", "sigma": None}
    found = comparison.side_by_side([measured("IR-NAS", **rain), measured("Rainy", offset=-3, trained=False, **rain)],
                                    "deraining", None)
    assert found.rows[0].gain == pytest.approx(found.rows[0].psnr - found.rows[1].psnr)


def test_the_table_shows_what_was_compared():
    ours, theirs = measured("IR-NAS"), measured("DnCNN", offset=-0.4, ssim=0.67)
    text = comparison.markdown(comparison.side_by_side([ours, theirs, measured("Noisy", offset=-9, trained=False)]))
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()
             if line.startswith("| ")]
    apart = psnr_of(theirs) - psnr_of(ours)
    half = stats.t.ppf(0.975, 7) * apart.std(ddof=1) / 8 ** 0.5
    gain = psnr_of(theirs).mean() - psnr_of(measured("Noisy", offset=-9)).mean()
    assert lines[0][1:4] == ["PSNR (dB)", "SSIM", "over the input (dB)"]
    assert lines[2] == ["DnCNN", f"{psnr_of(theirs).mean():.2f}", "0.6700", f"+{gain:.2f}",
                        f"{apart.mean():+.2f} ± {half:.2f}", "behind", "-0.030 ± 0.000",
                        "661,693", "1,000,000"]


@pytest.mark.parametrize(("sigma", "gain", "failed"), ((50, 7.2, True), (50, 7.4, False), (30, 5.9, True),
                                                       (30, 6.1, False), (70, 7.9, True), (70, 8.1, False)))
def test_a_gain_below_the_bar_has_failed_at_every_noise_level(sigma, gain, failed):
    assert comparison.Row(make(sigma=sigma), 22.0, 0.7, gain, 0.0, 0.1, 0.0, 0.0).failed == failed


def test_the_bar_is_two_thirds_of_what_bm3d_gains_and_nlrn_alone_is_below_it():
    psnr = {(result.system, result.sigma): result.metrics["strict"] for result in shipped()
            if result.task == "denoising" and result.metrics.get("strict", {}).get("each")
            and result.recipe in (None, "matched") and result.loss_lambda in (None, 0, 0.5)}
    failed = set()
    for sigma, bar in comparison.LEAST_GAIN.items():
        noisy, bm3d = psnr["Noisy", sigma]["each"], psnr["BM3D", sigma]["psnr"]
        gain = bm3d - np.mean([score[0] for score in noisy.values()])
        assert bar == pytest.approx(2 / 3 * gain, abs=0.05)
        for (system, level), scores in psnr.items():
            each = scores["each"]
            gain = np.mean([score[0] - noisy[name][0] for name, score in each.items()])
            if level == sigma and system not in ("Noisy", "BM3D", "WNNM") and gain < bar:
                failed.add((system, sigma))
    assert failed == {("NLRN", 30), ("NLRN", 50), ("NLRN", 70)}
