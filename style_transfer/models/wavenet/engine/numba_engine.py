"""Runs the fused step, on several threads if asked for."""

import concurrent.futures

import numpy as np

from style_transfer.models.wavenet.engine import fused
from style_transfer.models.wavenet.engine.packing import gate_channels, pack, pad_channels


class NumbaEngine:
    """State of a batch, and the compiled steps.

    Args:
        model: A built `WaveNet`; its weights are read now.
        batch: Items.
        keep_logits: Whether `run` gives logits back.
        threads: The batch is split among so many.
    """

    def __init__(self, model, batch, keep_logits=False, threads=1):
        self._model, self._weights = model, pack(model)
        self._keep_logits = keep_logits
        groups = np.array_split(np.arange(batch), max(1, min(threads, batch)))
        self._groups = [(slice(g[0], g[-1] + 1), _State(self._weights, len(g)))
                        for g in groups]

    def run(self, frames, excitation, coefficients, forced, num_given, uniforms, temperatures):
        """Makes the next samples.

        Args:
            frames: Conditions of the samples' frames and one more at both ends,
                `[batch, frames + 2, layers * 2 * gates]`.
            excitation: `[batch, samples, residual + skip]`, or None.
            coefficients: Of the linear predictor, `[batch, frames, taps]`, or None.
            forced: `[batch, up to samples]`, what the net's past holds in place of draws.
            num_given: So many of these are given back too.
            uniforms: `[batch, samples, 2]`.
            temperatures: Of the draws in each frame, see `mixtures`; `[batch, frames]`.

        Returns:
            Audio `[batch, samples]` and logits `[batch, samples, num_outputs]` or None.
        """
        frames = gate_channels(frames, self._model.num_layers)

        def run(group):
            items, state = group
            return self._run(state, frames[items],
                             None if excitation is None else excitation[items],
                             None if coefficients is None else coefficients[items], forced[items],
                             num_given, uniforms[items], temperatures[items])

        if len(self._groups) == 1:
            parts = [run(self._groups[0])]
        else:
            with concurrent.futures.ThreadPoolExecutor(len(self._groups)) as pool:
                parts = list(pool.map(run, self._groups))
        audio, logits = zip(*parts, strict=True)
        return np.concatenate(audio), np.concatenate(logits) if self._keep_logits else None

    def _run(self, state, frames, excitation, coefficients, forced, num_given, uniforms,
             temperatures):
        model, weights = self._model, self._weights
        batch, samples, _ = uniforms.shape
        audio = np.empty((batch, samples), np.float32)
        logits = np.empty((batch, samples if self._keep_logits else 0, weights.num_outputs),
                          np.float32)
        order = weights.predictor_taps
        history = np.pad(state.history, ((0, 0), (0, samples)))
        if coefficients is None:
            coefficients = np.zeros((batch, 0, order), np.float32)
        past = fused.Past(state.rings, state.previous, history, state.errors, state.position)
        conditions = fused.Conditions(
            frames, self._excitation(excitation, batch),
            np.ascontiguousarray(coefficients[:, :, ::-1].swapaxes(0, 1), np.float32))
        draws = fused.Draws(
            np.ascontiguousarray(forced, np.float32), num_given,
            np.ascontiguousarray(uniforms.swapaxes(0, 1)),
            np.ascontiguousarray(temperatures, np.float64),
            model.output_kind == "mixture", model.num_mixtures)
        state.position = fused.run(weights, past, conditions, draws, audio, logits)
        state.history = history[:, samples:]
        return audio, logits[:, :, :model.num_outputs]

    def _excitation(self, excitation, batch):
        residual = self._model.residual_channels
        if excitation is None:
            return np.zeros((0, batch, 1), np.float32)
        parts = [pad_channels(excitation[..., :residual], 2),
                 pad_channels(excitation[..., residual:], 2)]
        return np.ascontiguousarray(np.concatenate(parts, axis=2).swapaxes(0, 1), np.float32)


class _State:
    def __init__(self, weights, batch):
        self.rings = np.zeros(max(1, weights.history) * batch * weights.num_residual, np.float32)
        # The full forward pass puts 0 before the first sample, not the class of silence.
        self.previous = np.zeros(batch, np.float32)
        self.history = np.zeros((batch, weights.predictor_taps), np.float32)
        self.errors = np.zeros(batch, np.float32)
        self.position = 0
