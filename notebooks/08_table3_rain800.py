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
# # 8. Table 3: removing rain on Rain800
#
# **What you will learn.** How well the systems remove painted rain at one small budget, why one of them turns a red box
# orange, and what a short training run can say about the paper's strongest claim: 2.2 dB above RESCAN at twice its
# speed.
#
# **Why it matters.** A lead of 2 dB would be large. Whether it comes from the searched cell, from a longer training or
# from how PSNR was taken, the table does not show.
#
# **What it needs.** [Notebook 1](01_datasets.ipynb) for the pictures and for PSNR, in decibels (dB). The page is made
# from stored results: no data are needed.
#
# ## What we found
#
# - The printed lead over RESCAN, an earlier network for rain, does not appear at 0.1% of the paper's training, which
#   says nothing about the end of that training. IR-NAS as published is 1.19 ± 0.50 dB below RESCAN; with its input
#   added it is 0.23 ± 0.41 dB above, which cannot be told from nothing. (± is over pictures and seeds; the spread over
#   seeds, most of it, is borrowed from shorter runs.)
# - JORDER and JORDER-R, printed 4 dB below IR-NAS, have the highest scores here, but cannot be told apart from IR-NAS
#   with its input added. They alone also learn from rain masks, which we derived from the pairs.
# - On two CPU cores RESCAN took 10% less time than IR-NAS (pair by pair 0.85 to 0.93 times IR-NAS's; ten pairs).
# - IR-NAS as published has not learned the colours yet: on one crop below, wrong means of its channels cost it 2.9 dB.

# %%
import csv

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from scipy import stats

from irnas_lib import files
from irnas_lib.data import datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.experiments import cells, runs, times
from irnas_lib.experiments.config import budget
from irnas_lib.experiments.results import best
from irnas_lib.figures import panels, plots
from irnas_lib.metrics import psnr
from irnas_lib.pipeline import profiles
from irnas_lib.tables import comparison, frames, printed, verdicts, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## IR-NAS against RESCAN
#
# The gain over the rainy input shows how much of the rain is gone: on red, green and blue together (`strict`) and on
# luma alone (`strict_y`). The paper does not state which of the two it prints. All networks saw the same number of
# pixels with the same optimiser. The column "loss" names those that do not learn from Eq. 7 alone.
#
# - **RESCAN**: dilated convolutions with channel attention, which remove the rain in several recurrent stages.
# - **SCAN**: one such stage.
# - **DetailsNet**: a residual network that sees only the high frequencies of the picture.
# - **JORDER**: predicts a mask of the rain, then the streaks, then the picture, with dilated convolutions. Rain800 has
#   no masks: here the mask is where the rainy picture is clearly brighter than the clean one, so this is not quite
#   JORDER as published.
# - **JORDER-R**: the same network, applied twice.
# - **IR-NAS**: the paper's network as published; **IR-NAS + residual** adds its input to its output.
#
# DSC and LP, which are not trained and are slow, were measured on every fourth pair; they are in the whole table only,
# as are the variants of IR-NAS of pages [9](09_table4_architecture_analysis.ipynb) and
# [10](10_tables_5_6_ablation.ipynb). The 100 pairs show 76 photographs ([notebook 1](01_datasets.ipynb)).
#
# In the table ± is over the pictures, where the scores of single pictures were kept; the 100 pairs count as
# independent. The lines below it have the interval of a difference, picture by picture, one over seeds, and both
# together; below that, lead and interval if each photograph counts once. The spread over seeds is that of four runs of
# one cell with its input added, of 500 iterations each, measured on ten pairs ([notebook
# 13](13_does_the_search_matter.ipynb)); by it, a difference of two runs moves by ± 0.40 dB. For the runs of this page,
# 33 million pixels measured on 100 pairs, that is probably too wide: fewer pairs add a scatter of their own, and short
# runs differ more from seed to seed. For IR-NAS as published, which has colours to learn, it may be too narrow.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
results, smoke = runs.all_results(profile), profile == "smoke"
gains = frames.over_input(results, "deraining", smoke)
if not gains.empty:
    gains = gains.drop(index=["IR-NAS*", "IR-NAS, R1", "IR-NAS, R2"], errors="ignore")
    masks = "Eq. 7, masks, streaks"
    losses = {"RESCAN": "Eq. 7, each stage", "JORDER": masks, "JORDER-R": masks}
    del gains["million pixels seen"]  # printed below, the same for all
    gains["loss"] = ["" if name == "Rainy" else losses.get(name, "Eq. 7") for name in gains.index]
