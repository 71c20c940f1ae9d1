"""What a job does: hear, measure, fit, play, draw."""

import dataclasses
import pathlib
import warnings
import zipfile

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import piano_roll, pictures
from style_transfer.midi import tracks as tracks_lib
from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp import generate as batch
from style_transfer.models.piano_ddsp.options import Options
from style_transfer.models.piano_ddsp.voicing import voiced
from style_transfer.serving.app import jobs, uploads

AUDIO, NOTES, PIANO = "result.wav", "result.mid", "result.piano"
SPECTROGRAM, STYLE_SPECTROGRAM = "result.png", "style.png"
INSTRUMENT, INSTRUMENT_ZIP = "piano", "piano.zip"
SHORTEST_PICTURE = 2048
RATE = 24_000  # of what other methods make, Hz
_TEXTS = {"hear_piece": "Writing down the notes of the recording",
          "hear_style": "Listening to the piano", "measuring": "Measuring its strings",
          "adapting": "Fitting the instrument", "playing": "Playing", "drawing": "Drawing",
          "sampling": "Sampling every key"}


@dataclasses.dataclass(frozen=True)
class Fit:
    """How a piano is estimated.

    Attributes:
        style: The `Upload` of its recording or of a `.piano` file.
        notes: The `Upload` of the recording's notes, or None.
        steps: Gradient steps; None for a number by the recording's length.
        seed: Seed of everything random.
    """

    style: uploads.Upload
    notes: uploads.Upload | None
    steps: int | None
    seed: int

    @property
    def found(self):
        """The piano and remarks on its clip if it was estimated so before, else None."""
        return self.style.pianos.get(self._name, (None,))[0]

    def keep(self, piano, remarks):
        """Keeps what was found with the recording, for the next piece; gives it back."""
        # With the notes, so that no others are at their address.
        self.style.pianos[self._name] = (piano, remarks), self.notes
        return self.found

    @property
    def _name(self):
        return id(self.notes), self.steps, self.seed


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """How a piece is changed before it is played.

    Attributes:
        transpose: Semitones up.
        tempo: How many times as fast.
        tracks: Numbers of the tracks that are played, None for all.
    """

    transpose: int = 0
    tempo: float = 1.0
    tracks: tuple | None = None

    def of(self, content, table):
        """The notes of a piece as they are played.

        Args:
            content: The `Upload`.
            table: Its `NoteTable`.

        Raises:
            ValueError: Nothing is left, or it lasts too long.
        """
        if self.tracks is not None and content.sequence is not None:
            table = piano_roll.note_table(tracks_lib.select(content.sequence, self.tracks))
        table = table.transpose(self.transpose).at_tempo(self.tempo)
        if not len(table):
            raise ValueError("No note of the piece is left on the keyboard. Transpose it less.")
        return table


def stages(content, fit):
    """The stages of a job, pairs of a key and a text.

    Args:
        content: The piece as an `Upload`; None if the piano is sampled instead.
        fit: A `Fit`.
    """
    keys = [] if content is None else _hearing(content)
    if fit.style.kind == "recording" and fit.found is None:
        keys += ["hear_style"] if fit.steps != 0 and not fit.notes else []
        keys += ["measuring"] + (["adapting"] if fit.steps != 0 else [])
    keys += ["sampling"] if content is None else ["playing", "drawing"]
    return _named(keys)


def change_stages(content):
    """The stages of `Work.change`, likewise."""
    return _named([*_hearing(content), "playing", "drawing"])


def _hearing(content):
    heard = content.kind != "recording" or content.heard is not None
    return [] if heard else ["hear_piece"]


def _named(keys):
    return [(key, _TEXTS[key]) for key in keys]


REPLAY_STAGES = _named(["playing", "drawing"])


