"""What happens between steps, the same for every way to train: logs, checkpoints, evaluation."""

import math
import pathlib
import signal
import time

from keras import ops

from style_transfer import durations
from style_transfer.training import checkpoints, evaluating, interruption, summaries

MAX_CONSECUTIVE_SKIPS = 20
PROGRESS_SECS = 10.0  # between lines of progress, where the log's are further apart


class TrainingDivergedError(ValueError):
    """Losses or gradients were not finite for many steps in a row."""


class Monitor:
    """Watches a training run; `after_step` is called after every step.

    Args:
        run_dir: The run's folder.
        model: The built model.
        optimizer: Its optimizer.
        state: Where training starts, a `checkpoints.State`.
        schedule: Object with `num_training_steps`, `checkpoint_interval`, `keep_checkpoints`,
            `eval_interval` and `log_interval`.
        evaluator: An `Evaluator`, or None.
        is_chief: Whether this process writes; the others only watch for divergence.
        report: Called with each line of progress.
        send: Called when something is written that should last.
    """

    def __init__(self, run_dir, model, optimizer, state, schedule, evaluator, is_chief, report,
                 send=lambda: None):
        self._run_dir, self._model, self._optimizer = pathlib.Path(run_dir), model, optimizer
        self.step, self._seed = state.step, state.seed
        self._schedule, self._report, self._is_chief = schedule, report, is_chief
        self._send = send
        self._evaluator = evaluator if is_chief else None
        self._writers = {}
        if is_chief:
            self._writers["train"] = self._writer("train")
        if self._evaluator is not None:
            self._writers["eval"] = self._writer("eval")
        self.requests = interruption.Requests()
        self._bad_losses, self._saved_step = 0, None
        self._logged_step, self._logged_at = self.step, time.monotonic()
        self._told_at = self._logged_at

    def _writer(self, name):
        return summaries.SummaryWriter(self._run_dir / name, self.step)

    @property
    def is_done(self):
        """Whether all steps have been made."""
        return self.step >= self._schedule.num_training_steps

    def after_step(self, mean_loss, reset, sync=lambda: None, stop=None):
        """Counts a step and does what is due after it.

        Args:
            mean_loss: Mean loss of the steps since `reset` was called last.
            reset: Starts a new mean.
            sync: Makes the model's variables current, where a backend keeps them elsewhere.
            stop: Number of the signal that asked a worker to stop, 0 for none; None asks this
                process's `requests` only.

        Raises:
            TrainingDivergedError: Too many steps in a row were not finite.
            TrainingStopped: Training is to stop.
        """
        stop = self.requests.signal if stop is None else stop
        self.step += 1
        if not math.isfinite(mean_loss):
            sync()
            reset()
            self._count_bad_loss()
        else:
            self._bad_losses = 0
        schedule = self._schedule
        log, save, evaluate = (
            bool(interval) and (self.step % interval == 0 or self.is_done)
            for interval in (schedule.log_interval, schedule.checkpoint_interval,
                             schedule.eval_interval))
        if not (log or save or evaluate or stop):
            if self._is_chief and time.monotonic() - self._told_at >= PROGRESS_SECS:
                self._tell(mean_loss, self._speed())
            return
        sync()
        self._check_skips()
        if log:
            self._log(mean_loss)
            reset()
        started = time.monotonic()
        if save and self._is_chief:
            self._save()
        if evaluate and self._evaluator is not None:
            self._evaluate()
        self._logged_at += time.monotonic() - started
        if stop and not self.is_done:
            self._stop(stop)

    def lose_worker(self, error):
        """Ends a step that could not be made since another worker is gone.

        Raises:
            WorkerLostError: Always; the checkpoint of the chief is written first.
        """
        done = int(ops.convert_to_numpy(self._optimizer.iterations))
        if done > self.step // getattr(self._optimizer, "accumulate_steps", 1):
            self.step += 1  # all but its loss was known
        reason = f"Training stopped after step {self.step}: another worker is gone or cannot be " \
                 f"reached ({type(error).__name__}). "
        if self._is_chief:
            self._save()
        raise interruption.WorkerLostError(
            reason + "Give the same command on all workers to go on from the newest checkpoint.")

    def _stop(self, number):
        if self._is_chief:
            self._save()
        raise interruption.TrainingStopped(
            f"stopped by {signal.Signals(number).name} after step {self.step}: the same command "
            "goes on from there", number)

    def close(self):
        """Closes the TensorBoard files."""
        for writer in self._writers.values():
            writer.close()

    def _count_bad_loss(self):
        self._bad_losses += 1
        if not hasattr(self._optimizer, "consecutive_skips"):
            self._diverged("a loss is not finite, and this optimizer does not skip such steps")
        if self._bad_losses >= MAX_CONSECUTIVE_SKIPS:
            self._diverged(f"the losses of {self._bad_losses} steps in a row are not finite")

    def _check_skips(self):
        skips = self._count("consecutive_skips")
        if skips >= MAX_CONSECUTIVE_SKIPS:
            self._diverged(f"the gradients of {skips} steps in a row are not finite")

    def _count(self, name):
        return int(ops.convert_to_numpy(getattr(self._optimizer, name, 0)))

    def _rate(self):
        return float(ops.convert_to_numpy(self._optimizer.learning_rate))

    def _diverged(self, what):
        raise TrainingDivergedError(
            f"Training stopped at step {self.step}: {what}. The last checkpoint is from before. "
            "Try a lower learning rate or a longer warm-up, and look for bad examples.")

    def _log(self, mean_loss):
        speed = self._speed()
        self._logged_step, self._logged_at = self.step, time.monotonic()
        values = {"loss": mean_loss, "learning_rate": self._rate(),
                  "steps_per_second": speed}
        skipped = values["skipped_steps"] = self._count("skipped_steps")
        if not self._is_chief:
            return
        self._writers["train"].scalars(self.step, values)
        self._writers["train"].flush()
        self._tell(mean_loss, speed, f"learning rate {values['learning_rate']:.2e}  ",
                   f"  {skipped} skipped" if skipped else "")

    def _speed(self):
        """Steps per second since the last line of the log."""
        return (self.step - self._logged_step) / max(time.monotonic() - self._logged_at, 1e-9)

    def _tell(self, mean_loss, speed, more="", end=""):
        self._told_at = time.monotonic()
        total = self._schedule.num_training_steps
        self._report(f"step {self.step}/{total}  loss {mean_loss:.4f}  {more}{speed:.2f} steps/s  "
                     f"{durations.left(1 / max(speed, 1e-9), 1, 1 + total - self.step)}{end}")

    def _save(self):
        if self.step == self._saved_step:
            return
        state = checkpoints.State(self.step, self._seed)
        path = checkpoints.save(self._run_dir, self._model, self._optimizer, state,
                                self._schedule.keep_checkpoints)
        self._saved_step = self.step
        self._send()
        self._report(f"saved {path}")

    def _evaluate(self):
        with checkpoints.averaged_weights(self._model, self._optimizer):
            scores, examples = self._evaluator.run()
        self._evaluator.write(self._writers["eval"], self.step, scores, examples)
        evaluating.record_scores(self._run_dir, self.step, scores)
        self._send()
        self._report(describe_scores(self.step, scores))


def describe_scores(step, scores):
    """One line with the scores of an evaluation."""
    return f"step {step}  evaluation: " + "  ".join(f"{k} {v:.4f}" for k, v in scores.items())
