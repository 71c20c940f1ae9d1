"""Where a piano stands between two channels, measured and played as middle and side.

The middle is the mean of the channels, the side half their difference. Of each partial the side is
the middle times a complex number `c`: the channels' level difference is |1 + c| against |1 - c|,
their correlation falls as |c| grows. So the middle of what is played in stereo is what is played in
mono, to the bit, and the side is added to it.
"""

import dataclasses

import numpy as np

from style_transfer import strings

ANCHOR_KEYS = np.linspace(0, 87, 8)
ANCHOR_HZ = 80.0 * 2.0 ** np.arange(8)
LARGEST_PAN, LARGEST_WIDTH = 0.9, 4.0
_FRAME_SECS, _PER_FRAME = 0.186, 4
_NUM_PARTIALS = 40
_LOWEST_HZ = 40.0  # beneath are offsets and rumble
_LEAD_SECS = 0.04  # after a blow: its noise is no partial's
_APART_BINS = 5  # from any other partial
_ABOVE_NOISE = 10.0
_KEYS_WIDE, _OCTAVES_WIDE = 5.0, 0.4  # how far measurements spread over keys and frequencies
_FAR, _FAR_WEIGHT, _EVERYWHERE = 3.0, 0.02, 1e-4  # where there are few, from farther away
_LOUDNESS_EXPONENT = 0.7  # of power, that is taken from each measurement's weight
_TINY = 1e-30
_MONO_DB, _ONE_SIDED_DB = -50.0, -40.0


@dataclasses.dataclass(frozen=True)
class Image:
    """A stereo image.

    Attributes:
        pan: Real part of `c` by register and frequency, float32 `[8, 8]`, at `ANCHOR_KEYS` and
            `ANCHOR_HZ`; positive is left.
        width: Mean of its squared magnitude there, at least `pan` squared.
        ambience: Power of the side against the middle's of all that is no partial: room, hammers,
            noise; float32 `[8]`, at `ANCHOR_HZ`.
    """

    pan: np.ndarray
    width: np.ndarray
    ambience: np.ndarray

    def __post_init__(self):
        for name, shape in SHAPES.items():
            value = np.asarray(getattr(self, name), np.float32)
            if value.shape != shape:
                raise ValueError(f"The image's {name} must have the shape {shape}, got "
                                 f"{value.shape}.")
            object.__setattr__(self, name, value)

    def is_sound(self):
        """Whether these are numbers that a recording can have."""
        return bool(np.all(np.abs(self.pan) <= 1) and np.all(self.width >= 0)
                    and np.all(self.width <= LARGEST_WIDTH) and np.all(self.ambience >= 0)
                    and np.all(self.ambience <= LARGEST_WIDTH))

    def partials(self, key, frequency_hz, sign):
        """`c` of partials, complex64 `[n]`.

        Args:
            key: Their keys, `[n]`, 0 to 87.
            frequency_hz: `[n]`.
            sign: Which way each is out of phase, 1 or -1, `[n]`.
        """
        at_key, at_hz = _places(key, ANCHOR_KEYS), _places(
            np.log2(np.maximum(frequency_hz, 1.0)), np.log2(ANCHOR_HZ))
        pan, width = (_bilinear(grid, at_key, at_hz) for grid in (self.pan, self.width))
        out = np.empty(len(pan), np.complex64)
        out.real, out.imag = pan, sign * np.sqrt(np.maximum(width - np.square(pan), 0))
        return out

    def ambience_at(self, frequency_hz):
        """Power of the diffuse side against the middle's, float32, as `frequency_hz` in shape."""
        octave = np.log2(np.maximum(frequency_hz, 1.0))
        return np.interp(octave, np.log2(ANCHOR_HZ), self.ambience).astype(np.float32)


SHAPES = {"pan": (len(ANCHOR_KEYS), len(ANCHOR_HZ)), "width": (len(ANCHOR_KEYS), len(ANCHOR_HZ)),
          "ambience": (len(ANCHOR_HZ),)}


