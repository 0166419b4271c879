"""Figures show what the records hold; panels keep the very pixels."""

import json
import math
import os
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from skimage.metrics import peak_signal_noise_ratio

from irnas_lib.data import datasets
from irnas_lib.decode import viterbi_path
from irnas_lib.evaluation.protocols import Restored
from irnas_lib.experiments import results
from irnas_lib.figures import all, comparison_plots, panels, plots
from irnas_lib.search_space import OPERATIONS
from irnas_lib.supernet import Supernet
from irnas_lib.tables import comparison, writers
from irnas_lib.training.search import SearchSettings, snapshot, summary

RESULT = results.Result(
    task="denoising", dataset="BSD500", system="IR-NAS", sigma=50, seed=0, recipe="matched", loss="Eq. 7",
    loss_lambda=0.5, iterations=40, batch=2, profile="laptop", genotype=None, path=None, width=None,
    metrics={"strict": {"psnr": 25.0, "ssim": 0.7, "pictures": 200}}, parameters=661693, macs_per_pixel=None,
    seconds=None, device=None, versions={}, commit=None, data_sha256=None, weights=None, status="ok", crop=16,
    curve=[[10, 0.3, 14.0], [20, 0.2, 17.0], [40, 0.1, 20.0]])


@pytest.fixture
def record():
    """A search of two layers, as `search.search` leaves it."""
    supernet, history = Supernet(2, 2, 2, 1), []
    for i in range(5):
        with torch.no_grad():
            supernet.alpha.normal_(std=i, generator=torch.Generator().manual_seed(i))
            supernet.beta.normal_(std=i, generator=torch.Generator().manual_seed(i + 9))
        history.append(snapshot(supernet, 10 * (i + 1), 1 / (i + 1), 20.0 + i, 0.1 * i, counts=i > 1))
    return summary(history) | {"seconds": 1.0, "task": "denoising", "dataset": "BSD500", "profile": "laptop",
                               "device": "CPU", "data_sha256": "0" * 64,
                               "settings": asdict(SearchSettings(layers=2, nodes=2, width=2))}


def item(name, channels=1, side=256):
    generator = torch.Generator().manual_seed(len(name))
    clean = torch.randint(0, 256, (1, channels, side, side), generator=generator) / 255
    return Restored(name, clean, clean + 0.2 * torch.randn(clean.shape, generator=generator), clean - 0.1)


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


# ---- panels ----

def test_a_panel_keeps_the_very_pixels(tmp_path):
    shown = item("camera")
    names = [path.name for path in panels.save(tmp_path, "denoising", "embedded", 50, "IR-NAS, R1", shown)]
    assert names == [f"denoising-embedded-sigma50-camera-{what}.png" for what in ("clean", "degraded", "ir_nas_r1")]
    top, left, side = panels.CROPS["embedded"]["camera"]
    loaded = panels.load(tmp_path, "denoising", "embedded", 50)["camera"]
    for what, picture in (("clean", shown.clean), ("degraded", shown.degraded), ("IR-NAS, R1", shown.restored)):
        cut = picture[0, 0, top:top + side, left:left + side].numpy()
        np.testing.assert_array_equal(loaded[what][..., 0], np.rint(cut.clip(0, 1) * np.float32(255)))


def test_panels_come_back_in_the_order_of_the_tables(tmp_path):
    for system in ("IR-NAS", "My own", "DnCNN", "BM3D"):
        panels.save(tmp_path, "denoising", "embedded", 50, system, item("camera"))
    panels.save(tmp_path, "denoising", "embedded", 30, "NLRN", item("camera"))
    panels.save(tmp_path, "deraining", "embedded", None, "NLRN", item("astronaut-0", channels=3))
    loaded = panels.load(tmp_path, "denoising", "embedded", 50)
    assert list(loaded) == ["camera"]
    assert list(loaded["camera"]) == ["degraded", "BM3D", "DnCNN", "IR-NAS", "my_own", "clean"]
    (crops,) = panels.load(tmp_path, "deraining", "embedded", None).values()
    assert list(crops) == ["degraded", "NLRN", "clean"] and crops["NLRN"].shape == (128, 128, 3)
    assert panels.load(tmp_path / "nowhere", "denoising", "embedded", 50) == {}


def test_real_rain_has_no_clean_side(tmp_path):
    rainy = item("60", 3, side=448)
    assert len(panels.save(tmp_path, "deraining", "real-rain", None, "RESCAN", rainy._replace(clean=None))) == 2
    figure = plots.restored_panel(tmp_path, "deraining", "real-rain")
    assert [axes.get_title() for axes in figure.axes] == ["degraded", "RESCAN"]
    assert "PSNR" not in " ".join(texts(figure)) and not figure.axes[1].get_xlabel()


