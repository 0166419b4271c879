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
# and all the others? This page compares the searches that notebook 3 has run from several seeds, draws cells at random,
# changes the published cell in every way that the library lists, and trains a sample of each at one small budget.

# %%
import math
from importlib.metadata import version
from itertools import combinations
from statistics import mean, stdev

import torch
from IPython.display import display
from scipy import stats
from tqdm import tqdm

from irnas_lib import cell_plots, cells, datasets, edits, inference, protocols, recipes, runs
from irnas_lib.decode import all_paths, path_log_probability, relative_path, viterbi_path
from irnas_lib.genotypes import PUBLISHED, Genotype
from irnas_lib.patches import Patches
from irnas_lib.search_space import OPERATIONS
from irnas_lib.training import Diverged, train

device = runs.best_device()
print({name: version(name) for name in ("torch", "torchvision", "numpy")}, runs.device_name(device))

# %% [markdown]
# The parameters. `groups` is what this run trains: some of "published", "again" (the published cell from other seeds),
# "searched", "random", and the kinds of changes "operation", "input", "R1", "R2"; empty trains nothing and shows what
# has been trained. `number` is how many cells of each, `every` measures one test picture in so many.

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
alike = [record["settings"] | {"seed": 0, "data": record["data_sha256"]} for record in searches]
searches = [record for record, settings in zip(searches, alike) if settings == alike[0]]
for record in searches:
    print(f"seed {record['settings']['seed']}: path {record['path']}, {record['genotype']}")
for one, other in combinations(searches, 2):
    edges, both = cells.agreement(one["genotype"], other["genotype"])
    print(f"seeds {one['settings']['seed']} and {other['settings']['seed']}: {edges:.0%} of the edges agree, "
          f"{both:.0%} in their operation too; the paths {'agree' if one['path'] == other['path'] else 'differ'}")
if len(searches) < 2:
    print("whether a search gives the same cell twice: not run, for it needs two seeds")
dice = [cells.agreement(*(cell.genotype for cell in pair))
        for pair in combinations(cells.random_cells(task, 12), 2)]
for what, shares in zip(("edges agree", "edges agree in their operation too"), zip(*dice)):
    print(f"cells drawn at random: {mean(shares):.0%} of the {what}, standard deviation {stdev(shares):.0%}")

# %% [markdown]
# Which inputs does a node take, and with which operations? A square that all seeds agree on is dark. The first node has
# two inputs to choose two from, so that its row is always dark: two of the edges agree whatever a search does.

# %%
display(cell_plots.chosen_edges([record["genotype"] for record in searches]),
        cell_plots.chosen_operations(searches))

# %% [markdown]
# And how decided are alpha and beta by the time a search ends? The entropy of a distribution that is still even is 1.

# %%
display(cell_plots.entropy(searches))
for record in searches:
    weights = torch.tensor(record["alpha"], dtype=torch.float64).softmax(dim=1)
    print(f"seed {record['settings']['seed']}: entropy of alpha {cell_plots.undecided(weights):.4f}, largest weight "
          f"{weights.max():.3f} (untouched: {1 / len(OPERATIONS):.3f})")

# %% [markdown]
# **What to notice** in the searches that come with the project (`laptop`: 730 steps). Two of them agree no more than
# two cells drawn with dice, and alpha has hardly moved: a cell is read off near-ties. At this scale the search does not
# give the same cell twice. Whether the paper's far longer schedule would is not answered here.

# %% [markdown]
# ## The cells
#
# Random cells have as many parameters as the searched ones that they are compared with, one as the first, one as the
# second and so on, within 5%: otherwise size would be compared with size. Changed cells are as large as they are.
# The changes are a sample, drawn with a seed, of all that the library lists; the paper's own is always in the sample of
# its kind. The published cell is trained from other seeds too: what one cell differs by from seed to seed, no
# comparison of two cells can resolve.

# %%
published = PUBLISHED[task, "IR-NAS"].genotype
near = [cells.parameters(task, record["genotype"]) for record in searches
        if len(record["genotype"]) == len(published)]  # smoke's cells have fewer nodes


