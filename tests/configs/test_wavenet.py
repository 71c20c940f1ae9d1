import dataclasses
import json

import keras
import numpy as np
import pytest

from style_transfer import configs, training
from style_transfer.models.wavenet import inputs
from tests.eager import eagerly
from tests.pipelines import tiny_pairs

RATE = tiny_pairs.RATE
NAMES = ("midi2wave", "midi2wave_autoencoder", "midi2wave_small")
TINY = (f"batch_size=3,sample_rate={RATE},crop_secs=0.25,num_layers=3,dilation_cycle=3,"
        "residual_channels=4,skip_channels=4,hidden_channels=4,num_mixtures=2,context_layers=2,"
        "context_channels=4,warmup_steps=1,eval_crops=2,style_secs=2,listen_clips=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("examples")
    tiny_pairs.write_records(root / "a.tfrecord", [
        tiny_pairs.example(f"{split}{i}", 3.0, seed=i, split=split, timbre="ab"[i % 2])
        for split in ("train", "eval") for i in range(4)])
    return str(root)


def tiny(name, text=""):
    config = configs.get(name)
    taps = min(8, config.hparams.predictor_taps)
    hparams = configs.parse_hparams(f"{TINY},predictor_taps={taps}", config.hparams)
    return config, configs.parse_hparams(text, hparams)


def test_midi2wave_has_the_decoder_of_the_seed():
    model = configs.get("midi2wave").build_model(configs.get("midi2wave").hparams)
    model.build(None)
    assert (model.num_layers, model.residual_channels) == (22, 32)
    assert (model.skip_channels, model.hidden_channels) == (128, 256)
    assert model.receptive_field == 5119 and model.sample_rate == 16_000


def test_the_small_model_is_small():
    config = configs.get("midi2wave_small")
    model = config.build_model(config.hparams)
    model.build(None)
    assert 100_000 < model.count_params() < 500_000


@pytest.mark.parametrize("name", [
    "midi2wave_small", *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[:2])])
