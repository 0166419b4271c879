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
# # 9. Table 4 and Figure 6: what was found, and two ways to change it
#
# **What you will learn.** What the published cells look like, how many ways there are to change them, and what two of
# these changes, and a sample of the others, are worth in trainings of one small budget.
#
# **Why it matters.** Section 4.3 of the paper changes its cells in two ways: R1 makes every ordinary convolution
# deformable, R2 rewires one node. There both lose, and the paper concludes that the search designs a proper structure.
# That conclusion rests on which changes are shown.
#
# **What it needs.** Notebooks [3](03_search.ipynb) and [4](04_viterbi_decoding.ipynb). Everything here is made from
# stored results: no data are needed.
#
# **What comes out.**
#
# - For denoising no change of the published cell, R1 and R2 among them, can be told from another training of the cell
#   itself.
# - For de-raining the published cell is the lowest of the 15 that were trained. By chance alone a cell is the lowest or
#   the highest of 15 with a probability of 0.13: a hint against it, and no more.
# - Nothing here comes near the 4.83 dB that the paper prints for the loss of R1 in de-raining.

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
# ## What is a change worth?
#
# The paper shows one change of each of two kinds. Here is a sample of each kind, drawn with a seed, with the paper's
# own in it, and of changes of a single edge. These networks have their input added to their output, and for denoising
# the noise is of sigma 50; [notebook 13](13_does_the_search_matter.ipynb) trains them and says why. All changed cells
# were trained from seed 0, and are to be compared with the published cell from that seed, the dashed line. One further
# training of the published cell would fall in the grey band with a probability of 95%: a single cell inside the band
# cannot be told from the published one.

# %% alt="PSNR of every trained cell by group: published, searched, random and changed; the groups overlap"
for task in ("denoising", "deraining"):
    known = cells.best_known((folder / "cells" for folder in runs.folders(profile)), task, profile == results.SMOKE)
    display(cell_plots.scores(known))
    gains = {name: gain for name, gain in cells.over_the_same_seed(known).items() if name.startswith("IR-NAS")}
    print(f"{task}, over the published cell from the same seed: " + (", ".join(
        f"{name[-2:]} {gain:+.2f} dB" for name, gain in gains.items()) or "not run"))
    for by_mean, how in ((False, "from that seed"), (True, "by the mean of its trainings")):
        if stood := cells.place(known, by_mean):
            print(f"    {how} the published cell is {stood.place} of {stood.of}, the best first; "
                  f"two-sided p = {stood.p:.2f}")

# %% [markdown]
# The two-sided p is the probability of a place as near to either end if all cells were alike.
#
# **What to notice** in the trainings that come with the project.
#
# - In the paper both changes lose: for denoising 0.08 and 0.01 dB, for de-raining 4.83 and 0.62 dB.
# - Denoising: R1 is 0.30 dB ahead of the published cell and R2 level with it. Both lie in the grey band, as every other
#   cell does, and the published cell stands in the middle of them.
# - De-raining: both changes are ahead, by 0.18 and 0.11 dB, and so is every other cell. That the published cell is the
#   last of 15 has p = 0.13: fifteen cells are too few for a finding.

# %% [markdown]
# ## How many changes there are
#
# Which changes are shown decides what is seen, and there are many. The library lists all of them:

# %%
counts = {task: {kind: len(changed(PUBLISHED[task, "IR-NAS"].genotype)) for kind, changed in edits.KINDS.items()}
          for task in ("denoising", "deraining")}
for kind in edits.KINDS:
    print(f"{cells.GROUPS[kind]:30}{counts['denoising'][kind]:4} for denoising, {counts['deraining'][kind]:3} for "
          "de-raining")

# %% [markdown]
# So R2 is one of 16 for denoising and one of 24 for de-raining. (The denoising cell is larger and has fewer, since most
# of its nodes have one operation twice. Its node n5, for example, takes n4 and p1, both by `skip`. Rewired to n3 and n4
# it would be the cell in which n3 has replaced p1: a change of one input, which is counted there.)

# %% [markdown]
# ## Table 4, printed and here
#
# The whole table with its notes: [table4.md](../figures/table4.md), [table4.csv](../figures/table4.csv),
# [table4.tex](../figures/table4.tex).

# %%
measured, smoke = runs.all_results(profile), profile == results.SMOKE
writers.write(4, measured, files.run_folder(profile) / "figures", smoke=smoke)
traced = [] if smoke else trace.trace(measured)
for task, title in (("denoising", "Denoising, sigma 30"), ("deraining", "De-raining")):
    display(frames.show(frames.beside_printed(traced, 4, task=task), f"Table 4, {title}, PSNR in dB"))

