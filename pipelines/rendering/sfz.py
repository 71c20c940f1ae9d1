"""A sampler that plays SFZ instruments: key ranges, velocity layers, release, pedal, re-striking.

What a rendering does not need is left out on purpose, each for a reason:
* Half pedalling (`sustain_cc`, a release time that follows controller 64): note tables say when
  the damper falls with a pedal that is up or down, and training targets must agree with them.
* Effects, LFOs, filter envelopes, equalisers and `off_by` chokes: no piano this was written for
  uses them. `SfzRenderer.remarks` names every opcode of the file that has no effect.
String resonance that is conditioned on a pedal (`locc64=65`) is played.

Source: sfzformat.com (opcodes), ARIA's defaults where SFZ v1 has none.
"""

import dataclasses
import math
import pathlib
import warnings

import numpy as np

from style_transfer.audio import Audio
from style_transfer.piano_roll import LOWEST_PITCH, note_table
from style_transfer.pipelines.rendering import sfz_files, sfz_parser, sfz_region, sfz_samples
from style_transfer.pipelines.rendering.base import (
    PIANO_PITCHES,
    slug,
    string_damped_secs,
    unclipped,
)

HEADROOM = 1.0
FAST_OFF_SECS = 0.006
INAUDIBLE = 10 ** (-100 / 20)
_PEDAL_CONTROLLERS = (64, 66, 67)
_BLOCK = 256
MAX_NAMES = 8


@dataclasses.dataclass
class _Voice:
    """One region sounding: where it starts, when it is let go, when it is cut off."""

    part: sfz_region.Region
    pitch: int
    velocity: int
    start_secs: float
    release_secs: float
    level: float = 1.0
    off_secs: float = math.inf


