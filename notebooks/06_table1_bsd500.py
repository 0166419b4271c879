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
# nothing, and which printed numbers of the paper's main table can be compared with ours.
#
# **Why it matters.** A table of denoisers is read as a ranking. It is one only if its rows saw the same pictures, the
# same noise, the same protocol and the same training.
#
# **What it needs.** PSNR, in decibels (dB), and the three protocols of [notebook 1](01_datasets.ipynb): `strict` is a
# whole picture with one noise field, `redrawn` overlapping tiles with fresh noise in each, `half` a picture at half
# size (more in [notebook 12](12_protocols.ipynb)). The page is made from stored results: no data are needed.
#
# ## What we found
#
# ± gives the half-width of the 95% confidence interval. Over seeds it is borrowed from four short runs of one network:
# one run lies within ± 0.55 dB of its mean over seeds, and two runs of one recipe within ± 0.78 dB of each other. Runs
# of three of the networks here, made for another page, have a similar spread ("How far seeds move a score", below).
#
# - In PSNR no network of the tables is yet ahead of BM3D, which learns nothing: the best has 25.50 ± 0.55 dB (over
#   seeds), BM3D 25.79. This is after 0.83% of the paper's training. It says nothing about a network that is trained to
#   its end. In SSIM the three IR-NAS networks are above BM3D, but by less than another seed can change.
# - At a smaller budget that all networks share, BM3D is 0.80 ± 0.66 dB ahead of `IR-NAS + residual`. RED, MemNet, N3Net
#   and DnCNN cannot be told apart from it in PSNR: with one run of each, only a measured difference above about 0.8 dB
#   would be seen.
# - DnCNN restores the border of a picture badly: on eight pictures it scores 0.26 to 0.36 dB higher without it
#   ([RESULTS.md](../RESULTS.md)). The log-SSIM term has a part in it, and the size of the crops ([page
#   10b](10b_what_a_recipe_is_worth.ipynb)).
# - BM3D and WNNM are the only rows where our numbers agree with the printed ones, each within 0.15 dB; only WNNM's is
#   evidence, since BM3D's rows told us the protocol. The size of WNNM's lead does not agree: it is 0.13 ± 0.02 dB here
#   and 0.20 dB in print ([page 16](16_verdicts.ipynb)). No network was trained long enough.

# %%
from IPython.display import display
from scipy import stats

from irnas_lib import files
from irnas_lib.experiments import cells, choices, runs, times
from irnas_lib.experiments.config import budget
from irnas_lib.experiments.results import best
from irnas_lib.figures import comparison_plots, plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import comparison, frames, trace, verdicts, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## All 200 test pictures, the longest run of each
#
# The noise is white, with a standard deviation (sigma) of 50 on the 0-255 scale. `IR-NAS` is the paper's network as
# published; `IR-NAS + residual` adds its input to its output; `IR-NAS (searched here)` has the cell and the widths of a
# short search of our own. DnCNN is a plain chain of convolutions. BM3D and WNNM are not trained: they collect similar
# patches and filter each group ([notebook 5b](05b_classical_methods.ipynb)).

# %% jupyter={"source_hidden": true} tags=["hide-input"]
results, smoke = runs.all_results(profile), profile == "smoke"
warning = f"{writers.SMOKE_WARNING} " if smoke else ""
trained = cells.best_known([folder / "cells" for folder in runs.folders(profile)], "denoising", smoke)
of_one = verdicts.over_seeds(trained, 1)
longest = best(results, "denoising", "IR-NAS", 50, "strict", smoke)
of_ssim = verdicts.over_seeds(trained, 1, "ssim")
notes = [f"IR-NAS: {budget(longest)}."] if longest else []
if of_one > 0:
    notes.append(f"By four short runs of one cell, a run lies within ± {of_one:.2f} dB (SSIM: ± {of_ssim:.3f}) of its "
                 f"mean over seeds, and two runs of one recipe within ± {verdicts.over_seeds(trained):.2f} dB of each "
                 "other (95%).")
notes.append("WNNM takes so long that all 200 pictures were restored in half alone; in strict see the next table.")
display(frames.show(frames.on_all_pictures(results, smoke=smoke),
                    f"{warning}BSD500, sigma 50, whole test set", *notes))

