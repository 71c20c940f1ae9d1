"""Training examples of recordings alone: a part to be made again, and another that tells its sound.

Nothing before `make_dataset` needs TensorFlow.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from style_transfer.pipelines.inputs.streams import check_positive, load_references, make_stream
from style_transfer.pipelines.inputs.transcription_crops import RecordingChange
from style_transfer.pipelines.records import examples
from style_transfer.signal.log_mel import HOP_SAMPLES, LEVEL_DB, SAMPLE_RATE

SILENT_DB = -30.0  # of a part, relative to its recording
_TRIES = 8
CONTENT_CHANGE = RecordingChange(gain_db=(-6.0, 6.0), eq_probability=0.8, eq_db=8.0, eq_tilt_db=6.0,
                                 noise_probability=0.1)
"""What is heard of the content differs in timbre from what is to be made."""


@dataclasses.dataclass(frozen=True)
class SegmentSettings:
    """Sizes of an example.

    Attributes:
        crop_secs: Length of the content, rounded to `frames`.
        style_secs: Length of the style clip.
        frames: Crops are multiples of so many frames of `signal.log_mel`.
        change: Random changes of what is heard of the content, None for none.
        others_share: Share of examples whose content is heard from another recording of the same
            notes, on another instrument, where there is one.
        style_share: Share of examples whose style clip is of another piece on the same instrument,
            where there is one.
        seed: Of everything random.
    """

    crop_secs: float = 2.048
    style_secs: float = 3.072
    frames: int = 8
    change: RecordingChange | None = None
    others_share: float = 0.0
    style_share: float = 0.0
    seed: int = 0

    @property
    def num_frames(self) -> int:
        """Frames of the content."""
        whole = self.crop_secs * SAMPLE_RATE / (self.frames * HOP_SAMPLES)
        return self.frames * max(1, round(whole))

    @property
    def crop_samples(self) -> int:
        """Samples of the content."""
        return self.num_frames * HOP_SAMPLES

    @property
    def style_samples(self) -> int:
        """Samples of the style clip, whole frames."""
        return HOP_SAMPLES * max(1, round(self.style_secs * SAMPLE_RATE / HOP_SAMPLES))


class SegmentPairs:
    """Makes examples; the same arguments always give the same example.

    Attributes:
        eligible: Which of the recordings are long enough for both parts.
    """

    def __init__(self, references: Sequence[examples.Reference], settings: SegmentSettings):
        """Examples of the recordings of a split."""
        self.references, self.settings = references, settings
        self._timbres, self._pieces = (
            sorted({getattr(reference, name) for reference in references})
            for name in ("timbre_id", "piece_id"))
        needed = settings.crop_samples + settings.style_samples
        self._others = _same_notes(references) if settings.others_share else {}
        self._pieces_of = _same_timbre(references) if settings.style_share else {}
        self.eligible = [i for i, reference in enumerate(references)
                         if reference.num_samples >= needed]

    def make(self, place: int, epoch: int, repetition: int = 0) -> tuple[dict, np.ndarray]:
        """One example of a recording.

        Args:
            place: Which of `eligible`.
            epoch: Which pass over the data; each draws other parts.
            repetition: Which of several examples of this recording in the epoch.

        Returns:
            Inputs: `content_audio` `[crop_samples]`, `style_audio` `[style_samples]` of another
            part or, by `style_share`, of another piece, `timbre` and `piece`, which number
            instruments and music. The target: the content as it was recorded, on the style's
            instrument. All recordings are at one level.
        """
        settings = self.settings
        rng = np.random.default_rng([settings.seed, epoch, place, repetition])
        reference = self.references[self.eligible[place]]
        for _ in range(_TRIES):
            begins = self._begins(reference, rng)
            target = self._read(reference, begins[0], settings.crop_samples)
            style = self._style(reference, begins[1], rng)
            if min(map(_level_db, (target, style))) > LEVEL_DB + SILENT_DB:
                break
        content = target
        others = self._others.get(self.eligible[place], ())
        if others and rng.random() < settings.others_share:
            other = self.references[others[int(rng.integers(len(others)))]]
            if begins[0] + settings.crop_samples <= other.num_samples:
                content = self._read(other, begins[0], settings.crop_samples)
        if settings.change is not None:
            content = np.clip(settings.change.apply(content, SAMPLE_RATE, rng), -1, 1)
        x = {"content_audio": content, "style_audio": style,
             "timbre": np.int32(self._timbres.index(reference.timbre_id)),
             "piece": np.int32(self._pieces.index(reference.piece_id))}
        return x, target

    def _begins(self, reference, rng):
        """First samples of content and style, of which neither is in the other."""
        lengths = self.settings.crop_samples, self.settings.style_samples
        spare = int(rng.integers(reference.num_samples - sum(lengths) + 1))
        first = int(rng.integers(spare + 1))
        if rng.random() < 0.5:
            return first, spare + lengths[0]
        return spare + lengths[1], first

    def _style(self, reference, begin, rng):
        """The style clip: from there, or from anywhere in another piece on that instrument."""
        count = self.settings.style_samples
        others = [other for other in self._pieces_of.get(reference.timbre_id, ())
                  if other.piece_id != reference.piece_id and other.num_samples >= count]
        if others and rng.random() < self.settings.style_share:
            reference = others[int(rng.integers(len(others)))]
            begin = int(rng.integers(reference.num_samples - count + 1))
        return self._read(reference, begin, count)

    def _read(self, reference, begin, count):
        gain = np.float32(10 ** ((LEVEL_DB - reference.rms_db) / 20))
        return np.clip(examples.read_audio(reference, begin, count) * gain, -1, 1)


def _same_notes(references):
    """Rows of the references that play the same notes on other instruments, by row."""
    groups: dict[tuple, list[int]] = {}
    for row, reference in enumerate(references):
        notes = examples.read_notes(reference)
        groups.setdefault((reference.piece_id, notes.key.tobytes(), notes.onset_secs.tobytes()),
                          []).append(row)
    return {row: [other for other in rows
                  if references[other].timbre_id != references[row].timbre_id]
            for rows in groups.values() for row in rows}


def _same_timbre(references):
    """The references of each instrument, by its name."""
    groups: dict[str, list] = {}
    for reference in references:
        groups.setdefault(reference.timbre_id, []).append(reference)
    return groups


def _level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12)


def make_dataset(examples_path: str | Sequence[str], split: str, *, settings: SegmentSettings,
                 batch_size: int, repeat: bool, crops_per_example: int = 1, skip_batches: int = 0,
                 input_context=None):
    """Batches of `SegmentPairs`.

    Args:
        examples_path: As for `streams.load_references`; so `split`.
        split: `train`, `eval` or `test`.
        settings: Sizes; the same seed gives the same batches.
        batch_size: As for `streams.make_stream`; so `repeat`, `crops_per_example`, `skip_batches`
            and `input_context`.
        repeat: Whether passes follow each other for ever, shuffled.
        crops_per_example: Likewise.
        skip_batches: Likewise.
        input_context: Likewise.

    Raises:
        ValueError: There are no examples, or none is long enough.
    """
    import tensorflow as tf

    check_positive(batch_size=batch_size, crops_per_example=crops_per_example,
                   crop_secs=settings.crop_secs, style_secs=settings.style_secs)
    _, references = load_references(examples_path, split, SAMPLE_RATE)
    pairs = SegmentPairs(references, settings)
    if not pairs.eligible:
        secs = (settings.crop_samples + settings.style_samples) / SAMPLE_RATE
        raise ValueError(f"None of {len(references)} recordings of the split {split!r} is long "
                         f"enough: two parts of it are needed, {secs:.1f} s. Lower crop_secs or "
                         "style_secs.")
    specs = {"content_audio": tf.TensorSpec((settings.crop_samples,), tf.float32),
             "style_audio": tf.TensorSpec((settings.style_samples,), tf.float32)}
    specs |= {name: tf.TensorSpec((), tf.int32) for name in ("timbre", "piece")}
    return make_stream(
        pairs.make, (specs, tf.TensorSpec((settings.crop_samples,), tf.float32)),
        len(pairs.eligible), batch_size=batch_size, seed=settings.seed, shuffle=repeat,
        repeat=repeat, crops_per_example=crops_per_example, skip_batches=skip_batches,
        input_context=input_context)
