"""What a table of cells says: its noise, whether a longer budget ranks alike, what a cell's PSNR depends on."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import stats

from irnas_lib.experiments import edits
from irnas_lib.genotypes import Genotype
from irnas_lib.search_space import OPERATIONS


def random_cells(records: Sequence[dict]) -> list[dict]:
    """The lines of a table that are not of the paper's own cells."""
    return [record for record in records if record["name"].startswith("random")]


def by_cell(records: Sequence[dict], pixels: int, part: str = "test", level: bool = True) -> dict[tuple, dict]:
    """PSNR in dB of each cell that was trained at a budget, by seed; failed trainings are left out. part: "test" or
    "validation".

    level: all cells of one seed see the same batches, which may be good ones or bad ones; by how much the random cells
    of a seed differ from the same cells of seed 0, on average, is taken off.
    """
    found = {}
    for record in records:
        if record["pixels"] == pixels and record[part]:
            found.setdefault(edits.canonical(Genotype(record["cell"])), {})[record["seed"]] = record[part]["psnr"]
    if not level:
        return found
    differences = {}
    for seeds in by_cell(random_cells(records), pixels, part, level=False).values():
        for seed in seeds if 0 in seeds else ():
            differences.setdefault(seed, []).append(seeds[seed] - seeds[0])
    return {cell: {seed: psnr - float(np.mean(differences.get(seed, 0))) for seed, psnr in seeds.items()}
            for cell, seeds in found.items()}


def means(records: Sequence[dict], pixels: int) -> dict[str, float]:
    """The mean PSNR in dB of each cell over its seeds, as of `by_cell`, by the cell's name."""
    psnr = {cell: float(np.mean(list(seeds.values()))) for cell, seeds in by_cell(records, pixels).items()}
    named = {record["name"]: edits.canonical(Genotype(record["cell"])) for record in records}
    return {name: psnr[cell] for name, cell in named.items() if cell in psnr}


class Noise(NamedTuple):
    """Standard deviations of PSNR in dB: over the seeds of a cell, without what all cells of a seed share, and over
    cells; how many cells they are of, and how many of these have several seeds; which share of the variance of one
    training lies between cells, with its 95% interval. nan where no cell has several seeds."""

    over_seeds: float
    over_cells: float
    cells: int
    repeated: int
    share: float
    low: float
    high: float


SHARES = np.linspace(0, 0.995, 200)  # that are tried


def noise(records: Sequence[dict], pixels: int, part: str = "test") -> Noise:
    """Of the random cells of a table at one budget, by restricted maximum likelihood.

    The model: a PSNR is what the cells of a seed share, plus what is the cell's, plus what is this training's. Every
    training counts, also of cells that have one seed. The interval holds the shares that a likelihood-ratio test at 5%
    does not reject.
    """
    cells = list(by_cell(random_cells(records), pixels, part, level=False).values())
    repeated = sum(len(seeds) > 1 for seeds in cells)
    if not repeated:
        nan = math.nan
        return Noise(nan, nan, len(cells), 0, share=nan, low=nan, high=nan)
    rows = [(cell, seed, psnr) for cell, seeds in enumerate(cells) for seed, psnr in seeds.items()]
    cell, seed, psnr = map(np.array, zip(*rows))
    same_cell = (cell[:, None] == cell).astype(float)
    shared = (seed[:, None] == np.unique(seed)).astype(float)
    degrees = len(psnr) - shared.shape[1]

    def fitted(share: float) -> tuple[float, float]:
        """The logarithm of the likelihood, up to a constant, and the variance of one training."""
        covariance = (1 - share) * np.eye(len(psnr)) + share * same_cell
        weighted = np.linalg.solve(covariance, np.column_stack([shared, psnr]))
        information = shared.T @ weighted[:, :-1]
        rest = psnr - shared @ np.linalg.solve(information, shared.T @ weighted[:, -1])
        variance = rest @ np.linalg.solve(covariance, rest) / degrees
        volume = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1]
        return -(volume + degrees * math.log(variance)) / 2, variance

    likelihoods, variances = np.array([fitted(share) for share in SHARES]).T
    best = likelihoods.argmax()
    kept = SHARES[likelihoods >= likelihoods[best] - stats.chi2.ppf(0.95, 1) / 2]
    share, variance = float(SHARES[best]), float(variances[best])
    return Noise(math.sqrt(variance * (1 - share)), math.sqrt(variance * share), len(cells), repeated, share,
                 float(kept[0]), float(kept[-1]))


