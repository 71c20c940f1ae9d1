"""Whether a flow uses content and style, and what its samples are like."""

import numpy as np

from style_transfer.signal import log_mel
from style_transfer.spectrograms import making

DB = 20 / np.log(10)
TEMPERATURES = (0.0, 0.7)


class Usage:
    """Scores of an evaluation, a `configs.Probe`.

    `loss_other_style` and `loss_other_content` are the bits per dimension where a clip is told the
    style, or the content, of the clip before it: what is no worse is not used. `log_mel_db_0.7` is
    how far samples of that temperature are from the recording, dB.

    Args:
        model: The `GlowStyle`.
        loss: Not used: the model gives its own.
    """

    def __init__(self, model, loss):
        del loss
        self._model, self._sums, self._num_clips = model, {}, 0

    def update(self, x, y):
        """Takes a batch."""
        del y
        told = "content_audio" if self._model.hears else "roll"
        for name, key in (("style", "style_audio"), ("content", told)):
            swapped = {**x, key: np.roll(x[key], 1, axis=0)}
            self._add(f"loss_other_{name}", np.asarray(self._model(swapped)))
        truth = np.asarray(log_mel.of_audio(x["audio"]))
        content = np.asarray(x[told])
        if self._model.hears:
            content = content.reshape(len(content), -1, log_mel.HOP_SAMPLES)
        style, noise = self._model.encode_style(x["style_audio"]), making.noise(truth.shape[1], 0)
        for temperature in TEMPERATURES:
            made = np.asarray(self._model.spectrogram(
                content, style, np.broadcast_to(noise, truth.shape), temperature))
            self._add(f"log_mel_db_{temperature:g}", DB * np.abs(made - truth).mean(axis=(1, 2)))
        self._num_clips += len(truth)

    def _add(self, name, values):
        self._sums[name] = self._sums.get(name, 0.0) + float(np.sum(values))

    def result(self):
        """The scores."""
        return {name: total / max(self._num_clips, 1) for name, total in self._sums.items()}

    def write(self, writer, step):
        """Scores are all there is to show."""
