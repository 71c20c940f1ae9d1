"""Pictures of what a WaveNet was given and what it made."""


import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll, pictures

HALF_WINDOW = 1024  # of `pictures.spectrogram`


def roll_pixels(roll):
    """A roll as pixels: sounding keys green, onsets red, the highest key on top.

    Args:
        roll: `[frames, 176]`, see `style_transfer.models.wavenet.inputs.roll`.

    Returns:
        uint8 `[176, frames, 3]`, two rows for a key.
    """
    onset, sounding = np.split(np.asarray(roll), 2, axis=-1)
    colours = np.stack([onset > 0, sounding * (onset == 0), 0.5 * sounding * (onset == 0)], axis=-1)
    pixels = np.repeat(colours[:, ::-1].swapaxes(0, 1), 2, axis=0)
    return (np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def save_picture(path, roll, roll_rate, audio, primer_secs=0.0, title=""):
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

    secs = min(len(roll) / roll_rate, pictures.SECONDS_SHOWN)
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
    time, frequency, level = pictures.spectrogram(padded)
    below.pcolormesh(time - HALF_WINDOW / audio.sample_rate, frequency, level,
                     vmin=pictures.LOWEST_DB, vmax=0, cmap=pictures.COLOURS, shading="nearest",
                     rasterized=True)
    below.set(yscale="log", ylim=(pictures.LOWEST_HZ, audio.sample_rate / 2), ylabel="Hz",
              xlabel="s", xlim=(0, secs), title="made")
    if primer_secs:
        for axes in (above, below):
            axes.axvline(primer_secs, color="white", linestyle="--")
    with files.written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=90)
