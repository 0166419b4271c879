"""The simulated camera: each stage against a plain slow version, the noise against its theory, all of it by a seed."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from irnas_lib.data import camera
from irnas_lib.data.bilateral_grid import BINS, CELL, bilateral_grid
from irnas_lib.data.camera import Parameters

RNG = np.random.default_rng(0)
RGB = RNG.random((13, 10, 3))  # odd and even sides
QUIET = Parameters(shot=0, read=0, luma_space=0.25, luma_range=0.1, chroma_space=2, chroma_range=0.01, sharpening=0,
                   jpeg_level=7)


def picture(height=64, width=80):
    """A smooth coloured picture, (H, W, 3) in [0, 1]."""
    noise = gaussian_filter(np.random.default_rng(1).random((height, width, 3)), 8, axes=(0, 1))
    return (noise - noise.min()) / np.ptp(noise)


def colour_at(y, x):
    """The specification's words: G where x and y have equal parity, R at x odd and y even, B at x even and y odd."""
    if x % 2 == y % 2:
        return 1
    return 0 if x % 2 else 2


def clamped(array, y, x):
    return array[min(max(y, 0), array.shape[0] - 1), min(max(x, 0), array.shape[1] - 1)]


def test_mosaic_keeps_the_bayer_colour_of_each_pixel():
    raw = camera.mosaic(RGB)
    assert raw.shape == RGB.shape[:2]
    for y, x in np.ndindex(raw.shape):
        assert raw[y, x] == RGB[y, x, colour_at(y, x)]


@pytest.mark.parametrize("level", [0, 0.05, 0.3, 0.9])
def test_the_noise_of_a_flat_patch_has_the_variance_of_shot_plus_read(level):
    k, s, rng = 0.2, 0.03, np.random.default_rng(2)
    flat = np.full((512, 512), level)
    noisy = camera.add_read_noise(camera.add_shot_noise(flat, k, rng), s, rng)
    assert noisy.var() == pytest.approx(k ** 2 * level + s ** 2, rel=0.015)  # its own deviation is 0.3 %
    assert noisy.mean() == pytest.approx(level, abs=0.002)


def test_shot_noise_of_a_negative_raw_value_is_nothing():
    raw = np.array([[-0.1, 0.0]])
    assert np.array_equal(camera.add_shot_noise(raw, 0.2, RNG), raw)


def test_raw_values_are_clipped_and_cut_off_to_14_bits():
    raw = np.array([-0.5, 0.99999 / 16384, 1 / 16384, 0.5, 1.99 / 16384, 1.0, 3.0])
    assert np.array_equal(camera.quantise_raw(raw) * 16384, [0, 0, 1, 8192, 1, 16384, 16384])


def slow_demosaic(raw):
    """Site by site; the border continues with the nearest sample of the same colour."""
    height, width = raw.shape

    def inside(y, x):
        y = -y if y < 0 else 2 * (height - 1) - y if y >= height else y
        x = -x if x < 0 else 2 * (width - 1) - x if x >= width else x
        return y, x

    green = raw.copy()
    for y, x in np.ndindex(raw.shape):
        if colour_at(y, x) != 1:
            up, down, left, right = (raw[inside(y + dy, x + dx)] for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)))
            vertical = abs(up - down) < abs(left - right)
            green[y, x] = (up + down) / 2 if vertical else (left + right) / 2
    rgb = np.stack([green] * 3, axis=-1)
    for channel in (0, 2):
        for y, x in np.ndindex(raw.shape):
            if colour_at(y, x) == channel:
                near = [(y, x)]
            else:
                around = [inside(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
                near = [(v, u) for v, u in around if colour_at(v, u) == channel]
            rgb[y, x, channel] += np.mean([raw[site] - green[site] for site in near])
    return np.clip(rgb, 0, 1)


@pytest.mark.parametrize("shape", [(8, 10), (9, 7)])
def test_demosaic_agrees_with_a_loop_over_sites(shape):
    raw = RNG.random(shape)
    np.testing.assert_allclose(camera.demosaic(raw), slow_demosaic(raw), atol=1e-12)


def test_demosaic_restores_a_flat_colour_and_a_grey_edge_along_the_pattern():
    flat = np.broadcast_to([0.7, 0.2, 0.4], (9, 12, 3))
    np.testing.assert_allclose(camera.demosaic(camera.mosaic(flat)), flat, atol=1e-12)
    edge = np.zeros((8, 8, 3))
    edge[:, 4:] = 1
    np.testing.assert_allclose(camera.demosaic(camera.mosaic(edge)), edge, atol=1e-12)


def test_yuv_is_that_of_the_simulator_there_and_back():
    np.testing.assert_allclose(camera.TO_RGB, [[1, 0, 0.701], [1, -0.1721, -0.3571], [1, 0.886, 0]], atol=2e-4)
    assert np.allclose(camera.TO_YUV @ [1, 1, 1], [1, 0, 0])


def test_median_is_that_of_five_pixels_in_yuv():
    yuv = RGB @ camera.TO_YUV.T
    expected = np.empty_like(yuv)
    for y, x in np.ndindex(RGB.shape[:2]):
        plus = [clamped(yuv, y + dy, x + dx) for dy, dx in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))]
        expected[y, x] = np.median(plus, axis=0)
    np.testing.assert_allclose(camera.median(RGB) @ camera.TO_YUV.T, expected, atol=1e-12)


