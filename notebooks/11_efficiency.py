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
# **What you will learn.** How to count what can be counted (parameters, multiply-adds, memory kept for the backward
# pass), how to time two networks fairly, and which of the paper's claims on cost hold.
#
# **Why it matters.** The paper claims a small and fast network, found by a search that takes a third of Auto-DeepLab's
# memory and six hours. Counts are the same on every machine; times are not.
#
# **What it needs.** [Notebook 2](02_search_space.ipynb): cells, levels of width, and Eq. 5 and 6.
#
# ## What we found
#
# - **Size.** The network has the printed 0.63M parameters, from which its path was inferred. It is nearly twice as
#   large as NLRN, where the paper has it at 64%: NLRN shares the weights of one block over all its steps.
# - **Time.** On a CPU the network needs about as much arithmetic per pixel as DnCNN, and more than twice its time,
#   because its deformable convolutions read much more memory.
# - **Memory of the search.** One cell for all incoming paths (Eq. 5) takes 0.54 of the memory of one cell per path
#   (Eq. 6), not a third. Auto-DeepLab itself was not run: both are our own implementation.

# %%
import math
import textwrap

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display

from irnas_lib.benchmarks import bench
from irnas_lib.evaluation import inference, systems
from irnas_lib.experiments import runs, times
from irnas_lib.figures import all, bench_plots, plots
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
# All systems in one run on a quiet machine, in turn for each picture, so that whatever else the machine does affects
# all alike. Where the paper's network stands is marked by the darker bar.

# %% alt="Seconds per picture of each system: IR-NAS is third of denoisers behind DnCNN and RED, fifth for rain"
recorded = times.load()
if not recorded:
    display(plots.not_run("Times"))
else:
    fig, axes = plt.subplots(1, len(recorded), figsize=(7.6, 3.2), layout="constrained", squeeze=False)
    for ax, (task, record) in zip(axes[0], sorted(recorded.items())):
        taken = {system: seconds / record["test_pictures"] for system, seconds in times.scaled(record).items()}
        taken = dict(sorted(taken.items(), key=lambda item: item[1]))
        ax.barh(list(taken), list(taken.values()), edgecolor="k", linewidth=0.6,
                color=["0.45" if system == "IR-NAS" else "0.85" for system in taken])
        ax.set(title=f"{task} ({record['dataset']})", xlabel="seconds per picture", xscale="log")
        ax.invert_yaxis()
        print(textwrap.fill(f"{task}, {record['device']}: " + ", ".join(
            f"{name} {each:.2f} s" for name, each in taken.items()), 100, subsequent_indent="    "))
    plt.show()

# %% [markdown]
# **What to notice.** The axes are logarithmic. Of the denoisers DnCNN and RED are faster than the paper's network,
# N3Net and the classical methods slower; WNNM takes more than a hundred times as long. (Times on other pages are of
# other runs: [notebook 5b](05b_classical_methods.ipynb) has BM3D on one thread, beside other work.)
#
# ## Parameters and multiply-adds
#
# The network and DnCNN need about the same arithmetic per pixel.

# %%
networks = {system: systems.build(system, 1, systems.published("denoising")) for system in ("IR-NAS", "DnCNN")}
for system, network in networks.items():
    count = systems.parameter_count(network)
    print(f"{system:8} {count:>8,} parameters ({count / 2 ** 20:.3f} x 2^20), "
          f"{systems.macs_per_pixel(network, 1):>8,} multiply-adds per pixel")

# %% [markdown]
# ## The same arithmetic, twice the time
#
# Both networks on this machine in the same run, in turn; the median of several turns. Only the ratio is shown, because
# seconds depend on the machine and on what else it does. The batch norms of both are folded into their convolutions
# first: in evaluation they are a fixed scale and shift, which the weights can hold.

