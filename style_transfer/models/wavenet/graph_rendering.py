"""A `SpectralWaveNet`'s audio inside a graph, window by window: `wavenet.run` without Python."""

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import windows as windows_lib
from style_transfer.graph.batches import each
from style_transfer.graph.windows import Windows
from style_transfer.models.wavenet import inputs

WINDOW_FRAMES = 256  # made of each window


class Renderer:
    """Builds the graph in which a model plays a roll.

    Args:
        model: A built `SpectralWaveNet`.
        window_frames: Frames that are made of each window.
    """

    def __init__(self, model, window_frames=WINDOW_FRAMES):
        self.model, self.windows = model, Windows(window_frames, model.reach)

    def __call__(self, roll, clip):
        """Audio of a roll on the piano of a clip.

        Args:
            roll: `[frames, 176]`. Behind it goes on in silence as far as `windows.played` says.
            clip: `[num_samples]` at the model's rate.

        Returns:
            float32 `[frames * hop]`.
        """
        model, size, hop = self.model, self.windows.size, self.model.hop
        frames = tf.shape(roll)[0]
        roll = _decayed(roll, model.roll_rate)
        played = self.windows.played(frames[None])
        roll = tf.pad(roll, [[0, played[0] - frames], [0, 0]])[None]
        noise = tf.reshape(model.noise(played[0] * hop), [1, -1, hop])
        style = model.style_encoder(clip[None])

        def render(first):
            begin = self.windows.begin(first, played)
            audio = model({"roll": windows_lib.cut(roll, begin, size), "style": style,
                           "noise": tf.reshape(windows_lib.cut(noise, begin, size), [1, -1]),
                           "start_sample": begin * hop}, training=False)
            at = windows_lib.around(begin, first, self.windows.frames, played)
            return tf.gather(tf.reshape(audio, [size, hop]), at[0])

        made = each(render, tf.range(0, frames, self.windows.frames),
                    tf.TensorSpec([self.windows.frames, hop]))
        return tf.reshape(made, [-1])[:frames * hop]


def _decayed(roll, roll_rate):
    """`inputs.decayed` of a whole piece."""
    count = tf.shape(roll)[0]
    frames = tf.range(count)[:, None]
    struck = tf.where(roll[:, :piano_roll.NUM_KEYS] > 0, frames, 0)

    def farther(step, struck):
        earlier = tf.pad(struck, [[tf.minimum(step, count), 0], [0, 0]])[:count]
        return 2 * step, tf.maximum(struck, earlier)

    _, struck = tf.while_loop(lambda step, _: step < count, farther, (tf.constant(1), struck),
                              shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None])))
    ages = tf.cast(frames - struck, tf.float32)
    shares = tf.exp(-ages / (inputs.decay_secs() * roll_rate).astype("float32"))
    return tf.concat([roll[:, :piano_roll.NUM_KEYS], roll[:, piano_roll.NUM_KEYS:]
                      * tf.maximum(shares, inputs.MIN_DECAYED)], axis=1)
