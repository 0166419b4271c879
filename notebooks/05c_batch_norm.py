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
# # 5c. What a batch norm hides
#
# **What you will learn.** Why a network with a batch norm on every path can hardly tell, in training mode, how bright
# its input is; how adding the input to the output mends that; and how both show in a PSNR.
#
# **Why it matters.** As we rebuilt it from the text, the network of the paper has a batch norm on every path from its
# input to its output. (The authors' later version adds its input: [REPRODUCTION](../REPRODUCTION.md).) This explains
# several odd results of the course, in part at least: training curves that lie below what is then measured ([page
# 5](05_training.ipynb)), a loss that seems to cost PSNR ([page 10](10_tables_5_6_ablation.ipynb)), colours that come
# out wrong ([page 8](08_table3_rain800.ipynb)).
#
# **What it needs.** [Page 5](05_training.ipynb) for the loss and the loop. Four small networks are trained on the page:
# half a minute on a CPU. The trained networks of the last sections come with the project; without the data set they
# restore embedded pictures. The whole page took 11 minutes on one core.
#
# **What we found**
#
# - In training mode the network as published, trained with the paper's loss, does not follow how bright a batch is: of
#   0.2 more at its input, 0.007 reaches its output. Trained for squared error alone it is 0.157 (both after 18 million
#   pixels, one seed each), so brightness does get through if the loss asks for it. The zero padding is the way: with
#   reflected borders in the first convolution of that trained network, none of it reaches the output (exercise 4).
# - What this costs in evaluation mode depends on the training: 0.03 dB after 246 million pixels in batches of twelve
#   crops, 1.39 dB after 18 million in batches of four smaller ones (one seed each; whether pixels, batch or crop make
#   the difference was not separated). One line mends it, which gives each output the mean of its input.

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display
from torch import nn

from irnas_lib import losses
from irnas_lib.benchmarks import brightness
from irnas_lib.data import datasets
from irnas_lib.data.patches import Patches
from irnas_lib.data.pictures import to_array, to_tensor
from irnas_lib.evaluation import protocols, systems
from irnas_lib.experiments import results as result_files
from irnas_lib.experiments import runs
from irnas_lib.experiments.config import BUDGET, pixels
from irnas_lib.figures import plots
from irnas_lib.metrics import psnr
from irnas_lib.pipeline import profiles
from irnas_lib.tables import frames

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## A constant that cancels
#
# In training mode a [batch norm](https://arxiv.org/abs/1502.03167) takes the mean $\mu$ and the variance $\sigma^2$ of
# a channel $x$ over all pixels of all pictures of the batch, and returns
#
# $$\mathrm{BN}(x) = \gamma\, \frac{x - \mu(x)}{\sqrt{\sigma^2(x) + \epsilon}} + \beta.$$
#
# Make the whole batch brighter by a constant $c$. The mean grows by $c$, the variance stays, and so
#
# $$\mathrm{BN}(x + c) = \gamma\, \frac{x + c - \mu(x) - c}{\sqrt{\sigma^2(x) + \epsilon}} + \beta = \mathrm{BN}(x).$$
#
# A convolution in front does not change that: it turns the constant $c$ into another constant, $c$ times the sum of its
# weights. There is one exception. Near the border, zeros of the padding fill a part of the window, and only the other
# weights count.

# %% alt="Two maps of how far the output follows the input: zero padding lights up at the border, reflection is black"
photograph = to_tensor(datasets.load("denoising", "embedded").test[0].clean)[None, :, :48, :48]
photograph = protocols.add_noise(photograph, 50, 0, "border")
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
for ax, padding in zip(axes, ("zeros", "reflect")):
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, padding_mode=padding), nn.BatchNorm2d(16))
    with torch.no_grad():
        moved = (layer(photograph + 0.2) - layer(photograph)).abs().mean(dim=1)[0]
    image = ax.imshow(moved, cmap="gray", vmin=0, vmax=0.5)
    ax.set(title=f"padding: {padding}", xticks=[], yticks=[])
    border = torch.cat([moved[0], moved[-1], moved[1:-1, 0], moved[1:-1, -1]])
    print(f"padding {padding:8}mean change: {border.mean():.3f} at the border, {moved[1:-1, 1:-1].mean():.3f} inside")
fig.colorbar(image, ax=axes, label="change of the output")
plt.show()

