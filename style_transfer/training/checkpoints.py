"""Checkpoints that a killed process cannot damage.

A checkpoint is a folder `ckpt-000123` of a run's folder:

* `model.weights.h5`: the weights to use, averaged if the optimizer averages;
* `training.npz`: what else it takes to go on (raw weights where averaged, optimizer, random state);
* `config.json`: what `style_transfer.weights.load` makes the model from;
* `state.json`: step, seed and checksums of weights and training state.

It is written under another name, flushed to disk and renamed into place.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import warnings

import numpy as np
from keras import ops

from style_transfer import files, remote, weights

MODEL_FILE, TRAINING_FILE, STATE_FILE = "model.weights.h5", "training.npz", "state.json"
_NAME = re.compile(r"ckpt-(\d+)")
_TEMPORARY = ".partial-"


class DamagedCheckpointError(ValueError):
    """A checkpoint's files are missing, cut short or altered."""


class CheckpointNotWrittenError(ValueError):
    """There was no room for a checkpoint, or no permission; those before it are whole."""


@dataclasses.dataclass(frozen=True)
class State:
    """Where training stood.

    Attributes:
        step: Batches trained on.
        seed: Seed of initial weights and data order.
    """

    step: int
    seed: int


def steps(run_dir):
    """Steps of the checkpoints in `run_dir`, rising; none if there is no such folder."""
    if not remote.is_url(run_dir) and not os.path.isdir(run_dir):
        return []
    names = remote.names(run_dir) if remote.is_url(run_dir) else os.listdir(run_dir)
    matches = (_NAME.fullmatch(name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


def path_of(run_dir, step):
    """Folder of the checkpoint of `step`."""
    return pathlib.Path(run_dir) / f"ckpt-{step:06d}"


def save(run_dir, model, optimizer, state, keep=5):
    """Writes a checkpoint and removes old ones.

    Args:
        run_dir: The run's folder.
        model: A built `keras.Model`, itself not compiled (its optimizer would be saved with it).
        optimizer: The optimizer, built for `model.trainable_variables`.
        state: A `State`.
        keep: How many of the newest checkpoints stay; 0 keeps all.

    Returns:
        The checkpoint's path.
    """
    run_dir = pathlib.Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    partial = run_dir / f"{_TEMPORARY}{os.getpid()}-{state.step}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        _write(partial, model, optimizer, state, run_dir)
    except (OSError, files.UnwritableError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        last = steps(run_dir)
        raise CheckpointNotWrittenError(
            f"The checkpoint of step {state.step} cannot be written to {run_dir} "
            f"({getattr(error, 'strerror', None) or error}); "
            + (f"that of step {last[-1]} is whole. " if last else "there is none before it. ")
            + "Make room and give the same command again.") from error
    final = path_of(run_dir, state.step)
    if final.exists():
        final.rename(run_dir / f"{_TEMPORARY}replaced-{state.step}")
    partial.rename(final)
    _flush(run_dir)
    clean(run_dir)
    for step in steps(run_dir)[:-keep] if keep else ():
        shutil.rmtree(path_of(run_dir, step))
    return final


def _write(folder, model, optimizer, state, run_dir):
    """Writes a checkpoint's files, and has them on the disk."""
    arrays = _arrays(model, optimizer)
    with averaged_weights(model, optimizer):
        content = weights.serialized(model)
    (folder / MODEL_FILE).write_bytes(content)
    weights.write_config(folder, model, f"{run_dir.resolve().name}-{state.step}", steps=state.step)
    np.savez(folder / TRAINING_FILE, **arrays)
    checksums = {name: _checksum(folder / name) for name in (MODEL_FILE, TRAINING_FILE)}
    text = json.dumps({**dataclasses.asdict(state), "sha256": checksums}, indent=1)
    (folder / STATE_FILE).write_text(text, encoding="utf-8")
    for name in (MODEL_FILE, TRAINING_FILE, weights.CONFIG_FILE, STATE_FILE, "."):
        _flush(folder / name)


def clean(run_dir):
    """Removes what killed processes left half-written."""
    for leftover in pathlib.Path(run_dir).glob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover)


def verify(path):
    """Reads a checkpoint's state and checks its files.

    Args:
        path: The checkpoint's folder.

    Returns:
        Its `State`.

    Raises:
        DamagedCheckpointError: It cannot be used.
    """
    path = pathlib.Path(path)
    try:
        content = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        for name, checksum in content["sha256"].items():
            if _checksum(path / name) != checksum:
                raise DamagedCheckpointError(f"{path}: {name} is not what was written.")
        return State(int(content["step"]), int(content["seed"]))
    except (OSError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise DamagedCheckpointError(f"{path}: {type(error).__name__}: {error}") from error


def latest(run_dir):
    """The newest usable checkpoint.

    Args:
        run_dir: The run's folder.

    Returns:
        Its path and `State`, or None where the folder has no checkpoint at all.

    Raises:
        DamagedCheckpointError: There are checkpoints and all are damaged.
    """
    found = steps(run_dir)
    for step in reversed(found):
        path = path_of(run_dir, step)
        try:
            return path, verify(path)
        except DamagedCheckpointError as error:
            warnings.warn(f"Passing over a damaged checkpoint: {error}", stacklevel=2)
    if found:
        raise DamagedCheckpointError(
            f"All {len(found)} checkpoints in {run_dir} are damaged. Restore one from a copy, or "
            "start anew in another --run_dir.")
    return None


def set_aside_newer(run_dir, step):
    """Renames checkpoints after `step`, which were passed over, to `damaged-ckpt-…`."""
    for newer in (s for s in steps(run_dir) if s > step):
        path = path_of(run_dir, newer)
        aside = path.with_name(f"damaged-{path.name}")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)


def restore(path, model, optimizer):
    """Puts model and optimizer where they were when the checkpoint was saved.

    Args:
        path: The checkpoint's folder.
        model: As for `save`, built.
        optimizer: As for `save`, built.

    Raises:
        ValueError: The checkpoint belongs to another model or optimizer.
    """
    load_weights(path, model)
    with np.load(pathlib.Path(path) / TRAINING_FILE) as arrays:
        variables = _variables(model, optimizer)
        shapes = {name: tuple(v.shape) for name, v in variables.items()}
        stored = {name: arrays[name].shape for name in arrays.files}
        if shapes != stored:
            different = sorted(n for n in shapes | stored if shapes.get(n) != stored.get(n))
            raise ValueError(
                f"{path} was not saved by this model and optimizer; they differ in "
                + ", ".join(f"{n} (saved {stored.get(n)}, now {shapes.get(n)})"
                            for n in different[:5]) + ".")
        for name, variable in variables.items():
            variable.assign(arrays[name])


def load_weights(path, model):
    """Loads only the weights, averaged if they were.

    Args:
        path: A checkpoint's folder, or a `.weights.h5` file.
        model: The built model.

    Raises:
        ValueError: There is no such checkpoint or file, or it belongs to another model.
    """
    path = pathlib.Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"There is no checkpoint {path}: give a ckpt-… folder or a "
                         ".weights.h5 file.")
    if not file.name.endswith(".weights.h5"):
        raise ValueError(f"{file} is no checkpoint: the name of a file with weights ends in "
                         "'.weights.h5'.")
    try:
        model.load_weights(file)
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file} does not fit this model: {reason}") from error


