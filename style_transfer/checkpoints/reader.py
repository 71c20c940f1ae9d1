"""Arrays of a checkpoint by name, read without building a TensorFlow graph."""

import contextlib
import pathlib
import re
import shutil
import tarfile
import tempfile
import zipfile

import numpy as np

from style_transfer import files

_PART = re.compile(r"(.*)\.(index|meta|data-\d{5}-of-\d{5})")
_LATEST = re.compile(r'^model_checkpoint_path: *"(.*)"', re.MULTILINE)
_SHIPPED = re.compile(r"checkpoint|.*\.(index|data-\d{5}-of-\d{5})")


def read(path):
    """Reads a checkpoint.

    Args:
        path: Prefix of a TensorFlow checkpoint (`model.ckpt`) or one of its files, a folder with
            checkpoints (the newest is read), a `.zip` or `.tar` with one as Magenta's models are
            downloaded, Magenta's bundle `.mag`, or an `.npz` of arrays by variable name.

    Returns:
        A dict of NumPy arrays by variable name.

    Raises:
        FileNotFoundError: There is no checkpoint.
        ValueError: It cannot be read.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        return _read_npz(_existing(path))
    if path.suffix == ".mag":
        return _read_bundle(_existing(path))
    if path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path)):
        return _read_archive(path)
    return _read_tensorflow(_prefix(path))


def is_magentas(path):
    """Whether a path is of a checkpoint that `read` takes, rather than of a run or its weights."""
    path = pathlib.Path(path)
    if path.is_file() and (path.suffix in (".npz", ".mag") or zipfile.is_zipfile(path)
                           or tarfile.is_tarfile(path)):
        return True
    try:
        _prefix(path)
    except FileNotFoundError:
        return False
    return path.suffix != ".h5"


def _existing(path):
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    return path


def _read_npz(path):
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # what a damaged archive raises is anyone's guess
        raise ValueError(f"{str(path)!r} is no .npz of plain arrays ({files.reason(error)}). Save "
                         "the checkpoint's arrays again with numpy.savez.") from error


def _prefix(path):
    """The prefix that TensorFlow's reader takes."""
    if path.is_dir():
        return _newest(path)
    match = _PART.fullmatch(path.name)
    if match and path.is_file():
        return path.with_name(match[1])
    if path.is_file() or path.with_name(f"{path.name}.index").is_file():
        return path
    raise FileNotFoundError(
        f"There is no checkpoint {str(path)!r}: expected the files {path.name}.index and "
        f"{path.name}.data-00000-of-00001, a folder with a file 'checkpoint', or a .zip, .tar, "
        ".mag or .npz.")


def _newest(folder):
    """What the folder's `checkpoint` file says, or the only checkpoint there."""
    state = folder / "checkpoint"
    if state.is_file():
        match = _LATEST.search(state.read_text(errors="replace"))
        # Where the folder has been moved, an absolute path in it is out of date.
        candidates = [folder / match[1], folder / pathlib.Path(match[1]).name] if match else []
        for prefix in candidates:
            if prefix.with_name(f"{prefix.name}.index").is_file() or prefix.is_file():
                return prefix
    found = sorted(folder.glob("*.index"))
    if len(found) == 1:
        return found[0].with_suffix("")
    reason = (f"several checkpoints and no usable file 'checkpoint': "
              f"{', '.join(file.stem for file in found)}. Name one" if found
              else "neither a file 'checkpoint' nor one ending in .index")
    raise FileNotFoundError(f"The folder {str(folder)!r} has {reason}.")


def _read_tensorflow(prefix):
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{str(prefix)!r} cannot be read as a TensorFlow checkpoint: "
                         f"{reason}") from error


def _read_bundle(path):
    from google.protobuf import message
    from note_seq.protobuf import generator_pb2

    try:
        bundle = generator_pb2.GeneratorBundle.FromString(path.read_bytes())
    except message.DecodeError as error:
        raise ValueError(f"{str(path)!r} is no bundle of Magenta's: {error}") from error
    if len(bundle.checkpoint_file) != 1:
        raise ValueError(f"The bundle {str(path)!r} has {len(bundle.checkpoint_file)} checkpoints, "
                         "expected one.")
    with tempfile.TemporaryDirectory() as folder:
        prefix = pathlib.Path(folder) / "model.ckpt"
        prefix.write_bytes(bundle.checkpoint_file[0])
        return _read_tensorflow(prefix)


def _read_archive(path):
    with tempfile.TemporaryDirectory() as folder, _opened(path) as members:
        for name, source in members:
            # Names alone: a member cannot be written outside the folder.
            with open(pathlib.Path(folder) / name, "wb") as target:
                shutil.copyfileobj(source, target)
        try:
            return _read_tensorflow(_newest(pathlib.Path(folder)))
        except FileNotFoundError as error:
            raise ValueError(f"There is no single checkpoint in the archive {str(path)!r}: "
                             f"{str(error).partition(' has ')[2]}") from error


@contextlib.contextmanager
def _opened(path):
    """Yields pairs of name and open file of what belongs to a checkpoint in an archive."""
    def wanted(name):
        return _SHIPPED.fullmatch(pathlib.PurePosixPath(name).name)

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield ((pathlib.PurePosixPath(item.filename).name, archive.open(item))
                   for item in archive.infolist() if wanted(item.filename))
    else:
        with tarfile.open(path) as archive:
            yield ((pathlib.PurePosixPath(item.name).name, archive.extractfile(item))
                   for item in archive if item.isfile() and wanted(item.name))
