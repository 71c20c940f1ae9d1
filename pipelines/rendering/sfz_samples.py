"""Samples of an SFZ instrument, resampled to each key once and kept in bounded memory."""

import collections
import dataclasses

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files as library_files
from style_transfer.pipelines.rendering.sfz_region import pan_gains

SOURCE_CACHE_BYTES = 192 << 20
KEY_CACHE_BYTES = 384 << 20
UNROLLED_LOOP_SECS = 30.0
BUTTERWORTH_Q = 0.5 ** 0.5
INT16_PEAK = 32767.0
MOST_CENTS = 6000.0
MOST_UNROLLED_SAMPLES = 1 << 24


@dataclasses.dataclass(frozen=True)
class Sample:
    """int16 `data` that times `scale` is the waveform: a quarter of what float64 takes."""

    data: np.ndarray
    scale: float


def quantised(samples):
    """A `Sample` of float32 samples, its peak at the full 16 bits."""
    peak = float(np.max(np.abs(samples), initial=1e-9))
    return Sample(np.rint(samples * (INT16_PEAK / peak)).astype(np.int16), peak / INT16_PEAK)


class UnreadableSampleError(ValueError):
    """A sample that is there is no audio."""


class Store:
    """Samples by (file, key, cut, filter): decoded once, resampled once, oldest forgotten first.

    Args:
        files: The `sfz_files.Folder` of the instrument.
    """

    def __init__(self, files):
        self.files = files
        self.sources = _Cache(SOURCE_CACHE_BYTES)
        self.keys = _Cache(KEY_CACHE_BYTES)

    def get(self, part, values, key, velocity, sample_rate):
        """The waveform of a region for a key, as a `Sample` at `sample_rate`."""
        cut = tuple(int(values.get(part, name)) for name in
                    ("offset", "end", "loop_start", "loop_end"))
        mode = part.texts["loop_mode"]
        filtering = (part.texts.get("fil_type", "lpf_2p"), values.get(part, "cutoff", key),
                     values.get(part, "resonance", key))
        pan = values.get(part, "pan", key, velocity)
        cents = pitch_cents(values, part, key)
        name = (part.texts["sample"], cents, cut, mode, filtering, pan, sample_rate)
        return self.keys.get(name, lambda: self._resampled(*name))

    def _resampled(self, path, cents, cut, mode, filtering, pan, sample_rate):
        import soxr

        (data, scale, rate) = self.sources.get((path, pan), lambda: self._decoded(path, pan))
        offset, end, loop_start, loop_end = (max(place, 0) for place in cut)
        ratio = 2 ** (min(max(cents, -MOST_CENTS), MOST_CENTS) / 1200)
        data = data[: end + 1] if end > 0 else data
        if mode in ("loop_continuous", "loop_sustain"):
            length = min(int(UNROLLED_LOOP_SECS * rate * ratio), MOST_UNROLLED_SAMPLES)
            data = unrolled(data, loop_start, loop_end or len(data) - 1, length)
        samples = data[offset:].astype(np.float32) * np.float32(scale)
        if len(samples) and abs(rate * ratio - sample_rate) > 1e-6:
            samples = soxr.resample(samples, rate * ratio, sample_rate, quality="HQ")
        return quantised(filtered(samples, filtering, sample_rate))

    def _decoded(self, path, pan):
        import soundfile

        full = self.files.find(path)
        try:
            samples, rate = soundfile.read(full, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise UnreadableSampleError(f"the sample {path!r} cannot be read "
                                        f"({library_files.reason(error)})") from error
        weights = audio_lib.mixing_weights([samples])
        if len(weights) > 1 and weights.max() == 1:  # one of two channels that cancel
            samples = samples[:, [int(weights.argmax())]]
        left, right = pan_gains(pan)
        mono = (left * samples[:, 0] + right * samples[:, -1]) / 2
        sample = quantised(mono)
        return sample.data, sample.scale, rate


class _Cache:
    """Least recently used entries whose arrays hold at most `max_bytes`."""

    def __init__(self, max_bytes):
        self.max_bytes, self.bytes, self.entries = max_bytes, 0, collections.OrderedDict()

    def get(self, name, make):
        if name in self.entries:
            self.entries.move_to_end(name)
            return self.entries[name]
        self.entries[name] = made = make()
        self.bytes += self._size(made)
        while self.bytes > self.max_bytes and len(self.entries) > 1:
            self.bytes -= self._size(self.entries.popitem(last=False)[1])
        return made

    @staticmethod
    def _size(made):
        return made.data.nbytes if isinstance(made, Sample) else made[0].nbytes


def pitch_cents(values, part, key):
    """How far a region's sample is shifted for a key, in cents."""
    track = values.get(part, "pitch_keytrack", key)
    return ((key - part.numbers["pitch_keycenter"]) * track
            + 100 * values.get(part, "transpose", key) + values.get(part, "tune", key))


def unrolled(data, loop_start, loop_end, length):
    """`data` with its loop (both ends included) repeated up to `length` samples."""
    loop = data[loop_start:loop_end + 1]
    if not len(loop) or length <= loop_end:
        return data
    times = -(-(length - loop_start) // len(loop))
    return np.concatenate([data[:loop_start], np.tile(loop, times)])[:length]


def filtered(samples, filtering, sample_rate):
    """Applies an SFZ filter (`lpf`, `hpf` or `bpf`, one or two poles).

    Args:
        samples: float32 `[num_samples]`.
        filtering: (fil_type, cutoff in Hz with 0 for none, resonance in dB).
        sample_rate: Samples per second.

    Raises:
        ValueError: The filter type is not supported.

    Source: Bristow-Johnson, Audio EQ cookbook.
    """
    from scipy.signal import butter, lfilter

    kind, cutoff_hz, resonance_db = filtering
    if cutoff_hz <= 0 or (cutoff_hz >= sample_rate / 2 and kind.startswith("lpf")):
        return samples
    shapes = {"lpf_1p": "low", "hpf_1p": "high"}
    if kind in shapes:
        normal = min(cutoff_hz, 0.49 * sample_rate)
        b, a = butter(1, normal, shapes[kind], fs=sample_rate)
    elif kind in ("lpf_2p", "hpf_2p", "bpf_2p"):
        b, a = _biquad(kind, cutoff_hz, resonance_db, sample_rate)
    else:
        raise ValueError(f"The SFZ filter fil_type={kind} is not supported: expected lpf_1p, "
                         "hpf_1p, lpf_2p, hpf_2p or bpf_2p.")
    return lfilter(b, a, samples).astype(np.float32)


def _biquad(kind, cutoff_hz, resonance_db, sample_rate):
    omega = 2 * np.pi * min(cutoff_hz, 0.49 * sample_rate) / sample_rate
    alpha = np.sin(omega) / (2 * BUTTERWORTH_Q * 10 ** (resonance_db / 20))
    cos = np.cos(omega)
    b = {"lpf_2p": [(1 - cos) / 2, 1 - cos, (1 - cos) / 2],
         "hpf_2p": [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2],
         "bpf_2p": [alpha, 0, -alpha]}[kind]
    a = [1 + alpha, -2 * cos, 1 - alpha]
    return np.array(b) / a[0], np.array(a) / a[0]
