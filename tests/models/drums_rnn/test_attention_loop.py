"""The loop with attention has the gradients of its plain steps, and does not run away."""

import keras
import numpy as np
import pytest
from keras import ops

from style_transfer.models.drums_rnn import attention_loop
from style_transfer.models.drums_rnn.attention_loop import AttentionState, AttentionWeights
from style_transfer.models.drums_rnn.attention_lstm import AttentionLstm
from tests.layers.automatic import gradients

BATCH, UNITS, LENGTH = 3, 5, 4
STATE = [(BATCH, UNITS)] * 3 + [(LENGTH, BATCH, UNITS)] * 2
WEIGHTS = [(2 * UNITS, 4 * UNITS), (2 * UNITS, UNITS), (UNITS,), (UNITS,), (2 * UNITS, UNITS),
           (UNITS,), (UNITS, UNITS)]


def plain(gates, state, weights):
    """All steps as `attend` has them, one after the other, and no gradient of its own."""
    results = []
    for step in range(gates.shape[1]):
        result, state, _ = attention_loop.attend(gates[:, step], state, weights)
        results.append(result)
    return ops.stack(results, axis=1), state


@pytest.mark.parametrize("steps", [1, 11])
def test_results_state_and_gradients_equal_those_of_the_plain_steps(steps):
    rng = np.random.default_rng(0)
    shapes = [(BATCH, steps, 4 * UNITS), *STATE, *WEIGHTS]
    values = [rng.normal(size=shape).astype(np.float32) / 2 for shape in shapes]
    mixed = [rng.normal(size=shape).astype(np.float32)
             for shape in ((BATCH, steps, UNITS), *STATE)]

    def total(loop, gates, *rest):
        results, state = loop(gates, AttentionState(*rest[:5]), AttentionWeights(*rest[5:]))
        return sum(ops.sum(weight * ops.sin(x))
                   for weight, x in zip(mixed, (results, *state), strict=True))

    pairs = [(lambda *v, loop=loop: total(loop, *v)) for loop in (attention_loop.attend_all, plain)]
    found, expected = (float(function(*values)) for function in pairs)
    assert found == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(*(gradients(function, values) for function in pairs), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-3, atol=1e-5)


def test_what_is_heard_of_the_history_does_not_grow_in_a_new_model():
    """Where it did, training on more steps than a few bars diverged."""
    keras.utils.set_random_seed(0)
    layer = AttentionLstm(64, attn_length=4)
    layer.build((None, None, 18))
    *lstm, history = layer.initial_state(1)
    inputs = np.zeros((1, 100, 18), np.float32)
    outputs = np.abs(np.asarray(layer(inputs, state=(*lstm, history + 100.0))[0])[0]).max(axis=-1)
    assert outputs[:4].max() > 50.0
    assert outputs[-4:].max() < 10.0
