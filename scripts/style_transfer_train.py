"""Trains the model of a configuration, or evaluates its checkpoints.

  style_transfer_train --config=piano_ddsp --run_dir=runs/a --examples_path=examples
  style_transfer_train --config=piano_ddsp --run_dir=runs/a --examples_path=examples --mode=eval

Training goes on from the newest checkpoint in the run's folder. To see losses, audio and
spectrograms: tensorboard --logdir=runs
"""

from absl import flags

from style_transfer.scripts import _cli

FLAGS = flags.FLAGS

flags.DEFINE_string("config", None, "Name of the configuration, or package.module:ATTRIBUTE.")
flags.DEFINE_string("run_dir", None, "Folder for checkpoints, logs and scores.")
flags.DEFINE_string("examples_path", None, "Folder of style_transfer_create_dataset, or a pattern "
                    "of TFRecord files.")
flags.DEFINE_enum("mode", "train", ["train", "eval"], "Whether to train or to evaluate.")
flags.DEFINE_string("hparams", "", "Hyperparameters other than the configuration's, such as "
                    "batch_size=16,dilations=[1,2,4].")
flags.DEFINE_bool("override_hparams", False, "Go on, or evaluate, with other hparams than the "
                  "run began with.")
flags.DEFINE_integer("num_training_steps", 10_000, "Steps in all, those before a resume included.",
                     lower_bound=1)
flags.DEFINE_string("checkpoint_file", None, "Weights a new run starts from: a ckpt folder of "
                    "another run, or a .weights.h5 file.")
flags.DEFINE_enum("strategy", "default", ["default", "mirrored", "multiworker"],
                  "One device, all GPUs of this machine, or the cluster in TF_CONFIG (with a "
                  "run_dir that all workers share).")
flags.DEFINE_integer("checkpoint_interval", 1000, "Steps between checkpoints.", lower_bound=1)
flags.DEFINE_integer("keep_checkpoints", 5, "How many of the newest to keep; 0 for all.",
                     lower_bound=0)
flags.DEFINE_integer("eval_interval", 1000, "Steps between evaluations while training; 0 for none.",
                     lower_bound=0)
flags.DEFINE_integer("eval_batches", None, "Batches of an evaluation; all by default.",
                     lower_bound=1)
flags.DEFINE_bool("eval_all", False, "With --mode=eval: every checkpoint that has no scores yet, "
                  "not only the newest.")
flags.DEFINE_integer("log_interval", 100, "Steps between lines of progress.", lower_bound=1)
flags.DEFINE_integer("seed", None, "Seed of weights and data; 0, or the run's own, by default.")
flags.DEFINE_enum("jit_compile", "auto", ["auto", "true", "false"],
                  "Whether to compile with XLA; auto: on the JAX backend only.")
flags.mark_flags_as_required(["config", "run_dir", "examples_path"])


def main(argv):
    """Trains or evaluates as the flags say."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected arguments: {' '.join(argv[1:])}. Options begin with --.")
    from style_transfer import configs

    config = configs.get(FLAGS.config).require("training")
    hparams = _hparams(config)
    if FLAGS.mode == "eval":
        _evaluate(config, hparams)
    else:
        _train(config, hparams)


def _hparams(config):
    """Those of the command line over those the run began with over the configuration's."""
    from style_transfer import configs

    configs.parse_hparams(FLAGS.hparams, config.hparams)  # faults show before Keras is loaded
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

    names = ("run_dir", "examples_path", "num_training_steps", "checkpoint_file", "strategy",
             "checkpoint_interval", "keep_checkpoints", "eval_interval", "eval_batches",
             "log_interval", "seed", "override_hparams")
    jit_compile = {"auto": None, "true": True, "false": False}[FLAGS.jit_compile]
    options = training.TrainOptions(jit_compile=jit_compile,
                                    **{name: getattr(FLAGS, name) for name in names})
    training.train(config, hparams, options)


def run():
    """Entry point of the console script."""
    _cli.run(main)


if __name__ == "__main__":
    run()
