"""Text of an SFZ file -> one flat dictionary of opcodes per region.

Covers the language, not the sound: comments, `#define`, `#include`, `<control>`, `<curve>` and
the inheritance `<global>` -> `<master>` -> `<group>` -> `<region>`. What opcodes mean is in
`sfz_region`.

Source: sfzformat.com, SFZ v1, v2 and ARIA headers and directives.
"""

import dataclasses
import os
import pathlib
import re

from style_transfer.pipelines.rendering import sfz_files, sfz_region

LEVELS = ("global", "master", "group", "region")
MAX_INCLUDES = 1000
_OFFSETS = ("note_offset", "octave_offset")
_OF_ONE_CONTROL = ("default_path", *_OFFSETS)
MAX_DEPTH = 32
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINE = re.compile(r"#define\s+(\$\w+)\s+(\S+)")
_INCLUDE = re.compile(r'#include\s+"([^"]+)"')
_TOKEN = re.compile(r"<(\w+)>|(?:(?<=\s)|(?<=>)|^)([A-Za-z_]\w*)=")


@dataclasses.dataclass(frozen=True)
class Instrument:
    """What an SFZ file says.

    Attributes:
        path: The file.
        regions: One dictionary opcode -> text per region, everything inherited, the offsets of
            keys in its `<control>` included.
        control: Opcodes of the `<control>` header.
        curves: Curve index -> {position 0-127: value}.
    """

    path: pathlib.Path
    regions: list
    control: dict
    curves: dict


def parse(path: str | os.PathLike) -> Instrument:
    """Reads an SFZ file with everything it includes.

    Args:
        path: Path of the `.sfz` file.

    Returns:
        An `Instrument`.

    Raises:
        FileNotFoundError: The file, or one that it includes, is missing.
        ValueError: Files include each other, or there is no region.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no SFZ file {str(path)!r}.")
    state = _State(path)
    for line in _lines(path, sfz_files.Folder(path.parent), {}, [0], 0):
        state.feed(line)
    state.end_block()
    if not state.regions:
        raise ValueError(f"{path} describes no <region>: it is no SFZ instrument. Give another.")
    return Instrument(path, state.regions, state.control, state.curves)


def _lines(path, root, defines, count, depth):
    """Lines of the file and of what it includes, comments gone and variables replaced."""
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_INCLUDES:
        raise ValueError(f"{path} is included without end. Remove the circular #include.")
    text = _COMMENT.sub(" ", sfz_files.read_text(path))
    for line in text.splitlines():
        line = line.split("//", 1)[0]
        define = _DEFINE.search(line)
        while define:
            defines[define[1]] = _expand(define[2], defines)
            line = line[: define.start()] + " " + line[define.end():]
            define = _DEFINE.search(line)
        line = _expand(line, defines)
        include = _INCLUDE.search(line)
        if include is None:
            yield line
            continue
        yield line[: include.start()]
        target = root.find(include[1])
        if target is None:
            raise FileNotFoundError(f"{path.name} includes {include[1]!r}, which is not there.")
        yield from _lines(target, root, defines, count, depth + 1)
        yield line[include.end():]


def _expand(text, defines):
    if "$" not in text:
        return text
    for name in sorted(defines, key=len, reverse=True):
        text = text.replace(name, defines[name])
    return text


class _State:
    """The header that is open, and what its parents hold."""

    def __init__(self, path):
        self.path = path
        self.levels = {level: {} for level in LEVELS}
        self.control, self.curves, self.regions = {}, {}, []
        self.header, self.block = None, {}

    def feed(self, line):
        tokens = list(_TOKEN.finditer(line))
        for i, token in enumerate(tokens):
            if token[1]:
                self.end_block()
                self.header = token[1].lower()
            else:
                stop = tokens[i + 1].start() if i + 1 < len(tokens) else len(line)
                self.block[token[2]] = line[token.end():stop].strip()

    def end_block(self):
        header, block, self.block = self.header, self.block, {}
        if header == "control":
            # Where controllers stand adds up; where samples and keys lie begins anew.
            for name in _OF_ONE_CONTROL:
                self.control.pop(name, None)
            self.control.update(block)
        elif header == "curve" and block.get("curve_index", "").isdigit():
            self.curves[int(block["curve_index"])] = {
                int(name[1:]): sfz_region.number(value) for name, value in block.items()
                if re.fullmatch(r"v\d{3}", name)
            }
        elif header in LEVELS:
            self._enter(header, block)

    def _enter(self, header, block):
        if "sample" in block and not block["sample"].startswith("*"):
            block["sample"] = self.control.get("default_path", "") + block["sample"]
        rank = LEVELS.index(header)
        self.levels[header] = block
        for below in LEVELS[rank + 1:]:
            self.levels[below] = {}
        if header == "region":
            merged = {}
            for level in LEVELS:
                merged.update(self.levels[level])
            offsets = {name: self.control[name] for name in _OFFSETS if name in self.control}
            self.regions.append({**merged, **offsets})
