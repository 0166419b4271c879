"""Times side by side: every system on every picture, resumed without repetition, and in the tables."""

import json

import numpy as np
import pytest
import torch
from test_protocols import GREY, identity

from irnas_lib.benchmarks import timing
from irnas_lib.data import datasets
from irnas_lib.data.datasets import Dataset, Picture
from irnas_lib.evaluation import inference
from irnas_lib.experiments import runs, times
from irnas_lib.tables import writers


@pytest.fixture
def four(monkeypatch):
    """Four test pictures, and two systems that note what they are given."""
    rng = np.random.default_rng(0)
    pictures = tuple(Picture(f"p{i}", rng.integers(0, 256, (70, 72, 1), dtype=np.uint8)) for i in range(4))
    monkeypatch.setattr(datasets, "load", lambda task, name: Dataset(name, task, pictures, (), pictures, "0" * 64))
    monkeypatch.setitem(timing.SYSTEMS, "denoising", ("A", "B"))
    calls = []

    def ready(system, *_):
        def restore(degraded):
            calls.append((system, degraded))
            return degraded
        return restore
    monkeypatch.setattr(timing, "ready", ready)
    return calls


def test_every_system_restores_the_same_noisy_pictures_in_turn(four, tmp_path):
    record = timing.run("denoising", 4, file=tmp_path / "times.json")
    assert [system for system, _ in four] == ["A", "B"] * 5  # the first turn warms up
    shapes = [tuple(x.shape) for _, x in four]
    assert shapes == [(1, 1, 64, 64)] * 2 + [(1, 1, 70, 72)] * 8
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(four[::2], four[1::2]))
    assert list(record["pictures"]) == ["p0", "p1", "p2", "p3"] and record["test_pictures"] == 4
    assert times.load(tmp_path / "times.json") == {"denoising": record}


def test_what_is_timed_is_not_timed_again(four, tmp_path):
    file = tmp_path / "times.json"
    device = runs.device_name(runs.best_device())
    done = {"dataset": "BSD500", "device": device, "test_pictures": 4, "pictures": {"p2": {"A": 1.0, "B": 2.0}}}
    file.write_text(json.dumps({"denoising": done, "deraining": done}))
    record = timing.run("denoising", 2, file=file)  # every second picture
    assert record["pictures"]["p2"] == {"A": 1.0, "B": 2.0} and len(four) == 2 * (1 + 1)
    assert times.load(file)["deraining"] == done
    assert set(timing.run("denoising", 1, file=file)["pictures"]) == {"p0", "p2"}  # fewer asked for, none lost
    file.write_text(json.dumps({"denoising": done | {"device": "another"}}))
    assert timing.run("denoising", 2, file=file)["pictures"]["p2"] != {"A": 1.0, "B": 2.0}


def test_what_takes_minutes_a_picture_restores_fewer_of_them(four, tmp_path, monkeypatch):
    monkeypatch.setattr(timing.classical, "METHODS", ("B",))
    file = tmp_path / "times.json"
    record = timing.run("denoising", 4, 2, file)
    assert {name: set(row) for name, row in record["pictures"].items()} == {
        "p0": {"A", "B"}, "p1": {"A"}, "p2": {"A", "B"}, "p3": {"A"}}
    assert times.restored_by(record, "B") == 2 and times.scaled(record).keys() == {"A", "B"}
    first = {name: dict(row) for name, row in record["pictures"].items()}
    more = timing.run("denoising", 4, None, file)["pictures"]
    assert all(first[name].items() <= more[name].items() and set(more[name]) == {"A", "B"} for name in first)


def test_the_largest_pictures_are_neither_timed_nor_counted(four, tmp_path, monkeypatch):
    pictures = datasets.load("denoising", "BSD500").test
    huge = Picture("huge", np.zeros((70, 73, 1), np.uint8))
    everything = Dataset("BSD500", "denoising", (huge,), (), (huge, *pictures), "0" * 64)
    monkeypatch.setattr(datasets, "load", lambda task, name: everything)
    monkeypatch.setattr(inference, "LARGE", 70 * 72)
    record = timing.run("denoising", 2, file=tmp_path / "times.json")
    assert list(record["pictures"]) == ["p0", "p2"] and record["test_pictures"] == 4


def test_times_are_scaled_to_the_test_set_and_stand_in_the_table():
    record = {"dataset": "BSD500", "device": "CPU, 2 threads", "test_pictures": 200,
              "pictures": {"a": {"IR-NAS": 1.0, "DnCNN": 0.5}, "b": {"IR-NAS": 2.0, "DnCNN": 1.0},
                           "c": {"IR-NAS": 1.5}}}
    assert times.scaled(record) == {"IR-NAS": 300.0, "DnCNN": 150.0}
    rows = {row["system"]: row for row in writers.rows(1, [], times={"denoising": record}) if row["metric"] == "time"}
    assert rows["IR-NAS"]["measured"] == "300.0000" and rows["IR-NAS"]["printed"] == "83.25"
    assert rows["DnCNN"]["measured"] == "150.0000" and rows["DnCNN"]["printed"] == ""
    assert rows["N3Net"]["measured"] == "not run"
    assert "CPU, 2 threads, all systems in one run, this one on 3 pictures, scaled to 200" in rows["IR-NAS"]["note"]


def test_an_unknown_task_is_refused(capsys):
    with pytest.raises(SystemExit):
        timing.main(["dehazing"])
    assert "invalid choice: 'dehazing'" in capsys.readouterr().err


def test_each_systems_own_seconds_are_counted(monkeypatch):
    clock = iter((10.0, 12.0, 20.0, 25.0))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.seconds_taken({"A": identity, "B": identity}, GREY[0], 50) == {"A": 2.0, "B": 5.0}
