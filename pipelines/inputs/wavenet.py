"""Batches for training WaveNets from example records: a `tf.data.Dataset` that streams."""

from collections.abc import Sequence

from style_transfer import piano_roll
from style_transfer.pipelines.inputs import crops as crops_lib
from style_transfer.pipelines.inputs.streams import check_positive, load_references, make_stream
from style_transfer.pipelines.inputs.wavenet_crops import WaveNetCrops, WaveNetSettings


def make_dataset(
    examples_path: str | Sequence[str],
    split: str | None = "train",
    *,
    settings: WaveNetSettings,
    batch_size: int = 8,
    shuffle: bool = True,
    repeat: bool = True,
    crops_per_example: int = 1,
    skip_batches: int = 0,
    input_context=None,
    num_pianos: int | None = None,
    style_size: int | None = None,
    num_parallel_calls: int | None = None,
    prefetch: int = 2,
):
    """Batches of audio with its piano roll.

    Args:
        examples_path: As for `style_transfer.pipelines.inputs.piano_ddsp.make_dataset`; so
            `split`, `batch_size`, `shuffle`,
            `repeat`, `crops_per_example`, `skip_batches`, `input_context`, `num_parallel_calls`
            and `prefetch`.
        split: Which performances: `train`, `eval` or `test`; None for all.
        settings: Sizes, and what tells of the piano; the same seed gives the same batches.
        batch_size: Global batch size.
        shuffle: Whether each pass has another order; without `repeat` always the same one.
        repeat: Whether passes follow each other for ever, each with other crops.
        crops_per_example: How many crops a pass takes of each performance.
        skip_batches: Begin where so many batches have been taken before.
        input_context: `tf.distribute.InputContext` of this worker.
        num_pianos: How many `piano_id` the model knows; None for any number.
        style_size: Length of the style vector the model takes; None for any length.
        num_parallel_calls: How many examples are made at once.
        prefetch: How many batches are made ahead.

    Returns:
        A `tf.data.Dataset` of `(x, y)`, dicts; see `WaveNetCrops.make`.

    Raises:
        ValueError: No files match, there are no examples of the split, they have another rate or
            more pianos than the model, or no style clips.
    """
    check_positive(batch_size=batch_size, crops_per_example=crops_per_example,
                   crop_secs=settings.crop_secs, style_secs=settings.style_secs)
    crops = load_crops(examples_path, split, settings)
    if settings.piano == "id" and num_pianos is not None and len(crops.pianos) > num_pianos:
        raise ValueError(f"The records are of {len(crops.pianos)} pianos, but num_pianos is "
                         f"{num_pianos}: set it to that.")
    probe, _ = crops.make(0, 0)
    if settings.piano == "style" and style_size not in (None, len(probe["style"])):
        raise ValueError(f"global_size is {style_size}, but the style vectors have "
                         f"{len(probe['style'])} numbers: set it to that.")
    return make_stream(
        crops.make, _specs(settings, probe), len(crops.eligible), batch_size=batch_size,
        seed=settings.seed, shuffle=shuffle, repeat=repeat, crops_per_example=crops_per_example,
        skip_batches=skip_batches, input_context=input_context,
        num_parallel_calls=num_parallel_calls, prefetch=prefetch)


def load_crops(examples_path: str | Sequence[str], split: str | None,
               settings: WaveNetSettings) -> WaveNetCrops:
    """The maker of a split's examples, without TensorFlow; arguments as `make_dataset`'s."""
    references, chosen = load_references(examples_path, split, settings.sample_rate)
    # Levels and numbers of pianos come from all splits: they are the same in evaluation.
    crops = WaveNetCrops(chosen, settings, crops_lib.timbre_levels_db(references))
    if not crops.eligible:
        raise ValueError(f"None of {len(chosen)} performances (split {split!r}) can be used: each "
                         f"needs {settings.style_secs:g} s of other notes on the same piano. Add "
                         "performances of each piano, or lower crop_secs and style_secs.")
    return crops


def _specs(settings, probe):
    """`tf.TensorSpec`s of what one example consists of."""
    import tensorflow as tf

    audio = tf.TensorSpec((settings.crop_samples,), tf.float32)
    roll = tf.TensorSpec((settings.num_frames, piano_roll.KEYS_DEPTH), tf.float32)
    x = {"audio": audio, "roll": roll, "start_sample": tf.TensorSpec((), tf.int32)}
    if settings.piano == "id":
        x["piano_id"] = tf.TensorSpec((), tf.int32)
    if settings.piano == "style":
        x["style"] = tf.TensorSpec(probe["style"].shape, tf.float32)
    if settings.piano == "clip":
        x["style_audio"] = tf.TensorSpec((settings.style_samples,), tf.float32)
    if settings.with_pieces:
        x["piece"] = tf.TensorSpec((), tf.int32)
        if settings.piano == "clip":
            x["timbre"] = tf.TensorSpec((), tf.int32)
    return x, {"audio": audio, "roll": roll}
