import dataclasses

import numpy as np
import pytest

from style_transfer import training
from style_transfer.training import checkpoints
from tests import tiny_config
from tests.training.tiny_runs import (
    CONFIG,
    HPARAMS,
    arrays,
    assert_same,
    averaged,
    run,
    weights,
)


def test_checkpoint_holds_averaged_weights_for_use_and_raw_ones_for_training(whole_run, examples):
    run_dir, model, _ = whole_run
    loaded = CONFIG.build_model(HPARAMS)
    loaded(tiny_config.batch(HPARAMS, 0, 0)[0])
    training.load_weights(checkpoints.path_of(run_dir, 12), loaded)
    assert_same(weights(model), weights(loaded))  # fit ends with the averages, too
    raw = [v for name, v in arrays(run_dir, 12).items() if name.startswith("raw/")]
    assert max(np.abs(a - b).max() for a, b in zip(raw, weights(loaded), strict=True)) > 1e-4


def test_old_checkpoints_are_removed(tmp_path, examples):
    run(tmp_path, examples, 12, checkpoint_interval=2, keep_checkpoints=2, eval_interval=0)
    assert checkpoints.steps(tmp_path) == [10, 12]


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, examples, damage):
    run(tmp_path, examples, 8, eval_interval=0)
    victim = checkpoints.path_of(tmp_path, 8) / checkpoints.TRAINING_FILE
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "remove":
        victim.unlink()
    else:
        victim.write_bytes(content[:100] if damage == "truncate" else content)
    lines = []
    with pytest.warns(UserWarning, match="damaged checkpoint.*ckpt-000008"):
        run(tmp_path, examples, 9, eval_interval=0, report=lines.append)
    assert lines[0].startswith("resuming at step 4 ")
    assert checkpoints.latest(tmp_path)[1].step == 9  # without a warning
    assert (tmp_path / "damaged-ckpt-000008").is_dir()


def test_run_with_only_damaged_checkpoints_does_not_start_anew(tmp_path, examples):
    run(tmp_path, examples, 4, eval_interval=0)
    (checkpoints.path_of(tmp_path, 4) / checkpoints.STATE_FILE).write_text("{")
    with (pytest.warns(UserWarning, match="damaged"),
          pytest.raises(training.DamagedCheckpointError, match="All 1 checkpoints")):
        run(tmp_path, examples, 8)


def test_process_killed_while_saving_leaves_the_checkpoint_before(tmp_path, examples, monkeypatch):
    run(tmp_path, examples, 4, eval_interval=0)

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoints, "_flush", killed)
        run(tmp_path, examples, 8, eval_interval=0)
    assert checkpoints.steps(tmp_path) == [4]
    assert list(tmp_path.glob(".partial-*"))
    run(tmp_path, examples, 8, eval_interval=0)
    assert checkpoints.steps(tmp_path) == [4, 8]
    assert not list(tmp_path.glob(".partial-*"))


def test_fine_tuning_starts_at_step_0_with_the_weights_given(tmp_path, examples, whole_run):
    whole_dir, whole, _ = whole_run
    source = str(checkpoints.path_of(whole_dir, 12))
    lines = []
    slow = dataclasses.replace(HPARAMS, learning_rate=1e-9)
    for file in (source, f"{source}/{checkpoints.MODEL_FILE}"):
        run_dir = tmp_path / str(len(file))
        model = run(run_dir, examples, 1, slow, checkpoint_file=file, report=lines.append)
        for a, b in zip(weights(whole), weights(model), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        assert checkpoints.latest(run_dir)[1].step == 1
    assert lines[0].startswith("starting at step 0 with the weights of")


def test_checkpoint_that_is_missing_or_of_another_model_is_an_error(tmp_path, examples, whole_run):
    with pytest.raises(ValueError, match="no checkpoint .*nowhere"):
        run(tmp_path / "a", examples, 4, checkpoint_file=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no checkpoint .*empty"):
        run(tmp_path / "b", examples, 4, checkpoint_file=str(tmp_path / "empty"))
    wide = dataclasses.replace(HPARAMS, width=9)
    with pytest.raises(ValueError, match="does not fit this model"):
        run(tmp_path / "c", examples, 4, wide,
            checkpoint_file=str(checkpoints.path_of(whole_run[0], 12)))


def test_a_run_may_be_a_url(examples, whole_run):
    fsspec = pytest.importorskip("fsspec")
    from style_transfer.training import run_record

    url, lines = "memory://store/whole", []
    run(url, examples, 8, averaged(), keep_checkpoints=1, report=lines.append)
    assert f"saved {url}/ckpt-000008" in lines
    assert checkpoints.steps(url) == [8] and run_record.read(url)["config"] == "tiny"
    resumed = run(url, examples, 12, averaged(), keep_checkpoints=1, report=lines.append)
    assert any(line.startswith(f"resuming at step 8 from {url}/ckpt") for line in lines)
    assert_same(weights(whole_run[1]), weights(resumed))
    assert checkpoints.steps(url) == [12]
    store = fsspec.filesystem("memory")
    assert store.exists("/store/whole/eval/metrics.json")
    scores = training.evaluate(CONFIG, averaged(), run_dir=url, examples_path=examples,
                               report=lambda line: None)
    assert list(scores) == [12]
    store.rm("/store", recursive=True)
