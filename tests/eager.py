"""Training of a few steps without graphs, which take longer to make than such steps do."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def eagerly():
    """Has TensorFlow's functions run as Python, step by step, within it."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
