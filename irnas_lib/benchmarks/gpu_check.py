"""What to run first on a new GPU, in under 8 minutes: `python -m irnas_lib.benchmarks.gpu_check`.

First the kernels, the network and the scores are compared with float64 on the CPU. Then the forms of the dilated
convolutions (kernels/dilated.py) are timed, alone and in training steps in float32 and bfloat16. A step's rate is given
with its share of two limits that are measured on the same card: how fast a large matrix product computes (its
arithmetic), and how fast a copy moves bytes (its memory traffic). The share of memory counts what each operation of a
step reads and writes as if none of them were joined, so that it shows how busy the memory is, and joined operations can
be faster still. At the end it says which form was fastest, for FORMS in kernels/dilated.py.
"""

import argparse
import copy
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from irnas_lib import metrics, operations
from irnas_lib.benchmarks import bench
from irnas_lib.command import exit_status
from irnas_lib.data.datasets import Picture
from irnas_lib.evaluation import inference, measuring, systems
from irnas_lib.experiments.runs import CPU, best_device
from irnas_lib.genotypes import Architecture, Genotype
from irnas_lib.kernels import deform_triton, dilated
from irnas_lib.losses import restoration_loss
from irnas_lib.runtime import device_name, has_bfloat16
from irnas_lib.training import loop, recipes
from irnas_lib.training.steps import WARM_UP, captured

MINUTES = 7.0  # after which no further variant is begun
SYSTEM = "IR-NAS"
LIBRARY = dilated.Forms()
PRECISIONS = ("float32", "bfloat16")


class Scale(NamedTuple):
    """network: path and width of SYSTEM; crops: batch and side; picture: height and width; matrix: side of the large
    product; megabytes: of the copy; seconds: of a timing, 0 for a single run."""

    network: tuple
    crops: tuple[int, int]
    picture: tuple[int, int]
    matrix: int
    megabytes: int
    seconds: float


FULL = Scale(((0, 0, 0, 1), 20), crops=(12, 64), picture=(321, 481), matrix=8192, megabytes=1024, seconds=0.5)
QUICK = Scale(((0, 1), 4), crops=(1, 16), picture=(24, 32), matrix=64, megabytes=1, seconds=0.0)


# ---- against float64 ----

def error(found: Iterable[torch.Tensor], expected: Iterable[torch.Tensor]) -> float:
    """The largest of the tensors' errors, each the norm of the difference over the norm of the expected tensor."""
    return max(((a.detach().cpu().double() - b).norm() / b.norm()).item() for a, b in zip(found, expected, strict=True))


