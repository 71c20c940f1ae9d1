"""Training examples for WaveNets: part of a recording, what its keys do, and whose sound it is.

Crops begin on the roll's grid over the whole performance, where generation begins too: a frame
covers the same samples in both. Nothing here needs TensorFlow before style vectors are asked for.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from style_transfer import piano_roll
from style_transfer.models.wavenet import inputs
from style_transfer.pipelines.inputs import augmentation as augmentation_lib
from style_transfer.pipelines.inputs import crops as crops_lib
from style_transfer.pipelines.records import examples

PIANOS = ("none", "id", "style", "clip")
_TRIES = 20
_VECTORS: dict[tuple, np.ndarray] = {}  # by the record and the samples that a vector is of


@dataclasses.dataclass(frozen=True)
class WaveNetSettings:
    """Sizes of an example.

    Attributes:
        sample_rate: Hz; must be that of the records.
        roll_rate: Frames of the roll per second; divides `sample_rate`.
        crop_secs: Length of an example, rounded to frames; shorter recordings are filled up with
            silence.
        piano: What tells of the piano: `none`; `id`, its number among the sorted names of all
            pianos in the records; `style`, the vector that `piano_ddsp` makes of a clip of other
            notes of it, one for each performance; `clip`, such a clip itself, another each time.
        style_secs: Length of that clip.
        edge_share: Share of the examples that hold the beginning of a performance and silence
            before it, or its end and silence after it, which random crops seldom do and generation
            always does; for `none` and `id`: others must not share notes with the clip that tells
            of the piano.
        decays: Whether what sounds in rolls dies away, see `piano_roll.decayed`.
        with_pieces: Whether inputs hold `piece`, equal for crops of the same music, and beside
            clips `timbre`, equal for crops of the same piano.
        augmentation: Equalizer and room that are drawn for each example, the same for `audio` and
            its clip, so that few pianos stand for many; None for none. For `clip` alone, and
            `tuning_cents` must be 0.
        seed: Of everything random.
    """

    sample_rate: int = 16_000
    roll_rate: float = 250
    crop_secs: float = 1.0
    piano: str = "none"
    style_secs: float = 8.0
    edge_share: float = 0.0
    decays: bool = False
    with_pieces: bool = False
    augmentation: augmentation_lib.Augmentation | None = None
    seed: int = 0

    def __post_init__(self):
        if self.augmentation and (self.piano != "clip" or self.augmentation.tuning_cents):
            raise ValueError("augmentation is for piano='clip', with tuning_cents=0; got "
                             f"piano={self.piano!r}, {self.augmentation}.")
        if self.piano not in PIANOS:
            raise ValueError(f"piano={self.piano!r} is unknown; choose one of "
                             f"{', '.join(PIANOS)}.")
        if self.roll_rate <= 0 or self.sample_rate % self.roll_rate:
            raise ValueError(f"sample_rate={self.sample_rate} must be a multiple of "
                             f"roll_rate={self.roll_rate}.")

    @property
    def hop(self) -> int:
        """Samples of a frame of the roll."""
        return int(self.sample_rate // self.roll_rate)

    @property
    def num_frames(self) -> int:
        """Frames of an example."""
        return max(1, round(self.crop_secs * self.roll_rate))

    @property
    def crop_samples(self) -> int:
        """Samples of an example, whole frames."""
        return self.num_frames * self.hop

    @property
    def style_samples(self) -> int:
        """Samples of a style clip."""
        return round(self.style_secs * self.sample_rate)


class WaveNetCrops:
    """Makes examples; the same arguments always give the same example.

    Attributes:
        references: All performances of a split.
        eligible: Which of them can be used.
        pianos: Names of the pianos, whose places are their numbers.
    """

    def __init__(self, references: Sequence[examples.Reference], settings: WaveNetSettings,
                 levels_db: dict[str, float]):
        """Examples of some performances.

        Args:
            references: All performances of a split.
            settings: Sizes.
            levels_db: Level of each piano over all its performances in all splits, from
                `crops.timbre_levels_db`.
        """
        self.references, self.settings = references, settings
        self.pianos = sorted(levels_db)
        self._gains = {timbre: np.float32(10 ** ((inputs.LEVEL_DB - level) / 20))
                       for timbre, level in levels_db.items()}
        self._pieces = sorted({reference.piece_id for reference in references})
        self.eligible = list(range(len(references)))
        self._styles: dict[int, tuple] = {}
        if settings.piano in ("style", "clip"):
            self._clips = crops_lib.Crops(references, crops_lib.CropSettings(
                settings.sample_rate, settings.num_frames / settings.roll_rate,
                settings.style_secs, seed=settings.seed), levels_db)
            self.eligible = self._clips.eligible
        if settings.piano == "style":
            self._choose_styles()
            self.eligible = list(self._styles)

    def make(self, place: int, epoch: int, repetition: int = 0) -> tuple[dict, dict]:
        """One example of a performance.

        Args:
            place: Which of `eligible`.
            epoch: Which pass over the data; each draws other crops.
            repetition: Which of several examples of this performance in the epoch.

        Returns:
            Inputs: `audio` `[crop_samples]` in [-1, 1], every piano at the same level; `roll`
            `[num_frames, 176]`; `start_sample`, place of the crop in its recording, negative if it
            begins before it; and what `piano` says: `piano_id`, `style` or `style_audio`
            `[style_samples]`. Targets: `audio` and `roll`.

        Raises:
            ValueError: No style clip was found for this performance or others drawn instead.
        """
        settings = self.settings
        rng = np.random.default_rng([settings.seed, epoch, place, repetition])
        index = self.eligible[place]
        piano, change, gain = {}, augmentation_lib.PianoChange(), np.float32(1)
        if settings.piano == "clip":
            index, start, piano["style_audio"], change, gain = self._with_clip(index, rng)
        elif settings.piano == "style":
            start, piano["style"] = self._with_style(index, rng)
        else:
            start = int(rng.integers(self._latest(index) + 1))
        if settings.edge_share and settings.piano in ("none", "id"):
            start = self._edge(index, rng, start)
        reference = self.references[index]
        if settings.piano == "id":
            piano["piano_id"] = np.int32(self.pianos.index(reference.timbre_id))
        if settings.with_pieces:
            piano["piece"] = np.int32(self._pieces.index(reference.piece_id))
            if settings.piano == "clip":
                piano["timbre"] = np.int32(self.pianos.index(reference.timbre_id))
        audio = change.apply(examples.read_audio(
            reference, start * settings.hop - change.history_samples,
            settings.crop_samples + change.history_samples))
        audio = np.clip(audio * (gain * self._gains[reference.timbre_id]), -1, 1)
        roll = piano_roll.keys_roll(examples.read_notes(reference), start, settings.num_frames,
                           settings.roll_rate, settings.decays)
        x = {"audio": audio, "roll": roll, "start_sample": np.int32(start * settings.hop), **piano}
        return x, {"audio": audio, "roll": roll}

    def _latest(self, index):
        """The last frame at which a crop fits."""
        spare = self.references[index].num_samples - self.settings.crop_samples
        return max(0, spare // self.settings.hop)

    def _edge(self, index, rng, start):
        """Sometimes a frame from which a crop begins before its recording or ends behind it."""
        draw, beyond = rng.uniform(size=2)
        if draw >= self.settings.edge_share:
            return start
        frames = int(beyond * self.settings.num_frames / 2)
        return -frames if draw < self.settings.edge_share / 2 else self._latest(index) + frames

    def _frame_of(self, window):
        """The frame at which the crop that begins in it is taken."""
        frame = int(piano_roll.frame_of(window.start_secs, self.settings.roll_rate))
        return min(frame, self._latest(window.reference))

    def _with_clip(self, index, rng):
        """A performance, a frame of it, a clip of other notes, what changes both, and a gain.

        The gain undoes how much louder the change makes the piano, as far as the clip tells.
        """
        settings, change = self.settings, augmentation_lib.PianoChange()
        if settings.augmentation:
            change = augmentation_lib.draw_piano_change(settings.augmentation, rng,
                                                        settings.sample_rate)
        for _ in range(_TRIES):
            windows = self._clips.choose(index, rng)
            heard = windows and self._heard(windows[1], change.history_samples)
            if heard is not None and heard[change.history_samples:].any():
                changed = change.apply(heard)
                gain = _rms(heard[change.history_samples:]) / _rms(changed)
                clip = self._as_clip(changed)
                if settings.augmentation:
                    clip = augmentation_lib.disturb_style(clip, settings.augmentation, rng)
                return index, self._frame_of(windows[0]), clip, change, np.float32(gain)
            index = self.eligible[int(rng.integers(len(self.eligible)))]
        raise ValueError(f"No style clip was found for {_TRIES} performances. Add performances of "
                         "each piano, or lower crop_secs and style_secs.")

    def _heard(self, window, history=0):
        """Samples of a window, and so many before it."""
        settings = self.settings
        first = round(window.start_secs * settings.sample_rate)
        count = min(round(window.secs * settings.sample_rate), settings.style_samples)
        return examples.read_audio(self.references[window.reference], first - history,
                                   count + history)

    def _as_clip(self, samples):
        """At the level, and as long as all others: what is shorter is repeated."""
        clip = np.resize(samples, self.settings.style_samples)
        rms = _rms(clip)
        return clip * np.float32(10 ** (inputs.STYLE_LEVEL_DB / 20) / rms if rms > 0 else 0.0)

    def _choose_styles(self):
        """A style window and its vector for each performance; vectors are made in batches."""
        chosen = {}
        for index in self._clips.eligible:
            windows = self._clips.choose(
                index, np.random.default_rng([self.settings.seed, index]))
            if windows is not None:
                chosen[index] = windows
        keys = {index: self._key(windows[1]) for index, windows in chosen.items()}
        missing = list({keys[index]: windows[1] for index, windows in chosen.items()
                        if keys[index] not in _VECTORS}.items())
        if missing:
            vectors = inputs.style_vectors(
                [self._as_clip(self._heard(window)) for _, window in missing],
                self.settings.sample_rate)
            _VECTORS.update({key: vector for (key, _), vector in zip(missing, vectors,
                                                                     strict=True)})
        self._styles = {index: (*windows, _VECTORS[keys[index]])
                        for index, windows in chosen.items()}

    def _key(self, window):
        reference = self.references[window.reference]
        return (reference.path, reference.audio_span, round(window.start_secs, 6),
                self.settings.style_samples, self.settings.sample_rate)

    def _with_style(self, index, rng):
        """A frame whose crop shares no note with the style clip, and the clip's vector."""
        crop, style, vector = self._styles[index]
        latest = self._latest(index)
        if style.reference != index:
            return int(rng.integers(latest + 1)), vector
        table = examples.read_notes(self.references[index]).select(style.notes)
        margin = crops_lib.STYLE_MARGIN_SECS
        first = min(style.start_secs, float(table.onset_secs.min())) - margin
        last = max(style.start_secs + style.secs, float(table.damped_secs.max())) + margin
        for start in rng.integers(latest + 1, size=_TRIES):
            begin = start / self.settings.roll_rate
            if begin >= last or begin + self.settings.crop_secs <= first:
                return int(start), vector
        return self._frame_of(crop), vector


def _rms(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
