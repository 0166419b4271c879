"""What each shipped network gains where its output gets the mean brightness of its input: `python -m
irnas_lib.benchmarks.brightness`.

Noise has no mean, so the mean of a noisy picture is that of the clean one, nearly. What is measured goes to
checkpoints/brightness.json, from which notebook 5c shows it; a network that is there already is not measured again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from irnas_lib.benchmarks.frame import measure_shipped
from irnas_lib.data import datasets
from irnas_lib.evaluation import inference, protocols
from irnas_lib.experiments import records, results, runs
from irnas_lib.metrics import psnr, ssim

FILE = runs.SHIPPED / "brightness.json"
EVERY = 10  # every tenth test picture, as the short trainings are measured on
SYSTEMS = ("DnCNN", "IR-NAS", "IR-NAS*", "IR-NAS + residual")


def shifted(restored: torch.Tensor, degraded: torch.Tensor) -> torch.Tensor:
    """Restored pictures (B, C, H, W) with the mean of each channel that the degraded ones have."""
    return restored + (degraded - restored).mean(dim=(2, 3), keepdim=True)


def measure(result: results.Result, checkpoints: Path, data: str | None, every: int = EVERY) -> dict:
    """Under `strict`, the mean PSNR in dB and SSIM over some test pictures, without and with the shift; by how many
    grey levels of 255 the mean of a picture is off without it, root mean square; and how many pictures. Raises
    CheckpointError or DatasetError."""
    test = datasets.load(result.task, result.dataset, data).test[::every]
    restore = inference.restorer(runs.trained_network(result, checkpoints), runs.best_device())
    rows = []
    for item in protocols.restored_pictures(restore, test, "strict", result.sigma, result.seed):
        pair = item.restored, shifted(item.restored, item.degraded)
        rows.append([measured(picture, item.clean).item() for picture in pair for measured in (psnr, ssim)]
                    + [255 * (item.restored - item.clean).mean().item()])
    table = np.array(rows)
    names = ("psnr", "ssim", "shifted_psnr", "shifted_ssim")
    means = dict(zip(names, table[:, :4].mean(axis=0).round(4).tolist()))
    return means | {"off": round(float(np.sqrt(np.square(table[:, 4]).mean())), 3), "pictures": len(test)}


def load() -> dict:
    """What has been measured, by the name of the result; empty where nothing has."""
    return records.read(FILE, records.BRIGHTNESS) if FILE.is_file() else {}


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is returned."""
    return measure_shipped("brightness", __doc__, FILE, load, measure, lambda result: (
        result.recipe == "matched" and result.system in SYSTEMS), arguments)


if __name__ == "__main__":
    sys.exit(main())
