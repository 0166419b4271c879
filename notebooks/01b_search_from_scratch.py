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
# # 1b. A differentiable search from scratch
#
# **What you will learn.** How gradient descent can choose among operations: the softmax that makes a choice
# differentiable, the two kinds of parameters and why they move in turn on different data, what a warm-up is for, when
# skip connections take over, and why the network that was searched is not yet the network that you get.
#
# **Why it matters.** Neural architecture search (NAS) lets a program choose the layers of a network. Its early forms
# trained thousands of networks to compare them. [DARTS](https://arxiv.org/abs/1806.09055) trains one network that holds
# all candidates, and the paper of this course, [IR-NAS](https://arxiv.org/abs/1909.08228), searches in this way for
# networks that restore pictures. On real pictures nobody knows the right answer, so one cannot tell whether a search
# has worked. Here the right answer is planted, so we can.
#
# **What it needs.** Some PyTorch: what a convolution, batch normalisation and an optimiser do. No data, no GPU, and
# nothing of this project's library but two drawings.
#
# **How long it takes.** About half an hour to read, and eight minutes to run on one core; ten searches at once take
# seconds.
#
# **What we found**
#
# - With a warm-up, ten of ten searches find the planted cell (95% interval of the share: 69 to 100%). Without one it is
#   1 of 10 (0 to 45%): `skip` takes an early lead.
# - Convolutions that overfit lose against `skip`.
# - At the learning rate that the paper prints, alpha stays nearly flat in the 200 steps of this search, which still
#   finds the cell in 4 of 10 cases (12 to 74%), where a guess would find 1 in 243. A near-tie is not always chance.

# %%
import math
import time
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import torch
from exercises import check
from IPython.display import Markdown
from torch.nn import functional as F

from irnas_lib.figures import drawing, interactive
from irnas_lib.genotypes import Genotype

torch.set_num_threads(1)  # tensors as small as these gain nothing from a second core
print("torch", torch.__version__)

# %% [markdown]
# The parameters. `seeds` is how many searches run side by side; each has a task of its own.

# %% tags=["parameters"]
profile = "smoke"
data = ""
seeds = 10

# %% [markdown]
# ## Choosing is not differentiable, mixing is
#
# Networks for pictures are made of a few kinds of layers, and someone has to say which layer goes where. On this page
# short signals stand in for pictures: sequences of 32 positions in 4 channels. What is true of a convolution along one
# axis is true of one along two, and it is much faster. A connection between two places of a network, an *edge*, is to
# carry one of four operations:
#
# | name | what it does | weights |
# |:--|:--|:--|
# | `conv` | a convolution that reads three neighbouring positions | yes |
# | `dil` | a dilated convolution: it reads three positions, too, but only every second one | yes |
# | `skip` | returns its input as it is, a *skip connection* | none |
# | `none` | returns zero: there is no connection | none |
#
# "Which of the four?" is a question without a gradient: there is nothing between the first operation and the second. So
# the edge $O$ computes all of them and adds them up, each with a weight between 0 and 1. This is Eq. 2 of the paper,
# which took it from DARTS:
#
# $$O(x) = \sum_{k} p_k \, o_k(x), \qquad p_k = \frac{e^{\alpha_k}}{\sum_j e^{\alpha_j}}$$
#
# The weights $p$ are the *softmax* of four raw numbers $\alpha$, the *logits*: whatever $\alpha$ is, the weights are
# positive and add up to one. An untouched $\alpha$ is zero, all four weights are 1/4, and the output is a smooth
# function of $\alpha$: it has a gradient. When the search ends, the operation with the largest weight is kept.

# %%
OPERATIONS = ("conv", "dil", "skip", "none")
CHANNELS, LENGTH = 4, 32  # of every signal


def convolution(x, kernel, dilation):
    """ReLU, a convolution and a batch norm: (B, C, T) to the same shape; kernel: (C, C, 3)."""
    y = F.conv1d(F.relu(x), kernel, padding=dilation, dilation=dilation)
    return F.batch_norm(y, None, None, training=True)  # by the statistics of this batch, without scale and shift


def mixed_edge(x, kernels, alpha):
    """Eq. 2: the sum of all operations on x, weighted by the softmax of alpha, (4,); kernels: (2, C, C, 3)."""
    p = alpha.softmax(dim=-1)
    return p[0] * convolution(x, kernels[0], 1) + p[1] * convolution(x, kernels[1], 2) + p[2] * x  # none adds nothing


# %% [markdown]
# The batch norm sees to it that both convolutions return numbers of the same size, whatever their kernels. Without it a
# convolution could make up for a small $p_k$ by a larger kernel, and $p_k$ would not measure how much the operation
# counts.
#
# How decided is a row of logits? The *normalised entropy* measures it, for $K$ operations:
#
# $$H(p) = -\frac{1}{\log K}\sum_{k=1}^{K} p_k \log p_k$$
#
# It is 1 for four equal weights and 0 when one weight is 1. If you run this page in JupyterLab, move the sliders below:
# what does it take to make the weight of `conv` 0.9?

