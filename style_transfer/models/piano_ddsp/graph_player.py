"""Playing notes inside a graph, chunk by chunk: `generation.play` without Python."""

import math

import numpy as np
import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import notes as notes_lib
from style_transfer.models.piano_ddsp import net as piano_ddsp
from style_transfer.models.piano_ddsp import playing as generation
from style_transfer.synthesis import modal, una_corda, white_noise

CHUNK_NODES = generation.CHUNK_NODES
SEED = 0
_PER_PARTIAL = ("frequency_hz", "amplitude", "decay", "aftersound_decay", "aftersound", "damping",
                "beat_hz")


class Player:
    """Builds the graph that plays on pianos of one model.

    Args:
        model: A built `PianoDDSP`.
        chunk_nodes: Nodes (of `model.hop` samples) in a chunk.
    """

    def __init__(self, model, chunk_nodes=CHUNK_NODES):
        self.model, self.chunk_nodes = model, chunk_nodes
        rng = np.random.default_rng([SEED, 1])
        shape = (piano_roll.NUM_KEYS, model.num_partials)
        self.phase = rng.uniform(0, 2 * np.pi, shape).astype(np.float32)

    @property
    def max_secs(self):
        """How long a piece can be for sample counts to fit into an int32."""
        return (2**31 - 1) // (8 * self.model.sample_rate)

    def __call__(self, piano, table):
        """Audio of a piece at the model's rate, brought to the piano's loudness.

        Args:
            piano: Dict of `style` `[style_size]`, `f0_hz` and `inharmonicity` `[88]`,
                `loudness_db` scalar, `by_key` `[22, outputs]`, `by_velocity` `[outputs]` and
                `room` `[32]` (zeros where the piano was not adapted).
            table: A `notes.Table`.

        Returns:
            float32 `[num_samples]`.
        """
        model = self.model
        seconds = tf.reduce_max(table.damped_secs) + generation.TAIL_SECS + model.room_secs
        chunks = tf.math.ceil(seconds * model.sample_rate / model.hop / self.chunk_nodes)
        chunks = tf.maximum(tf.cast(chunks, tf.int32), 1)
        style = piano["style"][None]
        last_secs = tf.cast(chunks * self.chunk_nodes, tf.float64) * self._node_secs
        num_frames = tf.cast(piano_roll.frame_of(last_secs), tf.int32) + 1
        frames, background = model.decode_frames(notes_lib.roll(table, num_frames)[None], style)
        background = background[0]
        state = self._controls(piano, table, frames[0], num_frames)
        level, decay = model.room_controls(style, piano["room"])
        response = modal.room_response(level, decay, model.room_noise, model.sample_rate)[0]
        tail_size = response.shape[0] - 1

        def play_one(chunk, tail, sounds):
            dry = self._dry(chunk * self.chunk_nodes, state, background)
            wet, tail = self._in_room(dry, response, tail)
            return chunk + 1, tail, sounds.write(chunk, wet)

        sounds = tf.TensorArray(tf.float32, chunks, element_shape=[self.chunk_nodes * model.hop])
        _, _, sounds = tf.while_loop(
            lambda chunk, *_: chunk < chunks, play_one,
            (tf.constant(0), tf.zeros([tail_size]), sounds), parallel_iterations=1)
        return at_loudness(tf.reshape(sounds.stack(), [-1]), piano["loudness_db"])

    @property
    def _node_secs(self):
        return self.model.hop / self.model.sample_rate

    def _controls(self, piano, table, frames, num_frames):
        """Controls of all notes, some at a time, since they widen a lot on their way."""
        frame = tf.cast(piano_roll.frame_of(table.onset_secs), tf.int32)
        inside = (frame >= 0) & (frame < num_frames)
        soft = notes_lib.step(table.pedals[piano_roll.SOFT], table.onset_secs)
        key, velocity, onset, damped, frame, soft = (tf.boolean_mask(v, inside) for v in (
            table.key, table.velocity, table.onset_secs, table.damped_secs, frame, soft))
        size = generation.NOTE_BATCH
        count = tf.size(key)
        batches = tf.maximum(-(-count // size), 1)

        def padded(value):
            short = tf.pad(value, [[0, batches * size - count]])
            return tf.reshape(short, tf.stack([batches, size]))

        def control(batch):
            keys, velocities, frame, soft = (value[None] for value in batch)
            controls = self._note_controls(piano, keys, velocities, tf.gather(frames, frame), soft)
            return {name: value[0] for name, value in controls.items()}

        shapes = self._control_shapes()
        values = tf.map_fn(control, [padded(v) for v in (key, velocity, frame, soft)],
                           fn_output_signature={name: tf.TensorSpec((size, *shape))
                                                for name, shape in shapes.items()},
                           parallel_iterations=1)
        controls = {name: tf.reshape(values[name], (-1, *shape))[:count]
                    for name, shape in shapes.items()}
        controls |= {"key": key, "onset": onset, "damped": damped}
        controls["end"] = self._end_secs(controls)
        controls["note_end"] = tf.reduce_max(controls["end"], axis=1)
        return controls

    def _control_shapes(self):
        model = self.model
        bursts = model.num_bands, len(modal.NOISE_TIME_CONSTANTS_SECS)
        return {**dict.fromkeys(_PER_PARTIAL, (model.num_partials,)), "attack_secs": (),
                "noise": bursts, "damper_noise": bursts}

    def _note_controls(self, piano, key, velocity, context, soft):
        model = self.model
        corrections = {name: piano[name] for name in ("by_key", "by_velocity")}
        outputs = model.note_outputs(key, velocity, context, piano["style"][None])
        outputs = outputs + piano_ddsp.correct(corrections, key, velocity)
        controls = model.note_controls(outputs, key, velocity, piano["f0_hz"][None],
                                       piano["inharmonicity"][None])
        controls = una_corda.soften(controls, soft)
        return {name: controls[name] for name in self._control_shapes()}

    def _end_secs(self, controls):
        """When each partial falls below what can be heard; -inf for those never heard."""
        double = {name: tf.cast(controls[name], tf.float64) for name in
                  ("amplitude", "aftersound_decay", "damping")}
        nepers = tf.math.log(double["amplitude"] / generation.INAUDIBLE)
        slow = double["aftersound_decay"]
        onset, damped = controls["onset"][:, None], controls["damped"][:, None]
        held = damped - onset
        rings_out = onset + nepers / slow
        is_damped = damped + (nepers - slow * held) / (slow + double["damping"])
        end = tf.where(slow * held > nepers, rings_out, is_damped)
        heard = double["amplitude"] > np.float64(np.float32(generation.INAUDIBLE))
        return tf.where(heard, end, tf.constant(-math.inf, tf.float64))

    def _dry(self, first_node, state, background):
        """Dry samples of the chunk's nodes: `generation._Player.dry`."""
        model = self.model
        nodes = tf.range(self.chunk_nodes + 1)
        node_secs64 = tf.cast(first_node + nodes, tf.float64) * self._node_secs
        start = node_secs64[0]
        node_secs = tf.cast(node_secs64 - start, tf.float32)
        frame = tf.cast(piano_roll.frame_of(node_secs64), tf.int32)
        power = tf.exp(tf.gather(background, frame))[None]
        power += self._burst_power(start, node_secs, state)
        noise = self._white_noise(first_node)
        hiss = modal.filtered_noise(noise, power, piano_ddsp.LOW_HZ, piano_ddsp.HIGH_HZ,
                                    model.sample_rate)
        return tf.ensure_shape(self._tone(first_node, start, node_secs, state)[0] + hiss[0],
                               [self.chunk_nodes * model.hop])

    def _tone(self, first_node, start, node_secs, state):
        model = self.model
        until = start + tf.cast(node_secs[-1], tf.float64)
        sounding = (state["onset"] < until) & (state["note_end"] > start)
        notes = tf.where(sounding)[:, 0]
        cells = tf.where(tf.gather(state["end"], notes) > start)
        note = tf.gather(notes, cells[:, 0])
        index = tf.stack([note, cells[:, 1]], axis=1)
        osc = {name: tf.gather_nd(state[name], index)[None] for name in _PER_PARTIAL}
        osc["attack_secs"] = tf.gather(state["attack_secs"], note)[None]
        step = osc["frequency_hz"] * np.float32(model.hop / model.sample_rate)
        phase = tf.gather_nd(tf.constant(self.phase), tf.stack(
            [tf.cast(tf.gather(state["key"], note), tf.int64), cells[:, 1]], axis=1))[None]
        turns = tf.math.floormod(tf.cast(step, tf.float64) * tf.cast(first_node, tf.float64), 1.0)
        phase = tf.cast(tf.math.floormod(tf.cast(phase, tf.float64) + 2 * np.pi * turns,
                                         tf.constant(2 * np.pi, tf.float64)), tf.float32)
        secs = {name: tf.cast(tf.gather(state[name], note) - start, tf.float32)[None]
                for name in ("onset", "damped")}
        real, imaginary = modal.partial_envelopes(
            node_secs, secs["onset"], secs["damped"], osc["amplitude"], osc["decay"],
            osc["aftersound_decay"], osc["aftersound"], osc["beat_hz"], osc["attack_secs"],
            osc["damping"])
        return modal.oscillator_sum(osc["frequency_hz"], real, imaginary, phase, model.hop,
                                    model.sample_rate)

    def _burst_power(self, start, node_secs, state):
        power = 0.0
        for weights, times in (("noise", "onset"), ("damper_noise", "damped")):
            secs = state[times] - start
            near = (secs < tf.cast(node_secs[-1], tf.float64)) & (secs > -generation.NOISE_SECS)
            near &= state["damped"] > start - generation.NOISE_SECS
            power += modal.noise_powers(
                node_secs, tf.cast(tf.boolean_mask(secs, near), tf.float32)[None],
                tf.boolean_mask(state[weights], near)[None])
        return power

    def _white_noise(self, first_node):
        """Noise frames of the chunk's nodes, `[1, chunk_nodes + 1, 2 * hop]`."""
        size = generation.NOISE_BLOCK_NODES
        shape = (size, 2 * self.model.hop)
        first = first_node // size
        # As many blocks as a chunk can touch, wherever in a block it begins.
        count = self.chunk_nodes // size + 2
        blocks = tf.concat([white_noise.tensorflow_block(SEED, first + i, shape)
                            for i in range(count)], axis=0)
        skip = first_node - first * size
        some = blocks[skip:skip + self.chunk_nodes + 1]
        return tf.ensure_shape(some, (self.chunk_nodes + 1, 2 * self.model.hop))[None]

    def _in_room(self, dry, response, tail):
        silence = response.shape[0] - 1
        wet = modal.convolve(tf.pad(dry, [[0, silence]])[None], response[None])[0]
        wet += tf.pad(tail, [[0, dry.shape[0]]])
        return wet[:dry.shape[0]], wet[dry.shape[0]:]


def rms_db(samples):
    """`Audio.rms_db` of float32 `[num_samples]`, a float64 scalar."""
    power = tf.reduce_mean(tf.square(tf.cast(samples, tf.float64)))
    return tf.maximum(10 / math.log(10) * tf.math.log(power + 1e-30), -120.0)


def at_loudness(samples, level_db):
    """`audio.at_loudness`: scaled to an RMS level, lowered if it would clip."""
    level = rms_db(samples)
    gain = tf.pow(tf.constant(10.0, tf.float64),
                  (tf.cast(level_db, tf.float64) - level) / 20)
    peak = tf.cast(tf.reduce_max(tf.abs(samples)), tf.float64) * gain
    scaled = samples * tf.cast(gain / tf.maximum(peak, 1.0), tf.float32)
    return tf.where(level <= -120.0, samples, scaled)
