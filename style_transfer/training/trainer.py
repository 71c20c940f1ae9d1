"""Training and evaluation of a configuration in a run's folder."""

import dataclasses
import pathlib
import warnings
from collections.abc import Callable

import keras

from style_transfer import remote
from style_transfer.training import checkpoints, precision, run_record, strategies, summaries
from style_transfer.training.data import as_batches, batch_spec, for_fit
from style_transfer.training.evaluating import Evaluator, read_scores, record_scores
from style_transfer.training.monitor import Monitor, describe_scores
from style_transfer.training.optimizers import GuardedAdam

EVAL_SEED = 0


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How to train; what decides the result is in the hparams.

    Attributes:
        run_dir: Folder of the run, a path or URL; where it has checkpoints, training goes on from
            the newest. A URL stands for a local copy, which is sent there whenever it is saved.
        examples_path: Where the examples are, as the configuration's `build_dataset` takes it.
        num_training_steps: Steps in all, those before a resume included.
        checkpoint_file: Weights that a new run starts from: a `ckpt-…` folder or a
            `.weights.h5` file.
        strategy: One of `strategies.STRATEGIES`.
        checkpoint_interval: Steps between checkpoints.
        keep_checkpoints: How many of the newest stay; 0 keeps all.
        eval_interval: Steps between evaluations; 0 makes none.
        eval_batches: Batches of an evaluation; None takes the whole split.
        log_interval: Steps between lines of progress.
        seed: Seed of weights and data; None takes the run's own, or 0.
        override_hparams: Goes on with other hparams than the run was started with.
        jit_compile: Whether steps are compiled with XLA; None does so on the JAX backend only.
        accumulate_steps: Batches whose mean gradient makes an update.
        mixed_precision: Type that matrices are multiplied in, one of `precision.PRECISIONS`; all
            else stays float32, and with float16 the loss is scaled.
    """

    run_dir: str
    examples_path: str
    num_training_steps: int
    checkpoint_file: str | None = None
    strategy: str = "default"
    checkpoint_interval: int = 1000
    keep_checkpoints: int = 5
    eval_interval: int = 1000
    eval_batches: int | None = None
    log_interval: int = 100
    seed: int | None = None
    override_hparams: bool = False
    jit_compile: bool | None = None
    accumulate_steps: int = 1
    mixed_precision: str = "float32"

    def __post_init__(self):
        if self.mixed_precision not in precision.PRECISIONS:
            raise ValueError(f"mixed_precision is {self.mixed_precision!r}, expected one of "
                             f"{', '.join(precision.PRECISIONS)}.")
        for name, least in (("num_training_steps", 1), ("checkpoint_interval", 1),
                            ("keep_checkpoints", 0), ("eval_interval", 0), ("log_interval", 1),
                            ("accumulate_steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}.")
        if self.eval_batches is not None and self.eval_batches < 1:
            raise ValueError(f"eval_batches is {self.eval_batches}, expected at least 1.")


class FittedModel(keras.Model):
    """The model as `fit` drives it, so that the model itself is saved without an optimizer.

    Args:
        model: The built model.
        loss: A `keras.losses.Loss` of all its outputs together; `compile` would apply it to each
            output of a dict.
    """

    def __init__(self, model, loss):
        super().__init__()
        self.model, self.whole_loss = model, loss

    def call(self, inputs, training=False):
        """The model's output."""
        del training  # Keras hands it on to the model, if that takes it.
        return self.model(inputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss, and what layers add to it."""
        loss = self.whole_loss(y, y_pred, sample_weight)
        return sum((self._aggregate_additional_loss(extra) for extra in self.losses), loss)


class _FitCallback(keras.callbacks.Callback):
    """Lets the monitor run between the steps of `fit`."""

    def __init__(self, monitor):
        super().__init__()
        self._monitor = monitor

    def on_train_batch_end(self, batch, logs=None):
        """Counts the step."""
        # On JAX, `self.model` copies the weights back to the model's variables: only when due.
        self._monitor.after_step(float(logs["loss"]), lambda: self.model.reset_metrics(),
                                 lambda: self.model)


def train(config, hparams, options: TrainOptions, report: Callable[[str], None] = print):
    """Trains, or goes on training where the run's folder has checkpoints.

    Args:
        config: A `configs.Config` (anything with its fields will do).
        hparams: A dataclass of the config's hparams; `batch_size` is that of all devices.
        options: The `TrainOptions`.
        report: Called with each line of progress.

    Returns:
        The trained model, with averaged weights if its optimizer averages.

    Raises:
        ValueError: The options, hparams, data or checkpoints do not fit together.
        TrainingDivergedError: Too many steps in a row were not finite.
        TrainingStopped: The process was sent SIGTERM or SIGINT; a checkpoint is written.
        WorkerLostError: Another worker of the strategy is gone; a checkpoint is written.
        CheckpointNotWrittenError: There was no room for one.
    """
    with remote.folder(options.run_dir) as (run_dir, send):
        return _train(config, hparams, dataclasses.replace(options, run_dir=run_dir),
                      _of_remote(report, run_dir, options.run_dir), send)


def _of_remote(report, local, given):
    """`report`, in whose lines a local copy has the name that was given."""
    return lambda line: report(line.replace(str(local), str(given)))


def _train(config, hparams, options, report, send):
    placement = strategies.make_placement(options.strategy)
    found = checkpoints.latest(options.run_dir)
    state = _starting_state(options, found)
    if not options.override_hparams:
        run_record.check(options.run_dir, config.name, hparams)
    _check_checkpoint_file(options)
    keras.utils.set_random_seed(state.seed)
    data = _training_data(config, hparams, options, placement, state)
    eval_data = _eval_data(config, hparams, options) if options.eval_interval else None
    model, optimizer = strategies.build_in_scope(
        placement, lambda: config.build_model(hparams),
        lambda: _optimizer(config, hparams, options), data)
    precision.lower(model, options.mixed_precision)
    loss = config.build_loss(hparams)
    _restore(options, found, model, optimizer, report)
    if found is None and config.prepare:
        config.prepare(hparams, model, config.build_dataset(
            options.examples_path, hparams, "train", seed=state.seed))
    if placement.num_workers > 1:
        strategies.check_same_step(placement, state.step)
    if placement.is_chief:
        pathlib.Path(options.run_dir).mkdir(parents=True, exist_ok=True)
        checkpoints.clean(options.run_dir)
        checkpoints.set_aside_newer(options.run_dir, state.step)
        run_record.write(options.run_dir, config.name, hparams)
    evaluator = None
    if eval_data is not None and placement.is_chief:
        evaluator = _evaluator(config, hparams, model, loss, eval_data, options)
    monitor = Monitor(options.run_dir, model, optimizer, state, options, evaluator,
                      placement.is_chief, report, send)
    if monitor.is_done:
        report(f"{options.run_dir} has been trained for {state.step} steps already.")
    try:
        if not monitor.is_done:
            with monitor.requests.heeded():
                _run(placement, options, model, loss, optimizer, data, monitor)
    finally:
        monitor.close()
    if not monitor.is_done:
        raise ValueError(f"The training data ended after step {monitor.step} of "
                         f"{options.num_training_steps}: they must repeat without end.")
    optimizer.finalize_variable_values(model.trainable_variables)
    return model


def _optimizer(config, hparams, options):
    optimizer = config.build_optimizer(hparams)
    scales_loss = options.mixed_precision == "float16"
    if options.accumulate_steps > 1 or scales_loss:
        if not isinstance(optimizer, GuardedAdam):
            raise ValueError(f"--accumulate_steps and --mixed_precision=float16 need a GuardedAdam,"
                             f" but {config.name} trains with {type(optimizer).__name__}: leave "
                             "them out, or have build_optimizer give one.")
        optimizer.accumulate_steps, optimizer.scales_loss = options.accumulate_steps, scales_loss
    return optimizer


def _starting_state(options, found):
    if found is None:
        return checkpoints.State(0, options.seed or 0)
    _, state = found
    if options.seed not in (None, state.seed):
        raise ValueError(f"{options.run_dir} was started with seed {state.seed}, not "
                         f"{options.seed}: leave --seed out, or give another --run_dir.")
    return state


def _check_checkpoint_file(options):
    if options.checkpoint_file and not pathlib.Path(options.checkpoint_file).exists():
        raise ValueError(f"There is no checkpoint {options.checkpoint_file}: give a ckpt-… "
                         "folder or a .weights.h5 file.")


def _training_data(config, hparams, options, placement, state):
    strategies.check_batch_size(placement, hparams.batch_size)
    data = config.build_dataset(options.examples_path, hparams, "train", seed=state.seed,
                                skip_batches=state.step, input_context=placement.input_context)
    return as_batches(data)


def _eval_data(config, hparams, options):
    data = config.build_dataset(options.examples_path, hparams, "eval", seed=EVAL_SEED)
    if iter(data) is data:
        raise ValueError(f"The evaluation data of {config.name} can be gone through only once: "
                         "build_dataset must give an iterable, not an iterator.")
    return data


def _evaluator(config, hparams, model, loss, data, options):
    def made(name, *arguments):
        build = getattr(config, name, None)
        return build and (lambda: build(*arguments))

    write_example = made("build_example_writer", hparams)
    return Evaluator(
        model, loss, data, options.eval_batches, write_example and write_example(),
        made("build_metrics", hparams), made("build_probe", hparams, model, loss),
        made("build_embeddings", options.examples_path, hparams, model))


def _restore(options, found, model, optimizer, report):
    if found is not None:
        path, state = found
        checkpoints.restore(path, model, optimizer)
        report(f"resuming at step {state.step} from {path}")
    elif options.checkpoint_file:
        checkpoints.load_weights(options.checkpoint_file, model)
        report(f"starting at step 0 with the weights of {options.checkpoint_file}")


def _run(placement, options, model, loss, optimizer, data, monitor):
    if placement.strategy is not None:
        strategies.run_explicit_loop(placement, model, loss, optimizer, data, monitor,
                                     bool(options.jit_compile))
        return
    jit_compile = options.jit_compile
    if jit_compile is None:
        jit_compile = keras.backend.backend() == "jax"
    fitted = FittedModel(model, loss)
    # Keras would scale the loss by another optimizer around this one.
    fitted.compile(optimizer=optimizer, jit_compile=jit_compile, auto_scale_loss=False)
    with warnings.catch_warnings():
        # `train` turns data that end too early into an error.
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        fitted.fit(for_fit(data), steps_per_epoch=options.num_training_steps - monitor.step,
                   verbose=0, shuffle=False, callbacks=[_FitCallback(monitor)])


def evaluate(config, hparams, *, run_dir, examples_path, every_new=False, eval_batches=None,
             override_hparams=False, report: Callable[[str], None] = print):
    """Evaluates checkpoints; scores go to TensorBoard and `eval/metrics.json`.

    Args:
        config: As for `train`.
        hparams: As for `train`.
        run_dir: The run's folder.
        examples_path: As for `TrainOptions`.
        every_new: Evaluates every checkpoint not evaluated before, instead of the newest only.
        eval_batches: As for `TrainOptions`.
        override_hparams: Evaluates with other hparams than the run was started with.
        report: Called with each line of progress.

    Returns:
        A dict from step to a dict of mean scores.

    Raises:
        ValueError: There is no checkpoint, or hparams or data do not fit.
    """
    with remote.folder(run_dir) as (local, _):
        return _evaluate(config, hparams, local, examples_path, every_new, eval_batches,
                         override_hparams, _of_remote(report, local, run_dir))


def _evaluate(config, hparams, run_dir, examples_path, every_new, eval_batches, override_hparams,
              report):
    if not override_hparams:
        run_record.check(run_dir, config.name, hparams)
    found = checkpoints.latest(run_dir)
    if found is None:
        raise ValueError(f"There is no checkpoint in {run_dir}. Train first with --mode=train, or "
                         "check --run_dir.")
    chosen = [found[1].step]
    if every_new:
        chosen = [s for s in checkpoints.steps(run_dir) if s not in read_scores(run_dir)]
    options = TrainOptions(run_dir, examples_path, 1, eval_batches=eval_batches)
    data = _eval_data(config, hparams, options)
    x, _ = batch_spec(as_batches(data))
    model = config.build_model(hparams)
    if not model.built or not model.variables:
        model(x)
    evaluator = _evaluator(config, hparams, model, config.build_loss(hparams), data, options)
    writer = summaries.SummaryWriter(pathlib.Path(run_dir) / "eval", max(chosen, default=0))
    results = {}
    for step in chosen:
        path = checkpoints.path_of(run_dir, step)
        try:
            checkpoints.verify(path)
        except checkpoints.DamagedCheckpointError as error:
            warnings.warn(f"Passing over a damaged checkpoint: {error}", stacklevel=2)
            continue
        checkpoints.load_weights(path, model)
        results[step], examples = evaluator.run()
        evaluator.write(writer, step, results[step], examples)
        record_scores(run_dir, step, results[step])
        report(describe_scores(step, results[step]))
    writer.close()
    return results
