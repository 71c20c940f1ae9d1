import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from style_transfer.training import checkpoints

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TINY = "--config=tests.tiny_config:CONFIG"
NO_TENSORFLOW = "import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None; "


def start(*arguments, forbid_keras=False):
    code = ((NO_TENSORFLOW if forbid_keras else "")
            + "from style_transfer.scripts import style_transfer_train as command; command.run()")
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=REPOSITORY,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONPATH": REPOSITORY})


def finish(process):
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def error_lines(errors):
    return [line for line in errors.splitlines() if line.startswith("error: ")]


def test_help_needs_neither_keras_nor_tensorflow():
    status, output, errors = finish(start("--help", forbid_keras=True))
    assert "--num_training_steps" in output, errors
    assert status in (0, 1)  # absl's own


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config=piano"], "There is no config 'piano'. Choose one of: "),
    (["--config=piano_ddsp", "--hparams=widht=3"], "There is no hparam 'widht'. Choose from:"),
    (["--config=piano_ddsp", "--hparams=width=x"], "width=x is not valid: expected an integer"),
    (["--config=piano_ddsp", "stray"], "Unexpected arguments: stray"),
])
def test_faulty_arguments_are_one_line_errors_before_keras_is_loaded(tmp_path, arguments, message):
    status, _, errors = finish(start(f"--run_dir={tmp_path}/run", "--examples_path=examples",
                                     *arguments, forbid_keras=True))
    assert status == 1
    assert message in error_lines(errors)[0]
    assert not (tmp_path / "run").exists()


def wait_for_checkpoints(process, run_dir, count):
    until = time.monotonic() + 240
    while len(checkpoints.steps(run_dir)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "no checkpoints in time"
        time.sleep(0.01)


def stored(run_dir):
    path, state = checkpoints.latest(run_dir)
    with np.load(path / checkpoints.TRAINING_FILE) as arrays:
        return state.step, {name: arrays[name] for name in arrays.files}


@pytest.mark.slow
def test_training_killed_in_the_middle_loses_only_steps_since_the_last_checkpoint(tmp_path):
    """Kills a run, goes on with it, evaluates it, and compares with a run never killed."""
    common = [TINY, f"--examples_path={tmp_path}"]
    training = [*common, "--num_training_steps=60", "--checkpoint_interval=5", "--log_interval=5",
                "--eval_interval=60", "--hparams=ema_momentum=0.9,batch_secs=0.03"]
    whole = start(*training, f"--run_dir={tmp_path}/whole")
    killed_dir = tmp_path / "killed"
    killed = start(*training, f"--run_dir={killed_dir}")
    wait_for_checkpoints(killed, killed_dir, 2)
    killed.kill()  # SIGKILL
    _, output, _ = finish(killed)
    reached = max((int(line.split("/")[0].split()[1]) for line in output.splitlines()
                   if "steps/s" in line), default=0)
    saved = checkpoints.latest(killed_dir)[1].step
    assert 10 <= saved < 60
    assert reached - saved <= 5

    # The recorded hparams hold without being given again.
    status, output, errors = finish(start(*(a for a in training if "--hparams" not in a),
                                          f"--run_dir={killed_dir}"))
    assert status == 0, errors
    assert f"resuming at step {saved} from" in output
    status, _, errors = finish(whole)
    assert status == 0, errors
    (step, expected), (resumed_step, found) = stored(tmp_path / "whole"), stored(killed_dir)
    assert step == resumed_step == 60
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name], err_msg=name)

    status, output, errors = finish(start(*common, f"--run_dir={killed_dir}", "--mode=eval"))
    assert status == 0, errors
    scores = json.loads((killed_dir / "eval" / "metrics.json").read_text())
    assert f"step 60  evaluation: loss {scores[-1]['loss']:.4f}" in output

    other = [*common, f"--run_dir={killed_dir}", "--mode=eval", "--hparams=batch_size=2"]
    status, _, errors = finish(start(*other))
    assert status == 1 and "--override_hparams" in error_lines(errors)[0]
    status, output, errors = finish(start(*other, "--override_hparams"))
    assert status == 0 and "step 60  evaluation" in output, errors
