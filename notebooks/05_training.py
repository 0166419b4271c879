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
# # 5. Training one system and measuring it
#
# **What you will learn.** What a network of this course learns from, how its training loop works (it is on this page,
# and gives the same weights as the library's), how to read a training curve, and why one network has several PSNRs.
#
# **What is trained here.** The network that the search of [page 3](03_search.ipynb) found, for noise of sigma 50 on
# BSD500. It is the example because it continues pages 3 and 4. Its run was stopped before its end, when the learning
# rate had fallen to a tenth of its highest value, so at its end it might have scored higher. The published cell was
# trained in the same way to the end ([README](../README.md)); PSNR in dB:
#
# | cell | steps | `strict` | `redrawn` |
# |:--|--:|--:|--:|
# | searched on page 3 (this page) | 4,003 of 5,000 | 25.48 | 26.11 |
# | published | 5,000 of 5,000 | 25.45 | 26.10 |
#
# **Why it matters.** Each trained system in the tables of pages 6 to 9 and in Tables 5 and 6 comes from a run of this
# page: one system, one task, one noise level, one seed, one recipe. The system may also be the network of the paper's
# Figure 6, or one that the paper compares with, such as DnCNN, a plain chain of 17 convolutions. The loop is the same
# for all.
#
# **What it needs.** PyTorch, and [page 2](02_search_space.ipynb) for the network. Without the data set the page shows
# the stored record of the real run and computes on embedded pictures. A training run of your own takes from minutes to
# days.
#
# **What we found**
#
# - The network has 25.48 dB on whole test pictures (`strict`) and 26.11 dB with noise drawn anew in overlapping tiles
#   (`redrawn`): the way of measuring alone is worth 0.63 dB.
# - The loss decides what counts as good: of all Gaussian blurs of one noisy crop, squared error picks one of 25.83 dB,
#   and with the log-SSIM term one of 25.18 dB with 0.043 more SSIM.
# - The loop is six lines. In four steps of DnCNN they give the library's weights to the last bit.

# %%
import copy
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display

from irnas_lib import losses
from irnas_lib.data import datasets
from irnas_lib.data.patches import Patches, training_options
from irnas_lib.data.pictures import to_array, to_tensor
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import inference, protocols, systems
from irnas_lib.experiments import results, runs, training_run
from irnas_lib.figures import drawing, interactive, panels, plots
from irnas_lib.tables import comparison
from irnas_lib.training import loop, recipes

device = runs.best_device()
print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(device))

# %% [markdown]
# The parameters of this page choose what is trained; those that matter are `system`, `sigma`, `recipe`, `iterations`,
# `batch` and `crop`. The first cell of parameters holds the defaults, which are a toy run on embedded pictures. Where
# the page shows a second one, that replaces them: it holds the run whose outputs you see. All parameters are listed at
# the end of the page.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
dataset = "embedded"
system = "IR-NAS"
sigma = 50
seed = 0
recipe = "matched"
loss_lambda = 0.5
iterations = 30
schedule = 0
batch = 4
crop = 32
genotype = "published"
path = ""
width = 0
protocols_measured = "strict,redrawn,half"
test_sets = ""
every = 1
precision = "float32"

# %% [markdown]
# ## The pictures
#
# The pictures are read from disk once. For each batch, crops are cut out, turned or mirrored, and given fresh noise.
# The crops shown here are of scikit-image's photographs, made in the same way, since those of the data set are not ours
# to publish.

# %% alt="Four clean crops above the same four with noise"
sigma = sigma if TASKS[task].sigmas else None
pictures = datasets.load_or_embedded(task, dataset, data)
test = pictures.test[::every]
options = training_options(task, sigma)
print(f"{pictures.name}: {len(pictures.train)} training pictures, {len(test)} of {len(pictures.test)} test pictures")

