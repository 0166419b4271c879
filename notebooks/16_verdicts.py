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
# here, how strong that is, and which page shows it.
#
# **Why it matters.** The paper claims that a differentiable search over cells and widths finds networks that restore
# pictures better, with fewer parameters and faster, than those made by hand. A claim about a difference needs an error,
# over pictures and over training runs.
#
# **What it needs.** What a confidence interval is. Each line is computed from the shipped results when the page runs:
# no data, ten seconds.
#
# ## What we found
#
# - **What holds.** WNNM, which is not trained, has its printed scores at sigma 30 and 50 on pictures of half size. So
#   has BM3D, from whose scores half size was inferred. The denoising network has its 0.63M parameters, from which its
#   path was inferred.
# - **What does not.** The network is not smaller than NLRN: it has nearly twice as many parameters. One cell for all
#   incoming paths saves less memory than the printed two thirds. WNNM's printed lead over BM3D at sigma 50 is 0.20 dB,
#   and 0.13 ± 0.02 dB here. On SIM1800 the paper's own table has two systems ahead of its network.
# - **What is open.** Every lead of a trained network: our training runs saw under a hundredth of the paper's pixels,
#   and none of the printed leads is reproduced or refuted. And whether the search matters: searched cells cannot be
#   told from random ones, in an experiment that detects a difference of half a decibel with a chance of 53%.

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
# ## What the verdicts mean
#
# - `reproduced`: the printed number lies within our 95% interval, which does not contain zero. A number that is no
#   difference has a tolerance instead ([appendix A](A_every_printed_number.ipynb)).
# - `fitted`: the same, but something of our measurement had been inferred from the number.
# - `undecided`: the interval contains zero, and the printed number as well, or the paper prints none.
# - `differs`: the printed number lies outside the interval.
# - `undertrained`: it lies outside, but our training saw less than a tenth of the paper's pixels, so the claim remains
#   open.
# - `not comparable`: other pictures, fewer pictures, another network, or other hardware.
#
# ## All intervals
#
# Every claim here is a difference between two systems, in dB of PSNR, and each line is its 95% interval: the thick part
# over the test pictures, paired picture by picture (some runs kept no score for each picture and have none); the thin
# part adds what other training seeds would change. A cross is what the paper prints; an arrow points to one that lies
# farther off.

# %% alt="For eleven claims of Tables 1 and 3 the difference in PSNR with its interval, and a cross for the printed one"
known = verdicts.evidence(profile)
found = verdicts.verdicts(known)
display(verdict_plots.intervals([verdict for verdict in found if verdict.topic.startswith("Table")]))

# %% alt="The same for twelve claims about the cell and the loss; for R1 in deraining an arrow points to -4.83 dB"
display(verdict_plots.intervals([verdict for verdict in found if verdict.topic.startswith("Section")]))

# %% [markdown]
# **What to notice.** Where nothing is trained, the lines are short and the crosses lie on them, or nearly so. Where
# networks are trained, most crosses lie to the right of the lines: the paper's training runs are a thousand times as
# long as most of ours. After such short runs the network as published is more than a decibel below itself with its
# input added; after fourteen times as many pixels the two are level ([notebook 6](06_table1_bsd500.ipynb)), and
# [notebook 5c](05c_batch_norm.ipynb) shows why.
#
# **Where the thin lines come from.** Nearly all networks here were trained once, so their own spread over seeds is not
# known. The published cell was trained from four seeds at a short budget, for each of the two tasks; the interval
# assumes that this spread holds for every network and budget. The t distribution with three degrees of freedom makes
# the lines long, because four runs estimate a spread only roughly:

# %%
for task, groups in known.cells.items():
    deviation, half = cells.over_seeds(groups), verdicts.over_seeds(groups)
    print(f"{verdicts.TITLES[task]}: " + (f"standard deviation over seeds {deviation:.2f} dB; a difference of two "
                                          f"runs varies by ± {half:.2f} dB (95%)" if deviation else "not run"))

# %% jupyter={"source_hidden": true} tags=["hide-input"]
def number(value, verdict, half=math.nan):
    """A number of the tables; a difference has its sign."""
    signed = verdict.unit == "dB" and not abs(verdict.printed) > 10
    text = "" if math.isnan(value) else f"{value:+.2f}" if signed else f"{value:.2f}"
    text += "" if math.isnan(half) or not text else f"&nbsp;±&nbsp;{half:.2f}"
    return f"{text}&nbsp;{verdict.unit}".removesuffix("&nbsp;") if text else ""


