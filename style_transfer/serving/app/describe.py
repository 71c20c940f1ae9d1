"""Results as numbers that the page draws."""

import numpy as np

from style_transfer import piano_roll
from style_transfer.models.piano_ddsp import net as piano_ddsp
from style_transfer.models.piano_ddsp import picture, voicing


def roll(table):
    """Notes as columns, for the piano roll."""
    columns = {"onset": table.onset_secs, "release": table.release_secs,
               "damped": table.damped_secs, "velocity": table.velocity}
    return {"pitch": (table.key + piano_roll.LOWEST_PITCH).tolist(),
            **{name: _rounded(values, 3) for name, values in columns.items()}}


def peaks(path, columns=1200):
    """The waveform of an audio file, as large as it can be seen: 0 to 1 for each column."""
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32")
    size = -(-len(samples) // columns)
    padded = np.pad(np.abs(samples), (0, -len(samples) % size))
    return _rounded(padded.reshape(-1, size).max(axis=1), 2)


def charts(piano, model):
    """What was estimated of a piano, key by key, and its room, band by band.

    Args:
        piano: A `Piano`.
        model: The `PianoDDSP` that it was estimated with.
    """
    ringing, room_secs = picture.ringing_secs(model, piano)
    style = np.asarray(piano.style, np.float32)[None]
    correction = piano.corrections["room"] if piano.corrections else 0.0
    level, decay = (np.asarray(x)[0] for x in model.room_controls(style, correction))
    return {
        "lowest_pitch": piano_roll.LOWEST_PITCH,
        "tuning_cents": _rounded(picture.tuning_cents(piano), 2),
        "inharmonicity": _rounded(np.maximum(piano.inharmonicity, 1e-7), 8),
        "ringing_secs": _rounded(ringing, 3),
        "room_secs": round(room_secs, 3),
        "room_hz": _rounded(voicing.band_centres_hz(piano_ddsp.NUM_ROOM_BANDS), 1),
        "room_level_db": _rounded(20 * np.log10(level), 2),
        "room_band_secs": _rounded(np.log(1000) / decay, 3),
    }


def controls():
    """The sliders."""
    return [{"name": name, "low": c.low, "high": c.high, "neutral": c.neutral, "unit": c.unit,
             "label": c.label, "help": c.help} for name, c in voicing.CONTROLS.items()]


def _rounded(values, digits):
    return np.round(np.asarray(values, np.float64), digits).tolist()
