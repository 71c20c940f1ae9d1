"""Items of a request one after the other, and rows of different lengths together."""

import tensorflow as tf

from style_transfer.graph.checks import require


def each(function, batch, specs):
    """`function` of each item, one after the other: one item alone fills a machine.

    Args:
        function: From an item to tensors.
        batch: Tensors, batch first.
        specs: `TensorSpec`s of what it gives.
    """
    return tf.map_fn(function, batch, fn_output_signature=specs, parallel_iterations=1)


def padded_to_longest(waiting, spec):
    """Rows of different lengths as one tensor, padded with zeros.

    Args:
        waiting: What `tf.io.serialize_tensor` gave of each row, `[batch]`.
        spec: `TensorSpec` of a row, its length None.

    Returns:
        Shape `[batch, longest, ...]`.
    """
    def parsed(data):
        shape = [-1 if size is None else size for size in spec.shape.as_list()]
        return tf.reshape(tf.io.parse_tensor(data, spec.dtype), shape)

    lengths = each(lambda data: tf.shape(parsed(data))[0], waiting, tf.TensorSpec([], tf.int32))
    longest = tf.reduce_max(tf.concat([lengths, [0]], axis=0))

    def padded(data):
        row = parsed(data)
        missing = [[0, longest - tf.shape(row)[0]], *[[0, 0]] * (len(spec.shape) - 1)]
        return tf.pad(row, missing)

    return each(padded, waiting, spec)


def same_batch(first, *others):
    """Raises InvalidArgumentError unless all tensors have the same number of items."""
    sizes = tf.stack([tf.shape(value)[0] for value in others])
    require(tf.reduce_all(sizes == tf.shape(first)[0]), "All inputs of a request must have the "
            "same number of items, got", tf.shape(first)[0], "and",
            tf.strings.reduce_join(tf.strings.as_string(sizes), separator=", "), ".")


def named(functions):
    """Concrete functions whose inputs have the names that requests give.

    Args:
        functions: Dict of name to (function, dict of input name to `TensorSpec`).
    """
    return {name: tf.function(function, autograph=False).get_concrete_function(
                **{key: tf.TensorSpec(spec.shape, spec.dtype, name=key)
                   for key, spec in specs.items()})
            for name, (function, specs) in functions.items()}
