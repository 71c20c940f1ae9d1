"""The page's server without HTTP: uploads, jobs, results."""

import pathlib
import tempfile

from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp.voicing import Voicing, voiced
from style_transfer.serving.app import describe, jobs, uploads, work
from style_transfer.serving.app.examples import Examples
from style_transfer.serving.app.shelf import Shelf
from style_transfer.serving.errors import InvalidRequestError
from style_transfer.serving.server.gate import Gate

LIGHT_WORKERS, LIGHT_QUEUE = 2, 8
MAX_SEED = 2**31 - 1
FILES = {"audio": (work.AUDIO, "audio/wav"), "notes": (work.NOTES, "audio/midi"),
         "piano": (work.PIANO, "application/zip"), "spectrogram": (work.SPECTROGRAM, "image/png"),
         "style_spectrogram": (work.STYLE_SPECTROGRAM, "image/png")}


class Service:
    """Everything that the page can ask for.

    Args:
        model: A `PianoDDSP`.
        limits: `AppLimits`.
        transcriber: Model, name or folder of weights that transcribes, or None.

    Attributes:
        light: `Gate` of what takes moments: reading files, drawing charts.
        heavy: `Gate` of jobs.
    """

    def __init__(self, model, limits, transcriber=None):
        self.model, self.limits = model, limits
        self.work = work.Work(model, transcriber, limits)
        self.examples = Examples(model)
        self.uploads = Shelf(limits.uploads, limits.keep_secs, "file")
        self.jobs = Shelf(limits.results, limits.keep_secs, "result")
        self.light = Gate(LIGHT_WORKERS, LIGHT_QUEUE)
        # One at a time: the fit keeps one compiled adapter.
        self.heavy = Gate(1, limits.queue)
        self._folder = tempfile.TemporaryDirectory(prefix="style_transfer_app.")
        self.folder = pathlib.Path(self._folder.name)

    def upload(self, data, name, role):
        """Keeps a file: what the page shows of it, with its `upload` key."""
        read = uploads.read(data, name, role, self.limits, self.folder)
        try:
            if read.piano is not None:
                estimate.estimate_piano(read.piano, model=self.model)  # does it fit the weights?
            key = self.uploads.add(read)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        except Exception:
            read.close()
            raise
        return {"upload": key, **read.about()}

    def start(self, content, style, style_notes=None, steps=None, seed=0, voicing=None):
        """Starts a job and gives its key.

        Args:
            content: Where the piece is: a dict with the key of an `upload` or of an `example`.
            style: Where the piano is, likewise.
            style_notes: Where the style clip's notes are, or None.
            steps: Gradient steps of the fit, None for a good number.
            seed: Seed of everything random.
            voicing: Values of the sliders, a dict, or None.
        """
        from style_transfer.models.piano_ddsp import adaptation

        steps = adaptation.DEFAULT_STEPS if steps is None else steps
        _check_number("steps", steps, self.limits.adapt_steps)
        _check_number("seed", seed, MAX_SEED)
        sources = (self._source(content, "content"), self._source(style, "style"),
                   style_notes and self._source(style_notes, "notes"))
        voicing = self.voicing(voicing)
        return self._submit(
            f"{sources[0].name} on {sources[1].name}",
            work.stages(sources[0], sources[1], steps, bool(style_notes)), filter(None, sources),
            lambda job: self.work.transfer(job, *sources, steps, voicing, seed))

    def replay(self, base, voicing, seed=0):
        """Starts a job that plays a result again with other sliders, and gives its key."""
        before, voicing = self.finished(base), self.voicing(voicing)
        _check_number("seed", seed, MAX_SEED)
        return self._submit(before.name, work.REPLAY_STAGES, before.inputs,
                            lambda job: self.work.replay(job, before, voicing, seed))

    def cancel(self, key):
        """Ends a job, or forgets it if it has ended."""
        self.jobs.get(key).cancel()
        self.jobs.remove(key)

    def finished(self, key):
        """The job of a key, which must be done."""
        job = self.jobs.get(key)
        if job.state != jobs.DONE:
            raise InvalidRequestError("There is no result yet.")
        return job

    def result(self, key):
        """What the page draws of a result."""
        job = self.finished(key)
        made = job.result
        return {"name": job.name, "piano": made.piano.name, "seconds": round(made.seconds, 3),
                "highest_hz": _highest_hz(job.folder / work.AUDIO),
                "roll": describe.roll(made.table),
                "charts": describe.charts(made.piano, self.model),
                "played_charts": describe.charts(made.played, self.model),
                "has_style": made.style is not None, "has_recording": made.recording is not None,
                "style_seconds": 0 if made.style is None else round(made.style.seconds, 3),
                "style_highest_hz": 0 if made.style is None else _highest_hz(made.style.path),
                "has_style_spectrogram": (job.folder / work.STYLE_SPECTROGRAM).is_file(),
                "fitted": bool(made.piano.corrections), "warnings": job.warnings}

    def preview(self, key, voicing):
        """The charts of a result's piano, with sliders as given."""
        piano = self.finished(key).result.piano
        return describe.charts(voiced(piano, self.model, self.voicing(voicing)), self.model)

    def file(self, key, kind):
        """Path and media type of something that a job made, or of what it was made from."""
        job = self.finished(key)
        if kind in FILES:
            name, media = FILES[kind]
            return job.folder / name, media
        upload = {"style": job.result.style, "recording": job.result.recording}[kind]
        return (job.folder / "none" if upload is None else upload.path), "audio/wav"

    def about(self):
        """What the page needs to begin."""
        limits = self.limits
        return {"examples": self.examples.about(), "controls": describe.controls(),
                "limits": {"body_bytes": limits.body_bytes, "clip_secs": limits.clip_secs,
                           "content_secs": limits.content_secs, "notes": limits.notes},
                "weights": getattr(self.model, "weights_name", "")}

    def voicing(self, values):
        """A checked `Voicing`."""
        try:
            return Voicing(**(values or {}))
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"These sliders cannot be set: {error}") from error

    def sweep(self):
        """Forgets what was left behind."""
        self.jobs.sweep()
        self.uploads.sweep()

    def close(self, timeout_secs=10.0):
        """Cancels all jobs, waits for them, deletes all files: whether all ended in time."""
        for job in self.jobs.things():
            job.cancel()
        ended = self.heavy.close(timeout_secs) and self.light.close(timeout_secs)
        self._folder.cleanup()
        return ended

    def _source(self, where, role):
        """The `Upload` of a dict with a key `upload` or `example`."""
        if isinstance(where, dict) and isinstance(where.get("example"), str) and role != "notes":
            return self.examples.get(role, where["example"])
        if not isinstance(where, dict) or "upload" not in where:
            raise InvalidRequestError(f"The {role} is missing: choose a file or an example.")
        upload = self.uploads.get(where["upload"])
        if upload.kind not in uploads.ROLES[role]:
            raise InvalidRequestError(f"“{upload.name}” cannot be the {role}.")
        return upload

    def _submit(self, name, stages, inputs, task):
        with self.heavy.admitted():
            job = jobs.Job(tempfile.mkdtemp(dir=self.folder), name, stages, inputs)
            try:
                key = self.jobs.add(job)
                job.future = self.heavy.submit(job.run, task)
            except Exception:
                job.finish(jobs.FAILED)
                raise
            self.heavy.keep_place_until_done(job.future)
        return key


def _highest_hz(path):
    import soundfile

    return soundfile.info(path).samplerate / 2


def _check_number(name, value, most):
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InvalidRequestError(f"{name} must be a whole number from 0 to {most}.")
