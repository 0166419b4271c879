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
# # 4. From numbers to a network: decoding
#
# **What you will learn.** How to run Viterbi's algorithm by hand, why the best path is not a chain of best steps, how a
# cell is read off alpha, and how much of the answer is determined before the search begins.
#
# **Why it matters.** The search ends with two tables of numbers, alpha and beta. A network has no mixtures: each layer
# has one width, each node two inputs. [The paper](https://arxiv.org/abs/1909.08228) says little about this step
# (Section 3.2). This page shows how much it leaves open.
#
# **What it needs.** Logarithms and probabilities; [page 3](03_search.ipynb), whose search is decoded. In JupyterLab
# beta has sliders.
#
# **What we found**
#
# - The starting values of beta favour two paths equally, 0,0,0,0 and 0,0,0,1, but weakly: 1/16 against 1/24 for the
#   next, which a change of a single logit by log 1.5 = 0.41 makes up for. The second is the path that [page
#   2](02_search_space.ipynb) infers for the published network. This holds where beta is normalised over the moves out
#   of a cell; the paper does not say how it is.
# - The beta of this search decodes to 0,0,0,0, to which an untouched beta decodes too, by the rule for ties. No path
#   has gained more than a factor of 1.11 over its starting probability.
# - The paths that have *gained* most over their start are four different ones in four searches, none of which moved
#   far. (Three of the four searches that we forced to decide have a wide cell at the beginning and none at the end:
#   [page 3b](03b_what_makes_a_search_decide.ipynb) prints their paths.)
# - The cell shares 20% of its edges with the published one. Of cells decoded from random alphas 35% share at least as
#   many.

# %%
import inspect
import math

import matplotlib.pyplot as plt
import pandas as pd
import torch
from exercises import check
from IPython.display import display

from irnas_lib import decode, search_space
from irnas_lib.experiments import runs
from irnas_lib.figures import drawing, interactive, plots
from irnas_lib.genotypes import PUBLISHED
from irnas_lib.training.checkpoints import CheckpointError

print(runs.versions("torch", "numpy", "matplotlib"), "on", runs.device_name(runs.best_device()))

# %% [markdown]
# The parameters: whose search is decoded. [Page 3](03_search.ipynb) makes it.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
seed = 0

# %%
record = runs.find_search(profile, task, seed)
if record is None:
    raise CheckpointError(f"no finished search for {task}, seed {seed}, profile {profile}: "
                          "run 03_search first")
alpha, beta = torch.tensor(record["alpha"]), torch.tensor(record["beta"])
layers, nodes = search_space.layers_for(len(beta)), search_space.nodes_for(len(alpha))
print(f"{task} on {record['dataset']}, seed {seed}, profile {record['profile']}: "
      f"{layers} layers, {nodes} nodes per cell")
print(f"the result is validation {record['best'] + 1} of {len(record['history'])}, "
      f"after {record['history'][record['best']]['iteration']} iterations")

# %% [markdown]
# ## Beta as probabilities
#
# During the search every level of a layer is computed, and beta mixes them (Eq. 5). The network that is trained
# afterwards has one level in each layer: a *path*. To choose one, beta is read as probabilities.
#
# Each row gives the probabilities that a path continues to the narrower, the same or the wider level. This is a Markov
# chain: the next level depends on the present one alone.

# %%
probabilities = search_space.move_log_probabilities(beta).exp().tolist()
print("from layer, level   narrower     same    wider")
for (layer, level), row in zip(search_space.source_rows(layers), probabilities):
    print(f"{layer:10}, {level}      " + "".join(f"{p:9.4f}" if p else f"{'-':>9}" for p in row))

# %% [markdown]
# The same as a trellis, the layers from left to right. The thick line is the most probable path.

# %% alt="Trellis of four layers and three widths with every transition's probability; the best path is thick"
plots.draw_trellis(beta)

