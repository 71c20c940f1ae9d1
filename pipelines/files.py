"""Files by path or URL: local ones directly, others through Apache Beam's file systems."""

import contextlib
import os
import posixpath
import shutil

from style_transfer import files
from style_transfer.remote import is_url

PARTIAL = ".partial"  # ends the names of folders that are being made
_READ_BYTES = 1 << 22


def join(root: str, *parts: str) -> str:
    """`root` followed by `parts`."""
    return posixpath.join(root, *parts) if is_url(root) else os.path.join(root, *parts)


def list_files(root: str) -> list[str]:
    """Paths of all files under a folder, relative to it, with forward slashes, sorted.

    Hidden files and folders are left out: programs keep their unfinished work there.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if is_url(root):
        return _list_remote(root)
    if not os.path.isdir(root):
        raise FileNotFoundError(f"There is no folder {root!r}.")
    return sorted(os.path.relpath(path, root).replace(os.sep, "/") for path in files.walk(root))


def _list_remote(root):
    from apache_beam.io.filesystems import FileSystems

    prefix = root.rstrip("/") + "/"
    metadata = FileSystems.match([prefix + "**"])[0].metadata_list
    paths = [entry.path[len(prefix):] for entry in metadata]
    if not paths:
        raise FileNotFoundError(f"There are no files under {root!r}.")
    return sorted(p for p in paths if not any(part.startswith(".") for part in p.split("/")))


def read_bytes(path: str) -> bytes:
    """The whole of a file."""
    if not is_url(path):
        with open(path, "rb") as file:
            return file.read()
    from apache_beam.io.filesystems import FileSystems

    chunks = []
    with FileSystems.open(path, mime_type="application/octet-stream") as file:
        while chunk := file.read(_READ_BYTES):
            chunks.append(chunk)
    return b"".join(chunks)


def open_bytes(path: str):
    """Opens a file for reading bytes."""
    if not is_url(path):
        return open(path, "rb")
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.open(path, mime_type="application/octet-stream",
                            compression_type="uncompressed")


def create(path: str):
    """Opens a file for writing bytes, making the folders above it if it is local."""
    if not is_url(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        return open(path, "wb")
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.create(path, mime_type="application/octet-stream")


@contextlib.contextmanager
def create_whole(path: str):
    """`create`, of a file that is under its name whole or not at all, as remote ones always are."""
    if is_url(path):
        with create(path) as file:
            yield file
        return
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with files.written_whole(path) as partial, open(partial, "wb") as file:
        yield file


def exists(path: str) -> bool:
    """Whether there is a file, or a folder with anything in it but what stopped runs left."""
    if not is_url(path):
        return os.path.isfile(path) or (os.path.isdir(path) and not all(
            name.endswith(PARTIAL) for name in os.listdir(path)))
    from apache_beam.io.filesystems import FileSystems

    prefix = path.rstrip("/") + "/**"
    return FileSystems.exists(path) or bool(FileSystems.match([prefix])[0].metadata_list)


def remove_tree(path: str) -> None:
    """Deletes a folder and all in it; none is no error."""
    if not is_url(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    from apache_beam.io.filesystems import FileSystems

    found = FileSystems.match([path.rstrip("/") + "/**"])[0].metadata_list
    if found:
        FileSystems.delete([entry.path for entry in found])


def publish(partial: str, final: str, last: str) -> None:
    """Gives a finished folder its name, in place of what has that name already.

    A local folder is renamed, at once. A remote one is moved file by file, since object stores
    have no folders, and `last` at the end: its presence says that all is there. So is what lies in
    a mount point, which has its name for good.

    Args:
        partial: The finished folder.
        final: Its name from now on.
        last: Name of a file in it.
    """
    if not is_url(final) and os.path.ismount(final):
        names = sorted(os.listdir(partial), key=lambda name: name == last)
        for entry in os.scandir(final):
            if not entry.name.endswith(PARTIAL):
                _remove(entry)
        for name in names:
            files.publish(join(partial, name), join(final, name))
        shutil.rmtree(partial)
        return
    if not is_url(final):
        replaced = f"{partial}.replaced"
        if os.path.lexists(final):
            os.rename(final, replaced)
        os.rename(partial, final)
        shutil.rmtree(replaced, ignore_errors=True)
        return
    from apache_beam.io.filesystems import FileSystems

    remove_tree(final)
    names = sorted(list_files(partial), key=lambda name: name == last)
    for batch in (names[:-1], names[-1:]):
        FileSystems.rename([join(partial, name) for name in batch],
                           [join(final, name) for name in batch])


def _remove(entry):
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.remove(entry.path)
