"""How strong the noise of a picture is, and how much of what was removed can be noise."""

import numpy as np
import pytest
from skimage import data
from skimage.restoration import estimate_sigma

from irnas_lib.data.datasets import Picture, noisy_file
from irnas_lib.restore.noise import estimated_sigma, limited

PHOTOGRAPHS = {name: Picture(name, getattr(data, name)()) for name in ("astronaut", "chelsea", "coffee", "rocket")}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("sigma", (5, 10, 15, 25, 50))
def test_the_noise_of_a_photograph_is_estimated_within_an_eighth(name, sigma):
    noisy = noisy_file(PHOTOGRAPHS[name], sigma).degraded
    true = np.std(noisy.astype(float) - PHOTOGRAPHS[name].clean)  # clipped, and so less than sigma
    assert estimated_sigma(noisy) == pytest.approx(true, rel=0.125)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_detail_passes_for_little_noise_where_it_misleads_the_usual_estimate(name):
    clean = PHOTOGRAPHS[name].clean
    assert estimated_sigma(clean) < 2
    if name != "rocket":  # most of which is sky
        assert estimated_sigma(clean) < 0.7 * estimate_sigma(clean, channel_axis=-1, average_sigmas=True)


@pytest.mark.parametrize(("side", "channels"), ((9, 1), (16, 1), (16, 3), (24, 3), (64, 1), (64, 3), (700, 1)))
def test_the_estimate_has_no_bias_in_small_and_large_pictures(side, channels):
    drawn = [np.random.default_rng(seed).normal(128, 20, (side, side, channels)) for seed in range(9)]
    found = [estimated_sigma(np.rint(np.clip(array, 0, 255)).astype(np.uint8)) for array in drawn]
    assert np.mean(found) == pytest.approx(20, rel=0.25 if side < 32 else 0.05)


@pytest.mark.parametrize("shape", ((1, 1, 3), (3, 3, 1), (1, 900, 3), (40, 50, 1), (40, 50, 3)))
def test_a_picture_of_one_grey_has_none_of_whatever_size(shape):
    assert estimated_sigma(np.full(shape, 7, np.uint8)) == 0


def test_what_is_put_back_leaves_the_least_error_and_never_more_than_there_was():
    """A network that removes the noise and a texture of any strength, against all shares that could be removed."""
    draw = np.random.default_rng(0)
    clean, noise = np.full((128, 128, 3), 128.0), draw.normal(0, 6, (128, 128, 3))
    noisy = np.rint(clean + noise).astype(np.uint8)
    for strength in (0, 3, 6, 12, 24):
        texture = draw.normal(0, strength, clean.shape)
        restored = np.rint(np.clip(noisy - noise - texture, 0, 255)).astype(np.uint8)
        removed = noisy - restored.astype(float)
        errors = [np.mean((noisy - share * removed - clean) ** 2) for share in np.linspace(0, 1, 101)]
        error = np.mean((limited(noisy, restored, 6) - clean) ** 2)
        assert error == pytest.approx(min(errors), abs=0.3)
        assert error < errors[0]


def test_what_noise_accounts_for_stays_removed():
    noisy = np.full((8, 8, 1), 100, np.uint8)
    assert np.array_equal(limited(noisy, noisy - 5, 5), noisy - 5)
    assert np.array_equal(limited(noisy, noisy + 5, 9), noisy + 5)
    assert np.array_equal(limited(noisy, noisy - 100, 0), noisy)
    assert np.array_equal(limited(noisy, noisy - 100, 50), noisy - 25)  # (50 / 100)^2 of 100
