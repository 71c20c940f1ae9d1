"""The signatures of an exported `PerformanceNet`, its vocoder included, as TensorFlow functions."""

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import arrays
from style_transfer.graph import windows as windows_lib
from style_transfer.graph.batches import each
from style_transfer.graph.transfer import RollTransfer
from style_transfer.graph.vocoding import Vocoding
from style_transfer.graph.windows import Windows
from style_transfer.models.performance_net import playing
from style_transfer.models.performance_net.net import ROLL_FRAMES
from style_transfer.signal import log_mel as log_mel_lib
from style_transfer.spectrograms import vocoding

MAX_SECS = 300.0
MAX_NOTES = 30_000
WINDOW_GRAINS = 16


class PerformanceServing(RollTransfer):
    """What an exported `PerformanceNet` can do, see `RollTransfer`.

    A piece that is shorter than a window, some seconds, is played as if silence followed it.

    Args:
        model: The built model.
        max_content_secs: Longest piece that is played; None for `MAX_SECS`.
        max_notes: Most notes of a piece.
    """

    def __init__(self, model, max_content_secs=None, max_notes=MAX_NOTES):
        vocoder, grain = vocoding.vocoder(), model.grain
        super().__init__(model, self._rendered, (*model.variables, *vocoder.variables),
                         playing.STYLE_LEVEL_DB, max_content_secs or MAX_SECS, max_notes)
        margin = -(-model.reach // grain) * grain
        self._windows = Windows(WINDOW_GRAINS * grain, margin, grain)
        self._vocode = Vocoding(vocoder)

    def _rendered(self, roll, clip):
        """Audio of a roll on the piano of a clip."""
        model, windows = self.model, self._windows
        frames = tf.shape(roll)[0]
        roll = piano_roll.decayed(roll, model.roll_rate, xp=arrays)
        played = windows.played(frames[None])
        roll = tf.pad(roll, [[0, played[0] - frames], [0, 0]])[None]
        style = model.encode_style(playing.heard(model, clip, arrays)[None])
        count = windows.frames // ROLL_FRAMES

        def draw(first):
            begin = windows.begin(first, played)
            told = playing.style_at(style, tf.cast(begin[0], tf.int64) // ROLL_FRAMES,
                                    windows.size // ROLL_FRAMES, arrays)
            drawn = model({"roll": windows_lib.cut(roll, begin, windows.size), "style": told})
            at = windows_lib.around(begin // ROLL_FRAMES, first // ROLL_FRAMES, count,
                                    played // ROLL_FRAMES)
            return tf.gather(drawn[0], at[0])

        drawn = each(draw, tf.range(0, frames, windows.frames),
                     tf.TensorSpec([count, log_mel_lib.NUM_BANDS]))
        drawn = tf.reshape(drawn, [-1, log_mel_lib.NUM_BANDS])
        audio = self._vocode(drawn[:-(-frames // ROLL_FRAMES)])
        return audio[:frames * (model.sample_rate // model.roll_rate)]
