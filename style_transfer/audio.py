"""Reading, writing, resampling and measuring audio. One type, float32, mono but for results."""

import base64
import dataclasses
import io
import os
import pathlib

import numpy as np

from style_transfer import files, recordings

DEFAULT_SAMPLE_RATE = 24_000
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 48_000  # of what is written
LOUDNESS_FLOOR_DB = -120.0
_FRAME_SECS = 0.4
_GATE_DB = -20.0  # below the mean power of a performance: pauses
COMFORTABLE_DB = -20.0  # RMS of what sounds, dB full scale: what results are brought to
CLIP_LOUDNESS = "clip"  # to what their style clip has
_SILENT_DB = -60.0  # below the peak: ends that are no part of a clip
_LONGEST_LEAD_SECS, _KEPT_LEAD_SECS = 0.5, 0.1  # of silence at an end: that stays, that is left
TOO_LOUD = 1e10  # beyond 32-bit integers that were not scaled: their squares are still numbers
_CANCELLING = 0.4  # of the channels' mean power: what is left of it in their mean
_OFFSET = 0.1  # of the samples' spread: an offset of this size is no sound


@dataclasses.dataclass(frozen=True)
class Audio:
    """Audio with its sample rate, so that the two can never be separated.

    Attributes:
        samples: float32, mono, shape `[num_samples]`, or left and right, `[num_samples, 2]`;
            nominally in [-1, 1].
        sample_rate: Samples per second.

    Raises:
        TypeError: The samples are no numbers, or the rate is none.
        ValueError: The samples are of another shape, or the rate is not positive.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        try:
            samples = np.asarray(self.samples, np.float32)
        except (TypeError, ValueError) as error:
            raise TypeError("Audio takes samples as an array of numbers, got "
                            f"{type(self.samples).__name__}.") from error
        if not hasattr(self.sample_rate, "__float__"):
            raise TypeError("Audio takes the sample rate as a number of Hz, got "
                            f"{type(self.sample_rate).__name__}.")
        if samples.ndim != 1 and samples.shape[1:] != (2,):
            raise ValueError(
                "Audio holds samples of shape [num_samples] or [num_samples, 2], got shape "
                f"{samples.shape}. Average the channels first."
            )
        if self.sample_rate <= 0:
            raise ValueError(f"The sample rate must be positive, got {self.sample_rate}.")
        object.__setattr__(self, "samples", samples)

    @property
    def channels(self) -> int:
        """1 or 2."""
        return self.samples.ndim

    @property
    def duration_secs(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def save(self, path: str | os.PathLike) -> None:
        """Writes a file, see the function `save`."""
        save(path, self)

    def _repr_html_(self) -> str:
        """A player, in a notebook."""
        data = base64.b64encode(encode_flac(self)).decode()
        return f'<audio controls src="data:audio/flac;base64,{data}"></audio>'

    @property
    def rms_db(self) -> float:
        """RMS level in dB relative to full scale, never below `LOUDNESS_FLOOR_DB`."""
        return float(level_db(self.samples)) if len(self.samples) else LOUDNESS_FLOOR_DB


def level_db(samples, xp=np):
    """RMS level of samples (see `arrays` for `xp`), as `Audio.rms_db`."""
    power = xp.mean(xp.square(xp.asarray(samples, float)))
    return xp.maximum(10 * xp.log10(power + 1e-30), LOUDNESS_FLOOR_DB)


def check_sample_rate(sample_rate):
    """Raises ValueError unless audio can be given at this rate."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise ValueError(f"The sample rate must be {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, got "
                         f"{sample_rate}.")


def sounding_rms_db(audio):
    """RMS level without the pauses (0.4 s frames more than 20 dB under the mean), dB full scale."""
    return float(sounding_level_db(audio.samples, audio.sample_rate))


def sounding_level_db(samples, sample_rate, xp=np):
    """`sounding_rms_db` of samples, at least one (see `arrays` for `xp`)."""
    frame = max(1, int(_FRAME_SECS * sample_rate))
    padded = xp.reshape(xp.pad(samples, ((0, -xp.size(samples) % frame),)), (-1, frame))
    return _gated_db(xp.mean(xp.square(xp.asarray(padded, float)), axis=1), xp)


