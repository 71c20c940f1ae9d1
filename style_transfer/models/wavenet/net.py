"""`WaveNet`: piano audio sample by sample, conditioned on what the keys do.

A context stack reads the piano roll at its own rate, forwards and backwards in time; its output
conditions every layer of a causal stack that predicts each sample from those before it.
"""

import math
import typing

import keras
import numpy as np
from keras import layers, ops

from style_transfer import replicas
from style_transfer.models.wavenet import layers as blocks
from style_transfer.models.wavenet import mixtures
from style_transfer.models.wavenet.prediction import HarmonicPredictor
from style_transfer.piano_roll import KEYS_DEPTH, NUM_KEYS

OUTPUTS = ("mixture", "mulaw")
AUXILIARIES = ("none", "transcription", "spectral")
BOTTLENECKS = (None, "argmax")
FIRST_LOG_SCALE, FIRST_SPREAD = -3.0, 0.3
FIRST_PREDICTED_LOG_SCALE, FIRST_PREDICTED_SPREAD = -5.0, 1.0  # the latter in scales


class Encoded(typing.NamedTuple):
    """What the causal stack is given of the roll.

    Attributes:
        conditions: Projections for all layers, before they are upsampled, `[batch, frames,
            num_layers * 2 * gates]`.
        shares: Of the bottleneck's codes, or None.
        coefficients: Of the linear predictor, `[batch, frames, predictor_taps]`, or None.
    """

    conditions: typing.Any
    shares: typing.Any
    coefficients: typing.Any


def _initial_output_bias(num_mixtures, spread, log_scale):
    def initialize(shape, dtype=None):
        means = np.linspace(-spread, spread, num_mixtures) if num_mixtures > 1 else np.zeros(1)
        bias = np.concatenate([np.zeros(num_mixtures), means, np.full(num_mixtures, log_scale)])
        return ops.convert_to_tensor(bias.reshape(shape), dtype)
    return initialize