class SfzRenderer:
    """Plays NoteSequences on an SFZ instrument.

    Args:
        path: The `.sfz` file, its samples where it says they are.
        timbre_id: Name of the piano, by default from the file's name.
        seed: For instruments that choose among samples at random.

    Attributes:
        ignored: Opcodes that have no effect, sorted.
        missing: Samples that are not there, or cannot be read; their regions are silent.

    Raises:
        FileNotFoundError: The file, or one it includes, or all samples are missing.
        ValueError: It describes no region, or holds a value that is no number.
    """

    licence = ""

    def __init__(self, path, timbre_id=None, seed=0):
        self.path = path = pathlib.Path(path)
        instrument = sfz_parser.parse(path)
        self.timbre_id = timbre_id or slug(path.stem)
        self.seed = seed
        self.values = sfz_region.Values(sfz_region.controllers(instrument.control),
                                        instrument.curves)
        parts = [sfz_region.region(opcodes) for opcodes in instrument.regions]
        self.ignored = sorted(set().union(*(part.ignored for part in parts)))
        files = sfz_files.Folder(path.parent)
        parts = [part for part in parts if _can_sound(part)]
        self.missing = {part.texts["sample"] for part in parts
                        if files.find(part.texts["sample"]) is None}
        parts = [part for part in parts if part.texts["sample"] not in self.missing]
        if self.missing and not parts:
            raise FileNotFoundError(f"{path}: none of its samples is there, such as "
                                    f"{min(self.missing)!r}. Keep them where the file says, beside "
                                    "it.")
        for part in parts:
            _ask_sample(part, files.find(part.texts["sample"]))
        self._store = sfz_samples.Store(files)
        self._by_pitch = {pitch: [part for part in parts if
                                  part.keys[0] <= pitch - part.shift <= part.keys[1]]
                          for pitch in range(128)}
        self.pitches = frozenset(pitch for pitch in PIANO_PITCHES if any(
            _trigger(part) != "release" for part in self._by_pitch[pitch]))
        if not self.pitches:
            raise ValueError(f"{path} has no sample for any key of a piano: give another "
                             "instrument.")

    def render(self, note_sequence, sample_rate: int) -> Audio:
        """Plays a NoteSequence; see `base.Renderer.render`."""
        table = note_table(note_sequence)
        voices = [voice for voice in self._voices(table) if self._is_readable(voice, sample_rate)]
        spans = [self._span(voice, sample_rate) for voice in voices]
        length = max([math.ceil(table.end_secs * sample_rate), *(s + n for s, n in spans)])
        buffer = np.zeros(length, np.float32)
        order = sorted(range(len(voices)), key=lambda i: (voices[i].pitch, voices[i].velocity))
        for i in order:
            start, length = spans[i]
            self._play(buffer, voices[i], start, length, sample_rate)
        return unclipped(buffer, sample_rate)

    def forget(self):
        """Frees the samples; they are read again when needed."""
        self._store = sfz_samples.Store(self._store.files)

    def remarks(self):
        """Sentences on what of the instrument is not played."""
        lines = []
        if self.missing:
            names = sorted(self.missing)
            lines.append(f"{self.path}: {len(names)} samples are missing or no audio, and silent: "
                         f"{', '.join(names[:MAX_NAMES])}{', …' * (len(names) > MAX_NAMES)}")
        if self.ignored:
            lines.append(f"{self.path}: opcodes without effect here: {', '.join(self.ignored)}")
        return lines

    def _is_readable(self, voice, sample_rate):
        """Whether the sample of a voice can be decoded; remembered as missing if not."""
        name = voice.part.texts["sample"]
        if name in self.missing:
            return False
        try:
            self._sample(voice, sample_rate)
        except sfz_samples.UnreadableSampleError as error:
            self.missing.add(name)
            warnings.warn(f"{self.path}: {error}; it is left out.", stacklevel=2)
            return False
        return True

    def _voices(self, table):
        """Every region that the notes start, in the order of their starts."""
        draws = np.random.default_rng(self.seed).random(len(table))
        ends, pedals = string_damped_secs(table), np.rint(127 * table.pedals.at(table.onset_secs))
        attacks, releases, active, turns = [], [], {}, {}
        for i in range(len(table)):
            pitch = int(table.key[i]) + LOWEST_PITCH
            velocity = round(float(table.velocity[i]) * 127)
            onset, end = float(table.onset_secs[i]), float(ends[i])
            controllers = dict(zip(_PEDAL_CONTROLLERS, pedals[i], strict=True))
            last = end <= table.damped_secs[i]
            for part in self._by_pitch[pitch]:
                if not self._chosen(part, velocity, controllers, draws[i], turns):
                    continue
                if _trigger(part) == "release":
                    if last:
                        decay = 10 ** (-self.values.get(part, "rt_decay") * (end - onset) / 20)
                        releases.append(_Voice(part, pitch, velocity, end, math.inf, decay))
                    continue
                start = onset + self.values.get(part, "delay", pitch, velocity)
                held = math.inf if part.texts.get("loop_mode") == "one_shot" else end
                voice = _Voice(part, pitch, velocity, start, held)
                self._silence_earlier(active, voice, onset)
                attacks.append(voice)
        return attacks + releases

    def _chosen(self, part, velocity, controllers, draw, turns):
        numbers = part.numbers
        get = sfz_region.DEFAULTS.get
        if not numbers.get("lovel", 1) <= velocity <= numbers.get("hivel", 127):
            return False
        if not self.values.met(part, controllers):
            return False
        high = numbers.get("hirand", get("hirand"))
        if not (numbers.get("lorand", 0) <= draw < high or draw >= high >= 1):
            return False
        turn = turns.get(id(part), 0)
        turns[id(part)] = turn + 1
        length = max(int(numbers.get("seq_length", 1)), 1)
        return turn % length == int(numbers.get("seq_position", 1)) - 1

    def _silence_earlier(self, active, voice, onset):
        """`note_polyphony`: a key struck again fades what it played before.

        With `note_selfmask` (on unless the file says off) only sounds as loud or softer.
        """
        limit = int(self.values.get(voice.part, "note_polyphony"))
        if limit <= 0:
            return
        masks = voice.part.texts.get("note_selfmask", "on") != "off"
        slot = active.setdefault((voice.part.numbers.get("group", 0), voice.pitch), [])
        sounding = [v for v in slot if v.off_secs == math.inf and v.start_secs < onset]
        for earlier in sounding[: max(0, len(sounding) - limit + 1)]:
            if not masks or earlier.velocity <= voice.velocity:
                earlier.off_secs = onset
        slot[:] = [v for v in slot if v.off_secs == math.inf and v.release_secs > onset - 30]
        slot.append(voice)

    def _span(self, voice, sample_rate):
        """First sample and number of samples of a voice, by its sample and its envelope."""
        start = round(voice.start_secs * sample_rate)
        sample = self._sample(voice, sample_rate)
        ends = [start + len(sample.data),
                math.ceil((voice.release_secs + self._release_secs(voice)) * sample_rate)
                if voice.release_secs < math.inf else math.inf,
                math.ceil((voice.off_secs + self._off_secs(voice)) * sample_rate)
                if voice.off_secs < math.inf else math.inf]
        return start, max(0, min(ends) - start)

    def _sample(self, voice, sample_rate):
        return self._store.get(voice.part, self.values, voice.pitch - voice.part.shift,
                               voice.velocity, sample_rate)

    def _get(self, voice, name):
        return self.values.get(voice.part, name, voice.pitch, voice.velocity)

    def _release_secs(self, voice):
        return max(self._get(voice, "ampeg_release"), 0.001)

    def _off_secs(self, voice):
        mode = voice.part.texts.get("off_mode", "time" if "off_time" in voice.part.numbers
                                    else "fast")
        if mode == "normal":
            return self._release_secs(voice)
        return max(self._get(voice, "off_time"), 0.001) if mode == "time" else FAST_OFF_SECS

    def _play(self, buffer, voice, start, length, sample_rate):
        gain = HEADROOM * voice.level * sfz_region.gain(self.values, voice.part, voice.pitch,
                                                        voice.velocity)
        sample = self._sample(voice, sample_rate)
        if length <= 0 or gain < INAUDIBLE:
            return
        out = np.multiply(sample.data[:length], np.float32(gain * sample.scale), dtype=np.float32)
        self._envelope(out, voice, sample_rate)
        for secs, fade, shape in (
                (voice.release_secs, self._release_secs(voice),
                 self._get(voice, "ampeg_release_shape")),
                (voice.off_secs, self._off_secs(voice), sfz_region.DEFAULT_SHAPE)):
            if secs < math.inf:
                first = max(0, round(secs * sample_rate) - start)
                tail = out[first:]
                tail *= falling(len(tail), fade * sample_rate, shape)
        buffer[start:start + length] += out

    def _envelope(self, out, voice, sample_rate):
        """Attack, hold and decay to the sustain level, in place."""
        attack = round(self._get(voice, "ampeg_attack") * sample_rate)
        if attack > 0:
            ramp = out[:attack]
            ramp *= np.arange(len(ramp), dtype=np.float32) / attack
        sustain = min(max(self._get(voice, "ampeg_sustain") / 100, 0.0), 1.0)
        held = attack + round(max(self._get(voice, "ampeg_hold"), 0.0) * sample_rate)
        tail = out[held:]
        if sustain < 1 and len(tail):
            decay = max(self._get(voice, "ampeg_decay"), 0.001) * sample_rate
            curve = falling(len(tail), decay, self._get(voice, "ampeg_decay_shape"))
            tail *= np.float32(sustain) + np.float32(1 - sustain) * curve


