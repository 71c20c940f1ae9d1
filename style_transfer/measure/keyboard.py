"""Gaussian-process regression over the 88 keys, for values known on some of them."""

import numpy as np

from style_transfer.piano_roll import NUM_KEYS

# (std, length in keys): None is a constant; negative lengths are rough (exponential) kernels.
PITCH_TERMS = ((60.0, None), (6.0, 44.0), (4.0, 12.0))
STIFFNESS_TERMS = ((1.5, None), (1.0, 30.0), (0.4, 12.0))
ROUGH_KEYS = -2.0
ROUGH_STDS = (0.07, 0.2, 0.5, 1.2)
OUTLIER_STDS = 4.0


def regress(keys, values, std, terms, rounds=3):
    """Posterior of all keys, with a rough part as large as the values themselves suggest.

    Args:
        keys: Observed keys, `[num_observed]`.
        values: Their values.
        std: Their standard deviations.
        terms: `(std, length)` of the smooth kernel's parts.
        rounds: How often the deviations of outliers are raised.

    Returns:
        Mean and standard deviation, float64 `[88]` each.

    Source: Rasmussen and Williams, 2006, eq. 2.25-2.30 and 5.10-5.12.
    """
    smooth = _kernel(terms)
    unit = terms[-1][0]
    rough = _kernel(((1.0, ROUGH_KEYS),))
    likelihoods = [_likelihood(smooth + (unit * size) ** 2 * rough, keys, values, std)
                   for size in ROUGH_STDS]
    kernel = smooth + (unit * ROUGH_STDS[int(np.argmax(likelihoods))]) ** 2 * rough
    noise = std**2
    observed = kernel[np.ix_(keys, keys)]
    for _ in range(rounds):
        inverse = np.linalg.inv(observed + np.diag(noise))
        spread = 1 / np.diag(inverse)
        left_out = (inverse @ values) * spread
        noise = noise * np.maximum(1, left_out**2 / spread / OUTLIER_STDS**2)
    gain = kernel[:, keys] @ np.linalg.inv(observed + np.diag(noise))
    variance = np.diag(kernel) - np.einsum("ij,ij->i", gain, kernel[:, keys])
    return gain @ values, np.sqrt(np.maximum(variance, 1e-6))


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


def _likelihood(kernel, keys, values, std):
    covariance = kernel[np.ix_(keys, keys)] + np.diag(std**2)
    sign, log_det = np.linalg.slogdet(covariance)
    return -0.5 * (values @ np.linalg.solve(covariance, values) + log_det)
