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
# # 13. Does the search matter?
#
# **What you will learn.** How to ask three questions of any search so that the answer comes with an error bar: is its
# cell better than one drawn at random, does it give the same cell twice, and how much do small changes cost?
#
# **Why it matters.** The paper claims the first without a number, answers the third with two examples, and leaves the
# second out. A random cell costs nothing to find.
#
# **What it needs.** Notebooks [3](03_search.ipynb) and [9](09_table4_architecture_analysis.ipynb); what a confidence
# interval is. Everything here is made from stored training runs, so no data are needed.
#
# ## What we found
#
# - **After very short training, the cells of searches that have decided are better than random ones.** Four of them are
#   0.31 dB above 30 random cells on average (95% interval 0.13 to 0.49). Two of the four are better than all 30 and
#   than the published cell. The published cell is better than 97% of the random ones (95% interval 80 to 100%).
# - **They are no better than what random search finds for the same time.** One search takes as long as training 25
#   random cells, and the best of 25, picked on validation pictures, has 23.83 dB on average; the searched cells have
#   23.85.
# - A part of the lead is size: here cells that compute more are better, and the searched ones do compute more. At equal
#   cost the lead is 0.18 ± 0.24 dB.
# - So the search finds good cells, and whether it is worth its time is open. What a long training would rank first is
#   not known: these runs have 244 steps.
# - An earlier experiment has longer runs (1,000 steps) and searches that had not decided. Three such cells are 0.34 ±
#   0.51 dB above six random ones of their size (± gives the half-width of the 95% confidence interval over cells). With
#   so few cells, a true difference of half a decibel would be noticed only in about half of all such experiments.
# - A search this short does not give the same cell twice: which inputs and operations a node takes differs from one
#   search to the next.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
import math
from collections import Counter
from itertools import combinations
from statistics import mean, median, stdev

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from scipy import stats
from tqdm import tqdm

from irnas_lib.data import datasets
from irnas_lib.data.tasks import TASKS
from irnas_lib.decode import undecided
from irnas_lib.experiments import cell_table, cells, edits, runs, search_choices, searching, table_facts
from irnas_lib.figures import cell_plots
from irnas_lib.genotypes import PUBLISHED, Genotype
from irnas_lib.search_space import OPERATIONS
from irnas_lib.tables import comparison, frames

device = runs.best_device()
print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(device))

# %% [markdown]
# The parameters. `groups` is what this run trains: some of "published", "again" (the published cell from other seeds),
# "searched", "random", and the kinds of changes "operation", "input", "R1", "R2"; empty trains nothing and shows what
# has been trained. `number` is how many cells of each, `every` measures one test picture in so many.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
dataset = "embedded"
groups = "random"
number = 2
sigma = 50
seed = 0
iterations = 10
batch = 4
crop = 32
every = 1

# %% [markdown]
# ## Searches that have decided, in a table of random cells
#
# Four searches of [page 3b](03b_what_makes_a_search_decide.ipynb#The-same-in-a-larger-supernet) end with an alpha that
# has decided, because its softmax is sharpened. They differ in their seed alone. Their cells, the published one, its
# changes R1 and R2, and 30 cells drawn uniformly at random were trained alike: 244 steps, three seeds each, the
# published path and width, the input added. [Page 14](14_searching_in_a_table.ipynb) shows that such runs tell cells
# apart: 90% of the variance of a run lies between cells. Each dot is a cell, at the mean of its three runs.

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="PSNR of searched, published and random cells as dots"
table = cell_table.read(task, profile)
short = cell_table.PLANS[task].pixels
known = table_facts.by_cell(table, short)
named = {record["name"]: edits.canonical(Genotype(record["cell"])) for record in table}
psnrs = table_facts.means(table, short)
costs = {record["name"]: record["macs_per_pixel"] / 1e3 for record in table}
by_kind = {kind: [name for name in psnrs if name.startswith(kind)] for kind in ("searched", "IR-NAS", "random")}
if all(by_kind.values()):
    fig, ax = plt.subplots(figsize=(6.4, 1.9), layout="constrained")
    for row, (kind, names) in enumerate(by_kind.items()):
        ax.plot([psnrs[name] for name in names], [row] * len(names), "ko", markersize=5, markerfacecolor="w")
        if kind == "IR-NAS":
            for name in names:
                ax.annotate(name.removeprefix("IR-NAS, "), (psnrs[name], row), (0, 7), textcoords="offset points",
                            ha="left" if name == "IR-NAS" else "right", fontsize=8)
        else:
            ax.plot(mean(psnrs[name] for name in names), row, "k|", markersize=18)
    ax.set(xlabel="PSNR on test pictures (dB)", yticks=range(3), ylim=(2.5, -0.7),
           yticklabels=["searched here", "published", "random"])
    plt.show()
