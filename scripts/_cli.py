"""What every command shares: help, quiet logs, a Keras backend, errors a user can act on.

Nothing heavy is imported here, so that `--help` answers at once.
"""

import atexit
import io
import os
import sys
import warnings

from absl import flags

import style_transfer
from style_transfer import files
from style_transfer.scripts import _flags

HELP_FLAGS = frozenset({"--help", "-help", "-h", "-?", "--helpshort", "-helpshort"})

# note-seq imports pydub, which looks for a program that nothing here needs.
_PYDUB_SAYS = "Couldn't find ffmpeg"
# What a user can cause and mend. Anything else is a fault of the program and keeps its traceback.
_USER_ERRORS = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ModuleNotFoundError,
    files.UnwritableError,
)


def run(main):
    """Runs a command: parses its flags, calls `main(argv)`, exits with the status it returns.

    An error that a user can cause ends the program with one line `error: ...` on stderr and exit
    status 1; so does a wrong flag. `--debug` shows the traceback as well.

    Args:
        main: The command, a function of `argv`: the program's name and what is left of the
            command line after the flags. It returns an exit status; None means 0. The flags of
            its module are the command's.
    """
    module = main.__module__
    names = _flags.own(module)
    sys.exit(call(lambda argv, _: main(argv), sys.argv, lambda _: flags.FLAGS,
                  lambda _: help_text(sys.modules[module].__doc__, _flags.described(names)),
                  lambda unknown, _: _flags.suggestion(unknown[0], flags.FLAGS, names), names))


def run_with(main, flags_of, help_of, why_unknown):
    """Runs a command whose flags depend on its command line; otherwise as `run`.

    Args:
        main: The command, a function of `argv` and its `flags.FlagValues`.
        flags_of: Gives the `flags.FlagValues` of a command line.
        help_of: Gives the help text for a command line.
        why_unknown: Gives what to say of unknown flags by their names and the command line.
    """
    sys.exit(call(main, sys.argv, flags_of, help_of, why_unknown))


def call(main, argv, flags_of, help_of, why_unknown, names=None):
    """`run_with` without the exit: gives the exit status.

    Args:
        main: As for `run_with`; so `flags_of`, `help_of` and `why_unknown`.
        argv: The command line.
        flags_of: See `main`.
        help_of: See `main`.
        why_unknown: See `main`.
        names: Names of the flags that are the command's own, None for all.
    """
    given = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    try:
        if HELP_FLAGS.intersection(given):
            print(help_of(argv), end="")
            return 0
        if given == ["--version"]:
            print(f"style-transfer {style_transfer.__version__}")
            return 0
        values = flags_of(argv)
        _flags.define_aliases(list(values) if names is None else names, values)
        if "debug" not in values:
            flags.DEFINE_bool("debug", False, "Show the traceback of an error, and TensorFlow's "
                              "logs.", flag_values=values)
        try:
            left = values(argv)
        except flags.UnrecognizedFlagError as error:
            unknown = [word.lstrip("-").partition("=")[0] for word in given if word[:1] == "-"]
            unknown = sorted({name for name in unknown if name not in values
                              and name.removeprefix("no") not in values}) or [error.flagname]
            raise ValueError(f"{why_unknown(unknown, argv)} (--help lists the flags)") from error
        _flags.check_required(values)
    except flags.Error as error:
        _report(f"{_one_line(error)} (--help lists the flags)")
        return 1
    except ValueError as error:
        _report(_one_line(error))
        return 1
    return _call(lambda rest: main(rest, values), left, values["debug"].value) or 0


def help_text(doc, described):
    """What `--help` prints: the command's docstring, then its flags."""
    return (f"{(doc or '').strip()}\n\n{described}\n\n"
            "  --version, --debug (tracebacks and TensorFlow's logs), --flagfile=<file of flags>\n")


def prepare_environment(debug=False):
    """Chooses the Keras backend and silences TensorFlow, where the user has not chosen.

    Args:
        debug: Leave the logs and warnings of libraries as they are.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        warnings.filterwarnings("ignore", _PYDUB_SAYS, RuntimeWarning)
        warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
        # Processes that are started begin with what stands in the environment.
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (
            os.environ.get("PYTHONWARNINGS"), f"ignore:{_PYDUB_SAYS}:RuntimeWarning")))


def _call(main, argv, debug=False):
    prepare_environment(debug=debug)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files that are no text
    try:
        return main(argv)
    except KeyboardInterrupt as stopped:
        _report(_one_line(stopped) if str(stopped) else "interrupted")
        return getattr(stopped, "exit_status", 130)
    except (*_USER_ERRORS, OSError) as error:
        fault = files.disk_fault(error)
        if debug or (fault is None and not isinstance(error, _USER_ERRORS)):
            raise
        _report(fault or _one_line(error))
        return 1


@atexit.register
def _leave_functions():
    """Keeps TensorFlow 2.16 from a traceback for each function that Python takes down with it."""
    functions = sys.modules.get("tensorflow.python.eager.polymorphic_function.atomic_function")
    if functions is not None:
        functions.AtomicFunction.__del__ = lambda self: None


def _report(message):
    print(f"error: {message}", file=sys.stderr)


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
