"""The Apache Beam job that turns NoteSequences into records of a configuration."""

import collections
import dataclasses
import glob
import heapq
import math
import os

import apache_beam as beam
import note_seq

from style_transfer.job_arrays import WHOLE, Shard
from style_transfer.pipelines import beam_jobs, files, finished, note_sequences
from style_transfer.pipelines.records import tfrecords
from style_transfer.pipelines.symbolic import conversion
from style_transfer.symbolic import reasons

POSITION = "position"
PART_BYTES = 4 << 20  # of the input, about: a part's records are sorted in memory
PARTS_PER_SHARD = 4  # at least, so that the parts of a job array are about equal
REPORT = "report.jsonl"


@dataclasses.dataclass(frozen=True)
class Part:
    """NoteSequences that one worker converts.

    Attributes:
        number: Which part of the job it is.
        source: Where they stand.
    """

    number: int
    source: note_sequences.Stretch


class ConvertPart(beam.DoFn):
    """Writes a part's records, sorted, into a file of each split; yields facts to count.

    Among the facts is the hundredth in which the position of each piece lies.
    """

    def __init__(self, folder, examples, eval_ratio, eval_pieces):
        """For the `NoteSequences` of a configuration."""
        self._folder, self._examples = folder, examples
        self._split = (eval_ratio, tuple(eval_pieces))
        self._convert = None

    def setup(self):
        """Loads Magenta, which takes seconds."""
        self._convert = conversion.make_converter(self._examples, *self._split)

    def process(self, part):
        """See the class."""
        path = files.join(self._folder, f"part-{part.number:05d}")
        yield from finished.rows(path, finished.fingerprint_of(
            part, self._examples, self._split), lambda: self._write(path, part))

    def _write(self, path, part):
        records, facts = collections.defaultdict(list), collections.Counter()
        for serialized in note_sequences.read_as_played(part.source):
            self._add(serialized, records, facts)
        for split in self._examples.files:
            with files.create_whole(f"{path}.{split}") as file:
                for record in sorted(records[split]):
                    file.write(tfrecords.frame(record))
        return [{"kind": kind, "name": name, "count": count}
                for (kind, name), count in sorted(facts.items())]

    def _add(self, serialized, records, facts):
        facts["piece", "read"] += 1
        try:
            sequence = note_seq.NoteSequence.FromString(serialized)
            found, statistics = self._convert(sequence)
            if any(found.values()):
                facts[POSITION, f"{math.ceil(100 * conversion.position(sequence)) / 100}"] += 1
            else:
                facts["skipped", reasons.why_nothing(sequence, self._examples.layout)] += 1
        # Magenta raises anything on odd pieces, and one of them must not stop the others.
        except Exception as error:
            found, statistics = {}, {}
            facts["skipped", f"{type(error).__name__}: {error}"] += 1
        for split, some in found.items():
            facts["records", split] += len(some)
            records[split] += some
        for name, count in statistics.items():
            facts["statistics", name] += count


def run(pattern, folder, examples, eval_ratio, eval_pieces=(), shard: Shard = WHOLE, **how):
    """Runs the job; what an earlier run that was stopped has finished is kept.

    Args:
        pattern: TFRecord file or pattern with NoteSequences; tempo and meter count as they are
            played, wherever they stand in a file (`note_sequences.read_as_played`).
        folder: Where the file of each split goes, and what lies between.
        examples: The configuration's `example_kinds.NoteSequences`.
        eval_ratio: Part of the pieces that are for evaluation.
        eval_pieces: See `conversion.make_converter`.
        shard: Which part of the input to take.
        **how: See `beam_jobs.run`.

    Returns:
        A `Counter` of facts by `(kind, name)`.

    Raises:
        FileNotFoundError: There is no input.
        ValueError: There is none for the shard.
    """
    inputs = sorted(path for path in glob.glob(pattern)
                    if not path.endswith(note_sequences.AS_PLAYED_SUFFIX))
    if not inputs:
        raise FileNotFoundError(f"There is no file {pattern!r}.")
    num_bytes = PART_BYTES
    if shard != WHOLE:
        size = sum(map(os.path.getsize, inputs))
        num_bytes = min(num_bytes, size // (PARTS_PER_SHARD * shard.count))
    parts = shard.of([Part(number, source) for number, source in enumerate(
        stretch for path in inputs for stretch in note_sequences.stretches(path, num_bytes))])
    if shard != WHOLE and not parts:
        raise ValueError(f"{pattern} has too few pieces for {shard.count} parts: none is left for "
                         f"part {shard.number}.")
    how["num_workers"] = max(1, min(how.get("num_workers", 1), len(parts)))
    rows = beam_jobs.run(parts, ConvertPart(folder, examples, eval_ratio, eval_pieces),
                         files.join(folder, REPORT), **how)
    for split, name in examples.files.items():
        # In the order of their bytes: the same input always gives the same file.
        records = heapq.merge(*(tfrecords.read_records(
            files.join(folder, f"part-{part.number:05d}.{split}")) for part in parts))
        with files.create_whole(files.join(folder, name)) as file:
            for record in records:
                file.write(tfrecords.frame(record))
    facts = collections.Counter()
    for row in rows:
        facts[row["kind"], row["name"]] += row["count"]
    return facts