# %% [markdown]
# The probability of a path $i_1, \dots, i_L$ is the product along it,
#
# $$P(i_1, \dots, i_L) = \prod_{l=1}^{L} \beta_{i_{l-1}}^{i_l}, \qquad i_0 = 0,$$
#
# with the $\beta_k^i$ of Eq. 5 ([page 2](02_search_space.ipynb)), each of its own layer. The probabilities of all paths
# sum to one:

# %%
paths = decode.all_paths(layers)
chance = {path: math.exp(decode.path_log_probability(beta, path)) for path in paths}
print(f"{len(paths)} paths, probabilities sum to {sum(chance.values()):.6f}")

# %% [markdown]
# ## Viterbi, step by step
#
# Viterbi's observation: *the best way to a level begins with the best way to one of the levels before it.* For of two
# ways to the same level the less probable one can never catch up: all later moves multiply both by the same factors. So
# it is enough to remember, for each level, the best way to it and its probability $p_l(i)$:
#
# $$p_l(i) = \max_{k \in \{i-1,\, i,\, i+1\}} p_{l-1}(k)\, \beta_k^i, \qquad p_0(0) = 1,$$
#
# over those of the three levels that exist. The whole algorithm, which adds logarithms where the formula multiplies:

# %%
def body(function):
    """The source of a function without its docstring."""
    head, _, rest = inspect.getsource(function).split('"""')
    return head.rstrip() + rest.rstrip()


print(body(decode.viterbi))

# %% [markdown]
# With pencil and paper first: two layers of two levels, and the path begins at level 0. Its first move stays there with
# 0.6 and goes to level 1 with 0.4. The second move stays at level 0 with 0.55 and leaves it with 0.45; it stays at
# level 1 with 0.9 and leaves it with 0.1. The best way to level 0 has max(0.6 · 0.55, 0.4 · 0.1) = 0.33, and that to
# level 1 has max(0.6 · 0.45, 0.4 · 0.9) = 0.36. So the best path is 1,1, although its first move is the less probable
# one.
#
# The beta of this search has hardly moved, so it shows little. As a larger example take one of 500 random betas, that
# for which the [greedy path](04_viterbi_decoding.ipynb#The-greedy-path) below loses most. Here is every step, in
# probabilities instead of logarithms. A row is a level of a layer; under "from" is the probability of the best way to a
# level of the previous layer, times that of the move. The largest is bold, and "best way" is remembered.

# %%
rows = len(search_space.source_rows(4))
generator = torch.Generator().manual_seed(0)
random_betas = [torch.randn(rows, 3, generator=generator) for _ in range(500)]
losses = [decode.viterbi_path(logits)[1] - decode.greedy_path(logits)[1] for logits in random_betas]
example = random_betas[max(range(len(losses)), key=losses.__getitem__)]

best, steps = {0: ((), 1.0)}, []
for number, layer in enumerate(decode.transition_scores(example), 1):
    reached = {}
    for level in search_space.levels(number):
        ways = {source: best[source][1] * math.exp(score)
                for (source, to), score in layer.items() if to == level}
        winner = max(sorted(ways), key=ways.get)
        reached[level] = (*best[winner][0], level), ways[winner]
        row = {"layer": number, "level": level}
        for source in range(3):
            row[f"from {source}"] = "" if source not in ways else (
                f"{best[source][1]:.4f} × {ways[source] / best[source][1]:.4f} = {ways[source]:.4f}")
        steps.append(row | {"best way": ",".join(map(str, reached[level][0])), "winner": winner})
    best = reached
trace = pd.DataFrame(steps)
display(trace.drop(columns="winner").style.hide(axis="index").set_uuid("trace")
        .set_properties(**{"white-space": "nowrap", "font-size": "85%", "padding": "2px 6px"})
        .apply(lambda row: ["font-weight: bold" if name == f"from {trace.winner[row.name]}" else ""
                            for name in row.index], axis=1))
