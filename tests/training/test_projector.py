"""TensorBoard's projector and pictures, read back by TensorBoard's own code."""

import dataclasses
import io
import json
import types

import numpy as np
import pytest
from PIL import Image

from style_transfer import configs
from style_transfer.symbolic import encodings, rolls
from style_transfer.training import summaries
from style_transfer.training.evaluating import Evaluator
from style_transfer.training.projector import Embedding
from tests.pipelines import tiny_pairs
from tests.training import tiny_runs

SIZES = {"batch_size": 2, "crop_secs": 0.6, "style_secs": 2.0, "max_notes": 6, "style_size": 8,
         "width": 16, "num_layers": 2, "context_filters": 8, "dilations": (1, 2),
         "num_partials": 40, "num_oscillators": 64, "room_secs": 0.1, "warmup_secs": 0.1}


class Served:
    """TensorBoard's projector plugin over a folder of runs, without its web server."""

    def __init__(self, logdir):
        from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
        from tensorboard.plugins import base_plugin
        from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
        from werkzeug import test

        multiplexer = plugin_event_multiplexer.EventMultiplexer()
        multiplexer.AddRunsFromDirectory(str(logdir))
        multiplexer.Reload()
        plugin = ProjectorPlugin(base_plugin.TBContext(
            logdir=str(logdir), flags=types.SimpleNamespace(),
            data_provider=data_provider.MultiplexerDataProvider(multiplexer, str(logdir))))
        self._clients = {path: test.Client(app) for path, app in plugin.get_plugin_apps().items()}

    def get(self, path, **query):
        response = self._clients[path].get(path, query_string=query)
        assert response.status_code == 200, response.data
        return response.data


