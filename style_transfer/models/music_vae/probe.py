"""Probes of a `MusicVae`; see `configs.Probe`."""

import numpy as np

from style_transfer.models.music_vae import latent
from style_transfer.symbolic import encodings

NUM_SEQUENCES = 256
SCORES = ("sampled_accuracy", "shuffled_sampled_accuracy", "shuffled_accuracy", "bits_per_step",
          "shuffled_bits_per_step")


class LatentProbe:
    """How well sequences are written anew, and what other latent vectors make of that.

    Args:
        model: A `MusicVae`.
        layout: Its `encodings.Layout`.
        num_sequences: How many of the first sequences are taken.
    """

    def __init__(self, model, layout, num_sequences=NUM_SEQUENCES):
        self._model, self._layout, self._missing = model, layout, num_sequences
        self._labels = []

    def update(self, x, y):
        """Takes a batch of inputs and targets."""
        del x
        chosen = np.asarray(y["outputs"])[:self._missing]
        self._missing -= len(chosen)
        self._labels.append(encodings.classes(chosen, self._layout))

    def result(self):
        """Those of `latent.latent_usage` that the loss does not tell; none for one sequence."""
        labels = np.concatenate(self._labels)
        if len(labels) < 2:
            return {}
        found = latent.latent_usage(self._model, self._layout, labels)
        return {name: found[name] for name in SCORES}

    def write(self, writer, step):
        """Has nothing to show beyond the scores."""
