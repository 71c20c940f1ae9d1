"""Transfers of many pieces by optimization, written to files."""

import functools
import pathlib
import time

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import files, outputs, pictures, recordings
from style_transfer.models.ulyanov import optimize
from style_transfer.synthesis import neutral_piano

PROGRESS_EVERY_SECS = 1.0


def generate(make_net, options, report=files.say):
    """Gives each content the sound of the style clips.

    For each piece `NAME.wav` and `NAME.png` are written; names and what is kept: see `outputs`. A
    piece that cannot be used is reported with its reason and skipped.

    Args:
        make_net: Gives `RandomFeatures` or `EncoderFeatures`; called if there is work.
        options: The options.
        report: Called with a line of text, and `again=True` for lines that replace the last.

    Returns:
        A `files.Summary`.

    Raises:
        FileNotFoundError: Content or a clip is missing.
        ValueError: A clip cannot be used.
    """
    paths = files.find(options.content, (*content_lib.SUFFIXES, *recordings.SUFFIXES),
                       "a MIDI file, a score or a recording", options.output_dir)
    summary = files.Summary()
    todo = outputs.Outputs.of(options, (*paths, *options.style)).to_make(
        outputs.recipes(options, paths), (".wav", *[".png"] * options.picture), summary, report,
        pathlib.Path(options.style[0]).stem)
    styles = [audio_lib.load(path) for path in options.style]
    net = make_net() if todo else None
    for path, place in todo:
        outputs.make(path, place, summary, report, functools.partial(
            _generate_one, net, path, styles, options, report, summary.remark(report)))
    return summary


def transferred(net, content, styles, options, progress=None, say=None):
    """One content in the style of clips, in memory.

    Args:
        net: As `make_net` of `generate` gives.
        content: A recording, or notes that are played first.
        styles: Clips as `audio.load` takes them.
        options: As for `generate`.
        progress: As for `optimize.transfer`.
        say: As for `content.content_notes`.

    Returns:
        An `Audio` of `options.sample_rate`.
    """
    if content_lib.is_recording(content):
        heard = audio_lib.load(content, net.sample_rate)
    else:
        table = content_lib.content_notes(content, tracks=options.tracks, say=say)
        heard = neutral_piano.play(table, net.sample_rate)
    settings = optimize.Settings(options.num_iterations, options.style_weight, options.optimizer)
    found = optimize.transfer(net, heard, [audio_lib.load(style) for style in styles],
                              options.weights_of_styles, settings, progress)
    return audio_lib.resample(found, options.sample_rate)


def _generate_one(net, path, styles, options, report, say, target):
    begun = shown = time.monotonic()
    values = []

    def progress(iteration, iterations, loss):
        nonlocal shown
        values.append(loss)
        now = time.monotonic()
        if now - shown > PROGRESS_EVERY_SECS:
            shown = now
            report(f"{target.name}: iteration {iteration} of {iterations}, loss {loss:.4f}",
                   again=True)

    found = transferred(net, path, styles, options, progress, say)
    audio_lib.save(target, found)
    if options.picture:
        _save_picture(target.with_suffix(".png"), target.stem, styles[0], found)
    took = time.monotonic() - begun
    change = f", loss {values[0]:.4f} to {values[-1]:.4f}" if values else ""
    return (f"{found.duration_secs:.1f} s of audio in {took:.1f} s (real-time "
            f"factor {took / found.duration_secs:.3f}){change}")


def _save_picture(path, title, style, found):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for axes, clip, name in zip(figure.subplots(2, 1), (style, found), ("style", "made"),
                                strict=True):
        pictures.plot_spectrogram(axes, clip)
        axes.set_title(name)
    with files.written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=90)
