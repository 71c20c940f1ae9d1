"""What a style clip is worth: noise, bandwidth, clipping, and whether a piano plays in it."""

import dataclasses

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer.measure import peaks as peaks_lib
from style_transfer.signal import mel

NUM_NOISE_BANDS = 32
FLOOR_DB = -140.0
NOISE_WINDOW_SECS = 0.34
VALLEY_QUANTILE = 0.3
# The lowest twentieth of all frames, taken for the lowest fifth of those without music.
QUIET_QUANTILE, QUIET_QUANTILE_STDS = 0.05, 0.84
CONTENT_BELOW_PEAK_DB = 80.0
CLIFF_DB, CLIFF_RATIO = 15.0, 2 ** (1 / 6)
TRACK_WINDOW_SECS = 0.17
TRACK_MIN_SECS = 0.25
TRACK_BELOW_LOUDEST_DB = 40.0
TRACK_DRIFT_CENTS = 12.0
DECAY_DB_PER_SEC = 2.0
MIN_CLIP_SECS, MIN_SOUNDING_SECS = 2.0, 1.0
SILENCE_PEAK_DB, QUIET_RMS_DB = -70.0, -60.0
SOUNDING_BELOW_LOUDEST_DB = 50.0
# Measured: noise, sweeps, drums and glides stay below 0.03, dense piano music above 0.25.
MIN_TONAL, DOUBTFUL_TONAL = 0.05, 0.2
# Measured: pianos 0.6 to 0.95; organ, strings and flute 0.25 to 0.45; a steady tone 0.
MIN_DECAYING, DOUBTFUL_DECAYING = 0.05, 0.5
CLIP_RUN_SAMPLES, MAX_CLIPPED_SHARE = 3, 1e-4
MIN_SIGNAL_TO_NOISE_DB, NOISE_PROOF_HZ = 20.0, 1000.0
DULL_HZ, CLIFF_WORTH_TELLING_HZ = 3000.0, 9000.0
# Measured: white noise 0.98, voices and pianos below 0.1.
NOISE_FLATNESS = 0.5


def noise_band_edges_hz(sample_rate, num_bands=NUM_NOISE_BANDS):
    """Edges of bands equally wide in mel from 0 to half the sample rate, `[num_bands + 1]`."""
    return mel.spaced_hz(0.0, sample_rate / 2, num_bands + 1)


def measure_noise_floor(audio, num_bands=NUM_NOISE_BANDS):
    """Level of the steady noise of a recording in mel bands.

    Between the partials of a frame (the valleys of each band) and in quiet frames (the lowest
    twentieth) only noise is left. Music that never leaves a gap makes it an upper bound. Digitally
    silent frames, padding rather than recording, do not count.

    Args:
        audio: An `Audio`.
        num_bands: Number of bands, edges as in `noise_band_edges_hz`.

    Returns:
        float32 `[num_bands]`, dB relative to full scale; the bands' powers add up to the power
        of the noise. -140 where there is none.
    """
    size = int(NOISE_WINDOW_SECS * audio.sample_rate)
    power = _power_frames(audio.samples, size)
    power = power[power.sum(axis=1) > 1e-11]
    if not len(power):
        return np.full(num_bands, FLOOR_DB, np.float32)
    bin_hz = audio.sample_rate / size
    edges = np.round(noise_band_edges_hz(audio.sample_rate, num_bands) / bin_hz).astype(int)
    # The lowest bins hold offset and rumble that leaks through the window.
    edges = np.maximum(edges, 2)
    out = np.zeros(num_bands)
    for band, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        count = min(high, power.shape[1]) - low
        if count < 1:
            continue
        valley = np.quantile(power[:, low:high], VALLEY_QUANTILE, axis=1)
        out[band] = np.quantile(valley, QUIET_QUANTILE) / _quiet_share(count) * count
    out = 10 * np.log10(np.maximum(out, 10 ** (FLOOR_DB / 10)))
    return out.astype(np.float32)


