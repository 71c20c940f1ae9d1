"""The Apache Beam job that turns pairs of audio and MIDI into example records.

The unit of work is a shard: a worker reads the pairs of one file, makes their examples and writes
them, one performance in memory at a time. What travels between workers is names and counts, never
audio, so the job's memory does not grow with the data set, not even on runners that keep
everything between two steps in memory, as the DirectRunner does. A finished shard has its rows
beside it, so that a run that is started again makes only what is missing.
"""

import dataclasses
import hashlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence

import apache_beam as beam

import style_transfer
from style_transfer import audio as audio_lib
from style_transfer import durations, piano_roll
from style_transfer.pipelines import beam_jobs, files, finished
from style_transfer.pipelines.datasets import segments
from style_transfer.pipelines.datasets.readers import Pair
from style_transfer.pipelines.records import examples, tfrecords

PAIRS_PER_SHARD = 32
MIN_SHARDS = 8
REPORT = "report.jsonl"
_PROGRESS_SECS = 10.0
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records to be made: its name in the output folder, and its pairs."""

    name: str
    pairs: tuple[Pair, ...]


def plan_shards(pairs: Sequence[Pair], num_shards: int | None = None) -> list[Shard]:
    """Distributes pairs over files `<split>-00000-of-00016.tfrecord`.

    Args:
        pairs: Pairs with their split.
        num_shards: How many files in all; None for one of every 32 pairs, at least eight. A
            split has at least one, and never more than it has pairs.

    Returns:
        The shards. Pairs are mixed by a hash of their id, so that every file is a sample of all.
    """
    if num_shards is None:
        num_shards = max(MIN_SHARDS, -(-len(pairs) // PAIRS_PER_SHARD))
    shards = []
    for split in examples.SPLITS:
        chosen = sorted((pair for pair in pairs if pair.split == split),
                        key=lambda pair: hashlib.sha256(pair.id.encode()).digest())
        count = min(len(chosen), max(1, round(num_shards * len(chosen) / max(1, len(pairs)))))
        shards += [Shard(f"{split}-{i:05d}-of-{count:05d}.tfrecord", tuple(chosen[i::count]))
                   for i in range(count)]
    return shards


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is made of a pair.

    Attributes:
        sample_rate: Rate of the examples, Hz.
        measures_tuning: Whether they hold the piano's measured tuning.
        segment_secs: See `segments.split_at_silence`; None for whole performances.
    """

    sample_rate: int
    measures_tuning: bool = True
    segment_secs: tuple[int, int] | None = None


class WriteShard(beam.DoFn):
    """Makes and writes the examples of a shard; yields one row of facts for each pair."""

    def __init__(self, folder: str, recipe: Recipe):
        """Into `folder`, as `recipe` says."""
        self._folder = folder
        self._recipe = recipe

    def process(self, shard: Shard) -> Iterator[dict]:
        """See the class."""
        path = files.join(self._folder, shard.name)
        yield from finished.rows(path, finished.fingerprint_of(shard, self._recipe),
                                 lambda: self._write(path, shard))

    def _write(self, path, shard):
        rows, begin = [], time.monotonic()
        told = begin
        with files.create_whole(path) as file:
            for pair in shard.pairs:
                rows.append(self._add(file, pair))
                if time.monotonic() - told > _PROGRESS_SECS and len(rows) < len(shard.pairs):
                    told = time.monotonic()
                    _tell(shard, rows, told - begin)
        _tell(shard, rows, time.monotonic() - begin)
        return rows

    def _add(self, file, pair):
        # Decoders raise anything on malformed files, and one of them must not stop the others.
        try:
            records, row = make_records(pair, self._recipe)
        except Exception as error:
            expected = isinstance(error, (ValueError, OSError))
            reason = str(error) if expected else f"{type(error).__name__}: {error}"
            _LOGGER.warning("skipped %s: %s", pair.id, reason)
            return {"id": pair.id, "split": pair.split, "reason": reason}
        for record in records:
            file.write(tfrecords.frame(record))
        return row


def _tell(shard, rows, took_secs):
    secs = sum(row.get("secs", 0) for row in rows)
    skipped = sum("reason" in row for row in rows)
    _LOGGER.info("%s: %d of %d, %d skipped, real-time factor %.3f, %s", shard.name, len(rows),
                 len(shard.pairs), skipped, took_secs / max(secs, 1e-6),
                 durations.left(took_secs, len(rows), len(shard.pairs)))


def make_records(pair: Pair, recipe: Recipe) -> tuple[list[bytes], dict]:
    """Reads a pair and serializes its example, or those of its parts.

    Returns:
        The serialized `tf.train.Example`s, and a row of facts for the data set's description.

    Raises:
        ValueError: The pair cannot be learned from; says why.
    """
    if pair.split is None:
        raise ValueError(f"{pair.id} has no split; assign one with pipelines.datasets.splits.")
    sequence, audio = pair.read(recipe.sample_rate)
    table = piano_roll.note_table(sequence)
    examples.check_pair(audio, table)
    names = {name: getattr(pair, name) for name in ("timbre_id", "piece_id", "split")}
    if recipe.measures_tuning:
        names["tuning"] = examples.measure_tuning(audio, table)
    if recipe.segment_secs is None:
        records = [examples.make_example(audio, sequence, id=pair.id, **names)]
    else:
        velocities = [note.velocity for note in sequence.notes]
        names["velocity_range"] = (min(velocities), max(velocities))
        records = [examples.make_example(part, notes, id=f"{pair.id}#{i}", **names)
                   for i, (part, notes) in enumerate(segments.split_at_silence(
                       audio, sequence, pair.id, *recipe.segment_secs))]
        if not records:
            raise ValueError(f"no part of {recipe.segment_secs[0]:g} s or more has notes")
    row = {"id": pair.id, "split": pair.split, "timbre_id": pair.timbre_id,
           "piece_id": pair.piece_id, "secs": audio.duration_secs, "notes": len(table),
           "rms_db": audio_lib.sounding_rms_db(audio), "records": len(records),
           "bytes": sum(map(len, records))}
    return records, row


def run(shards: Sequence[Shard], folder: str, recipe: Recipe, **how) -> list[dict]:
    """Runs the job to its end; what an earlier run that was stopped has finished is kept.

    Args:
        shards: What to make.
        folder: Where, a path or URL that all workers reach.
        recipe: What to make of each pair.
        **how: See `beam_jobs.run`.

    Returns:
        The rows of all pairs.

    Raises:
        WorkerDiedError: A process of the DirectRunner was killed.
    """
    return beam_jobs.run(shards, WriteShard(folder, recipe), files.join(folder, REPORT), **how)


def versions() -> dict[str, str]:
    """Versions of what made a data set."""
    import importlib.metadata

    found = {"style_transfer": style_transfer.__version__, "python": sys.version.split()[0]}
    for name in ("apache-beam", "note-seq", "numpy", "soundfile", "soxr"):
        found[name] = importlib.metadata.version(name)
    return found
