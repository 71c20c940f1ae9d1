"""Each baseline does to synthetic signals what it is there for."""

import numpy as np
import pytest
from scipy import signal

from style_transfer.audio import Audio
from style_transfer.evaluation import baselines, metrics
from tests.evaluation import evaluation_signals as signals

RATE = 24_000


def played(tilt=1.0, notes=signals.MELODY, secs=2.0, decay=3.0):
    return Audio(signals.tones(notes, secs, RATE, tilt=tilt, decay=decay), RATE)


def distance(ours, true):
    reference = metrics.Clip(true)
    return metrics.log_mel_l1(metrics.Clip(ours, len(reference.samples)), reference, 60.0)


def test_match_eq_brings_a_dull_piano_near_a_bright_one():
    dull, bright = played(tilt=2.0), played(tilt=0.8)
    matched = baselines.match_eq(dull, bright)
    assert len(matched.samples) == len(dull.samples)
    assert distance(matched, bright) < 0.5 * distance(dull, bright)


def test_match_eq_takes_the_difference_from_the_source_if_given():
    other = ((0.1, 72, 0.9, 0.9), (0.9, 76, 0.7, 1.8))
    dull, bright = played(tilt=2.0), played(tilt=0.8)
    source, style = played(2.0, other), played(0.8, other)
    by_source = baselines.match_eq(dull, style, source)
    by_itself = baselines.match_eq(dull, style)
    assert distance(by_source, bright) < distance(by_itself, bright)


def test_eq_curve_finds_a_known_filter():
    noise = Audio(0.1 * signals.noise(5 * RATE), RATE)
    taps = signal.firwin2(501, [0, 500, 1000, RATE / 2], [2.0, 2.0, 0.5, 0.5], fs=RATE)
    filtered = Audio(signal.lfilter(taps, 1, noise.samples), RATE)
    frequencies_hz, gain_db = baselines.eq_curve(noise, filtered, RATE)
    low = gain_db[(frequencies_hz > 100) & (frequencies_hz < 400)]
    high = gain_db[frequencies_hz > 1500]
    assert low.mean() - high.mean() == pytest.approx(20 * np.log10(4), abs=0.5)
    assert high.std() < 0.5


def test_match_eq_keeps_to_its_limit():
    dull, bright = played(tilt=6.0), played(tilt=0.1)
    gain_db = baselines.eq_curve(dull, bright, RATE)[1]
    assert np.abs(gain_db).max() == baselines.EQ_LIMIT_DB
    assert np.abs(baselines.eq_curve(dull, bright, RATE, limit_db=6)[1]).max() == 6


def test_match_eq_does_not_move_onsets():
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 1
    filtered = baselines.match_eq(Audio(click, RATE), played(tilt=0.8), played(tilt=2.0))
    assert np.argmax(np.abs(filtered.samples)) == RATE // 2


@pytest.mark.parametrize("same_notes", [True, False])
def test_the_nearest_piano_is_the_one_that_made_the_clip(same_notes):
    notes = signals.MELODY if same_notes else ((0.1, 62, 0.7, 0.8), (0.6, 65, 0.9, 1.8))
    pianos = {f"tilt {tilt}": played(tilt, notes) for tilt in (0.6, 1.0, 1.6, 2.4)}
    name, distances = baselines.nearest_piano(played(1.5), pianos, same_notes)
    assert name == "tilt 1.6"
    assert set(distances) == set(pianos)


def test_the_nearest_of_no_pianos_is_an_error():
    with pytest.raises(ValueError, match="--baseline_pianos"):
        baselines.nearest_piano(played(), {}, True)


def test_a_looped_clip_repeats_without_clicks():
    tone = Audio(0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE), RATE)
    looped = baselines.looped(tone, 3 * RATE, RATE)
    assert len(looped.samples) == 3 * RATE
    np.testing.assert_array_equal(looped.samples[:RATE // 2], tone.samples[:RATE // 2])
    steepest = np.abs(np.diff(tone.samples)).max()
    assert np.abs(np.diff(looped.samples)).max() < 1.5 * steepest
    assert np.abs(looped.samples[-RATE:]).max() > 0.4


@pytest.mark.parametrize("num_samples", [10, RATE - 7, 4 * RATE + 1])
def test_a_looped_clip_has_the_length_asked_for(num_samples):
    assert len(baselines.looped(played(secs=1.0), num_samples, RATE).samples) == num_samples


def test_noise_is_forty_decibels_under_the_truth_and_seeded():
    true = played()
    noisy = baselines.with_noise(true, seed=4)
    ratio = np.mean((noisy.samples - true.samples) ** 2) / np.mean(true.samples ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(-40, abs=0.2)
    np.testing.assert_array_equal(noisy.samples, baselines.with_noise(true, seed=4).samples)
    assert np.any(noisy.samples != baselines.with_noise(true, seed=5).samples)
