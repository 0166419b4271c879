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
# # 14. A table of trained cells: is it steady enough to search in?
#
# **What you will learn.** How a table of trained cells is made, how to tell whether it can rank them, and what it shows
# about the paper's cells. [Notebook 14b](14b_comparing_searches.ipynb) goes on with the methods that search in such
# tables.
#
# **Why it matters.** Whether a cell is good, and whether a search found a good one, can only be told beside other
# cells, trained alike. Cells that are trained once and for all serve everybody: such tables exist for classification
# ([NAS-Bench-101](https://arxiv.org/abs/1902.09635) and its successors); ours is for image restoration, of cells drawn
# uniformly from the paper's own space.
#
# **What it needs.** [Notebook 13](13_does_the_search_matter.ipynb). Everything is looked up: no data are needed.
#
# ## What we found
#
# - **The table can rank cells.** After 244 steps a cell's PSNR has a standard deviation of 0.081 dB over seeds and
#   0.236 dB over cells: 90% of the variance of a run lies between cells (95% interval 82 to 94%). In a table that was
#   trained at twice the learning rate it is 36% (5 to 62%).
# - **The published cell is among the best of random ones**: better than 97% of 30 (95% interval 80 to 100%). R1 is not
#   seen to be worse (IR-NAS is 0.04 ± 0.13 dB ahead), R2 is (0.17 ± 0.13 dB). The paper prints losses of 0.08 and 0.01
#   dB, after far longer training.
# - **The cells of our four searches that decide are 0.31 ± 0.25 dB above the random ones**; two of them are above all
#   30. (This takes searched cells to scatter like random ones; by their own smaller spread it is ± 0.18.) [Page
#   13](13_does_the_search_matter.ipynb) asks what that is worth.
# - **A supernet's inherited weights rank cells without training them**: Kendall's tau of that ranking and the table's
#   is 0.51 (0.27 to 0.70).
# - **How training begins changes the ranking.** With another start, or twice the rate, the same 30 cells come in an
#   order that has a tau of 0.31 and 0.32 to this one. So a table ranks cells for its own recipe.

# %%
import numpy as np
import pandas as pd
from IPython.display import display
from scipy import stats

from irnas_lib.experiments import cell_table, edits, runs, search_choices, searching, table_facts
from irnas_lib.figures import table_plots
from irnas_lib.genotypes import PUBLISHED, Genotype
from irnas_lib.tables import frames

print(runs.versions("numpy", "scikit-learn"))

# %% [markdown]
# The parameters.

# %% tags=["parameters"]
profile = "smoke"
data = ""
task = "denoising"

# %% [markdown]
# ## The table
#
# One line for each training run; `irnas_lib/experiments/cell_table.py` explains its columns, and fills it. All networks
# have the published path and width and add their input to their output. The random cells are drawn uniformly; beside
# them stand the published cell, its changes R1 and R2 ([notebook 9](09_table4_architecture_analysis.ipynb)), and
# `searched 0`, `1`, `2` and `4`, the cells of four searches on [page 3b](03b_what_makes_a_search_decide.ipynb) that
# decide, by their seeds.
#
# The runs are far shorter than any other of this course, and have a recipe of their own: AdamW at a learning rate of
# 0.002 that falls like a cosine, the loss of Eq. 7 with its SSIM padded, and an average of the weights over the last
# steps. So do not carry a spread from here to the networks of [page 6](06_table1_bsd500.ipynb) or
# [13](13_does_the_search_matter.ipynb).

# %%
records = cell_table.read(task, profile)
short = cell_table.PLANS[task].pixels
long = short * cell_table.LONGER
ours = searching.table_of(records, short)
failed = sum(not record["test"] for record in records)
print(f"{len(records)} training runs, {failed} failed; {len(ours.cells)} random cells at {short:,} pixels")
if first := next((record for record in records if record["pixels"] == short and record["test"]), None):
    print(f"a run: {first['iterations']} steps of {first['batch']} crops of {first['crop']}x{first['crop']}; "
          f"{sum(record['seconds'] or 0 for record in records) / 3600:.1f} hours in all")

