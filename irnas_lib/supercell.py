"""The supercell of Figure 1: every operation on every edge, mixed by alpha (Eq. 1 to 3).

Two versions with the same parameters and the same result. `PlainSupercell` is the paper's text, edge by edge, for
reading and for checking. `Supercell` is what the search runs: the edges that leave one state all begin with the
same ReLU of it, so each operation is computed for all of them in one call.
"""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from irnas_lib.operations import MASKS, OFFSETS, build, deform_conv, dilated_conv
from irnas_lib.search_space import OPERATIONS, edges, states


class PlainSupercell(nn.Module):
    """Eq. 1 to 3 as they are written: `nodes` nodes of `channels` channels, one module an edge and operation.

    forward(p2, p1, alpha): p2 and p1 (B, C, H, W); alpha (edges, 6), softmaxed; returns (B, N C, H, W).
    """

    def __init__(self, nodes: int, channels: int):
        super().__init__()
        self.nodes, self.channels = nodes, channels
        self.edges = nn.ModuleDict({f"{source}_{node}": nn.ModuleList(build(name, channels, affine=False)
                                                                      for name in OPERATIONS)
                                    for source, node in edges(nodes)})

    def forward(self, p2: torch.Tensor, p1: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        x = {"p2": p2, "p1": p1}
        for (source, node), weights in zip(edges(self.nodes), alpha):
            operations = self.edges[f"{source}_{node}"]
            mixed = sum(weight * operation(x[source])                       # Eq. 2
                        for weight, operation in zip(weights, operations))
            x[node] = x[node] + mixed if node in x else mixed               # Eq. 1
        return torch.cat([x[node] for node in states(self.nodes)[2:]], dim=1)  # Eq. 3


class WeightedNorm(nn.BatchNorm2d):
    """Batch norm without parameters of its own, scaled by alpha: one weight for each group of channels."""

    def __init__(self, channels: int):
        super().__init__(channels, affine=False)
        self.num_batches_tracked = None  # only a momentum of None would ask for it

    def forward(self, x: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        if weights is not None:
            weights = weights.repeat_interleave(self.num_features // len(weights)).to(self.running_mean.dtype)
        return F.batch_norm(x, self.running_mean, self.running_var, weights, None, self.training,
                            self.momentum, self.eps)


COMPUTED = ("conv", "sep", "dil", "def", "skip", "none")  # what Fan computes, each in code of its own


class Fan(nn.Module):
    """All six operations on the E edges that leave one state; `rows` are their rows of alpha.

    forward(x, alpha): x (B, C, H, W), alpha (edges, 6) softmaxed; returns the mixed edges, (B, E, C, H, W).

    A depthwise 3x3 and the 1x1 behind it have nothing between them, so that they are one 3x3 whose kernel is
    their product; it joins the ordinary convolution and the offsets in one call.
    """

    def __init__(self, channels: int, rows: list[int]):
        super().__init__()
        if set(OPERATIONS) != set(COMPUTED):
            raise NotImplementedError(f"the supercell computes {', '.join(COMPUTED)}; the search space has "
                                      f"{', '.join(OPERATIONS)}: add the operation to Fan and to COMPUTED")
        self.channels, self.fan = channels, len(rows)
        self.register_buffer("rows", torch.tensor(rows), persistent=False)
        fan, wide = self.fan, channels * self.fan

        def kernel(inputs, size=3):
            bound = 1 / (size * math.sqrt(inputs))  # PyTorch's own default
            return nn.Parameter(torch.empty(wide, inputs, size, size).uniform_(-bound, bound))

        self.conv, self.dil, self.deform = kernel(channels), kernel(channels), kernel(channels)
        self.depthwise1, self.pointwise1 = kernel(1), kernel(channels, size=1)
        self.depthwise2, self.pointwise2 = kernel(1), kernel(channels, size=1)
        self.deform_bias = nn.Parameter(torch.zeros(wide))
        self.offsets = nn.Parameter(torch.zeros(fan * (OFFSETS + MASKS), channels, 3, 3))  # offsets, then masks
        self.offsets_bias = nn.Parameter(torch.zeros(fan * (OFFSETS + MASKS)))
        self.norms = nn.ModuleDict({name: WeightedNorm(wide) for name in ("conv", "sep1", "sep", "dil", "def")})

    def separable_kernel(self, depthwise: torch.Tensor, pointwise: torch.Tensor) -> torch.Tensor:
        """(E C, C, 3, 3): for each edge, output and input channel the product of its 1x1 and 3x3 weights."""
        shape = (self.fan, self.channels, self.channels, 1, 1)
        product = pointwise.view(shape) * depthwise.view(self.fan, 1, self.channels, 3, 3)
        return product.flatten(0, 1)

    def forward(self, x: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        weights = dict(zip(OPERATIONS, alpha.index_select(0, self.rows).unbind(dim=1)))
        relu, wide = F.relu(x), self.channels * self.fan
        kernels = (self.conv, self.separable_kernel(self.depthwise1, self.pointwise1), self.offsets)
        bias = torch.cat([self.offsets_bias.new_zeros(2 * wide), self.offsets_bias])
        conv, sep, offsets, masks = F.conv2d(relu, torch.cat(kernels), bias, padding=1).split(
            (wide, wide, self.fan * OFFSETS, self.fan * MASKS), dim=1)
        sep = F.conv2d(F.relu(self.norms["sep1"](sep)), self.separable_kernel(self.depthwise2, self.pointwise2),
                       padding=1, groups=self.fan)
        dil = dilated_conv(relu, self.dil)
        deform = deform_conv(relu.repeat(1, self.fan, 1, 1), offsets, self.deform, self.deform_bias, padding=1,
                             mask=masks.sigmoid())
        mixed = sum(self.norms[name](y, weights[name])
                    for name, y in (("conv", conv), ("sep", sep), ("dil", dil), ("def", deform)))
        skip = weights["skip"].view(-1, 1, 1, 1) * x.unsqueeze(1)
        return mixed.unflatten(1, (self.fan, self.channels)) + skip  # "none" adds nothing


class Supercell(nn.Module):
    """PlainSupercell's function, computed state by state instead of edge by edge."""

    def __init__(self, nodes: int, channels: int):
        super().__init__()
        self.nodes, self.channels = nodes, channels
        self.fans = nn.ModuleDict({
            source: Fan(channels, [row for row, edge in enumerate(edges(nodes)) if edge[0] == source])
            for source in states(nodes)[:-1]})

    def forward(self, p2: torch.Tensor, p1: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        x, sums = [p2, p1], [0] * self.nodes
        for state, fan in enumerate(self.fans.values()):
            mixed = fan(x[state], alpha)
            first = self.nodes - mixed.shape[1]
            for node, edge in enumerate(mixed.unbind(dim=1), first):
                sums[node] = sums[node] + edge
            if state > 0:  # once p2 and p1 are in, the next node has all its edges
                x.append(sums[state - 1])
        return torch.cat(sums, dim=1)


def recomputed(cell: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    """`cell(*inputs)`, of which only the inputs are kept for the backward pass; there it is computed once more."""
    return checkpoint(cell, *inputs, use_reentrant=False, preserve_rng_state=False,
                      context_fn=lambda: (contextlib.nullcontext(), frozen_statistics(cell)))


@contextlib.contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms see their batch, but its statistics do not count a second time."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:  # a recomputation is broken off once it has what it needs
        for norm, (momentum, batches) in zip(norms, before):
            norm.momentum, norm.num_batches_tracked = momentum, batches


@torch.no_grad()
def to_plain(cell: Supercell) -> PlainSupercell:
    """The same cell edge by edge: an equal PlainSupercell with copies of the weights."""
    plain = PlainSupercell(cell.nodes, cell.channels).to(cell.fans["p2"].conv)
    for source, fan in cell.fans.items():
        targets = [node for start, node in edges(cell.nodes) if start == source]
        for e, node in enumerate(targets):
            rows = slice(e * cell.channels, (e + 1) * cell.channels)
            conv, sep, dil, deform, _, _ = plain.edges[f"{source}_{node}"]
            pairs = [(conv[1], fan.conv), (dil[1], fan.dil), (deform, fan.deform),
                     (sep[1], fan.depthwise1), (sep[2], fan.pointwise1),
                     (sep[5], fan.depthwise2), (sep[6], fan.pointwise2)]
            for module, stacked in pairs:
                module.weight.copy_(stacked[rows])
            deform.bias.copy_(fan.deform_bias[rows])
            for parameter, stacked in ((deform.offsets.weight, fan.offsets), (deform.offsets.bias, fan.offsets_bias)):
                parameter[:OFFSETS] = stacked[e * OFFSETS:(e + 1) * OFFSETS]
                parameter[OFFSETS:] = stacked[fan.fan * OFFSETS:][e * MASKS:(e + 1) * MASKS]
    return plain
