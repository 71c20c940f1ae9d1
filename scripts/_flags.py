"""Flags that several commands share; each belongs to the command that asks for it."""

import sys

from absl import flags

# Flags defined here are listed by --help as those of the calling command.
flags.disclaim_key_flags()

_THRESHOLDS = (
    ("onset", 0.35, "How sure the transcriber must be that a note begins; higher finds fewer."),
    ("frame", 0.5, "How sure that a string goes on sounding; higher makes notes shorter."),
    ("offset", 0.5, "How sure that a sounding note ends; above 1, only silence ends notes."),
    ("key", 0.5, "How sure that a key is still held while the pedal is down."),
    ("pedal", 0.5, "How sure that the sustain pedal is down; above 1, it never is."),
)
THRESHOLDS = (*(f"{name}_threshold" for name, *_ in _THRESHOLDS), "min_note_secs")


def define_thresholds():
    """Defines the flags that decide which notes a transcription has."""
    for name, default, text in _THRESHOLDS:
        flags.DEFINE_float(f"{name}_threshold", default, text, lower_bound=0.0, upper_bound=1.1)
    flags.DEFINE_float("min_note_secs", 0.03, "Shorter notes are left out of a transcription.",
                       lower_bound=0.0)


def thresholds():
    """`style_transfer.transcription.Thresholds` of the flags."""
    from style_transfer.transcription.decoding import Thresholds

    values = {name: getattr(flags.FLAGS, f"{name}_threshold") for name, *_ in _THRESHOLDS}
    return Thresholds(**values, min_note_secs=flags.FLAGS.min_note_secs)


def refuse(names, where):
    """Raises a `ValueError` if a flag was given that does not apply.

    Args:
        names: Flags that do not apply.
        where: What they do not apply to, such as `--config=drum_kit`.
    """
    given = [f"--{name}" for name in names if flags.FLAGS[name].present]
    if given:
        raise ValueError(f"{', '.join(given)} cannot be used with {where} (--help says what is "
                         "for what).")


def values(names):
    """Values of flags by their names."""
    return {name: getattr(flags.FLAGS, name) for name in names}


def report(line, again=False):
    """Prints a line; on a terminal, progress (`again`) overwrites itself."""
    if again and not sys.stdout.isatty():
        return
    print(f"\r\033[K{line}" if again else line, end="" if again else "\n", flush=True)
