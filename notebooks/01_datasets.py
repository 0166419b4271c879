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
# **What you will learn.** Which pictures belong to which split, how a batch is cut from them, what the noise, the rain
# and a camera do to a picture, how much PSNR is there before any network has run, and why a search needs three sets of
# pictures where a training needs two.
#
# **Why it matters.** A restoration network learns from pairs: a picture, and the same picture spoilt. How it was
# spoilt, and which pictures it was, moves a number by more than most networks do.
#
# **What it needs.** NumPy and a little PyTorch. Without the data sets the page shows scikit-image's photographs; a
# minute to run.

# %%
import csv

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
# The parameters. The profile says which data set belongs to a task: photographs that come with scikit-image
# where nothing is to be downloaded, BSD500 and Rain800 otherwise. `data` is the folder of those two.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"

# %% [markdown]
# ## The splits
#
# A picture is decoded once and stays in memory as bytes; crops are cut from there. Grey pictures have one
# channel (PIL's luma), colour ones three.

# %%
dataset = profiles.datasets(profile)[task]
pictures = datasets.load_or_embedded(task, dataset, data)
splits = {"train": pictures.train, "validation": pictures.validation, "test": pictures.test}
for name, split in splits.items():
    megabytes = sum(picture.clean.nbytes for picture in split) / 2**20
    print(f"{name:11}{len(split):4} pictures, {megabytes:6.1f} MiB decoded")
print(f"{pictures.name}: {pictures.channels} channel(s), sides from",
      min(min(picture.clean.shape[:2]) for split in splits.values() for picture in split), "to",
      max(max(picture.clean.shape[:2]) for split in splits.values() for picture in split), "pixels")

# %% [markdown]
# Two people who compare numbers must have the same files. So the set has a name that cannot lie: the SHA-256
# of the list of its files' SHA-256. It does not depend on the folder, and every result file carries it.

# %%
stored = {result.dataset: result.data_sha256 for result in runs.all_results(profile)}
print("content hash:", pictures.sha256 or f"{stored[dataset]} (of {dataset}, as the stored results have it)")

# %% [markdown]
# And nothing should be learned that is measured later. Is a training picture, pixel for pixel, also a test
# picture?

# %%
twice = [(train_picture.name, test_picture.name) for test_picture in pictures.test for train_picture in pictures.train
         if np.array_equal(train_picture.clean, test_picture.clean)]
print(f"{len(twice)} in both", *("(training picture {} is test picture {})".format(*names) for names in twice))

# %% [markdown]
# And what do they look like? This page is published with what it shows, and the photographs of BSD500 and
# Rain800 are not ours to publish. So the pictures that you see here are always those that come with scikit-image, and
# what is said of one picture's noise or rain is said of them; what is said of a whole set comes from the data set. In
# your own copy, say `shown = pictures`.


# %% alt="Contact sheet: twelve embedded photographs, from brick and grass to faces, marked train or test"
def show(images, titles, columns, side=1.9):
    """Arrays (H, W, C), bytes or floats in [0, 1], in rows of `columns`."""
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(columns * side, rows * (side + 0.25)), squeeze=False,
                             layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles):
        ax.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        ax.set_title(title, fontsize=8)
    plt.show()


def square(array):
    """The middle square, so that a contact sheet has one shape."""
    height, width = array.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return array[top:top + side, left:left + side]


