"""From a NoteSequence to the records of a configuration, by Magenta's own pipelines."""

import collections
import fnmatch
import hashlib
import random
import types

from style_transfer.symbolic import encodings

DRUMS_RNN_STEPS_PER_QUARTER = {"one_drum": 2, "drum_kit": 4}
CONFIGS = (*DRUMS_RNN_STEPS_PER_QUARTER, *encodings.LAYOUTS)
SPLITS = ("train", "eval")


def make_converter(config_name, eval_ratio, eval_pieces=()):
    """A function from a NoteSequence to `(records, statistics)`.

    Records are bytes by split, statistics counts by name. A piece goes to one split only, which
    one depends on its name and id and nothing else.

    Args:
        config_name: One of `CONFIGS`.
        eval_ratio: Part of the pieces that are for evaluation.
        eval_pieces: Patterns (fnmatch) of the names of files that are for evaluation anyway.
    """
    convert = (_drums_rnn if config_name in DRUMS_RNN_STEPS_PER_QUARTER else _music_vae)
    by_hash, to_eval = convert(config_name, eval_ratio), convert(config_name, 1.0)

    def choose(sequence):
        kept = any(fnmatch.fnmatchcase(sequence.filename, pattern) for pattern in eval_pieces)
        return (to_eval if kept else by_hash)(sequence)

    return choose


def _drums_rnn(config_name, eval_ratio):
    pipeline = encodings.magenta_module("drums_rnn/drums_rnn_pipeline.py").get_pipeline(
        types.SimpleNamespace(encoder_decoder=encodings.drums_rnn_encoder(config_name),
                              steps_per_quarter=DRUMS_RNN_STEPS_PER_QUARTER[config_name]),
        eval_ratio)
    outputs = {"train": "training_drum_tracks", "eval": "eval_drum_tracks"}

    def convert(sequence):
        random.seed(_number(sequence))  # Magenta draws the split
        found = pipeline.transform(sequence)
        records = {split: [example.SerializeToString() for example in found[name]]
                   for split, name in outputs.items()}
        return records, _magenta_statistics(pipeline)

    return convert


def _music_vae(config_name, eval_ratio):
    import tensorflow as tf

    def convert(sequence):
        split = "eval" if random.Random(_number(sequence)).random() < eval_ratio else "train"
        labels = encodings.to_labels(sequence, config_name)
        records = [tf.train.Example(features=tf.train.Features(feature={
            "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[_name(sequence)])),
            "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=one.ravel())),
        })).SerializeToString() for one in labels]
        return {split: records}, collections.Counter({f"sequences for {split}": len(records)})

    return convert


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
