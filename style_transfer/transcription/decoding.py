"""From the probabilities of `HarmonicTranscriber` to notes and pedal."""

import numpy as np

from style_transfer.piano_roll import LOWEST_PITCH
from style_transfer.transcription.thresholds import Thresholds

SUSTAIN_CONTROL = 64
PEDAL_HYSTERESIS = 0.1
TICKS_PER_QUARTER = 480


def peaks(probabilities, threshold):
    """Local maxima, and where between frames the peak of a triangle through them lies.

    Args:
        probabilities: Shape `[frames]`.
        threshold: Least height.

    Returns:
        `(frames, positions)`: int `[peaks]`, and float `[peaks]` within half a frame of them.
    """
    padded = np.pad(np.asarray(probabilities, np.float64), 1)
    before, here, after = padded[:-2], padded[1:-1], padded[2:]
    frames = np.flatnonzero((here >= threshold) & (here >= before) & (here > after))
    before, here, after = before[frames], here[frames], after[frames]
    height = np.maximum(here - np.minimum(before, after), 1e-9)
    return frames, frames + np.clip(0.5 * (after - before) / height, -0.5, 0.5)


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
    num_frames = _check(outputs)
    pedal = pedal_spans(outputs["pedal"][:, 0], limits.pedal)
    sequence = _empty_sequence(num_frames / frames_per_second)
    for key in range(outputs["onset"].shape[1]):
        for onset, release, velocity in _notes_of_key(outputs, key, limits, pedal,
                                                      frames_per_second):
            sequence.notes.add(
                pitch=LOWEST_PITCH + key, velocity=int(np.clip(round(velocity * 127), 1, 127)),
                start_time=onset / frames_per_second, end_time=release / frames_per_second)
    sequence.notes.sort(key=lambda note: (note.start_time, note.pitch))
    for start, stop in pedal:
        for frame, value in ((start, 127), (stop, 0)):
            sequence.control_changes.add(time=frame / frames_per_second, control_value=value,
                                         control_number=SUSTAIN_CONTROL)
    if sequence.notes:
        sequence.total_time = max(note.end_time for note in sequence.notes)
    return sequence


def pedal_spans(probabilities, threshold):
    """Frames in which the pedal is down, with hysteresis so that it does not flutter.

    Args:
        probabilities: Shape `[frames]`.
        threshold: It goes down above, and up `PEDAL_HYSTERESIS` below.

    Returns:
        List of `(first frame, frame after the last)`.
    """
    low = np.asarray(probabilities) >= threshold - PEDAL_HYSTERESIS
    edges = np.flatnonzero(np.diff(np.pad(low.astype(np.int8), 1)))
    spans = edges.reshape(-1, 2)
    return [(int(a), int(b)) for a, b in spans if np.max(probabilities[a:b]) >= threshold]


def _notes_of_key(outputs, key, limits, pedal, frames_per_second):
    frames, onsets = peaks(outputs["onset"][:, key], limits.onset)
    if not len(frames):
        return
    num_frames = len(outputs["onset"])
    silent = np.flatnonzero(np.pad(outputs["frame"][:, key] < limits.frame, (0, 1),
                                   constant_values=True))
    up = np.flatnonzero(np.pad(outputs["key"][:, key] < limits.key, (0, 1), constant_values=True))
    end_frames, ends = peaks(outputs["offset"][:, key], limits.offset)
    least = limits.min_note_secs * frames_per_second
    following = np.append(onsets[1:], num_frames)
    for frame, onset, after in zip(frames, onsets, following, strict=True):
        # The frame head may lag behind the onset head by a frame.
        stop = min(_first(silent, frame + 2), after)
        place = np.searchsorted(end_frames, frame + 2)
        if place < len(ends):
            stop = min(stop, ends[place])
        if stop - onset < least:
            continue
        release = min(max(_first(up, frame + 2), onset + least), stop)
        if not any(first <= release < last for first, last in pedal):
            release = stop
        yield onset, release, float(outputs["velocity"][frame, key])


def _first(frames, start):
    return frames[min(np.searchsorted(frames, start), len(frames) - 1)]


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
    return num_frames
