"""What spectrogram models are trained with."""

import keras
from keras import ops

from style_transfer.losses import DB_PER_NEPER


@keras.saving.register_keras_serializable(package="style_transfer")
class SpectrogramLoss(keras.losses.Loss):
    """Mean absolute difference of log magnitudes, and of how they change, in nepers.

    Args:
        delta_weight: Weight of their change from frame to frame, by which attacks count.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype` of `keras.losses.Loss`.
    """

    def __init__(self, delta_weight=0.5, name="spectrogram_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.delta_weight = delta_weight

    def call(self, y_true, y_pred):
        """Loss of each clip, `[batch]`; both arguments are `[batch, frames, bands]`."""
        change = [value[:, 1:] - value[:, :-1] for value in (y_true, y_pred)]
        return _difference(y_true, y_pred) + self.delta_weight * _difference(*change)

    def terms(self, y_true, y_pred):
        """The difference in dB of each clip: `log_mel_db`, `[batch]`."""
        return {"log_mel_db": DB_PER_NEPER * _difference(y_true, y_pred)}

    def get_config(self):
        """Arguments of the constructor."""
        return {**super().get_config(), "delta_weight": self.delta_weight}


def _difference(one, other):
    return ops.mean(ops.abs(one - other), axis=(1, 2))
