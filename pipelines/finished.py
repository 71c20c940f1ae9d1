"""What earlier runs have finished, so that a run that was stopped goes on where it was."""

import dataclasses
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable

import style_transfer
from style_transfer import files as whole_files
from style_transfer.pipelines import files

FLUSH_SECS = 2.0  # what was made since the last flush is made again after a kill
ROWS_SUFFIX = ".rows.json"


def rows(path: str, fingerprint: str, work: Callable[[], list[dict]]) -> list[dict]:
    """Rows of work that is done unless an earlier run has finished it.

    Args:
        path: Path or URL of what the work writes. Its rows are kept beside it.
        fingerprint: Of all that decides it, `fingerprint_of`.
        work: Writes that under its name and gives the rows, which JSON can hold.
    """
    if files.exists(path + ROWS_SUFFIX):
        made = json.loads(files.read_bytes(path + ROWS_SUFFIX))
        if made["of"] == fingerprint:
            return made["rows"]
    found = work()
    with files.create_whole(path + ROWS_SUFFIX) as file:
        file.write(json.dumps({"of": fingerprint, "rows": found}).encode())
    return found


def fingerprint_of(*values) -> str:
    """A hash of values, of this program's version, and of the size and time of files they name.

    Args:
        *values: Dataclasses, texts, numbers, and lists, tuples and dicts of them.
    """
    found = [style_transfer.__version__, *map(repr, values)]
    for path in _texts(values):
        if os.path.isfile(path):
            status = os.stat(path)
            found.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _texts(value):
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value):
        yield from _texts(list(vars(value).values()))
    elif isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def is_running(process_id: str) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(int(process_id), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


class Progress:
    """A file that grows with each of many inputs, and a second one beside it; a context manager.

    Both lie under hidden names beside the output until `publish`. Inputs are worked on in one
    order, so that what is finished is a beginning of it: a line of a ledger for each input says
    how long both are with it.

    Args:
        output_file: What is made.
        second_suffix: Ending of the second file's name.
        settings: What decides what is made, beside the inputs; see `fingerprint_of`.

    Raises:
        ValueError: Another process is making the same file.
    """

    def __init__(self, output_file, second_suffix, settings):
        folder, name = os.path.split(os.path.abspath(output_file))
        os.makedirs(folder, exist_ok=True)
        hidden = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        base = os.path.join(folder, f".{hidden}.progress")
        self._outputs = [output_file, output_file + second_suffix]
        self._paths, self._ledger_path = [f"{base}.1", f"{base}.2"], base
        self._of = fingerprint_of(settings)

    def __enter__(self):
        self._ledger = open(self._ledger_path, "a+b")
        try:
            fcntl.flock(self._ledger, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._ledger.close()
            raise ValueError(f"{self._outputs[0]!r} is being made by another process: wait for "
                             "it, or choose another name.") from error
        self._files = [open(path, "ab") for path in self._paths]
        self._ledger.seek(0)
        self._entries = self._read()
        self._num_kept, self._pending, self._flushed = 0, [], time.monotonic()
        self._is_kept = True
        return self

    def _read(self):
        """The ledger's entries up to the first that is damaged or says more than is there."""
        entries, place = [], 0
        for number, line in enumerate(self._ledger):
            try:
                entry = json.loads(line)
                if number == 0:
                    if entry["of"] != self._of:
                        break
                    self._begin = len(line)
                    place = len(line)
                    continue
                if any(end > file.tell() for end, file in
                       zip(entry["ends"], self._files, strict=True)):
                    break
            except (ValueError, KeyError, TypeError):
                break
            place += len(line)
            entries.append((entry, place))
        if not place:
            self._cut(0, [0, 0])
            self._begin = self._ledger.write(json.dumps({"of": self._of}).encode() + b"\n")
            self._ledger.flush()
        return entries

    def _cut(self, place, ends):
        self._ledger.truncate(place)
        for file, end in zip(self._files, ends, strict=True):
            file.truncate(end)
            file.seek(end)

    def kept(self, name, path):
        """What an earlier run made of the next input: `(first, second, failure)`, or None.

        After None the rest of what it made is forgotten.

        Args:
            name: The input's name.
            path: Its path.
        """
        if self._num_kept < len(self._entries):
            entry, _ = self._entries[self._num_kept]
            if entry["name"] == name and entry["stamp"] == _stamp(path):
                self._num_kept += 1
                return *entry["counts"], entry["failure"] and tuple(entry["failure"])
        return None

    def add(self, name, path, first, second, failure=None):
        """Appends what was made of an input.

        Args:
            name: The input's name.
            path: Its path.
            first: Pieces of bytes for the first file.
            second: The same for the second.
            failure: Reason and detail, texts, if there is nothing.
        """
        if self._is_kept:
            entry, place = (self._entries[self._num_kept - 1] if self._num_kept
                            else ({"ends": [0, 0]}, self._begin))
            self._cut(place, entry["ends"])
            self._is_kept = False
        for file, parts in zip(self._files, (first, second), strict=True):
            file.writelines(parts)
        self._pending.append({"name": name, "stamp": _stamp(path), "failure": failure,
                              "counts": [len(first), len(second)],
                              "ends": [file.tell() for file in self._files]})
        if time.monotonic() - self._flushed > FLUSH_SECS:
            self._flush()

    def _flush(self):
        for file in self._files:
            file.flush()
        self._ledger.seek(0, os.SEEK_END)
        self._ledger.writelines(json.dumps(entry).encode() + b"\n" for entry in self._pending)
        self._ledger.flush()
        self._pending, self._flushed = [], time.monotonic()

    def publish(self, with_second):
        """Gives the files their names: the second first, so that no output stands without it."""
        for file in self._files:
            file.flush()
        if with_second:
            whole_files.publish(self._paths[1], self._outputs[1])
        elif os.path.exists(self._outputs[1]):
            os.remove(self._outputs[1])
        whole_files.publish(self._paths[0], self._outputs[0])
        self.remove()

    def remove(self):
        """Forgets all."""
        self._pending = []
        for path in (*self._paths, self._ledger_path):
            if os.path.exists(path):
                os.remove(path)

    def __exit__(self, *error):
        if self._pending:
            self._flush()
        for file in (*self._files, self._ledger):
            file.close()


def _stamp(path):
    """Size and time of a file; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
