"""Pictures of systems that were trained at one budget: who is ahead, and what each one costs."""

import math
import textwrap
from collections.abc import Mapping

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from irnas_lib.figures.plots import STYLE, Plot, not_run
from irnas_lib.tables.comparison import Comparison


@matplotlib.rc_context(STYLE)
def ranking(compared: Comparison) -> Figure:
    """How far each system is ahead of the reference in PSNR (dB), picture by picture, with its 95% interval over the
    pictures (thick) and over pictures and seeds (thin); the best on top. The input, systems without an interval and
    failed ones are left out.

    compared: of `comparison.side_by_side`.
    """
    rows = [row for row in compared.rows if row.verdict and row.gain and not row.failed]
    if not rows:
        return not_run("Systems at one budget")
    plot = Plot(6.4, 0.9 + 0.28 * len(rows))
    axes = plot.subplots()
    for i, row in enumerate(reversed(rows)):
        axes.errorbar(row.ahead, i, xerr=row.both, fmt="none", ecolor="k", capsize=3, elinewidth=0.8)
        axes.errorbar(row.ahead, i, xerr=row.half, fmt="ko", elinewidth=3, ecolor="0.6",
                      markerfacecolor="k" if row.result.iterations else "w")
    axes.axvline(0, color="0.5", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row.result.system}  {row.psnr:.2f} dB" for row in reversed(rows)])
    reference = next((row.psnr for row in compared.rows if row.result.system == compared.reference), None)
    level = "" if reference is None else f" ({reference:.2f} dB)"
    axes.set_xlabel(f"PSNR over {compared.reference}{level}, in dB\n"
                    "95% over the pictures (thick) and over other seeds too (thin). Hollow: not trained.")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    return plot


@matplotlib.rc_context(STYLE)
def psnr_against_cost(compared: Comparison, taken: Mapping[str, float] | None = None,
                      over_seeds: float = 0.0) -> Figure:
    """PSNR of systems at one budget against their registered parameters, and against the seconds that they take for
    the test set. Each point has its name beside it.

    compared: of `comparison.side_by_side`; taken: of `times.scaled`. A system stands where its cost is known.
    over_seeds: where it is known, half the 95% interval of one network's PSNR over other seeds, drawn once on the left.
    """
    rows = [row for row in compared.rows if row.result.parameters or row.result.system in (taken or {})]
    if not rows:
        return not_run("PSNR against parameters and time")
    plot = Plot(8.4, 4.4)
    plot.suptitle(compared.title.replace("; ", "\n").replace(", recipe", "\nrecipe"), size=9)
    sides = plot.subplots(1, 2, sharey=True)
    lowest, highest = min(row.psnr for row in rows), max(row.psnr for row in rows)
    for axes, costs in zip(sides, ({row.result.system: row.result.parameters for row in rows}, taken or {})):
        free = math.inf  # PSNR below which a label hides no other
        for row in sorted(rows, key=lambda row: -row.psnr):
            name = row.result.system
            if cost := costs.get(name):
                axes.plot(cost, row.psnr, "ko", markersize=5, label=name,
                          markerfacecolor="k" if row.result.iterations else "w")
                free = min(row.psnr, free - (highest - lowest) / 16)
                axes.annotate(f"{name} (failed)" if row.failed else name, (cost, row.psnr), (1.02, free),
                              textcoords=axes.get_yaxis_transform(), va="center",
                              arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.6})
    sides[0].set(xlabel="registered parameters", ylabel="PSNR (dB)", xscale="log")
    sides[1].set(xlabel="seconds for the whole test set", xscale="log")
    if not taken:
        sides[1].text(0.5, 0.5, "time: not run", ha="center", va="center", transform=sides[1].transAxes)
    for axes, ticks in zip(sides, ((1, 2, 5), (1, 3))):
        axes.margins(0.15)
        axes.xaxis.set_major_locator(LogLocator(subs=ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if not axes.lines:
            axes.set_xticks([])
    if over_seeds > 0:
        middle, place = (lowest + highest) / 2, sides[0].get_yaxis_transform()
        sides[0].annotate("", (0.05, middle - over_seeds), (0.05, middle + over_seeds), xycoords=place,
                          arrowprops={"arrowstyle": "|-|, widthA=0.3, widthB=0.3", "shrinkA": 0, "shrinkB": 0})
        sides[0].text(0.08, middle + over_seeds, f"one run around its mean\nover seeds: ± {over_seeds:.2f} dB",
                      va="top", fontsize=9, transform=place)
        low, high = sides[0].get_ylim()
        sides[0].set_ylim(min(low, middle - over_seeds - 0.05), max(high, middle + over_seeds + 0.05))
    untimed = [row.result.system for row in rows if row.result.system not in (taken or {})]
    if taken and untimed:
        sides[1].set_xlabel(sides[1].get_xlabel() + "\n" + textwrap.fill(f"(not timed: {', '.join(untimed)})", 44))
    return plot