shown = pictures if pictures.name == "embedded" else datasets.load(task, "embedded")
chosen = [*shown.train[::-(-len(shown.train) // 8)], *shown.test[:4]]
show([square(picture.clean if picture.degraded is None else picture.degraded) for picture in chosen],
     [f"{'train' if i < len(chosen) - len(shown.test[:4]) else 'test'}: {picture.name}"
      for i, picture in enumerate(chosen)], columns=5)

# %% [markdown]
# **What to notice.** Some pictures are mostly texture (grass, gravel, foliage), some are mostly smooth (sky,
# a wall). Noise hides in the first and shows in the second. An average over pictures mixes both.

# %% [markdown]
# ## Crops, as the network sees them
#
# A whole picture does not fit a batch, and pictures differ in size. So training takes square crops from
# random places. A batch is a function of its seed alone: the crops of one step do not depend on the steps
# before it, which is why an interrupted run can go on as if nothing had happened.

# %% alt="Eight clean crops above the same eight with noise of sigma 30, 50 or 70"
rotate = TASKS[task].rotate
patches = Patches(shown.train, crop=64, sigmas=(30, 50, 70), rotate=rotate)
degraded, clean = patches.batch(8, 0, 1004)
again, _ = patches.batch(8, 0, 1004)
assert torch.equal(degraded, again)
show([to_array(crop) for crop in (*clean, *degraded)], ["clean"] * 8 + ["degraded"] * 8, columns=8, side=1.3)

# %% [markdown]
# **What to notice.** Crops for denoising stand on their sides and on their heads: Section 4.1 turns and
# mirrors them at random. A square has eight such symmetries, and noise looks the same in all of them. Rain
# falls downwards, so de-raining only mirrors left and right.
#
# To see all of them, take one picture that is exactly as large as a crop. Then nothing is left to chance but
# the turn.

# %%
coffee = next(picture for picture in shown.train if "coffee" in picture.name)
middle = datasets.Picture("coffee", np.ascontiguousarray(square(coffee.clean)[-128:, -128:]))
turns = {}
for rotations in (False, True):
    _, batch = Patches([middle], 128, sigmas=(0,), rotate=rotations).batch(200, 0)
    turns[rotations] = torch.unique(batch, dim=0)
    print(f"rotate={rotations}: {len(turns[rotations])} different crops")

# %% [markdown]
# The library turns a crop by walking through memory in another direction. NumPy has functions for the same
# thing; the two must agree.

# %% alt="One crop of a coffee cup in its eight symmetries: four turns, each also mirrored"
expected = [np.rot90(side, k) for side in (middle.clean, middle.clean[:, ::-1]) for k in range(4)]
labels = [f"{'mirrored, ' if i > 3 else ''}{90 * (i % 4)}°" for i in range(8)]
found = {to_array(crop).tobytes() for crop in turns[True]}
assert found == {np.ascontiguousarray(array).tobytes() for array in expected}
show(expected, labels, columns=8, side=1.3)

# %% [markdown]
# ## Noise
#
# White Gaussian noise of standard deviation `sigma`, in grey levels of 255. It is neither clipped nor
# rounded: a noisy pixel may be darker than black. Denoising experiments use three levels.

# %% alt="A photograph, clean and with noise of sigma 30, 50 and 70; at 70 fine detail is gone"
item = datasets.load("denoising", "embedded").test[0]
clean = to_tensor(item.clean).unsqueeze(0)
SIGMAS = (30, 50, 70)
noisy = {sigma: protocols.add_noise(clean, sigma, seed=0, name=item.name) for sigma in SIGMAS}
show([square(to_array(image[0])) for image in (clean, *noisy.values())],
     ["clean", *(f"sigma {sigma}" for sigma in SIGMAS)], columns=4, side=2.4)

# %% [markdown]
# Is it what it says? Compare the histogram of what was added with the normal density, and its spread with
# `sigma`.

# %% alt="Three histograms of the added noise, each under the normal density of its sigma"
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
for ax, (sigma, image) in zip(axes, noisy.items()):
    noise = 255 * (image - clean).flatten().numpy()
    x = np.linspace(-250, 250, 301)
    ax.hist(noise, bins=60, range=(-250, 250), density=True, color="0.75", label="what was added")
    ax.plot(x, np.exp(-x**2 / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi)), "k--", label="normal density")
    ax.set(title=f"sigma {sigma}, measured {noise.std():.2f}", xlabel="grey levels")
axes[0].set_ylabel("density")
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# A camera or an image file could not hold such a picture: it would cut off what lies below black and above
# white, and round the rest. How much would that change?

# %%
for sigma, image in noisy.items():
    outside = ((image < 0) | (image > 1)).float().mean()
    stored = to_tensor(to_array(image[0])).unsqueeze(0)
    print(f"sigma {sigma}: {outside:6.1%} of the pixels lie outside black and white; "
          f"stored in eight bits the noise would measure {255 * (stored - clean).std():.1f}")

# %% [markdown]
# **What to notice.** Stored noise is weaker than its name, and the more so the higher `sigma`: an easier task
# under the same label. Papers differ in this, and seldom say it. Here noise is never stored.
#
# A fair comparison also gives every method the same noise. The field is drawn from the seed, `sigma` and the
# name of the picture, so it is the same on every machine, whichever methods run.

# %%
assert torch.equal(noisy[50], protocols.add_noise(clean, 50, seed=0, name=item.name))
assert not torch.equal(noisy[50], protocols.add_noise(clean, 50, seed=1, name=item.name))
print("the same seed, sigma and name: the same noise")

# %% [markdown]
# ## Rain
#
# Rain800 holds pairs that somebody made with an image editor. Where it is not at hand, photographs get
# synthetic rain by the same idea: a sparse field of drops, smeared along one direction, is a streak layer R
# between 0 and 1.

# %% alt="A rocket without rain and in six synthetic rains: longer, shorter, slanted, denser, added"
colour = datasets.load("deraining", "embedded").train
rocket = next(picture for picture in colour if "rocket" in picture.name)
base = square(rocket.clean)[140:300, 140:300] / np.float32(255)
usual = {"length": 20, "angle": 15.0, "density": 0.003}
changes = {"usual rain": {}, "length 6": {"length": 6}, "length 40": {"length": 40},
           "angle -40°": {"angle": -40.0}, "density 0.012": {"density": 0.012},
           "additive": {"mode": "additive"}}
rainy = {name: rain.add_rain(base, seed=0, **(usual | change)) for name, change in changes.items()}
show([base, *rainy.values()], ["clean", *rainy], columns=7, side=1.7)


# %% [markdown]
# Two ways to lay R over a picture B are in use: B + R, cut off at white, and the "screen" B + R - BR, which
# never overflows. How much does each setting cost, and does rain ever darken?

# %%
def batch_of(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1))).unsqueeze(0)


