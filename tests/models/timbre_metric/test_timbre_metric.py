"""The triplet network tells timbres apart whatever is played; its measure is the paper's."""

import numpy as np
import pytest
from keras import ops

from style_transfer import audio as audio_lib
from style_transfer import configs, weights
from style_transfer.audio import Audio
from style_transfer.evaluation import metrics, published
from style_transfer.models.timbre_metric.net import TimbreNet, TripletLoss
from style_transfer.pipelines.inputs import timbre
from tests import model_case
from tests.evaluation import evaluation_signals as signals

RATE = metrics.SAMPLE_RATE


def test_the_network_is_one_that_keras_can_keep(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 2, 128, 12)).astype("f")
    model_case.check_model(TimbreNet, {"width": 4}, x, (2, 2, 4), {"width": 5}, tmp_path)


def test_it_has_the_papers_size():
    net = TimbreNet()
    net.build()
    assert net.count_params() == 45_312


def test_the_loss_is_one_that_keras_can_keep():
    rng = np.random.default_rng(0)
    model_case.check_loss(TripletLoss, {}, np.array([0, 1, 1, 2]),
                          rng.normal(size=(4, 2, 5)).astype("f"), {"margin": 0.5})


def test_the_loss_is_the_hinge_of_cosines_and_leaves_the_own_timbre_out():
    one, two = [1.0, 0.0], [0.0, 1.0]
    near = [0.995, np.sqrt(1 - 0.995 ** 2)]
    y = np.array([[one, one], [two, two], [one, near]], np.float32)
    found = TripletLoss(0.1).terms(np.array([0, 1, 0]), y)
    np.testing.assert_allclose(ops.convert_to_numpy(found["hinge"])[:2], 0, atol=1e-6)
    mixed = TripletLoss(0.1).terms(np.array([0, 1, 2]), y)
    # of `one`, the farther clip of the third timbre has cosine 0.995: 0.1 + 0.995 - 1
    np.testing.assert_allclose(ops.convert_to_numpy(mixed["hinge"])[0], 0.095 / 2, atol=1e-5)
    assert ops.convert_to_numpy(mixed["accuracy"])[0] == 1


class Recording:
    def __init__(self, timbre_id, secs=5.0):
        self.timbre_id, self.num_samples, self.rms_db = timbre_id, int(secs * RATE), -25.0


def test_the_second_clip_is_of_another_recording_of_the_same_timbre(monkeypatch):
    recordings = [Recording("a"), Recording("b"), Recording("a"), Recording("c", 1.0)]
    read = []

    def read_audio(reference, begin, count):
        read.append(recordings.index(reference))
        return np.random.default_rng(len(read)).normal(0, 0.05, count).astype("f")

    monkeypatch.setattr(timbre.examples, "read_audio", read_audio)
    pairs = timbre.TimbrePairs(recordings, 4.5, seed=0)
    assert len(pairs.references) == 3, "one is too short"
    clips, number = pairs.make(0, 0)
    assert clips.shape == (2, int(4.5 * RATE) // 500, 12) and number == 0
    assert read == [0, 2]
    assert pairs.make(1, 0)[1] == 1 and read[2:] == [1], "b has but one"
    np.testing.assert_array_equal(pairs.make(0, 0)[0], clips)
    assert np.any(pairs.make(0, 1)[0] != clips)


def clip(tilt, seed=0, secs=6.0):
    rng = np.random.default_rng(seed)
    notes = [(t, int(rng.integers(50, 75)), rng.uniform(0.4, 0.9), t + 0.5)
             for t in np.arange(0.1, secs - 0.5, 0.4)]
    return metrics.Clip(Audio(signals.tones(notes, secs, RATE, tilt=tilt), RATE))


@pytest.mark.skipif(not published.knows_timbre(), reason="no weights")
def test_other_notes_are_nearer_than_another_timbre():
    same = published.timbre_distance(clip(1.0, 1), clip(1.0, 2))
    other = published.timbre_distance(clip(0.3, 1), clip(2.0, 2))
    assert published.timbre_distance(clip(1.0, 1), clip(1.0, 1)) == pytest.approx(0, abs=1e-6)
    assert same < 0.5 * other


@pytest.mark.skipif(not published.knows_timbre(), reason="no weights")
def test_a_short_clip_is_told_by_its_timbre_too():
    short = clip(0.3, 3, secs=2.0)
    same = published.timbre_distance(short, clip(0.3, 1))
    assert 0 <= same < 0.5 * published.timbre_distance(short, clip(2.0, 1))


@pytest.mark.skipif(not published.knows_timbre(), reason="no weights")
def test_the_weights_are_small_and_of_this_configuration():
    folder = weights.folder("timbre_metric")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
    assert configs.of_weights("timbre_metric").name == "timbre_metric"


@pytest.mark.skipif(not published.hears_pitch(), reason=f"optional: {published.INSTALL_HINT}")
def test_pitches_are_heard_and_compared_frame_by_frame():
    low = metrics.Clip(Audio(signals.tones(((0.2, 57, 0.9, 2.8),), 3.0, RATE), RATE))
    high = metrics.Clip(Audio(signals.tones(((0.2, 64, 0.9, 2.8),), 3.0, RATE), RATE))
    heard = published.heard_pitches(low)
    assert sum(57 in frame for frame in heard) > 0.6 * len(heard)
    assert published.pitch_jaccard(low, low) == 0
    assert published.pitch_jaccard(low, high) > 0.6


def test_without_essentia_the_reason_is_plain(monkeypatch):
    monkeypatch.setattr(published, "hears_pitch", lambda: False)
    published._essentia.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="pip install essentia"):
        published.heard_pitches(clip(1.0, 3, 1.0))


def test_mfcc_are_librosas_without_the_first():
    samples = signals.tones(signals.MELODY, 2.0, RATE)
    import librosa

    expected = librosa.feature.mfcc(y=samples, sr=16_000, n_mfcc=13, hop_length=500)[1:].T
    np.testing.assert_allclose(published.mfcc(samples), expected, rtol=1e-6)
    assert audio_lib.Audio(samples, RATE).duration_secs == 2.0
