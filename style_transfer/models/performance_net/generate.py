"""Pieces played by a `PerformanceNet` and a vocoder, written to files."""

import functools
import pathlib
import time

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import files, outputs, piano_roll, pictures, recordings
from style_transfer.models.performance_net import playing


def generate(model, options, report=files.say):
    """Plays each content; `NAME.wav`, `NAME.mid` and `NAME.png` are written, see `outputs`.

    Args:
        model: A `PerformanceNet`.
        options: The `Options`.
        report: Called with a line of text, and `again=True` for lines that replace the last.

    Returns:
        A `files.Summary`.

    Raises:
        FileNotFoundError: Content, clip or the vocoder's weights are missing.
        ValueError: The clip is silent, or an option is wrong.
    """
    style = _style(model, options.style)
    paths = files.find(options.content, (*content_lib.SUFFIXES, *recordings.SUFFIXES),
                       "a MIDI file, a score or a recording", options.output_dir)
    summary = files.Summary()
    todo = outputs.Outputs.of(options, (*paths, options.style)).to_make(
        outputs.recipes(options, paths), (".wav", ".mid", *[".png"] * options.picture), summary,
        report, pathlib.Path(options.style).stem)

    def write(path, target):
        table = content_lib.content_notes(path, tracks=options.tracks, say=summary.remark(report))
        return _write(model, table, style, target, options.picture, report)

    for path, place in todo:
        outputs.make(path, place, summary, report, functools.partial(write, path))
    return summary


def played(model, content, style, sample_rate):
    """One piece in memory.

    Args:
        model: A `PerformanceNet`.
        content: As `content.content_notes` takes it.
        style: The piano, as `audio.load` takes it.
        sample_rate: Of the result, Hz.

    Returns:
        An `Audio`.
    """
    table = content_lib.content_notes(content)
    audio = playing.play(model, table, num_frames(model, table), _style(model, style))
    return audio_lib.resample(audio, sample_rate)


def num_frames(model, table):
    """Frames of the roll that a piece takes, with its last notes' sound."""
    secs = table.end_secs + piano_roll.TAIL_SECS
    return -(-round(secs * model.sample_rate) // (model.sample_rate // model.roll_rate))


def _style(model, source):
    clip = audio_lib.load(source, model.sample_rate)
    if clip.rms_db <= audio_lib.LOUDNESS_FLOOR_DB:
        raise ValueError(f"{source if isinstance(source, str) else 'The style clip'} is silent.")
    return playing.style_of(model, clip)


def _write(model, table, style, target, picture, report):
    begun, frames = time.monotonic(), num_frames(model, table)
    audio = playing.play(model, table, frames, style, lambda done, total: report(
        f"{done} of {total} frames", again=True))
    took = time.monotonic() - begun
    audio_lib.save(target, audio)
    piano_roll.save_midi(target.with_suffix(".mid"), piano_roll.to_sequence(table))
    if picture:
        shown = min(frames, round(pictures.SECONDS_SHOWN * model.roll_rate))
        roll = piano_roll.keys_roll(table, 0, shown, model.roll_rate)
        pictures.save_roll_picture(target.with_suffix(".png"), roll, model.roll_rate, audio,
                                   title=target.stem)
    return f"{audio.duration_secs:.1f} s, real-time factor {took / audio.duration_secs:.3f}"
