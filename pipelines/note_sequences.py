"""Music files to NoteSequence records: MIDI, MusicXML and ABC, as Magenta's converter makes them.

Source: magenta 2.1.4, `magenta/scripts/convert_dir_to_note_sequences.py`, to whose records
tests/parity/test_magenta_conversion.py holds this. It differs in three ways: files are converted in
sorted order whatever the file system's, ABC tunes are really converted (Magenta hands bytes to a
parser of text, fails and logs it), and a trailing slash does not empty the collection's name.
"""

import collections
import contextlib
import dataclasses
import functools
import hashlib
import logging
import os
import pathlib
import shutil
import zipfile
from collections.abc import Callable, Iterator

from style_transfer import remote
from style_transfer.job_arrays import WHOLE, Shard
from style_transfer.midi import proto_wire
from style_transfer.midi import reader as midi_reader
from style_transfer.midi.limits import ConversionLimits, UnreadableFileError
from style_transfer.midi.scores import abc_notation, musicxml
from style_transfer.pipelines import files, finished, isolated_workers
from style_transfer.pipelines.records import tfrecords

FORMAT_OF_EXTENSION = {
    ".mid": "midi",
    ".midi": "midi",
    ".kar": "midi",
    ".rmi": "midi",
    ".xml": "musicxml",
    ".musicxml": "musicxml",
    ".mxl": "musicxml",
    ".abc": "abc",
}
FORMATS = ("midi", "musicxml", "abc")
AS_PLAYED_SUFFIX = ".as_played"

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass
class ConversionReport:
    """What happened to the files of a directory.

    Attributes:
        read: Music files found.
        written: Files that gave at least one record.
        records: Records written; an ABC file may give several.
        skipped: Filename to reason, for files that gave none.
        ignored: Files that are no music, by extension.
        time_elsewhere: MIDI files whose tempo or meter stands outside their first track.
    """

    read: int = 0
    written: int = 0
    records: int = 0
    skipped: dict[str, UnreadableFileError] = dataclasses.field(default_factory=dict)
    ignored: int = 0
    time_elsewhere: int = 0

    def summary(self) -> str:
        """`N read, M written, K skipped`, and for what reasons."""
        lines = [f"{self.read} read, {self.written} written, {len(self.skipped)} skipped"]
        if self.records != self.written:
            lines[0] += f" ({self.records} records)"
        reasons = collections.Counter(error.reason for error in self.skipped.values())
        lines += [f"  {count} skipped: {reason}" for reason, count in reasons.most_common()]
        if self.ignored:
            lines.append(f"  {self.ignored} other files ignored")
        if self.time_elsewhere:
            lines.append(f"  {self.time_elsewhere} with tempo or meter outside the first track, "
                         "which Magenta's records leave out: they are as they are played in the "
                         f"file {AS_PLAYED_SUFFIX} beside, for data sets of symbolic models")
        return "\n".join(lines)


def sequence_id(filename: str, collection_name: str, source_type: str) -> str:
    """`/id/<type>/<collection>/<SHA-1 of filename>`.

    Args:
        filename: Path relative to the collection's root.
        collection_name: Name of the collection.
        source_type: "midi", "musicxml" or "abc".
    """
    fingerprint = hashlib.sha1(filename.encode("utf-8")).hexdigest()
    return f"/id/{source_type}/{collection_name}/{fingerprint}"


def collection_name(root_dir: str) -> str:
    """The root directory's own name."""
    return os.path.basename(os.path.normpath(root_dir))


def find_files(root_dir: str, recursive: bool = False) -> Iterator[str]:
    """Yields paths relative to `root_dir`: of each directory the files, then the subdirectories'.

    Sorted by name. Links to directories are followed, but no directory is visited twice.
    """
    seen = set()

    def visit(sub_dir):
        folder = os.path.join(root_dir, sub_dir)
        real = os.path.realpath(folder)
        if real in seen:
            return
        seen.add(real)
        sub_dirs = []
        for name in sorted(os.listdir(folder)):
            if os.path.isdir(os.path.join(folder, name)):
                sub_dirs.append(name)
            else:
                yield os.path.join(sub_dir, name)
        if recursive:
            for name in sub_dirs:
                yield from visit(os.path.join(sub_dir, name))

    yield from visit("")


