"""What a clip has above the highest frequency that the nets know.

There a piano's partials and noise go on as an extrapolation says, and the clip says how loud: the
level is by how much its sound above 11.5 kHz is above that of the extrapolated playing of the same
notes, at their blows. What is as loud in between is hiss. Where the clip has nothing (a low sample
rate, the low-pass of an MP3), nothing is played.
"""

import numpy as np

LOW_HZ, TOP_HZ, BAND_HZ = 11_500.0, 20_000.0, 500.0
NUM_BANDS = int((TOP_HZ - LOW_HZ) / BAND_HZ)
NOTHING_DB = -120.0
_TINY = 1e-20
_SILENT_DB, _LOUDEST_DB = -50.0, 20.0
_FRAME_SECS = 0.075
_SHARE = 0.3  # of the frames: those in which the playing is loudest, and softest
_LEAST_RISE = 0.3  # from soft frames to loud ones, of the power: beneath, it is hiss
_LEAST_EXCESS = 0.25  # of a frame's power, is counted as above the hiss


def gains(high_band_db, frequency_hz):
    """Power gains of what is extrapolated, at frequencies: 1 up to `LOW_HZ`.

    Args:
        high_band_db: Levels of the bands, `[NUM_BANDS]`, or empty: nothing is above.
        frequency_hz: Any shape.

    Returns:
        float32, of that shape.
    """
    level = np.asarray(high_band_db, np.float32)
    level = level if level.size else np.full(NUM_BANDS, NOTHING_DB, np.float32)
    power = np.where(level > _SILENT_DB, 10 ** (level / 10), 0)
    power = np.concatenate([[1], power, [0]]).astype(np.float32)
    band = np.floor((np.asarray(frequency_hz) - LOW_HZ) / BAND_HZ)
    return power[np.clip(band + 1, 0, NUM_BANDS + 1).astype(int)]


def measure(clip, played):
    """Levels of the bands above `LOW_HZ`.

    Args:
        clip: An `Audio`, mono, at its own rate.
        played: What the extrapolation makes of the clip's notes, at the same rate and level.

    Returns:
        dB by which the extrapolation is to be raised, float32 `[NUM_BANDS]`, `NOTHING_DB` where
        the clip has nothing.
    """
    count = min(len(clip.samples), len(played.samples))
    clip_power, played_power = (_band_powers(audio.samples[:count], audio.sample_rate)
                                for audio in (clip, played))
    order = np.argsort(played_power.sum(axis=1))
    some = max(int(_SHARE * len(order)), 1)
    soft, loud = order[:some], order[-some:]
    hiss = clip_power[soft].mean(axis=0)
    rise = clip_power[loud].mean(axis=0) - hiss
    expected = played_power[loud].mean(axis=0) - played_power[soft].mean(axis=0)
    excess = np.maximum(clip_power[loud] - hiss, _LEAST_EXCESS * clip_power[loud])
    # Between the ratio of the mean powers, which the loudest blow decides, and the mean of ratios.
    level = (_db(np.maximum(rise, 0) / np.maximum(expected, _TINY))
             + np.mean(_db(excess / np.maximum(played_power[loud], _TINY)), axis=0)) / 2
    heard = (rise > _LEAST_RISE * hiss) & (level > _SILENT_DB)
    return np.where(heard, np.minimum(level, _LOUDEST_DB), NOTHING_DB).astype(np.float32)


def _db(ratio):
    return 10 * np.log10(np.maximum(ratio, _TINY))


def _band_powers(samples, sample_rate):
    """Power of the bands in half-overlapping frames, `[frames, NUM_BANDS]`."""
    size = int(_FRAME_SECS * sample_rate)
    starts = np.arange(0, max(len(samples) - size, 1), size // 2)
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    frames = samples[starts[:, None] + np.arange(size)] * np.hanning(size).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames)))
    edges = np.round((LOW_HZ + BAND_HZ * np.arange(NUM_BANDS + 1)) * size / sample_rate).astype(int)
    sums = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
    edges = np.minimum(edges, power.shape[1])
    return sums[:, edges[1:]] - sums[:, edges[:-1]]