# %% [markdown]
# ## Is it steady enough to rank cells?
#
# A cell trained from another seed has another PSNR. The table can rank cells as far as they differ by more than that.
# Kendall's tau measures how similar two rankings are: 1 where all pairs stand in the same order, 0 where half of them
# do. (Whether a short training run ranks cells as a long one does is not known: no cell was trained for longer.)
#
# How much of the spread is of the cells, and how much of the seeds? By hand, from the random cells that have all three
# seeds:
#
# - Take off each seed's mean: a seed gives all cells the same batches, which may be good or bad ones for all.
# - How far the runs of a cell lie from its mean is then owed to their seeds. The mean square is the variance over
#   seeds.
# - The means of the cells scatter for two reasons: the cells differ, and a mean of three runs still holds a third of
#   the variance over seeds. Taking that third off leaves the variance over cells.

# %%
block = pd.DataFrame([(record["name"], record["seed"], record["test"]["psnr"])
                      for record in table_facts.random_cells(records) if record["pixels"] == short and record["test"]],
                     columns=["cell", "seed", "psnr"]).pivot(index="cell", columns="seed", values="psnr").dropna()
if len(block) > 1:
    psnr = block.to_numpy() - block.to_numpy().mean(axis=0)  # (cells, seeds), without each seed's mean
    of_cell = psnr.mean(axis=1, keepdims=True)
    (m, n), left = psnr.shape, psnr - of_cell
    over_seeds = (left ** 2).sum() / ((m - 1) * (n - 1))  # variances, with their degrees of freedom
    over_cells = (of_cell ** 2).sum() / (m - 1) - over_seeds / n
    print(f"{m} cells, {n} seeds each: {over_seeds ** 0.5:.3f} dB over seeds, {max(over_cells, 0) ** 0.5:.3f} dB over "
          f"cells,\n  {over_cells / (over_cells + over_seeds):.1%} of the variance of a run between cells")
    same = table_facts.noise([record for record in records if record["name"] in block.index], short)
    print(f"restricted maximum likelihood, same runs: {same.over_seeds:.3f} and {same.over_cells:.3f} dB,\n"
          f"  {same.share:.1%} between cells, 95% interval {same.low:.0%} to {same.high:.0%}")

# %% [markdown]
# Restricted maximum likelihood finds the same where all cells have all seeds. It also works where they do not, so from
# here on it takes all random cells: those with one run add to what is known, too. It gives an interval as well: the
# shares that a likelihood-ratio test at 5% does not reject.
#
# The recipe was chosen for this. Two earlier tables, whose learning rate is twice as high, hold the published cell, R1,
# R2 and 30 of the random cells: in the first the last layer of a network starts at random, as usual, and in the second,
# as in the table of this page, at zero, so that a network begins by returning its input.

# %%
STARTS = {"usual_start": ("at random", "0.004"), "fast_rate": ("at zero", "0.004"), task: ("at zero", "0.002")}
tables = {name: cell_table.read(name, profile) for name in STARTS}
noise = {name: table_facts.noise(chosen, short) for name, chosen in tables.items()}
by_table = {name: searching.table_of(chosen, short) for name, chosen in tables.items()}
display(frames.show(pd.DataFrame({
    "the last layer starts": first, "learning rate": rate, "random cells": f"{found.cells}",
    "from several seeds": f"{found.repeated}",
    "mean PSNR (dB)": f"{np.mean(by_table[name].test):.2f}",
    "spread over seeds (dB)": f"{found.over_seeds:.3f}", "over cells (dB)": f"{found.over_cells:.3f}",
    "variance between cells": f"{found.share:.0%} ({found.low:.0%} to {found.high:.0%})"}
    for name, (first, rate) in STARTS.items() if (found := noise[name]).repeated > 1), "spread of test PSNR"))
for name in ("fast_rate", task):
    if noise[name].repeated > 1:
        print(f"start {STARTS[name][0]}, rate {STARTS[name][1]}: the runs farthest from the others of their cells")
    rest = tables[name]
    for _ in range(2 if noise[name].repeated > 1 else 0):
        outlier, off = table_facts.farthest(rest, short)
        rest = [record for record in rest if record is not outlier]
        print(f"    {outlier['name']} from seed {outlier['seed']}: {outlier['test']['psnr']:.2f} dB, {off:+.2f} dB")
    if noise[name].repeated > 1:
        without = table_facts.noise(rest, short)
        print(f"    without these two {without.share:.0%} of the variance between cells ({without.low:.0%} to "
              f"{without.high:.0%})")
