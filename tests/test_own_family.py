"""A model family outside the package does all that ours do, and no file of ours knows of it."""

import base64
import json
import os
import pathlib
import signal
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

from style_transfer import audio, piano_roll
from tests.commands import run_command
from tests.pipelines import tiny_pairs

OUTSIDE = pathlib.Path(__file__).parent / "outside"
CONFIG = "--config=toybells.config:BELLS"
pytest.importorskip("apache_beam")


@pytest.fixture(scope="module", autouse=True)
def importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(OUTSIDE))
        yield


def command(name, *arguments):
    status, out, err = run_command(f"style_transfer_{name}", CONFIG, *arguments)
    assert status == 0, err or out
    return out


@pytest.fixture(scope="module")
def run_dir(importable, tmp_path_factory):
    """A training that was resumed, from recordings on."""
    root = tmp_path_factory.mktemp("bells")
    for i in range(4):
        tiny_pairs.write_pair(str(root / "pairs" / f"piece{i}"), secs=3.0, seed=i)
    assert "4 read, 4 written" in command(
        "create_dataset", f"--input={root / 'pairs'}", f"--output_dir={root / 'examples'}",
        "--eval_ratio=0.5", "--num_workers=1")
    train = ("train", f"--examples_path={root / 'examples'}", f"--run_dir={root / 'run'}",
             "--hparams=learning_rate=0.003", "--eval_interval=20")
    command(*train, "--num_training_steps=20")
    assert "resuming at step 20" in command(*train, "--num_training_steps=60")
    return root / "run"


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    path = tmp_path_factory.mktemp("piece") / "piece.mid"
    tiny_pairs.write_midi(path, tiny_pairs.table(2.0, seed=9))
    return path


@pytest.fixture(scope="module")
def generated(run_dir, piece, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    command("generate", f"--content={piece}", f"--weights={run_dir}", f"--output_dir={out}")
    return audio.load(out / "piece.wav")


def test_it_is_trained_and_evaluated(run_dir):
    scores = command("train", f"--examples_path={run_dir.parent / 'examples'}",
                     f"--run_dir={run_dir}", "--mode=eval")
    assert "loss" in scores
    recorded = json.loads((run_dir / "eval" / "metrics.json").read_text())
    assert [score["step"] for score in recorded] == [20, 40, 60]
    assert recorded[-1]["loss"] < recorded[0]["loss"], "it learns on after it was resumed"


def test_it_generates(generated):
    assert generated.sample_rate == 8000 and generated.rms_db > -60


def test_its_help_shows_its_flags():
    status, out, _ = run_command("style_transfer_generate", CONFIG, "--help")
    assert status == 0 and "  --content\n" in out and "  --primer_drums\n" not in out


def test_it_is_evaluated_against_baselines(run_dir, tmp_path):
    for i in range(2):
        tiny_pairs.write_midi(tmp_path / "midi" / f"{i}.mid", tiny_pairs.table(6.0, seed=i))
    command("evaluate", f"--contents={tmp_path / 'midi'}", "--pianos=procedural:1",
            "--nobaselines", "--noonsets", "--content_secs=2", "--style_secs=2",
            f"--weights={run_dir}", f"--output_dir={tmp_path / 'report'}", "--num_workers=1",
            "--sample_rate=16000")
    report = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert "model" in json.dumps(report)


def test_it_is_exported_and_served(run_dir, piece, generated, tmp_path):
    import tensorflow as tf

    command("export", f"--weights={run_dir}", f"--export_dir={tmp_path / 'bells'}")
    served = tf.saved_model.load(str(tmp_path / "bells" / "1")).signatures["serving_default"]
    content = piano_roll.load_midi(piece).SerializeToString()
    wav = served(content_bytes=tf.constant([content]))["audio_bytes"].numpy()[0]
    expected = generated.samples
    np.testing.assert_allclose(audio.load(wav).samples[:len(expected)], expected, atol=2e-4)
    assert _asked_over_rest(f"--export_dir={tmp_path / 'bells'}", content) == wav
    assert _asked_over_rest(f"{CONFIG} --weights={run_dir}", content) == wav


def _asked_over_rest(arguments, content):
    """The answer of `style_transfer_serve`, which a thread asks and then stops."""
    answers = []
    port = 20_000 + os.getpid() % 20_000
    body = json.dumps({"inputs": {"content_bytes": [
        {"b64": base64.b64encode(content).decode()}]}}).encode()

    def ask():
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(
                            f"http://127.0.0.1:{port}/v1/models/bells:predict", body) as answer:
                        answers.append(json.load(answer)["outputs"][0]["b64"])
                    return
                except urllib.error.URLError:
                    time.sleep(0.2)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    # Should the command end before it is stopped, the signal must not end the tests.
    handlers = {number: signal.signal(number, signal.SIG_IGN)
                for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        status, out, err = run_command("style_transfer_serve", *arguments.split(), "--port=-1",
                                       f"--rest_port={port}")
    finally:
        thread.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert status == 0, err or out
    return base64.b64decode(answers[0])


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_nothing_of_ours_knows_of_it():
    root = pathlib.Path(__file__).parents[1]
    ours = [path for folder in ("style_transfer", "configs", "pipelines", "scripts")
            for path in (root / folder).rglob("*.py")]
    assert len(ours) > 200
    assert not [path for path in ours if "toybells" in path.read_text()]


@pytest.mark.parametrize(("name", "arguments", "suffix"), [
    ("PIANO", ["--content={piece}", "--style={piano}", "--nopicture"], ".wav"),
    ("DRUMS", ["--num_outputs=1", "--num_steps=20"], ".mid"),
    ("MELODIES", ["--num_outputs=1", "--nopicture"], ".mid"),
    ("WAVENET", ["--content={piece}", "--seconds=0.1", "--nopicture"], ".wav"),
    ("TRANSCRIBER", ["--audio={clip}"], ".mid")])
def test_a_renamed_configuration_generates_as_the_original(name, arguments, suffix, piece,
                                                          tmp_path):
    examples = pathlib.Path(__file__).parents[1]
    given = {"piece": piece, "clip": examples / "examples" / "electric_grand.flac",
             "piano": examples / "style_transfer/serving/app/examples/concert_grand.piano"}
    status, out, err = run_command(
        "style_transfer_generate", f"--config=renamed:{name}", f"--output_dir={tmp_path}",
        *(argument.format(**given) for argument in arguments))
    assert status == 0, err or out
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix == suffix]
