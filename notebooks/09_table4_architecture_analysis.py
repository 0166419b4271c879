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
# **What it needs.** Notebooks [3](03_search.ipynb) and [4](04_viterbi_decoding.ipynb). Everything is made from stored
# results; half a minute to run.

# %%

from exercises import check
from IPython.display import Markdown, display

from irnas_lib import files
from irnas_lib.evaluation import systems
from irnas_lib.experiments import cells, edits, results, runs
from irnas_lib.figures import all, cell_plots, drawing
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.tables import comparison, frames, trace, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## Figure 6 (b) to (d)
#
# The cells as published, then R1 and R2 with the changed edges marked.

# %% alt="Graphs of the published cells and of their changes R1 and R2, what was changed bold and dashed"
for task in ("denoising", "deraining"):
    original = PUBLISHED[task, "IR-NAS"].genotype
    for system in ("IR-NAS", "IR-NAS, R1", "IR-NAS, R2"):
        changed = PUBLISHED[task, system].genotype
        display(Markdown(f"**{task}: {system}**"), drawing.draw_cell(changed, drawing.changes(changed, original)))

# %% [markdown]
# ## What our own searches found
#
# The searches of this project, with the same cells to compare: bold, dashed edges are those that the same node of the
# published cell does not have with the same operation. Two cells drawn at random share 12% of such edges ([notebook
# 13](13_does_the_search_matter.ipynb)).

# %% alt="Graphs of the cells searched here; edges that the published cell lacks are bold and dashed"
for found in runs.all_searches(profile):
    scale = f"{found['task']}, seed {found['settings']['seed']}, profile {found['profile']}"
    published = PUBLISHED[found["task"], "IR-NAS"]
    different = drawing.changes(found["genotype"], published.genotype)
    edges = 2 * len(found["genotype"])
    display(Markdown(f"**{scale}**: {edges - len(different)} of {edges} edges as published; "
                     f"levels {found['path']}, published {published.path}"),
            drawing.draw_cell(found["genotype"], different))

# %% [markdown]
# ## Figure 6 (a): the widths
#
# The paper's figure draws a path of widths for each task, and its text notes that the cell nearest the output is the
# widest, as in hand-made networks. The levels used here were not read off that drawing: for denoising 0,0,0,1 is the
# only path that gives the printed 0.63M parameters ([notebook 2](02_search_space.ipynb)), and 0,0,1 for de-raining is
# taken by analogy. Untouched transition probabilities, as they are normalised here, favour this path already
# ([notebook 4](04_viterbi_decoding.ipynb)), so that it is weak evidence of something learned; normalised over the moves
# into a cell they would not.

# %% alt="Graphs of the published networks for denoising and de-raining, cells on one path of widths"
for task in ("denoising", "deraining"):
    display(Markdown(f"**{task}**: levels {PUBLISHED[task, 'IR-NAS'].path}"),
            drawing.draw_network(all.published_network(task)))

# %% [markdown]
# ## What the changes cost
#
# R1 adds parameters, R2 none. So if R1 loses, it is not for being smaller.

# %%
for (task, system), architecture in PUBLISHED.items():
    channels = 1 if task == "denoising" else 3
    network = systems.build(system, channels, architecture)
    print(f"{task:10} {system:11} {systems.parameter_count(network):>8,} parameters"
          f" {systems.macs_per_pixel(network, channels):>8,} multiply-adds a pixel")

# %% [markdown]
# ## How many changes there are
#
# The paper shows one change of each of two kinds. The library lists all of them, and all changes of a single edge.

# %%
for task in ("denoising", "deraining"):
    genotype = PUBLISHED[task, "IR-NAS"].genotype
    for kind, changed in edits.KINDS.items():
        print(f"{task:10} {cells.GROUPS[kind]:30}{len(changed(genotype)):4} cells")

# %% [markdown]
# **What to notice.** R1 is the only cell of its kind; R2 is one of 16 for denoising and one of 24 for de-raining. (The
# larger cell has fewer: four of its five nodes have one operation twice, so that a change of both inputs is often the
# same cell as a change of one, and counts as that.) Which of them is shown decides what is seen.
#
# So here is a sample of each kind, drawn with a seed and trained at one small budget, with the paper's own in its kind.
# These are networks with the input added to the output, and for denoising of sigma 50, other than those of the table
# below; [notebook 13](13_does_the_search_matter.ipynb) trains them, says why, and compares them in numbers. In the grey
# band one more training of the published cell would fall with a chance of 95%; it is missing where that cell has not
# been trained from several seeds. All other cells were trained from seed 0, and are to be compared with the published
# cell from that seed: the numbers below.

