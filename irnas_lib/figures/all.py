"""The paper's figures and tables as files, from a checkpoints folder alone.

`python -m irnas_lib.figures.all` writes every figure and table again: it trains nothing and needs no data set.
"""

import argparse
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

from irnas_lib.command import exit_status
from irnas_lib.data.tasks import TASKS
from irnas_lib.decode import derive_cell
from irnas_lib.experiments import cells, choices, manifest, records, results, runs, times
from irnas_lib.figures import bench_plots, cell_plots, comparison_plots, drawing, panels, plots, verdict_plots
from irnas_lib.files import ROOT, atomically, run_folder
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.network import RestorationNetwork
from irnas_lib.search_space import OPERATIONS
from irnas_lib.supercell import Supercell
from irnas_lib.supernet import Supernet
from irnas_lib.tables import comparison, trace, verdicts, writers

MEASUREMENTS = {"bench": records.BENCH, "growth": records.GROWTH, "precision": records.PRECISION,
                "brightness": records.BRIGHTNESS}
SIGMAS = (50, 30, 70)  # which noise level a figure shows: the first that there is


def write_all(checkpoints: str | Path, out: str | Path, smoke: bool = False) -> list[Path]:
    """Writes every figure and table that a checkpoints folder allows into `out`; returns the files.

    What has not been measured is drawn or printed as "not run". With `smoke`, smoke results count, and only they.
    Raises ResultError, CheckpointError, PictureError or DrawingError for damaged files.
    """
    checkpoints, out = Path(checkpoints), Path(out)
    manifest.check(checkpoints)
    measured = [result for result in results.load(checkpoints / "results")
                if (result.profile == results.SMOKE) == smoke]
    files = []

    def graph(name, picture):
        files.extend(drawing.render(picture, out / f"{name}{suffix}") for suffix in (".svg", ".png"))

    def plot(name, figure):
        files.append(plots.save(figure, out / f"{name}.png", writers.SMOKE_WARNING if smoke else ""))

    example = derive_cell(torch.randn(9, len(OPERATIONS), generator=torch.Generator().manual_seed(3)))  # 3 nodes
    graph("figure1", drawing.draw_cell_search(Supercell(3, 10), example))
    graph("figure2", drawing.draw_width_search(Supernet(), published_network("denoising")))
    for number, task in ((3, "denoising"), (4, "sim1800"), (5, "deraining")):
        plot(f"figure{number}", panel_of(checkpoints / "panels", task, smoke))
    for task in ("denoising", "deraining"):
        original = PUBLISHED[task, "IR-NAS"].genotype
        graph(f"figure6a_{task}", drawing.draw_network(published_network(task)))
        for letter, system in (("b", "IR-NAS"), ("c", "IR-NAS, R1"), ("d", "IR-NAS, R2")):
            cell = PUBLISHED[task, system].genotype
            graph(f"figure6{letter}_{task}", drawing.draw_cell(cell, drawing.changes(cell, original)))
    searches = {path.stem: runs.load_search(path) for path in sorted((checkpoints / "searches").glob("[!.]*.json"))}
    for name, record in searches.items():
        if (record["profile"] == results.SMOKE) != smoke:
            continue
        graph(f"search-{name}-cell", drawing.draw_cell(record["genotype"]))
        plot(f"search-{name}-curves", plots.search_curves(record))
        plot(f"search-{name}-trellis", plots.draw_trellis(torch.tensor(record["beta"]), record["path"]))
    trained = {task: cells.best_known([checkpoints / "cells"], task, smoke) for task in ("denoising", "deraining")}
    for task, groups_of_cells in trained.items():
        plot(f"cells_{task}", cell_plots.scores(groups_of_cells))
    groups = {}  # other recipes and weights of the loss have their figures in notebook 10
    for result in measured:
        if result.curve and results.has_usual_loss(result) and result.recipe == "matched":
            level = "" if result.sigma is None else f"-sigma{result.sigma:g}"
            name = f"training-{result.task}-{result.dataset}{level}-{result.profile}"
            groups.setdefault(name, []).append(result)
    for name, group in sorted(groups.items()):
        plot(name, plots.training_curve(group) if len(group) < 4 else plots.training_panels(group))
    if not smoke:  # a benchmark belongs to a machine, not to a profile; real rain to Rain800
        plot("before_after", plots.restored_panel(checkpoints / "panels", "denoising", "BSD500", 50,
                                                  ("BM3D", "IR-NAS + residual")))
        plot("figure5_real_rain", plots.restored_panel(checkpoints / "panels", "deraining", "real-rain"))
        for name, draw in (("bench", bench_plots.ratios), ("growth", bench_plots.growth),
                           ("precision", bench_plots.precision)):
            plot(f"efficiency-{name}", draw(measurements(checkpoints, name)))
    taken = {} if smoke else times.load(checkpoints / times.FILE.name)
    over_seeds, ssim_over_seeds = (verdicts.over_seeds(trained["denoising"], 1, metric) for metric in ("psnr", "ssim"))
    compared = comparison.side_by_side(measured, smoke=smoke, over_seeds=over_seeds, ssim_over_seeds=ssim_over_seeds)
    plot("psnr_against_cost", comparison_plots.psnr_against_cost(compared, times.scaled(taken.get("denoising"))))
    plot("ranking_at_one_budget", comparison_plots.ranking(comparison.side_by_side(
        measured, smoke=smoke, reference="IR-NAS + residual", over_seeds=over_seeds, ssim_over_seeds=ssim_over_seeds)))
    files.append(out / "denoising_at_one_budget.md")
    with atomically(files[-1]) as partial:
        warning = f"**{writers.SMOKE_WARNING}**\n\n" if smoke else ""
        partial.write_text(warning + comparison.markdown(compared), encoding="utf-8")
    for number in writers.LAYOUTS:
        files += writers.write(number, measured, out, smoke, taken)
    if not smoke:  # which traces to nothing
        traced = trace.trace(measured, taken, measurements(checkpoints, "bench"), searches.values())
        files.append(trace.write(traced, out))
        recipes = choices.load([checkpoints / "choices"])
        known = verdicts.Evidence(measured, trained, recipes, list(searches.values()), traced,
                                  measurements(checkpoints, "brightness"))
        plot("verdicts", verdict_plots.intervals(verdicts.verdicts(known)))
    return files