def slow_bilateral_grid(values, guide, space_sigma, range_sigma):
    """The three steps cell by cell: splat, blur by the distance of every two cells, interpolate between eight."""
    height, width = guide.shape
    shape = (-(-height // CELL), -(-width // CELL), BINS)
    sums, counts = np.zeros((*shape, values.shape[2])), np.zeros(shape)
    for y, x in np.ndindex(guide.shape):
        cell = y // CELL, x // CELL, min(int(guide[y, x] * BINS), BINS - 1)
        sums[cell] += values[y, x]
        counts[cell] += 1
    cells = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    scaled = cells / [space_sigma, space_sigma, range_sigma]
    weights = np.exp(-((scaled[:, None] - scaled[None]) ** 2).sum(axis=-1) / 2)
    sums = (weights @ sums.reshape(len(cells), -1)).reshape(sums.shape)
    counts = (weights @ counts.ravel()).reshape(shape)
    result = np.zeros_like(values)
    for y, x in np.ndindex(guide.shape):
        place = [(y + 0.5) / CELL - 0.5, (x + 0.5) / CELL - 0.5, guide[y, x] * BINS - 0.5]
        place = np.clip(place, 0, np.array(shape) - 1)
        low = np.minimum(np.floor(place).astype(int), np.array(shape) - 2)
        total = np.zeros(values.shape[2] + 1)
        for corner in itertools.product((0, 1), repeat=3):
            share = np.prod(np.where(corner, place - low, 1 - (place - low)))
            cell = tuple(low + corner)
            total += share * np.append(sums[cell], counts[cell])
        result[y, x] = total[:-1] / total[-1]
    return result


@pytest.mark.parametrize("sigmas", [(0.25, 0.1), (1.0, 1.0), (6.0, 0.05), (0.6, 8.0)])
def test_bilateral_grid_agrees_with_a_loop_over_cells(sigmas):
    values, guide = RNG.random((7, 10, 2)), RNG.random((7, 10))
    guide[0, :2] = 0, 1
    np.testing.assert_allclose(bilateral_grid(values, guide, *sigmas), slow_bilateral_grid(values, guide, *sigmas),
                               rtol=1e-9)


def test_bilateral_grid_smooths_noise_and_keeps_the_edge():
    edge = np.where(np.arange(40) < 20, 0.2, 0.8) * np.ones((40, 1))
    noisy = edge + 0.01 * RNG.standard_normal(edge.shape)
    smooth = bilateral_grid(noisy[..., None], noisy, 4, 1)[..., 0]
    assert np.abs(smooth - edge).max() < 0.01
    assert (smooth - edge).std() < 0.003


def test_luma_is_smoothed_along_its_root_and_chroma_along_the_smooth_luma():
    p = Parameters(0, 0, 0.8, 0.9, 9.0, 0.3, 0, 7)
    yuv = RGB @ camera.TO_YUV.T
    luma = slow_bilateral_grid(yuv[..., :1], np.sqrt(yuv[..., 0]), 0.8, 0.9)
    chroma = slow_bilateral_grid(yuv[..., 1:], luma[..., 0], 9.0, 0.3)
    smooth = camera.smooth(RGB, p) @ camera.TO_YUV.T
    np.testing.assert_allclose(smooth, np.concatenate([luma, chroma], axis=-1), atol=1e-9)


def test_sharpening_adds_a_share_of_strong_detail_only():
    kernel = np.exp(-np.arange(-16, 17) ** 2 / 32)
    blurred = np.pad(RGB, ((16, 16), (16, 16), (0, 0)), mode="edge")
    for axis in (0, 1):
        blurred = np.apply_along_axis(np.convolve, axis, blurred, kernel / kernel.sum(), mode="valid")
    detail = RGB - blurred
    expected = np.where(np.abs(detail) > 3 / 255, RGB + 0.25 * detail, RGB).clip(0, 1)
    np.testing.assert_allclose(camera.sharpen(RGB, 0.25), expected, atol=1e-12)
    faint = 0.5 + 0.01 * (RGB - 0.5)
    assert np.array_equal(camera.sharpen(faint, 0.25), faint)


def test_srgb_curve_has_its_published_values_and_its_inverse():
    assert camera.linear_to_srgb(np.array([0, 0.0031308, 0.18, 1])) == pytest.approx([0, 0.04045, 0.46136, 1], abs=1e-5)
    assert camera.srgb_to_linear(np.array([0.04045, 0.5])) == pytest.approx([0.0031308, 0.2140411], abs=1e-6)
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(camera.quantise(camera.linear_to_srgb(camera.srgb_to_linear(levels / 255))), levels)


def test_jpeg_halves_chroma_below_level_7_and_errs_less_at_higher_levels():
    stripes = np.full((32, 32, 3), 128, dtype=np.uint8)
    stripes[:, ::2, 0] = 200
    contrast = [np.ptp(camera.compress(stripes, level).mean(axis=0) @ camera.TO_YUV[2]) for level in (4, 5, 6, 7)]
    assert max(contrast[:3]) < 35 and contrast[3] > 60
    noise = (RNG.random((64, 64, 3)) * 255).astype(np.uint8)
    errors = [np.abs(camera.compress(noise, level).astype(int) - noise).mean() for level in (4, 5, 6, 7)]
    assert errors == sorted(errors, reverse=True)


def test_parameters_follow_the_distributions_of_the_simulator():
    drawn = [camera.draw_parameters(np.random.default_rng(seed)) for seed in range(3000)]
    columns = {name: np.array(column) for name, column in zip(Parameters._fields, zip(*drawn))}
    columns["chroma_space"] /= columns["luma_space"]
    columns["chroma_range"] /= columns["luma_range"]
    bounds = {"shot": (0.01, 0.2), "read": (0.01, 0.1), "luma_space": (0.25, 1), "luma_range": (0.1, 1),
              "chroma_space": (8, 32), "chroma_range": (0.1, 0.5)}
    for name, (low, high) in bounds.items():
        place = np.log(columns[name] / low) / np.log(high / low)
        np.testing.assert_allclose(np.quantile(place, [0, 0.25, 0.5, 0.75, 1]), [0, 0.25, 0.5, 0.75, 1], atol=0.03)
    amount = columns["sharpening"] / 0.25
    np.testing.assert_allclose(np.quantile(amount, [0, 0.25, 0.5, 0.75, 1]), [0, 0.25, 0.5, 0.75, 1], atol=0.03)
    levels, counts = np.unique(columns["jpeg_level"], return_counts=True)
    assert levels.tolist() == [4, 5, 6, 7] and counts.min() > 650
    assert abs(np.corrcoef(np.log([columns[name] for name in bounds]))[np.triu_indices(6, 1)]).max() < 0.08


def test_the_seed_decides_everything():
    def shot(seed):
        rng = np.random.default_rng(seed)
        return camera.photograph(picture(), camera.draw_parameters(rng), rng)

    assert np.array_equal(shot(3), shot(3))
    assert not np.array_equal(shot(3), shot(4))


def test_develop_shows_the_picture_after_every_stage_in_order():
    p = camera.draw_parameters(np.random.default_rng(5))
    steps = list(camera.develop(picture(), p, np.random.default_rng(6)))
    assert [name for name, _ in steps] == ["mosaic", "shot noise", "read noise", "14 bits", "demosaic", "median",
                                           "bilateral grid", "unsharp mask", "sRGB", "8 bits", "JPEG"]
    assert [image.shape for _, image in steps] == 4 * [(64, 80)] + 7 * [(64, 80, 3)]
    final = camera.photograph(picture(), p, np.random.default_rng(6))
    assert final.dtype == np.uint8 and np.array_equal(final, steps[-1][1])


def test_without_noise_and_filters_the_camera_gives_back_a_smooth_picture():
    image = picture()
    for name, stage in camera.stages(QUIET, RNG):
        if name not in ("median", "bilateral grid", "unsharp mask"):
            image = stage(image)
    error = camera.srgb_to_linear(image / 255) - picture()
    assert np.abs(error).max() < 0.04 and error.std() < 0.008


def test_the_camera_leaves_mid_grey_as_bright_as_it_was():
    grey = np.full((32, 32, 3), 0.18)
    restored = camera.srgb_to_linear(camera.photograph(grey, QUIET, RNG) / 255)
    assert restored == pytest.approx(0.18, rel=0.01)  # a level of 8 bits is 0.9 %


@pytest.mark.parametrize(("level", "quality", "subsampling"), (
    (4, 78, "4:2:0"), (5, 82, "4:2:0"), (6, 86, "4:2:0"), (7, 88, "4:4:4")))
def test_every_stage_has_its_own_parameter(level, quality, subsampling):
    p, rng = Parameters(0.11, 0.05, 0.5, 0.7, 9.0, 0.2, 0.13, level), np.random.default_rng(6)
    raw = camera.mosaic(picture())
    raw = raw + 0.11 * np.sqrt(raw) * rng.standard_normal(raw.shape)
    raw = raw + 0.05 * rng.standard_normal(raw.shape)
    rgb = camera.smooth(camera.median(camera.demosaic(camera.quantise_raw(raw))), p)
    srgb = np.round(camera.linear_to_srgb(camera.sharpen(rgb, 0.13)) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(srgb).save(file, "JPEG", quality=quality, subsampling=subsampling)
    taken = camera.photograph(picture(), p, np.random.default_rng(6))
    assert np.array_equal(taken, np.asarray(Image.open(file)))
