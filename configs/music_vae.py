"""MusicVAE: six of Magenta's configurations with its hparams, and two small ones of 16 bars."""

import dataclasses
import functools

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import NoteSequences
from style_transfer.symbolic.layouts import Layout


@dataclasses.dataclass(frozen=True)
class MusicVaeHparams(hparams_lib.Hparams):
    """Hparams of MusicVAE, by Magenta's names and with its values.

    Attributes:
        min_learning_rate: What the learning rate falls to.
        decay_rate: What is left of its distance to that after each step; the two stand in place of
            `schedule`, `decay_steps` and `final_fraction`.
        free_bits: See `style_transfer.symbolic.loss.MusicVaeLoss`.
        transpose_range: Least and greatest number of semitones that training examples are moved
            by.
        z_size: From here on to `sampling_rate`, see `style_transfer.models.music_vae.net.MusicVae`.
    """

    batch_size: int = 512
    learning_rate: float = 1e-3
    min_learning_rate: float = 1e-5
    decay_rate: float = 0.9999
    clip_norm: float = 1.0
    free_bits: float = 0.0
    transpose_range: tuple[int, ...] = ()
    z_size: int = 256
    enc_rnn_size: tuple[int, ...] = (512,)
    dec_rnn_size: tuple[int, ...] = (256, 256)
    level_lengths: tuple[int, ...] = ()
    enc_segments: int = 0
    conductor_rnn_size: tuple[int, ...] = ()
    conductor_input_size: int = 0
    chrono_bias: bool = False
    max_beta: float = 0.2
    beta_rate: float = 0.0
    sampling_schedule: str = "constant"
    sampling_rate: float = 0.0


def build_optimizer(hparams: MusicVaeHparams):
    """Adam, with Magenta's learning rate."""
    from style_transfer.models.music_vae.schedule import DecayToMinimum
    from style_transfer.training.optimizers import GuardedAdam

    rate = DecayToMinimum(hparams.learning_rate, hparams.min_learning_rate, hparams.decay_rate)
    average = ({"use_ema": True, "ema_momentum": hparams.ema_momentum} if hparams.ema_momentum
               else {})
    return GuardedAdam(rate, epsilon=1e-8, global_clipnorm=hparams.clip_norm or None, **average)


def _config(name, description, layout, **hparams):
    def build_model(hparams):
        from style_transfer.models.music_vae.net import MusicVae

        return hparams_lib.build(
            MusicVae, hparams, max_seq_len=layout.steps, input_depth=layout.input_depth,
            output_depths=layout.depths, level_lengths=hparams.level_lengths or None,
            enc_segments=hparams.enc_segments or None,
            conductor_rnn_size=hparams.conductor_rnn_size or None)

    def build_dataset(examples_path, hparams, split, *, seed, skip_batches=0, input_context=None):
        from style_transfer.pipelines.inputs import symbolic as inputs

        return inputs.music_vae_batches(
            examples_path, layout, split, batch_size=hparams.batch_size, seed=seed,
            transpose_range=hparams.transpose_range, skip_batches=skip_batches,
            input_context=input_context)

    def build_probe(hparams, model, loss):
        from style_transfer.models.music_vae.probe import LatentProbe

        del hparams, loss
        return LatentProbe(model, layout)

    def build_embeddings(examples_path, hparams, model):
        from style_transfer.models.music_vae import embedding
        from style_transfer.symbolic import encodings

        data = build_dataset(examples_path, hparams, "eval", seed=0)
        labels = (encodings.classes(y["outputs"], layout) for _, y in data)
        return [embedding.of_sequences(model, layout, labels)]

    def build_example_writer(hparams):
        from style_transfer.symbolic import rolls

        del hparams
        return functools.partial(rolls.write_sequences, layout)

    def generator():
        from style_transfer.models.music_vae.options import MusicVaeGenerator

        return MusicVaeGenerator(name, layout)

    return Config(
        name=name, description=description, weights=name, hparams=MusicVaeHparams(**hparams),
        examples=NoteSequences("style_transfer.pipelines.symbolic.conversion:sequences", layout),
        build_model=build_model, build_optimizer=build_optimizer, build_dataset=build_dataset,
        build_loss=built("style_transfer.symbolic.loss:MusicVaeLoss",
                         output_depths=layout.depths),
        build_metrics=built("style_transfer.symbolic.metrics:LatentMetrics"),
        build_probe=build_probe, build_embeddings=build_embeddings,
        build_example_writer=build_example_writer, generator=generator,
        serving=lazy("style_transfer.models.music_vae.serve:MusicVaeServing"),
        importer=lazy("style_transfer.models.music_vae.magenta:entries"))


_SCHEDULED = {"sampling_schedule": "inverse_sigmoid", "sampling_rate": 1000.0}
_LARGE = {"z_size": 512, "free_bits": 256.0}
# For an hour of one core instead of weeks of a GPU: small batches, bars that are read each by
# itself and told of as they are written, and LSTMs that begin with long memories.
_SMALL = {"batch_size": 8, "learning_rate": 4e-3, "z_size": 256, "free_bits": 256.0,
          "transpose_range": (-5, 5), "enc_rnn_size": (128,), "enc_segments": 16,
          "chrono_bias": True, **_SCHEDULED}

CAT_MEL_2BAR_SMALL = _config(
    "cat-mel_2bar_small", "Melodies of two bars.", Layout(("melody",), 2), beta_rate=0.99999,
    transpose_range=(-5, 5), **_SCHEDULED)
CAT_MEL_2BAR_BIG = _config(
    "cat-mel_2bar_big", "Melodies of two bars, a larger model.", Layout(("melody",), 2),
    z_size=512, enc_rnn_size=(2048,), dec_rnn_size=(2048, 2048, 2048), max_beta=0.5,
    beta_rate=0.99999, transpose_range=(-5, 5), **_SCHEDULED)
CAT_DRUMS_2BAR_SMALL = _config(
    "cat-drums_2bar_small", "Drum patterns of two bars.", Layout(("drums",), 2, roll_input=True),
    free_bits=48.0, **_SCHEDULED)
FLAT_MEL_16BAR = _config(
    "flat-mel_16bar", "Melodies of sixteen bars, written at once.", Layout(("melody",), 16),
    enc_rnn_size=(2048, 2048), dec_rnn_size=(2048, 2048, 2048), **_LARGE)
HIERDEC_MEL_16BAR = _config(
    "hierdec-mel_16bar", "Melodies of sixteen bars, written bar by bar.", Layout(("melody",), 16),
    enc_rnn_size=(2048, 2048), dec_rnn_size=(1024, 1024), level_lengths=(16, 16), **_LARGE)
FLAT_MEL_16BAR_SMALL = _config(
    "flat-mel_16bar_small", "flat-mel_16bar of a size that one CPU core can train.",
    Layout(("melody",), 16), dec_rnn_size=(256, 256), **_SMALL)
HIERDEC_MEL_16BAR_SMALL = _config(
    "hierdec-mel_16bar_small", "hierdec-mel_16bar of a size that one CPU core can train.",
    Layout(("melody",), 16), dec_rnn_size=(128, 128), conductor_rnn_size=(256, 256),
    conductor_input_size=64, level_lengths=(16, 16), **_SMALL)
HIERDEC_TRIO_16BAR = _config(
    "hierdec-trio_16bar", "Melody, bass and drums of sixteen bars, written bar by bar.",
    Layout(("melody", "bass", "drums"), 16), batch_size=256, enc_rnn_size=(2048, 2048),
    dec_rnn_size=(1024, 1024), level_lengths=(16, 16), **_LARGE)
