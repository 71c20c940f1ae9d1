"""Magenta's own commands, done by ours: its documents' command lines run as they are written.

What is merely called something else is an alias of ours (`_flags.ALIASES`), so that this table
holds only what is said in another way, or not at all. Ours are understood as well.
"""

import dataclasses
import functools
import importlib
import sys
from collections.abc import Callable, Mapping

from absl import flags

from style_transfer.scripts import _cli, _flags

_FOREVER = 10**9  # steps
_BOOLEANS = ("eval", "cache_dataset", "use_tpu", "load_audio_with_librosa", "preprocess_examples",
             "save_generator_bundle", "add_wav_glob")
_NOTHING = ("log", "master", "task", "num_ps_tasks", "num_sync_workers", "cache_dataset",
            "keep_checkpoint_every_n_hours", "max_batch_size", "num_eval_examples",
            "eval_dir_suffix", "eval_name", "tpu_cluster", "use_tpu", "preprocess_examples",
            "load_audio_with_librosa", "expected_splits")


def _steps(value):
    return [f"--num_training_steps={int(value) or _FOREVER}"]  # 0 is for ever


def _shards(value):
    return [f"--shards={value}"] if int(value) else []


def _beam(value):
    words = value.split(",")
    runner = [word for word in words if word.startswith("--runner=")]
    others = " ".join(word for word in words if word not in runner)
    return [*runner, *([f"--pipeline_options={others}"] if others else [])]


def _without(what):
    def refuse(value):
        raise ValueError(f"{what}: leave it out.")

    return refuse


@dataclasses.dataclass(frozen=True)
class Command:
    """One of Magenta's commands.

    Attributes:
        ours: The command that does it, a module of this package or a function of the arguments
            that gives an exit status.
        defaults: Magenta's defaults where ours are others.
        said: For flags that are said in another way: from their value to words of our command line.
    """

    ours: str | Callable
    defaults: tuple[str, ...] = ()
    said: Mapping[str, Callable] = dataclasses.field(default_factory=dict)


_EVAL = {"eval": lambda value: ["--mode=eval"] if value else []}
_STEPS = {"num_training_steps": _steps, "num_steps": _steps}
_NO_BUNDLE = {name: _without("A run_dir is kept and given instead of a bundle")
              for name in ("save_generator_bundle", "bundle_description")}


def _transcribe(argv):
    """Writes what recordings play beside them, under Magenta's names."""
    values = flags.FlagValues()
    for name, default in (("config", "onsets_frames"), ("weights", None), ("hparams", ""),
                          ("transcribed_file_suffix", "")):
        flags.DEFINE_string(name, default, "", flag_values=values)
    return _cli.call(_write_beside, argv, lambda _: values, lambda _: "", lambda unknown, _:
                     _flags.suggestion(unknown[0], values, list(values)))


def _write_beside(argv, values):
    import os

    from style_transfer import configs, files, outputs, piano_roll, recordings

    if len(argv) < 2:
        raise ValueError("Recordings are missing: name them after the flags.")
    paths = files.find(argv[1:], recordings.SUFFIXES, "a recording")
    config = configs.get(values["config"].value).require("generator")
    hparams = configs.parse_hparams(values["hparams"].value, config.hparams)
    _flags.report("loading Keras")
    from style_transfer.checkpoints import imports
    from style_transfer.transcription import transcribe

    # Magenta's weights are not in the package; ours are.
    model = None if values["weights"].value is None else imports.load_any(
        config, values["weights"].value, hparams, config.generator().check_model)
    summary = files.Summary(read=len(paths))
    suffix = f"{values['transcribed_file_suffix'].value}.midi"
    asked = [values[name].value for name in ("config", "weights", "hparams")]
    for path in paths:
        folder, name = os.path.split(path)
        place = outputs.Outputs(folder).place(name, (suffix,), outputs.recipe_of(*asked, path))
        outputs.make(path, place, summary, _flags.report, lambda target, path=path: (
            piano_roll.save_midi(target, transcribe(path, model))))
    _flags.finish(summary)


