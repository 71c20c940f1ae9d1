"""How hard drums are struck in songs, and how well that can be told from what they play.

    convert_dir_to_note_sequences --input_dir=songs --output_file=songs.tfrecord
    python -m benchmarks.drum_velocities --input=songs.tfrecord

Ways to tell velocities are fitted to nine tenths of the songs and held to the rest, ten times, so
that each song is held out once: its own mean; the mean of each kind of drum; of each kind in each
sixteenth of the bar; and of each kind, with accents that all kinds share, which is what
`style_transfer.symbolic.accents` does. Its numbers are printed last, of all songs.

How loud a song's drums are altogether is arbitrary: velocities are relative to the mean of the
song, and what is told is moved to it.

What a net makes of the whole pattern is no better. Convolutions with what the bars have on average
(8,754 parameters), which began with the levels and accents and were stopped where they did best on
the songs held out, made the error 0.11 ± 0.07 velocities smaller and the correlation 0.004 ± 0.004
lower (99 songs, a quarter held out at a time); without that beginning, nets of 3,837 to 45,858
parameters were 0.4 off more. Boosted trees on what is played two steps around did not gain
anything either. Most of what is left is how each song mixes its drums and accents them, which
other songs do not tell: with each song's own means of kinds and sixteenths the error is 3.6.
"""

import argparse
import dataclasses
import hashlib
import math

import numpy as np

MEAN_VELOCITY = 80
STEPS_PER_QUARTER, STEPS_PER_BAR, NUM_KINDS = 4, 16, 9
FEWEST_HITS, LEAST_DEVIATION = 100, 4.0  # of a song that counts; of its velocities
FEWEST_IN_CELL = 100  # hits that a kind needs in a sixteenth for a mean of its own there
LARGEST_OFFSET = 45.0  # velocities; those farther from the mean of their kind count as this far
NUM_FOLDS = 10


@dataclasses.dataclass(frozen=True)
class Song:
    """The drums of a song, in its bars of 4/4.

    Attributes:
        name: Of the file.
        kinds: Kind of each hit, 0 to 8, as note-seq numbers them; shape `[hits]`.
        steps: Sixteenth of the bar, 0 to 15.
        velocities: MIDI velocities.
    """

    name: str
    kinds: np.ndarray
    steps: np.ndarray
    velocities: np.ndarray

    @property
    def offsets(self):
        """Velocities relative to their mean."""
        return self.velocities - self.velocities.mean()

    @property
    def fold(self):
        """In which of the tests it is held out."""
        return hashlib.sha256(self.name.encode()).digest()[0] % NUM_FOLDS

    def within_kinds(self, values):
        """Values of hits, `[hits, ...]`, relative to the mean of their kind."""
        values = np.array(values, float)
        for kind in np.unique(self.kinds):
            values[self.kinds == kind] -= values[self.kinds == kind].mean(axis=0)
        return values


def read_songs(paths):
    """Songs of NoteSequence TFRecords with enough drums of different velocities, copies once."""
    from note_seq.protobuf import music_pb2

    from style_transfer.pipelines import note_sequences

    found = {}
    for path in paths:
        for record in note_sequences.read_as_played(path):
            song = drums_of(music_pb2.NoteSequence.FromString(record))
            if len(song.kinds) >= FEWEST_HITS and song.velocities.std() >= LEAST_DEVIATION:
                found.setdefault((song.kinds.tobytes(), song.steps.tobytes()), song)
    return sorted(found.values(), key=lambda song: song.name)


def drums_of(sequence):
    """The drums of a NoteSequence, whatever the changes of its tempo."""
    from style_transfer.symbolic import accents

    known = accents.kinds()
    notes = [note for note in sequence.notes if note.is_drum and note.pitch in known]
    meters = sorted(((0.0, 4, 4), *((meter.time, meter.numerator, meter.denominator)
                                    for meter in sequence.time_signatures)), key=lambda m: m[0])
    begins = quarters([meter[0] for meter in meters], sequence.tempos)
    found = {}
    for note, at in zip(notes, quarters([n.start_time for n in notes], sequence.tempos),
                        strict=True):
        part = np.searchsorted(begins, at + 1e-3, side="right") - 1
        _, numerator, denominator = meters[part]
        if numerator == denominator:
            step = round((at - begins[part]) * STEPS_PER_QUARTER)
            place = part, step, known[note.pitch]
            found[place] = max(found.get(place, 0), note.velocity)
    places = np.array(sorted(found), int).reshape(-1, 3)
    return Song(sequence.filename, places[:, 2], places[:, 1] % STEPS_PER_BAR,
                np.array([found[tuple(place)] for place in places], float))


