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
# **What you will learn.** How the paper's search goes: one supernet that holds every candidate, and gradient descent on
# three things, its weights, the mixture `alpha` of operations on every edge, and the probabilities `beta` of moves
# between widths. You will also see why alpha decides nothing in a short search, and what makes it decide.
#
# **Why it matters.** This is the heart of the paper (Section 3.3). A search always returns a cell, even if it has not
# decided between its candidates. This page shows how to tell.
#
# **What it needs.** Pages [1b](01b_search_from_scratch.ipynb) and [2](02_search_space.ipynb). The page shows a stored
# search, or runs one of a few seconds on embedded pictures.

# %%
import copy
import math

import pandas as pd
import torch
from exercises import check
from IPython.display import display

from irnas_lib import genotypes, search_space
from irnas_lib.data import datasets
from irnas_lib.data.patches import Patches
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import validation
from irnas_lib.experiments import runs, search_choices
from irnas_lib.figures import cell_plots, drawing, plots
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
# weights (Train W), half train `alpha` and `beta` (Train A), and a few train nothing and judge the supernet (Train V).

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
# (REPRODUCTION.md says why).

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
# It is built once, from the seed. Its weights are many, its architecture parameters few.

# %%
torch.manual_seed(seed)
supernet = Supernet(layers, nodes, width, pictures.channels)
print(f"weights: {sum(p.numel() for p in supernet.weights()):,}")
print("alpha:   {} edges x {} operations".format(*supernet.alpha.shape))
print("beta:    {} cells that feed another x {} moves".format(*supernet.beta.shape))

# %% [markdown]
# ## The search
#
# What is wanted is the architecture that is best once its weights are trained, a problem in two levels:
#
# $$\min_{\alpha, \beta}\ \mathcal{L}_A\big(w^*(\alpha, \beta),\ \alpha,\ \beta\big) \quad \text{where} \quad
# w^*(\alpha, \beta) = \arg\min_w \mathcal{L}_W(w,\ \alpha,\ \beta).$$
#
# $\mathcal{L}_W$ and $\mathcal{L}_A$ are the loss (Eq. 7, [notebook 5](05_training.ipynb)) on Train W and Train A.
# Nobody trains $w$ to its end for each step of $\alpha$; as in [DARTS](https://arxiv.org/abs/1806.09055), which
# [the paper](https://arxiv.org/abs/1909.08228) follows, the two take steps in turn.
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
    supernet.to(memory_format=torch.channels_last).train()
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
# The library's loop does the same. A few steps of a tiny supernet on embedded pictures show it:

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
# saved every minute, and a stop where the loss is no longer finite. It also has the settings that are not in the paper
# and that the section after next tries out.
#
# A search that is already finished, with these settings on these pictures, is loaded and not repeated. One that was
# interrupted goes on from where it stopped.

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
# The validations say how well the supernet restores Train V. Only those after the warm-up count, because before it
# `alpha` and `beta` are untouched. The highest PSNR wins; SSIM breaks ties.
#
# How decided is the mixture? The six weights of an edge are the softmax $p$ of its row of `alpha`. Their *entropy*,
#
# $$H = -\frac{1}{\log 6} \sum_{k=1}^{6} p_k \log p_k,$$
#
# is 1 where all six are equal, as in an untouched row, and 0 where one has all the weight. A decoded cell does not show
# it: a narrow win and a clear one look alike.

# %% alt="Training loss, validation PSNR, weights and entropy of alpha, moves of beta over the search"
history = record["history"]
best = history[record["best"]]
print(f"{len(history)} validations, {sum(entry['counts'] for entry in history)} count")
print(f"the best after {best['iteration']} iterations: {best['psnr']:.2f} dB, SSIM {best['ssim']:.4f}")
display(plots.search_curves(record))

# %%
entropy = search_choices.normalised_entropy(torch.tensor(record["alpha"]))
print(f"entropy of alpha's rows: mean {entropy.mean():.4f}, from {entropy.min():.4f} to {entropy.max():.4f}")

# %% [markdown]
# **What to notice.** In the figure the warm-up is grey, and the vertical line marks the validation that was kept. Mind
# the axes of alpha: the mean weights move by less than a hundredth, and the entropy hardly leaves its maximum of 1.
#
# ## Why alpha stays flat
#
# In a search as short as this one alpha hardly moves, and the cell is read off near-ties. There are three suspects.
#
# 1. **No signal**: the gradient of a logit could be noise whose mean is zero.
# 2. **Decay**: Adam adds 0.001 times alpha to the gradient, as printed, which could outweigh it.
# 3. **No time**: Adam moves a logit by roughly its learning rate a step, whatever the size of the gradient. So a logit
#    can *travel* no further than roughly the rate times the number of steps.

