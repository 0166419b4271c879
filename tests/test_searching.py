"""Searching in a table of cells, and what the table says, on tables whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from irnas_lib.experiments import cell_table, edits, searching, table_facts
from irnas_lib.genotypes import Genotype

WORTH = {"conv": 0.3, "sep": -0.2, "dil": 0.1, "def": 0.2, "skip": 0.0}


def truth(cell):
    return 23 + sum(WORTH[edge.operation] - 0.1 * (edge.source == "p2") for node in cell for edge in node)


def planted(number=120, repeated=30, over_seeds=0.02, long=20, nodes=5):
    """Lines of a table whose cells' PSNR is `truth` and noise; the long trainings have 1 dB more."""
    rng, made = np.random.default_rng(0), []
    for i, cell in enumerate(cell_table.drawn(nodes, number), 1):
        for seed, pixels, more in [(0, 100, 0), *((s, 100, 0) for s in (1, 2) if i <= repeated),
                                   *([(0, 1000, 1)] if i <= long else [])]:
            psnr = truth(cell) + more + rng.normal(scale=over_seeds)
            made.append({"name": f"random {i}", "cell": [[list(edge) for edge in node] for node in cell], "seed": seed,
                         "pixels": pixels, "validation": {"psnr": psnr}, "test": {"psnr": psnr - 0.5}})
    made.append(made[0] | {"name": "IR-NAS", "seed": 5})
    made.append(made[-1] | {"seed": 6, "validation": None, "test": None})
    return made


RECORDS = planted()
TABLE = searching.table_of(RECORDS, 100)


def test_noise_over_seeds_and_over_cells():
    found = table_facts.noise(planted(over_seeds=0.2), 100)
    truths = [truth(cell) for cell in cell_table.drawn(5, 120)]
    assert (found.repeated, found.cells) == (30, 120)
    assert found.over_seeds == pytest.approx(0.2, rel=0.2)
    assert found.over_cells == pytest.approx(np.std(truths, ddof=1), rel=0.1)
    assert found.low < found.over_cells ** 2 / (found.over_cells ** 2 + found.over_seeds ** 2) < found.high
    assert math.isnan(table_facts.noise([], 100).over_cells)


def test_noise_where_every_cell_has_every_seed_is_that_of_an_analysis_of_variance():
    records = [record for record in planted(12, 12, over_seeds=0.3) if record["pixels"] == 100]
    psnr = np.array([list(seeds.values()) for seeds in
                     table_facts.by_cell(table_facts.random_cells(records), 100, level=False).values()])
    rest = psnr - psnr.mean(axis=1, keepdims=True) - psnr.mean(axis=0) + psnr.mean()
    over_seeds = np.square(rest).sum() / (11 * 2)
    over_cells = psnr.mean(axis=1).var(ddof=1) - over_seeds / 3
    found = table_facts.noise(records, 100)
    assert psnr.shape == (12, 3)
    assert found.share == pytest.approx(over_cells / (over_cells + over_seeds), abs=0.005)
    assert (found.over_seeds, found.over_cells) == pytest.approx((over_seeds ** 0.5, over_cells ** 0.5), rel=0.03)
    assert found.low < found.share < found.high


def test_what_all_cells_of_a_seed_share_is_no_noise():
    """Batches of seed 1 that cost every cell half a decibel change neither the noise nor what is reported."""
    shifted = [record | {part: record[part] and {"psnr": record[part]["psnr"] - 0.5 * (record["seed"] == 1)}
                         for part in ("validation", "test")} for record in RECORDS]
    assert table_facts.noise(shifted, 100) == pytest.approx(table_facts.noise(RECORDS, 100))
    assert searching.table_of(shifted, 100).test == pytest.approx(TABLE.test)
    raw = table_facts.by_cell(shifted, 100, level=False)
    seeds = next(seeds for seeds in raw.values() if 1 in seeds)
    assert seeds[0] - seeds[1] == pytest.approx(0.5, abs=0.2)


def test_budgets_that_rank_alike():
    found = table_facts.budgets_agree(RECORDS, 100, 1000)
    assert found.cells == 20 and found.tau > 0.8 and found.low < found.tau <= found.high
    assert math.isnan(table_facts.budgets_agree(RECORDS, 100, 10 ** 6).tau)


