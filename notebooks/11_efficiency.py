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
# # 11. What the network and its search cost
#
# **What you will learn.** How to count what can be counted (parameters, multiply-adds, that is one multiplication and
# one addition, and memory kept for the backward pass), how to time two networks fairly, and which of the paper's claims
# on cost hold.
#
# **Why it matters.** The paper claims a small and fast network, found by a search that takes a third of Auto-DeepLab's
# memory and six hours. Counts are the same on every machine; times are not.
#
# **What it needs.** [Notebook 2](02_search_space.ipynb): cells, levels of width, and Eq. 5 and 6.
#
# ## What we found
#
# - **Size.** The network was rebuilt so that it has the printed 0.63M parameters, where M is 2^20, as we take the
#   authors to count; so this agreement proves nothing. It has 195% of NLRN's parameters, where the paper prints 64%.
#   The printed 0.98M of NLRN equals what its authors' program keeps in a checkpoint while it trains: the 0.32M
#   parameters, two moments of each for Adam, and the batch norms' statistics.
# - **Time.** On a CPU the network needs 1.08 times the multiply-adds of DnCNN and about twice its time. About half of
#   the extra time goes with its deformable convolutions and the ordinary ones that predict their offsets. With plain
#   convolutions in their place it has fewer multiply-adds than DnCNN (0.81) and still takes 1.6 times as long.
# - **Memory of the search.** One cell for all incoming paths (Eq. 5) takes 0.54 of the memory of one cell per path (Eq.
#   6) in our own implementation. The paper's third is a comparison with Auto-DeepLab, which was not run here; counting
#   cells, sharing leaves three of seven in a layer of three widths.

# %%
import math

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display

from irnas_lib import operations
from irnas_lib.benchmarks import bench
from irnas_lib.evaluation import inference, systems
from irnas_lib.experiments import runs, times
from irnas_lib.figures import all, bench_plots, plots
from irnas_lib.genotypes import Genotype
from irnas_lib.kernels.deform import deform_conv
from irnas_lib.pipeline import profiles
from irnas_lib.supernet import Supernet
from irnas_lib.tables import frames, verdicts

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## How long does a picture take?
#
# All systems were timed in one run on a quiet machine, in turn for each picture, so that other work on the machine
# slows all of them alike. The filled dot is the paper's network.

# %% alt="Seconds a picture: IR-NAS third, for rain fifth" jupyter={"source_hidden": true} tags=["hide-input"]
recorded = times.load()
if not recorded:
    display(plots.not_run("Times"))
else:
    fig, axes = plt.subplots(1, len(recorded), figsize=(7.6, 3), layout="constrained", squeeze=False)
    for ax, (task, record) in zip(axes[0], sorted(recorded.items())):
        taken = {system: all_of_it / record["test_pictures"] for system, all_of_it in times.scaled(record).items()}
        taken = dict(sorted(taken.items(), key=lambda item: item[1]))
        for row, (system, each) in enumerate(taken.items()):
            ax.plot(each, row, "ko", markerfacecolor="k" if system == "IR-NAS" else "w")
            ax.annotate(f"{each:.2f}", (each, row), (8, 0), textcoords="offset points", va="center")
        ax.set(title=f"{task} ({record['dataset']})", xlabel="seconds per picture", xscale="log",
               yticks=range(len(taken)), yticklabels=taken)
        ax.set_xlim(right=6 * max(taken.values()))
        ax.invert_yaxis()
        rival = {"denoising": "BM3D", "deraining": "RESCAN"}[task]
        print(f"{task}, {record['device']}: IR-NAS {taken['IR-NAS']:.2f} s, {rival} {taken[rival]:.2f} s a picture")
    plt.show()

