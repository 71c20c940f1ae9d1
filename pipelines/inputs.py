"""Batches for training from example records: a `tf.data.Dataset` that streams.

An epoch is a permutation of performances that is computed, not stored, and a performance is a
place in a file: nothing but names and numbers is held of it, and of its audio only what an example
needs is read and decoded.
"""

import fnmatch
import glob as glob_lib
import itertools
import logging
import os
from collections.abc import Sequence

import numpy as np

from pipelines import examples
from pipelines.datasets.augmentation import Augmentation
from pipelines.datasets.crops import Crops, CropSettings, timbre_levels_db
from style_transfer import piano_roll

SUFFIX = ".tfrecord"
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
        input_context: `tf.distribute.InputContext`: each of its pipelines takes its share of the
            performances, in batches of `batch_size / num_replicas_in_sync`.
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
    _check_positive(batch_size=batch_size, crops_per_example=crops_per_example,
                    crop_secs=crop_secs, style_secs=style_secs, max_notes=max_notes)
    crops = load_crops(examples_path, split, settings, timbres)
    share, batch_size = _share(len(crops.eligible), batch_size, input_context)
    return _dataset(crops, share, batch_size, crops_per_example, shuffle, repeat, skip_batches,
                    num_parallel_calls or os.cpu_count() or 1, prefetch, debug,
                    input_context is not None)


def load_crops(
    examples_path: str | Sequence[str],
    split: str | None,
    settings: CropSettings,
    timbres: Sequence[str] = (),
) -> Crops:
    """The maker of a split's examples, without TensorFlow; arguments as `make_dataset`'s."""
    references = [reference for path in example_files(examples_path)
                  for reference in examples.read_references(path)]
    if not references:
        raise ValueError(f"The files of {examples_path!r} hold no examples. Make them again with "
                         "style_transfer_create_dataset.")
    for reference in references:
        if reference.sample_rate != settings.sample_rate:
            raise ValueError(
                f"The examples have a sample rate of {reference.sample_rate} Hz "
                f"({reference.path}) but the configuration expects {settings.sample_rate} Hz. Make "
                f"them with --sample_rate={settings.sample_rate}, or set the configuration's.")
    # Levels come from all splits: a piano is as loud in evaluation as in training.
    levels = timbre_levels_db(references)
    chosen = [r for r in references if split in (None, r.split)]
    if not chosen:
        present = ", ".join(sorted({r.split for r in references}))
        raise ValueError(f"There are no examples of the split {split!r} in {examples_path!r}: "
                         f"only {present}.")
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


def example_files(examples_path: str | Sequence[str]) -> list[str]:
    """Files that match; a folder stands for all `.tfrecord` files in it.

    Raises:
        ValueError: A pattern matches nothing.
    """
    patterns = examples_path.split(",") if isinstance(examples_path, str) else examples_path
    found = []
    for pattern in map(str, patterns):
        matches = _glob(pattern)
        if not matches:
            raise ValueError(f"No files match {pattern!r}. Give a folder made by "
                             "style_transfer_create_dataset, or a pattern of its files.")
        found += matches
    return list(dict.fromkeys(found))


def _glob(pattern):
    if "://" not in pattern:
        if os.path.isdir(pattern):
            pattern = os.path.join(glob_lib.escape(pattern), f"*{SUFFIX}")
        return sorted(path for path in glob_lib.glob(pattern) if os.path.isfile(path))
    if not any(c in pattern for c in "*?[") and pattern.endswith(SUFFIX):
        return [pattern]  # not every remote file system can list
    has_wildcard = any(c in pattern for c in "*?[")
    return sorted(examples.remote_files().glob(
        pattern if has_wildcard else f"{pattern.rstrip('/')}/*{SUFFIX}"))


def _augmentation(augment):
    if isinstance(augment, Augmentation):
        return augment
    return Augmentation() if augment else None


def _check_positive(**values):
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be positive, got {value}.")


def _share(count, batch_size, context):
    """Places of the performances this pipeline takes, and its batch size."""
    if context is None or context.num_input_pipelines == 1:
        return np.arange(count), (
            batch_size if context is None else context.get_per_replica_batch_size(batch_size))
    share = np.arange(context.input_pipeline_id, count, context.num_input_pipelines)
    if not len(share):
        raise ValueError(f"There are {count} performances for {context.num_input_pipelines} "
                         "workers: each needs at least one.")
    return share, context.get_per_replica_batch_size(batch_size)


def _dataset(crops, share, batch_size, crops_per_example, shuffle, repeat, skip_batches,
             num_parallel_calls, prefetch, debug, is_sharded):
    import tensorflow as tf

    per_epoch = len(share) * crops_per_example
    places = tf.constant(share, tf.int64)
    names, signature = _signature(crops.settings, debug)

    def draw(step):
        epoch, position = step // per_epoch, step % per_epoch
        if shuffle:
            # A permutation by formula: no buffer, and any step can be the first.
            seed = tf.stack([tf.constant(crops.settings.seed, tf.int64), epoch])
            position = tf.random.experimental.index_shuffle(
                position, tf.cast(seed, tf.int32), tf.constant(per_epoch - 1, tf.int64))
        return places[position // crops_per_example], epoch, position % crops_per_example

    def make(place, epoch, repetition):
        x, y, origin = crops.make(int(place), int(epoch), int(repetition))
        values = {**x, "target": y, **origin}
        return [np.asarray(values[name], spec.dtype.as_numpy_dtype)
                if spec.dtype != tf.string else values[name].encode()
                for name, spec in zip(names, signature, strict=True)]

    @tf.autograph.experimental.do_not_convert
    def load(step):
        values = tf.numpy_function(make, draw(step), [spec.dtype for spec in signature])
        for value, spec in zip(values, signature, strict=True):
            value.set_shape(spec.shape)
        values = dict(zip(names, values, strict=True))
        origin = {name: values.pop(name) for name in list(values) if _is_origin(name)}
        y = values.pop("target")
        return (values, y, origin) if debug else (values, y)

    start = skip_batches * batch_size
    stop = np.iinfo(np.int64).max if repeat else max(start, per_epoch)
    dataset = tf.data.Dataset.range(start, stop)
    dataset = dataset.map(load, num_parallel_calls=num_parallel_calls, deterministic=True)
    dataset = dataset.batch(batch_size, drop_remainder=repeat).prefetch(prefetch)
    policy = tf.data.experimental.AutoShardPolicy
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = policy.OFF if is_sharded else policy.DATA
    return dataset.with_options(options)


def _is_origin(name):
    return name.startswith(("target_", "style_")) and name != "style_audio"


def _signature(settings, debug):
    """Names and `tf.TensorSpec`s of what one example consists of."""
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
        "target": (settings.crop_samples,),
    }
    specs = {name: tf.TensorSpec(shape, tf.int32 if name == "note_key" else tf.float32)
             for name, shape in shapes.items()}
    if debug:
        for part, field in itertools.product(("target", "style"), _DEBUG_TEXTS):
            specs[f"{part}_{field}"] = tf.TensorSpec((), tf.string)
        for part, field in itertools.product(("target", "style"), ("secs", "note_secs")):
            specs[f"{part}_{field}"] = tf.TensorSpec((2,), tf.float64)
    return list(specs), list(specs.values())


def count_examples(examples_path: str | Sequence[str], split: str | None = "train") -> int:
    """How many performances of a split there are; reads no audio."""
    return sum(split in (None, reference.split) for path in example_files(examples_path)
               for reference in examples.read_references(path))
