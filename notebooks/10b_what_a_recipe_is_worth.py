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
# # 10b. What each choice of a training recipe is worth
#
# **What you will learn.** What a choice of a training recipe is worth in decibels, and how to find out: a network is
# trained again and again, each time with one choice changed. The choices are the weight of the log-SSIM term and the
# shape of a batch. (More are in `irnas_lib/experiments/choices.py`, such as the learning rate and the optimiser, and
# have not been run.)
#
# **Why it matters.** A paper prints its recipe in two lines; what each of its choices is worth is seldom said. The
# networks are judged on training pictures of BSD500 that were kept out: a recipe that is chosen on test pictures has
# seen the test.
#
# **What it needs.** [Notebook 5](05_training.ipynb) for the loop and the loss. Everything is made from stored
# trainings; seconds to run. One training takes a core four minutes for DnCNN, and a quarter of an hour for IR-NAS +
# residual.
#
# The loss is Eq. 7 of the paper, with SSIM taken over all positions of a crop padded by zeros:
#
# $$\mathcal{L} = \frac{1}{n}\sum_i (x_i - y_i)^2 + \lambda \log_{10}\frac{1}{\mathrm{SSIM}(x, y)}$$

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

from irnas_lib.data import datasets
from irnas_lib.experiments import choices, runs
from irnas_lib.tables import frames

# %% [markdown]
# The parameters. `train` names choices that are to be trained now, with semicolons between; empty trains none and needs
# no data. `pixels` is how many pixels each training sees.

# %% tags=["parameters"]
profile = "smoke"
data = ""
train = ""
system = "IR-NAS + residual"
seed = 0
pixels = 10_000_000

# %% [markdown]
# First what is to be trained now, if anything. A choice that has been trained before is looked up, and one that was
# interrupted goes on.

# %%
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
# decay, steps of two crops of 64x64, and $\lambda = 0.5$; every other row changes one thing. The difference is paired:
# the same seed, so that first weights and batches are the same, and the same pictures with the same noise; the base
# that a row is compared with has the seeds of that row. ± is the standard error over two seeds, which is itself only
# known to within a large factor. With one seed there is none, and a difference below 0.3 dB says little: two seeds of
# the base are 0.27 dB apart.

# %%
records = choices.load(folder / "choices" for folder in runs.folders(profile))


def table(system):
    """What is known of a system's choices."""
    def row(worth):
        gained = worth.choice != choices.BASE.name
        error = "" if np.isnan(worth.error) else f" ± {worth.error:.2f}"
        return {"choice": worth.choice, "about": worth.question, "seeds": str(worth.seeds),
                "PSNR (dB)": f"{worth.psnr:.2f}", "base": f"{worth.base:.2f}" if gained else "",
                "over the base (dB)": f"{worth.gain:+.2f}{error}" if gained else "",
                "SSIM": f"{worth.ssim_gain:+.3f}" if gained else "",
                "outermost pixels (dB)": f"{worth.frame_gain:+.2f}" if gained else ""}
    return frames.show(pd.DataFrame(map(row, choices.worth(records, system, pixels))),
                       f"{system}, {pixels / 1e6:.0f} million pixels, PSNR of validation pictures")


for system in ("IR-NAS + residual", "DnCNN"):
    display(table(system))

# %% [markdown]
# **What to notice.** So early in a training, the log-SSIM term is the strongest choice of all: without it both networks
# are about a decibel lower, and a fifth of its weight is enough for most of that. It does not help everywhere: DnCNN's
# outermost pixels are worse with it. SSIM hardly minds how bright a neighbourhood is, and at the border, where a
# network sees zeros beyond the picture, brightness is what goes wrong. Squared error mends it, and so do small crops,
# in which the border is a larger share: eight crops of 32 restore DnCNN's outermost pixels 4 dB better. Letting the
# term go for the last 30% of the steps gains nothing here. Ten million pixels are 0.03% of the paper's: what is best
# here need not be best at the end of a long training, which was not tried.

# %% [markdown]
# ## The curves
#
# PSNR of validation crops in evaluation mode, against the pixels seen.

# %% alt="Validation PSNR against pixels seen, one line for each choice of the recipe"
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
shown = [record for record in records if record["system"] == "IR-NAS + residual" and record["seed"] == 0
         and record["pixels"] == pixels and record["validation"]]
for record, style in zip(shown, ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))):
    steps, psnr = np.array(record["validation"]).T
    ax.plot(steps * record["batch"] * record["crop"] ** 2 / 1e6, psnr, "k", linestyle=style, label=record["name"])
ax.set(xlabel="million pixels seen", ylabel="validation PSNR (dB)", ylim=(17, None))
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to take away.** Change one thing at a time, on pictures that are neither trained on nor tested on, and from
# more than one seed. Early in a training the log-SSIM term is worth nearly a decibel to a network that has its input
# added. Further reading: [AdamW](https://arxiv.org/abs/1711.05101) and [tuning
# playbook](https://github.com/google-research/tuning_playbook).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Which of the differences in the table would you believe, given that two seeds of the base are 0.27 dB
# apart?
#
# <details><summary>Solution</summary>
#
# Two numbers 0.27 dB apart point to a standard deviation of 0.27 / √2 = 0.19 dB for one training, and of 0.27 dB for a
# difference of two. Twice that is 0.54 dB, which only lambda 0 exceeds: 0.86 dB below the base for IR-NAS + residual,
# on two seeds, and 1.04 dB for DnCNN, on one. DnCNN's 0.49 dB for four crops of 64 is doubtful, the others say nothing.
# (The pairing by seed may make a difference surer than this, and two seeds say little about a spread.) For the
# outermost pixels the spread over seeds is not in the table.
#
# </details>
#
# **2** (easy). Why may a term that PSNR does not measure raise PSNR? Look at the first tenth of the curves.
#
# <details><summary>Solution</summary>
#
# With the term the networks learn faster from the beginning. After the first tenth, a million pixels, the base has 19.0
# and 19.6 dB with its two seeds, lambda 0 has 18.4 and 18.7; after the first fifth 21.7 and 22.5 against 20.9 and 20.6.
# The lead stays, because the schedule ends before the slower training has caught up.
#
# </details>
