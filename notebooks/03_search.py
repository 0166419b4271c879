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
# # 3. Searching for a cell and its widths
#
# **What you will learn.** How the paper's search works: one supernet holds every candidate, and gradient descent moves
# its weights, the logits `alpha` of the operations on every edge, and the logits `beta` of the moves between widths.
# You will also see how to tell whether a search has decided, and how far a logit can travel in its steps.
#
# **Why it matters.** This is the heart of the paper (Section 3.3). A search always returns a cell, even if it has not
# decided between its candidates. This page shows how to tell.
#
# **What it needs.** Pages [1b](01b_search_from_scratch.ipynb) and [2](02_search_space.ipynb). The page shows a stored
# search, or runs one of a few seconds on embedded pictures.
#
# ## What we found
#
# - **This search leaves alpha nearly undecided.** Its entropy stays above 0.999 of the largest possible, and the cell
#   is read off near-ties. The clearest move is that of `sep`, whose mean weight falls from 1/6 to 0.154.
# - **The number of steps would suffice to explain it.** Up to the validation that was kept a logit can travel about
#   0.43, where 0.80 is needed for half of the weight.
# - **Most steps cancel.** The logits have travelled 0.04 of these 0.43, and what they travel grows about like the
#   square root of the number of steps.
#
# This is one search, far shorter than the paper's. [Page 3b](03b_what_makes_a_search_decide.ipynb) asks what makes a
# search decide.

# %%
import copy
import math

import numpy as np
import torch
from exercises import check
from IPython.display import display

from irnas_lib import genotypes, search_space
from irnas_lib.data import datasets
from irnas_lib.data.patches import Patches
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import validation
from irnas_lib.experiments import runs, search_choices
from irnas_lib.figures import drawing, plots
from irnas_lib.losses import restoration_loss
from irnas_lib.supernet import Supernet
from irnas_lib.training.recipes import set_learning_rate
from irnas_lib.training.search import (
    ARCHITECTURE_STREAM,
    WEIGHTS_STREAM,
    SearchSettings,
    search,
    split_pictures,
    weight_groups,
)

device = runs.best_device()
print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(device))

# %% [markdown]
# The parameters. The defaults are a small example that takes seconds; `PROFILE` chooses the scale of a real run.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
dataset = "embedded"
seed = 0
layers = 2
nodes = 2
width = 4
batch = 2
crop = 32
epochs = 3
warmup_epochs = 1
crops_per_picture = 4
validate_every = 2

# %% [markdown]
# ## The pictures, in three parts
#
# If the same pictures trained the weights and the architecture, an operation could win by overfitting ([page
# 1b](01b_search_from_scratch.ipynb#Why-two-halves) shows it happen). So the training pictures are split: half train the
# weights (Train W; this W is not the width W of page 2), half train `alpha` and `beta` (Train A), and a few only
# validate the supernet (Train V).

# %%
pictures = datasets.load_or_embedded(task, dataset, data)
train_w, train_a, train_v = split_pictures(pictures.train, seed)
train_v = pictures.validation or train_v
for name, part in (("Train W", train_w), ("Train A", train_a), ("Train V", train_v)):
    print(f"{name}: {len(part)} pictures, for example {part[0].name}")

# %% [markdown]
# ## The settings
#
# The defaults of `SearchSettings` are the paper's numbers, and ours where it gives none (`crops_per_picture`,
# `sigmas`). What this run changes is marked. One thing is not the paper's: the learning rate of the last convolution is
# divided by its number of input channels, because at the printed rate the loss diverges within 40 steps
# (REPRODUCTION.md gives the reason).

# %%
settings = SearchSettings(
    layers=layers, nodes=nodes, width=width, batch=batch, crop=crop, epochs=epochs, warmup_epochs=warmup_epochs,
    crops_per_picture=crops_per_picture, validate_every=validate_every, seed=seed,
    sigmas=TASKS[task].sigmas)
for setting, usual in SearchSettings().recorded().items():
    value = settings.recorded()[setting]
    print(f"{setting:20}{str(value).strip('[]'):>12}" + ("" if value == usual else f"   (default: {usual})"))

# %% [markdown]
# ## The supernet
#
# It is built once, from the seed. It has many weights and few architecture parameters.

# %%
torch.manual_seed(seed)
supernet = Supernet(layers, nodes, width, pictures.channels)
print(f"weights: {sum(p.numel() for p in supernet.weights()):,}")
print("alpha:   {} edges x {} operations".format(*supernet.alpha.shape))
print("beta:    {} cells that feed another x {} moves".format(*supernet.beta.shape))

