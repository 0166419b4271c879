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
# # 3b. What makes a search decide
#
# **What you will learn.** Why alpha stays flat in a short search, what happens where it is moved faster, and what it
# means to sharpen its softmax. You will see how to tell a decision that a search has learned from one that arithmetic
# has made, and what is lost when a mixture is decoded to a cell.
#
# **Why it matters.** Many searches are made to decide, by a higher rate, a temperature, or by leaving operations out. A
# low entropy then looks like a result. It need not be one.
#
# **What it needs.** [Page 3](03_search.ipynb): the search, the entropy of alpha, and how far a logit can travel.
# Everything is made from stored searches of a small supernet, in seconds; no data are needed.
#
# ## What we found
#
# - **Too few steps would suffice to explain a flat alpha, and decay doesn't.** With the printed settings a logit can
#   travel about 0.29 in so short a search, where 0.80 is needed for half of the weight. Its gradient probably has a
#   signal, and a weak one: `none` leads on most edges in all three seeds.
# - **Moved 119 times as fast and without decay, alpha chooses `none`**, an operation that no decoded cell keeps: it has
#   0.78 of the weight on average (three seeds). Where `none` is left out, alpha decides in part: its entropy is 0.83.
# - **Whether two seeds decide alike depends on the setting.** In five of nine settings they prefer the same operation
#   (`none` left aside) on 22 to 37% of the edges, about as often as by chance (26 to 30%). In d, h and i they do so on
#   52 to 59%, about twice as often as by chance (23 to 33%); what they share there is above all skips.
# - **The low entropy of a sharpened search is mostly the division by its temperature.** Where sharpening alone was
#   changed, it falls from 0.92 to 0.29 (h to i) and from 0.83 to 0.08 (c to e); the logits of the searches without it
#   have 0.25 and 0.26 if they are divided by the same temperature afterwards. In the first pair the search moved its
#   logits no further apart, in the second it did. Which operation is chosen does change: h and i from one seed prefer
#   the same on 13 of 27 edges.
# - **From h to i a decoded cell loses less with sharpening**, 0.4 to 1.0 dB from the mixture in place of 2.8 to 4.6 dB.
#   A part of this is so by construction, since a sharpened mixture is nearly the decoded cell. The decoded cells
#   themselves are better in all three seeds, by 1.8 ± 3.5 dB on average, so this may be chance. The sharpened searches
#   with other settings lose 1.1 to 5.5 dB.
# - **Four searches of a larger supernet, all sharpened, look decided and decide differently**: their entropy is 0.50 to
#   0.61, and two of them prefer the same operation on 25% of 20 edges, where chance gives 21%. Trained anew, their
#   cells are better than random ones ([page 13](13_does_the_search_matter.ipynb)).
#
# No cell of the small searches was trained, so they rank no setting.

# %%
import itertools
import math
from collections import Counter
from string import ascii_lowercase

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from scipy import stats

from irnas_lib import genotypes
from irnas_lib.experiments import runs, search_choices
from irnas_lib.figures import cell_plots
from irnas_lib.tables import frames

print(runs.versions("torch", "numpy"))

# %% [markdown]
# The parameters. `python -m irnas_lib.experiments.search_choices` makes further searches for `profile`.

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## Nine settings in a small supernet
#
# The supernet has two layers and three nodes, so nine edges. Each setting starts from another one and changes what its
# row says, and nothing else. Where a row names two things or more (*confounded*), it cannot say which of them had an
# effect. That is so from a to b, too: there the three things together have it. From b to c, c to e and h to i one thing
# changes. The findings rest on these four steps; the other settings are there to compare. Each setting has three seeds.
#
# | | setting | starts from | what changes |
# |:--|:--|:--|:--|
# | a | printed | | the paper's settings |
# | b | fast | a | alpha's rate raised until a logit can travel 34; decay off; the last validation kept |
# | c | fast, without none | b | `none` left out |
# | d | medium, without none | c | alpha's rate lowered until a logit can travel 10 |
# | e | fast, sharpened | c | sharpened to 0.2 |
# | f | medium, sharpened | d | sharpened to 0.1; 180 steps of warm-up in place of 72 |
# | g | medium, sharpened, input added | f | the input added to the output; a last layer that starts at zero |
# | h | AdamW | d | input and last layer as in g; squared error alone; AdamW for the weights; half the steps |
# | i | AdamW, sharpened | h | sharpened to 0.1 |
#
# - A logit can *travel* about the rate times the number of steps, if all steps go the same way. (After a calm a single
#   step of Adam can be a little larger than the rate.) In the paper's own search that is 34, if an epoch has 35 crops
#   of each picture, as we read the paper, and 1.0 if it has one crop of each.
# - *Sharpened* (temperature annealing): the weights of the operations are $\mathrm{softmax}(\alpha / \tau)$, with a
#   temperature $\tau$ that falls in equal ratios from 1 at the end of the warm-up to 0.2 (e) or 0.1 (f, g and i), so
#   that the supernet's weights are trained in a mixture that comes close to a choice.

