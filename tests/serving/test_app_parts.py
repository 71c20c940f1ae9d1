"""The parts of the page's server that need no net: what is kept, who may ask, what is read."""

import io
import pathlib
import pickle
import threading
import types
import zipfile

import numpy as np
import pytest
import soundfile

from style_transfer import piano_roll
from style_transfer.measure import high_band, stereo
from style_transfer.models.piano_ddsp.piano import Piano
from style_transfer.models.piano_ddsp.voicing import Voicing
from style_transfer.serving.app import jobs, uploads
from style_transfer.serving.app import work as work_lib
from style_transfer.serving.app.guard import HEADERS, Guard
from style_transfer.serving.app.settings import AppLimits
from style_transfer.serving.app.shelf import Shelf
from style_transfer.serving.errors import (
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    TooLargeError,
)
from tests import pianos
from tests.serving.stand_in import wav_file

MIDI_CASES = pathlib.Path(__file__).parents[1] / "midi" / "cases"
LIMITS = AppLimits(clip_secs=5, content_secs=5, notes=20, midi_bytes=200_000)


class Thing:
    def __init__(self):
        self.in_use, self.closed = False, False

    def close(self):
        self.closed = True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


# --- What is kept ---------------------------------------------------------------------------------


def test_the_longest_unused_thing_makes_room():
    shelf, things = Shelf(2, 100, "thing"), [Thing() for _ in range(3)]
    first, second = shelf.add(things[0]), shelf.add(things[1])
    shelf.get(first)
    third = shelf.add(things[2])
    assert things[1].closed and not things[0].closed
    assert shelf.get(first) is things[0] and shelf.get(third) is things[2]
    with pytest.raises(NotFoundError, match="no longer kept"):
        shelf.get(second)


def test_things_in_use_stay_and_a_full_shelf_says_so():
    clock = Clock()
    shelf, thing = Shelf(1, 10, "thing", clock), Thing()
    key = shelf.add(thing)
    thing.in_use = True
    clock.now = 1000
    shelf.sweep()
    shelf.remove(key)
    with pytest.raises(OverloadedError, match="1 places"):
        shelf.add(Thing())
    assert shelf.get(key) is thing and not thing.closed


def test_things_grow_old():
    clock = Clock()
    shelf, old, young = Shelf(5, 10, "thing", clock), Thing(), Thing()
    shelf.add(old)
    clock.now = 8
    key = shelf.add(young)
    clock.now = 11
    shelf.sweep()
    assert old.closed and shelf.get(key) is young and len(shelf) == 1
    shelf.clear()
    assert young.closed and len(shelf) == 0


def test_keys_are_long_random_and_of_no_other_type():
    shelf = Shelf(200, 10, "thing")
    keys = {shelf.add(Thing()) for _ in range(100)}
    assert len(keys) == 100 and min(map(len, keys)) >= 22
    for key in ("", "x", None, 3, ["a"], {"a": 1}):
        with pytest.raises(NotFoundError):
            shelf.get(key)


