"""Converting a collection of Lakh's kind: memory, reasons, resuming after a kill.

    python -m benchmarks.lakh_size --seeds=FOLDER --count=8000

Lakh has 176,581 MIDI files, some of them damaged. Here `--count` of them are made of the MIDI files
below `--seeds`: copies that are transposed, cut short, or have bytes changed. A first run is killed
when `--kill_at` of them are done, a second one goes on. Prints what each took, the most memory that
all of its processes had at once in each tenth of the work, and the reasons of what was skipped.
"""

import argparse
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

LAKH = 176_581


def make(seeds, folder, count):
    """Writes the collection, `count` files in folders of a thousand."""
    rng = random.Random(0)
    seeds = [path.read_bytes() for path in sorted(pathlib.Path(seeds).rglob("*.mid*"))]
    seeds = [data for data in seeds if data[:4] == b"MThd" and len(data) < 200_000]
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)])
        kind = rng.random()
        if kind < 0.03:
            del data[rng.randrange(20, len(data)):]
        elif kind < 0.10:
            for _ in range(rng.randrange(1, 20)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind < 0.11:
            data[:] = rng.randbytes(rng.randrange(1, 5000))
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return len(seeds)


def run(folder, output, workers, count, kill_at=None):
    """Runs the command; gives seconds, peaks of memory by tenths in MiB, and what it said."""
    import psutil

    process = subprocess.Popen(
        [sys.executable, "-m", "style_transfer.scripts.convert_dir_to_note_sequences",
         f"--input_dir={folder}", f"--output_file={output}", "--recursive",
         f"--num_workers={workers}"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun, peaks, cpu = time.monotonic(), {}, 0.0
    parent = psutil.Process(process.pid)
    ledgers = output.parent
    killed = False
    while process.poll() is None:
        time.sleep(0.5)
        try:
            family = [parent, *parent.children(recursive=True)]
            memory = sum(each.memory_info().rss for each in family)
            cpu = max(cpu, sum(sum(each.cpu_times()[:2]) for each in family))
        except psutil.Error:
            continue
        ledger = next(ledgers.glob(".*.progress"), None)
        done = 0
        if ledger is not None:
            with open(ledger, "rb") as file:
                done = max(0, sum(1 for _ in file) - 1)
        tenth = min(9, 10 * done // count)
        peaks[tenth] = max(peaks.get(tenth, 0), memory >> 20)
        if kill_at and done >= kill_at * count:
            family = parent.children(recursive=True)
            process.kill()
            for each in family:
                each.kill()
            killed = True
            break
    out, err = process.communicate()
    return {"secs": time.monotonic() - begun, "cpu": cpu, "peaks": peaks, "out": out,
            "skips": len(re.findall("^skipped", err, re.M)), "killed": killed}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--kill_at", type=float, default=0.4)
    parser.add_argument("--num_workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        (root / "in").mkdir()
        num_seeds = make(arguments.seeds, root / "in", arguments.count)
        print(f"{arguments.count} files of {num_seeds} seeds, {arguments.count / LAKH:.1%} of "
              f"Lakh, {arguments.num_workers} workers")
        for name, kill_at in (("killed", arguments.kill_at), ("resumed", None)):
            found = run(root / "in", root / "notes.tfrecord", arguments.num_workers,
                        arguments.count, kill_at)
            peaks = ", ".join(f"{10 * tenth}%: {found['peaks'][tenth]}"
                              for tenth in sorted(found["peaks"]))
            print(f"{name}: {found['secs']:.0f} s, {found['cpu']:.0f} processor seconds, most "
                  f"memory in MiB at {peaks}")
        print(found["out"].strip())
        size = (root / "notes.tfrecord").stat().st_size
        print(f"{size / 1e6:.1f} MB of records, {size / arguments.count:.0f} bytes a file")


if __name__ == "__main__":
    main()