def checks(device: torch.device, network: nn.Module, side: int) -> Iterator[tuple[str, float, float]]:
    """(what, its error, the largest that is right): of kernels and networks in float32, TF32 left out, where no other
    precision is named."""
    for channels in (20, 40):
        yield (f"deformable convolution, {channels} channels",
               _deformable_error(device, channels, side), 1e-4)
    for form in dilated.BY_NAME:
        for kind, channels, groups, dilation in (("dil", 20, 1, 2), ("ASPP", 200, 200, 6)):
            yield f"{kind}, {form}", _form_error(device, form, channels, groups, dilation, side), 1e-4
    degraded, clean = torch.rand(2, 2, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    estimate, gradient = _step_of(copy.deepcopy(network).double(), degraded, clean)
    # An estimate that is off by 0.0001 has one in so many rectifiers on its other side, hence a gradient off by 0.01.
    for precision, limits in zip(PRECISIONS, ((1e-3, 0.05), (0.2, 0.9))):
        moved = copy.deepcopy(network).to(device, memory_format=torch.channels_last)
        found = _step_of(moved, degraded.float().to(device), clean.float().to(device), precision == "bfloat16")
        yield f"{SYSTEM} in training, {precision}", error(found[:1], [estimate]), limits[0]
        yield f"its gradient, {precision}", error(found[1:], [gradient]), limits[1]
    yield "a recorded step's loss against an ordinary one's", _recorded_error(device, network, side), 0.02
    pictures = torch.rand(2, 1, 3, 40, 50, generator=torch.Generator().manual_seed(1))
    for score in (metrics.psnr, metrics.ssim):
        yield score.__name__.upper(), error([score(*pictures.to(device))], [score(*pictures)]), 1e-10


def _deformable_error(device: torch.device, channels: int, side: int) -> float:
    random = torch.Generator().manual_seed(0)
    given = [torch.randn(2, number, side, side, generator=random)
             for number in (channels, operations.OFFSETS, operations.MASKS)]
    given.insert(2, torch.randn(channels, channels, 3, 3, generator=random))

    def computed(operator, place, dtype):
        x, offset, weight, mask = (tensor.to(place, dtype).requires_grad_() for tensor in given)
        out = operator(x, offset, weight, padding=1, mask=mask)
        return [out, *torch.autograd.grad(out.square().sum(), (x, offset, weight, mask))]
    return error(computed(operations.deform_conv, device, torch.float32),
                 computed(torchvision.ops.deform_conv2d, CPU, torch.float64))


def _form_error(device: torch.device, form: str, channels: int, groups: int, dilation: int, side: int) -> float:
    random = torch.Generator().manual_seed(0)
    given = [torch.randn(*shape, generator=random)
             for shape in ((2, channels, side, side + 3), (channels, channels // groups, 3, 3))]

    def computed(form, place, dtype):
        x, weight = (tensor.to(place, dtype).requires_grad_() for tensor in given)
        out = dilated.BY_NAME[form](x, weight, None, dilation)
        return [out, *torch.autograd.grad(out.square().sum(), (x, weight))]
    with exact():
        return error(computed(form, device, torch.float32), computed("library", CPU, torch.float64))


def exact():
    """Within it a GPU does not round what it convolves to TF32's 11 bits."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False)


def _step_of(network: nn.Module, degraded: torch.Tensor, clean: torch.Tensor, bf16: bool = False) -> list[torch.Tensor]:
    """The estimate, and the gradient of Eq. 7 with all parameters in one."""
    network.train()
    with exact():
        with torch.autocast(degraded.device.type, torch.bfloat16, enabled=bf16):
            restored = network(degraded)
        restoration_loss(restored.to(clean.dtype), clean).backward()
    return [restored, torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])]


def _recorded_error(device: torch.device, network: nn.Module, side: int) -> float:
    """After more steps than a recording warms up for."""
    losses = []
    for record in (lambda step, _: step, captured):
        taken = copy.deepcopy(network).to(device, memory_format=torch.channels_last)
        optimizer = recipes.make_optimizer(recipes.recipe("matched"), taken.parameters(), device)
        objective = loop.Objective(taken, 0.5)
        degraded, clean = bench.random(2, 1, side, side), bench.random(2, 1, side, side, seed=1)
        step = record(lambda *pair, of=objective, by=optimizer: loop.step(of, by, *pair), device)
        for _ in range(WARM_UP + 2):
            loss, _ = step(degraded, clean)
        losses.append(loss.cpu().double())
    return error(losses[1:], losses[:1])


# ---- the two limits ----

class Traffic(TorchDispatchMode):
    """Within it `bytes` grows by what each operation reads and writes: every tensor once, views for nothing."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        view = any(argument.alias_info is not None and not argument.alias_info.is_write
                   for argument in func._schema.arguments)
        if not view and "empty" not in func._schema.name:
            self.bytes += sum(min(leaf.numel() * leaf.element_size(), leaf.untyped_storage().nbytes())
                              for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor))
        return out


def step_bytes(network: nn.Module, batch: int, side: int, bf16: bool = False) -> int:
    """What a training step on grey crops reads and writes, as counted on a CPU in steps of one and of two crops."""
    found = []
    for crops in (1, 2):
        taken = copy.deepcopy(network).cpu().train()
        optimizer = recipes.make_optimizer(recipes.recipe("matched"), taken.parameters(), CPU)
        crop = torch.rand(crops, 1, side, side)
        with bench.pytorchs_convolutions(), Traffic() as traffic:
            loop.step(loop.Objective(taken, 0.5, bf16), optimizer, crop, crop)
        found.append(traffic.bytes)
    return found[0] + (batch - 1) * (found[1] - found[0])


def matrix_rate(precision: str, scale: Scale) -> float:
    """Operations a second of a product of two square matrices; float32 on a GPU with TF32, as convolutions have it."""
    matrix = bench.random(scale.matrix, scale.matrix).to(getattr(torch, precision))
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return 2 * scale.matrix ** 3 * rate(lambda: matrix @ matrix, scale.seconds)
    finally:
        torch.set_float32_matmul_precision(usual)


def copy_rate(scale: Scale) -> float:
    """Bytes a second that a copy reads and writes."""
    source = bench.random(scale.megabytes * 2 ** 18)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 * rate(lambda: target.copy_(source), scale.seconds)


# ---- how fast ----

def rate(run: Callable, seconds: float) -> float:
    """Runs a second: the best of three turns that take about so many seconds together, after two runs that do not
    count; 0 for a single run."""
    if not seconds:
        return 1 / bench.seconds(run)
    bench.seconds(run)
    number = max(1, int(seconds / 3 / max(bench.seconds(run), 1e-6)))
    return max(number / bench.seconds(lambda: [run() for _ in range(number)]) for _ in range(3))


def convolution(channels: int, groups: int, dilation: int, precision: str, batch: int, side: int) -> Callable:
    """Forward and backward of one dilated convolution by the form of the moment, recorded on a GPU."""
    x, above = bench.random(batch, channels, side, side), bench.random(batch, channels, side, side, seed=1)
    weight = bench.random(channels, channels // groups, 3, 3, seed=2).contiguous()
    x, weight = x.requires_grad_(), weight.requires_grad_()

    def step():
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            out = dilated.convolve(x, weight, dilation=dilation)
        return torch.autograd.grad(out, (x, weight), above.to(out.dtype))
    return bench.as_trained(step)


def without_dil(network: nn.Module) -> nn.Module:
    """A new network in which `conv` stands for every `dil`: as many parameters, no dilation in its cells."""
    genotype = Genotype([[(edge.operation.replace("dil", "conv"), edge.source) for edge in node]
                         for node in network.genotype])
    torch.manual_seed(0)
    return systems.RestorationNetwork(genotype, network.path, network.width, network.channels)


# ---- the report ----

def line(name: str, *columns: object) -> None:
    print(f"{name:54}" + "".join(f"{column:>13}" for column in columns), flush=True)


def verified(device: torch.device, network: nn.Module, scale: Scale) -> bool:
    """Whether all is as it should be."""
    line("against float64", "error", "at most")
    wrong = 0
    for name, found, limit in checks(device, network, scale.crops[1]):
        wrong += not found <= limit  # nan neither
        line(name, f"{found:.1e}", f"{limit:.0e}", "" if found <= limit else "WRONG")
    return not wrong


def time_convolutions(scale: Scale, late: Callable[[], bool]) -> None:
    batch, side = scale.crops
    print()
    line(f"forward and backward, {batch} x {side}x{side}, microseconds", *dilated.BY_NAME)
    for name, *shape in (("dil, 20 channels", 20, 1, 2), ("dil, 40 channels", 40, 1, 2),
                         *((f"ASPP, 200 channels, dilation {dilation}", 200, 200, dilation) for dilation in (2, 4, 6))):
        for precision in PRECISIONS:
            columns = []
            for form in dilated.BY_NAME if not late() else ():
                with dilated.using(best_device().type, dilated.Forms(form, form)):
                    step = convolution(*shape, precision, *scale.crops)
                    columns.append(f"{1e6 / rate(step, scale.seconds):,.0f}")
            line(f"{name}, {precision}", *(columns or ["not run"]))


def time_steps(network: nn.Module, scale: Scale, late: Callable[[], bool]) -> None:
    """Training steps, and which forms are fastest in them."""
    (batch, side), moved = scale.crops, copy_rate(scale)
    for precision in PRECISIONS:
        bf16, computed = precision == "bfloat16", matrix_rate(precision, scale)
        print()
        line(f"{precision}: limits {computed / 1e12:.3g} TFLOP/s, {moved / 1e9:.3g} GB/s",
             "steps/s", "arithmetic", "memory")
        traffic = functools.cache(functools.partial(step_bytes, batch=batch, side=side, bf16=bf16))

        def timed(name, network, forms=LIBRARY, bf16=bf16, computed=computed, traffic=traffic):
            if late():
                line(name, "not run")
                return 0.0
            with dilated.using(best_device().type, forms):
                steps = rate(bench.training_step(network, bf16, batch=batch, side=side), scale.seconds)
            line(name, f"{steps:.1f}", f"{steps * bench.step_operations(network, batch, side) / computed:.1%}",
                 f"{steps * traffic(network) / moved:.1%}")
            return steps

        found = {}
        for kind in dilated.Forms._fields:  # the depthwise forms beside the dense one that was fastest
            best = max(found, key=found.get, default=LIBRARY)
            for forms in (best._replace(**{kind: form}) for form in dilated.BY_NAME):
                if forms not in found:
                    found[forms] = timed(f"{SYSTEM}, dense {forms.dense}, depthwise {forms.depthwise}", network, forms)
        timed(f"{SYSTEM} with conv for every dil, library", without_dil(network))
        timed("DnCNN", bench.network_of("DnCNN"))
        best = max(found, key=found.get)
        if found[LIBRARY]:
            print(f"fastest in {precision}: {best}, {found[best] / found[LIBRARY]:.2f} times the library's rate")


def time_measuring(device: torch.device, network: nn.Module, scale: Scale, late: Callable[[], bool]) -> None:
    height, width = scale.picture
    random = np.random.default_rng(0)
    pictures = [Picture(f"{number}", random.integers(0, 256, (height, width, 1), dtype=np.uint8))
                for number in range(scale.crops[0])]
    restore = inference.restorer(network, device)
    print()
    line(f"measuring pictures of {width}x{height}, strict", "pictures/s")
    for name, by in (("one at a time, scores on the CPU", lambda degraded: restore(degraded).cpu()),
                     ("as trainings are measured", restore)):
        if late():
            line(name, "not run")
            continue
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(2):  # the first does not count
                began = time.perf_counter()
                measuring.measure(by, pictures, ["strict"], 50, 0, Path(folder, str(turn)))
                seconds = time.perf_counter() - began
        line(name, f"{len(pictures) / seconds:.1f}")


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status is 1 where something is computed wrong."""
    parser = argparse.ArgumentParser(prog="python -m irnas_lib.benchmarks.gpu_check",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries the way; its rates mean "
                        "nothing for a GPU")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run each: only whether it goes through")
    options = parser.parse_args(arguments)
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch has looked
    elif not torch.cuda.is_available():
        print("no GPU with CUDA is here, so there is nothing to check (--device cpu --quick tries the way)")
        return 0
    return exit_status(lambda: report(best_device(), QUICK if options.quick else FULL), RuntimeError)


def report(device: torch.device, scale: Scale) -> int:
    began = time.monotonic()

    def late():
        return time.monotonic() - began > 60 * MINUTES
    missing = deform_triton.missing()
    print(f"torch {torch.__version__} on {device_name(device)}; products in bfloat16: "
          f"{'yes' if has_bfloat16(device) else 'no'}; {f'no {missing}' if missing else 'Triton is ready'}\n")
    torch.manual_seed(0)
    path, width = scale.network
    network = systems.build(SYSTEM, 1, Architecture(systems.published("denoising").genotype, path, width))
    right = verified(device, network, scale)
    time_convolutions(scale, late)
    time_steps(network, scale, late)
    time_measuring(device, network, scale, late)
    print(f"\n{'all is right' if right else 'NOT all is right'}; {time.monotonic() - began:.0f} s")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
