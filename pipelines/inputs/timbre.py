"""Clips in pairs of one timbre, for the triplet network of evaluations."""

import functools

import numpy as np

from style_transfer.evaluation import metrics, published
from style_transfer.pipelines.inputs.streams import check_positive, load_references, make_stream
from style_transfer.pipelines.records import examples


class TimbrePairs:
    """Makes examples; the same arguments always give the same one.

    Args:
        references: Recordings; of each timbre with several, the second clip is of another one.
        clip_secs: Length of a clip.
        seed: Of everything random.
    """

    def __init__(self, references, clip_secs, seed):
        num_samples = round(clip_secs * metrics.SAMPLE_RATE)
        self.num_frames = num_samples // published.HOP_SAMPLES
        self.seed = seed
        self.references = [r for r in references if r.num_samples >= num_samples]
        names = sorted({reference.timbre_id for reference in self.references})
        self.timbres = [names.index(reference.timbre_id) for reference in self.references]
        self.places = [np.flatnonzero(np.equal(self.timbres, i)) for i in range(len(names))]

    def make(self, place, epoch, repetition=0):
        """MFCC of two clips, `[2, frames, 12]`, and the number of their timbre."""
        rng = np.random.default_rng([self.seed, epoch, place, repetition])
        timbre = self.timbres[place]
        others = self.places[timbre][self.places[timbre] != place]
        other = int(rng.choice(others)) if len(others) else place
        return np.stack([self._clip(i, rng) for i in (place, other)]), timbre

    def _clip(self, place, rng):
        frames = self._mfcc(place)
        begin = int(rng.integers(len(frames) - self.num_frames + 1))
        return frames[begin:begin + self.num_frames]

    @functools.cache  # noqa: B019 - decoding would be nearly all of the work, 30 kB are not much
    def _mfcc(self, place):
        reference = self.references[place]
        samples = examples.read_audio(reference, 0, reference.num_samples)
        gain = 10 ** ((metrics.TARGET_RMS_DB - reference.rms_db) / 20)
        return published.mfcc((gain * samples).astype(np.float32))


def make_dataset(examples_path, split, *, clip_secs, batch_size, seed, repeat, skip_batches=0,
                 input_context=None):
    """Batches of `TimbrePairs`.

    Args:
        examples_path: As for `streams.load_references`; so `split`.
        split: `train`, `eval` or `test`.
        clip_secs: Length of a clip.
        batch_size: As for `streams.make_stream`; so `skip_batches` and `input_context`.
        seed: Of everything random.
        repeat: Whether passes follow each other for ever, shuffled.
        skip_batches: Likewise.
        input_context: Likewise.

    Raises:
        ValueError: There are no examples, or fewer than two timbres with clips of the length.
    """
    import tensorflow as tf

    check_positive(batch_size=batch_size, clip_secs=clip_secs)
    _, references = load_references(examples_path, split, metrics.SAMPLE_RATE)
    pairs = TimbrePairs(references, clip_secs, seed)
    if len(pairs.places) < 2:
        raise ValueError(f"{len(pairs.places)} timbres of the split {split!r} have recordings of "
                         f"{clip_secs:g} s; two or more are needed to tell them apart.")
    specs = (tf.TensorSpec((2, pairs.num_frames, metrics.NUM_MFCC - 1), tf.float32),
             tf.TensorSpec((), tf.int32))
    # Shuffled in evaluations too: neighbours on the disk may be of one timbre.
    return make_stream(pairs.make, specs, len(pairs.references), batch_size=batch_size, seed=seed,
                       shuffle=True, repeat=repeat, skip_batches=skip_batches,
                       input_context=input_context)
