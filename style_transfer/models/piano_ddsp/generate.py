"""Transfers of many pieces to one piano, written to files: what `style_transfer_generate` does."""

import functools
import os
import pathlib
import tempfile
import time
import warnings

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import files, outputs, piano_roll, recordings
from style_transfer.audio import Audio
from style_transfer.files import Summary
from style_transfer.models.piano_ddsp import piano as piano_lib

PICTURE_SECS = 60.0
PROGRESS_EVERY_SECS = 1.0
WRITE_SAMPLES = 1 << 18


def generate(options, load, report=files.say):
    """Plays each content on the piano of `options.style`.

    For each piece `NAME.wav` (or flac), `NAME.mid` and `NAME.png` are written; names and what is
    kept: see `outputs`. A piece that cannot be used is reported with its reason and skipped.

    Args:
        options: `Options`.
        load: Called without arguments, gives the `PianoDDSP`; not before it is needed.
        report: Called with a line of text, and `again=True` for lines that replace the last.

    Returns:
        A `Summary`.

    Raises:
        FileNotFoundError: Content, style, its MIDI or weights are missing.
        ValueError: An option cannot be used.
    """
    from style_transfer.transcription import transcriber

    paths = _checked(options)
    summary = Summary()
    suffixes = (f".{options.format}", ".mid", *[".png"] * options.picture)
    todo = outputs.Outputs.of(options, (*paths, options.style, options.style_midi)).to_make(
        outputs.recipes(options, paths), suffixes, summary, report,
        pathlib.Path(options.style).stem)
    if any(content_lib.is_recording(path) for path, _ in todo):
        transcriber.load(options.transcriber)  # wrong weights are no fault of a recording
    tables = []
    for path, place in todo:
        try:
            tables.append((path, place, _notes(path, options, report, summary)))
        except (ValueError, OSError) as error:
            report(f"skipped {path}: {error}")
            summary.skipped += 1
    if not tables and not options.save_piano:
        return summary
    model = load()
    piano = _estimate(options, model, report)
    for path, place, table in tables:
        outputs.make(path, place, summary, report, functools.partial(
            _generate_one, table, piano, model, options, report))
    return summary


