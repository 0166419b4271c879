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
# **What you will learn.** What the second term of the loss does, and what it is worth: the answer depends on the
# network and on how long it is trained. Then two more choices that the paper makes without a table, the weight of the
# term and the recipe, and what the term does to the border of a picture.
#
# **Why it matters.** IR-NAS* is trained with mean squared error alone, IR-NAS** with the log-SSIM term of Eq. 7 beside
# it (Section 4.4 of the paper exchanges the two names once). The paper says that the term raises PSNR and SSIM.
#
# **What it needs.** The loss of [notebook 5](05_training.ipynb); the protocols of [notebook 12](12_protocols.ipynb), of
# which `strict` is one noise field on the whole picture. Trained networks come with the project.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display

from irnas_lib import files, losses, metrics
from irnas_lib.benchmarks import frame
from irnas_lib.data import datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.evaluation import protocols
from irnas_lib.experiments import choices, runs
from irnas_lib.experiments import results as result_files
from irnas_lib.experiments.config import pixels
from irnas_lib.figures import plots
from irnas_lib.tables import comparison, frames, trace, writers
from irnas_lib.training.recipes import RECIPES

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## What the term is worth
#
# Pairs of trainings that differ in the term alone. The paper's network was measured on test pictures, the two with the
# input added on training pictures that were kept out ([notebook 10b](10b_what_a_recipe_is_worth.ipynb)). ± is half a
# 95% interval over pictures; that of another seed is larger, 0.8 dB by [notebook 16](16_verdicts.ipynb).

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
short = [result for result in comparison.at_one_budget(
    result for result in results if (result.task, result.sigma) == ("denoising", 50)
    and result.system in ("IR-NAS", "IR-NAS*") and result_files.has_usual_loss(result)
    and (result.profile == result_files.SMOKE) == smoke)]
pair = {result.system: result for result in short}
rows = []
if len(pair) == 2:
    (psnr, error), (ssim, _) = comparison.difference(pair["IR-NAS"], pair["IR-NAS*"])
    rows.append({"network": "IR-NAS, as printed", "million pixels": f"{pixels(pair['IR-NAS']) / 1e6:.0f}", "seeds": "1",
                 "PSNR (dB)": f"{psnr:+.2f} ± {1.96 * error:.2f}", "SSIM": f"{ssim:+.3f}"})
recipes_known = choices.load(folder / "choices" for folder in runs.folders(profile))
for system in ("IR-NAS + residual", "DnCNN") if not smoke else ():
    for budget in sorted({record["pixels"] for record in recipes_known}):
        for row in choices.worth(recipes_known, system, budget):
            if row.choice == "lambda 0":
                rows.append({"network": system, "million pixels": f"{budget / 1e6:.0f}", "seeds": str(row.seeds),
                             "PSNR (dB)": f"{-row.gain:+.2f}", "SSIM": f"{-row.ssim_gain:+.3f}"})
display(frames.show(pd.DataFrame(rows), "what the log-SSIM term adds, lambda 0.5 over lambda 0, sigma 50"))

# %% [markdown]
# **What to notice** in the trainings that come with the project. The term adds SSIM everywhere. It costs the network as
# printed 1.2 dB of PSNR, and it raises that of networks whose input is added to their output (DnCNN's is, too). What it
# costs the former is brightness: [notebook 5c](05c_batch_norm.ipynb) shifts each output to the mean brightness of its
# input, and the two trainings are level. So in short trainings the term helps, where a network has a way to pass
# brightness on. What it is worth after a training as long as the paper's is not known.
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
ax.set(xlabel="sigma of the noise left (grey levels)", ylabel="value of the term", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# Their gradients tell more than their values: how strongly each term pulls at the pixels. Near a good restoration the
# second pulls a hundred times as hard.

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
# Each row is the system's longest training. Two rows may differ in their budget, and then a difference between them
# says nothing about the loss. The whole tables with SSIM and notes: [table5.md](../figures/table5.md) and
# [table6.md](../figures/table6.md).

# %%
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
# **What to notice** in the trainings that come with the project (18 million pixels, no input added). The term buys .02
# SSIM with 1.2 dB of PSNR, most of it brightness; a fifth of its weight buys the same SSIM for half of that; four times
# its weight changes nothing.

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
# **What to notice** in the trainings that come with the project. DnCNN restores the outermost pixels eight decibels
# worse than the rest, IR-NAS does not mind them. So a part of any comparison under this loss is the border: after 18
# million pixels IR-NAS + residual is ahead of DnCNN by 0.14 dB on all pixels and behind it by 0.19 without a border.

# %% [markdown]
# **What to take away.** What a term of the loss is worth depends on the network, on its budget and on which pixels
# count. Compare trainings that differ in it alone, look where the difference lies (here in the brightness and at the
# border), and only then say what the term is good for. Further reading: [losses for image
# restoration](https://doi.org/10.1109/TCI.2016.2644865).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Why may the log-SSIM term raise PSNR as well, although mean squared error is what PSNR measures?
#
# <details><summary>Solution</summary>
#
# PSNR is measured at the end, the loss acts on the way. Near a good restoration the gradient of the squared error is
# tiny, and that of the other term about a hundred times as large (second section), in another direction: it asks for
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
