"""Spectrograms as pictures."""

import numpy as np

LOWEST_DB = -80
LOWEST_HZ = 40
MAX_COLUMNS, MAX_ROWS = 1200, 240
SECONDS_SHOWN = 60.0
COLOURS = "magma"


def plot_spectrogram(axes, audio):
    """Draws the beginning of a recording's spectrogram.

    Args:
        axes: Matplotlib axes.
        audio: An `Audio` of 2048 samples or more.

    Returns:
        What a colour bar is made of.
    """
    time, frequency, level = spectrogram(audio)
    mesh = axes.pcolormesh(time, frequency, level, vmin=LOWEST_DB, vmax=0, cmap=COLOURS,
                           shading="nearest", rasterized=True)
    axes.set(yscale="log", ylim=(LOWEST_HZ, audio.sample_rate / 2), ylabel="Hz", xlabel="s")
    return mesh


def spectrogram(audio):
    """What is drawn of a spectrogram: the beginning, in as many cells as can be seen.

    Args:
        audio: An `Audio` of 2048 samples or more.

    Returns:
        Times in seconds `[columns]`, frequencies in Hz `[rows]`, nearly evenly spaced in pitch
        but for the lowest, and levels in dB below the loudest, `[rows, columns]`.
    """
    import scipy.signal

    samples = audio.samples[: int(SECONDS_SHOWN * audio.sample_rate)]
    hop = max(256, len(samples) // MAX_COLUMNS)
    frequency, time, power = scipy.signal.spectrogram(
        samples, audio.sample_rate, "hann", 2048, max(0, 2048 - hop), mode="magnitude",
        scaling="spectrum")
    # As many rows as can be seen, each the loudest of its bins: a cell takes half a kilobyte.
    edges = np.unique(np.searchsorted(frequency, np.geomspace(LOWEST_HZ, frequency[-1], MAX_ROWS)))
    level = 20 * np.log10(np.maximum.reduceat(power, edges, axis=0) / (power.max() + 1e-12) + 1e-9)
    return time, frequency[edges], level


def spectrogram_png(audio):
    """A spectrogram as the bytes of a PNG without axes.

    Args:
        audio: An `Audio` of 2048 samples or more.

    Returns:
        The bytes; its rows are spaced evenly in pitch from `LOWEST_HZ` to half the rate.
    """
    import io

    from matplotlib import image

    _, frequency, level = spectrogram(audio)
    rows = np.geomspace(LOWEST_HZ, frequency[-1], MAX_ROWS)
    level = level[np.minimum(np.searchsorted(frequency, rows), len(frequency) - 1)]
    buffer = io.BytesIO()
    image.imsave(buffer, level[::-1], vmin=LOWEST_DB, vmax=0, cmap=COLOURS, format="png")
    return buffer.getvalue()
