import dataclasses

import numpy as np
import pytest
from keras import ops

from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp import playing as generation
from style_transfer.models.piano_ddsp.piano import Piano
from style_transfer.models.piano_ddsp.voicing import CONTROLS, Voicing, band_centres_hz, voiced
from tests import pianos

KEYS = np.arange(0, 88, 4)
NEPERS_PER_DB = np.log(10) / 20


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


def note_controls(model, piano):
    """Controls of some keys, struck alike, as `generation` has them; and those of the room."""
    from style_transfer.models.piano_ddsp import net as piano_ddsp

    key, style = KEYS[None], np.asarray(piano.style, np.float32)[None]
    velocity = np.full(key.shape, 0.5, np.float32)
    context = np.zeros((1, key.shape[1], model.context_filters), np.float32)
    outputs = model.note_outputs(key, velocity, context, style)
    room = 0.0
    if piano.corrections:
        outputs = outputs + piano_ddsp.correct(piano.corrections, key, velocity)
        room = piano.corrections["room"]
    found = model.note_controls(outputs, key, velocity, piano.f0_hz[None],
                                piano.inharmonicity[None])
    found |= dict(zip(("room_level", "room_decay"), model.room_controls(style, room), strict=True))
    return {name: ops.convert_to_numpy(value)[0] for name, value in found.items()}


def changed(model, **values):
    """Controls before and after, and the names of those that differ."""
    before = note_controls(model, pianos.piano())
    after = note_controls(model, voiced(pianos.piano(), model, Voicing(**values)))
    names = {name for name in before if not np.allclose(before[name], after[name], rtol=1e-4,
                                                        atol=1e-12)}
    return before, after, names


def cents(model, **values):
    """How far first partials move."""
    piano = pianos.piano()
    new = voiced(piano, model, Voicing(**values))
    first = [p.f0_hz * np.sqrt(1 + p.inharmonicity) for p in (piano, new)]
    return 1200 * np.log2(first[1] / first[0])


def test_neutral_sliders_leave_the_piano_alone(model):
    piano = pianos.piano()
    assert voiced(piano, model, Voicing()) is piano
    assert Voicing() == Voicing(**{name: c.neutral for name, c in CONTROLS.items()})
    assert set(CONTROLS) == {field.name for field in dataclasses.fields(Voicing)}


def test_nearly_neutral_sliders_nearly_leave_the_sound_alone(model):
    piano, notes = pianos.piano(), pianos.notes((40, 0.6, 0.0, 0.8), (52, 0.5, 0.3, 0.9))
    sounds = [np.concatenate(list(generation.play(model, p, notes))) for p in
              (piano, voiced(piano, model, Voicing(hammer_db=1e-6)))]
    assert np.allclose(*sounds, atol=1e-5) and np.abs(sounds[0]).max() > 1e-3


def test_pitch_and_stretch_move_keys_by_cents(model):
    assert np.allclose(cents(model, pitch_cents=30), 30, atol=0.01)
    stretched = cents(model, stretch_cents=6)
    assert stretched[48] == pytest.approx(0, abs=0.01)
    assert np.allclose(np.diff(stretched), 0.5, atol=0.01)
    assert changed(model, pitch_cents=30)[2] <= {"frequency_hz", "beat_hz", "amplitude", "decay",
                                                 "aftersound", "aftersound_decay", "damping"}


def test_an_untuned_piano_is_untuned_at_random_but_always_alike(model):
    drift = cents(model, detune_cents=20)
    assert 14 < np.std(drift) < 26 and abs(np.mean(drift)) < 6
    assert np.allclose(drift, 2 * cents(model, detune_cents=10), atol=0.02)


def test_stiffer_strings_keep_the_pitch_of_the_first_partial(model):
    assert np.allclose(cents(model, inharmonicity=5), 0, atol=0.01)
    before, after, _ = changed(model, inharmonicity=5)
    stretched = after["frequency_hz"] / before["frequency_hz"]
    assert np.all(stretched[:, 15] > 1.05) and np.allclose(stretched[:, 0], 1, atol=1e-4)
    ideal = note_controls(model, voiced(pianos.piano(), model, Voicing(inharmonicity=0)))
    assert np.allclose(ideal["frequency_hz"][:, 9] / ideal["frequency_hz"][:, 0], 10, rtol=1e-5)


def test_ringing_scales_the_times_in_which_partials_fade(model):
    before, after, names = changed(model, ringing=2.0)
    assert names == {"decay", "aftersound_decay"}
    inside = (before["decay"] > np.exp(-2)) & (before["decay"] < np.exp(4))
    assert inside.any() and np.allclose(after["decay"][inside], before["decay"][inside] / 2,
                                        rtol=1e-4)


def test_brightness_tilts_the_partials(model):
    before, after, names = changed(model, brightness_db=3)
    assert names == {"amplitude"}
    heard = (before["amplitude"] > 1e-6) & (after["amplitude"] < 4)
    gain_db = 20 * np.log10(after["amplitude"][heard] / before["amplitude"][heard])
    centres = band_centres_hz(model.num_bands)
    mel = 2595 * np.log10(1 + before["frequency_hz"][heard] / 700)
    expected = np.interp(mel, 2595 * np.log10(1 + centres / 700), 3 * np.log2(centres / 500))
    assert np.allclose(gain_db, expected, atol=0.02)


def test_noise_and_room_change_by_decibels(model):
    before, after, names = changed(model, hammer_db=6)
    assert names == {"noise"}
    assert np.allclose(after["noise"], before["noise"] * 10 ** 0.6, rtol=1e-3)
    before, after, names = changed(model, room_db=-12)
    assert names == {"room_level"}
    assert np.allclose(after["room_level"], before["room_level"] * np.exp(-12 * NEPERS_PER_DB),
                       rtol=1e-4)
    before, after, names = changed(model, room_time=0.5)
    assert names == {"room_decay"}
    assert np.allclose(after["room_decay"], 2 * before["room_decay"], rtol=1e-4)


def test_beating_changes_the_unisons_only(model):
    before, after, names = changed(model, beating=4.0)
    assert names == {"beat_hz"}
    ratio = after["beat_hz"] / before["beat_hz"]
    assert np.all((ratio > 3.0) & (ratio < 4.0))


def test_work_adds_to_what_was_fitted_and_survives_saving(model, tmp_path):
    rng = np.random.default_rng(0)
    fitted = pianos.piano(corrections={
        "by_key": rng.normal(0, 0.1, (22, model.num_outputs)).astype(np.float32),
        "by_velocity": rng.normal(0, 0.1, model.num_outputs).astype(np.float32),
        "room": rng.normal(0, 0.1, 32).astype(np.float32)})
    new = voiced(fitted, model, Voicing(hammer_db=6, stretch_cents=4))
    before, after = note_controls(model, fitted), note_controls(model, new)
    assert np.allclose(after["noise"], before["noise"] * 10 ** 0.6, rtol=1e-3)
    new.save(tmp_path / "a.piano")
    again = Piano.load(tmp_path / "a.piano")
    notes = pianos.notes((40, 0.6, 0.0, 0.4))
    sounds = [np.concatenate(list(generation.play(model, p, notes))) for p in (new, again)]
    assert np.array_equal(*sounds)
    assert Audio(sounds[0], model.sample_rate).rms_db > -60


@pytest.mark.parametrize(("name", "value"), [
    ("ringing", 0.0), ("pitch_cents", 101), ("room_db", float("nan")), ("beating", "2"),
    ("hammer_db", None), ("inharmonicity", -1), ("brightness_db", True)])
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Voicing(**{name: value})
