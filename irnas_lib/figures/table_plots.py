"""Pictures of a table of cells: where its cells stand, what methods find in it, what PSNR depends on.

records: of `cell_table.read`, all of one task.
"""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from irnas_lib.experiments.table_facts import Effect, by_cell, means, random_cells
from irnas_lib.figures.plots import DASHES, STYLE, Plot, not_run

MARKED = {"IR-NAS": "*", "IR-NAS, R1": "^", "IR-NAS, R2": "s",
          **{f"searched {seed}": mark for seed, mark in enumerate("DdPXp")}}
FAR = 3


def _psnrs(records: Sequence[Mapping], pixels: int) -> tuple[dict[str, float], dict[str, float]]:
    """Mean PSNR in dB over the seeds of each cell, by its name: of the random cells, and of the MARKED ones."""
    known = means(records, pixels)
    return ({name: score for name, score in known.items() if name.startswith("random")},
            {name: known[name] for name in MARKED if name in known})


@matplotlib.rc_context(STYLE)
def distribution(records: Sequence[Mapping], pixels: int) -> Figure:
    """The share of random cells below each PSNR, and where the MARKED cells stand."""
    random, marked = _psnrs(records, pixels)
    psnr = sorted(random.values())
    if not psnr:
        return not_run("Where the cells of the table stand")
    plot = Plot(6.4, 2.8)
    axes = plot.subplots()
    axes.step(psnr, np.arange(1, len(psnr) + 1) / len(psnr), "k", where="post", label=f"{len(psnr)} random cells")
    for name, score in marked.items():
        share = np.mean(np.array(psnr) < score)
        axes.plot(score, share, f"k{MARKED[name]}", markersize=9, markerfacecolor="w", label=name)
    axes.set(xlabel="PSNR on test pictures (dB)", ylabel="share of cells that are worse", ylim=(0, 1.02))
    axes.legend()
    return plot


@matplotlib.rc_context(STYLE)
def seeds(records: Sequence[Mapping], pixels: int) -> Figure:
    """PSNR of each repeated cell from another seed against that from seed 0, the MARKED cells beside the random ones:
    seed 1 white, seed 2 grey; on the diagonal the two agree. A run more than FAR times the middle half's width away
    from that half is an arrow at the edge, with its PSNR."""
    kinds = {"random cells": ("o", random_cells(records)),
             **{name: (mark, [line for line in records if line["name"] == name]) for name, mark in MARKED.items()}}
    found = {(name, seed): [(each[0], each[seed]) for each in by_cell(chosen, pixels, level=False).values()
                            if {0, seed} <= each.keys()] for name, (_, chosen) in kinds.items() for seed in (1, 2)}
    found = {key: pairs for key, pairs in found.items() if pairs}
    if not found:
        return not_run("Several seeds of each cell")
    every = np.array([psnr for pairs in found.values() for pair in pairs for psnr in pair])
    low, high = np.quantile(every, (0.25, 0.75))
    near = every[(every >= low - FAR * (high - low)) & (every <= high + FAR * (high - low))]
    edge = np.array([near.min(), near.max()]) + 0.08 * np.ptp(near) * np.array([-1, 1])
    plot = Plot(6.4, 4.4)
    axes = plot.subplots()
    axes.axline((edge[0], edge[0]), slope=1, color="0.6", linewidth=1)
    for (name, seed), pairs in found.items():
        mark, within = kinds[name][0], [pair for pair in pairs if edge[0] < min(pair) and max(pair) < edge[1]]
        for pair in sorted(set(pairs) - set(within)):
            x, y = np.clip(pair, *edge)
            away = np.sign(np.array(pair) - (x, y))
            axes.annotate(f"{pair[1]:.2f}" if away[1] else f"{pair[0]:.2f}", (x, y), away * -28,
                          textcoords="offset points", ha="center", va="center", arrowprops={"arrowstyle": "->"})
        axes.plot(*zip(*within or [(np.nan, np.nan)]), f"k{mark}", markersize=5 if mark == "o" else 8,
                  markerfacecolor=("w", "0.6")[seed - 1],
                  label=f"{name}, seed {seed}" if mark == "o" else name if seed == 1 else None)
    axes.set(xlabel="PSNR from seed 0 (dB)", ylabel="PSNR from another seed (dB)", xlim=edge, ylim=edge)
    plot.legend(loc="outside right upper")
    return plot


@matplotlib.rc_context(STYLE)
def regrets(found: Mapping[str, np.ndarray]) -> Figure:
    """How far each method is from the best cell after so many queries: of `searching.regret`, (repetitions, queries),
    the mean, and in grey the middle half of the repetitions of the first."""
    if not found:
        return not_run("Regret")
    plot = Plot(6.4, 3.0)
    axes = plot.subplots()
    for i, (name, each) in enumerate(found.items()):
        queries = np.arange(1, each.shape[1] + 1)
        axes.plot(queries, each.mean(axis=0), "k", linestyle=DASHES[i], label=name)
        if i == 0:
            axes.fill_between(queries, *np.quantile(each, [0.25, 0.75], axis=0), color="0.88", linewidth=0,
                              label=f"{name}, the middle half")
    axes.set(xlabel="cells trained", ylabel="below the best of the table (dB)", ylim=(0, None))
    axes.legend()
    return plot


@matplotlib.rc_context(STYLE)
def effects(found: Sequence[Effect]) -> Figure:
    """What one more edge of a kind is worth, with its 95% interval."""
    if not found:
        return not_run("What PSNR depends on")
    plot = Plot(6.4, 0.9 + 0.24 * len(found))
    axes = plot.subplots()
    for row, effect in enumerate(found):
        axes.plot([effect.low, effect.high], [row, row], "k-", linewidth=1)
        axes.plot(effect.gain, row, "ko", markersize=5, markerfacecolor="w")
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set(yticks=range(len(found)), yticklabels=[effect.name for effect in found], ylim=(len(found) - 0.5, -0.5),
             xlabel="gain by one more edge (dB)")
    return plot


@matplotlib.rc_context(STYLE)
def cost(records: Sequence[Mapping], pixels: int) -> Figure:
    """PSNR of each cell against its network's multiply-accumulates, the MARKED cells marked; a line leads along the
    random cells that no other of them is better and cheaper than."""
    random, marked = _psnrs(records, pixels)
    if not random:
        return not_run("What a decibel costs")
    macs = {record["name"]: record["macs_per_pixel"] / 1e3 for record in records}
    points = sorted((macs[name], score) for name, score in random.items())
    front, best = [], -np.inf
    for thousands, score in points:
        if score > best:
            front.append((thousands, best := score))
    plot = Plot(6.4, 3.2)
    axes = plot.subplots()
    axes.plot(*zip(*points), "ko", markersize=4, markerfacecolor="w", label=f"{len(points)} random cells")
    axes.step(*zip(*front), "k", where="post", linewidth=1, label="none is better and cheaper")
    for name, score in marked.items():
        axes.plot(macs[name], score, f"k{MARKED[name]}", markersize=9, markerfacecolor="0.7", label=name)
    axes.set(xlabel="multiply-accumulates of the network (thousands a pixel)", ylabel="PSNR on test pictures (dB)")
    plot.legend(loc="outside right upper")
    return plot
