"""How well each shipped network restores a picture's outermost pixels: `python -m irnas_lib.benchmarks.frame`.

The loss of Eq. 7 without padding hardly counts the outer pixels of a crop, so that some networks restore a picture's
frame worse than the rest of it. What is measured goes to checkpoints/frame.json, from which notebook 10 shows it; a
network that is there already is not measured again.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import torch
from tqdm import tqdm

from irnas_lib.command import exit_status
from irnas_lib.data import datasets
from irnas_lib.evaluation import inference, validation
from irnas_lib.experiments import records, results, runs
from irnas_lib.files import write_json
from irnas_lib.metrics import frame_psnr, psnr

FILE = runs.SHIPPED / "frame.json"
SIGMA, PICTURES = 50, 8
BORDER = 5  # pixels


def inside_psnr(restored: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """PSNR in dB of what is left without a border."""
    return psnr(*(picture[..., BORDER:-BORDER, BORDER:-BORDER] for picture in (restored, clean)))


def measure(result: results.Result, checkpoints: Path, data: str | None, pictures: int = PICTURES) -> dict:
    """Mean PSNR in dB over some test pictures: of all pixels, of the outermost alone ("frame"), and of the rest without
    a border ("inside"); and how many pictures. Raises CheckpointError or DatasetError."""
    test = datasets.load(result.task, result.dataset, data).test
    chosen = inference.spread(inference.usual(test), pictures)
    scores = validation.scores(runs.trained_network(result, checkpoints), chosen, result.sigma, result.seed,
                               runs.best_device(), (psnr, frame_psnr, inside_psnr))
    means = [round(mean(values), 4) for values in zip(*scores.values())]
    return dict(zip(("psnr", "frame", "inside"), means)) | {"pictures": len(chosen)}


def load() -> dict:
    """What has been measured, by the name of the result; empty where nothing has."""
    return records.read(FILE, records.FRAME) if FILE.is_file() else {}


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is returned."""
    return measure_shipped("frame", __doc__, FILE, load, measure, lambda result: True, arguments)


def measure_shipped(name: str, about: str, file: Path, load: Callable[[], dict], measure: Callable[..., dict],
                    wanted: Callable[[results.Result], bool], arguments: list[str] | None = None) -> int:
    """The command line of a module of this package that measures every shipped network at SIGMA that is `wanted`, and
    that `file` lacks; the exit status is returned."""
    parser = argparse.ArgumentParser(prog=f"python -m irnas_lib.benchmarks.{name}",
                                     description=about.split(":")[0] + ".")
    parser.add_argument("--data", help="folder of the data sets; default: IRNAS_DATA, else data/")
    options = parser.parse_args(arguments)

    def work() -> None:
        found = load()
        shipped = [result for result in results.load(runs.SHIPPED / "results")
                   if (result.task, result.sigma) == ("denoising", SIGMA) and wanted(result)
                   and runs.at_hand(result, runs.SHIPPED)]
        for result in tqdm([result for result in shipped if result.stem not in found], unit="network"):
            found[result.stem] = measure(result, runs.SHIPPED, options.data)
            write_json(file, found)

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
