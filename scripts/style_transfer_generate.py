r"""Plays pieces on the piano of a recording, the main job, or writes pieces with other models.

  style_transfer_generate --content=piece.mid --style=piano.wav --output_dir=out
  style_transfer_generate --config=drum_kit --primer_drums="[(36,)]" --output_dir=out
  style_transfer_generate --config=cat-mel_2bar_small --mode=interpolate --input_midi=a.mid,b.mid \
      --output_dir=out
  style_transfer_generate --config=midi2wave_small --content=piece.mid --output_dir=out \
      --primer_audio=piece.wav --primer_seconds=2 --seconds=4

Flags that are not of the piano say of which models they are.
"""

import time

from absl import flags

from style_transfer.scripts import _cli, _flags
from style_transfer.synthesis import una_corda

FLAGS = flags.FLAGS
AUDIO_FORMATS = ["wav", "flac"]

flags.DEFINE_string("config", "piano_ddsp", "The model: plays on the piano of --style by default; "
                    "drum_kit, cat-mel_2bar_small and their like write MIDI; midi2wave_small and "
                    "its like make audio sample by sample.")
flags.DEFINE_list("content", None, "The piece: MIDI files, serialized NoteSequences, recordings, "
                  "folders or globs of them, separated by commas. Several make a batch. Recordings "
                  "are transcribed.")
flags.DEFINE_string("style", None, "The piano: a recording of it (WAV, FLAC, MP3, OGG; 2 s or "
                    "more) or a .piano file.")
flags.DEFINE_string("style_midi", None, "Notes of the recording, in its time, if you have them: "
                    "the piano is fitted to the recording with them.")
flags.DEFINE_integer("adapt_steps", None, "Gradient steps of that fit; 0 is none.", lower_bound=0)
flags.DEFINE_string("output_dir", None, "Where the results go.")
flags.DEFINE_integer("sample_rate", 24000, "Of the audio written, 8000 to 48000 Hz. Above 24000 "
                     "nothing is added.")
flags.DEFINE_enum("format", "wav", AUDIO_FORMATS, "Format of the audio written.")
flags.DEFINE_float("loudness", None, "RMS of the audio written, dB full scale; by default that of "
                   "the style clip.")
flags.DEFINE_string("save_piano", None, "Where to keep what was estimated, *.piano; give it as "
                    "--style later.")
