"""PSNR and SSIM of pictures in [0, 1], and the structural similarity behind the SSIM loss."""

import torch
from torch.nn import functional as F

WINDOW, WINDOW_SIGMA = 11, 1.5
C1, C2 = 0.01 ** 2, 0.03 ** 2  # for a dynamic range of 1
BAND = 2 ** 20  # pixels whose moments are in memory at a time, where SSIM is only measured


def psnr(restored: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio in dB, peak 1, over all channels jointly; `restored` is clipped to [0, 1].

    (B, C, H, W) twice -> (B,). Identical pictures give infinity. Raises ValueError for unequal shapes and
    for pictures of 0 to 255.
    """
    _check(restored, clean)
    _check_range(clean)
    error = (restored.clamp(0, 1).double() - clean.double()).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(error)


def frame_psnr(restored: torch.Tensor, clean: torch.Tensor, width: int = 1) -> torch.Tensor:
    """PSNR in dB as `psnr`, of the outermost pixels alone: a frame of `width` pixels. (B, C, H, W) twice -> (B,)."""
    _check(restored, clean)
    inside = torch.zeros(clean.shape[-2:], dtype=torch.bool, device=clean.device)
    inside[width:-width, width:-width] = True
    error = (restored.clamp(0, 1).double() - clean.double()).square()[..., ~inside].mean(dim=(1, 2))
    return -10 * torch.log10(error)


def ssim(restored: torch.Tensor, clean: torch.Tensor, padding: bool = False) -> torch.Tensor:
    """SSIM (Wang et al. 2004): 11x11 Gaussian window of sigma 1.5; `restored` is clipped to [0, 1].

    (B, C, H, W) twice -> (B,), the mean over the positions where the window fits and over channels; with
    `padding` over all positions of zero-padded pictures, as the authors' program has it. Computed in float64.
    """
    _check(restored, clean)
    _check_range(clean)
    rows, height = max(1, BAND // clean.shape[-1]), clean.shape[-2]
    if padding or height <= rows:
        return structural_similarity(restored.clamp(0, 1).double(), clean.double(), padding)
    total = 0
    for top in range(0, height - WINDOW + 1, rows):  # where windows begin
        band = slice(top, min(top + rows, height - WINDOW + 1) + WINDOW - 1)
        part = structural_similarity(restored[..., band, :].clamp(0, 1).double(), clean[..., band, :].double())
        total = total + part * (band.stop - band.start - WINDOW + 1)
    return total / (height - WINDOW + 1)


def structural_similarity(x: torch.Tensor, y: torch.Tensor, padding: bool = False) -> torch.Tensor:
    """Differentiable SSIM without clipping, (B, C, H, W) twice -> (B,), in the inputs' precision.

    Raises ValueError for unequal shapes or pictures smaller than the window.
    """
    _check(x, y)
    if min(x.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs pictures of at least {WINDOW}x{WINDOW} pixels, not {tuple(x.shape[-2:])}")
    t = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    window = torch.exp(-t.square() / (2 * WINDOW_SIGMA ** 2))
    window = window / window.sum()

    moments = torch.cat([x, y, x * x, y * y, x * y], dim=1).flatten(0, 1).unsqueeze(1)
    pad = WINDOW // 2 if padding else 0
    cudnn = torch.backends.cudnn
    with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
        # A GPU may round what it convolves to TF32's 11 bits, too few for the differences below.
        moments = F.conv2d(F.conv2d(moments, window.view(1, 1, 1, -1), padding=(0, pad)),
                           window.view(1, 1, -1, 1), padding=(pad, 0))
    mean_x, mean_y, xx, yy, xy = moments.view(len(x), 5, x.shape[1], *moments.shape[-2:]).unbind(dim=1)
    covariance = xy - mean_x * mean_y
    variances = (xx - mean_x.square()) + (yy - mean_y.square())
    similarity = ((2 * mean_x * mean_y + C1) * (2 * covariance + C2)
                  / ((mean_x.square() + mean_y.square() + C1) * (variances + C2)))
    return similarity.mean(dim=(1, 2, 3))


def _check_range(clean: torch.Tensor) -> None:
    """Refuses grey levels of 255. On a GPU, where to look would be to wait, it does not look."""
    if clean.device.type == "cpu" and clean.numel() and clean.amax() > 2:
        raise ValueError(f"expected a clean picture in [0, 1], not up to {clean.amax():g}")


def _check(x: torch.Tensor, y: torch.Tensor) -> None:
    if x.shape != y.shape or x.dim() != 4:
        raise ValueError(f"expected two batches of one shape (B, C, H, W), not {tuple(x.shape)} and {tuple(y.shape)}")
