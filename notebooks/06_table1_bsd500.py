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
# The paper's main table, three times over: once for every protocol under which a number in it may have been
# measured. A cell holds what the paper prints, what was measured here, or "not run". At the end you will know which
# of the printed rows may be compared with each other, and how ours compare.

# %%

from IPython.display import Markdown, display

from irnas_lib import files
from irnas_lib.experiments import cells, runs, times
from irnas_lib.figures import plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import comparison, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## The results at hand
#
# The table is made from result files alone: those of this run and, unless it is a smoke run, those that come with
# the project. Each says how it was trained.

# %%
results = runs.all_results(profile)
for result in results:
    if result.task == "denoising":
        print(f"{result.system:24} sigma {result.sigma}  {result.iterations or 0:>7} iterations  "
              f"seed {result.seed}  {result.recipe or '-':8} {result.status}  on {result.dataset}")

# %% [markdown]
# ## The table
#
# `strict` is the whole picture with one noise field, `half` a picture of half the size, `redrawn` overlapping tiles
# with fresh noise in each ([notebook 12](12_protocols.ipynb)). A difference is given only where the printed number
# agrees with the same protocol, which is inferred there: the rows BM3D to NLRN agree with `half`, N3Net's with
# `strict`, IR-NAS's with `redrawn`. The training budget stands beside each measured number; the paper's own is 600,000
# iterations.
#
# Beside the printed rows: DnCNN as a yardstick; RED with the 128 channels of its paper, (128), where the printed count
# fits 64; `IR-NAS + residual`, the paper's network with its input added to its output; `IR-NAS (searched here)`, the
# cell and path that our own search found. **Rows may differ in budget**: each has the system's longest training of
# those measured on most pictures, so that this table is no ranking. The ranking at one budget is below.

# %%
smoke = profile == "smoke"
taken = {} if smoke else times.load()
csv, markdown, latex = writers.write(1, results, files.run_folder(profile) / "figures", smoke, taken)
display(Markdown(markdown.read_text()))

# %% [markdown]
# ## What it looks like
#
# Crops of the same picture from every system that has run, each as the training that the table shows has left it:
# some, like their rows, with a much longer training than others. The scores below each crop are of the crop, not of the
# whole test set.

# %% alt="Crops of two BSD500 test pictures at sigma 50: noisy, restored by each system, clean"
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
display(plots.restored_panel(shown, "denoising", profiles.datasets(profile)["denoising"], 50))

# %% [markdown]
# ## At one budget
#
# The table takes each system's longest training, and those differ in length. Here are the ones that were trained alike:
# as many iterations on the same batches, measured on the same pictures with the same noise. The loss is Eq. 7, for
# IR-NAS* without its second term, for MemNet with all of its six outputs in it. Every picture is a pair of scores, so
# that a difference can be told from the luck of the pictures. From the luck of the seed it cannot, for there is one; by
# how much another seed moves a network is known from four trainings of the published cell ([notebook
# 13](13_does_the_search_matter.ipynb)), and the verdicts ahead, level and behind allow for it in every row.

# %%
places = [folder / "cells" for folder in runs.folders(profile)]
deviation = cells.over_seeds(cells.best_known(places, "denoising", smoke))
compared = comparison.side_by_side(results, smoke=smoke, over_seeds=deviation)
display(Markdown((f"**{writers.SMOKE_WARNING}**\n\n" if smoke else "") + comparison.markdown(compared)))

# %% [markdown]
# IR-NAS as printed has no path around its batch norms ([notebook 10](10_tables_5_6_ablation.ipynb) shows what that
# costs with small batches), which says little about its cell. With the input added to its output the others stand so
# against it.

# %%
other = "IR-NAS + residual"
for row in comparison.side_by_side(results, smoke=smoke, reference=other, over_seeds=deviation).rows:
    if row.verdict:
        said = "has failed" if row.failed else f"is {row.verdict}"
        print(f"{row.result.system:12} {said:10}: {row.ahead:+6.2f} ± {row.error:.2f} dB, "
              f"SSIM {row.ssim_ahead:+.3f} ± {row.ssim_error:.3f}, over {other}")

# %% [markdown]
# **What to notice** in the trainings that come with the project, at 4,500 iterations of 4 crops of 32x32. In `strict`
# IR-NAS as printed is behind DnCNN, RED, MemNet and N3Net in PSNR, by 1.3 to 1.9 dB, more than any seed explains; in
# SSIM (over the pictures alone) it is behind N3Net, and level with the other three. With its input added it is level
# with all four: the differences, from 0.2 dB ahead of DnCNN to 0.4 dB behind N3Net, are no larger than what another
# seed may bring. BM3D and WNNM, which learn nothing, are ahead of it, and of all networks in the mean; so nothing is
# said here about where these networks end. NLRN has failed here, and at sigma 30 and 70 as well: its gain over the
# input is less than two thirds of BM3D's, the bar for all noise levels. Its loss jumps from beginning to end, it lets
# much of the noise through, and its tiles of 43x43, which hardly overlap here, show their seams. Its authors clip the
# norm of its gradient, which the recipe that all share does not; whether that is why was not tested.

# %% [markdown]
# The paper argues with parameters and with time. What do these systems reach for theirs?

# %% alt="Three scatter plots: PSNR of each system against its parameters, multiply-adds and time"
display(plots.psnr_against_cost(compared, times.scaled(taken.get("denoising"))))

# %% [markdown]
# ## Exercises
#
# 1. Take the printed rows at their word: by how much does IR-NAS lead RED at sigma 50? Now name the two protocols
#    behind the two numbers. What is left of the comparison?
# 2. Which measured cells of the table would you distrust, given the iterations beside them?