in_order = 0.5 + np.arcsin(0.9 ** 0.5) / np.pi  # of normal deviates whose squared correlation is 1 / (1 + 1/9)
print(f"with a spread over seeds of a third of that over cells {in_order:.0%} of the pairs would be in the right order")
ranks = {f"{short:,} and {long:,} pixels": table_facts.budgets_agree(records, short, long),
         "one run on validation pictures and the mean of a cell's runs on test pictures":
             table_facts.rank(ours.validation, ours.test),
         **{f"the table of a start {STARTS[name][0]} at {STARTS[name][1]} and this one": table_facts.rank(
             *zip(*((np.mean(list(before[cell].values())), np.mean(list(now[cell].values())))
                    for cell in before if cell in now)))
            for name in ("usual_start", "fast_rate") for before, now in [
                [table_facts.by_cell(table_facts.random_cells(tables[each]), short) for each in (name, task)]]
            if before and now}}
for what, rank in ranks.items():
    if rank.cells > 2:
        print(f"Kendall's tau of {what}:\n  {rank.tau:.2f}, 95% interval {rank.low:.2f} to {rank.high:.2f}, "
              f"{rank.cells} cells")

# %% alt="PSNR of cells from seeds 1 and 2 against that from seed 0: the points follow the diagonal"
display(table_plots.seeds(records, short))

# %% [markdown]
# **What to notice.**
#
# - 90% of the variance lies between cells, with an interval of 82 to 94%. Were the standard deviation over seeds a
#   third of that over cells, a run would put 90% of the pairs of cells in the right order; we take that as enough to
#   rank by. It is 0.34 here.
# - What a search would see, one run of each cell on validation pictures, ranks the cells with a tau of 0.83 to their
#   mean on test pictures: more than nine pairs of ten in the same order. (That run is a third of the mean, which
#   flatters it.)
# - At twice the learning rate two runs of one seed end about a decibel below the others of their cells, and much of the
#   noise of that table hangs on them. They were behind from the first validation on: it is the beginning of training
#   that went wrong. At 0.002 no run of 90 lies more than 0.24 dB off. The mean is 0.30 dB lower, since 244 steps at
#   half the rate get less far.
# - A start at zero is worth 1.36 dB after 244 steps at a rate of 0.004. We chose it because a network that starts as
#   usual must first learn to return its input, and how soon a cell does that may say little about how well it restores
#   in the end.
# - The three tables rank the same 30 cells alike only in part: tau is 0.31 and 0.32 between the two others and this
#   one. Noise lowers these numbers, that of the second table most. Which of them ranks cells as a long training would
#   is not known.
#
# ## Where the paper's cells stand
#
# Each of these cells has been trained from several seeds, and each seed alone would place it elsewhere. The interval
# allows for both: other random cells, and other seeds. All 30 random cells stand at the mean of three runs.

# %% alt="The share of random cells below each test PSNR, with marks for the paper's cells"
display(table_plots.distribution(records, short))
by_cell = table_facts.by_cell(records, short)
for name, cell in {record["name"]: record["cell"] for record in records}.items():
    seeds = by_cell.get(edits.canonical(Genotype(cell)))
    if seeds and len(ours.test) and not name.startswith("random"):
        scores, among = list(seeds.values()), ours.test.tolist()
        error = noise[task].over_seeds / len(scores) ** 0.5
        part, low, high = table_facts.percentile(float(np.mean(scores)), among, error)
        alone = ", ".join(f"{table_facts.percentile(score, among)[0]:.0%}" for score in scores)
        print(f"{name}: {np.mean(scores):.2f} dB, better than {part:.0%} of the random cells "
              f"(95% interval {low:.0%} to {high:.0%});\n    by each of its {len(scores)} seeds alone: {alone}")

rows = []
for name, (first, rate) in STARTS.items():
    every, among = table_facts.by_cell(tables[name], short), by_table[name].test.tolist()
    cells = {record["name"]: edits.canonical(Genotype(record["cell"])) for record in tables[name]}
    for cell in ("IR-NAS", "IR-NAS, R1", "IR-NAS, R2"):
        if cells.get(cell) in every and noise[name].repeated > 1:
            scores = list(every[cells[cell]].values())
            part, low, high = table_facts.percentile(float(np.mean(scores)), among,
                                                     noise[name].over_seeds / len(scores) ** 0.5)
            rows.append({"the last layer starts": first, "learning rate": rate, "cell": cell, "seeds": str(len(scores)),
                         "PSNR (dB)": f"{np.mean(scores):.2f}",
                         "better than": f"{part:.0%} of {len(among)} ({low:.0%} to {high:.0%})"})
