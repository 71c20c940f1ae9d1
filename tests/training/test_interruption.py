import contextlib
import os
import resource
import signal

import numpy as np
import pytest

from style_transfer import training
from style_transfer.scripts import _cli
from style_transfer.training import checkpoints, strategies
from tests.training.tiny_runs import (
    arrays,
    assert_same,
    averaged,
    needs_tensorflow,
    run,
    weights,
)


def signalled(step, number):
    """A report that sends this process a signal when a step is reported."""
    def report(line):
        if line.startswith(f"step {step}/"):
            os.kill(os.getpid(), number)

    return report


@pytest.mark.parametrize("number", [
    signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_training_with_a_checkpoint_that_goes_on_as_if_nothing_were(
        tmp_path, examples, whole_run, number):
    before = signal.getsignal(number)
    with pytest.raises(training.TrainingStopped, match="stopped by SIG.* after step 7: the same c"):
        run(tmp_path, examples, 12, averaged(), report=signalled(6, number), log_interval=3)
    assert checkpoints.steps(tmp_path)[-1] == 7
    assert signal.getsignal(number) == before
    resumed = run(tmp_path, examples, 12, averaged())
    assert_same(weights(whole_run[1]), weights(resumed))


def test_the_exit_status_tells_the_signal(capsys):
    def main(argv):
        raise training.TrainingStopped("stopped by SIGTERM after step 7", signal.SIGTERM)

    assert _cli._call(main, []) == 143
    assert capsys.readouterr().err == "error: stopped by SIGTERM after step 7\n"


@contextlib.contextmanager
def no_room(num_bytes):
    """Within, no file can be made longer than this."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_checkpoint_without_room_is_one_sentence_and_leaves_the_one_before(tmp_path, examples):
    run(tmp_path, examples, 4, eval_interval=0)
    with no_room(10_000), pytest.raises(
            training.CheckpointNotWrittenError,
            match=r"checkpoint of step 8 cannot be written to .* \(File too large\); that of step "
                  "4 is whole. Make room and give the same command again."):
        run(tmp_path, examples, 8, eval_interval=0, log_interval=100)
    assert checkpoints.steps(tmp_path) == [4]
    assert not list(tmp_path.glob(".partial-*"))
    run(tmp_path, examples, 8, eval_interval=0)


@needs_tensorflow
@pytest.mark.parametrize("is_made", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_lost_worker_is_one_sentence_and_a_checkpoint_of_the_last_step(
        tmp_path, examples, monkeypatch, is_made):
    """Whether the worker is lost before the gradients are summed, or after they were applied."""
    import tensorflow as tf

    placement = strategies.Placement(tf.distribute.OneDeviceStrategy("cpu:0"), num_workers=2)
    monkeypatch.setattr(strategies, "make_placement", lambda name: placement)
    monkeypatch.setattr(strategies, "check_same_step", lambda placement, step: None)
    monkeypatch.setattr(strategies.Placement, "input_context", None)
    lost = tf.errors.UnavailableError(None, None, "Socket closed\nmuch more")
    real, count = tf.function, []

    def function(*args, **kwargs):
        def made(step):
            compiled = real(*args, **kwargs)(step)

            def called(*values):
                count.append(1)
                if len(count) < 6:
                    return compiled(*values)
                if is_made:
                    compiled(*values)
                raise lost

            return called

        return made if not args or not callable(args[0]) else real(*args, **kwargs)

    monkeypatch.setattr(tf, "function", function)
    with pytest.raises(training.WorkerLostError,
                       match=rf"step {5 + is_made}: another worker .*\(UnavailableError\). Give"):
        run(tmp_path, examples, 12, averaged(), eval_interval=0)
    assert checkpoints.latest(tmp_path)[1].step == 5 + is_made
    monkeypatch.undo()
    run(tmp_path.with_name(f"{tmp_path.name}-whole"), examples, 5 + is_made, averaged(),
        eval_interval=0)
    found, whole = (arrays(folder, 5 + is_made)
                    for folder in (tmp_path, tmp_path.with_name(f"{tmp_path.name}-whole")))
    for name in found:
        if name.startswith(("optimizer", "raw")):
            np.testing.assert_allclose(found[name], whole[name], atol=1e-6, err_msg=name)
