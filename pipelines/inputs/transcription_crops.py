"""Training examples for transcription: part of a recording, and what is played in it.

Nothing here needs TensorFlow; `style_transfer.pipelines.inputs.transcription` wraps it in a
`tf.data.Dataset`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from style_transfer import piano_roll
from style_transfer.pipelines.records import examples
from style_transfer.transcription import labels as labels_lib
from style_transfer.transcription import transcriber

NOTE_COLUMNS = ("key", "velocity", "onset_secs", "release_secs", "damped_secs")
MAX_NOTES = 1024
LOWEST_EQ_HZ = 50.0
_SEQUENCES_KEPT = 256
_LEVELS_KEPT = 1 << 16


@dataclasses.dataclass(frozen=True)
class RecordingChange:
    """Random changes of a crop, which leave its notes as they are.

    Attributes:
        gain_db: Smallest and largest gain.
        eq_probability: How often the timbre is changed.
        eq_db: Largest standard deviation of a smooth gain over the frequencies.
        eq_tilt_db: Standard deviation of its slope, half the range from lowest to highest.
        eq_points: How many independent values the smooth gain has.
        noise_probability: How often white noise is added.
        noise_db: Its level, lowest and highest, dB full scale.
    """

    gain_db: tuple[float, float] = (-12.0, 8.0)
    eq_probability: float = 0.7
    eq_db: float = 5.0
    eq_tilt_db: float = 4.0
    eq_points: int = 8
    noise_probability: float = 0.3
    noise_db: tuple[float, float] = (-90.0, -50.0)

    def apply(self, samples: np.ndarray, sample_rate: int,
              rng: np.random.Generator) -> np.ndarray:
        """The changed samples, float32 of the same length."""
        samples = samples * np.float32(10 ** (rng.uniform(*self.gain_db) / 20))
        if rng.random() < self.eq_probability:
            samples = self._equalized(samples, sample_rate, rng)
        if rng.random() < self.noise_probability:
            level = np.float32(10 ** (rng.uniform(*self.noise_db) / 20))
            samples = samples + level * rng.standard_normal(len(samples), dtype=np.float32)
        return samples

    def _equalized(self, samples, sample_rate, rng):
        from scipy import fft

        gains_db = rng.normal(0, rng.uniform(0, self.eq_db), self.eq_points)
        gains_db += rng.normal(0, self.eq_tilt_db) * np.linspace(-1, 1, self.eq_points)
        size = fft.next_fast_len(len(samples), real=True)
        octaves = _octaves(size, sample_rate)
        curve_db = np.interp(octaves, np.linspace(0, octaves[-1], self.eq_points), gains_db)
        gain = np.exp(curve_db * (np.log(10) / 20)).astype(np.float32)
        return fft.irfft(fft.rfft(samples, size) * gain, size)[:len(samples)]


@functools.lru_cache(4)
def _octaves(size, sample_rate):
    """How far each bin of a transform is above `LOWEST_EQ_HZ`."""
    return np.log2(np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), LOWEST_EQ_HZ) / LOWEST_EQ_HZ)


@dataclasses.dataclass(frozen=True)
class TranscriptionSettings:
    """Sizes of an example.

    Attributes:
        sample_rate: Hz; must be that of the records.
        hop_length: Samples between frames.
        crop_secs: Length of an example; shorter recordings are filled up with silence.
        labels: `smooth`, or `magenta` for binary ones; see `style_transfer.transcription.labels`.
        magenta_options: Keyword arguments of `magenta_labels`.
        level_db: What `transcriber.loudest_level` recordings are brought to, dB full scale, as
            they are before a model hears them; None leaves them as they are.
        change: Random changes of the audio, None for none.
        with_notes: Whether the notes are given too, for scores.
        seed: Of everything random.
    """

    sample_rate: int = 16_000
    hop_length: int = 320
    crop_secs: float = 10.0
    labels: str = "smooth"
    magenta_options: dict = dataclasses.field(default_factory=dict)
    level_db: float | None = None
    change: RecordingChange | None = None
    with_notes: bool = False
    seed: int = 0

    @property
    def crop_samples(self) -> int:
        """Length of an example."""
        return round(self.crop_secs * self.sample_rate)

    @property
    def num_frames(self) -> int:
        """Frames of an example."""
        return 1 + self.crop_samples // self.hop_length

    @property
    def frames_per_second(self) -> float:
        """Rate of the labels, Hz."""
        return self.sample_rate / self.hop_length

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the targets."""
        wide, narrow = (self.num_frames, piano_roll.NUM_KEYS), (self.num_frames, 1)
        names = (labels_lib.MAGENTA_ROLLS if self.labels == "magenta"
                 else labels_lib.SMOOTH_ROLLS)
        shapes: dict[str, tuple[int, ...]] = {**dict.fromkeys(names, wide), "mask": narrow}
        if self.labels == "smooth":
            shapes["pedal"] = narrow
        if self.with_notes:
            shapes["notes"] = (MAX_NOTES, len(NOTE_COLUMNS))
        return shapes