way, probability = max(best.values(), key=lambda way: way[1])
assert way == decode.viterbi_path(example)[0]
print(f"best at the end: {','.join(map(str, way))}, probability {probability:.4f}")

# %% [markdown]
# **What to notice.** One candidate survives per level, two in layer 1 and three in each later layer, however many paths
# there are. The best path begins with the move to level 1, the less probable of the two first moves.
#
# ## Brute force for comparison
#
# For the beta of this search, trying all paths gives the same answer as Viterbi's algorithm.

# %%
path = decode.viterbi_path(beta)[0]
assert path == record["path"] and math.isclose(chance[path], max(chance.values()))
ranked = sorted(paths, key=lambda path: -chance[path])
print("Viterbi:    ", *path)
print("brute force:", *decode.brute_force_path(beta)[0])


# %% alt="Bars: the most probable paths, Viterbi's first"
def bars(chances, marks, title):
    """The most probable paths as bars, `marks` with a hatch."""
    shown = sorted(chances, key=lambda path: -chances[path])[:14]
    fig, ax = plt.subplots(figsize=(8, 0.6 + 0.24 * len(shown)), layout="constrained")
    drawn = ax.barh([",".join(map(str, path)) for path in shown], [chances[path] for path in shown],
                    color="0.8", edgecolor="k", linewidth=0.6)
    for path, bar in zip(shown, drawn):
        if path in marks:
            bar.set(hatch="///", facecolor="white")
        middle = bar.get_y() + bar.get_height() / 2
        ax.text(bar.get_width(), middle, f" {chances[path]:.4f}", va="center", fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="probability", title=title, xlim=(0, 1.12 * chances[shown[0]]))
    ax.spines[["top", "right"]].set_visible(False)
    plt.show()


bars(chance, [path], f"the {min(14, len(paths))} most probable of {len(paths)} paths (hatched: Viterbi's)")
print(f"the best is {chance[ranked[0]] / chance[ranked[1]]:.3f} times as probable as the second, "
      f"{chance[ranked[0]] / (1 / len(paths)):.2f} times a path drawn at random")

# %% [markdown]
# **What to notice.** The first path leads the second by 11%. Decoding returns one path, whether its lead is wide or
# narrow.
#
# How small a change would alter the answer? Run this page in JupyterLab (`make lab`), pick a cell and change its
# logits: the thick line is Viterbi's path, the dashed one the second best. A page that does not run shows the picture
# as the search left it, without the sliders.

# %% alt="The trellis with its best path thick and its second best dashed; in JupyterLab with sliders"
interactive.path_explorer(beta)

# %% [markdown]
# How much work does Viterbi's algorithm save? Compare the number of paths with the number of its sums.

# %%
print("layers      paths   sums of Viterbi")
for depth in (2, 3, 4, 6, 8, 10):
    untouched = torch.zeros(len(search_space.source_rows(depth)), 3)
    sums = sum(len(layer) for layer in decode.transition_scores(untouched))
    print(f"{depth:6}{len(decode.all_paths(depth)):11,}{sums:18}")

# %% [markdown]
# With the paper's few layers either method works. The point of Section 3.2 is another: not to choose each layer's best
# level by itself.
#
# ## The greedy path
#
# The greedy path takes the most probable move, layer by layer, and never looks ahead. For the beta of this search:

# %%
greedy, _ = decode.greedy_path(beta)
print(f"greedy  {greedy}, probability {chance[greedy]:.4f}")
print(f"Viterbi {path}, probability {chance[path]:.4f}")

# %% [markdown]
# Here the two agree. How often do they differ? In the random betas from above, for a four-layer supernet:

# %% alt="Trellis in which the greedy path, dashed, leaves the best path, thick, and ends less probable"
print(f"greedy misses the best path in {sum(loss > 0 for loss in losses)} of {len(losses)} random betas")
print(f"at worst, in the example, the best path is {math.exp(max(losses)):.1f} times as probable as greedy's")
plots.draw_trellis(example, others={"greedy": decode.greedy_path(example)[0]})

