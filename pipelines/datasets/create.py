"""Making a data set of example records from a folder: all or nothing."""

import contextlib
import dataclasses
import glob
import json
import os
import posixpath
import secrets
from collections import defaultdict

from style_transfer import remote
from style_transfer.job_arrays import Shard
from style_transfer.pipelines import files, finished
from style_transfer.pipelines.datasets.readers import find_pairs, named
from style_transfer.pipelines.datasets.splits import ONE_PIECE_PATTERN, split_pairs, suspected_leaks

DESCRIPTION = "dataset.json"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is to be made of what; the command's flags.

    Attributes:
        input: Folder of pairs; with `soundfonts` the pieces that are played.
        output_dir: Folder to make.
        config: Name of the configuration that the data set is for.
        sample_rate: See `job.Recipe`; so `measures_tuning` and `segment_secs`.
        eval_ratio: See `splits.split_pairs`; so `split` and `eval_timbres`.
        layout: See `readers.find_pairs`; so `timbre_id` and `piece_pattern`.
        shards: Number of files; None to choose.
        soundfonts: What plays the pieces, see `rendering.specs.renderers_from`; none where the
            input has recordings.
        instruments_per_piece: See `played.find_pairs`.
        any_instrument: Whether one part of a piece is played, on any melodic program.
        max_secs: Most of a piece that is played.
        dry: Without rooms and effects.
        seed: Of what is drawn.
        overwrite: Replace what is there.
        shard: Which of the record files to make, see `job_arrays`; `output_dir` is named after it.
        runner: See `beam_jobs.run`; so `pipeline_options` and `num_workers`.
    """

    input: str
    output_dir: str
    config: str
    sample_rate: int
    measures_tuning: bool = True
    segment_secs: tuple[int, int] | None = None
    eval_ratio: float = 0.1
    split: str = "auto"
    eval_timbres: tuple[str, ...] = ()
    layout: str = "auto"
    timbre_id: str | None = None
    piece_pattern: str | None = None
    shards: int | None = None
    soundfonts: tuple[str, ...] = ()
    instruments_per_piece: int = 4
    any_instrument: bool = False
    max_secs: float = 60.0
    dry: bool = False
    seed: int = 0
    overwrite: bool = False
    shard: str = ""
    runner: str = "DirectRunner"
    pipeline_options: str = ""
    num_workers: int = 1

    @property
    def folder(self) -> str:
        """What is made: `output_dir`, or a shard's own."""
        return Shard.parse(self.shard).named(self.output_dir)


def segment_secs(given, default):
    """Lengths of parts as the command takes them.

    Args:
        given: Texts of the shortest and the longest part in whole seconds, `["0"]` for whole
            recordings, or None.
        default: What the configuration says, used for None.

    Returns:
        `(shortest, longest)`, or None for whole recordings.

    Raises:
        ValueError: They are other texts.
    """
    if given is None:
        return default
    try:
        values = tuple(map(int, given))
    except ValueError:
        values = ()
    if values == (0,):
        return None
    if len(values) != 2:
        raise ValueError("--segment_secs is the shortest and the longest part in whole seconds, "
                         f"or 0; got {','.join(given)}.")
    return values