# %%
per_epoch = max(1, len(train_w) * settings.crops_per_picture // settings.batch)
travel = settings.architecture_lr * per_epoch * (settings.epochs - settings.warmup_epochs)
print(f"a logit can travel {search_choices.PRINTED_TRAVEL} in the paper's search, {travel:.2f} in this one")
print(f"for a weight of 1/2 among six, one logit must be {math.log(5):.2f} above the others")

# %% [markdown]
# Short searches of a small supernet that differ in a few settings say more. Their names are made of these parts:
#
# - `printed`: the settings of the paper.
# - `travel 34`, `travel 10`: the architecture's learning rate is raised until a logit can travel so far (34 is the
#   paper's travel) in the few steps of the search.
# - `no decay`: the decay of alpha is switched off.
# - `without none`: no edge has the operation `none`, which a cell never keeps.
# - `longer warm-up`: alpha waits for five epochs in place of two.
# - `sharpened`: alpha's logits are divided by a temperature that falls after the warm-up, from 1 to 0.2 for `travel 34`
#   and to 0.1 for `travel 10`. The mixture that the weights are trained in then comes close to a choice.
#
# The number in brackets is that of the seeds.

# %% alt="Entropy of alpha over short searches, and what pulls at a logit: gradient and decay"
searches = search_choices.load(runs.folders(profile))
scale = max(search_choices.SCALES, key=lambda name: sum(found["scale"] == name for found in searches))
searches = [found for found in searches if found["scale"] == scale]
display(cell_plots.deciding(searches, scale))

# %% [markdown]
# The table shows them at their end:
#
# - *entropy*: the mean over edges (of `log 5` in place of `log 6` without `none`);
# - *margin*: on an edge that the cell keeps, the weight of the kept operation less that of its strongest rival; the
#   median over these edges, negative where `none` outweighs what is kept;
# - *none*: the weight of `none`, mean over edges; *skips*: how many of the cell's six edges are `skip`;
# - *PSNR* of the whole supernet on Train V, in dB;
# - *same operation*: the share of edges on which two seeds have the same strongest operation; *same input*: the share
#   of the cells' edges that come from the same place.

# %%
table = pd.DataFrame(search_choices.decided(searches, scale)).drop(columns="question", errors="ignore")
table = table.rename(columns={"same_operation": "same operation", "same_edge": "same input", "psnr": "PSNR"})
formats = {"entropy": "{:.3f}", "margin": "{:.3f}", "none": "{:.2f}", "skips": "{:.0f}", "PSNR": "{:.1f}",
           "same operation": "{:.0%}", "same input": "{:.0%}"}
display(table.style.hide(axis="index").set_uuid("choices").format(formats, na_rep="")
        .set_properties(subset=["choice"], **{"text-align": "left"})
        .set_table_styles([{"selector": "th.col0", "props": [("text-align", "left")]}])
        if len(table) else "not run")

# %%
small = search_choices.SCALES[scale]
shared = search_choices.chance_of_an_edge(small.nodes)
print(f"by chance two seeds have {shared:.0%} of their inputs in common, and the same strongest operation\n"
      f"on {1 / 6:.0%} of the edges, {1 / 5:.0%} without none")
for found in searches:
    if found["name"] == "printed":
        share = 1 - found["settings"]["warmup_epochs"] / found["settings"]["epochs"]
        steps, signal = found["history"][-1]["iteration"] * share, found["alpha_signal"]["untouched"]
        reached = settings.architecture_lr * steps
        print(f"printed: {steps:.0f} steps on alpha, so that a logit can travel {reached:.2f};\n"
              f"  decay pulls at such a logit with {settings.architecture_decay * reached:.4f}; its gradient is\n"
              f"  {signal['size']:.4f} in the mean and spreads by {signal['spread']:.4f} from batch to batch:\n"
              f"  after {signal['batches']:.0f} batches its mean is known to a third of its size")

# %% [markdown]
# **What to notice.** The searches that come with the project are of a small supernet (two layers, three nodes), and all
# but one choice have one seed. They find causes and rank nothing.
#
# - **There is a signal.** The mean gradient of a logit is not zero, though some 300 batches, as many as the search has
#   steps on alpha, are needed to know it to a third of its size.
# - **Decay does not hold alpha back in the printed search**: it pulls with 0.0003 at most, the gradient with 0.0017.
#   (At a logit of 3.4 decay would be the stronger one, as the figure shows.)
# - **The time is too short.** In the `printed` search a logit can travel 0.29, where 1.61 is needed, and the entropy
#   stays at 1.000. With a travel of 34 and no decay it falls to 0.42. How much each of the two changes does is not
#   separated here.
# - **Given time, alpha chooses `none`**, which has 0.81 of the weight; the cell is read off the rest. The likely
#   reason: nothing normalises what the last layer sums, so while the weights are young, less of everything is an easy
#   gain.
# - **Without `none` it turns to `skip`**, on four of six edges on average, and is half decided: an entropy of 0.83, a
#   margin of 0.33. Two seeds agree on the strongest operation of 56% of the edges (by chance 20%) and on 67% of
#   the cell's inputs (by chance 72%).
# - **Sharpened, it decides**: an entropy of 0.02 and a margin of 1.00. That does not make the choice a better one: the
#   PSNR is about the same.
#
# ## What came out
#
# Back to this page's own search. Its cell keeps, for each node, the two strongest incoming edges, each with its
# strongest operation; the path is the most probable one through the widths ([page 4](04_viterbi_decoding.ipynb)).
# `05_training` trains this network when its parameter `genotype` says "searched".

# %% alt="The cell that this search has found"
assert search_space.layers_for(len(record["beta"])) == layers and len(record["genotype"]) == nodes
print("found:", *str(genotypes.Genotype(record["genotype"])).split("; "), sep="\n  ")
print("path:", ",".join(map(str, record["path"])), f"(probability {math.exp(record['path_log_probability']):.3f})")
display(drawing.draw_cell(record["genotype"]))

# %% [markdown]
# The paper publishes this cell for the task. With alpha as flat as above the two need not agree; [page
# 9](09_table4_architecture_analysis.ipynb) asks what such differences are worth.

# %% alt="The published cell, for comparison with the one that was found"
published = genotypes.PUBLISHED[task, "IR-NAS"]
print("published:", *str(published.genotype).split("; "), sep="\n  ")
display(drawing.draw_cell(published.genotype))

# %% [markdown]
# **What to take away.** A search that has ended has not always decided. Look at the entropy of alpha and at the margins
# before you believe a cell. A logit travels no further than roughly its learning rate times the number of steps; given
# that travel, alpha may settle on `none` or on `skip`; and sharpening forces a decision without making it a good one.
# Further reading: [DARTS](https://arxiv.org/abs/1806.09055), [why its
# searches collapse to skips](https://arxiv.org/abs/1909.09656), and [P-DARTS](https://arxiv.org/abs/1904.12760), which
# drops operations in stages.

# %% [markdown]
# ## Exercises
#
# **1** (easy). Why must Train V be disjoint from Train A as well as from Train W?
#
# <details><summary>Solution</summary>
#
# Train V judges the pair of weights and architecture: its PSNR says which validation of a search is kept. Weights that
# have seen its pictures would be judged on what they remember, and so would alpha and beta, which follow Train A as the
# weights follow Train W. Either way the latest validation would look best, whether or not it is.
#
# </details>
#
# **2** (medium). Which operation does an untouched alpha prefer, before any convolution has learned something? Take the
# gradient of the loss with respect to alpha for a few batches, and do so for several seeds of the first weights.
#
# <details><summary>Solution</summary>
#
# Add up the gradients of four batches of four crops of 32x32, in a supernet of two layers, two nodes and W = 4. The
# logit that gradient descent would raise most, averaged over the edges, is that of `dil`, `sep`, `conv` and `sep` for
# the seeds 0 to 3. The seeds do not agree: a convolution that has learned nothing is a random filter, and alpha prefers
# the one that happens to fit. So the first steps without a warm-up settle by chance what the weights then learn to live
# with. (`skip`, which wins such beginnings in [notebook 1b](01b_search_from_scratch.ipynb), does not here, where no
# path leads around the batch norms.)
#
# </details>
#
# **3** (easy). Adam moves a logit by about its learning rate a step. How many steps does it take before a softmax
# weight among six can have grown from 1/6 to 1/2, if the other five fall at the same pace? How many did this search
# have?
#
# <details><summary>Solution</summary>
#
# One logit has to be log 5 = 1.61 above the five others. The difference grows by twice the rate a step, 0.002, so it
# takes 1.609 / 0.002 = 805 steps. This search had 576 on alpha: 24 epochs after the warm-up, of 24 steps each.
#
# </details>

# %% [markdown]
# One more checks itself. How little does it take to collapse to a cell of nothing but skip connections? Write such an
# alpha, hardly different from an untouched one, in `exercises/collapse.py` (easy).

# %%
check("collapse")
