"""Changes to a rendered piano that make another timbre or another recording of it.

Pure functions `Audio -> Audio`; everything random comes from the given `numpy.random.Generator`,
so equal generators give equal changes. `AugmentedRenderer` fixes the generator per piano: all
performances of one augmented timbre share its equalizer, room and tuning.
"""

import zlib

import numpy as np

from style_transfer.audio import Audio
from style_transfer.pipelines.rendering.base import unclipped
from style_transfer.pipelines.rendering.rooms import (
    convolve,
    minimum_phase,
    room_impulse,
    smooth_curve,
)

EQ_LIMIT_DB = 12.0
EQ_SPREAD_DB = 5.0
ROOM_SECS = (0.1, 1.5)
ROOM_WET_DB = (-25.0, -3.0)
NOISE_DB = (-70.0, -30.0)
NOISE_COLOURS = ("white", "pink", "hum")
GAIN_DB = (-20.0, 6.0)
DETUNE_CENTS = (-40.0, 40.0)
LOW_PASS_HZ = (2_500.0, 10_000.0)
CODEC_DEPTH_DB = (12.0, 36.0)
CODEC_STEP_DB = 3.0
_EQ_BINS = 512
_CODEC_WINDOW = 1024
_CODEC_BANDS = 20


def equalize(audio: Audio, rng: np.random.Generator) -> Audio:
    """A random smooth equalizer, within plus or minus 12 dB."""
    freqs = np.linspace(0, audio.sample_rate / 2, _EQ_BINS + 1)
    gains = smooth_curve(rng, freqs, EQ_SPREAD_DB, EQ_LIMIT_DB)
    return unclipped(convolve(audio.samples, minimum_phase(gains)), audio.sample_rate)


def room(audio: Audio, rng: np.random.Generator) -> Audio:
    """A random room; its reverberation prolongs the audio."""
    low, high = np.log(ROOM_SECS)
    impulse = room_impulse(rng, audio.sample_rate, rt60_secs=float(np.exp(rng.uniform(low, high))),
                           wet_db=rng.uniform(*ROOM_WET_DB), brightness_hz=rng.uniform(800, 6000))
    return unclipped(convolve(audio.samples, impulse, keep_tail=True), audio.sample_rate)


def noise(audio: Audio, rng: np.random.Generator, level_db: float | None = None) -> Audio:
    """White noise, pink noise or mains hum.

    Args:
        audio: The `Audio`.
        rng: `numpy.random.Generator`.
        level_db: RMS of the noise relative to that of the audio; None draws one from `NOISE_DB`.

    Returns:
        An `Audio` of the same length.
    """
    colour = rng.choice(NOISE_COLOURS)
    level_db = rng.uniform(*NOISE_DB) if level_db is None else level_db
    count = len(audio.samples)
    if not count:
        return audio
    added = (_hum(rng, count, audio.sample_rate) if colour == "hum"
             else _coloured(rng, count, colour))
    rms = 10 ** ((audio.rms_db + level_db) / 20)
    added *= rms / np.sqrt(np.mean(added ** 2) + 1e-20)
    return unclipped(audio.samples + added.astype(np.float32), audio.sample_rate)


def gain(audio: Audio, rng: np.random.Generator) -> Audio:
    """A random level from -20 to +6 dB, as far as it does not clip."""
    return unclipped(audio.samples * np.float32(10 ** (rng.uniform(*GAIN_DB) / 20)),
                     audio.sample_rate)


def draw_cents(rng: np.random.Generator) -> float:
    """How far a whole piano is sharp, in cents, up to 40 in each direction."""
    return float(rng.uniform(*DETUNE_CENTS))


def resampled_by_cents(audio: Audio, cents: float) -> Audio:
    """`audio` played `2 ** (cents / 1200)` times as fast.

    Whoever knows the notes rescales them (`AugmentedRenderer` does so before rendering, so that
    they come out as they were).
    """
    import soxr

    if not len(audio.samples):
        return audio
    rate = audio.sample_rate
    return Audio(soxr.resample(audio.samples, rate * 2 ** (cents / 1200), rate), rate)


def low_pass(audio: Audio, rng: np.random.Generator) -> Audio:
    """A steep low-pass between 2.5 and 10 kHz, as of an old tape or a telephone."""
    from scipy.signal import butter, sosfilt

    if not len(audio.samples):
        return audio
    cutoff_hz = min(rng.uniform(*LOW_PASS_HZ), 0.45 * audio.sample_rate)
    sections = butter(int(rng.integers(2, 7)), cutoff_hz, fs=audio.sample_rate, output="sos")
    return unclipped(sosfilt(sections, audio.samples).astype(np.float32), audio.sample_rate)


