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
# # 10. Tables 5 and 6: what the log-SSIM term is worth
#
# **What you will learn.** What the second term of the loss does, what it is worth in short training runs, and why that
# depends on the network and on what else differs between two runs.
#
# **Why it matters.** IR-NAS* is trained with mean squared error alone, IR-NAS** with the log-SSIM term of Eq. 7 beside
# it (Section 4.4 of the paper exchanges the two names once). The paper concludes that the term raises PSNR and SSIM.
#
# **What it needs.** The loss of [notebook 5](05_training.ipynb); the protocols of [notebook 12](12_protocols.ipynb), of
# which `strict` is one noise field on the whole picture. Trained networks come with the project.
#
# ## What we found
#
# - The term raises SSIM in every pair of training runs.
# - It lowers the PSNR of the network as published by 1.21 dB, and raises the PSNR of two networks that add their input
#   to their output, by 0.86 and 1.04 dB. It need not: the small networks of [notebook 5c](05c_batch_norm.ipynb) that
#   add their input lose PSNR by it.
# - What the network as published loses in PSNR is brightness: where every output is given the mean brightness of its
#   input, the runs with and without the term are level ([notebook 5c](05c_batch_norm.ipynb)).
# - A fifth of the term's weight raises SSIM as much, for about half of that drop in PSNR (one seed).
#
# All of this is early in training, at less than a thousandth of the paper's pixels.

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display

from irnas_lib import files, losses, metrics
from irnas_lib.benchmarks import frame
from irnas_lib.data import datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.evaluation import protocols
from irnas_lib.experiments import cells, choices, runs
from irnas_lib.experiments import results as result_files
from irnas_lib.experiments.config import pixels
from irnas_lib.tables import comparison, frames, trace, verdicts, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## What the term is worth
#
# Each row compares training runs that differ in the term alone.

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
usual = [result for result in results if (result.task, result.sigma) == ("denoising", 50)
         and (result.profile == result_files.SMOKE) == smoke and result.system in ("IR-NAS", "IR-NAS*")]
pair = {result.system: result for result in comparison.at_one_budget(filter(result_files.has_usual_loss, usual))}
over_seeds = verdicts.over_seeds(cells.best_known([folder / "cells" for folder in runs.folders(profile)], "denoising"))
rows = []
if len(pair) == 2:
    first = pair["IR-NAS"]
    (psnr, error), (ssim, _) = comparison.difference(first, pair["IR-NAS*"])
    pictures = first.metrics["strict"]["pictures"]
    both = verdicts.together(comparison.over_pictures(error, pictures), over_seeds)
    rows.append({"network": "IR-NAS, as published", "batch": f"{first.batch} crops of {first.crop}", "SSIM of the loss":
                 "unpadded", "million pixels": f"{pixels(first) / 1e6:.0f}", "pictures": f"{pictures} of the test set",
                 "seeds": "1", "PSNR (dB)": f"{psnr:+.2f} ± {both:.2f}", "SSIM": f"{ssim:+.3f}"})
known = [] if smoke else choices.load(folder / "choices" for folder in runs.folders(profile))
for system in ("IR-NAS + residual", "DnCNN"):
    budget = max((record["pixels"] for record in known if record["system"] == system), default=0)
    for row in choices.worth(known, system, budget):
        if row.choice == "lambda 0":
            record = next(record for record in known if (record["name"], record["system"]) == (row.choice, system))
            rows.append({"network": system, "batch": f"{record['batch']} crops of {record['crop']}", "SSIM of the loss":
                         "padded", "million pixels": f"{budget / 1e6:.0f}",
                         "pictures": f"{len(record['scores'])} for validation", "seeds": str(row.seeds),
                         "PSNR (dB)": f"{-row.gain:+.2f} ± {over_seeds / row.seeds ** 0.5:.2f}",
                         "SSIM": f"{-row.ssim_gain:+.3f}"})
display(frames.show(pd.DataFrame(rows), "what the log-SSIM term adds, lambda 0.5 over lambda 0, sigma 50",
                    "± gives the half-width of the 95% confidence interval over seeds, from four runs of the published "
                    "cell (notebook 16); in the first row over the pictures as well."))

