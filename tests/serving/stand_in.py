"""A served model with the real signatures' parsers and checks, and a sine for a piano.

The server's own tests need no net, and must start in a second.
"""

import functools
import io
import threading

import numpy as np
import soundfile
import tensorflow as tf
from note_seq.protobuf import music_pb2

from style_transfer.graph import notes, wav
from style_transfer.serving.server.models import ServedModel

RATE = 24_000
NUM_OUTPUTS = 3


class StandIn:
    """Counts its calls, and can be slow.

    Attributes:
        delay_secs: How long a call takes.
        hurry: Ends the delays when it is set.
        running: Calls now.
        most_running: Most calls at the same time.
        calls: Calls so far.
    """

    def __init__(self):
        self.delay_secs, self.running, self.most_running, self.calls = 0.0, 0, 0, 0
        self.hurry = threading.Event()

    def served(self, limits, name="piano_ddsp", version=3):
        """A `ServedModel`."""
        model = ServedModel(name, version, _functions(), limits)
        inner = model.predict

        def predict(signature, inputs, stop=None):
            self.calls += 1
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            try:
                self.hurry.wait(self.delay_secs)
                return inner(signature, inputs, stop)
            finally:
                self.running -= 1

        model.predict = predict
        return model


@functools.lru_cache(maxsize=1)
def _functions():
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)] * 2)
    def play(style, content):
        samples, rate = wav.decode(style)
        table = notes.note_table(content)
        hz = 440 * 2 ** ((tf.cast(table.key[0], tf.float32) - 48) / 12)
        time_secs = tf.range(RATE // 10, dtype=tf.float32) / RATE
        level = tf.reduce_max(tf.abs(samples))
        with tf.control_dependencies([tf.debugging.Assert(rate > 0, [rate])]):
            return wav.encode(level * tf.sin(2 * np.pi * hz * time_secs), RATE)

    def serving_default(style_bytes, content_bytes):
        return {"audio_bytes": tf.map_fn(lambda item: play(*item),
                                         (style_bytes, content_bytes),
                                         fn_output_signature=tf.TensorSpec([], tf.string))}

    def encode_style(style_bytes):
        style = tf.map_fn(lambda data: tf.reduce_max(wav.decode(data)[0])[None], style_bytes,
                          fn_output_signature=tf.TensorSpec([1]))
        return {"style": style, "f0_hz": tf.tile(style, [1, 88])}

    functions = {
        function.__name__: tf.function(function, autograph=False).get_concrete_function(
            **{name: tf.TensorSpec([None], tf.string, name=name) for name in names})
        for function, names in ((serving_default, ("style_bytes", "content_bytes")),
                                (encode_style, ("style_bytes",)))}
    functions["double"] = tf.function(
        lambda x, n: {"y": 2 * x, "m": n}, autograph=False).get_concrete_function(
            x=tf.TensorSpec([None, None], name="x"),
            n=tf.TensorSpec([None], tf.int32, name="n"))
    # What nobody waits for to end.
    functions["spin"] = tf.function(
        lambda n: {"m": tf.while_loop(lambda i: i < tf.reduce_max(n), lambda i: i + 1, [0])[0]},
        autograph=False).get_concrete_function(n=tf.TensorSpec([None], tf.int32, name="n"))
    return functions


def wav_file(seconds=0.1, rate=RATE, channels=1, subtype="PCM_16", level=0.5):
    """The bytes of a WAV file with a tone."""
    tone = level * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone] * channels, axis=1), rate, subtype, format="WAV")
    return buffer.getvalue()


def sequence(*pitches):
    """A serialized NoteSequence."""
    made = music_pb2.NoteSequence()
    for i, pitch in enumerate(pitches or (60, 64)):
        made.notes.add(pitch=pitch, velocity=80, start_time=0.1 * i, end_time=0.1 * i + 0.2)
    return made.SerializeToString()
