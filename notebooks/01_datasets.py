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
# # 1. The pictures, and what is done to them
#
# **What you will learn.** How noise, rain and a camera degrade a picture; what PSNR measures, and what PSNR a noisy
# picture has before any restoration; how a batch is cut from the pictures; and which pictures training, search and test
# may use.
#
# **Why it matters.** A restoration network learns from pairs of a clean and a degraded picture. How the pictures were
# degraded and how a result is measured can change a score by more than a better network does.
#
# **What it needs.** NumPy and a little PyTorch. Without the data sets the page computes on scikit-image's photographs.
# The pages on the search, 1b to 4, need only "Noise", "What PSNR measures" and "Which pictures are used where"; rain
# can wait until page 8, and the camera until page 7.
#
# **What we found**
#
# - A "network" that returns its input gains 1.5 to 1.7 dB where overlapping tiles get fresh noise and are averaged. So
#   only scores that were measured in the same way can be compared.
# - Noise that is stored in an 8-bit file is weaker than its nominal `sigma`: 44.1 instead of 50 on one photograph. How
#   much weaker depends on how dark or bright it is.
# - 197 of the 369 training photographs of Rain800 appear with two or more rain patterns, and one scene is in training
#   and test (we leave it out of training).

# %%
import csv
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import stats

from irnas_lib import metrics
from irnas_lib.data import camera, datasets, rain
from irnas_lib.data.patches import Patches
from irnas_lib.data.pictures import to_array, to_tensor
from irnas_lib.data.tasks import TASKS
from irnas_lib.evaluation import protocols
from irnas_lib.experiments import runs
from irnas_lib.files import data_folder
from irnas_lib.pipeline import profiles
from irnas_lib.training.search import split_pictures

print(runs.versions("torch", "numpy", "scikit-image"), "on", runs.device_name(runs.best_device()))

# %% [markdown]
# The parameters of the page:

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"

# %%
dataset = profiles.datasets(profile)[task]
pictures = datasets.load_or_embedded(task, dataset, data)
print(f"{pictures.name}: {len(pictures.train)} training and {len(pictures.test)} test pictures")

# %% [markdown]
# We may not publish the photographs of BSD500 and Rain800. The pictures shown on this page come with scikit-image;
# statistics of a data set are computed on that data set.
#
# ## Noise
#
# The simplest degradation is white Gaussian noise: an independent random number of mean 0 and standard deviation
# `sigma`, on the 0-255 scale, is added to every pixel. The paper's denoising experiments use three levels.


# %% alt="A photograph, clean and with noise of sigma 30, 50 and 70; at 70 fine detail is gone"
def show(images, titles, columns=4, side=1.9):
    """Arrays (H, W, C), bytes or floats in [0, 1], in rows of `columns`."""
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(columns * side, rows * (side + 0.25)), squeeze=False,
                             layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles):
        ax.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        ax.set_title(title, fontsize=9)
    plt.show()


def square(array):
    """The middle square, so that a contact sheet has one shape."""
    height, width = array.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return array[top:top + side, left:left + side]


item = datasets.load("denoising", "embedded").test[0]
clean = to_tensor(item.clean).unsqueeze(0)
SIGMAS = (30, 50, 70)
noisy = {sigma: protocols.add_noise(clean, sigma, seed=0, name=item.name) for sigma in SIGMAS}
show([square(to_array(image[0])) for image in (clean, *noisy.values())],
     ["clean", *(f"sigma {sigma}" for sigma in SIGMAS)])

# %% [markdown]
# Does the added noise have the distribution we asked for? Its histogram follows the normal density, and its measured
# standard deviation is `sigma`.

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="Histograms of the added noise under the normal density"
fig, axes = plt.subplots(1, 3, figsize=(7.6, 2.2), sharey=True, layout="constrained")
for ax, (sigma, image) in zip(axes, noisy.items()):
    noise = 255 * (image - clean).flatten().numpy()
    x = np.linspace(-250, 250, 301)
    ax.hist(noise, bins=60, range=(-250, 250), density=True, color="0.75", label="what was added")
    ax.plot(x, np.exp(-x**2 / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi)), "k--", label="normal density")
    ax.set(xlabel="grey levels")
    ax.set_title(f"sigma {sigma}, measured {noise.std():.2f}", fontsize=9)
