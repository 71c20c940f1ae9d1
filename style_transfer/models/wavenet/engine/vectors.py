"""Vector registers in compiled code, for loops that a compiler cannot be trusted with.

LLVM does not know that a result and its operands do not overlap, and that a count is a multiple of
a register's numbers, so that short loops over a layer's channels spend most of their time around
the arithmetic. What is built here is vector instructions by construction.
"""

import llvmlite.binding
import numba
from llvmlite import ir

_HAS_WIDE_REGISTERS = llvmlite.binding.get_host_cpu_features().get("avx512f", False)
LANES = 16 if _HAS_WIDE_REGISTERS else 8
FLOAT, _INT32 = ir.FloatType(), ir.IntType(32)
VECTOR = ir.VectorType(FLOAT, LANES)


def compiled(**options):
    """`numba.njit` that keeps what it compiled for the next process, where it finds a place to.

    Numba looks at the file of a function only: whoever changes another file that it uses removes
    what was kept, in `__pycache__`.
    """
    def decorate(function):
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no folder can be written to
            return numba.njit(nogil=True, **options)(function)
    return decorate


class Registers:
    """Builds the body of an intrinsic on flat float32 arrays and indices into them.

    Args:
        context: Numba's.
        builder: LLVM's.
        signature: Of the intrinsic.
        args: Its arguments, in LLVM.
    """

    def __init__(self, context, builder, signature, args):
        self.builder, self._args = builder, args
        self._data = {i: context.make_array(kind)(context, builder, args[i]).data
                      for i, kind in enumerate(signature.args) if hasattr(kind, "dtype")}

    def _pointer(self, array, index, kind=VECTOR):
        place = self.builder.gep(self._data[array], [index])
        return self.builder.bitcast(place, kind.as_pointer())

    def load(self, array, index):
        """`LANES` numbers of argument `array`, from `index`."""
        return self.builder.load(self._pointer(array, index), align=4)

    def store(self, value, array, index):
        """Puts `LANES` numbers into argument `array`, from `index`."""
        self.builder.store(value, self._pointer(array, index), align=4)

    def load_one(self, array, index):
        """The number at `index` of argument `array`, in all lanes."""
        undefined = ir.Constant(VECTOR, ir.Undefined)
        number = self.builder.load(self._pointer(array, index, FLOAT))
        first = self.builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
        mask = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, undefined, mask)

    def constant(self, value):
        """`value` in all lanes."""
        return ir.Constant(VECTOR, [float(value)] * LANES)

    def index(self, start, *steps):
        """`start` and all of `steps`, each of them a product of two."""
        for count, stride in steps:
            start = self.builder.add(start, self.builder.mul(count, stride))
        return start

    def later(self, index, count):
        """`index + count`, where `count` is known beforehand."""
        return self.builder.add(index, ir.Constant(index.type, count))

    def mul(self, a, b):
        """`a * b`, which may become part of a fused multiply-add."""
        return self.builder.fmul(a, b, flags=("contract",))

    def add(self, a, b):
        """`a + b`, which may become part of a fused multiply-add."""
        return self.builder.fadd(a, b, flags=("contract",))

    def clamp(self, x, bound):
        """`x`, but no more than `bound` and no less than `-bound`; NaN remains NaN."""
        for sign, relation in ((1, "<"), (-1, ">")):
            limit = self.constant(sign * bound)
            x = self.builder.select(self.builder.fcmp_unordered(relation, x, limit), x, limit)
        return x

    def polynomial(self, coefficients, x):
        """Value at `x`, by Horner's rule; coefficients of the lowest power first."""
        value = self.constant(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = self.add(self.mul(value, x), self.constant(coefficient))
        return value