# %% [markdown]
# The probability of either path, move by move:

# %%
for name, way in (("greedy", decode.greedy_path(example)[0]), ("Viterbi", decode.viterbi_path(example)[0])):
    moves = [math.exp(layer[move]) for layer, move in zip(decode.transition_scores(example), zip((0, *way), way))]
    print(f"{name:8} {','.join(map(str, way))}   {' × '.join(f'{p:.2f}' for p in moves)} = {math.prod(moves):.2f}")

# %% [markdown]
# **What to notice.** The greedy path's first move is the more probable, 0.51 against 0.49. It gains a little at once
# and loses more later: its next moves have 0.53, 0.63 and 0.48, those of the best path 0.80, 0.73 and 0.86.
#
# ## What was determined before the search?
#
# An untouched beta also decodes to a path. Level 1 divides its probability among three moves, levels 0 and 2 among two,
# so a path through level 1 becomes less probable. For four layers, as in the paper's denoising search:

# %% alt="Bars: path probabilities under untouched beta; 0,0,0,0 and 0,0,0,1 share the first place, hatched"
flat = torch.zeros(rows, 3)
prior = {path: math.exp(decode.path_log_probability(flat, path)) for path in decode.all_paths(4)}
top = [path for path in prior if math.isclose(prior[path], max(prior.values()))]
bars(prior, top, "untouched beta, four layers (hatched: the largest)")
print("favourites before any learning:", *top)

# %% [markdown]
# **What to notice.** The two favourites are 0,0,0,0 and 0,0,0,1, and the second is the path that page 2 infers for the
# published denoising network. If that is its path, "the last cell is the widest" is weak evidence of something learned.
#
# That holds if beta is normalised over the moves *out of* a cell, as Auto-DeepLab and the authors' program do it.
# Normalised over the moves *into* a cell (exercise 1), untouched beta has another favourite:

# %%
def incoming(path):
    """The product along a path of four layers where the ways into a cell share its weight evenly."""
    return math.prod(1 / sum(abs(source - level) <= 1 for source in search_space.levels(layer))
                     for layer, level in enumerate(path))


other = sorted(prior, key=incoming, reverse=True)
print(f"moves into a cell: {other[0]} has {incoming(other[0]):.3f}, and (0, 0, 0, 1) has {incoming((0, 0, 0, 1)):.3f}, "
      f"place {1 + sum(incoming(path) > incoming((0, 0, 0, 1)) + 1e-9 for path in prior)} of {len(prior)}")
print(f"moves out of it:   {(0, 0, 0, 1)} has {prior[0, 0, 0, 1]:.4f}, place 1 of {len(prior)}, with {(0, 0, 0, 0)}")

# %% [markdown]
# **What to notice.** What a search has learned has to be compared with what it began with, and that depends on a choice
# which looks like a detail. Here beta is normalised over the moves out of a cell, as before.
#
# Which path has *gained* most over its starting probability? Viterbi's algorithm finds it from differences of log
# probabilities. Below, this is the **relative** decode, the most probable path is the **plain** one, and **untouched**
# is the plain decode of a beta that has learned nothing.

# %%
print(body(decode.relative_path))

# %%
flat = torch.zeros_like(beta)
gain = {path: chance[path] / math.exp(decode.path_log_probability(flat, path)) for path in paths}
relative, log_gain = decode.relative_path(beta)
assert relative == record["relative_path"] and math.isclose(math.exp(log_gain), max(gain.values()))
print("decode      path         probability   untouched    gain")
for name, decoded in (("plain", path), ("relative", relative), ("untouched", decode.viterbi_path(flat)[0])):
    print(f"{name:12}{','.join(map(str, decoded)):12}{chance[decoded]:12.4f}{chance[decoded] / gain[decoded]:12.4f}"
          f"{gain[decoded]:8.3f}")
