"""Pictures of searches, trainings and results. Each function returns a matplotlib Figure.

Styles, markers and labels carry what colour does.
"""

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.tasks import TITLES
from irnas_lib.decode import transition_scores, undecided, viterbi_path
from irnas_lib.experiments import results
from irnas_lib.experiments.results import Result
from irnas_lib.figures import drawing, panels
from irnas_lib.files import atomically
from irnas_lib.metrics import psnr, ssim
from irnas_lib.search_space import OPERATIONS, levels

DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = "osD^vP*X<>hp"
COLUMN = 8.4  # inches: the width of a page's column
ERROR_SHOWN = 0.2
STYLE = {"font.family": "DejaVu Sans", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False,
         "svg.hashsalt": "irnas", "figure.dpi": 110, "legend.frameon": False, "axes.titlesize": 8}


class Plot(Figure):
    """A Figure that notebooks show without pyplot."""

    def __init__(self, width: float, height: float):
        super().__init__(figsize=(width, height), layout="constrained")

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            self.savefig(content, format="png", dpi=110, metadata={"Software": None})
        return content.getvalue()


def not_run(what: str) -> Figure:
    """A frame for a figure that nothing has been measured for yet."""
    plot = Plot(6.5, 1.6)
    axes = plot.subplots()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, linestyle="--", color="0.5")
    axes.text(0.5, 0.5, f"{what}: not run", ha="center", va="center", transform=axes.transAxes, size=11)
    return plot


@matplotlib.rc_context(STYLE)
def search_curves(record: Mapping) -> Figure:
    """How a search went: PSNR on Train V, the operations' weights, the entropy of alpha.

    record: what `search.search` returns, with its settings. Grey: only weights were trained; the vertical line: the
    result.
    """
    history, settings = record["history"], record["settings"]
    warmed_up = history[-1]["iteration"] * settings["warmup_epochs"] / settings["epochs"]
    steps = [entry["iteration"] for entry in history]
    alpha = torch.tensor([entry["alpha"] for entry in history], dtype=torch.float64).softmax(dim=-1)
    plot = Plot(7.8, 2.6)
    quality, weights, decision = plot.subplots(1, 3)
    quality.plot(steps, [entry["psnr"] for entry in history], "k-o", markersize=2.5, linewidth=1)
    quality.set_title("PSNR on Train V (dB)")
    for column, (name, line) in enumerate(zip(OPERATIONS, alpha.mean(dim=1).T)):
        weights.plot(steps, line, linestyle=DASHES[column], color=drawing.COLOURS[column], label=name)
    weights.set_title("alpha: mean weight over edges")
    decision.plot(steps, undecided(alpha.flatten(0, 1)).view(len(steps), -1).mean(dim=1), "k-", linewidth=1)
    decision.set_title("alpha: mean entropy (1 = undecided)")
    decision.ticklabel_format(useOffset=False)
    for axes in (quality, weights, decision):
        axes.set_xlabel("iterations")
        axes.axvspan(0, warmed_up, color="0.9", zorder=0)
        axes.axvline(history[record["best"]]["iteration"], color="k", linewidth=0.6, zorder=0)
    plot.legend(*weights.get_legend_handles_labels(), ncols=len(OPERATIONS), handlelength=3,
                loc="outside upper center")
    return plot


@matplotlib.rc_context(STYLE)
def draw_softmax(alpha: Sequence[float], weights: Sequence[float], names: Sequence[str]) -> Figure:
    """One edge: its raw logits alpha, (K,), and beside them its operations' weights, their softmax."""
    plot = Plot(6.0, 2.0)
    for axes, values, title, limits in zip(plot.subplots(1, 2), (alpha, weights), ("raw alpha", "softmax of alpha"),
                                           ((-4.8, 4.8), (0, 1.1))):
        bars = axes.bar(names, values, color=[drawing.COLOURS[OPERATIONS.index(name)] for name in names])
        axes.bar_label(bars, fmt="%.2f", padding=2)
        axes.axhline(0, color="k", linewidth=0.8)
        axes.set(title=title, ylim=limits)
    return plot