warning = f"{writers.SMOKE_WARNING} " if smoke else ""
display(frames.show(gains, f"{warning}Rain800, 100 test pairs, best first"))
printed_psnr = {item.system: item.number for item in printed.load() if item.where == "3" and item.metric == "PSNR"}
print(f"IR-NAS over RESCAN, printed: {printed_psnr['IR-NAS'] - printed_psnr['RESCAN']:+.2f} dB")
with open(datasets.SCENES, newline="") as file:
    photograph = {row["picture"].removeprefix("test_syn/"): row["photograph"] for row in csv.DictReader(file)
                  if row["picture"].startswith("test_syn/")}


def by_photograph(ours, theirs):
    """Each photograph's mean lead in PSNR; empty where scores of single pictures were not kept."""
    each, other = (result.metrics["strict"].get("each") or {} for result in (ours, theirs))
    leads = {}
    for name in each:
        if name in other:
            leads.setdefault(photograph.get(name, name), []).append(each[name][0] - other[name][0])
    return [np.mean(of_one) for of_one in leads.values()]


trained = cells.best_known([folder / "cells" for folder in runs.folders(profile)], "deraining", smoke)
seeds = verdicts.over_seeds(trained)
for pair in (("IR-NAS", "RESCAN"), ("IR-NAS + residual", "RESCAN"), ("JORDER", "IR-NAS + residual")):
    ours, theirs = (best(results, "deraining", system, None, "strict", smoke) for system in pair)
    if ours and theirs:
        score, rival = ours.metrics["strict"], theirs.metrics["strict"]
        (_, error), _ = comparison.difference(ours, theirs)
        halves = {"pictures": comparison.over_pictures(error, score["pictures"]), "seeds": seeds}
        halves = {over: half for over, half in halves.items() if half > 0}
        interval = f" ± {verdicts.together(*halves.values()):.2f}" if halves else ""
        apart = ", ".join(f"{over} ± {half:.2f}" for over, half in halves.items())
        lead = score["psnr"] - rival["psnr"]
        print(f"{' over '.join(pair)}, here: {lead:+.2f}{interval} dB ({apart or 'no interval'}"
              + ("" if "pictures" in halves else "; scores of single pictures were not kept") + ")")
        if len(leads := by_photograph(ours, theirs)) > 1:
            half = comparison.over_pictures(stats.sem(leads), len(leads))
            print(f"    each of the {len(leads)} photographs counted once: {np.mean(leads):+.2f} ± "
                  f"{verdicts.together(half, seeds):.2f} dB (photographs ± {half:.2f})")
print(f"all at {budget(ours)}" if ours else "not run")

# %% [markdown]
# **What to notice.**
#
# - IR-NAS as published is behind RESCAN. On luma it gains more than on RGB. Wrong means of single colour channels, such
#   as those of the crop below, would explain that ([notebook 5c](05c_batch_norm.ipynb) shows how they arise).
# - With the input added it is above RESCAN by 0.23 dB, a tenth of the printed 2.22 dB and less than the interval.
# - If each photograph counts once, the intervals are hardly wider, because the spread over seeds is most of them.
# - JORDER is 0.23 dB above `IR-NAS + residual`, less than another seed can change. Why a network that is printed 4 dB
#   below IR-NAS is level with it here is open: JORDER has the masks, all networks are at the start of their training,
#   and neither the training nor the measuring behind its printed row is known to us.
# - All networks are far from converged: these scores describe only the start of training.
#
# The whole table with its notes: [table3.md](../figures/table3.md), [table3.csv](../figures/table3.csv),
# [table3.tex](../figures/table3.tex).

# %% jupyter={"source_hidden": true} tags=["hide-input"]
timed = {} if smoke else times.load()
for path in writers.write(3, results, files.run_folder(profile) / "figures", smoke, timed):
    print("written:", path.name)

# %% [markdown]
# ## Twice the speed?
#
# The printed claim is for a GTX 980, which we do not have. On our CPU RESCAN took 10% less time. All systems restored
# the same pictures in turn, on one machine with nothing else to do; LP and DSC, which are the slowest, restored fewer.
# (The authors' list has 98 of the 100 test pairs, so times are scaled to 98; PSNR is of all 100.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if "deraining" in timed:
    seconds = times.scaled(timed["deraining"])
    print(f"{timed['deraining']['device']}, scaled to {timed['deraining']['test_pictures']} pairs")
    for name, taken in sorted(seconds.items(), key=lambda pair: pair[1]):
        print(f"{name:12}{taken:10.1f} s, from {times.restored_by(timed['deraining'], name)} pairs")
    ratios = [pair["RESCAN"] / pair["IR-NAS"] for pair in timed["deraining"]["pictures"].values()]
    print(f"RESCAN takes {seconds['RESCAN'] / seconds['IR-NAS']:.2f} times as long as IR-NAS (printed: 2.03 times); "
          f"pair by pair {min(ratios):.2f} to {max(ratios):.2f} times")
