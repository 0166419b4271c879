"""The supernet of Figure 2: L layers of three supercells, every path of widths at once (Eq. 4 to 6)."""

import torch
from torch import nn
from torch.nn import functional as F

from irnas_lib.operations import conv_unit
from irnas_lib.search_space import MOVES, OPERATIONS, edges, into_layers, levels, move_log_probabilities, source_rows
from irnas_lib.supercell import Supercell, recomputed

STEM_CHANNELS = 64


class Layer(nn.Module):
    """The supercells C_l^i of one layer with the 1x1 convolutions in front of them.

    With sharing="cell" one cell serves all the paths into it (Eq. 5); with sharing="edge" each incoming path has
    a cell of its own (Eq. 6, Auto-DeepLab's way), for comparison. `recompute`: see Supernet.
    """

    def __init__(self, number: int, nodes: int, width: int, before: list[int], last: list[int], sharing: str,
                 cell: type[nn.Module], recompute: bool):
        """`before` and `last`: the channels of the outputs h_{l-2} and h_{l-1}, one entry a level."""
        super().__init__()
        self.number, self.sharing, self.recompute = number, sharing, recompute
        self.first, self.second, self.cells = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for level in levels(number):
            channels = width * 2 ** level
            self.second[str(level)] = conv_unit(before[min(level, len(before) - 1)], channels, 1, affine=False)
            for source in self.sources(level):
                self.first[f"{source}->{level}"] = conv_unit(last[source], channels, 1, affine=False)
            for name in self.cell_names(level):
                self.cells[name] = cell(nodes, channels)

    def sources(self, level: int) -> list[int]:
        """The levels of the layer before that lead here."""
        return [source for source in levels(self.number - 1) if abs(source - level) <= 1]

    def cell_names(self, level: int) -> list[str]:
        return [str(level)] if self.sharing == "cell" else [f"{k}->{level}" for k in self.sources(level)]

    def forward(self, before: list, last: list, alpha: torch.Tensor, beta: dict) -> list[torch.Tensor]:
        """Outputs h_l, one a level, from h_{l-2} and h_{l-1}; `beta[source, level]` weighs a transition."""
        def run(name, *inputs):
            return recomputed(self.cells[name], *inputs) if self.recompute else self.cells[name](*inputs)

        outputs = []
        for level in levels(self.number):
            # where C_{l-2}^i does not exist, the widest narrower output (or the stem) serves
            second = self.second[str(level)](before[min(level, len(before) - 1)])
            paths = {k: self.first[f"{k}->{level}"](last[k]) for k in self.sources(level)}
            if self.sharing == "cell":                                                              # Eq. 5
                first = sum(beta[k, level] * path for k, path in paths.items())
                outputs.append(run(str(level), second, first, alpha))
            else:                                                                                   # Eq. 6
                outputs.append(sum(beta[k, level] * run(f"{k}->{level}", second, path, alpha)
                                   for k, path in paths.items()))
        return outputs


class Supernet(nn.Module):
    """Start part, L layers, end part (section 3.2); its architecture parameters are `alpha` and `beta`.

    layers, nodes, width: L, N and W (the paper's denoising search: 4, 5, 10); channels: of the picture.
    sharing: "cell" for Eq. 5, "edge" for Eq. 6. cell: the supercell's class. recompute: keep only what goes into each
    cell for the backward pass, and compute the cell again there: less memory, a third more arithmetic, equal results.
    global_residual adds the input to the output, which the paper's supernet does not do; the last layer then starts at
    zero, so that the supernet begins by returning its input.

    alpha: (edges, 6) raw logits, one table for all cells; beta: (rows, 3) raw logits, rows by layer, then level,
    columns narrower, same, wider (entries of moves that do not exist are never used). Both start equal.
    temperature: divides the logits alpha before their softmax; 1, as in the paper, unless a search lowers it.
    forward: (B, channels, H, W) in [0, 1] -> the same shape, unbounded.
    """

    def __init__(self, layers: int = 4, nodes: int = 5, width: int = 10, channels: int = 1, sharing: str = "cell",
                 cell: type[nn.Module] = Supercell, recompute: bool = False, global_residual: bool = False):
        super().__init__()
        if sharing not in ("cell", "edge"):
            raise ValueError(f"sharing must be 'cell' (Eq. 5) or 'edge' (Eq. 6), not {sharing!r}")
        self.nodes, self.width, self.global_residual = nodes, width, global_residual
        self.alpha = nn.Parameter(torch.zeros(len(edges(nodes)), len(OPERATIONS)))
        self.beta = nn.Parameter(torch.zeros(len(source_rows(layers)), len(MOVES)))
        self.register_buffer("temperature", torch.tensor(1.0), persistent=False)
        self.stem = nn.Sequential(nn.Conv2d(channels, STEM_CHANNELS, 3, padding=1, bias=False),
                                  nn.BatchNorm2d(STEM_CHANNELS, affine=False), nn.ReLU())
        self.widen = nn.Sequential(nn.Conv2d(STEM_CHANNELS, nodes * width, 3, padding=1, bias=False),
                                   nn.BatchNorm2d(nodes * width, affine=False))
        self.layers = nn.ModuleList()
        before, last = [STEM_CHANNELS], [nodes * width]
        for number in range(1, layers + 1):
            self.layers.append(Layer(number, nodes, width, before, last, sharing, cell, recompute))
            before, last = last, [nodes * width * 2 ** level for level in levels(number)]
        self.head = nn.Conv2d(sum(last), channels, 3, padding=1)
        if global_residual:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def architecture_parameters(self) -> list[nn.Parameter]:
        return [self.alpha, self.beta]

    def weights(self) -> list[nn.Parameter]:
        """Every parameter but alpha and beta."""
        return [p for name, p in self.named_parameters() if name not in ("alpha", "beta")]

    def transitions(self) -> list[dict]:
        """For each layer 1 ... L the probabilities {(source level, level): beta} of the transitions into it."""
        return into_layers(move_log_probabilities(self.beta).exp(), len(self.layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        alpha = (self.alpha / self.temperature).softmax(dim=-1)
        before = [self.stem(x)]            # h_{-1}
        last = [self.widen(before[0])]     # h_0
        for layer, beta in zip(self.layers, self.transitions()):
            before, last = last, layer(before, last, alpha, beta)
        y = self.head(F.relu(torch.cat(last, dim=1)))
        return x + y if self.global_residual else y
