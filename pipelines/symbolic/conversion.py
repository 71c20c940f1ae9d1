"""From a NoteSequence to the records of a configuration, by Magenta's own pipelines."""

import collections
import fnmatch
import hashlib
import random
import types

from style_transfer.symbolic import encodings, reasons

SPLITS = ("train", "eval")
OTHER_METER = "parts left out, meter other than 4/4"


def make_converter(examples, eval_ratio, eval_pieces=()):
    """A function from a NoteSequence to `(records, statistics)`.

    Records are bytes by split, statistics counts by name. A piece goes to one split only, which
    one depends on its name and id and nothing else.

    Args:
        examples: The configuration's `example_kinds.NoteSequences`.
        eval_ratio: Part of the pieces that are for evaluation.
        eval_pieces: Patterns (fnmatch) of the names of files that are for evaluation anyway.
    """
    by_hash, to_eval = (examples.make_converter(ratio) for ratio in (eval_ratio, 1.0))

    def choose(sequence):
        kept = any(fnmatch.fnmatchcase(sequence.filename, pattern) for pattern in eval_pieces)
        return (to_eval if kept else by_hash)(sequence)

    return choose


def drum_tracks(layout, eval_ratio, any_meter=False):
    """Makes what Drums RNN learns from, by Magenta's own pipeline.

    Args:
        layout: The tracks' `DrumLayout`.
        eval_ratio: Part of the pieces that are for evaluation.
        any_meter: Whether meters other than 4/4 count too, as with Magenta.

    Returns:
        See `make_converter`.
    """
    pipeline = encodings.magenta_module("drums_rnn/drums_rnn_pipeline.py").get_pipeline(
        types.SimpleNamespace(encoder_decoder=encodings.drums_rnn_encoder(layout),
                              steps_per_quarter=layout.steps_per_quarter),
        eval_ratio)
    outputs = {"train": "training_drum_tracks", "eval": "eval_drum_tracks"}

    def convert(sequence):
        parts, statistics = [sequence], collections.Counter()
        if not any_meter:
            parts, statistics = _parts_in_four(sequence)
        records = {split: [] for split in outputs}
        for part in parts:
            random.seed(_number(sequence))  # Magenta draws the split
            found = pipeline.transform(part)
            for split, name in outputs.items():
                records[split] += [example.SerializeToString() for example in found[name]]
            statistics.update(_magenta_statistics(pipeline))
        return records, statistics

    return convert


def _parts_in_four(sequence):
    """What Magenta's pipeline, which takes any meter, gets of a piece; and how much it does not.

    Returns:
        A list of NoteSequences, of which that of a piece in 4/4 is the piece itself; and a count of
        the parts with drums that are left out.
    """
    from note_seq import sequences_lib

    parts = sequences_lib.split_note_sequence_on_time_changes(sequence)
    others = [part for part in parts if not reasons.is_in_four(part)]
    if not others:
        return [sequence], collections.Counter()
    left_out = sum(any(note.is_drum for note in part.notes) for part in others)
    return ([part for part in parts if reasons.is_in_four(part)],
            collections.Counter({OTHER_METER: left_out}))


def sequences(layout, eval_ratio):
    """Makes what MusicVAE learns from, by Magenta's own converters.

    Args:
        layout: The sequences' `Layout`.
        eval_ratio: Part of the pieces that are for evaluation.

    Returns:
        See `make_converter`.
    """
    import tensorflow as tf

    def convert(sequence):
        split = "eval" if position(sequence) < eval_ratio else "train"
        labels = encodings.to_labels(sequence, layout)
        records = [tf.train.Example(features=tf.train.Features(feature={
            "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[_name(sequence)])),
            "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=one.ravel())),
        })).SerializeToString() for one in labels]
        return {split: records}, collections.Counter({f"sequences for {split}": len(records)})

    return convert


def position(sequence):
    """Where a piece lies in [0, 1): it is for evaluation where that is below the ratio."""
    return random.Random(_number(sequence)).random()


def _name(sequence):
    return (sequence.id or sequence.filename).encode() or sequence.SerializeToString(
        deterministic=True)


def _number(sequence):
    return int.from_bytes(hashlib.sha256(_name(sequence)).digest()[:8], "big")


def _magenta_statistics(pipeline):
    found = collections.Counter()
    for statistic in pipeline.get_stats():
        name = statistic.name.removeprefix("DAGPipeline_")
        if hasattr(statistic, "counters"):
            for bucket, count in statistic.counters.items():
                found[f"{name} {_range(statistic, bucket)}"] += count
        else:
            found[name] += statistic.count
    return found


def _range(histogram, bucket):
    following = [edge for edge in histogram.buckets if edge > bucket]
    return f"[{bucket}, {following[0] if following else 'inf'})"
