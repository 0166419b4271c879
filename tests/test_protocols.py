"""Protocols: the same noise for everybody, really redrawn where it should be, tiles that cover the picture."""

import hashlib
import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from irnas_lib.data import tiles as tiling
from irnas_lib.data.datasets import Picture
from irnas_lib.evaluation import protocols

RANDOM = np.random.default_rng(0)
GREY = [Picture(name, RANDOM.integers(0, 256, (*size, 1), dtype=np.uint8))
        for name, size in (("one", (70, 90)), ("two", (64, 113)))]
PAIRS = [Picture("rain", *RANDOM.integers(0, 256, (2, 20, 30, 3), dtype=np.uint8))]
SKIMAGE = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}


def identity(x):
    return x


class Recorder:
    """A restorer that keeps what it was given and returns it, scaled."""

    def __init__(self, scale=1.0):
        self.seen, self.scale = [], scale

    def __call__(self, x):
        self.seen.append(x.clone())
        return x * self.scale


@pytest.mark.parametrize("protocol", ("strict", "redrawn", "half", "file"))
def test_noise_is_the_same_for_every_method_order_and_number_of_calls(protocol):
    pictures = [Picture(p.name, np.tile(p.clean, (2, 2, 1))) for p in GREY]
    methods = Recorder(), Recorder(0.5)
    for method in methods:
        protocols.evaluate(method, pictures, protocol, 50, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(methods[0].seen, methods[1].seen))
    torch.manual_seed(99)
    np.random.seed(99)
    again = Recorder()
    protocols.evaluate(again, pictures[::-1], protocol, 50, seed=3)
    assert {x.numpy().tobytes() for x in again.seen} == {x.numpy().tobytes() for x in methods[0].seen}
    alone = Recorder()
    protocols.evaluate(alone, pictures[1:], protocol, 50, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(alone.seen, again.seen))


def test_noise_differs_by_seed_sigma_and_picture():
    clean = torch.zeros(1, 1, 40, 40)
    fields = [protocols.add_noise(clean, sigma, seed, name) / sigma
              for sigma, seed, name in ((30, 0, "a"), (50, 0, "a"), (30, 1, "a"), (30, 0, "b"))]
    for i, a in enumerate(fields):
        for b in fields[:i]:
            assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.1


@pytest.mark.parametrize("sigma", (30, 50, 70))
def test_noise_has_its_sigma_and_is_neither_clipped_nor_quantised(sigma):
    clean = torch.full((1, 1, 200, 200), 0.97)
    noisy = protocols.add_noise(clean, sigma, 0, "flat")
    assert torch.equal(noisy, protocols.add_noise(clean, float(sigma), 0, "flat"))  # however sigma is written
    noise = (noisy - clean) * 255
    assert noise.std().item() == pytest.approx(sigma, rel=0.02)
    assert abs(noise.mean().item()) < 5 * sigma / 200
    assert noisy.max() > 1.2
    assert noisy.unique().numel() > 0.9 * noisy.numel()


def test_the_noise_field_of_a_picture_never_changes():
    """Pinned: every measured number stands on these fields."""
    field = protocols.add_noise(torch.zeros(1, 1, 2, 3), 255, 0, "100007").flatten().tolist()
    rng = np.random.default_rng(int.from_bytes(bytes.fromhex("e64c3034bc36078e"), "big"))
    assert field == rng.standard_normal(6, dtype=np.float32).tolist()


@pytest.mark.parametrize("length", (64, 65, 111, 112, 113, 160, 321, 481))
def test_tiles_start_as_stated_and_cover_everything(length):
    starts = tiling.tile_starts(length)
    assert starts == list(range(0, length - 64, 48)) + [length - 64]
    assert starts == sorted(set(starts))
    covered = np.zeros(length, int)
    for start in starts:
        covered[start:start + 64] += 1
    assert covered.min() >= 1 and len(covered) == length


def test_a_bsd_picture_is_seventy_tiles():
    assert len(tiling.corners((1, 1, 321, 481))) == 70


def test_a_side_shorter_than_a_tile_is_refused():
    with pytest.raises(ValueError, match="63 pixels is shorter than a tile of 64"):
        tiling.tile_starts(63)


@pytest.mark.parametrize(("tile", "step"), ((64, 48), (16, 16), (20, 7)))
def test_tiles_of_one_picture_join_to_that_picture(tile, step):
    picture = torch.rand(1, 3, 70, 90)
    tiles = [picture[..., y:y + tile, x:x + tile] for y, x in tiling.corners(picture.shape, tile, step)]
    joined = tiling.restore_tiles(identity, tiles, picture.shape, tile, step)
    torch.testing.assert_close(joined, picture)


