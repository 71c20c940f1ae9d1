"""Dampers that touch by half, and a clock that stands still while they are lifted."""

import dataclasses

import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.synthesis import dampers, fast_modal
from tests import pianos

NEVER = np.zeros(0), np.zeros(0, np.float32)


def pedalled(table, *moves, sostenuto=NEVER):
    """The table with a sustain pedal of moves (time, position)."""
    times, positions = (np.array(column, float) for column in zip(*moves, strict=True))
    pedals = piano_roll.Pedals((times, positions.astype(np.float32)), sostenuto, NEVER)
    return dataclasses.replace(table, pedals=pedals)


def test_a_pedal_that_is_only_up_and_down_has_no_clock():
    table = pianos.notes((40, 0.5, 0.0, 1.0))
    assert dampers.clock(table) is None
    assert dampers.clock(pedalled(table, (0.5, 1.0), (2.0, 0.0))) is None


def test_the_clock_stops_while_dampers_are_lifted_and_runs_slowly_while_they_touch_by_half():
    table = pianos.notes((40, 0.5, 0.0, 1.0, 4.0))
    clock = dampers.clock(pedalled(table, (1.0, 1.0), (2.0, 0.5), (4.0, 0.1)))
    shown = clock.at(np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]))
    np.testing.assert_allclose(shown, [0, 1, 1, 1, 1.5, 2, 4], atol=1e-6)
    np.testing.assert_allclose(clock.when(np.array([0.5, 1.25, 2.5])), [0.5, 2.5, 4.5], atol=1e-6)


def test_notes_that_are_struck_again_or_held_by_sostenuto_do_not_follow_it():
    table = pianos.notes((40, 0.5, 0.0, 0.4, 1.0), (40, 0.5, 1.0, 1.2), (50, 0.5, 0.0, 0.5))
    assert dampers.followers(table).tolist() == [False, True, True]
    held = pedalled(table, (0.0, 0.5), sostenuto=(np.array([0.2]), np.ones(1, np.float32)))
    assert not dampers.followers(held).any()
    assert len(dampers.followers(table.select(np.zeros(3, bool)))) == 0


def test_the_bank_damps_by_the_clock_and_by_time_as_each_oscillator_has_it():
    rate, hop, nodes = 24_000, 128, 300
    bank = fast_modal.OscillatorBank(hop, rate)
    table = pianos.notes((40, 0.5, 0.0, 0.3, 1.2))
    clock = dampers.clock(pedalled(table, (0.2, 0.5), (0.7, 1.0), (0.9, 0.0)))
    follows = np.array([True, False])
    osc = {name: np.full(2, value, np.float32) for name, value in {
        "amplitude": 0.1, "decay": 1.0, "aftersound": 0.0, "aftersound_decay": 1.0, "beat_hz": 0.0,
        "attack_secs": 1e-4, "damping": 8.0, "phase": 0.0, "frequency_hz": 1000.0}.items()}
    osc |= {"onset": np.zeros(2), "end": np.full(2, 9.0), "follows": follows,
            "damped": np.array([clock.at(0.3), 0.5])}
    osc["bins"], osc["weights"] = bank.bins(osc["frequency_hz"])
    time = np.arange(nodes * hop) / rate
    for row, late in enumerate((np.maximum(clock.at(time) - clock.at(0.3), 0),
                                np.maximum(time - 0.5, 0))):
        one = {name: value[row:row + 1] for name, value in osc.items()}
        made = bank.sum(one, 0, nodes, clock)[0]
        level = np.sqrt(np.mean(np.square(made.reshape(-1, 240)), axis=1)) * np.sqrt(2)
        wanted = (0.1 * np.exp(-time - 8.0 * late)).reshape(-1, 240).mean(axis=1)
        np.testing.assert_allclose(level[2:], wanted[2:], rtol=0.02)


@pytest.mark.parametrize("chunk_nodes", [50, 400])
def test_half_a_pedal_lets_notes_ring_for_longer_than_none_and_shorter_than_a_whole_one(
        chunk_nodes):
    model, piano = pianos.shipped()
    note = pianos.notes((30, 0.8, 0.1, 0.4))

    def left(position, half_pedal=True):
        from style_transfer.models.piano_ddsp import playing

        down = position >= piano_roll.PEDAL_DOWN / 127
        table = dataclasses.replace(note, damped_secs=np.array([1.5 if down else 0.4]))
        table = pedalled(table, (0.0, position), (1.5, 0.0))
        samples = np.concatenate(list(playing.play(
            model, piano.with_effects(half_pedal=half_pedal), table, chunk_nodes=chunk_nodes)))
        return np.sqrt(np.mean(np.square(samples[24_000 * 8 // 10:24_000 * 12 // 10])))

    none, half, more, whole = (left(position) for position in (0.0, 0.45, 0.55, 1.0))
    assert none < 0.7 * half < 0.7 * more < 0.9 * whole
    assert left(0.45, half_pedal=False) == pytest.approx(none, rel=0.02)
    assert left(0.55, half_pedal=False) == pytest.approx(whole, rel=0.02)