class TranscriptionCrops:
    """Makes examples; the same arguments always give the same example."""

    def __init__(self, references: Sequence[examples.Reference],
                 settings: TranscriptionSettings):
        """Examples of some performances.

        Args:
            references: All performances of a split.
            settings: Sizes.
        """
        self.references = references
        self.settings = settings
        labelers: dict[str, Callable] = {"smooth": self._smooth, "magenta": self._magenta}
        if settings.labels not in labelers:
            raise ValueError(f"labels={settings.labels!r} is unknown; choose one of "
                             f"{', '.join(labelers)}.")
        self._labels = labelers[settings.labels]

    def make(self, place: int, epoch: int, repetition: int = 0) -> tuple[np.ndarray, dict]:
        """One example of a performance.

        Args:
            place: Which performance.
            epoch: Which pass over the data; each draws other crops.
            repetition: Which of several examples of this performance in the epoch.

        Returns:
            The audio `[crop_samples]`, and the targets: labels, `mask` (1 in frames that the
            recording lasts for), and `notes` if the settings say so: rows of `NOTE_COLUMNS`, in
            seconds from the crop's beginning, of what is struck in the crop; others are zero.
        """
        settings, reference = self.settings, self.references[place]
        rng = np.random.default_rng([settings.seed, epoch, place, repetition])
        spare = max(0, reference.num_samples - settings.crop_samples)
        first = int(rng.integers(spare + 1))
        samples = examples.read_audio(reference, first, settings.crop_samples)
        if settings.level_db is not None:
            samples = samples * self._gain(reference)
        if settings.change is not None:
            samples = settings.change.apply(samples, settings.sample_rate, rng)
        start_secs = first / settings.sample_rate
        y = self._labels(reference, start_secs)
        lasts = np.arange(settings.num_frames) * settings.hop_length <= (
            reference.num_samples - first)
        y["mask"] = lasts[:, None].astype(np.float32)
        if settings.with_notes:
            y["notes"] = self._notes(reference, start_secs)
        return samples, y

    def _gain(self, reference):
        loudest_db = _loudest_level(reference.path, reference.audio_span, reference.num_samples)
        if loudest_db <= transcriber.SILENCE_DB:
            return np.float32(1)
        return np.float32(10 ** ((self.settings.level_db - loudest_db) / 20))

    def _smooth(self, reference, start_secs):
        return labels_lib.smooth_labels(
            examples.read_notes(reference), start_secs, self.settings.num_frames,
            self.settings.frames_per_second)

    def _magenta(self, reference, start_secs):
        sequence = _sustained(reference.path, reference.sequence_span)
        return labels_lib.magenta_labels(
            sequence, start_secs, self.settings.num_frames, self.settings.frames_per_second,
            reference.velocity_range[1], **self.settings.magenta_options)

    def _notes(self, reference, start_secs):
        table = examples.read_notes(reference)
        inside = ((table.onset_secs >= start_secs)
                  & (table.onset_secs < start_secs + self.settings.crop_secs))
        table = table.select(np.flatnonzero(inside)[:MAX_NOTES]).shift(-start_secs)
        notes = np.zeros((MAX_NOTES, len(NOTE_COLUMNS)), np.float32)
        notes[:len(table)] = np.stack([getattr(table, name) for name in NOTE_COLUMNS], axis=-1)
        return notes


@functools.lru_cache(_LEVELS_KEPT)
def _loudest_level(path, audio_span, num_samples):
    """Of a whole recording, which is decoded for it once."""
    return transcriber.loudest_level(
        examples.read_samples(path, audio_span, num_samples, 0, num_samples))


@functools.lru_cache(_SEQUENCES_KEPT)
def _sustained(path, span):
    return labels_lib.sustained(examples.read_sequence(path, span))
