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
# between widths. And why, in a short search, alpha decides nothing.
#
# **Why it matters.** This is the heart of the paper (Section 3.3). Whoever runs such a search should be able to tell
# whether it has decided, and what would let it.
#
# **What it needs.** Pages [1b](01b_search_from_scratch.ipynb) and [2](02_search_space.ipynb). The page shows a stored
# search, or runs one of a few seconds on embedded pictures.

# %%
import dataclasses
import math
import textwrap

import torch
from exercises import check
from IPython.display import Markdown, display

from irnas_lib import genotypes
from irnas_lib.data import datasets
from irnas_lib.data.tasks import TASKS
from irnas_lib.experiments import runs, search_choices
from irnas_lib.figures import cell_plots, drawing, plots
from irnas_lib.search_space import OPERATIONS
from irnas_lib.supernet import Supernet
from irnas_lib.training.search import SearchSettings, search, split_pictures

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
# If the same pictures moved the weights and the architecture, an operation could win by overfitting. So the training
# pictures are split: half for the weights (Train W), half for `alpha` and `beta` (Train A), and a few that move
# nothing and judge the supernet (Train V).

# %%
pictures = datasets.load_or_embedded(task, dataset, data)
train_w, train_a, train_v = split_pictures(pictures.train, seed)
train_v = pictures.validation or train_v
for name, part in (("Train W", train_w), ("Train A", train_a), ("Train V", train_v)):
    print(f"{name}: {len(part)} pictures, for example {part[0].name}")

# %% [markdown]
# ## The settings
#
# The paper's own numbers, and ours where it gives none (`crops_per_picture`, `sigmas`), stand as defaults in
# `SearchSettings`; what this run changes is marked. One thing is not the paper's: the learning rate of the last
# convolution is divided by its number of input channels, for with the printed rate alone the loss diverges within 40
# steps (REPRODUCTION.md says why).

# %%
settings = SearchSettings(
    layers=layers, nodes=nodes, width=width, batch=batch, crop=crop, epochs=epochs, warmup_epochs=warmup_epochs,
    crops_per_picture=crops_per_picture, validate_every=validate_every, seed=seed,
    sigmas=TASKS[task].sigmas)
for name, value in dataclasses.asdict(settings).items():
    usual = getattr(SearchSettings(), name)
    print(f"{name:20}{value!s:>14}" + ("" if value == usual else f"   (the paper's denoising search: {usual})"))

# %% [markdown]
# ## The supernet
#
# It is built once, from the seed. Its weights are many, its architecture parameters few.

# %%
torch.manual_seed(seed)
supernet = Supernet(layers, nodes, width, pictures.channels)
print(f"weights: {sum(p.numel() for p in supernet.weights()):,}")
print(f"alpha:   {tuple(supernet.alpha.shape)}, one row for each edge, one column for each operation")
print(f"beta:    {tuple(supernet.beta.shape)}, one row for each cell that feeds another, one column for each move")

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
# The loop, in words: every iteration takes one step on the weights with a batch from Train W (SGD); after
# `warmup_epochs` it also takes one on `alpha` and `beta` with a batch from Train A (Adam). This is the first-order
# version: a step of one treats the other as fixed. Here is the loop itself.

# %%
import inspect  # noqa: E402

source = inspect.getsource(search)
print(source[source.index("    weights_step ="):source.index("    return summary")])

# %% [markdown]
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
# The validations say how well the supernet restores Train V. Only those after the warm-up count: before it, `alpha`
# and `beta` are untouched, and the best of those would be no search at all. The highest PSNR wins; SSIM breaks ties.
# In the figure the warm-up is grey, and a vertical line marks the validation that was kept. Mind the axes of alpha and
# beta: in a short search single weights move by a few hundredths, and the means over edges, drawn here for alpha, by
# less.

# %% alt="Training loss, validation PSNR, entropies of alpha and beta over the search"
best = record["history"][record["best"]]
print(f"{len(record['history'])} validations, {sum(entry['counts'] for entry in record['history'])} count; "
      f"the best after {best['iteration']} iterations: {best['psnr']:.2f} dB, SSIM {best['ssim']:.4f}")
display(plots.search_curves(record))

# %% [markdown]
# How decided is the mixture? The entropy of a row of softmaxed `alpha`, divided by its largest value log 6, is 1 for
# an untouched row and 0 for one that has chosen. A decoded cell hides this: a narrow win and a clear one look alike.

# %%
def relative_entropy(logits: torch.Tensor) -> torch.Tensor:
    p = logits.softmax(dim=-1)
    return -(p * p.log()).sum(dim=-1) / torch.log(torch.tensor(float(logits.shape[-1])))


entropy = relative_entropy(torch.tensor(record["alpha"]))
print(f"entropy of alpha's rows: mean {entropy.mean():.4f}, smallest {entropy.min():.4f}, largest {entropy.max():.4f}")

# %% [markdown]
# ## Why alpha stays flat
#
# In a search as short as the one above alpha hardly moves, and the cell is read off near-ties. There are three
# suspects.
#
# 1. **No signal**: the gradient of a logit could be noise, with a mean of nothing.
# 2. **Decay**: Adam adds the printed decay of 0.001 to the gradient, where it could outweigh it.
# 3. **No time**: Adam moves a logit by at most about its learning rate a step, whatever the size of the gradient. So no
#    logit gets further than the rate times the number of steps, which is how far a logit can *travel*.

