"""Tiny models of all kinds, trained by one process, two workers or two devices of one.

`python -m tests.training.families one|mirrored|multiworker EXAMPLES OUT [NAME...]` writes what each
ends with to `OUT/NAME.npz`.
"""

import dataclasses
import functools
import pathlib
import sys

import numpy as np

from style_transfer import configs
from style_transfer.pipelines.example_kinds import DRUM_TRACK_FILES, SEQUENCE_FILES

STEPS = 10
RATE = 16_000
_WAVENET = (f"batch_size=4,sample_rate={RATE},crop_secs=0.1,num_layers=3,dilation_cycle=3,"
            "residual_channels=4,skip_channels=4,hidden_channels=4,num_mixtures=2,"
            "context_layers=2,context_channels=4,style_secs=1,predictor_taps=0,input_noise=0.01,"
            "input_dropout=0.2,scheduled_sampling=0.3")
_PERFORMANCE = ("batch_size=4,crop_secs=0.512,style_secs=1,channels=[8,10],kernel_size=3,"
                "style_size=4,texture_bands=[2],texture_channels=4,texture_blocks=1")
_MELODIES = "batch_size=8,z_size=8,enc_rnn_size=[16],dec_rnn_size=[16]"
_CODES = "batch_size=4,crop_secs=0.512,style_secs=1,width=8,code_width=8,style_size=4,style_width=8"
# Where they draw random numbers, see the whole batch or weigh examples differently, they do so.
CASES = {
    "piano_ddsp": "batch_size=4,sample_rate=16000,crop_secs=0.6,style_secs=1,max_notes=6,hop=160,"
                  "style_size=8,width=16,num_layers=2,context_filters=8,dilations=[1,2],"
                  "num_partials=20,num_oscillators=32,room_secs=0.1,warmup_secs=0.1,augment=true",
    "onsets_frames_small": "batch_size=4,crop_secs=1,width=8,dilations=[1,2],frame_dilations=[2],"
                           "related=2,fft_sizes=[1024,512],bins_per_semitone=[1,1]",
    # Variances near 1,000 of its first layers are sums that round by 1e-5.
    "onsets_frames": "batch_size=4,crop_secs=1,num_filters=[4,4,4],fc_size=16,onset_lstm_units=4,"
                     "offset_lstm_units=4,combined_lstm_units=4,learning_rate=0.0002",
    "midi2wave": _WAVENET,
    "midi2wave_autoencoder": _WAVENET,
    "midi2wave_small": _WAVENET.replace("predictor_taps=0", "predictor_taps=16,skip_samples=64"),
    "wavenet_spectral": f"batch_size=4,sample_rate={RATE},crop_secs=0.2,style_secs=1,num_layers=2,"
                        "context_layers=2,channels=4,hidden_channels=4,context_channels=4,"
                        "style_size=4",
    "performance_net": _PERFORMANCE,
    "pre_spec_unet": _PERFORMANCE,
    "vocoder": "batch_size=4,crop_secs=0.256,width=8,num_blocks=1,kernel_size=3,fft_sizes=[512]",
    "ss_vq_vae": _CODES,
    "ss_vq_vae_small": _CODES,
    "glow_style": "batch_size=4,crop_secs=0.512,style_secs=1.0,num_levels=2,num_steps=1,width=8,"
                  "num_layers=1,content_width=8,style_size=4,style_width=8",
    "timbre_metric": "batch_size=4,width=8,clip_secs=4.1",
    "cat-mel_2bar_small": f"{_MELODIES},sampling_rate=5",
    "cat-drums_2bar_small": f"{_MELODIES},sampling_rate=5,free_bits=1",
    "hierdec-trio_16bar": "batch_size=8,z_size=8,enc_rnn_size=[16],enc_segments=16,"
                          "chrono_bias=true,dec_rnn_size=[16],conductor_rnn_size=[8],"
                          "conductor_input_size=2,free_bits=1,"
                          "sampling_schedule=inverse_sigmoid,sampling_rate=5",
    "drum_kit": "batch_size=4,max_steps=32,rnn_layer_sizes=[8,8],attn_length=4",
    "one_drum": "batch_size=4,max_steps=32,rnn_layer_sizes=[8,8]",
}
# Configurations that differ from a case in sizes alone, or do less.
COVERED = {"performance_net_original": "performance_net", "cat-mel_2bar_big": "cat-mel_2bar_small",
           "flat-mel_16bar": "cat-drums_2bar_small", "hierdec-mel_16bar": "hierdec-trio_16bar",
           "flat-mel_16bar_small": "hierdec-trio_16bar",
           "hierdec-mel_16bar_small": "hierdec-trio_16bar"}

