"""Converting directories: hostile files, honest summaries, whole outputs or none."""

import os
import pathlib
import signal
import struct
import subprocess
import sys
import zipfile

import pytest

from style_transfer.midi import reader as midi_reader
from style_transfer.midi.limits import ConversionLimits, UnreadableFileError
from style_transfer.pipelines import isolated_workers, note_sequences
from style_transfer.pipelines.records import tfrecords

REPOSITORY = pathlib.Path(__file__).parents[2]
NOTE = b"\x00\x90\x3c\x40\x60\x3c\x00"  # middle C for 96 ticks, ended in running status
LONGEST_DELTA = b"\xff\xff\xff\x7f"
MANY_TRACKS_HEADER = struct.pack(">4sLhhh", b"MThd", 6, 1, 32767, 480)


def midi_file(*tracks, resolution=480):
    header = struct.pack(">4sLhhh", b"MThd", 6, 1, len(tracks), resolution)
    return header + b"".join(struct.pack(">4sL", b"MTrk", len(t)) + t for t in tracks)


def refusal(data, **limits):
    with pytest.raises(UnreadableFileError) as caught:
        midi_reader.serialized_note_sequence(data, ConversionLimits(**limits))
    return caught.value.reason


def read(path):
    music_pb2 = pytest.importorskip("note_seq.protobuf.music_pb2")
    return [music_pb2.NoteSequence.FromString(r) for r in tfrecords.read_records(path)]


def run_command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "style_transfer.scripts.convert_dir_to_note_sequences", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (midi_file(b"\x00\x90\x3c\x40" + LONGEST_DELTA + b"\x3c\x00"), "too long"),
        (midi_file(b"\x00\x90\x3c\x40" + (LONGEST_DELTA + b"\x3c\x00") * 4), "too many ticks"),
        (midi_file(b"\x00\x90\x3c\x40" + b"\xff" * 40 + b"\x7f\x3c\x00"), "too many ticks"),
        (midi_file(b"\x00\xff\x51\x03\x00\x00\x01" + NOTE), "tempo too fast"),
        (midi_file(NOTE)[:-1], "not a readable MIDI file"),
        (midi_file(NOTE, b""), "not a readable MIDI file"),
        (MANY_TRACKS_HEADER + midi_file(NOTE)[14:], "not a readable MIDI file"),
        (b"", "not a readable MIDI file"),
    ],
)
def test_hostile_midi_is_refused_for_its_own_reason(data, reason):
    assert refusal(data) == reason


def test_limits_are_exact():
    data = midi_file(NOTE * 5)
    assert refusal(data, max_notes=4) == "too many notes"
    assert refusal(data, max_ticks=5 * 96 - 1) == "too many ticks"
    assert refusal(data, max_duration_secs=0.4999) == "too long"
    assert refusal(data, max_qpm=119.9) == "tempo too fast"
    assert refusal(data, max_file_bytes=len(data) - 1) == "file too large"
    midi_reader.serialized_note_sequence(
        data,
        ConversionLimits(
            max_notes=5,
            max_ticks=480,
            max_duration_secs=0.5,
            max_qpm=120.0,
            max_file_bytes=len(data),
        ),
    )


def test_controls_that_instruments_share_are_counted_as_often_as_they_would_be_written():
    programs = b"".join(b"\x00\xc0" + bytes([p]) + NOTE for p in range(100))
    data = midi_file(b"\x00\xb0\x40\x00" + b"\x00\x40\x7f" * 999 + programs)
    assert len(data) < 5000
    assert refusal(data, max_controls=99_999) == "too many controls"
    assert (
        len(midi_reader.serialized_note_sequence(data, ConversionLimits(max_controls=10**5)))
        > 900_000
    )


def test_many_ticks_cost_nothing():
    limits = ConversionLimits(max_ticks=10**10, max_duration_secs=1e9)
    data = midi_file(b"\x00\x90\x3c\x40" + (LONGEST_DELTA + b"\x3c\x00") * 30)
    assert len(midi_reader.serialized_note_sequence(data, limits)) < 200


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", b" " * 5_000_000)
    assert (tmp_path / "bomb.mxl").stat().st_size < 10_000
    with pytest.raises(UnreadableFileError, match="archive unpacks to too much"):
        note_sequences.convert_file(
            "bomb.mxl", str(tmp_path), ConversionLimits(max_file_bytes=4_000_000)
        )


