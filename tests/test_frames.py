"""Small tables for the pages: what stands in them, worked out by hand."""

import math
import re

import pytest
from test_comparison import measured
from test_results import make

from irnas_lib.tables import comparison, frames, trace


def test_printed_numbers_stand_beside_ours_of_the_same_protocol():
    ours = make(metrics={"strict": {"psnr": 25.45, "ssim": 0.7, "pictures": 200},
                         "redrawn": {"psnr": 26.104, "ssim": 0.71, "pictures": 200}}, batch=4, crop=32)
    frame = frames.beside_printed(trace.trace([ours]), 1, sigma="50")
    assert list(frame.index) == ["BM3D", "WNNM", "RED", "MemNet", "NLRN", "N3Net", "IR-NAS"]
    assert list(frame.loc["IR-NAS"]) == ["26.77", "26.10", "redrawn", f"{ours.iterations * 4 * 32 ** 2 / 1e6:,.0f}",
                                         "-0.67", "undertrained"]
    red = frame.loc["RED"]
    assert (red["PSNR printed"], red["here"], red["difference"]) == ("25.75", "", "")
    assert red["verdict"].startswith("not run: no result yet of RED")


def test_systems_at_one_budget_stand_as_the_comparison_has_them():
    compared = comparison.side_by_side([measured("DnCNN", offset=-0.4, ssim=0.67), measured("IR-NAS")])
    frame = frames.at_one_budget(compared)
    assert list(frame.index) == [row.result.system for row in compared.rows] == ["IR-NAS", "DnCNN"]
    mean, error = map(float, frame.loc["DnCNN", "over IR-NAS (dB)"].split(" ± "))
    assert (mean, error) == pytest.approx((compared.rows[1].ahead, compared.rows[1].error), abs=0.005)
    assert frame.loc["IR-NAS", "over IR-NAS (dB)"] == "" and math.isnan(compared.rows[0].error)
    assert frame.loc["DnCNN", "this system is"] == "behind"


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
    assert frames.over_input([], "sim1800").empty
