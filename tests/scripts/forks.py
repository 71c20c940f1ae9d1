"""Command lines in forks of one process that has imported what is slow to import: a second each.

python -m tests.scripts.forks FOLDER < lines.json   (a list of lists of words, run in FOLDER)

Without FOLDER the command lines are only parsed and none is run, so that nothing slow is needed.
"""

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
READY_SECS = 240


def run(lines, folder=None):
    """Runs lines one after the other; servers stay up until the last has ended.

    Args:
        lines: Lists of words, the command first.
        folder: Where they run; None if they are only to be parsed.

    Returns:
        A list of `[status, stdout and stderr]`.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.scripts.forks", *([] if folder is None else [str(folder)])],
        cwd=ROOT, input=json.dumps([[str(word) for word in line] for line in lines]),
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _entry(name, runs):
    from style_transfer.scripts import _cli, magenta

    if not runs:
        _cli._call = lambda main, argv, debug=False: 0
    if name in magenta.COMMANDS:
        return getattr(magenta, name)
    return importlib.import_module(f"style_transfer.scripts.{name}").run


def _start(line, output, runs):
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        for stream in (1, 2):
            os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
        sys.argv = line
        _entry(line[0], runs)()
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


def _ready(process, output, said):
    until = time.monotonic() + READY_SECS
    while time.monotonic() < until and not os.waitpid(process, os.WNOHANG)[0]:
        if output.exists() and said in output.read_text():
            return True
        time.sleep(0.05)
    return False


def _main(lines, folder=None):
    if folder is not None:
        _import()
        os.chdir(folder)
    results, servers = [], []
    with tempfile.TemporaryDirectory() as outputs:
        for place, line in enumerate(lines):
            output = pathlib.Path(outputs, str(place))
            process = _start(line, output, folder is not None)
            if folder is not None and line[0] in SERVERS:
                is_up = _ready(process, output, SERVERS[line[0]])
                servers += [process] * is_up
                status = 1 - is_up
            else:
                status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            print(f"{status}: {' '.join(line)}", file=sys.stderr, flush=True)
            results.append([status, output])
        for process in servers:
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)
        print(json.dumps([[status, output.read_text()] for status, output in results]))


if __name__ == "__main__":
    _main(json.load(sys.stdin), *sys.argv[1:])
