"""WNNM against a plain float64 version with full SVDs, and what both classical denoisers gain."""

import math
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from skimage import data

from irnas_lib.baselines.bm3d import bm3d, bm3d_rgb
from irnas_lib.baselines.wnnm import match, settings, shrink, shrink_groups, starts, wnnm
from irnas_lib.metrics import psnr

needs_bm3d = pytest.mark.skipif(find_spec("bm3d") is None, reason="BM3D is not installed")


def photograph(side, channels=1):
    """The eye of a photograph and its surroundings, (1, channels, side, side) in [0, 1]."""
    crop = data.astronaut()[100:100 + side, 190:190 + side, :channels]
    return torch.from_numpy(crop.copy()).permute(2, 0, 1).unsqueeze(0) / 255


def add_noise(clean, sigma, seed=0):
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return clean + sigma / 255 * noise


def reference_shrink(group, sigma):
    """Rows are patches; full SVD, one value after the other."""
    n = len(group)
    mean = group.mean(axis=0)
    u, values, v = np.linalg.svd(group - mean, full_matrices=False)
    for k, value in enumerate(values):
        clean = math.sqrt(max(value ** 2 - n * sigma ** 2, 0))
        for _ in range(3):
            weight = 2 * math.sqrt(2) * math.sqrt(n) * sigma ** 2 / (clean + 1e-16)
            clean = max(value - weight, 0)
        values[k] = clean
    return mean + u @ np.diag(values) @ v


def reference_match(picture, y, x, patch, count):
    """Upper left corners of the `count` patches nearest to that at (y, x), within 30 pixels."""
    windows = sliding_window_view(picture, (patch, patch))
    distance = ((windows - windows[y, x]) ** 2).sum(axis=(2, 3))
    corners = [(v, u) for v, u in np.ndindex(distance.shape) if max(abs(v - y), abs(u - x)) <= 30]
    return sorted(corners, key=distance.__getitem__)[:count]


def reference_wnnm(noisy, sigma, patch, group, iterations, remaining):
    references = [(y, x) for y in starts(len(noisy), patch) for x in starts(len(noisy[0]), patch)]
    estimate = noisy
    for iteration in range(iterations):
        estimate = estimate + 0.1 * (noisy - estimate)
        if iteration % 2 == 0:
            group -= 10
            matches = [reference_match(estimate, y, x, patch, group) for y, x in references]
        total, count = np.zeros_like(noisy), np.zeros_like(noisy)
        for (y, x), corners in zip(references, matches):
            removed = ((noisy - estimate)[y:y + patch, x:x + patch] ** 2).mean()
            local = remaining * math.sqrt(abs(sigma ** 2 - removed)) if iteration else sigma
            patches = np.stack([estimate[v:v + patch, u:u + patch].ravel() for v, u in corners])
            for (v, u), shrunk in zip(corners, reference_shrink(patches, local)):
                total[v:v + patch, u:u + patch] += shrunk.reshape(patch, patch)
                count[v:v + patch, u:u + patch] += 1
        estimate = total / count
    return estimate


@pytest.mark.parametrize("sigma", (0.02, 0.2, 2))
@pytest.mark.parametrize("n", (20, 36, 70), ids="{} patches".format)
def test_shrinkage_is_that_of_a_full_svd(n, sigma):
    rng = np.random.default_rng(n)
    group = (rng.random((n, 4)) @ rng.random((4, 36)) + 0.2 * rng.standard_normal((n, 36))).astype(np.float32)
    expected = reference_shrink(group.astype(np.float64), sigma)
    np.testing.assert_allclose(shrink(group, sigma), expected, atol=1e-4)


@pytest.mark.parametrize("patch, count", ((6, 60), (9, 130)))
def test_block_matching_is_that_of_brute_force(patch, count):
    picture = np.random.default_rng(0).random((48, 41), np.float32)
    rows, columns = starts(48, patch), starts(41, patch)
    found = match(picture, rows, columns, patch, count).reshape(len(rows), len(columns), count)
    for r, c in np.ndindex(len(rows), len(columns)):
        expected = reference_match(picture.astype(np.float64), rows[r], columns[c], patch, count)
        assert {divmod(corner, 41) for corner in found[r, c].tolist()} == set(expected)