degraded, clean = Patches(datasets.load(task, "embedded").train, crop, **options).batch(4, seed, 0)
fig, axes = plt.subplots(2, 4, figsize=(8, 4.2), layout="constrained")
for column, (above, below) in enumerate(zip(clean, degraded)):
    axes[0, column].imshow(to_array(above), cmap="gray", vmin=0, vmax=255)
    axes[1, column].imshow(to_array(below), cmap="gray", vmin=0, vmax=255)
for ax, label in zip(axes[:, 0], ("clean", "degraded")):
    ax.set_ylabel(label)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## The network
#
# The parameter count below is of the network that this page trains, and includes a layer that it does not use. The
# published network has 661,693, the paper's 0.63M in units of 2^20 ([page 2](02_search_space.ipynb)).

# %% alt="Graph of the cell that is trained: five nodes with two inputs each"
if system in systems.IR_NAS:
    architecture = runs.architecture(genotype, task, system, profile, seed, path, width)
    print("cell:", *str(architecture.genotype).split("; "), sep="\n  ")
    print("path: ", architecture.path, " width:", architecture.width)
    display(drawing.draw_cell(architecture.genotype))
else:
    architecture = None
torch.manual_seed(seed)
network = systems.build(system, pictures.channels, architecture)
print(f"{system}: {systems.parameter_count(network):,} parameters, "
      f"{systems.macs_per_pixel(network, pictures.channels):,} multiply-adds per pixel")

# %% [markdown]
# ## The loss
#
# The loss of [the paper](https://arxiv.org/abs/1909.08228) has two terms. With $x$ for the degraded picture, $y$ for
# the clean one, both in [0, 1], and $f$ for the network:
#
# $$\mathrm{loss} = \lVert f(x) - y \rVert_2^2 + \lambda\, \mathrm{logssim}(f(x),\ y), \qquad \lambda = 0.5, \tag{7}$$
#
# $$\mathrm{logssim}(u,\ y) = \log_{10} \frac{1}{\mathrm{SSIM}(u,\ y)}. \tag{8}$$
#
# Eq. 7 prints a sum of squares. It would outweigh the second term by far, so we use its mean over the $n$ pixels, here
# and on all pages:
#
# $$\mathcal{L} = \frac{1}{n} \lVert f(x) - y \rVert_2^2 + \lambda\, \mathrm{logssim}(f(x),\ y).$$
#
# Apart from clipping, the PSNR of a picture is $-10 \log_{10}$ of its first term. SSIM ([page 1](01_datasets.ipynb)) is
# averaged over the places where its window of 11x11 pixels fits into the crop. The outermost pixels therefore hardly
# count in the second term, which is the larger one. (Some networks restore the border of a picture badly; [page
# 10](10_tables_5_6_ablation.ipynb) shows that this is not the only cause.)
#
# What does $\lambda$ do? Replace the network by a blur of the noisy picture, and train its width: the blur with the
# smallest loss wins. In JupyterLab $\lambda$ has a slider.

# %% alt="Loss of blurs against their width at lambda 0 and 0.5; the best blur of each, and the clean picture"
photograph = to_tensor(datasets.load("denoising", "embedded").train[0].clean)[None, :, :96, :96]
interactive.loss_explorer(photograph, protocols.add_noise(photograph, 50, 0, "lambda"))

# %% [markdown]
# **What to notice.** Squared error alone ($\lambda$ = 0) takes a weaker blur, which keeps edges and some noise. The
# SSIM term ($\lambda$ = 0.5) takes a stronger one: PSNR falls by 0.65 dB and SSIM rises by 0.043. A larger $\lambda$
# changes next to nothing here. (This is a blur. What the term does to a network is on [page
# 10](10_tables_5_6_ablation.ipynb).)

# %% [markdown]
# ## The loop
#
# Training is this: a batch, the loss, its gradient, a step. The recipe `matched` is AdamW with a learning rate that
# warms up to 0.001 and then falls along a cosine.

