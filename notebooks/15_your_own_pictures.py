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
# # 15. Your own pictures
#
# **What you will learn.** To restore a picture of your own in five steps, which are those of `python -m
# irnas_lib.restore`: estimate the noise, choose the network that fits, restore, put back what cannot have been noise,
# save.
#
# **Why it matters.** The other pages measure networks on noise that somebody has added and knows. Your picture is a
# file: nobody tells you how strong its noise is, its values are clipped at black and white and rounded to 8 bits, and
# there is no clean one. A denoiser that helps on test pictures can do harm there.
#
# **What it needs.** No picture is needed: without one the page takes a photograph that comes with scikit-image.
#
# **What we found**
#
# - **In colour every noisy file of sigma 5 to 50 came back better than it was**, by 2.1 dB at least. With less noise it
#   need not: at sigma 1 one picture lost 1.3 dB. On 24 photographs the network is ahead of BM3D at sigma 50 and perhaps
#   at 35, behind it at 5 and perhaps at 10, and not told apart from it between.
# - **In grey it is not told apart from BM3D from 25 on** and behind it below, and two files of fine texture with little
#   noise came back worse.
# - **What happened during training.** PSNR rose by 1.1 dB when the statistics of the batch norms were fixed, and by
#   0.74 dB while training went on with a loss in which crops of little noise count. No control run shows what longer
#   training alone would have added.
# - **It is for white noise only.** On a noisy JPEG it does nothing.
#
# Released blind denoisers that were trained for longer (such as FFDNet or DRUNet) were not measured here, and may well
# be better; this one shows what the paper's cell does after fifteen hours of one core (three training runs, of which
# the card below shows the last).

# %%
import io
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from skimage import data as photographs
from skimage.restoration import estimate_sigma

from irnas_lib.baselines.wnnm import wnnm
from irnas_lib.benchmarks import own_pictures
from irnas_lib.data.datasets import FILE_SIGMAS, Picture, noisy_file
from irnas_lib.data.pictures import to_array, to_tensor, write_picture
from irnas_lib.data.tasks import TASKS
from irnas_lib.experiments import results, runs
from irnas_lib.experiments.config import pixels
from irnas_lib.figures import before_after, interactive
from irnas_lib.files import run_folder
from irnas_lib.metrics import psnr
from irnas_lib.restore import networks, noise, pictures
from irnas_lib.restore.denoiser import Denoiser
from irnas_lib.tables import frames
from irnas_lib.training import recipes

device = runs.best_device()
print(runs.versions("torch", "numpy", "scikit-image", "ipywidgets"), "on", runs.device_name(device))

# %% [markdown]
# The parameters. `picture` is a file of your own; where it is empty the page takes a photograph that comes with
# scikit-image and adds noise of `sigma` to it. All sigmas are on the 0-255 scale.

# %% tags=["parameters"]
profile = "smoke"
data = ""
picture = ""
sigma = 25

# %% [markdown]
# ## Before and after
#
# All five steps. The whole picture, before to the left of the divider and after to the right, and a crop of both,
# enlarged. In JupyterLab sliders move the divider and the crop.

# %% alt="A cat, noisy on the left of a divider and restored on the right, and a crop of both enlarged"
clean = None if picture else Picture("chelsea", photographs.chelsea())
photo = pictures.read(Path(picture)) if picture else pictures.Photo(noisy_file(clean, sigma).degraded, None, None)
height, width, channels = photo.array.shape
denoise = Denoiser(device)
estimate, chosen, _, restored = denoise(photo.array, title="restoring")
display(interactive.divider(photo.array, restored))


def quality(array, beside=None):
    """PSNR in dB against the clean picture, or against another one."""
    return psnr(*(to_tensor(each).unsqueeze(0) for each in (array, clean.clean if beside is None else beside))).item()


print(f"{picture or clean.name}: {width}x{height} pixels, {'grey' if channels == 1 else 'colour'}")
if clean:
    print(f"PSNR against the clean picture: {quality(photo.array):.2f} dB before, {quality(restored):.2f} dB after")

