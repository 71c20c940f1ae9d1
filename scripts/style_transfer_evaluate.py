r"""Measures the style transfer against baselines on pairs whose true rendering is known.

Plays excerpts of the contents on each piano, gives the style transfer the notes and a clip of
another piece on the same piano, and compares what comes out with the true rendering:

  style_transfer_evaluate --content=midi_folder --pianos=TimGM6mb.sf2 \
      --baseline_pianos=FluidR3_GM.sf2,splendid_grand --output_dir=evaluation

Writes evaluation.json, .txt, .md (means with 95 % intervals), .png and all audio. A second run with
the same flags measures only what has changed. Several methods are compared in one run:

  style_transfer_evaluate --config=piano_ddsp,ulyanov --content=midi_folder \
      --output_dir=evaluation --listening_test=listening

writes a listening test too: listening/page/ is for the listeners; what they send back is read by

  style_transfer_evaluate --listening_test=listening --listening_results=answers \
      --output_dir=listening
"""

import pathlib
import sys

from absl import flags

from style_transfer import job_arrays, options
from style_transfer.scripts import _cli, _flags

_DEBIAN_SOUNDFONTS = "/usr/share/sounds/sf2"
_FILES_PER_CONTENT = 4

_flags.group("Pairs")
_CONTENTS = _flags.define_list(
    "content", [], "MIDI files, folders of them (searched to any depth) or globs. Two pieces or "
    "more; use pieces that the weights were not trained on.")
_PIANOS = _flags.define_list(
    "pianos", [f"{_DEBIAN_SOUNDFONTS}/TimGM6mb.sf2"],
    "Pianos to transfer to: .sf2 and .sfz files, folders of them, procedural:N. Use pianos that "
    "the weights were not trained on.")
_BASELINE_PIANOS = _flags.define_list(
    "baseline_pianos", [f"{_DEBIAN_SOUNDFONTS}/FluidR3_GM.sf2"],
    "Pianos that the nearest is chosen from, as --pianos: all those trained on. The first one "
    "plays where the style is ignored.")
_PAIRS = flags.DEFINE_string(
    "pairs", None, "Folder of <piano>/<content>/ folders with truth.flac, content.mid, style.flac "
    "and style.mid to use instead of --content and --pianos: recordings, for example.")
_CONTENT_SECS = flags.DEFINE_float("content_secs", 30.0, "Length of the excerpts that are played, "
                                   "seconds.", lower_bound=1.0)
_STYLE_SECS = flags.DEFINE_float("style_secs", 10.0, "Length of style clips, seconds.",
                                 lower_bound=2.0)
_MAX_CONTENTS = flags.DEFINE_integer(
    "max_contents", 4, "How many of --content to play, chosen by --seed; 0 for all.",
    lower_bound=0)
_flags.group("Model")
_CONFIG = flags.DEFINE_list(
    "config", "piano_ddsp", "The configurations that are measured, package.module:ATTRIBUTE for "
    "one of your own; several run each in a process of its own.")
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Weights of a single --config: a name in the package or a folder; by default "
    "those of the package.")
_ADAPT_STEPS = flags.DEFINE_integer(
    "adapt_steps", None, "Gradient steps on the style clip; 0 is none.", lower_bound=0)
_WITH_STYLE_MIDI = flags.DEFINE_bool(
    "with_style_midi", True, "Give the model and the choice of the nearest piano the style clip's "
    "notes.")
_flags.group("Measures")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the results.")
_flags.require("output_dir")
_SAMPLE_RATE = flags.DEFINE_integer("sample_rate", 24_000, "Of renderings and outputs, Hz.",
                                    lower_bound=16_000)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
_MODEL = flags.DEFINE_bool("model", True, "Measure the style transfer.")
_BASELINES = flags.DEFINE_bool("baselines", True, "Measure the baselines.")
_ONSETS = flags.DEFINE_bool(
    "onsets", None, "Measure onset F1 with Basic Pitch; by default where it is installed.")
_PITCH = flags.DEFINE_bool(
    "pitch", None, "Measure the SS-VQ-VAE paper's pitch distance with Essentia; by default where "
    "it is installed.")
_TIMBRE = flags.DEFINE_bool(
    "timbre", None, "Measure the SS-VQ-VAE paper's timbre distance with a triplet network; by "
    "default where the package has its weights.")
