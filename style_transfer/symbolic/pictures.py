"""Pictures of sequences of classes: piano rolls in rows and columns."""


import numpy as np

from style_transfer import files
from style_transfer.symbolic import encodings

TRACK_COLOURS = {"melody": "tab:blue", "bass": "tab:orange", "drums": "tab:gray"}


def save_rolls(path, rows, layout, titles=()):
    """Draws sequences as piano rolls.

    Args:
        path: PNG to write.
        rows: Rows of the picture: classes, each `[columns, steps, tracks]`.
        layout: Their `encodings.Layout`.
        titles: Title of each row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(row) for row in rows)
    width = max(1.5, layout.bars * 0.3)
    figure = Figure(figsize=(min(width * columns, 60) + 0.6, 1.8 * len(rows)),
                    layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for index, (axes_row, row) in enumerate(zip(grid, rows, strict=True)):
        for axes, labels in zip(axes_row, row, strict=False):
            _draw(axes, labels, layout)
        for axes in axes_row[len(row):]:
            axes.set_axis_off()
        if index < len(titles):
            axes_row[0].set_title(titles[index], loc="left", fontsize="small")
    with files.written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=100)


def _draw(axes, labels, layout):
    from matplotlib.collections import PolyCollection

    sequence = encodings.to_sequence(np.asarray(labels), layout)
    secs_per_step = 60.0 / encodings.QPM / encodings.STEPS_PER_QUARTER
    boxes, colours = [], []
    for note in sequence.notes:
        track = ("drums" if note.is_drum
                 else "bass" if note.program == encodings.BASS_PROGRAM else "melody")
        left, right = note.start_time / secs_per_step, note.end_time / secs_per_step
        low, high = note.pitch - 0.5, note.pitch + 0.5
        boxes.append([(left, low), (right, low), (right, high), (left, high)])
        colours.append(TRACK_COLOURS[track])
    # One collection: thousands of bars on their own would take longer than to write the notes.
    axes.add_collection(PolyCollection(boxes, facecolors=colours))
    axes.autoscale_view()
    axes.set_xlim(0, layout.steps)
    axes.set_xticks(np.arange(0, layout.steps + 1, encodings.STEPS_PER_BAR), labels=[])
    axes.grid(axis="x", alpha=0.4)
    axes.tick_params(labelsize=6)
