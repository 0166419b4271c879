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
# SIM1800 was built by the paper's authors from photographs put through a simulated camera, and never published. This
# page shows what the paper prints for it beside what has been measured here on a set rebuilt from BSD500.

# %%
from importlib.metadata import version

from IPython.display import Markdown, display

from irnas_lib import paths, runs, tables

print({name: version(name) for name in ("torch", "torchvision", "numpy")}, runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## The table
#
# Made from result files alone. "not run" means what it says.

# %%
results = runs.all_results(profile)
csv, markdown, latex = tables.write(2, results, paths.run_folder(profile) / "figures", smoke=profile == "smoke")
display(Markdown(markdown.read_text()))

# %% [markdown]
# ## How to read the printed numbers
#
# The printed SSIM of IR-NAS is the highest of the three, its PSNR the lowest: with the log-SSIM term in its loss and
# not in the others', this is what one would expect of any network.
#
# ## Exercises
#
# 1. Noise that was demosaiced and compressed is correlated between neighbouring pixels. Why does this hurt a method
#    that was made for white noise?