def convert_file(
    filename: str, root_dir: str, limits: ConversionLimits | None = None, as_played: bool = False
) -> list[bytes]:
    """Converts one file to serialized NoteSequences.

    Args:
        filename: Path relative to `root_dir`, with an extension of `FORMAT_OF_EXTENSION`.
        root_dir: Root of the collection, after which it is named.
        limits: What the file may ask for.
        as_played: Whether to read it as it is played; otherwise as Magenta reads it.

    Returns:
        One serialized `NoteSequence`, or one for each tune of an ABC file.

    Raises:
        UnreadableFileError: The file is damaged or exceeds a limit.
    """
    limits = limits or ConversionLimits()
    path = os.path.join(root_dir, filename)
    collection = collection_name(root_dir)
    try:
        filename.encode("utf-8")
        size = os.path.getsize(path)
    except (OSError, UnicodeEncodeError) as error:
        raise UnreadableFileError("cannot be opened", str(error)) from error
    limits.check("file too large", size, "max_file_bytes")
    source_type = FORMAT_OF_EXTENSION[os.path.splitext(filename)[1].lower()]
    if source_type == "midi":
        with open(path, "rb") as file:
            body = midi_reader.serialized_note_sequence(file.read(), limits, played=as_played)
        name = sequence_id(filename, collection, source_type)
        fields = enumerate((name, filename, collection), start=1)
        return [b"".join(proto_wire.string_field(i, value) for i, value in fields) + body]
    if as_played:
        read = _played_musicxml if source_type == "musicxml" else _played_abc
    else:
        read = _read_musicxml if source_type == "musicxml" else _read_abc
    records = []
    for suffix, sequence in read(path, limits):
        abc_notation.check_sequence(sequence, limits)
        sequence.id = sequence_id(filename + suffix, collection, source_type)
        sequence.filename, sequence.collection_name = filename, collection
        records.append(sequence.SerializeToString())
    return records


def _played_musicxml(path, limits):
    with open(path, "rb") as file:
        return [("", musicxml.read(file.read(), limits))]


def _played_abc(path, limits):
    with open(path, "rb") as file:
        return [(f"_{number}", tune)
                for number, tune in abc_notation.read(file.read(), limits).items()]


def _read_musicxml(path, limits):
    from note_seq import musicxml_reader

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # zipfile never unpacks more than these sizes, so they can be trusted as a bound.
            unpacked = sum(entry.file_size for entry in archive.infolist())
        limits.check("archive unpacks to too much", unpacked, "max_file_bytes")
    try:
        return [("", musicxml_reader.musicxml_file_to_sequence_proto(path))]
    except MemoryError:
        raise
    except Exception as error:  # note_seq's parser lets many kinds through
        raise UnreadableFileError("not readable MusicXML", _describe(error)) from error


def _read_abc(path, limits):
    from note_seq import abc_parser

    with open(path, "rb") as file:
        text = abc_notation.decoded(file.read())
    try:
        tunes, errors = abc_parser.parse_abc_tunebook(text)
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadableFileError("not readable ABC", _describe(error)) from error
    if not tunes:
        detail = _describe(errors[0]) if errors else "it has no tune"
        raise UnreadableFileError("not readable ABC", detail)
    for fault in errors:
        _LOGGER.warning("%s: a tune was left out: %s", path, _describe(fault))
    return [(f"_{number}", tune) for number, tune in tunes.items()]


