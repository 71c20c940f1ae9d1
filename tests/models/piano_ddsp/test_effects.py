"""What a clip lets hear of pedals is found by playing it again."""

import dataclasses

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import content, piano_roll
from style_transfer.models.piano_ddsp import adaptation, effects, estimate, playing
from style_transfer.models.piano_ddsp.piano import Piano, check_effects
from tests import pianos

NEVER = np.zeros(0), np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def model():
    return pianos.shipped()[0]


@pytest.fixture(scope="module")
def piano():
    return pianos.shipped()[1]


def curve(*moves):
    times, positions = zip(*moves, strict=True)
    return np.array(times), np.array(positions, np.float32)


def pedalled(sustain=NEVER, soft=NEVER):
    """Short notes over four seconds, damped as the sustain pedal's halves say."""
    table = pianos.random_notes(40, 4)
    damped = table.release_secs.copy()
    for down, up in zip(sustain[0][::2], sustain[0][1::2], strict=True):
        damped = np.where((damped >= down) & (damped < up), up, damped)
    pedals = piano_roll.Pedals(sustain, NEVER, soft)
    return dataclasses.replace(table, damped_secs=damped, pedals=pedals)


def clip(model, piano, table):
    samples = np.concatenate(list(playing.play(model, piano, table, seed=5)))[:4 * 24_000]
    return audio_lib.Audio(samples, model.sample_rate)


@pytest.mark.parametrize("coupling", [0.0, 0.2])
def test_the_coupling_of_a_clip_is_found(model, piano, coupling):
    table = pedalled(sustain=curve((0.0, 1.0), (1.9, 0.0), (2.1, 1.0), (4.5, 0.0)))
    true = piano.with_effects(coupling=coupling)
    found = effects.measured(model, piano, clip(model, true, table), table)
    assert 0.5 * coupling <= found.coupling <= 2 * coupling
    assert not found.half_pedal and found.soft_pedal_db == piano.soft_pedal_db


@pytest.mark.parametrize("soft_pedal_db", [0.0, 6.0])
def test_what_the_soft_pedal_does_is_found(model, piano, soft_pedal_db):
    table = pedalled(soft=curve((2.0, 1.0), (9.0, 0.0)))
    true = piano.with_effects(soft_pedal_db=soft_pedal_db)
    found = effects.measured(model, piano, clip(model, true, table), table)
    assert found.soft_pedal_db == soft_pedal_db


@pytest.mark.parametrize("half_pedal", [False, True])
def test_dampers_that_touch_by_half_are_found(model, piano, half_pedal):
    table = pedalled(sustain=curve((0.0, 0.45), (9.0, 0.0)))
    table = dataclasses.replace(table, damped_secs=table.release_secs)
    true = piano.with_effects(half_pedal=half_pedal)
    found = effects.measured(model, piano, clip(model, true, table), table)
    assert found.half_pedal is half_pedal


def test_a_clip_without_pedals_tells_nothing(model, piano):
    table = pedalled()
    coupled = piano.with_effects(coupling=0.3)
    assert effects.measured(model, coupled, clip(model, piano, table), table) is coupled


@pytest.mark.filterwarnings("ignore:Only .* tones fade:UserWarning")
def test_a_fit_to_known_notes_knows_the_effects_and_a_file_keeps_them(model, piano, tmp_path,
                                                                      monkeypatch):
    def adapt(model, *_, **__):  # takes a minute to compile, and is tested elsewhere
        return piano.style, {name: np.zeros(shape, np.float32)
                             for name, shape in estimate.correction_shapes(model).items()}

    monkeypatch.setattr(adaptation, "adapt", adapt)
    monkeypatch.setattr(content, "heard_notes", lambda *_, **__: table)
    table = pedalled(sustain=curve((0.0, 1.0), (4.5, 0.0)))
    sound = clip(model, piano.with_effects(coupling=0.8), table)
    found = estimate.estimate_piano(sound, style_midi=table, model=model)
    assert found.coupling > 0
    assert estimate.estimate_piano(sound, model=model).coupling == 0  # pedals heard will not do
    kept = found.with_effects(half_pedal=True, soft_pedal_db=None)
    kept.save(tmp_path / "a.piano")
    again = Piano.load(tmp_path / "a.piano")
    assert (again.coupling, again.half_pedal, again.soft_pedal_db) == (
        found.coupling, True, found.soft_pedal_db)


@pytest.mark.parametrize("given", [
    {"coupling": -0.1}, {"coupling": 1.5}, {"soft_pedal_db": 13.0}, {"half_pedal": "half"}])
def test_effects_that_no_piano_has_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        check_effects(**given)
