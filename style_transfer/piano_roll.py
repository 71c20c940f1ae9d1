"""Notes <-> tables and rolls: what a piano's keys and pedals do, in seconds.

A `NoteSequence` says when keys and pedals move; a `NoteTable` says when strings are struck and
damped, which is what a synthesizer needs.
"""

import dataclasses

import numpy as np

from style_transfer import files

NUM_KEYS = 88
LOWEST_PITCH = 21
FRAMES_PER_SECOND = 50
# Times on the edge of two frames are rounded: by up to 3e-5 frames in float32 after ten seconds.
EDGE_FRAMES = 1e-4
NUM_PEDALS = 3
ROLL_DEPTH = 2 * NUM_KEYS + NUM_PEDALS
SUSTAIN_CC, SOSTENUTO_CC, SOFT_CC = 64, 66, 67
SUSTAIN, SOSTENUTO, SOFT = range(NUM_PEDALS)
PEDAL_DOWN = 64
DRUM_CHANNEL_MESSAGE = "drum notes and pitches outside 21-108 are left out"


@dataclasses.dataclass(frozen=True)
class Pedals:
    """Positions of the three pedals as step curves, each `(times_secs, values)`.

    Values are in [0, 1]; before the first time a pedal is up. What a pedal does to a string is in
    `NoteTable.damped_secs`; here is only what a pianist's foot did.
    """

    sustain: tuple
    sostenuto: tuple
    soft: tuple

    def at(self, times_secs):
        """Pedal positions, shape `[num_times, 3]`."""
        return np.stack([_step(curve, times_secs) for curve in
                         (self.sustain, self.sostenuto, self.soft)], axis=-1)


def no_pedals():
    """Pedals that are never touched."""
    empty = (np.zeros(0), np.zeros(0, np.float32))
    return Pedals(empty, empty, empty)


@dataclasses.dataclass(frozen=True)
class NoteTable:
    """Struck strings of a piano, sorted by onset.

    Attributes:
        key: int32 `[num_notes]`, 0 (A0, MIDI pitch 21) to 87 (C8).
        velocity: float32 `[num_notes]` in (0, 1].
        onset_secs: float64 `[num_notes]`.
        release_secs: float64 `[num_notes]`, when the key comes up.
        damped_secs: float64 `[num_notes]`, when the damper falls: key up, sustain and sostenuto
            pedals up, or the key struck again.
        pedals: The pedals' curves.
    """

    key: np.ndarray
    velocity: np.ndarray
    onset_secs: np.ndarray
    release_secs: np.ndarray
    damped_secs: np.ndarray
    pedals: Pedals = dataclasses.field(default_factory=no_pedals)

    def __len__(self):
        return len(self.key)

    @property
    def end_secs(self):
        """When the last damper falls, 0 for an empty table."""
        return float(self.damped_secs.max()) if len(self) else 0.0

    def select(self, mask):
        """The notes where `mask` (boolean or indices) says so; pedals are kept."""
        columns = ("key", "velocity", "onset_secs", "release_secs", "damped_secs")
        return dataclasses.replace(self, **{c: getattr(self, c)[mask] for c in columns})

    def shift(self, secs):
        """Everything, pedals included, `secs` later."""
        pedals = Pedals(*((t + secs, v) for t, v in
                          (self.pedals.sustain, self.pedals.sostenuto, self.pedals.soft)))
        return dataclasses.replace(self, onset_secs=self.onset_secs + secs,
                                   release_secs=self.release_secs + secs,
                                   damped_secs=self.damped_secs + secs, pedals=pedals)


def load_midi(source, tracks="all", warn=None):
    """A NoteSequence, as it is played; see `style_transfer.midi.load`."""
    from style_transfer.midi import load

    return load.load(source, tracks, warn=warn)


def save_midi(path, sequence):
    """Writes a NoteSequence as a MIDI file, whole or not at all.

    No note is shorter than a tick of the file, since its release would come before its strike.
    """
    import note_seq

    fastest = max((tempo.qpm for tempo in sequence.tempos), default=120.0)
    shortest = 1.5 * 60 / (fastest * (sequence.ticks_per_quarter or 220))
    if any(note.end_time - note.start_time < shortest for note in sequence.notes):
        sequence, given = type(sequence)(), sequence
        sequence.CopyFrom(given)
        for note in sequence.notes:
            note.end_time = max(note.end_time, note.start_time + shortest)
    with files.written_whole(path) as partial:
        note_seq.midi_io.note_sequence_to_pretty_midi(sequence).write(str(partial))


