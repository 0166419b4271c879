"""From alpha and beta to an architecture: the two strongest inputs of each node, the most probable path.

Section 3.1 ranks a node's inputs by alpha and keeps two. Section 3.2 takes beta as transition probabilities and
lets Viterbi's algorithm choose the widths, since picking each layer's best alone can jump between widths.
"""

import itertools

import torch

from irnas_lib.genotypes import Edge, Genotype
from irnas_lib.search_space import (
    LEVELS,
    OPERATIONS,
    edges,
    into_layers,
    layers_for,
    move_log_probabilities,
    nodes_for,
    states,
)


def derive_cell(alpha: torch.Tensor) -> Genotype:
    """The compact cell of raw logits alpha, (edges, 6).

    An edge is as strong as its largest softmax weight among the five operations other than `none`. Each node
    keeps its two strongest edges, the stronger first, each with its strongest operation; ties go to the earlier.
    Raises ValueError where alpha holds what is no number.
    """
    if alpha.isnan().any():
        raise ValueError("alpha holds what is no number")
    weights = alpha.detach().double().cpu().softmax(dim=-1)[:, :-1].tolist()
    nodes = nodes_for(len(weights))
    best = {edge: max(range(len(row)), key=row.__getitem__) for edge, row in zip(edges(nodes), weights)}
    strength = {edge: row[best[edge]] for edge, row in zip(edges(nodes), weights)}

    def node(name):
        ranked = sorted((edge for edge in edges(nodes) if edge[1] == name), key=strength.get, reverse=True)
        return [Edge(OPERATIONS[best[edge]], edge[0]) for edge in ranked[:2]]
    return Genotype([node(name) for name in states(nodes)[2:]])


def transition_scores(beta: torch.Tensor) -> list[dict[tuple[int, int], float]]:
    """For each layer 1 ... L the log probabilities {(source level, level): score} of the moves into it. Raises
    ValueError where beta holds what is no number."""
    if beta.isnan().any():
        raise ValueError("beta holds what is no number")
    return into_layers(move_log_probabilities(beta.detach().double().cpu()).tolist(), layers_for(len(beta)))


def viterbi(scores: list[dict[tuple[int, int], float]]) -> tuple[tuple[int, ...], float]:
    """The path from level 0 with the largest sum of scores, and that sum; ties go to the narrower.

    Dynamic programming over the trellis: the best way to reach a level goes over the best way to one of its
    sources, so L steps, in each of which at most seven moves are looked at, replace the enumeration of all paths.
    """
    best = {0: ((), 0.0)}
    for layer in scores:
        reached = {}
        for (source, level), score in sorted(layer.items()):
            path, total = best[source]
            if level not in reached or total + score > reached[level][1]:
                reached[level] = (*path, level), total + score
        best = reached
    return best[max(sorted(best), key=lambda level: best[level][1])]


def viterbi_path(beta: torch.Tensor) -> tuple[tuple[int, ...], float]:
    """The most probable path of raw logits beta, (rows, 3), as levels of cells 1 ... L, and its log probability."""
    return viterbi(transition_scores(beta))


def relative_path(beta: torch.Tensor) -> tuple[tuple[int, ...], float]:
    """The path whose probability has grown most, as a ratio, over what untouched betas give it; log of the ratio.

    A level with three ways on gives each 1/3, one with two gives 1/2: before any learning 0,0,...,0,0 and
    0,0,...,0,1 lead. This decode takes that head start away.
    """
    flat = transition_scores(torch.zeros_like(beta))
    return viterbi([{move: score - before[move] for move, score in layer.items()}
                    for layer, before in zip(transition_scores(beta), flat)])


def all_paths(layers: int) -> list[tuple[int, ...]]:
    """Every path of the trellis: levels of cells 1 ... L, from level 0, moving by one at most."""
    return [path for path in itertools.product(range(LEVELS), repeat=layers)
            if all(abs(a - b) <= 1 for a, b in zip((0, *path), path))]


def path_log_probability(beta: torch.Tensor, path: tuple[int, ...]) -> float:
    """The log probability of one path under raw logits beta."""
    return sum(layer[move] for layer, move in zip(transition_scores(beta), zip((0, *path), path)))


def brute_force_path(beta: torch.Tensor) -> tuple[tuple[int, ...], float]:
    """viterbi_path by trying every path: the reference for teaching and testing."""
    paths = all_paths(layers_for(len(beta)))
    best = max(paths, key=lambda path: path_log_probability(beta, path))
    return best, path_log_probability(beta, best)


def greedy_path(beta: torch.Tensor) -> tuple[tuple[int, ...], float]:
    """The path that takes the likeliest move at every layer, blind to what follows, and its log probability."""
    path = ()
    for layer in transition_scores(beta):
        here = path[-1] if path else 0
        moves = [(source, level) for source, level in sorted(layer) if source == here]
        path = (*path, max(moves, key=layer.get)[1])
    return path, path_log_probability(beta, path)


def undecided(probabilities: torch.Tensor, choices: int | None = None) -> torch.Tensor:
    """The entropy of each row of (rows, choices), by the largest that it could have, (rows,): 1 where all choices are
    equally likely, 0 where one is certain. choices: how many there are; None: in each row those that are possible, of
    which there must be two."""
    count = (probabilities > 0).sum(dim=1) if choices is None else torch.tensor(choices)
    return torch.special.entr(probabilities).sum(dim=1) / count.log()
