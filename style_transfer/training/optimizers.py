"""Adam that survives a bad batch, and learning rates with a warm-up."""

import math

import keras
from keras import ops

SCHEDULES = ("constant", "cosine", "exponential", "staircase")
INITIAL_LOSS_SCALE, LOSS_SCALE_STEPS = 2.0**15, 2000  # Keras's and Micikevicius et al., 2018


@keras.saving.register_keras_serializable(package="style_transfer")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak`, then constant, or cosine or exponential decay.

    Args:
        peak: Highest learning rate, reached at step `warmup_steps`.
        warmup_steps: Steps of the warm-up; 0 starts at `peak`.
        decay_steps: Steps from the peak until the rate is `peak * final_fraction`. Cosine stays
            there; exponential goes on falling at the same pace; staircase does so at once after
            every `decay_steps`.
        final_fraction: See `decay_steps`; above 0 for exponential decay and staircase.
        kind: One of `SCHEDULES`.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, peak, warmup_steps=0, decay_steps=100_000, final_fraction=0.05,
                 kind="cosine"):
        super().__init__()
        if kind not in SCHEDULES:
            raise ValueError(f"The learning-rate schedule {kind!r} is unknown; "
                             f"choose one of {', '.join(SCHEDULES)}.")
        if not (peak > 0 and warmup_steps >= 0 and decay_steps > 0 and 0 <= final_fraction <= 1):
            raise ValueError(
                "A learning-rate schedule needs peak > 0, warmup_steps >= 0, decay_steps > 0 and "
                f"final_fraction in [0, 1]; got {peak}, {warmup_steps}, {decay_steps}, "
                f"{final_fraction}.")
        if kind in ("exponential", "staircase") and final_fraction == 0:
            raise ValueError("Exponential decay never reaches 0: give a final_fraction above 0.")
        self.peak, self.warmup_steps, self.decay_steps = peak, warmup_steps, decay_steps
        self.final_fraction, self.kind = final_fraction, kind

    def __call__(self, step):
        """Learning rate of the update that follows `step` updates."""
        step = ops.cast(step, "float32")
        warmup = ops.minimum((step + 1.0) / max(self.warmup_steps, 1), 1.0)
        progress = ops.maximum(step - self.warmup_steps, 0.0) / self.decay_steps
        return self.peak * warmup * self._decay(progress)

    def _decay(self, progress):
        if self.kind == "constant":
            return 1.0
        if self.kind == "staircase":
            progress = ops.floor(progress)
        if self.kind in ("exponential", "staircase"):
            return ops.exp(progress * math.log(self.final_fraction))
        cosine = 0.5 * (1.0 + ops.cos(math.pi * ops.minimum(progress, 1.0)))
        return self.final_fraction + (1.0 - self.final_fraction) * cosine

    def get_config(self):
        """Constructor arguments."""
        return {"peak": self.peak, "warmup_steps": self.warmup_steps,
                "decay_steps": self.decay_steps, "final_fraction": self.final_fraction,
                "kind": self.kind}


@keras.saving.register_keras_serializable(package="style_transfer")
class GuardedAdam(keras.optimizers.Adam):
    """Adam that skips a step whose gradients are not all finite, and counts it.

    A skipped step changes neither weights nor moments; `iterations` goes on, so that it stays the
    number of batches seen. With `accumulate_steps` a bad batch adds nothing to the sum, and an
    update is skipped where all of its batches were bad. Under `tf.distribute` the gradients are
    summed over all replicas *before* they are checked and clipped: every replica decides alike,
    and several devices clip as one would (Keras clips each replica's share).

    With `scales_loss`, for float16, losses are scaled so that small gradients do not vanish: the
    scale is halved by a step whose gradients are not finite, and doubled after
    `LOSS_SCALE_STEPS` steps without one. At a scale of 1 such a step counts as skipped; before,
    it is what finds the scale.

    With `use_ema`, the average's momentum rises as `step / (step + 10)` up to `ema_momentum`, so
    that short runs are not dominated by the first weights.

    Keras has no hook around an update, and TensorFlow cannot make one conditional under
    `tf.distribute`. So a step is made in any case, and where it is to be skipped every assignment,
    by the methods that Keras's optimizers make all of them with, assigns what is there. Two
    private methods of Keras are replaced, both under `tf.distribute`'s compulsion, and say why.
    Keras's own accumulation and loss scaling need conditions, too.

    Args:
        learning_rate: As `keras.optimizers.Adam` takes it.
        accumulate_steps: Batches whose mean gradient makes an update.
        scales_loss: Whether losses are scaled.
        **kwargs: Others of `keras.optimizers.Adam`.

    Attributes:
        skipped_steps: How many batches have been skipped.
        consecutive_skips: How many of them in a row up to now.

    Raises:
        ValueError: `weight_decay` is given, which Keras would do on skipped steps too.
    """

    def __init__(self, learning_rate=0.001, *, accumulate_steps=1, scales_loss=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.accumulate_steps, self.scales_loss = accumulate_steps, scales_loss

    def build(self, var_list):
        """Makes the optimizer's variables for the model's."""
        if self.built:
            return
        if self.weight_decay:
            raise ValueError(f"GuardedAdam got weight_decay={self.weight_decay}, but cannot decay "
                             "weights: leave it out, or take keras.optimizers.AdamW.")
        self.skipped_steps = self._counter("skipped_steps")
        self.consecutive_skips = self._counter("consecutive_skips")
        super().build(var_list)
        self._sums, self._scale = [], None
        if self.accumulate_steps > 1:
            self._sums = [self._shared(v.shape, f"sum_{i}") for i, v in enumerate(var_list)]
            self._num_summed = self._counter("num_summed")
        if self.scales_loss:
            self._scale = self._shared((), "loss_scale", initializer=keras.initializers.Constant(
                INITIAL_LOSS_SCALE))
            self._good_steps = self._counter("good_steps")

    def _counter(self, name):
        return self._shared((), name, dtype="int32")

    def _shared(self, shape, name, **others):
        """A variable that all replicas assign alike."""
        return self.add_variable(shape, aggregation="only_first_replica", name=name, **others)

    @property
    def iterations(self):
        """Updates up to now, skipped ones included."""
        return self._iterations // self.accumulate_steps

    def scale_loss(self, loss):
        """The loss whose gradients `apply` takes."""
        return loss * ops.cast(self._scale, loss.dtype) if self.scales_loss else loss

    @property
    def averages(self):
        """Moving averages of the trainable variables in their order, or None without `use_ema`."""
        return self._model_variables_moving_average if self.use_ema else None

    def apply(self, grads, trainable_variables=None):
        """One update, or none where a gradient is not finite."""
        if not self.built:
            self.build(list(trainable_variables))
        grads = _sum_over_replicas(list(grads))
        if self.scales_loss:
            grads = [g if g is None else ops.cast(g, "float32") / self._scale for g in grads]
        is_finite = ops.all(ops.stack([ops.all(ops.isfinite(g)) for g in grads if g is not None]))
        counts = ops.cast(self._follow_scale(is_finite), "int32")
        skip = 1 - ops.cast(is_finite, "int32")
        self.skipped_steps.assign(self.skipped_steps + counts)
        self.consecutive_skips.assign((self.consecutive_skips + counts) * skip)
        self._updates, self._is_due = is_finite, True
        if self.accumulate_steps > 1:
            grads = self._accumulated(grads, is_finite)
        super().apply(grads, trainable_variables)

    def _follow_scale(self, is_finite):
        """Finds the loss's scale; gives whether the step counts as skipped."""
        is_bad = ops.logical_not(is_finite)
        if not self.scales_loss:
            return is_bad
        scale, good = ops.convert_to_tensor(self._scale), self._good_steps + 1
        is_due = good >= LOSS_SCALE_STEPS
        self._scale.assign(ops.where(is_finite, ops.where(is_due, 2 * scale, scale),
                                     ops.maximum(scale / 2, 1.0)))
        self._good_steps.assign(ops.where(is_finite & ops.logical_not(is_due), good, 0))
        return is_bad & (scale <= 1)

    def _accumulated(self, grads, is_finite):
        """Mean gradients of the batches since the last update, of which one is due or not."""
        is_due = (self._iterations + 1) % self.accumulate_steps == 0
        num_summed = self._num_summed + ops.cast(is_finite, "int32")
        self._num_summed.assign(ops.where(is_due, 0, num_summed))
        self._updates, self._is_due = is_due & (num_summed > 0), is_due
        found = []
        for grad, kept in zip(grads, self._sums, strict=True):
            if grad is None:
                found.append(None)
                continue
            total = kept + ops.where(is_finite, grad, ops.zeros_like(grad))
            kept.assign(ops.where(is_due, ops.zeros_like(total), total))
            found.append(total / self.accumulate_steps)
        return found

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable, its moments and its average."""
        super().update_step(gradient, variable, learning_rate)
        if not self.use_ema:
            return
        average = self.averages[self._get_variable_index(variable)]
        step = ops.cast(self.iterations, variable.dtype)
        momentum = ops.minimum(step / (step + 10.0), self.ema_momentum)
        # Averaging goes on over a skipped step: the weights are then merely counted twice.
        following = momentum * average + (1.0 - momentum) * variable
        super().assign(average, ops.where(self._is_due, following, average))

    def assign(self, variable, value):
        """Assigns where the step is made."""
        super().assign(variable, ops.where(self._updates, value, variable))

    def assign_add(self, variable, value):
        """Adds where the step is made."""
        super().assign_add(variable, ops.where(self._updates, value, ops.zeros_like(value)))

    def assign_sub(self, variable, value):
        """Subtracts where the step is made."""
        super().assign_sub(variable, ops.where(self._updates, value, ops.zeros_like(value)))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "accumulate_steps": self.accumulate_steps,
                "scales_loss": self.scales_loss}

    def _update_model_variables_moving_average(self, trainable_variables):
        # Done in `update_step`: Keras's version cannot assign under MirroredStrategy.
        del trainable_variables

    def _all_reduce_sum_gradients(self, grads_and_vars):
        # Called by the TensorFlow backend only; `apply` has summed already.
        return list(grads_and_vars)


def _sum_over_replicas(grads):
    if keras.backend.backend() != "tensorflow":
        return grads
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return grads
    dense = [tf.convert_to_tensor(g) for g in grads if g is not None]
    summed = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, dense))
    return [None if g is None else next(summed) for g in grads]


def build_optimizer(learning_rate, *, schedule="cosine", warmup_steps=0, decay_steps=100_000,
                    final_fraction=0.05, clip_norm=None, ema_momentum=None, epsilon=1e-8):
    """The optimizer most configurations want.

    Args:
        learning_rate: Highest learning rate.
        schedule: One of `SCHEDULES`.
        warmup_steps: See `WarmupDecay`.
        decay_steps: See `WarmupDecay`.
        final_fraction: See `WarmupDecay`.
        clip_norm: Gradients are scaled down to this global norm; None or 0 leaves them.
        ema_momentum: Momentum of the weights' moving average, 0 to 1; None or 0 keeps none.
        epsilon: Adam's.

    Returns:
        A `GuardedAdam`.
    """
    rate = WarmupDecay(learning_rate, warmup_steps, decay_steps, final_fraction, schedule)
    average = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    return GuardedAdam(rate, epsilon=epsilon, global_clipnorm=clip_norm or None, **average)
