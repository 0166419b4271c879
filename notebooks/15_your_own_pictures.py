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
# irnas_lib.restore`: estimate the noise, take the network that fits, restore, compare, save. And when to leave a
# picture alone.
#
# **Why it matters.** The other pages measure networks on noise that somebody has added and knows. Your picture is a
# file: nobody says how strong its noise is, its values are clipped at black and white and rounded to 8 bits, and nobody
# has the clean one.
#
# **What it needs.** No picture is needed: without one the page takes a photograph that comes with scikit-image. What it
# lacks so far is a network that has learned the noise of colour files: none is shipped yet, so the networks here have
# learned grey pictures with unclipped noise, which [notebook 12](12_protocols.ipynb) advises against, and N3Net is the
# one of them that fits this noise.

# %%
import time
from pathlib import Path

from skimage import data as photographs

from irnas_lib.data.datasets import FILE_SIGMAS, Picture, noisy_file
from irnas_lib.data.pictures import to_tensor, write_picture
from irnas_lib.evaluation import inference
from irnas_lib.experiments import runs
from irnas_lib.figures import interactive
from irnas_lib.files import run_folder
from irnas_lib.metrics import psnr
from irnas_lib.restore import networks, pictures

device = runs.best_device()
print(runs.versions("torch", "numpy", "scikit-image", "ipywidgets"), "on", runs.device_name(device))

# %% [markdown]
# The parameters. `picture` is a file of your own; where it is empty the page takes a photograph that comes with
# scikit-image and adds noise of `sigma` grey levels to it.

# %% tags=["parameters"]
profile = "smoke"
data = ""
picture = ""
sigma = 25

# %%
clean = None if picture else Picture("chelsea", photographs.chelsea())
photo = pictures.read(Path(picture)) if picture else pictures.Photo(noisy_file(clean, sigma).degraded, None, None)
height, width, channels = photo.array.shape
megapixels = height * width / 1e6
print(f"{picture or clean.name}: {width}x{height} pixels, {megapixels:.2f} megapixels, "
      f"{'grey' if channels == 1 else 'colour'}")

# %% [markdown]
# ## How strong is the noise?
#
# White noise is as strong in the finest details as everywhere else, and a photograph has little there. So
# `networks.estimated_sigma` looks at the finest wavelet coefficients of the picture: their median, divided by that of
# noise of sigma 1, is the estimate (Donoho and Johnstone 1994, as scikit-image has it).

# %%
estimate = networks.estimated_sigma(photo.array)
print(f"estimate: sigma {estimate:.1f}" + ("" if picture else f"; it was {sigma}"))
if clean:
    for true in FILE_SIGMAS:
        found = networks.estimated_sigma(noisy_file(clean, true).degraded)
        print(f"noise of sigma {true:2} is estimated at {found:5.1f}")

# %% [markdown]
# **What to notice.** Where there is no noise, fine detail such as fur passes for some. Strong noise comes out too weak,
# for a file cannot hold what lies beyond black and white. So the estimate is good enough to choose between a few
# networks, and not to be quoted.
#
# ## Which network fits?
#
# A network that was trained blind to sigma, on noisy files, comes first where the project ships one for the picture's
# channels. Otherwise it is the network of the next sigma; where there is less noise than any network knows, the picture
# is better left as it is.

# %%
shipped = networks.known(runs.SHIPPED)
chosen = networks.fitting(estimate, channels, shipped)
if chosen is None:
    print("none: the picture is left as it is")
else:
    network = runs.trained_network(chosen, runs.SHIPPED)
    run, wanted = inference.restorer(network, device), pictures.channels_of(network)
    print(chosen.stem)
    print(networks.misfit(chosen, estimate) or "it knows such noise")
    print(f"It takes {'grey' if wanted == 1 else 'RGB'} pictures"
          + (", so the three channels go through one by one" if wanted < channels else ""))

# %% [markdown]
# ## Restore
#
# Large pictures are cut into tiles, so that memory does not grow with the picture. Each tile is seen with 48 pixels
# around it, which is further than IR-NAS, DnCNN and RED look: with these the tiles give what the whole picture gives.
# N3Net, MemNet and NLRN look further, and a faint seam may stay.

# %%
restored = photo.array
if chosen:
    pictures.restore_picture(run, wanted, photo.array[:64, :64])  # the first call compiles
    began, computing = time.monotonic(), time.process_time()
    restored = pictures.restore_picture(run, wanted, photo.array, title="restoring")
    seconds, computing = time.monotonic() - began, time.process_time() - computing
    print(f"a megapixel takes {seconds / megapixels:.0f} s on {runs.device_name(device)}; "
          f"{computing / megapixels:.0f} s of core time, whatever else this machine does")
if clean:
    before, after = (psnr(*(to_tensor(image).unsqueeze(0) for image in (array, clean.clean))).item()
                     for array in (photo.array, restored))
    print(f"PSNR against the clean picture: {before:.2f} dB before, {after:.2f} dB after")

# %% [markdown]
# ## Before and after
#
# The whole picture, before to the left of the divider and after to the right, and a crop of both, enlarged. In
# JupyterLab sliders move the divider and the crop.

# %% alt="The picture before and after on the two sides of a divider, and a crop of both enlarged"
interactive.divider(photo.array, restored)

# %% [markdown]
# **What to notice.** Look for what has gone with the noise. Fine texture, such as fur, is what noise resembles most,
# and it goes first; PSNR loses little by it, for it is weak.
#
# ## Save
#
# A PNG keeps every value. Colour profile and transparency go with the picture.

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
# **What to take away.** Estimate first, restore second, and look at what has gone with the noise. Further reading: [the
# noise estimate](https://doi.org/10.1093/biomet/81.3.425) and [denoising of real
# photographs](https://arxiv.org/abs/1807.04686).

# %% [markdown]
# ## Exercises
#
# **1** (easy). Set `sigma = 8`. What does the page do with the picture, and why?
#
# <details><summary>Solution</summary>
#
# It leaves the picture as it is. The noise is estimated at about 8 grey levels, the weakest that a network for grey
# pictures knows here is 30, and below a third of that a network takes more from the picture than it gives. (Once a
# network that is blind to sigma is shipped for colour pictures, it comes first, and the answer changes.)
#
# </details>
#
# **2** (medium). Take the noisy photograph, restore it twice, and compare. What does the second pass remove?
#
# <details><summary>Solution</summary>
#
# The page's own steps remove nothing the second time: of what came out of the first pass the estimate is below one grey
# level, so that the picture is left as it is. Force the same network on it, and it removes picture. On a crop of
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
# blocks. The estimate looks at the finest detail, where little is left, and says 7 instead of 16 grey levels, so the
# page does nothing. Forced, the network of the original noise reaches 26.6 dB, less than the 27.2 without JPEG.
#
# </details>
