import math

import numpy as np
import pytest

from style_transfer.symbolic import metrics


def test_repetition_and_likelihood_are_those_of_steps_that_exist():
    """Two tracks, bars of two steps; padding has labels that would change each score."""
    scores = metrics.NextClassMetrics(steps_per_bar=2)
    probabilities = np.full((2, 4, 3), 0.25)
    probabilities[..., 1] = 0.5  # class 1 is always the likeliest
    scores.update({"labels": np.array([[1, 0, 1, 0], [2, 1, 1, 1]]), "lengths": np.array([4, 3])},
                  np.log(probabilities) + 3.0)
    found = scores.result()
    assert found["step_accuracy"] == pytest.approx(4 / 7)
    assert found["step_event_accuracy"] == pytest.approx(4 / 5)
    assert found["accuracy_after_a_bar"] == pytest.approx(2 / 3)
    assert found["repetition_accuracy_after_a_bar"] == pytest.approx(2 / 3)
    nats = (4 * math.log(0.5) + 3 * math.log(0.25)) / 7
    assert found["log_likelihood_per_step"] == pytest.approx(nats)
    assert found["perplexity"] == pytest.approx(math.exp(-nats))


def test_scores_do_not_depend_on_how_examples_come_in_batches():
    rng = np.random.default_rng(0)
    labels, lengths = rng.integers(0, 3, (6, 9)), np.array([9, 3, 5, 1, 8, 2])
    logits = rng.normal(size=(6, 9, 3))
    whole, parts = (metrics.NextClassMetrics(4) for _ in range(2))
    whole.update({"labels": labels, "lengths": lengths}, logits)
    for rows in (slice(0, 1), slice(1, 6)):
        parts.update({"labels": labels[rows], "lengths": lengths[rows]}, logits[rows])
    assert whole.result() == pytest.approx(parts.result())


def test_dimensions_that_hold_bits_are_counted():
    scores = metrics.LatentMetrics()
    # Divergence 0 in two dimensions; 8 nats in one, mean of 0 and 16; 1/2 in another.
    mu = np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, math.sqrt(32), 1.0]])
    for row in mu:
        scores.update(None, {"mu": row[None], "sigma": np.ones((1, 4))})
    found = scores.result()
    assert found["active_dimensions"] == 2
    assert found["half_kl_dimensions"] == 1
    assert found["largest_kl_bits"] == pytest.approx(8 / math.log(2))