@contextlib.contextmanager
def averaged_weights(model, optimizer):
    """Within, the model has the optimizer's averaged weights, if it averages."""
    averages = getattr(optimizer, "averages", None)
    if averages is None or not int(ops.convert_to_numpy(optimizer.iterations)):
        yield
        return
    variables = model.trainable_variables
    raw = [ops.convert_to_numpy(v) for v in variables]
    _assign(variables, [ops.convert_to_numpy(v) for v in averages])
    try:
        yield
    finally:
        _assign(variables, raw)


@contextlib.contextmanager
def fixed_randomness(model):
    """Within, the model draws the same random numbers each time; afterwards it goes on as before.

    So that evaluations can be compared, and training does not depend on how often they happen.
    """
    variables = _random_variables(model)
    before = [ops.convert_to_numpy(v) for v in variables]
    _assign(variables, [np.zeros_like(value) for value in before])
    try:
        yield
    finally:
        _assign(variables, before)


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _random_variables(model):
    weights = {id(v) for v in model.weights}
    return [v for v in model.non_trainable_variables if id(v) not in weights]


def _variables(model, optimizer):
    """What `TRAINING_FILE` holds, by name."""
    random = _random_variables(model)
    raw = model.trainable_variables if getattr(optimizer, "averages", None) is not None else []
    groups = {"optimizer": optimizer.variables, "random": random, "raw": raw}
    return {f"{group}/{index:04d}": variable
            for group, variables in groups.items() for index, variable in enumerate(variables)}


def _arrays(model, optimizer):
    return {name: ops.convert_to_numpy(v) for name, v in _variables(model, optimizer).items()}


def _checksum(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