def test_the_difference_that_is_seen_is_seen_as_often_as_promised():
    rng = np.random.default_rng(1)
    difference = table_facts.detectable(0.2, 5, 60)
    groups = rng.normal(difference, 0.2, (2000, 5)), rng.normal(0, 0.2, (2000, 60))
    assert np.mean(stats.ttest_ind(*groups, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.04)
    assert table_facts.detectable(0.2, 5, 200) == pytest.approx(0.255, abs=0.005)


def test_the_interval_of_a_lead_holds_the_true_one_as_often_as_promised():
    rng, known = np.random.default_rng(3), table_facts.Noise(0.3, 0.4, 30, 30, math.nan, math.nan, math.nan)
    held = []
    for _ in range(400):
        chosen = [0.2 + 0.4 * rng.normal() + 0.3 * rng.normal(size=3) for _ in range(2)]
        found, half = table_facts.lead(chosen, 0.5 * rng.normal(size=30), known)
        held.append(abs(found - 0.2) < half)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_percentile_with_its_interval():
    share, low, high = table_facts.percentile(3.5, [4, 2, 1, 3])
    assert share == 0.75
    assert (low, high) == pytest.approx(stats.beta(3.5, 1.5).ppf((0.025, 0.975)), abs=0.01)
    assert table_facts.percentile(3.5, [4, 2, 1, 3], error=100)[1:] == pytest.approx((0, 1), abs=0.01)


def test_the_interval_of_a_percentile_holds_the_true_share_as_often_as_promised():
    """Cells of a normal distribution, and one cell 0.5 above their mean that is known with an error of 0.4."""
    rng, true = np.random.default_rng(1), stats.norm.cdf(0.5)
    found = [table_facts.percentile(0.5 + 0.4 * rng.normal(), rng.normal(size=30), 0.4) for _ in range(300)]
    assert np.mean([low < true < high for _, low, high in found]) == pytest.approx(0.95, abs=0.04)


def test_effects_are_those_that_were_planted():
    found = {effect.name: effect for effect in table_facts.effects(RECORDS, 100)}
    assert found.keys() == {"conv", "sep", "dil", "def", "from p2", "from p1"}
    for name, gain in (WORTH | {"from p2": -0.1, "from p1": 0.0}).items():
        if name != "skip":
            half = (found[name].high - found[name].low) / 2
            assert abs(found[name].gain - gain) < 2 * half < 0.02  # four standard errors
    assert table_facts.effects(RECORDS[:3], 100) == []
    for effect in found.values():
        half = (effect.high - effect.low) / 2
        assert (effect.p < 0.05) == (abs(effect.gain) > half) or half < 1e-9


def test_p_values_are_corrected_for_their_number_by_holm():
    assert table_facts.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert table_facts.holm([0.6, 0.9]) == [1.0, 1.0] and table_facts.holm([]) == []


def test_the_best_tau_falls_with_the_noise():
    """Without noise it is 1, without a difference of cells 0; two normal variables correlated by r have 2/pi asin r."""
    known = table_facts.Noise(1.0, 1.0, 30, 30, share=0.5, low=0, high=1)
    assert table_facts.best_tau(known, [1] * 30, draws=400).tau == pytest.approx(
        2 / math.pi * math.asin(math.sqrt(0.5)), abs=0.02)
    assert table_facts.best_tau(known, [1] * 30, share=1.0, draws=10).tau == 1
    assert table_facts.best_tau(known, [1] * 30, share=0.0, draws=400).tau == pytest.approx(0, abs=0.03)
    assert table_facts.best_tau(known, [9] * 30, draws=400).tau > table_facts.best_tau(known, [1] * 30, draws=400).tau


def test_the_farthest_training_is_found_against_the_others_of_its_cell():
    records = [dict(record) for record in planted(12, 12)]
    low, = [record for record in records if (record["name"], record["seed"], record["pixels"]) == ("random 5", 2, 100)]
    low["test"] = {"psnr": low["test"]["psnr"] - 5}
    record, off = table_facts.farthest(records, 100)
    assert record is low and off == pytest.approx(-5 + 5 / 12, abs=0.1)  # what a seed adds to all cells is taken off


def test_a_code_tells_cells_apart_and_not_the_order_of_edges():
    cells = cell_table.drawn(3, 200)
    codes = {tuple(searching.encode(cell)) for cell in cells}
    assert len(codes) == 200
    turned = Genotype([pair[::-1] for pair in cells[0]])
    assert np.array_equal(searching.encode(turned), searching.encode(cells[0]))
    assert searching.encode(cells[0])[:9 * 5].sum() == 6


@pytest.mark.parametrize("name", searching.METHODS)
def test_a_method_asks_for_each_cell_once_and_the_same_for_the_same_seed(name):
    method = searching.METHODS[name]
    asked, taken = method(TABLE, 60, np.random.default_rng(0))
    assert len(asked) == len(set(asked)) == 60 and set(asked) <= set(range(120))
    assert all(cell in asked[:n] for n, cell in enumerate(taken, 1)) and len(taken) == 60
    assert method(TABLE, 60, np.random.default_rng(0)).asked == asked
    assert method(TABLE, 60, np.random.default_rng(1)).asked != asked
    assert len(method(TABLE, 5, np.random.default_rng(0)).asked) == 5
    assert sorted(method(TABLE, 120, np.random.default_rng(0)).asked) == list(range(120))


def test_regret_is_that_of_the_cell_that_is_taken():
    table = searching.Table(TABLE.cells[:4], np.array([1.0, 3.0, 2.0, 4.0]), np.array([10.0, 9.0, 12.0, 11.0]),
                            TABLE.codes[:4])
    found = searching.regret(table, lambda *_: searching.highest(table, [0, 2, 1, 3]), 4, repetitions=2)
    assert found.tolist() == [[2, 0, 3, 1]] * 2
    found = searching.regret(table, lambda *_: searching.Search([0, 2], [0, 0]), 2, repetitions=1)
    assert found.tolist() == [[2, 2]]


def test_a_model_that_knows_the_noise_takes_better_cells_than_the_luckiest():
    """Each cell's PSNR with a noise of 1.5 times the cells' deviation."""
    rng = np.random.default_rng(0)
    noisy = [TABLE._replace(validation=TABLE.test + 1.5 * TABLE.test.std() * rng.normal(size=120), noise=2.25 / 3.25)
             for _ in range(10)]
    lucky, modelled = (np.mean([searching.regret(table, method, 40, repetitions=10)[:, -1] for table in noisy])
                       for method in (lambda table, *rest: searching.highest(table, searching.model_guided(
                           table, *rest).asked), searching.model_guided))
    assert modelled < 0.9 * lucky


def test_a_method_that_uses_what_it_has_seen_beats_chance_on_a_planted_table():
    after = {name: searching.regret(TABLE, method, 40, repetitions=30)[:, 25].mean()
             for name, method in searching.METHODS.items()}
    assert after["model-guided"] < 0.5 * after["random search"]
    assert after["local search"] < after["random search"] and after["regularised evolution"] < after["random search"]


@pytest.mark.parametrize("kind, tau", [("process", 0.8), ("trees", 0.5)])
def test_the_surrogate_learns_a_planted_table_and_nothing_from_chance(kind, tau):
    fit = searching.cross_validated(TABLE, kind)
    assert fit.tau > tau and fit.r2 > tau - 0.1
    chance = searching.cross_validated(TABLE._replace(validation=np.random.default_rng(0).normal(size=120)), kind)
    assert chance.r2 < 0.2


def test_a_surrogate_is_nearer_to_the_truth_than_to_noisy_scores_of_it():
    rng = np.random.default_rng(0)
    noisy = TABLE._replace(validation=TABLE.test + TABLE.test.std() * rng.normal(size=120), noise=0.5)
    fit = searching.cross_validated(noisy)
    assert fit.r2 < 0.5 < fit.r2_of_test


def test_the_surrogate_is_the_model_of_the_search():
    table = TABLE._replace(noise=0.3)
    asked, taken = searching.model_guided(table, 25, np.random.default_rng(3))
    assert taken[-1] == asked[int(searching.predicted(table, asked)[asked].argmax())]


def test_a_table_keeps_random_cells_and_reports_the_mean_over_seeds():
    first = [record for record in RECORDS if record["name"] == "random 1" and record["pixels"] == 100]
    assert len(TABLE.cells) == 120 and len(first) == 3
    assert TABLE.validation[0] == first[0]["validation"]["psnr"]
    assert TABLE.test[0] == pytest.approx(np.mean([record["test"]["psnr"] for record in first]), abs=0.005)
    assert edits.canonical(TABLE.cells[0]) == TABLE.cells[0]


def test_the_model_asks_for_the_cell_that_a_gaussian_process_hopes_most_of():
    table = TABLE._replace(noise=0.3)
    asked, taken = searching.model_guided(table, 25, np.random.default_rng(3))
    distances = np.square(table.codes[:, None] - table.codes[None]).sum(axis=2)
    width = np.sqrt(np.median(distances[distances > 0]))
    for n in range(searching.FIRST, 25):
        known = table.validation[asked[:n]]
        process = GaussianProcessRegressor(0.7 * RBF(width), alpha=0.3, optimizer=None, normalize_y=False)
        process.fit(table.codes[asked[:n]], (known - known.mean()) / known.std())
        mean, deviation = process.predict(table.codes, return_std=True)
        assert taken[n - 1] == asked[mean[asked[:n]].argmax()]
        hope = mean + deviation
        hope[asked[:n]] = -np.inf
        assert asked[n] == hope.argmax()