@matplotlib.rc_context(STYLE)
def draw_losses(widths: Sequence[float], losses: Mapping[float, Sequence[float]], blurred: Sequence[torch.Tensor],
                clean: torch.Tensor) -> Figure:
    """The loss of a picture against the width of its blur, relative to the smallest, for each lambda; the pictures of
    the smallest losses and the clean one.

    losses: by lambda; blurred: a picture for each width; they and clean: (1, C, H, W) in [0, 1].
    """
    plot = Plot(COLUMN, 2.9)
    axes = plot.subplots(1, 2 + len(losses), width_ratios=(1.5, *[1] * (1 + len(losses))))
    shown = {}
    for i, (weight, values) in enumerate(losses.items()):
        smallest = min(range(len(values)), key=values.__getitem__)
        line, = axes[0].plot(widths, np.divide(values, values[smallest]), color=drawing.COLOURS[3 * i],
                             linestyle=DASHES[i], label=f"lambda {weight:g}")
        axes[0].plot(widths[smallest], 1, MARKERS[i], color=line.get_color())
        shown[f"smallest loss,\nlambda {weight:g}"] = blurred[smallest]
    axes[0].legend()
    axes[0].set(xlabel="standard deviation of the blur (pixels)", ylabel="loss, over its smallest", xscale="log",
                ylim=(0.95, 2.5))
    axes[0].set_xticks((0.5, 1, 2, 4), ("0.5", "1", "2", "4"), minor=False)
    axes[0].xaxis.set_minor_locator(NullLocator())
    for part, (title, picture) in zip(axes[1:], (shown | {"clean": clean}).items()):
        pixels = picture[0].clamp(0, 1).movedim(0, -1).numpy()
        part.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
        part.set_title(title)
        part.set_axis_off()
    return plot


