"""Which files the results of a command take: one place for all of them.

No command replaces what it did not make, and none of its results replaces another. What it made is
known by a hidden ledger beside it: a line for each file, with what it was made of. Each part of a
job array (`job_arrays.Shard`) has a ledger of its own, and all of them are read.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import pathlib
import unicodedata

import style_transfer
from style_transfer import files
from style_transfer.job_arrays import WHOLE, Shard

LEDGER = ".style_transfer.jsonl"
_LEDGERS = ".style_transfer*.jsonl"
_MAX_NAME_BYTES = 255
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Place:
    """The files that one result takes.

    Attributes:
        folder: Where they are.
        stem: What their names begin with.
        suffixes: What they end with, the one that is published last first.
        recipe: What they are made of, see `recipe`.
        is_kept: Whether they are all there already, made of the same.
        ledger: Name of the ledger that takes them.
    """

    folder: pathlib.Path
    stem: str
    suffixes: tuple[str, ...]
    recipe: str
    is_kept: bool
    ledger: str = LEDGER

    @property
    def paths(self):
        """The files, in the order of `suffixes`."""
        return [self.folder / f"{self.stem}{suffix}" for suffix in self.suffixes]

    def __str__(self):
        return str(self.paths[0])

    @contextlib.contextmanager
    def published(self):
        """Gives the first file's path in a hidden folder; what is there in the end is published.

        The others are written beside it, under the names that they will have. They appear one after
        the other, the first file last, and are in the ledger before: a killed process leaves
        nothing that the next one would take for somebody else's.

        Raises:
            FileNotFoundError: The first file has not been written.
            files.UnwritableError: See `files.staging`.
        """
        with files.staging(self.folder) as staged:
            yield staged / self.paths[0].name
            made = [path.name for path in self.paths if (staged / path.name).exists()]
            if self.paths[0].name not in made:
                raise FileNotFoundError(f"{self.paths[0].name} has not been written.")
            note(self.folder, [staged / name for name in made], self.recipe, self.ledger)
            for name in reversed(made):
                files.publish(staged / name, self.folder / name)


class Outputs:
    """Decides which files the results of one run take in a folder.

    Args:
        folder: Where they go.
        overwrite: Whether what has their names already is replaced, whoever made it.
        reads: Files that the run reads, or None: they are never replaced.
        shard: Which part of a job array the run is. The others may write into the folder meanwhile:
            results have the names that one run of all would give them.
    """

    def __init__(self, folder, overwrite=False, reads=(), shard=WHOLE):
        self.folder, self.overwrite, self.shard = pathlib.Path(folder), overwrite, shard
        self._reads = {os.path.realpath(path) for path in reads if path}
        self._ledger = _Ledger(self.folder)
        self._taken = set()

    @classmethod
    def of(cls, options, reads):
        """Those of an `options.BatchOptions`, or what has its fields."""
        return cls(options.output_dir, options.overwrite, reads, Shard.parse(options.shard))

    def place(self, name, suffixes, made_of, piano=None):
        """The files of one result.

        Where results of the same recipe were begun or made before, these; else files that nobody
        has: `NAME`, `NAME-PIANO`, `NAME-2` and so on.

        Args:
            name: What its files are called if the name is free.
            suffixes: What they end with, the main file's first.
            made_of: Its recipe, see `recipe`.
            piano: Name of the piano that it is played on, if it is.

        Returns:
            A `Place`, which no other result of this run gets.
        """
        suffixes = tuple(suffixes)
        made_of = _digest_of([name, made_of])
        longest = max(len(os.fsencode(suffix)) for suffix in suffixes)
        if _key(_cut(name, "", longest)) in self._taken:
            piano = None  # by another piece, on the same piano
        for stem in itertools.chain(self._ledger.stems(made_of, suffixes),
                                    _stems(name, piano, longest)):
            found = Place(self.folder, stem, suffixes, made_of, False, self.shard.named(LEDGER))
            if (_key(stem) in self._taken
                    or any(os.path.realpath(path) in self._reads for path in found.paths)):
                continue
            there = [path for path in found.paths if os.path.lexists(path)]
            if self.overwrite or self._ledger.has_all(there, made_of):
                self._taken.add(_key(stem))
                return dataclasses.replace(found, is_kept=(
                    len(there) == len(suffixes) and not self.overwrite))
        raise AssertionError("names never end")

    def to_make(self, pieces, suffixes, summary, report, piano=None):
        """Pieces whose results are to be made; those that are there already are kept and named.

        Args:
            pieces: `(path, recipe)` of each piece of all parts of a job array, in one order.
            suffixes: See `place`.
            summary: The `files.Summary` in which what is read and kept is counted.
            report: Called with a line of text for these.
            piano: See `place`.

        Returns:
            List of `(path, Place)`.

        Raises:
            ValueError: A part of a job array would take results of others for pieces.
        """
        names = [(pathlib.Path(path).stem, made_of) for path, made_of in pieces]
        # Equal pieces go to one part: which of them has which name only order tells.
        ours = set(self.shard.of(list(dict.fromkeys(names))))
        summary.read = sum(name in ours for name in names)
        if self.shard != WHOLE and any(
                pathlib.Path(path).resolve().parent == self.folder.resolve() for path, _ in pieces):
            raise ValueError(f"Pieces of several jobs lie in {str(self.folder)!r}, where their "
                             "results would become pieces: give another --output_dir.")
        found = []
        for (path, made_of), (name, _) in zip(pieces, names, strict=True):
            place = self.place(name, suffixes, made_of, piano)
            if (name, made_of) not in ours:
                continue
            if place.is_kept:
                report(f"{place} is there already, kept (use --overwrite to make it again)")
                summary.kept += 1
            else:
                found.append((path, place))
        return found


def make(path, place, summary, report, write):
    """Makes the results of one piece; what is wrong with it is said, and others can go on.

    Args:
        path: The piece.
        place: Its `Place`.
        summary: The `files.Summary` in which it is counted.
        report: Called with a line of text.
        write: Called with the main file's path; writes there and beside, and may give what is said.

    Raises:
        files.UnwritableError: The folder or disk takes no files.
    """
    try:
        with place.published() as target:
            said = write(target)
    except (ValueError, OSError) as error:
        report(f"skipped {path}: {error}")
        summary.skipped += 1
        return
    summary.written += 1
    report(f"wrote {place}: {said}" if said else f"wrote {place}")


@contextlib.contextmanager
def named(path, overwrite=False, made_of=None):
    """A file of a name that the user chose: gives the path to write to, see `files.written_whole`.

    Raises:
        FileExistsError: See `check_named`.
    """
    path = pathlib.Path(path)
    check_named(path, overwrite, made_of)
    with files.staging(path.parent) as staged:
        yield staged / path.name
        note(path.parent, [staged / path.name], made_of or "")
        files.publish(staged / path.name, path)


def check_named(path, overwrite=False, made_of=None):
    """Raises FileExistsError if a file is there that is not to be replaced.

    Args:
        path: The file.
        overwrite: Whether it may be, whoever made it.
        made_of: What a file must be made of to be replaced; None for anything that was made here.
    """
    path = pathlib.Path(path)
    if overwrite or not os.path.lexists(path) or _Ledger(path.parent).has(path, made_of):
        return
    raise FileExistsError(f"{str(path)!r} is there already and holds something else. Choose "
                          "another name or folder, or --overwrite it.")


def recipe(options, *paths):
    """What results are made of, as a short text: equal for the same inputs and options.

    Args:
        options: A dataclass of options; those that do not count (see `options.option`) are left
            out. Files that they name count by what is in them.
        *paths: Files that are read beside, or None.
    """
    counted = {field.name: getattr(options, field.name)
               for field in dataclasses.fields(options) if field.metadata.get("counts", True)}
    return recipe_of(type(options).__name__, counted, *paths)


def recipe_of(*values):
    """As `recipe`, of values that JSON takes, paths or dataclasses of them."""
    return _digest_of([style_transfer.__version__, *map(_fingerprint, values)])


def recipes(options, paths, *more):
    """`(path, recipe)` of each piece of a batch."""
    whole = recipe(options, *more)
    return [(path, _digest_of([whole, _fingerprint(path)])) for path in paths]


def _fingerprint(value):
    """A value as JSON takes it; a file by its bytes, a folder by its files' sizes and times."""
    if dataclasses.is_dataclass(value):
        return {field.name: _fingerprint(getattr(value, field.name))
                for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _fingerprint(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fingerprint(item) for item in value]
    if isinstance(value, (str, os.PathLike)):
        if os.path.isfile(value):
            status = os.stat(value)
            return _digest_once(os.path.abspath(value), status.st_size, status.st_mtime_ns)
        if os.path.isdir(value):
            return [[os.path.relpath(path, value), os.stat(path).st_size, os.stat(path).st_mtime_ns]
                    for path in files.walk(value)]
        return os.fspath(value)
    return float(value) if type(value) is int else value  # 2 s are 2.0 s


@functools.lru_cache(1024)
def _digest_once(path, *unchanged):
    """`_digest`, once for a soundfont that plays thousands of pieces."""
    del unchanged
    return _digest(path)


def _digest(path):
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _digest_of(value):
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def _key(stem):
    """Equal for names that some file systems take for one."""
    return unicodedata.normalize("NFC", stem).casefold()


def _stems(name, piano, suffix_bytes):
    """Names to try, cut so that a disk takes them."""
    yield _cut(name, "", suffix_bytes)
    if piano and piano != name:
        yield _cut(name, f"-{piano}", suffix_bytes)
    number = 2
    while True:
        yield _cut(name, f"-{number}", suffix_bytes)
        number += 1


def _cut(name, end, suffix_bytes):
    end = _shortened(end, _MAX_NAME_BYTES // 3)
    return _shortened(name, _MAX_NAME_BYTES - suffix_bytes - len(os.fsencode(end))) + end


def _shortened(name, size):
    data = os.fsencode(name)
    return name if len(data) <= size else data[:size].decode(errors="ignore")


def note(folder, paths, made_of, ledger=LEDGER):
    """Remembers files, which are about to appear in a folder, as made by a command."""
    rows = [json.dumps({"file": path.name, "recipe": made_of, "bytes": path.stat().st_size,
                        "time": path.stat().st_mtime_ns, "digest": _digest(path)}) + "\n"
            for path in map(pathlib.Path, paths)]
    # Locked and in one write, so that lines of several processes do not mix (some file systems know
    # only one of these); what a killed one left is ended.
    with open(pathlib.Path(folder) / ledger, "a+b", buffering=0) as file:
        files.lock(file)
        file.seek(0, os.SEEK_END)
        is_torn = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            is_torn = file.read(1) != b"\n"
        file.write(("\n" * is_torn + "".join(rows)).encode())
        os.fsync(file.fileno())


class _Ledger:
    """What commands made in a folder, told by its ledgers."""

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._read()

    def _read(self):
        self._rows, self._names = {}, {}
        self._sizes = self._found()
        for path in self._sizes:
            for line in path.read_bytes().splitlines():
                try:
                    row = json.loads(line)
                    name, made_of = row["file"], row["recipe"]
                except (ValueError, TypeError, KeyError):  # of a process that was killed
                    continue
                self._rows.setdefault(name, []).append(row)
                self._names.setdefault(made_of, {})[name] = None

    def _found(self):
        """Ledgers and their sizes."""
        return {path: path.stat().st_size for path in sorted(self._folder.glob(_LEDGERS))
                if path.is_file()}

    def stems(self, made_of, suffixes):
        """Beginnings of the names of files that were made of something."""
        found = (name.removesuffix(suffix) for name in self._names.get(made_of, ())
                 for suffix in suffixes if name.endswith(suffix))
        return list(dict.fromkeys(found))

    def has_all(self, paths, made_of):
        """Whether all files were made of something, by another process meanwhile if need be."""
        if all(self.has(path, made_of) for path in paths):
            return True
        if self._sizes == self._found():
            return False
        self._read()  # files are in it before they appear
        return all(self.has(path, made_of) for path in paths)

    def has(self, path, made_of=None):
        """Whether a file is as it was made, of what is said; None for anything."""
        rows = [row for row in self._rows.get(path.name, ())
                if made_of is None or row["recipe"] == made_of]
        if not rows or not path.is_file():
            return False
        status = path.stat()
        rows = [row for row in rows if row.get("bytes") == status.st_size]
        if any(row.get("time") == status.st_mtime_ns for row in rows):
            return True
        return bool(rows) and _digest(path) in [row.get("digest") for row in rows]
