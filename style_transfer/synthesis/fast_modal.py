"""`modal`'s sums for playing long pieces, in NumPy.

`modal.oscillator_sum` costs an oscillator a product with each sample. Here it adds to six bins of
the spectrum of each node, whatever the sample rate, and one inverse transform makes the samples of
all: a non-uniform Fourier transform, to 100 dB. Envelopes between onset and damper are powers of
complex numbers, so that most nodes take a multiplication instead of seven transcendental functions.

Source: Barnett, Magland and af Klinteberg, 2019, "A parallel nonuniform fast Fourier transform
library based on an 'exponential of semicircle' kernel" (the kernel).
"""

import numpy as np
import scipy.fft
import scipy.sparse

from style_transfer.synthesis import modal

KERNEL_BINS = 6
SPAN_NODES = 48  # evaluated at once: what has died away, or not begun, is left out of the next
_INNER = 16  # powers that are made first; the others are these times every 16th
_HALF = KERNEL_BINS // 2
_SHARPNESS = 2.3 * KERNEL_BINS
_RISEN = 16.0  # time constants after which an attack is over
_FADED = 10.0  # and after which a burst of noise is
_UNEVEN_SECS = 1e-9  # by which a clock that runs as time does may be off


class OscillatorBank:
    """Sums of damped partials at nodes of one spacing.

    Args:
        hop: Samples between nodes.
        sample_rate: Hz.
    """

    def __init__(self, hop, sample_rate):
        self.hop, self.sample_rate = hop, sample_rate
        self.step_secs = hop / sample_rate
        self.size = modal.fast_size(4 * hop)
        self.num_bins = self.size // 2 + 1 + 2 * _HALF
        self._falling, self._rising = self._windows()

    def bins(self, frequency_hz):
        """Where oscillators add to a spectrum: int32 bins and float32 weights, `[n, 6]` each.

        Those within three bins of half the sample rate, or above, add nothing.
        """
        place = np.asarray(frequency_hz, np.float64) * (self.size / self.sample_rate)
        first = np.floor(place).astype(np.int32) - _HALF + 1
        bins = first[:, None] + np.arange(KERNEL_BINS, dtype=np.int32)
        weights = _kernel((bins - place[:, None]).astype(np.float32))
        heard = (place < self.size // 2 - _HALF)[:, None]
        return np.where(heard, bins + _HALF, 0), (weights * heard).astype(np.float32)

    def sum(self, osc, first_node, num_nodes, clock=None):
        """Sums oscillators.

        Args:
            osc: Dict of arrays `[oscillators]`: as `modal.partial_envelopes` takes them, at
                absolute times, and `frequency_hz`, `phase` at time 0 in radians, `end` in seconds,
                `bins` and `weights` from `bins`; perhaps `side`, complex64, the gains of a second
                sum, and `follows`, whether its `damped` is a time of the dampers' clock.
            first_node: The first node.
            num_nodes: How many hops of samples are made.
            clock: A `dampers.Clock`; needed if anything follows it.

        Returns:
            float32 `[sums, num_nodes * hop]`: the oscillators, and them by `side`.
        """
        sums = 2 if "side" in osc else 1
        spectra = np.empty((sums, num_nodes + 1, self.num_bins), np.complex64)
        for first in range(0, num_nodes + 1, SPAN_NODES):
            count = min(SPAN_NODES, num_nodes + 1 - first)
            spectra[:, first:first + count] = self._spectra(osc, first_node + first, count, sums,
                                                            clock)
        return self._samples(spectra)

    def _spectra(self, osc, first_node, count, sums, clock):
        """Spectra of some nodes, `[sums, count, bins]`."""
        start = first_node * self.step_secs
        stop = start + (count - 1) * self.step_secs
        rows = np.flatnonzero((osc["onset"] < stop) & (osc["end"] > start))
        osc = {name: value[rows] for name, value in osc.items()}
        if not len(rows):
            return np.zeros((sums, count, self.num_bins), np.complex64)
        states = self._states(osc, first_node, start, count, clock)
        out = np.empty((sums, count, self.num_bins), np.complex64)
        out[0] = self._spread(osc, osc["weights"], states)
        if sums == 2:
            out[1] = self._spread(osc, osc["weights"] * osc["side"].real[:, None], states)
            across = self._spread(osc, osc["weights"] * osc["side"].imag[:, None], states)
            out[1].real -= across.imag
            out[1].imag += across.real
        return out

    def _spread(self, osc, weights, states):
        starts = np.arange(len(states) + 1, dtype=np.int32) * KERNEL_BINS
        matrix = scipy.sparse.csc_array((weights.ravel(), osc["bins"].ravel(), starts),
                                        shape=(self.num_bins, len(states)))
        return (matrix @ states.view(np.float32)).view(np.complex64).T

    def _states(self, osc, first_node, start, count, clock):
        """Envelopes times carriers, complex64 `[oscillators, count]`."""
        step, begun = self.step_secs, (start - osc["onset"]).astype(np.float32)
        # The cycles from node to node as float32, as `modal.node_phases` has them.
        cycles = (osc["frequency_hz"] * np.float32(step)).astype(np.float64)
        angle = osc["phase"] + _turned(cycles * first_node)
        turn = _turned(cycles)
        time = np.arange(count) * step
        late, rows, later = _touched(osc, start + time, clock)
        damping = np.where(late > 0, osc["damping"], 0)
        damping[rows] = 0  # not the same from node to node
        damped = osc["damping"] * late

        def part(share, decay, beat):
            level = osc["amplitude"] * share * np.exp(-decay * begun - damped)
            ratio = np.exp((decay + damping) * np.float32(-step))
            return _powers(_polar(level, angle + beat * begun),
                           _polar(ratio, turn + beat * np.float32(step)), count)

        states = part(1 - osc["aftersound"], osc["decay"], np.float32(0))
        states += part(osc["aftersound"], osc["aftersound_decay"],
                       np.float32(2 * np.pi) * osc["beat_hz"])
        states[rows] *= np.exp(-osc["damping"][rows, None] * later)
        rows = np.flatnonzero(begun < _RISEN * osc["attack_secs"])
        since = np.maximum(time.astype(np.float32) + begun[rows, None].astype(np.float32), 0)
        states[rows] *= -np.expm1(-since / osc["attack_secs"][rows, None])
        return states

    def _samples(self, spectra):
        """Samples between nodes, `[sums, (nodes - 1) * hop]`, of spectra `[sums, nodes, bins]`."""
        # What lies below 0 Hz is the mirror image of what lies above.
        mirrored = np.conj(spectra[..., _HALF - 1::-1])
        spectra = spectra[..., _HALF:_HALF + self.size // 2 + 1]
        spectra[..., 1:_HALF + 1] += mirrored
        spectra[..., 0] *= 2
        frames = scipy.fft.irfft(spectra, self.size)
        blocks = (frames[:, :-1, :self.hop] * self._falling
                  + frames[:, 1:, -self.hop:] * self._rising)
        return blocks.reshape(len(blocks), -1)

    def _windows(self):
        """What undoes the kernel, times a node's triangle: after it, and before it."""
        offset = np.linspace(-_HALF, _HALF, 4001)
        kernel = _kernel(offset) * (offset[1] - offset[0])
        after = np.arange(self.hop)
        fades = np.cos(2 * np.pi / self.size * np.outer(np.arange(self.hop + 1), offset)) @ kernel
        scale = self.size / 2  # an inverse transform halves and divides
        falling = scale * (1 - after / self.hop) / fades[:-1]
        rising = scale * (after / self.hop) / fades[:0:-1]
        return falling.astype(np.float32), rising.astype(np.float32)


def _touched(osc, times, clock):
    """For how long dampers have touched strings at the first of some times.

    And where that will not just go on: those rows, and for how much longer at each time.
    """
    ticks = times if clock is None else clock.at(times)
    follows = np.zeros(len(osc["damped"]), bool) if clock is None else osc["follows"]
    first, last = (np.where(follows, ticks[i], times[i]) - osc["damped"] for i in (0, -1))
    uneven = follows & bool(np.any(np.abs(ticks - ticks[0] - (times - times[0])) > _UNEVEN_SECS))
    rows = np.flatnonzero((last > 0) & ((first < 0) | uneven))
    late = np.maximum(first, 0).astype(np.float32)
    later = np.where(follows[rows, None], ticks, times) - osc["damped"][rows, None]
    return late, rows, np.maximum(later, 0).astype(np.float32) - late[rows, None]


def _kernel(offset):
    """The exponential of a semicircle at distances in bins, 0 beyond half of `KERNEL_BINS`."""
    inside = np.maximum(1 - np.square(offset / _HALF), 0)
    return np.exp(_SHARPNESS * (np.sqrt(inside) - 1))


def _turned(cycles):
    """The angle after so many cycles, float32, 0 to 2 pi."""
    return (2 * np.pi * (cycles - np.floor(cycles))).astype(np.float32)


def _polar(level, angle):
    out = np.empty(np.shape(angle), np.complex64)
    out.real, out.imag = level * np.cos(angle), level * np.sin(angle)
    return out


def _powers(first, ratio, count):
    """`first * ratio ** n`, complex64 `[len(first), count]`.

    Products are of contiguous arrays only: NumPy multiplies complex numbers in another order, to
    the last bit, where the memory of strided ones looks as if it overlapped, which chance decides.
    """
    inner = np.ones((_INNER, len(first)), np.complex64)
    filled, power = 1, ratio
    while filled < _INNER:
        inner[filled:2 * filled] = inner[:filled] * power
        filled, power = 2 * filled, power * power
    outer = [first]
    for _ in range(-(-count // _INNER) - 1):
        outer.append(outer[-1] * power)
    inner, outer = (np.ascontiguousarray(np.transpose(rows)) for rows in (inner, outer))
    made = outer[:, :, None] * inner[:, None, :]
    return made.reshape(len(first), -1)[:, :count]


def burst_powers(node_secs, onset_secs, weights):
    """`modal.noise_powers` of one piece: `[nodes]`, `[notes]`, `[notes, bands, constants]`.

    There may be fewer constants: the shortest ones.

    Returns:
        float32 `[nodes, bands]`.
    """
    time = (node_secs[:, None] - onset_secs).astype(np.float32)
    started = time > 0
    total = np.zeros((len(node_secs), weights.shape[1]), np.float32)
    constants = modal.NOISE_TIME_CONSTANTS_SECS[:weights.shape[2]]
    for i, constant in enumerate(constants):
        some = time[0] < _FADED * constant
        fading = np.exp(np.float32(-2 / constant) * np.maximum(time[:, some], 0)) * started[:, some]
        total += fading @ np.ascontiguousarray(weights[some, :, i])
    return total


def shaped_noise(noise, power):
    """`modal.filtered_noise`, of several kinds of noise.

    Args:
        noise: White noise of variance 1, float32 `[sums, nodes, 2 * hop]`.
        power: Power spectral density at each node and bin, `[sums, nodes, hop + 1]`.

    Returns:
        float32 `[sums, (nodes - 1) * hop]`.
    """
    size = noise.shape[-1]
    hop = size // 2
    frames = scipy.fft.irfft(scipy.fft.rfft(noise) * np.sqrt(power), size)
    frames *= np.sin(np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)
    blocks = frames[:, :-1, hop:] + frames[:, 1:, :hop]
    return blocks.reshape(len(blocks), -1)
