"""The melodies of POP909 as MIDI files in 4/4, which is what MusicVAE's converter reads.

    python -m benchmarks.pop909_melodies --input_dir=POP909 --output_dir=melodies

POP909's files keep time in beats, but most say 1/4 or 2/4, and their first beat stands anywhere:
Magenta's converter takes nothing of them. Here the sixteenths are set on the grid, bars begin where
the accompaniment's low notes weigh most, and the tempo is one. Bars in which the melody is silent
have the track BRIDGE, so that there are sixteen in a row. Songs whose file says 3/4 or 6/8 are left
out, and those in which fewer than nine in ten notes begin on one grid.
"""

import argparse
import pathlib

import mido
import numpy as np

STEPS_PER_QUARTER, STEPS_PER_BAR = 4, 16
LOW = 55  # pitches that are counted as an accompaniment's bass
MIN_ON_GRID = 0.9
VELOCITY, TEMPO = 80, 500_000


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input_dir", required=True)
    parser.add_argument("--output_dir", required=True)
    return parser.parse_args()


def read_notes(track):
    """Beginning, end and pitch of notes, ticks: `[count, 3]`, in the order of their ends."""
    tick, sounding, found = 0, {}, []
    for message in track:
        tick += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        begin = sounding.pop(message.note, None)
        if begin is not None and tick > begin:
            found.append((begin, tick, message.note))
        if message.type == "note_on" and message.velocity:
            sounding[message.note] = tick
    return np.array(found, int).reshape(-1, 3)


def grid_offset(ticks, period):
    """Where the grid begins on which most of the times lie, and the share of those that do."""
    angle = np.angle(np.exp(2j * np.pi * ticks / period).mean())
    offset = angle * period / (2 * np.pi)
    distance = (ticks - offset + period / 2) % period - period / 2
    return offset, np.mean(np.abs(distance) < period / 5)


def first_bar(notes):
    """Step in 0 to 15 at which bars begin, by beginnings and lengths of low notes, in steps."""
    low = notes[notes[:, 2] < LOW]
    weights = np.minimum(low[:, 1] - low[:, 0], STEPS_PER_BAR)
    return int(np.bincount(low[:, 0] % STEPS_PER_BAR, weights, STEPS_PER_BAR).argmax())


def with_bridge(melody, bridge):
    """Notes of the melody, and of the bridge in bars in which the melody is silent."""
    taken = {bar for begin, end, _ in melody
             for bar in range(begin // STEPS_PER_BAR, (end - 1) // STEPS_PER_BAR + 1)}
    free = [note for note in bridge if not taken.intersection(
        range(note[0] // STEPS_PER_BAR, (note[1] - 1) // STEPS_PER_BAR + 1))]
    return np.array([*melody, *free], int).reshape(-1, 3)


def melody_of(midi):
    """Notes in steps of sixteenths, in bars that begin at multiples of 16: `[count, 3]`.

    Raises:
        ValueError: The song is in another meter, or its notes are on no grid.
    """
    meters = {(message.numerator, message.denominator) for message in midi.tracks[0]
              if message.type == "time_signature"}
    if meters & {(3, 4), (6, 8)}:
        raise ValueError("meter other than 4/4")
    tracks = {track.name: read_notes(track) for track in midi.tracks}
    period = midi.ticks_per_beat / STEPS_PER_QUARTER
    offset, share = grid_offset(tracks["MELODY"][:, 0], period)
    if share < MIN_ON_GRID:
        raise ValueError("no grid")
    steps = {}
    for name, notes in tracks.items():
        notes = notes.copy()
        notes[:, :2] = np.round((notes[:, :2] - offset) / period)
        notes[:, 1] = np.maximum(notes[:, 1], notes[:, 0] + 1)
        steps[name] = notes
    shift = STEPS_PER_BAR - first_bar(steps["PIANO"])
    for notes in steps.values():
        notes[:, :2] += shift
    return with_bridge(steps["MELODY"], steps["BRIDGE"])


def write(path, notes):
    """A MIDI file of one track."""
    midi = mido.MidiFile(ticks_per_beat=STEPS_PER_QUARTER)
    track = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=4, denominator=4),
                            mido.MetaMessage("set_tempo", tempo=TEMPO)])
    midi.tracks.append(track)
    events = sorted([(end, 0, pitch) for _, end, pitch in notes]
                    + [(begin, VELOCITY, pitch) for begin, _, pitch in notes])
    now = 0
    for step, velocity, pitch in events:
        track.append(mido.Message("note_on", note=int(pitch), velocity=velocity,
                                  time=int(step) - now))
        now = int(step)
    midi.save(path)


def main():
    arguments = parse()
    out = pathlib.Path(arguments.output_dir)
    out.mkdir(parents=True, exist_ok=True)
    paths = sorted(pathlib.Path(arguments.input_dir).rglob("*.mid"))
    written = 0
    for path in paths:
        try:
            write(out / path.name, melody_of(mido.MidiFile(path)))
            written += 1
        except (ValueError, KeyError) as error:
            print(f"skipped {path.name}: {error}")
    print(f"{len(paths)} read, {written} written, {len(paths) - written} skipped")


if __name__ == "__main__":
    main()
