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
    loaded, defined = _forget_flags()
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
        _remember_flags(loaded, defined)
    return status or 0, out.getvalue(), err.getvalue()


def _forget_flags():
    """Two commands cannot define one flag in one process, so the last one's are taken back.

    Returns:
        The commands' modules by name, and (module, flag) of what they had defined.
    """
    package = importlib.import_module(PACKAGE)
    names = [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]
    loaded = {name: sys.modules.pop(name) for name in names}
    for name in names:
        vars(package).pop(name.rpartition(".")[2], None)
    defined = [(module, flag) for module, found in flags.FLAGS.flags_by_module_dict().items()
               if module.startswith(PACKAGE) for flag in found]
    for _, flag in defined:
        if flag.name in flags.FLAGS:
            delattr(flags.FLAGS, flag.name)
    return loaded, defined


def _remember_flags(loaded, defined):
    """Puts back what `_forget_flags` took: tests that import a command go on with its flags."""
    package = importlib.import_module(PACKAGE)
    for name, module in loaded.items():
        sys.modules[name] = module
        setattr(package, name.rpartition(".")[2], module)
    for module, flag in defined:
        flags.FLAGS[flag.name] = flag
        flags.FLAGS.register_flag_by_module(module, flag)
