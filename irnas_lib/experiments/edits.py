"""Changes of a cell, enumerated: one edge at a time, and the two kinds of Section 4.3.

A cell is the same cell with the two edges of a node in the other order; each changed cell is listed once, in the order
of nodes, edges, and operations or sources. The two inputs of a node are different states, as in every cell that a
search can find.
"""

from collections.abc import Iterable
from itertools import product

from irnas_lib.genotypes import Edge, Genotype
from irnas_lib.search_space import OPERATIONS, states


def canonical(genotype: Genotype) -> tuple:
    """Equal for genotypes that describe the same cell."""
    return tuple(tuple(sorted(node)) for node in genotype)


def operation_changes(genotype: Genotype) -> list[Genotype]:
    """Another operation on one edge."""
    return _distinct(genotype, (
        _with_edge(genotype, node, edge, Edge(operation, genotype[node][edge].source))
        for node, edge in product(range(len(genotype)), range(2)) for operation in OPERATIONS[:-1]))


def input_changes(genotype: Genotype) -> list[Genotype]:
    """Another input for one edge."""
    return _distinct(genotype, (
        _with_edge(genotype, node, edge, Edge(genotype[node][edge].operation, source))
        for node, edge in product(range(len(genotype)), range(2)) for source in states(node)
        if source != genotype[node][1 - edge].source))


def all_deformable(genotype: Genotype) -> list[Genotype]:
    """R1: every ordinary convolution made deformable. One cell, or none where there is no ordinary convolution."""
    return _distinct(genotype, [Genotype([[Edge("def" if edge.operation == "conv" else edge.operation, edge.source)
                                           for edge in node] for node in genotype])])


def rewirings(genotype: Genotype) -> list[Genotype]:
    """R2: both inputs of one node replaced, each edge with its operation. Where a node has one operation twice, some of
    these are the same cell as another input for one edge; they are left to `input_changes`."""
    of_one_input = set(map(canonical, input_changes(genotype)))
    replaced = _distinct(genotype, (
        _with_node(genotype, node, [Edge(edge.operation, source) for edge, source in zip(genotype[node], sources)])
        for node in range(len(genotype)) for sources in product(states(node), repeat=2)
        if sources[0] != sources[1] and all(edge.source != source for edge, source in zip(genotype[node], sources))))
    return [changed for changed in replaced if canonical(changed) not in of_one_input]


KINDS = {"operation": operation_changes, "input": input_changes, "R1": all_deformable, "R2": rewirings}


def _with_node(genotype: Genotype, node: int, edges: Iterable[Edge]) -> Genotype:
    return Genotype([*genotype[:node], list(edges), *genotype[node + 1:]])


def _with_edge(genotype: Genotype, node: int, edge: int, changed: Edge) -> Genotype:
    edges = list(genotype[node])
    edges[edge] = changed
    return _with_node(genotype, node, edges)


def _distinct(genotype: Genotype, changed: Iterable[Genotype]) -> list[Genotype]:
    """Each cell once, without the original. Of several equal cells the first is kept, and stands where the last of them
    stood: records of trained cells name them by these places."""
    found = {canonical(cell): cell for cell in reversed(list(changed))}
    found.pop(canonical(genotype), None)
    return list(reversed(found.values()))
