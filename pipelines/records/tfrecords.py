"""TFRecord files without TensorFlow, whose import takes longer than converting many files.

A record is its length as little-endian uint64, the masked CRC-32C of those eight bytes, the data,
and the masked CRC-32C of the data.

Source: TensorFlow's `core/lib/io/record_writer.h` (framing, mask); RFC 3720, appendix B.4
(CRC-32C).
"""

import contextlib
import functools
import os
import struct
from collections.abc import Iterator

import numpy as np

from style_transfer import files as local_files
from style_transfer.pipelines import files

_POLYNOMIAL = 0x82F63B78  # CRC-32C, bit-reversed
_MASK_DELTA = 0xA282EAD8
_BLOCK_BYTES = 256  # bytes whose checksum contributions are looked up together
_SLAB_BYTES = 1 << 20  # bounds the memory of those look-ups


@functools.cache
def _block_table() -> np.ndarray:
    """What byte value `b` at place `i` of a block adds to the block's CRC, shape `[block, 256]`."""
    table = np.empty((_BLOCK_BYTES, 256), np.uint32)
    byte = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        byte = np.where(byte & 1, (byte >> 1) ^ np.uint32(_POLYNOMIAL), byte >> 1)
    table[-1] = byte
    for i in range(_BLOCK_BYTES - 2, -1, -1):
        table[i] = byte[table[i + 1] & 255] ^ (table[i + 1] >> 8)
    return table


@functools.cache
def _carry_tables() -> list[list[int]]:
    """How the state before a block reaches its end: the first four rows of the table, as lists."""
    return _block_table()[:4].tolist()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`.

    The CRC is linear, so every byte's contribution is looked up by its place in a block of
    256 bytes, all at once; only one step a block is sequential.
    """
    if len(data) < 4:
        return _crc32c_bytewise(data)
    padding = -len(data) % _BLOCK_BYTES  # leading zeros leave a zero state as it is
    padded = np.zeros(padding + len(data), np.uint8)
    padded[padding:] = np.frombuffer(data, np.uint8)
    padded[padding : padding + 4] ^= 0xFF  # the initial state of all ones
    first, second, third, fourth = _carry_tables()
    state = 0
    for start in range(0, len(padded), _SLAB_BYTES):
        for block in _block_checksums(padded[start : start + _SLAB_BYTES]):
            state = (
                block
                ^ first[state & 255]
                ^ second[(state >> 8) & 255]
                ^ third[(state >> 16) & 255]
                ^ fourth[state >> 24]
            )
    return state ^ 0xFFFFFFFF


def _block_checksums(slab: np.ndarray) -> list[int]:
    places = np.arange(_BLOCK_BYTES, dtype=np.int32) * 256
    indices = slab.reshape(-1, _BLOCK_BYTES) + places
    return np.bitwise_xor.reduce(_block_table().ravel()[indices], axis=1).tolist()


def _crc32c_bytewise(data: bytes) -> int:
    table = _block_table()[-1].tolist()
    state = 0xFFFFFFFF
    for byte in data:
        state = table[(state ^ byte) & 255] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """CRC-32C of `data`, rotated and offset as TFRecord files store it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    """One TFRecord as it stands in a file: length, checksum, `data`, checksum."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (
            length,
            struct.pack("<I", masked_crc32c(length)),
            data,
            struct.pack("<I", masked_crc32c(data)),
        )
    )


def read_records(path: str | os.PathLike, start: int = 0,
                 stop: int | None = None) -> Iterator[bytes]:
    """Yields the records of an uncompressed TFRecord file, one at a time.

    Args:
        path: Path or URL.
        start: Byte at which the first record begins.
        stop: Byte before which the last one begins; None for all.

    Raises:
        ValueError: The file ends inside a record or a checksum is wrong.
    """
    with files.open_bytes(os.fspath(path)) as file:
        file.seek(start)
        while (stop is None or file.tell() < stop) and (header := file.read(12)):
            length, length_crc = struct.unpack("<QI", header.ljust(12, b"\0"))
            if len(header) < 12 or masked_crc32c(header[:8]) != length_crc:
                raise ValueError(f"{path} is damaged: bad record length at byte {file.tell()}.")
            data, crc = file.read(length), file.read(4)
            if len(crc) < 4 or masked_crc32c(data) != struct.unpack("<I", crc)[0]:
                raise ValueError(f"{path} is damaged or cut short at byte {file.tell()}.")
            yield data


def scan(path: str | os.PathLike, head_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yields where each record begins and its first bytes, without reading or checking the rest.

    Raises:
        ValueError: The file ends inside a record.
    """
    with files.open_bytes(os.fspath(path)) as file:
        while header := file.read(12):
            if len(header) < 12:
                raise ValueError(f"{path} is damaged: bad record length at byte {file.tell()}.")
            start, length = file.tell() - 12, struct.unpack("<Q", header[:8])[0]
            yield start, file.read(min(length, head_bytes))
            file.seek(start + 12 + length + 4)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike):
    """`files.written_whole`, opened for bytes; makes the folder."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with local_files.written_whole(path) as partial, open(partial, "wb") as file:
        yield file
