"""Single cells with the weights of a supernet: what is lost where a mixture becomes a cell, and a ranking of cells.

Nothing is trained for it. A cell is the supernet whose every kept edge has one operation and whose every other edge has
`none`; its widths stay mixed as the search left them. Batch norms take their statistics anew for each cell, for those
of the mixture are of other inputs.
"""

import copy
from collections.abc import Sequence

import torch

from irnas_lib.data.datasets import Picture
from irnas_lib.data.patches import Patches
from irnas_lib.genotypes import Genotype
from irnas_lib.search_space import OPERATIONS, edges, states
from irnas_lib.supernet import Supernet
from irnas_lib.training.search import DROPPED, WEIGHTS_STREAM, SearchSettings, validate

CALIBRATION = 8  # batches from which the statistics are taken


def only(cell: Genotype) -> torch.Tensor:
    """Logits alpha, (edges, 6), under which a cell's edges have their operation alone, and all others `none`."""
    alpha = torch.full((len(edges(len(cell))), len(OPERATIONS)), DROPPED)
    alpha[:, -1] = 0.0
    rows = {edge: row for row, edge in enumerate(edges(len(cell)))}
    for node, pair in zip(states(len(cell))[2:], cell):
        for operation, source in pair:
            alpha[rows[source, node], -1] = DROPPED
            alpha[rows[source, node], OPERATIONS.index(operation)] = 0.0
    return alpha


@torch.no_grad()
def calibrate(supernet: Supernet, patches: Patches, settings: SearchSettings) -> None:
    """Sets each batch norm's statistics to their mean over CALIBRATION batches."""
    norms = {module: module.momentum for module in supernet.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    supernet.train()
    for i in range(CALIBRATION):
        for norm in norms:
            norm.momentum = 1 / (i + 1)
        supernet(patches.batch(settings.batch, settings.seed, WEIGHTS_STREAM, i)[0])
    for norm, momentum in norms.items():
        norm.momentum = momentum


def inherited(supernet: Supernet, cells: Sequence[Genotype | None], patches: Patches, pictures: Sequence[Picture],
              settings: SearchSettings) -> list[float]:
    """PSNR in dB of each cell on `pictures`, with the supernet's weights and statistics of `patches`; None stands for
    the mixture as it is. The supernet is left as it was."""
    found = []
    for cell in cells:
        network = copy.deepcopy(supernet)
        if cell is not None:
            with torch.no_grad():
                network.alpha.copy_(only(cell))
            network.temperature.fill_(1.0)
        calibrate(network, patches, settings)
        found.append(validate(network, pictures, settings, patches.device)[0])
    return found
