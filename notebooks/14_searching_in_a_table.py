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
# look up the same trained cells, and how to tell whether a table of trained cells can rank them at all. Ours cannot
# yet: this page says why, ranks nothing with it, and shows the methods on a table that is invented.
#
# **Why it matters.** A search method is judged by what it finds after how many trainings, over many repetitions,
# because each of them draws at random somewhere. Nobody can pay for that with real trainings, so cells are trained once
# and for all. Such tables exist for classification ([NAS-Bench-101](https://arxiv.org/abs/1902.09635) and its
# successors); this one is for image restoration, of cells drawn uniformly from the paper's own space.
#
# **What it needs.** [Notebook 13](13_does_the_search_matter.ipynb). Everything is looked up; under a minute to run.

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from irnas_lib.experiments import cell_table, edits, runs, searching, table_facts
from irnas_lib.figures import table_plots
from irnas_lib.genotypes import PUBLISHED, Genotype
from irnas_lib.tables import frames

print(runs.versions("numpy", "scikit-learn"))

# %% [markdown]
# The parameters. A method may ask for at most `queries` cells, and is repeated so many times.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
queries = 100
repetitions = 200

# %% [markdown]
# ## The table
#
# One line for each training; `irnas_lib/experiments/cell_table.py` says what its columns mean, and fills it. A search
# sees the PSNR on squares of pictures that are kept out of the training; what is reported is that on squares of test
# pictures. All networks have the published path and width and add their input to their output.

# %%
records = cell_table.read(task, profile)
short = cell_table.PLANS[task].pixels
long = short * cell_table.LONGER
table = searching.table_of(records, short)
missing = len(cell_table.left(task, profile))
failed = sum(not record["test"] for record in records)
print(f"{len(records)} trainings, {missing} of the plan are missing, {failed} failed; "
      f"{len(table.cells)} random cells at {short:,} pixels")
if first := next((record for record in records if record["pixels"] == short and record["test"]), None):
    print(f"a training: {first['iterations']} steps of {first['batch']} crops of {first['crop']}x{first['crop']}, "
          f"{sum(record['seconds'] or 0 for record in records) / 3600:.1f} hours in all")

# %% [markdown]
# ## Can it rank?
#
# A cell trained from another seed has another PSNR. Where that spread is not much smaller than the spread over cells,
# the table ranks chance and not cells; a third is what we allow. Does a short training rank cells as a long one does?
# Kendall's tau says how alike two rankings are: 1 where all pairs stand in the same order, 0 where half of them do.

# %%
noise = table_facts.noise(records, short)
steady = noise.repeated > 1 and noise.over_seeds <= noise.over_cells / 3
ranks = {f"{short:,} and {long:,} pixels": table_facts.budgets_agree(records, short, long),
         "validation and test pictures": table_facts.rank(table.validation, table.test)}
print("standard deviations: " + (
    f"over seeds {noise.over_seeds:.3f} dB ({noise.repeated} cells),\nover cells {noise.over_cells:.3f} dB "
    f"({noise.cells} cells)" if noise.repeated else "not run"))
for what, rank in ranks.items():
    print(f"Kendall's tau of {what}: " + ("not run" if rank.cells < 3 else f"{rank.tau:.2f},\n  95% interval "
          f"{rank.low:.2f} to {rank.high:.2f}, {rank.cells} cells"))
print(f"the table can rank cells: {'yes' if steady else 'no'}")

# %% alt="PSNR of the cells that were trained from two seeds, one against the other, with the diagonal"
display(table_plots.seeds(records, short))

# %% [markdown]
# **What to notice** in the first 46 trainings. Another seed moves a cell by 0.37 dB (standard deviation), more than
# half of what lies between cells, 0.66 dB. The scatter is uneven: cells that begin slowly scatter most, R1 among them,
# with 23.2 dB from one seed and 21.3 from another. A million pixels are too few for these, so the table will be made
# again with a longer training. Until then where the paper's cells stand, what an operation is worth and how well a
# model predicts a cell are not shown: they would be statements about luck. ([Notebook
# 13](13_does_the_search_matter.ipynb) trains fewer cells for longer; there R1 is ahead of the published cell at the
# same seed.)
#
# ## Where the paper's cells stand

# %% alt="The share of random cells below each test PSNR, with marks for the paper's cells"
UNTIL = Markdown("*Not shown: the table cannot rank yet.*")
display(table_plots.distribution(records, short) if steady else UNTIL)
random_psnr = [seeds[0] for seeds in table_facts.by_cell(
    table_facts.random_cells(records), short).values() if 0 in seeds]
