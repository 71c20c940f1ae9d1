"""The weights in the package play what one recording plays in the sound of another."""

import numpy as np
import pytest

from style_transfer import weights
from style_transfer.audio import Audio
from style_transfer.signal import log_mel
from style_transfer.spectrograms import generate, making
from tests.evaluation import evaluation_signals as signals

RATE = log_mel.SAMPLE_RATE
TILTS = {"bright": 0.3, "dark": 2.5}


def clip(tilt, seed, secs=4.0):
    rng = np.random.default_rng(seed)
    notes = [(t, int(rng.integers(50, 75)), rng.uniform(0.4, 0.9), t + 0.5)
             for t in np.arange(0.1, secs - 0.5, 0.4)]
    return Audio(signals.tones(notes, secs, RATE, tilt=tilt), RATE)


def mel(audio):
    return np.asarray(log_mel.of_audio(making.at_level(audio.samples)[None]))[0]


def envelope(audio):
    """Mean of each of ten bands over a clip, in dB."""
    found = mel(audio)
    return found.reshape(len(found), 10, -1).mean(axis=(0, 2)) * 20 / np.log(10)


@pytest.fixture(scope="module")
def made():
    model = weights.load("ss_vq_vae_small")
    return {name: generate.played(model, clip(1.0, 1), clip(tilt, 2), sample_rate=RATE)
            for name, tilt in TILTS.items()}


def test_the_sound_comes_nearer_to_the_style_that_is_given(made):
    styles = {name: envelope(clip(tilt, 2)) for name, tilt in TILTS.items()}
    distance = {(one, other): np.abs(envelope(made[one]) - styles[other]).mean()
                for one in TILTS for other in TILTS}
    for one, other in (("bright", "dark"), ("dark", "bright")):
        assert distance[one, one] < 0.8 * distance[one, other], distance


def test_the_notes_stay(made):
    def pitches(audio):
        """Power of each semitone in frames, without what all frames share."""
        spectra = np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(
            audio.samples, 4096)[::1600] * np.hanning(4096))) ** 2
        hz = np.fft.rfftfreq(4096, 1 / RATE)
        keys = np.round(12 * np.log2(np.maximum(hz, 1) / 440)).astype(int) + 48
        power = np.stack([spectra[:, keys == key].sum(axis=1) for key in range(25, 70)], axis=1)
        level = np.log(power + 1e-3 * power.max())
        return level - level.mean(axis=0)

    content, other = (pitches(clip(1.0, seed)) for seed in (1, 5))
    for audio in made.values():
        found = pitches(audio)
        frames = min(map(len, (found, content, other)))
        likeness, chance = (np.corrcoef(found[:frames].ravel(), wanted[:frames].ravel())[0, 1]
                            for wanted in (content, other))
        assert likeness > 0.5 and likeness > chance + 0.3
