"""The loss of a model that gives its own likelihood."""

import keras


@keras.saving.register_keras_serializable(package="style_transfer")
class BitsPerDimension(keras.losses.Loss):
    """What the model gives: bits for each dimension, `[batch]`."""

    def call(self, y_true, y_pred):
        """`y_pred`, as it is."""
        del y_true
        return y_pred