def farthest(records: Sequence[dict], pixels: int, part: str = "test") -> tuple[dict, float]:
    """The training of a random cell that lies farthest from the mean of its cell's other trainings at a budget, and by
    how many dB it does. Of two trainings of a cell it is the one that lies farther from all cells."""
    cells, found = by_cell(random_cells(records), pixels, part), []
    middle = np.mean([psnr for seeds in cells.values() for psnr in seeds.values()])
    for record in random_cells(records):
        seeds = cells.get(edits.canonical(Genotype(record["cell"])), {})
        others = [psnr for seed, psnr in seeds.items() if seed != record["seed"]]
        if record["pixels"] == pixels and record["seed"] in seeds and others:
            psnr = seeds[record["seed"]]
            found.append((round(abs(psnr - np.mean(others)), 9), abs(psnr - middle), len(found), record,
                          float(psnr - np.mean(others))))
    return max(found)[3:]


class Rank(NamedTuple):
    """Kendall's tau, its 95% interval by a bootstrap over the cells, and their number."""

    tau: float
    low: float
    high: float
    cells: int


def best_tau(known: Noise, counts: Sequence[int], share: float | None = None, draws: int = 2000) -> Rank:
    """Kendall's tau of the cells' own PSNR and what a table shows of it: what a predictor without any error would reach
    on average, and between which bounds 95% of such tables lie. counts: the trainings of each cell. share: of the
    variance between cells, if not the estimated one. By simulation, from a fixed seed."""
    share, rng = known.share if share is None else share, np.random.default_rng(0)
    own = rng.normal(size=(draws, len(counts)))
    shown = math.sqrt(share) * own + rng.normal(size=own.shape) * np.sqrt((1 - share) / np.asarray(counts))
    taus = [stats.kendalltau(*pair).statistic for pair in zip(own, shown)]
    low, high = np.quantile(taus, [0.025, 0.975]).tolist()
    return Rank(float(np.mean(taus)), low, high, len(counts))


def rank(first: Sequence[float], second: Sequence[float], seed: int = 0, draws: int = 2000) -> Rank:
    """Whether two lists of scores of the same cells put them in the same order; nan for fewer than three cells."""
    first, second = np.asarray(first), np.asarray(second)
    if len(first) < 3:
        return Rank(math.nan, math.nan, math.nan, len(first))
    rng = np.random.default_rng(seed)
    taus = [stats.kendalltau(first[chosen], second[chosen]).statistic
            for chosen in rng.integers(len(first), size=(draws, len(first)))]
    low, high = np.nanquantile(taus, [0.025, 0.975]).tolist()
    return Rank(float(stats.kendalltau(first, second).statistic), low, high, len(first))


def budgets_agree(records: Sequence[dict], short: int, long: int, part: str = "test") -> Rank:
    """The ranks of the cells that were trained at both budgets from seed 0."""
    early, late = by_cell(records, short, part), by_cell(records, long, part)
    shared = [cell for cell in early if 0 in early[cell] and 0 in late.get(cell, ())]
    return rank([early[cell][0] for cell in shared], [late[cell][0] for cell in shared])


def detectable(deviation: float, first: int, second: int, power: float = 0.8) -> float:
    """The difference between the means of two groups of so many cells that a t test at 5% sees with this power, in
    the units of the cells' standard deviation."""
    degrees = first + second - 2
    return deviation * math.sqrt(1 / first + 1 / second) * float(
        stats.t.ppf(0.975, degrees) + stats.t.ppf(power, degrees))


