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
# # 9. Table 4 and Figure 6: the published cells, and two ways to change them
#
# **What you will learn.** What the published cells look like, how many ways there are to change them, and how far such
# changes move PSNR in short training runs.
#
# **Why it matters.** Section 4.3 of the paper changes its cells in two ways: R1 makes every ordinary convolution
# deformable, R2 rewires one node. Both lose PSNR there, and the paper concludes that the search designs a proper
# structure. That conclusion depends on which changes are shown.
#
# **What it needs.** Notebooks [3](03_search.ipynb) and [4](04_viterbi_decoding.ipynb). Everything here is made from
# stored results, so no data are needed.
#
# ## What we found
#
# - For denoising, no change of the published cell, R1 and R2 among them, can be told from another training run of the
#   cell itself.
# - For deraining, the published cell scores lowest of the 15 trained cells. This is no evidence against it: if all
#   cells were alike, it would be the lowest or the highest of 15 with a probability of p = 2/15 = 0.13.
# - Nothing here comes near the 4.83 dB that R1 loses in the paper's deraining table.
#
# All training runs behind this page saw about a thousandth of the paper's pixels or less.

# %%
import pandas as pd
from exercises import check
from IPython.display import Markdown, display

from irnas_lib import files
from irnas_lib.evaluation import systems
from irnas_lib.experiments import cells, edits, results, runs
from irnas_lib.experiments.config import budget
from irnas_lib.figures import all, cell_plots, drawing
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.tables import comparison, frames, trace, verdicts, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## Figure 6 (b) to (d): the cells
#
# The cells as published, then R1 and R2 with the changed edges red and dashed. `p2` and `p1` are the outputs of the two
# cells before; every node `n` is the sum of two edges, which lead to the right; the cell returns all nodes together.
# ([The paper's way to draw them](../figures/figure6b_denoising.svg))

# %% alt="The published cells and their changes R1 and R2 side by side, what was changed red and dashed"
for task in ("denoising", "deraining"):
    genotypes = {f"{task}: {system}": PUBLISHED[task, system].genotype
                 for system in ("IR-NAS", "IR-NAS, R1", "IR-NAS, R2")}
    display(cell_plots.side_by_side(genotypes, PUBLISHED[task, "IR-NAS"].genotype))

# %% [markdown]
# R1 adds parameters and R2 none, so a loss of R1 cannot be due to a smaller network:

# %%
for (task, system), architecture in PUBLISHED.items():
    channels = 1 if task == "denoising" else 3
    network = systems.build(system, channels, architecture)
    print(f"{task:10} {system:11} {systems.parameter_count(network):>8,} parameters"
          f" {systems.macs_per_pixel(network, channels):>8,} multiply-adds per pixel")

# %% [markdown]
# ## What is a change worth?
#
# The paper shows one change of each of two kinds. Here are more changes of each kind, drawn with a seed, and changes of
# a single edge. The networks add their input to their output; the noise for denoising has sigma 50. [Notebook
# 13](13_does_the_search_matter.ipynb) says how they were trained and compares searched cells with random ones.
#
# All changed cells were trained from seed 0, so the comparison is with the published cell from seed 0, the dashed line.
# One further training run of the published cell would fall in the grey band with a probability of 95%.

# %% alt="PSNR of every trained cell by group: published, searched, random and changed; the groups overlap"
for task in ("denoising", "deraining"):
    known = cells.best_known((folder / "cells" for folder in runs.folders(profile)), task, profile == results.SMOKE)
    display(cell_plots.scores(known))
    gains = {name: gain for name, gain in cells.over_the_same_seed(known).items() if name.startswith("IR-NAS")}
    print(f"{task}, over the published cell from the same seed: " + (", ".join(
        f"{name[-2:]} {gain:+.2f} dB" for name, gain in gains.items()) or "not run"))
    if stood := cells.place(known):
        print(f"    the published cell has place {stood.place} of {stood.of}, the best first; two-sided p = "
              f"{stood.p:.2f}")

# %% [markdown]
# **What to notice.** For denoising, R1 and R2 lie in the grey band with every other cell. For deraining, every other
# cell is above the published one, by little. The paper prints losses of 0.08 dB (R1) and 0.01 dB (R2) for denoising,
# and of 4.83 and 0.62 dB for deraining.

