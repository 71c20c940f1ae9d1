import numpy as np
import pytest
from keras import ops

from style_transfer.models.wavenet import mixtures


def levels(count):
    return np.linspace(-1, 1, count).astype(np.float32)


def mixture(logits, means, scales):
    return np.concatenate([logits, means, np.log(scales)]).astype(np.float32)


MIXTURES = {
    "narrow": mixture([0, 1, -1], [-0.5, 0.0, 0.7], [2e-4, 1e-3, 5e-2]),
    "beyond the ends": mixture([0, 0.5, 0], [-1.2, 1.0, 3.0], [0.1, 0.01, 0.5]),
    "wide": mixture([2, 0, 0], [0.0, 0.2, -0.9], [1.0, 3.0, 10.0]),
}


def probabilities(parameters, count):
    repeated = np.repeat(parameters[None], count, axis=0)
    return np.exp(np.asarray(mixtures.logistic_log_prob(levels(count), repeated, count), float))


def exact_probabilities(parameters, count):
    """From the definition, in float64: differences of the mixture's distribution function."""
    logits, means, log_scales = parameters.astype(np.float64).reshape(3, -1)
    weights = np.exp(logits) / np.exp(logits).sum()
    edges = (np.linspace(-1, 1, count)[1:] - 1 / (count - 1))[:, None]
    position = np.clip((edges - means) / np.exp(log_scales), -500, 500)
    below = (weights / (1 + np.exp(-position))).sum(axis=1)
    return np.diff(np.concatenate([[0], below, [1]]))


@pytest.mark.parametrize("count", [256, 65_536])
@pytest.mark.parametrize("name", MIXTURES)
def test_probabilities_of_all_levels_sum_to_one(name, count):
    assert probabilities(MIXTURES[name], count).sum() == pytest.approx(1, abs=2e-5)


@pytest.mark.parametrize("name", MIXTURES)
def test_probabilities_are_the_distribution_functions_differences(name):
    found, exact = probabilities(MIXTURES[name], 256), exact_probabilities(MIXTURES[name], 256)
    assert np.allclose(found, exact, rtol=1e-3, atol=1e-9)


def test_an_end_stands_for_everything_beyond_it():
    parameters = mixture([0.0], [5.0], [0.1])[None]
    assert float(mixtures.logistic_log_prob(np.ones(1, "f"), parameters)[0]) == pytest.approx(0)
    parameters = mixture([0.0], [-1.0], [0.01])[None]
    ends = [float(mixtures.logistic_log_prob(np.array([end], "f"), parameters)[0])
            for end in (-1, 1)]
    half_level = 1 / 65_535
    assert ends[0] == pytest.approx(np.log(1 / (1 + np.exp(-half_level / 0.01))), abs=1e-5)
    assert ends[1] == pytest.approx(-200, rel=1e-3)


def test_mixture_weights_are_summed_over_mixtures_not_samples():
    one = np.repeat(mixture([0.0], [0.1], [0.01])[None], 5, axis=0)
    two = np.repeat(mixture([0.0, -30.0], [0.1, 0.9], [0.01, 0.01])[None], 5, axis=0)
    audio = np.linspace(0, 0.2, 5).astype(np.float32)
    assert np.allclose(mixtures.logistic_log_prob(audio, one),
                       mixtures.logistic_log_prob(audio, two), atol=1e-5)


