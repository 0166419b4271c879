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
# You will also see why alpha decides nothing in a short search, and what makes it decide.
#
# **Why it matters.** This is the heart of the paper (Section 3.3). A search always returns a cell, even if it has not
# decided between its candidates. This page shows how to tell.
#
# **What it needs.** Pages [1b](01b_search_from_scratch.ipynb) and [2](02_search_space.ipynb). The page shows a stored
# search, or runs one of a few seconds on embedded pictures.
#
# ## What we found
#
# - **A short search leaves alpha nearly undecided.** In the one shown here its entropy stays at 0.999 of the largest
#   possible, and the cell is read off near-ties.
# - **The number of steps would suffice to explain it.** At the printed rate a logit can travel 0.43 at most in so short
#   a search, where 0.80 is needed for half of the weight. In fact most steps cancelled: it has travelled 0.04.
# - **Moved faster, alpha chooses `none`** (one search), an operation that no decoded cell keeps. Where `none` is left
#   out, alpha decides in part, and sharpening its softmax forces a decision.
# - **In the one setting where sharpening alone was changed, decoding lost less**: 0.4 to 1.0 dB with it and 2.8 to 4.6
#   dB without, with all three seeds. That is partly so by construction, since a sharpened mixture is nearly the decoded
#   cell. A larger supernet of that setting loses 1.4 to 1.9 dB (two seeds), and four sharpened searches with other
#   settings lose 1.1 to 5.4 dB.
# - **Our two larger searches decide differently**: they prefer the same operation on 4 of 20 edges, about as often as
#   by chance. (Small ones agree somewhat more often than that.) How good their cells are is measured on [page
#   14](14_searching_in_a_table.ipynb).

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
# weights (Train W), half train `alpha` and `beta` (Train A), and a few only validate the supernet (Train V).

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
# saved every minute, and a stop where the loss is no longer finite. It also has settings that are not in the paper and
# that the second reading below tries out.
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
print(f"the best after {best['iteration']} iterations: {best['psnr']:.2f} dB, SSIM {best['ssim']:.4f}")
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
# at the axes of alpha: the mean weight of `sep` falls steadily, from 1/6 to 0.154, and the entropy hardly leaves its
# maximum of 1. Near its maximum the entropy hardly reacts to small shifts such as this one, so look at the weights,
# too.
#
# ## Why alpha stays flat
#
# In a search as short as this one alpha hardly moves, and the cell is read off near-ties. There are three suspects.
#
# 1. **No signal**: the gradient of a logit could be noise whose mean is zero.
# 2. **Decay**: Adam adds 0.001 times alpha to the gradient, as printed, which could outweigh it.
# 3. **No time**: Adam moves a logit by about its learning rate per step, whatever the size of the gradient, if that
#    size is steady. So a logit can *travel* about the rate times the number of steps; where batches disagree, it
#    travels far less.
#
# First, this page's own search:

# %%
per_epoch = max(1, len(train_w) * settings.crops_per_picture // settings.batch)
travel = settings.architecture_lr * per_epoch * (settings.epochs - settings.warmup_epochs)
kept = settings.architecture_lr * (best["iteration"] - per_epoch * settings.warmup_epochs)
alpha = torch.tensor(record["alpha"])
print(f"for a weight of 1/2 among six, one logit must be {math.log(5):.2f} above the others:\n"
      f"  if it rises and they fall, each must travel {math.log(5) / 2:.2f}")
print(f"a logit can travel at most {search_choices.PRINTED_TRAVEL} in the paper's search and {travel:.2f} in this one, "
      f"{kept:.2f} up to the validation kept;\n"
      f"  by then it has travelled {alpha.square().mean().sqrt():.3f} (root mean square), "
      f"{alpha.abs().max():.2f} at most")

# %% [markdown]
# **What to notice.** A logit has travelled 0.04 of a possible 0.43, so most of its steps cancel. The rate times the
# number of steps is roughly a limit, and not an estimate. Even without cancelling, 0.43 is not enough for half of the
# weight, so the third suspect would suffice to explain a flat alpha. The second reading below looks at all three.
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
#
# ## What makes a search decide (for a second reading)
#
# **A first reading can end here** and go on with the exercises. The second half of the page asks what would make such a
# search decide.
#
# ### Nine settings in a small supernet
#
# A supernet of two layers and three nodes is searched with these settings:
#
# | | name | a logit can travel | decay of alpha | `none` | warm-up, of all epochs | sharpened | supernet |
# |:--|:--|--:|:--|:--|:--|:--|:--|
# | a | printed settings | 0.29 | as printed | kept | 2 of 10 | no | as printed |
# | b | fast | 34 | off | kept | 2 of 10 | no | as printed |
# | c | fast, no `none` | 34 | off | left out | 2 of 10 | no | as printed |
# | d | medium, no `none` | 10 | off | left out | 2 of 10 | no | as printed |
# | e | fast, sharpened | 34 | off | left out | 2 of 10 | to 0.2 | as printed |
# | f | medium, sharpened | 10 | off | left out | 5 of 13 | to 0.1 | as printed |
# | g | input added | 10 | off | left out | 5 of 13 | to 0.1 | adds its input |
# | h | learning to denoise | 10 | off | left out | 2 of 6 | no | as g; squared error, AdamW |
# | i | learning to denoise, sharpened | 10 | off | left out | 2 of 6 | to 0.1 | as h |
#
# - The learning rate of alpha is raised until a logit can travel so far; 34 is the bound of the
#   paper's own search, if an epoch has 35 crops of each picture, as we read the paper; with one crop it would be 1.0.
# - In a *sharpened* search alpha's logits are divided by a temperature that falls after the warm-up from 1 to 0.2 (e)
#   or 0.1 (f, g and i), so that the mixture in which the weights are trained comes close to a choice.
# - In g to i the supernet adds its input to its output, and its last layer starts at zero. In h and i its weights are
#   trained for squared error alone, by AdamW.
#
# In the figure, on the left, each line is the entropy of alpha in one of the searches a to f. On the right are, for one
# logit in the mean of the three searches a: the gradient and its standard deviation from batch to batch, beside what
# decay would add to it where the logit is 0.1 or 1.6.

# %% alt="Entropy of alpha over six short searches, a to f, and the size of a logit's gradient and of decay"
NAMES = {
    "printed": "printed settings", "travel 34, no decay": "fast", "travel 34, no decay, without none": "fast, no none",
    "travel 10, no decay, without none": "medium, no none",
    "travel 34, no decay, without none, sharpened": "fast, sharpened",
    "travel 10, no decay, without none, longer warm-up, sharpened": "medium, sharpened",
    "travel 10, no decay, without none, longer warm-up, sharpened, input added": "input added",
    "learning to denoise, travel 10, no decay, without none": "learning to denoise",
    "learning to denoise, travel 10, no decay, without none, sharpened": "learning to denoise, sharpened"}
known = search_choices.load(runs.folders(profile))
scale = max(search_choices.SCALES, key=lambda name: sum(found["scale"] == name for found in known))
searches = [found for found in known if found["scale"] == scale]
LEARNING = ("input added", "learning to denoise")
flat = [found for found in searches if found["question"] not in LEARNING]
display(cell_plots.deciding(flat, scale, NAMES))

# %% [markdown]
# The next figure shows whether a supernet denoises when alpha begins to move. Each line is one seed, alpha does not
# move yet where the ground is grey, and the dotted line is the PSNR of the noisy pictures. A cross is the decoded cell
# with the weights that it inherits, where that was measured.

# %% alt="PSNR of the supernet over the iterations for four choices of settings, with the decoded cells at the end"
denoising = "learning to denoise, travel 10, no decay, without none"
display(cell_plots.learning(searches, {
    "printed": "a: printed",
    "travel 10, no decay, without none, longer warm-up, sharpened, input added": "g: input added",
    denoising: "h: learning to denoise", f"{denoising}, sharpened": "i: the same,\nsharpened"}))

# %% [markdown]
# The table shows the searches at their end, in means over their seeds, or from the lowest to the highest of them:
#
# - *entropy*: the mean over edges (of `log 5` instead of `log 6` without `none`);
# - *margin*: on an edge that the cell keeps, the weight of the kept operation less that of its strongest rival; the
#   median over these edges, negative where `none` outweighs what is kept;
# - *skips*: how many of the cell's six edges are `skip`;
# - *PSNR* of the whole supernet on Train V, in dB, at the last validation *before* alpha moves and at the *end*;
# - *decoding loses*: by how many dB the decoded cell, with the weights that it inherits and no further training, lies
#   below the supernet (not measured for all);
# - *batches needed* until the standard error of a logit's mean gradient is a third of its size: 9 (st. dev. / size)².
#   Both are estimated from 30 batches, with the weights of the search's end and alpha set back to zero; what noise
#   alone would add to the size is taken off. Numbers far above 30 are rough.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
def spread(values, form):
    """The lowest and the highest of some values, as text; nothing for none."""
    return " to ".join(dict.fromkeys(f"{value:{form}}" for value in (min(values), max(values)))) if values else ""


def decoding_loses(found):
    return [each["inherited"]["mixture"] - each["inherited"]["decoded"] for each in found if "inherited" in each]


def batches_needed(found):
    return [max(1, round(each["alpha_signal"]["untouched"]["batches"])) for each in found]


def decisions(searches, first="a", scale=scale):
    """What searches have decided, as a table with a letter and a name for each choice."""
    rows = []
    for row in search_choices.decided(searches, scale):
        found = [each for each in searches if each["name"] == row.choice]
        before = [[entry["psnr"] for entry in each["history"] if not entry["counts"]][-1:] for each in found]
        rows.append({"": chr(ord(first) + len(rows)), "search": NAMES.get(row.choice, row.choice), "seeds": row.seeds,
                     "entropy": f"{row.entropy:.3f}", "margin": f"{row.margin:.3f}", "skips": f"{row.skips:.1f}",
                     "PSNR before": spread(sum(before, []), ".1f"),
                     "end": spread([each["history"][-1]["psnr"] for each in found], ".1f"),
                     "decoding loses": spread(decoding_loses(found), ".1f"),
                     "batches needed": spread(batches_needed(found), ",")})
    return (pd.DataFrame(rows).style.hide(axis="index").set_uuid(f"choices-{first}")
            .set_properties(subset=["search"], **{"text-align": "left"}) if rows else "not run")


display(decisions(searches))

# %% [markdown]
# Each row of the next table is a pair of settings and what differs between them. Where two or more things change at
# once (*confounded*), the row does not say which of them did it.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
CHANGED = {  # from one letter to the next
    "ab": ["rate", "decay"], "bc": ["none left out"], "cd": ["a third of the rate"], "ce": ["sharpened"],
    "df": ["sharpened", "warm-up", "steps"], "fg": ["input added", "last layer from zero"],
    "dh": ["input added", "last layer from zero", "loss", "optimiser", "steps"], "hi": ["sharpened"]}
of_letter = dict(zip("abcdefghi", NAMES))
rows = []
for pair, changed in CHANGED.items():
    both = [[found for found in searches if found["name"] == of_letter[letter]] for letter in pair]
    if all(both):
        two = [search_choices.decided(found, scale)[0] for found in both]
        rows.append({"pair": " to ".join(pair), "what changes": ", ".join(changed),
                     "": "confounded" if len(changed) > 1 else "alone",
                     "entropy": " → ".join(f"{row.entropy:.2f}" for row in two),
                     "weight of none": " → ".join(f"{row.none:.2f}" for row in two),
                     "decoding loses (dB)": " → ".join(spread(decoding_loses(found), ".1f") or "?" for found in both),
                     "batches needed": " → ".join(spread(batches_needed(found), ",") for found in both)})
display(pd.DataFrame(rows).style.hide(axis="index").set_uuid("choices-pairs")
        .set_properties(subset=["what changes"], **{"text-align": "left"}) if rows else "not run")

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if printed := [found for found in searches if found["name"] == "printed"]:
    share = 1 - printed[0]["settings"]["warmup_epochs"] / printed[0]["settings"]["epochs"]
    steps = printed[0]["history"][-1]["iteration"] * share
    reached = settings.architecture_lr * steps
    print(f"a, printed settings: {steps:.0f} steps on alpha, so a logit can travel {reached:.2f} at most;\n"
          f"  decay adds {settings.architecture_decay * reached:.4f} there")
for found in printed:
    signal = found["alpha_signal"]["untouched"]
    above = 1 + 30 * (signal["size"] / signal["spread"]) ** 2
    print(f"  seed {found['settings']['seed']}: a logit's mean gradient is {signal['size']:.4f}, its st. dev. over "
          f"batches {signal['spread']:.4f},\n"
          f"    its standard error after 30 of them {signal['spread'] / math.sqrt(30):.4f}; squared, the mean of 30 "
          f"batches is {above:.1f} times\n    what noise alone would give; "
          f"`none` leads on {torch.tensor(found['alpha']).argmax(dim=1).eq(5).sum()} of {len(found['alpha'])} edges")
for row in search_choices.decided(searches, scale):
    if row.seeds > 2:
        print(f"{NAMES.get(row.choice, row.choice)}: two of {row.seeds} seeds prefer the same operation on "
              f"{row.same_operation:.0%} of the edges; by chance {row.by_chance:.0%}")

# %% [markdown]
# **What to notice**, first on the three suspects:
#
# 1. **No signal? There is one, but it is weak.** With the printed settings the squared mean gradients of the logits
#    together are 1.9 to 3.4 times what noise alone would give. For a single logit 30 batches are too few: in seed 0 the
#    standard error is as large as the gradient. So "112 to 286 batches needed" is a rough estimate, of the order of the
#    288 steps that such a search has. In all other settings fewer are needed: 33 to 71 in c to e and 3 to 37 in f to i
#    (b, whose mixture is mostly `none`, needs 1). This was measured at the end of the searches, where every supernet
#    denoises, and loss, optimiser and sharpening differ, so the cause is open. (In the larger search of the first
#    reading the weight of `sep` falls steadily, which also speaks for a signal; that is one search.)
# 2. **Decay? No.** In so short a search it adds 0.0003 at most, where the mean gradient is 0.0015 or more. Near a
#    decision it would count: at alpha = 1.6 it adds 0.0016.
# 3. **No time? Yes.** A logit could travel 0.29 at most, where 0.80 is needed for a weight of 1/2. At a rate more than
#    a hundred times as high, and without decay, the entropy falls to 0.42 (b).
#
# Then on what makes alpha decide:
#
# - **Moved so fast, alpha chooses `none`**, which has 0.81 of the weight in b (one seed). With the printed settings it
#   already leads on 6 to 9 of the 9 edges. The likely reason: the last layer's output is not normalised, so while the
#   weights are untrained, making it smaller is the easiest way to lower the loss, and `none` does that.
# - **Leaving `none` out** (b to c) makes the kept operation lead, by 0.33 instead of trailing by 0.70, and the entropy
#   is 0.83.
# - **Sharpening alone makes alpha decide**: the entropy falls from 0.83 to 0.02 (c to e) and from 0.92 to 0.29 (h to
#   i). The supernet pays for it: in one seed of i it ends 1.3 dB below where it stood before alpha moved.
# - **Where sharpening alone was changed, decoding is cheaper, too**: it loses 2.8 to 4.6 dB in h and 0.4 to 1.0 dB in i
#   (three seeds each). The four other sharpened searches (e, f and g) lose 1.1 to 5.4 dB. In i the supernet denoises
#   before alpha moves (19.9 to 22.7 dB, where the noisy pictures have 14.7), but that cannot be the whole reason: in f
#   it does so, too (18.7 dB), and f loses 4.2 dB. Loss, optimiser, input and number of steps differ as well.
# - **With the printed settings alpha begins to move before the supernet denoises**: it has 12.9 to 14.1 dB. This is not
#   why alpha stays flat: the larger search of the first reading has 22.0 dB by then, and its alpha is flat, too.
# - **All but b keep many skips**, 3 to 4.7 of six edges. In so small and short a search a shallow cell may be the best.
# - **Two seeds agree on somewhat more edges than by chance**, 52 to 67% against 23 to 45%. ("By chance" deals each
#   search's own operations to random edges.) With three seeds of nine edges that is a weak observation.
#
# **Limits.** Most choices have one seed: these searches rank nothing, and no cell was trained. They raise the rate over
# the same few steps; a long search at the printed rate was not run.
#
# ### The same settings in a larger supernet
#
# Setting i once more, in a supernet of the paper's depth: four layers, five nodes, W = 4, crops of 32x32, 438 steps.

# %%
larger = [found for found in known if found["scale"] == "laptop" and found["question"] in LEARNING]
display(decisions(larger, "j", "laptop"))
for row in search_choices.decided(larger, "laptop"):
    print(f"{row.seeds} seeds; two prefer the same operation on {row.same_operation:.0%} of the edges; "
          f"by chance it would be {row.by_chance:.0%}")
for found in larger:
    print(f"seed {found['settings']['seed']}, {found['seconds'] / 60:.0f} minutes of one core; path {found['path']}:",
          *str(genotypes.Genotype(found["genotype"])).split("; "), sep="\n  ")
    if random := found["inherited"]["random"]:
        above = sum(psnr > found["inherited"]["decoded"] for psnr in random)
        print(f"with inherited weights {found['inherited']['decoded']:.2f} dB; {len(random)} random cells "
              f"{min(random):.2f} to {max(random):.2f} dB,\n{above} of them above it")

# %% [markdown]
# **What to notice.** Both seeds decide: a mean entropy of 0.51, and a margin of 0.61. But they decide differently: they
# prefer the same operation on 4 of 20 edges, 20%, where chance would give 22%. (It is one pair, so there is no
# interval.) One cell is built of `def` and `conv`, the other mostly of `dil`, `sep` and `def`. A decided search is not
# yet one that finds the same cell again.
#
# - Neither path is one of the two that an untouched beta favours ([page 4](04_viterbi_decoding.ipynb)). Both put their
#   widest cells first, where the paper's text has the widest cell last.
# - With the weights that it inherits, the cell of seed 0 is above all 60 random cells. That comparison favours it: the
#   mixture has trained the weights of its favourites most. [Page 14](14_searching_in_a_table.ipynb) trains the cells
#   from scratch.

# %% [markdown]
# **What to take away.** A search that has ended has not always decided. Look at the entropy of alpha and at the margins
# before you trust a cell. A logit travels about its learning rate times the number of steps at best, and far less where
# batches disagree; moved faster, alpha may settle on `none`; and sharpening forces a decision without making it a good
# one. Further reading: [DARTS](https://arxiv.org/abs/1806.09055), [why its searches collapse to
# skips](https://arxiv.org/abs/1909.09656), and [P-DARTS](https://arxiv.org/abs/1904.12760), which drops operations in
# stages.

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
# **2** (medium). Which operation does an untouched alpha prefer, before any convolution has learned something? Take the
# gradient of the loss with respect to alpha for a few batches, and do so for several seeds of the first weights.
#
# <details><summary>Solution</summary>
#
# Add up the gradients of four batches of four crops of 32x32, in a supernet of two layers, two nodes and W = 4. The
# logit that gradient descent would raise most, averaged over the edges, is that of `dil`, `sep`, `conv` and `sep` for
# the seeds 0 to 3. The seeds do not agree: a convolution that has learned nothing is a random filter, and alpha prefers
# the one that happens to fit. So without a warm-up the first steps fix by chance an architecture that the weights then
# adapt to. (`skip`, which wins such beginnings in [page 1b](01b_search_from_scratch.ipynb), does not here, where no
# path leads around the batch norms.)
#
# </details>
#
# **3** (easy). Adam moves a logit by about its learning rate per step at best. How many steps does it take then before
# a softmax weight among six has grown from 1/6 to 1/2, if the other five fall at the same pace? How many did this
# search have?
#
# <details><summary>Solution</summary>
#
# One logit has to be log 5 = 1.61 above the five others. The difference grows by twice the rate per step at best,
# 0.002, so it takes 1.609 / 0.002 = 805 steps at least. This search had 576 on alpha, 24 epochs of 24 steps, 432 of
# them before the validation that was kept. In these 432 its logits travelled 0.042, a tenth of the 0.43 that were
# possible, where 0.80 is needed. If their steps go on adding up as they did, it takes about ten times the 805 steps. If
# they cancel at random, a logit comes only as far as the root of their number, and it takes 432 (0.80 / 0.042)² steps,
# about two hundred times the 805.
#
# </details>

# %% [markdown]
# One more checks itself. How small a change makes alpha decode to a cell of skip connections alone? Write such an
# alpha, hardly different from an untouched one, in `exercises/collapse.py` (easy).

# %%
check("collapse")
