"""DDSP's synthesis in `keras.ops`: on every backend of Keras, equal to ddsp 3.7's own numbers.

Additive and noise synthesizers and a reverb as layers, and the differentiable functions they are
made of, under the names that they have in ddsp. Audio is float32 `[batch, samples]`, controls are
`[batch, frames, channels]`; frequencies are in Hz. `get_controls` of a layer makes physical
controls of a network's outputs, `get_signal` audio of these.

    from keras import ops
    from style_transfer.synthesis import ddsp

    f0_hz = 440.0 * ops.ones((1, 100, 1))
    synth = ddsp.Harmonic(num_samples=16_000, sample_rate=16_000)
    audio = synth(ops.zeros((1, 100, 1)), ops.zeros((1, 100, 20)), f0_hz)  # one second, [1, 16000]

Spectra and loudness are in `style_transfer.signal.spectral`, the multi-scale spectral loss is
`style_transfer.losses.MultiScaleSpectralLoss`. `examples/ddsp_resynthesis.py` learns the timbre of
a recording with them.

Source: Engel et al., "DDSP: Differentiable Digital Signal Processing", 2020; `tests/parity` holds
each function to the ddsp package.
"""

from style_transfer.synthesis.ddsp.core import (
    exp_sigmoid,
    hz_to_midi,
    midi_to_hz,
    resample,
    safe_divide,
)
from style_transfer.synthesis.ddsp.effects import Reverb
from style_transfer.synthesis.ddsp.filters import (
    fft_convolve,
    frequency_filter,
    frequency_impulse_response,
    sinc_filter,
    sinc_impulse_response,
)
from style_transfer.synthesis.ddsp.harmonic import (
    Harmonic,
    angular_cumsum,
    harmonic_frequencies,
    harmonic_oscillator_bank,
    harmonic_synthesis,
    normalize_harmonics,
    oscillator_bank,
    remove_above_nyquist,
)
from style_transfer.synthesis.ddsp.noise import FilteredNoise

__all__ = [
    "FilteredNoise", "Harmonic", "Reverb", "angular_cumsum", "exp_sigmoid", "fft_convolve",
    "frequency_filter", "frequency_impulse_response", "harmonic_frequencies",
    "harmonic_oscillator_bank", "harmonic_synthesis", "hz_to_midi", "midi_to_hz",
    "normalize_harmonics", "oscillator_bank", "remove_above_nyquist", "resample", "safe_divide",
    "sinc_filter", "sinc_impulse_response",
]
