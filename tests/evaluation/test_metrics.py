"""The measures equal the project's definitions, and refuse what they cannot judge."""

import json
import pathlib

import numpy as np
import pytest

from style_transfer.audio import Audio
from style_transfer.evaluation import metrics
from tests.evaluation import evaluation_signals as signals

GOLDEN = json.loads((pathlib.Path(__file__).parent / "metrics_golden.json").read_text())["pairs"]


@pytest.fixture(scope="module")
def clips():
    return {name: tuple(Audio(samples, signals.RATE) for samples in pair)
            for name, pair in signals.pairs().items()}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_every_measure_equals_the_definition_of_the_project(name, clips):
    ours = metrics.all_metrics(*clips[name])
    assert set(ours) == set(metrics.AUDIO_METRICS)
    for measure, expected in GOLDEN[name].items():
        assert ours[measure] == pytest.approx(expected, rel=2e-5, abs=2e-6), measure


def test_a_clip_has_no_distance_to_itself(clips):
    _, true = clips["brighter"]
    for measure, value in metrics.all_metrics(true, true).items():
        assert value == pytest.approx(0, abs=1e-6), measure


def test_gain_does_not_matter(clips):
    ours, true = clips["brighter"]
    quiet = Audio(0.05 * ours.samples, ours.sample_rate)
    expected = metrics.all_metrics(ours, true)
    assert metrics.all_metrics(quiet, true) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_reference_clip_made_once_gives_the_same_numbers(clips):
    ours, true = clips["brighter"]
    assert (metrics.all_metrics(ours, metrics.Clip(true))
            == metrics.all_metrics(ours, true))


def test_other_sample_rates_are_resampled():
    true = Audio(signals.tones(signals.MELODY, 2.0, 24_000, tilt=2.0), 24_000)
    same = Audio(signals.tones(signals.MELODY, 2.0, 16_000, tilt=2.0), 16_000)
    assert metrics.all_metrics(same, true)["logmel_l1_60"] < 0.5


@pytest.mark.parametrize("candidate, message", [
    (np.zeros(16_000, np.float32), "must be an Audio"),
    (Audio(np.zeros(16_000), 16_000), "silent"),
    (Audio(np.ones(1000), 16_000), "at least 0.128 s"),
    (Audio(np.full(16_000, np.nan), 16_000), "NaN or infinite"),
])
def test_what_cannot_be_measured_is_refused_with_a_reason(candidate, message, clips):
    with pytest.raises(ValueError, match=f"candidate.*{message}"):
        metrics.all_metrics(candidate, clips["brighter"][1])


def test_single_measures_refuse_clips_of_different_lengths(clips):
    ours, true = (metrics.Clip(clip) for clip in clips["shorter"])
    with pytest.raises(ValueError, match="20000 samples and the reference 32000"):
        metrics.log_mel_l1(ours, true)


def test_onset_f1_counts_each_true_note_once():
    true = [(1.0, 60), (2.0, 60), (2.0, 64)]
    heard = [(1.04, 60), (0.97, 60), (2.06, 60), (2.01, 64.2), (3.0, 70)]
    result = metrics.onset_f1(heard, true)
    assert result == {"precision": 2 / 5, "recall": 2 / 3, "f1": pytest.approx(0.5),
                      "n_est": 5, "n_ref": 3}


def test_onset_f1_equals_mir_eval_on_crowded_notes():
    transcription = pytest.importorskip("mir_eval.transcription")
    rng = np.random.default_rng(3)
    for _ in range(20):
        true = np.stack([rng.uniform(0, 3, 120), rng.integers(60, 66, 120)], axis=1)
        heard = np.stack([np.abs(true[:100, 0] + rng.normal(0, 0.04, 100)),
                          rng.integers(60, 66, 100)], axis=1)

        def notes(rows):
            intervals = np.stack([rows[:, 0], rows[:, 0] + 0.1], axis=1)
            return intervals, 440 * 2 ** ((rows[:, 1] - 69) / 12)

        expected = transcription.precision_recall_f1_overlap(
            *notes(true), *notes(heard), offset_ratio=None)[2]
        assert metrics.onset_f1(heard, true)["f1"] == pytest.approx(expected)


@pytest.mark.parametrize("notes, message", [
    ([(0.0, 60, 1.0)], "rows of"),
    ([(-0.1, 60)], "negative"),
    ([(np.nan, 60)], "non-finite"),
    ([(0.5, 440.0)], "Convert from Hz"),
])
def test_onset_f1_refuses_lists_that_are_no_notes(notes, message):
    with pytest.raises(ValueError, match=message):
        metrics.onset_f1(notes, [(0.0, 60)])


def test_onset_f1_of_silence_is_zero_and_says_so():
    with pytest.warns(UserWarning, match="estimated notes are empty"):
        assert metrics.onset_f1([], [(0.0, 60)])["f1"] == 0
