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
# # 10b. What a choice of the recipe is worth
#
# **What you will learn.** How to find out what a choice of a training recipe is worth in decibels: a network is trained
# again and again, each time with one choice changed. Here these are the learning rate, the size and number of crops,
# and the log-SSIM term of the loss, most of them from two seeds. (`irnas_lib/experiments/choices.py` lists more, such
# as the optimiser; they have not been run.)
#
# **Why it matters.** A paper prints its recipe in two lines, and seldom says what each of its choices is worth.
#
# **What it needs.** [Notebook 5](05_training.ipynb) for the loop and the loss. Everything is made from stored training
# runs, in seconds. One run takes a core 4 to 44 minutes for DnCNN and 13 to 55 for IR-NAS, by the machine and what else
# it does.
#
# ## What we found
#
# - **Eight small crops in place of two large ones mend most of DnCNN's border, where SSIM is padded in the loss.** At
#   the same pixels per step, its outermost pixels are 4.22 ± 1.11 dB better, by the crops' size or by their number.
#   That leaves them 2 dB below all pixels in place of 6; all pixels together are not seen to differ (0.20 ± 0.53 dB).
# - **A learning rate of a third is too small for so short a run**: it takes 1.02 ± 0.53 dB from DnCNN. Three times the
#   rate perhaps adds something to SSIM (0.044 ± 0.033) and PSNR (0.36 ± 0.53 dB). (Of either pair of runs one was
#   computed in another arithmetic than its base.)
# - **Without the log-SSIM term** DnCNN loses 0.70 ± 0.37 dB (four seeds) and IR-NAS + residual 0.86 ± 0.53 dB
#   ([notebook 10](10_tables_5_6_ablation.ipynb)). **Not adding its input** costs the latter 1.12 ± 0.53 dB, in runs
#   that were computed in another arithmetic than their base.
# - Fewer and larger steps, of four crops of 64x64, are not seen to matter (-0.31 ± 0.53 dB).
# - In batches of four crops of 32x32, which are not the paper's, a version of the authors' recipe diverges, and the
#   paper's recipe, stopped after 1,000 steps at its full rate, fails in evaluation mode (one run each).
#
# All runs are short: ten million pixels are 0.03% of the paper's. What is best here need not be best after a long
# training.
#
# The loss is Eq. 7 of the paper, with our mean for its sum, for a network $f$, a noisy crop $x$ and the clean one $y$;
# SSIM is taken over all positions of a crop padded by zeros:
#
# $$\mathcal{L} = \frac{1}{n} \lVert f(x) - y \rVert_2^2 + \lambda \log_{10}\frac{1}{\mathrm{SSIM}(f(x), y)}$$

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from scipy import stats

from irnas_lib.data import datasets
from irnas_lib.experiments import choices, runs, table_facts
from irnas_lib.figures import plots
from irnas_lib.tables import frames
from irnas_lib.training.recipes import RECIPES

# %% [markdown]
# The parameters. `train` names choices to train now, separated by semicolons; if it is empty, nothing is trained and no
# data are needed. `pixels` is how many pixels each run sees.

# %% tags=["parameters"]
profile = "smoke"
data = ""
train = ""
system = "IR-NAS + residual"
seed = 0
pixels = 10_000_000

# %% jupyter={"source_hidden": true} tags=["hide-input"]
for name in filter(None, train.split(";")):
    pictures = datasets.load("denoising", "BSD500", data)
    choice = choices.named(name)
    if choice.system == choices.BASE.system:
        choice = choice._replace(system=system)
    record = choices.find_or_train(choice, seed, pixels, pictures, profile, runs.best_device())
    print(f"{name}, {choice.system}, seed {seed}: {record['status']}")

# %% [markdown]
# ## The choices
#
# The base is AdamW at a learning rate of 0.001 with a warm-up of 500 steps (at most a tenth of the run) and a cosine
# decay, steps of two crops of 64x64, and $\lambda = 0.5$. Every other choice changes one thing, but for the crops,
# whose number changes with their size, and the last one:
#
# - `lr 0.003`, `lr 0.0003`: about three times the rate, and a third of it.
# - `8 crops of 32`: the same pixels per step in smaller crops. `4 crops of 64`: twice the pixels per step, and so half
#   the steps, because all runs see the same number of pixels.
# - `lambda 0`, `lambda 0.1`: another weight of the log-SSIM term; `lambda 0.5, then 0`: no term in the last 30% of the
#   steps.
# - `input not added`: the network as published, which does not add its input to its output; once more with lambda 0.
#
# The rates and the crops were tried with DnCNN alone, the quicker of the two networks.
#
# The networks are judged on training pictures of BSD500 that were kept out, because a recipe chosen on test pictures
# has seen the test. Differences are paired: the same seed, so that the first weights are the same, and the batches
# where their size and crop are; and the same pictures with the same noise. All are a choice over the base, so that a
# minus is a loss.
#
# ± is half the 95% interval over seeds. A few seeds of one choice hardly show a spread, so it is taken from the
# comparisons with and without the log-SSIM term, in which no run occurs twice ([notebook
# 10](10_tables_5_6_ablation.ipynb)): how far the differences of a network lie from their mean. The networks that add
# their input gain alike with a seed that they share, so it counts once in the degrees of freedom. The spread is taken
# to be the same for all choices. Where a choice has other batches than its base (the crops), or another arithmetic,
# that might be too small; but the two seeds of those choices lie hardly farther apart (0.18 dB and, of the outermost
# pixels, 0.60 dB; some of them share their base).

