import mir_eval
import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.transcription import metrics


def table(rows):
    """Notes of `(key, velocity, onset, release, damped)`."""
    rows = np.array(rows, np.float64).reshape(-1, 5)
    return piano_roll.NoteTable(rows[:, 0].astype(np.int32), rows[:, 1].astype(np.float32),
                                *rows[:, 2:].T)


PLAYED = [(40, 0.5, 1.0, 1.5, 2.0), (44, 0.5, 1.0, 1.5, 2.0), (47, 0.7, 2.0, 2.5, 3.0),
          (50, 0.7, 3.0, 3.5, 4.0)]


def test_what_was_played_scores_one():
    scores = metrics.score_notes(table(PLAYED), table(PLAYED))
    assert scores.pop("velocity_error") == 0
    assert scores == pytest.approx(dict.fromkeys(scores, 1.0))


def test_each_fault_lowers_its_own_scores():
    heard = [list(row) for row in PLAYED]
    heard[0][2] += 0.06  # late
    heard[1][3] += 0.2  # key released late
    heard[2][4] += 0.5  # damped late
    heard[3][1] -= 20 / 127  # softer
    scores = metrics.score_notes(table(PLAYED), table(heard))
    assert scores["note_f1"] == pytest.approx(3 / 4)
    assert scores["note_with_offsets_f1"] == pytest.approx(2 / 4)
    assert scores["note_with_sounding_offsets_f1"] == pytest.approx(2 / 4)
    assert scores["velocity_error"] == pytest.approx(20 / 3, rel=1e-4)


def test_precision_and_recall_tell_too_many_from_too_few():
    scores = metrics.score_notes(table(PLAYED), table(PLAYED[:2]))
    assert (scores["note_precision"], scores["note_recall"]) == (1, 0.5)
    assert scores["frame_precision"] == 1 and scores["frame_recall"] == pytest.approx(0.5)
    scores = metrics.score_notes(table(PLAYED[:2]), table(PLAYED))
    assert (scores["note_precision"], scores["note_recall"]) == (0.5, 1)


def test_silence_scores_zero_against_notes_and_nothing_against_silence():
    for pair in ((table(PLAYED), table([])), (table([]), table(PLAYED))):
        scores = metrics.score_notes(*pair)
        assert scores["note_f1"] == scores["frame_f1"] == 0
    assert np.isnan(list(metrics.score_notes(table([]), table([])).values())).all()


def test_times_that_no_recording_has_are_errors():
    early = table([(40, 0.5, -1.0, 1.5, 2.0)])
    with pytest.raises(ValueError, match="The estimate has times that are negative"):
        metrics.score_notes(table(PLAYED), early)


def test_frame_scores_equal_those_of_mir_eval():
    rng = np.random.default_rng(0)
    reference, estimate = rng.random((2, 40, 88)) < 0.05
    times = np.arange(40) / 100
    hertz = 440.0 * 2.0 ** ((np.arange(88) - 48) / 12)
    rolls = [[hertz[row] for row in roll] for roll in (reference, estimate)]
    expected = mir_eval.multipitch.metrics(times, rolls[0], times, rolls[1])[:2]
    precision, recall, f1 = metrics.frame_scores(reference, estimate)
    assert (precision, recall) == pytest.approx(expected)
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))
    with pytest.raises(ValueError, match="expected the same"):
        metrics.frame_scores(reference, estimate[:20])


def test_means_leave_out_what_has_no_value():
    means = metrics.mean_scores([{"a": 1.0, "b": np.nan}, {"a": 0.0, "b": np.nan}, {"a": np.nan,
                                                                                    "b": np.nan}])
    assert means["a"] == 0.5 and np.isnan(means["b"])


def test_the_best_threshold_lies_between_right_and_wrong_notes():
    """Logits of `pick` say which threshold a note is above; its index is a note of either kind."""
    wrong = [(key, 0.5, 1.0, 1.5, 1.5) for key in (10, 11, 12)]

    def decode(outputs, onset_threshold):
        right, other = outputs["pick"]
        return piano_roll.to_sequence(table([*(PLAYED if right >= onset_threshold else []),
                                             *(wrong if other >= onset_threshold else [])]))

    played, notes = table(PLAYED), np.zeros((1, 8, 5), np.float32)
    notes[0, :4] = np.stack([played.key, played.velocity, played.onset_secs, played.release_secs,
                             played.damped_secs], axis=-1)
    logits = np.log([[0.55 / 0.45, 0.35 / 0.65]])
    for thresholds, best, precision in (((0.3, 0.5, 0.6), 0.5, 1.0), ((0.3, 0.6), 0.3, 4 / 7)):
        scored = metrics.TranscriptionMetrics(decode, 60.0, thresholds)
        for _ in range(2):
            scored.update({"notes": notes}, {"pick": logits})
        scores = scored.result()
        assert scores["onset_threshold"] == best
        assert scores["note_precision"] == pytest.approx(precision)


def test_training_scores_are_of_the_best_threshold_and_leave_out_the_edge():
    from style_transfer.transcription import decoding, labels

    played = table([*PLAYED, (60, 0.5, 0.01, 0.5, 0.5), (60, 0.5, 4.4, 9.0, 9.0)])
    y = labels.smooth_labels(played, 0.0, 251, 50.0)
    prediction = {name: value if name == "velocity" else np.clip(40 * value - 20, -20, 20)
                  for name, value in y.items()}
    notes = np.zeros((1, 8, 5), np.float32)
    notes[0, :6] = np.stack([played.key, played.velocity, played.onset_secs, played.release_secs,
                             played.damped_secs], axis=-1)
    scored = metrics.TranscriptionMetrics(
        lambda outputs, **options: decoding.decode(outputs, 50.0, **options), 5.0)
    scored.update({"notes": notes}, {name: value[None] for name, value in prediction.items()})
    scores = scored.result()
    assert scores["onset_threshold"] in metrics.THRESHOLDS
    assert scores["note_f1"] == scores["note_with_sounding_offsets_f1"] == 1.0
    assert scores["velocity_error"] < 1
