"""Batches from any source: `tf.data`, or a Python iterable of NumPy arrays."""

import itertools

import keras
import numpy as np
from keras import tree


class PeekableBatches:
    """A Python iterable whose first batch can be looked at without losing it.

    Args:
        batches: Iterable of `(x, y)` of NumPy arrays.
    """

    def __init__(self, batches):
        self._batches = iter(batches)

    def peek(self):
        """The next batch.

        Raises:
            ValueError: There is none.
        """
        first = next(self._batches, None)
        if first is None:
            raise ValueError("There are no training examples.")
        self._batches = itertools.chain([first], self._batches)
        return first

    def __iter__(self):
        return self._batches


def as_batches(data):
    """`data` itself if it is a `tf.data.Dataset`, else as `PeekableBatches`."""
    return data if hasattr(data, "element_spec") else PeekableBatches(data)


def as_dataset(data):
    """`data` as a `tf.data.Dataset`, which strategies take; batches of a kind are of one size."""
    if hasattr(data, "element_spec"):
        return data
    import tensorflow as tf

    first = data.peek()

    def spec(value):
        value = np.asarray(value)
        return tf.TensorSpec(value.shape, value.dtype)

    dataset = tf.data.Dataset.from_generator(
        lambda: data, output_signature=tree.map_structure(spec, first))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def for_fit(data):
    """What `keras.Model.fit` takes: a dataset or a generator."""
    return data if hasattr(data, "element_spec") else (batch for batch in data)


def batch_spec(data):
    """Symbolic batch `(x, y)` with the shapes of the data.

    Args:
        data: From `as_batches`.

    Raises:
        ValueError: There are no data.
    """
    def spec(value):
        batch, *shape = value.shape
        dtype = getattr(value.dtype, "name", None) or str(value.dtype)
        return keras.KerasTensor(shape=(batch or 1, *shape), dtype=dtype)

    if not hasattr(data, "element_spec"):
        return tree.map_structure(spec, data.peek())
    return tree.map_structure(spec, data.element_spec)