_LISTENING_TEST = flags.DEFINE_string(
    "listening_test", None, "Folder for a listening test of what was measured: blind AB and "
    "MUSHRA.")
_LISTENING_SYSTEMS = _flags.define_list(
    "listening_systems", [], "What is compared in it, by the names of evaluation.json; by default "
    "all methods and four baselines.")
_LISTENING_SECS = flags.DEFINE_float("listening_secs", 10.0, "Length of its sounds.",
                                     lower_bound=1.0)
_LISTENING_RESULTS = _flags.define_list(
    "listening_results", [], "Answers to --listening_test, JSON files or folders of them: prints "
    "scores and preferences instead of measuring.")
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", 2, "Processes that measure, threads that render; the model runs alone.",
    lower_bound=1)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Measure again what is there, and replace files "
                                "of the reports' names that are of nothing here.")
_flags.define(options.BeamOptions)
_PAIRS_PER_PART = 8


def main(argv):
    """Checks the flags, renders, runs the methods, measures, reports."""
    _check_flags(argv)
    if _LISTENING_RESULTS.value:
        return _listening_results()
    _say("loading models and soundfonts")
    from style_transfer.evaluation import runner

    measures = _measures()
    folder = pathlib.Path(_OUTPUT_DIR.value)
    _check_outputs(folder)
    # Everything that can be missing is looked for before anything is rendered.
    methods = _methods() if _MODEL.value else []
    rivals = _renderers(_BASELINE_PIANOS.value) if _BASELINES.value else []
    every = _pairs(folder)
    pianos = _baseline_pianos(every, rivals, folder) if rivals else None
    beam = _flags.parsed(options.BeamOptions)
    if beam.runner:
        _run_parts(beam, len(every), folder)  # of what they measured, the rest finds all kept
    todo = job_arrays.Shard.parse(beam.shard).of(every)
    run = runner.Runner(folder, _NUM_WORKERS.value, _OVERWRITE.value and not beam.runner, _say)
    parts = []
    for name, method in zip(_CONFIG.value, methods, strict=False):
        if len(methods) > 1 and not beam.runner:
            _run_apart(name)
        timings = run.run_method(todo, method, _WITH_STYLE_MIDI.value,
                                 adapt_steps=_ADAPT_STEPS.value, sample_rate=_SAMPLE_RATE.value,
                                 seed=_SEED.value)
        parts.append(run.measure_method(todo, method.name, timings, **measures))
    if _BASELINES.value:
        parts.append(run.measure_baselines(todo, pianos, _WITH_STYLE_MIDI.value, _SEED.value,
                                           **measures))
    if beam.shard:
        _say(f"part {beam.shard}: {len(todo)} of {len(every)} pairs; without --shard the same "
             "command reports what all parts have measured")
        return
    conditions = {"methods": {method.name: method.conditions for method in methods}}
    _report(runner.merged(*parts), conditions, folder)
    if _LISTENING_TEST.value:
        _write_listening_test(run, todo, methods)


def _check_outputs(folder):
    """Nobody else's files are replaced, which shows before anything is measured."""
    from style_transfer import files, outputs

    names = ["evaluation.json", "evaluation.txt", "evaluation.md", "evaluation.png"]
    paths = [folder / name for name in names]
    if _LISTENING_TEST.value:
        files.check_folder(_LISTENING_TEST.value)
        paths.append(pathlib.Path(_LISTENING_TEST.value, "key.json"))
    files.check_folder(folder)
    for path in paths:
        outputs.check_named(path, _OVERWRITE.value)


def _measures():
    """Which of the measures that need more than NumPy are taken."""
    from style_transfer.evaluation import published, transcriber

    measures = {}
    for name, flag, available, hint in (
            ("with_onsets", _ONSETS, transcriber.available, transcriber.INSTALL_HINT),
            ("with_pitch", _PITCH, published.hears_pitch, published.INSTALL_HINT),
            ("with_timbre", _TIMBRE, published.knows_timbre, "its weights")):
        measures[name] = available() if flag.value is None else flag.value
        if not measures[name] and flag.value is None:
            _say(f"--{flag.name} is left out (it needs: {hint}).")
        elif measures[name] and not available():
            raise ModuleNotFoundError(f"--{flag.name} needs what is not there: {hint}.")
    return measures


