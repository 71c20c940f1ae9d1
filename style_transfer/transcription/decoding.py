"""From the probabilities of `HarmonicTranscriber` to notes and pedal."""

import typing

import numpy as np

from style_transfer.arrays import following
from style_transfer.piano_roll import LOWEST_PITCH
from style_transfer.transcription.thresholds import Thresholds

SUSTAIN_CONTROL = 64
PEDAL_HYSTERESIS = 0.1
TICKS_PER_QUARTER = 480
# What all velocities of a recording are off by, of 60 recordings of a piano that was left out of
# training, and the mean velocities of performances, of 100 excerpts of 10 s.
VELOCITY_SHIFT_STD = 0.13
MUSIC_VELOCITY, MUSIC_VELOCITY_STD = 0.43, 0.085


class Heard(typing.NamedTuple):
    """What was heard; times float64, seconds, velocities 1 to 127.

    `pedal_secs` has the times at which the sustain pedal goes down and up in turn, `total_secs` is
    the length of a sequence of it.
    """

    pitch: typing.Any
    velocity: typing.Any
    onset_secs: typing.Any
    release_secs: typing.Any
    pedal_secs: typing.Any
    total_secs: typing.Any


def decode(outputs, frames_per_second, onset_threshold=0.35, frame_threshold=0.5,
           offset_threshold=0.5, pedal_threshold=0.5, key_threshold=0.5, min_note_secs=0.03):
    """A NoteSequence of what the model heard.

    A note begins at a peak of `onset`. Its string sounds until `frame` falls under its threshold,
    `offset` peaks, or the key is struck again. Where the pedal is down, the note ends when the key
    seems to be released (`key`), as in a performance's own MIDI; elsewhere both are the same.

    Args:
        outputs: Probabilities `onset`, `offset`, `frame`, `key` `[frames, 88]`, `pedal`
            `[frames, 1]`, and `velocity` `[frames, 88]` in [0, 1].
        frames_per_second: Rate of the frames, Hz.
        onset_threshold: See `Thresholds`, as the following.
        frame_threshold: Of going on to sound.
        offset_threshold: Of the end of a note.
        pedal_threshold: Of the pedal.
        key_threshold: Of going on to be held.
        min_note_secs: Least length of what sounds.

    Returns:
        A NoteSequence with notes and sustain pedal (control 64).

    Raises:
        ValueError: An output is missing or of another shape.
    """
    limits = Thresholds(onset_threshold, frame_threshold, offset_threshold, key_threshold,
                        pedal_threshold, min_note_secs)
    _check(outputs)
    heard = hear(outputs, frames_per_second, limits)
    sequence = _empty_sequence(float(heard.total_secs))
    for pitch, velocity, start, end in zip(*(column.tolist() for column in heard[:4]),
                                           strict=True):
        sequence.notes.add(pitch=pitch, velocity=velocity, start_time=start, end_time=end)
    for i, time in enumerate(heard.pedal_secs.tolist()):
        sequence.control_changes.add(time=time, control_value=0 if i % 2 else 127,
                                     control_number=SUSTAIN_CONTROL)
    return sequence


def hear(outputs, frames_per_second, limits, xp=np):
    """The notes that `decode` describes, as arrays.

    Args:
        outputs: As of `decode`.
        frames_per_second: Rate of the frames, Hz.
        limits: `Thresholds`.
        xp: See `arrays`.

    Returns:
        A `Heard`, sorted by onset, then by pitch.
    """
    num_frames, num_keys = xp.size(outputs["pedal"]), outputs["onset"].shape[1]
    row = num_frames + 1  # of a key: its frames and the end, in which nothing sounds
    key, frame, onset = _peaks(outputs["onset"], limits.onset, xp)
    last = xp.asarray(num_frames, float)
    again = xp.where(following(key, -1, xp) == key, following(onset, 0.0, xp), last)
    # The frame head may lag behind the onset head by a frame.
    start = key * row + xp.minimum(frame + 2, num_frames)
    stop = xp.minimum(_first_below(outputs["frame"], limits.frame, start, row, xp), again)
    end_key, end_frame, end = _peaks(outputs["offset"], limits.offset, xp)
    place = xp.searchsorted(end_key * row + end_frame, key * row + frame + 2)
    end_key, end = (xp.concatenate([column, xp.asarray([-1], column.dtype)])
                    for column in (end_key, end))
    stop = xp.where(xp.take(end_key, place) == key, xp.minimum(stop, xp.take(end, place)), stop)
    least = limits.min_note_secs * frames_per_second
    released = _first_below(outputs["key"], limits.key, start, row, xp)
    release = xp.minimum(xp.maximum(released, onset + least), stop)
    downs, ups = (xp.asarray(edges, float) for edges in
                  pedal_spans(outputs["pedal"][:, 0], limits.pedal, xp))
    span = xp.searchsorted(downs, release, side="right") - 1
    up = xp.take(xp.concatenate([ups, xp.asarray([0.0])]), xp.maximum(span, 0))
    release = xp.where((span >= 0) & (release < up), release, stop)
    velocity = xp.asarray(xp.take(outputs["velocity"], frame * num_keys + key), float)
    velocity = xp.asarray(xp.clip(xp.round(velocity * 127), 1, 127), np.int32)
    kept = xp.flatnonzero(stop - onset >= least)
    kept = xp.take(kept, xp.lexsort((xp.take(key, kept), xp.take(onset, kept))))
    key, velocity, onset, release = (
        xp.take(column, kept) for column in (key, velocity, onset, release))
    pedal = xp.reshape(xp.stack([downs, ups], axis=1), (-1,))
    silent = xp.where(xp.size(key) == 0, last, -np.inf)
    total = xp.max(xp.concatenate([release, xp.reshape(silent, (1,))]))
    return Heard(xp.asarray(key + LOWEST_PITCH, np.int32), velocity, onset / frames_per_second,
                 release / frames_per_second, pedal / frames_per_second,
                 total / frames_per_second)


