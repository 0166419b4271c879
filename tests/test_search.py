"""The search: its schedule against a re-computation, exact resumption, what it returns.

`python tests/test_search.py STATE` searches until it is stopped from outside, saving after every step.
"""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from test_protocols import GREY

from irnas_lib.data.datasets import Picture
from irnas_lib.data.patches import Patches
from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.tasks import TASKS
from irnas_lib.decode import derive_cell, relative_path, viterbi_path
from irnas_lib.evaluation.protocols import add_noise
from irnas_lib.losses import restoration_loss
from irnas_lib.metrics import psnr, ssim
from irnas_lib.supernet import Supernet
from irnas_lib.training import checkpoints, search, steps
from irnas_lib.training.checkpoints import CheckpointError
from irnas_lib.training.loop import Diverged
from irnas_lib.training.search import SearchSettings

PICTURES = [Picture(f"p{i}", np.random.default_rng(i).integers(0, 256, (20, 33, 1), dtype=np.uint8)) for i in range(5)]
SETTINGS = SearchSettings(layers=2, nodes=1, width=2, batch=2, crop=12, epochs=4, warmup_epochs=1,
                          crops_per_picture=2, validate_every=3)  # 8 iterations, 2 of them warm-up


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As in the process below: sums may differ in their last bits between numbers of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def supernet(seed=0, channels=1):
    torch.manual_seed(seed)
    return Supernet(2, 1, 2, channels)


def run(state_file=None, settings=SETTINGS, net=None, pictures=PICTURES, **options):
    net = net or supernet()
    return net, search.search(net, pictures, settings, "cpu", state_file=state_file, **options)


def bits(net):
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


def without_time(found):
    return {key: value for key, value in found.items() if key != "seconds"}


@pytest.fixture(scope="module")
def uninterrupted():
    net, found = run()
    return bits(net), without_time(found)


def test_the_same_seed_gives_the_same_bytes(uninterrupted):
    net, found = run()
    assert (bits(net), without_time(found)) == uninterrupted


@pytest.mark.parametrize("count", (3, 5, 16, 300))
def test_three_disjoint_parts_by_the_seed(count):
    pictures = [Picture(str(i), None) for i in range(count)]
    weights, architecture, validation = search.split_pictures(pictures, 0)
    assert sorted(p.name for p in weights + architecture + validation) == sorted(p.name for p in pictures)
    assert abs(len(weights) - len(architecture)) <= 1
    assert len(validation) == max(1, round(count / 50))
    assert search.split_pictures(pictures, 0) == (weights, architecture, validation)
    if count > 10:
        assert search.split_pictures(pictures, 1)[0] != weights


def test_the_schedule_written_out(uninterrupted):
    """One step on the weights, after the warm-up one on alpha and beta; SGD's rate on a cosine; from section 4.1."""
    net = supernet().train()
    train_w, train_a, _ = search.split_pictures(PICTURES, 0)
    patches_w, patches_a = (Patches(part, 12, sigmas=(30, 50, 70)) for part in (train_w, train_a))
    head = [net.head.weight, net.head.bias]  # the last convolution: its rate over its input channels
    body = [p for name, p in net.named_parameters() if not name.startswith(("head", "alpha", "beta"))]
    sgd = torch.optim.SGD([{"params": body}, {"params": head}], 0.025, momentum=0.9, weight_decay=3e-4)
    adam = torch.optim.Adam([net.alpha, net.beta], 1e-3, weight_decay=1e-3)
    for iteration in range(8):
        sgd.param_groups[0]["lr"] = 0.001 + 0.024 * (1 + math.cos(math.pi * iteration / 8)) / 2
        sgd.param_groups[1]["lr"] = sgd.param_groups[0]["lr"] / net.head.weight.shape[1]
        turns = [(sgd, patches_w, search.WEIGHTS_STREAM), (adam, patches_a, search.ARCHITECTURE_STREAM)]
        for optimizer, patches, stream in turns[:1 if iteration < 2 else 2]:
            net.zero_grad()
            degraded, clean = patches.batch(2, 0, stream, iteration)
            restoration_loss(net(degraded), clean, 0.5).backward()
            optimizer.step()
        if iteration == 1:
            assert net.alpha.eq(0).all() and net.beta.eq(0).all()
    history = uninterrupted[1]["history"]
    assert net.alpha.abs().max() > 1e-3
    assert history[-1]["alpha"] == pytest.approx(net.alpha.detach().numpy(), abs=2e-4)
    assert history[-1]["beta"] == pytest.approx(net.beta.detach().numpy(), abs=2e-4)


