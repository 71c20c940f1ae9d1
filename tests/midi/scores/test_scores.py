"""Scores as they are played."""

import pathlib
import zipfile

import pytest

from style_transfer.midi import load
from style_transfer.midi.limits import ConversionLimits, UnreadableFileError
from style_transfer.midi.scores import abc_notation, musicxml
from style_transfer.midi.scores.play_order import Signs, play_order

CASES = pathlib.Path(__file__).parent / "cases"


def note(step="C", octave=4, duration=1, more=""):
    return (f"<note>{'<chord/>' if more == 'chord' else ''}<pitch><step>{step}</step>"
            f"<octave>{octave}</octave></pitch><duration>{duration}</duration>"
            f"{'' if more == 'chord' else more}</note>")


def score(*measures, part_list="<score-part id='P1'/>"):
    """A score of one part, a quarter to a division."""
    first = "<attributes><divisions>1</divisions></attributes>"
    measures = (first + measures[0], *measures[1:])
    return (f"<score-partwise><part-list>{part_list}</part-list><part id='P1'>"
            + "".join(f"<measure>{m}</measure>" for m in measures)
            + "</part></score-partwise>").encode()


def heard(data):
    """Pitch, begin and end of each note."""
    return [(n.pitch, n.start_time, n.end_time) for n in musicxml.read(data).notes]


@pytest.mark.parametrize(("name", "pitches", "quarter_secs"), [
    ("guitar_octave", [48, 50, 52, 53], 0.5),
    ("barisax", [39, 41, 43, 44], 0.5),
    ("repeat", [60, 62, 64, 65] * 2 + [67, 69, 71, 69], 0.5),
    ("tempo_metronome", [60, 62, 64, 65], 1.0)])
def test_a_case_sounds_as_it_should(name, pitches, quarter_secs):
    notes = load.load(CASES / f"{name}.xml").notes
    assert [n.pitch for n in notes] == pitches
    assert [n.start_time for n in notes] == [i * quarter_secs for i in range(len(pitches))]


def test_tied_notes_are_one():
    assert heard((CASES / "tie.xml").read_bytes()) == [(60, 0.0, 4.0)]
    tie = note(more="<tie type='stop'/><tie type='start'/>")
    data = score(note(more="<tie type='start'/>"), tie, tie, note(more="<tie type='stop'/>"),
                 note())
    assert heard(data) == [(60, 0.0, 2.0), (60, 2.0, 2.5)]


@pytest.mark.parametrize(("signs", "order"), [
    ([Signs(), Signs(times=2), Signs()], [0, 1, 0, 1, 2]),
    ([Signs(), Signs(forward=True), Signs(times=3), Signs()], [0, 1, 2, 1, 2, 1, 2, 3]),
    ([Signs(times=2), Signs(times=2)], [0, 0, 1, 1]),
    ([Signs(), Signs(endings=frozenset({1}), times=2), Signs(endings=frozenset({2})), Signs()],
     [0, 1, 0, 2, 3]),
    ([Signs(), Signs(endings=frozenset({1, 2}), times=2), Signs(endings=frozenset({3})),
      Signs(times=2)], [0, 1, 0, 1, 0, 2, 3, 3]),
    ([Signs(), Signs(endings=frozenset({1}), times=2), Signs(), Signs(times=2)],
     [0, 1, 0, 2, 3, 2, 3]),
    ([Signs(), Signs(fine=True), Signs(da_capo=True)], [0, 1, 2, 0, 1]),
    ([Signs(), Signs(segno="s"), Signs(to_coda="c"), Signs(dal_segno="s"), Signs(coda="c")],
     [0, 1, 2, 3, 1, 2, 4]),
    ([Signs(times=2), Signs(endings=frozenset({1}), times=2),
      Signs(endings=frozenset({2}), da_capo=True)], [0, 0, 1, 2, 0, 2]),
], ids=["repeat", "three times", "two", "endings", "three turns", "one ending", "da capo", "coda",
        "last ending"])
def test_order_of_playing(signs, order):
    assert play_order(signs) == order


def test_endings_of_a_score():
    def barline(inside):
        return f"<barline>{inside}</barline>"

    data = score(note("C"), barline("<ending number='1' type='start'/>") + note("D") + barline(
        "<ending number='1' type='stop'/><repeat direction='backward'/>"),
        barline("<ending number='2' type='start'/>") + note("E") + barline(
            "<ending number='2' type='discontinue'/>"), note("F"))
    assert [pitch for pitch, _, _ in heard(data)] == [60, 62, 60, 64, 65]


def test_tempos_count_from_where_they_stand_in_any_part_and_at_repeats_again():
    def tempo(qpm):
        return f"<direction><sound tempo='{qpm}'/></direction>"

    data = score(tempo(60) + note() + tempo(120) + note()
                 + "<barline><repeat direction='backward'/></barline>", note())
    assert [(start, end) for _, start, end in heard(data)] == [
        (0, 1), (1, 1.5), (1.5, 2.5), (2.5, 3), (3, 3.5)]
    assert [(t.time, t.qpm) for t in musicxml.read(data).tempos] == [
        (0, 60), (1, 120), (1.5, 60), (2.5, 120)]


def test_dotted_metronome_marks_and_those_that_relate_note_values():
    def mark(inside):
        return (f"<direction><direction-type><metronome>{inside}</metronome></direction-type>"
                "</direction>")

    dotted = mark("<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>c. 40</per-minute>")
    assert musicxml.read(score(dotted + note())).tempos[0].qpm == 60
    related = mark("<beat-unit>quarter</beat-unit><beat-unit>eighth</beat-unit>")
    assert musicxml.read(score(related + note())).tempos[0].qpm == 120


