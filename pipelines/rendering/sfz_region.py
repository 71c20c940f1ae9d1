"""One SFZ region in physical units: when it sounds, how loud, how long, at which pitch.

Opcodes may depend on controllers (`ampeg_release_oncc72=2`). A rendering has no one turning
knobs, so each controller stands where the file sets it (`set_ccN`, `set_hdccN`), and the "extended
controllers" 131 and 133 are the note's velocity and key.

Source: sfzformat.com; ARIA's built-in curves 0-6 and envelope shapes.
"""

import dataclasses
import math
import re

_NOTE = re.compile(r"^([a-gA-G])([#b♯♭]?)(-?\d+)$")
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_MODULATION = re.compile(r"^(.+?)_?(on|curve)?cc(\d+)$")
_CONTROLLER_DEFAULTS = {7: 100 / 127, 10: 0.5, 11: 1.0}
_VELOCITY_CC, _KEY_CC = 131, 133
_BUILT_IN_CURVES = {
    0: lambda x: x,
    1: lambda x: 2 * x - 1,
    2: lambda x: 1 - x,
    3: lambda x: 1 - 2 * x,
    4: lambda x: x * x,
    5: math.sqrt,
    6: lambda x: math.sqrt(1 - x),
}
# Shape of ARIA's envelopes: the curve falls by 90 dB over its nominal time.
DEFAULT_SHAPE = -10.3616
DEFAULTS = {
    "lovel": 1, "hivel": 127, "pitch_keytrack": 100, "tune": 0, "transpose": 0, "volume": 0,
    "group_volume": 0, "master_volume": 0, "global_volume": 0, "amplitude": 100, "pan": 0,
    "amp_veltrack": 100, "ampeg_delay": 0, "ampeg_attack": 0, "ampeg_hold": 0, "ampeg_decay": 0,
    "ampeg_sustain": 100, "ampeg_release": 0.001, "ampeg_decay_shape": DEFAULT_SHAPE,
    "ampeg_release_shape": DEFAULT_SHAPE, "offset": 0, "end": 0, "delay": 0, "rt_decay": 0,
    "note_polyphony": 0, "off_time": 0.006, "cutoff": 0, "resonance": 0, "seq_length": 1,
    "seq_position": 1, "lorand": 0, "hirand": 1, "loop_start": 0, "loop_end": 0, "group": 0,
    "xfin_lovel": 0, "xfin_hivel": 0, "xfout_lovel": 127, "xfout_hivel": 127,
}
_TEXTS = {"sample", "trigger", "loop_mode", "off_mode", "note_selfmask", "fil_type", "sw_last",
          "sw_default", "xf_velcurve", "lokey", "hikey", "key", "pitch_keycenter"}
_ALIASES = {"pitch": "tune", "loopmode": "loop_mode", "loopstart": "loop_start",
            "loopend": "loop_end", "gain": "volume", "polyphony_group": "group",
            "filtype": "fil_type"}
_LABELS = ("group_label", "region_label", "master_label", "global_label", "sw_label")


@dataclasses.dataclass
class Region:
    """A region's numbers, texts, conditions and controller dependencies.

    Attributes:
        numbers: Opcode -> value, in the opcode's own unit; absent ones have `DEFAULTS`.
        texts: Opcodes that are words.
        keys: Lowest and highest MIDI pitch.
        modulations: Opcode -> list of (controller, depth, curve index).
        conditions: (controller, lowest, highest) that must hold at the note's start, 0-127.
        velocity_curve: Velocity -> gain points (`amp_velcurve_N`), may be empty.
        ignored: Opcodes that have no effect here.
    """

    numbers: dict
    texts: dict
    keys: tuple
    modulations: dict
    conditions: list
    velocity_curve: dict
    ignored: set


def note_number(text: str) -> int:
    """MIDI pitch of `60`, `C4`, `db4` or `f#3` (C4 is 60).

    Raises:
        ValueError: It is neither a number nor a note name.
    """
    match = _NOTE.match(text.strip())
    if match:
        step = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(match[2], 0)
        return _SEMITONES[match[1].lower()] + step + 12 * (int(match[3]) + 1)
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no key: expected a MIDI number or a note name such as C4 or f#3."
        ) from None


def controllers(control: dict) -> dict[int, float]:
    """Where each controller stands, in [0, 1], from the `<control>` header."""
    values = dict(_CONTROLLER_DEFAULTS)
    for opcode, text in control.items():
        match = re.fullmatch(r"set_(hd)?cc(\d+)", opcode)
        if match:
            values[int(match[2])] = float(text) / (1 if match[1] else 127)
    return values


def region(opcodes: dict[str, str]) -> Region:
    """A `Region` from a dictionary of opcodes as `sfz_parser.parse` gives it.

    Raises:
        ValueError: A value is not a number where one is expected.
    """
    out = Region({}, {}, (0, 127), {}, [], {}, set())
    curves: dict = {}
    for name, text in opcodes.items():
        name = _ALIASES.get(name, name)
        try:
            _place(out, curves, name, text)
        except ValueError as error:
            raise ValueError(f"{name}={text} in the SFZ file: {error}") from error
    for name, routes in out.modulations.items():
        out.modulations[name] = [(cc, depth, curves.get((name, cc), 0)) for cc, depth in routes]
    _place_keys(out)
    return out


