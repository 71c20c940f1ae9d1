"""`tf.train.Example` on the wire, without TensorFlow and without reading what is not asked for.

A worker that only writes records should not pay ten seconds and 400 MB for TensorFlow, and an
input pipeline that wants three seconds of a ten-minute performance should not read the rest. So
features are encoded directly, and found in a file by walking over their headers.

Source: tensorflow/core/example/{example,feature}.proto; protobuf's encoding guide.
"""

import struct
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from style_transfer.midi.proto_wire import bytes_field, varint

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOATS, _INTS = 2, 3  # field numbers of a Feature; 1 is a list of bytes
_MAX_VARINT_BYTES = 10
WINDOW_BYTES = 4096  # what one read of a header fetches ahead

ReadAt = Callable[[int, int], bytes]


def encode_example(features: Mapping[str, object]) -> bytes:
    """Serializes features as a `tf.train.Example`, in the order given.

    Args:
        features: Name to value. `str` and `bytes` become a list of one bytes value, integers and
            integer arrays a list of int64, floats and float arrays a list of float32.

    Raises:
        TypeError: A value is of another type.
    """
    entries = []
    for name, value in features.items():
        entry = bytes_field(1, name.encode()) + bytes_field(2, _feature(name, value))
        entries.append(bytes_field(1, entry))
    return bytes_field(1, b"".join(entries))


def _feature(name: str, value: object) -> bytes:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return bytes_field(1, bytes_field(1, value))
    numbers = np.atleast_1d(np.asarray(value))
    if numbers.ndim == 1 and np.issubdtype(numbers.dtype, np.floating):
        return bytes_field(_FLOATS, bytes_field(1, numbers.astype("<f4").tobytes()))
    if numbers.ndim == 1 and np.issubdtype(numbers.dtype, np.integer):
        packed = b"".join(varint(int(number)) for number in numbers)
        return bytes_field(_INTS, bytes_field(1, packed))
    raise TypeError(f"Feature {name!r} is text, bytes, or a vector of numbers, got {value!r}.")


def windowed(read_at: ReadAt) -> ReadAt:
    """`read_at` that fetches `WINDOW_BYTES` at a time, so that walking headers stays cheap."""
    start, window = 0, b""

    def read(offset: int, size: int) -> bytes:
        nonlocal start, window
        if size > WINDOW_BYTES:
            return read_at(offset, size)
        if not start <= offset <= offset + size <= start + len(window):
            start, window = offset, read_at(offset, WINDOW_BYTES)
        return window[offset - start : offset - start + size]

    return read


def locate_features(read_at: ReadAt, start: int, end: int) -> dict[str, tuple[int, int, int]]:
    """Where each feature of the Example in bytes `start` to `end` has its values.

    Args:
        read_at: `(offset, size)` to at most `size` bytes of the file.
        start: The Example's first byte.
        end: The byte after its last.

    Returns:
        Name to `(kind, start, end)` of the serialized list: kind 1 bytes, 2 floats, 3 ints.

    Raises:
        ValueError: The bytes are no Example.
    """
    found = {}
    for features in _children(read_at, start, end):
        for entry in _children(read_at, *features[1:]):
            fields = {number: (first, last) for number, first, last in
                      _children(read_at, *entry[1:])}
            if 1 not in fields or 2 not in fields:
                raise ValueError("an entry without name or value")
            name = read_at(fields[1][0], fields[1][1] - fields[1][0]).decode()
            for kind in _children(read_at, *fields[2]):
                found[name] = kind
    return found


def bytes_span(read_at: ReadAt, location: tuple[int, int, int]) -> tuple[int, int]:
    """`(start, end)` of the first value of a located bytes feature."""
    kind, start, end = location
    value = next(_children(read_at, start, end), None) if kind == 1 else None
    if value is None:
        raise ValueError("a feature that should hold bytes does not")
    return value[1:]


def read_numbers(read_at: ReadAt, location: tuple[int, int, int]) -> np.ndarray:
    """The values of a located float (float32) or integer (int64) feature, packed or not."""
    kind, start, end = location
    data = read_at(start, end - start)
    chunks, offset = [], 0
    while offset < len(data):
        tag, offset = _read_varint(data, offset)
        size = len(data) - offset
        if tag & 7 == _BYTES:
            size, offset = _read_varint(data, offset)
        elif tag & 7 == _FIXED32:
            size = 4
        elif tag & 7 == _VARINT:
            size = _read_varint(data, offset)[1] - offset
        chunks.append(data[offset : offset + size])
        offset += size
    payload = b"".join(chunks)
    if kind == _FLOATS:
        return np.frombuffer(payload, "<f4").astype(np.float32)
    if kind == _INTS:
        return _unpack_ints(payload)
    raise ValueError("a feature that should hold numbers does not")


def _unpack_ints(payload: bytes) -> np.ndarray:
    values, offset = [], 0
    while offset < len(payload):
        value, offset = _read_varint(payload, offset)
        values.append(value - (1 << 64) if value >> 63 else value)
    return np.array(values, np.int64)


def _children(read_at: ReadAt, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields `(field number, start, end)` of the length-delimited fields between two places."""
    while start < end:
        header = read_at(start, min(2 * _MAX_VARINT_BYTES, end - start))
        tag, used = _read_varint(header, 0)
        if tag & 7 == _BYTES:
            size, used = _read_varint(header, used)
            if start + used + size > end:
                raise ValueError("a field longer than what holds it")
            yield tag >> 3, start + used, start + used + size
            start += used + size
        elif tag & 7 == _VARINT:
            start += _read_varint(header, used)[1]
        else:
            sizes = {_FIXED32: 4, _FIXED64: 8}
            if tag & 7 not in sizes:
                raise ValueError(f"wire type {tag & 7}")
            start += used + sizes[tag & 7]


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for i, byte in enumerate(data[offset : offset + _MAX_VARINT_BYTES]):
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, offset + i + 1
    raise ValueError("a number that does not end")


def record_spans(read_at: ReadAt, file_bytes: int) -> Iterator[tuple[int, int]]:
    """Yields `(start, end)` of the data of each record of an uncompressed TFRecord file.

    Raises:
        ValueError: The file ends inside a record.
    """
    offset = 0
    while offset < file_bytes:
        header = read_at(offset, 8)
        length = struct.unpack("<Q", header)[0] if len(header) == 8 else file_bytes
        end = offset + 12 + length
        if end + 4 > file_bytes:
            raise ValueError(f"it ends inside the record that begins at byte {offset}")
        yield offset + 12, end
        offset = end + 4
