"""Array code that the library runs in NumPy and an exported graph traces.

Such functions take `xp`: NumPy, or `graph.arrays`, where the same names are TensorFlow ops.
"""

import numpy as np


def counted(count, xp=np):
    """Indices of rows, each repeated so many times, and which of these times it is.

    Args:
        count: int `[rows]`.
        xp: See above.

    Returns:
        int `[sum(count)]`, twice.
    """
    row = xp.repeat(xp.arange(xp.size(count)), count)
    return row, xp.arange(xp.size(row)) - xp.take(xp.cumsum(count) - count, row)


def following(values, last, xp=np):
    """The values that come next, `last` behind the last one."""
    return xp.concatenate([values, xp.asarray([last], values.dtype)])[1:]


def last_of_each(cell, values, size, xp=np):
    """An array of zeros after `out[cell] = values`, the last one winning, float `[size]`."""
    order = xp.argsort(cell, kind="stable")
    cell = xp.take(cell, order)
    is_last = following(cell, -1, xp) != cell
    return xp.bincount(cell[is_last], xp.take(values, order)[is_last], size)
