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
# # 13. Does the search matter?
#
# Everybody who has a search is asked three questions, and the paper answers none of them. Does it give the same cell
# twice? Is that cell better than one drawn with dice? And how much do small changes cost, the two that the paper shows
# and all the others? This page searches from several seeds, draws cells at random, changes the published cell in every
# way that the library lists, and trains a sample of each at one small budget.

# %%
import math
from importlib.metadata import version
from itertools import combinations
from statistics import mean, stdev

import matplotlib.pyplot as plt
import torch
from IPython.display import display
from tqdm import tqdm

from irnas_lib import cells, datasets, edits, inference, plots, protocols, recipes, runs
from irnas_lib.decode import viterbi_path
from irnas_lib.genotypes import PUBLISHED, Genotype
from irnas_lib.patches import Patches
from irnas_lib.search_space import OPERATIONS, move_log_probabilities
from irnas_lib.training import train

device = runs.best_device()
print({name: version(name) for name in ("torch", "torchvision", "numpy")}, runs.device_name(device))

# %% [markdown]
# The parameters. `groups` is what this run trains: some of "published", "searched", "random", and the kinds of changes
# "operation", "input", "R1", "R2"; empty trains nothing and shows what has been trained. `number` is how many cells of
# each, `every` measures one test picture in so many.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
dataset = "embedded"
groups = "random"
number = 2
sigma = 50
seed = 0
iterations = 10
batch = 4
crop = 32
every = 1

# %% [markdown]
# ## The same cell twice?
#
# The searches of this profile that differ in their seed alone: other first weights, other batches, another division of
# the pictures. Two cells agree on an edge if the same node takes the same input.

# %%
searches = [record for each in range(10) if (record := runs.find_search(profile, task, each))]
for record in searches:
    print(f"seed {record['settings']['seed']}: path {record['path']}, {record['genotype']}")
for one, other in combinations(searches, 2):
    edges, both = cells.agreement(one["genotype"], other["genotype"])
    print(f"seeds {one['settings']['seed']} and {other['settings']['seed']}: {edges:.0%} of the edges agree, "
          f"{both:.0%} in their operation too; the paths {'agree' if one['path'] == other['path'] else 'differ'}")
dice = [cells.agreement(*(cell.genotype for cell in pair))
        for pair in combinations(cells.random_cells(task, 12), 2)]
if len(searches) < 2:
    print("whether a search gives the same cell twice: not run, for it needs two seeds")
print("cells drawn at random: {:.0%} of the edges agree, {:.0%} in their operation too, on average".format(
    *(mean(column) for column in zip(*dice))))

# %% [markdown]
# How often is each operation chosen, and how decided are alpha and beta by the time a search ends? The entropy of a
# distribution that is still even is 1.

# %%
def undecided(probabilities):
    """The mean entropy of the rows of (rows, choices), 1 where all that exist are equally likely."""
    choices = (probabilities > 0).sum(dim=1)
    return (torch.special.entr(probabilities).sum(dim=1) / choices.log()).mean().item()


fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for i, record in enumerate(searches):
    label, history = f"seed {record['settings']['seed']}", record["history"]
    counts = [sum(edge.operation == name for node in record["genotype"] for edge in node) for name in OPERATIONS[:-1]]
    left.bar([x + 0.8 * (i + 0.5) / len(searches) - 0.4 for x in range(len(counts))], counts, 0.8 / len(searches),
             color="0.9", edgecolor="k", hatch=("", "///", "...", "xx")[i % 4], label=label)
    steps = [entry["iteration"] for entry in history]
    alphas = [torch.tensor(entry["alpha"], dtype=torch.float64).softmax(dim=1) for entry in history]
    betas = [move_log_probabilities(torch.tensor(entry["beta"], dtype=torch.float64)).exp() for entry in history]
    for name, shares, style in (("alpha", alphas, "-"), ("beta", betas, "--")):
        right.plot(steps, list(map(undecided, shares)), f"k{style}", alpha=1 / (1 + i), label=f"{name}, {label}")
left.set(xticks=range(len(OPERATIONS) - 1), xticklabels=OPERATIONS[:-1], ylabel="edges of the cell")
right.set(xlabel="iterations", ylabel="mean entropy")
right.ticklabel_format(useOffset=False)
for axes in (left, right):
    if searches:
        axes.legend(fontsize=7, frameon=False)
plt.show()

# %% [markdown]
# ## The cells
#
# Random cells have as many parameters as the published one, within 15%: otherwise size would be compared with size.
# The changes are a sample, drawn with a seed, of all that the library lists; the paper's own is always in the sample of
# its kind.

# %%
KINDS = {"operation": "another operation on an edge", "input": "another input of an edge",
         "R1": "R1: every convolution deformable", "R2": "R2: both inputs of a node"}
published = PUBLISHED[task, "IR-NAS"].genotype


def candidates(group):
    """The cells of a group."""
    if group in KINDS:
        return cells.changed_cells(task, KINDS[group], number, seed)
    if group == "random":
        return cells.random_cells(task, number, seed)
    if group == "searched":
        return [cells.Candidate(f"seed {found['settings']['seed']}", found["genotype"]) for found in searches[:number]]
    return [cells.Candidate("IR-NAS", published)]


wanted = {group: candidates(group) for group in groups.split(",") if group}
for cell in (cell for group in wanted.values() for cell in group):
    print(f"{cell.name:32}{cells.parameters(task, cell.genotype):>9,} parameters   {cell.genotype}")

