"""A WaveNet's weights as the fused step reads them: flat, padded to whole vectors.

They are copied from the Keras model whenever audio is made; there is no other set of weights.
"""

import typing

import numpy as np
from keras import ops

from style_transfer.models.wavenet.engine.vectors import LANES


class Packed(typing.NamedTuple):
    """Sizes and weights; a size that counts channels is a multiple of `LANES`, by zeros.

    Attributes:
        num_residual: Residual channels.
        num_gates: Channels of a gated activation.
        num_skip: Channels of the sum over layers.
        num_hidden: Channels before the output.
        num_outputs: Numbers that describe a distribution, padding included.
        taps: Taps of a layer.
        predictor_taps: Samples that the linear predictor looks at; 0 for none.
        dilations: int64 `[layers]`.
        filter: Of the conditions' upsampling, float32 `[3, hop, layers * 2 * gates]`, or of one
            channel for all.
        biases: Of all layers, float32, layers, 2 * gates.
        kernels: float32, layers, taps, residual, 2 * gates.
        residual_kernels: float32, layers - 1, gates, residual.
        residual_biases: float32, layers - 1, residual.
        input_kernel: float32, inputs, residual.
        input_bias: float32, residual.
        skip_kernel: float32, layers, gates, skip.
        skip_bias: float32, skip.
        hidden_kernel: float32, skip, hidden.
        hidden_bias: float32, hidden.
        head_kernel: float32, hidden, outputs.
        head_bias: float32, outputs.
    """

    num_residual: int
    num_gates: int
    num_skip: int
    num_hidden: int
    num_outputs: int
    taps: int
    predictor_taps: int
    dilations: np.ndarray
    filter: np.ndarray
    biases: np.ndarray
    kernels: np.ndarray
    residual_kernels: np.ndarray
    residual_biases: np.ndarray
    input_kernel: np.ndarray
    input_bias: np.ndarray
    skip_kernel: np.ndarray
    skip_bias: np.ndarray
    hidden_kernel: np.ndarray
    hidden_bias: np.ndarray
    head_kernel: np.ndarray
    head_bias: np.ndarray

    @property
    def history(self):
        """Steps that the rings of all layers hold together."""
        return int((self.taps - 1) * self.dilations.sum())


def pack(model):
    """`Packed` weights of a built `WaveNet`."""
    stack = model.stack
    layers, gates, residual = stack.num_layers, stack.gate_channels, stack.channels
    kernels = _array(stack.kernels).reshape(layers, stack.kernel_size, residual, 2, gates)
    skip_kernel = _array(model.skip.kernel).reshape(layers, gates, model.skip_channels)
    inner = [_array(weights) if weights else np.zeros((0, *shape), np.float32) for weights, shape in
             ((stack.residual_kernels, (gates, residual)), (stack.residual_biases, (residual,)))]
    return Packed(
        padded(residual), padded(gates), padded(model.skip_channels),
        padded(model.hidden_channels), padded(model.num_outputs), stack.kernel_size,
        model.predictor_taps, np.array(stack.dilations, np.int64), _filter(model),
        gate_channels(_array(stack.biases).reshape(1, -1), layers).ravel(),
        _flat(kernels, 2, 4), _flat(inner[0], 1, 2),
        _flat(inner[1], 1), _flat(_array(model.input_projection.kernel), 1),
        _flat(_array(model.input_projection.bias), 0), _flat(skip_kernel, 1, 2),
        _flat(_array(model.skip.bias), 0), _flat(_array(model.hidden.kernel), 0, 1),
        _flat(_array(model.hidden.bias), 0), _flat(_array(model.head.kernel), 0, 1),
        _flat(_array(model.head.bias), 0))


def gate_channels(values, num_layers):
    """Pads `[..., layers * 2 * gates]` to `Packed`'s channels."""
    split = values.reshape(*values.shape[:-1], num_layers, 2, -1)
    return np.ascontiguousarray(
        pad_channels(split, split.ndim - 1).reshape(*values.shape[:-1], -1), np.float32)


def _filter(model):
    taps = _array(ops.convert_to_tensor(model.upsample.taps()))
    return gate_channels(taps, model.num_layers) if taps.shape[2] > 1 else np.array(taps)


def padded(channels):
    """`channels`, rounded up to whole vectors."""
    return -(-channels // LANES) * LANES


def pad_channels(values, *axes):
    """Zeros behind `values` along `axes`, up to whole vectors."""
    widths = [(0, padded(size) - size if axis in axes else 0)
              for axis, size in enumerate(values.shape)]
    return np.pad(values, widths)


def _array(value):
    if isinstance(value, list):
        return np.stack([_array(item) for item in value])
    return np.asarray(ops.convert_to_numpy(value), np.float32)


def _flat(values, *axes):
    return np.ascontiguousarray(pad_channels(values, *axes), np.float32).ravel()
