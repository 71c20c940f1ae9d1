"""What every layer, model and loss must do, in one call each.

Shapes, one training step, a `.keras` file that gives the same outputs, and each argument of the
constructor changed and read back. `tests/test_model_case.py` makes sure that no class is left out.
"""

import inspect
import json

import keras
import numpy as np
from keras import ops, tree

LEARNING_RATE = 1e-3


def check_config(cls, arguments, changes):
    """Each argument of a constructor survives `get_config`, JSON and `from_config`.

    Args:
        cls: A class that Keras can serialize.
        arguments: Those it is made with.
        changes: Another value of every other argument by name; a dict of values where others must
            change with it.
    """
    parameters = inspect.signature(cls).parameters
    own = {name for name, p in parameters.items() if name != "name" and p.kind != p.VAR_KEYWORD}
    assert own == set(changes), "changes must name every argument of the constructor"
    if "name" in parameters or "kwargs" in parameters:
        arguments, changes = {"name": "one", **arguments}, {"name": "other", **changes}
    before = _copied(cls(**arguments)).get_config()
    for name, change in changes.items():
        values = change if isinstance(change, dict) else {name: change}
        changed = cls(**{**arguments, **values})
        # Making a model takes a tenth of a second, and Keras hands plain values on as they are.
        is_handed_on = "from_config" not in vars(cls) and _is_plain(values)
        config = (changed if is_handed_on else _copied(changed)).get_config()
        assert name in config, f"get_config of {cls.__name__} leaves out {name}"
        assert _plain(config[name]) == _plain(values[name]), name
        assert _plain(before.get(name)) != _plain(values[name]), f"{name} is not another value"
        others = {key for key in before if _plain(before[key]) != _plain(config.get(key))}
        assert others == set(values), f"{name} changes {others}"


def check_layer(cls, arguments, inputs, shapes, changes, folder):
    """Holds a layer to all that is said above.

    Args:
        cls: The layer's class.
        arguments: What it is made with; small.
        inputs: What it is called with, a tuple of arrays or dicts of arrays.
        shapes: Expected shape of its output, or a structure of shapes like it.
        changes: See `check_config`.
        folder: Where files may be written.
    """
    check_config(cls, arguments, changes)
    keras.utils.set_random_seed(0)
    tensors = tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype.name), inputs)
    _check(keras.Model(tensors, cls(**arguments)(*tensors)), inputs, shapes, None, folder)


def check_model(cls, arguments, x, shapes, changes, folder, loss=None):
    """Holds a model to all that is said above.

    Args:
        cls: The model's class.
        arguments: What it is made with; small.
        x: Its inputs.
        shapes: Expected shape of its output, or a structure of shapes like it.
        changes: See `check_config`.
        folder: Where files may be written.
        loss: Function of its output; None takes the mean of squares.
    """
    check_config(cls, arguments, changes)
    keras.utils.set_random_seed(0)
    model = cls(**arguments)
    model.build(None)
    _check(model, x, shapes, loss, folder)
    assert _plain(keras.saving.load_model(folder / "model.keras").get_config()) == _plain(
        model.get_config())


def check_loss(cls, arguments, y_true, y_pred, changes, silent=()):
    """Holds a loss to its configuration, one finite value a clip, gradients, and each argument.

    Args:
        cls: The loss's class.
        arguments: What it is made with.
        y_true: Targets, `[batch, ...]` or a structure of such.
        y_pred: Predictions, likewise.
        changes: See `check_config`.
        silent: Arguments whose change leaves the value as it is.
    """
    check_config(cls, arguments, changes)
    loss = cls(**arguments)
    values = ops.convert_to_numpy(loss.call(y_true, y_pred))
    assert values.shape == (len(tree.flatten(y_true)[0]),) and np.isfinite(values).all()
    np.testing.assert_allclose(_copied(loss).call(y_true, y_pred), values, rtol=1e-6)
    for name, change in changes.items():
        values_of = change if isinstance(change, dict) else {name: change}
        changed = cls(**{**arguments, **values_of}).call(y_true, y_pred)
        is_same = np.allclose(changed, values, rtol=1e-6)
        assert is_same == (name in silent), f"{name} {'does not count' if is_same else 'counts'}"
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    watched = tree.map_structure(tf.convert_to_tensor, y_pred)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = loss(y_true, watched)
    found = [g for g in tape.gradient(value, tree.flatten(watched)) if g is not None]
    assert found and all(np.isfinite(g).all() for g in found)
    assert any(np.abs(g).max() > 0 for g in found)


def _check(model, x, shapes, loss, folder):
    outputs = _arrays(model(x))
    assert _plain(tree.map_structure(lambda value: list(value.shape), outputs)) == _plain(shapes)
    assert all(np.isfinite(value).all() for value in tree.flatten(outputs))
    model.save(folder / "model.keras")
    again = _arrays(keras.saving.load_model(folder / "model.keras")(x))
    for one, other in zip(tree.flatten(again), tree.flatten(outputs), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    if model.trainable_variables and keras.backend.backend() == "tensorflow":
        _check_step(model, x, loss or _mean_square)


def _check_step(model, x, loss):
    import tensorflow as tf

    @tf.function(autograph=False)
    def gradients_of():
        with tf.GradientTape() as tape:
            value = loss(model(x, training=True))
        return tape.gradient(value, model.trainable_variables)

    gradients = gradients_of()
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, f"{variable.path} has no gradient"
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.path
    before = [np.array(v) for v in model.trainable_variables]
    keras.optimizers.Adam(LEARNING_RATE).apply(gradients, model.trainable_variables)
    moved = [np.abs(np.array(v) - b).max() for v, b in
             zip(model.trainable_variables, before, strict=True)]
    assert np.isfinite(moved).all() and max(moved) > 0.1 * LEARNING_RATE


def _mean_square(outputs):
    return sum(ops.mean(ops.square(ops.cast(value, "float32"))) for value in tree.flatten(outputs))


def _arrays(outputs):
    return tree.map_structure(ops.convert_to_numpy, outputs)


def _copied(thing):
    """By way of the text that files hold."""
    text = json.dumps(keras.saving.serialize_keras_object(thing))
    return keras.saving.deserialize_keras_object(json.loads(text))


def _is_plain(value):
    if isinstance(value, dict | list | tuple):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return value is None or isinstance(value, bool | int | float | str)


def _plain(value):
    """In JSON's types, so that tuples equal lists and initializers their configs."""
    return json.loads(json.dumps(value, default=keras.saving.serialize_keras_object))