def candidates(group):
    """The cells of a group."""
    if group in edits.KINDS:
        return cells.changed_cells(task, group, number, seed)
    if group == "random":
        return cells.random_cells(task, number, seed, near)
    if group == "searched":
        return [cells.Candidate(f"seed {found['settings']['seed']}", found["genotype"]) for found in searches[:number]]
    if group == "again":
        return [cells.Candidate(f"IR-NAS, seed {other}", published, other) for other in range(seed + 1, seed + 4)]
    return [cells.Candidate("IR-NAS", published)]


wanted = {group: candidates(group) for group in groups.split(",") if group}
for cell in (cell for group in wanted.values() for cell in group):
    print(f"{cell.name:32}{cells.parameters(task, cell.genotype):>9,} parameters   {cell.genotype}")

# %% [markdown]
# ## Training
#
# All of them on the published path at the published width, with the input added to the output, and but for "again" from
# one seed, which draws the first weights and the batches. A cell that is trained stays trained: a run that was
# interrupted goes on with the next.

# %%
sigma = sigma if task == "denoising" else None
pictures = datasets.load(task, dataset, data)
test = pictures.test[::every]
budget = {"system": cells.SYSTEM, "sigma": sigma, "iterations": iterations, "batch": batch, "crop": crop, "seed": seed,
          "recipe": "matched", "protocol": "strict", "pictures": len(test), "data_sha256": pictures.sha256}
folders = [folder / "cells" for folder in runs.folders(profile)]
patches = Patches(pictures.train, crop, (sigma or 0,), rotate=task != "deraining", device=device)
for group in wanted:
    record = cells.load(folders, task, profile, budget).get(group)
    if record is None or (group == "random" and record["near"] != near):
        new = {"task": task, "group": group, "budget": budget, "near": near, "cells": []}
        record = new | runs.provenance(profile, pictures, device)
    trained = {(edits.canonical(Genotype(cell["genotype"])), cell["seed"]) for cell in record["cells"]}
    for cell in tqdm(wanted[group], desc=group):
        own = seed if cell.seed is None else cell.seed
        if (edits.canonical(cell.genotype), own) in trained:
            continue
        torch.manual_seed(own)
        network = cells.build(task, cell.genotype)
        result = {"name": cell.name, "genotype": cell.genotype, "seed": own, "psnr": None, "ssim": None,
                  "seconds": None, "parameters": cells.parameters(task, cell.genotype)}
        try:
            result["seconds"] = train(network, patches, recipes.recipe("matched"), iterations, batch, own)["seconds"]
            score = protocols.evaluate(inference.restorer(network, device), test, "strict", sigma, seed)
            result |= {"psnr": score.psnr, "ssim": score.ssim}
        except Diverged as error:
            print(f"{cell.name} failed: {error}")
        record["cells"].append(result)
        cells.save(record, folders[0])

# %% [markdown]
# ## What came out
#
# Every cell that has been trained at this budget, by group.

# %%
found = cells.load(folders, task, profile, budget)
for name in (name for name in cells.GROUPS if name in found):
    for cell in found[name]["cells"]:
        scores = "failed" if cell["psnr"] is None else "{psnr:.2f} dB  {ssim:.4f}{seconds:6.0f} s".format(**cell)
        print(f"{name:10} {cell['name']:32}{cell['parameters']:>9,} parameters   {scores}")

# %%
display(cell_plots.scores(found))

# %% [markdown]
# In numbers: mean, standard deviation and best of each group. How far one cell is from another says little while it is
# less than what the published cell differs by from one training seed to the next.

# %%
psnrs = {name: [cell["psnr"] for cell in record["cells"] if cell["psnr"] is not None]
         for name, record in found.items()}
for name in (name for name in cells.GROUPS if len(psnrs.get(name, [])) > 1):
    size = mean(cell["parameters"] for cell in found[name]["cells"])
    print(f"{name:10}{len(psnrs[name]):3} cells   {mean(psnrs[name]):.2f} dB, standard deviation "
          f"{stdev(psnrs[name]):.3f}, best {max(psnrs[name]):.2f}; {size:,.0f} parameters on average")
