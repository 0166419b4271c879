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
# # 8. Table 3: removing rain on Rain800
#
# The paper's strongest claim: 2.2 dB above RESCAN, at twice its speed. The printed numbers are shown beside what has
# been measured here, on RGB (`strict`) and on luma alone (`strict_y`).

# %%
from importlib.metadata import version

from IPython.display import Markdown, display

from irnas_lib import paths, plots, profiles, runs, tables, times

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
smoke = profile == "smoke"
csv, markdown, latex = tables.write(3, results, paths.run_folder(profile) / "figures", smoke,
                                    {} if smoke else times.load())
display(Markdown(markdown.read_text()))

# %% [markdown]
# ## What it looks like
#
# Crops of the systems that have run at this profile; an empty frame where none has.

# %%
shown = runs.output_folder(profile) / "panels"
if not shown.is_dir():
    shown = runs.SHIPPED / "panels"
display(plots.restored_panel(shown, "deraining", profiles.datasets(profile)["deraining"], None))

# %% [markdown]
# The rain of Rain800 was painted by an editor. Here are photographs of real rain, which nobody has seen without it; so
# there are no numbers, only eyes.

# %%
display(plots.restored_panel(shown, "deraining", "real-rain"))

# %% [markdown]
# ## Exercises
#
# 1. An independent retraining of RESCAN on Rain800 reports 26.42 dB, where Table 3 prints 24.09 for it and 26.31 for
#    IR-NAS. What would you want to know before you call either network the better one?
