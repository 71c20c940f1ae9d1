"""What each augmentation does to a signal that is known."""

import numpy as np
import pytest

from style_transfer.audio import Audio
from style_transfer.pipelines.rendering import augment
from style_transfer.pipelines.rendering.procedural import ProceduralRenderer
from tests.pipelines.rendering.cases import SAMPLE_RATE, cents, loudest_hz, rms, sequence

TIME = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
TONE = Audio(0.3 * np.sin(2 * np.pi * 440 * TIME), SAMPLE_RATE)
WHITE = Audio(0.1 * np.random.default_rng(1).standard_normal(len(TIME)), SAMPLE_RATE)
CHANGES = (augment.equalize, augment.room, augment.noise, augment.gain,
           augment.low_pass, augment.codec, augment.augment)


def _spectrum_db(audio):
    frames = audio.samples[: len(audio.samples) // 2048 * 2048].reshape(-1, 2048)
    return 10 * np.log10(np.mean(np.abs(np.fft.rfft(frames * np.hanning(2048))) ** 2, 0) + 1e-12)


@pytest.mark.parametrize("change", CHANGES)
def test_equal_generators_give_equal_changes_and_inputs_stay_as_they_are(change):
    before = WHITE.samples.copy()
    first, again, other = (change(WHITE, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.samples, again.samples)
    count = min(len(first.samples), len(other.samples))
    assert not np.array_equal(first.samples[:count], other.samples[:count])
    np.testing.assert_array_equal(WHITE.samples, before)
    assert np.all(np.isfinite(first.samples)) and np.max(np.abs(first.samples)) <= 1


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(5000), np.ones(100) * 0.1])
def test_empty_silent_and_tiny_audio_pass(change, samples):
    out = change(Audio(samples, SAMPLE_RATE), np.random.default_rng(0))
    assert np.all(np.isfinite(out.samples))


def test_the_equalizer_changes_colour_within_12_db():
    spreads = []
    for seed in range(6):
        change = (_spectrum_db(augment.equalize(WHITE, np.random.default_rng(seed)))
                  - _spectrum_db(WHITE))[8:]
        smooth = np.convolve(change, np.ones(15) / 15, "valid")
        assert np.all(np.abs(smooth) < 13.5)
        spreads.append(smooth.max() - smooth.min())
    assert max(spreads) > 8


def test_a_room_rings_after_the_sound():
    click = Audio(np.eye(1, SAMPLE_RATE)[0] * 0.9, SAMPLE_RATE)
    wet = augment.room(click, np.random.default_rng(2))
    assert len(wet.samples) > len(click.samples)
    tail = np.sum(wet.samples[1:] ** 2) / wet.samples[0] ** 2
    assert augment.ROOM_WET_DB[0] - 0.1 <= 10 * np.log10(tail) <= augment.ROOM_WET_DB[1] + 0.1


@pytest.mark.parametrize("level_db", [-60.0, -30.0])
@pytest.mark.parametrize("seed", range(4))
def test_noise_has_the_level_asked_for(level_db, seed):
    noisy = augment.noise(TONE, np.random.default_rng(seed), level_db)
    added = Audio(noisy.samples - TONE.samples, SAMPLE_RATE)
    assert added.rms_db - TONE.rms_db == pytest.approx(level_db, abs=0.2)


def test_all_colours_of_noise_occur_and_differ():
    colours = {}
    for seed in range(30):
        added = augment.noise(TONE, np.random.default_rng(seed), -30.0).samples - TONE.samples
        power = np.abs(np.fft.rfft(added)) ** 2
        low, middle = power[:2000].sum() / power.sum(), power[4000:8000].sum() / power.sum()
        name = "hum" if low > 0.95 else "pink" if low > 0.3 else "white"
        colours[name] = middle
    assert set(colours) == {"hum", "pink", "white"}
    assert colours["hum"] < colours["white"] and colours["pink"] < 0.2


def test_gain_changes_only_the_level():
    louder = augment.gain(TONE, np.random.default_rng(0))
    factor = rms(louder, 0, 2) / rms(TONE, 0, 2)
    np.testing.assert_allclose(louder.samples, factor * TONE.samples, atol=1e-6)
    assert factor != pytest.approx(1, abs=1e-3)


def test_detuning_moves_pitch_and_time_by_the_drawn_cents():
    drawn = augment.draw_cents(np.random.default_rng(5))
    moved = augment.resampled_by_cents(TONE, drawn)
    assert cents(loudest_hz(moved, 0.2, 1.8), 440) == pytest.approx(drawn, abs=0.5)
    assert moved.duration_secs == pytest.approx(2 * 2 ** (-drawn / 1200), abs=1e-3)
    assert abs(drawn) > 1


def test_a_low_pass_takes_the_highs_and_leaves_the_lows():
    change = _spectrum_db(augment.low_pass(WHITE, np.random.default_rng(1))) - _spectrum_db(WHITE)
    assert abs(np.mean(change[10:100])) < 1 and np.mean(change[-30:]) < -6


def test_the_codec_removes_what_a_louder_neighbour_masks():
    loud, faint = (level * np.sin(2 * np.pi * freq * TIME)
                   for level, freq in ((0.3, 1500), (0.3e-2, 1300)))

    def heard(samples):
        coded = augment.codec(Audio(samples, SAMPLE_RATE), np.random.default_rng(0)).samples
        assert len(coded) == len(samples)
        inner = slice(SAMPLE_RATE // 2, 3 * SAMPLE_RATE // 2)
        return abs(np.mean(coded[inner] * np.exp(2j * np.pi * 1300 * TIME[inner]))) * 2

    assert heard(faint) == pytest.approx(0.3e-2, rel=0.2)
    assert heard(loud + faint) < 0.1 * 0.3e-2


def test_a_variant_keeps_the_times_of_notes_and_is_one_piano_for_all_pieces():
    piano = ProceduralRenderer(0, dry=True)
    notes = sequence([(60, 100, 5.0, 5.4)])
    for index in range(1, 5):
        variant = augment.AugmentedRenderer(piano, index)
        audio = variant.render(notes, SAMPLE_RATE)
        loud = np.abs(audio.samples) > 0.3 * np.max(np.abs(audio.samples))
        assert np.argmax(loud) / SAMPLE_RATE == pytest.approx(5.0, abs=0.015)
    assert notes.notes[0].start_time == 5.0
    first = augment.AugmentedRenderer(piano, 1)
    assert first.timbre_id == piano.timbre_id + "_aug1"
    assert augment.AugmentedRenderer(piano, 1, seed=2).timbre_id != first.timbre_id
    draws = [augment.draw_cents(np.random.default_rng(first._seeds)) for _ in range(2)]
    assert draws[0] == draws[1]
