"""Files and folders by URL (`gs://`, `s3://`, `hdfs://`, `memory://`), through fsspec.

What needs a local path gets a copy; what is written to a folder of our own is sent after it. Each
scheme needs its package, such as gcsfs or s3fs.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import shutil
import tempfile

from style_transfer import files as local_files


def is_url(path) -> bool:
    """Whether a path is a URL."""
    return "://" in os.fspath(path)


def file_system(url):
    """The fsspec file system of a URL, and the URL's path in it.

    Raises:
        ModuleNotFoundError: The scheme's package is missing.
        ValueError: The scheme is unknown.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(os.fspath(url))
    except ImportError as error:
        raise ModuleNotFoundError(f"{url} cannot be opened: {error}.") from error
    except ValueError as error:
        raise ValueError(f"{url} cannot be opened: {error}.") from error


class Copy:
    """A local folder that stands for a remote one.

    Args:
        url: The remote folder.
        local: The local one, empty.
    """

    def __init__(self, url, local):
        self.local = pathlib.Path(local)
        self._files, self._root = file_system(url)
        self._root = self._root.rstrip("/")
        self._sent = {}

    def fetch(self, wanted=None):
        """Copies the remote files; gives how many.

        Args:
            wanted: Called with a file's path in the folder: whether it is needed; None for all.
        """
        if not self._files.exists(self._root):
            return 0
        for path in self._files.find(self._root):
            name = path[len(self._root):].lstrip("/")
            if name and (wanted is None or wanted(name)):
                target = self.local / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(path, str(target))
                self._sent[name] = _stamp(target)
        return len(self._sent)

    def send(self):
        """Copies what is new or changed here to the remote folder, and removes what is gone here.

        Of a folder the file that is written last comes last, so that it vouches for the others.
        """
        here = {path.relative_to(self.local).as_posix(): path
                for path in sorted(_finished(self.local), key=lambda p: p.stat().st_mtime_ns)}
        for name, path in here.items():
            if self._sent.get(name) != _stamp(path):
                remote = f"{self._root}/{name}"
                self._files.makedirs(os.path.dirname(remote), exist_ok=True)
                self._files.put_file(str(path), remote)
                self._sent[name] = _stamp(path)
        for name in [name for name in self._sent if name not in here]:
            path = f"{self._root}/{name}"
            self._files.rm_file(path)
            with contextlib.suppress(OSError, NotImplementedError):
                self._files.rmdir(os.path.dirname(path))  # where there are folders, and it is empty
            del self._sent[name]


@contextlib.contextmanager
def folder(path, wanted=None):
    """A local path for a folder that may be remote, and a function that sends what is new in it.

    Args:
        path: Path or URL.
        wanted: See `Copy.fetch`.

    Yields:
        The local path, `path` itself if it is one, and the function, which is called at the end
        too, whatever ends the block.
    """
    if not is_url(path):
        yield path, lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="remote_") as local:
        # What results are named after.
        named = os.path.join(local, os.fspath(path).rstrip("/").rpartition("/")[2] or "folder")
        os.mkdir(named)
        copy = Copy(path, named)
        copy.fetch(wanted)
        try:
            yield named, copy.send
        finally:
            copy.send()


@contextlib.contextmanager
def written(path, suffixes=()):
    """A local path for a file that may be remote, sent when the block has ended without an error.

    What an error or a kill leaves there stays, for the next time.

    Args:
        path: Path or URL.
        suffixes: Endings of files beside it, of names that begin with its. They are sent before it;
            those that there are none of are removed where it is.

    Yields:
        The local path, `path` itself if it is one. If nothing is written there, nothing is sent.
    """
    if not is_url(path):
        yield path
        return
    files, root = file_system(path)
    kept = local_files.cache_folder("outputs") / hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    local = str(kept / root.rpartition("/")[2])
    for suffix in ("", *suffixes):  # finished, but not sent
        pathlib.Path(local + suffix).unlink(missing_ok=True)
    yield local
    if os.path.exists(local):
        files.makedirs(os.path.dirname(root), exist_ok=True)
        for suffix in (*suffixes, ""):
            if os.path.exists(local + suffix):
                files.put_file(local + suffix, root + suffix)
            elif files.exists(root + suffix):
                files.rm_file(root + suffix)
    shutil.rmtree(kept, ignore_errors=True)


def exists(path):
    """Whether there is a file or folder at a path or URL."""
    if not is_url(path):
        return os.path.exists(path)
    files, root = file_system(path)
    return files.exists(root)


def names(url):
    """Names of what lies in a remote folder; none where there is none."""
    files, root = file_system(url)
    if not files.exists(root):
        return []
    return [path.rstrip("/").rpartition("/")[2] for path in files.ls(root, detail=False)]


def read_text(url):
    """The text of a remote file, or None where there is none."""
    files, path = file_system(url)
    return files.cat_file(path).decode() if files.isfile(path) else None


@functools.cache
def local_copy(url):
    """The copy of a file or of all files below a URL, for as long as the process runs.

    Raises:
        FileNotFoundError: There is nothing.
    """
    files, root = file_system(url)
    name = root.rstrip("/").rpartition("/")[2]
    target = pathlib.Path(_kept_folder().name, str(len(os.listdir(_kept_folder().name))), name)
    target.parent.mkdir()
    if files.isfile(root):
        files.get_file(root, str(target))
        return target
    if not Copy(url, target).fetch():
        raise FileNotFoundError(f"There is nothing at {url}.")
    return target


@functools.cache
def _kept_folder():
    return tempfile.TemporaryDirectory(prefix="remote_")


def _finished(root):
    """Files below a folder that are not being written."""
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not local_files.is_partial(name)]
        yield from (pathlib.Path(place, name) for name in names if not local_files.is_partial(name))


def _stamp(path):
    status = path.stat()
    return status.st_size, status.st_mtime_ns
