"""What every command shares: help, quiet logs, a Keras backend, errors a user can act on.

Nothing heavy is imported here, so that `--help` answers at once.
"""

import os
import sys
import warnings

from absl import app, flags

HELP_FLAGS = frozenset({"--help", "-help", "-h", "-?", "--helpshort", "-helpshort"})

# What a user can cause and mend. Anything else is a fault of the program and keeps its traceback.
_USER_ERRORS = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ModuleNotFoundError,
)

_DEBUG_HELP = "Show the traceback of an error, and TensorFlow's logs."
_DEBUG = flags.DEFINE_bool("debug", False, _DEBUG_HELP)


def run(main):
    """Runs a command: parses its flags, calls `main(argv)`, exits with the status it returns.

    An error that a user can cause ends the program with one line `error: ...` on stderr and exit
    status 1; so does a wrong flag. `--debug` shows the traceback as well.

    Args:
        main: The command, a function of `argv`: the program's name and what is left of the
            command line after the flags. It returns an exit status; None means 0.
    """
    app.run(
        lambda argv: _call(main, argv),
        flags_parser=lambda argv: _parse(argv, main.__module__),
    )


def run_with(main, flags_of, help_of, why_unknown):
    """Runs a command whose flags depend on its command line; otherwise as `run`.

    Args:
        main: The command, a function of `argv` and its `flags.FlagValues`.
        flags_of: Gives the `flags.FlagValues` of a command line.
        help_of: Gives the help text for a command line.
        why_unknown: Gives what to say of unknown flags by their names and the command line.
    """
    sys.exit(call_with(main, flags_of, help_of, why_unknown, sys.argv))


def call_with(main, flags_of, help_of, why_unknown, argv):
    """`run_with` without the exit: gives the exit status."""
    try:
        if HELP_FLAGS.intersection(argv[1:]):
            print(help_of(argv), end="")
            return 0
        values = flags_of(argv)
        flags.DEFINE_bool("debug", False, _DEBUG_HELP, flag_values=values)
        left = values(argv)
    except flags.UnrecognizedFlagError:
        _report(f"{why_unknown(_unknown(argv, values), argv)} (--help lists the flags)")
        return 1
    except flags.Error as error:
        _report(f"{_one_line(error)} (--help lists the flags)")
        return 1
    except ValueError as error:
        _report(_one_line(error))
        return 1
    return _call(lambda rest: main(rest, values), left, values["debug"].value) or 0


def _unknown(argv, values):
    """Names of the flags on a command line that are not among those defined, in order."""
    names = [word.lstrip("-").partition("=")[0] for word in argv[1:] if word.startswith("-")]
    return sorted({name for name in names
                   if name not in values and name.removeprefix("no") not in values})


def prepare_environment(debug=False):
    """Chooses the Keras backend and silences TensorFlow, where the user has not chosen.

    Args:
        debug: Leave the logs and warnings of libraries as they are.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # note-seq imports pydub, which looks for a program that nothing here needs.
        warnings.filterwarnings("ignore", "Couldn't find ffmpeg", RuntimeWarning)


def help_text(module_name):
    """What `--help` prints: the command's docstring, then its flags.

    Args:
        module_name: Name of the command's module, which has been imported.
    """
    doc = (sys.modules[module_name].__doc__ or "").strip()
    described = (_flags_of(module_name) + "\n" + _flags_of(__name__)).strip("\n")
    return f"{doc}\n\nFlags:\n{described}\n\n--helpfull lists the flags of the libraries too.\n"


def _flags_of(module_name):
    # The first line of absl's help names the module, which is no news to a user.
    return flags.FLAGS.module_help(module_name).strip("\n").partition("\n")[2]


def _parse(argv, module_name):
    own = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    if HELP_FLAGS.intersection(own):
        # absl's own help exits with 1, and under a console script does not find the flags.
        print(help_text(module_name), end="")
        sys.exit(0)
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _report(f"{_one_line(error)} (--help lists the flags)")
        sys.exit(1)


def _call(main, argv, debug=None):
    debug = _DEBUG.value if debug is None else debug
    prepare_environment(debug=debug)
    try:
        return main(argv)
    except KeyboardInterrupt:
        _report("interrupted")
        return 130
    except _USER_ERRORS as error:
        if debug:
            raise
        _report(_one_line(error))
        return 1


def _report(message):
    print(f"error: {message}", file=sys.stderr)


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
