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
# # 16. Which of the paper's claims hold up?
#
# **What you will learn.** Claim by claim: what [the paper](https://arxiv.org/abs/1909.08228) says, what was measured
# here, how strong that is, which page shows it, and what it would cost to decide what is open.
#
# **Why it matters.** The paper claims that a differentiable search over cells and widths finds networks that restore
# pictures better, with fewer parameters and faster, than those made by hand. A claim about a difference needs an error
# bar, over pictures and over training runs.
#
# **What it needs.** What a confidence interval is. Each line is computed from the shipped results when the page runs,
# without data, in less than a minute.
#
# ## What we found
#
# - **What holds up.** We reproduce WNNM's printed scores at sigma 30 and 50, on pictures of half size; nothing is
#   trained there ([page 12](12_protocols.ipynb)). BM3D's scores agree as well, but half size was first inferred from
#   them. The network has the printed 0.63M parameters and the printed share of N3Net's, but only because its path of
#   widths was inferred from that count ([page 11](11_efficiency.ipynb)).
# - **What does not.** The network is not smaller than NLRN, it has nearly twice as many parameters: the printed 0.98M
#   of NLRN equals what a checkpoint of its training holds ([page 11](11_efficiency.ipynb)). And in the paper's own
#   Table 2 two systems are ahead of its network in PSNR; in SSIM its network leads (.8326 against .8191 and .8081;
#   [page 7](07_table2_sim1800.ipynb)).
# - **What we cannot explain.** WNNM's lead over BM3D at sigma 50 is 0.13 ± 0.02 dB and printed as 0.20. Both scores
#   agree with ours as single numbers; the programs are not the same.
# - **What is open.** Every lead of a trained network: our training runs saw under a hundredth of the paper's pixels, so
#   they neither reproduce nor refute a printed lead. A tenth of its pixels, our bar for a verdict, would take 25 to 72
#   minutes of an H100 for each network of this kind, by the pace of our runs there, which took six minutes at most.
# - **Whether the search is worth its time is open too.** After very short training, four searched cells are 0.31 dB
#   above 30 random ones (0.13 to 0.49), and level with the best of as many random ones as a search costs ([page
#   13](13_does_the_search_matter.ipynb)). The line on searched cells below is of an earlier experiment: three cells of
#   searches that had not decided cannot be told from six random ones.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
from IPython.display import Markdown, display

from irnas_lib.experiments import cells, runs
from irnas_lib.experiments.config import PAPER_PIXELS, pixels
from irnas_lib.figures import verdict_plots
from irnas_lib.tables import trace, verdicts