def _quiet_share(count):
    """What quiet frames' valleys hold of the mean power of a bin, when all is noise.

    The power of a noise bin is exponentially distributed, so its quantile q is `-ln(1 - q)` of
    the mean, and the quantile of `count` bins deviates by `sqrt(q / (1 - q) / count)` of it; a
    Hann window couples neighbours, which leaves two thirds of the bins independent.
    """
    centre = -np.log(1 - VALLEY_QUANTILE)
    deviation = np.sqrt(VALLEY_QUANTILE / (1 - VALLEY_QUANTILE) / (count / 1.5))
    return centre * max(1 - QUIET_QUANTILE_STDS * deviation / centre, 0.25)


def measure_bandwidth(audio):
    """Highest frequency, in Hz, with anything within 80 dB of the strongest partial."""
    return _bandwidth(audio)[0]


def _bandwidth(audio):
    """Bandwidth in Hz, and whether the spectrum ends there as if cut off by a filter."""
    size = int(NOISE_WINDOW_SECS * audio.sample_rate)
    power = np.quantile(_power_frames(audio.samples, size), 0.9, axis=0)
    bin_hz = audio.sample_rate / size
    edges = np.unique(np.geomspace(8, len(power), 200).astype(int))
    smooth = 10 * np.log10(np.array([power[a:b].mean() for a, b in
                                     zip(edges[:-1], edges[1:], strict=True)]) + 1e-20)
    full = np.flatnonzero(smooth > 10 * np.log10(power.max() + 1e-20) - CONTENT_BELOW_PEAK_DB)
    if not len(full) or power.max() < 1e-14:
        return 0.0, False
    top = min(edges[full[-1] + 1], len(power) - 1)
    above = power[int(top * 1.02):int(top * CLIFF_RATIO * 1.02)]
    below = power[int(top / CLIFF_RATIO):int(top)]
    is_cliff = (top * CLIFF_RATIO < len(power)
                and 10 * np.log10(below.mean() / (above.mean() + 1e-20)) > CLIFF_DB)
    return float(top * bin_hz), bool(is_cliff)


def measure_flatness(audio):
    """How flat the spectrum is below the cutoff: 1 for white noise, near 0 for tones.

    Geometric over arithmetic mean of the bins of the mean power spectrum.
    """
    size = int(NOISE_WINDOW_SECS * audio.sample_rate)
    power = _power_frames(audio.samples, size).mean(axis=0)
    highest = int(measure_bandwidth(audio) * 0.95 * size / audio.sample_rate)
    power = power[2:max(highest, 3)] + 1e-20
    return float(np.exp(np.mean(np.log(power))) / np.mean(power))


