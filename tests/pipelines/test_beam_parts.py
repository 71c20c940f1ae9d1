"""Work in parts on Apache Beam gives the files of one run without it."""

import pytest

pytest.importorskip("apache_beam")
from style_transfer import audio, job_arrays, piano_roll  # noqa: E402
from style_transfer.options import BeamOptions  # noqa: E402
from style_transfer.pipelines import beam_parts, note_sequences  # noqa: E402
from tests import pianos  # noqa: E402
from tests.commands import run_command  # noqa: E402
from tests.pipelines.test_note_sequences import midi_file  # noqa: E402
from tests.scripts import forks  # noqa: E402

IN_MEMORY = ["--runner=directrunner", "--pipeline_options=--direct_running_mode=in_memory"]
NAME = b"\x00\xff\x03\x01x"
TEMPO = bytes([0, 0xFF, 0x51, 3, 0x0F, 0x42, 0x40])  # one second a quarter note


def contents(folder):
    """All files by their names but ledgers and locks; no folder of Beam's is left."""
    found = {}
    for path in sorted(folder.rglob("*")):
        assert "partial" not in path.name
        if path.is_file() and not path.name.startswith("."):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def stopped(*_):
    raise KeyboardInterrupt


def test_conversion_in_parts_is_that_of_one_run_and_keeps_finished_parts(tmp_path, monkeypatch):
    music, (plain, parts) = tmp_path / "music", (tmp_path / "plain", tmp_path / "parts")
    music.mkdir()
    for i in range(5):
        note = bytes([0, 0x90, 60 + i, 64, 96, 60 + i, 0])
        tracks = [NAME, TEMPO + note] if i == 3 else [note]  # Magenta reads the first track's tempo
        (music / f"{i}.mid").write_bytes(midi_file(*tracks)[: 20 if i == 1 else None])
    (music / "text.txt").write_text("no music")

    def run(folder, *more):
        return run_command("convert_dir_to_note_sequences", f"--input_dir={music}",
                           f"--output_file={folder}/notes.tfrecord", "--num_workers=1", *more)

    status, said, errors = run(plain)
    assert status == 0, errors
    # All parts finish, and it is killed before they are made one.
    with monkeypatch.context() as patched:
        patched.setattr(note_sequences, "join", stopped)
        assert run(parts, *IN_MEMORY, "--parts=3")[0] == 130
    with monkeypatch.context() as patched:
        patched.setattr(beam_parts.subprocess, "Popen", None)
        status, said_in_parts, errors = run(parts, *IN_MEMORY, "--parts=3")
    assert status == 0, errors
    assert contents(parts) == contents(plain) and len(contents(plain)) == 2
    assert "5 read, 4 written, 1 skipped" in said_in_parts and "skipped 1.mid: " in said_in_parts
    for line in said.splitlines()[1:]:
        assert line in said_in_parts.splitlines()


def test_rendering_in_parts_is_that_of_one_run(tmp_path):
    music, (plain, parts) = tmp_path / "music", (tmp_path / "plain", tmp_path / "parts")
    music.mkdir()
    for i in range(3):
        (music / f"{i}.mid").write_bytes(midi_file(bytes([0, 0x90, 60 + i, 64, 96, 60 + i, 0])))

    def run(folder, *more):
        return run_command("render_performances", f"--input={music}", f"--output_dir={folder}",
                           "--soundfonts=procedural:seed=1", "--sample_rate=8000", "--max_secs=1",
                           "--num_workers=1", *more)

    assert run(plain)[0] == 0
    status, said, errors = run(parts, *IN_MEMORY, "--parts=2")
    assert status == 0, errors
    assert contents(parts) == contents(plain) and len(contents(plain)) == 7
    assert "3 read, 3 written, 0 skipped" in said


@pytest.mark.slow
def test_generation_in_parts_on_a_folder_of_pianos_is_that_of_one_run(tmp_path):
    model = pianos.tiny_model()
    for name in ("pieces", "pianos"):
        (tmp_path / name).mkdir()
    for number in range(3):
        table = pianos.random_notes(8, 1, seed=number)
        piano_roll.save_midi(tmp_path / "pieces" / f"{number}.mid", piano_roll.to_sequence(table))
    for name in ("a", "b"):
        audio.save(tmp_path / "pianos" / f"{name}.wav", pianos.clip(model))
    (tmp_path / "pianos" / "c.wav").write_bytes(b"RIFF and no more")
    line = ["style_transfer_generate", "--content=pieces", "--style=pianos", "--adapt_steps=0"]
    for out, more in (("plain", []), ("parts", [*IN_MEMORY, "--parts=2"])):
        ((status, said),) = forks.run([[*line, f"--output_dir={out}", *more]], tmp_path)
        assert status == 0, said
        assert "6 read, 6 written, 0 skipped" in said and "skipped pianos/c.wav: " in said
    plain, parts = contents(tmp_path / "plain"), contents(tmp_path / "parts")
    assert parts == plain
    assert sorted(plain) == [f"{piano}/{number}.{end}" for piano in "ab" for number in range(3)
                             for end in ("mid", "png", "wav")]


@pytest.fixture()
def said(tmp_path, monkeypatch):
    """Parts that say something and end with an exit status."""
    (tmp_path / "said.py").write_text("import sys\nprint(sys.argv[1])\nsys.exit(int(sys.argv[2]))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(*parts):
        lines = []
        summary = beam_parts.run([["said", *part] for part in parts], str(tmp_path / "rows"),
                                 BeamOptions(runner="DirectRunner"), report=lines.append)
        assert not (tmp_path / "rows").exists()
        return str(summary), lines

    return run


def test_a_part_may_skip_all_it_reads_and_other_failures_are_told(said):
    summary, lines = said(
        ("skipped a: bad\n1 read, 0 written, 1 skipped\n  1 skipped: bad\nerror: Nothing", "1"),
        ("4 read, 3 written, 1 skipped (2 existing kept, more)\n  1 skipped: bad", "0"),
        ("2 read, 1 written, 0 skipped, 1 kept as they were", "0"))
    assert summary == "7 read, 4 written, 2 skipped, 3 kept as they were"
    assert lines == ["skipped a: bad", "  2 skipped: bad"]
    with pytest.raises(ValueError, match="2 of 3 parts failed, part 2: No space left"):
        said(("1 read, 1 written, 0 skipped", "0"), ("error: No space left", "1"), ("", "-9"))


def test_there_is_a_part_for_so_many_files_unless_the_user_says(monkeypatch):
    def shards(num_items, **options):
        made = beam_parts.commands("m", ["--a=b"], num_items, BeamOptions(**options), 32)
        assert all(command[:3] == ["m", "--a=b", "--runner="] for command in made)
        return [job_arrays.Shard.parse(command[3].removeprefix("--shard=")) for command in made]

    assert len(shards(0)) == len(shards(32)) == 1 and len(shards(33)) == 2
    assert shards(5, parts=3) == [job_arrays.Shard(number, 3) for number in (1, 2, 3)]
    with pytest.raises(ValueError, match="--shard is a part of the work and --runner spreads"):
        BeamOptions(shard="1/2", runner="DirectRunner")
