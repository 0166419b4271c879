"""The deformable convolution that every network of the project uses (the "def" operation of Section 3.1).

On CUDA this is torchvision's operator.  On a CPU torchvision samples one number at a time; here the picture is
laid out channels-last, eight channels are interpolated at once, and sampling and product alternate a few rows
at a time, so that the sampled tensor (nine times the input for a 3x3 kernel) stays in the cache.
"""

import math
import threading

import numba
import numpy as np
import torch
import torch.nn.functional as F
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic, models, register_model
from torch import Tensor
from torch.nn.modules.utils import _pair
from torchvision.ops import deform_conv2d

LANES = 8  # channels interpolated at once
COLUMN_BYTES = 2 << 20  # size of the sampled block that one product takes

# GNU OpenMP is torch's own pool as well: two pools would keep each other from the cores.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
_one_at_a_time = threading.Lock()  # numba's last resort, workqueue, is not safe between threads


def deform_conv(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] = (0, 0),
    dilation: int | tuple[int, int] = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    kh, kw = weight.shape[2:]
    groups = input.shape[1] // weight.shape[1]
    offset_groups = offset.shape[1] // (2 * kh * kw)
    (sy, sx), (py, px), (dy, dx) = _pair(stride), _pair(padding), _pair(dilation)
    if mask is None:
        mask = offset.new_ones(offset.shape[0], offset.shape[1] // 2, *offset.shape[2:])
    if bias is None:
        bias = weight.new_zeros(weight.shape[0])
    return _deform_conv_cpu(input, offset, mask, weight, bias, [sy, sx, py, px, dy, dx])


# --- vectors of eight channels: LLVM's own vectorisation cannot see that the arrays do not overlap ---


class Vector(types.Type):
    """`LANES` neighbouring numbers in a register."""

    def __init__(self, scalar: types.Type):
        self.scalar = scalar
        super().__init__(f"Vector({scalar})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(manager[vector.scalar].get_value_type(), LANES))


def _address(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    vector = context.get_value_type(Vector(array_type.dtype))
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


@intrinsic
def load(typing, array, index):
    """The vector at a flat index of a C-contiguous array."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, array, *arguments)
        return builder.load(address, align=array.dtype.bitwidth // 8)

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing, array, index, vector):
    """Writes a vector at a flat index of a C-contiguous array."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, array, *arguments[:2])
        builder.store(arguments[2], address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


def _multiply_add(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


@intrinsic
def scale_add(typing, vector, scalar, total):
    """vector * scalar + total."""

    def generate(context, builder, signature, arguments):
        one = ir.VectorType(arguments[1].type, 1)
        lane = builder.insert_element(ir.Constant(one, ir.Undefined), arguments[1], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        spread = builder.shuffle_vector(lane, ir.Constant(one, ir.Undefined), zeros)
        return _multiply_add(builder, arguments[0], spread, arguments[2])

    return vector(vector, vector.scalar, vector), generate


@intrinsic
def product_add(typing, first, second, total):
    """first * second + total, lane by lane."""

    def generate(context, builder, signature, arguments):
        return _multiply_add(builder, *arguments)

    return first(first, first, first), generate


@intrinsic
def zero(typing, array):
    """The vector of zeros for an array's numbers."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return Vector(array.dtype)(array), generate


@intrinsic
def store_sums(typing, array, index, a, b, c, d):
    """Writes the four sums over the lanes of a, b, c and d next to each other."""

    def generate(context, builder, signature, arguments):
        def pick(u, v, lanes):
            return builder.shuffle_vector(u, v, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))

        def pairs(u, v):
            even, odd = [0, 2, 8, 10, 4, 6, 12, 14], [1, 3, 9, 11, 5, 7, 13, 15]
            return builder.fadd(pick(u, v, even), pick(u, v, odd))

        sums = pairs(pairs(*arguments[2:4]), pairs(*arguments[4:6]))
        sums = builder.fadd(pick(sums, sums, [0, 1, 2, 3]), pick(sums, sums, [4, 5, 6, 7]))
        address = _address(context, builder, array, *arguments[:2])
        builder.store(sums, builder.bitcast(address, sums.type.as_pointer()), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, a, a, a, a), generate


# --- kernels ---


@njit(cache=True, parallel=True, nogil=True)
def _pack(picture, parts, planes):
    """Copies (B, groups*C, H, W) into zero-bordered planes (B, groups*parts, H+2, W+2, padded)."""
    batch, channels, height, width = picture.shape
    sections = planes.shape[1]
    per_group = channels * parts // sections
    size = -(-per_group // parts)
    for unit in prange(batch * sections * height):
        b, section, y = unit // (sections * height), unit // height % sections, unit % height
        first = section % parts * size
        for c in range(min(size, per_group - first)):
            for x in range(width):
                planes[b, section, y + 1, x + 1, c] = picture[b, section // parts * per_group + first + c, y, x]


@njit(cache=True, parallel=True, nogil=True)
def _unpack(planes, parts, picture):
    """The reverse of `_pack`."""
    batch, channels, height, width = picture.shape
    sections = planes.shape[1]
    per_group = channels * parts // sections
    size = -(-per_group // parts)
    for unit in prange(batch * sections * height):
        b, section, y = unit // (sections * height), unit // height % sections, unit % height
        first = section % parts * size
        for c in range(min(size, per_group - first)):
            for x in range(width):
                picture[b, section // parts * per_group + first + c, y, x] = planes[b, section, y + 1, x + 1, c]


@njit(cache=True)
def _locate(offset_y, offset_x, mask, row, tap, geometry, planes, index, fraction, corners):
    """Where one tap of one output row samples: flat index of the corner, fractions, masked corner weights."""
    height, width, padded = planes.shape[2] - 2, planes.shape[3] - 2, planes.shape[4]
    kernel_width, sy, sx, py, px, dy, dx = geometry
    real = planes.dtype.type
    one, zero_ = real(1), real(0)
    top, left = real(row * sy - py + tap // kernel_width * dy + 1), tap % kernel_width * dx - px + 1
    for x in range(mask.size):
        v = top + offset_y[x]
        u = real(left + x * sx) + offset_x[x]
        inside = (v >= zero_) & (v < real(height + 1)) & (u >= zero_) & (u < real(width + 1))
        valid = one if inside else (v - v) * (u - u)
        v = v if inside else zero_
        u = u if inside else zero_
        j, i = np.int32(v), np.int32(u)
        v -= real(j)
        u -= real(i)
        index[x] = (np.int64(j) * (width + 2) + i) * padded
        fraction[0, x], fraction[1, x], fraction[2, x] = v, u, valid
        m = mask[x] * valid
        corners[0, x] = m * (one - v) * (one - u)
        corners[1, x] = m * (one - v) * u
        corners[2, x] = m * v * (one - u)
        corners[3, x] = m * v * u


@njit(cache=True, parallel=True, nogil=True)
def _sample(planes, offset, mask, geometry, size, first, columns):
    """Fills columns (pixels, sections, pitch) with the samples of the output rows from `first` on (b-major)."""
    sections, padded = planes.shape[1], planes.shape[4]
    plane = planes.shape[2] * planes.shape[3] * padded
    line = planes.shape[3] * padded
    taps, height, width = mask.shape[2:]
    pitch = columns.shape[2]
    for unit in prange(columns.shape[0] // width * sections):
        row, section = unit // sections, unit % sections
        b, y = (first + row) // height, (first + row) % height
        start = (b * sections + section) * plane
        index = np.empty(width, np.int64)
        fraction, corners = np.empty((3, width), planes.dtype), np.empty((4, width), planes.dtype)
        for tap in range(taps):
            _locate(offset[b, section, tap, 0, y], offset[b, section, tap, 1, y], mask[b, section, tap, y], y, tap, geometry, planes, index,
                    fraction, corners)
            for x in range(width):
                source = start + index[x]
                target = ((row * width + x) * sections + section) * pitch + tap * size
                w0, w1, w2, w3 = corners[0, x], corners[1, x], corners[2, x], corners[3, x]
                for c in range(0, padded, LANES):
                    s = source + c
                    value = scale_add(load(planes, s), w0, zero(planes))
                    value = scale_add(load(planes, s + padded), w1, value)
                    value = scale_add(load(planes, s + line), w2, value)
                    value = scale_add(load(planes, s + line + padded), w3, value)
                    store(columns, target + c, value)


@njit(cache=True, parallel=True, nogil=True)
def _scatter(planes, offset, mask, geometry, size, first, columns, grad_planes, grad_offset, grad_mask):
    """The reverse of `_sample`: columns hold the gradient of the samples."""
    sections, padded = planes.shape[1], planes.shape[4]
    plane = planes.shape[2] * planes.shape[3] * padded
    line = planes.shape[3] * padded
    taps, height, width = mask.shape[2:]
    pitch = columns.shape[2]
    real = planes.dtype.type
    one = real(1)
    last = first + columns.shape[0] // width
    first_image = first // height
    for unit in prange(((last - 1) // height + 1 - first_image) * sections):
        b, section = first_image + unit // sections, unit % sections
        start = (b * sections + section) * plane
        index = np.empty(width, np.int64)
        fraction, corners = np.empty((3, width), planes.dtype), np.empty((4, width), planes.dtype)
        sums = np.empty((width, 4), planes.dtype)
        for row in range(max(first, b * height), min(last, (b + 1) * height)):
            y = row - b * height
            for tap in range(taps):
                _locate(offset[b, section, tap, 0, y], offset[b, section, tap, 1, y], mask[b, section, tap, y], y, tap, geometry, planes, index,
                        fraction, corners)
                for x in range(width):
                    target = start + index[x]
                    source = (((row - first) * width + x) * sections + section) * pitch + tap * size
                    w0, w1, w2, w3 = corners[0, x], corners[1, x], corners[2, x], corners[3, x]
                    d0 = d1 = d2 = d3 = zero(planes)
                    for c in range(0, padded, LANES):
                        grad = load(columns, source + c)
                        s = target + c
                        d0 = product_add(grad, load(planes, s), d0)
                        d1 = product_add(grad, load(planes, s + padded), d1)
                        d2 = product_add(grad, load(planes, s + line), d2)
                        d3 = product_add(grad, load(planes, s + line + padded), d3)
                        store(grad_planes, s, scale_add(grad, w0, load(grad_planes, s)))
                        s += padded
                        store(grad_planes, s, scale_add(grad, w1, load(grad_planes, s)))
                        s += line - padded
                        store(grad_planes, s, scale_add(grad, w2, load(grad_planes, s)))
                        s += padded
                        store(grad_planes, s, scale_add(grad, w3, load(grad_planes, s)))
                    store_sums(sums, 4 * x, d0, d1, d2, d3)
                for x in range(width):
                    v, u, valid = fraction[0, x], fraction[1, x], fraction[2, x]
                    upper = (one - u) * sums[x, 0] + u * sums[x, 1]
                    lower = (one - u) * sums[x, 2] + u * sums[x, 3]
                    across = (one - v) * (sums[x, 1] - sums[x, 0]) + v * (sums[x, 3] - sums[x, 2])
                    grad_mask[b, section, tap, y, x] = valid * ((one - v) * upper + v * lower)
                    m = mask[b, section, tap, y, x] * valid
                    grad_offset[b, section, tap, 0, y, x] = m * (lower - upper)
                    grad_offset[b, section, tap, 1, y, x] = m * across


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


class _Layout:
    def __init__(self, input, offset, mask, weight, bias, geometry):
        self.batch, channels, self.height, self.width = input.shape
        taps = weight.shape[2] * weight.shape[3]
        self.taps = taps
        self.groups = channels // weight.shape[1]
        sections = mask.shape[1] // taps
        self.parts = sections // self.groups
        self.size = -(-weight.shape[1] // self.parts)
        self.padded = -(-self.size // LANES) * LANES
        self.pitch = taps * self.size + self.padded - self.size
        self.sections = sections
        self.rows, self.cols = offset.shape[2:]
        self.geometry = (weight.shape[3], *geometry)
        self.offset = _array(offset).reshape(self.batch, sections, taps, 2, self.rows, self.cols)
        self.mask = _array(mask).reshape(self.batch, sections, taps, self.rows, self.cols)
        self.planes = input.new_zeros(self.batch, sections, self.height + 2, self.width + 2, self.padded)
        _pack(_array(input), self.parts, _array(self.planes))
        w = F.pad(weight, (0, 0, 0, 0, 0, self.size * self.parts - weight.shape[1]))
        w = w.view(self.groups, -1, self.parts, self.size, taps).transpose(3, 4).flatten(3)
        self.weight = F.pad(w, (0, self.padded - self.size)).flatten(2)

    def blocks(self, dtype):
        total = self.batch * self.rows
        rows = max(1, COLUMN_BYTES // (self.cols * self.sections * self.pitch * dtype.itemsize))
        for first in range(0, total, rows):
            yield first, min(rows, total - first)

    def images(self, first, count):
        """The pieces of images in a block of rows: image, its pixels, the block's pixels."""
        last = first + count
        for b in range(first // self.rows, (last - 1) // self.rows + 1):
            start, stop = max(first, b * self.rows), min(last, (b + 1) * self.rows)
            yield (b, slice((start - b * self.rows) * self.cols, (stop - b * self.rows) * self.cols),
                   slice((start - first) * self.cols, (stop - first) * self.cols))


def _forward(input, offset, mask, weight, bias, geometry):
    L = _Layout(input, offset, mask, weight, bias, geometry)
    out = input.new_empty(L.batch, weight.shape[0], L.rows, L.cols)
    flat = out.view(L.batch, L.groups, -1, L.rows * L.cols)
    shift = bias.view(L.groups, -1, 1)
    for first, count in L.blocks(input.dtype):
        columns = input.new_empty(count * L.cols, L.sections, L.pitch)
        _sample(_array(L.planes), L.offset, L.mask, L.geometry, L.size, first, _array(columns))
        grouped = columns.view(count * L.cols, L.groups, -1)
        for b, pixels, local in L.images(first, count):
            for g in range(L.groups):
                torch.addmm(shift[g], L.weight[g], grouped[local, g].T, out=flat[b, g, :, pixels])
    return out


def _backward(grad, input, offset, mask, weight, bias, geometry):
    L = _Layout(input, offset, mask, weight, bias, geometry)
    grad = grad.contiguous()
    flat = grad.view(L.batch, L.groups, -1, L.rows * L.cols)
    grad_planes = torch.zeros_like(L.planes)
    grad_offset, grad_mask = torch.empty_like(offset), torch.empty_like(mask)
    go, gm = _array(grad_offset).reshape(L.offset.shape), _array(grad_mask).reshape(L.mask.shape)
    grad_weight = torch.zeros_like(L.weight)
    for first, count in L.blocks(input.dtype):
        columns = input.new_empty(count * L.cols, L.sections, L.pitch)
        _sample(_array(L.planes), L.offset, L.mask, L.geometry, L.size, first, _array(columns))
        grouped = columns.view(count * L.cols, L.groups, -1)
        for b, pixels, local in L.images(first, count):
            for g in range(L.groups):
                grad_weight[g].addmm_(flat[b, g, :, pixels], grouped[local, g])
                torch.mm(flat[b, g, :, pixels].T, L.weight[g], out=grouped[local, g])
        _scatter(_array(L.planes), L.offset, L.mask, L.geometry, L.size, first, _array(columns),
                 _array(grad_planes), go, gm)
    grad_input = torch.empty_like(input)
    _unpack(_array(grad_planes), L.parts, _array(grad_input))
    gw = grad_weight.view(L.groups, -1, L.parts, L.pitch)[..., : L.taps * L.size]
    gw = gw.unflatten(3, (L.taps, L.size)).transpose(3, 4).flatten(2, 3)[:, :, : weight.shape[1]]
    return grad_input, grad_offset, grad_mask, gw.reshape(weight.shape), grad.sum((0, 2, 3)), None


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *args):
        ctx.save_for_backward(*args[:-1])
        ctx.geometry = args[-1]
        return _forward(*args)

    @staticmethod
    def backward(ctx, grad):
        return _backward(grad, *ctx.saved_tensors, ctx.geometry)


_deform_conv_cpu = _Function.apply
