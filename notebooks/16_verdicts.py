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
# # 16. What holds of the paper
#
# **What you will learn.** Claim by claim: what [the paper](https://arxiv.org/abs/1909.08228) says, what was measured
# here, how strong that is, and where it is shown.
#
# **Why it matters.** The paper claims that a differentiable search over cells and widths finds networks that restore
# pictures better, with fewer parameters and faster, than those made by hand. A claim about a difference needs an error,
# over pictures and over trainings.
#
# **What it needs.** What a confidence interval is. Each line is computed from the shipped results when the page runs:
# no data, ten seconds.
#
# In short:
#
# - **What holds.** WNNM, which nobody trains, has its printed scores at sigma 30 and 50 on pictures of half size. So
#   has BM3D, from whose scores half size was inferred. The denoising network has its 0.63M parameters, from which its
#   path was inferred.
# - **What does not.** The network is not smaller than NLRN: it has nearly twice as many parameters. Its search takes
#   more than the third of Auto-DeepLab's memory. On SIM1800 the paper's own table has two systems ahead of it.
# - **What is open.** Every lead of a trained network, for our trainings saw under a hundredth of the paper's pixels:
#   none of the printed leads comes out, and none is refuted. And whether the search matters: searched cells cannot be
#   told from random ones, in an experiment that would have missed half a decibel every other time.

# %%
import math

from IPython.display import Markdown, display

from irnas_lib.experiments import cells, runs, table_facts
from irnas_lib.figures import verdict_plots
from irnas_lib.tables import verdicts

print(runs.versions("torch", "numpy", "scipy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## The words
#
# - `reproduced`: the printed number lies within our interval, or as near as [appendix A](A_every_printed_number.ipynb)
#   says, and the interval does not contain zero.
# - `fitted`: it does, but something of our measurement had been inferred from it.
# - `undecided`: the interval contains zero, and the printed number as well, or the paper prints none.
# - `differs`: the printed number lies outside the interval.
# - `undertrained`: it lies outside, and our training saw less than a tenth of the paper's pixels. Nothing follows but
#   that the claim has to wait.
# - `not comparable`: other pictures, fewer pictures, or other hardware.
#
# ## All intervals at once
#
# Every claim here is a difference between two systems, in dB of PSNR. The thick part of a line is its 95% interval over
# the test pictures, paired picture by picture; some trainings kept no score for each picture and have none. The thin
# part adds what other training seeds would change. A cross is what the paper prints.

# %% alt="For 24 claims the measured difference in PSNR with its interval, and a cross for the printed one"
known = verdicts.evidence(profile)
found = verdicts.verdicts(known)
display(verdict_plots.intervals(found))

# %% [markdown]
# **Where the thin lines come from.** Nearly all networks here were trained once, so that their own scatter is not
# known. The published cell was trained from four seeds at a short budget, for each of the two tasks. These four give a
# standard deviation, and the interval assumes that it holds for every network and budget. Other trainings scatter as
# much or more: [notebook 10b](10b_what_a_recipe_is_worth.ipynb) has two seeds of another recipe, [notebook
# 14](14_searching_in_a_table.ipynb) ten cells after very short trainings. The t distribution with three degrees of
# freedom makes the lines long, as four trainings deserve:

# %%
for task, groups in known.cells.items():
    deviation, half = cells.over_seeds(groups), verdicts.over_seeds(groups)
    print(f"{verdicts.TITLES[task]}: " + (f"standard deviation over seeds {deviation:.2f} dB; a difference of two "
                                          f"trainings varies by ± {half:.2f} dB (95%)" if deviation else "not run"))

# %% [markdown]
# **What to notice.** Where nothing is trained, the lines are short and the crosses lie on them, or nearly so. Where
# networks are trained, most crosses lie to the right of the lines: the paper's trainings are a thousand times as long
# as most of ours, and this is what `undertrained` means. After such short trainings the network as printed is more than
# a decibel below itself with its input added; after fourteen times as many pixels the two are level ([notebook
# 6](06_table1_bsd500.ipynb)), and [notebook 5c](05c_batch_norm.ipynb) shows why.


# %%
def number(value, verdict=None):
    """A number of the tables; a difference has its sign, an error has none."""
    signed = verdict is not None and verdict.unit == "dB" and not abs(verdict.printed) > 10
    text = "" if math.isnan(value) else f"{value:+.2f}" if signed else f"{value:.2f}"
    return f"{text}&nbsp;{verdict.unit}" if text and verdict else text


def show(topic):
    """The claims of one topic as a table, the evidence in small print below each claim."""
    columns = {"claim": ":--", "in the paper": "--:", "here": "--:", "± pictures": "--:", "± with seeds": "--:",
               "verdict": ":--", "page": ":--"}
    rows = []
    for verdict in (verdict for verdict in found if verdict.topic.startswith(topic)):
        page = f"[{verdict.page.partition('_')[0]}]({verdict.page}.ipynb)"
        in_paper = number(verdict.printed, verdict) or ("better" if verdict.unit == "dB" else "")
        rows.append((f"{verdict.claim}<br><small>{verdict.evidence}</small>", in_paper,
                     number(verdict.measured, verdict), number(verdict.pictures), number(verdict.both),
                     f"**{verdict.verdict}**", page))
    shown = [i for i, cells_of_column in enumerate(zip(*rows)) if any(cells_of_column)]
    lines = [[list(columns)[i] for i in shown], [list(columns.values())[i] for i in shown],
             *([row[i] for i in shown] for row in rows)]
    display(Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines)))


