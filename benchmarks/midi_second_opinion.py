"""Whether MIDI files are read as Magenta reads them, and played as another reader says.

Reads every MIDI file of the folders given, none of which is part of the project, both ways:

* as Magenta reads it, the message must be `note_seq.midi_to_note_sequence`'s, field by field, or
  both must refuse the file;
* as it is played, it must have the onsets, releases, pedal movements and tempos that a second
  reader finds: mido's messages of all tracks in the order of their ticks, played by the plainest
  loop that knows what ends a note (nothing of it is shared with the package).

  python -m benchmarks.midi_second_opinion --folders=/data/asap,/data/songs
"""

import collections
import pathlib
import sys
import time

from absl import app, flags

_MICROSECONDS = 1e-6
_PEDALS = (64, 66, 67)
_SILENCE = (120, *range(123, 128))


class _Clock:
    """Seconds of ticks, one tempo after the other."""

    def __init__(self, ticks_per_quarter, tempos):
        self.points, self.ticks_per_quarter = [(0, 0.0, 500_000)], ticks_per_quarter
        for tick, tempo in tempos:
            secs = self(tick)
            if self.points[-1][0] == tick:
                self.points.pop()
            self.points.append((tick, secs, tempo))

    def __call__(self, tick):
        last, secs, tempo = next(p for p in reversed(self.points) if p[0] <= tick)
        return secs + (tick - last) * tempo / self.ticks_per_quarter * _MICROSECONDS

    def tempos(self):
        """Seconds and quarters per minute of each change."""
        found = []
        for _, secs, tempo in self.points:
            if not found or found[-1][1] != 60e6 / tempo:
                found.append((secs, 60e6 / tempo))
        return found


def second_opinion(path):
    """Sorted notes (onset, release, pitch, velocity, drum), pedals and tempos, as mido reads."""
    import mido

    file = mido.MidiFile(path, clip=False)
    messages = []
    for track, events in enumerate(file.tracks):
        tick = 0
        for event in events:
            tick += event.time
            messages.append((tick, track, event))
    messages.sort(key=lambda message: message[0])
    clock = _Clock(file.ticks_per_beat,
                   [(tick, m.tempo) for tick, _, m in messages if m.type == "set_tempo"])
    sounding, notes, pedals = collections.defaultdict(list), [], []
    used = {m.channel for _, _, m in messages if m.type == "note_on" and m.velocity}

    def end(begun, tick):
        for since, velocity, channel, pitch, _ in begun:
            notes.append((clock(since), clock(tick), pitch, velocity, channel == 9))

    for tick, track, m in messages:
        if m.type == "note_on" and m.velocity:
            sounding[m.channel, m.note].append((tick, m.velocity, m.channel, m.note, track))
        elif m.type in ("note_on", "note_off"):
            begun = sounding[m.channel, m.note]
            mine = [note for note in begun if note[4] == track] or begun
            ended = [note for note in mine if note[0] < tick] or mine
            end(ended, tick)
            sounding[m.channel, m.note] = [note for note in begun if note not in ended]
        elif m.type == "control_change" and m.channel in used and m.channel != 9:
            if m.control in _PEDALS:
                pedals.append((m.channel, m.control, clock(tick), m.value))
            elif m.control == 121:
                pedals += [(m.channel, pedal, clock(tick), 0) for pedal in _PEDALS]
        if m.type == "control_change" and m.control in _SILENCE:
            for key in [key for key in sounding if key[0] == m.channel]:
                end(sounding.pop(key), tick)
    for begun in sounding.values():
        end(begun, messages[-1][0])
    return sorted(notes), _last_of_each_time(pedals), clock.tempos()


def as_played(data):
    """The same of the package's reader."""
    from style_transfer.midi import reader

    sequence = reader.note_sequence(data, played=True)
    notes = sorted((n.start_time, n.end_time, n.pitch, n.velocity, n.is_drum)
                   for n in sequence.notes)
    # Every instrument of a channel has its pedals; the second reader's are the channel's.
    pedals = [(c.instrument, c.control_number, c.time, c.control_value)
              for c in sequence.control_changes
              if c.control_number in _PEDALS and not c.is_drum]
    return notes, _last_of_each_time(pedals), [(t.time, t.qpm) for t in sequence.tempos]


def _last_of_each_time(pedals):
    """The different curves of (pedal, time, value) that channels or instruments have."""
    curves = collections.defaultdict(dict)
    for who, pedal, secs, value in pedals:
        curves[who][pedal, round(secs, 6)] = value
    return sorted({tuple(sorted(curve.items())) for curve in curves.values()})


def _close(mine, theirs):
    """Whether two rows of rows of numbers agree, times within a microsecond."""
    if isinstance(mine, (list, tuple)):
        return len(mine) == len(theirs) and all(map(_close, mine, theirs))
    return abs(mine - theirs) <= 2 * _MICROSECONDS * max(1, abs(theirs))


def _magentas(data):
    import note_seq

    try:
        return note_seq.midi_to_note_sequence(data)
    except note_seq.MIDIConversionError:
        return None


def _ours(data):
    from style_transfer.midi import reader
    from style_transfer.midi.limits import UnreadableFileError

    try:
        return reader.note_sequence(data)
    except UnreadableFileError:
        return None


def compare(path):
    """What of a file differs, a list of words; and seconds that note_seq and both our ways took."""
    data = path.read_bytes()
    begun = time.perf_counter()
    expected = _magentas(data)
    between = time.perf_counter()
    ours = _ours(data)
    took = [between - begun, time.perf_counter() - between]
    differ = [] if ours == expected else ["as Magenta reads"]
    begun = time.perf_counter()
    mine = as_played(data)
    took.append(time.perf_counter() - begun)
    theirs = second_opinion(path)
    differ += [what for what, a, b in zip(("notes", "pedals", "tempos"), mine, theirs, strict=True)
               if not _close(a, b)]
    kept = len(ours.notes) if ours else 0
    return differ, took, (len(mine[0]), kept, sum(map(len, mine[1])))


def main(argv):
    """Compares, prints a table, and fails if anything differs."""
    del argv
    failed = False
    for folder in _FOLDERS.value:
        paths = sorted(p for p in pathlib.Path(folder).expanduser().rglob("*")
                       if p.suffix.lower() in (".mid", ".midi", ".kar"))
        paths = paths[:_MAX_FILES.value or None]
        counts, total, numbers = collections.Counter(), [0.0] * 3, [0] * 3
        for path in paths:
            differ, took, found = compare(path)
            for what in differ:
                print(f"{path.relative_to(folder)}: {what} differ")
            counts.update(differ)
            total = [a + b for a, b in zip(total, took, strict=True)]
            numbers = [a + b for a, b in zip(numbers, found, strict=True)]
        print(f"{folder}: {len(paths)} files; differ: {dict(counts) or 'none'}; "
              f"{numbers[0]} notes played, {numbers[1]} as Magenta reads, {numbers[2]} pedal "
              f"movements; note_seq {total[0]:.1f} s, ours {total[1]:.1f} s, as played with its "
              f"NoteSequence {total[2]:.1f} s")
        failed |= bool(counts)
    if failed:
        sys.exit("Files differ.")


if __name__ == "__main__":
    _FOLDERS = flags.DEFINE_list("folders", None, "Folders that are searched for MIDI files.",
                                 required=True)
    _MAX_FILES = flags.DEFINE_integer("max_files", 0, "Files of each folder at most, 0 for all.")
    app.run(main)
