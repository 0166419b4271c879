"""The CPU kernels of the deformable convolution, compiled by numba; `deform.py` holds the operator that uses them.

Channels are cut into sections, one for each offset group. A section of a picture is a plane (H + 2, W + 2, padded):
channels last, bordered by zeros, filled up with zero channels to whole vectors. The samples that an output pixel
takes from one section are a row of `pitch` numbers: tap by tap, `size` channels each, then zeros up to a whole
vector. A block of such rows stays in the cache until it is multiplied, so the sampled tensor never goes to memory.

Each thread writes what no other thread writes or reads: no result depends on their number or their order.
"""

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8  # numbers in a vector
ROWS = 4  # rows of a product that are summed in registers
BLOCK = 64  # pixels that are sampled before they are multiplied

# Vectors. LLVM does not vectorise the kernels by itself, because it cannot know that their arrays do not overlap.


class Vector(types.Type):
    def __init__(self, scalar: types.Type):
        self.scalar = scalar
        super().__init__(f"Vector({scalar})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(manager[vector.scalar].get_value_type(), LANES))


def _address(context, builder, array, value, index, length=LANES):
    data = context.make_array(array)(context, builder, value).data
    vector = ir.VectorType(context.get_value_type(array.dtype), length)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _shuffle(builder, a, b, lanes):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _fused(builder, a, b, total):
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), total, flags=("contract",))


@intrinsic
def zeros(typing, array):
    """A vector of zeros of the array's type."""

    def generate(context, builder, signature, values):
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return Vector(array.dtype)(array), generate