def pooled(first: Sequence[float], second: Sequence[float]) -> float:
    """The standard deviation within two groups of at least two numbers, one for both."""
    degrees = len(first) - 1, len(second) - 1
    return math.sqrt(np.average([np.var(first, ddof=1), np.var(second, ddof=1)], weights=degrees))


def power(difference: float, deviation: float, first: int, second: int, draws: int = 20_000) -> float:
    """The chance that Welch's t test at 5% sees a difference between the means of two groups of so many cells, all in
    the same units; by simulation, from a fixed seed."""
    rng = np.random.default_rng(0)
    drawn = [partial(rng.normal, mean, deviation) for mean in (difference, 0.0)]
    return float(stats.power(partial(stats.ttest_ind, equal_var=False), drawn, (first, second), significance=0.05,
                             vectorized=True, n_resamples=draws).power)


def percentile(value: float, among: Sequence[float], error: float = 0.0) -> tuple[float, float, float]:
    """The share of cells that are worse than `value`, with its 95% interval, which allows for other random cells (the
    beta distribution of Jeffreys' prior) and for an error of `value`, a standard deviation in its units."""
    rng, sorted_cells = np.random.default_rng(0), np.sort(among)
    worse = np.searchsorted(sorted_cells, value + error * rng.normal(size=20_000))
    low, high = np.quantile(rng.beta(worse + 0.5, len(sorted_cells) - worse + 0.5), (0.025, 0.975)).tolist()
    return float(np.mean(sorted_cells < value)), low, high


def lead(chosen: Sequence[Sequence[float]], among: Sequence[float], known: Noise) -> tuple[float, float]:
    """By how much the mean of some cells, each given by the PSNR (dB) of its seeds, lies above that of random cells,
    and the half-width of its 95% interval, which allows for other cells and other seeds."""
    difference = np.mean([np.mean(scores) for scores in chosen]) - np.mean(among)
    variance = (known.over_cells ** 2 / len(chosen) + known.over_seeds ** 2 / sum(map(len, chosen))
                + np.var(among, ddof=1) / len(among))
    return float(difference), stats.norm.ppf(0.975) * math.sqrt(variance)


class Effect(NamedTuple):
    """What one more of something is worth in dB, all else equal, with its 95% interval; p: of the t test for zero."""

    name: str
    gain: float
    low: float
    high: float
    p: float = math.nan


def holm(ps: Sequence[float]) -> list[float]:
    """Of several tests the p values, corrected for their number by Holm's method."""
    order, corrected, largest = np.argsort(ps), [0.0] * len(ps), 0.0
    for place, test in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[test]))
        corrected[test] = largest
    return corrected


def effects(records: Sequence[dict], pixels: int, part: str = "test") -> list[Effect]:
    """By least squares over the random cells: of one more edge with an operation in the place of a `skip`, and of one
    more edge that comes from p2 or p1 in the place of one that comes from a node."""
    cells = by_cell(random_cells(records), pixels, part)
    names = [*(operation for operation in OPERATIONS[:-1] if operation != "skip"), "from p2", "from p1"]
    rows = [[sum(edge.operation == name or f"from {edge.source}" == name for node in Genotype(cell) for edge in node)
             for name in names] for cell in cells]
    x, y = np.column_stack([np.ones(len(rows)), rows]), np.array([np.mean(list(seeds.values()))
                                                                  for seeds in cells.values()])
    degrees = len(y) - x.shape[1]
    if degrees < 1:
        return []
    gains, *_ = np.linalg.lstsq(x, y, rcond=None)
    variance = np.square(y - x @ gains).sum() / degrees * np.linalg.pinv(x.T @ x)
    errors = np.sqrt(np.diag(variance))
    half, ps = stats.t.ppf(0.975, degrees) * errors, 2 * stats.t.sf(np.abs(gains) / errors, degrees)
    return [Effect(name, float(gain), float(gain - width), float(gain + width), float(p))
            for name, gain, width, p in zip(names, gains[1:], half[1:], ps[1:])]
