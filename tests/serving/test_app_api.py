"""The page's server over HTTP, with a tiny piano."""

import dataclasses
import io
import itertools
import json
import os
import pathlib
import re
import threading
import time

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from style_transfer import piano_roll, weights
from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp import estimate as estimate_lib
from style_transfer.models.piano_ddsp import one_shot
from style_transfer.models.piano_ddsp.piano import Piano
from style_transfer.scripts import _methods
from style_transfer.serving.app import examples as examples_lib
from style_transfer.serving.app import jobs
from style_transfer.serving.app.api import WEB, make_app
from style_transfer.serving.app.service import Service
from style_transfer.serving.app.settings import AppLimits
from style_transfer.serving.app.uploads import Upload
from tests import pianos
from tests.serving.stand_in import wav_file
from tests.transcription import tone_transcriber

EXAMPLE = {"example": "traeumerei"}


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


@pytest.fixture(scope="module")
def service(model):
    limits = AppLimits(body_bytes=1 << 20, clip_secs=20, content_secs=60, notes=500,
                       adapt_steps=200, queue=2, results=30, uploads=30)
    made = Service(model, limits, tone_transcriber.make(), pianos.METHODS)
    yield made
    assert made.close() and not made.folder.exists()


@pytest.fixture(scope="module")
def client(service):
    return TestClient(make_app(service), base_url="http://127.0.0.1:8080",
                      raise_server_exceptions=False)


def wav(audio):
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples, audio.sample_rate, "FLOAT", format="WAV")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def midi(tmp_path_factory):
    path = tmp_path_factory.mktemp("midi") / "piece.mid"
    piano_roll.save_midi(path, piano_roll.to_sequence(pianos.random_notes(12, 2, seed=5)))
    return path.read_bytes()


@pytest.fixture(scope="module")
def clip(model):
    return wav(pianos.clip(model))


def upload(client, data, role, name="some file.bin"):
    response = client.post("/api/uploads", params={"role": role, "name": name}, content=data)
    assert response.status_code == 200, response.text
    return {"upload": response.json()["upload"]}


def begin(client, **request):
    response = client.post("/api/jobs", json=request)
    assert response.status_code == 200, response.text
    return response.json()["job"]


def wait(client, job, until=("done", "failed", "cancelled"), secs=60):
    """States of a job until one is in `until`."""
    seen, end = [], time.monotonic() + secs
    while time.monotonic() < end:
        seen.append(client.get(f"/api/jobs/{job}").json())
        if seen[-1]["state"] in until:
            return seen
        time.sleep(0.01)
    raise AssertionError(seen[-1])


def audio_of(client, job):
    response = client.get(f"/api/jobs/{job}/audio")
    return Audio(*soundfile.read(io.BytesIO(response.content), dtype="float32"))


@pytest.fixture(scope="module")
def done(client, midi, clip):
    """A finished job: a piece on a clip that was not fitted."""
    job = begin(client, content=upload(client, midi, "content", "piece.mid"),
                style=upload(client, clip, "style", "clip.wav"), steps=0)
    assert wait(client, job)[-1]["state"] == "done"
    return job


def test_the_page_and_all_it_loads_come_from_here(client):
    page = client.get("/")
    assert page.status_code == 200 and "default-src 'none'" in page.headers[
        "content-security-policy"]
    found, size = set(re.findall(r'(?:src|href)="(/[^"#]+)"', page.text)), len(page.content)
    for script in WEB.glob("*.js"):
        found.add(f"/static/{script.name}")
    for path in found:
        response = client.get(path)
        assert response.status_code == 200, path
        assert "://" not in re.sub(r"http://www.w3.org/[\w/]+", "", response.text), path
        size += len(response.content)
    assert size < 90_000


def test_what_is_played_is_what_the_library_plays(client, model, done, midi, clip):
    expected = one_shot.transfer(midi, Audio(*soundfile.read(io.BytesIO(clip), dtype="float32")),
                                 model=model, adapt_steps=0)
    heard = audio_of(client, done)
    assert heard.sample_rate == 24_000
    pianos.assert_same_sound(heard.samples, expected.samples)
    assert heard.rms_db > -40