# %%
NAMES = {  # as the records call a setting, and as this page does
    "printed": "printed", "travel 34, no decay": "fast",
    "travel 34, no decay, without none": "fast, without none",
    "travel 10, no decay, without none": "medium, without none",
    "travel 34, no decay, without none, sharpened": "fast, sharpened",
    "travel 10, no decay, without none, longer warm-up, sharpened": "medium, sharpened",
    "travel 10, no decay, without none, longer warm-up, sharpened, input added": "medium, sharpened, input added",
    "learning to denoise, travel 10, no decay, without none": "AdamW",
    "learning to denoise, travel 10, no decay, without none, sharpened": "AdamW, sharpened"}
known = [found for found in search_choices.load(runs.folders(profile)) if found["name"] in NAMES]
small = [found for found in known if found["scale"] == "small"]
settings = {letter: [found for found in small if found["name"] == name] for letter, name in zip(ascii_lowercase, NAMES)}


def logits(found):
    """Alpha as its softmax sees it, which is divided by the temperature: (edges, 6)."""
    return torch.tensor(found["alpha"], dtype=torch.float64)


def entropy(found, factor=1.0):
    """Of a search's alpha times a factor, the mean over its edges; 1 where nothing is decided."""
    without = found["settings"].get("without", ())
    return search_choices.normalised_entropy(logits(found) * factor, without).mean().item()


printed = settings["a"][0]
steps = printed["history"][-1]["iteration"] * (1 - printed["settings"]["warmup_epochs"] / printed["settings"]["epochs"])
rate = printed["settings"]["architecture_lr"]
print(f"{steps:.0f} steps on alpha at the printed rate of {rate}: a logit can travel about {rate * steps:.2f}; to give "
      f"one\n  operation half of the weight it must travel {math.log(5) / 2:.2f}; to travel 34 the rate must be "
      f"{search_choices.PRINTED_TRAVEL / steps / rate:.0f} times as high")

# %% [markdown]
# ## Why alpha stays flat: three suspects
#
# [Page 3](03_search.ipynb#Why-alpha-stays-flat) names them: a gradient without a signal, decay, and too few steps. In
# the figure, on the left, each line is the entropy of alpha in one of the settings a to f. On the right are, for one
# logit in the mean of the three printed searches (a): the gradient and its standard deviation from batch to batch,
# beside what decay would add to it where the logit is 0.1 or 1.6.

# %% alt="Entropy of alpha over six short searches, a to f, and the size of a logit's gradient and of decay"
display(cell_plots.deciding([found for letter in "abcdef" for found in settings[letter]], "small", NAMES))

# %% [markdown]
# The table has the gradients of the printed searches (a). Each is estimated from 30 batches, at the end of the search,
# with alpha set back to zero. The mean over 30 batches contains noise, with a variance of the standard error squared.
# The column "gradient" has that taken off. The column "ratio" is the squared mean as it was measured, divided by the
# same variance, so that noise alone gives 1 on average:
#
# $$\text{ratio} = 1 + (\text{gradient} / \text{standard error})^2.$$

# %% jupyter={"source_hidden": true} tags=["hide-input"]
rows = []
for found in settings["a"]:
    signal = found["alpha_signal"]["untouched"]
    rows.append({"seed": str(found["settings"]["seed"]), "gradient, noise taken off": f"{signal['size']:.4f}",
                 "st. dev. over batches": f"{signal['spread']:.4f}",
                 "standard error": f"{signal['spread'] / math.sqrt(30):.4f}",
                 "ratio": f"{1 + 30 * (signal['size'] / signal['spread']) ** 2:.1f}",
                 "none leads": f"on {logits(found).argmax(dim=1).eq(5).sum()} of {len(found['alpha'])} edges"})
