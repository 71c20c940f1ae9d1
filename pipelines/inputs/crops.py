"""Training examples from performances: a crop, and a style clip of other notes on the same piano.

Nothing here needs TensorFlow; `style_transfer.pipelines.inputs.piano_ddsp` wraps it in a
`tf.data.Dataset`.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from style_transfer import piano_roll
from style_transfer.pipelines.inputs import augmentation as augmentation_lib
from style_transfer.pipelines.records import examples

LEVEL_DB = -25.0  # of style clips, and of all performances of a piano together
MIN_STYLE_SECS = 2.0
STYLE_MARGIN_SECS = 0.5  # for what still rings between target and style in one performance
_SILENT_RMS = 1e-4
_MIN_STYLE_NOTES = 4
_TRIES = 6
_SUBSTITUTES = 20


@dataclasses.dataclass(frozen=True)
class CropSettings:
    """Sizes of an example.

    Attributes:
        sample_rate: Hz; must be that of the records.
        crop_secs: Length of the target, the model's warm-up included.
        style_secs: Length of the style clip; shorter ones are padded with zeros.
        max_notes: Length of the note arrays; the notes struck longest ago are dropped beyond it.
        frames_per_second: Rate of the roll.
        augmentation: Random changes, None for none.
        seed: Of everything random.
    """

    sample_rate: int = 24_000
    crop_secs: float = 3.0
    style_secs: float = 8.0
    max_notes: int = 96
    frames_per_second: int = piano_roll.FRAMES_PER_SECOND
    augmentation: augmentation_lib.Augmentation | None = None
    seed: int = 0

    @property
    def crop_samples(self) -> int:
        """Length of the target."""
        return round(self.crop_secs * self.sample_rate)

    @property
    def style_samples(self) -> int:
        """Length of the style clip."""
        return round(self.style_secs * self.sample_rate)

    @property
    def num_frames(self) -> int:
        """Length of the roll."""
        return round(self.crop_secs * self.frames_per_second)

    @property
    def min_style_secs(self) -> float:
        """The shortest style clip that is used."""
        return min(MIN_STYLE_SECS, self.style_secs)


@dataclasses.dataclass(frozen=True)
class Window:
    """Part of a performance, and which of its notes sound in it.

    Attributes:
        reference: Place of the performance in the list of references.
        start_secs: Its beginning.
        secs: Its length.
        notes: Indices into the performance's note table.
    """

    reference: int
    start_secs: float
    secs: float
    notes: np.ndarray


class Crops:
    """Makes examples; the same arguments always give the same example."""

    def __init__(self, references: Sequence[examples.Reference], settings: CropSettings,
                 levels_db: dict[str, float]):
        """Examples of some performances.

        Args:
            references: All performances of a split.
            settings: Sizes.
            levels_db: Level of each piano over all its performances, from `timbre_levels_db`.
        """
        self.references = references
        self.settings = settings
        self._gains = {timbre: 10 ** ((LEVEL_DB - level) / 20)
                       for timbre, level in levels_db.items()}
        self._by_timbre = defaultdict(list)
        for i, reference in enumerate(references):
            if reference.duration_secs >= self._source_secs(settings.min_style_secs):
                self._by_timbre[reference.timbre_id].append(i)
        pieces = {timbre: {references[i].piece_id for i in members}
                  for timbre, members in self._by_timbre.items()}
        self.eligible = [i for i, reference in enumerate(references)
                         if pieces.get(reference.timbre_id, set()) - {reference.piece_id}
                         or self._has_room(reference)]

    def _source_secs(self, secs):
        """How much of a recording `secs` may need when augmentation speeds it up."""
        augmentation = self.settings.augmentation
        return secs * 2 ** (augmentation.tuning_cents / 1200) if augmentation else secs

    def _has_room(self, reference):
        settings = self.settings
        needed = self._source_secs(settings.crop_secs + settings.min_style_secs)
        return reference.duration_secs >= needed + STYLE_MARGIN_SECS

    def make(self, place: int, epoch: int, repetition: int = 0) -> tuple[dict, np.ndarray, dict]:
        """One example of a performance.

        Args:
            place: Which of `eligible`.
            epoch: Which pass over the data; each draws other crops.
            repetition: Which of several examples of this performance in the epoch.

        Returns:
            The model's inputs, the target `[crop_samples]`, and where both come from.

        Raises:
            ValueError: No example could be made of this nor of others drawn instead.
        """
        rng = np.random.default_rng([self.settings.seed, epoch, place, repetition])
        augmentation = self.settings.augmentation
        change = augmentation_lib.PianoChange()
        if augmentation:
            change = augmentation_lib.draw_piano_change(
                augmentation, rng, self.settings.sample_rate)
        for _ in range(_SUBSTITUTES):
            windows = self.choose(self.eligible[place], rng, change.speed)
            example = windows and self._render(*windows, change, rng)
            if example:
                return example
            place = int(rng.integers(len(self.eligible)))
        raise ValueError(
            f"No style clip of other notes of the same piano was found for {_SUBSTITUTES} "
            "performances. Add performances of each piano, or lower crop_secs and style_secs.")

    def choose(self, target: int, rng: np.random.Generator,
               speed: float = 1.0) -> tuple[Window, Window] | None:
        """A target window and a style window that share the piano and no note.

        Returns:
            Both, or None if the drawn crops leave no room for a style clip.
        """
        reference = self.references[target]
        other = self._draw_other(reference, rng)
        table = examples.read_notes(reference)
        crop_secs = self.settings.crop_secs * speed
        latest = max(0.0, reference.duration_secs - crop_secs)
        # At its ends a performance that is its own partner has most room for a style clip.
        ends = () if other is not None else (0.0, latest)
        for start in (*rng.uniform(0, latest, _TRIES), *ends):
            crop = _window(target, table, float(start), crop_secs)
            if not len(crop.notes):
                continue
            if other is None:
                style = self._same(crop, rng, speed)
            else:
                secs = self.references[other].duration_secs
                style = self._in_span(other, 0.0, secs, rng, speed)
            if style:
                return crop, style
        return None

    def _draw_other(self, reference, rng):
        """A performance of other music on the same piano, or None if there is none."""
        members = self._by_timbre[reference.timbre_id]
        for _ in range(_TRIES):  # nearly always the first: the list of others is not needed
            i = members[int(rng.integers(len(members)))] if members else -1
            if i >= 0 and self.references[i].piece_id != reference.piece_id:
                return i
        others = [i for i in members if self.references[i].piece_id != reference.piece_id]
        return others[int(rng.integers(len(others)))] if others else None

    def _same(self, crop, rng, speed):
        """A style window before the first or after the last note that sounds in the crop."""
        reference = self.references[crop.reference]
        table = examples.read_notes(reference).select(crop.notes)
        first, last = crop.start_secs, crop.start_secs + crop.secs
        if len(table):
            first = min(first, float(table.onset_secs.min()))
            last = max(last, float(table.damped_secs.max()))
        spans = [(0.0, first - STYLE_MARGIN_SECS),
                 (last + STYLE_MARGIN_SECS, reference.duration_secs)]
        lengths = np.array([max(0.0, end - start) for start, end in spans])
        lengths[lengths < self.settings.min_style_secs * speed] = 0
        if not lengths.any():
            return None
        span = spans[int(rng.choice(2, p=lengths / lengths.sum()))]
        return self._in_span(crop.reference, *span, rng, speed)

    def _in_span(self, i, start, end, rng, speed):
        """Of some windows the first with enough notes, or that with most; None without notes."""
        table = examples.read_notes(self.references[i])
        secs = min(self.settings.style_secs * speed, end - start)
        best = None
        for _ in range(_TRIES):
            window = _window(i, table, float(rng.uniform(start, end - secs)), secs)
            if best is None or len(window.notes) > len(best.notes):
                best = window
            if len(best.notes) >= _MIN_STYLE_NOTES:
                break
        return best if len(best.notes) else None

    def _render(self, crop, style, change, rng):
        settings = self.settings
        reference = self.references[crop.reference]
        heard = round(style.secs / change.speed * settings.sample_rate)
        history = change.history_samples
        raw = self._read(style, settings.style_samples, change)
        clip = change.apply(raw).copy()
        raw_rms, clip_rms = _rms(raw[history : history + heard]), _rms(clip[:heard])
        if min(raw_rms, clip_rms) < _SILENT_RMS:
            return None
        # A filter must not make a piano louder or softer: its clip's level is what a user hears.
        gain = self._gains[reference.timbre_id] * raw_rms / clip_rms
        target = change.apply(self._read(crop, settings.crop_samples, change)) * np.float32(gain)
        clip[heard:] = 0
        clip *= np.float32(10 ** (LEVEL_DB / 20) / clip_rms)
        if settings.augmentation:
            clip = augmentation_lib.disturb_style(clip, settings.augmentation, rng)
        x = {"style_audio": clip, **self._notes(crop, change.speed),
             "f0_hz": reference.f0_hz * np.float32(change.speed),
             "inharmonicity": reference.inharmonicity}
        return x, target, self._origin(crop, style)

    def _read(self, window, count, change):
        """The history and `count` samples of a window, at the changed speed."""
        rate = self.settings.sample_rate
        needed = count + change.history_samples
        source_count = needed if change.speed == 1 else int(np.ceil(needed * change.speed)) + 2
        first = round(window.start_secs * rate - change.history_samples * change.speed)
        samples = examples.read_audio(self.references[window.reference], first, source_count)
        if change.speed == 1:
            return samples
        import soxr

        samples = soxr.resample(samples, change.speed * rate, rate, quality="MQ")
        return np.pad(samples, (0, max(0, needed - len(samples))))[:needed]

    def _notes(self, crop, speed):
        settings = self.settings
        table = examples.read_notes(self.references[crop.reference])
        table = _faster(table.select(crop.notes).shift(-crop.start_secs), speed)
        roll = piano_roll.roll(table, 0.0, settings.num_frames, settings.frames_per_second)
        table = table.select(slice(max(0, len(table) - settings.max_notes), None))
        padding = (0, settings.max_notes - len(table))
        return {
            "note_key": np.pad(table.key, padding).astype(np.int32),
            "note_velocity": np.pad(table.velocity, padding).astype(np.float32),
            "note_onset_secs": np.pad(table.onset_secs, padding).astype(np.float32),
            "note_damped_secs": np.pad(table.damped_secs, padding).astype(np.float32),
            "roll": roll,
        }

    def _origin(self, crop, style):
        origin = {}
        for name, window in (("target", crop), ("style", style)):
            reference = self.references[window.reference]
            table = examples.read_notes(reference).select(window.notes)
            origin |= {
                f"{name}_id": reference.id,
                f"{name}_timbre_id": reference.timbre_id,
                f"{name}_piece_id": reference.piece_id,
                f"{name}_secs": np.array(
                    [window.start_secs, window.start_secs + window.secs], np.float64),
                f"{name}_note_secs": np.array(
                    [table.onset_secs.min(), table.damped_secs.max()] if len(table)
                    else [np.nan, np.nan], np.float64),
            }
        return origin


def timbre_levels_db(references: Sequence[examples.Reference]) -> dict[str, float]:
    """Level of each piano: mean power of the sounding parts over its performances, dB."""
    rows = defaultdict(list)
    for reference in references:
        rows[reference.timbre_id].append((10 ** (reference.rms_db / 10), reference.duration_secs))
    levels = {}
    for timbre, measured in rows.items():
        powers, secs = np.array(measured).T
        levels[timbre] = float(10 * np.log10(np.average(powers, weights=secs)))
    return levels


def _rms(samples):
    return float(np.sqrt(np.mean(np.square(samples))))


def _window(reference, table, start, secs):
    sounding = (table.damped_secs > start) | (table.onset_secs >= start)
    sounding &= table.onset_secs < start + secs
    return Window(reference, start, secs, np.flatnonzero(sounding))


def _faster(table, speed):
    """The table of a performance that is played `speed` times as fast."""
    if speed == 1:
        return table
    pedals = piano_roll.Pedals(*((times / speed, values) for times, values in table.pedals))
    return dataclasses.replace(
        table, onset_secs=table.onset_secs / speed, release_secs=table.release_secs / speed,
        damped_secs=table.damped_secs / speed, pedals=pedals)
