"""Functions of a model that run many small operations, made into one."""

import functools

import keras


@functools.lru_cache(8)
def compiled(function):
    """A function, compiled where the backend can without a model around it.

    Args:
        function: Of tensors, such as a model's method; kept with what it belongs to as long as it
            is among the last asked for.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False)