# %% [markdown]
# ## How many changes there are
#
# Which changes are shown decides what is seen, and there are many. The library lists all of them:

# %%
counts = {task: {kind: len(changed(PUBLISHED[task, "IR-NAS"].genotype)) for kind, changed in edits.KINDS.items()}
          for task in ("denoising", "deraining")}
for kind in edits.KINDS:
    print(f"{cells.GROUPS[kind]:30}{counts['denoising'][kind]:4} for denoising, {counts['deraining'][kind]:3} for "
          "deraining")

# %% [markdown]
# So the paper's R2 is one of 16 rewirings for denoising, and one of 24 for deraining. Exercise 2 asks why the larger
# cell has fewer.

# %% [markdown]
# ## Table 4, printed and here
#
# The whole table with its notes: [table4.md](../figures/table4.md), [table4.csv](../figures/table4.csv),
# [table4.tex](../figures/table4.tex).

# %%
measured, smoke = runs.all_results(profile), profile == results.SMOKE
writers.write(4, measured, files.run_folder(profile) / "figures", smoke=smoke)
traced = [] if smoke else trace.trace(measured)
for task, title in (("denoising", "Denoising, sigma 30"), ("deraining", "Deraining")):
    display(frames.show(frames.beside_printed(traced, 4, task=task), f"Table 4, {title}, PSNR in dB"))

# %% [markdown]
# ## Is it the cell, or the term in the loss?
#
# For R1 in deraining the paper prints a loss of 4.83 dB, far more than any other change in it. The authors' program
# trained some deraining configurations without the log-SSIM term of the loss (lambda 0, IR-NAS* in the tables), so this
# row may differ in more than its cell. Here are training runs of one budget, with the term and without it, of networks
# as published (no input added). Each is compared, picture by picture, with the published cell trained with the term.

# %%
for task, sigma in (("denoising", 30), ("deraining", None)):
    of_task = [result for result in measured if (result.task, result.sigma) == (task, sigma)
               and result.system in ("IR-NAS", "IR-NAS*", "IR-NAS, R1", "IR-NAS, R2")
               and (result.profile == results.SMOKE) == smoke]
    alike = {(result.system, result.loss_lambda): result for result in comparison.at_one_budget(of_task)}
    original = alike.get(("IR-NAS", results.PAPER_LAMBDA))
    if original is None:
        print(f"{task}: not run")
        continue
    rows, count = [], original.metrics["strict"]["pictures"]
    for (system, weight), result in sorted(alike.items(), key=lambda pair: (-pair[0][1], pair[0][0])):
        score, over = result.metrics["strict"], comparison.difference(result, original)
        halves = [comparison.over_pictures(error, count) for _, error in over]
        rows.append({"system": system, "lambda": f"{weight:g}", "PSNR (dB)": f"{score['psnr']:.2f}",
                     "over the first row (dB)": "" if result is original else f"{over[0][0]:+.2f} ± {halves[0]:.2f}",
                     "SSIM": f"{score['ssim']:.4f}",
                     "SSIM over the first row": "" if result is original else f"{over[1][0]:+.4f} ± {halves[1]:.4f}"})
    level = "" if sigma is None else f", sigma {sigma}"
    half = verdicts.over_seeds(cells.best_known((folder / "cells" for folder in runs.folders(profile)), task, smoke))
    notes = ["± gives the half-width of the 95% confidence interval over the pictures; one training run each."]
    if half > 0:
        notes.append(f"In the networks above, other seeds move a difference of two runs by ± {half:.2f} dB.")
    display(frames.show(pd.DataFrame(rows), f"{task}{level}, {count} test pictures, {budget(original)}", *notes))

# %% [markdown]
# **What to notice.** None of these differences ranks a cell: all lie within or near what another seed moves, and
# networks without their input added learn the brightness poorly ([notebook 5c](05c_batch_norm.ipynb)).
#
# - With the term, both changes have a higher PSNR than the published cell in both tasks, where the paper prints losses.
# - In deraining, the published cell and R1 are level without the term (22.63 and 22.61 dB). So neither the cell nor the
#   missing term costs anything like 4.83 dB at this budget.

