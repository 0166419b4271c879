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
# The other pages measure networks on noise that somebody has added and knows. Your own picture is a file: nobody says
# how strong its noise is, its values are clipped at black and white and rounded to 8 bits, and nobody has the clean
# one. This page takes one file through the steps of `python -m irnas_lib.restore`: estimate the noise, take the network
# that fits, restore, compare, save. The last cell takes a picture of your own.

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
# A network that was trained blind to sigma, on noisy files, goes first where the project ships one for the picture's
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
    before, after = (psnr(*(to_tensor(one).unsqueeze(0) for one in (array, clean.clean))).item()
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
#
# ## Exercises
#
# 1. Set `sigma = 8`. What does the page do with the picture, and why?
# 2. Take the noisy photograph, restore it twice, and compare. What does the second pass remove?
# 3. Save a noisy picture as JPEG of quality 50, and restore that. Which assumption about the noise is broken?
