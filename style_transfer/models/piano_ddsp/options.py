"""What the main job is asked, and its generator."""

import dataclasses

from style_transfer import audio as audio_lib
from style_transfer import options as options_lib
from style_transfer.models import base
from style_transfer.options import REQUIRED, option
from style_transfer.synthesis import sympathetic, una_corda
from style_transfer.transcription.thresholds import Thresholds

AUDIO_FORMATS = ("wav", "flac")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(options_lib.ContentOptions):
    """What a batch of pieces is played with."""

    style: str = option(REQUIRED, "The piano: a recording of it (WAV, MP3, M4A ...; 2 s or more) "
                        "or a .piano file.", group="Piano")
    style_midi: str | None = option(
        None, "Notes of the recording, in its time, if you have them: the piano is fitted to the "
        "recording with them.")
    adapt_steps: int | None = option(
        None, "Gradient steps of the fit to the recording; 0 is none. By default 60, of a "
        "recording longer than 10 s more, 147 of a minute.", low=0)
    save_piano: str | None = option(None, "Where to keep what was estimated, *.piano; give it as "
                                    "--style later.", counts=False)
    soft_pedal_db: float | None = option(
        None, "How much weaker the soft pedal makes what is struck while it is down, in level and, "
        "more so, in its higher partials; 0 turns it off. By default what the clip and "
        f"--style_midi tell of it, or {una_corda.DEFAULT_DB:g}.", low=0.0, high=una_corda.MAX_DB)
    coupling: float | None = option(
        None, "How much strings that nobody struck ring along where their dampers are up, 0 to "
        f"{sympathetic.MAX_COUPLING:g}. By default what the clip and --style_midi tell of it, or "
        "0.", low=0.0, high=sympathetic.MAX_COUPLING)
    half_pedal: bool | None = option(
        None, "Dampers follow the sustain pedal all the way, instead of being down or, from 64 "
        "on, up. By default what the clip and --style_midi tell of it, or up and down.")
    sample_rate: int = option(24_000, "Rate of the audio written, 8000 to 48000 Hz. At 44100 or "
                              "48000 it goes up to 20 kHz, as far as the style clip does.",
                              group="Audio")
    channels: int | None = option(None, "1 for mono, 2 for stereo; by default as the style clip. "
                                  "A mono clip's 2 are a plain image.", low=1, high=2)
    format: str = option("wav", "Format of the audio written.", choices=AUDIO_FORMATS,
                         counts=False)
    loudness: str | None = option(None, "Level of the audio written, pauses aside: RMS in dB full "
                                  "scale, -20 by default; or clip, for that of the style clip.")
    transcribe_style: bool = option(True, "Transcribe the piano's recording where --style_midi is "
                                    "not given, so that the piano can be fitted to it.",
                                    group="Transcription")
    transcriber: str | None = option(None, "Weights of the transcriber: a name in the package or a "
                                     "folder; by default the package's.")
    thresholds: Thresholds = option(Thresholds(), "", nested=True)


class PianoGenerator(base.Generator):
    """Plays pieces on the piano of a recording."""

    options = Options

    def check(self, options):
        """See `generate.check`."""
        from style_transfer.models.piano_ddsp import generate

        generate.check(options)

    def check_model(self, model):
        """Only a `PianoDDSP` will do."""
        base.check_class(model, "PianoDDSP")

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.models.piano_ddsp import generate

        return generate.generate(options, load, report)

    def transfer(self, model, content, style, **options):
        """See `style_transfer.transfer`; the true renderings' samplers know no soft pedal."""
        from style_transfer.models.piano_ddsp import one_shot

        return one_shot.transfer(content, style, model=model, soft_pedal_db=0.0,
                                 **{"loudness": audio_lib.CLIP_LOUDNESS, "channels": 1, **options})


GENERATOR = PianoGenerator()