# %% [markdown]
# ## Figure 6 (a): the widths
#
# The paper says that its figure draws a path of widths for each task, and notes that the cell nearest the output is the
# widest, as in hand-made networks. The levels used here were not read off that drawing. For denoising, 0,0,0,1 is the
# only path that gives the printed 0.63M parameters at W = 20, the width in the authors' program; other widths have
# other paths of that size ([notebook 2](02_search_space.ipynb)). For deraining, 0,0,1 is taken by analogy. That the
# last cell is the widest is weak evidence of something learned: before any learning, the transition probabilities as we
# normalise them favour this path already ([notebook 4](04_viterbi_decoding.ipynb)).

# %% alt="Graphs of the published networks for denoising and deraining, cells on one path of widths"
for task in ("denoising", "deraining"):
    display(Markdown(f"**{task}**: levels {PUBLISHED[task, 'IR-NAS'].path}"),
            drawing.draw_network(all.published_network(task)))

# %% [markdown]
# ## What our own searches found
#
# The cells of this project's searches. Edges that the same node of the published cell does not have with the same
# operation are red and dashed; two cells drawn at random share 12% of their edges in this sense ([notebook
# 13](13_does_the_search_matter.ipynb)).

# %% alt="Five cells found by our own searches, nearly all edges red and dashed: they differ from the published cells"
genotypes, originals = {}, {}
for found in runs.all_searches(profile):
    published = PUBLISHED[found["task"], "IR-NAS"]
    name = f"{found['task']}, seed {found['settings']['seed']} ({found['profile']})"
    genotypes[name], originals[name], edges = found["genotype"], published.genotype, 2 * len(found["genotype"])
    same = edges - len(drawing.changes(found["genotype"], published.genotype))
    print(f"{name}: {same} of {edges} edges as published; levels {','.join(map(str, found['path']))}, published "
          f"{','.join(map(str, published.path))}")
display(cell_plots.side_by_side(genotypes, originals))

# %% [markdown]
# **What to take away.** A cell has many neighbours, and a comparison with two of them proves little. At the budgets of
# this project, changes of the published cells cannot be told from training noise. [Notebook
# 14](14_searching_in_a_table.ipynb) trains a whole table of cells. Further reading: [how to evaluate a
# search](https://arxiv.org/abs/1912.12522).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Work out by hand why 40 cells differ from the published denoising cell in one operation, and why only
# 20 in one input.
#
# <details><summary>Solution</summary>
#
# The cell has ten edges, and on each any of four other operations may stand: 40. An input may change only to a state
# before the node that the node does not use yet. Node i has i + 1 states before it and uses two, so each of its two
# edges has i - 1 others: 2 (0 + 1 + 2 + 3 + 4) = 20. (For the four nodes of the deraining cell, 2 (0 + 1 + 2 + 3) =
# 12.)
#
# </details>
#
# **2** (hard). The denoising cell is larger than the deraining cell but has fewer rewirings of R2's kind: 16, where the
# deraining cell has 24. Why? Start with node n5, which takes n4 and p1, both by `skip`.
#
# <details><summary>Solution</summary>
#
# Rewired to n3 and n4, both by `skip`, node n5 keeps its edge from n4: only one input has changed, and the cell is
# counted there. So where a node has one operation twice, both inputs must be new, and their order does not matter: two
# of three other states for n4 (3 ways), two of four for n5 (6 ways), none for n1 and n2. Only n3 has two different
# operations, which allow 7 ways; together 16. In the deraining cell all nodes have two different operations: 1 + 3 + 7
# + 13 = 24.
#
# </details>
#
# **3** (hard). In the paper two changed cells lost. How many would you have to try before you believe that the search
# found a good one?
#
# <details><summary>Solution</summary>
#
# Suppose that the found cell were no better than its changes, so that any of the k + 1 cells is equally likely to be
# the best. Then it beats all k with probability 1 / (k + 1): for the paper's two this is 1/3. For 5% it takes k = 19,
# drawn at random and all of them worse. And each score must be precise enough to rank them: if seeds scatter as much
# as cells do, chance decides which of twenty is the best, and several seeds of each are needed.
#
# </details>

# %% [markdown]
# One more checks itself: list all cells that differ from a cell in one operation, in `exercises/neighbours.py`
# (medium).

# %%
check("neighbours")
