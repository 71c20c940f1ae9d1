"""Which code results come from, so that changed code measures anew."""

import ast
import functools
import pathlib

from style_transfer.evaluation import pairs

PACKAGE = "style_transfer"
ROOT = pathlib.Path(__file__).resolve().parents[1]


@functools.cache
def fingerprint(*modules):
    """Hash of the source of modules and of all of this package that they import.

    Args:
        *modules: Full names, such as `style_transfer.audio`; of a folder all modules below.
    """
    return pairs.files_hash(reached(*modules))


def reached(*modules):
    """Files of modules and of all of this package that they import, sorted.

    The imports are read, not run: those inside functions count too, and those that a function makes
    from a string do not.

    Args:
        *modules: As for `fingerprint`.

    Returns:
        List of `pathlib.Path`.
    """
    waiting = [path for name in modules for path in (*_files(name), *_below(name))]
    found = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imported(path) for file in _files(name)]
    return sorted(found)


def _imported(path):
    """Names that may be modules of this package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name):
    """What importing a module, or what is named in one, runs: its file and its packages'."""
    first, *rest = name.split(".")
    if first != PACKAGE:
        return
    folder = ROOT
    yield folder / "__init__.py"
    for part in rest:
        if (folder / f"{part}.py").is_file():
            yield folder / f"{part}.py"
            return
        folder = folder / part
        if not (folder / "__init__.py").is_file():
            return
        yield folder / "__init__.py"


def _below(name):
    folder = ROOT.joinpath(*name.split(".")[1:])
    return folder.rglob("*.py") if folder.is_dir() else ()
