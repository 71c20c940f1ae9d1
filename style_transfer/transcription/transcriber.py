"""Piano recordings to notes: what `style_transfer.transcribe` and its command do."""

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.transcription import decoding, tuning, windows
from style_transfer.transcription.thresholds import Thresholds

DEFAULT_WEIGHTS = "onsets_frames_small"
SHORTEST_SECS = 0.1
BLOCK_SAMPLES = 1600
SILENCE_DB = -80.0
LEVEL_DB = -20.0  # of the loudest tenth of a recording
FULL_HEADS = {"key", "pedal"}
# Measured on 60 recordings of a piano that was left out of training: how much further than the
# model thinks single velocities are off.
OVERCONFIDENCE = 1.4
UNKNOWN_STD = 0.1  # of each velocity, where a model does not say


@dataclasses.dataclass(frozen=True)
class Transcription:
    """What was heard, and what it was heard from.

    Attributes:
        sequence: The NoteSequence.
        outputs: Probabilities of each frame, see `windows.probabilities`.
        frames_per_second: Their rate, Hz; not quite the model's where the recording was out of
            tune, see `tuning`.
    """

    sequence: object
    outputs: dict
    frames_per_second: float

    def velocities(self):
        """How hard each note seems to have been struck, and how sure that is.

        Returns:
            `HeardVelocities` of the notes of `piano_roll.note_table(sequence)`, in that order.
        """
        table = piano_roll.note_table(self.sequence)
        frame = np.rint(table.onset_secs * self.frames_per_second).astype(int)
        frame = np.clip(frame, 0, len(self.outputs["velocity"]) - 1)
        mean = self.outputs["velocity"][frame, table.key].astype(np.float32)
        if "velocity_scale" not in self.outputs:
            return HeardVelocities(mean, np.full(len(mean), UNKNOWN_STD, np.float32))
        scale = self.outputs["velocity_scale"][frame, table.key].astype(np.float32)
        return HeardVelocities(mean, OVERCONFIDENCE * scale)


@dataclasses.dataclass(frozen=True)
class HeardVelocities:
    """A Gaussian for each note's velocity, as parts of 127, and one for what all have in common.

    The true velocities are `mean + shift + std * noise`, with independent noise for each note and
    one shift for the recording: which notes are louder is heard better than how loud all are.

    Attributes:
        mean: float32 `[num_notes]` in (0, 1).
        std: float32 `[num_notes]`, of each note's own deviation.
        shift_std: Standard deviation of the shift.
    """

    mean: np.ndarray
    std: np.ndarray
    shift_std: float = decoding.VELOCITY_SHIFT_STD


def transcribe(source: str | os.PathLike | bytes | Audio | tuple[np.ndarray, float],
               model: Any = None,
               thresholds: Thresholds | None = None, window_secs: float = windows.WINDOW_SECS,
               progress: Callable[[float, float], None] | None = None) -> Any:
    """The notes and the sustain pedal of a piano recording.

    Args:
        source: An `Audio`, a pair of samples and their rate in Hz, or the path or the bytes of an
            audio file of any format and rate.
        model: A transcription model, a name or folder of weights, or None for
            `DEFAULT_WEIGHTS`.
        thresholds: `Thresholds`, or None for the defaults.
        window_secs: Length of the windows, seconds; the result does not depend on it.
        progress: Called with seconds done and seconds in all.

    Returns:
        A NoteSequence in seconds from the beginning of the recording. Notes end when their keys
        are released; the sustain pedal is control 64.

    Raises:
        FileNotFoundError: There is no such file, or there are no such weights.
        ValueError: The recording cannot be read, is shorter than 0.1 s, or is not finite.

    Warns:
        UserWarning: The recording is silent, or no note was found.
    """
    return transcribe_fully(source, model, thresholds, window_secs, progress).sequence


