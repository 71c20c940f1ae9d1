"""The Apache Beam job that turns NoteSequences into records of a configuration."""

import collections
import glob
import json
import math
import shlex

import apache_beam as beam
import note_seq
from apache_beam.options.pipeline_options import PipelineOptions

from style_transfer.pipelines import note_sequences
from style_transfer.pipelines.datasets import files
from style_transfer.pipelines.records import tfrecords
from style_transfer.pipelines.symbolic import conversion
from style_transfer.symbolic import reasons

FACTS, POSITION = "facts", "position"


class Convert(beam.DoFn):
    """Serialized NoteSequences to records, tagged by split, and facts to count.

    Among the facts is the hundredth in which the position of each piece lies.
    """

    def __init__(self, examples, eval_ratio, eval_pieces):
        """For the `NoteSequences` of a configuration."""
        self._examples, self._split = examples, (eval_ratio, eval_pieces)
        self._convert = None

    def setup(self):
        """Loads Magenta, which takes seconds."""
        self._convert = conversion.make_converter(self._examples, *self._split)

    def process(self, serialized):
        """See the class."""
        facts = collections.Counter({("piece", "read"): 1})
        try:
            sequence = note_seq.NoteSequence.FromString(serialized)
            records, statistics = self._convert(sequence)
            if any(records.values()):
                facts[POSITION, f"{math.ceil(100 * conversion.position(sequence)) / 100}"] += 1
            else:
                facts["skipped", reasons.why_nothing(sequence, self._examples.layout)] += 1
        # Magenta raises anything on odd pieces, and one of them must not stop the others.
        except Exception as error:
            records, statistics = {}, {}
            facts["skipped", f"{type(error).__name__}: {error}"] += 1
        for split, found in records.items():
            facts["records", split] += len(found)
            for record in found:
                yield beam.pvalue.TaggedOutput(split, record)
        for name, count in statistics.items():
            facts["statistics", name] += count
        for fact in facts.items():
            yield beam.pvalue.TaggedOutput(FACTS, fact)


def run(pattern, paths, facts_path, examples, eval_ratio, eval_pieces=(),
        runner="DirectRunner", pipeline_options=""):
    """Runs the job.

    Args:
        pattern: TFRecord file or pattern with NoteSequences; tempo and meter count as they are
            played, wherever they stand in a file (`note_sequences.read_as_played`).
        paths: File to write for each split.
        facts_path: Where counts are written, a JSON list of kind, name and count in each line.
        examples: The configuration's `example_kinds.NoteSequences`.
        eval_ratio: Part of the pieces that are for evaluation.
        eval_pieces: See `conversion.make_converter`.
        runner: Apache Beam's runner.
        pipeline_options: Further options of Apache Beam.

    Raises:
        FileNotFoundError: There is no input.
    """
    inputs = sorted(path for path in glob.glob(pattern)
                    if not path.endswith(note_sequences.AS_PLAYED_SUFFIX))
    if not inputs:
        raise FileNotFoundError(f"There is no file {pattern!r}.")
    options = PipelineOptions(shlex.split(pipeline_options), runner=runner)
    with beam.Pipeline(options=options) as pipeline:
        found = (pipeline
                 | "files" >> beam.Create(inputs)
                 | "read" >> beam.FlatMap(note_sequences.read_as_played)
                 | "spread" >> beam.Reshuffle()
                 | "convert" >> beam.ParDo(Convert(examples, eval_ratio, eval_pieces))
                 .with_outputs())
        for split, path in paths.items():
            _ = (found[split]
                 | f"{split} to one file" >> beam.Map(lambda record: (None, record))
                 | f"gather {split}" >> beam.GroupByKey()
                 | f"write {split}" >> beam.Map(_write_records, path))
        _ = (found[FACTS]
             | "count" >> beam.CombinePerKey(sum)
             | "facts to one file" >> beam.Map(lambda fact: (None, fact))
             | "gather facts" >> beam.GroupByKey()
             | "write facts" >> beam.Map(_write_facts, facts_path))


def _write_records(keyed, path):
    # In the order of their bytes: the same input always gives the same file.
    with files.create(path) as file:
        for record in sorted(keyed[1]):
            file.write(tfrecords.frame(record))


def _write_facts(keyed, path):
    with files.create(path) as file:
        for (kind, name), count in sorted(keyed[1]):
            file.write(json.dumps([kind, name, count]).encode() + b"\n")