def test_reference_patches_reach_every_border():
    assert starts(20, 8).tolist() == [0, 3, 6, 9, 12]
    assert starts(21, 8).tolist() == [0, 3, 6, 9, 12, 13]
    assert starts(8, 8).tolist() == [0]


def test_groups_without_noise_return_the_picture():
    picture = np.random.default_rng(0).random((30, 37), np.float32)
    matches = match(picture, starts(30, 7), starts(37, 7), 7, 50)
    np.testing.assert_allclose(shrink_groups(picture, matches, np.zeros(len(matches)), 7), picture, atol=1e-5)


def test_wnnm_is_the_plain_algorithm():
    noisy = add_noise(photograph(20), 20)
    expected = reference_wnnm(noisy[0, 0].double().numpy(), 20 / 255, 6, 70, 8, 0.54)
    np.testing.assert_allclose(wnnm(noisy, 20)[0, 0].numpy(), expected, atol=1e-3)


def test_wnnm_takes_every_channel_by_itself_and_does_not_depend_on_threads():
    noisy = add_noise(photograph(32, channels=3), 15)
    together = wnnm(noisy, 15)
    assert together.shape == noisy.shape and together.dtype == torch.float32
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    alone = [wnnm(noisy[:, [c]], 15) for c in range(3)]
    numba.set_num_threads(threads)
    assert torch.equal(together, torch.cat(alone, dim=1))


def test_wnnm_refuses_a_picture_that_cannot_fill_a_group():
    with pytest.raises(ValueError, match="16x17 pixels are too few"):
        wnnm(torch.zeros(1, 1, 16, 17), 50)


def test_wnnm_gains():
    clean = photograph(48)
    noisy = add_noise(clean, 50)
    assert psnr(wnnm(noisy, 50), clean) > psnr(noisy, clean) + 9.5


def test_bm3d_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    for restore in (bm3d_rgb, lambda x: bm3d(x, 50)):
        with pytest.raises(ModuleNotFoundError, match="^BM3D is not installed: pip install bm3d$"):
            restore(torch.zeros(1, 3, 16, 16))


@needs_bm3d
def test_bm3d_gains_and_takes_every_channel_by_itself():
    clean = photograph(64, channels=2)
    noisy = add_noise(clean, 50)
    restored = bm3d(noisy, 50)
    assert restored.shape == noisy.shape and restored.dtype == torch.float32
    assert torch.equal(restored[:, 1:], bm3d(noisy[:, 1:], 50))
    assert psnr(restored, clean) > psnr(noisy, clean) + 8


@needs_bm3d
def test_colour_bm3d_finds_the_noise_and_uses_the_colours():
    clean = photograph(64, channels=3)
    noisy = add_noise(clean, 25)
    assert psnr(bm3d_rgb(noisy), clean) > psnr(bm3d(noisy, 25), clean) + 0.3
    assert psnr(bm3d_rgb(noisy, 25), clean) > psnr(bm3d_rgb(noisy, 5), clean) + 3


@pytest.mark.parametrize(("sigma", "expected"), (
    (20, (6, 70, 8, 0.54)), (21, (7, 90, 12, 0.56)), (40, (7, 90, 12, 0.56)), (41, (8, 120, 14, 0.58)),
    (60, (8, 120, 14, 0.58)), (61, (9, 140, 14, 0.58))))
def test_settings_are_the_papers(sigma, expected):
    assert settings(sigma) == expected


def test_bm3d_is_told_the_noise_in_units_of_the_picture(monkeypatch):
    seen = []
    program = SimpleNamespace(bm3d=lambda plane, sigma, _: seen.append(sigma) or plane)
    monkeypatch.setattr("irnas_lib.baselines.bm3d.program_and_profile", lambda: (program, None))
    x = torch.rand(1, 2, 8, 8)
    assert torch.equal(bm3d(x, 51), x) and seen == [0.2, 0.2]