def test_adamw_moves_every_weight_by_about_its_rate():
    """The last convolution too, whose rate is lower under SGD: eight steps of 0.001."""
    start = supernet()
    net, _ = run(settings=dataclasses.replace(SETTINGS, weights_optimizer="AdamW", weights_lr=1e-3, weights_decay=0.0))
    moved = [(after - before).abs().max().item() for before, after in zip(start.weights(), net.weights())]
    assert moved[-2] > 3e-3 and max(moved) < 9e-3


def test_validations_come_as_often_as_asked_and_count_once_the_architecture_moves(uninterrupted):
    assert [(entry["iteration"], entry["counts"]) for entry in uninterrupted[1]["history"]] == [
        (3, True), (6, True), (8, True)]
    _, found = run(settings=dataclasses.replace(SETTINGS, validate_every=2))
    assert [(entry["iteration"], entry["counts"]) for entry in found["history"]] == [
        (2, False), (4, True), (6, True), (8, True)]
    assert not np.any(found["history"][0]["alpha"]) and np.any(found["history"][1]["alpha"])


def test_what_is_found_is_decoded_from_the_best_validation_that_counts():
    def entry(psnr, ssim, counts, value):
        return {"psnr": psnr, "ssim": ssim, "counts": counts, "loss": 0.0, "iteration": 0,
                "alpha": [[value, 0, 0, 0, 0, 0], [0, 0, 0, value, 0, 0]],
                "beta": [[0, 0, value], [0, 0, 0], [0, 0, value]]}
    history = [entry(30, 0.9, False, 9.0), entry(25, 0.5, True, 1.0), entry(26, 0.6, True, 2.0),
               entry(26, 0.7, True, 3.0), entry(24, 0.9, True, 4.0)]
    found = search.summary(history)
    assert found["best"] == 3
    alpha, beta = torch.tensor(history[3]["alpha"]), torch.tensor(history[3]["beta"])
    assert (found["alpha"], found["beta"]) == (alpha.tolist(), beta.tolist())
    assert found["genotype"] == derive_cell(alpha) == ((("conv", "p2"), ("def", "p1")),)
    assert (found["path"], found["path_log_probability"]) == viterbi_path(beta)
    assert found["path"] == (1, 2)
    assert found["relative_path"] == relative_path(beta)[0]


def test_a_search_can_be_written_as_json(uninterrupted):
    found = uninterrupted[1]
    again = json.loads(json.dumps(found))
    assert again["alpha"] == found["alpha"] and again["genotype"] == [
        [list(edge) for edge in node] for node in found["genotype"]]


def test_validation_judges_in_adjacent_tiles_with_noise_that_stays(uninterrupted):
    net, pictures = supernet(), PICTURES[:2]
    restored = []
    for picture, sigma in zip(pictures, (30, 50)):
        noisy = add_noise(to_tensor(picture.clean).unsqueeze(0), sigma, 0, picture.name)
        joined = torch.zeros_like(noisy)
        seen = torch.zeros_like(noisy)
        net.eval()
        with torch.no_grad():
            for top in (0, 8):
                for left in (0, 12, 21):
                    joined[..., top:top + 12, left:left + 12] += net(noisy[..., top:top + 12, left:left + 12])
                    seen[..., top:top + 12, left:left + 12] += 1
        restored.append(joined / seen)
    expected = [np.mean([measure(y, to_tensor(p.clean).unsqueeze(0)).item() for y, p in zip(restored, pictures)])
                for measure in (psnr, ssim)]
    net.train()
    for _ in range(2):
        assert search.validate(net, pictures, SETTINGS, "cpu") == pytest.approx(tuple(expected), abs=1e-4)
    assert net.training, "goes on in training mode"


