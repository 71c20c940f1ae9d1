"""Blocks of WaveNet: gated dilated stacks, upsampling of their conditions, argmax codes."""

import math

import keras
import numpy as np
from keras import layers, ops

from style_transfer import replicas, strings
from style_transfer.layers.products import ProductLayer

UPSAMPLINGS = ("transposed", "linear", "repeat")


def dilations(num_layers, cycle):
    """`1, 2, 4, …` starting over every `cycle` layers: a tuple of `num_layers`."""
    return tuple(2 ** (i % cycle) for i in range(num_layers))


@keras.saving.register_keras_serializable(package="style_transfer")
class GatedStack(ProductLayer):
    """Gated residual layers of dilated convolutions.

    A layer computes `tanh(a) * sigmoid(b)` of the two halves of a dilated convolution of its
    input plus its condition; a matrix product of that is added to the input for the next layer.
    Convolutions are matrix products with shifted slices.

    Args:
        channels: Residual channels, those of the input.
        gate_channels: Channels of a layer's gated activation.
        dilations: Dilation of each layer.
        kernel_size: Taps of each layer.
        causal: Whether taps lie in the past only; else around the step (then `kernel_size` is
            odd).

    Source: van den Oord et al., WaveNet, 2016, eq. 2 and figure 4; layers as in NVIDIA's
    nv-wavenet.
    """

    def __init__(self, channels, gate_channels, dilations, kernel_size=2, causal=True, **kwargs):
        super().__init__(**kwargs)
        if not causal and kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}, expected an odd one of a stack that "
                             "is not causal.")
        self.channels, self.gate_channels = channels, gate_channels
        self.dilations, self.kernel_size = tuple(dilations), kernel_size
        self.causal = causal

    @property
    def num_layers(self):
        """How many layers."""
        return len(self.dilations)

    @property
    def receptive_field(self):
        """Steps that an output depends on, its own among them."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)

    def build(self, input_shape=None):
        """Makes the weights; the input's shape does not matter."""
        if self.built:
            return
        wide, gates = self.kernel_size * self.channels, 2 * self.gate_channels
        self.kernels, self.biases, self.residual_kernels, self.residual_biases = [], [], [], []
        for i in range(self.num_layers):
            self.kernels.append(self.add_weight((wide, gates), name=f"kernel_{i}"))
            self.biases.append(self.add_weight((gates,), "zeros", name=f"bias_{i}"))
            if i < self.num_layers - 1:  # nothing reads the last one's residual
                self.residual_kernels.append(self.add_weight(
                    (self.gate_channels, self.channels), name=f"residual_kernel_{i}"))
                self.residual_biases.append(self.add_weight(
                    (self.channels,), "zeros", name=f"residual_bias_{i}"))
        self.built = True

    def call(self, x, condition=None):
        """Gated activations of all layers.

        Args:
            x: Shape `[batch, steps, channels]`.
            condition: Called with a layer's index and its convolution
                `[batch, steps, 2 * gate_channels]`: gives it back with the condition added. None
                for none.

        Returns:
            Shape `[batch, steps, num_layers * gate_channels]`.
        """
        activations = []
        for i, dilation in enumerate(self.dilations):
            gates = self.convolve(i, x, dilation) + self.biases[i]
            if condition is not None:
                gates = condition(i, gates)
            filtered, gate = ops.split(gates, 2, axis=-1)
            activations.append(ops.tanh(filtered) * ops.sigmoid(gate))
            if i < self.num_layers - 1:
                x = x + self.multiply(activations[-1], self.residual_kernels[i])
                x = x + self.residual_biases[i]
        return ops.concatenate(activations, axis=-1)

    def convolve(self, index, x, dilation):
        """Dilated convolution of layer `index`, without bias; the oldest tap comes first."""
        length, total = x.shape[1], (self.kernel_size - 1) * dilation
        before = total if self.causal else total // 2
        padded = ops.pad(x, ((0, 0), (before, total - before), (0, 0)))
        taps = [padded[:, tap * dilation:tap * dilation + length]
                for tap in range(self.kernel_size)]
        return self.multiply(ops.concatenate(taps, axis=-1), self.kernels[index])

    def get_config(self):
        """Constructor arguments."""
        names = ("channels", "gate_channels", "dilations", "kernel_size", "causal")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="style_transfer")
