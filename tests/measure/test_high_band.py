"""Levels above the nets' band, of clips that have known ones."""

import numpy as np
import pytest
import scipy.signal

from style_transfer.audio import Audio
from style_transfer.measure import high_band
from style_transfer.models.piano_ddsp import net

RATE = 44_100
CENTRES_HZ = high_band.LOW_HZ + high_band.BAND_HZ * (np.arange(high_band.NUM_BANDS) + 0.5)


def blows(seed, secs=8):
    """White noise that dies away after each of three blows a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(secs * RATE) % (RATE // 3) / RATE
    return rng.standard_normal(secs * RATE) * np.exp(-time / 0.05)


def measured(samples):
    return high_band.measure(*(Audio(np.float32(x), RATE) for x in (samples, blows(1))))


def test_the_band_begins_where_the_nets_end():
    assert high_band.LOW_HZ == net.HIGH_HZ


@pytest.mark.parametrize("level_db", [-20.0, 0.0, 12.0])
def test_levels_are_measured_back(level_db):
    found = measured(blows(0) * 10 ** (level_db / 20))
    assert found == pytest.approx(np.full(high_band.NUM_BANDS, level_db), abs=1.0)


def test_hiss_is_no_part_of_them():
    hiss = 0.05 * np.random.default_rng(2).standard_normal(8 * RATE)
    assert measured(blows(0) + hiss) == pytest.approx(np.zeros(high_band.NUM_BANDS), abs=1.5)
    assert np.all(measured(hiss) == high_band.NOTHING_DB)


def test_nothing_is_where_a_low_pass_left_nothing():
    taps = scipy.signal.firwin(801, 16_000, fs=RATE, window=("kaiser", 12))
    found = measured(scipy.signal.oaconvolve(blows(0), taps, mode="same"))
    assert np.all(found[CENTRES_HZ > 16_400] == high_band.NOTHING_DB)
    assert found[CENTRES_HZ < 15_400] == pytest.approx(0.0, abs=1.0)
    assert np.all(high_band.gains(found, np.array([16_600.0, 19_000.0])) == 0)


def test_gains_are_those_of_the_bands_and_end_with_them():
    level = np.arange(high_band.NUM_BANDS, dtype=np.float32) - 10
    found = high_band.gains(level, np.array([100.0, 11_499.0, 11_600.0, 12_100.0, 20_001.0]))
    np.testing.assert_allclose(found, [1, 1, 0.1, 10**-0.9, 0], rtol=1e-5)
    assert np.all(high_band.gains((), CENTRES_HZ) == 0)