# %%
def train_by_hand(network, patches, steps):
    recipe = recipes.recipe("matched")
    network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = recipes.learning_rate(recipe, step, steps)
        degraded, clean = patches.batch(2, seed, loop.TRAINING_STREAM, step)
        loss = losses.restoration_loss(network(degraded), clean, loss_lambda)  # Eq. 7
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


crops = Patches(datasets.load(task, "embedded").train, 32, **options)
torch.manual_seed(seed)
by_hand = systems.build("DnCNN", pictures.channels)
by_library = copy.deepcopy(by_hand)
train_by_hand(by_hand, crops, 4)
loop.train(by_library, crops, recipes.recipe("matched"), 4, 2, seed, loss_lambda)
apart = max((a - b).abs().max().item() for a, b in zip(by_hand.state_dict().values(), by_library.state_dict().values()))
print(f"after four steps of DnCNN the two loops' weights differ by at most {apart:.1g}")

# %% [markdown]
# [The library's loop](../irnas_lib/training/loop.py) adds what a run of hours needs: a state that is saved every
# minute, from which an interrupted run continues to the same bytes; a curve; a stop when the loss blows up; and what
# recipes may ask for, such as averaged weights.
#
# ## Training, or loading what is trained
#
# A finished training run, with these parameters on these pictures, is loaded and never repeated. An interrupted one
# continues where it stopped. One whose loss is no longer finite, or exceeds a hundred times that of the first batch, is
# stopped and recorded as failed.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
wanted = runs.training_record(profile, pictures, device, network, architecture, {
    "task": task, "system": system, "sigma": sigma, "seed": seed, "recipe": recipe, "loss_lambda": loss_lambda,
    "iterations": iterations, "schedule": schedule, "batch": batch, "crop": crop})
result, folder = training_run.find_or_train(wanted, network, pictures, device, precision)
if result.status == "failed":
    print(f"failed: its loss blew up after {result.curve[-1][0] if result.curve else 0} iterations")
else:
    print(f"{'trained' if folder is None else 'loaded: trained'} in {result.seconds:.0f} s on {result.device}; "
          f"{iterations * batch * crop ** 2 / 1e6:.1f} million pixels seen")

# %% [markdown]
# A tenth of the paper's 600,000 steps, the bar which [page 16](16_verdicts.ipynb) sets for a verdict on a trained
# network, takes 25 minutes of an H100 at this run's pace, and 72 minutes at that of our run of the published cell.
# (This run had a newer PyTorch; whether that is the cause was not measured.) No run here is that long.
#
# The curve is of single batches, so it jumps (pale; the thick line is a running mean). It lies below the scores that
# are measured later: in training mode a batch norm uses the mean of the few crops in the batch, in evaluation mode a
# fixed one ([page 5c](05c_batch_norm.ipynb)). In a network that adds its input the two differ by 0.2 dB with sixteen
# crops in a batch (exercise 2).

# %% alt="Training PSNR against iterations: rising steeply, then flattening; pale batches, thick running mean"
if result.curve:
    display(plots.training_curve([result]))

# %% [markdown]
# Has it stopped rising? The means of the logged batches of each fifth of the run show it better than the eye. (In the
# first fifths the curve climbs, so their ± is mostly of the climb, and not of chance.)

# %%
for i, fifth in enumerate(np.array_split([psnr for *_, psnr in result.curve], 5), 1):
    if len(fifth) > 1:
        half = comparison.over_pictures(fifth.std(ddof=1) / math.sqrt(len(fifth)), len(fifth))
        print(f"fifth {i} of the run: {fifth.mean():5.2f} ± {half:.2f} dB on {len(fifth)} batches")
print("± gives the half-width of the 95% confidence interval of the mean.")
if result.curve:
    final, total = result.curve[-1][0], max(result.schedule or 0, result.iterations)
    rates = [recipes.learning_rate(recipes.recipe(recipe), step, total) for step in range(total)]
    print(f"last logged batch: iteration {final:,} of a schedule of {total:,}; learning rate there "
          f"{rates[final - 1]:.5f}, at its highest {max(rates):.5f}")

