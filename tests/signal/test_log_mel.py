import numpy as np
import pytest

from style_transfer.signal import log_mel

RATE = log_mel.SAMPLE_RATE


def tone(hz, secs=1.0, amplitude=0.2):
    time = np.arange(round(secs * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype("f")[None]


def test_frames_are_whole_hops_and_stand_in_their_middle():
    for samples in (1, 256, 257, 1000):
        expected = log_mel.num_frames(samples)
        assert log_mel.of_audio(np.zeros((1, samples), "f")).shape == (1, expected, 160)
    click = np.zeros((1, 40 * 256), "f")
    click[0, 20 * 256 + 128] = 1.0
    level = np.asarray(log_mel.of_audio(click))[0].mean(axis=1)
    assert level.argmax() == 20
    np.testing.assert_allclose(level[20 - np.arange(4)], level[20 + np.arange(4)], atol=1e-3)


def test_silence_is_the_floor_and_a_louder_tone_is_higher_by_its_gain():
    assert np.allclose(log_mel.of_audio(np.zeros((1, 4096), "f")), log_mel.SILENCE)
    loud, soft = (np.asarray(log_mel.of_audio(tone(1000, amplitude=a)))[0, 30].max()
                  for a in (0.4, 0.2))
    assert loud - soft == pytest.approx(np.log(2), abs=1e-3)
    assert np.allclose(log_mel.unscaled(log_mel.scaled(3.0)), 3.0)


@pytest.mark.parametrize("hz", [110.0, 440.0, 3000.0])
def test_the_highest_band_is_that_of_the_tone(hz):
    bands = np.asarray(log_mel.of_audio(tone(hz)))[0, 30]
    hz_of_bands = (log_mel.matrix() * np.fft.rfftfreq(2048, 1 / RATE)[:, None]).sum(0)
    hz_of_bands /= log_mel.matrix().sum(0)
    assert hz_of_bands[bands.argmax()] == pytest.approx(hz, abs=0.02 * hz + 8)


def test_magnitudes_found_for_mel_bands_have_these_bands():
    given = log_mel.of_audio(tone(300) + tone(1234))
    again = log_mel.of_magnitude(log_mel.to_magnitude(given))
    assert np.abs(np.asarray(again) - np.asarray(given))[0, 5:-5].mean() < 0.05


def test_updates_of_magnitudes_are_those_of_the_source():
    given, filters = np.asarray(log_mel.of_audio(tone(300, 0.1))), log_mel.matrix()
    wanted = np.maximum(np.exp(given) - log_mel.FLOOR, 0) @ filters.T
    expected = wanted
    for _ in range(5):
        expected = expected * wanted / (expected @ (filters @ filters.T) + 1e-12)
    found = np.asarray(log_mel.to_magnitude(given, 5))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_griffin_lim_gives_back_a_tone_and_more_rounds_are_nearer():
    audio = tone(441.3, 0.6)
    magnitude = np.asarray(log_mel.linear(audio))
    errors = []
    for rounds in (2, 30):
        made = np.asarray(log_mel.griffin_lim(magnitude, rounds))
        assert made.shape[1] == magnitude.shape[1] * 256
        errors.append(np.abs(np.asarray(log_mel.linear(made)) - magnitude).mean())
    assert errors[1] < 0.6 * errors[0]