display(frames.show(pd.DataFrame(rows), "The paper's cells in the three tables"))


published = by_cell.get(edits.canonical(PUBLISHED[task, "IR-NAS"].genotype), {})
for name in ("IR-NAS, R1", "IR-NAS, R2"):
    changed = by_cell.get(edits.canonical(PUBLISHED[task, name].genotype), {})
    differences = [published[seed] - changed[seed] for seed in published.keys() & changed.keys()]
    if len(differences) > 1 and noise[task].repeated > 1:
        half = stats.norm.ppf(0.975) * noise[task].over_seeds * (2 / len(differences)) ** 0.5
        print(f"IR-NAS over {name[-2:]}, seed by seed: {', '.join(f'{each:+.2f}' for each in differences)} dB; "
              f"{np.mean(differences):+.2f} ± {half:.2f} dB")
searched = [list(by_cell[cell].values()) for cell in {edits.canonical(Genotype(record["cell"])) for record in records
                                                      if record["name"].startswith("searched")} if cell in by_cell]
if searched and noise[task].repeated > 1:
    above, half = table_facts.lead(searched, ours.test, noise[task])
    print(f"the {len(searched)} searched cells over the {len(ours.test)} random ones: {above:+.2f} ± {half:.2f} dB")
    seen = table_facts.detectable(ours.test.std(ddof=1), len(searched), len(ours.test))
    print(f"a t test at 5% of {len(searched)} cells against {len(ours.test)} sees a difference of {seen:.2f} dB "
          "with a power of 80%")

# %% [markdown]
# **What to notice.** The published cell is better than 29 of the 30 random cells, and so is R1, whose interval is wider
# because it lies closer to the next ones. R2 is better than 70% (32 to 90%). Seed by seed the published cell is 0.24,
# 0.06 and 0.21 dB ahead of R2, and 0.20, -0.12 and 0.05 dB ahead of R1.
#
# The four searched cells are better than 73 to 100% of the random ones. Two of them, `searched 2` and `searched 4`, are
# above all random cells and above the published one; both are built of `def` and `skip` for the most part, with all or
# most of their edges from p1 and p2.
#
# In the two earlier tables the published cell is among the better ones, too, above 90 and 77% of the random cells, but
# there the noise leaves that open. R1 is worse than most cells where networks start as usual, and better than most in
# the two others.
#
# ## What does PSNR depend on?
#
# What is one more edge with an operation worth in place of a `skip`, and one more edge from outside the cell (p1, p2)
# in place of one from a node? The answer of a straight line through all random cells, by least squares. (Each cell
# counts once, at the mean of its three runs.)

# %% alt="What each operation and input adds to the test PSNR, with 95% intervals"
effects = table_facts.effects(records, short)
display(table_plots.effects(effects))


ps = table_facts.holm([effect.p for effect in effects])
display(frames.show(pd.DataFrame({
    "one more": effect.name, "gain (dB)": f"{effect.gain:+.3f} ({effect.low:+.3f} to {effect.high:+.3f})",
    "p (Holm)": f"{p:.3f}"} for effect, p in zip(effects, ps)), f"{len(effects)} effects on test PSNR"))

# %% [markdown]
# **What to notice.** One more edge from p2, in place of one from a node, adds 0.114 dB (95% interval 0.052 to 0.176);
# one more `sep`, in place of a `skip`, takes 0.128 dB (0.043 to 0.213). Only these two stand once the six tests are
# allowed for (p = 0.006 and 0.024). p2 is what the cell before the last has made, so that such an edge shortens the way
# through the network, which a short training run may like. The paper notes that its search chose no `sep`.
#
# ## What does a decibel cost?
#
# Operations cost differently. Here is each cell's PSNR against the multiply-accumulates of its network.

# %% alt="PSNR of the cells against multiply-accumulates, with the front of the random cells and the paper's cells"
display(table_plots.cost(records, short))
for name, (first, rate) in STARTS.items():
    macs = {edits.canonical(Genotype(record["cell"])): record["macs_per_pixel"] for record in tables[name]}
    costs = table_facts.rank([macs[edits.canonical(cell)] for cell in by_table[name].cells], by_table[name].test)
    print(f"last layer starts {first}, rate {rate}: Kendall's tau of multiply-accumulates and PSNR {costs.tau:.2f},\n"
          f"  95% interval {costs.low:.2f} to {costs.high:.2f}, {costs.cells} cells")