display(frames.show(pd.DataFrame(rows), "a logit's gradient over 30 batches, root mean square over the logits"))
print(f"where a logit has travelled {rate * steps:.2f}, decay adds "
      f"{printed['settings']['architecture_decay'] * rate * steps:.4f} to its gradient")

# %% [markdown]
# **What to notice.**
#
# 1. **No signal? Probably there is one, and it is weak.** The better evidence is the last column: three searches from
#    different first weights and other batches agree that `none` leads on 6 to 9 of the 9 edges, where one of six
#    operations leads on 1.5 by chance. The ratio is above 1 in all three, 1.9 to 3.4, but how far noise alone scatters
#    it was not measured: the logits share their batches, so they are not 54 independent numbers. For a single logit 30
#    batches are too few.
# 2. **Decay? No.** In so short a search it adds about 0.0003, where the gradient is estimated at 0.0015 or more. Near a
#    decision it would count: at alpha = 1.6 it adds 0.0016.
# 3. **Too few steps? That would suffice.** A logit can travel about 0.29, where 0.80 is needed. Where the rate is 119
#    times as high, decay is off and the last validation is kept (b), the entropy falls to 0.45. A long search at the
#    printed rate was not run.
#
# ## What makes alpha decide
#
# The table shows the searches at their end, in means over their seeds:
#
# - *entropy*: the mean over edges, as a share of the largest possible;
# - *before sharpening*: the same of the logits that are not divided by the temperature;
# - *weight of none*: its mean over edges;
# - *margin*: on an edge that the cell keeps, the weight of the kept operation less that of its strongest rival; the
#   median over these edges, negative where `none` outweighs what is kept;
# - *skips*: how many of the cell's six edges are `skip`.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
rows = []
for letter, row in zip(settings, search_choices.decided(small, "small")):
    raw = [entropy(found, found["settings"].get("temperature_end", 1.0)) for found in settings[letter]]
    rows.append({"": letter, "setting": NAMES[row.choice], "seeds": str(row.seeds), "entropy": f"{row.entropy:.2f}",
                 "before sharpening": f"{np.mean(raw):.2f}", "weight of none": f"{row.none:.2f}",
                 "margin": f"{row.margin:z.2f}", "skips": f"{row.skips:.1f}"})
display(frames.show(pd.DataFrame(rows), "what alpha has decided"))

# %% [markdown]
# Three pairs of settings differ in sharpening. Does the search decide more, or is the division by the temperature all?
# For that, the logits of the searches *without* sharpening are divided by the same temperature afterwards.

# %%
rows = []
for pair, others in {"ce": "none", "df": "a longer warm-up", "hi": "none"}.items():
    plain, sharpened = (settings[letter] for letter in pair)
    temperature = sharpened[0]["settings"]["temperature_end"]
    divided = [entropy(found, 1 / temperature) for found in plain]
    rows.append({"without → with": " → ".join(pair), "other changes": others,
                 "seeds": f"{len(plain)} and {len(sharpened)}",
                 "without": f"{np.mean([entropy(found) for found in plain]):.2f}",
                 "without, divided afterwards": f"{np.mean(divided):.2f}",
                 "sharpened in the search": f"{np.mean([entropy(found) for found in sharpened]):.2f}"})
display(frames.show(pd.DataFrame(rows), "entropy of alpha, mean over seeds"))

for row in search_choices.decided(small, "small"):
    if row.seeds > 2:
        print(f"{NAMES[row.choice]}: two of {row.seeds} seeds prefer the same operation, `none` aside, on "
              f"{row.same_operation:.0%} of edges; by chance {row.by_chance:.0%}")


def agree(first, second, operations=5):
    """On how many edges two searches prefer the same of the first so many operations; 5 leave `none` aside."""
    return logits(first)[:, :operations].argmax(dim=1).eq(logits(second)[:, :operations].argmax(dim=1)).sum().item()


for letter in "ab":
    pairs = list(itertools.combinations(settings[letter], 2))
    print(f"{letter}, with `none` counted: two seeds prefer the same on "
          f"{np.mean([agree(*pair, operations=6) for pair in pairs]) / len(printed['alpha']):.0%}")