def quarters(times, tempos):
    """Times in seconds as quarter notes from the beginning, through all tempos."""
    changes = dict(sorted([(0.0, 120.0), *((tempo.time, tempo.qpm) for tempo in tempos)],
                          key=lambda change: change[0]))
    begins, pace = np.array(list(changes)), np.array(list(changes.values())) / 60
    at = np.concatenate([[0.0], np.cumsum(np.diff(begins) * pace[:-1])])
    times = np.asarray(times, float)
    part = np.searchsorted(begins, times + 1e-6, side="right") - 1
    return at[part] + (times - begins[part]) * pace[part]


def fit_song_mean(songs):
    """Nothing but the mean of the song: zeros `[9, 16]`."""
    del songs
    return np.zeros((NUM_KINDS, STEPS_PER_BAR))


def fit_levels(songs, accents=(0.0,) * STEPS_PER_QUARTER):
    """Median of each kind in a song less its accents, mean of the songs; `[9, 16]`."""
    total, weight = np.zeros(NUM_KINDS), np.full(NUM_KINDS, 1e-9)
    for song in songs:
        rest = song.offsets - np.asarray(accents)[song.steps % STEPS_PER_QUARTER]
        for kind in np.unique(song.kinds):
            is_kind = song.kinds == kind
            share = math.sqrt(is_kind.mean())
            total[kind] += share * np.median(rest[is_kind])
            weight[kind] += share
    return np.tile((total / weight)[:, None], STEPS_PER_BAR)


def fit_cells(songs):
    """Mean of each kind in each sixteenth of the bar over all hits, `[9, 16]`."""
    total, count = np.zeros((2, NUM_KINDS, STEPS_PER_BAR))
    for song in songs:
        np.add.at(total, (song.kinds, song.steps), song.offsets)
        np.add.at(count, (song.kinds, song.steps), 1)
    of_kind = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1)
    return np.where(count >= FEWEST_IN_CELL, total / np.maximum(count, 1), of_kind[:, None])


def fit_accents(songs):
    """Accents of the four sixteenths of a beat: least squares within each kind of each song.

    Songs differ in how loud they have each kind, which would else pass for accents of where it is
    played. All songs count the same.
    """
    products, target = np.zeros((STEPS_PER_QUARTER,) * 2), np.zeros(STEPS_PER_QUARTER)
    for song in songs:
        place = song.within_kinds(np.eye(STEPS_PER_QUARTER)[song.steps % STEPS_PER_QUARTER])
        offset = np.clip(song.within_kinds(song.offsets), -LARGEST_OFFSET, LARGEST_OFFSET)
        products += place.T @ place / len(place)
        target += place.T @ offset / len(place)
    return np.linalg.pinv(products) @ target  # of mean 0


def fit_levels_and_accents(songs):
    """What `accents` does, `[9, 16]`."""
    shared = fit_accents(songs)
    return fit_levels(songs, shared) + np.tile(shared, STEPS_PER_BAR // STEPS_PER_QUARTER)


WAYS = {"mean of the song": fit_song_mean, "kind": fit_levels, "kind and sixteenth": fit_cells,
        "kind, with shared accents": fit_levels_and_accents}


def held_out(songs, fit):
    """Mean absolute error of each song, and correlation within it, by what others tell.

    Args:
        songs: The `Song`s.
        fit: From songs to `[9, 16]`.

    Returns:
        Shape `[songs, 2]`; the correlation with what is constant is 0.
    """
    fitted = {fold: fit([song for song in songs if song.fold != fold])
              for fold in {song.fold for song in songs}}
    return np.array([scores(song, fitted[song.fold]) for song in songs])


def scores(song, table):
    """See `held_out`, of one song."""
    told = table[song.kinds, song.steps]
    told = np.clip(told - told.mean() + song.velocities.mean(), 1, 127)
    error = np.abs(told - song.velocities).mean()
    return error, np.corrcoef(told, song.velocities)[0, 1] if told.std() > 1e-6 else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", nargs="+", required=True, help="TFRecords of NoteSequences")
    songs = read_songs(parser.parse_args().input)
    print(f"{len(songs)} songs, {sum(len(song.kinds) for song in songs)} hits, each song held out "
          f"once\n{'velocities are told by':28}{'error':>16}{'correlation':>20}")
    for name, fit in WAYS.items():
        found = held_out(songs, fit)
        means, errors = found.mean(axis=0), found.std(axis=0) / math.sqrt(len(found))
        print(f"{name:28}{means[0]:8.2f} ± {errors[0]:.2f}{means[1]:12.3f} ± {errors[1]:.3f}")
    shared = fit_accents(songs)
    print("KINDS =", np.round(MEAN_VELOCITY + fit_levels(songs, shared)[:, 0]).astype(int),
          " ACCENTS =", np.round(shared).astype(int))


if __name__ == "__main__":
    main()