# %%
records = choices.load(folder / "choices" for folder in runs.folders(profile))
compared = choices.log_ssim_term(records, pixels)
known = {name: choices.worth(records, name, pixels) for name in ("DnCNN", "IR-NAS + residual")}
found = [choices.of_the_term(compared, measure) for measure in range(3)]  # spread over seeds, degrees of freedom
single, ssim_single, single_border = (
    stats.t.ppf(0.975, free) * deviation if free > 1 else np.nan for deviation, free in found)
for what, (deviation, free) in zip(("PSNR (dB)", "SSIM", "PSNR of the outermost pixels (dB)"), found):
    print(f"standard deviation over seeds of one difference, {what}: {deviation:.3f}, {free} degrees of freedom")
judged = max((len(record["scores"] or ()) for record in records), default=0)
for name, rows in known.items():
    table = pd.DataFrame({
        "choice": row.choice, "seeds": str(row.seeds), "PSNR (dB)": f"{row.psnr:.2f}", "base (dB)": f"{row.base:.2f}",
        "over the base (dB)": f"{row.gain:+.2f} ± {single / row.seeds ** 0.5:.2f}",
        "SSIM over it": f"{row.ssim_gain:+.3f} ± {ssim_single / row.seeds ** 0.5:.3f}",
        "outermost pixels over it (dB)": f"{row.frame_gain:+.2f} ± {single_border / row.seeds ** 0.5:.2f}",
        "arithmetic differs": f"in {row.mixed} of {row.seeds}" if row.mixed else ""}
        for row in rows if row.choice != choices.BASE.name)
    display(frames.show(table, f"{name}, {pixels / 1e6:.0f} million pixels, {judged} validation pictures",
                        "base: the base of the same seeds. ± gives the half-width of the 95% interval over seeds, "
                        "by the spread above."))
for name in known:
    bases = [(record["seed"], *np.mean(list(record["scores"].values()), axis=0)) for record in records
             if record["scores"] and (record["system"], record["name"], record["pixels"]) == (
                 name, choices.BASE.name, pixels)]
    print(f"{name}, the base, all pixels and outermost pixels (dB):\n ",
          "; ".join(f"seed {seed} {psnr:.2f} and {outermost:.2f}" for seed, psnr, _, outermost in sorted(bases)))

pairs = np.array([list(row.each.values()) for rows in known.values() for row in rows
                  if row.seeds == 2 and not row.choice.startswith(("base", "lambda 0"))])  # (choice, seed, measure)
if len(pairs):
    psnr, _, outermost = ((pairs[:, 0] - pairs[:, 1]) ** 2 / 2).mean(axis=0) ** 0.5
    print(f"the same spread from the other {len(pairs)} choices with two seeds, some of which share their base: PSNR "
          f"{psnr:.3f} dB,\n  of the outermost pixels {outermost:.3f} dB")

tests = [(name, row.choice, what, abs(gain) / (deviation / row.seeds ** 0.5), free) for name, rows in known.items()
         for row in rows if row.choice != choices.BASE.name for what, gain, (deviation, free) in zip(
             ("PSNR", "SSIM", "outermost pixels"), (row.gain, row.ssim_gain, row.frame_gain), found) if free > 1]
ps = table_facts.holm([2 * stats.t.sf(score, free) for *_, score, free in tests])
print(f"of {len(tests)} differences these stand at 5%, corrected for their number by Holm's method:")
for (name, choice, what, *_), p in zip(tests, ps):
    if p < 0.05:
        print(f"    {name}, {choice}: {what}, p = {p:.3f}")

# %% [markdown]
# The same as a picture: small dots are seeds, circles their means with the interval of the table. Left of zero the
# choice is worse than the base.

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="Each choice's gain over the base, all pixels and border"
rows = [(name, row) for name, of_system in known.items() for row in of_system if row.choice != choices.BASE.name]
if not rows:
    display(plots.not_run("What each choice is worth"))
