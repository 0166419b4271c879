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
# # 0. Start here
#
# "IR-NAS: Neural Architecture Search for Image Restoration" (arXiv 1909.08228, version 1) lets gradient
# descent choose the layers and the widths of a small network that removes noise or rain from pictures. This
# project rebuilds all of it, search, decoding, training and measurement, as a library and nineteen notebooks that use
# it. At the end of this page you will know where each figure, table
# and claim of the paper is made here, how much of it has been measured so far, how to run it, and how to read
# a table.

# %%
import importlib
import os
import platform
import textwrap
from collections import Counter
from importlib.metadata import version

from IPython.display import Markdown, display

from irnas_lib.evaluation import protocols
from irnas_lib.experiments import results, runs, times
from irnas_lib.figures import all
from irnas_lib.files import ROOT, run_folder
from irnas_lib.pipeline import profiles
from irnas_lib.tables import printed, trace, writers

print("Python", platform.python_version(), "on", platform.system(), platform.machine())
for name in ("torch", "torchvision", "numpy", "numba", "scikit-image", "matplotlib", "papermill"):
    print(name, version(name))
print(f"{os.cpu_count()} cores; computing on {runs.device_name(runs.best_device())}")

# %% [markdown]
# The parameters. Every notebook has one cell like this, with plain values that a batch run replaces.
# `profile` is the scale of a run, `data` the folder of the real photographs (empty: see below).

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## Reading order
#
# Pictures, then the space of networks, then the search in it, then what it found; the tables come last. The
# course of one's own cell, from search to restored picture, is 3, 4 and 5 with `genotype = "searched"`.

# %%
notebooks = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
for notebook in notebooks:
    text = notebook.read_text(encoding="utf-8").splitlines()
    print(f"{notebook.stem:34}", next(line[4:] for line in text if line.startswith("# # ")))


# %% [markdown]
# ## The map: where each thing of the paper is made
#
# One line each: the notebook that explains it, the function that makes it, the file in `figures/` that comes
# out. The table is data, so that it can be checked: a name that is not there stops this page.

# %%
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
    ("Table 3: de-raining, Rain800", "08_table3_rain800", "tables.writers.write", "table3.csv"),
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

# %% [markdown]
# Now the check, and the map itself.


