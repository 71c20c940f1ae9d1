"""Errors inside a graph that say what was given, what was expected, and what to do."""

import tensorflow as tf

MAX_TEMPERATURE = 100.0


def require(condition, *message):
    """Fails with INVALID_ARGUMENT unless `condition` holds.

    Args:
        condition: Scalar bool tensor.
        *message: Text and tensors, joined with spaces.

    Returns:
        An op; what must not run without the check takes it as a control dependency. Functions
        that are traced by `tf.function` run it in any case.
    """
    text = tf.strings.join([part if isinstance(part, str) else tf.strings.as_string(part)
                            for part in message], " ")
    return tf.debugging.Assert(condition, [text], summarize=1)


def require_temperature(temperature, above_zero=False):
    """Fails unless temperatures lie between 0 and `MAX_TEMPERATURE`; an op as `require`."""
    low = temperature > 0 if above_zero else temperature >= 0
    return require(tf.reduce_all(low & (temperature <= MAX_TEMPERATURE)),
                   "temperature must lie between 0"
                   f"{' (itself excluded)' * above_zero} and {MAX_TEMPERATURE:g}.")