def show(topic):
    """The claims of one topic as a table."""
    lines = ["| claim | in the paper | here | verdict | evidence | page |", "|:--|--:|--:|:--|:--|:--|"]
    for verdict in (verdict for verdict in found if verdict.topic.startswith(topic)):
        page = f"[{verdict.page.partition('_')[0].lstrip('0')}]({verdict.page}.ipynb)"
        in_paper = number(verdict.printed, verdict) or ("better" if verdict.unit == "dB" else "")
        lines.append(f"| {verdict.claim} | {in_paper} | {number(verdict.measured, verdict, verdict.both)} | "
                     f"**{verdict.verdict}** | <small>{verdict.evidence}</small> | {page} |")
    display(Markdown("\n".join(lines)))


# %% [markdown]
# In the tables, ± gives the half-width of the 95% confidence interval over pictures and seeds, as far as each is known.

# %% [markdown]
# ## Table 1: methods that are not trained
#
# The strongest evidence of this project: nothing is learned, all 200 pictures are measured, and the noise is drawn
# anew. BM3D's rows showed us the protocol, so its agreement proves nothing by itself; WNNM's rows were not used for it.

# %%
show("Table 1: methods")

# %% [markdown]
# ## Table 1: networks
#
# All of one short budget, one seed each. "As published" is the paper's network, without a path around its batch norms;
# "input added" is the same network with its input added to its output. The printed leads are differences between
# numbers of unlike protocols ([notebook 12](12_protocols.ipynb)); ours are of one protocol. All were trained with a
# loss that hardly counts the outer pixels of a crop, which affects some networks more than others ([notebook
# 10](10_tables_5_6_ablation.ipynb#The-border-of-a-picture)).

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
# first weights and the same batches. For deraining that puts the published cell in the last of 15 places, which by
# chance alone a cell has, at one of the two ends, in 2 of 15 cases.

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
# What the term adds depends on the network. The network as published loses PSNR by it and gains SSIM in every line; at
# sigma 30 the interval includes zero. What is lost is brightness that is not learned: where both outputs get the mean
# of their input, the term costs nothing and still adds SSIM, as in the paper ([notebook 5c](05c_batch_norm.ipynb)).
# With the input added, early in training, it adds both in two networks of a usual size, and lowers PSNR in the small
# ones of notebook 5c.

# %%
show("Section 4.4")

# %% [markdown]
# ## Size, memory, time
#
# A parameter count needs no training. Times are of a CPU here and of a GTX 980 in the paper, and neither seconds nor
# ratios compare: what is fast on one need not be fast on the other. Auto-DeepLab was not run; its share of memory is
# that of Eq. 5 in Eq. 6, both in our own implementation.

# %%
show("Size, memory, time")

# %% [markdown]
# ## What would decide it
#
# 1. **Longer training.** For the claims that are `undertrained`, a tenth of the paper's pixels is the bar set here.
# 2. **Seeds.** The thin lines shrink from 0.8 to about 0.4 dB with three runs of each of two systems.
# 3. **More cells.** [Notebook 14](14_searching_in_a_table.ipynb) trains a table of random cells, among which a cell has
#    a rank.

# %% [markdown]
# **What to take away.** Agreement without training is strong evidence, and cheap. A difference between two training
# runs is weak evidence as long as each system was trained once. Further reading: [accounting for variance in
# benchmarks](https://arxiv.org/abs/2103.03098).

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
# **2** (hard). For deraining, four of 18 runs are of the published cell, and it is ahead in three of the 56 pairs of
# one of these with another cell's run. Work out the exact two-sided p of the Mann-Whitney test by counting. Why is it
# not on this page?
#
# <details><summary>Solution</summary>
#
# There are 3,060 ways to choose 4 of 18 places. The four lowest places give 0 pairs, and each step of a chosen place
# upwards gives one more. With 1 pair there is 1 way, with 2 there are 2, with 3 there are 3 (the partitions of the
# number into at most four parts), so 1 + 1 + 2 + 3 = 7 ways are at least as extreme at this end. With the other end
# that is 14 of 3,060, p = 0.0046. It holds for 18 independent cells; four runs of one cell are not four cells. With
# each cell counted once, p = 2/15 = 0.13.
#
# </details>
#
# **3** (easy). The page makes some thirty comparisons at 95%. In how many would you expect the interval to miss the
# true value by chance, if all were independent? What does that mean for a single surprising line?
#
# <details><summary>Solution</summary>
#
# In 5% of them, one or two. So one surprising line among thirty is no surprise; a pattern of many lines is one, and a
# single line that matters should be measured again, from other seeds.
#
# </details>
