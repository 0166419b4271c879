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
# **What you will learn.** What the second term of the loss does, what three choices are worth that the paper makes
# without a table (the weight of the term, the recipe, the residual that is missing), and how a batch norm can hide the
# brightness of a picture from a network.
#
# **Why it matters.** IR-NAS* is trained with mean squared error alone, IR-NAS** with the log-SSIM term of Eq. 7 beside
# it (Section 4.4 of the paper exchanges the two names once). The experiment with batch norms explains most of the odd
# results of this course.
#
# **What it needs.** [Notebook 5](05_training.ipynb). Trained networks come with the project; some minutes to run.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display

from irnas_lib import files, losses, metrics
from irnas_lib.benchmarks import frame
from irnas_lib.data import datasets
from irnas_lib.data.patches import Patches
from irnas_lib.data.pictures import to_tensor
from irnas_lib.evaluation import protocols, systems
from irnas_lib.experiments import results as result_files
from irnas_lib.experiments import runs
from irnas_lib.experiments.config import pixels
from irnas_lib.figures import plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import comparison, frames, trace, writers
from irnas_lib.training.recipes import RECIPES

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## The two terms of the loss
#
# For a picture with more and more noise: mean squared error grows with the square of sigma, log10(1/SSIM) rises
# steeply at once and then flattens. Near a good restoration the second term pulls much harder than the first.