def measurements(checkpoints: Path, name: str) -> dict:
    """What a checkpoints folder has of a name of MEASUREMENTS; empty if nothing."""
    path = checkpoints / f"{name}.json"
    return records.read(path, MEASUREMENTS[name]) if path.is_file() else {}


def published_network(task: str) -> RestorationNetwork:
    """The paper's own network for a task, untrained."""
    return RestorationNetwork(*PUBLISHED[task, "IR-NAS"], TASKS[task].channels)


def panel_of(folder: Path, task: str, smoke: bool = False) -> Figure:
    """`restored_panel` of the task's data set (smoke: the embedded pictures) at the first of SIGMAS that has crops."""
    dataset = "embedded" if smoke else TASKS[task].dataset
    chosen = SIGMAS if TASKS[task].sigmas else (None,)
    sigma = next((sigma for sigma in chosen if panels.load(folder, task, dataset, sigma)), chosen[0])
    return plots.restored_panel(folder, task, dataset, sigma)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.figures.all", description="Every figure and table, from "
                                     "results, searches and crops. Trains nothing.")
    parser.add_argument("--profile", help="of runs/PROFILE, instead of what is shipped")
    parser.add_argument("--checkpoints", type=Path, help="folder of results/, searches/ and panels/")
    parser.add_argument("--out", type=Path, help="folder to write to")
    given = parser.parse_args(arguments)

    def work():
        home = run_folder(given.profile) if given.profile else ROOT
        checkpoints = given.checkpoints or home / "checkpoints"
        if given.profile and not home.is_dir():
            raise FileNotFoundError(f"profile {given.profile} has not run here: make reproduce PROFILE={given.profile}")
        if given.checkpoints and not checkpoints.is_dir():
            raise FileNotFoundError(f"{checkpoints}: no such folder")
        for path in write_all(checkpoints, given.out or home / "figures", given.profile == results.SMOKE):
            print(path)
    return exit_status(work, stopped="")


if __name__ == "__main__":
    sys.exit(main())