def note_table(sequence):
    """The struck strings of a NoteSequence; drums and pitches off the keyboard are left out.

    All instruments are put on one piano. Pedals are their instrument's, as
    `note_seq.apply_sustain_control_changes` has it: they hold its notes and no others. A key is one
    string, so its earlier note is damped where the key is struck again, and what is struck sounds
    on while anything holds the key: the last release ends it. Notes of the same key and onset are
    one note with the loudest's velocity.

    Args:
        sequence: A NoteSequence in seconds (tempo changes are already applied in it).

    Returns:
        A `NoteTable`, of whose pedals each is where the instrument that presses it most has it.
    """
    rows = np.array([(n.start_time, n.pitch - LOWEST_PITCH, n.velocity, n.end_time, n.instrument)
                     for n in sequence.notes if not n.is_drum], np.float64).reshape(-1, 5)
    rows = rows[(rows[:, 1] >= 0) & (rows[:, 1] < NUM_KEYS) & (rows[:, 2] > 0)]
    rows = rows[np.lexsort((-rows[:, 2], rows[:, 1], rows[:, 0]))]
    onset, key, velocity, release, instrument = rows.T
    of_instrument = _pedals(sequence)
    pedals = _on_one_piano(of_instrument.values())
    final = max(times.max(initial=0.0) for times in
                (release, pedals.sustain[0], pedals.sostenuto[0]))
    damped = release.copy()
    for number, own in of_instrument.items():
        mine = np.flatnonzero(instrument == number)
        damped[mine] = _held_until(
            _sostenuto(release[mine], onset[mine], own.sostenuto, final), own.sustain, final)
    key = key.astype(np.int32)
    release, damped = _last_of_key(release, key), _last_of_key(damped, key)
    last = np.append(np.any(np.diff(rows[:, :2], axis=0), axis=1), True)[: len(rows)]
    first = np.append(True, last)[: len(rows)]
    key, velocity, onset = key[first], velocity[first] / 127, onset[first]
    release, damped = release[last], _until_struck_again(damped[last], key, onset)
    return NoteTable(key, velocity.astype(np.float32), onset, np.maximum(release, onset),
                     np.maximum(damped, onset), pedals)


def to_sequence(table):
    """The NoteSequence of a table: notes with key releases, and pedals as control changes."""
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence(ticks_per_quarter=480)
    sequence.tempos.add(qpm=120)
    for key, velocity, start, end in zip(table.key, table.velocity, table.onset_secs,
                                         table.release_secs, strict=True):
        sequence.notes.add(pitch=int(key) + LOWEST_PITCH, velocity=max(1, round(velocity * 127)),
                           start_time=start, end_time=end)
    curves = (table.pedals.sustain, table.pedals.sostenuto, table.pedals.soft)
    for control, (times, values) in zip((SUSTAIN_CC, SOSTENUTO_CC, SOFT_CC), curves, strict=True):
        for time, value in zip(times, values, strict=True):
            sequence.control_changes.add(time=time, control_number=control,
                                         control_value=round(float(value) * 127))
    sequence.total_time = float(table.release_secs.max()) if len(table) else 0.0
    return sequence


def roll(table, start_secs, num_frames, frames_per_second=FRAMES_PER_SECOND):
    """Piano roll with onsets, sounding notes and pedals.

    Args:
        table: A `NoteTable`.
        start_secs: Time of the first frame's beginning.
        num_frames: How many frames.
        frames_per_second: Frame rate.

    Returns:
        float32 `[num_frames, 179]`: onset velocities of 88 keys (in the frame that holds the
        onset), sounding velocities of 88 keys (from onset until damped), three pedals.
    """
    out = np.zeros((num_frames, ROLL_DEPTH), np.float32)
    end_secs = start_secs + num_frames / frames_per_second
    inside = (table.damped_secs > start_secs) | (table.onset_secs >= start_secs)
    for i in np.flatnonzero(inside & (table.onset_secs < end_secs)):
        key, velocity = table.key[i], table.velocity[i]
        first = int(frame_of(table.onset_secs[i] - start_secs, frames_per_second))
        last = int(frame_after(table.damped_secs[i] - start_secs, frames_per_second))
        if first >= num_frames:
            continue
        if first >= 0:
            out[first, key] = max(velocity, out[first, key])
        out[max(first, 0):max(last, first + 1, 1), NUM_KEYS + key] = velocity
    times = start_secs + (np.arange(num_frames) + 0.5) / frames_per_second
    out[:, 2 * NUM_KEYS:] = table.pedals.at(times)
    return out


