"""LSTMs whose matrix products are taken out of the loop over time wherever that is possible.

What a step receives from outside (`project`) does not depend on the steps before it, so it is
multiplied for all steps at once, and what is the same in all steps only once.
"""

import keras
from keras import layers, ops

from style_transfer.layers.products import ProductLayer
from style_transfer.layers.recurrence import NUM_GATES, recur

# What it takes to make a matrix orthogonal grows with the cube of its size: for Magenta's largest
# models, which begin with Glorot's values anyway, that would be most of the time to load them.
MAX_ORTHOGONAL = 512


def wide_kernel():
    """Initial weights of inputs, of three times the standard deviation of Glorot's.

    With those, which Magenta has, three layers leave so little of their inputs that a training
    predicts the commonest class for hundreds of steps.
    """
    return keras.initializers.VarianceScaling(3.6, "fan_in", "uniform")


def advance(gates, memory):
    """One step of an LSTM from its four gates before their nonlinearities.

    Args:
        gates: Input, forget, candidate and output, shape `[batch, 4 * units]`.
        memory: Memory before the step, shape `[batch, units]`.

    Returns:
        Output and memory after the step, each `[batch, units]`.
    """
    i, f, candidate, o = ops.split(gates, NUM_GATES, axis=-1)
    memory = ops.sigmoid(f) * memory + ops.sigmoid(i) * ops.tanh(candidate)
    return ops.sigmoid(o) * ops.tanh(memory), memory


@keras.saving.register_keras_serializable(package="style_transfer")
class Lstm(ProductLayer):
    """LSTM with Keras's layout of weights: gates input, forget, candidate, output.

    Args:
        units: Size of output and memory.
        reverse: Whether it goes from the last step to the first.
        kernel_initializer: Of the weights of the inputs; `wide_kernel()` by default.
        chrono_steps: Steps over which a new layer remembers, see `chrono_bias`; None for biases of
            1 for the forget gate, which forget within a few.
    """

    def __init__(self, units, reverse=False, kernel_initializer=None, chrono_steps=None, **kwargs):
        super().__init__(**kwargs)
        self.units, self.reverse, self.chrono_steps = units, reverse, chrono_steps
        self.kernel_initializer = keras.initializers.get(kernel_initializer or wide_kernel())

    def build(self, input_shape):
        """Adds the weights."""
        width = NUM_GATES * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], width), name="kernel",
                                      initializer=self.kernel_initializer)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, width), name="recurrent_kernel",
            initializer="orthogonal" if self.units <= MAX_ORTHOGONAL else "glorot_uniform")
        self.bias = self.add_weight(
            shape=(width,), name="bias", initializer=_remember if self.chrono_steps is None else
            lambda shape, dtype=None: chrono_bias(self.units, self.chrono_steps, dtype))

    def project(self, x, first=0):
        """What inputs add to the gates, without the bias.

        Args:
            x: The inputs or neighbouring features of them, shape `[..., features]`.
            first: Which of the layer's inputs the first feature is.

        Returns:
            Shape `[..., 4 * units]`.
        """
        return self.multiply(x, self.kernel[first:first + x.shape[-1]])

    def step(self, projected, state):
        """One step.

        Args:
            projected: What all inputs add to the gates, shape `[batch, 4 * units]`.
            state: Output and memory before it, each `[batch, units]`.

        Returns:
            The state after it.
        """
        output, memory = state
        gates = projected + self.bias + ops.matmul(output, self.recurrent_kernel)
        return advance(gates, memory)

    def run(self, projected, state=None, is_valid=None):
        """All steps.

        Args:
            projected: What the inputs add to the gates, shape `[batch, steps, 4 * units]`.
            state: Output and memory before the first step; zeros by default.
            is_valid: Which steps change the state, shape `[batch, steps]`; None for all.

        Returns:
            Outputs `[batch, steps, units]`, and the state after the last step.
        """
        steps = ops.transpose(projected + self.bias, (1, 0, 2))
        if state is None:
            zeros = ops.zeros_like(steps[0, :, :self.units])
            state = (zeros, zeros)

        keep = None if is_valid is None else ops.cast(ops.transpose(is_valid)[..., None],
                                                      steps.dtype)
        outputs, *state = recur(steps, self.recurrent_kernel, *state, keep, self.reverse)
        return ops.transpose(outputs, (1, 0, 2)), tuple(state)

    def call(self, x, state=None, is_valid=None):
        """Runs over inputs `[batch, steps, features]`; otherwise as `run`."""
        return self.run(self.project(x), state, is_valid)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units, "reverse": self.reverse,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
                "chrono_steps": self.chrono_steps}


def _remember(shape, dtype=None):
    """Biases of 1 for the forget gate and 0 for the others."""
    units = shape[0] // NUM_GATES
    return ops.concatenate([ops.zeros(units, dtype), ops.ones(units, dtype),
                            ops.zeros(2 * units, dtype)])


def chrono_bias(units, steps, dtype=None):
    """Biases with which the units of an LSTM remember over 1 to `steps` steps, each as many more.

    Args:
        units: How many.
        steps: Steps of the sequences.
        dtype: Of the result.

    Returns:
        Shape `[4 * units]`.

    Source: Tallec and Ollivier, 2018, eq. 16, evenly spaced instead of drawn.
    """
    forget = ops.log(ops.linspace(1.0, max(steps - 1.0, 1.0), units, dtype=dtype or "float32"))
    return ops.concatenate([-forget, forget, ops.zeros(2 * units, forget.dtype)])


@keras.saving.register_keras_serializable(package="style_transfer")
class BidirectionalLstm(layers.Layer):
    """Two LSTMs over the same inputs, one from the start and one from the end.

    Args:
        units: Units of each.
        chrono_steps: See `Lstm`.
    """

    def __init__(self, units, chrono_steps=None, **kwargs):
        super().__init__(**kwargs)
        self.units, self.chrono_steps = units, chrono_steps
        self.forward_lstm = Lstm(units, chrono_steps=chrono_steps, name="forward")
        self.backward_lstm = Lstm(units, reverse=True, chrono_steps=chrono_steps, name="backward")

    def build(self, input_shape):
        """Builds both."""
        self.forward_lstm.build(input_shape)
        self.backward_lstm.build(input_shape)

    def call(self, x, is_valid=None):
        """Runs both.

        Args:
            x: Shape `[batch, steps, features]`.
            is_valid: Which steps there are, `[batch, steps]`, those of padding last; None for all.

        Returns:
            Outputs of every step `[batch, steps, 2 * units]`, and of the last that each of them
            comes to, `[batch, 2 * units]`.
        """
        forward, (forward_last, _) = self.forward_lstm(x, is_valid=is_valid)
        backward, (backward_last, _) = self.backward_lstm(x, is_valid=is_valid)
        return (ops.concatenate([forward, backward], axis=-1),
                ops.concatenate([forward_last, backward_last], axis=-1))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units, "chrono_steps": self.chrono_steps}
