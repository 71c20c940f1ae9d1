"""What is read of a piece, and what is said of it."""

import pathlib

import pytest

from style_transfer import content, files, options

CASES = pathlib.Path(__file__).parent / "midi" / "cases"


@pytest.mark.parametrize(("name", "lines", "instruments"), [
    ("overlap_two_channels.mid", ["2 instruments are put on the piano (--tracks chooses): "
                                  "0: program 1; 1: program 1"], 2),
    ("riff.rmi", [], 0),
    ("truncated.mid", ["is cut short, and played as far as it can be read: track 0 should have 76 "
                       "bytes, but the file ends after 51 of them."], 0),
])
def test_what_a_user_should_know_of_a_piece_is_said(name, lines, instruments):
    said, summary = [], files.Summary(read=1, written=1)
    content.content_notes(CASES / name, say=summary.remark(said.append))
    assert len(said) == len(lines)
    for line, end in zip(said, lines, strict=True):
        assert line.startswith(str(CASES / name)) and line.endswith(end)
    assert summary.instruments == instruments
    assert str(summary).endswith("2 instruments of a piece on one piano") == (instruments == 2)


def test_tracks_choose_what_is_played():
    path = CASES / "pedal_two_channels.mid"
    assert [len(content.content_notes(path, tracks=tracks)) for tracks in ("all", "0", "1")] == [
        3, 1, 2]
    with pytest.raises(ValueError, match="no instrument with the number 5"):
        content.content_notes(path, tracks="5")


def test_a_wrong_choice_of_tracks_is_refused_before_any_work():
    with pytest.raises(ValueError, match="tracks must be all, piano or numbers"):
        options.ContentOptions(content=("a.mid",), output_dir="out", tracks="1;2")
