"""Apache Beam jobs: work on many items that gives rows of facts, on any runner.

A job is one chain of steps with one end, because that is all that Beam's Dask runner computes:
items -> work -> rows in a report. What is large never travels: workers write it themselves.
"""

import contextlib
import importlib
import json
import os
import pathlib
import shlex
import signal
import tempfile
import threading
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.transforms import environments

import style_transfer
from style_transfer.files import UnwritableError
from style_transfer.pipelines import beam_worker, files

# By the names that the command takes; None for Beam's own lookup by the name.
RUNNERS = {
    "DirectRunner": None, "DaskRunner": "apache_beam.runners.dask.dask_runner:DaskRunner",
    "DataflowRunner": None, "FlinkRunner": None, "SparkRunner": None, "PortableRunner": None,
    "PrismRunner": None,
}
_WORKER_THREAD = "run_worker"  # Beam's name of the thread that waits for a worker process
_UNWRITABLE = "unwritable"  # a row that says that a worker could not write, and why


class WorkerDiedError(ValueError):
    """A worker process of the DirectRunner was killed."""


class _Saying(beam.DoFn):
    """The same work; where it cannot write, a row says so: of errors Beam makes pages of text."""

    def __init__(self, work):
        self._work = work

    def setup(self):
        self._work.setup()

    def process(self, item):
        try:
            yield from self._work.process(item)
        except UnwritableError as error:
            yield {_UNWRITABLE: str(error)}

    def teardown(self):
        self._work.teardown()


def run(items: Sequence, work: beam.DoFn, report: str, *, runner: str = "DirectRunner",
        pipeline_options: str = "", num_workers: int = 1) -> list[dict]:
    """Runs a job to its end.

    Args:
        items: What is worked on; each by one worker.
        work: From an item to rows, which JSON can hold. A runner may do the work on an item again.
        report: Path or URL of the file that takes the rows.
        runner: One of `RUNNERS`, in upper or lower case, or a class as `module.Class`.
        pipeline_options: Beam's own flags, as on its command line.
        num_workers: Processes of the DirectRunner, unless Beam's flags say how many.

    Returns:
        All rows, in any order.

    Raises:
        ValueError: The runner or one of the options is unknown.
        WorkerDiedError: A process of the DirectRunner was killed.
        UnwritableError: A worker could not write, such as on a full disk.
    """
    beam_worker.show_progress()
    made = _runner_class(runner)
    options = _options(runner, pipeline_options, num_workers)
    pipeline = beam.Pipeline(runner=made() if made else _direct(runner, options), options=options)
    with tempfile.TemporaryDirectory() as scratch:
        # Workers of this computer write elsewhere at first: the report's own disk may be full.
        is_direct = runner.lower() == "directrunner"
        written = os.path.join(scratch, "rows") if is_direct else report
        _ = (pipeline
             | "Items" >> beam.Create(list(items))
             | "Distribute" >> beam.Reshuffle()
             | "Work" >> beam.ParDo(_Saying(work))
             | "ToJson" >> beam.Map(json.dumps)
             | "WriteReport" >> beam.io.WriteToText(written, num_shards=1, shard_name_template=""))
        with _watch_workers():
            result = pipeline.run()
            result.wait_until_finish()
        if hasattr(getattr(result, "client", None), "close"):
            result.client.close()  # and with it the cluster, if Dask made one for this job
        text = files.read_bytes(written)
    rows = [json.loads(line) for line in text.decode().splitlines()]
    for row in rows:
        if _UNWRITABLE in row:
            raise UnwritableError(row[_UNWRITABLE])
    if is_direct:
        with files.create(report) as file:
            file.write(text)
    return rows


def _runner_class(name):
    """The class of a runner that Beam does not find by itself; None for others.

    Raises:
        ValueError: There is no such runner.
        ModuleNotFoundError: What it needs is not installed.
    """
    known = {known.lower(): place for known, place in RUNNERS.items()}
    if name.lower() in known:
        place = known[name.lower()]
    elif "." in name:
        place = ":".join(name.rsplit(".", 1))
    else:
        raise ValueError(f"--runner={name} is unknown; choose one of {', '.join(RUNNERS)}, or give "
                         "a class as module.Class.")
    if place is None:
        return None
    module, _, attribute = place.partition(":")
    if name.lower() == "daskrunner":
        _require("dask.distributed", "pip install dask distributed")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--runner={name} cannot be imported: {error}.") from error


def _require(module, command):
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ModuleNotFoundError(f"This runner needs {module}: {command}.") from error


def _options(runner, given, num_workers):
    """Beam's options, those of the user before ours.

    Raises:
        ValueError: One is unknown to Beam and the runner.
    """
    words = shlex.split(given)
    users = PipelineOptions(words)
    named = users.get_all_options(drop_default=True, retain_unknown_options=True)
    unknown = sorted(set(named) - set(PipelineOptions([]).get_all_options()))
    loose = [word for word, before in zip(words, ["", *words], strict=False)
             if not word.startswith("--") and (not before.startswith("--") or "=" in before)]
    if unknown or loose:
        raise ValueError("--pipeline_options has what Beam does not know: "
                         f"{', '.join([*(f'--{name}' for name in unknown), *loose])}.")
    ours = {"default_sdk_harness_log_level": "ERROR",
            "sdk_harness_log_level_overrides": {beam_worker.OURS: "INFO"}}
    if runner.lower() == "directrunner":
        # Workers are new processes that must find these packages where this one found them.
        root = str(pathlib.Path(style_transfer.__file__).resolve().parents[1])
        paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        if root not in paths:
            os.environ["PYTHONPATH"] = os.pathsep.join([root, *paths])
        if "direct_running_mode" not in named:
            ours["direct_num_workers"] = num_workers
    return PipelineOptions(words, **{name: value for name, value in ours.items()
                                     if name not in named})


def _direct(name, options):
    """Beam's runner of that name; its DirectRunner without the attempt to download another.

    Beam's own switch prefers the Prism runner, a Go program that it fetches from the network.
    """
    if name.lower() != "directrunner":
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
