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
# rest fairly, and what of the paper's claims on cost comes out.
#
# **Why it matters.** The paper claims a small and fast network, and a search that takes a third of Auto-DeepLab's
# memory and six hours. A count is the same everywhere, a time is not.
#
# **What it needs.** [Notebook 2](02_search_space.ipynb). A minute to run.

# %%

import textwrap

import torch
from IPython.display import display

from irnas_lib.benchmarks import bench
from irnas_lib.evaluation import inference, systems
from irnas_lib.experiments import runs
from irnas_lib.figures import all, bench_plots
from irnas_lib.pipeline import profiles
from irnas_lib.supernet import Supernet
from irnas_lib.tables import printed

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% tags=["parameters"]
profile = "smoke"
data = ""

# %% [markdown]
# ## What the paper claims

# %%
for claim in printed.load():
    if claim.where == "claim":
        print(f"{claim.metric:32} {claim.value:>8} {claim.unit}")
        print(textwrap.indent(textwrap.fill(claim.note, 100), "    "))

# %% [markdown]
# ## Parameters and multiply-adds
#
# The network and DnCNN need about the same arithmetic for a pixel. Where their times differ, something else decides,
# such as how much memory an operation touches.

# %%
networks = {system: systems.build(system, 1, systems.published("denoising")) for system in ("IR-NAS", "DnCNN")}
for system, network in networks.items():
    count = systems.parameter_count(network)
    print(f"{system:8} {count:>8,} parameters ({count / 2 ** 20:.3f} x 2^20), "
          f"{systems.macs_per_pixel(network, 1):>8,} multiply-adds a pixel")

# %% [markdown]
# ## Time for a picture
#
# Both on the same machine in the same run, in turn, so that whatever else the machine does hits both; the median of
# several. Seconds on another machine say little; the ratio says more. The batch norms of both are folded into their
# convolutions first: in evaluation they are a fixed scale and shift, which the weights can hold.

# %%
device = runs.best_device()
shape, turns = ((1, 1, 128, 128), 3) if profile == "smoke" else ((1, 1, 321, 481), 5)
picture = torch.rand(shape, generator=torch.Generator().manual_seed(0))
restorers = {system: inference.restorer(network, device) for system, network in networks.items()}
both = bench.compare(*(lambda restore=restore: restore(picture).cpu() for restore in restorers.values()),
                     "DnCNN", turns)
print(f"IR-NAS: {both['value'] * 1000:.1f} ms for {shape[-1]}x{shape[-2]} on {runs.device_name(device)}, "
      f"{both['ratio']:.2f} times DnCNN's time")

# %% [markdown]
# ## Every ratio
#
# `make bench` measures them, once for a machine. Smaller is better. The deformable convolution and the supernet are
# compared with the obvious way to write them: torchvision's operator, one edge after the other. A ratio is the median
# of those within a turn, so it need not be the quotient of two times that are printed here, and the spread is the
# largest ratio of a turn less the smallest. They were taken with nothing else running; the comparison above is of this
# page's run, maybe beside other work. Of crops a second and of `matrix_share` more is better; the latter is the rate of
# a training step's arithmetic over that of a large matrix product on the same device. `resumption` counts the killed
# runs that end with the bits of an undisturbed one.

# %% alt="Bars: the time and memory of each measured part as a ratio to what it is compared with"
measured = {name: all.measurements(runs.SHIPPED, name) for name in ("bench", "growth", "precision")}
for name, part in measured["bench"].items():
    ratio = "" if part["ratio"] is None else f"{part['ratio']:7.3f} of {part['against']}"
    spread = "" if part["spread"] is None else f"(spread {part['spread']:.3g})"
    print(f"{name:28} {part['value']:9.4g} {part['unit']:8} {ratio} {spread}")
display(bench_plots.ratios(measured["bench"]))