else:
    print("not run")

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if all(by_kind.values()) and len(by_kind["searched"]) > 1:
    random, searched = ([psnrs[name] for name in by_kind[kind]] for kind in ("random", "searched"))
    for name in [*by_kind["searched"], "IR-NAS"]:
        error = table_facts.noise(table, short).over_seeds / len(known[named[name]]) ** 0.5
        part, low, high = table_facts.percentile(psnrs[name], random, error)
        print(f"{name}: {psnrs[name]:.2f} dB, better than {part:.0%} of {len(random)} random cells ({low:.0%} to "
              f"{high:.0%}), {costs[name]:.0f} thousand multiply-accumulates a pixel")
    welch = stats.ttest_ind(searched, random, equal_var=False)
    low, high = welch.confidence_interval()
    rank = stats.mannwhitneyu(searched, random)
    print(f"{len(searched)} searched cells over {len(random)} random ones: {(low + high) / 2:+.2f} dB, 95% interval "
          f"{low:+.2f} to {high:+.2f} (Welch); p = {rank.pvalue:.3f} (Mann-Whitney)")
    seen = table_facts.detectable(stdev(random), len(searched), len(random))
    print(f"so many cells see a difference of {seen:.2f} dB with a power of 80%")
    names = by_kind["searched"] + by_kind["random"]
    line = np.column_stack([[name in by_kind["searched"] for name in names], [costs[name] for name in names],
                            np.ones(len(names))]).astype(float)
    psnr = np.array([psnrs[name] for name in names])
    fit, (squares,), *_ = np.linalg.lstsq(line, psnr, rcond=None)
    free = len(names) - 3
    half = stats.t.ppf(0.975, free) * (squares / free * np.linalg.inv(line.T @ line)[0, 0]) ** 0.5
    print(f"at equal cost, by a straight line in the multiply-accumulates: {fit[0]:+.2f} ± {half:.2f} dB\n  (searched "
          f"{mean(costs[name] for name in by_kind['searched']):.0f}, random "
          f"{mean(costs[name] for name in by_kind['random']):.0f} thousand on average)")
    decided = [found for found in search_choices.load(runs.folders(profile)) if found["scale"] == "laptop"]
    one_run = median(record["seconds"] for record in table if record["name"] in by_kind["random"])
    drawn = searching.table_of(table, short)
    order, n = np.argsort(-drawn.validation), len(drawn.cells)
    k = min(n, round(median(found["seconds"] for found in decided) / one_run))
    chance = [math.comb(n - place - 1, k - 1) / math.comb(n, k) for place in range(n)]  # that this one is the best of k
    print(f"a search took {min(found['seconds'] for found in decided) / 60:.0f} to "
          f"{max(found['seconds'] for found in decided) / 60:.0f} minutes, a run of a random cell {one_run / 60:.1f} "
          f"(median): {k} random cells\n  cost as much as the middle one of the searches; the best of {k} on "
          f"validation pictures\n  has {np.dot(chance, drawn.test[order]):.2f} dB on test pictures, on average, the "
          f"searched cells {mean(searched):.2f}")

# %% [markdown]
# **What to notice.** The searched cells are all in the upper part of the random ones, above 73 to 100% of them, and
# they scatter among themselves as much as they lead (23.71 to 23.99 dB). A test of the ranks, which asks nothing of how
# PSNR is distributed, gives p = 0.003. The random cells have a tail of poor ones, which the searches avoid; the best
# random cell is as good as most of the searched ones. That is why random search is a strong rival: training 25 cells
# and keeping the best costs as much time as one search, and ends at 23.83 dB. (Times are by the clock, beside other
# work on the machine.)
#
# A straight line through cost and PSNR takes off what larger cells have from being larger. It is a rough correction: it
# takes every cell's PSNR to rise alike with its cost.