own = psnrs.get("published", []) + psnrs.get("again", [])
if len(own) > 1:
    print(f"\nthe published cell from {len(own)} training seeds: {mean(own):.2f} dB, standard deviation "
          f"{stdev(own):.3f}")
    for kind in ("R1", "R2"):
        if kind in found and found[kind]["cells"][0]["psnr"] is not None:
            over = found[kind]["cells"][0]["psnr"] - mean(own)  # the paper's own is the first of its kind
            print(f"the paper's {kind}: {over:+.3f} dB, {over / stdev(own):+.1f} of these standard deviations; number "
                  f"{sum(psnr >= psnrs[kind][0] for psnr in psnrs[kind])} of {len(psnrs[kind])} of its kind")

# %% [markdown]
# And the answer, in a sentence with its uncertainty: the difference of two means and its 95% interval by Welch's t
# test, which takes cells of a group as drawn independently. A random cell costs nothing to find, a search costs as much
# as many trainings: what would the best of as many random cells have been? (The best is picked on the pictures that it
# is measured on, which flatters it on both sides.)

# %%
if min(len(psnrs.get(name, [])) for name in ("searched", "random")) > 1:
    ours, theirs = psnrs["searched"], psnrs["random"]
    low, high = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    word = "beat" if low > 0 else "lose to" if high < 0 else "cannot be told apart from"
    print(f"At {iterations:,} iterations, {len(ours)} searched cells {word} {len(theirs)} random ones: "
          f"{mean(ours) - mean(theirs):+.3f} dB, 95% interval {low:+.3f} to {high:+.3f}.")
    few = min(len(ours), len(theirs))
    best = [mean(max(some) for some in combinations(of, few)) for of in (ours, theirs)]
    print(f"The best of {few}: {best[0]:.2f} dB of searched cells, {best[1]:.2f} of random ones; of all {len(theirs)} "
          f"random ones {max(theirs):.2f}.")
    cost = mean(record["seconds"] for record in searches)
    training = mean(cell["seconds"] for cell in found["random"]["cells"] if cell["seconds"])
    print(f"A search took {cost:,.0f} s, as long as {cost / training:.0f} of these trainings.")
else:
    print("not run: this needs at least two searched and two random cells")

# %% [markdown]
# ## What the widths knew before
#
# The path of widths is decoded from beta. How much of it was there before the search began? Untouched, beta already
# prefers some paths, since the middle level divides its chances by three and the outer ones by two: 0,0,...,0,0 and
# 0,0,...,0,1 share the first place. The path that has gained most over untouched beta is another question, with another
# answer.

# %%
display(cell_plots.widths(searches))
for record in searches:
    beta = torch.tensor(record["beta"])
    untouched = torch.zeros_like(beta)
    path, gained = relative_path(beta)
    print(f"seed {record['settings']['seed']}: most probable {record['path']} with "
          f"{math.exp(path_log_probability(beta, record['path'])):.4f} "
          f"(untouched {math.exp(path_log_probability(untouched, record['path'])):.4f}); "
          f"gained most {path}, by {math.expm1(gained):.1%}")
if searches:
    likeliest = viterbi_path(untouched)[1]
    first = [path for path in all_paths(len(searches[0]["path"]))
             if math.isclose(path_log_probability(untouched, path), likeliest)]
    print(f"first place of untouched beta: {first}, with {math.exp(likeliest):.4f} each")

# %% [markdown]
# **What to notice** in the searches that come with the project: each seed decodes to one of the two paths that led
# before the search began, with a chance that has hardly grown; relative to untouched beta the seeds prefer three
# different paths. The decoded path is the prior's, not the pictures'.

# %% [markdown]
# ## Exercises
#
# 1. With the spread of the random cells (train some with `groups = "random"` where none is printed), how many
#    searched cells would you have to train to see a difference of 0.05 dB?
# 2. The published cell is one cell from several training seeds, a random cell many cells from one. Which of the two
#    standard deviations tells whether R1 and R2 are worse, and which whether the search matters?
# 3. The paper compares a cell with two changed ones. Where would its picks have to lie in their kinds to support "a
#    proper structure"?
