"""A function's value and gradient for optimizers that are not Keras's, on the backends we have."""

import keras
import numpy as np
from keras import ops


def value_and_gradient(function):
    """Compiles a function with its gradient by the first argument.

    Args:
        function: Of tensors to a scalar, in `keras.ops`.

    Returns:
        A function of arrays of the same shapes that gives the value, a float, and the gradient,
        float32 of the first argument's shape.

    Raises:
        NotImplementedError: Keras runs on another backend than TensorFlow and JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        both = _by_tensorflow(function)
    elif backend == "jax":
        import jax

        both = jax.jit(jax.value_and_grad(function))
    else:
        raise NotImplementedError(f"Gradients are taken on TensorFlow and JAX, not on {backend}.")

    def numbers(first, *others):
        value, gradient = both(ops.convert_to_tensor(np.asarray(first, np.float32)), *others)
        return float(value), ops.convert_to_numpy(gradient)

    return numbers


def _by_tensorflow(function):
    import tensorflow as tf

    @tf.function
    def both(first, *others):
        with tf.GradientTape() as tape:
            tape.watch(first)
            value = function(first, *others)
        return value, tape.gradient(value, first)

    return both