# %% [markdown]
# ## Is it the cell, or the term in the loss?
#
# For de-raining R1 the paper prints a drop of 4.83 dB, far more than any other change in it. The authors' program
# trained some de-raining configurations without the log-SSIM term of the loss (lambda 0, IR-NAS* in the tables), so
# that this row may differ in more than its cell. Here are the trainings of one budget with the term and without it, of
# networks as printed (no input added), each compared with the cell as found and the term, picture by picture.

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
                     "over the first (dB)": "" if result is original else f"{over[0][0]:+.2f} ± {halves[0]:.2f}",
                     "SSIM": f"{score['ssim']:.4f}",
                     "SSIM over it": "" if result is original else f"{over[1][0]:+.4f} ± {halves[1]:.4f}"})
    level = "" if sigma is None else f", sigma {sigma}"
    half = verdicts.over_seeds(cells.best_known((folder / "cells" for folder in runs.folders(profile)), task, smoke))
    notes = ["± is half a 95% interval over the pictures, of one training each."]
    if half > 0:
        notes.append(f"Other seeds moved a difference of two trainings by ± {half:.2f} dB in the networks above.")
    display(frames.show(pd.DataFrame(rows), f"{task}{level}, {count} test pictures, {budget(original)}", *notes))

# %% [markdown]
# **What to notice** in the trainings that come with the project.
#
# - Both changes are ahead of the cell as found in PSNR, for denoising by almost half a dB. That is within what another
#   seed moves, and these networks learn the brightness poorly ([notebook 5c](05c_batch_norm.ipynb)): no cell is ranked.
# - Without the term the cell as found gains 0.49 dB in de-raining and loses .036 of SSIM. R1 gains 0.38 dB and loses
#   .038, and the two end level.
# - So at this budget neither the cell nor the missing term costs anything like the printed 4.83 dB.

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
# R1 adds parameters and R2 none, so that R1, where it loses, does not lose for being smaller:

# %%
for (task, system), architecture in PUBLISHED.items():
    channels = 1 if task == "denoising" else 3
    network = systems.build(system, channels, architecture)
    print(f"{task:10} {system:11} {systems.parameter_count(network):>8,} parameters"
          f" {systems.macs_per_pixel(network, channels):>8,} multiply-adds a pixel")

# %% [markdown]
# ## Figure 6 (a): the widths
#
# The paper's figure draws a path of widths for each task, and its text notes that the cell nearest the output is the
# widest, as in hand-made networks. The levels used here were not read off that drawing. For denoising 0,0,0,1 is the
# only path that gives the printed 0.63M parameters at W = 20, the width in the authors' program; other widths have
# other paths of that size ([notebook 2](02_search_space.ipynb)). For de-raining 0,0,1 is taken by analogy. Untouched
# transition probabilities, as they are normalised here, favour this path already ([notebook
# 4](04_viterbi_decoding.ipynb)), so that it is weak evidence of something learned; normalised over the moves into a
# cell they would not.

# %% alt="Graphs of the published networks for denoising and de-raining, cells on one path of widths"
for task in ("denoising", "deraining"):
    display(Markdown(f"**{task}**: levels {PUBLISHED[task, 'IR-NAS'].path}"),
            drawing.draw_network(all.published_network(task)))

# %% [markdown]
# ## What our own searches found
#
# Red and dashed are edges that the same node of the published cell does not have with the same operation. Two cells
# drawn at random share 12% of such edges ([notebook 13](13_does_the_search_matter.ipynb)).

# %% jupyter={"outputs_hidden": true} tags=["hide-output"] alt="Cells searched here; edges not published are dashed"
for task in ("denoising", "deraining"):
    published, genotypes = PUBLISHED[task, "IR-NAS"], {}
    for found in (record for record in runs.all_searches(profile) if record["task"] == task):
        name = f"{task}, seed {found['settings']['seed']} ({found['profile']})"
        genotypes[name], edges = found["genotype"], 2 * len(found["genotype"])
        same = edges - len(drawing.changes(found["genotype"], published.genotype))
        print(f"{name}: {same} of {edges} edges as published; levels {found['path']}, published {published.path}")
    display(cell_plots.side_by_side(genotypes, published.genotype))

# %% [markdown]
# **What to take away.** A cell has many neighbours, and two of them prove little. At the budgets of this project no
# change of the denoising cell can be told from another training of the cell itself, and the de-raining cell is the last
# of 15, which is a hint (p = 0.13) against it. [Notebook 14](14_searching_in_a_table.ipynb) asks the question on a
# table of cells. Further reading: [how to evaluate a search](https://arxiv.org/abs/1912.12522).

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
# edges has i - 1 others: 2 (0 + 1 + 2 + 3 + 4) = 20. (For the four nodes of the de-raining cell, 2 (0 + 1 + 2 + 3) =
# 12.)
#
# </details>
#
# **2** (hard). In the paper two changed cells lost. How many would you have to try before you believe that the search
# found a good one?
#
# <details><summary>Solution</summary>
#
# Suppose that the found cell were no better than its changes, so that any of the k + 1 is equally likely to come out
# best. Then it beats all k with probability 1 / (k + 1): for the paper's two this is 1/3. For 5% it takes k = 19, drawn
# at random and all of them worse. And each score must be sure enough to rank them: with as much noise between two
# seeds as between two cells, chance decides which of twenty comes out best, and several seeds of each are needed.
#
# </details>

# %% [markdown]
# One more checks itself: list all cells that differ from a cell in one operation, in `exercises/neighbours.py`
# (medium).

# %%
check("neighbours")