def test_downloads_hold_the_piece_and_the_piano(client, done, tmp_path):
    response = client.get(f"/api/jobs/{done}/notes", params={"download": True})
    assert response.headers["content-disposition"].startswith("attachment")
    assert "piece%20on%20clip.mid" in response.headers["content-disposition"]
    notes = piano_roll.note_table(piano_roll.load_midi(response.content))
    expected = pianos.random_notes(12, 2, seed=5)
    assert np.array_equal(notes.key, expected.key)
    assert np.allclose(notes.onset_secs, expected.onset_secs, atol=2e-3)
    (tmp_path / "a.piano").write_bytes(client.get(f"/api/jobs/{done}/piano").content)
    piano = Piano.load(tmp_path / "a.piano")
    assert piano.weights == "tiny" and piano.name == "clip"
    for kind in ("spectrogram", "style_spectrogram"):
        picture = client.get(f"/api/jobs/{done}/{kind}")
        assert picture.headers["content-type"] == "image/png" and picture.content[1:4] == b"PNG"
    part = client.get(f"/api/jobs/{done}/audio", headers={"Range": "bytes=0-99"})
    assert part.status_code == 206 and len(part.content) == 100
    assert client.get(f"/api/jobs/{done}/style").content[:4] == b"RIFF"
    assert client.get(f"/api/jobs/{done}/recording").status_code == 404


def test_the_result_is_described_in_numbers(client, done):
    about = client.get(f"/api/jobs/{done}/result").json()
    assert about["name"] == "piece on clip" and about["has_style"] and not about["has_recording"]
    assert about["seconds"] == pytest.approx(audio_of(client, done).duration_secs, abs=0.01)
    assert len(about["roll"]["pitch"]) == 12 and about["charts"] == about["played_charts"]
    for name in ("tuning_cents", "inharmonicity", "ringing_secs"):
        assert len(about["charts"][name]) == 88 and np.all(np.isfinite(about["charts"][name]))
    assert len(about["charts"]["room_level_db"]) == 16


@pytest.mark.slow
def test_a_recording_is_transcribed_and_a_clip_is_fitted(client, clip):
    recording = wav(Audio(tone_transcriber.tones([69, 76, 81]), 16_000))
    tones = wav(Audio(tone_transcriber.tones([69, 76, 81, 72, 60], 0.7, decay=3), 16_000))
    job = begin(client, content=upload(client, recording, "content"),
                style=upload(client, tones, "style"), steps=2)
    states = wait(client, job, secs=120)
    assert states[-1]["state"] == "done", states[-1]
    assert len(states[-1]["stages"]) == 6
    stages = [state["stage"] for state in states]
    assert stages == sorted(stages) and len(set(stages)) >= 4
    about = client.get(f"/api/jobs/{job}/result").json()
    assert about["fitted"] and about["has_recording"] and len(about["roll"]["pitch"]) == 3
    assert client.get(f"/api/jobs/{job}/recording").content[:4] == b"RIFF"


def test_known_notes_of_the_clip_are_used(client, midi, clip, service, monkeypatch):
    seen = {}

    def estimate(style, **options):
        seen.update(options)
        return pianos.piano()

    monkeypatch.setattr(estimate_lib, "estimate_piano", estimate)
    job = begin(client, content=upload(client, midi, "content"), seed=7, steps=3,
                style=upload(client, clip, "style"), style_notes=upload(client, midi, "notes"))
    assert wait(client, job)[-1]["state"] == "done"
    assert len(seen["style_midi"].notes) == 12 and (seen["seed"], seen["adapt_steps"]) == (7, 3)
    assert "Listening to the piano" not in client.get(f"/api/jobs/{job}").json()["stages"]