# %% alt="Bars of the softmax of four logits, with a slider for each"
interactive.softmax_explorer(torch.tensor([1.0, 0.0, 0.7, -1.0]), OPERATIONS)

# %% [markdown]
# **What to notice.** Only differences count: add 1 to all logits, and nothing changes. And a decision is never
# complete: no weight ever reaches 0 or 1.
#
# ## One edge, with a planted answer
#
# Here is a task whose answer we know. Random signals $x$ go through `dil`, with a kernel that is kept secret, and a
# little noise is added; that is the target $y$. A mixed edge sees $x$ and $y$ and has to find `dil`. It has two kinds
# of parameters: the kernels of its two convolutions, and $\alpha$. They move in turn, each on its own half of the
# signals; the next section says why. Each has an optimiser of its own, of the kind that the paper takes: SGD with
# momentum for the kernels, Adam for $\alpha$. `backward(inputs=[parameter])` computes the gradient of that one and
# leaves the other alone.


# %%
def random_kernels(generator, *shape):
    """Kernels, (*shape, C, C, 3), of about unit gain."""
    return torch.randn(*shape, CHANNELS, CHANNELS, 3, generator=generator) / math.sqrt(3 * CHANNELS)


generator = torch.Generator().manual_seed(0)
x = torch.randn(512, CHANNELS, LENGTH, generator=generator)
y = convolution(x, random_kernels(generator), dilation=2)
y = y + 0.1 * torch.randn(y.shape, generator=generator)

kernels = random_kernels(generator, 2).requires_grad_()
alpha = torch.zeros(4, requires_grad=True)
turns = ((kernels, torch.optim.SGD([kernels], lr=0.025, momentum=0.9), slice(0, 256)),
         (alpha, torch.optim.Adam([alpha], lr=0.1), slice(256, 512)))
steps = []
for _ in range(100):
    for parameter, optimizer, half in turns:
        batch = torch.randint(half.start, half.stop, (32,), generator=generator)
        loss = F.mse_loss(mixed_edge(x[batch], kernels, alpha), y[batch])
        optimizer.zero_grad()
        loss.backward(inputs=[parameter])
        optimizer.step()
    steps.append(alpha.detach().softmax(dim=-1))

# %% alt="Weights of four operations over 100 steps: dil rises to nearly 1, the others fall to 0"
COLOURS = {"conv": "#0072B2", "dil": "#009E73", "skip": "#555555", "none": "#CC79A7"}
STYLES = {"conv": "-", "dil": "--", "skip": ":", "none": "-."}


def entropy(p):
    """The normalised entropy of weights p, (..., 4): 1 for equal ones, 0 for a decision."""
    return -(p * p.clamp(min=1e-12).log()).sum(dim=-1) / math.log(p.shape[-1])


fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, line in zip(OPERATIONS, torch.stack(steps).T):
    ax.plot(range(1, 101), line, color=COLOURS[name], linestyle=STYLES[name], label=name)
ax.set(xlabel="step", ylabel="weight $p$ of the operation", ylim=(0, 1), title="One edge; the planted answer is dil")
ax.legend(ncols=4, fontsize=8)
plt.show()
print("normalised entropy after 1, 50 and 100 steps:", [f"{entropy(steps[i - 1]):.2f}" for i in (1, 50, 100)])

