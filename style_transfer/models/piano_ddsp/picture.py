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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(4, 3, height_ratios=(1.1, 1, 1, 1.1))
    figure.suptitle(title or f"Played on {piano.name}")
    _plot_roll(figure.add_subplot(grid[0, :]), table, min(table.end_secs, pictures.SECONDS_SHOWN))
    _plot_clip(figure.add_subplot(grid[1, :]), style, "style: the clip of the piano")
    _plot_clip(figure.add_subplot(grid[2, :]), output, "output: the piece on that piano")
    _plot_tuning(figure.add_subplot(grid[3, 0]), piano)
    stiffness = figure.add_subplot(grid[3, 1])
    _plot_stiffness(stiffness, piano)
    last = figure.add_subplot(grid[3, 2])
    _plot_decay(last, piano, model)
    with files.written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=90)


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


def _plot_roll(axes, table, seconds):
    shown = table.onset_secs < seconds
    start, pitch = table.onset_secs[shown], table.key[shown] + piano_roll.LOWEST_PITCH
    ringing = table.damped_secs[shown] - start
    held = np.minimum(table.release_secs[shown], table.damped_secs[shown]) - start
    colors = np.stack([table.velocity[shown]] * 3, axis=-1)
    axes.barh(pitch, ringing, left=start, height=0.9, color="tab:blue", alpha=0.18)
    axes.barh(pitch, held, left=start, height=0.9,
              color=np.clip(np.array([0.75, 0.83, 0.92]) * (1.1 - colors), 0, 1))
    axes.set(xlim=(0, max(seconds, 0.1)), ylabel="MIDI pitch", xlabel="s",
             title="content: notes (dark: loud; pale blue: held by the pedal)")


def _plot_clip(axes, audio, title):
    axes.set_title(title)
    if audio is None:
        axes.text(0.5, 0.5, "the piano was loaded from a file", ha="center", va="center",
                  transform=axes.transAxes)
        return
    mesh = pictures.plot_spectrogram(axes, audio)
    axes.figure.colorbar(mesh, ax=axes, label="dB")


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
    axes.set_title(f"how long a note rings (to -60 dB); room {room_secs:.2f} s")


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
