"""Decoding against enumeration: every path, every pair of inputs."""

import itertools
import math
import random

import pytest
import torch

from irnas_lib import decode
from irnas_lib.genotypes import Genotype

ROWS = {1: 1, 2: 3, 3: 6, 4: 9, 5: 12, 6: 15}  # of beta, by layers
NAMES = ("conv", "sep", "dil", "def", "skip", "none")


def probabilities(beta):
    """(layer, level, next level) -> probability, written out from section 3.2 and plain floats."""
    rows, found = iter(beta.tolist()), {}
    for layer in itertools.count():
        for level in range(min(layer + 1, 3)):
            row = next(rows, None)
            if row is None:
                return found
            weights = {level + move: math.exp(row[move + 1]) for move in (-1, 0, 1) if 0 <= level + move <= 2}
            for target, weight in weights.items():
                found[layer, level, target] = weight / sum(weights.values())


def paths(layers):
    for path in itertools.product(range(3), repeat=layers):
        if path[0] < 2 and all(abs(b - a) < 2 for a, b in itertools.pairwise(path)):
            yield path


def probability(table, path):
    return math.prod(table[layer, a, b] for layer, (a, b) in enumerate(itertools.pairwise((0, *path))))


def draws(layers, count, spread=2.0):
    generator = torch.Generator().manual_seed(layers)
    return spread * torch.randn(count, ROWS[layers], 3, generator=generator, dtype=torch.float64)


def test_the_trellis_has_as_many_paths_as_it_should():
    assert [len(decode.all_paths(layers)) for layers in (1, 2, 3, 4)] == [2, 5, 12, 29]
    assert decode.all_paths(4) == list(paths(4))


@pytest.mark.parametrize("layers", ROWS)
def test_viterbi_finds_what_enumeration_finds(layers):
    for number, beta in enumerate(draws(layers, 100)):
        table = probabilities(beta)
        best = max(paths(layers), key=lambda path: probability(table, path))
        found, log_probability = decode.viterbi_path(beta)
        assert found == best
        assert log_probability == pytest.approx(math.log(probability(table, best)), abs=1e-12)
        assert decode.path_log_probability(beta, best) == pytest.approx(log_probability, abs=1e-12)
        if number < 5:  # it is slow
            assert decode.brute_force_path(beta) == (best, pytest.approx(log_probability, abs=1e-12))


@pytest.mark.parametrize("layers", ROWS)
def test_all_paths_together_have_probability_one(layers):
    (beta,) = draws(layers, 1)
    assert sum(math.exp(decode.path_log_probability(beta, path)) for path in paths(layers)) == pytest.approx(1)


@pytest.mark.parametrize("layers", ROWS)
def test_ties_give_the_all_zero_path(layers):
    beta = torch.zeros(ROWS[layers], 3)
    path, log_probability = decode.viterbi_path(beta)
    assert path == (0,) * layers
    assert log_probability == pytest.approx(-layers * math.log(2))
    assert decode.relative_path(beta) == (path, 0)
    assert decode.greedy_path(beta)[0] == path


def test_the_flat_prior_favours_two_paths():
    beta = torch.zeros(9, 3)
    ranked = sorted(((round(math.exp(decode.path_log_probability(beta, path)), 9), path) for path in paths(4)),
                    reverse=True)
    assert ranked[:2] == [(1 / 16, (0, 0, 0, 1)), (1 / 16, (0, 0, 0, 0))]
    assert ranked[2][0] == pytest.approx(1 / 24)


@pytest.mark.parametrize("layers", ROWS)
def test_relative_path_maximises_the_growth_over_the_flat_prior(layers):
    flat = probabilities(torch.zeros(ROWS[layers], 3))
    for beta in draws(layers, 60, spread=0.5):
        table = probabilities(beta)
        best = max(paths(layers), key=lambda path: probability(table, path) / probability(flat, path))
        found, log_ratio = decode.relative_path(beta)
        assert found == best
        assert log_ratio == pytest.approx(math.log(probability(table, best) / probability(flat, best)), abs=1e-12)


def test_greedy_is_never_better_and_sometimes_worse():
    worse = 0
    for beta in draws(4, 200):
        path, log_probability = decode.greedy_path(beta)
        assert path in set(paths(4))
        assert log_probability <= decode.viterbi_path(beta)[1] + 1e-12
        worse += path != decode.viterbi_path(beta)[0]
    assert 0 < worse < 200


