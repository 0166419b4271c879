"""Speed and memory, as ratios: `python -m irnas_lib.benchmarks.bench`, which `make bench` calls.

Both sides of a ratio run in the same process, in turn, so that whatever else the machine does hits both; the ratio is
the median over the turns. Peak memory is measured in a fresh process each. Three files in checkpoints/ are written::

    bench.json      name -> {value, unit, against, ratio, spread}. value: ours; ratio: ours over the other side's,
                    smaller is better; spread: of the ratios over the turns, the largest minus the smallest
    growth.json     time and peak memory of a supernet step against width, nodes, layers, batch and side of the crops
    precision.json  the loss of a short training in float32 and in bfloat16, and both times
"""

import argparse
import contextlib
import copy
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from irnas_lib import operations
from irnas_lib.benchmarks import resumption
from irnas_lib.command import one_line
from irnas_lib.data import datasets
from irnas_lib.data.patches import Patches
from irnas_lib.evaluation import systems
from irnas_lib.evaluation.inference import restorer
from irnas_lib.experiments import records
from irnas_lib.experiments.runs import CPU, best_device
from irnas_lib.files import ROOT, write_json
from irnas_lib.losses import restoration_loss
from irnas_lib.runtime import device_name, has_bfloat16, keep_freed_memory, measured_peak
from irnas_lib.supercell import PlainSupercell, Supercell
from irnas_lib.supernet import Supernet
from irnas_lib.training import loop, recipes
from irnas_lib.training.checkpoints import save_state
from irnas_lib.training.steps import SAVE_SECONDS, WARM_UP, captured

PAPER = {"layers": 4, "nodes": 5, "width": 10}  # the denoising search
SMALL = {"layers": 3, "nodes": 4, "width": 8, "batch": 2, "side": 48}  # where the growth is measured from
AXES = {"width": (4, 8, 12, 16), "nodes": (2, 3, 4, 5), "layers": (2, 3, 4, 5), "batch": (1, 2, 4, 8),
        "side": (32, 48, 64, 96)}
TURNS = 7


# ---- what is compared ----

def random(*shape: int, normal: bool = False, seed: int = 0) -> torch.Tensor:
    draw = torch.randn if normal else torch.rand
    x = draw(shape, generator=torch.Generator().manual_seed(seed)).to(best_device())
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def deform_step(channels: int, operator: Callable) -> Callable:
    """Forward and backward of one deformable convolution, batch 4, 64x64, offsets from N(0, 1) pixels."""
    x, offset = random(4, channels, 64, 64), random(4, operations.OFFSETS, 64, 64, normal=True, seed=1)
    mask, weight = random(4, operations.MASKS, 64, 64, seed=2), random(channels, channels, 3, 3, seed=3)
    inputs = [t.requires_grad_() for t in (x, offset, weight, mask)]
    above = random(4, channels, 64, 64, seed=4)
    return lambda: torch.autograd.grad(operator(x, offset, weight, padding=1, mask=mask), inputs, above)


def network_of(system: str) -> nn.Module:
    torch.manual_seed(0)
    return systems.build(system, 1, systems.published("denoising"))


def training_step(system: str | nn.Module, bf16: bool = False, layout: torch.memory_format = torch.channels_last,
                  batch: int = 4, side: int = 64) -> Callable:
    """One step of `loop.train`, of a system or of a copy of a network."""
    network = network_of(system) if isinstance(system, str) else copy.deepcopy(system)
    network.to(best_device(), memory_format=layout)
    optimizer = recipes.make_optimizer(recipes.recipe("matched"), network.parameters(), best_device())
    degraded, clean = random(batch, 1, side, side), random(batch, 1, side, side, seed=1)
    objective = loop.Objective(network, 0.5, bf16)
    return as_trained(lambda: loop.step(objective, optimizer, degraded, clean))


def step_operations(network: nn.Module, batch: int, side: int = 64) -> int:
    """The multiplications and additions of a training step on grey crops; it counts as three passes, for backward is as
    much as two."""
    return 3 * 2 * systems.macs_per_pixel(network, 1) * batch * side ** 2


def inference(system: str) -> Callable:
    """One picture of BSD500's size."""
    restore, picture = restorer(network_of(system), best_device()), random(1, 1, 321, 481)
    return lambda: restore(picture)


