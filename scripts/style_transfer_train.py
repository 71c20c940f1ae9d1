"""Trains the model of a configuration, or evaluates its checkpoints.

  style_transfer_train --config=piano_ddsp --run_dir=runs/a --examples_path=examples
  style_transfer_train --config=piano_ddsp --run_dir=runs/a --examples_path=examples --mode=eval

Training goes on from the newest checkpoint in the run's folder. Asked to stop (Ctrl-C, SIGTERM) it
writes one and ends with status 130 or 143. To see losses, audio and spectrograms:
tensorboard --logdir=runs
"""

from absl import flags

from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS

_flags.group("Run")
flags.DEFINE_string("config", None, "Name of the configuration, or package.module:ATTRIBUTE.")
flags.DEFINE_string("run_dir", None, "Folder for checkpoints, logs and scores.")
flags.DEFINE_string("examples_path", None, "Folder of style_transfer_create_dataset, or a pattern "
                    "of its TFRecord files; for MusicVAE NoteSequence TFRecords too.")
flags.DEFINE_enum("mode", "train", ["train", "eval"], "Whether to train or to evaluate.")
_flags.require("config", "run_dir", "examples_path")
_flags.group("Training")
flags.DEFINE_string("hparams", "", "Hyperparameters other than the configuration's, such as "
                    "batch_size=16,dilations=[1,2,4].")
flags.DEFINE_bool("override_hparams", False, "Go on, or evaluate, with other hparams than the "
                  "run began with.")
flags.DEFINE_integer("num_training_steps", 10_000, "Steps in all, those before a resume included.",
                     lower_bound=1)
flags.DEFINE_string("weights", None, "What a new run starts from: a name in the package, another "
                    "run_dir, a ckpt folder, a .weights.h5 file, or a checkpoint of Magenta's.")
flags.DEFINE_enum("strategy", "default", ["default", "mirrored", "multiworker"],
                  "One device, all GPUs of this machine, or the cluster in TF_CONFIG (with a "
                  "run_dir that all workers share).")
flags.DEFINE_integer("seed", None, "Seed of weights and data; 0, or the run's own, by default.")
flags.DEFINE_enum("jit_compile", "auto", ["auto", "true", "false"],
                  "Whether to compile with XLA; auto: on the JAX backend only.")
flags.DEFINE_integer("accumulate_steps", 1, "Batches whose mean gradient makes an update.",
                     lower_bound=1)
flags.DEFINE_enum("mixed_precision", "float32", ["float32", "bfloat16", "float16"],
                  "What matrices are multiplied in; all else stays float32.")
flags.DEFINE_integer("log_interval", 100, "Steps between lines of progress.", lower_bound=1)
_flags.group("Checkpoints")
flags.DEFINE_integer("checkpoint_interval", 1000, "Steps between checkpoints.", lower_bound=1)
flags.DEFINE_integer("keep_checkpoints", 5, "How many of the newest checkpoints to keep; 0 for "
                     "all.", lower_bound=0)
_flags.group("Evaluation")
flags.DEFINE_integer("eval_interval", 1000, "Steps between evaluations while training; 0 for none.",
                     lower_bound=0)
flags.DEFINE_integer("eval_batches", None, "Batches of an evaluation; all by default.",
                     lower_bound=1)
flags.DEFINE_bool("eval_all", False, "With --mode=eval: every checkpoint that has no scores yet, "
                  "not only the newest.")


def main(argv):
    """Trains or evaluates as the flags say."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected arguments: {' '.join(argv[1:])}. Options begin with --.")
    from style_transfer import configs

    config = configs.get(FLAGS.config).require("training")
    _check_files()
    hparams = _hparams(config)
    if FLAGS.mode == "eval":
        _evaluate(config, hparams)
    else:
        _train(config, hparams)


def _check_files():
    """What can be said of paths before Keras is loaded."""
    import glob
    import os

    from style_transfer import files, remote

    if not remote.is_url(FLAGS.run_dir):
        files.check_folder(FLAGS.run_dir)
    if remote.is_url(FLAGS.examples_path):
        return
    if not os.path.isdir(FLAGS.examples_path) and not glob.glob(FLAGS.examples_path):
        raise FileNotFoundError(f"There is nothing at --examples_path={FLAGS.examples_path}: give "
                                "a folder of style_transfer_create_dataset, or TFRecord files.")
    if FLAGS.mode == "train" and os.path.isfile(FLAGS.examples_path) \
            and not FLAGS["eval_interval"].present:
        FLAGS.eval_interval = 0
        _flags.report("no evaluation while training, since --examples_path is one file: evaluate "
                      "another with --mode=eval")


def _hparams(config):
    """Those of the command line over those the run began with over the configuration's."""
    from style_transfer import configs

    configs.parse_hparams(FLAGS.hparams, config.hparams)  # faults show before Keras is loaded
    _flags.report("loading Keras")
    from style_transfer.training import run_record

    record = run_record.read(FLAGS.run_dir)
    defaults = config.hparams
    if record is not None and record["config"] == config.name:
        defaults = configs.from_dict(record["hparams"], defaults)
    return configs.parse_hparams(FLAGS.hparams, defaults)


def _evaluate(config, hparams):
    from style_transfer import training

    scores = training.evaluate(config, hparams, run_dir=FLAGS.run_dir,
                               examples_path=FLAGS.examples_path, every_new=FLAGS.eval_all,
                               eval_batches=FLAGS.eval_batches,
                               override_hparams=FLAGS.override_hparams)
    if not scores:
        print("every checkpoint has been evaluated already")


def _train(config, hparams):
    from style_transfer import training

    names = ("run_dir", "examples_path", "num_training_steps", "strategy", "checkpoint_interval",
             "keep_checkpoints", "eval_interval", "eval_batches",
             "log_interval", "seed", "override_hparams", "accumulate_steps", "mixed_precision")
    jit_compile = {"auto": None, "true": True, "false": False}[FLAGS.jit_compile]
    options = training.TrainOptions(jit_compile=jit_compile,
                                    checkpoint_file=_starting_weights(config, hparams),
                                    **{name: getattr(FLAGS, name) for name in names})
    training.train(config, hparams, options)


def _starting_weights(config, hparams):
    """File or checkpoint that a new run starts from; Magenta's becomes the run's own first."""
    from style_transfer import checkpoints, weights
    from style_transfer.checkpoints import imports
    from style_transfer.training import checkpoints as runs

    given = FLAGS.weights
    if given and runs.steps(FLAGS.run_dir):
        _flags.report(f"{FLAGS.run_dir} goes on, so --weights is not used")
        return None
    if not given or given.endswith(".weights.h5"):
        return given
    if not checkpoints.is_magentas(given):
        return str(weights.folder(given))
    config.require("importer")
    _, count = imports.import_checkpoint(config, hparams, given, FLAGS.run_dir)
    _flags.report(f"{given}: {count:,} parameters")
    return None


def run():
    """Entry point of the console script."""
    _cli.run(main)


if __name__ == "__main__":
    run()
