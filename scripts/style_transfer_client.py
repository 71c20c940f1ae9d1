"""Asks a server (style_transfer_serve or TensorFlow Serving) to play pieces on a piano.

The piano is estimated once; with --adapt it is fitted to the recording, which only
style_transfer_serve can do. --save_piano keeps it for later, --style takes it.
--transcribe asks a transcription model for the notes of recordings instead; --model_name names any
other model that plays pieces, such as midi2wave_small: the server says what it takes.
"""

import functools
import pathlib
import time

from absl import flags

from style_transfer import options
from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS
TOKEN_VARIABLE = "STYLE_TRANSFER_TOKEN"
PORTS = {"rest": 8501, "grpc": 8500}
PIANO_SUFFIX = ".piano"

_flags.group("Server")
flags.DEFINE_string("server", None, "host:port; by default this machine and the protocol's usual "
                    "port.")
flags.DEFINE_enum("protocol", "rest", list(PORTS), "How to talk to it.")
flags.DEFINE_string("model_name", None, "The model's name on the server; by default piano_ddsp, "
                    "with --transcribe onsets_frames_small.")
flags.DEFINE_integer("model_version", None, "The model's version; by default the newest.",
                     lower_bound=1)
flags.DEFINE_bool("status", False, "Only tell what the server has of --model_name (several "
                  "separated by commas), or of all names of the package's weights.")
flags.DEFINE_string("token_file", None, "File with the server's bearer token; by default the "
                    f"environment's {TOKEN_VARIABLE}.")
flags.DEFINE_float("deadline_secs", 120.0, "How long a call may take, tries included, seconds.",
                   lower_bound=0.1)
flags.DEFINE_integer("retries", 4, "Tries after the first, when the server is busy or starting.",
                     lower_bound=0)
_flags.group("Play")
_flags.define_list("content", None, "The pieces: MIDI files, scores (MusicXML, ABC) or serialized "
                   "NoteSequences.")
flags.DEFINE_string("tracks", "all", "Which instruments of a piece are played, see "
                    "style_transfer_generate.")
flags.DEFINE_string("style", None, "The piano: a recording of it (WAV, FLAC, MP3, OGG, M4A), or a "
                    ".piano file that has been fitted to one.")
flags.DEFINE_bool("adapt", False, "Fit the piano to the recording.")
flags.DEFINE_string("style_midi", None, "Notes of the recording, in its time, for --adapt; by "
                    "default the server transcribes it.")
flags.DEFINE_integer("adapt_steps", None, "Gradient steps of the fit to the recording.",
                     lower_bound=0)
flags.DEFINE_string("save_piano", None, "Where to keep the piano, *.piano; give it as --style "
                    "later, here or in style_transfer_generate.")
flags.DEFINE_string("output_dir", None, "Folder of the WAV or MIDI files.")
flags.DEFINE_bool("overwrite", False, options.OVERWRITE)
flags.DEFINE_string("loudness", None, "Level of what is played, pauses aside: RMS in dB full "
                    "scale, -20 by default; or clip, for that of the recording.")
_flags.group("Play with a model that draws samples")
flags.DEFINE_integer("seed", 0, "Seed of the draws.")
flags.DEFINE_float("temperature", 1.0, "Of the draws: less is less noisy, 0 takes the likeliest.",
                   lower_bound=0.0)
flags.DEFINE_float("sustain_temperature", None, "Of the draws while notes ring; by default 0.65 of "
                   "--temperature.", lower_bound=0.0)
flags.DEFINE_integer("piano_id", None, "Which piano, for models that were trained on several by "
                     "number.", lower_bound=0)
_flags.group("Transcribe")
_flags.define_list("transcribe", None, "Instead of --content: recordings whose notes are written "
                   "as MIDI files.")


