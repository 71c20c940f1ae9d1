"""docs/serving.md: each of its lines is answered by the embedded server."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import soundfile

from style_transfer import audio, configs, piano_roll
from style_transfer.configs import from_dict
from style_transfer.serving.server import models as models_lib
from style_transfer.serving.server.run import Server
from tests import pianos
from tests.transcription import tone_transcriber

pytestmark = pytest.mark.slow  # it traces the graphs of six models

DOC = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"
TINY = {
    "midi2wave_small": {"sample_rate": 1000, "num_layers": 2, "dilation_cycle": 2,
                        "residual_channels": 4, "skip_channels": 8, "hidden_channels": 8},
    "wavenet_spectral": {"sample_rate": 1000},
    "cat-mel_2bar_small": {"enc_rnn_size": [12], "dec_rnn_size": [10], "z_size": 6},
    "drum_kit": {"rnn_layer_sizes": [8]},
}


def tiny(name):
    keras.utils.set_random_seed(1)
    config = configs.get(name)
    model = config.build_model(from_dict(TINY[name], config.hparams))
    if not model.built:
        model.build(None)
    model.weights_name = "tiny"
    return config, model


@pytest.fixture(scope="module")
def server(small_limits):
    limits = dataclasses.replace(small_limits, compute_secs=300.0, body_bytes=1 << 24)
    made = {name: tiny(name) for name in TINY}
    made["piano_ddsp"] = configs.get("piano_ddsp"), pianos.tiny_model()
    made["onsets_frames_small"] = configs.get("onsets_frames_small"), tone_transcriber.make()
    served = [models_lib.from_model(name, model, config.serving(), limits)
              for name, (config, model) in made.items()]
    with Server(models_lib.Models(served), limits, rest_port=0, grpc_port=None) as running:
        yield running


@pytest.fixture(scope="module")
def answers(server, request, tmp_path_factory):
    """The folder in which all lines were run, one after the other."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("curl")
    root = request.config.rootpath
    clip = audio.load(root / "examples" / "electric_grand.flac", 16_000)
    soundfile.write(folder / "clip.wav", clip.samples[:3 * 16_000], 16_000, "PCM_16")
    piano_roll.save_midi(folder / "piece.mid", piano_roll.to_sequence(
        pianos.notes((39, 0.5, 0.1, 0.3), (43, 0.6, 0.2, 0.4))))
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```", DOC.read_text(), re.DOTALL | re.MULTILINE))
    lines = lines.replace(":8501", f":{server.rest_port}")
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", lines], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(root)}, timeout=280)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def test_each_signature_has_a_line(server):
    text = DOC.read_text()
    for (name, _), model in server.models._served.items():
        asked = {signature for line in text.splitlines() if f"| ask {name}" in line
                 for signature in re.findall(r'signature_name\\?": \\?"(\w+)', line)
                 or ["serving_default"]}
        assert asked == set(model.signature_names), name


@pytest.mark.parametrize("name", ["transfer", "played", "sampled", "spectral"])
def test_audio_comes_as_wav_files(answers, name):
    samples, rate = soundfile.read(answers / f"{name}.wav")
    assert len(samples) > 0.3 * rate and np.all(np.isfinite(samples))


@pytest.mark.parametrize(("name", "key"), [
    ("piano", "f0_hz"), ("fitted", "by_key"), ("transfer", "audio"), ("notes", "note_pitch"),
    ("rolls", "frame"), ("transcribed", "onset"), ("generated", None), ("spectral", None),
    ("sample", "z"), ("encoded", "mu"), ("melody", None), ("drums", "labels")])
def test_numbers_come_as_json(answers, name, key):
    answer = json.loads((answers / f"{name}.json").read_text())
    values = answer["predictions"][0] if "predictions" in answer else answer["outputs"]
    assert np.size(values[key] if key else values) > 0
