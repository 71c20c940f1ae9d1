import pathlib
import tracemalloc

import numpy as np
import pytest
import soundfile

from style_transfer import audio as audio_lib
from style_transfer import recordings
from style_transfer.audio import Audio


def stereo(secs, rate, seed=0):
    """Noise that differs between the channels, float32 `[samples, 2]`."""
    noise = np.random.default_rng(seed).standard_normal((int(secs * rate), 2))
    return (0.1 * noise).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_reading_in_blocks_gives_what_reading_all_at_once_does(tmp_path, rate, monkeypatch):
    samples = stereo(3.3, rate)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    monkeypatch.setattr(recordings, "BLOCK_FRAMES", 10_007)
    loaded = audio_lib.load(tmp_path / "a.wav", 16_000)
    whole = audio_lib.resample(Audio(samples.mean(axis=1), rate), 16_000)
    assert loaded.sample_rate == 16_000
    np.testing.assert_allclose(loaded.samples, whole.samples, atol=1e-6)
    np.testing.assert_array_equal(audio_lib.load(tmp_path / "a.wav").samples, samples.mean(axis=1))


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_compressed_files_last_as_long_as_what_was_written(tmp_path, name):
    soundfile.write(tmp_path / name, stereo(2.0, 44_100), 44_100)
    assert audio_lib.load(tmp_path / name, 16_000).duration_secs == pytest.approx(2.0, abs=0.06)


def test_a_long_recording_is_never_held_at_its_own_rate_and_channels(tmp_path):
    samples = stereo(60, 48_000)
    soundfile.write(tmp_path / "a.wav", samples, 48_000, subtype="PCM_16")
    num_bytes = samples.nbytes
    del samples
    tracemalloc.start()
    try:
        loaded = audio_lib.load(tmp_path / "a.wav", 16_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert loaded.samples.nbytes < num_bytes / 5.9
    assert peak < 0.6 * num_bytes


def test_resampling_chunks_has_no_seams():
    samples = stereo(2.0, 44_100)[:, 0]
    chunks = list(audio_lib.resampled(np.array_split(samples, 7), 44_100, 24_000))
    whole = audio_lib.resample(Audio(samples, 44_100), 24_000).samples
    np.testing.assert_allclose(np.concatenate(chunks), whole, atol=1e-6)


@pytest.mark.parametrize(("write", "message"), [
    (lambda path: path.write_bytes(b"RIFF nothing"), "not audio that can be read"),
    (lambda path: soundfile.write(path, np.zeros(0), 8_000), "holds no samples"),
    (lambda path: soundfile.write(path, np.full(9_000, np.nan), 8_000, subtype="FLOAT"),
     "NaN or infinite"),
    (lambda path: soundfile.write(path, np.full((9_000, 2), 1e30), 8_000, subtype="FLOAT"),
     "larger ones than any recording")])
def test_files_that_hold_no_usable_audio_are_named(tmp_path, write, message):
    write(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=message):
        audio_lib.load(tmp_path / "a.wav", 16_000)


def test_a_header_that_points_before_the_file_prints_nothing():
    handle = recordings.Bytes(b"RIFF")
    assert handle.seek(-7, 1) == 0
    assert handle.seek(2) == 2


CASES = pathlib.Path(__file__).parent / "audio_cases"
RATE = 8_000
TONE = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)
CLIP = pathlib.Path(__file__).parents[1] / "examples" / "electric_grand.flac"


@pytest.fixture(scope="module")
def plain():
    """The five seconds that the cases were made of."""
    return audio_lib.load(CASES / "flac_without_length.flac")


def similar(found, expected):
    """Correlation of two recordings of one length."""
    size = min(len(found.samples), len(expected.samples))
    return np.corrcoef(found.samples[:size], expected.samples[:size])[0, 1]


def test_a_streamed_flac_file_and_joined_streams_are_read_whole(plain):
    assert plain.duration_secs == 5.0 and plain.rms_db > -30
    assert audio_lib.load(CASES / "chained.ogg").duration_secs == pytest.approx(5.0, abs=0.05)


def test_inverted_channels_do_not_vanish(plain):
    found = audio_lib.load(CASES / "stereo_inverted.flac")
    assert abs(similar(found, plain)) > 0.98 and found.rms_db == pytest.approx(plain.rms_db, abs=1)


@pytest.mark.parametrize(("mix", "weights"), [
    ([1.0, 1.0], [0.5, 0.5]), ([1.0, -1.0], [1, 0]), ([0.6, -1.0], [0, 1]),
    ([1.0, -0.5], [1, 0]), ([1.0, 0.0], [0.5, 0.5])])
