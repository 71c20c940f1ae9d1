"""What a transcription model learns to say about a window of a performance.

Two kinds: smooth labels, which know the exact times of onsets and offsets, and Magenta's, which
are 1 in the frames that hold them.
"""

import math

import numpy as np

from style_transfer import piano_roll

SMOOTH_HALF_WIDTH = 2.0  # frames from the top of a smooth onset or offset to its foot
ROLLS = ("onset", "offset", "frame", "velocity")
SMOOTH_ROLLS = (*ROLLS, "key")
MAGENTA_ROLLS = (*ROLLS, "frame_weight")
MAX_VELOCITY = 127
LEAD_SECS = 0.2  # beyond any onset length or delay: how far outside a window a note can matter


def smooth_labels(table: piano_roll.NoteTable, start_secs: float, num_frames: int,
                  frames_per_second: float) -> dict[str, np.ndarray]:
    """Labels for `HarmonicTranscriber`.

    Args:
        table: The performance.
        start_secs: Time of frame 0 in it.
        num_frames: Length of the window.
        frames_per_second: Rate of the frames; frame `n` is at `start_secs + n / rate`.

    Returns:
        A dict of float32 `[num_frames, 88]` in [0, 1]: `onset` and `offset`, which fall linearly
        from 1 at the exact time to 0 two frames away; `frame`, 1 while the string sounds (until
        it is damped); `key`, 1 while the key is held; `velocity`, where `onset` is above 0, of
        the note that it is of. And `pedal`, float32 `[num_frames, 1]`, 1 where the sustain pedal
        is down.
    """
    last = num_frames - 1 + SMOOTH_HALF_WIDTH
    onset, release, damped = ((secs - start_secs) * frames_per_second for secs in
                              (table.onset_secs, table.release_secs, table.damped_secs))
    near = (onset < last) & (np.maximum(damped, release) > -SMOOTH_HALF_WIDTH)
    onset, release, damped = onset[near], release[near], damped[near]
    key, velocity = table.key[near], table.velocity[near]
    labels = {name: np.zeros((num_frames, piano_roll.NUM_KEYS), np.float32)
              for name in SMOOTH_ROLLS}
    frame, row, height = _triangles(onset, num_frames)
    labels["onset"][frame, key[row]] = height
    labels["velocity"][frame, key[row]] = velocity[row]
    frame, row, height = _triangles(damped, num_frames)
    labels["offset"][frame, key[row]] = height
    labels["frame"][:] = _spans(onset, damped, key, num_frames)
    labels["key"][:] = _spans(onset, np.minimum(release, damped), key, num_frames)
    times = start_secs + np.arange(num_frames) / frames_per_second
    position = table.pedals.at(times)[:, :1]
    labels["pedal"] = (position >= piano_roll.PEDAL_DOWN / MAX_VELOCITY).astype(np.float32)
    return labels


def _triangles(centre, num_frames):
    """Frames near each centre, which centre it is, and the height there; low ones first.

    Where two triangles of a key meet, the higher one is later and so is what an assignment keeps.
    """
    width = int(np.ceil(SMOOTH_HALF_WIDTH))
    frame = np.floor(centre)[:, None].astype(np.int64) + np.arange(1 - width, width + 1)
    height = 1 - np.abs(frame - centre[:, None]) / SMOOTH_HALF_WIDTH
    row, _ = np.nonzero(used := (height > 0) & (frame >= 0) & (frame < num_frames))
    frame, height = frame[used], height[used]
    order = np.argsort(height, kind="stable")
    return frame[order], row[order], height[order]


def _spans(start, end, key, num_frames):
    """Boolean `[num_frames, 88]`: between the frames nearest to a start and an end of the key."""
    first, last = (np.clip(np.rint(place), 0, num_frames).astype(np.int64)
                   for place in (start, end))
    edges = np.zeros((num_frames + 1, piano_roll.NUM_KEYS), np.int16)
    np.add.at(edges, (first, key), 1)
    np.add.at(edges, (np.maximum(last, first), key), -1)
    return np.cumsum(edges[:num_frames], axis=0, dtype=np.int16) > 0


