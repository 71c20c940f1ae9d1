import os
import pathlib

import pytest

from style_transfer import remote

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store():
    """An empty store in memory."""
    files = fsspec.filesystem("memory")  # one for the process, which other tests fill too
    files.store.clear()
    yield files
    files.store.clear()


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
        pathlib.Path(local, ".partial-1").write_bytes(b"no")
        pathlib.Path(local, ".1-a.part").write_bytes(b"no")
        send()
        assert names(store) == ["/b/run/kept/x", "/b/run/new/y"]
        pathlib.Path(local, "new/y").write_bytes(b"34")
    assert store.cat("/b/run/new/y") == b"34" and not os.path.exists(local)
    with remote.folder("/a/path") as (local, send):
        assert local == "/a/path" and send() is None


def test_results_of_generate_may_go_to_a_url(store, monkeypatch):
    from style_transfer import configs, files
    from style_transfer import options as options_lib
    from style_transfer.models import base
    from tests.commands import run_command

    class Writer(base.Generator):
        options = options_lib.Options

        def generate(self, load, options, report):
            folder = pathlib.Path(options.output_dir)
            count = len(list(folder.iterdir()))
            (folder / ".ledger").write_text(str(count))
            (folder / f"{count}.wav").write_bytes(b"sound")
            return files.Summary(read=1, written=1)

    config = configs.Config(name="writer", description="", generator=Writer)
    monkeypatch.setattr(configs, "get", lambda name: config)
    for _ in range(2):
        status, _, errors = run_command("style_transfer_generate", "--config=writer",
                                        "--output_dir=memory://b/out")
        assert status == 0, errors
    assert names(store) == ["/b/out/.ledger", "/b/out/0.wav", "/b/out/2.wav"]


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
