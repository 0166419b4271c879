"""One training over two processes (gloo, on the CPU) is that of one process with the same batches.

`torchrun tests/test_parallel.py OUT` trains, and its first process writes the curve and the weights to OUT.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, nn

from irnas_lib.baselines.rescan import RESCAN
from irnas_lib.data import datasets
from irnas_lib.data.datasets import Picture
from irnas_lib.data.patches import Patches
from irnas_lib.experiments import runs
from irnas_lib.files import ROOT
from irnas_lib.genotypes import Genotype
from irnas_lib.network import RestorationNetwork
from irnas_lib.pipeline import profiles, train
from irnas_lib.training import parallel
from irnas_lib.training.loop import train as trained
from irnas_lib.training.recipes import Recipe

GENOTYPE = Genotype([[("conv", "p2"), ("def", "p1")]])
RECIPE = Recipe("SGD", lr=1e-3, schedule="constant", momentum=0.9)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]


def curves() -> dict:
    """The curve and the weights of two networks: with batch norms and a layer that is never called, and one that says
    itself what it learns from. By SGD, for Adam follows the rounding of gradients that are zero."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    pictures = [Picture(f"p{i}", rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)) for i in range(3)]
    patches, found = Patches(pictures, 12, sigmas=(30, 50)), {}
    for name, build in (("IR-NAS", lambda: RestorationNetwork(GENOTYPE, (0, 1), 4, 3)), ("RESCAN", RESCAN)):
        torch.manual_seed(1)
        network = build()
        curve = trained(network, patches, RECIPE, 4, batch=4, seed=1)["curve"]
        weights = torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])
        found[name] = {"curve": torch.tensor(curve), "weights": weights}
    return found


@pytest.mark.parametrize("name", ("IR-NAS", "RESCAN"))
def test_two_processes_train_as_one(name, two):
    alone = curves()[name]
    torch.testing.assert_close(two[name]["curve"], alone["curve"], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(two[name]["weights"], alone["weights"], rtol=1e-3, atol=2e-4)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "found.pt"
    subprocess.run([*TORCHRUN, __file__, str(out)], check=True, cwd=ROOT, capture_output=True, timeout=120)
    return torch.load(out, weights_only=True)


@pytest.fixture
def alone(tmp_path):
    """A group of one process, so that the layers can be looked at here."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_the_synced_batch_norm_is_torchs(alone):
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5), nn.Conv2d(5, 4, 1),
                                  nn.BatchNorm2d(4, affine=False)) for _ in range(2))
    ours.load_state_dict(theirs.state_dict())
    wrapped = parallel.shared(ours)
    assert sum(isinstance(module, parallel.SyncedBatchNorm) for module in ours) == 2
    for seed in range(3):
        x = torch.randn(4, 3, 6, 7, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(wrapped(x), theirs(x), rtol=1e-5, atol=1e-5)
    ours.zero_grad(), theirs.zero_grad()
    wrapped(x).pow(3).sum().backward(), theirs(x).pow(3).sum().backward()
    for one, other in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-3)
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_alone_nothing_is_shared():
    x, module = torch.rand(3, 2), nn.Linear(2, 2)
    assert parallel.rank() == 0 and parallel.shared(module) is module
    assert parallel.part(x) is x and parallel.mean(x) is x


def test_unequal_shares_are_refused(alone, monkeypatch):
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="a batch of 5 cannot be shared by 2 processes"):
        parallel.part(torch.rand(5, 1))


def test_the_command_leaves_the_finished_state_of_the_job(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "run_folder", lambda profile: tmp_path)
    job = next(job for job in profiles.load("smoke") if job.parameters.get("system") == "DnCNN")
    monkeypatch.setattr(profiles, "find", lambda *_: job._replace(parameters=job.parameters | {"iterations": 2}))
    assert train.main(["smoke", job.name]) == 0
    assert capsys.readouterr().out.startswith("trained in ")
    (state,) = (tmp_path / "checkpoints/resume").glob("*.pt")
    state = torch.load(state, weights_only=True)
    assert state["iteration"] == 2 and state["key"]["system"] == "DnCNN"
    assert state["key"]["data_sha256"] == datasets.load("denoising", "embedded").sha256
    monkeypatch.setattr(runs, "find_training", lambda profile, wanted: (
        wanted | {"status": "failed", "seconds": None}, tmp_path))
    assert train.main(["smoke", job.name]) == 1
    assert capsys.readouterr().err.startswith("failed before: ")
    monkeypatch.undo()
    assert train.main(["smoke", "no such job"]) == 1
    assert capsys.readouterr().err.startswith("unknown job 'no such job' in profile smoke; known: ")
    assert train.main(["gpu", "01_datasets"]) == 1
    assert capsys.readouterr().err == "01_datasets is no job of 05_training\n"


def test_the_documented_commands_share_the_batch_of_their_job():
    commands = re.findall(r"torchrun --nproc-per-node (\d+) -m irnas_lib.pipeline.train (\w+) ([\w-]+)",
                          train.__doc__ + (ROOT / "README.md").read_text())
    assert len(commands) == 2
    for processes, profile, name in commands:
        assert profiles.find(profile, name).parameters["batch"] % int(processes) == 0


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    results = curves()
    if distributed.get_rank() == 0:
        torch.save(results, Path(sys.argv[1]))
    distributed.destroy_process_group()
