"""The main job in one call: a piece, played on the piano of a recording."""

import dataclasses
import os
import pathlib
import sys
import types
import warnings

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.piano import SUFFIX, Piano

DEFAULT_SAMPLE_RATE = 24_000
MAX_SAMPLE_RATE = 48_000
MIN_SAMPLE_RATE = 8_000
TRAINING_RMS_DB = -25.0
MAX_STYLE_SECS = 60.0


def load(name_or_path=None):
    """A `PianoDDSP` with its trained weights.

    Args:
        name_or_path: A name in `style_transfer.weights.names()`, a folder written by
            `style_transfer.weights.save`, or None for the weights of the package.

    Raises:
        FileNotFoundError: There are no such weights; the message lists those there are.
        ValueError: The weights do not fit the model.
    """
    from style_transfer import weights

    return weights.load(name_or_path)


def transfer(content, style, *, style_midi=None, adapt_steps=None, sample_rate=DEFAULT_SAMPLE_RATE,
             loudness=None, seed=0, model=None, progress=None):
    """Plays `content` on the piano heard in `style`.

    Args:
        content: The piece: a path to a MIDI file or serialized NoteSequence, their bytes, a
            NoteSequence, or a `NoteTable`.
        style: The piano: a path to a recording (WAV, FLAC, MP3, OGG; any rate; 2 s or more) or to
            a `.piano` file, an `Audio`, or a `Piano`.
        style_midi: The notes of the recording, in its time, as `content`; they make the estimate
            much better, since the piano is then fitted to the clip.
        adapt_steps: Gradient steps of that fit; None is a good number, 0 is none.
        sample_rate: Of the result, 8000 to 48000 Hz. Above 24000 Hz nothing is added.
        loudness: RMS of the result in dB full scale; None gives it that of the clip.
        seed: Seed of everything random; one seed gives one waveform.
        model: From `load`; None loads the package's weights.
        progress: Called with (what, done, total) now and then.

    Returns:
        An `Audio` of the piece with the last notes' dying away.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: Something given cannot be used; the message says what was expected.
    """
    check_sample_rate(sample_rate)
    table = content_notes(content)
    model = load() if model is None else model
    piano = estimate_piano(style, style_midi=style_midi, adapt_steps=adapt_steps, seed=seed,
                           model=model, progress=progress)
    chunks = list(resampled(played(model, piano, table, seed, progress), model.sample_rate,
                            sample_rate))
    result = Audio(np.concatenate(chunks), sample_rate)
    return audio_lib.at_loudness(result, piano.loudness_db if loudness is None else loudness)


def content_notes(content):
    """The `NoteTable` of a piece.

    Raises:
        ValueError: It is audio, or there is nothing to play in it.
    """
    if isinstance(content, piano_roll.NoteTable):
        table, name = content, "the content"
    else:
        is_path = isinstance(content, (str, os.PathLike))
        name = str(content) if is_path else "the content"
        if is_path and pathlib.Path(content).suffix.lower() in audio_lib.SUFFIXES:
            raise ValueError(f"{name} is a recording; content must be notes (MIDI or a serialized "
                             "NoteSequence). Transcribe it to MIDI first.")
        table = piano_roll.note_table(piano_roll.load_midi(content))
    if not len(table):
        raise ValueError(f"{name} holds no notes for a piano ({piano_roll.DRUM_CHANNEL_MESSAGE}).")
    return table