def test_other_pictures_leave_nothing(tmp_path):
    assert panels.save(tmp_path, "denoising", "embedded", 50, "IR-NAS", item("coffee")) == []
    assert panels.save(tmp_path, "sim1800", "SIM1800-BSD500", None, "IR-NAS", item("camera")) == []
    assert not list(tmp_path.iterdir())


def test_all_panels_of_every_printed_system_stay_below_5_mb(tmp_path):
    grey, colour = (panels.save(tmp_path, task, "embedded", None, "x", item(name, channels))[1].stat().st_size
                    for task, name, channels in (("denoising", "camera", 1), ("deraining", "astronaut-0", 3)))
    assert 2 * (3 * 14 * grey + 14 * colour) < 5 * 2**20  # noise, which compresses worst; two pictures a task


def test_a_panel_that_a_kill_has_kept_from_being_made_is_lacking(tmp_path):
    test = [datasets.Picture(name, None) for name in ("astronaut", "camera", "coffee")]  # no panel is kept of the last

    def lacking(system="BM3D", sigma=50):
        return [picture.name for picture in panels.lacking(tmp_path, "denoising", "embedded", sigma, system, test)]
    assert lacking() == ["astronaut", "camera"]
    panels.save(tmp_path, "denoising", "embedded", 50, "BM3D", item("astronaut"))
    assert lacking() == ["camera"] and lacking("WNNM") == lacking(sigma=30) == ["astronaut", "camera"]


@pytest.mark.parametrize(("task", "dataset"), [("denoising", "embedded"), ("deraining", "embedded"),
                                               ("denoising", "BSD500"), ("deraining", "Rain800")])
def test_the_chosen_pictures_are_test_pictures_and_hold_their_crops(task, dataset):
    if dataset != "embedded" and not os.environ.get("IRNAS_DATA"):
        pytest.skip("IRNAS_DATA is not set: no real pictures")
    chosen = panels.chosen(dataset, datasets.load(task, dataset).test)
    names = [name for name in panels.CROPS[dataset] if dataset != "embedded" or ("-" in name) == (task == "deraining")]
    assert sorted(picture.name for picture in chosen) == sorted(names)
    for picture in chosen:
        top, left, side = panels.CROPS[dataset][picture.name]
        assert picture.clean[top:top + side, left:left + side].shape[:2] == (side, side)


# ---- plots ----

def test_a_restored_panel_gives_the_psnr_of_its_crops(tmp_path):
    for name, system in (("camera", "IR-NAS"), ("camera", "DnCNN"), ("astronaut", "IR-NAS")):
        panels.save(tmp_path, "denoising", "embedded", 50, system, item(name))
    figure = plots.restored_panel(tmp_path, "denoising", "embedded", 50)
    crops = panels.load(tmp_path, "denoising", "embedded", 50)
    captions = [text for text in texts(figure) if re.fullmatch(r"[\d.]+ / [-\d.]+", text)]
    assert [caption.split(" / ")[0] for caption in captions] == [
        f"{peak_signal_noise_ratio(crops[name]['clean'], crops[name][system]):.2f}"
        for name, system in (("astronaut", "degraded"), ("astronaut", "IR-NAS"), ("camera", "degraded"),
                             ("camera", "DnCNN"), ("camera", "IR-NAS"))]
    assert texts(figure).count("not run") == 1
    assert sum(len(axes.images) for axes in figure.axes) == 7


def test_below_the_restored_crops_stand_their_errors_and_few_pictures_are_shown(tmp_path):
    for name in ("camera", "astronaut"):
        panels.save(tmp_path, "denoising", "embedded", 50, "IR-NAS", item(name))
    figure = plots.restored_panel(tmp_path, "denoising", "embedded", 50, pictures=1, errors=True)
    crops = panels.load(tmp_path, "denoising", "embedded", 50)["astronaut"]
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 5 and figure.get_figwidth() <= plots.COLUMN
    assert np.array_equal(shown[1], crops["IR-NAS"][..., 0])
    assert np.allclose(shown[4], abs(crops["IR-NAS"].astype(float) - crops["clean"])[..., 0] / 255, atol=1e-6)


def test_a_figure_without_crops_says_not_run(tmp_path):
    assert "sim1800, SIM1800 (rebuilt from BSD500): not run" in texts(
        plots.restored_panel(tmp_path, "sim1800", "SIM1800-BSD500"))
    assert "Training curve: not run" in texts(plots.training_curve([]))
    nothing = comparison.side_by_side([])
    assert "PSNR against parameters and time: not run" in texts(comparison_plots.psnr_against_cost(nothing))
    assert "Systems at one budget: not run" in texts(comparison_plots.ranking(nothing))


