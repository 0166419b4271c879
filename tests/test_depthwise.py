"""The depthwise convolution against PyTorch's in float64."""

import pytest
import torch
from torch.nn import functional as F

from irnas_lib.kernels.depthwise import depthwise_conv


@pytest.mark.parametrize("channels", [13, 16, 200])
@pytest.mark.parametrize("dilation", [1, 2, 6, 7])
@pytest.mark.parametrize("dtype, close", [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_result_and_gradients_are_those_of_float64(channels, dilation, dtype, close):
    random = torch.Generator().manual_seed(0)
    x, above = (torch.randn(2, channels, 9, 12, generator=random).to(dtype) for _ in range(2))
    weight = torch.randn(channels, 1, 3, 3, generator=random).to(dtype)

    def computed(convolve, dtype):
        inputs = [tensor.to(dtype).requires_grad_() for tensor in (x, weight)]
        result = convolve(*inputs)
        return result, *torch.autograd.grad(result, inputs, above.to(dtype))

    ours = computed(lambda x, weight: depthwise_conv(x, weight, dilation), dtype)
    theirs = computed(lambda x, weight: F.conv2d(x, weight, padding=dilation, dilation=dilation, groups=channels),
                      torch.float64)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == dtype
        assert (a.double() - b).abs().max() <= close * b.abs().max()
