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
# # 14b. Comparing search methods in invented tables
#
# **What you will learn.** How random search, local search, regularised evolution and a model-guided search work, how
# they are compared, and what noise does to each.
#
# **Why it matters.** A search method is judged by what it finds after how many training runs, over many repetitions,
# because each of them draws at random somewhere. Nobody can pay for that with real training runs. So methods are
# compared in tables: of real training runs, or, as here, of invented ones, whose truth we know.
#
# **What it needs.** [Notebook 14](14_searching_in_a_table.ipynb): a table of trained cells, and how noisy it is.
# Everything is looked up: no data are needed.
#
# ## What we found
#
# In these tables a dB is the standard deviation over cells. In our own table that is 0.24 dB, so for networks of that
# kind divide by four.
#
# - **Where PSNR adds up over edges and the noise is as small as in our table, the model-guided search finds the most.**
#   After 50 queries random search is 0.59 dB below the best cell; the model-guided search, which is told how noisy the
#   runs are, is 0.42 ± 0.17 dB better than that, local search and evolution half as much.
# - **Local search and evolution live on small changes of a good cell**, and of 200 random cells the one nearest to a
#   cell shares only 4.3 of its ten edges on average. In tables of all cells of two nodes, which hold every neighbour,
#   both are 0.56 dB better than random search, and the model-guided search is 1.00 dB better; of 200 of these cells,
#   they are 0.22, 0.20 and 0.43 dB better. So a small table hides what all three can do, and those that go by
#   neighbours hardly more than the model.
# - **Where training runs are somewhat noisier than those of our table at twice the learning rate, the model-guided
#   search is the only one of which this shows that it is better than random search**: by 0.41 ± 0.22 dB after 50
#   queries, told how noisy they are. It still ends 1.08 dB below the best cell: the noise decides more than the method.
#   With all cells of two nodes it gains 1.12 ± 0.40 dB at that noise, and local search 0.49 ± 0.44.
# - **Its lead needs cells that share edges to be alike**, as they are where PSNR adds up over edges. Where they are
#   not, no method beats random search.

# %%
import inspect
import itertools

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from irnas_lib.experiments import cell_table, edits, runs, searching, table_facts
from irnas_lib.figures import table_plots
from irnas_lib.genotypes import Edge, Genotype
from irnas_lib.search_space import OPERATIONS, states
from irnas_lib.tables import frames

print(runs.versions("numpy", "scikit-learn"))

# %% [markdown]
# The parameters. A method may ask for at most `queries` cells, and is repeated `repetitions` times.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"
queries = 50
repetitions = 200

# %% [markdown]
# ## Invented tables
#
# 200 cells, drawn at random from the paper's space, and invented PSNRs with a standard deviation of 1 dB over the
# cells. A search sees a cell's PSNR with noise, as it would from one training run; what is reported is the PSNR without
# noise.
#
# - **Sum over edges**: each edge has a random worth, and so has each further edge with an operation or from a source.
#   The noise is 0.3 dB. (Such tables suit the model-guided search, which is given just these features and expects cells
#   that share them to be alike. Whether real cells are is not known.)
# - **Sum over pairs of edges**: the worth of an edge depends on the others. The noise is 0.3 dB.
# - **Noisy**, and **very noisy**: a sum over edges, with a noise of 1.0 and of 1.5 dB. In our own table the spread over
#   seeds is 0.3 times that over cells, as in the first kind; at twice the learning rate it is 1.3 times, between these
#   two, with an interval that reaches to far noisier tables, which were not tried (printed below).
# - **No order**: every cell has a PSNR of its own, whatever its edges. This is a control: here no method can do better
#   than random search.
#
# Of each kind there are 20 tables, each with other worths and other noise, so that no result hangs on one table; all of
# them are of the same 200 cells. Two things are unlike the real space, and bear on the comparison:
#
# - 50 queries are a quarter of a table. This flatters random search: nobody can try a quarter of the paper's space.
# - The cells lie far apart. The last line of the output counts how many edges, with their operation, a cell shares with
#   its nearest in the table. Methods that go by small steps can take none here; further below they can.

