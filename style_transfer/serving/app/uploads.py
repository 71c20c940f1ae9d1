"""Files that a browser sends: read once, checked, and kept in a form of our own.

Nothing that was sent is opened by name, and no later step sees the original bytes.
"""

import dataclasses
import pathlib
import secrets
import threading

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import piano_roll, recordings
from style_transfer.audio import Audio
from style_transfer.measure import clip
from style_transfer.midi import load, tracks
from style_transfer.models.piano_ddsp.piano import SUFFIX, Piano
from style_transfer.serving.errors import InvalidRequestError, TooLargeError

ROLES = {"content": ("notes", "recording"), "style": ("recording", "piano"), "notes": ("notes",)}
KEPT_RATES = {"content": 24_000, "style": audio_lib.MAX_SAMPLE_RATE}
NAME_LENGTH = 80
_EXPECTED = {
    "content": "a MIDI file, a score (MusicXML, ABC) or a recording (WAV, FLAC, MP3, OGG, M4A)",
    "style": "a recording of a piano (WAV, FLAC, MP3, OGG, M4A) or a .piano file",
    "notes": "a MIDI file or a score",
}


@dataclasses.dataclass
class Upload:
    """A file that was read.

    Attributes:
        kind: `notes`, `recording` or `piano`.
        name: Its name without the ending, for people.
        seconds: How long it lasts; 0 for a piano.
        sequence: The NoteSequence of notes.
        table: Their `NoteTable`.
        path: The WAV file of a recording.
        piano: The `Piano`.
        remarks: What to know of notes: a file that is cut short, several instruments.
        heard: The `NoteTable` of a recording of a piece, once it was transcribed.
        pianos: What was estimated of a recording of a piano: what was asked -> what was found.
        users: Jobs that need it.
    """

    kind: str
    name: str
    seconds: float = 0.0
    sequence: object = None
    table: object = None
    path: pathlib.Path | None = None
    piano: Piano | None = None
    remarks: list = dataclasses.field(default_factory=list)
    heard: object = None
    pianos: dict = dataclasses.field(default_factory=dict)
    users: int = 0
    _lock: object = dataclasses.field(default_factory=threading.Lock)

    @property
    def in_use(self):
        """Whether a job needs it."""
        return self.users > 0

    def hold(self, change):
        """Counts a job that begins (1) or ends (-1) to need it."""
        with self._lock:
            self.users += change

    def close(self):
        """Deletes its file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def about(self):
        """What the page shows of it."""
        return {"kind": self.kind, "name": self.name, "seconds": round(self.seconds, 3),
                "notes": 0 if self.table is None else len(self.table), "remarks": self.remarks,
                "tracks": [] if self.sequence is None else _tracks(self.sequence)}


def read(data, name, role, limits, folder):
    """Reads a file that was sent.

    Args:
        data: Its bytes.
        name: What it was called, only to call it something.
        role: `content`, `style` or `notes`.
        limits: `AppLimits`.
        folder: Where recordings are kept.

    Raises:
        InvalidRequestError: It is no file of that role, or beyond a limit.
        TooLargeError: It is too large for its kind.
    """
    name = clean_name(name)
    try:
        kind = _kind(data)
        if kind not in ROLES[role]:
            raise ValueError(f"This is a file of the kind {kind!r}.")
        if kind != "recording" and len(data) > limits.midi_bytes:
            raise TooLargeError(f"The file has {len(data)} bytes; at most {limits.midi_bytes} are "
                                "read of this kind.")
        return {"notes": _notes, "piano": _piano, "recording": _recording}[kind](
            data, name, role, limits, folder)
    except ValueError as error:
        reason = str(error).replace("the given bytes ", "It ")
        raise InvalidRequestError(
            f"“{name}” cannot be used here. {reason} Expected {_EXPECTED[role]}.") from error


def clean_name(name):
    """A name for people: no path, no ending, nothing that does not print."""
    name = pathlib.PurePosixPath(str(name).replace("\\", "/")).name
    name = pathlib.PurePosixPath(name).stem
    return "".join(c for c in name if c.isprintable())[:NAME_LENGTH].strip(". ") or "untitled"


def check_table(table, limits):
    """Raises ValueError if there is nothing to play, or too much."""
    if not len(table):
        raise ValueError(f"It holds no notes for a piano ({piano_roll.DRUM_CHANNEL_MESSAGE}).")
    if len(table) > limits.notes:
        raise ValueError(f"It has {len(table)} notes; at most {limits.notes} are played.")
    if not table.end_secs <= limits.content_secs:
        raise ValueError(f"It lasts {table.end_secs:.0f} s; at most {limits.content_secs:g} s are "
                         "played.")


def _kind(data):
    if not data:
        raise ValueError("It is empty.")
    if load.is_notes(data):
        return "notes"
    return "piano" if data[:4] == b"PK\x03\x04" else "recording"


def _notes(data, name, role, limits, folder):
    remarks = []
    sequence = piano_roll.load_midi(
        data, warn=lambda line: remarks.append(line.replace("the given bytes is ", "The file is ")))
    table = piano_roll.note_table(sequence)
    check_table(table, limits)
    if len(names := tracks.pitched(sequence)) > 1:
        remarks.append(f"{len(names)} instruments are put on the piano.")
    return Upload("notes", name, table.end_secs, sequence=sequence, table=table, remarks=remarks)


def _tracks(sequence):
    """Numbers and names of the tracks to choose from, none if there is one only."""
    found = {}
    for line in tracks.pitched(sequence):
        number, _, about = line.partition(": ")
        found.setdefault(int(number), []).append(about)
    return [{"number": number, "name": ", ".join(names)} for number, names in found.items()
            ] if len(found) > 1 else []


def _piano(data, name, role, limits, folder):
    path = pathlib.Path(folder) / f"{secrets.token_hex(8)}{SUFFIX}"
    try:
        path.write_bytes(data)
        piano = Piano.load(path)
    except ValueError as error:
        raise ValueError("It is not a piano saved by this program, or it is damaged.") from error
    finally:
        path.unlink(missing_ok=True)
    piano = dataclasses.replace(piano, name=clean_name(piano.name + SUFFIX))
    return Upload("piano", name, piano=piano)


def _recording(data, name, role, limits, folder):
    max_secs = limits.clip_secs if role == "style" else limits.content_secs
    try:
        audio = audio_lib.load(data, max_secs=max_secs, name="It", stereo=role == "style")
    except recordings.NotAudioError as error:
        raise ValueError("It is neither MIDI nor audio that can be read.") from error
    if audio.rms_db <= audio_lib.LOUDNESS_FLOOR_DB:
        raise ValueError("It is silent.")
    remarks = clip.check_style_clip(audio_lib.mono(audio)) if role == "style" else []
    peak = float(np.max(np.abs(audio.samples)))
    audio = audio_lib.resample(audio, min(audio.sample_rate, KEPT_RATES[role]))
    path = pathlib.Path(folder) / f"{secrets.token_hex(8)}.wav"
    audio_lib.save(path, Audio(audio.samples / max(1.0, peak), audio.sample_rate))
    return Upload("recording", name, audio.duration_secs, path=path, remarks=remarks)
