"""The loss that Magenta trains Onsets and Frames with."""

import keras
from keras import ops

from style_transfer import losses

EPSILON = 1e-7


def log_loss(labels, probs):
    """Cross-entropy of each value, finite for certainty; shapes alike."""
    return -labels * ops.log(probs + EPSILON) - (1 - labels) * ops.log(1 - probs + EPSILON)


@keras.saving.register_keras_serializable(package="style_transfer")
class OnsetsFramesLoss(keras.losses.Loss):
    """Mean cross-entropies of onsets, offsets and frames, and the squared error of velocities.

    `y_true` is a dict of `onset`, `offset`, `frame` (0 or 1) and `velocity` `[batch, frames, 88]`,
    and perhaps `mask` `[batch, frames]` or `[batch, frames, 1]`, 0 in padding, and `frame_weight`
    `[batch, frames, 88]`; `y_pred` what `OnsetsFrames` returns. Activations, where it returns
    them, are held to the frames.

    Args:
        velocity_loss_weight: Weight of the velocities' term.
        weight_frame_and_activation_loss: Whether `frame_weight` weights frames and activations.

    Source: `model_fn` of Magenta 2.1.4.
    """

    def __init__(self, velocity_loss_weight=1.0, weight_frame_and_activation_loss=False,
                 name="onsets_frames", **kwargs):
        super().__init__(name=name, **kwargs)
        self.velocity_loss_weight = velocity_loss_weight
        self.weight_frame_and_activation_loss = weight_frame_and_activation_loss

    def call(self, y_true, y_pred):
        """Weighted sum of the terms of each clip, `[batch]`."""
        return losses.share_of_mean(*self.sums(y_true, y_pred)["loss"])

    def terms(self, y_true, y_pred):
        """The parts of the loss.

        Args:
            y_true: Labels, see the class.
            y_pred: Outputs of the model.

        Returns:
            A dict of `[batch]` by name. Frames weigh the same in all clips, so that the mean over
            the batch is the mean over all frames that are no padding.
        """
        sums = self.sums(y_true, y_pred)
        return {name: losses.share_of_mean(*sums[name]) for name in sums if name != "loss"}

    def sums(self, y_true, y_pred):
        """Sums over the frames of each clip, and how many these are, for evaluations.

        Returns:
            A dict of `([batch], [batch])`: `loss`, and what `terms` has.
        """
        def total(values):
            mask = y_true.get("mask")
            mask = ops.ones_like(values) if mask is None else ops.reshape(
                ops.cast(mask, values.dtype), ops.shape(values))
            return losses.sum_where(values, mask)

        def entropy(label, output):
            return log_loss(y_true[label], ops.sigmoid(y_pred[output]))

        weight = y_true["frame_weight"] if self.weight_frame_and_activation_loss else 1.0
        error = ops.square(y_true["velocity"] - y_pred["velocity"])
        sums = {"onset": total(ops.mean(entropy("onset", "onset"), axis=-1)),
                "offset": total(ops.mean(entropy("offset", "offset"), axis=-1)),
                "velocity": total(ops.sum(y_true["onset"] * error, axis=-1)),
                "frame": total(ops.mean(weight * entropy("frame", "frame"), axis=-1))}
        if "activation" in y_pred:
            sums["activation"] = total(ops.mean(weight * entropy("frame", "activation"), axis=-1))
        weights = {"velocity": self.velocity_loss_weight}
        loss = sum(weights.get(name, 1.0) * value for name, (value, _) in sums.items())
        return {"loss": (loss, sums["frame"][1]), **sums}

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "velocity_loss_weight": self.velocity_loss_weight,
                "weight_frame_and_activation_loss": self.weight_frame_and_activation_loss}