def _gated_db(power, xp=np):
    loud = power[power >= xp.mean(power) * 10 ** (_GATE_DB / 10)]
    return xp.maximum(10 * xp.log10(xp.mean(loud) + 1e-30), LOUDNESS_FLOOR_DB)


class SoundingLevel:
    """`sounding_level_db` of samples that come in chunks.

    Args:
        sample_rate: Theirs, Hz.
    """

    def __init__(self, sample_rate):
        self._frame = max(1, int(_FRAME_SECS * sample_rate))
        self._power, self._rest = [], np.zeros(0, np.float32)

    def add(self, chunk):
        """Takes the next samples."""
        samples = np.concatenate([self._rest, chunk])
        whole = len(samples) // self._frame * self._frame
        frames = samples[:whole].reshape(-1, self._frame).astype(np.float64)
        self._power.extend(np.mean(np.square(frames), axis=1))
        self._rest = samples[whole:]

    def result(self):
        """The level of all of them, dB full scale."""
        rest = [np.sum(np.square(self._rest, dtype=np.float64)) / self._frame]
        power = np.array(self._power + (rest if len(self._rest) else []))
        return float(_gated_db(power)) if len(power) else LOUDNESS_FLOOR_DB


def loudness_db(asked, clip_db):
    """What level a result is brought to, dB full scale.

    Args:
        asked: A number, `clip`, or None for `COMFORTABLE_DB`; also as text.
        clip_db: The level of the style clip, which `clip` gives.

    Raises:
        ValueError: It is none of these, or no level that sounds.
    """
    if asked is None or asked == CLIP_LOUDNESS:
        return COMFORTABLE_DB if asked is None else clip_db
    try:
        level = float(asked)
    except (TypeError, ValueError):
        level = np.nan
    if not LOUDNESS_FLOOR_DB < level <= 0:
        raise ValueError(f"The loudness is {asked!r}, expected a level between "
                         f"{LOUDNESS_FLOOR_DB:g} and 0 dB full scale, or {CLIP_LOUDNESS}.")
    return level


def sounding_part(samples, sample_rate, xp=np):
    """Where a recording begins and ends, without long silence at its ends.

    Args:
        samples: `[num_samples]`, at least one.
        sample_rate: Hz.
        xp: See `arrays`.

    Returns:
        Two indices. What is more than 60 dB below the peak is silence.
    """
    level = xp.abs(samples)
    loud = xp.asarray(level >= xp.max(level) * 10 ** (_SILENT_DB / 20), int)
    longest, kept = (int(secs * sample_rate) for secs in (_LONGEST_LEAD_SECS, _KEPT_LEAD_SECS))
    before, after = xp.argmax(loud), xp.argmax(loud[::-1])
    begin = xp.where(before > longest, before - kept, xp.zeros_like(before))
    end = xp.size(samples) - xp.where(after > longest, after - kept, xp.zeros_like(after))
    return begin, end


def load(source, sample_rate=None, max_secs=None, name=None, stereo=False):
    """Reads a recording of any kind, rate, depth and number of channels as float32, mono.

    Channels are averaged, unless they cancel each other (one inverted, or late by half a wave):
    then the loudest stands for all. A constant offset is taken away. Only the mono samples at the
    asked rate are ever held whole.

    Args:
        source: A path, the file's bytes, a pair of samples (`[num_samples]`, or channels last;
            whole numbers are scaled by their type) and their rate in Hz, or an `Audio` (given
            back, resampled if asked).
        sample_rate: Rate to resample to; None keeps the file's own.
        max_secs: Longest recording that is read; None for any.
        name: What messages call it; None for its path.
        stereo: Whether two channels stay two.

    Returns:
        An `Audio`.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: `source` is none of these.
        ValueError: The file is no audio, is empty or too long, or holds values that are not finite.
    """
    if isinstance(source, Audio):
        audio = source if stereo else mono(source)
    elif is_pair(source):
        audio = _from_arrays(*source, stereo)
    elif isinstance(source, (str, os.PathLike, bytes)):
        name = name or ("the given bytes" if isinstance(source, bytes) else str(source))
        audio = Audio(*_read(source, name, sample_rate, max_secs, stereo))
        if not len(audio.samples):
            raise ValueError(f"{name} holds no samples. Give a recording of at least some seconds.")
    else:
        raise TypeError("Recordings are taken as a path, the bytes of a file, an Audio or a pair "
                        f"of samples and their rate, got {type(source).__name__}.")
    return audio if sample_rate is None else resample(audio, sample_rate)


