"""Pictures of what holds up: the intervals of all claims at once, and how often each verdict was given."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irnas_lib.figures import drawing
from irnas_lib.figures.plots import STYLE, Plot, not_run
from irnas_lib.tables.trace import Traced
from irnas_lib.tables.verdicts import VERDICTS, Verdict

BEYOND = 2.0  # dB: printed numbers that lie farther from all intervals would squeeze them
RED = drawing.CHANGED["color"]
FILLS = dict(zip(VERDICTS, ("#1B4F8F", "#7FA6D3", "#C9DBEE", RED, "#E9A3A3", "0.6", "0.8", "0.92", "0.97", "w")))
DARK = ("#1B4F8F", RED)


@matplotlib.rc_context(STYLE)
def intervals(found: Sequence[Verdict]) -> Figure:
    """Each difference in PSNR that has an error, with its 95% interval: thick over test pictures, thin with training
    seeds as well, and dotted where their spread is borrowed. A cross: what the paper says; beyond the edge it is an
    arrow with its number. What is not trained has a panel and a scale of its own, at the top."""
    shown = [verdict for verdict in found if verdict.unit == "dB" and not math.isnan(verdict.measured + verdict.both)]
    if not shown:
        return not_run("Claims and their intervals")
    panels = [panel for panel in ([verdict for verdict in shown if (verdict.both == verdict.pictures) == untrained]
                                  for untrained in (True, False)) if panel]
    heights = [len(panel) + 1.3 * len({verdict.topic for verdict in panel}) + 1.5 for panel in panels]
    plot = Plot(8.2, 0.6 + 0.2 * sum(heights))
    for axes, panel in zip(plot.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0], panels):
        _panel(axes, panel)
    handles = {}
    for axes in plot.axes:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels())))
    plot.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2,
                title="thick: 95% interval over test pictures; thin: with training seeds as well;\n"
                "dotted: their spread is that of another network, or of shorter runs", title_fontsize=8)
    return plot


def _panel(axes: Axes, shown: Sequence[Verdict]) -> None:
    row, ticks = 0.0, {}
    ends = [verdict.measured + side * verdict.both for verdict in shown for side in (-1, 1)]
    near = [verdict.printed for verdict in shown if min(ends) - BEYOND < verdict.printed < max(ends) + BEYOND]
    margin = 0.04 * (max(ends + near) - min([0, *ends, *near]))
    low, high = min([0, *ends, *near]) - margin, max(ends + near) + margin
    for topic in dict.fromkeys(verdict.topic for verdict in shown):
        axes.text(-0.005, row, topic, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        for verdict in (verdict for verdict in shown if verdict.topic == topic):
            row += 1
            ticks[row] = verdict.claim
            for half, style in ((verdict.both, {"linewidth": 0.9, "linestyle": ":" if verdict.borrowed else "-"}),
                                (verdict.pictures, {"linewidth": 3.5, "solid_capstyle": "butt"})):
                axes.plot([verdict.measured - half, verdict.measured + half], [row, row], color="k", **style)
            axes.plot(verdict.measured, row, "ko", markersize=5, markerfacecolor="w", label="measured here")
            if low < verdict.printed < high:
                axes.plot(verdict.printed, row, "x", color=RED, markersize=6, markeredgewidth=1.5,
                          label="in the paper")
            elif not math.isnan(verdict.printed):
                left = verdict.printed < low
                axes.annotate(f"{verdict.printed:+.2f}", (low if left else high, row), (18 if left else -18, 0),
                              textcoords="offset points", ha="left" if left else "right", va="center", size=8,
                              color=RED, arrowprops={"arrowstyle": "->", "color": RED})
            axes.text(1.01, row, verdict.verdict, transform=axes.get_yaxis_transform(), va="center")
        row += 1.3
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set(yticks=list(ticks), yticklabels=ticks.values(), ylim=(row - 0.5, -0.7), xlim=(low, high),
             xlabel="difference in PSNR (dB)")
    axes.tick_params(axis="y", length=0)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


@matplotlib.rc_context(STYLE)
def ledger(groups: Mapping[str, Sequence[Traced] | Sequence[Verdict]], what: str = "printed numbers") -> Figure:
    """How many printed numbers, or claims, of each group, such as a table, have each verdict."""
    plot = Plot(8.2, 1.0 + 0.3 * len(groups))
    axes = plot.subplots()
    for row, entries in enumerate(groups.values()):
        counts, left = Counter(entry.verdict for entry in entries), 0
        for verdict in filter(counts.get, VERDICTS):
            axes.barh(row, counts[verdict], left=left, color=FILLS[verdict], edgecolor="k", linewidth=0.6, height=0.72)
            axes.text(left + counts[verdict] / 2, row, str(counts[verdict]), ha="center", va="center",
                      color="w" if FILLS[verdict] in DARK else "k")
            left += counts[verdict]
    given = Counter(entry.verdict for entries in groups.values() for entry in entries)
    handles = [matplotlib.patches.Patch(facecolor=FILLS[verdict], edgecolor="k", linewidth=0.6,
                                        label=f"{verdict} ({given[verdict]})")
               for verdict in filter(given.get, VERDICTS)]
    axes.set(yticks=range(len(groups)), yticklabels=groups, ylim=(len(groups) - 0.5, -0.5), xlabel=what)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(axis="y", length=0)
    plot.legend(handles=handles, loc="outside upper center", ncols=len(handles) if len(handles) < 7 else 5,
                handlelength=1.5, columnspacing=1.2)
    return plot