def test_search_curves_show_the_record(record):
    figure = plots.search_curves(record)
    by_title = {axes.get_title(): axes for axes in figure.axes}
    psnr = by_title["PSNR on Train V (dB)"].lines[0]
    assert psnr.get_xdata().tolist() == [10, 20, 30, 40, 50] and list(psnr.get_ydata()) == [20, 21, 22, 23, 24]
    weights = softmax(np.array([entry["alpha"] for entry in record["history"]]), axis=-1)
    for line in by_title["alpha: mean weight over edges"].lines[:6]:
        expected = weights[:, :, OPERATIONS.index(line.get_label())].mean(axis=1)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-5)
    entropy = -(weights * np.log(weights)).sum(axis=-1).mean(axis=1) / np.log(6)
    np.testing.assert_allclose(by_title["alpha: mean entropy (1 = undecided)"].lines[0].get_ydata(), entropy, rtol=1e-5)


def test_lines_differ_without_colour(record):
    figure = plots.search_curves(record)
    operations = next(axes for axes in figure.axes if "mean weight" in axes.get_title()).lines[:6]
    assert len({str(line._unscaled_dash_pattern) for line in operations}) == 6


def test_the_trellis_shows_every_move_and_the_best_path():
    beta = torch.randn(9, 3, generator=torch.Generator().manual_seed(3))
    figure = plots.draw_trellis(beta, others={"straight": (0, 0, 0, 0)})
    (axes,) = figure.axes
    assert len([text for text in texts(figure) if re.fullmatch(r"[01]\.\d\d", text)]) == 2 + 5 + 7 + 7
    row = beta[0, 1:].softmax(dim=0)
    assert {f"{p:.2f}" for p in row.tolist()} <= set(texts(figure))
    best = viterbi_path(beta)[0]
    chosen = next(line for line in axes.lines if line.get_label().startswith("chosen"))
    assert list(chosen.get_ydata()) == [0, *best]
    assert "straight 0,0,0,0" in texts(figure)


def test_a_training_curve_shows_what_was_logged():
    figure = plots.training_curve([RESULT, replace(RESULT, system="DnCNN", loss_lambda=2.0),
                                   replace(RESULT, curve=None)])
    loss, quality = figure.axes
    for axes, column in ((loss, 1), (quality, 2)):
        assert [list(line.get_ydata()) for line in axes.lines] == [[row[column] for row in RESULT.curve]] * 4
    assert {"IR-NAS, sigma 50, matched, seed 0", "DnCNN, sigma 50, matched, lambda 2, seed 0",
            "profile laptop"} <= set(texts(figure))
    first, second = plots.training_panels([RESULT, replace(RESULT, system="DnCNN", curve=[[1, 0.1, 30], [2, 0.1, 31]]),
                                        replace(RESULT, curve=None)]).axes
    assert [axes.get_title() for axes in (first, second)] == ["IR-NAS", "DnCNN"]
    assert [list(axes.lines[-1].get_ydata()) for axes in (first, second)] == [[row[2] for row in RESULT.curve],
                                                                           [30, 31]]


def test_psnr_against_cost_shows_each_system_where_its_cost_is_known():
    rows = [comparison.Row(replace(RESULT, system=system, parameters=count), psnr, 0.7, 9.0, 0.0, 0.1, 0.0, 0.01)
            for system, count, psnr in (("IR-NAS", 661693, 26.0), ("DnCNN", 555137, 25.0), ("BM3D", None, 25.5),
                                        ("Noisy", None, 15.0))]
    compared = comparison.Comparison(rows, {}, "strict", "IR-NAS")
    figure = comparison_plots.psnr_against_cost(compared, {"IR-NAS": 90.0, "BM3D": 900})
    size, time = figure.axes
    assert figure.get_suptitle().startswith("BSD500, sigma 50, strict, 200 test pictures")
    points = [{line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines}
              for axes in (size, time)]
    assert points == [{"IR-NAS": (661693, 26.0), "DnCNN": (555137, 25.0)},
                      {"IR-NAS": (90.0, 26.0), "BM3D": (900.0, 25.5)}]