# %% [markdown]
# **What to notice.** The axes are logarithmic. Of the denoisers DnCNN and RED are faster than the paper's network; WNNM
# takes more than a hundred times as long. For rain, four systems are faster, RESCAN among them. BM3D always runs on one
# thread, also where the networks have two.
#
# ## The same arithmetic, twice the time
#
# The network and DnCNN need about the same arithmetic. Do they need the same time? If not, are the three deformable
# convolutions of each cell the reason? To find out, a third network has ordinary convolutions in their place.
#
# All three are timed on this machine, in turn. Only ratios are shown, because seconds depend on the machine. The batch
# norms are folded into the convolutions first: in evaluation they are a fixed scale and shift, which the weights can
# hold.

# %%
device, smoke = runs.best_device(), profile == "smoke"
height, width, turns = (128, 128, 3) if smoke else (321, 481, 7)

published = systems.published("denoising")
ordinary = Genotype([[("conv" if edge.operation == "def" else edge.operation, edge.source)
                      for edge in node] for node in published.genotype])
networks = {"DnCNN": systems.build("DnCNN", 1, published),
            "IR-NAS": systems.build("IR-NAS", 1, published),
            "IR-NAS, conv for def": systems.build("IR-NAS", 1, published._replace(genotype=ordinary))}
picture = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))


def timed(name):
    restore = inference.restorer(networks[name], device)
    return lambda: restore(picture).cpu()


# %% jupyter={"source_hidden": true} tags=["hide-input"]
rows, reference, first = [], timed("DnCNN"), systems.macs_per_pixel(networks["DnCNN"], 1)
slower = {name: bench.compare(timed(name), reference, "DnCNN", turns) for name in networks if name != "DnCNN"}
for name, network in networks.items():
    parameters, macs = systems.parameter_count(network), systems.macs_per_pixel(network, 1)
    ratio = slower.get(name, {"ratio": 1})["ratio"]
    rows.append({"network": name, "parameters": f"{parameters:,} ({parameters / 2 ** 20:.2f} x 2^20)",
                 "multiply-adds per pixel": f"{macs:,}", "over DnCNN's": f"{macs / first:.2f}",
                 "time over DnCNN's": f"{ratio:.2f}"})
display(frames.show(pd.DataFrame(rows), f"{width}x{height} pixels, {runs.device_name(device)}, median of {turns}"))
whole, left = (took["ratio"] for took in slower.values())
print(f"{(whole - left) / (whole - 1):.0%} of the extra time goes with the deformable convolutions; without them the "
      f"time per\nmultiply-add is {left / (systems.macs_per_pixel(networks['IR-NAS, conv for def'], 1) / first):.1f} "
      f"times DnCNN's, with them {whole / (systems.macs_per_pixel(networks['IR-NAS'], 1) / first):.1f}")

# %% [markdown]
# **What to notice.** IR-NAS takes about twice DnCNN's time for 1.08 times the multiply-adds, and about half of the
# extra time goes with its deformable convolutions. (Even a median of seven turns moves by some percent from one
# execution of this page to the next, so read no more than "half".) Deformable convolutions are slow, and they add
# arithmetic of their own, which predicts their offsets and masks. The time *per multiply-add* hardly changes: it is
# twice DnCNN's with them and without. That is what remains to be explained.
#
# The ratio depends on the threads and on what else the processor holds: here it is of one thread; the figure above
# gives 2.5 on two threads, with all systems in turn; a third measurement, on two threads with these two networks alone,
# gave 2.2 ([RESULTS.md](../RESULTS.md)).
#
# What else? The two networks use what they read from memory differently. DnCNN's convolutions have 64 channels, most of
# those of a cell 20. For one output pixel, these kernels read and multiply so many numbers, and take so long. (The
# numbers read are two extremes. For the ordinary kernels each input counts once, as if all neighbours shared it; a
# deformable kernel reads at places of its own, and each of its reads counts. Caches lie between, so that 720 is an
# upper bound. Its offsets lie between 0 and 1 here; larger ones were not timed.)

