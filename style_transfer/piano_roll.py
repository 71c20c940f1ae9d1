"""Notes <-> tables and rolls: what a piano's keys and pedals do, in seconds.

A `NoteSequence` says when keys and pedals move; a `NoteTable` says when strings are struck and
damped, which is what a synthesizer needs.
"""

import dataclasses
import typing

import numpy as np

from style_transfer import files
from style_transfer.arrays import counted, fold, following, last_of_each

NUM_KEYS = 88
LOWEST_PITCH = 21
FRAMES_PER_SECOND = 50
# Times on the edge of two frames are rounded: by up to 3e-5 frames in float32 after ten seconds.
EDGE_FRAMES = 1e-4
NUM_PEDALS = 3
KEYS_DEPTH = 2 * NUM_KEYS
ROLL_DEPTH = KEYS_DEPTH + NUM_PEDALS
DECAY_SECS = (3.0, 0.1)  # of `decayed`, to 1/e, from the lowest key to the highest
MIN_DECAYED = 1e-4
TAIL_SECS = 1.0  # that neural synthesizers play behind the last damper
PEDAL_CCS = SUSTAIN_CC, SOSTENUTO_CC, SOFT_CC = 64, 66, 67
SUSTAIN, SOSTENUTO, SOFT = range(NUM_PEDALS)
PEDAL_DOWN = 64
MAX_LOG2_NOTES = 24
DRUM_CHANNEL_MESSAGE = "drum notes and pitches outside 21-108 are left out"


