"""Graphs that a server keeps for its next start."""

import os
import time

import keras
import numpy as np
import pytest

from style_transfer import configs, weights
from style_transfer.configs import from_dict
from style_transfer.serving import cache
from style_transfer.serving.server import limits as limits_lib
from style_transfer.serving.server import models as models_lib


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


def save(folder):
    (folder / "variables").mkdir()
    (folder / "variables" / "numbers").write_bytes(b"numbers")
    (folder / "graph").write_bytes(b"graph")


def load(folder):
    return (folder / "graph").read_bytes()


def test_what_was_kept_is_found():
    assert cache.find("a", load) is None
    assert cache.keep("a", save)
    assert cache.find("a", load) == b"graph" and cache.find("b", load) is None


@pytest.mark.parametrize("damage", [
    lambda path: (path / "graph").write_bytes(b"gra"),
    lambda path: (path / "variables" / "numbers").unlink(),
    lambda path: (path / "new").write_bytes(b""),
    lambda path: (path / cache.SUMS_FILE).unlink(),
    lambda path: (path / cache.SUMS_FILE).write_text("{"),
])
def test_a_damaged_graph_is_thrown_away_and_can_be_kept_again(home, damage):
    cache.keep("a", save)
    damage(home / "a")
    assert cache.find("a", load) is None and not (home / "a").exists()
    assert cache.keep("a", save) and cache.find("a", load) == b"graph"


def test_a_graph_that_cannot_be_loaded_is_thrown_away(home):
    cache.keep("a", save)
    assert cache.find("a", lambda _: 1 / 0) is None and not (home / "a").exists()


def test_of_two_servers_that_keep_one_graph_either_keeps_it(home):
    def slow(folder):
        save(folder)
        assert cache.keep("a", save)  # another server, meanwhile

    assert cache.keep("a", slow)
    assert os.listdir(home) == ["a"] and cache.find("a", load) == b"graph"


def test_a_graph_that_cannot_be_written_leaves_nothing(home, tmp_path, monkeypatch):
    def fail(folder):
        save(folder)
        raise OSError("no space left")

    assert not cache.keep("a", fail)
    assert os.listdir(home) == []
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    assert not cache.keep("a", save) and cache.find("a", load) is None


def test_the_graphs_used_last_stay_and_what_was_never_finished_goes(home, monkeypatch):
    for age, name in enumerate("abc"):
        cache.keep(name, save)
        os.utime(home / name, (time.time() - 100 + age,) * 2)
    assert cache.find("a", load)  # so that "b" is the one used least
    for name, age_secs in ((".partial-old", 1e4), (".partial-new", 0)):
        (home / name).mkdir()
        os.utime(home / name, (time.time() - age_secs,) * 2)
    monkeypatch.setattr(cache, "GRAPHS_KEPT", 2)
    cache.keep("d", save)
    assert sorted(os.listdir(home)) == [".partial-new", "a", "d"]


def test_the_key_is_of_weights_code_and_limits(tmp_path, monkeypatch):
    package, folder = tmp_path / "package", tmp_path / "weights"
    for path in (package, folder):
        path.mkdir()
    (package / "code.py").write_text("one")
    (folder / "model.weights.h5").write_text("one")
    monkeypatch.setattr(cache, "_PACKAGE", package)
    config = configs.get("drum_kit")
    keys = [cache.key(config, folder, notes=3), cache.key(config, folder, notes=4)]
    keys.append(cache.key(configs.get("one_drum"), folder, notes=3))
    for path in (package / "code.py", folder / "model.weights.h5"):
        path.write_text("two")
        keys.append(cache.key(config, folder, notes=3))
    assert len(set(keys)) == 5


def test_a_kept_graph_answers_as_the_traced_one_and_loads_no_weights(tmp_path, monkeypatch):
    keras.utils.set_random_seed(1)
    config = configs.get("drum_kit")
    model = config.build_model(from_dict({"rnn_layer_sizes": [4]}, config.hparams))
    if not model.built:
        model.build(None)
    weights.save(model, tmp_path / "weights", "tiny")
    said = []

    def served(**options):
        return models_lib.from_weights("drums", config, str(tmp_path / "weights"),
                                       limits_lib.Limits(), said.append, **options)

    inputs = {name: np.ones([1 if size is None else size for size in shape], dtype)
              for name, (shape, dtype) in served(keeps=False).inputs_of("serving_default").items()}
    inputs["num_steps"][:] = 4
    traced = served()
    assert "tracing drums" in said
    said.clear()
    monkeypatch.setattr("style_transfer.models.base.load_weights", None)
    kept = served()
    assert said == ["loading the graphs of drums"]
    assert kept.signature_names == traced.signature_names
    for name, value in traced.predict("serving_default", inputs).items():
        np.testing.assert_array_equal(kept.predict("serving_default", inputs)[name], value)
