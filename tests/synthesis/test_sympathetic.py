"""Strings that ring along: held to the equations of motion that they solve."""

import dataclasses

import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.models.piano_ddsp import playing
from style_transfer.synthesis import sympathetic
from tests import pianos

SLOW, FAST, PROMPT = 0.8, 3.0, 2.5  # decays in nepers/s
DRIVER_HZ = 440.0


def one_string(beat_hz):
    return sympathetic.Strings(*(np.array([value]) for value in (
        DRIVER_HZ + beat_hz, 60, 2, SLOW, PROMPT, 9.0)))


def driver(**changes):
    values = {"key": 36, "frequency_hz": DRIVER_HZ, "amplitude": 0.1, "decay": FAST,
              "aftersound": 0.0, "aftersound_decay": FAST, "onset": 1.0, "until": 3.0}
    return {name: np.array([value]) for name, value in {**values, **changes}.items()}


def always(key=60):
    return sympathetic.Openings(np.array([key]), np.array([0.0]), np.array([9.0]))


def driven(beat_hz, coupling, time):
    """Level of a string that is driven from rest, by integration, without what only follows."""
    step, state, own = 1e-4, 0j, []
    for t in np.arange(0, time[-1] + step, step):
        own.append(state)
        force = coupling * PROMPT * 0.1 * np.exp((-FAST + 0j) * t)
        state += step * ((-SLOW + 2j * np.pi * beat_hz) * state + force)
    whole = np.interp(time, np.arange(len(own)) * step, np.array(own))
    forced = coupling * PROMPT * 0.1 / (SLOW - FAST - 2j * np.pi * beat_hz) * np.exp(-FAST * time)
    return np.abs(whole - forced), np.abs(whole)


def played(answer, time):
    rise = 1 - np.exp(-time / answer["attack_secs"][0])
    return answer["amplitude"][0] * np.exp(-answer["decay"][0] * time) * rise


@pytest.mark.parametrize("beat_hz", [0.0, 0.5, 3.0])
def test_an_answer_dies_away_as_a_driven_string_does(beat_hz):
    coupling, time = 0.8, np.linspace(0, 2, 50)
    found = sympathetic.answers(driver(), one_string(beat_hz), always(), coupling, 1e-6)
    assert found["frequency_hz"] == pytest.approx([DRIVER_HZ + beat_hz])
    free, whole = driven(beat_hz, coupling, time)
    late = time > 1.2
    np.testing.assert_allclose(played(found, time)[late], free[late], rtol=0.1)
    if not beat_hz:  # from the beginning on
        np.testing.assert_allclose(played(found, time), whole, atol=1e-3)


def test_the_own_key_far_strings_and_weak_couplings_answer_nothing():
    for struck, string, coupling in ((driver(key=60), one_string(0.0), 0.5),
                                     (driver(), one_string(30.0), 0.5),
                                     (driver(), one_string(3.0), 0.01)):
        assert not len(sympathetic.answers(struck, string, always(), coupling, 1e-6)["onset"])


def test_a_string_answers_from_when_its_damper_is_lifted_until_it_falls():
    opened = sympathetic.Openings(np.array([60, 60, 61]), np.array([0.0, 1.5, 1.0]),
                                  np.array([0.9, 2.5, 9.0]))
    found = sympathetic.answers(driver(), one_string(0.0), opened, 0.5, 1e-6)
    assert found["onset"].tolist() == [1.5] and found["damped"].tolist() == [2.5]
    early = sympathetic.answers(driver(), one_string(0.0), always(), 0.5, 1e-6)
    assert found["amplitude"] == pytest.approx(early["amplitude"] * np.exp(-FAST * 0.5))


def test_openings_are_held_keys_the_pedal_and_keys_without_dampers():
    table = pianos.notes((10, 0.5, 0.0, 1.0), (10, 0.5, 0.5, 2.0), (80, 0.5, 0.0, 0.1))
    times = np.array([3.0, 4.0])
    pedals = piano_roll.Pedals((times, np.array([1.0, 0.0], np.float32)),
                               *piano_roll.no_pedals()[1:])
    opened = sympathetic.Openings.of(dataclasses.replace(table, pedals=pedals))
    spans = {key: np.column_stack([opened.start, opened.end])[opened.key == key].tolist()
             for key in (10, 11, 80)}
    end = sympathetic.ALWAYS_SECS
    assert spans == {10: [[0, 2], [3, 4]], 11: [[3, 4]], 80: [[-end, end]]}
    asks, opening = opened.during(np.array([11, 10, 80, 10]), np.array([0.0, 0.0, 7.0, 5.0]),
                                  np.array([2.0, 3.5, 8.0, 6.0]))
    assert asks.tolist() == [1, 1, 2]
    assert opened.key[opening].tolist() == [10, 10, 80]


def test_a_key_that_is_held_silently_rings_with_what_is_struck_and_only_if_they_are_coupled():
    model = pianos.tiny_model()
    # The third harmonic of key 20 is the second of key 27, a fifth higher.
    struck = (20, 0.9, 1.0, 1.3)

    def ringing(held, coupling):
        """Level after the struck key's damper has fallen."""
        table = pianos.notes(struck, *([(27, 1e-3, 0.2, 3.0)] if held else []))
        samples = np.concatenate(list(playing.play(model, pianos.piano(coupling=coupling), table)))
        late = samples[int(1.9 * 24_000):int(2.4 * 24_000)]
        spectrum = np.abs(np.fft.rfft(late * np.hanning(len(late))))
        hz = np.fft.rfftfreq(len(late), 1 / 24_000)
        near = np.abs(hz - 2 * pianos.EQUAL_HZ[27]) < 6
        return spectrum[near].max()

    assert ringing(True, 1.0) > 5 * max(ringing(True, 0.0), ringing(False, 1.0))


@pytest.mark.parametrize("channels", [1, 2])
def test_coupled_strings_do_not_depend_on_chunks(channels):
    model = pianos.tiny_model()
    table = pianos.random_notes(20, 3)
    piano = pianos.piano(coupling=0.5)
    whole, parts = (np.concatenate(list(playing.play(model, piano, table, channels=channels,
                                                     chunk_nodes=nodes))) for nodes in (900, 70))
    count = min(len(whole), len(parts))
    plain = np.concatenate(list(playing.play(model, pianos.piano(), table, channels=channels,
                                             chunk_nodes=900)))
    rms = np.sqrt(np.mean(np.square(whole)))
    assert np.sqrt(np.mean(np.square(whole[:count] - parts[:count]))) < 1e-3 * rms
    assert np.sqrt(np.mean(np.square(whole - plain))) > 0.02 * rms
