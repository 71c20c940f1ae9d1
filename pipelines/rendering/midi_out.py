"""Note tables as MIDI bytes for a synthesizer: one channel, one program, all three pedals."""

import io

from style_transfer.piano_roll import LOWEST_PITCH, SOFT_CC, SOSTENUTO_CC, SUSTAIN_CC, NoteTable

TICKS_PER_QUARTER = 4_000
TICKS_PER_SEC = 2 * TICKS_PER_QUARTER  # at 120 quarters per minute
_PADDING_CC = 3  # undefined in MIDI 1.0: only keeps the file running
_BANK_CC = 0
_OFF, _CONTROL, _ON = range(3)


def midi_bytes(table: NoteTable, program: int = 0, tail_secs: float = 0.0,
               bank: int = 0) -> bytes:
    """A MIDI file of the table at 120 quarters per minute.

    A key that is struck again before it came up is let go first, so that no note-off of an
    earlier note silences a later one. After the last damper fell, all pedals come up.

    Args:
        table: A `style_transfer.piano_roll.NoteTable`.
        program: General MIDI program, 0-127.
        tail_secs: How long the file runs on after the last damper fell.
        bank: Bank of the program, 0-16383.

    Returns:
        The file's bytes.
    """
    import mido

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=500_000))
    if bank:
        for number, value in ((_BANK_CC, bank >> 7), (_BANK_CC + 32, bank & 127)):
            track.append(mido.Message("control_change", control=number, value=value))
    track.append(mido.Message("program_change", program=program))
    now = 0
    for secs, kind, number, value in _events(table, tail_secs):
        tick = max(now, round(secs * TICKS_PER_SEC))
        if kind == _CONTROL:
            message = mido.Message("control_change", control=number, value=value, time=tick - now)
        else:
            name = "note_on" if kind == _ON else "note_off"
            message = mido.Message(name, note=number, velocity=value, time=tick - now)
        track.append(message)
        now = tick
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_QUARTER)
    file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _events(table, tail_secs):
    """(seconds, kind, number, value), note-offs before pedals before note-ons of one instant."""
    events, following = [], {}
    for i in reversed(range(len(table))):
        pitch = int(table.key[i]) + LOWEST_PITCH
        off = min(float(table.release_secs[i]), following.get(pitch, float("inf")))
        following[pitch] = onset = float(table.onset_secs[i])
        velocity = min(127, max(1, round(float(table.velocity[i]) * 127)))
        # A note of no length would sort its note-off before its note-on and never end.
        events.append((max(off, onset + 1 / TICKS_PER_SEC), _OFF, pitch, 0))
        events.append((onset, _ON, pitch, velocity))
    pedals = table.pedals
    for number, (times, values) in ((SUSTAIN_CC, pedals.sustain), (SOSTENUTO_CC, pedals.sostenuto),
                                    (SOFT_CC, pedals.soft)):
        events += [(float(t), _CONTROL, number, round(float(v) * 127))
                   for t, v in zip(times, values, strict=True)]
    end = max([table.end_secs, *(event[0] for event in events)])
    events += [(end, _CONTROL, number, 0) for number in (SUSTAIN_CC, SOSTENUTO_CC, SOFT_CC)]
    events.append((end + tail_secs, _CONTROL, _PADDING_CC, 0))
    return sorted(events, key=lambda event: event[:2])