# %% [markdown]
# ## The search
#
# The search looks for the architecture that is best once its weights are trained, a bilevel problem:
#
# $$\min_{\alpha, \beta}\ \mathcal{L}_A\big(w^*(\alpha, \beta),\ \alpha,\ \beta\big) \quad \text{where} \quad
# w^*(\alpha, \beta) = \arg\min_w \mathcal{L}_W(w,\ \alpha,\ \beta).$$
#
# $\mathcal{L}_W$ and $\mathcal{L}_A$ are the loss (Eq. 7, [page 5](05_training.ipynb)) on Train W and Train A.
# Training $w$ to its end for each step of $\alpha$ would cost too much; as in
# [DARTS](https://arxiv.org/abs/1806.09055), which [the paper](https://arxiv.org/abs/1909.08228) follows, the two take
# steps in turn.
#
# Every iteration takes one step on the weights with a batch from Train W (SGD). After `warmup_epochs` it also takes one
# on `alpha` and `beta` with a batch from Train A (Adam). This is the first-order version: a step on one treats the
# other as fixed.

# %%
def search_by_hand(supernet, pictures, settings):
    train_w, train_a, _ = split_pictures(pictures, settings.seed)
    patches_w, patches_a = Patches(train_w, settings.crop), Patches(train_a, settings.crop)
    per_epoch = len(train_w) * settings.crops_per_picture // settings.batch
    iterations, warmup = settings.epochs * per_epoch, settings.warmup_epochs * per_epoch
    supernet.to(memory_format=torch.channels_last).train()  # channels_last, fused: speed, and the library's rounding
    # weight_groups: the smaller rate of the last convolution
    weights = torch.optim.SGD(weight_groups(supernet), settings.weights_lr, settings.momentum,
                              weight_decay=settings.weights_decay, fused=True)
    architecture = torch.optim.Adam([supernet.alpha, supernet.beta], settings.architecture_lr,
                                    weight_decay=settings.architecture_decay, fused=True)

    def step(optimizer, parameters, degraded, clean):
        loss = restoration_loss(supernet(degraded), clean, settings.loss_lambda)  # Eq. 7
        optimizer.zero_grad()
        loss.backward(inputs=parameters)
        optimizer.step()

    for i in range(iterations):
        cosine = (1 + math.cos(math.pi * i / iterations)) / 2
        set_learning_rate(weights, settings.weights_lr_end
                          + (settings.weights_lr - settings.weights_lr_end) * cosine)
        step(weights, supernet.weights(),
             *patches_w.batch(settings.batch, settings.seed, WEIGHTS_STREAM, i))
        if i >= warmup:
            step(architecture, [supernet.alpha, supernet.beta],
                 *patches_a.batch(settings.batch, settings.seed, ARCHITECTURE_STREAM, i))


# %% [markdown]
# The library's loop gives the same result, as a few steps of a tiny supernet on embedded pictures show:

# %%
photographs = datasets.load("denoising", "embedded").train
few = SearchSettings(layers=2, nodes=2, width=2, batch=2, crop=32, epochs=2, warmup_epochs=1,
                     crops_per_picture=4, validate_every=100, sigmas=(50,))
torch.manual_seed(seed)
by_hand = Supernet(few.layers, few.nodes, few.width, channels=1)
by_library, untouched = copy.deepcopy(by_hand), copy.deepcopy(by_hand)
search_by_hand(by_hand, photographs, few)
by_the_library = search(by_library, photographs, few, "cpu", validation.middle(photographs[:1], 32))


def apart(some, others):
    """The largest difference of two supernets' weights, and of their alpha and beta."""
    pairs = [(name, (a - b).abs().max().item())
             for (name, a), b in zip(some.named_parameters(), others.parameters())]
    return [max(gap for name, gap in pairs if (name in ("alpha", "beta")) is wanted)
            for wanted in (False, True)]


print("steps on the weights:", by_the_library["history"][-1]["iteration"])
for what, others in (("changed by", untouched), ("apart from the library's by", by_library)):
    print("{:28}at most {:.1g} (weights), {:.1g} (alpha and beta)".format(what, *apart(by_hand, others)))

# %% [markdown]
# [The library's loop](../irnas_lib/training/search.py) adds what a run of hours needs: validations, a state that is
# saved every minute, and a stop where the loss is no longer finite. It also has settings that are not in the paper;
# [page 3b](03b_what_makes_a_search_decide.ipynb) tries them out.
#
# A search that is already finished, with these settings on these pictures, is loaded and not repeated. An interrupted
# one continues from its last state.

# %%
stored = settings.recorded()
record = runs.find_search(profile, task, seed, stored, pictures.sha256)
if record:
    print(f"loaded: finished in {record['seconds']:.0f} s on {record['device']}")
