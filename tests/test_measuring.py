"""Measuring a test set: several pictures at once, each score kept, none measured twice."""

import functools

import numpy as np
import pytest
import torch
from test_protocols import identity

from irnas_lib.baselines.bm3d import bm3d_rgb
from irnas_lib.baselines.lp import lp
from irnas_lib.data.datasets import Picture
from irnas_lib.evaluation import classical, measuring, protocols


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [Picture(f"p, {i}", rng.integers(0, 256, (70, 80 + i, 1), dtype=np.uint8)) for i in range(3)]


def blurred(degraded):
    return torch.nn.functional.avg_pool2d(degraded, 3, 1, 1)


def only_wide(degraded):
    if degraded.shape[-1] == 81:
        raise ValueError("81 columns")
    return degraded


def test_as_evaluate_does_it(pictures, tmp_path):
    kept = tmp_path / "folder" / "kept.csv"
    found = measuring.measure(blurred, pictures, ["redrawn"], 50, 1, kept, jobs=2)["redrawn"]
    expected = protocols.evaluate(blurred, pictures, "redrawn", 50, 1)
    assert found[:4] == pytest.approx(expected[:4], abs=1e-12) and found.seconds > 0
    alone = protocols.evaluate(blurred, [pictures[1]], "redrawn", 50, 1)
    assert list(found.each) == ["p, 0", "p, 1", "p, 2"]
    assert found.each["p, 1"] == [pytest.approx(alone.psnr, abs=1e-4), pytest.approx(alone.ssim, abs=1e-6)]


def test_what_is_kept_is_not_measured_again(pictures, tmp_path, monkeypatch):
    kept = tmp_path / "kept.csv"
    # The last row was cut short by a crash.
    kept.write_text('"p, 0",3.0,20.0,0.5,nan\n"p, 2",5.0,30.0,0.75,nan\n"p, 1",4.0,25.0,0.9,na')
    found = measuring.measure(classical.unchanged, pictures, ["strict"], 50, 0, kept, jobs=1)["strict"]
    alone = protocols.evaluate(classical.unchanged, [pictures[1]], "strict", 50)
    assert found.psnr == pytest.approx((20 + 30 + alone.psnr) / 3, abs=1e-12)
    assert found.ssim == pytest.approx((0.5 + 0.75 + alone.ssim) / 3, abs=1e-12)
    assert found.ssim_padded is None and found.pictures == 3

    def not_again(*_, **__):
        raise AssertionError("measured again")
    monkeypatch.setattr(measuring, "_measure_batch", not_again)
    assert measuring.measure(classical.unchanged, pictures, ["strict"], 50, 0, kept, jobs=1) == {"strict": found}


def test_a_failure_is_raised_and_the_others_scores_stay(pictures, tmp_path):
    kept = tmp_path / "kept.csv"
    with pytest.raises(ValueError, match="81 columns"):
        measuring.measure(only_wide, pictures, ["strict"], 50, 0, kept, jobs=1)
    assert kept.read_text().startswith('"p, 0",') and "p, 1" not in kept.read_text()


def test_away_from_a_cpu_pictures_of_one_size_go_together(tmp_path, monkeypatch):
    """The device is pretended: that of the network is the CPU."""
    rng = np.random.default_rng(0)
    sides = [(40, 60), (60, 40), (40, 60), (40, 60), (60, 40), (90, 90)]
    pictures = [Picture(f"p{i}", rng.integers(0, 256, (*side, 1), dtype=np.uint8)) for i, side in enumerate(sides)]
    seen = []

    def restore(degraded):
        seen.append(tuple(degraded.shape))
        return blurred(degraded)
    restore.device = torch.device("meta")
    monkeypatch.setattr(measuring, "TOGETHER", 5000)
    found = measuring.measure(restore, pictures, ["strict"], 50, 1, tmp_path / "kept.csv")["strict"]
    assert seen == [(2, 1, 40, 60), (1, 1, 40, 60), (2, 1, 60, 40), (1, 1, 90, 90)]
    expected = protocols.evaluate(blurred, pictures, "strict", 50, 1)
    assert found[:3] == pytest.approx(expected[:3], abs=1e-12)
    for picture in pictures:
        alone = protocols.evaluate(blurred, [picture], "strict", 50, 1)
        assert found.each[picture.name] == [round(alone.psnr, 4), round(alone.ssim, 6)]
    assert list(found.each) == [picture.name for picture in pictures]

def test_methods_by_name(monkeypatch):
    x = torch.rand(1, 1, 40, 40)
    assert classical.method("Noisy", "denoising", 50)(x) is x
    assert classical.method("BM3D", "sim1800") is bm3d_rgb
    for method in ("BM3D", "WNNM"):
        restore = classical.method(method, "denoising", 30)
        assert isinstance(restore, functools.partial) and restore.keywords == {"sigma": 30}
    pairs = [Picture("a", *np.random.default_rng(0).integers(0, 256, (2, 30, 30, 3), dtype=np.uint8))]
    monkeypatch.setattr(classical, "fit_background", lambda cleans: [clean.shape for clean in cleans])
    restore = classical.method("LP", "deraining", training=pairs)
    assert restore.func is lp and restore.keywords == {"background_prior": [(3, 30, 30)]}
    with pytest.raises(ValueError, match="unknown method 'X'"):
        classical.method("X", "denoising", 50)


def test_two_protocols_in_one_pass_keep_their_own_scores(tmp_path):
    rng = np.random.default_rng(0)
    pairs = [Picture(f"p{i}", *rng.integers(0, 256, (2, 20, 24 + i, 3), dtype=np.uint8)) for i in range(3)]
    names = ["strict", "strict_y"]
    found = measuring.measure(identity, pairs, names, None, 0, tmp_path / "kept.csv")
    assert list(found) == names
    for name in names:
        assert found[name][:4] == pytest.approx(protocols.evaluate(identity, pairs, name)[:4], abs=1e-12)
        for pair in pairs:
            alone = protocols.evaluate(identity, [pair], name)
            assert found[name].each[pair.name] == [pytest.approx(alone.psnr, abs=1e-4),
                                                   pytest.approx(alone.ssim, abs=1e-6)]


def test_seconds_are_the_mean_over_pictures_in_the_order_of_the_pictures(tmp_path):
    kept = tmp_path / "kept.csv"
    kept.write_text("two,8.0,30.0,0.75,nan\none,2.0,20.0,0.5,nan\n")
    pictures = [Picture(name, np.zeros((20, 20, 1), np.uint8)) for name in ("one", "two")]
    found = measuring.measure(identity, pictures, ["strict"], 50, 0, kept)["strict"]
    assert found.seconds == 5 and found.each == {"one": [20, 0.5], "two": [30, 0.75]}


@pytest.mark.parametrize("names", [["strict", "half"], []])
def test_protocols_that_restore_other_pictures_are_not_measured_together(pictures, tmp_path, names):
    with pytest.raises(ValueError, match="not scores of the same restored pictures"):
        measuring.measure(identity, pictures, names, 50, 0, tmp_path / "kept.csv")
