"""The deformable convolution against a plain float64 one, and what the operator promises beside the numbers."""

import itertools
import os
import subprocess
import sys
import threading

import pytest
import torch
import torchvision

from irnas_lib.kernels.deform import deform_conv


def reference(input, offset, weight, bias, stride, padding, dilation, mask):
    """Tap by tap, corner by corner, in plain float64 gathers; returns (B, C_out, H', W')."""
    batch, channels, height, width = input.shape
    outputs, per_group, kh, kw = weight.shape
    groups, sections = channels // per_group, offset.shape[1] // (2 * kh * kw)
    rows, columns = offset.shape[2:]
    if sections % groups:
        section = torch.arange(channels) // (channels // sections)
    else:  # the last section of a weight group may be smaller than the others
        parts = sections // groups
        size = -(-per_group // parts)
        section = torch.arange(channels) // per_group * parts + torch.arange(channels) % per_group // size
    total = 0
    for tap, (i, j) in enumerate(itertools.product(range(kh), range(kw))):
        shift = offset.unflatten(1, (sections, kh * kw, 2))[:, :, tap]
        y = shift[:, :, 0] + (torch.arange(rows) * stride[0] - padding[0] + i * dilation[0])[:, None]
        x = shift[:, :, 1] + torch.arange(columns) * stride[1] - padding[1] + j * dilation[1]
        value = 0
        for corner_y, corner_x in itertools.product((0, 1), (0, 1)):
            v, u = y.detach().floor() + corner_y, x.detach().floor() + corner_x
            inside = (v >= 0) & (v < height) & (u >= 0) & (u < width)
            near = (1 - (y - v).abs()) * (1 - (x - u).abs()) * inside
            index = (v.clamp(0, height - 1) * width + u.clamp(0, width - 1)).long()[:, section].flatten(2)
            value = value + input.flatten(2).gather(2, index).unflatten(2, (rows, columns)) * near[:, section]
        if mask is not None:
            value = value * mask.unflatten(1, (sections, kh * kw))[:, section, tap]
        grouped = value.unflatten(1, (groups, per_group))
        kernel = weight[:, :, i, j].unflatten(0, (groups, -1))
        total = total + torch.einsum("bgchw,goc->bgohw", grouped, kernel).flatten(1, 2)
    return total if bias is None else total + bias[:, None, None]


def case(batch=2, channels=4, outputs=None, groups=1, sections=2, size=(7, 9), kernel=(3, 3), dtype=torch.float64,
         stride=(1, 1), padding=(1, 1), dilation=(1, 1), spread=1.0, seed=0):  # fmt: skip
    """Random arguments; offsets from N(0, spread) pixels."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (
        (length + 2 * p - d * (k - 1) - 1) // s + 1
        for length, p, d, k, s in zip(size, padding, dilation, kernel, stride, strict=True)
    )
    taps, outputs = kernel[0] * kernel[1], outputs or channels

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "input": normal(batch, channels, *size),
        "offset": spread * normal(batch, 2 * sections * taps, rows, columns),
        "weight": normal(outputs, channels // groups, *kernel),
        "bias": normal(outputs),
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "mask": torch.sigmoid(normal(batch, sections * taps, rows, columns)),
    }


def with_gradients(function, arguments, dtype=None):
    """The result and the gradients of all tensors, for a fixed random gradient of the result."""
    leaves = {k: v.detach().to(dtype).requires_grad_() for k, v in arguments.items() if torch.is_tensor(v)}
    out = function(**{**arguments, **leaves})
    out.backward(torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(out))
    return {"out": out.detach()} | {k: v.grad for k, v in leaves.items()}


def assert_equal(arguments, tolerance=1e-12):
    expected = with_gradients(reference, arguments, torch.float64)
    for name, value in with_gradients(deform_conv, arguments).items():
        error = (value.double() - expected[name]).abs().max() / expected[name].abs().max().clamp(min=1e-9)
        assert error < tolerance, f"{name}: {error:.1e}"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"channels": 20, "size": (12, 70)},  # several vectors, more than one block of pixels
        {"channels": 40, "size": (5, 6), "batch": 1},
        {"channels": 15},  # sections of 8 and 7
        {"channels": 5, "sections": 4},  # sections of 2, 2, 1 and 0
        {"channels": 60, "groups": 6, "sections": 12},  # the supernet's grouped call
        {"channels": 15, "groups": 3, "sections": 6},  # odd within each weight group
        {"channels": 12, "groups": 2, "sections": 1},  # one offset group for two weight groups
        {"channels": 12, "groups": 2, "sections": 3},
        {"channels": 8, "groups": 8, "sections": 1, "outputs": 16},
        {"channels": 3, "outputs": 50, "sections": 1},
        {"kernel": (1, 1), "padding": (0, 0)},
        {"kernel": (2, 5), "stride": (2, 1), "padding": (0, 3), "dilation": (3, 2), "size": (11, 8)},
        {"spread": 30.0},  # mostly outside
        {"spread": 1e12},
        {"size": (1, 1)},
    ],
    ids=str,
)
def test_equals_plain_convolution_forward_and_backward(change):
    assert_equal(case(**change))


@pytest.mark.parametrize("change", [{"channels": 20}, {"channels": 30, "groups": 2, "sections": 4}], ids=str)
def test_float32_is_as_exact_as_float32_can_be(change):
    assert_equal(case(dtype=torch.float32, size=(24, 24), **change), tolerance=3e-6)


def test_without_mask_and_bias():
    assert_equal(case() | {"mask": None, "bias": None})


@pytest.mark.parametrize("layout", ["channels_last", "sliced", "transposed", "expanded"])
def test_input_need_not_be_contiguous(layout):
    arguments = case(channels=6)
    picture = arguments["input"]
    arguments["input"] = {
        "channels_last": picture.contiguous(memory_format=torch.channels_last),
        "sliced": picture.repeat_interleave(2, 3)[..., ::2],
        "transposed": picture.transpose(2, 3).contiguous().transpose(2, 3),
        "expanded": picture[:, :1].expand(-1, 6, -1, -1),
    }[layout]
    plain = {**arguments, "input": arguments["input"].contiguous()}
    assert torch.equal(deform_conv(**arguments), deform_conv(**plain))
    assert_equal(arguments)


@pytest.mark.parametrize("change", [{"channels": 3}, {"channels": 4, "groups": 2, "sections": 4}], ids=str)
def test_gradcheck(change):
    arguments = case(batch=1, size=(4, 3), outputs=2, **change)
    fraction = arguments["offset"] % 1
    arguments["offset"] += (fraction < 0.05) * 0.1 - (fraction > 0.95) * 0.1  # away from the kinks
    tensors = [arguments.pop(name).requires_grad_() for name in ("input", "offset", "weight", "bias", "mask")]

    def function(input, offset, weight, bias, mask):
        return deform_conv(input, offset, weight, bias, mask=mask, **arguments)

    assert torch.autograd.gradcheck(function, tensors)


def test_zero_offsets_and_no_mask_are_an_ordinary_convolution():
    a = case(spread=0.0, channels=10, groups=2, stride=(2, 1), dilation=(1, 2)) | {"mask": None}
    geometry = (a["stride"], a["padding"], a["dilation"], 2)
    expected = torch.nn.functional.conv2d(a["input"], a["weight"], a["bias"], *geometry)
    torch.testing.assert_close(deform_conv(**a), expected, rtol=0, atol=1e-12)


def test_whole_pixel_offsets_take_the_one_sided_gradients_of_torchvision():
    a = case(padding=(2, 2), spread=1.5) | {"bias": None}
    a["offset"] = a["offset"].round()
    expected = with_gradients(torchvision.ops.deform_conv2d, a)
    for name, value in with_gradients(deform_conv, a).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=1e-12)


def test_one_number_for_both_directions():
    a = case()
    assert torch.equal(deform_conv(**a), deform_conv(**a | {"stride": 1, "padding": 1, "dilation": 1}))


def test_not_a_number_is_not_hidden_and_infinity_is_outside():
    a = case(channels=4, sections=1)
    a["offset"][0, 0, 2, 3] = float("nan")
    assert deform_conv(**a)[0, :, 2, 3].isnan().all()
    a["offset"][0, 0, 2, 3] = float("inf")
    assert torch.equal(deform_conv(**a), deform_conv(**a | {"offset": a["offset"].clamp(-1e6, 1e6)}))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_float32_inside(dtype):
    a = case(channels=6, dtype=torch.float32)
    expected = deform_conv(**a | {"input": a["input"].to(dtype).float()}).to(dtype)
    assert torch.equal(deform_conv(**a | {"input": a["input"].to(dtype)}), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert deform_conv(**a).dtype == torch.float32


def test_same_bytes_whatever_the_threads():
    threads = torch.get_num_threads()
    arguments = case(channels=20, size=(40, 40), batch=3, dtype=torch.float32)
    try:
        results = []
        for count in (1, 2, 1, 2):
            torch.set_num_threads(count)
            results.append(with_gradients(deform_conv, arguments))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(value, other[name]), name


def test_several_threads_may_call_at_once():
    arguments = case(channels=20, size=(16, 16), dtype=torch.float32)
    expected, found = with_gradients(deform_conv, arguments), []
    workers = [
        threading.Thread(target=lambda: found.extend(with_gradients(deform_conv, arguments) for _ in range(5)))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 15
    assert all(torch.equal(expected[name], gradients[name]) for gradients in found for name in expected)


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_first_call_from_another_thread_keeps_torch_threads(layer):
    """As in a notebook's kernel: a fresh process, its first call outside the main thread, one thread asked for."""
    program = (
        "import threading, numba, torch; from irnas_lib.kernels.deform import deform_conv; torch.set_num_threads(1)\n"
        "def call():\n"
        "    out = deform_conv(torch.ones(1, 2, 4, 4), torch.zeros(1, 18, 4, 4), torch.ones(1, 2, 3, 3), padding=1)\n"
        "    print(out.sum().item(), torch.get_num_threads(), numba.threading_layer())\n"
        "thread = threading.Thread(target=call); thread.start(); thread.join(); call()"
    )
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    if "No threading layer could be loaded" in run.stderr:
        pytest.skip(f"numba has no {layer} here")
    assert run.stdout == f"200.0 1 {layer}\n" * 2, run.stderr


def test_compiles_to_one_graph():
    arguments = case(channels=5, dtype=torch.float32)
    compiled = torch.compile(deform_conv, backend="aot_eager", fullgraph=True)
    expected, found = with_gradients(deform_conv, arguments), with_gradients(compiled, arguments)
    for name in expected:  # the compiler chooses the memory format, and with it the order of the bias's sum
        torch.testing.assert_close(found[name], expected[name], rtol=1e-6, atol=1e-6)


def test_a_compiler_is_told_the_true_strides():
    arguments = case(channels=15, dtype=torch.float32)
    input, offset, mask, weight = (arguments[name] for name in ("input", "offset", "mask", "weight"))
    bias, geometry = torch.zeros(len(weight)), [1, 1, 1, 1, 1, 1]
    forward, backward = torch.ops.irnas.deform_conv.default, torch.ops.irnas.deform_conv_backward.default
    torch.library.opcheck(forward, (input, offset, mask, weight, bias, geometry), test_utils="test_faketensor")
    grad = torch.ones_like(forward(input, offset, mask, weight, bias, geometry))
    torch.library.opcheck(backward, (grad, input, offset, mask, weight, geometry), test_utils="test_faketensor")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"offset": torch.zeros(2, 36, 7, 8)}, "offset"),
        ({"offset": torch.zeros(2, 35, 7, 9)}, "offset"),
        ({"mask": torch.zeros(2, 9, 7, 9)}, "mask"),
        ({"weight": torch.zeros(4, 3, 3, 3)}, "weight"),
        ({"bias": torch.zeros(3)}, "bias"),
        ({"input": torch.zeros(4, 7, 9)}, "four dimensions"),
        ({"padding": (0, 0), "dilation": (9, 9)}, "smaller than the kernel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_shapes_are_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=words) as caught:
        deform_conv(**case(dtype=torch.float32) | change)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("change", [{"channels": 20}, {"channels": 15}, {"channels": 15, "groups": 3, "sections": 6}])
def test_cuda_equals_cpu(change):
    arguments = case(**change)
    moved = {k: v.cuda() if torch.is_tensor(v) else v for k, v in arguments.items()}
    expected, found = with_gradients(deform_conv, arguments), with_gradients(deform_conv, moved)
    for name, value in expected.items():
        torch.testing.assert_close(found[name].cpu(), value, rtol=1e-10, atol=1e-10)
    with torch.autocast("cuda", torch.bfloat16):
        half = deform_conv(**moved | {"input": moved["input"].bfloat16(), "weight": moved["weight"].float()})
    assert half.dtype == torch.bfloat16 and half.isfinite().all()