# %% [markdown]
# **What to notice.** Gradient descent has found the operation. But first the weight of `dil` falls, and `none` leads by
# far: while its kernel is random, a convolution is worse than nothing. Only when the kernel has learned something does
# `dil` come back. Keep this in mind for the section on the warm-up.
#
# ## Two problems, one inside the other
#
# What do we want? Not the $\alpha$ that fits the training data best together with the kernels $w$, for then the
# operation with most weights would win by fitting the noise. We want the architecture whose *trained* network does best
# on data that it has not been trained on. That is a problem within a problem, a *bilevel* one, with one half of the
# data, $W$, for the weights and the other half, $A$, for the architecture:
#
# $$\min_\alpha \; \mathcal{L}_A\big(w^*(\alpha), \alpha\big) \qquad \text{where} \qquad
# w^*(\alpha) = \arg\min_w \; \mathcal{L}_W(w, \alpha)$$
#
# Taken literally, each step of $\alpha$ would need a whole training of $w$. DARTS replaces that training by a single
# step of gradient descent with a rate $\xi$:
#
# $$w^*(\alpha) \approx w' = w - \xi \, \nabla_w \mathcal{L}_W(w, \alpha)$$
#
# The gradient of $\mathcal{L}_A(w'(\alpha), \alpha)$ then has two terms, by the chain rule: $\alpha$ acts on the loss
# directly, and also through the weights that it would lead to:
#
# $$\underbrace{\nabla_\alpha \mathcal{L}_A(w', \alpha)}_{\text{directly}} \;-\;
# \underbrace{\xi \, \nabla^2_{\alpha, w} \mathcal{L}_W(w, \alpha) \,
# \nabla_{w'} \mathcal{L}_A(w', \alpha)}_{\text{through the weights}}$$
#
# This is the *second-order* version, so called for the second derivatives in it. The *first-order* version sets $\xi =
# 0$: the second term goes, $w'$ is $w$, and a step of $\alpha$ takes the weights as they are. It is what the loop above
# does, what IR-NAS does, and what page 3 does, because it needs one pass through the network where second order needs
# several. What does it lose? The smallest example, from the DARTS paper, has one weight and one architecture parameter:
#
# $$\mathcal{L}_W = w^2 - 2 \alpha w + \alpha^2 = (w - \alpha)^2, \qquad \mathcal{L}_A = \alpha w - 2 \alpha + 1$$
#
# The best weight for any $\alpha$ is $w^* = \alpha$, and with it $\mathcal{L}_A = (\alpha - 1)^2$: the answer is
# $\alpha = 1$. With $w' = w - 2\xi(w - \alpha)$ the gradient is $(w' - 2) + 2 \xi \alpha$, the second term being the
# one through the weights.

# %% alt="Paths of w and alpha for three values of xi: first order ends at alpha = 2, xi = 0.5 at the answer 1"
fig, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for xi, marker in ((0, "o"), (0.25, "^"), (0.5, "s")):
    w, a, trace = -2.0, 2.0, []
    for _ in range(300):
        trace.append((a, w))
        w = w - 0.1 * 2 * (w - a)
        a = a - 0.1 * ((w - 2 * xi * (w - a) - 2) + 2 * xi * a)
    ax.plot(*zip(*trace), marker, linestyle="-", markersize=3, linewidth=0.8,
            label=rf"$\xi$ = {xi:g}: ends at $\alpha$ = {a:.2f}")
ax.plot(1, 1, "*k", markersize=12, label=r"the answer, $\alpha$ = 1")
ax.set(xlabel=r"$\alpha$", ylabel="$w$", title=r"Steps of $w$ and $\alpha$ in turn, from $\alpha$ = 2, $w$ = -2")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to notice.** First order stops at a point where both gradients vanish and which is not the answer. Here only
# the term through the weights moves $\alpha$ down to 1. In a search the direct term carries much more information than
# in this example, which was made to show the difference. Whether first order is good enough has to be tried; on the
# task below it finds the answer.
#
# ## A cell
#
# A network is more than one edge. The paper, like DARTS, searches for a *cell*: a small graph that is repeated to make
# the network. Its states are two inputs, `p1` from the cell before and `p2` from the one before that, and some nodes;
# ours has two, `n1` and `n2`. A node is the sum of an edge from every earlier state (Eq. 1 of the paper), and the
# output holds all nodes (Eq. 3):
#
# $$n_i = \sum_{s \text{ before } n_i} O_{s \to n_i}(s), \qquad \text{output} = [n_1, n_2]$$
#
# So there are five edges, and $\alpha$ is a table of five rows and four columns. The cells that can be found are the
# *search space*. We plant one of them: the secret network is the very same function with an $\alpha$ that is decided.
# All four operations occur in it; the drawing shows the four edges that are not `none`.

# %% alt="The planted cell: two nodes with their inputs and operations"
EDGES = (("p2", "n1"), ("p1", "n1"), ("p2", "n2"), ("p1", "n2"), ("n1", "n2"))
PLANTED = ("conv", "skip", "none", "dil", "conv")  # the operation of each edge


def cell(x, kernels, alpha):
    """The mixed cell: inputs x, (B, 2 C, T), to both nodes, (B, 2 C, T); kernels: (5, 2, C, C, 3); alpha: (5, 4)."""
    states = dict(zip(("p2", "p1"), x.chunk(2, dim=1)))
    for edge, (source, node) in enumerate(EDGES):
        states[node] = states.get(node, 0) + mixed_edge(states[source], kernels[edge], alpha[edge])
    return torch.cat([states["n1"], states["n2"]], dim=1)


def decided(names):
    """The logits, (5, 4), of a cell that has decided for these five operations: their weights are exactly 0 and 1."""
    return torch.tensor([[0.0 if name == operation else -math.inf for operation in OPERATIONS] for name in names])


