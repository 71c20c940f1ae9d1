import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from style_transfer import training
from style_transfer.training import checkpoints, strategies
from tests import tiny_config

IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
CONFIG = tiny_config.CONFIG
HPARAMS = dataclasses.replace(CONFIG.hparams, source="tf" if IS_TENSORFLOW else "python")
needs_tensorflow = pytest.mark.skipif(not IS_TENSORFLOW, reason="tf.distribute and tf.data")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return str(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, examples):
    """A run of 12 steps with everything on, and its model."""
    run_dir = str(tmp_path_factory.mktemp("runs") / "whole")
    lines = []
    model = run(run_dir, examples, 12, averaged(), report=lines.append)
    return run_dir, model, lines


def averaged(**changes):
    return dataclasses.replace(HPARAMS, ema_momentum=0.9, **changes)


def run(run_dir, examples, steps, hparams=HPARAMS, report=lambda line: None, **options):
    defaults = {"checkpoint_interval": 4, "eval_interval": 4, "log_interval": 2}
    options = training.TrainOptions(str(run_dir), examples, steps, **{**defaults, **options})
    return training.train(CONFIG, hparams, options, report)


def arrays(run_dir, step):
    with np.load(checkpoints.path_of(run_dir, step) / checkpoints.TRAINING_FILE) as stored:
        return {name: stored[name] for name in stored.files}


def read_scores(run_dir):
    return json.loads(pathlib.Path(run_dir, "eval", "metrics.json").read_text())


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.weights]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_resumed_training_equals_uninterrupted_training_bit_for_bit(tmp_path, examples, whole_run):
    whole_dir, whole, _ = whole_run
    run(tmp_path, examples, 7, averaged())
    lines = []
    resumed = run(tmp_path, examples, 12, averaged(), report=lines.append)
    assert lines[0].startswith("resuming at step 7 ")
    assert_same(weights(whole), weights(resumed))
    first, second = arrays(whole_dir, 12), arrays(tmp_path, 12)
    assert first.keys() == second.keys()
    assert {name.split("/")[0] for name in first} == {"optimizer", "random", "raw"}
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_dropout_is_active_in_training_only(tmp_path, examples):
    runs = [run(tmp_path / str(rate), examples, 4, dataclasses.replace(HPARAMS, dropout=rate))
            for rate in (0.0, 0.9)]
    x, _ = tiny_config.batch(HPARAMS, 0, 0)
    assert np.abs(weights(runs[0])[0] - weights(runs[1])[0]).max() > 1e-4
    np.testing.assert_array_equal(*(np.asarray(runs[1](x)) for _ in range(2)))


@needs_tensorflow
def test_python_batches_train_as_a_dataset_does(tmp_path, examples, whole_run):
    model = run(tmp_path, examples, 12, averaged(source="python"))
    assert_same(weights(whole_run[1]), weights(model))


def test_evaluations_do_not_change_training(tmp_path, examples, whole_run):
    model = run(tmp_path, examples, 12, averaged(), eval_interval=0)
    assert_same(weights(whole_run[1]), weights(model))
    assert not (tmp_path / "eval").exists()


def test_loss_falls_and_progress_is_reported(whole_run):
    _, _, lines = whole_run
    losses = [float(line.split("loss")[1].split()[0]) for line in lines if "steps/s" in line]
    assert len(losses) == 6
    assert losses[-1] < losses[0]


def test_checkpoint_holds_averaged_weights_for_use_and_raw_ones_for_training(whole_run, examples):
    run_dir, model, _ = whole_run
    loaded = CONFIG.build_model(HPARAMS)
    loaded(tiny_config.batch(HPARAMS, 0, 0)[0])
    training.load_weights(checkpoints.path_of(run_dir, 12), loaded)
    assert_same(weights(model), weights(loaded))  # fit ends with the averages, too
    raw = [v for name, v in arrays(run_dir, 12).items() if name.startswith("raw/")]
    assert max(np.abs(a - b).max() for a, b in zip(raw, weights(loaded), strict=True)) > 1e-4


def test_average_follows_its_formula():
    optimizer = training.build_optimizer(0.1, schedule="constant", ema_momentum=0.9)
    variable = keras.Variable(np.ones(2, np.float32))
    optimizer.build([variable])
    expected = np.zeros(2)
    for step in range(15):
        optimizer.apply([keras.ops.convert_to_tensor([1.0, -2.0])], [variable])
        momentum = min(step / (step + 10), 0.9)
        expected = momentum * expected + (1 - momentum) * keras.ops.convert_to_numpy(variable)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(optimizer.averages[0]), expected,
                               rtol=1e-5)