def _power_frames(samples, size):
    """Power of the bins of half-overlapping Hann frames; a frame's bins add up to its power."""
    window = np.hanning(size).astype(np.float32)
    scale = np.sqrt(2 / (size * np.sum(window**2)))
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    hop = max(size // 2, len(samples) // peaks_lib.MAX_FRAMES)
    starts = np.arange(0, len(samples) - size + 1, hop)
    return np.concatenate([
        np.abs(np.fft.rfft(samples[starts[i:i + 64, None] + np.arange(size)] * window)) ** 2
        for i in range(0, len(starts), 64)]) * scale**2


@dataclasses.dataclass(frozen=True)
class Pianolikeness:
    """How much of a clip behaves like struck strings.

    Attributes:
        tonal: Share of the power that lies in partials that keep their pitch, 0 to 1.
        decaying: Share of those partials' amplitude that fades like a struck string's.
    """

    tonal: float
    decaying: float


def measure_pianolikeness(audio):
    """Follows the loud partials: struck strings keep their pitch and fade.

    Noise, glides and drums have few partials that last; organs, strings and steady tones have
    some that do not fade.
    """
    peaks = peaks_lib.find_peaks(audio.samples, audio.sample_rate, TRACK_WINDOW_SECS)
    track, frame, freq, level = _tracks(peaks)
    if not len(track):
        return Pianolikeness(0.0, 0.0)
    amplitude = 10 ** (level / 20)
    # A peak's amplitude a stands for a sinusoid of power a^2 / 2; a bin is a share of a frame.
    power = np.bincount(frame, amplitude**2 / 2, len(peaks.times))
    present = _frame_power(audio, peaks.times, peaks.sigma_secs)
    tonal = np.sum(np.minimum(power, present)) / (np.sum(present) + 1e-12)
    # Weighted by power, so that the tail after a damper or a bow stops does not decide.
    weight = amplitude**2
    mass = np.bincount(track, weight)
    times = peaks.times[frame]
    mean_t, mean_l = (np.bincount(track, weight * v) / mass for v in (times, level))
    t, v = times - mean_t[track], level - mean_l[track]
    slope = np.bincount(track, weight * t * v) / (np.bincount(track, weight * t * t) + 1e-30)
    mass = np.bincount(track, amplitude)
    fades = slope < -DECAY_DB_PER_SEC
    return Pianolikeness(float(np.clip(tonal, 0, 1)), float(mass[fades].sum() / mass.sum()))


def _frame_power(audio, times, sigma_secs):
    """Mean power around each time under the squared Gaussian window."""
    import scipy.ndimage

    power = scipy.ndimage.gaussian_filter1d(
        np.square(audio.samples, dtype=np.float64)[::8],
        sigma_secs / np.sqrt(2) * audio.sample_rate / 8, truncate=3, mode="constant")
    return np.interp(times, np.arange(len(power)) * 8 / audio.sample_rate, power)


def _tracks(peaks):
    """Loud peaks that go on for a quarter of a second at one pitch.

    Returns:
        Track number, frame, frequency and level of each of their peaks.
    """
    empty = np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0)
    if len(peaks.times) < 3 or not len(peaks.frame):
        return empty
    loud = np.flatnonzero(peaks.level_db > peaks.level_db.max() - TRACK_BELOW_LOUDEST_DB)
    hop = peaks.times[1] - peaks.times[0]
    following = peaks.nearest(peaks.frame[loud] + 1, peaks.freq_hz[loud])
    gap_hz = np.abs(peaks.freq_hz[following] - peaks.freq_hz[loud])
    linked = (following >= 0) & (gap_hz < 0.5 * peaks.bin_hz) & (
        1200 * np.log2(1 + gap_hz / peaks.freq_hz[loud]) < TRACK_DRIFT_CENTS)
    number = np.arange(len(peaks.frame))
    for this, other in zip(loud[linked], following[linked], strict=True):
        number[other] = number[this]
    _, number, length = np.unique(number[loud], return_inverse=True, return_counts=True)
    freq = peaks.freq_hz[loud]
    low, high = np.full(len(length), np.inf), np.zeros(len(length))
    np.minimum.at(low, number, freq)
    np.maximum.at(high, number, freq)
    steady = 1200 * np.log2(high / low) < 3 * TRACK_DRIFT_CENTS
    keep = ((length * hop >= TRACK_MIN_SECS) & steady)[number]
    if not np.any(keep):
        return empty
    _, track = np.unique(number[keep], return_inverse=True)
    return track, peaks.frame[loud][keep], freq[keep], peaks.level_db[loud][keep]


def check_style_clip(audio):
    """Whether a clip can serve as style.

    Args:
        audio: An `Audio`, best at the file's own rate (resampling hides clipping).

    Returns:
        List of warnings, one sentence each; empty for a good clip.

    Raises:
        ValueError: The clip is shorter than 2 s, silent, or holds nothing like piano notes.
    """
    _require_sound(audio)
    begin, end = audio_lib.sounding_part(audio.samples, audio.sample_rate)
    audio = audio_lib.Audio(audio.samples[begin:end], audio.sample_rate)
    _require_sound(audio)
    likeness = measure_pianolikeness(audio)
    if likeness.tonal < MIN_TONAL:
        what = ("is noise" if measure_flatness(audio) > NOISE_FLATNESS
                else "holds no piano-like notes (a voice? drums? noise?)")
        raise ValueError(
            f"The style clip {what}: {likeness.tonal:.0%} of its power is in partials of steady "
            "pitch, pianos have over 25%. Give a recording of a piano alone.")
    if likeness.decaying < MIN_DECAYING:
        raise ValueError(
            "The style clip holds no piano-like notes: its tones do not fade as struck strings "
            f"do ({likeness.decaying:.0%} of them; pianos over 60%). Give a recording of a piano.")
    warnings = []
    if likeness.tonal < DOUBTFUL_TONAL:
        warnings.append(f"Only {likeness.tonal:.0%} of the style clip's power is in notes of "
                        "steady pitch: is it a piano, and nothing else?")
    if likeness.decaying < DOUBTFUL_DECAYING:
        warnings.append(f"Only {likeness.decaying:.0%} of the style clip's tones fade as a "
                        "piano's do: is it a piano?")
    return warnings + _recording_faults(audio)


