# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A. Every printed number
#
# The paper prints 125 numbers. Against each stands a measurement of this project, or the reason why there is none. This
# appendix is for looking things up; begin with [the start page](00_start_here.ipynb). [Notebook 16](16_verdicts.ipynb)
# takes the claims one by one.
#
# ## What we found
#
# - **103 of the 125 numbers cannot be compared with ours.** For 58 the reason is ours: we measured 20 of the 200 test
#   pictures. For 36 it is the paper's: 30 are of a protocol that it does not name, and 6 of pictures that were never
#   published. Eight are times, or depend on times, of another machine, and one is a share of another baseline. Longer
#   measurements alone would not settle the 58, since nearly all are of networks that were trained too briefly. By these
#   103 the paper is neither confirmed nor refuted.
# - Four numbers are reproduced, all of WNNM, which is not trained. Nine more agree, but something of our measurement
#   had been inferred from them (`fitted`, which is no evidence).
# - **Two printed parameter counts are far from what we count.** NLRN is printed with 0.98M and has 0.32M (340,099), so
#   that IR-NAS has 195% of its parameters instead of 64%; the printed number is that of all numbers in a checkpoint of
#   its training (exercise 3). MemNet is printed with 4.32M; built with shared weights, as in its authors'
#   [program](../REPRODUCTION.md#sources), it has 0.66M (694,280); for the 4.32M we have no explanation. (M is 2^20 on
#   this page, as the authors seem to count: the network's 661,693 are 0.63M.)
# - Two more numbers differ: the share of NLRN's parameters that follows from its count, and N3Net's count (0.68M
#   printed, which is what the bytes of its checkpoint give; 0.67M are registered: exercise 2). No PSNR or SSIM is among
#   them.
# - Four numbers need longer training before they say anything, and one claim was not run.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import importlib
from html import escape

import pandas as pd
from IPython.display import HTML, display

from irnas_lib.experiments import results, runs, times
from irnas_lib.figures import all, verdict_plots
from irnas_lib.files import ROOT, run_folder
from irnas_lib.tables import frames, printed, trace, verdicts, writers
from irnas_lib.tables.entries import SAME_TRAINING

