"""WAV files read and resampled inside a graph are those that the library reads."""

import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from style_transfer import audio
from style_transfer.audio import Audio
from style_transfer.graph import wav
from tests.serving.stand_in import wav_file


@pytest.fixture(scope="module")
def decode():
    return tf.function(wav.decode, autograph=False,
                       input_signature=[tf.TensorSpec([], tf.string)])


@pytest.fixture(scope="module")
def resample():
    return tf.function(lambda samples, rate: wav.resample(samples, rate, 24_000), autograph=False,
                       input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])


def noise_file(subtype, rate, channels, file_format="WAV"):
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    soundfile.write(buffer, rng.uniform(-0.9, 0.9, (2000, channels)), rate, subtype,
                    format=file_format)
    return buffer.getvalue()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_every_encoding_and_number_of_channels_is_read_as_the_library_does(decode, subtype,
                                                                           channels):
    data = noise_file(subtype, 44_100, channels)
    samples, rate = decode(data)
    assert rate == 44_100
    np.testing.assert_allclose(samples, audio.load(data).samples, atol=1e-6)


@pytest.mark.parametrize("mix", [[1.0, -1.0], [0.5, -0.6], [1.0, 0.2], [-0.5, 0.6, 0.1]])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_channels_that_cancel_and_offsets_are_treated_as_in_the_library(decode, mix, offset):
    buffer, mono = io.BytesIO(), np.random.default_rng(0).uniform(-0.3, 0.3, (2000, 1))
    soundfile.write(buffer, mono * mix + offset, 24_000, "FLOAT", format="WAV")
    expected = audio.load(buffer.getvalue()).samples
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(decode(buffer.getvalue())[0], expected, atol=1e-6)


def test_extensible_headers_and_chunks_before_the_data_are_read(decode):
    data = noise_file("PCM_24", 48_000, 2, "WAVEX")
    np.testing.assert_allclose(decode(data)[0], audio.load(data).samples, atol=1e-6)
    plain = wav_file()
    stuffed = plain[:12] + b"LIST" + (3).to_bytes(4, "little") + b"abc\0" + plain[12:]
    np.testing.assert_array_equal(decode(stuffed)[0], decode(plain)[0])


def test_a_file_cut_short_gives_what_is_there(decode):
    data = wav_file(0.1)
    np.testing.assert_array_equal(decode(data[:-1001])[0], decode(data)[0][:-501])


def test_a_size_of_unfinished_streams_means_up_to_the_end(decode):
    data = wav_file(0.1)
    at = data.index(b"data")
    unfinished = data[:at + 4] + b"\xff\xff\xff\xff" + data[at + 8:]
    np.testing.assert_array_equal(decode(unfinished)[0], decode(data)[0])


def _changed(at, value, size=2):
    data = wav_file()
    return data[:at] + value.to_bytes(size, "little") + data[at + size:]


@pytest.mark.parametrize(("data", "message"), [
    (b"", "not a WAV file"),
    (b"fLaC" + bytes(100), "not a WAV file"),
    (wav_file()[:40], "not a WAV file"),
    (wav_file()[:44], "holds no samples"),
    (_changed(20, 2), "encoding 2 with 16 bits"),
    (_changed(34, 12), "12 bits"),
    (_changed(22, 0), "0 channels"),
    (_changed(22, 60_000), "60000 channels"),
    (_changed(24, 1000, 4), "rate is 1000"),
    (_changed(24, 2**32 - 1, 4), "rate is -1"),
    (wav_file(subtype="FLOAT", level=float("nan")), "NaN"),
    (wav_file(subtype="FLOAT", level=1e12), "larger ones than any recording"),
    (wav_file().replace(b"fmt ", b"fmX "), "fmt chunk is missing"),
], ids=["empty", "flac", "cut header", "no samples", "adpcm", "12 bit", "no channels",
        "many channels", "slow", "fast", "nan", "too loud", "no fmt"])
def test_what_cannot_be_read_is_refused_with_its_reason(decode, data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(data)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_resampling_is_close_to_the_librarys(resample, rate):
    rng = np.random.default_rng(1)
    time = np.arange(2 * rate) / rate
    clip = sum(np.sin(2 * np.pi * hz * time + rng.uniform(0, 6)) for hz in
               rng.uniform(50, 0.42 * min(rate, 24_000), 30)) / 30
    clip = (clip * np.hanning(len(clip))).astype(np.float32)
    expected = audio.resample(Audio(clip, rate), 24_000).samples
    made = resample(clip, rate).numpy()
    assert abs(len(made) - len(expected)) <= 1
    length = min(len(made), len(expected))
    error = made[:length] - expected[:length]
    assert np.sqrt(np.mean(error**2)) < 1e-3 * np.sqrt(np.mean(expected**2))


def test_what_is_above_the_new_nyquist_frequency_is_gone(resample):
    tone = np.sin(2 * np.pi * 15_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(resample(tone, 48_000).numpy()[2000:-2000]).max() < 1e-3
