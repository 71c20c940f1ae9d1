"""Audio from a WaveNet, sample by sample, with what its layers have computed kept in rings."""

import numpy as np
from keras import ops

from style_transfer.models.wavenet.engine import conditions
from style_transfer.models.wavenet.engine import temperatures as temperatures_lib

ENGINES = ("numba", "graph")
STEP_FRAMES = 128  # frames made between two reports, and before threads wait for each other


def generate(model, roll, seed=0, temperature=1.0, sustain_temperature=None, primer=None,
             teacher_forced=False, style=None, lead_frames=0, report=None, engine="numba",
             threads=1):
    """Plays rolls.

    Args:
        model: A built `WaveNet`.
        roll: `[batch, frames, roll_features]`.
        seed: Of the draws: one number for all, of which and of the item's index an item's draws
            depend; or one for each item.
        temperature: Of the draws, see `mixtures`; 0 takes the likeliest.
        sustain_temperature: Of those while notes ring, see `temperatures`; None for the same.
        primer: Recordings `[batch, samples]` that the audio begins with; None begins in silence.
        teacher_forced: Whether every sample is drawn given the primer's own past, and the primer
            not given back; it must be as long as the roll.
        style: Style vectors `[batch, global_size]`, or ids `[batch]` if the model knows pianos by
            number.
        lead_frames: Silence before the rolls, which is not given back. A model that was trained on
            crops takes the beginning of a roll for the middle of music; `model.lead_frames` tell
            it otherwise.
        report: Called now and then with how many samples of each item are made, and of how many.
        engine: `numba` (one fused step, the fastest) or `graph` (the backend's loop).
        threads: The batch is split among so many; `numba` only.

    Returns:
        float32 `[batch, frames * hop]` in [-1, 1].

    Raises:
        ValueError: An argument does not fit the model.
    """
    roll = np.asarray(roll, np.float32)
    if sustain_temperature is None:
        sustain_temperature = temperature
    primer = _checked(model, roll, (temperature, sustain_temperature), primer, teacher_forced,
                      style, engine)
    lead = lead_frames * model.hop
    roll = np.pad(roll, ((0, 0), (lead_frames, 0), (0, 0)))
    primer = np.pad(primer, ((0, 0), (lead, 0)))
    num_samples = roll.shape[1] * model.hop
    audio = np.empty((len(roll), num_samples), np.float32)
    seeds = [(seed, item) for item in range(len(roll))] if np.ndim(seed) == 0 else seed
    draws = [np.random.default_rng(item) for item in seeds]
    temperatures = ops.convert_to_numpy(temperatures_lib.of_frames(
        roll, model.roll_rate, temperature, sustain_temperature))
    num_given = 0 if teacher_forced else primer.shape[1]
    for first, made, _ in _runs(model, roll, piano_of(model, style), engine, threads, primer,
                                num_given, draws, temperatures, keep_logits=False):
        audio[:, first:first + made.shape[1]] = made
        if report is not None:
            report(max(0, first + made.shape[1] - lead), num_samples - lead)
    return audio[:, lead:]


def predictions(model, roll, audio, style=None, engine="numba", threads=1):
    """Logits of each sample given those before it, by the steps that `generate` takes.

    Args:
        model: A built `WaveNet`.
        roll: `[batch, frames, roll_features]`.
        audio: `[batch, frames * hop]`.
        style: See `generate`.
        engine: See `generate`.
        threads: See `generate`.

    Returns:
        `[batch, frames * hop, num_outputs]`; what `model` itself says of all samples at once.
    """
    roll = np.asarray(roll, np.float32)
    audio = _checked(model, roll, (), audio, True, style, engine)
    draws = [np.random.default_rng(0)] * len(roll)
    parts = [logits for _, _, logits in _runs(
        model, roll, piano_of(model, style), engine, threads, audio, 0, draws,
        np.ones(roll.shape[:2]), keep_logits=True)]
    return np.concatenate(parts, axis=1)


def piano_of(model, style):
    """What the context stack reads of the piano, by name."""
    if style is None:
        return {}
    if model.num_pianos and not model.global_size:
        return {"piano_id": np.asarray(style, np.int32)}
    return {"style": np.asarray(style, np.float32)}


def _runs(model, roll, piano, engine, threads, forced, num_given, draws, temperatures,
          keep_logits):
    """Yields index of the first sample, audio and logits, `STEP_FRAMES` after another."""
    if engine == "numba":
        from style_transfer.models.wavenet.engine.numba_engine import NumbaEngine as Engine
    else:
        from style_transfer.models.wavenet.engine.graph_engine import GraphEngine as Engine
    stepper = Engine(model, len(roll), keep_logits, threads)
    for block in conditions.blocks(model, roll, piano):
        for frame in range(0, block.num_frames, STEP_FRAMES):
            until = min(frame + STEP_FRAMES, block.num_frames)
            start = block.start_frame + frame
            first, count = start * model.hop, (until - frame) * model.hop
            uniforms = np.stack([rng.random((count, 2), np.float32) for rng in draws])
            excitation, coefficients = block.excitation, block.coefficients
            if excitation is not None:
                excitation = excitation[:, frame * model.hop:until * model.hop]
            if coefficients is not None:
                coefficients = coefficients[:, frame:until]
            yield first, *stepper.run(
                block.frames[:, frame:until + 2], excitation, coefficients,
                forced[:, first:first + count], max(0, min(count, num_given - first)), uniforms,
                temperatures[:, start:start + until - frame])


def _checked(model, roll, temperatures, primer, teacher_forced, style, engine):
    """The primer, or nothing as one."""
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}, expected one of {', '.join(ENGINES)}.")
    if roll.ndim != 3 or roll.shape[2] != model.roll_features:
        raise ValueError(f"roll is of shape {roll.shape}, expected [batch, frames, "
                         f"{model.roll_features}].")
    if not len(roll) or not roll.shape[1]:
        raise ValueError(f"roll is of shape {roll.shape}: there is nothing to play.")
    piano = piano_of(model, style)
    for told in piano.values():
        if len(told) != len(roll):
            raise ValueError(f"style is of {len(told)} pianos, expected one for each of "
                             f"{len(roll)} rolls.")
    for piano_id in piano.get("piano_id", ()):
        if not 0 <= piano_id < model.num_pianos:
            raise ValueError(f"A piano's number is {piano_id}, expected 0 to "
                             f"{model.num_pianos - 1}.")
    for temperature in temperatures:
        if not 0 <= temperature < np.inf:
            raise ValueError(f"A temperature is {temperature}, expected 0 or more.")
    num_samples = roll.shape[1] * model.hop
    primer = np.zeros((len(roll), 0)) if primer is None else np.asarray(primer)
    if primer.ndim != 2 or len(primer) != len(roll) or primer.shape[1] > num_samples:
        raise ValueError(f"primer is of shape {primer.shape}, expected {len(roll)} of at most "
                         f"{num_samples} samples, those of the roll.")
    if teacher_forced and primer.shape[1] != num_samples:
        raise ValueError(f"The primer has {primer.shape[1]} samples; teacher_forced needs one of "
                         f"{num_samples}, as long as the roll.")
    return np.ascontiguousarray(primer, np.float32)
