"""Confidence intervals of means over things that are crossed: pianos and pieces, or listeners."""

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000


def of_mean(values, rows, columns, level=LEVEL, seed=0):
    """Bootstrap interval of a mean whose values share rows and columns.

    Values of one piano, or of one piece, are not independent, so pianos and pieces are drawn anew,
    each by itself, and a value counts as often as its row was drawn times as its column was. Where
    there is but one row, the interval says nothing of other rows.

    Args:
        values: `[n]`.
        rows: Label of each value's row, `[n]`.
        columns: Label of each value's column, `[n]`.
        level: Coverage, in (0, 1).
        seed: Of the draws.

    Returns:
        Low and high end; None if there are fewer than two values.

    Source: Owen, The pigeonhole bootstrap, 2007.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    rng = np.random.default_rng(seed)
    weights = 1.0
    for labels in (rows, columns):
        names, index = np.unique(np.asarray(labels, str), return_inverse=True)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
        weights = weights * drawn[:, index]
    total = weights.sum(axis=1)
    means = (weights @ values)[total > 0] / total[total > 0]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
