"""style_transfer_import_checkpoint: from Magenta's checkpoint to a run that can be used."""

import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from style_transfer import configs
from style_transfer.checkpoints import imports as command
from style_transfer.configs import hparams as hparams_lib

ROOT = pathlib.Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "parity" / "fixtures" / "onsets_frames"
NO_KERAS = "import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None; "
GOLDEN_SIZE = ("num_filters=[8,8,16],fc_size=64,onset_lstm_units=24,offset_lstm_units=24,"
               "combined_lstm_units=24")


NUM_PARAMETERS = sum(math.prod(shape) for name, shape in json.loads(
    (FIXTURE / "spec.json").read_text())["variables"].items() if name != "global_step")


@dataclasses.dataclass(frozen=True)
class MovingAverageHparams(hparams_lib.Hparams):
    """The golden checkpoint's sizes, trained on with averaged weights."""

    ema_momentum: float = 0.99
    fc_size: int = 64


def build_model(hparams):
    from style_transfer.models.onsets_frames.net import OnsetsFrames

    return OnsetsFrames(num_filters=(8, 8, 16), fc_size=hparams.fc_size, onset_lstm_units=24,
                        offset_lstm_units=24, combined_lstm_units=24)


OWN = configs.Config(name="onsets_frames", description="For tests.", hparams=MovingAverageHparams(),
                     build_model=build_model, build_loss=None,
                     build_optimizer=hparams_lib.build_optimizer, build_dataset=None,
                     importer=configs.get("onsets_frames").importer)


def run(*arguments, forbid_keras=False):
    code = (NO_KERAS if forbid_keras else "") + (
        "from style_transfer.scripts import style_transfer_import_checkpoint as c; c.run()")
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config=nothing"], "There is no config 'nothing'"),
    (["--config=piano_ddsp"], "The config 'piano_ddsp' has no checkpoints of another program to "
                              "import; choose one of cat-drums_2bar_small"),
    (["--config=onsets_frames", "--hparams=fc_sise=3"], "There is no hparam 'fc_sise'"),
    (["--config=onsets_frames", "stray"], "Unexpected arguments: stray"),
])
def test_faulty_arguments_are_one_line_errors_before_keras_is_loaded(tmp_path, arguments, message):
    result = run(f"--checkpoint={FIXTURE}", f"--run_dir={tmp_path / 'run'}", *arguments,
                 forbid_keras=True)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "maestro"
    config = configs.get("onsets_frames")
    hparams = configs.parse_hparams(GOLDEN_SIZE, config.hparams)
    return run_dir, command.import_checkpoint(config, hparams, FIXTURE, run_dir)


def frame_probabilities(model, golden):
    from keras import ops

    return np.asarray(ops.sigmoid(model.heads(golden["spec"][None])["frame"]))


def test_the_imported_run_gives_magentas_outputs(imported):
    from style_transfer import weights

    run_dir, (path, count) = imported
    assert path == run_dir / "ckpt-000000" and count == NUM_PARAMETERS
    golden = np.load(FIXTURE / "io.npz")
    found = frame_probabilities(weights.load(run_dir), golden)
    np.testing.assert_allclose(found, golden["frame_probs"], atol=2e-5)


def test_the_run_remembers_its_config_so_that_training_goes_on(imported):
    from style_transfer.training import checkpoints as runs
    from style_transfer.training import run_record

    run_dir, (path, _) = imported
    record = run_record.read(run_dir)
    assert record["config"] == "onsets_frames" and record["hparams"]["fc_size"] == 64
    config = configs.get("onsets_frames")
    hparams = configs.from_dict(record["hparams"], config.hparams)
    model = config.build_model(hparams)
    model.build(None)
    optimizer = config.build_optimizer(hparams)
    optimizer.build(model.trainable_variables)
    assert runs.latest(run_dir) == (path, runs.State(step=0, seed=0))
    runs.restore(path, model, optimizer)
    golden = np.load(FIXTURE / "io.npz")
    np.testing.assert_allclose(frame_probabilities(model, golden), golden["frame_probs"], atol=2e-5)


def test_a_run_that_will_average_its_weights_starts_with_the_imported_ones(tmp_path):
    from style_transfer import checkpoints, weights

    command.import_checkpoint(OWN, OWN.hparams, FIXTURE, tmp_path / "run")
    expected = OWN.build_model(OWN.hparams)
    expected.build(None)
    checkpoints.load(expected, checkpoints.read(FIXTURE), configs.get("onsets_frames").importer())
    for a, b in zip(expected.weights, weights.load(tmp_path / "run").weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_is_not_overwritten(imported):
    with pytest.raises(FileExistsError, match="has a run already"):
        command.import_checkpoint(OWN, OWN.hparams, FIXTURE, imported[0])


def test_a_checkpoint_that_does_not_fit_leaves_nothing_behind(tmp_path):
    other = dataclasses.replace(OWN.hparams, fc_size=32)
    with pytest.raises(ValueError, match=r"velocity/fc_end/weights \(912, 64\) should be"):
        command.import_checkpoint(OWN, other, FIXTURE, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_command_imports_and_says_what(tmp_path):
    run_dir = tmp_path / "run"
    result = run("--config=tests.scripts.test_import_command:OWN", f"--run_dir={run_dir}",
                 f"--checkpoint={FIXTURE / 'model.ckpt'}", "--hparams=ema_momentum=0")
    assert result.returncode == 0, result.stderr
    assert f"model.ckpt: {NUM_PARAMETERS:,} parameters -> {run_dir}/ckpt-000000" in result.stdout
    assert json.loads((run_dir / "config.json").read_text())["config"] == "onsets_frames"
    missing = run("--config=onsets_frames", f"--checkpoint={tmp_path / 'none'}",
                  f"--run_dir={tmp_path / 'other'}")
    assert missing.returncode == 1 and missing.stderr.startswith("error: There is no checkpoint")
