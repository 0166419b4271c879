"""Weights in half precision: only where the PSNR stays, and loaded as before."""

import signal

import pytest
import torch

from irnas_lib.data import datasets
from irnas_lib.evaluation import protocols, systems
from irnas_lib.evaluation.inference import restorer
from irnas_lib.experiments import manifest, results, runs
from irnas_lib.pipeline import halve
from irnas_lib.training import checkpoints


@pytest.fixture
def shipped(tmp_path):
    """(result, folder, network) of a DnCNN whose weights lie in float32."""
    torch.manual_seed(0)
    network = systems.build("DnCNN", 1).eval()
    file = "weights/dncnn.safetensors"
    digest = checkpoints.save_weights(tmp_path / file, network)
    result = results.Result(**{"task": "denoising", "dataset": "embedded", "system": "DnCNN", "sigma": 50, "seed": 0,
              "recipe": "matched", "loss": "mse", "loss_lambda": 0, "iterations": 1, "batch": 1, "profile": "smoke",
              "genotype": None, "path": None, "width": None,
              "metrics": {"strict": {"psnr": 14.0, "ssim": 0.2, "pictures": 1}}, "parameters": 1, "macs_per_pixel": 1,
              "seconds": 1.0, "device": "CPU", "versions": {}, "commit": None, "data_sha256": "0" * 64,
              "weights": {"file": file, "sha256": digest}, "status": "ok"})
    results.save(result, tmp_path / "results")
    return result, tmp_path, network


def test_rounded_weights_take_half_the_bytes_and_load_as_before(shipped):
    result, folder, network = shipped
    path = folder / result.weights["file"]
    size = path.stat().st_size
    line = halve.halve(result, folder, None, 1)
    assert "in half precision" in line and "stays" not in line
    assert path.stat().st_size < 0.55 * size
    (kept,) = results.load(folder / "results")
    again = systems.build("DnCNN", 1).eval()
    runs.load_network(again, kept, folder)  # checks the new hash
    for name, tensor in again.state_dict().items():
        assert tensor.dtype == network.state_dict()[name].dtype
        rounding = 1e-3 if tensor.dim() > 1 else 0  # batch norms and biases are exact
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=rounding, atol=1e-7 * (tensor.dim() > 1))
    pictures = datasets.load("denoising", "embedded").test[:1]
    before, after = (protocols.evaluate(restorer(each, "cpu"), pictures, "strict", 50).psnr
                     for each in (network, again))
    assert abs(before - after) < halve.LIMIT
    assert halve.halve(kept, folder, None, 1) == "dncnn: is in half precision"


def test_weights_that_16_bits_cannot_hold_stay(shipped):
    result, folder, network = shipped
    with torch.no_grad():
        next(network.parameters()).mul_(1e9)  # 65504 is the largest number
    result.weights["sha256"] = checkpoints.save_weights(folder / result.weights["file"], network)
    assert halve.halve(result, folder, None, 1).endswith("stays as it is")
    checkpoints.load_weights(folder / result.weights["file"], systems.build("DnCNN", 1), result.weights["sha256"])


def test_ctrl_c_amid_the_writing_leaves_it_whole(shipped, monkeypatch):
    result, folder, _ = shipped
    save = halve.save_weights

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return save(*arguments)
    monkeypatch.setattr(halve, "save_weights", interrupted)
    with pytest.raises(KeyboardInterrupt):
        halve.halve(result, folder, None, 1)
    manifest.check(folder)
    (kept,) = results.load(folder / "results")
    runs.load_network(systems.build("DnCNN", 1), kept, folder)


def test_the_command_takes_names_and_refuses_unknown_ones(shipped, monkeypatch, capsys):
    result, folder, _ = shipped
    name = result.stem
    with manifest.change(folder):
        pass
    monkeypatch.setattr(runs, "SHIPPED", folder)
    assert halve.main(["another", "--pictures", "1"]) == 1
    assert capsys.readouterr().err == "no shipped weights of another\n"
    assert halve.main([name, "--pictures", "1"]) == 0
    assert "in half precision" in capsys.readouterr().out
    manifest.check(folder)  # written again, with the new hashes


@pytest.mark.parametrize(("change", "stays"), ((-0.004, False), (0.004, False), (-0.006, True), (0.006, True)))
def test_weights_stay_where_rounding_moves_the_psnr_by_more_than_five_thousandths(shipped, monkeypatch, change, stays):
    result, folder, _ = shipped
    scores = iter((25.0, 25.0 + change))
    monkeypatch.setattr(halve.protocols, "evaluate", lambda *_: protocols.Score(next(scores), 0.7, 1))
    before = (folder / result.weights["file"]).read_bytes()
    assert halve.halve(result, folder, None, 1).endswith("stays as it is") == stays
    assert ((folder / result.weights["file"]).read_bytes() == before) == stays
