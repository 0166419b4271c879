"""What the pictures of cells and searches count, against enumeration and plain sums."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from irnas_lib.decode import undecided
from irnas_lib.experiments import table_facts
from irnas_lib.figures import cell_plots
from irnas_lib.genotypes import DENOISING, DENOISING_R2


def test_undecided_is_one_for_even_rows_and_nought_for_certain_ones():
    assert undecided(torch.tensor([[0.5, 0.5, 0.0], [1 / 3] * 3])).mean().item() == pytest.approx(1)
    assert undecided(torch.tensor([[1 - 1e-9, 1e-9, 0.0]])).item() == pytest.approx(0, abs=1e-6)
    half = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    assert undecided(torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5]])).mean().item() == pytest.approx((half + 1) / 2)


def test_a_square_says_how_many_cells_take_an_input_and_with_what():
    texts = [text.get_text() for text in cell_plots.chosen_edges([DENOISING, DENOISING_R2]).axes[0].texts]
    n4 = texts[2 + 3 + 4:2 + 3 + 4 + 5]  # R2 rewires it: n3 and p2 become n2 and p1
    assert n4 == ["1 of 2\ndef", "1 of 2\ndef", "0", "1 of 2\ndef", "1 of 2\ndef"]
    assert texts[0] == "2 of 2\nconv, conv"


def test_cells_side_by_side_keep_their_places_and_mark_what_changed():
    original, changed = cell_plots.side_by_side({"a": DENOISING, "R2": DENOISING_R2}, DENOISING, 2).axes
    labels = [{text.get_text(): text.get_position() for text in axes.texts[-7:]} for axes in (original, changed)]
    assert labels[0] == labels[1] and list(labels[0]) == ["p2", "p1", "n1", "n2", "n3", "n4", "n5"]
    marked = [[patch for patch in axes.patches if patch.get_linestyle() == "--"] for axes in (original, changed)]
    assert marked[0] == [] and len(original.patches) == len(changed.patches) == 10
    ends = {(patch.center[0] - patch.width / 2, patch.center[0] + patch.width / 2) for patch in marked[1]}
    assert ends == {(3, 5), (1, 5)}, "n4 takes n2 and p1"
    operations = [text.get_text() for text in changed.texts[:10]]
    assert operations == [edge.operation for node in DENOISING_R2 for edge in node]


def test_the_papers_own_are_stars_and_what_is_not_trained_has_no_row():
    common = {"task": "denoising", "budget": {"protocol": "strict", "pictures": 20, "iterations": 10, "batch": 4,
                                              "crop": 32, "sigma": 50, "system": "a system"}}
    published = {"name": "IR-NAS", "seed": 0, "psnr": 23.0}
    (line,) = [line for line in cell_plots.scores({"published": common | {"cells": [published]}}).axes[0].lines
               if line.get_label().startswith("the published cell")]
    assert list(line.get_xdata()) == [23.0, 23.0]
    groups = {"R2": common | {"cells": [{"name": "IR-NAS, R2", "psnr": 25.0}, {"name": "R2 7", "psnr": 24.0},
                                        {"name": "R2 8", "psnr": None}]},
              "input": common | {"cells": []}}
    axes, = cell_plots.scores(groups).axes
    drawn = {line.get_label(): line.get_xdata() for line in axes.lines}
    assert list(drawn["the paper's own"]) == [25.0] and list(drawn["a cell"]) == [24.0]
    assert list(drawn["mean of the group"]) == [24.5, 24.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["R2: both inputs of a\nnode"]


@pytest.mark.parametrize("draw", (cell_plots.chosen_edges, cell_plots.chosen_operations,
                                  cell_plots.side_by_side, lambda nothing: cell_plots.scores({})))
def test_nothing_is_drawn_as_not_run(draw):
    assert "not run" in draw([]).axes[0].texts[0].get_text()
    assert not plt.get_fignums()


def test_more_cells_notice_a_smaller_difference():
    axes, = cell_plots.power(0.26, [(3, 6), (30, 60)]).axes
    few, many = [dict(zip(line.get_xdata().tolist(), line.get_ydata())) for line in axes.lines[:2]]
    assert few[0.5] == pytest.approx(table_facts.power(0.5, 0.26, 3, 6), abs=0.02)
    assert few[0.0] < 0.1 and few[0.5] < many[0.5]
    names = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert names == ["3 against 6 cells", "30 against 60 cells"]


def test_a_choice_is_a_line_and_the_gradient_is_that_of_the_printed_search():
    def record(name, size, logit, seed=0):
        alpha = [[logit, 0, 0, 0, 0, 0]] * 2
        return {"scale": "small", "name": name, "settings": {"seed": seed}, "alpha_signal": {
            "untouched": {"size": size, "spread": 3 * size}}, "history": [
                {"iteration": 5, "alpha": [[0] * 6] * 2}, {"iteration": 9, "alpha": alpha}]}
    records = [record("printed", 0.01, 0), record("printed", 0.03, 0, 1), record("travel 34", 9.0, 50)]
    left, right = cell_plots.deciding([*records, record("printed", 9, 9) | {"scale": "laptop"}], "small").axes
    assert [text.get_text() for text in left.texts] == ["a", "b"]
    (legend,) = cell_plots.deciding(records, "small", {"travel 34": "fast"}).legends
    assert [text.get_text() for text in legend.get_texts()] == ["a: printed", "b: fast"]
    assert left.lines[0].get_ydata() == pytest.approx([1, 1])
    assert left.lines[1].get_ydata() == pytest.approx([1, 0], abs=1e-6)
    assert list(right.lines[0].get_xdata()) == pytest.approx([0.02, 0.06, 1e-4, 1.6e-3])


def test_the_psnr_of_each_seed_and_of_its_decoded_cell_are_drawn():
    def record(name, psnr, decoded=None):
        settings = {"sigmas": [25.5, 255], "epochs": 4, "warmup_epochs": 1}
        inherited = {"inherited": {"mixture": psnr, "decoded": decoded}} if decoded else {}
        return {"name": name, "settings": settings, "history": [
            {"iteration": 4, "psnr": 10.0}, {"iteration": 8, "psnr": psnr}]} | inherited
    records = [record("printed", 20.0), record("printed", 21.0, 9.0), record("other", 1.0)]
    (axes,) = cell_plots.learning(records, {"printed": "as published"}).axes
    noisy, *lines = [line.get_ydata() for line in axes.lines]
    assert axes.get_title() == "as published" and list(noisy) == [10, 10]  # the mean of 20 and 0 dB
    assert [list(line) for line in lines] == [[10, 20], [10, 21], [21, 9]]
    assert axes.patches[0].get_width() == 2
    assert "not run" in cell_plots.learning(records, {"dropped": "none"}).axes[0].texts[0].get_text()