def test_the_projector_serves_what_was_written_last(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    sprites = np.arange(5 * 4 * 6 * 3, dtype=np.uint8).reshape(5, 4, 6, 3)
    labels = {"piano": ["a", "b\tc", "d\n e", "f", "g"], "secs": [1, 2, 3, 4, 5]}
    for scale in (1, 2):
        writer = summaries.SummaryWriter(tmp_path / "eval", scale)
        writer.scalars(scale, {"loss": 1.0})
        writer.embeddings([Embedding("pianos", scale * vectors, labels, sprites),
                           Embedding("others", vectors, {"name": list("abcde")})])
        writer.close()
    served = Served(tmp_path)
    assert json.loads(served.get("/runs")) == ["eval"]
    config = json.loads(served.get("/info", run="eval"))
    assert [entry["tensorName"] for entry in config["embeddings"]] == ["pianos", "others"]
    assert config["embeddings"][0]["sprite"]["singleImageDim"] == [6, 4]
    found = np.frombuffer(served.get("/tensor", run="eval", name="pianos"), np.float32)
    np.testing.assert_allclose(found.reshape(5, 3), 2 * vectors, rtol=1e-5)
    rows = served.get("/metadata", run="eval", name="pianos").decode().splitlines()
    assert rows == ["piano\tsecs", "a\t1", "b c\t2", "d e\t3", "f\t4", "g\t5"]
    # One column has no header.
    assert served.get("/metadata", run="eval", name="others").decode().split() == list("abcde")
    sheet = np.asarray(Image.open(io.BytesIO(
        served.get("/sprite_image", run="eval", name="pianos"))))
    assert sheet.shape == (12, 18, 3)
    np.testing.assert_array_equal(sheet[4:8, 6:12], sprites[4])
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("wrong", [{"labels": {"a": [1]}}, {"labels": {}},
                                   {"sprites": np.zeros((3, 4, 4, 3), np.uint8)}])
def test_vectors_without_as_many_labels_are_refused(tmp_path, wrong):
    embedding = Embedding("pianos", np.zeros((2, 3)), {"a": [1, 2]})
    writer = summaries.SummaryWriter(tmp_path)
    with pytest.raises(ValueError, match="'pianos' has 2 vectors"):
        writer.embeddings([dataclasses.replace(embedding, **wrong)])


def test_evaluations_write_the_config_s_embeddings_of_the_weights_they_score(tmp_path, examples):
    def build_embeddings(path, hparams, model):
        assert path == examples and hparams.width == tiny_runs.HPARAMS.width
        first = np.asarray(model.trainable_variables[0]).ravel()[:3]
        return [Embedding("things", np.stack([first, first]), {"name": ["a", "b"]})]

    config = dataclasses.replace(tiny_runs.CONFIG, build_embeddings=build_embeddings)
    from style_transfer import training

    options = training.TrainOptions(str(tmp_path), examples, 2, eval_interval=2,
                                    checkpoint_interval=2, log_interval=2)
    model = training.train(config, tiny_runs.HPARAMS, options, lambda line: None)
    found = np.frombuffer(Served(tmp_path).get("/tensor", run="eval", name="things"), np.float32)
    np.testing.assert_allclose(
        found[:3], np.asarray(model.trainable_variables[0]).ravel()[:3], rtol=1e-5)


def test_pianos_of_evaluation_clips_have_their_names_and_spectrograms(tmp_path):
    tiny_pairs.write_records(tmp_path / "a.tfrecord", [
        tiny_pairs.example(f"eval{i}", 5.0, seed=i, piece=f"piece{i}", split="eval", rate=24_000)
        for i in range(3)])
    config = configs.get("piano_ddsp")
    hparams = dataclasses.replace(config.hparams, **SIZES)
    model = config.build_model(hparams)
    model.build(None)
    (embedding,) = config.build_embeddings(str(tmp_path), hparams, model)
    assert embedding.vectors.shape == (3, 8) and embedding.sprites.shape == (3, 48, 48, 3)
    assert embedding.sprites.std(axis=(1, 2, 3)).min() > 5, "something is to be seen"
    assert set(embedding.labels) == {"piano", "piece", "recording"}
    assert sorted(embedding.labels["piece"]) != sorted(embedding.labels["piano"])
    # The style clip is another piece on the same piano, so pieces may come twice.
    assert set(embedding.labels["piece"]) <= {"piece0", "piece1", "piece2"}


def test_sequences_are_shown_by_their_latent_vectors_and_rolls(tmp_path, monkeypatch):
    from style_transfer.pipelines.inputs import symbolic as inputs

    config = configs.get("hierdec-trio_16bar")
    layout = configs.get("hierdec-trio_16bar").examples.layout
    labels = np.zeros((3, layout.steps, 3), np.int64)
    labels[1, 0, 0], labels[1, 8, 0], labels[2, 4, 2] = 42, 1, 3
    y = {"outputs": encodings.one_hot(labels, layout).astype(np.uint8)}
    monkeypatch.setattr(inputs, "music_vae_batches", lambda *_, **__: [(None, y)])
    hparams = dataclasses.replace(config.hparams, z_size=4, enc_rnn_size=(8,), dec_rnn_size=(8,))
    model = config.build_model(hparams)
    model.build(None)
    (embedding,) = config.build_embeddings(str(tmp_path), hparams, model)
    mu, _ = model.encode(encodings.encoder_inputs(labels, layout))
    np.testing.assert_allclose(embedding.vectors, mu, rtol=1e-5)
    assert embedding.labels["beginnings"] == (0, 1, 0)
    assert embedding.labels["lowest class"] == ("", 42, "")
    seen = embedding.sprites.max(axis=(1, 2, 3))
    assert seen[0] == 0 and seen[1] > 100 and seen[2] > 100


def test_symbolic_examples_are_shown_as_rolls_over_what_the_model_says():
    layout = configs.get("cat-mel_2bar_small").examples.layout
    truth, said = np.zeros((2, 32, 1), np.int64)
    truth[4, 0], truth[8, 0] = 2, 1  # the lowest key from step 4 to 7
    said[6, 0] = 2 + 87  # the highest from step 6 on
    writer = types.SimpleNamespace(picture=lambda step, tag, pixels: pictures.append(pixels))
    pictures = []
    rolls.write_sequences(layout, writer, 1, "one", {
        "outputs": encodings.one_hot(truth, layout), "lengths": 32},
        {"logits": 5.0 * encodings.one_hot(said, layout)})
    picture = pictures.pop()
    assert picture.shape == (2 * 88 + 2, 64, 3)
    lit = picture.max(axis=-1) > 60
    assert np.flatnonzero(lit[87]).tolist() == list(range(8, 16)) and lit[88:90].all()
    assert np.flatnonzero(lit[90]).tolist() == list(range(12, 64)) and lit.sum() == 8 + 52 + 128
    logits = 5.0 * np.eye(512)[[0, 1, 256, 7]]
    rolls.write_drums(writer, 1, "one", {"labels": np.array([1, 0, 256, 7]), "lengths": 3},
                      logits)
    picture = pictures.pop()
    assert picture.shape == (2 * 54 + 2, 6, 3)
    lit = (picture.max(axis=-1) > 60)[::rolls.DRUM_PIXELS]
    assert lit[8].tolist() == [True, True] + [False] * 4  # the first drum, at the bottom


@pytest.mark.parametrize("name", configs.names())
def test_every_config_that_learns_to_make_something_shows_it(name):
    config = configs.get(name)
    if config.examples is None or config.generator is None:
        return
    assert config.build_example_writer or config.build_probe
    if not hasattr(config.examples, "layout"):
        return
    written = []
    writer = types.SimpleNamespace(
        scalars=lambda *_: None, flush=lambda: None,
        picture=lambda step, tag, pixels: written.append((tag, pixels.shape)))
    depth = config.hparams.num_classes if config.name in ("drum_kit", "one_drum") else None
    evaluator = Evaluator(None, None, [],
                          write_example=config.build_example_writer(config.hparams))
    evaluator.write(writer, 1, {}, [_example(name, depth)])
    ((tag, shape),) = written
    assert tag == "example_0/target_over_prediction" and shape[2] == 3


def _example(name, depth):
    if depth is not None:
        return {"labels": np.zeros(8, int), "lengths": 8}, np.zeros((8, depth))
    layout = configs.get(name).examples.layout
    outputs = encodings.one_hot(np.zeros((layout.steps, len(layout.tracks)), int), layout)
    return {"outputs": outputs, "lengths": layout.steps}, {"logits": outputs.astype(float)}
