import keras
import numpy as np
import pytest
from keras import ops

from style_transfer import piano_roll
from style_transfer.models.wavenet import conditioning, evaluate, inputs
from tests.pipelines import tiny_pairs

RATE = 8000


class Weighted(keras.Model):
    """Says the roll's mean times `weight`."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def call(self, x):
        return self.weight * ops.mean(x["roll"], axis=(1, 2))


class Squares(keras.losses.Loss):
    """An `nll` of squares, and another term that must not count."""

    def call(self, y_true, y_pred):
        return self.terms(y_true, y_pred)["nll"] + 100.0

    def terms(self, y_true, y_pred):
        return {"nll": ops.square(y_true["level"] - y_pred), "other": y_pred + 7.0}


def batch(values, pieces):
    roll = np.repeat(np.array(values, np.float32), 4 * 176).reshape(-1, 4, 176)
    x = {"roll": roll, "piece": np.array(pieces, np.int32)}
    return x, {"level": np.array(values, np.float32)}


@pytest.mark.parametrize("weight", [1.0, 0.5, 0.0])
def test_the_gain_is_the_loss_with_other_midi_minus_that_with_the_right_one(weight):
    probe = conditioning.ConditioningProbe(Weighted(weight), Squares())
    probe.update(*batch([0.1, 0.4, 0.9], [0, 1, 2]))
    probe.update(*batch([0.3, 0.2], [5, 6]))  # a last, smaller batch
    right = [(1 - weight) * v for v in (0.1, 0.4, 0.9, 0.3, 0.2)]
    wrong = [0.1 - weight * 0.4, 0.4 - weight * 0.9, 0.9 - weight * 0.1,
             0.3 - weight * 0.2, 0.2 - weight * 0.3]
    expected = np.mean(np.square(wrong)) - np.mean(np.square(right))
    assert probe.result() == {"conditioning_gain": pytest.approx(expected, abs=1e-6)}
    assert (expected == 0) == (weight == 0)


def test_clips_that_have_no_other_piece_beside_them_do_not_count():
    probe = conditioning.ConditioningProbe(Weighted(1.0), Squares())
    probe.update(*batch([0.1, 0.5], [3, 3]))
    assert probe.result() == {}


class Player(keras.Model):
    """Makes the same audio whatever the roll says; at once, as `SpectralWaveNet` does."""

    roll_rate, sample_rate = 250, RATE

    def __init__(self, audio):
        super().__init__()
        self.audio = audio

    def call(self, x):
        return ops.convert_to_tensor(self.audio[:x["roll"].shape[0]])


def test_a_probe_listens_to_as_many_clips_as_it_is_told():
    tables = [tiny_pairs.table(2.5, seed=seed, step_secs=0.2) for seed in range(3)]
    audio = np.stack([tiny_pairs.sound(table, 2.5, RATE).samples for table in tables])
    roll = np.stack([piano_roll.keys_roll(table, 0, 625, 250) for table in tables])
    level = np.zeros((3, 1), np.float32)

    def result(model, clips):
        probe = conditioning.ConditioningProbe(model, Squares(), clips)
        for part in (slice(2), slice(2, 3)):
            probe.update({"roll": roll[part], "piece": np.arange(3)[part]},
                         {"audio": audio[part], "level": level[part]})
        return probe.result()

    assert set(result(Player(audio), 0)) == {"conditioning_gain"}
    heard = result(Player(np.stack([audio[0], audio[2], audio[1]])), 2)
    assert heard["onset_f1"] == pytest.approx((result(Player(audio), 1)["onset_f1"]) / 2, abs=0.2)


def test_audio_that_plays_its_notes_scores_above_chance():
    tables = [tiny_pairs.table(2.5, seed=seed, step_secs=0.2) for seed in range(3)]
    clips = np.stack([tiny_pairs.sound(table, 2.5, RATE).samples for table in tables])
    scores = evaluate.onset_scores(clips, tables, [0, 1, 2], RATE)
    assert scores["onset_f1"] > 0.7 > 0.4 > scores["chance_onset_f1"]
    swapped = evaluate.onset_scores(clips[[1, 0]], tables[:2], [0, 1], RATE)
    assert swapped["onset_f1"] < 0.4 < 0.7 < swapped["chance_onset_f1"]
    silent = evaluate.onset_scores(np.zeros_like(clips[:1]), tables[:1], [0], RATE)
    assert silent["onset_f1"] == 0.0 and np.isnan(silent["chance_onset_f1"])


def test_levels_are_brought_to_that_of_the_training_data():
    from style_transfer import audio as audio_lib

    tone = np.sin(np.arange(2 * RATE) * 0.3).astype(np.float32)
    for gain in (0.01, 0.2):
        audio = inputs.at_level(audio_lib.Audio(gain * tone, RATE))
        assert audio.rms_db == pytest.approx(inputs.LEVEL_DB, abs=0.1)
    silence = inputs.at_level(audio_lib.Audio(np.zeros(RATE), RATE))
    assert not silence.samples.any()
