"""Single cells with a supernet's weights: against a plain supercell's operations, and means taken by hand."""

import random

import numpy as np
import pytest
import torch
from test_search import PICTURES, SETTINGS

from irnas_lib.data.patches import Patches
from irnas_lib.decode import derive_cell
from irnas_lib.experiments import cells, edits, one_shot
from irnas_lib.search_space import OPERATIONS, states
from irnas_lib.supercell import Supercell, to_plain
from irnas_lib.supernet import Supernet
from irnas_lib.training.search import WEIGHTS_STREAM

NODES = 3
CELL = cells.random_cell(NODES, random.Random(5))


@pytest.fixture
def supernet():
    torch.manual_seed(0)
    net = Supernet(2, NODES, 2, 1)
    with torch.no_grad():
        net.alpha.normal_()
    return net


@pytest.fixture
def patches():
    return Patches(PICTURES, SETTINGS.crop, SETTINGS.sigmas)


def test_a_cell_alone_is_its_own_operations():
    alpha = one_shot.only(CELL)
    assert edits.canonical(derive_cell(alpha)) == edits.canonical(CELL)
    torch.manual_seed(1)
    cell = Supercell(NODES, 4).train()
    p2, p1 = torch.randn(2, 2, 4, 8, 8)
    plain, x = to_plain(cell), {"p2": p2, "p1": p1}
    for node, pair in zip(states(NODES)[2:], CELL):
        x[node] = sum(plain.edges[f"{source}_{node}"][OPERATIONS.index(operation)](x[source])
                      for operation, source in pair)
    expected = torch.cat([x[node] for node in states(NODES)[2:]], dim=1)
    torch.testing.assert_close(cell(p2, p1, alpha.softmax(dim=1)), expected, rtol=1e-4, atol=1e-4)


def test_statistics_are_the_means_over_the_batches(supernet, patches):
    one_shot.calibrate(supernet, patches, SETTINGS)
    batches = [patches.batch(SETTINGS.batch, SETTINGS.seed, WEIGHTS_STREAM, i)[0] for i in range(one_shot.CALIBRATION)]
    stems = [supernet.stem[0](degraded) for degraded in batches]
    mean, variance = (torch.stack([f(x, dim=(0, 2, 3)) for x in stems]).mean(0) for f in (torch.mean, torch.var))
    torch.testing.assert_close(supernet.stem[1].running_mean, mean)
    torch.testing.assert_close(supernet.stem[1].running_var, variance)


def test_cells_are_scored_one_by_one_and_leave_the_supernet_as_it_was(supernet, patches):
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    supernet.temperature.fill_(0.5)
    found = one_shot.inherited(supernet, [None, CELL, None], patches, PICTURES[:1], SETTINGS)
    assert found[0] == found[2] != found[1] and np.isfinite(found).all()
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    assert supernet.temperature == 0.5
    with torch.no_grad():
        supernet.alpha.copy_(one_shot.only(CELL))
    assert one_shot.inherited(supernet, [None], patches, PICTURES[:1], SETTINGS) == found[1:2]
