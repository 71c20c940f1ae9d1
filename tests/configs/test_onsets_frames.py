import functools

import keras
import numpy as np
import pytest

from style_transfer import configs, training
from style_transfer.configs import onsets_frames
from style_transfer.training import strategies
from tests.pipelines import tiny_pairs

RATE = 16_000
SMALL = ("batch_size=2,crop_secs=1,width=8,dilations=[1,2],frame_dilations=[2],related=2,"
         "fft_sizes=[1024,512],bins_per_semitone=[1,1],warmup_steps=1")
FULL = ("batch_size=2,crop_secs=1,num_filters=[4,4,4],fc_size=16,onset_lstm_units=4,"
        "offset_lstm_units=4,combined_lstm_units=4")
CASES = [("onsets_frames_small", SMALL),
         pytest.param("onsets_frames", FULL, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("examples")
    tiny_pairs.write_records(root / "a.tfrecord", [
        tiny_pairs.example(f"{split}{i}", 3.0, seed=i, split=split, rate=RATE)
        for split in ("train", "eval") for i in range(3)])
    return str(root)


def hparams(name, text):
    config = configs.get(name)
    return config, configs.parse_hparams(text, config.hparams)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Trains a case for 3 steps, once: the run's folder, its model and the lines of progress."""
    @functools.cache
    def run(name, text):
        run_dir, lines = tmp_path_factory.mktemp("runs"), []
        options = training.TrainOptions(str(run_dir), folder, 3, eval_interval=0, log_interval=1)
        return run_dir, training.train(*hparams(name, text), options, lines.append), lines

    return run


def test_the_learning_rate_is_magentas():
    optimizer = onsets_frames.CONFIG.build_optimizer(onsets_frames.CONFIG.hparams)
    rate = optimizer._learning_rate
    assert [float(rate(step)) for step in (0, 9_999, 10_000, 25_000)] == pytest.approx(
        [0.0006, 0.0006, 0.0006 * 0.98, 0.0006 * 0.98**2])
    assert optimizer.global_clipnorm == 3.0 and not optimizer.use_ema


@pytest.mark.parametrize(("name", "text"), CASES)
def test_outputs_have_the_shapes_of_their_targets(folder, name, text):
    config, small = hparams(name, text)
    x, y = next(iter(config.build_dataset(folder, small, "train", seed=0)))
    outputs = config.build_model(small)(x)
    scale = outputs.pop("velocity_scale", outputs["velocity"])
    assert scale.shape == outputs["velocity"].shape
    assert all(outputs[key].shape == y[key].shape for key in outputs)
    assert set(y) - set(outputs) <= {"mask", "frame_weight"}


@pytest.mark.parametrize(("name", "text"), CASES)
def test_training_evaluates_notes_and_shows_rolls(folder, trained, name, text):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config, small = hparams(name, text)
    run_dir, _, lines = trained(name, text)
    scores = training.evaluate(config, small, run_dir=str(run_dir), examples_path=folder,
                               report=lambda line: None)[3]
    assert {"loss", "onset", "frame", "note_f1", "note_with_offsets_f1", "velocity_error",
            "frame_f1", "onset_threshold", "note_with_offsets_velocity_f1"} <= set(scores)
    events = EventAccumulator(str(run_dir / "eval")).Reload()
    assert "note_f1" in events.Tags()["scalars"]
    assert "example_0/target_over_prediction" in events.Tags()["images"]
    assert np.isfinite([float(line.split("loss ")[1].split()[0]) for line in lines
                        if "steps/s" in line]).all()


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_the_explicit_loop_trains_dicts_as_fit_does(folder, trained, tmp_path, monkeypatch):
    import tensorflow as tf

    config, small = hparams(*CASES[0])
    _, expected, _ = trained(*CASES[0])
    placement = strategies.Placement(tf.distribute.OneDeviceStrategy("cpu:0"))
    monkeypatch.setattr(strategies, "make_placement", lambda name: placement)
    options = training.TrainOptions(str(tmp_path), folder, 3, eval_interval=0)
    found = training.train(config, small, options, lambda line: None)
    for a, b in zip(expected.weights, found.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=a.path)