def test_training_measures_the_gain_and_shows_examples(folder, tmp_path, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config, hparams = tiny(name)
    options = training.TrainOptions(str(tmp_path), folder, 2, eval_interval=2, log_interval=1)
    lines = []
    with eagerly():
        training.train(config, hparams, options, lines.append)
    [scores] = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert np.isfinite([scores["nll"], scores["conditioning_gain"]]).all()
    assert ("usage" in scores) == (name == "midi2wave_autoencoder")
    tags = EventAccumulator(str(tmp_path / "eval")).Reload().Tags()
    assert "conditioning_gain" in tags["scalars"]
    assert {"example_0/roll", "example_0/target_over_expected",
            "example_0/target_over_free_running"} <= set(tags["images"])
    again = training.evaluate(config, hparams, run_dir=str(tmp_path), examples_path=folder,
                              report=lambda line: None)[2]
    assert again["conditioning_gain"] == pytest.approx(scores["conditioning_gain"], abs=1e-5)


@pytest.mark.parametrize("text", [
    "input_noise=0.1", "input_dropout=0.5", "scheduled_sampling=0.5", "auxiliary=transcription",
    "auxiliary=spectral", "output=mulaw", "excitation_partials=2", "predictor_taps=5"])
def test_every_remedy_trains(folder, text):
    config, hparams = tiny("midi2wave", text)
    x, y = next(iter(config.build_dataset(folder, hparams, "train", seed=0)))
    model, loss = config.build_model(hparams), config.build_loss(hparams)
    value = loss(y, model(x, training=True))
    assert np.isfinite(float(value))
    name, _, given = text.partition("=")
    assert str(getattr(model, "output_kind" if name == "output" else name)) == given


@pytest.mark.parametrize("piano", ["id", "style"])
def test_the_model_is_told_of_the_piano(folder, piano, monkeypatch):
    monkeypatch.setattr(inputs, "style_vectors", lambda clips, rate: np.random.default_rng(
        0).normal(size=(len(clips), 6)).astype(np.float32))
    config, hparams = tiny("midi2wave_small", f"piano={piano},num_pianos=2,global_size=6")
    x, _ = next(iter(config.build_dataset(folder, hparams, "train", seed=0)))
    model = config.build_model(hparams)
    key = {"id": "piano_id", "style": "style"}[piano]
    keras.utils.set_random_seed(0)
    first = np.asarray(model(x)["logits"])
    for weight in model.context.globals[key].trainable_weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    x = {name: np.asarray(value) for name, value in x.items()}
    other = model({**x, key: 1 - x[key]})["logits"]
    assert np.abs(np.asarray(model(x)["logits"]) - np.asarray(other)).max() > 1e-4
    assert np.isfinite(first).all()


def test_wrong_pianos_are_errors(folder):
    for text, message in (("piano=id", "needs num_pianos"), ("piano=clip", "choose none, id or"),
                          ("piano=id,num_pianos=1", "of 2 pianos")):
        config, hparams = tiny("midi2wave", text)
        with pytest.raises(ValueError, match=message):
            config.build_dataset(folder, hparams, "train", seed=0)


SPECTRAL = (f"batch_size=2,sample_rate={RATE},crop_secs=0.5,style_secs=2,num_layers=2,"
            "dilation_cycle=2,channels=4,hidden_channels=4,context_layers=2,context_channels=4,"
            "style_size=4,excitation_partials=2,warmup_steps=1,eval_crops=2,listen_clips=0")


def test_spectral_data_have_a_clip_of_the_piano_and_the_model_takes_them(folder):
    config = configs.get("wavenet_spectral")
    hparams = configs.parse_hparams(SPECTRAL, config.hparams)
    x, y = next(iter(config.build_dataset(folder, hparams, "train", seed=0)))
    assert {name: tuple(value.shape) for name, value in x.items()} == {
        "roll": (2, 125, 176), "start_sample": (2,), "style_audio": (2, 2 * RATE)}
    loss = config.build_loss(hparams)
    assert float(loss(y, y)) < 1e-5 < float(loss(y, 0.5 * y))
    assert config.build_model(hparams)(x).shape == y.shape


@pytest.mark.slow
def test_the_spectral_model_trains_and_measures_the_gain(folder, tmp_path):
    config = configs.get("wavenet_spectral")
    hparams = configs.parse_hparams(SPECTRAL, config.hparams)
    options = training.TrainOptions(str(tmp_path), folder, 2, eval_interval=2, log_interval=1)
    training.train(config, hparams, options, lambda line: None)
    [scores] = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert np.isfinite([scores["loss"], scores["conditioning_gain"]]).all()


def test_a_config_file_of_midi2wave_gives_the_hparams_it_has_a_counterpart_for(tmp_path):
    path = tmp_path / "config_train.json"
    path.write_text(json.dumps({
        "train_config": {"device": "cuda:1", "learning_rate": 1e-4, "batch_size": 2,
                         "use_logistic_mixtures": False, "use_variational_autoencoder": True},
        "data_config": {"segment_length": 7.5, "audio_hz": 8000, "midi_hz": 125},
        "wavenet_config": {"n_layers": 16, "max_dilation": 128, "n_residual_channels": 64},
        "cond_wavenet_config": {"n_layers": 12, "max_dilation": 64}}))
    defaults = configs.get("midi2wave").hparams
    found = configs.parse_hparams(f"{path},batch_size=3", defaults)
    assert found == dataclasses.replace(
        defaults, learning_rate=1e-4, batch_size=3, output="mulaw", bottleneck="argmax",
        crop_secs=7.5, sample_rate=8000, roll_rate=125, num_layers=16, dilation_cycle=8,
        residual_channels=64, context_layers=12, context_cycle=7)
    with pytest.raises(ValueError, match="has no field that this configuration knows"):
        configs.parse_hparams(str(path), configs.get("drum_kit").hparams)
