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
# irnas_lib.restore`: estimate the noise, choose the network that fits, restore, compare, save. And when to leave a
# picture alone.
#
# **Why it matters.** The other pages measure networks on noise that somebody has added and knows. Your picture is a
# file: nobody tells you how strong its noise is, its values are clipped at black and white and rounded to 8 bits, and
# there is no clean one.
#
# **What it needs.** No picture is needed: without one the page takes a photograph that comes with scikit-image.

# %%
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from skimage import data as photographs

from irnas_lib.baselines.wnnm import wnnm
from irnas_lib.benchmarks import own_pictures
from irnas_lib.data.datasets import FILE_SIGMAS, Picture, noisy_file
from irnas_lib.data.pictures import to_array, to_tensor, write_picture
from irnas_lib.evaluation import inference
from irnas_lib.experiments import runs
from irnas_lib.figures import before_after, interactive
from irnas_lib.files import run_folder
from irnas_lib.metrics import psnr
from irnas_lib.restore import networks, pictures
from irnas_lib.tables import frames

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
# Estimate, choose, restore, compare. The whole picture, before to the left of the divider and after to the right, and a
# crop of both, enlarged. In JupyterLab sliders move the divider and the crop. (Until the project has a network for
# noisy colour files, colour BM3D is better at every noise level that we measured; the table is at the end.)

# %% alt="A cat, noisy on the left of a divider and restored on the right, and a crop of both enlarged"
clean = None if picture else Picture("chelsea", photographs.chelsea())
photo = pictures.read(Path(picture)) if picture else pictures.Photo(noisy_file(clean, sigma).degraded, None, None)
height, width, channels = photo.array.shape
shipped = networks.known(runs.SHIPPED)
estimate = networks.estimated_sigma(photo.array)
chosen = networks.fitting(estimate, channels, shipped)
restored, seconds = photo.array, 0.0
if chosen:
    network = runs.trained_network(chosen, runs.SHIPPED)
    run, wanted = inference.restorer(network, device), pictures.channels_of(network)
    pictures.restore_picture(run, wanted, photo.array[:64, :64])  # the first call compiles
    began = time.process_time()
    restored = pictures.restore_picture(run, wanted, photo.array, title="restoring")
    seconds = time.process_time() - began
display(interactive.divider(photo.array, restored))


def quality(array):
    """PSNR in dB against the clean picture."""
    return psnr(to_tensor(array).unsqueeze(0), to_tensor(clean.clean).unsqueeze(0)).item()


print(f"{picture or clean.name}: {width}x{height} pixels, {'grey' if channels == 1 else 'colour'}")
if clean:
    print(f"PSNR against the clean picture: {quality(photo.array):.2f} dB before, {quality(restored):.2f} dB after")

# %% [markdown]
# **What to notice.** Look for detail that was removed together with the noise. Fine texture, such as fur, resembles
# noise most, and it goes first; PSNR loses little by it, because it is weak. The same crop beside the clean one, and
# beside WNNM ([notebook 5b](05b_classical_methods.ipynb)), which has learned nothing and works on each channel by
# itself:

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
    score = "" if not clean or name == "clean" else (
        f", {psnr(to_tensor(crop).unsqueeze(0), to_tensor(crops['clean']).unsqueeze(0)).item():.2f} dB")
    ax.set_title(name + score, size=10)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# WNNM, a classical method, is ahead of the network on this crop.
#
# ## How strong is the noise?
#
# White noise is as strong in the finest details as everywhere else, and a photograph has little there. So
# `networks.estimated_sigma` looks at the finest wavelet coefficients of the picture: their median, divided by that of
# noise of sigma 1, is the estimate (Donoho and Johnstone 1994, as scikit-image has it).

# %%
print(f"estimate: sigma {estimate:.1f}" + ("" if picture else f"; it was {sigma}"))
if clean:
    for true in FILE_SIGMAS:
        found = networks.estimated_sigma(noisy_file(clean, true).degraded)
        print(f"noise of sigma {true:2} is estimated at {found:5.1f}")

