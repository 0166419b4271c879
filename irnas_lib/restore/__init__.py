"""Restores one's own noisy or rainy pictures: `python -m irnas_lib.restore IN OUT`."""

import argparse
import sys
from pathlib import Path

from irnas_lib.command import exit_status
from irnas_lib.data.tasks import TASKS

TILE, TILE_MINIMUM = 320, 32  # pixels; of the features of IR-NAS each pixel takes 9 kB

HELP = """\
OUT is a picture if IN is one and OUT has a suffix, else a folder, which is made; in a folder each picture keeps its
name and becomes a PNG, and where two would become the same file, the old suffix stays in the name. Colour profile and
transparency are kept, a rotation in the EXIF data is carried out, and pictures of more than 8 bits a channel are
refused. A grey network restores each channel of an RGB picture on its own; an RGB network takes a grey picture three
times, and its output is averaged back to grey. The noise of each picture is estimated (too low where strong noise is
clipped at black and white), and the shipped network that fits it is taken: one that was trained blind to sigma where
there is one, else the one of the next sigma. No more is taken away than the estimate accounts for, so that a picture
with little noise is hardly changed. With --sigma N, or another --task, it is the shipped network for these that was
measured on the most test pictures, and of these the one of the highest PSNR; with --checkpoint it is the one that is
named. What such a network answers is written as it is."""


class RestoreError(ValueError):
    """A request that cannot be met; the message is one line."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.restore", description=__doc__, epilog=HELP)
    parser.add_argument("source", metavar="IN", nargs="?", help="a picture or a folder of pictures")
    parser.add_argument("target", metavar="OUT", nargs="?", help="the restored picture or folder")
    parser.add_argument("--recursive", action="store_true", help="of a folder take the folders below it too")
    parser.add_argument("--compare", action="store_true", help="write OUT-compared.png beside each restored picture: "
                        "before and after with a divider between them, and a crop of both enlarged")
    parser.add_argument("--checkpoint", metavar="NAME",
                        help="a shipped checkpoint, or a result (.json) or weights (.safetensors) file of a run")
    parser.add_argument("--task", choices=TASKS, default="denoising", help="default: denoising")
    parser.add_argument("--sigma", type=noise_level, metavar="auto|N", default="auto",
                        help="noise level in grey levels that the checkpoint was trained for; default: auto, from an "
                        "estimate of each picture's noise")
    parser.add_argument("--tile", type=int, default=0, metavar="N",
                        help=f"restore in tiles of N pixels, each seen with a margin around it: a smaller N needs "
                        f"less memory and more time. Default: {TILE}, and small pictures whole")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU if there is one")
    parser.add_argument("--list", action="store_true", help="list the shipped checkpoints and stop")
    return parser


def noise_level(text: str) -> float | str:
    """auto, or a noise level."""
    return text if text == "auto" else float(text)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = parser().parse_args(arguments)
    return exit_status(lambda: _restore(options), stopped="stopped")


def _restore(options: argparse.Namespace) -> int:
    # What takes seconds to import comes after --help and wrong arguments are answered.
    import torch

    from irnas_lib.experiments import runs
    from irnas_lib.restore.files import plan, restore_files
    from irnas_lib.restore.networks import choose, known, listing

    if options.list:
        shipped = known(runs.SHIPPED)
        print(listing(shipped) if shipped else "no checkpoints are shipped yet")
        return 0
    if not options.source or not options.target:  # an empty one would be the working folder
        raise RestoreError("IN and OUT are needed; --help says more")
    if options.tile and options.tile < TILE_MINIMUM:
        raise RestoreError(f"--tile {options.tile}: must be at least {TILE_MINIMUM} pixels")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise RestoreError("--device cuda: torch finds no GPU here")
    pairs = plan(Path(options.source), Path(options.target), options.recursive, options.compare)
    chosen = None
    if options.checkpoint or options.sigma != "auto" or not TASKS[options.task].sigmas:
        chosen = choose(options.checkpoint, options.task, options.sigma, runs.SHIPPED)
    device = torch.device(options.device or runs.best_device())
    failed = restore_files(chosen, pairs, device, options.tile, options.compare)
    if failed and len(pairs) > 1:
        print(f"{failed} of {len(pairs)} pictures failed", file=sys.stderr)
    return 1 if failed else 0