def default_image():
    """For a clip that tells nothing: the bass 2 dB to the left, the treble to the right.

    Channels are alike at low frequencies and half so at high ones, as on measured recordings.
    """
    pan = np.repeat(0.12 * (1 - 2 * ANCHOR_KEYS / 87)[:, None], len(ANCHOR_HZ), axis=1)
    correlation = np.linspace(0.9, 0.5, len(ANCHOR_HZ))
    width = (1 - correlation) / (1 + correlation)
    return Image(pan, np.maximum(width, np.square(pan)), np.full(len(ANCHOR_HZ), 0.5))


def measure(samples, sample_rate, notes, f0_hz, inharmonicity):
    """The image of a clip.

    Args:
        samples: Left and right, float32 `[num_samples, 2]`.
        sample_rate: Hz.
        notes: `NoteTable` of what is played, or None: one image for all keys.
        f0_hz: Fundamentals of the keys, `[88]`.
        inharmonicity: Their stiffness, `[88]`.

    Returns:
        An `Image`; None where both channels are one, one is silent, or they cancel each other.
    """
    power = np.mean(np.square(samples, dtype=np.float64), axis=0)
    middle, side = (np.mean(np.square(part, dtype=np.float64)) for part in _middle_and_side(
        samples))
    ratios = side / (middle + _TINY), power.min() / (power.max() + _TINY)
    if 10 * np.log10(ratios[0] + 1e-12) < _MONO_DB or side > LARGEST_WIDTH * middle or (
            10 * np.log10(ratios[1] + 1e-12) < _ONE_SIDED_DB):
        return None
    size = 2 ** round(np.log2(_FRAME_SECS * sample_rate))
    hop = size // _PER_FRAME
    starts = np.arange(0, max(len(samples) - size, 1), hop)
    bin_hz = sample_rate / size
    found = [_measured(samples, starts[i:i + 64], size, sample_rate, notes, f0_hz, inharmonicity)
             for i in range(0, len(starts), 64)]
    key, bins, middle, side, cross = (np.concatenate(column) for column in zip(
        *(part[0] for part in found), strict=True))
    rest = sum(part[1] for part in found)
    frequency = bins * bin_hz
    whole = np.array([np.sum(rest, axis=1)]).T
    octave = np.log2(np.maximum(np.arange(rest.shape[1]), 0.5) * bin_hz)
    near = _nearness(octave, np.log2(ANCHOR_HZ), _OCTAVES_WIDE)
    ambience = near @ rest.T + 1e-9 * whole.T
    ambience = np.minimum(ambience[:, 1] / (ambience[:, 0] + _TINY), LARGEST_WIDTH)
    if not len(key):
        width = np.repeat(ambience[None], len(ANCHOR_KEYS), axis=0)
        return Image(np.zeros(width.shape), width, ambience)
    weight = (middle + side) ** -_LOUDNESS_EXPONENT
    sums = np.stack([middle, side, cross]) * weight
    by_key = _nearness(key, ANCHOR_KEYS, _KEYS_WIDE)
    by_hz = _nearness(np.log2(frequency), np.log2(ANCHOR_HZ), _OCTAVES_WIDE)
    middle, side, cross = np.einsum("kn,fn,sn->skf", by_key, by_hz, sums, optimize=True)
    pan = np.clip(cross / middle, -LARGEST_PAN, LARGEST_PAN)
    return Image(pan, np.clip(side / middle, np.square(pan), LARGEST_WIDTH), ambience)


def _middle_and_side(samples):
    left, right = samples[..., 0], samples[..., 1]
    return (left + right) / 2, (left - right) / 2