# %% [markdown]
# ## How the cost grows
#
# Time and peak memory of one supernet step along each axis of its size. An exponent of 1 means twice the cost for
# twice the size. There are as many pixels as the square of the side. Layers are above 1, for the first ones have fewer
# cells; so are nodes, for a cell of N nodes has N (N + 3) / 2 edges.

# %% alt="Time and memory of a supernet step against width, layers, nodes, batch and side, with exponents"
display(bench_plots.growth(measured["growth"]))

# %% [markdown]
# ## Half the bits
#
# A GPU multiplies bfloat16 several times faster than float32. The loss stays in float32, and so do the weights; only
# the network's arithmetic is shortened. What does it cost the training? The same short training, both ways, on the
# machine of the ratios above:

# %% alt="Training PSNR in float32 and in bfloat16: the two curves coincide"
display(bench_plots.precision(measured["precision"]))

# %% [markdown]
# **What to notice.** In what comes with the project the curves coincide, so nothing is lost. Hardly anything is gained
# either, on the CPU of those measurements: both took about as long. (The dilated convolutions stay in float32 there;
# REPRODUCTION.md says why. On a GPU this was not measured.)

# %% [markdown]
# ## Memory of the search: Eq. 5 against Eq. 6
#
# With Eq. 6 every path into a layer has a cell of its own. A layer of three widths has seven incoming paths (the
# narrowest and the widest have two each, the middle one three), so its cells grow by seven thirds, and so do the
# activations that are kept for the backward pass. The text says three times; counting says 2.3, and for four layers,
# the first of which have fewer paths, less than twice:

# %%
paper = dict(layers=4, nodes=5, width=10)
for sharing, equation in (("cell", "Eq. 5"), ("edge", "Eq. 6")):
    supernet = Supernet(**paper, sharing=sharing)
    cells = sum(len(layer.cells) for layer in supernet.layers)
    weights = sum(p.numel() for p in supernet.weights())
    print(f"{equation}: {cells} cells, {weights:,} weights, {4 * weights / 2 ** 20:.1f} MB")

# %% [markdown]
# Kept activations, counted: autograd is asked for the bytes that it saves during one forward pass, at a width that
# any machine can hold. `recompute` keeps only what goes into each cell, and computes the cell again when its
# gradients are due: a third more arithmetic for a fraction of the memory. (`make bench` measures the peaks at the
# paper's size.)

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
        loss = supernet(torch.rand(1, 1, 32, 32)).mean()  # kept alive: a freed address would be counted once only
    return sum(kept.values()) + 0 * loss.numel()


shared, separate, recomputed = saved_bytes(), saved_bytes(sharing="edge"), saved_bytes(recompute=True)
print(f"kept for the backward pass, W=2, N=5, L=4: Eq. 5 {shared / 2 ** 20:.1f} MB, Eq. 6 {separate / 2 ** 20:.1f} MB "
      f"({separate / shared:.2f} times), Eq. 5 recomputed {recomputed / 2 ** 20:.1f} MB")

# %% [markdown]
# ## Search cost
#
# What the searches at hand took. The paper's took six hours on one GPU, with W = 10, a batch of 12 and 100 epochs.

# %%
for job in profiles.load(profile):
    if job.notebook == "03_search":
        record = runs.find_search(profile, job.parameters["task"], job.parameters["seed"])
        if record is None:
            print(f"{job.name}: not run")
            continue
        settings = record["settings"]
        print(f"{record['task']}, seed {settings['seed']}: {record['seconds'] / 60:.1f} minutes on {record['device']}; "
              f"L={settings['layers']}, N={settings['nodes']}, W={settings['width']}, batch {settings['batch']}, "
              f"crop {settings['crop']}, {record['history'][-1]['iteration']} iterations")

# %% [markdown]
# **What to take away.** Counts travel, times do not: compare two times only from one run on one machine, as a ratio
# with its spread. A network with few multiply-adds can still be slow where it moves much memory for each of them.
# Further reading: [the roofline model](https://doi.org/10.1145/1498765.1498785).

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
