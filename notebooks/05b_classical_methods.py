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
# # 5b. Classical denoisers: BM3D and WNNM
#
# **What you will learn.** How BM3D and WNNM remove noise without having seen another picture: by what similar patches
# of one picture have in common. You will read the first of BM3D's two passes in fifteen lines, and the core of WNNM in
# ten.
#
# **Why it matters.** These methods learn nothing, so a trained network has to be better or faster. In PSNR no network
# that was trained for the paper's tables is ahead of them yet; in SSIM some are ahead of BM3D ([page
# 6](06_table1_bsd500.ipynb)). [Page 11](11_efficiency.ipynb) has the times.
#
# **What it needs.** A little linear algebra: a cosine transform, singular values. Without the data set the page shows
# the stored measurement, and what it computes itself is of an embedded picture.
#
# **What we found**
#
# - At sigma 50, on the test pictures at half size, WNNM scores highest in PSNR and BM3D is close behind (table below).
#   The best network that was trained for the paper's tables is 0.39 and 0.26 dB below them. That is within the ± 0.55
#   dB that one training run may lie from the mean over seeds.
# - A short BM3D, written on this page, was taken apart on five crops of 96x96 pixels (three draws of the noise on
#   each). Setting small coefficients to zero in patches that do not overlap gains 4.5 to 8.4 dB; averaging the
#   estimates of overlapping patches gains 2.7 to 4.7 dB more.
# - Groups of similar patches pay where a picture repeats itself: groups of 32 at every fourth pixel are 0.87 ± 0.25 dB
#   above single patches at every pixel on bricks, and not told apart from them on two of the five crops.

# %%
import os
from functools import partial
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.ndimage import gaussian_filter

from irnas_lib.data import datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import classical, protocols
from irnas_lib.experiments import results, runs, training_run
from irnas_lib.figures import panels, plots
from irnas_lib.metrics import psnr
from irnas_lib.tables import comparison, frames

print(runs.versions("torch", "numba", "numpy", "scikit-image"), "on", runs.device_name(runs.CPU))

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
# ## Similar patches
#
# A picture repeats itself: an edge, a texture or a flat wall recurs a few pixels further on. Take a patch of 8x8 pixels
# and look for the patches that are most similar to it. If $m$ patches show the same thing, each with noise of its own,
# and were chosen without looking at that noise, then their mean has noise of $\sigma / \sqrt{m}$. (Here they are chosen
# by the noisy pixels, so it is only nearly so.) Below, on the left: the noisy picture, with one patch framed thickly
# and the fifteen most similar ones thinly. In the middle: these sixteen patches, the most similar first. On the right:
# their mean, and the first one without noise.

# %% alt="A noisy photograph with an edge and the fifteen patches most like it marked; these patches; their mean, clean"
SIZE, NOISE = 8, 50 / 255
photograph = to_tensor(datasets.load("denoising", "embedded").test[0].clean)[None, :, 60:156, 80:176]
noisy = protocols.add_noise(photograph, 50, 0, "like patches")[0, 0].double().numpy()


def similar(patches, place, members):
    """The indices of the patches (rows of an array) that are nearest to one of them, the nearest first."""
    return np.argsort(((patches - patches[place]) ** 2).sum(axis=1))[:members]


windows = sliding_window_view(noisy, (SIZE, SIZE))  # every patch: (rows, columns, 8, 8)
rows, columns = windows.shape[:2]
patches = windows.reshape(-1, SIZE ** 2)
clean = sliding_window_view(photograph[0, 0].double().numpy(), (SIZE, SIZE)).reshape(-1, SIZE ** 2)
reference = clean.var(axis=1).argmax()  # the patch that varies most: an edge
group = similar(patches, reference, 16)

