"""Traced graphs of trained weights, kept on this machine from one start of a server to the next."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import time

import style_transfer
from style_transfer import files

VARIABLE = files.CACHE_VARIABLE
GRAPHS_KEPT = 16
SUMS_FILE = "sums.json"
_PARTIAL, _PARTIAL_SECS = ".partial-", 3600.0  # a folder that is being written; when nobody is
_PACKAGE = pathlib.Path(style_transfer.__file__).resolve().parent


def folder():
    """Where graphs are kept: in $STYLE_TRANSFER_CACHE, else in the user's folder of caches."""
    return files.cache_folder("graphs")


def key(config, weights_folder, **limits):
    """What a graph depends on, as the name of its folder.

    Args:
        config: A `configs.Config` of this package.
        weights_folder: The folder of its weights.
        **limits: Numbers that are constants of the graph.
    """
    import keras
    import numpy
    import tensorflow as tf

    hashed = hashlib.sha256(json.dumps([
        config.name, sorted(limits.items()), tf.__version__, keras.__version__, numpy.__version__,
        keras.backend.backend()]).encode())
    files = sorted(path for path in pathlib.Path(weights_folder).iterdir() if path.is_file())
    code = sorted(pathlib.Path(home, name) for home, _, names in
                  os.walk(_PACKAGE, followlinks=True) for name in names if name.endswith(".py"))
    for path in (*files, *code):
        hashed.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        hashed.update(path.read_bytes())
    return f"{config.name}-{hashed.hexdigest()[:32]}"


def find(name, load):
    """What `load` makes of the folder of a graph; None, and the graph is gone, if it is damaged.

    Args:
        name: From `key`.
        load: Called with the folder.

    Returns:
        What `load` gave, or None.
    """
    path = folder() / name
    if not path.is_dir():
        return None
    try:
        if _sums(path) != json.loads((path / SUMS_FILE).read_text()):
            raise ValueError("a file is not what was written")
        loaded = load(path)
        os.utime(path)
        return loaded
    except Exception:  # TensorFlow raises anything; whatever it was, the graph can be made again
        shutil.rmtree(path, ignore_errors=True)
        return None


def keep(name, save):
    """Keeps a graph, whole or not at all, and the newest `GRAPHS_KEPT` of all graphs.

    Args:
        name: From `key`.
        save: Called with an empty folder to write into.

    Returns:
        Whether it is kept: not where the folder of caches cannot be written.
    """
    home = folder()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = pathlib.Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=home))
        try:
            save(partial)
            (partial / SUMS_FILE).write_text(json.dumps(_sums(partial)))
            with contextlib.suppress(OSError):  # another server was first
                os.rename(partial, home / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _tidy(home)
    except OSError:
        return False
    return True


def _sums(path):
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(path.rglob("*")) if file.is_file() and file.name != SUMS_FILE}


def _tidy(home):
    def age_secs(path):
        try:
            return time.time() - path.stat().st_mtime
        except FileNotFoundError:  # another server tidies too
            return 0.0

    graphs = [path for path in home.iterdir() if not path.name.startswith(_PARTIAL)]
    for path in sorted(graphs, key=age_secs)[GRAPHS_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
    for path in home.glob(f"{_PARTIAL}*"):
        if age_secs(path) > _PARTIAL_SECS:
            shutil.rmtree(path, ignore_errors=True)
