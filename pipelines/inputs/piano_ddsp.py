"""Batches for training `piano_ddsp` from example records: a `tf.data.Dataset` that streams."""

import fnmatch
import itertools
import logging
from collections.abc import Sequence

from style_transfer import piano_roll
from style_transfer.pipelines.inputs.augmentation import Augmentation
from style_transfer.pipelines.inputs.crops import Crops, CropSettings, timbre_levels_db
from style_transfer.pipelines.inputs.streams import check_positive, load_references, make_stream

_DEBUG_TEXTS = ("id", "timbre_id", "piece_id")
_LOGGER = logging.getLogger(__name__)


def make_dataset(
    examples_path: str | Sequence[str],
    split: str | None = "train",
    *,
    batch_size: int = 8,
    sample_rate: int = 24_000,
    crop_secs: float = 3.0,
    style_secs: float = 8.0,
    max_notes: int = 96,
    frames_per_second: int = piano_roll.FRAMES_PER_SECOND,
    augment: bool | Augmentation = False,
    seed: int = 0,
    shuffle: bool = True,
    repeat: bool = True,
    crops_per_example: int = 1,
    skip_batches: int = 0,
    timbres: Sequence[str] = (),
    input_context=None,
    num_parallel_calls: int | None = None,
    prefetch: int = 2,
    debug: bool = False,
):
    """Batches of inputs and targets for `piano_ddsp`.

    Args:
        examples_path: Folder with `.tfrecord` files, pattern or patterns (`*`; separated by commas
            or a sequence), paths or URLs.
        split: Which performances: `train`, `eval` or `test`; None for all.
        batch_size: Global batch size. The last, smaller batch of a pass is dropped if `repeat`.
        sample_rate: Rate the model works at, Hz; the records must have it.
        crop_secs: Length of the target, the warm-up included.
        style_secs: Length of the style clip.
        max_notes: Length of the note arrays.
        frames_per_second: Rate of the roll.
        augment: Whether to vary pianos and rooms, or how.
        seed: Of order, crops and augmentation. The same seed gives the same batches.
        shuffle: Whether each pass has another order.
        repeat: Whether passes follow each other for ever, each with other crops.
        crops_per_example: How many crops a pass takes of each performance.
        skip_batches: Begin where so many batches have been taken before; costs nothing.
        timbres: Patterns of pianos to use; none for all.
        input_context: `tf.distribute.InputContext`: each of its pipelines makes its part of every
            batch, in batches of `batch_size / num_replicas_in_sync`.
        num_parallel_calls: How many examples are made at once; all cores by default.
        prefetch: How many batches are made ahead.
        debug: Whether each element has a third part: which performances, pieces and times target
            and style come from.

    Returns:
        A `tf.data.Dataset` of `(x, y)`; x is a dict of `style_audio` `[batch, style_samples]`,
        `note_key` (int32), `note_velocity`, `note_onset_secs`, `note_damped_secs`
        `[batch, max_notes]`, `roll` `[batch, frames, 179]`, `f0_hz` and `inharmonicity`
        `[batch, 88]`; y is the target `[batch, crop_samples]`.

    Raises:
        ValueError: No files match, none of the performances can be used, or the records have
            another sample rate.
    """
    settings = CropSettings(sample_rate, crop_secs, style_secs, max_notes, frames_per_second,
                            _augmentation(augment), seed)
    check_positive(batch_size=batch_size, crops_per_example=crops_per_example,
                   crop_secs=crop_secs, style_secs=style_secs, max_notes=max_notes)
    crops = load_crops(examples_path, split, settings, timbres)

    def make(place, epoch, repetition):
        example = crops.make(place, epoch, repetition)
        return example if debug else example[:2]

    return make_stream(
        make, _specs(settings, debug), len(crops.eligible), batch_size=batch_size, seed=seed,
        shuffle=shuffle, repeat=repeat, crops_per_example=crops_per_example,
        skip_batches=skip_batches, input_context=input_context,
        num_parallel_calls=num_parallel_calls, prefetch=prefetch)


def load_crops(
    examples_path: str | Sequence[str],
    split: str | None,
    settings: CropSettings,
    timbres: Sequence[str] = (),
) -> Crops:
    """The maker of a split's examples, without TensorFlow; arguments as `make_dataset`'s."""
    references, chosen = load_references(examples_path, split, settings.sample_rate)
    if any(reference.f0_hz is None for reference in references):
        raise ValueError(f"The examples of {examples_path!r} have no tuning. Make them with "
                         "style_transfer_create_dataset --config=piano_ddsp.")
    # Levels come from all splits: a piano is as loud in evaluation as in training.
    levels = timbre_levels_db(references)
    if timbres:
        chosen = [r for r in chosen if any(fnmatch.fnmatchcase(r.timbre_id, t) for t in timbres)]
    crops = Crops(chosen, settings, levels)
    left_out = len(chosen) - len(crops.eligible)
    if not crops.eligible:
        raise ValueError(
            f"None of {len(chosen)} performances (split {split!r}, pianos "
            f"{', '.join(timbres) or 'all'}) can be used: each needs another piece on the same "
            f"piano, or {settings.crop_secs:g} s and {settings.min_style_secs:g} s that share no "
            "note.")
    if left_out:
        _LOGGER.warning("%d of %d performances are left out: too short, and no other piece is "
                        "played on their piano", left_out, len(chosen))
    return crops


def _augmentation(augment):
    if isinstance(augment, Augmentation):
        return augment
    return Augmentation() if augment else None


def _specs(settings, debug):
    """`tf.TensorSpec`s of what one example consists of."""
    import tensorflow as tf

    notes = (settings.max_notes,)
    shapes = {
        "style_audio": (settings.style_samples,),
        "note_key": notes,
        "note_velocity": notes,
        "note_onset_secs": notes,
        "note_damped_secs": notes,
        "roll": (settings.num_frames, piano_roll.ROLL_DEPTH),
        "f0_hz": (piano_roll.NUM_KEYS,),
        "inharmonicity": (piano_roll.NUM_KEYS,),
    }
    x = {name: tf.TensorSpec(shape, tf.int32 if name == "note_key" else tf.float32)
         for name, shape in shapes.items()}
    y = tf.TensorSpec((settings.crop_samples,), tf.float32)
    if not debug:
        return x, y
    origin = {}
    for part, field in itertools.product(("target", "style"), _DEBUG_TEXTS):
        origin[f"{part}_{field}"] = tf.TensorSpec((), tf.string)
    for part, field in itertools.product(("target", "style"), ("secs", "note_secs")):
        origin[f"{part}_{field}"] = tf.TensorSpec((2,), tf.float64)
    return x, y, origin
