"""Gradients that the backend finds, to compare those of our own with."""

import keras
from keras import ops


def gradients(function, values):
    """Gradients of a scalar function with respect to each of its arrays."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(lambda values: function(*values))([ops.convert_to_tensor(v)
                                                           for v in values])
    import tensorflow as tf

    variables = [tf.Variable(value) for value in values]
    with tf.GradientTape() as tape:
        result = function(*(v + 0.0 for v in variables))
    return tape.gradient(result, variables)
