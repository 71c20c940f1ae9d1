"""The loop of an LSTM has the gradients that going back through its steps gives."""

import numpy as np
import pytest
from keras import ops

from style_transfer.layers import recurrence
from tests.layers.automatic import gradients

STEPS, BATCH, UNITS = 7, 3, 5


def arrays(rng):
    shapes = [(STEPS, BATCH, 4 * UNITS), (UNITS, 4 * UNITS), (BATCH, UNITS), (BATCH, UNITS)]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients_equal_those_of_the_plain_loop(reverse, masked):
    rng = np.random.default_rng(0)
    values = arrays(rng)
    keep = (np.arange(STEPS)[:, None] < [7, 3, 5])[..., None].astype(np.float32)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in (
        (STEPS, BATCH, UNITS), (BATCH, UNITS), (BATCH, UNITS))]

    def total(found):
        return sum(ops.sum(w * ops.sin(x)) for w, x in zip(weights, found, strict=True))

    def ours(*values):
        return total(recurrence.recur(*values, keep if masked else None, reverse))

    def plain(*values):
        outputs, _, _, last = recurrence._forward(*values, (keep,) if masked else (), reverse)
        return total((outputs, *last))

    assert float(ours(*values)) == pytest.approx(float(plain(*values)), rel=1e-6)
    for found, expected in zip(gradients(ours, values), gradients(plain, values), strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_what_follows_the_last_step_of_a_sequence_changes_nothing():
    values = arrays(np.random.default_rng(1))
    other = [values[0].copy(), *values[1:]]
    other[0][4:] += 1.0
    keep = np.ones((STEPS, BATCH, 1), np.float32)
    keep[4:] = 0
    for once, again in zip(recurrence.recur(*values, keep), recurrence.recur(*other, keep),
                           strict=True):
        np.testing.assert_array_equal(np.asarray(once), np.asarray(again))