class Work:
    """Computes jobs, one after the other.

    Args:
        model: A `PianoDDSP`.
        transcriber: Model, name or folder of weights that transcribes, or None.
        limits: `AppLimits`.
    """

    def __init__(self, model, transcriber, limits):
        self.model, self.transcriber, self.limits = model, transcriber, limits

    def transfer(self, job, content, fit, arrangement, voicing, truth=None):
        """Estimates a piano and plays a piece on it: a `Result`."""
        table = arrangement.of(content, self._table(job, content))
        uploads.check_table(table, self.limits)
        piano, remarks = self._piano(job, fit)
        job.warnings = content.remarks + remarks
        recorded = fit.style.path is not None
        if recorded:
            _draw(job.folder / STYLE_SPECTROGRAM, audio_lib.load(fit.style.path))
        result = self.play(job, table, piano, voicing, fit.seed, fit.style if recorded else None)
        if arrangement == Arrangement():  # else nothing is in time with it
            result.recording = content if content.kind == "recording" else None
            result.truth = truth
        return result

    def change(self, job, content, style, method, arrangement, seed):
        """Plays a piece as a recording sounds by another method than our own: a `Result`."""
        table = arrangement.of(content, self._table(job, content))
        uploads.check_table(table, self.limits)
        job.warnings = content.remarks
        job.progress("playing")
        audio = method()(piano_roll.to_sequence(table), str(style.path), sample_rate=RATE,
                         seed=seed)
        audio_lib.save(job.folder / AUDIO, audio)
        job.progress("drawing")
        piano_roll.save_midi(job.folder / NOTES, piano_roll.to_sequence(table))
        _draw(job.folder / SPECTROGRAM, audio)
        _draw(job.folder / STYLE_SPECTROGRAM, audio_lib.load(style.path))
        is_in_time = content.kind == "recording" and arrangement == Arrangement()
        return jobs.Result(table, None, None, audio.duration_secs, style,
                           content if is_in_time else None)

    def sample(self, job, fit, voicing, full):
        """Estimates a piano and samples it: an `Instrument`."""
        from style_transfer.models.piano_ddsp import instrument

        piano, job.warnings = self._piano(job, fit)
        path = instrument.save(
            self.model, voiced(piano, self.model, voicing), job.folder / INSTRUMENT,
            progress=job.progress, **(instrument.FULL if full else instrument.SMALL))
        found = {file.name: file for file in path.parent.rglob("*.*")}
        with zipfile.ZipFile(job.folder / INSTRUMENT_ZIP, "w") as archive:  # FLAC is small already
            for file in found.values():
                archive.write(file, pathlib.Path(job.name) / file.relative_to(path.parent))
        return jobs.Instrument(found)

    def _table(self, job, content):
        """The notes of a piece; a recording's are heard once."""
        if content.kind != "recording":
            return content.table
        if content.heard is None:
            content.heard = content_lib.content_notes(
                audio_lib.load(content.path), transcriber=self.transcriber,
                progress=lambda what, done, total: job.progress("hear_piece", done, total))
        return content.heard

    def _piano(self, job, fit):
        """The piano of a `Fit` and remarks on its clip; estimated once."""
        if fit.found is not None:
            return fit.found
        style = fit.style
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            piano = estimate.estimate_piano(
                (audio_lib.load(style.path, stereo=True) if style.piano is None
                 else style.piano),
                adapt_steps=fit.steps, seed=fit.seed, style_midi=fit.notes and fit.notes.sequence,
                model=self.model, name=style.name, transcriber=self.transcriber,
                transcribe_style=fit.steps != 0,
                progress=lambda what, done, total: job.progress(
                    "hear_style" if what == "transcribing" else what, done, total))
        return fit.keep(piano, [str(w.message) for w in caught
                                if issubclass(w.category, UserWarning)])

    def replay(self, job, base, voicing, seed):
        """Plays what another job played, on its piano after other work on it: a `Result`."""
        before = base.result
        if before.style is not None:
            source = base.folder / STYLE_SPECTROGRAM
            if source.is_file():
                (job.folder / STYLE_SPECTROGRAM).write_bytes(source.read_bytes())
        result = self.play(job, before.table, before.piano, voicing, seed, before.style)
        result.recording, result.truth = before.recording, before.truth
        return result

    def play(self, job, table, piano, voicing, seed, style):
        """Plays notes on a piano and writes all that can be fetched: a `Result`."""
        played = voiced(piano, self.model, voicing)
        options = Options(content=(), style="", output_dir="", seed=seed,
                          sample_rate=played.sample_rate)
        job.progress("playing")
        seconds, _ = batch.play_to_file(job.folder / AUDIO, played, table, self.model, options,
                                        report=_quietly, progress=job.progress)
        job.progress("drawing")
        piano_roll.save_midi(job.folder / NOTES, piano_roll.to_sequence(table))
        played.save(job.folder / PIANO)
        _draw(job.folder / SPECTROGRAM, audio_lib.load(job.folder / AUDIO), seconds)
        return jobs.Result(table, piano, played, seconds, style)


def _quietly(line, again=False):
    """Says nothing: the page has a player with a volume."""


def _draw(path, audio, seconds=pictures.SECONDS_SHOWN):
    if len(audio.samples) >= SHORTEST_PICTURE:
        path.write_bytes(pictures.spectrogram_png(audio, seconds))
