"""Which files a batch reads and writes, how it went, and writing them whole or not at all."""

import contextlib
import dataclasses
import errno
import glob
import os
import pathlib
import re
import secrets
import shutil
import time

try:
    import fcntl
except ImportError:  # no Unix
    fcntl = None  # type: ignore[assignment]

CACHE_VARIABLE = "STYLE_TRANSFER_CACHE"
_STAGED = re.compile(r"\.[0-9a-f]{12}\.part")
_OLD_SECS = 24 * 3600
_CLEANED: set[str] = set()  # folders, once each: some hold many files


@dataclasses.dataclass
class Summary:
    """How a batch went.

    `instruments` are the most that were put on the piano in one piece; `paths` those of what was
    written, where a caller wants them.
    """

    read: int = 0
    written: int = 0
    skipped: int = 0
    kept: int = 0
    instruments: int = 0
    paths: list = dataclasses.field(default_factory=list)

    def __str__(self):
        kept = f", {self.kept} kept as they were" if self.kept else ""
        on_one = (f", up to {self.instruments} instruments of a piece on one piano"
                  if self.instruments > 1 else "")
        return f"{self.read} read, {self.written} written, {self.skipped} skipped{kept}{on_one}"

    def add(self, other):
        """Counts what another batch counted."""
        for name in ("read", "written", "skipped", "kept"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.instruments = max(self.instruments, other.instruments)

    def remark(self, report):
        """A `say` for `content.content_notes`: reports and keeps what it is told."""

        def say(line, instruments=0):
            self.instruments = max(self.instruments, instruments)
            report(line)

        return say


def pace(begun, done, total):
    """How fast work goes that began at `begun` (`time.monotonic`), and what is left of it.

    Args:
        begun: When it began.
        done: Seconds of audio, or steps, that are done.
        total: How many there are.
    """
    took = time.monotonic() - begun
    done = max(done, 1e-9)
    return f"real-time factor {took / done:.3f}, {took * (total / done - 1):.0f} s left"


def say(line, again=False):
    """Prints a line about the work; not the progress (`again`) that later lines would replace."""
    if not again:
        print(line, flush=True)


class UnwritableError(Exception):
    """Results cannot be written, which is no fault of a piece and ends a batch.

    Neither a `ValueError` nor an `OSError`, which batches take for faults of a piece.
    """


# What keeps from writing, or from reading, whatever is in a file; and what to do about it.
_DISK_FAULTS = {
    errno.ENOSPC: "Free some space, or choose another disk",
    errno.EDQUOT: "Free some space, or choose another disk",
    errno.EFBIG: "Choose a disk that takes files of this size",
    errno.EROFS: "Choose another folder",
    errno.EACCES: "Choose another folder, or change who may use this one",
    errno.EPERM: "Choose another folder, or change who may use this one",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.ELOOP: "It is a link that leads back to itself: name the file that is meant",
    errno.EIO: "The disk may be failing: choose another",
    errno.EMFILE: "Raise the number of open files (ulimit -n)",
}
_ONLY_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_FULL_BYTES = 1 << 16
_LONGEST_REASON = 200


def disk_fault(error):
    """What an `OSError` says of a disk, a folder or a name, a sentence; None for other errors."""
    if not isinstance(error, OSError) or error.errno not in _DISK_FAULTS:
        return None
    where = f"{os.fspath(error.filename)!r}: " if error.filename is not None else ""
    return f"{where}{os.strerror(error.errno)}. {_DISK_FAULTS[error.errno]}."


def reason(error):
    """What a library's error says, in one line that a sentence can quote."""
    line = " ".join(str(error).split()).rstrip(".")
    return (f"{line[:_LONGEST_REASON]}…" if len(line) > _LONGEST_REASON else
            line or type(error).__name__)


@contextlib.contextmanager
def staging(folder):
    """An empty hidden folder within `folder`, which is made; gone when the block has ended.

    What processes left behind that were killed is removed from `folder`. The name is short, so that
    whatever a file is called, it can be written there first.

    Yields:
        Its `pathlib.Path`.

    Raises:
        UnwritableError: Nothing can be written there, or the disk was full in the block.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if str(folder.resolve()) not in _CLEANED:
            clean(folder)
            _CLEANED.add(str(folder.resolve()))
        path, lock = _locked(folder)
    except OSError as error:
        raise _unwritable(error, folder) from error
    try:
        yield path
    except Exception as error:
        # Libraries say in many ways that a disk is full.
        if (getattr(error, "errno", None) in _ONLY_OF_WRITING
                or (not isinstance(error, UnwritableError)
                    and shutil.disk_usage(folder).free < _FULL_BYTES)):
            raise _unwritable(error, folder) from error
        raise
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _unwritable(error, folder):
    if not isinstance(error, OSError) or error.errno not in _DISK_FAULTS:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return UnwritableError(f"Results cannot be written to {str(folder)!r}: "
                           f"{os.strerror(error.errno)}. {_DISK_FAULTS[error.errno]}.")


def clean(folder):
    """Removes what processes that are gone left half-written in a folder.

    Those of this computer hold a lock as long as they live; what cannot be told so is removed when
    it is a day old.
    """
    for entry in list(os.scandir(folder)) if os.path.isdir(folder) else ():
        if not _STAGED.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        lock = _lock(entry.path)
        with contextlib.suppress(FileNotFoundError):
            if lock is not None or time.time() - entry.stat().st_mtime > _OLD_SECS:
                shutil.rmtree(entry.path, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(folder):
    """A new hidden folder and its lock, None where there are no locks."""
    while True:
        path = folder / f".{secrets.token_hex(6)}.part"
        path.mkdir()
        lock = _lock(path)
        if path.exists():  # else another process took it for left behind before it had its lock
            return path, lock
        if lock is not None:
            os.close(lock)


def _lock(path):
    """An open file that locks a folder, None if it cannot be locked."""
    if fcntl is None:
        return None
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def lock(file):
    """Waits until no other process holds a lock on an open file; where there are no locks, not."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def written_whole(path):
    """A path to write to instead, which takes the place of `path` when the block has ended.

    It lies in a hidden folder beside `path`, see `staging`. An error in the block removes it and
    leaves `path` as it was; a killed process may leave it behind, but nothing half-written under
    `path`.

    Args:
        path: The file's path; its folder is made.

    Yields:
        `pathlib.Path` at which the block makes a file. Its ending is not that of `path`: libraries
        that choose a format by it have to be told.

    Raises:
        UnwritableError: See `staging`.
    """
    path = pathlib.Path(path)
    with staging(path.parent) as folder:
        yield folder / "file"
        publish(folder / "file", path)


@contextlib.contextmanager
def folder_written_whole(path):
    """As `written_whole` for a folder, made empty with those above it; replaces one of its name."""
    path = pathlib.Path(path)
    with staging(path.parent) as folder:
        (folder / "folder").mkdir()
        yield folder / "folder"
        for file in (folder / "folder").rglob("*"):
            _flush(file)
        if path.is_dir() and not path.is_symlink():
            os.replace(path, folder / "replaced")
        publish(folder / "folder", path)


def is_partial(name):
    """Whether a name is of what is being written (`training.checkpoints` too), or of a lock."""
    return name.startswith(".partial") or name.endswith((".part", ".lock"))


def publish(partial, path):
    """Gives what is finished its name, at once and for good."""
    _flush(partial)
    os.replace(partial, path)


def _flush(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def cache_folder(name):
    """A folder that is kept: in $STYLE_TRANSFER_CACHE, else in the user's folder of caches."""
    home = os.environ.get(CACHE_VARIABLE) or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "style_transfer")
    return pathlib.Path(home) / name


def walk(root):
    """Paths of all files under a folder, sorted; no hidden ones, which are programs' own.

    Links to folders are followed, but no folder is visited twice.
    """
    seen, found = set(), []
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def find(patterns, suffixes, expected, outputs=None):
    """Files named by paths, folders (searched recursively) and globs, in order, each once.

    Args:
        patterns: Paths, folders and globs.
        suffixes: Endings, in lower case, of the files that count in a folder.
        expected: What the files are, for the error: `a MIDI file`.
        outputs: Folder whose files are left out of the folders around it, since an earlier run
            wrote them.

    Raises:
        FileNotFoundError: One of them names nothing.
    """
    outputs = outputs and pathlib.Path(outputs).resolve()
    found = []
    for pattern in patterns:
        if os.path.isdir(pattern):
            paths = [path for path in walk(pattern)
                     if path.lower().endswith(tuple(suffixes)) and os.path.isfile(path)
                     and not _written(path, outputs, pattern)]
        elif os.path.exists(pattern):
            paths = [pattern]
        else:
            paths = sorted(glob.glob(pattern, recursive=True))
        if not paths:
            raise FileNotFoundError(f"There is nothing at {pattern!r}: expected {expected}, a "
                                    "folder of them, or a glob.")
        found += paths
    return list(dict.fromkeys(found))


def _written(path, outputs, searched):
    """Whether a run wrote `path` into a folder of its own within the one searched."""
    if outputs is None or outputs == pathlib.Path(searched).resolve():
        return False
    return outputs in pathlib.Path(path).resolve().parents


def check_folder(path):
    """Checks that results can go to a folder.

    Raises:
        UnwritableError: Nobody may write there.
        ValueError: A file is in the way.
    """
    parts = (pathlib.Path(path), *pathlib.Path(path).absolute().parents)
    for part in parts:
        if part.exists() and not part.is_dir():
            raise ValueError(f"Results cannot go to {str(path)!r}: {part} is a file. Give another "
                             "folder.")
    there = next(part for part in parts if part.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise UnwritableError(f"Results cannot go to {str(path)!r}: nothing may be written into "
                              f"{str(there)!r}. Choose another folder, or change who may use it.")
