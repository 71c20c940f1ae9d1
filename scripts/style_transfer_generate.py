r"""Plays pieces on the piano of a recording, the main job, or makes files with other models.

  style_transfer_generate --content=piece.mid --style=piano.wav --output_dir=out
  style_transfer_generate --content=pieces --style=pianos --output_dir=out
  style_transfer_generate --config=drum_kit --primer_drums="[(36,)]" --output_dir=out
  style_transfer_generate --config=cat-mel_2bar_small --mode=interpolate --input_midi=a.mid,b.mid \
      --output_dir=out
  style_transfer_generate --config=midi2wave_small --content=piece.mid --output_dir=out \
      --primer_audio=piece.wav --primer_secs=2 --length_secs=4

Of folders all pieces are played on all pianos, each piano's into a folder of its own.
--config=NAME --help shows the flags of a model.
"""

import dataclasses
import functools
import os
import sys
import textwrap
import time

from absl import flags

from style_transfer import files, remote
from style_transfer import options as options_lib
from style_transfer.scripts import _cli, _flags

MAIN_JOB = "piano_ddsp"
_PIECES_PER_PART = 32
CONFIG_HELP = ("The model: plays on the piano of --style by default; drum_kit, cat-mel_2bar_small "
               "and their like write MIDI; midi2wave_small and its like make audio sample by "
               "sample; package.module:ATTRIBUTE is one of your own.")


def main(argv, flag_values):
    """Does what the model of `--config` does."""
    from style_transfer import configs

    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; give files with --content and --style.")
    begun = time.monotonic()
    config = configs.get(flag_values["config"].value)
    generator = config.generator()
    options = dataclasses.replace(_flags.parsed(generator.options, flag_values),
                                  config=config.name)
    _flags.report(f"{config.name}: looking at what was given")
    tasks = _usable(_each_piano(options), generator.check)
    if getattr(options, "runner", ""):
        _flags.finish(_in_parts(tasks), time.monotonic() - begun)
        return
    # Faults show before Keras is loaded.
    hparams = config.hparams
    if getattr(options, "hparams", ""):
        hparams = configs.parse_hparams(options.hparams, hparams)

    _flags.report("loading the model")

    @functools.cache
    def load():
        from style_transfer.checkpoints import imports

        return imports.load_any(config, options.weights, hparams, generator.check_model)

    summary = files.Summary()
    for task in tasks:
        with remote.folder(task.output_dir) as (folder, _):
            local = dataclasses.replace(task, output_dir=folder)
            summary.add(generator.generate(load, local, _flags.report))
    _flags.finish(summary, time.monotonic() - begun)


def _each_piano(options):
    """The options, or where `--style` is a folder, those of each piano in it.

    Raises:
        FileNotFoundError: It has none.
        ValueError: Options are of one piano, or results would become pieces.
    """
    style = getattr(options, "style", None)
    if not isinstance(style, str) or not os.path.isdir(style):
        return [options]
    from style_transfer import recordings

    for name in ("style_midi", "save_piano"):
        if getattr(options, name, None):
            raise ValueError(f"--{name} is of one piano, and --style={style} is a folder.")
    output = os.path.realpath(options.output_dir)
    for content in map(os.path.realpath, filter(os.path.isdir, options.content)):
        if os.path.commonpath([content, output]) == content:
            raise ValueError(f"The output folder {options.output_dir!r} is searched for content as "
                             "well, where results would become content: give another one.")
    found = files.find([style], (*recordings.SUFFIXES, ".piano"), "recordings of pianos")
    names = [os.path.splitext(os.path.relpath(path, style))[0] for path in found]
    return [dataclasses.replace(
        options, style=path, output_dir=f"{options.output_dir.rstrip('/')}/"
        f"{name if names.count(name) == 1 else os.path.relpath(path, style)}")
            for path, name in zip(found, names, strict=True)]


