"""The main job in one call: a piece, played on the piano of a recording."""

import dataclasses
import os
import pathlib
import warnings

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp.piano import SUFFIX, Piano
from style_transfer.synthesis import una_corda

DEFAULT_SAMPLE_RATE = 24_000
MAX_SAMPLE_RATE = 48_000
MIN_SAMPLE_RATE = 8_000
TRAINING_RMS_DB = -25.0
MAX_STYLE_SECS = 60.0
MIN_STYLE_NOTES = 4


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
             loudness=None, seed=0, model=None, progress=None, transcriber=None,
             transcribe_style=True, soft_pedal_db=una_corda.DEFAULT_DB):
    """Plays `content` on the piano heard in `style`.

    Args:
        content: The piece: a path to a MIDI file, a serialized NoteSequence or a recording, the
            bytes of MIDI or a NoteSequence, a NoteSequence, a `NoteTable`, or an `Audio`.
            Recordings are transcribed.
        style: The piano: a path to a recording (WAV, FLAC, MP3, OGG; any rate; 2 s or more) or to
            a `.piano` file, an `Audio`, or a `Piano`.
        style_midi: The notes of the recording, in its time, as `content`, if they are known: the
            piano is fitted to the clip with them. Otherwise they are transcribed.
        adapt_steps: Gradient steps of that fit; None is a good number, 0 is none.
        sample_rate: Of the result, 8000 to 48000 Hz. Above 24000 Hz nothing is added.
        loudness: RMS of the result in dB full scale; None gives it that of the clip.
        seed: Seed of everything random; one seed gives one waveform.
        model: From `load`; None loads the package's weights.
        progress: Called with (what, done, total) now and then.
        transcriber: Model, name or folder of weights that transcribes; None for the package's.
        transcribe_style: Whether the style clip is transcribed where `style_midi` is None;
            otherwise the piano is estimated without its notes, faster and less well.
        soft_pedal_db: How much weaker the soft pedal makes what is struck while it is down, 0 to
            12 dB, in level and, more so, in its higher partials; 0 turns it off.

    Returns:
        An `Audio` of the piece with the last notes' dying away.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: Something given cannot be used; the message says what was expected.
    """
    check_sample_rate(sample_rate)
    una_corda.check(soft_pedal_db)
    table = content_notes(content, transcriber=transcriber, progress=progress)
    model = load() if model is None else model
    piano = estimate_piano(style, style_midi=style_midi, adapt_steps=adapt_steps, seed=seed,
                           model=model, progress=progress, transcriber=transcriber,
                           transcribe_style=transcribe_style)
    chunks = list(audio_lib.resampled(
        played(model, piano, table, seed, progress, soft_pedal_db), model.sample_rate, sample_rate))
    result = Audio(np.concatenate(chunks), sample_rate)
    return audio_lib.at_loudness(result, piano.loudness_db if loudness is None else loudness)


def is_recording(content):
    """Whether content is audio rather than notes: an `Audio`, or a path with such an ending."""
    return isinstance(content, Audio) or (
        isinstance(content, (str, os.PathLike))
        and pathlib.Path(content).suffix.lower() in audio_lib.SUFFIXES)


def content_notes(content, *, transcriber=None, thresholds=None, progress=None):
    """The `NoteTable` of a piece.

    Args:
        content: See `transfer`.
        transcriber: See `transfer`.
        thresholds: `transcription.Thresholds` for recordings; None for the defaults.
        progress: Called with (what, done, total) seconds while a recording is transcribed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or there is nothing to play in it.
    """
    name = str(content) if isinstance(content, (str, os.PathLike)) else "the content"
    if isinstance(content, piano_roll.NoteTable):
        table = content
    elif is_recording(content):
        table = _heard(content, transcriber, thresholds, progress)
        if not len(table):
            raise ValueError(f"No piano notes were heard in {name}. Lower the onset threshold, or "
                             "give its notes as MIDI.")
    else:
        table = piano_roll.note_table(piano_roll.load_midi(content))
    if not len(table):
        raise ValueError(f"{name} holds no notes for a piano ({piano_roll.DRUM_CHANNEL_MESSAGE}).")
    return table


def _heard(recording, transcriber, thresholds=None, progress=None):
    from style_transfer import transcription

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the callers say it in better words
        sequence = transcription.transcribe(
            recording, transcriber, thresholds,
            progress=progress and (lambda done, total: progress("transcribing", done, total)))
    return piano_roll.note_table(sequence)


