"""Training: the same bytes for the same seed, and after any interruption.

`python tests/test_training.py STATE` trains until it is stopped from outside, saving after every step or, with
`held`, only when it is interrupted.
"""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from irnas_lib.data.datasets import Picture
from irnas_lib.data.patches import Patches
from irnas_lib.evaluation import systems
from irnas_lib.genotypes import Genotype
from irnas_lib.losses import log_error
from irnas_lib.network import RestorationNetwork
from irnas_lib.training import checkpoints, loop, steps
from irnas_lib.training.checkpoints import CheckpointError
from irnas_lib.training.loop import Diverged, train
from irnas_lib.training.recipes import Recipe, recipe

PICTURES = [Picture(f"p{i}", np.random.default_rng(i).integers(0, 256, (24, 30, 1), dtype=np.uint8)) for i in range(3)]
GENOTYPE = Genotype([[("conv", "p2"), ("def", "p1")]])
ITERATIONS, KEY = 8, {"seed": 1}


def network():
    torch.manual_seed(1)
    return RestorationNetwork(GENOTYPE, (0, 1), 2, 1)


def run(state_file=None, iterations=ITERATIONS, name="matched", key=KEY, net=None):
    """Trains; the network and what train returned."""
    net = net or network()
    patches = Patches(PICTURES, 12, sigmas=(30, 50))
    return net, train(net, patches, recipe(name), iterations, batch=2, seed=1, state_file=state_file, key=key)


def bits(net):
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As in the processes below: sums may differ in their last bits between numbers of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def uninterrupted():
    net, found = run()
    return bits(net), found["curve"]


def test_the_same_seed_gives_the_same_bytes(uninterrupted):
    net, found = run()
    assert (bits(net), found["curve"]) == uninterrupted
    assert [point[0] for point in found["curve"]] == list(range(1, ITERATIONS + 1))
    assert found["seconds"] > 0


def test_it_is_the_plain_loop_of_any_textbook():
    nets = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    optimizer = torch.optim.Adam(nets[0].parameters(), lr=0.05)
    patches = Patches(PICTURES, 12, sigmas=(30, 50))
    for iteration in range(5):
        degraded, clean = patches.batch(2, 1, loop.TRAINING_STREAM, iteration)
        optimizer.zero_grad()
        loop.restoration_loss(nets[0](degraded), clean, 0.5).backward()
        optimizer.step()
    run(iterations=5, name="paper", net=nets[1])
    for a, b in zip(*(net.parameters() for net in nets)):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", (1, 5, ITERATIONS - 1))
def test_a_failed_run_goes_on_where_it_saved(tmp_path, monkeypatch, uninterrupted, after):
    file, usual = tmp_path / "run.pt", loop.save_state

    def save_and_fail(path, state):
        usual(path, state)
        if state["iteration"] == after:
            raise Stop
    monkeypatch.setattr(steps, "SAVE_SECONDS", -1)
    monkeypatch.setattr(loop, "save_state", save_and_fail)
    with pytest.raises(Stop):
        run(file)
    monkeypatch.undo()
    torch.manual_seed(7)
    fresh = RestorationNetwork(GENOTYPE, (0, 1), 2, 1)  # other weights: all must come from the state
    net, found = run(file, net=fresh)
    assert (bits(net), found["curve"]) == uninterrupted


def test_a_finished_run_is_loaded_and_not_repeated(tmp_path, monkeypatch, uninterrupted):
    run(tmp_path / "run.pt")
    monkeypatch.setattr(Patches, "batch", lambda *_: pytest.fail("trained again"))
    net, found = run(tmp_path / "run.pt")
    assert (bits(net), found["curve"]) == uninterrupted


def test_a_state_of_another_run_is_not_overwritten(tmp_path):
    run(tmp_path / "run.pt", iterations=2, key={"seed": 2})
    kept = (tmp_path / "run.pt").read_bytes()
    with pytest.raises(CheckpointError, match="other parameters"):
        run(tmp_path / "run.pt")
    assert (tmp_path / "run.pt").read_bytes() == kept