def is_pair(source):
    """Whether this is a tuple of samples and their rate."""
    return isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], np.ndarray)


def mono(audio):
    """One channel of an `Audio`, as `load` mixes two."""
    if audio.channels == 1:
        return audio
    mixed = audio.samples @ mixing_weights([audio.samples])
    return Audio(without_offset(mixed) if len(mixed) else mixed, audio.sample_rate)


def middle(samples):
    """The mean of the channels of what is played, `[num_samples]`, which never cancel."""
    return samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)


def _from_arrays(samples, sample_rate, stereo):
    """`Audio` of samples `[frames]` or `[frames, channels]`."""
    if samples.dtype.kind not in "fi" or samples.ndim not in (1, 2) or not samples.size:
        raise ValueError(f"Samples are {samples.dtype}, shape {list(samples.shape)}, expected "
                         "floats or signed integers, [num_samples] or [num_samples, channels].")
    scale = 1.0 if samples.dtype.kind == "f" else -float(np.iinfo(samples.dtype).min)
    samples = samples.astype(np.float32) / np.float32(scale)
    if not np.all(np.isfinite(samples)):
        raise ValueError("The samples hold NaN or infinite values; give finite ones.")
    if stereo and samples.shape[1:] == (2,):
        return Audio(samples, sample_rate)
    if samples.ndim == 2:
        samples = samples @ mixing_weights([samples])
    return Audio(without_offset(samples), sample_rate)


def _read(source, name, sample_rate, max_secs, stereo):
    recording = recordings.Recording(source, name)
    rate = sample_rate or recording.rate
    if stereo and recording.channels == 2:
        blocks = resampled(_limited(recording, name, max_secs), recording.rate, rate, 2)
        return np.concatenate([np.zeros((0, 2), np.float32), *blocks]), rate
    weights = np.ones(1, np.float32)
    if recording.channels > 1:
        weights = mixing_weights(_limited(recording, name, max_secs))
    mixed = (block @ weights for block in _limited(recording, name, max_secs))
    samples = np.concatenate([np.zeros(0, np.float32), *resampled(mixed, recording.rate, rate)])
    return (without_offset(samples) if len(samples) else samples), rate


def _limited(recording, name, max_secs):
    """Blocks of a recording; a ValueError where it goes on for too long or holds no samples."""
    frames = 0
    for block in recording.blocks():
        frames += len(block)
        if not np.all(np.abs(block) < TOO_LOUD):  # NaN is not, either
            raise ValueError(f"{name} holds NaN or infinite samples, or larger ones than any "
                             "recording. Export the recording again.")
        if max_secs is not None and frames > max_secs * recording.rate:
            raise ValueError(f"{name} is longer than the {max_secs:g} s that are read. Cut it.")
        yield block


def mixing_weights(blocks):
    """How much of each channel goes into one: equal parts, or the loudest where they cancel.

    Args:
        blocks: Arrays `[frames, channels]` of one recording.

    Returns:
        float32 `[channels]`.
    """
    count, total, products = 0, 0.0, 0.0
    for block in blocks:
        block = np.asarray(block, np.float64)
        count += len(block)
        total, products = total + block.sum(axis=0), products + block.T @ block
    if not count:
        return np.ones(1, np.float32)
    return channel_weights(products - np.outer(total, total) / count)


