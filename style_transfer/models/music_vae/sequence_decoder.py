"""From a latent vector to a sequence of classes: the parts of MusicVAE's decoders."""

import keras
from keras import layers, ops

from style_transfer.layers.lstm import Lstm


@keras.saving.register_keras_serializable(package="style_transfer")
class Conductor(layers.Layer):
    """From a latent vector to an embedding for each segment.

    Args:
        rnn_size: Units of each LSTM.
        num_segments: How many segments.
        input_size: Features that are made of the latent vector for each segment, with weights of
            its own, and told to the LSTMs. 0 for none, as in Magenta: LSTMs must count, and keep
            what they began with.
    """

    def __init__(self, rnn_size, num_segments, input_size=0, **kwargs):
        super().__init__(**kwargs)
        self.rnn_size, self.num_segments = tuple(rnn_size), num_segments
        self.input_size = input_size
        self.initial_state = layers.Dense(2 * sum(self.rnn_size), activation="tanh",
                                          name="initial_state")
        self.inputs = layers.Dense(num_segments * input_size, name="inputs") if input_size else None
        self.lstms = [Lstm(units, name=f"lstm_{i}") for i, units in enumerate(self.rnn_size)]

    def build(self, input_shape):
        """Builds the parts."""
        self.initial_state.build(input_shape)
        if self.inputs:
            self.inputs.build(input_shape)
        _build_lstms(self.lstms, self.input_size or 1)  # one that is always 0 if there is none

    def call(self, z):
        """`[batch, z_size]` to `[batch, num_segments, rnn_size[-1]]`."""
        shape = (ops.shape(z)[0], self.num_segments, self.input_size or 1)
        x = ops.reshape(self.inputs(z), shape) if self.inputs else ops.zeros(shape)
        for lstm, state in zip(self.lstms, _states(self.initial_state(z), self.rnn_size),
                               strict=True):
            x, _ = lstm(x, state=state)
        return x

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "rnn_size": self.rnn_size,
                "num_segments": self.num_segments, "input_size": self.input_size}


@keras.saving.register_keras_serializable(package="style_transfer")
class CategoricalDecoder(layers.Layer):
    """LSTM that writes one class in each step, told an embedding and the class before.

    Args:
        rnn_size: Units of each LSTM.
        output_depth: How many classes.
        chrono_steps: See `style_transfer.layers.lstm.Lstm`.
    """

    def __init__(self, rnn_size, output_depth, chrono_steps=None, **kwargs):
        super().__init__(**kwargs)
        self.rnn_size, self.output_depth = tuple(rnn_size), output_depth
        self.chrono_steps = chrono_steps
        self.z_to_initial_state = layers.Dense(2 * sum(self.rnn_size), activation="tanh")
        self.lstms = [Lstm(units, chrono_steps=chrono_steps, name=f"lstm_{i}")
                      for i, units in enumerate(self.rnn_size)]
        self.output_projection = layers.Dense(output_depth)

    def build(self, input_shape):
        """Builds the parts for embeddings of `input_shape`."""
        self.z_to_initial_state.build(input_shape)
        _build_lstms(self.lstms, self.output_depth + input_shape[-1])
        self.output_projection.build((None, self.rnn_size[-1]))

    def call(self, z, previous):
        """Logits with the true classes before each step.

        Args:
            z: Embeddings, shape `[batch, size]`.
            previous: Class before each step, one-hot or zeros, `[batch, steps, output_depth]`.

        Returns:
            Shape `[batch, steps, output_depth]`.
        """
        states = _states(self.z_to_initial_state(z), self.rnn_size)
        x = self.lstms[0].project(previous) + self._from_embedding(z)[:, None]
        for index, (lstm, state) in enumerate(zip(self.lstms, states, strict=True)):
            x, _ = lstm.run(lstm.project(x) if index else x, state)
        return self.output_projection(x)

    def feed_back(self, z, previous, is_own, noise, temperature=1.0):
        """Writes step by step, with its own classes where it is told to.

        Args:
            z: As for `call`.
            previous: As for `call`; only what `is_own` leaves is used.
            is_own: In which steps the class before is what the decoder wrote itself, shape
                `[batch, steps]`; in the first there is none.
            noise: Uniform between 0 and 1, shape `[batch, steps, output_depth]`, or None for the
                likeliest class in each step.
            temperature: What logits are divided by before a class is drawn.

        Returns:
            Logits and one-hot classes, both `[batch, steps, output_depth]`.
        """
        from_embedding = self._from_embedding(z)
        states = _states(self.z_to_initial_state(z), self.rnn_size)
        gumbel = ops.zeros_like(previous) if noise is None else \
            -ops.log(-ops.log(ops.clip(noise, 1e-20, 1.0 - 1e-7))) * temperature

        def body(carry, x):
            states, _, own = carry
            truth, use_own, gumbel = x
            x = self.lstms[0].project(ops.where(use_own, own, truth)) + from_embedding
            new = []
            for index, (lstm, state) in enumerate(zip(self.lstms, states, strict=True)):
                new.append(list(lstm.step(lstm.project(x) if index else x, state)))
                x = new[-1][0]
            logits = self.output_projection(x)
            own = ops.one_hot(ops.argmax(logits + gumbel, axis=-1), self.output_depth)
            carry = [new, logits, ops.cast(own, logits.dtype)]
            return carry, carry

        nothing = ops.zeros_like(previous[:, 0])
        xs = [_steps_first(previous), _steps_first(is_own)[..., None], _steps_first(gumbel)]
        _, (_, logits, own) = ops.scan(body, [[list(s) for s in states], nothing, nothing], xs)
        return _steps_first(logits), _steps_first(own)

    def _from_embedding(self, z):
        return self.lstms[0].project(z, first=self.output_depth)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "rnn_size": self.rnn_size,
                "output_depth": self.output_depth, "chrono_steps": self.chrono_steps}


def _build_lstms(lstms, input_size):
    for index, lstm in enumerate(lstms):
        lstm.build((None, None, lstms[index - 1].units if index else input_size))


def _states(flat, sizes):
    """Outputs and memories of LSTMs from one vector, where the memory of each comes first."""
    stops, found = 0, []
    for size in sizes:
        found.append((flat[:, stops + size:stops + 2 * size], flat[:, stops:stops + size]))
        stops += 2 * size
    return found


def _steps_first(x):
    return ops.swapaxes(x, 0, 1)
