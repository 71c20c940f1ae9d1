"""One picture of a transfer: the notes, what was heard, what was estimated, what came out."""


import numpy as np

from style_transfer import files, piano_roll, pictures, strings

DECAY_SECS = 10.0


def save_picture(path, piano, table, output, style=None, model=None, title=""):
    """Writes a PNG: piano roll, spectrograms of style and output, the estimated piano.

    Args:
        path: Where to, `*.png`.
        piano: The `Piano`.
        table: The content's `NoteTable`.
        output: The result's beginning, an `Audio`.
        style: The style clip, an `Audio`, or None for a saved piano.
        model: The `PianoDDSP`, to show how the piano decays and its room; None leaves them out.
        title: Above everything.
    """
    figure = transfer_figure(piano, table, output, style, model, title)
    with files.written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=90)


def transfer_figure(piano, table, output, style=None, model=None, title=None):
    """The same as a matplotlib `Figure`; arguments as for `save_picture`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title or f"Played on {piano.name}")
    above, below = figure.subfigures(2, 1, height_ratios=(3.2, 1.1))
    plot_times(above, table, output, style)
    tuning, stiffness, decay = below.subplots(1, 3)
    _plot_tuning(tuning, piano)
    _plot_stiffness(stiffness, piano)
    _plot_decay(decay, piano, model)
    return figure


def piano_figure(piano):
    """A matplotlib `Figure` of what is known of a `Piano` without its model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    tuning, stiffness = figure.subplots(1, 2)
    figure.suptitle(f"{piano.name} ({piano.loudness_db:.1f} dB, "
                    f"{'fitted' if piano.corrections else 'not fitted'})")
    _plot_tuning(tuning, piano)
    _plot_stiffness(stiffness, piano)
    return figure


def plot_times(figure, table, output, style=None):
    """Draws notes, result and clip over one time axis: a note stands above its sound.

    Args:
        figure: A Matplotlib figure or subfigure with a constrained layout.
        table: The content's `NoteTable`.
        output: The result's beginning, an `Audio`.
        style: The style clip, an `Audio`, or None.

    Returns:
        The axes, from the top.
    """
    shown = [audio for audio in (output, style) if audio is not None]
    heights = (1.1, *[1] * len(shown))
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _plot_roll(axes[0], table)
    titles = ("output: the piece on that piano", "style: the clip of the piano")
    for below, audio, title in zip(axes[1:], shown, titles, strict=False):
        mesh = pictures.plot_spectrogram(below, audio)
        _title_inside(below, title, color="white")
        below.set_xlabel("")
    # One bar beside all of them, so that they stay equally wide.
    figure.colorbar(mesh, ax=list(axes), label="dB")
    longest = max(audio.duration_secs for audio in shown)
    axes[-1].set(xlabel="s", xlim=(0, min(longest, pictures.SECONDS_SHOWN)))
    return axes


def _title_inside(axes, text, **how):
    axes.text(0.006, 0.96, text, transform=axes.transAxes, ha="left", va="top", **how)


def _plot_roll(axes, table):
    shown = table.onset_secs < pictures.SECONDS_SHOWN
    start, pitch = table.onset_secs[shown], table.key[shown] + piano_roll.LOWEST_PITCH
    ringing = table.damped_secs[shown] - start
    held = np.minimum(table.release_secs[shown], table.damped_secs[shown]) - start
    colors = np.stack([table.velocity[shown]] * 3, axis=-1)
    axes.barh(pitch, ringing, left=start, height=0.9, color="tab:blue", alpha=0.18)
    axes.barh(pitch, held, left=start, height=0.9,
              color=np.clip(np.array([0.75, 0.83, 0.92]) * (1.1 - colors), 0, 1))
    low, high = axes.get_ylim()
    axes.set(ylim=(low, high + 0.2 * (high - low)), ylabel="MIDI pitch")  # room for the title
    _title_inside(axes, "content: notes (dark: loud; pale blue: held by the pedal)")


def tuning_cents(piano):
    """How far each key's first partial, which a tuner measures, is from A4 = 440 Hz, `[88]`."""
    first = strings.partial_hz(piano.f0_hz, piano.inharmonicity, 1)
    return 1200 * np.log2(first / strings.equal_temperament_hz())


def _plot_tuning(axes, piano):
    axes.axhline(0, color="0.8", lw=1)
    axes.plot(np.arange(piano_roll.NUM_KEYS) + piano_roll.LOWEST_PITCH, tuning_cents(piano))
    axes.set(title="tuning (against A4 = 440 Hz)", xlabel="MIDI pitch", ylabel="cents")


def _plot_stiffness(axes, piano):
    axes.semilogy(np.arange(piano_roll.NUM_KEYS) + piano_roll.LOWEST_PITCH,
                  np.maximum(piano.inharmonicity, 1e-7))
    axes.set(title="inharmonicity B", xlabel="MIDI pitch")


def _plot_decay(axes, piano, model):
    axes.set(title="how long a note rings (to -60 dB)", xlabel="MIDI pitch", ylabel="s")
    if model is None:
        return
    seconds, room_secs = ringing_secs(model, piano)
    axes.semilogy(np.arange(piano_roll.NUM_KEYS) + piano_roll.LOWEST_PITCH, seconds)
    axes.set_title(f"ringing to -60 dB; room {room_secs:.2f} s")


def ringing_secs(model, piano):
    """Estimated ringing of each key, and of the room.

    Args:
        model: A `PianoDDSP`.
        piano: A `Piano` estimated with it.

    Returns:
        Seconds to -60 dB of held notes of medium velocity, `[88]`, and of the room.
    """
    from keras import ops

    from style_transfer.models.piano_ddsp import net as piano_ddsp

    key = np.arange(piano_roll.NUM_KEYS)[None]
    velocity = np.full(key.shape, 0.5, np.float32)
    style = np.asarray(piano.style, np.float32)[None]
    context = np.zeros((1, key.shape[1], model.context_filters), np.float32)
    outputs = model.note_outputs(key, velocity, context, style)
    room_correction = 0.0
    if piano.corrections:
        outputs = outputs + piano_ddsp.correct(piano.corrections, key, velocity)
        room_correction = piano.corrections["room"]
    controls = model.note_controls(outputs, key, velocity, piano.f0_hz[None],
                                   piano.inharmonicity[None])
    names = ("amplitude", "decay", "aftersound_decay", "aftersound")
    amplitude, fast, slow, share = (ops.convert_to_numpy(controls[n])[0][..., None] for n in names)
    time = np.linspace(0, DECAY_SECS * 3, 300)
    envelope = amplitude * ((1 - share) * np.exp(-fast * time) + share * np.exp(-slow * time))
    power = np.sum(np.square(envelope), axis=1)
    below = power < power[:, :1] * 1e-6
    seconds = np.where(below.any(axis=1), time[below.argmax(axis=1)], time[-1])
    level, decay = (ops.convert_to_numpy(x)[0] for x in model.room_controls(style, room_correction))
    return seconds, float(np.average(np.log(1000) / decay, weights=np.square(level)))