def test_notes_of_another_clip_end_the_job_with_figures(client, midi, clip, tmp_path):
    path = tmp_path / "foreign.mid"
    piano_roll.save_midi(path, piano_roll.to_sequence(pianos.random_notes(60, 4, seed=9)))
    job = begin(client, content=upload(client, midi, "content"), steps=3,
                style=upload(client, clip, "style"),
                style_notes=upload(client, path.read_bytes(), "notes"))
    last = wait(client, job)[-1]
    assert last["state"] == "failed" and "give the notes of this very clip" in last["error"]


def test_a_job_tells_all_that_the_page_needs_to_show_it_again(client, midi, clip):
    content = upload(client, midi, "content", "a.mid")
    style = upload(client, clip, "style", "b.wav")
    job = begin(client, content=content, style=style, steps=0, transpose=3, tempo=1.5,
                voicing={"room_db": 3})
    assert wait(client, job)[-1]["state"] == "done"
    asked = client.get(f"/api/jobs/{job}").json()["asked"]
    assert asked["content"]["upload"] == content["upload"] and asked["content"]["notes"] == 12
    assert asked["style"]["upload"] == style["upload"] and asked["style"]["name"] == "b"
    assert (asked["transpose"], asked["tempo"], asked["steps"]) == (3, 1.5, 0)
    assert asked["voicing"]["room_db"] == 3
    about = client.get(f"/api/uploads/{content['upload']}").json()
    assert about["name"] == "a" and about["kind"] == "notes"
    assert client.get("/api/uploads/none").status_code == 404
    first = client.post(f"/api/jobs/{job}/replay", json={"voicing": {}}).json()["job"]
    assert wait(client, first)[-1]["state"] == "done"
    again = client.post(f"/api/jobs/{first}/replay", json={"voicing": {}}).json()["job"]
    last = wait(client, again)[-1]
    assert last["state"] == "done" and last["asked"]["base"] == job