# %% [markdown]
# **What to notice.** Where there is no noise, fine detail such as fur passes for some. Strong noise is estimated too
# low, because a file cannot hold what lies beyond black and white. So the estimate is good enough to choose between a
# few networks, and not to be quoted.
#
# ## Which network fits?
#
# A network that was trained blind to sigma, on noisy files, comes first where the project ships one. Otherwise it is a
# network of the next higher sigma that is shipped (30, 50, 70): among these the one that was measured on most test
# pictures of [notebook 6](06_table1_bsd500.ipynb), and of several the one with the highest PSNR. Where the estimate is
# below a third of the smallest sigma, the picture is left as it is.

# %%
if chosen is None:
    print("none: the picture is left as it is")
else:
    print(chosen.stem)
    print(networks.misfit(chosen, estimate) or "its noise level fits")
    print(f"It takes {'grey' if wanted == 1 else 'RGB'} pictures"
          + (", so the three channels are restored one by one" if wanted < channels else ""))
    print(f"{seconds / (height * width / 1e6):.0f} s of processor time per megapixel")

# %% [markdown]
# Large pictures are cut into tiles, so that memory does not grow with the picture. Each tile is restored with 48 pixels
# around it, which is further than IR-NAS, DnCNN and RED look: with these the tiles give what the whole picture gives.
# N3Net, MemNet and NLRN look further, and a faint seam may stay.
#
# ## When to leave a picture alone
#
# The middle of the same photograph at several noise levels, measured by `python -m irnas_lib.benchmarks.own_pictures`:
# what the command makes of it, and colour BM3D, which estimates the noise itself and uses the three channels together.

# %%
scores = {(int(row["sigma"]), row["method"]): float(row["psnr"]) for row in own_pictures.read()
          if row["picture"] == "chelsea"}
display(frames.show(pd.DataFrame({
    "sigma": str(level), **{words: f"{scores[level, method]:.2f}" for method, words in (
        ("input", "noisy (dB)"), ("restore", "this page's steps (dB)"), ("BM3D, estimate", "colour BM3D (dB)"))}}
    for level in sorted({level for level, _ in scores}) if level), "PSNR of the middle of `chelsea`"))

# %% [markdown]
# **What to notice.** At sigma 5 the picture is left alone. At 10 the network already does harm, although the rule lets
# it pass. From 15 on it gains, and BM3D is ahead of it everywhere.
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
    estimate = networks.estimated_sigma(photo.array)
    chosen, restored, name = networks.fitting(estimate, photo.array.shape[2], shipped), photo.array, "left as it is"
    if chosen:
        network, name = runs.trained_network(chosen, runs.SHIPPED), chosen.stem
        restored = pictures.restore_picture(inference.restorer(network, device), pictures.channels_of(network),
                                           photo.array, title=source.name)
    write_picture(target, restored, photo.profile, photo.alpha)
    return photo.array, restored, f"{source.name}: noise of about sigma {estimate:.0f}; {name}"


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
# The project does not yet ship a network trained on noisy colour files. The one used here was trained on grey pictures
# with unclipped noise ([notebook 12](12_protocols.ipynb) measures what that costs), and BM3D is ahead of it.
#
# **What to take away.** Estimate first, restore second, and look for what was removed together with the noise. Further
# reading: [the noise estimate](https://doi.org/10.1093/biomet/81.3.425) and [denoising of real
# photographs](https://arxiv.org/abs/1807.04686).

# %% [markdown]
# ## Exercises
#
# **1** (easy). Set `sigma = 8`. What does the page do with the picture, and why?
#
# <details><summary>Solution</summary>
#
# It leaves the picture as it is. The noise is estimated at about 8, the smallest sigma of a network for grey pictures
# is 30, and below a third of that a network takes more from the picture than it gives. (Once a network that is blind to
# sigma is shipped for colour pictures, it comes first, and the answer changes.)
#
# </details>
#
# **2** (medium). Take the noisy photograph, restore it twice, and compare. What does the second pass remove?
#
# <details><summary>Solution</summary>
#
# The page's own steps remove nothing the second time: the estimate for the result of the first pass is below 1, so the
# picture is left as it is. Force the same network on it, and it removes picture. On a crop of
# 128x128 of `chelsea` the first pass goes from 20.3 to 27.2 dB, the second down to 25.1: what is left of the fur looks
# to the network like the noise that it was trained to expect.
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
# blocks. The estimate looks at the finest detail, where little is left, and gives 7 instead of 16, so the page does
# nothing. Forced, the network of the original noise reaches 26.6 dB, less than the 27.2 without JPEG.
#
# </details>