fig = plt.figure(figsize=(8.6, 3.2), layout="constrained")
parts = fig.subfigures(1, 3, width_ratios=(1.3, 1.2, 0.5))
axes = parts[0].subplots()
axes.imshow(noisy, cmap="gray", vmin=0, vmax=1)
for place in reversed(group):
    axes.add_patch(plt.Rectangle((place % columns - 0.5, place // columns - 0.5), SIZE, SIZE, fill=False,
                                 color="tab:orange", linewidth=3 if place == reference else 1))
axes.set_axis_off()
for axes, place in zip(parts[1].subplots(4, 4).flat, group):
    axes.imshow(patches[place].reshape(SIZE, SIZE), cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
for axes, patch, name in zip(parts[2].subplots(2, 1), (patches[group].mean(axis=0), clean[reference]),
                             ("their mean", "clean")):
    axes.imshow(patch.reshape(SIZE, SIZE), cmap="gray", vmin=0, vmax=1)
    axes.set_title(name, fontsize=9)
    axes.set_axis_off()
plt.show()

# %% [markdown]
# ## BM3D's first pass in fifteen lines
#
# Similar patches are not equal, so a plain mean would blur. [BM3D](https://doi.org/10.1109/TIP.2007.901238) stacks them
# and takes a cosine transform in three dimensions, across and along the stack. What the patches share ends up in a few
# large coefficients; the noise, which nothing shares, is spread evenly over all of them, each with standard deviation
# $\sigma$. So every coefficient below $2.7\,\sigma$, which noise alone exceeds in 0.7% of cases, is set to zero and the
# transform is undone. A pixel lies in many patches; their estimates of it are averaged. (The whole of BM3D looks for
# similar patches among patches that were thresholded first, weights each group's estimates by how few coefficients
# survived, and then filters a second time, with weights that the first result gives.)
#
# Groups do two things at once: they let patches share coefficients, and they give each pixel more estimates to average.
# Controls separate the two: single patches at every pixel, which average 64 estimates ([a method of its
# own](https://doi.org/10.5201/ipol.2011.ys-dct)), and single patches at every eighth pixel, which do not overlap and
# average nothing. A third control is no method at all, a Gaussian blur, of the width that suits the crop best.

# %%
def sparse(stack):
    """A stack of similar patches, (m, 64), without the coefficients that may be noise."""
    spectrum = fft.dctn(stack.reshape(-1, SIZE, SIZE), norm="ortho")
    spectrum[np.abs(spectrum) < 2.7 * NOISE] = 0
    return fft.idctn(spectrum, norm="ortho").reshape(stack.shape)


def denoised(picture, members, filtered=sparse, step=4):
    """The picture from all its groups, of a reference patch every `step` pixels."""
    patches = sliding_window_view(picture, (SIZE, SIZE)).reshape(-1, SIZE ** 2)
    total, count = np.zeros_like(picture), np.zeros_like(picture)
    for top, side in product(range(0, rows, step), range(0, columns, step)):
        first = top * columns + side
        alike = similar(patches, first, members) if members > 1 else [first]
        for place, patch in zip(alike, filtered(patches[alike])):
            window = np.s_[place // columns:place // columns + SIZE, place % columns:place % columns + SIZE]
            total[window] += patch.reshape(SIZE, SIZE)
            count[window] += 1
    return total / count


def quality(picture, clean=photograph):
    return psnr(torch.from_numpy(picture)[None, None], clean.double()).item()


def best_blur(picture, clean=photograph):
    """The PSNR of the Gaussian blur that suits a picture best, and its width."""
    return max((quality(gaussian_filter(picture, width), clean), width) for width in np.arange(0.8, 2.5, 0.1))


EVERY = {8: "eighth ", 4: "fourth ", 1: ""}
by_hand = {(members, step): denoised(noisy, members, step=step)
           for step, sizes in ((8, (1,)), (4, (1, 4, 32)), (1, (1, 32))) for members in sizes}
blurred, width = best_blur(noisy)
print(f"noisy: {quality(noisy):.2f} dB", f"blurred, width {width:.1f} pixels: {blurred:.2f} dB", sep="\n")
for (members, step), picture in by_hand.items():
    print(f"groups of {members:2}, a reference patch at every {EVERY[step]}pixel: "
          f"{quality(picture):.2f} dB")
for step in (4, 1):
    print(f"step {step}: groups of 32 are {quality(by_hand[32, step]) - quality(by_hand[1, step]):.2f} dB above single "
          "patches")

# %% [markdown]
# **What to notice**, on this crop:
#
# - Single patches that do not overlap have 20.91 dB, where the noisy picture has 14.97: setting small coefficients to
#   zero gains most.
# - Single patches at every pixel have 24.27 dB, as much as groups of 32 at every fourth (24.24). With equally many
#   reference patches, grouping gains 1.31 dB where there are few and 0.08 dB where there are many. So most of what
#   groups seem to give here is the averaging of more estimates.
# - A blur of the best width has 24.05 dB, hardly less. It spreads edges, which the eye minds more than PSNR does on
#   this crop.
#
# A portrait repeats little. Is it the same on other crops, and with other draws of the noise?

# %%
SETTINGS = {"single, 8th": (1, 8), "single, each": (1, 1), "groups, 4th": (32, 4)}


def scores(crop, draw):
    """The PSNR of a crop with one draw of the noise: as it is, blurred, and restored by hand at each of SETTINGS."""
    given = protocols.add_noise(crop, 50, draw, "like patches")[0, 0].double().numpy()
    by_setting = (denoised(given, members, step=step) for members, step in SETTINGS.values())
    return [quality(given, crop), best_blur(given, crop)[0], *(quality(each, crop) for each in by_setting)]


def gain(after, before):
    """The mean of a gain over the draws, and half its 95% interval."""
    each = after - before
    return f"{each.mean():+.2f} ± {comparison.over_pictures(each.std(ddof=1) / len(each) ** 0.5, len(each)):.2f}"


embedded, table, gains = datasets.load("denoising", "embedded"), [], []
for picture in [*embedded.test, *embedded.train]:
    if picture.name in ("astronaut", "brick", "camera", "coins", "grass"):
        crop = to_tensor(picture.clean)[None, :, 60:156, 80:176]
        found = np.array([scores(crop, draw) for draw in range(3)]).T  # of a method, (draws,)
        names = ("noisy", "blur", *SETTINGS)
        table.append({"crop": picture.name, **{name: f"{each.mean():.2f}" for name, each in zip(names, found)}})
        gains.append({"crop": picture.name, "by thresholds": gain(found[2], found[0]),
                      "by averaging": gain(found[3], found[2]), "by groups": gain(found[4], found[3])})
display(frames.show(pd.DataFrame(table), "PSNR (dB), mean of three draws of the noise",
                    "single: patches by themselves, at every 8th pixel or at each; groups: of 32, at every 4th pixel"))
display(frames.show(pd.DataFrame(gains), "gain in PSNR (dB), from one column of the table above to the next",
                    "± gives the half-width of the 95% confidence interval over the draws."))

# %% [markdown]
# The gain by thresholds is that of single patches at every 8th pixel over the noisy crop, that by averaging of single
# patches at each pixel over those, and that by groups of groups over single patches at each pixel.
#
# **What to notice.** Thresholds gain most on every crop, and averaging comes second. Groups gain 0.87 ± 0.25 dB on
# bricks and 0.46 ± 0.09 dB on coins, which repeat, and perhaps 0.23 ± 0.18 dB on `camera`: of five such intervals one
# may miss zero by chance. On the portrait and on grass they are not told apart from single patches. The intervals are
# over draws of the noise on these crops; other pictures may differ. And the control is not perfect: groups give each
# pixel nearly twice as many estimates to average.
#
# ## WNNM: a stack is a matrix of low rank
#
# [WNNM](https://doi.org/10.1109/CVPR.2014.366) writes a group of $m$ patches as a matrix $Y$, one patch per row, less
# their mean patch. Similar rows span few dimensions: the picture is in the first few singular values, and the rest are
# mostly noise (the figure below shows it). So the small singular values are shrunk much and the large ones little. From
# a noisy value $y_i$ the clean one is estimated as $s_i = \sqrt{y_i^2 - m \sigma^2}$, and $y_i$ is replaced by
#
# $$\hat{s}_i = \max\left(y_i - \frac{2\sqrt{2}\,\sqrt{m}\, \sigma^2}{s_i},\ 0\right).$$
#
# One pass removes little, because the largest singular values of pure noise pass for picture. WNNM therefore repeats
# it. Each pass begins with a tenth of the removed part put back, finds its groups in the cleaner picture, and takes for
# $\sigma$ the noise that is left, $0.58\,\sqrt{\sigma^2 - \mathrm{removed}^2}$. (0.58 is the constant of WNNM's authors
# for this noise level.)

# %%
def low_rank(stack, deviation):
    """A stack of similar patches, (m, 64), with its singular values shrunk around its mean patch."""
    left, values, right = np.linalg.svd(stack - stack.mean(axis=0), full_matrices=False)
    estimate = np.sqrt(np.maximum(values ** 2 - len(stack) * deviation ** 2, 1e-9))
    shrunk = np.maximum(values - 2 * np.sqrt(2 * len(stack)) * deviation ** 2 / estimate, 0)
    return left * shrunk @ right + stack.mean(axis=0)


restored, deviation = noisy, NOISE
for passed in range(1, 9):
    restored = restored + 0.1 * (noisy - restored)
    restored = denoised(restored, 64, partial(low_rank, deviation=deviation))
    deviation = 0.58 * np.sqrt(abs(NOISE ** 2 - ((noisy - restored) ** 2).mean()))
    if passed in (1, 2, 4, 8):
        print(f"WNNM by hand, groups of 64, {passed} {'pass' if passed == 1 else 'passes'}: {quality(restored):.2f} dB")

# %% alt="Singular values of a group against their index: clean ones fall fast, noisy ones and noise alone slowly"
group = similar(patches, reference, 64)
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
noise = np.random.default_rng(0).normal(0, NOISE, patches.shape)
for stack, style, label in ((clean, "ko-", "clean"), (patches, "ks--", "noisy"), (noise, "k:", "noise alone")):
    centred = stack[group] - stack[group].mean(axis=0)
    ax.plot(np.linalg.svd(centred, compute_uv=False)[:24], style, markersize=4, markerfacecolor="w", label=label)
ax.set(xlabel="index of the singular value", ylabel="singular value")
ax.legend()
plt.show()

# %% [markdown]
# **What to notice.** From the fourth value on, the clean curve drops and the noisy one falls slowly: what lies between
# them is noise. The first noisy values lie a little *below* the clean ones, although noise lifts singular values: the
# patches were chosen for being alike with their noise, so they differ less than they would with fresh noise. The first
# values of noise alone are far from small, and this is why one pass is not enough.
#
# Here is the photograph by both methods: BM3D as written above, and the whole of WNNM ([ours](
# ../irnas_lib/baselines/wnnm.py)), with fourteen passes and the noise estimated group by group.

# %% alt="The photograph noisy, by BM3D written by hand, by the whole of WNNM, and clean"
wnnm = classical.method("WNNM", "denoising", 50, ())(photograph.new_tensor(noisy)[None, None])[0, 0].double().numpy()
shown = {"noisy": noisy, "BM3D by hand": by_hand[32, 4], "WNNM": wnnm, "clean": photograph[0, 0].double().numpy()}
fig, axes = plt.subplots(1, 4, figsize=(plots.COLUMN, 2.6), layout="constrained")
for ax, (name, picture) in zip(axes, shown.items()):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set_title(name if name == "clean" else f"{name}\n{quality(picture):.2f} dB", fontsize=10)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# **What to notice.**
#
# - WNNM pays only when it is repeated: after one pass (18.90 dB) it is far behind our BM3D (24.24), after eight (24.52)
#   ahead of it. Its groups have 64 patches, those of our BM3D 32.
# - The row of pictures favours WNNM: it sets one pass of BM3D beside the whole of WNNM.
# - Both do best on flat parts and long edges. Detail that repeats nowhere, such as the eyes, they have to guess from
#   noise alone. A network that has seen other photographs may do better there; this page does not test it.

# %% [markdown]
# ## Measured on the test pictures
#
# Pictures, noise and protocols are those of the trained systems. This run measured BM3D, by its authors' package
# [`bm3d`](https://pypi.org/project/bm3d/) (version 4.0.3, default profile), which also has what they changed after
# its publication; [page 15](15_your_own_pictures.ipynb) uses the same package for colour. How long the methods take is
# on [page 11](11_efficiency.ipynb).
#
# <details><summary>The parameters</summary>
#
# - `method`: "Noisy" or "Rainy" (both return the input), "BM3D", "WNNM", "LP" (layer priors: a rain remover that fits a
#   mixture of Gaussians to clean patches of the training pairs) or "DSC" (discriminative sparse coding, another rain
#   remover). BM3D is an optional package: `pip install bm3d`.
# - `every`, `test_pictures`: where a method takes minutes per picture, only one test picture in so many is measured,
#   and only the first ones; the tables give the number.
#
# An interrupted measurement continues where it stopped; a finished one is loaded and never repeated.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["hide-input"]
sigma = sigma if TASKS[task].sigmas else None
pictures = datasets.load_or_embedded(task, dataset, data)
test = pictures.test[::every][:test_pictures or None]
restore = classical.method(method, task, sigma, pictures.train)
if not pictures.instead_of:
    print(f"{method} on {len(test)} of {len(pictures.test)} test pictures of {dataset}")

# %% jupyter={"source_hidden": true} tags=["hide-input"]
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
    print(f"{name:9}{score['psnr']:7.2f} dB   SSIM {score['ssim']:.4f}   {score['pictures']} pictures   {method}")

# %% [markdown]
# The same test pictures at half size (`half`), where all of these methods were measured:

# %% jupyter={"source_hidden": true} tags=["hide-input"]
rows, in_half = [], {}
for name in ("Noisy", "IR-NAS + residual", "BM3D", "WNNM"):
    found = results.best(runs.all_results(profile), "denoising", name, 50, "half", smoke=profile == "smoke")
    if found and "half" in found.metrics:
        in_half[name], score = found, found.metrics["half"]
        rows.append({"method": name, "PSNR (dB)": f"{score['psnr']:.2f}", "SSIM": f"{score['ssim']:.4f}",
                     "pictures": f"{score['pictures']}"})
notes = []
if {"BM3D", "WNNM"} <= in_half.keys():
    (lead, error), _ = comparison.difference(in_half["WNNM"], in_half["BM3D"], "half")
    half = comparison.over_pictures(error, in_half["BM3D"].metrics["half"]["pictures"])
    notes.append(f"WNNM over BM3D: {lead:+.2f} ± {half:.2f} dB (95% confidence interval over the pictures).")
    below = [in_half[name].metrics["half"]["psnr"] - in_half["IR-NAS + residual"].metrics["half"]["psnr"]
             for name in ("BM3D", "WNNM") if "IR-NAS + residual" in in_half]
    if below:
        notes.append("IR-NAS + residual is {:.2f} dB below BM3D and {:.2f} dB below WNNM.".format(*below))
display(frames.show(pd.DataFrame(rows), "BSD500 at half size, sigma 50", *notes))

# %% [markdown]
# **What to notice.** WNNM is 0.13 ± 0.02 dB ahead of BM3D. `IR-NAS + residual`, the best network that was trained for
# the paper's tables, is 0.26 dB below BM3D and 0.39 dB below WNNM. One training run may lie ± 0.55 dB from the mean
# over seeds ([page 6](06_table1_bsd500.ipynb) says from what), so another seed might be ahead. It has the same SSIM as
# WNNM. On whole pictures (`strict`) WNNM was measured on every tenth only, because it is slow: [RESULTS](../RESULTS.md)
# has its 25.75 dB beside BM3D's 25.58 on the same ones.
#
# ## Two crops
#
# These are the crops that the pages of the tables show, by the classical methods.

# %% alt="Crops of two test pictures: noisy, restored by BM3D, restored by WNNM, clean"
if folder == runs.output_folder(profile) and method not in ("Noisy", "Rainy"):
    lacking = panels.lacking(folder / "panels", task, dataset, sigma, method, pictures.test)
    for item in protocols.restored_pictures(restore, lacking, "strict", sigma, seed):
        panels.save(folder / "panels", task, dataset, sigma, method, item)
display(plots.restored_panel(folder / "panels", task, dataset, sigma, dict.fromkeys(("BM3D", "WNNM", method))))

# %% [markdown]
# **What to notice.** WNNM is ahead by 0.4 dB on the zebra and by 0.5 dB on the pyramid. Both methods keep the main bars
# of the pyramid and lose the fine ones on its right side.

# %% [markdown]
# **What to take away.** The patches of a photograph have sparse transforms, and they repeat; both help to remove noise
# without any learning. What a part of a method is worth shows only beside a control that has the rest: on the portrait
# nearly all that groups seemed to give was averaging, and on bricks they gave 0.87 dB more than that. Further reading:
# [non-local means](https://doi.org/10.1109/CVPR.2005.38), [BM3D](https://doi.org/10.1109/TIP.2007.901238),
# [WNNM](https://doi.org/10.1109/CVPR.2014.366), and [N3Net](https://arxiv.org/abs/1810.12575), which makes the search
# for similar patches a layer of a network.

# %% [markdown]
# ## Exercises
#
# **1** (medium). BM3D and WNNM are told `sigma`. Tell one of them a number that is 20 too high, and one that is 20 too
# low. Which error costs more? (A crop of 64x64 pixels is enough; the solution takes WNNM.)
#
# <details><summary>Solution</summary>
#
# On this crop, too low. With noise of sigma 50, WNNM scores 25.05 dB when it is told 50, 22.71 when it is told 70, and
# 18.67 when it is told 30: it loses 2.3 dB and 6.4 dB. Told too much, it takes weak structure for noise and smooths it
# away; told too little, it takes noise for structure and keeps it, and at this sigma there is far more noise than weak
# structure.
#
# </details>
#
# **2** (medium). `sparse` keeps a large coefficient as it is. A *soft* threshold also takes the threshold off the
# coefficients that it keeps. Is it better on this crop, with groups of 32? Try it at 2.7 and at 1.5 times sigma.
#
# <details><summary>Solution</summary>
#
# No. With 2.7 it has 23.41 dB and with 1.5 it has 23.78, where the hard threshold has 24.24. The large coefficients are
# the picture, and among them is the mean of the group: to take 2.7 sigma off each of them costs contrast. A lower
# threshold costs less contrast, but lets more noise through.
#
# </details>