# %% [markdown]
# **What to notice.**
#
# - The best network is 0.29 dB below BM3D in PSNR and 0.006 above it in SSIM. By the borrowed spread another seed could
#   make up for either. So neither is clearly ahead, after 0.83% of the paper's training.
# - The three IR-NAS networks are within 0.05 dB of each other, and 0.30 to 0.35 dB above DnCNN, which is less than
#   another seed may change. (The one searched here was stopped after 80% of its steps.) On eight pictures about half of
#   the lead of `IR-NAS + residual` goes when five pixels at the border are left out ([RESULTS.md](../RESULTS.md)). The
#   loss averages SSIM only where its 11x11 window fits, but that is not the whole cause: where every pixel counts,
#   DnCNN's border is bad with crops of 64, better without the term, and mended with crops of 32 and padding (notebooks
#   [10](10_tables_5_6_ablation.ipynb) and [10b](10b_what_a_recipe_is_worth.ipynb)).
# - `redrawn` lifts every network's PSNR, by 0.50 dB to 0.77 dB, and `half` lowers it, so columns cannot be compared.
#   (The SSIM of DnCNN falls in `redrawn`: [README](../README.md).)
#
# ## At one budget, who is ahead?
#
# More networks were trained at a smaller budget: as many steps on the same batches, measured on the same 20 pictures
# with the same noise. Every picture gives a pair of scores, so that a difference has an interval over the pictures.
# Each network has one seed. The intervals allow for another seed, too:
#
# **How far seeds move a score.** Four runs of the published cell from different seeds have a standard deviation of
# 0.174 dB ([notebook 13](13_does_the_search_matter.ipynb)). Times 3.18 (Student's t for four runs) that is ± 0.55 dB,
# the 95% range of one run around its mean over seeds; times √2 it is ± 0.78 dB, the range of a difference of two runs.
# The four runs were of the network with its input added and saw 4 million pixels each. Does that carry over?
#
# - To other networks, as far as we know: runs of 10 million pixels of DnCNN, IR-NAS + residual and IR-NAS, alike but
#   for the seed and in some cases the arithmetic ([notebook 10b](10b_what_a_recipe_is_worth.ipynb)), have a similar
#   spread, 0.18 dB. Pooled with them, two runs would lie within ± 0.53 dB of each other, or somewhat more, because most
#   of them are of the same two seeds. We keep the wider ± 0.78, since those runs have another recipe and were scored on
#   other pictures. For RED, MemNet, N3Net and NLRN either is an assumption. (On page 10b a paired difference from one
#   seed has ± 0.74: two runs with the same batches, and fewer of them to tell the spread by.)
# - To the largest budget of this page it may not: after longer training the spread may be smaller. It also depends on
#   the recipe: in runs of 1 million pixels whose last layer starts at zero it is 0.08 dB at a learning rate of 0.002
#   and 0.21 dB at 0.004 ([notebook 14](14_searching_in_a_table.ipynb)).
# - Nine systems (without NLRN, whose run failed) are compared with one reference, in PSNR and in SSIM. At 95%, one
#   comparison in twenty looks like a difference by chance even if there is none. And all of them share one run of the
#   reference: if its seed was unlucky, all move together.
#
# Trained alike is not yet compared fairly: all networks have one recipe, which was tuned for none of them and leaves
# out what some of their authors use, such as the limit that NLRN's set on the norm of its gradient.
#
# - **RED**: a chain of convolutions, mirrored by transposed ones, with skips between the two halves. The one of 64
#   channels has the paper's parameter count; **RED (128)** has 128.
# - **MemNet**: blocks that are applied over and over, and gates that keep the outputs of all earlier blocks.
# - **NLRN**: one block, applied twelve times, that lets each pixel attend to all others of its patch.
# - **N3Net**: small DnCNNs, and between them blocks that fetch for each patch the most similar ones.
# - **IR-NAS\***: the paper's network trained without the SSIM term of the loss (Eq. 7), which all others have.
#
# The others are compared with `IR-NAS + residual`. The network as published has no path around its batch norms, which
# costs it much with small batches ([notebook 5c](05c_batch_norm.ipynb)) and shows little about its cell.

# %% alt="PSNR of each system over IR-NAS + residual with its interval over pictures and seeds, the best on top"
compared = comparison.side_by_side(results, smoke=smoke, reference="IR-NAS + residual", over_seeds=of_one,
                                   ssim_over_seeds=of_ssim)
