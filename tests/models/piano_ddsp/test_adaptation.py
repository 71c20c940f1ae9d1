import dataclasses

import numpy as np
import pytest

from style_transfer import content, losses, weights
from style_transfer.audio import Audio
from style_transfer.measure import analysis
from style_transfer.models.piano_ddsp import adaptation, estimate, voicing
from style_transfer.models.piano_ddsp import playing as generation
from tests import pianos

RATE = 24_000


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


def clip(model, style, table):
    """A clip of a piano that the model can play exactly."""
    chunks = generation.play(model, pianos.piano(style), table)
    return Audio(np.concatenate(list(chunks))[: 4 * RATE], RATE)


def tuning():
    """The tuning of `pianos.piano`."""
    piano = pianos.piano()
    return analysis.Tuning(piano.f0_hz, piano.inharmonicity, np.ones(88, np.float32))


def _distance(model, style, corrections):
    """Loss between a piano's playing and that of style 1.5, of notes that no fit has seen."""
    loss = losses.PianoLoss(fft_sizes=(1024, 256), mel_scales=((512, 64),))
    piano = pianos.piano(style=1.0, corrections=corrections)
    object.__setattr__(piano, "style", style)
    other = pianos.random_notes(25, 3.5, seed=9)
    played = np.concatenate(list(generation.play(model, piano, other)))[None, : 4 * RATE]
    truth = np.concatenate(list(generation.play(model, pianos.piano(1.5), other)))
    return float(np.ravel(loss(truth[None, : 4 * RATE], played))[0])


def test_adaptation_finds_a_piano_nearer_to_the_clip(model):
    table = pianos.random_notes(25, 3.5)
    audio = clip(model, 1.5, table)
    start = pianos.piano(-0.5)
    found = adaptation.adapt(model, start.style, audio, table, tuning(), steps=40,
                             learning_rate=0.05, batch_size=2)
    assert _distance(model, *found) < 0.8 * _distance(model, start.style, None)


def test_keys_that_the_clip_does_not_play_are_corrected_with_those_that_it_plays():
    # With the shipped weights: random ones know nothing of how a piano's keys go together.
    model = weights.load()
    table = pianos.random_notes(25, 3.5)
    low = dataclasses.replace(table, key=10 + table.key % 25)
    high = dataclasses.replace(table, key=48 + table.key % 25)
    start = dataclasses.replace(pianos.piano(), weights=model.weights_name,
                                style=np.zeros(model.style_size, np.float32))
    truth = voicing.voiced(start, model, voicing.Voicing(brightness_db=-3, ringing=0.5,
                                                         hammer_db=-12))

    def played(piano, notes):
        return np.concatenate(list(generation.play(model, piano, notes)))[: 4 * RATE]

    def distance(piano):
        return float(np.ravel(losses.PianoLoss()(played(truth, high)[None],
                                                 played(piano, high)[None]))[0])

    style, corrections = adaptation.adapt(model, start.style, Audio(played(truth, low), RATE), low,
                                          tuning(), steps=20, batch_size=2)
    found = dataclasses.replace(start, style=style, corrections=corrections)
    assert distance(found) < 0.45 * distance(start)  # 0.5 if each key has only its own correction


def test_velocities_that_are_guesses_are_fitted_with_the_piano(model):
    table = pianos.random_notes(25, 3.5)
    audio = clip(model, 1.5, table)
    rng = np.random.default_rng(0)
    guessed = np.clip(table.velocity + rng.normal(0, 0.2, len(table)), 0.05, 1)
    guessed = dataclasses.replace(table, velocity=guessed.astype(np.float32))
    error = {}
    for unsure in (False, True):
        found = adaptation.adapt(model, pianos.piano(-0.5).style, audio, guessed, tuning(),
                                 steps=40, learning_rate=0.05, batch_size=2,
                                 unsure_velocities=unsure)
        error[unsure] = _distance(model, *found)
    assert error[True] < 0.95 * error[False]


@pytest.mark.parametrize(("velocities", "unsure"), [((0.5,) * 4, True),
                                                    ((0.5, 0.6, 0.4, 0.5), False)])
def test_given_velocities_are_trusted_unless_they_are_all_alike(model, monkeypatch, velocities,
                                                                unsure):
    seen = []

    def adapt(*_, unsure_velocities, **__):
        seen.append(unsure_velocities)
        return pianos.piano().style, None

    monkeypatch.setattr(adaptation, "adapt", adapt)
    table = pianos.notes(*((40 + i, v, 0.5 * i, 0.5 * i + 0.4) for i, v in enumerate(velocities)))
    monkeypatch.setattr(content, "heard_notes", lambda *_, **__: table)
    audio = clip(model, 1.0, table)
    for given, expected in ((table, unsure), (None, True)):
        estimate.estimate_piano(audio, style_midi=given, model=model)
        assert seen.pop() == expected


