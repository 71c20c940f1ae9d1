"""Options of commands: dataclasses whose fields are the flags, said once.

@dataclasses.dataclass(frozen=True, kw_only=True)
class BellOptions(options.Options):
strikes: int = options.option(1, "How often the bell is struck.", low=1)
"""

import dataclasses
import typing

from style_transfer import job_arrays
from style_transfer.midi import tracks as tracks_lib

REQUIRED = dataclasses.MISSING
OVERWRITE = ("Make outputs that exist again, and replace whatever has their names; else what was "
             "made of the same is kept, and anything else gets another name.")
SHARD = (f"{job_arrays.PART} A file that all parts write is named after its part; others have the "
         "names that one command would give them.")
MAGENTA_HPARAMS = ("Hyperparameters that a checkpoint of Magenta's was trained with, where they "
                   "are not the configuration's, such as rnn_layer_sizes=[64,64]. A run_dir knows "
                   "its own.")


def option(default, text, *, low=None, high=None, choices=None, flag=None, group=None,
           nested=False, counts=True):
    """A field of an options dataclass that is a flag as well.

    Args:
        default: Its default; `REQUIRED` for one that must be given.
        text: What `--help` says of it.
        low: Least value.
        high: Greatest value.
        choices: What it may be, strings.
        flag: Name of the flag, where it is not the field's.
        group: Title under which `--help` lists this flag and those that follow.
        nested: Whether the field is a dataclass of options whose fields are the flags.
        counts: Whether what is made depends on it, the name of a piece aside: results of other
            options are other results, see `outputs`.
    """
    return dataclasses.field(default=default, metadata={
        "help": text, "low": low, "high": high, "choices": choices, "flag": flag,
        "group": group, "nested": nested, "counts": counts})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What every generator can be asked."""

    output_dir: str = option(REQUIRED, "Folder of the results.", group="Results", counts=False)
    overwrite: bool = option(False, OVERWRITE, counts=False)
    weights: str | None = option(
        None, "A name in the package, a folder of weights, the run_dir of a training, or a "
        "checkpoint of Magenta's for the models that read it; by default the package's.",
        group="Model")
    seed: int = option(0, "Seed of everything random.", low=0)
    config: str = ""  # name of the configuration, for `outputs.recipe`; no flag


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamOptions:
    """How a command's work is spread by Apache Beam, see `pipelines.beam_parts`."""

    shard: str = option("", SHARD, group="Several machines", counts=False)
    runner: str = option("", "Do the work in parts on this runner of Apache Beam: DirectRunner, "
                         "DaskRunner, DataflowRunner, FlinkRunner, SparkRunner, PrismRunner, or "
                         "module.Class; this command itself does it by default.", counts=False)
    pipeline_options: str = option("", "Further options of Apache Beam, as one string: "
                                   "'--project=x --region=y'.", counts=False)
    parts: int = option(0, "Into how many parts the work is cut for --runner; 0 to choose by the "
                        "number of files.", low=0, counts=False)

    def __post_init__(self):
        job_arrays.Shard.parse(self.shard)
        if self.shard and self.runner:
            raise ValueError("--shard is a part of the work and --runner spreads all of it: give "
                             "one of them.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchOptions(BeamOptions, Options):
    """What generators that make something of each of many files can be asked."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContentOptions(BatchOptions):
    """What generators that play pieces can be asked."""

    content: tuple[str, ...] = option(
        REQUIRED, "The piece: MIDI files, scores (MusicXML, ABC), serialized NoteSequences, "
        "recordings, folders or globs of them. Several make a batch. Recordings are transcribed.",
        group="Piece", counts=False)
    tracks: str = option(
        tracks_lib.ALL, "Which instruments of a piece are played: all pitched ones; piano; or "
        "tracks by number, such as 1,3 (a MIDI file's first is 0; of a file with one track, "
        "channels 1 to 16; of a score, its parts).")
    picture: bool = option(True, "Write a PNG of what was played.", counts=False)

    def __post_init__(self):
        super().__post_init__()
        tracks_lib.parse(self.tracks)


def is_required(field):
    """Whether a field of an options dataclass must be given."""
    return field.default is REQUIRED


def fields_of(options):
    """Fields that are flags, those of nested dataclasses in their place: a dict by flag name."""
    found = {}
    for field in dataclasses.fields(options):
        if field.metadata.get("nested"):
            found |= fields_of(typing.get_type_hints(options)[field.name])
        elif "help" in field.metadata:
            found[field.metadata.get("flag") or field.name] = field
    return found


def flag_names(options):
    """Names of the flags of an options dataclass."""
    return tuple(fields_of(options))


def from_flags(options, values):
    """An options dataclass from the values of its flags.

    Args:
        options: The dataclass.
        values: A dict by flag name.
    """
    arguments, hints = {}, typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        if field.metadata.get("nested"):
            arguments[field.name] = from_flags(hints[field.name], values)
        elif "help" in field.metadata:
            arguments[field.name] = values[field.metadata.get("flag") or field.name]
    return options(**arguments)