for name, image in rainy.items():
    score = metrics.psnr(batch_of(image), batch_of(base)).item()
    print(f"{name:16}{score:6.2f} dB   brighter by {image.mean() - base.mean():.3f}   "
          f"darker anywhere: {'yes' if (image < base - 1e-6).any() else 'no'}")

# %% [markdown]
# **What to notice.** Noise has mean zero; rain only brightens. A network that lowers the brightness of
# everything a little already gains, which is one reason to look at SSIM and at pictures beside PSNR.

# %% [markdown]
# ## Noise of a camera
#
# White noise is an assumption. In a camera the noise enters in linear light, under a mosaic of colour filters, and
# stronger where more light falls; then the camera interpolates, smooths, sharpens, bends the curve and compresses. The
# paper's SIM1800 was made by such a simulation and never published. Ours, "SIM1800 (rebuilt from BSD500)", is made by
# `data_scripts/sim1800.py` in the same way. Here is one patch after every stage, its noise a strong one.

# %% alt="One patch after every stage of a simulated camera, from linear light to JPEG"
cup = next(picture for picture in colour if "coffee" in picture.name)
linear = camera.srgb_to_linear(square(cup.clean)[100:228, 100:228] / 255)
strong = camera.Parameters(shot=0.1, read=0.05, luma_space=0.5, luma_range=0.3, chroma_space=8, chroma_range=0.1,
                           sharpening=0.2, jpeg_level=4)
after = dict(camera.develop(linear, strong, np.random.default_rng(0)))
# Shown on the sRGB curve, so that a linear picture does not look dark.
seen = {name: picture if picture.dtype == np.uint8 or name == "sRGB"
        else camera.linear_to_srgb(picture.clip(0, 1)) for name, picture in after.items()}
show([camera.linear_to_srgb(linear), *seen.values()], ["linear light", *seen], columns=6, side=1.7)

