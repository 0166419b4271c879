"""Pictures of what holds: the intervals of all claims at once, and how often each verdict was given."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from irnas_lib.figures import drawing
from irnas_lib.figures.plots import STYLE, Plot, not_run
from irnas_lib.tables.trace import VERDICTS, Traced
from irnas_lib.tables.verdicts import Verdict

BEYOND = 2.0  # dB: printed numbers that lie farther from all intervals would squeeze them
FILLS = ("0.15", "0.5", drawing.CHANGED["color"], "0.72", "0.88", "0.95", "w")  # of trace.VERDICTS


@matplotlib.rc_context(STYLE)
def intervals(found: Sequence[Verdict]) -> Figure:
    """Each difference in PSNR that has an error, with its 95% interval: thick over test pictures, thin with training
    seeds as well. A cross: what the paper says; beyond the edge it is an arrow with its number."""
    shown = [verdict for verdict in found if verdict.unit == "dB" and not math.isnan(verdict.both)]
    if not shown:
        return not_run("Claims and their intervals")
    topics = list(dict.fromkeys(verdict.topic for verdict in shown))
    plot = Plot(8.2, 0.9 + 0.19 * (len(shown) + 1.3 * len(topics)))
    axes = plot.subplots()
    row, ticks = 0.0, {}
    ends = [verdict.measured + side * verdict.both for verdict in shown for side in (-1, 1)]
    near = [verdict.printed for verdict in shown if min(ends) - BEYOND < verdict.printed < max(ends) + BEYOND]
    low, high = min(ends + near) - 0.2, max(ends + near) + 0.2
    for topic in topics:
        axes.text(-0.005, row, topic, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        for verdict in (verdict for verdict in shown if verdict.topic == topic):
            row += 1
            ticks[row] = verdict.claim
            for half, width in ((verdict.both, 0.9), (verdict.pictures, 3.5)):
                axes.plot([verdict.measured - half, verdict.measured + half], [row, row], "k-", linewidth=width,
                          solid_capstyle="butt")
            axes.plot(verdict.measured, row, "ko", markersize=5, markerfacecolor="w", label="measured here")
            if low < verdict.printed < high:
                axes.plot(verdict.printed, row, "kx", markersize=6, markeredgewidth=1.5, label="in the paper")
            elif not math.isnan(verdict.printed):
                left = verdict.printed < low
                axes.annotate(f"{verdict.printed:+.2f}", (low if left else high, row), (18 if left else -18, 0),
                              textcoords="offset points", ha="left" if left else "right", va="center", size=8,
                              arrowprops={"arrowstyle": "->"})
            axes.text(1.01, row, verdict.verdict, transform=axes.get_yaxis_transform(), va="center")
        row += 1.3
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set(yticks=list(ticks), yticklabels=ticks.values(), ylim=(row - 0.5, -0.7), xlim=(low, high),
             xlabel="difference in PSNR (dB)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    plot.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2,
                title="thick: 95% interval over test pictures; thin: with training seeds as well", title_fontsize=8)
    return plot


@matplotlib.rc_context(STYLE)
def ledger(groups: Mapping[str, Sequence[Traced]]) -> Figure:
    """How many printed numbers of each group, such as a table, have each verdict of `trace`."""
    plot = Plot(8.2, 0.9 + 0.3 * len(groups))
    axes = plot.subplots()
    for row, traced in enumerate(groups.values()):
        counts, left = Counter(entry.verdict for entry in traced), 0
        for verdict, colour in zip(VERDICTS, FILLS):
            if counts[verdict]:
                axes.barh(row, counts[verdict], left=left, color=colour, edgecolor="k", linewidth=0.6, height=0.72)
                axes.text(left + counts[verdict] / 2, row, str(counts[verdict]), ha="center", va="center",
                          color="w" if colour in FILLS[:3] else "k")
            left += counts[verdict]
    given = Counter(entry.verdict for traced in groups.values() for entry in traced)
    handles = [matplotlib.patches.Patch(facecolor=colour, edgecolor="k", linewidth=0.6,
                                        label=f"{verdict} ({given[verdict]})")
               for verdict, colour in zip(VERDICTS, FILLS) if given[verdict]]
    axes.set(yticks=range(len(groups)), yticklabels=groups, ylim=(len(groups) - 0.5, -0.5), xlabel="printed numbers")
    axes.tick_params(axis="y", length=0)
    plot.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=1.5, columnspacing=1.2)
    return plot
