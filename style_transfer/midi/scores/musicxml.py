"""MusicXML as it is played.

`note_seq.musicxml_reader` reads what is written: each measure once, transposing instruments an
octave off, metronome marks not at all, tied notes one by one. Here signs are followed as a player
does: each measure is read once and laid out as often as it is played.

Source: MusicXML 4.0.
"""

import bisect
import collections
import dataclasses
import fractions
import io
import re
import xml.etree.ElementTree as ET
import zipfile

from style_transfer.midi.limits import ConversionLimits, UnreadableFileError
from style_transfer.midi.scores.play_order import Signs, play_order

GRACE_QUARTERS = fractions.Fraction(1, 8)  # how long before its note a grace note begins
PEDAL_CHANGE_QUARTERS = fractions.Fraction(1, 16)  # how long a changed pedal is up
FORTE = 90  # of which MusicXML's dynamics are percent
VELOCITIES = {"pppp": 8, "ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112,
              "fff": 126, "ffff": 127, "sf": 112, "sfz": 112, "fp": 96, "fz": 112}
_DEFAULT_VELOCITY, _DEFAULT_QPM = 64, 120.0
_SUSTAIN = 64
_DRUM_CHANNEL = 10
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_QUARTERS = {"breve": 8, "whole": 4, "half": 2, "quarter": 1,
             **{name: fractions.Fraction(1, 2**i) for i, name in enumerate(
                 ("eighth", "16th", "32nd", "64th", "128th"), start=1)}}


@dataclasses.dataclass
class _Note:
    """A note of a measure; `at` and `length` are quarters."""

    at: fractions.Fraction
    length: fractions.Fraction
    pitch: int
    velocity: int
    voice: int
    ties: frozenset
    is_grace: bool


@dataclasses.dataclass
class _Measure:
    """What is written in one measure of one part; pairs begin with quarters after its begin."""

    length: fractions.Fraction = fractions.Fraction(0)
    notes: list = dataclasses.field(default_factory=list)
    tempos: list = dataclasses.field(default_factory=list)
    pedals: list = dataclasses.field(default_factory=list)
    meter: tuple | None = None
    key: tuple | None = None


def read(data, limits=None):
    """A NoteSequence of a MusicXML file as it is played.

    Args:
        data: Bytes of a `.musicxml`, `.xml` or compressed `.mxl` file.
        limits: `ConversionLimits`; None for the defaults.

    Raises:
        UnreadableFileError: It is damaged, no score, or exceeds a limit.
    """
    limits = limits or ConversionLimits()
    try:
        root = ET.fromstring(_unpacked(data, limits))
        return _Score(root, limits).sequence()
    except UnreadableFileError:
        raise
    # A LookupError: an encoding that nobody knows.
    except (ET.ParseError, zipfile.BadZipFile, LookupError, ValueError, AttributeError, TypeError,
            ZeroDivisionError, OverflowError) as error:
        raise UnreadableFileError("not readable MusicXML", _said(error)) from error


def _said(error):
    """What is wrong, in words that are not Python's."""
    if isinstance(error, (ET.ParseError, zipfile.BadZipFile)):
        # Names of files in a damaged archive are anything.
        return re.sub(r" (in directory|for file) .*", "", str(error), flags=re.DOTALL)
    return "something in it is missing, or is no number where one belongs"


def _unpacked(data, limits):
    limits.check("file too large", len(data), "max_file_bytes")
    if data[:2] != b"PK":
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        limits.check("archive unpacks to too much", unpacked, "max_file_bytes")
        container = ET.fromstring(archive.read("META-INF/container.xml"))
        # The first is the score, others are pictures of it.
        return archive.read(next(e for e in container.iter() if _tag(e) == "rootfile")
                            .get("full-path"))


def _tag(element):
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