# %% [markdown]
# **What to notice.** The last fifth is 0.21 dB above the fourth, less than the uncertainty of the two means (± 0.32 and
# ± 0.60 dB): these batches do not show whether the curve still rises. (Exercise 3 asks how much it may rise.)
#
# ## Two crops
#
# PSNR does not show where a network fails. Here are two crops of test pictures, restored by BM3D, which learns nothing
# ([page 5b](05b_classical_methods.ipynb)), and by this system. The pages of the tables have crops of the others.

# %% alt="Two crops: noisy, by BM3D, by this system, clean" jupyter={"source_hidden": true} tags=["hide-input"]
restore = inference.restorer(network, device)
output = runs.output_folder(profile)
shown = recipe in ("matched", "best") and results.has_usual_loss(result) and system not in ("IR-NAS, R1", "IR-NAS, R2")
if result.status == "ok" and folder is None and shown:
    for item in protocols.restored_pictures(restore, panels.chosen(dataset, pictures.test), "strict", sigma, seed):
        panels.save(output / "panels", task, dataset, sigma, system, item)
    if dataset == "Rain800":  # and photographs of real rain, of which nobody has the clean side
        for picture in panels.chosen("real-rain", datasets.load_real_rain(data)):
            rainy = to_tensor(picture.degraded).unsqueeze(0)
            panels.save(output / "panels", task, "real-rain", None, system,
                        protocols.Restored(picture.name, None, rainy, restore(rainy)))
display(plots.restored_panel((folder or output) / "panels", task, dataset, sigma, only=("BM3D", system)))

# %% [markdown]
# **What to notice.** On the glass pyramid BM3D is 1.5 dB ahead, probably because the thin lines repeat, so that it
# finds many patches alike (not tested). On the zebra it is 0.2 dB ahead in PSNR, and the network has the higher SSIM.
#
# ## Measuring
#
# The same network scores differently under different protocols. Here `strict` has one noise field on the whole picture;
# `redrawn` has overlapping tiles with fresh noise in each, averaged. ([Page 1](01_datasets.ipynb) has a third, `half`,
# under which this network was not measured.) The first row is the score of the input itself. All tables and figures are
# made from the results that are stored here.

# %%
nothing = protocols.evaluate(lambda x: x, test, "strict", sigma, seed)
print(f"input    {nothing.psnr:7.2f} dB   SSIM {nothing.ssim:.4f}   {nothing.pictures} pictures of {pictures.name}, "
      "strict")

measurable = result.status == "ok" and (folder is None or runs.at_hand(result, folder))
if measurable and pictures.instead_of:
    restored = protocols.evaluate(restore, test, "strict", sigma, seed)
    print(f"restored {restored.psnr:7.2f} dB   SSIM {restored.ssim:.4f}   the same pictures\n")
elif measurable:
    result = training_run.measured(result, profile, restore, pictures, test, protocols_measured.split(","), network)
    for name in filter(None, test_sets.split(",")):
        further = datasets.load_test_set(task, name, data)
        result = training_run.measured(result, profile, restore, pictures, further, ["strict"], network, name)
    runs.state_file(profile, wanted.stem).unlink(missing_ok=True)
for name, score in result.metrics.items():
    print(f"{name:9}{score['psnr']:7.2f} dB   SSIM {score['ssim']:.4f}   {score['pictures']} pictures of "
          f"{result.dataset}")

