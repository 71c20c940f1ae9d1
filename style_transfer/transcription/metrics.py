"""How well notes were heard: mir_eval's scores, and a search for the best threshold."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from style_transfer import piano_roll, strings

ONSET_TOLERANCE_SECS = 0.05
FRAMES_PER_SECOND = 100.0
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
# A crop begins in the middle of notes, whose onsets nothing can hear.
EDGE_SECS = 0.1
_SHORTEST_SECS = 1e-3
_MIDI_VELOCITIES = 127


def score_notes(reference: piano_roll.NoteTable, estimate: piano_roll.NoteTable) -> dict:
    """Scores of a transcription.

    Args:
        reference: What was played.
        estimate: What was heard.

    Returns:
        A dict of numbers. `precision`, `recall` and `f1` of `note` (right key, onset within
        50 ms), and `f1` of `note_with_offsets` (key release within 50 ms or a fifth of the note),
        `note_with_sounding_offsets` (the same of when the string is damped, the sustain pedal
        applied), `note_with_offsets_velocity` and `note_with_sounding_offsets_velocity` (velocity
        within a tenth as well, after the best linear map, as mir_eval does);
        `velocity_error`, mean absolute difference in MIDI steps of notes that match; `frame_f1`
        of keys sounding at 100 frames/s. Values that no note tells are NaN.

    Raises:
        ValueError: Times are negative or not finite.

    Source: mir_eval's `transcription` and `transcription_velocity`.
    """
    for name, table in (("reference", reference), ("estimate", estimate)):
        _check(name, table)
    scores = {f"frame_{name}": value for name, value in zip(
        ("precision", "recall", "f1"), frame_scores(*_rolls(reference, estimate)), strict=True)}
    if not len(reference) or not len(estimate):
        # One of them is empty: nothing matches. Both: there is nothing to score.
        empty = np.nan if len(reference) == len(estimate) else 0.0
        return {**scores, **dict.fromkeys(_NOTE_SCORES, empty), "velocity_error": np.nan}
    return {**scores, **_note_scores(reference, estimate)}


_NOTE_SCORES = ("note_precision", "note_recall", "note_f1", "note_with_offsets_f1",
                "note_with_offsets_velocity_f1", "note_with_sounding_offsets_f1",
                "note_with_sounding_offsets_velocity_f1")


def _note_scores(reference, estimate):
    from mir_eval import transcription, transcription_velocity

    scores = {}
    plain = {"onset_tolerance": ONSET_TOLERANCE_SECS, "offset_ratio": None}
    for kind, column in (("offsets", "release_secs"), ("sounding_offsets", "damped_secs")):
        (ref, ref_hz, ref_velocity), (est, est_hz, est_velocity) = (
            _intervals(table, column) for table in (reference, estimate))
        if not scores:
            scores = dict(zip(("note_precision", "note_recall", "note_f1"),
                              transcription.precision_recall_f1_overlap(
                                  ref, ref_hz, est, est_hz, **plain)[:3], strict=True))
            matches = transcription.match_notes(ref, ref_hz, est, est_hz, **plain)
            errors = [abs(ref_velocity[i] - est_velocity[j]) for i, j in matches]
            scores["velocity_error"] = float(np.mean(errors)) if errors else np.nan
        scores[f"note_with_{kind}_f1"] = transcription.precision_recall_f1_overlap(
            ref, ref_hz, est, est_hz, onset_tolerance=ONSET_TOLERANCE_SECS)[2]
        scores[f"note_with_{kind}_velocity_f1"] = (
            transcription_velocity.precision_recall_f1_overlap(
                ref, ref_hz, ref_velocity, est, est_hz, est_velocity,
                onset_tolerance=ONSET_TOLERANCE_SECS)[2])
    return {name: float(value) for name, value in scores.items()}


def frame_scores(reference: np.ndarray, estimate: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 of frames.

    Args:
        reference: Boolean roll `[frames, 88]`.
        estimate: The same, of what was heard.

    Returns:
        Three numbers in [0, 1]; NaN where both rolls are empty.

    Raises:
        ValueError: The shapes differ.
    """
    if reference.shape != estimate.shape:
        raise ValueError(f"The rolls have the shapes {reference.shape} and {estimate.shape}, "
                         "expected the same.")
    true = np.count_nonzero(reference & estimate)
    in_reference, in_estimate = np.count_nonzero(reference), np.count_nonzero(estimate)
    if not in_reference + in_estimate:
        return np.nan, np.nan, np.nan
    return (true / max(in_estimate, 1), true / max(in_reference, 1),
            2 * true / (in_reference + in_estimate))


