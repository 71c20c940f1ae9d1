"""Finding pairs of audio and MIDI in the layouts that data sets come in."""

import csv
import dataclasses
import io
import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.midi import load
from style_transfer.midi.load import MIDI_SUFFIXES
from style_transfer.pipelines import files
from style_transfer.pipelines.records import examples

AUDIO_SUFFIXES = (".flac", ".wav", ".ogg", ".mp3")  # where one take has several: the best first
LAYOUTS = ("rendered", "maestro", "smd", "folder")
_MAESTRO_SPLITS = {"train": "train", "validation": "eval", "test": "test"}
_SMD_NAME = re.compile(r"(?P<piece>.+?)_(?P<take>\d{3}_\d{8})(-SMD)?$")


@dataclasses.dataclass(frozen=True)
class Pair:
    """A recording and its MIDI, with what the data set says of them.

    Attributes:
        audio_path: Path or URL of the recording.
        midi_path: Path or URL of its MIDI.
        id: Unique name in the data set.
        timbre_id: Name of the piano.
        piece_id: Name of the music; the same for all performances and renderings of it.
        split: `train`, `eval` or `test` if the data set has its own split, else None.
    """

    audio_path: str
    midi_path: str
    id: str
    timbre_id: str
    piece_id: str
    split: str | None = None

    def read(self, sample_rate: int):
        """Reads both.

        Args:
            sample_rate: Hz.

        Returns:
            The NoteSequence and the `Audio`.

        Raises:
            ValueError: A file is damaged, or there are no notes.
        """
        sequence = load.load(files.read_bytes(self.midi_path), warn=load.refuse)
        # Before the audio, which takes longer to read.
        examples.check_notes(piano_roll.note_table(sequence))
        return sequence, audio_lib.load(files.read_bytes(self.audio_path), sample_rate)


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        layout: One of `LAYOUTS`.
        pairs: What can be read, sorted by id: `Pair`s, or what is like them.
        problems: `(name, reason)` of what should be a pair but is not.
    """

    layout: str
    pairs: list
    problems: list[tuple[str, str]]


def find_pairs(
    root: str,
    layout: str = "auto",
    timbre_id: str | None = None,
    piece_pattern: str | None = None,
) -> Listing:
    """Lists the pairs of audio and MIDI files under a folder.

    Args:
        root: The data set's folder, a path or URL.
        layout: One of `LAYOUTS`, or `auto` to recognise it by its files.
        timbre_id: Names the piano of all pairs; by default the layout says which it is: the
            manifest (rendered), the year (MAESTRO), the one piano of SMD, the first folder's name.
        piece_pattern: Regular expression searched in each pair's id; what its first group (or
            else the whole) matches is the piece. By default the layout says which it is.

    Returns:
        A `Listing`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The layout is unknown or not there, the pattern is no regular expression, or
            two pairs have the same id.
    """
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"Unknown layout {layout!r}: expected auto, {', '.join(LAYOUTS)}.")
    names = files.list_files(root)
    tables = _tables(root, names)
    if layout == "auto":
        layout = _recognise(names, tables)
    if layout in ("rendered", "maestro") and not tables[layout]:
        expected = {"rendered": "manifest (.jsonl with timbre_id)",
                    "maestro": "CSV or JSON with audio_filename and midi_filename"}[layout]
        raise ValueError(f"{root} has no {expected}, so it is no {layout} data set.")
    reader = {"rendered": _read_rendered, "maestro": _read_maestro, "smd": _read_smd,
              "folder": _read_folder}[layout]
    pairs, problems = reader(root, names, tables.get(layout))
    pairs = [named(pair, timbre_id, piece_pattern) for pair in pairs]
    _check_unique(pairs)
    return Listing(layout, sorted(pairs, key=lambda pair: pair.id), sorted(problems))


def named(pair, timbre_id: str | None, piece_pattern: str | None):
    """The pair with other names; arguments and errors as for `find_pairs`."""
    changes = {"timbre_id": timbre_id} if timbre_id else {}
    if piece_pattern:
        try:
            match = re.search(piece_pattern, pair.id)
        except re.error as error:
            raise ValueError(f"--piece_pattern={piece_pattern!r}: {error}.") from error
        if match:
            changes["piece_id"] = match.group(1) if match.groups() else match.group()
    return dataclasses.replace(pair, **changes)


def _check_unique(pairs):
    seen = {}
    for pair in pairs:
        if pair.id in seen:
            raise ValueError(f"Two pairs are called {pair.id!r}: {seen[pair.id]} and "
                             f"{pair.audio_path}. Rename or remove one.")
        seen[pair.id] = pair.audio_path


def _recognise(names, tables):
    for layout in ("rendered", "maestro"):
        if tables[layout]:
            return layout
    stems = [_stem(name) for name in names if _has(name, MIDI_SUFFIXES)]
    smd = sum(bool(_SMD_NAME.match(posixpath.basename(stem))) for stem in stems)
    return "smd" if smd and smd >= len(stems) / 2 else "folder"


def _tables(root, names):
    """Rows of the manifests or tables of the layouts that have one, `{}` paths without rows."""
    found = {"rendered": [], "maestro": []}
    for name in names:
        suffix = posixpath.splitext(name)[1].lower()
        if suffix == ".jsonl":
            rows = _json_lines(files.read_bytes(files.join(root, name)))
            if rows and all("timbre_id" in row for row in rows):
                found["rendered"].append((name, rows))
        elif suffix in (".csv", ".json") and "/" not in name:
            rows = _table_rows(files.read_bytes(files.join(root, name)), suffix)
            if rows and {"audio_filename", "midi_filename"} <= rows[0].keys():
                found["maestro"].append((name, rows))
    return found


def _json_lines(data):
    try:
        rows = [json.loads(line) for line in data.decode().splitlines() if line.strip()]
    except (UnicodeDecodeError, json.JSONDecodeError):
        return []
    return rows if all(isinstance(row, dict) for row in rows) else []


def _table_rows(data: bytes, suffix: str) -> list[dict]:
    """Rows of a CSV, of a JSON list of rows (MAESTRO v1, v2), or of JSON columns (v3)."""
    try:
        text = data.decode("utf-8-sig")
        if suffix == ".csv":
            return list(csv.DictReader(io.StringIO(text)))
        content = json.loads(text)
    except (UnicodeDecodeError, ValueError, csv.Error):
        return []
    if isinstance(content, Mapping):
        columns = {k: v for k, v in content.items() if isinstance(v, Mapping)}
        keys = columns.get("audio_filename", {})
        content = [{k: v.get(key) for k, v in columns.items()} for key in keys]
    return [row for row in content if isinstance(row, dict)] if isinstance(content, list) else []


def _read_rendered(root, names, tables):
    """Rows of `render_performances`: audio beside the manifest, MIDI of the same name."""
    present, pairs, problems = set(names), {}, []
    for manifest, rows in tables:
        folder = posixpath.dirname(manifest)
        for row in rows:
            audio = _rendered_audio(row, folder)
            midi = posixpath.join(folder, row["midi"]) if row.get("midi") else (
                _stem(audio) + ".mid")
            missing = [name for name in (audio, midi) if name not in present]
            if missing:
                problems.append((audio, f"{manifest} names {missing[0]}, which is not there"))
                continue
            name = posixpath.basename(_stem(audio))
            pairs[audio] = Pair(
                files.join(root, audio), files.join(root, midi), _stem(audio), row["timbre_id"],
                _text(row.get("piece_id") or name),
                row.get("split") if row.get("split") in _MAESTRO_SPLITS.values() else None)
    return list(pairs.values()), problems


def _rendered_audio(row, folder):
    for key in ("audio", "audio_path", "audio_filename"):
        if row.get(key):
            return posixpath.normpath(posixpath.join(folder, row[key]))
    if not row.get("name"):
        raise ValueError(f"A row of a rendering manifest names no audio: {row}. Render again.")
    return posixpath.normpath(posixpath.join(folder, row["timbre_id"], f"{row['name']}.flac"))


def _read_maestro(root, names, tables):
    """Google's MAESTRO, v1 to v3: a CSV and a JSON of the same rows, files in folders by year."""
    table, rows = sorted(tables, key=lambda item: (item[0].endswith(".csv"), item[0]))[-1]
    present, pairs, problems = set(names), [], []
    for row in rows:
        audio, midi, split = (_text(row.get(key)) for key in
                              ("audio_filename", "midi_filename", "split"))
        missing = [name for name in (audio, midi) if name not in present]
        if missing:
            problems.append((audio, f"{table} names {missing[0]}, which is not there"))
            continue
        if split not in _MAESTRO_SPLITS:
            problems.append((audio, f"{table} gives the split {split!r}, expected one of "
                             f"{', '.join(_MAESTRO_SPLITS)}"))
            continue
        piece = [_text(row.get(key)) for key in ("canonical_composer", "canonical_title")]
        pairs.append(Pair(
            files.join(root, audio), files.join(root, midi), _stem(audio),
            f"maestro_{_text(row.get('year')) or posixpath.dirname(audio)}",
            " | ".join(" ".join(text.lower().split()) for text in piece) if piece[1]
            else _stem(audio),
            _MAESTRO_SPLITS[split]))
    return pairs, problems