# %% [markdown]
# ## Table 1: methods that are not trained
#
# The strongest evidence of this project: nothing is learned, all 200 pictures are measured, and the noise is drawn
# anew. BM3D's rows told us the protocol, so its agreement proves nothing by itself; WNNM's rows were not used for it.

# %%
show("Table 1: methods")

# %% [markdown]
# ## Table 1: networks
#
# All of one short budget, one seed each. "As printed" is the paper's network, without a path around its batch norms;
# "input added" is the same network with its input added to its output. The printed leads are differences between
# numbers of unlike protocols ([notebook 12](12_protocols.ipynb)); ours are of one protocol. All were trained with a
# loss that hardly counts the outer pixels of a crop, which some networks mind more than others: [notebook
# 10](10_tables_5_6_ablation.ipynb), "The frame".

# %%
show("Table 1: networks")

# %% [markdown]
# ## Tables 2 and 3: simulated photographs and rain
#
# The paper's SIM1800 was never published, and ours is rebuilt from other photographs. For Rain800 the paper does not
# say whether it measures colour or luma; here it is colour.

# %%
show("Table 2")
show("Table 3")

# %% [markdown]
# ## Section 4.3: the cell
#
# Changed cells were all trained from seed 0, so each is compared with the published cell from seed 0, with the same
# first weights and the same batches. That training happens to be the published cell's best of four for denoising.
#
# For de-raining all four of its trainings lie at the lower end of the 18. Counted as 18 independent trainings that has
# a p-value of 0.005, the chance that a random order is as lopsided; but four trainings of one cell are not four cells.
# Counted once, from the seed that all others have, the published cell is the lowest of 15, and luck puts a cell at one
# of the two ends in 2 of 15 cases. So it looks worse than the others at this budget, by little, and not by much more
# than luck would do.

# %%
show("Section 4.3")
drawn = {name: [cell["psnr"] for cell in group if cell["psnr"] is not None]
         for name, group in cells.by_group(known.cells["denoising"]).items()}
if {"searched", "random"} <= drawn.keys():
    sizes, deviation = [len(drawn[name]) for name in ("searched", "random")], table_facts.pooled(
        drawn["searched"], drawn["random"])
    for difference in (0.25, 0.5, 0.75, 1.0):
        print(f"with {sizes[0]} against {sizes[1]} cells (standard deviation {deviation:.2f} dB) a difference of "
              f"{difference:.2f} dB is seen with a chance of {table_facts.power(difference, deviation, *sizes):.0%}")

# %% [markdown]
# ## Section 4.4: the log-SSIM term
#
# What the term buys depends on the network. As printed, it costs PSNR and adds SSIM in every line, at sigma 30 within
# the interval. The price is brightness that is not learned: where both outputs get the mean of their input, the term
# costs nothing and still adds SSIM, as the paper has it ([notebook 5c](05c_batch_norm.ipynb)). With the input added,
# early in a training, it adds both.

# %%
show("Section 4.4")

# %% [markdown]
# ## Size, memory, time
#
# A parameter count needs no training and no luck. Times are of a CPU here and of a GTX 980 there, and neither seconds
# nor ratios compare: what is fast on one need not be so on the other.

# %%
show("Size, memory, time")

# %% [markdown]
# ## What would decide it
#
# 1. **Longer trainings.** For the claims that are `undertrained`, a tenth of the paper's pixels is the bar set here.
# 2. **Seeds.** The thin lines shrink from 0.8 to about 0.3 dB with three trainings of each system at the same budget.
# 3. **More cells.** [Notebook 14](14_searching_in_a_table.ipynb) has begun a table of random cells, so that a cell's
#    rank among them can be told from luck.

# %% [markdown]
# **What to take away.** Agreement without a training is strong evidence, and cheap. A difference between two trainings
# is weak evidence as long as each was run once: the thin lines are what another seed may change. Further reading:
# [accounting for variance in benchmarks](https://arxiv.org/abs/2103.03098).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Which verdicts on trained networks would change if the standard deviation over seeds were half as
# large?
#
# <details><summary>Solution</summary>
#
# One. IR-NAS with its input added is 0.44 dB behind N3Net, ± 0.82 dB: undecided. With half the deviation that is ± 0.45
# dB, which no longer contains the printed lead of 0.27 dB: undertrained. All others stay, because the printed leads
# lie far off or the measured differences are small.
#
# </details>
#
# **2** (hard). Of 18 trainings four are of the published cell, and of the 56 pairs of one of these with another cell's
# it is ahead in three. Work out the exact two-sided p of the Mann-Whitney test by counting.
#
# <details><summary>Solution</summary>
#
# There are 3,060 ways to choose 4 of 18 places. The four lowest places give 0 pairs, and each step of a chosen place
# upwards gives one more. With 1 pair there is 1 way, with 2 there are 2, with 3 there are 3 (the partitions of the
# number into at most four parts), so 1 + 1 + 2 + 3 = 7 ways are at least as extreme at this end. With the other end
# that is 14 of 3,060, p = 0.0046.
#
# </details>
#
# **3** (easy). The page makes some thirty comparisons at 95%. In how many would you expect the interval to miss the
# true value by chance, if all were independent? What does that say about a single surprising line?
#
# <details><summary>Solution</summary>
#
# In 5% of them, one or two. So one surprising line among thirty is no surprise; a pattern of many lines is one, and a
# single line that matters wants to be measured again, from other seeds.
#
# </details>
