"""What `WaveNet` is trained to make small."""

import keras
from keras import ops

from style_transfer import losses
from style_transfer.models.wavenet import mixtures
from style_transfer.models.wavenet.layers import usage_loss

FFT_SIZES = (1024, 512, 256, 128)
FLOOR_DB = 60.0


@keras.saving.register_keras_serializable(package="style_transfer")
class WaveNetLoss(keras.losses.Loss):
    """Negative log likelihood of the samples, in nats per sample, plus auxiliary losses.

    `y_true` is audio `[batch, samples]`, or a dict of `audio` and, for a transcription head,
    `roll`; `y_pred` what `WaveNet` returns.

    Args:
        output: `mixture` or `mulaw`, as the model's.
        auxiliary_weight: Weight of `transcription` and `spectral`.
        usage_weight: Weight of the codes' `usage_loss`.
        skip_samples: First samples of a clip that do not count: the model knows little of what
            came before them.
    """

    def __init__(self, output="mixture", auxiliary_weight=1.0, usage_weight=0.1, skip_samples=0,
                 name="wavenet", **kwargs):
        super().__init__(name=name, **kwargs)
        self.output, self.auxiliary_weight = output, auxiliary_weight
        self.usage_weight, self.skip_samples = usage_weight, skip_samples

    def call(self, y_true, y_pred):
        """Weighted sum of the terms, `[batch]`."""
        return self._weighted(self.terms(y_true, y_pred))

    def _weighted(self, terms):
        weights = {"nll": 1.0, "usage": self.usage_weight}
        return sum(weights.get(name, self.auxiliary_weight) * value
                   for name, value in terms.items())

    def sums(self, y_true, y_pred):
        """Loss and terms of each clip by itself, `usage` too, and its weight, for evaluations.

        Returns:
            A dict of `([batch], [batch])`.
        """
        terms = self.terms(y_true, y_pred)
        if "usage" in terms:
            terms["usage"] = usage_loss(y_pred["code_shares"], each=True)
        one = ops.ones_like(terms["nll"])
        return {name: (value, one)
                for name, value in {"loss": self._weighted(terms), **terms}.items()}

    def terms(self, y_true, y_pred):
        """Unweighted losses of each clip.

        Args:
            y_true: See the class.
            y_pred: Outputs of the model.

        Returns:
            A dict of `[batch]`: `nll`, nats per sample at 16 bit (mixture) or of 256 classes;
            `transcription`, cross-entropy of which keys begin and sound, a mean over frames and
            keys; `spectral`, distance of the expected audio; `usage`, the batch's.
        """
        truth = y_true if isinstance(y_true, dict) else {"audio": y_true}
        audio = truth["audio"]
        if audio.shape[1] <= self.skip_samples:
            raise ValueError(f"A clip has {audio.shape[1]} samples, of which skip_samples leaves "
                             f"out {self.skip_samples}: make crop_secs longer or that smaller.")
        log_prob = (mixtures.logistic_log_prob if self.output == "mixture"
                    else mixtures.mu_law_log_prob)
        likelihood = log_prob(audio[:, self.skip_samples:],
                              y_pred["logits"][:, self.skip_samples:])
        terms = {"nll": -ops.mean(likelihood, axis=1)}
        if "transcription" in y_pred:
            is_on = ops.cast(truth["roll"] > 0, "float32")
            entropy = ops.binary_crossentropy(is_on, y_pred["transcription"], from_logits=True)
            terms["transcription"] = ops.mean(entropy, axis=(1, 2))
        if "expected" in y_pred:
            spectral = losses.MultiScaleSpectralLoss(FFT_SIZES, logmag_weight=1.0,
                                                     floor_db=FLOOR_DB)
            terms["spectral"] = spectral.call(audio, y_pred["expected"])
        if "code_shares" in y_pred:
            terms["usage"] = usage_loss(y_pred["code_shares"]) + ops.zeros_like(terms["nll"])
        return terms

    def get_config(self):
        """Constructor arguments."""
        names = ("output", "auxiliary_weight", "usage_weight", "skip_samples")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
