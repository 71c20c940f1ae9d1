"""The helper notices what it is for, and no layer, model or loss is left out."""

import importlib
import pathlib
import pkgutil
import re

import keras
import pytest

import style_transfer
from tests import model_case

TESTS = pathlib.Path(__file__).parent


def test_every_class_that_keras_can_save_is_held_to_a_case():
    for module in pkgutil.walk_packages(style_transfer.__path__, "style_transfer."):
        if module.name.split(".")[1] in ("models", "layers", "losses", "symbolic", "synthesis",
                                         "training", "transcription"):
            importlib.import_module(module.name)
    registered = {name.removeprefix("style_transfer>"): cls
                  for name, cls in keras.saving.get_custom_objects().items()
                  if name.startswith("style_transfer>") and cls.__module__.startswith("style_")
                  and "__init__" in vars(cls)}
    assert len(registered) > 25
    sources = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    checks = {keras.Model: "model", keras.layers.Layer: "layer", keras.losses.Loss: "loss"}
    for name, cls in registered.items():
        kind = next((kind for base, kind in checks.items() if issubclass(cls, base)), "config")
        found = re.search(rf"check_({kind}|config)\(\s*(\w+\.)?{name},", sources)
        assert found, f"no test calls model_case.check_{kind}({name}, ...)"


class Scaled(keras.layers.Layer):
    def __init__(self, factor=1.0, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.factor, self.offset = factor, offset

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "offset": self.offset}


class Forgetful(Scaled):
    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "offset"}


class Deaf(Scaled):
    def __init__(self, factor=1.0, offset=0.0, **kwargs):
        super().__init__(factor, 0.0, **kwargs)


CHANGES = {"factor": 2.0, "offset": 1.0}


@pytest.mark.parametrize(("cls", "changes", "message"), [
    (Forgetful, CHANGES, "leaves out offset"), (Deaf, CHANGES, "offset"),
    (Scaled, {"factor": 2.0}, "every argument"), (Scaled, {**CHANGES, "factor": 1.0}, "another")])
def test_what_is_not_kept_is_noticed(cls, changes, message):
    with keras.saving.custom_object_scope({cls.__name__: cls}), pytest.raises(
            AssertionError, match=message):
        model_case.check_config(cls, {}, changes)


def test_what_is_kept_passes():
    with keras.saving.custom_object_scope({"Scaled": Scaled}):
        model_case.check_config(Scaled, {}, CHANGES)
