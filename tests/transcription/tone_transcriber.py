"""A transcription model without training: it hears the tones of a fixed comb of filters."""

import keras
import numpy as np
from keras import ops

from style_transfer import piano_roll
from style_transfer.models.onsets_frames.harmonic_transcriber import HarmonicTranscriber

LOUD, STEEPNESS = 0.02, 400.0
PEDAL_PITCH = 57
AHEAD = 2  # frames by which the offset comes before the end, so that it makes a difference


class ToneTranscriber(HarmonicTranscriber):
    """Says that a key sounds while its fundamental is strong, and begins where it gets strong.

    The key comes up when the tone gets weaker; the pedal is down while `PEDAL_PITCH` sounds.
    """

    def __init__(self, **kwargs):
        super().__init__(width=2, dilations=(1,), frame_dilations=(1,), related=1, **kwargs)

    def heads(self, spectrogram, training=False):
        """As the contract of transcription models says, from the middle filter of each key."""
        from style_transfer.models.onsets_frames import harmonic_transcriber as ht

        level = ops.exp(spectrogram[:, :, :88, 1] * ht.LOG_SCALE + ht.LOG_CENTRE)
        frame = STEEPNESS * (level - LOUD)
        sounding = ops.sigmoid(frame)
        change = sounding - ops.pad(sounding[:, :-1], [[0, 0], [1, 0], [0, 0]])
        ahead = ops.pad(change[:, AHEAD:], [[0, 0], [0, AHEAD], [0, 0]])
        pedal = PEDAL_PITCH - piano_roll.LOWEST_PITCH
        return {"onset": 20 * (change - 0.3), "offset": -20 * (ahead + 0.3), "frame": frame,
                "key": frame - STEEPNESS * LOUD, "velocity": ops.clip(level * 5, 0, 1),
                "pedal": frame[..., pedal:pedal + 1]}


def make():
    """The model, built."""
    keras.utils.set_random_seed(0)
    model = ToneTranscriber()
    model.build()
    return model


def tones(pitches, secs=0.4, rate=16_000, decay=0.0):
    """Sines of MIDI pitches one after the other, dying away at `decay` per second, float32."""
    time = np.arange(int(rate * secs)) / rate
    fade = np.clip(np.minimum(time, secs - time) / 0.01, 0, 1)
    fade = fade * np.exp(-decay * time)
    parts = [0.2 * fade * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)
             for pitch in pitches]
    return np.concatenate([np.zeros(rate // 5), *parts, np.zeros(rate // 5)]).astype(np.float32)
