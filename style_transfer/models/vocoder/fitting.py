"""The vocoder's last layer by least squares, which no gradient steps are needed for."""

import numpy as np
from keras import ops

from style_transfer.models.vocoder import net
from style_transfer.signal import log_mel as log_mel_lib

_RIDGE = 1e-6  # of the features' mean square


def fit_head(model, batches):
    """Fits the last layer to recordings: sines have their magnitudes, noise a share of those.

    What a bin's sine and its noise are told differs by their offsets alone.

    Args:
        model: A built `Vocoder`.
        batches: Pairs of log-mel spectrograms `[batch, frames, NUM_BANDS]` and the audio
            `[batch, samples]` that they are of.
    """
    squares = products = 0.0
    for log_mel, audio in batches:
        told = ops.convert_to_numpy(model.told(log_mel)).reshape(-1, model.head.kernel.shape[0])
        told = np.pad(told, ((0, 0), (0, 1)), constant_values=1.0).astype(np.float64)
        wanted = ops.log(net.magnitudes(audio) + log_mel_lib.FLOOR) - model.level(log_mel)
        squares = squares + told.T @ told
        products = products + told.T @ ops.convert_to_numpy(wanted).reshape(-1, net.NUM_BINS)
    squares += _RIDGE * np.trace(squares) / len(squares) * np.eye(len(squares))
    found = np.tile(np.linalg.solve(squares, products), (1, 2))
    model.head.set_weights([found[:-1], found[-1]])
