"""The command renders, runs, measures, reports; a second run measures only what changed."""

import json
import subprocess
import sys

import pytest
from absl import flags
from absl.testing import flagsaver

import style_transfer.pipelines.rendering
from style_transfer import piano_roll
from style_transfer.evaluation import benchmark, metrics, pairs, runner
from style_transfer.scripts import style_transfer_evaluate as command
from tests.evaluation import evaluation_pianos as pianos

METHOD = "stand_in"
if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()


@pytest.fixture
def contents(tmp_path):
    for name, sequence in pianos.pieces().items():
        path = tmp_path / "midi" / f"{name}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pairs.midi_bytes(piano_roll.note_table(sequence)))
    (tmp_path / "midi" / "broken.mid").write_bytes(b"MThd nothing more")
    return tmp_path / "midi"


@pytest.fixture
def model(monkeypatch):
    """Stands in for soundfonts (`1.0,2.0` are tilts) and the trained model; records calls."""
    calls = []

    def transfer(content, style, *, style_midi=None, adapt_steps=None, sample_rate=24_000, seed=0):
        calls.append({"style_midi": style_midi, "adapt_steps": adapt_steps, "seed": seed,
                      "sample_rate": sample_rate})
        return pianos.Piano(1.1).render(piano_roll.load_midi(content), sample_rate)

    monkeypatch.setattr(command, "_method", lambda name: runner.Method(
        "stand_in", lambda: (transfer, 7), {"weights": "stand-in"}))
    monkeypatch.setattr(style_transfer.pipelines.rendering, "renderers_from",
                        lambda spec, seed=0: [pianos.Piano(float(spec))])
    return calls


def run(**values):
    settings = {"pianos": ["1.0"], "baseline_pianos": ["0.5", "1.8"], "sample_rate": 16_000,
                "content_secs": pianos.CONTENT_SECS, "style_secs": pianos.STYLE_SECS,
                "max_contents": 1, "onsets": False, "pitch": False, "timbre": False,
                "num_workers": 1, **values}
    with flagsaver.flagsaver(**settings):
        return command.main(["style_transfer_evaluate"])


def test_everything_is_rendered_measured_and_written(contents, model, tmp_path, capsys):
    out = tmp_path / "out"
    assert not run(content=[str(contents)], output_dir=str(out), pianos=["1.0", "2.0"],
                   adapt_steps=5, seed=2)
    printed = capsys.readouterr()
    assert "skipped" in printed.err and "broken.mid" in printed.err
    assert "tilt_2 (1 pairs)" in printed.out and "2 pairs, 2 measured, 0 failures" in printed.out
    assert [call["adapt_steps"] for call in model] == [5, 5]
    kept = json.loads((out / "evaluation.json").read_text())
    assert kept["conditions"]["flags"]["adapt_steps"] == 5
    assert kept["conditions"]["methods"] == {METHOD: {"weights": "stand-in"}}
    assert set(kept["summary"]) == {"tilt_1", "tilt_2", "mean"}
    assert {METHOD, benchmark.NOISY, *benchmark.RIVALS} == set(kept["summary"]["mean"])
    assert (out / "evaluation.png").stat().st_size > 10_000
    assert METHOD in (out / "evaluation.txt").read_text()
    assert f"| **{METHOD}** |" in (out / "evaluation.md").read_text()
    for system in (METHOD, benchmark.MUSAIC):
        assert len(list((out / "audio" / system).glob("*.flac"))) == 2


def test_a_second_run_measures_nothing_again(contents, model, tmp_path, capsys):
    settings = {"content": [str(contents)], "output_dir": str(tmp_path / "out")}
    run(**settings)
    first = capsys.readouterr()
    run(**settings)
    second = capsys.readouterr()
    assert len(model) == 1
    assert "measured baselines" in first.err and "measured" not in second.err
    assert second.out.splitlines()[:9] == first.out.splitlines()[:9]


