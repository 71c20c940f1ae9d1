import os
import pathlib
import re

import pytest

from style_transfer import files

ENDINGS = (".wav", ".mid")


@pytest.fixture
def folder(tmp_path):
    for name in ("b.wav", "a.mid", "deep/c.WAV", "notes.txt", "out/old.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def names(paths, folder):
    return [pathlib.Path(path).relative_to(folder).as_posix() for path in paths]


def test_folders_are_searched_in_order_for_the_endings(folder):
    found = files.find([str(folder)], ENDINGS, "a file")
    assert names(found, folder) == ["a.mid", "b.wav", "deep/c.WAV", "out/old.wav"]


def test_what_an_earlier_run_wrote_inside_the_folder_is_left_out(folder):
    found = files.find([str(folder)], ENDINGS, "a file", str(folder / "out"))
    assert names(found, folder) == ["a.mid", "b.wav", "deep/c.WAV"]
    asked = files.find([str(folder / "out")], ENDINGS, "a file", str(folder / "out"))
    assert names(asked, folder) == ["out/old.wav"]


def test_a_file_named_twice_is_found_once(folder):
    found = files.find([str(folder / "b.wav"), str(folder / "*.wav")], ENDINGS, "a file")
    assert names(found, folder) == ["b.wav"]


@pytest.mark.parametrize("name", ["missing.wav", "no*.wav", "empty"])
def test_what_names_nothing_is_an_error(folder, name):
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="expected a file, a folder of them, or a glob"):
        files.find([str(folder / name)], ENDINGS, "a file")


def test_progress_is_not_printed_but_lines_are(capsys):
    files.say("half of it", again=True)
    files.say("all of it")
    assert capsys.readouterr().out == "all of it\n"


def test_results_go_to_folders(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "within"):
        with pytest.raises(ValueError, match="file is a file"):
            files.check_folder(path)
    files.check_folder(tmp_path)
    files.check_folder(tmp_path / "new" / "within")


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with files.written_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.parent.parent == tmp_path
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["file"]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.written_whole(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    with pytest.raises(FileNotFoundError), files.written_whole(path):
        pass  # nothing was written
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_written_file_is_open_to_those_that_the_umask_lets_in(tmp_path):
    with files.written_whole(tmp_path / "file") as partial:
        partial.touch()
    (tmp_path / "plain").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["x", "n" * 255, "\N{MUSICAL SYMBOL G CLEF}" * 62 + ".wav"],
                         ids=["short", "long", "in_four_bytes"])
def test_any_name_that_a_disk_takes_can_be_written_whole(tmp_path, name):
    with files.written_whole(tmp_path / name) as partial:
        partial.write_text("all")
    with files.folder_written_whole(tmp_path / "above" / name) as partial:
        (partial / "file").touch()
    assert (tmp_path / name).read_text() == "all"
    assert os.listdir(tmp_path / "above") == [name]


def test_a_folder_replaces_the_one_before_only_when_whole(tmp_path):
    path = tmp_path / "folder"
    with files.folder_written_whole(path) as partial:
        (partial / "old").touch()
    with pytest.raises(RuntimeError), files.folder_written_whole(path) as partial:
        (partial / "half").touch()
        raise RuntimeError
    assert os.listdir(path) == ["old"]
    with files.folder_written_whole(path) as partial:
        (partial / "new").touch()
    assert os.listdir(path) == ["new"] and os.listdir(tmp_path) == ["folder"]


def test_nothing_else_renames_files_into_place():
    root = pathlib.Path(__file__).parents[1]
    sources = [path for folder in ("style_transfer", "configs", "pipelines", "scripts")
               for path in (root / folder).rglob("*.py")]
    renaming = {path.relative_to(root).as_posix() for path in sources
                if re.search(r"os\.replace\(|\.part\"", path.read_text())}
    assert renaming == {"style_transfer/files.py"} and len(sources) > 100
