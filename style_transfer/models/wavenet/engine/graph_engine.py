"""The cached step as a loop of the Keras backend, without numba; the fused step's reference."""

import keras
import numpy as np
from keras import ops

from style_transfer.models.wavenet.engine import conditions


class Loop(keras.Model):
    """Runs the steps of a block; `predict_on_batch` compiles it.

    Args:
        model: A built `WaveNet`.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, x):
        """Samples, logits and state after them, of a dict of what `GraphEngine.run` passes."""
        stack, num_samples = self.model.stack, ops.shape(x["uniforms"])[1]
        is_forced, is_given = x["is_forced"], x["is_given"]

        def step(index, previous, history, error, rings, audio, logits):
            prediction = None
            if "coefficients" in x:
                prediction = ops.sum(x["coefficients"][:, index // self.model.hop]
                                     * ops.flip(history, axis=1), axis=1)
            hidden = self.model.input_projection(self.model.stack_inputs(
                previous, prediction, previous - error))
            excited = x["excitation"][:, index] if "excitation" in x else None
            if excited is not None:
                hidden = hidden + excited[:, :stack.channels]
            condition = x["conditions"][:, index]
            kept, activations = [], []
            for i, dilation in enumerate(stack.dilations):
                ring = rings[i]
                taps = [ring[:, tap * dilation] for tap in range(stack.kernel_size - 1)]
                kept.append(ops.concatenate([ring[:, 1:], hidden[:, None]], axis=1))
                width = 2 * stack.gate_channels
                gates = ops.matmul(ops.concatenate([*taps, hidden], axis=-1), stack.kernels[i])
                gates = gates + stack.biases[i] + condition[:, i * width:(i + 1) * width]
                filtered, gate = ops.split(gates, 2, axis=-1)
                activations.append(ops.tanh(filtered) * ops.sigmoid(gate))
                if i < stack.num_layers - 1:
                    hidden = hidden + stack.residual_biases[i] + ops.matmul(
                        activations[-1], stack.residual_kernels[i])
            skip = self.model.skip(ops.concatenate(activations, axis=-1))
            if excited is not None:
                skip = skip + excited[:, stack.channels:]
            output = self.model.logits(ops.relu(skip), prediction)
            drawn = self.model.sample(output, x["uniforms"][:, index],
                                      x["temperatures"][:, index // self.model.hop])
            forced = x["forced"][:, index]
            sample = ops.where(is_given[:, index], forced, drawn)
            previous = self.model.to_input(ops.where(is_forced[:, index], forced, sample))
            audio = ops.slice_update(audio, [0, index], sample[:, None])
            logits = ops.slice_update(logits, [0, index, 0], output[:, None])
            if prediction is not None:
                error = previous - prediction
                history = ops.concatenate([history[:, 1:], previous[:, None]], axis=1)
            return index + 1, previous, history, error, tuple(kept), audio, logits

        batch = x["uniforms"].shape[0]
        state = (0, x["previous"], x["history"], x["error"],
                 tuple(x[f"ring_{i}"] for i in range(stack.num_layers)),
                 ops.zeros((batch, num_samples)),
                 ops.zeros((batch, num_samples, self.model.num_outputs)))
        _, previous, history, error, rings, audio, logits = ops.while_loop(
            lambda index, *_: index < num_samples, step, state)
        return {"audio": audio, "logits": logits, "previous": previous, "history": history,
                "error": error,
                **{f"ring_{i}": ring for i, ring in enumerate(rings)}}


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
        self._loop, self._keep_logits = Loop(model), keep_logits
        stack = model.stack
        self._state = {"previous": np.zeros(batch, np.float32),
                       "history": np.zeros((batch, max(1, model.predictor_taps)), np.float32),
                       "error": np.zeros(batch, np.float32)}
        for i, dilation in enumerate(stack.dilations):
            self._state[f"ring_{i}"] = np.zeros(
                (batch, (stack.kernel_size - 1) * dilation, stack.channels), np.float32)

    def run(self, frames, excitation, coefficients, forced, num_given, uniforms, temperatures):
        """Makes the next samples; arguments and result as `NumbaEngine.run`."""
        upsampled = conditions.upsampled(self._model, frames)
        batch, samples, _ = upsampled.shape
        x = {"conditions": upsampled, "uniforms": uniforms, **self._state,
             "temperatures": temperatures,
             "forced": np.pad(forced, ((0, 0), (0, samples - forced.shape[1]))),
             "is_forced": np.broadcast_to(np.arange(samples) < forced.shape[1], (batch, samples)),
             "is_given": np.broadcast_to(np.arange(samples) < num_given, (batch, samples))}
        if excitation is not None:
            x["excitation"] = excitation
        if coefficients is not None:
            x["coefficients"] = coefficients
        outputs = self._loop.predict_on_batch(x)
        self._state = {name: outputs[name] for name in self._state}
        return outputs["audio"], outputs["logits"] if self._keep_logits else None
