"""Renders many performances on many pianos: parallel, restartable, one bad file harms no other."""

import concurrent.futures
import concurrent.futures.process
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Callable

from style_transfer import audio as audio_lib
from style_transfer import files, processes, remote
from style_transfer import outputs as outputs_lib
from style_transfer.job_arrays import WHOLE, Shard
from style_transfer.piano_roll import load_midi, note_table
from style_transfer.pipelines.records.tfrecords import atomic_file
from style_transfer.pipelines.rendering import pieces as pieces_lib
from style_transfer.pipelines.rendering.augment import AugmentedRenderer
from style_transfer.pipelines.rendering.base import Renderer
from style_transfer.pipelines.rendering.midi_out import midi_bytes
from style_transfer.pipelines.rendering.soundfont import SoundfontRenderer, fluidsynth_program
from style_transfer.pipelines.rendering.specs import renderers_from

MANIFEST = "manifest.jsonl"
PIECES_PER_TASK = 8
LEAD_IN_SECS = 0.1
MANIFEST_SECS = 30.0  # how often the manifest is written while rendering
_CACHE: dict = {}


@dataclasses.dataclass(frozen=True)
class Job:
    """What to render, and how; small, since every worker gets it.

    Attributes:
        specs: What `renderers_from` understands.
        output_dir: Folder of the results, a path or URL. Of a remote one each process keeps a copy
            of what it renders as long as it runs.
        sample_rate: Samples per second.
        max_secs: Length of performance rendered at most, 0 for all.
        augment: Augmented variants of each piano, besides the plain one.
        seed: Seed of procedural pianos and of augmentation.
        dry: Without rooms and effects.
        overwrite: Render again what is there.
        licence: Remark for the manifest; by default what the piano itself says.
        any_program: See `specs.renderers_from`.
    """

    specs: tuple
    output_dir: str
    sample_rate: int = audio_lib.DEFAULT_SAMPLE_RATE
    max_secs: float = 0.0
    augment: int = 0
    seed: int = 0
    dry: bool = False
    overwrite: bool = False
    licence: str = ""
    any_program: bool = False


class Lost(str):
    """Why a recording is missing, where its performance is not to blame."""


@dataclasses.dataclass
class Report:
    """What became of a job.

    Attributes:
        num_read: Performances.
        num_written: Recordings.
        num_kept: Recordings that were there already.
        skipped: Performances of which nothing could be rendered, with the reason.
        problems: (performance, piano, reason) of every recording that failed.
        audio_secs: Length of what was written.
    """

    num_read: int
    num_written: int = 0
    num_kept: int = 0
    skipped: dict = dataclasses.field(default_factory=dict)
    problems: list = dataclasses.field(default_factory=list)
    audio_secs: float = 0.0

    @property
    def num_lost(self):
        """Recordings that are missing through no fault of their performances."""
        return sum(isinstance(reason, Lost) for _, _, reason in self.problems)

    def summary(self):
        """The closing line."""
        kept = (f" ({self.num_kept} existing kept, --overwrite replaces them)"
                if self.num_kept else "")
        return (f"{self.num_read} read, {self.num_written} written, "
                f"{len(self.skipped)} skipped{kept}")


def all_renderers(job: Job) -> list[Renderer]:
    """The job's pianos, each with a name of its own.

    Raises:
        FileNotFoundError: A soundfont or SFZ file is missing.
        ValueError: A spec names no piano.
    """
    plain = [renderer for spec in job.specs
             for renderer in renderers_from(spec, seed=job.seed, dry=job.dry,
                                            any_program=job.any_program)]
    taken = set()
    for renderer in plain:
        name, number = renderer.timbre_id, 1
        while renderer.timbre_id in taken:
            number += 1
            renderer.timbre_id = f"{name}_{number}"
        taken.add(renderer.timbre_id)
    return plain + [AugmentedRenderer(renderer, index + 1, job.seed)
                    for renderer in plain for index in range(job.augment)]


def run_job(
    job: Job, pieces: list, num_workers: int = 1, on_result: Callable = lambda result: None,
    shard: Shard = WHOLE
) -> Report:
    """Renders every piece on every piano and writes the manifest.

    Args:
        job: A `Job`.
        pieces: List of `pieces.Piece`.
        num_workers: Processes; with 1 everything happens in this one.
        on_result: Called with each recording's `(piece id, timbre id, row or None, reason)`.
        shard: Which of the pieces to render; their manifest is named after it.

    Returns:
        A `Report`.

    Raises:
        FileNotFoundError: A soundfont or SFZ file is missing.
        ValueError: A spec names no piano, FluidSynth is needed and missing, or a worker was
            killed.
    """
    pieces = list(shard.of(pieces))
    ids = {piece.id for piece in pieces}

    def wanted(name):
        path = pathlib.PurePosixPath(name)
        return path.suffix not in (".flac", ".mid") or path.stem in ids

    with remote.folder(job.output_dir, wanted) as (folder, send):
        return _run(dataclasses.replace(job, output_dir=folder), pieces, num_workers, on_result,
                    shard, send)


