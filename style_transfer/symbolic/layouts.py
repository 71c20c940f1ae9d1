"""What the sequences of symbolic models are made of."""

import dataclasses

STEPS_PER_QUARTER = 4
STEPS_PER_BAR = 16
LOWEST_PITCH, HIGHEST_PITCH = 21, 108
MELODY_DEPTH = 2 + HIGHEST_PITCH - LOWEST_PITCH + 1
NUM_DRUMS = 9
DRUMS_DEPTH = 1 << NUM_DRUMS
DEPTHS = {"melody": MELODY_DEPTH, "bass": MELODY_DEPTH, "drums": DRUMS_DEPTH}


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the sequences of a MusicVAE configuration are made of.

    Attributes:
        tracks: `melody`, `bass` or `drums`, in the order of the classes.
        bars: Length, in 4/4.
        roll_input: Whether the encoder reads single drums instead of a class for each set.
    """

    tracks: tuple[str, ...]
    bars: int
    roll_input: bool = False

    @property
    def depths(self):
        """Classes of each track."""
        return tuple(DEPTHS[track] for track in self.tracks)

    @property
    def input_depth(self):
        """Features of a step that the encoder reads."""
        return NUM_DRUMS + 1 if self.roll_input else sum(self.depths)

    @property
    def steps(self):
        """Steps of a sequence."""
        return self.bars * STEPS_PER_BAR


@dataclasses.dataclass(frozen=True)
class DrumLayout:
    """What the tracks of a Drums RNN configuration are made of.

    Attributes:
        single: Whether all drums are one, which is struck or not.
        steps_per_quarter: Steps of a quarter note.
    """

    single: bool = False
    steps_per_quarter: int = STEPS_PER_QUARTER
    tracks: tuple[str, ...] = ("drums",)

    @property
    def num_classes(self):
        """Sets of drums that a step can have."""
        return 2 if self.single else DRUMS_DEPTH

    @property
    def steps_per_bar(self):
        """Steps of a bar of 4/4."""
        return 4 * self.steps_per_quarter
