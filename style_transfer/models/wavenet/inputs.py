"""What WaveNets read, made the same way for training and for generation."""

import functools

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll

LEVEL_DB = -20.0  # RMS of the sounding parts of a piano's recordings, dB full scale
STYLE_LEVEL_DB = -25.0  # RMS of clips that tell of a piano
ROLL_FEATURES = 2 * piano_roll.NUM_KEYS
STYLE_BATCH = 16
DECAY_SECS = (3.0, 0.1)
MIN_DECAYED = 1e-4


def num_frames(num_samples, hop):
    """Frames of the roll that cover so many samples."""
    return -(-num_samples // hop)


def roll(table, start_frame, frames, roll_rate, decays=False):
    """The roll that conditions a WaveNet.

    Args:
        table: A `NoteTable`.
        start_frame: First frame, on the grid that begins with the performance; may be negative.
        frames: How many.
        roll_rate: Frames per second.
        decays: Whether what sounds dies away as `decayed` says.

    Returns:
        float32 `[frames, 176]`: velocities in the frames that hold an onset, 88 keys; velocities of
        what sounds, pedals applied, 88 keys. Frame `f` covers samples `f * hop` to `(f + 1) * hop`.
    """
    values = piano_roll.roll(table, start_frame / roll_rate, frames, roll_rate)[:, :ROLL_FEATURES]
    if not decays:
        return values
    onset = piano_roll.frame_of(table.onset_secs, roll_rate) - start_frame
    before = np.full(piano_roll.NUM_KEYS, -np.inf)
    np.maximum.at(before, table.key[onset < 0], onset[onset < 0])
    return decayed(values, roll_rate, before)


def decayed(values, roll_rate, before=0, xp=np):
    """A roll in which what sounds dies away from its onset as strings do, more or less.

    A model that makes sound of it need not remember when each key was struck. Real pianos differ
    from these decays by far less than from none: `DECAY_SECS`, to 1/e, from the lowest key to the
    highest.

    Args:
        values: `[..., frames, 176]` from `roll`.
        roll_rate: Frames per second.
        before: Frames, negative, at which keys were struck that sound from the beginning, `[88]`;
            0 takes the first for all.
        xp: See `arrays`.

    Returns:
        float32 `[..., frames, 176]`; what sounds is never 0.
    """
    onsets, sounding = values[..., :piano_roll.NUM_KEYS], values[..., piano_roll.NUM_KEYS:]
    struck = xp.swapaxes(onsets > 0, -1, -2)
    row = xp.reshape(struck, (-1,))  # one key behind the other
    place = xp.arange(xp.size(row))
    latest = xp.concatenate([xp.asarray([-1]), xp.flatnonzero(row)])
    since = place - xp.take(latest, xp.cumsum(xp.asarray(row, np.int32)))
    since = xp.reshape(xp.asarray(since, np.float32), xp.shape(struck))
    frame = xp.asarray(xp.arange(xp.shape(values)[-2]), np.float32)
    rates, before = (np.reshape(value, (-1, 1)).astype(np.float32)
                     for value in (-1 / (decay_secs() * roll_rate), before))
    ages = xp.where(since > frame, frame - before, since)
    shares = xp.maximum(xp.exp(ages * rates), MIN_DECAYED)
    return xp.concatenate([onsets, sounding * xp.swapaxes(shares, -1, -2)], axis=-1)


def decay_secs():
    """Time in which each key's sound falls to 1/e in `decayed`, seconds, `[88]`."""
    return np.geomspace(*DECAY_SECS, piano_roll.NUM_KEYS)


def table_of_roll(values, roll_rate):
    """The notes that begin in a roll, to its frames' precision: a `NoteTable`.

    Args:
        values: `[frames, 176]` from `roll`.
        roll_rate: Frames per second.
    """
    onsets = values[:, :piano_roll.NUM_KEYS]
    sounding = values[:, piano_roll.NUM_KEYS:] > 0
    frame, key = np.nonzero(onsets > 0)
    last = np.full((len(values) + 1, piano_roll.NUM_KEYS), len(values))
    for i in range(len(values) - 1, -1, -1):
        # A note ends where its key is silent or struck again.
        last[i] = np.where(sounding[i], last[i + 1], i)
        last[i] = np.where((onsets[i] > 0) & sounding[i], i, last[i])
    end = np.maximum(last[frame + 1, key], frame + 1) / roll_rate
    return piano_roll.NoteTable(key.astype(np.int32), onsets[frame, key].astype(np.float32),
                                frame / roll_rate, end, end)


def at_level(audio):
    """A recording at the level of those a WaveNet is trained on; silence is given back as it is.

    Args:
        audio: An `Audio`; beyond full scale it is clipped, as the training data are.
    """
    level = audio_lib.sounding_rms_db(audio)
    if level <= audio_lib.LOUDNESS_FLOOR_DB:
        return audio
    gain = np.float32(10 ** ((LEVEL_DB - level) / 20))
    return audio_lib.Audio(np.clip(audio.samples * gain, -1, 1), audio.sample_rate)


def style_vectors(clips, sample_rate):
    """What `piano_ddsp`'s audio encoder says of pianos; see `style_model`.

    Args:
        clips: Recordings, arrays `[samples]` of any one length, as long as each other.
        sample_rate: Their rate, Hz. A WaveNet's own: what lies above half of it must not be known
            in training and unknown later, or the other way round.

    Returns:
        float32 `[clips, style_size]`.
    """
    model = style_model()
    found = []
    for first in range(0, len(clips), STYLE_BATCH):
        batch = [audio_lib.resample(audio_lib.Audio(clip, sample_rate), model.sample_rate).samples
                 for clip in clips[first:first + STYLE_BATCH]]
        found.append(np.asarray(model.encode_style(np.stack(batch)), np.float32))
    return np.concatenate(found)


@functools.cache
def style_model():
    """The package's `piano_ddsp`, which tells WaveNets with a `global_size` of pianos.

    It is loaded once, and says so: a WaveNet understands the encoder it was trained with only.
    """
    from style_transfer import weights

    model = weights.load()
    files.say(f"style vectors are made by the audio encoder of {model.weights_name}, which a "
              "WaveNet must have been trained with")
    return model
