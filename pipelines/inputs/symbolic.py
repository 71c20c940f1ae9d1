"""Batches of sequences of classes for training and evaluation.

Every step of a training has its examples computed from the step alone: epoch after epoch goes
through all of them, in another order each time, and any step can be the first at no cost.
"""

import glob
import os

import numpy as np

from style_transfer.pipelines.example_kinds import DRUM_TRACK_FILES, SEQUENCE_FILES
from style_transfer.pipelines.inputs.shares import Share
from style_transfer.symbolic import encodings


class Batches:
    """Batches of examples; may be gone through again if they end.

    Args:
        count: How many examples there are.
        make: From indices of examples and a random generator of each, which depends on the example
            and on the pass, to a batch `(x, y)`.
        batch_size: Examples of a batch, over all replicas; an evaluation's last may have fewer.
        seed: Of order and augmentation.
        is_training: Whether batches never end and are shuffled.
        skip_batches: Training batches to leave out.
        input_context: `tf.distribute.InputContext` of a worker, which makes its part of every
            training batch, in batches for one replica; see `shares.Share`.
    """

    def __init__(self, count, make, batch_size, seed, is_training, skip_batches=0,
                 input_context=None):
        self.count, self._make, self._seed = count, make, seed
        self._is_training, self._skip_batches = is_training, skip_batches
        self._share = Share.of(batch_size, input_context)

    def __iter__(self):
        """Batches from the first, or from the one after those skipped."""
        share = self._share
        if not self._is_training:
            for first in range(0, self.count, share.batch_size):
                yield self._batch(np.arange(first, min(first + share.batch_size, self.count)))
            return
        first = self._skip_batches * share.size
        while True:
            yield self._batch(share.place(np.arange(first, first + share.replica_size)))
            first += share.replica_size

    def _batch(self, places):
        """The examples at places of the order of all passes one after the other."""
        epochs, indices = places // self.count, places % self.count
        if self._is_training:
            orders = {epoch: np.random.default_rng((self._seed, int(epoch))).permutation(self.count)
                      for epoch in np.unique(epochs)}
            indices = np.array([orders[epoch][index]
                                for epoch, index in zip(epochs, indices, strict=True)])
        return self._make(indices, [
            np.random.default_rng((self._seed, int(epoch), int(index), 1))
            for epoch, index in zip(epochs, indices, strict=True)])


def music_vae_batches(examples_path, layout, split, *, batch_size, seed, transpose_range=None,
                      skip_batches=0, input_context=None):
    """Batches for `MusicVae`.

    Args:
        examples_path: Folder of a data set, or one of its files. Or a file or pattern of
            NoteSequence TFRecords, as Magenta trains on; both splits are all of them then.
        layout: The `encodings.Layout`.
        split: `train` or `eval`.
        batch_size: Examples of a batch, over all replicas.
        seed: Of order and transposition.
        transpose_range: Least and greatest number of semitones that training sequences are moved
            by; None for none.
        skip_batches: See `Batches`.
        input_context: See `configs.Config.build_dataset`.

    Returns:
        `Batches` of `(x, y)`: `x` has `inputs`, `outputs` and `lengths`, `y` the last two.

    Raises:
        ValueError: There are no examples.
    """
    labels = _read_labels(_path(examples_path, SEQUENCE_FILES, split), layout)
    is_training = split == "train"

    def make(indices, rngs):
        chosen = labels[indices]
        if transpose_range and is_training:
            semitones = np.array([rng.integers(transpose_range[0], transpose_range[1] + 1)
                                  for rng in rngs])
            chosen = encodings.transpose(chosen, semitones, layout)
        y = {"outputs": encodings.one_hot(chosen, layout).astype(np.uint8),
             "lengths": np.full(len(indices), layout.steps, np.int32)}
        inputs = encodings.encoder_inputs(chosen, layout).astype(np.uint8)
        return {"inputs": inputs, **y}, y

    return Batches(len(labels), make, batch_size, seed, is_training, skip_batches, input_context)