# --- Who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "allowed"), [
    ("127.0.0.1:8080", True), ("localhost:1", True), ("[::1]:8080", True), ("192.168.1.7", True),
    ("piano.example:8080", True), ("PIANO.example", True), ("evil.example", False), ("", False),
    ("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("[", False)])
def test_only_own_names_are_answered(host, allowed):
    guard = Guard(None, ["piano.example"])
    assert (guard.refusal("GET", {"host": host}) is None) == allowed


@pytest.mark.parametrize(("headers", "allowed"), [
    ({}, True), ({"origin": "http://127.0.0.1:8080"}, True),
    ({"origin": "http://127.0.0.1:8081"}, False), ({"origin": "http://evil.example"}, False),
    ({"origin": "null"}, False), ({"origin": "http://["}, False),
    ({"sec-fetch-site": "cross-site"}, False), ({"sec-fetch-site": "same-origin"}, True)])
def test_other_sites_cannot_change_anything(headers, allowed):
    headers = {"host": "127.0.0.1:8080", **headers}
    assert (Guard(None).refusal("POST", headers) is None) == allowed
    assert (Guard(None).refusal("DELETE", headers) is None) == allowed
    assert Guard(None).refusal("GET", headers) is None


def test_the_page_may_load_from_its_own_server_only():
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy


# --- What is read ---------------------------------------------------------------------------------


def read(data, role, folder, name="../../etc/a file.bin"):
    return uploads.read(data, name, role, LIMITS, folder)


def midi(table, folder):
    piano_roll.save_midi(folder / "made.mid", piano_roll.to_sequence(table))
    return (folder / "made.mid").read_bytes()


def piano_bytes(folder, **changes):
    pianos.piano(**changes).save(folder / "made.piano")
    return (folder / "made.piano").read_bytes()


def zipped(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_each_kind_is_known_by_its_content_not_by_its_name(tmp_path):
    notes = read(midi(pianos.notes((40, 0.5, 0, 1)), tmp_path), "content", tmp_path)
    assert (notes.kind, notes.name, len(notes.table)) == ("notes", "a file", 1)
    assert notes.about()["seconds"] == pytest.approx(1, abs=0.01)
    clip = read(wav_file(2.0, rate=44_100, channels=2), "content", tmp_path)
    assert clip.kind == "recording" and clip.seconds == pytest.approx(2, abs=0.01)
    assert soundfile.info(clip.path).samplerate == 24_000 and clip.path.parent == tmp_path
    clip.close()
    assert not clip.path.exists()
    assert read(piano_bytes(tmp_path), "style", tmp_path).kind == "piano"


def test_a_pianos_recording_keeps_its_channels_and_its_band(tmp_path):
    clip = pianos.clip(pianos.tiny_model()).samples
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([clip, clip / 2], axis=1), 44_100, "FLOAT", format="WAV")
    kept, rate = soundfile.read(read(buffer.getvalue(), "style", tmp_path).path)
    assert rate == 44_100 and kept.shape == (len(clip), 2)
    assert np.allclose(kept[:, 1] / 0.5, kept[:, 0], atol=1e-5)


def test_the_page_plays_at_the_rate_and_with_the_channels_of_the_piano(tmp_path):
    work = work_lib.Work(pianos.tiny_model(), None, LIMITS)
    full = {"image": stereo.default_image(),
            "high_band_db": np.zeros(high_band.NUM_BANDS, np.float32)}
    for changes, rate, channels in (({}, 24_000, 1), (full, 44_100, 2)):
        job = types.SimpleNamespace(folder=tmp_path, progress=lambda *told: None)
        result = work.play(job, pianos.notes((40, 0.5, 0, 1)), pianos.piano(**changes), Voicing(),
                           0, None)
        found = soundfile.info(tmp_path / work_lib.AUDIO)
        assert (found.samplerate, found.channels) == (rate, channels)
        assert found.duration == pytest.approx(result.seconds, abs=0.01)
        assert Piano.load(tmp_path / work_lib.PIANO).channels == channels


def test_a_recording_beyond_full_scale_is_kept_undistorted(tmp_path):
    tone = 3.0 * np.sin(2 * np.pi * 220 * np.arange(24_000) / 24_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, tone, 24_000, "FLOAT", format="WAV")
    kept, _ = soundfile.read(read(buffer.getvalue(), "content", tmp_path).path)
    assert np.allclose(kept, tone / 3.0, atol=1e-5)


@pytest.mark.parametrize(("data", "role", "message"), [
    (b"", "content", "empty"),
    (b"hello, I am a text", "content", "neither MIDI nor audio"),
    (b"MThd" + bytes(20), "content", "its header is cut short"),
    (b"PK\x03\x04" + bytes(50), "style", "not a piano saved"),
    (b"PK\x03\x04" + bytes(50), "content", "kind 'piano'"),
    (wav_file(1.0)[:60], "notes", "kind 'recording'"),
    (wav_file(6.0), "style", "longer than the 5 s"),
    (wav_file(1.0, level=0.0), "style", "silent"),
    (wav_file(1.0)[:44], "style", "holds no samples"),
    (wav_file(0.1, rate=1000), "style", "of 1000 samples a second"),
])
def test_what_cannot_be_used_is_refused_with_what_to_do(data, role, message, tmp_path):
    with pytest.raises(InvalidRequestError, match=message) as error:
        read(data, role, tmp_path)
    assert "“a file”" in str(error.value) and "Expected" in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "remark"), [
    ("truncated.mid", "The file is cut short, and played as far as it can be read: track 0 "),
    ("overlap_two_channels.mid", "2 instruments are put on the piano."), ("riff.rmi", None)])
def test_what_to_know_of_notes_is_remarked(name, remark, tmp_path):
    upload = read((MIDI_CASES / name).read_bytes(), "content", tmp_path)
    assert len(upload.remarks) == (remark is not None)
    assert not remark or upload.remarks[0].startswith(remark)


def test_scores_are_content(tmp_path):
    score = (MIDI_CASES.parent / "scores" / "cases" / "tie.xml").read_bytes()
    assert read(score, "content", tmp_path).seconds == 4


def test_a_flac_that_hides_its_length_is_not_decoded_beyond_the_limit(tmp_path):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(24_000 * 60, 0.25), 24_000, format="FLAC")
    data = bytearray(buffer.getvalue())
    data[21] &= 0xF0  # the total of samples, 36 bits: unknown
    data[22:26] = bytes(4)
    with pytest.raises(InvalidRequestError, match="longer than the 5 s|neither MIDI"):
        read(bytes(data), "content", tmp_path)


