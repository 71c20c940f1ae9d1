"""Mixed precision: matrices are multiplied in 16 bits, and all else is computed in float32.

Spectra, phases, likelihoods and sums over a batch need the digits of float32, and in 16 bits most
models here could not be trained at all; what takes the time is in few kinds of layers. So these
round what they multiply, and give float32 again, as weights, their gradients and averages are.
"""

import functools

import keras
from keras import layers, ops

from style_transfer.layers.products import ProductLayer

PRECISIONS = ("float32", "bfloat16", "float16")
_PRODUCTS = (layers.Dense, layers.EinsumDense, layers.Conv1D, layers.Conv2D, layers.Conv1DTranspose,
             layers.Conv2DTranspose, layers.DepthwiseConv1D, layers.DepthwiseConv2D,
             layers.SeparableConv1D, layers.SeparableConv2D)
_RECURRENT = (layers.LSTM, layers.GRU)  # with a cell, which does the work


def lower(model, precision):
    """Has a model's products computed in a type, in place, until it is made anew.

    Args:
        model: A built `keras.Model`.
        precision: One of `PRECISIONS`.
    """
    if precision == "float32":
        return
    policy = keras.DTypePolicy(f"mixed_{precision}")
    for layer in model._flatten_layers():
        if isinstance(layer, ProductLayer):
            layer.product_dtype = precision
        elif isinstance(layer, (*_PRODUCTS, *_RECURRENT)):
            layer.dtype_policy = policy
            if isinstance(layer, _RECURRENT):
                layer.cell.dtype_policy = policy
            layer.call = _in_float32(layer.call)


def _in_float32(call):
    @functools.wraps(call)
    def cast(*args, **kwargs):
        return keras.tree.map_structure(lambda value: ops.cast(value, "float32"),
                                        call(*args, **kwargs))
    return cast