def _measured(samples, starts, size, sample_rate, notes, f0_hz, inharmonicity):
    """Partials in some frames, and what is none.

    Returns:
        Arrays of key, bin, power of middle and side and the real part of their product, for each
        partial; power of middle and side of all other bins, `[2, bins]`.
    """
    padded = np.pad(samples, ((0, max(0, size - len(samples))), (0, 0)))
    frames = padded[starts[:, None] + np.arange(size)] * np.hanning(size)[:, None]
    spectra = [np.fft.rfft(part) for part in _middle_and_side(frames)]
    frame, key, bins = _partials(starts, size, sample_rate, notes, f0_hz, inharmonicity)
    taken = np.zeros(spectra[0].shape, bool)
    near = np.clip(np.round(bins).astype(int)[:, None] + np.arange(-_APART_BINS, _APART_BINS + 1),
                   0, taken.shape[1] - 1)
    taken[frame[:, None], near] = True
    power = np.stack([np.square(np.abs(part)) for part in spectra])
    taken[:, :int(_LOWEST_HZ * size / sample_rate)] = True
    total = np.sum(power, axis=0)
    taken |= total < 1e-12 * np.max(total)  # digital silence
    rest = np.sum(power * (~taken * (total + _TINY) ** -_LOUDNESS_EXPONENT), axis=1)
    alone = _alone(frame, bins) & (bins > 2 * _APART_BINS) & (
        bins < taken.shape[1] - 2 * _APART_BINS)
    frame, key, bins = frame[alone], key[alone], bins[alone]
    centre = np.round(bins).astype(int)[:, None]
    inside = (slice(None), frame[:, None], centre + np.arange(-2, 3))
    beside = (slice(None), frame[:, None], centre + np.array([-8, -7, -6, -5, 5, 6, 7, 8]))
    own = np.sum(power[inside], axis=-1)
    loud = own.sum(axis=0) > _ABOVE_NOISE * 5 / 8 * np.sum(power[beside], axis=(0, -1))
    cross = np.sum((spectra[1][inside[1:]] * np.conj(spectra[0][inside[1:]])).real, axis=-1)
    return (key[loud], bins[loud], own[0][loud], own[1][loud], cross[loud]), rest


def _partials(starts, size, sample_rate, notes, f0_hz, inharmonicity):
    """Frame, key and place in bins of the partials of what sounds in frames."""
    if notes is None or not len(notes):
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    middle = (starts + size / 2) / sample_rate
    sounding = ((notes.onset_secs[:, None] < middle - _LEAD_SECS)
                & (notes.damped_secs[:, None] > middle))
    held = np.zeros((len(f0_hz), len(starts)), bool)
    np.logical_or.at(held, notes.key, sounding)
    key, frame = np.nonzero(held)
    order = np.arange(1, _NUM_PARTIALS + 1)
    hz = strings.partial_hz(f0_hz[key, None], inharmonicity[key, None], order)
    inside = hz < 0.48 * sample_rate
    key, frame = (np.repeat(column[:, None], _NUM_PARTIALS, axis=1)[inside]
                  for column in (key, frame))
    return frame, key, hz[inside] * size / sample_rate


def _alone(frame, bins):
    """Which partials have no other near them in their frame."""
    place = frame * 1e6 + bins
    order = np.argsort(place)
    gaps = np.diff(place[order], prepend=-np.inf, append=np.inf)
    alone = np.zeros(len(place), bool)
    alone[order] = np.minimum(gaps[:-1], gaps[1:]) > _APART_BINS
    return alone


def _nearness(values, anchors, spread):
    """Weights of measurements for anchors, `[anchors, values]`."""
    distance = np.square((values - anchors[:, None]) / spread)
    return (np.exp(-0.5 * distance) + _FAR_WEIGHT * np.exp(-0.5 * distance / _FAR**2)
            + _EVERYWHERE)


def _places(values, anchors):
    """Places of values between evenly spaced anchors, float."""
    place = (np.asarray(values, np.float32) - anchors[0]) / (anchors[1] - anchors[0])
    return np.clip(place, 0, len(anchors) - 1)


def _bilinear(grid, row, column):
    r, c = (np.minimum(place.astype(int), size - 2)
            for place, size in ((row, grid.shape[0]), (column, grid.shape[1])))
    y, x = row - r, column - c
    return ((1 - y) * ((1 - x) * grid[r, c] + x * grid[r, c + 1])
            + y * ((1 - x) * grid[r + 1, c] + x * grid[r + 1, c + 1]))
