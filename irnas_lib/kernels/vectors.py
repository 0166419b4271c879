"""Vectors of neighbouring numbers for numba kernels: what LLVM is to do at once, said so.

LLVM does not vectorise a short loop over channels by itself, because it cannot know that the arrays do not overlap.
These intrinsics write its vector instructions, which it turns into those of the machine at hand. An array of uint16
holds bfloat16, the upper halves of float32, and is loaded as float32.

Numba's cache does not see changes of this file: after one, touch the modules that use it.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8  # numbers in a vector
ROWS = 4  # rows of a product that are summed in registers
BITS, FLOATS = ir.VectorType(ir.IntType(32), LANES), ir.VectorType(ir.FloatType(), LANES)


class Vector(types.Type):
    """`LANES` numbers in a register."""

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


def _scalar(array):
    """What an array's numbers are computed in."""
    return types.float32 if array.dtype == types.uint16 else array.dtype


def _shuffle(builder, a, b, lanes):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _fused(builder, a, b, total):
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), total, flags=("contract",))


@intrinsic
def zeros(typing, array):
    """A vector of zeros of the array's type."""

    def generate(context, builder, signature, values):
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return Vector(_scalar(array))(array), generate


@intrinsic
def load(typing, array, index):
    """The vector from a flat index of a C-contiguous array on."""

    def generate(context, builder, signature, values):
        vector = builder.load(_address(context, builder, array, *values), align=array.dtype.bitwidth // 8)
        if array.dtype == types.uint16:
            bits = builder.zext(vector, BITS)
            vector = builder.bitcast(builder.shl(bits, ir.Constant(BITS, [16] * LANES)), FLOATS)
        return vector

    return Vector(_scalar(array))(array, types.intp), generate


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


def tile(vectors: int):
    """An intrinsic: c += a @ b for ROWS rows and `vectors` vectors of columns, summed in registers."""

    @intrinsic
    def add_product(typing, a, a_start, a_row, a_step, b, b_start, c, c_start, length, depth):
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
                    left = _address(context, builder, a, values[0], index, length=1)
                    left = builder.load(left, align=align)
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

    return add_product
