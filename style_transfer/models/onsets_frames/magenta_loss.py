"""The loss that Magenta trains Onsets and Frames with."""

import keras
from keras import ops

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
        return sum((self.velocity_loss_weight if name == "velocity" else 1.0) * value
                   for name, value in self.terms(y_true, y_pred).items())

    def terms(self, y_true, y_pred):
        """The parts of the loss.

        Args:
            y_true: Labels, see the class.
            y_pred: Outputs of the model.

        Returns:
            A dict of `[batch]` by name. Frames weigh the same in all clips, so that the mean over
            the batch is the mean over all frames that are no padding.
        """
        def mean(values):
            return _mean_over_frames(values, y_true.get("mask"))

        def entropy(label, output):
            return log_loss(y_true[label], ops.sigmoid(y_pred[output]))

        weight = y_true["frame_weight"] if self.weight_frame_and_activation_loss else 1.0
        error = ops.square(y_true["velocity"] - y_pred["velocity"])
        terms = {"onset": mean(ops.mean(entropy("onset", "onset"), axis=-1)),
                 "offset": mean(ops.mean(entropy("offset", "offset"), axis=-1)),
                 "velocity": mean(ops.sum(y_true["onset"] * error, axis=-1)),
                 "frame": mean(ops.mean(weight * entropy("frame", "frame"), axis=-1))}
        if "activation" in y_pred:
            terms["activation"] = mean(ops.mean(weight * entropy("frame", "activation"), axis=-1))
        return terms

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "velocity_loss_weight": self.velocity_loss_weight,
                "weight_frame_and_activation_loss": self.weight_frame_and_activation_loss}


def _mean_over_frames(values, mask):
    """`[batch, frames]` to `[batch]` whose mean is that of all values where `mask` is 1."""
    if mask is None:
        return ops.mean(values, axis=1)
    mask = ops.reshape(ops.cast(mask, values.dtype), ops.shape(values))
    return ops.sum(values * mask, axis=1) / ops.mean(ops.sum(mask, axis=1))
