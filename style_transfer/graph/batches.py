"""Items of a request one after the other, and rows of different lengths together."""

import tensorflow as tf

from style_transfer.graph.checks import require


def each(function, batch, specs):
    """`function` of each item, one after the other: one item alone fills a machine.

    Args:
        function: From an item to tensors.
        batch: Tensors, batch first.
        specs: `TensorSpec`s or `rows` of what it gives.
    """
    return tf.map_fn(function, batch, fn_output_signature=specs, parallel_iterations=1)


def rows(*shape, dtype=tf.float32):
    """The spec by which `each` gives rows of different lengths, as ragged tensors.

    Args:
        *shape: Of what stands in a row.
        dtype: Likewise.
    """
    return tf.RaggedTensorSpec([None, *shape], dtype, ragged_rank=0)


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