def test_a_run_in_parts_on_beam_measures_each_pair_once(contents, model, tmp_path, monkeypatch,
                                                         capsys):
    beam_parts = pytest.importorskip("style_transfer.pipelines.beam_parts")
    settings = {"content": [str(contents)], "max_contents": 2}
    run(**settings, output_dir=str(tmp_path / "plain"))
    capsys.readouterr()
    in_parts, shards = {**settings, "output_dir": str(tmp_path / "parts")}, []

    def here(parts, folder, options, report):
        for part in parts:
            shards.append(part[-1].removeprefix("--shard="))
            run(**in_parts, runner="", shard=shards[-1])

    monkeypatch.setattr(beam_parts, "run", here)
    del model[:]
    run(**in_parts, runner="DirectRunner", parts=2, overwrite=True)
    assert shards == ["1/2", "2/2"]
    assert len(model) == 2 and capsys.readouterr().err.count("measured baselines") == 2

    def measured(out):
        means = json.loads((tmp_path / out / "evaluation.json").read_text())["summary"]["mean"]
        return {system: {name: value for name, value in values.items()
                         if name in metrics.AUDIO_METRICS} for system, values in means.items()}

    assert measured("parts") == measured("plain") and METHOD in measured("plain")


def test_parts_can_be_left_out(contents, model, tmp_path):
    out = tmp_path / "out"
    run(content=[str(contents)], output_dir=str(out), baselines=False, with_style_midi=False)
    kept = json.loads((out / "evaluation.json").read_text())
    assert set(kept["summary"]["mean"]) == {METHOD}
    assert model[0]["style_midi"] is None
    run(content=[str(contents)], output_dir=str(out), model=False)
    kept = json.loads((out / "evaluation.json").read_text())
    assert set(kept["summary"]["mean"]) == {benchmark.NOISY, *benchmark.RIVALS}
    assert len(model) == 1


def test_prepared_pairs_need_no_contents(model, tmp_path):
    pianos.prepared(tmp_path / "pairs", (1.0,), 1)
    run(pairs=str(tmp_path / "pairs"), output_dir=str(tmp_path / "out"), baselines=False)
    assert len(model) == 1


def test_a_listening_test_is_written_and_its_answers_are_read(contents, model, tmp_path, capsys):
    test = tmp_path / "listening"
    run(content=[str(contents)], output_dir=str(tmp_path / "out"), listening_test=str(test),
        listening_secs=2.0)
    assert (test / "page" / "index.html").is_file()
    key = json.loads((test / "key.json").read_text())
    assert key["systems"] == [METHOD, *benchmark.IN_LISTENING_TESTS]
    done = [{"id": name, "kind": "mushra", "ratings": {
                 stimulus: 100 if system == "reference" else 50
                 for stimulus, system in trial["stimuli"].items()}} if trial["kind"] == "mushra"
            else {"id": name, "kind": "ab", "choice": ""} for name, trial in key["trials"].items()]
    (tmp_path / "ann.json").write_text(json.dumps(
        {"test": key["test"], "listener": "ann", "trials": done}))
    capsys.readouterr()
    with flagsaver.flagsaver(listening_test=str(test), output_dir=str(tmp_path / "said"),
                             listening_results=[str(tmp_path / "ann.json")]):
        command.main(["style_transfer_evaluate"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["reference", "100.0", "-", "1"] in rows and [METHOD, "50.0", "-", "1"] in rows
    said = json.loads((tmp_path / "said" / "listening.json").read_text())
    assert said["scores"][METHOD]["mean"] == 50


@pytest.mark.parametrize("values, message", [
    ({"listening_results": ["x"]}, "say to which with --listening_test"),
    ({"output_dir": "out", "content": ["x"], "config": ["a", "b"], "weights": "w"},
     "--weights are of one configuration"),
    ({"output_dir": "out"}, "--content is required"),
    ({"output_dir": "out", "content": ["x"], "model": False, "baselines": False},
     "nothing to measure"),
    ({"output_dir": "out", "content": ["no/such/*.mid"]}, "no file, folder or glob match"),
])
def test_flags_that_make_no_sense_are_refused_before_any_work(values, message, model):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(**values)


def test_the_command_ends_with_one_line_and_status_one():
    done = subprocess.run([sys.executable, "-m", "style_transfer.scripts.style_transfer_evaluate",
                           "--output_dir=x"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --content is required")
    assert len(done.stderr.splitlines()) == 1
