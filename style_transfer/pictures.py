"""Spectrograms as pictures."""

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll

HALF_WINDOW = 1024  # of `spectrogram`
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


def spectrogram(audio, seconds=SECONDS_SHOWN):
    """What is drawn of a spectrogram: the beginning, in as many cells as can be seen.

    Args:
        audio: An `Audio` of 2048 samples or more.
        seconds: How much of it is drawn.

    Returns:
        Times in seconds `[columns]`, frequencies in Hz `[rows]`, nearly evenly spaced in pitch
        but for the lowest, and levels in dB below the loudest, `[rows, columns]`.
    """
    import scipy.signal

    samples = audio.samples[: int(seconds * audio.sample_rate)]
    hop = min(max(256, len(samples) // MAX_COLUMNS), 2048)
    frequency, time, power = scipy.signal.spectrogram(
        samples, audio.sample_rate, "hann", 2048, 2048 - hop, mode="magnitude",
        scaling="spectrum")
    # As many columns as can be seen, each the loudest of its frames.
    columns = np.arange(0, len(time), max(1, len(time) // MAX_COLUMNS))
    time, power = time[columns], np.maximum.reduceat(power, columns, axis=1)
    # As many rows as can be seen, each the loudest of its bins: a cell takes half a kilobyte.
    edges = np.unique(np.searchsorted(frequency, np.geomspace(LOWEST_HZ, frequency[-1], MAX_ROWS)))
    level = 20 * np.log10(np.maximum.reduceat(power, edges, axis=0) / (power.max() + 1e-12) + 1e-9)
    return time, frequency[edges], level


def spectrogram_png(audio, seconds=SECONDS_SHOWN):
    """A spectrogram as the bytes of a PNG without axes.

    Args:
        audio: An `Audio` of 2048 samples or more.
        seconds: How much of it is drawn.

    Returns:
        The bytes; its rows are spaced evenly in pitch from `LOWEST_HZ` to half the rate.
    """
    import io

    from matplotlib import image

    _, frequency, level = spectrogram(audio, seconds)
    rows = np.geomspace(LOWEST_HZ, frequency[-1], MAX_ROWS)
    level = level[np.minimum(np.searchsorted(frequency, rows), len(frequency) - 1)]
    buffer = io.BytesIO()
    image.imsave(buffer, level[::-1], vmin=LOWEST_DB, vmax=0, cmap=COLOURS, format="png")
    return buffer.getvalue()


def roll_pixels(roll):
    """A roll as pixels: sounding keys green, onsets red, the highest key on top.

    Args:
        roll: `[frames, 176]`, see `style_transfer.piano_roll.keys_roll`.

    Returns:
        uint8 `[176, frames, 3]`, two rows for a key.
    """
    onset, sounding = np.split(np.asarray(roll), 2, axis=-1)
    colours = np.stack([onset > 0, sounding * (onset == 0), 0.5 * sounding * (onset == 0)], axis=-1)
    pixels = np.repeat(colours[:, ::-1].swapaxes(0, 1), 2, axis=0)
    return (np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def save_roll_picture(path, roll, roll_rate, audio, primer_secs=0.0, title=""):
    """Writes a PNG of the roll over the spectrogram of the audio.

    Args:
        path: Where to.
        roll: `[frames, 176]`.
        roll_rate: Frames per second.
        audio: `Audio` of the same length.
        primer_secs: Up to where it was teacher-forced; a line shows it.
        title: Above everything.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    secs = min(len(roll) / roll_rate, SECONDS_SHOWN)
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    above, below = figure.subplots(2, 1, sharex=True)
    lowest = piano_roll.LOWEST_PITCH
    above.imshow(roll_pixels(roll[:int(secs * roll_rate)]), aspect="auto",
                 interpolation="nearest",
                 extent=(0, secs, lowest - 0.5, lowest + piano_roll.NUM_KEYS - 0.5))
    above.set(ylabel="MIDI pitch", title="given: onsets red, what sounds green")
    # Half a window more at both ends: a short clip would else miss much of them.
    padded = audio_lib.Audio(np.pad(audio.samples, HALF_WINDOW), audio.sample_rate)
    time, frequency, level = spectrogram(padded)
    below.pcolormesh(time - HALF_WINDOW / audio.sample_rate, frequency, level,
                     vmin=LOWEST_DB, vmax=0, cmap=COLOURS, shading="nearest",
                     rasterized=True)
    below.set(yscale="log", ylim=(LOWEST_HZ, audio.sample_rate / 2), ylabel="Hz",
              xlabel="s", xlim=(0, secs), title="made")
    if primer_secs:
        for axes in (above, below):
            axes.axvline(primer_secs, color="white", linestyle="--")
    with files.written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=90)
