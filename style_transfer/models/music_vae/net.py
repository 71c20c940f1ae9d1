"""MusicVAE: a variational autoencoder of short melodies, drum patterns and trios.

A bidirectional LSTM reads a sequence into a latent vector, all of it or each segment by itself. A
flat decoder writes all of it from that vector; a hierarchical one has a conductor that writes an
embedding for each segment, and the decoder starts anew from each. Several tracks have a decoder
each, with the same embeddings.

Source: Roberts, Engel, Raffel, Hawthorne and Eck, 2018; Magenta 2.1.4, with its names of hparams.
"""

import math

import keras
from keras import layers, ops

from style_transfer import replicas
from style_transfer.layers.lstm import BidirectionalLstm
from style_transfer.models.music_vae.sequence_decoder import CategoricalDecoder, Conductor

SCHEDULES = ("constant", "exponential", "inverse_sigmoid")


def narrow_kernel():
    """Initial weights of what gives latent vectors; one a layer, since its seed is drawn here."""
    return keras.initializers.RandomNormal(stddev=0.001)


def kl_weight(step, max_beta, beta_rate):
    """Weight of the KL divergence after `step` training steps, rising to `max_beta`.

    Args:
        step: Steps done, a number or a scalar tensor.
        max_beta: Highest weight.
        beta_rate: What is left of the distance to it after each step; 0 for none.
    """
    return (1.0 - ops.power(float(beta_rate), ops.cast(step, "float32"))) * max_beta


def sampling_probability(step, sampling_schedule, sampling_rate):
    """How often the decoder is free-running instead of teacher-forced, after `step` training steps.

    Args:
        step: Steps done, a number or a scalar tensor.
        sampling_schedule: One of `SCHEDULES`.
        sampling_rate: The probability itself if constant, between 0 and 1; the part of the way to
            1 that is left after each step if exponential; the steepness, at least 1, if
            inverse_sigmoid: half after about `rate * log(rate)` steps.
    """
    step, rate = ops.cast(step, "float32"), float(sampling_rate)
    if sampling_schedule == "constant":
        return ops.full((), rate)
    if sampling_schedule == "exponential":
        return 1.0 - ops.power(rate, step)
    return ops.sigmoid(step / rate - math.log(rate))


def check_schedule(sampling_schedule, sampling_rate):
    """Raises a `ValueError` if the rate is none for the schedule, or there is no such schedule."""
    is_fine = {"constant": 0 <= sampling_rate <= 1, "exponential": 0 < sampling_rate < 1,
               "inverse_sigmoid": sampling_rate >= 1}
    if sampling_schedule not in is_fine:
        raise ValueError(f"sampling_schedule is {sampling_schedule!r}, expected one of "
                         f"{', '.join(SCHEDULES)}.")
    if not is_fine[sampling_schedule]:
        raise ValueError(f"sampling_rate={sampling_rate} does not suit sampling_schedule="
                         f"{sampling_schedule}: expected 0 to 1 for constant, more than 0 and less "
                         "than 1 for exponential, at least 1 for inverse_sigmoid.")


def slerp(first, last, fractions):
    """Spherical interpolation between latent vectors.

    Args:
        first: Shape `[z_size]`.
        last: Shape `[z_size]`.
        fractions: Where on the way, 0 for `first` and 1 for `last`, shape `[count]`.

    Returns:
        Shape `[count, z_size]`.

    Source: Shoemake, 1985, with the lengths of the vectors left as they are, as Magenta does.
    """
    fractions = ops.reshape(fractions, (-1, 1))
    cosine = ops.sum(first * last) / (ops.norm(first) * ops.norm(last))
    omega = ops.arccos(ops.clip(cosine, -1.0, 1.0))
    sine = ops.sin(omega)
    straight = (1.0 - fractions) * first + fractions * last
    safe = ops.where(ops.abs(sine) < 1e-6, 1.0, sine)
    round_ = (ops.sin((1.0 - fractions) * omega) * first + ops.sin(fractions * omega) * last) / safe
    return ops.where(ops.abs(sine) < 1e-6, straight, round_)


