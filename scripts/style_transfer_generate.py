"""Plays pieces on the piano of a recording: the main job."""

import sys
import time

from absl import flags

FLAGS = flags.FLAGS
AUDIO_FORMATS = ["wav", "flac"]

flags.DEFINE_list("content", None, "The piece: MIDI files, serialized NoteSequences, folders or "
                  "globs of them, separated by commas. Several make a batch.")
flags.DEFINE_string("style", None, "The piano: a recording of it (WAV, FLAC, MP3, OGG; 2 s or "
                    "more) or a .piano file.")
flags.DEFINE_string("style_midi", None, "Notes of the recording, in its time. With them the piano "
                    "is fitted to the recording, which makes it much more alike.")
flags.DEFINE_integer("adapt_steps", None, "Gradient steps of that fit; 0 is none.", lower_bound=0)
flags.DEFINE_string("output_dir", None, "Where the results go.")
flags.DEFINE_integer("sample_rate", 24000, "Of the audio written, 8000 to 48000 Hz. Above 24000 "
                     "nothing is added.")
flags.DEFINE_enum("format", "wav", AUDIO_FORMATS, "Format of the audio written.")
flags.DEFINE_float("loudness", None, "RMS of the audio written, dB full scale; by default that of "
                   "the style clip.")
flags.DEFINE_string("save_piano", None, "Where to keep what was estimated, *.piano; give it as "
                    "--style later.")
flags.DEFINE_string("checkpoint", None, "Weights: a name in the package or a folder; by default "
                    "those of the package.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_bool("overwrite", False, "Whether outputs that exist are made again.")
flags.DEFINE_bool("picture", True, "Whether a PNG is written.")


def main(argv):
    """Checks everything that can be wrong, then estimates the piano once and plays each piece."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; give files with --content and --style.")
    for name in ("content", "style", "output_dir"):
        if not getattr(FLAGS, name):
            raise ValueError(f"--{name} is required; see --help.")
    from style_transfer import batch

    begun = time.monotonic()
    options = batch.Options(
        style=FLAGS.style, style_midi=FLAGS.style_midi, adapt_steps=FLAGS.adapt_steps,
        output_dir=FLAGS.output_dir, sample_rate=FLAGS.sample_rate, audio_format=FLAGS.format,
        loudness=FLAGS.loudness, save_piano=FLAGS.save_piano, checkpoint=FLAGS.checkpoint,
        seed=FLAGS.seed, overwrite=FLAGS.overwrite, picture=FLAGS.picture)
    summary = batch.generate(FLAGS.content, options, report=_report)
    print(f"{summary} ({time.monotonic() - begun:.1f} s)")
    if not summary.written and not summary.kept:
        raise ValueError("Nothing was written.")


def _report(line, again=False):
    """Prints a line; on a terminal, progress (`again`) overwrites itself."""
    if again and not sys.stdout.isatty():
        return
    print(f"\r\033[K{line}" if again else line, end="" if again else "\n", flush=True)


def run():
    """Console entry point."""
    from scripts import _cli

    _cli.run(main)


if __name__ == "__main__":
    run()
