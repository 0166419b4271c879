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
# SIM1800 was built by the paper's authors from photographs of MIT-Adobe FiveK, put through a simulated camera, and
# never published. What is measured here is on another set of the same making, "SIM1800 (rebuilt from BSD500)": 1,600
# training pairs from BSD500's train and val pictures and 212 test pairs from its test pictures, 256x256, RGB.
# [`01_datasets`](01_datasets.ipynb) shows the camera and its noise. So no difference on this page is one between two
# measurements of the same thing.

# %%

from IPython.display import Markdown, display

from irnas_lib import files
from irnas_lib.experiments import runs, times
from irnas_lib.figures import plots
from irnas_lib.pipeline import profiles
from irnas_lib.tables import writers

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## The table
#
# Made from result files alone. "not run" means what it says.

# %%
results = runs.all_results(profile)
smoke = profile == "smoke"
csv, markdown, latex = writers.write(2, results, files.run_folder(profile) / "figures", smoke,
                                    {} if smoke else times.load())
display(Markdown(markdown.read_text()))

# %% [markdown]
# ## How to read it
#
# PSNR and SSIM are of sRGB in [0, 1], all channels together. The trained systems had the same iterations, batch, crops
# and loss. NLRN restores a patch in tiles of 43x43 that hardly overlap; its authors' tiles overlap 38 times, at 38
# times the cost. BM3D is the colour variant, and is told what scikit-image's estimate makes of each patch's noise, an
# estimate that takes noise to be white: it finds too little, and BM3D hardly changes the picture.
#
# After 1,000 iterations of small batches two of the systems are below the noisy input in PSNR. IR-NAS as printed does
# not add its input to its output, and has not learned the brightness of a batch, nor the mean of each colour channel
# ([notebook 10](10_tables_5_6_ablation.ipynb)): its crops below are nearly grey. `IR-NAS + residual` is the same
# network with the input added. NLRN shows the seams of its tiles, and in some patches comes out too bright. Longer
# trainings on larger batches would change both; these numbers are what this budget gives, and no verdict on either
# network.
#
# The printed SSIM of IR-NAS is the highest of the three, its PSNR the lowest: with the log-SSIM term in its loss and
# not in the others', this is what one would expect of any network. Here every system has the term in its loss.
#
# ## Figure 4
#
# Two test patches, and what each system makes of them.

# %% alt="Crops of two SIM1800 test patches: with a camera's noise, restored by each system, clean"
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
display(plots.restored_panel(shown, "sim1800", profiles.datasets(profile)["sim1800"]))

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
