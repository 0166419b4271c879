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
# # 7. Table 2: SIM1800, noise through a simulated camera
#
# **What you will learn.** Why a method made for white noise fails on noise that a camera has processed, and how the
# systems do after a very short training.
#
# **Why it matters.** Nobody's photograph has white noise of known sigma. A sensor's noise is demosaiced, mapped to
# other colours, raised to a power and compressed before anyone sees it.
#
# **What it needs.** [Notebook 1](01_datasets.ipynb), which shows the camera and what its processing does to noise;
# PSNR, in decibels (dB), and SSIM ([notebook 5](05_training.ipynb)). Everything here is made from stored results: no
# data are needed.
#
# **What comes out.** After 0.01% of the paper's training no ranking of the networks follows. What can be seen is that
# three of them already remove some of the noise, and that colour BM3D removes hardly any, because the noise is
# correlated.

# %%
import matplotlib.pyplot as plt
from IPython.display import display

from irnas_lib import files
from irnas_lib.experiments import runs, times
from irnas_lib.figures import panels, plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import frames, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## Gain over the noisy input
#
# The paper's authors built SIM1800 from photographs of MIT-Adobe FiveK and never published it. What is measured here is
# another set of the same making, from BSD500: 1,600 training pairs, and 212 test pairs of 256x256 pixels in colour,
# from 178 photographs. The printed numbers stand in the first column; **no difference from them means anything, for the
# pictures are others**. PSNR and SSIM are of sRGB in [0, 1], all channels together, of whole pictures (`strict`).

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
gains = frames.over_input(results, "sim1800", smoke)
warning = f"{writers.SMOKE_WARNING} " if smoke else ""
display(frames.show(gains, f"{warning}SIM1800 (rebuilt from BSD500), 212 test pairs, best first"))

# %% [markdown]
# **What to notice** after 4 million pixels, one seed each.
#
# - Three networks remove some of the noise. The order of the first two, 0.04 dB apart, is not to be read: on the other
#   tasks another seed moves a network by more.
# - Colour BM3D gains 0.05 dB. It is told scikit-image's estimate of sigma, which takes noise to be white and finds too
#   little of it.
# - IR-NAS as printed is below its input. It does not add its input to its output and has not yet learned the mean of
#   each colour channel ([notebook 5c](05c_batch_norm.ipynb) shows why): its crops below are nearly grey. With the input
#   added it is among the first.
# - NLRN is below its input too. It shows the seams of its tiles of 43x43, which hardly overlap here. In its authors'
#   program 38 tiles cover each pixel, at 38 times the cost.
#
# In the paper IR-NAS has the highest SSIM of the three and the lowest PSNR. Its loss alone has the log-SSIM term;
# whether that is why was not tested, since here every system has the term.
#
# The whole table with its notes: [table2.md](../figures/table2.md), [table2.csv](../figures/table2.csv),
# [table2.tex](../figures/table2.tex).

# %%
for path in writers.write(2, results, files.run_folder(profile) / "figures", smoke, {} if smoke else times.load()):
    print("written:", path.name)

# %% [markdown]
# ## Figure 4: what it looks like
#
# Two test patches, and what each system makes of them after 4 million pixels.

# %% alt="Crops of two SIM1800 test patches: with a camera's noise, restored by each system, clean"
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
dataset = profiles.datasets(profile)["sim1800"]
display(plots.restored_panel(shown, "sim1800", dataset, below={"IR-NAS": "nearly grey: see above"}))

# %% [markdown]
# ## Why a method for white noise fails
#
# Such a method averages pixels that should look alike, and relies on their errors cancelling. Here the errors of
# neighbours are alike: this is the correlation of the error with itself, some pixels to the right, in the two noisy
# crops above. White noise would have none from one pixel on. ([Notebook 1](01_datasets.ipynb) measures it on all test
# pairs.)

# %% alt="Correlation of the noise of two crops with itself, shifted: it falls slowly from one to near zero"
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.axhline(0, color="0.6", linewidth=0.8, label="white noise")
for (picture, crops), style in zip(panels.load(shown, "sim1800", dataset, None).items(), ("ko-", "ks--")):
    error = crops[panels.DEGRADED].astype(float) - crops[panels.CLEAN]
    error = (error - error.mean(axis=(0, 1))) / error.std(axis=(0, 1))
    rho = [(error[:, lag:] * error[:, :error.shape[1] - lag]).mean() for lag in range(9)]
    ax.plot(rho, style, markersize=5, label=picture)
    print(f"{picture}: {rho[1]:.2f} between neighbours, so that two of them keep {(1 + rho[1]) / 2:.0%} of the power")
ax.set(xlabel="pixels to the right", ylabel="correlation of the error")
ax.legend(title="crop")
plt.show()

# %% [markdown]
# **What to take away.** Noise that has been through a camera is no longer white, and a denoiser has to be shown it.
# Further reading: [the camera simulator](https://arxiv.org/abs/1904.08825) from which the paper made SIM1800, and
# [unprocessing pictures](https://arxiv.org/abs/1811.11127), which inverts such a pipeline.

# %% [markdown]
# ## Exercises
#
# **1** (medium). The mean of n pixels with white noise has 1/n of the noise power. With the correlations that [notebook
# 1](01_datasets.ipynb) prints, how much do two neighbours leave, how much nine in a row? And why does BM3D filter too
# little?
#
# <details><summary>Solution</summary>
#
# The mean of n errors of variance 1 has the variance (n + 2 Σ (n - k) ρ(k)) / n², with k from 1 to n - 1. With 0.49
# between neighbours two neighbours keep (1 + 0.49) / 2 = 75% instead of 50%, and nine in a row 32% instead of 11%. What
# is left forms blotches of several pixels, which look like detail of the picture and are kept as such. And noise that
# is estimated from differences of neighbours seems weaker than it is, so that the method filters too little.
#
# </details>
