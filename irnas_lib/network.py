"""The final network: compact cells at the widths that were found, an ASPP, a decoder (Figure 2, right).

The paper names the ASPP and shows no decoder; both follow the authors' program, with which the printed 0.63M
parameters come out: 661,693 for the denoising network, 0.631 x 2^20.
"""

import torch
from torch import nn
from torch.nn import functional as F

from irnas_lib.genotypes import Genotype, check_path
from irnas_lib.operations import Depthwise, Pointwise, build, conv_unit

STEM, ASPP, LOW_LEVEL = 64, 128, 48  # channels


def conv_bn(inputs: int, outputs: int, affine: bool = True) -> nn.Sequential:
    """3x3 convolution without bias, batch norm: the order of stem, ASPP and decoder."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs, affine=affine))


def pointwise(inputs: int, outputs: int) -> nn.Sequential:
    """1x1 convolution, batch norm, ReLU."""
    return nn.Sequential(nn.Sequential(Pointwise(inputs, outputs), nn.BatchNorm2d(outputs)), nn.ReLU(inplace=True))


def depthwise_pointwise(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3, batch norm, ReLU, then 1x1, batch norm, ReLU."""
    return nn.Sequential(nn.Sequential(Depthwise(inputs, dilation), nn.BatchNorm2d(inputs)), nn.ReLU(inplace=True),
                         pointwise(inputs, outputs))


class Cell(nn.Module):
    """A compact cell (Figure 1, right): every node sums its two edges; the output concatenates all nodes.

    forward(h_{l-2}, h_{l-1}), of `before` and `last` channels; returns (B, N C, H, W), not rectified.
    """

    def __init__(self, genotype: Genotype, before: int, last: int, channels: int):
        super().__init__()
        self.genotype = genotype
        self.p2 = conv_unit(before, channels, 1, affine=True)
        self.p1 = conv_unit(last, channels, 1, affine=True)
        self.edges = nn.ModuleList(build(edge.operation, channels, affine=True)
                                   for node in genotype for edge in node)

    def forward(self, before: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        x = {"p2": self.p2(before), "p1": self.p1(last)}
        operations = iter(self.edges)
        for i, node in enumerate(self.genotype, 1):
            x[f"n{i}"] = sum(next(operations)(x[edge.source]) for edge in node)
        return torch.cat([x[f"n{i}"] for i in range(1, len(self.genotype) + 1)], dim=1)


class AtrousPyramid(nn.Module):
    """ASPP: depthwise-separable convolutions of dilation 2, 4, 6 and a 1x1 beside each other, fused by a 1x1."""

    def __init__(self, inputs: int):
        super().__init__()
        self.branches = nn.ModuleList([*(depthwise_pointwise(inputs, ASPP, dilation) for dilation in (2, 4, 6)),
                                       pointwise(inputs, ASPP)])
        self.fuse = pointwise(4 * ASPP, ASPP)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fuse(torch.cat([branch(x) for branch in self.branches], dim=1))


class RestorationNetwork(nn.Module):
    """The network that a genotype, a path of levels and a basic width describe.

    genotype: the cell, used in every layer; path: levels of cells 1 ... L; width: W, a cell at level q has
    W 2^q channels a node; channels: of the picture (1 grey, 3 RGB). global_residual adds the input to the output,
    which the paper's network does not do (see the ablation notebook).
    forward: (B, channels, H, W) in [0, 1] -> the clean estimate, same shape, not clipped.
    Raises GenotypeError for a genotype or path outside the search space.
    """

    def __init__(self, genotype: Genotype, path: tuple[int, ...], width: int, channels: int,
                 global_residual: bool = False):
        super().__init__()
        self.genotype, self.path = Genotype(genotype), check_path(path)
        self.width, self.channels, self.global_residual = width, channels, global_residual
        outputs = [width * 2 ** level * len(self.genotype) for level in self.path]
        narrow = width * len(self.genotype)
        self.stem = nn.Sequential(conv_bn(channels, STEM), nn.ReLU(inplace=True))
        self.stem2 = conv_bn(STEM, STEM)
        self.cells = nn.ModuleList(
            Cell(self.genotype, before, last, width * 2 ** level)
            for before, last, level in zip([STEM, STEM, *outputs], [STEM, *outputs], self.path))
        # Used only by paths without a level 0, but registered always: the printed 0.63M counts it.
        self.reduce = conv_bn(STEM, narrow, affine=False)
        self.aspp = AtrousPyramid(outputs[-1])
        self.low_level = pointwise(narrow, LOW_LEVEL)
        self.decoder = nn.Sequential(depthwise_pointwise(LOW_LEVEL + ASPP, ASPP), depthwise_pointwise(ASPP, ASPP),
                                     Pointwise(ASPP, channels, bias=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.stem(x)         # h_{-1}
        last = self.stem2(before)     # h_0
        detail = None if 0 in self.path else self.reduce(last)
        for cell, level in zip(self.cells, self.path):
            before, last = last, cell(before, last)
            if level == 0:
                detail = last  # the last narrowest cell feeds the decoder
        deepest = F.relu(last)
        if self.path[-1] == 0:
            detail = deepest
        y = self.decoder(torch.cat([self.low_level(detail), self.aspp(deepest)], dim=1))
        return x + y if self.global_residual else y


def grey_weights(network: RestorationNetwork) -> dict[str, torch.Tensor]:
    """The weights of a colour network for a grey one of the same architecture, which then returns the mean over the
    channels of what the colour network makes of a picture of three equal channels."""
    weights = dict(network.state_dict())
    first, last = "stem.0.0.weight", "decoder.2"
    weights[first] = weights[first].sum(dim=1, keepdim=True)
    return weights | {f"{last}.{name}": weights[f"{last}.{name}"].mean(dim=0, keepdim=True)
                      for name in ("weight", "bias")}