class _Score:
    """A score that is being read."""

    def __init__(self, root, limits):
        self._limits = limits
        if _tag(root) not in ("score-partwise", "score-timewise"):
            raise UnreadableFileError("not readable MusicXML", f"it is a {_tag(root)[:40]!r}, not "
                                      "a score-partwise or score-timewise")
        self._parts = [(part, part.findall("measure")) for part in root.findall("part")]
        if _tag(root) == "score-timewise":
            by_id = collections.defaultdict(list)
            for measure in root.findall("measure"):
                for part in measure.findall("part"):
                    by_id[part.get("id")].append(part)
            self._parts = [(measures[0], measures) for measures in by_id.values()]
        if not any(measures for _, measures in self._parts):
            raise UnreadableFileError("not readable MusicXML", "it has no measures")
        self._score_parts = {p.get("id"): p for p in root.iter("score-part")}

    def sequence(self):
        """The NoteSequence."""
        from note_seq.protobuf import music_pb2

        parts = [_read_part(measures) for _, measures in self._parts]
        count = max(map(len, parts))
        lengths = [max((part[i].length for part in parts if i < len(part)), default=0)
                   for i in range(count)]
        order = play_order(_signs([measures for _, measures in self._parts], count))
        begins, at = [], fractions.Fraction(0)
        for index in order:
            begins.append(at)
            at += lengths[index]
        played = [part[i] for part in parts for i in order if i < len(part)]
        self._limits.check("too many notes", sum(len(m.notes) for m in played), "max_notes")
        self._limits.check("too many controls",
                           sum(len(m.pedals) + len(m.tempos) for m in played), "max_controls")
        seconds = _tempo_map(parts, order, begins)
        sequence = music_pb2.NoteSequence(ticks_per_quarter=220)
        sequence.source_info.source_type = music_pb2.NoteSequence.SourceInfo.SCORE_BASED
        sequence.source_info.encoding_type = music_pb2.NoteSequence.SourceInfo.MUSIC_XML
        for _, secs, qpm in seconds.points:
            if not sequence.tempos or sequence.tempos[-1].qpm != qpm:
                self._limits.check("tempo too fast", qpm, "max_qpm")
                sequence.tempos.add(time=secs, qpm=qpm)
        self._limits.check("too long", seconds(at), "max_duration_secs")
        _add_signatures(sequence, parts, order, begins, seconds)
        for number, ((element, _), part) in enumerate(zip(self._parts, parts, strict=True)):
            self._add_part(sequence, number, element.get("id"), part, order, begins, seconds)
        sequence.total_time = max((n.end_time for n in sequence.notes), default=0.0)
        return sequence

    def _add_part(self, sequence, number, part_id, measures, order, begins, seconds):
        described = self._score_parts.get(part_id)
        name, program, is_drum = "", 0, False
        if described is not None:
            name = described.findtext("part-name") or ""
            program = int(described.findtext("midi-instrument/midi-program") or 1) - 1
            is_drum = described.findtext("midi-instrument/midi-channel") == str(_DRUM_CHANNEL)
        sequence.part_infos.add(part=number + 1, name=name)
        sequence.instrument_infos.add(instrument=number, name=name)
        for note in _tied([(begins[i], note) for i, index in enumerate(order)
                           if index < len(measures) for note in measures[index].notes]):
            sequence.notes.add(
                pitch=note.pitch, velocity=note.velocity, start_time=seconds(max(0, note.at)),
                end_time=seconds(max(0, note.at + note.length)), instrument=number,
                program=min(127, max(0, program)), is_drum=is_drum, part=number + 1,
                voice=note.voice)
        for i, index in enumerate(order):
            for at, value in measures[index].pedals if index < len(measures) else ():
                sequence.control_changes.add(
                    time=seconds(begins[i] + at), control_number=_SUSTAIN, control_value=value,
                    instrument=number, program=min(127, max(0, program)), is_drum=is_drum)


def _read_part(measures):
    reader = _MeasureReader()
    return [reader.read(element) for element in measures]


