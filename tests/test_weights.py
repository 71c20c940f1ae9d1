"""Damaged folders of weights are refused in one sentence."""

import json
import pathlib
import shutil

import pytest

from style_transfer import weights

WHOLE = pathlib.Path(weights.__file__).parent / "timbre_metric"


def without(name):
    config = json.loads((WHOLE / weights.CONFIG_FILE).read_text())
    return json.dumps({key: value for key, value in config.items() if key != name}).encode()


@pytest.mark.parametrize(("file", "data", "message"), [
    ("config.json", b"{", "No model can be made from config.json"),
    ("config.json", b"[1]", "No model can be made"), ("config.json", b"\xff\xfe", "No model can"),
    ("config.json", without("model"), "No model can be made"),
    ("config.json", without("name"), "No model can be made"),
    ("model.weights.h5", b"", "do not fit their config"),
    ("model.weights.h5", b"\x89HDF\r\n\x1a\n" * 9, "do not fit their config")])
def test_damaged_weights_are_refused_in_a_sentence(tmp_path, file, data, message):
    folder = shutil.copytree(WHOLE, tmp_path / "w")
    (folder / file).write_bytes(data)
    with pytest.raises(ValueError, match=f"{message}.*[.]$") as caught:
        weights.load(folder)
    assert "\n" not in str(caught.value)
