"""Functions of a model that run many small operations, made into one."""

import atexit
import functools


def kept(maxsize):
    """`functools.lru_cache` of functions that were compiled.

    Emptied before Python's end: TensorFlow's functions cannot be freed when it is half gone.
    """
    def decorate(function):
        cached = functools.lru_cache(maxsize)(function)
        atexit.register(cached.cache_clear)
        return cached
    return decorate


@kept(8)
def compiled(function):
    """A function, compiled where the backend can without a model around it.

    Args:
        function: Of tensors, such as a model's method; kept with what it belongs to as long as it
            is among the last asked for.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False)