def main(argv):
    """Checks everything that can be wrong here, then asks the server."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; give files with --content and --style.")
    if not FLAGS.status:
        _check_flags()
    import numpy as np

    from style_transfer import audio
    from style_transfer.serving import client as client_lib

    def connected(name):
        return client_lib.connect(
            FLAGS.protocol, FLAGS.server or f"127.0.0.1:{PORTS[FLAGS.protocol]}", model=name,
            version=FLAGS.model_version, token=_token(), deadline_secs=FLAGS.deadline_secs,
            retries=client_lib.Retries(FLAGS.retries))

    name = FLAGS.model_name or _default_name()
    if FLAGS.status:
        _status(connected)
        return
    with connected(name) as client:
        if FLAGS.transcribe:
            _for_each(FLAGS.transcribe, ".mid", name, lambda path, _: _transcribed(client, path))
            return
        signatures = client.signatures()
        _check_fit(name, signatures)
        if "play" not in signatures:
            inputs = signatures["serving_default"]
            _for_each(FLAGS.content, ".wav", name, lambda path, say: _sounding(
                _at_once(client, inputs, _notes(path, say))))
            return
        piano = _piano(client, name)
        kept = dict(piano)
        piano["loudness_db"] = np.float32(audio.loudness_db(FLAGS.loudness, piano["loudness_db"]))
        if FLAGS.save_piano:
            _save(kept, name)
        if FLAGS.content:
            _for_each(FLAGS.content, ".wav", name, lambda path, say: _sounding(
                client.play(piano, _notes(path, say))))


def _status(connected):
    """Says what the server has of --model_name, or of all names of the package's weights."""
    from style_transfer import weights
    from style_transfer.serving.client import ServingError

    said = False
    for name in FLAGS.model_name.split(",") if FLAGS.model_name else weights.names():
        try:
            with connected(name) as client:
                versions = client.status()
        except ServingError as error:
            if FLAGS.model_name or error.code != "NOT_FOUND":
                raise
            continue
        for version, state in sorted(versions.items()):
            print(f"{name} version {version}: {state}")
            said = True
    if not said:
        raise ValueError("The server has no model of the package's names: give --model_name.")


def _default_name():
    return "onsets_frames_small" if FLAGS.transcribe else "piano_ddsp"


def _check_flags():
    from style_transfer import audio, files, outputs
    from style_transfer.midi import tracks

    tracks.parse(FLAGS.tracks)
    audio.loudness_db(FLAGS.loudness, 0.0)
    if FLAGS.transcribe:
        _check_transcribe_flags()
        return
    if not FLAGS.content and not FLAGS.save_piano:
        raise ValueError("--content is required; see --help.")
    if FLAGS.content and not FLAGS.output_dir:
        raise ValueError("--output_dir is required; see --help.")
    if (FLAGS.adapt_steps is not None or FLAGS.style_midi) and not FLAGS.adapt:
        raise ValueError("--style_midi and --adapt_steps belong to --adapt; give it too.")
    if _is_piano() and FLAGS.adapt:
        raise ValueError("--adapt needs a recording, and --style is a .piano file.")
    for path in filter(None, (FLAGS.style, FLAGS.style_midi, *(FLAGS.content or ()))):
        if not pathlib.Path(path).is_file():
            raise FileNotFoundError(f"There is no file {path!r}.")
    if FLAGS.save_piano:
        if not FLAGS.save_piano.endswith(PIANO_SUFFIX):
            raise ValueError(f"--save_piano must end in {PIANO_SUFFIX}, got {FLAGS.save_piano!r}.")
        outputs.check_named(FLAGS.save_piano, FLAGS.overwrite, _piano_recipe())
    if FLAGS.output_dir:
        files.check_folder(FLAGS.output_dir)


def _piano_recipe():
    from style_transfer import outputs

    return outputs.recipe_of(*(FLAGS[name].value for name in (
        "style", "style_midi", "adapt", "adapt_steps", "model_name", "model_version")))


def _is_piano():
    return bool(FLAGS.style) and FLAGS.style.endswith(PIANO_SUFFIX)


def _check_fit(name, signatures):
    """Raises ValueError if the flags ask for what the model cannot do."""
    inputs = signatures.get("serving_default", frozenset())
    if "content_bytes" not in inputs:
        raise ValueError(f"The model {name} plays no pieces: it takes "
                         f"{', '.join(sorted(inputs))}. Name another with --model_name, or give "
                         "recordings with --transcribe.")
    if "play" in signatures:
        if not FLAGS.style:
            raise ValueError("--style is required: a recording of the piano, or a .piano file.")
        return
    for flag in ("save_piano", "adapt"):
        if getattr(FLAGS, flag):
            raise ValueError(f"--{flag} has nothing to do with {name}, whose piano cannot be kept.")
    for flag, wanted in (("style", "style_bytes"), ("piano_id", "piano_id")):
        is_given = getattr(FLAGS, flag) is not None
        if is_given != (wanted in inputs):
            raise ValueError(f"The model {name} {'knows no' if is_given else 'needs'} --{flag}.")


def _check_transcribe_flags():
    for name in ("content", "style", "save_piano", "adapt"):
        if getattr(FLAGS, name):
            raise ValueError(f"--{name} has nothing to do with --transcribe; give one of them.")
    if not FLAGS.output_dir:
        raise ValueError("--output_dir is required; see --help.")
    for path in FLAGS.transcribe:
        if not pathlib.Path(path).is_file():
            raise FileNotFoundError(f"There is no file {path!r}.")


