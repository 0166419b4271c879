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
# # 12. How an evaluation can flatter
#
# **What you will learn.** How one denoiser that nobody touches can have three PSNRs, how to predict the differences
# from first principles, and what that means for the paper's main table.
#
# **Why it matters.** Table 1 of the paper seems to compare numbers that were measured in three ways. None of them is
# wrong, and no two of them can be compared: the protocol moves PSNR by more than the differences that papers are
# written about.
#
# **What it needs.** Means and variances; [notebook 5](05_training.ipynb) for the protocols' names. Ten minutes to run
# on the real pictures, some minutes on the embedded ones.

# %%

import matplotlib.pyplot as plt
import numpy as np
import torch
from exercises import check
from tqdm import tqdm

from irnas_lib.data import datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.seeds import noise_generator
from irnas_lib.data.tiles import TILE, TILE_BATCH, TILE_STEP, corners
from irnas_lib.evaluation import inference, protocols, systems, validation
from irnas_lib.experiments import results as result_files
from irnas_lib.experiments import runs
from irnas_lib.pipeline import profiles
from irnas_lib.tables import comparison, printed

device = runs.best_device()
print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(device))

# %% [markdown]
# The parameters. `steps` are the distances between tiles of 64 pixels, the largest first; `number` is how many test
# pictures are used, spread evenly over the test set.

# %% tags=["parameters"]
profile = "smoke"
data = ""
system = "DnCNN"
sigma = 50
seed = 0
number = 2
steps = "64,48"

# %% [markdown]
# ## The denoiser
#
# A network that was trained here. Its weights stay as they are for the rest of the page.

