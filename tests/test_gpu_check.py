"""What the check of a GPU counts, and its whole way on a CPU."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from irnas_lib.benchmarks import bench, gpu_check
from irnas_lib.genotypes import DENOISING
from irnas_lib.kernels import dilated
from irnas_lib.network import RestorationNetwork
from irnas_lib.training import loop, recipes


def counted(run):
    with gpu_check.Traffic() as traffic:
        run()
    return traffic.bytes


def test_each_tensor_of_an_operation_counts_once_and_views_for_nothing():
    x, y = torch.rand(2, 10, 5), torch.rand(2, 10, 5)  # 100 numbers each
    assert counted(lambda: x.relu()) == 800
    assert counted(lambda: x + y) == 1200
    assert counted(lambda: x.bfloat16()) == 400 + 200
    assert counted(lambda: x.transpose(0, 1)[3:].unsqueeze(0).detach()) == 0
    assert counted(lambda: torch.empty(7)) == 0
    assert counted(lambda: torch.rand(1).expand(100) + x.flatten()) == 4 + (4 + 400 + 400)  # a draw, then the sum


def test_forward_and_backward_of_a_convolution_move_what_they_must():
    x, weight = (torch.rand(shape).requires_grad_() for shape in ((2, 3, 8, 8), (5, 3, 3, 3)))
    a, b, w = 4 * x.numel(), 4 * 2 * 5 * 8 * 8, 4 * weight.numel()
    above = torch.rand(2, 5, 8, 8)
    assert counted(lambda: F.conv2d(x, weight, padding=1)) == a + w + b
    out = F.conv2d(x, weight, padding=1)
    assert counted(lambda: torch.autograd.grad(out, (x, weight), above)) == b + a + w + a + w


def test_more_crops_move_what_a_step_of_so_many_moves():
    network = nn.Sequential(nn.Conv2d(1, 96, 3, padding=1), nn.BatchNorm2d(96), nn.ReLU(),
                            nn.Conv2d(96, 1, 3, padding=1))
    optimizer = recipes.make_optimizer(recipes.recipe("matched"), network.parameters(), "cpu")
    crops = torch.rand(2, 5, 1, 16, 16)
    expected = counted(lambda: loop.step(loop.Objective(network, 0.5), optimizer, *crops))
    assert gpu_check.step_bytes(network, 5, 16) == expected
    features = 5 * 4 * 96 * 16 ** 2
    # Forward: written by conv, twice by norm and relu, read by conv; backward: conv 1 or 2, relu 3, norm 3, conv 1.
    assert 14 * features < expected < 18 * features


@pytest.mark.parametrize("system", ["DnCNN", "IR-NAS"])
def test_operations_of_a_step_are_those_of_pytorchs_counter(system):
    """Three passes of the forward one; its counter does not know the deformable convolutions' products."""
    network = bench.network_of(system).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.rand(2, 1, 16, 16))
    deformable = sum(m.weight.numel() for m in network.modules() if hasattr(m, "offsets"))
    expected = 3 * (counter.get_total_flops() + 2 * deformable * 2 * 16 ** 2)
    assert bench.step_operations(network, 2, 16) == expected


def test_conv_stands_for_dil_and_nothing_else_changes():
    network = RestorationNetwork(DENOISING, (0, 1), 4, 1)
    other = gpu_check.without_dil(network)
    was, now = ([edge for node in net.genotype for edge in node] for net in (network, other))
    assert "dil" in {edge.operation for edge in was} and "dil" not in {edge.operation for edge in now}
    assert [edge.source for edge in was] == [edge.source for edge in now]
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in other.parameters())
    assert (other.path, other.width, other.channels) == ((0, 1), 4, 1)


def test_without_a_card_it_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 0
    assert capsys.readouterr() == (
        "no GPU with CUDA is here, so there is nothing to check (--device cpu --quick tries the way)\n", "")


def test_the_whole_way_on_a_cpu(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_check.main(["--device", "cpu", "--quick"]) == 0
    output = capsys.readouterr().out
    assert "all is right" in output and "WRONG" not in output and "not run" not in output
    for precision in gpu_check.PRECISIONS:
        rows = output.partition(f"\n{precision}: limits")[2].partition("fastest in")[0].splitlines()[1:]
        assert len(rows) == 4 + 3 + 2, rows
        for row in rows:
            steps, *shares = row.split()[-3:]
            assert float(steps) > 0 and all(float(share.removesuffix("%")) > 0 for share in shares)
    assert {"cpu": dilated.Forms(), "cuda": dilated.Forms()} == dilated.FORMS


def test_what_is_wrong_is_said_and_what_is_late_is_not_run(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpu_check, "MINUTES", 0)
    monkeypatch.setitem(dilated.BY_NAME, "taps", lambda *given: 1.001 * dilated.library(*given))
    assert gpu_check.main(["--device", "cpu", "--quick"]) == 1
    output = capsys.readouterr().out
    wrong = [line.split("  ")[0] for line in output.splitlines() if line.endswith("WRONG")]
    assert wrong == ["dil, taps", "ASPP, taps"]
    assert "NOT all is right" in output
    assert output.count("not run") == 10 + 2 * 9 + 2 and "fastest" not in output
