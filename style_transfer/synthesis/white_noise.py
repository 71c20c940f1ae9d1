"""White noise of which any part can be had at once, alike in NumPy and in a TensorFlow graph.

A number is a hash of its index, so a served model without Python makes the same noise as the
library. The hash is `lowbias32` of C. Wellons' "hash-prospector" search, the normal distribution
comes by Box and Muller, 1958.
"""

import numpy as np

_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B
_GOLDEN, _MASK = 0x9E3779B9, 0xFFFFFFFF


def block(seed, index, shape, xp=np):
    """A block of standard normal numbers that depends on its index and the seed only.

    Args:
        seed: Int.
        index: Number of the block, 0 or more.
        shape: Its shape; the number of elements must be even.
        xp: See `arrays`.

    Returns:
        float32, of that shape.
    """
    half = int(np.prod(shape)) // 2
    key = _hash(xp.reshape(xp.asarray(index, np.uint32), (1,)) ^ np.uint32(_start(seed)), xp)
    counter = np.arange(half, dtype=np.uint32) * np.uint32(2)
    radius, angle = (
        xp.asarray(xp.right_shift(_hash(key + (counter + np.uint32(offset)), xp), np.uint32(8)),
                   np.float32) for offset in (0, 1))
    radius = xp.sqrt(np.float32(-2) * xp.log((radius + np.float32(1)) * np.float32(2.0**-24)))
    angle = angle * np.float32(2 * np.pi * 2.0**-24)
    both = xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)])
    return xp.reshape(both, shape)


def _start(seed):
    """Any seed in 32 bits."""
    state, rest = 0, seed
    while True:
        state = int(_hash(np.array([((state ^ rest) + _GOLDEN) & _MASK], np.uint32))[0])
        rest >>= 32
        if rest <= 0:
            return state


def _hash(x, xp=np):
    x = (x ^ xp.right_shift(x, np.uint32(16))) * np.uint32(_FIRST)
    x = (x ^ xp.right_shift(x, np.uint32(15))) * np.uint32(_SECOND)
    return x ^ xp.right_shift(x, np.uint32(16))
