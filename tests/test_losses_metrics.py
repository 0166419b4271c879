"""PSNR, SSIM and the losses against scikit-image and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from irnas_lib import metrics
from irnas_lib.losses import log_error, log_ssim, restoration_loss
from irnas_lib.metrics import psnr, ssim

SKIMAGE = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}


def pictures(channels, sigma=50):
    """Three crops of a photograph and noisy copies, (3, C, H, W) float64; the noisy ones leave [0, 1]."""
    photograph = data.astronaut()[..., :channels] / 255
    clean = np.stack([photograph[y:y + 40, x:x + 53].transpose(2, 0, 1) for y, x in ((0, 150), (100, 80), (300, 300))])
    noisy = clean + sigma / 255 * np.random.default_rng(0).standard_normal(clean.shape)
    assert noisy.min() < 0 and noisy.max() > 1
    return torch.from_numpy(noisy), torch.from_numpy(clean)


def reference_ssim(restored, clean):
    return [structural_similarity(a, b, channel_axis=0, **SKIMAGE) for a, b in zip(restored.numpy(), clean.numpy())]


@pytest.mark.parametrize("channels", (1, 3))
def test_psnr_is_scikit_images_after_clipping(channels):
    noisy, clean = pictures(channels)
    expected = [peak_signal_noise_ratio(b, a.clip(0, 1), data_range=1) for a, b in zip(noisy.numpy(), clean.numpy())]
    assert psnr(noisy, clean).tolist() == pytest.approx(expected, abs=1e-9)
    assert psnr(noisy.float(), clean.float()).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("channels", (1, 3))
def test_ssim_is_scikit_images_after_clipping(channels):
    noisy, clean = pictures(channels)
    expected = reference_ssim(noisy.clip(0, 1), clean)
    assert ssim(noisy, clean).tolist() == pytest.approx(expected, abs=1e-9)
    assert ssim(noisy.float(), clean.float()).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("band", (1, 7, 30))
def test_ssim_of_a_large_picture_in_bands_is_the_same(monkeypatch, band):
    clean = torch.rand(2, 3, 41, 23, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noisy = clean + 0.1 * torch.randn(clean.shape, dtype=torch.float64)
    expected = ssim(noisy, clean)
    monkeypatch.setattr(metrics, "BAND", band * 23)
    assert torch.allclose(ssim(noisy, clean), expected, rtol=0, atol=1e-14)


def test_padded_ssim_counts_every_position_of_zero_padded_pictures():
    noisy, clean = pictures(1)
    t = np.arange(-5, 6)
    window = np.exp(-(t[:, None] ** 2 + t ** 2) / (2 * 1.5 ** 2))
    window /= window.sum()
    found = ssim(noisy, clean, padding=True).tolist()
    for restored, x, y in zip(found, noisy.clip(0, 1)[:, 0].numpy(), clean[:, 0].numpy()):
        mx, my, xx, yy, xy = (convolve2d(z, window, mode="same") for z in (x, y, x * x, y * y, x * y))
        similarity = ((2 * mx * my + 1e-4) * (2 * (xy - mx * my) + 9e-4)
                      / ((mx ** 2 + my ** 2 + 1e-4) * (xx - mx ** 2 + yy - my ** 2 + 9e-4)))
        assert restored == pytest.approx(similarity.mean(), abs=1e-9)


def test_identical_pictures():
    _, clean = pictures(3)
    assert psnr(clean, clean).tolist() == [math.inf] * 3
    assert ssim(clean, clean).tolist() == pytest.approx([1] * 3)
    assert log_ssim(clean, clean).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("channels", (1, 3))
def test_log_ssim_is_the_mean_of_minus_log10_of_scikit_images_ssim_without_clipping(channels):
    noisy, clean = pictures(channels)
    expected = np.mean([-math.log10(value) for value in reference_ssim(noisy, clean)])
    assert log_ssim(noisy, clean).item() == pytest.approx(expected, abs=1e-9)
    assert log_ssim(noisy.float(), clean.float()).item() == pytest.approx(expected, abs=1e-4)


def test_equation_7():
    noisy, clean = pictures(1)
    error = ((noisy - clean) ** 2).mean().item()
    assert restoration_loss(noisy, clean).item() == pytest.approx(error + 0.5 * log_ssim(noisy, clean).item())
    assert restoration_loss(noisy, clean, 0.6).item() == pytest.approx(error + 0.6 * log_ssim(noisy, clean).item())
    assert restoration_loss(noisy, clean, 0).item() == pytest.approx(error)
    tiny = torch.rand(1, 1, 5, 5)
    assert restoration_loss(tiny, tiny, 0) == 0, "without the SSIM term pictures may be smaller than its window"


def test_negative_ssim_costs_the_floor_and_leaves_finite_gradients():
    clean = torch.rand(3, 1, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inverted = (1 - clean).requires_grad_()
    assert max(reference_ssim(inverted.detach(), clean)) < 0
    assert log_ssim(inverted, clean).item() == pytest.approx(3)
    restoration_loss(inverted, clean).backward()
    assert inverted.grad.isfinite().all() and (inverted.grad != 0).any()


def test_the_gradient_of_log_ssim_is_right():
    clean = torch.rand(2, 1, 12, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noisy = (clean + 0.1 * torch.randn(clean.shape, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: restoration_loss(x, clean), noisy)


@pytest.mark.parametrize("measure", (psnr, ssim, log_ssim))
def test_pictures_of_unequal_shapes_are_refused(measure):
    with pytest.raises(ValueError, match="one shape"):
        measure(torch.rand(1, 1, 20, 20), torch.rand(1, 1, 20, 21))
    with pytest.raises(ValueError, match="one shape"):
        measure(torch.rand(20, 20), torch.rand(20, 20))


@pytest.mark.parametrize("measure", (ssim, log_ssim))
def test_ssim_refuses_pictures_smaller_than_its_window(measure):
    with pytest.raises(ValueError, match="at least 11x11"):
        measure(torch.rand(1, 1, 10, 20), torch.rand(1, 1, 10, 20))


def test_padded_ssim_of_a_large_picture_is_padded_too(monkeypatch):
    noisy, clean = pictures(1)
    expected = ssim(noisy, clean, padding=True)
    monkeypatch.setattr(metrics, "BAND", 7 * 53)
    assert torch.equal(ssim(noisy, clean, padding=True), expected)


def test_ssim_is_not_rounded_to_tf32(monkeypatch):
    allowed, convolve = [], torch.nn.functional.conv2d
    monkeypatch.setattr(metrics.F, "conv2d", lambda *given, **options: (
        allowed.append(torch.backends.cudnn.allow_tf32), convolve(*given, **options))[1])
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    restoration_loss(*pictures(1))
    assert allowed == [False, False] and (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark) == before


def test_the_padded_loss_is_that_of_the_padded_metric():
    noisy, clean = (x.clamp(0, 1) for x in pictures(1))
    expected = -ssim(noisy, clean, padding=True).log10().mean()
    torch.testing.assert_close(log_ssim(noisy, clean, padded=True), expected)


@pytest.mark.parametrize(("padded", "least", "most"), ((True, 0.3, 2), (False, 0, 0.05)))
def test_the_outermost_pixels_count_in_the_padded_loss(padded, least, most):
    """How strongly the loss pulls at the outermost pixels, against those in the middle."""
    torch.manual_seed(0)
    clean = torch.rand(8, 1, 40, 40)
    noisy = (clean + 0.2 * torch.randn_like(clean)).requires_grad_()
    pull = torch.autograd.grad(log_ssim(noisy, clean, padded), noisy)[0].abs().mean(dim=(0, 1))
    frame = torch.cat([pull[0], pull[-1], pull[1:-1, 0], pull[1:-1, -1]]).mean()
    assert least < frame / pull[12:28, 12:28].mean() < most


def test_the_psnr_of_the_frame_is_that_of_its_pixels():
    noisy, clean = pictures(2)
    inside = np.zeros(clean.shape[-2:], bool)
    inside[3:-3, 3:-3] = True
    error = (noisy.clamp(0, 1).numpy().astype(float) - clean.numpy())[..., ~inside]
    assert metrics.frame_psnr(noisy, clean, 3).numpy() == pytest.approx(-10 * np.log10((error ** 2).mean((1, 2))))


@pytest.mark.parametrize("measure", (psnr, ssim))
def test_grey_levels_of_255_are_refused(measure):
    noisy, clean = pictures(1)
    with pytest.raises(ValueError, match="in .0, 1., not up to 2"):
        measure(255 * noisy, 255 * clean)


def test_log_error_falls_as_psnr_rises_and_each_crop_counts_alike():
    torch.manual_seed(0)
    clean = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    noise = torch.randn_like(clean) * torch.tensor([5 / 255, 50 / 255], dtype=torch.float64).reshape(2, 1, 1, 1)
    errors = np.square(noise.numpy()).mean(axis=(1, 2, 3))
    noisy = clean + noise
    assert log_error(noisy, clean).item() == pytest.approx(np.log10(1 + errors * 1e4).mean())
    assert log_error(clean, clean).item() == 0
    assert restoration_loss(noisy, clean, 0, log=True).item() == log_error(noisy, clean).item()
    strong = log_error(clean + torch.stack([noise[1], noise[1] * 10]), clean).item()
    stronger = log_error(clean + torch.stack([noise[1], noise[1] * 100]), clean).item()
    assert stronger - strong == pytest.approx(1, abs=1e-3)  # 20 dB of one crop of two
