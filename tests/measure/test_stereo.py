"""A stereo image is measured back from clips that were made with a known one."""

import numpy as np
import pytest

from style_transfer import strings
from style_transfer.measure import stereo
from tests.measure.test_analysis import table

RATE = 44_100
F0_HZ = strings.equal_temperament_hz()
STIFFNESS = np.full(88, 2e-4)
KEYS = (18, 40, 62)


def clip(gains_db, phase=0.0, noise_db=-80.0, seed=0):
    """Left and right of lone notes of `KEYS`, each so much louder on the left, dB.

    Partials on the right are `phase` radians, up or down, behind those on the left.
    """
    rng = np.random.default_rng(seed)
    notes = table(KEYS * 3, np.arange(9) * 1.1 + 0.1, np.full(9, 1.0))
    out = rng.standard_normal((int(10.5 * RATE), 2)) * 10 ** (noise_db / 20)
    for key, onset in zip(notes.key, notes.onset_secs, strict=True):
        time = np.arange(RATE) / RATE
        gain = 10 ** (gains_db[KEYS.index(key)] / 40)
        for k in range(1, 25):
            hz = strings.partial_hz(F0_HZ[key], STIFFNESS[key], k)
            if hz < 10_000:
                angle = 2 * np.pi * hz * time + rng.uniform(0, 2 * np.pi)
                level = 0.05 / k * np.exp(-time * (1 + k / 4))
                start = int(onset * RATE)
                lag = phase * rng.choice([-1, 1])
                out[start:start + RATE, 0] += gain * level * np.sin(angle)
                out[start:start + RATE, 1] += level / gain * np.sin(angle - lag)
    return out.astype(np.float32), notes


def measured(samples, notes):
    return stereo.measure(samples, RATE, notes, F0_HZ, STIFFNESS)


def level_difference_db(image, key, hz):
    c = image.partials(np.array([key]), np.array([hz]), 1.0)[0]
    return 20 * np.log10(np.abs(1 + c) / np.abs(1 - c))


def correlation(image, key, hz):
    c = image.partials(np.array([key]), np.array([hz]), 1.0)[0]
    return ((1 + c) * np.conj(1 - c)).real / np.abs((1 + c) * (1 - c))


def test_level_differences_by_register_are_measured_back():
    gains_db = (6.0, 0.0, -4.0)
    image = measured(*clip(gains_db))
    for key, expected in zip(KEYS, gains_db, strict=True):
        for k in (1, 3):
            found = level_difference_db(image, key, k * F0_HZ[key])
            assert found == pytest.approx(expected, abs=1.0), (key, k)
            assert correlation(image, key, k * F0_HZ[key]) > 0.95


@pytest.mark.parametrize("phase", [0.5, np.pi / 2, 2.0])
def test_the_channels_correlation_is_measured_back(phase):
    image = measured(*clip((0.0, 0.0, 0.0), phase))
    for key in KEYS:
        assert correlation(image, key, 2 * F0_HZ[key]) == pytest.approx(np.cos(phase), abs=0.1)


def test_what_is_no_partial_is_the_ambience():
    samples, notes = clip((0.0, 0.0, 0.0), noise_db=-40.0)  # of independent channels
    image = measured(samples, notes)
    assert image.ambience[5:] == pytest.approx(1.0, abs=0.2)
    assert np.max(image.width[3]) < 0.1


def test_no_notes_give_one_image_for_all_keys():
    samples, _ = clip((6.0, 6.0, 6.0))
    image = measured(samples, None)
    assert np.ptp(image.width, axis=0).max() < 1e-6
    assert np.all(image.pan == 0)


def test_channels_that_are_one_or_cancel_have_no_image():
    samples, notes = clip((0.0, 0.0, 0.0), noise_db=-120.0)
    one = np.repeat(samples[:, :1], 2, axis=1)
    assert measured(one, notes) is None
    assert measured(one * np.float32([1, -0.9]), notes) is None
    assert measured(one * np.float32([1, 0]), notes) is None
    assert measured(samples * np.float32([1, 0.5]), notes) is not None


def test_the_default_image_is_wider_above_and_has_the_bass_on_the_left():
    image = stereo.default_image()
    assert level_difference_db(image, 0, 200.0) == pytest.approx(2.1, abs=0.2)
    assert level_difference_db(image, 87, 200.0) == pytest.approx(-2.1, abs=0.2)
    assert correlation(image, 40, 80.0) > 0.85 > 0.6 > correlation(image, 40, 10_000.0) > 0.4
