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
# deformable, R2 gives one node two other inputs. Both lose PSNR there, and the paper concludes that the search designs
# a proper structure. That conclusion depends on which changes are shown.
#
# **What it needs.** Notebooks [3](03_search.ipynb) and [4](04_viterbi_decoding.ipynb). Everything here is made from
# stored results, so no data are needed. The main line ends with "What is a change worth?"; what stands under "For
# reference" can be skipped.
#
# ## What we found
#
# - For denoising, no change of the published cell, R1 and R2 among them, can be told from another training run of the
#   cell itself. Only one of more than 0.62 dB, beyond the grey band of the figure below, could have been seen.
# - For deraining, the published cell scores lowest of the 15 cells trained from the same seed, on ten pairs. By chance
#   it would come first or last in 2 of 15 cases (p = 0.13), so no place among 15 could be significant.
# - In the paper's deraining table R1 loses 4.83 dB. Nothing here comes near that: our R1 loses nothing that can be
#   seen. But our training runs saw about a thousandth of the paper's pixels or less, and a run that goes wrong later, a
#   possible cause of such a loss, need not show it so early. Losses as small as the paper's for denoising, 0.08 and
#   0.01 dB, could not have been seen here.

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
#
# - **R1** replaces every `conv` by `def`.
# - **R2** rewires node n4. For denoising, it takes n2 and p1 by `def` in place of n3 and p2; for deraining, n3 by `def`
#   and p2 by `conv` in place of n1 and p1.

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
    count = systems.parameter_count(network)
    print(f"{task:10} {system:11} {count:>8,} parameters ({count / 2 ** 20:.3f} x 2^20)"
          f" {systems.macs_per_pixel(network, channels):>8,} multiply-adds per pixel")

# %% [markdown]
# ## How many changes there are
#
# The paper shows two changes. Here is how many there are of each kind:

# %%
rows = []
for kind, changed in edits.KINDS.items():
    row = {"what changes": cells.GROUPS[kind]}
    for task in ("denoising", "deraining"):
        row[task] = f"{len(changed(PUBLISHED[task, 'IR-NAS'].genotype))}"
    rows.append(row)
display(frames.show(pd.DataFrame(rows), "changes of the published cell"))

# %% [markdown]
# **What to notice.** The paper's R2 is one of 16 such rewirings for denoising and one of 24 for deraining. (Exercise 2
# asks why the larger cell has fewer.)

# %% [markdown]
# ## What is a change worth?
#
# Two training runs of one cell from different seeds do not score alike, so first look at what chance does: one further
# run of the published cell would fall in the grey band with a probability of 95%. From the four runs of that cell, with
# mean $m$ and standard deviation $s$, the band is $m \pm 3.18\, s \sqrt{1 + 1/4}$ (3.18 is Student's t for four runs;
# the 1/4 is for the mean, which is itself of four runs). Then look for cells outside it. The cells are trained changes
# of each kind, drawn with a seed, beside searched and random ones. All changed cells were trained from seed 0, so the
# comparison is with the published cell from seed 0, the dashed line. The band may be too wide for it: what a seed does
# to all cells alike does not separate them. How much that is was not measured. The networks add their input to their
# output; the noise for denoising has sigma 50.
#
# [Notebook 13](13_does_the_search_matter.ipynb) asks whether the searched cells for denoising are better than the
# random ones, and says how all of them were trained. Here only the rows of changed cells matter.


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def show_scores(task):
    known = cells.best_known((folder / "cells" for folder in runs.folders(profile)), task, profile == results.SMOKE)
    display(cell_plots.scores(known))
    gains = cells.over_the_same_seed(known)
    changes = [f"{name[-2:]} {gain:+.2f} dB" for name, gain in gains.items() if name.startswith("IR-NAS")]
    print(f"{task}, over the published cell from the same seed:", ", ".join(
        [*changes, f"all cells {min(gains.values()):+.2f} to {max(gains.values()):+.2f} dB"]) if gains else "not run")
    if stood := cells.place(known):
        print(f"    the published cell has place {stood.place} of {stood.of}, the best first; two-sided p = "
              f"{stood.p:.2f}")
    own = verdicts.psnrs(known, ["published"])
    if len(own) > 2:
        low, high = comparison.prediction_interval(own)
        print(f"    the published cell has {known['published']['cells'][0]['psnr']:.2f} dB from the seed of the "
              f"others, {sum(own) / len(own):.2f} dB on average over\n    {len(own)} seeds; the band is "
              f"{high - low:.2f} dB wide")


# %% alt="Denoising: PSNR of every trained cell by group; all of them lie in the grey band of the published cell"
show_scores("denoising")

# %% alt="Deraining: PSNR of every trained cell by group; all lie right of the published cell from the same seed"
show_scores("deraining")

