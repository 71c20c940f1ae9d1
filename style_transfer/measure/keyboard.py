"""Gaussian-process regression over the 88 keys, for values known on some of them."""

import numpy as np

from style_transfer.piano_roll import NUM_KEYS

# (std, length in keys): None is a constant; negative lengths are rough (exponential) kernels.
PITCH_TERMS = ((60.0, None), (6.0, 44.0), (4.0, 12.0))
STIFFNESS_TERMS = ((1.5, None), (1.0, 30.0), (0.4, 12.0))
ROUGH_KEYS = -2.0
ROUGH_STDS = (0.07, 0.2, 0.5, 1.2)
OUTLIER_STDS = 4.0


def kernels(terms, xp=np):
    """Covariances of all keys, for each of `ROUGH_STDS`, `[4, 88, 88]`.

    Args:
        terms: `(std, length)` of the smooth kernel's parts.
        xp: See `arrays`.
    """
    rough = np.square(terms[-1][0] * np.array(ROUGH_STDS))[:, None, None]
    return xp.asarray(_kernel(terms) + rough * _kernel(((1.0, ROUGH_KEYS),)))


def regress(known, values, std, kernels, rounds=3, xp=np):
    """Posterior of all keys, with a rough part as large as the values themselves suggest.

    Args:
        known: Which keys are observed, bool `[88]`.
        values: Values of these, any finite ones elsewhere, float64 `[88]`.
        std: Their standard deviations, float64 `[88]`.
        kernels: From `kernels`.
        rounds: How often the deviations of outliers are raised.
        xp: See `arrays`.

    Returns:
        Mean and standard deviation, float64 `[88]` each.

    Source: Rasmussen and Williams, 2006, eq. 2.25-2.30 and 5.10-5.12.
    """
    mask = xp.asarray(known, float)
    both = mask[:, None] * mask
    # A key that is not observed is a row of the unit matrix, and tells nothing of the others.
    values, noise = values * mask, xp.where(known, std**2, 1.0)
    covariance = kernels * both + xp.diag(noise)
    fitted = xp.matmul(xp.linalg.inv(covariance), values[:, None])[..., 0]
    likelihood = xp.sum(fitted * values, axis=1) + xp.linalg.slogdet(covariance)[1]
    kernel = xp.take(kernels, xp.argmax(-likelihood), axis=0)
    observed, columns = kernel * both, kernel * mask
    for _ in range(rounds):
        inverse = xp.linalg.inv(observed + xp.diag(noise))
        spread = 1 / xp.diagonal(inverse)
        left_out = xp.sum(inverse * values, axis=1) * spread
        raised = xp.maximum(left_out**2 / spread / OUTLIER_STDS**2, 1.0)
        noise = noise * xp.where(known, raised, 1.0)
    gain = xp.matmul(columns, xp.linalg.inv(observed + xp.diag(noise)))
    variance = xp.diagonal(kernel) - xp.sum(gain * columns, axis=1)
    return xp.sum(gain * values, axis=1), xp.sqrt(xp.maximum(variance, 1e-6))


def _kernel(terms):
    distance = np.abs(np.arange(NUM_KEYS)[:, None] - np.arange(NUM_KEYS)[None]).astype(float)
    kernel = np.zeros((NUM_KEYS, NUM_KEYS))
    for size, length in terms:
        if length is None:
            kernel += size**2
        elif length < 0:
            kernel += size**2 * np.exp(distance / length)
        else:
            kernel += size**2 * np.exp(-0.5 * (distance / length) ** 2)
    return kernel
