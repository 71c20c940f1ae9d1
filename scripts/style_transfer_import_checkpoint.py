"""Turns a checkpoint of Magenta's into a run of this project, to use or to train on.

  style_transfer_import_checkpoint --config=onsets_frames --checkpoint=train/model.ckpt \
      --run_dir=runs/maestro

Every variable must find its place: those that are missing, left over or of another shape are named.
Training goes on from it with: style_transfer_train --config=onsets_frames --run_dir=runs/maestro
"""

from absl import flags

from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS

flags.DEFINE_string("config", None, "Name of the configuration, or package.module:ATTRIBUTE.")
flags.DEFINE_string("checkpoint", None, "Prefix of a TensorFlow checkpoint, a folder with one, a "
                    ".zip or .tar of one, a .mag bundle, or an .npz of arrays by variable name.")
flags.DEFINE_string("run_dir", None, "Folder for the imported checkpoint; it must not have any.")
flags.DEFINE_string("hparams", "", "Hyperparameters the checkpoint was trained with, where they "
                    "are not the configuration's, such as fc_size=512,num_filters=[32,32,64].")
_flags.require("config", "checkpoint", "run_dir")


def main(argv):
    """Imports as the flags say."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected arguments: {' '.join(argv[1:])}. Options begin with --.")
    from style_transfer import configs
    from style_transfer.checkpoints import imports

    config = configs.get(FLAGS.config).require("importer")
    hparams = configs.parse_hparams(FLAGS.hparams, config.hparams)
    _flags.report(f"reading {FLAGS.checkpoint}")
    path, count = imports.import_checkpoint(config, hparams, FLAGS.checkpoint, FLAGS.run_dir)
    print(f"{FLAGS.checkpoint}: {count:,} parameters -> {path}")


def run():
    """Entry point of the console script."""
    _cli.run(main)


if __name__ == "__main__":
    run()
