"""Why colour BM3D fails on a camera's noise, and what networks do there: `python -m irnas_lib.benchmarks.camera_noise`.

Does the correlation of the noise defeat BM3D, or the detail that the camera has lost? Test pairs of SIM1800 are
restored by BM3D, told the true standard deviation of the error, and told a spectrum of that deviation, whose shape is
the mean over training pairs, and by the shipped networks; and the same clean pictures with the camera's noise alone,
with that noise made stationary, with noise that is white over pixels and whose channels go together like the camera's,
and with white noise as strong as the error or as the noise. What is measured goes, pair by pair, to
checkpoints/camera_noise.json, from which notebook 7 shows it; pairs that are there are not measured again.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from scipy.stats import sem
from skimage.restoration import estimate_sigma
from tqdm import tqdm

from irnas_lib.baselines.bm3d import bm3d_rgb
from irnas_lib.command import exit_status
from irnas_lib.data import camera, datasets
from irnas_lib.data.pictures import to_tensor
from irnas_lib.data.seeds import noise_generator
from irnas_lib.data.tiles import Restore
from irnas_lib.evaluation import inference, protocols
from irnas_lib.experiments import records, results, runs
from irnas_lib.files import data_folder, write_json
from irnas_lib.metrics import psnr
from irnas_lib.tables.comparison import over_pictures

FILE = runs.SHIPPED / "camera_noise.json"
DATASET = "SIM1800-BSD500"
EVERY = 5  # every so many-th test pair: BM3D takes long
TRAINING_PAIRS = 200  # the first ones, each of another photograph


def mean_spectrum(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> np.ndarray:
    """Of the errors of pairs (clean, degraded), (1, 3, H, W) each, about the mean of each channel: the power spectrum,
    (H, W, 3), as an error of standard deviation 1 over all channels would have it, averaged over the pairs."""
    spectra = []
    for clean, degraded in pairs:
        error = (degraded - clean).double()
        error = (error - error.mean(dim=(2, 3), keepdim=True)) / error.var(dim=(2, 3)).mean().sqrt()
        spectra.append(torch.fft.fft2(error)[0].abs().square().movedim(0, -1).numpy())
    return np.mean(spectra, axis=0)


def without_noise(clean: np.ndarray, parameters: camera.Parameters) -> np.ndarray:
    """The camera's picture of `clean`, both sRGB, uint8 (H, W, 3), had its sensor no noise: what else it does."""
    quiet = parameters._replace(shot=0.0, read=0.0)
    return camera.photograph(camera.srgb_to_linear(clean / 255), quiet, np.random.default_rng(0))


def deviation(clean: torch.Tensor, degraded: torch.Tensor) -> float:
    """Of a pair's error about the mean of each channel: root mean square over the channels, in grey levels of 255."""
    return 255 * (degraded - clean).var(dim=(2, 3)).mean().sqrt().item()


def correlation(clean: torch.Tensor, degraded: torch.Tensor) -> float:
    """Of a pair's error, (1, C, H, W), between pixels side by side, the mean over the channels: 0 for white noise."""
    error = (degraded - clean).double()
    error = error - error.mean(dim=(2, 3), keepdim=True)
    along = (error[..., 1:] * error[..., :-1]).mean(dim=(2, 3)) / error.square().mean(dim=(2, 3))
    return along.mean().item()


def stationary(noise: torch.Tensor, *key: str | int) -> torch.Tensor:
    """Noise (1, C, H, W) with its phases redrawn by `noise_generator(*key)`: the same means, and the same correlation
    over pixels and channels, but equally strong everywhere, whatever the picture."""
    field = noise_generator(*key).normal(size=noise.shape[-2:])
    turns = torch.fft.fft2(torch.from_numpy(field))  # of a real field, so that the result is real, too
    turns = turns / turns.abs()
    turns[0, 0] = 1  # keeps the means
    return torch.fft.ifft2(torch.fft.fft2(noise.double()) * turns).real.to(noise.dtype)


def white_over_pixels(noise: torch.Tensor, *key: str | int) -> torch.Tensor:
    """Noise like `noise`, (1, C, H, W), without any correlation over pixels: the same means, and the same covariance of
    the channels; drawn by `noise_generator(*key)`."""
    flat = noise[0].flatten(1).double()
    drawn = torch.from_numpy(noise_generator(*key).normal(size=tuple(flat.shape)))
    mixed = torch.linalg.cholesky(torch.cov(flat)) @ drawn + flat.mean(dim=1, keepdim=True)
    return mixed.reshape(noise.shape).to(noise.dtype)


def decibels(restored: torch.Tensor, clean: torch.Tensor) -> float:
    """PSNR of one picture, as the record keeps it."""
    return round(psnr(restored, clean).item(), 4)


def at_the_means(restored: torch.Tensor, clean: torch.Tensor) -> float:
    """PSNR, as of `decibels`, of a picture whose channels would have the means of the clean one's."""
    return round(20 * math.log10(255 / deviation(clean, restored)), 4)


