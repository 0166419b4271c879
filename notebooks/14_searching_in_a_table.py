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
# # 14. Searching in a table
#
# **What you will learn.** How random search, local search, evolution and a model-guided search compare when each may
# look up the same cells, and how to tell whether a table of trained cells is steady enough to rank them.
#
# **Why it matters.** A search method is judged by what it finds after how many training runs, over many repetitions,
# because each of them draws at random somewhere. Nobody can pay for that with real training runs, so cells are trained
# once and for all. Such tables exist for classification ([NAS-Bench-101](https://arxiv.org/abs/1902.09635) and its
# successors); ours is for image restoration, of cells drawn uniformly from the paper's own space.
#
# **What it needs.** [Notebook 13](13_does_the_search_matter.ipynb). Everything is looked up: no data are needed.
#
# ## What we found
#
# - In a synthetic table, where PSNR is a sum over edges, only the model-guided search is ahead of random search after
#   20 queries, and it stays far ahead.
# - Evolution comes second after 50 queries, local search third.
# - In our own table, of 30 random cells so far, networks whose last layer starts at zero reach 23.84 dB, where those
#   that start as usual reach 22.48 after the same steps. Their spread over seeds is a fifth, but so is that over cells:
#   about three quarters of the variance lie between cells either way.
# - The published cell is an ordinary one there: better than 50% of the random cells (95% interval 33 to 67%). R1 is
#   better than 67%, R2 than 23%. The cell of the search that decides on [page 3](03_search.ipynb), one seed, is better
#   than 87% (70 to 95%), but needs more multiply-adds than any of them.
# - The best of the 30 cells is also the cheapest. A `conv`, `sep` or `dil` in place of a `skip` costs PSNR, a `def`
#   perhaps: in runs of 244 steps, simple cells learn faster.

# %%
import inspect

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from irnas_lib.experiments import cell_table, edits, runs, search_choices, searching, table_facts
from irnas_lib.figures import table_plots
from irnas_lib.genotypes import Genotype
from irnas_lib.tables import frames

print(runs.versions("numpy", "scikit-learn"))

# %% [markdown]
# The parameters. A method may ask for at most `queries` cells, and is repeated `repetitions` times.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
queries = 100
repetitions = 200

# %% [markdown]
# ## A synthetic table
#
# 200 cells, drawn at random from the paper's space. The PSNR of a cell is a sum over its edges, each of random worth,
# and has a standard deviation of 1 dB over the cells. A search sees this PSNR with some noise, as it would see it on
# validation pictures; what is reported is the PSNR without noise. In this table we know that there is something to be
# found.

# %%
def invented(cells, noise, seed):
    """A table whose PSNR is a sum over edges, with a standard deviation of 1 dB over cells."""
    rng = np.random.default_rng(seed)
    codes = np.array([searching.encode(cell) for cell in cells])
    psnr = codes @ rng.normal(size=codes.shape[1])
    psnr /= psnr.std()
    return searching.Table(cells, psnr + noise * rng.normal(size=len(cells)), psnr, codes)


table = invented(cell_table.drawn(5, 200), noise=0.3, seed=0)
print(f"{len(table.cells)} cells")

# %% [markdown]
# ## Four methods
#
# A method asks for one cell of the table after another and sees its validation PSNR. Since it can only ask for cells of
# the table, the neighbour of a cell is the one that shares most edges with it.
#
# - **Random search** asks for any cell.
# - **Local search** asks for the neighbour of the best cell so far. After ten neighbours in vain it starts again from a
#   random cell.
# - **Regularised evolution** keeps the ten youngest cells. The best of three of these has a child with one edge
#   changed; the oldest drops out, however good it is.
# - **Model-guided search** fits a Gaussian process to the cells known so far: a model in which similar cells have
#   similar PSNR, and which returns for each cell a mean and a standard deviation. It asks for the cell with the largest
#   sum of the two.
#
# All but local search ask for their first ten cells at random. Two of the methods as the library has them:

# %%
for method in (searching.local_search, searching.evolution):
    display(Markdown(f"```python\n{inspect.getsource(method)}```"))

# %% [markdown]
# **Regret** is by how much the cell that a method considers best after n queries lies below the best of the table, in
# test PSNR.


# %% alt="Regret of four search methods against queries in the synthetic table; the model-guided search falls fastest"
def compared(searched, name):
    """The regret of all methods in a table, as a picture and in numbers."""
    most = min(queries, len(searched.cells))
    found = {method: searching.regret(searched, search, most, repetitions)
             for method, search in searching.METHODS.items()}
    display(table_plots.regrets(found))
    display(frames.show(pd.DataFrame({
        "method": method, **{f"after {n}": f"{each[:, n - 1].mean():.3f}" for n in (20, 50, 100) if n <= most}}
        for method, each in found.items()), f"{name}: mean regret (dB) over {repetitions} repetitions, by queries"))


compared(table, "synthetic table")

# %% [markdown]
# **What to notice.** After 20 queries, ten of which are spent at random, only the model-guided search is ahead: a
# regret of 0.335 dB, where random search has 0.581 and the two others about as much. After 50 it has 0.046 dB and
# evolution 0.266: PSNR is a sum over edges here, which a model can learn from few cells, and good cells have good
# neighbours, which evolution uses. The grey band holds half of the repetitions of random search: a single run of a
# method shows little.
#
# ## Cells that are not in the table
#
# A surrogate predicts the PSNR of other cells from their edges. Cross-validation measures how well it does so for cells
# that it has not seen. R2 is 1 for a perfect prediction and 0 for one that always returns the mean. Here is the
# Gaussian process beside randomised regression trees.

# %%
KINDS = {"process": "Gaussian process", "trees": "randomised trees"}


def predicted(searched, name):
    """How well each surrogate predicts validation PSNR."""
    fits = {words: searching.cross_validated(searched.codes, searched.validation, kind)
            for kind, words in KINDS.items()}
    display(frames.show(pd.DataFrame({
        "surrogate": words, "R2": f"{fit.r2:.2f}", "Kendall's tau": f"{fit.tau:.2f}", "error (dB)": f"{fit.error:.2f}"}
        for words, fit in fits.items()), f"{name}: cells that the surrogate has not seen"))


predicted(table, "synthetic table")

# %% [markdown]
# **What to notice.** The Gaussian process suits a sum over edges. The trees have an R2 below 0: they predict worse than
# the mean of all cells would.
#
# ## Our own table
#
# One line for each training run; `irnas_lib/experiments/cell_table.py` explains its columns, and fills it. A search
# sees the PSNR on squares of pictures that are kept out of training; what is reported is that on squares of test
# pictures. All networks have the published path and width and add their input to their output.

# %%
records = cell_table.read(task, profile)
short = cell_table.PLANS[task].pixels
long = short * cell_table.LONGER
ours = searching.table_of(records, short)
missing = len(cell_table.left(task, profile))
failed = sum(not record["test"] for record in records)
print(f"{len(records)} training runs, {missing} of the plan are missing, {failed} failed; "
      f"{len(ours.cells)} random cells at {short:,} pixels")
if first := next((record for record in records if record["pixels"] == short and record["test"]), None):
    print(f"a run: {first['iterations']} steps of {first['batch']} crops of {first['crop']}x{first['crop']}; "
          f"{sum(record['seconds'] or 0 for record in records) / 3600:.1f} hours in all")

# %% [markdown]
# ## Is it steady enough to rank cells?
#
# A cell trained from another seed has another PSNR. The table can rank cells as far as they differ by more than that.
# Does a short training run rank cells as a long one does? Kendall's tau measures how similar two rankings are: 1 where
# all pairs stand in the same order, 0 where half of them do.
#
# All cells of one seed see the same batches, so what a seed adds to all of them on average does not count. How the runs
# begin matters most. A first table had networks whose last layer starts at random, as usual. In the present one it
# starts at zero, so that a network begins by returning its input.