# %% [markdown]
# ## An earlier experiment: three searches that had not decided
#
# - **Searched** cells are those of this profile's searches that differ in their seed alone: other first weights, other
#   batches, another split of the pictures into Train W, A and V.
# - **Random** cells have as many parameters as the searched ones, one as the first, one as the second and so on, within
#   5%: otherwise size would be compared with size. (What a search gains by choosing large operations is left out.)
# - **Changed** cells are a sample, drawn with a seed, of all changes that the library lists, the paper's own R1 and R2
#   among them. They are not matched in size.
# - The **published** cell is trained from four seeds, because the standard deviation over seeds sets the smallest
#   difference that we can detect. All other cells have seed 0, which draws the first weights and the batches.
#
# All have the published path and its width W = 20, so that only the cell differs; the searches themselves had W = 4.
# The input is added to the output: without it a short training run mostly learns how bright its batches are ([notebook
# 5c](05c_batch_norm.ipynb)).
#
# <details><summary>How cells are drawn and trained, where <code>groups</code> asks for it</summary>
#
# The next two cells list the candidates and train those that have not been trained yet. A cell that is trained stays
# trained: a run that was interrupted goes on with the next.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["hide-input"]
searches = [record for each in range(10) if (record := runs.find_search(profile, task, each))]
alike = [record["settings"] | {"seed": 0, "data": record["data_sha256"]} for record in searches]
searches = [record for record, settings in zip(searches, alike) if settings == alike[0]]
published = PUBLISHED[task, "IR-NAS"].genotype
near = [cells.parameters(task, record["genotype"]) for record in searches
        if len(record["genotype"]) == len(published)]  # smoke's cells have fewer nodes


def candidates(group):
    """The cells of a group."""
    if group in edits.KINDS:
        return cells.changed_cells(task, group, number, seed)
    if group == "random":
        return cells.random_cells(task, number, seed, near)
    if group == "searched":
        return [cells.Candidate(f"seed {found['settings']['seed']}", found["genotype"]) for found in searches[:number]]
    if group == "again":
        return [cells.Candidate(f"IR-NAS, seed {again}", published, again) for again in range(seed + 1, seed + 4)]
    return [cells.Candidate("IR-NAS", published)]


wanted = {group: candidates(group) for group in groups.split(",") if group}
for cell in (cell for group in wanted.values() for cell in group):
    print(f"{cell.name:32}{cells.parameters(task, cell.genotype):>9,} parameters   {cell.genotype}")

# %% jupyter={"source_hidden": true} tags=["hide-input"]
sigma = sigma if TASKS[task].sigmas else None
pictures = datasets.load_or_embedded(task, dataset, data)
test = pictures.test[::every]
budget = {"system": cells.SYSTEM, "sigma": sigma, "iterations": iterations, "batch": batch, "crop": crop, "seed": seed,
          "recipe": "matched", "protocol": "strict"}
if not pictures.instead_of:  # else those of the record
    budget |= {"pictures": len(test), "data_sha256": pictures.sha256}
folders = [folder / "cells" for folder in runs.folders(profile)]
for group in wanted:
    pictures.check_no_stand_in()
    record = cells.load(folders, task, profile, budget).get(group)
    if record is None or (group == "random" and record["near"] != near):
        new = {"task": task, "group": group, "budget": budget, "near": near, "cells": []}
        record = new | runs.provenance(profile, pictures, device)
    for cell in tqdm(cells.untrained(wanted[group], record), desc=group):
        record["cells"].append(cells.trained(cell, record, pictures, test, device))
        cells.save(record, folders[0])

# %% [markdown]
# ## Are searched cells better than random ones?
#
# Every cell that has been trained at this budget. One further training of the published cell would fall in the grey
# band with a probability of 95%; the band is wide because only four seeds were trained.

# %% alt="PSNR of every trained cell by group, with the published cell's range in grey"
found = cells.load(folders, task, profile, budget)
trained = cells.by_group(found)
display(cell_plots.scores(found))

# %% [markdown]
# The difference of two means, with its 95% interval. Welch's t test gives it without assuming that both groups have the
# same standard deviation; it takes the cells of a group as drawn independently.

# %%
def scores(name, metric="psnr"):
    """Of each trained cell of a group, without those that failed."""
    return [cell[metric] for cell in trained.get(name, []) if cell[metric] is not None]


enough = min(len(scores("searched")), len(scores("random"))) > 1
for metric, unit in (("ssim", "of SSIM"), ("psnr", "dB")) if enough else ():
    searched, drawn = scores("searched", metric), scores("random", metric)
    welch = stats.ttest_ind(searched, drawn, equal_var=False)
    low, high = welch.confidence_interval()
    print(f"{len(searched)} searched cells over {len(drawn)} random ones: {mean(searched) - mean(drawn):+.3f} {unit},\n"
          f"    95% interval {low:+.3f} to {high:+.3f}, by {welch.df:.1f} degrees of freedom")