def transcribe_fully(source, model=None, thresholds=None, window_secs=windows.WINDOW_SECS,
                     progress=None) -> Transcription:
    """As `transcribe`, with the probabilities that the notes were read from."""
    model = load(model)
    audio = source if isinstance(source, Audio) else audio_lib.load(source, model.sample_rate)
    _check(audio)
    samples = audio_lib.resample(audio, model.sample_rate).samples
    speed = 1.0
    if getattr(model, "expects_concert_pitch", False):
        speed = tuning.speed_into_tune(samples, model.sample_rate)
        samples = _faster(samples, model.sample_rate, speed)
    loudest_db = loudest_level(samples)
    silent = loudest_db <= SILENCE_DB
    gain = 1.0 if silent else 10 ** ((LEVEL_DB - loudest_db) / 20)
    outputs = windows.probabilities(model, samples, window_secs, progress, gain)
    frames_per_second = model.frames_per_second / speed
    sequence = _decoded(outputs, frames_per_second, thresholds or Thresholds())
    if sequence.notes and getattr(model, "velocities_are_relative", False):
        velocities = np.array([note.velocity for note in sequence.notes])
        velocities, outputs["velocity"] = decoding.as_in_music(velocities, outputs["velocity"])
        for note, velocity in zip(sequence.notes, velocities.tolist(), strict=True):
            note.velocity = velocity
    if silent:
        warnings.warn("The recording is silent.", UserWarning, stacklevel=3)
    elif not sequence.notes:
        warnings.warn("No piano notes were found in the recording.", UserWarning, stacklevel=3)
    return Transcription(sequence, outputs, frames_per_second)


def loudest_level(samples, xp=np):
    """RMS in dB full scale of the loudest tenth of blocks, so that pauses do not count.

    Models are trained around one level, `LEVEL_DB`; recordings are brought to it.

    Args:
        samples: Audio, `[samples]`, not empty.
        xp: See `arrays`.
    """
    size = xp.minimum(xp.size(samples), BLOCK_SAMPLES)
    count = xp.size(samples) // size
    blocks = xp.reshape(samples[:count * size], (count, size))
    power = xp.sort(xp.asarray(xp.einsum("bs,bs->b", blocks, blocks), float))
    loudest = power[count - xp.maximum(count // 10, 1):] / xp.asarray(size, float)
    return 10 * xp.log10(xp.mean(loudest) + 1e-20)


def load(model=None):
    """A transcription model; arguments as `transcribe`'s, errors as `weights.load`'s.

    Raises:
        ValueError: The weights are of a model that does not transcribe.
    """
    if model is not None and not isinstance(model, (str, os.PathLike)):
        return model
    return _loaded(DEFAULT_WEIGHTS if model is None else str(model))


@functools.lru_cache(maxsize=2)
def _loaded(name):
    from style_transfer import weights

    model = weights.load(name)
    if not hasattr(model, "heads"):
        raise ValueError(f"The weights {name!r} are of a {type(model).__name__}, which does not "
                         f"transcribe. Give {DEFAULT_WEIGHTS!r} or a run of a config "
                         "onsets_frames or onsets_frames_small.")
    return model


def _faster(samples, sample_rate, speed):
    """The samples of the recording played at another speed, at the same rate."""
    if speed == 1:
        return samples
    import soxr

    return soxr.resample(samples, sample_rate * speed, sample_rate)


def _decoded(outputs, frames_per_second, limits):
    if FULL_HEADS <= outputs.keys():
        return decoding.decode(
            outputs, frames_per_second, onset_threshold=limits.onset,
            frame_threshold=limits.frame, offset_threshold=limits.offset,
            pedal_threshold=limits.pedal, key_threshold=limits.key,
            min_note_secs=limits.min_note_secs)
    from style_transfer.transcription import magenta_decoding

    return magenta_decoding.decode(
        outputs, frames_per_second, onset_threshold=limits.onset,
        frame_threshold=limits.frame, min_note_secs=limits.min_note_secs)


def _check(audio):
    if audio.duration_secs < SHORTEST_SECS:
        raise ValueError(f"The recording lasts {audio.duration_secs:.3f} s, expected at least "
                         f"{SHORTEST_SECS:g} s.")
    bad = int(np.size(audio.samples) - np.count_nonzero(np.isfinite(audio.samples)))
    if bad:
        raise ValueError(f"{bad} of the recording's {np.size(audio.samples)} samples are not "
                         "finite numbers; read or record it again.")
