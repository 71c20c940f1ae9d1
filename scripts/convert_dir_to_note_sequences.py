"""Converts a directory of music files to a TFRecord file of NoteSequences.

Reads MIDI (.mid, .midi, .kar, .rmi), MusicXML (.musicxml, .xml, .mxl) and ABC (.abc) files and
writes the records that Magenta's command of this name writes, in parallel:

  convert_dir_to_note_sequences --input_dir=music --output_file=music.tfrecord --recursive

With --as_played the records say what is played instead: tempo, meter and pedals count in every
track of MIDI, and scores have their repeats, sounding pitch, metronome marks and ties.

A file that is damaged, asks for too much or takes too long is named with its reason and skipped.
A run that was stopped goes on where it was when the same command is given again.
The exit status is 1, and nothing is written, when no file could be converted.
"""

import os
import sys
import time

from absl import flags

from style_transfer import job_arrays, options
from style_transfer.scripts import _cli, _flags

_FORMATS = ("midi", "musicxml", "abc")
_MEBIBYTE = 1 << 20
_PROGRESS_SECS = 5.0
_FILES_PER_PART = 4096

_flags.group("Files")
_INPUT_DIR = flags.DEFINE_string(
    "input_dir", None, "Directory of files to convert; its name becomes the collection's."
)
_OUTPUT_FILE = flags.DEFINE_string("output_file", None, "TFRecord file to write, a path or URL.")
_RECURSIVE = flags.DEFINE_bool("recursive", False, "Also convert files in subdirectories.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --output_file if it exists.")
_FORMATS_FLAG = flags.DEFINE_multi_enum(
    "format", list(_FORMATS), _FORMATS, "A format to convert; may be given several times."
)
_AS_PLAYED = flags.DEFINE_bool(
    "as_played", False, "Read files as they are played, where Magenta's reader does otherwise."
)
_flags.group("Limits")
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", 0, "Processes that convert; 0 for one on each CPU core.", lower_bound=0
)
_MAX_FILE_BYTES = flags.DEFINE_integer(
    "max_file_bytes", 32 << 20, "Largest file, and what an .mxl may unpack to, bytes."
)
_MAX_TICKS = flags.DEFINE_integer("max_ticks", 10**9, "Largest tick of a MIDI event.")
_MAX_QPM = flags.DEFINE_float("max_qpm", 60_000.0, "Fastest tempo, quarter notes per minute.")
_MAX_DURATION_SECS = flags.DEFINE_float("max_duration_secs", 12 * 3600.0, "Longest piece, seconds.")
_MAX_NOTES = flags.DEFINE_integer("max_notes", 1_000_000, "Most notes in one file.")
_MAX_CONTROLS = flags.DEFINE_integer(
    "max_controls", 5_000_000, "Most control changes and pitch bends in one file."
)
_MAX_SECS_PER_FILE = flags.DEFINE_float(
    "max_secs_per_file", 60.0, "Longest time for one file, seconds."
)
_MAX_MEMORY_MB = flags.DEFINE_float("max_memory_mb", 2048.0, "Most memory for one file, MiB.")

_flags.define(options.BeamOptions)

_flags.require("input_dir", "output_file")


class _Progress:
    """Names skipped files at once and the speed every few seconds."""

    def __init__(self):
        self._start = self._last = time.monotonic()
        self._num_files = 0

    def __call__(self, filename, error):
        self._num_files += 1
        if error is not None:
            print(f"skipped {filename}: {error}", file=sys.stderr)
        now = time.monotonic()
        if now - self._last >= _PROGRESS_SECS:
            self._last = now
            speed = self._num_files / (now - self._start)
            print(f"{self._num_files} files, {speed:.0f} files/s", file=sys.stderr)


def main(argv):
    """Converts what the flags say."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected arguments {argv[1:]}: give --input_dir and --output_file.")
    from style_transfer.midi.limits import ConversionLimits
    from style_transfer.pipelines import note_sequences

    beam = _flags.parsed(options.BeamOptions)
    if beam.runner:
        return _in_parts(beam)
    limits = ConversionLimits(
        max_file_bytes=_MAX_FILE_BYTES.value,
        max_ticks=_MAX_TICKS.value,
        max_qpm=_MAX_QPM.value,
        max_duration_secs=_MAX_DURATION_SECS.value,
        max_notes=_MAX_NOTES.value,
        max_controls=_MAX_CONTROLS.value,
    )
    report = note_sequences.convert_directory(
        os.path.expanduser(_INPUT_DIR.value),
        os.path.expanduser(_OUTPUT_FILE.value),
        _RECURSIVE.value,
        limits=limits,
        formats=tuple(_FORMATS_FLAG.value),
        as_played=_AS_PLAYED.value,
        num_workers=_NUM_WORKERS.value,
        max_secs_per_file=_MAX_SECS_PER_FILE.value,
        max_worker_bytes=int(_MAX_MEMORY_MB.value * _MEBIBYTE),
        overwrite=_OVERWRITE.value,
        shard=job_arrays.Shard.parse(beam.shard),
        on_file=_Progress(),
    )
    print(report.summary())
    if not report.records:
        hint = "" if _RECURSIVE.value else " Perhaps it is in subdirectories: see --recursive."
        raise ValueError(
            f"Nothing in {_INPUT_DIR.value!r} could be converted, so no file was written.{hint}"
        )


def _in_parts(beam):
    """Converts on Apache Beam; gives what one process would."""
    from style_transfer.pipelines import beam_parts, files, finished, note_sequences

    root, output = (os.path.expanduser(flag.value) for flag in (_INPUT_DIR, _OUTPUT_FILE))
    note_sequences.check(root, output, _OVERWRITE.value)
    folder, name = os.path.split(output)
    scratch = files.join(folder, f".{name}{files.PARTIAL}")
    found = [os.path.join(root, path) for path in note_sequences.find_files(root, _RECURSIVE.value)]
    part_file = files.join(scratch, "notes.tfrecord")
    parts = beam_parts.commands(
        __spec__.name, [*sys.argv[1:], f"--output_file={part_file}", "--overwrite"], len(found),
        beam, _FILES_PER_PART)
    summary = beam_parts.run(parts, scratch, beam, finished.fingerprint_of(sys.argv[1:], found))
    shards = [job_arrays.Shard(number, len(parts)) for number in range(1, len(parts) + 1)]
    note_sequences.join([shard.named(part_file) for shard in shards], output)
    files.remove_tree(scratch)
    _flags.finish(summary)


def run():
    """Console-script entry."""
    _cli.run(main)


if __name__ == "__main__":
    run()