def _check_flags(argv):
    if len(argv) > 1:
        raise ValueError(f"Unexpected arguments {argv[1:]}: give --content and --pianos.")
    if _LISTENING_RESULTS.value:
        if not _LISTENING_TEST.value:
            raise ValueError("--listening_results are answers to a test: say to which with "
                             "--listening_test.")
        return
    if not _PAIRS.value and not _CONTENTS.value:
        raise ValueError("--content is required (MIDI files to play), or --pairs (pairs that "
                         "are rendered already).")
    if not _MODEL.value and not _BASELINES.value:
        raise ValueError("--nomodel and --nobaselines leave nothing to measure.")
    if _WEIGHTS.value and len(_CONFIG.value) > 1:
        raise ValueError("--weights are of one configuration, and --config names "
                         f"{len(_CONFIG.value)}: measure it alone, into the same --output_dir.")


def _methods():
    """What is measured, a list of `runner.Method`; nothing is loaded yet."""
    return [_method(name) for name in _CONFIG.value]


def _method(name):
    import dataclasses

    from style_transfer import configs, weights
    from style_transfer.evaluation import pairs, runner

    config = configs.get(name).require("generator")
    if not config.generator().transfers:
        raise ValueError(f"The config {config.name!r} plays no content in the style of a clip.")
    identity = {"config": config.name}
    of_weights = _WEIGHTS.value or config.weights
    if of_weights:
        folder = weights.folder(of_weights)
        identity |= {"checkpoint": of_weights, "weights_sha256": pairs.files_hash(
            sorted(path for path in folder.iterdir() if path.suffix in (".h5", ".json")))}
    elif config.hparams is not None:
        identity["hparams"] = dataclasses.asdict(config.hparams)
    return runner.Method(config.name, lambda: _loaded(config), identity)


def _loaded(config):
    """The transfer of a configuration, and how many parameters its model has."""
    import functools

    from style_transfer.models import base

    generator = config.generator()
    model = base.load_weights(config, _WEIGHTS.value, generator.check_model)
    return functools.partial(generator.transfer, model), model.count_params()


def _run_apart(name):
    """Runs a configuration in a process of its own, so that its memory is its own.

    What it makes is kept in the output folder, where this process finds it.
    """
    import subprocess

    alone = ["--nobaselines", "--noonsets", "--nopitch", "--notimbre", "--listening_test="]
    subprocess.run([sys.executable, "-m", "style_transfer.scripts.style_transfer_evaluate",
                    *sys.argv[1:], f"--config={name}", *alone], stdout=subprocess.DEVNULL,
                   check=False)  # a pair that failed is tried again here, and its reason kept


def _run_parts(beam, num_pairs, folder):
    """Measures the pairs on Apache Beam; what is made is kept in the output folder."""
    from style_transfer.pipelines import beam_parts, files

    parts = beam_parts.commands(__spec__.name, [*sys.argv[1:], "--listening_test="], num_pairs,
                                beam, _PAIRS_PER_PART)
    beam_parts.run(parts, str(folder / files.PARTIAL), beam, report=_say)


def _pairs(folder):
    from style_transfer.evaluation import pairs

    if _PAIRS.value:
        return pairs.find_pairs(_PAIRS.value)
    tasks = pairs.choose_tasks(_contents(), _CONTENT_SECS.value, _STYLE_SECS.value,
                               _MAX_CONTENTS.value or None, _SEED.value)

    def prepare(renderer):
        return list(pairs.prepare(tasks, renderer.render, renderer.timbre_id, folder / "pairs",
                                  _SAMPLE_RATE.value, _CONTENT_SECS.value, _STYLE_SECS.value))

    return [pair for pair, _ in _on_each(prepare, _renderers(_PIANOS.value), "pairs on")]


def _contents():
    """Name -> NoteSequence of what --content names; bad files are named and left out."""
    import random

    from style_transfer import piano_roll

    files = _content_files()
    limit = _FILES_PER_CONTENT * _MAX_CONTENTS.value
    if limit and len(files) > limit:
        files = {name: files[name]
                 for name in sorted(random.Random(_SEED.value).sample(sorted(files), limit))}
    sequences = {}
    for name, path in files.items():
        try:
            sequence = piano_roll.load_midi(path)
            if not len(piano_roll.note_table(sequence)):
                raise ValueError("it has no piano notes")
            sequences[name] = sequence
        except ValueError as error:
            _say(f"skipped {name}: {error}")
    return sequences


