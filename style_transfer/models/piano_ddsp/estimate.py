"""A piano estimated from a clip of it: measured, encoded, and fitted to its notes."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp.piano import SUFFIX, Piano

if TYPE_CHECKING:
    import keras

TRAINING_RMS_DB = -25.0
MAX_STYLE_SECS = 60
MIN_STYLE_NOTES = 4
SAME_VELOCITY = 1 / 127  # standard deviation under which the velocities of given notes are guesses


Recorded = str | os.PathLike | bytes | Audio | tuple[np.ndarray, float]


def estimate_piano(style: Recorded | Piano, *, style_midi: Any = None,
                   adapt_steps: int | None = None, seed: int = 0,
                   model: "keras.Model | None" = None,
                   progress: Callable[[str, float, float], None] | None = None,
                   name: str | None = None, transcriber: Any = None,
                   transcribe_style: bool = True) -> Piano:
    """Estimates a piano from a clip of it.

    Args:
        style: See `style_transfer.transfer`; a `Piano` is given back as it is.
        style_midi: See `style_transfer.transfer`.
        adapt_steps: See `style_transfer.transfer`.
        seed: Seed of the crops that the fit sees.
        model: From `style_transfer.load`; None loads the package's weights.
        progress: Called with (what, done, total).
        name: The piano's name; None takes the file's.
        transcriber: See `style_transfer.transfer`.
        transcribe_style: See `style_transfer.transfer`.

    Returns:
        A `Piano`.

    Raises:
        FileNotFoundError: A file is missing.
        TypeError: `style`, `style_midi` or `model` is nothing that is taken.
        ValueError: The clip is silent, too short, or no recording; `adapt_steps` without notes;
            a saved piano of other weights.
    """
    check_model(model)
    if adapt_steps is not None and adapt_steps < 0:
        raise ValueError(f"adapt_steps must be 0 or more, got {adapt_steps}.")
    if adapt_steps and style_midi is None and not transcribe_style and not _is_piano(style):
        raise ValueError(f"adapt_steps={adapt_steps} needs the notes of the style clip; give them "
                         "as style_midi (--style_midi), or let the clip be transcribed.")
    given = usable(style, style_midi)
    if model is None:
        from style_transfer import weights

        model = weights.load()
    if isinstance(given, Piano):
        return checked(given, model)
    clip = audio_lib.resample(audio_lib.mono(given.audio), model.sample_rate)
    loudness_db = audio_lib.sounding_rms_db(clip)
    wide = _cut(given.audio, *_part(clip))
    clip, notes = excerpt(clip, given.notes)
    played = notes
    unsure_velocities = notes is None or _alike(notes.velocity)
    if notes is None and transcribe_style and adapt_steps != 0:
        notes = _heard_notes(clip, transcriber, progress)
    piano = _estimated(model, clip, notes, unsure_velocities, adapt_steps, seed, progress,
                       name=given.name if name is None else name, loudness_db=loudness_db)
    if played is not None and len(played) and piano.corrections:
        from style_transfer.models.piano_ddsp import effects

        piano = effects.measured(model, piano, audio_lib.at_loudness(clip, TRAINING_RMS_DB),
                                 played, seed)
    return _widened(model, piano, wide, notes, clip, seed)


@dataclasses.dataclass(frozen=True)
class UsableClip:
    """A recording of a piano and perhaps its notes, measured and found usable.

    Attributes:
        audio: `Audio` at its own rate, in stereo if it is.
        notes: Its `NoteTable`, or None.
        name: What it is called.
    """

    audio: Audio
    notes: piano_roll.NoteTable | None
    name: str


def usable(style, style_midi=None):
    """What `estimate_piano` takes, read and measured; no model is needed.

    Warns of what is wrong with the clip, and of notes that are perhaps another's.

    Args:
        style: See `style_transfer.transfer`.
        style_midi: See `style_transfer.transfer`.

    Returns:
        A `UsableClip`, which `estimate_piano` takes in place of both; or a `Piano`.

    Raises:
        FileNotFoundError: A file is missing.
        TypeError: `style` or `style_midi` is nothing that is taken.
        ValueError: The clip or its notes cannot be used.
    """
    if isinstance(style, (Piano, UsableClip)):
        return style
    if _is_piano(style):
        return Piano.load(style)
    if not (isinstance(style, (str, os.PathLike, bytes, Audio)) or audio_lib.is_pair(style)):
        raise TypeError("The piano is taken as the path of a recording or of a .piano file, the "
                        "bytes of a recording, an Audio, a pair of samples and their rate, or a "
                        f"Piano, got {type(style).__name__}.")
    from style_transfer.measure import agreement, analysis

    notes = None if style_midi is None else content_lib.given_notes(style_midi)
    audio = audio_lib.load(style, stereo=True)
    clip = audio_lib.mono(audio)
    remarks = analysis.check_style_clip(clip)
    if notes is not None:
        part, inside = excerpt(clip, notes)
        if not len(inside):
            raise ValueError("The style clip's MIDI holds no note within the clip; check that both "
                             "start at the same time, or leave it out.")
        remarks += agreement.check_notes(part, inside)
    for message in remarks:
        warnings.warn(message, stacklevel=3)
    name = pathlib.Path(style).stem if isinstance(style, (str, os.PathLike)) else "piano"
    return UsableClip(audio, notes, name)


def check_model(model):
    """Raises TypeError unless this is None or a model that plays pianos."""
    if model is not None and not hasattr(model, "encode_style"):
        raise TypeError("The model is taken as style_transfer.load() gives it, or None, got "
                        f"{type(model).__name__}.")


def _is_piano(style):
    return isinstance(style, Piano) or (isinstance(style, (str, os.PathLike))
                                        and pathlib.Path(style).suffix == SUFFIX)


def _estimated(model, clip, notes, unsure_velocities, steps, seed, progress, **about):
    """A `Piano` of a clip at the model's rate: measured, encoded, fitted where notes are known."""
    from style_transfer.measure import analysis
    from style_transfer.models.piano_ddsp import adaptation

    if progress is not None:
        progress("measuring", 0, 1)
    tuning = analysis.measure_tuning(clip, notes)
    clip = audio_lib.at_loudness(clip, TRAINING_RMS_DB)
    vector = np.asarray(model.encode_style(clip.samples[None]))[0]
    corrections = None
    if notes is not None and steps != 0:
        vector, corrections = adaptation.adapt(
            model, vector, clip, notes, tuning, steps=steps, seed=seed,
            progress=progress and (lambda done, total, _: progress("adapting", done, total)),
            unsure_velocities=unsure_velocities)
    return Piano(style=vector, f0_hz=tuning.f0_hz, inharmonicity=tuning.inharmonicity,
                 noise_floor_db=analysis.measure_noise_floor(clip), corrections=corrections,
                 weights=_weights_name(model), **about)


