"""The cached step as a loop of the Keras backend, without numba; the fused step's reference."""

import typing

import keras
import numpy as np
from keras import ops

from style_transfer.models.wavenet.engine import conditions


class State(typing.NamedTuple):
    """What a step leaves to the next.

    Attributes:
        previous: The last sample as the net reads it, `[batch]`.
        predicted: What the linear predictor said of it, `[batch]`.
        past: Samples the predictor reads, the last one first, `[batch, max(1, predictor_taps)]`.
        rings: Past inputs of all layers, `[rows, batch, residual_channels]`.
    """

    previous: typing.Any
    predicted: typing.Any
    past: typing.Any
    rings: typing.Any


class Steps:
    """A model's samples, each given what was computed of those before.

    What layers need of the past is kept in one table of rings, so that a step reads and writes all
    of them with one op each: in a graph, the number of ops is what a step costs.

    Args:
        model: A built `WaveNet`.
        read: Function of the rings and of indices that gives these rows.
        written: Function of the rings, indices, new rows in their place, and of what was read
            before, that gives the rings with these rows.
    """

    def __init__(self, model, read=None, written=None):
        self.model, stack = model, model.stack
        self._read, self._written = read or _read, written or _written
        # The rings stand one behind the other; the oldest tap's row is the next to go.
        self._taps, dilations = stack.kernel_size - 1, np.array(stack.dilations, np.int32)
        sizes = self._taps * dilations
        self.num_rows = int(sizes.sum())
        self._begins, self._sizes = (np.repeat(per_layer, self._taps).astype(np.int32)
                                     for per_layer in (np.cumsum(sizes) - sizes, sizes))
        self._lags = np.outer(dilations, np.arange(self._taps, 0, -1, np.int32)).ravel()

    def kernels(self):
        """Kernels of the earlier taps `[rows, channels, 2 * gates]`, and of each layer's last."""
        stack = self.model.stack
        width = 2 * stack.gate_channels
        taps = ops.stack([ops.reshape(kernel, (stack.kernel_size, stack.channels, width))
                          for kernel in stack.kernels])
        return (ops.reshape(taps[:, :-1], (-1, stack.channels, width)),
                ops.unstack(taps[:, -1], stack.num_layers))

    def __call__(self, kernels, time, state, gates, excited, coefficients):
        """What the model says of a sample.

        Args:
            kernels: From `kernels`.
            time: How many samples there were before.
            state: `State`.
            gates: Its conditions and the layers' biases, `[layers, batch, 2 * gates]`.
            excited: Projected excitation, `[batch, residual + skip]`, or None.
            coefficients: Of the linear predictor, `[batch, predictor_taps]`, or None.

        Returns:
            Logits `[batch, outputs]`, and a function of the sample as the net reads it that gives
            the state after it.
        """
        model, stack = self.model, self.model.stack
        rows = self._begins + (time - self._lags) % self._sizes
        read = self._read(state.rings, rows)
        past = ops.matmul(read, kernels[0])
        if self._taps != 1:
            shape = (stack.num_layers, self._taps, -1, 2 * stack.gate_channels)
            past = ops.sum(ops.reshape(past, shape), axis=1)
        gates = ops.unstack(past + gates, stack.num_layers)
        prediction = None
        if coefficients is not None:
            prediction = ops.sum(coefficients * state.past, axis=1)
        x = model.input_projection(
            model.stack_inputs(state.previous, prediction, state.predicted))
        if excited is not None:
            x = x + excited[:, :stack.channels]
        hidden, activations = [], []
        for i, kernel in enumerate(kernels[1]):
            hidden.append(x)
            filtered, gate = ops.split(gates[i] + ops.matmul(x, kernel), 2, axis=-1)
            activations.append(ops.tanh(filtered) * ops.sigmoid(gate))
            if i < stack.num_layers - 1:
                x = x + (ops.matmul(activations[-1], stack.residual_kernels[i])
                         + stack.residual_biases[i])
        skip = model.skip(ops.concatenate(activations, axis=-1))
        if excited is not None:
            skip = skip + excited[:, stack.channels:]
        # A ReLU of this sum is what TensorFlow 2.16 fuses into a node without an op.
        logits = model.logits(ops.maximum(skip, 0.0), prediction)

        def after(previous):
            rings = state.rings
            if self._taps:
                rings = self._written(rings, rows[::self._taps], ops.stack(hidden), read)
            if prediction is None:
                return state._replace(previous=previous, rings=rings)
            past = ops.concatenate([previous[:, None], state.past[:, :-1]], axis=1)
            return State(previous, prediction, past, rings)

        return logits, after


