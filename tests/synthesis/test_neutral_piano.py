import numpy as np
import pytest

from style_transfer import piano_roll, strings
from style_transfer.synthesis import neutral_piano

RATE = 16_000


def table(keys, velocities, onsets, ends):
    return piano_roll.NoteTable(np.array(keys, np.int32), np.array(velocities, np.float32),
                                np.array(onsets), np.array(ends), np.array(ends))


def level(audio, first_secs, last_secs):
    return np.sqrt(np.mean(audio.samples[int(first_secs * RATE):int(last_secs * RATE)] ** 2))


@pytest.mark.parametrize("key", [0, 24, 48, 87])
def test_notes_sound_at_their_pitch(key):
    played = neutral_piano.play(table([key], [0.8], [0.0], [1.5]), RATE).samples
    spectrum = np.abs(np.fft.rfft(played[:RATE] * np.hanning(RATE)))
    hz = 27.5 * 2 ** (key / 12)
    near = spectrum[round(hz) - 2:round(hz) + 3].max()
    assert near > 0.5 * spectrum.max()


def test_a_note_is_the_sum_of_its_partials():
    key, velocity, secs = 30, 0.8, np.arange(3 * RATE) / RATE
    played = neutral_piano.play(table([key, key], [velocity, 0.3], [0.0, 9.0], [3.0, 9.1]), RATE)
    order = np.arange(1, neutral_piano.PARTIALS + 1)[:, None]
    hz = strings.partial_hz(27.5 * 2 ** (key / 12), neutral_piano._INHARMONICITY, order)
    low, high = neutral_piano._SUSTAIN_SECS
    decay = np.sqrt(order) / (low * (high / low) ** (key / 87))
    wave = (order ** -neutral_piano._TILT * np.exp(-secs * decay) * np.sin(2 * np.pi * hz * secs)
            * (hz < RATE / 2)).sum(0) * (1 - np.exp(-secs / neutral_piano._ATTACK_SECS))
    expected = neutral_piano._AMPLITUDE * velocity ** 2 * wave
    np.testing.assert_allclose(played.samples[:len(secs)], expected, atol=2e-6)


def test_notes_sound_while_they_are_held_and_louder_when_struck_harder():
    played = neutral_piano.play(table([40, 40], [0.9, 0.3], [0.5, 2.5], [1.5, 3.5]), RATE)
    assert played.duration_secs == pytest.approx(3.5 + neutral_piano.TAIL_SECS, abs=0.01)
    assert level(played, 0.0, 0.5) == 0
    assert level(played, 0.55, 1.4) > 5 * level(played, 2.55, 3.4) > 0
    assert level(played, 1.9, 2.5) < 1e-3 * level(played, 0.55, 1.4)
