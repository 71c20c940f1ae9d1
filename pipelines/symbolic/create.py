"""Making a data set of a configuration out of NoteSequences: all or nothing."""

import dataclasses
import json
import os

from style_transfer.job_arrays import WHOLE, Shard
from style_transfer.pipelines import files
from style_transfer.pipelines.datasets import create as audio_create
from style_transfer.pipelines.example_kinds import NoteSequences

DESCRIPTION = audio_create.DESCRIPTION


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is to be made of what; the command's flags.

    Attributes:
        config: Name of the configuration.
        examples: What its examples are.
        input: TFRecord file or pattern with NoteSequences, as convert_dir_to_note_sequences
            writes them.
        output_dir: Folder to make.
        eval_ratio: Part of the pieces that are for evaluation.
        eval_pieces: Patterns (fnmatch) of the names of files that are for evaluation anyway.
        overwrite: Replace what is there.
        shard: Which part of the input to take, such as `3/16`; the folder is named after it. Pieces
            are split as without it, by `eval_ratio` as it is given.
        runner: See `beam_jobs.RUNNERS`.
        pipeline_options: Further options of Apache Beam, as one string.
        num_workers: Processes of the DirectRunner; 0 for one per core.
    """

    config: str
    examples: NoteSequences
    input: str
    output_dir: str
    eval_ratio: float = 0.1
    eval_pieces: tuple[str, ...] = ()
    overwrite: bool = False
    shard: str = ""
    runner: str = "DirectRunner"
    pipeline_options: str = ""
    num_workers: int = 1

    @property
    def part(self) -> Shard:
        """The parsed `shard`."""
        return Shard.parse(self.shard)

    @property
    def folder(self) -> str:
        """What is made: `output_dir`, or a shard's own."""
        return self.part.named(self.output_dir)


def check_settings(settings):
    """Raises what `create_dataset` would raise without looking at the input."""
    if not 0 <= settings.eval_ratio < 1:
        raise ValueError(f"--eval_ratio is at least 0 and less than 1, got {settings.eval_ratio}.")
    audio_create.check_output_dir(settings.folder, settings.overwrite)


def create_dataset(settings, report=print):
    """Makes the data set; nothing is under its name before all of it is.

    Args:
        settings: The `Settings`.
        report: Called with each line of statistics.

    Returns:
        The data set's description, as written to `dataset.json`.

    Raises:
        FileNotFoundError: There is no input.
        ValueError: A setting is wrong, or a split would be empty; the message lists the reasons.
    """
    check_settings(settings)
    with audio_create.partial_folder(settings.folder) as partial:
        counts = _run(settings, partial)
        least = _least_ratio(settings, counts)
        if least:
            report(f"--eval_ratio={settings.eval_ratio:g} takes none of so few pieces for "
                   f"evaluation, so {least:g} is used")
            settings = dataclasses.replace(settings, eval_ratio=least)
            counts = _run(settings, partial)
        description = _describe(settings, counts)
        for name, count in description["statistics"].items():
            report(f"{name}: {count}")
        for reason, count in description["skipped_because"].items():
            report(f"skipped, {reason}: {count}")
        _check(settings, description)
        audio_create.remove_all_but(partial, set(settings.examples.files.values()))
        with files.create(files.join(partial, DESCRIPTION)) as file:
            file.write(json.dumps(description, indent=1, sort_keys=True).encode())
        files.publish(partial, settings.folder, DESCRIPTION)
    return description


def _run(settings, folder):
    from style_transfer.pipelines.symbolic import job

    return job.run(settings.input, folder, settings.examples, settings.eval_ratio,
                   settings.eval_pieces, settings.part, runner=settings.runner,
                   pipeline_options=settings.pipeline_options,
                   num_workers=settings.num_workers or os.cpu_count() or 1)


def _least_ratio(settings, counts):
    """The ratio that takes pieces for evaluation where the one given takes none, or None."""
    if settings.part != WHOLE:
        return None  # the other parts have to take the same
    positions = sorted(float(name) for kind, name in counts if kind == "position")
    if counts["records", "eval"] or not settings.eval_ratio or len(positions) < 2:
        return None
    return positions[0]


def _describe(settings, counts):
    def of(kind):
        return {name: count for (k, name), count in sorted(counts.items()) if k == kind}

    pieces = of("piece")
    skipped = of("skipped")
    return {
        "config": settings.config,
        "read": pieces.get("read", 0),
        "written": pieces.get("read", 0) - sum(skipped.values()),
        "skipped": sum(skipped.values()),
        "skipped_because": skipped,
        "records": {"train": 0, "eval": 0, **of("records")},
        "statistics": of("statistics"),
        "flags": {name: value for name, value in dataclasses.asdict(settings).items()
                  if name != "examples"},
    }


def _check(settings, description):
    if not description["read"]:
        raise FileNotFoundError(f"{settings.input} holds no NoteSequences.")
    if settings.part != WHOLE:
        return  # another part may have what this one lacks
    reasons = "; ".join(f"{reason}: {count}"
                        for reason, count in description["skipped_because"].items())
    for split, count in description["records"].items():
        if not count and (split == "train" or settings.eval_ratio or settings.eval_pieces):
            raise ValueError(
                f"None of the {description['read']} pieces gives anything to {split} on"
                f"{f' ({reasons})' if reasons else ''}. Give more pieces, or another --eval_ratio.")
