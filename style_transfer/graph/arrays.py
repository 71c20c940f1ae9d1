# ruff: noqa: D103 (they are NumPy's)
"""NumPy's functions as TensorFlow ops: what the library computes with arrays, a graph traces.

Code for both takes `xp`, NumPy or this module. It names functions of NumPy that are here too,
selects by `xp.take` or boolean masks, casts by `xp.asarray` and changes nothing in place. Names,
arguments and results are NumPy's (integers are int64), as far as that code asks for them.
"""

import types

import numpy as np
import tensorflow as tf

abs, ceil, exp, floor, log = tf.abs, tf.math.ceil, tf.exp, tf.floor, tf.math.log
cos, sin, sqrt, square = tf.cos, tf.sin, tf.sqrt, tf.square
mod, right_shift, round = tf.math.floormod, tf.bitwise.right_shift, tf.round
maximum, minimum, clip, where = tf.maximum, tf.minimum, tf.clip_by_value, tf.where
matmul, reshape, roll, shape = tf.matmul, tf.reshape, tf.roll, tf.shape
stack, zeros_like = tf.stack, tf.zeros_like
linalg = types.SimpleNamespace(inv=tf.linalg.inv, slogdet=tf.linalg.slogdet)
any, max, mean = tf.reduce_any, tf.reduce_max, tf.reduce_mean
argmax, broadcast_to, cumsum, diag, diagonal, einsum, pad, repeat, sort = (
    tf.argmax, tf.broadcast_to, tf.cumsum, tf.linalg.diag, tf.linalg.diag_part, tf.einsum, tf.pad,
    tf.repeat, tf.sort)


def asarray(x, dtype=None):
    x = x if tf.is_tensor(x) else np.asarray(x)
    return tf.convert_to_tensor(x) if dtype is None else tf.cast(x, tf.as_dtype(
        dtype if isinstance(dtype, tf.DType) else np.dtype(dtype)))


def log2(x):
    return tf.math.log(x) * (1 / np.log(2))


def log10(x):
    return tf.math.log(x) * (1 / np.log(10))


def sum(x, axis=None, keepdims=False):
    x = tf.cast(x, tf.int64) if x.dtype in (tf.bool, tf.int32) else x
    return tf.reduce_sum(x, axis, keepdims)


def size(x):
    return tf.size(x, tf.int64)


def arange(stop):
    return tf.range(tf.cast(stop, tf.int64))


def concatenate(arrays, axis=0):
    return tf.concat(arrays, axis)


def take(x, indices, axis=None):
    return tf.gather(tf.reshape(x, [-1]) if axis is None else x, indices, axis=axis or 0)


def swapaxes(x, first, second):
    assert (first, second) == (-1, -2)
    return tf.linalg.matrix_transpose(x)


def argsort(x, axis=-1, kind="stable"):
    return tf.argsort(x, axis, stable=kind == "stable")


def lexsort(keys):
    order = argsort(keys[0])
    for key in keys[1:]:
        order = tf.gather(order, argsort(tf.gather(key, order)))
    return order


def nonzero(x):
    return tf.unstack(tf.where(x), axis=1)


def flatnonzero(x):
    return tf.where(x)[:, 0]


def searchsorted(a, v, side="left"):
    return tf.searchsorted(a, v, side, tf.int64)


def bincount(x, weights, minlength):
    return tf.math.unsorted_segment_sum(weights, x, minlength)


def apply_along_axis(function, axis, arr):
    assert axis == len(arr.shape) - 1
    return tf.map_fn(function, tf.convert_to_tensor(arr), parallel_iterations=1)


def fold(function, state, rows):
    """`style_transfer.arrays.fold`."""
    rows = tf.convert_to_tensor(rows)
    return tf.while_loop(lambda index, _: index < rows.shape[0],
                         lambda index, state: (index + 1, function(state, rows[index])),
                         (tf.constant(0), state))[1]


def percentile(x, q, axis):
    """Along the last axis, whose length is known, linear between neighbours."""
    place = q / 100 * (x.shape[axis] - 1)
    lower = int(place)
    smallest = -tf.math.top_k(-x, np.minimum(lower + 2, x.shape[axis])).values
    return smallest[:, lower] * (1 - (place - lower)) + smallest[:, -1] * (place - lower)
