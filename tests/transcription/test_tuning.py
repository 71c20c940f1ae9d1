import numpy as np
import pytest

from style_transfer.transcription import tuning
from tests.transcription import tone_transcriber

RATE = 16_000
PITCHES = [45, 52, 57, 61, 64, 69, 73, 76]


def piano(cents, stiffness=3e-4, partials=8, secs=0.5):
    """Tones with stretched partials, one after the other, `cents` above concert pitch."""
    time = np.arange(int(secs * RATE)) / RATE
    number = np.arange(1, partials + 1)[:, None]
    parts = []
    for pitch in PITCHES:
        hz = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
        hz = hz * number * np.sqrt(1 + stiffness * number ** 2)
        tone = np.exp(-3 * time) * np.sin(2 * np.pi * hz * time) / number
        parts.append(0.2 * tone.sum(axis=0))
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("cents", [-45, -30, -8, 0, 12, 45])
def test_the_deviation_from_concert_pitch_is_found(cents):
    found, agreement = tuning.deviation_cents(piano(cents), RATE)
    assert found == pytest.approx(cents, abs=4) and agreement > 0.6


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_the_rate_of_the_recording_does_not_matter(rate):
    samples = tone_transcriber.tones(PITCHES, rate=rate)
    assert tuning.deviation_cents(samples, rate)[0] == pytest.approx(0, abs=2)


def test_recordings_near_concert_pitch_are_left_as_they_are():
    assert tuning.speed_into_tune(piano(5), RATE) == 1.0
    speed = tuning.speed_into_tune(piano(40), RATE)
    assert 1200 * np.log2(speed) == pytest.approx(-40, abs=4)


@pytest.mark.parametrize("samples", [
    np.zeros(20_000, np.float32), np.zeros(100, np.float32),
    np.random.default_rng(0).standard_normal(60_000).astype(np.float32)])
def test_what_has_no_clear_pitch_is_left_as_it_is(samples):
    assert tuning.speed_into_tune(samples, RATE) == 1.0