def test_guarded_adam_equals_adam_on_finite_gradients():
    rng = np.random.default_rng(0)
    variables = [[keras.Variable(np.ones((3, 2), np.float32)), keras.Variable(np.ones(2, "f4"))]
                 for _ in range(2)]
    optimizers = [training.GuardedAdam(0.1, global_clipnorm=1.0, weight_decay=0.01),
                  keras.optimizers.Adam(0.1, global_clipnorm=1.0, weight_decay=0.01)]
    for _ in range(5):
        gradients = [rng.normal(size=v.shape).astype(np.float32) for v in variables[0]]
        for optimizer, own in zip(optimizers, variables, strict=True):
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], own)
    for a, b in zip(*variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gradients_that_are_not_finite_change_neither_weights_nor_moments(bad):
    optimizer = training.build_optimizer(0.1, clip_norm=1.0, ema_momentum=0.5)
    variables = [keras.Variable(np.ones(2, np.float32)), keras.Variable(np.ones(3, np.float32))]

    def step(value):
        optimizer.apply([keras.ops.convert_to_tensor([1.0, value]), keras.ops.ones(3)], variables)

    def snapshot():
        kept = [*variables, *optimizer._momentums, *optimizer._velocities]
        return [keras.ops.convert_to_numpy(v) for v in kept]

    step(bad)
    assert_same(snapshot()[:2], [np.ones(2), np.ones(3)])
    assert_same([keras.ops.convert_to_numpy(a) for a in optimizer.averages],
                [np.ones(2), np.ones(3)])
    step(2.0)
    before = snapshot()
    step(bad)
    step(bad)
    assert_same(before, snapshot())
    assert [int(keras.ops.convert_to_numpy(v)) for v in (
        optimizer.skipped_steps, optimizer.consecutive_skips, optimizer.iterations)] == [3, 2, 4]
    step(2.0)
    assert int(keras.ops.convert_to_numpy(optimizer.consecutive_skips)) == 0


def test_bad_batches_are_skipped_and_counted(tmp_path, examples):
    lines = []
    model = run(tmp_path, examples, 8, averaged(bad_batches=(2, 5)), report=lines.append)
    assert all(np.isfinite(w).all() for w in weights(model))
    progress = [line for line in lines if "steps/s" in line]
    assert progress[-1].endswith("2 skipped")
    assert "nan" not in "".join(line for line in progress if "8/8" in line)


def test_many_bad_batches_in_a_row_end_training_with_a_good_checkpoint(tmp_path, examples):
    with pytest.raises(training.TrainingDivergedError, match="20 steps in a row are not finite"):
        run(tmp_path, examples, 100, averaged(all_bad_after=4), eval_interval=0)
    path, state = checkpoints.latest(tmp_path)
    assert 4 <= state.step < 24
    assert all(np.isfinite(v).all() for v in arrays(tmp_path, state.step).values())


def test_an_optimizer_that_does_not_skip_ends_training_at_once(tmp_path, examples):
    hparams = dataclasses.replace(HPARAMS, optimizer="sgd", bad_batches=(5,))
    with pytest.raises(training.TrainingDivergedError, match="step 6: a loss is not finite"):
        run(tmp_path, examples, 8, hparams)
    assert checkpoints.steps(tmp_path) == [4]


def test_old_checkpoints_are_removed(tmp_path, examples):
    run(tmp_path, examples, 12, checkpoint_interval=2, keep_checkpoints=2, eval_interval=0)
    assert checkpoints.steps(tmp_path) == [10, 12]


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, examples, damage):
    run(tmp_path, examples, 8, eval_interval=0)
    victim = checkpoints.path_of(tmp_path, 8) / checkpoints.TRAINING_FILE
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "remove":
        victim.unlink()
    else:
        victim.write_bytes(content[:100] if damage == "truncate" else content)
    lines = []
    with pytest.warns(UserWarning, match="damaged checkpoint.*ckpt-000008"):
        run(tmp_path, examples, 9, eval_interval=0, report=lines.append)
    assert lines[0].startswith("resuming at step 4 ")
    assert checkpoints.latest(tmp_path)[1].step == 9  # without a warning
    assert (tmp_path / "damaged-ckpt-000008").is_dir()


def test_run_with_only_damaged_checkpoints_does_not_start_anew(tmp_path, examples):
    run(tmp_path, examples, 4, eval_interval=0)
    (checkpoints.path_of(tmp_path, 4) / checkpoints.STATE_FILE).write_text("{")
    with (pytest.warns(UserWarning, match="damaged"),
          pytest.raises(training.DamagedCheckpointError, match="All 1 checkpoints")):
        run(tmp_path, examples, 8)