if not enough:
    print("not run: this needs at least two searched and two random cells")

# %% [markdown]
# Both intervals contain zero. And if the lead of 0.34 dB were real, the way of drawing the random cells could explain
# it. The searched cells are large, and random cells as large have few `skip`: five on 60 edges, where uniform drawing
# would put twelve. The searched ones have eight on 30. The random cells also have nine `sep`, the searched ones none.
# (The table of every cell, below, has these counts.)
#
# Would a true difference have been noticed? The *power* of a test is the probability that it shows a difference which
# is there. Below, it is drawn for this experiment, and for ones with more cells.

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="Power rises with the true difference and with the cells"
if enough:
    deviation, sizes = table_facts.pooled(searched, drawn), (len(searched), len(drawn))
    print(f"{sizes[0]} against {sizes[1]} cells, standard deviation {deviation:.2f} dB: " + ", ".join(
        f"{table_facts.power(difference, deviation, *sizes):.0%} at {difference:.2f} dB"
        for difference in (0.25, 0.5, 0.75, 1.0)))
    degrees = sum(sizes) - 2
    least, most = (deviation * (degrees / stats.chi2.ppf(share, degrees)) ** 0.5 for share in (0.975, 0.025))
    powers = [table_facts.power(0.5, each, *sizes) for each in (most, least)]
    print(f"standard deviation, 95% interval {least:.2f} to {most:.2f} dB: power {powers[0]:.0%} to {powers[1]:.0%} at "
          "0.50 dB")
    over_seeds = cells.over_seeds(found)
    if 0 < over_seeds < stdev(drawn):
        print(f"random cells apart from their training noise: standard deviation "
              f"{(stdev(drawn) ** 2 - over_seeds ** 2) ** 0.5:.2f} dB")
    display(cell_plots.power(deviation, [sizes, *(tuple(times * size for size in sizes) for times in (3, 10))]))

# %% [markdown]
# **What to notice.** An experiment of three against six cells needs a true difference of three quarters of a decibel to
# notice it four times out of five. Ten times as many cells, 30 against 60, would nearly always notice a quarter of a
# decibel. All of this is rough: nine cells hardly show a standard deviation, and over its interval the power at half a
# decibel goes from 19 to 81%.
#
# For scale: cells differ by 0.20 dB here, apart from their training noise, so half a decibel is two and a half of these
# standard deviations. [Page 14](14_searching_in_a_table.ipynb) has more cells in runs a quarter as long. There the
# standard deviation over cells is 0.24 dB where the last layer starts at zero, and 0.69 dB where it starts as usual, as
# it does here, with twice the learning rate. So how much a search could gain depends on how the networks are trained.
#
# A random cell costs nothing to find, a search as much as some training runs. So the rival of a searched cell is the
# best of several random ones. (The best is chosen by the same scores that are then reported, so it looks better than it
# is, and more so among six.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if enough:
    fewer = min(len(searched), len(drawn))
    best = mean(max(sample) for sample in combinations(drawn, fewer))
    print(f"The best of {len(searched)} searched cells: {max(searched):.2f} dB. Of {fewer} random ones: {best:.2f} on "
          f"average; of all {len(drawn)}: {max(drawn):.2f}")
    cost = mean(record["seconds"] for record in searches)
    times = sorted(cell["seconds"] for cell in trained["random"] if cell["seconds"])
    print(f"A search took {cost:,.0f} s by the clock, beside other work, and the training run of a random\ncell "
          f"{times[0]:.0f} to {times[-1]:.0f} s: a search costs {cost / times[-1]:.1f} to {cost / times[0]:.1f} runs.")

# %% [markdown]
# **What to notice.** For the time of the three searches 14 to 26 random cells could have been trained. The best of six
# is already within 0.05 dB of the best searched one, though the best of more cells is flattered more.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
rows = []
for name, group in trained.items():
    for cell in group:
        edges = Counter(operation for node in cell["genotype"] for operation, _ in node)
        shown = ("failed", "") if cell["psnr"] is None else (f"{cell['psnr']:.2f}", f"{cell['ssim']:.4f}")
        rows.append({"cell": cell["name"] if cell["name"].startswith(("IR", "R", name)) else f"{name}, {cell['name']}",
                     "PSNR (dB)": shown[0], "SSIM": shown[1], "parameters": f"{cell['parameters']:,}",
                     **{operation: str(edges[operation]) for operation in OPERATIONS[:-1]}})