def _run(job, pieces, num_workers, on_result, shard, send):
    """`run_job` in a local folder; `send` is called now and then, when all there is finished."""
    renderers = all_renderers(job)
    if any(isinstance(renderer, SoundfontRenderer) for renderer in renderers):
        fluidsynth_program()
    for folder in (job.output_dir, *(os.path.join(job.output_dir, renderer.timbre_id)
                                     for renderer in renderers)):
        files.clean(folder)
    # One piano after the other, so that a worker holds the samples of one at a time.
    tasks = [(index, pieces[first:first + PIECES_PER_TASK], shard)
             for index in range(len(renderers))
             for first in range(0, len(pieces), PIECES_PER_TASK)]
    manifest = shard.named(MANIFEST)
    report, rows = Report(len(pieces)), read_manifest(job.output_dir, manifest)
    done, reasons, written = set(), {}, time.monotonic()
    for results in _results(job, renderers, tasks, num_workers):
        for result in results:
            on_result(result)
            piece_id, timbre_id, row, reason = result
            if row is None:
                report.problems.append((piece_id, timbre_id, reason))
                reasons[piece_id] = reason
                continue
            done.add(piece_id)
            rows[timbre_id, piece_id] = row
            report.num_kept += reason == "kept"
            report.num_written += reason == "written"
            report.audio_secs += row["duration_secs"] if reason == "written" else 0.0
        if time.monotonic() - written > MANIFEST_SECS:
            write_manifest(job.output_dir, rows, manifest)
            send()
            written = time.monotonic()
    write_manifest(job.output_dir, rows, manifest)
    report.skipped = {piece: reason for piece, reason in reasons.items() if piece not in done}
    return report