def problem(seed, signals=256, noise=0.1):
    """Inputs and targets of a planted cell: first `signals` signals for W, then 256 for A and 128 for V.

    The planted kernels are random too, but nearer to the identity (1 in the middle), as in a network that restores
    something which is already nearly right.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(signals + 384, 2 * CHANNELS, LENGTH, generator=generator)
    identity = F.pad(torch.eye(CHANNELS)[..., None], (1, 1))
    y = cell(x, random_kernels(generator, len(EDGES), 2) + identity, decided(PLANTED))
    return x, y + noise * torch.randn(y.shape, generator=generator)


drawing.draw_cell(Genotype([[("conv", "p2"), ("skip", "p1")], [("dil", "p1"), ("conv", "n1")]]))

# %% [markdown]
# The search is the loop of the single edge again, with two things added. A **warm-up**: in the first steps only the
# kernels move. And a third, small part of the signals, V, for *validation*: it trains nothing and measures how good the
# mixed cell is. The search records what we want to see, every ten steps.
#
# One search may succeed by luck, so ten run at once, each with a planted network, signals and first kernels of its own.
# `torch.vmap` turns a function of one cell into a function of many: `torch.vmap(f)(xs)` gives what
# `torch.stack([f(x) for x in xs])` gives, computed at once. Their losses are added only after each has been
# computed from its own parameters, so no search feels another's gradient.

# %%
cells = torch.vmap(cell)  # x: (S, B, 2 C, T), kernels: (S, 5, 2, C, C, 3), alpha: (S, 5, 4), for S searches


def losses(x, y, kernels, alpha):
    """The mean squared error of each search, (S,)."""
    return ((cells(x, kernels, alpha) - y) ** 2).mean(dim=(1, 2, 3))


def search(signals=256, noise=0.1, warmup=100, steps=200, alpha_rate=0.1, fresh=256, alpha=None):
    """Searches `seeds` times: `warmup` steps of the kernels alone, then `steps` of the kernels and alpha in turn.

    fresh: how many signals of A alpha learns from; 0: from those of W, as the kernels do. alpha: what to begin with,
    (S, 5, 4), instead of zeros. Returns kernels, alpha, and the history: {"step", "W", "V", "p"}, lists with an entry
    for every ten steps.
    """
    x, y = (torch.stack(parts) for parts in zip(*(problem(seed, signals, noise) for seed in range(seeds))))
    kernels = torch.stack([random_kernels(torch.Generator().manual_seed(1000 + seed), len(EDGES), 2)
                           for seed in range(seeds)]).requires_grad_()
    alpha = (torch.zeros(seeds, len(EDGES), len(OPERATIONS)) if alpha is None else alpha).requires_grad_()
    of_weights = torch.optim.SGD([kernels], lr=0.025, momentum=0.9)
    of_alpha = torch.optim.Adam([alpha], lr=alpha_rate)
    part_w, part_v = slice(0, signals), slice(signals + 256, signals + 384)
    part_a = slice(signals, signals + fresh) if fresh else part_w
    generator, history = torch.Generator().manual_seed(0), {"step": [], "W": [], "V": [], "p": []}

    def step(optimizer, parameter, part):
        batch = torch.randint(part.start, part.stop, (32,), generator=generator)
        loss = losses(x[:, batch], y[:, batch], kernels, alpha)
        optimizer.zero_grad()
        loss.sum().backward(inputs=[parameter])
        optimizer.step()
        return loss.detach()

    for i in range(1, warmup + steps + 1):
        loss = step(of_weights, kernels, part_w)
        if i > warmup:
            step(of_alpha, alpha, part_a)
        if i % 10 == 0:
            with torch.no_grad():
                validation = losses(x[:, part_v], y[:, part_v], kernels, alpha)
            for name, value in zip(history, (i, loss, validation, alpha.detach().softmax(dim=-1))):
                history[name].append(value)
    return kernels.detach(), alpha.detach(), history


# %% [markdown]
# At the end the cell is *decoded*. As in the paper, each node keeps its two strongest inputs, each with its strongest
# operation; `none` takes part in the softmax, but is not kept.


# %%
def decode(alpha):
    """The operation of each edge, "none" for those that are dropped; alpha: (5, 4)."""
    strength, choice = alpha.softmax(dim=-1)[:, :-1].max(dim=-1)
    kept = ["none"] * len(EDGES)
    for name in ("n1", "n2"):
        incoming = [edge for edge, (_, node) in enumerate(EDGES) if node == name]
        for edge in sorted(incoming, key=lambda edge: -strength[edge])[:2]:
            kept[edge] = OPERATIONS[choice[edge]]
    return tuple(kept)


def found(alpha):
    """In how many of the searches the decoded cell is the planted one."""
    return sum(decode(row) == PLANTED for row in alpha)


started = time.process_time()
kernels, alpha, history = search()
print(f"the planted cell is found in {found(alpha)} of {seeds} searches; "
      f"all took {time.process_time() - started:.0f} s of one core")

# %%
def outcome(alpha, history):
    """A table with one row for each search: what it decoded, how much of that is right, how decided it was."""
    edges = [f"{source} → {node}" for source, node in EDGES]
    rows = [["search", *edges, "as planted", "entropy", "validation loss"], [":--"] * 9]
    rows.append(["planted", *PLANTED, "", "", ""])
    for seed, (row, loss) in enumerate(zip(alpha, history["V"][-1])):
        right = sum(name == planted for name, planted in zip(decode(row), PLANTED))
        undecided = entropy(row.softmax(dim=-1)).mean()
        rows.append([str(seed), *decode(row), f"{right} of 5", f"{undecided:.2f}", f"{loss:.3f}"])
    return Markdown("\n".join("| " + " | ".join(row) + " |" for row in rows))


outcome(alpha, history)

# %% alt="Ten small plots, one a search: the weight of the planted operation of each edge rises to nearly 1"
def draw_weights(history, title):
    """The weight of the planted operation on each of the five edges, over the steps, a panel for each search."""
    fig, axes = plt.subplots(math.ceil(seeds / 5), 5, figsize=(8, 1.4 + 1.4 * math.ceil(seeds / 5)), sharex=True,
                             sharey=True, squeeze=False, layout="constrained")
    planted = [OPERATIONS.index(name) for name in PLANTED]
    lines = torch.stack(history["p"])[:, :, range(len(EDGES)), planted]
    for seed, ax in enumerate(axes.flat[:seeds]):
        for edge, (source, node) in enumerate(EDGES):
            ax.plot(history["step"], lines[:, seed, edge], color=COLOURS[PLANTED[edge]],
                    linestyle=STYLES[PLANTED[edge]], linewidth=2.5 if edge == 4 else 1.2,
                    label=f"{source} → {node}: {PLANTED[edge]}")
        ax.set_title(f"search {seed}", fontsize=9)
        ax.set_ylim(0, 1)
    for ax in axes.flat[seeds:]:
        ax.set_axis_off()
    axes[0, 0].set_ylabel("weight $p$")
    axes[-1, 0].set_xlabel("step")
    fig.suptitle(title, fontsize=10)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    plt.show()


draw_weights(history, "With a warm-up of 100 steps: the weight of the planted operation on each edge")

# %% [markdown]
# **What to notice.** In every panel the five lines are flat during the warm-up and then climb. `skip` is the fastest,
# because it has nothing to learn. The slowest in most panels is `conv` from `n1` to `n2` (the thick line): its input
# `n1` is itself a mixture that still changes. Every edge has decided for the planted operation, though on the last edge
# of search 3 with little more than half of the weight.
#
# A cell as small as this could be found by trying: there are 243 of them. Of the paper's cells there are more than
# anybody can train ([page 2](02_search_space.ipynb) counts them), and a differentiable search trains one network
# instead.
#
# ## Without a warm-up
#
# The same ten tasks and the same number of steps of $\alpha$, without the warm-up. The kernels then have 200 steps
# instead of 300, so longer searches are the control.

# %% alt="Ten small plots without a warm-up: the planted operations of most edges stay low"
_, alpha_cold, cold = search(warmup=0)
print(f"without a warm-up the planted cell is found in {found(alpha_cold)} of {seeds} searches,")
for longer in (300, 600):
    print(f"with {longer} steps of both in {found(search(warmup=0, steps=longer)[1])}")
draw_weights(cold, "Without a warm-up: the weight of the planted operation on each edge")

# %% [markdown]
# Where do the wrong ones go? On the three edges that should be a convolution, this is the mean weight of each
# operation.


# %% alt="Mean weights on edges planted as convolutions, with and without a warm-up; without one skip leads at first"
CONVOLUTIONS = [edge for edge, name in enumerate(PLANTED) if name in ("conv", "dil")]


def on_convolutions(history):
    """The mean weight of [the planted convolution, the other one, skip, none] on the edges that are planted with a
    convolution, (steps, 4)."""
    p = torch.stack(history["p"])
    flipped = [p[:, :, edge][..., [0, 1, 2, 3] if PLANTED[edge] == "conv" else [1, 0, 2, 3]] for edge in CONVOLUTIONS]
    return torch.stack(flipped).mean(dim=(0, 2))


fig, axes = plt.subplots(1, 2, figsize=(7.6, 2.8), sharey=True, layout="constrained")
for ax, run, title in zip(axes, (history, cold), ("with a warm-up", "without a warm-up")):
    for name, like, line in zip(("the planted convolution", "the other convolution", "skip", "none"), OPERATIONS,
                                on_convolutions(run).T):
        ax.plot(run["step"], line, color=COLOURS[like], linestyle=STYLES[like], label=name)
    ax.set(title=title, xlabel="step", ylim=(0, 1))
axes[0].set_ylabel("mean weight $p$")
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to notice.** A convolution that has not been trained is noise, while `skip` is useful from the first step: it
# carries the input, and the planted kernels are not far from the identity. So $\alpha$ begins with `skip`. From then on
# the race is unfair: the gradient that reaches a kernel is multiplied by the weight $p$ of its operation, so that a
# convolution with a small weight also learns slowly. Some edges come back: after about 110 steps the planted
# convolution leads on average. On others the wrong convolution, or `skip`, is still ahead at the end. The warm-up lets
# all operations learn at the same weight before any of them is judged. More steps do not replace it: with as many steps
# of the kernels as with the warm-up, two searches find the planted cell, and with twice as many, four.
#
# It also depends on how fast $\alpha$ may move against the kernels. With a tenth of its learning rate, seven of these
# ten searches found the planted cell without a warm-up (exercise 3).
#
# ## When skip connections take over
#
# The best known failure of differentiable search is a cell of little but skip connections (see
# [DARTS+](https://arxiv.org/abs/1909.06035), [Robust DARTS](https://arxiv.org/abs/1909.09656)). Several causes are
# named: searching for too long, convolutions that overfit, an $\alpha$ at which the validation loss is sharply curved
# (Robust DARTS), and the competition inside the softmax, of which the last section shows a part. Here are the
# convolutions that overfit. The targets now have much noise (its standard deviation is 2, while each edge contributes
# about 1), and the kernels have 1 to 16 signals to learn from; $\alpha$ still has its 256.

# %% alt="Edges decoded as skip, and the weight of skip over the steps, for 1 to 16 signals: less data, more skips"
counts = (1, 2, 4, 16)
scarce = {count: search(signals=count, noise=2.0) for count in counts}
skips = {count: [sum(decode(row)[edge] == "skip" for edge in CONVOLUTIONS) for row in alpha_few]
         for count, (_, alpha_few, _) in scarce.items()}

fig, axes = plt.subplots(1, 2, figsize=(7.6, 3), layout="constrained")
axes[0].bar([str(count) for count in counts], [np.sum(skips[count]) / (3 * seeds) for count in counts],
            color=COLOURS["skip"])
axes[0].set(xlabel="signals that the kernels learn from", ylim=(0, 1), ylabel="share that is skip",
            title="Of the edges planted with a convolution")
for count, colour in zip(counts, plt.colormaps["viridis"](np.linspace(0, 0.85, len(counts)))):
    run = scarce[count][2]
    axes[1].plot(run["step"], on_convolutions(run)[:, 2], color=colour, label=f"{count} signal{'s' * (count > 1)}")
axes[1].set(xlabel="step", ylabel="mean weight of skip", ylim=(0, 0.6), title="On these edges, over the steps")
axes[1].legend(fontsize=8)
plt.show()
for count in counts:
    jumped, last = on_convolutions(scarce[count][2])[[10, -1], 2]  # ten steps after the warm-up, and at the end
    print(f"{count:2} signal(s): {np.sum(skips[count]):2} of {3 * seeds} such edges are skip; planted cell found in "
          f"{found(scarce[count][1])} of {seeds};\n"
          f"              weight of skip {jumped:.2f} after step 110, {last:.2f} at the end")

# %% [markdown]
# **What to notice.** The fewer signals there are for the kernels, the more convolutions give way to `skip`. With one or
# two signals a kernel learns the noise of these; on the signals of A it is then worse than `skip`, which cannot
# overfit. So $\alpha$ need not be wrong: of the operations that it can choose from, trained as they are, `skip` is the
# best. (Whether the cell with `skip` is also the better one if both are trained anew was not tested.)
#
# Searching for longer is no cause here, within 200 steps; of far longer searches this says nothing. `skip` jumps ahead
# in the first ten steps of $\alpha$; over the 190 steps after that its weight stays at 0.48 with one signal, changes by
# 0.02 at most with two and four, and falls with 16. Our kernels are small, 48 numbers each, and little is left for them
# to learn after the warm-up.
#
# ## Why two halves
#
# Let $\alpha$ learn from the same four signals as the kernels. Then an operation can win by fitting noise. Look at the
# edge that was planted as `none`, where any operation but `none` is wrong. Four fresh signals are the control: as few,
# but unseen.

# %%
few_fresh, same = (search(signals=4, noise=2.0, fresh=fresh) for fresh in (4, 0))
empty, through = PLANTED.index("none"), PLANTED.index("skip")
print("                                   weight of a planted none   of a planted skip   cell found")
for title, (_, alpha_few, _) in (("alpha learns from 256 fresh signals", scarce[4]),
                                 ("from 4 fresh signals", few_fresh), ("from the 4 of the kernels", same)):
    p = alpha_few.softmax(dim=-1)
    print(f"{title:35}{p[:, empty, 3].mean():25.2f}{p[:, through, 2].mean():20.2f}   {found(alpha_few):3} of {seeds}")

# %% [markdown]
# **What to notice.** On the signals that it was trained on, a convolution is never worse than nothing. Signals that the
# kernels have not seen show that an edge is better left empty, even if there are only four of them. With more of them
# the planted cell is found in 6 of 10 searches instead of 3, which is a difference that ten searches cannot establish.
# This is why page 3 splits the training pictures.
#
# ## The mixture is not the cell
#
# During the search all operations are there at once; afterwards each edge has one or none. How much does this step
# cost? Three losses on the validation signals: of the mixed cell; of the decoded cell with the kernels that the search
# has left; and of the decoded cell trained anew, which is what page 5 does with the network of page 3. Once for our
# search, and once with the learning rate of $\alpha$ that the paper prints, 0.001, which is a hundredth of ours.

# %% alt="Bars of the validation loss of mixture, decoded cell and cell trained anew, for two rates of alpha"
def three_losses(kernels, alpha, history):
    """The mean validation loss over all searches: of the mixed cell, of the decoded one, of the decoded one trained
    anew."""
    single = torch.stack([decided(decode(row)) for row in alpha])
    _, _, trained = search(warmup=300, steps=0, alpha=single)
    x, y = (torch.stack(parts)[:, -128:] for parts in zip(*(problem(seed) for seed in range(seeds))))
    return [value.mean().item() for value in
            (history["V"][-1], losses(x, y, kernels, single), trained["V"][-1])]


slow = search(alpha_rate=0.001)
gap = {"alpha moves by 0.1": three_losses(kernels, alpha, history), "by 0.001, as printed": three_losses(*slow)}
fig, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
for place, (name, colour) in enumerate((("the mixed cell", "#777777"), ("decoded, kernels as the search left them",
                                        "#d55e00"), ("decoded and trained anew", "#0072b2"))):
    bars = ax.bar(np.arange(2) + 0.27 * (place - 1), [three[place] for three in gap.values()], 0.25, color=colour,
                  label=name)
    ax.bar_label(bars, fmt="%.3f", fontsize=8)
ax.axhline(0.01, color="k", linewidth=0.8, linestyle=":", label="the noise, below which nothing can get")
ax.set_xticks(range(2), [f"{name}\nentropy {entropy(p.softmax(dim=-1)).mean():.2f}, found {found(p)} of {seeds}"
                         for name, p in zip(gap, (alpha, slow[1]))])
ax.set(ylabel="validation loss", yscale="log", ylim=(0.005, 5))
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to notice.** Decoding makes the loss worse in both searches: the kernels have learned to work as parts of a
# mixture. Training anew brings the first one down to nearly the noise, because its cell is the right one. The slow one
# has hardly moved within 200 steps: its rows are nearly flat, with an entropy of 0.99. Even so it finds the planted
# cell in 4 of 10 searches, where a guess would find 1 in 243. So near-ties tell something, but not enough: the loss of
# 0.107 is the mean of four right cells and six wrong ones. Training repairs kernels, but not a wrong choice.
#
# Adam moves a logit by about its learning rate in each step, and less where the gradients of different batches
# disagree. (After a long calm a single step can be larger.) So the rate times the number of steps says roughly how far
# $\alpha$ can have come. When you read about a search, look for these two numbers.
#
# ## Widths are chosen in the same way
#
# The paper also lets the search choose how wide the network is at each layer: a path that in every layer becomes
# narrower, stays or becomes wider. The idea is from [Auto-DeepLab](https://arxiv.org/abs/1901.02985). Each possible
# move gets a logit $b$ (in the code `beta`), and a softmax over the moves that leave a place makes them probabilities,
# called $\beta$. A whole path $m_1, \ldots, m_L$ then has the probability
#
# $$P(m_1, \ldots, m_L) = \prod_{l=1}^{L} \beta_l(m_l), \qquad \beta_l = \mathrm{softmax}(b_l)$$
#
# For two layers and two moves, with some logits:

# %%
beta = torch.tensor([[0.5, 0.0], [-1.0, 0.4]])  # for each layer: stay, wider
p = beta.softmax(dim=-1)
paths = {path: (p[0, path[0]] * p[1, path[1]]).item() for path in product((0, 1), repeat=2)}
for path, probability in paths.items():
    print(" then ".join(("stay", "wider")[move] for move in path).ljust(18), f"{probability:.3f}")
print(f"sum of all paths   {sum(paths.values()):.3f}")

# %% [markdown]
# In the real network the probabilities of a move depend on the width that it leaves, and the best move at every layer
# need not give the best path. [Page 4](04_viterbi_decoding.ipynb) finds the best path by Viterbi's algorithm.
#
# ## From here to the paper's search
#
# [Page 3](03_search.ipynb) runs the same loop on pictures. What is different there:
#
# | | here | page 3 |
# |:--|:--|:--|
# | data | random signals, a planted answer | noisy photographs; nobody knows the answer |
# | operations | `conv`, `dil`, `skip`, `none` | also `sep` (separable) and `def` (deformable convolution) |
# | network | one cell of two nodes | layers of cells of five nodes at three widths; one $\alpha$ for all, and $\beta$ |
# | loss | mean squared error | the same, and a term for the structure of the picture (Eq. 7) |
# | result | $\alpha$ after the last step | $\alpha$ and $\beta$ of the best validation after the warm-up |
# | rates | SGD 0.025, Adam 0.1 | SGD 0.025, falling to 0.001; Adam 0.001, as the paper prints them |
#
# ## What to take away
#
# - A softmax turns the choice of an operation into numbers that have a gradient.
# - Weights and architecture move in turn, on different halves of the data. First order ignores that the architecture
#   acts on the weights too; on this task it found the planted cell in 10 of 10 searches (second order was not run).
# - Without a warm-up, `skip` takes an early lead over convolutions that have not learned anything yet, and many edges
#   end on the wrong operation: 1 of 10 searches finds the planted cell.
# - Convolutions that overfit lose against `skip`. That is a verdict on their training, not on them.
# - The decoded cell is not the mixture: look at how decided $\alpha$ is, and train the decoded cell anew.
#
# ## Exercises
#
# **1** (easy). By how much must one logit be ahead of three equal ones before its weight is 0.9? How many steps does
# that take at least, if Adam raises it by 0.1 per step and lowers the others by 0.1?
#
# <details><summary>Solution</summary>
#
# $p = e^d / (e^d + 3) = 0.9$ gives $e^d = 27$ and $d = \log 27 = 3.3$. The difference grows by 0.2 per step, so it
# takes at least 17 steps. At the paper's rate of 0.001 it takes at least 1,648.
#
# </details>
#
# **2** (easy). On the edge `p2 → n2`, planted as `none`, decoding looks at the other three operations only. Why does it
# still come out right? What could go wrong with a planted cell in which node `n1` has only one input?
#
# <details><summary>Solution</summary>
#
# Node `n2` has three inputs and keeps two. Where `none` has nearly all of the weight, the others have little, and the
# edge is the weakest of the three. Node `n1` has two inputs and keeps both, whatever their weights: decoding would give
# the empty one an operation. The paper's rule always keeps exactly two.
#
# </details>
#
# **3** (medium). Run `search(warmup=0, alpha_rate=0.01)`, and count with `found`. Does a slower $\alpha$ help? Does it
# help more than a longer search does? What can ten searches show?
#
# <details><summary>Solution</summary>
#
# In our run: 7 of 10 with the slower $\alpha$, against 4 of 10 with three times the steps and 1 of 10 with neither. By
# Fisher's exact test, which ignores that the ten tasks are the same, 7 against 1 has p = 0.02, so it helps; 7 against 4
# has p = 0.37, so ten searches do not show that it helps more than more steps do. A slow $\alpha$ gives the kernels
# time, which is a warm-up by another name.
#
# </details>
#
# **4** (medium). Set `PLANTED` to a cell whose four edges are all `skip`, and then to one whose edges are all `dil`
# (the edge `p2 → n2` stays `none`). How often is each found with the warm-up, and how often without? What follows for a
# report that says "our search found skip connections"?
#
# <details><summary>Solution</summary>
#
# In our run: with the warm-up both are found in 10 of 10. Without it `skip` is still found in 10 of 10, `dil` in 1 of
# 10. A search that leans towards `skip` finds it whether it is right or not, so such a report needs a control: a task,
# like this one, where something else is right.
#
# </details>
#
# **5** checks itself. Write the second-order gradient for tensors of any shape, by automatic differentiation, in
# `exercises/second_order.py` (hard). It is tested on the example of one weight and on a small network. A solution is in
# `exercises/solutions/second_order.py`.

# %%
check("second_order")

# %% [markdown]
# ## Further reading
#
# - Liu, Simonyan, Yang: [DARTS: Differentiable Architecture Search](https://arxiv.org/abs/1806.09055), 2018. The mixed
#   edge, the bilevel problem and both approximations.
# - Liu, Chen, Schroff and others: [Auto-DeepLab](https://arxiv.org/abs/1901.02985), 2019. Adds the search for widths.
# - Zhang, Li, Chen, Shen: [IR-NAS](https://arxiv.org/abs/1909.08228), 2019. The paper of this course.
# - Liang and others: [DARTS+](https://arxiv.org/abs/1909.06035), 2019. Stops the search when skip connections appear.
# - Zela and others: [Understanding and Robustifying Differentiable Architecture
#   Search](https://arxiv.org/abs/1909.09656), 2019. When and why it fails.
#
# Next: [the search space of the paper](02_search_space.ipynb).