def drums_rnn_batches(examples_path, input_size, split, *, batch_size, seed, max_steps=512,
                      steps_per_bar=16, exchange_drums=0.0, skip_batches=0, input_context=None):
    """Batches for `DrumsRnn`, padded with zeros to `max_steps`.

    Args:
        examples_path: Folder of a data set, or a file or pattern of SequenceExamples.
        input_size: Features of a step.
        split: `train` or `eval`.
        batch_size: Examples of a batch, over all replicas.
        seed: Of order and parts.
        max_steps: Of longer tracks, training takes a part that begins at a bar, evaluation the
            beginning.
        steps_per_bar: Steps of a bar.
        exchange_drums: Part of the training examples in which drums change places at random. Since
            any may be a hi-hat then, what comes next must be read off the track itself.
        skip_batches: See `Batches`.
        input_context: See `configs.Config.build_dataset`.

    Returns:
        `Batches` of `(x, y)`: `x` has `inputs`, `y` has `labels` and `lengths`.

    Raises:
        ValueError: There are no examples.
    """
    tracks = _read_tracks(_path(examples_path, DRUM_TRACK_FILES, split), input_size)
    is_training = split == "train"

    def make(indices, rngs):
        inputs = np.zeros((len(indices), max_steps, input_size), np.float32)
        labels = np.zeros((len(indices), max_steps), np.int32)
        lengths = np.zeros(len(indices), np.int32)
        for row, (index, rng) in enumerate(zip(indices, rngs, strict=True)):
            features, classes = tracks[index]
            bars = max(0, len(classes) - max_steps) // steps_per_bar
            first = int(rng.integers(bars + 1)) * steps_per_bar if is_training else 0
            stop = min(first + max_steps, len(classes))
            lengths[row] = stop - first
            if is_training and rng.random() < exchange_drums:
                features, classes = _exchange(features, classes, rng)
            inputs[row, :stop - first] = features[first:stop]
            labels[row, :stop - first] = classes[first:stop]
        return {"inputs": inputs}, {"labels": labels, "lengths": lengths}

    return Batches(len(tracks), make, batch_size, seed, is_training, skip_batches, input_context)


def _exchange(features, classes, rng):
    """A track with its drums, the bits of its classes, in another order."""
    num_classes = 1 << (features.shape[1].bit_length() - 1)
    num_drums = num_classes.bit_length() - 1
    bits = np.arange(num_classes)[:, None] >> rng.permutation(num_drums) & 1
    table = (bits << np.arange(num_drums)).sum(axis=1)
    features = features.copy()
    features[:, table] = features[:, :num_classes].copy()
    return features, table[classes]


def _path(examples_path, names, split):
    """Files of a split: those of a data set's folder, or what is named itself."""
    path = os.fspath(examples_path)
    if os.path.isdir(path):
        path = os.path.join(glob.escape(path), names[split])
    elif split == "eval" and os.path.basename(path) == names["train"]:
        path = os.path.join(os.path.dirname(path), names["eval"])  # the one beside it
    found = sorted(glob.glob(path))
    if not found:
        raise ValueError(f"There is no {path}: give a folder made by style_transfer_create_dataset "
                         "with the same --config, or files.")
    return found


def _records(paths):
    from style_transfer.pipelines.records import tfrecords

    # Beam's order is any.
    records = sorted(record for path in paths for record in tfrecords.read_records(path))
    if not records:
        raise ValueError(f"{paths[0]} holds no examples.")
    return records


def _read_labels(paths, layout):
    import tensorflow as tf

    shape = (layout.steps, len(layout.tracks))
    feature = {"labels": tf.io.FixedLenFeature(shape, tf.int64)}
    try:
        return tf.io.parse_example(_records(paths), feature)["labels"].numpy().astype(np.int16)
    # TensorFlow quotes what it cannot parse, which need not be text.
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
        labels = _labels_of_sequences(paths, layout)
        if not len(labels):
            raise ValueError(f"{paths[0]} is of another configuration: expected sequences of "
                             f"{shape[0]} steps and {shape[1]} tracks, or NoteSequences that have "
                             "some.") from error
        return labels


def _labels_of_sequences(paths, layout):
    """What a data set of these NoteSequences would hold; those that Magenta fails on have none."""
    from google.protobuf import message
    from note_seq.protobuf import music_pb2

    from style_transfer.pipelines import note_sequences

    found = [np.zeros((0, layout.steps, len(layout.tracks)), np.int16)]
    failed = 0
    for path in paths:
        for record in note_sequences.read_as_played(path):
            try:
                found.append(encodings.to_labels(music_pb2.NoteSequence.FromString(record), layout))
            except message.DecodeError:
                return found[0]
            # Magenta raises anything on odd pieces, and one of them must not stop the others.
            except Exception:
                failed += 1
    labels = np.concatenate(found)
    print(f"{len(labels)} sequences of {len(found) - 1} pieces, {failed} skipped", flush=True)
    return labels


def _read_tracks(paths, input_size):
    import tensorflow as tf

    features = {"inputs": tf.io.FixedLenSequenceFeature([input_size], tf.float32),
                "labels": tf.io.FixedLenSequenceFeature([], tf.int64)}
    found = []
    for record in _records(paths):
        try:
            _, track = tf.io.parse_single_sequence_example(record, sequence_features=features)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{paths[0]} is of another configuration: expected {input_size} "
                             "features a step.") from error
        # All features are -1, 0 or 1.
        found.append((track["inputs"].numpy().astype(np.int8), track["labels"].numpy()))
    return found
