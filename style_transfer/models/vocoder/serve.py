"""The signatures of an exported `Vocoder`, as TensorFlow functions."""

import tensorflow as tf

from style_transfer.graph.batches import each, named, same_batch
from style_transfer.graph.checks import require
from style_transfer.graph.vocoding import Vocoding
from style_transfer.signal import log_mel as log_mel_lib

MAX_SECS = 300.0


class VocoderServing(tf.Module):
    """What an exported `Vocoder` can do; items of a batch are independent of one another.

    Args:
        model: The built model.
        max_content_secs: Longest spectrogram; None for `MAX_SECS`.
    """

    def __init__(self, model, max_content_secs=None, **limits):
        del limits  # of notes in pieces
        super().__init__()
        self.kept = [variable.value for variable in model.variables]
        self._max_frames = int((max_content_secs or MAX_SECS) * log_mel_lib.FRAMES_PER_SECOND)
        self._play = tf.function(Vocoding(model), autograph=False, input_signature=[
            tf.TensorSpec([None, log_mel_lib.NUM_BANDS])])

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        return named({"serving_default": (self.play, {
            "log_mel": tf.TensorSpec([None, None, log_mel_lib.NUM_BANDS]),
            "num_frames": tf.TensorSpec([None], tf.int32)})})

    def play(self, log_mel, num_frames):
        """Spectrograms -> float audio; of each row the first `num_frames` count."""
        same_batch(log_mel, num_frames)
        most = tf.minimum(tf.shape(log_mel)[1], self._max_frames)
        with tf.control_dependencies([
                require(tf.reduce_all((num_frames > 0) & (num_frames <= most)), "num_frames is",
                        num_frames, "; expected 1 to", most, "."),
                require(tf.reduce_all(tf.math.is_finite(log_mel)),
                        "log_mel holds NaN or infinite values.")]):
            rows = tf.identity(log_mel), tf.identity(num_frames)
        longest = tf.reduce_max(num_frames) * log_mel_lib.HOP_SAMPLES

        def one(item):
            values, count = item
            audio = self._play(values[:count])
            return tf.pad(audio, [[0, longest - tf.size(audio)]])

        return {"audio": each(one, rows, tf.TensorSpec([None])),
                "num_samples": num_frames * log_mel_lib.HOP_SAMPLES}