def _ask_sample(part, path):
    """What a region leaves to its sample: its key, and whether and where it is looped."""
    numbers, texts = part.numbers, part.texts
    asks_key = texts.get("pitch_keycenter") == "sample"
    if not asks_key and texts.get("loop_mode", "loop") in ("no_loop", "one_shot"):
        return
    info = sfz_files.sample_info(path)
    if asks_key and info.key is not None:
        numbers["pitch_keycenter"] = info.key
    if info.loop and "loop_end" not in numbers:
        numbers["loop_start"] = numbers.get("loop_start", info.loop[0])
        numbers["loop_end"] = info.loop[1]
    texts.setdefault("loop_mode", "loop_continuous" if info.loop else "no_loop")


def _trigger(part):
    kind = part.texts.get("trigger", "attack")
    return "release" if kind in ("release", "release_key") else kind


def _can_sound(part):
    """Regions that a plain note can start; keyswitched ones only if they are the default."""
    texts = part.texts
    return ("sample" in texts and not texts["sample"].startswith("*")
            and part.keys[0] <= part.keys[1] and part.numbers.get("end", 0) >= 0
            and _trigger(part) in ("attack", "first", "release")
            and texts.get("sw_last") == (texts.get("sw_default") if "sw_last" in texts else None))


def falling(length: int, nominal: float, shape: float) -> np.ndarray:
    """ARIA's falling envelope: from 1 to 0 over `nominal` samples.

    `(e^(s x) - e^s) / (1 - e^s)` with `x` the share of the time; 0 afterwards.

    Args:
        length: How many samples.
        nominal: Nominal length in samples, may be larger or smaller than `length`.
        shape: `s`; negative falls fast first, 0 is a straight line.

    Returns:
        float32 `[length]`.
    """
    filled = min(length, max(int(nominal), 1))
    out = np.zeros(length, np.float32)
    if abs(shape) < 1e-3:
        out[:filled] = 1 - np.arange(filled) / nominal
        return out
    step = shape / nominal
    blocks = np.exp(step * _BLOCK * np.arange(-(-filled // _BLOCK)))
    within = np.exp(step * np.arange(_BLOCK))
    curve = np.outer(blocks.astype(np.float32), within.astype(np.float32)).reshape(-1)[:filled]
    floor = math.exp(shape)
    out[:filled] = (curve - np.float32(floor)) / np.float32(1 - floor)
    return out