class _MeasureReader:
    """Reads measures one after the other, and knows what still holds from earlier ones."""

    def __init__(self):
        self._divisions, self._transpose, self._velocity = 1, 0, _DEFAULT_VELOCITY

    def read(self, element):
        """The `_Measure` of an element."""
        self._measure, self._at, self._last = _Measure(), fractions.Fraction(0), None
        for child in element:
            handle = getattr(self, f"_{_tag(child)}", None)
            if handle is not None:
                handle(child)
            self._measure.length = max(self._measure.length, self._at)
        return self._measure

    def _quarters(self, element):
        length = fractions.Fraction((element.findtext("duration") or "0").strip())
        return max(length, fractions.Fraction(0)) / self._divisions

    def _backup(self, element):
        self._at = max(self._at - self._quarters(element), fractions.Fraction(0))

    def _forward(self, element):
        self._at += self._quarters(element)

    def _attributes(self, element):
        if divisions := element.findtext("divisions"):
            self._divisions = fractions.Fraction(divisions.strip())
        if (key := element.find("key")) is not None and key.find("fifths") is not None:
            self._measure.key = int(key.findtext("fifths")), key.findtext("mode") == "minor"
        if (time := element.find("time")) is not None and time.find("beats") is not None:
            beats = sum(int(n) for n in time.findtext("beats").split("+"))
            self._measure.meter = beats, int(time.findtext("beat-type"))
        if (transpose := element.find("transpose")) is not None:
            self._transpose = (round(float(transpose.findtext("chromatic") or 0))
                               + 12 * int(transpose.findtext("octave-change") or 0))

    def _direction(self, element):
        marks = [mark for kind in element.findall("direction-type") for mark in kind]
        for mark in marks:
            kind = _tag(mark)
            if kind == "dynamics":
                self._velocity = next((VELOCITIES[_tag(name)] for name in mark
                                       if _tag(name) in VELOCITIES), self._velocity)
            elif kind == "pedal":
                self._pedal(mark.get("type"))
        sounds = element.findall("sound")
        if not any(sound.get("tempo") for sound in sounds):
            for mark in marks:
                if _tag(mark) == "metronome" and (qpm := _metronome(mark)):
                    self._measure.tempos.append((self._at, qpm))
        for sound in sounds:
            self._sound(sound)

    def _pedal(self, kind):
        if kind in ("stop", "change", "discontinue"):
            self._measure.pedals.append((self._at, 0))
        if kind in ("start", "resume", "change"):
            late = PEDAL_CHANGE_QUARTERS if kind == "change" else 0
            self._measure.pedals.append((self._at + late, 127))

    def _sound(self, element):
        if (tempo := element.get("tempo")) and float(tempo) > 0:
            self._measure.tempos.append((self._at, float(tempo)))
        if dynamics := element.get("dynamics"):
            self._velocity = _velocity(dynamics)

    def _note(self, element):
        is_grace, is_chord = element.find("grace") is not None, element.find("chord") is not None
        length = GRACE_QUARTERS if is_grace else self._quarters(element)
        at = self._last if is_chord and self._last is not None else self._at
        self._last = at
        if not is_chord and not is_grace:
            self._at += length
        pitch = element.find("pitch")
        if pitch is None or element.find("cue") is not None:
            return
        number = (12 * (int(pitch.findtext("octave")) + 1) + _STEPS[pitch.findtext("step").strip()]
                  + round(float(pitch.findtext("alter") or 0)) + self._transpose)
        dynamics = element.get("dynamics")
        if 0 <= number < 128:
            self._measure.notes.append(_Note(
                at - length if is_grace else at, length, number,
                _velocity(dynamics) if dynamics else self._velocity, _voice(element),
                frozenset(tie.get("type") for tie in element.findall("tie")), is_grace))


def _velocity(dynamics):
    return min(127, max(1, round(float(dynamics) * FORTE / 100)))


def _voice(element):
    voice = (element.findtext("voice") or "").strip()
    return int(voice) if voice.isascii() and voice.isdigit() else 1


