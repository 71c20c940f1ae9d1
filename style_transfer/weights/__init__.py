"""Trained weights inside the package, one folder each: config, float16 weights, model card."""

import importlib
import io
import json
import pathlib
import re
import warnings

import numpy as np

from style_transfer import files, remote

DEFAULT = "piano_ddsp"
MODELS = "style_transfer.models."
# Where the classes of weights that were saved by older versions stand now.
_MOVED = {f"{MODELS}{old}": f"{MODELS}{new}" for old, new in (
    ("drums_rnn", "drums_rnn.net"), ("music_vae", "music_vae.net"),
    ("onsets_frames", "onsets_frames.net"), ("piano_ddsp", "piano_ddsp.net"),
    ("wavenet", "wavenet.net"), ("spectral_wavenet", "wavenet.spectral_wavenet"),
    ("harmonic_transcriber", "onsets_frames.harmonic_transcriber"))}
WEIGHTS_FILE, CONFIG_FILE = "model.weights.h5", "config.json"
_AGAIN = "Give the run_dir of a training, or copy the folder again."


def names():
    """Names of the weights in the package."""
    here = pathlib.Path(__file__).parent
    return sorted(path.parent.name for path in here.glob(f"*/{CONFIG_FILE}"))


def load(name_or_path=None, package="style_transfer"):
    """The model of a folder of weights.

    Args:
        name_or_path: A name in `names()`, a folder written by `save`, a checkpoint of
            `style_transfer_train` or its run_dir (the newest), or None for `DEFAULT`.
        package: Top-level package that the model's class may be imported from, beside this one.

    Returns:
        A Keras model; its `weights_name` tells saved pianos apart.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The weights do not fit the model of the config.
    """
    import keras

    path = folder(name_or_path)
    try:
        config = json.loads((path / CONFIG_FILE).read_text())
        name, module = str(config["name"]), config["model"].get("module") or ""
        module = config["model"]["module"] = _MOVED.get(module, module)
        # Never a module that only the weights name.
        if module.startswith(MODELS) or module.partition(".")[0] == package != "style_transfer":
            importlib.import_module(module)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*had a build config", UserWarning)
            model = keras.saving.deserialize_keras_object(config["model"])
        model.build(None)
    except Exception as error:  # what a damaged config makes of Keras is anyone's guess
        raise ValueError(f"No model can be made from {CONFIG_FILE} in {str(path)!r} "
                         f"({files.reason(error)}). {_AGAIN}") from error
    try:
        model.load_weights(path / WEIGHTS_FILE)
    except Exception as error:
        raise ValueError(f"The weights in {str(path)!r} do not fit their config "
                         f"({files.reason(error)}). {_AGAIN}") from error
    model.weights_name = name
    return model


def config_name(name_or_path=None):
    """Name of the configuration that weights were trained for.

    Args:
        name_or_path: See `load`.

    Raises:
        FileNotFoundError: There are no such weights.
    """
    path = folder(name_or_path)
    record = path.parent / CONFIG_FILE  # of a training, beside its checkpoints
    if path.name.startswith("ckpt-") and record.is_file():
        return json.loads(record.read_text())["config"]
    return re.sub(r"-\d+$", "", json.loads((path / CONFIG_FILE).read_text())["name"])


def folder(name_or_path=None):
    """The folder of weights; arguments and errors as for `config_name`."""
    name = DEFAULT if name_or_path is None else name_or_path
    if name in names():
        path = pathlib.Path(__file__).parent / name
    else:
        path = remote.local_copy(name) if remote.is_url(name) else pathlib.Path(name)
    if not (path / WEIGHTS_FILE).is_file():
        path = max(path.glob(f"ckpt-*/{WEIGHTS_FILE}"), default=path / WEIGHTS_FILE).parent
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (path / file).is_file():
            raise FileNotFoundError(f"There are no weights {str(name)!r}: {file} is missing. "
                                    f"Expected one of {names()} or the run_dir of a training.")
    return path


def save(model, folder, name, **about):
    """Writes config and float16 weights of `model`, each file whole or not at all.

    Args:
        model: A built Keras model.
        folder: Where to.
        name: Name and version of the weights, such as `piano_ddsp-1`.
        **about: What else to remember in the config, such as steps.
    """
    import h5py

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    half = io.BytesIO()
    with h5py.File(io.BytesIO(serialized(model)), "r+") as source, h5py.File(half, "w") as target:
        for path in _datasets(source):
            value = source[path][()].astype(np.float16)
            if not np.all(np.isfinite(value)):
                raise ValueError(f"{path} does not fit into float16.")
            del source[path]
            source.create_dataset(path, data=value, compression="gzip", shuffle=True)
        for key in source:  # copying leaves the deleted float32 data behind
            source.copy(key, target)
        for key, value in source.attrs.items():
            target.attrs[key] = value
    with files.written_whole(folder / WEIGHTS_FILE) as partial:
        partial.write_bytes(half.getvalue())
    write_config(folder, model, name, **about)


class _Memory(io.BytesIO):
    """A file in memory whose name Keras takes for one of weights."""

    def __str__(self):
        return WEIGHTS_FILE


def serialized(model):
    """The bytes of a `.weights.h5` file of a built model.

    They are made in memory: a disk that is full while HDF5 writes to it ends the whole process.
    """
    file = _Memory()
    model.save_weights(file)
    return file.getvalue()


def write_config(folder, model, name, **about):
    """Writes the config that `load` makes the model from, beside its weights.

    Args:
        folder: Where to.
        model: A Keras model that can be serialized.
        name: Name and version of the weights.
        **about: What else to remember, such as steps.
    """
    import keras

    folder = pathlib.Path(folder)
    made = keras.saving.serialize_keras_object(model)
    made["config"].pop("dtype", None)  # of the training; what is loaded computes in float32
    config = {"name": name, **about, "model": made}
    with files.written_whole(folder / CONFIG_FILE) as partial:
        partial.write_text(json.dumps(config, indent=1) + "\n")


def _datasets(file):
    import h5py

    found = []
    file.visititems(lambda path, item: found.append(path)
                    if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" else None)
    return found