print("h and i from one seed prefer the same operation on",
      ", ".join(str(agree(*pair)) for pair in zip(settings["h"], settings["i"])), f"of {len(printed['alpha'])} edges")

# %% [markdown]
# **What to notice.**
#
# - **Moved fast and without decay, alpha chooses `none`**, which has 0.78 of the weight in b. With the printed settings
#   it already leads on 6 to 9 of the 9 edges. [DARTS](https://arxiv.org/abs/1806.09055) gives a reason why its weight
#   means little: it only scales a node down, which a batch norm undoes. Why it should grow is open. One guess: the last
#   layer's output is not normalised, so that making it smaller lowers the loss while the weights are untrained, and
#   `none` does that. But before the first step alpha has no such wish (exercise 3).
# - **With `none` left out** (c) the kept operation leads by 0.25 where it trailed by 0.63 (b), and the entropy is 0.83.
# - **Sharpening is mostly a division.** Where it alone was changed, most of the fall in entropy is had by dividing the
#   logits afterwards. From h to i, and from d to f, the search has moved its logits no further apart: before the
#   division the entropy is 0.94, with h at 0.92 and d at 0.94. From c to e it has moved them further: 0.53 before the
#   division, with c at 0.83.
# - **Many edges become skips**, 2 to 4.7 of six. In so small and short a search a shallow cell may be the best.
# - **Two seeds agree as by chance in b, c, e, f and g**, on 22 to 37% of the edges against 26 to 30%, and on about
#   twice as many as by chance in d, h and i, 52 to 59% against 23 to 33%; in a it is 67% against 45%. `none` is left
#   aside, as in decoding; in b, whose seeds all prefer it on every edge, these are operations that alpha has nearly
#   given up. ("By chance" deals each search's own operations to random edges.) What d, h and i share is above all a
#   `skip` on the edges from p1 to n2 and from p1 to n3, in all nine searches. Three searches of nine edges make three
#   pairs, which are not independent, so this is a weak observation.
#
# ## What decoding loses
#
# The decoded cell is measured with the weights that it inherits from the supernet, without further training. In the
# figure each line is one seed's mixture (circles are seed 0, squares seed 1, diamonds seed 2), alpha does not move yet
# where the ground is grey, and the dotted line is the noisy pictures. A cross is the decoded cell, where it was
# measured, tied to the end of its mixture. In the table below the figure batch norms take their statistics anew for the
# mixture, as for the cell; so it may be about a decibel off the end of its line, most in a. (What decoding loses is
# called the *discretization gap* elsewhere.)

# %% alt="PSNR of the supernet over the iterations for four settings, with the decoded cells at the end"
titles = {"a": "printed", "g": "medium,\nsharpened,\ninput added", "h": "AdamW", "i": "AdamW,\nsharpened"}
display(cell_plots.learning(small, {settings[letter][0]["name"]: f"{letter}: {title}"
                                    for letter, title in titles.items()}))


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def each(values, form=".1f"):
    return ", ".join(f"{value:{form}}" for value in values)


rows, ends = [], {}
for letter, found in settings.items():
    measured = [search for search in found if "inherited" in search]
    before = [[entry["psnr"] for entry in search["history"] if not entry["counts"]][-1] for search in measured]
    ends[letter] = {what: np.array([search["inherited"][what] for search in measured])
                    for what in ("mixture", "decoded")}
    if measured:
        rows.append({"": letter, "setting": NAMES[found[0]["name"]], "mixture before alpha moves": each(before),
                     "mixture at the end": each(ends[letter]["mixture"]), "decoded cell": each(ends[letter]["decoded"]),
                     "decoding loses": each(ends[letter]["mixture"] - ends[letter]["decoded"])})
display(frames.show(pd.DataFrame(rows), "PSNR on Train V (dB), seed by seed",
                    "Not measured: one seed each of a, b and d, two of c."))

print(f"the noisy pictures have {np.mean([20 * math.log10(255 / sigma) for sigma in (30, 50, 70)]):.1f} dB")
for what in ("mixture", "decoded"):
    gain = ends["i"][what] - ends["h"][what]
    half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / math.sqrt(len(gain))
    print(f"{what}, sharpened (i) less not sharpened (h), seed by seed: {each(gain, '+.1f')}; mean {gain.mean():+.1f} "
          f"± {half:.1f} dB")