def coverage(height, width):
    def side(length):
        covered = np.zeros(length, int)
        for start in [*range(0, length - 64, 48), length - 64]:
            covered[start:start + 64] += 1
        return covered
    return np.outer(side(height), side(width))


def test_redrawn_sees_other_noise_in_each_tile():
    clean = torch.zeros(1, 1, 64, 112)
    method = Recorder()
    protocols.restore_redrawn(method, clean, 50, 0, "flat")
    left, right = torch.cat(method.seen)
    assert abs(np.corrcoef(left[..., 48:].flatten(), right[..., :16].flatten())[0, 1]) < 0.1
    assert left.std().item() * 255 == pytest.approx(50, rel=0.05)


def test_redrawn_averages_noise_away_where_tiles_overlap():
    """Averaging c independent draws divides the variance by c: the lift that the authors' test program gives."""
    clean = torch.full((1, 1, 321, 481), 0.5)
    noise = protocols.restore_redrawn(identity, clean, 50, 0, "flat") - clean
    tiles = coverage(321, 481)
    assert set(np.unique(tiles)) == {1, 2, 4}
    for count in (1, 2, 4):
        assert (noise[0, 0].numpy()[tiles == count] * 255).std() == pytest.approx(50 / math.sqrt(count), rel=0.03)
    expected = 20 * math.log10(255 / 50) - 10 * math.log10((1 / tiles).mean())
    flat = [Picture("flat", np.full((321, 481, 1), 128, np.uint8))]
    unclipped = 10 * math.log10(1 / noise.square().mean().item())
    assert unclipped == pytest.approx(expected, abs=0.05)
    redrawn, strict = (protocols.evaluate(identity, flat, name, 50).psnr for name in ("redrawn", "strict"))
    assert redrawn > strict + 1


def test_strict_is_the_mean_over_pictures_of_scikit_images_measures():
    method = Recorder(0.9)
    score = protocols.evaluate(method, GREY, "strict", 30, seed=1)
    expected = []
    for picture, noisy in zip(GREY, method.seen):
        clean, restored = picture.clean[..., 0] / 255, (noisy[0, 0].double().numpy() * 0.9).clip(0, 1)
        expected.append((peak_signal_noise_ratio(clean, restored, data_range=1),
                         structural_similarity(clean, restored, **SKIMAGE)))
        assert noisy.shape == (1, 1, *clean.shape), "the whole picture at once"
    assert (score.psnr, score.ssim) == pytest.approx(tuple(np.mean(expected, axis=0)), abs=1e-4)
    assert (score.pictures, score.ssim_padded) == (2, None)


def test_only_redrawn_gives_the_padded_ssim_too():
    score = protocols.evaluate(identity, GREY, "redrawn", 30)
    assert score.ssim_padded is not None and score.ssim_padded != score.ssim


@pytest.mark.parametrize("channels", (1, 3))
def test_a_file_holds_noise_that_is_clipped_and_rounded(channels, tmp_path):
    """Against a file: what a network is given is what PIL reads back of the noisy picture."""
    picture = Picture("one", RANDOM.integers(0, 256, (70, 90, channels), dtype=np.uint8))
    method = Recorder(0.5)
    score = protocols.evaluate(method, [picture], "file", 60, seed=1)
    (seen,) = method.seen
    levels = (seen[0].permute(1, 2, 0) * 255).numpy()
    Image.fromarray(levels.round().astype(np.uint8).squeeze()).save(tmp_path / "file.png")
    assert np.abs(levels - np.asarray(Image.open(tmp_path / "file.png")).reshape(levels.shape)).max() < 1e-4
    assert seen.min() == 0 and seen.max() == 1
    inside = (picture.clean > 80) & (picture.clean < 175)
    assert (levels - picture.clean)[inside].std() == pytest.approx(60, rel=0.12)
    assert (levels == 0)[picture.clean == 0].mean() == pytest.approx(0.5, abs=0.15), "half of black stays black"
    assert score.psnr == pytest.approx(
        peak_signal_noise_ratio(picture.clean / 255, levels.astype(float) * 0.5 / 255, data_range=1), abs=1e-4)