# %% [markdown]
# **What to notice.** The dots of the mosaic become blotches of colour in "demosaic", and "median" and "bilateral grid"
# make fewer and larger ones of them. JPEG adds the edges of its blocks.
#
# Two numbers tell such noise from white noise. The first is how much a pixel's error says about its neighbour's: the
# correlation of the error with itself, shifted. The second is how much one channel's error says about another's. White
# noise of the same strength goes through the same sums, beside it. Patches of one photograph are no independent
# witnesses, so they are averaged first; the intervals are of 95% over photographs.

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
for i, name in enumerate((*(f"shifted by {lag}" for lag in LAGS), "red and green", "red and blue", "green and blue")):
    camera_says, white_says = (f"{mean[i]:+.4f}" + (f" ± {half[i]:.4f}" if np.isfinite(half[i]) else "")
                               for mean, half in (correlated, plain))
    print(f"{name:16} camera {camera_says}   white {white_says}")

# %% alt="Correlation of the error with itself, shifted: a camera's falls slowly, white noise's at once to zero"
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (mean, half), style, label in ((correlated, "o-", "camera"), (plain, "s--", "white noise")):
    ax.errorbar(LAGS, mean[:len(LAGS)], half[:len(LAGS)], fmt=style, color="k", capsize=3, markersize=5, label=label,
                markerfacecolor="k" if label == "camera" else "w")
ax.set(xlabel="pixels to the right", ylabel="correlation of the error")
ax.legend()
plt.show()

# %% [markdown]
# **What to notice.** A method that was made for white noise expects the lower curve: it averages neighbours, whose
# errors then cancel. Here they agree, and do not. Some of the upper curve is no noise at all, but detail that the
# camera has smoothed away.
#
# The paper's authors picked 1,812 of 25,000 patches by eye, which nobody can repeat. Ours are picked by a rule: not
# flat, not clipped, and the degraded patch between 19 and 36 dB. What does the rule do?

# %% alt="Stacked histogram of patches by PSNR: kept, flat, clipped, outside 19 to 36 dB"
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
          f"kept {len(examined['kept'])}, mean {np.mean(examined['kept']):.2f} dB, "
          f"spread {np.std(examined['kept']):.2f}")
else:
    print(f"{pairs.name}: nothing was selected here; build the set with `python -m data_scripts.sim1800`")

# %% [markdown]
# ## What doing nothing scores
#
# PSNR is 10 log10(1 / MSE), in dB, of a picture in [0, 1] against the clean one. SSIM compares means, spreads and
# correlation in windows of 11x11 pixels; 1 is the same picture. Both depend on the protocol: on the pictures' size, on
# how the noise is drawn and on how the result is put together. To see a protocol alone, measure a "network" that
# returns its input.

# %%
few = pictures.test[:4]
for sigma in SIGMAS if TASKS[task].sigmas else (None,):
    for protocol in TASKS[task].protocols:
        score = protocols.evaluate(lambda x: x, few, protocol, sigma)
        print(f"sigma {sigma or '-':<5}{protocol:10}{score.psnr:7.2f} dB   SSIM {score.ssim:.4f}   "
              f"({score.pictures} pictures)")
    if sigma:
        print(f"sigma {sigma:<5}by formula{20 * np.log10(255 / sigma):7.2f} dB   (noise that is not clipped)")

# %% [markdown]
# **What to notice.** With noise, the formula -20 log10(`sigma` / 255) is below `strict`, the more the stronger the
# noise is, for what is measured is first clipped to black and white, which repairs some of the noise. And `redrawn` is
# above `strict` although nothing has been restored. Here is why: it cuts tiles of 64x64 every 48 pixels, so that they
# overlap, draws fresh noise in each, and averages.

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
print(f"noise power left on average: {left_over:.2f}, so {-10 * np.log10(left_over):.2f} dB for free")

# %% [markdown]
# **What to notice.** Where n tiles overlap, the average of n independent draws has 1/n of the noise power,
# before any network has done anything. A table may show numbers of one protocol beside numbers of one
# protocol only; every number in this project carries its protocol's name. (What a network keeps of this gift
# depends on the network: its errors in overlapping tiles are less independent than the noise.)

# %% [markdown]
# ## Rain800 shows its scenes more than once
#
# Rain800 has 700 training pairs, but not 700 scenes: most photographs stand there under two different rains. Whoever
# splits the pairs at random puts the same clean picture on both sides, and measures memory. The library splits by
# scene. `data_scripts/scenes.py` has compared all clean halves; its list comes with the project.