# %%
FIRST_LAYERS = {"usual_start": "at random", task: "at zero"}
noise = {name: table_facts.noise(cell_table.read(name, profile), short) for name in FIRST_LAYERS}
display(frames.show(pd.DataFrame({
    "the last layer starts": words, "random cells": f"{found.cells}", "from several seeds": f"{found.repeated}",
    "mean PSNR (dB)": f"{np.mean(searching.table_of(cell_table.read(name, profile), short).test):.2f}",
    "spread over seeds (dB)": f"{found.over_seeds:.3f}", "over cells (dB)": f"{found.over_cells:.3f}",
    "variance between cells": f"{found.over_cells ** 2 / (found.over_cells ** 2 + found.over_seeds ** 2):.0%}"}
    for name, words in FIRST_LAYERS.items() if (found := noise[name]).repeated > 1), "spread of test PSNR"))
ranks = {f"{short:,} and {long:,} pixels": table_facts.budgets_agree(records, short, long),
         "validation and test pictures": table_facts.rank(ours.validation, ours.test)}
for what, rank in ranks.items():
    print(f"Kendall's tau of {what}: " + ("not run" if rank.cells < 3 else f"{rank.tau:.2f},\n  95% interval "
          f"{rank.low:.2f} to {rank.high:.2f}, {rank.cells} cells"))

# %% alt="PSNR of the cells that were trained from two seeds, one against the other, with the diagonal"
display(table_plots.seeds(records, short))

# %% [markdown]
# **What to notice.**
#
# - Starting at zero changes more than any cell does. The first table mostly measured how soon a network stops adding
#   noise of its own.
# - Most points lie below the diagonal: seed 1 has the harder batches, for all cells alike. That is taken off
#   before the spread over seeds is computed.
# - What is left, 0.067 dB of 0.120 dB over cells, is still more than the third that we wanted. Means over three seeds
#   should meet it.
#
# ## What the table shows
#
# Where the paper's cells, and the one searched on page 3 (`searched 0`), stand among random ones; what PSNR costs in
# multiply-adds; and what one more edge with an operation is worth in place of a `skip`, or one more edge from outside
# the cell in place of one from a node (a straight line through all random cells).

# %% alt="The share of random cells below each test PSNR, with marks for the paper's cells"
display(table_plots.distribution(records, short))
by_cell = table_facts.by_cell(records, short)
for name, cell in {record["name"]: record["cell"] for record in records}.items():
    seeds = by_cell.get(edits.canonical(Genotype(cell)))
    if seeds and len(ours.test) and not name.startswith("random"):
        psnr = float(np.mean(list(seeds.values())))
        part, low, high = table_facts.percentile(psnr, ours.test.tolist())
        print(f"{name}: {psnr:.2f} dB over {len(seeds)} seed(s), better than {part:.0%} of "
              f"{len(ours.test)} random cells (95% interval {low:.0%} to {high:.0%})")

# %% alt="Test PSNR against multiply-adds per pixel of every cell, with the Pareto front and the paper's cells"
display(table_plots.pareto(records, short))

# %% alt="What each operation and input adds to the test PSNR, with 95% intervals"
display(table_plots.effects(table_facts.effects(records, short)))

# %% [markdown]
# **What to notice.** The intervals of the shares allow for the few random cells, not for the spread over seeds. An
# interval of the last figure that lies left of zero means that such an edge lowers PSNR. All of this holds for runs of
# a million pixels, and says nothing yet about longer ones: the ten times longer runs of the plan are missing.
#
# ## The methods in our own table

# %% alt="Regret of four search methods against queries in our own table"
ENOUGH = 100  # cells: with fewer, a method soon has them all
if len(ours.cells) >= ENOUGH:
    compared(ours, "our own table")
    predicted(ours, "our own table")
else:
    display(Markdown(f"*Not shown: the table has {len(ours.cells)} random cells, and a comparison needs about "
                     f"{ENOUGH}.*"))

