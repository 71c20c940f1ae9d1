"""Training of symbolic models in a run's folder, as the commands do it."""

import dataclasses
import json

import numpy as np
import pytest

from style_transfer import configs, training
from style_transfer.models import base
from style_transfer.symbolic import encodings
from style_transfer.training import checkpoints

tf = pytest.importorskip("tensorflow")
pytest.importorskip("magenta")
NUM_TRAIN, NUM_EVAL, BATCH = 10, 3, 4
TINY = {"cat-mel_2bar_small": {"z_size": 3, "enc_rnn_size": (4,), "dec_rnn_size": (5, 4),
                               "transpose_range": ()},
        "drum_kit": {"rnn_layer_sizes": (4, 3), "attn_length": 2, "max_steps": 8}}


def melody(rng):
    labels = rng.integers(encodings.MELODY_DEPTH, size=32)
    return tf.train.Example(features=tf.train.Features(feature={
        "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=labels))}))


def drums(rng):
    def steps(values):
        return tf.train.FeatureList(feature=values)

    inputs = [tf.train.Feature(float_list=tf.train.FloatList(value=row))
              for row in rng.integers(2, size=(8, 518))]
    labels = [tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
              for label in rng.integers(512, size=8)]
    return tf.train.SequenceExample(feature_lists=tf.train.FeatureLists(feature_list={
        "inputs": steps(inputs), "labels": steps(labels)}))


@pytest.fixture(params=[pytest.param("cat-mel_2bar_small", marks=pytest.mark.slow), "drum_kit"])
def recorded(request, tmp_path):
    """A tiny configuration that remembers the training batches it gave, and its data."""
    from style_transfer.pipelines.records import tfrecords

    config, rng = configs.get(request.param), np.random.default_rng(0)
    make = drums if config.name in ("drum_kit", "one_drum") else melody
    for split, count in (("train", NUM_TRAIN), ("eval", NUM_EVAL)):
        (tmp_path / config.examples.files[split]).write_bytes(b"".join(
            tfrecords.frame(make(rng).SerializeToString()) for _ in range(count)))
    seen = []

    def build_dataset(examples_path, hparams, split, **rest):
        data = config.build_dataset(examples_path, hparams, split, **rest)
        if split == "eval":
            return data

        def remembering():
            for x, y in data:
                seen.append([row.tobytes() for row in np.asarray(x["inputs"])])
                yield x, y
        return remembering()

    hparams = dataclasses.replace(config.hparams, batch_size=BATCH, **TINY[config.name])
    return dataclasses.replace(config, hparams=hparams, build_dataset=build_dataset), tmp_path, seen


def train(config, folder, name, steps, **options):
    lines = []
    options = training.TrainOptions(str(folder / name), str(folder), steps, **{
        "checkpoint_interval": 5, "eval_interval": 5, "log_interval": 5, **options})
    training.train(config, config.hparams, options, lines.append)
    return lines


def test_training_evaluation_resuming_and_fine_tuning(recorded):
    """One pass over all of it, since each build of a graph takes seconds."""
    config, folder, seen = recorded
    train(config, folder, "run", 5)
    rows = [row for batch in seen[:5] for row in batch]
    for epoch in (rows[:NUM_TRAIN], rows[NUM_TRAIN:2 * NUM_TRAIN]):
        assert len(set(epoch)) == NUM_TRAIN  # an epoch is the whole data set
    seen.clear()
    assert "resuming at step 5" in train(config, folder, "run", 6)[0]
    assert set(seen[0]) < set(rows)
    scores = training.evaluate(config, config.hparams, run_dir=str(folder / "run"),
                               examples_path=str(folder), report=lambda line: None)[6]
    assert json.loads((folder / "run" / "eval" / "metrics.json").read_text())[-1]["step"] == 6
    expected = ({"perplexity", "repetition_accuracy_after_a_bar"} if config.name == "drum_kit"
                else {"kl_bits", "active_dimensions", "sampled_accuracy", "shuffled_accuracy"})
    assert expected | {"loss", "accuracy"} <= set(scores)
    lines = train(config, folder, "fine", 1, eval_interval=0,
                  checkpoint_file=str(checkpoints.path_of(folder / "run", 6)))
    assert "starting at step 0 with the weights of" in lines[0]
    tuned, start = (base.load_weights(config, str(folder / name)) for name in ("fine", "run"))
    for after, before in zip(tuned.trainable_variables, start.trainable_variables, strict=True):
        difference = np.abs(np.asarray(after) - np.asarray(before)).max()
        assert difference < 3e-3, after.path  # one step of Adam is no further
    fresh = config.build_model(config.hparams)
    fresh.build(None)
    assert max(np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in zip(
        fresh.trainable_variables, start.trainable_variables, strict=True)) > 0.05
