"""`piano_ddsp`: a piano inferred from a clip of it, played from notes.

Two encoders (log-mel of the style clip -> CNN -> style vector; piano roll -> TCN) are merged by
concatenation and dense fusion, a TCN decodes the fused frames, and a dense net turns each note's
key, velocity, decoded frame and style into the controls of `synthesis.modal`.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from style_transfer import piano_roll, replicas
from style_transfer.layers.style_encoder import StyleEncoder
from style_transfer.synthesis import expected_power, modal

LOW_HZ, HIGH_HZ = 27.5, 11_500.0
NUM_ANCHORS = 22
NUM_DECAY_BANDS = 16
NUM_ROOM_BANDS = 16
NUM_INDEXED_AMPLITUDES = 64
NUM_INDEXED_DECAYS = 32
NEVER_SECS = 1e4
# What raw outputs of the nets mean. An output of 0 is a plain piano; scales and ranges keep a net
# that is not trained yet, or badly, within what one can hear. `LOG_` are natural logarithms.
AMPLITUDE_NEPERS = NOISE_NEPERS = ROOM_NEPERS = 2.0  # of an output of 1; noise: of power
SOFTEST_VELOCITY = 0.02  # added to velocities, so that the softest note has a logarithm
STRIKE_EXPONENT, NOISE_STRIKE_EXPONENT = 1.3, 2.0  # of velocity, in amplitude and in power
LOG_AMPLITUDE, AMPLITUDE_SLOPE, AMPLITUDE_CORNER_HZ = -2.7, 1.1, 200.0  # falls above the corner
LOG_AMPLITUDE_RANGE = (-16.0, 1.5)
LOG_DECAY, DECAY_SLOPE, DECAY_HZ = 0.7, 0.5, 300.0  # 1/s at that frequency, and how it rises
LOG_DECAY_RANGE = (-3.0, 5.0)
AFTERSOUND_DECAY_LOGIT, AFTERSOUND_LOGIT = -1.0, -1.5  # shares of the decay and of the amplitude
LOG_DAMPING, LOG_DAMPING_RANGE = 2.5, (-4.0, 6.0)  # 1/s
MAX_BEAT_CENTS, BEAT_LOGIT = 40.0, -4.0
LOG_ATTACK_SECS, LOG_ATTACK_RANGE = -6.5, (-9.0, -2.0)
LOG_HAMMER_POWER, LOG_DAMPER_POWER, LOG_NOISE_RANGE = -14.0, -17.0, (-30.0, 0.0)
LOG_BACKGROUND_POWER = -21.0
LOG_ROOM_LEVEL, LOG_ROOM_LEVEL_RANGE = -6.5, (-16.0, -1.0)
LOG_ROOM_DECAY, LOG_ROOM_DECAY_RANGE = 2.3, (0.5, 5.0)  # 1/s


def _noise_constants():
    return len(modal.NOISE_TIME_CONSTANTS_SECS)


def _tcn(filters, dilations, name):
    from tcn import TCN  # imports TensorFlow

    return TCN(nb_filters=filters, kernel_size=3, dilations=list(dilations), padding="causal",
               use_skip_connections=True, return_sequences=True, name=name)


@keras.saving.register_keras_serializable(package="style_transfer")
class PianoDDSP(keras.Model):
    """Plays notes on the piano of a style clip.

    Args:
        sample_rate: Hz.
        hop: Samples between the nodes of the synthesizer's envelopes.
        style_size: Length of the style vector.
        width: Width of the dense fusion of a note.
        num_layers: Hidden layers of the dense fusion.
        context_filters: Filters of the two TCNs.
        dilations: Dilations of the two TCNs (causal, kernel 3).
        num_partials: Partials of a note.
        num_bands: Mel-spaced bands of amplitudes and noise.
        num_oscillators: Oscillators that a crop plays at once while training; the quietest go.
        room_secs: Length of the room's impulse response.
        warmup_secs: Seconds at the crop's start that are played but not given back, so that notes
            and room have built up.
        seed: Seed of noise and phases.
    """

    def __init__(self, sample_rate=24_000, hop=128, style_size=64, width=320, num_layers=3,
                 context_filters=48, dilations=(1, 2, 4, 8, 16), num_partials=160, num_bands=36,
                 num_oscillators=2304, room_secs=0.7, warmup_secs=0.5, seed=0, **kwargs):
        super().__init__(**kwargs)
        # Layers
        self.style_encoder = StyleEncoder(style_size, sample_rate=sample_rate, name="style_encoder")
        self.roll_dense = layers.Dense(context_filters, activation="gelu", name="roll_dense")
        self.midi_encoder = _tcn(context_filters, dilations, "midi_encoder")
        self.frame_fusion = layers.Dense(context_filters, activation="gelu", name="frame_fusion")
        self.decoder = _tcn(context_filters, dilations, "decoder")
        self.background = layers.Dense(num_bands, kernel_initializer=_small(), name="background")
        self.note_fusion = [layers.Dense(width, activation="gelu", name=f"note_fusion_{i}")
                            for i in range(num_layers)]
        self.head_sizes = {
            "amplitude": NUM_INDEXED_AMPLITUDES, "amplitude_bands": num_bands,
            "decay": NUM_INDEXED_DECAYS, "decay_bands": NUM_DECAY_BANDS,
            "aftersound_decay_bands": NUM_DECAY_BANDS, "aftersound_bands": NUM_DECAY_BANDS,
            "damping_bands": NUM_DECAY_BANDS, "beat": 1, "attack": 1, "level": 1,
            "noise": num_bands * _noise_constants(), "damper_noise": num_bands + _noise_constants()}
        self.num_outputs = sum(self.head_sizes.values())
        self.note_head = layers.Dense(self.num_outputs, kernel_initializer=_small(),
                                      name="note_head")
        self.room_head = layers.Dense(2 * NUM_ROOM_BANDS, kernel_initializer=_small(),
                                      name="room_head")
        self.random = keras.random.SeedGenerator(seed)
        # Config
        self.sample_rate, self.hop, self.style_size = sample_rate, hop, style_size
        self.width, self.num_layers = width, num_layers
        self.context_filters, self.dilations = context_filters, tuple(dilations)
        self.num_partials, self.num_bands = num_partials, num_bands
        self.num_oscillators, self.room_secs = num_oscillators, room_secs
        self.warmup_secs, self.seed = warmup_secs, seed

    def build(self, input_shape=None):
        """Builds all layers; sizes do not depend on the input."""
        style = self.encode_style(np.zeros((1, self.sample_rate // 2), np.float32))
        frames, _ = self.decode_frames(np.zeros((1, 4, piano_roll.ROLL_DEPTH), np.float32), style)
        self.note_outputs(np.zeros((1, 4), np.int32), np.zeros((1, 4), np.float32), frames, style)
        self.room_controls(style)
        self.built = True

    @property
    def receptive_field_frames(self):
        """How many frames back a decoded frame can see, both TCNs together."""
        return 2 * 2 * (3 - 1) * sum(self.dilations) + 1

    def encode_style(self, style_audio):
        """Style vectors `[batch, style_size]` of clips `[batch, samples]`."""
        return self.style_encoder(style_audio)

    def decode_frames(self, roll, style):
        """Fuses MIDI frames with the style and decodes them.

        Args:
            roll: `[batch, frames, 179]` from `piano_roll.roll`.
            style: `[batch, style_size]`.

        Returns:
            Contexts `[batch, frames, context_filters]` and log powers of the background noise
            `[batch, frames, num_bands]`.
        """
        midi = self.midi_encoder(self.roll_dense(roll))
        styles = ops.broadcast_to(style[:, None, :],
                                  (ops.shape(midi)[0], ops.shape(midi)[1], self.style_size))
        frames = self.decoder(self.frame_fusion(ops.concatenate([midi, styles], axis=-1)))
        return frames, self.background(frames) + LOG_BACKGROUND_POWER

    def note_outputs(self, key, velocity, context, style):
        """Raw outputs of the note net.

        Args:
            key: `[batch, notes]` int, 0 to 87.
            velocity: `[batch, notes]`, 0 to 1.
            context: Decoded frame at the onset, `[batch, notes, context_filters]`.
            style: `[batch, style_size]`.

        Returns:
            `[batch, notes, num_outputs]`.
        """
        notes = ops.shape(key)[1]
        styles = ops.broadcast_to(style[:, None, :], (ops.shape(key)[0], notes, self.style_size))
        position = ops.cast(key, "float32")[..., None] / 87.0
        loudness = velocity[..., None]
        features = ops.concatenate([
            key_weights(key), position, loudness, ops.square(loudness), position * loudness,
            ops.log(loudness + SOFTEST_VELOCITY), context, styles], axis=-1)
        x = self.note_fusion[0](features)
        for dense in self.note_fusion[1:]:
            x = x + dense(ops.concatenate([x, styles], axis=-1))
        return self.note_head(x)

    def note_controls(self, outputs, key, velocity, f0_hz, inharmonicity, high_hz=HIGH_HZ):
        """Raw outputs -> physical controls of each note.

        Args:
            outputs: `[batch, notes, num_outputs]`.
            key: `[batch, notes]` int.
            velocity: `[batch, notes]`; a note of velocity 0 is silent.
            f0_hz: Fundamentals of the piano's keys, `[batch, 88]`.
            inharmonicity: Their stiffness, `[batch, 88]`.
            high_hz: Partials from here on are silent. Above `HIGH_HZ` the highest band's
                deviations from a plain piano go on.

        Returns:
            Dict of `frequency_hz`, `amplitude`, `decay`, `aftersound_decay`, `aftersound`,
            `damping`, `beat_hz` (each `[batch, notes, num_partials]`), `attack_secs`
            `[batch, notes]`, `noise` and `damper_noise` (powers,
            `[batch, notes, num_bands, constants]`).
        """
        raw = self._split(outputs)
        frequency = modal.partial_frequencies(_take(f0_hz, key), _take(inharmonicity, key),
                                              self.num_partials)
        fine = modal.band_weights(frequency, self.num_bands, LOW_HZ, HIGH_HZ)
        coarse = modal.band_weights(frequency, NUM_DECAY_BANDS, LOW_HZ, HIGH_HZ)

        def in_bands(name, weights):
            return ops.squeeze(ops.matmul(weights, raw[name][..., None]), axis=-1)

        def by_index(name):
            value = raw[name][..., :self.num_partials]
            return ops.pad(value, ((0, 0), (0, 0), (0, self.num_partials - value.shape[-1])))

        log_amplitude = (_amplitude_prior(frequency, velocity)
                         + AMPLITUDE_NEPERS * by_index("amplitude")
                         + AMPLITUDE_NEPERS * in_bands("amplitude_bands", fine)
                         + AMPLITUDE_NEPERS * raw["level"])
        audible = ops.cast((frequency < high_hz) & (velocity[..., None] > 0), "float32")
        decay = _exp(DECAY_SLOPE * ops.log(frequency / DECAY_HZ) + LOG_DECAY + by_index("decay")
                     + in_bands("decay_bands", coarse), *LOG_DECAY_RANGE)
        slower = ops.sigmoid(in_bands("aftersound_decay_bands", coarse) + AFTERSOUND_DECAY_LOGIT)
        beat_cents = MAX_BEAT_CENTS * ops.sigmoid(raw["beat"] + BEAT_LOGIT)
        sounding = ops.cast(velocity > 0, "float32")[..., None, None]
        noise = ops.reshape(raw["noise"], (*_lead(raw["noise"]), self.num_bands, -1))
        damper = (raw["damper_noise"][..., :self.num_bands, None]
                  + raw["damper_noise"][..., None, self.num_bands:])
        strike = NOISE_STRIKE_EXPONENT * ops.log(velocity + SOFTEST_VELOCITY)[..., None, None]
        return {
            "frequency_hz": frequency,
            "amplitude": _exp(log_amplitude, *LOG_AMPLITUDE_RANGE) * audible,
            "decay": decay,
            "aftersound_decay": decay * slower,
            "aftersound": ops.sigmoid(in_bands("aftersound_bands", coarse) + AFTERSOUND_LOGIT),
            "damping": _exp(in_bands("damping_bands", coarse) + LOG_DAMPING, *LOG_DAMPING_RANGE),
            "beat_hz": frequency * (beat_cents * (math.log(2.0) / 1200.0)),
            "attack_secs": _exp(raw["attack"][..., 0] + LOG_ATTACK_SECS, *LOG_ATTACK_RANGE),
            "noise": _exp(NOISE_NEPERS * noise + strike + LOG_HAMMER_POWER,
                          *LOG_NOISE_RANGE) * sounding,
            "damper_noise": _exp(NOISE_NEPERS * damper + LOG_DAMPER_POWER,
                                 *LOG_NOISE_RANGE) * sounding,
        }

    def room_controls(self, style, correction=0.0):
        """Level and decay of the room, each `[batch, bands]`."""
        raw = self.room_head(style) + correction
        level = _exp(ROOM_NEPERS * raw[:, :NUM_ROOM_BANDS] + LOG_ROOM_LEVEL, *LOG_ROOM_LEVEL_RANGE)
        return level, _exp(raw[:, NUM_ROOM_BANDS:] + LOG_ROOM_DECAY, *LOG_ROOM_DECAY_RANGE)

    def synthesize(self, controls, onset_secs, damped_secs, background, node_secs, phase, noise,
                   num_oscillators):
        """Controls -> dry audio at nodes `node_secs`.

        Args:
            controls: From `note_controls`.
            onset_secs: `[batch, notes]`.
            damped_secs: `[batch, notes]`.
            background: Power of steady noise at nodes, `[batch, nodes, num_bands]`.
            node_secs: `[nodes]`.
            phase: Phases at node 0, `[batch, notes, num_partials]`.
            noise: White noise, `[batch, nodes, 2 * hop]`.
            num_oscillators: How many oscillators to play, the loudest.

        Returns:
            `[batch, (nodes - 1) * hop]`.
        """
        picked = self._loudest({**controls, "phase": phase}, onset_secs, damped_secs, node_secs,
                               num_oscillators)
        tone = modal.oscillator_sum(picked["frequency_hz"], *_envelopes(node_secs, picked),
                                    picked["phase"], self.hop, self.sample_rate)
        power = self._noise_powers(controls, onset_secs, damped_secs, background, node_secs)
        return tone + modal.filtered_noise(noise, power, LOW_HZ, HIGH_HZ, self.sample_rate)

    def add_room(self, audio, level, decay):
        """`audio` in the room: `[batch, samples]`, `[batch, bands]` twice."""
        response = modal.room_response(level, decay, self.room_noise, self.sample_rate)
        return modal.convolve(audio, response)

    @property
    def room_noise(self):
        """Fixed diffuse noise of the room, `[bands, samples]`."""
        return self.room_noise_at(self.sample_rate)

    def room_noise_at(self, sample_rate, stream=0):
        """`room_noise` at a rate from the model's on; other streams are independent."""
        noise = modal.room_noise(NUM_ROOM_BANDS, int(self.room_secs * sample_rate), LOW_HZ, HIGH_HZ,
                                 sample_rate, (self.seed, stream) if stream else self.seed)
        # As dense in frequency, whatever the rate.
        return noise * np.float32(math.sqrt(self.sample_rate / sample_rate))

    def play(self, style, notes, corrections=None, num_oscillators=None):
        """Audio of a crop from a style vector.

        Args:
            style: `[batch, style_size]`.
            notes: The batch's `note_*`, `roll`, `f0_hz` and `inharmonicity`.
            corrections: None or the `by_key` `[22, num_outputs]`, `by_velocity` `[num_outputs]`
                and `room` `[2 * bands]` of an adapted piano.
            num_oscillators: How many are played at once; None for the model's own number.

        Returns:
            `[batch, samples]`, without the warm-up.
        """
        num_frames = notes["roll"].shape[1]
        samples = num_frames * self.sample_rate // piano_roll.FRAMES_PER_SECOND
        nodes = -(-samples // self.hop) + 1
        node_secs = np.arange(nodes, dtype=np.float32) * (self.hop / self.sample_rate)
        controls, background, room = self._crop_controls(style, notes, corrections, node_secs)
        batch, count = ops.shape(notes["note_key"])[0], notes["note_key"].shape[1]
        phase = replicas.uniform((batch, count, self.num_partials), 0.0, 2 * math.pi,
                                 seed=self.random)
        noise = replicas.normal((batch, nodes, 2 * self.hop), seed=self.random)
        dry = self.synthesize(controls, notes["note_onset_secs"], notes["note_damped_secs"],
                              background, node_secs, phase, noise,
                              num_oscillators or self.num_oscillators)
        wet = self.add_room(dry[:, :samples], *room)
        return wet[:, int(self.warmup_secs * self.sample_rate):]

    def expected_magnitudes(self, style, notes, corrections=None, num_oscillators=None):
        """Magnitudes that `play`'s audio is expected to have: no phases, no noise, no audio.

        Args:
            style: As in `play`, as the next two.
            notes: As in `play`.
            corrections: As in `play`.
            num_oscillators: How many are counted, the loudest; None for the model's own number.

        Returns:
            Dict of window sizes to `[batch, frames, size // 2 + 1]`, with frames where
            `signal.spectral.sparse_mag` has those of audio without the warm-up.
        """
        spacing = expected_power.SPACING
        num_frames = notes["roll"].shape[1]
        samples = num_frames * self.sample_rate // piano_roll.FRAMES_PER_SECOND
        warmup = int(self.warmup_secs * self.sample_rate)
        before = -(-warmup // spacing)
        nodes = before + (samples - warmup) // spacing + 1
        node_secs = ((np.arange(nodes) - before) * spacing + warmup) / self.sample_rate
        node_secs = node_secs.astype(np.float32)
        controls, background, room = self._crop_controls(style, notes, corrections, node_secs)
        onset, damped = notes["note_onset_secs"], notes["note_damped_secs"]
        picked = self._loudest(controls, onset, damped, node_secs,
                               num_oscillators or self.num_oscillators)
        tone = sum(ops.square(part) for part in _envelopes(node_secs, picked))
        noise = self._noise_powers(controls, onset, damped, background, node_secs)
        return expected_power.magnitudes(
            picked["frequency_hz"], tone, noise, room, before, self.sample_rate,
            LOW_HZ, HIGH_HZ, self.room_secs)

    def _crop_controls(self, style, notes, corrections, node_secs):
        """Controls of a crop's notes, background noise at nodes, and the room."""
        key, velocity = notes["note_key"], notes["note_velocity"]
        frames, log_background = self.decode_frames(notes["roll"], style)
        context = _at_onsets(frames, notes["note_onset_secs"])
        outputs = self.note_outputs(key, velocity, context, style)
        room_correction = 0.0
        if corrections is not None:
            outputs = outputs + correct(corrections, key, velocity)
            room_correction = corrections["room"]
        controls = self.note_controls(outputs, key, velocity, notes["f0_hz"],
                                      notes["inharmonicity"])
        in_frame = (node_secs * piano_roll.FRAMES_PER_SECOND).astype(int)
        in_frame = np.clip(in_frame, 0, notes["roll"].shape[1] - 1)
        background = ops.exp(ops.take(log_background, in_frame, axis=1))
        return controls, background, self.room_controls(style, room_correction)

    def call(self, inputs, training=False):
        """What a batch (see `configs.piano_ddsp`) sounds like, without the warm-up.

        Audio `[batch, samples]`, or while training `expected_magnitudes`.
        """
        style = self.encode_style(inputs["style_audio"])
        return self.expected_magnitudes(style, inputs) if training else self.play(style, inputs)

    def get_config(self):
        """Constructor arguments."""
        names = ("sample_rate", "hop", "style_size", "width", "num_layers", "context_filters",
                 "dilations", "num_partials", "num_bands", "num_oscillators", "room_secs",
                 "warmup_secs", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _split(self, outputs):
        names, sizes = zip(*self.head_sizes.items(), strict=True)
        parts = ops.split(outputs, np.cumsum(sizes)[:-1].tolist(), axis=-1)
        return dict(zip(names, parts, strict=True))

    def _loudest(self, controls, onset_secs, damped_secs, node_secs, num_oscillators):
        """The `num_oscillators` partials that are loudest in the crop, flat over notes."""
        notes, partials = controls["amplitude"].shape[1:]
        late = ops.relu(node_secs[0] - onset_secs)[..., None]
        overdue = ops.relu(node_secs[0] - damped_secs)[..., None]
        begun = ops.cast(onset_secs < node_secs[-1], "float32")[..., None]
        score = ops.stop_gradient(controls["amplitude"] * begun * ops.exp(
            -controls["aftersound_decay"] * late - controls["damping"] * overdue))
        count = min(num_oscillators, notes * partials)
        _, index = ops.top_k(ops.reshape(score, (-1, notes * partials)), count, sorted=False)

        names = ("frequency_hz", "amplitude", "decay", "aftersound_decay", "aftersound", "beat_hz",
                 "attack_secs", "damping", "phase")
        values = {name: controls[name] for name in names if name in controls}
        values.update(onset=onset_secs, damped=damped_secs)
        per_note = [name for name, value in values.items() if len(value.shape) == 2]
        for name in per_note:
            values[name] = ops.repeat(values[name][..., None], partials, axis=-1)
        # Rows of all values are gathered at once: the gradient of each gather is slow to trace.
        rows = ops.reshape(ops.stack(list(values.values()), axis=-1), (-1, len(values)))
        first = ops.arange(ops.shape(index)[0], dtype="int32")[:, None] * (notes * partials)
        picked = ops.take(rows, ops.cast(index, "int32") + first, axis=0)
        return dict(zip(values, ops.unstack(picked, len(values), axis=-1), strict=True))

    @staticmethod
    def _noise_powers(controls, onset_secs, damped_secs, background, node_secs):
        """Noise of hammers, dampers and background, `[batch, nodes, bands]`."""
        return (background + modal.noise_powers(node_secs, onset_secs, controls["noise"])
                + modal.noise_powers(node_secs, damped_secs, controls["damper_noise"]))


def key_weights(key):
    """Smooth position of keys on the keyboard: weights of 22 anchors, `[..., 22]`, sum 1."""
    anchors = np.linspace(0, piano_roll.NUM_KEYS - 1, NUM_ANCHORS).astype(np.float32)
    spacing = anchors[1] - anchors[0]
    distance = (ops.cast(key, "float32")[..., None] - anchors) / spacing
    weights = ops.exp(-0.5 * ops.square(distance / 0.7))
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def correct(corrections, key, velocity):
    """What an adapted piano adds to the note net's outputs, `[batch, notes, num_outputs]`."""
    by_key = ops.matmul(key_weights(key), corrections["by_key"])
    return by_key + (velocity[..., None] - 0.5) * corrections["by_velocity"]


def _envelopes(node_secs, picked):
    """Complex envelopes of what `_loudest` picked, real and imaginary part."""
    return modal.partial_envelopes(node_secs, *(picked[name] for name in (
        "onset", "damped", "amplitude", "decay", "aftersound_decay", "aftersound", "beat_hz",
        "attack_secs", "damping")))


def _small():
    return keras.initializers.RandomNormal(stddev=0.02)


def _exp(x, low, high):
    return ops.exp(ops.clip(x, low, high))


def _lead(x):
    return ops.shape(x)[:-1]


def _take(table, key):
    return ops.take_along_axis(table, ops.cast(key, "int32"), axis=1)


def _amplitude_prior(frequency_hz, velocity):
    """A plain piano: louder keys strike harder, high partials are weaker."""
    strike = STRIKE_EXPONENT * ops.log(velocity + SOFTEST_VELOCITY)[..., None]
    above = ops.maximum(frequency_hz, AMPLITUDE_CORNER_HZ) / AMPLITUDE_CORNER_HZ
    return strike + LOG_AMPLITUDE - AMPLITUDE_SLOPE * ops.log(above)


def _at_onsets(frames, onset_secs):
    """Decoded frames at note onsets; notes from before the crop get zeros."""
    index = ops.cast(piano_roll.frame_of(onset_secs), "int32")
    inside = ops.cast(index >= 0, "float32")[..., None]
    index = ops.clip(index, 0, frames.shape[1] - 1)
    return ops.take_along_axis(frames, index[..., None], axis=1) * inside
