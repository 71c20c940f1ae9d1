"""Protocol-buffer wire format for many small messages at once.

Building a NoteSequence note by note and serializing it costs more than reading the MIDI file it
came from. Here the fields of all notes are columns, encoded together.

Source: the Protocol Buffers encoding guide; fields with default values are left out, as proto3
does, so the bytes equal those of the official library.
"""

import numpy as np

_VARINT, _DOUBLE, _BYTES = 0, 1, 2


def varint(value: int) -> bytes:
    """Base-128 encoding of an integer; negative ones as 64-bit two's complement."""
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def int_field(number: int, value: int) -> bytes:
    """An integer or enum field, or nothing if it is zero."""
    return varint(number << 3 | _VARINT) + varint(value) if value else b""


def double_field(number: int, value: float) -> bytes:
    """A double field, or nothing if it is zero."""
    bits = np.float64(value).tobytes()
    return varint(number << 3 | _DOUBLE) + bits if any(bits) else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """A string, bytes or message field, even if it is empty."""
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def string_field(number: int, value: str) -> bytes:
    """A string field, or nothing if it is empty."""
    return bytes_field(number, value.encode()) if value else b""


def message_fields(number: int, columns: dict[int, np.ndarray]) -> bytes:
    """One repeated message field, all of whose messages have these columns.

    Args:
        number: Field number of the repeated message, 1-15.
        columns: Field number (1-15, ascending) to values, shape `[messages]`: float64 for double
            fields, any integer or bool dtype for varint fields.

    Returns:
        The encoded messages, tags and lengths included.
    """
    size = len(next(iter(columns.values())))
    if not size:
        return b""
    cells, present = [], []
    for field, values in columns.items():
        encode = _double_cells if values.dtype == np.float64 else _varint_cells
        encode(field, values, cells, present)
    length = np.zeros(size, np.uint8)
    for mask in present:
        length += mask
    head = [np.full(size, number << 3 | _BYTES, np.uint8), length]
    everything = np.stack(head + cells, axis=1)
    kept = np.ones(everything.shape, bool)
    kept[:, len(head) :] = np.stack(present, axis=1)
    return everything[kept].tobytes()


def _double_cells(field, values, cells, present):
    size = len(values)
    octets = values.astype("<f8").view(np.uint8).reshape(size, 8)
    mask = values.view(np.int64) != 0
    cells.append(np.full(size, field << 3 | _DOUBLE, np.uint8))
    cells.extend(octets.T)
    present.extend([mask] * 9)


def _varint_cells(field, values, cells, present):
    rest = values.astype(np.int64).view(np.uint64)
    mask = rest != 0
    cells.append(np.full(len(values), field << 3 | _VARINT, np.uint8))
    present.append(mask)
    while True:
        octet = (rest & np.uint64(0x7F)).astype(np.uint8)
        rest = rest >> np.uint64(7)
        more = rest != 0
        cells.append(octet | (more.view(np.uint8) << 7))
        present.append(mask)
        if not more.any():
            return
        mask = more
