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
# # 10. Tables 5 and 6: what the log-SSIM term is worth
#
# IR-NAS* is trained with mean squared error alone, IR-NAS** with the log-SSIM term of Eq. 7 beside it. (Section 4.4
# of the paper exchanges the two names once.) This page shows the term itself, then the two tables.

# %%
from importlib.metadata import version

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown, display

from irnas_lib import datasets, losses, metrics, paths, protocols, runs, tables
from irnas_lib.pictures import to_tensor

print({name: version(name) for name in ("torch", "torchvision", "numpy")}, runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## The two terms of the loss
#
# For a picture with more and more noise: mean squared error grows with the square of sigma, log10(1/SSIM) rises
# steeply at once and then flattens. Near a good restoration the second term pulls much harder than the first.

# %%
clean = to_tensor(datasets.load("denoising", "embedded").test[0].clean).unsqueeze(0)
sigmas = torch.arange(1, 71, 3)
noisy = [protocols.add_noise(clean, float(sigma), 0, "loss") for sigma in sigmas]
mse = torch.stack([losses.restoration_loss(x, clean, 0) for x in noisy])
term = torch.stack([losses.log_ssim(x, clean) for x in noisy])

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(sigmas, mse, "k-", label="mean squared error")
ax.plot(sigmas, 0.5 * term, "k--", label="0.5 log10(1 / SSIM)")
ax.set(xlabel="sigma of the noise left (grey levels)", ylabel="share of the loss", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# Their gradients tell more than their values: how strongly each term pulls at the pixels.

# %%
for sigma in (5, 25, 50):
    pulls = []
    for loss in (lambda x: losses.restoration_loss(x, clean, 0), lambda x: 0.5 * losses.log_ssim(x, clean)):
        x = protocols.add_noise(clean, sigma, 0, "loss").requires_grad_()
        pulls.append(torch.autograd.grad(loss(x), x)[0].norm().item())
    quality = metrics.psnr(x.detach(), clean).item()
    print(f"noise left {sigma:2} ({quality:.1f} dB): gradient norm of MSE {pulls[0]:.5f}, "
          f"of the SSIM term {pulls[1]:.5f} ({pulls[1] / pulls[0]:.1f} times)")

# %% [markdown]
# ## Table 5: BSD500

# %%
results, smoke = runs.all_results(profile), profile == "smoke"
csv, markdown, latex = tables.write(5, results, paths.run_folder(profile) / "figures", smoke=smoke)
display(Markdown(markdown.read_text()))

# %% [markdown]
# ## Table 6: Rain800

# %%
csv, markdown, latex = tables.write(6, results, paths.run_folder(profile) / "figures", smoke=smoke)
display(Markdown(markdown.read_text()))

# %% [markdown]
# ## The residual that is missing
#
# Every path from input to output of the paper's network runs through batch norm, and nothing adds the input back. In
# training mode a batch norm removes the batch's mean brightness, and the network cannot know it. The same untrained
# network, fed the same batch once as it is and once brighter by a constant, shows it: its output hardly moves. With
# the input added it follows.

# %%
from irnas_lib import systems  # noqa: E402

torch.manual_seed(0)
batch = clean[..., :64, :64].repeat(6, 1, 1, 1)
for system in ("IR-NAS", "IR-NAS + residual"):
    network = systems.build(system, 1, systems.published("denoising")).train()
    with torch.no_grad():
        moved = (network(batch + 0.2) - network(batch)).mean().item()
    print(f"{system}: input brighter by 0.200, output by {moved:.3f}")

# %% [markdown]
# ## Exercises
#
# 1. Why may the log-SSIM term raise PSNR as well, although mean squared error is what PSNR measures?
# 2. Eq. 7 has a lambda. What would you have to show to claim that 0.5 is the right one?