# Folders of examples that are no recordings: steps and classes of each voice, and features and
# classes of a step.
_SEQUENCES = {"melodies": (32, 90), "drum_patterns": (32, 512), "trios": (256, 90, 90, 512)}
_TRACKS = {"drums": (518, 512), "one_drum": (2, 2)}
EXAMPLES = {"cat-mel_2bar_small": "melodies", "cat-drums_2bar_small": "drum_patterns",
            "hierdec-trio_16bar": "trios", "drum_kit": "drums", "one_drum": "one_drum"}


def write_examples(folder):
    """Records of recordings, of sequences and of drums, a folder each; of several lengths."""
    import tensorflow as tf

    from tests.pipelines import tiny_pairs

    tiny_pairs.write_records(folder / "pairs" / "a.tfrecord", [
        tiny_pairs.example(f"{split}{i}", 4.2 + 0.4 * i, seed=i, timbre="abc"[i % 3], rate=RATE,
                           split=split)
        for split, places in (("train", range(6)), ("eval", range(6, 9))) for i in places])
    rng = np.random.default_rng(0)

    def integers(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def sequence(steps, classes):
        labels = integers(rng.integers(0, classes, (steps, len(classes))).ravel())
        return tf.train.Example(features=tf.train.Features(feature={"labels": labels}))

    def track(length, depth, classes):
        features = rng.integers(0, 2, (length, depth))
        inputs = [tf.train.Feature(float_list=tf.train.FloatList(value=step)) for step in features]
        labels = [integers([label]) for label in rng.integers(0, classes, length)]
        return tf.train.SequenceExample(feature_lists=tf.train.FeatureLists(feature_list={
            "inputs": tf.train.FeatureList(feature=inputs),
            "labels": tf.train.FeatureList(feature=labels)}))

    def write(path, made):
        tiny_pairs.write_records(path, [example.SerializeToString() for example in made])

    for name, (steps, *classes) in _SEQUENCES.items():
        for split, count in (("train", 20), ("eval", 4)):
            write(folder / name / SEQUENCE_FILES[split],
                  [sequence(steps, classes) for _ in range(count)])
    for name, sizes in _TRACKS.items():
        for split, lengths in (("train", (9, 16, 25, 32, 40)), ("eval", (16, 32))):
            write(folder / name / DRUM_TRACK_FILES[split],
                  [track(length, *sizes) for length in lengths])


def examples_of(folder, name):
    return str(pathlib.Path(folder) / EXAMPLES.get(name, "pairs"))


def hparams_of(name):
    return configs.parse_hparams(CASES[name], configs.get(name).hparams)


def train(name, strategy, examples, run_dir):
    """The trained model."""
    from style_transfer import training

    config, hparams = configs.get(name), hparams_of(name)
    # Adam itself makes whole steps of gradients that are nothing but rounding errors.
    config = dataclasses.replace(config, build_optimizer=lambda hparams: training.GuardedAdam(
        hparams.learning_rate, epsilon=1e-2, global_clipnorm=1.0))
    options = training.TrainOptions(str(run_dir), examples, STEPS, eval_interval=0,
                                    strategy=strategy, log_interval=STEPS)
    return training.train(config, hparams, options, lambda line: None)


def main(kind, examples, out, *names):
    """Trains what is named, or all."""
    import tensorflow as tf

    from style_transfer.training import strategies

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if kind == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # A process can join a cluster once.
    strategies.make_placement = functools.cache(strategies.make_placement)
    strategy = "default" if kind == "one" else kind
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name in names or CASES:
        model = train(name, strategy, examples_of(examples, name), out / f"run-{name}")
        np.savez(out / f"{name}.npz", **{f"{i:03d} {v.path}": np.asarray(v)
                                         for i, v in enumerate(model.weights)})
        print(kind, name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