display(comparison_plots.ranking(compared))
title = compared.title if compared.rows else "Systems at one budget"
display(frames.show(frames.at_one_budget(compared), warning + title))
if compared.missing:
    print(*(f"{system}: {why}" for system, why in compared.missing.items()), sep="; ")
short = [] if smoke else choices.load(folder / "choices" for folder in runs.folders(profile))
seen = max((record["pixels"] for record in short), default=0)
spread, free = choices.over_seeds(short, seen)
if free:
    four = cells.over_seeds(trained)
    pooled = ((free * spread ** 2 + 3 * four ** 2) / (free + 3)) ** 0.5
    print(f"standard deviation over seeds: {four:.2f} dB in the four runs of one cell, {spread:.2f} dB in runs of "
          f"{seen / 1e6:.0f} million pixels of\n  {', '.join(sorted({record['system'] for record in short}))}; if both "
          f"are pooled, two runs lie within ± {stats.t.ppf(0.975, free + 3) * pooled * 2 ** 0.5:.2f} dB of each other")

# %% [markdown]
# **What to notice.** These are short runs, of 18 million pixels each, 0.06% of the paper's.
#
# - BM3D and WNNM are ahead of `IR-NAS + residual`. At this budget that does not show where the networks end.
# - N3Net, MemNet, RED and DnCNN cannot be told apart from it in PSNR: another seed could cause the differences. In SSIM
#   N3Net's lead is larger than that, the only one among these networks; of eighteen comparisons one may be so by
#   chance.
# - The border decides on which side of `IR-NAS + residual` DnCNN lies: without the outer five pixels it is above, with
#   26.09 against 25.90 dB on eight pictures ([RESULTS.md](../RESULTS.md)). The first difference cannot be told from
#   chance, and the second has no interval.
# - The network as published is 1.49 dB behind, more than another seed of the network with its input added explains.
#   Wrong brightness alone costs it 1.39 dB ([notebook 5c](05c_batch_norm.ipynb)), and how much that changes with the
#   seed was not measured. After longer training with batches of twelve crops, in the table above, the gap is gone
#   (25.45 and 25.50 dB).
# - We count a run as failed if it gains less than two thirds of what BM3D gains. NLRN's run failed by this rule: its
#   loss jumps from beginning to end. Whether the missing limit on its gradient is the cause was not tested.

# %% [markdown]
# ## Which printed numbers can be compared?
#
# The paper does not say how the numbers of its Table 1 were measured. [Notebook 12](12_protocols.ipynb) collects what
# can be inferred:
#
# - We take the rows BM3D to NLRN to be of pictures of half size. That was inferred from BM3D's rows; WNNM, from which
#   nothing was inferred, then agrees within 0.04 dB, and NLRN's own test script reads a folder of [half-size
#   pictures](../REPRODUCTION.md#sources).
# - We take IR-NAS's row to be `redrawn`, which flatters, as its authors' test program measures in this way, and N3Net's
#   to be `strict`, which rests on one old measurement of a public DnCNN. Both are inferred.
#
# Here are the two rows that can be compared, and IR-NAS's: each printed number beside ours under its own protocol, from
# the system's longest run. The rows of the other networks were measured on 20 pictures after short runs and are in the
# whole table. **No two rows of different protocols are a ranking**, neither printed nor here. The verdict `fitted`
# marks a number from which we inferred the protocol, `reproduced` one that agrees without that, and `undertrained` a
# run of less than a tenth of the paper's pixels.

# %%
taken = {} if smoke else times.load()
traced = trace.trace(results, taken)
rows = [item for item in traced if item.printed.system in ("BM3D", "WNNM", "IR-NAS")]
display(frames.show(frames.beside_printed(rows, 1, sigma="50"), "Table 1, sigma 50, PSNR in dB, printed and here"))

# %% [markdown]
# **What to notice.** The printed numbers of the two methods that need no training agree with ours in `half`, within the
# 0.15 dB that we allow; only WNNM's agreement is evidence, because nothing was inferred from its number. The size of
# its lead over BM3D, the one comparison of this table that needs no training, does not agree: 0.13 ± 0.02 dB in place
# of 0.20. IR-NAS's row tests nothing yet: our run saw 0.83% of the pixels.
#
# The whole table, at every noise level and under every protocol, with SSIM, parameters, times and notes, is in
# [table1.md](../figures/table1.md), for programs in [table1.csv](../figures/table1.csv) and for papers in
# [table1.tex](../figures/table1.tex).

