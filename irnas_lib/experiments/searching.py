"""Searching in a table of trained cells: what a method would have found after so many trainings, in no time.

A method asks for the validation PSNR of one cell of the table after another, and after each takes one of those asked
for as the best. It can ask for no others, so that its neighbour of a cell is the one of the table that differs from it
in the fewest edges. A surrogate predicts the PSNR of cells that have not been asked for.
"""

import functools
import math
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.spatial.distance import pdist, squareform
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

from irnas_lib.experiments import edits, table_facts
from irnas_lib.genotypes import Genotype
from irnas_lib.search_space import OPERATIONS, edges, states

FIRST = 10  # cells that a method asks for at random before it begins to choose
FOLDS = 10


class Table(NamedTuple):
    """Cells with what a search may see, PSNR in dB on validation pictures, and what is reported, that on test pictures;
    codes: of `encode`, a row each; noise: which share of the variance of `validation` a method takes for noise."""

    cells: list[Genotype]
    validation: np.ndarray
    test: np.ndarray
    codes: np.ndarray
    noise: float = 0.1


class Search(NamedTuple):
    """Cells of a table as indices: those that a method asked for, in this order, and after each the one that it takes
    as the best of those."""

    asked: list[int]
    taken: list[int]


def table_of(records: Sequence[dict], pixels: int, noise: float = 0.1) -> Table:
    """The random cells of a table at one budget. A search sees the training from seed 0; what is reported is the mean
    over the seeds."""
    chosen = table_facts.random_cells(records)
    seen, reported = (table_facts.by_cell(chosen, pixels, part) for part in ("validation", "test"))
    cells = [cell for cell in seen if 0 in seen[cell]]
    return Table([Genotype(cell) for cell in cells], np.array([seen[cell][0] for cell in cells]),
                 np.array([np.mean(list(reported[cell].values())) for cell in cells]),
                 np.array([encode(Genotype(cell)) for cell in cells]), noise)


def encode(cell: Genotype) -> np.ndarray:
    """A cell in numbers: for each edge and operation whether the cell has it; then how many of its edges have each
    operation, and how many come from each state, by their number."""
    names = states(len(cell))
    place = {(source, node, operation): i for i, (source, node, operation) in enumerate(
        (source, node, operation) for source, node in edges(len(cell)) for operation in OPERATIONS[:-1])}
    flags = np.zeros(len(place))
    kept = [(edge.source, node, edge.operation) for node, pair in zip(names[2:], cell) for edge in pair]
    flags[[place[edge] for edge in kept]] = 1
    counts = [sum(edge[2] == operation for edge in kept) for operation in OPERATIONS[:-1]]
    sources = [sum(edge[0] == name for edge in kept) for name in names[:-1]]
    return np.concatenate([flags, np.array(counts + sources) / np.sqrt(2 * len(cell))])


# ---- methods ----

def highest(table: Table, asked: list[int]) -> Search:
    """After each query the cell of the highest PSNR seen."""
    order = np.argsort(table.validation)
    return Search(asked, order[np.maximum.accumulate(np.argsort(order)[asked])].tolist())


def random_search(table: Table, queries: int, rng: np.random.Generator) -> Search:
    """Any cell that has not been asked for."""
    return highest(table, rng.permutation(len(table.cells))[:queries].tolist())


def local_search(table: Table, queries: int, rng: np.random.Generator) -> Search:
    """The cell nearest to the best so far; after FIRST in vain, a random one to start from again."""
    asked = [int(rng.integers(len(table.cells)))]
    best, vain = asked[0], 0
    while len(asked) < queries:
        again = vain == FIRST
        asked.append(_any(table, asked, rng) if again else _nearest(table, table.codes[best], asked, rng))
        if again or table.validation[asked[-1]] > table.validation[best]:
            best, vain = asked[-1], 0
        else:
            vain += 1
    return highest(table, asked)


def evolution(table: Table, queries: int, rng: np.random.Generator) -> Search:
    """Regularised evolution (Real et al. 2019): the best of three of the FIRST youngest cells has a child with one
    operation or input changed; the cell of the table nearest to the child is asked for."""
    asked = random_search(table, min(FIRST, queries), rng).asked
    changes = random.Random(int(rng.integers(2 ** 31)))
    while len(asked) < queries:
        parent = max(rng.choice(asked[-FIRST:], 3, replace=False), key=lambda i: table.validation[i])
        child = changes.choice(_children(table.cells[parent], changes.choice(("operation", "input"))))
        asked.append(_nearest(table, child, asked, rng))
    return highest(table, asked)


@functools.cache
def _children(cell: Genotype, kind: str) -> list[np.ndarray]:
    """The codes of the cells with one change of a kind of `edits.KINDS`."""
    return [encode(changed) for changed in edits.KINDS[kind](cell)]


