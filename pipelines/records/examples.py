"""Example records: one performance each, with its audio, its notes and what was measured of it.

Features of a record (a `tf.train.Example`; values are single unless a shape is given):
    id: Text, unique in the data set.
    timbre_id: Text; performances with the same one were played on the same piano.
    piece_id: Text; performances with the same one play the same music.
    split: `train`, `eval` or `test`.
    sample_rate: int64, Hz.
    num_samples: int64.
    velocity_range: int64 `[2]`, softest and loudest MIDI velocity.
    rms_db: float32, level of the sounding parts, dB full scale.
    f0_hz: float32 `[88]`, measured fundamentals, where the configuration needs them.
    inharmonicity: float32 `[88]`, measured stiffness B; likewise.
    sequence: Serialized NoteSequence; pedals are events in it and not applied to its notes.
    audio: A FLAC file's bytes, mono, 16 bit. (Anything that libsndfile decodes may be read.)
"""

import dataclasses
import functools
import io
import os
from collections.abc import Iterator

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll
from style_transfer.pipelines.records import wire

SPLITS = ("train", "eval", "test")
MAX_LATE_SECS = 1.0  # how far the last note may lie beyond the end of the recording
MIN_DURATION_SECS = 1.0
TUNING_SECS = 60.0  # more of a performance adds time but hardly any accuracy
_TEXTS = ("id", "timbre_id", "piece_id", "split")
_NUMBERS = ("sample_rate", "num_samples", "velocity_range", "rms_db")
_TUNING = ("f0_hz", "inharmonicity")
_NOTE_TABLES_KEPT = 1024  # 0.04 MB each for a minute of dense music, 0.3 MB for a long performance


@dataclasses.dataclass(frozen=True)
class Reference:
    """Where one performance lies in a TFRecord file, and what choosing crops needs to know.

    Attributes:
        path: The file.
        audio_span: First byte of the audio and the byte after its last.
        sequence_span: The same of the NoteSequence.
        id: From here on, features of the record; see this module's head.
    """

    path: str
    audio_span: tuple[int, int]
    sequence_span: tuple[int, int]
    id: str
    timbre_id: str
    piece_id: str
    split: str
    sample_rate: int
    num_samples: int
    velocity_range: tuple[int, int]
    rms_db: float
    f0_hz: np.ndarray | None = None
    inharmonicity: np.ndarray | None = None

    @property
    def duration_secs(self) -> float:
        """Length of the recording."""
        return self.num_samples / self.sample_rate


def make_example(
    audio: audio_lib.Audio,
    sequence,
    *,
    id: str,
    timbre_id: str,
    piece_id: str,
    split: str,
    tuning=None,
    velocity_range: tuple[int, int] | None = None,
) -> bytes:
    """Serializes one performance.

    Args:
        audio: The recording at the data set's rate.
        sequence: Its NoteSequence.
        id: Unique name.
        timbre_id: Name of the piano.
        piece_id: Name of the music.
        split: One of `SPLITS`.
        tuning: `style_transfer.measure.analysis.Tuning` of the recording; None leaves it out.
        velocity_range: Softest and loudest MIDI velocity of the performance that this is a part
            of; None takes them from the sequence.

    Returns:
        The serialized `tf.train.Example`; the audio comes last, so that all else is read at once.
    """
    velocities = velocity_range or [note.velocity for note in sequence.notes]
    measured = {} if tuning is None else {
        name: np.asarray(getattr(tuning, name), np.float32) for name in _TUNING}
    return wire.encode_example({
        "id": id,
        "timbre_id": timbre_id,
        "piece_id": piece_id,
        "split": split,
        "sample_rate": audio.sample_rate,
        "num_samples": len(audio.samples),
        "velocity_range": np.array([min(velocities), max(velocities)]),
        "rms_db": audio_lib.sounding_rms_db(audio),
        **measured,
        "sequence": sequence.SerializeToString(),
        "audio": audio_lib.encode_flac(audio),
    })


def check_pair(audio: audio_lib.Audio, table: piano_roll.NoteTable) -> None:
    """Raises a ValueError with the reason if a recording and its notes cannot be learned from."""
    check_notes(table)
    if audio.duration_secs < MIN_DURATION_SECS:
        raise ValueError(
            f"the audio lasts {audio.duration_secs:.2f} s, shorter than {MIN_DURATION_SECS:g} s"
        )
    if audio.rms_db <= audio_lib.LOUDNESS_FLOOR_DB:
        raise ValueError("the audio is silent")
    last = float(table.onset_secs[-1])
    if last > audio.duration_secs + MAX_LATE_SECS:
        raise ValueError(
            f"the audio ends at {audio.duration_secs:.1f} s but the last note begins at "
            f"{last:.1f} s: they are not of the same performance"
        )


def check_notes(table: piano_roll.NoteTable) -> None:
    """Raises a ValueError if there are no notes."""
    if not len(table):
        raise ValueError("the MIDI file holds no piano notes")