def _content_files():
    import glob
    import os

    from style_transfer.midi.load import MIDI_SUFFIXES

    found = []
    for given in _CONTENTS.value:
        path = pathlib.Path(given)
        if path.is_dir():
            found += [p for p in path.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES]
        elif path.is_file():
            found.append(path)
        else:
            matches = [pathlib.Path(name) for name in glob.glob(given, recursive=True)]
            if not matches:
                raise FileNotFoundError(f"--content: there is no file, folder or glob match "
                                        f"{given!r}.")
            found += matches
    found = sorted({path.resolve() for path in found})
    if len(found) < 2:
        raise ValueError(f"--content names {len(found)} MIDI files; at least two pieces are "
                         "needed, since a style clip plays other notes than the content.")
    root = os.path.commonpath([path.parent for path in found])
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in found}


def _renderers(specs):
    from style_transfer.pipelines.rendering import renderers_from

    found = {renderer.timbre_id: renderer for spec in specs
             for renderer in renderers_from(spec, seed=_SEED.value)}
    return list(found.values())


def _baseline_pianos(todo, renderers, folder):
    from style_transfer.evaluation import benchmark, pairs

    def render(renderer):
        return [pairs.render_notes(pair, renderer.render, renderer.timbre_id, folder / "renderings")
                for pair in todo]

    _on_each(render, renderers, "contents on baseline piano")
    repertoire = {pair.content: pair for pair in todo}
    return benchmark.BaselinePianos(folder / "renderings",
                                    tuple(renderer.timbre_id for renderer in renderers),
                                    tuple(repertoire.values()))


def _on_each(function, renderers, what):
    """Runs `function` on each renderer, in threads (rendering is FluidSynth's or numpy's work)."""
    import concurrent.futures

    results = []
    with concurrent.futures.ThreadPoolExecutor(_NUM_WORKERS.value) as pool:
        for i, (renderer, done) in enumerate(
                zip(renderers, pool.map(function, renderers), strict=True), 1):
            _say(f"{what} {renderer.timbre_id} ({i}/{len(renderers)})")
            results += done
    return results


def _report(results, conditions, folder):
    from style_transfer.evaluation import report

    summary = report.summarize(results)
    text = report.text(summary)
    print(text)
    flag_values = {holder.name: holder.value for holder in globals().values()
                   if isinstance(holder, flags.FlagHolder)}
    report.write_json(folder / "evaluation.json", summary, results,
                      {"flags": flag_values, **conditions, **report.environment()})
    report.write_text(folder / "evaluation.txt", text)
    report.write_text(folder / "evaluation.md", report.markdown(summary))
    measured = sum(1 for result in results
                   if any("error" not in values for values in result["systems"].values()))
    if measured:
        report.plot(folder / "evaluation.png", summary)
    print(f"\n{len(results)} pairs, {measured} measured, {len(summary['failures'])} failures; see "
          f"evaluation.json, .txt, .md and .png in {folder}")
    if not measured:
        raise ValueError("Nothing was measured.")


def _write_listening_test(run, todo, methods):
    from style_transfer.evaluation import benchmark
    from style_transfer.evaluation.listening import page

    chosen = _LISTENING_SYSTEMS.value or [*(method.name for method in methods),
                                          *benchmark.IN_LISTENING_TESTS]
    outputs = {name: lambda pair, name=name: run.output(pair, name) for name in chosen}
    where = page.write(_LISTENING_TEST.value, todo, outputs, _LISTENING_SECS.value, _SEED.value)
    _say(f"wrote {where} (for the listeners) and key.json (not for them)")


def _listening_results():
    import json

    from style_transfer import outputs
    from style_transfer.evaluation import report
    from style_transfer.evaluation.listening import results

    folder = pathlib.Path(_LISTENING_TEST.value)
    summary = results.summarize(*results.load(folder, _LISTENING_RESULTS.value))
    print(results.text(summary))
    target = pathlib.Path(_OUTPUT_DIR.value, "listening.json")
    outputs.check_named(target, _OVERWRITE.value)
    report.write_text(target, json.dumps(summary, indent=1))


def _say(line):
    print(line, file=sys.stderr, flush=True)


def run():
    """Console-script entry."""
    _cli.run(main)


if __name__ == "__main__":
    run()
