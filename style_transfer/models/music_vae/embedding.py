"""Latent vectors of sequences for TensorBoard's projector."""

import numpy as np

from style_transfer.models.music_vae import latent
from style_transfer.symbolic import encodings, rolls
from style_transfer.training.projector import Embedding

MOST_SEQUENCES = 512


def of_sequences(model, layout, batches, most=MOST_SEQUENCES):
    """Means of the latent vectors of sequences, with their piano rolls.

    Args:
        model: A `MusicVae`.
        layout: Its `encodings.Layout`.
        batches: Iterable of classes, each `[count, steps, tracks]`.
        most: How many sequences at most.

    Returns:
        An `Embedding`, with how many notes or sets of drums the first track begins, and their
        lowest and highest class.
    """
    vectors, rows, sprites = [], [], []
    for labels in batches:
        labels = np.asarray(labels)[:most - len(rows)]
        vectors.append(latent.encode(model, layout, labels))
        for one in labels:
            rows.append((len(rows), *_described(one[:, 0], layout.tracks[0])))
            sprites.append(rolls.thumbnail(one, layout.tracks))
        if len(rows) >= most:
            break
    names = ("sequence", "beginnings", "lowest class", "highest class")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return Embedding("sequences", np.concatenate(vectors), columns, np.stack(sprites))


def _described(classes, track):
    first = 1 if track == "drums" else encodings.FIRST_NOTE_ON
    begins = classes[classes >= first]
    return (len(begins), begins.min(), begins.max()) if len(begins) else (0, "", "")