# %% alt="Mixture and decoded cell of three seeds, without and with sharpening: the two ends come closer together"
fig, ax = plt.subplots(figsize=(5.6, 2.4), layout="constrained")
for row, letter in enumerate("hi"):
    for seed, (mixture, decoded) in enumerate(zip(ends[letter]["mixture"], ends[letter]["decoded"])):
        at = row + 0.22 * (seed - 1)
        ax.plot((decoded, mixture), (at, at), "k-", linewidth=1)
        ax.plot(mixture, at, "ko", markerfacecolor="w", label="mixture" if row == seed == 0 else None)
        ax.plot(decoded, at, "kx", label="decoded cell" if row == seed == 0 else None)
ax.set(xlabel="PSNR on Train V (dB)", ylim=(1.6, -0.6), yticks=(0, 1), yticklabels=("h: AdamW", "i: AdamW, sharpened"))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plt.show()

# %% [markdown]
# Each line is one seed, the same order above and below. A short line means that decoding loses little; what counts is
# where its cross lies.
#
# **What to notice**, first where sharpening alone was changed (h to i, three seeds):
#
# - The gap between mixture and decoded cell shrinks from 2.8 to 4.6 dB to 0.4 to 1.0 dB. A sharpened mixture is nearly
#   one operation an edge, so a part of this is so by construction.
# - So look at the two ends. The mixture is worse with sharpening, by 0.4 to 1.4 dB. The decoded cell is better, by 0.6
#   to 3.3 dB: its weights were trained nearly as it is then used. Over three seeds that is 1.8 ± 3.5 dB, which may be
#   chance.
# - Inherited weights are not what counts in the end: a decoded cell is trained anew. That was not done for these cells.
#
# Then on the other settings:
#
# - **The other sharpened searches (e, f and g) lose 1.1 to 5.5 dB**, and their decoded cells have 8.7 to 18.0 dB, where
#   the noisy pictures have 14.7. So sharpening does not guarantee a cell that denoises. Loss, optimiser and number of
#   steps differ from those of i; which of them matters was not separated.
# - **The searches that chose `none` (b) lose most**, 9.1 and 12.9 dB, because what alpha chose is not kept; then the
#   printed ones (a), 7.2 and 9.1 dB: a mixture of nearly equal weights is far from any cell. Their alpha also begins to
#   move before the supernet denoises, at 12.9 and 13.9 dB. This is not why it stays flat: the larger search of [page
#   3](03_search.ipynb#What-moved) has 22.0 dB by then, and its alpha is flat, too.
#
# ## The same in a larger supernet
#
# Setting i once more, AdamW and sharpened, in a supernet of the paper's depth: four layers, five nodes, W = 4, crops of
# 32x32, 438 steps; four seeds.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
larger = [found for found in known if found["scale"] == "laptop"]
rows = []
for found in larger:
    mixture, decoded = (found["inherited"][what] for what in ("mixture", "decoded"))
    margin = np.median(search_choices.margins(logits(found)))
    operations = [edge.operation for node in genotypes.Genotype(found["genotype"]) for edge in node]
    rows.append({"seed": str(found["settings"]["seed"]), "minutes of one core": f"{found['seconds'] / 60:.0f}",
                 "entropy": f"{entropy(found):.2f}",
                 "before sharpening": f"{entropy(found, found['settings']['temperature_end']):.2f}",
                 "margin": f"{margin:.2f}", "path": ",".join(map(str, found["path"])),
                 "operations": ", ".join(f"{n} {name}" for name, n in Counter(operations).most_common()),
                 "mixture (dB)": f"{mixture:.1f}", "decoded cell (dB)": f"{decoded:.1f}"})
display(frames.show(pd.DataFrame(rows), "setting i in the larger supernet"))
pairs = [agree(*pair) / len(pair[0]["alpha"]) for pair in itertools.combinations(larger, 2)]
for row in search_choices.decided(larger, "laptop"):
    print(f"{row.seeds} seeds: two prefer the same operation on {row.same_operation:.0%} of {len(larger[0]['alpha'])} "
          f"edges ({min(pairs):.0%} to {max(pairs):.0%} over {len(pairs)} pairs), by chance {row.by_chance:.0%}")
