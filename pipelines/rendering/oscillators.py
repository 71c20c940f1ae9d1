"""Banks of decaying partials as matrix products.

A partial is `Re(S(t))` with the complex state `S = a e^(i w t - r t)`. States are computed at the
nodes of blocks of 128 samples by multiplication alone; between two nodes the *envelope* is
interpolated linearly while the carrier turns exactly, which is one matrix product per note:
states x (carrier in a block). A decay or a beating changes so little within 5 ms that the
interpolation is inaudible, and BLAS does the work.
"""

import numpy as np

BLOCK = 128
_FINE = 16
_CHUNK_BLOCKS = 64


class Bank:
    """The carriers of a string's partials at one sample rate, reusable for all its notes.

    Args:
        freqs_hz: Frequencies, shape `[partials]`, below half the sample rate. Partials that live
            longest should come first: dead ones at the end are left out while a note goes on.
        sample_rate: Samples per second.
    """

    def __init__(self, freqs_hz, sample_rate):
        self.sample_rate = sample_rate
        self.omega = 2 * np.pi * np.asarray(freqs_hz, np.float64) / sample_rate
        offsets = np.arange(BLOCK)
        weight = offsets / BLOCK
        self.basis_left = self._rows(np.exp(1j * np.outer(self.omega, offsets)) * (1 - weight))
        self.basis_right = self._rows(np.exp(1j * np.outer(self.omega, offsets - BLOCK)) * weight)

    @staticmethod
    def _rows(carrier):
        # Re(S c) = Re S Re c - Im S Im c, for states stored as interleaved pairs.
        rows = np.empty((2 * len(carrier), BLOCK), np.float32)
        rows[0::2], rows[1::2] = carrier.real, -carrier.imag
        return rows

    def add(self, buffer, start, stages, alive_blocks, damping):
        """Adds a note to `buffer` from sample `start`.

        Args:
            buffer: float32 `[num_samples]`, changed in place; the note is cut at its end.
            start: First sample of the note.
            stages: List of (complex amplitudes `[partials]`, decay rates in 1/s, frequency offsets
                in Hz), summed: two of them make a two-stage decay or a beating.
            alive_blocks: How many blocks each partial lasts, int `[partials]`.
            damping: (block at which the damper falls, further decay rates in 1/s `[partials]`).
        """
        last = min(int(alive_blocks.max(initial=0)), -(-(len(buffer) - start) // BLOCK))
        block_secs = BLOCK / self.sample_rate
        steps = [-rate * block_secs + 1j * (self.omega * BLOCK + 2 * np.pi * offset * block_secs)
                 for _, rate, offset in stages]
        for first in range(0, last, _CHUNK_BLOCKS):
            stop = min(first + _CHUNK_BLOCKS, last)
            count = int(np.max(np.flatnonzero(alive_blocks > first), initial=-1)) + 1
            states = np.zeros((stop - first + 1, count), np.complex64)
            for (amplitude, _, _), step in zip(stages, steps, strict=True):
                states += powers(step[:count], first, stop - first + 1) * (
                    amplitude[:count].astype(np.complex64))
            _damp(states, first, damping[0], damping[1][:count] * block_secs)
            pairs = states.view(np.float32)
            samples = (pairs[:-1] @ self.basis_left[: 2 * count]
                       + pairs[1:] @ self.basis_right[: 2 * count]).reshape(-1)
            at = start + first * BLOCK
            part = buffer[at:at + len(samples)]
            part += samples[: len(part)]


def powers(exponents, first, count):
    """`exp(exponents * n)` for n from `first`, by one multiplication each.

    Args:
        exponents: complex `[partials]`.
        first: The first n.
        count: How many n.

    Returns:
        complex64 `[count, partials]`.
    """
    coarse = np.exp(np.outer(first + _FINE * np.arange(-(-count // _FINE)), exponents))
    fine = np.exp(np.outer(np.arange(_FINE), exponents))
    product = coarse.astype(np.complex64)[:, None] * fine.astype(np.complex64)[None]
    return product.reshape(-1, len(exponents))[:count]


def _damp(states, first, damper_block, exponents):
    begin = max(0, int(np.ceil(damper_block)) - first)
    if begin < len(states):
        late = first + begin - damper_block + np.arange(len(states) - begin)
        states[begin:] *= np.exp(-np.outer(late, exponents)).astype(np.float32)
