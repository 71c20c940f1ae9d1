"""Reading, writing, resampling and measuring audio. One type, mono float32."""

import dataclasses
import io
import os
import pathlib

import numpy as np

DEFAULT_SAMPLE_RATE = 24_000
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 48_000  # of what is written
LOUDNESS_FLOOR_DB = -120.0
_FRAME_SECS = 0.4
_GATE_DB = -20.0  # below the mean power of a performance: pauses
BLOCK_FRAMES = 1 << 18
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".m4a", ".aac")


@dataclasses.dataclass(frozen=True)
class Audio:
    """Mono audio with its sample rate, so that the two can never be separated.

    Attributes:
        samples: float32, shape `[num_samples]`, nominally in [-1, 1].
        sample_rate: Samples per second.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self):
        samples = np.asarray(self.samples, np.float32)
        if samples.ndim != 1:
            raise ValueError(
                f"Audio holds mono samples of shape [num_samples], got shape {samples.shape}. "
                "Average the channels first."
            )
        if self.sample_rate <= 0:
            raise ValueError(f"The sample rate must be positive, got {self.sample_rate}.")
        object.__setattr__(self, "samples", samples)

    @property
    def duration_secs(self):
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def rms_db(self):
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
    frame = max(1, int(_FRAME_SECS * audio.sample_rate))
    padded = np.pad(audio.samples, (0, -len(audio.samples) % frame)).reshape(-1, frame)
    power = np.mean(np.square(padded, dtype=np.float64), axis=1)
    loud = power[power >= np.mean(power) * 10 ** (_GATE_DB / 10)]
    level = 10 * np.log10(np.mean(loud) + 1e-30)
    return float(max(level, LOUDNESS_FLOOR_DB))


def load(source, sample_rate=None):
    """Reads WAV, FLAC, MP3 or OGG, any channels, bit depth and rate, as mono float32.

    Only the mono samples at the asked rate are ever held whole.

    Args:
        source: A path, the file's bytes, or an `Audio` (given back, resampled if asked).
        sample_rate: Rate to resample to; None keeps the file's own.

    Returns:
        An `Audio`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no audio, is empty, or holds values that are not finite.
    """
    if isinstance(source, Audio):
        audio = source
    else:
        name = "the given bytes" if isinstance(source, bytes) else str(source)
        audio = Audio(*_read(source, name, sample_rate))
        if not len(audio.samples):
            raise ValueError(f"{name} holds no samples. Give a recording of at least some seconds.")
        if not np.all(np.isfinite(audio.samples)):
            raise ValueError(f"{name} holds NaN or infinite samples. Export the recording again.")
    return audio if sample_rate is None else resample(audio, sample_rate)


def _read(source, name, sample_rate):
    import soundfile

    if not isinstance(source, bytes) and not os.path.isfile(source):
        raise FileNotFoundError(f"There is no audio file {name!r}.")
    try:
        handle = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
        with soundfile.SoundFile(handle) as file:
            rate = sample_rate or file.samplerate
            parts = list(resampled(_mono_blocks(file), file.samplerate, rate))
    except (soundfile.LibsndfileError, TypeError) as error:
        raise ValueError(
            f"{name} is not audio that can be read ({error}). Expected WAV, FLAC, MP3 or OGG."
        ) from error
    return np.concatenate([np.zeros(0, np.float32), *parts]), rate


def _mono_blocks(file):
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block.mean(axis=1)


def save(path, audio):
    """Writes `audio` as WAV (24 bit) or FLAC, by the path's ending, whole or not at all.

    Samples beyond full scale are limited to it.
    """
    import soundfile

    path = pathlib.Path(path)
    formats = {".wav": "WAV", ".flac": "FLAC"}
    if path.suffix.lower() not in formats:
        raise ValueError(f"Cannot write {path.name!r}: expected a name ending in .wav or .flac.")
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        soundfile.write(
            partial,
            np.clip(audio.samples, -1, 1),
            audio.sample_rate,
            subtype="PCM_24",
            format=formats[path.suffix.lower()],
        )
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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


def resampled(chunks, from_rate, to_rate):
    """Chunks of samples at another rate, without seams: together what `resample` gives."""
    if from_rate == to_rate:
        yield from chunks
        return
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
    for chunk in chunks:
        yield stream.resample_chunk(chunk)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def at_loudness(audio, rms_db):
    """`audio` scaled to an RMS level in dB full scale, lowered if it would clip.

    Returns:
        The scaled `Audio`; silence is given back as it is.
    """
    if audio.rms_db <= LOUDNESS_FLOOR_DB:
        return audio
    return Audio(at_level(audio.samples, rms_db), audio.sample_rate)


def at_level(samples, rms_db, xp=np):
    """Samples, at least one (see `arrays` for `xp`), as `at_loudness` gives them."""
    level = level_db(samples, xp)
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
