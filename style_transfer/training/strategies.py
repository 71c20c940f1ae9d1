"""`tf.distribute` strategies, and the explicit loop for those that `fit` cannot drive."""

import contextlib
import dataclasses
import signal

import keras

from style_transfer import replicas
from style_transfer.training.data import as_dataset, batch_spec

STRATEGIES = ("default", "mirrored", "multiworker")


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where training runs.

    Attributes:
        strategy: A `tf.distribute` strategy, driven by an explicit loop, or None for one device or
            another backend, driven by `fit`.
        num_replicas: Devices over all workers.
        worker: Index of this worker.
        num_workers: How many workers there are.
        is_chief: Whether this worker writes checkpoints and logs.
    """

    strategy: object = None
    num_replicas: int = 1
    worker: int = 0
    num_workers: int = 1
    is_chief: bool = True

    @property
    def input_context(self):
        """The `tf.distribute.InputContext` of a strategy's data; else None."""
        if self.strategy is None:
            return None
        import tensorflow as tf

        return tf.distribute.InputContext(self.num_workers, self.worker, self.num_replicas)

    def scope(self):
        """Context to make variables in."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()


def make_placement(name):
    """Sets up a strategy; to be called before anything else uses TensorFlow.

    Args:
        name: One of `STRATEGIES`. `mirrored` takes all local GPUs (or CPUs, without any);
            `multiworker` takes its cluster from `TF_CONFIG`.

    Raises:
        ValueError: The name is unknown, or the backend is not TensorFlow.
    """
    if name not in STRATEGIES:
        raise ValueError(f"The strategy {name!r} is unknown; choose one of "
                         f"{', '.join(STRATEGIES)}.")
    if name == "default":
        return Placement()
    if keras.backend.backend() != "tensorflow":
        raise ValueError(f"--strategy={name} needs the TensorFlow backend, this is "
                         f"{keras.backend.backend()}: set KERAS_BACKEND=tensorflow.")
    import tensorflow as tf

    if name == "mirrored":
        devices = [device.name for device in tf.config.list_logical_devices("GPU")
                   or tf.config.list_logical_devices("CPU")]
        strategy = tf.distribute.MirroredStrategy(devices)
        return Placement(strategy, num_replicas=strategy.num_replicas_in_sync)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    resolver = strategy.cluster_resolver
    workers = len(resolver.cluster_spec().as_dict().get("worker", [None]))
    return Placement(strategy, strategy.num_replicas_in_sync, resolver.task_id or 0, workers,
                     not resolver.task_id)


def check_same_step(placement, step):
    """Makes sure that all workers resume from the same checkpoint.

    Raises:
        ValueError: They do not, most likely because they do not share the run's folder.
    """
    import tensorflow as tf

    def gather():
        context = tf.distribute.get_replica_context()
        return context.all_gather(tf.constant([step]), axis=0)

    gathered = placement.strategy.run(tf.function(gather))
    found = placement.strategy.experimental_local_results(gathered)[0].numpy().tolist()
    if len(set(found)) > 1:
        raise ValueError(f"The workers resume from different steps, {found}: --run_dir must be a "
                         "folder that all of them share.")


def run_explicit_loop(placement, model, loss, optimizer, data, monitor, jit_compile=False):
    """Trains with `strategy.run` until the monitor is done.

    Args:
        placement: With a strategy.
        model: Built in the strategy's scope.
        loss: A `keras.losses.Loss`.
        optimizer: Built in the strategy's scope.
        data: This worker's batches `(x, y)` for one replica, those of a step one after the other;
            from `data.as_batches`.
        monitor: A `Monitor`.
        jit_compile: Whether losses and gradients are compiled with XLA; what the replicas do
            together is not.

    Raises:
        WorkerLostError: Another worker is gone.
    """
    import tensorflow as tf

    strategy = placement.strategy
    gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError,
            tf.errors.InternalError, tf.errors.FailedPreconditionError, tf.errors.CancelledError)
    batches = iter(strategy.distribute_datasets_from_function(
        lambda context: as_dataset(data)))

    def value_and_gradients(x, y):
        with tf.GradientTape() as tape:
            # Keras has divided the loss by the number of replicas if it is a mean.
            value = tf.cast(loss(y, model(x, training=True)), tf.float32)
            extra = [tf.cast(term, tf.float32) for term in model.losses]
            value += tf.add_n([0.0, *extra]) / strategy.num_replicas_in_sync
            scaled = optimizer.scale_loss(value)
        return value, tape.gradient(scaled, model.trainable_variables)

    if jit_compile:
        compiled = tf.function(value_and_gradients, jit_compile=True, autograph=False)

        def value_and_gradients(x, y):
            try:
                with replicas.apart():
                    return compiled(x, y)
            except replicas.ApartError:  # to which Keras adds what it was called with
                raise ValueError(
                    "--jit_compile=true cannot compile this model for several devices, since its "
                    "layers or its loss look at the whole batch: leave it out, or train on one "
                    "device.") from None

    def replica_step(x, y, asked):
        value, gradients = value_and_gradients(x, y)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value, tf.identity(asked)

    @tf.function(autograph=False)
    def train_step(iterator, asked):
        found = strategy.run(replica_step, args=(*next(iterator), asked))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, found, axis=None)

    losses = []
    while not monitor.is_done:
        try:
            # All workers stop after the same step, whichever of them is asked to.
            asked = tf.constant(bool(monitor.requests.signal), tf.float32)
            value, num_asked = train_step(batches, asked)
            losses.append(float(value))
        except (StopIteration, tf.errors.OutOfRangeError):
            break
        except gone as error:
            if placement.num_workers == 1:
                raise
            monitor.lose_worker(error)
        stop = (monitor.requests.signal or signal.SIGTERM) if float(num_asked) else 0
        monitor.after_step(sum(losses) / len(losses), losses.clear, stop=stop)


def check_batch_size(placement, batch_size):
    """Makes sure that a batch divides evenly among the devices.

    Raises:
        ValueError: It does not.
    """
    if batch_size % placement.num_replicas:
        raise ValueError(f"batch_size={batch_size} does not divide by the "
                         f"{placement.num_replicas} devices that train.")


def build_in_scope(placement, build_model, build_optimizer, data):
    """Makes model and optimizer with all their variables.

    Args:
        placement: Where.
        build_model: Called without arguments.
        build_optimizer: Called without arguments.
        data: Batches `(x, y)`; their shapes build the model.

    Returns:
        Model and optimizer.
    """
    x, _ = batch_spec(data)
    with placement.scope():
        model = build_model()
        if not model.built or not model.variables:
            model(x)
        optimizer = build_optimizer()
        optimizer.build(model.trainable_variables)
    return model, optimizer
