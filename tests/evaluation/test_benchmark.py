"""Systems are measured against the truth, results kept, and measured again only when they must."""

import os
import time

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.evaluation import benchmark, metrics, pairs, report, runner
from tests.evaluation import evaluation_pianos as pianos

TILTS = (1.0, 2.0)
METHOD = "stand_in"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return pianos.prepared(tmp_path_factory.mktemp("pairs"), TILTS)


@pytest.fixture(scope="module")
def rivals(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("renderings")
    for piano in map(pianos.Piano, (0.5, 1.8)):
        for pair in found:
            pairs.render_notes(pair, piano.render, piano.timbre_id, folder)
    return benchmark.BaselinePianos(folder, ("tilt_0_5", "tilt_1_8"), tuple(found[:2]))


class StandIn:
    """Plays the content on a piano of tilt 1.1, as `style_transfer.transfer` would."""

    def __init__(self):
        self.calls = []

    def __call__(self, content, style, *, style_midi=None, adapt_steps=None, sample_rate=24_000,
                 seed=0):
        assert os.path.isfile(content) and os.path.isfile(style)
        self.calls.append({"style_midi": style_midi, "adapt_steps": adapt_steps, "seed": seed})
        return pianos.Piano(1.1).render(piano_roll.load_midi(content), sample_rate)


def run_method(folder, found, stand_in, conditions=None, **options):
    run = runner.Runner(folder, say=lambda line: None)
    method = runner.Method(METHOD, lambda: (stand_in, 12), conditions or {})
    timings = run.run_method(found, method, sample_rate=16_000, **options)
    return run, timings


def measured(run, found, timings):
    return run.measure_method(found, METHOD, timings, with_onsets=False)


def test_the_baselines_are_what_they_say(found, rivals):
    job = benchmark.Job(found[2], {}, rivals, with_onsets=False)
    outputs, nearest = benchmark.baseline_outputs(job)
    assert found[2].piano == "tilt_2" and nearest == "tilt_1_8"
    assert set(outputs) == {*benchmark.RIVALS, benchmark.NOISY}
    ignored = rivals.play("tilt_0_5", found[2])
    np.testing.assert_array_equal(outputs[benchmark.IGNORED].samples, ignored.samples)
    assert {len(audio.samples) for audio in outputs.values()} == {48_000}


def test_measures_rank_the_systems(found, rivals):
    systems = benchmark.measure(benchmark.Job(found[2], {}, rivals, with_onsets=False))["systems"]
    scores = {name: values["logmel_l1_60"] for name, values in systems.items()}
    assert scores[benchmark.NOISY] < scores[benchmark.NEAREST] < scores[benchmark.IGNORED]
    assert scores[benchmark.IGNORED_EQ] < scores[benchmark.IGNORED]
    assert scores[benchmark.MUSAIC] < scores[benchmark.LOOP]


def test_without_style_notes_the_nearest_piano_is_known_by_its_repertoire(found, rivals):
    for pair, expected in ((found[0], "tilt_0_5"), (found[2], "tilt_1_8")):
        job = benchmark.Job(pair, {}, rivals, with_style_notes=False, with_onsets=False)
        assert benchmark.baseline_outputs(job)[1] == expected


def test_without_other_pianos_the_rest_is_measured(found):
    systems = benchmark.measure(benchmark.Job(found[0], {}, None, with_onsets=False))["systems"]
    assert set(systems) == {benchmark.MUSAIC, benchmark.LOOP, benchmark.NOISY}


def test_the_model_is_given_the_files_and_options_and_is_timed(found, tmp_path):
    stand_in = StandIn()
    run, timings = run_method(tmp_path, found[:1], stand_in, adapt_steps=7, seed=3)
    assert stand_in.calls == [{"style_midi": str(found[0].style_midi), "adapt_steps": 7, "seed": 3}]
    timing = timings[found[0].name]
    assert timing["real_time_factor"] == pytest.approx(timing["secs"] / 3.0)
    assert timing["peak_memory_bytes"] > 20e6
    audio = audio_lib.load(run.output(found[0], METHOD))
    assert len(audio.samples) == 48_000
    values = measured(run, found[:1], timings)[0]["systems"][METHOD]
    assert values["secs"] == timing["secs"] and values["num_parameters"] == 12
    expected = metrics.all_metrics(audio, found[0].truth)
    assert {name: values[name] for name in expected} == expected


def test_the_model_may_be_left_without_the_style_clips_notes(found, tmp_path):
    stand_in = StandIn()
    run_method(tmp_path, found[:1], stand_in, with_style_midi=False)
    assert stand_in.calls[0]["style_midi"] is None


def test_only_what_has_changed_is_run_again(found, tmp_path):
    stand_in = StandIn()
    _, first = run_method(tmp_path, found[:2], stand_in, {"weights": "1"})
    _, second = run_method(tmp_path, found[:3], stand_in, {"weights": "1"})
    assert len(stand_in.calls) == 3
    assert second[found[0].name] == first[found[0].name]
    run_method(tmp_path, found[:3], stand_in, {"weights": "2"})
    assert len(stand_in.calls) == 6
    run_method(tmp_path, found[:3], stand_in, {"weights": "2"}, seed=1)
    assert len(stand_in.calls) == 9
    run = runner.Runner(tmp_path, overwrite=True, say=lambda line: None)
    method = runner.Method(METHOD, lambda: (stand_in, 12), {"weights": "2"})
    run.run_method(found[:3], method, sample_rate=16_000, seed=1)
    assert len(stand_in.calls) == 12


def test_measures_are_kept_until_the_audio_changes(found, tmp_path):
    run, timings = run_method(tmp_path, found[:1], StandIn())
    assert not measured(run, found[:1], timings)[0]["resumed"]
    assert measured(run, found[:1], timings)[0]["resumed"]
    audio_lib.save(run.output(found[0], METHOD), Audio(found[0].truth.samples * 0.5, 16_000))
    again = measured(run, found[:1], timings)[0]
    assert not again["resumed"]
    assert again["systems"][METHOD]["logmel_l1_60"] == pytest.approx(0, abs=1e-3)


def test_a_model_that_fails_on_one_pair_is_measured_on_the_others(found, tmp_path):
    def fails_on_tilt_2(content, style, **options):
        if "tilt_2" in content:
            raise ValueError("cannot play this")
        return StandIn()(content, style, **options)

    run, timings = run_method(tmp_path, found, fails_on_tilt_2)
    summary = report.summarize(measured(run, found, timings))
    assert summary["pianos"]["mean"][METHOD]["num_pairs"] == 2
    assert [failure["piano"] for failure in summary["failures"]] == ["tilt_2", "tilt_2"]
    assert "cannot play this" in summary["failures"][0]["error"]


def test_a_silent_output_is_a_failure_and_not_a_figure(found, tmp_path):
    run, timings = run_method(tmp_path, found[:1],
                             lambda *files, **options: Audio(np.zeros(48_000), 16_000))
    result = measured(run, found[:1], timings)[0]
    assert "silent" in result["systems"][METHOD]["error"]


@pytest.mark.slow
def test_several_processes_give_the_same_figures(found, rivals, tmp_path):
    here = runner.Runner(tmp_path / "one", 1, say=lambda line: None)
    there = runner.Runner(tmp_path / "two", 2, say=lambda line: None)
    alone, together = (run.measure_baselines(found[:2], rivals, with_onsets=False)
                       for run in (here, there))
    assert alone == together
    assert (tmp_path / "two/audio/musaicing" / f"{found[0].name}.flac").is_file()


def test_peak_memory_is_that_of_the_last_work(tmp_path):
    benchmark.reset_peak_memory()
    before = benchmark.peak_memory_bytes()
    block = np.ones(40_000_000, np.float64)
    assert benchmark.peak_memory_bytes() > before + 0.9 * block.nbytes


def test_half_a_record_counts_as_none(tmp_path):
    path = tmp_path / "kept.json"
    benchmark.write_kept(path, {"a": (1, 2)}, {"x": 1})
    assert benchmark.read_kept(path, {"a": (1, 2)}) == {"x": 1}
    assert benchmark.read_kept(path, {"a": (1, 3)}) is None
    path.write_text(path.read_text()[:20])
    assert benchmark.read_kept(path, {"a": (1, 2)}) is None


def test_timing_counts_the_transfer_only(found, tmp_path):
    def slow(content, style, **options):
        time.sleep(0.2)
        return Audio(np.ones(100), 16_000)

    timing = benchmark.generate(found[0], slow, tmp_path / "x.flac")
    assert 0.2 <= timing["secs"] < 2