def estimate_piano(style, *, style_midi=None, adapt_steps=None, seed=0, model=None, progress=None,
                   name=None, transcriber=None, transcribe_style=True):
    """Estimates a piano from a clip of it.

    Args:
        style: See `transfer`; a `Piano` is given back as it is.
        style_midi: See `transfer`.
        adapt_steps: See `transfer`.
        seed: Seed of the crops that the fit sees.
        model: From `load`; None loads the package's weights.
        progress: Called with (what, done, total).
        name: The piano's name; None takes the file's.
        transcriber: See `transfer`.
        transcribe_style: See `transfer`.

    Returns:
        A `Piano`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The clip is silent, too short, or no recording; `adapt_steps` without notes;
            a saved piano of other weights.
    """
    from style_transfer.measure import analysis
    from style_transfer.models.piano_ddsp import adaptation

    if adapt_steps is not None and adapt_steps < 0:
        raise ValueError(f"adapt_steps must be 0 or more, got {adapt_steps}.")
    if isinstance(style, (str, os.PathLike)) and pathlib.Path(style).suffix == SUFFIX:
        style = Piano.load(style)
    model = load() if model is None else model
    if isinstance(style, Piano):
        return _checked(style, model)
    if adapt_steps and style_midi is None and not transcribe_style:
        raise ValueError(f"adapt_steps={adapt_steps} needs the notes of the style clip; give them "
                         "as style_midi (--style_midi), or let the clip be transcribed.")
    clip = audio_lib.load(style)
    for message in analysis.check_style_clip(clip):
        warnings.warn(message, stacklevel=2)
    loudness_db = clip.rms_db
    clip = audio_lib.resample(clip, model.sample_rate)
    notes = None if style_midi is None else piano_roll.note_table(piano_roll.load_midi(style_midi))
    clip, notes = _excerpt(clip, notes)
    steps = adaptation.DEFAULT_STEPS if adapt_steps is None else adapt_steps
    if notes is None and transcribe_style and steps:
        notes = _style_notes(clip, transcriber, progress)
    if notes is not None and not len(notes):
        raise ValueError("The style clip's MIDI holds no note within the clip; check that both "
                         "start at the same time, or leave it out.")
    if progress is not None:
        progress("measuring", 0, 1)
    tuning = analysis.measure_tuning(clip, notes)
    clip = audio_lib.at_loudness(clip, TRAINING_RMS_DB)
    vector = np.asarray(model.encode_style(clip.samples[None]))[0]
    corrections = None
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


def _style_notes(clip, transcriber, progress):
    """What was heard in the style clip; None if that is too little to fit a piano to."""
    notes = _heard(clip, transcriber, progress=progress)
    if len(notes) < MIN_STYLE_NOTES:
        warnings.warn(f"Only {len(notes)} notes were heard in the style clip; the piano is "
                      "estimated without fitting it to them.", stacklevel=3)
        return None
    return notes


def played(model, piano, table, seed=0, progress=None, soft_pedal_db=una_corda.DEFAULT_DB):
    """Chunks of the piece at the model's rate; `progress` is told the seconds."""
    from style_transfer.models.piano_ddsp import playing as generation

    total = generation.num_chunks(model, table)
    for i, chunk in enumerate(generation.play(model, piano, table, seed,
                                               soft_pedal_db=soft_pedal_db)):
        yield chunk
        if progress is not None:
            seconds = len(chunk) / model.sample_rate
            progress("playing", (i + 1) * seconds, total * seconds)


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
    for name, shape in correction_shapes(model).items():
        if piano.corrections and np.shape(piano.corrections.get(name)) != shape:
            raise ValueError(f"The piano {piano.name!r} is damaged: its corrections {name} must "
                             f"have the shape {shape}. Estimate it again from its clip.")
    return piano


def correction_shapes(model):
    """Shapes of the arrays in `Piano.corrections`, by name.

    Args:
        model: A `PianoDDSP`.
    """
    from style_transfer.models.piano_ddsp import net as piano_ddsp

    return {"by_key": (piano_ddsp.NUM_ANCHORS, model.num_outputs),
            "by_velocity": (model.num_outputs,), "room": (2 * piano_ddsp.NUM_ROOM_BANDS,)}


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