class Pedals(typing.NamedTuple):
    """Positions of the three pedals as step curves, each `(times_secs, values)`.

    Values are in [0, 1]; before the first time a pedal is up. What a pedal does to a string is in
    `NoteTable.damped_secs`; here is only what a pianist's foot did.
    """

    sustain: tuple
    sostenuto: tuple
    soft: tuple

    def at(self, times_secs, xp=np):
        """Pedal positions, shape `[num_times, 3]`."""
        return xp.stack([_step(curve, times_secs, xp) for curve in self], axis=-1)


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
        pedals = Pedals(*((t + secs, v) for t, v in self.pedals))
        return dataclasses.replace(self, onset_secs=self.onset_secs + secs,
                                   release_secs=self.release_secs + secs,
                                   damped_secs=self.damped_secs + secs, pedals=pedals)

    def transpose(self, semitones):
        """The notes `semitones` higher; those that leave the keyboard are left out."""
        moved = dataclasses.replace(self, key=self.key + np.int32(semitones))
        return moved.select((moved.key >= 0) & (moved.key < NUM_KEYS))

    def at_tempo(self, factor):
        """Everything, pedals included, `factor` times as fast."""
        pedals = Pedals(*((t / factor, v) for t, v in self.pedals))
        return dataclasses.replace(self, onset_secs=self.onset_secs / factor,
                                   release_secs=self.release_secs / factor,
                                   damped_secs=self.damped_secs / factor, pedals=pedals)


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
    on while anything holds the key: the last release ends it (`damped_secs`; `release_secs` is each
    note's own, as transcriptions are scored by). Notes of the same key and onset are one note with
    the loudest's velocity and the last release.

    Args:
        sequence: A NoteSequence in seconds (tempo changes are already applied in it).

    Returns:
        A `NoteTable`, of whose pedals each is where the instrument that presses it most has it.
    """
    notes = np.array([(n.pitch - LOWEST_PITCH, n.velocity / 127, n.start_time, n.end_time,
                       n.instrument) for n in sequence.notes if not n.is_drum]).reshape(-1, 5)
    moves = np.array([(c.control_number, c.time, c.control_value / 127, c.instrument)
                      for c in sequence.control_changes if not c.is_drum]).reshape(-1, 4)
    return NoteTable(*struck(notes.T, moves.T))


def struck(notes, moves, xp=np):
    """The columns of a `NoteTable`, as `note_table` makes it.

    Args:
        notes: Columns of key (any number), velocity in [0, 1], onset, release, instrument.
        moves: Columns of pedals' control changes, each after those before it: number of the
            control, time, position in [0, 1], instrument.
        xp: See `arrays`.
    """
    order = by_onset(*notes[:3], xp)
    key, velocity, onset, release, instrument = (xp.take(column, order) for column in notes)
    of_control = [_moves_of(number, moves, xp) for number in PEDAL_CCS]
    pedals = Pedals(*(_on_one_piano(*rows, xp) for rows in of_control))
    final = xp.max(xp.concatenate([xp.asarray([0.0]), release, pedals.sustain[0],
                                   pedals.sostenuto[0]]))
    damped = _sostenuto(release, onset, instrument, _spans(*of_control[SOSTENUTO], xp), final, xp)
    damped = _held_until(damped, instrument, _spans(*of_control[SUSTAIN], xp), final, xp)
    damped = _last_of_key(damped, key, xp)
    first = is_first(key, onset, xp)
    release = _last_of_key(release, xp.cumsum(xp.asarray(first, int)), xp)
    last = following(xp.asarray(first, int), 1, xp) > 0
    key, velocity, onset = key[first], velocity[first], onset[first]
    damped = _until_struck_again(damped[last], key, onset, xp)
    return (xp.asarray(key, np.int32), xp.asarray(velocity, np.float32), onset,
            xp.maximum(release[last], onset), xp.maximum(damped, onset), pedals)


def by_onset(key, velocity, onset_secs, xp=np):
    """Indices of the notes that a piano has, by onset, then by key, the loudest first."""
    wanted = xp.flatnonzero((key >= 0) & (key < NUM_KEYS) & (velocity > 0))
    return xp.take(wanted, xp.lexsort([xp.take(column, wanted)
                                       for column in (-velocity, key, onset_secs)]))


def is_first(first_column, second_column, xp=np):
    """Which rows differ in either from the one before; the first row does."""
    return _is_new(first_column, xp) | _is_new(second_column, xp)


def to_sequence(table):
    """The NoteSequence of a table: notes with key releases, and pedals as control changes."""
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence(ticks_per_quarter=480)
    sequence.tempos.add(qpm=120)
    for key, velocity, start, end in zip(table.key, table.velocity, table.onset_secs,
                                         table.release_secs, strict=True):
        sequence.notes.add(pitch=int(key) + LOWEST_PITCH, velocity=max(1, round(velocity * 127)),
                           start_time=start, end_time=end)
    for control, (times, values) in zip(PEDAL_CCS, table.pedals, strict=True):
        for time, value in zip(times, values, strict=True):
            sequence.control_changes.add(time=time, control_number=control,
                                         control_value=round(float(value) * 127))
    sequence.total_time = float(table.release_secs.max()) if len(table) else 0.0
    return sequence


def roll(table, start_secs, num_frames, frames_per_second=FRAMES_PER_SECOND, xp=np):
    """Piano roll with onsets, sounding notes and pedals.

    Args:
        table: A `NoteTable`.
        start_secs: Time of the first frame's beginning.
        num_frames: How many frames.
        frames_per_second: Frame rate.
        xp: See `arrays`.

    Returns:
        float32 `[num_frames, 179]`: onset velocities of 88 keys (in the frame that holds the
        onset), sounding velocities of 88 keys (from onset until damped), three pedals.
    """
    onset, damped = (secs - start_secs for secs in (table.onset_secs, table.damped_secs))
    count = xp.asarray(num_frames, int)
    end_secs = xp.asarray(count, float) / frames_per_second
    seen = (onset < end_secs) & ((damped > 0) | (onset >= 0))
    key, velocity, onset, damped = (
        column[seen] for column in (xp.asarray(table.key, int), table.velocity, onset, damped))
    first = xp.asarray(frame_of(onset, frames_per_second), int)
    # Behind the last frame all is the same, and fits into an integer.
    last = xp.asarray(frame_after(xp.minimum(damped, end_secs + 1), frames_per_second), int)
    last = xp.maximum(last, xp.maximum(first + 1, 1))
    inside = (first >= 0) & (first < count)
    order = xp.argsort(velocity[inside], kind="stable")
    cell = xp.take((first * NUM_KEYS + key)[inside], order)
    onsets = last_of_each(cell, xp.take(velocity[inside], order), count * NUM_KEYS, xp)
    begin = xp.maximum(first, 0)
    note, since = counted(xp.maximum(xp.minimum(last, count) - begin, 0), xp)
    cell = (xp.take(begin, note) + since) * NUM_KEYS + xp.take(key, note)
    sounding = last_of_each(cell, xp.take(velocity, note), count * NUM_KEYS, xp)
    times = start_secs + (xp.asarray(xp.arange(num_frames), float) + 0.5) / frames_per_second
    shape = (num_frames, NUM_KEYS)
    return xp.concatenate([
        xp.reshape(xp.asarray(onsets, np.float32), shape),
        xp.reshape(xp.asarray(sounding, np.float32), shape), table.pedals.at(times, xp)], axis=-1)


def keys_roll(table, start_frame, frames, roll_rate, decays=False):
    """The roll that neural synthesizers read.

    Args:
        table: A `NoteTable`.
        start_frame: First frame, on the grid that begins with the performance; may be negative.
        frames: How many.
        roll_rate: Frames per second.
        decays: Whether what sounds dies away as `decayed` says.

    Returns:
        float32 `[frames, 176]`: velocities in the frames that hold an onset, 88 keys; velocities of
        what sounds, pedals applied, 88 keys. Frame `f` covers samples `f * hop` to `(f + 1) * hop`.
    """
    values = roll(table, start_frame / roll_rate, frames, roll_rate)[:, :KEYS_DEPTH]
    if not decays:
        return values
    onset = frame_of(table.onset_secs, roll_rate) - start_frame
    before = np.full(NUM_KEYS, -np.inf)
    np.maximum.at(before, table.key[onset < 0], onset[onset < 0])
    return decayed(values, roll_rate, before)


def decayed(values, roll_rate, before=0, xp=np):
    """A roll in which what sounds dies away from its onset as strings do, more or less.

    A model that makes sound of it need not remember when each key was struck. Real pianos differ
    from these decays by far less than from none: `DECAY_SECS`, to 1/e, from the lowest key to the
    highest.

    Args:
        values: `[..., frames, 176]` from `keys_roll`.
        roll_rate: Frames per second.
        before: Frames, negative, at which keys were struck that sound from the beginning, `[88]`;
            0 takes the first for all.
        xp: See `arrays`.

    Returns:
        float32 `[..., frames, 176]`; what sounds is never 0.
    """
    onsets, sounding = values[..., :NUM_KEYS], values[..., NUM_KEYS:]
    struck = xp.swapaxes(onsets > 0, -1, -2)
    row = xp.reshape(struck, (-1,))  # one key behind the other
    place = xp.arange(xp.size(row))
    latest = xp.concatenate([xp.asarray([-1]), xp.flatnonzero(row)])
    since = place - xp.take(latest, xp.cumsum(xp.asarray(row, np.int32)))
    since = xp.reshape(xp.asarray(since, np.float32), xp.shape(struck))
    frame = xp.asarray(xp.arange(xp.shape(values)[-2]), np.float32)
    rates, before = (np.reshape(value, (-1, 1)).astype(np.float32)
                     for value in (-1 / (decay_secs() * roll_rate), before))
    ages = xp.where(since > frame, frame - before, since)
    shares = xp.maximum(xp.exp(ages * rates), MIN_DECAYED)
    return xp.concatenate([onsets, sounding * xp.swapaxes(shares, -1, -2)], axis=-1)


def decay_secs():
    """Time in which each key's sound falls to 1/e in `decayed`, seconds, `[88]`."""
    return np.geomspace(*DECAY_SECS, NUM_KEYS)


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


def _step(curve, times_secs, xp):
    times, values = curve
    padded = xp.concatenate([xp.asarray([0.0], np.float32), xp.asarray(values, np.float32)])
    return xp.take(padded, xp.searchsorted(times, times_secs, side="right"))


def _is_new(values, xp):
    """Which values differ from the one before; the first does."""
    return xp.concatenate([xp.asarray([True]), values[1:] != values[:-1]])[:xp.size(values)]


def _moves_of(number, moves, xp):
    """Rows of one pedal by instrument and time; of several at one time the last counts."""
    time, value, instrument = (column[moves[0] == number] for column in moves[1:])
    order = xp.lexsort([time, instrument])
    instrument, time, value = (xp.take(column, order) for column in (instrument, time, value))
    is_last = (following(time, np.inf, xp) != time) | (following(instrument, 0, xp) != instrument)
    return instrument[is_last], time[is_last], value[is_last]


def _on_one_piano(instrument, time, value, xp):
    """The curve that is as far down as any instrument's."""
    times, players = xp.sort(time), xp.sort(instrument)
    times, players = times[_is_new(times, xp)], players[_is_new(players, xp)]
    shape = (xp.size(players), xp.size(times))
    player, at = (xp.reshape(xp.broadcast_to(column, shape), (-1,))
                  for column in (players[:, None], times))
    row = _search((instrument, time), (player, at), "right", xp) - 1
    row = xp.where(row < 0, xp.size(time), row)
    levels = xp.where(_or(instrument, -1, row, xp) == player, _or(value, 0, row, xp), 0.0)
    levels = xp.concatenate([xp.zeros_like(times)[None], xp.reshape(levels, shape)])
    return times, xp.asarray(xp.max(levels, axis=0), np.float32)


def _spans(instrument, time, value, xp):
    """When pedals are down: instruments, and when they go down and come up (inf if never)."""
    down = value >= PEDAL_DOWN / 127
    before = xp.concatenate([xp.asarray([False]), down])[:-1] & ~_is_new(instrument, xp)
    instrument, time, down = (column[down != before] for column in (instrument, time, down))
    # Pedals go down and up in turn, so what follows is another instrument's if it goes down.
    again = following(xp.asarray(down, int), 1, xp) > 0
    up = xp.where(again, np.inf + xp.zeros_like(time), following(time, np.inf, xp))
    return instrument[down], time[down], up[down]


def _span_of(instrument, times, spans, side, xp):
    """When a note's pedal went down the last time before a time and came up; -inf if never."""
    row = _search(spans[:2], (instrument, times), side, xp) - 1
    row = xp.where(row < 0, xp.size(spans[0]), row)
    own = _or(spans[0], -1, row, xp) == instrument
    return (xp.where(own, _or(column, 0, row, xp), -np.inf) for column in spans[1:])


def _or(values, last, row, xp):
    """Rows of a column that has one more behind its last."""
    return xp.take(xp.concatenate([values, xp.asarray([last], values.dtype)]), row)


def _search(rows, wanted, side, xp):
    """`np.searchsorted` for pairs of instruments and times."""
    sizes = xp.stack([xp.size(rows[0]), xp.size(wanted[0])])
    is_row = xp.repeat(xp.asarray([1, 0]), sizes)
    instrument, time = (xp.concatenate(columns) for columns in zip(rows, wanted, strict=True))
    order = xp.lexsort([is_row if side == "left" else -is_row, time, instrument])
    count = xp.take(xp.cumsum(xp.take(is_row, order)), xp.argsort(order))
    return count[xp.size(rows[0]):]


def _held_until(ends, instrument, spans, final, xp):
    """Ends that fall while the pedal is down move to where it comes up (`final` if never)."""
    _, up = _span_of(instrument, ends, spans, "right", xp)
    return xp.where(ends < up, xp.minimum(up, final), ends)


def _sostenuto(ends, onsets, instrument, spans, final, xp):
    """Sostenuto holds only the keys that are down when the pedal goes down.

    Of the times it goes down while a key is held, the last one holds longest.
    """
    down, up = _span_of(instrument, ends, spans, "left", xp)
    return xp.where(down >= onsets, xp.maximum(ends, xp.minimum(up, final)), ends)


def _last_of_key(times, keys, xp):
    """The latest of each note's time and those of the earlier notes of its key."""
    order = xp.argsort(keys, kind="stable")
    key, latest = xp.take(keys, order), xp.take(times, order)
    place = xp.arange(xp.size(key))

    def look_back(latest, distance):
        before = xp.maximum(place - distance, 0)
        earlier = xp.where(xp.take(key, before) == key, xp.take(latest, before), latest)
        return xp.maximum(latest, earlier)

    # After n turns each has seen the 2^n - 1 notes before it.
    latest = fold(look_back, latest, 2 ** np.arange(MAX_LOG2_NOTES), xp)
    return xp.take(latest, xp.argsort(order))


def _until_struck_again(ends, keys, onsets, xp):
    order = xp.argsort(keys, kind="stable")
    key, onset = xp.take(keys, order), xp.take(onsets, order)
    again = xp.where(following(key, -1, xp) == key, following(onset, np.inf, xp), np.inf)
    return xp.minimum(ends, xp.take(again, xp.argsort(order)))