def test_channels_that_cancel_are_left_out_of_the_mean(mix, weights):
    mono = stereo(1.0, 8_000)[:, :1]
    np.testing.assert_allclose(audio_lib.mixing_weights([mono * mix + 0.1]), weights)


def test_a_late_channel_does_not_cancel_the_other():
    tone = np.sin(2 * np.pi * 440 * np.arange(8_800) / 8_800).astype(np.float32)
    late = np.stack([tone, np.roll(tone, 10)], axis=1)  # half a wave
    assert audio_lib.mixing_weights([late]).max() == 1
    assert audio_lib.mixing_weights([stereo(1.0, 8_000)]).tolist() == [0.5, 0.5]


def test_an_offset_is_no_sound(plain):
    found = audio_lib.load(CASES / "dc_quiet.flac")
    assert abs(found.samples.mean()) < 1e-5 and similar(found, plain) > 0.9
    assert found.rms_db < -35, "the offset of 0.05 alone would be -26 dB"


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (3_999, 1), (8_000, 40)])
def test_rates_and_channels_that_no_recording_has_are_refused(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", np.zeros((600, channels)), rate)
    with pytest.raises(ValueError, match=f"{channels} channels of {rate} samples a second"):
        audio_lib.load(tmp_path / "a.wav")


def test_what_a_file_is_its_bytes_say_and_not_its_name(tmp_path, plain):
    (tmp_path / "take.mp3").write_bytes((CASES / "flac_without_length.flac").read_bytes())
    np.testing.assert_array_equal(audio_lib.load(tmp_path / "take.mp3").samples, plain.samples)


@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("webm", "libopus"),
                                               ("mp3", "libmp3lame")])
def test_what_phones_and_browsers_record_is_read(tmp_path, plain, suffix, codec):
    import av

    path = tmp_path / f"take.{suffix}"
    rate = 48_000
    samples = audio_lib.resample(plain, rate).samples
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.repeat(samples, 2)[None], "flt", "stereo")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    found = audio_lib.load(path, 24_000)
    assert found.duration_secs == pytest.approx(5.0, abs=0.1)
    spectra = [np.abs(np.fft.rfft(x.samples[:115_000])) for x in (found, plain)]
    assert np.corrcoef(*spectra)[0, 1] > 0.95


def test_a_file_that_is_cut_short_is_read_with_a_warning(tmp_path, plain):
    audio_lib.save(tmp_path / "a.flac", plain)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[:len(data) // 2])
    with pytest.warns(UserWarning, match="a.flac (holds|is damaged)"):
        found = audio_lib.load(tmp_path / "a.flac")
    assert 1 < found.duration_secs < 4


def test_empty_containers_and_other_types_are_named(tmp_path):
    (tmp_path / "a.m4a").write_bytes(bytes(44))
    with pytest.raises(ValueError, match="a.m4a is not audio .* converts others"):
        audio_lib.load(tmp_path / "a.m4a")
    with pytest.raises(TypeError, match="taken as a path, .* got ndarray"):
        audio_lib.load(np.zeros(8))


def test_a_damaged_part_does_not_lose_the_rest(tmp_path):
    data = bytearray((CASES / "flac_without_length.flac").read_bytes())
    data[len(data) // 2:len(data) // 2 + 400] = bytes(400)
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.warns(UserWarning, match=r"is damaged .*\d\.\d s of it could.*Export") as said:
        found = audio_lib.load(tmp_path / "a.flac")
    assert 4.0 < found.duration_secs <= 5.01 and len(said) == 1


def test_the_level_of_what_sounds_is_the_same_in_chunks():
    samples = np.concatenate([TONE, np.zeros(7 * RATE), 0.5 * TONE]).astype(np.float32)
    level = audio_lib.SoundingLevel(RATE)
    for part in np.array_split(samples, 13):
        level.add(part)
    assert level.result() == pytest.approx(audio_lib.sounding_level_db(samples, RATE), abs=1e-6)
    assert audio_lib.SoundingLevel(RATE).result() == audio_lib.LOUDNESS_FLOOR_DB


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.4, 0.4), (60.0, 0.0), (3.0, 60.0)])
def test_long_silence_at_the_ends_is_no_part_of_a_clip(before, after):
    samples = np.concatenate([np.zeros(int(before * RATE)), TONE, np.zeros(int(after * RATE))])
    begin, end = audio_lib.sounding_part(samples, RATE)
    left = (begin / RATE, (len(samples) - end) / RATE)
    expected = [max(0.0, secs - 0.1) if secs > 0.5 else 0.0 for secs in (before, after)]
    assert left == pytest.approx(expected, abs=0.01)
