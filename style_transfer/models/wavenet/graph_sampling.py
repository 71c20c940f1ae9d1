"""A WaveNet's samples one after the other inside a graph: `wavenet.generation.generate`."""

import keras
import numpy as np
import tensorflow as tf

from style_transfer.graph import windows as windows_lib
from style_transfer.graph.batches import each
from style_transfer.graph.windows import Windows
from style_transfer.models.wavenet.engine import temperatures as temperatures_lib
from style_transfer.models.wavenet.engine.graph_engine import State, Steps

BLOCK_FRAMES = 16  # whose conditions are held at a time


class Sampler:
    """Builds the graph in which a model plays rolls.

    Args:
        model: A built `WaveNet`.
        block_frames: Frames whose conditions are made at a time.
    """

    def __init__(self, model, block_frames=BLOCK_FRAMES):
        self.model = model
        grain = model.bottleneck_hop if model.bottleneck else 1
        margin = model.context_reach + grain
        self.windows = Windows(*(-(-frames // grain) * grain for frames in (block_frames, margin)),
                               grain)
        self._steps = Steps(model, tf.gather, _written_in_place)

    def __call__(self, rolls, num_frames, piano, seed, temperature, sustain_temperature):
        """Audio of rolls; silence goes before, as `wavenet.run` has it, which is not given back.

        Args:
            rolls: `[batch, frames, 176]`.
            num_frames: How many count of each, int32 `[batch]`. Behind them it goes on in silence
                as far as `windows.played` says.
            piano: Dict of what else the context stack reads: `style` or `piano_id`.
            seed: Of the draws, int32 `[batch]`.
            temperature: Of the draws, `[batch]`; 0 takes the likeliest.
            sustain_temperature: Of those while notes ring, see `wavenet.temperatures`; `[batch]`.

        Returns:
            float32 `[batch, frames * hop]`; of each item `num_frames * hop` samples count.
        """
        hop, block, lead = self.model.hop, self.windows.frames, self.model.lead_frames
        rolls, num_frames = tf.pad(rolls, [[0, 0], [lead, 0], [0, 0]]), num_frames + lead
        batch, longest = tf.shape(rolls)[0], tf.shape(rolls)[1]
        played = self.windows.played(num_frames)
        spare = tf.reduce_max(tf.concat([played, [0]], axis=0)) + block
        is_real = tf.range(longest) < num_frames[:, None]
        rolls = tf.pad(tf.where(is_real[..., None], rolls, 0.0), [[0, 0], [0, spare], [0, 0]])
        temperatures = temperatures_lib.of_frames(rolls, self.model.roll_rate, temperature,
                                                  sustain_temperature)
        num_blocks = -(-longest // block)
        sounds = tf.TensorArray(tf.float32, num_blocks, element_shape=[block * hop, None])

        def play_one(index, state, sounds):
            inputs = self._inputs(rolls, played, piano, index * block)
            count = tf.minimum(block, longest - index * block) * hop
            draws = tf.transpose(uniforms(seed, index, block * hop), [1, 0, 2])
            inputs["temperatures"] = tf.transpose(
                temperatures[:, index * block:(index + 1) * block])
            state, made = self._run(state, inputs, draws, index * block * hop, count)
            made = tf.pad(made, [[0, block * hop - count], [0, 0]])
            return index + 1, state, sounds.write(index, made)

        _, _, sounds = tf.while_loop(lambda index, *_: index < num_blocks, play_one,
                                     (tf.constant(0), self._silence(batch), sounds),
                                     parallel_iterations=1)
        audio = tf.transpose(sounds.concat())
        return audio[:, lead * hop:longest * hop]

    def _silence(self, batch):
        taps, channels = max(1, self.model.predictor_taps), self.model.residual_channels
        # Rows of the rings are replaced where they lie, so they must be nobody else's zeros.
        num_rows = self._steps.num_rows
        rings = tf.raw_ops.Empty(shape=[num_rows, batch, channels], dtype=tf.float32, init=True)
        return State(tf.zeros([batch]), tf.zeros([batch]), tf.zeros([batch, taps]),
                     tf.ensure_shape(rings, [num_rows, None, channels]))

    def _inputs(self, rolls, played, piano, first):
        """What conditions the samples of a block, by name, samples or frames first."""
        model, block = self.model, self.windows.frames
        begin = self.windows.begin(first, played)
        encoded = model.encode({"roll": windows_lib.cut(rolls, begin, self.windows.size), **piano})
        at = windows_lib.around(begin, first - 1, block + 2, played)
        inputs = {"gates": self._upsampled(tf.gather(encoded.conditions, at, batch_dims=1))}
        x = {"roll": rolls[:, first:first + block],
             "start_sample": tf.fill(tf.shape(begin), first * model.hop)}
        x["roll"] = tf.ensure_shape(x["roll"], [None, block, rolls.shape[2]])
        excitation = model.excite(x)
        if excitation is not None:
            inputs["excitation"] = tf.transpose(excitation, [1, 0, 2])
        if encoded.coefficients is not None:
            found = tf.gather(encoded.coefficients, at[:, 1:-1], batch_dims=1)
            inputs["coefficients"] = tf.transpose(found, [1, 0, 2])
        return inputs

    def _upsampled(self, frames):
        """`conditions.upsampled` with biases: `[samples, layers, batch, 2 * gates]`."""
        stack, block = self.model.stack, self.windows.frames
        width = 2 * stack.gate_channels
        frames = tf.transpose(tf.reshape(frames, [-1, block + 2, stack.num_layers, width]),
                              [1, 2, 0, 3])[:, None]
        taps = tf.convert_to_tensor(keras.ops.convert_to_tensor(self.model.upsample.taps()))
        per_layer = [1, 1, width] if taps.shape[2] == 1 else [stack.num_layers, 1, width]
        taps = tf.reshape(tf.broadcast_to(taps, [3, self.model.hop, np.prod(per_layer)]),
                          [3, self.model.hop, *per_layer])
        total = sum(frames[tap:tap + block] * taps[tap] for tap in range(3))
        total += tf.stack([tf.convert_to_tensor(bias) for bias in stack.biases])[:, None]
        return tf.reshape(total, [block * self.model.hop, stack.num_layers, -1, width])

    def _run(self, state, inputs, draws, begin, count):
        """State after `count` samples, and these, `[count, batch]`."""
        model, kernels = self.model, self._steps.kernels()
        sounds = tf.TensorArray(tf.float32, count, element_shape=[None])

        def step(index, state, sounds):
            frame = index // model.hop
            logits, after = self._steps(
                kernels, begin + index, state, inputs["gates"][index],
                inputs["excitation"][index] if "excitation" in inputs else None,
                inputs["coefficients"][frame] if "coefficients" in inputs else None)
            sample = model.sample(logits, draws[index], inputs["temperatures"][frame])
            is_before = begin + index < model.lead_frames * model.hop
            sample = tf.where(is_before, 0.0, sample)
            return index + 1, after(model.to_input(sample)), sounds.write(index, sample)

        _, state, sounds = tf.while_loop(lambda index, *_: index < count, step,
                                         (tf.constant(0), state, sounds), parallel_iterations=1)
        return state, sounds.stack()


def _written_in_place(rings, rows, values, read):
    with tf.control_dependencies([read]):  # before its rows are replaced
        written = tf.raw_ops.InplaceUpdate(x=rings, i=rows, v=values)
    return tf.ensure_shape(written, rings.shape)


def uniforms(seed, block, count):
    """Numbers in [0, 1) that a block's samples are drawn with.

    Args:
        seed: int32 `[batch]`; an item's numbers depend on nothing else of the batch.
        block: Index of the block, scalar int32.
        count: Samples.

    Returns:
        float32 `[batch, count, 2]`.
    """
    return each(lambda one: tf.random.stateless_uniform([count, 2], tf.stack([one, block])), seed,
                tf.TensorSpec([count, 2]))
