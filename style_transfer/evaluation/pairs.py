"""Pairs of content and piano whose true rendering is known.

A pair is a folder of four files that anything can read: `truth.flac` is `content.mid` on the
piano, `style.flac` is `style.mid`, an excerpt of another piece, on the same piano.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import zlib

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll

CONTENT_SECS, STYLE_SECS = 30.0, 10.0
LEAD_IN_SECS = 0.1
MINIMUM_NOTES_PER_SEC = 1.0
FILES = ("truth.flac", "content.mid", "style.flac", "style.mid")


@dataclasses.dataclass(frozen=True)
class Task:
    """What is played on each piano: an excerpt of one piece, and one of another as style."""

    name: str
    content: piano_roll.NoteTable
    style: piano_roll.NoteTable
    description: dict


@dataclasses.dataclass(frozen=True)
class Pair:
    """A folder with the four files of one piece on one piano; reads them when asked."""

    piano: str
    content: str
    folder: pathlib.Path

    @property
    def name(self):
        """Fit for a file name, unique among the pairs of a run."""
        return f"{self.piano}__{self.content}"

    @functools.cached_property
    def truth(self):
        """The content on this piano, an `Audio`."""
        return audio_lib.load(self.folder / "truth.flac")

    @functools.cached_property
    def style(self):
        """The style clip, an `Audio`."""
        return audio_lib.load(self.folder / "style.flac")

    @property
    def content_midi(self):
        """Path of the content."""
        return self.folder / "content.mid"

    @property
    def style_audio(self):
        """Path of the style clip."""
        return self.folder / "style.flac"

    @property
    def style_midi(self):
        """Path of the style clip's own notes."""
        return self.folder / "style.mid"

    @functools.cached_property
    def content_notes(self):
        """The content's `NoteTable`."""
        return piano_roll.note_table(piano_roll.load_midi(self.content_midi))

    @functools.cached_property
    def style_notes(self):
        """The style clip's `NoteTable`."""
        return piano_roll.note_table(piano_roll.load_midi(self.style_midi))

    def fingerprint(self):
        """Hash of the four files, hex."""
        return files_hash(self.folder / name for name in FILES)


def excerpt(table, start_secs, secs):
    """The notes struck within `secs` from `start_secs`, which becomes time 0.

    Notes that already sound are left out and pedals keep the position they have, so the excerpt
    played alone is the whole truth. Notes struck within it keep their length.
    """
    struck = (table.onset_secs >= start_secs) & (table.onset_secs < start_secs + secs)
    pedals = piano_roll.Pedals(*(_cut(curve, start_secs, start_secs + secs)
                                 for curve in table.pedals))
    return dataclasses.replace(table.select(struck), pedals=pedals).shift(-start_secs)


def choose_tasks(contents, content_secs=CONTENT_SECS, style_secs=STYLE_SECS, max_contents=None,
                 seed=0):
    """Excerpts to play: for each piece a random part of it, and a part of another piece as style.

    Args:
        contents: Name -> `NoteSequence`, at least two pieces. Of names with folders
            (`schumann/arabeske`) another folder is preferred for the style, as one folder may
            hold several performances of one piece.
        content_secs: Length of a content excerpt, seconds.
        style_secs: Length of a style clip, seconds.
        max_contents: Take only so many pieces (a random choice); None takes all.
        seed: Seed of all choices.

    Returns:
        A list of `Task`. The same seed and pieces give the same tasks.

    Raises:
        ValueError: There are fewer than two pieces, or one is empty.
    """
    if len(contents) < 2:
        raise ValueError(f"Evaluation needs at least two pieces, since a style clip plays other "
                         f"notes than the content; got {len(contents)}. Give more MIDI files.")
    tables = {name: piano_roll.note_table(sequence) for name, sequence in contents.items()}
    for name, table in tables.items():
        if not len(table):
            raise ValueError(f"{name} has no piano notes. Leave it out of --content.")
    rng = np.random.default_rng(seed)
    names = sorted(tables)
    if max_contents is not None and max_contents < len(names):
        names = sorted(rng.choice(names, max_contents, replace=False).tolist())
    return [_task(name, tables, content_secs, style_secs, seed) for name in names]


def prepare(tasks, render, piano, folder, sample_rate, content_secs=CONTENT_SECS,
            style_secs=STYLE_SECS):
    """Renders the tasks on one piano, one after another; what is there already is kept.

    Args:
        tasks: From `choose_tasks`.
        render: Callable `(note_sequence, sample_rate) -> Audio`, the piano.
        piano: Its name, fit for a folder's.
        folder: Where pair folders go: `folder/piano/task`.
        sample_rate: Rate of the renderings, samples per second.
        content_secs: Length that the content's audio is cut or padded to.
        style_secs: The same for style clips.

    Yields:
        Each `Pair`, and whether it had to be rendered.
    """
    for task in tasks:
        target = pathlib.Path(folder) / piano / task.name
        midi = {"content.mid": midi_bytes(task.content), "style.mid": midi_bytes(task.style)}
        conditions = {
            "piano": piano, "sample_rate": sample_rate, "content_secs": content_secs,
            "style_secs": style_secs, **task.description,
            "notes": {name: hashlib.sha256(data).hexdigest() for name, data in midi.items()}}
        fresh = _read_json(target / "pair.json") != conditions
        if fresh:
            with files.folder_written_whole(target) as partial:
                for name, data in midi.items():
                    (partial / name).write_bytes(data)
                _render_into(partial, midi, render, sample_rate, content_secs, style_secs)
                (partial / "pair.json").write_text(json.dumps(conditions, indent=1))
        yield Pair(piano, task.name, target), fresh


