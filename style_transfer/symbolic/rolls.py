"""Piano rolls of symbolic sequences as pixels, for TensorBoard."""

import numpy as np

from style_transfer.symbolic import encodings
from style_transfer.symbolic.pictures import TRACK_COLOURS

HELD = 0.6  # how bright a note is after it has begun
DRUM_PIXELS, STEP_PIXELS = 6, 2


def write_drums(writer, step, tag, target, prediction):
    """Shows an example of a `DrumsRnn` in TensorBoard, see `configs.Config`."""
    count = max(1, int(target["lengths"]))
    found = (np.asarray(target["labels"]), np.asarray(prediction).argmax(-1))
    _write(writer, step, tag, [classes[:count, None] for classes in found], ("drums",))


def write_sequences(layout, writer, step, tag, target, prediction):
    """Shows an example of a `MusicVae` of a `Layout` in TensorBoard, see `configs.Config`."""
    found = [encodings.classes(np.asarray(x), layout)
             for x in (target["outputs"], prediction["logits"])]
    _write(writer, step, tag, found, layout.tracks)


def _write(writer, step, tag, found, tracks):
    writer.picture(step, f"{tag}/target_over_prediction", comparison(*found, tracks))


def comparison(target, prediction, tracks):
    """An example above a model's prediction of it, teacher-forced.

    Args:
        target: Classes, shape `[steps, tracks]`.
        prediction: The likeliest classes, of the same shape.
        tracks: Names of the tracks.

    Returns:
        uint8 `[2 * rows + 2, STEP_PIXELS * steps, 3]`, highest pitch or drum first.
    """
    above, below = (pixels(classes, tracks) for classes in (target, prediction))
    gap = np.full((2, *above.shape[1:]), 255, np.uint8)
    return np.repeat(np.concatenate([above, gap, below]), STEP_PIXELS, axis=1)


def thumbnail(labels, tracks, size=48):
    """A small square picture of classes `[steps, tracks]`, uint8 `[size, size, 3]`."""
    whole = pixels(labels, tracks)
    # Large enough that no row or column is left out, and no note with it.
    whole = np.repeat(whole, -(-size // whole.shape[1]), axis=1)
    rows, columns = (np.linspace(0, length, size, endpoint=False).astype(int)
                     for length in whole.shape[:2])
    return np.maximum.reduceat(np.maximum.reduceat(whole, rows, axis=0), columns, axis=1)


def pixels(labels, tracks):
    """Classes `[steps, tracks]` as uint8 `[rows, steps, 3]`, one track above the other."""
    from matplotlib import colors

    parts = []
    for index, track in enumerate(tracks):
        roll = (_drum_roll if track == "drums" else _note_roll)(np.asarray(labels)[:, index])
        colour = np.array(colors.to_rgb(TRACK_COLOURS[track]))
        parts.append((roll[::-1, :, None] * colour * 255).astype(np.uint8))
    return np.concatenate(parts)


def _note_roll(classes):
    roll = np.zeros((encodings.MELODY_DEPTH - encodings.FIRST_NOTE_ON, len(classes)))
    sounding = None
    for step, label in enumerate(classes):
        begins = label >= encodings.FIRST_NOTE_ON
        if begins:
            sounding = label - encodings.FIRST_NOTE_ON
        elif label == 1:  # a note ends
            sounding = None
        if sounding is not None:
            roll[sounding, step] = 1.0 if begins else HELD
    return roll


def _drum_roll(classes):
    hits = (np.asarray(classes)[None].astype(int) >> np.arange(encodings.NUM_DRUMS)[:, None]) & 1
    return np.repeat(hits, DRUM_PIXELS, axis=0).astype(float)
