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
# # 5b. Methods that are not trained, and doing nothing
#
# BM3D, WNNM and DSC remove noise or rain from one picture alone, by what patches of a picture have in common; LP first
# fits a mixture of Gaussians to clean patches, in a minute. There is nothing to train that a checkpoint would have to
# hold, so measuring is all that this page does. It also
# measures the degraded picture itself: what doing nothing scores is the first row of a table.

# %%
import os

from IPython.display import display

from irnas_lib.data import datasets
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import classical, protocols
from irnas_lib.experiments import results, runs, training_run
from irnas_lib.figures import panels, plots

print(runs.versions("torch", "numba", "numpy", "scikit-image"), "on", runs.device_name(runs.CPU))

# %% [markdown]
# The parameters. `method` is one of "Noisy", "Rainy" (both do nothing), "BM3D", "WNNM", "LP" and "DSC". Where a method
# takes minutes a picture, `every` measures only one test picture in so many, and `test_pictures` only the first ones;
# the tables say how many it was. BM3D is an optional package: `pip install bm3d`.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
dataset = "embedded"
method = "Noisy"
sigma = 50
seed = 0
protocols_measured = "strict"
test_sets = ""
every = 1
test_pictures = 0

# %% [markdown]
# ## The pictures and the method
#
# Only test pictures are measured. LP alone looks at the training pairs: it fits a mixture of clean patches to them.

# %%
sigma = sigma if TASKS[task].sigmas else None
pictures = datasets.load_or_embedded(task, dataset, data)
test = pictures.test[::every][:test_pictures or None]
restore = classical.method(method, task, sigma, pictures.train)
if not pictures.instead_of:
    print(f"{method} on {len(test)} of {len(pictures.test)} test pictures of {dataset}")

# %% [markdown]
# ## Measuring
#
# The same pictures, the same noise and the same protocols as for the trained systems. Each process has one thread, and
# a picture's seconds are what the clock says: more than they need be where other work shared the cores. A measurement
# that was interrupted goes on where it stopped; one that is finished is loaded and never repeated.

# %%
wanted = runs.untrained_record(profile, pictures, task, method, sigma, seed)
finished = runs.find_training(profile, wanted)
if not finished:
    pictures.check_no_stand_in()
result, folder = finished or (wanted, runs.output_folder(profile))
if not pictures.instead_of:
    result = training_run.measured(result, profile, restore, pictures, test, protocols_measured.split(","),
                                   jobs=os.cpu_count())
    for name in filter(None, test_sets.split(",")):
        further = datasets.load_test_set(task, name, data)
        result = training_run.measured(result, profile, restore, pictures, further, ["strict"], test_set=name,
                                       jobs=os.cpu_count())
unrestored = results.best(runs.all_results(profile), task, TASKS[task].unrestored, sigma, smoke=profile == "smoke")
for name, score in result.metrics.items():
    nothing = unrestored and unrestored.metrics.get(name)
    if name in TASKS[task].protocols and (nothing is None or nothing["pictures"] != score["pictures"]):
        nothing = protocols.evaluate(lambda x: x, test, name, sigma, seed)._asdict()
    if nothing:
        print("{name:9}{psnr:7.2f} dB   SSIM {ssim:.4f}   {pictures} pictures   the input".format(name=name, **nothing))
    time = f"{score['seconds']:.2f} s a picture, one thread" if score.get("seconds") else ""
    print(f"{name:9}{score['psnr']:7.2f} dB   SSIM {score['ssim']:.4f}   {score['pictures']} pictures   {time}")

# %% [markdown]
# ## A look
#
# The crops that the figures show, beside those of the other systems that have run in the same folder.

# %% alt="Crops of two test pictures: noisy, restored by BM3D and by other systems, clean"
if not finished and method not in ("Noisy", "Rainy"):
    for item in protocols.restored_pictures(restore, panels.chosen(dataset, pictures.test), "strict", sigma, seed):
        panels.save(folder / "panels", task, dataset, sigma, method, item)
display(plots.restored_panel(folder / "panels", task, dataset, sigma))

# %% [markdown]
# ## Exercises
#
# **1** (medium). BM3D and WNNM are told `sigma`. Tell one of them a number that is 20 too high, and one that is 20 too
# low. Which error costs more?
#
# <details><summary>Solution</summary>
#
# Too low. On a crop of 64x64 pixels with noise of sigma 50, WNNM has 25.05 dB when it is told 50, 22.71 when it is told
# 70, and 18.67 when it is told 30: it loses 2.3 dB and 6.4 dB. Told too much, it takes weak structure for noise and
# smooths it away; told too little, it takes noise for structure and keeps it, and at this sigma there is far more noise
# than weak structure.
#
# </details>
#
# **2** (hard). Compare the seconds a picture with those of a network in [`11_efficiency`](11_efficiency.ipynb). What
# would a network have to cost to train before the classical method is the cheaper one?
#
# <details><summary>Solution</summary>
#
# Count core seconds. BM3D takes 11.4 core seconds for a picture here, the network of the paper 3.9 of them on the bench
# of page 11 (two threads for 2.0 s), so each restored picture saves 7.5. A training of 5,000 steps of four crops costs
# 8,334 core seconds there, which are saved after about 1,100 pictures: whoever has fewer is better off with BM3D. A GPU
# shortens the training and the restoring alike. All this is only worth counting once the network restores as well as
# BM3D, which after this training it does not.
#
# </details>
