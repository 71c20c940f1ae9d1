"""What WaveNets read, made the same way for training and for generation."""

import functools

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll

LEVEL_DB = -20.0  # RMS of the sounding parts of a piano's recordings, dB full scale
STYLE_LEVEL_DB = -25.0  # RMS of clips that tell of a piano
STYLE_BATCH = 16


def num_frames(num_samples, hop):
    """Frames of the roll that cover so many samples."""
    return -(-num_samples // hop)


def table_of_roll(values, roll_rate):
    """The notes that begin in a roll, to its frames' precision: a `NoteTable`.

    Args:
        values: `[frames, 176]` from `piano_roll.keys_roll`.
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
