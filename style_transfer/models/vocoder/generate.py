"""Recordings made again from their log-mel spectrograms."""

import os
import time

from style_transfer import audio as audio_lib
from style_transfer import files, recordings
from style_transfer.signal import log_mel as log_mel_lib


def generate(load, options, report=files.say):
    """Writes `NAME.wav` for each recording; see `models.base.Generator.generate`."""
    paths = files.find(options.recordings, recordings.SUFFIXES, "a recording", options.output_dir)
    summary = files.Summary(read=len(paths))
    targets = files.targets(paths, options.output_dir, ".wav")
    missing = files.to_make(paths, targets, (), options.overwrite, summary, report)
    os.makedirs(options.output_dir, exist_ok=True)
    model = load() if missing else None
    for path, target in missing:
        try:
            recording = audio_lib.load(path)
        except (ValueError, OSError) as error:
            report(f"skipped {path}: {error}")
            summary.skipped += 1
            continue
        begun = time.monotonic()
        audio_lib.save(target, made_again(model, recording))
        report(f"wrote {target}: {recording.duration_secs:.1f} s, real-time factor "
               f"{(time.monotonic() - begun) / recording.duration_secs:.3f}")
        summary.written += 1
    return summary


def made_again(model, recording):
    """A recording made again from its spectrogram, at the vocoder's rate and the same level.

    Args:
        model: A `Vocoder`.
        recording: An `Audio`.
    """
    audio = audio_lib.resample(recording, model.sample_rate)
    level = audio_lib.sounding_rms_db(audio)
    if level <= audio_lib.LOUDNESS_FLOOR_DB:
        return audio
    gain = 10 ** ((log_mel_lib.LEVEL_DB - level) / 20)
    log_mel = log_mel_lib.of_audio(gain * audio.samples[None])[0]
    samples = model.play(log_mel)[:len(audio.samples)]
    return audio_lib.Audio(samples / gain, model.sample_rate)