table = frames.show(pd.DataFrame(rows), f"{task}, {iterations:,} iterations, and how many edges have each operation")
display(HTML(f"<details><summary>Every cell in numbers</summary>{table.data}</details>"))
for name, group in ((name, scores(name)) for name in trained if scores(name)):
    rest = f", standard deviation {stdev(group):.3f}, best {max(group):.2f}" if len(group) > 1 else ""
    print(f"{name:10}{len(group):3} {'runs' if len(group) > 1 else 'run '}   {mean(group):.2f} dB{rest}")
again = scores("published")
if len(again) > 2:
    low, high = comparison.prediction_interval(again)
    print(f"the grey band, for one further run of the published cell: {low:.2f} to {high:.2f} dB")
    apart = stats.t.ppf(0.975, len(again) - 1) * stdev(again) * 2 ** 0.5
    print(f"two runs of the published cell may lie ± {apart:.2f} dB apart (95%)")

# %% [markdown]
# ## The same cell twice?
#
# Two cells agree on an edge if the same node takes the same input. By chance a node that takes two of n inputs shares
# 2/n of them with another.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
rows = []
for first, second in combinations(searches, 2):
    edges, whole = cells.agreement(first["genotype"], second["genotype"])
    rows.append((f"searches of seeds {first['settings']['seed']} and {second['settings']['seed']}", f"{edges:.0%}",
                 f"{whole:.0%}", *(",".join(map(str, record["path"])) for record in (first, second))))
if not rows:
    print("whether a search gives the same cell twice: not run, for it needs two seeds")
chance = search_choices.chance_of_an_edge(len(published))
rows.append(("two random cells, on average", f"{chance:.0%}", f"{chance / len(OPERATIONS[:-1]):.0%}", "", ""))
display(frames.show(pd.DataFrame(rows, columns=["two cells", "edges agree", "with their operation", "path of the first",
                                                "path of the second"]), "how far two cells agree"))

# %% [markdown]
# Which inputs does a node take, and with which operations? Each square stands for a node (row) and an input (column):
# in how many of the three cells the node takes that input, and with which operations. For example, n2 takes p2 in two
# of the three, once by `skip` and once by `def`. The darker the square, the more searches agree. (The row of n1 is
# always dark, since n1 has only two inputs.)

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="Squares, node by input, darker where searches agree"
display(cell_plots.chosen_edges([record["genotype"] for record in searches]))

# %% [markdown]
# On how many edges of each cell does an operation stand? The dashed line is how many there would be if all operations
# were equally likely.

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="Edges of three cells by operation: def has most, sep none"
display(cell_plots.chosen_operations(searches))
chosen = [Counter(edge.operation for node in record["genotype"] for edge in node) for record in searches]
for operation in OPERATIONS[:-1] if searches else ():
    print(f"{operation:4} on {', '.join(str(cell[operation]) for cell in chosen)} edges")

# %% [markdown]
# How decided is alpha, the weights of the operations? Its entropy, divided by the largest that it could have, is 1
# while all operations have equal weights, and 0 when one has all the weight. A cell keeps of each edge the operation
# that weighs most: how close was the second?

# %% jupyter={"source_hidden": true} tags=["hide-input"]
rows = []
for record in searches:
    weights = torch.tensor(record["alpha"], dtype=torch.float64).softmax(dim=1)
    first, second = weights[:, :-1].topk(2, dim=1).values.mean(dim=0)  # `none` is never kept
    rows.append((f"search of seed {record['settings']['seed']}", f"{undecided(weights).mean():.4f}", f"{first:.3f}",
                 f"{second:.3f}"))
rows.append(("untouched", "1", *2 * [f"{1 / len(OPERATIONS):.3f}"]))
display(frames.show(pd.DataFrame(rows, columns=["alpha", "entropy", "first operation of an edge", "second"]),
                    "how decided the searches are: mean over edges"))

