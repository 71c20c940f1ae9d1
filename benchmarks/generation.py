"""Speed and memory of generation: real-time factor, where the time goes, an hour-long piece.

    python -m benchmarks.generation [--content=piece.mid] [--style=clip.wav --style_midi=clip.mid]
        [--secs=60] [--hour] [--soundfont=some.sf2]

Without files it plays random dense music on the piano of `examples/`, at 24 kHz in mono, as the
nets are trained, and at 44.1 kHz in stereo up to 20 kHz. The peers are FluidSynth (a sampler) where
it and a soundfont are at hand, at the same rate, and real time.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import platform
import resource
import shutil
import subprocess
import tempfile
import time

import numpy as np

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
NOTES_PER_SECOND = 18
# In this order: each finds compiled what those before it needed.
FORMATS = ((24_000, 1), (44_100, 2))
HEARD = "transcribing, fit"
ESTIMATES: dict[str, dict] = {"measuring, encoding": {"adapt_steps": 0},
                              "compiling the fit": {"adapt_steps": 1},
                              "fit, notes given": {}, HEARD: {}}


def watched():
    """What is put under the clock: (part, owner, name of the function in it)."""
    from style_transfer.models.piano_ddsp import generate, playing, sound

    return [("nets", playing._Player, "_decode_window"), ("synthesis", sound.Sound, "dry"),
            ("room", playing, "_in_room"), ("writing", generate, "_write_scaled")]


class Clock:
    """Adds up the time spent in watched functions."""

    def __init__(self):
        self.spent = {}

    @contextlib.contextmanager
    def watch(self, name):
        """Adds the time of a `with` block."""
        begun = time.perf_counter()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - begun

    def wrap(self, name, function):
        """`function`, timed."""
        def timed(*args, **kwargs):
            with self.watch(name):
                return function(*args, **kwargs)
        return timed

    def install(self):
        """Puts the watched functions under the clock."""
        for part, owner, name in watched():
            setattr(owner, name, self.wrap(part, getattr(owner, name)))


def dense_music(seconds, seed=0):
    """Random chords and runs with held pedal: `NOTES_PER_SECOND` notes a second."""
    from style_transfer.piano_roll import NoteTable

    rng = np.random.default_rng(seed)
    count = int(seconds * NOTES_PER_SECOND)
    onset = np.sort(rng.uniform(0, seconds, count))
    key = np.clip(rng.normal(40, 14, count), 0, 87).astype(np.int32)
    velocity = rng.uniform(0.3, 0.9, count).astype(np.float32)
    pedal_up = np.ceil((onset + 0.2) / 1.5) * 1.5
    return NoteTable(key, velocity, onset, onset + 0.3, np.maximum(pedal_up, onset + 0.3))


def peak_memory_gb():
    """The process's largest resident size so far."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def fluidsynth_secs(table, soundfont, sample_rate):
    """Processor seconds of FluidSynth for the same notes, in stereo as always; None without it."""
    if not shutil.which("fluidsynth") or not soundfont or not os.path.exists(soundfont):
        return None
    from style_transfer import piano_roll

    with tempfile.TemporaryDirectory() as folder:
        midi = os.path.join(folder, "notes.mid")
        piano_roll.save_midi(midi, piano_roll.to_sequence(table))
        begun = os.times()
        subprocess.run(["fluidsynth", "-ni", "-q", "-r", str(sample_rate), "-T", "wav", "-F",
                        os.path.join(folder, "out.wav"), soundfont, midi], check=True,
                       stdout=subprocess.DEVNULL)
        ended = os.times()
    return (ended.children_user - begun.children_user
            + ended.children_system - begun.children_system)


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--content")
    parser.add_argument("--style", default=str(EXAMPLES / "electric_grand.flac"))
    parser.add_argument("--style_midi", default=str(EXAMPLES / "electric_grand.mid"))
    parser.add_argument("--secs", type=float, default=60.0)
    parser.add_argument("--hour", action="store_true", help="an hour-long piece, for memory")
    parser.add_argument("--soundfont", default="/usr/share/sounds/sf2/TimGM6mb.sf2")
    options = parser.parse_args()

    begun = time.perf_counter()
    from style_transfer import content as content_lib
    from style_transfer.measure import high_band
    from style_transfer.models.piano_ddsp import generate as batch
    from style_transfer.models.piano_ddsp import one_shot
    from style_transfer.models.piano_ddsp.options import Options

    model = one_shot.load()
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; imports "
          f"and weights {time.perf_counter() - begun:.1f} s, {peak_memory_gb():.2f} GB")
    clock = Clock()
    clock.install()
    for part, arguments in ESTIMATES.items():
        given = {"style_midi": options.style_midi} if part != HEARD else {}
        with clock.watch(part):
            piano = one_shot.estimate_piano(options.style, model=model, **given, **arguments)
    if options.content:
        table = content_lib.content_notes(options.content)
    else:
        table = dense_music(3600.0 if options.hour else options.secs)
    whole = sum(clock.spent[part] for part in ESTIMATES)
    print(f"{len(table)} notes, {len(table) / table.end_secs:.1f} a second")
    # As of a clip that tells of all bands, whatever this one does.
    piano = dataclasses.replace(piano, high_band_db=np.zeros(high_band.NUM_BANDS, np.float32))
    for rate, channels in FORMATS:
        settings = Options(content=(), style=options.style, output_dir="", sample_rate=rate,
                           channels=channels)
        with tempfile.TemporaryDirectory() as folder:
            begun, cpu = time.perf_counter(), time.process_time()
            seconds, _ = batch.play_to_file(pathlib.Path(folder) / "out.wav", piano, table, model,
                                            settings, report=lambda *args, **kwargs: None)
            took, cpu = time.perf_counter() - begun, time.process_time() - cpu
        whole += took
        peer = fluidsynth_secs(table, options.soundfont, rate)
        # Processor time compares on a busy machine, too.
        print(f"{rate} Hz, {channels} channel{'s' * (channels - 1)}: {seconds:.0f} s of audio in "
              f"{took:.1f} s, real-time factor {took / seconds:.4f}; processor time "
              f"{cpu / seconds:.4f}"
              + ("" if peer is None else f" (FluidSynth {peer / seconds:.4f}, ours takes "
                 f"{cpu / peer:.1f} times as much)")
              + f", peak memory {peak_memory_gb():.2f} GB", flush=True)
    print(f"\n{'part':<24}{'seconds':>9}{'share':>8}")
    named = 0.0
    for name, spent in sorted(clock.spent.items(), key=lambda item: -item[1]):
        named += spent
        print(f"{name:<24}{spent:>9.2f}{spent / whole:>8.1%}")
    print(f"{'the rest':<24}{whole - named:>9.2f}{(whole - named) / whole:>8.1%}")


if __name__ == "__main__":
    main()