print(runs.versions("torch", "numpy", "pandas", "matplotlib"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## How many numbers agree?

# %% alt="Stacked bars: how many of the printed numbers of each table and of the text have each verdict"
numbers = printed.load()
measured = list({result.stem: result
                 for folder in runs.folders(profile) for result in results.load(folder / "results")}.values())
traced = trace.trace(measured, times.load(), all.measurements(runs.SHIPPED, "bench"), runs.all_searches(profile))
assert [entry.printed for entry in traced] == numbers and len(numbers) == 125
titles = {str(number): f"Table {number}" for number in writers.LAYOUTS} | {"claim": "Claims of the text"}
groups = {title: [entry for entry in traced if entry.printed.where == where] for where, title in titles.items()}
display(verdict_plots.ledger(groups))

# %% [markdown]
# **What to notice.** Agreement (blue) is in Table 1 and, for one share, in the text; it is only among methods that are
# not trained and counts. Most scores of trained networks are light grey: before training decides anything, the pictures
# and the protocol would have to be the paper's. Some numbers are printed more than once, since Tables 4, 5 and 6 repeat
# rows of Tables 1 and 3; the print below says how many different ones there are. The second table says why numbers
# cannot be compared.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
counts = pd.DataFrame({title.removeprefix("Table ").replace("Claims of the text", "text"): {
    "printed": len(entries), "measured here": sum(entry.measured is not None for entry in entries)} | {
    verdict: sum(entry.verdict == verdict for entry in entries) for verdict in trace.VERDICTS}
    for title, entries in ({"all": traced} | groups).items()})
(counts[counts["all"] > 0].style.set_uuid("counts").set_caption("by table").format(lambda count: count or "")
 .set_properties(subset=["all"], **{"font-weight": "bold"}))

# %% jupyter={"source_hidden": true} tags=["hide-input"]
CAUSES = {  # a reason, and what tells it in `why`
    "ours: 20 of the 200 test pictures": "ours is from", "the paper's: its protocol is unknown": "protocol is unknown",
    "the paper's: its pictures were never published": "other pictures", "ours: another baseline": "another baseline",
    "times of other hardware": "time"}
LETTERS = dict(zip([*CAUSES, "another"], "abcdef"))


def cause_of(entry):
    """What keeps a number from being compared."""
    return next((cause for cause, clause in CAUSES.items() if clause in entry.why.partition(";")[0]), "another")


barred = [entry for entry in traced if entry.verdict == trace.NOT_COMPARABLE]
causes = [cause_of(entry) for entry in barred]
short = [cause for entry, cause in zip(barred, causes) if "our training saw less" in entry.why]
display(frames.show(pd.DataFrame({"reason": f"({LETTERS[cause]}) {cause}", "numbers": str(causes.count(cause)),
                                  "of them, after too short a training": str(short.count(cause))}
                                 for cause in dict.fromkeys(causes)), "why numbers are not comparable"))
different = {(item.task, SAME_TRAINING.get(item.system, item.system), item.sigma, item.metric, item.value)
             for item in numbers}
print(f"{len(different)} of the {len(numbers)} numbers are different ones; the others are printed again")

# %% [markdown]
# ## What the verdicts mean
#
# - **reproduced**: ours can be compared, and lies as near as the next table allows.
# - **fitted**: it lies as near, but something of the measurement had been inferred from this number: the protocol
#   `half` from BM3D's rows, RED's channels and IR-NAS's path of widths from their parameter counts.
# - **differs**: ours can be compared and lies farther off.
# - **undertrained**: it lies farther off, but our training saw less than a tenth of the paper's pixels, so the number
#   remains open.
# - **not comparable**: other pictures, fewer pictures, an unknown protocol, a share of another baseline, or times of
#   other hardware, of which neither seconds nor ratios compare. NLRN's scores are here as well; its training failed,
#   that is, it ended far too low, and their lines say so.
# - **not run**: nothing is measured.
#
# The tolerances below are a choice, not a result. For scale: BM3D at sigma 50 has 0.62 dB less on pictures of half size
# than on whole ones ([notebook 12](12_protocols.ipynb)), so 0.15 dB tells these two apart; but it is nearly as large as
# the lead of WNNM over BM3D. A count is exact; a share of two printed counts of two digits may be whatever the rounding
# of the two allows.
#
# How far ours may lie from a printed number and count as reproduced:

# %% jupyter={"source_hidden": true} tags=["hide-input"]
near = [(verdicts.COSTS.get(item.id, metric), trace.tolerance(item)[-1])
        for metric in [*trace.ABSOLUTE, *trace.RELATIVE, *trace.QUOTIENTS]
        for item in [next(item for item in numbers if item.metric == metric)]]
pd.DataFrame(near, columns=["number", "may be off by"]).style.set_uuid("near").hide(axis="index")

# %% [markdown]
# ## The list
#
# Table by table; click to unfold or fold. The letter behind `not comparable` names the reason, as in the table of
# reasons above. Below each table stand its notes: how ours was trained or measured, and what the verdict rests on. With
# more decimals, as a file for programs: `figures/trace.csv`. The protocols are `strict` (a whole picture with one noise
# field), `redrawn` (overlapping tiles with fresh noise in each), `half` (a picture at half size) and, for rain,
# `strict_y` (the luma alone); [notebook 12](12_protocols.ipynb) explains them.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
def folded(title, columns, lines, notes=(), unfolded=False):
    """A table that a click unfolds, or folds, with numbered notes below it."""
    frame = pd.DataFrame([[escape(str(cell)) for cell in line] for line in lines], columns=columns)
    below = "".join(f"<li>{escape(note)}</li>" for note in notes)
    display(HTML(f"<details{' open' if unfolded else ''}><summary>{escape(title)}</summary>"
                 f"{frame.to_html(index=False, escape=False, border=0, justify='left')}<ol>{below}</ol></details>"))


for title, entries in groups.items():
    lines, notes = [], []
    for entry in entries:
        item, row = entry.printed, entry.row()
        of_entry = [note for note in (entry.budget.partition("; profile")[0], *entry.why.split("; ")) if note]
        notes += [note for note in of_entry if note not in notes]
        slip = f" ({item.note})" if item.note.startswith("slip: its source") else ""
        cause = f" ({LETTERS[cause_of(entry)]})" if entry.verdict == trace.NOT_COMPARABLE else ""
        lines.append((item.system + (f", sigma {item.sigma}" if item.sigma else ""), item.metric.replace("_", " "),
                      f"{item.value} {item.unit}{slip}", row["measured"], entry.protocol, row["difference"],
                      entry.verdict + cause, ", ".join(str(1 + notes.index(note)) for note in of_entry)))
    folded(f"{title}: {len(entries)} numbers", ["system", "metric", "printed", "measured", "protocol", "difference",
                                                "verdict", "notes"], lines, notes, title == "Table 1")

# %% [markdown]
# Some of the printed numbers are slips or contradict each other. These notes are repeated in every table, here with the
# weightiest first:

# %% jupyter={"source_hidden": true} tags=["hide-input"]
slips = {}
for item in numbers:
    for note in item.note.split("; "):
        if note.startswith("slip") or "swap" in note:
            noise = f" at sigma {item.sigma}" if item.sigma else ""
            note = 'printed as "IN_NAS"' if "IN_NAS" in note else note.removeprefix("slip: ").replace(
                "its source", f"printed {item.value}, where its source")
            slips.setdefault(note, []).append(f"Table {item.where}, {item.metric} of {item.system}{noise}")
order = sorted(slips, key=lambda note: ("IN_NAS" in note, "swap" in note, "pictures" not in note))
display(frames.show(pd.DataFrame({
    "note": note, "concerns": slips[note][0] + (f" and {len(slips[note]) - 1} more" if slips[note][1:] else "")}
    for note in order), f"{len(slips)} slips in the printed tables"))

# %% [markdown]
# ## The results behind it
#
# Behind each measured number stands a result file of `checkpoints/results/`, one for each training run:

# %% jupyter={"source_hidden": true} tags=["hide-input"]
real = [result for result in measured if result.profile != results.SMOKE]
hours = sum(result.seconds or 0 for result in real if result.iterations) / 3600
print(f"{len(real)} results, {sum(bool(result.iterations) for result in real)} of them training runs of {hours:.0f} "
      "hours together" + (f"; {len(measured) - len(real)} at smoke scale, which show only that it runs"
                     if len(measured) > len(real) else ""))
folded("all results", ["scale", "data", "sigma", "system", "iterations", "PSNR (dB) by protocol"], [
    (result.profile, result.dataset, "" if result.sigma is None else result.sigma, result.system,
     f"{result.iterations:,}" if result.iterations else "no training",
     ", ".join(f"{name} {score['psnr']:.2f}" for name, score in result.metrics.items()) or result.status)
    for result in measured])

# %% [markdown]
# ## Where each figure, table and equation is reproduced
#
# The notebook that explains it, the function that makes it, the file of `figures/` that it writes.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
ANALYSIS = "09_table4_architecture_analysis"
FIGURES = [  # what, notebook, function, file
    ("Figure 1: supercell and compact cell", "02_search_space", "figures.drawing.draw_cell_search", "figure1.svg"),
    ("Figure 2: supernet and final network", "02_search_space", "figures.drawing.draw_width_search", "figure2.svg"),
    ("Figure 3: pictures, BSD500", "06_table1_bsd500", "figures.plots.restored_panel", "figure3.png"),
    ("Figure 4: pictures, SIM1800 (rebuilt from BSD500)", "07_table2_sim1800", "figures.plots.restored_panel",
     "figure4.png"),
    ("Figure 5: pictures, Rain800", "08_table3_rain800", "figures.plots.restored_panel", "figure5.png"),
    ("Figure 6 (a): the networks", ANALYSIS, "figures.drawing.draw_network", "figure6a_denoising.svg"),
    ("Figure 6 (b): the cells", ANALYSIS, "figures.drawing.draw_cell", "figure6b_denoising.svg"),
    ("Figure 6 (c): other operations, R1", ANALYSIS, "figures.drawing.changes", "figure6c_denoising.svg"),
    ("Figure 6 (d): other connections, R2", ANALYSIS, "figures.drawing.changes", "figure6d_denoising.svg"),
    ("Table 1: denoising, BSD500", "06_table1_bsd500", "tables.writers.write", "table1.csv"),
    ("Table 2: denoising, SIM1800 (rebuilt from BSD500)", "07_table2_sim1800", "tables.writers.write", "table2.csv"),
    ("Table 3: deraining, Rain800", "08_table3_rain800", "tables.writers.write", "table3.csv"),
    ("Table 4: modified cells", ANALYSIS, "tables.writers.write", "table4.csv"),
    ("Table 5: the loss, BSD500", "10_tables_5_6_ablation", "tables.writers.write", "table5.csv"),
    ("Table 6: the loss, Rain800", "10_tables_5_6_ablation", "tables.writers.write", "table6.csv"),
]
METHOD = [  # what, notebook, function
    ("Eq. 1 to 3: a cell as a mixture", "02_search_space", "supercell.PlainSupercell"),
    ("Eq. 4 to 6: widths as a mixture, one cell for all ways in", "02_search_space", "supernet.Layer"),
    ("Section 3.1: keep two inputs of each node", "04_viterbi_decoding", "decode.derive_cell"),
    ("Section 3.2: the most probable path of widths", "04_viterbi_decoding", "decode.viterbi"),
    ("Section 3.3: the search", "03_search", "training.search.search"),
    ("Eq. 7: the loss", "05_training", "losses.restoration_loss"),
    ("Eq. 8: log-SSIM", "05_training", "losses.log_ssim"),
    ("Section 4.1: pictures, noise, crops", "01_datasets", "data.datasets.load"),
    ("Section 4.1: search settings", "03_search", "training.search.SearchSettings"),
    ("Section 4.1: training settings", "05_training", "training.recipes.RECIPES"),
    ("Section 4.3: the widest cell is nearest to the output", "04_viterbi_decoding", "decode.relative_path"),
    ("Section 4.3: no separable convolution is chosen", ANALYSIS, "genotypes.PUBLISHED"),
    ("Section 4.3: other operations or connections are worse", ANALYSIS, "genotypes.PUBLISHED"),
    ("Section 4.4: log-SSIM raises PSNR and SSIM", "10_tables_5_6_ablation", "losses.log_ssim"),
]
CLAIMS = {  # the numbers in the text: notebook, function
    "search_time": ("11_efficiency", "training.search.search"),
    "search_memory_vs_auto_deeplab": ("11_efficiency", "supernet.Supernet"),
    "search_speed_vs_falsr": ("11_efficiency", "training.search.search"),
    "parameters_vs_n3net": ("11_efficiency", "evaluation.systems.parameter_count"),
    "parameters_vs_nlrn": ("11_efficiency", "evaluation.systems.parameter_count"),
    "time_saved_vs_n3net": ("11_efficiency", "evaluation.inference.restorer"),
    "speed_vs_rescan": ("11_efficiency", "evaluation.inference.restorer"),
}


# %% jupyter={"source_hidden": true} tags=["hide-input"]
claims = [(f"{item.metric.replace('_', ' ')}: {item.value} {item.unit}".strip(), *CLAIMS[item.metric])
          for item in numbers if item.where == "claim"]
known = {source.stem for source in (ROOT / "notebooks").glob("*.py")}
for _, notebook, function, *_ in [*FIGURES, *METHOD, *claims]:
    module, _, name = function.rpartition(".")
    assert hasattr(importlib.import_module(f"irnas_lib.{module}"), name), f"there is no {function}"
    assert notebook in known, f"there is no notebook {notebook}"

places = [folder / "figures" for folder in (ROOT, run_folder(profile))]
there = sum(any((folder / file).is_file() for folder in places) for *_, file in FIGURES)
folded(f"{len(FIGURES)} figures and tables", ["figure or table", "notebook", "function", "file in figures/"], FIGURES)
folded(f"{len(METHOD) + len(claims)} sections, equations and claims", ["of the text", "notebook", "function"],
       [*METHOD, *claims])
print(f"{there} of the {len(FIGURES)} files existed when this page ran; the end of a run draws them all")

# %% [markdown]
# ## Exercises
#
# **1** (easy). Choose a number of a trained network in the paper's Table 1. Which files would have to change for its
# "measured" to change?
#
# <details><summary>Solution</summary>
#
# The result file of its training in `checkpoints/results/`, which holds the scores; everything else is made from that.
# The page then also needs the weights whose hash the result names, if it is measured anew, and
# `checkpoints/SHA256SUMS`, which lists both. `figures/table1.csv` and this page follow from them.
#
# </details>
#
# **2** (medium). The paper calls its network's 0.63M parameters 92.65% of N3Net's. What makes you doubt the comparison?
#
# <details><summary>Solution</summary>
#
# It is 0.63 / 0.68 = 92.65%, a share of two rounded numbers (by rounding alone it may be anything from 91.2 to 94.1%)
# that were counted by different rules. N3Net's 0.68M is what one finds if one divides the bytes of its checkpoint by 4
# and by 2^20; its program registers 705,511 parameters. IR-NAS's 0.63M is 661,693 divided by 2^20, again all that are
# registered. The share of registered parameters is 93.79%. But 57,600 of IR-NAS's belong to a layer that is never used;
# without them the share is 85.62%.
#
# </details>
#
# **3** (hard). Take a claim whose verdict is `differs`. Is the paper wrong, is this project, or do the two count
# different things? How would you find out?
#
# <details><summary>Solution</summary>
#
# Take "64.29% of NLRN's parameters", where 194.56% is found. The printed share is 0.63 / 0.98. But NLRN's authors share
# the weights of one block over all its steps: their [program](../REPRODUCTION.md#sources) has 340,099 parameters, a
# third of 0.98M. Their `train.py` shows where the rest may come from. It trains with Adam, which keeps two moments of
# each parameter, and saves everything: 3 · 340,099 numbers, and 9,474 running statistics of the batch norms, are
# 1,029,771, or 0.98 in units of 2^20. So the two counts are of different things, and IR-NAS is not the smaller one. To
# be sure one would need to know how 0.98M was counted.
#
# </details>