def _read(rings, rows):
    return ops.take(rings, rows, axis=0)


def _written(rings, rows, values, read):
    del read
    return ops.scatter_update(rings, rows[:, None], values)


class Loop(keras.Model):
    """Runs the steps of a block; `predict_on_batch` compiles it.

    Args:
        model: A built `WaveNet`.
    """

    def __init__(self, model):
        super().__init__()
        self.model, self.steps = model, Steps(model)

    def call(self, x):
        """Samples, logits and state after them, of a dict of what `GraphEngine.run` passes."""
        model, stack, num_samples = self.model, self.model.stack, ops.shape(x["uniforms"])[1]
        batch, hop = x["uniforms"].shape[0], model.hop
        kernels, begin = self.steps.kernels(), x["position"][0]
        gates = ops.reshape(x["conditions"], (batch, -1, stack.num_layers, 2 * stack.gate_channels))
        gates = ops.transpose(gates, (1, 2, 0, 3)) + ops.stack(
            [ops.reshape(bias, (1, -1)) for bias in stack.biases])

        def step(index, state, audio, logits):
            output, after = self.steps(
                kernels, begin + index, State(*state), gates[index],
                x["excitation"][:, index] if "excitation" in x else None,
                x["coefficients"][:, index // hop] if "coefficients" in x else None)
            drawn = model.sample(output, x["uniforms"][:, index],
                                 x["temperatures"][:, index // hop])
            forced = x["forced"][:, index]
            sample = ops.where(x["is_given"][:, index], forced, drawn)
            state = after(model.to_input(ops.where(x["is_forced"][:, index], forced, sample)))
            audio = ops.slice_update(audio, [0, index], sample[:, None])
            logits = ops.slice_update(logits, [0, index, 0], output[:, None])
            return index + 1, tuple(state), audio, logits

        state = (x["previous"], x["predicted"], x["past"], ops.transpose(x["rings"], (1, 0, 2)))
        _, state, audio, logits = ops.while_loop(
            lambda index, *_: index < num_samples, step,
            (0, state, ops.zeros((batch, num_samples)),
             ops.zeros((batch, num_samples, model.num_outputs))))
        state = State(*state)
        return {"audio": audio, "logits": logits,
                **state._replace(rings=ops.transpose(state.rings, (1, 0, 2)))._asdict()}


class GraphEngine:
    """State of a batch, and the compiled loop; as `NumbaEngine`.

    Args:
        model: A built `WaveNet`.
        batch: Items.
        keep_logits: Whether `run` gives logits back.
        threads: Ignored: the backend has its own.
    """

    def __init__(self, model, batch, keep_logits=False, threads=1):
        del threads
        self._model = model
        self._loop, self._keep_logits, self._position = Loop(model), keep_logits, 0
        shapes = State((), (), (max(1, model.predictor_taps),),
                       (self._loop.steps.num_rows, model.stack.channels))
        self._state = {name: np.zeros((batch, *shape), np.float32)
                       for name, shape in shapes._asdict().items()}

    def run(self, frames, excitation, coefficients, forced, num_given, uniforms, temperatures):
        """Makes the next samples; arguments and result as `NumbaEngine.run`."""
        upsampled = conditions.upsampled(self._model, frames)
        batch, samples, _ = upsampled.shape
        x = {"conditions": upsampled, "uniforms": uniforms, **self._state,
             "temperatures": temperatures, "position": np.full(batch, self._position, np.int32),
             "forced": np.pad(forced, ((0, 0), (0, samples - forced.shape[1]))),
             "is_forced": np.broadcast_to(np.arange(samples) < forced.shape[1], (batch, samples)),
             "is_given": np.broadcast_to(np.arange(samples) < num_given, (batch, samples))}
        if excitation is not None:
            x["excitation"] = excitation
        if coefficients is not None:
            x["coefficients"] = coefficients
        outputs = self._loop.predict_on_batch(x)
        self._state = {name: outputs[name] for name in self._state}
        self._position += samples
        return outputs["audio"], outputs["logits"] if self._keep_logits else None
