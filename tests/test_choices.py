"""Choices of a recipe: trained on pictures that are not validated on, compared seed by seed."""

import math

import numpy as np
import pytest
import torch

from irnas_lib.data.datasets import Dataset, Picture
from irnas_lib.evaluation import validation
from irnas_lib.experiments import choices, runs

PICTURES = tuple(Picture(f"p{i}", np.random.default_rng(i).integers(0, 256, (70, 66, 1), dtype=np.uint8))
                 for i in range(30))
DATASET = Dataset("BSD500", "denoising", PICTURES, (), (), "0" * 64)


def record(name, seed, psnr, system="IR-NAS + residual", pixels=100):
    scores = {f"p{i}": [psnr + i, 0.5, psnr - 1] for i in range(2)}
    return {"name": name, "seed": seed, "system": system, "pixels": pixels, "scores": scores}


def test_what_validates_is_not_trained_on():
    seen, kept_out = validation.split(DATASET, 15)
    assert [picture.name for picture in kept_out] == ["p0", "p15"] and len(seen) == 28
    assert {picture.name for picture in seen}.isdisjoint(picture.name for picture in kept_out)
    assert validation.split(DATASET, 0) == (PICTURES, ())
    with_own = Dataset("Rain800", "deraining", PICTURES[:20], PICTURES[20:], (), "0" * 64)
    assert validation.split(with_own, 15) == (PICTURES[:20], PICTURES[20:])


def test_the_middle_of_a_picture_is_its_middle():
    (cut,) = validation.middle([PICTURES[0]._replace(degraded=255 - PICTURES[0].clean)], 20)
    assert np.array_equal(cut.clean, PICTURES[0].clean[25:45, 23:43])
    assert np.array_equal(cut.degraded, 255 - cut.clean)
    assert validation.middle(PICTURES[:1], 100)[0].clean.shape == (70, 66, 1)


def test_scores_of_a_network_that_returns_its_input_are_those_of_the_noise():
    scores = validation.scores(torch.nn.Identity(), PICTURES[:3], 30)
    for psnr, _, frame in scores.values():
        assert psnr == pytest.approx(20 * math.log10(255 / 30), abs=1.5) and frame == pytest.approx(psnr, abs=1.5)
    assert validation.curve((), 30) is None


def test_a_choice_is_compared_with_the_base_seed_by_seed():
    records = [record("base", 0, 24.0), record("base", 1, 26.0), record("lr 0.003", 0, 24.5),
               record("lr 0.003", 1, 26.1), record("frozen", 0, 23.0), record("frozen", 7, 30.0),
               record("base", 0, 20.0, system="DnCNN"), record("base", 2, 20.0, pixels=200)]
    base, rate, frozen = choices.worth(records, "IR-NAS + residual", 100)
    assert (base.choice, base.seeds, base.gain) == ("base", 2, 0.0)
    assert (rate.seeds, rate.gain, rate.frame_gain) == (2, pytest.approx(0.3), pytest.approx(0.3))
    assert {seed: psnr for seed, (psnr, *_) in rate.each.items()} == pytest.approx({0: 0.5, 1: 0.1})
    assert rate.half == pytest.approx(12.706 * 0.2, rel=1e-4)  # the standard error is half of 0.5 - 0.1
    records[2] |= {"precision": "bfloat16"}
    records[1] |= {"device": "CPU, 1 threads, bfloat16"}
    assert [row.mixed for row in choices.worth(records, "IR-NAS + residual", 100)] == [0, 2, 0]
    assert (frozen.seeds, frozen.gain) == (1, pytest.approx(-1.0)) and math.isnan(frozen.half)


def test_a_choice_may_be_compared_with_another_than_the_base_and_the_spread_pooled():
    records = [record("base", seed, psnr) for seed, psnr in enumerate((24.0, 26.0, 25.0))]
    records += [record("lambda 0", seed, psnr) for seed, psnr in enumerate((23.0, 24.0, 24.6))]
    (row,) = [row for row in choices.worth(records, "IR-NAS + residual", 100, "lambda 0") if row.choice == "base"]
    assert (row.seeds, row.gain) == (3, pytest.approx(3.4 / 3)) and row.psnr - row.base == pytest.approx(row.gain)
    two = row._replace(seeds=2, each={0: [0.1, 0, 0], 1: [0.5, 0, 0]})
    gains = [1.0, 2.0, 0.4]
    squares = 2 * np.var(gains, ddof=1) + np.var([0.1, 0.5], ddof=1)
    assert choices.spread([row, two]) == (pytest.approx(math.sqrt(squares / 3)), 3)
    one = row._replace(seeds=1, each={0: row.each[0]})
    assert choices.spread([row, one]) == (pytest.approx(np.std(gains, ddof=1)), 2)
    assert math.isnan(choices.spread([one])[0])


