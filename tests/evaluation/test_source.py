import os
import pathlib
import subprocess
import sys

import pytest

from style_transfer.evaluation import runner, source

REPOSITORY = pathlib.Path(__file__).parents[2]
# Runs the main job and prints what of the package was loaded for it.
TRANSFER = """
import sys
from style_transfer import audio
from style_transfer.models.piano_ddsp import one_shot
clip = audio.load("examples/electric_grand.flac", 16_000)
one_shot.transfer("examples/traeumerei.mid", audio.Audio(clip.samples[:48_000], 16_000),
                  adapt_steps=1)
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file and module.__name__.split(".")[0] == "style_transfer":
        print("loaded", file)
"""


def names(*modules):
    return {path.relative_to(source.ROOT).as_posix() for path in source.reached(*modules)}


def package(folder, **modules):
    """A package of modules, given as `a__b="import …"` for `a/b.py`."""
    (folder / "__init__.py").write_text("")
    for name, text in modules.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "ROOT", tmp_path)
    package(tmp_path, begin="def f():\n    from style_transfer.room import deep\n",
            room__deep="import numpy\nimport style_transfer.far.away", far__away="",
            far__other="", all__one="from style_transfer import far", all__two="")
    yield tmp_path
    source.fingerprint.cache_clear()


def test_imports_are_followed_wherever_they_stand_and_with_their_packages(own):
    assert names("style_transfer.begin") == {
        "__init__.py", "begin.py", "room/__init__.py", "room/deep.py", "far/__init__.py",
        "far/away.py"}
    assert names("style_transfer.all") == {
        "__init__.py", "all/__init__.py", "all/one.py", "all/two.py", "far/__init__.py"}


def test_code_that_is_reached_changes_the_fingerprint_and_other_code_does_not(own):
    before = source.fingerprint("style_transfer.begin")
    for name, changes in (("far/other.py", False), ("far/away.py", True)):
        source.fingerprint.cache_clear()
        (own / name).write_text("changed = True\n")
        assert (source.fingerprint("style_transfer.begin") != before) == changes


def test_scores_of_the_model_depend_on_all_that_measures_hears_and_plays():
    found = names(*runner.MODEL_CODE)
    for room in ("measure", "signal", "synthesis", "models/piano_ddsp", "models/onsets_frames"):
        every = {path.relative_to(source.ROOT).as_posix()
                 for path in (source.ROOT / room).glob("*.py")}
        assert every and every <= found, room
    assert {"audio.py", "losses.py", "piano_roll.py", "strings.py",
            "transcription/decoding.py"} <= found
    assert not any(name.startswith(("serving/", "scripts/", "pipelines/")) for name in found)


def test_measures_depend_on_their_own_code_and_not_on_the_model():
    found = names(*runner.MEASURE_CODE)
    assert {"evaluation/metrics.py", "evaluation/pairs.py", "signal/mel.py", "audio.py"} <= found
    assert not any(name.startswith("models/") for name in found)


@pytest.mark.slow
def test_all_that_the_main_job_loads_is_reached():
    done = subprocess.run([sys.executable, "-c", TRANSFER], cwd=REPOSITORY, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 0, done.stderr
    loaded = {pathlib.Path(line.removeprefix("loaded ")).resolve()
              for line in done.stdout.splitlines() if line.startswith("loaded ")}
    assert len(loaded) > 30
    assert loaded <= set(source.reached(*runner.MODEL_CODE))
