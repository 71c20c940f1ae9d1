"""What recordings lose on their way to a log-mel spectrogram and back: vocoder and Griffin-Lim.

    python -m benchmarks.vocoder RECORDING... [--weights=vocoder] [--iterations=32,300] [--secs=20]

Griffin-Lim (with momentum 0.99) is given the linear magnitudes, which no spectrogram model makes,
and those that have the same mel bands (100 multiplicative updates), which is what they make. Scores
are those of `style_transfer_evaluate`, against the recording at 16 kHz; the real-time factor is
seconds of computing for a second of audio.
"""

import argparse
import os
import platform
import time

import numpy as np


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--weights", default="vocoder")
    parser.add_argument("--iterations", default="32,300")
    parser.add_argument("--secs", type=float, default=20.0, help="of each recording")
    return parser.parse_args()


def methods(args):
    """Ways from samples to samples, by name."""
    from style_transfer import weights
    from style_transfer.signal import log_mel

    vocoder = weights.load(args.weights)
    yield "vocoder", lambda samples: vocoder.play(log_mel.of_audio(samples[None])[0])
    for count in map(int, args.iterations.split(",")):
        def of_linear(samples, count=count):
            return log_mel.griffin_lim(log_mel.linear(samples[None]), count)[0]

        def of_mel(samples, count=count):
            magnitude = log_mel.to_magnitude(log_mel.of_audio(samples[None]))
            return log_mel.griffin_lim(magnitude, count)[0]

        yield f"Griffin-Lim {count}, linear", of_linear
        yield f"Griffin-Lim {count}, mel", of_mel


def scores(made, recording):
    """Measures of one clip."""
    from style_transfer import audio as audio_lib
    from style_transfer import piano_roll
    from style_transfer.evaluation import metrics
    from style_transfer.transcription import metrics as note_metrics
    from style_transfer.transcription import transcriber

    made = audio_lib.Audio(np.asarray(made)[:len(recording.samples)], recording.sample_rate)
    found = metrics.all_metrics(made, recording)
    heard = [piano_roll.note_table(transcriber.transcribe(clip)) for clip in (recording, made)]
    return {name: found[name] for name in ("logmel_l1_60", "spectral_60", "lsd")} | {
        "same notes heard, F1": note_metrics.score_notes(*heard)["note_f1"]}


def main():
    args = parse()
    from style_transfer import audio as audio_lib
    from style_transfer.signal import log_mel

    clips = []
    for path in args.recordings:
        clip = audio_lib.load(path, log_mel.SAMPLE_RATE)
        clip = audio_lib.Audio(clip.samples[:round(args.secs * clip.sample_rate)],
                               clip.sample_rate)
        gain = 10 ** ((log_mel.LEVEL_DB - audio_lib.sounding_rms_db(clip)) / 20)
        clips.append(audio_lib.Audio(gain * clip.samples, clip.sample_rate))
    print(f"{len(clips)} recordings, {sum(clip.duration_secs for clip in clips):.0f} s, "
          f"{platform.machine()}, {os.cpu_count()} cores, {args.weights}\n")
    names = ("log-mel L1, dB", "spectral loss", "LSD, dB", "same notes heard, F1",
             "real-time factor")
    print(f"| method | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name, make in methods(args):
        make(clips[0].samples[:log_mel.SAMPLE_RATE])  # what is compiled first does not count
        rows = []
        for clip in clips:
            begun = time.monotonic()
            made = make(clip.samples)
            took = (time.monotonic() - begun) / clip.duration_secs
            rows.append([*scores(made, clip).values(), took])
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in np.mean(rows, axis=0))} |",
              flush=True)


if __name__ == "__main__":
    main()
