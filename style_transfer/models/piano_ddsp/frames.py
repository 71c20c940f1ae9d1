"""`PianoDDSP.decode_frames` in NumPy: TensorFlow takes ten times as long for nets so small."""

import numpy as np
import scipy.special

from style_transfer.models.piano_ddsp import net


def decode(model, roll, style):
    """Contexts and log powers of the background noise of one piece's frames.

    Args:
        model: A `PianoDDSP`.
        roll: `[frames, 179]` from `piano_roll.roll`.
        style: `[style_size]`.

    Returns:
        float32 `[frames, context_filters]` and `[frames, num_bands]`, as `model.decode_frames`.
    """
    midi = _tcn(model.midi_encoder, _gelu(_dense(model.roll_dense, roll)))
    styles = np.broadcast_to(style, (len(roll), len(style)))
    fused = _gelu(_dense(model.frame_fusion, np.concatenate([midi, styles], axis=1)))
    frames = _tcn(model.decoder, fused)
    return frames, _dense(model.background, frames) + net.LOG_BACKGROUND_POWER


def _dense(layer, x):
    return x @ np.asarray(layer.kernel) + np.asarray(layer.bias)


def _gelu(x):
    return x * (0.5 + 0.5 * scipy.special.erf(x * np.float32(np.sqrt(0.5))))


def _tcn(layer, x):
    """keras-tcn's blocks as the model has them: causal, ReLU, the sum of all skip connections."""
    skipped = 0
    for block in layer.residual_blocks:
        inner = x
        for convolution in (part for part in block.layers if hasattr(part, "kernel_size")):
            inner = np.maximum(_causal(convolution, inner), 0)
        skipped = skipped + inner
        x = np.maximum(x + inner, 0)
    return skipped


def _causal(layer, x):
    kernel, (dilation,) = np.asarray(layer.kernel), layer.dilation_rate
    before = (len(kernel) - 1) * dilation
    padded = np.concatenate([np.zeros((before, x.shape[1]), np.float32), x])
    out = np.asarray(layer.bias) + padded[before:] @ kernel[-1]
    for i, taps in enumerate(kernel[:-1]):
        out += padded[i * dilation:i * dilation + len(x)] @ taps
    return out
