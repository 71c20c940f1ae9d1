import dataclasses

import numpy as np
import pytest
from keras import ops

from style_transfer import audio
from style_transfer.models.piano_ddsp import generate as batch
from style_transfer.models.piano_ddsp import one_shot
from style_transfer.models.piano_ddsp import playing as generation
from style_transfer.models.piano_ddsp.options import Options
from style_transfer.piano_roll import Pedals
from style_transfer.synthesis import una_corda
from tests import pianos

RATE = 24_000
UP = (np.zeros(0), np.zeros(0, np.float32))


def controls(aftersound=0.2):
    """Controls of one note of 16 partials."""
    shape = (1, 1, 16)
    return {"amplitude": np.ones(shape, np.float32), "decay": np.full(shape, 3, np.float32),
            "aftersound": np.full(shape, aftersound, np.float32),
            "noise": np.ones((1, 1, 4, 6), np.float32)}


def softened(position, **options):
    """The note's controls with the pedal at a position, as NumPy arrays."""
    made = una_corda.soften(controls(), np.array([[position]], np.float32), **options)
    return {name: ops.convert_to_numpy(value) for name, value in made.items()}


def test_prompt_sound_of_the_lowest_partial_loses_what_was_asked_for():
    made = softened(1.0, soft_pedal_db=3.0)
    prompt = made["amplitude"] * (1 - made["aftersound"])
    assert 20 * np.log10(prompt[0, 0, 0] / 0.8) == pytest.approx(-3.0, abs=1e-3)


def test_aftersound_of_the_lowest_partial_stays():
    made = softened(1.0, soft_pedal_db=3.0)
    assert (made["amplitude"] * made["aftersound"])[0, 0, 0] == pytest.approx(0.2, rel=1e-5)


def test_each_octave_of_partials_loses_a_third_more():
    level = 20 * np.log10(softened(1.0, soft_pedal_db=3.0)["amplitude"][0, 0])
    np.testing.assert_allclose(level[[1, 3, 7, 15]] - level[0], [-1, -2, -3, -4], atol=1e-3)


def test_a_pedal_that_is_up_changes_nothing_and_one_half_down_half_as_much():
    np.testing.assert_allclose(softened(0.0)["amplitude"], 1.0)
    half, whole = (softened(p)["noise"] for p in (0.5, 1.0))
    np.testing.assert_allclose(half**2, whole, rtol=1e-5)


@pytest.mark.parametrize("value", [-1.0, 13.0, float("nan")])
def test_impossible_sizes_are_refused(value):
    with pytest.raises(ValueError, match="soft_pedal_db"):
        una_corda.check(value)


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model.__wrapped__()  # a test changes its weights


def two_notes(is_down=True):
    """Two equal notes, the second with the soft pedal down or not."""
    pedals = Pedals(UP, UP, (np.array([0.9]), np.array([float(is_down)], np.float32)))
    return dataclasses.replace(pianos.notes((30, 0.8, 0.1, 0.8), (30, 0.8, 1.0, 1.8)),
                               pedals=pedals)


def played(model, is_down, soft_pedal_db):
    """The notes, by nets that do not hear the pedal."""
    model.roll_dense.kernel.assign(0 * model.roll_dense.kernel)
    piano = pianos.piano(soft_pedal_db=soft_pedal_db)
    return np.concatenate(list(generation.play(model, piano, two_notes(is_down))))


def level_and_centroid(samples, start):
    """RMS in dB and spectral centroid in Hz of half a second."""
    part = samples[int(start * RATE): int((start + 0.5) * RATE)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    hz = np.fft.rfftfreq(len(part), 1 / RATE)
    return 10 * np.log10(np.mean(part**2)), np.sum(hz * power) / np.sum(power)


def test_a_note_with_soft_pedal_is_softer_and_darker_the_one_before_it_is_not(model):
    down, up = played(model, True, 4.0), played(model, False, 4.0)
    np.testing.assert_allclose(down[: int(0.95 * RATE)], up[: int(0.95 * RATE)], atol=1e-6)
    (level, centroid), (plain_level, plain_centroid) = (
        level_and_centroid(audio, 1.0) for audio in (down, up))
    assert -8 < level - plain_level < -2
    assert centroid < 0.95 * plain_centroid


def test_zero_turns_it_off(model):
    np.testing.assert_allclose(played(model, True, 0.0), played(model, False, 0.0), atol=1e-6)


def second_over_first(samples):
    """Level of the second note over the first, dB."""
    return level_and_centroid(samples, 1.0)[0] - level_and_centroid(samples, 0.1)[0]


def own_piano(model):
    """A piano that the model accepts as estimated with its weights."""
    return pianos.piano(weights=getattr(model, "weights_name", ""))


def test_transfer_takes_it_by_default_and_turns_it_off_when_told(model):
    by_default, off = (second_over_first(one_shot.transfer(
        two_notes(), own_piano(model), model=model, **options).samples)
        for options in ({}, {"soft_pedal_db": 0.0}))
    assert by_default < off - 1
    with pytest.raises(ValueError, match="soft_pedal_db"):
        one_shot.transfer(two_notes(), own_piano(model), model=model, soft_pedal_db=-1.0)


def test_batch_plays_a_saved_piano_with_the_soft_pedal_of_its_options(model, tmp_path):
    own_piano(model).save(tmp_path / "a.piano")
    piano = one_shot.estimate_piano(str(tmp_path / "a.piano"), model=model)
    levels = []
    for size in (0.0, 6.0):
        options = Options(content=(), style="", output_dir="", soft_pedal_db=size)
        batch.play_to_file(tmp_path / "out.wav", piano, two_notes(), model, options,
                           report=lambda *args, **kwargs: None)
        levels.append(second_over_first(audio.load(tmp_path / "out.wav").samples))
    assert levels[1] < levels[0] - 3
