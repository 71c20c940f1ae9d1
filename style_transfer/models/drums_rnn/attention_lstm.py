"""LSTM that attends to its own latest outputs."""

import keras
from keras import layers, ops

from style_transfer.layers.lstm import Lstm, wide_kernel
from style_transfer.models.drums_rnn.attention_loop import (
    AttentionState,
    AttentionWeights,
    attend,
    attend_all,
)

# What is heard of the history goes back into it without a nonlinearity. With more than 1, outputs
# would grow with every `attn_length / 2` steps or so, without end.
HISTORY_GAIN = 0.8


@keras.saving.register_keras_serializable(package="style_transfer")
class AttentionLstm(layers.Layer):
    """LSTM that mixes its outputs with an average of the latest ones, weighted by what it needs.

    A state is `(output, memory, attended, keys, history)`: the first two of the LSTM inside, the
    average `[batch, units]`, and the latest outputs of the layer `[batch, attn_length, units]`,
    oldest first, zeros before the start, with what they are compared by before them.

    Args:
        units: Size of output and memory.
        attn_length: How many outputs it attends to.
        kernel_initializer: Of the weights of the LSTM's inputs and of the layer's outputs;
            `wide_kernel()` by default.

    Source: the `AttentionCellWrapper` of TensorFlow 1 as Magenta's RNNs use it, after Bahdanau,
    Cho and Bengio, 2014.
    """

    def __init__(self, units, attn_length, kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.units, self.attn_length = units, attn_length
        self.input_projection = None
        self.kernel_initializer = keras.initializers.get(kernel_initializer or wide_kernel())
        self.lstm = Lstm(units, kernel_initializer=self.kernel_initializer.clone(), name="lstm")
        self.query = layers.Dense(units, name="query")
        self.output_projection = layers.Dense(units, name="output_projection",
                                              kernel_initializer=self._output_kernel)

    def build(self, input_shape):
        """Adds the weights."""
        size = input_shape[-1]
        self.input_projection = layers.Dense(size, name="input_projection")
        self.input_projection.build((None, size + self.units))
        self.lstm.build((None, None, size))
        self.query.build((None, 2 * self.units))
        self.output_projection.build((None, 2 * self.units))
        self.key_kernel = self.add_weight(shape=(self.units, self.units), name="key_kernel")
        self.scale = self.add_weight(shape=(self.units,), name="scale",
                                     initializer=keras.initializers.RandomUniform(-0.1, 0.1))

    def _output_kernel(self, shape, dtype=None):
        """Initial weights of the layer's outputs."""
        from_output = self.kernel_initializer(shape, dtype)[:self.units]
        from_attended = keras.initializers.Orthogonal(HISTORY_GAIN)((self.units, self.units), dtype)
        return ops.concatenate([from_output, from_attended])

    def initial_state(self, batch_size):
        """State before the first step."""
        zeros = ops.zeros((batch_size, self.units))
        queue = ops.zeros((batch_size, self.attn_length, self.units))
        return zeros, zeros, zeros, queue, queue

    def call(self, x, state=None):
        """Runs over all steps.

        Args:
            x: Shape `[batch, steps, features]`.
            state: State before the first step; that of `initial_state` by default.

        Returns:
            Outputs `[batch, steps, units]` and the state after the last step.
        """
        state = self.initial_state(ops.shape(x)[0]) if state is None else state
        kernel, bias, weights = self.fixed_weights()
        outputs, state = attend_all(ops.matmul(x, kernel) + bias, _turned(state), weights)
        return outputs, _turned_back(state)

    def step(self, x, state, fixed=None):
        """One step.

        Args:
            x: Shape `[batch, features]`.
            state: The state before it.
            fixed: `fixed_weights()`, so that they are not computed again in every step.

        Returns:
            Output `[batch, units]` and the state after it.
        """
        kernel, bias, weights = fixed or self.fixed_weights()
        output, state, _ = attend(ops.matmul(x, kernel) + bias, _turned(state), weights)
        return output, _turned_back(state)

    def fixed_weights(self):
        """What is the same in all steps: kernel and bias from inputs to gates, and the others."""
        first, size = self.input_projection, self.input_projection.units
        from_input, from_attended, bias = (ops.matmul(value, self.lstm.kernel) for value in (
            first.kernel[:size], first.kernel[size:], first.bias[None]))
        return from_input, bias[0] + self.lstm.bias, AttentionWeights(
            ops.concatenate([from_attended, self.lstm.recurrent_kernel]), self.query.kernel,
            self.query.bias, self.scale, self.output_projection.kernel,
            self.output_projection.bias, self.key_kernel)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units, "attn_length": self.attn_length,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer)}


def _turned(state):
    """For the loop, in which steps come before the batch."""
    *lstm, keys, history = state
    return AttentionState(*lstm, ops.transpose(history, (1, 0, 2)), ops.transpose(keys, (1, 0, 2)))


def _turned_back(state):
    return (*state[:3], ops.transpose(state.keys, (1, 0, 2)),
            ops.transpose(state.history, (1, 0, 2)))
