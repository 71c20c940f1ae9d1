import keras
import numpy as np
import pytest

from style_transfer import configs, training
from tests.eager import eagerly
from tests.pipelines import tiny_pairs

RATE = 24_000
SIZES = ("batch_size=2,crop_secs=0.6,style_secs=2,max_notes=6,hop=240,style_size=8,width=16,"
         "num_layers=2,context_filters=8,dilations=[1,2],num_partials=40,num_oscillators=64,"
         "room_secs=0.1,warmup_secs=0.1,warmup_steps=2,augment=false,crops_per_example=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("examples")
    tiny_pairs.write_records(root / "a.tfrecord", [
        tiny_pairs.example(f"{split}{i}", 5.0, seed=i, piece=f"{split}{i}", split=split, rate=RATE)
        for split in ("train", "eval") for i in range(2)])
    return str(root)


def hparams(more=""):
    config = configs.get("piano_ddsp")
    return config, configs.parse_hparams(f"{SIZES},{more}", config.hparams)


def test_targets_lack_the_warmup_that_the_model_leaves_out(folder):
    config, small = hparams()
    x, y = next(iter(config.build_dataset(folder, small, "train", seed=0)))
    assert y.shape == (2, round(0.5 * RATE))
    assert config.build_model(small)(x).shape == y.shape


def test_batches_go_on_where_they_were_skipped(folder):
    config, small = hparams()
    whole = list(config.build_dataset(folder, small, "train", seed=1).take(4))
    rest = list(config.build_dataset(folder, small, "train", seed=1, skip_batches=2).take(2))
    for (_, expected), (_, found) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(expected, found)


def test_evaluation_data_end_and_repeat(folder):
    config, small = hparams()
    data = config.build_dataset(folder, small, "eval", seed=0)
    passes = [np.concatenate([y for _, y in data]) for _ in range(2)]
    assert len(passes[0]) == 2
    np.testing.assert_array_equal(*passes)


@pytest.mark.parametrize(("path", "more", "message"), [
    ("{folder}", "sample_rate=16000", "sample rate of 24000 Hz .* expects 16000 Hz"),
    ("{folder}/nothing*", "", "No files match"),
    ("{folder}", "warmup_secs=0.7", "crop_secs=0.6 must be longer than warmup_secs=0.7"),
])
def test_data_that_do_not_fit_are_errors(folder, path, more, message):
    config, small = hparams()
    small = configs.parse_hparams(more, small)
    with pytest.raises(ValueError, match=message):
        config.build_dataset(path.format(folder=folder), small, "train", seed=0)


def test_what_was_trained_can_be_played(folder, tmp_path):
    from style_transfer import weights

    config, small = hparams()
    options = training.TrainOptions(str(tmp_path / "run"), folder, 2, checkpoint_interval=1,
                                    eval_interval=0, log_interval=1)
    with eagerly():
        trained = training.train(config, small, options, lambda line: None)
    loaded = weights.load(tmp_path / "run")
    assert loaded.weights_name == "run-2"
    x, _ = next(iter(config.build_dataset(folder, small, "eval", seed=0)))
    np.testing.assert_allclose(loaded.encode_style(x["style_audio"]),
                               trained.encode_style(x["style_audio"]), rtol=0.1, atol=0.05)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="resumes bit for bit there")
def test_training_resumes_bit_for_bit_and_lowers_the_loss(folder, tmp_path):
    """The model has random phases and noise, TCNs and averaged weights: all of it is restored."""
    config, small = hparams()

    def run(name, steps, report=lambda line: None):
        options = training.TrainOptions(str(tmp_path / name), folder, steps, eval_interval=6,
                                        checkpoint_interval=3, log_interval=3)
        return training.train(config, small, options, report)

    lines = []
    whole = run("whole", 6, lines.append)
    run("parts", 3)
    parts = run("parts", 6)
    for a, b in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)
    first, last = (float(line.split("loss ")[1].split()[0]) for line in lines if "steps/s" in line)
    assert last < first
    scores = training.evaluate(config, small, run_dir=str(tmp_path / "whole"),
                               examples_path=folder, report=lambda line: None)
    assert set(scores[6]) == {"loss", "spectral", "logmel_db"}
