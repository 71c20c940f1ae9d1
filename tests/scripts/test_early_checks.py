"""What can be said before Keras is loaded, which takes long: that work has begun, or is in vain."""

import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from style_transfer import audio

ROOT = pathlib.Path(__file__).parents[2]
NO_KERAS = ("import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None; "
            "from style_transfer.scripts import {name} as c; c.run()")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("early")
    audio.save(root / "silent.wav", audio.Audio(np.zeros(72_000, np.float32), 24_000))
    audio.save(root / "short.wav", audio.Audio(np.ones(2_400, np.float32), 24_000))
    (root / "broken.piano").write_bytes(b"no zip")
    (root / "file").write_text("in the way")
    return root


def run(name, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", NO_KERAS.format(name=f"style_transfer_{name}"), *arguments],
        cwd=cwd, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""})


PIECE = f"--content={ROOT}/examples/traeumerei.mid"
CLIP = f"--style={ROOT}/examples/electric_grand.flac"


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("generate", [PIECE, "--style=silent.wav", "--output_dir=out"], "The style clip is silent"),
    ("generate", [PIECE, "--style=short.wav", "--output_dir=out"], "at least 2 s are needed"),
    ("generate", [PIECE, "--style=broken.piano", "--output_dir=out"], "is not a piano"),
    ("generate", [PIECE, CLIP, "--output_dir=file/out"], "is a file"),
    ("generate", [PIECE, CLIP, "--output_dir=out", "--save_piano=x.npz"], "is a *.piano file"),
    ("generate", ["--config=drum_kit", "--output_dir=out", "--hparams=lstm=1"], "no hparam 'lstm'"),
    ("transcribe", ["--input=silent.wav", "--output_dir=file"], "is a file"),
    ("train", ["--config=drum_kit", "--run_dir=run", "--examples_path=none"], "There is nothing"),
    ("train", ["--config=drum_kit", "--run_dir=file", "--examples_path=."], "is a file"),
])
def test_what_is_in_vain_is_noticed_before_keras_is_loaded(folder, name, arguments, message):
    done = run(name, *arguments, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and message in done.stderr, done.stderr


@pytest.mark.parametrize(("name", "flag"), [("app", "--port"), ("serve", "--rest_port"),
                                            ("serve", "--grpc_port")])
def test_a_port_that_is_taken_is_noticed_before_keras_is_loaded(folder, name, flag):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(name, f"{flag}={taken.getsockname()[1]}", cwd=folder)
    assert done.returncode == 1
    assert "Cannot serve" in done.stderr and f"Choose another {flag}" in done.stderr, done.stderr


@pytest.mark.parametrize(("name", "arguments", "first"), [
    ("generate", [PIECE, CLIP, "--output_dir=out"], "piano_ddsp: looking at what was given\n"),
    ("transcribe", ["--input=silent.wav", "--output_dir=out"], "recordings: 1; loading"),
    ("train", ["--config=drum_kit", "--run_dir=run", "--examples_path=."], "loading Keras\n"),
    ("export", ["--export_dir=out"], "loading piano_ddsp\n"),
    ("serve", ["--port=0", "--rest_port=0"], "loading piano_ddsp\n"),
    ("app", ["--port=0"], "loading piano_ddsp and the transcriber\n"),
])
def test_a_line_says_what_is_being_done_before_keras_is_loaded(folder, name, arguments, first):
    assert run(name, *arguments, cwd=folder).stdout.startswith(first)
