"""Which files a batch reads and writes, how it went, and writing them whole or not at all."""

import contextlib
import dataclasses
import glob
import os
import pathlib
import secrets
import shutil
import time


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


@contextlib.contextmanager
def written_whole(path):
    """A path to write to instead, which takes the place of `path` when the block has ended.

    It lies beside `path`, so that both are on one disk, under a short hidden name, which a file
    system takes whatever `path` is called. An error in the block removes it and leaves `path` as it
    was; a killed process may leave it behind, but nothing half-written under `path`.

    Args:
        path: The file's path; its folder exists.

    Yields:
        `pathlib.Path` at which the block makes a file. Its ending is not that of `path`: libraries
        that choose a format by it have to be told.
    """
    path = pathlib.Path(path)
    partial = _beside(path)
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_written_whole(path):
    """As `written_whole` for a folder, made empty with those above it; replaces one of its name."""
    path = pathlib.Path(path)
    partial = _beside(path)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _beside(path):
    return path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part")


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
            paths = sorted(path for path in glob.glob(
                os.path.join(glob.escape(pattern), "**", "*"), recursive=True)
                if path.lower().endswith(tuple(suffixes)) and os.path.isfile(path)
                and not _written(path, outputs, pattern))
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
    """Raises ValueError if results cannot go to `path`, since a file is in the way."""
    for part in (pathlib.Path(path), *pathlib.Path(path).parents):
        if part.exists() and not part.is_dir():
            raise ValueError(f"Results cannot go to {str(path)!r}: {part} is a file. Give another "
                             "folder.")


def targets(paths, folder, suffix, *others, keep=()):
    """An output for each input, named as it is; inputs of the same name get numbers.

    An output that would replace one of the inputs, or of `keep`, gets a number as well.

    Args:
        paths: Inputs.
        folder: Where the outputs go.
        suffix: Ending of the outputs, with its dot.
        *others: Endings of what is written beside them.
        keep: Other files that are read, or None.

    Returns:
        List of `pathlib.Path`.
    """
    folder = pathlib.Path(folder)
    inputs = {pathlib.Path(path).resolve() for path in (*paths, *filter(None, keep))}
    used, found = set(), []
    for path in paths:
        stem, number = pathlib.Path(path).stem, 1
        name = stem
        while name in used or any((folder / f"{name}{end}").resolve() in inputs
                                  for end in (suffix, *others)):
            number += 1
            name = f"{stem}-{number}"
        used.add(name)
        found.append(folder / f"{name}{suffix}")
    return found


def to_make(paths, targets, others, overwrite, summary, report):
    """Inputs whose outputs are to be made, with these: those that exist are kept.

    Args:
        paths: Inputs.
        targets: From `targets`.
        others: Endings of what is written beside them; what lies there without its target is
            somebody else's, and the piece is skipped.
        overwrite: Whether all are made.
        summary: `Summary` in which what is kept and skipped is counted.
        report: Called with a line of text for these.

    Returns:
        List of `(path, target)`.
    """
    found = []
    for path, target in zip(paths, targets, strict=True):
        foreign = [target.with_suffix(end) for end in others if target.with_suffix(end).exists()]
        if overwrite or not (target.exists() or foreign):
            found.append((path, target))
        elif target.exists():
            report(f"{target} is there already, kept (use --overwrite to make it again)")
            summary.kept += 1
        else:
            report(f"skipped {path}: {foreign[0]} is there already, but no {target.name}: use "
                   "--overwrite to replace it, or another folder")
            summary.skipped += 1
    return found