def frame_of(secs, frames_per_second=FRAMES_PER_SECOND):
    """Frame that holds a time; one on an edge, give or take its rounding, begins a frame.

    Args:
        secs: Number, array or tensor of any library, seconds.
        frames_per_second: Frame rate.

    Returns:
        Whole numbers of the same type and shape.
    """
    return (secs * frames_per_second + EDGE_FRAMES) // 1


def frame_after(secs, frames_per_second=FRAMES_PER_SECOND):
    """First frame that begins at a time or later, as `frame_of`: what ends there is over in it."""
    return -((EDGE_FRAMES - secs * frames_per_second) // 1)


def _step(curve, times_secs):
    times, values = curve
    padded = np.concatenate([[0.0], values]).astype(np.float32)
    return padded[np.searchsorted(times, times_secs, side="right")]


def _pedals(sequence):
    """`Pedals` by instrument; of several events at one time the last counts."""
    events = {}
    for c in sequence.control_changes:
        if c.control_number in (SUSTAIN_CC, SOSTENUTO_CC, SOFT_CC) and not c.is_drum:
            events.setdefault(c.instrument, []).append((c.time, c.control_number, c.control_value))
    found = {}
    for instrument, rows in sorted(events.items()):
        time, number, value = np.array(rows, np.float64).T
        curves = []
        for control in (SUSTAIN_CC, SOSTENUTO_CC, SOFT_CC):
            order = np.flatnonzero(number == control)
            order = order[np.argsort(time[order], kind="stable")]
            order = order[np.append(np.diff(time[order]) > 0, True)[: len(order)]]
            curves.append((time[order], (value[order] / 127).astype(np.float32)))
        found[instrument] = Pedals(*curves)
    return found


def _on_one_piano(all_pedals):
    """The `Pedals` of which each is as far down as in any of these."""
    curves = []
    for name in ("sustain", "sostenuto", "soft"):
        parts = [getattr(pedals, name) for pedals in all_pedals]
        times = np.unique(np.concatenate([np.zeros(0), *(part[0] for part in parts)]))
        values = np.zeros(len(times), np.float32)
        for part in parts:
            values = np.maximum(values, _step(part, times))
        curves.append((times, values))
    return Pedals(*curves)


def _switches(curve):
    """Times at which a pedal goes down, and at which it comes up again (inf if never)."""
    times, values = curve
    down = values >= PEDAL_DOWN / 127
    before = np.concatenate([[False], down[:-1]]) if len(down) else down
    downs, ups = times[down & ~before], times[before & ~down]
    return downs, np.concatenate([ups, np.full(len(downs) - len(ups), np.inf)])


def _held_until(ends, curve, final):
    """Ends that fall while the pedal is down move to where it comes up (`final` if never)."""
    downs, ups = _switches(curve)
    if not len(downs):
        return ends
    span = np.searchsorted(downs, ends, side="right") - 1
    held = (span >= 0) & (ends < ups[np.maximum(span, 0)])
    return np.where(held, np.minimum(ups[np.maximum(span, 0)], final), ends)


def _sostenuto(ends, onsets, curve, final):
    """Sostenuto holds only the keys that are down when the pedal goes down."""
    downs, ups = _switches(curve)
    out = ends.copy()
    for down, up in zip(downs, ups, strict=True):
        caught = (onsets <= down) & (ends > down)
        out[caught] = np.maximum(out[caught], min(up, final))
    return out


def _last_of_key(times, keys):
    """The latest of each note's time and those of the earlier notes of its key."""
    out = np.empty_like(times)
    for key in range(NUM_KEYS):
        mine = np.flatnonzero(keys == key)
        out[mine] = np.maximum.accumulate(times[mine])
    return out


def _until_struck_again(ends, keys, onsets):
    out = ends.copy()
    order = np.argsort(keys, kind="stable")
    again = keys[order[1:]] == keys[order[:-1]]
    earlier, later = order[:-1][again], order[1:][again]
    out[earlier] = np.minimum(out[earlier], onsets[later])
    return out
