"""How far a predicted log-mel spectrogram is from a recording's."""

import math

import keras
from keras import ops

from style_transfer.signal import log_mel

DB = 20 / math.log(10.0)  # of a difference of 1 of natural logarithms of magnitudes


@keras.saving.register_keras_serializable(package="style_transfer")
class ReconstructionLoss(keras.losses.Loss):
    """Mean absolute and squared difference of log-mel spectrograms, scaled.

    Args:
        squared_weight: Weight of the squares beside the absolute values.
    """

    def __init__(self, squared_weight=0.5, **kwargs):
        super().__init__(**kwargs)
        self.squared_weight = squared_weight

    def call(self, y_true, y_pred):
        """One value for each clip.

        Args:
            y_true: Audio `[batch, samples]` at 16 kHz.
            y_pred: Log-mel spectrogram `[batch, frames, bands]`.

        Returns:
            `[batch]`.
        """
        missing = (log_mel.of_audio(y_true) - y_pred) / log_mel.SPREAD
        errors = ops.abs(missing) + self.squared_weight * ops.square(missing)
        return ops.mean(errors, axis=(1, 2))

    def terms(self, y_true, y_pred):
        """Mean absolute difference in dB, `[batch]`."""
        missing = log_mel.of_audio(y_true) - y_pred
        return {"log_mel_db": DB * ops.mean(ops.abs(missing), axis=(1, 2))}

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "squared_weight": self.squared_weight}
