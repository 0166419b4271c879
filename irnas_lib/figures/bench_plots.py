"""Pictures of what bench.py has measured."""

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from irnas_lib.figures import drawing
from irnas_lib.figures.plots import DASHES, MARKERS, STYLE, Plot, not_run


@matplotlib.rc_context(STYLE)
def ratios(bench: Mapping[str, Mapping]) -> Figure:
    """Ours over the other side's, one bar a comparison, on a logarithmic axis; left of the line is better."""
    compared = {name: measured for name, measured in bench.items() if measured["ratio"]}
    if not compared:
        return not_run("Benchmarks")
    plot = Plot(7.2, 0.7 + 0.27 * len(compared))
    axes = plot.subplots()
    for row, measured in enumerate(compared.values()):
        axes.barh(row, math.log10(measured["ratio"]), color="0.75", edgecolor="k", linewidth=0.6, height=0.7)
        side, space = ("left", 0.03) if measured["ratio"] > 1 else ("right", -0.03)
        axes.text(math.log10(measured["ratio"]) + space, row, f"{measured['ratio']:.3g}", ha=side, va="center")
    labels = [f"{name}\nagainst {measured['against']}" for name, measured in compared.items()]
    axes.set_yticks(range(len(compared)), labels, size=6)
    low, high = axes.get_xlim()
    ticks = range(math.floor(low), math.ceil(high) + 1)
    axes.set_xticks(ticks, [f"{10.0 ** tick:g}" for tick in ticks])
    axes.set_xlim(low - 0.3, high + 0.3)
    axes.axvline(0, color="k", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("ours / theirs (1: the same)")
    return plot


def exponent(values: list[float], costs: list[float]) -> float:
    """p of the least-squares fit cost = c * value ** p."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])


@matplotlib.rc_context(STYLE)
def growth(measured: Mapping | None) -> Figure:
    """How time and peak memory of a supernet step grow, each axis relative to its first value, with exponents."""
    if not measured:
        return not_run("Growth of a supernet step")
    plot = Plot(7.2, 3.2)
    for axes, key, title in zip(plot.subplots(1, 2), ("seconds", "megabytes"), ("time of a step", "peak memory")):
        for i, (axis, steps) in enumerate(measured["axes"].items()):
            values, costs = [step[axis] for step in steps], [step[key] for step in steps]
            axes.loglog([value / values[0] for value in values], [cost / costs[0] for cost in costs],
                        linestyle=DASHES[i % len(DASHES)], marker=MARKERS[i], markersize=4,
                        color=drawing.COLOURS[i % len(drawing.COLOURS)],
                        label=f"{axis} {values[0]} ... {values[-1]}: {exponent(values, costs):.2f}")
        axes.set(title=title, xlabel="times the smallest value", ylabel="times the smallest cost")
        for ticked, ticks in ((axes.xaxis, (1, 2, 4, 8)), (axes.yaxis, (1, 2, 4, 8, 16))):
            ticked.set_major_locator(FixedLocator(ticks))
            ticked.set_minor_locator(NullLocator())
            ticked.set_major_formatter("{x:g}")
        axes.legend(title="exponent", loc="lower right", handlelength=3.5, fontsize=7)
    at = ", ".join(f"{axis} {value}" for axis, value in measured["from"].items())
    plot.supxlabel(f"the other settings at {at}", size=7)
    return plot


@matplotlib.rc_context(STYLE)
def precision(measured: Mapping | None) -> Figure:
    """The loss of the same training in float32 and in bfloat16."""
    if not measured:
        return not_run("Loss in float32 and bfloat16")
    plot = Plot(5.0, 2.6)
    axes = plot.subplots()
    for i, (name, run) in enumerate(measured.items()):
        curve = np.array(run["curve"])
        axes.plot(curve[:, 0], curve[:, 1], "k", linestyle=DASHES[2 * i], linewidth=1, label=name)
    axes.set(xlabel="iterations", ylabel="loss (Eq. 7)")
    axes.legend(handlelength=3.5)
    return plot