def model_guided(table: Table, queries: int, rng: np.random.Generator) -> Search:
    """A Gaussian process fitted to the cells asked for so far, and the cell that it hopes most of (its mean and one
    standard deviation). It takes the one of the largest mean, which is less luck than the highest PSNR seen."""
    first = random_search(table, min(FIRST, queries), rng).asked
    kernel, asked, taken = (1 - table.noise) * _kernel(table.codes), [], []
    # With L the Cholesky factor of the asked cells' kernel and noise: the rows of inv(L) K, inv(L) y and inv(L) 1, to
    # each of which a query adds one.
    rows, psnr, ones = np.empty((queries, len(kernel))), np.empty(queries), np.empty(queries)
    variance, mean = np.diag(kernel).copy(), np.zeros(len(kernel))
    for n in range(queries):
        hope = mean + np.sqrt(np.clip(variance, 0, None))
        hope[asked] = -np.inf
        chosen = first[n] if n < len(first) else int(hope.argmax())
        asked.append(chosen)
        before = rows[:n, chosen]
        pivot = math.sqrt(kernel[chosen, chosen] + table.noise - before @ before)
        rows[n] = (kernel[chosen] - before @ rows[:n]) / pivot
        psnr[n] = (table.validation[chosen] - before @ psnr[:n]) / pivot
        ones[n] = (1 - before @ ones[:n]) / pivot
        variance -= rows[n] ** 2
        known = table.validation[asked]
        mean = (psnr[:n + 1] - known.mean() * ones[:n + 1]) @ rows[:n + 1] / (known.std() or 1.0)
        taken.append(asked[int(mean[asked].argmax())])
    return Search(asked, taken)


METHODS: dict[str, Callable[[Table, int, np.random.Generator], Search]] = {
    "random search": random_search, "local search": local_search, "regularised evolution": evolution,
    "model-guided": model_guided}


def _kernel(codes: np.ndarray) -> np.ndarray:
    """Squared exponential, as wide as the typical distance of two cells."""
    square = pdist(codes, "sqeuclidean")
    return np.exp(-squareform(square) / (2 * np.median(square)))


def _nearest(table: Table, code: np.ndarray, asked: list[int], rng: np.random.Generator) -> int:
    flags = len(edges(len(table.cells[0]))) * len(OPERATIONS[:-1])  # the first of a code
    away = np.abs(table.codes[:, :flags] - code[:flags]).sum(axis=1) + rng.random(len(table.cells))  # of a tie any
    away[asked] = np.inf
    return int(away.argmin())


def _any(table: Table, asked: list[int], rng: np.random.Generator) -> int:
    return int(rng.choice(np.setdiff1d(np.arange(len(table.cells)), asked)))


def regret(table: Table, method: Callable, queries: int, repetitions: int = 200, seed: int = 0) -> np.ndarray:
    """By how many dB of test PSNR the cell that a method takes as the best after 1, 2, ... queries is below the best of
    the table, (repetitions, queries)."""
    taken = [method(table, queries, np.random.default_rng((seed, i))).taken for i in range(repetitions)]
    return table.test.max() - table.test[np.array(taken)]


# ---- the surrogate ----

def predicted(table: Table, known: Sequence[int], kind: str = "process") -> np.ndarray:
    """The PSNR of each cell of a table, by a model that has seen the `known` ones: the Gaussian "process" of
    `model_guided`, or "trees"."""
    psnr = table.validation[known]
    if kind == "trees":
        trees = ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0)
        return trees.fit(table.codes[known], psnr).predict(table.codes)
    kernel = (1 - table.noise) * _kernel(table.codes)
    seen = kernel[np.ix_(known, known)] + table.noise * np.eye(len(known))
    return psnr.mean() + kernel[:, known] @ np.linalg.solve(seen, psnr - psnr.mean())


class Fit(NamedTuple):
    """How well a surrogate predicts cells that it has not seen, by cross-validation in FOLDS parts: R2 and Kendall's
    tau against `validation`, and R2 against `test`."""

    r2: float
    tau: float
    r2_of_test: float


def cross_validated(table: Table, kind: str = "process") -> Fit:
    """Of a table and a `kind` of `predicted`."""
    found = np.empty(len(table.cells))
    for known, left in KFold(FOLDS, shuffle=True, random_state=0).split(table.codes):
        found[left] = predicted(table, known, kind)[left]
    r2, of_test = (float(1 - np.square(psnr - found).mean() / psnr.var()) for psnr in (table.validation, table.test))
    return Fit(r2, float(stats.kendalltau(table.validation, found).statistic), of_test)