class Explodes(nn.Module):
    """Multiplies its input by one factor a step, the last one from then on."""

    def __init__(self, *factors):
        super().__init__()
        self.scale, self.factors = nn.Parameter(torch.ones(1)), list(factors)

    def forward(self, x):
        return x * self.scale * (self.factors.pop(0) if self.factors[1:] else self.factors[0])


def test_a_loss_that_is_not_finite_ends_the_run():
    with pytest.raises(Diverged, match="the loss is nan after 1 iterations"):
        run(net=Explodes(math.nan))


def test_a_loss_that_has_blown_up_ends_the_run_and_its_curve_is_kept():
    with pytest.raises(Diverged, match=r"the loss is [\d.e+]+ after 3 iterations") as stopped:
        run(net=Explodes(1.0, 1.0, 1000.0))
    (_, first, _), (_, second, _), (iteration, last, _) = stopped.value.curve
    assert iteration == 3 and last > loop.BLOWN_UP * first > second
    run(net=Explodes(1.0, 1.5))  # a worse loss alone ends nothing
    with pytest.raises(Diverged, match="after 3 iterations"):  # the first batch counts where every third is logged
        run(net=Explodes(1.0, 1000.0), iterations=3 * loop.LOG_POINTS)


def test_lambda_comes_from_the_recipe_unless_it_is_given(monkeypatch):
    seen = []

    def loss(x, y, weight, padded, log):
        seen.append(weight)
        return (x - y).square().mean()
    monkeypatch.setattr(loop, "restoration_loss", loss)
    patches, net = Patches(PICTURES, 12), nn.Conv2d(1, 1, 1)
    train(net, patches, recipe("authors"), 1, 2, 0)
    train(net, patches, recipe("authors"), 1, 2, 0, loss_lambda=0)
    assert seen == [0.6, 0]


def test_training_learns_something():
    net = nn.Conv2d(1, 1, 5, padding=2)
    grey = [Picture("grey", np.full((24, 24, 1), 128, np.uint8))]
    found = train(net, Patches(grey, 12), Recipe("Adam", lr=0.01, schedule="constant"), 120, 4, 0, loss_lambda=0)
    assert np.mean([psnr for *_, psnr in found["curve"][-10:]]) > found["curve"][0][2] + 5


# ---- what a recipe changes on the way ----

PLAIN = Recipe("Adam", lr=0.01, schedule="constant", loss_lambda=0.0)


def normed():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))


def trained(net, recipe, iterations=10, **options):
    return net, train(net, Patches(PICTURES, 12), recipe, iterations, 2, 0, **options)


def test_a_recipe_of_log_errors_learns_from_them():
    _, found = trained(normed(), replace(PLAIN, log_error=True), iterations=1)
    (degraded, clean), untrained = Patches(PICTURES, 12).batch(2, 0, loop.TRAINING_STREAM, 0), normed()
    assert found["curve"][0][1] == pytest.approx(log_error(untrained(degraded), clean).item(), rel=1e-5)


def test_lambda_falls_to_nothing_where_the_recipe_says(monkeypatch):
    weights = []

    def loss(x, y, weight, padded, log):
        weights.append(weight)
        return (x - y).square().mean()
    monkeypatch.setattr(loop, "restoration_loss", loss)
    trained(nn.Conv2d(1, 1, 1), replace(PLAIN, loss_lambda=0.5, lambda_until=0.7))
    assert weights == [0.5] * 7 + [0.0] * 3


def test_statistics_are_frozen_where_the_recipe_says():
    seen = [trained(normed(), replace(PLAIN, frozen_from=share), 10)[0][1].num_batches_tracked.item()
            for share in (1.0, 0.8, 0.0)]
    assert seen == [10, 8, 0]


