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
# systems do after a very short training run.
#
# **Why it matters.** Nobody's photograph has white noise of known sigma. A sensor's noise is demosaiced, converted to
# display colours, gamma-corrected and compressed before anyone sees it.
#
# **What it needs.** [Notebook 1](01_datasets.ipynb), which shows the camera and what its processing does to noise;
# PSNR, in decibels (dB), and SSIM ([notebook 5](05_training.ipynb)). The page is made from stored results: no data are
# needed.
#
# **What we found.**
#
# - The noise of neighbouring pixels is alike: the mean of two of them keeps 71% and 75% of its power on two crops,
#   instead of 50%.
# - Colour BM3D, told the sigma that is estimated from each picture, gains 0.05 dB on the 212 test pairs. The estimate
#   is far too small, but that is the lesser cause: told the true sigma, it gains 0.54 dB on eight pairs, and 9.05 dB on
#   white noise of the same strength.
# - After 0.01% of the paper's training three networks already remove some of the noise. No ranking of the networks
#   follows.

# %%
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from irnas_lib import files
from irnas_lib.benchmarks import camera_noise
from irnas_lib.experiments import runs, times
from irnas_lib.figures import panels, plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import frames, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## A camera's noise is correlated
#
# The paper's authors built SIM1800 from photographs of MIT-Adobe FiveK and never published it. What is measured here is
# another set of the same making, from BSD500: 1,600 training pairs, and 212 test pairs of 256x256 pixels in colour,
# from 178 photographs.
#
# A method for white noise averages pixels that should look alike, and relies on their errors cancelling. Here
# neighbouring pixels have similar errors. This is the correlation of the error with itself, some pixels to the right,
# in two noisy crops, which are shown further down. White noise would have none from one pixel on. ([Notebook
# 1](01_datasets.ipynb) measures it on all test pairs.)

# %% alt="Correlation of the noise of two crops with itself, shifted: it falls slowly from one to near zero"
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
dataset = profiles.datasets(profile)["sim1800"]
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
# ## Two reasons why BM3D fails
#
# BM3D has to be told sigma. In the table of this page it is told scikit-image's estimate, which takes noise to be white
# and, on this noise, finds too little. Is that the reason, or is it the correlation? To separate them, every thirtieth
# test pair was restored twice, once told the estimate and once the true standard deviation of its noise. The same was
# done with white noise of that deviation on the same pictures. (`python -m irnas_lib.benchmarks.camera_noise` measured
# it.)

# %%
found = {} if profile == "smoke" else camera_noise.load()
display(frames.show(pd.DataFrame([{
    "noise": noise, "true sigma": f"{row['deviation']:.1f}", "estimate": f"{row['estimate']:.1f}",
    "input (dB)": f"{row['input']:.2f}", "gain, told the estimate (dB)": f"{row['told_estimate'] - row['input']:+.2f}",
    "gain, told the true sigma (dB)": f"{row['told_deviation'] - row['input']:+.2f}", "pairs": f"{row['pairs']}"}
    for noise, row in found.items()]), "Colour BM3D on a camera's noise and on white noise; sigma on the 0-255 scale"))

# %% [markdown]
# **What to notice.**
#
# - On a camera's noise the estimate is 2.2 instead of 16.0: it is taken from differences of neighbours, which
#   correlated noise keeps small. On white noise it is right within 7%.
# - Told the true sigma, BM3D gains 0.54 instead of 0.03 dB. So the wrong sigma costs half a decibel.
# - On white noise of the same strength it gains 9.05 dB. So most of the failure is due to the noise itself, which is
#   correlated and depends on the picture: its blotches look like detail.
#
# ## Gain over the noisy input
#
# PSNR and SSIM are of sRGB in [0, 1], all channels together, of whole pictures (`strict`). The printed numbers are in
# the first column; **no difference from them means anything, because the pictures are different**.

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
gains = frames.over_input(results, "sim1800", smoke)
warning = f"{writers.SMOKE_WARNING} " if smoke else ""
display(frames.show(gains, f"{warning}SIM1800 (rebuilt from BSD500), 212 test pairs, best first"))