# %% [markdown]
# **What to notice.** Here the cells that compute more are better: tau 0.41 (0.20 to 0.59). In the two tables at twice
# the rate no such thing is seen. Whether larger networks suffer more from the high rate was not tested. The one random
# cell that is better than the published one costs slightly more; `searched 2` costs less than either and is better than
# all.
#
# ## Can a supernet rank cells without training them?
#
# Each cell is evaluated with the weights that it inherits from the supernet. Does that ranking agree with the table's?

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
    print(f"seed {search['settings']['seed']}: Kendall's tau {rank.tau:.2f}, 95% interval {rank.low:.2f} to "
          f"{rank.high:.2f}, {rank.cells} cells")
if not ranked:
    print("not run")
if noise[task].repeated > 1:
    counts = [len(seeds) for seeds in table_facts.by_cell(table_facts.random_cells(records), short).values()]
    for share in (noise[task].share, noise[task].low, noise[task].high):
        most = table_facts.best_tau(noise[task], counts, share)
        print(f"with {share:.0%} of the variance between cells, a ranking without any error would show a tau of "
              f"{most.tau:.2f}\n  on average, in 95% of tables between {most.low:.2f} and {most.high:.2f}")

# %% [markdown]
# **What to notice.** A tau of 0.51 means that 75% of the pairs of cells stand in the same order, where chance would
# give half. A ranking without any error would show 0.87 on average, since the table has noise of its own. So weights
# that no cell was trained for hold much of what a table tells, for the price of one search. The supernet is that of
# [page 3b](03b_what_makes_a_search_decide.ipynb#The-same-in-a-larger-supernet), seed 0; it has trained the weights of
# its favourite operations most, which may favour cells that have them.

# %% [markdown]
# **What to take away.** A table turns hours of training into a lookup that serves everybody; it is only as good as its
# noise is small, and a smaller learning rate made ours steady. Before a ranking is believed, ask how much of the spread
# lies between cells, with which interval, and whether another recipe would rank alike. [Notebook
# 14b](14b_comparing_searches.ipynb) shows what noise does to a search. Further reading:
# [NAS-Bench-101](https://arxiv.org/abs/1902.09635), and [how much of a benchmark's spread is
# noise](https://arxiv.org/abs/2103.03098).

# %% [markdown]
# ## Exercises
#
# **1** (easy). How many seeds of each cell would it take until the error of a cell's mean is a third of the spread over
# cells? Use the spreads of the three tables, from the last to the first.
#
# <details><summary>Solution</summary>
#
# The mean of n seeds has a standard error of s / √n, with s the spread over seeds. It is a third of the spread c over
# cells from n = 9 s² / c² on. In this table: 9 · 0.081² / 0.236² = 1.1, so 2 seeds. At twice the rate: 9 · 0.209² /
# 0.157² = 15.9, so 16 seeds. With the usual start: 9 · 0.380² / 0.685² = 2.8, so 3 seeds.
#
# </details>
#
# **2** (medium). The smallest of the six p-values of the effects becomes 0.006 by Holm's correction. What was it
# before, and why is the second smallest multiplied by 5 and not by 6?
#
# <details><summary>Solution</summary>
#
# 0.006 / 6 = 0.001. If the smallest is a true effect, only five tests are left that could be false alarms; if it is
# not, the first step has failed to reject it already, and Holm's method stops there. So the chance of any false alarm
# stays below 5%, as with six times all of them (Bonferroni), and fewer true effects are missed.
#
# </details>
#
# **3** (hard). In the second table two runs lie far below the other runs of their cells, and most of its noise hangs on
# them. Somebody wants to drop them, since "they have obviously failed". What speaks against that, and what would be a
# fair way?
#
# <details><summary>Solution</summary>
#
# They were found by their scores. Whoever drops low scores after having seen them makes the noise small by choice, and
# the next search in such a table will meet failures that it was told do not happen. Fair is a rule that was fixed
# before and that looks at the training and not at its result, such as "a loss that rises tenfold", applied to all runs
# alike; or a recipe in which such runs do not happen; or an estimate that is little moved by single runs, for example
# from medians. At least both numbers belong on the page.
#
# </details>
