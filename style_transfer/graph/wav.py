"""WAV files <-> float audio inside a graph, and resampling.

`tf.audio.decode_wav` knows 16 bit PCM only and its errors do not say what to do, so the chunks are
read here: PCM of 8, 16, 24 and 32 bit and float of 32 and 64 bit, any channels, any rate.
"""

import numpy as np
import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer.graph import arrays
from style_transfer.graph.checks import require
from style_transfer.graph.shared import traced_once

MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_CHANNELS = 32
MAX_CHUNKS = 256
# soxr's "high quality": flat up to here, silent from the Nyquist frequency on.
PASSBAND = 0.913
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_raw = tf.io.decode_raw
_NOT_WAV = ("is not a WAV file. Expected RIFF/WAVE, PCM of 8 to 32 bit or float; convert other "
            "formats first (style_transfer_client does).")


@traced_once(tf.TensorSpec([], tf.string))
def decode(data, name="style_bytes"):
    """Mono samples of a WAV file.

    Args:
        data: Scalar string, the file.
        name: Of the input, for errors.

    Returns:
        float32 `[num_samples]`, mixed as `audio.load` does, and the rate, a scalar int32.

    Raises:
        InvalidArgumentError: It is no WAV file, of an unknown encoding, empty or not finite.
    """
    length = tf.strings.length(data)
    head = tf.strings.join([tf.strings.substr(data, 0, 12), bytes(12)])  # it may be shorter
    is_wav = ((length >= 44) & (tf.strings.substr(head, 0, 4) == b"RIFF")
              & (tf.strings.substr(head, 8, 4) == b"WAVE"))
    with tf.control_dependencies([require(is_wav, name, _NOT_WAV)]):
        format_at, format_size, data_at, data_size = _find_chunks(data, length)
    with tf.control_dependencies([
            require((format_at > 0) & (format_size >= 16), name, _NOT_WAV,
                    "Its fmt chunk is missing."),
            require(data_at > 0, name, _NOT_WAV, "Its data chunk is missing.")]):
        header = tf.strings.join([tf.strings.substr(data, format_at, format_size), bytes(26)])
    kind, channels, rate, bits, extended = (
        _unsigned(header, at, size) for at, size in ((0, 2), (2, 2), (4, 4), (14, 2), (24, 2)))
    kind = tf.where((kind == _EXTENSIBLE) & (format_size >= 26), extended, kind)
    is_known = [(kind == known) & (bits == size) for known, size, _ in _ENCODINGS]
    with tf.control_dependencies([
            require(tf.reduce_any(is_known), "The WAV file has encoding", kind, "with", bits,
                    "bits; expected PCM (1) of 8, 16, 24 or 32 bits or float (3) of 32 or 64. "
                    "Convert it to 16 bit PCM."),
            require((channels >= 1) & (channels <= MAX_CHANNELS), "The WAV file has", channels,
                    "channels; expected 1 to 32."), _require_rate(rate, "The WAV file's rate")]):
        frame = channels * (bits // 8)
    body = tf.strings.substr(data, data_at, tf.minimum(data_size, length - data_at)
                             // frame * frame)
    samples = tf.switch_case(
        tf.argmax(tf.cast(is_known, tf.int32), output_type=tf.int32),
        [lambda read=read: tf.cast(read(body), tf.float32) for _, _, read in _ENCODINGS])
    with tf.control_dependencies([
            require(tf.size(samples) > 0, "The WAV file holds no samples."),
            _require_samples(samples, "The WAV file")]):
        samples = tf.reshape(samples, (-1, channels))
    return audio_lib.without_offset(_mixed(samples), arrays), rate


def _mixed(samples):
    """`[num_samples, channels]` in one channel, as `audio.load` mixes them."""
    centred = samples - tf.reduce_mean(samples, axis=0)
    covariance = tf.matmul(centred, centred, transpose_a=True)
    return tf.linalg.matvec(samples, audio_lib.channel_weights(covariance, arrays))


def counted(samples, count, rate, name, count_name):
    """The samples of a row of float audio that count, checked.

    Args:
        samples: float32 `[padded]`.
        count: How many there are, scalar int32.
        rate: Scalar int32, Hz.
        name: Of the input, for errors.
        count_name: Likewise of `count`.

    Returns:
        float32 `[count]`.

    Raises:
        InvalidArgumentError: Count or rate is out of range, or samples are not finite.
    """
    with tf.control_dependencies([require(
            (count > 0) & (count <= tf.size(samples)), count_name, "is", count, "but", name, "has",
            tf.size(samples), "samples.")]):
        samples = samples[:count]
    with tf.control_dependencies([
            _require_rate(rate, "sample_rate"),
            _require_samples(samples, name)]):
        return tf.identity(samples)


def _require_samples(samples, name):
    return require(tf.reduce_all(tf.abs(samples) < audio_lib.TOO_LOUD), name,  # NaN is not, either
                   "holds NaN or infinite samples, or larger ones than any recording. Export the "
                   "recording again.")


def encode(samples, sample_rate):
    """The bytes of a 16 bit mono WAV file; samples beyond full scale are limited to it."""
    return tf.audio.encode_wav(tf.clip_by_value(samples, -1.0, 1.0)[:, None], sample_rate)


@traced_once(tf.TensorSpec([None]), tf.TensorSpec([], tf.int32))
def resample(samples, from_rate, to_rate):
    """Band-limited resampling by FFT, close to the soxr that the library uses.

    Args:
        samples: float32 `[num_samples]`.
        from_rate: Scalar int32 tensor, Hz.
        to_rate: Hz, an int.

    Returns:
        float32 `[round(num_samples * to_rate / from_rate)]`.
    """
    def changed():
        common, _ = tf.while_loop(lambda _, rest: rest > 0, lambda a, b: (b, a % b),
                                  (from_rate, tf.constant(to_rate)))
        per_block, out_per_block = from_rate // common, to_rate // common
        count = tf.size(samples)
        # Silence around the clip, since an FFT takes its end to go on at its beginning.
        blocks = -(-(count + from_rate // 10) // per_block)
        padded = tf.pad(samples, [[0, blocks * per_block - count]])
        size = blocks * out_per_block
        spectrum = tf.signal.rfft(padded)
        keep = tf.minimum(size // 2 + 1, tf.shape(spectrum)[0])
        ratio = to_rate / from_rate
        place = tf.cast(tf.range(keep), tf.float64) / (tf.cast(size, tf.float64) / 2)
        place *= tf.maximum(ratio, 1.0)  # of the lower Nyquist frequency
        slope = tf.clip_by_value((place - PASSBAND) / (1 - PASSBAND), 0.0, 1.0)
        gain = ratio * (0.5 + 0.5 * tf.cos(np.pi * slope))
        spectrum = spectrum[:keep] * tf.cast(gain, tf.complex64)
        spectrum = tf.pad(spectrum, [[0, size // 2 + 1 - keep]])
        out = tf.signal.irfft(spectrum, fft_length=[size])
        exact = tf.cast(count, tf.float64) * to_rate / tf.cast(from_rate, tf.float64)
        return out[:tf.cast(tf.floor(exact + 0.5), tf.int32)]

    return tf.cond(from_rate == to_rate, lambda: samples, changed)


def _require_rate(rate, name):
    return require((rate >= MIN_RATE) & (rate <= MAX_RATE), name, "is", rate,
                   f"Hz; expected {MIN_RATE} to {MAX_RATE}.")


def _find_chunks(data, length):
    """Where the bodies of `fmt ` and `data` begin and how long they say they are; 0 if absent."""
    def unfinished(at, count, format_at, _, data_at, __):
        return (at + 8 <= length) & (count < MAX_CHUNKS) & ((format_at == 0) | (data_at == 0))

    def step(at, count, format_at, format_size, data_at, data_size):
        name, size = tf.strings.substr(data, at, 4), _unsigned(data, at + 4, 4)
        # A header may claim anything, also what an int32 cannot hold.
        size = tf.where((size < 0) | (size > length - at - 8), length - at - 8, size)
        found = (tf.where(name == wanted, new, old) for wanted, new, old in (
            (b"fmt ", at + 8, format_at), (b"fmt ", size, format_size),
            (b"data", at + 8, data_at), (b"data", size, data_size)))
        return at + 8 + size + size % 2, count + 1, *found

    zero = tf.constant(0)
    return tf.while_loop(unfinished, step, (tf.constant(12), zero, zero, zero, zero, zero))[2:]


def _unsigned(data, at, size):
    raw = tf.cast(_raw(tf.strings.substr(data, at, size), tf.uint8), tf.int32)
    return tf.reduce_sum(raw * tf.constant([1 << (8 * i) for i in range(size)], tf.int32))


def _pcm24(body):
    raw = tf.cast(tf.reshape(_raw(body, tf.uint8), (-1, 3)), tf.float32)
    low = raw[:, 0] + raw[:, 1] * 2**8 + raw[:, 2] * 2**16
    return tf.where(low < 2**23, low, low - 2**24) / 2**23


def _scaled(kind, full_scale):
    # In float64, which holds 32 bits.
    return lambda body: tf.cast(_raw(body, kind), tf.float64) / full_scale


_ENCODINGS = (
    (_PCM, 8, lambda body: _scaled(tf.uint8, 2**7)(body) - 1), (_PCM, 16, _scaled(tf.int16, 2**15)),
    (_PCM, 24, _pcm24), (_PCM, 32, _scaled(tf.int32, 2**31)),
    (_FLOAT, 32, lambda body: _raw(body, tf.float32)),
    (_FLOAT, 64, lambda body: _raw(body, tf.float64)))