def create_dataset(settings: Settings) -> dict:
    """Makes the data set; nothing is under its name before all of it is.

    Returns:
        The data set's description, as written to `dataset.json`.

    Raises:
        FileNotFoundError: There is no input folder.
        ValueError: The output exists, a setting is wrong, or a split would be empty.
    """
    check_settings(settings)
    listing = _listing(settings)
    for name, reason in listing.problems:
        print(f"skipped {name}: {reason}", flush=True)
    if not listing.pairs:
        raise ValueError(
            f"{settings.input} holds no pair of audio and MIDI ({len(listing.problems)} files "
            "without a partner). Expected rendered pairs with a manifest, MAESTRO, SMD, or audio "
            "and MIDI files of the same names.")
    plan = split_pairs(listing.pairs, settings.eval_ratio, settings.split, settings.eval_timbres)
    print(f"{listing.layout} layout, {len(listing.pairs)} pairs: {plan.count('train')} for "
          f"training, {plan.count('eval')} for evaluation, {plan.count('test')} for testing, "
          f"{len(plan.left_out)} left out by the split", flush=True)
    if plan.method == "piece" and (leaks := suspected_leaks(plan.pairs)):
        print(f"warning: {len(leaks)} pieces seem to be on both sides of the split, such as "
              f"{' and '.join(leaks[0][:2])}. If these are performances of one piece, give them "
              f"one name with --piece_pattern='{ONE_PIECE_PATTERN}'.", flush=True)
    with partial_folder(settings.folder) as partial:
        plan, rows = _run_job(settings, plan, partial)
        bad = sum("reason" in row for row in rows)
        counters = {"read": len(rows) + len(listing.problems), "written": len(rows) - bad,
                    "skipped": bad + len(listing.problems)}
        _check_written(rows, plan)
        description = _describe(settings, listing, plan, counters, rows)
        with files.create(files.join(partial, DESCRIPTION)) as file:
            file.write(json.dumps(description, indent=1, sort_keys=True).encode())
        files.publish(partial, settings.folder, DESCRIPTION)
    return description


def _listing(settings):
    if not settings.soundfonts:
        return find_pairs(settings.input, settings.layout, settings.timbre_id,
                          settings.piece_pattern)
    from style_transfer.pipelines.datasets import played

    listing = played.find_pairs(
        settings.input, played.job_of(
            settings.soundfonts, settings.sample_rate, max_secs=settings.max_secs,
            seed=settings.seed, dry=settings.dry, any_program=settings.any_instrument),
        settings.instruments_per_piece)
    return dataclasses.replace(listing, pairs=[named(pair, None, settings.piece_pattern)
                                               for pair in listing.pairs])


def check_settings(settings: Settings) -> None:
    """Raises what `create_dataset` would raise without looking at the input."""
    if settings.shards is not None and settings.shards < 1:
        raise ValueError(f"--shards is at least 1, got {settings.shards}.")
    if settings.num_workers < 0:
        raise ValueError(f"--num_workers is at least 1, or 0 for all cores, got "
                         f"{settings.num_workers}.")
    if settings.sample_rate < 8000:
        raise ValueError(f"--sample_rate is in Hz, at least 8000, got {settings.sample_rate}.")
    if settings.segment_secs and not 0 < settings.segment_secs[0] < settings.segment_secs[1]:
        raise ValueError("--segment_secs is the shortest and the longest part, such as 5,20; got "
                         f"{','.join(map(str, settings.segment_secs))}.")
    check_output_dir(settings.folder, settings.overwrite)


def check_output_dir(output_dir, overwrite):
    """Raises a `ValueError` where a data set must not be written."""
    if not files.exists(output_dir):
        return
    if not overwrite:
        raise ValueError(f"{output_dir} exists and is not empty. Choose another --output_dir, or "
                         "--overwrite to replace it.")
    if not files.exists(files.join(output_dir, DESCRIPTION)):
        raise ValueError(f"{output_dir} holds files but no {DESCRIPTION}, so it is no data set "
                         "and --overwrite does not delete it. Choose another --output_dir.")


def _run_job(settings, plan, partial):
    from style_transfer.pipelines.datasets import job

    num_workers = settings.num_workers or os.cpu_count() or 1
    part = Shard.parse(settings.shard)
    shards = part.of(job.plan_shards(plan.pairs, settings.shards))
    if not shards:
        raise ValueError(f"--shard={settings.shard} has none of the record files: give more with "
                         "--shards.")
    if part.count > 1:
        plan = dataclasses.replace(plan, pairs=[p for shard in shards for p in shard.pairs])
    recipe = job.Recipe(settings.sample_rate, settings.measures_tuning, settings.segment_secs)
    rows = job.run(shards, partial, recipe, runner=settings.runner,
                   pipeline_options=settings.pipeline_options,
                   num_workers=min(num_workers, len(shards)))
    remove_all_but(partial, {shard.name for shard in shards})
    for row in sorted((row for row in rows if "reason" in row), key=lambda row: row["id"]):
        print(f"skipped {row['id']}: {row['reason']}", flush=True)
    return plan, rows