# %% [markdown]
# **What to notice** after 4 million pixels, one seed each.
#
# - Three networks remove some of the noise. The order of the first two, 0.04 dB apart, should not be read as a ranking:
#   on the other tasks another seed moves a network by more.
# - IR-NAS as published is below its input. It does not add its input to its output and has not yet learned the mean of
#   each colour channel ([notebook 5c](05c_batch_norm.ipynb) shows why): its crops are nearly grey, as [all
#   systems](../figures/figure4.png) shows. With the input added
#   it is among the first.
# - NLRN is below its input too. Its output shows the seams of its tiles of 43x43, which hardly overlap here. In its
#   authors' program 38 tiles cover each pixel, at 38 times the cost.
#
# In the paper IR-NAS has the highest SSIM of the three and the lowest PSNR. Its loss alone has the log-SSIM term;
# whether that is the cause was not tested, since here every system has the term.
#
# The whole table with its notes: [table2.md](../figures/table2.md), [table2.csv](../figures/table2.csv),
# [table2.tex](../figures/table2.tex).

# %%
for path in writers.write(2, results, files.run_folder(profile) / "figures", smoke, {} if smoke else times.load()):
    print("written:", path.name)

# %% [markdown]
# ## Figure 4: what it looks like
#
# Here are crops of two test pairs, by BM3D and by the two best networks after 4 million pixels, and the absolute error
# of each. BM3D leaves the error almost as it was; the networks remove a part of it from the butterfly's wing and next
# to none on the aeroplane. ([All systems](../figures/figure4.png))

# %% alt="Crops of two SIM1800 test pairs: noisy, by BM3D, N3Net and IR-NAS + residual, clean; errors below"
display(plots.restored_panel(shown, "sim1800", dataset, only=("BM3D", "N3Net", "IR-NAS + residual"), errors=True))

# %% [markdown]
# **What to take away.** Noise that has been through a camera is no longer white, and a denoiser has to be trained on
# it. Further reading: [the camera simulator](https://arxiv.org/abs/1904.08825) from which the paper made SIM1800, and
# [unprocessing pictures](https://arxiv.org/abs/1811.11127), which inverts such a pipeline.

# %% [markdown]
# ## Exercises
#
# **1** (medium). The mean of n pixels with white noise has 1/n of the noise power. With the correlations that [notebook
# 1](01_datasets.ipynb) prints, how much is left by the mean of two neighbours, and by that of nine in a row? And why
# does BM3D filter too little?
#
# <details><summary>Solution</summary>
#
# The mean of n errors of variance 1 has the variance (n + 2 Σ (n - k) ρ(k)) / n², with k from 1 to n - 1. With 0.49
# between neighbours two neighbours keep (1 + 0.49) / 2 = 75% instead of 50%, and nine in a row 32% instead of 11%. What
# is left forms blotches of several pixels, which look like detail of the picture and are kept as such. And noise that
# is estimated from differences of neighbours seems weaker than it is, so that the method filters too little.
#
# </details>
#
# **2** (easy). Reduce a noisy picture to half its size by averaging blocks of 2x2 pixels. By how many dB does the noise
# fall if it is white, and by how many on a camera's picture? Take 0.49 for the correlation of pixels side by side, and
# its square for that of diagonal ones.
#
# <details><summary>Solution</summary>
#
# White noise keeps 1/4 of its power: 6.0 dB. Of the six pairs in a block four are side by side and two are diagonal, so
# the camera's noise keeps (4 + 2 (4 · 0.49 + 2 · 0.24)) / 16 = 56%: 2.6 dB. A small version of a photograph looks
# cleaner, but by less than one would expect.
#
# </details>
