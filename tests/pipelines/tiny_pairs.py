"""Small recordings with their MIDI, made of sines, for tests of the data path."""

import pathlib
import types

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.pipelines.records import examples, tfrecords

RATE = 8000


def table(secs, seed=0, step_secs=0.25):
    """Random notes without pedal, one beginning every `step_secs`."""
    rng = np.random.default_rng(seed)
    onsets = np.arange(0.1, secs - 0.5, step_secs)
    ends = onsets + rng.uniform(0.1, 0.4, len(onsets))
    keys = rng.integers(20, 60, len(onsets)).astype(np.int32)
    velocities = (rng.integers(30, 110, len(onsets)) / 127).astype(np.float32)
    return piano_roll.NoteTable(keys, velocities, onsets, ends, ends)


def sound(notes, secs, rate=RATE):
    """The notes as decaying sines with four partials."""
    samples = np.zeros(round(secs * rate), np.float32)
    for key, velocity, start, end in zip(notes.key, notes.velocity, notes.onset_secs,
                                         notes.release_secs, strict=True):
        time = np.arange(round((end - start) * rate)) / rate
        f0 = 440 * 2 ** ((key - 48) / 12)
        wave = sum(np.sin(2 * np.pi * k * f0 * time) / k for k in range(1, 5))
        first = round(start * rate)
        wave = (0.1 * velocity * wave * np.exp(-3 * time))[: len(samples) - first]
        samples[first : first + len(wave)] += wave.astype(np.float32)
    return audio_lib.Audio(samples, rate)


def write_midi(path, notes):
    """Writes a table as a MIDI file."""
    import note_seq

    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    note_seq.sequence_proto_to_pretty_midi(piano_roll.to_sequence(notes)).write(str(path))


def write_pair(stem, secs=3.0, seed=0, suffix=".flac", rate=RATE):
    """Writes `<stem>.mid` and `<stem><suffix>`; returns the table."""
    notes = table(secs, seed)
    write_midi(f"{stem}.mid", notes)
    audio_lib.save(f"{stem}{suffix}", sound(notes, secs, rate))
    return notes


TUNING = types.SimpleNamespace(f0_hz=(27.5 * 2 ** (np.arange(88) / 12)).astype(np.float32),
                               inharmonicity=np.linspace(1e-4, 1e-2, 88, dtype=np.float32))


def example(name, secs=12.0, seed=0, audio=None, notes=None, timbre="a", piece=None,
            split="train", rate=RATE, tuning=TUNING):
    """A serialized example with a made-up tuning."""
    notes = table(secs, seed) if notes is None else notes
    return examples.make_example(
        audio or sound(notes, secs, rate), piano_roll.to_sequence(notes), id=name,
        timbre_id=timbre, piece_id=piece or name, split=split, tuning=tuning)


def write_records(path, records):
    """Writes a TFRecord file."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_bytes(b"".join(map(tfrecords.frame, records)))