# %% alt="The two terms of the loss against the noise left: squared error keeps rising, the SSIM term flattens"
clean = to_tensor(datasets.load("denoising", "embedded").test[0].clean).unsqueeze(0)
sigmas = torch.arange(1, 71, 3)
noisy = [protocols.add_noise(clean, float(sigma), 0, "loss") for sigma in sigmas]
mse = torch.stack([losses.restoration_loss(x, clean, 0) for x in noisy])
term = torch.stack([losses.log_ssim(x, clean) for x in noisy])

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(sigmas, mse, "k-", label="mean squared error")
ax.plot(sigmas, 0.5 * term, "k--", label="0.5 log10(1 / SSIM)")
ax.set(xlabel="sigma of the noise left (grey levels)", ylabel="value of the term", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# Their gradients tell more than their values: how strongly each term pulls at the pixels.

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
# ## Tables 5 and 6, printed and here
#
# Each row is the system's longest training, and two rows may differ in their budget: then a difference between them is
# none of the loss. What the term is worth is told by trainings of one budget, below. The whole tables with SSIM and
# notes: [table5.md](../figures/table5.md) and [table6.md](../figures/table6.md).

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
traced = [] if smoke else trace.trace(results)
for number, sigma, title in ((5, "50", "Table 5, BSD500, sigma 50"), (6, "", "Table 6, Rain800")):
    writers.write(number, results, files.run_folder(profile) / "figures", smoke=smoke)
    display(frames.show(frames.beside_printed(traced, number, sigma=sigma), title))

# %% [markdown]
# ## The weight of the term
#
# Eq. 7 weights it with lambda = 0.5, which the paper calls an empirical choice; it shows no other but 0. Here are
# trainings that differ in lambda alone; a lambda of 0 is IR-NAS*. Each is compared with the paper's 0.5, picture by
# picture.

# %%
ours = [result for result in results if result.task == "denoising" and result.sigma == 50
        and result.system in ("IR-NAS", "IR-NAS*")
        and (result.profile == result_files.SMOKE) == smoke]
swept = sorted(comparison.at_one_budget(ours), key=lambda result: result.loss_lambda)
if len(swept) < 2:
    display(plots.not_run("Sweep of lambda"))
else:
    first = swept[0]
    print(f"{first.profile}: {first.iterations:,} iterations, batch {first.batch}, crops of {first.crop}, "
          f"seed {first.seed}; strict")
    usual = next((result for result in swept if result.loss_lambda == result_files.PAPER_LAMBDA), None)
    for result in swept:
        score = result.metrics["strict"]
        (psnr, error), (ssim, ssim_error) = comparison.difference(result, usual)
        over = "" if usual in (None, result) else (
            f"   {psnr:+.2f} ± {error:.2f} dB, SSIM {ssim:+.4f} ± {ssim_error:.4f}, over 0.5")
        print(f"lambda {result.loss_lambda:4}   {score['psnr']:.2f} dB   SSIM {score['ssim']:.4f}   "
              f"{score['pictures']} pictures{over}")

# %% [markdown]
# **What to notice** in the trainings that come with the project (4,500 iterations, small batches, no input added). The
# term buys .02 SSIM with 1.2 dB of PSNR; a fifth of its weight buys the same SSIM for half of that; four times its
# weight changes nothing. Part of that price is not for the SSIM: with the term these networks no longer learn how
# bright a batch is, as the section on the missing residual shows. With the input added the term costs nothing so early
# in a training: there it adds both PSNR and SSIM ([notebook 10b](10b_what_a_recipe_is_worth.ipynb)).

# %% [markdown]
# ## Three recipes, one start
#
# `paper` is Adam at 0.05, as printed; `authors` is SGD at 0.05 and another weight of the log-SSIM term, as in the
# authors' program; `matched` is this project's AdamW at 0.001. The same network from the same first weights sees the
# same batches under each. What happens in the first thousand iterations?

# %% alt="Training PSNR of the recipes paper, authors and matched over the first thousand iterations"
runs_alike = {}
for result in sorted(ours, key=lambda result: result.iterations):
    weight = RECIPES[result.recipe].loss_lambda
    if result.system == "IR-NAS" and result.curve and result.loss_lambda == weight:
        alike = (result.profile, result.batch, result.crop, result.seed)
        runs_alike.setdefault(alike, {})[result.recipe] = result
alike, recipes = max(runs_alike.items(), key=lambda pair: (len(pair[1]), pair[0]), default=(None, {}))
if len(recipes) < 2:
    display(plots.not_run("Curves of the three recipes"))
else:
    print("{}: batch {}, crops of {}, seed {}".format(*alike))
    display(plots.training_curve(replace(result, curve=[point for point in result.curve if point[0] <= 1000])
                                 for result in recipes.values()))
    for name, result in recipes.items():
        scores = ", ".join(f"{protocol} {score['psnr']:.2f} dB" for protocol, score in result.metrics.items())
        print(f"{name:8} after {result.curve[-1][0]:,} iterations: {scores or result.status}")

# %% [markdown]
# **What to notice.** Pale lines are single batches, thick ones running means; `matched` is logged too seldom here to be
# smoothed. In training mode `paper` starts fastest, and after a thousand iterations it is level with `matched`; SGD is
# slower and blows up before the thousand is over. Measured, `paper` scores worse the larger the picture is: tiles of
# 64x64 in `redrawn`, half pictures, whole ones. Its batch norms' statistics are of crops of 32x32, and its deformable
# convolutions' offsets are large; which of the two it is, was not tested.

# %% [markdown]
# ## The residual that is missing
#
# Every path from input to output of the paper's network runs through batch norm, and nothing adds the input back. In
# training mode a batch norm removes the batch's mean brightness: what is left of it is at the zero-padded borders. The
# same untrained network, fed the same batch once as it is and once brighter by a constant, shows it: its output hardly
# moves. With the input added it follows.

# %%
torch.manual_seed(0)
batch = clean[..., :64, :64].repeat(6, 1, 1, 1)
for system in ("IR-NAS", "IR-NAS + residual"):
    network = systems.build(system, 1, systems.published("denoising")).train()
    with torch.no_grad():
        moved = (network(batch + 0.2) - network(batch)).mean().item()
    print(f"{system}: input brighter by 0.200, output by {moved:.3f}")

# %% [markdown]
# And after training? Does the output follow now, and what does it cost? The same crops of pictures that the networks
# have not seen, once in evaluation mode, where a batch norm uses fixed statistics, and once in training mode, where it
# uses those of the batch.

# %%
sizes = (1, 2, 4, 8, 16)
pictures = datasets.load_or_embedded("denoising", profiles.datasets(profile)["denoising"], data)
degraded, clean = Patches(pictures.test, crop=64 if not smoke else 32, sigmas=(50,)).batch(
    16 if pictures.instead_of else 32, 0, 0)
quality = {}
for system in ("IR-NAS", "IR-NAS*", "IR-NAS + residual"):
    result = result_files.best(results, "denoising", system, 50, smoke=smoke)
    folder = next((folder for folder in runs.folders(profile) if result and runs.at_hand(result, folder)), None)
    if folder is None:
        continue
    network = systems.build(system, 1, systems.published("denoising")).to(memory_format=torch.channels_last)
    runs.load_network(network, result, folder)
    for module in network.modules():
        module.momentum = 0.0  # training mode must not move the fixed statistics
    with torch.no_grad():
        network.train()
        found = [torch.cat([metrics.psnr(network(x), y) for x, y in zip(degraded.split(size), clean.split(size))])
                 for size in sizes]
        moved = [(network(x + 0.2) - network(x)).mean() for x in degraded.split(4)]
        fixed = torch.cat([metrics.psnr(network.eval()(x), y) for x, y in zip(degraded.split(8), clean.split(8))])
        quality[system] = [each.mean().item() for each in found], fixed.mean().item()
    print(f"{system}, trained for {result.iterations:,} iterations of {result.batch} crops\n"
          f"  evaluation mode: {quality[system][1]:.2f} dB\n  training mode:   "
          + ", ".join(f"{psnr:.2f} dB with {size}" for size, psnr in zip(sizes, quality[system][0]))
          + f"\n  input brighter by 0.200, output by {torch.stack(moved).mean():.3f}")

# %% alt="PSNR in training mode against crops in the batch, and in evaluation mode, for three networks"
if quality:
    fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    for (system, (training, evaluation)), style, marker in zip(quality.items(), ("-", "--", ":"), "os^"):
        ax.plot(sizes, training, f"k{style}{marker}", markerfacecolor="w", label=f"{system}, training mode")
        ax.axhline(evaluation, color="0.5", linestyle=style, label=f"{system}, evaluation mode")
    ax.set(xscale="log", xticks=sizes, xlabel="crops in the batch", ylabel="PSNR (dB)")
    ax.set_xticks(sizes, labels=map(str, sizes))
    ax.minorticks_off()
    ax.legend(fontsize=8)
    plt.show()
else:
    display(plots.not_run("Training mode against evaluation mode"))

# %% [markdown]
# **What to notice** in the trainings that come with the project. With the log-SSIM term and no input added, the output
# does not follow the batch's brightness even after training (0.003 of 0.2), and what training mode scores depends on
# how many crops share a mean: 15 dB with one. With MSE alone the same network learns it in great part (0.145), though
# its batches were smaller and its training shorter; how, was not tested: the zero-padded borders are where brightness
# gets past a batch norm. SSIM hardly minds a picture that is a little too bright, so the term does not press for it. In
# PSNR, then, the paper's network does better with MSE alone, and the paper's loss better with the input added. The
# fourth pair, the input added and MSE alone, turns the conclusion around: [notebook
# 10b](10b_what_a_recipe_is_worth.ipynb) trains it, and there the term adds PSNR as well as SSIM. So the term has no
# price of its own; it has one for a network that cannot pass the brightness of its input on.

# %% [markdown]
# ## The frame
#
# The SSIM of the metric is averaged over the positions where its 11x11 window fits, and so was the loss of all networks
# below: a crop's outer pixels hardly counted in training, and in a crop of 32x32 they are many. How well does each
# network restore the outermost pixels of whole test pictures? The last column is PSNR without a border of 5 pixels.
# (Since then the loss is padded: recipe `best` and notebook 10b.)

# %%
rings = {} if smoke else frame.load()
shipped = {result.stem: result for result in results if result.stem in rings}
rows = sorted(shipped.items(), key=lambda item: rings[item[0]]["frame"] - rings[item[0]]["psnr"])
if not rows:
    display(plots.not_run("PSNR of the frame"))
else:
    table = pd.DataFrame({
        "network": result.system, "lambda": f"{result.loss_lambda:g}",
        "million pixels seen": f"{pixels(result) / 1e6:.0f}", "all pixels": f"{rings[stem]['psnr']:.2f}",
        "outermost": f"{rings[stem]['frame']:.2f}", "without a border": f"{rings[stem]['inside']:.2f}"}
        for stem, result in rows)
    pictures = rings[rows[0][0]]["pictures"]
    display(frames.show(table, f"PSNR in dB at sigma 50 on {pictures} test pictures, strict"))

# %% [markdown]
# **What to take away.** What a term of the loss is worth depends on the network, on its budget and on which pixels
# count: the term costs the network as printed PSNR, because with it the network does not learn the brightness of its
# pictures, and it leaves the frame of a crop untrained. [Notebook 10b](10b_what_a_recipe_is_worth.ipynb) measures each
# choice of a recipe on its own. Further reading: [losses for image
# restoration](https://doi.org/10.1109/TCI.2016.2644865) and [batch normalisation](https://arxiv.org/abs/1502.03167).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Why may the log-SSIM term raise PSNR as well, although mean squared error is what PSNR measures?
#
# <details><summary>Solution</summary>
#
# PSNR is measured at the end, the loss acts on the way. Near a good restoration the gradient of the squared error is
# tiny, and that of the other term about a hundred times as large (first section), in another direction: it asks for
# local contrast and structure, which a network that only lowers the squared error learns late. So within a budget the
# term can lead to a lower squared error, as it does early in a training ([notebook
# 10b](10b_what_a_recipe_is_worth.ipynb)). It need not: above, with no input added, it costs 1.21 dB.
#
# </details>
#
# **2** (medium). Eq. 7 has a lambda. What would you have to show to claim that 0.5 is the right one?
#
# <details><summary>Solution</summary>
#
# First what "right" means, for PSNR and SSIM may want different ones. Then trainings at several lambdas around 0.5, on
# a scale of factors, each at the full budget and from several seeds; judged on validation pictures and not on the test;
# and a margin over the neighbours that is larger than the spread over seeds. To claim it for all tasks, on each of
# them. Above there is one seed at under a thousandth of the paper's budget, where PSNR falls from 0 to 0.5: it shows
# that lambda matters, and no optimum.
#
# </details>