def _alike(velocities):
    """Whether velocities say nothing, as those of a score do."""
    return len(velocities) > 1 and float(np.std(velocities)) < SAME_VELOCITY


def _widened(model, piano, wide, notes, clip, seed):
    """The piano with what only the clip at its own rate and in stereo tells.

    Args:
        model: A `PianoDDSP`.
        piano: The `Piano` estimated from the clip at the model's rate, in mono.
        wide: The clip as it was given.
        notes: Its `NoteTable`, or None.
        clip: The clip at the model's rate.
        seed: Seed of what is played.
    """
    from style_transfer.measure import high_band, stereo
    from style_transfer.models.piano_ddsp import playing

    if wide.channels == 2:
        image = stereo.measure(wide.samples, wide.sample_rate, notes, piano.f0_hz,
                               piano.inharmonicity)
        piano = dataclasses.replace(piano, image=image)
    if notes is None or not len(notes) or wide.sample_rate <= model.sample_rate:
        return piano
    # As loud as what the nets were fitted to.
    level = audio_lib.at_loudness(clip, TRAINING_RMS_DB).rms_db - clip.rms_db
    wide = audio_lib.resample(audio_lib.mono(wide), min(wide.sample_rate,
                                                        audio_lib.MAX_SAMPLE_RATE))
    wide = Audio(wide.samples * np.float32(10 ** (level / 20)), wide.sample_rate)
    plain = dataclasses.replace(piano, high_band_db=np.zeros(high_band.NUM_BANDS, np.float32))
    played = np.concatenate(list(playing.play(model, plain, notes, seed,
                                              sample_rate=wide.sample_rate)))
    return dataclasses.replace(piano, high_band_db=high_band.measure(
        wide, Audio(played, wide.sample_rate)))


def _heard_notes(clip, transcriber, progress):
    """What was heard in the style clip; None if that is too little to fit a piano to."""
    notes = content_lib.heard_notes(clip, transcriber, progress=progress)
    if len(notes) < MIN_STYLE_NOTES:
        warnings.warn(f"Only {len(notes)} notes were heard in the style clip; the piano is "
                      "estimated without fitting it to them.", stacklevel=3)
        return None
    return notes


def excerpt(clip, notes):
    """At most `MAX_STYLE_SECS` of the clip, where it is loudest, with the notes struck in it.

    Long silence at its ends is left out.
    """
    start, end = _part(clip)
    clip = _cut(clip, start, end)
    if notes is not None:
        notes = notes.shift(-start)
        inside = (notes.onset_secs >= -2.0) & (notes.onset_secs < clip.duration_secs)
        notes = notes.select(inside)
    return clip, notes


def _part(clip):
    """Where the part of a clip that is used begins and ends, seconds."""
    rate = clip.sample_rate
    begin, last = audio_lib.sounding_part(clip.samples, rate)
    start = begin + audio_lib.loudest_start(clip.samples[begin:last], rate, MAX_STYLE_SECS)
    return start / rate, min(start + MAX_STYLE_SECS * rate, last) / rate


def _cut(clip, start_secs, end_secs):
    start, end = (round(secs * clip.sample_rate) for secs in (start_secs, end_secs))
    return dataclasses.replace(clip, samples=clip.samples[start:end])


def checked(piano, model):
    """The piano, or a ValueError if it is damaged or of other weights."""
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


def _weights_name(model):
    return getattr(model, "weights_name", "")
