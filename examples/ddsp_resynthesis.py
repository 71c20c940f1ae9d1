"""Learns the sound of one note of a recording with DDSP's synthesizers, and plays it again.

  python examples/ddsp_resynthesis.py examples/electric_grand.flac --pitch=37

A harmonic synthesizer and filtered noise, whose controls are free variables, are fitted to the
recording with the multi-scale spectral loss: what an autoencoder of DDSP learns to give for any
sound, found for a single one. Writes what was found beside the recording it was found for.
"""

import argparse
import pathlib

import keras
import numpy as np
from keras import ops

from style_transfer import audio
from style_transfer.losses import MultiScaleSpectralLoss
from style_transfer.signal import spectral
from style_transfer.synthesis import ddsp

SAMPLE_RATE, SECS, FRAMES_PER_SECOND = 16_000, 0.24, 50
NUM_HARMONICS, NUM_NOISE_BANDS = 40, 33


class Note(keras.Model):
    """A sound of one pitch whose controls are weights.

    Args:
        f0_hz: Fundamental, Hz.
        num_samples: Length of the sound.
    """

    def __init__(self, f0_hz, num_samples):
        super().__init__()
        frames = num_samples * FRAMES_PER_SECOND // SAMPLE_RATE
        self.f0_hz = np.full((1, frames, 1), f0_hz, np.float32)
        self.amplitudes = self.add_weight((1, frames, 1), "zeros")
        self.harmonics = self.add_weight((1, frames, NUM_HARMONICS), "zeros")
        self.noise_bands = self.add_weight((1, frames, NUM_NOISE_BANDS), "zeros")
        self.harmonic = ddsp.Harmonic(num_samples, SAMPLE_RATE)
        self.noise = ddsp.FilteredNoise(num_samples)

    def call(self, _):
        """Audio `[1, num_samples]`; the input does not matter."""
        return (self.harmonic(self.amplitudes, self.harmonics, self.f0_hz)
                + self.noise(self.noise_bands))


def resynthesize(samples, f0_hz, steps, learning_rate=0.1):
    """Fits a `Note` to a recording.

    Args:
        samples: float32 `[samples]` at `SAMPLE_RATE`.
        f0_hz: Fundamental, Hz.
        steps: Steps of Adam.
        learning_rate: Its learning rate.

    Returns:
        The fitted sound, float32 `[samples]`, and the loss of each step.
    """
    note = Note(f0_hz, len(samples))
    note.compile(keras.optimizers.Adam(learning_rate),
                 MultiScaleSpectralLoss(logmag_weight=1.0, floor_db=60.0))
    nothing, target = np.zeros((1, 1), np.float32), samples[None]
    losses = [float(note.train_on_batch(nothing, target)) for _ in range(steps)]
    return ops.convert_to_numpy(note(nothing))[0], losses


def main():
    """Runs the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording")
    parser.add_argument("--start", type=float, default=0.0, help="where the note begins, seconds")
    parser.add_argument("--pitch", type=int, default=37, help="MIDI pitch of the note")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--output_dir", default="out/ddsp")
    options = parser.parse_args()
    first = round(options.start * SAMPLE_RATE)
    clip = audio.load(options.recording, SAMPLE_RATE).samples[first:]
    clip = clip[:round(SECS * SAMPLE_RATE)]
    found, losses = resynthesize(clip, float(ddsp.midi_to_hz(options.pitch)), options.steps)
    folder = pathlib.Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in (("recording", clip), ("resynthesis", found)):
        audio.save(folder / f"{name}.wav", audio.Audio(samples, SAMPLE_RATE))
    loudness = [float(ops.mean(spectral.compute_loudness(s[None], SAMPLE_RATE)))
                for s in (clip, found)]
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}, loudness {loudness[0]:.1f} and "
          f"{loudness[1]:.1f} dB; wrote {folder}/recording.wav and resynthesis.wav")


if __name__ == "__main__":
    main()
