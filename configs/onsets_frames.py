"""Transcription: `onsets_frames`, as Magenta trains it, and `onsets_frames_small`, our own."""

import dataclasses
import functools
from typing import Any

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class OnsetsFramesHparams(hparams_lib.Hparams):
    """Hparams of `onsets_frames`, by Magenta's names and with its values.

    Attributes:
        schedule: Magenta's learning rate falls in steps.
        decay_rate: What the learning rate is multiplied with every `decay_steps`; used in place of
            `final_fraction`.
        crop_secs: Length of a training example, the most that Magenta's data set job makes.
        crops_per_example: Crops taken of each recording in a pass.
        transform_audio: Whether gain, timbre and noise of the recordings are varied.
        onset_length: From here on to `min_frame_occupancy_for_label`, see
            `style_transfer.transcription.labels.magenta_labels`.
        sample_rate: From here on to `fc_dropout_keep_amt`, see
            `style_transfer.models.onsets_frames.net.OnsetsFrames`.
        velocity_loss_weight: See
            `style_transfer.models.onsets_frames.magenta_loss.OnsetsFramesLoss`.
        weight_frame_and_activation_loss: Likewise.
        predict_frame_threshold: Of the notes that evaluations score.
    """

    batch_size: int = 8
    learning_rate: float = 0.0006
    schedule: str = "staircase"
    decay_steps: int = 10_000
    decay_rate: float = 0.98
    clip_norm: float = 3.0
    crop_secs: float = 20.0
    crops_per_example: int = 1
    transform_audio: bool = True
    onset_length: int = 32
    offset_length: int = 32
    onset_mode: str = "length_ms"
    onset_delay: int = 0
    min_frame_occupancy_for_label: float = 0.0
    sample_rate: int = 16_000
    spec_hop_length: int = 512
    spec_n_bins: int = 229
    spec_fmin: float = 30.0
    spec_mel_htk: bool = True
    onset_lstm_units: int = 256
    offset_lstm_units: int = 256
    velocity_lstm_units: int = 0
    frame_lstm_units: int = 0
    combined_lstm_units: int = 256
    acoustic_rnn_stack_size: int = 1
    combined_rnn_stack_size: int = 1
    activation_loss: bool = False
    stop_activation_gradient: bool = False
    stop_onset_gradient: bool = True
    stop_offset_gradient: bool = True
    share_conv_features: bool = False
    use_lengths: bool = False
    temporal_sizes: tuple[int, ...] = (3, 3, 3)
    freq_sizes: tuple[int, ...] = (3, 3, 3)
    num_filters: tuple[int, ...] = (48, 48, 96)
    pool_sizes: tuple[int, ...] = (1, 2, 2)
    dropout_keep_amts: tuple[float, ...] = (1.0, 0.75, 0.75)
    fc_size: int = 768
    fc_dropout_keep_amt: float = 0.5
    velocity_loss_weight: float = 1.0
    weight_frame_and_activation_loss: bool = False
    predict_frame_threshold: float = 0.5


@dataclasses.dataclass(frozen=True)
class OnsetsFramesSmallHparams(hparams_lib.Hparams):
    """Hparams of `onsets_frames_small`.

    Attributes:
        crop_secs: Length of a training example.
        crops_per_example: Crops taken of each recording in a pass.
        augment: Whether level, timbre and noise of the recordings are varied.
        sample_rate: From here on to `causal`, see
            `style_transfer.models.onsets_frames.harmonic_transcriber.HarmonicTranscriber`.
        velocity_width: Likewise.
        onset_loss_weight: From here on, see `style_transfer.models.onsets_frames.loss`.
    """

    batch_size: int = 8
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    decay_steps: int = 10_000
    final_fraction: float = 0.03
    clip_norm: float = 1.0
    ema_momentum: float = 0.999
    crop_secs: float = 10.0
    crops_per_example: int = 1
    augment: bool = True
    sample_rate: int = 16_000
    hop_length: int = 320
    fft_sizes: tuple[int, ...] = (4096, 1024)
    bins_per_semitone: tuple[int, ...] = (3, 1)
    width: int = 40
    dilations: tuple[int, ...] = (1, 2, 4, 1, 8)
    frame_dilations: tuple[int, ...] = (4, 16, 8)
    related: int = 6
    related_every: int = 2
    causal: bool = False
    velocity_width: int = 32
    onset_loss_weight: float = 10.0
    offset_loss_weight: float = 5.0
    frame_loss_weight: float = 5.0
    key_loss_weight: float = 5.0
    pedal_loss_weight: float = 0.5
    velocity_loss_weight: float = 0.3
    velocity_shift: float = 0.12


LEVEL_UNSURE_DB = (-3.0, 3.0)
LABEL_HPARAMS = ("onset_length", "offset_length", "onset_mode", "onset_delay",
                 "min_frame_occupancy_for_label")
