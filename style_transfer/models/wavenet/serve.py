"""The signatures of exported `WaveNet` and `SpectralWaveNet` models, as TensorFlow functions."""

import functools

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import clips, wav
from style_transfer.graph.batches import each, named, same_batch
from style_transfer.graph.checks import require, require_temperature
from style_transfer.graph.rolls import Rolls
from style_transfer.graph.transfer import INTEGERS, ROLLS, STRING, RollTransfer
from style_transfer.models.wavenet import inputs
from style_transfer.models.wavenet.graph_rendering import Renderer
from style_transfer.models.wavenet.graph_sampling import Sampler

MAX_SAMPLES = 240_000  # 15 s at 16 kHz: one after the other, they take a minute or more
MAX_SPECTRAL_SECS = 300.0
MAX_NOTES = 30_000
FLOATS = tf.TensorSpec([None])


def longest_secs(model):
    """Longest piece that an exported `WaveNet` or `SpectralWaveNet` plays by default, seconds."""
    if hasattr(model, "receptive_field"):
        return MAX_SAMPLES / model.sample_rate
    return MAX_SPECTRAL_SECS


class WaveNetServing(tf.Module):
    """What an exported `WaveNet` can do; items of a batch are independent of one another.

    They are sampled together, which takes little longer than one alone. A piece that is shorter
    than `Sampler.windows`, about half a second, is played as if silence followed it.

    Args:
        model: The built model.
        max_content_secs: Longest piece that is played; None for `longest_secs`.
        max_notes: Most notes of a piece.

    Raises:
        ValueError: The model reads other rolls than notes make.
    """

    longest_secs = staticmethod(longest_secs)

    def __init__(self, model, max_content_secs=None, max_notes=MAX_NOTES):
        super().__init__()
        if model.roll_features != piano_roll.KEYS_DEPTH:
            raise ValueError(f"The model reads rolls of {model.roll_features} features; it can be "
                             f"exported with {piano_roll.KEYS_DEPTH}, those that notes have.")
        self.model = model
        variables = list(model.variables)
        self._rolls = Rolls(model, max_content_secs or longest_secs(model), max_notes)
        if model.global_size:
            encoder = inputs.style_model()
            if encoder.style_size != model.global_size:
                raise ValueError(f"The model's global_size is {model.global_size}, but the style "
                                 f"vectors of recordings have {encoder.style_size} numbers: it "
                                 "cannot be told of a piano.")
            variables += encoder.variables
            self._encode = tf.function(functools.partial(_style_vector, model, encoder),
                                       autograph=False, input_signature=[
                                           tf.TensorSpec([], tf.string)])
        self.kept = [variable.value for variable in variables]
        # Traced once and shared by the signatures.
        self._sampler = tf.function(Sampler(model), autograph=False, input_signature=[
            ROLLS, INTEGERS, self._piano_specs(), INTEGERS, FLOATS, FLOATS])

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        clip, piano = {}, self._piano_specs()
        how = {"seed": INTEGERS, "temperature": FLOATS, "sustain_temperature": FLOATS}
        made = {"generate": (self.generate, {"roll": ROLLS, **how, **piano})}
        if piano.pop("style", None):
            clip = {"style_bytes": STRING}
            made["encode_style"] = (self.encode_style, clip)
        files = {"content_bytes": STRING, **clip}
        return named({"serving_default": (self.play, {**files, **how, **piano}), **made})

    def play(self, content_bytes, **how):
        """Serialized NoteSequences -> WAV files, drawn at temperatures; 0 for the likeliest."""
        same_batch(content_bytes, *how.values())
        if "style_bytes" in how:
            how |= self.encode_style(how.pop("style_bytes"))
        rolls, counts = self._rolls.of_sequences(content_bytes)
        audio = self._sampled(rolls, counts, **how)

        def file(item):
            samples, count = item
            return wav.encode(samples[:count * self.model.hop], self.model.sample_rate)

        return {"audio_bytes": each(file, (audio, counts), tf.TensorSpec([], tf.string))}

    def generate(self, roll, **how):
        """Rolls -> float audio; frame `f` of a roll covers samples `f * hop` to `(f + 1) * hop`."""
        same_batch(roll, *how.values())
        roll = self._rolls.checked(roll)
        counts = tf.fill([tf.shape(roll)[0]], tf.shape(roll)[1])
        return {"audio": self._sampled(roll, counts, **how)}

    def encode_style(self, style_bytes):
        """WAV files -> the style vectors that `generate` takes."""
        return {"style": each(self._encode, style_bytes,
                              tf.TensorSpec([self.model.global_size]))}

    def _piano_specs(self):
        """What the model is told of pianos."""
        specs = {}
        if self.model.global_size:
            specs["style"] = tf.TensorSpec([None, self.model.global_size])
        if self.model.num_pianos:
            specs["piano_id"] = INTEGERS
        return specs

    def _sampled(self, rolls, counts, seed, temperature, sustain_temperature, **piano):
        checks = [require_temperature(temperature), require_temperature(sustain_temperature)]
        if "piano_id" in piano:
            known = (piano["piano_id"] >= 0) & (piano["piano_id"] < self.model.num_pianos)
            checks.append(require(tf.reduce_all(known), "piano_id must be a number from 0 to",
                                  f"{self.model.num_pianos - 1}."))
        if "style" in piano:
            checks.append(require(tf.reduce_all(tf.math.is_finite(piano["style"])),
                                  "style holds NaN or infinite values."))
        with tf.control_dependencies(checks):
            temperature = tf.identity(temperature)
            piano = {name: tf.identity(value) for name, value in piano.items()}
        return self._sampler(rolls, counts, piano, seed, temperature, sustain_temperature)


class SpectralServing(RollTransfer):
    """What an exported `SpectralWaveNet` can do, see `RollTransfer`.

    A piece that is shorter than `Renderer.windows`, about two seconds, is played as if silence
    followed it.

    Args:
        model: The built model.
        max_content_secs: Longest piece that is played; None for `longest_secs`.
        max_notes: Most notes of a piece.
    """

    longest_secs = staticmethod(longest_secs)

    def __init__(self, model, max_content_secs=None, max_notes=MAX_NOTES):
        super().__init__(model, Renderer(model), model.variables, inputs.STYLE_LEVEL_DB,
                         max_content_secs or longest_secs(model), max_notes)


def _style_vector(model, encoder, data):
    """`inputs.style_vectors` of a WAV file."""
    samples = clips.clip(*wav.decode(data), model.sample_rate, inputs.STYLE_LEVEL_DB)
    samples = wav.resample(samples, tf.constant(model.sample_rate), encoder.sample_rate)
    return tf.ensure_shape(encoder.encode_style(samples[None])[0], [model.global_size])