axes[0].set_ylabel("density")
fig.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside upper center", ncols=2)
plt.show()

# %% [markdown]
# The noise is neither clipped nor rounded, so a noisy pixel may be darker than black. An 8-bit image file cannot hold
# such values: they are clipped to the range from black to white and rounded.

# %%
for sigma, image in noisy.items():
    outside = ((image < 0) | (image > 1)).float().mean()
    as_file = to_tensor(to_array(image[0])).unsqueeze(0)
    print(f"sigma {sigma}: {outside:5.1%} of the pixels lie outside black and white; "
          f"in a file sigma is {255 * (as_file - clean).std():.1f}")

# %% [markdown]
# **What to notice.** Noise that was stored in a file is weaker than its nominal `sigma`, and the more so the higher
# `sigma` is: less noise under the same label. (For a network that was trained on unclipped noise the task is no easier:
# [page 12](12_protocols.ipynb).) The experiments of this course add unclipped noise in memory.
#
# ## What PSNR measures
#
# The *peak signal-to-noise ratio* turns the mean squared error (MSE) between a picture and the clean one, pixels in [0,
# 1], into decibels:
#
# $$\mathrm{PSNR} = 10 \log_{10} \frac{1}{\mathrm{MSE}} \ \text{dB}.$$
#
# Halving the error of every pixel raises PSNR by 6 dB. Our rule of thumb: a picture of 15 dB is very noisy, one of 25
# dB is usable, and one of 40 dB can hardly be told from the clean one. It depends on the content, too: fine texture
# hides an error that a flat sky shows.
#
# [*SSIM*](https://doi.org/10.1109/TIP.2003.819861) compares local contrast and pattern, while PSNR only compares pixel
# values. In each window of 11x11 pixels, weighted by a Gaussian of standard deviation 1.5, it takes the means $\mu$,
# variances $\sigma^2$ and the covariance $\sigma_{uy}$ of the two pictures (this $\sigma$ is the picture's, not the
# noise's),
#
# $$\mathrm{SSIM}(u,\ y) = \frac{(2\mu_u\mu_y + c_1)(2\sigma_{uy} + c_2)}
# {(\mu_u^2 + \mu_y^2 + c_1)(\sigma_u^2 + \sigma_y^2 + c_2)}, \qquad c_1 = 0.01^2,\ c_2 = 0.03^2,$$
#
# and averages over the windows. The first factors, with $\mu$, compare brightness, the second ones contrast and
# pattern. Identical pictures have 1.
#
# Noise of standard deviation `sigma` has an MSE of (`sigma` / 255)², so that a noisy picture has a PSNR of 20 log10(255
# / `sigma`) before any restoration. What is measured depends on the *protocol*, the way in which noise is drawn and a
# result is put together:
#
# - `strict`: noise is added once to the whole picture, and the picture is restored in one piece;
# - `redrawn`: tiles of 64x64, one every 48 pixels, each with fresh noise, are restored one by one and averaged where
#   they overlap, as in both versions of the authors' test program ([page 12](12_protocols.ipynb));
# - `half`: the clean picture is first reduced to half its size (bicubic); then noise is added and it is restored as in
#   `strict`. We infer that the tables of RED-Net, and of papers that copied its numbers, are of such pictures ([page
#   12](12_protocols.ipynb)).
#
# To isolate the effect of the protocol, we measure a "network" that returns its input. The table is of four test
# pictures, to be quick. Its numbers differ somewhat from those of other pages, which measure more pictures: the noisy
# input of sigma 50 has 14.61 dB in `strict` on these four, and 14.90 on all 200 of BSD500.

# %%
few = pictures.test[:4]
print("sigma   protocol      PSNR     SSIM")
for sigma in SIGMAS if TASKS[task].sigmas else (None,):
    if sigma:
        print(f"{sigma:5}   formula   {20 * np.log10(255 / sigma):5.2f} dB")
    for protocol in TASKS[task].protocols:
        score = protocols.evaluate(lambda x: x, few, protocol, sigma)
        print(f"{sigma or '-':>5}   {protocol:8}  {score.psnr:5.2f} dB   {score.ssim:.3f}")