def test_entity_bomb_is_refused(tmp_path):
    pytest.importorskip("note_seq")
    entities = "".join(
        f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9)
    )
    (tmp_path / "laughs.xml").write_text(
        f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">{entities}]>'
        "<score-partwise>&j;</score-partwise>"
    )
    with pytest.raises(UnreadableFileError, match="not readable MusicXML"):
        note_sequences.convert_file("laughs.xml", str(tmp_path))


def test_files_come_sorted_and_a_loop_of_links_ends(tmp_path):
    for name in ("b.mid", "a.mid", "z/c.mid", "m/d.mid"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "m" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert list(note_sequences.find_files(str(tmp_path))) == ["a.mid", "b.mid"]
    assert list(note_sequences.find_files(str(tmp_path), recursive=True)) == [
        "a.mid",
        "b.mid",
        "m/d.mid",
        "z/c.mid",
    ]


@pytest.mark.parametrize("ending", ["", "/"])
def test_collection_is_named_after_the_directory(ending):
    assert note_sequences.collection_name(f"some/music{ending}") == "music"


def test_batch_goes_on_past_hostile_files_and_says_why(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    for i in range(5):
        (music / f"good{i}.mid").write_bytes(midi_file(NOTE * (i + 1)))
    (music / "bad.mid").write_bytes(b"nonsense")
    (music / "worse.mid").write_bytes(b"nonsense")
    (music / "endless.mid").write_bytes(
        midi_file(b"\x00\x90\x3c\x40" + LONGEST_DELTA + b"\x3c\x00")
    )
    (music / "notes.txt").touch()
    output = tmp_path / "out" / "music.tfrecord"
    done = run_command(f"--input_dir={music}", f"--output_file={output}", "--num_workers=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "8 read, 5 written, 3 skipped",
        "  2 skipped: not a readable MIDI file",
        "  1 skipped: too long",
        "  1 other files ignored",
    ]
    assert "skipped bad.mid: not a readable MIDI file" in done.stderr
    assert "skipped endless.mid: too long" in done.stderr
    assert [(s.filename, len(s.notes)) for s in read(output)] == [
        (f"good{i}.mid", i + 1) for i in range(5)
    ]
    assert os.listdir(output.parent) == ["music.tfrecord"]


def test_command_fails_and_writes_nothing_when_nothing_was_converted(tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"nonsense")
    output = tmp_path / "out" / "music.tfrecord"
    done = run_command(f"--input_dir={tmp_path}", f"--output_file={output}", "--num_workers=1")
    assert done.returncode == 1
    assert "1 read, 0 written, 1 skipped" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: Nothing in")
    assert os.listdir(output.parent) == []


def test_existing_output_is_kept_unless_overwriting(tmp_path):
    (tmp_path / "good.mid").write_bytes(midi_file(NOTE))
    output = tmp_path / "music.tfrecord"
    output.write_bytes(b"precious")
    with pytest.raises(ValueError, match="exists already"):
        note_sequences.convert_directory(str(tmp_path), str(output))
    assert output.read_bytes() == b"precious"
    note_sequences.convert_directory(str(tmp_path), str(output), num_workers=1, overwrite=True)
    assert len(list(tfrecords.read_records(output))) == 1


def test_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no directory"):
        note_sequences.convert_directory(str(tmp_path / "nowhere"), str(tmp_path / "out"))


def test_killed_run_leaves_nothing_under_the_final_name(tmp_path):
    for i in range(3):
        (tmp_path / f"good{i}.mid").write_bytes(midi_file(NOTE))
    output = tmp_path / "music.tfrecord"
    program = (
        "import os, signal, sys\n"
        "from style_transfer.pipelines import note_sequences\n"
        "def die(filename, error):\n"
        "    if filename == 'good1.mid':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "note_sequences.convert_directory(*sys.argv[1:], num_workers=1, on_file=die)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(output)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    assert not output.exists()


def test_karaoke_and_riff_midi_are_found_in_folders(tmp_path):
    midi = midi_file(NOTE)
    riff = b"RMIDdata" + struct.pack("<L", len(midi)) + midi
    (tmp_path / "a.kar").write_bytes(midi)
    (tmp_path / "b.RMI").write_bytes(b"RIFF" + struct.pack("<L", len(riff)) + riff)
    output = tmp_path / "out.tfrecord"
    report = note_sequences.convert_directory(str(tmp_path), str(output), num_workers=1)
    assert report.written == 2
    first, second = read(output)
    assert first.notes == second.notes and len(first.notes) == 1


def test_records_are_magentas_or_what_is_played(tmp_path):
    waltz = midi_file(b"\x00\xff\x03\x01x", b"\x00\xff\x58\x04\x03\x02\x18\x08" + NOTE)
    (tmp_path / "waltz.mid").write_bytes(waltz)
    meters = {}
    for as_played in (False, True):
        output = tmp_path / f"{as_played}.tfrecord"
        note_sequences.convert_directory(str(tmp_path), str(output), num_workers=1,
                                         as_played=as_played)
        (sequence,) = read(output)
        meters[as_played] = [(m.numerator, m.denominator) for m in sequence.time_signatures]
    assert meters == {False: [], True: [(3, 4)]}


def test_scores_are_read_as_magenta_reads_them_or_as_they_are_played(tmp_path):
    pitch = "<pitch><step>C</step><octave>4</octave></pitch><duration>4</duration>"
    measure = ("<attributes><divisions>1</divisions><transpose><chromatic>0</chromatic>"
               "<octave-change>-1</octave-change></transpose></attributes><note>" + pitch
               + "</note><barline><repeat direction='backward'/></barline>")
    (tmp_path / "a.musicxml").write_text(
        "<score-partwise><part-list><score-part id='P1'/></part-list><part id='P1'><measure>"
        + measure + "</measure></part></score-partwise>")
    (tmp_path / "b.abc").write_text("X:1\nT:B\nM:4/4\nL:1/4\nK:C\n|: C D- :| D\n")
    pitches = {}
    for as_played in (False, True):
        output = tmp_path / f"{as_played}.tfrecord"
        note_sequences.convert_directory(str(tmp_path), str(output), num_workers=1,
                                         as_played=as_played)
        pitches[as_played] = [[n.pitch for n in sequence.notes] for sequence in read(output)]
    assert pitches == {False: [[60], [60, 62, 62]], True: [[48, 48], [60, 62, 60, 62]]}


def test_records_whose_time_magenta_reads_otherwise_stand_beside_as_they_are_played(tmp_path):
    meter, tempo = b"\x00\xff\x58\x04\x03\x02\x18\x08", b"\x00\xff\x51\x03\x0f\x42\x40"
    name = b"\x00\xff\x03\x01x"
    for file, tracks in {"a": (NOTE,), "b": (name, meter + NOTE), "c": (tempo, NOTE),
                         "d": (name, tempo + NOTE), "e": (tempo, tempo + NOTE)}.items():
        (tmp_path / f"{file}.mid").write_bytes(midi_file(*tracks))
    output = str(tmp_path / "out.tfrecord")
    report = note_sequences.convert_directory(str(tmp_path), output, num_workers=1)
    assert report.time_elsewhere == 2 and "2 with tempo or meter" in report.summary()
    assert [s.filename for s in read(output + ".as_played")] == ["b.mid", "d.mid"]
    music_pb2 = pytest.importorskip("note_seq.protobuf.music_pb2")
    found = [music_pb2.NoteSequence.FromString(r) for r in note_sequences.read_as_played(output)]
    assert [s.filename for s in found] == [f"{name}.mid" for name in "abcde"]
    assert [t.numerator for s in found for t in s.time_signatures] == [3]
    assert [s.tempos[0].qpm for s in found] == [120, 120, 60, 60, 60]
    for file in "bd":
        (tmp_path / f"{file}.mid").unlink()
    note_sequences.convert_directory(str(tmp_path), output, num_workers=1, overwrite=True)
    assert not os.path.exists(output + ".as_played"), "nothing of an older conversion stays"


def test_a_stopped_conversion_goes_on_and_shards_are_the_whole(tmp_path, monkeypatch):
    from style_transfer.job_arrays import Shard

    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        note = bytes([0, 0x90, 60 + i, 64, 96, 60 + i, 0])
        (folder / f"{i}.mid").write_bytes(midi_file(note)[: 20 if i == 2 else None])
    converted = []

    def run(convert, filenames, *limits):
        for filename in filenames:
            converted.append(filename)
            yield isolated_workers._outcome(convert, filename)

    monkeypatch.setattr(note_sequences.isolated_workers, "run", run)

    def stop(filename, error):
        if filename == "3.mid":
            raise KeyboardInterrupt

    whole, stopped = str(tmp_path / "whole"), str(tmp_path / "stopped")
    expected = note_sequences.convert_directory(str(folder), whole)
    with pytest.raises(KeyboardInterrupt):
        note_sequences.convert_directory(str(folder), stopped, on_file=stop)
    assert not pathlib.Path(stopped).exists()
    del converted[:]
    report = note_sequences.convert_directory(str(folder), stopped)
    assert converted == ["4.mid", "5.mid"]
    assert report.summary() == expected.summary()
    assert report.summary().startswith("6 read, 5 written, 1 skipped")
    assert str(report.skipped["2.mid"]) == str(expected.skipped["2.mid"])
    assert pathlib.Path(stopped).read_bytes() == pathlib.Path(whole).read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["in", "stopped", "whole"]
    for number in (1, 2):
        note_sequences.convert_directory(str(folder), str(tmp_path / "part.tfrecord"),
                                         shard=Shard(number, 2))
    found = [record for path in sorted(tmp_path.glob("part-0000?-of-00002.tfrecord"))
             for record in tfrecords.read_records(path)]
    assert sorted(found) == sorted(tfrecords.read_records(whole))


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_records_may_go_to_a_url_and_a_stopped_conversion_goes_on_there(
        tmp_path, monkeypatch, scheme):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("STYLE_TRANSFER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.mid").write_bytes(midi_file(bytes([0, 0x90, 60 + i, 64, 96, 60 + i, 0])))
    converted = []

    def run(convert, filenames, *limits):
        for filename in filenames:
            converted.append(filename)
            yield isolated_workers._outcome(convert, filename)

    def stop(filename, error):
        if filename == "2.mid":
            raise KeyboardInterrupt

    monkeypatch.setattr(note_sequences.isolated_workers, "run", run)
    note_sequences.convert_directory(str(folder), str(tmp_path / "whole"))
    url = f"{scheme}://{tmp_path}/bucket/notes.tfrecord"
    store, path = fsspec.core.url_to_fs(url)
    with pytest.raises(KeyboardInterrupt):
        note_sequences.convert_directory(str(folder), url, on_file=stop)
    assert not store.exists(path)
    store.makedirs(path.rpartition("/")[0], exist_ok=True)
    store.pipe_file(path + ".as_played", b"of an older conversion")
    del converted[:]
    note_sequences.convert_directory(str(folder), url)
    assert converted == ["3.mid"]
    assert store.cat_file(path) == (tmp_path / "whole").read_bytes()
    assert not store.exists(path + ".as_played")
    assert not list((tmp_path / "cache").rglob("*.*"))
    with pytest.raises(ValueError, match="exists already"):
        note_sequences.convert_directory(str(folder), url)


@pytest.mark.parametrize("num_bytes", [1, 60, 1 << 20])
def test_parts_of_a_file_are_read_as_played_like_the_whole(tmp_path, num_bytes):
    music_pb2 = pytest.importorskip("note_seq.protobuf.music_pb2")

    def record(number, tempo):
        sequence = music_pb2.NoteSequence(id=f"/id/midi/x/{number}")
        sequence.tempos.add(qpm=tempo)
        return tfrecords.frame(sequence.SerializeToString())

    path = tmp_path / "notes.tfrecord"
    path.write_bytes(b"".join(record(number, 120) for number in range(7)))
    played = [1, 2, 5, 6]
    pathlib.Path(f"{path}.as_played").write_bytes(b"".join(record(i, 60) for i in played))
    parts = note_sequences.stretches(str(path), num_bytes)
    assert len(parts) == {1: 7, 60: 4, 1 << 20: 1}[num_bytes]
    found = [music_pb2.NoteSequence.FromString(data) for part in parts
             for data in note_sequences.read_as_played(part)]
    assert [sequence.id[-1] for sequence in found] == list("0123456")
    assert [sequence.tempos[0].qpm for sequence in found] == [
        60 if number in played else 120 for number in range(7)]