# %%
def kernels(channels):
    """What each kernel computes, and for an output pixel the numbers that it reads and multiplies."""
    shape = {"generator": torch.Generator().manual_seed(0)}
    x = torch.rand(1, channels, height, width, **shape).to(device, memory_format=torch.channels_last)
    conv, dil, depthwise, pointwise = (module.to(device) for module in (
        torch.nn.Conv2d(channels, channels, 3, padding=1), operations.Dilated(channels),
        operations.Depthwise(channels), operations.Pointwise(channels, channels)))
    offsets, masks = (torch.rand(1, count, height, width, **shape).to(device)
                      for count in (operations.OFFSETS, operations.MASKS))
    taps = 9
    return {
        "conv": (lambda: conv(x), channels, taps * channels ** 2),
        "dil": (lambda: dil(x), channels, taps * channels ** 2),
        "def": (lambda: deform_conv(x, offsets, conv.weight, conv.bias, padding=1, mask=masks),
                taps * 4 * channels, taps * channels ** 2),  # a tap lies between four pixels
        "sep, depthwise": (lambda: depthwise(x), channels, taps * channels),
        "sep, pointwise": (lambda: pointwise(x), channels, channels ** 2)}


# %% jupyter={"source_hidden": true} tags=["hide-input"]
wide, rows = kernels(64)["conv"], []
with torch.inference_mode():
    for name, (kernel, read, multiplied) in ({"conv of DnCNN": wide} | kernels(20)).items():
        slower = 1 if kernel is wide[0] else bench.compare(kernel, wide[0], "", turns)["ratio"] * wide[2] / multiplied
        rows.append({"kernel": name, "channels": "64" if kernel is wide[0] else "20", "numbers read": f"{read:,}",
                     "multiplications": f"{multiplied:,}", "per number read": f"{multiplied / read:.0f}",
                     "time per multiplication": f"{slower:.1f}"})
display(frames.show(pd.DataFrame(rows), f"per output pixel; time in units of DnCNN's, {runs.device_name(device)}"))

# %% [markdown]
# **What to notice.** A number that DnCNN's convolution reads is multiplied 576 times, and the kernels that use a number
# at most 20 times need several times as long for a multiplication. The published network has many of these: 1x1
# convolutions at the inputs of its cells, and depthwise ones behind them. A deformable kernel needs about five times as
# long as `conv` for the same multiplications; but the convolution that predicts its offsets and masks, with 54 outputs,
# has most of the arithmetic of a `def` edge and is an ordinary one. Counting multiply-adds hides all this. (The layers
# of the networks were not timed one by one, so this remains an explanation that fits, not a proof.)
#
# ## Memory of the search: Eq. 5 against Eq. 6
#
# With Eq. 6 every path into a layer has a cell of its own; with Eq. 5 they share one. [Notebook
# 2](02_search_space.ipynb) counts the paths: seven into the three cells of a layer, fewer in the first layers. For the
# paper's supernet:

# %%
paper = dict(layers=4, nodes=5, width=10)
for sharing, equation in (("cell", "Eq. 5"), ("edge", "Eq. 6")):
    supernet = Supernet(**paper, sharing=sharing)
    cells = sum(len(layer.cells) for layer in supernet.layers)
    weights = sum(p.numel() for p in supernet.weights())
    print(f"{equation}: {cells} cells, {weights:,} weights, {4 * weights / 2 ** 20:.1f} MB")

# %% [markdown]
# Most of the memory is not weights but activations that are kept for the backward pass. PyTorch calls a function given
# to `saved_tensors_hooks` with every tensor that autograd keeps, so their bytes can be added up. (The width is one that
# any machine can hold.) `recompute` keeps only the input of each cell, and computes the cell again when its gradients
# are due: a third more arithmetic for a fraction of the memory.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
def saved_bytes(**options) -> int:
    torch.manual_seed(0)
    supernet, kept = Supernet(4, 5, 2, **options), {}
    parameters = {p.untyped_storage().data_ptr() for p in (*supernet.parameters(), *supernet.buffers())}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = supernet(torch.rand(1, 1, 32, 32)).mean()
    total = sum(kept.values())
    del loss  # not before: memory that is freed and taken again would be counted once
    return total