def _usable(tasks, check):
    """Those of several tasks that pass a check, which says why the others do not."""
    found = []
    for task in tasks:
        try:
            check(task)
            found.append(task)
        except ValueError as error:
            if len(tasks) == 1:
                raise
            _flags.report(f"skipped {task.style}: {error}")
    if not found:
        raise ValueError("Nothing in the folder of --style can be used.")
    return found


def _in_parts(tasks):
    """Makes it on Apache Beam, each piano's in parts; gives what one process would."""
    from style_transfer import content, recordings
    from style_transfer.pipelines import beam_parts
    from style_transfer.pipelines.files import PARTIAL, join

    first = tasks[0]
    given = next(getattr(first, name) for name in ("content", "recordings", "audio")
                 if hasattr(first, name))
    pieces = files.find(given, (*content.SUFFIXES, *recordings.SUFFIXES), "a piece",
                        first.output_dir)
    each = [[f"--style={task.style}", f"--output_dir={task.output_dir}"]
            for task in tasks] if len(tasks) > 1 else [[]]
    parts = [part for changes in each for part in beam_parts.commands(
        __spec__.name, [*sys.argv[1:], *changes], len(pieces), first, _PIECES_PER_PART)]
    return beam_parts.run(parts, join(first.output_dir, PARTIAL), first, report=_flags.report)


def flags_of(argv):
    """The flags of the model that the command line names.

    Args:
        argv: The command line.

    Returns:
        A `flags.FlagValues`.

    Raises:
        ValueError: There is no such configuration, or it generates nothing.
    """
    from style_transfer import configs

    found = flags.FlagValues()
    flags.DEFINE_string("config", MAIN_JOB, CONFIG_HELP, flag_values=found)
    _flags.define(configs.get(_config_name(argv)).require("generator").generator().options, found)
    return found


def help_text(argv):
    """What `--help` says: the flags of `--config`, or of all models, the main job's first."""
    from style_transfer import configs

    name = _config_name(argv)
    first = configs.get(name).require("generator").generator().options
    sections = [f"Flags of --config={name}:\n\n{_described(first)}"]
    if name == MAIN_JOB:
        shared = options_lib.flag_names(options_lib.Options)
        families = {}
        for other in configs.having("generator"):
            families.setdefault(configs.get(other).generator().options, []).append(other)
        families.pop(first)
        sections += [f"Flags of --config={', '.join(names)}, beside --output_dir, --overwrite, "
                     f"--weights and --seed:\n\n{_described(options, shared)}"
                     for options, names in families.items()]
    config = "\n".join(textwrap.wrap(f"--config: {CONFIG_HELP}", 92, initial_indent="  ",
                                     subsequent_indent="    ", break_on_hyphens=False))
    return _cli.help_text(__doc__, f"{config}\n\n" + "\n\n".join(sections))


def _described(options, leaving_out=()):
    values = flags.FlagValues()
    _flags.define(options, values)
    return _flags.described([name for name in values if name not in leaving_out], values)


def why_unknown(names, argv):
    """What to say of flags that the model does not have."""
    from style_transfer import configs

    of_config = _config_name(argv)
    flags_by = {other: options_lib.flag_names(configs.get(other).generator().options)
                for other in configs.having("generator")}
    elsewhere = [name for name in names if any(name in known for known in flags_by.values())]
    if elsewhere:
        having = [other for other, known in flags_by.items() if elsewhere[0] in known]
        return (f"{', '.join(f'--{name}' for name in elsewhere)} cannot be used with "
                f"--config={of_config}; --{elsewhere[0]} is for {', '.join(having)}")
    values = flags_of(argv)
    return _flags.suggestion(names[0], values, list(values))


def _config_name(argv):
    """The value of `--config` before the flags are known."""
    words = list(argv[1:])
    for place, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name == "config":
            if equals:
                return value
            return words[place + 1] if place + 1 < len(words) else MAIN_JOB
    return MAIN_JOB


def run():
    """Console entry point."""
    _cli.run_with(main, flags_of, help_text, why_unknown)


if __name__ == "__main__":
    run()