def _metronome(mark):
    """Quarters per minute, None for what is no tempo, such as a relation of two note values."""
    unit, minute = mark.findtext("beat-unit"), mark.findtext("per-minute")
    digits = "".join(c for c in minute or "" if c.isdigit() or c == ".").strip(".")
    if unit not in _QUARTERS or not digits:
        return None
    dots = len(mark.findall("beat-unit-dot"))
    quarters = _QUARTERS[unit] * (2 - fractions.Fraction(1, 2**dots))
    return float(digits) * float(quarters) or None


def _signs(parts, count):
    """The `Signs` of each measure; they count in whatever part they stand."""
    signs = [Signs() for _ in range(count)]
    for measures in parts:
        open_endings = frozenset()
        for here, measure in zip(signs, measures, strict=False):
            closes = False
            for line in measure.findall("barline"):
                if (repeat := line.find("repeat")) is not None:
                    if repeat.get("direction") == "forward":
                        here.forward = True
                    else:
                        here.times = max(here.times, int(repeat.get("times") or 2))
                if (ending := line.find("ending")) is not None:
                    if ending.get("type") == "start":
                        open_endings = frozenset(
                            int(n) for n in (ending.get("number") or "").replace(",", " ").split()
                            if n.isdigit())
                    else:
                        closes = True
            here.endings |= open_endings
            if closes:
                open_endings = frozenset()
            for sound in measure.iter("sound"):
                _read_jumps(here, sound)
    return signs


def _read_jumps(here, sound):
    here.da_capo |= sound.get("dacapo") == "yes"
    here.fine |= sound.get("fine") is not None
    for name, attribute in (("segno", "segno"), ("coda", "coda"), ("to_coda", "tocoda"),
                            ("dal_segno", "dalsegno")):
        setattr(here, name, sound.get(attribute) or getattr(here, name))


class _TempoMap:
    """Seconds of quarters; `points` are quarters, seconds and quarters per minute from there on."""

    def __init__(self, tempos):
        self.points = [(fractions.Fraction(0), 0.0, _DEFAULT_QPM)]
        for quarters, qpm in tempos:
            secs = self(quarters)
            if quarters == self.points[-1][0]:
                self.points.pop()
            self.points.append((quarters, secs, qpm))

    def __call__(self, quarters):
        place = bisect.bisect_right(self.points, quarters, key=lambda point: point[0])
        begin, secs, qpm = self.points[max(place - 1, 0)]
        return secs + float(quarters - begin) * 60 / qpm


def _tempo_map(parts, order, begins):
    tempos = {}
    for begin, index in zip(begins, order, strict=True):
        for part in parts:
            for at, qpm in part[index].tempos if index < len(part) else ():
                tempos[begin + at] = qpm
    return _TempoMap(sorted(tempos.items()))


def _add_signatures(sequence, parts, order, begins, seconds):
    """Meters and keys; those of the first part that has any count, and at repeats those before."""
    for field, name in (("meter", "time_signatures"), ("key", "key_signatures")):
        part = next((p for p in parts if any(getattr(m, field) for m in p)), ())
        in_force, value = [], None
        for measure in part:
            value = getattr(measure, field) or value
            in_force.append(value)
        last = None
        for begin, index in zip(begins, order, strict=True):
            value = in_force[index] if index < len(in_force) else last
            if value == last or value is None:
                continue
            last = value
            added = getattr(sequence, name).add(time=seconds(begin))
            if field == "meter":
                added.numerator, added.denominator = value
            else:
                added.key, added.mode = (7 * value[0] + 9 * value[1]) % 12, int(value[1])


def _tied(placed):
    """Notes at their quarters in the piece, tied ones joined."""
    found, open_ties = [], {}
    for begin, note in placed:
        note = dataclasses.replace(note, at=begin + note.at)
        held = open_ties.pop((note.pitch, note.at), None) if "stop" in note.ties else None
        if held is None:
            found.append(note)
            held = note
        else:
            held.length += note.length
        if "start" in note.ties:
            open_ties[held.pitch, held.at + held.length] = held
    return found
