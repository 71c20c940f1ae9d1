"""Products of small matrices and vectors in compiled code, with their sums in registers.

A matrix of a WaveNet's layer is too small for the call of a BLAS to pay.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from style_transfer.models.wavenet.engine.vectors import LANES, VECTOR, Registers, compiled

TILE_ROWS = 4


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
            lanes = Registers(context, builder, signature, args)
            size = args[1].type
            sums = [[cgutils.alloca_once_value(builder, ir.Constant(VECTOR, None))
                     for _ in range(vectors)] for _ in range(rows)]
            with cgutils.for_range(builder, args[9]) as loop:
                row = lanes.index(args[7], (loop.index, args[8]))
                weights = [lanes.load(6, lanes.later(row, v * LANES)) for v in range(vectors)]
                for r in range(rows):
                    at = lanes.index(args[4], (ir.Constant(size, r), args[5]))
                    value = lanes.load_one(3, builder.add(loop.index, at))
                    for v in range(vectors):
                        total = lanes.add(builder.load(sums[r][v]), lanes.mul(value, weights[v]))
                        builder.store(total, sums[r][v])
            for r in range(rows):
                start = lanes.index(args[1], (ir.Constant(size, r), args[2]))
                for v in range(vectors):
                    at = lanes.later(start, v * LANES)
                    lanes.store(builder.fadd(lanes.load(0, at), builder.load(sums[r][v])), 0, at)
            return context.get_dummy_value()

        return signature, generate

    return tile


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
