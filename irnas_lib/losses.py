"""The loss of Eq. 7: mean squared error plus a log-SSIM term (Eq. 8)."""

import torch
from torch.nn import functional as F

from irnas_lib.metrics import structural_similarity

ERROR_FLOOR = 1e-4  # 40 dB; a crop that is restored better hardly counts more
SSIM_FLOOR = 1e-3  # SSIM can be zero or negative early in training, where the logarithm has no value


def log_ssim(restored: torch.Tensor, clean: torch.Tensor, padded: bool = False) -> torch.Tensor:
    """Eq. 8, log10(1 / SSIM), averaged over the batch: (B, C, H, W) twice -> scalar >= 0.

    SSIM is taken per picture, on the unclipped output, and not below 0.001, so one picture costs at most 3. Its mean
    is over the positions where the window fits, in which a crop's outermost pixels hardly count, or, `padded`, over
    all positions of the crop padded by zeros, as in the authors' program.
    """
    return -structural_similarity(restored, clean, padded).clamp(min=SSIM_FLOOR).log10().mean()


def log_error(restored: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """log10(1 + mean squared error / 0.0001) of each crop, averaged over the batch: (B, C, H, W) twice -> scalar >= 0.

    Close to -PSNR / 10, so that crops of little noise, whose errors are small, count about as much as those of much.
    """
    error = (restored - clean).square().mean(dim=(1, 2, 3))
    return (1 + error / ERROR_FLOOR).log10().mean()


def restoration_loss(restored: torch.Tensor, clean: torch.Tensor, weight: float = 0.5,
                     padded: bool = False, log: bool = False) -> torch.Tensor:
    """Eq. 7, mean squared error + weight * log_ssim, a scalar.

    weight: the paper's lambda; 0 leaves the error alone. log: `log_error` in place of the mean squared error.
    """
    error = log_error(restored, clean) if log else F.mse_loss(restored, clean)
    return error + weight * log_ssim(restored, clean, padded) if weight else error
