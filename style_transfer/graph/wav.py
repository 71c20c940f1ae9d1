"""WAV files <-> float audio inside a graph, and resampling.

`tf.audio.decode_wav` knows 16 bit PCM only and its errors do not say what to do, so the chunks are
read here: PCM of 8, 16, 24 and 32 bit and float of 32 and 64 bit, any channels, any rate.
"""

import numpy as np
import tensorflow as tf

from style_transfer.graph.checks import require

MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_CHANNELS = 32
MAX_CHUNKS = 256
# soxr's "high quality": flat up to here, silent from the Nyquist frequency on.
PASSBAND = 0.913
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_NOT_WAV = ("is not a WAV file. Expected RIFF/WAVE, PCM of 8 to 32 bit or float; convert other "
            "formats first (style_transfer_client does).")


def decode(data, name="style_bytes"):
    """Mono samples of a WAV file.

    Args:
        data: Scalar string, the file.
        name: Of the input, for errors.

    Returns:
        float32 `[num_samples]`, the mean of the channels, and the rate, a scalar int32.

    Raises:
        InvalidArgumentError: It is no WAV file, of an unknown encoding, empty or not finite.
    """
    length = tf.strings.length(data)
    head = tf.strings.join([tf.strings.substr(data, 0, 12), bytes(12)])  # may be shorter
    is_wav = ((length >= 44) & (tf.strings.substr(head, 0, 4) == b"RIFF")
              & (tf.strings.substr(head, 8, 4) == b"WAVE"))
    with tf.control_dependencies([require(is_wav, name, _NOT_WAV)]):
        found = _find_chunks(data, length)
    format_at, format_size, data_at, data_size = found
    with tf.control_dependencies([
            require((format_at > 0) & (format_size >= 16), name, _NOT_WAV,
                    "Its fmt chunk is missing."),
            require(data_at > 0, name, _NOT_WAV, "Its data chunk is missing.")]):
        kind = _unsigned(data, format_at, 2)
    kind = tf.where((kind == _EXTENSIBLE) & (format_size >= 26),
                    _unsigned(data, tf.minimum(format_at + 24, length - 2), 2), kind)
    channels = _unsigned(data, format_at + 2, 2)
    rate = _unsigned(data, format_at + 4, 4)
    bits = _unsigned(data, format_at + 14, 2)
    code = tf.where(kind == _PCM, bits, tf.where(kind == _FLOAT, bits + 100, 0))
    known = tf.reduce_any(code == tf.constant([8, 16, 24, 32, 132, 164]))
    with tf.control_dependencies([
            require(known, "The WAV file has encoding", kind, "with", bits, "bits; expected PCM "
                    "(1) of 8, 16, 24 or 32 bits or float (3) of 32 or 64. Convert it to 16 bit "
                    "PCM."),
            require((channels >= 1) & (channels <= MAX_CHANNELS), "The WAV file has", channels,
                    "channels; expected 1 to 32."),
            require((rate >= MIN_RATE) & (rate <= MAX_RATE), "The WAV file's rate is", rate,
                    "Hz; expected 8000 to 192000.")]):
        size = tf.minimum(data_size, length - data_at)
        frame = channels * (bits // 8)
    body = tf.strings.substr(data, data_at, size // frame * frame)
    decoders = {8: _pcm8, 16: _pcm16, 24: _pcm24, 32: _pcm32, 132: _float32, 164: _float64}
    samples = tf.switch_case(
        tf.argmax(tf.cast(code == tf.constant(list(decoders)), tf.int32), output_type=tf.int32),
        [lambda read=read: read(body) for read in decoders.values()])
    samples = tf.reduce_mean(tf.reshape(samples, (-1, channels)), axis=1)
    with tf.control_dependencies([
            require(tf.size(samples) > 0, "The WAV file holds no samples."),
            require(tf.reduce_all(tf.math.is_finite(samples)), "The WAV file holds NaN or infinite "
                    "samples. Export the recording again.")]):
        return tf.identity(samples), rate


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
            require((rate >= MIN_RATE) & (rate <= MAX_RATE), "sample_rate is", rate,
                    f"Hz; expected {MIN_RATE} to {MAX_RATE}."),
            require(tf.reduce_all(tf.math.is_finite(samples)), name,
                    "holds NaN or infinite samples.")]):
        return tf.identity(samples)