# %% [markdown]
# ## Training
#
# All of them on the published path at the published width, with the same first weights, the same batches and the input
# added to the output. A cell that is trained stays trained: a run that was interrupted goes on with the next.

# %%
sigma = sigma if task == "denoising" else None
pictures = datasets.load(task, dataset, data)
test = pictures.test[::every]
budget = {"system": cells.SYSTEM, "sigma": sigma, "iterations": iterations, "batch": batch, "crop": crop, "seed": seed,
          "recipe": "matched", "protocol": "strict", "pictures": len(test), "data_sha256": pictures.sha256}
folders = [folder / "cells" for folder in runs.folders(profile)]
patches = Patches(pictures.train, crop, (sigma or 0,), rotate=task != "deraining", device=device)
for group in wanted:
    record = cells.load(folders, task, profile).get(group, {})
    if record.get("budget") != budget:
        new = {"task": task, "group": group, "budget": budget, "cells": []}
        record = new | runs.provenance(profile, pictures, device)
    trained = {edits.canonical(Genotype(cell["genotype"])) for cell in record["cells"]}
    missing = [cell for cell in wanted[group] if edits.canonical(cell.genotype) not in trained]
    for cell in tqdm(missing, desc=group):
        torch.manual_seed(seed)
        network = cells.build(task, cell.genotype)
        done = train(network, patches, recipes.recipe("matched"), iterations, batch, seed)
        score = protocols.evaluate(inference.restorer(network, device), test, "strict", sigma, seed)
        record["cells"].append({"name": cell.name, "genotype": cell.genotype, "psnr": score.psnr, "ssim": score.ssim,
                                "parameters": cells.parameters(task, cell.genotype), "seconds": done["seconds"]})
        cells.save(record, folders[0])

# %% [markdown]
# ## What came out
#
# Every cell that has been trained at this budget, by group.

# %%
found = {name: record for name, record in cells.load(folders, task, profile).items() if record["budget"] == budget}
order = [name for name in ("published", "searched", "random", *KINDS) if name in found]
for name in order:
    for cell in found[name]["cells"]:
        print(f"{name:10} {cell['name']:32}{cell['parameters']:>9,} parameters{cell['psnr']:8.2f} dB"
              f"{cell['ssim']:8.4f}{cell['seconds']:6.0f} s")

# %%
def distribution(found, order):
    """The PSNR of every cell, a row for each group."""
    fig, ax = plt.subplots(figsize=(7, 0.8 + 0.45 * len(order)), layout="constrained")
    for row, name in enumerate(order):
        scores = [cell["psnr"] for cell in found[name]["cells"]]
        picked = [cell["psnr"] for cell in found[name]["cells"] if cell["name"].startswith("IR-NAS")]
        ax.plot(scores, [row] * len(scores), "ko", markerfacecolor="w", label="a cell" if row == 0 else None)
        ax.plot(picked, [row] * len(picked), "k*", markersize=13, label="the paper's own" if row == 0 else None)
        ax.plot([mean(scores)] * 2, [row - 0.25, row + 0.25], "k-", label="mean of the group" if row == 0 else None)
    if "published" in found:
        ax.axvline(found["published"]["cells"][0]["psnr"], color="0.6", linestyle=":")
    ax.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.5, -0.5), xlabel="PSNR (dB), strict")
    fig.legend(fontsize=8, loc="outside upper center", ncols=3, frameon=False)
    plt.show()


if order:
    distribution(found, order)
else:
    display(plots.not_run("Cells at one small budget"))

# %% [markdown]
# And the answer, in a sentence with its uncertainty: the difference of two means, give or take its standard error.


# %%
def compared(name, other):
    """The difference of two groups' mean PSNR, with its standard error."""
    a, b = ([cell["psnr"] for cell in found[group]["cells"]] for group in (name, other))
    error = math.sqrt(stdev(a) ** 2 / len(a) + stdev(b) ** 2 / len(b))
    return mean(a) - mean(b), error, len(a), len(b), max(b)


if {"searched", "random"} <= found.keys() and min(len(found[name]["cells"]) for name in ("searched", "random")) > 1:
    difference, error, ours, theirs, best = compared("searched", "random")
    word = "cannot be told apart from" if abs(difference) < 2 * error else ("beat" if difference > 0 else "lose to")
    print(f"At {iterations:,} iterations, {ours} searched cells {word} {theirs} random ones: {difference:+.3f} dB, "
          f"give or take {error:.3f} (one standard error).")
    print(f"The best of {theirs} random cells has {best:.2f} dB, the mean of the searched ones "
          f"{mean(cell['psnr'] for cell in found['searched']['cells']):.2f} dB.")
else:
    print("not run: this needs at least two searched and two random cells")

# %% [markdown]
# ## What the widths knew before
#
# The path of widths is decoded from beta. How much of it was there before the search began? Untouched, beta already
# prefers some paths, since the middle level divides its chances by three and the outer ones by two.

# %%
for record in searches:
    print(f"seed {record['settings']['seed']}: path {record['path']}, relative to untouched beta "
          f"{record['relative_path']}, of untouched beta {viterbi_path(torch.zeros(len(record['beta']), 3))[0]}")

# %% [markdown]
# ## Exercises
#
# 1. With the spread of the random cells (train some with `groups = "random"` where none is printed), how many
#    searched cells would you have to train to see a difference of 0.05 dB?
# 2. The published cell's group has one member. What can be said about it, and what cannot?
# 3. The paper compares a cell with two changed ones. Where would its picks have to lie in their kinds to support "a
#    proper structure"?