def test_networks_on_the_same_seeds_count_as_one_in_the_spread_of_the_term():
    records = [record(name, seed, psnr, system) for system, name, scores in (
        ("IR-NAS", "input not added", (23.0, 24.0)), ("IR-NAS", "input not added, lambda 0", (23.0, 23.0)),
        ("IR-NAS + residual", "base", (25.0, 25.0)), ("IR-NAS + residual", "lambda 0", (24.0, 24.6)),
        ("DnCNN", "base", (25.0, 25.0, 26.0)), ("DnCNN", "lambda 0", (24.0, 24.4, 25.7)))
        for seed, psnr in enumerate(scores)]
    found = choices.log_ssim_term(records, 100)
    (together,) = choices.with_input(found)
    assert {seed: psnr for seed, (psnr, *_) in together.each.items()} == pytest.approx({0: 1.0, 1: 0.5, 2: 0.3})
    assert (together.seeds, together.gain) == (3, pytest.approx(0.6))
    squares = np.var([0.0, 1.0], ddof=1) + np.var([1.0, 0.4], ddof=1) + 2 * np.var([1.0, 0.6, 0.3], ddof=1)
    expected = squares / 4  # of three rows, while two of them share seeds 0 and 1
    assert choices.of_the_term(found) == (pytest.approx(expected ** 0.5), 3)
    assert choices.with_input({"IR-NAS": found["IR-NAS"]}) == []


def test_the_spread_of_one_training_is_pooled_over_choices_and_systems():
    records = [record("base", 0, 24.0), record("base", 1, 24.4), record("base", 0, 22.0, system="DnCNN"),
               record("base", 1, 22.2, system="DnCNN"), record("base", 2, 22.7, system="DnCNN"),
               record("lambda 0", 0, 9.0), record("base", 5, 9.0, pixels=200)]
    squares = np.var([24.0, 24.4], ddof=1) + 2 * np.var([22.0, 22.2, 22.7], ddof=1)
    assert choices.over_seeds(records, 100) == (pytest.approx(math.sqrt(squares / 3)), 3)
    assert choices.over_seeds(records, 100, 1) == (0, 3)
    assert math.isnan(choices.over_seeds(records, 200)[0])


def test_a_choice_that_is_another_system_stands_with_the_base_of_ours_alone():
    records = [record("base", 0, 24.0), record("base", 0, 23.0, system="DnCNN"),
               record("input not added", 0, 22.0, system="IR-NAS")]
    assert [row.choice for row in choices.worth(records, "IR-NAS + residual", 100)] == ["base", "input not added"]
    assert [row.choice for row in choices.worth(records, "DnCNN", 100)] == ["base"]


def test_a_choice_is_trained_once_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "output_folder", lambda profile: tmp_path)
    monkeypatch.setattr(runs, "SHIPPED", tmp_path / "nothing")
    small = choices.named("frame left out")._replace(system="DnCNN", crop=32)
    first = choices.find_or_train(small, 0, 4000, DATASET, "laptop")
    assert first["iterations"] == 2 and first["scores"].keys() == {"p0", "p15"} and len(first["curve"]) == 2
    monkeypatch.setattr(choices.training_run, "run", lambda *_, **__: pytest.fail("trained again"))
    assert choices.find_or_train(small, 0, 4000, DATASET, "laptop") == first
    assert not list((tmp_path / "resume").glob("*"))


def test_names_of_choices_are_unique_and_known():
    names = [choice.name for choice in choices.CHOICES]
    assert len(set(names)) == len(names) and choices.named("base") is choices.BASE
    assert choices.BASE.iterations(10_000_000) == 1221
    with pytest.raises(ValueError, match="unknown choice 'best' .known: base, "):
        choices.named("best")
