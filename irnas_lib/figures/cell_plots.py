"""Pictures of cells in numbers: what several searches chose and how sure they were, and what trained cells score.

searches: of `runs.load_search`, with "genotype", "settings", "beta" of shape (rows, 3), and "history", whose entries
have "iteration", "alpha" of shape (edges, 6) and "beta"; all raw logits. groups: of `cells.load`.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from statistics import mean
from string import ascii_lowercase

import matplotlib
import torch
from matplotlib.figure import Figure

from irnas_lib.experiments import table_facts
from irnas_lib.experiments.cells import GROUPS, by_group
from irnas_lib.experiments.search_choices import CHOICES, normalised_entropy
from irnas_lib.figures import drawing
from irnas_lib.figures.plots import DASHES, MARKERS, STYLE, Plot, not_run
from irnas_lib.genotypes import Genotype
from irnas_lib.search_space import OPERATIONS, states
from irnas_lib.tables.comparison import prediction_interval
from irnas_lib.training.search import SearchSettings

HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")


@matplotlib.rc_context(STYLE)
def chosen_edges(genotypes: Sequence[Genotype]) -> Figure:
    """How many of the cells give a node (row) an input (column), darker where more do, and with which operations. The
    first node has no choice of inputs."""
    if not genotypes:
        return not_run("Edges that searches choose")
    nodes = len(genotypes[0])
    names = states(nodes)
    plot = Plot(0.6 + nodes + 1, 0.6 + 0.55 * nodes)
    axes = plot.subplots()
    for row in range(nodes):
        for column, source in enumerate(names[:row + 2]):
            chosen = [edge.operation for cell in genotypes for edge in cell[row] if edge.source == source]
            shade = f"{1 - 0.4 * len(chosen) / len(genotypes):.3f}"
            axes.add_patch(matplotlib.patches.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=shade,
                                                        edgecolor="k", linewidth=0.6))
            text = "\n".join([f"{len(chosen)} of {len(genotypes)}", ", ".join(chosen)] if chosen else ["0"])
            axes.text(column, row, text, ha="center", va="center", size=8)
    axes.set(xlim=(-0.52, nodes + 0.52), ylim=(nodes - 0.48, -0.52), xticks=range(nodes + 1), yticks=range(nodes),
             xticklabels=names[:-1], yticklabels=names[2:], xlabel="input", ylabel="node")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return plot


@matplotlib.rc_context(STYLE)
def chosen_operations(searches: Sequence[Mapping]) -> Figure:
    """How many edges of each search's cell have an operation, and how many would if all were equally likely; `none` is
    never kept."""
    if not searches:
        return not_run("Operations that searches choose")
    plot = Plot(6.0, 2.4)
    axes = plot.subplots()
    for i, record in enumerate(searches):
        counts = [sum(edge.operation == name for node in record["genotype"] for edge in node)
                  for name in OPERATIONS[:-1]]
        width = 0.8 / len(searches)
        axes.bar([x + width * (i + 0.5) - 0.4 for x in range(len(counts))], counts, width, color="0.9", edgecolor="k",
                 hatch=HATCHES[i % len(HATCHES)], label=_seed(record))
    axes.axhline(2 * len(searches[0]["genotype"]) / (len(OPERATIONS) - 1), color="k", linestyle="--", linewidth=1,
                 label="drawn at random")
    axes.set(xticks=range(len(OPERATIONS) - 1), xticklabels=OPERATIONS[:-1], ylabel="edges of the cell")
    axes.yaxis.get_major_locator().set_params(integer=True)
    plot.legend(loc="outside right upper")
    return plot


@matplotlib.rc_context(STYLE)
def power(deviation: float, sizes: Sequence[tuple[int, int]], largest: float = 1.25) -> Figure:
    """The chance that groups of so many cells show a true difference of their means, against that difference in dB, a
    line for each pair of sizes. deviation: of cells within a group."""
    plot = Plot(5.4, 2.6)
    axes = plot.subplots()
    differences = [largest * step / 25 for step in range(26)]
    for i, (first, second) in enumerate(sizes):
        chances = [table_facts.power(difference, deviation, first, second, draws=4000) for difference in differences]
        axes.plot(differences, chances, "k", linestyle=DASHES[i % len(DASHES)], linewidth=1.2 if i else 2,
                  label=f"{first} against {second} cells")
    axes.axhline(0.8, color="0.6", linewidth=0.8, zorder=0)
    axes.set(xlabel="true difference in PSNR (dB)", ylabel="chance that it shows", xlim=(0, largest), ylim=(0, 1.03))
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
    axes.grid(color="0.92")
    plot.legend(loc="outside right upper", handlelength=3)
    return plot


@matplotlib.rc_context(STYLE)
def deciding(records: Sequence[Mapping], scale: str, names: Mapping[str, str] | None = None) -> Figure:
    """Left: the entropy of alpha in short searches that differ in a few settings, mean over seeds, each with the letter
    of its place in `search_choices.decided`. Right: the gradient of one logit after the printed search, its mean and
    its spread from batch to batch, beside what the printed decay adds to it where the logit is 0.1, and where it gives
    one operation among six half of the weight.

    records: of `search_choices.load`; names: of choices, for a legend of the letters.
    """
    records = [record for record in records if record["scale"] == scale]
    if not records:
        return not_run("Searches that differ in a few settings")
    plot = Plot(7.6, 3.9 if names else 3.4)
    left, right = plot.subplots(1, 2, width_ratios=(3, 2))
    known = {record["name"] for record in records}
    for i, choice in enumerate(choice for choice in CHOICES if choice.name in known):
        found = [record["history"] for record in records if record["name"] == choice.name]
        steps = [entry["iteration"] for entry in found[0]]
        means = [mean(normalised_entropy(torch.tensor(history[at]["alpha"], dtype=torch.float64),
                                       choice.changes.get("without", ())).mean().item()
                      for history in found) for at in range(len(steps))]
        left.plot(steps, means, "k", linestyle=DASHES[i % len(DASHES)], marker=MARKERS[i % len(MARKERS)], markersize=4,
                  markerfacecolor="w", linewidth=1,
                  label=f"{ascii_lowercase[i]}: {(names or {}).get(choice.name, choice.name)}")
        left.annotate(ascii_lowercase[i], (steps[-1], means[-1]), (5, 0), textcoords="offset points", va="center")
    left.set(xlabel="iterations", title="entropy of alpha (1: undecided)", ylim=(0, 1.03))
    decay, signals = SearchSettings().architecture_decay, [
        record["alpha_signal"]["untouched"] for record in records if record["name"] == CHOICES[0].name]
    bars = {f"gradient, {what}": mean(signal[key] for signal in signals)
            for what, key in (("mean", "size"), ("st. dev.", "spread")) if signals}
    bars |= {f"decay at alpha = {alpha}": alpha * decay for alpha in (0.1, 1.6)}
    right.plot(list(bars.values()), range(len(bars)), "ko", markerfacecolor="w")
    for row, value in enumerate(bars.values()):
        right.annotate(f"{value:.4f}", (value, row), (8, 0), textcoords="offset points", va="center")
    right.set(yticks=range(len(bars)), yticklabels=bars, xscale="log", title="what pulls at a logit",
              xlabel="size per batch (logarithmic)", xlim=(min(bars.values()) / 2, 8 * max(bars.values())),
              ylim=(len(bars) - 0.5, -0.5))
    right.grid(axis="y", color="0.92")
    if names:
        plot.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return plot


@matplotlib.rc_context(STYLE)
def learning(records: Sequence[Mapping], names: Mapping[str, str]) -> Figure:
    """What supernets learn while they search: their PSNR on Train V, a panel for each choice, a line for each seed; a
    cross at the end is the decoded cell with the supernet's weights; grey, alpha waits; dotted, the noisy pictures.

    records: of one scale, of `search_choices.load`; names: choices, each with the title of its panel.
    """
    found = {title: [record for record in records if record["name"] == name] for name, title in names.items()}
    if not all(found.values()):
        return not_run("What supernets learn while they search")
    plot = Plot(7.2, 2.6)
    for axes, (title, searches) in zip(plot.subplots(1, len(found), sharey=True, squeeze=False)[0], found.items()):
        settings = searches[0]["settings"]
        last = searches[0]["history"][-1]["iteration"]
        axes.axvspan(0, last * settings["warmup_epochs"] / settings["epochs"], color="0.9", linewidth=0)
        axes.axhline(mean(20 * math.log10(255 / sigma) for sigma in settings["sigmas"]), color="k", linestyle=":",
                     linewidth=1)
        for i, search in enumerate(searches):
            axes.plot(*zip(*((entry["iteration"], entry["psnr"]) for entry in search["history"])), "k",
                      linestyle=DASHES[i], marker=MARKERS[i], markersize=4, markerfacecolor="w", linewidth=1)
            if "inherited" in search:
                axes.plot([last] * 2, [search["history"][-1]["psnr"], search["inherited"]["decoded"]], "k-x",
                          markevery=[1], markersize=6, linewidth=0.5)
        axes.set(title=title, xlabel="iterations", xlim=(0, last * 1.06))
    plot.axes[0].set(ylabel="PSNR on Train V (dB)")
    return plot


@matplotlib.rc_context(STYLE)
def side_by_side(genotypes: Mapping[str, Genotype], original: Genotype | Mapping[str, Genotype] | None = None,
                 columns: int = 3) -> Figure:
    """Cells by name, their states always in the same places. Edges lead to the right: the first of a node's two above
    the line, the second below it. Those that the same node of `original` does not have are red, bold and dashed.
    original: one cell for all, or one for each name."""
    if not genotypes:
        return not_run("Cells")
    rows = math.ceil(len(genotypes) / columns)
    plot = Plot(2.3 * columns, 2.0 * rows)
    grid = list(plot.subplots(rows, columns, squeeze=False).flat)
    for axes in grid:
        axes.set_axis_off()
    for axes, (name, genotype) in zip(grid, genotypes.items()):
        first = original.get(name) if isinstance(original, Mapping) else original
        changed = drawing.changes(genotype, first) if first else set()
        names, labels = states(len(genotype)), []
        for node, pair in zip(names[2:], genotype):
            for position, edge in enumerate(pair):
                marked = (node, position) in changed
                left, right = names.index(edge.source), names.index(node)
                middle, height = (left + right) / 2, (0.35 + 0.35 * (right - left)) * (1, -1)[position]
                axes.add_patch(matplotlib.patches.Arc(
                    (middle, 0), right - left, 2 * abs(height), theta1=180 * position, theta2=180 * (position + 1),
                    color=drawing.CHANGED["color"] if marked else "k", linewidth=1.8 if marked else 0.8,
                    linestyle="--" if marked else "-"))
                labels.append(_free(labels, middle, (right - left) / 2, height))
                axes.text(*labels[-1], edge.operation, ha="center", va="center", size=8,
                          color=drawing.CHANGED["color"] if marked else "k", weight="bold" if marked else "normal",
                          bbox={"facecolor": "w", "edgecolor": "none", "pad": 0.6})
        for at, state in enumerate(names):
            axes.text(at, 0, state, ha="center", va="center", size=8,
                      bbox={"boxstyle": "circle,pad=0.2", "facecolor": drawing.INPUT if at < 2 else "w"})
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(-2.7, 2.5))
        axes.set_title(name, size=9)
    return plot


def _free(labels: Sequence[tuple[float, float]], middle: float, half: float, height: float) -> tuple[float, float]:
    """Where on an arc its label stands: at the top, or where that touches earlier labels, farthest from them."""
    places = [(middle + half * math.cos(angle), height * math.sin(angle))
              for angle in map(math.radians, (90, 65, 115, 50, 130, 40, 140))]

    def gap(place: tuple[float, float]) -> float:  # in sizes of a label, at most 1
        return min((max(abs(place[0] - x) / 1.15, abs(place[1] - y) / 0.5) for x, y in labels), default=1.0)
    return max((place for place in places if place is places[0] or abs(place[1]) > 0.5),
               key=lambda place: min(gap(place), 1.0))


@matplotlib.rc_context(STYLE)
def scores(groups: Mapping[str, Mapping]) -> Figure:
    """PSNR of every trained cell, a row for each group; the paper's own cells are stars. The grey band is where one
    more training of the published cell falls with a chance of 95%; the dashed line is that one of its trainings which
    had the seed of all other cells."""
    psnrs = {name: [(cell["name"].startswith("IR-NAS"), cell["psnr"]) for cell in trained if cell["psnr"] is not None]
             for name, trained in by_group(groups).items()}
    psnrs = {name: points for name, points in psnrs.items() if points}
    if not psnrs:
        return not_run("Cells at one small budget")
    plot = Plot(6.6, 1.3 + 0.42 * len(psnrs))
    axes = plot.subplots()
    published = [psnr for _, psnr in psnrs.get("published", ())]
    if len(published) > 2:
        axes.axvspan(*prediction_interval(published), color="0.88", zorder=0,
                     label="the published cell, another seed (95%)")
    for cell in groups.get("published", {}).get("cells", ()):
        if cell["psnr"] is not None:
            axes.axvline(cell["psnr"], color="k", linestyle="--", linewidth=0.8, zorder=0.5,
                         label="the published cell, the seed of the others")
    for row, points in enumerate(psnrs.values()):
        for papers, marker, size, label in ((False, "o", 6, "a cell"), (True, "*", 11, "the paper's own")):
            shown = [psnr for paper, psnr in points if paper == papers]
            axes.plot(shown, [row] * len(shown), f"k{marker}", markersize=size,
                      markerfacecolor="k" if papers else "w", label=label)
        if len(points) > 1:
            axes.plot([mean(psnr for _, psnr in points)] * 2, [row - 0.3, row + 0.3], "k-", label="mean of the group")
    first = next(iter(groups.values()))
    level = "" if first["budget"]["sigma"] is None else " sigma {sigma:g},".format(**first["budget"])
    axes.set(yticks=range(len(psnrs)), ylim=(len(psnrs) - 0.5, -0.5), xlabel="PSNR (dB)",
             yticklabels=[textwrap.fill(GROUPS[name], 20) for name in psnrs])
    axes.set_title("{}:{} {iterations:,} iterations of {batch} crops of {crop}x{crop}, {pictures} test pictures, "
                   "{protocol}".format(first["task"], level, **first["budget"]), size=8)
    found = dict(zip(*reversed(axes.get_legend_handles_labels())))
    plot.legend(found.values(), found.keys(), loc="outside lower center", ncols=2, fontsize=8)
    return plot


def _seed(record: Mapping) -> str:
    return f"seed {record['settings']['seed']}"
