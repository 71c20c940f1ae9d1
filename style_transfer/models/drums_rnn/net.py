"""Drums RNN: what drums come next, from those so far.

Source: Magenta 2.1.4, with its names of hparams.
"""

import keras
from keras import layers, ops

from style_transfer.layers import whole_batch
from style_transfer.layers.lstm import Lstm, wide_kernel
from style_transfer.models.drums_rnn.attention_lstm import AttentionLstm


@keras.saving.register_keras_serializable(package="style_transfer")
class DrumsRnn(keras.Model):
    """Stack of LSTMs, the first with attention if wanted, and a class for the next step.

    A state is a tuple with the state of each layer, as `Lstm` and `AttentionLstm` have it.

    Args:
        input_size: Features of a step.
        num_classes: How many classes.
        rnn_layer_sizes: Units of each LSTM.
        attn_length: Outputs that the first attends to; 0 for no attention.
        dropout_keep_prob: Part of each LSTM's outputs that is kept in training.
    """

    def __init__(self, input_size=518, num_classes=512, rnn_layer_sizes=(256, 256, 256),
                 attn_length=32, dropout_keep_prob=0.5, **kwargs):
        super().__init__(**kwargs)
        if not rnn_layer_sizes:
            raise ValueError("rnn_layer_sizes is empty, expected the units of at least one layer.")
        self.input_size, self.num_classes = input_size, num_classes
        self.rnn_layer_sizes, self.attn_length = tuple(rnn_layer_sizes), attn_length
        self.dropout_keep_prob = dropout_keep_prob
        self.rnn = [AttentionLstm(units, attn_length, name=f"rnn_{i}")
                    if attn_length and not i else Lstm(units, name=f"rnn_{i}")
                    for i, units in enumerate(self.rnn_layer_sizes)]
        self.dropout = whole_batch.Dropout(1 - dropout_keep_prob)
        self.fully_connected = layers.Dense(num_classes, name="fully_connected",
                                            kernel_initializer=wide_kernel())

    def build(self, input_shape=None):
        """Builds the parts, once."""
        if self.fully_connected.built:  # Keras has built what it made from a config
            return
        size = self.input_size
        for layer in self.rnn:
            layer.build((None, None, size))
            size = layer.units
        self.fully_connected.build((None, size))
        self.built = True

    def initial_state(self, batch_size):
        """State before the first step."""
        def zeros(layer):
            value = ops.zeros((batch_size, layer.units))
            return value, value

        return tuple(layer.initial_state(batch_size) if isinstance(layer, AttentionLstm)
                     else zeros(layer) for layer in self.rnn)

    def run(self, inputs, state=None, training=False):
        """Runs over all steps.

        Args:
            inputs: Shape `[batch, steps, input_size]`.
            state: State before the first step; that of `initial_state` by default.
            training: Whether outputs are dropped.

        Returns:
            Logits of the class after each step, `[batch, steps, num_classes]`, and the state after
            the last.
        """
        x = ops.cast(inputs, self.compute_dtype)
        found = []
        for index, layer in enumerate(self.rnn):
            x, after = layer(x, state=None if state is None else state[index])
            found.append(after)
            x = self.dropout(x, training=training)
        return self.fully_connected(x), tuple(found)

    def fixed_weights(self):
        """What `step` needs of the weights and would otherwise compute anew each time."""
        return [layer.fixed_weights() if isinstance(layer, AttentionLstm) else None
                for layer in self.rnn]

    def step(self, inputs, state, fixed=None):
        """One step.

        Args:
            inputs: Shape `[batch, input_size]`.
            state: The state before it.
            fixed: From `fixed_weights`.

        Returns:
            Logits `[batch, num_classes]` and the state after it.
        """
        x, found = inputs, []
        fixed = fixed or [None] * len(self.rnn)
        for layer, before, its_fixed in zip(self.rnn, state, fixed, strict=True):
            if isinstance(layer, AttentionLstm):
                x, after = layer.step(x, before, its_fixed)
            else:
                after = tuple(layer.step(layer.project(x), before))
                x = after[0]
            found.append(after)
        return self.fully_connected(x), tuple(found)

    def call(self, x, training=False):
        """Logits of the class after each step, `[batch, steps, num_classes]`.

        Args:
            x: A dict with `inputs` `[batch, steps, input_size]`. Padding after the last step
                changes nothing before it.
            training: Whether outputs are dropped.
        """
        return self.run(x["inputs"], training=training)[0]

    def get_config(self):
        """Constructor arguments."""
        names = ("input_size", "num_classes", "rnn_layer_sizes", "attn_length",
                 "dropout_keep_prob")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