def test_pictures_given_for_validation_serve_instead(monkeypatch):
    judged = []
    monkeypatch.setattr(search, "validate", lambda net, pictures, *_: judged.append(pictures) or (1.0, 1.0))
    run(validation=PICTURES[:1])
    assert judged == [PICTURES[:1]] * 3


def test_pairs_are_searched_without_noise():
    clean = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    pairs = [Picture(f"rain{i}", clean, clean // 2) for i in range(3)]
    _, found = run(settings=dataclasses.replace(SETTINGS, sigmas=()), net=supernet(channels=3), pictures=pairs)
    assert len(found["history"]) == 2 and math.isfinite(found["history"][-1]["psnr"])


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", (1, 2, 5))
def test_a_failed_search_goes_on_where_it_saved(tmp_path, monkeypatch, uninterrupted, after):
    usual = search.save_state

    def save_and_fail(path, state):
        usual(path, state)
        if state["iteration"] == after:
            raise Stop
    monkeypatch.setattr(steps, "SAVE_SECONDS", -1)
    monkeypatch.setattr(search, "save_state", save_and_fail)
    with pytest.raises(Stop):
        run(tmp_path / "search.pt")
    monkeypatch.undo()
    net, found = run(tmp_path / "search.pt", net=supernet(seed=9))
    assert (bits(net), without_time(found)) == uninterrupted


@pytest.mark.parametrize("change", ("settings", "pictures"))
def test_a_state_of_another_search_is_not_overwritten(tmp_path, change):
    other = {"settings": dataclasses.replace(SETTINGS, loss_lambda=0.0)} if change == "settings" else {
        "pictures": [picture._replace(name=picture.name + "-other") for picture in PICTURES]}
    run(tmp_path / "search.pt", **other)
    kept = (tmp_path / "search.pt").read_bytes()
    with pytest.raises(CheckpointError, match="other parameters"):
        run(tmp_path / "search.pt")
    assert (tmp_path / "search.pt").read_bytes() == kept


def test_a_loss_that_is_not_finite_ends_the_search():
    net = supernet()
    with torch.no_grad():
        net.head.bias.fill_(math.nan)
    with pytest.raises(Diverged, match="the loss is nan after 3 iterations"):
        run(net=net)


def test_a_killed_search_goes_on_exactly(tmp_path, uninterrupted):
    file = tmp_path / "search.pt"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([sys.executable, __file__, str(file)], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "stepping\n", process.stderr.read()
    time.sleep(0.05)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    state = torch.load(file, weights_only=True)
    assert 2 < state["iteration"] < 8
    assert checkpoints.load_state(file, state["key"])
    net, found = run(file, net=supernet(seed=9))
    assert (bits(net), without_time(found)) == uninterrupted


def main(file):
    """The search of these tests, which waits in its fifth step and saves after each."""
    steps.SAVE_SECONDS = -1
    usual = Patches.batch

    def batch(self, size, *seed):
        if seed[-1] == 4:
            print("stepping")
            time.sleep(60)
        return usual(self, size, *seed)
    Patches.batch = batch
    run(Path(file))


def test_the_defaults_are_section_4_1s():
    assert dataclasses.asdict(search.SearchSettings()) == {
        "layers": 4, "nodes": 5, "width": 10, "batch": 12, "crop": 64, "epochs": 100, "warmup_epochs": 20,
        "crops_per_picture": 35, "validate_every": 1000, "sigmas": (30, 50, 70), "loss_lambda": 0.5, "seed": 0,
        "weights_lr": 0.025, "weights_lr_end": 0.001, "momentum": 0.9, "weights_decay": 3e-4,
        "architecture_lr": 1e-3, "architecture_decay": 1e-3,
        # not in the paper, and without effect
        "architecture_betas": (0.9, 0.999), "architecture_decoupled": False, "architecture_travel": 0.0,
        "temperature_end": 1.0, "drops": (), "without": (), "take_last": False, "global_residual": False,
        "weights_optimizer": "SGD"}


DECIDING = dataclasses.replace(SETTINGS, architecture_travel=6.0, architecture_decoupled=True, architecture_decay=0.0,
                               architecture_betas=(0.5, 0.99), temperature_end=0.25, drops=(0.5,), without=("none",),
                               take_last=True, global_residual=True, weights_optimizer="AdamW")


def test_the_travel_of_a_logit_sets_the_rate_by_the_number_of_steps():
    """Adam's first step is as long as its rate: 6 / 6 steps after the warm-up."""
    _, found = run(settings=dataclasses.replace(SETTINGS, architecture_travel=6.0, architecture_decay=0.0))
    first = np.array(found["history"][0]["alpha"])
    assert np.abs(first[first != 0]) == pytest.approx(1.0, abs=1e-3)


def test_decay_that_is_decoupled_shrinks_a_logit_by_its_share(monkeypatch):
    net = supernet()
    with torch.no_grad():
        net.alpha.fill_(2.0)
    settings = dataclasses.replace(SETTINGS, architecture_decoupled=True, architecture_decay=0.5, architecture_lr=0.01)
    monkeypatch.setattr(search, "restoration_loss", lambda restored, *_: restored.sum() * 0)
    _, found = run(settings=settings, net=net)
    assert found["history"][-1]["alpha"][0][0] == pytest.approx(2 * (1 - 0.01 * 0.5) ** 6, abs=1e-4)


def test_a_search_sharpens_as_its_settings_say():
    net, found = run(settings=dataclasses.replace(SETTINGS, temperature_end=0.25))
    assert net.temperature.item() == pytest.approx(0.25 ** (5 / 6))
    assert found["history"][-1]["alpha"] == pytest.approx((net.alpha / net.temperature).detach().numpy())
    x, plain = torch.rand(1, 1, 12, 12), supernet()
    plain.load_state_dict(net.state_dict())
    with torch.no_grad():
        plain.alpha /= net.temperature
    assert torch.allclose(net.eval()(x), plain.eval()(x))


def test_an_edge_loses_its_weakest_operation_but_never_what_a_cell_would_keep():
    alpha = torch.tensor([[3.0, 1.0, 2.0, 0.0, 5.0, 4.0], [0.0, 0.0, 1.0, 0.0, 0.0, 9.0]])
    order = []
    for _ in range(7):
        before = alpha.clone()
        search.drop_weakest(alpha)
        order.append((alpha != before).nonzero().tolist())
    assert [[column for row, column in lost if row == 0] for lost in order] == [[3], [1], [2], [0], [5], [], []]
    assert alpha.softmax(dim=1)[:, [4]].T.tolist() == [[1.0, 0.0]]
    assert alpha[1].softmax(dim=0)[2] == 1, "conv, sep and the others go before `none`, `none` at last"


def test_operations_are_dropped_at_their_shares_of_the_search():
    _, found = run(settings=dataclasses.replace(SETTINGS, drops=(0.5, 0.99)))
    lost = [(np.array(entry["alpha"]) < search.DROPPED / 2).sum(axis=1).tolist() for entry in found["history"]]
    assert lost == [[0, 0], [1, 1], [1, 1]]  # 2 + 0.5 * 6 = 5; 2 + round(5.94) = 8 is never reached
    assert json.loads(json.dumps(found["history"])) == found["history"]


def test_an_operation_that_is_left_out_has_no_weight_and_is_not_taken():
    _, found = run(settings=dataclasses.replace(SETTINGS, without=("none", "skip"), architecture_travel=6.0))
    weights = torch.tensor(found["alpha"]).softmax(dim=1)
    assert not weights[:, 4:].any() and weights[:, :4].gt(0).all()


def test_the_last_validation_is_taken_where_the_settings_ask_for_it():
    history = [{"psnr": psnr, "ssim": 0.5, "counts": True, "alpha": [[0] * 6] * 2, "beta": [[0] * 3] * 3}
               for psnr in (30, 20)]
    assert (search.summary(history)["best"], search.summary(history, take_last=True)["best"]) == (0, 1)


def test_what_is_not_in_the_paper_is_recorded_only_where_it_is_used():
    file = Path(__file__).parent.parent / "checkpoints" / "searches" / "denoising-seed0-laptop.json"
    shipped = json.loads(file.read_text())["settings"]
    assert SearchSettings(**shipped | {"sigmas": (30, 50, 70)}).recorded() == shipped
    assert DECIDING.recorded().keys() - SETTINGS.recorded().keys() == set(search.BEYOND_THE_PAPER)


def test_a_deciding_search_that_failed_goes_on_where_it_saved(tmp_path, monkeypatch):
    whole = run(settings=DECIDING)
    usual = search.save_state

    def save_and_fail(path, state):
        usual(path, state)
        if state["iteration"] == 6:
            raise Stop
    monkeypatch.setattr(steps, "SAVE_SECONDS", -1)
    monkeypatch.setattr(search, "save_state", save_and_fail)
    with pytest.raises(Stop):
        run(tmp_path / "search.pt", DECIDING)
    monkeypatch.undo()
    net, found = run(tmp_path / "search.pt", DECIDING, supernet(seed=9))
    assert (bits(net), without_time(found)) == (bits(whole[0]), without_time(whole[1]))


def short(monkeypatch, pictures, rotate=True, **changes):
    """What a search of a few steps asks for: the batches' keys, the pictures and the options of its two Patches."""
    asked, made = [], []

    class Noted(Patches):
        def __init__(self, part, **options):
            made.append(([picture.name for picture in part], options["rotate"]))
            super().__init__(part, **options)

        def batch(self, size, *key):
            asked.append(key)
            return super().batch(size, *key)
    monkeypatch.setattr(search, "Patches", Noted)
    settings = search.SearchSettings(layers=1, nodes=1, width=2, batch=2, crop=12, epochs=2, warmup_epochs=1,
                                     crops_per_picture=1, validate_every=3, **changes)
    torch.manual_seed(0)
    search.search(search.Supernet(1, 1, 2, pictures[0].clean.shape[2]), pictures, settings, "cpu", rotate=rotate)
    return asked, made


def test_the_seed_of_a_search_splits_the_pictures_and_draws_the_batches(monkeypatch):
    pictures = [Picture(f"p{i}", np.random.default_rng(i).integers(0, 256, (16, 16, 1), dtype=np.uint8))
                for i in range(9)]
    asked, made = short(monkeypatch, pictures, seed=5)
    assert {key[0] for key in asked} == {5} and {key[1] for key in asked} == {3, 4}
    weights, architecture, _ = search.split_pictures(pictures, 5)
    assert [names for names, _ in made] == [[p.name for p in weights], [p.name for p in architecture]]
    assert search.split_pictures(pictures, 5) != search.split_pictures(pictures, 0)
    assert all(rotate for _, rotate in made)


def test_pairs_are_only_mirrored_in_a_search(monkeypatch):
    clean = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    pairs = [Picture(f"rain{i}", clean, clean // 2) for i in range(3)]
    _, made = short(monkeypatch, pairs, TASKS["deraining"].rotate, sigmas=())
    assert [rotate for _, rotate in made] == [False, False]


def test_the_noise_of_a_validation_follows_the_seed(monkeypatch):
    clean, seen = GREY[0], []
    monkeypatch.setattr(search, "restorer", lambda net, device: lambda x: seen.append(x) or x)
    for seed in (0, 4):
        search.validate(None, [clean], search.SearchSettings(seed=seed, crop=64), "cpu")
    expected = add_noise(to_tensor(clean.clean).unsqueeze(0), 30, 4, clean.name)
    assert torch.equal(seen[1][:1], expected[..., :64, :64]) and not torch.equal(*seen)


def test_the_weight_of_the_loss_in_a_search_is_that_of_its_settings(monkeypatch):
    seen, usual = set(), search.restoration_loss

    def loss(restored, clean, weight=0.5):
        seen.add(weight)
        return usual(restored, clean, weight)
    monkeypatch.setattr(search, "restoration_loss", loss)
    short(monkeypatch, GREY * 2, loss_lambda=0.25)
    assert seen == {0.25}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
