"""Small tables for the pages: what stands in them, worked out by hand."""

import math
import re

import pytest
from scipy import stats
from test_comparison import NAMES, measured, psnr_of
from test_results import make

from irnas_lib.tables import comparison, frames, trace


def test_printed_numbers_stand_beside_ours_of_the_same_protocol():
    ours = make(metrics={"strict": {"psnr": 25.45, "ssim": 0.7, "pictures": 200},
                         "redrawn": {"psnr": 26.104, "ssim": 0.71, "pictures": 200}}, batch=4, crop=32)
    frame = frames.beside_printed(trace.trace([ours]), 1, sigma="50")
    assert list(frame.index) == ["BM3D", "WNNM", "RED", "MemNet", "NLRN", "N3Net", "IR-NAS"]
    assert list(frame.loc["IR-NAS"]) == ["26.77", "26.10", "redrawn", f"{ours.iterations * 4 * 32 ** 2 / 1e6:,.0f}",
                                         "-0.67", "undertrained"]
    assert list(frame.loc["RED"]) == ["25.75", "", "", "", "", "not run"] and not frame.attrs["notes"]


def test_what_forbids_a_comparison_stands_once_below_the_table():
    few = {"strict": {"psnr": 25.0, "ssim": 0.7, "pictures": 20}, "half": {"psnr": 24.0, "ssim": 0.7, "pictures": 20}}
    alike = [make(system=system, metrics=few, batch=4, crop=32) for system in ("RED", "MemNet")]
    frame = frames.beside_printed(trace.trace(alike), 1, sigma="50")
    assert list(frame.loc[["RED", "MemNet"], "verdict"]) == ["not comparable (1, 2)"] * 2
    notes = frame.attrs["notes"]
    assert [note[:4] for note in notes] == ["(1) ", "(2) "] and "20 of 200 test pictures" in notes[0]
    page = frames.show(frame, "Table 1", "a further note").data
    assert all(page.count(note) == 1 for note in (*notes, "a further note"))


def test_whole_test_sets_are_compared_with_bm3d_and_smaller_ones_left_out():
    def whole(system, psnr, pictures=200, **changes):
        metrics = {name: {"psnr": psnr + lift, "ssim": 0.7, "pictures": pictures}
                   for name, lift in (("strict", 0), ("redrawn", 1))}
        return make(system=system, metrics=metrics, **changes)

    untrained = dict.fromkeys(("iterations", "recipe", "batch"))
    results = [whole("Noisy", 14.9, **untrained), whole("DnCNN", 25.15, crop=64), whole("BM3D", 25.79, **untrained),
               whole("RED", 25.9, 20), whole("IR-NAS", 25.5, crop=64)]
    frame = frames.on_all_pictures(results)
    assert list(frame.index) == ["BM3D", "IR-NAS", "DnCNN"]
    seen = f"{results[1].iterations * results[1].batch * 64 ** 2 / 1e6:,.0f}"
    assert list(frame.loc["DnCNN"]) == ["25.15", "26.15", "", "-0.64", "0.7000", seen]
    assert list(frame.loc["BM3D"])[-3:] == ["", "0.7000", "not trained"]
    assert frames.on_all_pictures([]).empty


def test_systems_at_one_budget_stand_as_the_comparison_has_them():
    compared = comparison.side_by_side([measured("DnCNN", offset=-0.4, ssim=0.67), measured("IR-NAS")])
    frame = frames.at_one_budget(compared)
    assert list(frame.index) == [row.result.system for row in compared.rows] == ["IR-NAS", "DnCNN"]
    mean, half = map(float, frame.loc["DnCNN", "over IR-NAS (dB)"].split(" ± "))
    assert (mean, half) == pytest.approx((compared.rows[1].ahead, compared.rows[1].both), abs=0.005)
    assert frame.loc["IR-NAS", "over IR-NAS (dB)"] == "" and math.isnan(compared.rows[0].error)
    assert frame.loc["DnCNN", "in PSNR it is"] == "behind"


def test_a_shown_table_has_its_caption_its_cells_and_the_same_bytes_every_time():
    frame = frames.at_one_budget(comparison.side_by_side([measured("DnCNN"), measured("IR-NAS")]))
    page = frames.show(frame, "At one budget").data
    assert page == frames.show(frame, "At one budget").data
    assert "<caption>At one budget</caption>" in page
    assert all(re.search(rf">{re.escape(cell)}<", page) for cell in (*frame.index, *frame.columns))
    assert 'class="row_heading' not in frames.show(frame.reset_index(), "Numbered").data
    assert frames.show(frame.iloc[:0], "Nothing").data == "<p>Nothing: not run</p>"


def test_the_gain_over_the_input_is_of_systems_on_the_same_pictures():
    def scores(psnr, pictures=212):
        return {"strict": {"psnr": psnr, "ssim": 0.7, "pictures": pictures}}

    def of_sim1800(system, psnr, pictures=212, **changes):
        return make(task="sim1800", dataset="SIM1800-BSD500", sigma=None, system=system,
                    metrics=scores(psnr, pictures), **changes)

    untrained = dict.fromkeys(("iterations", "recipe", "batch"))
    results = [of_sim1800("N3Net", 25.11, batch=4, crop=32, iterations=1000), of_sim1800("Noisy", 24.48, **untrained),
               of_sim1800("DnCNN", 24.0), of_sim1800("NLRN", 22.84, pictures=20)]
    frame = frames.over_input(results, "sim1800")
    assert list(frame.index) == ["N3Net", "Noisy", "DnCNN"]
    assert list(frame.loc["N3Net"]) == ["27.62", "25.11", "0.7000", "+0.63", "4"]
    assert frame.loc["DnCNN", "over the input, strict (dB)"] == "-0.48" and frame.loc["Noisy", "PSNR printed"] == ""
    assert "no error over the pictures is known" in frame.attrs["notes"][0]
    assert frames.over_input([], "sim1800").empty


def test_the_gain_over_the_input_has_its_interval_where_the_scores_of_pictures_were_kept():
    rain = {"task": "deraining", "dataset": "Rain800", "sigma": None}
    ours, rainy = measured("IR-NAS", **rain), measured("Rainy", offset=-3, trained=False, **rain)
    for result in (ours, rainy):
        result.metrics["strict_y"] = {"psnr": 20.0, "ssim": 0.7, "pictures": len(NAMES)}
    frame = frames.over_input([ours, rainy], "deraining")
    interval = stats.ttest_rel(psnr_of(ours), psnr_of(rainy)).confidence_interval()
    half = (interval.high - interval.low) / 2
    gain = (psnr_of(ours) - psnr_of(rainy)).mean()
    assert frame.loc["IR-NAS", "over the input, strict (dB)"] == f"{gain:+.2f} ± {half:.2f}"
    assert frame.loc["IR-NAS", "over the input, strict_y (dB)"] == "+0.00"
    assert frame.loc["Rainy", "over the input, strict (dB)"] == "+0.00"
