"""Log-mel spectrograms of any length, window by window, the same whatever the windows."""

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.layers.compiling import compiled
from style_transfer.signal import log_mel

WINDOW_FRAMES = 1024
STYLE_SECS = 8
NOISE_FRAMES = 1024  # then it begins again
EDGE_FRAMES = 4  # of spectrograms that the ends of a window's audio touch


def margin_of(model):
    """Frames that a window reads before and behind what is made of it."""
    reach = model.reach + (EDGE_FRAMES if model.hears else 0)
    return -(-reach // model.grain) * model.grain


def frames_of_audio(audio, xp=np):
    """Audio `[samples]` as `[frames, HOP_SAMPLES]`; zeros fill up the last (`arrays` has `xp`)."""
    missing = -xp.size(audio) % log_mel.HOP_SAMPLES
    return xp.reshape(xp.pad(audio, ((0, missing),)), (-1, log_mel.HOP_SAMPLES))


def audio_of_frames(frames):
    """Audio `[batch, samples]` of `[batch, frames, HOP_SAMPLES]`, in `keras.ops`."""
    from keras import ops

    return ops.reshape(frames, (-1, frames.shape[1] * frames.shape[2]))


def roll(table, num_frames, xp=np):
    """A piano roll at the frame rate, `[num_frames, KEYS_DEPTH]`, see `piano_roll.decayed`."""
    values = piano_roll.roll(table, 0.0, num_frames, log_mel.FRAMES_PER_SECOND, xp)
    return piano_roll.decayed(values[:, :piano_roll.KEYS_DEPTH], log_mel.FRAMES_PER_SECOND, xp=xp)


def noise(num_frames, seed, xp=np):
    """Standard normal noise, `[num_frames, NUM_BANDS]`; longer noise begins with shorter."""
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((NOISE_FRAMES, log_mel.NUM_BANDS), dtype=np.float32)
    return xp.take(xp.asarray(table), xp.arange(num_frames) % NOISE_FRAMES, axis=0)


def at_level(samples, xp=np):
    """Audio with its sounding parts at `log_mel.LEVEL_DB`, never beyond full scale."""
    level_db = audio_lib.sounding_level_db(samples, log_mel.SAMPLE_RATE, xp)
    gain = 10 ** ((log_mel.LEVEL_DB - level_db) / 20)
    return xp.clip(samples * xp.asarray(gain, np.float32), -1, 1)


def heard_of_style(samples, xp=np):
    """What models hear of a style clip: its loudest `STYLE_SECS` seconds, or all again and again.

    Args:
        samples: At `log_mel.SAMPLE_RATE`, `[samples]`.
        xp: See `arrays`.

    Returns:
        `[STYLE_SECS * SAMPLE_RATE]`.
    """
    count = STYLE_SECS * log_mel.SAMPLE_RATE
    first = audio_lib.loudest_start(samples, log_mel.SAMPLE_RATE, STYLE_SECS, xp)
    heard = at_level(samples, xp)[first:first + count]
    return xp.take(heard, xp.arange(count) % xp.size(heard))


def make(model, content, style_audio, *, temperature=1.0, seed=0, progress=None):
    """A log-mel spectrogram.

    Args:
        model: See `style_transfer.spectrograms`.
        content: `[frames, features]` as the model takes it.
        style_audio: From `heard_of_style`.
        temperature: Of the noise of models that sample.
        seed: Of that noise.
        progress: Called with seconds done and in all.

    Returns:
        NumPy `[frames, NUM_BANDS]`.
    """
    from keras import ops

    count, margin = len(content), margin_of(model)
    # Run eagerly, the GRU takes half as long as all else of ten seconds.
    style = compiled(model.encode_style)(style_audio[None])
    behind = -count % model.grain + margin
    parts = [np.pad(values, ((margin, behind), (0, 0)))
             for values in (content, noise(count, seed))]
    made = []
    for first in range(0, count, WINDOW_FRAMES):
        window = [values[None, first:first + WINDOW_FRAMES + 2 * margin] for values in parts]
        found = model.spectrogram(window[0], style, window[1], temperature)
        made.append(ops.convert_to_numpy(found)[0, margin:-margin or None])
        if progress is not None:
            done = min(first + WINDOW_FRAMES, count)
            progress(done / log_mel.FRAMES_PER_SECOND, count / log_mel.FRAMES_PER_SECOND)
    return np.concatenate(made)[:count]
