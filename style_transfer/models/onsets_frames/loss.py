"""What `HarmonicTranscriber` is trained to make small."""

import math

import keras
from keras import ops

ONSET_WEIGHT = 2.0  # what the smooth target of one onset sums to: `labels.SMOOTH_HALF_WIDTH`


@keras.saving.register_keras_serializable(package="style_transfer")
class TranscriptionLoss(keras.losses.Loss):
    """Binary cross-entropies of a model's heads, and the likelihood of velocities at onsets.

    Velocities of a clip are taken to be Gaussian around the heard ones: each with the standard
    deviation that the model gives it, and all of them shifted by one unknown amount, because how
    hard a piano was played on the whole is told by little else than its brightness. So a model is
    free to be sure of which notes are louder and unsure of how loud all of them are.

    Args:
        onset_loss_weight: Weight of the onsets' cross-entropy, a mean over frames and keys.
        offset_loss_weight: The same of the offsets.
        frame_loss_weight: The same of the frames.
        key_loss_weight: The same of held keys.
        pedal_loss_weight: The same of the sustain pedal.
        velocity_loss_weight: Weight of the velocities' negative log-likelihood for each note.
        velocity_shift: Standard deviation of the shift that all velocities of a clip share, as a
            part of 127.

    Source: Hawthorne et al., 2018 and 2019, with labels that need not be 0 or 1.
    """

    def __init__(self, onset_loss_weight=1.0, offset_loss_weight=1.0, frame_loss_weight=1.0,
                 key_loss_weight=1.0, pedal_loss_weight=1.0, velocity_loss_weight=0.3,
                 velocity_shift=0.12, name="transcription", **kwargs):
        super().__init__(name=name, **kwargs)
        self.velocity_shift = velocity_shift
        self.loss_weights = {
            "onset": onset_loss_weight, "offset": offset_loss_weight, "frame": frame_loss_weight,
            "key": key_loss_weight, "pedal": pedal_loss_weight, "velocity": velocity_loss_weight}

    def terms(self, y_true, y_pred):
        """Unweighted losses of each clip.

        Args:
            y_true: Dict of targets `[batch, frames, keys]` in [0, 1] (`pedal`: `[.., 1]`); with
                `mask`, `[batch, frames, 1]`, frames where it is 0 do not count. Others are
                ignored.
            y_pred: Dict of logits of the same shapes, `velocity` in [0, 1], and
                `velocity_scale`, its standard deviation.

        Returns:
            Dict of `[batch]`, one for each output of the model; `velocity` is of its scale too.

        Raises:
            ValueError: A target is missing, or there is an output that no loss is known of.
        """
        unknown = y_pred.keys() - self.loss_weights.keys() - {"velocity_scale"}
        missing = y_pred.keys() - y_true.keys() - unknown - {"velocity_scale"}
        if unknown or missing:
            raise ValueError(f"The model's outputs are {', '.join(y_pred)}: "
                             f"no loss for {sorted(unknown)}, no target for {sorted(missing)}.")
        mask = y_true.get("mask")
        terms = {}
        for name, logits in y_pred.items():
            if name == "velocity_scale":
                continue
            if name == "velocity":
                weight = y_true["onset"] if mask is None else y_true["onset"] * mask
                terms[name] = velocity_surprise(
                    y_true["velocity"] - logits, y_pred["velocity_scale"],
                    weight / ONSET_WEIGHT, self.velocity_shift)
                continue
            error = ops.binary_crossentropy(y_true[name], logits, from_logits=True)
            terms[name] = _mean_over_frames(ops.mean(error, axis=-1), mask)
        return terms

    def call(self, y_true, y_pred):
        """Weighted sum of the terms, `[batch]`; arguments as for `terms`."""
        terms = self.terms(y_true, y_pred)
        return sum(self.loss_weights[name] * value for name, value in terms.items())

    def get_config(self):
        """Constructor arguments."""
        weights = {f"{name}_loss_weight": value for name, value in self.loss_weights.items()}
        return {**super().get_config(), **weights, "velocity_shift": self.velocity_shift}


def velocity_surprise(error, scale, weight, shift):
    """Negative log-likelihood of errors that are independent but for a shift they share.

    Args:
        error: True minus heard velocities, `[batch, frames, keys]`.
        scale: Standard deviation of each, likewise.
        weight: How much of a note each cell is; sums to the number of notes.
        shift: Standard deviation of the shift of all cells of a clip.

    Returns:
        Nats a note, `[batch]`; 0 where there is no note.

    Source: a Gaussian whose covariance is a diagonal plus rank one (Woodbury; Rasmussen and
    Williams, 2006, A.9 and A.10).
    """
    precision = weight / ops.square(scale)
    own = precision * ops.square(error) + weight * (2 * ops.log(scale) + math.log(2 * math.pi))
    total, pull = (ops.sum(value, axis=(1, 2)) for value in (precision, precision * error))
    common = 1 + shift ** 2 * total
    nats = ops.sum(own, axis=(1, 2)) + ops.log(common) - ops.square(shift * pull) / common
    return 0.5 * nats / ops.maximum(ops.sum(weight, axis=(1, 2)), 1.0)


def _mean_over_frames(values, mask):
    """`[batch, frames]` to `[batch]`."""
    if mask is None:
        return ops.mean(values, axis=-1)
    mask = mask[..., 0]
    return ops.sum(values * mask, axis=-1) / ops.maximum(ops.sum(mask, axis=-1), 1.0)