class ContextStack(layers.Layer):
    """Reads a piano roll in both directions, and knows the piano.

    Args:
        channels: Channels of the stack and of its output.
        dilations: Of its layers.
        kernel_size: Taps of its layers, odd.
        global_size: Length of the piano's vector `style`; 0 for none.
        num_pianos: How many `piano_id` there are; 0 for none.
    """

    def __init__(self, channels, dilations, kernel_size=3, global_size=0, num_pianos=0, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.dilations = channels, tuple(dilations)
        self.kernel_size, self.global_size = kernel_size, global_size
        self.num_pianos = num_pianos
        self.input_projection = layers.Dense(channels, name="input_projection")
        self.stack = GatedStack(channels, channels, self.dilations, kernel_size,
                                       causal=False, name="stack")
        self.output_projection = layers.Dense(channels, name="output_projection")
        self.globals = {}
        if global_size:
            self.globals["style"] = layers.Dense(2 * channels, name="style")
        if num_pianos:
            self.globals["piano_id"] = layers.Embedding(num_pianos, 2 * channels, name="piano_id")

    @property
    def reach(self):
        """Frames before and after a frame that its context depends on."""
        return (self.stack.receptive_field - 1) // 2

    def build(self, input_shape):
        """Builds every layer."""
        if self.built:
            return
        if isinstance(input_shape, dict):  # of what `call` takes
            input_shape = input_shape["roll"]
        self.input_projection.build(input_shape)
        self.stack.build()
        self.output_projection.build((None, None, len(self.dilations) * self.channels))
        for layer in self.globals.values():
            layer.build((None, self.global_size))
        self.built = True

    def call(self, x):
        """Context `[batch, frames, channels]` of a dict as `WaveNet.call` has it.

        Raises:
            ValueError: What tells of the piano is missing.
        """
        hidden = self.input_projection(x["roll"])
        piano = 0.0
        for name, layer in self.globals.items():
            if name not in x:
                raise ValueError(f"The model is conditioned on {name!r}, which is not among "
                                 f"{sorted(x)}.")
            piano = piano + layer(x[name])[:, None]
        before, after = (0.0, 0.0) if not self.globals else ops.split(piano, 2, axis=-1)
        return self.output_projection(self.stack(hidden + before)) + after

    def get_config(self):
        """Constructor arguments."""
        names = ("channels", "dilations", "kernel_size", "global_size", "num_pianos")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="style_transfer")
class ConditionUpsampling(layers.Layer):
    """From frames to samples, each channel on its own.

    Conditions are projected for every layer at the frames' rate and upsampled after: the order
    does not matter to the result, both being linear, and is much less work.

    Args:
        hop: Samples of a frame.
        kind: `repeat` holds a frame; `linear` goes from the middle of a frame to that of the
            next; `transposed` learns, from there on, a transposed convolution over three frames.
    """

    def __init__(self, hop, kind="linear", **kwargs):
        super().__init__(**kwargs)
        if kind not in UPSAMPLINGS:
            raise ValueError(f"upsampling is {kind!r}, expected one of {', '.join(UPSAMPLINGS)}.")
        self.hop, self.kind = hop, kind

    def build(self, input_shape):
        """Makes the filter `[3, hop, channels]`: previous, same, next frame."""
        if self.built:
            return
        if self.kind == "transposed":
            start = np.repeat(linear_filter(self.hop)[:, :, None], input_shape[-1], axis=2)
            self.filter = self.add_weight(
                start.shape, lambda shape, dtype=None: ops.convert_to_tensor(start, dtype),
                name="filter")
        self.built = True

    def taps(self, first=0, last=None):
        """Filter of channels `first` to `last`: `[3, hop, channels]` or, for all, `[3, hop, 1]`."""
        if self.kind == "repeat":
            return np.array([0, 1, 0], np.float32)[:, None, None] * np.ones((1, self.hop, 1), "f")
        if self.kind == "linear":
            return linear_filter(self.hop)[:, :, None]
        return self.filter[:, :, first:last]

    def call(self, frames, first=0, last=None):
        """Upsamples channels `first` to `last`.

        Args:
            frames: Those channels, shape `[batch, frames, channels]`.
            first: Index of the first of them in the filter.
            last: Index behind the last.

        Returns:
            Shape `[batch, frames, hop, channels]`, or `[batch, frames, 1, channels]` where all
            samples of a frame are alike.
        """
        if self.kind == "repeat":
            return frames[:, :, None]
        before = ops.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        after = ops.concatenate([frames[:, 1:], frames[:, -1:]], axis=1)
        taps = self.taps(first, last)
        return sum(part[:, :, None] * taps[i] for i, part in enumerate((before, frames, after)))

    def adder(self, conditions, width):
        """What `GatedStack.call` takes as `condition`.

        Args:
            conditions: Projections for all layers, `[batch, frames, layers * width]`.
            width: Channels of a layer's convolution.

        Returns:
            A function of a layer's index and its convolution `[batch, frames * hop, width]`.
        """
        frames = conditions.shape[1]

        def add(index, gates):
            first = index * width
            extra = self(conditions[:, :, first:first + width], first=first, last=first + width)
            split = ops.reshape(gates, (-1, frames, self.hop, width)) + extra
            return ops.reshape(split, (-1, frames * self.hop, width))

        return add

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "hop": self.hop, "kind": self.kind}


def linear_filter(hop):
    """Weights of the previous, the same and the next frame: `[3, hop]`, float32."""
    position = (np.arange(hop) + 0.5) / hop - 0.5
    return np.stack([np.maximum(-position, 0), 1 - np.abs(position),
                     np.maximum(position, 0)]).astype(np.float32)


