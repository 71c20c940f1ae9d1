"""Onsets and Frames, Magenta's piano transcription model, from Magenta's own hparams.

Source: Hawthorne et al., 2018 (onsets and frames), 2019 (offset head, MAESTRO). Held to Magenta
2.1.4 (config `onsets_frames`): outputs, losses and gradients.
"""


import keras
from keras import layers, ops

from style_transfer.layers import whole_batch
from style_transfer.piano_roll import NUM_KEYS
from style_transfer.signal import mel, spectral

FFT_SIZE = 2048
MIN_POWER, RANGE_DB = 1e-10, 80.0
# Bidirectional LSTMs see the whole recording; what lies further away than this hardly matters.
CONTEXT_SECS = 4.0


def power_mel(audio, matrix, hop_length: int):
    """Power mel spectrogram of frames centred on their time, the audio mirrored at both ends.

    Args:
        audio: Shape `[batch, samples]`.
        matrix: Mel filters, `[FFT_SIZE // 2 + 1, bands]`.
        hop_length: Samples between frames.

    Returns:
        Shape `[batch, 1 + samples // hop_length, bands]`.
    """
    num_frames = 1 + audio.shape[1] // hop_length
    missing = FFT_SIZE // 2 + 1 - audio.shape[1]
    if missing > 0:  # too short to be mirrored
        audio = ops.pad(audio, [[0, 0], [0, missing]])
    audio = ops.pad(audio, [[0, 0], [FFT_SIZE // 2, FFT_SIZE // 2]], mode="reflect")
    frames = spectral.frame(audio, FFT_SIZE, hop_length)[:, :num_frames]
    real, imag = ops.rfft(frames * spectral.hann_window(FFT_SIZE))
    return ops.matmul(ops.square(real) + ops.square(imag), matrix)


def bidirectional_lstms(units: int, count: int):
    """A stack of bidirectional LSTMs, each over the joined outputs of the one before.

    Args:
        units: Units of each direction, 0 for no stack.
        count: Height of the stack.

    Returns:
        A list of layers.
    """
    # TensorFlow's cell starts with forget biases of 0 and Glorot's weights throughout.
    options = {"return_sequences": True, "unit_forget_bias": False,
               "recurrent_initializer": "glorot_uniform", "zero_output_for_mask": True}
    # Both layers are given: Keras finds the copy it would make by an address, and now and then
    # the wrong one.
    return [layers.Bidirectional(layers.LSTM(units, **options),
                                 backward_layer=layers.LSTM(units, go_backwards=True, **options))
            for _ in range(count if units else 0)]


def output_size(stack, input_size: int):
    """Channels that a stack of `bidirectional_lstms` returns for `input_size` channels."""
    return 2 * stack[-1].forward_layer.units if stack else input_size


def build_stack(stack, input_size: int):
    """Builds `bidirectional_lstms` for inputs of `input_size` channels."""
    for index, layer in enumerate(stack):
        layer.build((None, None, output_size(stack[:index], input_size)))


def run_stack(stack, x, training, is_valid):
    """Output of `bidirectional_lstms` for `x` `[batch, frames, channels]`."""
    for layer in stack:
        x = layer(x, training=training, mask=is_valid)
    return x


@keras.saving.register_keras_serializable(package="style_transfer")
class ConvBlock(layers.Layer):
    """Convolution, batch norm, ReLU, pooling over frequency, dropout.

    Args:
        filters: Channels.
        kernel_size: Frames and bins the convolution sees.
        pool_size: Bins that become one.
        dropout_keep_amt: Part of the activations that is kept in training.
    """

    def __init__(self, filters, kernel_size=(3, 3), pool_size=1, dropout_keep_amt=1.0, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, tuple(kernel_size)
        self.pool_size, self.dropout_keep_amt = pool_size, dropout_keep_amt
        self.conv = layers.Conv2D(filters, self.kernel_size, padding="same", use_bias=False,
                                  kernel_initializer=_initializer())
        self.norm = whole_batch.BatchNormalization(scale=False, epsilon=1e-3, momentum=0.999)
        self.dropout = whole_batch.Dropout(1 - dropout_keep_amt)

    def build(self, input_shape):
        """Builds the parts."""
        self.conv.build(input_shape)
        self.norm.build((*input_shape[:-1], self.filters))

    def call(self, x, training=False):
        """`[batch, frames, bins, channels]` to `[batch, frames, bins // pool_size, filters]`."""
        x = ops.relu(self.norm.of_convolution(self.conv, x, training=training))
        if self.pool_size > 1:
            x = ops.max_pool(x, (1, self.pool_size))
        return self.dropout(x, training=training)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size,
                "pool_size": self.pool_size, "dropout_keep_amt": self.dropout_keep_amt}


@keras.saving.register_keras_serializable(package="style_transfer")
class AcousticStack(layers.Layer):
    """What reads the spectrogram for one head: convolutions, a dense layer, perhaps LSTMs.

    Args:
        temporal_sizes: Frames each convolution sees.
        freq_sizes: Bins each convolution sees.
        num_filters: Channels of each convolution.
        pool_sizes: Bins that become one after each convolution.
        dropout_keep_amts: Part of the activations kept after each convolution in training.
        fc_size: Width of the dense layer.
        fc_dropout_keep_amt: Part of the activations kept after it in training.
        lstm_units: Units of each direction of the LSTMs, 0 for none.
        rnn_stack_size: How many LSTMs.
    """

    def __init__(self, temporal_sizes=(3, 3, 3), freq_sizes=(3, 3, 3), num_filters=(48, 48, 96),
                 pool_sizes=(1, 2, 2), dropout_keep_amts=(1.0, 0.75, 0.75), fc_size=768,
                 fc_dropout_keep_amt=0.5, lstm_units=0, rnn_stack_size=1, **kwargs):
        super().__init__(**kwargs)
        self.temporal_sizes, self.freq_sizes = tuple(temporal_sizes), tuple(freq_sizes)
        self.num_filters, self.pool_sizes = tuple(num_filters), tuple(pool_sizes)
        self.dropout_keep_amts, self.fc_size = tuple(dropout_keep_amts), fc_size
        self.fc_dropout_keep_amt = fc_dropout_keep_amt
        self.lstm_units, self.rnn_stack_size = lstm_units, rnn_stack_size
        sizes = {name: getattr(self, name) for name in _CONV_HPARAMS}
        if len({len(value) for value in sizes.values()}) != 1:
            raise ValueError("These need one value for each convolution, but differ in length: "
                             + ", ".join(f"{n}={list(v)}" for n, v in sizes.items()) + ".")
        self.convs = [ConvBlock(filters, (frames, bins), pool, keep) for frames, bins, filters,
                      pool, keep in zip(*sizes.values(), strict=True)]
        self.fc_end = layers.Dense(fc_size, activation="relu", kernel_initializer=_initializer())
        self.dropout_end = whole_batch.Dropout(1 - fc_dropout_keep_amt)
        self.lstms = bidirectional_lstms(lstm_units, rnn_stack_size)

    @property
    def output_size(self):
        """Channels of the output."""
        return output_size(self.lstms, self.fc_size)

    def build(self, input_shape):
        """Builds the parts."""
        bins, channels = input_shape[2:]
        for conv in self.convs:
            conv.build((None, None, bins, channels))
            bins, channels = bins // conv.pool_size, conv.filters
        self.fc_end.build((None, None, bins * channels))
        build_stack(self.lstms, self.fc_size)

    def features(self, x, training=False):
        """What the LSTMs read, `[batch, frames, fc_size]`; `x` as for `call`."""
        for conv in self.convs:
            x = conv(x, training=training)
        x = ops.reshape(x, (*ops.shape(x)[:2], x.shape[2] * x.shape[3]))
        return self.dropout_end(self.fc_end(x), training=training)

    def call(self, x, training=False, is_valid=None):
        """`[batch, frames, bins, 1]` to `[batch, frames, output_size]`.

        Args:
            x: Spectrogram.
            training: Whether dropout and batch statistics are used.
            is_valid: Which frames the LSTMs see, `[batch, frames]`; None for all.
        """
        return run_stack(self.lstms, self.features(x, training=training), training, is_valid)

    def get_config(self):
        """Constructor arguments."""
        names = (*_CONV_HPARAMS, "fc_size", "fc_dropout_keep_amt", "lstm_units", "rnn_stack_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


_CONV_HPARAMS = ("temporal_sizes", "freq_sizes", "num_filters", "pool_sizes", "dropout_keep_amts")
_STACK_HPARAMS = (*_CONV_HPARAMS, "fc_size", "fc_dropout_keep_amt")


def _initializer():
    return keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")


@keras.saving.register_keras_serializable(package="style_transfer")
class OnsetsFrames(keras.Model):
    """Piano audio to onsets, offsets, velocities and frames of 88 keys.

    Four stacks read the spectrogram; the frames come from an LSTM over what the onset, offset and
    activation stacks found.

    Args:
        sample_rate: Hz.
        spec_hop_length: Samples between frames.
        spec_n_bins: Mel bands.
        spec_fmin: Lower edge of the lowest band, Hz.
        spec_mel_htk: Whether the mel scale is HTK's, else Slaney's.
        onset_lstm_units: Units of each direction of the onset stack's LSTM; 0 for none.
        offset_lstm_units: The same of the offset stack.
        velocity_lstm_units: The same of the velocity stack.
        frame_lstm_units: The same of the activation stack.
        combined_lstm_units: The same of the LSTM that the frames come from.
        acoustic_rnn_stack_size: How many LSTMs a stack has.
        combined_rnn_stack_size: How many the frames come from.
        activation_loss: Whether the outputs have `activation` too, for its loss.
        stop_activation_gradient: Whether the frames' loss leaves the activation stack alone.
        stop_onset_gradient: The same of the onset stack.
        stop_offset_gradient: The same of the offset stack.
        share_conv_features: Whether activations come from the onset stack.
        use_lengths: Whether LSTMs stop where `heads` is told that a recording ends.
        temporal_sizes: This and the following: see `AcousticStack`.
    """

    def __init__(self, sample_rate=16000, spec_hop_length=512, spec_n_bins=229, spec_fmin=30.0,
                 spec_mel_htk=True, onset_lstm_units=256, offset_lstm_units=256,
                 velocity_lstm_units=0, frame_lstm_units=0, combined_lstm_units=256,
                 acoustic_rnn_stack_size=1, combined_rnn_stack_size=1, activation_loss=False,
                 stop_activation_gradient=False, stop_onset_gradient=True,
                 stop_offset_gradient=True, share_conv_features=False, use_lengths=False,
                 temporal_sizes=(3, 3, 3), freq_sizes=(3, 3, 3), num_filters=(48, 48, 96),
                 pool_sizes=(1, 2, 2), dropout_keep_amts=(1.0, 0.75, 0.75), fc_size=768,
                 fc_dropout_keep_amt=0.5, **kwargs):
        arguments = {name: tuple(value) if isinstance(value, list) else value
                     for name, value in locals().items() if name in _HPARAMS}
        super().__init__(**kwargs)
        if stop_activation_gradient and not activation_loss:
            raise ValueError("With stop_activation_gradient nothing would train the activations: "
                             "set activation_loss too.")
        self._hparams = arguments
        self.sample_rate, self.hop_length = sample_rate, spec_hop_length
        self.frames_per_second = sample_rate / spec_hop_length
        self.context_secs = CONTEXT_SECS

        stack = {name: arguments[name] for name in _STACK_HPARAMS}
        stack["rnn_stack_size"] = acoustic_rnn_stack_size
        self.onsets = AcousticStack(lstm_units=onset_lstm_units, **stack)
        self.offsets = AcousticStack(lstm_units=offset_lstm_units, **stack)
        self.velocity = AcousticStack(lstm_units=velocity_lstm_units, **stack)
        self.frame = (self.onsets if share_conv_features
                      else AcousticStack(lstm_units=frame_lstm_units, **stack))
        self.combined = bidirectional_lstms(combined_lstm_units, combined_rnn_stack_size)
        self.onset_probs, self.offset_probs = layers.Dense(NUM_KEYS), layers.Dense(NUM_KEYS)
        self.onset_velocities = layers.Dense(NUM_KEYS)
        self.activation_probs, self.frame_probs = layers.Dense(NUM_KEYS), layers.Dense(NUM_KEYS)

    def build(self, input_shape=None):
        """Builds the parts, once."""
        if self.frame_probs.built:  # Keras has built what it made from a config
            return
        for stack, head in ((self.onsets, self.onset_probs), (self.offsets, self.offset_probs),
                            (self.velocity, self.onset_velocities),
                            (self.frame, self.activation_probs)):
            if not stack.built:
                stack.build((None, None, self._hparams["spec_n_bins"], 1))
            head.build((None, None, stack.output_size))
        build_stack(self.combined, 3 * NUM_KEYS)
        self.frame_probs.build((None, None, output_size(self.combined, 3 * NUM_KEYS)))
        self.built = True

    def spectrogram(self, audio, loudest_db=None):
        """Log-mel spectrogram as Magenta's, with the audio mirrored at both ends.

        Args:
            audio: Shape `[batch, samples]`.
            loudest_db: Highest value of the recording that `audio` is a part of, `[batch, 1, 1]`:
                nothing goes more than `RANGE_DB` below. By default that of `audio`.

        Returns:
            dB, shape `[batch, 1 + samples // hop_length, spec_n_bins]`.
        """
        matrix = mel.matrix(self._hparams["sample_rate"], FFT_SIZE, self._hparams["spec_n_bins"],
                            self._hparams["spec_fmin"], self._hparams["spec_mel_htk"])
        power = power_mel(audio, matrix, self.hop_length)
        db = 10 * ops.log10(ops.maximum(power, MIN_POWER))
        if loudest_db is None:
            loudest_db = ops.max(db, axis=(1, 2), keepdims=True)
        return ops.maximum(db, loudest_db - RANGE_DB)

    def heads(self, spectrogram, training=False, lengths=None):
        """Outputs from `spectrogram`'s result; see `call`.

        Args:
            spectrogram: Shape `[batch, frames, spec_n_bins]`.
            training: Whether dropout and batch statistics are used.
            lengths: Frames of each recording, `[batch]`, for `use_lengths`.
        """
        is_valid = self._is_valid(spectrogram, lengths)
        x = spectrogram[..., None]
        onset_features = self.onsets(x, training=training, is_valid=is_valid)
        onset = self.onset_probs(onset_features)
        offset = self.offset_probs(self.offsets(x, training=training, is_valid=is_valid))
        velocity = self.onset_velocities(self.velocity(x, training=training, is_valid=is_valid))
        features = (onset_features if self._hparams["share_conv_features"]
                    else self.frame(x, training=training, is_valid=is_valid))
        activation = self.activation_probs(features)
        frame = self._frames(onset, activation, offset, training, is_valid)
        outputs = {"onset": onset, "offset": offset, "frame": frame, "velocity": velocity}
        return {**outputs, "activation": activation} if self._hparams["activation_loss"] \
            else outputs

    def _is_valid(self, spectrogram, lengths):
        if lengths is None or not self._hparams["use_lengths"]:
            return None
        return ops.arange(ops.shape(spectrogram)[1])[None] < ops.cast(lengths, "int32")[:, None]

    def _frames(self, onset, activation, offset, training, is_valid):
        parts = []
        for name, logits in (("onset", onset), ("activation", activation), ("offset", offset)):
            probs = ops.sigmoid(logits)
            is_stopped = self._hparams[f"stop_{name}_gradient"]
            parts.append(ops.stop_gradient(probs) if is_stopped else probs)
        x = run_stack(self.combined, ops.concatenate(parts, axis=-1), training, is_valid)
        return self.frame_probs(x)

    def call(self, audio, training=False):
        """Transcribes.

        Args:
            audio: Shape `[batch, samples]`.
            training: Whether dropout and batch statistics are used.

        Returns:
            A dict of `onset`, `offset` and `frame` (string sounding): logits `[batch, frames, 88]`;
            `velocity` `[batch, frames, 88]`, 1 for the loudest note; `activation` with
            `activation_loss`. Frame `t` is around sample `t * hop_length`.
        """
        return self.heads(self.spectrogram(audio), training=training)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._hparams}


_HPARAMS = (
    "sample_rate", "spec_hop_length", "spec_n_bins", "spec_fmin", "spec_mel_htk",
    "onset_lstm_units", "offset_lstm_units", "velocity_lstm_units", "frame_lstm_units",
    "combined_lstm_units", "acoustic_rnn_stack_size", "combined_rnn_stack_size", "activation_loss",
    "stop_activation_gradient", "stop_onset_gradient", "stop_offset_gradient",
    "share_conv_features", "use_lengths", *_STACK_HPARAMS)
