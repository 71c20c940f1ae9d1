"""Limits of what a client may ask for, checked before anything is computed."""

import dataclasses

from style_transfer import recordings
from style_transfer.serving.errors import InvalidRequestError

MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the embedded server accepts.

    Attributes:
        body_bytes: Largest request.
        batch_size: Most items of a request.
        clip_secs: Longest style clip.
        content_secs: Longest piece, and longest recording that is transcribed.
        notes: Most notes of a piece.
        adapt_steps: Most gradient steps of an adaptation that a request may ask for.
        workers: Requests computed at the same time.
        queue: Requests that wait, beyond those being computed.
        read_secs: How long a client may take to send its request.
        compute_secs: How long a request may wait and compute before it is given up.
    """

    body_bytes: int = 64 * MEBIBYTE
    batch_size: int = 8
    clip_secs: float = 600.0
    content_secs: float = 1200.0
    notes: int = 30_000
    adapt_steps: int = 400
    workers: int = 1
    queue: int = 16
    read_secs: float = 30.0
    compute_secs: float = 600.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < (0 if field.name == "queue" else 1):
                raise ValueError(f"The limit {field.name} must be at least 1, got {value}.")

    def check(self, inputs):
        """Raises InvalidRequestError if decoded inputs ask for more than is allowed.

        Args:
            inputs: Dict of NumPy arrays, batch first. What cannot be read is left to the model,
                whose errors say more.
        """
        for name, values in inputs.items():
            if len(values.shape) and values.shape[0] > self.batch_size:
                raise InvalidRequestError(
                    f"The request has {values.shape[0]} items; at most "
                    f"{self.batch_size} are served at once. Send several.")
            if name.endswith("content_bytes"):
                for value in values.ravel():
                    self._check_notes(value)
            elif name in ("style_bytes", "audio_bytes"):
                for value in values.ravel():
                    self._check_clip(value, is_style=name == "style_bytes")

    def _check_clip(self, data, is_style):
        import soundfile

        what, most_secs = (("style clip", self.clip_secs) if is_style
                           else ("recording", self.content_secs))

        try:
            about = soundfile.info(recordings.Bytes(data))
        except Exception:  # anything at all may be in there
            return
        if about.samplerate > 0 and about.frames / about.samplerate > most_secs:
            raise InvalidRequestError(
                f"The {what} lasts {about.frames / about.samplerate:.0f} s; at most "
                f"{most_secs:g} s are read. Cut it{'; 10 to 60 s are good' * is_style}.")

    def _check_notes(self, data):
        from google.protobuf.message import DecodeError
        from note_seq.protobuf import music_pb2

        try:
            sequence = music_pb2.NoteSequence.FromString(data)
        except (DecodeError, RuntimeError, ValueError):
            return
        if len(sequence.notes) > self.notes:
            raise InvalidRequestError(
                f"The piece has {len(sequence.notes)} notes; at most "
                f"{self.notes} are played. Cut it into parts.")
        times = [note.end_time for note in sequence.notes]
        times += [change.time for change in sequence.control_changes]
        end = max(times, default=0.0)
        if not end <= self.content_secs:
            raise InvalidRequestError(
                f"The piece lasts {end:g} s; at most {self.content_secs:g} s are "
                "played. Cut it into parts.")
