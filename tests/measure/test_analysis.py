"""Recovery: a piano is synthesized with known numbers, and they are measured back."""

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import strings
from style_transfer.audio import Audio
from style_transfer.measure import analysis
from style_transfer.measure import tuning_fit as tuning_fit_lib
from style_transfer.piano_roll import NoteTable

SAMPLE_RATE = 24_000
KEYS = np.arange(88)


def cents(measured, true):
    return 1200 * np.log2(np.asarray(measured, np.float64) / true)


def table(keys, onsets, lengths, velocities=None):
    order = np.argsort(onsets)
    keys, onsets, lengths = (np.asarray(v)[order] for v in (keys, onsets, lengths))
    velocities = np.full(len(keys), 0.7) if velocities is None else np.asarray(velocities)[order]
    ends = onsets + lengths
    for key in np.unique(keys):  # one string: struck again, the earlier note ends
        rows = np.flatnonzero(keys == key)
        ends[rows[:-1]] = np.minimum(ends[rows[:-1]], onsets[rows[1:]])
    return NoteTable(keys.astype(np.int32), velocities.astype(np.float32),
                     onsets.astype(np.float64), ends, ends)


def chords(secs=6.0, seed=0, low=10, high=64):
    """About five notes a second between `low` and `high`, four or so at once."""
    rng = np.random.default_rng(seed)
    count = int(5 * secs)
    return table(rng.integers(low, high, count), rng.uniform(0, secs - 0.5, count),
                 rng.uniform(0.3, 1.2, count), rng.uniform(0.3, 1, count))


