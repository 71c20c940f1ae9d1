"""Additive synthesis: banks of sinusoidal oscillators and a harmonic synthesizer."""

import math

import keras
import numpy as np
from keras import ops

from style_transfer.synthesis.ddsp import core

_TURN = 2 * math.pi


def harmonic_frequencies(f0_hz, num_harmonics: int):
    """Whole multiples of a fundamental: `[..., 1]` Hz to `[..., num_harmonics]` Hz."""
    return f0_hz * np.arange(1, num_harmonics + 1, dtype=np.float32)


def remove_above_nyquist(frequency_hz, amplitude, sample_rate: int = 16000):
    """Amplitudes, with zero where the frequency is at or above half the sample rate."""
    return ops.where(ops.greater_equal(frequency_hz, sample_rate / 2), 0.0, amplitude)


def normalize_harmonics(distribution, f0_hz=None, sample_rate: int | None = None):
    """Scales each frame's harmonics to a sum of 1.

    Args:
        distribution: Shape `[batch, frames, harmonics]`, not negative.
        f0_hz: Fundamental `[batch, frames, 1]`; given together with `sample_rate`, harmonics
            above half the sample rate are removed first.
        sample_rate: Samples per second.

    Returns:
        Same shape as `distribution`.

    Source: held to ddsp 3.7 `core.normalize_harmonics`.
    """
    if f0_hz is not None and sample_rate is not None:
        frequency_hz = harmonic_frequencies(f0_hz, distribution.shape[-1])
        distribution = remove_above_nyquist(frequency_hz, distribution, sample_rate)
    return core.safe_divide(distribution, ops.sum(distribution, axis=-1, keepdims=True))


def angular_cumsum(omega, chunk_size: int = 1000):
    """Phase as the cumulative sum of angular frequency, modulo a full turn.

    Sums within chunks and wraps between them. In float32 a plain cumulative sum drifts by whole
    turns after some 100,000 samples; this one by a hundredth of that (5e-6 of the frequency).

    Args:
        omega: Radians per sample, `[batch, samples, ...]`.
        chunk_size: Samples summed up before wrapping.

    Returns:
        Phase in [0, 2 pi), same shape.

    Source: held to ddsp 3.7 `core.angular_cumsum`.
    """
    num_samples, channels = omega.shape[1], tuple(omega.shape[2:])
    missing = -num_samples % chunk_size
    omega = ops.pad(omega, [[0, 0], [0, missing]] + [[0, 0]] * len(channels))
    phase = ops.cumsum(ops.reshape(omega, (-1, (num_samples + missing) // chunk_size,
                                           chunk_size, *channels)), axis=2)
    ends = ops.mod(phase[:, :, -1:], _TURN)
    starts = ops.mod(ops.cumsum(ends, axis=1) - ends, _TURN)
    phase = ops.mod(phase + starts, _TURN)
    return ops.reshape(phase, (-1, num_samples + missing, *channels))[:, :num_samples]


def _phase(frequency_hz, sample_rate, use_angular_cumsum):
    omega = frequency_hz * _TURN / sample_rate
    return angular_cumsum(omega) if use_angular_cumsum else ops.cumsum(omega, axis=1)


def oscillator_bank(frequency_hz, amplitude, sample_rate: int = 16000, sum_sinusoids: bool = True,
                    use_angular_cumsum: bool = False):
    """Sinusoids with a frequency and an amplitude for every sample.

    Args:
        frequency_hz: Shape `[batch, samples, sinusoids]`.
        amplitude: Shape `[batch, samples, sinusoids]`; silenced above half the sample rate.
        sample_rate: Samples per second.
        sum_sinusoids: Whether the sinusoids are added up.
        use_angular_cumsum: Whether phase is summed by `angular_cumsum`.

    Returns:
        Audio `[batch, samples]`, or `[batch, samples, sinusoids]` if not summed.

    Source: held to ddsp 3.7 `core.oscillator_bank`.
    """
    amplitude = remove_above_nyquist(frequency_hz, amplitude, sample_rate)
    waves = amplitude * ops.sin(_phase(frequency_hz, sample_rate, use_angular_cumsum))
    return ops.sum(waves, axis=-1) if sum_sinusoids else waves


def harmonic_oscillator_bank(f0_hz, amplitude, initial_phase=None, sample_rate: int = 16000,
                             use_angular_cumsum: bool = True):
    """Harmonics of one fundamental, which can go on where the chunk before ended.

    Args:
        f0_hz: Shape `[batch, samples, 1]`.
        amplitude: Shape `[batch, samples, harmonics]`; the caller removes what lies above half
            the sample rate (see `normalize_harmonics`).
        initial_phase: Phase of the fundamental before the first sample, `[batch, 1, 1]`,
            radians; None for 0.
        sample_rate: Samples per second.
        use_angular_cumsum: Whether phase is summed by `angular_cumsum`.

    Returns:
        Audio `[batch, samples]` and the fundamental's last phase `[batch, 1, 1]`, the next
        chunk's `initial_phase`.

    Source: held to ddsp 3.7 `core.harmonic_oscillator_bank`.
    """
    phase = _phase(f0_hz, sample_rate, use_angular_cumsum)
    if initial_phase is not None:
        phase = phase + initial_phase
    waves = ops.sin(harmonic_frequencies(phase, amplitude.shape[-1]))
    return ops.sum(amplitude * waves, axis=-1), phase[:, -1:, :1]