def test_pieces_beyond_the_limits_are_refused(tmp_path):
    for table, message in ((pianos.random_notes(30, 2), "30 notes; at most 20"),
                           (pianos.notes((40, 0.5, 0, 7)), "lasts 7 s")):
        with pytest.raises(InvalidRequestError, match=message):
            read(midi(table, tmp_path), "content", tmp_path)
    with pytest.raises(TooLargeError, match="200001"):
        read(b"MThd" + bytes(199_997), "content", tmp_path)


class Bomb:
    def __reduce__(self):
        return (open, ("bomb", "w"))


def _npy(value, **options):
    buffer = io.BytesIO()
    np.save(buffer, value, **options)
    return buffer.getvalue()


def _with(data, **entries):
    """A piano file with some entries replaced."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    return zipped(**{**kept, **entries})


def _hostile(folder):
    good = piano_bytes(folder)
    huge = _npy(np.zeros(4, np.float32)).replace(b"(4,), ", b"(999999999999,), "[:6])
    keys = np.full(88, 440, np.float32)
    return {
        "pickle": _with(good, **{"style.npy": _npy(np.array([Bomb()]), allow_pickle=True)}),
        "bare pickle": zipped(**{"piano.json": pickle.dumps(Bomb())}),
        "bomb": _with(good, **{"style.npy": bytes(1 << 25)}),
        "huge": _with(good, **{"style.npy": huge}),
        "list": _with(good, **{"piano.json": b"[]"}),
        "deep": _with(good, **{"piano.json": b"[" * 100_000}),
        "text": _with(good, **{"f0_hz.npy": _npy(np.array(["a"] * 88))}),
        "nan": _with(good, **{"f0_hz.npy": _npy(np.append(keys[1:], np.float32("nan")))}),
        "negative": _with(good, **{"f0_hz.npy": _npy(-keys)}),
        "few": _with(good, **{"f0_hz.npy": _npy(keys[1:])}),
        "loud": _with(good, **{"piano.json": b'{"format": "style_transfer.piano/1", "name": "",'
                               b' "weights": "tiny", "loudness_db": 1e300}'}),
    }


@pytest.mark.parametrize("kind", ["pickle", "bare pickle", "bomb", "huge", "list", "deep", "text",
                                  "nan", "negative", "few", "loud"])
def test_hostile_piano_files_are_refused_and_run_nothing(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = _hostile(tmp_path)[kind]
    with pytest.raises(InvalidRequestError, match="not a piano"):
        read(data, "style", tmp_path)
    (tmp_path / "hostile.piano").write_bytes(data)
    with pytest.raises(ValueError, match="not a piano|no piano has|keys, expected"):
        Piano.load(tmp_path / "hostile.piano")
    assert not (tmp_path / "bomb").exists()


@pytest.mark.parametrize(("given", "name"), [
    ("a/b/c.mid", "c"), ("C:\\x\\c.wav", "c"), ("", "untitled"), ("..", "untitled"),
    ("a\x00\n<b>.mid", "a<b>"), ("x" * 300, "x" * 80)])
def test_names_are_for_people_only(given, name):
    assert uploads.clean_name(given) == name


# --- Jobs -----------------------------------------------------------------------------------------


def job(tmp_path, *inputs):
    folder = tmp_path / "job"
    folder.mkdir()
    return jobs.Job(folder, "a job", [("one", "One"), ("two", "Two")], inputs)


def test_a_job_tells_how_far_it_is_and_keeps_its_inputs(tmp_path):
    upload = uploads.Upload("notes", "x")
    made = job(tmp_path, upload)
    assert made.about()["state"] == "queued" and upload.in_use

    def work(running):
        running.progress("two", 1, 4)
        about = running.about()
        assert (about["state"], about["stage"], about["fraction"]) == ("running", 1, 0.25)
        return "result"

    made.run(work)
    assert made.about()["state"] == "done" and made.result == "result" and upload.in_use
    made.close()
    made.close()
    assert upload.users == 0 and not made.folder.exists()


@pytest.mark.parametrize(("fault", "message"), [
    (ValueError("The clip is silent."), "The clip is silent."),
    (RuntimeError("/secret/path"), "The server failed; its log says why.")])
def test_a_failed_job_says_what_the_user_can_mend_and_no_more(tmp_path, fault, message):
    upload = uploads.Upload("notes", "x")
    made = job(tmp_path, upload)

    def work(running):
        raise fault

    made.run(work)
    assert made.about()["state"] == "failed" and made.about()["error"] == message
    assert not upload.in_use and not made.folder.exists()


def test_a_running_job_ends_where_it_tells_its_progress(tmp_path):
    made, begun = job(tmp_path), threading.Event()

    def work(running):
        begun.set()
        while True:
            running.progress("one")

    thread = threading.Thread(target=made.run, args=(work,))
    thread.start()
    begun.wait(5)
    made.cancel()
    thread.join(5)
    assert not thread.is_alive() and made.about()["state"] == "cancelled"
