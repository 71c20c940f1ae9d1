"""What is compared of spectrograms: features of random filters, or of a trained style encoder."""

import keras
from keras import layers, ops

from style_transfer.models.ulyanov import spectrogram


@keras.saving.register_keras_serializable(package="style_transfer")
class RandomFeatures(keras.Model):
    """One layer of random filters over time that see all frequencies, and ReLU.

    Args:
        num_filters: How many; their authors take 4096.
        kernel_size: Frames that a filter sees.
        sample_rate: Hz, of the audio that spectrograms are made of.
        seed: Of the filters.

    Source: Ulyanov and Lebedev, Audio texture synthesis and style transfer, 2016.
    """

    def __init__(self, num_filters=1024, kernel_size=11, sample_rate=24_000, seed=0, **kwargs):
        super().__init__(**kwargs)
        # sqrt(2) times Glorot's for N filters of 1025 bins, as its authors have it
        self.filters = layers.Conv1D(
            num_filters, kernel_size, use_bias=False, activation="relu", name="filters",
            kernel_initializer=keras.initializers.VarianceScaling(
                2.0, "fan_avg", "untruncated_normal", seed=seed))
        self.num_filters, self.kernel_size = num_filters, kernel_size
        self.sample_rate, self.seed = sample_rate, seed
        self.trainable = False

    def build(self, input_shape=None):
        """Makes the filters."""
        if self.built:
            return
        self.filters.build((None, None, spectrogram.NUM_BINS))
        self.built = True

    def call(self, log_power):
        """Features `[batch, frames - kernel_size + 1, num_filters]` of `[batch, frames, bins]`."""
        return self.filters(log_power)

    def features(self, log_power):
        """What of a spectrogram is content, and of what statistics are style.

        Args:
            log_power: From `spectrogram.log_power`, `[1, frames, bins]`.

        Returns:
            Two lists of `[frames, channels]`.
        """
        found = [self(log_power)[0]]
        return found, found

    def get_config(self):
        """Constructor arguments."""
        return {"name": self.name, "num_filters": self.num_filters,
                "kernel_size": self.kernel_size, "sample_rate": self.sample_rate,
                "seed": self.seed}


class EncoderFeatures:
    """Features of a trained `layers.style_encoder.StyleEncoder`.

    Its log-mel spectrogram and first convolution are the content, its convolutions the style. What
    lies below a mel band stays as it was in the content.

    Args:
        model: A trained model that has a `style_encoder`.
    """

    def __init__(self, model):
        self.encoder = model.style_encoder
        self.sample_rate = self.encoder.sample_rate

    def features(self, log_power):
        """As `RandomFeatures.features`."""
        power = ops.expm1(log_power) * spectrogram.unit_power_at(self.encoder.level_db)
        mel = self.encoder.scaled_mel(power)
        maps = [ops.reshape(found, (-1, found.shape[-1] if len(found.shape) == 3
                                    else found.shape[-1] * found.shape[-2]))
                for found in self.encoder.maps(mel)]
        return [mel[0], maps[0]], maps
