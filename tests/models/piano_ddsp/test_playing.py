import dataclasses

import numpy as np
import pytest
from keras import ops

from style_transfer import piano_roll
from style_transfer.measure import high_band, stereo
from style_transfer.models.piano_ddsp import frames, sound
from style_transfer.models.piano_ddsp import playing as generation
from tests import pianos

RATE = 24_000


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


def played(model, table, piano=None, **options):
    """All chunks of a performance, joined."""
    return np.concatenate(list(generation.play(model, piano or pianos.piano(), table, **options)))


def level(samples, start, stop):
    """RMS between two times in seconds."""
    return np.sqrt(np.mean(np.square(samples[int(start * RATE): int(stop * RATE)])))


@pytest.mark.parametrize("chunk_nodes", [
    50, pytest.param(333, marks=pytest.mark.slow), 1500])
def test_chunks_of_any_size_give_the_same_audio(model, chunk_nodes, monkeypatch):
    # Small windows, so that the nets are cut as well.
    monkeypatch.setattr(generation, "WINDOW_FRAMES", 60)
    table = pianos.random_notes(60, 6)
    whole = played(model, table, chunk_nodes=2000)
    parts = played(model, table, chunk_nodes=chunk_nodes)
    length = min(len(whole), len(parts))
    assert length / RATE > table.end_secs
    assert level(whole, 0, 6) > 1e-3
    difference = whole[:length] - parts[:length]
    assert np.sqrt(np.mean(np.square(difference))) < 1e-3 * np.sqrt(np.mean(np.square(whole)))


