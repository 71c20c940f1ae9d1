"""What holds for every command, and what scripts/_cli.py does for them."""

import ast
import importlib.util
import pathlib
import re
import runpy
import subprocess
import sys
import types

import pytest
import setuptools

import style_transfer
from style_transfer.scripts import _cli

ROOT = pathlib.Path(__file__).parents[2]
SLOW_TO_IMPORT = {
    "tensorflow", "keras", "note_seq", "librosa", "magenta", "ddsp", "apache_beam", "tcn", "scipy",
    "matplotlib", "pretty_midi", "soundfile",
}


def _commands():
    arguments = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", arguments.update)
        return runpy.run_path(str(ROOT / "setup.py"))["COMMANDS"]


def _python(*arguments, cwd=ROOT):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module", params=_commands())
def help_of(request):
    return request.param, _python(
        "-X", "importtime", "-m", f"style_transfer.scripts.{request.param}", "--help")


def test_help_imports_nothing_slow(help_of):
    _, result = help_of
    imported = set(re.findall(r"^import time:.*\| +(\w+)", result.stderr, flags=re.MULTILINE))
    assert "absl" in imported, result.stderr
    assert not imported & SLOW_TO_IMPORT


def test_help_describes_the_command_and_each_of_its_flags(help_of):
    name, result = help_of
    assert result.returncode == 0, result.stderr
    source = (ROOT / "scripts" / f"{name}.py").read_text()
    defined = re.findall(r"DEFINE_\w+\(\s*\"(\w+)\"", source)
    for line in re.findall(r"_flags.require\((.*)\)", source):
        for required in re.findall(r"\"(\w+)\"", line):
            section = result.stdout.partition(f"  --{required}\n")[2].partition("\n  --")[0]
            assert "(required)" in section, required
    shown = re.findall(r"^ +--(?:\[no\])?(\w+)", result.stdout, flags=re.MULTILINE)
    assert shown and set(defined) <= set(shown)
    assert result.stdout.splitlines()[0] == ast.get_docstring(ast.parse(source)).splitlines()[0]


@pytest.mark.parametrize("name", _commands())
def test_an_unknown_flag_is_named_and_fails(name):
    result = _python("-m", f"style_transfer.scripts.{name}", "--no_such_flag=1")
    assert result.returncode == 1
    assert result.stderr.startswith("error: unknown flag --no_such_flag")
    assert "run_with_pdb" not in result.stderr
    assert "Traceback" not in result.stderr


COMMAND = '''"""Divides.

More about dividing.
"""
import os
import subprocess
import sys
import warnings
from absl import flags
from style_transfer.scripts import _cli, _flags
_BY = flags.DEFINE_integer("by", None, "Divisor.")
_flags.require("by")

def main(argv):
    if _BY.value == 0:
        raise ValueError("Cannot divide\\n  by 0: give --by another value.")
    if _BY.value == 1:
        raise FileNotFoundError("There is no file 'x'.")
    if _BY.value == 2:
        raise ZeroDivisionError("a fault of the program")
    if _BY.value == 3:
        return 3
    if _BY.value == 6:
        warnings.warn("by 6 is slow")
    if _BY.value == 5:  # a worker
        warn = "import sys, warnings; [warnings.warn(t, RuntimeWarning) for t in sys.argv]"
        subprocess.run([sys.executable, "-c", warn, "Couldn't find ffmpeg", "mine"])
        return
    warnings.warn("Couldn't find ffmpeg or avconv - defaulting to ffmpeg", RuntimeWarning)
    print(os.environ["KERAS_BACKEND"], argv[1:])

if __name__ == "__main__":
    _cli.run(main)
'''


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    path = tmp_path_factory.mktemp("command") / "divide.py"
    path.write_text(COMMAND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield lambda *arguments: _python(str(path), *arguments)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (0, "error: Cannot divide by 0: give --by another value.\n"),
        (1, "error: There is no file 'x'.\n"),
    ],
)
def test_an_error_of_the_user_is_one_line_and_status_1(command, by, message):
    result = command(f"--by={by}")
    assert (result.returncode, result.stderr, result.stdout) == (1, message, "")


def test_a_warning_is_one_line(command):
    assert command("--by=6").stderr == "warning: by 6 is slow\n"


def test_debug_shows_the_traceback_of_the_same_error(command):
    result = command("--by=0", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "ValueError: Cannot divide" in result.stderr


def test_a_fault_of_the_program_keeps_its_traceback(command):
    result = command("--by=2")
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "a fault of the program" in result.stderr


def test_the_status_of_main_is_the_status_of_the_command(command):
    assert command("--by=3").returncode == 3


def test_a_missing_required_flag_fails_and_is_named(command):
    result = command()
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and "--by" in result.stderr


def test_a_good_run_has_a_keras_backend_and_its_positional_arguments(command, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND")
    assert command("--by=4", "more").stdout == "tensorflow ['more']\n"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert command("--by=4").stdout == "jax []\n"


def test_a_library_missing_ffmpeg_is_no_news_to_a_user_but_to_a_developer(command):
    assert command("--by=4").stderr == ""
    assert "ffmpeg" in command("--by=4", "--debug").stderr
    in_worker = command("--by=5").stderr
    assert "RuntimeWarning: mine" in in_worker and "ffmpeg" not in in_worker


def test_help_is_for_flags_only_before_the_double_dash(command):
    assert command("--by=4", "--", "--help").stdout == "tensorflow ['--help']\n"
    assert command("--help").stdout.startswith(
        "Divides.\n\nMore about dividing.\n\n  --by\n    Divisor. (required)\n")


def test_the_version_is_the_packages(command):
    assert command("--version").stdout == f"style-transfer {style_transfer.__version__}\n"


def test_functions_that_tensorflow_takes_down_say_nothing(monkeypatch):
    name = "tensorflow.python.eager.polymorphic_function.atomic_function"
    assert importlib.util.find_spec(name), "there is nothing to keep quiet any more"

    class Counted:
        def __del__(self):
            raise TypeError("what it counted in is gone")

    monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(AtomicFunction=Counted))
    _cli._leave_functions()
    Counted().__del__()
