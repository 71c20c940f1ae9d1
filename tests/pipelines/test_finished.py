import json
import pathlib

import pytest

from style_transfer.pipelines import finished


def test_work_is_known_by_what_decides_it(tmp_path):
    path = tmp_path / "input"
    path.write_text("a")
    output = str(tmp_path / "output")
    before = finished.fingerprint_of({"path": str(path)}, 1)
    assert finished.rows(output, before, lambda: [{"a": 1}]) == [{"a": 1}]
    assert finished.rows(output, before, list) == [{"a": 1}], "it is not done again"
    assert json.loads(pathlib.Path(output + finished.ROWS_SUFFIX).read_text())["of"] == before
    assert finished.fingerprint_of({"path": str(path)}, 1) == before
    assert finished.fingerprint_of({"path": str(path)}, 2) != before
    path.write_text("ab")
    after = finished.fingerprint_of({"path": str(path)}, 1)
    assert after != before and finished.rows(output, after, list) == []


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcde":
        (folder / name).write_text(name)
    return folder


def work(inputs, output, until=None, settings=1):
    """Makes capitals of the inputs' texts; gives what was really made."""
    made, counts = [], []
    with finished.Progress(str(output), ".second", settings) as progress:
        names = sorted(path.name for path in inputs.iterdir())
        for name in names:
            kept = progress.kept(name, str(inputs / name))
            if kept is None:
                break
            counts.append(kept)
        for name in names[len(counts):]:
            if name == until:
                raise KeyboardInterrupt
            made.append(name)
            text = (inputs / name).read_bytes().upper()
            failure = ("bad", "very") if text == b"C" else None
            progress.add(name, str(inputs / name), [] if failure else [text, text],
                         [text] if text == b"B" else [], failure)
        progress.publish(with_second=True)
    return made, counts


def test_what_was_stopped_goes_on_and_gives_the_same(inputs, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        work(inputs, output, until="d")
    assert not output.exists()
    made, counts = work(inputs, output)
    assert made == ["d", "e"] and counts == [(2, 0, None), (2, 1, None), (0, 0, ("bad", "very"))]
    assert output.read_bytes() == b"AABBDDEE"
    assert (tmp_path / "out.second").read_bytes() == b"B"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "out.second"]


@pytest.mark.parametrize(("change", "expected"), [
    ("settings", "abcde"), ("input", "bcde"), ("ledger", "cde"), ("records", "bcde"),
    ("removed", "cde")])
def test_only_what_still_fits_is_kept(inputs, tmp_path, change, expected):
    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        work(inputs, output, until="d")
    ledger, records = (next(tmp_path.glob(pattern)) for pattern in (".*.progress", ".*.1"))
    if change == "input":
        (inputs / "b").write_text("xy")
    if change == "ledger":  # cut short by a full disk
        ledger.write_bytes(ledger.read_bytes()[:-10])
    if change == "records":
        records.write_bytes(records.read_bytes()[:3])
    if change == "removed":
        (inputs / "b").unlink()
    made, _ = work(inputs, output, settings=2 if change == "settings" else 1)
    assert "".join(made) == expected
    texts = [path.read_bytes().upper() for path in sorted(inputs.iterdir())]
    assert output.read_bytes() == b"".join(2 * text for text in texts if text != b"C")


def test_two_processes_do_not_make_one_file(inputs, tmp_path):
    with (finished.Progress(str(tmp_path / "out"), ".second", 1),
          pytest.raises(ValueError, match="made by another process: wait for it")):
        work(inputs, tmp_path / "out")
