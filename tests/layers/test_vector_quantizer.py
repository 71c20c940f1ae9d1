import numpy as np
import pytest

from style_transfer.layers.vector_quantizer import VectorQuantizer, perplexity
from tests import model_case

CENTRES = np.array([[0, 0], [4, 0], [0, 4], [4, 4]], np.float32)


def points(seed, count=256):
    rng = np.random.default_rng(seed)
    near = CENTRES[rng.integers(4, size=count)] + rng.normal(0, 0.1, (count, 2))
    return near[None].astype(np.float32)


def test_vector_quantizer(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
    model_case.check_layer(
        VectorQuantizer, {"num_codebooks": 2, "num_codes": 4}, (x,), (2, 5, 6),
        {"num_codebooks": 3, "num_codes": 5, "commitment": 0.5, "decay": 0.9, "dead_share": 0.1,
         "seed": 1}, tmp_path)


def test_codebooks_find_clusters_and_all_codes_are_used():
    layer = VectorQuantizer(num_codes=16, decay=0.9, seed=3)
    for seed in range(60):
        layer(points(seed), training=True)
    book = np.asarray(layer.codebooks)[0]
    nearest = np.abs(book[:, None] - CENTRES).sum(-1).min(0)
    assert (nearest < 0.3).all(), "every cluster has an entry near its middle"
    codes = np.asarray(layer.codes(points(99)))
    assert perplexity(np.bincount(codes.ravel(), minlength=16)) > 8
    np.testing.assert_allclose(layer.decode(codes), layer(points(99)), atol=1e-5)
    np.testing.assert_allclose(layer.decode(codes), points(99), atol=0.5)


def test_the_first_training_step_takes_entries_from_the_batch_and_others_leave_them():
    layer, x = VectorQuantizer(num_codes=8), points(0)
    layer(x)
    before = np.asarray(layer.codebooks)
    layer(x)
    np.testing.assert_array_equal(layer.codebooks, before)
    layer(x, training=True)
    distance = np.abs(np.asarray(layer.codebooks)[0][:, None] - x[0]).sum(-1).min(1)
    assert (distance < 1e-6).all()


def test_dead_entries_start_again_where_vectors_are():
    layer = VectorQuantizer(num_codes=4, decay=0.5, dead_share=0.1)
    layer.build((None, None, 2))
    layer.codebooks.assign(np.array([[[0, 0], [4, 0], [0, 4], [900, 900]]], np.float32))
    layer.counts.assign(np.full((1, 4), 64, np.float32))
    for seed in range(8):
        layer(points(seed), training=True)
    assert np.abs(np.asarray(layer.codebooks)).max() < 5


def test_gradients_pass_straight_through_and_commitment_draws_to_entries():
    tf = pytest.importorskip("tensorflow")
    layer = VectorQuantizer(num_codes=4, commitment=0.5)
    x = tf.constant(points(0, 8))
    layer(x, training=True)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        out = tf.reduce_sum(3 * layer(x))
        extra = layer.losses[0]
    np.testing.assert_allclose(tape.gradient(out, x), np.full(x.shape, 3.0), atol=1e-6)
    expected = 0.5 * 2 * (x - layer.decode(layer.codes(x))) / tf.size(x, tf.float32)
    np.testing.assert_allclose(tape.gradient(extra, x), expected, atol=1e-6)


def test_vectors_that_do_not_divide_are_an_error():
    with pytest.raises(ValueError, match="7 values do not divide into num_codebooks=2"):
        VectorQuantizer(num_codebooks=2).build((None, None, 7))


def test_perplexity_counts_what_is_used():
    np.testing.assert_allclose(perplexity(np.array([[5, 5, 0, 0], [1, 1, 1, 1], [3, 0, 0, 0]])),
                               [2, 4, 1], rtol=1e-6)
