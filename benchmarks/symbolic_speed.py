r"""Speed of MusicVAE and Drums RNN: this project's beside Magenta's own code, at the same sizes.

    python -m benchmarks.symbolic_speed [--config=cat-mel_2bar_small] [--batch=32] [--repeats=6]

Magenta's models need Keras 2 and TensorFlow's version 1 behaviour, so that each side runs in
processes of its own, in turns: theirs with TF_USE_LEGACY_KERAS=1, which takes the `tf_keras` that
requirements/classic.lock pins to TensorFlow's version, magenta installed without its dependencies,
and `tf_slim`. `MAGENTA_PYTHON` names another interpreter that has them. Both sides get random
weights and the same random sequences, one thread each. What is compared is processor time, which
does not depend on what else runs: the least of all repeats.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np

SIDES = ("this project", "magenta")
THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1",
           "TF_CPP_MIN_LOG_LEVEL": "3"}
DRUM_STEPS = 128


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="cat-mel_2bar_small")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=6, help="steps of each turn")
    parser.add_argument("--turns", type=int, default=2, help="processes of each side")
    parser.add_argument("--side", choices=SIDES, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def least(function, repeats):
    """Processor time of a call, seconds: the least of `repeats`, after one to warm up."""
    function()
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        function()
        found.append(time.process_time() - begun)
    return min(found)


def random_classes(batch, steps, depths):
    """One-hot classes, `[batch, steps, sum of depths]`."""
    rng = np.random.default_rng(0)
    return np.concatenate([np.eye(depth, dtype=np.float32)[rng.integers(0, depth, (batch, steps))]
                           for depth in depths], axis=-1)


def random_vectors(batch, size):
    return np.random.default_rng(1).normal(size=(batch, size)).astype(np.float32)


def ours(arguments):
    """Seconds of a training step and of sampling a batch."""
    from style_transfer import configs
    from style_transfer.training.trainer import FittedModel

    config = configs.get(arguments.config)
    batch = arguments.batch
    model = config.build_model(config.hparams)
    model.build(None)
    if config.name in ("drum_kit", "one_drum"):
        x = {"inputs": random_classes(batch, DRUM_STEPS, [model.input_size])}
        y = {"labels": random_classes(batch, DRUM_STEPS, [model.num_classes]).argmax(-1),
             "lengths": np.full(batch, DRUM_STEPS, np.int32)}
    else:
        steps = model.max_seq_len
        outputs = random_classes(batch, steps, model.output_depths).astype(np.uint8)
        y = {"outputs": outputs, "lengths": np.full(batch, steps, np.int32)}
        x = {"inputs": outputs[..., :model.input_depth], **y}
    fitted = FittedModel(model, config.build_loss(config.hparams))
    fitted.compile(optimizer=config.build_optimizer(config.hparams), jit_compile=False)
    found = {"training": least(lambda: fitted.train_on_batch(x, y), arguments.repeats)}
    if config.name in ("drum_kit", "one_drum"):
        from style_transfer.models.drums_rnn import sampling as drums

        options = drums.DrumOptions(num_steps=DRUM_STEPS, num_outputs=1, beam_size=batch,
                                    steps_per_iteration=DRUM_STEPS)

        def sample():
            return drums.generate(model, config.examples.layout, options)
    else:
        from style_transfer.models.music_vae import latent

        layout, z = config.examples.layout, random_vectors(batch, model.z_size)

        def sample():
            return latent.decode(model, layout, z)
    return {**found, "sampling": least(sample, arguments.repeats)}


def magenta(arguments):
    """The same of Magenta's own graphs."""
    np.bool = np.bool_  # Magenta 2.1.4 uses a name that NumPy took back
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    if arguments.config in ("drum_kit", "one_drum"):
        return _magenta_drums(tf, arguments)
    from magenta.models.music_vae import configs

    def build(is_training):
        config = configs.CONFIG_MAP[arguments.config]
        config.hparams.batch_size = arguments.batch
        depths = getattr(config.model.decoder, "_output_depths", None)
        converter = config.data_converter
        config.model.build(config.hparams, converter.output_depth, is_training=is_training)
        return config, depths or [converter.output_depth], converter.input_depth

    found = {}
    with tf.Graph().as_default():
        config, depths, input_depth = build(True)
        steps = config.hparams.max_seq_len
        outputs = random_classes(arguments.batch, steps, depths)
        places = [tf.placeholder(tf.float32, outputs.shape),
                  tf.placeholder(tf.int32, (arguments.batch,))]
        optimizer = config.model.train(places[0][..., :input_depth], *places)
        step = _clipped_step(tf, optimizer, config.model.loss, 1.0)
        feed = dict(zip(places, (outputs, np.full(arguments.batch, steps)), strict=True))
        found["training"] = _least_of_session(tf, step, feed, arguments.repeats)
    with tf.Graph().as_default():
        config, _, _ = build(False)
        z = tf.placeholder(tf.float32, (arguments.batch, config.hparams.z_size))
        drawn = config.model.sample(arguments.batch, max_length=config.hparams.max_seq_len, z=z,
                                    temperature=0.5)
        found["sampling"] = _least_of_session(
            tf, drawn, {z: random_vectors(arguments.batch, config.hparams.z_size)},
            arguments.repeats)
    return found