@intrinsic
def load(typing, array, index):
    """The vector from a flat index of a C-contiguous array on."""

    def generate(context, builder, signature, values):
        return builder.load(_address(context, builder, array, *values), align=array.dtype.bitwidth // 8)

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing, array, index, vector):
    """Writes a vector from a flat index of a C-contiguous array on."""

    def generate(context, builder, signature, values):
        address = _address(context, builder, array, *values[:2])
        builder.store(values[2], address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def multiply_add(typing, vector, factor, total):
    """vector * factor + total; the factor is a vector or one number."""

    def generate(context, builder, signature, values):
        a, b, c = values
        if not isinstance(factor, Vector):
            empty = ir.Constant(a.type, ir.Undefined)
            b = builder.insert_element(empty, b, ir.Constant(ir.IntType(32), 0))
            b = _shuffle(builder, b, empty, [0] * LANES)
        return _fused(builder, a, b, c)

    return vector(vector, factor if isinstance(factor, Vector) else vector.scalar, vector), generate


@intrinsic
def store_sums(typing, array, index, a, b, c, d):
    """Writes the sums over the lanes of a, b, c and d, four numbers in a row."""

    def generate(context, builder, signature, values):
        def pairs(u, v):
            even, odd = [0, 2, 8, 10, 4, 6, 12, 14], [1, 3, 9, 11, 5, 7, 13, 15]
            return builder.fadd(_shuffle(builder, u, v, even), _shuffle(builder, u, v, odd))

        both = pairs(pairs(*values[2:4]), pairs(*values[4:6]))
        sums = builder.fadd(*(_shuffle(builder, both, both, half) for half in ([0, 1, 2, 3], [4, 5, 6, 7])))
        address = _address(context, builder, array, *values[:2], length=4)
        builder.store(sums, address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, a, a, a, a), generate


def _tile(vectors: int):
    """An intrinsic: c += a @ b for ROWS rows and `vectors` vectors of columns, summed in registers."""

    @intrinsic
    def tile(typing, a, a_start, a_row, a_step, b, b_start, c, c_start, length, depth):
        def generate(context, builder, signature, values):
            _, a_start, a_row, a_step, _, b_start, _, c_start, length, depth = values
            align = a.dtype.bitwidth // 8

            def vector_at(array, value, start, row, vector):
                index = builder.add(start, builder.mul(length, row))
                index = builder.add(index, ir.Constant(length.type, LANES * vector))
                return _address(context, builder, array, value, index)

            places, totals = {}, {}
            for row in range(ROWS):
                for vector in range(vectors):
                    place = vector_at(c, values[6], c_start, ir.Constant(length.type, row), vector)
                    places[row, vector] = place
                    totals[row, vector] = cgutils.alloca_once_value(builder, builder.load(place, align=align))
            with cgutils.for_range(builder, depth) as loop:
                right = [vector_at(b, values[4], b_start, loop.index, vector) for vector in range(vectors)]
                right = [builder.load(place, align=align) for place in right]
                index = builder.add(a_start, builder.mul(loop.index, a_step))
                for row in range(ROWS):
                    left = builder.load(_address(context, builder, a, values[0], index, length=1), align=align)
                    left = _shuffle(builder, left, left, [0] * LANES)
                    for vector in range(vectors):
                        total = totals[row, vector]
                        builder.store(_fused(builder, left, right[vector], builder.load(total)), total)
                    index = builder.add(index, a_row)
            for cell, place in places.items():
                builder.store(builder.load(totals[cell]), place, align=align)
            return context.get_dummy_value()

        n = types.intp
        return types.void(a, n, n, n, b, n, c, n, n, n), generate

    return tile


_tile1, _tile2, _tile3 = _tile(1), _tile(2), _tile(3)


@njit(cache=True)
def _multiply(a, a_start, a_row, a_step, b, b_start, c, c_start, length, rows, depth):
    """c += a @ b with rows rounded up to ROWS; b and c have rows of `length`, a whole number of vectors."""
    for row in range(0, rows, ROWS):
        left, column = a_start + row * a_row, 0
        while column < length:
            right, target, vectors = b_start + column, c_start + row * length + column, (length - column) // LANES
            if vectors >= 3:
                _tile3(a, left, a_row, a_step, b, right, c, target, length, depth)
            elif vectors == 2:
                _tile2(a, left, a_row, a_step, b, right, c, target, length, depth)
            else:
                _tile1(a, left, a_row, a_step, b, right, c, target, length, depth)
            column += min(vectors, 3) * LANES


@njit(cache=True)
def _fill(plane, channels):
    """Copies channels (C, H, W) into a plane (H + 2, W + 2, padded)."""
    plane[:] = 0
    for channel in range(channels.shape[0]):
        for y in range(channels.shape[1]):
            for x in range(channels.shape[2]):
                plane[y + 1, x + 1, channel] = channels[channel, y, x]


@njit(cache=True)
def _locate(offset_y, offset_x, mask, top, left, step, plane, index, table):
    """Where a block's pixels sample: flat index of the upper left corner, four weights, fractions, validity."""
    real = mask.dtype.type
    zero, one = real(0), real(1)
    height, width, padded = plane
    for i in range(mask.size):
        v = real(top) + offset_y[i]
        u = real(left + i * step) + offset_x[i]
        inside = (v >= zero) & (v < real(height - 1)) & (u >= zero) & (u < real(width - 1))
        valid = one if inside else (zero if (v == v) & (u == u) else v + u)  # not a number remains so
        v = v if inside else zero
        u = u if inside else zero
        row, column = np.int32(v), np.int32(u)
        v -= real(row)
        u -= real(column)
        index[i] = (np.int64(row) * width + np.int64(column)) * padded
        m = mask[i] * valid
        table[i] = m * (one - v) * (one - u)  # one flat table: with several arrays LLVM would not vectorise this
        table[i + BLOCK] = m * (one - v) * u
        table[i + 2 * BLOCK] = m * v * (one - u)
        table[i + 3 * BLOCK] = m * v * u
        table[i + 4 * BLOCK] = v
        table[i + 5 * BLOCK] = u
        table[i + 6 * BLOCK] = valid


@njit(cache=True, parallel=True, nogil=True)
def fill_planes(picture, size, planes):
    """Copies a picture (B, groups, C, H, W) into planes (B, sections, H + 2, W + 2, padded)."""
    sections, parts = planes.shape[1], planes.shape[1] // picture.shape[1]
    for unit in prange(planes.shape[0] * sections):
        b, section = unit // sections, unit % sections
        first = section % parts * size
        _fill(planes[b, section], picture[b, section // parts, first : first + size])


@njit(cache=True, parallel=True, nogil=True)
def forward(planes, offset, mask, weight, bias, geometry, size, out):
    """The convolution of planes.

    offset (B, sections, taps, 2, H', W'), mask (B, sections, taps, H', W'), weight (sections, pitch, outputs padded),
    bias (groups, outputs), geometry (kernel width, stride, padding and dilation, y before x); the result goes to
    out (B, groups, outputs, H', W'). One thread computes whole rows.
    """
    batch, groups, outputs, rows, columns = out.shape
    sections, plane = planes.shape[1], planes.shape[2:]
    taps, pitch, length = mask.shape[2], weight.shape[1], weight.shape[2]
    kw, sy, sx, py, px, dy, dx = geometry
    padded, line = plane[2], plane[1] * plane[2]
    for unit in prange(batch * rows):
        b, y = unit // rows, unit % rows
        index, table = np.empty(BLOCK, np.int64), np.empty(7 * BLOCK, planes.dtype)
        samples, result = np.empty((BLOCK, pitch), planes.dtype), np.empty((BLOCK, length), planes.dtype)
        for group in range(groups):
            for x in range(0, columns, BLOCK):
                end = min(x + BLOCK, columns)
                result[:] = 0
                for section in range(group * sections // groups, (group + 1) * sections // groups):
                    start = (b * sections + section) * plane[0] * line
                    for tap in range(taps):
                        top, left = y * sy - py + tap // kw * dy + 1, x * sx - px + tap % kw * dx + 1
                        shift = offset[b, section, tap, :, y, x:end]
                        _locate(shift[0], shift[1], mask[b, section, tap, y, x:end], top, left, sx, plane, index, table)
                        for i in range(end - x):
                            near, target = start + index[i], i * pitch + tap * size
                            w0, w1, w2, w3 = table[i], table[i + BLOCK], table[i + 2 * BLOCK], table[i + 3 * BLOCK]
                            for c in range(0, padded, LANES):  # a tap's surplus zeros give way to the next tap
                                value = multiply_add(load(planes, near + c), w0, zeros(planes))
                                value = multiply_add(load(planes, near + c + padded), w1, value)
                                value = multiply_add(load(planes, near + c + line), w2, value)
                                value = multiply_add(load(planes, near + c + line + padded), w3, value)
                                store(samples, target + c, value)
                    _multiply(samples, 0, pitch, 1, weight, section * pitch * length, result, 0, length, end - x, pitch)
                for channel in range(outputs):
                    for i in range(end - x):
                        out[b, group, channel, y, x + i] = result[i, channel] + bias[group, channel]


@njit(cache=True, parallel=True, nogil=True)
def backward(
    picture, offset, mask, weight, grad, geometry, size, grad_picture, grad_offset, grad_mask, grad_weight
):
    """The gradients of `forward` from that of its result, grad (B, groups, outputs, H', W').

    Here weight is (sections, outputs, pitch), picture and its gradient are (B, groups, C, H, W); the weight's
    gradient (B, sections, outputs padded, pitch) is added to, image by image. One thread computes a whole section of
    an image. The samples are taken again: storing them would take nine times the input's memory.
    """
    batch, groups, outputs, rows, columns = grad.shape
    sections, taps, pitch, upright = mask.shape[1], mask.shape[2], weight.shape[2], grad_weight.shape[2]
    kw, sy, sx, py, px, dy, dx = geometry
    parts, padded = sections // groups, -(-size // LANES) * LANES
    plane = (picture.shape[3] + 2, picture.shape[4] + 2, padded)
    line = plane[1] * padded
    one = picture.dtype.type(1)
    for unit in prange(batch * sections):
        b, section = unit // sections, unit % sections
        group, first = section // parts, section % parts * size
        inputs, grad_inputs = np.empty(plane, picture.dtype), np.zeros(plane, picture.dtype)
        _fill(inputs, picture[b, group, first : first + size])
        index, table = np.empty(BLOCK, np.int64), np.empty(7 * BLOCK, picture.dtype)
        sums, above = np.empty((BLOCK, 4), picture.dtype), np.zeros((upright, BLOCK), picture.dtype)
        samples, slopes = np.empty((BLOCK, pitch), picture.dtype), np.empty((BLOCK, pitch), picture.dtype)
        for y in range(rows):
            for x in range(0, columns, BLOCK):
                end = min(x + BLOCK, columns)
                for channel in range(outputs):
                    for i in range(end - x):
                        above[channel, i] = grad[b, group, channel, y, x + i]
                slopes[:] = 0
                _multiply(above, 0, 1, BLOCK, weight, section * outputs * pitch, slopes, 0, pitch, end - x, outputs)
                for tap in range(taps):
                    top, left = y * sy - py + tap // kw * dy + 1, x * sx - px + tap % kw * dx + 1
                    shift = offset[b, section, tap, :, y, x:end]
                    _locate(shift[0], shift[1], mask[b, section, tap, y, x:end], top, left, sx, plane, index, table)
                    for i in range(end - x):
                        near, source = index[i], i * pitch + tap * size
                        w0, w1, w2, w3 = table[i], table[i + BLOCK], table[i + 2 * BLOCK], table[i + 3 * BLOCK]
                        d0 = d1 = d2 = d3 = zeros(inputs)
                        for c in range(0, padded, LANES):
                            slope = load(slopes, source + c)
                            s0, s1, s2, s3 = near + c, near + c + padded, near + c + line, near + c + line + padded
                            p0, p1, p2, p3 = load(inputs, s0), load(inputs, s1), load(inputs, s2), load(inputs, s3)
                            value = multiply_add(p1, w1, multiply_add(p0, w0, zeros(inputs)))
                            store(samples, source + c, multiply_add(p3, w3, multiply_add(p2, w2, value)))
                            d0, d1 = multiply_add(slope, p0, d0), multiply_add(slope, p1, d1)
                            d2, d3 = multiply_add(slope, p2, d2), multiply_add(slope, p3, d3)
                            store(grad_inputs, s0, multiply_add(slope, w0, load(grad_inputs, s0)))
                            store(grad_inputs, s1, multiply_add(slope, w1, load(grad_inputs, s1)))
                            store(grad_inputs, s2, multiply_add(slope, w2, load(grad_inputs, s2)))
                            store(grad_inputs, s3, multiply_add(slope, w3, load(grad_inputs, s3)))
                        store_sums(sums, 4 * i, d0, d1, d2, d3)
                    for i in range(end - x):
                        v, u, valid = table[i + 4 * BLOCK], table[i + 5 * BLOCK], table[i + 6 * BLOCK]
                        upper = (one - u) * sums[i, 0] + u * sums[i, 1]
                        lower = (one - u) * sums[i, 2] + u * sums[i, 3]
                        right = (one - v) * (sums[i, 1] - sums[i, 0]) + v * (sums[i, 3] - sums[i, 2])
                        m = mask[b, section, tap, y, x + i] * valid
                        grad_mask[b, section, tap, y, x + i] = valid * ((one - v) * upper + v * lower)
                        grad_offset[b, section, tap, 0, y, x + i] = m * (lower - upper)
                        grad_offset[b, section, tap, 1, y, x + i] = m * right
                _multiply(above, 0, BLOCK, 1, samples, 0, grad_weight, unit * upright * pitch, pitch, upright, end - x)
        target = grad_picture[b, group, first : first + size]
        for channel in range(target.shape[0]):
            for y in range(target.shape[1]):
                for x in range(target.shape[2]):
                    target[channel, y, x] = grad_inputs[y + 1, x + 1, channel]
