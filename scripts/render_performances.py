"""Renders performances on many pianos: one FLAC and one MIDI file for each pair.

  render_performances --input=midi --output_dir=rendered --soundfonts=font.sf2,procedural:20

Writes OUTPUT_DIR/<piano>/<performance>.flac, the notes as they were rendered beside it (.mid), and
OUTPUT_DIR/manifest.jsonl with a line for each. What exists is kept, so a stopped run goes on where
it was. A performance that cannot be rendered is named with its reason and skipped.
"""

import sys
import time

from absl import flags

from style_transfer import job_arrays, options
from style_transfer.scripts import _cli, _flags

_PROGRESS_SECS = 10.0
_PIECES_PER_PART = 32
_LOWEST_RATE, _HIGHEST_RATE = 8_000, 96_000

_flags.group("Performances")
_INPUT = flags.DEFINE_string(
    "input", None, "Folder of MIDI files, a file, a glob pattern, or NoteSequence TFRecords."
)
_flags.group("Pianos")
_SOUNDFONTS = _flags.define_list(
    "soundfonts",
    None,
    "Pianos: .sf2 or .sf3 files (their programs 0-7; any preset as "
    "FILE:BANK:PROGRAM), .sfz files, folders of them, procedural:N for N random pianos, "
    "procedural:seed=S for one.",
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the results, a path or URL.")
_SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", 24_000, "Samples per second.",
    lower_bound=_LOWEST_RATE, upper_bound=_HIGHEST_RATE,
)
_MAX_SECS = flags.DEFINE_float(
    "max_secs", 3600.0, "Render at most so much of a performance; 0 for all.", lower_bound=0.0
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", 0, "Processes that render; 0 for one on each CPU core.", lower_bound=0
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Render again what exists, however it was "
                                "made.")
_AUGMENT = flags.DEFINE_integer(
    "augment",
    0,
    "Variants of each piano with a random equalizer, room, noise, level and tuning, besides it.",
    lower_bound=0,
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of procedural pianos and of variants.", lower_bound=0
)
_DRY = flags.DEFINE_bool(
    "dry", False, "No reverb and chorus in soundfonts, no room in procedural pianos."
)
_LICENCE = flags.DEFINE_string(
    "licence", "", "Remark for the manifest instead of what the soundfonts themselves say."
)
_flags.define(options.BeamOptions)

_flags.require("input", "soundfonts", "output_dir")


class _Progress:
    """Names what failed at once, and the speed every few seconds."""

    def __init__(self, total):
        self._start = self._last = time.monotonic()
        self._count, self._total, self._secs = 0, total, 0.0
        self._named = set()

    def __call__(self, result):
        piece, timbre, row, reason = result
        self._count += 1
        self._secs += row["duration_secs"] if reason == "written" else 0.0
        # A damaged file fails alike on every piano: once is enough.
        if row is None and (piece, reason) not in self._named:
            self._named.add((piece, reason))
            print(f"skipped {piece} on {timbre}: {reason}", file=sys.stderr)
        now = time.monotonic()
        if now - self._last >= _PROGRESS_SECS:
            self._last = now
            print(f"{self._count}/{self._total} recordings, "
                  f"{self._secs / (now - self._start):.0f} x real time", file=sys.stderr)


def main(argv):
    """Renders what the flags say."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected arguments {argv[1:]}: give --input, --soundfonts and "
                         "--output_dir.")
    import os

    from style_transfer.pipelines.rendering import job as job_lib
    from style_transfer.pipelines.rendering import specs
    from style_transfer.pipelines.rendering.pieces import find_pieces

    job = job_lib.Job(
        specs=tuple(os.path.expanduser(spec) for spec in _SOUNDFONTS.value if spec),
        output_dir=os.path.expanduser(_OUTPUT_DIR.value),
        sample_rate=_SAMPLE_RATE.value,
        max_secs=_MAX_SECS.value,
        augment=_AUGMENT.value,
        seed=_SEED.value,
        dry=_DRY.value,
        overwrite=_OVERWRITE.value,
        licence=_LICENCE.value,
    )
    pieces = find_pieces(_INPUT.value)
    renderers = job_lib.all_renderers(job)
    if not renderers:
        raise ValueError("--soundfonts names no piano. Give a .sf2 or .sfz file, or procedural:8.")
    for line in specs.remarks(renderers):
        print(f"warning: {line}", file=sys.stderr)
    print(f"{len(pieces)} performances on {len(renderers)} pianos", file=sys.stderr)
    beam = _flags.parsed(options.BeamOptions)
    if beam.runner:
        return _in_parts(beam, job, len(pieces))
    workers = _NUM_WORKERS.value or os.cpu_count() or 1
    shard = job_arrays.Shard.parse(beam.shard)
    total = len(shard.of(pieces)) * len(renderers)
    report = job_lib.run_job(job, pieces, workers, _Progress(total), shard)
    print(report.summary())
    if report.num_lost:
        raise ValueError(f"{report.num_lost} recordings are missing that their performances are "
                         "not to blame for. Mend what is said above, and run again.")
    if not report.num_written + report.num_kept:
        raise ValueError("Nothing could be rendered. The reasons are above.")


def _in_parts(beam, job, num_pieces):
    """Renders on Apache Beam; gives what one process would."""
    from style_transfer.pipelines import beam_parts, files
    from style_transfer.pipelines.rendering import job as job_lib

    parts = beam_parts.commands(__spec__.name, sys.argv[1:], num_pieces, beam, _PIECES_PER_PART)
    summary = beam_parts.run(parts, files.join(job.output_dir, files.PARTIAL), beam)
    job_lib.join_manifests(job.output_dir, len(parts))
    _flags.finish(summary)


def run():
    """Console-script entry."""
    _cli.run(main)


if __name__ == "__main__":
    run()