else:
    pictures.check_no_stand_in()
    state_file = runs.state_file(profile, f"search-{task}-seed{seed}")
    found = search(supernet, pictures.train, settings, device, pictures.validation, state_file, TASKS[task].rotate)
    record = found | {"task": task, "dataset": dataset, "settings": stored} | runs.provenance(profile, pictures, device)
    runs.save_search(record, profile)
    state_file.unlink(missing_ok=True)
    print(f"searched in {record['seconds']:.0f} s on {record['device']}")

# %% [markdown]
# ## What moved
#
# The validations measure how well the supernet restores Train V. Only those after the warm-up count, because until then
# `alpha` and `beta` are untouched. The highest PSNR wins; SSIM breaks ties.
#
# How decided is the mixture? The six weights of an edge are the softmax $p$ of its row of `alpha`. Their normalised
# *entropy*,
#
# $$H = -\frac{1}{\log 6} \sum_{k=1}^{6} p_k \log p_k,$$
#
# is 1 where all six are equal, as in an untouched row, and 0 where one has all the weight. A decoded cell does not show
# it: a narrow lead and a clear one decode alike.

# %% alt="Validation PSNR, mean weight of each operation and entropy of alpha over the search"
history = record["history"]
best = history[record["best"]]
print(f"{len(history)} validations, {sum(entry['counts'] for entry in history)} count")
last = [entry["psnr"] for entry in history[-5:]]
print(f"the best after {best['iteration']} iterations: {best['psnr']:.2f} dB, SSIM {best['ssim']:.4f}; the last "
      f"{len(last)} lie within {max(last) - min(last):.2f} dB")
if settings.sigmas and (before := [entry["psnr"] for entry in history if not entry["counts"]]):
    noisy = sum(20 * math.log10(255 / sigma) for sigma in settings.sigmas) / len(settings.sigmas)
    print(f"before alpha moves: {before[-1]:.2f} dB; noisy pictures {noisy:.2f} dB")
display(plots.search_curves(record))

# %%
entropy = search_choices.normalised_entropy(torch.tensor(record["alpha"]))
lowest, name = min(zip(torch.tensor(record["alpha"]).softmax(dim=1).mean(dim=0).tolist(), search_space.OPERATIONS))
print(f"lowest mean weight: {lowest:.3f}, of {name}, where an untouched alpha gives {1 / 6:.3f}")
print(f"entropy of alpha's rows: mean {entropy.mean():.4f}, from {entropy.min():.4f} to {entropy.max():.4f}")

# %% [markdown]
# **What to notice.** In the figure the warm-up is grey, and the vertical line marks the validation that was kept. Look
# at the axes of alpha: the mean weight of `sep` falls from 1/6 to 0.154, most of it in the first 240 steps on alpha,
# and the entropy hardly leaves its maximum of 1. Near its maximum the entropy hardly reacts to small shifts such as
# this one, so look at the weights, too.
#
# The validation that was kept is the best of twelve, on six pictures. The last five lie within 0.20 dB, so which of
# them is kept may be chance.
#
# ## Why alpha stays flat
#
# An alpha that has hardly moved has three suspects.
#
# 1. **No signal**: the gradient of a logit could be noise whose mean is zero.
# 2. **Decay**: Adam adds 0.001 times alpha to the gradient, as printed, which could outweigh it.
# 3. **No time**: Adam moves a logit by about its learning rate per step, whatever the size of the gradient, if that
#    size is steady. (After a calm a single step can be a little larger.) So a logit can *travel* about the rate times
#    the number of steps; where batches disagree, it travels far less.
#
# The third can be checked with what this search has stored:

# %%
per_epoch = max(1, len(train_w) * settings.crops_per_picture // settings.batch)
travel = settings.architecture_lr * per_epoch * (settings.epochs - settings.warmup_epochs)
kept = settings.architecture_lr * (best["iteration"] - per_epoch * settings.warmup_epochs)
alpha = torch.tensor(record["alpha"])
print(f"for a weight of 1/2 among six, one logit must be {math.log(5):.2f} above the others:\n"
      f"  if it rises and they fall, each must travel {math.log(5) / 2:.2f}")
print(f"a logit can travel about {travel:.2f} in this search, {kept:.2f} up to the validation kept;\n"
      f"  by then the logits have travelled {alpha.square().mean().sqrt():.3f} (root mean square), the furthest "
      f"{alpha.abs().max():.2f}")
crops, longest = SearchSettings().crops_per_picture, search_choices.PRINTED_TRAVEL
print(f"in the paper's search it can travel {longest:.0f} if an epoch is {crops} crops of each picture, as we read "
      f"it,\n  and {longest / crops:.1f} if it is one")

# %% [markdown]
# **What to notice.** The logits have travelled 0.04 of a possible 0.43, so most of their steps cancel. The rate times
# the number of steps is roughly a bound, and not an estimate. Even without cancelling, 0.43 is not enough for half of
# the weight, so the third suspect would suffice to explain this flat alpha. The paper's own search has room enough if
# its epochs are as long as we read them; if they have one crop of each picture, it barely has.
#
# Do the steps add up slowly, or do they cancel at random? A steady drift travels in proportion to the number of steps,
# a random walk like its square root. The search has stored alpha at each validation:

# %%
counted = [entry for entry in history if entry["counts"]]
on_alpha = np.array([entry["iteration"] - per_epoch * settings.warmup_epochs for entry in counted])
travelled = np.array([np.sqrt(np.mean(np.square(entry["alpha"]))) for entry in counted])
print("steps on alpha  " + "".join(f"{steps:7}" for steps in on_alpha))
print("travelled (RMS) " + "".join(f"{value:7.3f}" for value in travelled))
if len(counted) > 2:
    exponent = np.polyfit(np.log(on_alpha), np.log(travelled), 1)[0]
    print(f"it grows like the number of steps to the power of {exponent:.2f} (1: a drift, 0.5: a random walk)")
longest_steps = longest / settings.architecture_lr
print(f"if it went on like a random walk, the {longest_steps:,.0f} steps of the paper's search, as we read it, would "
      f"give {travelled[-1] * math.sqrt(longest_steps / on_alpha[-1]):.2f}")

# %% [markdown]
# **What to notice.** The exponent is 0.49, as in a random walk. A drift that slows down would look the same, and the
# fall of `sep` may be one, so this is one search's hint and no proof. If the square root went on, even the paper's
# 34,400 steps would bring the logits to 0.39, still below 0.80. [Page 3b](03b_what_makes_a_search_decide.ipynb) looks
# at all three suspects, and raises the rate.
#
# ## The cell and the path
#
# The cell of this search keeps, for each node, the two strongest incoming edges, each with its strongest operation; the
# path is the most probable one through the widths ([page 4](04_viterbi_decoding.ipynb)). `05_training` trains this
# network when its parameter `genotype` is "searched".

# %% alt="The cell that this search has found"
assert search_space.layers_for(len(record["beta"])) == layers and len(record["genotype"]) == nodes
print("found:", *str(genotypes.Genotype(record["genotype"])).split("; "), sep="\n  ")
print("path:", ",".join(map(str, record["path"])), f"(probability {math.exp(record['path_log_probability']):.3f})")
display(drawing.draw_cell(record["genotype"]))

# %% [markdown]
# [Page 4](04_viterbi_decoding.ipynb) shows it beside the published cell. With alpha as flat as above the two need not
# agree; [page 9](09_table4_architecture_analysis.ipynb) measures what such differences are worth.

# %% [markdown]
# **What to take away.** A search that has ended has not always decided. Look at the weights and at the entropy of alpha
# before you trust a cell. A logit travels about its learning rate times the number of steps at best, and far less where
# batches disagree: here it grew like the square root of the number. Further reading:
# [DARTS](https://arxiv.org/abs/1806.09055), whose two alternating steps these are.

# %% [markdown]
# ## Exercises
#
# **1** (easy). Why must Train V be disjoint from Train A as well as from Train W?
#
# <details><summary>Solution</summary>
#
# Train V evaluates the pair of weights and architecture: its PSNR decides which validation of a search is kept. Weights
# that have seen its pictures would be evaluated on what they have memorised, and so would alpha and beta, which follow
# Train A as the weights follow Train W. Either way the latest validation would look best, whether or not it is.
#
# </details>
#
# **2** (easy). Adam moves a logit by about its learning rate per step at best. How many steps does it take then before
# a softmax weight among six has grown from 1/6 to 1/2, if the other five fall at the same pace? How many did this
# search have?
#
# <details><summary>Solution</summary>
#
# One logit has to be log 5 = 1.61 above the five others. The difference grows by about twice the rate per step at best,
# 0.002, so it takes about 1.609 / 0.002 = 805 steps. This search had 576 on alpha, 24 epochs of 24 steps, 432 of them
# before the validation that was kept. In these 432 its logits travelled 0.042, a tenth of the 0.43 that were possible,
# where 0.80 is needed. Were this a steady drift, it would take about ten times the 805 steps. Growing like the square
# root, as it did here, it takes 432 (0.80 / 0.042)² steps, about two hundred times the 805.
#
# </details>

# %% [markdown]
# One more checks itself. How small a change makes alpha decode to a cell of skip connections alone? Write such an
# alpha, hardly different from an untouched one, in `exercises/collapse.py` (easy).

# %%
check("collapse")