@keras.saving.register_keras_serializable(package="style_transfer")
class ArgmaxCodes(layers.Layer):
    """Discrete codes by argmax, with gradients passed straight through.

    Outputs of a ReLU are divided by their sum, which takes a softmax's place; the largest becomes
    1, the others 0. A loss on how often classes are used, `usage_loss`, keeps them all in use: it
    makes the prior of the codes uniform.

    Args:
        num_codes: Codes of a step.
        num_classes: Classes of a code.

    Source: Dieleman et al., The challenge of realistic music generation, 2018, section 4.2
    (argmax autoencoder).
    """

    def __init__(self, num_codes, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.num_codes, self.num_classes = num_codes, num_classes
        self.projection = layers.Dense(num_codes * num_classes, name="projection")

    def build(self, input_shape):
        """Builds the projection."""
        self.projection.build(input_shape)
        self.built = True

    def call(self, x):
        """Codes of `x` `[batch, steps, channels]`.

        Returns:
            One-hot codes and, of the same shape, what stands for their probabilities:
            `[batch, steps, num_codes, num_classes]`.
        """
        raw = ops.reshape(self.projection(x),
                          (-1, x.shape[1], self.num_codes, self.num_classes))
        positive = ops.relu(raw) + 1e-6
        shares = positive / ops.sum(positive, axis=-1, keepdims=True)
        hard = ops.one_hot(ops.argmax(shares, axis=-1), self.num_classes)
        return shares + ops.stop_gradient(hard - shares), shares

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "num_codes": self.num_codes,
                "num_classes": self.num_classes}


def usage_loss(shares, each=False):
    """How far the whole batch, or a clip, is from using all classes alike: a scalar, 0 if it does.

    `mean((classes * mean share - 1) ** 2)` over codes and classes.

    Args:
        shares: From `ArgmaxCodes`, `[..., steps, codes, classes]`.
        each: Whether of each clip, `[batch]`, rather than of the batch.
    """
    share = ops.mean(shares, axis=1) if each else replicas.mean(ops.mean(shares, axis=(0, 1)))
    usage = share * shares.shape[-1]
    return ops.mean(ops.square(usage - 1.0), axis=(-2, -1))


def excitation(sounding, start_frame, hop, sample_rate, num_partials):
    """Sines and cosines of what sounds, at the partials of equal temperament.

    A frame's samples are a rotation of its first one's phase, so they are a matrix product of the
    phases, of which there is one for a frame and key.

    Args:
        sounding: Velocity of sounding keys, `[batch, frames, 88]`.
        start_frame: Index in the whole piece of the first frame, int `[batch]`.
        hop: Samples of a frame.
        sample_rate: Hz.
        num_partials: Partials of a key; those above 0.45 of the rate are left out.

    Returns:
        Shape `[batch, frames * hop, 2 * num_partials]`: for each partial the sines of all keys,
        then the cosines, summed.
    """
    batch, num_frames = ops.shape(sounding)[0], sounding.shape[1]
    index = ops.cast(start_frame, "int32")[:, None] + ops.arange(num_frames, dtype="int32")
    hz = strings.equal_temperament_hz()
    waves = []
    for partial in range(1, num_partials + 1):
        phase = 2 * math.pi * _cycles(index, partial * hz * hop / sample_rate)
        audible = (partial * hz < 0.45 * sample_rate).astype(np.float32)
        amplitude = sounding * audible
        state = ops.concatenate([amplitude * ops.sin(phase), amplitude * ops.cos(phase)], axis=-1)
        angle = 2 * np.pi * partial * hz[:, None] / sample_rate * np.arange(hop)
        turn_sine = np.concatenate([np.cos(angle), np.sin(angle)])
        turn_cosine = np.concatenate([-np.sin(angle), np.cos(angle)])
        turn = np.stack([turn_sine, turn_cosine], axis=-1).reshape(2 * len(hz), 2 * hop)
        waves.append(ops.reshape(ops.matmul(state, turn.astype(np.float32)),
                                 (batch, num_frames * hop, 2)))
    return ops.concatenate(waves, axis=-1)


def _cycles(index, cycles_per_frame):
    """Fraction of a cycle at frame `index` `[batch, frames]`: `[batch, frames, 88]`.

    Accurate in float32 for hours: high and low bits of the index turn at rates that were reduced
    in float64.
    """
    high, low = index // 1024, index % 1024
    total = 0.0
    for part, rate in ((high, 1024 * cycles_per_frame), (low, cycles_per_frame)):
        fraction = np.mod(rate, 1.0)
        coarse = np.floor(fraction * 4096) / 4096  # whole multiples of it are exact
        part = ops.cast(part, "float32")[..., None]
        whole = part * coarse.astype(np.float32)
        total = total + whole - ops.floor(whole) + part * (fraction - coarse).astype(np.float32)
    return total