def _piano(client, name):
    begun = time.monotonic()
    if _is_piano():
        return _load(FLAGS.style, name)
    if FLAGS.adapt:
        piano = client.adapt(FLAGS.style, FLAGS.style_midi, FLAGS.adapt_steps)
    else:
        piano = client.encode_style(FLAGS.style)
    how = "fitted to" if FLAGS.adapt else "estimated from"
    print(f"piano {how} {FLAGS.style} ({time.monotonic() - begun:.1f} s)", flush=True)
    return piano


def _for_each(paths, suffix, name, answer):
    """Writes answers of a server; `answer` gives how one is saved, and what it is."""
    from style_transfer import files, outputs

    summary, begun = files.Summary(), time.monotonic()
    say = summary.remark(_flags.report)
    # What the results depend on, beside the piece.
    asked = [name, *(FLAGS[flag].value for flag in (
        "model_version", "style", "adapt", "style_midi", "adapt_steps", "seed", "temperature",
        "sustain_temperature", "piano_id", "tracks", "loudness"))]
    todo = outputs.Outputs(FLAGS.output_dir, FLAGS.overwrite, (
        *paths, FLAGS.style, FLAGS.style_midi)).to_make(
        [(path, outputs.recipe_of(*asked, path)) for path in paths], (suffix,), summary,
        _flags.report, FLAGS.style and pathlib.Path(FLAGS.style).stem)

    def write(path, target):
        save, what = answer(path, say)
        save(target)
        return what

    for path, place in todo:
        outputs.make(path, place, summary, _flags.report, functools.partial(write, path))
    _flags.finish(summary, time.monotonic() - begun)


def _notes(path, say):
    from style_transfer import content

    return content.content_sequence(path, FLAGS.tracks, say)


def _at_once(client, inputs, path):
    """The answer of a model whose piano has no parameters of its own."""
    if "seed" not in inputs:
        return client.transfer(FLAGS.style, path)
    from style_transfer.models.wavenet import options

    sustain = options.sustain_temperature(FLAGS.temperature, FLAGS.sustain_temperature)
    return client.generate(path, FLAGS.seed, FLAGS.temperature, sustain, FLAGS.style,
                           FLAGS.piano_id)


def _sounding(result):
    from style_transfer import audio

    return lambda target: audio.save(target, result), f"{result.duration_secs:.1f} s of audio"


def _transcribed(client, path):
    from style_transfer import piano_roll

    sequence = client.transcribe(path)
    return (lambda target: piano_roll.save_midi(target, sequence),
            f"{len(sequence.notes)} notes")


def _save(piano, name):
    from style_transfer import outputs
    from style_transfer.models.piano_ddsp import piano as piano_lib

    kept = piano_lib.Piano(
        **{key: piano[key] for key in ("style", "f0_hz", "inharmonicity")},
        loudness_db=float(piano["loudness_db"]),
        corrections={key: piano[key] for key in piano_lib.CORRECTIONS},
        name=pathlib.Path(FLAGS.style).stem, weights=_weights_name(name))
    with outputs.named(FLAGS.save_piano, FLAGS.overwrite, _piano_recipe()) as partial:
        kept.save(partial)
    print(f"wrote {FLAGS.save_piano}", flush=True)


def _load(path, name):
    from style_transfer.models.piano_ddsp import piano as piano_lib

    piano = piano_lib.Piano.load(path)
    if piano.weights != _weights_name(name):
        raise ValueError(f"The piano {path} was estimated with the weights {piano.weights!r}, but "
                         f"{name} has {_weights_name(name)!r}. Estimate it again from its clip.")
    if piano.corrections is None:
        raise ValueError(f"The piano {path} has not been fitted to a recording: give that "
                         "as --style.")
    return {"style": piano.style, "f0_hz": piano.f0_hz, "inharmonicity": piano.inharmonicity,
            "loudness_db": piano.loudness_db, **piano.corrections}


def _weights_name(name):
    """What the package's weights of a name are called; a server's of that name are taken for it."""
    import json

    from style_transfer import weights

    if name not in weights.names():
        return name
    return json.loads((weights.folder(name) / weights.CONFIG_FILE).read_text())["name"]


def _token():
    import os

    if FLAGS.token_file:
        return pathlib.Path(FLAGS.token_file).read_text(encoding="utf-8").strip()
    return os.environ.get(TOKEN_VARIABLE) or None


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