def test_one_seed_gives_one_waveform_and_another_a_different_one(model):
    table = pianos.random_notes(5, 1)
    first, again = (played(model, table, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - played(model, table, seed=4)).max() > 1e-4


def test_two_styles_with_one_content_differ(model):
    table = pianos.random_notes(5, 1)
    one, other = (played(model, table, pianos.piano(style)) for style in (0.2, 2.0))
    assert level(one - other, 0, 1) > 0.1 * level(one, 0, 1)


def test_two_contents_with_one_style_differ(model):
    one, other = (played(model, pianos.random_notes(5, 1, seed)) for seed in (0, 1))
    length = min(len(one), len(other))
    assert level(one[:length] - other[:length], 0, 1) > 0.1 * level(one, 0, 1)


def test_note_begins_at_its_onset(model):
    audio = played(model, pianos.notes((40, 0.8, 1.0, 1.5)))
    assert level(audio, 1.01, 1.05) > 20 * level(audio, 0, 0.99)
    heard = np.abs(audio) > 0.1 * np.abs(audio).max()
    assert np.argmax(heard) / RATE == pytest.approx(1.0, abs=0.012)


def test_pitch_is_the_pianos_not_equal_temperament(model):
    sharp = pianos.piano(f0_hz=pianos.EQUAL_HZ * np.float32(2 ** (30 / 1200)),
                         inharmonicity=np.zeros(88, np.float32))
    audio = played(model, pianos.notes((48, 0.8, 0.0, 2.0)), sharp)[: 2 * RATE]
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    bins = np.fft.rfftfreq(1 << 18, 1 / RATE)
    near = (bins > 400) & (bins < 480)
    peak = bins[near][np.argmax(spectrum[near])]
    assert 1200 * np.log2(peak / 440) == pytest.approx(30, abs=1)


def test_louder_keys_are_louder(model):
    levels = [level(played(model, pianos.notes((40, v, 0.0, 1.0))), 0, 1) for v in (0.2, 0.5, 1.0)]
    assert levels[0] < levels[1] < levels[2]


def test_pedal_keeps_a_note_ringing(model):
    short = played(model, pianos.notes((30, 0.8, 0.0, 0.5)))
    held = played(model, pianos.notes((30, 0.8, 0.0, 0.5, 2.0)))
    assert level(held, 1.0, 1.5) > 5 * level(short, 1.0, 1.5)


def test_repeated_and_overlapping_notes_of_a_key_all_sound(model):
    once = played(model, pianos.notes((40, 0.8, 0.0, 3.0)))
    again = played(model, pianos.notes((40, 0.8, 0.0, 3.0), (40, 0.8, 1.0, 2.5)))
    np.testing.assert_allclose(once[:RATE - 2000], again[:RATE - 2000], atol=1e-4)
    difference = again[:len(once)] - once[:len(again)]
    assert level(difference, 1.05, 1.5) > 0.3 * level(once, 0.05, 0.5)


def test_long_silence_between_notes_is_played(model):
    audio = played(model, pianos.notes((40, 0.8, 0.0, 0.5), (45, 0.8, 30.0, 30.5)))
    assert level(audio, 30.02, 30.4) > 0.1 * level(audio, 0.02, 0.4)
    assert level(audio, 15, 29) < 0.02 * level(audio, 0, 0.5)


def test_state_does_not_grow_with_the_piece(model):
    sizes = []
    table = pianos.random_notes(1200, 120)
    player = generation._Player(model, pianos.piano(), table, 0)
    for node in range(0, 120 * RATE // model.hop, generation.CHUNK_NODES):
        player.dry(node, generation.CHUNK_NODES)
        sizes.append(sum(v.nbytes for s in (player.oscillators, player.bursts) for v in s.values()))
    first, second = np.max(sizes[20:60]), np.max(sizes[60:])
    assert second < 1.5 * first
    assert len(player.backgrounds) <= 3


def test_piece_without_notes_in_its_first_window_plays(model):
    late = generation.WINDOW_FRAMES / 50 + 1
    audio = played(model, pianos.notes((40, 0.8, late, late + 0.5)))
    assert level(audio, late + 0.02, late + 0.3) > 1e-4


def test_adapted_piano_differs(model):
    table = pianos.random_notes(5, 1)
    rng = np.random.default_rng(0)
    corrections = {"by_key": rng.normal(0, 0.3, (22, model.num_outputs)).astype(np.float32),
                   "by_velocity": np.zeros(model.num_outputs, np.float32),
                   "room": np.zeros(32, np.float32)}
    plain = played(model, table)
    adapted = played(model, table, dataclasses.replace(pianos.piano(), corrections=corrections))
    assert level(plain - adapted, 0, 1) > 0.1 * level(plain, 0, 1)


def test_frames_are_decoded_as_the_model_decodes_them(model):
    roll = piano_roll.roll(pianos.random_notes(30, 3), 0.0, 150)
    style = np.linspace(-1, 1, 8).astype(np.float32)
    for found, true in zip(frames.decode(model, roll, style),
                           model.decode_frames(roll[None], style[None]), strict=True):
        true = ops.convert_to_numpy(true)[0]
        assert np.std(true) > 1e-3
        np.testing.assert_allclose(found, true, rtol=1e-4, atol=1e-4)


LEVEL_BANDS = np.zeros(high_band.NUM_BANDS, np.float32)


def band_level(samples, rate, low_hz, high_hz):
    """RMS between two frequencies."""
    spectrum = np.fft.rfft(samples * np.hanning(len(samples)))
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    return np.sqrt(np.mean(np.square(np.abs(spectrum[(hz >= low_hz) & (hz < high_hz)]))))


@pytest.mark.parametrize("chunk_nodes", [50, 333])
def test_chunks_give_the_same_stereo_at_44_kHz(model, chunk_nodes, monkeypatch):
    monkeypatch.setattr(generation, "WINDOW_FRAMES", 60)
    table = pianos.random_notes(40, 4)
    piano = pianos.piano(high_band_db=LEVEL_BANDS)
    whole, parts = (played(model, table, piano, chunk_nodes=nodes, channels=2, sample_rate=44_100)
                    for nodes in (1500, chunk_nodes))
    length = min(len(whole), len(parts))
    assert length / 44_100 > table.end_secs
    difference = whole[:length] - parts[:length]
    assert np.sqrt(np.mean(np.square(difference))) < 1e-3 * np.sqrt(np.mean(np.square(whole)))


@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_the_mean_of_two_channels_is_what_one_gives(model, rate):
    table = pianos.random_notes(10, 1)
    one, two = (played(model, table, channels=channels, sample_rate=rate) for channels in (1, 2))
    np.testing.assert_allclose(two.mean(axis=1), one, atol=1e-6)
    assert np.std(two[:, 0] - two[:, 1]) > 0.1 * np.std(one)


def test_notes_stand_where_the_image_says(model):
    pan = np.repeat(np.linspace(0.5, -0.5, 8)[:, None], 8, axis=1)
    image = stereo.Image(pan, np.square(pan), np.zeros(8))
    for key in (8, 43, 70):
        audio = played(model, pianos.notes((key, 0.8, 0.0, 1.0)), pianos.piano(image=image),
                       channels=2)
        expected = 0.5 - key / 87
        # Hammer and room are in the middle, so its first partial alone is listened to.
        first = pianos.EQUAL_HZ[key] * np.array([0.97, 1.03])
        levels = [band_level(channel[:RATE], RATE, *first) for channel in audio.T]
        assert 20 * np.log10(levels[0] / levels[1]) == pytest.approx(
            20 * np.log10((1 + expected) / (1 - expected)), abs=1.0)


def test_what_is_out_of_phase_makes_the_channels_less_alike(model):
    width = np.full((8, 8), 1.0)
    image = stereo.Image(np.zeros((8, 8)), width, np.ones(8))
    audio = played(model, pianos.random_notes(40, 3), pianos.piano(image=image), channels=2)
    assert abs(np.corrcoef(audio.T)[0, 1]) < 0.15
    narrow = stereo.Image(np.zeros((8, 8)), 0.04 * width, np.full(8, 0.04))
    audio = played(model, pianos.random_notes(40, 3), pianos.piano(image=narrow), channels=2)
    assert np.corrcoef(audio.T)[0, 1] == pytest.approx((1 - 0.04) / (1 + 0.04), abs=0.03)


def test_the_rooms_channels_are_as_unlike_as_the_ambience(model):
    for share in (0.0, 0.25, 1.0):
        image = stereo.Image(np.zeros((8, 8)), np.zeros((8, 8)), np.full(8, share))
        middle, side = sound.Sound(model, pianos.piano(image=image),
                                   channels=2).room_responses()
        assert side[0] == 0
        power = np.sum(np.square(side)) / np.sum(np.square(middle[1:]))
        assert power == pytest.approx(share, rel=0.15)


def test_other_rates_sound_alike_up_to_the_nets_limit(model):
    table = pianos.random_notes(20, 2)
    low = played(model, table)
    for rate in (44_100, 48_000):
        full = played(model, table, pianos.piano(high_band_db=LEVEL_BANDS), sample_rate=rate)
        assert len(full) / rate == pytest.approx(len(low) / RATE, abs=1.1)
        for band in ((50, 500), (500, 2000), (2000, 5000), (5000, 11_000)):
            levels = [20 * np.log10(band_level(samples[:2 * hz], hz, *band) / hz)
                      for samples, hz in ((low, RATE), (full, rate))]
            assert levels[0] == pytest.approx(levels[1], abs=1.0), (rate, band)


def test_above_the_nets_limit_there_is_what_the_clip_had_and_no_more(model):
    table = pianos.notes((70, 0.9, 0.0, 1.0), (75, 0.9, 0.2, 1.0))

    def above(high_band_db, low_hz, high_hz):
        audio = played(model, table, pianos.piano(high_band_db=high_band_db), sample_rate=44_100)
        return 20 * np.log10(band_level(audio[:44_100], 44_100, low_hz, high_hz))

    cut = np.where(np.arange(high_band.NUM_BANDS) < 9, LEVEL_BANDS, high_band.NOTHING_DB)
    cut = cut.astype(np.float32)  # as of a clip that ends at 16 kHz
    nothing = np.zeros(0, np.float32)
    full = above(LEVEL_BANDS, 12_000, 15_800)
    assert above(LEVEL_BANDS - 10, 12_000, 15_800) == pytest.approx(full - 10, abs=0.5)
    assert above(cut, 12_000, 15_800) == pytest.approx(full, abs=0.5)
    assert above(cut, 16_500, 20_000) < above(LEVEL_BANDS, 16_500, 20_000) - 40
    assert above(nothing, 12_000, 15_800) < full - 40
