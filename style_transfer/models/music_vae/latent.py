"""Sequences drawn from a `MusicVae`, and what can be done with those of pieces."""

import functools
import math

import keras
import numpy as np

from style_transfer.models.music_vae import net as music_vae
from style_transfer.symbolic import encodings, metrics

NO_EVENT = 0  # of melodies and basses; of drums, a step in which none is struck


class _Sampler(keras.Model):
    """`MusicVae.sample` as Keras compiles it: one graph instead of thousands of small calls."""

    def __init__(self, model, temperature, seed):
        super().__init__(name="sampler")
        self.model, self.temperature, self.draw_seed = model, temperature, seed
        # Compiling with XLA on TensorFlow would take longer than it saves.
        self.jit_compile = keras.backend.backend() == "jax"

    def call(self, z):
        """One-hot classes."""
        return self.model.sample(z, temperature=self.temperature, seed=self.draw_seed)


class _Decoder(keras.Model):
    """`MusicVae.decode` likewise."""

    def __init__(self, model):
        super().__init__(name="decoder")
        self.model = model
        self.jit_compile = keras.backend.backend() == "jax"

    def call(self, x):
        """Logits of `outputs` from `z`."""
        return self.model.decode(x["z"], x["outputs"])


@functools.lru_cache(maxsize=8)
def _compiled(kind, model, *arguments):
    return kind(model, *arguments)


def sample(model, layout, count, temperature=0.5, seed=0):
    """Sequences from latent vectors of the prior.

    Args:
        model: A `MusicVae`.
        layout: Its `encodings.Layout`.
        count: How many.
        temperature: What logits are divided by; 0 for the likeliest classes.
        seed: Of what is drawn.

    Returns:
        Classes, shape `[count, steps, tracks]`.
    """
    z = keras.random.normal((count, model.z_size), seed=seed)
    return decode(model, layout, z, temperature, seed)


def decode(model, layout, z, temperature=0.5, seed=0):
    """Sequences from latent vectors `[count, z_size]`, otherwise as `sample`."""
    drawn = _compiled(_Sampler, model, temperature, seed + 1).predict_on_batch(np.asarray(z))
    return encodings.classes(drawn, layout)


def encode(model, layout, labels):
    """Means of the latent vectors of sequences.

    Args:
        model: A `MusicVae`.
        layout: Its `encodings.Layout`.
        labels: Classes, shape `[count, steps, tracks]`.

    Returns:
        Shape `[count, z_size]`.
    """
    mu, _ = model.encode(encodings.encoder_inputs(labels, layout))
    return np.asarray(mu)


def reconstruct(model, layout, labels, temperature=0.5, seed=0):
    """Sequences written anew from the means of their latent vectors; shapes alike."""
    return decode(model, layout, encode(model, layout, labels), temperature, seed)


def interpolate(model, layout, first, last, num_outputs, temperature=0.5, seed=0):
    """Sequences on the way from one to another.

    Args:
        model: A `MusicVae`.
        layout: Its `encodings.Layout`.
        first: Classes, shape `[steps, tracks]`.
        last: Likewise.
        num_outputs: How many, those at both ends included.
        temperature: As for `sample`.
        seed: As for `sample`.

    Returns:
        Shape `[num_outputs, steps, tracks]`.

    Raises:
        ValueError: There are fewer than two outputs.
    """
    if num_outputs < 2:
        raise ValueError(f"num_outputs is {num_outputs}; an interpolation has at least 2.")
    ends = encode(model, layout, np.stack([first, last]))
    z = music_vae.slerp(ends[0], ends[1], np.linspace(0, 1, num_outputs, dtype=np.float32))
    return decode(model, layout, z, temperature, seed)


def attribute_vector(model, layout, with_it, without_it):
    """What an attribute adds to a latent vector: the difference of the means.

    Args:
        model: A `MusicVae`.
        layout: Its `encodings.Layout`.
        with_it: Classes of sequences that have the attribute, `[count, steps, tracks]`.
        without_it: Of sequences that do not.

    Returns:
        Shape `[z_size]`.

    Raises:
        ValueError: One of them is empty.

    Source: Roberts et al., 2018, section 5.3.
    """
    if not len(with_it) or not len(without_it):
        raise ValueError(f"An attribute needs sequences that have it and that do not; got "
                         f"{len(with_it)} and {len(without_it)}.")
    return (encode(model, layout, with_it).mean(axis=0)
            - encode(model, layout, without_it).mean(axis=0))


