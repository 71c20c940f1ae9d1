r"""Makes example records for training, of recordings with their MIDI files or of NoteSequences.

For models of audio it reads pairs written by render_performances, MAESTRO (v1 to v3), SMD, or any
folder of audio and MIDI files of the same names; with --soundfonts it plays MIDI files or
NoteSequences itself, and no audio is written but that of the examples, as FLAC. For Drums RNN and
MusicVAE it reads what convert_dir_to_note_sequences writes. Examples:

  style_transfer_create_dataset --config=piano_ddsp --input=renderings --output_dir=examples
  style_transfer_create_dataset --config=ss_vq_vae --input=notesequences.tfrecord \
      --soundfonts=font.sf2 --output_dir=examples
  style_transfer_create_dataset --config=drum_kit --input=notesequences.tfrecord \
      --output_dir=drums --eval_ratio=0.10
"""

import logging

from absl import flags

from style_transfer import job_arrays
from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS

_flags.group("Data set")
flags.DEFINE_string("config", None, "Name of the configuration that the examples are for.")
flags.DEFINE_string("input", None, "Folder with pairs of audio and MIDI files; with --soundfonts "
                    "a folder of MIDI files, or TFRecords of NoteSequences; for drums_rnn and "
                    "music_vae TFRecords of NoteSequences, one file or a pattern.")
flags.DEFINE_string("output_dir", None, "Folder to make: records of each split, and dataset.json.")
flags.DEFINE_bool("overwrite", False, "Replace an existing output.")
_flags.require("config", "input", "output_dir")
_flags.group("Notes that are played")
_flags.define_list("soundfonts", [], "What plays the notes of --input, as for render_performances; "
                   "where the configuration is for any instrument, all melodic programs of "
                   "soundfonts, and procedural instruments instead of pianos.")
flags.DEFINE_integer("instruments_per_piece", 4, "With --soundfonts: how many instruments are "
                     "drawn for each piece.", lower_bound=1)
flags.DEFINE_float("max_secs", 60.0, "With --soundfonts: how much of a piece is played at most; 0 "
                   "for all.", lower_bound=0.0)
flags.DEFINE_bool("dry", False, "With --soundfonts: without reverb and chorus.")
flags.DEFINE_integer("seed", 0, "With --soundfonts: seed of what is drawn.", lower_bound=0)
_flags.group("Split")
flags.DEFINE_float("eval_ratio", 0.1, "Share of the pieces kept for evaluation; 0 for none.")
flags.DEFINE_enum("split", "auto", ["auto", "own", "piece"],
                  "How to split: the data set's own split, by a hash of the piece, or the first "
                  "of these there is.")
_flags.define_list("eval_timbres", [],
                   "Patterns (fnmatch) of pianos that are kept for evaluation.")
_flags.define_list("eval_pieces", [], "Of drums_rnn and music_vae: patterns (fnmatch) of files "
                   "that are kept for evaluation, beside those that --eval_ratio chooses.")
_flags.group("Recordings")
flags.DEFINE_enum("layout", "auto", ["auto", "rendered", "maestro", "smd", "folder"],
                  "Layout of the input; auto recognises it.")
flags.DEFINE_string("timbre_id", None, "Name of the one piano of all recordings.")
flags.DEFINE_string("piece_pattern", None,
                    "Regular expression whose first group, searched in the path without its "
                    "ending, names the piece.")
flags.DEFINE_integer("sample_rate", None, "Rate of the examples in Hz; the configuration's own "
                     "by default.")
_flags.define_list("segment_secs", None, "Shortest and longest part that performances are cut into "
                   "where they are silent, whole seconds such as 5,20; 0 for none. The "
                   "configuration's own by default.")
_flags.group("Apache Beam")
flags.DEFINE_integer("shards", None, "Number of record files; chosen by size by default.",
                     lower_bound=1)
flags.DEFINE_string("shard", "", job_arrays.HELP)
flags.DEFINE_string("runner", "DirectRunner", "Apache Beam runner: DirectRunner, DaskRunner, "
                    "DataflowRunner, FlinkRunner, SparkRunner, PrismRunner, or module.Class.")
flags.DEFINE_string("pipeline_options", "", "Further options of Apache Beam, as one string: "
                    "'--project=x --region=y'.")
flags.DEFINE_integer("num_workers", 0, "Processes of the DirectRunner; 0 for one per core.",
                     lower_bound=0)
SHARED_FLAGS = ("config", "input", "output_dir", "eval_ratio", "overwrite", "runner",
                "pipeline_options")


def main(argv):
    """Makes the data set that the flags describe."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected arguments: {' '.join(argv[1:])}. Options begin with --.")
    from style_transfer import configs
    from style_transfer.pipelines import example_kinds

    config = configs.get(FLAGS.config).require("examples")
    kind = config.examples
    others = {name for other in example_kinds.KINDS for name in other.FLAGS}.difference(kind.FLAGS)
    _flags.refuse(sorted(others), f"--config={FLAGS.config}")
    values = _flags.values((*SHARED_FLAGS, *kind.FLAGS))
    description = kind.create(config, values, _quiet_beam)
    if "splits" in description:
        print("{:.1f} h of audio in {:.1f} MB".format(*(
            sum(split[name] for split in description["splits"].values()) / unit
            for name, unit in (("secs", 3600), ("bytes", 1e6)))))
    print("{read} read, {written} written, {skipped} skipped".format(**description))


def _quiet_beam():
    """Imports Apache Beam, which warns of cloud clients that are not there."""
    _flags.report("loading Apache Beam")
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    logging.disable(logging.WARNING)
    import apache_beam  # noqa: F401

    logging.disable(logging.NOTSET)


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
