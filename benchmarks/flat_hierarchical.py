"""Melodies of sixteen bars: the flat decoder of MusicVAE against the hierarchical one.

    style_transfer_create_dataset --config=hierdec-mel_16bar_small --input=notesequences.tfrecord \
        --output_dir=examples
    python -m benchmarks.flat_hierarchical --examples_path=examples --work_dir=runs/compared

Trains `flat-mel_16bar_small` and `hierdec-mel_16bar_small` on the same records in the same order
and scores both as `benchmarks.symbolic` does. A run that was stopped goes on, and what
`style_transfer_train --run_dir=runs/compared/NAME` has trained is scored.
"""

import argparse
import os

from benchmarks import symbolic

NAMES = ("flat-mel_16bar_small", "hierdec-mel_16bar_small")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples_path", required=True)
    parser.add_argument("--work_dir", required=True, help="where the runs go")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=256, help="that are scored")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=NAMES, default=None, help="train and score one of them")
    return parser.parse_args()


def train(name, arguments):
    """Config and trained model."""
    from style_transfer import configs, training

    config = configs.get(name)
    options = training.TrainOptions(
        os.path.join(arguments.work_dir, name), arguments.examples_path, arguments.steps,
        checkpoint_interval=1000, eval_interval=0, log_interval=200, seed=arguments.seed)
    return config, training.train(config, config.hparams, options)


def main():
    arguments = parse()
    found = {}
    for name in [arguments.only] if arguments.only else NAMES:
        config, model = train(name, arguments)
        labels, layout = symbolic.labels_of(config, config.hparams, arguments.examples_path,
                                            count=arguments.examples, seed=arguments.seed)
        found[name] = symbolic.latent_scores(config, model, labels, layout)
        print(f"{model.count_params():,} parameters, {arguments.steps} steps of "
              f"{config.hparams.batch_size} sequences", flush=True)
    for title, key, form in symbolic.LATENT_ROWS if len(found) > 1 else ():
        print(f"{title:28}" + "".join(f"{name:>20} {form.format(scores[key])}"
                                      for name, scores in found.items()))


if __name__ == "__main__":
    main()
