"""What a WaveNet is asked, checked before anything slow is loaded, and its generators."""

import dataclasses
import math
import os

from style_transfer import files
from style_transfer import options as options_lib
from style_transfer.models import base
from style_transfer.options import option

DEFAULT_PRIMER_SECS = 2.0
SUSTAIN_SHARE = 0.65  # of the temperature, while notes ring; hisses less and sounds nearest


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectralOptions(options_lib.ContentOptions):
    """What pieces are played with by a model that makes all samples at once."""

    style: str | None = option(None, "Recording of the piano, for models that are told of theirs "
                               "by a clip or a style vector.", group="Piano")
    length_secs: float | None = option(None, "Length of the audio in seconds, a primer included; "
                                       "by default the whole piece.", low=0.0, group="Audio")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(SpectralOptions):
    """The same for a model that makes one sample after the other."""

    piano_id: int | None = option(None, "Which piano, for models trained on several by number.",
                                  low=0)
    primer_audio: tuple[str, ...] = option(
        (), "Recordings of the pieces, one each or one for all, on the same clock as the MIDI: "
        "what the audio begins with.", counts=False)
    primer_secs: float = option(DEFAULT_PRIMER_SECS, "How much of --primer_audio is given, "
                                "seconds; the rest is free-running.", low=0.0)
    teacher_forced: bool = option(False, "Predict each sample from the past of --primer_audio, to "
                                  "its end.")
    temperature: float = option(1.0, "Of the sampling: less is less noisy, 0 takes the likeliest.",
                                low=0.0)
    sustain_temperature: float | None = option(
        None, f"Of the sampling while notes ring; by default {SUSTAIN_SHARE} of --temperature.",
        low=0.0)


class _Generator(base.Generator):
    """Plays pieces."""

    model_class = ""

    def check(self, options):
        """See `check`."""
        check(options)

    def check_model(self, model):
        """Only a model of the class will do."""
        base.check_class(model, self.model_class)

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.models.wavenet import generate

        return generate.generate(load(), options, report)

    def transfer(self, model, content, style, *, sample_rate, seed=0, **options):
        """The content as the model plays it, on its own piano where it was trained on one."""
        from style_transfer.models.wavenet import generate

        del options
        return generate.played(model, content, style, self.options, sample_rate, seed)


class WaveNetGenerator(_Generator):
    """Plays pieces one sample after the other."""

    options, model_class = Options, "WaveNet"


class SpectralGenerator(_Generator):
    """Plays pieces, all samples at once."""

    options, model_class = SpectralOptions, "SpectralWaveNet"


WAVENET, SPECTRAL = WaveNetGenerator(), SpectralGenerator()


def sustain_temperature(temperature, given=None):
    """Temperature while notes ring: the one that is `given`, or a share of the other."""
    return SUSTAIN_SHARE * temperature if given is None else given


def check(options):
    """Raises what can be said without the model.

    Args:
        options: The `Options` or `SpectralOptions`.

    Raises:
        FileNotFoundError: A recording is missing.
        ValueError: An option is wrong.
    """
    for path in filter(None, (options.style, *getattr(options, "primer_audio", ()))):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no recording {path!r}.")
    files.check_folder(options.output_dir)
    if options.length_secs is not None and not 0 < options.length_secs < math.inf:
        raise ValueError(f"length_secs is {options.length_secs:g}, expected more than 0.")
    if options.seed < 0:
        raise ValueError(f"seed is {options.seed}, expected at least 0.")
    if isinstance(options, Options):
        _check_sampling(options)


def _check_sampling(options):
    if not 0 < options.primer_secs < math.inf:
        raise ValueError(f"primer_secs is {options.primer_secs:g}, expected more than 0; "
                         "without primer_audio nothing is given.")
    for name in ("temperature", "sustain_temperature"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value:g}, expected at least 0.")
    if options.teacher_forced and not options.primer_audio:
        raise ValueError("teacher_forced predicts the samples of a recording of the piece: give it "
                         "with primer_audio.")
    is_primed = options.primer_audio and not options.teacher_forced
    if is_primed and options.length_secs is not None and options.primer_secs >= options.length_secs:
        raise ValueError(f"The primer of {options.primer_secs:g} s leaves nothing of "
                         f"{options.length_secs:g} s to make: raise length_secs or lower "
                         "primer_secs.")
