"""Genotypes: which two inputs each node of a compact cell keeps, and through which operation (Figure 6).

A genotype is a plain nested tuple, so `json.dumps(DENOISING)` is its file format:
[[["conv", "p2"], ["conv", "p1"]], [["dil", "n1"], ["dil", "p1"]], ...], one entry a node.
"""

from pathlib import Path
from typing import NamedTuple

from irnas_lib.files import SHOWN, read_json
from irnas_lib.search_space import LEVELS, OPERATIONS, states

BOUNDS = {"layers": 32, "nodes": 32, "width": 1024}  # of networks that a file may describe, so that they can be built


class GenotypeError(ValueError):
    """A genotype, path or architecture file that describes no network of the search space."""


class Edge(NamedTuple):
    operation: str
    source: str


class Genotype(tuple):
    """N nodes, each the sum of two edges (operation, source).

    Made from any nested sequence of that shape. Raises GenotypeError for an operation that does not exist, for
    `none` (a compact cell has no empty edges), and for a source that is no earlier state of the cell (a cycle).
    """

    def __new__(cls, nodes):
        if not isinstance(nodes, (list, tuple)) or not nodes:
            raise GenotypeError("a genotype is a list with one entry a node")
        if len(nodes) > BOUNDS["nodes"]:
            raise GenotypeError(f"{len(nodes)} nodes are more than {BOUNDS['nodes']}")
        return super().__new__(cls, (_node(node, i, len(nodes)) for i, node in enumerate(nodes, 1)))

    def __str__(self):
        return "; ".join(f"n{i} = " + " + ".join(f"{edge.operation}({edge.source})" for edge in node)
                         for i, node in enumerate(self, 1))


def _node(node, number: int, nodes: int) -> tuple[Edge, Edge]:
    if not isinstance(node, (list, tuple)) or len(node) != 2:
        raise GenotypeError(f"node n{number} must have two edges, not {node!r}")
    for edge in node:
        if not isinstance(edge, (list, tuple)) or len(edge) != 2:
            raise GenotypeError(f"an edge of node n{number} must be [operation, source], not {edge!r}")
        operation, source = edge
        if operation not in OPERATIONS[:-1]:
            raise GenotypeError(f"node n{number}: unknown operation {operation!r}"
                                f" (known: {', '.join(OPERATIONS[:-1])})")
        if source not in states(nodes):
            raise GenotypeError(f"node n{number}: unknown source {source!r}")
        if source not in states(number - 1):
            raise GenotypeError(f"node n{number} takes {source}, which is not computed before it (a cycle)")
    if tuple(node[0]) == tuple(node[1]):
        raise GenotypeError(f"node n{number} takes {node[0][0]} of {node[0][1]} twice")
    return Edge(*node[0]), Edge(*node[1])


def check_path(path, layers: int | None = None) -> tuple[int, ...]:
    """The levels of cells 1 ... L as a tuple of int. A path starts from level 0 and moves by one level at most.

    Raises GenotypeError for levels outside 0..2, for larger moves and for a length other than `layers`.
    """
    path = tuple(path)
    if len(path) > BOUNDS["layers"]:
        raise GenotypeError(f"a path of {len(path)} levels is longer than {BOUNDS['layers']}")
    previous = 0
    for level in path:
        if level not in range(LEVELS) or abs(level - previous) > 1:
            raise GenotypeError(f"path {path}: levels are 0 to {LEVELS - 1}, from 0, and move by one at most")
        previous = level
    if not path or layers not in (None, len(path)):
        raise GenotypeError(f"path {path} should have {layers or 'some'} levels")
    return tuple(int(level) for level in path)


class Architecture(NamedTuple):
    """Everything that fixes a final network but its number of picture channels."""

    genotype: Genotype
    path: tuple[int, ...]
    width: int


def load_architecture(path: Path) -> Architecture:
    """Reads an architecture from JSON, {"genotype": [[[operation, source], [operation, source]], ...], "path": levels,
    "width": W}; GenotypeError, naming the file, where it holds none."""
    try:
        content = read_json(path)
    except ValueError as error:
        raise GenotypeError(str(error)) from None
    try:
        genotype, levels, width = (content[name] for name in Architecture._fields)
        if type(width) is not int or not 1 <= width <= BOUNDS["width"]:
            raise GenotypeError(f"width must be 1 to {BOUNDS['width']}")
        return Architecture(Genotype(genotype), check_path(levels), width)
    except (KeyError, TypeError, ValueError) as error:
        raise GenotypeError(f"{path}: not an architecture file: {str(error)[:SHOWN]}") from error


# Figure 6 (b): what the paper found. The paths were not read off its Figure 6 (a): 0,0,0,1 is the only one that gives
# the printed 0.63M parameters, 0,0,1 is its analogue and an inference.
DENOISING = Genotype([
    [("conv", "p2"), ("conv", "p1")],
    [("dil", "n1"), ("dil", "p1")],
    [("skip", "p2"), ("def", "n1")],
    [("def", "n3"), ("def", "p2")],
    [("skip", "n4"), ("skip", "p1")],
])
DERAINING = Genotype([
    [("def", "p1"), ("skip", "p2")],
    [("def", "p2"), ("conv", "p1")],
    [("def", "n1"), ("skip", "p2")],
    [("def", "n1"), ("conv", "p1")],
])

# Figure 6 (c), every ordinary convolution made deformable, and (d), one node's inputs rewired.
DENOISING_R1 = Genotype([[("def", "p2"), ("def", "p1")], *DENOISING[1:]])
DENOISING_R2 = Genotype([*DENOISING[:3], [("def", "n2"), ("def", "p1")], DENOISING[4]])
DERAINING_R1 = Genotype([DERAINING[0], [("def", "p2"), ("def", "p1")],
                         DERAINING[2], [("def", "n1"), ("def", "p1")]])
DERAINING_R2 = Genotype([*DERAINING[:3], [("def", "n3"), ("conv", "p2")]])

PUBLISHED = {
    ("denoising", "IR-NAS"): Architecture(DENOISING, (0, 0, 0, 1), 20),
    ("denoising", "IR-NAS, R1"): Architecture(DENOISING_R1, (0, 0, 0, 1), 20),
    ("denoising", "IR-NAS, R2"): Architecture(DENOISING_R2, (0, 0, 0, 1), 20),
    ("deraining", "IR-NAS"): Architecture(DERAINING, (0, 0, 1), 15),
    ("deraining", "IR-NAS, R1"): Architecture(DERAINING_R1, (0, 0, 1), 15),
    ("deraining", "IR-NAS, R2"): Architecture(DERAINING_R2, (0, 0, 1), 15),
}