# %% [markdown]
# **What to notice.** Look for detail that was removed together with the noise. Fine texture, such as fur, resembles
# noise most, and it goes first; PSNR loses little by it, because it is weak. The same crop beside the clean one, and
# beside WNNM ([notebook 5b](05b_classical_methods.ipynb)), which has learned nothing. (WNNM works on each channel by
# itself, which makes it a weak rival in colour; the tables below have colour BM3D.)

# %% alt="One crop four times: noisy, restored by the network, restored by WNNM, and clean, with the PSNR of each"
side, around = 80, 8
top, left = before_after.contrasting(restored, side)
inside = slice(top, top + side), slice(left, left + side)
rows, columns = (slice(max(0, start - around), start + side + around) for start in (top, left))
classical = to_array(wnnm(to_tensor(photo.array[rows, columns]).unsqueeze(0), max(estimate, 1.0))[0])
corner = top - rows.start, left - columns.start
crops = {"noisy": photo.array[inside], "restored": restored[inside],
         "WNNM": classical[corner[0]:corner[0] + side, corner[1]:corner[1] + side]}
if clean:
    crops["clean"] = clean.clean[inside]
fig, axes = plt.subplots(1, len(crops), figsize=(2.4 * len(crops), 2.8), layout="constrained")
for ax, (name, crop) in zip(axes, crops.items()):
    ax.imshow(crop.squeeze(), cmap="gray", vmin=0, vmax=255)
    ax.set_title(name if not clean or name == "clean" else f"{name}, {quality(crop, crops['clean']):.2f} dB", size=10)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## How strong is the noise?
#
# Cut a picture into overlapping patches of 8x8 pixels, each a vector of $D = 64$ values (192 in colour). Neighbouring
# pixels of a photograph resemble each other, so its patches vary in a few directions and hardly at all in the others.
# White noise varies in all directions alike: it adds $\sigma^2$ to every eigenvalue of the patches' covariance. So the
# smallest eigenvalue, where the photograph has nothing, shows the noise ([Pyatykh, Hesser and Zheng
# 2013](https://doi.org/10.1109/TIP.2012.2221728)):
#
# $$\hat\sigma = \frac{\sqrt{\lambda_{\min}}}{1 - \sqrt{D / N}}$$
#
# (Of $N$ patches the smallest eigenvalue comes out too small, by the square of the denominator.)

# %% alt="Eigenvalues of a photograph's patches, sorted: they fall far below those with noise, which end in a plateau"
fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
for level, style in ((0, "k-"), (10, "k--"), (25, "k:")) if clean else ((estimate, "k-"),):
    array = noisy_file(clean, level).degraded if clean else photo.array
    patches = sliding_window_view(array, (8, 8), (0, 1))[::3, ::3].reshape(-1, 64 * channels).astype(np.float32)
    eigenvalues = np.linalg.eigvalsh(np.cov(patches, rowvar=False))[::-1]
    ax.plot(np.sqrt(eigenvalues.clip(1e-3)), style, label=f"noise of sigma {level:.0f}" if level else "clean")