def test_process_killed_while_saving_leaves_the_checkpoint_before(tmp_path, examples, monkeypatch):
    run(tmp_path, examples, 4, eval_interval=0)

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoints, "_flush", killed)
        run(tmp_path, examples, 8, eval_interval=0)
    assert checkpoints.steps(tmp_path) == [4]
    assert list(tmp_path.glob(".partial-*"))
    run(tmp_path, examples, 8, eval_interval=0)
    assert checkpoints.steps(tmp_path) == [4, 8]
    assert not list(tmp_path.glob(".partial-*"))


def test_fine_tuning_starts_at_step_0_with_the_weights_given(tmp_path, examples, whole_run):
    whole_dir, whole, _ = whole_run
    source = str(checkpoints.path_of(whole_dir, 12))
    lines = []
    slow = dataclasses.replace(HPARAMS, learning_rate=1e-9)
    for file in (source, f"{source}/{checkpoints.MODEL_FILE}"):
        run_dir = tmp_path / str(len(file))
        model = run(run_dir, examples, 1, slow, checkpoint_file=file, report=lines.append)
        for a, b in zip(weights(whole), weights(model), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        assert checkpoints.latest(run_dir)[1].step == 1
    assert lines[0].startswith("starting at step 0 with the weights of")


def test_checkpoint_that_is_missing_or_of_another_model_is_an_error(tmp_path, examples, whole_run):
    with pytest.raises(ValueError, match="no checkpoint .*nowhere"):
        run(tmp_path / "a", examples, 4, checkpoint_file=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no checkpoint .*empty"):
        run(tmp_path / "b", examples, 4, checkpoint_file=str(tmp_path / "empty"))
    wide = dataclasses.replace(HPARAMS, width=9)
    with pytest.raises(ValueError, match="does not fit this model"):
        run(tmp_path / "c", examples, 4, wide,
            checkpoint_file=str(checkpoints.path_of(whole_run[0], 12)))


def test_resuming_with_other_hparams_is_an_error_that_shows_the_difference(tmp_path, examples):
    run(tmp_path, examples, 2, eval_interval=0)
    other = dataclasses.replace(HPARAMS, learning_rate=0.5, bad_batches=(99,))
    message = r"bad_batches: \[\] -> \[99\]; learning_rate: 0.01 -> 0.5.*--override_hparams"
    with pytest.raises(ValueError, match=message):
        run(tmp_path, examples, 4, other)
    run(tmp_path, examples, 4, other, override_hparams=True, eval_interval=0)
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["hparams"]["learning_rate"] == 0.5
    with pytest.raises(ValueError, match="0.5 -> 0.01"):
        run(tmp_path, examples, 6)


def test_resuming_with_another_seed_or_config_or_optimizer_is_an_error(tmp_path, examples):
    run(tmp_path, examples, 2, seed=3, eval_interval=0)
    with pytest.raises(ValueError, match="started with seed 3, not 4"):
        run(tmp_path, examples, 4, seed=4)
    options = training.TrainOptions(str(tmp_path), examples, 4)
    with pytest.raises(ValueError, match="run of the config 'tiny', not of 'other'"):
        training.train(dataclasses.replace(CONFIG, name="other"), HPARAMS, options)
    with pytest.raises(ValueError, match="not saved by this model and optimizer.*optimizer/"):
        run(tmp_path, examples, 4, averaged(), override_hparams=True)
    run(tmp_path, examples, 4, eval_interval=0)  # the recorded seed is taken where none is given


def test_seed_decides_weights_and_data(tmp_path, examples):
    runs = [run(tmp_path / str(i), examples, 3, seed=seed, eval_interval=0)
            for i, seed in enumerate((1, 1, 2))]
    assert_same(weights(runs[0]), weights(runs[1]))
    assert np.abs(weights(runs[0])[0] - weights(runs[2])[0]).max() > 1e-3


def test_faulty_data_are_errors(tmp_path, examples):
    with pytest.raises(ValueError, match="No files match '/nowhere/\\*'"):
        run(tmp_path, "/nowhere/*", 4)
    with pytest.raises(ValueError, match="ended after step 5 of 8"):
        run(tmp_path, examples, 8, dataclasses.replace(HPARAMS, num_batches=5))
    once = dataclasses.replace(CONFIG, build_dataset=lambda *a, **k: iter([]))
    options = training.TrainOptions(str(tmp_path / "b"), examples, 4)
    with pytest.raises(ValueError, match="gone through only once"):
        training.train(once, HPARAMS, options)


@pytest.mark.parametrize(("change", "message"), [
    ({"num_training_steps": 0}, "num_training_steps is 0, expected at least 1"),
    ({"checkpoint_interval": 0}, "checkpoint_interval is 0"),
    ({"eval_batches": 0}, "eval_batches is 0"),
])
def test_options_out_of_range_are_errors(change, message):
    with pytest.raises(ValueError, match=message):
        training.TrainOptions(**{"run_dir": "r", "examples_path": "e", "num_training_steps": 1,
                                 **change})


def test_strategy_and_batch_size_are_checked():
    with pytest.raises(ValueError, match="'tpu' is unknown; choose one of default, mirrored"):
        strategies.make_placement("tpu")
    with pytest.raises(ValueError, match="batch_size=5 does not divide by the 2 devices"):
        strategies.check_batch_size(strategies.Placement(num_replicas=2), 5)


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


@pytest.mark.parametrize(("kind", "expected"), [
    ("constant", {0: 0.25, 3: 1.0, 4: 1.0, 14: 1.0, 50: 1.0}),
    ("cosine", {0: 0.25, 3: 1.0, 4: 1.0, 9: 0.55, 14: 0.1, 50: 0.1}),
    ("exponential", {0: 0.25, 3: 1.0, 4: 1.0, 9: 0.1**0.5, 14: 0.1, 24: 0.01}),
])
def test_learning_rate_warms_up_and_decays(kind, expected):
    schedule = training.WarmupDecay(2.0, warmup_steps=4, decay_steps=10, final_fraction=0.1,
                                    kind=kind)
    copy = training.WarmupDecay.from_config(schedule.get_config())
    for step, fraction in expected.items():
        for each in (schedule, copy):
            assert float(each(step)) == pytest.approx(2.0 * fraction, rel=1e-5)


@pytest.mark.parametrize("arguments", [
    {"peak": 0.0}, {"peak": 1.0, "decay_steps": 0}, {"peak": 1.0, "kind": "linear"},
    {"peak": 1.0, "kind": "exponential", "final_fraction": 0.0}])
def test_impossible_schedules_are_errors(arguments):
    with pytest.raises(ValueError, match="schedule|decay"):
        training.WarmupDecay(**arguments)


_TWO_DEVICES = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests import test_training
test_training.run(sys.argv[1], sys.argv[2], 8, test_training.repeatable(), strategy="mirrored")
"""
_WORKER = """
import sys
import numpy as np
from tests import test_training
model = test_training.run(sys.argv[1], sys.argv[2], 8, test_training.repeatable(),
                          strategy="multiworker")
np.savez(sys.argv[3], *test_training.weights(model))
"""


def repeatable():
    """Replicas draw the same masks for different examples, so that dropout would differ."""
    return averaged(dropout=0.0, bad_batches=(6,))


def start(code, *arguments, **environment):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], text=True,
                            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ".",
                                                         **environment})


def assert_ends_well(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]


def assert_trained_alike(first, second):
    """Scores, skipped steps and all variables of two runs are the same."""
    a, b = arrays(first, 8), arrays(second, 8)
    assert a.keys() == b.keys()
    for name in a:
        if not name.startswith("random"):
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-6, err_msg=name)
    scores = [read_scores(run_dir)[-1] for run_dir in (first, second)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


@needs_tensorflow
@pytest.mark.slow
def test_two_mirrored_devices_train_as_one_does(tmp_path, examples):
    process = start(_TWO_DEVICES, tmp_path / "two", examples)
    run(tmp_path / "one", examples, 8, repeatable())
    assert_ends_well(process)
    assert_trained_alike(tmp_path / "one", tmp_path / "two")


@needs_tensorflow
@pytest.mark.slow
def test_two_workers_resume_and_train_as_one_device_does(tmp_path, examples, unused_ports):
    run(tmp_path / "one", examples, 8, repeatable())
    run(tmp_path / "two", examples, 4, repeatable())
    cluster = {"worker": [f"127.0.0.1:{port}" for port in unused_ports]}
    workers = [start(_WORKER, tmp_path / "two", examples, tmp_path / f"{index}.npz",
                     TF_CONFIG=json.dumps({"cluster": cluster,
                                           "task": {"type": "worker", "index": index}}))
               for index in range(2)]
    for worker in workers:
        assert_ends_well(worker)
    with np.load(tmp_path / "0.npz") as chief, np.load(tmp_path / "1.npz") as other:
        assert_same([chief[name] for name in chief.files], [other[name] for name in other.files])
    assert_trained_alike(tmp_path / "one", tmp_path / "two")


@pytest.fixture
def unused_ports():
    import socket

    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
