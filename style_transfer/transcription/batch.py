"""Transcriptions of many recordings, written to files: what `style_transfer_transcribe` does."""

import functools
import os
import time
import warnings

from style_transfer import audio as audio_lib
from style_transfer import files, outputs, piano_roll, recordings
from style_transfer.transcription import picture, transcriber
from style_transfer.transcription.options import FORMATS, Options

__all__ = ["FORMATS", "Options", "as_csv", "run", "write"]

SUFFIXES = {"midi": ".mid", "notesequence": ".notesequence", "csv": ".csv", "png": ".png"}
CSV_HEADER = "onset_secs,end_secs,sounds_until_secs,pitch,velocity"


def run(options, report=files.say, load=None):
    """Transcribes each recording to `NAME.mid` and the other formats asked for.

    A recording that cannot be used is reported with its reason and skipped. Names and what is kept:
    see `outputs`.

    Args:
        options: `Options`.
        report: Called with a line of text, and `again=True` for lines that replace the last.
        load: Called without arguments, gives the model; None for `transcriber.load`.

    Returns:
        A `files.Summary`.

    Raises:
        FileNotFoundError: Nothing is at one of the paths, or there are no such weights.
        ValueError: The weights do not transcribe.
    """
    paths = files.find(options.audio, recordings.SUFFIXES, "a recording")
    summary = files.Summary()
    todo = outputs.Outputs.of(options, paths).to_make(
        outputs.recipes(options, paths), [SUFFIXES[name] for name in options.formats], summary,
        report)
    if not todo:
        return summary
    model = transcriber.load(options.weights) if load is None else load()
    for path, place in todo:
        outputs.make(path, place, summary, report, functools.partial(
            _one, path, model, options, report))
    return summary


def _one(path, model, options, report, target):
    """Transcribes one recording; gives the line that says how it went."""
    begun = time.monotonic()

    def progress(done, total):
        report(f"{os.path.basename(path)}: {done:.0f} of {total:.0f} s, "
               f"{files.pace(begun, done, total)}", again=True)

    audio = audio_lib.load(path, model.sample_rate)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        heard = transcriber.transcribe_fully(audio, model, options.thresholds,
                                            options.window_secs, progress)
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            report(f"warning: {path}: {warning.message}")
    took = time.monotonic() - begun
    for name in options.formats:
        write(name, target.with_suffix(SUFFIXES[name]), heard, audio)
    return (f"{len(heard.sequence.notes)} notes of {audio.duration_secs:.1f} s in {took:.1f} s "
            f"(real-time factor {took / audio.duration_secs:.3f})")


def write(name, output, heard, audio):
    """Writes a transcription in one format, whole or not at all.

    Args:
        name: One of `FORMATS`.
        output: Path.
        heard: A `transcriber.Transcription`.
        audio: The recording, for the picture.
    """
    if name == "midi":
        piano_roll.save_midi(output, heard.sequence)
        return
    with files.written_whole(output) as partial:
        if name == "png":
            picture.save_picture(partial, heard, audio, title=output.stem)
        elif name == "csv":
            partial.write_text(as_csv(heard.sequence))
        else:
            partial.write_bytes(heard.sequence.SerializeToString())


def as_csv(sequence):
    """Notes as lines of comma-separated values, with a header.

    Args:
        sequence: A NoteSequence.

    Returns:
        Text; times in seconds, MIDI pitch and velocity. A note ends where its key is released and
        sounds until its damper falls.
    """
    table = piano_roll.note_table(sequence)
    rows = zip(table.onset_secs, table.release_secs, table.damped_secs,
               table.key + piano_roll.LOWEST_PITCH, table.velocity * 127, strict=True)
    lines = [f"{onset:.4f},{release:.4f},{damped:.4f},{pitch},{velocity:.0f}"
             for onset, release, damped, pitch, velocity in rows]
    return "\n".join([CSV_HEADER, *lines]) + "\n"