shared, separate, recomputed = saved_bytes(), saved_bytes(sharing="edge"), saved_bytes(recompute=True)
print(f"kept for the backward pass, W=2, N=5, L=4: Eq. 5 {shared / 2 ** 20:.1f} MB, Eq. 6 {separate / 2 ** 20:.1f} MB "
      f"({separate / shared:.2f} times), Eq. 5 recomputed {recomputed / 2 ** 20:.1f} MB")

# %% [markdown]
# **What to notice.** Counted, Eq. 5 keeps 1/1.87 of what Eq. 6 keeps. That agrees with the ratio of the peaks of
# memory, 0.54, in the table of claims below. The paper states a third, against Auto-DeepLab. Our Eq. 6 stands in for
# it; against another implementation of Eq. 6, which computes edge by edge, the ratio is 0.28, but that has our faster
# cells in it too. So the third itself is neither confirmed nor refuted.
#
# ## How long the search takes
#
# The search of this profile is far shorter than the paper's, which took six hours on one GPU with W = 10, a batch of 12
# and 100 epochs.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
for job in profiles.load(profile):
    if job.notebook == "03_search":
        record = runs.find_search(profile, job.parameters["task"], job.parameters["seed"])
        if record is None:
            print(f"{job.name}: not run")
            continue
        settings = record["settings"]
        print(f"{record['task']}, seed {settings['seed']}: {record['seconds'] / 60:.1f} minutes, {record['device']};\n"
              f"  L={settings['layers']}, N={settings['nodes']}, W={settings['width']}, batch {settings['batch']}, "
              f"crop {settings['crop']}, {record['history'][-1]['iteration']} iterations")

# %% [markdown]
# ## The paper's claims on cost, one by one
#
# A share or a count can be compared; a time on other hardware cannot (the paper's is of a GTX 980).

# %% jupyter={"source_hidden": true} tags=["hide-input"]
claims = [verdict for verdict in verdicts.verdicts(verdicts.evidence(profile)) if verdict.page == "11_efficiency"]
display(frames.show(pd.DataFrame({
    "claim": verdict.claim, "printed": f"{verdict.printed:.4g} {verdict.unit}",
    "here": "" if math.isnan(verdict.measured) else f"{verdict.measured:.4g} {verdict.unit}",
    "verdict": verdict.verdict} for verdict in claims), "claims on size, memory and time"))

# %% [markdown]
# **What to notice.** Of eight claims none is confirmed by a measurement of its own: the parameter count set up the
# network (`fitted`), and no time can be compared. One claim differs: the share of NLRN is off by a factor of three. The
# paper prints 0.98M for NLRN. Its authors' [program](../REPRODUCTION.md#sources) has 340,099 parameters, as ours, or
# 0.32M. It trains with Adam, and its checkpoint keeps two moments of each parameter and the running statistics of the
# batch norms, 9,474 numbers: 3 · 340,099 + 9,474 = 1,029,771 numbers, or 0.98M. So the paper seems to have counted what
# is in a checkpoint, as it did for N3Net. The share of N3Net is off by one percentage point, which is no more than
# rounding: it is 0.63 / 0.68 in the paper, two numbers of two digits, and rounding alone allows anything from 91.2 to
# 94.1%. So it counts as `fitted`. Memory was measured against our own Eq. 6 and not against Auto-DeepLab, and cannot be
# compared. ([Notebook 16](16_verdicts.ipynb) has the rules.)
#
# **What to take away.** Compare two times only from one run on one machine, as a ratio. A network with few
# multiply-adds can still be slow where it uses each number that it reads only a few times. Further reading: [the
# roofline model](https://doi.org/10.1145/1498765.1498785).
#
# ## Appendix: how fast is this implementation?
#
# A class can skip this; it is for whoever changes the code. `make bench` measures each part against the obvious way to
# write it, both sides in turn on a quiet machine. The ratio is the median over turns (seven, in a few rows three or
# five), the range the largest ratio less the smallest. For the deformable convolution that range is nearly half of the
# ratio, so read 0.0239 as about 0.02. The rest is in `checkpoints/bench.json`. **Compare only within a row, by its
# ratio**: the rows were measured one after the other, and the machine was not equally fast for all. A step on 8,192
# pixels is two crops of 64x64 on one thread, against two steps of four crops of 32x32. (The peak memory of Eq. 5 has
# two rows: against the same implementation of Eq. 6, and against one that computes edge by edge.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
measured = {name: all.measurements(runs.SHIPPED, name) for name in ("bench", "growth", "precision")}
PARTS = {
    "deform_conv_20": "deformable convolution, 20 channels, forward and backward",
    "dilated_depthwise": "dilated depthwise convolution (of the ASPP)",
    "train_pixels": "training step on 8,192 pixels, IR-NAS + residual, bfloat16",
    "network_train": "training step of IR-NAS, float32",
    "network_train_bf16": "training step of IR-NAS, bfloat16",
    "supernet_step": "search step, time",
    "sharing_memory": "search step, peak memory, Eq. 5",
    "supernet_memory": "search step, peak memory, Eq. 5",
    "supernet_memory_recompute": "search step, peak memory, Eq. 5, cells computed twice"}