def harmonic_synthesis(f0_hz, amplitudes, harmonic_shifts=None, harmonic_distribution=None,
                       num_samples: int = 64000, sample_rate: int = 16000,
                       amp_resample_method: str = "window", use_angular_cumsum: bool = False):
    """Audio of one (in)harmonic tone from frame-wise controls.

    Args:
        f0_hz: Shape `[batch, frames, 1]`.
        amplitudes: Overall amplitude `[batch, frames, 1]`, linear.
        harmonic_shifts: Relative detuning `[batch, frames, harmonics]`: harmonic `k` has
            frequency `k * f0 * (1 + shift)`. None for none.
        harmonic_distribution: Share of each harmonic `[batch, frames, harmonics]`. None for the
            amplitude as it is.
        num_samples: Length of the audio.
        sample_rate: Samples per second.
        amp_resample_method: How amplitudes are interpolated, see `core.resample`.
        use_angular_cumsum: Whether phase is summed by `angular_cumsum`.

    Returns:
        Audio `[batch, num_samples]`.

    Source: Engel et al., "DDSP", 2020, sec. 3.2; held to ddsp 3.7 `core.harmonic_synthesis`.
    """
    shaping = harmonic_distribution if harmonic_distribution is not None else harmonic_shifts
    frequency_hz = harmonic_frequencies(f0_hz, 1 if shaping is None else shaping.shape[-1])
    if harmonic_shifts is not None:
        frequency_hz = frequency_hz * (1.0 + harmonic_shifts)
    if harmonic_distribution is not None:
        amplitudes = amplitudes * harmonic_distribution
    return oscillator_bank(
        core.resample(frequency_hz, num_samples),
        core.resample(amplitudes, num_samples, amp_resample_method),
        sample_rate, use_angular_cumsum=use_angular_cumsum,
    )


@keras.saving.register_keras_serializable(package="style_transfer")
class Harmonic(keras.layers.Layer):
    """Harmonic synthesizer driven by a network's outputs.

    Args:
        num_samples: Length of the audio.
        sample_rate: Samples per second.
        scale_controls: Whether controls arrive as raw network outputs, to go through
            `core.exp_sigmoid`.
        normalize_below_nyquist: Whether harmonics above half the sample rate are removed before
            the distribution is normalized.
        amp_resample_method: How amplitudes are interpolated, see `core.resample`.
        use_angular_cumsum: Whether phase is summed by `angular_cumsum`.
        **kwargs: Those of `keras.layers.Layer`.

    Source: held to ddsp 3.7 `synths.Harmonic`.
    """

    def __init__(self, num_samples: int = 64000, sample_rate: int = 16000,
                 scale_controls: bool = True, normalize_below_nyquist: bool = True,
                 amp_resample_method: str = "window", use_angular_cumsum: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.num_samples = num_samples
        self.sample_rate = sample_rate
        self.scale_controls = scale_controls
        self.normalize_below_nyquist = normalize_below_nyquist
        self.amp_resample_method = amp_resample_method
        self.use_angular_cumsum = use_angular_cumsum

    def get_controls(self, amplitudes, harmonic_distribution, f0_hz):
        """Physical controls from network outputs.

        Args:
            amplitudes: Shape `[batch, frames, 1]`.
            harmonic_distribution: Shape `[batch, frames, harmonics]`.
            f0_hz: Shape `[batch, frames, 1]`.

        Returns:
            A dict of the same names: linear amplitudes, shares that sum to 1, Hz.
        """
        if self.scale_controls:
            amplitudes = core.exp_sigmoid(amplitudes)
            harmonic_distribution = core.exp_sigmoid(harmonic_distribution)
        limit = self.sample_rate if self.normalize_below_nyquist else None
        return {
            "amplitudes": amplitudes,
            "harmonic_distribution": normalize_harmonics(harmonic_distribution, f0_hz, limit),
            "f0_hz": f0_hz,
        }

    def get_signal(self, amplitudes, harmonic_distribution, f0_hz):
        """Audio `[batch, num_samples]` from the controls of `get_controls`."""
        return harmonic_synthesis(
            f0_hz, amplitudes, harmonic_distribution=harmonic_distribution,
            num_samples=self.num_samples, sample_rate=self.sample_rate,
            amp_resample_method=self.amp_resample_method,
            use_angular_cumsum=self.use_angular_cumsum,
        )

    def call(self, amplitudes, harmonic_distribution, f0_hz):
        """Audio `[batch, num_samples]` from network outputs."""
        return self.get_signal(**self.get_controls(amplitudes, harmonic_distribution, f0_hz))

    def compute_output_shape(self, amplitudes_shape, *_, **__):
        """Shape of the audio."""
        return (amplitudes_shape[0], self.num_samples)

    def get_config(self):
        """Arguments of the constructor."""
        names = ("num_samples", "sample_rate", "scale_controls", "normalize_below_nyquist",
                 "amp_resample_method", "use_angular_cumsum")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
