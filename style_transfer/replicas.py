"""What the devices that share a batch do together, so that they train the model that one would.

A step of training splits its batch among replicas (`tf.distribute`), in order and evenly. Whatever
depends on more than an example by itself is made of the whole batch here: means, statistics, random
numbers. On one device, on other backends and outside of a training step, a batch is all there is.
Everything is differentiable, for a loss that is summed over the replicas.
"""

import contextlib
import threading

import keras
from keras import ops


def _context():
    """The context of one of several replicas, or None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    return None if replica is None or replica.num_replicas_in_sync == 1 else replica


def count() -> int:
    """How many replicas share the batch."""
    replica = _context()
    return 1 if replica is None else replica.num_replicas_in_sync


def place() -> int:
    """Which of them this one is, from 0; its examples follow those of the ones before it."""
    replica = _context()
    return 0 if replica is None else replica.replica_id_in_sync_group


class ApartError(ValueError):
    """Replicas that XLA keeps apart were to exchange something."""


@contextlib.contextmanager
def apart():
    """Within, which XLA compiles, replicas cannot exchange anything: what would is an error."""
    _state.is_apart = True
    try:
        yield
    finally:
        _state.is_apart = False


_state = threading.local()  # a strategy traces each of its replicas in a thread


def total(value):
    """Sum of the replicas' values: a tensor, or a list of tensors (which is faster).

    Raises:
        ApartError: They are `apart`.
    """
    replica = _context()
    if replica is not None and getattr(_state, "is_apart", False):
        raise ApartError("Replicas are apart.")
    return value if replica is None else replica.all_reduce("SUM", value)


def mean(value):
    """Mean of the replicas' values, a tensor."""
    replicas = count()
    return value if replicas == 1 else total(value) / replicas


def moments(x, axes):
    """Mean and variance over `axes` of the whole batch, the batch among them; float32."""
    x = ops.cast(x, "float32")
    if count() == 1:
        return ops.moments(x, axes)
    middle = mean(ops.mean(x, axis=axes, keepdims=True))
    variance = mean(ops.mean(ops.square(x - middle), axis=axes))
    return ops.squeeze(middle, axes), variance


def whole(value):
    """The whole batch `[batch * replicas, ...]` of which `value` `[batch, ...]` is a part."""
    replica = _context()
    if replica is None:
        return value
    rest = [(0, 0)] * (len(value.shape) - 1)
    size = ops.shape(value)[0]
    after = (replica.num_replicas_in_sync - 1 - place()) * size
    return total(ops.pad(value, [(place() * size, after), *rest]))


def own(value):
    """This replica's part `[batch, ...]` of what is known of a whole batch."""
    replicas = count()
    if replicas == 1:
        return value
    size = ops.shape(value)[0] // replicas
    return value[place() * size:][:size]


def uniform(shape, minval=0.0, maxval=1.0, *, seed):
    """`keras.random.uniform`, `[batch, ...]`, of the numbers that one device would draw."""
    return own(keras.random.uniform(_of_all(shape), minval, maxval, seed=seed))


def normal(shape, *, seed):
    """`keras.random.normal`, `[batch, ...]`, of the numbers that one device would draw."""
    return own(keras.random.normal(_of_all(shape), seed=seed))


def _of_all(shape):
    return (shape[0] * count(), *shape[1:])
