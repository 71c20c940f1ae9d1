"""Audio of spectrograms of any length inside a graph: `Vocoder.play` without Python."""

import tensorflow as tf

from style_transfer.graph import windows as windows_lib
from style_transfer.graph.batches import each
from style_transfer.graph.windows import Windows
from style_transfer.signal import log_mel as log_mel_lib

WINDOW_FRAMES = 256


class Vocoding:
    """Builds the graph in which a vocoder makes audio of a spectrogram.

    Args:
        vocoder: A built `Vocoder`.
        window_frames: Frames whose audio is made at once.
    """

    def __init__(self, vocoder, window_frames=WINDOW_FRAMES):
        self.vocoder, self.overlap = vocoder, vocoder.overlap_frames
        self.windows = Windows(window_frames, vocoder.reach)

    def __call__(self, log_mel):
        """Audio `[frames * HOP_SAMPLES]` of `[frames, NUM_BANDS]`.

        Behind it goes on in silence as far as `windows.played` says.
        """
        size, count = self.windows.size, self.windows.frames
        frames = tf.shape(log_mel)[0]
        played = self.windows.played(frames[None])
        log_mel = tf.pad(log_mel, [[0, played[0] - frames], [0, 0]],
                         constant_values=log_mel_lib.SILENCE)[None]

        def controls_of(first):
            begin = self.windows.begin(first, played)
            controls = self.vocoder.get_controls(windows_lib.cut(log_mel, begin, size))
            at = windows_lib.around(begin, first, count, played)[0]
            return {name: tf.gather(value[0], at) for name, value in controls.items()}

        spec = tf.TensorSpec([count, self.vocoder.num_bins])
        firsts = tf.range(0, frames, count)
        controls = each(controls_of, firsts, {name: spec for name in self.vocoder.controls})
        controls = self.vocoder.with_phases({
            name: tf.reshape(value, [1, -1, self.vocoder.num_bins])
            for name, value in controls.items()})
        controls = self.vocoder.with_silence(controls)

        def signal_of(first):
            found = {name: tf.ensure_shape(
                value[:, first:first + count + 2 * self.overlap],
                [1, count + 2 * self.overlap, self.vocoder.num_bins])
                for name, value in controls.items()}
            return self.vocoder.get_signal(found, first)[0]

        audio = each(signal_of, firsts, tf.TensorSpec([count * log_mel_lib.HOP_SAMPLES]))
        return tf.reshape(audio, [-1])[:frames * log_mel_lib.HOP_SAMPLES]