def _magenta_drums(tf, arguments):
    """Drums RNN; the graph of training is fed by placeholders in place of its queue.

    Both sides sample as many tracks at once as a beam holds, and keep the likeliest.
    """
    import note_seq
    from tensorflow.python.framework import indexed_slices, ops

    ops.IndexedSlices = indexed_slices.IndexedSlices  # tf_slim looks for it where it was
    from magenta.models.drums_rnn import drums_rnn_model
    from magenta.models.shared import events_rnn_graph

    config = drums_rnn_model.default_configs[arguments.config]
    config.hparams.batch_size = arguments.batch
    encoder = config.encoder_decoder
    with tf.Graph().as_default():
        inputs = random_classes(arguments.batch, DRUM_STEPS, [encoder.input_size])
        labels = random_classes(arguments.batch, DRUM_STEPS, [encoder.num_classes]).argmax(-1)
        places = [tf.placeholder(tf.float32, inputs.shape), tf.placeholder(tf.int64, labels.shape),
                  tf.placeholder(tf.int32, (arguments.batch,))]
        events_rnn_graph.magenta.common.get_padded_batch = lambda *_, **__: places
        events_rnn_graph.get_build_graph_fn(
            "train", config, sequence_example_file_paths=["none"])()
        step = tf.get_collection("train_op")[0]
        feed = dict(zip(places, (inputs, labels, np.full(arguments.batch, DRUM_STEPS)),
                        strict=True))
        found = {"training": _least_of_session(tf, step, feed, arguments.repeats)}
    model = drums_rnn_model.DrumsRnnModel(config)
    with tf.Graph().as_default(), _one_thread(tf) as session:
        model._build_graph_for_generation()
        session.run(tf.global_variables_initializer())
        model._session = session
        found["sampling"] = least(lambda: model.generate_drum_track(
            DRUM_STEPS, note_seq.DrumTrack([frozenset([36])]), beam_size=arguments.batch,
            steps_per_iteration=DRUM_STEPS), arguments.repeats)
    return found


def _clipped_step(tf, optimizer, loss, norm):
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    gradients, _ = tf.clip_by_global_norm(gradients, norm)
    return optimizer.apply_gradients(zip(gradients, variables, strict=True),
                                     global_step=tf.train.get_or_create_global_step())


def _least_of_session(tf, fetch, feed, repeats):
    with _one_thread(tf) as session:
        session.run(tf.global_variables_initializer())
        return least(lambda: session.run(fetch, feed), repeats)


def _one_thread(tf):
    return tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1,
                                            inter_op_parallelism_threads=1))


def run_side(side, arguments):
    """Measures in another process."""
    environment = {**os.environ, **THREADS}
    python = sys.executable
    if side == "magenta":
        environment["TF_USE_LEGACY_KERAS"] = "1"
        python = os.environ.get("MAGENTA_PYTHON", python)
    done = subprocess.run(
        [python, "-m", "benchmarks.symbolic_speed", f"--side={side}", f"--batch={arguments.batch}",
         f"--config={arguments.config}", f"--repeats={arguments.repeats}"], env=environment,
        capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{side} does not run here: {done.stderr.strip().splitlines()[-1]}")
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def main():
    arguments = parse()
    if arguments.side:
        measure = {"this project": ours, "magenta": magenta}[arguments.side]
        print(json.dumps(measure(arguments)))
        return
    best = {side: {} for side in SIDES}
    for _ in range(arguments.turns):
        for side in SIDES:
            for what, secs in run_side(side, arguments).items():
                best[side][what] = min(secs, best[side].get(what, secs))
    print(f"{arguments.config}, {arguments.batch} sequences, one thread, {platform.machine()}, "
          f"Python {platform.python_version()}")
    for what, rate in (("training", 1), ("sampling", arguments.batch)):
        rates = [rate / best[side][what] if what in best[side] else None for side in SIDES]
        if rates[0] is None:
            continue
        unit = "steps/s" if what == "training" else "sequences/s"
        line = f"{what:10} {SIDES[0]} {rates[0]:9.2f} {unit}"
        if rates[1]:
            line += f"   {SIDES[1]} {rates[1]:9.2f}   ratio {rates[0] / rates[1]:.2f}"
        print(line)


if __name__ == "__main__":
    main()
