import dataclasses
import errno
import fcntl
import os
import pathlib
import subprocess
import sys
import threading

import pytest

from style_transfer import files, options, outputs
from style_transfer.job_arrays import Shard

SUFFIXES = (".wav", ".mid")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(options.ContentOptions):
    loudness: float = options.option(0.0, "")


def asked(folder, **changes):
    return Asked(content=(), output_dir=str(folder), **changes)


def piece(folder, name="a.mid", notes="notes"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notes)
    return str(path)


def run(paths, given, piano=None, suffixes=SUFFIXES):
    """A batch; gives the names of its results, and the summary."""
    summary, lines = files.Summary(read=len(paths)), []
    todo = outputs.Outputs(given.output_dir, given.overwrite, paths).to_make(
        outputs.recipes(given, paths), suffixes, summary, lines.append, piano)
    for path, place in todo:
        def write(target, path=path, place=place):
            for made in place.paths:
                target.with_name(made.name).write_text(f"{path!a} {given.loudness}")

        outputs.make(path, place, summary, lines.append, write)
    return [place.stem for _, place in todo], summary


def visible(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def test_what_was_made_of_the_same_is_kept_and_what_was_not_gets_another_name(tmp_path):
    path, out = piece(tmp_path), tmp_path / "out"
    assert run([path], asked(out))[0] == ["a"]
    stems, summary = run([path], asked(out))
    assert stems == [] and summary.kept == 1
    assert run([path], asked(out, loudness=-20.0))[0] == ["a-2"]
    piece(tmp_path, notes="other notes")
    assert run([path], asked(out))[0] == ["a-3"]
    piece(tmp_path)
    assert run([path], asked(out, loudness=-20.0))[1].kept == 1
    assert len(visible(out)) == 6
    assert run([path], asked(out, picture=False))[1].kept == 1  # only how it is shown


def test_another_piano_is_named(tmp_path):
    path, out = piece(tmp_path), tmp_path / "out"
    assert run([path], asked(out), "yamaha")[0] == ["a"]
    assert run([path], asked(out, loudness=1.0), "steinway")[0] == ["a-steinway"]
    paths = [piece(tmp_path, name) for name in ("x/b.mid", "y/b.mid")]
    assert run(paths, asked(out), "yamaha")[0] == ["b", "b-2"]  # both on it


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_jobs_of_an_array_write_together_what_one_run_writes(tmp_path, order):
    paths = [piece(tmp_path, f"{folder}/{name}.mid", notes) for folder, name, notes in (
        ("u", "a", "1"), ("v", "a", "2"), ("w", "a", "1"), ("x", "A", "3"), ("y", "a-2", "4"),
        ("z", "a", "1"), ("z", "b", "5"))]
    for out in (tmp_path / "whole", tmp_path / "parts"):
        piece(out, "b.wav", "the user's")
    run(paths, asked(tmp_path / "whole"))
    out, begun, reads = tmp_path / "parts", [], 0
    for number in order:  # all begin, then each writes some, after the other has
        summary, given = files.Summary(), asked(out, shard=f"{number}/3")
        found = outputs.Outputs.of(given, paths)
        if number == order[-1]:  # it has read the ledgers before, and decides after
            path, place, _ = begun[0].pop(0)
            outputs.make(path, place, summary, print, lambda t: t.write_text("x"))
            assert place.paths[0].exists()
        todo = found.to_make(outputs.recipes(given, paths), (".wav",), summary, print)
        begun.append([(*pair, number) for pair in todo])
        reads += summary.read
    for path, place, _ in sum(begun, []):
        outputs.make(path, place, files.Summary(), print, lambda t: t.write_text("x"))
    assert reads == len(paths) == len(visible(out)) - 1
    assert visible(out) == [name for name in visible(tmp_path / "whole") if name[-3:] == "wav"]
    assert (out / "b.wav").read_text() == "the user's"
    again, summary = run(paths, asked(out), suffixes=(".wav",))
    assert not again and summary.kept == len(paths)


def test_jobs_of_an_array_have_ledgers_of_their_own_and_wait_for_one_that_they_share(tmp_path):
    place = outputs.Outputs(tmp_path, shard=Shard(2, 3)).place("a", (".wav",), "made of")
    with place.published() as target:
        target.write_text("a")
    assert (tmp_path / ".style_transfer-00002-of-00003.jsonl").is_file()
    outputs.check_named(tmp_path / "a.wav")
    with open(tmp_path / outputs.LEDGER, "a+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other = threading.Thread(target=outputs.note, args=(tmp_path, [tmp_path / "a.wav"], "x"))
        other.start()
        other.join(0.2)
        assert other.is_alive() and not os.path.getsize(held.name)
    other.join()
    assert os.path.getsize(tmp_path / outputs.LEDGER)


def test_jobs_of_an_array_do_not_write_where_their_pieces_lie(tmp_path):
    with pytest.raises(ValueError, match="their results would become pieces: give another"):
        outputs.Outputs(tmp_path, shard=Shard(1, 2)).to_make(
            [(piece(tmp_path), "made of")], (".wav",), files.Summary(), print)


def test_what_the_user_has_is_never_replaced(tmp_path):
    path, out = piece(tmp_path), tmp_path / "out"
    theirs = pathlib.Path(piece(out, "a.mid", "the user's"))
    assert run([path], asked(out))[0] == ["a-2"]
    assert theirs.read_text() == "the user's" and not (out / "a.wav").exists()
    # What was made here and changed by them since is theirs, too.
    (out / "a-2.mid").write_text("corrected by hand")
    assert run([path], asked(out))[0] == ["a-3"]
    assert (out / "a-2.mid").read_text() == "corrected by hand"
    assert run([path], asked(out, overwrite=True))[0] != []


def test_only_overwriting_replaces_and_no_input_even_then(tmp_path):
    theirs = pathlib.Path(piece(tmp_path / "out", "a.mid", "the user's"))
    path = piece(tmp_path)
    assert run([path], asked(tmp_path / "out", overwrite=True))[0] == ["a"]
    assert theirs.read_text() != "the user's"
    path = piece(tmp_path / "same", "b.mid")
    assert run([path], asked(tmp_path / "same", overwrite=True))[0] == ["b-2"]
    assert pathlib.Path(path).read_text() == "notes"


def test_a_copied_folder_is_still_known(tmp_path):
    path, out = piece(tmp_path), tmp_path / "out"
    run([path], asked(out))
    for name in visible(out):
        os.utime(out / name, (1, 1))
    assert run([path], asked(out))[1].kept == 1


def test_pieces_of_one_name_keep_apart_in_every_run(tmp_path):
    paths = [piece(tmp_path, name) for name in ("x/a.mid", "y/a.mid", "z/A.mid")]
    out = tmp_path / "out"
    assert run(paths, asked(out))[0] == ["a", "a-2", "A-3"]
    assert run(paths, asked(out))[1].kept == 3
    assert run(paths[::-1], asked(out, overwrite=True))[0] == ["A-3", "a", "a-2"]


def test_what_a_killed_run_left_is_completed(tmp_path):
    path, out = piece(tmp_path), tmp_path / "out"
    run([path], asked(out))
    (out / "a.wav").unlink()  # published last
    stems, summary = run([path], asked(out))
    assert stems == ["a"] and summary.written == 1
    assert visible(out) == ["a.mid", "a.wav"]


def test_results_appear_together_and_the_first_of_them_last(tmp_path, monkeypatch):
    published = []
    monkeypatch.setattr(files, "publish", lambda partial, path: published.append(path.name))
    run([piece(tmp_path)], asked(tmp_path / "out"), suffixes=(".wav", ".mid", ".png"))
    assert published == ["a.png", "a.mid", "a.wav"]


def test_nothing_is_published_of_a_piece_that_fails(tmp_path):
    place = outputs.Outputs(tmp_path).place("a", SUFFIXES, "made of")
    with pytest.raises(ValueError, match="half"), place.published() as target:
        target.write_text("half")
        raise ValueError("half")
    with pytest.raises(FileNotFoundError, match="a.wav has not been written"), place.published():
        pass
    assert visible(tmp_path) == []


@pytest.mark.parametrize("name", ["n" * 251, "前奏曲" * 27, "Prelude, Op. 28", "\udcff\udcfe"],
                         ids=["long", "cjk", "comma", "no_text"])
def test_pieces_may_have_any_name(tmp_path, name):
    path = piece(tmp_path, f"{name}.mid")
    for _ in range(2):
        run([path], asked(tmp_path / "out"), "p" * 200, (".notesequence", ".mid"))
        run([path], asked(tmp_path / "out", loudness=1.0), "p" * 200, (".notesequence", ".mid"))
    names = visible(tmp_path / "out")
    assert len(names) == 4 and max(len(os.fsencode(n)) for n in names) <= 255


def test_a_ledger_that_was_cut_short_is_read_as_far_as_it_goes(tmp_path):
    path, out = piece(tmp_path), tmp_path / "out"
    run([path], asked(out))
    with open(out / outputs.LEDGER, "a") as ledger:
        ledger.write('{"file": "a.w')
    assert run([path], asked(out))[1].kept == 1
    run([path], asked(out, loudness=1.0))
    assert run([path], asked(out, loudness=1.0))[1].kept == 1


def test_a_file_of_a_chosen_name_is_replaced_only_if_it_is_the_same(tmp_path):
    path = tmp_path / "grand.piano"
    for text in ("one", "again"):
        with outputs.named(path, made_of="a clip") as partial:
            partial.write_text(text)
    with pytest.raises(FileExistsError, match="holds something else"):
        outputs.check_named(path, made_of="another clip")
    outputs.check_named(path)  # any that was made here
    path.write_text("the user's")
    with pytest.raises(FileExistsError, match="grand.piano"):
        outputs.check_named(path)
    outputs.check_named(path, overwrite=True)


def test_a_full_disk_ends_a_batch_with_one_sentence(tmp_path):
    paths = [piece(tmp_path, name) for name in ("a.mid", "b.mid")]
    summary = files.Summary()
    [(path, place), _] = outputs.Outputs(tmp_path / "out").to_make(
        outputs.recipes(asked(tmp_path), paths), SUFFIXES, summary, print)

    def write(target):
        target.write_text("some of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(files.UnwritableError, match=r"out': No space left on device\. Free some"):
        outputs.make(path, place, summary, print, write)
    assert visible(tmp_path / "out") == [] and os.listdir(tmp_path / "out") == []


def test_a_library_that_says_it_in_its_own_way_is_understood(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: os.terminal_size((0, 0))
                        and type("usage", (), {"free": 0}))
    with pytest.raises(files.UnwritableError, match="No space left"):
        with files.staging(tmp_path):
            raise RuntimeError("Error : flush failed")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ELOOP])
def test_faults_of_disks_are_told_in_one_place(number):
    said = files.disk_fault(OSError(number, os.strerror(number), "some/place"))
    assert said.startswith("'some/place': ") and said.count(". ") == 1 and said.endswith(".")
    assert files.disk_fault(OSError(errno.ENOENT, "x")) is None


def test_folders_that_take_nothing_are_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(files.UnwritableError, match="nothing may be written"):
        files.check_folder(tmp_path / "new")


def test_what_killed_processes_left_is_removed_and_what_others_write_is_not(tmp_path):
    code = ("import os, sys, time; from style_transfer import files\n"
            f"with files.staging({str(tmp_path)!r}) as staged:\n"
            "    (staged / 'half').write_text('half')\n"
            "    print(staged, flush=True)\n"
            "    sys.stdin.read() if sys.argv[1] == 'wait' else os._exit(9)\n")
    root = pathlib.Path(files.__file__).parents[1]
    left = subprocess.run([sys.executable, "-c", code, "die"], cwd=root, capture_output=True,
                          text=True, check=False).stdout.strip()
    with subprocess.Popen([sys.executable, "-c", code, "wait"], cwd=root, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as other:
        alive = other.stdout.readline().strip()
        files.clean(tmp_path)
        assert not os.path.exists(left) and os.path.isdir(alive)
        other.stdin.close()
    assert os.listdir(tmp_path) == []


def test_links_that_form_a_loop_are_walked_once(tmp_path):
    piece(tmp_path, "in/deep/a.mid")
    piece(tmp_path, "in/.hidden/b.mid")
    (tmp_path / "in" / "deep" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self.mid").symlink_to("self.mid")
    assert files.find([str(tmp_path / "in")], (".mid",), "a file") == [
        str(tmp_path / "in" / "deep" / "a.mid")]