def encode(samples, sample_rate):
    """The bytes of a 16 bit mono WAV file; samples beyond full scale are limited to it."""
    return tf.audio.encode_wav(tf.clip_by_value(samples, -1.0, 1.0)[:, None], sample_rate)


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
        common = _greatest_common_divisor(from_rate, to_rate)
        per_block, out_per_block = from_rate // common, to_rate // common
        count = tf.size(samples)
        # Silence around the clip, since an FFT takes its end to go on at its beginning.
        blocks = -(-(count + from_rate // 10) // per_block)
        padded = tf.pad(samples, [[0, blocks * per_block - count]])
        size = blocks * out_per_block
        spectrum = tf.signal.rfft(padded)
        keep = tf.minimum(size // 2 + 1, tf.shape(spectrum)[0])
        hz = tf.cast(tf.range(keep), tf.float32) * (
            tf.cast(to_rate, tf.float32) / tf.cast(size, tf.float32))
        nyquist = tf.cast(tf.minimum(from_rate, to_rate), tf.float32) / 2
        slope = tf.clip_by_value((hz / nyquist - PASSBAND) / (1 - PASSBAND), 0.0, 1.0)
        gain = 0.5 + 0.5 * tf.cos(np.pi * slope)
        gain *= tf.cast(to_rate, tf.float32) / tf.cast(from_rate, tf.float32)
        spectrum = spectrum[:keep] * tf.cast(gain, tf.complex64)
        spectrum = tf.pad(spectrum, [[0, size // 2 + 1 - keep]])
        out = tf.signal.irfft(spectrum, fft_length=[size])
        exact = tf.cast(count, tf.float64) * to_rate / tf.cast(from_rate, tf.float64)
        return out[:tf.cast(tf.math.floor(exact + 0.5), tf.int32)]

    return tf.cond(from_rate == to_rate, lambda: samples, changed)


def _find_chunks(data, length):
    """Where the bodies of `fmt ` and `data` begin and how long they say they are; 0 if absent."""
    def unfinished(at, count, format_at, _, data_at, __):
        return (at + 8 <= length) & (count < MAX_CHUNKS) & ((format_at == 0) | (data_at == 0))

    def step(at, count, format_at, format_size, data_at, data_size):
        name = tf.strings.substr(data, at, 4)
        size = _unsigned(data, at + 4, 4)
        # A header may claim anything, also what an int32 cannot hold.
        size = tf.where((size < 0) | (size > length - at - 8), length - at - 8, size)
        is_format, is_data = name == b"fmt ", name == b"data"
        format_at, format_size = (tf.where(is_format, new, old) for new, old in
                                  ((at + 8, format_at), (size, format_size)))
        data_at, data_size = (tf.where(is_data, new, old) for new, old in
                              ((at + 8, data_at), (size, data_size)))
        return at + 8 + size + size % 2, count + 1, format_at, format_size, data_at, data_size

    zero = tf.constant(0)
    return tf.while_loop(unfinished, step, (tf.constant(12), zero, zero, zero, zero, zero))[2:]


def _unsigned(data, at, size):
    raw = tf.cast(tf.io.decode_raw(tf.strings.substr(data, at, size), tf.uint8), tf.int32)
    return tf.reduce_sum(raw * tf.constant([1 << (8 * i) for i in range(size)], tf.int32))


def _pcm8(body):
    return (tf.cast(tf.io.decode_raw(body, tf.uint8), tf.float32) - 128) / 128


def _pcm16(body):
    return tf.cast(tf.io.decode_raw(body, tf.int16), tf.float32) / 2**15


def _pcm24(body):
    raw = tf.cast(tf.reshape(tf.io.decode_raw(body, tf.uint8), (-1, 3)), tf.int32)
    value = raw[:, 0] + raw[:, 1] * 2**8 + raw[:, 2] * 2**16
    return tf.cast(value - tf.where(value >= 2**23, 2**24, 0), tf.float32) / 2**23


def _pcm32(body):
    return tf.cast(tf.cast(tf.io.decode_raw(body, tf.int32), tf.float64) / 2**31, tf.float32)


def _float32(body):
    return tf.io.decode_raw(body, tf.float32)


def _float64(body):
    return tf.cast(tf.io.decode_raw(body, tf.float64), tf.float32)


def _greatest_common_divisor(a, b):
    return tf.while_loop(lambda _, y: y > 0, lambda x, y: (y, x % y), (a, tf.constant(b)))[0]