# %%
with open(datasets.SCENES, newline="") as file:
    listed = list(csv.DictReader(file))
for split in ("training", "test_syn"):
    here = [row for row in listed if row["picture"].startswith(split)]
    print(f"{split}: {len(here)} pairs of {len({row['photograph'] for row in here})} photographs")
views = {row["photograph"]: row["scene"] for row in listed if row["photograph"] != row["scene"]}
print("the same view, photographed twice:", ", ".join(" and ".join(pair) for pair in views.items()))
trained = {row["scene"]: row["picture"] for row in listed if row["picture"].startswith("training")}
print("in training and in the test:", ", ".join(f"{trained[row['scene']]} and {row['picture']}" for row in listed
                                               if row["picture"].startswith("test") and row["scene"] in trained))

# %% [markdown]
# **What to notice.** One training pair shows the scene of a test pair. It is left out of training and validation here;
# the 100 test pairs stay what they are, so that a number on them can be compared.

# %% [markdown]
# ## Three sets for the search
#
# A search moves two things: the weights of the network and its architecture. If both learned from the same
# pictures, an operation could win by remembering them. So Section 3.3 splits the training pictures, by the shares of
# Section 4.1: one half for the weights (Train W), one for the architecture (Train A), and two in a hundred that move
# nothing and judge (Train V).

# %%
parts = dict(zip("WAV", split_pictures(pictures.train, seed=0)))
for name, part in parts.items():
    print(f"Train {name}: {len(part):4} pictures:", ", ".join(picture.name for picture in part[:4]),
          "..." if len(part) > 4 else "")
names = [picture.name for part in parts.values() for picture in part]
assert sorted(names) == sorted(picture.name for picture in pictures.train) and len(set(names)) == len(names)
print("every training picture in one part, no test picture in any")

# %% [markdown]
# **What to notice.** Train V is small, so its PSNR says which validation of *one* search was best, and little
# more. A set with validation pictures of its own uses those instead.

# %% [markdown]
# **What to take away.** A number means nothing without its pictures, its noise and its protocol. Noise that is clipped
# and rounded is weaker than its name; a camera's noise is no white noise; overlapping tiles with fresh noise raise PSNR
# before anything is restored; and a data set may show a scene twice. Further reading: [the BSD500
# benchmark](https://doi.org/10.1109/TPAMI.2010.161), [Rain800](https://arxiv.org/abs/1701.05957),
# [SSIM](https://doi.org/10.1109/TIP.2003.819861) and [the camera's simulator](https://arxiv.org/abs/1904.08825).

# %% [markdown]
# ## Exercises
#
# **1** (medium). Split Rain800's training pairs at random, one in ten for validation. How many validation pairs have a
# twin in training, and what would a network that remembers its training pictures score on them?
#
# <details><summary>Solution</summary>
#
# A validation pair has a twin in training unless all other pairs of its photograph are in the validation, too. How many
# pairs a photograph has is in `irnas_lib/data/rain800_scenes.csv`. Over all random splits, 50 of the 70 validation
# pairs have a twin on average. A network that remembers returns the very clean picture: an error of zero, a PSNR
# without bound, and a mean over the validation that says nothing of new pictures. A real network remembers a part, and
# its validation keeps rising while it learns scenes by heart.
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
# spread against the clean picture's brightness, for `camera.photograph` and for white noise. Which of the checks on
# this page would have noticed?
#
# <details><summary>Solution</summary>
#
# It falls. Take the `coffee` photograph, the parameters of this page, and five equal ranges of brightness. Right after
# the sensor the noise has a standard deviation of 14 grey levels in the darkest range and of 27 in the brightest: more
# light, more variance. In the finished picture it is 19 in the darkest and 13 in the brightest, for the sRGB curve is
# steep in the dark and stretches the noise there. White noise has 50 in all ranges if its `sigma` is 50.
#
# No check on this page asks about brightness. The histogram beside the normal density, drawn for the camera, would have
# given a hint: noise of several spreads, mixed, has a higher peak and longer tails than normal noise (excess kurtosis
# 0.8, where normal noise has 0).
#
# </details>
