"""Why colour BM3D fails on a camera's noise: `python -m irnas_lib.benchmarks.camera_noise`.

Is it told too small a sigma, or does the correlation of the noise defeat it? Test pairs of SIM1800 are restored with
the sigma that is estimated from each and with the noise's true standard deviation; and the same clean pictures with
white noise of that deviation. What is measured goes to checkpoints/camera_noise.json, from which notebook 7 shows it.
"""

import argparse
import sys

import numpy as np
import torch
from skimage.restoration import estimate_sigma
from tqdm import tqdm

from irnas_lib.baselines.bm3d import bm3d_rgb
from irnas_lib.command import exit_status
from irnas_lib.data import datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.evaluation import protocols
from irnas_lib.experiments import records, runs
from irnas_lib.files import write_json
from irnas_lib.metrics import psnr
from irnas_lib.tables.comparison import over_pictures

FILE = runs.SHIPPED / "camera_noise.json"
DATASET = "SIM1800-BSD500"
EVERY = 30  # every so many-th test pair: BM3D takes long


def measure(clean: torch.Tensor, degraded: torch.Tensor) -> dict[str, float]:
    """Of one pair, (1, 3, H, W) in [0, 1]: the standard deviation of its noise about the mean of each channel and what
    is estimated from the degraded side, root mean square over the channels, in grey levels of 255; PSNR in dB of the
    degraded side, and of BM3D told the estimates of the channels and the deviation. Raises ModuleNotFoundError without
    BM3D."""
    deviation = 255 * (degraded - clean).var(dim=(2, 3)).mean().sqrt().item()
    estimates = estimate_sigma(degraded[0].permute(1, 2, 0).numpy(), channel_axis=-1)
    restored = {"input": degraded, "told_estimate": bm3d_rgb(degraded), "told_deviation": bm3d_rgb(degraded, deviation)}
    return {"deviation": deviation, "estimate": 255 * float(np.sqrt(np.square(estimates).mean())),
            **{name: psnr(picture, clean).item() for name, picture in restored.items()}}


def summary(measured: list[dict[str, float]]) -> dict[str, float]:
    """The means over pairs of what `measure` found, how many there are, and as `half` half the 95% interval over them
    of what BM3D gains over its input when told the deviation."""
    gains = [row["told_deviation"] - row["input"] for row in measured]
    found = {name: float(np.mean([row[name] for row in measured])) for name in measured[0]}
    found["half"] = over_pictures(float(np.std(gains, ddof=1)) / np.sqrt(len(gains)), len(gains))
    return {name: round(value, 4) for name, value in found.items()} | {"pairs": len(measured)}


def load() -> dict:
    """What has been measured, of "camera" and "white" noise; empty where nothing has."""
    return records.read(FILE, records.CAMERA_NOISE) if FILE.is_file() else {}


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is returned."""
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.benchmarks.camera_noise",
                                     description=__doc__.split(":")[0] + ".")
    parser.add_argument("--data", help="folder of the data sets; default: IRNAS_DATA, else data/")
    options = parser.parse_args(arguments)

    def work() -> None:
        rows = {"camera": [], "white": []}
        for picture in tqdm(datasets.load("sim1800", DATASET, options.data).test[::EVERY], unit="pair"):
            clean, degraded = (to_tensor(side).unsqueeze(0) for side in (picture.clean, picture.degraded))
            rows["camera"].append(measure(clean, degraded))
            white = protocols.add_noise(clean, rows["camera"][-1]["deviation"], 0, picture.name)
            rows["white"].append(measure(clean, white))
        write_json(FILE, {noise: summary(measured) for noise, measured in rows.items()})

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