def play(notes, f0_hz, inharmonicity, secs, noise_db=-60.0, seed=0, decay_db_per_sec=None):
    """Additive synthesis with random partial levels, two-stage decay, beating and noise."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(int(secs * SAMPLE_RATE))
    for key, velocity, onset, end in zip(notes.key, notes.velocity, notes.onset_secs,
                                         notes.damped_secs, strict=True):
        start = int(onset * SAMPLE_RATE)
        t = np.arange(min(len(samples) - start, int((end - onset + 0.3) * SAMPLE_RATE)))
        t = t / SAMPLE_RATE
        damper = np.exp(-20 * np.maximum(t - (end - onset), 0))
        partial = np.arange(1, 31)
        freq = partial * f0_hz[key] * np.sqrt(1 + inharmonicity[key] * partial**2)
        for k, hz in zip(partial[freq < 8e3], freq[freq < 8e3], strict=True):
            level = 10 ** (-(6 * np.log2(k) + 4 * hz / 1000 + rng.uniform(0, 8)) / 20)
            rate = (1 + 0.03 * key) * (1 + 0.15 * k)
            fading = 0.7 * np.exp(-rate * t) + 0.3 * np.exp(-rate * t / 4)
            spread = 2 ** (rng.uniform(0, 0.7) / 1200)
            if decay_db_per_sec is not None:
                fading, spread = 10 ** (-decay_db_per_sec * t / 20), 1.0
            tone = sum(np.sin(2 * np.pi * hz * detune * t + rng.uniform(0, 6.28))
                       for detune in (spread, 1 / spread))
            samples[start:start + len(t)] += velocity**1.5 * level * fading * damper * tone
    samples *= 0.5 / max(np.abs(samples).max(), 1e-9)
    samples += 10 ** (noise_db / 20) * rng.standard_normal(len(samples))
    return Audio(samples.astype(np.float32), SAMPLE_RATE)


def piano(offset=0.0, stretch=0.0, stiffness=1.0, residual=0.0, seed=0):
    """f0 and B of 88 keys; `residual` cents of deviation shared by three keys each."""
    rng = np.random.default_rng(seed)
    deviation = offset + stretch * ((KEYS - 48) / 40) ** 3
    deviation = deviation + np.repeat(rng.normal(0, 1, 30), 3)[:88] * residual
    f0 = strings.equal_temperament_hz() * 2 ** (deviation / 1200)
    return f0, tuning_fit_lib.typical_inharmonicity() * stiffness


PIANOS = {
    "as it should be": {},
    "40 cents sharp, stiff": {"offset": 40, "stiffness": 1.8},
    "40 cents flat, stretched": {"offset": -40, "stretch": 20, "stiffness": 0.5},
    "tuned sample by sample": {"residual": 4.0},
    "baroque pitch": {"offset": -101},
}


@pytest.mark.parametrize("name", PIANOS)
def test_struck_keys_are_within_two_cents_and_thirty_percent(name):
    f0, b = piano(**PIANOS[name])
    notes = chords()
    tuning = analysis.measure_tuning(play(notes, f0, b, 6.0), notes)
    heard = np.unique(notes.key)
    error = np.abs(cents(tuning.f0_hz, f0))[heard]
    assert np.median(error) < 1.0
    assert np.quantile(error, 0.95) < 2.0
    assert np.mean(np.abs(tuning.inharmonicity / b - 1)[heard] < 0.3) > 0.95


@pytest.mark.parametrize("name", [n for n in PIANOS if n != "baroque pitch"])
def test_without_notes_the_overall_tuning_is_found(name):
    f0, b = piano(**PIANOS[name])
    notes = chords(seed=1)
    tuning = analysis.measure_tuning(play(notes, f0, b, 6.0), None)
    heard = np.unique(notes.key)
    assert abs(np.median(cents(tuning.f0_hz, f0)[heard])) < 3.0
    assert 0.7 < np.median((tuning.inharmonicity / b)[heard]) < 1.4


@pytest.mark.parametrize("with_notes", [True, False])
def test_strings_without_stiffness_are_seen_as_such(with_notes):
    f0, b = piano(offset=12, stiffness=0.0)
    notes = chords(seed=2)
    audio = play(notes, f0, b, 6.0)
    tuning = analysis.measure_tuning(audio, notes if with_notes else None)
    assert np.median(tuning.inharmonicity / analysis.reference_tuning().inharmonicity) < 0.05
    assert np.median(np.abs(cents(tuning.f0_hz, f0))) < 1.0


def test_keys_not_heard_follow_their_neighbours_with_less_confidence():
    f0, b = piano(offset=-25, stiffness=1.4)
    notes = chords(low=30, high=50)
    tuning = analysis.measure_tuning(play(notes, f0, b, 6.0), notes)
    unheard = np.setdiff1d(KEYS, notes.key)
    assert np.max(np.abs(cents(tuning.f0_hz, f0)[unheard])) < 5.0
    heard = np.unique(notes.key)
    assert tuning.confidence[heard].min() > tuning.confidence[[0, 87]].max()


def test_single_note_gives_its_pitch():
    f0, b = piano(offset=30, stiffness=1.5)
    notes = table([40], np.array([0.1]), np.array([1.5]))
    tuning = analysis.measure_tuning(play(notes, f0, b, 2.0), notes)
    assert abs(cents(tuning.f0_hz[40], f0[40])) < 1.0
    assert abs(tuning.inharmonicity[40] / b[40] - 1) < 0.3
    assert abs(cents(tuning.f0_hz[52], f0[52])) < 8.0


@pytest.mark.parametrize("secs", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("with_notes", [True, False])
def test_silence_and_scraps_give_the_reference(secs, with_notes):
    notes = chords(2.0) if with_notes else None
    silence = Audio(np.zeros(int(secs * SAMPLE_RATE), np.float32), SAMPLE_RATE)
    tuning = analysis.measure_tuning(silence, notes)
    reference = analysis.reference_tuning()
    np.testing.assert_allclose(tuning.f0_hz, reference.f0_hz)
    assert tuning.confidence.max() == 0


def test_empty_note_table_gives_the_reference():
    f0, b = piano(offset=30)
    audio = play(chords(2.0), f0, b, 2.0)
    empty = table(np.zeros(0), np.zeros(0), np.zeros(0))
    assert analysis.measure_tuning(audio, empty).confidence.max() == 0


def test_other_sample_rates_give_the_same_tuning():
    import soxr

    f0, b = piano(offset=20)
    notes = chords(5.0)
    audio = play(notes, f0, b, 5.0)
    for rate in (16_000, 44_100):
        other = Audio(soxr.resample(audio.samples, SAMPLE_RATE, rate), rate)
        tuning = analysis.measure_tuning(other, notes)
        assert np.median(np.abs(cents(tuning.f0_hz, f0)[np.unique(notes.key)])) < 1.0


def test_reference_is_a440_with_rising_treble_inharmonicity():
    reference = analysis.reference_tuning()
    assert reference.f0_hz[48] == pytest.approx(440.0)
    assert reference.f0_hz[0] == pytest.approx(27.5)
    assert np.all(np.diff(reference.inharmonicity[30:]) > 0)
    assert reference.inharmonicity[0] > reference.inharmonicity[20]
    for value in (reference.f0_hz, reference.inharmonicity, reference.confidence):
        assert value.dtype == np.float32 and value.shape == (88,)


@pytest.mark.parametrize("noise_db", [-40.0, -60.0])
@pytest.mark.parametrize("rest_secs", [0.0, 1.5])
def test_noise_floor_is_found_between_notes_and_bounded_under_them(noise_db, rest_secs):
    f0, b = piano()
    notes = chords(3.0, low=20, high=50)
    audio = play(notes, f0, b, notes.end_secs + rest_secs, noise_db=noise_db)
    edges = analysis.noise_band_edges_hz(SAMPLE_RATE)
    floor = analysis.measure_noise_floor(audio)
    assert floor.shape == (32,) and floor.dtype == np.float32
    excess = floor - (noise_db + 10 * np.log10(np.diff(edges) / 12e3))
    assert np.all(excess > -3.5)
    assert np.all(np.abs(excess[edges[:-1] > (100 if rest_secs else 4000)]) < 3)


def test_bandwidth_of_a_low_passed_clip_is_its_cutoff():
    import scipy.signal

    f0, b = piano()
    audio = play(chords(), f0, b, 6.0, noise_db=-50)
    cut = scipy.signal.sosfilt(
        scipy.signal.butter(16, 5000, fs=SAMPLE_RATE, output="sos"), audio.samples)
    assert analysis.measure_bandwidth(audio) > 11_500
    assert 4500 < analysis.measure_bandwidth(Audio(cut, SAMPLE_RATE)) < 7000
    warnings = analysis.check_style_clip(Audio(cut, SAMPLE_RATE))
    assert any("nothing above" in w for w in warnings)


def test_a_rate_of_8000_hz_is_told_whatever_the_file_says_it_has():
    f0, b = piano()
    low = audio_lib.resample(play(chords(), f0, b, 4.0), 8000)
    said, = analysis.check_style_clip(low)
    assert "is sampled at 8000 Hz and can hold nothing above 4000 Hz" in said
    said, = analysis.check_style_clip(audio_lib.resample(low, 44_100))
    assert "holds nothing above 39" in said and "cut off as by a filter" in said


def test_a_voice_is_refused():
    """Vowels of an impulse train that glides, as voices do, with pauses."""
    t = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    hz = 120 + 25 * np.sin(2 * np.pi * 1.3 * t) + 10 * np.sin(2 * np.pi * 4.1 * t)
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    partials = sum(np.cos(k * phase) / (1 + abs(k * 120 - 600) / 300) for k in range(1, 25))
    spoken = 0.1 * partials * (np.sin(2 * np.pi * 3 * t) > -0.5)
    with pytest.raises(ValueError, match=r"holds no piano-like notes \(a voice\?"):
        analysis.check_style_clip(Audio(spoken, SAMPLE_RATE))


def test_good_clip_has_no_warnings():
    f0, b = piano()
    assert analysis.check_style_clip(play(chords(), f0, b, 6.0)) == []


def _white():
    return 0.1 * np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE)


def _sweep():
    t = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    return 0.5 * np.sin(2 * np.pi * 40 * 5 / np.log(200) * 200 ** (t / 5))


def _steady():
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: np.zeros(5 * SAMPLE_RATE), "silent"),
    (lambda: _white()[:SAMPLE_RATE], r"1\.00 s.*2 s"),
    (lambda: np.zeros(0), r"0\.00 s.*2 s"),
    (lambda: np.concatenate([_steady()[:4000], np.zeros(5 * SAMPLE_RATE)]), "not silent"),
    (_white, "is noise: 0% of its power"),
    (_sweep, "no piano-like notes"),
    (_steady, "do not fade"),
])
def test_useless_clips_are_refused_with_the_reason(make, message):
    with pytest.raises(ValueError, match=message):
        analysis.check_style_clip(Audio(make(), SAMPLE_RATE))


def test_clipping_and_noise_are_warned_about():
    f0, b = piano()
    clean = play(chords(), f0, b, 6.0)
    clipped = Audio(np.clip(4 * clean.samples, -1, 1), SAMPLE_RATE)
    assert any("clipped" in w for w in analysis.check_style_clip(clipped))
    noisy = play(chords(), f0, b, 6.0, noise_db=-28)
    assert any("noisy" in w for w in analysis.check_style_clip(noisy))
