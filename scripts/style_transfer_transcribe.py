"""Writes down what a piano plays: recordings to MIDI, with velocities and sustain pedal.

  style_transfer_transcribe --audio=recordings --output_dir=notes --formats=midi,png

Any format and sample rate, any length. What exists is kept; a recording that cannot be read is
named with its reason and skipped.
"""

import time

from absl import flags

from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS

flags.DEFINE_list("audio", None, "Recordings: files, folders or globs, separated by commas.")
flags.DEFINE_string("output_dir", None, "Where the results go.")
flags.DEFINE_list("formats", ["midi"], "What to write of each recording: midi; notesequence, a "
                  "serialized NoteSequence; csv, a line a note; png, a picture.")
flags.DEFINE_string("weights", None, "A name in the package, a run_dir or a checkpoint of the "
                    "configs onsets_frames or onsets_frames_small; by default the package's.")
_flags.define_thresholds()
flags.DEFINE_float("window_secs", 20.0, "Length of the windows the recording is heard in; decides "
                   "memory and speed, not the result.", lower_bound=1.0)
flags.DEFINE_bool("overwrite", False, "Whether outputs that exist are made again.")


def main(argv):
    """Transcribes what the flags name."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; give recordings with --audio.")
    for name in ("audio", "output_dir"):
        if not getattr(FLAGS, name):
            raise ValueError(f"--{name} is required; see --help.")
    from style_transfer.transcription import batch

    begun = time.monotonic()
    options = batch.Options(
        output_dir=FLAGS.output_dir, weights=FLAGS.weights, formats=tuple(FLAGS.formats),
        thresholds=_flags.thresholds(), window_secs=FLAGS.window_secs, overwrite=FLAGS.overwrite)
    summary = batch.run(FLAGS.audio, options, report=_flags.report)
    print(f"{summary} ({time.monotonic() - begun:.1f} s)")
    if not summary.written and not summary.kept:
        raise ValueError("Nothing was written.")


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