else:
    fig, axes = plt.subplots(1, 2, figsize=(7.6, 0.8 + 0.27 * len(rows)), sharey=True, layout="constrained")
    for ax, measure, half, label in zip(axes, (0, 2), (single, single_border), ("all pixels", "outermost pixels")):
        for at, (_, row) in enumerate(rows):
            gains = [gain[measure] for gain in row.each.values()]
            ax.errorbar(np.mean(gains), at, xerr=half / row.seeds ** 0.5, fmt="ko", markerfacecolor="w", capsize=3)
            ax.plot(gains, [at + 0.28] * row.seeds, "k.", markersize=4)
        ax.axvline(0, color="0.6", linewidth=0.8)
        ax.axhline(sum(name == "DnCNN" for name, _ in rows) - 0.4, color="0.6", linestyle=":")
        ax.set(title=label, xlabel="PSNR over the base (dB)", ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)),
               yticklabels=[f"{name}: {row.choice}" for name, row in rows])
        ax.grid(axis="x", color="0.92")
        ax.set_axisbelow(True)
    plt.show()

# %% [markdown]
# **What to notice.**
#
# - The border: DnCNN's outermost pixels are 4.22 dB better with eight small crops. The border is a larger share of
#   those; a larger number alone, four crops of 64, does not help (-0.73 ± 1.11 dB, at half the steps). They are 3.12 dB
#   better without the log-SSIM term. SSIM is hardly affected by how bright a neighbourhood is, and at the border, where
#   a network sees zeros beyond the picture, brightness may be what goes wrong; the error there was not taken apart.
# - The rate: 0.0003 is too small; with 0.003 SSIM is higher than with 0.001, and PSNR not seen to differ. A run of ten
#   million pixels is short, so what learns faster has an advantage that a long run need not have.
# - Without the log-SSIM term both networks lose PSNR, with every seed. IR-NAS + residual loses as much when its input
#   is not added, and then no more without the term. Its SSIM does not fall without the input, as if it had lost
#   brightness ([notebook 5c](05c_batch_norm.ipynb)), which SSIM hardly sees; for these runs that was not measured.
# - Where there is one seed, or the change is small, nothing can be said: one difference has ± 0.74 dB. Dropping the
#   term for the last 30% of the steps did not help in the one run that was made.
# - The ten rows have thirty intervals. One or two may leave out zero by chance, most likely ones that barely do. With
#   all thirty allowed for (Holm), four stand: SSIM of both networks without the term, and DnCNN's outermost pixels with
#   eight small crops and without the term. No difference in the PSNR of all pixels does.
#
# One thing more differs in some pairs: the column *arithmetic differs* counts where a choice and its base were computed
# in bfloat16 and float32, by the machine that they ran on. On [page 11](11_efficiency.ipynb) the two give the same
# curve over 200 steps of another network; how much they differ after 1,200 steps was not measured.
#
# ## The curves
#
# PSNR of validation crops in evaluation mode, against the pixels seen, of IR-NAS + residual and of its choices with two
# seeds. Each choice has a colour; the first seed is solid, the second dashed.

# %% alt="Validation PSNR against pixels seen: lambda 0 and input not added end below the base"
fig, ax = plt.subplots(figsize=(7.6, 3.8), layout="constrained")
styles, repeated = {}, {record["name"] for record in records if record["seed"] and record["system"] != "DnCNN"}
for record in records:
    shown = record["system"] != "DnCNN" and record["name"] in repeated and record["pixels"] == pixels
    if shown and record["validation"]:
        colour = styles.setdefault(record["name"], "k" if record["name"] == choices.BASE.name else f"C{len(styles)}")
        steps, psnr = np.array(record["validation"]).T
        ax.plot(steps * record["batch"] * record["crop"] ** 2 / 1e6, psnr, color=colour,
                linestyle=("-", "--", ":")[record["seed"] % 3], label=f"{record['name']}, seed {record['seed']}")
        falls = f"falls by {max(0, -np.diff(psnr).min()):.1f} dB at most between validations"
        early = ", ".join(f"{np.interp(share * steps[-1], steps, psnr):.1f}" for share in (0.1, 0.2))
        print(f"{record['name']}, seed {record['seed']}: {falls}; after a tenth and a fifth {early} dB")
ax.set(xlabel="million pixels seen", ylabel="validation PSNR (dB)", ylim=(17, None))
if styles:
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plt.show()

