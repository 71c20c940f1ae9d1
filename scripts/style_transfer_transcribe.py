"""Writes down what a piano plays: recordings to MIDI, with velocities and sustain pedal.

  style_transfer_transcribe --audio=recordings --output_dir=notes --formats=midi,png

Any format and sample rate, any length. What exists is kept; a recording that cannot be read is
named with its reason and skipped.
"""

import sys
import time

from absl import flags

from style_transfer.scripts import _cli, _flags
from style_transfer.transcription.options import Options

FLAGS = flags.FLAGS
_RECORDINGS_PER_PART = 32

_flags.define(Options)


def main(argv):
    """Transcribes what the flags name."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; give recordings with --audio.")
    options = _flags.parsed(Options)
    from style_transfer import files, recordings

    found = files.find(options.audio, recordings.SUFFIXES, "a recording")
    files.check_folder(options.output_dir)
    begun = time.monotonic()
    if options.runner:
        from style_transfer.pipelines import beam_parts
        from style_transfer.pipelines.files import PARTIAL, join

        parts = beam_parts.commands(__spec__.name, sys.argv[1:], len(found), options,
                                    _RECORDINGS_PER_PART)
        _flags.finish(beam_parts.run(parts, join(options.output_dir, PARTIAL), options,
                                     report=_flags.report), time.monotonic() - begun)
        return
    _flags.report(f"recordings: {len(found)}; loading the transcriber")
    from style_transfer.transcription import batch

    summary = batch.run(options, report=_flags.report)
    _flags.finish(summary, time.monotonic() - begun)


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