print(runs.versions("torch", "numpy", "scipy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## How many claims have which verdict?

# %% alt="Stacked bars: how many claims of each table and section have each verdict; most are undertrained or undecided"
known = verdicts.evidence(profile)
found = verdicts.verdicts(known)
topics = {topic: [verdict for verdict in found if verdict.topic == topic]
          for topic in dict.fromkeys(verdict.topic for verdict in found)}
display(verdict_plots.ledger(topics, "claims"))

# %% [markdown]
# **What to notice.** Grey is open, and most is grey. Blue agrees with the paper: dark blue by itself (`reproduced`),
# the lighter blues with a reservation (`fitted`: something had been inferred from the number; `imprecise`: the sign
# agrees, but the interval is wide). Red differs from our measurement, and pink contradicts another number of the paper.
# None of the coloured claims needs a training run: they are about methods that are not trained, about counts, and one
# about the paper's own Table 2.
#
# ## What the verdicts mean
#
# In short: the claim holds (`reproduced`), it does not (`differs`, `contradicted`), or it is open (all others).
#
# <details><summary>The rules in full</summary>
#
# A difference of two systems gets its verdict from its 95% interval:
#
# - `reproduced`: the interval contains the printed number and not zero, and its half-width is at most half of what is
#   printed.
# - `imprecise`: the same with a wider interval. The sign agrees and the size remains open.
# - `undecided`: the evidence fits the claim and its opposite. The interval contains zero, and the printed number if
#   there is one.
# - `differs`: the printed number lies outside the interval by more than its rounding, whether or not zero does.
# - `undertrained`: the interval excludes zero or the printed number, but our training saw less than a tenth of the
#   paper's pixels. Such a run neither reproduces nor refutes, so the claim remains open. The word does not say on which
#   side we are: N3Net is clearly ahead of the network as published, whereas R1 in deraining cannot be told from the
#   published cell (the interval contains zero) and merely misses the large printed loss. More training need not change
#   either.
# - `contradicted`: another number of the paper itself says the opposite. Nothing was measured.
# - `not comparable`: pictures that are not the paper's, times of other hardware, or a share of another baseline.
#
# A single score or count, which has no interval, is `reproduced` if it lies within a fixed tolerance ([appendix
# A](A_every_printed_number.ipynb)), and `fitted` if something of our measurement had been inferred from it. A quotient
# of two printed counts may be whatever the rounding of the two allows. The tolerance of 0.15 dB is a choice; for scale,
# BM3D at sigma 50 has 0.62 dB less on pictures of half size than on whole ones. It is wide enough to pass BM3D's 0.11
# dB at sigma 50, which is nearly as large as the lead of WNNM over BM3D. A single score of 20 of the 200 test pictures
# is `not comparable`; a difference on these 20 is judged, because it is taken picture by picture. Lines named "input
# added" are of the paper's cell and path, with the input added to the output. The paper's network does not do this;
# these lines are judged by the same rules, and ask whether the cell has the printed lead once brightness is no
# obstacle.
#
# </details>
#
# ## All intervals
#
# Each line is the 95% interval of a difference in PSNR between two systems. The thick part is over the test pictures,
# paired picture by picture (those of Section 4.3 and two of Section 4.4 have none); the thin part adds what other
# training seeds would change. It is dotted where that spread is borrowed: measured on another network, or on training
# runs of another length. A cross is what the paper prints; an arrow points to one that lies farther off.

# %% alt="For eleven claims of Tables 1 and 3 the difference in PSNR with its interval, and a cross for the printed one"
display(verdict_plots.intervals([verdict for verdict in found if verdict.topic.startswith("Table")]))

# %% alt="The same for twelve claims about the cell and the loss; for R1 in deraining an arrow points to -4.83 dB"
display(verdict_plots.intervals([verdict for verdict in found if verdict.topic.startswith("Section")]))
short = [verdict for verdict in found if verdict.verdict == trace.UNDERTRAINED and verdict.both > 0]
print(f"{len(short)} differences are undertrained; in {sum(one.measured * one.printed < 0 for one in short)} of them "
      f"our sign is not the printed one, and in {sum(abs(one.measured) <= one.both for one in short)} zero lies in our "
      "interval")

# %% [markdown]
# **What to notice.** WNNM over BM3D, in the panel with a scale of its own, is the only lead that is measured to a few
# hundredths of a decibel. At sigma 50 the cross lies outside: the lead differs from the printed one by 0.07 dB. Both
# scores agree with theirs within 0.15 dB, so a tolerance that suits single scores would hide it. What is off is not
# known; our BM3D, 0.11 dB above the printed one, is the first suspect. Where networks are trained, most crosses lie to
# the right of the lines: in eleven of the thirteen differences that are undertrained, our sign is not the printed one
# (in six of the thirteen zero lies in our interval). Presumably that is because the paper's training runs are a
# thousand times as long as most of ours, and because the network as published learns brightness badly in small batches;
# no run here tests the first. After such short runs the network as published is more than a decibel below itself with
# its input added; after fourteen times as many pixels the two cannot be told apart ([notebook
# 6](06_table1_bsd500.ipynb)), and [notebook 5c](05c_batch_norm.ipynb) shows why.
#
# **Where the thin lines come from.** Nearly all networks here were trained once, so how much another seed moves them is
# not known. For each of the two tasks four training runs tell: of the published cell with its input added, from four
# seeds and at a short budget. Only the cells of [page 13](13_does_the_search_matter.ipynb) are of that kind. Every
# other network borrows the spread. Pairs of longer denoising runs of DnCNN, of the network with its input added and as
# published have a similar one ([page 6](06_table1_bsd500.ipynb)); after far longer training it may shrink. The t
# distribution with three degrees of freedom makes the lines long, because four runs estimate a standard deviation only
# roughly:

# %% jupyter={"source_hidden": true} tags=["hide-input"]
for task, groups in known.cells.items():
    deviation, half = cells.over_seeds(groups), verdicts.over_seeds(groups)
    print(f"{verdicts.TITLES[task]}: " + (
        f"standard deviation over seeds {deviation:.2f} dB; a difference of two runs varies by ± {half:.2f} dB (95%)"
        if deviation else "not run"))

# %% jupyter={"source_hidden": true} tags=["hide-input"]
def show(*names):
    """The claims of some topics as tables."""
    chosen = [topic for topic in topics if topic.startswith(names)]
    for topic in chosen:
        title = f"**{topic}.** " if len(chosen) > 1 else ""
        display(Markdown(title + verdicts.markdown(topics[topic])))


# %% [markdown]
# In the tables below, ± gives the half-width of the 95% confidence interval over pictures and seeds, as far as each is
# known, and the column SSIM has the difference in SSIM.
#
# ## Table 1: methods that are not trained
#
# The strongest evidence of this project: nothing is learned, and apart from WNNM at sigma 70 all 200 pictures are
# measured. BM3D's rows showed us the protocol, so its agreement proves nothing by itself; WNNM's rows were not used for
# it. The printed scores are those of [RED-Net's](https://arxiv.org/abs/1603.09056) table, so none of these lines is a
# claim of this paper's own. The interval over pictures is a cautious one here, since the same 200 pictures were
# measured there: only the noise, the way of halving the pictures and the programs can differ.
#
# Not explained: at sigma 50 our BM3D is 0.11 dB above the printed one. With WNNM 0.04 dB above its own, WNNM's lead is
# 0.07 dB less than printed. (The line of sigma 70 is of 20 pictures.)

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
# The paper's SIM1800 was never published, and ours is rebuilt from other photographs. Its own Table 2 contradicts the
# claim in PSNR alone; by SSIM its network is the best there. For Rain800 the paper does not say whether it measures
# colour or luma; here it is colour.

# %%
show("Table 2", "Table 3")

# %% [markdown]
# ## Section 4.3: the cell
#
# The paper also remarks that its search chose no separable convolution. None of the three searched cells of [notebook
# 13](13_does_the_search_matter.ipynb) has one either. These searches had not decided, and some that do decide choose
# it, so the remark gets no verdict.
#
# All cells of [notebook 13](13_does_the_search_matter.ipynb) add their input to their output. Changed cells were all
# trained from seed 0, so each is compared with the published cell from seed 0, with the same first weights and the same
# batches. For deraining that makes the published cell the lowest of 15, which is no evidence at this size: by chance
# alone a cell is the lowest or the highest of 15 in 2 of 15 cases.
#
# The published path ends with its widest cell. An untouched beta already favours it, with one other path; the four
# larger searches that decide ([notebook 3b](03b_what_makes_a_search_decide.ipynb)) end on 1,0,0,0, 1,1,0,0, 0,1,0,0 and
# 0,0,0,0, none of which ends with its widest cell.

# %%
show("Section 4.3")

# %% [markdown]
# ## Section 4.4: the log-SSIM term
#
# The network as published has less PSNR with the term in every line, and at sigma 30 the interval includes zero. Its
# SSIM is higher in every line, but at sigma 50 by less than its interval (± 0.037, over pictures and seeds; [notebook
# 10](10_tables_5_6_ablation.ipynb)). The lost PSNR is mostly brightness that is not learned: where both outputs get the
# mean of their input, what the term costs cannot be told from nothing ([notebook 5c](05c_batch_norm.ipynb)). With the
# input added, early in training, PSNR rises in two networks of a usual size and falls in the small ones of notebook 5c.
# These comparisons differ in more than the network, so the cause is open.

# %%
show("Section 4.4")

# %% [markdown]
# ## Size, memory, time
#
# A parameter count needs no training. Times are of a CPU here and of a GTX 980 in the paper, and neither seconds nor
# ratios compare: what is fast on one need not be fast on the other. The paper's third of the memory is of Auto-DeepLab,
# which was not run here; ours is the share of Eq. 5 in Eq. 6, both in our own implementation, and decides nothing about
# the third ([notebook 11](11_efficiency.ipynb)). The share of N3Net's parameters is a quotient of two printed numbers
# of two digits, and ours lies within what their rounding allows.

# %%
show("Size, memory, time")

# %% [markdown]
# ## What would decide it
#
# 1. **Longer training.** For the claims that are `undertrained`, a tenth of the paper's pixels is the bar set here. The
#    cell below says what that costs at the rates of our own runs on a GPU; the cell searched here is the run of [page
#    5](05_training.ipynb). That run, the latest, had a newer PyTorch, and is nearly three times as fast as the two
#    others of its kind and size; what in the program made the difference was not measured.
# 2. **Seeds.** Three runs of each of two systems shrink the thin lines from 0.8 to about 0.4 dB, at three times the
#    cost, and then the spread need not be borrowed.
# 3. **Longer runs of many cells.** [Notebook 14](14_searching_in_a_table.ipynb) has a table of cells that were trained
#    for 244 steps; whether a long training ranks them alike is not known.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
for result in sorted(known.results, key=lambda result: result.system):
    if result.seconds and result.iterations and "H100" in result.device and (seen := pixels(result)):
        steps, rate = trace.ENOUGH * PAPER_PIXELS * result.iterations / seen, result.iterations / result.seconds
        print(f"{result.system}, torch {result.versions['torch']}: {rate:.0f} steps a second, in a run of "
              f"{result.seconds / 60:.1f} minutes;\n  a tenth of the paper's pixels is {steps:,.0f} steps, "
              f"{steps / rate / 60:.0f} minutes of an H100; all of them take {steps / rate / 3600 / trace.ENOUGH:.1f} "
              "hours")

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
# dB, which no longer contains the printed lead of 0.27 dB: undertrained. All others stay, because the printed leads lie
# far off or the measured differences are small.
#
# </details>
#
# **2** (medium). For deraining, four of 18 runs are of the published cell, each from another seed, and nearly all other
# runs score higher. The Mann-Whitney test of the four against the 14 others gives p = 0.005. Why is this p not on this
# page, and which one is?
#
# <details><summary>Solution</summary>
#
# The test takes the 18 runs for 18 cells drawn independently. Four runs of one cell are not four cells: if the cell
# happens to be a poor one, all four are low together, and that is one observation. With each cell counted once, the
# published cell is the last of 15. If all were alike, a given cell would be so near to one of the ends in 2 of 15
# cases: p = 2/15 = 0.13.
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
