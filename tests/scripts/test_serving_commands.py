"""Wrong flags of the serving commands are refused at once, with what to do."""

import subprocess
import sys

import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.serving import client as client_lib
from tests.commands import run_command


def run(command, *arguments):
    return subprocess.run([sys.executable, "-m", f"style_transfer.scripts.{command}", *arguments],
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("command", "arguments", "message"), [
    ("style_transfer_export", [], "--export_dir is required"),
    ("style_transfer_export", ["--export_dir=x", "--weights=b"], "There are no weights 'b'"),
    ("style_transfer_export", ["--export_dir=x", "--config=nothing"], "There is no config"),
    ("style_transfer_export", ["--export_dir=x", "--piano=no.piano"], "no piano 'no.piano'"),
    ("style_transfer_export", ["--export_dir=x", "--piano=clip.wav"], "takes a .piano file"),
    ("style_transfer_export", ["--output_dir=x", "--format=sfz"], "takes --piano"),
    ("style_transfer_serve", ["--port=7", "--rest_port=7"], "must differ"),
    ("style_transfer_serve", ["--port=-1", "--rest_port=-1"], "nothing to listen on"),
    ("style_transfer_serve", ["--token_file=no/such/file"], "no/such/file"),
    ("style_transfer_serve", ["--queue=-1"], "queue"),
    ("style_transfer_app", ["--max_results=4", "--queue=4"], "must be greater"),
    ("style_transfer_app", ["--port=-1"], "port"),
    ("style_transfer_app", ["page.html"], "Unexpected argument 'page.html'"),
    ("style_transfer_client", ["--style=a.wav", "--output_dir=o"], "--content is required"),
    ("style_transfer_client", ["--content=a.mid", "--style=a.wav"], "--output_dir is required"),
    ("style_transfer_client", ["--content=a.mid", "--output_dir=o", "--style=a.piano", "--adapt"],
     "--style is a .piano file"),
    ("style_transfer_client", ["--content=a.mid", "--style=a", "--save_piano=b.npz"],
     "--output_dir is required"),
    ("style_transfer_client", ["--content=a.mid", "--output_dir=o", "--style=no.wav"],
     "no file 'no.wav'"),
    ("style_transfer_client", ["--content=a.mid", "--output_dir=o", "--style=a.wav",
                               "--adapt_steps=3"], "belong to --adapt"),
    ("style_transfer_client", ["--protocol=ftp"], "protocol"),
    ("style_transfer_client", ["--transcribe=a.wav"], "--output_dir is required"),
    ("style_transfer_client", ["--transcribe=no.wav", "--output_dir=o"], "no file 'no.wav'"),
    ("style_transfer_client", ["--transcribe=a.wav", "--style=b.wav", "--output_dir=o"],
     "nothing to do with --transcribe"),
    ("style_transfer_serve", ["--weights=a,b", "--model_name=c"], "names one model"),
])
def test_wrong_flags_are_refused_with_what_to_do(command, arguments, message):
    result = run(command, *arguments)
    assert result.returncode == 1 and message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


@pytest.mark.parametrize(("flags", "level"), [
    ([], -20.0), (["--loudness=-31.5"], -31.5), (["--loudness=clip"], -38.0)])
def test_the_client_asks_for_the_level_of_loudness(flags, level, tmp_path, monkeypatch):
    one = np.ones(1)
    piano_roll.save_midi(tmp_path / "piece.mid", piano_roll.to_sequence(piano_roll.NoteTable(
        np.array([40]), one / 2, 0 * one, one, one)))
    (tmp_path / "clip.wav").write_bytes(b"the server reads it")
    played = []

    class Server(client_lib.Client):
        def signatures(self):
            return dict.fromkeys(("play", "serving_default"), frozenset({"content_bytes"}))

        def encode_style(self, style):
            return {"loudness_db": np.float32(-38.0)}

        def play(self, piano, content):
            played.append(piano["loudness_db"])
            return Audio(np.ones(2400) / 9, 24_000)

    monkeypatch.setattr(client_lib, "connect", lambda *_, **__: Server("a:1"))
    status, said, error = run_command(
        "style_transfer_client", f"--content={tmp_path / 'piece.mid'}", *flags,
        f"--style={tmp_path / 'clip.wav'}", f"--output_dir={tmp_path / 'out'}")
    assert status == 0, error or said
    assert played == [np.float32(level)]
