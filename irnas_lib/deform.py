"""The deformable convolution that every network of the project uses (the "def" operation of Section 3.1).

On CUDA it is torchvision's operator. On a CPU, where that one is slow, it is compiled here: pictures are laid out
channels-last and zero-bordered, neighbouring channels are interpolated as one vector, and a few dozen pixels are
sampled and multiplied at a time, so that the sampled tensor (nine times the input) never goes to memory.

Channels are cut into sections, one for each offset group. An output pixel's samples of one section are a row of
`pitch` numbers: tap by tap, `size` channels each, then zeros up to a whole vector.
"""

import math
import threading

import numba
import numpy as np
import torch
import torch.nn.functional as F
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from torch import Tensor
from torch.nn.modules.utils import _pair
from torchvision.ops import deform_conv2d

LANES = 8  # numbers in a vector
ROWS = 4  # rows of a product held in registers
BLOCK = 32  # pixels sampled before they are multiplied

# OpenMP first: on Linux it is torch's own pool of threads, and two pools would fight for the cores.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
_one_caller = threading.Lock()  # numba's last choice, workqueue, allows no more


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
    """Modulated deformable convolution: `torchvision.ops.deform_conv2d`, and any number of channels.

    Args:
        input: (B, C, H, W). Samples outside the picture are zero; between pixels they are bilinear.
        offset: (B, 2 * G * kh * kw, H', W') in pixels: group by group, tap by tap, first dy, then dx.
        weight: (C_out, C / groups, kh, kw); groups follows from the two channel counts.
        bias: (C_out,) or None.
        stride, padding, dilation: one number, or one for y and one for x.
        mask: (B, G * kh * kw, H', W'), the factor of each sample, or None for one.

    Offset groups that do not divide the channels of a weight group are allowed: zero channels complete the last
    one (15 channels and two offset groups make 8 and 7). Half precision is computed in float32 on a CPU. On a
    CPU the result does not depend on the number of threads.

    Returns:
        (B, C_out, H', W') in the input's dtype.

    Raises:
        ValueError: a shape that does not fit the others.
    """
    geometry = [*_pair(stride), *_pair(padding), *_pair(dilation)]
    groups, sections = _check(input, offset, weight, bias, geometry, mask)
    dtype = input.dtype
    for other in (offset, weight, bias, mask):
        dtype = dtype if other is None else torch.promote_types(dtype, other.dtype)
    if input.device.type == "cpu" and dtype != torch.float64:
        dtype = torch.float32
    result = input.dtype
    input, offset, weight = input.to(dtype), offset.to(dtype), weight.to(dtype)
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias.to(dtype)
    mask = None if mask is None else mask.to(dtype)

    if input.device.type == "cpu":
        if mask is None:
            mask = offset.new_ones(offset.shape[0], offset.shape[1] // 2, *offset.shape[2:])
        repeats = groups // math.gcd(groups, sections)
        if repeats > 1:  # an offset group that spans several weight groups is given to each of them
            taps = weight.shape[2] * weight.shape[3]
            offset = offset.unflatten(1, (sections, 2 * taps)).repeat_interleave(repeats, 1).flatten(1, 2)
            mask = mask.unflatten(1, (sections, taps)).repeat_interleave(repeats, 1).flatten(1, 2)
        return _deform_conv(input, offset, mask, weight, bias, geometry).to(result)
    missing = -weight.shape[1] % (sections // groups) if sections % groups == 0 else 0
    if missing:
        input = F.pad(input.unflatten(1, (groups, -1)), (0, 0, 0, 0, 0, missing)).flatten(1, 2)
        weight = F.pad(weight, (0, 0, 0, 0, 0, missing))
    return deform_conv2d(input, offset, weight, bias, geometry[:2], geometry[2:4], geometry[4:], mask).to(result)


def _check(input, offset, weight, bias, geometry, mask) -> tuple[int, int]:
    """The numbers of weight groups and of offset groups, if all shapes agree."""
    if input.ndim != 4 or weight.ndim != 4 or offset.ndim != 4:
        raise ValueError("deform_conv: input, offset and weight must have four dimensions")
    batch, channels, height, width = input.shape
    outputs, per_group, kh, kw = weight.shape
    if per_group == 0 or channels % per_group or channels == 0 or outputs % (channels // per_group):
        raise ValueError(f"deform_conv: weight {tuple(weight.shape)} does not divide {channels} input channels")
    groups, sections = channels // per_group, offset.shape[1] // (2 * kh * kw)
    sy, sx, py, px, dy, dx = geometry
    rows, columns = (height + 2 * py - dy * (kh - 1) - 1) // sy + 1, (width + 2 * px - dx * (kw - 1) - 1) // sx + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"deform_conv: a {height}x{width} picture is smaller than the kernel")
    if sections == 0 or tuple(offset.shape) != (batch, 2 * sections * kh * kw, rows, columns):
        expected = f"({batch}, a multiple of {2 * kh * kw}, {rows}, {columns})"
        raise ValueError(f"deform_conv: offset {tuple(offset.shape)} must be {expected}")
    if sections % groups and channels % sections:
        raise ValueError(f"deform_conv: {sections} offset groups fit neither {groups} groups nor {channels} channels")
    if mask is not None and tuple(mask.shape) != (batch, sections * kh * kw, rows, columns):
        expected = (batch, sections * kh * kw, rows, columns)
        raise ValueError(f"deform_conv: mask {tuple(mask.shape)} must be {expected}")
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise ValueError(f"deform_conv: bias {tuple(bias.shape)} must be ({outputs},)")
    return groups, sections


# Vectors. LLVM does not vectorise the kernels by itself: it cannot know that their arrays do not overlap.


class _Vector(types.Type):
    def __init__(self, scalar: types.Type):
        self.scalar = scalar
        super().__init__(f"Vector({scalar})")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(manager[vector.scalar].get_value_type(), LANES))


def _address(context, builder, array, value, index, length=LANES):
    data = context.make_array(array)(context, builder, value).data
    vector = ir.VectorType(context.get_value_type(array.dtype), length)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _shuffle(builder, a, b, lanes):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _spread(builder, scalar):
    empty = ir.Constant(ir.VectorType(scalar.type, 1), ir.Undefined)
    lane = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
    return _shuffle(builder, lane, empty, [0] * LANES)


def _fused(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


@intrinsic
def _zero(typing, array):
    """A vector of zeros of the array's type."""

    def generate(context, builder, signature, values):
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return _Vector(array.dtype)(array), generate


@intrinsic
def _load(typing, array, index):
    """The vector from a flat index of a C-contiguous array on."""

    def generate(context, builder, signature, values):
        return builder.load(_address(context, builder, array, *values), align=array.dtype.bitwidth // 8)

    return _Vector(array.dtype)(array, types.intp), generate


@intrinsic
def _store(typing, array, index, vector):
    """Writes the vector from a flat index of a C-contiguous array on."""

    def generate(context, builder, signature, values):
        builder.store(values[2], _address(context, builder, array, *values[:2]), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def _scaled(typing, vector, scalar, total):
    """vector * scalar + total."""

    def generate(context, builder, signature, values):
        return _fused(builder, values[0], _spread(builder, values[1]), values[2])

    return vector(vector, vector.scalar, vector), generate


@intrinsic
def _product(typing, first, second, total):
    """first * second + total, lane by lane."""

    def generate(context, builder, signature, values):
        return _fused(builder, *values)

    return first(first, first, first), generate


@intrinsic
def _store_sums(typing, array, index, a, b, c, d):
    """Writes the sums over the lanes of a, b, c and d, four numbers in a row."""

    def generate(context, builder, signature, values):
        def pairs(u, v):
            even, odd = [0, 2, 8, 10, 4, 6, 12, 14], [1, 3, 9, 11, 5, 7, 13, 15]
            return builder.fadd(_shuffle(builder, u, v, even), _shuffle(builder, u, v, odd))

        halves = pairs(pairs(*values[2:4]), pairs(*values[4:6]))
        sums = builder.fadd(*(_shuffle(builder, halves, halves, half) for half in ([0, 1, 2, 3], [4, 5, 6, 7])))
        builder.store(sums, _address(context, builder, array, *values[:2], 4), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, a, a, a, a), generate


def _tile(vectors: int):
    """c += a @ b for ROWS rows and `vectors` vectors of columns, summed in registers."""

    @intrinsic
    def tile(typing, a, a_start, a_row, a_step, b, b_start, c, c_start, length, depth):
        def generate(context, builder, signature, values):
            _, a_start, a_row, a_step, _, b_start, _, c_start, length, depth = values
            align = a.dtype.bitwidth // 8

            def place(row, vector):
                index = builder.add(c_start, builder.mul(length, ir.Constant(length.type, row)))
                index = builder.add(index, ir.Constant(length.type, LANES * vector))
                return _address(context, builder, c, values[6], index)

            cells = [(row, vector) for row in range(ROWS) for vector in range(vectors)]
            totals = {cell: cgutils.alloca_once_value(builder, builder.load(place(*cell), align=align)) for cell in cells}
            with cgutils.for_range(builder, depth) as loop:
                start = builder.add(b_start, builder.mul(loop.index, length))
                right = []
                for vector in range(vectors):
                    index = builder.add(start, ir.Constant(length.type, LANES * vector))
                    right.append(builder.load(_address(context, builder, b, values[4], index), align=align))
                index = builder.add(a_start, builder.mul(loop.index, a_step))
                for row in range(ROWS):
                    left = builder.load(_address(context, builder, a, values[0], index, 1), align=align)
                    left = _shuffle(builder, left, left, [0] * LANES)
                    for vector in range(vectors):
                        total = totals[row, vector]
                        builder.store(_fused(builder, left, right[vector], builder.load(total)), total)
                    index = builder.add(index, a_row)
            for cell, total in totals.items():
                builder.store(builder.load(total), place(*cell), align=align)
            return context.get_dummy_value()

        n = types.intp
        return types.void(a, n, n, n, b, n, c, n, n, n), generate

    return tile


_tile1, _tile2, _tile3 = _tile(1), _tile(2), _tile(3)


# Kernels


@njit(cache=True)
def _multiply(a, a_start, a_row, a_step, b, b_start, c, c_start, length, rows, depth):
    """c += a @ b, rows rounded up to ROWS; b and c have rows of `length`, a whole number of vectors."""
    for row in range(0, rows, ROWS):
        first, target = a_start + row * a_row, c_start + row * length
        column = 0
        while length - column >= 3 * LANES:
            _tile3(a, first, a_row, a_step, b, b_start + column, c, target + column, length, depth)
            column += 3 * LANES
        if length - column == 2 * LANES:
            _tile2(a, first, a_row, a_step, b, b_start + column, c, target + column, length, depth)
        elif length - column == LANES:
            _tile1(a, first, a_row, a_step, b, b_start + column, c, target + column, length, depth)


@njit(cache=True, parallel=True, nogil=True)
def _copy_planes(picture, planes, size, back):
    """Copies (B, groups, C, H, W) to sections with a border of zeros, (B, S, H + 2, W + 2, padded), or back."""
    batch, groups, channels, height, width = picture.shape
    sections = planes.shape[1]
    parts = sections // groups
    for unit in prange(batch * sections * height):
        b, section, y = unit // (sections * height), unit // height % sections, unit % height
        first = section % parts * size
        rows, plane = picture[b, section // parts], planes[b, section, y + 1]
        for channel in range(first, min(first + size, channels)):
            for x in range(width):
                if back:
                    rows[channel, y, x] = plane[x + 1, channel - first]
                else:
                    plane[x + 1, channel - first] = rows[channel, y, x]


@njit(cache=True)
def _locate(offset_y, offset_x, mask, top, left, stride, height, width, padded, index, table):
    """Where the pixels of a block sample: index of the upper left corner; four weights, fractions, validity."""
    real = mask.dtype.type
    zero, one = real(0), real(1)
    for i in range(mask.size):
        v = real(top) + offset_y[i]
        u = real(left + i * stride) + offset_x[i]
        inside = (v >= zero) & (v < real(height + 1)) & (u >= zero) & (u < real(width + 1))
        valid = one if inside else (zero if (v == v) & (u == u) else v + u)  # not a number remains so
        v = v if inside else zero
        u = u if inside else zero
        row, column = np.int32(v), np.int32(u)
        v -= real(row)
        u -= real(column)
        index[i] = (np.int64(row) * (width + 2) + np.int64(column)) * padded
        m = mask[i] * valid
        table[i] = m * (one - v) * (one - u)  # one flat table: several arrays would keep LLVM from vectorising
        table[i + BLOCK] = m * (one - v) * u
        table[i + 2 * BLOCK] = m * v * (one - u)
        table[i + 3 * BLOCK] = m * v * u
        table[i + 4 * BLOCK] = v
        table[i + 5 * BLOCK] = u
        table[i + 6 * BLOCK] = valid


@njit(cache=True, parallel=True, nogil=True)
def _forward(planes, offset, mask, weight, bias, geometry, size, out):
    """out (B, groups, C, H', W') from planes, offset (B, S, taps, 2, H', W'), mask, weight (S, pitch, C padded)."""
    batch, groups, outputs, rows, columns = out.shape
    sections, height, width, padded = planes.shape[1], planes.shape[2] - 2, planes.shape[3] - 2, planes.shape[4]
    taps, pitch, length = mask.shape[2], weight.shape[1], weight.shape[2]
    kw, sy, sx, py, px, dy, dx = geometry
    line = (width + 2) * padded
    for unit in prange(batch * rows):
        b, y = unit // rows, unit % rows
        index, table = np.empty(BLOCK, np.int64), np.empty(7 * BLOCK, planes.dtype)
        samples = np.empty((BLOCK, pitch), planes.dtype)
        result = np.empty((BLOCK, length), planes.dtype)
        for group in range(groups):
            for x0 in range(0, columns, BLOCK):
                x1 = min(x0 + BLOCK, columns)
                count = x1 - x0
                result[:] = 0
                for section in range(group * sections // groups, (group + 1) * sections // groups):
                    start = (b * sections + section) * (height + 2) * line
                    for tap in range(taps):
                        top, left = y * sy - py + tap // kw * dy + 1, x0 * sx - px + tap % kw * dx + 1
                        _locate(offset[b, section, tap, 0, y, x0:x1], offset[b, section, tap, 1, y, x0:x1],
                                mask[b, section, tap, y, x0:x1], top, left, sx, height, width, padded, index, table)
                        for i in range(count):
                            near, target = start + index[i], i * pitch + tap * size
                            w0, w1, w2, w3 = table[i], table[i + BLOCK], table[i + 2 * BLOCK], table[i + 3 * BLOCK]
                            for c in range(0, padded, LANES):
                                s = near + c
                                value = _scaled(_load(planes, s), w0, _zero(planes))
                                value = _scaled(_load(planes, s + padded), w1, value)
                                value = _scaled(_load(planes, s + line), w2, value)
                                value = _scaled(_load(planes, s + line + padded), w3, value)
                                _store(samples, target + c, value)
                    _multiply(samples, 0, pitch, 1, weight, section * pitch * length, result, 0, length, count, pitch)
                for channel in range(outputs):
                    shift = bias[group, channel]
                    for i in range(count):
                        out[b, group, channel, y, x0 + i] = result[i, channel] + shift


@njit(cache=True, parallel=True, nogil=True)
def _backward(planes, offset, mask, weight, grad, geometry, size, grad_planes, grad_offset, grad_mask, grad_weight):
    """Gradients of planes, offset, mask and, for each image, weight (S, C, pitch); each thread has its own section."""
    batch, groups, outputs, rows, columns = grad.shape
    sections, height, width, padded = planes.shape[1], planes.shape[2] - 2, planes.shape[3] - 2, planes.shape[4]
    taps, pitch, upright = mask.shape[2], weight.shape[2], grad_weight.shape[2]
    kw, sy, sx, py, px, dy, dx = geometry
    line = (width + 2) * padded
    one = planes.dtype.type(1)
    for unit in prange(batch * sections):
        b, section = unit // sections, unit % sections
        start = unit * (height + 2) * line
        index, table = np.empty(BLOCK, np.int64), np.empty(7 * BLOCK, planes.dtype)
        sums = np.empty((BLOCK, 4), planes.dtype)
        samples, slopes = np.empty((BLOCK, pitch), planes.dtype), np.empty((BLOCK, pitch), planes.dtype)
        above = np.zeros((upright, BLOCK), planes.dtype)
        for y in range(rows):
            for x0 in range(0, columns, BLOCK):
                x1 = min(x0 + BLOCK, columns)
                count = x1 - x0
                for channel in range(outputs):
                    for i in range(count):
                        above[channel, i] = grad[b, section * groups // sections, channel, y, x0 + i]
                slopes[:] = 0
                _multiply(above, 0, 1, BLOCK, weight, section * outputs * pitch, slopes, 0, pitch, count, outputs)
                for tap in range(taps):
                    top, left = y * sy - py + tap // kw * dy + 1, x0 * sx - px + tap % kw * dx + 1
                    _locate(offset[b, section, tap, 0, y, x0:x1], offset[b, section, tap, 1, y, x0:x1],
                            mask[b, section, tap, y, x0:x1], top, left, sx, height, width, padded, index, table)
                    for i in range(count):
                        near, source = start + index[i], i * pitch + tap * size
                        w0, w1, w2, w3 = table[i], table[i + BLOCK], table[i + 2 * BLOCK], table[i + 3 * BLOCK]
                        d0 = d1 = d2 = d3 = _zero(planes)
                        for c in range(0, padded, LANES):
                            slope = _load(slopes, source + c)
                            s0, s2 = near + c, near + c + line
                            s1, s3 = s0 + padded, s2 + padded
                            p0, p1, p2, p3 = _load(planes, s0), _load(planes, s1), _load(planes, s2), _load(planes, s3)
                            value = _scaled(p1, w1, _scaled(p0, w0, _zero(planes)))
                            _store(samples, source + c, _scaled(p3, w3, _scaled(p2, w2, value)))
                            d0, d1 = _product(slope, p0, d0), _product(slope, p1, d1)
                            d2, d3 = _product(slope, p2, d2), _product(slope, p3, d3)
                            _store(grad_planes, s0, _scaled(slope, w0, _load(grad_planes, s0)))
                            _store(grad_planes, s1, _scaled(slope, w1, _load(grad_planes, s1)))
                            _store(grad_planes, s2, _scaled(slope, w2, _load(grad_planes, s2)))
                            _store(grad_planes, s3, _scaled(slope, w3, _load(grad_planes, s3)))
                        _store_sums(sums, 4 * i, d0, d1, d2, d3)
                    for i in range(count):
                        v, u, valid = table[i + 4 * BLOCK], table[i + 5 * BLOCK], table[i + 6 * BLOCK]
                        upper = (one - u) * sums[i, 0] + u * sums[i, 1]
                        lower = (one - u) * sums[i, 2] + u * sums[i, 3]
                        right = (one - v) * (sums[i, 1] - sums[i, 0]) + v * (sums[i, 3] - sums[i, 2])
                        m = mask[b, section, tap, y, x0 + i] * valid
                        grad_mask[b, section, tap, y, x0 + i] = valid * ((one - v) * upper + v * lower)
                        grad_offset[b, section, tap, 0, y, x0 + i] = m * (lower - upper)
                        grad_offset[b, section, tap, 1, y, x0 + i] = m * right
                _multiply(above, 0, BLOCK, 1, samples, 0, grad_weight, unit * upright * pitch, pitch, upright, count)


# The operator


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _arranged(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, geometry: list[int]):
    """What both kernels take: planes, offset, mask, weight (S, C_out / groups, pitch), geometry and `size`."""
    groups, taps = input.shape[1] // weight.shape[1], weight.shape[2] * weight.shape[3]
    sections = mask.shape[1] // taps
    parts = sections // groups
    size = -(-weight.shape[1] // parts)
    zeros = -size % LANES
    planes = input.new_zeros(len(input), sections, input.shape[2] + 2, input.shape[3] + 2, size + zeros)
    _copy_planes(_array(input.unflatten(1, (groups, -1))), _array(planes), size, False)
    packed = F.pad(weight.flatten(2), (0, 0, 0, parts * size - weight.shape[1]))
    packed = packed.view(groups, -1, parts, size, taps).permute(0, 2, 1, 4, 3).reshape(sections, -1, taps * size)
    offset = offset.unflatten(1, (sections, taps, 2))
    mask = mask.unflatten(1, (sections, taps))
    return planes, offset, mask, F.pad(packed, (0, zeros)), (weight.shape[3], *geometry), size


class _Threads:
    """As many threads as torch uses, one caller at a time."""

    def __enter__(self):
        _one_caller.acquire()
        threads = torch.get_num_threads()
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        if torch.get_num_threads() != threads:  # numba's first start sets OpenMP's number, which is torch's too
            torch.set_num_threads(threads)

    def __exit__(self, *_):
        _one_caller.release()


@torch.library.custom_op("irnas::deform_conv", mutates_args=(), device_types="cpu")
def _deform_conv(
    input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, geometry: list[int]
) -> Tensor:
    with _Threads():
        planes, offset, mask, packed, geometry, size = _arranged(input, offset, mask, weight, geometry)
        groups = input.shape[1] // weight.shape[1]
        out = input.new_empty(len(input), groups, len(weight) // groups, *offset.shape[-2:])
        packed = F.pad(packed.transpose(1, 2), (0, -out.shape[2] % LANES))
        _forward(_array(planes), _array(offset), _array(mask), _array(packed), _array(bias.view(groups, -1)),
                 geometry, size, _array(out))
    return out.flatten(1, 2)


@torch.library.custom_op("irnas::deform_conv_backward", mutates_args=(), device_types="cpu")
def _deform_conv_backward(
    grad: Tensor, input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, geometry: list[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    with _Threads():
        groups = input.shape[1] // weight.shape[1]
        planes, offset, mask, packed, geometry, size = _arranged(input, offset, mask, weight, geometry)
        grad_planes = torch.zeros_like(planes)
        grad_offset, grad_mask = (torch.empty(t.shape, dtype=t.dtype) for t in (offset, mask))
        sections, outputs, pitch = packed.shape
        grad_weight = input.new_zeros(len(input), sections, outputs + -outputs % ROWS, pitch)
        _backward(_array(planes), _array(offset), _array(mask), _array(packed),
                  _array(grad.unflatten(1, (groups, -1))), geometry, size,
                  _array(grad_planes), _array(grad_offset), _array(grad_mask), _array(grad_weight))
        grad_input = torch.empty(input.shape, dtype=input.dtype)
        _copy_planes(_array(grad_input.unflatten(1, (groups, -1))), _array(grad_planes), size, True)
    taps = mask.shape[2]
    grad_weight = grad_weight.sum(0)[:, :outputs, : taps * size].view(groups, -1, outputs, taps, size)
    grad_weight = grad_weight.permute(0, 2, 1, 4, 3).reshape(len(weight), -1, taps)[:, : weight.shape[1]]
    return grad_input, grad_offset.flatten(1, 3), grad_mask.flatten(1, 2), grad_weight.reshape(weight.shape)


@_deform_conv.register_fake
def _(input, offset, mask, weight, bias, geometry):
    return input.new_empty(len(input), len(weight), *offset.shape[2:])


@_deform_conv_backward.register_fake
def _(grad, input, offset, mask, weight, geometry):
    return tuple(tensor.new_empty(tensor.shape) for tensor in (input, offset, mask, weight))


def _save(ctx, inputs, output):
    *tensors, _, ctx.geometry = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx, grad):
    return (*_deform_conv_backward(grad, *ctx.saved_tensors, ctx.geometry), grad.sum((0, 2, 3)), None)


_deform_conv.register_autograd(_gradients, setup_context=_save)