def channel_weights(covariance, xp=np):
    """`mixing_weights` of the channels' covariance `[channels, channels]`; `arrays` has `xp`."""
    power = xp.diagonal(covariance)
    first = xp.argmax(xp.asarray(power > 0.999 * xp.max(power), int))  # of those as loud as any
    loudest = xp.asarray(xp.arange(xp.size(power)) == first, np.float32)
    cancels = xp.mean(covariance) < _CANCELLING * xp.mean(power)
    equal = 1 / xp.asarray(xp.size(power), np.float32)
    return xp.where(cancels, loudest, xp.zeros_like(loudest) + equal)


def without_offset(samples, xp=np):
    """Samples, at least one, without a constant offset if there is one; `arrays` has `xp`."""
    offset = xp.mean(samples)
    spread = xp.sqrt(xp.maximum(xp.mean(xp.square(samples)) - xp.square(offset), 0.0))
    return samples - xp.where(xp.abs(offset) > _OFFSET * spread, offset, xp.zeros_like(offset))


def save(path, audio):
    """Writes `audio` as WAV (24 bit) or FLAC, by the path's ending, whole or not at all.

    Samples beyond full scale are limited to it.
    """
    import soundfile

    path = pathlib.Path(path)
    formats = {".wav": "WAV", ".flac": "FLAC"}
    if path.suffix.lower() not in formats:
        raise ValueError(f"Cannot write {path.name!r}: expected a name ending in .wav or .flac.")
    with files.written_whole(path) as partial:
        soundfile.write(partial, np.clip(audio.samples, -1, 1), audio.sample_rate, "PCM_24",
                        format=formats[path.suffix.lower()])


def encode_flac(audio):
    """The bytes of a 16 bit FLAC file, the form in which examples store audio."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(
        buffer, np.clip(audio.samples, -1, 1), audio.sample_rate, format="FLAC", subtype="PCM_16"
    )
    return buffer.getvalue()


def resample(audio, sample_rate):
    """`audio` at another rate, band-limited (soxr, high quality)."""
    if sample_rate == audio.sample_rate:
        return audio
    import soxr

    return Audio(soxr.resample(audio.samples, audio.sample_rate, sample_rate), sample_rate)


def resampled(chunks, from_rate, to_rate, channels=1):
    """Chunks of samples at another rate, without seams: together what `resample` gives."""
    if from_rate == to_rate:
        yield from chunks
        return
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32")
    for chunk in chunks:
        yield stream.resample_chunk(np.ascontiguousarray(chunk))
    silence = np.zeros(0 if channels == 1 else (0, channels), np.float32)
    yield stream.resample_chunk(silence, last=True)


def at_loudness(audio, rms_db):
    """`audio` scaled to an RMS level in dB full scale, lowered if it would clip.

    Returns:
        The scaled `Audio`; silence is given back as it is.
    """
    if audio.rms_db <= LOUDNESS_FLOOR_DB:
        return audio
    return Audio(at_level(audio.samples, rms_db), audio.sample_rate)


def at_sounding_level(samples, sample_rate, rms_db, xp=np):
    """As `at_level`, for the level of what sounds, see `sounding_level_db`."""
    return at_level(samples, rms_db, xp, sounding_level_db(samples, sample_rate, xp))


def at_level(samples, rms_db, xp=np, level=None):
    """Samples, at least one (see `arrays` for `xp`), as `at_loudness` gives them.

    `level` is what they have, dB full scale, where it is known.
    """
    level = level_db(samples, xp) if level is None else level
    gain = 10 ** ((xp.asarray(rms_db, float) - level) / 20)
    peak = xp.asarray(xp.max(xp.abs(samples)), float) * gain
    gain = xp.where(level > LOUDNESS_FLOOR_DB, gain / xp.maximum(peak, 1.0), 1.0)
    return samples * xp.asarray(gain, np.float32)


def loudest_start(samples, sample_rate, secs, xp=np):
    """Where the loudest whole seconds, `secs` of them, begin; 0 if there are no more."""
    behind = -xp.size(samples) % sample_rate + secs * sample_rate
    power = xp.reshape(xp.pad(xp.square(samples), ((0, behind),)), (-1, sample_rate))
    total = xp.cumsum(xp.asarray(xp.sum(power, axis=1), float))
    total = xp.concatenate([xp.asarray([0.0]), total])
    return xp.argmax(total[secs:] - total[:-secs]) * sample_rate