# %% alt="PSNR of every trained cell by group: published, searched, random and changed; the groups overlap"
for task in ("denoising", "deraining"):
    known = cells.best_known((folder / "cells" for folder in runs.folders(profile)), task, profile == results.SMOKE)
    display(Markdown(f"**{task}**"), cell_plots.scores(known))
    over = cells.over_the_same_seed(known)
    print("over the published cell from the same seed: " + (", ".join(
        f"{name} {gain:+.2f} dB" for name, gain in over.items() if name.startswith("IR-NAS")) or "not run"))
    if (stood := cells.standing(known)) and stood.published > 1:
        print(f"{stood.published} trainings of the published cell against {stood.others} other cells: these are "
              f"{stood.above:+.2f} dB on average, exact Mann-Whitney p = {stood.p:.3f}")

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
    display(frames.show(frames.beside_printed(traced, 4, task=task), f"Table 4, {title}"))

# %% [markdown]
# ## Is it the cell, or the term in the loss?
#
# For de-raining R1 the paper prints a drop of 4.83 dB, far more than any other change in it. The authors' program
# trained some de-raining configurations without the log-SSIM term of the loss (lambda 0, IR-NAS* in the tables), so
# that this row may differ in more than its cell. Here are the trainings of one budget with the term and without it,
# each compared with the cell as found and the term, picture by picture. What follows ± is the standard error over the
# pictures of one training each. By how much another seed would differ was not measured for these networks; [notebook
# 13](13_does_the_search_matter.ipynb) measures it for others.

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
    print(f"{task}: {original.iterations:,} iterations of {original.batch} crops of {original.crop}x{original.crop}, "
          f"seed {original.seed}, {original.profile}")
    for (system, weight), result in sorted(alike.items(), key=lambda pair: (-pair[0][1], pair[0][0])):
        score = result.metrics["strict"]
        (psnr, error), (ssim, ssim_error) = comparison.difference(result, original)
        over = "" if result is original else f"   {psnr:+.2f} ± {error:.2f} dB, SSIM {ssim:+.4f} ± {ssim_error:.4f}"
        print(f"    {system:11} lambda {weight:g}:  {score['psnr']:.2f} dB, SSIM {score['ssim']:.4f}{over}")

# %% [markdown]
# **What to notice** in the trainings that come with the project. In the paper both changes lose. Here, one training
# each, both are ahead of the cell as found in PSNR, for denoising by almost half a dB (R2 is behind in SSIM). These
# networks have no input added and learn the brightness poorly ([notebook 10](10_tables_5_6_ablation.ipynb)), so that
# this ranks no cell either. At the small budgets above, with the input added, R2 is level with the denoising cell from
# the same seed and R1 ahead by 0.30 dB, which another seed could undo; for de-raining the published cell looks worse
# than the other cells, by 0.17 dB on average. Without the term the cell as found gains 0.5 dB and loses .036 of SSIM,
# R1 gains 0.4 dB and loses .038, and the two end level. So at this budget neither the cell nor the missing term costs
# anything like the printed 4.83 dB.

# %% [markdown]
# **What to take away.** A cell has many neighbours, and two of them prove little. At the budgets of this project no
# change of the published cell, R1 and R2 among them, can be told from another training of the cell itself. [Notebook
# 14](14_searching_in_a_table.ipynb) asks the question on a table of cells. Further reading: [how to evaluate a
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
# best. Then it beats all k with probability 1 / (k + 1): for the paper's two this is 1/3. Below 5% it takes k = 19,
# drawn at random and all of them worse. And each score must be sure enough to rank them: with as much noise between two
# seeds as between two cells the best of twenty is drawn by lot, and several seeds of each are needed.
#
# </details>

# %% [markdown]
# One more checks itself: list all cells that differ from a cell in one operation, in `exercises/neighbours.py`
# (medium).

# %%
check("neighbours")
