"""Files of an SFZ instrument: text of any encoding, samples by names as Windows takes them."""

import dataclasses
import functools
import os
import pathlib
import struct
import unicodedata

_MOST_CHUNKS = 256


@dataclasses.dataclass(frozen=True)
class SampleInfo:
    """What a WAV file says of its own use, in the chunk `smpl`.

    Attributes:
        key: MIDI pitch at which it sounds as it is, with cents as a fraction; None if not said.
        loop: First and last sample of its loop, or None.
    """

    key: float | None = None
    loop: tuple | None = None


class Folder:
    """Finds files below a folder: either slash, leading ones, and upper and lower case all do.

    Args:
        path: The folder.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._names = functools.lru_cache(maxsize=None)(_names)
        self.find = functools.lru_cache(maxsize=None)(self._find)

    def _find(self, name):
        """Path of the file of this name, or None."""
        exact = self.path / name.replace("\\", "/")
        if exact.is_file():
            return exact
        here = self.path
        for part in name.replace("\\", "/").split("/"):
            if part in ("", "."):
                continue
            if part == "..":
                here = here / part
                continue
            found = self._names(here).get(_folded(part))
            if found is None:
                return None
            here = here / found
        return here if here.is_file() else None


def _names(folder):
    try:
        return {_folded(name): name for name in sorted(os.listdir(folder))}
    except OSError:
        return {}


def _folded(name):
    return unicodedata.normalize("NFC", name).casefold()


def read_text(path):
    """The text of a file in UTF-8, UTF-16 or, as Windows wrote it, CP1252."""
    data = pathlib.Path(path).read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    for order, zeros in (("le", data[1:200:2]), ("be", data[:200:2])):
        if zeros and not any(zeros):
            return data.decode(f"utf-16-{order}", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def sample_info(path):
    """The `SampleInfo` of a file; an empty one where it says nothing.

    Source: Microsoft, Multimedia programming interface and data specifications 1.0, 1991 (RIFF);
    its addendum of 1994 (`smpl`).
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return SampleInfo()
        for _ in range(_MOST_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                break
            name, size = struct.unpack("<4sI", chunk)
            if name == b"smpl":
                return _of_smpl(file.read(min(size, 60)))
            file.seek(size + size % 2, os.SEEK_CUR)
    return SampleInfo()


def _of_smpl(body):
    if len(body) < 36:
        return SampleInfo()
    note, fraction = struct.unpack_from("<II", body, 12)
    count, = struct.unpack_from("<I", body, 28)
    key = note + fraction / 2 ** 32 if note < 128 else None
    if not count or len(body) < 60:
        return SampleInfo(key)
    start, end = struct.unpack_from("<II", body, 44)
    return SampleInfo(key, (start, end) if end > start else None)
