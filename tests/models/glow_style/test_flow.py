"""Invertibility, and log-determinants against automatic differentiation."""

import numpy as np
import pytest

from style_transfer.models.glow_style import flow
from tests import model_case

STEPS, WIDTH = 3, 6


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def shaken(layer, by):
    """The layer with weights that are not those it begins with."""
    for i, weight in enumerate(layer.trainable_variables):
        weight.assign(np.asarray(weight) + by * values(*weight.shape, seed=i))
    return layer


def check_log_det(forward, x, log_det):
    """`log_det` against the determinant of the Jacobian of each clip."""
    tf = pytest.importorskip("tensorflow")
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = forward(x)
    jacobian = tape.batch_jacobian(y, x, experimental_use_pfor=False)
    size = int(np.prod(x.shape[1:]))
    found = np.linalg.slogdet(np.reshape(jacobian.numpy(), (-1, size, size)).astype(np.float64))[1]
    assert np.abs(found).min() > 0.1, "nothing would be tested"
    np.testing.assert_allclose(log_det, found, rtol=1e-3, atol=1e-3)


def check(layer, *told, by=0.3):
    x = values(2, STEPS, WIDTH, seed=9)
    layer(x, *told)
    y, log_det = shaken(layer, by)(x, *told)
    assert np.abs(np.asarray(y) - x).max() > 0.1
    np.testing.assert_allclose(layer.inverse(y, *told), x, atol=2e-5)
    check_log_det(lambda x: layer(x, *told)[0], x, log_det)


def test_act_norm_is_inverted_and_knows_its_determinant():
    check(flow.ActNorm())


@pytest.mark.parametrize("convolution", flow.CONVOLUTIONS)
def test_invertible_convolutions_are_inverted_and_know_their_determinant(convolution):
    check(flow.InvertibleConvolution(convolution, seed=4), by=0.3 / flow.PACE)


def test_couplings_are_inverted_and_know_their_determinant():
    check(flow.AffineCoupling(width=4, num_layers=2), values(2, STEPS, 5, seed=1),
          values(2, 4, seed=2))


def test_both_convolutions_begin_as_the_same_rotation():
    lu, plain = (flow.InvertibleConvolution(name, seed=3) for name in flow.CONVOLUTIONS)
    for layer in (lu, plain):
        layer.build((None, None, WIDTH))
    np.testing.assert_allclose(lu.matrix(), plain.matrix(), atol=1e-6)
    np.testing.assert_allclose(np.asarray(lu.matrix()) @ np.asarray(lu.matrix()).T, np.eye(WIDTH),
                               atol=1e-6)


def test_the_first_batch_is_normalized_and_later_ones_with_it():
    layer = flow.ActNorm()
    first, later = 5 + 3 * values(4, 50, WIDTH), 7 + values(4, 50, WIDTH, seed=1)
    y = np.asarray(layer(first, training=True)[0])
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(y.std((0, 1)), 1, atol=1e-3)
    expected = (later - first.mean((0, 1))) / first.std((0, 1))
    for training in (True, False):
        np.testing.assert_allclose(layer(later, training=training)[0], expected, atol=1e-4)


def test_squeeze_puts_neighbours_side_by_side():
    x = values(2, 4, 3)
    y = np.asarray(flow.squeeze(x))
    np.testing.assert_array_equal(y[:, 1], np.concatenate([x[:, 2], x[:, 3]], axis=-1))
    np.testing.assert_array_equal(flow.unsqueeze(y), x)


def test_an_unknown_convolution_is_an_error():
    with pytest.raises(ValueError, match="'qr' is unknown; choose one of lu, plain"):
        flow.InvertibleConvolution("qr")


def test_invertible_convolution(tmp_path):
    model_case.check_layer(
        flow.InvertibleConvolution, {}, (values(2, STEPS, WIDTH),), ((2, STEPS, WIDTH), (2,)),
        {"convolution": "plain", "seed": 1}, tmp_path)


def test_affine_coupling_keeps_its_arguments():
    model_case.check_config(flow.AffineCoupling, {}, {"width": 4, "num_layers": 3})