# %% [markdown]
# **What to notice.** For both tasks all cells, R1 and R2 among them, lie in the grey band.
#
# - For denoising, the dashed line is the published cell's best of four seeds (23.58 dB; the mean of the four is 23.44),
#   so R1's lead of 0.30 dB is over that best one. Over the mean it is 0.44 dB, inside the band of ± 0.62 dB.
# - For deraining, every other cell is above the published one of the same seed (the dashed line), by 0.23 dB at most.
#   The band is about three times as wide as these cells lie apart, so it could not show a difference among them. That
#   all four runs of the published cell lie low is one observation, not four ([page 16](16_verdicts.ipynb), exercise 2).
#
# The paper prints losses of 0.08 dB (R1) and 0.01 dB (R2) for denoising, and of 4.83 and 0.62 dB for deraining. Losses
# like the last two would be seen here if they appear this early in a training (two runs of one deraining recipe lie
# within ± 0.40 dB of each other, and R2 gains 0.11 dB); losses like the first two would not.

# %% [markdown]
# ## For reference
#
# ### Table 4, printed and here
#
# These are the networks as published, which do not add their input to their output. ([The whole
# table](../figures/table4.md), also as [CSV](../figures/table4.csv) and [TeX](../figures/table4.tex).)

# %%
measured, smoke = runs.all_results(profile), profile == results.SMOKE
writers.write(4, measured, files.run_folder(profile) / "figures", smoke=smoke)
traced = [] if smoke else trace.trace(measured)
for task, title in (("denoising", "Denoising, sigma 30"), ("deraining", "Deraining")):
    display(frames.show(frames.beside_printed(traced, 4, task=task), f"Table 4, {title}, PSNR in dB"))

# %% [markdown]
# **What to notice.** No row can be compared with the printed one after so short a training, and these networks have not
# yet learned brightness ([notebook 5c](05c_batch_norm.ipynb)).

# %% [markdown]
# ### Is it the cell, or the term in the loss?
#
# For R1 in deraining the paper prints a loss of 4.83 dB, far more than any other change. The authors' program trained
# some deraining configurations without the log-SSIM term of the loss (lambda 0, IR-NAS* in the tables), so this row may
# differ in more than its cell. Or that training went wrong: it may have diverged. Here are the runs of Table 4 again,
# in `strict`, with the term and without it. Each is compared, picture by picture, with the published cell trained with
# the term.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
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
        notes.append(f"In the networks with their input added, two runs of one recipe lie within ± {half:.2f} dB of "
                     "each other (95%).")
    display(frames.show(pd.DataFrame(rows), f"{task}{level}, {count} test pictures, {budget(original)}", *notes))

# %% [markdown]
# **What to notice.** In deraining the published cell and R1 have nearly the same PSNR without the term (22.63 and 22.61
# dB). So neither the cell nor the missing term costs anything like 4.83 dB at this budget. None of these differences
# ranks a cell. Those of the cells lie within what two seeds of one network differ by, as would the paper's 0.08 and
# 0.01 dB. Those of the loss in deraining, 0.49 and 0.48 dB, are hardly larger than their intervals over pictures and
# seeds together (about half a decibel). And that spread over seeds is of networks with their input added; without it,
# networks learn the brightness poorly ([notebook 5c](05c_batch_norm.ipynb)), and the spread may be larger.

# %% [markdown]
# ### Figure 6 (a): the widths
#
# Our paths of widths are inferred, 0,0,0,1 for denoising and 0,0,1 for deraining; [notebook 2](02_search_space.ipynb)
# says from what, and how far this can be trusted. In a cell of the drawing stand the channels of a node and those of
# its output; dotted arrows are a cell's second input.

# %% alt="The networks, their cells on an inferred path of widths" jupyter={"source_hidden": true} tags=["hide-input"]
for task in ("denoising", "deraining"):
    levels = ",".join(map(str, PUBLISHED[task, "IR-NAS"].path))
    display(Markdown(f"**{task}**: levels {levels} (inferred)"),
            drawing.draw_network(all.published_network(task)))

# %% [markdown]
# ### What our own searches found
#
# No search found the published cell again. [Notebook 4](04_viterbi_decoding.ipynb) compares that of page 3 with it,
# edge by edge, beside random cells; it also shows that an untouched beta already favours the paths that our denoising
# searches end on. [Notebook 13](13_does_the_search_matter.ipynb) compares searches with each other.
#
# The paper also points out that its cells have no separable convolution. [Notebook 13](13_does_the_search_matter.ipynb)
# finds none in the three cells of its own searches either.

# %% [markdown]
# **What to take away.** A cell has many neighbours, and a comparison with two of them proves little. At the budgets of
# this project, no change of the published cells loses PSNR that can be told from training noise; a loss below about 0.6
# dB for denoising or 0.3 dB for deraining could not have been seen. [Notebook 14](14_searching_in_a_table.ipynb) trains
# a whole table of cells. Further reading: [how to evaluate a search](https://arxiv.org/abs/1912.12522).

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
# operations, which allow 7 ways; together 16. In the deraining cell all nodes have two different operations: 1 + 3 +
# 7 + 13 = 24.
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
# drawn at random and all of them worse. And each score must be precise enough to rank them: if seeds scatter as much as
# cells do, chance decides which of twenty is the best, and several seeds of each are needed.
#
# </details>

# %% [markdown]
# One more checks itself: list all cells that differ from a cell in one operation, in `exercises/neighbours.py`
# (medium).

# %%
check("neighbours")