def render_notes(pair, render, piano, folder):
    """Plays a pair's content and style notes on another piano, once for all pairs of these notes.

    Args:
        pair: A `Pair`.
        render: Callable `(note_sequence, sample_rate) -> Audio`.
        piano: The other piano's name.
        folder: Where renderings go; `rendering` reads them.

    Returns:
        Whether it had to be rendered.
    """
    target = _rendering_folder(folder, piano, pair)
    if target.is_dir():
        return False
    midi = {name: (pair.folder / name).read_bytes() for name in ("content.mid", "style.mid")}
    with files.folder_written_whole(target) as partial:
        _render_into(partial, midi, render, pair.truth.sample_rate, pair.truth.duration_secs,
                     pair.style.duration_secs)
    return True


def rendering(pair, piano, folder, file="truth.flac"):
    """What `render_notes` rendered: the content, or with `style.flac` the style notes."""
    return audio_lib.load(_rendering_folder(folder, piano, pair) / file)


def find_pairs(folder):
    """All pairs under a folder, `folder/piano/content/{truth.flac,...}`, sorted.

    Raises:
        ValueError: There are none.
    """
    found = sorted(path.parent for path in pathlib.Path(folder).glob("*/*/truth.flac")
                   if all((path.parent / name).is_file() for name in FILES))
    if not found:
        raise ValueError(f"{folder} holds no pairs. Expected <piano>/<content>/ folders with "
                         f"{', '.join(FILES)}.")
    return [Pair(path.parent.name, path.name, path) for path in found]


def lasting(audio, secs):
    """`audio` cut or zero-padded to `secs`."""
    num_samples = round(secs * audio.sample_rate)
    samples = audio.samples[:num_samples]
    return audio_lib.Audio(np.pad(samples, (0, num_samples - len(samples))), audio.sample_rate)


def midi_bytes(table):
    """A MIDI file of a `NoteTable`."""
    import note_seq

    out = io.BytesIO()
    note_seq.midi_io.note_sequence_to_pretty_midi(piano_roll.to_sequence(table)).write(out)
    return out.getvalue()


def files_hash(paths):
    """SHA-256 over the contents of files in the given order, hex."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(pathlib.Path(path).read_bytes()).digest())
    return digest.hexdigest()


def _rendering_folder(folder, piano, pair):
    lengths = f"{pair.truth.sample_rate} {len(pair.truth.samples)} {pair.style.duration_secs:.6f}"
    digest = hashlib.sha256(lengths.encode())
    digest.update(files_hash([pair.content_midi, pair.style_midi]).encode())
    return pathlib.Path(folder) / piano / digest.hexdigest()[:16]


def _render_into(folder, midi, render, sample_rate, content_secs, style_secs):
    for kind, audio_name, secs in (("content.mid", "truth.flac", content_secs),
                                   ("style.mid", "style.flac", style_secs)):
        # Rendered as read back: MIDI rounds times to ticks.
        audio = render(piano_roll.load_midi(midi[kind]), sample_rate)
        audio_lib.save(folder / audio_name, lasting(audio, secs))


def _task(name, tables, content_secs, style_secs, seed):
    # Its own generator, so that a piece's excerpt does not depend on which others take part.
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    others = sorted(other for other in tables if other != name)
    elsewhere = [other for other in others
                 if os.path.dirname(other) != os.path.dirname(name)]
    style_name = str(rng.choice(elsewhere or others))
    starts = [_start(tables[name], content_secs, rng), _start(tables[style_name], style_secs, rng)]
    description = {"content": name, "content_start_secs": starts[0], "style": style_name,
                   "style_start_secs": starts[1]}
    return Task(name.replace("/", "-"), excerpt(tables[name], starts[0], content_secs),
                excerpt(tables[style_name], starts[1], style_secs), description)


def _start(table, secs, rng):
    """Shortly before a random onset after which enough is played (else where most is)."""
    onsets = table.onset_secs
    starts = onsets[onsets <= max(onsets[0], table.release_secs.max() - secs)]
    counts = np.searchsorted(onsets, starts + secs) - np.searchsorted(onsets, starts)
    busy = starts[counts >= min(MINIMUM_NOTES_PER_SEC * secs, counts.max())]
    return max(0.0, float(rng.choice(busy)) - LEAD_IN_SECS)


def _cut(curve, start_secs, end_secs):
    times, values = curve
    inside = (times >= start_secs) & (times < end_secs)
    before = values[times < start_secs][-1:]
    return (np.concatenate([np.full(len(before), start_secs), times[inside]]),
            np.concatenate([before, values[inside]]))


def _read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