# %% [markdown]
# ## Ranking cells by inherited weights
#
# A supernet can rank cells without training them: each cell is evaluated with the weights that it inherits. Does that
# ranking agree with the table's?

# %%
trained = {cell: float(np.mean(list(seeds.values()))) for cell, seeds in by_cell.items()}
ranked = [search for search in search_choices.load(runs.folders(profile))
          if search.get("inherited", {}).get("random")]
for search in ranked:
    inherited = search["inherited"]["random"]
    pairs = [(score, trained[edits.canonical(cell)])
             for cell, score in zip(cell_table.drawn(len(search["genotype"]), len(inherited)), inherited)
             if edits.canonical(cell) in trained]
    rank = table_facts.rank(*zip(*pairs)) if pairs else table_facts.rank([], [])
    print(f"{search['name']}:\n  Kendall's tau {rank.tau:.2f}, 95% interval {rank.low:.2f} to {rank.high:.2f}, "
          f"{rank.cells} cells")
if not ranked:
    print("not run")

# %% [markdown]
# **What to notice.** The two rankings agree more often than chance, and far from always: a tau of 0.32 means that 66%
# of the pairs of cells stand in the same order. The supernet is that of [page 3](03_search.ipynb) which decides.

# %% [markdown]
# **What to take away.** A table turns a day of training into a lookup, so that methods can be compared over hundreds of
# repetitions; it is only as good as its noise is small. Further reading:
# [NAS-Bench-101](https://arxiv.org/abs/1902.09635), [surrogates in the place of
# tables](https://arxiv.org/abs/2008.09777), [regularised evolution](https://arxiv.org/abs/1802.01548) and [local
# search](https://arxiv.org/abs/2005.02960).

# %% [markdown]
# ## Exercises
#
# **1** (hard). Write a method of your own: a function of the table, the number of queries and a random generator that
# returns indices. Does it beat random search after 20 queries? By more than the grey band?
#
# <details><summary>Solution</summary>
#
# For example a straight line fitted to what is known so far (ridge regression), which asks for the cell with the
# largest prediction:
#
# ```python
# def straight_line(table, queries, rng):
#     asked = searching.random_search(table, searching.FIRST, rng)[:queries]
#     while len(asked) < queries:
#         known, psnr = table.codes[asked], table.validation[asked]
#         weights = known.T @ np.linalg.solve(known @ known.T + np.eye(len(asked)), psnr - psnr.mean())
#         hope = table.codes @ weights
#         hope[asked] = -np.inf
#         asked.append(int(hope.argmax()))
#     return asked
#
#
# after = {name: searching.regret(table, method, 20)[:, -1]
#          for name, method in (("random", searching.random_search), ("line", straight_line))}
# print({name: (each.mean(), np.quantile(each, (0.25, 0.75))) for name, each in after.items()})
# ```
#
# It beats random search where PSNR is nearly a sum over edges, as in the synthetic table: its mean regret lies below
# the lower quartile of random search, which is the lower edge of the grey band. In a table of real training runs that
# depends on how much of the spread is noise.
#
# </details>
#
# **2** (medium). Why may a method look at `validation` only, and what would its regret look like if it saw `test`?
#
# <details><summary>Solution</summary>
#
# The test scores show how good the chosen cell is. A method that sees them also picks by their noise, and the luck of
# its pick is then counted as merit. Its regret would fall to exactly zero once it has asked for the best cell of the
# table, where the regret of a fair one may stay above zero even with all cells asked for: the best on validation
# pictures need not be the best on test pictures.
#
# </details>
#
# **3** (easy). How many cells would random search have to train to find one of the best 5% with a chance of 95%?
#
# <details><summary>Solution</summary>
#
# It misses them n times in a row with probability 0.95 to the power of n. That is below 0.05 from n = log 0.05 / log
# 0.95 = 58.4 on: 59 cells, however large the space is.
#
# </details>
