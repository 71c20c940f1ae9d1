"""A job: something to play, how far it is, and what came out."""

import contextlib
import dataclasses
import logging
import pathlib
import shutil
import threading
import time

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"


class Cancelled(BaseException):  # noqa: N818 - no error; and what catches errors lets it through
    """Ends a job that nobody wants any more."""


@dataclasses.dataclass
class Result:
    """What a job has made.

    Attributes:
        table: The `NoteTable` played.
        piano: The `Piano` as estimated; None if another method played.
        played: The `Piano` as played: after the sliders.
        seconds: Length of the audio.
        style: The style clip as an `Upload`, or None.
        recording: The content's recording as an `Upload`, or None.
        truth: Path of the piano's own rendering of the piece, or None.
    """

    table: object
    piano: object
    played: object
    seconds: float
    style: object = None
    recording: object = None
    truth: pathlib.Path | None = None


@dataclasses.dataclass
class Instrument:
    """A sampled piano that a job has made.

    Attributes:
        files: Path of each of its files by name.
    """

    files: dict


class Job:
    """One run.

    Args:
        folder: A folder of its own, for what it writes.
        name: For people and for downloads.
        stages: What it will do, in order: pairs of a key and a text for people.
        inputs: `Upload` objects that must stay as long as it is kept.
        asked: What was asked for, as the page needs it to show it again.

    Attributes:
        state: One of `queued`, `running`, `done`, `failed`, `cancelled`.
        error: Why it failed, for people.
        warnings: What is odd about its inputs, for people.
        result: What it made, a `Result`, once it is done.
        inputs: As given.
        future: The `Future` of its run.
    """

    def __init__(self, folder, name, stages, inputs=(), asked=None):
        self.folder, self.name, self.stages = pathlib.Path(folder), name, list(stages)
        self.state, self.error, self.warnings, self.result = QUEUED, None, [], None
        self.stage, self.done, self.total = -1, 0.0, 1.0
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.inputs, self._begun, self._ended = list(inputs), time.monotonic(), None
        self.future, self.asked = None, asked or {}
        self._watchers, self._seen = 0, time.monotonic()
        for upload in self.inputs:
            upload.hold(1)

    @property
    def in_use(self):
        """Whether it waits or runs."""
        return self.state in (QUEUED, RUNNING)

    @contextlib.contextmanager
    def watched(self):
        """Somebody looks at it as long as the block lasts."""
        with self._lock:
            self._watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
            self.seen()

    def seen(self):
        """Somebody looked at it."""
        self._seen = time.monotonic()

    @property
    def unwatched_secs(self):
        """How long nobody has looked at it."""
        return 0.0 if self._watchers else time.monotonic() - self._seen

    def run(self, work):
        """Does `work(job)`, and remembers how it ended.

        Args:
            work: Gives a `Result`; ValueError and FileNotFoundError are the user's to mend.
        """
        try:
            self.check()
            with self._lock:
                self.state = RUNNING
            self.result = work(self)
            self.finish(DONE)
        except Cancelled:
            self.finish(CANCELLED)
        except (ValueError, FileNotFoundError) as error:
            self.finish(FAILED, str(error))
        except Exception:
            logging.getLogger(__name__).exception("A job failed.")
            self.finish(FAILED, "The server failed; its log says why.")

    def finish(self, state, error=None):
        """Ends it, once."""
        with self._lock:
            if not self.in_use:
                return
            self.state, self.error, self._ended = state, error, time.monotonic()
        if state != DONE:
            self.close()

    def cancel(self):
        """Asks it to end: at once if it still waits, else at the next opportunity."""
        self._stop.set()
        if self.future is not None and self.future.cancel():
            self.finish(CANCELLED)

    def check(self):
        """Raises `Cancelled` if it shall end."""
        if self._stop.is_set():
            raise Cancelled

    def progress(self, stage, done=0.0, total=1.0):
        """Tells how far a stage is; the place where a job can be cancelled."""
        self.check()
        keys = [key for key, _ in self.stages]
        if stage in keys:
            self.stage, self.done, self.total = keys.index(stage), float(done), float(total)

    def about(self):
        """What the page shows of it."""
        ended = self._ended or time.monotonic()
        return {"state": self.state, "name": self.name, "error": self.error,
                "warnings": self.warnings, "stage": self.stage,
                "stages": [text for _, text in self.stages],
                "fraction": round(min(self.done / max(self.total, 1e-9), 1.0), 3),
                "secs": round(ended - self._begun, 1), "asked": self.asked}

    def close(self):
        """Deletes its files and lets go of its inputs."""
        with self._lock:
            inputs, self.inputs = self.inputs, []
        for upload in inputs:
            upload.hold(-1)
        shutil.rmtree(self.folder, ignore_errors=True)
