"""What the search chooses from: six operations on every edge of a cell, three widths in every layer.

A cell is a directed acyclic graph. Its states are, in this order, `p2` (made from h_{l-2}), `p1` (from h_{l-1})
and the nodes `n1` ... `nN`; every node takes an edge from every earlier state. A supernet is a trellis: layer l
offers the levels 0, 1, 2 (widths W, 2W, 4W), and from one layer to the next a path moves by one level at most.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # else imported where it is used: the batch needs genotypes, but no torch
    import torch

OPERATIONS = ("conv", "sep", "dil", "def", "skip", "none")
LEVELS = 3
MOVES = (-1, 0, 1)  # to the narrower level, the same, the wider: the columns of beta


def states(nodes: int) -> list[str]:
    """Names of a cell's states in order: p2, p1, n1, ..., nN."""
    return ["p2", "p1"] + [f"n{i}" for i in range(1, nodes + 1)]


def edges(nodes: int) -> list[tuple[str, str]]:
    """All (source, node) edges of a supercell, node by node: the rows of alpha. N (N + 3) / 2 of them."""
    names = states(nodes)
    return [(source, names[i]) for i in range(2, nodes + 2) for source in names[:i]]


def nodes_for(edge_count: int) -> int:
    """The number of nodes whose supercell has `edge_count` edges; ValueError where there is none."""
    nodes = 0
    while nodes * (nodes + 3) // 2 < edge_count:
        nodes += 1
    if nodes == 0 or nodes * (nodes + 3) // 2 != edge_count:
        raise ValueError(f"no cell has {edge_count} edges (2, 5, 9, 14, 20, ... have)")
    return nodes


def levels(layer: int) -> range:
    """The levels that exist in a layer. The stem is layer 0 at level 0, so that layer 1 has the levels 0 and 1."""
    return range(min(layer + 1, LEVELS))


def source_rows(layers: int) -> list[tuple[int, int]]:
    """The (layer, level) of every cell that feeds another one, layers 0 to L - 1: the rows of beta."""
    return [(layer, level) for layer in range(layers) for level in levels(layer)]


def layers_for(row_count: int) -> int:
    """The number of layers whose supernet has `row_count` rows of beta; ValueError where there is none."""
    layers = 1
    while len(source_rows(layers)) < row_count:
        layers += 1
    if len(source_rows(layers)) != row_count:
        raise ValueError(f"no supernet has {row_count} rows of beta (1, 3, 6, 9, ... have)")
    return layers


def move_exists(level: int, move: int) -> bool:
    """Whether a path at `level` may move by -1, 0 or +1 without leaving the levels 0, 1, 2."""
    return 0 <= level + move < LEVELS


def into_layers(rows: Iterable[Sequence], layers: int) -> list[dict]:
    """Entries of a table in the shape of beta, (rows, 3), by transition: for each layer 1 ... L
    {(source level, level): entry}."""
    into = [{} for _ in range(layers)]
    for (layer, level), row in zip(source_rows(layers), rows):
        for move, entry in zip(MOVES, row):
            if move_exists(level, move):
                into[layer][level, level + move] = entry
    return into


def move_log_probabilities(beta: torch.Tensor) -> torch.Tensor:
    """Log-softmax of each source's logits over the moves that exist there; -inf for the others.

    beta: (rows, 3) raw logits, rows by layer, then level. Each row of the result is a distribution over where a
    path goes next, so beta is a Markov chain and the product along a path is that path's probability.
    """
    return beta.masked_fill(~existing_moves(len(beta), beta.device), -math.inf).log_softmax(dim=-1)


@functools.cache  # a recorded GPU step must not copy from the CPU
def existing_moves(rows: int, device: torch.device) -> torch.Tensor:
    """(rows, 3) booleans: which entries of beta stand for a move that exists."""
    import torch

    return torch.tensor([[move_exists(level, move) for move in MOVES]
                         for _, level in source_rows(layers_for(rows))], device=device)
