"""What keeps a WaveNet listening to its MIDI: short runs of a small one, one remedy each.

    python -m benchmarks.wavenet_conditioning --examples_path=examples --runs_dir=runs/remedies \
        --steps=1000 [--remedies=none,noise,excitation] [--hparams=crop_secs=0.5]

For each: nats per sample; `conditioning_gain`, what other MIDI costs, nats per sample; and onset F1
of free-running audio, heard by the package's transcriber, beside chance (the same audio against
other pieces' MIDI) and beside the recordings. Runs that are there already go on.
"""

import argparse
import dataclasses
import json
import pathlib
import time

import numpy as np

# What `none` lacks, and the seed design's long memory in as many layers.
WITHOUT = ("excitation_partials=0,predictor_taps=0,input_noise=0,input_dropout=0,"
           "scheduled_sampling=0,auxiliary=none,dilation_cycle=11")
REMEDIES = {
    "none": "",
    "noise": "input_noise=0.02",
    "dropout": "input_dropout=0.3",
    "scheduled": "scheduled_sampling=0.3",
    "transcription": "auxiliary=transcription",
    "spectral": "auxiliary=spectral,auxiliary_weight=0.1",
    "short_field": "dilation_cycle=5",
    "excitation": "excitation_partials=8",
    "predictor": "predictor_taps=128",
}
AS_SHIPPED = "as_configured"
COLUMNS = (("nll", "nats/sample", "{:.3f}"), ("conditioning_gain", "gain", "{:.4f}"),
           ("onset_f1", "onset F1", "{:.3f}"), ("chance_onset_f1", "chance", "{:.3f}"),
           ("recording_onset_f1", "recording", "{:.3f}"), ("parameters", "parameters", "{:,.0f}"),
           ("receptive_secs", "memory, s", "{:.3f}"), ("secs", "took, s", "{:.0f}"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples_path", required=True)
    parser.add_argument("--runs_dir", required=True)
    parser.add_argument("--config", default="midi2wave_small")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--remedies", default=",".join([*REMEDIES, AS_SHIPPED]))
    parser.add_argument("--hparams", default="", help="of all runs")
    parser.add_argument("--clips", type=int, default=8, help="that run freely")
    parser.add_argument("--secs", type=float, default=4.0, help="how long each")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default=None, help="JSON to write")
    return parser.parse_args()


def hparams_of(config, remedy, shared):
    """Hparams of a run: the config's, what all have, and those of the remedy alone."""
    from style_transfer import configs

    found = configs.parse_hparams(shared, config.hparams)
    if remedy == AS_SHIPPED:
        return found
    if remedy not in REMEDIES:
        raise ValueError(f"There is no remedy {remedy!r}: choose from "
                         f"{', '.join([*REMEDIES, AS_SHIPPED])}.")
    return configs.parse_hparams(REMEDIES[remedy], configs.parse_hparams(WITHOUT, found))


def measure(config, hparams, run_dir, arguments):
    """Trains, and scores what came out: a dict of numbers."""
    from style_transfer import training
    from style_transfer.models.wavenet import evaluate

    begun = time.monotonic()
    options = training.TrainOptions(str(run_dir), arguments.examples_path, arguments.steps,
                                    eval_interval=0, checkpoint_interval=arguments.steps,
                                    seed=arguments.seed)
    model = training.train(config, hparams, options)
    took = time.monotonic() - begun
    [scores] = training.evaluate(config, hparams, run_dir=str(run_dir),
                                 examples_path=arguments.examples_path).values()
    clips = dataclasses.replace(hparams, crop_secs=arguments.secs, batch_size=arguments.clips)
    x, _ = next(iter(config.build_dataset(arguments.examples_path, clips, "eval", seed=0)))
    x = {name: np.asarray(value) for name, value in x.items()}
    free = evaluate.free_running_scores(model, x, seed=arguments.seed,
                                        temperature=arguments.temperature)
    audio = free.pop("audio")
    np.save(run_dir / "free_running.npy", audio)
    return {**scores, **free, "parameters": model.count_params(), "secs": took,
            "clips": len(audio), "receptive_secs": model.receptive_field / model.sample_rate}


def table(rows):
    """The rows of `measure` by name, as text."""
    lines = [f"{'':15}" + "".join(f"{title:>13}" for _, title, _ in COLUMNS)]
    for name, row in rows.items():
        cells = [form.format(row[key]) if key in row else "-" for key, _, form in COLUMNS]
        lines.append(f"{name:15}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join(lines)


def main():
    arguments = parse()
    from style_transfer import configs

    config, rows = configs.get(arguments.config), {}
    names = arguments.remedies.split(",")
    every = {name: hparams_of(config, name, arguments.hparams) for name in names}
    for name, hparams in every.items():
        print(f"--- {name}", flush=True)
        rows[name] = measure(config, hparams, pathlib.Path(arguments.runs_dir) / name, arguments)
        print(table(rows), flush=True)
        if arguments.output:
            pathlib.Path(arguments.output).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