# %%
def invented(cells, codes, noise, seed, order="edges"):
    """A table whose PSNR is a sum over edges or over pairs of edges, or has no order; with a deviation of 1 dB."""
    rng = np.random.default_rng(seed)
    if order == "pairs":
        psnr = np.einsum("ci,ij,cj->c", codes, rng.normal(size=codes.shape[1:] * 2), codes)
    else:
        psnr = codes @ rng.normal(size=codes.shape[1:]) if order == "edges" else rng.normal(size=len(codes))
    psnr = (psnr - psnr.mean()) / psnr.std()
    share = noise ** 2 / (1 + noise ** 2)  # of noise in the variance that a search sees
    return searching.Table(cells, psnr + noise * rng.normal(size=len(cells)), psnr, codes, share)


drawn = cell_table.drawn(5, 200)
codes = np.array([searching.encode(cell) for cell in drawn])
TABLES = {"sum over edges": (0.3, "edges"), "sum over pairs of edges": (0.3, "pairs"), "noisy": (1.0, "edges"),
          "very noisy": (1.5, "edges"), "no order": (0.3, "none")}
tables = {name: [invented(drawn, codes, noise=error, seed=seed, order=order) for seed in range(20)]
          for name, (error, order) in TABLES.items()}

records = cell_table.read(task, profile)
short = cell_table.PLANS[task].pixels
known = table_facts.noise(records, short)
if known.repeated > 1:
    ours = searching.table_of(records, short, noise=1 - known.share)
    if len(ours.cells) >= 100:
        tables["our own table"] = [ours]
for name, words in ((task, "our own table"), ("fast_rate", "our table at twice the learning rate")):
    noise = table_facts.noise(cell_table.read(name, profile), short)
    if noise.repeated > 1:
        multiples = [np.sqrt(1 / share - 1) if share else np.inf for share in (noise.share, noise.low, noise.high)]
        print("{} has {} random cells, and a spread over seeds of {:.1f} times that over cells\n  (95% interval {:.1f} "
              "to {:.1f})".format(words, noise.cells, multiples[0], *sorted(multiples[1:])))
kept = [{(node, edge.source, edge.operation) for node, pair in enumerate(cell) for edge in pair} for cell in drawn]
shared = [max(len(cell & other) for other in kept if other is not cell) for cell in kept]
print(f"a cell shares {np.mean(shared):.1f} of its {len(kept[0])} edges with its nearest of the {len(drawn)} cells, "
      f"on average ({min(shared)} to {max(shared)})")

# %% [markdown]
# ## Four methods
#
# A method asks for one cell of the table after another and sees its validation PSNR. It can only ask for cells of the
# table. A true neighbour of a cell differs from it in one edge; these tables hold none, so the two methods that need
# one take the nearest cell of the table instead.
#
# - **Random search** asks for any cell.
# - **Local search** asks for the cell nearest to the best so far. After ten of these in vain it starts again from a
#   random cell.
# - **Regularised evolution** keeps the ten youngest cells. The best of three of these has a child with one edge
#   changed, in place of which the nearest cell of the table is asked for; the oldest drops out, however good it is.
# - **Model-guided search** (Bayesian optimisation) fits a Gaussian process to the cells known so far: a model in which
#   similar cells have similar PSNR, and which returns for each cell a mean $\mu$ and a standard deviation $s$. It asks
#   for the cell with the largest $\mu + s$ (an *upper confidence bound*). The model is told which share of what it sees
#   is noise.
#
# After each query a method takes one of its cells as the best: the model-guided one that of the largest mean, the three
# others that of the highest PSNR seen.
#
# All but local search ask for their first ten cells at random. Two of the methods as the library has them:

# %%
for method in (searching.local_search, searching.evolution):
    display(Markdown(f"```python\n{inspect.getsource(method)}```"))

# %% [markdown]
# And the process, of which the model-guided search takes the cell with the largest sum. The more of their code two
# cells share (which edges and operations they have, and how many of each), the more alike their PSNR is expected to be:
# the kernel is a squared exponential, as wide as the typical distance of two cells. The library's
# `searching.model_guided` updates a Cholesky factor instead of solving anew after every query, which is faster; it asks
# for the same cells:

# %%
def process(codes, asked, seen, noise):
    """The mean and the standard deviation of every cell, after the PSNRs `seen` of the cells `asked`, standardised."""
    square = pdist(codes, "sqeuclidean")
    kernel = (1 - noise) * np.exp(-squareform(square) / (2 * np.median(square)))
    known = kernel[np.ix_(asked, asked)] + noise * np.eye(len(asked))
    weights = np.linalg.solve(known, kernel[asked])  # of each PSNR seen, in the mean of each cell
    mean = (seen - seen.mean()) / seen.std() @ weights
    return mean, np.sqrt(np.clip(np.diag(kernel) - (kernel[asked] * weights).sum(axis=0), 0, None))


table = tables["sum over edges"][0]
asked = searching.model_guided(table, 20, np.random.default_rng(0)).asked
for n in range(searching.FIRST, len(asked)):
    hope = sum(process(table.codes, asked[:n], table.validation[asked[:n]], table.noise))
    hope[asked[:n]] = -np.inf
    assert hope.argmax() == asked[n]
print(f"the same {len(asked) - searching.FIRST} cells after the first {searching.FIRST}")

# %% [markdown]
# **Regret** is by how much the cell that a method takes as the best after n queries lies below the best of the table,
# in PSNR without noise.

# %% alt="Regret of four methods against queries where noise is small; the model-guided search falls fastest"
def regrets(method, searched):
    """Of a method in tables of one kind, (tables, repetitions, queries)."""
    most = min(queries, *(len(table.cells) for table in searched))
    return np.array([searching.regret(table, method, most, max(1, repetitions // len(searched)), seed)
                     for seed, table in enumerate(searched)])


found = {name: {method: regrets(search, searched) for method, search in searching.METHODS.items()}
         for name, searched in tables.items()}
display(table_plots.regrets({method: np.concatenate(each) for method, each in found["sum over edges"].items()}))

# %% alt="The same in very noisy tables: all four curves stay higher; the model-guided search is the lowest"
display(table_plots.regrets({method: np.concatenate(each) for method, each in found["very noisy"].items()}))

# %%
def against(of_method, of_other, n):
    """The mean regret after n queries less that of another method, with the 95% interval over the tables."""
    less = (of_method[:, :, n - 1] - of_other[:, :, n - 1]).mean(axis=1)
    half = stats.t.ppf(0.975, len(less) - 1) * less.std(ddof=1) / len(less) ** 0.5 if len(less) > 1 else np.nan
    return f"{less.mean():+.2f} ± {half:.2f}"


display(frames.show(pd.DataFrame({
    "table": name, "queries": str(n), "random search": f"{of_kind['random search'][:, :, n - 1].mean():.2f}",
    **{method: against(each, of_kind["random search"], n) for method, each in of_kind.items()
       if method != "random search"}}
    for name, of_kind in found.items() for n in (20, 50) if n <= of_kind["random search"].shape[2]),
    f"mean regret (dB) of random search, and of the others less that, over {len(tables['no order'])} tables",
    "± gives the half-width of the 95% confidence interval over the tables."))
leads = {(name, method): (of_kind["random search"] - each)[:, :, -1].mean(axis=1) for name, of_kind in found.items()
         for method, each in of_kind.items() if method != "random search" and len(each) > 1}
ps = dict(zip(leads, table_facts.holm([stats.ttest_1samp(lead, 0).pvalue for lead in leads.values()])))
print(f"after {queries} queries {sum(p < 0.05 for p in ps.values())} of {len(ps)} differences stand at 5% (Holm):")
for (name, method), p in ps.items():
    if p < 0.05:
        print(f"    {method}, {name}: p = {p:.3f}")

# %% [markdown]
# What does the model's knowledge of the noise add? Once it is told a tenth, whatever the noise; and once it takes the
# cell of the highest PSNR seen, as the others do.

# %%
def takes_the_highest(table, *rest):
    return searching.highest(table, searching.model_guided(table, *rest).asked)


def told_a_tenth(table, *rest):
    return searching.model_guided(table._replace(noise=0.1), *rest)


rows = []
for name in ("noisy", "very noisy"):
    full = found[name]["model-guided"]
    rows.append({"table": name, "model-guided": f"{full[:, :, -1].mean():.2f}"} | {
        words: against(regrets(method, tables[name]), full, full.shape[2])
        for words, method in (("told a tenth", told_a_tenth), ("takes the highest seen", takes_the_highest))})
display(frames.show(pd.DataFrame(rows), f"mean regret (dB) after {queries} queries, and what each change adds to it"))

# %% [markdown]
# **What to notice.**
#
# - Where the noise is small, the model-guided search leads after 20 queries already, ten of which are spent at random:
#   by 0.31 ± 0.14 dB, and by 0.42 ± 0.17 dB after 50. Local search and evolution gain half as much by then; with true
#   neighbours they gain more (below). With pairs of edges only the lead of the model-guided search stands.
# - In very noisy tables random search ends 1.49 dB below the best cell: the cell that looks best is mostly one that was
#   lucky. The model-guided search is 0.41 ± 0.22 dB better; the leads of the two others may be chance.
# - Told a tenth in place of the true noise it is 0.09 ± 0.11 dB worse there, and 0.11 ± 0.13 dB if it takes the highest
#   PSNR seen. Each of the two may be chance.
# - Without any order no method differs from random search, as it must be. So the leads above are no artefact of how
#   they are counted.
# - The grey band holds the middle half of all runs of random search, over tables and repetitions: a single run of a
#   method shows little.
#
# ## With true neighbours
#
# Cells of two nodes in place of five: there are only 1,875 of them, so a table can hold them all. There each cell has
# all of its neighbours, and 50 queries are less than 3% of the table.

# %%
pairs = [[[Edge(first, source), Edge(second, other)] for source, other in itertools.combinations(states(node), 2)
          for first, second in itertools.product(OPERATIONS[:-1], repeat=2)] for node in range(2)]
whole = [Genotype(edits.canonical(Genotype(cell))) for cell in itertools.product(*pairs)]
whole_codes = np.array([searching.encode(cell) for cell in whole])
rows = []
for name in ("sum over edges", "noisy", "very noisy", "sum over edges, 200 of the cells"):
    error, order = TABLES[name.partition(",")[0]]
    spaces = [invented(whole, whole_codes, error, seed, order) for seed in range(len(tables["no order"]))]
    if "200" in name:
        parts = [np.random.default_rng(seed).choice(len(whole), 200, replace=False) for seed in range(len(spaces))]
        spaces = [space._replace(cells=[space.cells[i] for i in part], validation=space.validation[part],
                                 test=space.test[part], codes=space.codes[part])
                  for space, part in zip(spaces, parts)]
    each = {method: np.array([searching.regret(table, search, min(queries, 50), min(repetitions, 2), seed)
                              for seed, table in enumerate(spaces)]) for method, search in searching.METHODS.items()}
    rows += [{"table": name, "queries": str(n), "random search": f"{each['random search'][:, :, n - 1].mean():.2f}",
              **{method: against(found, each["random search"], n) for method, found in each.items()
                 if method != "random search"}} for n in (20, 50) if n <= queries]
display(frames.show(pd.DataFrame(rows), f"all {len(whole):,} cells of two nodes: mean regret (dB) of random search, "
                    f"and of the others less that, over {len(spaces)} tables",
                    "± gives the half-width of the 95% confidence interval over the tables."))

# %% [markdown]
# **What to notice.** In tables of all cells, local search and evolution gain 0.56 dB over random search after 50
# queries, where they gain 0.20 dB in the tables of 200 cells above; the model-guided search gains 1.00 ± 0.19 dB, and
# after 20 queries it has most of that. Is it the neighbours? The last rows tell: of 200 of the same cells the three
# gain 0.22, 0.20 and 0.43 dB, less than half for each of them, the model-guided one included, which takes no
# neighbours. In a small table 50 queries are a quarter of all cells, random search does well, and nobody can be far
# ahead.
#
# With noise the model-guided search keeps its lead, 1.12 ± 0.40 dB where it is strongest. That of local search, 0.49 ±
# 0.44 dB, barely leaves out zero. (Each table is searched twice by each method; ± is over the 20 tables.)
#
# ## How well does the model predict?
#
# The model of the search predicts the PSNR of cells that it has not seen. Cross-validation measures how well, here
# beside a model of another kind, randomised regression trees. R² is 1 for a perfect prediction and 0 for one that
# always returns the mean. What the noise adds to a run nobody can predict, so in very noisy tables R² is at best 0.31,
# one over $1 + 1.5^2$. We know the PSNR without noise, and R² against that shows what the model has understood.

# %%
KINDS = {"process": "Gaussian process of the search", "trees": "randomised trees"}
FITTED = 5  # tables of each kind

rows = []
for name, (kind, words) in itertools.product([name for name in tables if name != "noisy"], KINDS.items()):
    fits = [searching.cross_validated(table, kind) for table in tables[name][:FITTED]]
    r2, without, tau = (f"{np.mean(each):.2f} ({min(each):.2f} to {max(each):.2f})"
                        for each in ([fit.r2 for fit in fits], [fit.r2_of_test for fit in fits],
                                     [fit.tau for fit in fits]))
    rows.append({"table": name, "surrogate": words, "R²": r2, "R² without noise": without, "Kendall's tau": tau})
display(frames.show(pd.DataFrame(rows), f"cells that the surrogate has not seen: mean (range) over {FITTED} tables"))

# %% [markdown]
# **What to notice.** The model of the search predicts a sum over edges well (R² 0.84 against the PSNR without noise),
# and pairs of edges less (0.37). In very noisy tables it predicts hardly anything of what a run will show (0.09), but
# it has understood a part of what is behind it (0.28), and by that its search gains. Without order there is nothing to
# predict: told that little of what it sees is noise, the model takes chance for a pattern and is worse than the mean
# (-0.34). The trees, which were neither tuned nor told the noise, are better than the mean in the first kind of table
# alone.

# %% [markdown]
# **What to take away.** Compare search methods over many repetitions and many tables, beside random search, and with a
# control in which nothing can be learned; and ask which method the tables suit. With noise, a method may do better to
# take what its model believes than what it was lucky to see; here that was not settled. Further reading:
# [NAS-Bench-101](https://arxiv.org/abs/1902.09635), [surrogates in the place of
# tables](https://arxiv.org/abs/2008.09777), [Bayesian optimisation of architectures](https://arxiv.org/abs/1910.11858),
# [regularised evolution](https://arxiv.org/abs/1802.01548) and [local search](https://arxiv.org/abs/2005.02960).

# %% [markdown]
# ## Exercises
#
# **1** (easy). How many cells would random search have to train to find one of the best 5% with a chance of 95%?
#
# <details><summary>Solution</summary>
#
# It misses them n times in a row with probability 0.95 to the power of n. That is below 0.05 from n = log 0.05 / log
# 0.95 = 58.4 on: 59 cells, however large the space is.
#
# </details>
#
# **2** (medium). A `Table` has two scores of each cell: a method sees `validation`, and its regret is counted in
# `test`. In an invented table these are PSNR with and without noise, in a real one the scores of one run on validation
# pictures and of all runs on test pictures. What would the regret look like if a method saw `test`?
#
# <details><summary>Solution</summary>
#
# It would fall to exactly zero once the method has asked for the best cell of the table. The regret of a fair method
# may stay above zero even with all cells asked for, because the cell that looks best need not be the best. In an
# invented table a method that sees `test` is told the truth, which no training run tells. In a real table `test` has
# noise of its own: the method then picks by that noise, too, and the luck of its pick is counted as merit.
#
# </details>
#
# **3** (hard). Write a method of your own: a function of the table, the number of queries and a random generator that
# returns a `Search` (`searching.highest` makes one of the indices asked for). Does it beat random search after 20
# queries? By more than the grey band?
#
# <details><summary>Solution</summary>
#
# For example a straight line fitted to what is known so far (ridge regression), which asks for the cell with the
# largest prediction:
#
# ```python
# def straight_line(table, queries, rng):
#     asked = searching.random_search(table, min(searching.FIRST, queries), rng).asked
#     while len(asked) < queries:
#         known, psnr = table.codes[asked], table.validation[asked]
#         weights = known.T @ np.linalg.solve(known @ known.T + np.eye(len(asked)), psnr - psnr.mean())
#         hope = table.codes @ weights
#         hope[asked] = -np.inf
#         asked.append(int(hope.argmax()))
#     return searching.highest(table, asked)
#
#
# after = {name: searching.regret(table, method, 20)[:, -1]
#          for name, method in (("random", searching.random_search), ("line", straight_line))}
# print({name: (each.mean(), np.quantile(each, (0.25, 0.75))) for name, each in after.items()})
# ```
#
# It beats random search where PSNR is nearly a sum over edges, as in the first invented table: its mean regret lies
# below the lower quartile of random search, which is the lower edge of the grey band. In a table of real training runs
# that depends on how much of the spread is noise.
#
# </details>