def _results(job, renderers, tasks, num_workers):
    if num_workers == 1:
        for task in tasks:
            yield _render_task(job, *task, renderers)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    pool = processes.pool(num_workers)
    try:
        futures = [pool.submit(_render_task, job, *task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    except concurrent.futures.process.BrokenProcessPool:
        raise ValueError("A rendering process was killed, probably for want of memory. What is "
                         "finished is kept: run again with fewer --num_workers or a smaller "
                         "--max_secs.") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _render_task(job, index, pieces, shard, renderers=None):
    if renderers is None:
        if _CACHE.get("job") != job:
            _CACHE.update(job=job, renderers=all_renderers(job))
        renderers = _CACHE["renderers"]
    _forget_others(renderers, index)
    renderer = renderers[index]
    outputs = outputs_lib.Outputs(
        pathlib.Path(job.output_dir, renderer.timbre_id), job.overwrite, shard=shard)
    return [render_pair(job, renderer, piece, outputs) for piece in pieces]


def _forget_others(renderers, index):
    """Frees the samples of all pianos but one."""
    for i, renderer in enumerate(renderers):
        if i != index:
            renderer.forget()


def render_pair(job: Job, renderer: Renderer, piece, outputs) -> tuple:
    """Renders one performance on one piano, unless it is there already.

    Args:
        job: The job.
        renderer: The piano.
        piece: A `pieces.Piece`.
        outputs: The `outputs.Outputs` of the piano's folder.

    Returns:
        `(piece id, timbre id, row of the manifest, "written" or "kept")`, or with None for the row
        and the reason why it failed.

    Raises:
        files.UnwritableError: The folder or disk takes no files.
    """
    try:
        place = outputs.place(piece.id, (".flac", ".mid"), _recipe(job, renderer, piece))
        flac, midi = place.paths
        if place.stem != piece.id:
            raise ValueError(f"{flac.with_stem(piece.id)} is there already, rendered otherwise or "
                             "by somebody else: give --overwrite or another --output_dir")
        if place.is_kept:
            row = _row(job, renderer, piece, note_table(load_midi(midi)), flac)
            return piece.id, renderer.timbre_id, row, "kept"
        sequence, audio = played(renderer, piece.load(), job.sample_rate, job.max_secs)
        with place.published() as target:
            target.with_name(midi.name).write_bytes(midi_bytes(note_table(sequence)))
            audio_lib.save(target, audio)
        row = _row(job, renderer, piece, note_table(sequence), flac)
        return piece.id, renderer.timbre_id, row, "written"
    except (ValueError, OSError, ArithmeticError, IndexError, MemoryError,
            RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        kind = str if isinstance(error, ValueError) else Lost
        return piece.id, renderer.timbre_id, None, kind(reason)


def _recipe(job, renderer, piece):
    """What a recording is made of, see `outputs.recipe_of`."""
    plain = getattr(renderer, "renderer", renderer)
    return outputs_lib.recipe_of(
        hashlib.sha256(piece.read()).hexdigest(), renderer.timbre_id, getattr(plain, "path", None),
        job.sample_rate, job.max_secs, job.dry, job.seed)


def played(renderer: Renderer, sequence, sample_rate: int, max_secs: float = 0.0,
           from_first_note: bool = False):
    """Notes played on one instrument.

    Args:
        renderer: The instrument.
        sequence: A NoteSequence.
        sample_rate: Hz.
        max_secs: See `pieces.playable`.
        from_first_note: Whether a long silence before the first note is left out.

    Returns:
        The notes that are heard, a NoteSequence, and the `Audio`.

    Raises:
        ValueError: The instrument has none of the notes, or cannot be played.
    """
    table = note_table(sequence)
    if from_first_note and len(table):
        table = table.shift(min(0.0, LEAD_IN_SECS - float(table.onset_secs[0])))
    table = pieces_lib.playable(table, renderer.pitches, max_secs)
    # Played from the bytes of a MIDI file, as which notes are kept: audio and notes cannot differ.
    heard = load_midi(midi_bytes(table))
    return heard, renderer.render(heard, sample_rate)


def _row(job, renderer, piece, table, flac):
    import soundfile

    info = soundfile.info(flac)
    velocities = [round(float(v) * 127) for v in (table.velocity.min(), table.velocity.max())]
    name = f"{renderer.timbre_id}/{piece.id}"
    return {"id": name, "timbre_id": renderer.timbre_id, "piece_id": piece.id,
            "audio": f"{name}.flac", "midi": f"{name}.mid", "sample_rate": info.samplerate,
            "duration_secs": round(info.duration, 3), "num_notes": len(table),
            "velocity_range": velocities, "seed": job.seed,
            "licence": job.licence or getattr(renderer, "licence", "")}


def read_manifest(output_dir: str | os.PathLike, name: str = MANIFEST) -> dict:
    """Rows of a folder's manifest by (timbre id, piece id); empty where there is none.

    Args:
        output_dir: The folder.
        name: The manifest's name.

    Raises:
        ValueError: It is damaged.
    """
    path = pathlib.Path(output_dir, name)
    if not path.is_file():
        return {}
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return {(row["timbre_id"], row["piece_id"]): row for row in rows}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no manifest of rendered pairs ({error!r}). Remove it to "
                         "have it written anew.") from error


def join_manifests(output_dir: str, num_shards: int) -> None:
    """Makes the manifests of all shards one, the folder's.

    Args:
        output_dir: The folder, a path or URL.
        num_shards: How many there are.
    """
    with remote.folder(output_dir, lambda name: name.endswith(".jsonl")) as (folder, _):
        names = [Shard(number, num_shards).named(MANIFEST) for number in range(1, num_shards + 1)]
        rows = {}
        for name in names:
            rows |= read_manifest(folder, name)
        write_manifest(folder, rows)
        for name in names:
            if name != MANIFEST:
                pathlib.Path(folder, name).unlink(missing_ok=True)
                pathlib.Path(folder, f".{name}.lock").unlink(missing_ok=True)


def write_manifest(output_dir: str | os.PathLike, rows: dict, name: str = MANIFEST) -> None:
    """Writes the rows as JSON lines, sorted, whole or not at all.

    Rows of others that are there stay: several processes may render into one folder.

    Args:
        output_dir: The folder.
        rows: As `read_manifest` gives them.
        name: The manifest's name.
    """
    if not rows:
        return
    os.makedirs(output_dir, exist_ok=True)
    with open(pathlib.Path(output_dir, f".{name}.lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        every = {**read_manifest(output_dir, name), **rows}
        text = "".join(json.dumps(every[key], sort_keys=True) + "\n" for key in sorted(every))
        with atomic_file(pathlib.Path(output_dir, name)) as handle:
            handle.write(text.encode())