flags.DEFINE_string("checkpoint", None, "Weights: a name in the package or a folder; by default "
                    "those of the package.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_bool("overwrite", False, "Whether outputs that exist are made again.")
flags.DEFINE_bool("transcribe_style", True, "Whether the recording is transcribed where "
                  "--style_midi is not given, so that the piano can be fitted to it.")
flags.DEFINE_string("transcriber", None, "Weights of the transcriber: a name in the package or a "
                    "folder; by default those of the package.")
_flags.define_thresholds()
flags.DEFINE_float("soft_pedal_db", una_corda.DEFAULT_DB, "How much weaker the soft pedal makes "
                   "what is struck while it is down, in level and, more so, in its higher "
                   "partials; 0 turns it off.", lower_bound=0.0, upper_bound=una_corda.MAX_DB)
flags.DEFINE_bool("picture", True, "Whether a PNG is written.")
flags.DEFINE_string("mode", "sample", "Of MusicVAE: sample; reconstruct each of --input_midi; "
                    "interpolate between two; attribute, which is added to them.")
flags.DEFINE_list("input_midi", [], "Of MusicVAE: MIDI files, separated by commas.")
flags.DEFINE_list("attribute_with", [], "Of MusicVAE: MIDI files that have the attribute.")
flags.DEFINE_list("attribute_without", [], "Of MusicVAE: MIDI files that do not.")
flags.DEFINE_float("attribute_amount", 1.0, "Of MusicVAE: how much of it is added.")
flags.DEFINE_integer("num_outputs", 10, "Of MusicVAE and Drums RNN: how many are written, the ends "
                     "of an interpolation included.", lower_bound=1)
flags.DEFINE_integer("num_steps", 128, "Of Drums RNN: steps of a track, primer included; a bar of "
                     "drum_kit has 16.", lower_bound=1)
flags.DEFINE_string("primer_drums", None, "Of Drums RNN: what tracks begin with, pitches of each "
                    "step as a Python list of tuples; [(36,)] by default.")
flags.DEFINE_string("primer_midi", None, "Of Drums RNN: MIDI file that tracks begin with.")
flags.DEFINE_float("temperature", None, "Of MusicVAE (default 0.5), Drums RNN and WaveNets (1.0): "
                   "more is less predictable.", lower_bound=0.0)
flags.DEFINE_float("sustain_temperature", None, "Of WaveNets: the same while notes ring; by "
                   "default 0.65 of --temperature.", lower_bound=0.0)
flags.DEFINE_integer("beam_size", 1, "Of Drums RNN: beginnings pursued for each track.",
                     lower_bound=1)
flags.DEFINE_integer("branch_factor", 1, "Of Drums RNN: continuations tried for each of them.",
                     lower_bound=1)
flags.DEFINE_integer("steps_per_iteration", 1, "Of Drums RNN: steps between choosing the "
                     "likeliest.", lower_bound=1)
flags.DEFINE_float("qpm", 120.0, "Of MusicVAE and Drums RNN: tempo, quarters per minute.")
flags.DEFINE_float("seconds", None, "Of WaveNets: length of the audio, the primer included; by "
                   "default the whole piece.", lower_bound=0.0)
flags.DEFINE_list("primer_audio", [], "Of WaveNets: recordings of the pieces, one each or one for "
                  "all, that the audio begins with.")
flags.DEFINE_float("primer_seconds", 2.0, "Of WaveNets: how much of them is given; the rest runs "
                   "freely.", lower_bound=0.0)
flags.DEFINE_bool("teacher_forced", False, "Of WaveNets: each sample is predicted from the past of "
                  "--primer_audio, to its end.")
flags.DEFINE_integer("piano_id", None, "Of WaveNets trained on several pianos by number: which.",
                     lower_bound=0)

SHARED_FLAGS = ("output_dir", "seed", "overwrite")
DRUMS_FLAGS = (*SHARED_FLAGS, "num_outputs", "num_steps", "primer_drums", "primer_midi",
               "temperature", "beam_size", "branch_factor", "steps_per_iteration", "qpm")
LATENT_FLAGS = (*SHARED_FLAGS, "picture", "mode", "input_midi", "attribute_with",
                "attribute_without", "attribute_amount", "num_outputs", "temperature", "qpm")
PIANO_FLAGS = (*SHARED_FLAGS, "content", "style", "style_midi", "adapt_steps", "sample_rate",
               "format", "loudness", "save_piano", "transcribe_style", "transcriber",
               "soft_pedal_db", "picture", *_flags.THRESHOLDS)
WAVENET_FLAGS = (*SHARED_FLAGS, "content", "style", "picture", "temperature",
                 "sustain_temperature", "seconds",
                 "primer_audio", "primer_seconds", "teacher_forced", "piano_id")
FLAGS_OF = {"piano": PIANO_FLAGS, "wavenet": WAVENET_FLAGS, "drums_rnn": DRUMS_FLAGS,
            "music_vae": LATENT_FLAGS}


def main(argv):
    """Does what the model of `--config` does."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; give files with --content and --style.")
    family = _family()
    every = {name for names in FLAGS_OF.values() for name in names}
    _flags.refuse(sorted(every.difference(FLAGS_OF[family])), f"--config={FLAGS.config}")
    if not FLAGS.output_dir:
        raise ValueError("--output_dir is required; see --help.")
    if family == "piano":
        _play()
    elif family == "wavenet":
        _run_wavenet()
    else:
        _write_notes(FLAGS_OF[family])


def _family():
    """The key of the configuration in `FLAGS_OF`."""
    from style_transfer import configs

    config = configs.get(FLAGS.config)
    family = "piano" if config.name == "piano_ddsp" else config.family
    if family not in FLAGS_OF:
        raise ValueError(f"--config={FLAGS.config} generates nothing; give one of "
                         f"{', '.join(_generating())}.")
    return family


def _generating():
    from style_transfer import configs

    return [name for name in configs.names()
            if name == "piano_ddsp" or configs.get(name).family in FLAGS_OF]


def _write_notes(names):
    """MIDI written by Drums RNN or MusicVAE."""
    from style_transfer import configs
    from style_transfer.symbolic import options as options_lib

    values = _flags.values(names)
    if "input_midi" in values:
        values["inputs"] = values.pop("input_midi")
    options = options_lib.Options(**{name: tuple(value) if isinstance(value, list) else value
                                     for name, value in values.items()})
    config_name = configs.get(FLAGS.config).name
    options_lib.check(config_name, options)  # before Keras is loaded
    from style_transfer.symbolic import run

    model = run.load(config_name, FLAGS.checkpoint)
    for path in run.generate(config_name, model, options, _flags.report):
        print(path)


def _run_wavenet():
    """Audio made by a WaveNet of the notes of each content."""
    if not FLAGS.content:
        raise ValueError("--content is required; see --help.")
    from style_transfer import configs
    from style_transfer.models.wavenet import options as options_lib

    names = [name for name in WAVENET_FLAGS if name not in ("content", "temperature")]
    values = _flags.values(names)
    options = options_lib.Options(
        **{**values, "primer_audio": tuple(FLAGS.primer_audio)},
        temperature=1.0 if FLAGS.temperature is None else FLAGS.temperature)
    options_lib.check(options)  # before Keras is loaded
    from style_transfer.models.wavenet import generate as run

    model = run.load(configs.get(FLAGS.config).name, FLAGS.checkpoint)
    _finish(run.generate(model, FLAGS.content, options, report=_flags.report))


def _finish(summary, begun=None):
    took = "" if begun is None else f" ({time.monotonic() - begun:.1f} s)"
    print(f"{summary}{took}")
    if not summary.written and not summary.kept:
        raise ValueError("Nothing was written.")


def _play():
    """Checks everything that can be wrong, then estimates the piano once and plays each piece."""
    for name in ("content", "style"):
        if not getattr(FLAGS, name):
            raise ValueError(f"--{name} is required; see --help.")
    from style_transfer.models.piano_ddsp import generate as batch

    begun = time.monotonic()
    options = batch.Options(
        style=FLAGS.style, style_midi=FLAGS.style_midi, adapt_steps=FLAGS.adapt_steps,
        output_dir=FLAGS.output_dir, sample_rate=FLAGS.sample_rate, audio_format=FLAGS.format,
        loudness=FLAGS.loudness, save_piano=FLAGS.save_piano, checkpoint=FLAGS.checkpoint,
        seed=FLAGS.seed, overwrite=FLAGS.overwrite, picture=FLAGS.picture,
        transcriber=FLAGS.transcriber, thresholds=_flags.thresholds(),
        transcribe_style=FLAGS.transcribe_style, soft_pedal_db=FLAGS.soft_pedal_db)
    summary = batch.generate(FLAGS.content, options, report=_flags.report)
    _finish(summary, begun)


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