# %% [markdown]
# **What to notice.** `strict` is above the formula, and the more so the stronger the noise is: PSNR is measured after
# clipping to the range from black to white, which removes some of the noise. And `redrawn` is 1.5 to 1.7 dB above
# `strict`, although nothing has been restored: the average of overlapping tiles with independent noise is less noisy.

# %% alt="Map of a picture: how many overlapping tiles cover each pixel, one, two or four"
shape = (1, 1, *pictures.test[0].clean.shape[:2])
cover = np.zeros(shape[2:], dtype=int)
for top, left in protocols.corners(shape):
    cover[top:top + protocols.TILE, left:left + protocols.TILE] += 1
fig, ax = plt.subplots(figsize=(4.2, 3.4), layout="constrained")
drawn = ax.imshow(cover, cmap="Greys", vmin=0)
ax.set(title="tiles over each pixel", xticks=[], yticks=[])
fig.colorbar(drawn, ticks=np.unique(cover))
plt.show()
for count in np.unique(cover):
    print(f"{count} tile(s): {np.mean(cover == count):6.1%} of the picture, sigma times {count ** -0.5:.2f}")
left_over = np.mean(1 / cover)
print(f"noise power left on average: {left_over:.2f}, so {-10 * np.log10(left_over):.2f} dB gained")

