"""What conditions each sample, made ahead of them a little at a time."""

import dataclasses

import numpy as np
from keras import ops

ENCODE_FRAMES = 512  # of the roll; what is held of them grows with the model, not with the piece


@dataclasses.dataclass(frozen=True)
class Block:
    """Conditions of some frames.

    Attributes:
        start_frame: Index of the first.
        frames: Projections of the context for all layers, with one frame more at both ends,
            `[batch, frames + 2, layers * 2 * gates]`.
        excitation: Projected, `[batch, frames * hop, residual + skip]`, or None.
        coefficients: Of the linear predictor, `[batch, frames, predictor_taps]`, or None.
    """

    start_frame: int
    frames: np.ndarray
    excitation: np.ndarray | None
    coefficients: np.ndarray | None = None

    @property
    def num_frames(self):
        """Frames, those at both ends not counted."""
        return self.frames.shape[1] - 2


def blocks(model, roll, piano, num_frames=None):
    """Conditions of a piece; they equal those of the whole piece at once.

    Args:
        model: A built `WaveNet`.
        roll: `[batch, frames, roll_features]`.
        piano: Dict of what else the context stack reads: `style` or `piano_id`.
        num_frames: Frames of a block; None for `ENCODE_FRAMES`.

    Yields:
        One `Block` after another.
    """
    total, num_frames = roll.shape[1], num_frames or ENCODE_FRAMES
    # Steps of a bottleneck must begin where they would in the whole piece.
    grain = model.bottleneck_hop if model.bottleneck else 1
    for first in range(0, total, num_frames):
        last = min(first + num_frames, total)
        begin = max(0, first - 1 - model.context_reach - grain) // grain * grain
        end = min(total, last + 1 + model.context_reach + grain)
        encoded = [_encoded(model, roll[row:row + 1, begin:end], {
            name: value[row:row + 1] for name, value in piano.items()}) for row in range(len(roll))]
        projected, coefficients = map(_joined, zip(*encoded, strict=True))
        at = np.clip(np.arange(first - 1, last + 1), 0, total - 1) - begin
        x = {"roll": roll[:, first:last],
             "start_sample": np.full(len(roll), first * model.hop, np.int32)}
        if coefficients is not None:
            coefficients = coefficients[:, first - begin:last - begin]
        yield Block(first, projected[:, at], _array(model.excite(x)), coefficients)


def _encoded(model, roll, piano):
    """Conditions and coefficients of one piece: products of matrices round otherwise in a batch."""
    encoded = model.encode({"roll": roll, **piano})
    return _array(encoded.conditions), _array(encoded.coefficients)


def _joined(arrays):
    return None if arrays[0] is None else np.concatenate(arrays)


def upsampled(model, frames):
    """Conditions of the samples of some frames, without the layers' biases.

    Args:
        model: A built `WaveNet`.
        frames: With one more at both ends, `[batch, frames + 2, layers * 2 * gates]`.

    Returns:
        `[batch, samples, layers * 2 * gates]`.
    """
    taps = ops.convert_to_numpy(ops.convert_to_tensor(model.upsample.taps()))
    count = frames.shape[1] - 2
    total = sum(frames[:, tap:tap + count, None] * taps[tap] for tap in range(3))
    return total.reshape(len(frames), count * model.hop, -1)


def _array(value):
    return None if value is None else ops.convert_to_numpy(value)