def amount(value, unit):
    """With a unit in which it has at most three digits."""
    small, large = unit == "s" and value < 1, unit == "MB" and value >= 1000
    return f"{1000 * value:.3g} ms" if small else f"{value / 1000:.1f} GB" if large else f"{value:.3g} {unit}"


display(frames.show(pd.DataFrame({
    "what": words, "ours": amount(part["value"], part["unit"]), "compared with": part["against"],
    "ratio": f"{part['ratio']:.3g}",
    "range": "" if part["spread"] is None else f"{part['spread']:.2g}"}
    for name, words in PARTS.items() if (part := measured["bench"].get(name))), "time or memory, ours and as a ratio"))

# %% [markdown]
# Time and peak memory of one supernet step along each axis of its size. An exponent of 1 means twice the cost for twice
# the size. The exponent for the side is near 2, because pixels grow with its square. That for layers exceeds 1 because
# the first layers hold fewer cells, and that for nodes because a cell of N nodes has N (N + 3) / 2 edges.

# %% alt="Time and memory of a supernet step against width, layers, nodes, batch and side, with exponents"
display(bench_plots.growth(measured["growth"]))

# %% [markdown]
# Over 200 iterations of IR-NAS on embedded pictures, training in bfloat16 gives the same curve of the loss as training
# in float32, which is no test of a longer run. Weights, batch norms and the loss stay in float32; only the network's
# arithmetic is shortened.

# %% alt="Training loss in float32 and in bfloat16 over 200 iterations: the two curves coincide"
display(bench_plots.precision(measured["precision"]))

# %% [markdown]
# ## Exercises
#
# **1** (easy). Count the incoming paths of a layer with five widths. What would Eq. 5 save there?
#
# <details><summary>Solution</summary>
#
# The outer two have two each, the inner three have three each: 13. Eq. 5 has five cells, so it saves a factor of 13 / 5
# = 2.6. (With more and more widths it tends to 3, which the paper prints for three of them.)
#
# </details>
#
# **2** (medium). At the next level of width a cell has 40 channels. How often is a number that is read multiplied
# there, in `conv` and in `def`? With how many channels would a deformable kernel reach DnCNN's 576?
#
# <details><summary>Solution</summary>
#
# With C channels `conv` reads C numbers and multiplies 9 C² times, so each number 9 C times: 360 at C = 40. `def` reads
# 4 · 9 · C numbers for 9 C² multiplications, so each C / 4 times: 10 at C = 40. It reaches 576 at 2,304 channels, a
# convolution at 64. The factor between the two is 36, whatever the width: four pixels for each of nine taps. It is the
# most that reading at places of its own can cost, since here no read of `def` is shared and every read of `conv` is; in
# the table of kernels a multiplication takes about seven units in `def` and 1.5 in `conv`, nearly five times as long.
#
# </details>
