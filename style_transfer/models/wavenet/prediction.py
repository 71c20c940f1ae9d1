"""Linear prediction that knows which notes sound: a Wiener predictor for the spectrum they make."""

import math

import keras
import numpy as np
from keras import layers, ops

from style_transfer import strings
from style_transfer.piano_roll import NUM_KEYS

NOISE_BANDS = 12
RELEASE_SECS = 0.1  # so long after its end a note may still ring
MAX_CENTS = 50.0
MIN_FLOOR = 1e-5  # white noise added to a spectrum, of its energy; at least -50 dB


@keras.saving.register_keras_serializable(package="style_transfer")
class HarmonicPredictor(layers.Layer):
    """Coefficients that predict a sample from those before it, frame by frame from the notes.

    Each key has a spectrum of lines, inharmonic partials whose energies are learned, and so a known
    autocorrelation. That of a chord is their sum, plus bands of noise; the best linear predictor
    of a signal with this spectrum solves the Yule-Walker equations. What the past says of pitch
    is used only as far as the notes allow: other notes, other resonances. The predictor's filter
    is stable, whatever the weights.

    Args:
        sample_rate: Hz.
        roll_rate: Frames of coefficients per second.
        num_taps: Samples that a prediction is made from.
        num_partials: Partials of a key; those above 0.48 of the rate are left out.

    Source: Makhoul, Linear prediction: a tutorial review, 1975 (Levinson-Durbin recursion); a
    linear predictor under a neural one: Valin and Skoglund, LPCNet, 2019. That the spectrum comes
    from the notes is our own.
    """

    def __init__(self, sample_rate, roll_rate, num_taps, num_partials=16, **kwargs):
        super().__init__(**kwargs)
        self.sample_rate, self.roll_rate = sample_rate, roll_rate
        self.num_taps, self.num_partials = num_taps, num_partials
        self.energies = layers.Dense(NUM_KEYS, kernel_initializer="zeros", name="energies")
        self.brightness = layers.Dense(NUM_KEYS, kernel_initializer="zeros", name="brightness")
        self.noise = layers.Dense(NOISE_BANDS + 1, kernel_initializer="zeros", name="noise",
                                  bias_initializer=keras.initializers.Constant(-7.0))

    def build(self, input_shape):
        """Makes the keys' spectra; `input_shape` is that of the context."""
        if self.built:
            return
        for layer in (self.energies, self.brightness, self.noise):
            layer.build(input_shape)
        shape = (NUM_KEYS, self.num_partials)
        self.partials = self.add_weight(shape, "zeros", name="partials")
        self.widths = self.add_weight(shape, "zeros", name="widths")
        self.tuning = self.add_weight((NUM_KEYS, 1), "zeros", name="tuning")
        self.inharmonicity = self.add_weight((NUM_KEYS, 1), "zeros", name="inharmonicity")
        self.built = True

    @property
    def release(self):
        """Frames after the end of a note in which it still has lines."""
        return round(RELEASE_SECS * self.roll_rate)

    def call(self, context, sounding):
        """Coefficients of each frame.

        Args:
            context: What the context stack says, `[batch, frames, channels]`.
            sounding: Velocities of sounding keys, `[batch, frames, 88]`.

        Returns:
            Shape `[batch, frames, num_taps]`: weights of the last sample, the one before, …
        """
        lags = ops.reshape(self.autocorrelation(context, sounding), (-1, self.num_taps + 1))
        return ops.reshape(levinson(lags), (-1, context.shape[1], self.num_taps))

    def autocorrelation(self, context, sounding):
        """Expected autocorrelation of each frame, 1 at lag 0: `[batch, frames, num_taps + 1]`."""
        ringing = held(sounding, self.release)
        energy = ops.square(ringing) * ops.exp(ops.clip(self.energies(context), -12.0, 8.0))
        dark, bright = self._lines()
        tilt = ops.sigmoid(self.brightness(context))
        lags = ops.matmul(energy * (1 - tilt), dark) + ops.matmul(energy * tilt, bright)
        bands, floor = ops.split(ops.exp(ops.clip(self.noise(context), -14.0, 4.0)),
                                 [NOISE_BANDS], axis=-1)
        # Noise is measured against the notes, so that their loudness does not matter.
        level = lags[..., :1] + 1e-6
        lags = lags / level + ops.matmul(bands, self._bands())
        white = np.eye(1, self.num_taps + 1, dtype=np.float32)
        lags = lags + (lags[..., :1] * MIN_FLOOR + floor) * white
        return lags / lags[..., :1]

    def _lines(self):
        """Autocorrelation of each key played darkly and brightly: `[88, num_taps + 1]` each."""
        order = np.arange(1, self.num_partials + 1, dtype=np.float32)
        key = np.arange(NUM_KEYS, dtype=np.float32)[:, None]
        fundamental = strings.equal_temperament_hz().astype(np.float32)[:, None]
        # Strings stiffen towards the treble: B of some 1e-4 in the bass, 1e-2 at the top.
        stiffness = 1e-4 * 10 ** (np.maximum(key - 20, 0) / 34)
        cents = MAX_CENTS * ops.tanh(self.tuning)
        hz = strings.partial_hz(fundamental * ops.power(2.0, cents / 1200.0),
                                stiffness * ops.exp(self.inharmonicity), order, ops.sqrt)
        audible = ops.sigmoid((0.48 * self.sample_rate - hz) / (0.01 * self.sample_rate))
        width = 12.0 * ops.exp(ops.clip(self.widths, -3.0, 4.0))  # 1/s
        lag = np.arange(self.num_taps + 1, dtype=np.float32) / self.sample_rate
        lines = (ops.cos(2 * math.pi * hz[..., None] * lag) * ops.exp(-width[..., None] * lag))
        energies = audible * ops.exp(self.partials)
        dark = ops.sum((energies * order**-3.0)[..., None] * lines, axis=1)
        bright = ops.sum((energies * order**-1.0)[..., None] * lines, axis=1)
        return dark / (dark[:, :1] + 1e-6), bright / (bright[:, :1] + 1e-6)

    def _bands(self):
        """Autocorrelation of bands of noise that cover the spectrum evenly."""
        lag = np.arange(self.num_taps + 1)
        centre = (np.arange(NOISE_BANDS) + 0.5) / NOISE_BANDS / 2
        spread = 0.35 / NOISE_BANDS
        shape = np.exp(-0.5 * (2 * np.pi * spread * lag) ** 2)
        return (np.cos(2 * np.pi * centre[:, None] * lag) * shape).astype(np.float32)

    def predict(self, past, coefficients):
        """Predictions of all samples.

        Args:
            past: The sample before each, `[batch, frames * hop]`; zeros are taken to precede.
            coefficients: From `call`.

        Returns:
            `[batch, frames * hop]`.
        """
        frames, length = coefficients.shape[1], past.shape[1]
        padded = ops.pad(past, ((0, 0), (self.num_taps - 1, 0)))
        delayed = ops.stack([padded[:, self.num_taps - 1 - tap:self.num_taps - 1 - tap + length]
                             for tap in range(self.num_taps)], axis=-1)
        delayed = ops.reshape(delayed, (-1, frames, length // frames, self.num_taps))
        return ops.reshape(ops.einsum("bfst,bft->bfs", delayed, coefficients), (-1, length))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "sample_rate": self.sample_rate,
                "roll_rate": self.roll_rate, "num_taps": self.num_taps,
                "num_partials": self.num_partials}


def held(values, frames):
    """Largest value in each frame and so many before it, of `[batch, frames, channels]` >= 0."""
    length = ops.shape(values)[1]
    result, reach = values, 0
    while reach < frames:
        step = min(reach + 1, frames - reach)
        shifted = ops.pad(result, ((0, 0), (step, 0), (0, 0)))[:, :length]
        result, reach = ops.maximum(result, shifted), reach + step
    return result


def levinson(lags):
    """Predictors of signals whose autocorrelation is known.

    Solves the Yule-Walker equations, with a gradient that solves them once more instead of going
    back through the recursion.

    Args:
        lags: Autocorrelation at lags 0 to `order`, `[signals, order + 1]`, positive definite.

    Returns:
        Shape `[signals, order]`: weights of the last sample, the one before, …; those of least
        squares.

    Source: Levinson, 1946, and Durbin, 1960; Gohberg and Semencul's form of the inverse, 1972.
    """
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return _recursion(lags)[0]

    @ops.custom_gradient
    def run(lags):
        weights, error = _recursion(lags)

        def gradient(*upstream):
            above = upstream[0]
            while isinstance(above, (tuple, list)):  # JAX gives a tuple
                above = above[0]
            return _levinson_gradient(above, weights, error)

        return weights, gradient

    return run(lags)


def _recursion(lags):
    """Predictors `[signals, order]` and their errors `[signals, 1]`."""
    order = lags.shape[1] - 1
    lags = ops.transpose(lags)
    window = ops.concatenate([ops.flip(lags, axis=0), ops.zeros_like(lags[1:])])
    first = np.eye(order + 1, dtype=np.float32)
    forward = ops.zeros_like(lags) + first[0][:, None]
    backward = ops.zeros_like(lags) + first[1][:, None]

    def body(i, state):
        forward, backward, error = state
        missing = ops.sum(forward * ops.slice(window, (order - i, 0), ops.shape(forward)), axis=0)
        # Rounding must not make a predictor unstable.
        reflection = ops.clip(-missing / error, -0.999999, 0.999999)
        longer = backward + reflection * forward
        return (forward + reflection * backward, ops.pad(longer[:-1], ((1, 0), (0, 0))),
                error * (1 - ops.square(reflection)))

    forward, _, error = ops.fori_loop(1, order + 1, body, (forward, backward, lags[0]))
    return -ops.transpose(forward[1:]), error[:, None]


def _levinson_gradient(upstream, weights, error):
    """Gradient of the lags: that of the weights goes through the inverse of the equations."""
    order = weights.shape[1]
    size = 2 * order
    first = ops.concatenate([ops.ones_like(error), -weights[:, :-1]], axis=1)
    second = -ops.flip(weights, axis=1)
    solved = (_convolve(first, _correlate(first, upstream, size)[:, :order], size)[:, :order]
              - _convolve(second, _correlate(second, upstream, size)[:, :order], size)[:, :order])
    solved = solved / error
    crossed = (_correlate(weights, solved, size)[:, :order]
               + _correlate(solved, weights, size)[:, :order])
    crossed = ops.concatenate([crossed[:, :1] / 2, crossed[:, 1:]], axis=1)
    return ops.pad(solved, ((0, 0), (1, 0))) - ops.pad(crossed, ((0, 0), (0, 1)))


def _spectrum(x, size):
    return ops.rfft(ops.pad(x, ((0, 0), (0, size - x.shape[1]))))


def _convolve(x, y, size):
    (a, b), (c, d) = _spectrum(x, size), _spectrum(y, size)
    return ops.irfft((a * c - b * d, a * d + b * c), size)


def _correlate(x, y, size):
    """Sums over `n` of `x[n] y[n + lag]`, lags from 0 on."""
    (a, b), (c, d) = _spectrum(x, size), _spectrum(y, size)
    return ops.irfft((a * c + b * d, a * d - b * c), size)
