"""Losses of symbolic models, as Magenta has them."""

import math

import keras
from keras import ops

from style_transfer import losses


def is_valid_step(lengths, steps):
    """1 for the steps of each sequence, 0 for padding: `[batch]` to `[batch, steps]`."""
    return ops.cast(ops.arange(steps)[None] < ops.cast(lengths, "int32")[:, None], "float32")


@keras.saving.register_keras_serializable(package="style_transfer")
class MusicVaeLoss(keras.losses.Loss):
    """Reconstruction and Kullback-Leibler divergence, in nats per sequence.

    `y_true` is a dict of `outputs` `[batch, steps, output_depth]`, one-hot for each track, and
    `lengths` `[batch]`; `y_pred` what `MusicVae` returns.

    Args:
        free_bits: Bits of the divergence of a sequence that cost nothing.
        output_depths: Classes of each track.

    Source: `MusicVAE._compute_model_loss` of Magenta 2.1.4.
    """

    def __init__(self, free_bits=0.0, output_depths=(90,), name="music_vae", **kwargs):
        super().__init__(name=name, **kwargs)
        self.free_bits, self.output_depths = free_bits, tuple(output_depths)

    def call(self, y_true, y_pred):
        """Loss of each sequence, `[batch]`."""
        terms = self.terms(y_true, y_pred)
        return terms["r_loss"] + y_pred["kl_weight"] * terms["kl_loss"]

    def terms(self, y_true, y_pred):
        """The parts of the loss before weighting.

        Args:
            y_true: Sequences, see the class.
            y_pred: Outputs of the model.

        Returns:
            A dict of `[batch]`: `r_loss`, `kl_loss` above what is free, all of it as `kl_bits`,
            and `accuracy`, the part of steps whose likeliest class is right, mean of the tracks.
        """
        outputs = ops.cast(y_true["outputs"], "float32")
        is_valid = is_valid_step(y_true["lengths"], outputs.shape[1])
        num_steps = ops.maximum(ops.sum(is_valid, axis=1), 1.0)
        r_loss, accuracy, first = 0.0, 0.0, 0
        for depth in self.output_depths:
            truth = outputs[..., first:first + depth]
            logits = y_pred["logits"][..., first:first + depth]
            first += depth
            entropy = ops.categorical_crossentropy(truth, logits, from_logits=True)
            r_loss += ops.sum(entropy * is_valid, axis=1)
            is_right = ops.argmax(logits, axis=-1) == ops.argmax(truth, axis=-1)
            accuracy += ops.sum(ops.cast(is_right, "float32") * is_valid, axis=1) / num_steps
        kl_div = ops.sum(kl_divergence(y_pred["mu"], y_pred["sigma"]), axis=-1)
        return {"r_loss": r_loss,
                "kl_loss": ops.maximum(kl_div - self.free_bits * math.log(2.0), 0.0),
                "kl_bits": kl_div / math.log(2.0),
                "accuracy": accuracy / len(self.output_depths)}

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "free_bits": self.free_bits,
                "output_depths": self.output_depths}


def kl_divergence(mu, sigma):
    """Of each independent normal distribution from the standard one, nats; shapes alike."""
    return 0.5 * (ops.square(mu) + ops.square(sigma) - 1.0) - ops.log(sigma)


@keras.saving.register_keras_serializable(package="style_transfer")
class NextClassLoss(keras.losses.Loss):
    """Mean cross-entropy of the class after each step.

    `y_true` is a dict of `labels` `[batch, steps]` and `lengths` `[batch]`; `y_pred` logits
    `[batch, steps, num_classes]`.

    Args:
        no_event_label: Class of a step in which nothing sounds.

    Source: the train graph of Magenta 2.1.4's `events_rnn_graph`.
    """

    def __init__(self, no_event_label=0, name="next_class", **kwargs):
        super().__init__(name=name, **kwargs)
        self.no_event_label = no_event_label

    def call(self, y_true, y_pred):
        """`[batch]`, whose mean is that over all steps: long sequences weigh more."""
        return losses.share_of_mean(*self.sums(y_true, y_pred)["loss"])

    def terms(self, y_true, y_pred):
        """A dict of `[batch]`, averaged like the loss.

        `accuracy` is over all steps, `event_accuracy` and `no_event_accuracy` over those in which
        something sounds and nothing does.
        """
        sums = self.sums(y_true, y_pred)
        return {name: losses.share_of_mean(*sums[name]) for name in sums if name != "loss"}

    def sums(self, y_true, y_pred):
        """Sums over the steps of each sequence, and how many these are, for evaluations.

        Returns:
            A dict of `([batch], [batch])`: `loss`, and what `terms` has.
        """
        labels = ops.cast(y_true["labels"], "int32")
        is_valid = is_valid_step(y_true["lengths"], y_pred.shape[1])
        entropy = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        right = ops.cast(ops.argmax(y_pred, axis=-1) == labels, "float32")
        is_event = ops.cast(labels != self.no_event_label, "float32")
        return {"loss": losses.sum_where(entropy, is_valid),
                "accuracy": losses.sum_where(right, is_valid),
                "event_accuracy": losses.sum_where(right, is_valid * is_event),
                "no_event_accuracy": losses.sum_where(right, is_valid * (1.0 - is_event))}

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "no_event_label": self.no_event_label}