def _require_sound(audio):
    if audio.duration_secs < MIN_CLIP_SECS:
        raise ValueError(f"The style clip lasts {audio.duration_secs:.2f} s; at least "
                         f"{MIN_CLIP_SECS:g} s are needed, 10 s are good.")
    peak_db = 20 * np.log10(float(np.max(np.abs(audio.samples))) + 1e-30)
    if peak_db < SILENCE_PEAK_DB:
        raise ValueError(f"The style clip is silent: its peak is {max(peak_db, -200):.0f} dB full "
                         f"scale, below {SILENCE_PEAK_DB:.0f} dB. Was the right input recorded?")
    power = _power_frames(audio.samples, int(0.05 * audio.sample_rate)).sum(axis=1)
    share = np.mean(power > power.max() * 10 ** (-SOUNDING_BELOW_LOUDEST_DB / 10))
    if share * audio.duration_secs < MIN_SOUNDING_SECS:
        raise ValueError(
            f"Only {share * audio.duration_secs:.2f} s of the style clip's "
            f"{audio.duration_secs:.2f} s are not silent; at least {MIN_SOUNDING_SECS:g} s of "
            "piano are needed.")


def _recording_faults(audio):
    """Warnings about level, clipping, noise and bandwidth."""
    warnings = []
    if audio.rms_db < QUIET_RMS_DB:
        warnings.append(f"The style clip is very quiet ({audio.rms_db:.0f} dB RMS).")
    clipped = _clipped_share(audio.samples)
    if clipped > MAX_CLIPPED_SHARE:
        warnings.append(f"The style clip is clipped ({clipped:.2%} of its samples): the piano "
                        "will sound harsher than it is.")
    # Lower bands are no proof: there dense music and its reverberation leave no gap.
    high = noise_band_edges_hz(audio.sample_rate)[:-1] > NOISE_PROOF_HZ
    noise_db = 10 * np.log10(np.sum(10 ** (measure_noise_floor(audio)[high] / 10)) + 1e-30)
    if audio.rms_db - noise_db < MIN_SIGNAL_TO_NOISE_DB:
        warnings.append(f"The style clip is noisy: steady noise at {noise_db:.0f} dB under music "
                        f"at {audio.rms_db:.0f} dB RMS.")
    bandwidth_hz, is_cliff = _bandwidth(audio)
    if audio.sample_rate < 2 * CLIFF_WORTH_TELLING_HZ:
        warnings.append(f"The style clip is sampled at {audio.sample_rate} Hz and can hold nothing "
                        f"above {audio.sample_rate / 2:.0f} Hz: higher partials are guessed; "
                        "give a recording of 24000 Hz or more.")
    elif (is_cliff and bandwidth_hz < CLIFF_WORTH_TELLING_HZ) or bandwidth_hz < DULL_HZ:
        warnings.append(f"The style clip holds nothing above {bandwidth_hz:.0f} Hz"
                        + (" (cut off as by a filter or a low bit rate)" if is_cliff else "")
                        + ": higher partials are guessed.")
    return warnings


def _clipped_share(samples):
    """Share of the samples in runs of three or more at the clip's extreme value."""
    peak = float(np.max(np.abs(samples)))
    if peak < 0.1:
        return 0.0
    at_limit = np.abs(samples) >= peak * (1 - 1e-4)
    same = at_limit[1:] & at_limit[:-1] & (samples[1:] * samples[:-1] > 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8), [0]])))
    runs = edges[1::2] - edges[::2] + 1
    return float(runs[runs >= CLIP_RUN_SAMPLES].sum()) / len(samples)
