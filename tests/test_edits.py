"""Changes of a cell against the filter over all cells of the space."""

from itertools import combinations, product

import pytest

from irnas_lib.experiments import edits
from irnas_lib.genotypes import DENOISING, DERAINING, PUBLISHED, Genotype
from irnas_lib.search_space import OPERATIONS, states

SMALL = Genotype([[("conv", "p2"), ("conv", "p1")], [("def", "n1"), ("skip", "p1")]])
SAME_TWICE = Genotype([[("conv", "p2"), ("def", "p1")], [("sep", "p2"), ("sep", "n1")]])


def all_cells(nodes):
    """Every cell once: for each node two different inputs, each with an operation."""
    per_node = [[((first, a), (second, b)) for a, b in combinations(states(node), 2)
                 for first, second in product(OPERATIONS[:-1], repeat=2)] for node in range(nodes)]
    return [Genotype(cell) for cell in product(*per_node)]


def pairings(node, changed):
    """Both ways to say which edge of a changed node was which edge before."""
    return [list(zip(node, order)) for order in (changed, changed[::-1])]


def changed_nodes(genotype, other):
    return [(a, b) for a, b in zip(genotype, other) if sorted(a) != sorted(b)]


def is_operation_change(genotype, other):
    nodes = changed_nodes(genotype, other)
    return len(nodes) == 1 and any(
        sorted([a.operation != b.operation for a, b in pairs]) == [False, True]
        and all(a.source == b.source for a, b in pairs) for pairs in pairings(*nodes[0]))


def is_input_change(genotype, other):
    nodes = changed_nodes(genotype, other)
    return len(nodes) == 1 and any(
        sorted([a.source != b.source for a, b in pairs]) == [False, True]
        and all(a.operation == b.operation for a, b in pairs) for pairs in pairings(*nodes[0]))


def is_rewiring(genotype, other):
    nodes = changed_nodes(genotype, other)
    return len(nodes) == 1 and not is_input_change(genotype, other) and any(
        all(a.source != b.source and a.operation == b.operation for a, b in pairs) for pairs in pairings(*nodes[0]))


@pytest.mark.parametrize("genotype", [SMALL, SAME_TWICE])
@pytest.mark.parametrize("kind, belongs", [(edits.operation_changes, is_operation_change),
                                           (edits.input_changes, is_input_change),
                                           (edits.rewirings, is_rewiring)])
def test_all_changes_of_a_kind_and_no_other(genotype, kind, belongs):
    found = [edits.canonical(other) for other in kind(genotype)]
    expected = {edits.canonical(other) for other in all_cells(len(genotype)) if belongs(genotype, other)}
    assert len(found) == len(set(found)) and set(found) == expected and expected


@pytest.mark.parametrize("task", ["denoising", "deraining"])
def test_the_papers_own_changes_are_among_them(task):
    original, r1, r2 = (PUBLISHED[task, f"IR-NAS{name}"].genotype for name in ("", ", R1", ", R2"))
    assert edits.all_deformable(original) == [r1]
    assert edits.canonical(r2) in map(edits.canonical, edits.rewirings(original))


def test_counts():
    """By hand: 4 other operations on each of 2 N edges; of node i's 1 + i sources, i - 1 others for each edge."""
    for genotype, nodes in ((DENOISING, 5), (DERAINING, 4)):
        assert len(edits.operation_changes(genotype)) == 4 * 2 * nodes
        assert len(edits.input_changes(genotype)) == sum(2 * (i - 1) for i in range(1, nodes + 1))
    assert edits.all_deformable(Genotype([[("def", "p2"), ("skip", "p1")]])) == []