def as_in_music(velocity, rolls, xp=np):
    """Velocities of a recording moved alike, their mean to where it is likeliest.

    What is likely of performances counts by `MUSIC_VELOCITY_STD`, what was heard by
    `VELOCITY_SHIFT_STD`.

    Args:
        velocity: Of the notes, int `[notes]`, 1 to 127.
        rolls: Of all frames and keys, `[frames, 88]` in [0, 1].
        xp: See `arrays`.

    Returns:
        Both, moved.
    """
    music, error = MUSIC_VELOCITY_STD ** 2, VELOCITY_SHIFT_STD ** 2
    heard = xp.asarray(velocity, float)
    mean = xp.sum(heard) / xp.asarray(xp.maximum(xp.size(velocity), 1), float) / 127
    shift = (MUSIC_VELOCITY - mean) * (error / (music + error))
    moved = xp.asarray(xp.clip(xp.round(heard + 127 * shift), 1, 127), np.int32)
    shifted = xp.asarray(rolls, np.float32) + xp.asarray(shift, np.float32)
    return moved, xp.asarray(xp.clip(shifted, 1 / 127, 1.0), rolls.dtype)


def _peaks(probabilities, threshold, xp):
    """Local maxima, and where between frames the peak of a triangle through them lies.

    Args:
        probabilities: Shape `[frames, keys]`.
        threshold: Least height.
        xp: See `arrays`.

    Returns:
        `(keys, frames, positions)`, `[peaks]` each, by key, then by frame: int, int, and float
        within half a frame of them.
    """
    padded = xp.pad(xp.swapaxes(xp.asarray(probabilities, np.float32), -1, -2), ((0, 0), (1, 1)))
    before, here, after = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    is_peak = (here >= threshold) & (here >= before) & (here > after)
    key, frame = xp.nonzero(is_peak)
    before, here, after = (xp.asarray(value[is_peak], float) for value in (before, here, after))
    height = xp.maximum(here - xp.minimum(before, after), 1e-9)
    shift = xp.clip(0.5 * (after - before) / height, -0.5, 0.5)
    return key, frame, xp.asarray(frame, float) + shift


def _first_below(probabilities, threshold, start, row, xp):
    """First frame, from `start` (an index into rows of keys) on, that is under a threshold."""
    below = xp.pad(xp.swapaxes(probabilities < threshold, -1, -2), ((0, 0), (0, 1)),
                   constant_values=True)
    below = xp.reshape(below, (-1,))
    begins = xp.flatnonzero(below[1:] & ~below[:-1]) + 1
    begins = xp.concatenate([begins, xp.asarray([-1])])
    found = xp.where(xp.take(below, start), start,
                     xp.take(begins, xp.searchsorted(begins[:-1], start)))
    return xp.asarray(found % row, float)


def pedal_spans(probabilities, threshold, xp=np):
    """When the pedal is down, with hysteresis so that it does not flutter.

    Args:
        probabilities: Shape `[frames]`.
        threshold: It goes down above, and up `PEDAL_HYSTERESIS` below.
        xp: See `arrays`.

    Returns:
        First frames, and frames after the last, int `[spans]` each.
    """
    low, no = probabilities >= threshold - PEDAL_HYSTERESIS, xp.asarray([False])
    change = xp.concatenate([low, no]) != xp.concatenate([no, low])
    first, after = (xp.flatnonzero(change)[side::2] for side in (0, 1))
    sure = xp.asarray(xp.asarray(probabilities, np.float32) >= threshold, int)
    seen = xp.concatenate([xp.asarray([0]), xp.cumsum(sure)])
    is_down = xp.take(seen, after) > xp.take(seen, first)
    return first[is_down], after[is_down]


def _empty_sequence(secs):
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence(ticks_per_quarter=TICKS_PER_QUARTER, total_time=secs)
    sequence.tempos.add(qpm=120.0)
    sequence.source_info.encoding_type = music_pb2.NoteSequence.SourceInfo.UNKNOWN_ENCODING_TYPE
    return sequence


def _check(outputs):
    missing = {"onset", "offset", "frame", "key", "velocity", "pedal"} - set(outputs)
    if missing:
        raise ValueError(f"The outputs lack {', '.join(sorted(missing))}; a model without them "
                         "(Magenta's) is decoded by magenta_decoding.")
    num_frames = len(outputs["onset"])
    for name, values in outputs.items():
        if len(values) != num_frames or values.ndim != 2:
            raise ValueError(f"{name} has the shape {values.shape}, expected ({num_frames}, keys).")
