"""Training batches: every crop is looked for in the pictures, under every transform."""

from collections import Counter

import numpy as np
import pytest
import torch

from irnas_lib.data.datasets import Picture
from irnas_lib.data.patches import Patches, generator
from irnas_lib.data.pictures import PictureError

CROP = 6
RANDOM = np.random.default_rng(0)


def random_picture(height, width, channels):
    return RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)


GREY = [Picture(f"grey{i}", random_picture(height, width, 1))
        for i, (height, width) in enumerate(((6, 9), (11, 7), (8, 8)))]
RAIN = [Picture(f"rain{i}", random_picture(height, width, 3), random_picture(height, width, 3))
        for i, (height, width) in enumerate(((7, 12), (9, 6)))]


def places(crop, pictures, side="clean"):
    """Every (picture, top, left, quarter turns, mirrored) at which `crop`, (C, h, w) floats, can be found."""
    crop = np.rint(crop.numpy() * 255).transpose(1, 2, 0)
    for number, picture in enumerate(pictures):
        array = getattr(picture, side)
        for top in range(array.shape[0] - CROP + 1):
            for left in range(array.shape[1] - CROP + 1):
                cut = array[top:top + CROP, left:left + CROP]
                for turns in range(4):
                    for mirrored in (False, True):
                        turned = np.rot90(cut[:, ::-1] if mirrored else cut, turns)
                        if np.array_equal(turned, crop):
                            yield number, top, left, turns, mirrored


def test_every_crop_is_a_place_in_a_picture_under_one_of_eight_transforms():
    patches = Patches(GREY, CROP, sigmas=(0,))
    found = []
    for step in range(8):
        degraded, clean = patches.batch(32, 0, step)
        assert degraded.shape == clean.shape == (32, 1, CROP, CROP) and clean.dtype == torch.float32
        assert torch.equal(degraded, clean)
        for crop in clean:
            (place,) = places(crop, GREY)
            found.append(place)
    assert len({place[3:] for place in found}) == 8
    assert min(Counter(place[3:] for place in found).values()) >= 256 / 8 / 2, "about equally often"
    corners = {(number, top, left) for number, top, left, *_ in found}
    possible = {(number, top, left) for number, picture in enumerate(GREY)
                for top in range(picture.clean.shape[0] - CROP + 1)
                for left in range(picture.clean.shape[1] - CROP + 1)}
    assert corners == possible, "the borders too"


def test_rain_is_only_mirrored_left_right_and_stays_aligned():
    patches = Patches(RAIN, CROP, rotate=False)
    transforms = Counter()
    for step in range(4):
        degraded, clean = patches.batch(16, 0, step)
        assert clean.shape == (16, 3, CROP, CROP)
        for rainy, crop in zip(degraded, clean):
            (place,) = places(crop, RAIN)
            assert [place] == list(places(rainy, RAIN, "degraded"))
            transforms[place[3:]] += 1
    assert set(transforms) == {(0, False), (0, True)}


def test_noise_has_the_levels_asked_for_each_about_equally_often():
    flat = [Picture("flat", np.full((64, 64, 1), 250, np.uint8))]
    degraded, clean = Patches(flat, 64, sigmas=(30, 50, 70)).batch(120, 0, 0)
    noise = (degraded - clean) * 255
    levels = noise.std(dim=(1, 2, 3))
    nearest = torch.tensor([30, 50, 70])[(levels[:, None] - torch.tensor([30, 50, 70])).abs().argmin(dim=1)]
    assert ((levels / nearest - 1).abs() < 0.06).all()
    assert (levels / nearest).mean().item() == pytest.approx(1, abs=0.005)
    assert min(Counter(nearest.tolist()).values()) > 20
    assert noise.mean(dim=(1, 2, 3)).abs().max() < 5 * 70 / 64
    assert degraded.max() > 1.2, "not clipped"
    assert (degraded * 255 % 1).std() > 0.2, "not quantised"
    assert abs(np.corrcoef(noise[0].flatten(), noise[1].flatten())[0, 1]) < 0.06, "fresh in each crop"


def test_a_batch_depends_on_its_seed_alone():
    patches = Patches(GREY, CROP)
    first = patches.batch(4, 7, 1, 3)
    patches.batch(9, 0, 0, 0)
    for again in (patches.batch(4, 7, 1, 3), Patches(GREY, CROP).batch(4, 7, 1, 3)):
        assert all(torch.equal(a, b) for a, b in zip(first, again))
    others = [patches.batch(4, *seed)[0] for seed in ((8, 1, 3), (7, 2, 3), (7, 1, 4), (1, 7, 3))]
    assert not any(torch.equal(first[0], other) for other in others)


def test_generators_differ_in_every_number_and_agree_for_the_same():
    keys = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (0, 1, 3), (2 ** 40, 1, 2)]
    draws = [torch.rand(1, generator=generator("cpu", *key)).item() for key in keys]
    assert len(set(draws)) == len(keys)
    assert draws == [torch.rand(1, generator=generator("cpu", *key)).item() for key in keys]


def test_a_picture_smaller_than_a_crop_is_refused_by_name():
    with pytest.raises(PictureError, match="narrow: 5x9 pixels, smaller than a crop of 6x6"):
        Patches([*GREY, Picture("narrow", random_picture(9, 5, 1))], CROP)


def test_a_negative_sigma_is_refused():
    picture = Picture("grey", np.zeros((16, 16, 1), np.uint8))
    with pytest.raises(ValueError, match="sigma must not be negative, got -50"):
        Patches([picture], 8, sigmas=(30, -50))


def test_crops_as_files_are_clipped_and_rounded_to_8_bits():
    patches, files = (Patches(GREY, CROP, sigmas=(0, 50), as_files=as_files) for as_files in (False, True))
    (noisy, clean), (stored, same) = patches.batch(64, 0, 1), files.batch(64, 0, 1)
    assert torch.equal(clean, same) and noisy.min() < 0 and noisy.max() > 1
    assert np.array_equal(np.rint(np.clip(noisy.numpy(), 0, 1) * 255), stored.numpy() * 255)
