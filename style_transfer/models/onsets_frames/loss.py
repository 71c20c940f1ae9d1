"""What `HarmonicTranscriber` is trained to make small."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="style_transfer")
class TranscriptionLoss(keras.losses.Loss):
    """Binary cross-entropies of a model's heads, and the squared error of velocities at onsets.

    Args:
        onset_loss_weight: Weight of the onsets' cross-entropy, a mean over frames and keys.
        offset_loss_weight: The same of the offsets.
        frame_loss_weight: The same of the frames.
        key_loss_weight: The same of held keys.
        pedal_loss_weight: The same of the sustain pedal.
        velocity_loss_weight: Weight of the velocities' squared error times the onset target,
            summed over keys, in the mean over frames.

    Source: Hawthorne et al., 2018 and 2019, with labels that need not be 0 or 1.
    """

    def __init__(self, onset_loss_weight=1.0, offset_loss_weight=1.0, frame_loss_weight=1.0,
                 key_loss_weight=1.0, pedal_loss_weight=1.0, velocity_loss_weight=1.0,
                 name="transcription", **kwargs):
        super().__init__(name=name, **kwargs)
        self.loss_weights = {
            "onset": onset_loss_weight, "offset": offset_loss_weight, "frame": frame_loss_weight,
            "key": key_loss_weight, "pedal": pedal_loss_weight, "velocity": velocity_loss_weight}

    def terms(self, y_true, y_pred):
        """Unweighted losses of each clip.

        Args:
            y_true: Dict of targets `[batch, frames, keys]` in [0, 1] (`pedal`: `[.., 1]`); with
                `mask`, `[batch, frames, 1]`, frames where it is 0 do not count. Others are
                ignored.
            y_pred: Dict of logits of the same shapes, and `velocity` in [0, 1].

        Returns:
            Dict of `[batch]`, one for each output of the model.

        Raises:
            ValueError: A target is missing, or there is an output that no loss is known of.
        """
        unknown = y_pred.keys() - self.loss_weights.keys()
        missing = y_pred.keys() - y_true.keys() - unknown
        if unknown or missing:
            raise ValueError(f"The model's outputs are {', '.join(y_pred)}: "
                             f"no loss for {sorted(unknown)}, no target for {sorted(missing)}.")
        mask = y_true.get("mask")
        terms = {}
        for name, logits in y_pred.items():
            if name == "velocity":
                error = y_true["onset"] * ops.square(y_true["velocity"] - logits)
                terms[name] = _mean_over_frames(ops.sum(error, axis=-1), mask)
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
        return {**super().get_config(), **weights}


def _mean_over_frames(values, mask):
    """`[batch, frames]` to `[batch]`."""
    if mask is None:
        return ops.mean(values, axis=-1)
    mask = mask[..., 0]
    return ops.sum(values * mask, axis=-1) / ops.maximum(ops.sum(mask, axis=-1), 1.0)
