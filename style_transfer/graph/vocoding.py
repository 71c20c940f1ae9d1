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
        rounds: See `Vocoder.play`.
    """

    def __init__(self, vocoder, window_frames=WINDOW_FRAMES, rounds=log_mel_lib.POLISH_ROUNDS):
        self.vocoder, self.overlap, self.rounds = vocoder, vocoder.overlap_frames, rounds
        self.windows = Windows(window_frames, vocoder.reach)

    def __call__(self, log_mel):
        """Audio `[frames * HOP_SAMPLES]` of `[frames, NUM_BANDS]`.

        Behind it goes on in silence as far as the windows' `played` says.
        """
        audio = self._played(log_mel)
        return self._polished(audio, log_mel) if self.rounds else audio

    def _polished(self, audio, log_mel):
        windows = Windows(self.windows.frames, log_mel_lib.polish_reach(self.rounds))
        size, hop, frames = windows.size, log_mel_lib.HOP_SAMPLES, tf.shape(log_mel)[0]
        played = windows.played(frames[None])
        behind = [[0, played[0] - frames], [0, 0]]
        log_mel = tf.pad(log_mel, behind, constant_values=log_mel_lib.SILENCE)[None]
        audio = tf.pad(tf.reshape(audio, [-1, hop]), behind)[None]

        def polish(first):
            begin = windows.begin(first, played)
            made = log_mel_lib.polished(
                tf.reshape(windows_lib.cut(audio, begin, size), [1, size * hop]),
                windows_lib.cut(log_mel, begin, size), self.rounds)
            at = windows_lib.around(begin, first, windows.frames, played)[0]
            return tf.gather(tf.reshape(made, [size, hop]), at)

        made = each(polish, tf.range(0, frames, windows.frames),
                    tf.TensorSpec([windows.frames, hop]))
        return tf.reshape(made, [-1])[:frames * hop]

    def _played(self, log_mel):
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