def test_a_ranking_shows_each_system_with_its_interval_over_the_pictures():
    unknown = [math.nan] * 4
    untrained = [replace(RESULT, system=system, iterations=None) for system in ("BM3D", "Noisy")]
    rows = [comparison.Row(untrained[0], 26.0, 0.7, 11.0, 0.5, 0.1, 0.0, 0.0, pictures=20),
            comparison.Row(replace(RESULT, system="IR-NAS"), 25.5, 0.7, 10.5, *unknown, pictures=20),
            comparison.Row(replace(RESULT, system="DnCNN"), 25.3, 0.7, 10.3, -0.2, 0.05, 0.0, 0.0, 0.12, 20),
            comparison.Row(untrained[1], 15.0, 0.2, 0.0, -10.5, 0.1, 0.0, 0.0, pictures=20)]
    (axes,) = comparison_plots.ranking(comparison.Comparison(rows, {}, "strict", "IR-NAS")).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["DnCNN  25.30 dB", "BM3D  26.00 dB"]
    ends = [bars.get_segments()[0][:, 0] for bars in axes.collections]
    student = 2.0930  # of 19 degrees of freedom, at 0.975
    expected = [[middle - half, middle + half] for middle, halves in (
        (-0.2, (math.hypot(0.05 * student, 0.12), 0.05 * student)), (0.5, (0.1 * student, 0.1 * student)))
        for half in halves]
    assert np.allclose(ends, expected, atol=1e-5)
    assert "IR-NAS (25.50 dB)" in axes.get_xlabel()


def test_a_notebook_shows_a_figure_as_png():
    assert plots.not_run("x")._repr_png_().startswith(b"\x89PNG")


def test_figures_are_the_same_bytes_every_time(record, tmp_path):
    first, second = (plots.save(plots.search_curves(record), tmp_path / f"{name}.png") for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    svg = plots.save(plots.search_curves(record), tmp_path / "a.svg").read_text()
    assert not re.search(r"\d{4}-\d\d-\d\d|Matplotlib v", svg)


# ---- all files ----

def test_every_figure_and_table_is_written_from_a_checkpoints_folder(record, tmp_path, capsys):
    made = tmp_path / "checkpoints"
    (made / "searches").mkdir(parents=True)
    (made / "searches" / "denoising-seed0-laptop.json").write_text(json.dumps(record))
    results.save(RESULT, made / "results")
    panels.save(made / "panels", "denoising", "BSD500", 30, "IR-NAS", item("16068"))
    assert all.main(["--checkpoints", str(made), "--out", str(tmp_path / "figures")]) == 0
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(str(tmp_path / "figures" / name) for name in written)
    drawn = {"figure1", "figure2", "search-denoising-seed0-laptop-cell"} | {
        f"figure6{letter}_{task}" for letter in "abcd" for task in ("denoising", "deraining")}
    plotted = {"figure3", "figure4", "figure5", "figure5_real_rain", "search-denoising-seed0-laptop-curves",
               "search-denoising-seed0-laptop-trellis", "training-denoising-BSD500-sigma50-laptop", "psnr_against_cost",
               "cells_denoising", "cells_deraining", "efficiency-bench", "efficiency-growth", "efficiency-precision",
               "before_after", "verdicts", "ranking_at_one_budget"}
    assert written == {f"{name}.{suffix}" for name in drawn for suffix in ("svg", "png")} | {
        f"{name}.png" for name in plotted} | {
        f"table{number}.{suffix}" for number in range(1, 7) for suffix in ("csv", "md", "tex")} | {
            "trace.csv", "denoising_at_one_budget.md"}
    with Image.open(tmp_path / "figures" / "figure3.png") as panel, \
            Image.open(tmp_path / "figures" / "figure4.png") as frame:
        assert panel.height > frame.height, "sigma 30 stands in for 50; SIM1800 is an empty frame"


def test_smoke_figures_say_so(tmp_path):
    figure = all.panel_of(tmp_path, "denoising", smoke=True)
    assert "denoising, embedded: not run" in texts(figure)
    plots.save(figure, tmp_path / "x.png", writers.SMOKE_WARNING)
    assert writers.SMOKE_WARNING in texts(figure)
    panels.save(tmp_path, "denoising", "embedded", 50, "IR-NAS", item("camera"))
    figure = all.panel_of(tmp_path, "denoising", smoke=True)
    plots.save(figure, tmp_path / "x.png", writers.SMOKE_WARNING)
    assert figure.get_supxlabel().endswith(writers.SMOKE_WARNING)


def test_a_profile_that_never_ran_has_no_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(all, "run_folder", lambda profile: tmp_path / profile)
    assert all.main(["--profile", "paper"]) == 1
    assert capsys.readouterr().err == "profile paper has not run here: make reproduce PROFILE=paper\n"
    assert not (tmp_path / "paper").exists()


def test_damage_is_told_in_one_line(tmp_path, capsys):
    assert all.main(["--checkpoints", str(tmp_path / "nowhere")]) == 1
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "bad.json").write_text("{")
    assert all.main(["--checkpoints", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and "no such folder" in errors[0] and "bad.json" in errors[1]
    assert not (tmp_path / "out").exists()