def codec(audio: Audio, rng: np.random.Generator) -> Audio:
    """What a lossy codec leaves: bins far under the loudest of their band are gone.

    Each frame's spectrum is cut into bands of equal width on a mel-like scale; in every band, what
    lies 12 to 36 dB under the band's peak is removed and the rest rounded to steps of 3 dB.
    """
    from scipy.signal import ShortTimeFFT, get_window

    if len(audio.samples) < _CODEC_WINDOW:
        return audio
    depth_db = rng.uniform(*CODEC_DEPTH_DB)
    transform = ShortTimeFFT(get_window("hann", _CODEC_WINDOW), _CODEC_WINDOW // 4,
                             audio.sample_rate)
    spectrum = transform.stft(audio.samples)
    edges = np.unique(np.geomspace(1, len(spectrum), _CODEC_BANDS).astype(int))
    edges = np.concatenate([[0], edges])
    level_db = 20 * np.log10(np.abs(spectrum) + 1e-9)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        band = level_db[low:high]
        kept = band > band.max(axis=0) - depth_db
        step_db = CODEC_STEP_DB * np.round(band / CODEC_STEP_DB) - band
        spectrum[low:high] *= kept * 10 ** (step_db / 20)
    samples = transform.istft(spectrum, k1=len(audio.samples)).real
    return unclipped(samples.astype(np.float32), audio.sample_rate)


# Each with the chance that a random chain holds it, in the order a recording passes through them.
CHAIN = ((equalize, 0.8), (room, 0.5), (low_pass, 0.15), (noise, 0.5), (gain, 0.7), (codec, 0.1))


def augment(audio: Audio, rng: np.random.Generator) -> Audio:
    """A random chain of these changes but for the tuning, which would move the notes."""
    for change, chance in CHAIN:
        # Drawn also when unused: whether a room is added must not change the noise after it.
        chosen, seed = rng.random() < chance, rng.integers(2 ** 63)
        if chosen:
            audio = change(audio, np.random.default_rng(seed))
    return audio


class AugmentedRenderer:
    """A piano heard through one fixed random chain, and tuned differently: another timbre.

    Args:
        renderer: The `Renderer` to change.
        index: Which variant of it, counted from 1.
        seed: Seed of all variants.
    """

    def __init__(self, renderer, index, seed=0):
        self.renderer = renderer
        suffix = f"_aug{index}" + (f"_s{seed}" if seed else "")
        self.timbre_id = renderer.timbre_id + suffix
        self.pitches = renderer.pitches
        self.licence = renderer.licence
        self._seeds = [seed, index, zlib.crc32(renderer.timbre_id.encode())]

    def render(self, note_sequence, sample_rate: int) -> Audio:
        """Plays a NoteSequence, its notes at their own times; see `base.Renderer.render`."""
        rng = np.random.default_rng(self._seeds)
        cents = draw_cents(rng)
        slow = stretched(note_sequence, 2 ** (cents / 1200))
        audio = resampled_by_cents(self.renderer.render(slow, sample_rate), cents)
        return augment(audio, rng)

    def forget(self):
        """Frees what the piano itself has cached."""
        self.renderer.forget()


def stretched(note_sequence, factor: float):
    """A copy of a NoteSequence with the times of notes and pedals multiplied by `factor`."""
    copy = type(note_sequence)()
    copy.CopyFrom(note_sequence)
    for note in copy.notes:
        note.start_time *= factor
        note.end_time *= factor
    for event in copy.control_changes:
        event.time *= factor
    copy.total_time *= factor
    return copy


def _coloured(rng, count, colour):
    white = rng.standard_normal(count)
    if colour == "white":
        return white
    # Pink by a sum of three first-order filters (Kellet), flat within 0.5 dB of -3 dB per octave.
    from scipy.signal import lfilter

    poles = ((0.99765, 0.0990460), (0.96300, 0.2965164), (0.57000, 1.0526913))
    return 0.1848 * white + sum(lfilter([b], [1, -a], white) for a, b in poles)


def _hum(rng, count, sample_rate):
    mains_hz = float(rng.choice([50.0, 60.0])) * (1 + rng.normal(0, 5e-4))
    time = np.arange(count) / sample_rate
    out = np.zeros(count)
    for harmonic in range(1, 9):
        out += rng.uniform(0, 1) / harmonic * np.sin(
            2 * np.pi * (harmonic * mains_hz * time + rng.random()))
    return out + 0.02 * rng.standard_normal(count)