# %% [markdown]
# **What to notice.** Where n tiles overlap, the average of n independent draws has 1/n of the noise power, before any
# network is involved. The map predicts 1.74 dB; the table above has 1.5 to 1.7, because the clipping before PSNR is
# measured helps `strict` more: at sigma 50 it is 0.46 dB above the formula, and `redrawn` is 0.35 dB above the formula
# and the 1.74. (A network keeps only a part of this gain, because its errors in overlapping tiles are less independent
# than the noise: [page 12](12_protocols.ipynb).) So only scores of the same protocol can be compared, and every score
# in this project carries its protocol's name.
#
# ## Crops, as the network sees them
#
# Pictures differ in size, so training takes square crops from random places. Here are the pictures and eight crops.
# (The arguments of `batch` are how many crops and the numbers that seed them.)

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="Ten embedded photographs, each marked train or test"
shown = pictures if pictures.name == "embedded" else datasets.load(task, "embedded")
chosen = [*shown.train[::-(-len(shown.train) // 8)], *shown.test[:4]]
show([square(picture.clean if picture.degraded is None else picture.degraded) for picture in chosen],
     [f"{'train' if i < len(chosen) - len(shown.test[:4]) else 'test'}: {picture.name}"
      for i, picture in enumerate(chosen)], columns=5, side=1.5)

# %% alt="Eight clean crops above the same eight with noise of sigma 30, 50 or 70"
rotate = TASKS[task].rotate
patches = Patches(shown.train, crop=64, sigmas=SIGMAS, rotate=rotate)
spoilt, originals = patches.batch(8, 0, 1004)
show([to_array(crop) for crop in (*originals, *spoilt)], ["clean"] * 8 + ["noisy"] * 8, columns=8, side=0.95)

# %% [markdown]
# **What to notice.** Some pictures are mostly texture (grass, brick), others mostly smooth (the moon, a sky). Noise is
# hidden by texture and visible on smooth areas, and an average over pictures mixes both. Denoising crops are rotated
# and mirrored at random (Section 4.1 of the paper): a square has eight such symmetries, and noise looks the same in all
# of them. Rain falls downwards, so deraining crops are only mirrored left to right.

# %% alt="One crop of a coffee cup in its eight symmetries: four turns, each also mirrored"
coffee = next(picture for picture in shown.train if "coffee" in picture.name)
middle = datasets.Picture("coffee", np.ascontiguousarray(square(coffee.clean)[-128:, -128:]))
for rotations in (False, True):
    _, batch = Patches([middle], 128, sigmas=(0,), rotate=rotations).batch(200, 0)
    turns = torch.unique(batch, dim=0)  # a crop as large as the picture differs by its turn alone
    print(f"rotate={rotations}: {len(turns)} different crops")
expected = [np.rot90(side, k) for side in (middle.clean, middle.clean[:, ::-1]) for k in range(4)]
assert {to_array(crop).tobytes() for crop in turns} == {array.tobytes() for array in map(np.copy, expected)}
show(expected, [f"{'mirrored, ' if i > 3 else ''}{90 * (i % 4)}°" for i in range(8)], side=1.2)

# %% [markdown]
# ## Rain (for page 8)
#
# (For the pages on the search, go on at [which pictures are used
# where](01_datasets.ipynb#Which-pictures-are-used-where).)
#
# The pairs of Rain800 were made with an image editor. Where it is not available, photographs get synthetic rain of the
# same kind: a sparse field of drops, smeared along one direction, is a streak layer R between 0 and 1. It is laid over
# a picture B in one of two ways: "additive", B + R, clipped at white; or "screen", B + R - BR, which never exceeds
# white and is the default here.


# %% alt="A rocket without rain and in six synthetic rains: longer, shorter, slanted, denser, added"
def batch_of(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1))).unsqueeze(0)


colour = datasets.load("deraining", "embedded").train
rocket = next(picture for picture in colour if "rocket" in picture.name)
base = square(rocket.clean)[140:300, 140:300] / np.float32(255)
usual = {"length": 20, "angle": 15.0, "density": 0.003}
changes = {"usual rain": {}, "length 6": {"length": 6}, "length 40": {"length": 40},
           "angle -40°": {"angle": -40.0}, "density 0.012": {"density": 0.012},
           "additive": {"mode": "additive"}}
rainy = {name: rain.add_rain(base, seed=0, **(usual | change)) for name, change in changes.items()}
show([base, *rainy.values()], ["clean", *rainy])
for name, image in rainy.items():
    score = metrics.psnr(batch_of(image), batch_of(base)).item()
    print(f"{name:16}{score:6.2f} dB   brighter by {image.mean() - base.mean():.3f}   "
          f"darker anywhere: {'yes' if (image < base - 1e-6).any() else 'no'}")

# %% [markdown]
# **What to notice.** Noise has mean zero, but rain only brightens. A network that subtracts the mean brightening m
# takes up to m² off the mean squared error: by the numbers above it gains 0.2 dB in the usual rain and 0.8 dB in the
# dense one without removing a streak. This is one reason to look at SSIM and at the pictures, too.
#
# ## Noise of a camera (for page 7)
#
# White noise is an idealisation. In a camera the noise arises in linear light, under a mosaic of colour filters, and is
# stronger where more light falls. Then the camera interpolates, smooths, sharpens, applies a tone curve and compresses.
# The paper's SIM1800 was made by such a simulation and never published. Ours, "SIM1800 (rebuilt from BSD500)", is made
# by the same kind of simulation (`data_scripts/sim1800.py`), with another selection of patches. Here is one patch after
# every stage; the noise is strong.
#
# | stage | what it does |
# |:--|:--|
# | mosaic | keeps one colour at each pixel, as the filters on the sensor do |
# | shot noise, read noise | add noise that grows with the light, and noise that does not |
# | 14 bits | rounds to the levels of the converter |
# | demosaic | interpolates the two missing colours |
# | median | removes isolated errors |
# | bilateral grid | smooths, but not across strong edges |
# | unsharp mask | sharpens |
# | sRGB, 8 bits, JPEG | apply the tone curve, round and compress |

# %% alt="One patch after every stage of a simulated camera, from linear light to JPEG"
cup = next(picture for picture in colour if "coffee" in picture.name)
linear = camera.srgb_to_linear(square(cup.clean)[100:228, 100:228] / 255)
strong = camera.Parameters(shot=0.1, read=0.05, luma_space=0.5, luma_range=0.3,
                           chroma_space=8, chroma_range=0.1, sharpening=0.2, jpeg_level=4)
after = dict(camera.develop(linear, strong, np.random.default_rng(0)))
# Shown on the sRGB curve, so that a linear picture does not look dark.
seen = {name: picture if picture.dtype == np.uint8 or name == "sRGB"
        else camera.linear_to_srgb(picture.clip(0, 1)) for name, picture in after.items()}
show([camera.linear_to_srgb(linear), *seen.values()], ["linear light", *seen])

# %% [markdown]
# **What to notice.** The dots of the mosaic become blotches of colour in "demosaic", which "median" and "bilateral
# grid" merge into fewer and larger ones. JPEG adds the edges of its blocks.
#
# Two correlations distinguish the error of such a picture from white noise: that of a pixel's error with its
# neighbour's, and that of the errors of two colour channels. The error is the finished picture less the clean one: the
# camera's noise, and also the detail that the camera has smoothed away, which this page does not separate. White noise
# of the same strength is measured for comparison. Patches of one photograph are not independent samples, so they are
# averaged first; ± gives the half-width of the 95% confidence interval over photographs.

# %%
pairs = datasets.load_or_embedded("sim1800", profiles.datasets(profile)["sim1800"], data)
LAGS = range(9)


def shifted_correlation(error, lag):
    """Of an error, (H, W, C), with itself `lag` pixels to the right; mean over the channels."""
    error = error - error.mean(axis=(0, 1))
    return np.mean((error[:, lag:] * error[:, :error.shape[1] - lag]).mean(axis=(0, 1)) / error.var(axis=(0, 1)))


def statistics(error):
    """The correlations at LAGS, then those of red and green, red and blue, green and blue."""
    channels = np.corrcoef(error.reshape(-1, 3).T)
    return [*(shifted_correlation(error, lag) for lag in LAGS), channels[0, 1], channels[0, 2], channels[1, 2]]


def interval(values):
    """Mean over photographs and half the width of its interval; values: (patches, numbers)."""
    photographs = [pair.name.split("-")[-1] for pair in pairs.test]
    means = np.array([np.mean([v for v, p in zip(values, photographs) if p == name], axis=0)
                      for name in dict.fromkeys(photographs)])
    if len(means) == 1:
        return means[0], np.full_like(means[0], np.nan)  # one photograph says nothing of others
    return means.mean(axis=0), stats.t.ppf(0.975, len(means) - 1) * stats.sem(means)


rng = np.random.default_rng(0)
errors = [pair.degraded.astype(float) - pair.clean for pair in pairs.test]
white = [rng.standard_normal(error.shape) * error.std() for error in errors]
correlated, plain = (interval([statistics(error) for error in of]) for of in (errors, white))
print(f"{pairs.name}: {len(pairs.test)} test patches of {len({p.name.split('-')[-1] for p in pairs.test})} photographs")
for i, name in enumerate(("red and green", "red and blue", "green and blue"), len(LAGS)):
    shown_as = [f"{mean[i]:+.4f}" + (f" ± {half[i]:.4f}" if np.isfinite(half[i]) else "")
                for mean, half in (correlated, plain)]
    print("{:16} camera {}   white {}".format(name, *shown_as))
print("camera, shifted by 1 to 8 pixels:", *(f"{value:.4f}" for value in correlated[0][1:len(LAGS)]))

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="A camera's error stays correlated, white noise's does not"
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (mean, half), style, label in ((correlated, "o-", "camera"), (plain, "s--", "white noise")):
    ax.errorbar(LAGS, mean[:len(LAGS)], half[:len(LAGS)], fmt=style, color="k", capsize=3, markersize=5, label=label,
                markerfacecolor="k" if label == "camera" else "w")
ax.set(xlabel="pixels to the right", ylabel="correlation of the error")
ax.legend()
plt.show()

# %% [markdown]
# **What to notice.** A method for white noise averages neighbouring pixels so that their errors cancel. Here
# neighbouring errors are correlated (0.49 at one pixel), so they cancel less. The 0.49 is of the whole error: a part of
# it is lost detail, which is correlated too. What each of the two does to a denoiser, [page
# 7](07_table2_sim1800.ipynb) separates.
#
# The paper's authors picked 1,812 of 25,000 patches (7%) by eye, for the most realistic look. Ours are picked by a
# rule: neither flat nor clipped, and the degraded patch between 19 and 36 dB.

# %% jupyter={"source_hidden": true} tags=["hide-input"] alt="Histogram of patches by PSNR, kept and dropped"
lists = sorted((data_folder(data) / pairs.name).glob("*/list.csv"))
rows = [row for path in lists for row in csv.DictReader(path.open(newline=""))]
examined = {verdict: [float(row["psnr"]) for row in rows if row["verdict"] == verdict and row["psnr"]]
            for verdict in ("kept", "flat", "clipped", "out of band")}
if rows:
    fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
    ax.hist(examined.values(), bins=np.arange(10, 45), stacked=True, edgecolor="k", linewidth=0.4,
            color=["0.85", "k", "0.5", "w"], label=[f"{name}: {len(of)}" for name, of in examined.items()])
    ax.set(xlabel="PSNR of the degraded patch (dB)", ylabel="patches")
    ax.legend(fontsize=8)
    plt.show()
    everything = [value for of in examined.values() for value in of]
    print(f"{len(everything)} patches examined, mean {np.mean(everything):.2f} dB, spread {np.std(everything):.2f}; "
          f"kept {len(examined['kept'])} ({len(examined['kept']) / len(everything):.0%}), "
          f"mean {np.mean(examined['kept']):.2f} dB, spread {np.std(examined['kept']):.2f}\n"
          f"dropped: {len(examined['clipped'])} clipped, {sum(value < 19 for value in examined['out of band'])} below "
          f"19 dB, {sum(value > 36 for value in examined['out of band'])} above 36 dB, {len(examined['flat'])} flat")
else:
    print(f"{pairs.name}: nothing was selected here; build the set with `python -m data_scripts.sim1800`")

# %% [markdown]
# **What to notice.** The rule keeps 91% of the patches. (Patches are examined until 1,812 are kept, as many as the
# paper has.) Most of those dropped are clipped or at the noisy end, and the mean rises by 0.2 dB only. So our set is
# nearly unselected and the authors' is not: beside other photographs, a second reason why no score on SIM1800 can be
# compared with theirs.
#
# ## Which pictures are used where
#
# Nothing should be learned from a picture that is used for testing. The training and test sets of BSD500 have no
# picture in common, pixel for pixel:

# %%
twice = [(train_picture.name, test_picture.name) for test_picture in pictures.test for train_picture in pictures.train
         if np.array_equal(train_picture.clean, test_picture.clean)]
print(f"{len(twice)} in both", *("(training picture {} is test picture {})".format(*names) for names in twice))

# %% [markdown]
# Rain800 is harder. It has 700 training pairs, but not 700 scenes: 197 of 369 photographs appear with two or more rain
# patterns. A random split puts the same clean picture into training and validation, so that the validation partly
# measures memorisation. The library splits by scene, by a list that `data_scripts/scenes.py` made by comparing all
# clean pictures.

# %%
with open(datasets.SCENES, newline="") as file:
    listed = list(csv.DictReader(file))
for split in ("training", "test_syn"):
    pairs_of = Counter(row["photograph"] for row in listed if row["picture"].startswith(split))
    print(f"{split}: {pairs_of.total()} pairs of {len(pairs_of)} photographs, "
          f"{sum(count > 1 for count in pairs_of.values())} of them with two or more rain patterns")
views = {row["photograph"]: row["scene"] for row in listed if row["photograph"] != row["scene"]}
print("the same view, photographed twice:", ", ".join(" and ".join(pair) for pair in views.items()))
trained = {row["scene"]: row["picture"] for row in listed if row["picture"].startswith("training")}
print("in training and in the test:", ", ".join(f"{trained[row['scene']]} and {row['picture']}" for row in listed
                                               if row["picture"].startswith("test") and row["scene"] in trained))

# %% [markdown]
# **What to notice.** One training pair shows the scene of a test pair. It is left out of training and validation here;
# the 100 test pairs are unchanged, so that scores on them stay comparable.
#
# A search needs three parts where training needs two, because it learns two things: the weights of the network and its
# architecture. If both learned from the same pictures, an operation could win by memorising them. So the paper
# (Sections 3.3 and 4.1) splits the training pictures: one half for the weights (Train W), one for the architecture
# (Train A), and 2% for validation alone (Train V).

# %%
parts = dict(zip("WAV", split_pictures(pictures.train, seed=0)))
for name, part in parts.items():
    print(f"Train {name}: {len(part):4} pictures:", ", ".join(picture.name for picture in part[:4]),
          "..." if len(part) > 4 else "")
names = [picture.name for part in parts.values() for picture in part]
assert sorted(names) == sorted(picture.name for picture in pictures.train) and len(set(names)) == len(names)
print("every training picture in one part, no test picture in any")

# %% [markdown]
# **What to notice.** Train V has six pictures. Its PSNR picks the best validation of *one* search; to compare searches,
# six pictures are few. A data set with validation pictures of its own uses those instead.

# %% [markdown]
# **What to take away.** A score has no meaning without its pictures, its noise and its protocol. Noise that is clipped
# and rounded is weaker than its nominal `sigma`; the error that a camera leaves is not white; overlapping tiles with
# fresh noise raise PSNR before anything is restored; and a data set may show a scene twice. Further reading: [the
# BSD500 benchmark](https://doi.org/10.1109/TPAMI.2010.161), [Rain800](https://arxiv.org/abs/1701.05957),
# [SSIM](https://doi.org/10.1109/TIP.2003.819861) and [the camera's simulator](https://arxiv.org/abs/1904.08825).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Split Rain800's training pairs at random, one in ten for validation. How many validation pairs have a
# twin in training, and what would a network that memorises its training pictures score on them?
#
# <details><summary>Solution</summary>
#
# A validation pair has a twin in training unless all other pairs of its photograph are in the validation, too. How many
# pairs a photograph has is in `irnas_lib/data/rain800_scenes.csv`. Over all random splits, 50 of the 70 validation
# pairs have a twin on average. A network that memorises returns the clean picture itself: an error of zero, an
# unbounded PSNR, and a validation mean that shows nothing about new pictures. A real network memorises a part, and its
# validation score keeps rising while it does.
#
# </details>
#
# **2** (medium). Work out what `redrawn` would give to a picture that is covered by four tiles everywhere but at its
# border. At which step would these tiles of 64x64 do that?
#
# <details><summary>Solution</summary>
#
# The average of four independent draws has a quarter of the noise power, so a network that returns its input gains 10
# log10 4 = 6.02 dB over `strict` (before clipping). A step of 32, half a tile, puts two tiles over each pixel along
# each axis, four in all. At the border there are fewer, and where the last tiles are moved in to fit there are more:
# over a picture of 481x321 pixels 28% of the noise power is left on average, a gain of 5.52 dB.
#
# </details>
#
# **3** (hard). On a camera's sensor noise grows with brightness. Does it in the finished picture? Plot the error's
# standard deviation against the clean picture's brightness, for `camera.photograph` and for white noise. Which of the
# checks on this page would have noticed?
#
# <details><summary>Solution</summary>
#
# It falls. Take the `coffee` photograph, the parameters of this page, and five equal ranges of brightness. Right after
# the sensor the noise has a standard deviation of 14 grey levels in the darkest range and of 27 in the brightest: more
# light, more variance. In the finished picture it is 19 in the darkest and 13 in the brightest, because the sRGB curve
# is steep in the dark and stretches the noise there. White noise has 50 in all ranges if its `sigma` is 50.
#
# No check on this page looks at brightness. The histogram beside the normal density, drawn for the camera, would have
# given a hint: noise of several standard deviations, mixed, has a higher peak and longer tails than normal noise
# (excess kurtosis 0.8, where normal noise has 0).
#
# </details>
#
# **4** (easy). What PSNR has a picture with noise of sigma 25, by the formula? By how much does it fall if sigma
# doubles?
#
# <details><summary>Solution</summary>
#
# 20 log10(255 / 25) = 20.17 dB. Twice the sigma is twice the error of every pixel, which costs 20 log10 2 = 6.02 dB.
#
# </details>
