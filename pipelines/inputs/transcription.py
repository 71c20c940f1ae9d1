"""Batches for training transcription from example records: a `tf.data.Dataset` that streams."""

from collections.abc import Sequence

from style_transfer.pipelines.inputs.streams import check_positive, load_references, make_stream
from style_transfer.pipelines.inputs.transcription_crops import (
    TranscriptionCrops,
    TranscriptionSettings,
)


def make_dataset(
    examples_path: str | Sequence[str],
    split: str | None = "train",
    *,
    settings: TranscriptionSettings,
    batch_size: int = 8,
    shuffle: bool = True,
    repeat: bool = True,
    crops_per_example: int = 1,
    skip_batches: int = 0,
    input_context=None,
    num_parallel_calls: int | None = None,
    prefetch: int = 2,
):
    """Batches of audio and of what is played in it.

    Args:
        examples_path: As for `style_transfer.pipelines.inputs.piano_ddsp.make_dataset`; so
            `split`, `batch_size`, `shuffle`,
            `repeat`, `crops_per_example`, `skip_batches`, `input_context`, `num_parallel_calls`
            and `prefetch`.
        split: Which performances: `train`, `eval` or `test`; None for all.
        settings: Sizes and kind of labels; the same seed gives the same batches.
        batch_size: Global batch size.
        shuffle: Whether each pass has another order.
        repeat: Whether passes follow each other for ever, each with other crops.
        crops_per_example: How many crops a pass takes of each performance.
        skip_batches: Begin where so many batches have been taken before.
        input_context: `tf.distribute.InputContext` of this worker.
        num_parallel_calls: How many examples are made at once.
        prefetch: How many batches are made ahead.

    Returns:
        A `tf.data.Dataset` of `(x, y)`; x is the audio `[batch, crop_samples]`, y a dict with the
        shapes of `settings.shapes`; see `TranscriptionCrops.make`.

    Raises:
        ValueError: No files match, there are no examples of the split, or they have another rate.
    """
    import tensorflow as tf

    check_positive(batch_size=batch_size, crops_per_example=crops_per_example,
                   crop_secs=settings.crop_secs, hop_length=settings.hop_length)
    _, references = load_references(examples_path, split, settings.sample_rate)
    specs = (tf.TensorSpec((settings.crop_samples,), tf.float32),
             {name: tf.TensorSpec(shape, tf.float32) for name, shape in settings.shapes.items()})
    return make_stream(
        TranscriptionCrops(references, settings).make, specs, len(references),
        batch_size=batch_size, seed=settings.seed, shuffle=shuffle, repeat=repeat,
        crops_per_example=crops_per_example, skip_batches=skip_batches,
        input_context=input_context, num_parallel_calls=num_parallel_calls, prefetch=prefetch)
