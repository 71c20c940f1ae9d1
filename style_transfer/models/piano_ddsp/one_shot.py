"""The main job in one call: a piece, played on the piano of a recording."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer.audio import DEFAULT_SAMPLE_RATE, Audio
from style_transfer.content import content_notes
from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp.estimate import estimate_piano
from style_transfer.models.piano_ddsp.piano import Piano, check_effects

__all__ = ["estimate_piano", "load", "transfer"]


if TYPE_CHECKING:
    import keras

PRINT_SECS = 1.0
Progress = Callable[[str, float, float], None]


def load(name_or_path: str | os.PathLike | None = None) -> "keras.Model":
    """A `PianoDDSP` with its trained weights.

    Args:
        name_or_path: A name in `style_transfer.weights.names()`, a folder written by
            `style_transfer.weights.save`, or None for the weights of the package.

    Raises:
        FileNotFoundError: There are no such weights; the message lists those there are.
        TypeError: It is none of these.
        ValueError: The weights do not fit the model.
    """
    from style_transfer import weights

    if not isinstance(name_or_path, (str, os.PathLike, type(None))):
        raise TypeError("Weights are taken as a name, the path of a folder or None, got "
                        f"{type(name_or_path).__name__}.")

    return weights.load(name_or_path)


def transfer(content: Any, style: estimate.Recorded | Piano, *, style_midi: Any = None,
             adapt_steps: int | None = None, sample_rate: int = DEFAULT_SAMPLE_RATE,
             loudness: float | str | None = None, seed: int = 0, model: "keras.Model | None" = None,
             progress: Progress | bool | None = None, transcriber: Any = None,
             transcribe_style: bool = True, soft_pedal_db: float | None = None,
             coupling: float | None = None, half_pedal: bool | None = None,
             tracks: str | Sequence[int] = "all", channels: int | None = None) -> Audio:
    """Plays `content` on the piano heard in `style`.

    Args:
        content: The piece: a path to a MIDI file, a score (MusicXML, ABC), a serialized
            NoteSequence or a recording, the bytes of notes, a NoteSequence, a PrettyMIDI, a
            `NoteTable`, an `Audio`, or a pair of samples and their rate. Recordings are
            transcribed.
        style: The piano: a path to a recording (WAV, FLAC, MP3, OGG; any rate; 2 s or more) or to
            a `.piano` file, the bytes of a recording, an `Audio`, a pair of samples and their
            rate, or a `Piano`.
        style_midi: The notes of the recording, in its time, as `content` but no recording, if
            they are known: the piano is fitted to the clip with them. Otherwise they are
            transcribed.
        adapt_steps: Gradient steps of that fit; 0 is none, None goes by the clip's length: 60 up
            to 10 s, 147 for a minute.
        sample_rate: Of the result, 8000 to 48000 Hz. At 44100 or 48000 Hz it goes up to 20 kHz,
            as far as the recording of the piano does.
        loudness: RMS of what sounds of the result, pauses aside, in dB full scale; None is -20 dB,
            `clip` that of the clip. It is lowered where it would clip.
        seed: Seed of everything random; one seed gives one waveform.
        model: From `load`; None loads the package's weights.
        progress: Called with (what, done, total) now and then; True prints them, a line a second.
        transcriber: Model, name or folder of weights that transcribes; None for the package's.
        transcribe_style: Whether the style clip is transcribed where `style_midi` is None;
            otherwise the piano is estimated without its notes, faster and less well.
        soft_pedal_db: How much weaker the soft pedal makes what is struck while it is down, 0 to
            12 dB, in level and, more so, in its higher partials; 0 turns it off. None is what
            the clip and `style_midi` tell of it, or 2.
        coupling: How much strings that nobody struck ring along where their dampers are up, 0 to
            1; None is what the clip and `style_midi` tell of it, or 0.
        half_pedal: Whether dampers follow the sustain pedal all the way, or are down or, from 64
            on, up; None is what the clip and `style_midi` tell of it, or up and down.
        tracks: Which instruments of MIDI or a score are played: `all` pitched ones, `piano`, or
            numbers, as text (`1,3`) or in a list; see `style_transfer.midi.tracks.select`.
        channels: 1 for mono, 2 for stereo (a plain image where the recording is mono); None is as
            many as the recording has. The mean of two channels is what one gives.

    Returns:
        An `Audio` of the piece with the last notes' dying away.

    Raises:
        FileNotFoundError: A file is missing.
        TypeError: Something is of a type that is not taken; the message says which are.
        ValueError: Something given cannot be used; the message says what was expected.
    """
    estimate.check_model(model)
    audio_lib.check_sample_rate(sample_rate)
    effects: dict[str, Any] = {"soft_pedal_db": soft_pedal_db, "coupling": coupling,
                               "half_pedal": half_pedal}
    check_effects(**effects)
    audio_lib.loudness_db(loudness, 0.0)
    if channels not in (None, 1, 2):
        raise ValueError(f"channels must be 1, 2 or None, got {channels!r}.")
    if isinstance(progress, bool):
        progress = _Printed() if progress else None
    clip = estimate.usable(style, style_midi)  # its faults show before a model is loaded
    table = content_notes(content, tracks=tracks, transcriber=transcriber, progress=progress)
    model = load() if model is None else model
    piano = estimate_piano(clip, style_midi=style_midi, adapt_steps=adapt_steps, seed=seed,
                           model=model, progress=progress, transcriber=transcriber,
                           transcribe_style=transcribe_style)
    from style_transfer.models.piano_ddsp import playing

    piano = piano.with_effects(**effects)
    played = playing.played(model, piano, table, seed, progress, sample_rate,
                            channels or piano.channels)
    samples = np.concatenate(list(played))
    level = audio_lib.loudness_db(loudness, piano.loudness_db)
    return Audio(audio_lib.at_level(
        samples, level, level=audio_lib.sounding_level_db(audio_lib.middle(samples), sample_rate)),
        sample_rate)


class _Printed:
    """Prints progress, a line a second at most, and the last of each kind of work."""

    def __init__(self):
        self._printed = 0.0

    def __call__(self, what, done, total):
        now = time.monotonic()
        if now - self._printed >= PRINT_SECS or done >= total:
            self._printed = now
            print(f"{what} {done:.0f}/{total:.0f}", flush=True)
