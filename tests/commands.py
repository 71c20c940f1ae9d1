"""Runs commands in this process: importing TensorFlow takes longer than most of what they do."""

import contextlib
import importlib
import io
import sys

from absl import flags

PACKAGE = "style_transfer.scripts"


def run_command(name, *arguments):
    """Runs a command as its console script would.

    Args:
        name: Its name, such as `style_transfer_train`.
        *arguments: Its command line.

    Returns:
        Its exit status, what it printed, and what it printed as errors.
    """
    _forget_flags()
    module = importlib.import_module(f"{PACKAGE}.{name}")
    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, [name, *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = module.run()
            except SystemExit as stop:
                status = stop.code
    finally:
        sys.argv = argv
        _forget_flags()
    return status or 0, out.getvalue(), err.getvalue()


def _forget_flags():
    """Two commands cannot define one flag in one process, so the last one's are taken back."""
    package = importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
        vars(package).pop(name.rpartition(".")[2], None)
    ours = [flag.name for module, defined in flags.FLAGS.flags_by_module_dict().items()
            if module.startswith(PACKAGE) for flag in defined]
    for name in ours:
        if name in flags.FLAGS:
            delattr(flags.FLAGS, name)
