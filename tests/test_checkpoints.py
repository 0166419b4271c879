"""Checkpoints: whole or not at all, and only of the network they were made for."""

import pickle
import shutil

import pytest
import torch
from torch import nn

from irnas_lib import files
from irnas_lib.training import checkpoints
from irnas_lib.training.checkpoints import CheckpointError, load_state, load_weights, save_state, save_weights


def small(channels=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, channels, 3), nn.BatchNorm2d(channels))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


@pytest.fixture
def saved(tmp_path):
    file = tmp_path / "weights" / "net.safetensors"
    network = small()
    return file, network, save_weights(file, network)


def test_weights_and_statistics_come_back_to_the_bit(saved):
    file, network, digest = saved
    network.train()(torch.rand(2, 1, 8, 8))
    digest = save_weights(file, network)
    other = small(seed=1)
    load_weights(file, other, digest)
    assert same(network, other)
    assert other[1].num_batches_tracked == 1


def test_channels_last_weights_and_equal_networks_give_the_same_file(saved, tmp_path):
    _, network, digest = saved
    assert save_weights(tmp_path / "again.safetensors", network.to(memory_format=torch.channels_last)) == digest


def test_nothing_but_the_file_is_left(saved):
    assert [path.name for path in saved[0].parent.iterdir()] == ["net.safetensors"]


def damage(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(("spoil", "with_hash", "message"), (
    (damage, True, "damaged or replaced"),
    (lambda file: file.write_bytes(file.read_bytes()[:-10]), True, "damaged or replaced"),
    (lambda file: file.write_bytes(file.read_bytes()[:-10]), False, "not a readable safetensors file"),
    (lambda file: file.write_bytes(b""), False, "not a readable safetensors file"),
    (lambda file: file.write_bytes(pickle.dumps({"0.weight": [1]})), False, "not a readable safetensors file"),
    (lambda file: torch.save(small().state_dict(), file), False, "not a readable safetensors file"),
    (lambda file: save_weights(file, small(4)), False, r"another network \(0.bias is \(4,\), not \(3,\)\)"),
    (lambda file: save_weights(file, nn.Sequential(small())), False, "another network .14 names differ"),
    (lambda file: file.unlink(), True, "no such checkpoint"),
))
def test_damaged_and_foreign_weights_are_refused_in_one_line_and_change_nothing(saved, spoil, with_hash, message):
    file, network, digest = saved
    before = small()
    spoil(file)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_weights(file, network, digest if with_hash else None)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    assert same(network, before)


class Exploit:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was run')",)


def test_no_pickle_is_ever_run(tmp_path):
    torch.save({"key": {}, "network": Exploit()}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="state.pt: damaged"):
        load_state(tmp_path / "state.pt", {})
    (tmp_path / "net.safetensors").write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(CheckpointError):
        load_weights(tmp_path / "net.safetensors", small())


def full_disk(tensors, path, *_):
    path.write_bytes(b"half of it")
    raise OSError(28, "No space left on device")


def no_rename(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("owner", "name", "failure"), (
    (checkpoints, "save_file", full_disk), (torch, "save", full_disk), (files.os, "replace", no_rename)))
def test_a_full_disk_leaves_the_previous_files_whole(tmp_path, monkeypatch, owner, name, failure):
    weights, state = tmp_path / "net.safetensors", tmp_path / "net.pt"
    network, later = small(), small(seed=1)
    digest = save_weights(weights, network)
    assert digest == checkpoints.digest(network) != checkpoints.digest(later)
    save_state(state, {"key": {"seed": 0}, "iteration": 1})
    monkeypatch.setattr(owner, name, failure)
    failures, newer = 0, {"key": {"seed": 0}, "iteration": 2}
    for write in (lambda: save_weights(weights, later), lambda: save_state(state, newer)):
        try:
            write()
        except OSError:
            failures += 1
    monkeypatch.undo()
    assert failures == (2 if name == "replace" else 1)
    assert {path.name for path in tmp_path.iterdir()} == {"net.safetensors", "net.pt"}
    assert load_state(state, {"seed": 0})["iteration"] == (2 if name == "save_file" else 1)
    load_weights(weights, later, digest if name != "save" else None)
    assert same(network, later) == (name != "save")


def test_a_state_of_other_parameters_is_neither_used_nor_lost(tmp_path):
    file = tmp_path / "run.pt"
    save_state(file, {"key": {"seed": 0, "sigmas": [30, 50]}, "iteration": 7, "x": torch.arange(3)})
    with pytest.raises(CheckpointError, match="run.pt: is of a run with other parameters"):
        load_state(file, {"seed": 1, "sigmas": [30, 50]})
    assert load_state(tmp_path / "none.pt", {}) is None
    torch.save(torch.arange(3), tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="foreign.pt: holds no state of a run"):
        load_state(tmp_path / "foreign.pt", {})
    state = load_state(file, {"seed": 0, "sigmas": [30, 50]})
    assert state["iteration"] == 7 and torch.equal(state["x"], torch.arange(3))


@pytest.mark.parametrize("keep", (0, 1, 100, -20))
def test_a_truncated_state_is_named_and_not_removed(tmp_path, keep):
    file = tmp_path / "run.pt"
    save_state(file, {"key": {}, "x": torch.zeros(1000)})
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="run.pt: damaged; delete it to start again") as caught:
        load_state(file, {})
    assert "\n" not in str(caught.value) and file.exists()


def test_a_folder_in_place_of_a_checkpoint_is_none(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_weights(tmp_path, small())
    shutil.rmtree(tmp_path)
    assert load_state(tmp_path, {}) is None


def test_weights_that_are_no_numbers_are_refused(saved):
    file, network = saved[0], small()
    network[0].weight.data[0] = torch.nan
    save_weights(file, network)
    with pytest.raises(CheckpointError, match="holds what is no number"):
        load_weights(file, small(seed=1))


@pytest.mark.parametrize(("kind", "taken"), ((torch.float16, True), (torch.float64, False), (torch.bfloat16, False)))
def test_of_other_types_only_half_precision_stands_for_weights(saved, kind, taken):
    file, network, _ = saved
    digest = save_weights(file, small().to(kind))
    if taken:
        return load_weights(file, network, digest)
    with pytest.raises(CheckpointError, match="made for another network"):
        load_weights(file, network, digest)