def test_chords_voices_grace_notes_and_rests():
    rest = "<note><rest/><duration>1</duration></note>"
    grace = "<note><grace/><pitch><step>B</step><octave>3</octave></pitch></note>"
    data = score(rest + grace + note("C", duration=2) + note("E", duration=2, more="chord")
                 + "<backup><duration>1</duration></backup>" + note("G"))
    assert sorted(heard(data)) == [(59, 0.4375, 0.5), (60, 0.5, 1.5), (64, 0.5, 1.5),
                                   (67, 1.0, 1.5)]


def test_pedals_dynamics_and_programs():
    def direction(inside):
        return f"<direction><direction-type>{inside}</direction-type></direction>"

    part_list = ("<score-part id='P1'><part-name>Flute</part-name><midi-instrument>"
                 "<midi-program>74</midi-program></midi-instrument></score-part>")
    data = score(direction("<pedal type='start'/>") + direction("<dynamics><ff/></dynamics>")
                 + note() + direction("<pedal type='stop'/>"), part_list=part_list)
    sequence = musicxml.read(data)
    assert [(n.velocity, n.program, n.part) for n in sequence.notes] == [(112, 73, 1)]
    assert [(c.time, c.control_value) for c in sequence.control_changes] == [(0, 127), (0.5, 0)]
    assert sequence.instrument_infos[0].name == "Flute"


def test_meters_and_keys():
    data = score("<attributes><key><fifths>-3</fifths><mode>minor</mode></key><time>"
                 "<beats>3</beats><beat-type>4</beat-type></time></attributes>" + note(duration=3),
                 "<attributes><time><beats>2+3</beats><beat-type>8</beat-type></time></attributes>"
                 + note())
    sequence = musicxml.read(data)
    assert [(m.time, m.numerator, m.denominator) for m in sequence.time_signatures] == [
        (0, 3, 4), (1.5, 5, 8)]
    assert [(k.key, k.mode) for k in sequence.key_signatures] == [(0, 1)]  # C minor


def test_compressed_scores_are_scores(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "<container><rootfiles><rootfile "
                         "full-path='s.xml'/></rootfiles></container>")
        archive.writestr("s.xml", score(note()))
    assert [n.pitch for n in load.load(tmp_path / "a.mxl").notes] == [60]


@pytest.mark.parametrize(("data", "reason"), [
    (b"<score-partwise>", "not readable MusicXML"), (b"<html/>", "it is a 'html'"),
    (b"<score-partwise/>", "it has no measures"),
    (b"<?xml version='1.0' encoding='UTF-80'?><score-partwise/>", "not readable MusicXML"),
    (score(note("H")), "not readable MusicXML"), (score(note(duration="x")), "MusicXML"),
    (score(note() + "<barline><repeat direction='backward' times='999999'/></barline>"),
     "too many measures"),
    (score(note(duration=10**6)), "too long"), (score(note(duration=10**400)), "MusicXML"),
])
def test_what_is_no_score_is_refused(data, reason):
    with pytest.raises(UnreadableFileError, match=reason):
        musicxml.read(data)


def test_the_limits_hold():
    with pytest.raises(UnreadableFileError, match="max_notes"):
        musicxml.read((CASES / "repeat.xml").read_bytes(), ConversionLimits(max_notes=11))


def tune(body, key="C"):
    head = f"X:1\nT:A tune\nM:4/4\nL:1/4\nQ:1/4=60\nK:{key}\n"
    found, errors = abc_notation.tunes(f"{head}{body}\n")
    assert not errors
    return [(n.pitch, n.start_time, n.end_time) for n in found[1].notes]


@pytest.mark.parametrize(("body", "pitches"), [
    ("C D | E F :| G", [60, 62, 64, 65, 60, 62, 64, 65, 67]),
    ("C |: D |1 E :|2 F |] G", [60, 62, 64, 62, 65, 67]),
    ("C |: D |[1 E :| [2 F || G", [60, 62, 64, 62, 65, 67]),
    ("|: C :: D :|", [60, 60, 62, 62]),
    ('|: "G|:C" C !f! D :|', [60, 62, 60, 62]),
    ("|: C | D |1,3 E :|2 F :|4 G |]", [60, 62, 64, 60, 62, 65, 60, 62, 64, 60, 62, 67]),
])
def test_repeats_of_tunes_are_unrolled(body, pitches):
    assert [pitch for pitch, _, _ in tune(body)] == pitches


def test_ties_of_tunes_join_notes():
    assert tune("C- | C2 D-D") == [(60, 0, 3), (62, 3, 5)]
    assert tune("^F- | F F") == [(66, 0, 2), (65, 2, 3)]
    assert tune("|: C D- :| D") == [(60, 0, 1), (62, 1, 2), (60, 2, 3), (62, 3, 5)]


def test_tunes_are_content(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text("X:1\nT:A\nM:4/4\nL:1/4\nK:C\n|: C D :|\n")
    assert [n.pitch for n in load.load(path).notes] == [60, 62, 60, 62]
    path.write_text("X:1\nT:A\nM:4/4\nL:1/4\nK:C\n(3CDE\n")
    with pytest.raises(ValueError, match="tune.abc cannot be played.*Tuplets are not supported"):
        load.load(path)
