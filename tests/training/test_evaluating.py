import dataclasses
import json
import os
import time

import keras
import numpy as np
import pytest

from style_transfer import training
from style_transfer.models.onsets_frames.magenta_loss import OnsetsFramesLoss
from style_transfer.models.wavenet.loss import WaveNetLoss
from style_transfer.symbolic.loss import MusicVaeLoss, NextClassLoss
from style_transfer.training import checkpoints, evaluating
from tests import tiny_config
from tests.training.tiny_runs import CONFIG, HPARAMS, averaged, read_scores, run


def test_tensorboard_gets_losses_rates_speed_audio_and_pictures(whole_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_dir, _, _ = whole_run
    train, evaluation = (EventAccumulator(os.path.join(run_dir, name)).Reload()
                         for name in ("train", "eval"))
    assert set(train.Tags()["scalars"]) == {"loss", "learning_rate", "steps_per_second",
                                            "skipped_steps"}
    assert [event.step for event in train.Scalars("loss")] == [2, 4, 6, 8, 10, 12]
    assert set(evaluation.Tags()["scalars"]) == {"loss", "square", "absolute"}
    assert [event.step for event in evaluation.Scalars("loss")] == [4, 8, 12]
    assert set(evaluation.Tags()["audio"]) == {
        f"example_{i}/{name}" for i in range(4) for name in ("target", "prediction")}
    assert set(evaluation.Tags()["images"]) == {
        f"example_{i}/target_over_prediction" for i in range(4)}
    sound = evaluation.Audio("example_0/prediction")[-1]
    assert (sound.sample_rate, sound.length_frames) == (8000, tiny_config.NUM_SAMPLES)
    assert len(evaluation.Audio("example_0/target")) == 1
    assert evaluation.Images("example_0/target_over_prediction")[0].height == 260


def test_resumed_run_hides_the_logs_of_steps_that_are_done_again(tmp_path, examples):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    hparams = dataclasses.replace(HPARAMS, num_batches=7)
    with pytest.raises(ValueError, match="ended after step 7"):
        run(tmp_path, examples, 12, hparams, eval_interval=0, log_interval=1)
    time.sleep(1)  # TensorBoard reads files by their names, which begin with the second
    run(tmp_path, examples, 8, eval_interval=0, log_interval=1, override_hparams=True)
    events = EventAccumulator(str(tmp_path / "train")).Reload().Scalars("loss")
    assert [event.step for event in events] == list(range(1, 9))


def test_evaluation_of_checkpoints_equals_evaluation_while_training(tmp_path, examples, whole_run):
    run_dir, _, _ = whole_run
    recorded = read_scores(run_dir)
    assert [entry["step"] for entry in recorded] == [4, 8, 12]
    scores = training.evaluate(CONFIG, averaged(), run_dir=run_dir, examples_path=examples,
                               report=lambda line: None)
    assert list(scores) == [12]
    assert scores[12] == pytest.approx({k: v for k, v in recorded[-1].items() if k != "step"})
    model = CONFIG.build_model(HPARAMS)
    x, y = tiny_config.build_dataset(examples, HPARAMS, "eval", seed=0)[0]
    model(x)
    training.load_weights(checkpoints.path_of(run_dir, 12), model)
    batches = tiny_config.build_dataset(examples, HPARAMS, "eval", seed=0)
    assert [len(y) for _, y in batches] == [4, 4, 3]
    by_hand = np.mean(np.concatenate(
        [np.mean((np.asarray(model(x)) - y) ** 2, axis=1) for x, y in batches]))
    assert scores[12]["square"] == pytest.approx(by_hand, rel=1e-5)


def test_every_new_checkpoint_is_evaluated_once(tmp_path, examples):
    run(tmp_path, examples, 8, eval_interval=0)
    lines = []
    arguments = dict(run_dir=str(tmp_path), examples_path=examples, every_new=True, eval_batches=1,
                     report=lines.append)
    assert list(training.evaluate(CONFIG, HPARAMS, **arguments)) == [4, 8]
    assert training.evaluate(CONFIG, HPARAMS, **arguments) == {}
    entries = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert [entry["step"] for entry in entries] == [4, 8]
    assert lines[1].startswith("step 8  evaluation: loss ")


def test_evaluation_without_a_checkpoint_is_an_error(tmp_path, examples):
    with pytest.raises(ValueError, match="no checkpoint in .*--mode=train"):
        training.evaluate(CONFIG, HPARAMS, run_dir=str(tmp_path), examples_path=examples)


def test_a_checkpoint_is_evaluated_with_other_hparams_only_if_asked(tmp_path, examples):
    run(tmp_path, examples, 4, eval_interval=0)
    arguments = dict(run_dir=str(tmp_path), examples_path=examples, report=lambda line: None)
    other = dataclasses.replace(HPARAMS, batch_size=2)
    with pytest.raises(ValueError, match="batch_size: 4 -> 2.*--override_hparams"):
        training.evaluate(CONFIG, other, **arguments)
    scores = training.evaluate(CONFIG, other, override_hparams=True, **arguments)
    assert list(scores) == [4] and np.isfinite(scores[4]["loss"])


def test_rolls_show_labels_above_what_the_model_says_highest_key_first():
    from style_transfer.training import summaries

    rolls = {name: np.zeros((30, 88), np.float32) for name in ("frame", "onset")}
    rolls["frame"][5:20, 80] = 1
    rolls["onset"][5, 80] = 1
    logits = {name: np.where(np.roll(roll, 3, axis=0) > 0, 9.0, -9.0)
              for name, roll in rolls.items()}
    picture = summaries.roll_picture(rolls, logits)
    assert picture.shape == (2 * 88 + 2, 30, 3) and picture.dtype == np.uint8
    for first, top in ((5, 0), (8, 90)):
        row = picture[top + 7].astype(int)
        assert row[first, 0] > 250 > 10 > row[first + 1, 0]  # the onset is red
        np.testing.assert_array_equal(np.flatnonzero(row[:, 1] > 250),
                                      np.arange(first + 1, first + 15))


class Given(keras.Model):
    """Predicts what it is given."""

    def call(self, x):
        return x


RECORDS, STEPS = 11, 6


def predicted(kind):
    """A loss, and predictions and targets of records of many lengths."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, STEPS + 1, RECORDS)

    def values(*shape):
        return rng.normal(size=(RECORDS, STEPS, *shape)).astype(np.float32)

    if kind == "next_class":
        labels = rng.integers(3, size=(RECORDS, STEPS))
        logits = values(3) + 2 * np.eye(3, dtype=np.float32)[labels]
        return NextClassLoss(), logits, {"labels": labels, "lengths": lengths}
    if kind == "music_vae":
        latent = {"mu": values()[:, :2], "sigma": np.exp(values()[:, :2]),
                  "logits": values(4), "kl_weight": np.full(RECORDS, 0.3, np.float32)}
        outputs = np.eye(4, dtype=np.float32)[rng.integers(4, size=(RECORDS, STEPS))]
        return MusicVaeLoss(output_depths=(4,)), latent, {"outputs": outputs, "lengths": lengths}
    if kind == "onsets_frames":
        names = ("onset", "offset", "frame", "velocity")
        labels = {name: (values(88) > 1).astype(np.float32) for name in names}
        mask = (np.arange(STEPS) < lengths[:, None]).astype(np.float32)
        return OnsetsFramesLoss(), {name: values(88) for name in names}, {**labels, "mask": mask}
    shares = np.exp(values(2, 4))
    shares /= shares.sum(axis=-1, keepdims=True)
    return WaveNetLoss("mulaw"), {"logits": values(256), "code_shares": shares}, np.tanh(values())


@pytest.mark.parametrize("kind", ["next_class", "music_vae", "onsets_frames", "wavenet"])
def test_scores_do_not_depend_on_the_size_of_batches(kind):
    loss, prediction, target = predicted(kind)

    def scores(batch_size):
        def cut(value, first):
            return keras.tree.map_structure(lambda v: v[first:first + batch_size], value)

        batches = [(cut(prediction, first), cut(target, first))
                   for first in range(0, RECORDS, batch_size)]
        return evaluating.Evaluator(Given(), loss, batches).run()[0]

    expected = scores(RECORDS)
    assert all(0 <= value <= 1 for name, value in expected.items() if "accuracy" in name)
    for batch_size in (1, 4, 7):
        assert scores(batch_size) == pytest.approx(expected, rel=1e-5), batch_size


def test_every_step_of_every_sequence_counts_the_same():
    loss, logits, target = predicted("next_class")
    batches = [(logits[rows], {name: value[rows] for name, value in target.items()})
               for rows in (slice(7), slice(7, None))]
    found = evaluating.Evaluator(Given(), loss, batches).run()[0]
    valid = np.arange(STEPS) < target["lengths"][:, None]
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(log_probs, target["labels"][..., None], axis=-1)[..., 0]
    assert found["loss"] == pytest.approx(-picked[valid].mean(), rel=1e-5)
    right = (logits.argmax(axis=-1) == target["labels"])[valid]
    assert found["accuracy"] == pytest.approx(right.mean(), rel=1e-5)


@pytest.mark.parametrize("pieces", [[0, 1], [3, 3, 1, 1], [5, 1, 5, 2, 5, 9], list(range(7)),
                                    [2, 2, 2, 0, 0, 7, 7]])
def test_a_derangement_gives_each_clip_another_piece(pieces):
    order, is_other = evaluating.derangement(pieces)
    assert sorted(order) == list(range(len(pieces)))
    assert is_other.all()
    assert all(pieces[other] != piece for other, piece in zip(order, pieces, strict=True))


def test_clips_of_a_piece_that_has_most_of_the_batch_may_stay_without_another():
    order, is_other = evaluating.derangement([4, 4, 4, 1])
    assert sorted(order) == [0, 1, 2, 3] and is_other.sum() == 2 and is_other[3]
    assert not evaluating.derangement([4])[1].any()
    assert not evaluating.derangement([4, 4, 4])[1].any()
    assert not len(evaluating.derangement([])[0])