# %%
pictures = datasets.load_or_embedded("denoising", profiles.datasets(profile)["denoising"], data)
chosen = pictures.test[::max(1, len(pictures.test) // number)][:number]
result = result_files.best(runs.all_results(profile), "denoising", system, sigma, smoke=profile == "smoke")
folder = next(folder for folder in runs.folders(profile) if runs.at_hand(result, folder))
network = systems.build(system, pictures.channels, systems.published("denoising", system))
runs.load_network(network, result, folder)
restore = inference.restorer(network, device)
print(f"{system}, trained for {result.iterations:,} iterations at sigma {sigma} ({result.profile})")
print(f"{len(chosen)} pictures:", ", ".join(picture.name for picture in chosen))

# %% [markdown]
# ## Three protocols, one denoiser
#
# `strict`: the whole picture, one noise field. `redrawn`: tiles of 64x64 at every 48 pixels, fresh noise in each tile,
# averaged where they overlap; this is what the authors' test program does. `half`: pictures of half the size, as in the
# tables of RED-Net and the papers that copied its numbers.

# %%
for protocol in ("strict", "redrawn", "half"):
    score = protocols.evaluate(restore, chosen, protocol, sigma, seed)
    nothing = protocols.evaluate(lambda x: x, chosen, protocol, sigma, seed)
    print(f"{protocol:8} {score.psnr:6.2f} dB, SSIM {score.ssim:.4f}   (its input: {nothing.psnr:.2f} dB)")

# %% [markdown]
# **What to notice.** `redrawn` flatters: it hands the average of several independent photographs of the same scene to
# whoever measures. `half` is harder than `strict`: a picture of half the size has twice the detail in a pixel. So a row
# measured in `half` beside a row measured in `redrawn` is handicapped twice.

# %% [markdown]
# ## Whose error is it?
#
# A denoiser errs in two ways. Some of its error is there whatever the noise: detail that it always removes, call its
# mean square B. The rest is noise that it lets through, another one each time, of variance V. One restored picture
# shows only their sum T. Two restored pictures of the same scene, with two draws of the noise, tell them apart: the
# noise in the two has nothing to do with each other, so the mean of their errors' product is B.
#
# Tiles are restored worse than whole pictures, since a pixel at a tile's border has no surroundings on one side (by
# how much, is measured below). So even B is not the same wherever a tile happens to end. A third draw, in tiles that
# are shifted by half a tile, says how much of it is: call the mean of the product of errors in shifted tiles C.

# %%
def errors(clean, name, draw, shift=0):
    """The error of every pixel in tiles that begin at `shift` and do not overlap, (H, W); NaN where no tile is."""
    places = [(slice(top, top + TILE), slice(left, left + TILE))
              for top in range(shift, clean.shape[-2] - TILE + 1, TILE)
              for left in range(shift, clean.shape[-1] - TILE + 1, TILE)]
    tiles = torch.cat([clean[..., rows, columns] for rows, columns in places])
    noisy = tiles + protocols.draw_noise(noise_generator(seed, sigma, name, "errors", draw), tiles, sigma)
    restored = torch.cat([restore(batch).cpu() for batch in noisy.split(TILE_BATCH)])
    error = torch.full(clean.shape[-2:], torch.nan, dtype=torch.float64)
    for place, of_tile in zip(places, (restored - tiles)[:, 0].double()):
        error[place] = of_tile
    return error


def by_place(error):
    """The mean square by the place in a tile, (64, 64), averaged over the symmetries of a square: a border is a
    border on every side."""
    square = error.square().unfold(0, TILE, TILE).unfold(1, TILE, TILE).mean(dim=(0, 1))
    return torch.stack([torch.rot90(side, k) for side in (square, square.T) for k in range(4)]).mean(dim=0)


found = {}
for picture in tqdm(chosen, desc="three draws"):
    clean = to_tensor(picture.clean).unsqueeze(0)
    first, second = errors(clean, picture.name, 1), errors(clean, picture.name, 2)
    shifted = errors(clean, picture.name, 3, shift=TILE // 2)
    same_place, both = (first * second).nanmean(), ~(first * shifted).isnan()
    common = same_place * ((first + second) / 2 * shifted)[both].mean() / (first * second)[both].mean()
    found[picture.name] = (by_place(first) + by_place(second)) / 2, same_place.item(), common.item()
whole, always, everywhere = np.mean([(place.mean(), *shares) for place, *shares in found.values()], axis=0)
border = np.mean([place[0].mean() / place[16:48, 16:48].mean() for place, *_ in found.values()])
print(f"noise let through (V): {1 - always / whole:.3f} of the squared error T")
print(f"there whatever the noise (B): {always / whole:.3f}; and wherever the tile ends (C): {everywhere / whole:.3f}")
print(f"the squared error at a tile's border is {border:.2f} times that inside")

# %% [markdown]
# ## The prediction
#
# Where n tiles cover a pixel, their average keeps what they have in common, C, and divides the rest, T - C, by n. So
# the mean squared error of a picture in `redrawn` is the mean over its pixels of C + (T - C) / n, where T is taken at
# the pixel's places in its n tiles. Nothing is fitted. (Nothing is clipped either, on both sides of the comparison: a
# clipped average is not the average of clipped tiles. For a trained network this is worth less than 0.01 dB.)


# %%
def unclipped_psnr(restored, clean):
    """In dB, of (1, 1, H, W) twice."""
    return -10 * ((restored - clean).double() ** 2).mean().log10().item()


def predicted(shape, total, common, step):
    """PSNR in dB of a picture (1, 1, H, W), tiles at every `step` pixels. total: T by the place in a tile, (64, 64)."""
    count, summed = (torch.zeros(shape[-2:], dtype=torch.float64) for _ in range(2))
    for top, left in corners(shape, TILE, step):
        place = slice(top, top + TILE), slice(left, left + TILE)
        count[place] += 1
        summed[place] += total - common
    return -10 * (common + summed / count ** 2).mean().log10().item()


def two_draws(shape, total, always, step):
    """The same from two draws alone: B + V / n, both the same everywhere in a tile."""
    return predicted(shape, torch.full((TILE, TILE), total.mean().item(), dtype=torch.float64), always, step)


rows = []
for step in map(int, steps.split(",")):
    for picture in tqdm(chosen, desc=f"step {step}", leave=False):
        clean = to_tensor(picture.clean).unsqueeze(0)
        redrawn = protocols.restore_redrawn(restore, clean, sigma, seed, picture.name, TILE, step).cpu()
        strict = restore(protocols.add_noise(clean, sigma, seed, picture.name)).cpu()
        total, always, common = found[picture.name]
        rows.append((step, unclipped_psnr(redrawn, clean), predicted(clean.shape, total, common, step),
                     unclipped_psnr(strict, clean), two_draws(clean.shape, total, always, step)))
rows = np.array(rows)
print("step   lift over strict: measured   predicted   difference   from two draws alone")
lifts = []
for step in np.unique(rows[:, 0])[::-1]:
    _, measured, expected, strict, simply = rows[rows[:, 0] == step].mean(axis=0)
    lifts.append((step, measured - strict, expected - strict))
    print(f"{step:4.0f} {measured - strict:28.2f} {expected - strict:11.2f} {expected - measured:12.3f} "
          f"{simply - measured:+22.3f}  dB")

# %% alt="PSNR over strict against the step between tiles: prediction and measurement rise together"
fig, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
x, measured, expected = np.array(lifts).T
ax.plot(x, expected, "ks--", markerfacecolor="w", markersize=9, label="predicted")
ax.plot(x, measured, "ko-", markersize=4, label="measured")
ax.axhline(0, color="0.6", linewidth=0.8)
ax.axvline(TILE_STEP, color="0.6", linewidth=0.8, linestyle=":")
ax.text(TILE_STEP, ax.get_ylim()[0], " the authors' step", fontsize=8, va="bottom")
ax.set(xlabel="step between tiles of 64 pixels", ylabel="PSNR over strict (dB)", xticks=x)
ax.invert_xaxis()
ax.legend()
plt.show()

# %% [markdown]
# **What to notice.** Nothing about the denoiser has changed from left to right. The smaller the step, the more
# independent photographs of the same scene it is given, and the more of its error cancels. At a step of 64 only the
# last tiles overlap the ones before, and what is left is the price of the tiles' borders. The lift has an end: C stays,
# however many tiles there are.
#
# A second look at the formula says whom the protocol helps most: a denoiser that lets much noise through (large V)
# gains more than one that smooths (large C). The order of two denoisers can turn around: it does so below, where two
# networks of one budget, RED and MemNet, change places.

# %% [markdown]
# ## The other systems
#
# The page so far was about one network. These are the results of the whole project that were measured under more than
# one protocol: of networks of one recipe, each with the loss of its row in Table 1 or 5 (IR-NAS* with MSE alone), and
# of methods that are not trained. What stands under the others, over `strict`, on the pictures that both have:

# %%
def over_strict(scores, protocol):
    """The lift of a protocol in dB; None where it is unknown which pictures both have."""
    here, strict = scores[protocol], scores["strict"]
    if here["pictures"] == strict["pictures"]:
        return here["psnr"] - strict["psnr"]
    both = (here.get("each") or {}).keys() & (strict.get("each") or {}).keys()
    return np.mean([here["each"][name][0] - strict["each"][name][0] for name in both]) if both else None


measured_twice = {}
for result in runs.all_results(profile):
    scores, trained = result.metrics, f", {result.iterations:,} iterations" if result.iterations else ""
    alike = result_files.has_usual_loss(result) and result.recipe in (None, "matched")
    if (result.task, result.sigma) == ("denoising", sigma) and alike and len(scores) > 1 and "strict" in scores:
        named = f"{result.system}{trained}, seed {result.seed} ({result.profile})"
        lifts = {name: over_strict(scores, name) for name in scores if name != "strict"}
        measured_twice.setdefault(named, {name: lift for name, lift in lifts.items() if lift is not None})
print(f"{'dB over strict':60} redrawn    half")
for named, lifts in sorted(measured_twice.items()):
    print(f"{named:60}", *(f"{lifts[name]:+7.2f}" if name in lifts else "not run" for name in ("redrawn", "half")))

# %%
alike = {result.system: result for result in comparison.at_one_budget(
    [result for result in runs.all_results(profile) if result.profile == "laptop" and result.sigma == 50
     and result.task == "denoising" and result_files.has_usual_loss(result)], "redrawn")}
if {"RED", "MemNet"} <= alike.keys():
    for protocol in ("strict", "redrawn"):
        (psnr, error), _ = comparison.difference(alike["RED"], alike["MemNet"], protocol)
        print(f"RED over MemNet in {protocol:8} {psnr:+.2f} ± {error:.2f} dB, picture by picture, sigma 50")
else:
    print("RED over MemNet: not run")

# %% [markdown]
# ## Back to Table 1
#
# Every printed PSNR beside the protocol that it agrees with. No paper says which it was; it is inferred. For `half` the
# proof is BM3D and WNNM, which have no training that could differ: here are printed numbers and ours. (Those of 20
# pictures prove less: other pictures are a few tenths of a dB easier or harder.) For the others the probe was a public
# DnCNN, whose released weights were taken through the protocols before this project began: at sigma 50 they reach 26.30
# dB in `strict` and 26.90 in `redrawn`, and somewhat too much in both, for these weights have seen the test pictures.
# N3Net's printed 26.50 and IR-NAS's 26.77 are near the one and near the other; and tiles with fresh noise are what the
# authors' published test program cuts.

# %%
for item in printed.load():
    if (item.where, item.metric) == ("1", "PSNR") and item.system in ("BM3D", "WNNM"):
        found = result_files.best(runs.all_results(profile), "denoising", item.system, int(item.sigma), "half")
        score = "{psnr:.2f}, {pictures} pictures".format(**found.metrics["half"]) if found else "not run"
        print(f"{item.system}, sigma {item.sigma}: printed {item.number:.2f}, here in half {score}")

# %%
ours = [lifts["redrawn"] for named, lifts in measured_twice.items()
        if named.startswith("IR-NAS") and "redrawn" in lifts]
if ours:
    print(f"lifts of `redrawn` at sigma {sigma}, IR-NAS networks above: {min(ours):+.2f} to {max(ours):+.2f} dB\n")
for item in printed.load():
    if item.where == "1" and item.metric == "PSNR" and item.sigma == str(sigma):
        here = result_files.best(runs.all_results(profile), "denoising", item.system, sigma, "strict")
        comparable = f"{item.number:.2f} as it is"
        if item.protocol == "redrawn":
            comparable = (f"{item.number - max(ours):.2f} to {item.number - min(ours):.2f} in strict, at these lifts"
                          if ours else "in strict: not known, for no lift is measured")
        elif item.protocol != "strict":
            comparable = "other pictures: nothing printed for strict" + (
                "; here {psnr:.2f} on {pictures}".format(**here.metrics["strict"])
                if here and here.iterations is None else "")
        print(f"{item.system:8} printed {item.number:6.2f}, agrees with {item.protocol:8} {comparable}")

# %% [markdown]
# **What to notice.** The printed table has IR-NAS ahead of N3Net. With a lift like ours taken off it would not be; how
# large the lift of the paper's own network was, nobody can tell without its weights, and ours differ by some tenths.
# The rows above N3Net are about other pictures altogether: the PSNRs of BM3D, WNNM and RED are those of RED-Net's own
# table, digit for digit, the first two come out here in `half`, and MemNet's and NLRN's are inferred. What remains is
# the only comparison that this project makes: all systems on the same pictures with the same noise, in one column of
# [`06_table1_bsd500`](06_table1_bsd500.ipynb).
#
# ## What a file costs
#
# The noise of all protocols above has no bounds: a black pixel becomes darker than black, and a network is given
# numbers below 0 and above 1, and fractions of a grey level. No file holds such a picture. In `file` the noise is added
# to the stored picture, and the sum is clipped to [0, 255] and rounded, as a camera or a program saves it. These
# networks have learned from unclipped noise. What does each of them lose on files, whose noise is, if anything, less?
# (Measured on the middle of each picture, so that the slow ones among them have their turn.)

# %%
middles = validation.middle(chosen, 160)
measured = {"(the noisy picture itself)": lambda x: x}
for result in runs.all_results(profile):
    folder = next((folder for folder in runs.folders(profile) if runs.at_hand(result, folder)), None)
    if folder and (result.task, result.sigma) == ("denoising", sigma) and result.iterations:
        named = f"{result.system}, {result.iterations:,} iterations ({result.profile})"
        measured[named] = inference.restorer(runs.trained_network(result, folder), device)

lost = []
for named, method in tqdm(measured.items(), desc="files"):
    scores, bright = {}, {}
    for protocol in ("strict", "file"):
        items = list(protocols.restored_pictures(method, middles, protocol, sigma, seed))
        scores[protocol] = np.array([protocols.score(item, protocol)[0].item() for item in items])
        bright[protocol] = np.mean([255 * (item.restored.cpu().clamp(0, 1) - item.clean).mean() for item in items])
    lost.append((named, scores["strict"], scores["file"], bright["strict"], bright["file"]))
print(f"sigma {sigma}, the middle 160x160 of {len(middles)} pictures; PSNR in dB, brightness in grey levels")
print(f"{'':44} strict   file  difference (worst picture)   too bright: strict   file")
for named, strict, filed, *shift in sorted(lost, key=lambda row: (row[2] - row[1]).mean()):
    print(f"{named:44} {strict.mean():6.2f} {filed.mean():6.2f} {(filed - strict).mean():+11.2f} "
          f"{f'({(filed - strict).min():+.2f})':>15} {shift[0]:+20.1f} {shift[1]:+6.1f}")

# %% [markdown]
# **What to notice.** The noisy picture itself scores the same in both, but for another draw of the noise: every score
# clips what it measures. A network sees the difference. Clipping makes dark pixels brighter on average and bright ones
# darker, a shift that no averaging over neighbours takes out and that these networks have not learned. So networks for
# one's own pictures have to learn from noise that was clipped and rounded; page 15 says which one
# `python -m irnas_lib.restore` takes.

# %% [markdown]
# **What to take away.** Before two PSNRs are compared, ask for the protocol of each. The lift of overlapping tiles can
# be predicted from what two restorations of one picture have in common, and it helps those denoisers most that let
# noise through.

# %% [markdown]
# ## Exercises
#
# **1** (hard). C + (T - C) / n holds for fresh noise in every tile. What is it where the tiles are cut from *one* noise
# field, so that a pixel has the same noise in all of them?
#
# <details><summary>Solution</summary>
#
# The same formula with another C. What the errors of two tiles have in common is now also the noise that both let
# through: replace C by C', the mean product of the errors of two shifted tiles that share their noise. It lies between
# C and T, and near T where a pixel is far from the tiles' borders, since there both tiles see the same noisy
# surroundings and return nearly the same value. What is still averaged, T - C', is what the borders of the tiles spoil.
# So hardly more than `strict` is left, which is what an honest protocol with tiles should give.
#
# </details>
#
# **2** (medium). Find the leak: somebody reports PSNR as the mean over 64x64 patches instead of pictures, and gains 1.2
# dB. Why?
#
# <details><summary>Solution</summary>
#
# PSNR is a logarithm of the error, and -log is convex: the mean of the patches' PSNR is never below the PSNR of their
# mean error (Jensen's inequality). Two patches, one smooth with a squared error of 0.001 and one textured with 0.004,
# have 30.00 and 23.98 dB, 26.99 on average; the picture that they form has 26.02. Smooth patches, which are easy, count
# as much as textured ones, and the more the patches of a picture differ the larger the gain. Nothing was restored
# better.
#
# </details>
#
# **3** (easy). Two denoisers have the same PSNR in `strict`; one has V / T = 0.2, the other 0.5, and for both B = C.
# Which one wins in `redrawn`, and by how much at n = 2?
#
# <details><summary>Solution</summary>
#
# With B = C, T - C = V, so the error is T - V + V / n = T (1 - V / (2 T)) at n = 2: 0.9 T for the first, 0.75 T for the
# second. They gain 0.46 dB and 1.25 dB. The second wins by 0.79 dB: the protocol rewards whoever lets more noise
# through.
#
# </details>

# %% [markdown]
# One more checks itself: find the leak in `redrawn` and mend it, in `exercises/one_field.py` (hard).

# %%
check("one_field")