def test_greedy_walks_into_a_dead_end_that_viterbi_sees():
    # Layer 1: level 0 is a little likelier, but from there the mass splits; level 1 leads on for certain.
    beta = torch.tensor([[0, math.log(0.51), math.log(0.49)], [0, 0, 0], [-30, -30, 30]])
    assert decode.greedy_path(beta)[0] == (0, 0)
    path, log_probability = decode.viterbi_path(beta)
    assert path == (1, 2)
    assert math.exp(log_probability) == pytest.approx(0.49)


def slow_cell(alpha):
    """Section 3.1 with sets and loops: of each node's inputs the two strongest, the earlier one where equal."""
    table, nodes = {}, []
    rows = iter(alpha.tolist())
    sources = ["p2", "p1"]
    while (row := next(rows, None)) is not None:
        inputs = []
        for position, source in enumerate(sources):
            row = row if position == 0 else next(rows)
            total = sum(math.exp(value) for value in row)
            table = {name: math.exp(value) / total for name, value in zip(NAMES, row)}
            table.pop("none")
            name = min(table, key=lambda name: (-table[name], NAMES.index(name)))
            inputs.append((-table[name], position, [name, source]))
        nodes.append([edge for *_, edge in sorted(inputs)[:2]])
        sources.append(f"n{len(nodes)}")
    return nodes


@pytest.mark.parametrize(("nodes", "edges"), ((1, 2), (2, 5), (4, 14), (5, 20)))
def test_derive_cell_agrees_with_a_slow_version(nodes, edges):
    generator = torch.Generator().manual_seed(nodes)
    for _ in range(50):
        alpha = torch.randn(edges, 6, generator=generator, dtype=torch.float64)
        assert decode.derive_cell(alpha) == Genotype(slow_cell(alpha))


def test_none_never_wins_but_weakens_its_edge():
    alpha = torch.zeros(5, 6)
    alpha[0, 3], alpha[0, 5] = 2.0, 9.0   # p2 -> n1: def, and nearly everything none
    alpha[1, 4] = 0.5                     # p1 -> n1: skip
    alpha[2, 1], alpha[2, 5] = 3.0, 9.0   # p2 -> n2: sep, drowned by none
    alpha[3, 2] = 0.1                     # p1 -> n2: dil
    alpha[4, 0] = 0.2                     # n1 -> n2: conv
    assert decode.derive_cell(alpha) == Genotype([[("skip", "p1"), ("def", "p2")], [("conv", "n1"), ("dil", "p1")]])


def test_ties_go_to_the_earlier_edge_and_operation():
    assert decode.derive_cell(torch.zeros(9, 6)) == Genotype([[("conv", "p2"), ("conv", "p1")]] * 3)
    alpha = torch.zeros(5, 6)
    alpha[:, 2] = alpha[:, 4] = 1.0
    assert decode.derive_cell(alpha) == Genotype([[("dil", "p2"), ("dil", "p1")]] * 2)
    alpha = torch.zeros(20, 6)
    alpha[19, 4] = 1.0  # n4 -> n5
    assert decode.derive_cell(alpha)[4] == (("skip", "n4"), ("conv", "p2"))


def test_a_constant_added_to_a_row_changes_nothing():
    """Adding a constant to a row of alpha or of beta changes no probability and so no architecture."""
    randomly = random.Random(0)
    alpha = torch.randn(14, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shift = torch.tensor([[randomly.uniform(-5, 5)] for _ in range(14)], dtype=torch.float64)
    assert decode.derive_cell(alpha + shift) == decode.derive_cell(alpha)
    (beta,) = draws(4, 1)
    assert decode.viterbi_path(beta + shift[:9])[0] == decode.viterbi_path(beta)[0]


@pytest.mark.parametrize("call", (lambda: decode.derive_cell(torch.zeros(7, 6)),
                                  lambda: decode.viterbi_path(torch.zeros(7, 3))))
def test_tables_of_impossible_sizes_are_refused(call):
    with pytest.raises(ValueError, match="7"):
        call()


@pytest.mark.parametrize("decoder", (decode.derive_cell, decode.viterbi_path))
def test_what_is_no_number_decodes_to_nothing(decoder):
    logits = torch.zeros(9, 6 if decoder is decode.derive_cell else 3)
    logits[4, 1] = torch.nan
    with pytest.raises(ValueError, match="no number"):
        decoder(logits)