else:
    print("not run")

# %% [markdown]
# ## Why is the telephone box orange?
#
# Here is a crop of one test picture, by four of the systems after 33 million pixels. ([All
# systems](../figures/figure5.png))

# %% alt="A telephone box in the rain: as given, by JORDER, RESCAN, IR-NAS (orange) and IR-NAS + residual, and clean"
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
only = ("JORDER", "RESCAN", "IR-NAS", "IR-NAS + residual")
dataset = profiles.datasets(profile)["deraining"]
display(plots.restored_panel(shown, "deraining", dataset, None, only, pictures=1))

# %% [markdown]
# IR-NAS as published turns the red box orange: its output has too much green. How much of its error is that? Here each
# channel of its crop is shifted to the mean of the clean one:

# %% alt="Crop by IR-NAS, with means corrected, and clean" jupyter={"source_hidden": true} tags=["hide-input"]
crops = next(iter(panels.load(shown, "deraining", dataset, None).values()), {})
if {"IR-NAS", panels.CLEAN} <= crops.keys():
    restored, clean = (to_tensor(crops[name]) for name in ("IR-NAS", panels.CLEAN))
    shift = (restored - clean).mean(dim=(1, 2), keepdim=True)
    red, green, blue = (255 * shift).flatten().tolist()
    print(f"IR-NAS over clean, on the 0-255 scale: red {red:+.1f}, green {green:+.1f}, blue {blue:+.1f}")
    fig, axes = plt.subplots(1, 3, figsize=(plots.COLUMN, 3.2), layout="constrained")
    for ax, shown_as, name in zip(axes, (restored, restored - shift, clean), ("IR-NAS", "means corrected", "clean")):
        score = "" if name == "clean" else f"\n{psnr(shown_as.clamp(0, 1)[None], clean[None]).item():.2f} dB"
        ax.imshow(shown_as.clamp(0, 1).movedim(0, -1))
        ax.set_title(name + score, fontsize=10)
        ax.set_axis_off()
    plt.show()
else:
    print("not run")

# %% [markdown]
# **What to notice.** The shift gains 2.9 dB on this crop (it uses the clean picture, so it measures the error and is no
# remedy), but it does not mend everything: the sign, which was grey, is purple now. The cast is not the same in all
# parts of the picture.
#
# ## Real rain
#
# The rain of Rain800 was painted in an image editor. Here are photographs of real rain. Nobody has seen the scenes
# without it, so they have no PSNR.

# %% alt="Crops of two photographs of real rain: as taken, and restored by JORDER, RESCAN and IR-NAS + residual"
display(plots.restored_panel(shown, "deraining", "real-rain", None, ("JORDER", "RESCAN", "IR-NAS + residual")))

# %% [markdown]
# **What to notice.** By eye, on these two crops, all three networks remove the thin streaks and only weaken the thick
# ones, JORDER the most. The grass and the soil lose fine texture together with the rain, while the carving keeps its
# edges.
#
# **What to take away.** At 0.1% of the paper's training the 2 dB lead does not appear. A comparison of two networks has
# to state how long each was trained, and how much another seed would change. Further reading: the data set and its GAN
# ([ID-CGAN](https://arxiv.org/abs/1701.05957)), [RESCAN](https://arxiv.org/abs/1807.05698) and
# [JORDER](https://arxiv.org/abs/1609.07769).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Table 3 prints 26.31 dB for IR-NAS and 24.09 for RESCAN. What would you want to know before you call
# either network the better one?
#
# <details><summary>Solution</summary>
#
# Whether the two were trained and measured alike: the same training pairs, crops and augmentation, equally long or each
# to its end; the same test pairs (100 or the authors' 98), in colour or in luma, clipped or not, pictures averaged in
# the same way. Then how far two seeds of one network are apart, beside the printed lead of 26.31 - 24.09 = 2.22 dB.
#
# </details>
#
# **2** (medium). Is a shift of a channel's mean always the network's fault? In the crop of the telephone box, compare
# the means of the rainy input, of RESCAN and of IR-NAS with those of the clean crop (`panels.load`, as above).
#
# <details><summary>Solution</summary>
#
# The rain itself makes the crop brighter: the rainy input is 19, 36 and 36 grey levels above the clean crop in red,
# green and blue. RESCAN leaves 1, 19 and 18: it has lowered all three alike, and what remains is rain. IR-NAS leaves
# -5, 35 and -1: it has lowered red and blue and not green, and that cast is its own.
#
# </details>