def _create_tfrecords(argv):
    """A table of recordings and MIDI files in two folders, as one folder that we read."""
    import csv
    import os
    import pathlib
    import tempfile

    values = flags.FlagValues()
    for name in ("csv", "wav_dir", "midi_dir"):
        flags.DEFINE_string(name, None, "", flag_values=values)
    left = values(argv, known_only=True)
    table = values["csv"].value
    if table is None or not os.path.isfile(table):
        raise ValueError(f"--csv={table} is no file: give the table of the data set.")
    with tempfile.TemporaryDirectory() as root, open(table, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for folder, name in ((values["wav_dir"].value, row["audio_filename"]),
                                 (values["midi_dir"].value, row["midi_filename"])):
                link = pathlib.Path(root, name)
                link.parent.mkdir(parents=True, exist_ok=True)
                source = pathlib.Path(folder or os.path.dirname(table), name).resolve()
                if source.exists() and not link.exists():
                    link.symlink_to(source)
        pathlib.Path(root, "table.csv").write_bytes(pathlib.Path(table).read_bytes())
        return _run_ours("style_transfer_create_dataset",
                         [*left, f"--input={root}", "--layout=maestro"])


COMMANDS = {
    "drums_rnn_create_dataset": Command("style_transfer_create_dataset", ("--config=drum_kit",)),
    "drums_rnn_train": Command(
        "style_transfer_train", ("--config=drum_kit", f"--num_training_steps={_FOREVER}"),
        _EVAL | _STEPS),
    "drums_rnn_generate": Command("style_transfer_generate", ("--config=drum_kit",), _NO_BUNDLE),
    "music_vae_train": Command(
        "style_transfer_train", ("--num_training_steps=200000",),
        _STEPS | {"tfds_name": _without("Data sets of tfds are read as files"),
                  # As a widely copied document spells --checkpoint_file.
                  "checkoint_file": lambda value: [f"--weights={value}"]}),
    "music_vae_generate": Command("style_transfer_generate", ("--num_outputs=5",)),
    "onsets_frames_transcription_create_tfrecords": Command(
        _create_tfrecords, ("--config=onsets_frames",),
        {"num_shards": _shards, "pipeline_options": _beam,
         "add_wav_glob": _without("Every recording is named by the table")}),
    "onsets_frames_transcription_train": Command(
        "style_transfer_train", ("--config=onsets_frames", "--num_training_steps=1000000"),
        _STEPS),
    "onsets_frames_transcription_transcribe": Command(_transcribe),
}


def translated(name, argv):
    """Words of our command line.

    Args:
        name: One of `COMMANDS`.
        argv: The command line of Magenta's.

    Returns:
        A list that begins with the program's name.

    Raises:
        ValueError: A flag asks for what is not done here.
    """
    command = COMMANDS[name]
    values = flags.FlagValues()
    for flag in dict.fromkeys((*command.said, *_NOTHING)):
        define = flags.DEFINE_bool if flag in _BOOLEANS else flags.DEFINE_string
        define(flag, None, "", flag_values=values)
    program, *left = values(argv, known_only=True)
    said = [word for flag, say in command.said.items() if values[flag].present
            for word in say(values[flag].value)]
    return [program, *command.defaults, *said, *left]


def _run_ours(module, argv):
    sys.argv = argv
    return importlib.import_module(f"style_transfer.scripts.{module}").run()


def run(name):
    """Runs one of `COMMANDS`; exits as ours does."""
    command = COMMANDS[name]
    if _cli.HELP_FLAGS.intersection(sys.argv[1:]):
        print(f"Magenta's {name}: its flags are understood, and these.\n")
    try:
        argv = translated(name, sys.argv)
        sys.exit(command.ours(argv) if callable(command.ours) else _run_ours(command.ours, argv))
    except (flags.Error, ValueError) as error:
        sys.exit(f"error: {error}")


def __getattr__(name):
    """Each command's entry point, by its name."""
    if name not in COMMANDS:
        raise AttributeError(name)
    return functools.partial(run, name)