# %% jupyter={"source_hidden": true} tags=["hide-input"]
for path in writers.write(1, results, files.run_folder(profile) / "figures", smoke, taken):
    print("written:", path.name)

# %% [markdown]
# ## What it looks like
#
# Here are crops of two test pictures, by BM3D and by the longest runs of two networks. Look at the thin lines of the
# pyramid: BM3D keeps them straight, the networks break them up. ([All systems](../figures/figure3.png))

# %% alt="Crops: noisy, BM3D, DnCNN, IR-NAS + residual, clean" jupyter={"source_hidden": true} tags=["hide-input"]
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
only = ("BM3D", "DnCNN", "IR-NAS + residual")
display(plots.restored_panel(shown, "denoising", profiles.datasets(profile)["denoising"], 50, only))

# %% [markdown]
# ## What does a decibel cost?
#
# The paper argues with parameters and with time. Here is what the systems of the smaller budget reach for theirs, on
# two CPU cores. Adding its input costs a network no time, so `IR-NAS + residual` is drawn at the time of IR-NAS. NLRN's
# failed run is left out. The bar on the left, at an arbitrary height, shows how far one run of any network may lie from
# its mean over seeds, by the borrowed spread: ± 0.55 dB.

# %% alt="PSNR of each system against its parameters and its time; a bar of ± 0.55 dB shows the spread over seeds"
seconds = times.scaled(taken.get("denoising"))
if "IR-NAS" in seconds:
    seconds["IR-NAS + residual"] = seconds["IR-NAS"]
drawn = [row for row in compared.rows if row.result.system not in ("IR-NAS", "IR-NAS*") and not row.failed]
display(comparison_plots.psnr_against_cost(compared._replace(rows=drawn), seconds, of_one))

# %% [markdown]
# **What to notice.** Two networks with one run each would have to lie 0.78 dB apart to be ranked. The two farthest
# apart, N3Net and DnCNN, differ by 0.66 dB, so their order in PSNR shows nothing; besides, they are the farthest of
# fifteen pairs. RED (128) has four times the parameters of RED and no visible gain from them. Time differs clearly:
# DnCNN is the fastest, N3Net takes six times as long ([notebook 11](11_efficiency.ipynb)), and WNNM is the slowest.
#
# **What to take away.** A ranking needs one budget, one protocol and an error bar. At these budgets the paper's network
# is one network among several that cannot be told apart, and none is ahead of BM3D in PSNR. Whether it leads at a large
# budget, only longer runs can show. Further reading: [DnCNN](https://arxiv.org/abs/1608.03981),
# [RED](https://arxiv.org/abs/1603.09056), [MemNet](https://arxiv.org/abs/1708.02209),
# [NLRN](https://arxiv.org/abs/1806.02919), [N3Net](https://arxiv.org/abs/1810.12575),
# [BM3D](https://doi.org/10.1109/TIP.2007.901238) and [WNNM](https://doi.org/10.1109/CVPR.2014.366).

# %% [markdown]
# ## Exercises
#
# **1** (easy). Take the printed rows at their word: by how much does IR-NAS lead RED, printed with 25.75 dB, at sigma
# 50? Now name the two protocols behind the two numbers. What is left of the comparison?
#
# <details><summary>Solution</summary>
#
# 26.77 - 25.75 = 1.02 dB. We take IR-NAS's number to be of `redrawn`, RED's of `half`. One and the same network, the
# IR-NAS trained here for 5,000 iterations, scores 26.10 dB in `redrawn` and 24.87 in `half`: the protocols alone are
# 1.23 dB apart. So nothing is left of it if the assignments hold; the two have to be measured alike.
#
# </details>
#
# **2** (medium). Which measured cells of [the whole table](../figures/table1.md) would you distrust, given the
# iterations beside them?
#
# <details><summary>Solution</summary>
#
# - As statements about a system, all of those that were trained: 4,500 iterations of 4 crops of 32x32 are 0.062% of the
#   pixels of the paper's training.
# - Most of all NLRN's, which gained too little to count, and those of IR-NAS without the input added, which small
#   batches keep from learning the brightness: 25.38 dB at sigma 30, where the same network with the input added has
#   27.26.
# - As comparisons, any two rows of different budgets.
# - BM3D's and WNNM's can be trusted. Those of WNNM that are on 20 pictures (`strict`, and `half` at sigma 70) are a few
#   tenths of a dB from what all 200 would give.
#
# </details>
