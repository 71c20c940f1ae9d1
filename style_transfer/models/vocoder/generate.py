"""Recordings made again from their log-mel spectrograms."""

import functools
import time

from style_transfer import audio as audio_lib
from style_transfer import files, outputs, recordings
from style_transfer.signal import log_mel as log_mel_lib


def generate(load, options, report=files.say):
    """Writes `NAME.wav` for each recording; see `models.base.Generator.generate`."""
    paths = files.find(options.recordings, recordings.SUFFIXES, "a recording", options.output_dir)
    summary = files.Summary()
    todo = outputs.Outputs.of(options, paths).to_make(
        outputs.recipes(options, paths), (".wav",), summary, report)
    model = load() if todo else None

    def write(path, target):
        recording = audio_lib.load(path)
        begun = time.monotonic()
        audio_lib.save(target, made_again(model, recording))
        return (f"{recording.duration_secs:.1f} s, real-time factor "
                f"{(time.monotonic() - begun) / recording.duration_secs:.3f}")

    for path, place in todo:
        outputs.make(path, place, summary, report, functools.partial(write, path))
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