def measure(clean: torch.Tensor, degraded: torch.Tensor, restored: torch.Tensor) -> dict[str, float]:
    """Of one pair, (1, 3, H, W) in [0, 1]: the deviation of its error, and what is estimated from the degraded side,
    root mean square over the channels, in grey levels of 255; the correlation of its error between neighbours; PSNR in
    dB of the degraded side, and of `restored`, by BM3D told the deviation."""
    sigma = deviation(clean, degraded)
    estimates = estimate_sigma(degraded[0].permute(1, 2, 0).numpy(), channel_axis=-1)
    return {"deviation": round(sigma, 4), "estimate": round(255 * float(np.sqrt(np.square(estimates).mean())), 4),
            "correlation": round(correlation(clean, degraded), 4), "input": decibels(degraded, clean),
            "told_deviation": decibels(restored, clean)}


def measure_picture(picture: datasets.Picture, parameters: camera.Parameters, spectrum: np.ndarray,
                    networks: Mapping[str, Restore]) -> dict[str, dict]:
    """Of a test pair of the camera and of what `load` names beside it: what `measure` finds. Of the camera's, in dB,
    also BM3D told a spectrum as of `mean_spectrum`, scaled to the deviation; the camera without noise; the networks;
    and what `at_the_means` finds of both BM3D's, of the camera without noise and of the networks. Raises
    ModuleNotFoundError without BM3D."""
    clean, degraded = tensors(picture)
    quiet = to_tensor(without_noise(picture.clean, parameters)).unsqueeze(0)
    alone, sigma = clean + degraded - quiet, deviation(clean, degraded)
    told = {"told_deviation": bm3d_rgb(degraded, sigma),
            "told_spectrum": bm3d_rgb(degraded, spectrum=spectrum * (sigma / 255) ** 2)}
    restored = {name: restore(degraded) for name, restore in networks.items()}

    def with_bm3d(noisy: torch.Tensor) -> dict[str, float]:
        return measure(clean, noisy, bm3d_rgb(noisy, deviation(clean, noisy)))

    def white(strength: float) -> dict[str, float]:
        return with_bm3d(protocols.add_noise(clean, strength, 0, picture.name))

    of_camera = measure(clean, degraded, told["told_deviation"]) | {
        "told_spectrum": decibels(told["told_spectrum"], clean), "without_noise": decibels(quiet, clean),
        "networks": {name: decibels(output, clean) for name, output in restored.items()},
        "at_the_means": {name: at_the_means(output, clean)
                         for name, output in (told | {"without_noise": quiet} | restored).items()}}
    redrawn = clean + stationary(alone - clean, 0, picture.name, "phases")
    scattered = clean + white_over_pixels(alone - clean, 0, picture.name, "channels")
    found = {"camera": of_camera, "noise": with_bm3d(alone), "stationary": with_bm3d(redrawn),
             "channels": with_bm3d(scattered), "white": white(sigma), "weak_white": white(deviation(clean, alone))}
    return {noise: {"pair": picture.name} | row for noise, row in found.items()}


def load() -> dict[str, list[dict]]:
    """What has been measured of every pair: "camera"; the camera's "noise" alone, added to the clean picture; the same
    made "stationary"; noise that has its "channels" and is white over pixels; "white" noise of the deviation of
    "camera", and "weak_white" of that of "noise". Empty where nothing has."""
    return records.read(FILE, records.CAMERA_NOISE) if FILE.is_file() else {}


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """Mean and half the 95% interval of what some pairs gain, in dB."""
    return mean(gains), over_pictures(float(sem(gains)), len(gains))


def tensors(picture: datasets.Picture) -> tuple[torch.Tensor, torch.Tensor]:
    """The clean and the degraded side, (1, C, H, W) each."""
    return to_tensor(picture.clean).unsqueeze(0), to_tensor(picture.degraded).unsqueeze(0)


def drawn(file: Path) -> dict[str, camera.Parameters]:
    """What was drawn for each kept patch of the list that data_scripts/sim1800.py has written, by the pair's name."""
    with open(file, newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["verdict"] == "kept"]
    return {Path(row["patch"]).stem: camera.Parameters(*(float(row[name]) for name in camera.Parameters._fields[:-1]),
                                                       jpeg_level=int(row["jpeg_level"])) for row in rows}


def shipped() -> dict[str, Restore]:
    """By system: the networks for SIM1800 whose weights are shipped, ready to restore."""
    return {result.system: inference.restorer(runs.trained_network(result, runs.SHIPPED), "cpu")
            for result in results.load(runs.SHIPPED / "results")
            if result.task == "sim1800" and runs.at_hand(result, runs.SHIPPED)}


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is returned."""
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.benchmarks.camera_noise",
                                     description=__doc__.split(":")[0] + ".")
    parser.add_argument("--data", help="folder of the data sets; default: IRNAS_DATA, else data/")
    options = parser.parse_args(arguments)

    def work() -> None:
        pictures = datasets.load("sim1800", DATASET, options.data)
        parameters = drawn(data_folder(options.data) / DATASET / "test" / "list.csv")
        spectrum, networks = mean_spectrum(map(tensors, pictures.train[:TRAINING_PAIRS])), shipped()
        found = load()
        for picture in tqdm(pictures.test[::EVERY], unit="pair"):
            if all(row["pair"] != picture.name for row in found.get("camera", ())):
                for noise, row in measure_picture(picture, parameters[picture.name], spectrum, networks).items():
                    found.setdefault(noise, []).append(row)
                write_json(FILE, found)

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