for found in larger:
    if random := found["inherited"]["random"]:
        above = sum(psnr > found["inherited"]["decoded"] for psnr in random)
        print(f"seed {found['settings']['seed']}: {len(random)} random cells with the same weights have "
              f"{min(random):.1f} to {max(random):.1f} dB, {above} of them above the decoded one")

# %% [markdown]
# **What to notice.** All four end with an entropy of 0.50 to 0.61, so they look decided. Before the division by the
# temperature the entropy is 0.98. And they decide differently: two of them prefer the same operation on 25% of the
# edges, hardly more often than by chance (21%). What they share is more general: `def` stands on 16 of the 40 edges of
# their cells, where each of five operations would have 8, and 31 come from p1 or p2 and not from a node, where chance
# gives 23.
#
# - The paths are four different ones, 0,0,0,0 among them, one of the two that an untouched beta favours ([page
#   4](04_viterbi_decoding.ipynb)). None of them has its widest cell last, as the paper's text has.
# - With the weights that it inherits, the cell of seed 0 is above all 60 random cells. That comparison favours it: the
#   mixture has trained the weights of its favourites most. [Page 13](13_does_the_search_matter.ipynb) has these cells
#   trained from scratch, beside random ones.

# %% [markdown]
# **What to take away.** A low entropy can be learned or forced. Divide the logits of a search without sharpening by the
# same temperature, and you see which. Judge a decided search by its decoded cell, and not by how little it lies below
# its mixture, and ask whether another seed decides alike. Moved fast, alpha may settle on an operation that is never
# kept. Further reading: [why DARTS collapses to skips](https://arxiv.org/abs/1909.09656), and
# [P-DARTS](https://arxiv.org/abs/1904.12760), which drops operations in stages.

# %% [markdown]
# ## Exercises
#
# **1** (easy). On an edge without `none` one logit is 0.5 above the four others, which are equal. What are its largest
# weight and its normalised entropy at a temperature of 1, and at 0.1? What has the search learned in between?
#
# <details><summary>Solution</summary>
#
# At 1 the weight is exp 0.5 / (exp 0.5 + 4) = 0.29, and the entropy is 0.99 of the largest possible. At 0.1 the lead is
# 5, the weight exp 5 / (exp 5 + 4) = 0.97, and the entropy 0.10. In between the search has learned nothing: the logits
# are the same.
#
# </details>
#
# **2** (medium). In all three seeds the decoded cell is better with sharpening than without. How likely is it that
# three differences have the same sign if sharpening does nothing? From how many seeds on is that chance below 5%?
#
# <details><summary>Solution</summary>
#
# Each sign is then a coin, and either side could have come up three times: 2 · 0.5³ = 25%. With n seeds it is 2 · 0.5ⁿ,
# which is 6.2% for five and 3.1% for six. The interval of the page uses the sizes of the differences as well, and says
# the same: it includes zero.
#
# </details>
#
# **3** (medium). Which operation does an untouched alpha prefer, before any convolution has learned something? Take the
# gradient of the loss with respect to alpha for a few batches, and do so for several seeds of the first weights.
#
# <details><summary>Solution</summary>
#
# ```python
# from irnas_lib.data import datasets
# from irnas_lib.data.patches import Patches
# from irnas_lib.losses import restoration_loss
# from irnas_lib.search_space import OPERATIONS
# from irnas_lib.supernet import Supernet
#
# patches = Patches(datasets.load("denoising", "embedded").train, 32, sigmas=(30, 50, 70), rotate=True)
# for seed in range(4):
#     torch.manual_seed(seed)
#     supernet = Supernet(layers=2, nodes=2, width=4, channels=1)
#     for batch in range(4):
#         degraded, clean = patches.batch(4, 0, batch)
#         restoration_loss(supernet(degraded), clean).backward()
#     print(seed, OPERATIONS[supernet.alpha.grad.mean(dim=0).argmin()])
# ```
#
# Over four batches of four crops of 32x32, the logit that gradient descent would raise most, averaged over the edges,
# is that of `dil`, `sep`, `conv` and `sep` for the seeds 0 to 3. The seeds do not agree: a convolution that has learned
# nothing is a random filter, and alpha prefers the one that happens to fit. So without a warm-up the first steps push
# alpha by chance, and at a high rate they may fix an architecture that the weights then adapt to. (`skip`, which wins
# such beginnings in [page 1b](01b_search_from_scratch.ipynb), does not here, where no path leads around the batch
# norms.)
#
# </details>
