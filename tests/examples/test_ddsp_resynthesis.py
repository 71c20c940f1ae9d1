"""The example of DDSP's synthesizers runs, and learns what it says."""

import pathlib
import runpy
import sys
import textwrap

import numpy as np

from style_transfer import audio
from style_transfer.synthesis import ddsp

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def test_it_learns_the_sound_of_a_note(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [
        "ddsp_resynthesis.py", str(EXAMPLES / "electric_grand.flac"), "--pitch=37", "--steps=60",
        f"--output_dir={tmp_path}"])
    runpy.run_path(str(EXAMPLES / "ddsp_resynthesis.py"), run_name="__main__")
    before, after = (float(word) for word in
                     capsys.readouterr().out.split("loss ")[1].split(",")[0].split(" -> "))
    assert after < 0.5 * before
    recording, found = (audio.load(tmp_path / f"{name}.wav").samples
                        for name in ("recording", "resynthesis"))
    assert len(found) == len(recording) and np.std(found) > 0.3 * np.std(recording)


def test_the_public_names_are_those_that_are_documented():
    assert all(callable(getattr(ddsp, name)) for name in ddsp.__all__)
    code = "    " + ddsp.__doc__.split("\n\n    ", 1)[1].split("\n\nSpectra")[0]
    found = {}
    exec(textwrap.dedent(code), found)
    assert found["audio"].shape == (1, 16_000) and np.std(found["audio"]) > 0
