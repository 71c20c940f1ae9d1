"""The Apache Beam job that turns pairs of audio and MIDI into example records.

The unit of work is a shard: a worker reads the pairs of one file, makes their examples and writes
them, one performance in memory at a time. What travels between workers is names and counts, never
audio, so the job's memory does not grow with the data set, not even on runners that keep
everything between two steps in memory, as the DirectRunner does.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.transforms import environments

import style_transfer
from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.pipelines import beam_worker
from style_transfer.pipelines.datasets import files, segments
from style_transfer.pipelines.datasets.readers import Pair
from style_transfer.pipelines.records import examples, tfrecords

COUNTERS = ("read", "written", "skipped")
PAIRS_PER_SHARD = 32
MIN_SHARDS = 8
REPORT = "report.jsonl"
_NAMESPACE = "create_dataset"
_WORKER_THREAD = "run_worker"  # Beam's name of the thread that waits for a worker process
_PROGRESS_SECS = 10.0
_LOGGER = logging.getLogger(__name__)


class WorkerDiedError(ValueError):
    """A worker process of the DirectRunner was killed."""


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
        self._counters = {name: Metrics.counter(_NAMESPACE, name) for name in COUNTERS}

    def process(self, shard: Shard) -> Iterator[dict]:
        """See the class."""
        rows, begin = [], time.monotonic()
        told = begin
        with _new_file(files.join(self._folder, shard.name)) as file:
            for pair in shard.pairs:
                row = self._add(file, pair)
                self._counters["read"].inc()
                self._counters["skipped" if "reason" in row else "written"].inc()
                rows.append(row)
                if time.monotonic() - told > _PROGRESS_SECS and len(rows) < len(shard.pairs):
                    told = time.monotonic()
                    _tell(shard, rows, told - begin)
        _tell(shard, rows, time.monotonic() - begin)
        yield from rows

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
    _LOGGER.info("%s: %d of %d, %d skipped, real-time factor %.3f, %.0f s left", shard.name,
                 len(rows), len(shard.pairs), skipped, took_secs / max(secs, 1e-6),
                 took_secs * (len(shard.pairs) / len(rows) - 1))


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


def run(
    shards: Sequence[Shard],
    folder: str,
    recipe: Recipe,
    runner: str = "DirectRunner",
    pipeline_options: str = "",
    num_workers: int = 1,
) -> tuple[dict[str, int], list[dict]]:
    """Runs the job to its end.

    Args:
        shards: What to make.
        folder: Where, a path or URL that all workers reach.
        recipe: What to make of each pair.
        runner: Name of a Beam runner.
        pipeline_options: Beam's own flags, as on its command line.
        num_workers: Processes of the DirectRunner.

    Returns:
        The counters by name, and the rows of all pairs.

    Raises:
        WorkerDiedError: A process of the DirectRunner was killed.
    """
    beam_worker.show_progress()
    options = PipelineOptions(shlex.split(pipeline_options), **_options(
        runner, pipeline_options, num_workers))
    pipeline = beam.Pipeline(runner=_runner(runner, options), options=options)
    report = files.join(folder, REPORT)
    _ = (pipeline
         | "Shards" >> beam.Create(list(shards))
         | "Distribute" >> beam.Reshuffle()
         | "WriteShard" >> beam.ParDo(WriteShard(folder, recipe))
         | "ToJson" >> beam.Map(json.dumps)
         | "WriteReport" >> beam.io.WriteToText(report, num_shards=1, shard_name_template=""))
    with _watch_workers():
        result = pipeline.run()
        result.wait_until_finish()
    counters = dict.fromkeys(COUNTERS, 0)
    query = MetricsFilter().with_namespace(_NAMESPACE)
    for metric in result.metrics().query(query)["counters"]:
        # Attempted counts include work done twice, but some runners commit none.
        counters[metric.key.metric.name] += metric.committed or metric.attempted
    rows = [json.loads(line) for line in files.read_bytes(report).decode().splitlines()]
    return counters, rows


@contextlib.contextmanager
def _watch_workers():
    """Turns the death of a worker process into an error; Beam would wait for it for ever.

    A run of Beam's DirectRunner cannot be cancelled, nor left behind in a thread: threads of its
    own would keep the interpreter from ending. So the main thread is woken from its wait by a
    signal whose handler raises. `interrupt_main` would not do: it does not wake a waiting thread,
    and nothing at all where the signal is ignored, as in a shell's background jobs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can be woken
        return
    deaths, main_thread = [], threading.main_thread().ident
    usual_hook, usual_handler = threading.excepthook, signal.getsignal(signal.SIGINT)

    def hook(caught):
        if caught.thread is None or caught.thread.name != _WORKER_THREAD:
            usual_hook(caught)
            return
        deaths.append(caught.exc_value)
        if len(deaths) == 1:
            _kill_workers()  # Beam waits for those that are left before it gives up
            signal.pthread_kill(main_thread, signal.SIGINT)  # wakes it from its wait

    def handler(number, frame):
        if deaths:
            raise WorkerDiedError(
                f"A worker process ended before its work was done ({deaths[0]}), perhaps because "
                "memory ran out. Try fewer workers: --num_workers=1.") from deaths[0]
        if callable(usual_handler):  # not so in a shell's background job, which ignores it
            usual_handler(number, frame)

    threading.excepthook = hook
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        threading.excepthook = usual_hook
        signal.signal(signal.SIGINT, usual_handler)


def _kill_workers():
    try:
        import psutil
    except ImportError:
        return

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if beam_worker.__name__ in " ".join(process.cmdline()):
                process.kill()


def _options(runner, pipeline_options, num_workers):
    quiet = {"default_sdk_harness_log_level": "ERROR",
             "sdk_harness_log_level_overrides": {beam_worker.OURS: "INFO"}}
    if runner != "DirectRunner" or "direct_running_mode" in pipeline_options:
        return quiet
    if num_workers == 1:
        return {**quiet, "direct_num_workers": 1}
    # Workers are new processes that must find these packages where this one found them.
    root = str(pathlib.Path(style_transfer.__file__).resolve().parents[1])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([root, *paths])
    return {**quiet, "direct_num_workers": num_workers}


def _runner(name, options):
    """Beam's runner of that name; its DirectRunner without the attempt to download another.

    Beam's own switch prefers the Prism runner, a Go program that it fetches from the network.
    """
    if name != "DirectRunner":
        return name
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    direct, workers = options.view_as(DirectOptions), None
    if direct.direct_num_workers != 1 and direct.direct_running_mode == "in_memory":
        workers = environments.SubprocessSDKEnvironment.from_command_string(beam_worker.COMMAND)
    return fn_runner.FnApiRunner(workers, provision_info=fn_runner.ExtendedProvisionInfo(info))


def _new_file(path):
    return files.create(path) if files.is_remote(path) else tfrecords.atomic_file(path)


def versions() -> dict[str, str]:
    """Versions of what made a data set."""
    import importlib.metadata

    found = {"style_transfer": style_transfer.__version__, "python": sys.version.split()[0]}
    for name in ("apache-beam", "note-seq", "numpy", "soundfile", "soxr"):
        found[name] = importlib.metadata.version(name)
    return found
