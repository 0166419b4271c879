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
# # 2. The search space
#
# **What you will learn.** What can be found: six operations, cells, and a supernet of three widths; how many networks
# that makes; why Eq. 5 needs fewer cells than Eq. 6; and where the parameters are.
#
# **Why it matters.** A search can only find what its space holds. In this one a single cell is used everywhere, at
# widths that the search chooses too.
#
# **What it needs.** [Page 1b](01b_search_from_scratch.ipynb), where a search is built from scratch. Nothing is trained
# here and no picture is needed. Figures 1 and 2 of [the paper](https://arxiv.org/abs/1909.08228) are drawn from the
# very objects that the search runs, and its equations keep their numbers.
#
# **What we found**
#
# - The space of the denoising search holds 29 paths of widths times 26 billion cells. (Cells that differ only in how
#   their nodes are numbered are counted apart, such as two cells in which n1 and n2, neither of which reads the other,
#   have changed places.)
# - Sharing one cell per width saves at most a factor of 7/3 in the number of cells; the paper states three.
# - The largest open assumption of this course: the path of widths of the published network, 0,0,0,1, is our inference
#   from its printed size. It needs W = 20, as in the authors' program, and counts a layer that the network never uses.
#   Without that layer the path would be 1,0,1,0. Pages 6 to 13 train the published cell on the inferred path.

# %%
import inspect
from math import comb

import matplotlib.pyplot as plt
import torch
from exercises import check

from irnas_lib import decode, operations, search_space, supercell
from irnas_lib.evaluation import systems
from irnas_lib.experiments import runs
from irnas_lib.figures import drawing
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.network import RestorationNetwork
from irnas_lib.supernet import Supernet

print(runs.versions("torch", "torchvision", "numpy"), "on", runs.device_name(runs.best_device()))

# %% [markdown]
# The parameters. Nothing here is trained and no picture is needed, so every profile shows the space at the paper's
# scale.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"

# %%
torch.manual_seed(0)
layers, nodes, channels = {"denoising": (4, 5, 1), "deraining": (3, 4, 3)}[task]
width = 10
print(f"{task}: L = {layers} layers, N = {nodes} nodes per cell, basic width W = {width}, {channels} channel")

# %% [markdown]
# ## Six operations
#
# Whatever a network of this space computes, it computes with these ([their code](../irnas_lib/operations.py)). All keep
# the height, the width and the number of channels C, so that any of them may stand on any edge.
#
# | operation | what it computes | weights |
# |:--|:--|:--|
# | `conv` | ReLU, 3x3 convolution, batch norm | 9 C² |
# | `dil` | the same with a gap of one pixel between its taps (dilation 2) | 9 C² |
# | `sep` | twice: ReLU, 3x3 convolution of each channel by itself, 1x1 convolution, batch norm | 2 (9 C + C²) |
# | `def` | ReLU, deformable 3x3 convolution, batch norm | 9 C² + C + 54 (9 C + 1) |
# | `skip` | returns its input | 0 |
# | `none` | returns zero | 0 |
#
# In the search the batch norms have no scale and shift, so they add no weights. In `def` another 3x3 convolution
# predicts, for every pixel, where each of the nine taps reads (offsets) and how much it counts (masks): 54 numbers, 18
# offsets and 9 masks for each of two groups of channels.
#
# The formulas agree with what is built:


# %%
def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


formula = {"conv": lambda c: 9 * c * c,
           "sep": lambda c: 2 * (9 * c + c * c),
           "dil": lambda c: 9 * c * c,
           "def": lambda c: 9 * c * c + c + 54 * (9 * c + 1),
           "skip": lambda c: 0,
           "none": lambda c: 0}
print("C     " + "".join(f"{name:>8}" for name in formula) + "    all six")
for c in (width, 2 * width, 4 * width):
    counted = [count(operations.build(name, c, affine=False)) for name in formula]
    assert counted == [expected(c) for expected in formula.values()]
    print(f"{c:<6}" + "".join(f"{n:8,}" for n in counted) + f"{sum(counted):11,}")

