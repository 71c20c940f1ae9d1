"""How fast and in how much memory training examples are made, and which decoder to use.

Makes two data sets in a temporary folder, one several times the size of the other, streams batches
from both, and prints examples per second and the growth of resident memory. Then times ways to
get a crop out of a performance: reading a part with libsndfile (what the input pipeline does), all
of it with libsndfile, and both with tensorflow-io.

  python benchmarks/input_pipeline.py [--performances=200] [--secs=60] [--measure_secs=10]
"""

import gc
import io
import os
import pathlib
import platform
import sys
import tempfile
import time
import types

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

FLAGS = flags.FLAGS
RATE = 24_000
SMALLER = 10  # how many times smaller the other data set is
PERFORMANCES_PER_FILE = 50


def write_data_set(folder, count, secs):
    """Performances of ten notes a second with pedal on pianos of eight performances each."""
    from style_transfer import audio as audio_lib
    from style_transfer import piano_roll
    from style_transfer.pipelines.records import examples, tfrecords

    rng = np.random.default_rng(0)
    # One minute of coloured noise, rolled: as hard to compress as music, and quick to make.
    noise = np.cumsum(rng.standard_normal(int(secs * RATE)).astype(np.float32))
    noise -= np.convolve(noise, np.ones(64) / 64, "same")
    noise = (0.1 * noise / noise.std()).astype(np.float32)
    onsets = np.arange(0, secs - 1, 0.1)
    notes = piano_roll.NoteTable(
        rng.integers(10, 80, len(onsets)).astype(np.int32),
        rng.integers(20, 120, len(onsets)).astype(np.float32) / 127, onsets, onsets + 0.3,
        onsets + 0.3)
    sequence = piano_roll.to_sequence(notes)
    for i in range(int(secs)):
        sequence.control_changes.add(time=i, control_number=64, control_value=127 * (i % 2))
    tuning = types.SimpleNamespace(f0_hz=27.5 * 2 ** (np.arange(88) / 12),
                                   inharmonicity=np.full(88, 1e-3))
    for first in range(0, count, PERFORMANCES_PER_FILE):
        with open(folder / f"train-{first:05d}.tfrecord", "wb") as file:
            for i in range(first, min(first + PERFORMANCES_PER_FILE, count)):
                audio = audio_lib.Audio(np.roll(noise, i * 997), RATE)
                file.write(tfrecords.frame(examples.make_example(
                    audio, sequence, id=f"x{i}", timbre_id=f"piano{i // 8}", piece_id=f"p{i % 8}",
                    split="train", tuning=tuning)))


def rss_mb():
    """Resident memory of this process, MB."""
    gc.collect()
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def measure_stream(folder, measure_secs, **options):
    """Examples per second, processor time per example, and memory after a while and at the end."""
    from style_transfer.pipelines.inputs import piano_ddsp as inputs

    begin = time.perf_counter()
    dataset = inputs.make_dataset(str(folder), batch_size=FLAGS.batch_size, **options)
    batches = iter(dataset)
    next(batches)
    first_secs = time.perf_counter() - begin
    count, rss = 0, []
    begin, cpu = time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - begin) < measure_secs:
        next(batches)
        count += FLAGS.batch_size
        if not rss and elapsed > measure_secs / 3:
            rss.append(rss_mb())
    rss.append(rss_mb())
    return (count / elapsed, 1e3 * (time.process_time() - cpu) / count, first_secs, count, rss)


def measure_decoders(secs):
    """Milliseconds of processor time for three seconds out of a recording, by decoder."""
    import soundfile

    from style_transfer import audio as audio_lib

    rng = np.random.default_rng(0)
    noise = np.cumsum(rng.standard_normal(int(secs * RATE)).astype(np.float32))
    noise -= np.convolve(noise, np.ones(64) / 64, "same")
    data = audio_lib.encode_flac(audio_lib.Audio(0.1 * noise / noise.std(), RATE))
    path = pathlib.Path(tempfile.mkdtemp()) / "x.flac"
    path.write_bytes(data)
    crop = 3 * RATE

    def part():
        with soundfile.SoundFile(path) as sound:
            sound.seek(int(rng.integers(0, len(sound) - crop)))
            return sound.read(crop, dtype="float32")

    cases = {"libsndfile, part": part,
             "libsndfile, whole": lambda: soundfile.read(io.BytesIO(data), dtype="float32")}
    try:
        import tensorflow as tf
        import tensorflow_io as tfio

        def lazy():
            sound = tfio.audio.AudioIOTensor(str(path))
            start = int(rng.integers(0, len(noise) - crop))
            return sound[start:start + crop]

        cases["tensorflow-io, part (AudioIOTensor)"] = lazy
        cases["tensorflow-io, whole (decode_flac)"] = lambda: tfio.audio.decode_flac(
            data, dtype=tf.int16)
        lazy()
    except (ImportError, NotImplementedError) as error:
        print(f"tensorflow-io does not load: {error}")
    for name, case in cases.items():
        case()
        count, begin = 0, time.process_time()
        while time.process_time() - begin < 0.5 or count < 3:
            case()
            count += 1
        print(f"  {name:38s} {1e3 * (time.process_time() - begin) / count:8.2f} ms")
    path.unlink()
    path.parent.rmdir()


def main(argv):
    """Prints the tables."""
    del argv
    import tensorflow as tf

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load "
          f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, TensorFlow "
          f"{tf.__version__}")
    with tempfile.TemporaryDirectory() as root:
        folders = {}
        for count in (max(16, FLAGS.performances // SMALLER), FLAGS.performances):
            folders[count] = pathlib.Path(root, str(count))
            folders[count].mkdir()
            write_data_set(folders[count], count, FLAGS.secs)
        gc.collect()
        print(f"{'data set':34s} {'augment':8s} {'calls':>5s} {'ex/s':>7s} {'CPU ms/ex':>9s} "
              f"{'start s':>8s} {'taken':>6s} {'MB at 1/3':>9s} {'MB at end':>9s}")
        for augment, calls in ((False, 1), (False, 2), (True, 2)):
            for count, folder in folders.items():
                size = sum(path.stat().st_size for path in folder.iterdir())
                rate, cpu, first, taken, rss = measure_stream(
                    folder, FLAGS.measure_secs, augment=augment, num_parallel_calls=calls)
                minutes = count * FLAGS.secs / 60
                print(f"{count:4d} = {minutes:5.0f} min, {size / 1e6:6.0f} MB on disk "
                      f"{str(augment):>10s} {calls:5d} {rate:7.1f} {cpu:9.1f} {first:8.2f} "
                      f"{taken:6d} {rss[0]:9.0f} {rss[1]:9.0f}", flush=True)
    for secs in (10, 60, 600):
        print(f"three seconds out of {secs} s of FLAC:")
        measure_decoders(secs)


if __name__ == "__main__":
    flags.DEFINE_integer("performances", 200, "Performances of the larger data set.")
    flags.DEFINE_float("secs", 60.0, "Length of a performance.")
    flags.DEFINE_float("measure_secs", 10.0, "How long each case is measured.")
    flags.DEFINE_integer("batch_size", 8, "Examples of a batch.")
    app.run(main)