# %% [markdown]
# **What to notice.** The sign changes between the first row and the others. So do five things: whether the input is
# added, the batch, the budget, the pictures, and whether SSIM is padded in the loss, so that the border of a crop
# counts. Any of them may be the reason. The runs that would tell, of the network as published under the recipe of
# [notebook 10b](10b_what_a_recipe_is_worth.ipynb), are missing.
#
# ## The two terms of the loss
#
# Why may a term that PSNR does not measure raise PSNR? For a picture with more and more noise, mean squared error grows
# with the square of sigma; log10(1/SSIM) rises steeply at once and then flattens.

# %% alt="The two terms of the loss against the noise left: squared error keeps rising, the SSIM term flattens"
clean = to_tensor(datasets.load("denoising", "embedded").test[0].clean).unsqueeze(0)
sigmas = torch.arange(1, 71, 3)
noisy = [protocols.add_noise(clean, float(sigma), 0, "loss") for sigma in sigmas]
mse = torch.stack([losses.restoration_loss(x, clean, 0) for x in noisy])
term = torch.stack([losses.log_ssim(x, clean) for x in noisy])

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(sigmas, mse, "k-", label="mean squared error")
ax.plot(sigmas, 0.5 * term, "k--", label="0.5 log10(1 / SSIM)")
ax.set(xlabel="sigma of the noise left (0-255 scale)", ylabel="value of the term", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# The gradients show how strongly each term pulls at the pixels.

# %%
for sigma in (5, 25, 50):
    pulls = []
    for loss in (lambda x: losses.restoration_loss(x, clean, 0), lambda x: 0.5 * losses.log_ssim(x, clean)):
        x = protocols.add_noise(clean, sigma, 0, "loss").requires_grad_()
        pulls.append(torch.autograd.grad(loss(x), x)[0].norm().item())
    quality = metrics.psnr(x.detach(), clean).item()
    print(f"noise left {sigma:2} ({quality:.1f} dB): gradient norm of MSE {pulls[0]:.5f}, "
          f"of the SSIM term {pulls[1]:.5f} ({pulls[1] / pulls[0]:.1f} times)")

# %% [markdown]
# **What to notice.** Early in training, at 15 to 21 dB, the SSIM term pulls 7 to 14 times as hard as
# squared error; near a good restoration, at 34 dB, about a hundred times as hard. It also pulls in another direction,
# towards local contrast and structure, which a network that only lowers the squared error learns late. So within a
# small budget the term can lead to a lower squared error, and need not: the first row above shows the opposite.
#
# ## Tables 5 and 6, printed and here
#
# Each row is the system's longest training run. Two rows may differ in their budget, and then their difference shows
# nothing about the loss. The whole tables with SSIM and notes: [table5.md](../figures/table5.md) and
# [table6.md](../figures/table6.md).

# %%
traced = [] if smoke else trace.trace(results)
for number, sigma, title in ((5, "50", "Table 5, BSD500, sigma 50"), (6, "", "Table 6, Rain800")):
    writers.write(number, results, files.run_folder(profile) / "figures", smoke=smoke)
    display(frames.show(frames.beside_printed(traced, number, sigma=sigma), title))

# %% [markdown]
# ## The weight of the term
#
# Eq. 7 weights the term with lambda = 0.5, which the paper calls an empirical choice; it shows no other weight but 0.
# These runs of the network as published differ in lambda alone; each is compared with lambda = 0.5, picture by picture.

# %%
swept = sorted(comparison.at_one_budget(usual), key=lambda result: result.loss_lambda)
middle = next((result for result in swept if result.loss_lambda == result_files.PAPER_LAMBDA), None)
rows = []
for result in swept if len(swept) > 1 and middle else ():
    score, over = result.metrics["strict"], comparison.difference(result, middle)
    halves = [comparison.over_pictures(error, score["pictures"]) for _, error in over]
    rows.append({"lambda": f"{result.loss_lambda:g}", "PSNR (dB)": f"{score['psnr']:.2f}",
                 "over 0.5 (dB)": "" if result is middle else f"{over[0][0]:+.2f} ± {halves[0]:.2f}",
                 "SSIM": f"{score['ssim']:.4f}",
                 "SSIM over 0.5": "" if result is middle else f"{over[1][0]:+.4f} ± {halves[1]:.4f}"})
title = "" if not rows else (f": {middle.iterations:,} steps of {middle.batch} crops of {middle.crop}x{middle.crop}, "
                             f"seed {middle.seed}, {middle.metrics['strict']['pictures']} test pictures")
display(frames.show(pd.DataFrame(rows), f"lambda, sigma 50, strict{title}",
                    f"± gives the half-width of the 95% confidence interval over the pictures; another seed moves a "
                    f"difference of two runs by ± {over_seeds:.2f} dB."))

# %% [markdown]
# **What to notice.** Without its input added, the network gains 0.02 of SSIM by the term and loses 1.21 dB of PSNR. A
# fifth of the weight (0.1) gives the same SSIM for about half of that loss; four times the weight changes nothing.
#
# ## A note on the border
#
# The SSIM that we report is averaged over the positions where its 11x11 window fits, and so was the loss of all
# networks below: a crop's outer pixels hardly counted in training, and in a crop of 32x32 they are many. The table has
# the PSNR of the outermost pixels of whole test pictures, and that of the pictures without a border of 5 pixels.

# %%
rings = {} if smoke else frame.load()
shipped = {result.stem: result for result in results if result.stem in rings}
rows = [{"network": result.system, "lambda": f"{result.loss_lambda:g}",
         "million pixels": f"{pixels(result) / 1e6:.0f}", "all pixels": f"{ring['psnr']:.2f}",
         "outermost": f"{ring['frame']:.2f}", "without a border": f"{ring['inside']:.2f}",
         "outermost, over the inside": f"{ring['frame'] - ring['inside']:+.2f}"}
        for stem, result in shipped.items() for ring in [rings[stem]]]
rows.sort(key=lambda row: float(row["outermost, over the inside"]))
tested = max((ring["pictures"] for ring in rings.values()), default=0)
display(frames.show(pd.DataFrame(rows), f"PSNR in dB at sigma 50 on {tested} test pictures, strict"))

# %% [markdown]
# **What to notice.** DnCNN's outermost pixels are 8 to 9 dB worse than the inside of a picture, those of IR-NAS +
# residual 3 to 4 dB, and those of IR-NAS without its input added 0.3 to 2.3 dB. So the border is a part of every
# comparison under this loss: after 18 million pixels IR-NAS + residual is ahead of DnCNN by 0.14 dB on all pixels, and
# behind it by 0.19 dB without a border. Later runs have a padded SSIM in the loss ([notebook
# 10b](10b_what_a_recipe_is_worth.ipynb)).

# %% [markdown]
# **What to take away.** What a term of the loss is worth depends on the network, on its budget and on which pixels
# count. Compare runs that differ in the term alone, and look where the difference lies: here in the brightness and at
# the border. Further reading: [losses for image restoration](https://doi.org/10.1109/TCI.2016.2644865).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Plan the runs that would tell whether the missing input or the recipe makes the term lower PSNR in the
# first row of the first table.
#
# <details><summary>Solution</summary>
#
# The network as published, under the recipe of the other rows, once with lambda 0.5 and once with 0: in [notebook
# 10b](10b_what_a_recipe_is_worth.ipynb) these are the choices `input not added` and `input not added, lambda 0`. If the
# term still lowers PSNR by about 1.21 dB, the missing input is the reason; if it raises PSNR, the recipe is. At least
# two seeds of each, since one seed moves such a difference by 0.78 dB.
#
# </details>
#
# **2** (medium). Eq. 7 has a lambda. What would you have to show to claim that 0.5 is the right one?
#
# <details><summary>Solution</summary>
#
# First what "right" means, because PSNR and SSIM may want different weights. Then runs at several lambdas around 0.5,
# on a scale of factors, each at the full budget and from several seeds; judged on validation pictures and not on the
# test set; and a margin over the neighbours that is larger than the spread over seeds. To claim it for all tasks, on
# each of them. Above there is one seed at under a thousandth of the paper's budget, where PSNR falls from 0 to 0.5: it
# shows that lambda matters, and no optimum.
#
# </details>