# %%
per_epoch = max(1, len(train_w) * settings.crops_per_picture // settings.batch)
travel = settings.architecture_lr * per_epoch * (settings.epochs - settings.warmup_epochs)
print(f"a logit can travel: {search_choices.PRINTED_TRAVEL} in the paper's search, {travel:.2f} in this one")
print(f"for a weight of 1/2 among six, one logit must be {math.log(5):.2f} above the others")

# %% [markdown]
# The suspects can be told apart by short searches of a small supernet that differ in a few settings. `travel 34` sets
# the architecture's rate so that the rate times the number of steps is the paper's, in a small part of its steps;
# `no decay` switches the decay off; `sharpened` divides alpha's logits by a temperature that falls towards the end;
# `dropped` takes the weakest operation from every edge four times. All are settings of `SearchSettings`, which by
# default does as the paper says.

# %% alt="Entropy of alpha over short searches, and what pulls at a logit: gradient and decay"
searches = search_choices.load(runs.folders(profile))
scale = max(search_choices.SCALES, key=lambda name: sum(record["scale"] == name for record in searches))
display(cell_plots.deciding(searches, scale))

# %%
rows = search_choices.decided(searches, scale)
lines = ["| choice | seeds | entropy | median margin | `none` | skips | PSNR | same operation | same edge |",
         "|---|---|---|---|---|---|---|---|---|"]
for row in rows:
    agree = [f"{share:.0%}" if row.seeds > 1 else "" for share in (row.same_operation, row.same_edge)]
    numbers = f"{row.entropy:.3f} | {row.margin:.3f} | {row.none:.3f} | {row.skips:.1f} | {row.psnr:.2f}"
    lines.append(f"| {row.choice} | {row.seeds} | {numbers} | {agree[0]} | {agree[1]} |")
display(Markdown("\n".join(lines) if rows else "not run"))
if rows:
    nodes = search_choices.SCALES[scale].nodes
    sixth, fifth = 1 / len(OPERATIONS), 1 / len(OPERATIONS[:-1])
    print(f"by chance: {sixth:.0%} of the edges have the same strongest operation, {fifth:.0%} without none, and cells "
          f"share {search_choices.chance_of_an_edge(nodes):.0%} of their edges")
    for record in searches:
        if (record["scale"], record["name"]) == (scale, "printed"):
            found = record["alpha_signal"]["untouched"]
            print(f"seed {record['settings']['seed']}, at the end of the printed search: a logit's gradient is "
                  f"{found['size']:.1e} on average\nand spreads by {found['spread']:.1e} from batch to batch: after "
                  f"{found['batches']:.0f} batches its mean is known to a third of its size")

# %% [markdown]
# **What to notice** in the searches that come with the project (a supernet of two layers, 288 steps on alpha, one seed
# each, two where the table says so; so this finds causes, and ranks nothing). There is a signal, though at an untouched
# alpha it takes some 300 batches to be known well. Time is the first cause: as printed, with a travel of 0.29, the
# entropy stays at 1.000 and the kept operations weigh no more than their rivals. But time alone does not help. At the
# paper's travel of 34 alpha decides, and it decides for `none`, which has 0.81 of the weight, so that the cell is still
# read off the rest. (Most likely because nothing normalises what the last layer sums: while the weights are young, less
# of everything is an easy gain.) Without `none`, which no cell keeps, the same travel leaves an entropy of 0.83 and a
# median margin of 0.33; a travel of 10 leaves 0.96 and 0.14. The two seeds agree on the strongest operation of 56% of
# the edges, where chance has 20%, and on 67% of the cell's edges, where chance has 72%; four of six edges are `skip` on
# average, and the supernet is no better for it (20.0 dB, 21.7 as printed). What decay does at this travel, and what
# happens at the size of the search above, is not yet measured.

# %% [markdown]
# ## What came out
#
# The cell keeps, for each node, its two strongest inputs, each with its strongest operation; the path is the most
# probable one through the widths. They are stored with the record and are what `05_training` trains when its
# parameter `genotype` says "searched".

# %% alt="The trellis of beta with the decoded path, and the cell that was found"
print("cell:", record["genotype"])
print("path:", record["path"], f"(probability {torch.tensor(record['path_log_probability']).exp():.3f};",
      f"relative to the flat prior: {record['relative_path']})")
display(drawing.draw_cell(record["genotype"]))

# %% [markdown]
# Beside it, the cell that the paper publishes for this task. One search with one seed says little about whether the
# two should agree; the architecture-analysis notebook asks what differences like these are worth.

# %% alt="The published cell, for comparison with the one that was found"
published = genotypes.PUBLISHED[task, "IR-NAS"]
print(textwrap.fill(f"published: {published.genotype}", 100))
display(drawing.draw_cell(published.genotype))

# %% [markdown]
# **What to take away.** A search that has run has not always decided. Look at the entropy of alpha and at the margins
# before you believe a cell; a logit cannot travel further than its learning rate times the number of steps; and given
# that travel, alpha may decide for nothing at all. Further reading: [DARTS](https://arxiv.org/abs/1806.09055), [why its
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
# takes 1.609 / 0.002 = 805 steps. This search had 584 on alpha: eight epochs after the warm-up, of 73 steps each.
#
# </details>

# %% [markdown]
# One more checks itself. How little does it take to collapse to a cell of nothing but skip connections? Write such an
# alpha, hardly different from an untouched one, in `exercises/collapse.py` (easy).

# %%
check("collapse")
