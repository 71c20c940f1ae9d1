"""Pieces played by a WaveNet, written to files.

generate(model, Options(content=("piece.mid",), output_dir="out", length_secs=4))
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import time

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import files, outputs, piano_roll, recordings
from style_transfer.models.wavenet import inputs
from style_transfer.models.wavenet import options as options_lib
from style_transfer.models.wavenet.options import Options

__all__ = ["Options", "generate", "played"]

BATCH = 8
SPECTRAL_FRAMES = 1000  # that `SpectralWaveNet` makes in one pass of all pieces, margins aside
PROGRESS_EVERY_SECS = 1.0


@dataclasses.dataclass(frozen=True)
class _Piece:
    """A content to be played: its path, notes, length and, if there is one, its recording."""

    path: object
    table: piano_roll.NoteTable
    num_frames: int
    recording: np.ndarray | None


def generate(model, options, report=files.say):
    """Plays each content, several at once.

    For each piece `NAME.wav`, `NAME.mid` and `NAME.png` are written; names and what is kept: see
    `outputs`. A piece, its options and its seed give the same audio whatever is made with it. A
    piece that cannot be used is reported with its reason and skipped.

    Args:
        model: A `WaveNet` or `SpectralWaveNet`.
        options: The `Options` or `SpectralOptions`; of their contents recordings are transcribed.
        report: Called with a line of text, and `again=True` for lines that replace the last.

    Returns:
        A `files.Summary`.

    Raises:
        FileNotFoundError: Content or a recording is missing.
        ValueError: An option is wrong or does not fit the model.
    """
    options_lib.check(options)
    piano = _piano(model, options)
    paths = files.find(options.content, (*content_lib.SUFFIXES, *recordings.SUFFIXES),
                       "a MIDI file, a score or a recording", options.output_dir)
    primers = getattr(options, "primer_audio", ())
    if len(primers) not in (0, 1, len(paths)):
        raise ValueError(f"There are {len(primers)} recordings for {len(paths)} pieces: give "
                         "primer_audio one for each, or one for all.")
    recording_of = dict(zip(paths, primers if len(primers) == len(paths)
                            else (primers or (None,)) * len(paths), strict=True))
    summary = files.Summary()
    todo = outputs.Outputs.of(options, (*paths, options.style, *primers)).to_make(
        [(path, outputs.recipe(options, path, recording_of[path])) for path in paths],
        (".wav", ".mid", *[".png"] * options.picture), summary, report,
        options.style and pathlib.Path(options.style).stem)
    for first in range(0, len(todo), BATCH):
        pieces = {}
        for path, place in todo[first:first + BATCH]:
            with _skipping(path, summary, report):
                pieces[place] = _read(model, path, recording_of[path], options,
                                      summary.remark(report))
        if pieces:
            _generate_batch(model, pieces, piano, options, summary, report)
    return summary


@contextlib.contextmanager
def _skipping(path, summary, report):
    """What is wrong with a piece is said; the others go on."""
    try:
        yield
    except (ValueError, OSError) as error:
        report(f"skipped {path}: {error}")
        summary.skipped += 1


def _piano(model, options):
    """What the model is told of the piano, for one clip, or None."""
    style_size = getattr(model, "global_size", 0)
    num_pianos = getattr(model, "num_pianos", 0)
    takes_clip = hasattr(model, "style_encoder")
    if options.style and not (style_size or takes_clip):
        raise ValueError("--style is given, but this model was trained without a recording of its "
                         "piano and always sounds like its own: leave it out.")
    if (style_size or takes_clip) and not options.style:
        raise ValueError("This model plays on the piano of a recording: give one with --style.")
    piano_id = getattr(options, "piano_id", None)
    if num_pianos:
        if piano_id is None or not 0 <= piano_id < num_pianos:
            raise ValueError(f"This model knows {num_pianos} pianos: give piano_id 0 to "
                             f"{num_pianos - 1}.")
        return np.int32(piano_id)
    if piano_id is not None:
        raise ValueError("piano_id is given, but this model was trained without numbers of "
                         "pianos: leave it out.")
    if not options.style:
        return None
    clip = audio_lib.load(options.style, model.sample_rate)
    if clip.rms_db <= audio_lib.LOUDNESS_FLOOR_DB:
        raise ValueError(f"{options.style} is silent.")
    return _told(model, clip)


def _told(model, clip):
    """What the model is told of the piano of a clip at its rate: the clip, or a vector of it."""
    clip = audio_lib.at_loudness(clip, inputs.STYLE_LEVEL_DB).samples
    takes_clip = hasattr(model, "style_encoder")
    return clip if takes_clip else inputs.style_vectors([clip], model.sample_rate)[0]


def played(model, content, style, options, sample_rate, seed=0):
    """One piece as `generate` plays it, in memory.

    Args:
        model: A `WaveNet` or `SpectralWaveNet`.
        content: As `content.content_notes` takes it.
        style: The piano, as `audio.load` takes it; not heard by a
            model that was not trained with one.
        options: The class of its options.
        sample_rate: Of the result, Hz.
        seed: Of the sampling.

    Returns:
        An `Audio`.
    """
    options = options(content=(), output_dir="", seed=seed)
    hears = getattr(model, "global_size", 0) or hasattr(model, "style_encoder")
    piano = _told(model, audio_lib.load(style, model.sample_rate)) if hears else None
    piece = _read(model, content, None, options)
    _, made, _ = _made(model, [piece], piano, options, lambda line, again=False: None)
    samples = made[0, :piece.num_frames * (model.sample_rate // model.roll_rate)]
    return audio_lib.resample(audio_lib.Audio(samples, model.sample_rate), sample_rate)


def _read(model, path, recording, options, say=None):
    table = content_lib.content_notes(path, tracks=options.tracks, say=say)
    secs = options.length_secs or table.end_secs + piano_roll.TAIL_SECS
    samples = None
    if recording is not None:
        samples = inputs.at_level(audio_lib.load(recording, model.sample_rate)).samples
        if options.teacher_forced:
            secs = min(secs, len(samples) / model.sample_rate)
        elif len(samples) < options.primer_secs * model.sample_rate:
            raise ValueError(f"{recording} lasts {len(samples) / model.sample_rate:.2f} s, shorter "
                             f"than the primer of {options.primer_secs:g} s")
        elif secs <= options.primer_secs:
            raise ValueError(f"the piece lasts {secs:.2f} s, which the primer of "
                             f"{options.primer_secs:g} s fills")
    hop = model.sample_rate // model.roll_rate
    frames = max(1, inputs.num_frames(round(secs * model.sample_rate), hop))
    return _Piece(path, table, frames, samples)


def _made(model, pieces, piano, options, report):
    """Rolls of pieces, their audio, as long as the longest, and how long it took, seconds."""
    is_sampled = isinstance(options, Options)
    # Behind each piece is silence as far as it hears, whether others last longer or not.
    ahead = model.context_reach + 1 if is_sampled else model.reach
    rolls = np.zeros((len(pieces), max(piece.num_frames for piece in pieces) + ahead,
                      piano_roll.KEYS_DEPTH), np.float32)
    for roll, piece in zip(rolls, pieces, strict=True):
        roll[:piece.num_frames] = piano_roll.keys_roll(piece.table, 0, piece.num_frames,
                                                       model.roll_rate)
    pianos = None if piano is None else np.repeat(np.asarray(piano)[None], len(pieces), axis=0)
    if is_sampled:
        made, took = _sampled(model, rolls, pieces, pianos, options, report)
    else:
        made, took = _at_once(model, rolls, pianos, report)
    return rolls, made, took


def _generate_batch(model, pieces, piano, options, summary, report):
    rolls, made, took = _made(model, list(pieces.values()), piano, options, report)
    hop = model.sample_rate // model.roll_rate
    count = sum(piece.num_frames for piece in pieces.values()) * hop
    for (place, piece), roll, samples in zip(pieces.items(), rolls, made, strict=True):
        outputs.make(piece.path, place, summary, report, functools.partial(
            _write, model, piece, roll[:piece.num_frames], samples[:piece.num_frames * hop],
            options))
    report(f"{count} samples in {took:.1f} s: {count / took:.0f} samples/s, real-time factor "
           f"{took * model.sample_rate / count:.2f}")


def _at_once(model, rolls, pianos, report):
    """Audio of a `SpectralWaveNet` and how long it took, seconds.

    It is made in parts that overlap by all that a sample depends on.
    """
    begun = time.monotonic()
    rolls = piano_roll.decayed(rolls, model.roll_rate)
    hop, total, margin = model.hop, rolls.shape[1], model.reach
    noise = np.repeat(model.noise(total * hop), len(rolls), axis=0)
    step = max(1, SPECTRAL_FRAMES // len(rolls))
    parts = []
    for first in range(0, total, step):
        last = min(first + step, total)
        begin, end = max(0, first - margin), min(total, last + margin)
        x = {"roll": rolls[:, begin:end], "style_audio": pianos,
             "noise": noise[:, begin * hop:end * hop],
             "start_sample": np.full(len(rolls), begin * hop, np.int32)}
        parts.append(np.asarray(model(x))[:, (first - begin) * hop:(last - begin) * hop])
        report(f"{last} of {total} frames", again=True)
    return np.concatenate(parts, axis=1), time.monotonic() - begun


def _sampled(model, rolls, pieces, pianos, options, report):
    """Audio of a `WaveNet` and how long it took, seconds, what is compiled before not counted."""
    from style_transfer.models.wavenet.engine import generation

    hop = model.sample_rate // model.roll_rate
    report("compiling, or loading what was compiled before", again=True)
    generation.generate(model, rolls[:1, :1], style=None if pianos is None else pianos[:1])
    begun = time.monotonic()
    shown = begun

    def progress(done, total):
        nonlocal shown
        now = time.monotonic()
        if now - shown > PROGRESS_EVERY_SECS:
            shown = now
            count = sum(min(done, piece.num_frames * hop) for piece in pieces)
            report(f"{done} of {total} samples, {count / (now - begun):.0f} samples/s", again=True)

    primer = None
    if pieces[0].recording is not None:
        length = (rolls.shape[1] * hop if options.teacher_forced
                  else round(options.primer_secs * model.sample_rate))
        primer = np.stack([np.pad(piece.recording[:length],
                                  (0, max(0, length - len(piece.recording)))) for piece in pieces])
    sustain = options_lib.sustain_temperature(options.temperature, options.sustain_temperature)
    # What a piece sounds like must not depend on the pieces beside it.
    seeds = [options.seed] * len(pieces)
    made = generation.generate(model, rolls, seeds, options.temperature, sustain, primer=primer,
                               teacher_forced=options.teacher_forced, style=pianos,
                               lead_frames=model.lead_frames, report=progress,
                               threads=min(len(pieces), os.cpu_count() or 1))
    return made, time.monotonic() - begun


def _write(model, piece, roll, samples, options, target):
    from style_transfer import pictures

    audio = audio_lib.Audio(samples, model.sample_rate)
    audio_lib.save(target, audio)
    piano_roll.save_midi(target.with_suffix(".mid"), piano_roll.to_sequence(piece.table))
    if options.picture:
        primer_secs = 0.0
        if piece.recording is not None and not options.teacher_forced:
            primer_secs = options.primer_secs
        pictures.save_roll_picture(target.with_suffix(".png"), roll, model.roll_rate,
                                   audio, primer_secs, target.stem)
    return f"{audio.duration_secs:.1f} s"
