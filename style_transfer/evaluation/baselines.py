"""What a style transfer has to beat: plain ways of putting notes and a style clip together.

All take and give `Audio`. Renderings of other pianos come from outside, as the library itself
renders with no soundfont. `style_transfer.evaluation.musaicing` holds the sampler.
"""

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer.evaluation import metrics

EQ_FFT_SIZE = 4096
EQ_LIMIT_DB = 24.0
EQ_SMOOTHING_OCTAVES = 1 / 3
EQ_LOWEST_HZ = 20.0
EQ_FLOOR_DB = 80.0
_EQ_POINTS_PER_OCTAVE = 12
LOOP_FADE_SECS = 0.05
NOISE_DB = -40.0


def match_eq(audio, style, source=None, limit_db=EQ_LIMIT_DB):
    """`audio` through a smooth, zero-phase filter that gives it the style's long-term spectrum.

    Args:
        audio: What to filter, an `Audio`.
        style: The clip whose spectrum is wanted.
        source: What is compared with `style`: by default `audio` itself. A rendering of the
            style clip's own notes on the piano of `audio` is fairer, since the difference is
            then the pianos' and not the pieces'.
        limit_db: Largest boost and cut, dB, about the filter's mean level.

    Returns:
        The filtered `Audio`, as long as `audio` and at its rate.
    """
    from scipy import signal

    frequencies_hz, gain_db = eq_curve(audio if source is None else source, style,
                                       audio.sample_rate, limit_db)
    bins_hz = np.fft.rfftfreq(EQ_FFT_SIZE, 1 / audio.sample_rate)
    curve = np.interp(np.log(np.maximum(bins_hz, EQ_LOWEST_HZ)), np.log(frequencies_hz), gain_db)
    taps = np.roll(np.fft.irfft(10 ** (curve / 20)), EQ_FFT_SIZE // 2)[1:]
    taps *= np.hanning(EQ_FFT_SIZE - 1)
    filtered = signal.fftconvolve(audio.samples, taps, mode="full")
    delay = len(taps) // 2
    return audio_lib.Audio(filtered[delay:delay + len(audio.samples)], audio.sample_rate)


def eq_curve(source, style, sample_rate, limit_db=EQ_LIMIT_DB):
    """The filter of `match_eq`.

    Returns:
        Frequencies in Hz and gains in dB, 12 points an octave up to half the lowest of the three
        rates; spectra are smoothed over a third of an octave and floored at 80 dB under their
        peak.
    """
    top_hz = min(source.sample_rate, style.sample_rate, sample_rate) / 2
    octaves = np.log2(top_hz / EQ_LOWEST_HZ)
    points = EQ_LOWEST_HZ * 2 ** np.linspace(0, octaves, int(octaves * _EQ_POINTS_PER_OCTAVE))
    levels = [_smooth_spectrum_db(clip, points) for clip in (source, style)]
    gain_db = levels[1] - levels[0]
    return points, np.clip(gain_db, -limit_db, limit_db)


def nearest_piano(style, renderings, same_notes):
    """The piano that sounds most like the style clip, judged by the clip alone.

    Args:
        style: The style clip, an `Audio`.
        renderings: Piano name -> `Audio` of that piano.
        same_notes: True if the renderings play the style clip's own notes, aligned: the log-mel
            distance of the evaluation then decides. False if they play anything else: the
            distance of long-term mel spectra, level aside, decides.

    Returns:
        The nearest piano's name, and all distances in dB by name.

    Raises:
        ValueError: There is no piano to choose from.
    """
    if not renderings:
        raise ValueError("There is no piano to choose the nearest from. Give some, for example "
                         "a soundfont: --baseline_pianos=piano.sf2.")
    if same_notes:
        reference = metrics.Clip(style, name="style clip")
        distances = {
            name: metrics.log_mel_l1(metrics.Clip(audio, len(reference.samples), name), reference,
                                     floor_db=60.0)
            for name, audio in renderings.items()}
    else:
        target = _long_term_mel_db(style)
        distances = {name: float(np.mean(np.abs(_long_term_mel_db(audio) - target)))
                     for name, audio in renderings.items()}
    return min(distances, key=distances.get), distances


def looped(style, num_samples, sample_rate):
    """The style clip again and again, cross-faded over 50 ms, `num_samples` long."""
    clip = audio_lib.resample(style, sample_rate).samples
    fade = min(int(LOOP_FADE_SECS * sample_rate), len(clip) // 2)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    step = len(clip) - fade
    body = clip[:step].copy()
    body[:fade] = body[:fade] * ramp + clip[step:] * (1 - ramp)
    out = np.tile(body, -(-num_samples // step))[:num_samples]
    head = min(fade, num_samples)
    out[:head] = clip[:head]
    return audio_lib.Audio(out, sample_rate)


def with_noise(truth, noise_db=NOISE_DB, seed=0):
    """The true rendering with white noise `noise_db` relative to its RMS: nearly the best score."""
    noise = np.random.default_rng(seed).standard_normal(len(truth.samples))
    rms = np.sqrt(np.mean(np.square(truth.samples, dtype=np.float64)))
    return audio_lib.Audio(truth.samples + noise * rms * 10 ** (noise_db / 20), truth.sample_rate)


def _smooth_spectrum_db(audio, points_hz):
    """Long-term power in bands about `points_hz`, dB relative to the whole."""
    from scipy import signal

    size = min(EQ_FFT_SIZE, len(audio.samples))
    bins_hz, power = signal.welch(audio.samples, audio.sample_rate, nperseg=size)
    total = np.concatenate([[0.0], np.cumsum(power)])
    edges = (np.arange(len(total)) - 0.5) * bins_hz[1]
    width = 2 ** (EQ_SMOOTHING_OCTAVES / 2)
    # Below the resolution a band is as wide as two bins.
    low = np.minimum(points_hz / width, points_hz - bins_hz[1])
    high = np.maximum(points_hz * width, points_hz + bins_hz[1])
    low, high = np.clip(low, edges[0], edges[-1]), np.clip(high, edges[0], edges[-1])
    band = (np.interp(high, edges, total) - np.interp(low, edges, total)) / (high - low)
    level = 10 * np.log10(band / (power.sum() * bins_hz[1] + 1e-30) + 1e-30)
    return np.maximum(level, level.max() - EQ_FLOOR_DB)


def _long_term_mel_db(audio):
    clip = metrics.Clip(audio)
    power = np.mean(np.square(clip.magnitude(metrics.MEL_FFT_SIZE)), axis=1)
    level = 10 * np.log10(metrics.mel_filters(metrics.MEL_FFT_SIZE, 64) @ power + 1e-30)
    return np.maximum(level, level.max() - metrics.MEL_RANGE_DB)