@pytest.mark.parametrize("system", ("IR-NAS + residual", "DnCNN", "RED", "MemNet", "NLRN"))
def test_a_network_that_adds_its_input_starts_as_the_identity(system):
    torch.manual_seed(0)
    net, x = systems.build(system, 1, systems.published("denoising")), torch.rand(2, 1, 16, 16)
    assert (net(x) - x).abs().max() > 0.01
    loop.start_as_identity(net)
    torch.testing.assert_close(net(x), x)


def test_only_a_recipe_that_says_so_starts_as_the_identity():
    starts = [trained(normed(), replace(PLAIN, identity=identity, lr=0.0), 1)[0][-1].weight
              for identity in (False, True)]
    assert (starts[0] != 0).any() and (starts[1] == 0).all()


def test_the_averaged_weights_are_the_moving_average_of_every_step():
    """Written out: w <- 0.9 w + 0.1 of the new weights, the first taken whole."""
    nets = [trained(normed(), PLAIN, iterations)[0] for iterations in range(1, 6)]
    expected = nets[0][0].weight.detach().clone()
    for net in nets[1:]:
        expected = 0.9 * expected + 0.1 * net[0].weight.detach()
    found, _ = trained(normed(), replace(PLAIN, average=0.9), 5)
    torch.testing.assert_close(found[0].weight.detach(), expected)


def test_each_gradient_is_clipped_to_its_own_norm():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1))
    degraded, clean = torch.rand(2, 2, 1, 12, 12)
    loop.step(loop.Objective(net, 0.0), torch.optim.SGD(net.parameters(), 0.0), 100 * degraded, clean, clip=2.5)
    norms = [parameter.grad.norm().item() for parameter in net.parameters()]
    assert max(norms) == pytest.approx(2.5, rel=1e-4) and all(norm < 2.5001 for norm in norms)


def test_a_validation_is_asked_for_twenty_times_in_evaluation_of_the_averaged_weights():
    asked = []
    _, found = trained(normed(), replace(PLAIN, average=0.9), 40, validate=lambda net: asked.append(net) or len(asked))
    assert found["validation"] == [[2 * i, i] for i in range(1, 21)]
    assert trained(normed(), PLAIN)[1]["validation"] == []


@pytest.mark.parametrize("after", (3, 8))
def test_every_part_of_a_recipe_is_resumed_exactly(tmp_path, monkeypatch, after):
    everything = replace(recipe("best"), average=0.9, clip=1.0, warmup=0)
    options = dict(validate=lambda net: float(net[0].weight.detach().sum()))
    net, whole = trained(normed(), everything, **options)
    usual = loop.save_state

    def save_and_fail(path, state):
        usual(path, state)
        if state["iteration"] == after:
            raise Stop
    monkeypatch.setattr(steps, "SAVE_SECONDS", -1)
    monkeypatch.setattr(loop, "save_state", save_and_fail)
    with pytest.raises(Stop):
        trained(normed(), everything, state_file=tmp_path / "run.pt", key=KEY, **options)
    monkeypatch.undo()
    again, found = trained(nn.Sequential(*normed()), everything, state_file=tmp_path / "run.pt", key=KEY, **options)
    assert bits(again) == bits(net)
    assert (found["curve"], found["validation"]) == (whole["curve"], whole["validation"])


def test_a_state_from_before_validation_and_averages_goes_on(tmp_path, uninterrupted):
    run(tmp_path / "run.pt", iterations=ITERATIONS)
    state = checkpoints.load_state(tmp_path / "run.pt", KEY)
    checkpoints.save_state(tmp_path / "run.pt", {name: value for name, value in state.items()
                                                 if name not in ("validation", "average", "devices")})
    net, found = run(tmp_path / "run.pt")
    assert (bits(net), found["curve"], found["validation"]) == (*uninterrupted, [])


# ---- stopped from outside ----

MANY = 3000  # more steps than a test waits for


