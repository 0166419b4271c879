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
# **What you will learn.** What a camera's processing does to noise, why a method made for white noise fails on it, and
# how the systems do after a very short training.
#
# **Why it matters.** Nobody's photograph has white noise of known sigma. A sensor's noise is demosaiced, mapped to
# other colours, raised to a power and compressed before anyone sees it.
#
# **What it needs.** [Notebook 1](01_datasets.ipynb), which shows the camera and its noise. Everything on this page is
# made from stored results: no data, a few seconds.

# %%
from IPython.display import display

from irnas_lib import files
from irnas_lib.experiments import runs, times
from irnas_lib.figures import plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import frames, writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## Who removes any of it?
#
# The paper's authors built SIM1800 from photographs of MIT-Adobe FiveK and never published it. What is measured here is
# another set of the same making, from BSD500: 1,600 training pairs and 212 test pairs of 256x256 pixels in colour. The
# printed numbers stand in the first column; **no difference from them means anything, for the pictures are others**.
# PSNR and SSIM are of sRGB in [0, 1], all channels together.

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
gains = frames.over_input(results, "sim1800", smoke)
warning = f"{writers.SMOKE_WARNING} " if smoke else ""
display(frames.show(gains, f"{warning}SIM1800 (rebuilt from BSD500), whole test set, best first"))

# %% [markdown]
# **What to notice.** After 4 million pixels, 0.01% of the paper's, three networks remove some of the noise and lead
# colour BM3D, which hardly changes the picture: it is told scikit-image's estimate, which takes noise to be white and
# finds too little of it.
#
# Two networks are below the noisy input. IR-NAS as printed does not add its input to its output and has not yet learned
# the brightness of a batch, nor the mean of each colour channel ([notebook 10](10_tables_5_6_ablation.ipynb)): its
# crops below are nearly grey. With the input added the same network is the best. NLRN shows the seams of its tiles of
# 43x43, which hardly overlap here; its authors' overlap 38 times, at 38 times the cost. These are the numbers of this
# budget, and no verdict on either network.
#
# In the paper IR-NAS has the highest SSIM of the three and the lowest PSNR. With the log-SSIM term in its loss and not
# in the others', one would expect that of any network; here every system has the term.
#
# The whole table with its notes: [table2.md](../figures/table2.md), [table2.csv](../figures/table2.csv),
# [table2.tex](../figures/table2.tex).

# %%
for path in writers.write(2, results, files.run_folder(profile) / "figures", smoke, {} if smoke else times.load()):
    print("written:", path.name)

# %% [markdown]
# ## Figure 4: what it looks like
#
# Two test patches, and what each system makes of them.

# %% alt="Crops of two SIM1800 test patches: with a camera's noise, restored by each system, clean"
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
display(plots.restored_panel(shown, "sim1800", profiles.datasets(profile)["sim1800"]))

# %% [markdown]
# **What to take away.** Noise that has been through a camera is no longer white, and a denoiser has to be shown it.
# Further reading: [the camera simulator](https://arxiv.org/abs/1904.08825) from which the paper made SIM1800, and
# [unprocessing pictures](https://arxiv.org/abs/1811.11127), which turns such a camera around.

# %% [markdown]
# ## Exercises
#
# **1** (medium). Noise that was demosaiced and compressed is correlated between neighbouring pixels. Why does this hurt
# a method that was made for white noise?
#
# <details><summary>Solution</summary>
#
# Such a method averages pixels that should look alike, and expects n of them to have 1/n of the noise power. With the
# correlations of [notebook 1](01_datasets.ipynb), 0.49 between neighbours, two neighbours keep (1 + 0.49) / 2 = 75%
# instead of 50%, and nine in a row 32% instead of 11%. What is left forms blotches of several pixels, which look like
# detail of the picture and are kept as such. And noise that the method estimates from differences of neighbours seems
# weaker than it is, so that it filters too little.
#
# </details>
