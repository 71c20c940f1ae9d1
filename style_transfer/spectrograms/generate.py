"""Contents played by models of spectrograms, written to files."""

import functools
import pathlib
import time

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import files, outputs, piano_roll, recordings
from style_transfer.measure.clip import MIN_CLIP_SECS, SILENCE_PEAK_DB
from style_transfer.signal import log_mel
from style_transfer.spectrograms import making, vocoding
from style_transfer.spectrograms.options import TEMPERATURE
from style_transfer.synthesis import neutral_piano


def generate(load, options, report):
    """Plays each content as the style clip sounds; writes `NAME.wav` and `NAME.png`.

    A content that cannot be used is named with its reason and skipped. Names and what is kept: see
    `outputs`.

    Args:
        load: Called without arguments, gives the model.
        options: `options.Options` or what derives from it.
        report: Called with a line of text, and `again=True` for lines that replace the last.

    Returns:
        A `files.Summary`.

    Raises:
        FileNotFoundError: Content, style or weights are missing.
        ValueError: The style clip cannot be used.
    """
    paths = files.find(options.content, (*content_lib.SUFFIXES, *recordings.SUFFIXES),
                       "a recording, a MIDI file or a score", options.output_dir)
    summary = files.Summary()
    todo = outputs.Outputs.of(options, (*paths, options.style)).to_make(
        outputs.recipes(options, paths), (".wav", *[".png"] * options.picture), summary, report,
        pathlib.Path(options.style).stem)
    if not todo:
        return summary
    model, style = load(), audio_lib.load(options.style, log_mel.SAMPLE_RATE)
    style_clip(style)  # what is wrong with it is no fault of a content
    for path, place in todo:
        outputs.make(path, place, summary, report, functools.partial(
            _generate_one, model, path, style, options, summary.remark(report)))
    return summary


def _generate_one(model, path, style, options, say, target):
    begun = time.monotonic()
    made = played(model, path, style, seed=options.seed, sample_rate=options.sample_rate,
                  tracks=options.tracks, temperature=getattr(options, "temperature", TEMPERATURE),
                  say=say)
    took = time.monotonic() - begun
    audio_lib.save(target, made)
    if options.picture:
        from style_transfer import pictures

        target.with_suffix(".png").write_bytes(pictures.spectrogram_png(made))
    return (f"{made.duration_secs:.1f} s of audio in {took:.1f} s (real-time factor "
            f"{took / made.duration_secs:.3f})")


def played(model, content, style, *, sample_rate, seed=0, temperature=TEMPERATURE,
           **content_options):
    """One content played as a style clip sounds.

    Args:
        model: See `style_transfer.spectrograms`.
        content: A recording or notes, see `content.content_notes`; a model that hears is played
            notes on a neutral piano, one that reads notes transcribes recordings.
        style: The style clip as `audio.load` takes it.
        sample_rate: Of the result, Hz.
        seed: Of what is sampled.
        temperature: Likewise.
        **content_options: Further arguments of `content.content_notes`.

    Returns:
        An `Audio`, as long as the content.

    Raises:
        ValueError: Content or style cannot be used.
    """
    mel = making.make(model, features(model, content, **content_options),
                      style_clip(style), temperature=temperature, seed=seed)
    return audio_lib.resample(vocoding.audio_of(mel), sample_rate)


def features(model, content, **content_options):
    """What a model is told of a content, `[frames, features]`."""
    if not model.hears:
        table = content_lib.content_notes(content, **content_options)
        samples = int((table.end_secs + piano_roll.TAIL_SECS) * log_mel.SAMPLE_RATE)
        return making.roll(table, log_mel.num_frames(samples))
    if content_lib.is_recording(content):
        heard = audio_lib.load(content, log_mel.SAMPLE_RATE)
    else:
        heard = neutral_piano.play(content_lib.content_notes(content, **content_options),
                                   log_mel.SAMPLE_RATE)
    return making.frames_of_audio(making.at_level(heard.samples))


def style_clip(style):
    """What models hear of a style clip.

    Args:
        style: As `audio.load` takes it.

    Returns:
        From `making.heard_of_style`.

    Raises:
        ValueError: It is too short or silent.
    """
    clip = audio_lib.load(style, log_mel.SAMPLE_RATE)
    if clip.duration_secs < MIN_CLIP_SECS:
        raise ValueError(f"The style clip lasts {clip.duration_secs:.2f} s; at least "
                         f"{MIN_CLIP_SECS:g} s are needed, 10 s are good.")
    if abs(clip.samples).max() < 10 ** (SILENCE_PEAK_DB / 20):
        raise ValueError("The style clip is silent. Was the right input recorded?")
    return making.heard_of_style(clip.samples)