@keras.saving.register_keras_serializable(package="style_transfer")
class MusicVae(keras.Model):
    """Variational autoencoder of sequences of classes.

    Args:
        max_seq_len: Steps of a sequence.
        z_size: Size of the latent vector.
        enc_rnn_size: Units of the encoder's LSTMs in each direction.
        dec_rnn_size: Units of the decoder's LSTMs, and of the conductor's by default.
        input_depth: Features of a step that the encoder reads.
        output_depths: Classes of each track.
        level_lengths: Segments, and steps of each, for the hierarchical decoder; None for a flat
            one.
        enc_segments: Segments of a sequence that the encoder reads each by itself; the latent
            vector is told what it comes to in all of them. None for one that reads all steps.
        conductor_rnn_size: Units of the conductor's LSTMs; None for `dec_rnn_size`.
        conductor_input_size: See `Conductor`.
        chrono_bias: Whether new LSTMs of encoder and decoder remember over all steps that they go
            through, see `style_transfer.layers.lstm.chrono_bias`.
        max_beta: See `kl_weight`.
        beta_rate: See `kl_weight`.
        sampling_schedule: See `sampling_probability`; in training only.
        sampling_rate: See `sampling_probability`.
        seed: Seed of what is drawn.
    """

    def __init__(self, max_seq_len=32, z_size=256, enc_rnn_size=(512,), dec_rnn_size=(256, 256),
                 input_depth=90, output_depths=(90,), level_lengths=None, enc_segments=None,
                 conductor_rnn_size=None, conductor_input_size=0, chrono_bias=False,
                 max_beta=1.0, beta_rate=0.0, sampling_schedule="constant", sampling_rate=0.0,
                 seed=0, **kwargs):
        hparams = {name: tuple(value) if isinstance(value, list) else value
                   for name, value in locals().items() if name in _HPARAMS}
        super().__init__(**kwargs)
        check_schedule(sampling_schedule, sampling_rate)
        if level_lengths and math.prod(level_lengths) != max_seq_len:
            raise ValueError(f"level_lengths={list(level_lengths)} make {math.prod(level_lengths)} "
                             f"steps, but max_seq_len is {max_seq_len}.")
        if max_seq_len % (enc_segments or 1):
            raise ValueError(f"enc_segments={enc_segments} does not divide max_seq_len, which is "
                             f"{max_seq_len}.")
        self._hparams = hparams
        for name, value in hparams.items():
            setattr(self, name, value)

        def chrono(steps):
            return steps if chrono_bias else None

        self.encoder = [BidirectionalLstm(units, chrono(max_seq_len // (enc_segments or 1)),
                                          name=f"encoder_{i}")
                        for i, units in enumerate(enc_rnn_size)]
        self.mu = layers.Dense(z_size, kernel_initializer=narrow_kernel(), name="mu")
        self.sigma = layers.Dense(z_size, activation="softplus",
                                  kernel_initializer=narrow_kernel(), name="sigma")
        self.conductor = Conductor(conductor_rnn_size or dec_rnn_size, level_lengths[0],
                                   conductor_input_size) if level_lengths else None
        self.decoders = [CategoricalDecoder(
            dec_rnn_size, depth, chrono(level_lengths[-1] if level_lengths else max_seq_len),
            name=f"decoder_{i}") for i, depth in enumerate(output_depths)]
        self.seeds = keras.random.SeedGenerator(seed)

    def build(self, input_shape=None):
        """Builds the parts, once."""
        if self.mu.built:  # Keras has built what it made from a config
            return
        size = self.input_depth
        for lstm in self.encoder:
            lstm.build((None, None, size))
            size = 2 * lstm.units
        size *= self.enc_segments or 1
        self.mu.build((None, size))
        self.sigma.build((None, size))
        if self.conductor:
            self.conductor.build((None, self.z_size))
        for decoder in self.decoders:
            decoder.build((None, self.conductor.rnn_size[-1] if self.conductor else self.z_size))
        self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False,
                                    name="step", aggregation="only_first_replica")
        self.built = True

    @property
    def output_depth(self):
        """Classes of all tracks."""
        return sum(self.output_depths)

    def encode(self, inputs, lengths=None):
        """Means and standard deviations of the latent vectors.

        Args:
            inputs: Shape `[batch, steps, input_depth]`; with `enc_segments`, all `max_seq_len`.
            lengths: Steps of each sequence, shape `[batch]`; None for all.

        Returns:
            Both of shape `[batch, z_size]`.
        """
        x = ops.cast(inputs, self.compute_dtype)
        is_valid = None if lengths is None else \
            ops.arange(ops.shape(x)[1])[None] < ops.cast(lengths, "int32")[:, None]
        if self.enc_segments:
            x, is_valid = (each if each is None else ops.reshape(
                each, (-1, self.max_seq_len // self.enc_segments, *each.shape[2:]))
                for each in (x, is_valid))
        for lstm in self.encoder:
            x, last = lstm(x, is_valid=is_valid)
        if self.enc_segments:
            last = ops.reshape(last, (-1, self.enc_segments * last.shape[-1]))
        return self.mu(last), self.sigma(last)

    def decode(self, z, outputs, sampling_rate=None):
        """Logits of sequences, teacher-forced.

        Args:
            z: Latent vectors, shape `[batch, z_size]`.
            outputs: The sequences, one-hot for each track, `[batch, steps, output_depth]`.
            sampling_rate: How often a step is given what the decoder drew instead of the truth, the
                first of a segment excepted; None for never.

        Returns:
            Shape `[batch, steps, output_depth]`.
        """
        outputs = ops.cast(outputs, self.compute_dtype)
        previous = ops.pad(outputs[:, :-1], ((0, 0), (1, 0), (0, 0)))
        steps = outputs.shape[1]
        if self.conductor:
            z = ops.reshape(self.conductor(z), (-1, self.conductor.rnn_size[-1]))
            steps //= self.conductor.num_segments
        logits = [self._decode_track(decoder, z, ops.reshape(x, (-1, steps, x.shape[-1])),
                                     sampling_rate)
                  for decoder, x in zip(self.decoders, self._tracks(previous), strict=True)]
        return ops.reshape(ops.concatenate(logits, axis=-1), ops.shape(outputs))

    def _decode_track(self, decoder, z, previous, sampling_rate):
        if sampling_rate is None:
            return decoder(z, previous)
        shape = ops.shape(previous)
        is_own = replicas.uniform(shape[:2], seed=self.seeds) < sampling_rate
        is_own = ops.logical_and(is_own, ops.arange(previous.shape[1])[None] > 0)
        noise = replicas.uniform(shape, seed=self.seeds)
        # No gradient goes through what is drawn: once known, it is heard like the truth, all steps
        # at once, which is faster than to go back through the loop that drew it.
        drawn = ops.stop_gradient(decoder.feed_back(z, previous, is_own, noise)[1])
        drawn = ops.pad(drawn[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return decoder(z, ops.where(is_own[..., None], drawn, previous))

    def _tracks(self, x):
        stops = [sum(self.output_depths[:i + 1]) for i in range(len(self.output_depths) - 1)]
        return ops.split(x, stops, axis=-1) if stops else [x]

    def sample(self, z, temperature=1.0, seed=None, return_logits=False):
        """Sequences from latent vectors, free-running.

        Args:
            z: Latent vectors, shape `[count, z_size]`.
            temperature: What logits are divided by; 0 for the likeliest classes. May be a tensor.
            seed: An integer or `keras.random.SeedGenerator`; by default the model's own.
            return_logits: Whether logits are returned too.

        Returns:
            One-hot classes of each track, `[count, max_seq_len, output_depth]`; with
            `return_logits` the logits of the same shape too.
        """
        z = ops.convert_to_tensor(z, dtype=self.compute_dtype)
        embeddings = self.conductor(z) if self.conductor else z[:, None]
        segments = embeddings.shape[1]
        shape = (ops.shape(z)[0], segments, self.max_seq_len // segments, self.output_depth)
        xs = [embeddings]
        is_drawn = not isinstance(temperature, (int, float)) or temperature > 0
        if is_drawn:
            xs += [keras.random.uniform(shape, seed=self.seeds if seed is None else seed)]

        def body(carry, x):
            return (self._sample_segment(x[0], carry[0][:, -1], x[1] if is_drawn else None,
                                         temperature),) * 2

        nothing = ops.zeros((shape[0], *shape[2:]))
        _, found = ops.scan(body, [nothing, nothing], [ops.swapaxes(x, 0, 1) for x in xs])
        drawn, logits = (ops.reshape(ops.swapaxes(x, 0, 1),
                                     (-1, self.max_seq_len, self.output_depth)) for x in found)
        return (drawn, logits) if return_logits else drawn

    def _sample_segment(self, embedding, last, noise, temperature):
        steps = self.max_seq_len // (self.conductor.num_segments if self.conductor else 1)
        previous = ops.pad(last[:, None], ((0, 0), (0, steps - 1), (0, 0)))
        is_own = ops.broadcast_to(ops.arange(steps)[None] > 0, (ops.shape(last)[0], steps))
        noises = [None] * len(self.decoders) if noise is None else self._tracks(noise)
        found = [decoder.feed_back(embedding, track, is_own, part, temperature)[::-1] for
                 decoder, track, part in zip(self.decoders, self._tracks(previous), noises,
                                             strict=True)]
        return [ops.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)]

    def call(self, x, training=False):
        """Encodes and decodes.

        Args:
            x: A dict of `inputs` `[batch, steps, input_depth]`, `outputs` `[batch, steps,
                output_depth]` and perhaps `lengths` `[batch]`.
            training: Whether the decoder is sometimes free-running, as the schedule says, and the
                step is counted. Otherwise it always hears the truth.

        Returns:
            A dict of `logits` `[batch, steps, output_depth]`, `mu` and `sigma` `[batch, z_size]`,
            and `kl_weight` `[batch]`.
        """
        mu, sigma = self.encode(x["inputs"], x.get("lengths"))
        z = mu + sigma * replicas.normal(ops.shape(mu), seed=self.seeds)
        is_scheduled = training and (self.sampling_schedule, self.sampling_rate) != ("constant", 0)
        rate = sampling_probability(self.step, self.sampling_schedule, self.sampling_rate)
        logits = self.decode(z, x["outputs"], rate if is_scheduled else None)
        weight = kl_weight(self.step, self.max_beta, self.beta_rate)
        if training:
            self.step.assign_add(1)
        return {"logits": logits, "mu": mu, "sigma": sigma,
                "kl_weight": ops.broadcast_to(weight, ops.shape(mu)[:1])}

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._hparams}


_HPARAMS = ("max_seq_len", "z_size", "enc_rnn_size", "dec_rnn_size", "input_depth",
            "output_depths", "level_lengths", "enc_segments", "conductor_rnn_size",
            "conductor_input_size", "chrono_bias", "max_beta", "beta_rate", "sampling_schedule",
            "sampling_rate", "seed")