def _read_smd(root, names, _):
    """Saarland Music Data: `<composer>_<work>_<performer>_<date>-SMD`, all on one Disklavier."""
    takes, problems = _match_stems(names)
    pairs = []
    for audio, midi in takes:
        name = posixpath.basename(_stem(midi))
        match = _SMD_NAME.match(name)
        pairs.append(Pair(files.join(root, audio), files.join(root, midi), name, "smd",
                          match["piece"] if match else name))
    return pairs, problems


def _read_folder(root, names, _):
    """Audio and MIDI files of the same name; the first folder names the piano."""
    takes, problems = _match_stems(names)
    whole = posixpath.basename(root.replace("\\", "/").rstrip("/")) or "piano"
    pairs = []
    for audio, midi in takes:
        beside = posixpath.dirname(audio) == posixpath.dirname(midi)
        timbre = audio.split("/")[0] if beside and "/" in audio else whole
        pairs.append(Pair(files.join(root, audio), files.join(root, midi), _stem(audio), timbre,
                          posixpath.basename(_stem(midi))))
    return pairs, problems


def _match_stems(names: Iterable[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """`(audio, midi)` of equal names, in one folder or, where that is unambiguous, in different."""
    audio, by_name = defaultdict(list), defaultdict(list)
    for name in names:
        if _has(name, AUDIO_SUFFIXES):
            audio[_stem(name)].append(name)
            by_name[posixpath.basename(_stem(name))].append(name)
    midis = [name for name in names if _has(name, MIDI_SUFFIXES)]
    count = defaultdict(int)
    for name in midis:
        count[posixpath.basename(_stem(name))] += 1
    takes, problems, used = [], [], set()
    for midi in midis:
        stem = _stem(midi)
        name = posixpath.basename(stem)
        found = audio[stem] if stem in audio else by_name[name] if count[name] == 1 else []
        if not found:
            problems.append((midi, "there is no audio file of this name"))
            continue
        best = min(found, key=lambda n: (_rank(n), n))
        takes.append((best, midi))
        used.update(_stem(name) for name in found)
    problems += [(found[0], "there is no MIDI file of this name")
                 for stem, found in audio.items() if stem not in used]
    return takes, problems


def _rank(name):
    return AUDIO_SUFFIXES.index(posixpath.splitext(name)[1].lower())


def _stem(name):
    return posixpath.splitext(name)[0]


def _has(name, suffixes):
    return posixpath.splitext(name)[1].lower() in suffixes


def _text(value):
    return "" if value is None else str(value)
