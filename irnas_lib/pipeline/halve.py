"""Shipped weights in half precision, where that hardly changes what they restore: `python -m irnas_lib.pipeline.halve`.

Each network of checkpoints/ restores some test pictures with its weights as they are and rounded to 16 bits. Where the
mean PSNR moves by less than LIMIT the rounded ones take their place, in half the bytes. Batch norms and biases keep
their 32 bits: they are few, and their errors add up over a whole picture. The results keep the scores of the weights as
they were trained.
"""

import argparse
import copy
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from irnas_lib.command import exit_status, number
from irnas_lib.data import datasets
from irnas_lib.evaluation import inference, protocols
from irnas_lib.experiments import manifest, results, runs
from irnas_lib.runtime import interrupts_held
from irnas_lib.training.checkpoints import save_weights

LIMIT = 0.005  # dB


def _large(tensor: torch.Tensor) -> bool:
    """Whether it is worth rounding: weights of convolutions and matrices."""
    return tensor.dtype == torch.float32 and tensor.dim() > 1


def rounded(network: nn.Module) -> nn.Module:
    """A copy whose large weights are of 16 bits."""
    network = copy.deepcopy(network)
    for tensor in (*network.parameters(), *network.buffers()):
        if _large(tensor):
            tensor.data = tensor.data.half()
    return network


def halve(result: results.Result, checkpoints: Path, data: str | None, pictures: int) -> str:
    """Rounds the weights of one result in a folder of checkpoints if it may, and says what it found.

    Raises CheckpointError or DatasetError.
    """
    path = checkpoints / result.weights["file"]
    if not any(map(_large, load_file(path).values())):
        return f"{path.stem}: is in half precision"
    network = runs.trained_network(result, checkpoints)
    test = datasets.load(result.task, result.dataset, data).test
    chosen = inference.spread(inference.usual(test), pictures)
    small = rounded(network)
    # On the CPU: a GPU may round what it convolves to as few bits, so that there would be no difference to see.
    before, after = (protocols.evaluate(inference.restorer(each, runs.CPU), chosen, "strict", result.sigma,
                                        result.seed).psnr for each in (network, copy.deepcopy(small).float()))
    line = f"{path.stem}: {before:.4f} dB, in half precision {after:.4f} dB"
    if not abs(after - before) < LIMIT:
        return f"{line}: stays as it is"
    with interrupts_held() as interrupted, manifest.change(checkpoints) as (staged, _):
        digest = save_weights(staged / result.weights["file"], small)
        results.save(replace(result, weights=result.weights | {"sha256": digest}), staged / "results")
    if interrupted.is_set():
        raise KeyboardInterrupt
    return line


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.pipeline.halve", description=__doc__.split(":")[0] + ".")
    parser.add_argument("names", nargs="*", metavar="RESULT", help="only these, each as its file is called, without "
                        ".json (default: all)")
    parser.add_argument("--pictures", type=number(1), default=10, help="of the test set, spread evenly (default: 10)")
    parser.add_argument("--data", help="folder of the data sets; default: IRNAS_DATA, else data/")
    options = parser.parse_args(arguments)

    def work():
        manifest.finish(runs.SHIPPED)
        manifest.check(runs.SHIPPED)
        shipped = {result.stem: result for result in results.load(runs.SHIPPED / "results")
                   if runs.at_hand(result, runs.SHIPPED)}
        if unknown := set(options.names) - shipped.keys():
            raise ValueError(f"no shipped weights of {', '.join(sorted(unknown))}")
        for name in options.names or shipped:
            try:
                print(halve(shipped[name], runs.SHIPPED, options.data, options.pictures), flush=True)
            except datasets.DatasetError as error:
                print(f"{name}: stays as it is, {error}")
    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
