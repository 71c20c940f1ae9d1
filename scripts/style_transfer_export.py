"""Exports a trained model for TensorFlow Serving, with the signatures of its configuration.

piano_ddsp: serving_default, transfer, encode_style, play. Transcribers: serving_default, rolls,
transcribe. MusicVAE: serving_default, encode, sample; drums: serving_default. midi2wave and its
kind: serving_default plays NoteSequences (content_bytes, seed, temperature, sustain_temperature,
and style_bytes or piano_id where the model is told of the piano), generate plays piano rolls.
wavenet_spectral: serving_default (style_bytes, content_bytes) and transfer.

--piano=steinway.piano --format=sfz --output_dir=out writes a piano instead, as an instrument for
any sampler: out/steinway/steinway.sfz with a sample of each key at several velocities.
"""

import os
import pathlib
import time

from absl import flags

from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS
PROGRESS_SECS = 5.0

_flags.group("Model")
flags.DEFINE_string("config", None, "The configuration, package.module:ATTRIBUTE for one of your "
                    "own; by default the one that the weights are of.")
flags.DEFINE_string("weights", None, "A name in the package, a folder of weights, or a training's "
                    "run_dir or one of its checkpoints; by default piano_ddsp.")
_flags.group("Export")
flags.DEFINE_string("export_dir", None, "The model's base folder, named as requests shall name the "
                    "model. Each export is its next version.")
flags.DEFINE_alias("output_dir", "export_dir")
flags.DEFINE_string("piano", None, "A .piano file, written as an instrument (--format=sfz) instead "
                    "of the model.")
flags.DEFINE_enum("format", None, ["savedmodel", "sfz"], "savedmodel for a model, sfz for a piano; "
                  "by default by what is exported.")
flags.DEFINE_integer("model_version", None, "Number of the version, instead of the next.",
                     lower_bound=1)
flags.DEFINE_bool("warm_up", True, "Include requests that a server runs before it is ready.")
_flags.require("export_dir")
_flags.group("Limits of requests")
flags.DEFINE_float("max_content_secs", None, "Longest piece that is played or recording that is "
                   "transcribed, seconds; by default what its signatures can take: 1200, of "
                   "wavenet_spectral 300, of WaveNet as long as 240,000 samples last.",
                   lower_bound=1.0)
flags.DEFINE_integer("max_notes", 30_000, "Most notes of a piece.", lower_bound=1)


def main(argv):
    """Checks the flags, then exports."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; name the model with --weights.")
    if FLAGS.format and (FLAGS.format == "sfz") != (FLAGS.piano is not None):
        raise ValueError("--format=sfz is for a piano, and takes --piano=FILE.piano; a model is "
                         "exported as a savedmodel.")
    if FLAGS.piano:
        if not FLAGS.piano.endswith(".piano"):
            raise ValueError(f"--piano takes a .piano file, got {FLAGS.piano!r}; "
                             "style_transfer_generate --save_piano makes one of a recording.")
        if not os.path.isfile(FLAGS.piano):
            raise FileNotFoundError(f"There is no piano {FLAGS.piano!r}.")
    from absl import logging

    from style_transfer import configs
    from style_transfer.models import base

    config = configs.get(FLAGS.config) if FLAGS.config else configs.of_weights(FLAGS.weights)
    if FLAGS.piano:
        return _export_piano(config.require("instrument"))
    config.require("serving")
    _flags.report(f"loading {FLAGS.weights or config.name}")
    from style_transfer.serving import export

    logging.set_verbosity(logging.WARNING)  # TensorFlow tells of each name that it changes
    begun = time.monotonic()
    model = base.load_weights(config, FLAGS.weights)
    path = export.export(model, FLAGS.export_dir, config.serving(), version=FLAGS.model_version,
                         warm_up=FLAGS.warm_up, report=_flags.report,
                         max_content_secs=FLAGS.max_content_secs, max_notes=FLAGS.max_notes)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    print(f"wrote {path}: {size / 1e6:.1f} MB, {len(export.graph_ops(path))} kinds of ops, all "
          f"stock ({time.monotonic() - begun:.1f} s)")


def _export_piano(config):
    """Writes a piano as an instrument."""
    from style_transfer.models import base

    begun = told = time.monotonic()

    def progress(what, done, total):
        nonlocal told
        if time.monotonic() - told > PROGRESS_SECS:
            told = time.monotonic()
            print(f"{what}: {done} of {total} keys", flush=True)

    name = pathlib.Path(FLAGS.piano).stem
    model = base.load_weights(config, FLAGS.weights)
    path = config.instrument()(model, FLAGS.piano, pathlib.Path(FLAGS.export_dir) / name,
                               progress=progress)
    sizes = [file.stat().st_size for file in path.parent.rglob("*.*")]
    print(f"wrote {path}: {len(sizes) - 1} samples, {sum(sizes) / 1e6:.1f} MB "
          f"({time.monotonic() - begun:.1f} s)")


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
