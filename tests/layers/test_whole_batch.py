import keras
import numpy as np
import pytest

from style_transfer.layers import whole_batch


@pytest.mark.parametrize("padding, dilation", [("same", (1, 1)), ("same", (4, 1)), ("valid", 1)])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_a_convolution_and_its_normalization_are_one_pass_with_the_same_result(padding, dilation,
                                                                               options):
    rng = np.random.default_rng(0)
    convolution = keras.layers.Conv2D(5, (3, 1), padding=padding, dilation_rate=dilation,
                                      use_bias=False)
    norm = whole_batch.BatchNormalization(**options)
    x = rng.normal(size=(2, 9, 4, 3)).astype(np.float32)
    norm(convolution(x))
    for weight in norm.weights:
        weight.assign(rng.uniform(0.5, 2.0, weight.shape))
    np.testing.assert_allclose(norm.of_convolution(convolution, x), norm(convolution(x)),
                               rtol=1e-5, atol=1e-5)


def test_in_training_the_normalization_takes_its_moments_from_the_batch():
    convolution = keras.layers.Conv1D(4, 3, padding="same", use_bias=False)
    norm = whole_batch.BatchNormalization()
    x = 5.0 + np.random.default_rng(1).normal(size=(8, 50, 2)).astype(np.float32)
    found = keras.ops.convert_to_numpy(norm.of_convolution(convolution, x, training=True))
    np.testing.assert_allclose(found.mean((0, 1)), 0.0, atol=1e-4)
    np.testing.assert_allclose(found.std((0, 1)), 1.0, atol=1e-2)
    assert np.abs(keras.ops.convert_to_numpy(norm.moving_mean)).max() > 0
