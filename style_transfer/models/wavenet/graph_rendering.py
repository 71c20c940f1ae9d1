"""A `SpectralWaveNet`'s audio inside a graph, window by window: `wavenet.run` without Python."""

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import arrays
from style_transfer.graph import windows as windows_lib
from style_transfer.graph.batches import each
from style_transfer.graph.windows import Windows

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
        roll = piano_roll.decayed(roll, model.roll_rate, xp=arrays)
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
