"""The CPU kernels of the deformable convolution, compiled by numba; `deform.py` holds the operator.

All pictures lie channels last. Channels are cut into sections, one for each offset group. A section of a picture is
a plane (H + 2, W + 2, padded): bordered by zeros, filled up with zero channels to whole vectors. The samples that an
output pixel takes from one section are a row of `pitch` numbers: tap by tap, `size` channels each, then zeros
up to a whole vector. A block of such rows stays in the cache until it is multiplied: the sampled tensor, nine
times the input, never goes to memory.

Each thread writes what no other thread writes or reads: no result depends on their number or their order.
"""

import numpy as np
from numba import prange

from irnas_lib.kernels.vectors import LANES, ROWS, load, multiply_add, store, store_sums, tile, zeros
from irnas_lib.runtime import njit

BLOCK = 64  # pixels that are sampled before they are multiplied
_tile1, _tile2, _tile3 = tile(1), tile(2), tile(3)


@njit()
def _multiply(a, a_start, a_row, a_step, b, b_start, c, c_start, length, rows, depth):
    """c += a @ b with rows rounded up to ROWS; b and c have rows of `length`, a whole number of vectors."""
    for row in range(0, rows, ROWS):
        left, column = a_start + row * a_row, 0
        while column < length:
            right, target = b_start + column, c_start + row * length + column
            vectors = (length - column) // LANES
            if vectors >= 3:
                _tile3(a, left, a_row, a_step, b, right, c, target, length, depth)
            elif vectors == 2:
                _tile2(a, left, a_row, a_step, b, right, c, target, length, depth)
            else:
                _tile1(a, left, a_row, a_step, b, right, c, target, length, depth)
            column += min(vectors, 3) * LANES


@njit()
def _fill(plane, channels):
    """Copies channels (H, W, C) into a plane (H + 2, W + 2, padded)."""
    plane[:] = 0
    for y in range(channels.shape[0]):
        for x in range(channels.shape[1]):
            for channel in range(channels.shape[2]):
                plane[y + 1, x + 1, channel] = channels[y, x, channel]


@njit()
def _locate(offset_y, offset_x, mask, start, plane, index, table):
    """Where a block's pixels sample: index of the upper left corner; four weights, fractions, validity."""
    real = mask.dtype.type
    zero, one = real(0), real(1)
    (top, left, step), (height, width, padded) = start, plane
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
        table[i] = m * (one - v) * (one - u)  # one table: LLVM would not vectorise the loop with several
        table[i + BLOCK] = m * (one - v) * u
        table[i + 2 * BLOCK] = m * v * (one - u)
        table[i + 3 * BLOCK] = m * v * u
        table[i + 4 * BLOCK] = v
        table[i + 5 * BLOCK] = u
        table[i + 6 * BLOCK] = valid


