"""Pictures of a table of cells: which points they show, against sorting and counting."""

import numpy as np
import pytest

from irnas_lib.experiments.table_facts import Effect
from irnas_lib.figures import table_plots


def line(name, psnr, macs, operation="conv", seed=0):
    return {"name": name, "cell": [[[operation, "p1"], ["conv", "p2"]]], "seed": seed, "pixels": 100,
            "macs_per_pixel": macs, "test": psnr and {"psnr": psnr}}


RECORDS = [line("random 1", 24.0, 5000), line("random 2", 23.0, 4000, "sep"), line("random 3", 22.0, 6000, "dil"),
           line("random 4", None, 1000, "skip"), line("IR-NAS", 23.4, 5000, "def"),
           line("IR-NAS", 23.8, 5000, "def", 1)]


def test_the_papers_cells_stand_at_their_mean_among_the_random_ones():
    (axes,) = table_plots.distribution(RECORDS, 100).axes
    cells, paper = axes.lines
    assert cells.get_xdata().tolist() == [22, 23, 24] and cells.get_ydata() == pytest.approx([1 / 3, 2 / 3, 1])
    assert (paper.get_xdata()[0], paper.get_ydata()[0]) == (pytest.approx(23.6), pytest.approx(2 / 3))


def test_the_front_leads_along_the_random_cells_that_none_is_better_and_cheaper_than():
    (axes,) = table_plots.cost(RECORDS, 100).axes
    cells, front, paper = axes.lines
    assert cells.get_xydata().tolist() == [[4, 23], [5, 24], [6, 22]]
    assert front.get_xydata().tolist() == [[4, 23], [5, 24]] and paper.get_xydata()[0] == pytest.approx([5, 23.6])


def test_regret_is_drawn_as_its_mean_and_an_effect_as_its_interval():
    (axes,) = table_plots.regrets({"random search": np.array([[3.0, 1.0], [1.0, 0.0]])}).axes
    assert axes.lines[0].get_ydata().tolist() == [2, 0.5]
    (axes,) = table_plots.effects([Effect("conv", 0.2, 0.1, 0.3)]).axes
    assert [list(line.get_xdata()) for line in axes.lines[:2]] == [[0.1, 0.3], [0.2]]


def test_two_seeds_of_a_cell_are_a_point_white_for_the_second_and_grey_for_the_third():
    pair = [RECORDS[0] | {"seed": seed, "test": {"psnr": psnr}} for seed, psnr in ((0, 20.0), (1, 21.5), (2, 19.0))]
    (axes,) = table_plots.seeds([*pair, RECORDS[1]], 100).axes
    assert [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"] == [
        [[20.0, 21.5]], [[20.0, 19.0]]]


def test_a_run_far_from_all_others_is_an_arrow_at_the_edge():
    lines = [RECORDS[0] | {"cell": cell, "seed": seed, "test": {"psnr": psnr}}
             for cell, pair in zip((each["cell"] for each in RECORDS[:3]), ((24.0, 24.1), (23.9, 24.2), (24.1, 20.0)))
             for seed, psnr in enumerate(pair)]
    (axes,) = table_plots.seeds(lines, 100).axes
    assert [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"] == [
        [[24.0, 24.1], [23.9, 24.2]]]
    (arrow,) = axes.texts
    assert arrow.get_text() == "20.00" and arrow.xy == pytest.approx((24.1, axes.get_ylim()[0]))
    assert axes.get_ylim()[0] > 23.8


@pytest.mark.parametrize("figure", [table_plots.distribution([], 1), table_plots.seeds([], 1),
                                    table_plots.regrets({}), table_plots.effects([]), table_plots.cost([], 1)])
def test_an_empty_table_is_not_run(figure):
    assert "not run" in " ".join(text.get_text() for axes in figure.axes for text in axes.texts) + " ".join(
        text.get_text() for text in figure.texts)