# %% [markdown]
# **What to notice.** The same weights score 0.63 dB higher in `redrawn` than in `strict`, and nothing but the protocol
# differs. A comparison has to be made under one of them.
#
# <details><summary>All parameters of this page</summary>
#
# - `profile`: "smoke", "laptop", "gpu" or "paper": the folder in which a run is stored, and with which others it is
#   compared.
# - `system`: a network of the tables.
# - `genotype`: "published", "searched" (what [page 3](03_search.ipynb) found at this profile) or the path of an
#   architecture file. What is not the paper's own is trained as "IR-NAS (searched here)".
# - `path`, `width`: replace those of the architecture, unless empty or 0.
# - `recipe`: one of `irnas_lib.training.recipes`. "matched" trains every system of a table alike, "paper" and "authors"
#   are what the paper prints and what its program does, "best" is for quality.
# - `iterations`, `schedule`: a `schedule` above `iterations` stops the run before its learning rate has decayed; 0
#   stands for `iterations`.
# - `precision`: "bfloat16" for a device that computes faster in it; weights, batch norms and loss stay in float32.
# - `every`: measures only one test picture in so many, where a system is slow; the tables give the number.
# - `test_sets`: further ones to measure on, such as "Kodak24", in folders of their own beside BSD500.
#
# </details>

# %% [markdown]
# **What to take away.** The loop has six lines. What its result means depends on all that surrounds it: which pictures,
# which loss, how long, from which seed, measured how. Further reading: [Adam](https://arxiv.org/abs/1412.6980),
# [AdamW](https://arxiv.org/abs/1711.05101), [a loss with SSIM](https://doi.org/10.1109/TCI.2016.2644865).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Train with `recipe = "paper"`. What does Adam at 0.05 do to the first hundred iterations? (Replace the
# cell that begins with `# Parameters`, near the top, by `recipe = "paper"` and `iterations = 100`, which takes a minute
# or two on the embedded pictures, and look at the curve. Then compare with `recipe = "matched"`.)
#
# <details><summary>Solution</summary>
#
# It jumps. Adam moves each weight by about its learning rate per step, however large the gradient. A 3x3 convolution of
# 20 channels begins with weights between -0.075 and 0.075, so after two steps of 0.05 nothing is left of them. Batch
# norm tolerates that: our run on BSD500, in batches of four crops ([its
# curve](10b_what_a_recipe_is_worth.ipynb#The-curves)), is at 7.4 dB after 10 iterations and at 22.6 dB after 60, when
# `matched`, in its warm-up, is still near 10 dB; then batches fall back to 15 dB. So the training loss does not
# diverge. The cost shows in evaluation mode: after 1,000 iterations whole pictures score 10.82 dB ([page
# 10b](10b_what_a_recipe_is_worth.ipynb)). (On the embedded pictures the numbers differ.)
#
# </details>
#
# **2** (medium). Set `system = "IR-NAS + residual"`. How far apart are training and evaluation mode, on the same crops
# and sixteen to a batch? And in the network as published? (A short run will do: score one batch after `network.train()`
# and once more after `network.eval()`.)
#
# <details><summary>Solution</summary>
#
# For the longest runs on BSD500, on the sixteen crops of [page 5c](05c_batch_norm.ipynb): 0.2 dB, and 3.2 dB as
# published. As published the network scores 27.14 dB in evaluation mode and 23.90 in training mode; with the input
# added 27.06 and 26.82. (On your crops the numbers differ.) Brightness, which a batch norm removes in training mode,
# then bypasses the network.
#
# </details>
#
# **3** (easy). By the means of the last two fifths and their ±, may the curve have risen by 0.5 dB between them? By 1
# dB? (Take the two means as independent.) Is that a forecast of what a longer run would gain?
#
# <details><summary>Solution</summary>
#
# The ± of a difference is the root of the sum of squares: √(0.32² + 0.60²) = 0.68 dB. So the rise is 0.21 ± 0.68 dB,
# from -0.47 to 0.89. A rise of 0.5 dB is compatible with these batches, and so is a fall. 1 dB lies outside the 95%
# interval, which makes it unlikely and does not rule it out. It is no forecast: the interval is of the rise between
# these two fifths, the learning rate falls meanwhile, and the batches are measured in training mode, while the scores
# are of whole pictures in evaluation mode.
#
# </details>
