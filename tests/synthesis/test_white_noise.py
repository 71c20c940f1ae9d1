"""White noise by index: normal, uncorrelated, the same in NumPy and in a graph."""

import numpy as np
import pytest
import scipy.stats

from style_transfer.graph import arrays
from style_transfer.synthesis import white_noise

SHAPE = (64, 256)


def test_it_is_standard_normal():
    values = np.concatenate([white_noise.block(0, i, SHAPE).ravel() for i in range(20)])
    assert scipy.stats.kstest(values, "norm").pvalue > 1e-3
    assert np.abs(values).max() < 6


def test_its_spectrum_is_flat_also_across_blocks():
    values = np.concatenate([white_noise.block(3, i, SHAPE).ravel() for i in range(40)])
    power = np.mean(np.abs(np.fft.rfft(values.reshape(-1, 512))) ** 2, axis=0)[1:-1] / 512
    assert np.abs(power - 1).max() < 0.2
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01


@pytest.mark.parametrize("other", [(0, 1), (1, 0), (2**40, 0)])
def test_blocks_and_seeds_differ_and_come_again(other):
    first = white_noise.block(0, 0, SHAPE)
    np.testing.assert_array_equal(first, white_noise.block(0, 0, SHAPE))
    assert abs(np.corrcoef(first.ravel(), white_noise.block(*other, SHAPE).ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("index", [0, 7, 100_000])
def test_a_graph_makes_the_same(index):
    import tensorflow as tf

    made = tf.function(lambda i: white_noise.block(5, i, SHAPE, arrays), autograph=False)(
        tf.constant(index))
    np.testing.assert_allclose(made, white_noise.block(5, index, SHAPE), atol=2e-6)
