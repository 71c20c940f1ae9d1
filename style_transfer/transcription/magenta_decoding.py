"""From the probabilities of `OnsetsFrames` to notes, as Magenta does."""

import numpy as np

from style_transfer.piano_roll import LOWEST_PITCH, NUM_KEYS

ONSETS_ONLY_SECS = 0.05
DEFAULT_VELOCITY = 70


def viterbi_roll(frame_probs, onset_probs, alpha: float = 0.5):
    """The most probable course of each key through off and on.

    A key that turns on pays for an onset, and one that does not for none; both pay for the frame.

    Args:
        frame_probs: Shape `[frames, 88]`.
        onset_probs: Shape `[frames, 88]`.
        alpha: Weight of the onsets, in [0, 1]; the frames have the rest.

    Returns:
        Booleans `[frames, 88]`.

    Source: `infer_util.probs_to_pianoroll_viterbi` of Magenta 2.1.4, which needs NumPy before 1.24.
    """
    with np.errstate(divide="ignore"):  # certainty costs nothing, its opposite everything
        frame_costs = (1 - alpha) * -np.log(np.stack([1 - frame_probs, frame_probs]))
        no_onset_costs, onset_costs = alpha * -np.log(np.stack([1 - onset_probs, onset_probs]))
    came_from = np.zeros((len(frame_probs), 2, frame_probs.shape[1]), bool)
    off = frame_costs[0, 0].astype(np.float64) + no_onset_costs[0]
    on = frame_costs[1, 0].astype(np.float64) + onset_costs[0]
    for t in range(1, len(frame_probs)):
        to_off = off + no_onset_costs[t], on + no_onset_costs[t]
        to_on = off + onset_costs[t], on + no_onset_costs[t]
        came_from[t] = to_off[1] < to_off[0], to_on[1] < to_on[0]
        off = np.minimum(*to_off) + frame_costs[0, t]
        on = np.minimum(*to_on) + frame_costs[1, t]
    roll = np.zeros(frame_probs.shape, bool)
    if len(roll):
        roll[-1] = on < off
    for t in range(len(roll) - 1, 0, -1):
        roll[t - 1] = np.where(roll[t], came_from[t, 1], came_from[t, 0])
    return roll


def decode(outputs, frames_per_second, onset_threshold=0.5, frame_threshold=0.5,
           offset_threshold=0.0, min_note_secs=0.0, *, onsets_only=False, viterbi_alpha=None,
           velocity_scale=80.0, velocity_bias=10.0, default_velocity=DEFAULT_VELOCITY):
    """A NoteSequence of what the model heard; the defaults are Magenta's.

    A note begins at an onset and sounds as long as its frames.

    Args:
        outputs: Probabilities `onset`, `frame` and, if used, `offset`, `[frames, 88]`; `velocity`
            `[frames, 88]` or none.
        frames_per_second: Rate of the frames, Hz.
        onset_threshold: Above it an onset is heard; with 0 a note needs no onset.
        frame_threshold: Above it a frame sounds.
        offset_threshold: Above it a note ends even though its frames go on; with 0 never.
        min_note_secs: Shorter notes are left out.
        onsets_only: Whether every frame of an onset is a note of `ONSETS_ONLY_SECS`.
        viterbi_alpha: Weight of the onsets in `viterbi_roll`, which then takes the place of the
            thresholds; None for thresholds.
        velocity_scale: MIDI velocity that 1 is above 0.
        velocity_bias: MIDI velocity of 0.
        default_velocity: MIDI velocity where there are no onsets or velocities.

    Returns:
        A NoteSequence.

    Raises:
        ValueError: An output is missing or of another shape, or the settings contradict.

    Source: `infer_util.predict_sequence` of Magenta 2.1.4; notes are made by note-seq.
    """
    onset, frame = _roll(outputs, "onset"), _roll(outputs, "frame")
    if not len(frame):
        raise ValueError("There are no frames to decode.")
    settings = {"frames_per_second": frames_per_second, "min_midi_pitch": LOWEST_PITCH,
                "velocity": default_velocity, "velocity_scale": velocity_scale,
                "velocity_bias": velocity_bias, "velocity_values": None}
    if "velocity" in outputs:  # in float64, as note-seq's code scales it under NumPy 1
        settings["velocity_values"] = _roll(outputs, "velocity").astype(np.float64)
    if onsets_only:
        return _onsets_only(onset, onset_threshold, settings)
    if viterbi_alpha is not None:
        frames = viterbi_roll(frame, onset, viterbi_alpha)
        onsets = frames & ~np.pad(frames, ((1, 0), (0, 0)))[:-1]
        return _notes(frames, onsets, None, min_note_secs, settings)
    offsets = _roll(outputs, "offset") > offset_threshold if offset_threshold else None
    onsets = onset > onset_threshold if onset_threshold else None
    return _notes(frame > frame_threshold, onsets, offsets, min_note_secs, settings)


def _roll(outputs, name):
    if name not in outputs:
        raise ValueError(f"The outputs have no {name!r}, only {', '.join(sorted(outputs))}.")
    roll = np.asarray(outputs[name])
    if roll.ndim != 2 or roll.shape[1] != NUM_KEYS:
        raise ValueError(f"{name!r} has the shape {roll.shape}, expected (frames, {NUM_KEYS}).")
    return roll


def _onsets_only(onset, threshold, settings):
    from note_seq import sequences_lib

    if not threshold:
        raise ValueError("onsets_only needs an onset_threshold above 0.")
    return sequences_lib.pianoroll_onsets_to_note_sequence(
        onset > threshold, note_duration_seconds=ONSETS_ONLY_SECS, **settings)


def _notes(frames, onsets, offsets, min_note_secs, settings):
    from note_seq import sequences_lib

    sequence = sequences_lib.pianoroll_to_note_sequence(
        frames, min_duration_ms=1000 * min_note_secs, onset_predictions=onsets,
        offset_predictions=offsets, **settings)
    if onsets is None:
        for note in sequence.notes:  # note-seq reads velocities at onsets alone and leaves 0
            note.velocity = settings["velocity"]
    return sequence
