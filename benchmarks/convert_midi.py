"""How fast MIDI files become NoteSequence records, against note_seq's own reader.

Writes synthetic performances (note-ons, note-offs, pedal, tempo changes) to a temporary directory
and converts them in one run four ways: by note_seq's reader as Magenta's command calls it, by ours
in the same single process, and by the whole command with one and with all workers. The records of
all four must be identical, or it fails. Reading a file, building its record, and framing and
writing the record all count; imports do not, except that the last two start their processes.

  python benchmarks/convert_midi.py --num_files=400
"""

import hashlib
import os
import platform
import random
import statistics
import struct
import sys
import tempfile
import time

from absl import app, flags

from style_transfer.pipelines import isolated_workers, note_sequences
from style_transfer.pipelines.records import tfrecords

_TICKS_PER_QUARTER = 480
_REQUIRED_RATIO = 5.0


def _variable_int(value):
    octets = [value & 0x7F]
    while value := value >> 7:
        octets.append(value & 0x7F | 0x80)
    return bytes(reversed(octets))


def synthetic_midi(num_notes: int, seed: int) -> bytes:
    """A two-track MIDI file: tempos, and a performance with a sustain pedal."""
    random_ = random.Random(seed)
    events, tick = [], 0
    for i in range(num_notes):
        tick += random_.choice((0, 0, 60, 117, 240))
        key, end = random_.randrange(21, 109), tick + random_.randrange(30, 900)
        events.append((tick, bytes((0x90, key, random_.randrange(1, 128)))))
        events.append((end, bytes((0x80, key, 64))))
        if i % 10 == 0:
            events.append((tick, bytes((0xB0, 64, random_.choice((0, 127))))))
    events.sort(key=lambda event: event[0])
    tempos = [
        (4 * _TICKS_PER_QUARTER * bar, b"\xff\x51\x03" + (480_000 + 997 * bar).to_bytes(3, "big"))
        for bar in range(max(1, tick // (16 * _TICKS_PER_QUARTER)))
    ]
    header = struct.pack(">4sLhhh", b"MThd", 6, 1, 2, _TICKS_PER_QUARTER)
    return header + _track(tempos) + _track(events)


def _track(events):
    data, before = bytearray(), 0
    for tick, message in events:
        data += _variable_int(tick - before) + message
        before = tick
    data += b"\x00\xff\x2f\x00"
    return struct.pack(">4sL", b"MTrk", len(data)) + data


def _write_files(folder):
    for i in range(_NUM_FILES.value):
        with open(os.path.join(folder, f"{i:05}.mid"), "wb") as file:
            file.write(synthetic_midi(_NUM_NOTES.value, seed=i))


def _reference(root, filenames, output):
    """Converts as `magenta.scripts.convert_dir_to_note_sequences.convert_midi` does."""
    from note_seq import midi_io

    with tfrecords.atomic_file(output) as file:
        for filename in filenames:
            with open(os.path.join(root, filename), "rb") as midi:
                sequence = midi_io.midi_to_sequence_proto(midi.read())
            sequence.collection_name = os.path.basename(root)
            sequence.filename = filename
            sequence.id = note_sequences.sequence_id(filename, sequence.collection_name, "midi")
            file.write(tfrecords.frame(sequence.SerializeToString()))


def _ours_in_process(root, filenames, output):
    with tfrecords.atomic_file(output) as file:
        for filename in filenames:
            for record in note_sequences.convert_file(filename, root):
                file.write(tfrecords.frame(record))


def _ours_in_workers(num_workers):
    def convert(root, filenames, output):
        note_sequences.convert_directory(root, output, num_workers=num_workers, overwrite=True)

    return convert


def _digests(path):
    return [hashlib.sha256(record).digest() for record in tfrecords.read_records(path)]


def _measure(convert, root, filenames, output):
    """Files per second in the median run, and digests of the records."""
    secs = []
    for _ in range(_REPEATS.value):
        start = time.perf_counter()
        convert(root, filenames, output)
        secs.append(time.perf_counter() - start)
    return len(filenames) / statistics.median(secs), _digests(output)


def _conditions():
    from importlib import metadata

    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("note-seq", "pretty-midi", "mido", "numpy", "protobuf")
    )
    cores, load = isolated_workers.num_cores(), os.getloadavg()[0]
    return (
        f"{_NUM_FILES.value} files of {_NUM_NOTES.value} notes, median of {_REPEATS.value} runs; "
        f"{cores} cores, load {load:.1f} before; Python {platform.python_version()}, {versions}"
    )


def main(argv):
    """Measures, prints the table, and fails if records differ or the speed goal is missed."""
    del argv
    print(_conditions())
    import note_seq  # noqa: F401  so that no import is measured

    all_cores = isolated_workers.num_cores()
    with tempfile.TemporaryDirectory() as folder:
        root, output = os.path.join(folder, "synthetic"), os.path.join(folder, "out.tfrecord")
        os.mkdir(root)
        _write_files(root)
        filenames = list(note_sequences.find_files(root))
        some = filenames[: _NUM_REFERENCE.value]
        rows = [
            ("note_seq, 1 process", *_measure(_reference, root, some, output)),
            ("ours, 1 process", *_measure(_ours_in_process, root, filenames, output)),
            ("command, 1 worker", *_measure(_ours_in_workers(1), root, filenames, output)),
            (
                f"command, {all_cores} workers",
                *_measure(_ours_in_workers(all_cores), root, filenames, output),
            ),
        ]
    reference_speed, expected = rows[0][1:]
    print(f"{'':22} {'files/s':>9} {'ratio':>7}  records")
    for name, speed, digests in rows:
        same = digests[: len(expected)] == expected and digests == rows[-1][2][: len(digests)]
        verdict = "identical" if same else "DIFFERENT"
        print(f"{name:22} {speed:9.1f} {speed / reference_speed:7.1f}  {verdict}")
        if not same:
            sys.exit("The records differ.")
    if rows[1][1] < _REQUIRED_RATIO * reference_speed:
        sys.exit(f"Missed: a single process should be {_REQUIRED_RATIO:g} times as fast.")


if __name__ == "__main__":
    _NUM_FILES = flags.DEFINE_integer("num_files", 200, "Files to convert.", lower_bound=1)
    _NUM_NOTES = flags.DEFINE_integer("num_notes", 1500, "Notes in each.", lower_bound=1)
    _NUM_REFERENCE = flags.DEFINE_integer(
        "num_reference_files", 60, "How many of them note_seq converts.", lower_bound=1
    )
    _REPEATS = flags.DEFINE_integer("repeats", 3, "Runs of each; the median counts.", lower_bound=1)
    app.run(main)