def estimate_piano(style, *, style_midi=None, adapt_steps=None, seed=0, model=None, progress=None,
                   name=None):
    """Estimates a piano from a clip of it.

    Args:
        style: See `transfer`; a `Piano` is given back as it is.
        style_midi: See `transfer`.
        adapt_steps: See `transfer`.
        seed: Seed of the crops that the fit sees.
        model: From `load`; None loads the package's weights.
        progress: Called with (what, done, total).
        name: The piano's name; None takes the file's.

    Returns:
        A `Piano`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The clip is silent, too short, or no recording; `adapt_steps` without notes;
            a saved piano of other weights.
    """
    from style_transfer import adaptation, analysis

    if adapt_steps is not None and adapt_steps < 0:
        raise ValueError(f"adapt_steps must be 0 or more, got {adapt_steps}.")
    if isinstance(style, (str, os.PathLike)) and pathlib.Path(style).suffix == SUFFIX:
        style = Piano.load(style)
    model = load() if model is None else model
    if isinstance(style, Piano):
        return _checked(style, model)
    if adapt_steps and style_midi is None:
        raise ValueError(f"adapt_steps={adapt_steps} needs the notes of the style clip; give them "
                         "as style_midi (--style_midi).")
    clip = audio_lib.load(style)
    for message in analysis.check_style_clip(clip):
        warnings.warn(message, stacklevel=2)
    loudness_db = clip.rms_db
    clip = audio_lib.resample(clip, model.sample_rate)
    notes = None if style_midi is None else piano_roll.note_table(piano_roll.load_midi(style_midi))
    clip, notes = _excerpt(clip, notes)
    if notes is not None and not len(notes):
        raise ValueError("The style clip's MIDI holds no note within the clip; check that both "
                         "start at the same time, or leave it out.")
    tuning = analysis.measure_tuning(clip, notes)
    clip = audio_lib.at_loudness(clip, TRAINING_RMS_DB)
    vector = np.asarray(model.encode_style(clip.samples[None]))[0]
    corrections = None
    steps = adaptation.DEFAULT_STEPS if adapt_steps is None else adapt_steps
    if notes is not None and steps:
        vector, corrections = adaptation.adapt(
            model, vector, clip, notes, tuning, steps=steps, seed=seed,
            progress=progress and (lambda done, total, _: progress("adapting", done, total)))
    if name is None:
        named = isinstance(style, (str, os.PathLike))
        name = pathlib.Path(style).stem if named else "piano"
    return Piano(style=vector, f0_hz=tuning.f0_hz, inharmonicity=tuning.inharmonicity,
                 loudness_db=loudness_db, noise_floor_db=analysis.measure_noise_floor(clip),
                 corrections=corrections, name=name, weights=_weights_name(model))


def played(model, piano, table, seed=0, progress=None):
    """Chunks of the piece at the model's rate; `progress` is told the seconds."""
    from style_transfer import generation

    total = generation.num_chunks(model, table)
    for i, chunk in enumerate(generation.play(model, piano, table, seed)):
        yield chunk
        if progress is not None:
            seconds = len(chunk) / model.sample_rate
            progress("playing", (i + 1) * seconds, total * seconds)


def resampled(chunks, from_rate, to_rate):
    """Chunks at another rate, without seams."""
    if from_rate == to_rate:
        yield from chunks
        return
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
    for chunk in chunks:
        yield stream.resample_chunk(chunk)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def check_sample_rate(sample_rate):
    """Raises ValueError unless audio can be given at this rate."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise ValueError(f"The sample rate must be {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, got "
                         f"{sample_rate}.")


def _weights_name(model):
    return getattr(model, "weights_name", "")


def _checked(piano, model):
    expected = _weights_name(model)
    if piano.weights != expected or piano.style.shape != (model.style_size,):
        raise ValueError(f"The piano {piano.name!r} was estimated with the weights "
                         f"{piano.weights!r}, but {expected!r} are loaded. Estimate it again from "
                         "its clip.")
    return piano


def _excerpt(clip, notes):
    """At most `MAX_STYLE_SECS` of the clip, where it is loudest, with the notes struck in it."""
    size = int(MAX_STYLE_SECS * clip.sample_rate)
    start = 0
    if len(clip.samples) > size:
        hop = clip.sample_rate
        power = np.add.reduceat(np.square(clip.samples), np.arange(0, len(clip.samples), hop))
        windows = np.convolve(power, np.ones(size // hop), "valid")
        start = int(windows.argmax()) * hop
        clip = dataclasses.replace(clip, samples=clip.samples[start: start + size])
    if notes is not None:
        notes = notes.shift(-start / clip.sample_rate)
        inside = (notes.onset_secs >= -2.0) & (notes.onset_secs < clip.duration_secs)
        notes = notes.select(inside)
    return clip, notes


class _CallableModule(types.ModuleType):
    """Lets `style_transfer.transfer(...)` work although the module has the function's name."""

    def __call__(self, *args, **kwargs):
        return transfer(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
