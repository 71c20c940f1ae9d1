"""TFRecord files: checksums by their definition, damage noticed, whole files or none."""

import os

import numpy as np
import pytest

from style_transfer.pipelines.records import tfrecords


def crc32c_by_definition(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def random_bytes(size):
    return np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 255, 256, 257, 259, 260, 261, 512, 1000])
def test_checksum_follows_the_definition(size):
    data = random_bytes(size)
    assert tfrecords.crc32c(data) == crc32c_by_definition(data)


def test_checksum_of_published_examples():
    assert tfrecords.crc32c(b"123456789") == 0xE3069283
    assert tfrecords.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert tfrecords.crc32c(b"\xff" * 32) == 0x62A8AB43


def test_checksum_does_not_depend_on_how_data_is_cut_into_slabs(monkeypatch):
    data = random_bytes(5000)
    whole = tfrecords.crc32c(data)
    monkeypatch.setattr(tfrecords, "_SLAB_BYTES", 1024)
    assert tfrecords.crc32c(data) == whole


def test_records_come_back(tmp_path):
    records = [random_bytes(size) for size in (0, 1, 300, 70_000)]
    with tfrecords.atomic_file(tmp_path / "file") as file:
        file.writelines(map(tfrecords.frame, records))
    assert list(tfrecords.read_records(tmp_path / "file")) == records


@pytest.mark.parametrize("place", [0, 8, 12, 20, -1])
def test_a_flipped_bit_is_noticed(tmp_path, place):
    data = bytearray(tfrecords.frame(b"something worth keeping"))
    data[place] ^= 1
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        list(tfrecords.read_records(tmp_path / "file"))


@pytest.mark.parametrize("size", [1, 11, 13, 30])
def test_a_cut_file_is_noticed(tmp_path, size):
    (tmp_path / "file").write_bytes(tfrecords.frame(b"something worth keeping")[:size])
    with pytest.raises(ValueError, match="damaged"):
        list(tfrecords.read_records(tmp_path / "file"))


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), tfrecords.atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
