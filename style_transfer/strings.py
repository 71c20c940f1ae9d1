"""The strings of a piano: where their partials lie.

Only NumPy, so that what measures a piano, what renders one and what trains one can all use it.
"""

import numpy as np

from style_transfer.piano_roll import NUM_KEYS

A4_HZ, A4_KEY = 440.0, 48


def equal_temperament_hz():
    """Fundamentals of the 88 keys with A4 at 440 Hz, float64 `[88]`."""
    return A4_HZ * 2 ** ((np.arange(NUM_KEYS) - A4_KEY) / 12)


def partial_hz(f0_hz, inharmonicity, order, sqrt=np.sqrt):
    """Partials of a stiff string: ``k * f0 * sqrt(1 + B k^2)``.

    Args:
        f0_hz: Fundamental without stiffness, Hz.
        inharmonicity: Stiffness B, dimensionless, of a shape that fits.
        order: Number k of the partial, 1 for the lowest; likewise.
        sqrt: Square root for these arrays: `keras.ops.sqrt` or `tf.sqrt` for tensors.

    Returns:
        Frequencies in Hz, of the three shapes together.

    Source: Fletcher, 1964, eq. 3.
    """
    return f0_hz * order * sqrt(1.0 + inharmonicity * order * order)
