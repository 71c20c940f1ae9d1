"""What a job does: hear, measure, fit, play, draw."""

import warnings

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import piano_roll, pictures
from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp import generate as batch
from style_transfer.models.piano_ddsp.options import Options
from style_transfer.models.piano_ddsp.voicing import voiced
from style_transfer.serving.app import jobs, uploads

AUDIO, NOTES, PIANO = "result.wav", "result.mid", "result.piano"
SPECTROGRAM, STYLE_SPECTROGRAM = "result.png", "style.png"
SHORTEST_PICTURE = 2048
_TEXTS = {"hear_piece": "Writing down the notes of the recording",
          "hear_style": "Listening to the piano", "measuring": "Measuring its strings",
          "adapting": "Fitting the instrument", "playing": "Playing", "drawing": "Drawing"}


def stages(content, style, steps, has_style_notes):
    """The stages of a job, pairs of a key and a text.

    Args:
        content: An `Upload`.
        style: An `Upload`.
        steps: Gradient steps of the fit.
        has_style_notes: Whether the style clip's notes are known.
    """
    keys = ["hear_piece"] if content.kind == "recording" else []
    if style.kind == "recording":
        keys += ["hear_style"] if steps and not has_style_notes else []
        keys += ["measuring"] + (["adapting"] if steps else [])
    return [(key, _TEXTS[key]) for key in [*keys, "playing", "drawing"]]


REPLAY_STAGES = [(key, _TEXTS[key]) for key in ("playing", "drawing")]


class Work:
    """Computes jobs, one after the other.

    Args:
        model: A `PianoDDSP`.
        transcriber: Model, name or folder of weights that transcribes, or None.
        limits: `AppLimits`.
    """

    def __init__(self, model, transcriber, limits):
        self.model, self.transcriber, self.limits = model, transcriber, limits

    def transfer(self, job, content, style, style_notes, steps, voicing, seed):
        """Estimates a piano and plays a piece on it: a `Result`."""
        table, recording = content.table, None
        if content.kind == "recording":
            recording = content
            table = content_lib.content_notes(
                audio_lib.load(content.path), transcriber=self.transcriber,
                progress=lambda what, done, total: job.progress("hear_piece", done, total))
            uploads.check_table(table, self.limits)
        clip = None if style.path is None else audio_lib.load(style.path)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            piano = estimate.estimate_piano(
                style.piano if clip is None else clip, adapt_steps=steps, seed=seed,
                style_midi=style_notes and style_notes.sequence, model=self.model,
                name=style.name, transcriber=self.transcriber, transcribe_style=steps > 0,
                progress=lambda what, done, total: job.progress(
                    "hear_style" if what == "transcribing" else what, done, total))
        job.warnings = content.remarks + [
            str(w.message) for w in caught if issubclass(w.category, UserWarning)]
        if clip is not None:
            _draw(job.folder / STYLE_SPECTROGRAM, clip)
        return self.play(job, table, piano, voicing, seed, style if clip is not None else None,
                         recording)

    def replay(self, job, base, voicing, seed):
        """Plays what another job played, on its piano after other work on it: a `Result`."""
        before = base.result
        if before.style is not None:
            source = base.folder / STYLE_SPECTROGRAM
            if source.is_file():
                (job.folder / STYLE_SPECTROGRAM).write_bytes(source.read_bytes())
        return self.play(job, before.table, before.piano, voicing, seed, before.style,
                         before.recording)

    def play(self, job, table, piano, voicing, seed, style, recording):
        """Plays notes on a piano and writes all that can be fetched: a `Result`."""
        played = voiced(piano, self.model, voicing)
        options = Options(content=(), style="", output_dir="", seed=seed)
        job.progress("playing")
        seconds, beginning = batch.play_to_file(job.folder / AUDIO, played, table, self.model,
                                                options, report=_quietly, progress=job.progress)
        job.progress("drawing")
        piano_roll.save_midi(job.folder / NOTES, piano_roll.to_sequence(table))
        played.save(job.folder / PIANO)
        _draw(job.folder / SPECTROGRAM, beginning)
        return jobs.Result(table, piano, played, seconds, style, recording)


def _quietly(line, again=False):
    """Says nothing: the page has a player with a volume."""


def _draw(path, audio):
    if len(audio.samples) >= SHORTEST_PICTURE:
        path.write_bytes(pictures.spectrogram_png(audio))