def test_events_tell_what_happens_until_a_job_has_ended(client, midi, clip):
    job = begin(client, content=upload(client, midi, "content"),
                style=upload(client, clip, "style"), steps=0)
    with client.stream("GET", f"/api/jobs/{job}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert told[-1]["state"] == "done" and told[-1]["name"] == "some file on some file"
    assert client.get("/api/jobs/none/events").status_code == 404


def test_what_nobody_watches_is_cancelled(model):
    service = Service(model, AppLimits(unwatched_secs=1))
    release = threading.Event()
    service.work.transfer = lambda job, *_: [job.check() or release.wait(0.01)
                                             for _ in range(3000)]
    style = {"upload": service.uploads.add(Upload("piano", "x", piano=pianos.piano()))}
    runs, waits = (service.jobs.get(service.start(EXAMPLE, style)) for _ in range(2))
    with runs.watched():
        time.sleep(1.1)
        service.sweep()
        assert runs.state == jobs.RUNNING and waits.state == jobs.CANCELLED
    service.sweep()
    assert runs.state == jobs.RUNNING  # it may only be a reload
    time.sleep(1.1)
    runs.seen()
    service.sweep()
    assert runs.in_use
    time.sleep(1.1)
    service.sweep()
    runs.future.result(5)
    assert runs.state == jobs.CANCELLED and service.close()


def test_a_piano_is_estimated_once_for_all_that_is_played_on_it(client, midi, clip, monkeypatch):
    calls = []

    def estimate(style, **options):
        calls.append(options["adapt_steps"])
        return pianos.piano()

    monkeypatch.setattr(estimate_lib, "estimate_piano", estimate)
    content, style = upload(client, midi, "content"), upload(client, clip, "style")
    for _ in range(2):
        job = begin(client, content=content, style=style, steps=3, transpose=len(calls))
        last = wait(client, job)[-1]
        assert last["state"] == "done"
    assert calls == [3] and last["stages"] == ["Playing", "Drawing"]
    assert wait(client, begin(client, content=content, style=style, steps=2))[-1]["state"] == "done"
    last = wait(client, begin(client, content=content, style=style))[-1]
    assert last["state"] == "done" and "Fitting the instrument" in last["stages"]
    assert calls == [3, 2, None]


def test_a_piece_is_transposed_played_faster_and_by_some_of_its_tracks(client, clip, tmp_path):
    sequence = piano_roll.to_sequence(pianos.notes((40, 0.5, 0, 1), (87, 0.5, 1, 2)))
    for i, note in enumerate(sequence.notes):
        note.instrument = note.part = i
        note.program = 4 * i
    piano_roll.save_midi(tmp_path / "two.mid", sequence)
    data = (tmp_path / "two.mid").read_bytes()
    sent = client.post("/api/uploads", params={"role": "content"}, content=data).json()
    assert len(sent["tracks"]) == 2 and sent["remarks"]
    style = upload(client, clip, "style")

    def played(**options):
        job = begin(client, content={"upload": sent["upload"]}, style=style, steps=0, **options)
        assert wait(client, job)[-1]["state"] == "done"
        return client.get(f"/api/jobs/{job}/result").json()["roll"]

    assert played()["pitch"] == [61, 108]
    assert played(transpose=2)["pitch"] == [63]  # the keyboard ends
    assert played(tempo=2)["onset"] == [0, 0.5] and played(tempo=2)["damped"] == [0.5, 1]
    assert played(tracks=[sent["tracks"][1]["number"]])["pitch"] == [108]
    for wrong, message in (({"transpose": 25}, "transpose"), ({"tempo": 5}, "tempo"),
                           ({"tempo": True}, "tempo"), ({"tracks": []}, "tracks"),
                           ({"tracks": ["1"]}, "tracks")):
        response = client.post("/api/jobs", json={
            "content": {"upload": sent["upload"]}, "style": style, **wrong})
        assert response.status_code == 400 and message in response.json()["error"]


def test_what_is_no_piano_is_refused_when_it_is_sent(client):
    steady = client.post("/api/uploads", params={"role": "style", "name": "organ.wav"},
                         content=wav_file(3.0))
    assert steady.status_code == 400 and "do not fade" in steady.json()["error"]
    assert client.post("/api/uploads", params={"role": "content"},
                       content=wav_file(3.0)).status_code == 200


def test_sliders_change_the_sound_and_the_charts_and_not_the_piano_they_start_from(client, done):
    before = audio_of(client, done)
    again = client.post(f"/api/jobs/{done}/replay", json={"voicing": {}}).json()["job"]
    voicing = {"pitch_cents": 50, "ringing": 0.5, "room_db": 6}
    other = client.post(f"/api/jobs/{done}/replay", json={"voicing": voicing}).json()["job"]
    for job in (again, other):
        assert wait(client, job)[-1]["state"] == "done"
    assert np.array_equal(audio_of(client, again).samples, before.samples)
    changed = audio_of(client, other)
    assert np.max(np.abs(changed.samples - before.samples)) > 0.01
    about = client.get(f"/api/jobs/{other}/result").json()
    shift = np.subtract(about["played_charts"]["tuning_cents"], about["charts"]["tuning_cents"])
    assert np.allclose(shift, 50, atol=0.1)
    preview = client.post(f"/api/jobs/{done}/preview", json={"voicing": voicing}).json()
    assert preview == about["played_charts"]
    assert client.get(f"/api/jobs/{other}/style_spectrogram").status_code == 200
    for job in (again, other):
        assert client.delete(f"/api/jobs/{job}").status_code == 200
        assert client.get(f"/api/jobs/{job}").status_code == 404


def test_the_piano_downloaded_is_the_piano_heard(client, done, tmp_path):
    job = client.post(f"/api/jobs/{done}/replay",
                      json={"voicing": {"hammer_db": 6, "stretch_cents": 4}}).json()["job"]
    assert wait(client, job)[-1]["state"] == "done"
    heard = audio_of(client, job)
    piano = upload(client, client.get(f"/api/jobs/{job}/piano").content, "style", "mine.piano")
    content = upload(client, client.get(f"/api/jobs/{job}/notes").content, "content")
    again = begin(client, content=content, style=piano)
    assert wait(client, again)[-1]["state"] == "done"
    samples = audio_of(client, again).samples
    # MIDI has whole velocities and ticks, so the notes are nearly the same.
    size = min(len(samples), len(heard.samples))
    assert np.corrcoef(samples[:size], heard.samples[:size])[0, 1] > 0.9


def test_a_running_fit_can_be_cancelled_and_the_next_job_runs(client, midi, clip, service):
    tones = wav(Audio(tone_transcriber.tones([69, 76, 81, 72, 60], 0.7, decay=3), 16_000))
    job = begin(client, content=upload(client, midi, "content"),
                style=upload(client, tones, "style"), steps=200)
    folder = service.jobs.get(job).folder
    deadline = time.monotonic() + 60
    while client.get(f"/api/jobs/{job}").json()["stage"] != 2:  # fitting
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert client.delete(f"/api/jobs/{job}").status_code == 200
    last = wait(client, job)[-1]
    assert last["state"] == "cancelled" and last["fraction"] < 1 and not folder.exists()
    assert client.get(f"/api/jobs/{job}/result").status_code == 400
    after = begin(client, content=upload(client, midi, "content"),
                  style=upload(client, clip, "style"), steps=0)
    assert wait(client, after)[-1]["state"] == "done"


def test_too_many_jobs_are_refused_and_waiting_ones_can_be_cancelled(client, midi, clip, service,
                                                                    monkeypatch):
    release = threading.Event()

    def slow(job, *_):
        while not release.wait(0.01):
            job.check()
        raise ValueError("enough")

    monkeypatch.setattr(service.work, "transfer", slow)
    request = {"content": upload(client, midi, "content"), "style": upload(client, clip, "style")}
    try:
        taken = [begin(client, **request) for _ in range(3)]  # one runs, two wait
        refused = client.post("/api/jobs", json=request)
        assert refused.status_code == 429 and "try again" in refused.json()["error"]
        assert refused.headers["retry-after"]
        client.delete(f"/api/jobs/{taken[2]}")
        assert client.get(f"/api/jobs/{taken[2]}").status_code == 404  # ended, so forgotten
        taken.append(begin(client, **request))
    finally:
        release.set()
    for job in (taken[0], taken[1], taken[3]):
        last = wait(client, job)[-1]
        assert last["state"] == "failed" and last["error"] == "enough"


def test_results_and_files_are_bounded_in_number(model, tmp_path):
    service = Service(model, AppLimits(results=3, queue=2, uploads=5))
    client = TestClient(make_app(service), base_url="http://127.0.0.1:8080")
    piano_roll.save_midi(tmp_path / "a.mid", piano_roll.to_sequence(pianos.notes((40, 1, 0, 0.1))))
    pianos.piano().save(tmp_path / "a.piano")
    content = upload(client, (tmp_path / "a.mid").read_bytes(), "content")
    style = upload(client, (tmp_path / "a.piano").read_bytes(), "style")
    finished = []
    for _ in range(5):
        finished.append(begin(client, content=content, style=style))
        assert wait(client, finished[-1])[-1]["state"] == "done"
    states = [client.get(f"/api/jobs/{job}").status_code for job in finished]
    assert states == [404, 404, 200, 200, 200]
    assert len([entry for entry in os.scandir(service.folder) if entry.is_dir()]) == 3
    for _ in range(7):
        upload(client, wav_file(0.2), "content")
    assert len(service.uploads) == 5  # two of them are what the results were made from
    assert len([entry for entry in os.scandir(service.folder) if entry.is_file()]) == 3
    for job in finished[2:]:
        assert client.delete(f"/api/jobs/{job}").status_code == 200
    assert len([entry for entry in os.scandir(service.folder) if entry.is_dir()]) == 0
    assert service.close()


def test_another_method_plays_and_estimates_no_piano(client, midi, clip):
    assert client.get("/api/about").json()["methods"] == [
        {"method": "sine", "about": "A sine for each piece."}]
    style = upload(client, clip, "style", "clip.wav")
    job = begin(client, content=upload(client, midi, "content", "piece.mid"), style=style,
                method="sine", transpose=12)
    last = wait(client, job)[-1]
    assert last["state"] == "done" and last["stages"] == ["Playing", "Drawing"]
    assert last["asked"]["method"] == "sine"
    heard, clip_heard = audio_of(client, job), Audio(*soundfile.read(io.BytesIO(clip)))
    table = piano_roll.note_table(piano_roll.load_midi(midi)).transpose(12)
    expected = pianos.sine(piano_roll.to_sequence(table), clip_heard, sample_rate=24_000, seed=0)
    assert np.allclose(heard.samples, expected.samples, atol=1e-3)
    about = client.get(f"/api/jobs/{job}/result").json()
    assert about["name"] == "piece as clip by sine" and about["has_style"]
    assert "piano" not in about and len(about["roll"]["pitch"]) == 12
    assert client.get(f"/api/jobs/{job}/piano").status_code == 404
    for kind in ("spectrogram", "style_spectrogram", "notes"):
        assert client.get(f"/api/jobs/{job}/{kind}").status_code == 200
    for path, body in ((f"{job}/replay", {"voicing": {}}), (f"{job}/preview", {})):
        response = client.post(f"/api/jobs/{path}", json=body)
        assert response.status_code == 400 and "estimates no piano" in response.json()["error"]


def test_another_method_must_be_there_and_needs_a_recording(client, clip, done, tmp_path):
    piano = client.get(f"/api/jobs/{done}/piano").content
    for data, name, method, message in ((clip, "clip.wav", "saw", "one of sine"),
                                        (piano, "a.piano", "sine", "needs a recording")):
        response = client.post("/api/jobs", json={
            "content": EXAMPLE, "style": upload(client, data, "style", name), "method": method})
        assert response.status_code == 400 and message in response.json()["error"]


def test_the_command_offers_what_is_told_a_clip_and_has_weights():
    offered = _methods.offered()
    assert {"performance_net", "ss_vq_vae_small", "ulyanov"} <= set(offered)
    assert not {"piano_ddsp", "midi2wave_small", "pre_spec_unet", "vocoder"} & set(offered)


@pytest.mark.parametrize(("body", "message"), [
    ({"content": EXAMPLE}, "style is missing"),
    ({"content": EXAMPLE, "style": {}}, "style is missing: choose a file"),
    ({"content": EXAMPLE, "style": {"upload": "../../x"}}, "no longer kept"),
    ({"content": {"example": "x"}, "style": {"upload": "x"}}, "no example 'x'"),
    ({"content": EXAMPLE, "style": None, "path": "/etc/passwd"}, "path is unknown"),
])
def test_requests_that_lack_something_are_refused(client, body, message):
    response = client.post("/api/jobs", json=body)
    assert response.status_code in (400, 404) and message in response.json()["error"]


@pytest.mark.parametrize(("changes", "message"), [
    ({"steps": -1}, "steps must be"), ({"steps": 201}, "0 to 200"), ({"steps": "9"}, "steps"),
    ({"steps": True}, "steps"), ({"seed": 2**31}, "seed must be"), ({"seed": 0.5}, "seed"),
    ({"voicing": {"ringing": 99}}, "ringing must be"), ({"voicing": {"x": 1}}, "sliders"),
    ({"voicing": [1]}, "sliders")])
def test_numbers_out_of_range_are_refused(client, clip, changes, message):
    response = client.post("/api/jobs", json={
        "content": EXAMPLE, "style": upload(client, clip, "style"), **changes})
    assert response.status_code == 400 and message in response.json()["error"]


def test_malformed_requests_are_refused(client, done):
    for body in (b"", b"{", b"[]", b"7", b"[" * 5000):
        response = client.post("/api/jobs", content=body,
                               headers={"Content-Type": "application/json"})
        assert response.status_code == 400 and "error" in response.json()
    response = client.post("/api/jobs", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 400 and "application/json" in response.json()["error"]
    big = client.post("/api/jobs", content=b" " * 70_000,
                      headers={"Content-Type": "application/json"})
    assert big.status_code == 413
    assert client.post("/api/uploads", params={"role": "content"},
                       content=bytes((1 << 20) + 1)).status_code == 413
    assert client.post("/api/uploads", params={"role": "x"}, content=b"a").status_code == 400
    assert client.post("/api/uploads", content=b"a").status_code == 400
    assert client.get("/api/jobs/none").status_code == 404
    assert client.get(f"/api/jobs/{done}/passwd").status_code == 404
    for path in ("/static/../api.py", "/static/%2e%2e/api.py", "/nothing", "/static/none.js"):
        assert client.get(path).status_code == 404, path


def test_bad_files_are_refused_with_a_reason_for_people(client):
    response = client.post("/api/uploads", params={"role": "content", "name": "a.txt"},
                           content=b"hello there")
    assert response.status_code == 400 and "neither MIDI nor audio" in response.json()["error"]


def test_a_piano_of_other_weights_or_shapes_is_refused_at_once(client, model, tmp_path):
    zeros = {"by_key": np.zeros((2, 2)), "by_velocity": np.zeros(2), "room": np.zeros(2)}
    for changes, message in (({"weights": "other"}, "weights 'other'"),
                             ({"style": np.zeros(3, np.float32)}, "loaded"),
                             ({"corrections": zeros}, "damaged")):
        dataclasses.replace(pianos.piano(), **changes).save(tmp_path / "a.piano")
        response = client.post("/api/uploads", params={"role": "style"},
                               content=(tmp_path / "a.piano").read_bytes())
        assert response.status_code == 400 and message in response.json()["error"]


def test_other_hosts_and_origins_are_refused(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    evil = client.post("/api/jobs", json={}, headers={"Origin": "http://evil.example"})
    assert evil.status_code == 403 and "content-security-policy" in evil.headers
    own = client.post("/api/jobs", json={}, headers={"Origin": "http://127.0.0.1:8080"})
    assert own.status_code == 400


def test_a_fault_of_the_server_tells_nothing_of_its_inside(client, done, service, monkeypatch):
    monkeypatch.setattr(service, "preview", lambda *_: 1 / 0)
    response = client.post(f"/api/jobs/{done}/preview", json={})
    assert response.status_code == 500 and "division" not in response.text


def test_the_examples_that_are_shipped_fit_the_weights_that_are_shipped(client):
    assert client.get("/api/about").json()["examples"]["style"] == []  # the tiny model's: none
    config = pathlib.Path(weights.__file__).parent / weights.DEFAULT / weights.CONFIG_FILE
    paths = sorted(examples_lib.FOLDER.glob("*.piano"))
    assert len(paths) >= 3, "run examples/make_pianos.py"
    for path in paths:
        assert Piano.load(path).weights == json.loads(config.read_text())["name"], (
            "new weights need new examples: run examples/make_pianos.py")
    for path, piece in itertools.product(paths, examples_lib.PIECES):
        truth = soundfile.info(examples_lib.truth(piece, path.stem))
        played = piano_roll.note_table(piano_roll.load_midi(examples_lib.FOLDER / f"{piece}.mid"))
        assert 0.9 * played.end_secs < truth.duration < played.end_secs + 10
    assert sum(p.stat().st_size for p in examples_lib.FOLDER.iterdir()) < 700_000


def test_closing_cancels_what_runs(model):
    service = Service(model, AppLimits())
    service.work.transfer = lambda job, *_: [job.check() or time.sleep(0.01) for _ in range(10**4)]
    piano = Upload("piano", "x", piano=pianos.piano())
    key = service.start(EXAMPLE, {"upload": service.uploads.add(piano)})
    job = service.jobs.get(key)
    assert piano.in_use and service.close(10)
    assert job.state == jobs.CANCELLED and not piano.in_use and not service.folder.exists()