def build_optimizer(hparams: OnsetsFramesHparams):
    """Adam as Magenta runs it."""
    return hparams_lib.build_optimizer(
        dataclasses.replace(hparams, final_fraction=hparams.decay_rate))


def build_dataset(examples_path: str, hparams: OnsetsFramesHparams, split: str, *, seed: int,
                  skip_batches: int = 0, input_context=None):
    """Batches with Magenta's labels, see `pipelines.inputs.transcription.make_dataset`."""
    return _dataset(examples_path, hparams, split, seed, skip_batches, input_context,
                    augment=hparams.transform_audio, hop_length=hparams.spec_hop_length,
                    labels="magenta", magenta_options=_chosen(hparams, LABEL_HPARAMS))


def build_small_dataset(examples_path: str, hparams: OnsetsFramesSmallHparams, split: str, *,
                        seed: int, skip_batches: int = 0, input_context=None):
    """Batches with smooth labels, see `pipelines.inputs.transcription.make_dataset`.

    Recordings are at the level at which they are transcribed, give or take what is left unsure of
    it: how loud a note is within its recording tells its velocity, how loud a recording is does
    not.
    """
    from style_transfer.transcription.transcriber import LEVEL_DB

    return _dataset(examples_path, hparams, split, seed, skip_batches, input_context,
                    augment=hparams.augment, hop_length=hparams.hop_length, level_db=LEVEL_DB,
                    gain_db=LEVEL_UNSURE_DB)


def build_metrics(hparams: OnsetsFramesHparams):
    """Scores of the notes that Magenta's decoder makes."""
    from style_transfer.transcription import magenta_decoding

    return _metrics(magenta_decoding.decode, hparams, hparams.spec_hop_length,
                    frame_threshold=hparams.predict_frame_threshold)


def build_small_metrics(hparams: OnsetsFramesSmallHparams):
    """Scores of the notes that our decoder makes."""
    from style_transfer.transcription import decoding

    return _metrics(decoding.decode, hparams, hparams.hop_length)


def _metrics(decode, hparams, hop_length, **thresholds):
    from style_transfer.transcription.metrics import TranscriptionMetrics

    decode = functools.partial(decode, frames_per_second=hparams.sample_rate / hop_length,
                               **thresholds)
    return TranscriptionMetrics(decode, hparams.crop_secs)


def _dataset(examples_path, hparams, split, seed, skip_batches, input_context, augment,
             gain_db=None, **labels):
    from style_transfer.pipelines.inputs import transcription as transcription_inputs
    from style_transfer.pipelines.inputs import transcription_crops

    is_training = split == "train"
    change = None
    if augment and is_training:
        change = transcription_crops.RecordingChange(**({"gain_db": gain_db} if gain_db else {}))
    settings = transcription_crops.TranscriptionSettings(
        sample_rate=hparams.sample_rate, crop_secs=hparams.crop_secs, seed=seed,
        change=change, with_notes=not is_training, **labels)
    return transcription_inputs.make_dataset(
        examples_path, split, settings=settings, batch_size=hparams.batch_size,
        crops_per_example=hparams.crops_per_example if is_training else 1, shuffle=is_training,
        repeat=is_training, skip_batches=skip_batches, input_context=input_context)


def _chosen(hparams, names):
    return {name: getattr(hparams, name) for name in names}


SHARED: dict[str, Any] = {
    "build_example_writer": lambda hparams: lazy("style_transfer.training.summaries:write_rolls")(),
    "generator": lazy("style_transfer.transcription.options:GENERATOR"),
    "serving": lazy("style_transfer.models.onsets_frames.serve:TranscriberServing"),
}
CONFIG = Config(
    name="onsets_frames",
    description="Piano audio to notes, Magenta's model and training.",
    hparams=OnsetsFramesHparams(),
    build_model=built("style_transfer.models.onsets_frames.net:OnsetsFrames"),
    build_loss=built("style_transfer.models.onsets_frames.magenta_loss:OnsetsFramesLoss"),
    build_optimizer=build_optimizer,
    build_dataset=build_dataset,
    examples=Pairs(segment_secs=(5, 20)),
    importer=lazy("style_transfer.models.onsets_frames.magenta:entries"),
    build_metrics=build_metrics,
    **SHARED,
)
SMALL = Config(
    name="onsets_frames_small",
    description="Piano audio to notes and pedal by a small model that all keys share.",
    hparams=OnsetsFramesSmallHparams(),
    build_model=built("style_transfer.models.onsets_frames.harmonic_transcriber:HarmonicTranscriber"),
    build_loss=built("style_transfer.models.onsets_frames.loss:TranscriptionLoss"),
    build_optimizer=hparams_lib.build_optimizer,
    build_dataset=build_small_dataset,
    examples=Pairs(),
    weights="onsets_frames_small",
    build_metrics=build_small_metrics,
    **SHARED,
)