# %% [markdown]
# **What to notice.** The base falls by up to 1.8 dB from one validation to the next, lambda 0 by no more than 0.2 dB.
# So the curves cross, with the first seed as late as at eight million pixels. The order of these two settles where the
# learning rate has fallen: compare runs at the end of a schedule, not on the way. Even that is no rule: without the
# input added the second seed still rises by a decibel over the last validations, at a rate of nearly zero. Statistics
# of the batch norms that lag behind may do that; it was not looked into. And these curves are of crops: on the pictures
# of the table the two seeds lie 0.1 dB apart.
#
# ## Three recipes, one start
#
# `paper` is Adam at 0.05, as printed; `authors` is SGD at 0.05 and another weight of the log-SSIM term, from the
# authors' program; `matched` is this project's AdamW at 0.001. The network as published, from the same first weights,
# sees the same batches under each. `authors` is not quite theirs: their program halves the whole loss, so that SGD
# takes half the step, and pads SSIM.

# %% alt="Training PSNR of the recipes paper, authors and matched over the first thousand iterations"
runs_alike = {}
for result in sorted(runs.all_results(profile), key=lambda result: result.iterations or 0):
    if (result.task, result.sigma, result.system) == ("denoising", 50, "IR-NAS") and result.curve and (
            result.loss_lambda == RECIPES[result.recipe].loss_lambda and (result.profile == "smoke") == (
            profile == "smoke")):
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
# **What to notice.** Pale lines are single batches, thick ones running means. (`matched` was logged every 45 steps, so
# its line is of single batches. Compare PSNR and not the loss, since `authors` has a lambda of 0.6.)
#
# - `paper` starts fastest in training mode. Measured on pictures it scores worse the larger they are: 22.26 dB on tiles
#   of 64x64 (`redrawn`), 15.20 dB on pictures of half size, 10.82 dB on whole ones. Its batch norms have statistics of
#   crops of 32x32, which may lag behind at so high a rate, and the offsets of its deformable convolutions may be large.
#   Both are possible causes, and neither was tested.
# - `authors` is slower, and its loss blows up before the thousand is over. With half the step, as in their program, it
#   might not; that was not run.
# - `matched` was measured after 4,500 steps, when its rate had decayed. What `paper` would score by then, or `matched`
#   after 1,000, was not measured, so the scores are no comparison of the two.

# %% [markdown]
# **What to take away.** Change one thing at a time, on pictures that are neither trained on nor tested on, and from
# more than one seed. Further reading: [AdamW](https://arxiv.org/abs/1711.05101) and [tuning
# playbook](https://github.com/google-research/tuning_playbook).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Which of the differences in the table would you believe, and why does it not help to look at each
# row's two seeds alone?
#
# <details><summary>Solution</summary>
#
# First those that stand once their number is allowed for, which the page prints: SSIM of both networks without the
# log-SSIM term, and DnCNN's outermost pixels with eight small crops and without the term. Then, with less trust, those
# larger than their ±. Of PSNR: both networks without the log-SSIM term (lambda 0 is 0.70 dB below the base for DnCNN
# and 0.86 dB for IR-NAS + residual), the small learning rate (one pair of two in different arithmetic), and both rows
# without the input added, which have another arithmetic in them. DnCNN's 0.31 dB for four crops of 64 cannot be told
# from nothing. Of the outermost pixels DnCNN's with small crops and without the term; that at the small rate only just,
# as one of thirty intervals may. Two numbers hardly show how far they scatter: with one degree of freedom a 95%
# interval is 12.7 standard errors wide on either side, and not 2. Several comparisons together have four degrees of
# freedom and a factor of 2.78; the price is the assumption that all choices scatter alike.
#
# </details>
#
# **2** (easy). Why may a term that PSNR does not measure raise PSNR? Look at the first tenth of the curves.
#
# <details><summary>Solution</summary>
#
# With the term it seems to learn faster at first: after the first tenth, a million pixels, the base has 19.0 and 19.6
# dB with its two seeds, lambda 0 has 18.4 and 18.7; after the first fifth 21.7 and 22.5 against 20.9 and 20.6. But the
# base's curves rise and fall, and with the first seed it is below lambda 0 as late as at eight million pixels, so two
# moments show little; only at the end, where the rate has fallen, is the order clear. The term's gradient points partly
# where that of the squared error does ([notebook 10](10_tables_5_6_ablation.ipynb)), so it can help. Whether a longer
# training without it would catch up, these curves do not tell.
#
# </details>
#
# **3** (hard). This takes the data and 13 to 55 minutes of a core. Lambda 0.1 has one seed. Write down between which
# bounds you expect the second one to lie; then train it, with `train = "lambda 0.1"` and `seed = 1` among the
# parameters above.
#
# <details><summary>Solution</summary>
#
# One difference has ± 0.74 dB about the mean, so a second lies within about √2 · 0.74 = 1.05 dB of the first.
# Afterwards the row has two seeds, and its ± is 0.53 in place of 0.74 dB. (If the run falls outside of these bounds,
# look first at whether its arithmetic is that of its base.)
#
# </details>