# %% [markdown]
# **What to notice** in these searches of 730 steps each.
#
# - On average two of them share 43% of the edges, not more than two cells drawn at random (58%), and 13% with their
#   operation, where chance has 12%. (Three pairs of three cells show no more than that.) At this scale the search does
#   not give the same cell twice.
# - Alpha has hardly moved, so the cell is decoded from near-ties.
# - Chance would put each operation on two edges of a cell. None of the three cells has a `sep`; `def` stands on five,
#   three and five edges. In the places of single cells this is a hint and no more: the ten edges of a cell come from
#   one search and are not independent, and the two operations were picked out of five after the fact. A second hint,
#   again of one search: in the longer one of [page 3](03_search.ipynb) the mean weight of `sep` falls. Whether that
#   makes better cells is another question. On page 14 one more `sep` in place of a `skip` takes 0.13 dB (0.04 to 0.21).
#   (The paper notes, too, that its cells have no separable convolution.)
#
# Whether the paper's far longer schedule would settle on one cell is not answered here.

# %% [markdown]
# ## What do small changes cost?
#
# All changed cells were trained from seed 0. So a changed cell is compared with the published cell from seed 0, and not
# with its mean over seeds. And where does the published cell stand among all cells? If all cells are alike, every place
# is equally likely; the two-sided p is the probability of a place as near to either end. The four runs of the published
# cell count once, because they are not independent draws of cells.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
gains, stood, of_mean = cells.over_the_same_seed(found), cells.place(found), cells.place(found, by_mean=True)
if stood is None or not gains:
    print("not run")
else:
    print("over the published cell from the same seed: " + ", ".join(
        f"{name[-2:]} {gains[name]:+.2f} dB" for name in ("IR-NAS, R1", "IR-NAS, R2") if name in gains))
    print(f"{sum(gain > 0 for gain in gains.values())} of {len(gains)} cells are above it: place {stood.place} of "
          f"{stood.of}, two-sided p = {stood.p:.2f};\nby the mean of its runs place {of_mean.place}, p = "
          f"{of_mean.p:.2f}")

# %% [markdown]
# **What to notice.** R1 is 0.30 dB above the published cell and R2 level with it, where the paper prints losses of 0.08
# and 0.01 dB. The standard deviation over seeds is 0.17 dB, and two runs of one cell may lie ± 0.78 dB apart (95%); so
# this ranks nothing, and the published cell stands in the middle. [Notebook 9](09_table4_architecture_analysis.ipynb)
# shows both tasks.

# %% [markdown]
# **What to take away.** Does the search matter? At this budget its cells beat a random cell, and not the best of as
# many random cells as it costs. Compare a searched cell with random ones, from the same seeds, with an interval; count
# what the search cost in training runs; and report which difference the experiment could have detected. Further
# reading: [random search as a rival](https://arxiv.org/abs/1902.07638) and [how to evaluate a
# search](https://arxiv.org/abs/1912.12522).

# %% [markdown]
# ## Exercises
#
# **1** (medium). With the standard deviation of the random cells, how many searched and how many random cells would you
# have to train to detect a difference of 0.05 dB?
#
# <details><summary>Solution</summary>
#
# To detect it means, for example, with a power of 80% in a two-sided test at 5%. Two groups of n with a standard
# deviation of 0.263 dB each need
#
# $$n = 2 \left(\frac{(1.96 + 0.84) \cdot 0.263}{0.05}\right)^2 \approx 434$$
#
# cells each. At 347 to 648 s per run that is three and a half to six and a half days of one core. The three and six
# cells of this page detect 0.5 dB about every second time.
#
# </details>
#
# **2** (medium). The published cell is one cell from several training seeds, the random ones are many cells from one.
# Which of the two standard deviations shows whether R1 and R2 are worse, and which whether the search matters? How much
# of the second is training noise?
#
# <details><summary>Solution</summary>
#
# R1 and R2 are single cells, so what has to be known is how far another training of one cell lies: the first, 0.174 dB.
# Whether the search matters is a question about draws of cells, each trained once: the second, 0.263 dB, which contains
# the first. Variances add, so (0.174 / 0.263)² = 44% of the second variance is training noise, if all cells have as
# much of it as the published one (from four runs, so roughly).
#
# </details>
#
# **3** (hard). The paper compares a cell with two changed ones. Where would the published cell have to rank among all
# its changes to support "a proper structure"?
#
# <details><summary>Solution</summary>
#
# There are 40 + 20 + 1 + 16 = 77 of them. A cell like any other is among the best three of 78 with a probability of 3 /
# 78 = 3.8%, so a rank of 3 or better would be evidence at the usual 5%, if the noise between seeds is well below the
# differences between cells. Here nine changes have been trained, and at the same seed four of them are ahead of the
# published cell (23.58 dB, the best of its own four seeds): rank 5 of 10, in the middle.
#
# </details>
