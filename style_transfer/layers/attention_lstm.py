"""LSTM that attends to its own latest outputs."""

import keras
from keras import layers, ops

from style_transfer.layers.lstm import Lstm, advance, wide_kernel
from style_transfer.layers.recurrence import NUM_GATES


@keras.saving.register_keras_serializable(package="style_transfer")
class AttentionLstm(layers.Layer):
    """LSTM that mixes its outputs with an average of the latest ones, weighted by what it needs.

    A state is `(output, memory, attended, history)`: the first two of the LSTM inside, the average
    `[batch, units]`, and the latest outputs of the layer `[batch, attn_length, units]`, oldest
    first, zeros before the start.

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
                                              kernel_initializer=self.kernel_initializer)
        self.loop = layers.RNN(_Cell(self._advance, units, attn_length), return_sequences=True,
                               return_state=True)
        self._kernel = None

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
        self.loop.build((None, None, NUM_GATES * self.units))

    def initial_state(self, batch_size):
        """State before the first step."""
        zeros = ops.zeros((batch_size, self.units))
        return zeros, zeros, zeros, ops.zeros((batch_size, self.attn_length, self.units))

    def call(self, x, state=None):
        """Runs over all steps.

        Args:
            x: Shape `[batch, steps, features]`.
            state: State before the first step; that of `initial_state` by default.

        Returns:
            Outputs `[batch, steps, units]` and the state after the last step.
        """
        state = self.initial_state(ops.shape(x)[0]) if state is None else state
        self._kernel = self.attended_kernel()  # once, not in every step of the loop
        try:
            outputs, *state = self.loop(self.project(x),
                                        initial_state=[*state, self._keys(state[3])])
        finally:
            self._kernel = None
        return outputs, tuple(state[:4])

    def step(self, projected, state):
        """One step.

        Args:
            projected: From `project`, shape `[batch, 4 * units]`.
            state: The state before it.

        Returns:
            Output `[batch, units]` and the state after it.
        """
        output, state = self._advance(projected, (*state, self._keys(state[3])))
        return output, tuple(state[:4])

    def project(self, x):
        """What inputs `[..., features]` add to the gates by way of the input projection."""
        kernel = ops.matmul(self.input_projection.kernel[:x.shape[-1]], self.lstm.kernel)
        bias = ops.matmul(self.input_projection.bias[None], self.lstm.kernel)[0]
        return ops.matmul(x, kernel) + bias + self.lstm.bias

    def attended_kernel(self):
        """From the average of the step before and the output to the gates."""
        size = self.input_projection.units
        attended = ops.matmul(self.input_projection.kernel[size:], self.lstm.kernel)
        return ops.concatenate([attended, self.lstm.recurrent_kernel])

    def _keys(self, outputs):
        """What outputs are compared by; they stay the same while they are attended to."""
        return ops.matmul(outputs, self.key_kernel)

    def _advance(self, projected, state):
        output, memory, attended, history, keys = state
        kernel = self.attended_kernel() if self._kernel is None else self._kernel
        gates = projected + ops.matmul(ops.concatenate([attended, output], axis=-1), kernel)
        output, memory = advance(gates, memory)
        query = self.query(ops.concatenate([memory, output], axis=-1))
        scores = ops.sum(self.scale * ops.tanh(keys + query[:, None]), axis=-1)
        attended = ops.sum(ops.softmax(scores, axis=-1)[..., None] * history, axis=1)
        result = self.output_projection(ops.concatenate([output, attended], axis=-1))
        history = ops.concatenate([history[:, 1:], result[:, None]], axis=1)
        keys = ops.concatenate([keys[:, 1:], self._keys(result)[:, None]], axis=1)
        return result, [output, memory, attended, history, keys]

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units, "attn_length": self.attn_length,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer)}


class _Cell(layers.Layer):
    """The layer's step as `keras.layers.RNN` calls it."""

    def __init__(self, advance_layer, units, attn_length):
        super().__init__()
        self._advance_layer = advance_layer
        self.state_size = [units, units, units, (attn_length, units), (attn_length, units)]
        self.output_size = units

    def call(self, projected, states, training=False):
        """Output and states after a step."""
        del training
        return self._advance_layer(projected, states)
