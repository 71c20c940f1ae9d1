"""What is asked of a WaveNet, checked before anything slow is loaded."""

import dataclasses
import math
import os

from style_transfer import files

DEFAULT_PRIMER_SECS = 2.0
SUSTAIN_SHARE = 0.65  # of the temperature, while notes ring; hisses less and sounds nearest


@dataclasses.dataclass(frozen=True)
class Options:
    """The command's flags.

    Attributes:
        output_dir: Where the results go.
        style: Recording of the piano, for models that were told of theirs by a style vector or a
            clip.
        piano_id: Number of the piano, for models that know theirs by number.
        primer_audio: Recordings of the pieces, one for each or one for all: what the audio begins
            with, on the same clock as the MIDI.
        primer_seconds: How much of them is given; the rest runs freely.
        seconds: Length of what is made, the primer included; None makes the whole piece.
        teacher_forced: Whether each sample is predicted from the recording's own past.
        temperature: Of the sampling; below 1 is less noisy, 0 takes the likeliest.
        sustain_temperature: Of the sampling while notes ring; None takes
            `SUSTAIN_SHARE` of `temperature`.
        seed: Of the sampling.
        overwrite: Whether outputs that exist are made again.
        picture: Whether a PNG is written.
    """

    output_dir: str
    style: str | None = None
    piano_id: int | None = None
    primer_audio: tuple[str, ...] = ()
    primer_seconds: float = DEFAULT_PRIMER_SECS
    seconds: float | None = None
    teacher_forced: bool = False
    temperature: float = 1.0
    sustain_temperature: float | None = None
    seed: int = 0
    overwrite: bool = False
    picture: bool = True


def sustain_temperature(temperature, given=None):
    """Temperature while notes ring: the one that is `given`, or a share of the other."""
    return SUSTAIN_SHARE * temperature if given is None else given


def check(options):
    """Raises what can be said without the model.

    Args:
        options: The `Options`.

    Raises:
        FileNotFoundError: A recording is missing.
        ValueError: An option is wrong.
    """
    for path in filter(None, (options.style, *options.primer_audio)):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no recording {path!r}.")
    files.check_folder(options.output_dir)
    if options.seconds is not None and not 0 < options.seconds < math.inf:
        raise ValueError(f"seconds is {options.seconds:g}, expected more than 0.")
    if options.seed < 0:
        raise ValueError(f"seed is {options.seed}, expected at least 0.")
    if not 0 < options.primer_seconds < math.inf:
        raise ValueError(f"primer_seconds is {options.primer_seconds:g}, expected more than 0; "
                         "without primer_audio nothing is given.")
    for name in ("temperature", "sustain_temperature"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value:g}, expected at least 0.")
    if options.teacher_forced and not options.primer_audio:
        raise ValueError("teacher_forced predicts the samples of a recording of the piece: give it "
                         "with primer_audio.")
    is_primed = options.primer_audio and not options.teacher_forced
    if is_primed and options.seconds is not None and options.primer_seconds >= options.seconds:
        raise ValueError(f"The primer of {options.primer_seconds:g} s leaves nothing of "
                         f"{options.seconds:g} s to make: give more seconds or less "
                         "primer_seconds.")
