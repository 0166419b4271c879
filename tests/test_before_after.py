"""Before and after as one picture: what lies left and right of the divider, and in the enlarged crops."""

import numpy as np
import pytest

from irnas_lib.figures.before_after import contrasting, side_by_side

BEFORE = np.full((100, 150, 3), 40, np.uint8)
AFTER = np.full((100, 150, 3), 200, np.uint8)


@pytest.mark.parametrize("share", (0, 0.25, 1))
def test_the_divider_parts_before_from_after(share):
    whole = side_by_side(BEFORE, AFTER, share, (0, 0))[:600, :900]  # six times as large
    row = whole[590, :, 0].astype(int)
    cut = round(share * 900)
    away = np.abs(np.arange(900) - cut) > 2
    assert np.array_equal(row[away], np.where(np.arange(900) < cut, 40, 200)[away])


def test_the_crops_show_the_same_place_of_both_enlarged_fourfold():
    before, after = np.random.default_rng(0).integers(0, 256, (2, 90, 200, 1), dtype=np.uint8)
    shown = side_by_side(before, after, corner=(7, 60))
    upper, lower = shown[:320, -320:], shown[-320:, -320:]
    for close, array in ((upper, before), (lower, after)):
        assert np.array_equal(close[42::4, 2::4, 0], array[17:87, 60:140, 0]), "below the words"
        assert close.shape == (320, 320, 3)


@pytest.mark.parametrize("size", ((1, 1), (3, 700), (700, 3), (3000, 2000)))
@pytest.mark.parametrize("channels", (1, 3))
def test_any_picture_can_be_shown_and_none_becomes_too_large(size, channels):
    array = np.random.default_rng(0).integers(0, 256, (*size, channels), dtype=np.uint8)
    height, width, _ = side_by_side(array, array).shape
    assert height == 648 and 328 < width <= 960 + 8 + 320


def test_the_crop_is_where_the_contrast_is():
    array = np.full((300, 400, 3), 90, np.uint8)
    array[170:200, 250:300] = 255
    assert contrasting(array, 80) == (160, 240)
