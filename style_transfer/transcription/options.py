"""What a transcriber is asked, and its generator."""

import dataclasses

from style_transfer import options as options_lib
from style_transfer.models import base
from style_transfer.options import REQUIRED, option
from style_transfer.transcription.thresholds import Thresholds

FORMATS = ("midi", "notesequence", "csv", "png")
WINDOW_SECS = 35.0  # 20 take 0.1 GB less, and 1.07 of the time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(options_lib.BeamOptions):
    """What recordings are transcribed with."""

    audio: tuple[str, ...] = option(REQUIRED, "Recordings: files, folders or globs.", flag="input",
                                    group="Recordings", counts=False)
    output_dir: str = option(REQUIRED, "Folder of the results.", group="Results", counts=False)
    formats: tuple[str, ...] = option(
        ("midi",), "What to write of each recording: midi; notesequence, a serialized "
        "NoteSequence; csv, a line a note; png, a picture.", flag="format", counts=False)
    overwrite: bool = option(False, options_lib.OVERWRITE, counts=False)
    weights: str | None = option(
        None, "A name in the package, a run_dir or a checkpoint of a transcriber; by default the "
        "package's.", group="Transcriber")
    hparams: str = option("", options_lib.MAGENTA_HPARAMS)
    thresholds: Thresholds = option(Thresholds(), "", nested=True)
    window_secs: float = option(WINDOW_SECS, "Length of the windows the recording is heard in; "
                                "decides memory and speed, not the result.", low=1.0, counts=False)
    config: str = ""  # see `options.Options`

    def __post_init__(self):
        super().__post_init__()
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise ValueError(f"Unknown formats {', '.join(unknown) or '(none)'}: choose from "
                             f"{', '.join(FORMATS)}.")


class TranscriptionGenerator(base.Generator):
    """Writes down what recordings play, as `style_transfer_transcribe` does."""

    options = Options

    def check_model(self, model):
        """Only a model with heads for onsets and frames will do."""
        if not hasattr(model, "heads"):
            raise ValueError(f"it is a {type(model).__name__}, which transcribes nothing.")

    def generate(self, load, options, report):
        """See `batch.run`."""
        from style_transfer.transcription import batch

        return batch.run(options, report, load)


GENERATOR = TranscriptionGenerator()
