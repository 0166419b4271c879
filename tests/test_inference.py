"""Networks made ready for inference: the same function, fewer passes."""

import copy

import pytest
import torch
from torch import nn

from irnas_lib.evaluation import inference, systems
from irnas_lib.evaluation.inference import folded, restorer
from irnas_lib.network import RestorationNetwork
from irnas_lib.supernet import Supernet


def trained(network, seed=0):
    """The network as a training would leave it: with statistics, scales, shifts and offsets of all kinds."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.3, 3, generator=generator)
            if module.affine:
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(0, 0.3, generator=generator)
    for name, parameter in network.named_parameters():
        if "offsets" in name:
            parameter.data.normal_(0, 0.05, generator=generator)
    return network.eval()


def networks():
    torch.manual_seed(0)
    for task, channels in (("denoising", 1), ("deraining", 3)):
        architecture = systems.published(task)
        yield task, RestorationNetwork(architecture.genotype, architecture.path, 4, channels)
        yield f"{task} + residual", RestorationNetwork(architecture.genotype, architecture.path, 4, channels, True)
    yield "every operation", RestorationNetwork([[["sep", "p2"], ["skip", "p1"]], [["dil", "p2"], ["def", "n1"]]],
                                                (1, 2), 3, 1)
    yield "DnCNN", systems.build("DnCNN", 1)
    yield "supernet", Supernet(2, 2, 2)


@pytest.mark.parametrize(("name", "network"), list(networks()), ids=[name for name, _ in networks()])
def test_a_folded_network_is_the_same_function(name, network):
    network = trained(network)
    x = torch.rand(2, network.channels if hasattr(network, "channels") else 1, 21, 18)
    before = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(folded(network)(x), expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(network(x), expected), "the network itself is as it was"
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_nothing_is_left_to_normalise_in_the_final_network():
    network = systems.build("IR-NAS", 1, systems.published("denoising"))
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) > 40
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(network).modules())


def test_a_batch_norm_before_its_convolution_stays():
    network = trained(nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 3)))
    assert isinstance(folded(network)[0], nn.BatchNorm2d)


def test_a_restorer_runs_in_evaluation_mode_and_keeps_no_graph():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Dropout(0.5)).train()
    restore = restorer(network, "cpu")
    x = torch.rand(2, 1, 9, 9)
    y = restore(x)
    assert not y.requires_grad and y.dtype == torch.float32
    assert torch.equal(y, restore(x))
    assert network.training and network[1].num_batches_tracked == 0


def test_a_large_picture_goes_through_in_pieces_and_comes_out_the_same(monkeypatch):
    torch.manual_seed(0)
    network = trained(systems.build("DnCNN", 1))  # looks 17 pixels far
    picture = torch.rand(1, 1, 101, 150)
    expected = restorer(network, "cpu")(picture)
    monkeypatch.setattr(inference, "LARGE", 101 * 150 - 1)
    monkeypatch.setattr(inference, "PIECE", 48)
    monkeypatch.setattr(inference, "MARGIN", 17)
    restore = restorer(network, "cpu")
    assert torch.allclose(restore(picture), expected, atol=1e-5)
    monkeypatch.setattr(inference, "MARGIN", 3)  # too little
    assert not torch.allclose(restore(picture), expected, atol=1e-5)


def test_a_piece_bounds_what_a_network_sees(monkeypatch):
    monkeypatch.setattr(inference, "PIECE", 10)
    monkeypatch.setattr(inference, "MARGIN", 3)
    seen = []
    picture = torch.rand(1, 3, 25, 31)
    assert torch.equal(inference.in_pieces(lambda x: seen.append(x.shape[-2:]) or x, picture), picture)
    assert len(seen) == 12 and max(max(shape) for shape in seen) == 16


def reach(network, side=81):
    """How many pixels away a pixel of the input can be and still have an effect on the middle one of the output."""
    x = torch.ones(1, 1, side, side, requires_grad=True)
    with torch.no_grad():
        for parameter in network.eval().parameters():
            parameter.abs_()  # so that no ReLU hides a path
    (gradient,) = torch.autograd.grad(network(x)[0, 0, side // 2, side // 2], x)
    return (gradient[0, 0].nonzero() - side // 2).abs().max().item()


def test_the_margin_of_a_piece_is_wider_than_what_its_networks_see():
    ours = systems.published("denoising")._replace(width=2)
    seen = [reach(network) for network in (systems.build("IR-NAS", 1, ours), systems.build("DnCNN", 1),
                                           systems.BASELINES["RED"](1, width=2))]
    # stem 2, four cells of 3 (def counts 1 while its offsets are zero), pyramid 6, decoder 2; 17 and 30 convolutions
    assert seen == [2 + 4 * 3 + 6 + 2, 17, 30]
    assert max(seen) < inference.MARGIN < inference.PIECE


def test_pictures_for_a_look_are_spread_evenly():
    assert inference.spread(range(200), 10) == range(0, 200, 20)
    assert inference.spread(range(3), 10) == range(3) and inference.spread(range(3), 0) == range(0)


def test_a_restorer_neither_clips_what_it_is_given_nor_what_it_gives():
    x = 3 * torch.randn(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(inference.restorer(torch.nn.Identity(), "cpu")(x), x)