def measure_tuning(audio: audio_lib.Audio, table: piano_roll.NoteTable):
    """The piano's `Tuning`, from the densest minute of a long performance."""
    from style_transfer.measure import analysis

    if audio.duration_secs > TUNING_SECS:
        starts = table.onset_secs
        counts = np.searchsorted(starts, starts + TUNING_SECS) - np.arange(len(starts))
        last = audio.duration_secs - TUNING_SECS
        start = min(max(float(starts[int(np.argmax(counts))]), 0.0), last)
        first = int(start * audio.sample_rate)
        count = int(TUNING_SECS * audio.sample_rate)
        audio = audio_lib.Audio(audio.samples[first : first + count], audio.sample_rate)
        table = table.select((starts >= start) & (starts < start + TUNING_SECS)).shift(-start)
    return analysis.measure_tuning(audio, table)


def read_references(path: str) -> Iterator[Reference]:
    """Yields the `Reference` of every performance in a TFRecord file; reads no audio.

    Raises:
        ValueError: The file is damaged, or a record lacks a feature.
    """
    with open_file(path) as file:
        file.seek(0, os.SEEK_END)
        file_bytes = file.tell()
        read_at = wire.windowed(functools.partial(_read_at, file))
        try:
            for start, end in wire.record_spans(read_at, file_bytes):
                yield _reference(path, read_at, start, end)
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} is no complete file of example records ({files.reason(error)}). "
                "Make it again with style_transfer_create_dataset."
            ) from error


def _reference(path: str, read_at, start: int, end: int) -> Reference:
    found = wire.locate_features(read_at, start, end)
    missing = {*_TEXTS, *_NUMBERS, "audio", "sequence"} - found.keys()
    if missing:
        raise ValueError(f"a record without {', '.join(sorted(missing))}")

    def text(name):
        first, last = wire.bytes_span(read_at, found[name])
        return read_at(first, last - first).decode()

    numbers = {name: wire.read_numbers(read_at, found[name]) for name in (*_NUMBERS, *_TUNING)
               if name in found}
    return Reference(
        path=path,
        audio_span=wire.bytes_span(read_at, found["audio"]),
        sequence_span=wire.bytes_span(read_at, found["sequence"]),
        **{name: text(name) for name in _TEXTS},
        sample_rate=int(numbers["sample_rate"][0]),
        num_samples=int(numbers["num_samples"][0]),
        velocity_range=(int(numbers["velocity_range"][0]), int(numbers["velocity_range"][1])),
        rms_db=float(numbers["rms_db"][0]),
        f0_hz=numbers.get("f0_hz"),
        inharmonicity=numbers.get("inharmonicity"),
    )


def read_audio(reference: Reference, start: int, count: int) -> np.ndarray:
    """Decodes samples `start` to `start + count` of a performance, and only those.

    Returns:
        float32 `[count]`; zeros stand for what lies outside the recording.
    """
    return read_samples(reference.path, reference.audio_span, reference.num_samples, start, count)


def read_samples(path: str, audio_span: tuple[int, int], num_samples: int, start: int,
                 count: int) -> np.ndarray:
    """As `read_audio`, of the audio at a `Reference`'s `audio_span` of a file."""
    import soundfile

    out = np.zeros(count, np.float32)
    first, last = max(start, 0), min(start + count, num_samples)
    if first < last:
        with open_file(path) as file:
            with soundfile.SoundFile(_Span(file, *audio_span)) as sound:
                sound.seek(first)
                samples = sound.read(last - first, dtype="float32", always_2d=True).mean(axis=1)
        out[first - start : first - start + len(samples)] = samples
    return out


def read_sequence(path: str, span: tuple[int, int]):
    """The NoteSequence at a `Reference`'s `sequence_span` of a file."""
    with open_file(path) as file:
        return piano_roll.load_midi(_read_at(file, span[0], span[1] - span[0]))


@functools.lru_cache(_NOTE_TABLES_KEPT)
def _note_table(path: str, span: tuple[int, int]) -> piano_roll.NoteTable:
    return piano_roll.note_table(read_sequence(path, span))


def read_notes(reference: Reference) -> piano_roll.NoteTable:
    """The notes of a performance; the last ones asked for are kept in memory."""
    return _note_table(reference.path, reference.sequence_span)


def open_file(path: str):
    """Opens a local file, or one named by a URL: by TensorFlow's file systems or by fsspec's."""
    scheme, is_url, _ = path.partition("://")
    if not is_url:
        return open(path, "rb")
    if scheme in remote_files().get_registered_schemes():
        return remote_files().GFile(path, "rb")
    import fsspec

    return fsspec.open(path, "rb").open()


@functools.cache
def remote_files():
    """TensorFlow's `tf.io.gfile`, with the file systems that tensorflow-io adds."""
    import tensorflow as tf

    try:  # It adds s3, az, hdfs and http to the schemes that TensorFlow knows by itself.
        import tensorflow_io  # noqa: F401
    except (ImportError, NotImplementedError, AttributeError):
        pass
    return tf.io.gfile


def _read_at(file, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


class _Span(io.RawIOBase):
    """Part of an open file as a file of its own, for decoders that seek."""

    def __init__(self, file, start: int, end: int):
        self._file, self._start, self._size = file, start, end - start
        self._position = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self):
        return self._position

    def readinto(self, buffer):
        count = max(0, min(len(buffer), self._size - self._position))
        data = _read_at(self._file, self._start + self._position, count)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