def supernet_step(cell: type[nn.Module], batch: int = 2, side: int = 64, **options) -> Callable:
    """Forward and backward of a supernet."""
    torch.manual_seed(0)
    supernet = Supernet(**options, cell=cell).to(best_device(), memory_format=torch.channels_last).train()
    degraded, clean = random(batch, 1, side, side), random(batch, 1, side, side, seed=1)

    def step():
        supernet.zero_grad()
        loss = restoration_loss(supernet(degraded), clean)
        loss.backward()
        return (loss.detach(),)
    return step


@contextlib.contextmanager
def torchvisions_operator() -> Iterator[None]:
    """Every network computes its deformable convolutions with torchvision's operator."""
    usual, operations.deform_conv = operations.deform_conv, torchvision.ops.deform_conv2d
    try:
        yield
    finally:
        operations.deform_conv = usual


def obvious_step() -> Callable:
    """The paper's supernet edge by edge, with torchvision's operator."""
    step = supernet_step(PlainSupercell, **PAPER)

    def run():
        with torchvisions_operator():
            return step()
    return run


def pytorchs_depthwise(x: torch.Tensor, weight: torch.Tensor, dilation: int) -> torch.Tensor:
    return F.conv2d(x, weight, padding=dilation, dilation=dilation, groups=len(weight))


@contextlib.contextmanager
def pytorchs_convolutions() -> Iterator[None]:
    """1x1 and depthwise convolutions are computed by PyTorch."""
    usual = operations.depthwise_conv, operations.Pointwise._conv_forward
    operations.depthwise_conv, operations.Pointwise._conv_forward = pytorchs_depthwise, nn.Conv2d._conv_forward
    try:
        yield
    finally:
        operations.depthwise_conv, operations.Pointwise._conv_forward = usual


def depthwise_step(convolution: Callable, bf16: bool) -> Callable:
    """Forward and backward of the depthwise convolution of dilation 4 of IR-NAS's ASPP, 8 crops of 32x32."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    x, weight = (random(*shape).to(dtype).requires_grad_() for shape in ((8, 200, 32, 32), (200, 1, 3, 3)))
    above = random(8, 200, 32, 32, seed=1).to(dtype)
    return lambda: torch.autograd.grad(convolution(x, weight, 4), (x, weight), above)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def as_trained(step: Callable) -> Callable:
    """A step as trainings and searches take it: on a GPU recorded, its warm-up over."""
    take = captured(step, best_device())
    for _ in range(WARM_UP + 1 if best_device().type == "cuda" else 0):
        take()
    return take


# ---- how ----

def seconds(run: Callable) -> float:
    began = time.perf_counter()
    run()
    if best_device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def compare(ours: Callable, theirs: Callable, against: str, turns: int = TURNS) -> dict:
    """Both in turn, after one unmeasured turn."""
    times = [(seconds(ours), seconds(theirs)) for _ in range(turns + 1)][1:]
    ratios = [a / b for a, b in times]
    return entry(statistics.median(a for a, _ in times), "s", against, statistics.median(ratios),
                 max(ratios) - min(ratios))


def entry(value: float, unit: str, against: str | None = None, ratio: float | None = None,
          spread: float | None = None) -> dict:
    return {"value": value, "unit": unit, "against": against, "ratio": ratio, "spread": spread}


def peak(**options) -> dict:
    """{"megabytes", "seconds"} of a supernet step in a fresh process; options as of `measured_step`."""
    return dict(_fresh_process(json.dumps(options, sort_keys=True)))


@functools.cache  # several comparisons share a side
def _fresh_process(options: str) -> dict:
    command = [sys.executable, "-m", "irnas_lib.benchmarks.bench", "--step", options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip() or f"exit status {done.returncode}"  # killed for memory: no word
        raise RuntimeError(f"the step {options} failed: {reason.splitlines()[-1]}")
    return json.loads(done.stdout)


def measured_step(plain: bool = False, **options) -> dict:
    """What a fresh process measures: a step's peak memory above the loaded model, and its time where it is ours."""
    keep_freed_memory()
    cell = PlainSupercell if plain else Supercell
    with torchvisions_operator() if plain else contextlib.nullcontext():
        supernet_step(cell, layers=1, nodes=1, width=2, side=16)()  # what is loaded once is not the model's memory
        step = supernet_step(cell, **options)
        megabytes = measured_peak(step)
        return {"megabytes": megabytes, "seconds": None if plain else min(seconds(step) for _ in range(3))}


