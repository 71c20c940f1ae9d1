"""Array code that the library runs in NumPy and an exported graph traces.

Such functions take `xp`: NumPy, or `graph.arrays`, where the same names are TensorFlow ops.
"""

import functools

import numpy as np


def fold(function, state, rows, xp=np):
    """The state after `state = function(state, row)` for one row after another.

    Args:
        function: See above; of a graph it becomes the body of a loop, so what it gives must have
            the state's shapes.
        state: An array, or a named tuple of arrays.
        rows: Numbers, `[steps]` or `[steps, ...]`.
        xp: See above.
    """
    return functools.reduce(function, rows, state) if xp is np else xp.fold(function, state, rows)


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