@matplotlib.rc_context(STYLE)
def draw_trellis(beta: torch.Tensor, path: tuple[int, ...] | None = None,
                 others: Mapping[str, tuple[int, ...]] | None = None) -> Figure:
    """The trellis of raw logits beta, (rows, 3): every move with its probability, the chosen path bold.

    path: the levels of cells 1 ... L, Viterbi's where None. others: further paths by name, drawn dashed.
    """
    path, others = path or viterbi_path(beta)[0], others or {}
    scores = transition_scores(beta)
    plot = Plot(1.2 + 1.45 * len(scores), 3.0)
    axes = plot.subplots()
    for layer, moves in enumerate(scores, 1):
        for (source, level), score in moves.items():
            probability = math.exp(score)
            axes.plot([layer - 1, layer], [source, level], color="0.55", linewidth=0.4 + 3.5 * probability, zorder=1)
            near = 0.3 if source != level else 0.5  # of the way, so that labels of crossing moves stand apart
            axes.text(layer - 1 + near, source + near * (level - source), f"{probability:.2f}", size=7, ha="center",
                      va="center", zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
    axes.plot(range(len(path) + 1), (0, *path), color="k", linewidth=5, zorder=2, solid_capstyle="round",
              label=f"chosen {','.join(map(str, path))}")
    for i, (name, levels_taken) in enumerate(others.items()):
        shift = 0.09 * (1 + i // 2) * (-1) ** i
        axes.plot(range(len(levels_taken) + 1), np.array((0, *levels_taken)) + shift, zorder=3, linewidth=1.8,
                  linestyle=DASHES[1 + i % 3], color=drawing.COLOURS[3 - i % 4],
                  label=f"{name} {','.join(map(str, levels_taken))}")
    for layer in range(len(scores) + 1):
        for level in levels(layer):
            axes.text(layer, level, f"{2 ** level}W" if level else "W", ha="center", va="center", zorder=5, size=8,
                      bbox={"boxstyle": "circle,pad=0.35", "facecolor": drawing.CELL, "edgecolor": "k"})
    axes.set(xticks=range(len(scores) + 1), yticks=levels(len(scores)), xlim=(-0.3, len(scores) + 0.3),
             ylim=(len(levels(len(scores))) - 0.6, -0.4), xlabel="layer", ylabel="level")
    axes.set_xticklabels(["start", *range(1, len(scores) + 1)])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    plot.legend(loc="outside upper center", ncols=1 + len(others), handlelength=3.5)
    return plot


@matplotlib.rc_context(STYLE)
def training_curve(results: Iterable[Result]) -> Figure:
    """Loss and PSNR of the training batches, of every result that keeps a curve: as logged, and smoothed."""
    results = [result for result in results if result.curve]
    if not results:
        return not_run("Training curve")
    plot = Plot(7.2, 2.3 + 0.16 * ((len(results) + 1) // 2))
    for axes, column, title in zip(plot.subplots(1, 2), (1, 2), ("loss (Eq. 7)", "PSNR of the batch (dB)")):
        for i, result in enumerate(results):
            curve = np.array(result.curve)
            marker = MARKERS[i % len(MARKERS)] if i >= len(DASHES) else None  # where the dashes are those of another
            line, = axes.plot(*_smooth(curve, column), linestyle=DASHES[i % len(DASHES)], marker=marker,
                              color=drawing.COLOURS[i % len(drawing.COLOURS)], label=_run_name(result),
                              markersize=4, markevery=0.1)
            axes.plot(curve[:, 0], curve[:, column], color=line.get_color(), alpha=0.25, linewidth=0.6)
        axes.set(title=title, xlabel="iterations", yscale="log" if column == 1 else "linear")
    plot.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, handlelength=4)
    profiles = dict.fromkeys(result.profile for result in results)
    plot.suptitle(f"profile {', '.join(profiles)}", size=8)
    return plot


@matplotlib.rc_context(STYLE)
def training_panels(results: Iterable[Result]) -> Figure:
    """PSNR of the training batches, a panel for each of many results that keep a curve: smoothed, over the others in
    grey."""
    results = [result for result in results if result.curve]
    if not results:
        return not_run("Training curves")
    curves = [_smooth(np.array(result.curve), 2) for result in results]
    columns = min(5, len(results))
    rows = math.ceil(len(results) / columns)
    plot = Plot(1.6 * columns, 0.7 + 1.35 * rows)
    grid = plot.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    for i, (axes, result, points) in enumerate(zip(grid, results, curves)):
        for curve in curves:
            axes.plot(*curve, color="0.8", linewidth=0.6)
        axes.plot(*points, "k-", linewidth=1.3)
        axes.tick_params(labelbottom=i + columns >= len(results))  # nothing below it
        seed = f", seed {result.seed}" if len({result.seed for result in results}) > 1 else ""
        axes.set_title(f"{result.system}{seed}", size=7)
    for axes in grid[len(results):]:
        axes.set_visible(False)
    level = "" if results[0].sigma is None else f", sigma {results[0].sigma:g}"
    plot.suptitle(f"{results[0].dataset}{level}, recipe {results[0].recipe}, profile {results[0].profile}; grey: "
                  "the others", size=8)
    plot.supxlabel("iterations", size=8)
    plot.supylabel(f"PSNR of the batch (dB),{chr(10) if rows == 1 else ' '}running mean", size=8)
    return plot


def _smooth(curve: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Iterations and the running mean over a twelfth of a curve."""
    window = max(1, len(curve) // 12)
    return curve[window - 1:, 0], np.convolve(curve[:, column], np.ones(window) / window, mode="valid")


def _run_name(result: Result) -> str:
    sigma = "" if result.sigma is None else f", sigma {result.sigma:g}"
    weight = "" if results.has_usual_loss(result) else f", lambda {result.loss_lambda:g}"
    return f"{result.system}{sigma}, {result.recipe}{weight}, seed {result.seed}"


@matplotlib.rc_context(STYLE)
def restored_panel(folder: str | Path, task: str, dataset: str, sigma: float | None = None,
                   only: Sequence[str] | None = None, below: Mapping[str, str] = {}, pictures: int | None = None,
                   errors: bool = False) -> Figure:
    """Figures 3 to 5: the kept crops of a task, as wide as a page's column, one row per picture, or several where
    systems are many: degraded, each system that ran, or of these `only` some, and clean (where it is known: nobody has
    the clean side of real rain).

    below: one more line under the crops of a system, such as its budget. pictures: how many, the first ones; None for
    all. errors: below each row one of the absolute errors, of the mean over the channels, black for 0 and white for
    ERROR_SHOWN or more.
    """
    shown, title = panels.load(folder, task, dataset, sigma), TITLES.get(dataset, dataset)
    shown = dict(list(shown.items())[:pictures])
    if only is not None:
        kept = {panels.DEGRADED, *only, panels.CLEAN}
        shown = {picture: {name: crop for name, crop in crops.items() if name in kept}
                 for picture, crops in shown.items()}
    if not shown:
        return not_run(f"{task}, {title}")
    names = list(dict.fromkeys(name for crops in shown.values() for name in crops))
    names.sort(key=lambda name: name == panels.CLEAN)
    bands = 1 if len(names) <= 5 else math.ceil(len(names) / (4 if len(names) <= 12 else 5))  # rows of a picture
    columns, rows = math.ceil(len(names) / bands), len(shown) * bands * (1 + errors)
    side = min(COLUMN / columns, 2.8)
    lines = (bands > 1) + (panels.CLEAN in names) + bool(below)
    plot = Plot(side * columns, (side + 0.2 * lines * (0.5 if errors else 1)) * rows + 0.6)
    grid = plot.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    grid = grid.reshape(len(shown), bands, 1 + errors, columns).swapaxes(1, 2).reshape(len(shown), 1 + errors, -1)
    for (row, *beneath), crops in zip(grid, shown.values()):
        for axes, name in zip(row, names):
            axes.set_axis_on()
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if name not in crops:
                axes.set_box_aspect(1)
                axes.text(0.5, 0.5, "not run", ha="center", va="center", transform=axes.transAxes)
                continue
            axes.imshow(crops[name], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if name != panels.CLEAN and panels.CLEAN in crops:
                restored, clean = (to_tensor(crops[key]).unsqueeze(0) for key in (name, panels.CLEAN))
                quality = f"{psnr(restored, clean).item():.2f} / {ssim(restored, clean).item():.4f}"
                axes.set_xlabel("\n".join(filter(None, [quality, below.get(name)])), size=10)
                for under in beneath:
                    under[names.index(name)].imshow((restored - clean)[0].abs().mean(dim=0).numpy(), cmap="gray",
                                                    vmin=0, vmax=ERROR_SHOWN, interpolation="nearest")
    for row, *_ in grid[:None if bands > 1 else 1]:
        for axes, name in zip(row, names):
            axes.set_title(textwrap.fill(name, 22), size=10)
    level = "" if sigma is None else f", sigma {sigma:g}"
    scores = " PSNR (dB) / SSIM of the crop as shown, with 8 bits." if panels.CLEAN in names else ""
    scale = f"\nBelow: absolute error, black 0, white {ERROR_SHOWN} or more on the scale 0 to 1." if errors else ""
    plot.supxlabel(f"{title}{level}.{scores}{scale}", size=9)
    return plot


def save(plot: Figure, path: str | Path, note: str = "") -> Path:
    """Writes a figure, whole or not at all, as its suffix says: .png, always to the same bytes, or .svg, in which the
    layout's solver may move things by a millionth of a point.

    note: a line below the figure.
    """
    if note and plot.get_supxlabel():
        plot.supxlabel(f"{plot.get_supxlabel()}\n{note}", size=8)
    elif note:
        plot.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
        plot.text(0.5, 0.02, note, ha="center", size=7, style="italic")
    with atomically(path) as partial, matplotlib.rc_context(STYLE):
        drop = ("Software",) if partial.suffix == ".png" else ("Date", "Creator")
        plot.savefig(partial, dpi=200, metadata=dict.fromkeys(drop))
    return Path(path)
