"""Command lines in forks of one process that has imported what is slow to import: a second each.

python -m tests.scripts.forks [FOLDER]

reads lines of JSON, `{"line": [word, ...], "secs": limit}`, runs each in FOLDER, and answers with
`{"status": ..., "output": ...}`. Without FOLDER command lines are only parsed and none is run, so
that nothing slow is needed.
"""

import contextlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).parents[2]
SERVERS = {"style_transfer_serve": "serving ", "style_transfer_app": "open "}
LIMIT_SECS = 240.0


class Forks:
    """Runs command lines one after the other; servers stay up until the `with` block ends.

    Args:
        folder: Where they run; None if they are only to be parsed.
    """

    def __init__(self, folder=None):
        self._folder = [] if folder is None else [str(folder)]

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scripts.forks", *self._folder], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)})
        return self

    def __exit__(self, *_):
        self._process.stdin.close()  # whereupon it stops its servers and ends
        try:
            self._process.wait(LIMIT_SECS)
        finally:
            self._process.kill()
            self._process.stdout.close()

    def run(self, line, limit_secs=LIMIT_SECS):
        """Runs one line, of a server until it is up.

        Args:
            line: List of words, the command first; `python` runs the code of its one argument.
            limit_secs: After this time it is killed, with all processes that it started.

        Returns:
            Its exit status, not 0 if it was killed, and its stdout and stderr.
        """
        self._process.stdin.write(json.dumps(
            {"line": [str(word) for word in line], "secs": limit_secs}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], answer["output"]


def run(lines, folder=None):
    """Runs lines, see `Forks`: a list of exit statuses and outputs."""
    with Forks(folder) as forks:
        return [forks.run(line) for line in lines]


def _entry(name, runs):
    from style_transfer.scripts import _cli, magenta

    if not runs:
        _cli._call = lambda main, argv, debug=False: 0
    if name == "python":
        return lambda: exec(sys.argv[1], {"__name__": "__main__"})
    if name in magenta.COMMANDS:
        return getattr(magenta, name)
    return importlib.import_module(f"style_transfer.scripts.{name}").run


def _start(line, output, runs):
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setsid()  # so that what it starts can be ended with it
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
        sys.argv = line
        _entry(line[0], runs)()
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _import():
    from style_transfer.scripts import _cli
    from style_transfer.symbolic import encodings

    _cli.prepare_environment()
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    for module in ("music_vae/data.py", "drums_rnn/drums_rnn_pipeline.py"):
        encodings.magenta_module(module)


def _status(process, output, limit_secs, said=None):
    """Of a process that has ended, or has said `said`: exit status, processor seconds if known."""
    until = time.monotonic() + limit_secs
    while time.monotonic() < until:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        if said is not None and output.exists() and said in output.read_text():
            return 0, float("nan")
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with open(output, "a") as file:
        file.write(f"\nkilled: it took longer than {limit_secs:g} s\n")
    return -signal.SIGKILL, float("nan")


def _main(folder=None):
    # What is imported and run may print anything: the answers have a stream of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if folder is not None:
        _import()
        os.chdir(folder)
    servers = []
    with tempfile.TemporaryDirectory() as outputs:
        for place, text in enumerate(sys.stdin):
            asked = json.loads(text)
            line, output = asked["line"], pathlib.Path(outputs, str(place))
            begun = time.monotonic()
            process = _start(line, output, folder is not None)
            said = SERVERS.get(line[0]) if folder is not None else None
            status, used_secs = _status(process, output, asked["secs"], said)
            if said and not status:
                servers.append(process)
            print(f"{status} after {time.monotonic() - begun:.1f} s ({used_secs:.1f} processor "
                  f"seconds): {' '.join(line)}", file=sys.stderr, flush=True)
            print(json.dumps({"status": status, "output": output.read_text()}), file=answers,
                  flush=True)
        for process in servers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
            _status(process, output, 20.0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