@njit(parallel=True, nogil=True)
def fill_planes(picture, size, planes):
    """Copies a picture (B, H, W, groups, C) into planes (B, sections, H + 2, W + 2, padded)."""
    sections, parts = planes.shape[1], planes.shape[1] // picture.shape[3]
    for unit in prange(planes.shape[0] * sections):
        b, section = unit // sections, unit % sections
        first = section % parts * size
        _fill(planes[b, section], picture[b, :, :, section // parts, first : first + size])


@njit(parallel=True, nogil=True)
def forward(planes, offset, mask, weight, bias, geometry, size, out):
    """The convolution of planes.

    offset (B, H', W', sections, taps, 2), mask (B, H', W', sections, taps), weight (sections, pitch, outputs
    padded), bias (groups, outputs), geometry (kernel width, then stride, padding and dilation, y before x).
    The result goes to out (B, H', W', groups, outputs). One thread computes whole rows.
    """
    batch, rows, columns, groups, outputs = out.shape
    sections, plane = planes.shape[1], planes.shape[2:]
    taps, pitch, length = mask.shape[4], weight.shape[1], weight.shape[2]
    kw, sy, sx, py, px, dy, dx = geometry
    padded, line = plane[2], plane[1] * plane[2]
    for unit in prange(batch * rows):
        b, y = unit // rows, unit % rows
        index, table = np.empty(BLOCK, np.int64), np.empty(7 * BLOCK, planes.dtype)
        samples, result = np.zeros((BLOCK, pitch), planes.dtype), np.empty((BLOCK, length), planes.dtype)
        for group in range(groups):
            for x in range(0, columns, BLOCK):
                end = min(x + BLOCK, columns)
                result[:] = 0
                for section in range(group * sections // groups, (group + 1) * sections // groups):
                    start = (b * sections + section) * plane[0] * line
                    for tap in range(taps):
                        top, left = y * sy - py + tap // kw * dy + 1, x * sx - px + tap % kw * dx + 1
                        _locate(
                            offset[b, y, x:end, section, tap, 0],
                            offset[b, y, x:end, section, tap, 1],
                            mask[b, y, x:end, section, tap],
                            (top, left, sx),
                            plane,
                            index,
                            table,
                        )
                        for i in range(end - x):
                            near, target = start + index[i], i * pitch + tap * size
                            w0, w1 = table[i], table[i + BLOCK]
                            w2, w3 = table[i + 2 * BLOCK], table[i + 3 * BLOCK]
                            for c in range(0, padded, LANES):  # the next tap overwrites a tap's surplus zeros
                                value = multiply_add(load(planes, near + c), w0, zeros(planes))
                                value = multiply_add(load(planes, near + c + padded), w1, value)
                                value = multiply_add(load(planes, near + c + line), w2, value)
                                value = multiply_add(load(planes, near + c + line + padded), w3, value)
                                store(samples, target + c, value)
                    first = section * pitch * length
                    _multiply(samples, 0, pitch, 1, weight, first, result, 0, length, end - x, pitch)
                for i in range(end - x):
                    for channel in range(outputs):
                        out[b, y, x + i, group, channel] = result[i, channel] + bias[group, channel]


@njit(parallel=True, nogil=True)
def backward(
    picture, offset, mask, weight, grad, geometry, size, grad_picture, grad_offset, grad_mask, grad_weight
):
    """The gradients of `forward` from that of its result, grad (B, H', W', groups, outputs).

    Here weight is (sections, outputs, pitch), picture and its gradient are (B, H, W, groups, C). The weight's
    gradient (B, sections, outputs padded, pitch) is added to, image by image. One thread computes a whole
    section of an image. The samples are taken again: to keep them would take nine times the input's memory.
    """
    batch, rows, columns, groups, outputs = grad.shape
    sections, taps, pitch, upright = mask.shape[3], mask.shape[4], weight.shape[2], grad_weight.shape[2]
    kw, sy, sx, py, px, dy, dx = geometry
    parts, padded = sections // groups, -(-size // LANES) * LANES
    plane = (picture.shape[1] + 2, picture.shape[2] + 2, padded)
    line = plane[1] * padded
    one = picture.dtype.type(1)
    for unit in prange(batch * sections):
        b, section = unit // sections, unit % sections
        group, first = section // parts, section % parts * size
        inputs, grad_inputs = np.empty(plane, picture.dtype), np.zeros(plane, picture.dtype)
        _fill(inputs, picture[b, :, :, group, first : first + size])
        index, table = np.empty(BLOCK, np.int64), np.empty(7 * BLOCK, picture.dtype)
        sums, above = np.empty((BLOCK, 4), picture.dtype), np.zeros((BLOCK, upright), picture.dtype)
        samples, slopes = np.zeros((BLOCK, pitch), picture.dtype), np.empty((BLOCK, pitch), picture.dtype)
        for y in range(rows):
            for x in range(0, columns, BLOCK):
                end = min(x + BLOCK, columns)
                for i in range(end - x):
                    for channel in range(outputs):
                        above[i, channel] = grad[b, y, x + i, group, channel]
                slopes[:] = 0
                taken = section * outputs * pitch
                _multiply(above, 0, upright, 1, weight, taken, slopes, 0, pitch, end - x, outputs)
                for tap in range(taps):
                    top, left = y * sy - py + tap // kw * dy + 1, x * sx - px + tap % kw * dx + 1
                    _locate(
                        offset[b, y, x:end, section, tap, 0],
                        offset[b, y, x:end, section, tap, 1],
                        mask[b, y, x:end, section, tap],
                        (top, left, sx),
                        plane,
                        index,
                        table,
                    )
                    for i in range(end - x):
                        near, source = index[i], i * pitch + tap * size
                        w0, w1 = table[i], table[i + BLOCK]
                        w2, w3 = table[i + 2 * BLOCK], table[i + 3 * BLOCK]
                        d0 = d1 = d2 = d3 = zeros(inputs)
                        for c in range(0, padded, LANES):
                            slope = load(slopes, source + c)
                            s0, s1 = near + c, near + c + padded
                            s2, s3 = s0 + line, s1 + line
                            p0, p1 = load(inputs, s0), load(inputs, s1)
                            p2, p3 = load(inputs, s2), load(inputs, s3)
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
                        m = mask[b, y, x + i, section, tap] * valid
                        grad_mask[b, y, x + i, section, tap] = valid * ((one - v) * upper + v * lower)
                        grad_offset[b, y, x + i, section, tap, 0] = m * (lower - upper)
                        grad_offset[b, y, x + i, section, tap, 1] = m * right
                added = unit * upright * pitch
                _multiply(above, 0, 1, upright, samples, 0, grad_weight, added, pitch, upright, end - x)
        target = grad_picture[b, :, :, group, first : first + size]
        for y in range(target.shape[0]):
            for x in range(target.shape[1]):
                for channel in range(target.shape[2]):
                    target[y, x, channel] = grad_inputs[y + 1, x + 1, channel]
