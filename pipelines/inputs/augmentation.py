"""Changes to recordings made while training, so that few pianos stand for many.

What belongs to the piano or its room (equalizer, room, tuning) is drawn once and applied to the
style clip and the target alike; what belongs to the recording of the clip (noise, level) is
applied to the style clip alone.
"""

import dataclasses

import numpy as np

_EQ_POINTS_HZ = np.array([40, 90, 200, 450, 1000, 2200, 5000, 11000.0])
_DECAY_60_DB = np.log(1000.0)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far random changes go. Zero, or None for noise, switches one off.

    Attributes:
        eq_db: Standard deviation of a smooth gain curve, dB.
        room_probability: How often a room is added.
        room_wet_db: Level of the room's sound relative to the direct one, lowest and highest.
        room_decay_secs: Time in which the room's sound falls by 60 dB, shortest and longest.
        tuning_cents: Largest shift of the whole piano's pitch.
        noise_db: Noise in the style clip relative to its level, lowest and highest; None for none.
        gain_db: Largest change of the style clip's level after it is normalised.
    """

    eq_db: float = 4.0
    room_probability: float = 0.4
    room_wet_db: tuple[float, float] = (-30.0, -12.0)
    room_decay_secs: tuple[float, float] = (0.15, 0.9)
    tuning_cents: float = 15.0
    noise_db: tuple[float, float] | None = (-65.0, -35.0)
    gain_db: float = 1.5


@dataclasses.dataclass(frozen=True)
class PianoChange:
    """One drawn change of a piano and its room.

    Attributes:
        speed: Factor of all frequencies, and by which everything is faster.
        response: The equalizer and room, float32 `[num_taps]`; None for neither.
    """

    speed: float = 1.0
    response: np.ndarray | None = None

    @property
    def history_samples(self) -> int:
        """How many samples before a crop still sound in it."""
        return 0 if self.response is None else len(self.response) - 1

    def apply(self, samples: np.ndarray) -> np.ndarray:
        """Filters samples that begin with the history; returns them without it."""
        if self.response is None:
            return samples
        from scipy import signal

        return signal.oaconvolve(samples, self.response, mode="valid").astype(np.float32)


def draw_piano_change(
    augmentation: Augmentation, rng: np.random.Generator, sample_rate: int
) -> PianoChange:
    """Draws what happens to a piano in one example."""
    speed = 2 ** (rng.uniform(-1, 1) * augmentation.tuning_cents / 1200)
    response = None
    if augmentation.eq_db > 0:
        response = _equalizer(augmentation, rng, sample_rate)
    if rng.random() < augmentation.room_probability:
        room = _room(augmentation, rng, sample_rate)
        response = room if response is None else np.convolve(response, room)
    return PianoChange(speed, None if response is None else response.astype(np.float32))


def _equalizer(augmentation, rng, sample_rate, num_taps=512):
    """A causal filter whose gain in dB wanders smoothly over the frequencies, 0 in the mean."""
    gains_db = augmentation.eq_db * rng.standard_normal(len(_EQ_POINTS_HZ))
    gains_db -= gains_db.mean()
    frequencies = np.fft.rfftfreq(2 * num_taps, 1 / sample_rate)
    curve = np.interp(np.log(np.maximum(frequencies, 1.0)), np.log(_EQ_POINTS_HZ), gains_db)
    return _minimum_phase(10 ** (curve / 20))[:num_taps]


def _minimum_phase(magnitude):
    """Impulse response of least delay with a magnitude given from 0 Hz to half the rate.

    Source: Oppenheim and Schafer, Discrete-Time Signal Processing, section 13.5 (folded cepstrum).
    """
    cepstrum = np.fft.irfft(np.log(magnitude))
    half = len(cepstrum) // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))


def _room(augmentation, rng, sample_rate):
    """Direct sound, and noise that decays."""
    decay_secs = rng.uniform(*augmentation.room_decay_secs)
    time = np.arange(int(decay_secs * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(time)) * np.exp(-_DECAY_60_DB * time / decay_secs)
    tail *= 10 ** (rng.uniform(*augmentation.room_wet_db) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def disturb_style(
    samples: np.ndarray, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """Adds noise to a normalised style clip and changes its level.

    The noise falls by 3 dB an octave on half of the clips and is white on the others.
    """
    samples = samples * np.float32(10 ** (rng.uniform(-1, 1) * augmentation.gain_db / 20))
    if augmentation.noise_db is None:
        return samples
    noise = rng.standard_normal(len(samples), dtype=np.float32)
    if rng.random() < 0.5:
        spectrum = np.fft.rfft(noise)
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
        noise = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
        noise /= np.sqrt(np.mean(noise**2))
    level = np.sqrt(np.mean(samples**2)) * 10 ** (rng.uniform(*augmentation.noise_db) / 20)
    return samples + noise * np.float32(level)
