"""`SpectralWaveNet`: a pitched excitation, shaped into a piano in one pass over all samples."""

import keras
from keras import layers, ops

from style_transfer import replicas
from style_transfer.layers.style_encoder import StyleEncoder
from style_transfer.models.wavenet import layers as blocks
from style_transfer.piano_roll import KEYS_DEPTH, NUM_KEYS


@keras.saving.register_keras_serializable(package="style_transfer")
class SpectralWaveNet(keras.Model):
    """Plays a roll on the piano of a clip; not autoregressive.

    A non-causal gated dilated stack reads the excitation, which is sines and cosines of what
    sounds, dying away as it would on some piano, and white noise. It is conditioned on the roll,
    fused with a vector of the style clip. Its outputs are gains of each excitation, and a signal
    that is added.

    Args:
        sample_rate: Hz.
        roll_rate: Frames of the roll per second; divides `sample_rate`.
        num_layers: Layers of the stack.
        dilation_cycle: Layers after which dilations start again from 1.
        kernel_size: Taps of a layer, odd.
        channels: Channels between the layers, and of gated activations.
        hidden_channels: Channels between the layers' sum and the output.
        context_layers: Layers of the context stack.
        context_cycle: Layers after which its dilations start again from 1.
        context_channels: Its channels.
        context_kernel_size: Taps of its layers, odd.
        upsampling: See `ConditionUpsampling`.
        style_size: Length of the style vector.
        excitation_partials: Partials of each key.
        seed: Of the noise.

    Source: the design of the project's seed: MIDI and audio encoders fused, a TCN or WaveNet as
    decoder, a spectral loss; excitation and filter as in Wang et al., Neural source-filter
    waveform models, 2019.
    """

    def __init__(self, sample_rate=16_000, roll_rate=250, num_layers=20, dilation_cycle=10,
                 kernel_size=3, channels=32, hidden_channels=64, context_layers=6,
                 context_cycle=6, context_channels=64, context_kernel_size=3,
                 upsampling="linear", style_size=64, excitation_partials=16, seed=0, **kwargs):
        super().__init__(**kwargs)
        if sample_rate % roll_rate:
            raise ValueError(f"sample_rate is {sample_rate}, expected a multiple of roll_rate "
                             f"{roll_rate}.")
        # Config
        self.sample_rate, self.roll_rate, self.num_layers = sample_rate, roll_rate, num_layers
        self.dilation_cycle, self.kernel_size = dilation_cycle, kernel_size
        self.channels, self.hidden_channels = channels, hidden_channels
        self.context_layers, self.context_cycle = context_layers, context_cycle
        self.context_channels, self.context_kernel_size = context_channels, context_kernel_size
        self.upsampling, self.style_size = upsampling, style_size
        self.excitation_partials, self.seed = excitation_partials, seed
        # Layers
        self.style_encoder = StyleEncoder(style_size, sample_rate=sample_rate,
                                          name="style_encoder")
        self.context = blocks.ContextStack(
            context_channels, blocks.dilations(context_layers, context_cycle),
            context_kernel_size, style_size, name="context")
        self.condition = layers.Dense(num_layers * 2 * channels, name="condition")
        self.upsample = blocks.ConditionUpsampling(self.hop, upsampling, name="upsample")
        self.input_projection = layers.Dense(channels, name="input_projection")
        self.stack = blocks.GatedStack(channels, channels,
                                       blocks.dilations(num_layers, dilation_cycle), kernel_size,
                                       causal=False, name="stack")
        self.hidden = layers.Dense(hidden_channels, activation="gelu", name="hidden")
        self.head = layers.Dense(self.num_excitations + 1, name="head", kernel_initializer=(
            keras.initializers.VarianceScaling(0.01)))
        self.random = keras.random.SeedGenerator(seed + 1)  # not the noise of `excite` itself

    @property
    def hop(self):
        """Samples of a frame of the roll."""
        return self.sample_rate // self.roll_rate

    @property
    def num_excitations(self):
        """Sines, cosines and one noise."""
        return 2 * self.excitation_partials + 1

    def build(self, input_shape=None):
        """Builds every layer; lengths do not matter."""
        del input_shape
        if self.built:
            return
        self.style_encoder.build((None, None))
        self.context.build((None, None, KEYS_DEPTH))
        self.condition.build((None, None, self.context_channels))
        self.upsample.build((None, None, self.num_layers * 2 * self.channels))
        self.input_projection.build((None, None, self.num_excitations))
        self.stack.build()
        self.hidden.build((None, None, self.num_layers * self.channels))
        self.head.build((None, None, self.hidden_channels))
        self.built = True

    @property
    def reach(self):
        """Frames before and after a frame that its audio depends on."""
        # One more, since conditions are upsampled between a frame and its neighbours.
        return self.context.reach + -(-self.stack.receptive_field // (2 * self.hop)) + 1

    def noise(self, num_samples):
        """The noise of a piece while it is not trained, `[1, num_samples]`."""
        return keras.random.normal((1, num_samples), seed=self.seed)

    def excite(self, x, training=False):
        """Excitations `[batch, frames * hop, num_excitations]`; see `call`."""
        roll = x["roll"]
        start = x.get("start_sample")
        start = ops.zeros_like(roll[:, 0, 0]) if start is None else start
        waves = blocks.excitation(roll[:, :, NUM_KEYS:], ops.cast(start, "int32") // self.hop,
                                  self.hop, self.sample_rate, self.excitation_partials)
        shape = (ops.shape(roll)[0], roll.shape[1] * self.hop)
        if training:
            noise = replicas.normal(shape, seed=self.random)
        else:
            noise = x["noise"] if "noise" in x else self.noise(shape[1])
        return ops.concatenate([waves, ops.broadcast_to(noise, shape)[..., None]], axis=-1)

    def call(self, x, training=False):
        """Plays.

        Args:
            x: Dict of `roll` `[batch, frames, 176]`, what sounds as `piano_roll.decayed` gives
                it; `style_audio` `[batch, clip samples]`, the
                piano to sound like, or its vector `style` `[batch, style_size]`; optionally
                `start_sample` int `[batch]`, where in the piece the roll begins, `noise`
                `[batch, frames * hop]`, its part of the piece's `noise`, and `audio`, of which
                only the length counts.
            training: Whether each call has another noise.

        Returns:
            Audio `[batch, frames * hop]`, or as long as `audio`.
        """
        excitation = self.excite(x, training)
        style = x["style"] if "style" in x else self.style_encoder(x["style_audio"])
        context = self.context({"roll": x["roll"], "style": style})
        add = self.upsample.adder(self.condition(context), 2 * self.channels)
        activations = self.stack(self.input_projection(excitation), condition=add)
        outputs = self.head(self.hidden(activations))
        audio = ops.sum(outputs[..., :-1] * excitation, axis=-1) + outputs[..., -1]
        return audio[:, :x["audio"].shape[1]] if "audio" in x else audio

    def get_config(self):
        """Constructor arguments."""
        names = ("sample_rate", "roll_rate", "num_layers", "dilation_cycle", "kernel_size",
                 "channels", "hidden_channels", "context_layers", "context_cycle",
                 "context_channels", "context_kernel_size", "upsampling", "style_size",
                 "excitation_partials", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