def test_half_size_is_pillows_bicubic():
    array = RANDOM.integers(0, 256, (21, 30, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(array).resize((15, 10), Image.Resampling.BICUBIC))
    assert np.array_equal(protocols.half_size(array), expected)
    method = Recorder()
    protocols.evaluate(method, GREY, "half", 30)
    assert [x.shape for x in method.seen] == [(1, 1, 35, 45), (1, 1, 32, 56)]


def test_pairs_are_measured_in_rgb_and_in_luma():
    (picture,) = PAIRS
    clean, rainy = picture.clean / 255, picture.degraded / 255
    score = protocols.evaluate(identity, PAIRS, "strict")
    assert score.psnr == pytest.approx(peak_signal_noise_ratio(clean, rainy, data_range=1), abs=1e-4)
    assert score.ssim == pytest.approx(structural_similarity(clean, rainy, channel_axis=2, **SKIMAGE), abs=1e-5)
    # scikit-image's Y'UV has the same luma, full range, with the weights 0.299, 0.587, 0.114
    y_clean, y_rainy = (color.rgb2yuv(array)[..., 0] for array in (clean, rainy))
    score = protocols.evaluate(identity, PAIRS, "strict_y")
    assert score.psnr == pytest.approx(peak_signal_noise_ratio(y_clean, y_rainy, data_range=1), abs=1e-3)
    assert score.ssim == pytest.approx(structural_similarity(y_clean, y_rainy, **SKIMAGE), abs=1e-4)


@pytest.mark.parametrize(("protocol", "pictures", "message"), (
    ("loose", GREY, "unknown protocol 'loose' .known: strict, redrawn, half, strict_y, file"),
    ("strict_y", GREY, "'strict_y' does not fit one"),
    ("redrawn", PAIRS, "'redrawn' does not fit rain"),
    ("half", PAIRS, "'half' does not fit rain"),
    ("file", PAIRS, "'file' does not fit rain"),
))
def test_unknown_and_unfitting_protocols_are_refused(protocol, pictures, message):
    with pytest.raises(ValueError, match=message):
        protocols.evaluate(identity, pictures, protocol, 50)


def test_redrawn_noise_differs_by_seed_sigma_and_picture_and_from_that_of_strict():
    clean = torch.zeros(1, 1, 64, 64)
    fields = [protocols.restore_redrawn(identity, clean, sigma, seed, name) / sigma
              for sigma, seed, name in ((30, 0, "a"), (50, 0, "a"), (30, 1, "a"), (30, 0, "b"))]
    fields.append(protocols.add_noise(clean, 30, 0, "a") / 30)
    for i, a in enumerate(fields):
        for b in fields[:i]:
            assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.1


def test_luma_is_that_of_the_clipped_picture():
    (picture,) = PAIRS
    y_clean, y_restored = (color.rgb2yuv(array)[..., 0] for array in (
        picture.clean / 255, (1.5 * picture.degraded / 255).clip(0, 1)))
    score = protocols.evaluate(lambda degraded: 1.5 * degraded, PAIRS, "strict_y")
    assert score.psnr == pytest.approx(peak_signal_noise_ratio(y_clean, y_restored, data_range=1), abs=1e-3)
    assert score.ssim == pytest.approx(structural_similarity(y_clean, y_restored, **SKIMAGE), abs=1e-4)


def test_what_is_measured_together_is_what_is_measured_alone():
    assert protocols.grouped(["strict", "redrawn", "half"]) == [["strict"], ["redrawn"], ["half"]]
    assert protocols.grouped(["strict", "strict_y"]) == [["strict", "strict_y"]]
    assert protocols.grouped(["redrawn"]) == [["redrawn"]] and protocols.grouped([]) == []


def test_the_noise_of_the_tiles_of_a_picture_never_changes():
    """Pinned: every number measured in `redrawn` stands on these draws, tile after tile, row by row."""
    method = Recorder()
    protocols.restore_redrawn(method, torch.zeros(1, 1, 112, 64 + 96), 255, 0, "100007")
    seed = int.from_bytes(hashlib.sha256(b"0 255 100007 redrawn 48").digest()[:8], "big")
    rng = np.random.default_rng(seed)
    expected = np.concatenate([rng.standard_normal((1, 1, 64, 64), dtype=np.float32) for _ in range(2 * 3)])
    assert np.array_equal(torch.cat(method.seen).numpy(), expected)
    clean = torch.arange(112 * 160.0).view(1, 1, 112, 160)
    protocols.restore_redrawn(method, clean, 0, 0, "100007")
    assert [tile[0, 0].item() for tile in method.seen[-1][:, 0]] == [
        clean[0, 0, top, left].item() for top in (0, 48) for left in (0, 48, 96)]
