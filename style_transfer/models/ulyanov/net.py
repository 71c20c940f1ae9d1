"""What is compared of spectrograms: features of random filters, or of a trained style encoder."""

import keras
import numpy as np
from keras import layers, ops

from style_transfer.models.ulyanov import spectrogram

_BLOCK_TAPS = 2.5  # frames of a block, at least, for each that a filter sees


@keras.saving.register_keras_serializable(package="style_transfer")
class FixedFilters(layers.Layer):
    """A convolution over time that is not trained, with a fifth of a convolution's products.

    Blocks of frames are filtered in the frequency domain, a complex product being three real ones.
    The filters' spectra take four times the memory of the filters.

    Args:
        num_filters: How many.
        kernel_size: Frames that each sees.
        seed: Of the filters.

    Source: overlap-save, Oppenheim and Schafer, Discrete-Time Signal Processing, section 8.7.
    """

    def __init__(self, num_filters, kernel_size, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.num_filters, self.kernel_size, self.seed = num_filters, kernel_size, seed
        self.trainable = False

    def build(self, input_shape):
        """Makes the filters."""
        # sqrt(2) times Glorot's for N filters of 1025 bins, as Ulyanov and Lebedev have it
        self.kernel = self.add_weight(
            (self.kernel_size, input_shape[-1], self.num_filters),
            keras.initializers.VarianceScaling(2.0, "fan_avg", "untruncated_normal",
                                               seed=self.seed), name="kernel")
        self._transform()

    def load_own_variables(self, store):
        """Reads the filters."""
        super().load_own_variables(store)
        self._transform()

    def _transform(self):
        size = 2 ** int(np.ceil(np.log2(_BLOCK_TAPS * self.kernel_size)))
        self._into, of_taps, self._out = products(size, self.kernel_size)
        self._spectra = ops.einsum("pk,kcf->pcf", of_taps, self.kernel)

    def call(self, x):
        """`[batch, frames - kernel_size + 1, num_filters]` of `[batch, frames, channels]`."""
        (_, frames, channels), step, lap = x.shape, len(self._out), self.kernel_size - 1
        count = -(-(frames - lap) // step)
        x = ops.pad(x, ((0, 0), (0, (count + 1) * step - frames), (0, 0)))
        x = ops.reshape(x, (-1, count + 1, step, channels))
        x = ops.concatenate([x[:, :-1], x[:, 1:, :lap]], axis=2)
        x = ops.reshape(ops.einsum("pn,abnc->pabc", self._into, x), (len(self._into), -1, channels))
        x = ops.reshape(ops.matmul(x, self._spectra),
                        (len(self._into), -1, count, self.num_filters))
        x = ops.reshape(ops.einsum("sp,pabf->absf", self._out, x),
                        (-1, count * step, self.num_filters))
        return x[:, :frames - lap]

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "num_filters": self.num_filters,
                "kernel_size": self.kernel_size, "seed": self.seed}


def products(size, taps):
    """How to filter a block of frames: `out @ ((into @ frames) * (of_taps @ filter))`.

    Args:
        size: Frames of a block, even.
        taps: Of the filter.

    Returns:
        Three float32 matrices: of the block, `[products, size]`, of the filter, `[products, taps]`,
        and to the frames that it reaches whole, `[size - taps + 1, products]`.
    """
    turns = 2 * np.pi / size * np.outer(np.arange(size // 2 + 1), np.arange(size))
    cos, sin, real, middle = np.cos(turns), np.sin(turns), [0, size // 2], slice(1, size // 2)
    # (a + ib)(c + id) = c(a + b) - b(c + d) + i(c(a + b) + a(d - c)), two bins being real
    a, b, c, d = cos[middle], -sin[middle], cos[middle, :taps], sin[middle, :taps]
    into = np.concatenate([cos[real], a + b, a, b])
    of_taps = np.concatenate([cos[real, :taps], c, d - c, c + d])
    kept = size - taps + 1
    to_real, to_imaginary = 2 * cos[middle, :kept], -2 * sin[middle, :kept]
    out = np.concatenate([cos[real, :kept], to_real + to_imaginary, to_imaginary, -to_real])
    return into.astype("f"), of_taps.astype("f"), (out.T / size).astype("f")


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
        self.filters = FixedFilters(num_filters, kernel_size, seed, name="filters")
        self.num_filters, self.kernel_size = num_filters, kernel_size
        self.sample_rate, self.seed = sample_rate, seed

    def build(self, input_shape=None):
        """Makes the filters."""
        if self.built:
            return
        self.filters.build((None, None, spectrogram.NUM_BINS))
        self.built = True

    def call(self, log_power):
        """Features `[batch, frames - kernel_size + 1, num_filters]` of `[batch, frames, bins]`."""
        return ops.relu(self.filters(log_power))

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