def _place(out, curves, name, text):
    modulation = _MODULATION.match(name)
    if name in _LABELS:
        return
    if name.startswith(("on_lo", "on_hi", "start_lo", "start_hi")):
        out.texts["trigger"] = "controller"
        return
    if name in _TEXTS:
        out.texts[name] = text
    elif name in DEFAULTS:
        out.numbers[name] = float(text)
    elif name.startswith("amp_velcurve_"):
        out.velocity_curve[int(name.rsplit("_", 1)[1])] = float(text)
    elif modulation is None:
        out.ignored.add(name)
    elif modulation[1] in ("lo", "hi") and not modulation[2]:
        controller, low = int(modulation[3]), modulation[1] == "lo"
        out.conditions.append((controller, float(text), 127.0) if low
                              else (controller, 0.0, float(text)))
    else:
        _place_modulation(out, curves, modulation, text)


def _place_modulation(out, curves, modulation, text):
    name, controller = _ALIASES.get(modulation[1], modulation[1]), int(modulation[3])
    if name not in DEFAULTS:
        out.ignored.add(modulation[0])
    elif modulation[2] == "curve":
        curves[name, controller] = int(text)
    else:
        out.modulations.setdefault(name, []).append((controller, float(text)))


def _place_keys(out):
    texts = out.texts
    key = texts.get("key")
    low, high = texts.get("lokey", key or "0"), texts.get("hikey", key or "127")
    # lokey=-1 is SFZ's way to say "no key starts this", used for pedal noises.
    out.keys = (1, 0) if "-1" in (low, high) else (note_number(low), note_number(high))
    centre = texts.get("pitch_keycenter", key or "60")
    out.numbers["pitch_keycenter"] = note_number(centre) if centre != "sample" else 60


class Values:
    """Looks up a region's opcodes, controller dependencies included.

    Args:
        controller_values: As `controllers` gives them.
        curves: The file's own curves, as `sfz_parser.Instrument.curves`.
    """

    def __init__(self, controller_values, curves):
        self.controllers, self.curves = controller_values, curves

    def controller(self, number, key, velocity):
        """Position in [0, 1] of a controller for one note."""
        if number == _KEY_CC:
            return key / 127
        return velocity / 127 if number == _VELOCITY_CC else self.controllers.get(number, 0.0)

    def get(self, part, name, key=60, velocity=64):
        """Value of opcode `name` of region `part`, in the opcode's unit."""
        value = part.numbers.get(name, DEFAULTS.get(name, 0.0))
        for number, depth, curve in part.modulations.get(name, ()):
            amount = depth * self._curve(curve, self.controller(number, key, velocity))
            # Amplitude in percent is scaled by its controllers; every other opcode is added to.
            value = value * amount / 100 if name == "amplitude" else value + amount
        return value

    def _curve(self, index, position):
        points = self.curves.get(index)
        if points is None:
            return _BUILT_IN_CURVES.get(index, _BUILT_IN_CURVES[0])(min(max(position, 0.0), 1.0))
        points = {0: 0.0, 127: 1.0} | points
        place = position * 127
        left = max((p for p in points if p <= place), default=0)
        right = min((p for p in points if p >= place), default=127)
        if left == right:
            return points[left]
        return points[left] + (points[right] - points[left]) * (place - left) / (right - left)

    def met(self, part, pedals):
        """Whether the conditions `loccN`/`hiccN` hold, with pedal positions 0-127 by controller."""
        for number, low, high in part.conditions:
            value = pedals.get(number, 127 * self.controllers.get(number, 0.0))
            if not low <= value <= high:
                return False
        return True


def gain(values: Values, part: Region, key: int, velocity: int) -> float:
    """Linear gain of a region for a note, pan and envelope aside."""
    decibels = sum(values.get(part, name, key, velocity)
                   for name in ("volume", "group_volume", "master_volume", "global_volume"))
    track = values.get(part, "amp_veltrack", key, velocity) / 100
    loudness = velocity_gain(part.velocity_curve, velocity)
    tracked = 1 - track * (1 - loudness) if track >= 0 else 1 + track * loudness
    fade = _fade_in(part, velocity) * _fade_out(part, velocity)
    amplitude = values.get(part, "amplitude", key, velocity) / 100
    return 10 ** (decibels / 20) * amplitude * max(tracked, 0.0) * fade


def velocity_gain(points: dict, velocity: int) -> float:
    """Gain of a velocity 0-127: its square, or the line through `amp_velcurve_N` points."""
    if not points:
        return (velocity / 127) ** 2
    points = {0: 0.0, 127: 1.0} | points
    left = max(p for p in points if p <= velocity)
    right = min(p for p in points if p >= velocity)
    if left == right:
        return points[left]
    return points[left] + (points[right] - points[left]) * (velocity - left) / (right - left)


def _fade_in(part, velocity):
    low, high = (part.numbers.get(n, DEFAULTS[n]) for n in ("xfin_lovel", "xfin_hivel"))
    if velocity >= high:
        return 1.0
    return _crossfaded(part, (velocity - low) / (high - low))


def _fade_out(part, velocity):
    low, high = (part.numbers.get(n, DEFAULTS[n]) for n in ("xfout_lovel", "xfout_hivel"))
    if velocity <= low:
        return 1.0
    return _crossfaded(part, (high - velocity) / (high - low)) if high > low else 0.0


def _crossfaded(part, share):
    """Gain of a sample that has this share: equal powers add up, or equal amplitudes."""
    share = max(0.0, share)
    return share if part.texts.get("xf_velcurve") == "gain" else math.sqrt(share)


def pan_gains(pan: float) -> tuple[float, float]:
    """Left and right gain of a pan in [-100, 100], constant power, 1 in the middle."""
    angle = math.pi / 4 * (1 + min(max(pan, -100.0), 100.0) / 100)
    return math.sqrt(2) * math.cos(angle), math.sqrt(2) * math.sin(angle)