# %%
device = runs.best_device()
shape, turns = ((1, 1, 128, 128), 3) if profile == "smoke" else ((1, 1, 321, 481), 5)
picture = torch.rand(shape, generator=torch.Generator().manual_seed(0))
restorers = {system: inference.restorer(network, device) for system, network in networks.items()}
both = bench.compare(*(lambda restore=restore: restore(picture).cpu() for restore in restorers.values()),
                     "DnCNN", turns)
print(f"{shape[-1]}x{shape[-2]} pixels on {runs.device_name(device)}: "
      f"IR-NAS takes {both['ratio']:.1f} times DnCNN's time")

# %% [markdown]
# What decides, if not the arithmetic? How many numbers are read from memory for it. For one output pixel with 20
# channels in and out, the kernels of the paper's operations read and multiply:

# %%
channels, taps = 20, 9
work = {"conv, dil": (channels, taps * channels ** 2),  # neighbouring pixels share what their taps read
        "def": (taps * 4 * channels, taps * channels ** 2),  # each tap at its own place, between four pixels
        "sep, depthwise": (channels, taps * channels),
        "sep, pointwise": (channels, channels ** 2)}
display(frames.show(pd.DataFrame({
    "kernel": name, "numbers read": f"{read:,}", "multiplications": f"{multiplied:,}",
    "multiplications per number read": f"{multiplied / read:.0f}"}
    for name, (read, multiplied) in work.items()), f"per output pixel, {channels} channels"))

# %% [markdown]
# **What to notice.** An ordinary convolution multiplies every number that it reads 180 times, a deformable one five
# times, because each of its taps reads at a place of its own. The published cell has three deformable convolutions
# on its ten edges. Counting multiply-adds hides what they cost.
#
# ## Memory of the search: Eq. 5 against Eq. 6
#
# With Eq. 6 every path into a layer has a cell of its own. A layer of three widths has seven incoming paths: the
# narrowest and the widest have two each, the middle one three. So its cells grow by seven thirds, and so do the
# activations that are kept for the backward pass. The paper's text says three times; counting gives 2.3, and for four
# layers, the first of which have fewer paths, less than twice:

# %%
paper = dict(layers=4, nodes=5, width=10)
for sharing, equation in (("cell", "Eq. 5"), ("edge", "Eq. 6")):
    supernet = Supernet(**paper, sharing=sharing)
    cells = sum(len(layer.cells) for layer in supernet.layers)
    weights = sum(p.numel() for p in supernet.weights())
    print(f"{equation}: {cells} cells, {weights:,} weights, {4 * weights / 2 ** 20:.1f} MB")

# %% [markdown]
# Most of the memory is not weights but activations that are kept for the backward pass. PyTorch shows which: a function
# given to `saved_tensors_hooks` is called with every tensor that autograd keeps, so their bytes can be added up.
# (Tensors that share memory count once, parameters not at all; the width is one that any machine can hold.) `recompute`
# keeps only the input of each cell, and computes the cell again when its gradients are due: a third more arithmetic for
# a fraction of the memory.

# %%
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
# **What to notice.** Counted, Eq. 5 keeps 1/1.87 of what Eq. 6 keeps. That agrees with the 0.54 that `make bench`
# measured as the ratio of the peaks of memory.
#
# ## How long the search takes
#
# The search of this profile is far shorter than the paper's, which took six hours on one GPU with W = 10, a batch of 12
# and 100 epochs.

# %%
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

# %%
claims = [verdict for verdict in verdicts.verdicts(verdicts.evidence(profile)) if verdict.page == "11_efficiency"]
display(frames.show(pd.DataFrame({
    "claim": verdict.claim, "printed": f"{verdict.printed:.4g} {verdict.unit}",
    "here": "" if math.isnan(verdict.measured) else f"{verdict.measured:.4g} {verdict.unit}",
    "verdict": verdict.verdict} for verdict in claims), "claims on size, memory and time"))