ax.set(xlabel="direction, by how much the patches vary in it", ylabel="standard deviation", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# **What to notice.** The clean photograph falls below 1 grey level; with noise the curve ends in a plateau at sigma.
# The usual estimate, scikit-image's, looks only at the finest detail and takes all of it for noise:

# %%
if clean:
    files = {level: noisy_file(clean, level).degraded for level in FILE_SIGMAS}
    display(frames.show(pd.DataFrame({
        "sigma": str(level), "from the patches": f"{noise.estimated_sigma(file):.1f}",
        "from the finest detail (scikit-image)": f"{estimate_sigma(file, channel_axis=-1, average_sigmas=True):.1f}"}
        for level, file in files.items()), f"noise of `{clean.name}`, estimated"))
else:
    print(f"estimate: sigma {estimate:.1f}")

# %% [markdown]
# The estimate is too low where strong noise is clipped at black and white. It is too high in a grey picture of fine
# texture. (In colour the three channels have nearly the same texture, which leaves most directions to the noise.)
#
# ## Which network fits?
#
# A network that was trained blind to sigma, on noisy files, comes first where the project ships one for the picture's
# channels. Otherwise it is a network of the next higher sigma that is shipped (30, 50, 70): among these the one that
# was measured on most test pictures of [notebook 6](06_table1_bsd500.ipynb), and of several the one with the highest
# PSNR. Where the estimate is below half a grey level, the picture is left as it is.

# %%
if chosen is None:
    print("none: the picture is left as it is")
else:
    network, wanted = denoise.load(chosen)
    print(chosen.stem)
    print(networks.misfit(chosen, estimate, limited=True) or "its noise level fits")
    print(f"It takes {'grey' if wanted == 1 else 'RGB'} pictures"
          + (", so the three channels are restored one by one" if wanted < channels else ""))
    part, began = photo.array[:256, :256], time.process_time()
    pictures.restore_picture(network, wanted, part)
    print(f"{(time.process_time() - began) / (part[..., 0].size / 1e6):.0f} s of processor time per megapixel")

# %% [markdown]
# Large pictures are cut into tiles, so that memory does not grow with the picture. Each tile is restored with 48 pixels
# around it, which is further than IR-NAS, DnCNN and RED look: with these the tiles give what the whole picture gives.
# N3Net, MemNet and NLRN look further, and a faint seam may stay.
#
# The network's card:

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if chosen:
    blind = TASKS[chosen.task].blind
    level = (f"sigma drawn for each crop from {min(blind)} to {max(blind)}, clipped at black and white, rounded to 8 "
             "bits" if blind else f"sigma {chosen.sigma:g}, not clipped")
    facts = {
        "network": f"{chosen.system}, the paper's cell and path, {chosen.parameters:,} parameters",
        "learned from": f"training and validation pictures of {chosen.dataset}; none of the test pictures",
        "noise": f"white, {level}",
        "length": f"{chosen.iterations:,} steps of {chosen.batch} crops of {chosen.crop}x{chosen.crop} "
                  f"({pixels(chosen) / 1e6:.0f} million pixels), {chosen.seconds / 3600:.1f} hours on {chosen.device}",
        "began with": f"the weights of {recipes.recipe(chosen.recipe).start or 'chance'}",
        "recipe": f"{chosen.recipe} (irnas_lib/training/recipes.py), seed {chosen.seed}",
        "good for": "white noise of up to that strength in pictures of 8 bits",
        "bad for": "noise that neighbouring pixels share (JPEG, a camera's own processing), blur, rain, stronger noise"}
    display(frames.show(pd.DataFrame({"": name, chosen.stem: fact} for name, fact in facts.items()), "card"))

# %% [markdown]
# How it learned: the PSNR of pictures that were kept out, during each training run of a network for noisy files. Crops
# of one batch have different sigmas, and a batch norm that normalises them together ([page 5c](05c_batch_norm.ipynb))
# sees statistics that jump from batch to batch. So from some step on the statistics are fixed (dotted line). `best` is
# the first training run of the colour network, `finish` continues it, and `even` continues `finish`. `grown` began with
# the weights of `best`, summed over the channels.
#
# `even` has another loss. The squared error of a restored picture of sigma 50 is about sixteen times that of sigma 5
# (26.76 and 38.84 dB, see below), so that crops with little noise hardly count in a mean of squared errors. In a mean
# of logarithms all count about alike, as they do in a mean of decibels (the 1 keeps crops of more than 40 dB from
# counting for ever):
#
# $$\mathcal{L} = \frac{1}{B}\sum_{b=1}^{B} \log_{10}\left(1 + \frac{\mathrm{MSE}_b}{10^{-4}}\right)$$

# %% alt="PSNR of kept-out pictures against steps in each training run for files: two jump where statistics are fixed"
blind = [result for result in results.load(runs.SHIPPED / "results")
         if TASKS[result.task].blind and result.validation]
blind.sort(key=lambda result: list(recipes.RECIPES).index(result.recipe))
fig, axes = plt.subplots(1, len(blind), figsize=(2.3 * len(blind), 2.6), layout="constrained", squeeze=False)
for ax, result in zip(axes[0], blind):
    fixed = recipes.recipe(result.recipe).frozen_from * result.iterations
    steps, psnrs = np.transpose(result.validation)
    ax.plot(steps / 1000, psnrs, "k-o", markersize=3, markerfacecolor="w")
    ax.axvline(fixed / 1000, color="0.5", linestyle=":")
    before = [score for step, score in result.validation if step <= fixed]
    late = result.validation[-1][1] - result.validation[3 * len(result.validation) // 4 - 1][1]
    print(f"{result.task}, {result.recipe}: {result.validation[-1][1]:.2f} dB, {late:+.2f} in the last quarter"
          + (f"; {before[-1]:.2f} before, {result.validation[len(before)][1]:.2f} after fixing" if before else ""))
    ax.set(title=f"{'grey' if TASKS[result.task].channels == 1 else 'colour'}, {result.recipe}", xlabel="1,000 steps")
axes[0, 0].set_ylabel("PSNR (dB)")
plt.show()

# %% [markdown]
# **What to notice.** When the statistics are fixed, the colour network rises from 32.65 to 33.79 dB. The grey one rises
# from 28.03 to 30.68 dB, but there the log-SSIM term is dropped at the same step, so the two are not separated.
# `finish` has the statistics fixed from its first step, and no such term: a ninth of the pixels of `best` adds 0.88 dB.
# `even` adds another 0.74 dB, but it is also 3,000 further steps with a learning rate that starts anew, and `finish`
# was not continued with its own loss beside it. (`finish` gained no more than 0.05 dB in the last quarter of its steps,
# as its learning rate fell.)
#
# ## Take away no more than the noise
#
# A network always takes something away, from a clean picture too. What it takes away, $r$, is noise and perhaps
# texture. If it holds all of the noise, and the texture has nothing to do with the noise, then the share $w$ of $r$
# that leaves the least squared error is the share of noise in it:
#
# $$w = \min\left(1, \frac{\hat\sigma^2}{\frac{1}{n} \sum_i r_i^2}\right), \qquad \text{restored} = \text{noisy} -
# w\,r$$
#
# The error is then $(1 - w)\,\sigma^2$: never more than the noisy picture has, as far as the estimate is right.

# %% alt="PSNR against sigma of the noisy picture, the network alone and the network limited, above it from sigma 2 on"
if clean and chosen:
    part = Picture(clean.name, clean.clean[60:252, 130:322])
    levels, gained = (1, 2, 3, 5, 8, 12), {"noisy": [], "network": [], "network, limited": []}
    for level in levels:
        file = noisy_file(part, level).degraded
        answer = pictures.restore_picture(network, wanted, file)
        for name, array in zip(gained, (file, answer, noise.limited(file, answer, noise.estimated_sigma(file)))):
            gained[name].append(quality(array, part.clean))
    answer = pictures.restore_picture(network, wanted, part.clean)
    limited = noise.limited(part.clean, answer, noise.estimated_sigma(part.clean))
    print(f"the clean picture comes back at {quality(answer, part.clean):.1f} dB from the network, "
          f"at {quality(limited, part.clean):.1f} dB limited")
    for at, level in enumerate(levels[:2]):
        print(f"at sigma {level}: {', '.join(f'{name} {scores[at]:.1f} dB' for name, scores in gained.items())}")
    fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
    for (name, scores), style in zip(gained.items(), ("k:", "k--s", "k-o")):
        ax.plot(levels, scores, style, markerfacecolor="w", label=name)
    ax.set(xlabel="sigma of the noise", ylabel="PSNR (dB)")
    ax.legend()
    plt.show()

# %% [markdown]
# **What to notice.** Of a clean picture the network alone takes too much away, and at sigma 1 as well. What is put back
# repairs most of it; at sigma 1 a loss of 1.3 dB remains, because there the estimate is too high. From sigma 2 on the
# restored picture is above the noisy one. (With `--sigma` or `--checkpoint` the command writes the network's own
# answer.)
#
# ## How good is it?
#
# 24 pictures: four photographs of scikit-image and twenty test pictures of BSD500 (the middle of each, 192x192 pixels),
# with noise as a file holds it. They went through the command (`restore`), and through colour BM3D, which is told the
# true sigma or the command's own estimate. All numbers are PSNR in dB; ± is half the 95% interval over the pictures.
# `python -m irnas_lib.benchmarks.own_pictures` measured it. The first row is of clean pictures, to see what is lost
# where there is nothing to remove: "24 unchanged" says that all came back exactly as they were, which has no PSNR.
# First in colour:

# %%
rows = own_pictures.read()
display(Markdown(own_pictures.table(rows, 192)))

# %% [markdown]
# And the same pictures in grey:

# %%
display(Markdown(own_pictures.table(rows, 192, grey=True)))

# %% [markdown]
# **What to notice.** In colour the command is above the noisy picture at every noise level of the table, on each
# picture. It is ahead of BM3D at sigma 50 (0.57 ± 0.32 dB) and behind at 5. At 35 it is ahead and at 10 behind, too,
# but no longer if the 5% are shared among the twelve comparisons with noise in the two tables. At 15 and 25 the two are
# not told apart. A clean picture comes back all but unchanged. In grey the command is behind BM3D up to 15 and not told
# apart from it from 25 on. (The noise of a file is clipped, for which BM3D is not made; "true sigma" is that of the
# noise before clipping.)
#
# The two sources are not one population. So here is by how much the command is above BM3D with the same estimate on the
# twenty pictures of BSD500 alone (from the rows of `checkpoints/own_pictures.csv`). Taken one by one, the verdicts are
# those from above. At little noise in colour the losses are smaller: the four photographs of scikit-image suit BM3D.
#
# | sigma | 5 | 10 | 15 | 25 | 35 | 50 |
# |:--|:--|:--|:--|:--|:--|:--|
# | colour (dB) | -0.65 ± 0.27 | -0.24 ± 0.19 | -0.08 ± 0.18 | +0.16 ± 0.20 | +0.33 ± 0.24 | +0.53 ± 0.28 |
# | grey (dB) | -1.12 ± 0.29 | -0.61 ± 0.23 | -0.29 ± 0.20 | -0.02 ± 0.18 | +0.06 ± 0.19 | +0.13 ± 0.20 |
#
# In grey an estimate can be too high, where a picture is all fine texture: two of the 144 noisy grey files lost by the
# command, one of them 3.0 dB, and a clean one comes back at 40.82 dB on average and at 32.8 dB at worst.
#
# ## What goes wrong: a JPEG
#
# All of this is for white noise. A JPEG file rounds away most of the fine coefficients, and noise with them; what
# remains is shared by neighbouring pixels. Here is a crop that was noisy before it was saved as JPEG of quality 50.

# %% alt="A crop four times: noisy, saved as JPEG, that after the command, which changes nothing, and clean"
if clean:
    part = Picture(clean.name, clean.clean[100:228, 100:228])
    noisy, compressed = noisy_file(part, sigma).degraded, io.BytesIO()
    Image.fromarray(noisy).save(compressed, "JPEG", quality=50)
    jpeg = np.asarray(Image.open(compressed))
    level, _, _, denoised = denoise(jpeg)
    fig, axes = plt.subplots(1, 4, figsize=(9.6, 2.8), layout="constrained")
    crops = {"noisy": noisy, "saved as JPEG": jpeg, "after the command": denoised, "clean": part.clean}
    for ax, (name, crop) in zip(axes, crops.items()):
        ax.imshow(crop, vmin=0, vmax=255)
        ax.set_title(name if crop is part.clean else f"{name}, {quality(crop, part.clean):.1f} dB", size=10)
        ax.set_axis_off()
    plt.show()
    print(f"noise of the JPEG, estimated: sigma {level:.1f}; it is {np.std(jpeg - part.clean.astype(float)):.0f}")

# %% [markdown]
# **What to notice.** In some directions of the patches nothing at all is left, so the estimate is far too low, and the
# picture stays as it is. Restore before you compress.
#
# ## Save
#
# A PNG keeps every value. Colour profile and transparency are kept with the picture.

# %%
folder = run_folder(profile) / "pictures"
folder.mkdir(parents=True, exist_ok=True)
write_picture(folder / "restored.png", restored, photo.profile, photo.alpha)
print(folder / "restored.png")

# %% [markdown]
# ## A picture of your own
#
# The same steps in one function, behind a button. What you choose stays on the machine that runs this page.


# %%
def restored_file(source, target):
    """Both pictures, and a line about them."""
    photo = pictures.read(source)
    answer = denoise(photo.array, title=source.name)
    write_picture(target, answer.restored, photo.profile, photo.alpha)
    done = answer.network.stem if answer.network else "left as it is"
    return photo.array, answer.restored, f"{source.name}: noise of about sigma {answer.sigma:.0f}; {done}"


interactive.upload(restored_file, folder)

# %% [markdown]
# ## On the command line
#
# | command | what it does |
# |---|---|
# | `python -m irnas_lib.restore noisy.png restored.png --compare` | one picture, and beside it before and after |
# | `python -m irnas_lib.restore photos restored --recursive` | a folder and the folders below it |
# | `python -m irnas_lib.restore noisy.png restored.png --sigma 50` | the network of sigma 50, whatever the estimate |
# | `python -m irnas_lib.restore large.tif restored.tif --tile 192` | in less memory, and more time |
# | `python -m irnas_lib.restore --list` | the networks that come with the project |

# %% [markdown]
# ## Limits
#
# Each network for noisy files has one training seed. And all of this is for white noise: noise that is correlated
# between neighbouring pixels, as after JPEG or in a camera's own pictures ([notebook 7](07_table2_sim1800.ipynb)), is
# estimated too low, and most of it stays.
#
# **What to take away.** Estimate first, restore second, take away no more than the noise, and look for what was removed
# together with it. Further reading: [the noise estimate](https://doi.org/10.1109/TIP.2012.2221728), [the usual
# one](https://doi.org/10.1093/biomet/81.3.425) and [denoising of real photographs](https://arxiv.org/abs/1807.04686).

# %% [markdown]
# ## Exercises
#
# **1** (easy). A network takes r away from a picture whose noise is estimated at sigma 2, and the mean of r² is 16.
# What share of r does the page take away? By how many decibels is the picture better than before, if what the limit
# assumes is true?
#
# <details><summary>Solution</summary>
#
# A quarter: w = 2² / 16. The error left is (1 - w) · 2² = 3 where it was 4, so the gain is 10 log10(4 / 3) = 1.25 dB.
# Without the limit the error is 16 - 4 = 12, the texture that was taken away: a loss of 4.77 dB.
#
# </details>
#
# **2** (medium). Take the noisy photograph, restore it twice, and compare. What does the second pass remove?
#
# <details><summary>Solution</summary>
#
# Hardly anything. On a crop of 128x128 of `chelsea` the first pass goes from 20.3 to 30.2 dB. The estimate for its
# result gives 0.9, so that little may be taken away, and the second pass ends at 30.3 dB. The network alone ends at
# 30.3 dB, too: it is blind to sigma, and leaves a picture without noise nearly as it is.
#
# </details>
#
# **3** (medium). Save a noisy picture as JPEG of quality 50, and restore that. Which assumption about the noise is
# broken?
#
# <details><summary>Solution</summary>
#
# That it is white. JPEG rounds away most of the fine coefficients, and noise with them: on the same crop the file alone
# goes from 20.3 to 23.9 dB. What remains is correlated between neighbours (0.21 instead of 0) and has edges at the
# blocks. In some directions of the patches nothing at all is left, so the estimate gives 0.5 instead of 16, and the
# page leaves the picture at 23.9 dB. The network alone reaches 24.1 dB, far less than the 30.2 without JPEG: it has
# never seen such noise either.
#
# </details>