@pytest.mark.slow
def test_nets_stay_as_they_are(model):
    before = [np.array(v) for v in model.weights]
    table = pianos.random_notes(10, 2)
    adaptation.adapt(model, pianos.piano().style, clip(model, 1.0, table), table, tuning(), steps=2,
                     batch_size=1)
    changed = [v.path for v, old in zip(model.weights, before, strict=True)
               if "seed" not in v.path and not np.array_equal(np.array(v), old)]
    assert not changed


def test_one_seed_gives_one_fit_however_often_it_is_made(model):
    table = pianos.random_notes(10, 2)
    audio = clip(model, 1.0, table)
    style = pianos.piano().style
    fits = [adaptation.adapt(model, style, audio, table, tuning(), steps=2, seed=seed, batch_size=1)
            for seed in (0, 0, 1)]
    np.testing.assert_allclose(fits[0][0], fits[1][0], atol=1e-6)
    np.testing.assert_allclose(fits[0][1]["by_key"], fits[1][1]["by_key"], atol=1e-5)
    assert np.abs(fits[0][1]["by_key"] - fits[2][1]["by_key"]).max() > 1e-4


def test_crops_hold_the_notes_that_sound_in_them_at_their_times():
    table = pianos.notes((10, 0.5, 0.0, 0.4), (20, 0.6, 1.0, 1.5), (30, 0.7, 2.0, 3.5))
    rows = adaptation.note_arrays(table, 1.8, 1.0, 4)
    assert list(rows["note_key"][:2]) == [20, 30]  # 20 was damped less than a second ago
    np.testing.assert_allclose(rows["note_onset_secs"][:2], [-0.8, 0.2], atol=1e-6)
    assert np.all(rows["note_velocity"][2:] == 0)


def test_crops_align_audio_and_notes():
    clicks = np.zeros(4 * RATE, np.float32)
    clicks[RATE * np.arange(4)] = 1
    table = pianos.notes(*((40, 0.5, float(t), t + 0.1) for t in range(4)))
    batches = adaptation.crops(Audio(clicks, RATE), table, tuning(), 0, 0.5, batch_size=8)
    inputs, target = next(batches)
    for row in range(8):
        sounding = inputs["note_velocity"][row] > 0
        onsets = inputs["note_onset_secs"][row][sounding] - 0.5
        inside = onsets[(onsets > 0) & (onsets < target.shape[1] / RATE - 1e-3)]
        heard = np.flatnonzero(target[row]) / RATE
        np.testing.assert_allclose(heard[heard > 0], inside, atol=2 / RATE)


def test_clip_shorter_than_a_crop_is_padded():
    audio = Audio(np.ones(RATE, np.float32), RATE)
    inputs, target = next(adaptation.crops(audio, pianos.random_notes(3, 1), tuning(), 0, 0.5))
    assert target.shape[1] == int(2.0 * RATE) and target[0, -1] == 0


@pytest.mark.parametrize(("secs", "steps", "penalty"), [(4, 60, 24.0), (10, 60, 24.0),
                                                        (60, 147, 4.0)])
def test_a_longer_clip_gets_more_steps_and_corrections_that_are_freer(model, monkeypatch, secs,
                                                                      steps, penalty):
    seen = []

    def train(adapter, *_):
        seen.append(float(adapter.penalty))
        return 0.0

    monkeypatch.setattr(adaptation.Adapter, "train_on_batch", train)
    audio = Audio(np.ones(secs * RATE, np.float32), RATE)
    adaptation.adapt(model, pianos.piano().style, audio, pianos.random_notes(10, 3), tuning())
    assert seen == [pytest.approx(penalty)] * steps


def test_corrections_are_the_smaller_the_more_they_are_held_back(model):
    table = pianos.random_notes(25, 3.5)
    audio = clip(model, 1.5, table)
    sizes = []
    for penalty in (0.1, 1000.0):
        _, corrections = adaptation.adapt(model, pianos.piano().style, audio, table, tuning(),
                                          steps=5, penalty=penalty, batch_size=1)
        sizes.append(np.abs(corrections["by_key"]).mean())
    assert sizes[1] < 0.8 * sizes[0]
