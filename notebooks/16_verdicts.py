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
# - **What needs no training comes out,** within a tenth of a decibel. BM3D's and WNNM's printed scores are met on
#   pictures of half size, so that Table 1 compares numbers of different pictures.
# - **The networks' claims are open.** Our trainings saw under a hundredth of the paper's pixels. At that length none of
#   the printed leads comes out, and none is refuted.
# - **That the search matters is not shown.** Searched cells cannot be told from random ones, in an experiment that
#   would have missed half a decibel every other time. For de-raining the published cell looks worse than other cells,
#   after very short trainings.

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
# ## All intervals at once
#
# Every claim here is a difference between two systems, in dB of PSNR. The thick part of a line is its 95% interval over
# the test pictures, paired picture by picture; some trainings kept no score for each picture and have none. The thin
# part adds what other training seeds would change. A cross is what the paper prints.

# %% alt="For 22 claims the measured difference in PSNR with its interval, and a cross for the printed one"
known = verdicts.evidence(profile)
found = verdicts.verdicts(known)
display(verdict_plots.intervals(found))

# %% [markdown]
# **Where the thin lines come from.** Nearly all networks here were trained once, so that their own scatter is not
# known. The published cell was trained from four seeds at a short budget, for each of the two tasks. These four give a
# standard deviation, and the interval assumes that it holds for every network and budget. The t distribution with three
# degrees of freedom makes the lines long, as four trainings deserve:

# %%
for task, groups in known.cells.items():
    deviation, half = cells.over_seeds(groups), verdicts.over_seeds(groups)
    print(f"{verdicts.TITLES[task]}: " + (f"standard deviation over seeds {deviation:.2f} dB; a difference of two "
                                          f"trainings varies by ± {half:.2f} dB (95%)" if deviation else "not run"))

# %% [markdown]
# **What to notice.** Where nothing is trained, the lines are short and the crosses lie on them, or nearly so. Where
# networks are trained, most crosses lie to the right of the lines: the paper's trainings are a thousand times as long
# as most of ours, and this is what `undertrained` means. Adding the network's input to its output moves it by more than
# a decibel, further than any choice between cells.
#
# ## The words
#
# `reproduced`: the printed number lies within our interval, or as near as [appendix A](A_every_printed_number.ipynb)
# says, and the interval does not contain zero. `fitted`: it does, but our measurement had been inferred from it.
# `undecided`: the interval contains zero, and the paper's number or nothing to compare it with. `differs`: the printed
# number lies outside. `undertrained`: it does, and our training saw less than a tenth of the paper's pixels, so that
# nothing follows but that the claim has to wait. `not comparable`: other pictures, or other hardware.


# %%
def number(value, verdict=None):
    """A number of the tables; a difference has its sign, an error has none."""
    signed = verdict is not None and verdict.unit == "dB" and not abs(verdict.printed) > 10
    text = "" if math.isnan(value) else f"{value:+.2f}" if signed else f"{value:.2f}"
    return f"{text}&nbsp;{verdict.unit}" if text and verdict else text


def show(topic):
    """The claims of one topic as a table."""
    lines = ["| claim | in the paper | here | ± pictures | ± with seeds | evidence | verdict | page |",
             "|:--|--:|--:|--:|--:|:--|:--|:--|"]
    for verdict in (verdict for verdict in found if verdict.topic.startswith(topic)):
        page = f"[{verdict.page.partition('_')[0]}]({verdict.page}.ipynb)"
        in_paper = number(verdict.printed, verdict) or ("better" if verdict.unit == "dB" else "")
        parts = [verdict.claim, in_paper, number(verdict.measured, verdict), number(verdict.pictures),
                 number(verdict.both), verdict.evidence, f"**{verdict.verdict}**", page]
        lines.append(f"| {' | '.join(parts)} |")
    display(Markdown("\n".join(lines)))


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
# first weights and the same batches. That training happens to be the published cell's best of four for denoising. For
# de-raining all four of its trainings lie at the lower end of the 18: at this budget the published cell looks worse
# than the others, by little.

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
# What the term buys depends on the network. As printed, it costs PSNR and adds SSIM, at every noise level and for rain:
# the network cannot pass its input's brightness on, and SSIM does not press it to. With the input added, early in a
# training, it adds both.

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
# 3. **More cells.** [Notebook 14](14_searching_in_a_table.ipynb) trains hundreds of random cells for a minute or two
#    each, so that a cell's rank among them can be told from luck.

# %% [markdown]
# **What to take away.** Agreement without a training is strong evidence, and cheap. A difference between two trainings
# is weak evidence as long as each was run once: the thin lines are what another seed may change. Further reading:
# [accounting for variance in benchmarks](https://arxiv.org/abs/2103.03098).

# %% [markdown]
# ## Exercises
#
# 1. Which of the verdicts would change if the seeds' standard deviation were half as large? Which would not?
# 2. Four of 18 trainings lie lowest but for three pairs. Work out the exact two-sided p of the Mann-Whitney test by
#    counting how many of the ways to choose 4 of 18 are at least as extreme.
# 3. The page makes some twenty comparisons at 95%. How many would you expect to exclude a true value by chance?