# %%
def table(columns, lines):
    """A Markdown table."""
    rows = [columns, ["---"] * len(columns), *lines]
    display(Markdown("\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)))


def made(file):
    """Whether a file of figures/ is there now, shipped with the project or made by this profile."""
    return any((folder / "figures" / file).is_file() for folder in (ROOT, run_folder(profile)))


numbers = printed.load()
claims = [(f"{item.metric.replace('_', ' ')}: {item.value} {item.unit}".strip(), *CLAIMS[item.metric])
          for item in numbers if item.where == "claim"]
known = {notebook.stem for notebook in notebooks}
for _, notebook, function, *_ in [*FIGURES, *METHOD, *claims]:
    module, _, name = function.rpartition(".")
    assert hasattr(importlib.import_module(f"irnas_lib.{module}"), name), f"there is no {function}"
    assert notebook in known, f"there is no notebook {notebook}"

table(["figure or table", "notebook", "function", "file in figures/"],
      [(what, notebook, f"`{function}`", file) for what, notebook, function, file in FIGURES])
there = sum(made(file) for *_, file in FIGURES)
print(f"{there} of these {len(FIGURES)} files were there when this page ran; the end of a run draws them all")
table(["of the text", "notebook", "function"],
      [(what, notebook, f"`{function}`") for what, notebook, function in [*METHOD, *claims]])

# %% [markdown]
# **What to notice.** One function serves several lines: all tables are made by one function from result files, all
# graphs from the objects that compute. Nothing is drawn by hand, so nothing can drift from what was run. Figure 6 is
# there for denoising and, under the same names, for de-raining.
#
# ## Each printed number, traced
#
# The paper prints 125 numbers, most of them in its tables, seven in its text. Against each stands a measurement here,
# or the reason why there is none. What they are traced to: results on the task's data set (what a smoke run makes
# never counts), times of all systems side by side, the benchmarks of notebook 11, and the searches.

# %%
found = {result.stem: result
         for folder in runs.folders(profile) for result in results.load(folder / "results")}
measured = list(found.values())
searches = runs.all_searches(profile)
traced = trace.trace(measured, times.load(), all.measurements(runs.SHIPPED, "bench"), searches)
assert [one.printed for one in traced] == numbers and len(numbers) == 125

# %% [markdown]
# How often does the paper's number come out? The first four verdicts are given only where two numbers can be compared:
# by the same protocol, on all pictures of the same test set. Times on two machines never can. Counts need no pictures;
# two times taken on one machine make a ratio that can be compared with the paper's, though ours are of ten pictures and
# a CPU. A number is **fitted**, and not reproduced, where something of the measurement had been inferred from it: a
# structure from a parameter count, the protocol `half` from BM3D's row. It is **undertrained** where the two are apart,
# and our training saw less than a tenth of the paper's pixels: such a difference says nothing.


# %%
def counted(title, some):
    """A line of the table: how many there are, how many of each verdict, the share that has a measured counterpart."""
    verdicts = Counter(one.verdict for one in some)
    share = sum(one.measured is not None for one in some) / len(some)
    return title, len(some), *(verdicts[verdict] for verdict in trace.VERDICTS), f"{share:.0%}"


captions = {str(number): f"Table {number}: {layout.caption}" for number, layout in writers.LAYOUTS.items()}
groups = {title.replace("*", r"\*"): [one for one in traced if one.printed.where == where]
          for where, title in (captions | {"claim": "Claims of the text"}).items()}
table(["", "printed", *trace.VERDICTS, "measured here"],
      [counted("**all**", traced), *(counted(title, some) for title, some in groups.items())])

# %% [markdown]
# How far ours may lie from a printed number and count as reproduced:

# %%
for metric in [*trace.ABSOLUTE, *trace.RELATIVE]:
    item = next(item for item in numbers if item.metric == metric)
    print(f"{metric.replace('_', ' '):32} {trace.tolerance(item)[1]}")

# %% [markdown]
# A training of a few thousand iterations cannot refute one of 600,000, so the budget stands beside each number, and so
# does the protocol: `strict` is a whole picture with one noise field, `redrawn` overlapping tiles with fresh noise in
# each, `half` a picture at half size, `strict_y` the luma of a pair (the end of this page says more). The
# list, table by table (`figures/trace.csv` has it with more decimals):

# %%
for title, some in groups.items():
    display(Markdown(f"### {title}"))
    lines = []
    for one in some:
        item, row = one.printed, one.row()
        system = item.system + (f", sigma {item.sigma}" if item.sigma else "")
        cells = (system, item.metric.replace("_", " "), f"{item.value} {item.unit}", row["measured"], one.protocol,
                 row["difference"], one.budget, f"{one.verdict}: {one.why}")
        lines.append([cell.replace("*", r"\*") for cell in cells])
    table(["", "metric", "printed", "measured", "protocol", "difference", "budget", "verdict"], lines)

# %% [markdown]
# **What to notice.** Where a number differs, the last column says whether our short training may be why, or the paper's
# own counting. No training changes a parameter count: those of MemNet, N3Net and NLRN are not the printed ones, and so
# neither are the shares of N3Net's and NLRN's that the text claims.
#
# Behind the measured numbers stand result files, one for each training. The ones that can be seen from here:

# %%
smoke = [result for result in measured if result.profile == results.SMOKE]
print(f"{len(measured) - len(smoke)} results, and {len(smoke)} at smoke scale, which prove only that it runs")
for result in measured:
    noise = "" if result.sigma is None else f" sigma {result.sigma}"
    scores = ", ".join(f"{name} {score['psnr']:.2f} dB" for name, score in result.metrics.items())
    print(f"{result.profile:7}{result.dataset:14} {noise:9}{result.system:22}"
          f"{result.iterations or 0:7,} steps  {scores or result.status}")

# %% [markdown]
# The printed numbers themselves are not all what they seem. These notes travel with them into every table:

# %%
slips = {}
for item in numbers:
    for note in item.note.split("; "):
        if note.startswith("slip") or "swap" in note:
            noise = f" at sigma {item.sigma}" if item.sigma else ""
            slips.setdefault(note, []).append(f"Table {item.where}, {item.metric} of {item.system}{noise}")
table(["note", "concerns"], [(note.replace("*", r"\*"), where[0].replace("*", r"\*")
                              + (f" and {len(where) - 1} more" if where[1:] else ""))
                             for note, where in slips.items()])

# %% [markdown]
# ## How to read a table here
#
# `printed` is the paper's number, `measured` is ours, "not run" says that nobody has; behind them stand the
# protocol, the length and the seed of the training. For example:

# %%
example = [row for row in writers.rows(1, measured) if row["system"] == "IR-NAS" and row["sigma"] == "50"]
table(["system", "sigma", "metric", "printed", "measured", "protocol", "iterations", "seed", "note"],
      [(row["system"], row["sigma"], row["metric"], row["printed"], row["measured"], row["protocol"],
        row["iterations"], row["seed"], row["note"]) for row in example])

# %% [markdown]
# **What to notice.** The printed value is repeated in every row, the protocol differs. A number of one
# protocol must not be compared with a number of another: the same network gains more than half a decibel by
# being measured as `redrawn`. In the paper's Table 1 three protocols seem to stand in one column, as its rows were
# copied from papers that measured in different ways; notebook 12 says how that is inferred. The protocols:

# %%
print(protocols.__doc__.strip())

# %% [markdown]
# ## How to run it
#
# | command | what it does |
# |---|---|
# | `make reproduce` | every notebook in minutes, on pictures that need no download: shows that it runs |
# | `make reproduce PROFILE=laptop DATA=folder` | the same on real photographs, with short trainings: days of one core |
# | `make lab` | JupyterLab, to read and to change |
# | `make figures` | every figure and table again from the result files; trains nothing |
# | `make test` | the tests |
#
# `DATA` is the folder that holds the data sets; `python -m data_scripts.prepare BSD500 Rain800` downloads them or takes
# what you have, and `python -m data_scripts.sim1800` builds the third. The scale of each profile is data, in
# `profiles.toml`. What yours would run:

# %%
print("profiles:", ", ".join(profiles.names()))
print(f"data sets of {profile}:", profiles.datasets(profile))
for job in profiles.load(profile):
    scale = ", ".join(f"{key}={value}" for key, value in job.parameters.items() if key != "profile")
    print(textwrap.fill(scale, 110, initial_indent=f"  {job.name:42} ", subsequent_indent=" " * 45) or f"  {job.name}")

# %% [markdown]
# **What to notice.** A job is a notebook and its parameters. A search or training that is finished is found
# by its parameters and loaded, so running again costs little, and a change of prose costs nothing.
#
# ## Exercises
#
# 1. Choose one number of the paper's Table 1. Which files would have to change for its "measured" to change?
# 2. The paper calls its network's 0.63M parameters 92.65% of N3Net's. Which of the notes above makes you
#    doubt the comparison?
# 3. Take a claim whose verdict is "differs". Is the paper wrong, is this project, or do the two count different things?