def memory(ours: dict, theirs: dict, against: str) -> dict:
    """Peaks, measured once each: no spread."""
    value = peak(**ours)["megabytes"]
    return entry(value, "MB", against, value / peak(**theirs)["megabytes"])


def matrix_share(batch: int = 12) -> dict:
    """The rate of a training step's arithmetic in percent of that of a large matrix product on the same device, the
    fastest of five, in turn: in bfloat16 on a GPU, in float32 on a CPU."""
    on_gpu = best_device().type == "cuda"
    step = training_step("IR-NAS", bf16=on_gpu, batch=batch)
    side = 8192 if on_gpu else 2048
    matrix = random(side, side).to(torch.bfloat16 if on_gpu else torch.float32)
    of_step = step_operations(network_of("IR-NAS"), batch)
    times = [(seconds(step), min(seconds(lambda: matrix @ matrix) for _ in range(5)))
             for _ in range(TURNS + 1)][1:]
    shares = [100 * (of_step / step_seconds) / (2 * side ** 3 / product_seconds)
              for step_seconds, product_seconds in times]
    return entry(statistics.median(shares), "% of the matrix rate", spread=max(shares) - min(shares))


def crops_per_second() -> dict:
    """Batches of 12 crops of 64x64 with augmentation and noise, on one core."""
    patches = Patches(datasets.load("denoising", "embedded").train, 64)
    with one_thread():
        rates = [12 * 50 / seconds(lambda turn=turn: [patches.batch(12, turn, i) for i in range(50)])
                 for turn in range(TURNS)]
    return entry(statistics.median(rates), "crops/s", spread=max(rates) - min(rates)) | {"device": "CPU, 1 threads"}


def training_pixels(system: str) -> dict:
    """Training on 8,192 pixels by one thread: a step of 2 crops of 64x64 in bfloat16 where the device has it, against
    what trainings took before, two steps of 4 crops of 32x32 in float32 with PyTorch's convolutions."""
    fast = training_step(system, bf16=has_bfloat16(best_device()), batch=2)
    plain = training_step(system, side=32)

    def before():
        with pytorchs_convolutions():
            plain()
            plain()
    with one_thread():
        return compare(fast, before, "float32, 4x32x32, PyTorch's convolutions")


def dilated_depthwise(bf16: bool) -> dict:
    """By one thread."""
    with one_thread():
        return compare(depthwise_step(operations.depthwise_conv, bf16), depthwise_step(pytorchs_depthwise, bf16),
                       "PyTorch's convolution")


def resumed() -> dict:
    """Searches and trainings that end with the same bits after kill -9 and a rerun."""
    kills = 20
    return entry(resumption.survived(kills), f"of {2 * kills}") | {"device": device_name(CPU)}


def checkpoint_cost() -> dict:
    """Saving the state of a search, against the minute of steps between two saves."""
    supernet = Supernet(**PAPER)
    optimizer = torch.optim.SGD(supernet.weights(), 0.1, momentum=0.9)
    supernet(random(1, 1, 16, 16).cpu()).sum().backward()
    optimizer.step()
    state = {"supernet": supernet.state_dict(), "optimizer": optimizer.state_dict()}
    with tempfile.TemporaryDirectory() as folder:
        times = [seconds(lambda: save_state(Path(folder) / "state.pt", state)) for _ in range(TURNS)]
    spread = (max(times) - min(times)) / SAVE_SECONDS
    return entry(statistics.median(times), "s", "a minute of steps", statistics.median(times) / SAVE_SECONDS,
                 spread) | {"device": device_name(CPU)}


