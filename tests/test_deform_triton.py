"""The Triton deformable convolution against torchvision's on a CPU in float64: in Triton's interpreter, and on CUDA."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torchvision.ops import deform_conv2d

from irnas_lib.kernels import deform, deform_triton

CASES = [  # batch, weight and offset groups, height, width, kernel, stride, padding, dilation, with a mask
    (1, 1, 2, 9, 15, (3, 3), (1, 1), (1, 1), (1, 1), True),
    (2, 3, 6, 4, 3, (2, 2), (1, 1), (1, 1), (1, 1), True),
    (2, 2, 3, 5, 6, (3, 2), (2, 1), (2, 1), (1, 2), False),
    (1, 3, 2, 1, 1, (3, 3), (1, 1), (1, 1), (1, 1), True),
]
CHANNELS = 6


def results(function, tensors, geometry, slope, device, dtype):
    """The output and the gradient of every tensor that is not None, as float64 on the CPU."""
    tensors = [None if t is None else t.clone().to(device, dtype).requires_grad_() for t in tensors]
    input, *rest, mask = tensors
    out = function(input.to(memory_format=torch.channels_last), *rest, *geometry, mask)
    out.backward(slope.to(device, dtype))
    return [out.detach().cpu().double(), *(t.grad.cpu().double() for t in tensors if t is not None)]


def compare(device, dtype, tolerance):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    for batch, groups, sections, height, width, kernel, *geometry, masked in CASES:
        (kh, kw), (stride, padding, dilation) = kernel, geometry
        size = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in
                zip((height, width), kernel, stride, padding, dilation, strict=True)]
        offset = 2 * normal(batch, 2 * sections * kh * kw, *size)
        offset[0, ::3] = 0  # whole positions, among them the last before the border
        offset[-1, 4], offset[-1, 5], offset[-1, 7, 0] = 1e30, -40, -1
        mask = normal(batch, sections * kh * kw, *size) if masked else None
        tensors = (normal(batch, CHANNELS, height, width), offset, normal(2 * groups, CHANNELS // groups, kh, kw),
                   normal(2 * groups), mask)
        tensors = [None if t is None else t.to(dtype).double() for t in tensors]  # the same numbers for both
        slope = normal(batch, 2 * groups, *size).to(dtype).double()
        expected = results(deform_conv2d, tensors, geometry, slope, "cpu", torch.float64)
        found = results(deform_triton.deform_conv_triton, tensors, geometry, slope, device, dtype)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * theirs.abs().max().item())


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_interpreted_kernel_is_torchvisions_operator():
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


on_gpu = pytest.mark.skipif(not (torch.cuda.is_available() and deform_triton.missing() == ""),
                            reason="needs a CUDA GPU, Triton, a C compiler and Python's headers")


@on_gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-12)])
def test_compiled_kernel_is_torchvisions_operator(dtype, tolerance):
    compare("cuda", dtype, tolerance)


@on_gpu
def test_autocast_computes_in_float32():
    input = torch.randn(1, 4, 6, 7, device="cuda", dtype=torch.float16, requires_grad=True)
    offset, mask = torch.randn(1, 36, 6, 7, device="cuda"), torch.rand(1, 18, 6, 7, device="cuda")
    weight = torch.randn(4, 4, 3, 3, device="cuda")
    with torch.autocast("cuda", torch.float16):
        out = deform_triton.deform_conv_triton(input, offset, weight, padding=1, mask=mask)
    out.sum().backward()
    expected = deform_conv2d(input.float(), offset, weight, padding=1, mask=mask)
    assert out.dtype == torch.float32 and input.grad.dtype == torch.float16
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@on_gpu
def test_cuda_graph_replays_forward_and_backward():
    def step():
        out = deform_triton.deform_conv_triton(input, offset, weight, padding=1)
        return out, *torch.autograd.grad(out.square().sum(), (input, offset, weight))

    input, offset = torch.randn(2, 4, 6, 7, device="cuda"), torch.randn(2, 36, 6, 7, device="cuda")
    weight = torch.randn(4, 4, 3, 3, device="cuda")
    for tensor in (input, offset, weight):
        tensor.requires_grad_()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        input.copy_(torch.randn_like(input))
    graph.replay()
    for replayed, called in zip(captured, step(), strict=True):
        torch.testing.assert_close(replayed, called, rtol=1e-4, atol=1e-4)


def test_shapes_that_do_not_fit_are_named_in_one_line():
    if deform_triton.triton is None:
        pytest.skip("Triton is not installed")
    input, weight = torch.zeros(1, 4, 5, 5), torch.zeros(4, 4, 3, 3)
    for offset in (torch.zeros(1, 54, 5, 5), torch.zeros(1, 36, 5, 4), torch.zeros(2, 36, 5, 5)):
        with pytest.raises(ValueError, match=r"do not fit: \(1, 4, 5, 5\)[^\n]*$"):
            deform_triton.deform_conv_triton(input, offset, weight, padding=1)


def test_module_imports_without_triton():
    code = ("import sys; sys.modules['triton'] = None; from irnas_lib.kernels import deform_triton as d; "
            "assert d.missing() == 'Triton' and d.triton is None")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_what_triton_needs_is_missed_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(deform_triton, "triton", object())
    headers, compilers = tmp_path / "include", {"gcc"}
    headers.mkdir()
    (headers / "Python.h").touch()
    monkeypatch.setattr(deform_triton.sysconfig, "get_path", lambda name: str(tmp_path / name))
    monkeypatch.setattr(deform_triton.shutil, "which", lambda name: name in compilers)
    assert deform_triton.missing() == ""
    (headers / "Python.h").unlink()
    assert deform_triton.missing() == "Python.h for Triton"
    compilers.clear()
    assert deform_triton.missing() == "C compiler for Triton"


def test_the_slow_operator_is_not_taken_silently(monkeypatch):
    """On "meta", which takes the way of CUDA: said once."""
    monkeypatch.setattr(deform_triton, "missing", lambda: "Triton")
    input, offset, weight = (torch.empty(shape, device="meta") for shape in ((1, 4, 5, 5), (1, 36, 5, 5), (4, 4, 3, 3)))
    deform._gpu_operator.cache_clear()
    try:
        with pytest.warns(UserWarning, match="^no Triton here, so torchvision's slower") as warned:
            for _ in range(2):
                deform.deform_conv(input, offset, weight, padding=1)
    finally:
        deform._gpu_operator.cache_clear()
    assert len(warned) == 1 and warned[0].filename == __file__


if __name__ == "__main__":
    torch.set_num_threads(1)
    compare("cpu", torch.float64, 1e-12)
