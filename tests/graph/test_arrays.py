"""What stands for NumPy inside a graph has NumPy's names and gives NumPy's results."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from style_transfer import arrays as shared
from style_transfer.graph import arrays

FLOATS = np.array([[2.5, -1.25, 0.5], [0.5, 7.0, -3.5]])
ROW, INTEGERS = FLOATS.ravel(), np.array([3, 1, 1, 0, 2, 1])
SQUARE = np.array([[[2.0, 0.3], [0.1, 1.5]], [[1.0, -0.5], [0.5, 1.0]]])
BITS = np.array([5, 2**31, 2**32 - 1], np.uint32)
CALLS = {
    "abs": (ROW,), "any": (FLOATS > 5, 1), "apply_along_axis": (lambda x: x[0] * x[1], 1, FLOATS),
    "arange": (4,), "argmax": (ROW,), "argsort": (INTEGERS, -1, "stable"), "asarray": (ROW, int),
    "bincount": (INTEGERS, ROW, 5), "broadcast_to": (ROW, (2, 6)), "ceil": (ROW,),
    "clip": (ROW, -1.0, 1), "concatenate": ([FLOATS, FLOATS], -1), "cos": (ROW,),
    "cumsum": (INTEGERS,), "diag": (ROW,), "diagonal": (FLOATS,),
    "einsum": ("bs,bs->b", FLOATS, FLOATS), "exp": (ROW,), "flatnonzero": (INTEGERS > 1,),
    "floor": (ROW,), "lexsort": ((ROW, INTEGERS),), "log": (np.abs(ROW),), "log10": (np.abs(ROW),),
    "log2": (np.abs(ROW),), "matmul": (SQUARE, FLOATS), "max": (FLOATS, 1), "maximum": (ROW, 0.75),
    "mean": (FLOATS, 0), "minimum": (ROW, 0.75), "mod": (ROW, 2.0), "nonzero": (FLOATS > 0,),
    "pad": (FLOATS, ((0, 1), (2, 0))), "percentile": (FLOATS, 33, 1), "repeat": (ROW, INTEGERS),
    "reshape": (FLOATS, (3, -1)), "right_shift": (BITS, np.uint32(15)), "roll": (ROW, -2, 0),
    "round": (ROW,), "searchsorted": (np.sort(INTEGERS), INTEGERS, "right"), "shape": (FLOATS,),
    "sin": (ROW,), "size": (FLOATS,), "sort": (ROW,), "sqrt": (np.abs(ROW),), "square": (ROW,),
    "stack": ([ROW, ROW], -1), "sum": (FLOATS > 0, 1), "swapaxes": (SQUARE, -1, -2),
    "take": (FLOATS, np.array([[4, 0]])), "where": (ROW > 0, ROW, np.inf), "zeros_like": (ROW,),
}


def tensors(value):
    if isinstance(value, (list, tuple)):
        return type(value)(tensors(one) for one in value)
    return tf.constant(value) if isinstance(value, np.ndarray) else value


def assert_same(made, expected):
    if isinstance(expected, (list, tuple)) and not isinstance(made, tf.Tensor):
        assert len(made) == len(expected)
        for one, other in zip(made, expected, strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_allclose(made, expected, rtol=1e-12)
        if np.asarray(expected).dtype != int:
            assert made.dtype.as_numpy_dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("name", CALLS)
def test_functions_are_numpys(name):
    arguments = CALLS[name]
    assert_same(getattr(arrays, name)(*tensors(arguments)), getattr(np, name)(*arguments))


def test_every_function_is_tried():
    names = {name for name, value in vars(arrays).items()
             if callable(value) and not name.startswith("_") and not inspect.ismodule(value)}
    assert names == {*CALLS, "fold"}


def test_matrices_are_inverted_and_measured():
    assert_same(arrays.linalg.inv(tf.constant(SQUARE)), np.linalg.inv(SQUARE))
    assert_same(arrays.linalg.slogdet(tf.constant(SQUARE))[1], np.linalg.slogdet(SQUARE)[1])


def test_folds_are_loops():
    def step(state, row):
        return state * row[0] + row[1]

    rows = np.array([[2.0, 1.0], [0.5, -3.0], [3.0, 0.25]])
    expected = ((ROW * 2 + 1) * 0.5 - 3) * 3 + 0.25
    np.testing.assert_allclose(shared.fold(step, ROW, rows), expected)
    assert_same(shared.fold(step, tf.constant(ROW), rows, arrays), expected)


@pytest.mark.parametrize("values", [INTEGERS, INTEGERS[:1], INTEGERS[:0]], ids=len)
def test_shared_functions_give_the_same(values):
    weights = ROW[:len(values)]
    for function, arguments in ((shared.counted, (values,)), (shared.following, (values, -1)),
                                (shared.last_of_each, (values, weights, 5))):
        assert_same(function(*tensors(arguments), arrays), function(*arguments))
    expected = np.zeros(5)
    for cell, weight in zip(values, weights, strict=True):
        expected[cell] = weight
    np.testing.assert_array_equal(shared.last_of_each(values, weights, 5), expected)