# %% [markdown]
# **What to take away.** Compare two times only from one run on one machine, as a ratio with its spread. A network with
# few multiply-adds can still be slow where it moves much memory for each of them. Further reading: [the roofline
# model](https://doi.org/10.1145/1498765.1498785).
#
# ## Appendix: how fast is this implementation?
#
# For whoever changes the code. `make bench` measures each part against the obvious way to write it, both sides in the
# same run on a quiet machine. The ratio is the median over turns, the spread the largest ratio less the smallest; the
# rest is in `checkpoints/bench.json`. A step on 8,192 pixels is two crops of 64x64 on one thread; its ratio also
# contains our convolutions and the larger crops. The training step of IR-NAS (4 crops of 64x64) in bfloat16 differs
# from its rival in the arithmetic alone. (The 0.28 of the search's peak memory has another rival than the 0.54: Eq. 6
# written edge by edge, so that it contains our faster cells.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
measured = {name: all.measurements(runs.SHIPPED, name) for name in ("bench", "growth", "precision")}
PARTS = {
    "deform_conv_20": "deformable convolution, 20 channels, forward and backward",
    "dilated_depthwise": "dilated depthwise convolution, float32",
    "dilated_depthwise_bf16": "dilated depthwise convolution, bfloat16",
    "train_pixels": "training step on 8,192 pixels, IR-NAS + residual, bfloat16",
    "train_pixels_dncnn": "training step on 8,192 pixels, DnCNN, bfloat16",
    "network_train": "training step of IR-NAS, float32",
    "network_train_bf16": "training step of IR-NAS, bfloat16",
    "supernet_step": "search step, time",
    "sharing_memory": "search step, peak memory, Eq. 5",
    "supernet_memory": "search step, peak memory, Eq. 5 (measured again)",
    "supernet_memory_recompute": "search step, peak memory, Eq. 5, cells computed twice"}


def amount(value, unit):
    """With a unit in which it has at most three digits."""
    small, large = unit == "s" and value < 1, unit == "MB" and value >= 1000
    return f"{1000 * value:.3g} ms" if small else f"{value / 1000:.1f} GB" if large else f"{value:.3g} {unit}"


display(frames.show(pd.DataFrame({
    "what": words, "ours": amount(part["value"], part["unit"]), "against": part["against"],
    "ratio": f"{part['ratio']:.3g}",
    "spread": "" if part["spread"] is None else f"{part['spread']:.2g}"}
    for name, words in PARTS.items() if (part := measured["bench"].get(name))), "time or memory, ours / theirs"))

# %% [markdown]
# Time and peak memory of one supernet step along each axis of its size. An exponent of 1 means twice the cost for twice
# the size. The exponent for the side is near 2, because pixels grow with its square. That for layers exceeds 1 because
# the first layers hold fewer cells, and that for nodes because a cell of N nodes has N (N + 3) / 2 edges.

# %% alt="Time and memory of a supernet step against width, layers, nodes, batch and side, with exponents"
display(bench_plots.growth(measured["growth"]))

# %% [markdown]
# Training in bfloat16 gives the same curve of the loss as training in float32. On the CPU of the table above a step
# takes 0.775 of the time. Weights, batch norms and the loss stay in float32; only the network's arithmetic is
# shortened. (A GPU multiplies bfloat16 several times faster than float32; there it was not measured.)

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
# **2** (hard). Derive the 180 and the 5 of the table of kernels. Is any operation of the search space
# worse than `def`?
#
# <details><summary>Solution</summary>
#
# Both multiply 9 · 20 · 20 = 3,600 times. `def` reads, for each of its nine taps, 20 channels at a place between
# pixels, so at four of them: 720 numbers, which nobody else uses, one for 5 multiplications. An ordinary convolution
# reads 20 new numbers a pixel, one for 180, since the nine taps of neighbouring pixels share what they read. (The 54
# offsets and masks of a pixel come from an ordinary convolution and are read once more.) No operation is worse. `sep`
# is close: its depthwise convolution multiplies a number nine times, and its pointwise one 20 times. The published cell
# has no `sep`.
#
# </details>