BENCHES = {
    "deform_conv_20": lambda: compare(deform_step(20, operations.deform_conv),
                                      deform_step(20, torchvision.ops.deform_conv2d), "torchvision's operator"),
    "deform_conv_40": lambda: compare(deform_step(40, operations.deform_conv),
                                      deform_step(40, torchvision.ops.deform_conv2d), "torchvision's operator"),
    "dilated_depthwise": lambda: dilated_depthwise(bf16=False),
    "dilated_depthwise_bf16": lambda: dilated_depthwise(bf16=True),
    "train_pixels": lambda: training_pixels("IR-NAS + residual"),
    "train_pixels_dncnn": lambda: training_pixels("DnCNN"),
    "network_train": lambda: compare(training_step("IR-NAS"), training_step("DnCNN"), "DnCNN, same batch"),
    "network_infer": lambda: compare(inference("IR-NAS"), inference("DnCNN"), "DnCNN, same picture"),
    "network_train_bf16": lambda: compare(training_step("IR-NAS", bf16=True), training_step("IR-NAS"), "float32"),
    "network_train_channels_last": lambda: compare(
        training_step("IR-NAS"), training_step("IR-NAS", layout=torch.contiguous_format), "channels first"),
    "supernet_step": lambda: compare(as_trained(supernet_step(Supercell, **PAPER)), as_trained(obvious_step()),
                                     "edge by edge, torchvision's operator", turns=3),
    "supernet_step_recompute": lambda: compare(as_trained(supernet_step(Supercell, **PAPER, recompute=True)),
                                               as_trained(supernet_step(Supercell, **PAPER)), "without recomputation",
                                               turns=5),
    "sharing_memory": lambda: memory(PAPER, PAPER | {"sharing": "edge"}, "Eq. 6, same implementation"),
    "supernet_memory": lambda: memory(PAPER, PAPER | {"sharing": "edge", "plain": True}, "Eq. 6, edge by edge"),
    "supernet_memory_recompute": lambda: memory(PAPER | {"recompute": True},
                                                PAPER | {"sharing": "edge", "plain": True}, "Eq. 6, edge by edge"),
    "matrix_share": matrix_share,
    "crops_per_second": crops_per_second,
    "checkpoint_cost": checkpoint_cost,
    "resumption": resumed,
}


def growth() -> dict:
    """{"from": SMALL, "axes": {axis: [{axis, seconds, megabytes}, ...]}}, one axis at a time."""
    steps = {axis: [{axis: value, **peak(**SMALL | {axis: value})} for value in values]
             for axis, values in tqdm(AXES.items(), desc="growth")}
    return {"from": SMALL, "axes": steps}


def precision(iterations: int = 200) -> dict:
    """{name: {"curve", "seconds"}}: the network trained in float32 and bfloat16 on the embedded pictures."""
    patches = Patches(datasets.load("denoising", "embedded").train, 32, device=best_device())

    def train(bf16, iterations):
        return loop.train(network_of("IR-NAS"), patches, recipes.recipe("matched"), iterations, batch=4, seed=0,
                              bf16=bf16)

    found = {}
    for name, bf16 in (("float32", False), ("bfloat16", True)):
        train(bf16, 5)  # what is compiled once is compiled
        trained = train(bf16, iterations)
        found[name] = {"curve": trained["curve"], "seconds": trained["seconds"]}
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is returned."""
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.benchmarks.bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"only these of {', '.join((*BENCHES, 'growth', 'precision'))}")
    parser.add_argument("--out", type=Path, default=ROOT / "checkpoints", help="folder of the three files")
    parser.add_argument("--step", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.step is not None:
        print(json.dumps(measured_step(**options.step)))
        return 0
    if unknown := [name for name in options.names if name not in (*BENCHES, "growth", "precision")]:
        print(one_line(f"unknown: {', '.join(unknown)}; --help lists the known ones"), file=sys.stderr)
        return 1
    keep_freed_memory()
    print(f"torch {torch.__version__} on {device_name(best_device())}")
    status = 0
    for name in options.names or (*BENCHES, "growth", "precision"):
        try:
            run(name, options.out)
        except (RuntimeError, ValueError, OSError) as error:  # such as too little memory: the others still run
            print(f"{name}: {one_line(' '.join(str(error).split()))}", file=sys.stderr)
            status = 1
        except KeyboardInterrupt:
            print("stopped; what is measured is kept", file=sys.stderr)
            return 130
    return status


def run(name: str, out: Path) -> None:
    """Measures one thing into the folder `out`, beside what is there."""
    if name not in BENCHES:
        return write_json(out / f"{name}.json", {"growth": growth, "precision": precision}[name]())
    path = out / "bench.json"
    found = records.read(path, records.BENCH) if path.is_file() else {}
    found[name] = measured = {"device": device_name(best_device())} | BENCHES[name]()
    write_json(path, found)
    ratio = "" if measured["ratio"] is None else f"{measured['ratio']:8.4f} of {measured['against']}"
    print(f"{name:28} {measured['value']:10.4g} {measured['unit']:8}{ratio}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
