"""A `tf.data.Dataset` of examples made from performances that stay on disk.

An epoch is a permutation of performances that is computed, not stored, and a performance is a
place in a file: nothing but names and numbers is held of it, and of its audio only what an example
needs is read and decoded. Any step can be the first, at no cost.
"""

import glob as glob_lib
import os
from collections.abc import Callable, Sequence

import numpy as np

from style_transfer.pipelines.inputs.shares import Share
from style_transfer.pipelines.records import examples

SUFFIX = ".tfrecord"


def load_references(examples_path: str | Sequence[str], split: str | None,
                    sample_rate: int) -> tuple[list[examples.Reference], list[examples.Reference]]:
    """The performances of all splits and those of one.

    Args:
        examples_path: Folder with `.tfrecord` files, pattern or patterns (`*`; separated by commas
            or a sequence), paths or URLs.
        split: `train`, `eval` or `test`; None for all.
        sample_rate: Rate that the records must have, Hz.

    Raises:
        ValueError: There are no files, no examples or none of the split, or their rate is another.
    """
    references = [reference for path in example_files(examples_path)
                  for reference in examples.read_references(path)]
    if not references:
        raise ValueError(f"The files of {examples_path!r} hold no examples. Make them again with "
                         "style_transfer_create_dataset.")
    for reference in references:
        if reference.sample_rate != sample_rate:
            raise ValueError(
                f"The examples have a sample rate of {reference.sample_rate} Hz "
                f"({reference.path}) but the configuration expects {sample_rate} Hz. Make "
                f"them with --sample_rate={sample_rate}, or set the configuration's.")
    chosen = [r for r in references if split in (None, r.split)]
    if not chosen:
        present = ", ".join(sorted({r.split for r in references}))
        raise ValueError(f"There are no examples of the split {split!r} in {examples_path!r}: "
                         f"only {present}.")
    return references, chosen


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


def check_positive(**values):
    """Raises a ValueError that names the first value which is not above 0."""
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be positive, got {value}.")


def make_stream(
    make: Callable,
    specs,
    num_performances: int,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool,
    repeat: bool,
    crops_per_example: int = 1,
    skip_batches: int = 0,
    input_context=None,
    num_parallel_calls: int | None = None,
    prefetch: int = 2,
):
    """Batches of examples.

    Args:
        make: `(performance, epoch, repetition)`, three integers, to the arrays, numbers and texts
            of one example in the structure of `specs`.
        specs: Structure of `tf.TensorSpec`s.
        num_performances: The first argument of `make` is below it.
        batch_size: Global batch size. The last, smaller batch of a pass is dropped if `repeat`.
        seed: Of the order.
        shuffle: Whether each pass has another order.
        repeat: Whether passes follow each other for ever.
        crops_per_example: How many examples a pass takes of each performance.
        skip_batches: Begin where so many batches have been taken before.
        input_context: `tf.distribute.InputContext`: each of its pipelines makes its part of every
            batch, in batches of `batch_size / num_replicas_in_sync`; see `shares.Share`.
        num_parallel_calls: How many examples are made at once; all cores by default.
        prefetch: How many batches are made ahead.

    Raises:
        ValueError: The batch does not divide by the replicas.
    """
    import tensorflow as tf

    share = Share.of(batch_size, input_context)
    per_epoch = num_performances * crops_per_example
    signature = tf.nest.flatten(specs)

    def draw(number):
        place = share.place(number)
        epoch, position = place // per_epoch, place % per_epoch
        if shuffle:
            # A permutation by formula: no buffer, and any step can be the first.
            position = tf.random.experimental.index_shuffle(
                position, tf.cast(tf.stack([tf.constant(seed, tf.int64), epoch]), tf.int32),
                tf.constant(per_epoch - 1, tf.int64))
        return position // crops_per_example, epoch, position % crops_per_example

    def make_values(*drawn):
        values = tf.nest.flatten(make(*map(int, drawn)))
        return [value.encode() if spec.dtype == tf.string
                else np.asarray(value, spec.dtype.as_numpy_dtype)
                for value, spec in zip(values, signature, strict=True)]

    @tf.autograph.experimental.do_not_convert
    def load(number):
        values = tf.numpy_function(make_values, draw(number), [spec.dtype for spec in signature])
        for value, spec in zip(values, signature, strict=True):
            value.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(specs, values)

    start = skip_batches * share.size
    # Below the largest integer, so that places of several workers are too.
    stop = 2**62 // batch_size if repeat else max(start, share.count(per_epoch))
    dataset = tf.data.Dataset.range(start, stop).map(
        load, num_parallel_calls=num_parallel_calls or os.cpu_count() or 1, deterministic=True)
    dataset = dataset.batch(share.replica_size, drop_remainder=repeat).prefetch(prefetch)
    if repeat:
        # Strategies of several workers forget the size of batches of data that may end.
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(
            tf.data.experimental.INFINITE_CARDINALITY))
    policy = tf.data.experimental.AutoShardPolicy
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        policy.DATA if input_context is None else policy.OFF)
    return dataset.with_options(options)