def started(file, *options):
    """A training in a process of its own that has made at least one step."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([sys.executable, __file__, str(file), *options], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "stepping\n", process.stderr.read()
    return process


def assert_resumes_exactly(file, monkeypatch):
    """Two more steps after the state in `file` equal the same number of steps without an interruption."""
    at = checkpoints.load_state(file, KEY)["iteration"]
    assert 0 < at < MANY
    ends = []
    for state_file in (file, None):
        net = network()
        with monkeypatch.context() as patch, pytest.raises(Stop):
            stop_after(patch, at + 2)
            run(state_file, MANY, net=net)
        ends.append(bits(net))
    assert ends[0] == ends[1]


def stop_after(patch, iterations):
    usual = loop.set_learning_rate

    def rate(optimizer, lr):
        if lr == loop.learning_rate(recipe("matched"), iterations, MANY):
            raise Stop
        usual(optimizer, lr)
    patch.setattr(loop, "set_learning_rate", rate)


@pytest.mark.parametrize("wait", (0.0, 0.35))
def test_a_killed_run_goes_on_exactly(tmp_path, monkeypatch, wait):
    process = started(tmp_path / "run.pt")
    time.sleep(wait)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert_resumes_exactly(tmp_path / "run.pt", monkeypatch)


def test_ctrl_c_saves_and_loses_nothing(tmp_path, monkeypatch):
    process = started(tmp_path / "run.pt", "held")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode != 0
    last_line = errors.strip().splitlines()[-1]
    at = checkpoints.load_state(tmp_path / "run.pt", KEY)["iteration"]
    assert last_line == f"KeyboardInterrupt: stopped after {at} steps; run again to go on"
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
    assert_resumes_exactly(tmp_path / "run.pt", monkeypatch)


def main(file, held=""):
    steps.SAVE_SECONDS = 60 if held else -1
    usual = Patches.batch

    def batch(self, size, *seed):
        if seed[-1] == 2:
            print("stepping")
        return usual(self, size, *seed)
    Patches.batch = batch
    run(Path(file), MANY)


def test_the_learning_rate_decays_over_the_schedule_where_the_run_stops_before_its_end(monkeypatch):
    rates = []
    monkeypatch.setattr(loop, "set_learning_rate", lambda _, lr: rates.append(lr))
    patches = Patches([Picture("p", np.zeros((12, 12, 1), np.uint8))], 12)
    recipe = Recipe("SGD", lr=1.0, schedule="polynomial")
    for schedule, length in ((8, 8), (0, 4)):
        rates.clear()
        loop.train(torch.nn.Conv2d(1, 1, 1), patches, recipe, 4, 1, 0, loss_lambda=0, schedule=schedule)
        assert rates == pytest.approx([(1 - i / length) ** 0.9 for i in range(4)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])


class Staged(nn.Module):
    """Two estimates, of which both count."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))

    def training_loss(self, degraded, clean, error):
        estimates = [self.gain * degraded, self.gain * degraded / 2]
        return error(estimates[0]) + 2 * error(estimates[1]), estimates[1]


def test_a_network_may_say_itself_what_it_learns_from():
    degraded, clean = torch.rand(2, 2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    network = Staged()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    loss, quality = loop.step(loop.Objective(network, 0.5), optimizer, degraded, clean)
    expected = (loop.restoration_loss(degraded, clean, 0.5)
                + 2 * loop.restoration_loss(degraded / 2, clean, 0.5))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert quality.item() == pytest.approx(loop.psnr(degraded / 2, clean).mean().item(), abs=1e-5)
    assert network.gain.item() != 1


def test_in_bf16_the_loss_stays_in_float32():
    degraded, clean = torch.rand(2, 2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    for network in (nn.Identity(), Staged()):
        losses = [loop.Objective(network, 0.5, bf16)(degraded, clean)[0].item() for bf16 in (False, True)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-6), network