# %% [markdown]
# **What to notice.** `def` has the most parameters, at small C by far: predicting the offsets costs more than the
# convolution. `sep` has the fewest of those that learn. The search loss does not penalise parameters.
#
# Which input pixels does the middle output pixel depend on? Its gradient shows them.


# %% alt="Which input pixels each of the six operations sees, and a deformable one whose offsets moved"
def sees(operation, channels=4, size=13):
    """How strongly the middle output depends on every input pixel: (size, size), the largest is 1."""
    x = (1 + torch.rand(1, channels, size, size)).requires_grad_()
    operation.eval()(x)[..., size // 2, size // 2].sum().backward()
    strength = x.grad.abs().sum(dim=(0, 1))
    return strength / strength.max().clamp(min=1e-9)


modules = {name: operations.build(name, 4, affine=False) for name in search_space.OPERATIONS}
moved = operations.build("def", 4, affine=False)
torch.nn.init.normal_(moved.offsets.weight, std=0.12)
fig, axes = plt.subplots(2, 4, figsize=(7.2, 4.2), layout="constrained")
axes[1, 3].axis("off")
for ax, (name, module) in zip(axes.flat, (modules | {"def, offsets moved": moved}).items()):
    strength = sees(module)
    seen = strength > 1e-6
    ax.imshow(seen * (0.25 + 0.75 * strength), cmap="Greys", vmin=0, vmax=1)
    ax.set_title(f"{name}\n{seen.sum()} pixel{'' if seen.sum() == 1 else 's'}", fontsize=9)
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# **What to notice.** At the start `def` reads the same pixels as `conv`, because its offsets begin at zero. Once they
# have moved, a tap lies between four pixels, which it interpolates, and the two groups of channels have offsets of
# their own: so nine taps reach many more than nine pixels, and others for every output pixel. `dil` reaches further
# than `conv` with the same number of weights, and leaves pixels out.

# %% [markdown]
# ## A cell: which inputs, which operations
#
# A supercell computes all six operations on every edge at once (Figure 1, left). Its states are two inputs, `p2` from
# two layers before and `p1` from the layer before, and N nodes. Every node is the sum of an edge from every earlier
# state. Three nodes make a picture that can be read.

# %% alt="Graph of a supercell: two inputs and three nodes, every earlier state joined to every later node"
cell = supercell.Supercell(nodes=3, channels=width)
print(", ".join(f"{source} → {node}" for source, node in search_space.edges(3)))
drawing.draw_supercell(cell)

# %% [markdown]
# With $x_{l,i}$ for node i of the cell in layer l, and $h_{l-2}$ and $h_{l-1}$ for the cell's two inputs, every node
# adds up its edges:
#
# $$x_{l,i} = \sum_{x_j \in I_{l,i}} O_{j \rightarrow i}(x_j), \qquad
# I_{l,i} = \{h_{l-2},\ h_{l-1},\ x_{l,1},\ \dots,\ x_{l,i-1}\}, \tag{1}$$
#
# Eq. 2, introduced on [page 1b](01b_search_from_scratch.ipynb), reads with the paper's indices:
#
# $$O_{j \rightarrow i}(x_j) = \sum_{k=1}^{6} p_{j \rightarrow i}^k\, O^k(x_j), \qquad
# p_{j \rightarrow i}^k = \frac{\exp \alpha_{j \rightarrow i}^k}{\sum_m \exp \alpha_{j \rightarrow i}^m}. \tag{2}$$
#
# The cell's output is the concatenation of its nodes:
#
# $$h_l = \mathrm{Cell}(h_{l-1}, h_{l-2}) = \mathrm{Concat}\{x_{l,1},\ \dots,\ x_{l,N}\}. \tag{3}$$
#
# The paper writes alpha for the weights and leaves the softmax to [DARTS](https://arxiv.org/abs/1806.09055). On all
# pages and in the code, $\alpha$ are the *logits* and $p$, their softmax, the *weights*. `forward` of the library's
# plain version takes the weights:

# %%
print(inspect.getsource(supercell.PlainSupercell.forward))

# %% [markdown]
# The first node by hand, n1 = O(p2) + O(p1), for comparison. The weights of an edge are positive and sum to one.

# %%
for fan in cell.fans.values():  # offsets begin at zero; move them, so that the comparison means something
    torch.nn.init.normal_(fan.offsets, std=0.1)
plain = supercell.to_plain(cell)
weights = torch.randn(len(search_space.edges(3)), len(search_space.OPERATIONS)).softmax(dim=-1)
p2, p1 = torch.randn(2, 1, width, 16, 16).unbind()

n1 = 0
for row, source, x in ((0, "p2", p2), (1, "p1", p1)):
    for weight, operation in zip(weights[row], plain.edges[f"{source}_n1"]):
        n1 = n1 + weight * operation(x)
difference = (n1 - plain(p2, p1, weights)[:, :width]).abs().max().item()
print(f"by hand and PlainSupercell differ by {difference:.1e}")

# %% [markdown]
# `Supercell`, which the search runs, is faster: it computes each operation once for all edges out of a state, by
# stacking the kernels of these edges along the output channels of one convolution. The parameters and the function are
# the same; only the order of summation differs. How much there is to compute: each edge has six operations, and of
# these `conv` and `dil` are one convolution each, `sep` is four, and `def` two.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
edges, supernet_cells = len(search_space.edges(nodes)), sum(len(search_space.levels(i + 1)) for i in range(layers))
print(f"{supernet_cells} cells x {edges} edges: x 6 = {supernet_cells * edges * 6:,} operations, "
      f"x (1 + 4 + 1 + 2) = {supernet_cells * edges * 8:,} convolutions")
with torch.no_grad():
    difference = (cell(p2, p1, weights) - plain(p2, p1, weights)).abs().max().item()
print(f"{count(cell):,} and {count(plain):,} parameters; outputs differ by {difference:.1e}")
assert count(cell) == count(plain) and difference < 1e-3

# %% [markdown]
# All cells of a supernet share *one* table alpha, with one row per edge. It begins flat. All that the search decides
# about a cell is in a table like the right one, here of random numbers. Decoding turns this table into a compact cell
# (Figure 1, right): each node keeps its two strongest edges, each with its strongest operation, which are framed in the
# table. An edge is as strong as its strongest operation other than `none`, which takes part in the softmax but is never
# kept.

# %%
raw = torch.randn(len(search_space.edges(3)), len(search_space.OPERATIONS))
flat, example = torch.zeros_like(raw).softmax(dim=-1), raw.softmax(dim=-1)
genotype = decode.derive_cell(raw)
print(*str(genotype).split("; "), sep="\n")

# %% alt="Softmaxed alpha, nine edges by six operations" jupyter={"source_hidden": true} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
for ax, table, title in zip(axes, (flat, example), ("untouched", "an example")):
    ax.imshow(table, cmap="Greys", vmin=0, vmax=1.2, aspect="auto")
    ax.set_xticks(range(6), search_space.OPERATIONS)
    ax.set_yticks(range(len(table)), [f"{source} → {node}" for source, node in search_space.edges(3)])
    for i, row in enumerate(table.tolist()):
        for j, weight in enumerate(row):
            shade = "w" if weight > 0.7 else "k"
            ax.text(j, i, f"{weight:.2f}", ha="center", va="center", fontsize=8, color=shade)
    ax.set_title(f"softmax of alpha: {title}", fontsize=10)
for i, (source, node) in enumerate(search_space.edges(3)):
    for edge in genotype[int(node[1:]) - 1]:
        if edge.source == source:
            axes[1].add_patch(plt.Rectangle((search_space.OPERATIONS.index(edge.operation) - 0.5, i - 0.5), 1, 1,
                                            fill=False, linewidth=2.5, edgecolor="k"))
plt.show()

# %% alt="Graph of a compact cell: each of three nodes keeps two inputs, each with one operation"
drawing.draw_cell(genotype)


# %% [markdown]
# **What to notice.** On p2 → n1 `sep` has 0.32 and leads `def` (0.29) by little; on p1 → n1 `def` leads with 0.64. Both
# are kept, and the drawing does not show the difference. On p2 → n2 `none` leads, but that is not why this edge is
# dropped: its strongest operation, `skip` with 0.22, is weaker than those of the other two edges into n2.
#
# How many compact cells are there? Node i has i + 1 states before it, of which it keeps two, each with one of five
# operations.

# %%
def cells(nodes):
    total = 1
    for i in range(1, nodes + 1):
        total *= comb(i + 1, 2) * 5**2
    return total


for n in range(1, nodes + 1):
    print(f"{n} node(s): {len(search_space.edges(n)):2} edges in the supercell, {cells(n):16,} compact cells")

# %% [markdown]
# ## A supernet: which widths
#
# Every layer offers up to three cells, of widths W, 2W and 4W: levels 0, 1 and 2. The grid of layers and levels is
# called a *trellis*, and one level per layer is a *path* through it. The output of a layer is that of all its cells,
#
# $$h_l = \{h_l^0,\ h_l^1,\ h_l^2\}, \qquad h_l^i \text{ of } 2^i N W \text{ channels}. \tag{4}$$
#
# so that $h_2^1$ is the output of layer 2 at level 1, of the cell of width 2W. Two convolutions, the *stem*, come
# before the first layer and count as level 0. A path moves by one level at most, so layer 1 has two of the three.
# Figure 2, left, from the object itself. In a cell $C_l^i$ the numbers are the channels of a node and of its output,
# elsewhere those of the output; dotted arrows are a cell's second input.

# %% alt="Graph of the supernet: stem, four layers of up to three widths, transitions between neighbouring widths"
supernet = Supernet(layers, nodes, width, channels)
drawing.draw_supernet(supernet)

# %% [markdown]
# Where are its parameters?

# %%
parts = {"start (two 3x3 convolutions)": count(supernet.stem) + count(supernet.widen),
         "1x1s on the first inputs": sum(count(layer.first) for layer in supernet.layers),
         "1x1s on the second inputs": sum(count(layer.second) for layer in supernet.layers),
         "cells": sum(count(layer.cells) for layer in supernet.layers),
         "end (one 3x3 convolution)": count(supernet.head)}
total = sum(parts.values())
for name, number in parts.items():
    print(f"{name:30}{number:12,} {number / total:7.1%}")
print(f"{'weights':30}{total:12,}")
print(f"{'alpha and beta':30}{supernet.alpha.numel() + supernet.beta.numel():12,}")
assert total == sum(parameter.numel() for parameter in supernet.weights())
if task == "denoising":
    assert total == 6_485_827  # worked out on paper, part by part

# %% [markdown]
# **What to notice.** The search is for the few numbers of the last line. The millions of weights serve only to evaluate
# them.
#
# ## Beta: where a path goes next
#
# The search also learns a table of logits $b$ (in the code `beta`), with one row for each cell that feeds another and
# one column for each move. A softmax over the allowed moves turns each row into probabilities $\beta$. Choosing one
# move per layer gives a path.

# %%
probabilities = search_space.move_log_probabilities(supernet.beta).exp().tolist()
print("from layer, level   narrower     same    wider")
for (layer, level), row in zip(search_space.source_rows(layers), probabilities):
    print(f"{layer:10}, {level}      " + "".join(f"{p:9.3f}" if p else f"{'-':>9}" for p in row))

# %% [markdown]
# **What to notice.** The rows differ before anything is learned: three moves lead out of level 1, and two out of levels
# 0 and 2. [Page 4](04_viterbi_decoding.ipynb) shows how this affects the most probable path.
#
# Eq. 5 uses these numbers to *mix*:
#
# $$h_l^i = C_l^i\Big(\sum_{k=i-1}^{i+1} \beta_k^i\, f_{l-1}^k,\ f_{l-2}^i\Big), \tag{5}$$
#
# where $\beta_k^i$ is the probability of the move from level k to level i, the softmax of the logits $b$ (each layer
# has its own, although the paper's $\beta_k^i$ has no index for it), and $f$ stands for an $h$ that has passed a 1x1
# convolution. For the cell of level 1 in layer 2, $C_2^1$, drawn for a smaller supernet, of basic width 4 with two
# nodes per cell:
#
# - Its first input combines the outputs of layer 1. Each passes a 1x1 convolution, which gives it the cell's number of
#   channels ($f_1^0$ and $f_1^1$), and a batch norm. They are weighted with beta and added.
# - Its second input is the output two layers back, at the cell's own level, through a 1x1 of its own. Where the first
#   layers lack that level, the widest one available is used: here the output of the stem.
# - Both go through **one** cell.

# %% alt="Two outputs of layer 1 are added, weighted with beta; with the stem they feed one cell" tags=["hide-input"]
font = {"fontname": drawing.FONT, "fontsize": "11"}
graph = drawing.Drawing(graph_attr={"rankdir": "LR", "nodesep": "0.15"}, edge_attr=font | {"arrowsize": "0.6"},
                        node_attr=font | {"shape": "box", "height": "0.3", "margin": "0.08,0.04"})
for source, channels_of, factor in (("h₁¹", 16, "β₁¹"), ("h₁⁰", 8, "β₀¹")):
    graph.node(source, f"{source}: {channels_of} channels")
    graph.node(f"1x1 {source}", f"1×1, {channels_of} → 8")
    graph.edge(source, f"1x1 {source}")
    graph.edge(f"1x1 {source}", "sum", label=f" × {factor} ")
graph.node("stem", "stem: 8 channels")
graph.node("1x1 stem", "1×1, 8 → 8")
graph.node("sum", "+", shape="circle")
graph.node("cell", "cell C₂¹: 8 channels per node", style="filled", fillcolor=drawing.CELL)
graph.node("out", "h₂¹: 16 channels")
for ends, label in ((("sum", "cell"), "p1"), (("stem", "1x1 stem"), ""), (("1x1 stem", "cell"), "p2"),
                    (("cell", "out"), "")):
    graph.edge(*ends, label=f" {label} " if label else "")
graph

# %% [markdown]
# By hand, in this smaller supernet (the batch norms of a supernet have no weights: they neither scale nor shift):

# %%
small = Supernet(layers=2, nodes=2, width=4, channels=1)
layer, beta = small.layers[1], small.transitions()[1]
before, last = [torch.randn(2, 8, 12, 12)], [torch.randn(2, 8, 12, 12), torch.randn(2, 16, 12, 12)]
weights = small.alpha.softmax(dim=-1)

first = beta[0, 1] * layer.first["0->1"](last[0]) + beta[1, 1] * layer.first["1->1"](last[1])
second = layer.second["1"](before[0])
by_hand = layer.cells["1"](second, first, weights)

library = layer(before, last, weights, beta)[1]
print(f"by hand and the library differ by {(by_hand - library).abs().max().item():.1e}")

# %% [markdown]
# **What to notice.** Beta is normalised over the moves *out of* a cell. The paper does not say so; Auto-DeepLab, from
# which the search for widths comes, and the authors' program do it this way. So the weights that meet in a cell need
# not sum to one.
#
# ## Eq. 5 against Eq. 6: one cell per level, or one per incoming edge
#
# [Auto-DeepLab](https://arxiv.org/abs/1901.02985) gives every incoming path a cell of its own and adds their outputs:
#
# $$h_l^i = \sum_{k=i-1}^{i+1} \beta_k^i\, C_l^{ik}\big(f_{l-1}^k,\ f_{l-2}^i\big). \tag{6}$$
#
# Eq. 5 adds first. How many cells does that save?

# %%
by_edge = Supernet(layers, nodes, width, channels, sharing="edge")
print("layer   cells, Eq. 5   cells, Eq. 6")
for shared, separate in zip(supernet.layers, by_edge.layers):
    print(f"{shared.number:5}{len(shared.cells):15}{len(separate.cells):15}")
print(f"weights in cells: {parts['cells']:,} against {sum(count(layer.cells) for layer in by_edge.layers):,}")

# %% [markdown]
# **What to notice.** Seven moves lead into three levels, not nine, because a path moves by one level at most. So a
# layer far from the start saves a factor of 7/3, and the first layers less; the paper states three. Most of the memory
# goes to activations stored for the backward pass, and these grow with the number of cells. [Page
# 11](11_efficiency.ipynb) measures it.
#
# ## How large is the space?
#
# Paths through the trellis, times cells:

# %%
paths = decode.all_paths(layers)
print(f"{len(paths)} paths x {cells(nodes):,} cells = {len(paths) * cells(nodes):.1e} architectures")

# %% [markdown]
# They are too many to train one by one. One way out is to make the space differentiable; [page
# 14b](14b_comparing_searches.ipynb) has others.
#
# ## The result: a compact network
#
# It has the stem and one cell per layer, at the widths of one path. Two parts follow, which were not searched. An ASPP
# (atrous spatial pyramid pooling) reads the last cell with parallel convolutions of growing dilation, so that each
# pixel sees its surroundings. A decoder makes the picture from two things: the ASPP's output, and the output of the
# last cell of level 0, which a 1x1 convolution brings to 48 channels: less processed, so richer in fine detail. Where
# no cell of the path has level 0, the stem's output takes its place. Levels are widths only: every layer keeps the
# picture's height and width, as there are no strides. The decoder is from the authors' program; the text does not
# mention it. Figure 2, right, for the architecture that the paper publishes:

# %% alt="Graph of the published network: stem, four cells on one path of widths, ASPP, decoder"
published = PUBLISHED[task, "IR-NAS"]
network = RestorationNetwork(*published, channels)
print(*str(published.genotype).split("; "), sep="\n")
levels = ",".join(map(str, published.path))
print(f"path {levels}, W = {published.width}: {systems.parameter_count(network):,} parameters")
drawing.draw_network(network)

# %% [markdown]
# The paper prints the cell and, for denoising, a size of 0.63M parameters, but not the width W of the final network.
# Its Figure 6 (a) draws the path; we had only the paper's text, which says that the cell nearest to the output is the
# widest there. Three things are taken from the authors' program, in a [public copy](../REPRODUCTION.md#sources):
#
# - W is 20 (at other widths other paths have the printed size, as is counted below);
# - the decoder;
# - a layer of 57,600 parameters, the 3x3 convolution from the stem's 64 channels to 100 that takes the stem's output to
#   the decoder: it is always built, but paths through level 0 never use it.
#
# We assume that the paper counts it, in units of 2^20. (The printed counts of NLRN and N3Net fit that unit, too, by
# what their checkpoints hold: [appendix A](A_every_printed_number.ipynb#Exercises), exercises 2 and 3.) Then only
# 0,0,0,1 of all 29 paths has 0.63M parameters, and it has the widest cell last. On all pages "as published" means this:
# the printed cell, and the rest as inferred here.

# %% alt="Parameters of the published cell on every path" jupyter={"source_hidden": true} tags=["hide-input"]
sizes = {path: count(RestorationNetwork(published.genotype, path, published.width, channels))
         for path in paths}
ordered = sorted(sizes, key=sizes.get)
fig, ax = plt.subplots(figsize=(7.6, 3.2), layout="constrained")
for i, path in enumerate(ordered):
    marker, colour, size = ("*", "k", 14) if path == published.path else ("o", "0.5", 6)
    ax.plot(i, sizes[path] / 2**20, marker, color=colour, markersize=size,
            label="path inferred for the published network" if path == published.path else None)
ax.set_xticks(range(len(ordered)), [",".join(map(str, path)) for path in ordered], rotation=90, fontsize=9)
ax.set(ylabel="parameters (M of 2^20)", xlabel="path", ylim=(0, None))
ax.legend()
ax.grid(axis="y", alpha=0.4)
plt.show()
print(f"from {min(sizes.values()) / 2**20:.2f}M to {max(sizes.values()) / 2**20:.2f}M")
if task == "denoising":
    unused = count(network.reduce)
    for name, less in (("with", 0), ("without", unused)):
        print(f"printed as 0.63M, {name} the layer of {unused:,}:",
              *(",".join(map(str, path)) for path in ordered if f"{(sizes[path] - less) / 2**20:.2f}" == "0.63"))
    with torch.device("meta"):  # shapes without numbers: they are only counted
        at_widths = {(w, path): count(RestorationNetwork(published.genotype, path, w, channels))
                     for w in range(8, 25) for path in paths}
    print("with it, at every W from 8 to 24:", *(
        f"{','.join(map(str, path))} at W = {w}" for (w, path), size in at_widths.items()
        if f"{size / 2**20:.2f}" == "0.63"), sep="\n  ")

# %% [markdown]
# **What to notice.** For one cell, the path of widths alone changes the size from 0.47M to 2.19M. Without the unused
# layer the path would be 1,0,1,0; and at other widths W six other paths have the printed size, four of which end at
# level 2. For deraining the paper prints no size; the path used here is the analogue, a guess that only the widest last
# cell supports.

# %% [markdown]
# **What to take away.** The space holds one cell with two inputs per node and one path of widths; softmax makes both
# choices differentiable; sharing one cell among all paths into a width saves memory. Further reading:
# [DARTS](https://arxiv.org/abs/1806.09055), [Auto-DeepLab](https://arxiv.org/abs/1901.02985), from which the widths
# come, and [deformable convolutions](https://arxiv.org/abs/1811.11168).

# %% [markdown]
# ## Exercises
#
# **1** (medium). `none` takes part in the softmax. What would change in the search if it did not?
#
# <details><summary>Solution</summary>
#
# The weights of the other five would add up to one on every edge, so that no edge could fade as a whole: a useless edge
# would have to mix five operations evenly. The largest weight, by which a node ranks its edges, would then measure how
# decided an edge is, and not how much the node needs it. On the other hand `none` can take over, because less of
# everything lowers the loss easily while the weights are untrained. [Page 3b](03b_what_makes_a_search_decide.ipynb) has
# searches with and without it.
#
# </details>
#
# **2** (medium). How many compact cells would there be if a node could keep any number of its edges, but at least one?
#
# <details><summary>Solution</summary>
#
# Node i has i + 1 edges. Each carries one of five operations or is left out: six choices, independent of each other,
# less the one in which all are left out. With five nodes:
#
# $$\prod_{i=1}^{5} \left(6^{\,i+1} - 1\right) = 3{,}534{,}881{,}537{,}796{,}875 \approx 3.5 \cdot 10^{15},$$
#
# 134,064 times as many as with two edges per node.
#
# </details>
#
# **3** (easy). With a fourth level (8W), how many moves would lead into a layer, and what would Eq. 5 save?
#
# <details><summary>Solution</summary>
#
# Two moves lead into each of the two outer levels, three into each of the inner ones: ten. Eq. 6 needs ten cells, Eq. 5
# four, so that Eq. 5 saves a factor of 2.5 (with three levels 7/3).
#
# </details>

# %% [markdown]
# Two more check themselves: write Eq. 2 in `exercises/eq2.py` (easy), and count the supernet's weights in
# `exercises/count.py` (hard). Each file describes the task; solutions are in `exercises/solutions/`.

# %%
check("eq2")
check("count")
