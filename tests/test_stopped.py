"""Commands over a folder, killed at random points or on a full disk, end as undisturbed ones do."""

import functools
import json
import os
import random
import signal
import subprocess
import time

import numpy as np
import pytest

from style_transfer import audio, piano_roll
from tests import pianos
from tests.pipelines import tiny_pairs
from tests.scripts import forks

KILLS = int(os.environ.get("STYLE_TRANSFER_KILLS", "20"))
LIMIT_SECS = 300.0
HALF_WRITTEN = (".incomplete", ".raw", ".partial", ".tmp", "~")
# Of one run: when it began, what it was called with, its log.
OF_A_RUN = ("events.out", ".style_transfer", ".lock", "state.json", "config.json")

COMMANDS = {
    "convert": ["convert_dir_to_note_sequences", "--input_dir=midi",
                "--output_file={out}/notes.tfrecord", "--num_workers=2"],
    "render": ["render_performances", "--input=midi", "--soundfonts=grand.sfz",
               "--sample_rate=8000", "--output_dir={out}"],
    "create_dataset": ["style_transfer_create_dataset", "--config=midi2wave", "--input=pairs",
                       "--output_dir={out}", "--num_shards=3"],
    "train": ["style_transfer_train", "--config=tests.tiny_config:CONFIG", "--examples_path=midi",
              "--run_dir={out}", "--num_steps=60", "--checkpoint_interval=5", "--eval_interval=30",
              "--hparams=batch_secs=0.03"],
    "transcribe": ["style_transfer_transcribe", "--input=recordings", "--output_dir={out}"],
    "generate": ["style_transfer_generate", "--content=midi", "--style=c4.wav", "--adapt_steps=0",
                 "--output_dir={out}"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("kills")
    for name in ("midi", "pairs", "recordings"):
        (made / name).mkdir()
    model = pianos.tiny_model()
    for number in range(6):
        table = pianos.random_notes(12, 3, seed=number)
        piano_roll.save_midi(made / "midi" / f"{number}.mid", piano_roll.to_sequence(table))
        tiny_pairs.write_pair(made / "pairs" / str(number), secs=3.0, seed=number)
        audio.save(made / "recordings" / f"{number}.wav", pianos.clip(model))
    audio.save(made / "c4.wav", pianos.clip(model))
    (made / "grand.sfz").write_text("<region> sample=c4.wav pitch_keycenter=60\n")
    return made


@pytest.fixture(scope="module")
def running(folder):
    with forks.Forks(folder) as started:
        started.run(["python", "pass"])  # it is up
        yield started


def outputs(folder):
    """The contents of all files that do not differ from run to run, by name."""
    return {str(path.relative_to(folder)): _content(path, folder.name)
            for path in sorted(folder.rglob("*")) if path.is_file()
            and not any(part in path.name for part in OF_A_RUN)
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)}


def _content(path, folder_name):
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tobytes() for name in arrays.files}
    return path.read_bytes().replace(folder_name.encode(), b"folder")  # the flags say it


def line(command, out):
    return [word.format(out=out) for word in COMMANDS[command]]


@pytest.fixture(scope="module")
def undisturbed(folder, running):
    """Of a command: how long it takes and its outputs."""
    @functools.cache
    def run(command):
        begun = time.monotonic()
        status, said = running.run(line(command, f"{command}-once"), LIMIT_SECS)
        assert status == 0, said
        return time.monotonic() - begun, outputs(folder / f"{command}-once")

    return run


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_killed_at_any_time_is_completed_by_the_next(
        folder, running, undisturbed, command):
    whole_secs, expected = undisturbed(command)
    assert expected
    draw, kills, out = random.Random(command), 0, folder / f"{command}-killed"
    for attempt in range(10 * KILLS):
        status, said = running.run(line(command, out.name), draw.uniform(0.02, 1.0) * whole_secs)
        assert status in (0, -signal.SIGKILL), said
        kills += status < 0
        found = outputs(out)
        for name in sorted(set(found) & set(expected)):
            _is_whole(out / name)
        if status == 0:
            assert found == expected
        if kills == KILLS:
            break
        if found == expected:  # it may have been killed behind its last file; from the beginning
            out.rename(folder / f"{command}-{attempt}")
    assert kills == KILLS
    if found != expected:
        status, said = running.run(line(command, out.name), LIMIT_SECS)
        assert status == 0, said
    assert outputs(out) == expected
    assert not [path for path in out.rglob("*") if path.name.endswith(HALF_WRITTEN)]


@pytest.fixture()
def small_disk(tmp_path):
    """Makes a folder a disk of so many bytes, or changes its size."""
    mounted = []

    def mount(place, num_bytes):
        option = "remount," if place in mounted else ""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"{option}size={num_bytes}", "none",
                               place], capture_output=True)
        if done.returncode:
            pytest.skip(f"file systems cannot be mounted here: {done.stderr.decode()}")
        mounted.append(place)

    yield mount
    for place in set(mounted):
        subprocess.run(["umount", place], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.2, 0.6])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_sentence_and_the_next_run_completes_the_work(
        folder, running, undisturbed, small_disk, command, share):
    _, expected = undisturbed(command)
    num_bytes = sum(path.stat().st_size for path in (folder / f"{command}-once").rglob("*"))
    out = folder / f"{command}-full"  # as long as the other's name, which is written into files
    out.mkdir(exist_ok=True)
    small_disk(out, int(share * num_bytes))
    status, said = running.run(line(command, out.name), LIMIT_SECS)
    assert status > 0, said
    *_, last = said.strip().splitlines()
    assert "No space left on device" in said and "Traceback" not in said, said
    assert "space" in last, last
    found = outputs(out)
    for name in found:
        _is_whole(out / name)
    small_disk(out, 50 * num_bytes)
    status, said = running.run(line(command, out.name), LIMIT_SECS)
    assert status == 0, said
    assert outputs(out) == expected
    assert not [path for path in out.rglob("*") if path.name.endswith(HALF_WRITTEN)]


@functools.cache
def _readers():
    import tensorflow as tf

    def records(path):
        return sum(1 for _ in tf.data.TFRecordDataset(str(path)))

    return {".tfrecord": records, ".wav": audio.load, ".flac": audio.load,
            ".mid": piano_roll.load_midi, ".json": lambda path: json.loads(path.read_text()),
            ".npz": lambda path: dict(np.load(path))}


def _is_whole(path):
    """What stands under its final name can be read whatever happened."""
    ending = ".tfrecord" if ".tfrecord" in path.name else path.suffix
    if ending in _readers():
        _readers()[ending](path)
