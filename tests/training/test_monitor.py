"""What is said between the lines of a training's log."""

import types

from style_transfer.training import checkpoints, monitor


def test_a_line_is_said_every_ten_seconds_where_the_log_is_slower(tmp_path, monkeypatch):
    clock, said = [0.0], []
    monkeypatch.setattr(monitor.time, "monotonic", lambda: clock[0])
    schedule = types.SimpleNamespace(num_training_steps=2000, checkpoint_interval=0,
                                     keep_checkpoints=1, eval_interval=0, log_interval=10)
    optimizer = types.SimpleNamespace(learning_rate=0.1)
    watched = monitor.Monitor(tmp_path, None, optimizer, checkpoints.State(0, 0), schedule, None,
                              True, said.append)
    for _ in range(9):
        clock[0] += 4.0
        watched.after_step(1.5, lambda: None)
    watched.close()
    assert said == [f"step {step}/2000  loss 1.5000  0.25 steps/s  {left} left"
                    for step, left in ((3, "2.2 h"), (6, "2.2 h"), (9, "2.2 h"))]