papers = table_facts.by_cell([record for record in records if (task, record["name"]) in PUBLISHED], short)
for (of, name), architecture in PUBLISHED.items() if steady else ():
    seeds = papers.get(edits.canonical(Genotype(architecture.genotype))) if of == task else None
    if seeds and random_psnr:
        psnr = float(np.mean(list(seeds.values())))
        share, low, high = table_facts.percentile(psnr, random_psnr)
        print(f"{name}: {psnr:.2f} dB over {len(seeds)} seed(s), better than {share:.0%} of "
              f"{len(random_psnr)} random cells (95% interval {low:.0%} to {high:.0%})")

# %% alt="Test PSNR against multiply-adds a pixel of every cell, with the Pareto front and the paper's cells"
display(table_plots.pareto(records, short) if steady else UNTIL)

# %% [markdown]
# ## What PSNR depends on
#
# A straight line through all random cells: what is one more edge with an operation worth in the place of a `skip`, and
# one more edge that comes from outside the cell in the place of one from a node?

# %% alt="What each operation and input adds to the test PSNR, with 95% intervals"
display(table_plots.effects(table_facts.effects(records, short)) if steady else UNTIL)

# %% [markdown]
# ## Four methods
#
# Random search; local search, which asks for the cell nearest to the best so far; regularised evolution; and a search
# guided by a model, a Gaussian process fitted to what is known so far. A method can only ask for cells of the table, so
# "nearest" means the one that shares most edges. It sees the PSNR of validation pictures.
#
# **Regret** is by how much the cell that a method has found after n queries lies below the best of the table, in PSNR
# of test pictures. As long as our own table cannot rank, the methods play in an invented one: 200 cells, drawn as ours
# are, whose PSNR is a sum over edges, each worth what a random number says, with some noise on the validation side. In
# it we know that there is something to be found.

# %%
def invented(cells, noise, seed):
    """A table whose PSNR is a sum over edges, with a standard deviation of 1 dB over cells."""
    rng = np.random.default_rng(seed)
    codes = np.array([searching.encode(cell) for cell in cells])
    psnr = codes @ rng.normal(size=codes.shape[1])
    psnr /= psnr.std()
    return searching.Table(cells, psnr + noise * rng.normal(size=len(cells)), psnr, codes)


searched = table if steady else invented(cell_table.drawn(5, 200), noise=0.3, seed=0)
print(f"{len(searched.cells)} cells, {'ours' if steady else 'invented'}")

# %% alt="Regret of four search methods against queries, with the middle half of random search in grey"
budget = min(queries, len(searched.cells))
found = {name: searching.regret(searched, method, budget, repetitions) for name, method in searching.METHODS.items()}
display(table_plots.regrets(found))
display(frames.show(pd.DataFrame({
    "method": name, **{f"after {n}": f"{each[:, n - 1].mean():.3f}" for n in (20, 50, 100) if n <= budget}}
    for name, each in found.items()), f"mean regret (dB) over {repetitions} repetitions, after so many queries"))

# %% [markdown]
# **What to notice** in the invented table. After 20 queries, ten of which every method but local search spends at
# random, nobody is far ahead. After 50 the model-guided search has a fraction of random search's regret: PSNR is a sum
# over edges here, which a model can learn from few cells. Evolution uses that good cells have good neighbours, and
# comes second. The grey band is half of the repetitions of random search: a single run of a method says little.
#
# ## Cells that are not in the table
#
# A surrogate predicts their PSNR from their edges. Cross-validation says how well it does so for cells that it has not
# seen; wherever a surrogate stands in for a training, this is its error.

# %%
print(f"on the table that is {'ours' if steady else 'invented'}, for PSNR of validation pictures:")
for kind in ("process", "trees"):
    fit = searching.cross_validated(searched.codes, searched.validation, kind)
    print(f"  {kind}: R2 {fit.r2:.2f}, Kendall's tau {fit.tau:.2f}, error {fit.error:.2f} dB")

# %% [markdown]
# **What to take away.** A table turns a day of trainings into a lookup, so that methods can be compared over hundreds
# of repetitions; it is only as good as its noise is small. Further reading:
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
# For example a straight line fitted to what is known so far (ridge regression), which asks for the cell that it expects
# most of:
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
# It beats random search where PSNR is nearly a sum over edges, as the test of this solution has it. In a table of real
# trainings that depends on how much of the spread is noise, so look: it is ahead by more than the grey band if its mean
# lies below the lower quartile of random search.
#
# </details>
#
# **2** (medium). Why may a method look at `validation` only, and what would its regret look like if it saw `test`?
#
# <details><summary>Solution</summary>
#
# The test scores say how good the chosen cell is. A method that sees them also picks by their noise, and the luck of
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
