import os
import pathlib

import pytest

from style_transfer import remote

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store():
    """An empty store in memory."""
    files = fsspec.filesystem("memory")
    yield files
    for path in files.find("/"):
        files.rm_file(path)


def names(store):
    return sorted(store.find("/"))


def test_a_folder_is_fetched_and_what_changed_is_sent(store):
    store.pipe({"/b/run/old": b"1", "/b/run/kept/x": b"2"})
    with remote.folder("memory://b/run") as (local, send):
        assert pathlib.Path(local).name == "run"
        assert pathlib.Path(local, "kept/x").read_bytes() == b"2"
        os.remove(pathlib.Path(local, "old"))
        pathlib.Path(local, "new").mkdir()
        pathlib.Path(local, "new/y").write_bytes(b"3")
        pathlib.Path(local, ".partial").write_bytes(b"no")
        send()
        assert names(store) == ["/b/run/kept/x", "/b/run/new/y"]
        pathlib.Path(local, "new/y").write_bytes(b"34")
    assert store.cat("/b/run/new/y") == b"34" and not os.path.exists(local)
    with remote.folder("/a/path") as (local, send):
        assert local == "/a/path" and send() is None


def test_names_alone_are_fetched_and_not_sent_back(store):
    store.pipe("/out/piece.wav", b"sound")
    with remote.folder("memory://out", names_only=True) as (local, _):
        assert os.listdir(local) == ["piece.wav"]
        pathlib.Path(local, "other.wav").write_bytes(b"new")
    assert store.cat("/out/piece.wav") == b"sound" and store.cat("/out/other.wav") == b"new"


def test_what_is_needed_as_a_path_is_copied_once(store):
    store.pipe({"/w/config.json": b"{}", "/w/ckpt-1/a": b"1"})
    copy = remote.local_copy("memory://w")
    assert (copy / "ckpt-1" / "a").read_bytes() == b"1" and copy.name == "w"
    assert remote.local_copy("memory://w") == copy
    assert remote.local_copy("memory://w/config.json").read_bytes() == b"{}"
    assert sorted(remote.names("memory://w")) == ["ckpt-1", "config.json"]
    assert remote.names("memory://nothing") == []
    assert remote.read_text("memory://w/config.json") == "{}"
    assert remote.read_text("memory://w/none") is None
    with pytest.raises(FileNotFoundError, match="nothing at memory://nowhere"):
        remote.local_copy("memory://nowhere")


def test_unknown_schemes_are_errors():
    with pytest.raises(ValueError, match="tape://x cannot be opened: .*tape"):
        remote.file_system("tape://x")