def _describe(error):
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _convert_to_frames(filename, root_dir, limits, as_played):
    """A file's records, and if Magenta's tell another time than is played, those that do not."""
    records = convert_file(filename, root_dir, limits, as_played)
    played = []
    is_midi = FORMAT_OF_EXTENSION[os.path.splitext(filename)[1].lower()] == "midi"
    if is_midi and not as_played:
        with open(os.path.join(root_dir, filename), "rb") as file:
            elsewhere = midi_reader.keeps_time_elsewhere(file.read())
        if elsewhere:
            with contextlib.suppress(UnreadableFileError):  # too long at its true tempo, say
                played = convert_file(filename, root_dir, limits, as_played=True)
    return [[tfrecords.frame(record) for record in some] for some in (records, played)]


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Records of a TFRecord file that follow each other.

    Attributes:
        path: The file.
        start: Byte at which the first of them begins.
        stop: Byte at which the last one ends.
        played_start: Byte of the file as it is played (`AS_PLAYED_SUFFIX`) from which on it has
            records of them.
    """

    path: str
    start: int = 0
    stop: int | None = None
    played_start: int = 0


def stretches(path: str, num_bytes: int) -> list[Stretch]:
    """Cuts a TFRecord file of NoteSequences for `read_as_played`, at about so many bytes each."""
    played: Iterator[tuple[int, bytes]] = iter(())
    if files.exists(path + AS_PLAYED_SUFFIX):
        played = tfrecords.scan(path + AS_PLAYED_SUFFIX, _ID_BYTES)
    following = next(played, None)
    cuts = []
    for start, head in tfrecords.scan(path, _ID_BYTES):
        if not cuts or start - cuts[-1][0] >= num_bytes:
            cuts.append((start, following[0] if following else 0))
        if following and _id_of(following[1]) == _id_of(head):
            following = next(played, None)
    stops = [start for start, _ in cuts[1:]] + [None]
    return [Stretch(path, start, stop, played_start)
            for (start, played_start), stop in zip(cuts, stops, strict=True)]


def read_as_played(source: str | Stretch) -> Iterator[bytes]:
    """Yields a TFRecord file's NoteSequences; where Magenta tells another time, as they are played.

    Args:
        source: A file that `convert_directory` wrote, or any other; path, URL, or a part of it.
    """
    part = Stretch(source) if isinstance(source, str) else source
    records = tfrecords.read_records(part.path, part.start, part.stop)
    if not files.exists(part.path + AS_PLAYED_SUFFIX):
        yield from records
        return
    # In the same order.
    played = tfrecords.read_records(part.path + AS_PLAYED_SUFFIX, part.played_start)
    following = next(played, None)
    for record in records:
        if following is not None and _id_of(following) == _id_of(record):
            record, following = following, next(played, None)
        yield record


_ID_BYTES = 4096  # more than the path of a file, of which an id is made


def _id_of(record):
    """The id with which a serialized NoteSequence begins, as bytes."""
    if record[:1] != b"\x0a":  # the tag of field 1, which serializers write first
        return b""
    length = place = shift = 0
    while shift < 35:
        place, byte = place + 1, record[place + 1]
        length, shift = length | (byte & 127) << shift, shift + 7
        if byte < 128:
            break
    return record[place + 1:place + 1 + length]


def check(root_dir: str, output_file: str, overwrite: bool) -> None:
    """Raises what `convert_directory` would raise before it looks into the directory."""
    if not os.path.isdir(root_dir):
        raise FileNotFoundError(f"There is no directory {root_dir!r} to convert.")
    if os.path.isdir(output_file):
        raise ValueError(f"The output file {output_file!r} is a directory.")
    if remote.exists(output_file) and not overwrite:
        raise ValueError(
            f"{output_file!r} exists already. Choose another name, or allow overwriting."
        )


def convert_directory(
    root_dir: str,
    output_file: str,
    recursive: bool = False,
    *,
    limits: ConversionLimits | None = None,
    formats: tuple[str, ...] = FORMATS,
    as_played: bool = False,
    num_workers: int | None = None,
    max_secs_per_file: float = 60.0,
    max_worker_bytes: int = 2 << 30,
    overwrite: bool = False,
    shard: Shard = WHOLE,
    on_file: Callable[[str, UnreadableFileError | None], None] | None = None,
) -> ConversionReport:
    """Converts the music files of a directory into one TFRecord file of NoteSequences.

    Files are read in separate processes; one that takes too long, asks for too much memory or kills
    its process is skipped like one that is damaged. The order of records is that of `find_files`.
    What a run that was stopped has converted is kept by the next of the same files and arguments.

    Args:
        root_dir: Directory; its name becomes the collection's.
        output_file: TFRecord file to write, a path or URL; it appears only when all is done.
        recursive: Whether to go into subdirectories.
        limits: What each file may ask for.
        formats: Which of `FORMATS` to convert; files of others are ignored.
        as_played: See `convert_file`.
        num_workers: Processes; all CPU cores by default.
        max_secs_per_file: Longest time for one file, seconds.
        max_worker_bytes: Memory that a process may take beyond what it starts with.
        overwrite: Whether an existing `output_file` may be replaced.
        shard: Which of the files to convert; `output_file` is named after it. The outputs of all,
            joined in order, are the output of one conversion.
        on_file: Called with every music file's name and, if it was skipped, the reason.

    Returns:
        What was done. If it has no records, nothing was written.

    Raises:
        FileNotFoundError: There is no directory `root_dir`.
        ValueError: `output_file` exists and `overwrite` is False.
    """
    output_file = shard.named(os.fspath(output_file))
    check(root_dir, output_file, overwrite)
    found = shard.stretch(list(find_files(root_dir, recursive)))
    filenames = [name for name in found
                 if FORMAT_OF_EXTENSION.get(os.path.splitext(name)[1].lower()) in formats]
    report = ConversionReport(len(filenames), ignored=len(found) - len(filenames))
    convert = functools.partial(
        _convert_to_frames,
        root_dir=root_dir,
        limits=limits or ConversionLimits(),
        as_played=as_played,
    )
    with (remote.written(output_file, [AS_PLAYED_SUFFIX]) as local_file,
          finished.Progress(local_file, AS_PLAYED_SUFFIX, (
            os.path.abspath(root_dir), limits or ConversionLimits(), as_played)) as progress):
        for filename in filenames:
            kept = progress.kept(filename, os.path.join(root_dir, filename))
            if kept is None:
                break
            _count(report, filename, *kept)
        left = filenames[report.written + len(report.skipped):]
        outcomes = isolated_workers.run(
            convert, left, num_workers, max_secs_per_file, max_worker_bytes)
        try:
            for filename, outcome in zip(left, outcomes, strict=True):
                records, played, failure = [], [], None
                if isinstance(outcome, isolated_workers.Failure):
                    failure = (outcome.reason, outcome.detail)
                else:
                    records, played = outcome
                progress.add(filename, os.path.join(root_dir, filename), records, played, failure)
                _count(report, filename, len(records), len(played), failure)
                if on_file:
                    on_file(filename, report.skipped.get(filename))
        finally:
            outcomes.close()
        if report.records:
            progress.publish(with_second=bool(report.time_elsewhere))
        else:
            progress.remove()
    return report


def join(part_files: list[str], output_file: str) -> None:
    """Makes the outputs of all parts of a conversion one file.

    Args:
        part_files: Paths or URLs, in order; parts without records have none.
        output_file: What one conversion of all would write, a path or URL.
    """
    with remote.written(output_file, [AS_PLAYED_SUFFIX]) as local_file:
        for suffix in (AS_PLAYED_SUFFIX, ""):  # so that no output stands without the former
            found = [path + suffix for path in part_files if files.exists(path + suffix)]
            if not found:
                pathlib.Path(local_file + suffix).unlink(missing_ok=True)
                continue
            with files.create_whole(local_file + suffix) as joined:
                for path in found:
                    with files.open_bytes(path) as file:
                        shutil.copyfileobj(file, joined)


def _count(report, filename, records, played, failure):
    """Adds a file to the report."""
    if failure:
        report.skipped[filename] = UnreadableFileError(*failure)
        return
    report.records += records
    report.time_elsewhere += played
    report.written += 1
