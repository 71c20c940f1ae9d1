"""Checkpoints of Magenta's TensorFlow 1 models, read into Keras models.

    arrays = checkpoints.read("maestro/train/model.ckpt")
    checkpoints.load(model, arrays, magenta.entries)

An importer is a module `magenta.py` of a model family with a function `entries(model, arrays)`: one
`Entry` for each variable of the built model, saying which of `arrays` it is made from and how.
"""

from style_transfer.checkpoints.layouts import lstm_entries
from style_transfer.checkpoints.mapping import Entry, assign
from style_transfer.checkpoints.reader import is_magentas, read

__all__ = ["Entry", "assign", "is_magentas", "load", "lstm_entries", "read"]


def load(model, arrays, entries):
    """Gives a model the values of a checkpoint.

    Args:
        model: A built Keras model.
        arrays: What `read` returned.
        entries: The importer's function of both.

    Raises:
        ValueError: The checkpoint does not fit the model; then the message names every variable
            concerned, and the model is as before.
    """
    assign(model, arrays, entries(model, arrays))
