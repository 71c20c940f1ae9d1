"""Playing notes inside a graph, chunk by chunk: `playing.play` without Python, in mono."""

import numpy as np
import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.graph import arrays
from style_transfer.models.piano_ddsp import net as piano_ddsp
from style_transfer.models.piano_ddsp import playing
from style_transfer.models.piano_ddsp import sound as sound_lib
from style_transfer.synthesis import modal, white_noise

SEED = 0
_PER_NOTE = ("attack_secs", "noise", "damper_noise")
_PACKED = (*sound_lib.PER_PARTIAL, "attack_secs", "onset", "damped", "phase")


class Player:
    """Builds the graph that plays on pianos of one model.

    Args:
        model: A built `PianoDDSP`.
        chunk_nodes: Nodes (of `model.hop` samples) in a chunk.
    """

    def __init__(self, model, chunk_nodes=playing.CHUNK_NODES):
        self.model, self.chunk_nodes = model, chunk_nodes
        self._node_secs = model.hop / model.sample_rate

    def __call__(self, piano, table):
        """Audio of a piece at the model's rate, brought to the piano's loudness.

        Args:
            piano: Dict of `style` `[style_size]`, `f0_hz` and `inharmonicity` `[88]`, the scalar
                `loudness_db`, `by_key` `[22, outputs]`, `by_velocity` `[outputs]` and `room`
                `[32]` (zeros where the piano was not adapted).
            table: A `notes.Table`.

        Returns:
            float32 `[num_samples]`.
        """
        model, style = self.model, piano["style"][None]
        chunks = tf.cast(playing.chunks_until(model, tf.reduce_max(table.damped_secs),
                                              self.chunk_nodes, arrays), tf.int32)
        num_frames = 1 + self._frames(chunks * self.chunk_nodes)
        frames, background = model.decode_frames(
            piano_roll.roll(table, 0.0, num_frames, xp=arrays)[None], style)
        notes = self._notes(piano, table, frames[0], num_frames)
        level, decay = model.room_controls(style, piano["room"])
        response = modal.room_response(level, decay, model.room_noise, model.sample_rate)
        silence, size = response.shape[1] - 1, self.chunk_nodes * model.hop

        def play_one(chunk, tail, sounds):
            dry = self._dry(chunk * self.chunk_nodes, notes, background[0])
            wet = modal.convolve(tf.pad(dry, [[0, 0], [0, silence]]), response)[0]
            wet += tf.pad(tail, [[0, size]])
            return chunk + 1, wet[size:], sounds.write(chunk, wet[:size])

        sounds = tf.TensorArray(tf.float32, chunks, element_shape=[size])
        _, _, sounds = tf.while_loop(
            lambda chunk, *_: chunk < chunks, play_one,
            (tf.constant(0), tf.zeros([silence]), sounds), parallel_iterations=1)
        return audio_lib.at_sounding_level(tf.reshape(sounds.stack(), [-1]), model.sample_rate,
                                           piano["loudness_db"], arrays)

    def _frames(self, nodes):
        """The frames in which nodes lie."""
        return tf.cast(piano_roll.frame_of(tf.cast(nodes, tf.float64) * self._node_secs), tf.int32)

    def _notes(self, piano, table, frames, num_frames):
        """Controls of all notes, some at a time, since they widen a lot on their way."""
        model, size = self.model, playing.NOTE_BATCH
        frame = tf.cast(piano_roll.frame_of(table.onset_secs), tf.int32)
        inside = (frame >= 0) & (frame < num_frames)
        soft = table.pedals.at(table.onset_secs, arrays)[:, piano_roll.SOFT]
        key, velocity, onset, damped, frame, soft = (column[inside] for column in (
            table.key, table.velocity, table.onset_secs, table.damped_secs, frame, soft))
        count = tf.size(key)
        batches = tf.maximum(-(-count // size), 1)

        def in_batches(value):
            filled = tf.pad(value, [[0, batches * size - count]])
            return tf.reshape(filled, tf.stack([batches, size]))

        def control(batch):
            key, velocity, frame, soft = (value[None] for value in batch)
            found = sound_lib.note_controls(model, piano, key, velocity, tf.gather(frames, frame),
                                            soft)
            return {name: found[name][0] for name in (*sound_lib.PER_PARTIAL, *_PER_NOTE)}

        bursts = model.num_bands, len(modal.NOISE_TIME_CONSTANTS_SECS)
        shapes = {**dict.fromkeys(sound_lib.PER_PARTIAL, (model.num_partials,)), "attack_secs": (),
                  "noise": bursts, "damper_noise": bursts}
        made = tf.map_fn(control, [in_batches(v) for v in (key, velocity, frame, soft)],
                         fn_output_signature={name: tf.TensorSpec((size, *shape))
                                              for name, shape in shapes.items()},
                         parallel_iterations=1)
        notes = {name: tf.reshape(made[name], (-1, *shape))[:count]
                 for name, shape in shapes.items()}
        notes |= {"onset": onset, "damped": damped,
                  "phase": tf.gather(sound_lib.initial_phases(model, SEED), key)}
        end = sound_lib.end_secs({**notes, "onset": onset[:, None], "damped": damped[:, None]},
                                 arrays)
        end = tf.where(notes["amplitude"] > sound_lib.INAUDIBLE, end, -float("inf"))
        return {**notes, "end": end, "note_end": tf.reduce_max(end, axis=1)}

    def _dry(self, first_node, notes, background):
        """Dry samples of the chunk's nodes, `[1, samples]`."""
        nodes = first_node + tf.range(self.chunk_nodes + 1)
        node_secs = tf.cast(nodes, tf.float64) * self._node_secs
        start, end = node_secs[0], node_secs[-1]
        bursts = sound_lib.bursting({
            "hammer": notes["noise"], "hammer_secs": notes["onset"],
            "damper": notes["damper_noise"], "damper_secs": notes["damped"]}, start, end, arrays)
        inputs = {"node_secs": tf.cast(node_secs - start, tf.float32),
                  "oscillators": self._sounding(notes, first_node, start, end),
                  "background": tf.exp(tf.gather(background, self._frames(nodes))),
                  "noise": self._white_noise(first_node), **bursts}
        return tf.ensure_shape(
            self._sound({name: value if name == "node_secs" else value[None]
                         for name, value in inputs.items()}),
            [1, self.chunk_nodes * self.model.hop])

    def _sound(self, inputs):
        """Dry audio `[1, samples]` of packed oscillators, noise bursts and steady noise."""
        node_secs, model = inputs["node_secs"], self.model
        packed = tf.unstack(inputs["oscillators"], len(_PACKED), axis=1)
        osc = dict(zip(_PACKED, packed, strict=True))
        real, imaginary = modal.partial_envelopes(
            node_secs, osc["onset"], osc["damped"], osc["amplitude"], osc["decay"],
            osc["aftersound_decay"], osc["aftersound"], osc["beat_hz"], osc["attack_secs"],
            osc["damping"])
        tone = modal.oscillator_sum(osc["frequency_hz"], real, imaginary, osc["phase"], model.hop,
                                    model.sample_rate)
        power = (inputs["background"]
                 + modal.noise_powers(node_secs, inputs["hammer_secs"], inputs["hammer"])
                 + modal.noise_powers(node_secs, inputs["damper_secs"], inputs["damper"]))
        return tone + modal.filtered_noise(inputs["noise"], power, piano_ddsp.LOW_HZ,
                                           piano_ddsp.HIGH_HZ, model.sample_rate)

    def _sounding(self, notes, first_node, start, end):
        """What sounds in a chunk, packed."""
        rows = tf.where((notes["onset"] < end) & (notes["note_end"] > start))[:, 0]
        notes = {name: tf.gather(value, rows) for name, value in notes.items()}
        heard = notes["end"] > start
        row = tf.where(heard)[:, 0]
        osc = {name: tf.gather(notes[name], row) for name in ("onset", "damped", "attack_secs")}
        osc |= {name: notes[name][heard] for name in (*sound_lib.PER_PARTIAL, "phase")}
        # The phase at the chunk's start, from the very float32 increment that runs inside it.
        turns = tf.cast(osc["frequency_hz"] * np.float32(self._node_secs), tf.float64)
        turns = tf.math.floormod(turns * tf.cast(first_node, tf.float64), 1.0)
        phase = tf.math.floormod(tf.cast(osc["phase"], tf.float64) + 2 * np.pi * turns, 2 * np.pi)
        osc |= {"onset": osc["onset"] - start, "damped": osc["damped"] - start, "phase": phase}
        return tf.stack([tf.cast(osc[name], tf.float32) for name in _PACKED])

    def _white_noise(self, first_node):
        """Noise frames of the chunk's nodes, `[chunk_nodes + 1, 2 * hop]`."""
        size, width = sound_lib.NOISE_BLOCK_NODES, 2 * self.model.hop
        first = first_node // size
        # As many blocks as a chunk can touch, wherever in a block it begins.
        blocks = tf.concat([white_noise.block(SEED, first + i, (size, width), arrays)
                            for i in range(self.chunk_nodes // size + 2)], axis=0)
        some = blocks[first_node - first * size:][:self.chunk_nodes + 1]
        return tf.ensure_shape(some, (self.chunk_nodes + 1, width))
