"""A configuration that trains in milliseconds, for tests of everything around training."""

import dataclasses
import os
import time

import numpy as np

from style_transfer import configs
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.inputs.shares import Share
from style_transfer.training import summaries

NUM_SAMPLES = 400
ENDLESS = 10**9


@dataclasses.dataclass(frozen=True)
class TinyHparams(configs.Hparams):
    """Hparams of the tiny model, and faults its data can have.

    Attributes:
        width: Width of the hidden layer.
        dropout: Dropout rate, so that random state matters.
        sample_rate: Hz.
        source: `tf` for a `tf.data.Dataset`, `python` for NumPy batches.
        bad_batches: Which batches have a target that is not a number.
        all_bad_after: All batches from here on are bad.
        num_batches: Length of the training data.
        batch_secs: Time that a batch takes to make.
        optimizer: `guarded` or `sgd`.
    """

    batch_size: int = 4
    learning_rate: float = 1e-2
    warmup_steps: int = 3
    decay_steps: int = 50
    clip_norm: float = 0.05
    width: int = 8
    dropout: float = 0.2
    sample_rate: int = 8000
    source: str = "tf"
    bad_batches: tuple[int, ...] = ()
    all_bad_after: int = ENDLESS
    num_batches: int = ENDLESS
    batch_secs: float = 0.0
    optimizer: str = "guarded"


def build_model(hparams):
    """A subclassed model on a dict of inputs."""
    import keras
    from keras import layers, ops

    class Tiny(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(hparams.width, activation="tanh")
            self.dropout = layers.Dropout(hparams.dropout)
            self.out = layers.Dense(NUM_SAMPLES)

        def call(self, x, training=False):
            both = ops.concatenate([x["a"], ops.cast(x["b"], "float32")], axis=-1)
            return self.out(self.dropout(self.hidden(both), training=training))

    return Tiny()


def build_loss(hparams):
    """Mean squared error, with named terms."""
    import keras
    from keras import ops

    class TinyLoss(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return self.terms(y_true, y_pred)["square"]

        def terms(self, y_true, y_pred):
            difference = y_true - y_pred
            return {"square": ops.mean(ops.square(difference), axis=-1),
                    "absolute": ops.mean(ops.abs(difference), axis=-1)}

    return TinyLoss(name="tiny")


def build_optimizer(hparams):
    """The guarded optimizer, or one that skips nothing."""
    if hparams.optimizer == "sgd":
        import keras

        return keras.optimizers.SGD(0.01)
    return hparams_lib.build_optimizer(hparams)


def batch(hparams, seed, index):
    """Batch number `index`."""
    time.sleep(hparams.batch_secs)
    rng = np.random.default_rng([seed, index])
    a = rng.normal(size=(hparams.batch_size, 6)).astype(np.float32)
    b = rng.integers(0, 5, (hparams.batch_size, 3)).astype(np.int32)
    y = 0.3 * np.sin(a[:, :1] + np.arange(NUM_SAMPLES) / 10.0)
    if index in hparams.bad_batches or index >= hparams.all_bad_after:
        y[0, 0] = np.nan
    return {"a": a, "b": b}, y.astype(np.float32)


def build_dataset(examples_path, hparams, split, *, seed, skip_batches=0, input_context=None):
    """Batches made by formula; `examples_path` must exist all the same."""
    if not os.path.exists(examples_path):
        raise ValueError(f"No files match {examples_path!r}.")
    clean = dataclasses.replace(hparams, bad_batches=(), all_bad_after=ENDLESS, batch_secs=0.0)
    if split == "eval":
        *full, (x, y) = [batch(clean, seed + 1000, index) for index in range(3)]
        return [*full, ({name: value[:3] for name, value in x.items()}, y[:3])]

    def batches():
        for index in range(skip_batches, hparams.num_batches):
            x, y = batch(hparams, seed, index)
            if input_context is None:
                yield x, y
                continue
            share = Share.of(hparams.batch_size, input_context)
            for first in range(share.first, share.first + share.size, share.replica_size):
                rows = slice(first, first + share.replica_size)
                yield {name: value[rows] for name, value in x.items()}, y[rows]

    return _as_tf(batches) if hparams.source == "tf" else batches()


def _as_tf(batches):
    import tensorflow as tf

    return tf.data.Dataset.from_generator(batches, output_signature=(
        {"a": tf.TensorSpec((None, 6), tf.float32), "b": tf.TensorSpec((None, 3), tf.int32)},
        tf.TensorSpec((None, NUM_SAMPLES), tf.float32)))


CONFIG = configs.Config(
    name="tiny",
    description="For tests.",
    hparams=TinyHparams(),
    build_model=build_model,
    build_loss=build_loss,
    build_optimizer=build_optimizer,
    build_dataset=build_dataset,
    build_example_writer=lambda hparams: summaries.AudioExamples(hparams.sample_rate),
)
