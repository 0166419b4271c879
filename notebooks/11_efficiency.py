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
# # 11. Efficiency: parameters, multiply-adds, time, memory, search cost
#
# **What you will learn.** To count what can be counted (parameters, multiply-adds, kept activations), to measure the
# rest fairly, and which of the paper's claims on cost hold.
#
# **Why it matters.** The paper claims a small and fast network, and a search that takes a third of Auto-DeepLab's
# memory and six hours. Parameter counts do not depend on the machine; times do.
#
# **What it needs.** [Notebook 2](02_search_space.ipynb): cells, levels of width, and Eq. 5 and 6.
#
# ## What we found
#
# - **Size.** The network has the printed 0.63M parameters, from which its path was inferred. It is nearly twice as
#   large as NLRN, where the paper has it at 64%: NLRN shares the weights of one block over all its steps.
# - **Memory of the search.** One cell for all incoming paths (Eq. 5) takes 0.54 of the memory of one cell per path
#   (Eq. 6), not a third. Auto-DeepLab itself was not run: both are our own implementation.
# - **Time.** On a CPU the network needs about as much arithmetic per pixel as DnCNN, and more than twice its time,
#   because its deformable convolutions read much more memory.

# %%
import math

import pandas as pd
import torch
from IPython.display import display

from irnas_lib.benchmarks import bench
from irnas_lib.evaluation import inference, systems
from irnas_lib.experiments import runs, times
from irnas_lib.figures import all, bench_plots
from irnas_lib.pipeline import profiles
from irnas_lib.supernet import Supernet
from irnas_lib.tables import frames, verdicts

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## What the paper claims, and what we measured
#
# A share or a count can be compared; a time on other hardware cannot.

# %%
claims = [verdict for verdict in verdicts.verdicts(verdicts.evidence(profile)) if verdict.page == "11_efficiency"]
display(frames.show(pd.DataFrame({
    "claim": verdict.claim, "printed": f"{verdict.printed:.4g} {verdict.unit}",
    "here": "" if math.isnan(verdict.measured) else f"{verdict.measured:.4g} {verdict.unit}",
    "verdict": verdict.verdict} for verdict in claims), "claims on size, memory and time"))

# %% [markdown]
# **What to notice.** The network is a little smaller than N3Net, by one percent less than printed. The two speeds are
# of a CPU here and of a GTX 980 in the paper. This is the quiet measurement that they come from: all systems in one
# run, in turn for each picture, on two threads.

# %%
for task, record in times.load().items():
    seconds = sorted(times.scaled(record).items(), key=lambda item: item[1])
    display(frames.show(pd.DataFrame({
        "system": system, "seconds per picture": f"{taken / record['test_pictures']:.2f}",
        "pictures timed": str(times.restored_by(record, system))} for system, taken in seconds),
        f"{task}, {record['device']}, the fastest first"))

# %% [markdown]
# (Times on other pages are of other runs: [notebook 5b](05b_classical_methods.ipynb) has BM3D on one thread, beside
# other work.)
#
# ## Parameters and multiply-adds
#
# The network and DnCNN need about the same arithmetic per pixel. Where their times differ, something else decides, such
# as how much memory an operation touches.

# %%
networks = {system: systems.build(system, 1, systems.published("denoising")) for system in ("IR-NAS", "DnCNN")}
for system, network in networks.items():
    count = systems.parameter_count(network)
    print(f"{system:8} {count:>8,} parameters ({count / 2 ** 20:.3f} x 2^20), "
          f"{systems.macs_per_pixel(network, 1):>8,} multiply-adds per pixel")

# %% [markdown]
# ## Time per picture
#
# Both networks on the same machine in the same run, in turn, so that whatever else the machine does affects both; the
# median of several turns. Only the ratio is shown, because seconds depend on the machine and on what else it does. The
# batch norms of both are folded into their convolutions first: in evaluation they are a fixed scale and shift, which
# the weights can hold.

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
# **What to notice.** The same arithmetic takes more than twice as long in IR-NAS. Exercise 2 shows where: a deformable
# convolution reads one number for five multiplications, an ordinary one for 180.
#
# ## How much faster than the obvious way
#
# `make bench` measures this implementation against the obvious way to write each part, both sides in the same run on a
# quiet machine. The ratio is the median over turns, the spread the largest ratio less the smallest. Here is what
# matters for the search and for training; the rest is in `checkpoints/bench.json`. A step on 8,192 pixels is two crops
# of 64x64 on one thread; its ratio also contains our convolutions and the larger crops. The training step of IR-NAS (4
# crops of 64x64) in bfloat16 differs from its rival in the arithmetic alone.

# %%
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
# ## How the cost grows
#
# Time and peak memory of one supernet step along each axis of its size. An exponent of 1 means twice the cost for twice
# the size. The exponent for the side is near 2, because pixels grow with its square. That for layers exceeds 1 because
# the first layers hold fewer cells, and that for nodes because a cell of N nodes has N (N + 3) / 2 edges.

# %% alt="Time and memory of a supernet step against width, layers, nodes, batch and side, with exponents"
display(bench_plots.growth(measured["growth"]))

# %% [markdown]
# ## bfloat16
#
# Training in bfloat16 gives the same curve of the loss as training in float32. On the CPU of the table above a step
# takes 0.775 of the time. Weights, batch norms and the loss stay in float32; only the network's arithmetic is
# shortened. (A GPU multiplies bfloat16 several times faster than float32; there it was not measured.)

# %% alt="Training loss in float32 and in bfloat16 over 200 iterations: the two curves coincide"
display(bench_plots.precision(measured["precision"]))

# %% [markdown]
# ## Memory of the search: Eq. 5 against Eq. 6
#
# With Eq. 6 every path into a layer has a cell of its own. A layer of three widths has seven incoming paths (the
# narrowest and the widest have two each, the middle one three), so its cells grow by seven thirds, and so do the
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
# **What to notice.** Counted, Eq. 5 keeps 1/1.87 of what Eq. 6 keeps, which agrees with the 0.54 of the measured peak.
# The 0.28 in the table of speeds has another rival: Eq. 6 written edge by edge, so that it contains our faster cells.
#
# ## Search cost
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
# **What to take away.** Compare two times only from one run on one machine, as a ratio with its spread. A network with
# few multiply-adds can still be slow where it moves much memory for each of them. Further reading: [the roofline
# model](https://doi.org/10.1145/1498765.1498785).

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
# **2** (hard). The network has fewer multiply-adds than its time suggests. Which of its operations touches most memory
# for each multiplication?
#
# <details><summary>Solution</summary>
#
# `def`. For each pixel and each of its nine taps it reads 20 channels at a place between pixels, so at four of them:
# 720 numbers, which nobody else uses, for 9 · 20 · 20 = 3,600 multiplications, one read for 5. An ordinary convolution
# of as many multiplications reads 20 new numbers a pixel, one for 180, since the nine taps of neighbouring pixels share
# what they read. (The 54 offsets and masks of a pixel come from an ordinary convolution and are read once more.) In the
# search space `sep` is worse in one half of its work: its depthwise convolution has one multiplication for each number
# in a tap; the published cell has none.
#
# </details>
