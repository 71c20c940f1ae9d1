"""The picture of a transfer: notes stand above their sound."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp import picture
from tests import pianos

RATE = 8000


def noise(secs):
    return Audio(np.random.default_rng(0).normal(0, 0.1, int(secs * RATE)).astype(np.float32), RATE)


def drawn(style):
    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = picture.plot_times(figure, pianos.random_notes(30, 5), noise(8), style)
    figure.canvas.draw()
    return axes


def test_notes_result_and_clip_share_one_time_axis():
    for style, count, longest in ((None, 2, 8), (noise(3), 3, 8), (noise(12), 3, 12)):
        axes = drawn(style)
        assert len(axes) == count
        places = np.array([a.get_window_extent().intervalx for a in axes])
        assert np.ptp(places, axis=0).max() < 1
        assert [a.get_xlim() for a in axes] == [(0, longest)] * count


def test_titles_stand_inside_their_axes():
    for axes in drawn(noise(3)):
        title, frame = axes.texts[0].get_window_extent(), axes.get_window_extent()
        assert frame.x0 < title.x0 and title.x1 < frame.x1
        assert frame.y0 < title.y0 and title.y1 < frame.y1


def test_titles_of_what_is_known_of_the_piano_are_no_wider_than_their_axes():
    figure = picture.transfer_figure(pianos.piano(), pianos.random_notes(30, 5), noise(8), noise(3),
                                     pianos.tiny_model())
    figure.canvas.draw()
    named = [axes for axes in figure.axes if axes.get_title()]
    assert len(named) == 3
    for axes in named:
        title, frame = axes.title.get_window_extent(), axes.get_window_extent()
        assert frame.x0 <= title.x0 and title.x1 <= frame.x1, axes.get_title()


def test_a_picture_is_written(tmp_path):
    picture.save_picture(tmp_path / "a.png", pianos.piano(), pianos.random_notes(30, 5), noise(8),
                         noise(3))
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
