"""Windows of one size over pieces of any length, for nets whose lengths are fixed in a graph."""

import typing

import tensorflow as tf


class Windows(typing.NamedTuple):
    """What is read of a piece to make a part of it as the whole piece would.

    A window lies inside its piece: at the piece's ends it ends there too, so that a net meets the
    same end. Pieces must therefore be as long as a window.

    Attributes:
        frames: Made of each window.
        margin: Read before and behind them.
        grain: Windows begin, and pieces end, at multiples of it; divides the others.
    """

    frames: int
    margin: int
    grain: int = 1

    @property
    def size(self):
        """Frames of a window."""
        return self.frames + 2 * self.margin

    def played(self, num_frames):
        """Frames of pieces as they are played, the silence behind them included: int32."""
        return tf.maximum(-(-num_frames // self.grain) * self.grain, self.size)

    def begin(self, first, num_frames):
        """First frames of the windows that make frames `first` on.

        Args:
            first: A multiple of the grain, at most `num_frames`; behind it is made what nobody
                wants.
            num_frames: From `played`, `[batch]`.
        """
        return tf.minimum(tf.maximum(first - self.margin, 0), num_frames - self.size)


def cut(values, begin, size):
    """Rows of sequences, from each its own.

    Args:
        values: `[batch, frames, ...]`.
        begin: Index of the first row, int32 `[batch]`.
        size: How many, an int.

    Returns:
        `[batch, size, ...]`, of that shape in the graph too.
    """
    return tf.gather(values, begin[:, None] + tf.range(size), batch_dims=1)


def around(begin, first, size, num_frames):
    """Indices in windows of `size` frames from `first` on, the last one of a piece repeated.

    Args:
        begin: First frames of the windows, int32 `[batch]`.
        first: Scalar int32; -1 is the first frame too.
        size: An int.
        num_frames: Of the pieces, int32 `[batch]`.

    Returns:
        int32 `[batch, size]`.
    """
    at = tf.maximum(first + tf.range(size), 0)
    return tf.minimum(at, num_frames[:, None] - 1) - begin[:, None]