def sustained(sequence):
    """The sequence with the sustain pedal applied to its notes, as Magenta's labels need it."""
    from note_seq import sequences_lib

    return sequences_lib.apply_sustain_control_changes(sequence)


def magenta_labels(sequence, start_secs: float, num_frames: int, frames_per_second: float,
                   max_velocity: int = MAX_VELOCITY, *, onset_length: float = 32,
                   offset_length: float = 32, onset_mode: str = "length_ms",
                   onset_delay: float = 0, min_frame_occupancy_for_label: float = 0.0,
                   ) -> dict[str, np.ndarray]:
    """Labels for `OnsetsFrames`, by note-seq.

    Args:
        sequence: A NoteSequence from `sustained`.
        start_secs: Time of frame 0 in it.
        num_frames: Length of the window.
        frames_per_second: Rate of the frames; frame `n` begins at `start_secs + n / rate`.
        max_velocity: Loudest MIDI velocity of the performance, the unit of `velocity`.
        onset_length: Length of an onset, ms.
        offset_length: Length of an offset, ms.
        onset_mode: `length_ms` or `window`.
        onset_delay: How much later than the notes onsets are, ms.
        min_frame_occupancy_for_label: What part of a frame a note must fill.

    Returns:
        A dict of float32 `[num_frames, 88]`: `onset`, `offset` and `frame`, 0 or 1; `velocity`,
        in [0, 1] where `onset` is 1; and `frame_weight`, how much a frame may weigh in a loss. All
        are 0 from the end of the sequence on.

    Source: `sequence_to_pianoroll_op` of Magenta's onsets_frames_transcription/data.py.
    """
    from note_seq import sequences_lib

    window, lead_frames = _window(sequence, start_secs, num_frames, frames_per_second)
    roll = sequences_lib.sequence_to_pianoroll(
        window, frames_per_second=frames_per_second, min_pitch=piano_roll.LOWEST_PITCH,
        max_pitch=piano_roll.LOWEST_PITCH + piano_roll.NUM_KEYS - 1, max_velocity=max_velocity,
        onset_length_ms=onset_length, offset_length_ms=offset_length, onset_mode=onset_mode,
        onset_delay_ms=onset_delay, min_frame_occupancy_for_label=min_frame_occupancy_for_label)
    rolls = {"onset": roll.onsets, "offset": roll.offsets, "frame": roll.active,
             "velocity": roll.onset_velocities, "frame_weight": roll.weights}
    return {name: _lasting(value[lead_frames:], num_frames) for name, value in rolls.items()}


def _window(sequence, start_secs, num_frames, frames_per_second):
    """The notes that sound in a window, whole, and how many frames they begin before it."""
    secs = num_frames / frames_per_second
    if start_secs == 0 and sequence.total_time <= secs:
        return sequence, 0
    notes = [note for note in sequence.notes if not note.is_drum
             and note.start_time < start_secs + secs + LEAD_SECS
             and note.end_time > start_secs - LEAD_SECS]
    first = min([start_secs, *(note.start_time for note in notes)])
    lead_frames = math.ceil((start_secs - first) * frames_per_second)
    shift = lead_frames / frames_per_second - start_secs
    window = type(sequence)()
    for note in notes:
        window.notes.add(start_time=note.start_time + shift, end_time=note.end_time + shift,
                         pitch=note.pitch, velocity=note.velocity)
    last = max([start_secs, *(note.end_time for note in notes)])
    window.total_time = min(max(last + LEAD_SECS, start_secs + secs), sequence.total_time) + shift
    return window, lead_frames


def _lasting(roll, num_frames):
    return np.pad(roll[:num_frames], ((0, max(0, num_frames - len(roll))), (0, 0)))
