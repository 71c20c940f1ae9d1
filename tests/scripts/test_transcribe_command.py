"""The command's flags have their effects, and its exit status tells how it went.

Flags of several commands do not live in one process, so that the command runs in its own, and all
its runs in the same one, since loading TensorFlow takes longer than they do.
"""

import inspect
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from style_transfer import options, piano_roll
from style_transfer.transcription import Thresholds, decoding
from tests.transcription import tone_transcriber

ROOT = pathlib.Path(__file__).parents[2]
RATE = 44_100
RUNS = """
import contextlib, io, json, sys
from absl import flags
from absl.testing import flagsaver
from style_transfer.scripts import _cli, style_transfer_transcribe as command
from style_transfer.transcription import transcriber
from tests.transcription import tone_transcriber

model = tone_transcriber.make()
transcriber.load = lambda weights=None: model
results = {}
for name, arguments in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with flagsaver.flagsaver(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = _cli._call(command.main, flags.FLAGS(["transcribe", *arguments]))
    results[name] = [status or 0, out.getvalue(), err.getvalue()]
json.dump(results, sys.stdout)
"""
NO_PEDAL, NO_OFFSETS = "--pedal_threshold=1.1", "--offset_threshold=1.1"
EFFECTS = {"onset": ["--onset_threshold=1.1"], "key": ["--key_threshold=0.01"],
           "pedal": [NO_PEDAL], "no_offsets": [NO_PEDAL, NO_OFFSETS],
           "frame": [NO_PEDAL, NO_OFFSETS, "--frame_threshold=0.999"],
           "long": ["--min_note_secs=0.6"], "window": ["--window_secs=1.5"]}


def recordings(folder):
    """Tones over a low one that the model takes for the pedal, at another rate, in stereo."""
    import soundfile

    folder.mkdir()
    high = tone_transcriber.tones([69, 76, 81], rate=RATE)
    pedal = tone_transcriber.tones([tone_transcriber.PEDAL_PITCH], secs=1.2, rate=RATE)
    samples = 0.5 * (high + pedal[:len(high)])
    soundfile.write(folder / "tones.wav", np.stack([samples, samples], axis=1), RATE)
    (folder / "broken.mp3").write_bytes(b"ID3 and nothing more")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Results of all runs, and the folder in which each wrote into a folder of its name."""
    root = tmp_path_factory.mktemp("transcribe")
    recordings(root / "in")
    arguments = {name: [f"--input={root}/in", f"--output_dir={root}/{name}", *more]
                 for name, more in {
                     "plain": [], "formats": ["--format=midi,csv,notesequence,png"],
                     "again": [], "anew": ["--overwrite"], "unknown": ["--format=xml"],
                     **EFFECTS}.items()}
    for name in ("again", "anew"):
        arguments[name][1] = f"--output_dir={root}/plain"
    arguments["nothing"] = [f"--input={root}/in/broken.mp3", f"--output_dir={root}/nothing"]
    arguments["stray"] = ["tones.wav"]
    done = subprocess.run([sys.executable, "-c", RUNS], cwd=ROOT, input=json.dumps(arguments),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), root


def notes(root, name):
    """The note table of a run, without the pedal's tone and what is beside it."""
    table = piano_roll.note_table(piano_roll.load_midi(root / name / "tones.mid"))
    return table.select(table.key + piano_roll.LOWEST_PITCH > tone_transcriber.PEDAL_PITCH + 3)


def test_a_folder_becomes_midi_and_the_summary_says_so(runs):
    results, root = runs
    status, out, _ = results["plain"]
    assert status == 0
    assert out.splitlines()[-1].startswith("2 read, 1 written, 1 skipped")
    assert "real-time factor" in out and "broken.mp3" in out
    table = notes(root, "plain")
    assert (table.key + piano_roll.LOWEST_PITCH).tolist() == [69, 76, 81]
    assert table.onset_secs == pytest.approx([0.2, 0.6, 1.0], abs=0.06)


def test_formats_are_written_beside_the_midi(runs):
    assert sorted(path.suffix for path in (runs[1] / "formats").glob("[!.]*")) == [
        ".csv", ".mid", ".notesequence", ".png"]


def test_outputs_are_kept_unless_overwrite_is_given(runs):
    results, _ = runs
    assert results["again"][0] == 0 and "1 kept as they were" in results["again"][1]
    assert "1 written" in results["anew"][1]


@pytest.mark.parametrize(("name", "message"), [
    ("nothing", "Nothing was written"), ("unknown", "Unknown formats xml"),
    ("stray", "Unexpected argument 'tones.wav'")])
def test_failures_are_one_line_and_an_exit_status(runs, name, message):
    status, _, errors = runs[0][name]
    assert status == 1
    assert errors.startswith("error: ") and message in errors and errors.count("\n") == 1


def test_each_threshold_has_its_effect(runs):
    _, root = runs
    plain = notes(root, "plain")
    assert len(notes(root, "onset")) == len(notes(root, "long")) == 0
    held = notes(root, "key").release_secs
    assert np.all(held >= plain.release_secs) and np.any(held > plain.release_secs + 1e-3)
    no_pedal, no_offsets = notes(root, "pedal"), notes(root, "no_offsets")
    assert len(plain.pedals.sustain[0]) and not len(no_pedal.pedals.sustain[0])
    assert np.all(no_offsets.release_secs > no_pedal.release_secs + 0.01)
    assert np.all(notes(root, "frame").release_secs < no_offsets.release_secs - 0.01)


def test_the_window_does_not_change_the_notes(runs):
    _, root = runs
    plain, windowed = notes(root, "plain"), notes(root, "window")
    assert plain.key.tolist() == windowed.key.tolist()
    assert plain.onset_secs == pytest.approx(windowed.onset_secs, abs=2e-3)
    assert plain.release_secs == pytest.approx(windowed.release_secs, abs=2e-3)


def test_missing_recordings_are_named_before_anything_slow_is_loaded(tmp_path):
    code = ("import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None; "
            "from style_transfer.scripts import style_transfer_transcribe as command; "
            "command.run()")
    done = subprocess.run([sys.executable, "-c", code, "--audio=nowhere.wav",
                           f"--output_dir={tmp_path}/out"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: There is nothing at 'nowhere.wav'")


def test_the_flags_have_the_defaults_of_the_library():
    shown = {name: field.default for name, field in options.fields_of(Thresholds).items()}
    parameters = inspect.signature(decoding.decode).parameters
    assert len(shown) == 6
    assert shown == {name: parameters[name].default for name in shown}