def mean_scores(rows: Iterable[dict]) -> dict:
    """Means by name over the rows that have a value; NaN where none has."""
    columns = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return {name: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
            for name, values in columns.items()}


class TranscriptionMetrics:
    """Scores of an evaluation in training: those of the best onset threshold.

    Args:
        decode: `(probabilities, onset_threshold=…)` to a NoteSequence.
        crop_secs: Length of the clips.
        thresholds: Those to try.
    """

    def __init__(self, decode: Callable, crop_secs: float,
                 thresholds: Sequence[float] = THRESHOLDS):
        self._decode, self._crop_secs = decode, crop_secs
        self._rows = {threshold: [] for threshold in thresholds}

    def update(self, target: dict, prediction: dict) -> None:
        """Takes a batch.

        Args:
            target: Dict with `notes` `[batch, max_notes, 5]`: key, velocity in [0, 1], onset,
                release and damping in seconds; rows without velocity are none.
            prediction: Dict of logits and `velocity`, `[batch, frames, 88]`.
        """
        for i, notes in enumerate(target["notes"]):
            outputs = {name: value[i] if name == "velocity" else _sigmoid(value[i])
                       for name, value in prediction.items()}
            played = within(_table(notes), EDGE_SECS, self._crop_secs)
            for threshold, rows in self._rows.items():
                heard = piano_roll.note_table(self._decode(outputs, onset_threshold=threshold))
                rows.append(score_notes(played, within(heard, EDGE_SECS, self._crop_secs)))

    def result(self) -> dict[str, float]:
        """Scores at the threshold with the best F1 of notes, and that threshold."""
        means = {threshold: mean_scores(rows) for threshold, rows in self._rows.items()}
        best = max(means, key=lambda threshold: np.nan_to_num(means[threshold]["note_f1"]))
        return {**means[best], "onset_threshold": best}


def within(table: piano_roll.NoteTable, start_secs: float,
           end_secs: float) -> piano_roll.NoteTable:
    """The notes struck between two times, cut off at the second."""
    table = table.select((table.onset_secs >= start_secs) & (table.onset_secs < end_secs))
    return dataclasses.replace(
        table, release_secs=np.minimum(table.release_secs, end_secs),
        damped_secs=np.minimum(table.damped_secs, end_secs))


def _table(notes):
    notes = notes[notes[:, 1] > 0].astype(np.float64)
    key, velocity, onset, release, damped = notes.T
    return piano_roll.NoteTable(np.rint(key).astype(np.int32), velocity.astype(np.float32),
                                onset, release, damped)


def _check(name, table):
    times = np.concatenate([table.onset_secs, table.release_secs, table.damped_secs])
    if not np.isfinite(times).all() or (times < 0).any():
        raise ValueError(f"The {name} has times that are negative or not finite: shift or cut it.")


def _intervals(table, end):
    """Seconds `[notes, 2]`, fundamentals in Hz and MIDI velocities, as mir_eval takes them."""
    onset = table.onset_secs
    ends = np.maximum(getattr(table, end), onset + _SHORTEST_SECS)
    hertz = strings.equal_temperament_hz()[table.key]
    return np.stack([onset, ends], axis=-1), hertz, table.velocity * _MIDI_VELOCITIES


def _rolls(*tables):
    """Boolean rolls of sounding keys, of one length."""
    num_frames = int(np.ceil(max(table.end_secs for table in tables) * FRAMES_PER_SECOND))
    rolls = []
    for table in tables:
        first = np.rint(table.onset_secs * FRAMES_PER_SECOND).astype(int)
        last = np.rint(table.damped_secs * FRAMES_PER_SECOND).astype(int)
        roll = np.zeros((num_frames, piano_roll.NUM_KEYS), bool)
        for key, start, stop in zip(table.key, first, last, strict=True):
            roll[start:stop, key] = True
        rolls.append(roll)
    return rolls


def _sigmoid(logits):
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64), -50, 50)))
