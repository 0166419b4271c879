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
# # 6. Table 1: denoising BSD500
#
# **What you will learn.** Which networks lead when all are trained alike, how that compares with two methods that learn
# nothing, and which of the printed numbers of the paper's main table can be compared with anything measured here.
#
# **Why it matters.** A table of denoisers is read as a ranking. It is one only if its rows saw the same pictures, the
# same noise, the same protocol and the same training.
#
# **What it needs.** The idea of PSNR and of the protocols ([notebook 5](05_training.ipynb); more in [notebook
# 12](12_protocols.ipynb)). Everything on this page is made from stored results: no data, a few seconds.

# %%
from IPython.display import display

from irnas_lib import files
from irnas_lib.experiments import cells, runs, times
from irnas_lib.figures import comparison_plots, plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import comparison, frames, trace, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## At one budget, who is ahead?
#
# These systems were trained alike: as many steps on the same batches, measured on the same pictures with the same
# noise. Every picture gives a pair of scores, so that a difference can be told from the luck of the pictures. From the
# luck of the seed it cannot, for there is one; by how much another seed moves a network is known from trainings of the
# published cell ([notebook 13](13_does_the_search_matter.ipynb)), and the verdicts ahead, level and behind allow for
# it. The loss is Eq. 7, for IR-NAS* without its second term, for MemNet with all of its six outputs in it.
#
# What the others are compared with is `IR-NAS + residual`, the paper's network with its input added to its output. The
# network as printed has no path around its batch norms, and what that costs with small batches ([notebook
# 10](10_tables_5_6_ablation.ipynb)) says little about its cell.

# %% alt="PSNR of each system over IR-NAS + residual with its interval over pictures and seeds, the best on top"
results, smoke = runs.all_results(profile), profile == "smoke"
trained = cells.best_known([folder / "cells" for folder in runs.folders(profile)], "denoising", smoke)
deviation = cells.over_seeds(trained)
compared = comparison.side_by_side(results, smoke=smoke, reference="IR-NAS + residual", over_seeds=deviation)
display(comparison_plots.ranking(compared))
warning = f"{writers.SMOKE_WARNING} " if smoke else ""
title = compared.title if compared.rows else "Systems at one budget"
display(frames.show(frames.at_one_budget(compared), warning + title))
print(*(f"{system}: {why}" for system, why in compared.missing.items()), sep="; ")

# %% [markdown]
# **What to notice** in the trainings that come with the project, 18 million pixels each. BM3D and WNNM, which learn
# nothing, are ahead of `IR-NAS + residual`, and above every network: this budget, 0.06% of the paper's, says nothing
# about where the networks end. Among the networks N3Net and MemNet are above it and DnCNN is below, by no more than
# another seed may bring. DnCNN is below it only by a frame of a few pixels that this loss leaves untrained: inside of
# it DnCNN is above ([notebook 10](10_tables_5_6_ablation.ipynb) measures it on eight pictures). The network as printed
# is behind, by more than any seed explains; in SSIM it is level.
#
# NLRN has failed: its gain over the input is less than two thirds of BM3D's, the bar for all noise levels. Its loss
# jumps from beginning to end, it lets much of the noise through, and its tiles of 43x43, which hardly overlap here,
# show their seams. Its authors clip the norm of its gradient, which the recipe that all share does not; whether that is
# why was not tested.

# %% [markdown]
# ## Which printed numbers can be compared?
#
# The paper does not say how it measured. [Notebook 12](12_protocols.ipynb) infers it: the rows BM3D to NLRN agree with
# `half` (pictures of half the size), N3Net's with `strict` (whole pictures, one noise field), IR-NAS's with `redrawn`
# (overlapping tiles, each with fresh noise), which flatters. Here each printed number stands beside ours under its own
# protocol, from the system's longest training. So **no two rows of different protocols are a ranking**, neither
# printed nor here.

# %%
taken = {} if smoke else times.load()
traced = trace.trace(results, taken)
display(frames.show(frames.beside_printed(traced, 1, sigma="50"), "Table 1, sigma 50, printed and here"))

# %% [markdown]
# **What to notice.** The two methods that need no training come out as printed, so that the pictures and the protocol
# are right. No training here is long enough to say anything about a printed number of a network: `undertrained` means
# that it saw less than a tenth of the paper's pixels.
#
# The whole table, at every noise level and under every protocol, with SSIM, parameters, times and notes, is in
# [table1.md](../figures/table1.md), for programs in [table1.csv](../figures/table1.csv) and for papers in
# [table1.tex](../figures/table1.tex).

# %%
for path in writers.write(1, results, files.run_folder(profile) / "figures", smoke, taken):
    print("written:", path.name)

# %% [markdown]
# ## What it looks like
#
# Crops of the same picture from every system that has run, each as its longest training has left it. The scores below
# each crop are of the crop.

# %% alt="Crops of two BSD500 test pictures at sigma 50: noisy, restored by each system, clean"
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
display(plots.restored_panel(shown, "denoising", profiles.datasets(profile)["denoising"], 50))

# %% [markdown]
# ## What does a decibel cost?
#
# The paper argues with parameters and with time. What do the systems of one budget reach for theirs?

# %% alt="Two scatter plots: PSNR of each system against its parameters and against its time"
display(comparison_plots.psnr_against_cost(compared, times.scaled(taken.get("denoising"))))

# %% [markdown]
# **What to take away.** A ranking needs one budget, one protocol and an error. At a small budget the cell of the paper
# is one good network among several; whether it leads at a large one is a question for longer trainings. Further
# reading: [DnCNN](https://arxiv.org/abs/1608.03981), [RED](https://arxiv.org/abs/1603.09056),
# [MemNet](https://arxiv.org/abs/1708.02209), [NLRN](https://arxiv.org/abs/1806.02919),
# [N3Net](https://arxiv.org/abs/1810.12575), [BM3D](https://doi.org/10.1109/TIP.2007.901238) and
# [WNNM](https://doi.org/10.1109/CVPR.2014.366).

# %% [markdown]
# ## Exercises
#
# **1** (easy). Take the printed rows at their word: by how much does IR-NAS lead RED at sigma 50? Now name the two
# protocols behind the two numbers. What is left of the comparison?
#
# <details><summary>Solution</summary>
#
# 26.77 - 25.75 = 1.02 dB. IR-NAS's number agrees with `redrawn`, RED's with `half`. One and the same network, the
# IR-NAS trained here for 5,000 iterations, has 26.10 dB in `redrawn` and 24.87 in `half`: the protocols alone are 1.23
# dB apart. So nothing is left of it, in either direction; the two have to be measured alike.
#
# </details>
#
# **2** (medium). Which measured cells of [the whole table](../figures/table1.md) would you distrust, given the
# iterations beside them?
#
# <details><summary>Solution</summary>
#
# As a statement about a system: every cell of a trained one, since 4,500 iterations of 4 crops of 32x32 are 0.062% of
# the pixels of the paper's training. Most of all NLRN's, whose training gained too little to count, and those of IR-NAS
# without the input added, which small batches keep from learning the brightness: 25.38 dB at sigma 30, where the same
# network with the input added has 27.26. As a comparison: any two rows of different budgets. BM3D and WNNM are not
# trained, so theirs can be trusted, WNNM's on fewer pictures within a few tenths of a dB.
#
# </details>