def with_attribute(model, layout, labels, attribute, amount=1.0, temperature=0.5, seed=0):
    """Sequences written anew with an attribute added, or taken away where `amount` is negative."""
    z = encode(model, layout, labels) + amount * attribute
    return decode(model, layout, z, temperature, seed)


def latent_usage(model, layout, labels, batch_size=128, seed=0):
    """How much the decoder makes of the latent vectors.

    Args:
        model: A `MusicVae`.
        layout: Its `encodings.Layout`.
        labels: Classes, shape `[count, steps, tracks]`, at least two sequences.
        batch_size: Sequences at a time.
        seed: Of what is drawn.

    Returns:
        A dict, of which the first five come twice, with the vectors that belong to the sequences
        and, beginning with `shuffled_`, with those of others: `accuracy`, the part of steps (all
        tracks) that are right teacher-forced, `sampled_accuracy` free-running at temperature
        0, `event_accuracy` and `sampled_event_accuracy` of the steps in which something begins or
        ends, and `bits_per_step`, the cross-entropy of a step; then `kl_bits` of a sequence,
        `kl_per_dimension`, bits, an array, and `metrics.describe_divergence` of it.

    Raises:
        ValueError: There are fewer than two sequences.
    """
    from style_transfer.symbolic.loss import kl_divergence

    if len(labels) < 2:
        raise ValueError(f"Vectors can be shuffled between two sequences or more, got "
                         f"{len(labels)}.")
    parts = []
    for begin in range(0, len(labels), batch_size):
        chosen = labels[begin:begin + batch_size]
        mu, sigma = model.encode(encodings.encoder_inputs(chosen, layout))
        parts.append((np.asarray(mu), np.asarray(kl_divergence(mu, sigma))))
    mu, divergence = (np.concatenate(values) for values in zip(*parts, strict=True))
    # Turned by a random number of places, so that none keeps its own.
    other = np.roll(mu, np.random.default_rng(seed).integers(1, len(mu)), axis=0)
    found = {}
    for name, z in (("", mu), ("shuffled_", other)):
        found |= {f"{name}{key}": value for key, value in
                  _fit(model, layout, labels, z, batch_size).items()}
    per_dimension = divergence.mean(axis=0) / math.log(2)
    return {**found, "kl_bits": float(per_dimension.sum()), "kl_per_dimension": per_dimension,
            **metrics.describe_divergence(per_dimension)}


def _fit(model, layout, labels, z, batch_size):
    """How well sequences are written from latent vectors, see `latent_usage`."""
    is_event = labels != NO_EVENT
    right, event_right, nats = np.zeros(2), np.zeros(2), 0.0
    for begin in range(0, len(labels), batch_size):
        chosen = labels[begin:begin + batch_size]
        part = z[begin:begin + batch_size]
        logits = _compiled(_Decoder, model).predict_on_batch(
            {"z": part, "outputs": encodings.one_hot(chosen, layout).astype(np.uint8)})
        own = decode(model, layout, part, temperature=0)
        for index, classes in enumerate((encodings.classes(logits, layout), own)):
            is_right = classes == chosen
            right[index] += is_right.sum()
            event_right[index] += is_right[is_event[begin:begin + batch_size]].sum()
        nats += _cross_entropy(logits, chosen, layout)
    accuracy, sampled = (right / labels.size).tolist()
    event, sampled_event = (event_right / max(is_event.sum(), 1)).tolist()
    return {"accuracy": accuracy, "sampled_accuracy": sampled,
            "event_accuracy": event, "sampled_event_accuracy": sampled_event,
            "bits_per_step": nats / math.log(2) / labels[..., 0].size}


def _cross_entropy(logits, labels, layout):
    """Sum over all steps and tracks, nats."""
    log_probs = [metrics.log_softmax(np.asarray(part, np.float64)) for part in
                 np.split(logits, np.cumsum(layout.depths)[:-1], axis=-1)]
    return -sum(np.take_along_axis(one, labels[..., i, None].astype(int), axis=-1).sum()
                for i, one in enumerate(log_probs))
