"""What trained Drums RNN and MusicVAE models have learned, on the evaluation part of a data set.

    python -m benchmarks.symbolic --config=cat-mel_2bar_small --run_dir=runs/mel \
        --examples_path=examples [--examples=1000] [--max_steps=512]

MusicVAE: shares of steps, and of those in which a note begins or ends, that are written right
teacher-forced and free-running, with the latent vector of the sequence and with another's, beside
always "no event"; and how many bits the dimensions hold. Drums RNN: likelihood of steps beside two
predictors that know the training part: how frequent classes are, and that with some probability a
step is as a bar before.
"""

import argparse
import dataclasses
import math
import pathlib
import time

import numpy as np

LATENT_ROWS = (("teacher-forced, right", "accuracy", "{:.1%}"),
               ("free-running, right", "sampled_accuracy", "{:.1%}"),
               ("teacher-forced, events right", "event_accuracy", "{:.1%}"),
               ("free-running, events right", "sampled_event_accuracy", "{:.1%}"),
               ("cross-entropy, bits a step", "bits_per_step", "{:.3f}"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--run_dir", default=None, help="a run, a checkpoint or weights of the "
                        "package; by default the package's of the configuration")
    parser.add_argument("--examples_path", required=True)
    parser.add_argument("--examples", type=int, default=1000, help="at most so many, in any order")
    parser.add_argument("--max_steps", type=int, default=None, help="Drums RNN: so many steps of "
                        "each track, from its beginning; by default those of the training")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def labels_of(config, hparams, examples_path, split="eval", count=None, seed=0):
    """Classes of MusicVAE's sequences, `[count, steps, tracks]`, chosen by `seed`."""
    from style_transfer.symbolic import encodings

    layout = config.examples.layout
    data = config.build_dataset(examples_path, hparams, split, seed=seed)
    labels = np.concatenate([encodings.classes(y["outputs"], layout) for _, y in data])
    order = np.random.default_rng(seed).permutation(len(labels))
    return labels[order[:count]], layout


def latent_scores(config, model, labels, layout):
    """`latent.latent_usage`, printed as a table and given back."""
    from style_transfer.models.music_vae import latent

    begun = time.monotonic()
    found = latent.latent_usage(model, layout, labels)
    print(f"{config.name}: {len(labels)} sequences of {layout.steps} steps "
          f"({time.monotonic() - begun:.0f} s)\n{'':28}{'its own z':>12}{'another z':>12}")
    for title, name, form in LATENT_ROWS:
        own, other = (form.format(found[prefix + name]) for prefix in ("", "shuffled_"))
        print(f"{title:28}{own:>12}{other:>12}")
    print(f"{'always no event, right':28}{np.mean(labels == latent.NO_EVENT):12.1%}")
    print(f"KL divergence {found['kl_bits']:.1f} bits: {found['active_dimensions']} of "
          f"{model.z_size} dimensions above 0.01 bits, {found['half_kl_dimensions']} hold half, "
          f"the largest {found['largest_kl_bits']:.2f}; the ten largest: "
          + " ".join(f"{bits:.2f}" for bits in -np.sort(-found["kl_per_dimension"])[:10]))
    return found


def drum_scores(config, hparams, model, examples_path, count):
    """Scores of the model beside those of the predictors."""
    data = config.build_dataset(examples_path, hparams, "eval", seed=0)
    metrics, tracks, done = config.build_metrics(hparams), [], 0
    for x, y in data:
        metrics.update(y, np.asarray(model(x)))
        tracks += [labels[:length] for labels, length in zip(y["labels"], y["lengths"],
                                                             strict=True)]
        done += len(y["lengths"])
        if done >= count:
            break
    found = metrics.result()
    print(f"{config.name}: {done} tracks, {sum(map(len, tracks))} steps")
    for name, value in found.items():
        print(f"{name:34}{value:10.4f}")
    training = _training_tracks(config, hparams, examples_path)
    bar = 4 * hparams.steps_per_quarter
    for name, nats in predictors(training, tracks, hparams.num_classes, bar).items():
        print(f"{name:34} log-likelihood {-nats:.4f} a step, perplexity {math.exp(nats):.3f}")
    return found


def _training_tracks(config, hparams, examples_path):
    """As many as there are, each once and possibly in part."""
    # The predictors know the drums as they are, whatever a training made of them.
    data = config.build_dataset(examples_path, dataclasses.replace(hparams, exchange_drums=0.0),
                                "train", seed=0)
    tracks = []
    for _, y in data:
        tracks += [labels[:length] for labels, length in zip(y["labels"], y["lengths"],
                                                             strict=True)]
        if len(tracks) >= data.count:
            return tracks[:data.count]
    return tracks


def predictors(training, tracks, num_classes, bar):
    """Nats a step of predictors that know the training part.

    Args:
        training: Classes of tracks, arrays.
        tracks: Those to predict.
        num_classes: How many classes.
        bar: Steps of a bar.

    Returns:
        A dict of floats.
    """
    counts = np.bincount(np.concatenate(training), minlength=num_classes) + 1.0
    frequency = counts / counts.sum()
    pairs = np.ones((num_classes, num_classes)) * frequency * 10
    for track in training:
        np.add.at(pairs, (track[:-1], track[1:]), 1)
    pairs /= pairs.sum(axis=1, keepdims=True)
    repeats = np.concatenate([track[bar:] == track[:-bar] for track in training])
    # Smoothed, so that it is never 1.
    again = (repeats.sum() + 1) / (len(repeats) + 2)
    sums, steps = np.zeros(3), 0
    for track in tracks:
        plain = frequency[track]
        after = np.append(plain[:1], pairs[track[:-1], track[1:]])
        is_again = np.append(np.zeros(min(bar, len(track)), bool), track[bar:] == track[:-bar])
        likely = (1 - again) * plain + again * is_again
        likely[:bar] = plain[:bar]
        sums -= [np.log(values).sum() for values in (plain, after, likely)]
        steps += len(track)
    names = ("frequency of classes", "class before, smoothed", "as a bar before, or by frequency")
    return dict(zip(names, (sums / steps).tolist(), strict=True))


def main():
    arguments = parse()
    from style_transfer import configs
    from style_transfer.models import base
    from style_transfer.training import checkpoints, run_record

    config = configs.get(arguments.config)
    folder = pathlib.Path(arguments.run_dir or "")
    # The record is that of the run whose checkpoint is given.
    is_checkpoint = (folder / checkpoints.STATE_FILE).is_file()
    record = run_record.read(folder.parent if is_checkpoint else folder)
    hparams = configs.from_dict(record["hparams"], config.hparams) if record else config.hparams
    model = base.load_weights(config, arguments.run_dir)
    if config.name in ("drum_kit", "one_drum"):
        if arguments.max_steps:
            hparams = dataclasses.replace(hparams, max_steps=arguments.max_steps)
        drum_scores(config, hparams, model, arguments.examples_path, arguments.examples)
        return
    labels, layout = labels_of(config, hparams, arguments.examples_path, count=arguments.examples,
                               seed=arguments.seed)
    latent_scores(config, model, labels, layout)


if __name__ == "__main__":
    main()