# %% [markdown]
# **What to notice.** With reflected borders the output does not change when the input is brighter by 0.2. With zeros a
# trace is left: in the outermost pixels and, since these change the mean and the variance of the batch, a little
# everywhere.
#
# ## Four small networks
#
# Does training help? Here is one small network, trained four times to remove noise of sigma 50: with and without its
# input added to the output, for mean squared error and for the loss of Eq. 7. Nothing else differs: each begins with
# the same weights and sees the same 300 batches of eight crops.
#
# ```
# noisy ─┬─ [convolution, batch norm, ReLU] x 4 ─ convolution ─(+)─ restored
#        └─────────────────── input added ──────────────────────┘
# ```

# %%
class Small(nn.Module):
    """Four times convolution, batch norm and ReLU, then a convolution to one channel."""

    def __init__(self, add_input):
        super().__init__()
        self.add_input = add_input
        layers = []
        for inputs in (1, 16, 16, 16):
            layers += [nn.Conv2d(inputs, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Conv2d(16, 1, 3, padding=1))

    def forward(self, x):
        return self.body(x) + x if self.add_input else self.body(x)


def train(add_input, loss_lambda, steps=300):
    torch.manual_seed(0)
    network = Small(add_input)
    optimizer = torch.optim.AdamW(network.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 30) * (1 - step / steps)
        noisy, clean = crops.batch(8, 0, 0, step)
        loss = losses.restoration_loss(network(noisy), clean, loss_lambda)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def in_training_mode(network):
    """The network with the statistics of each batch; its fixed statistics stay as they are."""
    for module in network.modules():
        module.momentum = 0.0
    return network.train()


photographs = datasets.load("denoising", "embedded")
crops = Patches(photographs.train, crop=32, sigmas=(50,))
noisy, clean = Patches(photographs.test, crop=32, sigmas=(50,)).batch(64, 0, 0)
trained = {(add_input, weight): train(add_input, weight) for add_input in (False, True) for weight in (0, 0.5)}
rows = []
with torch.no_grad():
    for (add_input, weight), network in trained.items():
        evaluated = psnr(network.eval()(noisy), clean).mean().item()
        moved_evaluated = (network(noisy + 0.2) - network(noisy)).mean().item()
        network = in_training_mode(network)
        alone, eight = (torch.cat([psnr(network(x), y) for x, y in zip(noisy.split(n), clean.split(n))]).mean().item()
                        for n in (1, 8))
        moved = torch.stack([(network(x + 0.2) - network(x)).mean() for x in noisy.split(8)]).mean().item()
        rows.append({"input added": "yes" if add_input else "no", "lambda": f"{weight:g}",
                     "output shift, training mode": f"{moved:.3f}",
                     "output shift, evaluation mode": f"{moved_evaluated:.3f}", "PSNR alone": f"{alone:.1f}",
                     "PSNR of eight": f"{eight:.1f}", "PSNR, evaluation": f"{evaluated:.1f}"})
display(frames.show(pd.DataFrame(rows), "Output shift: how much brighter the output is when the input is brighter by "
                    "0.2. PSNR in dB, in training mode with one crop and with eight per batch, and in evaluation mode"))

# %% [markdown]
# **What to notice.**
#
# - Without the input added, the output does not shift in training mode, whatever the loss: 300 steps have taught the
#   network nothing about brightness, and it scores 12 to 15 dB in that mode. (These networks have zero padding, too.
#   Trained for longer they might learn to use it, as IR-NAS* below does; that was not tried.)
# - The two columns of training mode are there to show what the network learns from; nobody would restore with it. In
#   evaluation mode a batch norm uses fixed statistics and is no more than a factor and an offset. Brightness passes,
#   and the same weights score much higher, though they were never trained in this mode.
# - With the input added, the two modes are within 1.2 dB of each other.
#
# ## A dark crop and a bright crop
#
# Each crop below is a batch of its own. The diagram shows for all 64 how bright the crop is, and how bright its
# restored version.

# %% alt="A dark and a bright crop: both are restored to medium grey without the input added, and rightly with it"
order = clean.mean(dim=(1, 2, 3)).argsort()
pairs = [order[3], order[-4]]
alone = {add_input: torch.cat([in_training_mode(trained[add_input, 0])(x) for x in noisy.split(1)]).detach()
         for add_input in (False, True)}
fig, axes = plt.subplots(2, 4, figsize=(8.4, 4.6), layout="constrained")
for row, i in zip(axes, pairs):
    shown = {"clean": clean[i], "noisy": noisy[i], "restored": alone[False][i], "restored, input added": alone[True][i]}
    for ax, (title, picture) in zip(row, shown.items()):
        ax.imshow(to_array(picture), cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[], xlabel=f"mean {picture.mean():.2f}")
        if i == pairs[0]:
            ax.set_title(title)
plt.show()

# %% alt="Mean brightness of restored against clean crops: flat without the input added, on the diagonal with it"
fig, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
for add_input, marker, label in ((False, "o", "input not added"), (True, "^", "input added")):
    ax.plot(clean.mean(dim=(1, 2, 3)), alone[add_input].mean(dim=(1, 2, 3)), f"k{marker}", markerfacecolor="w",
            label=label)
ax.axline((0, 0), slope=1, color="0.6", linewidth=1)
ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean of the clean crop", ylabel="mean of the restored crop, training mode")
ax.legend()
plt.show()

# %% [markdown]
# **What to notice.** Alone in its batch, every crop is restored to nearly the same medium grey. A network that does not
# know the brightness can do no better than to guess the mean over its training pictures. A batch of eight shares one
# guess, so differences between its crops survive and only their common brightness is lost. This is why PSNR in training
# mode rises with the number of crops in a batch.
#
# How much of the loss is that? The part of the squared error that one constant per batch would remove is the squared
# difference between the batch's mean brightness and its restored mean.

# %%
with torch.no_grad():
    for add_input in (False, True):
        network = in_training_mode(trained[add_input, 0])
        for n in (1, 8):
            restored = torch.stack([network(x) for x in noisy.split(n)])
            wanted = torch.stack(clean.split(n))
            error = (restored - wanted).square().mean().item()
            of_means = (restored - wanted).mean(dim=(1, 2, 3, 4)).square().mean().item()
            print(f"input {'added' if add_input else 'not added':9}, {n} per batch: squared error {error:.4f}, "
                  f"of it {100 * of_means / error:3.0f}% brightness")

# %% [markdown]
# ## The paper's network, before training
#
# The same untrained network is fed the same batch once as it is and once brighter by a constant, in training mode.

# %%
torch.manual_seed(0)
batch = to_tensor(photographs.test[0].clean)[None, :, :64, :64].repeat(6, 1, 1, 1)
for system in ("IR-NAS", "IR-NAS + residual", "DnCNN"):
    architecture = None if system == "DnCNN" else systems.published("denoising")
    network = systems.build(system, 1, architecture).train()
    with torch.no_grad():
        moved = (network(batch + 0.2) - network(batch)).mean().item()
    print(f"{system:18}input brighter by 0.200, output by {moved:.3f}")

# %% [markdown]
# ## The paper's network, trained
#
# Four networks that were trained on BSD500: the one as published, at two budgets; IR-NAS*, which is the same trained
# for mean squared error alone, at the smaller budget; and the one with the input added. They restore crops of pictures
# that they have not seen, with fixed statistics and with those of batches of several sizes.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
sizes = (1, 2, 4, 8, 16)
results, smoke = runs.all_results(profile), profile == "smoke"
pictures = datasets.load_or_embedded("denoising", profiles.datasets(profile)["denoising"], data)
degraded, wanted = Patches(pictures.test, crop=64 if not smoke else 32, sigmas=(50,)).batch(16, 0, 0)
longest = {system: result_files.best(results, "denoising", system, 50, smoke=smoke)
           for system in ("IR-NAS", "IR-NAS*", "IR-NAS + residual")}
alike = [result for result in results if longest["IR-NAS*"] and BUDGET(result) == BUDGET(longest["IR-NAS*"]) and (
    result.task, result.system, result.sigma) == ("denoising", "IR-NAS", 50) and result_files.has_usual_loss(result)]
quality, lines = {}, []
for result in filter(None, (longest["IR-NAS"], *alike[:1], longest["IR-NAS*"], longest["IR-NAS + residual"])):
    folder = next((folder for folder in runs.folders(profile) if runs.at_hand(result, folder)), None)
    if folder is None:
        continue
    network = systems.build(result.system, 1, systems.published("denoising")).to(memory_format=torch.channels_last)
    runs.load_network(network, result, folder)
    with torch.no_grad():
        fixed = torch.cat([psnr(network.eval()(x), y) for x, y in zip(degraded.split(8), wanted.split(8))])
        network = in_training_mode(network)
        found = [torch.cat([psnr(network(x), y) for x, y in zip(degraded.split(size), wanted.split(size))])
                 for size in sizes]
        moved = (network(degraded[:4] + 0.2) - network(degraded[:4])).mean()
        moved_evaluated = (network.eval()(degraded[:4] + 0.2) - network(degraded[:4])).mean()
    name = f"{result.system}, {pixels(result) / 1e6:.0f} million pixels"
    quality[name] = [each.mean().item() for each in found], fixed.mean().item()
    lines.append({"network": result.system, "lambda": f"{result.loss_lambda:g}",
                  "million pixels": f"{pixels(result) / 1e6:.0f}", "output shift, training mode": f"{moved:.3f}",
                  "output shift, evaluation mode": f"{moved_evaluated:.3f}", "PSNR alone": f"{quality[name][0][0]:.2f}",
                  "PSNR of 16": f"{quality[name][0][-1]:.2f}", "PSNR, evaluation": f"{quality[name][1]:.2f}"})
if lines:
    display(frames.show(pd.DataFrame(lines), "Output shift: how much brighter the output is when the input is brighter "
                        "by 0.2. PSNR in dB, in training mode with one crop and with 16 in a batch, and in evaluation "
                        "mode"))

# %% alt="PSNR in training mode against crops in the batch, and in evaluation mode, for four networks"
if quality:
    fig, ax = plt.subplots(figsize=(8.4, 3.4), layout="constrained")
    for (name, (training, evaluation)), style, marker in zip(quality.items(), ("-", "-.", "--", ":"), "oDs^"):
        ax.plot(sizes, training, f"k{style}{marker}", markerfacecolor="w", label=name)
        ax.plot(40, evaluation, f"k{marker}", markerfacecolor="w")
    ax.set(xscale="log", xlim=(0.85, 60), xlabel="crops in the batch, training mode", ylabel="PSNR (dB)")
    ax.set_xticks([*sizes, 40], labels=[*map(str, sizes), "evaluation\nmode"])
    ax.minorticks_off()
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()
else:
    display(plots.not_run("Training mode against evaluation mode"))

# %% [markdown]
# **What to notice.**
#
# - As published, with the log-SSIM term and no input added, the output does not follow the batch's brightness in
#   training mode even after 246 million pixels, and PSNR there depends on how many crops share a mean. In evaluation
#   mode it follows.
# - At the equal budget of 18 million pixels the loss makes the difference: with the term the output shifts by 0.007,
#   trained for mean squared error alone by 0.157 of 0.2 (one seed each). So the same network can learn brightness in
#   great part. It does so by the zero padding of its first convolution, as exercise 4 shows: with reflected borders
#   there, the output does not shift.
# - The network of 246 million pixels was trained in batches of twelve crops, those of 18 million in batches of four.
#   This may be why it suffers more from few crops.
#
# ## What it costs in evaluation mode
#
# Fixed statistics let brightness through, but the network was not trained with them. Is the output as bright as it
# should be? Noise has a mean of zero, so the mean of a noisy picture is nearly that of the clean one, and an output can
# be shifted to the mean of its input. What a network gains by that is what its wrong brightness had cost. (`python -m
# irnas_lib.benchmarks.brightness` measured it, on every tenth test picture, `strict`; in a measurement of its own,
# whose last digit may differ from page 6's.)

# %%
known = {} if smoke else brightness.load()
rows = [{"network": result.system, "lambda": f"{result.loss_lambda:g}",
         "million pixels": f"{pixels(result) / 1e6:.0f}", "mean is off by": f"{found['off']:.1f}",
         "PSNR / SSIM": f"{found['psnr']:.2f} / {found['ssim']:.4f}",
         "with the mean of the input": f"{found['shifted_psnr']:.2f} / {found['shifted_ssim']:.4f}"}
        for result in sorted(results, key=lambda result: (result.system, pixels(result) or 0))
        if (found := known.get(result.stem))]
display(frames.show(pd.DataFrame(rows), "Evaluation mode, sigma 50: root mean square of the error of a picture's mean, "
                    "on the 0-255 scale; PSNR (dB) and SSIM without and with the input's mean"))

# %% [markdown]
# **What to notice.**
#
# - After 18 million pixels the network as published makes pictures too bright or too dark. That costs it 1.39 dB. With
#   the mean of its input it has 24.68 dB, and IR-NAS*, trained without the log-SSIM term, 24.69 with the mean of its
#   input: the rest cannot be told from nothing (one seed each; two runs of one recipe may lie ± 0.78 dB apart). So what
#   can be seen of the term's cost in PSNR, in this pair, is brightness, which one line mends: `restored + (noisy -
#   restored).mean()`.
# - SSIM is hardly affected by that error: the shift is worth 1.39 dB of PSNR and 0.0022 of SSIM. So the SSIM term gives
#   the network little reason to learn brightness. The squared error does; that the term outweighs it is our guess.
# - After 246 million pixels in batches of twelve crops, 0.03 dB is left to mend.
#
# ## Where you meet this again
#
# - A training curve is drawn in training mode. That of a network which does not add its input lies below what [page
#   5](05_training.ipynb) then measures.
# - Without the input added, the price of the log-SSIM term in the pair of runs above is brightness that is not learned.
#   [Page 10](10_tables_5_6_ablation.ipynb) has two more pairs, of 10 million pixels, in which the term has no price in
#   PSNR that can be seen.
# - With the input added, the term raises PSNR as well as SSIM in the short runs of [page
#   10b](10b_what_a_recipe_is_worth.ipynb), and lowers PSNR in the four small networks of this page, from 23.5 to 21.8
#   dB.
# - In colour each channel can lose its own mean: the rain networks of [page 8](08_table3_rain800.ipynb), which shows it
#   on one crop, and the camera networks of [page 7](07_table2_sim1800.ipynb) get hues wrong.
# - The cells that pages [13](13_does_the_search_matter.ipynb) and [14](14_searching_in_a_table.ipynb) compare all add
#   their input; otherwise the comparison would rank them by how well they learn brightness.
#
# **What to take away.** A batch norm in training mode removes the mean of its batch. Zero padding can let a trace of it
# through, which a network would have to learn to use. A restoration network is safer with a bypass, such as the input
# added to the output, as in [DnCNN](https://arxiv.org/abs/1608.03981), or without batch norms, as in
# [EDSR](https://arxiv.org/abs/1707.02921), above all in short training runs.

# %% [markdown]
# ## Exercises
#
# **1** (easy). DnCNN has batch norms in all but its first and last layers. Predict how far its output shifts when the
# input is brighter by 0.2, and say why.
#
# <details><summary>Solution</summary>
#
# By 0.2. DnCNN estimates the noise and subtracts it from its input, so brightness bypasses the batch norms. The
# estimate itself is hardly affected: the output of the DnCNN above shifts by 0.201 before any training.
#
# </details>
#
# **2** (medium). Replace each batch norm of `Small` by an instance norm, which takes the mean and the variance of each
# picture separately, in evaluation mode too. Which columns of the table change, and how?
#
# <details><summary>Solution</summary>
#
# The three columns of PSNR become one: an instance norm does the same in both modes, and crops do not share statistics.
# Without the input added that is 14.4 dB on these crops, because each is always alone and nothing lets its brightness
# through; with it, 23.8 dB. This makes an instance norm right for changing the style of a picture, where brightness and
# contrast should be ignored, and wrong for restoring it.
#
# </details>
#
# **3** (hard). Let crops have mean brightnesses that are independent, with variance $V$ about the training mean. How
# does the brightness part of the squared error depend on the number $n$ of crops in a batch? Compare with what the page
# prints for the network without the input added, and say what else enters.
#
# <details><summary>Solution</summary>
#
# The guess is the training mean, the truth the mean over the batch, so the part is the variance of a mean of $n$: $V /
# n$. It should fall to an eighth from one crop to eight. On this page it is 87% of 0.0831, about 0.072, for one crop
# and 57% of 0.0455, about 0.026, for eight: it falls to 1/2.8 only. It falls by less, because the means are neither
# independent (crops come from a few photographs) nor centred: these test photographs are brighter than the training
# ones, an error that all batches share and that no $n$ reduces.
#
# </details>
#
# **4** (medium). "The zero padding is the way": test that on IR-NAS\*, whose output shifts by 0.157. What do you
# predict for reflected borders in its first convolution alone, and what for larger crops?
#
# <details><summary>Solution</summary>
#
# With reflected borders the first convolution turns a constant into a constant, which the batch norm behind it removes:
# no later layer sees whether the input was brighter. So the shift has to be zero, although nothing was trained anew,
# and it is: this prints 0.157 for zeros and nothing but rounding for reflection. (The page has to have run with the
# trained networks, as shown here.)
#
# ```python
# result = longest["IR-NAS*"]
# folder = next(folder for folder in runs.folders(profile) if runs.at_hand(result, folder))
# network = systems.build(result.system, 1, systems.published("denoising"))
# runs.load_network(network, result, folder)
# in_training_mode(network)
# for padding in ("zeros", "reflect"):
#     network.stem[0][0].padding_mode = padding
#     with torch.no_grad():
#         moved = (network(degraded[:4] + 0.2) - network(degraded[:4])).mean().item()
#     print(f"first convolution, padding {padding}: {moved:.3f}")
# ```
#
# Larger crops have relatively less border, so the shift should fall, and it does, but slowly: with crops of 192 pixels
# it is still about half of 0.2. How the trace gets from the border to the inside was not looked into.
#
# </details>