def test_gradients_are_finite_for_extreme_parameters():
    import tensorflow as tf

    values = np.array([-1e6, -1e3, -30, 0, 30, 1e3, 1e6], np.float32)
    logits, mean, log_scale, audio = (grid.ravel() for grid in np.meshgrid(
        [-50.0, 50.0], values, values, [-1.0, -0.3, 1.0]))
    parameters = tf.Variable(np.stack([logits, 0 * mean, mean, mean / 2, log_scale, log_scale],
                                      axis=-1).astype(np.float32))
    with tf.GradientTape() as tape:
        log_prob = mixtures.logistic_log_prob(audio.astype(np.float32), parameters)
    gradient = tape.gradient(log_prob, parameters).numpy()
    assert np.isfinite(log_prob).all() and np.isfinite(gradient).all()
    assert np.abs(gradient[:, 2:4]).max() > 0


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("count", [64, 65_536])
def test_moments_of_samples_are_the_distributions(name, count):
    draws = 200_000
    rng = np.random.default_rng(0)
    parameters = np.repeat(MIXTURES[name][None], draws, axis=0)
    samples = np.asarray(mixtures.logistic_sample(
        parameters, rng.uniform(size=(draws, 2)).astype(np.float32), num_levels=count), float)
    exact = exact_probabilities(MIXTURES[name], count)
    mean = (exact * np.linspace(-1, 1, count)).sum()
    variance = (exact * (np.linspace(-1, 1, count) - mean) ** 2).sum()
    assert samples.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / draws))
    assert samples.var() == pytest.approx(variance, rel=0.03)
    assert np.allclose(mixtures.quantize(samples.astype("f"), count), samples, atol=1e-7)


def test_temperature_narrows_and_zero_takes_the_likeliest_mean():
    rng = np.random.default_rng(0)
    parameters = np.repeat(mixture([0.0, 1.0], [0.5, -0.25], [0.05, 0.05])[None], 5000, axis=0)
    uniforms = rng.uniform(size=(5000, 2)).astype(np.float32)
    spread = [np.std(mixtures.logistic_sample(parameters, uniforms, t)) for t in (0.5, 1.0)]
    assert spread[0] < 0.95 * spread[1]
    assert np.allclose(mixtures.logistic_sample(parameters, uniforms, 0.0), -0.25, atol=2e-5)


def test_the_narrowest_logistic_is_drawn_without_noise():
    rng = np.random.default_rng(0)
    uniforms = rng.uniform(size=(5000, 2)).astype(np.float32)

    def spread(log_scale):
        one = np.array([[0.0, 0.25, log_scale]], np.float32)
        return np.std(mixtures.logistic_sample(np.repeat(one, 5000, axis=0), uniforms))

    assert spread(mixtures.MIN_LOG_SCALE - 1) == 0
    wide = mixtures.MIN_LOG_SCALE + 2
    assert spread(wide) == pytest.approx(np.pi / np.sqrt(3) * np.exp(wide), rel=0.03)


def test_expected_audio_is_the_mean_of_samples():
    rng = np.random.default_rng(0)
    parameters = np.repeat(MIXTURES["narrow"][None], 100_000, axis=0)
    samples = mixtures.logistic_sample(parameters, rng.uniform(size=(100_000, 2)).astype("f"))
    assert np.mean(samples) == pytest.approx(float(mixtures.logistic_mean(parameters[0])), abs=5e-3)


def test_mu_law_round_trip():
    classes = np.arange(256)
    assert np.array_equal(mixtures.mu_law_encode(mixtures.mu_law_decode(classes)), classes)
    audio = np.linspace(-1, 1, 10_001).astype(np.float32)
    error = np.abs(np.asarray(mixtures.mu_law_decode(mixtures.mu_law_encode(audio))) - audio)
    assert error.max() < 0.025 and error[np.abs(audio) < 0.01].max() < 5e-4
    ends = np.array([-1.0, 1.0], np.float32)
    assert np.array_equal(mixtures.mu_law_encode(ends), [0, 255])


def test_mu_law_classes_are_drawn_as_often_as_they_are_likely():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=256).astype(np.float32)
    wanted = np.exp(logits) / np.exp(logits).sum()
    draws = 200_000
    samples = mixtures.mu_law_sample(np.repeat(logits[None], draws, axis=0),
                                     rng.uniform(size=(draws, 2)).astype(np.float32))
    counts = np.bincount(np.asarray(mixtures.mu_law_encode(samples)), minlength=256)
    error = (counts - draws * wanted) / np.sqrt(draws * wanted)
    assert np.abs(error).max() < 5
    log_prob = mixtures.mu_law_log_prob(samples[:5], np.repeat(logits[None], 5, axis=0))
    assert np.allclose(log_prob, np.log(wanted)[mixtures.mu_law_encode(samples[:5])], atol=1e-5)
    assert ops.shape(mixtures.mu_law_mean(logits[None])) == (1,)
