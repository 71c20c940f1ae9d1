"""The musaicing sampler: the content played with notes cut out of the style clip.

A strong rival, as every sample really is the style's piano; what it lacks is all the keys and
velocities that the clip does not contain, and notes that sound alone.
"""

import dataclasses

import numpy as np

from style_transfer import audio as audio_lib

LEAD_SECS = 0.005
DAMPER_SECS = 0.03
TAIL_SECS = 0.15
VELOCITY_EXPONENT = 2.0
SEMITONES_PER_COMPANION = 1.0
SEMITONES_PER_MISSING_OCTAVE = 2.0
SEMITONES_PER_VELOCITY_OCTAVE = 4.0
CHORD_SECS = 0.05


@dataclasses.dataclass(frozen=True)
class Choice:
    """What plays one note of the content: note `source` of the clip, `semitones` higher."""

    source: int
    semitones: int
    gain: float


def musaic(content, style, style_notes, num_samples, sample_rate):
    """Plays `content` with the notes of a style clip.

    Args:
        content: The `NoteTable` to play.
        style: The style clip, an `Audio`.
        style_notes: The clip's own `NoteTable`.
        num_samples: Length of the output.
        sample_rate: Rate of the output, samples per second.

    Returns:
        An `Audio`: onsets where the content has them, pitch by resampling, level by velocity
        squared, each note damped when the content's is (or where its own source ends).

    Raises:
        ValueError: The clip has no notes to cut.
    """
    clip = audio_lib.resample(style, sample_rate)
    style_notes = style_notes.select(style_notes.onset_secs < clip.duration_secs - TAIL_SECS)
    if not len(style_notes):
        raise ValueError(f"The style's note list has no note within the clip's "
                         f"{clip.duration_secs:.2f} s: there is nothing to cut. Check that the "
                         "list belongs to the clip.")
    lead = int(LEAD_SECS * sample_rate)
    out = np.zeros(num_samples + lead, np.float32)
    for i, choice in enumerate(choices(content, style_notes, clip.duration_secs)):
        secs = content.damped_secs[i] - content.onset_secs[i]
        note = choice.gain * _cut(clip, style_notes, choice, secs)
        start = round(content.onset_secs[i] * sample_rate)
        first = max(0, -start)  # a note that began before the excerpt
        room = out[start + first:start + len(note)]
        room += note[first:first + len(room)]
    return audio_lib.Audio(out[lead:], sample_rate)


def choices(content, style_notes, clip_secs):
    """For each note of the content the note of the clip that plays it.

    The nearest in pitch; a semitone is given up for each other note struck with a source
    within 50 ms, two for each halving by which it is too short, four for each doubling or halving
    of its velocity. These weights were chosen to make the sampler as strong as it gets.

    Returns:
        A list of `Choice`, one per content note.
    """
    lengths = np.minimum(style_notes.damped_secs, clip_secs) - style_notes.onset_secs
    apart = np.abs(style_notes.onset_secs[:, None] - style_notes.onset_secs[None])
    companions = np.sum(apart < CHORD_SECS, axis=1) - 1
    result = []
    for key, velocity, onset, damped in zip(content.key, content.velocity, content.onset_secs,
                                            content.damped_secs, strict=True):
        semitones = int(key) - style_notes.key
        needed = (damped - onset) * 2 ** (semitones / 12)
        missing = np.maximum(0, np.log2(np.maximum(needed, 1e-3) / np.maximum(lengths, 1e-3)))
        cost = (np.abs(semitones) + SEMITONES_PER_COMPANION * companions
                + SEMITONES_PER_MISSING_OCTAVE * missing
                + SEMITONES_PER_VELOCITY_OCTAVE * np.abs(np.log2(velocity / style_notes.velocity)))
        best = int(np.argmin(cost))
        gain = float((velocity / style_notes.velocity[best]) ** VELOCITY_EXPONENT)
        result.append(Choice(best, int(semitones[best]), gain))
    return result


def _cut(clip, style_notes, choice, secs):
    """The source note from 5 ms before its onset, re-pitched, damped after `secs`."""
    import soxr

    rate, ratio = clip.sample_rate, 2 ** (choice.semitones / 12)
    onset = style_notes.onset_secs[choice.source]
    own_secs = min(style_notes.damped_secs[choice.source] + TAIL_SECS, clip.duration_secs) - onset
    wanted_secs = min((secs + TAIL_SECS) * ratio, own_secs)
    start = round((onset - LEAD_SECS * ratio) * rate)
    piece = clip.samples[max(start, 0):round((onset + wanted_secs) * rate)]
    piece = np.pad(piece, (max(0, -start), 0))
    piece = soxr.resample(piece, rate * ratio, rate)
    return piece * _envelope(len(piece), min(secs, own_secs / ratio - TAIL_SECS), rate)


def _envelope(num_samples, secs, rate):
    """Rises over the lead, falls exponentially once the damper touches, ends at zero."""
    t = np.arange(num_samples) / rate - LEAD_SECS
    rise = np.clip((t + LEAD_SECS) / LEAD_SECS, 0, 1)
    damped = np.exp(-np.maximum(t - secs, 0) / DAMPER_SECS)
    ending = np.clip((num_samples / rate - LEAD_SECS - t) / LEAD_SECS, 0, 1)
    return (rise * damped * ending).astype(np.float32)
