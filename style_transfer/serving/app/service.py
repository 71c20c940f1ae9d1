"""The page's server without HTTP: uploads, jobs, results."""

import functools
import pathlib
import tempfile

from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp.voicing import Voicing, voiced
from style_transfer.serving.app import describe, examples, jobs, uploads, work
from style_transfer.serving.app.shelf import Shelf
from style_transfer.serving.errors import InvalidRequestError, NotFoundError
from style_transfer.serving.server.gate import Gate

LIGHT_WORKERS, LIGHT_QUEUE = 2, 8
MAX_SEED = 2**31 - 1
MAX_SEMITONES, MAX_TRACK = 24, 1 << 16
TEMPO_RANGE = (0.25, 4.0)
FILES = {"audio": (work.AUDIO, "audio/wav"), "notes": (work.NOTES, "audio/midi"),
         "piano": (work.PIANO, "application/zip"), "spectrogram": (work.SPECTROGRAM, "image/png"),
         "style_spectrogram": (work.STYLE_SPECTROGRAM, "image/png"),
         "sfz": (work.INSTRUMENT_ZIP, "application/zip")}


class Service:
    """Everything that the page can ask for.

    Args:
        model: A `PianoDDSP`.
        limits: `AppLimits`.
        transcriber: Model, name or folder of weights that transcribes, or None.
        methods: Other ways to play a piece as a recording sounds: name -> a sentence, and a
            function that loads it and gives a `models.base.Generator.transfer` of its model.

    Attributes:
        light: `Gate` of what takes moments: reading files, drawing charts.
        heavy: `Gate` of jobs.
    """

    def __init__(self, model, limits, transcriber=None, methods=None):
        self.model, self.limits = model, limits
        self.methods = {name: (about, functools.cache(load))
                        for name, (about, load) in (methods or {}).items()}
        self.work = work.Work(model, transcriber, limits)
        self.examples = examples.Examples(model)
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

    def about_upload(self, key):
        """What the page shows of a file that it sent before."""
        return {"upload": key, **self.uploads.get(key).about()}

    def start(self, content, style, style_notes=None, steps=None, seed=0, voicing=None,
              transpose=0, tempo=1.0, tracks=None, method=None):
        """Starts a job and gives its key.

        Args:
            content: Where the piece is: a dict with the key of an `upload` or of an `example`.
            style: Where the piano is, likewise.
            style_notes: Where the style clip's notes are, or None.
            steps: Gradient steps of the fit, None for a number by the recording's length.
            seed: Seed of everything random.
            voicing: Values of the sliders, a dict, or None.
            transpose: Semitones that the piece is moved by.
            tempo: How many times as fast it is played.
            tracks: Numbers of its tracks that are played, None for all.
            method: One of `methods`, which knows neither fit nor sliders; None for our own.
        """
        piece = self._source(content, "content")
        fit, asked = self._fit(style, style_notes, steps, seed)
        changes = work.Arrangement(transpose, tempo, _checked_tracks(tracks))
        if not _is_whole(transpose, -MAX_SEMITONES, MAX_SEMITONES):
            raise InvalidRequestError(f"transpose must be a whole number from -{MAX_SEMITONES} to "
                                      f"{MAX_SEMITONES}.")
        if isinstance(tempo, bool) or not isinstance(tempo, (int, float)) or not (
                TEMPO_RANGE[0] <= tempo <= TEMPO_RANGE[1]):
            raise InvalidRequestError("tempo must lie between {} and {}.".format(*TEMPO_RANGE))
        voicing = self.voicing(voicing)
        asked |= {"content": {**content, **piece.about()}, "voicing": vars(voicing),
                  "transpose": transpose, "tempo": tempo, "tracks": tracks, "method": method}
        if method is not None:
            return self._change(piece, fit, changes, method, asked)
        truth = examples.truth(content.get("example"), style.get("example"))
        return self._submit(
            f"{piece.name} on {fit.style.name}", work.stages(piece, fit),
            filter(None, (piece, fit.style, fit.notes)),
            lambda job: self.work.transfer(job, piece, fit, changes, voicing, truth), asked)

    def _change(self, piece, fit, changes, method, asked):
        if method not in self.methods:
            raise InvalidRequestError(f"method must be one of {', '.join(self.methods) or 'none'}.")
        if fit.style.path is None:
            raise InvalidRequestError(f"{method} needs a recording of the piano, and "
                                      f"“{fit.style.name}” is none. Choose one, or another method.")
        load = self.methods[method][1]
        return self._submit(
            f"{piece.name} as {fit.style.name} by {method}", work.change_stages(piece),
            (piece, fit.style),
            lambda job: self.work.change(job, piece, fit.style, load, changes, fit.seed), asked)

    def instrument(self, style, style_notes=None, steps=None, seed=0, voicing=None, full=False):
        """Starts a job that samples a piano for a player, and gives its key.

        Args:
            style: As in `start`, with what follows.
            style_notes: As in `start`.
            steps: As in `start`.
            seed: As in `start`.
            voicing: As in `start`.
            full: Whether it is to be taken along: every key at many velocities.
        """
        fit, asked = self._fit(style, style_notes, steps, seed)
        voicing = self.voicing(voicing)
        if not isinstance(full, bool):
            raise InvalidRequestError("full must be true or false.")
        return self._submit(
            fit.style.name, work.stages(None, fit), filter(None, (fit.style, fit.notes)),
            lambda job: self.work.sample(job, fit, voicing, full),
            asked | {"voicing": vars(voicing)})

    def replay(self, base, voicing, seed=0):
        """Starts a job that plays a result again with other sliders, and gives its key."""
        before, voicing = self._with_piano(base), self.voicing(voicing)
        _check_seed(seed)
        # Of what is played again and again the first has the piano as it was estimated.
        asked = {**before.asked, "voicing": vars(voicing),
                 "base": before.asked.get("base") or base}
        return self._submit(before.name, work.REPLAY_STAGES, before.inputs,
                            lambda job: self.work.replay(job, before, voicing, seed), asked)

    def cancel(self, key):
        """Ends a job, or forgets it if it has ended."""
        self.jobs.get(key).cancel()
        self.jobs.remove(key)

    def finished(self, key, kind=jobs.Result):
        """The job of a key, which must be done and have made what is asked for."""
        job = self.jobs.get(key)
        if job.state != jobs.DONE or not isinstance(job.result, kind):
            raise InvalidRequestError("There is no such result yet.")
        return job

    def result(self, key):
        """What the page draws of a result."""
        job = self.finished(key)
        made = job.result
        piano = {} if made.piano is None else {
            "piano": made.piano.name, "fitted": bool(made.piano.corrections),
            "charts": describe.charts(made.piano, self.model),
            "played_charts": describe.charts(made.played, self.model)}
        return {"name": job.name, "seconds": round(made.seconds, 3),
                "highest_hz": _highest_hz(job.folder / work.AUDIO),
                "peaks": describe.peaks(job.folder / work.AUDIO),
                "roll": describe.roll(made.table),
                "has_style": made.style is not None, "has_truth": made.truth is not None,
                "has_recording": made.recording is not None,
                "style_seconds": 0 if made.style is None else round(made.style.seconds, 3),
                "style_highest_hz": 0 if made.style is None else _highest_hz(made.style.path),
                "has_style_spectrogram": (job.folder / work.STYLE_SPECTROGRAM).is_file(),
                "warnings": job.warnings, **piano}

    def _with_piano(self, key):
        job = self.finished(key)
        if job.result.piano is None:
            raise InvalidRequestError("It was made by another method, which estimates no piano.")
        return job

    def preview(self, key, voicing):
        """The charts of a result's piano, with sliders as given."""
        piano = self._with_piano(key).result.piano
        return describe.charts(voiced(piano, self.model, self.voicing(voicing)), self.model)

    def file(self, key, kind):
        """Path and media type of something that a job made, or of what it was made from."""
        job = self.finished(key, jobs.Instrument if kind == "sfz" else jobs.Result)
        if kind in FILES:
            name, media = FILES[kind]
            return job.folder / name, media
        if kind == "truth":
            return job.result.truth or job.folder / "none", "audio/mpeg"
        upload = {"style": job.result.style, "recording": job.result.recording}[kind]
        return (job.folder / "none" if upload is None else upload.path), "audio/wav"

    def sample(self, key, name):
        """Path of one of the files of an instrument: its map, or a sample that is in it."""
        job = self.finished(key, jobs.Instrument)
        found = job.result.files.get(name)
        if found is None:
            raise NotFoundError("There is no such sample.")
        return found

    def about(self):
        """What the page needs to begin."""
        limits = self.limits
        return {"examples": self.examples.about(), "controls": describe.controls(),
                "methods": [{"method": name, "about": about}
                            for name, (about, _) in self.methods.items()],
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
        """Ends jobs that nobody watches, and forgets what was left behind."""
        for job in self.jobs.things():
            if job.in_use and job.unwatched_secs > self.limits.unwatched_secs:
                job.cancel()
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

    def _fit(self, style, style_notes, steps, seed):
        """The `work.Fit` that a request asks for, and how the page asks for it again."""
        if steps is not None and not _is_whole(steps, 0, self.limits.adapt_steps):
            raise InvalidRequestError("steps must be a whole number from 0 to "
                                      f"{self.limits.adapt_steps}.")
        _check_seed(seed)
        fit = work.Fit(self._source(style, "style"),
                       style_notes and self._source(style_notes, "notes"), steps, seed)
        return fit, {"style": {**style, **fit.style.about()}, "style_notes": style_notes,
                     "steps": steps, "seed": seed}

    def _submit(self, name, stages, inputs, task, asked):
        with self.heavy.admitted():
            job = jobs.Job(tempfile.mkdtemp(dir=self.folder), name, stages, inputs, asked)
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


def _is_whole(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _check_seed(seed):
    if not _is_whole(seed, 0, MAX_SEED):
        raise InvalidRequestError(f"seed must be a whole number from 0 to {MAX_SEED}.")


def _checked_tracks(tracks):
    if tracks is None:
        return None
    if not isinstance(tracks, list) or not tracks or not all(
            _is_whole(number, 0, MAX_TRACK) for number in tracks):
        raise InvalidRequestError("tracks must be a list of their numbers, or be left out.")
    return tuple(tracks)
