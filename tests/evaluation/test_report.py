"""Means, claims, table, JSON and picture say what was measured."""

import json

import numpy as np
import pytest
from PIL import Image

from style_transfer.evaluation import report


def result(piano, content, **systems):
    return {"piano": piano, "content": content, "systems": systems}


def values(logmel, spectral=1.0, onset_f1=0.6, **more):
    return {"logmel_l1_60": logmel, "spectral_60": spectral, "onset_f1": onset_f1, **more}


@pytest.fixture
def results():
    return [
        result("grand", "one", model=values(2.0, real_time_factor=0.9, peak_memory_bytes=2 ** 30),
               style_ignored=values(6.0, 4.0), musaicing=values(1.5, 3.0),
               truth={"onset_f1": 0.8}),
        result("grand", "two", model=values(3.0, real_time_factor=0.1, peak_memory_bytes=2 ** 28),
               style_ignored=values(5.0, 4.0), musaicing=values(4.5, 3.0),
               truth={"onset_f1": 0.4}),
        result("upright", "one", model=values(7.0, real_time_factor=0.2, peak_memory_bytes=5),
               style_ignored=values(6.5, 4.0), musaicing={"error": "no notes"},
               truth={"onset_f1": 0.6}),
    ]


def test_means_are_over_pairs_and_leave_failures_out(results):
    summary = report.summarize(results)
    assert list(summary["pianos"]) == ["grand", "upright", "mean"]
    assert summary["pianos"]["grand"]["model"]["logmel_l1_60"] == 2.5
    mean = summary["pianos"]["mean"]
    assert mean["model"]["logmel_l1_60"] == 4.0 and mean["model"]["num_pairs"] == 3
    intervals = mean["musaicing"].pop("intervals")
    assert mean["musaicing"] == {"num_pairs": 2, "logmel_l1_60": 3.0, "spectral_60": 3.0,
                                 "onset_f1": 0.6, "onset_f1_of_truth": pytest.approx(1.0)}
    assert intervals["logmel_l1_60"] == (1.5, 4.5) and intervals["spectral_60"] == (3.0, 3.0)
    assert "intervals" in mean["model"] and not summary["pianos"]["upright"]["model"]["intervals"]
    assert summary["methods"] == ["model"]
    assert summary["failures"] == [{"piano": "upright", "content": "one", "system": "musaicing",
                                    "error": "no notes"}]


def test_the_real_time_factor_is_the_median_and_memory_the_largest(results):
    model = report.summarize(results)["pianos"]["mean"]["model"]
    assert model["real_time_factor"] == 0.2
    assert model["peak_memory_bytes"] == 2 ** 30


def test_claims_are_true_only_where_the_figures_say_so(results):
    claims = {claim: holds for claim, holds, _ in report.verdicts(
        report.summarize(results), "model")}
    assert claims == {
        "logmel_l1_60 below style ignored": True, "spectral_60 below style ignored": True,
        "logmel_l1_60 below musaicing sampler": False, "spectral_60 below musaicing sampler": True,
        "logmel_l1_60 below style ignored on every piano": False,
        "spectral_60 below style ignored on every piano": True,
        "onset F1 at least 0.95 of the truth's": True}


def test_nothing_is_claimed_of_a_model_that_was_not_measured(results):
    for one in results:
        del one["systems"]["model"]
    summary = report.summarize(results)
    assert summary["methods"] == [] and report.verdicts(summary, "model") == []


def test_several_methods_stand_before_the_baselines_each_with_its_claims(results):
    for one in results:
        one["systems"]["second"] = values(5.9, 3.9, num_parameters=12_345)
    summary = report.summarize(results)
    assert list(summary["pianos"]["mean"]) == ["model", "second", "style_ignored", "musaicing",
                                               "truth"]
    text = report.text(summary)
    assert "12,345" in text
    assert "second:\nNO  logmel_l1_60 below style ignored: 5.900 against 5.833" in text


def test_the_markdown_has_means_with_intervals(results):
    rows = report.markdown(report.summarize(results)).splitlines()
    assert rows[0].startswith("| | log-mel L1, dB | spectral loss | onset F1 ↑ |")
    assert len({row.count("|") for row in rows}) == 1
    assert "| **model** | 4.00 [2.00, 7.00] | 1.00 [1.00, 1.00] | 0.600 [0.600, 0.600] |" in rows[2]
    assert rows[2].endswith("| 0.200 | 1024 |")


def test_the_text_has_every_system_and_failure(results):
    text = report.text(report.summarize(results))
    row = next(line for line in text.splitlines() if line.startswith("model"))
    assert "2.500" in row and "1024" in row
    assert "grand (2 pairs)" in text and "musaicing sampler" in text
    assert "NO  logmel_l1_60 below musaicing sampler: 4.000 against 3.000" in text
    assert "failed: musaicing on upright one: no notes" in text


def test_json_and_picture_are_written_whole(results, tmp_path):
    summary = report.summarize(results)
    report.write_json(tmp_path / "e.json", summary, results, {"seed": 1})
    kept = json.loads((tmp_path / "e.json").read_text())
    assert kept["conditions"] == {"seed": 1} and kept["pairs"] == results
    assert kept["summary"]["mean"]["model"]["logmel_l1_60"] == 4.0
    assert {"system": "model", "claim": "spectral_60 below style ignored", "holds": True,
            "figures": "1.000 against 4.000"} in kept["verdicts"]
    report.plot(tmp_path / "e.png", summary)
    picture = np.asarray(Image.open(tmp_path / "e.png").convert("L"))
    assert picture.shape[0] > 500 and picture.min() < 50 and picture.max() == 255
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["e.json", "e.png"]


def test_plotting_nothing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nothing to plot"):
        report.plot(tmp_path / "e.png", report.summarize([]))
    assert not list(tmp_path.iterdir())


def test_the_environment_names_versions_and_the_machine():
    environment = report.environment()
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["cpu_cores"] >= 1
