"""The arrows of docs/architecture.md: which room may import which."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LINKED = ("configs", "pipelines", "scripts")
# Rooms from the highest to the lowest; each may import those further down, and none beside it.
FLOORS = (
    {"scripts"},
    {"configs"},
    {"serving", "pipelines"},
    {"models/*"},
    {"evaluation", "checkpoints"},
    {"spectrograms"},
    {"training"},
    {"content"},
    {"graph"},
    {"transcription", "symbolic"},
    {"models/base"},
    {"synthesis", "layers", "losses", "measure", "pictures"},
    {"strings"},
    {"signal", "piano_roll", "weights"},
    {"audio"},
    {"outputs"},
    {"arrays", "durations", "options", "processes", "recordings", "remote", "replicas"},
    {"files", "job_arrays", "midi"},
)


def _room(module):
    parts = module.split(".")[1:]
    if not parts:
        return None
    return "/".join(parts[:2]) if parts[0] == "models" and len(parts) > 1 else parts[0]


def _floor(room):
    names = (room, "models/*") if room.startswith("models/") else (room,)
    found = [place for name in names for place, rooms in enumerate(FLOORS) if name in rooms]
    assert found, f"the room {room} has no place in the house"
    return found[0]


def _modules():
    for folder in ("style_transfer", *LINKED):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield path, ".".join(("style_transfer",) * (folder in LINKED) + parts)


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def _arrows():
    for path, module in _modules():
        for imported in _imported(path):
            if imported.startswith("style_transfer."):
                here, there = _room(module), _room(imported)
                if here and there and here != there:
                    yield path.relative_to(ROOT), here, there, imported


def test_arrows_point_down():
    upward = [f"{path}: {imported}" for path, here, there, imported in _arrows()
              if _floor(there) <= _floor(here)
              and not (here.startswith("models/") and there == "models/base")]
    assert not upward


def test_no_family_imports_another():
    assert not [f"{path}: {imported}" for path, here, there, imported in _arrows()
                if here.startswith("models/") and there.startswith("models/")
                and there != "models/base"]


@pytest.mark.parametrize("name", LINKED)
def test_the_linked_folders_are_imported_under_the_one_name(name):
    bare = [f"{path.relative_to(ROOT)}: {imported}"
            for folder in ("style_transfer", *LINKED, "tests", "benchmarks", "examples")
            for path in (ROOT / folder).rglob("*.py") for imported in _imported(path)
            if imported.split(".")[0] == name]
    assert not bare
