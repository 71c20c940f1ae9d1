"""Scores of evaluations that are not means over sequences; see `configs.Metrics`."""

import math

import numpy as np

ACTIVE_BITS = 0.01


def describe_divergence(kl_per_dimension):
    """How many dimensions of the latent vectors say something.

    Args:
        kl_per_dimension: Mean divergence from the prior, bits, shape `[z_size]`.

    Returns:
        A dict: `active_dimensions`, those above `ACTIVE_BITS`; `largest_kl_bits` of a single one;
        and `half_kl_dimensions`, how many hold half of all bits.
    """
    falling = np.sort(kl_per_dimension)[::-1]
    half = np.searchsorted(np.cumsum(falling), falling.sum() / 2) + 1
    return {"active_dimensions": int((falling > ACTIVE_BITS).sum()),
            "largest_kl_bits": float(falling[0]), "half_kl_dimensions": int(half)}


class LatentMetrics:
    """How a `MusicVae` uses the dimensions of its latent vectors."""

    def __init__(self):
        self._total, self._count = 0.0, 0

    def update(self, target, prediction):
        """Takes a batch of targets and the model's outputs."""
        del target
        mu, sigma = (np.asarray(prediction[name], np.float64) for name in ("mu", "sigma"))
        nats = 0.5 * (mu ** 2 + sigma ** 2 - 1) - np.log(sigma)
        self._total = self._total + nats.sum(axis=0)
        self._count += len(mu)

    def result(self):
        """See `describe_divergence`."""
        return describe_divergence(self._total / self._count / math.log(2))


class NextClassMetrics:
    """How well classes are predicted, each step counting the same, and beside repetition.

    Args:
        steps_per_bar: How far back the same class is that repetition predicts.
        no_event_label: Class of a step in which nothing sounds.
    """

    def __init__(self, steps_per_bar, no_event_label=0):
        self._steps_per_bar, self._no_event_label = steps_per_bar, no_event_label
        self._sums = np.zeros(8)

    def update(self, target, prediction):
        """Takes a batch: `labels` and `lengths`, and logits `[batch, steps, num_classes]`."""
        log_probs = log_softmax(np.asarray(prediction, np.float64))
        for row, (labels, length) in enumerate(zip(target["labels"], target["lengths"],
                                                   strict=True)):
            self._add(np.asarray(labels[:length]), log_probs[row, :length])

    def _add(self, labels, log_probs):
        steps = np.arange(len(labels))
        right = log_probs.argmax(axis=-1) == labels
        is_event = labels != self._no_event_label
        later = slice(self._steps_per_bar, None)
        repeats = labels[later] == labels[:-self._steps_per_bar]
        self._sums += [len(labels), log_probs[steps, labels].sum(), right.sum(), is_event.sum(),
                       (right & is_event).sum(), len(repeats), right[later].sum(), repeats.sum()]

    def result(self):
        """A dict of scores by name; those `after_a_bar` leave out what repetition cannot know."""
        steps, likelihood, right, events, event_right, later, later_right, repeats = self._sums
        return {"log_likelihood_per_step": likelihood / steps,
                "perplexity": math.exp(-likelihood / steps),
                "step_accuracy": right / steps,
                "step_event_accuracy": event_right / max(events, 1),
                "accuracy_after_a_bar": later_right / max(later, 1),
                "repetition_accuracy_after_a_bar": repeats / max(later, 1)}


def log_softmax(logits):
    """Logarithms of probabilities, of the last axis."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
