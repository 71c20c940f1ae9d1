"""Soundfonts, played by the `fluidsynth` program."""

import dataclasses
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import numpy as np

from style_transfer.audio import Audio
from style_transfer.piano_roll import note_table
from style_transfer.pipelines.rendering.base import PIANO_PITCHES, slug, unclipped
from style_transfer.pipelines.rendering.midi_out import midi_bytes

PIANO_PROGRAMS = range(8)
MELODIC_PROGRAMS = range(112)  # without percussion and sound effects
TAIL_SECS = 5.0
SILENCE = 10 ** (-80 / 20)
GAIN = 1.2
POLYPHONY = 1024
MAX_NAMES = 20
TIMEOUT_SECS = 900
INSTALL_HINT = ("FluidSynth is needed to play soundfonts, and the program `fluidsynth` is not on "
                "the PATH. Install it: `apt install fluidsynth` (Debian, Ubuntu) or "
                "`brew install fluid-synth` (macOS).")
_PRESET = struct.Struct("<20sHHHIII")


@dataclasses.dataclass(frozen=True)
class Soundfont:
    """What a soundfont says about itself.

    Attributes:
        presets: (bank, program, name) of each preset.
        licence: Its copyright remark, may be empty.
    """

    presets: list
    licence: str


class SoundfontRenderer:
    """One preset of a soundfont.

    Args:
        path: The `.sf2` or `.sf3` file.
        program: Program of the preset, 0-127.
        timbre_id: Name of the piano, by default from the file, the program and the preset.
        effects: FluidSynth's default reverb and chorus.
        gain: FluidSynth's master gain; the result is lowered as a whole where it would clip.
        bank: Bank of the preset.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no soundfont, or has no such preset.
    """

    def __init__(self, path, program=0, timbre_id=None, effects=True, gain=GAIN, bank=0):
        self.path = pathlib.Path(path)
        font = read_soundfont(self.path)
        names = {(b, p): name for b, p, name in font.presets}
        if (bank, program) not in names:
            there = ", ".join(f"{b}:{p} {names[b, p]}" for b, p in sorted(names)[:MAX_NAMES])
            raise ValueError(f"{self.path.name} has no program {program} in bank {bank}: expected "
                             f"one of {there or 'none'}{', …' * (len(names) > MAX_NAMES)}.")
        self.program, self.effects, self.gain, self.bank = program, effects, gain, bank
        dry = () if effects else ("dry",)
        number = f"{program:03d}" if not bank else f"{bank}_{program:03d}"
        self.timbre_id = timbre_id or slug(self.path.stem, number, names[bank, program], *dry)
        self.licence = font.licence
        self.pitches = PIANO_PITCHES

    def render(self, note_sequence, sample_rate: int) -> Audio:
        """Plays a NoteSequence; see `base.Renderer.render`.

        FluidSynth starts notes at multiples of 64 samples (2.7 ms at 24 kHz).

        Raises:
            ValueError: FluidSynth is missing, fails, or takes longer than `TIMEOUT_SECS`.
        """
        import soundfile

        program = fluidsynth_program()
        midi = midi_bytes(note_table(note_sequence), self.program, TAIL_SECS, self.bank)
        with tempfile.TemporaryDirectory(prefix="render_") as folder:
            source, target = pathlib.Path(folder, "in.mid"), pathlib.Path(folder, "out.wav")
            source.write_bytes(midi)
            _run([program, *self._options(target, sample_rate), str(self.path), str(source)])
            if not target.is_file():
                raise ValueError(f"FluidSynth made no audio with {self.path.name}.")
            samples, _ = soundfile.read(target, dtype="float32", always_2d=True)
        return unclipped(trimmed(samples.mean(axis=1)), sample_rate)

    def _options(self, target, sample_rate):
        switch = "1" if self.effects else "0"
        return ["-n", "-i", "-q", "-F", str(target), "-T", "wav", "-O", "float",
                "-r", str(sample_rate), "-g", str(self.gain), "-R", switch, "-C", switch,
                "-o", f"synth.polyphony={POLYPHONY}", "-o", "synth.cpu-cores=1",
                "-o", "synth.midi-bank-select=mma"]

    def forget(self):
        """Nothing is kept: each rendering is a program of its own."""


def fluidsynth_program() -> str:
    """Path of the `fluidsynth` program.

    Raises:
        ValueError: It is not installed; the message says how to.
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise ValueError(INSTALL_HINT)
    return program


def _run(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                              timeout=TIMEOUT_SECS, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"FluidSynth took over {TIMEOUT_SECS} s. Render a shorter piece "
                         "(--max_secs).") from None
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise ValueError(f"FluidSynth failed with status {done.returncode}: {' '.join(reason)}")


def trimmed(samples: np.ndarray) -> np.ndarray:
    """`samples` without the silence (under -80 dB of the peak) after their end."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE * np.max(np.abs(samples), initial=1e-6))
    return samples[: loud[-1] + 1] if len(loud) else samples


def presets(path: str | os.PathLike, effects: bool = True,
            programs: range = PIANO_PROGRAMS) -> list:
    """Renderers of a soundfont's presets of bank 0, by default of its piano family.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no soundfont, or has no such preset.
    """
    found = sorted(program for bank, program, _ in read_soundfont(path).presets
                   if bank == 0 and program in programs)
    if not found:
        what = "piano " if programs == PIANO_PROGRAMS else ""
        raise ValueError(f"{path} has none of the {what}presets (bank 0, programs {programs[0]}-"
                         f"{programs[-1]}).")
    return [SoundfontRenderer(path, program, effects=effects) for program in found]


def read_soundfont(path: str | os.PathLike) -> Soundfont:
    """Presets and copyright of a soundfont, from its RIFF chunks `phdr` and `ICOP`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no soundfont.

    Source: SoundFont technical specification 2.04, 5 and 7.2.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no soundfont {str(path)!r}. Debian and Ubuntu have some: "
            "`apt install fluid-soundfont-gm` or `apt install timgm6mb-soundfont`.")
    presets, licence = [], ""
    with path.open("rb") as handle:
        head = handle.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"sfbk":
            raise ValueError(f"{path} is no soundfont (.sf2, .sf3): it does not begin as one.")
        for name, data in _chunks(handle):
            if name == b"phdr":
                records = [_PRESET.unpack_from(data, at)
                           for at in range(0, len(data) - _PRESET.size + 1, _PRESET.size)]
                presets = [(bank, program, _text(label))
                           for label, program, bank, *_ in records[:-1]]  # the last one ends them
            elif name == b"ICOP":
                licence = _text(data)
    return Soundfont(presets, licence)


def _chunks(handle):
    """(name, data) of the chunks inside INFO and pdta; sample data is skipped."""
    while len(head := handle.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"LIST":
            if handle.read(4) == b"sdta":
                handle.seek(size - 4 + size % 2, 1)
        elif name in (b"phdr", b"ICOP"):
            data = handle.read(size)
            handle.seek(size % 2, 1)
            yield name, data
        else:
            handle.seek(size + size % 2, 1)


def _text(data):
    return data.split(b"\0", 1)[0].decode("latin-1").strip()
