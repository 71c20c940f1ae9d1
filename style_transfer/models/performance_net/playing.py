"""Pieces of any length played part by part, and a vocoder's audio of them."""

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.models.performance_net.net import ROLL_FRAMES
from style_transfer.signal import log_mel as log_mel_lib
from style_transfer.spectrograms import vocoding

STYLE_LEVEL_DB = -25.0  # RMS of clips
SPECTROGRAM_SAMPLES = 8 * log_mel_lib.SAMPLE_RATE
PART_GRAINS = 32


def style_of(model, clip):
    """What a model reads of a clip, an `Audio` at its rate: NumPy, one of a batch."""
    samples = heard(model, audio_lib.at_loudness(clip, STYLE_LEVEL_DB).samples)
    return np.asarray(model.encode_style(samples[None]))


def heard(model, samples, xp=np):
    """What of a clip `[num_samples]` a model hears: all of it, or as much as it was trained with.

    A clip that is shorter is repeated.
    """
    if model.style == "vector":
        return samples
    return xp.take(samples, xp.arange(SPECTROGRAM_SAMPLES) % xp.size(samples))


def parts_of(frames, grain, margin, size):
    """How a piece is cut.

    Args:
        frames: Of the roll, a multiple of `grain`.
        grain: Parts begin and end at multiples of it.
        margin: Frames around a part that it depends on.
        size: Frames of a part, a multiple of `grain`.

    Yields:
        First and last frame that are made, and that are read for it.
    """
    margin = -(-margin // grain) * grain
    for first in range(0, frames, size):
        last = min(first + size, frames)
        yield first, last, max(0, first - margin), min(frames, last + margin)


def log_mel_of(model, table, frames, style, progress=None):
    """The spectrogram of a piece.

    Args:
        model: A `PerformanceNet`.
        table: The `NoteTable`.
        frames: Of the roll.
        style: From `style_of`.
        progress: Called with frames that are done, and all.

    Returns:
        NumPy, `[frames / ROLL_FRAMES, NUM_BANDS]`, rounded up.
    """
    grain, found = model.grain, []
    padded = -(-frames // grain) * grain
    for first, last, begin, end in parts_of(padded, grain, model.reach, PART_GRAINS * grain):
        roll = piano_roll.keys_roll(table, begin, end - begin, model.roll_rate, decays=True)
        told = style_at(style, begin // ROLL_FRAMES, len(roll) // ROLL_FRAMES)
        made = np.asarray(model({"roll": roll[None], "style": told}))[0]
        found.append(made[(first - begin) // ROLL_FRAMES:(last - begin) // ROLL_FRAMES])
        if progress:
            progress(min(last, frames), frames)
    return np.concatenate(found)[:-(-frames // ROLL_FRAMES)]


def style_at(style, first, count, xp=np):
    """Of a spectrogram the frames that stand beside a part of a piece; of a vector all of it."""
    if len(style.shape) == 2:
        return style
    return xp.take(style, (first + xp.arange(count)) % style.shape[1], axis=1)


def play(model, table, frames, style, progress=None):
    """Audio of a piece on the piano of a clip; arguments as for `log_mel_of`."""
    log_mel = log_mel_of(model, table, frames, style, progress)
    samples = vocoding.audio_of(log_mel).samples
    return audio_lib.Audio(samples[:frames * (model.sample_rate // model.roll_rate)],
                           model.sample_rate)