print("plain and relative decode", "agree" if relative == path else "differ")
print("\nall stored searches at the printed rates:", "profile, seed   plain       relative    its gain", sep="\n")
for each in runs.all_searches(profile):
    if each["task"] == task:
        print(f"{each['profile']:8}{each['settings']['seed']:5}   {','.join(map(str, each['path'])):12}"
              f"{','.join(map(str, each['relative_path'])):12}"
              f"{math.exp(decode.relative_path(torch.tensor(each['beta']))[1]):.3f}")

# %% [markdown]
# **What to notice.** In this search all three decode to 0,0,0,0. Its gain of 1.11 is the largest of any path: beta has
# hardly moved. In the three smaller searches (`laptop`) the two decodes differ. Three of the four searches have the
# plain path of an untouched beta, and the paths that have gained most are four different ones. How did the answer
# change during this page's search?

# %%
history = record["history"]
print("iteration    plain       relative     largest change of a probability in beta")
for entry in history[::max(1, len(history) // 10)]:
    now = torch.tensor(entry["beta"])
    before, after = (search_space.move_log_probabilities(table).exp() for table in (flat, now))
    print(f"{entry['iteration']:9}    {','.join(map(str, decode.viterbi_path(now)[0])):12}"
          f"{','.join(map(str, decode.relative_path(now)[0])):13}{(after - before).abs().max():.4f}"
          + ("" if entry["counts"] else "   warm-up"))

# %% [markdown]
# **What to notice.** The plain decode stays at 0,0,0,0. The relative one changes from 0,1,0,0 to 0,0,0,0 early in the
# search and stays there, while the probabilities still drift.
#
# ## The cell
#
# Cells need no Viterbi, because each node's edges are ranked by themselves. An edge is as strong as its strongest
# operation other than `none`, and a node keeps its two strongest. Each bar below is an edge; the dashed line marks an
# untouched alpha.

# %% alt="Bars: the largest weight of every edge, all near 1/6"
weights = alpha.softmax(dim=-1)[:, :-1]
strength, choice = weights.max(dim=-1)
kept = {(edge.source, f"n{i}") for i, node in enumerate(record["genotype"], 1) for edge in node}
names = search_space.edges(nodes)
fig, ax = plt.subplots(figsize=(6, 0.8 + 0.22 * len(names)), layout="constrained")
for i, (edge, length, column) in enumerate(zip(names, strength.tolist(), choice.tolist())):
    fill, hatch = ("white", "///") if edge in kept else ("0.8", None)
    ax.barh(i, length, color=fill, hatch=hatch, edgecolor="k", linewidth=0.6)
    ax.text(length, i, f" {search_space.OPERATIONS[column]}", va="center", fontsize=9)
ax.axvline(1 / 6, color="k", linestyle="--", linewidth=0.8)
ax.set_yticks(range(len(names)), [f"{source} → {node}" for source, node in names], fontsize=9)
ax.invert_yaxis()
low, high = min(strength.min().item(), 1 / 6), strength.max().item()
ax.set(xlabel="largest weight", xlim=(low - 0.2 * (high - low), high + 0.2 * (high - low)),
       title="strength of every edge (hatched: kept)")
ax.spines[["top", "right"]].set_visible(False)
plt.show()
assert decode.derive_cell(alpha) == record["genotype"]
into = [sorted((length for (_, to), length in zip(names, strength.tolist()) if to == f"n{i}"), reverse=True)
        for i in range(2, nodes + 1)]
leads = [edges[1] - edges[2] for edges in into]
print(f"the weaker kept edge of a node leads the best dropped one by {min(leads):.4f} to {max(leads):.4f}")

# %% [markdown]
# **What to notice.** The axis does not begin at zero. At every node with a choice, the weaker kept edge leads the best
# dropped one by 0.0018 at most, so another seed may well decode to another cell. ([Page
# 13](13_does_the_search_matter.ipynb) has the cells of other searches.)
#
# The cell that was found, beside the published one. Edges that the published cell does not have are bold and dashed:

# %% alt="The found and the published cell; edges that the published cell lacks are bold and dashed"
published = PUBLISHED[task, "IR-NAS"]
for name, cell in (("found", record["genotype"]), ("published", published.genotype)):
    print(f"{name}:", *str(cell).split("; "), sep="\n  ")
drawing.draw_cells({"found": record["genotype"], "published": published.genotype}, published.genotype)


# %% [markdown]
# **What to notice.** The found cell is shallow: three of its nodes read nothing but the cell's two inputs. The
# published one is a chain of up to four nodes.
#
# How many edges do they share, and how many do random cells share? Random alphas of the same size are decoded for
# comparison.

# %%
def agreement(genotype):
    """Share of a cell's edges that the same node of the published cell has too."""
    return 1 - len(drawing.changes(genotype, published.genotype)) / (2 * len(genotype))


generator = torch.Generator().manual_seed(0)
by_chance = [agreement(decode.derive_cell(torch.randn(alpha.shape, generator=generator))) for _ in range(300)]
searched = agreement(record["genotype"])
print(f"agreement with the published cell: {searched:.0%}")
print(f"of random cells: {sum(by_chance) / len(by_chance):.0%} on average; "
      f"{sum(share >= searched for share in by_chance) / len(by_chance):.0%} of them agree at least as much")
print(f"path here {record['path']}, assumed for the published network {published.path}")
if len(record["path"]) != len(published.path):
    print("the two supernets differ in depth: no comparison of the paths")

# %% [markdown]
# **What to notice.** Cells that share few edges may restore equally well. What a difference is worth has to be
# measured: [`05_training`](05_training.ipynb) trains this cell and path if its `genotype` is "searched", and [page
# 9](09_table4_architecture_analysis.ipynb) compares the paper's own modified cells.

# %% [markdown]
# **What to take away.** Decoding always returns an answer, however narrow its lead: check by how much it leads, and
# what an untouched table decodes to. Further reading: [Viterbi's algorithm, explained by
# Forney](https://doi.org/10.1109/PROC.1973.9030), and [Auto-DeepLab](https://arxiv.org/abs/1901.02985), which decodes
# its widths in the same way.

# %% [markdown]
# ## Exercises
#
# **1** (hard). Beta could also be normalised over the moves *into* a cell. Is the product along a path still a
# probability, and which path would an untouched beta favour then?
#
# <details><summary>Solution</summary>
#
# The products no longer add up to one over all paths. Those of the paths that end at a given level do: the weights into
# a cell add up to one, so by induction over the layers the sum over all ways to it is one. With three last levels the
# total is 3. Read backwards it is a probability again: draw the last level evenly, then walk back, each time to one of
# the levels that lead here.
#
# Levels that few moves lead into are favoured now. In layers 1 and 2 one move alone leads into the widest level:
# untouched, 1,2,2,2 leads with 1/4, and 0,0,0,1, which shares the lead of the other reading, has 1/12.
#
# </details>
#
# **2** (easy). `viterbi` breaks ties in favour of the narrower level. Which path does an untouched beta decode to, and
# which one with the opposite rule?
#
# <details><summary>Solution</summary>
#
# To 0,0,0,0; its probability, 1/16, is that of 0,0,0,1, which the opposite rule would take: the two are level until the
# last move, and all other paths are less probable.
#
# </details>
#
# **3** (medium). How would you change `decode.viterbi` so that it returns the second-best path? What must it remember?
#
# <details><summary>Solution</summary>
#
# For each level the *two* best ways to it, since the second-best path may come by a second-best way. A level then
# compares up to six candidates, two from each of three sources, and keeps two; at the end the second of all that are
# left is the answer. Two are enough: if a beginning of the second-best path were only the third best to where it ends,
# the two better ones with the same continuation would both beat it.
#
# </details>

# %% [markdown]
# One more checks itself: break the greedy shortcut. Find a beta that misleads it, in `exercises/greedy.py` (medium).

# %%
check("greedy")