def remove_all_but(folder, names):
    """Removes the report, and what attempts that failed and were repeated left behind."""
    if remote.is_url(folder):
        from apache_beam.io.filesystems import FileSystems

        FileSystems.delete([files.join(folder, name) for name in files.list_files(folder)
                            if name not in names])
        return
    for name in os.listdir(folder):
        if name not in names:
            path = os.path.join(folder, name)
            os.remove(path) if os.path.isfile(path) else files.remove_tree(path)


def _check_written(rows, plan):
    for split in ("train", "eval", "test"):
        planned = plan.count(split)
        if planned and not any(row["split"] == split and "reason" not in row for row in rows):
            raise ValueError(f"All {planned} pairs of the {split} split are bad (the reasons are "
                             "named above), so no data set is written. Correct the files, or "
                             "change --eval_ratio.")


def _describe(settings, listing, plan, counters, rows):
    from style_transfer.pipelines.datasets import job

    good = [row for row in rows if "reason" not in row]
    by_split, by_timbre = defaultdict(list), defaultdict(list)
    for row in good:
        by_split[row["split"]].append(row)
        by_timbre[row["timbre_id"]].append(row)
    return {
        "format_version": FORMAT_VERSION,
        "config": settings.config,
        "sample_rate": settings.sample_rate,
        "layout": listing.layout,
        "split_method": plan.method,
        **counters,
        "left_out": len(plan.left_out),
        "splits": {split: {
            "performances": len(chosen),
            "records": sum(row["records"] for row in chosen),
            "pieces": len({row["piece_id"] for row in chosen}),
            "timbres": len({row["timbre_id"] for row in chosen}),
            "notes": sum(row["notes"] for row in chosen),
            "secs": round(sum(row["secs"] for row in chosen), 3),
            "bytes": sum(row["bytes"] for row in chosen),
        } for split, chosen in by_split.items()},
        "timbres": {timbre: {
            "performances": len(chosen),
            "secs": round(sum(row["secs"] for row in chosen), 3),
        } for timbre, chosen in by_timbre.items()},
        "bad_pairs": dict(sorted([*listing.problems, *(
            (row["id"], row["reason"]) for row in rows if "reason" in row)])),
        "versions": job.versions(),
        "flags": dataclasses.asdict(settings),
    }


MAX_NAME = 40  # characters, of up to 4 bytes each where a name may have 255


@contextlib.contextmanager
def partial_folder(output_dir):
    """A hidden folder beside the output, in it where it is a mount point, to be renamed.

    A run that was stopped leaves it.

    The next run of the same output takes it over with what is in it. Its name holds the process
    id, so that of two runs at once neither takes the other's. An object store cannot tell whether
    a process runs: there a data set has one such folder.

    What an error of the settings or of the input leaves (`ValueError`) is removed.
    """
    from style_transfer.pipelines import beam_jobs

    if remote.is_url(output_dir):
        base, name = posixpath.split(output_dir.rstrip("/"))
        partial = files.join(base, f".{name}{files.PARTIAL}")
    else:
        base, name = os.path.split(os.path.abspath(output_dir))
        if os.path.ismount(output_dir):
            base = os.path.abspath(output_dir)
        os.makedirs(base, exist_ok=True)
        name = name[:MAX_NAME]
        partial = os.path.join(
            base, f".{name}.{os.getpid()}.{secrets.token_hex(4)}{files.PARTIAL}")
        left = [path for path in glob.glob(os.path.join(
            glob.escape(base), f".{glob.escape(name)}.*{files.PARTIAL}"))
                if not finished.is_running(path.split(".")[-3])]
        left.sort(key=os.path.getmtime)
        if left:
            os.rename(left.pop(), partial)
        else:
            os.mkdir(partial)
        for path in left:
            files.remove_tree(path)
    try:
        yield partial
    except beam_jobs.WorkerDiedError:
        raise
    except ValueError:
        files.remove_tree(partial)
        raise
