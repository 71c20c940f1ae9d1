"""Products of small matrices and vectors in compiled code, with their sums in registers.

A matrix of a WaveNet's layer is too small for the call of a BLAS to pay, and LLVM cannot tell that
result and matrix do not overlap, so that a plain loop stores each partial sum. Here tiles of the
result are vector registers by construction.
"""

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_HAS_WIDE_REGISTERS = llvmlite.binding.get_host_cpu_features().get("avx512f", False)
LANES = 16 if _HAS_WIDE_REGISTERS else 8
TILE_ROWS = 4
_FLOAT, _INT32 = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def compiled(**options):
    """`numba.njit` that keeps what it compiled for the next process, where it finds a place to.

    Numba looks at the file of a function only: whoever changes `tiles.py` removes what was kept
    of `fused.py`, in `__pycache__`.
    """
    def decorate(function):
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no folder can be written to
            return numba.njit(nogil=True, **options)(function)
    return decorate


def _tile(rows, vectors):
    """A compiled tile of `rows` by `vectors * LANES` sums.

    Each sum is added up in the order of its inputs, so that an item's result is the same to the
    last bit whatever tile it is in.
    """

    @intrinsic
    def tile(typing, z, z_at, z_stride, x, x_at, x_stride, w, w_at, w_stride, num_inputs):
        del typing
        signature = types.void(z, z_at, z_stride, x, x_at, x_stride, w, w_at, w_stride, num_inputs)

        def generate(context, builder, signature, args):
            def pointer(index, offset, kind=_FLOAT):
                array = context.make_array(signature.args[index])(context, builder, args[index])
                return builder.bitcast(builder.gep(array.data, [offset]), kind.as_pointer())

            def at(start, *steps):
                for count, stride in steps:
                    start = builder.add(start, builder.mul(count, stride))
                return start

            size = args[1].type
            sums = [[cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None))
                     for _ in range(vectors)] for _ in range(rows)]
            with cgutils.for_range(builder, args[9]) as loop:
                row = at(args[7], (loop.index, args[8]))
                weights = [builder.load(pointer(6, builder.add(row, ir.Constant(
                    size, v * LANES)), _VECTOR), align=4) for v in range(vectors)]
                for r in range(rows):
                    offset = builder.add(loop.index, at(args[4], (ir.Constant(size, r), args[5])))
                    value = _broadcast(builder, builder.load(pointer(3, offset)))
                    for v in range(vectors):
                        product = builder.fmul(value, weights[v], flags=("contract",))
                        total = builder.fadd(builder.load(sums[r][v]), product,
                                             flags=("contract",))
                        builder.store(total, sums[r][v])
            for r in range(rows):
                start = at(args[1], (ir.Constant(size, r), args[2]))
                for v in range(vectors):
                    place = pointer(0, builder.add(start, ir.Constant(size, v * LANES)), _VECTOR)
                    total = builder.fadd(builder.load(place, align=4), builder.load(sums[r][v]))
                    builder.store(total, place, align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _broadcast(builder, scalar):
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
    mask = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, mask)


_many_4, _many_2, _many_1 = (_tile(TILE_ROWS, vectors) for vectors in (4, 2, 1))
_one_4, _one_2, _one_1 = (_tile(1, vectors) for vectors in (4, 2, 1))


@compiled()
def add_product(z, z_at, z_stride, x, x_at, x_stride, w, w_at, rows, num_inputs, num_outputs):
    """Adds `x @ w` to `z`; all are flat float32 arrays, `…_at` is where their part begins.

    Args:
        z: Rows of `num_outputs`, `z_stride` apart.
        z_at: Index of the first.
        z_stride: Numbers between rows.
        x: Rows of `num_inputs`, `x_stride` apart.
        x_at: Index of the first.
        x_stride: Numbers between rows.
        w: Matrix, `num_outputs` of a row without gaps.
        w_at: Index of its first number.
        rows: Rows of z and x.
        num_inputs: Columns of x.
        num_outputs: A multiple of `LANES`.
    """
    row = 0
    while row < rows:
        is_many = row + TILE_ROWS <= rows
        zr, xr, j = z_at + row * z_stride, x_at + row * x_stride, 0
        while j < num_outputs:
            left = num_outputs - j
            if left >= 4 * LANES:
                if is_many:
                    _many_4(z, zr + j, z_stride, x, xr, x_stride, w, w_at + j, num_outputs,
                            num_inputs)
                else:
                    _one_4(z, zr + j, z_stride, x, xr, x_stride, w, w_at + j, num_outputs,
                           num_inputs)
                j += 4 * LANES
            elif left >= 2 * LANES:
                if is_many:
                    _many_2(z, zr + j, z_stride, x, xr, x_stride, w, w_at + j, num_outputs,
                            num_inputs)
                else:
                    _one_2(z, zr + j, z_stride, x, xr, x_stride, w, w_at + j, num_outputs,
                           num_inputs)
                j += 2 * LANES
            else:
                if is_many:
                    _many_1(z, zr + j, z_stride, x, xr, x_stride, w, w_at + j, num_outputs,
                            num_inputs)
                else:
                    _one_1(z, zr + j, z_stride, x, xr, x_stride, w, w_at + j, num_outputs,
                           num_inputs)
                j += LANES
        row += TILE_ROWS if is_many else 1