def check(options):
    """Raises what can be said before Keras is imported: of paths, the recording and its notes.

    Args:
        options: `Options`.

    Raises:
        FileNotFoundError: Content, style or its MIDI are missing.
        ValueError: An option or the style cannot be used.
    """
    from style_transfer.models.piano_ddsp import estimate

    _checked(options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said when the piano is estimated
        estimate.usable(options.style, options.style_midi)


def _checked(options):
    """Paths of the contents, if all that can be checked before any work is as it should be."""
    audio_lib.check_sample_rate(options.sample_rate)
    audio_lib.loudness_db(options.loudness, 0.0)
    files.check_folder(options.output_dir)
    paths = files.find(options.content, (*content_lib.SUFFIXES, *recordings.SUFFIXES),
                       "a MIDI file, a score or a recording", options.output_dir)
    if options.save_piano and not options.save_piano.endswith(piano_lib.SUFFIX):
        raise ValueError(f"--save_piano is a *{piano_lib.SUFFIX} file, got {options.save_piano}.")
    for path in filter(None, (options.style, options.style_midi)):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no style file {path!r}.")
    if options.save_piano:
        outputs.check_named(options.save_piano, options.overwrite, _piano_recipe(options))
    output_dir = os.path.realpath(options.output_dir)
    if any(os.path.isdir(c) and os.path.realpath(c) == output_dir for c in options.content):
        raise ValueError(f"The output folder {options.output_dir!r} is searched for content as "
                         "well, where results would become content: give another one.")
    return paths


def _piano_recipe(options):
    """What a saved piano is made of."""
    return outputs.recipe_of(*(getattr(options, name) for name in (
        "style", "style_midi", "adapt_steps", "seed", "weights", "transcribe_style", "transcriber",
        "thresholds")))


def _notes(path, options, report, summary):
    """The notes of one content; a recording's are transcribed, and named with how long it took."""
    begun = time.monotonic()
    table = content_lib.content_notes(
        path, tracks=options.tracks, transcriber=options.transcriber,
        thresholds=options.thresholds, say=summary.remark(report),
        progress=lambda what, done, total: report(
            f"{what} {os.path.basename(path)}: {done:.0f} of {total:.0f} s, "
            f"{files.pace(begun, done, total)}", again=True))
    if content_lib.is_recording(path):
        report(f"transcribed {path}: {len(table)} notes in {time.monotonic() - begun:.1f} s")
    return table


def _estimate(options, model, report):
    from style_transfer.models.piano_ddsp import estimate

    begun = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        piano = estimate.estimate_piano(
            options.style, style_midi=options.style_midi, adapt_steps=options.adapt_steps,
            seed=options.seed, model=model, transcribe_style=options.transcribe_style,
            transcriber=options.transcriber,
            progress=lambda what, done, total: report(f"{what} {done}/{total}", again=True))
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            report(f"warning: {warning.message}")
    is_loaded = options.style.endswith(piano_lib.SUFFIX)
    how = ("loaded from" if is_loaded else
           "fitted to" if piano.corrections else "estimated from")
    report(f"piano {piano.name!r} {how} {options.style} in {time.monotonic() - begun:.1f} s")
    if not piano.corrections and not is_loaded:
        report("(with --style_midi, the notes of the clip, it would be fitted to it)")
    if options.save_piano:
        with outputs.named(options.save_piano, options.overwrite,
                           _piano_recipe(options)) as partial:
            piano.save(partial)
        report(f"wrote {options.save_piano}")
    return piano


def _generate_one(table, piano, model, options, report, target):
    from style_transfer.models.piano_ddsp import picture

    begun = time.monotonic()
    seconds, beginning = play_to_file(target, piano, table, model, options, report)
    took = time.monotonic() - begun
    piano_roll.save_midi(target.with_suffix(".mid"), piano_roll.to_sequence(table))
    if options.picture:
        style = None
        if not options.style.endswith(piano_lib.SUFFIX):
            style = audio_lib.load(options.style)
        picture.save_picture(target.with_suffix(".png"), piano, table, beginning, style, model,
                             title=f"{target.stem} played on {piano.name}")
    return (f"{seconds:.1f} s of audio in {took:.1f} s "
            f"(real-time factor {took / seconds:.3f})")


def play_to_file(target, piano, table, model, options, report=files.say, progress=None):
    """Plays a note table to an audio file, in memory that does not grow with the piece.

    Args:
        target: Path ending in .wav or .flac; whole or not at all.
        piano: A `Piano`.
        table: A `NoteTable`.
        model: Its `PianoDDSP`.
        options: `Options`, of which effects, sample rate, channels, loudness and seed are used.
        report: As in `generate`.
        progress: Called with (what, done, total) seconds instead of `report`; what it raises ends
            the work.

    Returns:
        Seconds written, and the beginning as mono `Audio`.
    """
    from style_transfer.models.piano_ddsp import playing

    begun = time.monotonic()
    shown = begun

    def say(what, done, total):
        nonlocal shown
        now = time.monotonic()
        if now - shown > PROGRESS_EVERY_SECS:
            shown = now
            report(f"{target.name}: {what} {done:.0f} of {total:.0f} s, "
                   f"{files.pace(begun, done, total)}", again=True)

    loudness = audio_lib.loudness_db(options.loudness, piano.loudness_db)
    piano = piano.with_effects(**{name: getattr(options, name) for name in piano_lib.EFFECTS})
    channels = options.channels or piano.channels
    level = audio_lib.SoundingLevel(options.sample_rate)
    # The gain is known only at the end, so the samples wait in a file.
    with tempfile.TemporaryFile(dir=target.parent) as raw:
        peak, count = 0.0, 0
        chunks = playing.played(model, piano, table, options.seed,
                                progress or say, options.sample_rate, channels)
        for chunk in chunks:
            raw.write(np.ascontiguousarray(chunk, np.float32).tobytes())
            level.add(audio_lib.middle(chunk))
            peak = max(peak, float(np.max(np.abs(chunk), initial=0)))
            count += len(chunk)
        gain = 10 ** ((loudness - level.result()) / 20) if peak else 1.0
        if peak * gain > 1:
            report(f"{target.name}: {loudness:.1f} dB would clip, lowered by "
                   f"{20 * np.log10(peak * gain):.1f} dB")
            gain = 1 / peak
        beginning = _write_scaled(target, raw, gain, options.sample_rate, channels)
    return count / options.sample_rate, beginning


def _write_scaled(target, raw, gain, sample_rate, channels):
    import soundfile

    def read(count):
        block = np.fromfile(raw, np.float32, count * channels) * np.float32(gain)
        return block.reshape(-1, 2) if channels == 2 else block

    raw.seek(0)
    with files.written_whole(target) as partial, soundfile.SoundFile(
            partial, "w", sample_rate, channels, "PCM_24",
            format=target.suffix[1:].upper()) as file:
        while len(block := read(WRITE_SAMPLES)):
            file.write(block)
    raw.seek(0)
    return Audio(audio_lib.middle(read(int(PICTURE_SECS * sample_rate))), sample_rate)