@keras.saving.register_keras_serializable(package="style_transfer")
class WaveNet(keras.Model):
    """Autoregressive model of audio, given a piano roll.

    Args:
        sample_rate: Hz.
        roll_rate: Frames of the roll per second; divides `sample_rate`.
        roll_features: Numbers of a frame: onset velocities, then sounding velocities, of the keys.
        num_layers: Layers of the causal stack.
        dilation_cycle: Layers after which dilations start again from 1.
        kernel_size: Taps of a causal layer.
        residual_channels: Channels between the layers.
        gate_channels: Channels of a gated activation; None takes `residual_channels`.
        skip_channels: Channels of the sum over all layers.
        hidden_channels: Channels between that sum and the output.
        output: `mixture` of 16-bit discretized logistics, or `mulaw` for 256 classes.
        num_mixtures: Logistics of the mixture.
        context_layers: Layers of the context stack.
        context_cycle: Layers after which its dilations start again from 1.
        context_channels: Channels of the context stack.
        context_kernel_size: Taps of its layers, odd.
        upsampling: See `ConditionUpsampling`.
        global_size: Length of the piano's vector `style`; 0 for none.
        num_pianos: Pianos whose `piano_id` is known; 0 for none.
        bottleneck: `argmax` passes the context through discrete codes; None does not.
        bottleneck_codes: Codes of a step of the bottleneck.
        bottleneck_classes: Classes of a code.
        bottleneck_hop: Frames of the roll for each step of the bottleneck.
        excitation_partials: Partials of `blocks.excitation` that the causal stack and its output
            net are given; 0 for none.
        predictor_taps: Past samples from which a `HarmonicPredictor` predicts the next; mixtures
            then lie around its prediction, which the causal stack reads too. 0 for none.
        predictor_partials: Partials of a key that it knows.
        input_noise: Standard deviation of noise on past samples while training.
        input_dropout: Probability that a stretch of past samples is zero while training.
        input_dropout_secs: Length of such a stretch, seconds; rounded up to frames.
        scheduled_sampling: Probability that a past sample is one the model drew, while training.
        auxiliary: What else is returned for the loss: `transcription` of the stack's output, or
            the `expected` audio for a `spectral` loss.
        auxiliary_weight: Weight of that loss, for those who build it.
        seed: Seed of noise, dropout and scheduled sampling.

    Source: Hawthorne et al., MAESTRO, 2018, section 5 (conditional WaveNet, context stack), in the
    sizes of midi2wave; scheduled sampling in parallel: Duckworth et al., 2019.
    """

    def __init__(self, sample_rate=16_000, roll_rate=250, roll_features=KEYS_DEPTH,
                 num_layers=22, dilation_cycle=12, kernel_size=2, residual_channels=32,
                 gate_channels=None, skip_channels=128, hidden_channels=256, output="mixture",
                 num_mixtures=10, context_layers=6, context_cycle=6, context_channels=88,
                 context_kernel_size=3, upsampling="transposed", global_size=0, num_pianos=0,
                 bottleneck=None, bottleneck_codes=8, bottleneck_classes=16, bottleneck_hop=4,
                 excitation_partials=0, predictor_taps=0, predictor_partials=24, input_noise=0.0,
                 input_dropout=0.0, input_dropout_secs=0.05, scheduled_sampling=0.0,
                 auxiliary="none", auxiliary_weight=1.0, seed=0, **kwargs):
        super().__init__(**kwargs)
        # Config
        self.sample_rate, self.roll_rate = sample_rate, roll_rate
        self.roll_features = roll_features
        self.num_layers, self.dilation_cycle = num_layers, dilation_cycle
        self.kernel_size, self.residual_channels = kernel_size, residual_channels
        self.gate_channels, self.skip_channels = gate_channels, skip_channels
        self.hidden_channels, self.output_kind = hidden_channels, output
        self.num_mixtures = num_mixtures
        self.context_layers, self.context_cycle = context_layers, context_cycle
        self.context_channels = context_channels
        self.context_kernel_size, self.upsampling = context_kernel_size, upsampling
        self.global_size, self.num_pianos = global_size, num_pianos
        self.bottleneck, self.bottleneck_codes = bottleneck, bottleneck_codes
        self.bottleneck_classes, self.bottleneck_hop = bottleneck_classes, bottleneck_hop
        self.excitation_partials, self.input_noise = excitation_partials, input_noise
        self.predictor_taps, self.predictor_partials = predictor_taps, predictor_partials
        self.input_dropout, self.input_dropout_secs = input_dropout, input_dropout_secs
        self.scheduled_sampling = scheduled_sampling
        self.auxiliary, self.auxiliary_weight, self.seed = auxiliary, auxiliary_weight, seed
        self._check()
        # Layers
        gates = gate_channels or residual_channels
        self.context = blocks.ContextStack(
            context_channels, blocks.dilations(context_layers, context_cycle),
            context_kernel_size, global_size, num_pianos, name="context")
        if bottleneck:
            self.codes = blocks.ArgmaxCodes(bottleneck_codes, bottleneck_classes, name="codes")
            self.from_codes = layers.Dense(context_channels, name="from_codes")
        self.condition = layers.Dense(num_layers * 2 * gates, use_bias=False, name="condition")
        self.upsample = blocks.ConditionUpsampling(self.hop, upsampling, name="upsample")
        self.input_projection = layers.Dense(residual_channels, name="input_projection")
        if excitation_partials:
            self.excitation_projection = layers.Dense(residual_channels + skip_channels,
                                                      use_bias=False, name="excitation_projection")
        if predictor_taps:
            self.predictor = HarmonicPredictor(sample_rate, roll_rate, predictor_taps,
                                               predictor_partials, name="predictor")
        self.stack = blocks.GatedStack(residual_channels, gates,
                                       blocks.dilations(num_layers, dilation_cycle), kernel_size,
                                       name="stack")
        self.skip = layers.Dense(skip_channels, name="skip")
        self.hidden = layers.Dense(hidden_channels, name="hidden")
        first = ((FIRST_PREDICTED_SPREAD, FIRST_PREDICTED_LOG_SCALE) if predictor_taps
                 else (FIRST_SPREAD, FIRST_LOG_SCALE))
        self.head = layers.Dense(self.num_outputs, name="head", bias_initializer=(
            _initial_output_bias(num_mixtures, *first) if output == "mixture" else "zeros"))
        if auxiliary == "transcription":
            self.transcription = layers.Dense(roll_features, name="transcription")
        self.random = keras.random.SeedGenerator(seed)

    def _check(self):
        if self.sample_rate % self.roll_rate:
            raise ValueError(f"sample_rate is {self.sample_rate}, expected a multiple of roll_rate "
                             f"{self.roll_rate}.")
        for name, value, choices in (("output", self.output_kind, OUTPUTS),
                                     ("auxiliary", self.auxiliary, AUXILIARIES),
                                     ("bottleneck", self.bottleneck, BOTTLENECKS)):
            if value not in choices:
                raise ValueError(f"{name} is {value!r}, expected one of {choices}.")
        for name in ("excitation_partials", "predictor_taps"):
            if getattr(self, name) and self.roll_features != KEYS_DEPTH:
                raise ValueError(f"{name} needs rolls of {KEYS_DEPTH} features: onsets and "
                                 f"sounding keys; roll_features is {self.roll_features}.")
        if self.predictor_taps and (self.output_kind != "mixture" or self.bottleneck):
            raise ValueError("predictor_taps is for output=mixture without a bottleneck: classes "
                             "have no centre to move, and the roll would pass by the codes.")

    @property
    def hop(self):
        """Samples of a frame of the roll."""
        return self.sample_rate // self.roll_rate

    @property
    def num_outputs(self):
        """Numbers that describe a sample's distribution."""
        return 3 * self.num_mixtures if self.output_kind == "mixture" else mixtures.NUM_CLASSES

    @property
    def receptive_field(self):
        """Past samples that a prediction depends on."""
        # What the predictor made of its own past is one of the stack's inputs.
        return self.stack.receptive_field + self.predictor_taps

    @property
    def context_reach(self):
        """Frames before and after a frame that its conditions depend on."""
        return max(self.context.reach, self.predictor.release if self.predictor_taps else 0)

    @property
    def lead_frames(self):
        """Frames of silence before a piece after which its beginning is nothing special."""
        grain = self.bottleneck_hop if self.bottleneck else 1
        return -(-self.context_reach // grain) * grain

    def build(self, input_shape=None):
        """Builds every layer; lengths do not matter."""
        del input_shape
        if self.built:
            return
        gates = self.num_layers * 2 * self.stack.gate_channels
        context = (None, None, self.context_channels)
        self.context.build((None, None, self.roll_features))
        if self.bottleneck:
            self.codes.build((None, None, self.bottleneck_hop * self.context_channels))
            self.from_codes.build((None, None, self.bottleneck_codes * self.bottleneck_classes))
        self.condition.build(context)
        self.upsample.build((None, None, gates))
        self.input_projection.build((None, None, 3 if self.predictor_taps else 1))
        if self.predictor_taps:
            self.predictor.build(context)
        if self.excitation_partials:
            self.excitation_projection.build((None, None, 2 * self.excitation_partials))
        self.stack.build()
        self.skip.build((None, None, gates // 2))
        self.hidden.build((None, None, self.skip_channels))
        self.head.build((None, None, self.hidden_channels))
        if self.auxiliary == "transcription":
            self.transcription.build((None, None, self.skip_channels))
        self.built = True

    def encode(self, x):
        """What conditions the causal stack, before it is upsampled.

        Args:
            x: Dict as `call` has it, without `audio`.

        Returns:
            An `Encoded`.
        """
        context = self.context(x)
        shares = coefficients = None
        if self.bottleneck:
            context, shares = self._through_codes(context)
        if self.predictor_taps:
            coefficients = self.predictor(context, x["roll"][:, :, KEYS_DEPTH // 2:])
        return Encoded(self.condition(context), shares, coefficients)

    def _through_codes(self, context):
        frames, hop = context.shape[1], self.bottleneck_hop
        steps = -(-frames // hop)
        padded = ops.pad(context, ((0, 0), (0, steps * hop - frames), (0, 0)))
        codes, shares = self.codes(ops.reshape(padded, (-1, steps, hop * self.context_channels)))
        decoded = self.from_codes(ops.reshape(codes, (
            -1, steps, self.bottleneck_codes * self.bottleneck_classes)))
        return ops.repeat(decoded, hop, axis=1)[:, :frames], shares

    def excite(self, x):
        """Projected excitation `[batch, frames * hop, residual + skip channels]`, or None."""
        if not self.excitation_partials:
            return None
        roll = x["roll"]
        start = x.get("start_sample")
        start = ops.zeros_like(roll[:, 0, 0]) if start is None else start
        waves = blocks.excitation(roll[:, :, NUM_KEYS:], ops.cast(start, "int32") // self.hop,
                                  self.hop, self.sample_rate, self.excitation_partials)
        return self.excitation_projection(waves)

    def to_input(self, audio):
        """Samples as the net reads them: those of mu-law are companded and rounded."""
        if self.output_kind == "mixture":
            return audio
        return mixtures.mu_law_companded(mixtures.mu_law_encode(audio))

    def decode(self, past, encoded, excitation=None):
        """Runs the causal stack.

        Args:
            past: What the net reads at each sample, `[batch, samples]`, samples a whole number of
                frames.
            encoded: From `encode`.
            excitation: From `excite`.

        Returns:
            `logits` `[batch, samples, num_outputs]` and the sum of skips `[.., skip_channels]`.
        """
        conditioned = self.upsample.adder(encoded.conditions, 2 * self.stack.gate_channels)
        prediction = None
        if encoded.coefficients is not None:
            prediction = self.predictor.predict(past, encoded.coefficients)
        before = None if prediction is None else ops.pad(prediction, ((0, 0), (1, 0)))[:, :-1]
        x = self.input_projection(self.stack_inputs(past, prediction, before))
        if excitation is not None:
            x = x + excitation[..., :self.residual_channels]
        skip = self.skip(self.stack(x, condition=conditioned))
        if excitation is not None:
            skip = skip + excitation[..., self.residual_channels:]
        skip = ops.relu(skip)
        return self.logits(skip, prediction), skip

    def stack_inputs(self, past, prediction=None, prediction_before=None):
        """What the causal stack reads at a sample.

        Args:
            past: The sample before, as `to_input` gives it, `[...]`.
            prediction: The predictor's for this sample.
            prediction_before: Likewise for the sample before.

        Returns:
            `[..., 1]`; with a predictor `[..., 3]`: past, prediction and error of the last one,
            with the small made larger by mu-law.
        """
        if prediction is None:
            return past[..., None]
        return mixtures.mu_law_compressed(
            ops.stack([past, prediction, past - prediction_before], axis=-1))

    def logits(self, skip, prediction=None):
        """Parameters of the distributions, of the sum of skips after its ReLU."""
        outputs = self.head(ops.relu(self.hidden(skip)))
        return outputs if prediction is None else mixtures.around(outputs, prediction)

    def call(self, x, training=False):
        """Distributions of all samples, each given those before it.

        Args:
            x: Dict of `audio` `[batch, samples]` in [-1, 1], the samples to predict; `roll`
                `[batch, frames, roll_features]`, of which frame `f` covers samples `f * hop` to
                `(f + 1) * hop`; `style` `[batch, global_size]` or `piano_id` int `[batch]` if the
                model is conditioned on them; optionally `start_sample` int `[batch]`, where in the
                piece the clip begins (a multiple of the hop), for the excitation's phase.
            training: Whether past samples are disturbed as the constructor says.

        Returns:
            Dict of `logits` `[batch, samples, num_outputs]` (mixture: logits, means, log scales),
            and what else was asked for: `transcription` logits `[batch, frames, roll_features]`,
            `expected` audio `[batch, samples]`, `code_shares` of the bottleneck.

        Raises:
            ValueError: Audio and roll do not have the same length.
        """
        audio, roll = x["audio"], x["roll"]
        samples, frames = audio.shape[1], roll.shape[1]
        if frames != -(-samples // self.hop):
            raise ValueError(f"{samples} samples and {frames} frames of the roll do not fit: "
                             f"expected {-(-samples // self.hop)} frames of {self.hop} samples.")
        encoded = self.encode(x)
        excitation = self.excite(x)

        def run(source, disturb):
            past = ops.pad(self.to_input(source), ((0, 0), (1, frames * self.hop - samples)))
            past = past[:, :-1]
            return self.decode(self._disturbed(past) if disturb else past, encoded, excitation)

        if training and self.scheduled_sampling:
            logits, _ = run(audio, True)
            audio = self._replaced(audio, ops.stop_gradient(logits)[:, :samples])
        logits, skip = run(audio, training)
        outputs = {"logits": logits[:, :samples]}
        if self.auxiliary == "transcription":
            pooled = ops.reshape(skip, (-1, frames, self.hop, self.skip_channels))
            outputs["transcription"] = self.transcription(ops.mean(pooled, axis=2))
        if self.auxiliary == "spectral":
            outputs["expected"] = self.expected(outputs["logits"])
        if encoded.shares is not None:
            outputs["code_shares"] = encoded.shares
        return outputs

    def expected(self, logits):
        """Mean of the predicted distributions: `[..., num_outputs]` to `[...]`."""
        mean = mixtures.logistic_mean if self.output_kind == "mixture" else mixtures.mu_law_mean
        return mean(logits)

    def sample(self, logits, uniforms, temperature=1.0):
        """Audio drawn from predicted distributions; `uniforms` is `[..., 2]` in [0, 1)."""
        draw = (mixtures.logistic_sample if self.output_kind == "mixture"
                else mixtures.mu_law_sample)
        return draw(logits, uniforms, temperature)

    def _disturbed(self, past):
        if self.input_noise:
            past = past + self.input_noise * replicas.normal(ops.shape(past), seed=self.random)
        if self.input_dropout:
            length = self.hop * max(1, math.ceil(self.input_dropout_secs * self.roll_rate))
            stretches = -(-past.shape[1] // length)
            keep = replicas.uniform((ops.shape(past)[0], stretches), seed=self.random)
            keep = ops.cast(keep >= self.input_dropout, past.dtype)
            past = past * ops.repeat(keep, length, axis=1)[:, :past.shape[1]]
        return past

    def _replaced(self, audio, logits):
        shape = ops.shape(audio)
        drawn = self.sample(logits, replicas.uniform((*shape, 2), seed=self.random))
        chosen = replicas.uniform(shape, seed=self.random) < self.scheduled_sampling
        return ops.stop_gradient(ops.where(chosen, drawn, audio))

    def get_config(self):
        """Constructor arguments."""
        names = (
            "sample_rate", "roll_rate", "roll_features", "num_layers", "dilation_cycle",
            "kernel_size", "residual_channels", "gate_channels", "skip_channels",
            "hidden_channels", "num_mixtures", "context_layers", "context_cycle",
            "context_channels", "context_kernel_size", "upsampling", "global_size", "num_pianos",
            "bottleneck", "bottleneck_codes", "bottleneck_classes", "bottleneck_hop",
            "excitation_partials", "predictor_taps", "predictor_partials", "input_noise",
            "input_dropout", "input_dropout_secs", "scheduled_sampling", "auxiliary",
            "auxiliary_weight", "seed")
        return {**super().get_config(), "output": self.output_kind,
                **{name: getattr(self, name) for name in names}}
